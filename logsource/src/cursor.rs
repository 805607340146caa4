//! How far a source has been read, as a value that can be kept.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Error;

/// As many files of one path are told apart: a path is followed through its rotations.
const MARKS_PER_PATH: usize = 64;

/// As many finished files are remembered in all: names that hold a date are ever new.
const MAX_FINISHED: usize = 4096;

/// Which end of what is there.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edge {
    /// The oldest entry there is.
    Start,
    /// After the newest: only what comes from now on. A file that appears later is new from its
    /// first byte.
    End,
}

/// Where to begin reading.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// At the oldest entry there is, like `tail -n +0 -F`.
    Start,
    /// After the newest: only what comes from now on.
    End,
    /// Just after what the cursor covers.
    At(Cursor),
    /// After the last acknowledged entry. A source that has never acknowledged one (no offset
    /// file, or an empty one) begins at the edge.
    Resume {
        /// Where a first run begins.
        otherwise: Edge,
    },
}

impl Position {
    /// How many bytes of a stream it passes over.
    pub(crate) fn skipped(&self) -> Result<u64, Error> {
        match self {
            Self::At(Cursor(Place::Count(bytes))) => Ok(*bytes),
            Self::At(cursor) => {
                Err(Error::invalid(format!("`{cursor}` is not a place in a stream of bytes")))
            }
            _ => Ok(0),
        }
    }
}

impl From<Edge> for Position {
    fn from(edge: Edge) -> Self {
        match edge {
            Edge::Start => Self::Start,
            Edge::End => Self::End,
        }
    }
}

/// A place in a source. Opaque, cheap to clone, and serializable, so that a program can keep it
/// beside its own state and come back with [`Position::At`].
///
/// A batch's cursor covers what it came from: with a source of several files, its own file.
/// [`Cursor::merge`] the cursors of the batches to have the place of the whole source.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct Cursor(pub(crate) Place);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    File(FileMark),
    Files(Arc<[FileMark]>),
    Journal(Arc<str>),
    Count(u64),
    Other(Arc<str>),
}

/// A byte offset in a file that is known by more than its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileMark {
    pub(crate) file: Arc<FileId>,
    pub(crate) offset: u64,
    /// What stands before the offset, or a little before that.
    pub(crate) tail: Tail,
    /// The file was read to its end and let go of.
    pub(crate) finished: bool,
}

/// Which file: its name may since belong to another one, and so may its inode number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileId {
    #[serde(with = "path_text")]
    pub(crate) path: Arc<Path>,
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    /// When it came to be, in nanoseconds since 1970, where the file system knows: it tells a file
    /// from a later one that has its inode number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) born: Option<u64>,
    pub(crate) head: Head,
}

/// A checksum of the first bytes, up to a kilobyte; it grows with a small file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) len: u32,
    pub(crate) crc: u32,
}

/// A checksum of the bytes before a place. Together with the head it tells a file from another
/// one that begins with the same lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Tail {
    pub(crate) at: u64,
    pub(crate) len: u32,
    pub(crate) crc: u32,
}

impl Cursor {
    /// A cursor for an adapter of another crate: any text that it can find its place by.
    #[must_use]
    pub fn from_text(text: impl Into<Arc<str>>) -> Self {
        Self(Place::Other(text.into()))
    }

    /// The text that [`Cursor::from_text`] was given; `None` for the cursors of this crate.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.0 {
            Place::Other(text) => Some(text),
            _ => None,
        }
    }

    /// Moves this cursor on to what `newer` covers as well. Files that `newer` does not speak of
    /// keep their place; any other kind of cursor is replaced.
    ///
    /// It stays bounded however long files rotate: of each path the newest 64 files are kept, and
    /// of all files that were read to their end and let go of the newest 4096. Finished ones go
    /// first. Whoever resumes reads a file that was forgotten and is still there anew.
    pub fn merge(&mut self, newer: &Self) {
        if !matches!(self.0, Place::File(_) | Place::Files(_)) {
            *self = newer.clone();
            return;
        }
        let (mut added, mut finished) = (Vec::new(), false);
        for mark in newer.files() {
            let is_same = |old: &FileMark| {
                (old.file.ino, old.file.dev) == (mark.file.ino, mark.file.dev)
                    && old.file.path == mark.file.path
            };
            // The newest are the likeliest to move.
            match self.files().iter().rposition(is_same) {
                Some(index) => self.files_mut()[index] = mark.clone(),
                None => added.push(mark.clone()),
            }
            finished |= mark.finished;
        }
        if finished || !added.is_empty() {
            let mut marks = [self.files(), &added].concat();
            for mark in &added {
                prune(&mut marks, MARKS_PER_PATH, |other| other.file.path == mark.file.path);
            }
            prune(&mut marks, MAX_FINISHED, |mark| mark.finished);
            *self = Self::of_files(marks);
        }
    }

    pub(crate) fn of_files(mut marks: Vec<FileMark>) -> Self {
        match (marks.len(), marks.pop()) {
            (1, Some(mark)) => Self(Place::File(mark)),
            (_, last) => {
                marks.extend(last);
                Self(Place::Files(marks.into()))
            }
        }
    }

    /// So many bytes further on.
    pub(crate) fn plus(&self, bytes: u64) -> Self {
        match &self.0 {
            Place::File(mark) => {
                Self(Place::File(FileMark { offset: mark.offset + bytes, ..mark.clone() }))
            }
            Place::Count(before) => Self(Place::Count(before + bytes)),
            _ => self.clone(),
        }
    }

    #[cfg(feature = "file")]
    pub(crate) fn is_of_files(&self) -> bool {
        matches!(self.0, Place::File(_) | Place::Files(_))
    }

    /// Copied only if somebody else holds them.
    fn files_mut(&mut self) -> &mut [FileMark] {
        match &mut self.0 {
            Place::File(mark) => std::slice::from_mut(mark),
            Place::Files(marks) => Arc::make_mut(marks),
            _ => &mut [],
        }
    }

    pub(crate) fn files(&self) -> &[FileMark] {
        match &self.0 {
            Place::File(mark) => std::slice::from_ref(mark),
            Place::Files(marks) => marks,
            _ => &[],
        }
    }
}

/// Forgets the oldest marks of a kind until there are few enough, the finished ones first.
fn prune(marks: &mut Vec<FileMark>, most: usize, is_of_kind: impl Fn(&FileMark) -> bool) {
    let count = marks.iter().filter(|mark| is_of_kind(mark)).count();
    let Some(mut excess) = count.checked_sub(most).filter(|excess| *excess > 0) else { return };
    for only_finished in [true, false] {
        marks.retain(|mark| {
            let goes = excess > 0 && is_of_kind(mark) && (mark.finished || !only_finished);
            excess -= usize::from(goes);
            !goes
        });
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Journal(text) | Place::Other(text) => f.write_str(text),
            Place::Count(bytes) => write!(f, "byte {bytes}"),
            Place::File(_) | Place::Files(_) => {
                for (n, mark) in self.files().iter().enumerate() {
                    let comma = if n == 0 { "" } else { ", " };
                    write!(f, "{comma}{}:{}", mark.file.path.display(), mark.offset)?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

/// The kept form. Its words are part of the offset file's format.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wire {
    Files(Vec<WireMark>),
    Journal(String),
    Count(u64),
    Other(String),
}

#[derive(Serialize, Deserialize)]
struct WireMark {
    #[serde(flatten)]
    file: FileId,
    offset: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    tail: Tail,
    #[serde(default, skip_serializing_if = "is_default")]
    finished: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl From<Cursor> for Wire {
    fn from(cursor: Cursor) -> Self {
        match &cursor.0 {
            Place::Journal(text) => Self::Journal(text.to_string()),
            Place::Other(text) => Self::Other(text.to_string()),
            Place::Count(bytes) => Self::Count(*bytes),
            Place::File(_) | Place::Files(_) => {
                let marks = cursor.files().iter();
                let wire = marks.map(|mark| WireMark {
                    file: mark.file.as_ref().clone(),
                    offset: mark.offset,
                    tail: mark.tail,
                    finished: mark.finished,
                });
                Self::Files(wire.collect())
            }
        }
    }
}

impl From<Wire> for Cursor {
    fn from(wire: Wire) -> Self {
        match wire {
            Wire::Journal(text) => Self(Place::Journal(text.into())),
            Wire::Other(text) => Self(Place::Other(text.into())),
            Wire::Count(bytes) => Self(Place::Count(bytes)),
            Wire::Files(marks) => Self::of_files(
                marks
                    .into_iter()
                    .map(|mark| FileMark {
                        file: Arc::new(mark.file),
                        offset: mark.offset,
                        tail: mark.tail,
                        finished: mark.finished,
                    })
                    .collect(),
            ),
        }
    }
}

/// A path is bytes, JSON is text: bytes that are not UTF-8 are written `\xNN`, a backslash `\\`.
mod path_text {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        for chunk in path.as_os_str().as_bytes().utf8_chunks() {
            text.push_str(&chunk.valid().replace('\\', r"\\"));
            text.extend(chunk.invalid().iter().map(|byte| format!(r"\x{byte:02x}")));
        }
        to.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Path>, D::Error> {
        let text = String::deserialize(from)?;
        let path = decode(text.as_bytes()).map(Arc::from);
        path.ok_or_else(|| D::Error::custom("a path with a broken escape"))
    }

    fn decode(mut text: &[u8]) -> Option<PathBuf> {
        let mut bytes = Vec::with_capacity(text.len());
        while let Some((&byte, rest)) = text.split_first() {
            text = rest;
            if byte != b'\\' {
                bytes.push(byte);
                continue;
            }
            let (&escape, rest) = text.split_first()?;
            text = rest;
            if escape == b'\\' {
                bytes.push(b'\\');
                continue;
            }
            let (hex, rest) = text.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
            text = rest;
        }
        Some(OsString::from_vec(bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn mark(path: &[u8], ino: u64, offset: u64) -> FileMark {
        let path = Arc::from(Path::new(OsStr::from_bytes(path)));
        let head = Head { len: 3, crc: 9 };
        let file = Arc::new(FileId { path, dev: 1, ino, born: Some(ino), head });
        let tail = Tail { at: offset, len: 1, crc: 7 };
        FileMark { file, offset, tail, finished: offset == 9 }
    }

    #[test]
    fn every_kind_survives_being_kept() {
        let cursors = [
            Cursor::of_files(vec![mark(b"/var/log/\xff\\x.log", 2, 30)]),
            Cursor::of_files(vec![mark(b"a", 1, 1), mark(b"b", 2, 2)]),
            Cursor::of_files(Vec::new()),
            Cursor(Place::Journal("s=1;i=2".into())),
            Cursor(Place::Count(7)),
            Cursor::from_text("page 3"),
        ];
        for cursor in cursors {
            let kept = serde_json::to_string(&cursor).unwrap();
            assert_eq!(serde_json::from_str::<Cursor>(&kept).unwrap(), cursor, "{kept}");
        }
    }

    #[test]
    fn merging_moves_one_file_and_keeps_the_others() {
        let mut all = Cursor::of_files(vec![mark(b"a", 1, 1), mark(b"b", 2, 2)]);
        all.merge(&Cursor::of_files(vec![mark(b"b", 2, 9)]));
        all.merge(&Cursor::of_files(vec![mark(b"c", 3, 5)]));
        assert_eq!(all.to_string(), "a:1, b:9, c:5");
    }

    #[test]
    fn a_cursor_over_months_of_rotations_stays_small_and_finds_what_is_open() {
        let mut all = Cursor::of_files(vec![mark(b"slow.log", 1, 5)]);
        for ino in 2..10_000 {
            all.merge(&Cursor::of_files(vec![mark(b"app.log", ino, 5)]));
            all.merge(&Cursor::of_files(vec![mark(b"app.log", ino, 9)]));
        }
        all.merge(&Cursor::of_files(vec![mark(b"app.log", 10_000, 7)]));
        assert_eq!(all.files().len(), MARKS_PER_PATH + 1);
        let inodes =
            |all: &Cursor| all.files().iter().map(|mark| mark.file.ino).collect::<Vec<_>>();
        let newest: Vec<u64> = (10_001 - MARKS_PER_PATH as u64..=10_000).collect();
        assert_eq!(inodes(&all), [vec![1], newest].concat());
        // What is not finished stays the longest.
        let mut open = Cursor::of_files(vec![mark(b"app.log", 1, 5)]);
        for ino in 2..200 {
            open.merge(&Cursor::of_files(vec![mark(b"app.log", ino, 9)]));
        }
        assert_eq!((open.files()[0].file.ino, open.files().len()), (1, MARKS_PER_PATH));
    }

    #[test]
    fn files_of_ever_new_names_are_bounded_once_they_are_finished() {
        let mut all = Cursor::of_files(vec![mark(b"open.log", 1, 5)]);
        for ino in 2..(2 * MAX_FINISHED as u64) {
            let path = format!("app-{ino}.log");
            all.merge(&Cursor::of_files(vec![mark(path.as_bytes(), ino, 9)]));
        }
        assert_eq!(all.files().len(), MAX_FINISHED + 1);
        assert_eq!(all.files()[0].file.ino, 1);
        assert_eq!(all.files().last().unwrap().file.ino, 2 * MAX_FINISHED as u64 - 1);
    }
}
