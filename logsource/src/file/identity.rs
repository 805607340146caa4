//! Which file this is, whatever it is called now.

use std::collections::HashSet;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cursor::{FileMark, Head};

/// The first bytes of a file that tell it from another one of the same inode number.
const HEAD_BYTES: usize = 1024;

/// How far back the beginning of an unfinished last line is looked for.
const PARTIAL_BYTES: u64 = 64 * 1024;

/// A directory with more entries than this is not searched for renamed files.
const MAX_ENTRIES: usize = 100_000;

/// An open regular file.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) size: u64,
    pub(super) age: Age,
    pub(super) head: Head,
}

impl Opened {
    /// Opens a file; `None` if there is none.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
        // Not blocking: opening a named pipe would wait for its writer.
        let file = match OpenOptions::new().read(true).custom_flags(nonblock).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let meta = file.metadata()?;
        if !meta.is_file() {
            let what = "not a regular file; read it with the command `cat` instead";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let head = head(&file)?;
        let (dev, ino) = inode(&meta);
        Ok(Some(Self { file, dev, ino, size: meta.len(), age: age(&meta), head }))
    }

    /// Whether this is the file that was read before. Device numbers may change when the machine
    /// restarts, so a checksum of the beginning stands in for the device, unless it is empty.
    pub(super) fn is(&self, mark: &FileMark) -> bool {
        self.ino == mark.file.ino
            && (self.dev == mark.file.dev || mark.file.head.len > 0)
            && begins_with(&self.file, mark.file.head)
    }

    /// Where only what comes from now on begins. A last line without its line end is not over
    /// yet: it begins there.
    pub(super) fn end(&self) -> io::Result<u64> {
        let from = self.size.saturating_sub(PARTIAL_BYTES);
        let mut last = vec![0; usize::try_from(self.size - from).unwrap_or(0)];
        self.file.read_exact_at(&mut last, from)?;
        let newline = memchr::memrchr(b'\n', &last);
        Ok(match newline {
            Some(at) => from + at as u64 + 1,
            None if from == 0 => 0,
            None => self.size,
        })
    }
}

pub(super) fn inode(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

/// The checksum of the first bytes that are there.
pub(super) fn head(file: &File) -> io::Result<Head> {
    checksum(file, HEAD_BYTES)
}

/// Whether a head may still grow.
pub(super) fn is_short(head: Head) -> bool {
    (head.len as usize) < HEAD_BYTES
}

/// Whether the file still begins with the same bytes.
pub(super) fn begins_with(file: &File, head: Head) -> bool {
    let len = (head.len as usize).min(HEAD_BYTES);
    checksum(file, len).is_ok_and(|found| found == head)
}

fn checksum(file: &File, len: usize) -> io::Result<Head> {
    let mut bytes = [0; HEAD_BYTES];
    let mut filled = 0;
    while filled < len {
        match file.read_at(&mut bytes[filled..len], filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    let crc = crc32fast::hash(&bytes[..filled]);
    Ok(Head { len: u32::try_from(filled).unwrap_or(0), crc })
}

/// The names in the directory of `path`, with their inode numbers.
fn neighbors(path: &Path) -> Vec<(PathBuf, u64)> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let Ok(entries) = std::fs::read_dir(parent.unwrap_or(Path::new("."))) else {
        return Vec::new();
    };
    let entries = entries.filter_map(Result::ok).take(MAX_ENTRIES);
    entries.map(|entry| (entry.path(), entry.ino())).collect()
}

/// The file that was read before, under whatever name it has now in the same directory.
pub(super) fn find(path: &Path, mark: &FileMark) -> Option<Opened> {
    let same_ino = neighbors(path).into_iter().filter(|(_, ino)| *ino == mark.file.ino);
    same_ino
        .filter_map(|(path, _)| Opened::open(&path).ok().flatten())
        .find(|opened| opened.is(mark))
}

/// Orders files by when they came to be. The clock of a file system ticks every few milliseconds:
/// one time alone may be the same.
pub(super) type Age = (Option<SystemTime>, Option<SystemTime>, i64, i64);

pub(super) fn age(meta: &Metadata) -> Age {
    (meta.created().ok(), meta.modified().ok(), meta.ctime(), meta.ctime_nsec())
}

/// Tells a directory's entry from another one that has its inode number later.
pub(super) type Born = (u64, Option<SystemTime>);

/// Everything that is in a directory now.
pub(super) fn entries(directory: &Path) -> HashSet<Born> {
    let Ok(entries) = std::fs::read_dir(directory) else { return HashSet::new() };
    let metas = entries.filter_map(Result::ok).take(MAX_ENTRIES).map(|entry| entry.metadata());
    metas.filter_map(Result::ok).map(|meta| (meta.ino(), meta.created().ok())).collect()
}

/// The rotated files of `path`, oldest first: its name, then numbers, dates or `old`. Compressed
/// ones are left out.
pub(super) fn rotated(path: &Path) -> Vec<(PathBuf, Metadata)> {
    let Some(name) = path.file_name() else { return Vec::new() };
    let is_rotated = |other: &Path| {
        let found = other.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
        found.strip_prefix(name.as_bytes()).is_some_and(is_rotation)
    };
    let siblings = neighbors(path).into_iter().filter(|(other, _)| is_rotated(other));
    let mut found: Vec<(PathBuf, Metadata)> = siblings
        .filter_map(|(other, _)| {
            let meta = std::fs::symlink_metadata(&other).ok()?;
            meta.is_file().then_some((other, meta))
        })
        .collect();
    found.sort_by_key(|(_, meta)| age(meta));
    found
}

/// Whether this is what a rotation puts behind a name: `.1`, `-20261123`, `.2026-11-23T08:00:00`,
/// `.old`. What else there is (`-worker.log` behind `app`) is another log.
fn is_rotation(suffix: &[u8]) -> bool {
    let mut parts = suffix.split(|byte| b".-_".contains(byte));
    // Nothing stands before the first separator.
    parts.next() == Some(b"")
        && suffix.len() > 1
        && !suffix.ends_with(b".log")
        && parts.all(|part| part == b"old" || part.first().is_some_and(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotations_are_told_from_other_logs() {
        let yes = [".1", "-20261123", ".2026-11-23T08:00:00", "_3", ".old", "-20261123.1"];
        let no = ["", ".", "1", ".log", "-worker.log", "-worker2", ".1.gz", "ication.log", ".bak"];
        for suffix in yes {
            assert!(is_rotation(suffix.as_bytes()), "{suffix}");
        }
        for suffix in no {
            assert!(!is_rotation(suffix.as_bytes()), "{suffix}");
        }
    }
}
