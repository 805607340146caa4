//! What a source knows of the files that its followers meet: read now, finished, copies of those, or
//! not to be read.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::disk::{Disk, Handle, Stat};
use super::listings::Listings;
use super::{family, identity};
use crate::cursor::{FileId, FileMark, Tail};
use crate::shell::now;

/// Shared by the followers of a source. A pattern may match a file under its old name and under
/// its new one, and a copy or an archive of it; what is in it is read once.
#[derive(Debug, Clone, Default)]
pub(super) struct Catalog {
    state: Arc<Mutex<State>>,
    /// A pattern may match what a file is renamed to: keep what is known of it.
    is_of_pattern: bool,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<Inode, Known>,
    /// What is held, as long as it is open: it may have no name any more.
    open: HashMap<Inode, Weak<dyn Handle>>,
    /// What was in a directory at first, and what was found there since. What is not among it has
    /// come since.
    seen: HashMap<PathBuf, HashSet<Entry>>,
    /// The files of each log, by what their names have in common.
    logs: HashMap<(PathBuf, Vec<u8>), HashSet<Inode>>,
    /// The rotated files of each directory.
    listings: Listings,
    /// The copies of what is held.
    copies: HashMap<Inode, HashSet<Inode>>,
    /// Names of which more is known now than when they were last looked at.
    news: Vec<Arc<Path>>,
    /// The places of an earlier run in the files of each log, while reading begins.
    claims: HashMap<(PathBuf, Vec<u8>), Vec<FileMark>>,
}

pub(super) type Inode = (u64, u64);

/// A directory's entry: the inode number, and the time of birth, since numbers come again.
type Entry = (u64, Option<u64>);

/// What is known of an inode.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// Somebody reads it, and has read so much of it.
    Held(FileMark),
    /// It was read up to here when it had so many bytes, and let go of.
    Finished { mark: FileMark, size: u64 },
    /// All of it was read elsewhere, up to here.
    WasCopy(FileMark),
    /// All of it is in what is held under this inode, or was when it had so many bytes.
    Copy { of: Inode, id: Arc<FileId>, size: u64, is_packed: bool },
    /// It is too old. If it grows beyond this, that is read.
    PassedOver { born: Option<u64>, size: u64 },
}

impl Catalog {
    pub(super) fn new(is_of_pattern: bool) -> Self {
        Self { state: Arc::default(), is_of_pattern }
    }

    pub(super) fn is_of_pattern(&self) -> bool {
        self.is_of_pattern
    }

    /// Notes what is in a directory, the first time that it is asked for.
    pub(super) fn enter(&self, disk: &impl Disk, directory: &Path) {
        if self.lock().seen.contains_key(directory) {
            return;
        }
        let mut found = HashSet::new();
        for (path, ino) in disk.list(directory).unwrap_or_default() {
            // What is gone by now would be news if it came again.
            if let Ok(Some(stat)) = disk.stat(&path) {
                found.insert((ino, identity::birth(&stat)));
            }
        }
        self.lock().seen.insert(directory.to_owned(), found);
    }

    /// Whether a directory's entry is there for the first time.
    pub(super) fn is_news(&self, directory: &Path, stat: &Stat) -> bool {
        let entry = (stat.ino, identity::birth(stat));
        self.lock().seen.get(directory).is_none_or(|seen| !seen.contains(&entry))
    }

    pub(super) fn see(&self, directory: &Path, stat: &Stat) {
        let entry = (stat.ino, identity::birth(stat));
        self.lock().seen.entry(directory.to_owned()).or_default().insert(entry);
    }

    /// The files of a directory whose names are what a rotation calls a file of that name.
    pub(super) fn rotations_of(
        &self,
        disk: &impl Disk,
        directory: &Path,
        name: &OsStr,
    ) -> Vec<PathBuf> {
        self.lock().listings.rotations_of(disk, directory, name, now())
    }

    /// An earlier run left this place under the name that it speaks of: who begins with another name
    /// of the log before that leaves the file to it.
    pub(super) fn claim(&self, mark: &FileMark) {
        if self.is_of_pattern {
            let log = log_of(&mark.file.path);
            self.lock().claims.entry(log).or_default().push(mark.clone());
        }
    }

    /// What is claimed for other names of the log that a name is of.
    pub(super) fn claims_beside(&self, path: &Path) -> Vec<FileMark> {
        let state = self.lock();
        let claims = state.claims.get(&log_of(path)).into_iter().flatten();
        claims.filter(|mark| *mark.file.path != *path).cloned().collect()
    }

    /// Every name was begun with.
    pub(super) fn end_claims(&self) {
        self.lock().claims = HashMap::new();
    }

    /// What is known of a file, unless it is another one that has its inode number now.
    pub(super) fn get(&self, stat: &Stat) -> Option<Known> {
        let found = self.lock().files.get(&stat.inode()).cloned()?;
        let is_same = match &found {
            Known::Held(_) => true,
            Known::Finished { mark, .. } | Known::WasCopy(mark) => {
                identity::is_same_birth(stat.born, mark.file.born)
            }
            Known::Copy { id, .. } => identity::is_same_birth(stat.born, id.born),
            Known::PassedOver { born, .. } => identity::is_same_birth(stat.born, *born),
        };
        is_same.then_some(found)
    }

    pub(super) fn is_held(&self, inode: Inode) -> bool {
        matches!(self.lock().files.get(&inode), Some(Known::Held(_)))
    }

    /// Somebody reads it, from this mark on.
    pub(super) fn hold(&self, mark: FileMark, open: Weak<dyn Handle>) {
        let mut state = self.lock();
        let inode = (mark.file.dev, mark.file.ino);
        if self.is_of_pattern {
            state.index(&mark.file);
            state.open.insert(inode, open);
        }
        state.files.insert(inode, Known::Held(mark));
    }

    /// What somebody reads, whether or not it has a name.
    pub(super) fn open_file(&self, inode: Inode) -> Option<Arc<dyn Handle>> {
        self.lock().open.get(&inode)?.upgrade()
    }

    /// It was read up to this mark.
    pub(super) fn advance(&self, mark: FileMark) {
        if !self.is_of_pattern {
            return;
        }
        if let Some(known) = self.lock().files.get_mut(&(mark.file.dev, mark.file.ino)) {
            *known = Known::Held(mark);
        }
    }

    /// What may be what a file of this name was made of.
    pub(super) fn origins(&self, path: &Path) -> Vec<Known> {
        let state = self.lock();
        let inodes = state.logs.get(&log_of(path)).into_iter().flatten();
        let known = inodes.filter_map(|inode| state.files.get(inode));
        let name = path.file_name().unwrap_or_default();
        let is_origin = |known: &&Known| match known {
            Known::Held(mark) | Known::Finished { mark, .. } => {
                family::may_derive(name, mark.file.path.file_name().unwrap_or_default())
            }
            _ => false,
        };
        known.filter(is_origin).cloned().collect()
    }

    /// There is nothing in it beyond what was read elsewhere.
    pub(super) fn settle(&self, mark: FileMark, size: u64) {
        let inode = (mark.file.dev, mark.file.ino);
        self.lock().files.insert(inode, Known::Finished { mark, size });
    }

    pub(super) fn pass_over(&self, stat: &Stat) {
        let known = Known::PassedOver { born: identity::birth(stat), size: stat.size };
        self.lock().files.insert(stat.inode(), known);
    }

    /// All of it is in what is held under the other inode.
    pub(super) fn copy(&self, of: Inode, id: FileId, size: u64, is_packed: bool) {
        let mut state = self.lock();
        let inode = (id.dev, id.ino);
        tracing::debug!(path = %id.path.display(), ino = id.ino, of = of.1, size, "a copy");
        state.copies.entry(of).or_default().insert(inode);
        state.files.insert(inode, Known::Copy { of, id: Arc::new(id), size, is_packed });
    }

    /// What was taken for a copy is none. Whoever follows its name is to look again.
    pub(super) fn forget(&self, stat: &Stat, path: &Path) {
        let mut state = self.lock();
        if let Some(Known::Copy { .. }) = state.files.get(&stat.inode()) {
            state.files.remove(&stat.inode());
            state.news.push(path.into());
        }
    }

    /// It was read when it had so many bytes, and is let go of. Gives the marks of its copies, in
    /// which nothing is left to read either.
    pub(super) fn finish(&self, mark: FileMark, size: u64) -> Vec<FileMark> {
        let mut state = self.lock();
        let copies = state.end_copies(&mark);
        let inode = (mark.file.dev, mark.file.ino);
        state.open.remove(&inode);
        if self.is_of_pattern {
            state.index(&mark.file);
        }
        state.files.insert(inode, Known::Finished { mark, size });
        copies
    }

    /// The file was cut after it was read up to the mark. Gives the marks of its copies. If there
    /// is more in one, that is to be read.
    pub(super) fn cut(&self, mark: &FileMark) -> Vec<FileMark> {
        self.lock().end_copies(mark)
    }

    /// Names of which more is known now than when they were last looked at.
    pub(super) fn take_news(&self) -> Vec<Arc<Path>> {
        std::mem::take(&mut self.lock().news)
    }

    /// Forgets the files that are nowhere any more.
    pub(super) fn retain(&self, is_there: impl Fn(u64) -> bool) {
        let mut state = self.lock();
        state.files.retain(|(_, ino), known| matches!(known, Known::Held(_)) || is_there(*ino));
        state.open.retain(|_, open| open.strong_count() > 0);
        let State { files, seen, logs, copies, .. } = &mut *state;
        for seen in seen.values_mut() {
            seen.retain(|(ino, _)| is_there(*ino));
        }
        logs.retain(|_, inodes| {
            inodes.retain(|inode| files.contains_key(inode));
            !inodes.is_empty()
        });
        copies.retain(|origin, _| files.contains_key(origin));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn index(&mut self, file: &FileId) {
        self.logs.entry(log_of(&file.path)).or_default().insert((file.dev, file.ino));
    }

    /// What was a copy of what is held is finished where that ended.
    fn end_copies(&mut self, mark: &FileMark) -> Vec<FileMark> {
        let origin = (mark.file.dev, mark.file.ino);
        let mut ended = Vec::new();
        for copy in self.copies.remove(&origin).unwrap_or_default() {
            if let Some(known @ Known::Copy { .. }) = self.files.get_mut(&copy)
                && let Known::Copy { of, id, size, is_packed } = &*known
                && *of == origin
            {
                let mut mark = FileMark { file: Arc::clone(id), finished: true, ..mark.clone() };
                if !is_packed && *size < mark.offset {
                    // It was made when less was there: it ends before what was read does.
                    (mark.offset, mark.tail) = (*size, Tail::default());
                }
                self.news.push(Arc::clone(&id.path));
                *known = Known::WasCopy(mark.clone());
                ended.push(mark);
            }
        }
        ended
    }
}

fn log_of(path: &Path) -> (PathBuf, Vec<u8>) {
    let directory = path.parent().unwrap_or(Path::new("")).to_owned();
    (directory, family::root(path.file_name().unwrap_or_default()))
}
