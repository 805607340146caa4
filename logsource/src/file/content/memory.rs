//! A file in memory that grows when told to.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::{Content, State};
use crate::file::disk::{Handle, Stat};

/// Bytes of which the first ones are written so far.
#[derive(Debug)]
pub(super) struct Growing {
    bytes: Vec<u8>,
    written: AtomicUsize,
    /// How many were read.
    read: AtomicUsize,
}

impl Growing {
    pub(super) fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { written: AtomicUsize::new(bytes.len()), read: AtomicUsize::new(0), bytes }
    }

    /// From now on there are so many bytes.
    pub(super) fn write_to(&self, length: usize) {
        self.written.store(length.min(self.bytes.len()), Relaxed);
    }

    /// How many bytes were read so far, those that were read again included.
    #[cfg(test)]
    pub(super) fn read(&self) -> usize {
        self.read.load(Relaxed)
    }
}

impl Handle for Growing {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let written = &self.bytes[..self.written.load(Relaxed)];
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(written.len());
        let read = into.len().min(written.len() - from);
        into[..read].copy_from_slice(&written[from..from + read]);
        self.read.fetch_add(read, Relaxed);
        Ok(read)
    }

    fn stat(&self) -> io::Result<Stat> {
        let size = self.written.load(Relaxed) as u64;
        let (dev, ino, links, is_file) = (0, 0, 1, true);
        Ok(Stat { dev, ino, size, space: size, links, modified: None, born: None, is_file })
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        Ok((offset < self.stat()?.size).then_some(offset))
    }
}

/// Reads a file while it grows to these lengths, in reads of these sizes; its memory is let go of
/// after every `park`th read. Gives at most `most` bytes, and what is wrong with the file.
pub(crate) fn read_growing(
    bytes: &[u8],
    lengths: &[usize],
    sizes: &[usize],
    park: usize,
    most: usize,
) -> io::Result<(Vec<u8>, Option<String>)> {
    let mut sizes = sizes.iter().copied().filter(|size| *size > 0).cycle();
    let mut content = Content::new(Growing::new(bytes))?;
    content.file().write_to(0);
    content.restart()?;
    let (mut found, mut reads) = (Vec::new(), 0);
    let mut read_on = |content: &mut Content<Growing>| {
        while found.len() < most {
            let mut room = vec![0; sizes.next().unwrap_or(64 << 10)];
            match content.read_at(&mut room, found.len() as u64)? {
                0 => break,
                read => found.extend_from_slice(&room[..read]),
            }
            reads += 1;
            if park > 0 && reads % park == 0 {
                content.park();
            }
        }
        io::Result::Ok(())
    };
    for length in lengths.iter().copied().chain([bytes.len()]) {
        content.file().write_to(length);
        read_on(&mut content)?;
    }
    content.finish();
    read_on(&mut content)?;
    found.truncate(most);
    let wrong = match content.state() {
        State::Damaged(reason) => Some(reason.into()),
        _ => None,
    };
    Ok((found, wrong))
}
