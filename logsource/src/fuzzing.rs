//! The parsers of outside bytes, for the fuzz targets. No part of the API.

/// Feeds a text to the framing in pieces of these sizes, and compares the lines, the places and
/// the counts with those of a plain split. Does nothing with settings that `build()` refuses.
///
/// # Panics
/// If they differ.
pub fn check_framing(text: &[u8], pieces: &[usize], slab_bytes: usize, framing: &crate::Framing) {
    if framing.check().is_err() {
        return;
    }
    crate::framing::pieces::check(text, pieces, slab_bytes, framing, crate::shell::ticks());
}

/// Reads a packed file while it grows to these lengths; gives at most `most` bytes of what is in
/// it, and what is wrong with it. `None` if it is packed in a way that is not read.
#[must_use]
pub fn unpack(
    bytes: &[u8],
    lengths: &[usize],
    sizes: &[usize],
    park: usize,
    most: usize,
) -> Option<(Vec<u8>, Option<String>)> {
    crate::file::read_growing(bytes, lengths, sizes, park, most).ok()
}

pub use crate::journald::export_entries;
pub use crate::shell::reread_offsets;
