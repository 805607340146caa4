//! What a `tail` begins with: which files, and where in each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Watch;
use super::catalog::Catalog;
use super::discovery::{Patterns, Walk, Watcher};
use super::disk::Real;
use super::follower::{Begin, Kept};
use super::reading::Shared;
use super::table::{Follower, Table};
use crate::cursor::FileMark;
use crate::shell::ticks;
use crate::{Edge, Error, Position};

/// What is the same for every name of a source: where it begins.
#[derive(Debug)]
pub(super) struct Start {
    marks: BTreeMap<Arc<Path>, Vec<Kept>>,
    /// For names that no mark speaks of.
    otherwise: Begin,
}

impl Start {
    /// Reads the position, and for [`Position::Resume`] the acknowledged places.
    pub(super) fn new(shared: &Shared, from: &Position) -> Result<Self, Error> {
        let all = || Begin::After(Vec::new());
        let (marks, otherwise) = match from {
            Position::Start => (Vec::<Kept>::new(), Begin::Edge(Edge::Start)),
            Position::End => (Vec::new(), Begin::Edge(Edge::End)),
            Position::At(cursor) if cursor.is_of_files() => {
                let kept = |mark: &FileMark| Kept { mark: mark.clone(), key: None };
                (cursor.files().iter().map(kept).collect(), all())
            }
            Position::At(cursor) => {
                return Err(Error::invalid(format!("`{cursor}` is not a place in a file")));
            }
            Position::Resume { otherwise } => {
                let places = match &shared.store {
                    Some(store) => store.places()?,
                    None => BTreeMap::new(),
                };
                let marks = places.iter().flat_map(|(key, place)| {
                    let key: Arc<str> = key.as_str().into();
                    let kept = move |mark: &FileMark| Kept {
                        mark: mark.clone(),
                        key: Some(Arc::clone(&key)),
                    };
                    place.files().iter().map(kept)
                });
                let begin = if places.is_empty() { Begin::Edge(*otherwise) } else { all() };
                (marks.collect(), begin)
            }
        };
        let mut by_path = BTreeMap::<_, Vec<_>>::new();
        for kept in marks {
            by_path.entry(Arc::clone(&kept.mark.file.path)).or_default().push(kept);
        }
        Ok(Self { marks: by_path, otherwise })
    }

    /// The places that an earlier run left.
    pub(super) fn marks(&self) -> impl Iterator<Item = &FileMark> {
        self.marks.values().flatten().map(|kept| &kept.mark)
    }

    /// The names to begin with: those with a mark first, so that a file that was renamed is
    /// followed under the name that its mark speaks of.
    pub(super) fn paths(&self, patterns: &Patterns, walk: &Walk) -> Vec<Arc<Path>> {
        let ours = self.marks.keys().filter(|path| patterns.matches(path));
        let mut paths: Vec<Arc<Path>> = ours.cloned().collect();
        let found = walk.found.iter().map(|found| &found.path).chain(patterns.named());
        let found: BTreeSet<&Path> = found.map(PathBuf::as_path).collect();
        paths.extend(found.into_iter().filter(|at| !self.marks.contains_key(*at)).map(Arc::from));
        paths
    }

    pub(super) fn begin(&self, path: &Path) -> Begin {
        match self.marks.get(path) {
            Some(marks) => Begin::After(marks.clone()),
            None => self.otherwise.clone(),
        }
    }
}

/// It is found on the calling thread, so that the end is where it is when `tail` is called: what is
/// written after that is new.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) catalog: Catalog,
    pub(super) table: Table,
    pub(super) watcher: Watcher,
    pub(super) troubles: Vec<(Arc<Path>, std::io::Error)>,
    /// Why the acknowledged places are lost.
    pub(super) broken: Option<Error>,
}

impl Opening {
    pub(super) fn new(
        shared: &Shared,
        patterns: &Patterns,
        watch: Watch,
        from: &Position,
    ) -> Result<Self, Error> {
        // Read first even if an explicit position is a new beginning: a file that another version
        // wrote is not written over.
        let broken = match &shared.store {
            Some(store) => store.recover()?,
            None => None,
        };
        let start = Start::new(shared, from)?;
        // Should this process be killed while it begins, the next one is to find what this one found,
        // and when that was written: files that came after that are looked for.
        let held = shared.store.as_ref().map(|store| store.hold());
        if let Some(store) = &shared.store {
            // From now on this is not a first run, whether or not anything was there to read.
            store.set("run", &crate::Cursor::of_files(Vec::new()));
        }
        let catalog = Catalog::new(!patterns.is_one());
        for mark in start.marks() {
            catalog.claim(mark);
            if mark.finished {
                // Whatever it is called now, it is not to be read again. How large it was is not
                // known: it is looked at once more.
                catalog.settle(mark.clone(), u64::MAX);
            }
        }
        let (mut table, mut troubles) = (Table::new(), Vec::new());
        let mut watcher = Watcher::new(watch);
        let walk = patterns.walk();
        // What happens before all of it is watched, the thread's first look at everything tells.
        let _ = watcher.cover(&walk, ticks());
        for path in start.paths(patterns, &walk) {
            let mut follower = Follower::new(&Real, shared, &path, &catalog);
            if let Err(cause) = follower.begin(start.begin(&path), ticks()) {
                troubles.push((Arc::clone(&path), cause));
            }
            table.add(follower, ticks());
        }
        catalog.end_claims();
        drop(held);
        if let Some(store) = &shared.store {
            // Should this process be killed before anything is acknowledged, the next one begins
            // where this one did. If it cannot be written, that is told later.
            store.flush().ok();
        }
        Ok(Self { catalog, table, watcher, troubles, broken })
    }
}
