//! Which file this is, whatever it is called now: its inode, how it begins, and what stands before
//! the place that was reached.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::content::Content;
use super::disk::{Disk, Handle, Stat};
use crate::cursor::{FileId, FileMark, Head, Tail};

/// The first bytes of a file that tell it from another one.
const HEAD_BYTES: usize = 1024;

/// The bytes before a place that tell it from the same place in another file.
const TAIL_BYTES: usize = 256;

/// How far back the beginning of an unfinished last line is looked for.
const PARTIAL_BYTES: u64 = 64 * 1024;

/// An open regular file, and what it is known by.
#[derive(Debug)]
pub(super) struct Opened<F> {
    pub(super) content: Content<F>,
    pub(super) stat: Stat,
    pub(super) head: Head,
}

impl<F: Handle> Opened<F> {
    /// Opens a file; `None` if there is none.
    pub(super) fn open(disk: &impl Disk<File = F>, path: &Path) -> io::Result<Option<Self>> {
        let Some(file) = disk.open(path)? else { return Ok(None) };
        let stat = file.stat()?;
        let mut content = Content::new(file)?;
        let head = head(&mut content)?;
        Ok(Some(Self { content, stat, head }))
    }

    /// Whether this is the file that was read before. Device numbers may change when the machine
    /// restarts, so how it begins stands in for the device, unless it is empty.
    pub(super) fn is(&mut self, mark: &FileMark) -> bool {
        self.stat.ino == mark.file.ino
            && (self.stat.dev == mark.file.dev || mark.file.head.len > 0)
            && is_same_birth(self.stat.born, mark.file.born)
            && self.holds(mark)
    }

    /// Whether everything that was read up to the mark is in here, so that reading may go on at
    /// its offset: in the file itself, in a copy, or in an archive of it.
    pub(super) fn holds(&mut self, mark: &FileMark) -> bool {
        let plain = !self.content.is_packed();
        if plain && self.stat.size < mark.offset {
            return false;
        }
        begins_with(&mut self.content, mark.file.head)
            && stands(&mut self.content, mark.tail)
            && (plain || self.reaches(mark.offset))
    }

    /// Whether it is a copy or an archive, perhaps an unfinished one, of what was read up to the
    /// mark. A short beginning says little: then it must not hold more than was read.
    pub(super) fn is_copy_of(&mut self, mark: &FileMark) -> bool {
        if mark.file.head.len == 0 || !begins_with(&mut self.content, mark.file.head) {
            return false;
        }
        if !self.reaches(mark.tail.at) {
            return true;
        }
        stands(&mut self.content, mark.tail)
            && (!is_short(mark.file.head) || !self.reaches(mark.offset + 1))
    }

    /// The mark that says that all of it was read.
    pub(super) fn whole(&mut self, path: &Arc<Path>) -> FileMark {
        let Stat { dev, ino, size, .. } = self.stat;
        let born = birth(&self.stat);
        let file = FileId { path: Arc::clone(path), dev, ino, born, head: self.head };
        let tail = tail(&mut self.content, size).unwrap_or_default();
        FileMark { file: Arc::new(file), offset: size, tail, finished: false }
    }

    fn reaches(&mut self, offset: u64) -> bool {
        if !self.content.is_packed() {
            return self.stat.size >= offset;
        }
        let Some(last) = offset.checked_sub(1) else { return true };
        self.content.read_at(&mut [0], last).is_ok_and(|read| read == 1)
    }

    /// Where only what comes from now on begins. A last line without its line end is not over
    /// yet: it begins there.
    pub(super) fn end(&mut self) -> io::Result<u64> {
        if self.content.is_packed() {
            return self.end_of_packed();
        }
        let size = self.stat.size;
        let from = size.saturating_sub(PARTIAL_BYTES);
        let mut last = vec![0; usize::try_from(size - from).unwrap_or(0)];
        let read = fill(&mut self.content, &mut last, from)?;
        Ok(match memchr::memrchr(b'\n', last.get(..read).unwrap_or_default()) {
            Some(at) => from + at as u64 + 1,
            None if from == 0 => 0,
            None => size,
        })
    }

    /// Nobody appends to an archive.
    fn end_of_packed(&mut self) -> io::Result<u64> {
        let mut buffer = vec![0; 64 * 1024];
        let mut end = 0;
        loop {
            match self.content.read_at(&mut buffer, end)? {
                0 => return Ok(end),
                read => end += read as u64,
            }
        }
    }
}

/// The time of birth as it is kept.
pub(super) fn birth(stat: &Stat) -> Option<u64> {
    nanoseconds(stat.born?)
}

fn nanoseconds(time: SystemTime) -> Option<u64> {
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

/// A file system that knows no times of birth cannot contradict.
pub(super) fn is_same_birth(now: Option<SystemTime>, then: Option<u64>) -> bool {
    match (now.and_then(nanoseconds), then) {
        (Some(now), Some(then)) => now == then,
        _ => true,
    }
}

/// The checksum of the first bytes that are there.
pub(super) fn head<F: Handle>(content: &mut Content<F>) -> io::Result<Head> {
    checksum(content, 0, HEAD_BYTES).map(|(len, crc)| Head { len, crc })
}

/// Whether a head may still grow.
pub(super) fn is_short(head: Head) -> bool {
    (head.len as usize) < HEAD_BYTES
}

/// Whether a content still begins with the same bytes.
pub(super) fn begins_with<F: Handle>(content: &mut Content<F>, head: Head) -> bool {
    let len = (head.len as usize).min(HEAD_BYTES);
    checksum(content, 0, len).is_ok_and(|found| found == (head.len, head.crc))
}

/// What stands before a place. Of an archive that would mean to decode it again, and nobody writes
/// into one.
pub(super) fn tail<F: Handle>(content: &mut Content<F>, at: u64) -> io::Result<Tail> {
    if content.is_packed() {
        return Ok(Tail::default());
    }
    let from = at.saturating_sub(TAIL_BYTES as u64);
    let (len, crc) = checksum(content, from, usize::try_from(at - from).unwrap_or(0))?;
    Ok(Tail { at, len, crc })
}

/// Whether the same bytes still stand before a place.
pub(super) fn stands<F: Handle>(content: &mut Content<F>, tail: Tail) -> bool {
    let len = tail.len.min(TAIL_BYTES as u32);
    let from = tail.at.saturating_sub(len.into());
    checksum(content, from, len as usize).is_ok_and(|found| found == (tail.len, tail.crc))
}

fn checksum<F: Handle>(content: &mut Content<F>, from: u64, len: usize) -> io::Result<(u32, u32)> {
    let mut bytes = [0; HEAD_BYTES];
    let bytes = &mut bytes[..len.min(HEAD_BYTES)];
    let filled = fill(content, bytes, from)?;
    let crc = crc32fast::hash(bytes.get(..filled).unwrap_or_default());
    Ok((u32::try_from(filled).unwrap_or(0), crc))
}

fn fill<F: Handle>(content: &mut Content<F>, into: &mut [u8], from: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = into.get_mut(filled..).filter(|room| !room.is_empty()) {
        match content.read_at(room, from + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Orders the files of one log by when they were last written. A rename keeps that time, and so
/// does who compresses.
pub(super) fn age(path: &Path, stat: &Stat) -> impl Ord + use<> {
    (stat.modified, super::family::ordinal(path))
}
