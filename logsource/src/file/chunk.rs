//! What a `read` gives: one batch of what is there now.

use std::path::Path;
use std::sync::Arc;

use super::catalog::Catalog;
use super::discovery::Patterns;
use super::disk::Real;
use super::open_files::OpenFiles;
use super::opening::Start;
use super::reading::Shared;
use super::table::Follower;
use crate::metrics::SourceMetrics;
use crate::shell::{Store, ticks};
use crate::{Chunk, Cursor, Error, Position, SourceKind};

/// A `read`: the same bookkeeping as a `tail`'s, for one batch, and nothing is kept.
pub(super) fn read(
    shared: &Shared,
    store: &Arc<Store>,
    patterns: &Patterns,
    from: &Position,
    max: usize,
) -> Result<Chunk, Error> {
    let trouble = |path: &Path, cause| Error::io(format!("cannot read {}", path.display()), cause);
    let asking = Shared { store: Some(Arc::clone(store)), ..shared.clone() };
    // A read is no progress, so it counts nothing.
    let metrics = Arc::new(SourceMetrics::new(SourceKind::File));
    let open = OpenFiles::new(Some(usize::MAX), &metrics);
    let shared = &Shared { metrics, open, ..shared.clone() };
    let start = Start::new(&asking, from)?;
    let known = Catalog::new(true);
    let walk = patterns.walk();
    let (mut batch, mut at_end, mut marks) = (None, true, Vec::new());
    for path in start.paths(patterns, &walk) {
        let mut follower = Follower::new(&Real, shared, &path, &known);
        follower.begin(start.begin(&path), ticks()).map_err(|cause| trouble(&path, cause))?;
        if batch.is_none() && max > 0 {
            batch = follower.step(ticks(), max).map_err(|cause| trouble(&path, cause))?;
        }
        at_end &= follower.is_at_end(ticks()).map_err(|cause| trouble(&path, cause))?;
        marks.extend(follower.marks());
    }
    Ok(Chunk::new(batch, Cursor::of_files(marks), at_end))
}
