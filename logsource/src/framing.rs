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
