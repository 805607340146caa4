//! What a source knows of the files that its followers meet: held now, finished, or not to be read.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, Stat};
use super::identity;
use crate::cursor::FileMark;

/// Shared by the followers of a source. A pattern may match a file under its old name and under
/// its new one; it is read once.
#[derive(Debug, Clone, Default)]
pub(super) struct Catalog {
    state: Arc<Mutex<State>>,
    /// Keep what is finished: a pattern may match its new name.
    keeps_finished: bool,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<Inode, Known>,
    /// What was in a directory at first, and what was found there since. What is not among it has
    /// come since.
    seen: HashMap<PathBuf, HashSet<Entry>>,
}

type Inode = (u64, u64);

/// A directory's entry: the inode number, and the time of birth, since numbers come again.
type Entry = (u64, Option<u64>);

/// What is known of an inode.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// Somebody reads it.
    Held,
    /// It was read up to here, and let go of.
    Finished(FileMark),
    /// It is not read: a copy of what is, or too old. If it grows beyond this, that is read.
    PassedOver { born: Option<u64>, size: u64 },
}

impl Catalog {
    pub(super) fn new(keeps_finished: bool) -> Self {
        Self { state: Arc::default(), keeps_finished }
    }

    pub(super) fn keeps_finished(&self) -> bool {
        self.keeps_finished
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

    /// What is known of a file, unless it is another one that has its inode number now.
    pub(super) fn get(&self, stat: &Stat) -> Option<Known> {
        let found = self.lock().files.get(&stat.inode()).cloned()?;
        let is_same = match &found {
            Known::Held => true,
            Known::Finished(mark) => identity::is_same_birth(stat.born, mark.file.born),
            Known::PassedOver { born, .. } => identity::is_same_birth(stat.born, *born),
        };
        is_same.then_some(found)
    }

    pub(super) fn is_held(&self, inode: Inode) -> bool {
        matches!(self.lock().files.get(&inode), Some(Known::Held))
    }

    pub(super) fn hold(&self, inode: Inode) {
        self.lock().files.insert(inode, Known::Held);
    }

    pub(super) fn pass_over(&self, stat: &Stat) {
        let known = Known::PassedOver { born: identity::birth(stat), size: stat.size };
        self.lock().files.insert(stat.inode(), known);
    }

    pub(super) fn finish(&self, mark: FileMark) {
        let inode = (mark.file.dev, mark.file.ino);
        if self.keeps_finished {
            self.lock().files.insert(inode, Known::Finished(mark));
        } else {
            self.lock().files.remove(&inode);
        }
    }

    /// Forgets the files that are nowhere any more.
    pub(super) fn retain(&self, is_there: impl Fn(u64) -> bool) {
        let mut state = self.lock();
        state.files.retain(|(_, ino), known| matches!(known, Known::Held) || is_there(*ino));
        for seen in state.seen.values_mut() {
            seen.retain(|(ino, _)| is_there(*ino));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
