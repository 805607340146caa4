//! The parsers of outside bytes, for the fuzz targets. No part of the API.

/// Feeds a text to the framing in pieces of these sizes; gives the lines, and where batches end.
#[must_use]
pub fn frame(
    text: &[u8],
    pieces: &[usize],
    slab_bytes: usize,
    max_line: usize,
) -> (Vec<Vec<u8>>, Vec<u64>) {
    crate::framing::pieces::framed(text, pieces, slab_bytes, max_line)
}

pub use crate::journald::export_entries;
pub use crate::shell::reread_offsets;
