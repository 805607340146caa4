//! `file_read`: raw lines on one core, beside `read` and `memchr` over the same file; both hash every
//! byte.

use birl_benches::figure::{Figure, Target};
use birl_benches::hash::LineHash;

use crate::one_pass::{self, By};
use crate::setup::Setup;

pub(crate) fn measure(setup: &Setup) -> anyhow::Result<Vec<Figure>> {
    let line = |line: &[u8], hash: &mut LineHash| {
        hash.line(line);
        Ok(())
    };
    let figure = |name, by| {
        let rounds = one_pass::rounds(setup.text()?, by, line, line)?;
        let (reference, target) = ("read + memchr + the same hash", Target::RatioAtLeast(0.5));
        anyhow::Ok(Figure::of_rounds(name, "MiB/s", reference, target, &rounds))
    };
    Ok(vec![figure("file_read", By::Stream)?, figure("file_read_blocking", By::Caller)?])
}
