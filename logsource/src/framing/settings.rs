//! How a stream of bytes becomes lines: what the user says.

use std::sync::Arc;
use std::time::Duration;

use super::encoding::Charset;
#[cfg(feature = "encoding")]
use super::encoding::Encoding;
use super::join::Join;
use crate::Error;

/// A line, and so a slab, is not larger than this.
pub(crate) const MAX_BYTES: usize = 256 << 20;

/// A delimiter is not longer than this.
const MAX_DELIMITER: usize = 64;

/// How bytes become lines. Cheap to clone.
///
/// Not set, a line ends with `\n` or `\r\n`, is at most 1 MiB long (its end is cut off if it is
/// longer), and a last line without its end is held until that is written. Lines of nothing but
/// white space are dropped, whatever ends them.
///
/// Zero bytes at the beginning of a line are dropped and counted ([`DropReason::Hole`]): a file
/// has them when it was cut under a writer that does not append. A delimiter with a zero byte in
/// it turns that off.
///
/// ```
/// use std::time::Duration;
/// use birl_logsource::{Framing, LongLines};
///
/// let framing = Framing::new()
///     .delimiter(b"\0")
///     .max_line_bytes(64 << 10)
///     .long_lines(LongLines::Split)
///     .flush_partial_after(Duration::from_secs(5));
/// ```
///
/// [`DropReason::Hole`]: crate::DropReason::Hole
#[derive(Debug, Clone, Default)]
#[must_use = "it does nothing until a source's builder gets it"]
pub struct Framing(Arc<Settings>);

/// What becomes of a line that is longer than the limit.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum LongLines {
    /// Its end is cut off, and counted ([`DropReason::LineTooLong`](crate::DropReason)).
    #[default]
    Truncate,
    /// All of it is dropped, and counted ([`DropReason::LineTooLong`](crate::DropReason)).
    Drop,
    /// It comes in pieces, each an entry of its own, and is counted ([`Count::Split`]). Nothing
    /// is lost.
    ///
    /// [`Count::Split`]: crate::Count::Split
    Split,
}

#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// None for `\n` and `\r\n`.
    pub(super) delimiter: Option<Arc<[u8]>>,
    pub(super) max_line: usize,
    pub(super) long_lines: LongLines,
    pub(super) flush_partial: Option<Duration>,
    pub(super) charset: Charset,
    pub(super) join: Option<Join>,
    pub(super) carry_partial: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            delimiter: None,
            max_line: 1 << 20,
            long_lines: LongLines::default(),
            flush_partial: None,
            charset: Charset::Bytes,
            join: None,
            carry_partial: false,
        }
    }
}

impl Framing {
    /// Lines as nearly every log has them.
    pub fn new() -> Self {
        Self::default()
    }

    /// What ends a line: from 1 to 64 bytes, exactly these. Without it that is `\n` or `\r\n`.
    pub fn delimiter(mut self, delimiter: impl AsRef<[u8]>) -> Self {
        self.edit().delimiter = Some(delimiter.as_ref().into());
        self
    }

    /// Longer lines are dealt with as [`Framing::long_lines`] says; 1 MiB if not set.
    pub fn max_line_bytes(mut self, bytes: usize) -> Self {
        self.edit().max_line = bytes;
        self
    }

    /// What becomes of a line that is too long; [`LongLines::Truncate`] if not set.
    pub fn long_lines(mut self, long_lines: LongLines) -> Self {
        self.edit().long_lines = long_lines;
        self
    }

    /// Takes a last line for whole when nothing has followed it for so long. What is written
    /// later is a line of its own. Not set, it is held until its end is written.
    pub fn flush_partial_after(mut self, time: Duration) -> Self {
        self.edit().flush_partial = Some(time);
        self
    }

    /// Takes an unfinished line at the end of a rotated file for the beginning of the next file's
    /// first line: for writers that rotate by size, in the middle of a line. False if not set:
    /// then it waits for its end in its own file, and comes without it when that is let go of.
    ///
    /// What is unfinished of a [`Join`] goes on in the next file in any case.
    ///
    /// ```
    /// let framing = birl_logsource::Framing::new().carry_partial(true);
    /// ```
    pub fn carry_partial(mut self, carry: bool) -> Self {
        self.edit().carry_partial = carry;
        self
    }

    /// What the bytes stand for; UTF-8 if not set. Lines come as UTF-8.
    ///
    /// Whatever is set, a byte order mark at a file's beginning says more, so that a file in
    /// UTF-16 with one is read as such. The delimiter is meant as UTF-8 text, and looked for in
    /// the bytes before they are decoded.
    #[cfg(feature = "encoding")]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.edit().charset = encoding.charset();
        self
    }

    /// How several lines become one entry; each is an entry of its own if not set.
    pub fn join(mut self, join: Join) -> Self {
        self.edit().join = Some(join);
        self
    }

    fn edit(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.0)
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0
    }

    #[cfg(feature = "file")]
    pub(crate) fn carries_partial(&self) -> bool {
        self.settings().carry_partial
    }

    #[cfg(feature = "file")]
    pub(crate) fn is_of_containers(&self) -> bool {
        self.settings().join.as_ref().is_some_and(|join| join.containers)
    }

    /// What `build()` of every source that takes one asks.
    ///
    /// # Errors
    /// If a setting cannot be.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Settings { delimiter, max_line, charset, join, .. } = self.settings();
        if !(1..=MAX_BYTES).contains(max_line) {
            return Err(Error::invalid(format!(
                "a line can have from 1 byte to 256 MiB, not {max_line} bytes; \
                 set max_line_bytes to something between"
            )));
        }
        if let Some(delimiter) = delimiter
            && !(1..=MAX_DELIMITER).contains(&delimiter.len())
        {
            return Err(Error::invalid(format!(
                "a delimiter can have from 1 to {MAX_DELIMITER} bytes, not {}; leave it out for \
                 lines that end with \\n or \\r\\n",
                delimiter.len()
            )));
        }
        if let Some(delimiter) = delimiter
            && !charset.keeps(delimiter)
        {
            return Err(Error::invalid(format!(
                "in this encoding the delimiter `{}` may be part of another character; choose one \
                 of bytes below 0x30, such as line feeds and punctuation, or with iso-2022-jp of \
                 control characters",
                delimiter.escape_ascii()
            )));
        }
        if let Some(multiline) = join.as_ref().and_then(|join| join.multiline.as_ref())
            && (!(1..=MAX_BYTES).contains(&multiline.max_bytes) || multiline.max_lines == 0)
        {
            return Err(Error::invalid(
                "a group of lines can have from 1 byte to 256 MiB, and one line or more",
            ));
        }
        Ok(())
    }
}
