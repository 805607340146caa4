//! Lines in a stream of bytes.

#[cfg(any(feature = "file", feature = "stdout"))]
mod container;
#[cfg(any(feature = "file", feature = "stdout"))]
mod cutter;
#[cfg(all(feature = "encoding", any(feature = "file", feature = "stdout")))]
mod decoder;
#[cfg(any(feature = "file", feature = "stdout"))]
mod delimiter;
#[cfg(any(feature = "file", feature = "stdout"))]
mod encoding;
#[cfg(any(feature = "file", feature = "stdout"))]
mod framer;
#[cfg(any(feature = "file", feature = "stdout"))]
mod grouping;
#[cfg(any(feature = "file", feature = "stdout"))]
mod groups;
#[cfg(any(feature = "file", feature = "stdout"))]
mod join;
#[cfg(feature = "file")]
mod kubernetes;
#[cfg(any(feature = "file", feature = "stdout"))]
mod lane;
#[cfg(all(any(test, fuzzing), any(feature = "file", feature = "stdout")))]
mod naive;
#[cfg(any(feature = "file", feature = "stdout"))]
mod outbox;
#[cfg(all(any(test, fuzzing), any(feature = "file", feature = "stdout")))]
pub(crate) mod pieces;
#[cfg(any(feature = "file", feature = "stdout"))]
mod presets;
#[cfg(any(feature = "file", feature = "stdout"))]
mod settings;
#[cfg(any(feature = "file", feature = "stdout"))]
mod splitter;
#[cfg(any(feature = "file", feature = "stdout"))]
mod stage;
#[cfg(any(feature = "file", feature = "stdout"))]
mod tally;
#[cfg(any(feature = "file", feature = "stdout"))]
mod words;

#[cfg(all(feature = "encoding", any(feature = "file", feature = "stdout")))]
pub use encoding::Encoding;
#[cfg(feature = "file")]
pub(crate) use framer::Carry;
#[cfg(any(feature = "file", feature = "stdout"))]
pub(crate) use framer::Framer;
#[cfg(any(feature = "file", feature = "stdout"))]
pub use join::{Join, Multiline};
#[cfg(feature = "file")]
pub use kubernetes::kubernetes_labels;
#[cfg(any(feature = "file", feature = "stdout"))]
pub(crate) use settings::MAX_BYTES;
#[cfg(any(feature = "file", feature = "stdout"))]
pub use settings::{Framing, LongLines};

/// The line without `\n` or `\r\n`.
pub(crate) fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Nothing but white space.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    line.first().is_none_or(u8::is_ascii_whitespace) && line.iter().all(u8::is_ascii_whitespace)
}

/// As much of a longer line as the limit allows, and no part of a UTF-8 character.
pub(crate) fn clip(line: &[u8], max: usize) -> &[u8] {
    let is_inside = |at: usize| line.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let max = max.min(line.len());
    // A character has at most three bytes after its first. More than that is not UTF-8.
    let end = (0..=3).filter_map(|back| max.checked_sub(back)).find(|end| !is_inside(*end));
    &line[..end.filter(|end| *end > 0).unwrap_or(max)]
}
