//! Which file this is, whatever it is called now: its inode, how it begins, and what stands before
//! the place that was reached.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::catalog::Catalog;
use super::content::Content;
use super::disk::{Disk, Handle, Stat};
use crate::cursor::{FileId, FileMark, Head, Tail};

/// The first bytes of a file that tell it from another one.
pub(super) const HEAD_BYTES: usize = 1024;

/// The bytes before a place that tell it from the same place in another file.
pub(super) const TAIL_BYTES: usize = 256;

/// Up to here, all that was read may be the same in every file of a log: it begins with a header.
const YOUNG_BYTES: u64 = 64 << 10;

/// How much of two files is compared at once, and at least, beyond what was read of one.
const BEYOND_BYTES: usize = 4096;

/// How far back the beginning of an unfinished last line is looked for.
const PARTIAL_BYTES: u64 = 64 * 1024;

/// An open regular file, and what it is known by.
#[derive(Debug)]
pub(super) struct Opened<F> {
    pub(super) content: Content<F>,
    pub(super) stat: Stat,
    pub(super) head: Head,
}

/// What a file was before it was cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    pub(super) head: Head,
    pub(super) size: u64,
}

/// What a file is to another one of the same log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// A copy or an archive, perhaps an unfinished one: there is nothing in it that is not there.
    Copy,
    /// It begins with all that was read, and goes on in another way: the other one was cut since
    /// it was copied.
    Departs,
    /// Another content.
    Other,
    /// There is too little in it yet.
    Unsure,
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

    /// If it was cut since it was opened, knows it by what is in it now, and gives what it was
    /// known by.
    ///
    /// # Errors
    /// If it cannot be read, or not unpacked.
    pub(super) fn renew(&mut self) -> io::Result<Option<Before>> {
        let stat = self.content.file().stat()?;
        if stat.size >= self.stat.size && begins_with(&mut self.content, self.head) {
            return Ok(None);
        }
        let before = Before { head: self.head, size: self.stat.size };
        self.content.restart()?;
        (self.head, self.stat) = (head(&mut self.content)?, stat);
        Ok(Some(before))
    }

    /// Whether this is the file that was read before. Device numbers may change when the machine
    /// restarts, so how it begins stands in for the device, unless it is empty.
    pub(super) fn is(&mut self, mark: &FileMark) -> bool {
        self.stat.ino == mark.file.ino
            && (self.stat.dev == mark.file.dev || mark.file.head.len > 0)
            && is_same_birth(self.stat.born, mark.file.born)
            && match (self.content.is_packed(), self.stat.born.is_some()) {
                // To unpack all of it again, at every start, would tell no more.
                (true, true) => begins_with(&mut self.content, mark.file.head),
                _ => self.holds(mark),
            }
    }

    /// Whether a place that an earlier run left under another name of the log is in this file, or in
    /// what it is an archive of.
    pub(super) fn is_claimed(&mut self, catalog: &Catalog, path: &Path) -> bool {
        let ino = self.stat.ino;
        if catalog.claims_in(ino, path).iter().any(|mark| self.is(mark)) {
            return true;
        }
        self.content.is_packed()
            && catalog.claims_like(self.head, path).iter().any(|mark| {
                let is_told = mark.file.head.len > 0 && mark.offset > 0;
                is_told
                    && mark.file.ino != ino
                    && !self.begins_otherwise(mark.file.head)
                    && self.holds(mark)
            })
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

    /// What it is to what was read up to the mark, and is not at hand. Of what is shorter than that
    /// nothing can be said by checksums alone.
    pub(super) fn likeness(&mut self, mark: &FileMark) -> Likeness {
        if mark.file.head.len == 0 {
            return Likeness::Other;
        }
        if self.head.len < mark.file.head.len {
            return Likeness::Unsure;
        }
        if !begins_with(&mut self.content, mark.file.head) {
            return Likeness::Other;
        }
        if !self.reaches(mark.tail.at) {
            return Likeness::Unsure;
        }
        // A short beginning says little: then it must not hold more than was read.
        let is_copy = stands(&mut self.content, mark.tail)
            && (!is_young(mark) || !self.reaches(mark.offset + 1));
        if is_copy { Likeness::Copy } else { Likeness::Other }
    }

    /// Whether it is the beginning of what was read up to the mark, as far as its own beginning tells:
    /// a copy that was made when less was there.
    pub(super) fn is_begun(&mut self, mark: &FileMark) -> bool {
        !is_short(mark.file.head)
            && begins_with(&mut self.content, mark.file.head)
            && !self.reaches(mark.offset)
    }

    /// What it is to a file of which so much was read.
    ///
    /// # Errors
    /// If the other one cannot be read.
    pub(super) fn likeness_to(
        &mut self,
        other: &mut Content<F>,
        mark: &FileMark,
    ) -> io::Result<Likeness> {
        if mark.offset > 0 && self.begins_otherwise(mark.file.head) {
            return Ok(Likeness::Other);
        }
        let reached = self.reaches(mark.offset);
        if !reached && self.stat.size == 0 {
            return Ok(Likeness::Unsure);
        }
        if mark.offset > 0 {
            if reached && !(self.holds(mark)) {
                return Ok(Likeness::Other);
            }
            if !reached {
                return self.is_beginning_of(other);
            }
        }
        self.beyond(other, mark.offset)
    }

    /// Whether it surely begins in another way, as far as it was looked at when it was opened: most
    /// files do, and need not be looked into.
    pub(super) fn begins_otherwise(&self, head: Head) -> bool {
        begin_apart(self.head, head)
    }

    /// What it is to another file that is the same up to here. As far as all files of a log may
    /// begin alike, all of it is compared: how they end may be alike as well.
    fn beyond(&mut self, other: &mut Content<impl Handle>, from: u64) -> io::Result<Likeness> {
        let (mut theirs, mut ours) = ([0; BEYOND_BYTES], [0; BEYOND_BYTES]);
        let mut at = from;
        loop {
            // Theirs first: the other one may grow meanwhile.
            let theirs_len = fill_some(&mut self.content, &mut theirs, at).0;
            let ours_len = fill(other, &mut ours, at)?;
            if theirs_len > ours_len || theirs[..theirs_len] != ours[..theirs_len] {
                return Ok(Likeness::Departs);
            }
            if theirs_len == 0 && at == 0 {
                return Ok(Likeness::Unsure);
            }
            at += theirs_len as u64;
            if theirs_len < BEYOND_BYTES || at >= YOUNG_BYTES {
                return Ok(Likeness::Copy);
            }
        }
    }

    /// Whether another file goes on where this one stops: it is a copy that is being written.
    pub(super) fn is_beginning_of(&mut self, other: &mut Content<F>) -> io::Result<Likeness> {
        Ok(match self.beyond(other, 0)? {
            Likeness::Copy if self.ends_within(other) => Likeness::Copy,
            Likeness::Unsure => Likeness::Unsure,
            _ => Likeness::Other,
        })
    }

    /// Whether all that is in here is in another file as well, which was not cut since then.
    pub(super) fn is_within(&mut self, other: &mut Content<impl Handle>) -> bool {
        self.beyond(other, 0).is_ok_and(|likeness| likeness == Likeness::Copy)
            && self.ends_within(other)
    }

    /// Whether what stands at the end stands there in the other file as well. An archive's end is
    /// far to unpack.
    fn ends_within(&mut self, other: &mut Content<impl Handle>) -> bool {
        if self.content.is_packed() {
            return true;
        }
        tail(&mut self.content, self.stat.size).is_ok_and(|end| stands(other, end))
    }

    /// What it is known by.
    pub(super) fn id(&self, path: Arc<Path>) -> FileId {
        let Stat { dev, ino, .. } = self.stat;
        FileId { path, dev, ino, born: birth(&self.stat), head: self.head }
    }

    /// Whether it has more than was read. To find out for an archive that was finished before, all
    /// of it would have to be unpacked, and nobody writes to one.
    pub(super) fn reaches_beyond(&mut self, mark: &FileMark) -> bool {
        !self.content.is_packed() && self.reaches(mark.offset + 1)
    }

    /// Whether it has so many bytes.
    pub(super) fn reaches(&mut self, offset: u64) -> bool {
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

/// When it was last written, as the time of birth is kept.
pub(super) fn modified(stat: &Stat) -> Option<u64> {
    nanoseconds(stat.modified?)
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

/// Whether so little was read that it may be the same in every file of the log.
pub(super) fn is_young(mark: &FileMark) -> bool {
    mark.offset <= YOUNG_BYTES
}

/// Whether the heads of two files show that they begin in different ways.
pub(super) fn begin_apart(one: Head, other: Head) -> bool {
    one.len == other.len && one != other
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

/// The checksum of a longer beginning; `None` if there is less.
pub(super) fn beginning<F: Handle>(content: &mut Content<F>, len: usize) -> Option<u32> {
    let mut bytes = vec![0; len];
    let filled = fill(content, &mut bytes, 0).ok()?;
    (filled == len).then(|| crc32fast::hash(&bytes))
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
    let (filled, error) = fill_some(content, into, from);
    error.map_or(Ok(filled), Err)
}

/// What there is before an error: an archive that is being written ends with one.
fn fill_some<F: Handle>(
    content: &mut Content<F>,
    into: &mut [u8],
    from: u64,
) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while let Some(room) = into.get_mut(filled..).filter(|room| !room.is_empty()) {
        match content.read_at(room, from + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) => return (filled, Some(error)),
        }
    }
    (filled, None)
}
