//! What ends a line.

use memchr::memmem::Finder;

use super::encoding::Charset;

/// What ends a line.
#[derive(Debug, Clone)]
pub(super) enum Delimiter {
    /// `\n`; a `\r` before it is no part of the line.
    Newline,
    Byte(u8),
    /// Two bytes or more.
    Bytes(Box<Finder<'static>>),
    /// One that begins at an even byte of the line, and what before it is no part of the line.
    Wide(Box<Finder<'static>>, Vec<u8>),
}

impl Delimiter {
    pub(super) fn new(bytes: Option<&[u8]>, charset: Charset) -> Self {
        let find = |bytes: &[u8]| Box::new(Finder::new(bytes).into_owned());
        match bytes {
            None if charset.is_wide() => {
                Self::Wide(find(&charset.widen("\n")), charset.widen("\r"))
            }
            Some(bytes) if charset.is_wide() => {
                let wide = charset.widen(&String::from_utf8_lossy(bytes));
                Self::Wide(find(&wide), Vec::new())
            }
            None => Self::Newline,
            Some([byte]) => Self::Byte(*byte),
            Some(bytes) => Self::Bytes(find(bytes)),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Newline | Self::Byte(_) => 1,
            Self::Bytes(finder) | Self::Wide(finder, _) => finder.needle().len(),
        }
    }

    /// How long a line's end can be.
    pub(super) fn longest(&self) -> usize {
        self.len()
            + match self {
                Self::Newline => 1,
                Self::Wide(_, trim) => trim.len(),
                _ => 0,
            }
    }

    pub(super) fn is_wide(&self) -> bool {
        matches!(self, Self::Wide(..))
    }

    /// Where the first one after `from` is, in a line that begins at `start`.
    pub(super) fn find(&self, bytes: &[u8], mut from: usize, start: usize) -> Option<usize> {
        let found = |found: usize| from + found;
        match self {
            Self::Newline => memchr::memchr(b'\n', &bytes[from..]).map(found),
            Self::Byte(byte) => memchr::memchr(*byte, &bytes[from..]).map(found),
            Self::Bytes(finder) => finder.find(&bytes[from..]).map(found),
            Self::Wide(finder, _) => loop {
                let at = from + finder.find(bytes.get(from..)?)?;
                if (at - start).is_multiple_of(2) {
                    return Some(at);
                }
                from = at + 1;
            },
        }
    }

    /// What is before the delimiter, without what else belongs to the line's end.
    pub(super) fn trim<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Newline => line.strip_suffix(b"\r").unwrap_or(line),
            Self::Wide(_, trim) if line.len().is_multiple_of(2) => {
                line.strip_suffix(&trim[..]).unwrap_or(line)
            }
            _ => line,
        }
    }

    /// Whether zero bytes can be told from what a writer wrote.
    pub(super) fn shows_holes(&self) -> bool {
        match self {
            Self::Newline => true,
            Self::Byte(byte) => *byte != 0,
            Self::Bytes(finder) => !finder.needle().contains(&0),
            Self::Wide(..) => false,
        }
    }
}
