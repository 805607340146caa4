//! What a file says, packed or not: a rotated log is often packed by the time it is read.
//!
//! The first bytes decide, whatever the name says. Offsets are those of the plain content, so that
//! a place in a log stays the same place once the log is packed. Going forward is streaming, and
//! going back begins anew. Nothing is kept of what was handed out: memory is one window.

#[cfg(any(test, fuzzing))]
pub(crate) mod memory;
#[cfg(feature = "compression")]
mod packed;
#[cfg(feature = "compression")]
mod zstd;

use std::fmt;
use std::io;
use std::sync::{Arc, Weak};

use super::disk::Handle;

/// No magic number is longer.
const MAGIC_BYTES: usize = 10;

/// An open file, read as what was written before it was packed.
#[derive(Debug)]
pub(super) struct Content<F> {
    file: Arc<F>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// There are too few bytes to tell.
    Unknown,
    Plain,
    #[cfg(feature = "compression")]
    Packed(Box<packed::Packed>),
}

/// How far a packed file can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It is not packed, or there are too few bytes to tell.
    Plain,
    /// Its end was not reached, or it ends inside a member: more may come.
    Growing,
    /// It was read to its end, and that is the end of a member.
    Complete,
    /// It cannot be read further. What was unpacked before stays readable.
    #[cfg_attr(not(feature = "compression"), allow(dead_code, reason = "nothing is unpacked"))]
    Damaged(Box<str>),
}

impl<F: Handle> Content<F> {
    /// Looks at the first bytes.
    ///
    /// # Errors
    /// If they cannot be read, or if this build cannot unpack them.
    pub(super) fn new(file: F) -> io::Result<Self> {
        let mut content = Self { file: Arc::new(file), form: Form::Unknown };
        content.look()?;
        Ok(content)
    }

    /// Reads at an offset of the plain content: as much as there is room for, less at the end of
    /// what is there now, and at damage.
    pub(super) fn read_at(&mut self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        if matches!(self.form, Form::Unknown) {
            self.look()?;
        }
        match &mut self.form {
            Form::Unknown => Ok(0),
            Form::Plain => self.file.read_at(into, offset),
            #[cfg(feature = "compression")]
            Form::Packed(packed) => packed.read_at(&*self.file, into, offset),
        }
    }

    /// Says that nobody will write to it any more: what is held back for want of more can be read,
    /// and an end inside a member is damage. If the file grows all the same, it goes on.
    pub(super) fn finish(&mut self) {
        match &mut self.form {
            Form::Unknown => self.form = Form::Plain,
            Form::Plain => {}
            #[cfg(feature = "compression")]
            Form::Packed(packed) => packed.finish(),
        }
    }

    /// Forgets everything: the file was written anew in place.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.form = Form::Unknown;
        self.look()
    }

    /// Lets go of the memory that unpacking takes, until there is more to read.
    pub(super) fn park(&mut self) {
        #[cfg(feature = "compression")]
        if let Form::Packed(packed) = &mut self.form {
            packed.park();
        }
    }

    /// The file as it is on disk.
    pub(super) fn file(&self) -> &F {
        &self.file
    }

    /// The same, as long as this is there.
    pub(super) fn share(&self) -> Weak<dyn Handle> {
        let file: Weak<F> = Arc::downgrade(&self.file);
        file
    }

    /// Whether offsets are not those of the file on disk.
    pub(super) fn is_packed(&self) -> bool {
        !matches!(self.form, Form::Unknown | Form::Plain)
    }

    /// How far it can be read.
    pub(super) fn state(&self) -> State {
        match &self.form {
            Form::Unknown | Form::Plain => State::Plain,
            #[cfg(feature = "compression")]
            Form::Packed(packed) => packed.state().clone(),
        }
    }

    /// Whether it was read to its end, and that is the end of what was packed.
    pub(super) fn is_complete(&self) -> bool {
        self.state() == State::Complete
    }

    /// How many bytes on disk are not yet unpacked; those that never can be are left out. Of a
    /// plain file nothing is known here.
    ///
    /// # Errors
    /// If the file's size cannot be had.
    pub(super) fn lag(&self) -> io::Result<u64> {
        match &self.form {
            Form::Unknown | Form::Plain => Ok(0),
            #[cfg(feature = "compression")]
            Form::Packed(packed) => packed.lag(&*self.file),
        }
    }

    /// How many bytes on disk cannot be unpacked: from the damage on, or what is behind the last
    /// member and is none. Zeros there are padding.
    ///
    /// # Errors
    /// If the file's size cannot be had.
    pub(super) fn unreadable(&self) -> io::Result<u64> {
        match &self.form {
            Form::Unknown | Form::Plain => Ok(0),
            #[cfg(feature = "compression")]
            Form::Packed(packed) => packed.unreadable(&*self.file),
        }
    }

    fn look(&mut self) -> io::Result<()> {
        let mut head = [0; MAGIC_BYTES];
        let mut filled = 0;
        while filled < head.len() {
            match self.file.read_at(&mut head[filled..], filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        self.form = match Format::of(&head[..filled]) {
            None => Form::Unknown,
            Some(Format::Plain) => Form::Plain,
            #[cfg(feature = "compression")]
            Some(format @ (Format::Gzip | Format::Zstd)) => {
                Form::Packed(Box::new(packed::Packed::new(format)))
            }
            Some(format) => return Err(format.refused()),
        };
        Ok(())
    }
}

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Plain,
    Gzip,
    Zstd,
    Bzip2,
    Lz4,
    Xz,
}

impl Format {
    const PACKED: [Self; 5] = [Self::Gzip, Self::Zstd, Self::Bzip2, Self::Lz4, Self::Xz];

    /// By a file's first bytes; `None` if they are too few to tell.
    fn of(head: &[u8]) -> Option<Self> {
        if head.is_empty() {
            return None;
        }
        let mut is_short = false;
        for format in Self::PACKED {
            match format.begins(head) {
                Some(true) => return Some(format),
                Some(false) => {}
                None => is_short = true,
            }
        }
        (!is_short).then_some(Self::Plain)
    }

    /// Whether a member of this format begins so; `None` if these are too few bytes to tell.
    fn begins(self, bytes: &[u8]) -> Option<bool> {
        // Some bits of these two are free: the size of bzip2's blocks, and which user a frame that
        // zstd skips is for.
        let first = bytes.first().copied().unwrap_or_default();
        let size = bytes.get(3).copied().filter(u8::is_ascii_digit).unwrap_or(b'9');
        let bzip2 = [b'B', b'Z', b'h', size, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
        let magic: &[u8] = match self {
            Self::Plain => &[],
            Self::Gzip => &[0x1f, 0x8b],
            Self::Zstd if first & 0xf0 == 0x50 => &[first, 0x2a, 0x4d, 0x18],
            Self::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
            Self::Bzip2 => &bzip2,
            Self::Lz4 => &[0x04, 0x22, 0x4d, 0x18],
            Self::Xz => &[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
        };
        let shared = magic.len().min(bytes.len());
        match bytes[..shared] == magic[..shared] {
            false => Some(false),
            true => (shared == magic.len()).then_some(true),
        }
    }

    fn refused(self) -> io::Error {
        let what = match self {
            Self::Gzip | Self::Zstd => {
                format!("packed with {self}, which is read with the feature `compression` alone")
            }
            _ => format!("packed with {self}, which is not read; unpack it, or leave it out"),
        };
        io::Error::new(io::ErrorKind::Unsupported, what)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "nothing",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
            Self::Xz => "xz",
        })
    }
}

#[cfg(all(test, feature = "compression"))]
mod tests;
