//! `file_read`: raw lines on one core, beside `read` and `memchr` over the same file; both hash every
//! byte.

use birl_benches::figure::{Figure, Target};
use birl_benches::hash::LineHash;

use crate::one_pass;
use crate::setup::Setup;

pub(crate) fn measure(setup: &Setup) -> anyhow::Result<Vec<Figure>> {
    let line = |line: &[u8], hash: &mut LineHash| {
        hash.line(line);
        Ok(())
    };
    let rounds = one_pass::rounds(setup.text()?, line, line)?;
    Ok(vec![Figure::of_rounds(
        "file_read",
        "MiB/s",
        "read + memchr + the same hash",
        Target::RatioAtLeast(0.5),
        &rounds,
    )])
}
