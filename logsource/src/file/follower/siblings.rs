//! The other files of a log: what the file that bears the name was, or was copied to.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Follower;
use crate::file::catalog::Inode;
use crate::file::disk::{Disk, Stat};
use crate::file::family::{self, Age, Order};
use crate::file::identity::Opened;

/// So often a directory is listed again until nothing is renamed meanwhile.
const MAX_LISTINGS: usize = 16;

/// So often files are looked for while names move on.
pub(super) const MAX_SEARCHES: usize = 64;

/// Another file of the same log.
#[derive(Debug)]
pub(super) struct Sibling {
    pub(super) path: PathBuf,
    pub(super) stat: Stat,
}

impl Sibling {
    /// Whether this is that file.
    pub(super) fn is<F>(&self, file: &Opened<F>) -> bool {
        self.stat.inode() == file.stat.inode()
    }

    pub(super) fn age(&self) -> Age {
        Age::of(&self.path, &self.stat)
    }

    pub(super) fn directory(&self) -> &Path {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }
}

impl<D: Disk> Follower<D> {
    /// The rotated files of this log, in the order in which they were last written.
    pub(super) fn siblings(&self) -> Vec<Sibling> {
        let mut times = self.directory_times();
        let (mut found, mut is_whole) = self.list_siblings();
        for _ in 0..MAX_LISTINGS {
            // What is renamed while a directory is listed may not be listed at all. Twice the same is
            // all there is, whatever is done to the names of other logs.
            let then = std::mem::replace(&mut times, self.directory_times());
            if is_whole && then == times {
                break;
            }
            let before;
            (before, (found, is_whole)) = (found, self.list_siblings());
            let names = |files: &[Sibling]| -> Vec<(PathBuf, Inode)> {
                files.iter().map(|at| (at.path.clone(), at.stat.inode())).collect()
            };
            if is_whole && names(&before) == names(&found) {
                break;
            }
        }
        found
    }

    /// Where the last of some files stands among all rotated ones. Every rotation may give all of
    /// them other names: what one was called before says nothing among the names of now.
    pub(super) fn last_of(
        &self,
        siblings: &[Sibling],
        is_one: impl Fn(&Sibling) -> bool,
    ) -> Option<Age> {
        let order = self.order.get();
        let ages = siblings.iter().filter(|at| is_one(at)).map(Sibling::age);
        ages.max_by(|one, two| order.compare(one, two))
    }

    /// Puts files of this log into the order in which they were written.
    pub(super) fn sort<T>(&self, files: &mut [T], age: impl Fn(&T) -> Age) {
        let order = self.order.get();
        files.sort_by(|one, two| order.compare(&age(one), &age(two)));
    }

    /// Puts files into the order of the names that they have now; they were listed at different
    /// times. Gives how many of them come before the one that bore the name when it was opened:
    /// it may have been renamed since then, and others after it.
    pub(super) fn put_in_order<T>(
        &self,
        files: &mut [(Sibling, Opened<D::File>, T)],
        current: Option<&Opened<D::File>>,
        copies: &[(Sibling, Opened<D::File>)],
    ) -> io::Result<usize> {
        let is_bearer = |file: &&Opened<D::File>| {
            let bearer = self.disk.stat(&self.path)?;
            Ok::<_, io::Error>(bearer.is_some_and(|at| at.inode() == file.stat.inode()))
        };
        let renamed = match &current {
            Some(file) if !files.is_empty() && !is_bearer(file)? => current,
            _ => None,
        };
        if files.len() < 2 && renamed.is_none() {
            return Ok(files.len());
        }
        let siblings = self.siblings();
        let ages: HashMap<Inode, Age> =
            siblings.iter().map(|at| (at.stat.inode(), at.age())).collect();
        let age = |at: &Sibling| ages.get(&at.stat.inode()).copied().unwrap_or_else(|| at.age());
        self.sort(files, |(at, ..)| age(at));
        let Some(file) = renamed else { return Ok(files.len()) };
        // Where it is gone, what was made of it tells, else what came to be since it was opened: who
        // had it open then may have gone on with it. Of an archive, when it was made tells nothing.
        let copied = || copies.iter().map(|(at, _)| age(at)).next_back();
        let own = ages.get(&file.stat.inode()).copied().or_else(copied);
        let is_since = |time: Option<SystemTime>| {
            time.zip(file.stat.modified).is_some_and(|(time, last)| time > last)
        };
        let is_later = |at: &Sibling| match own {
            Some(own) => self.order.get().is_after(&age(at), &own),
            None if family::is_packed(&at.path) => is_since(at.stat.modified),
            None => is_since(at.stat.born),
        };
        Ok(files.iter().position(|(at, ..)| is_later(at)).unwrap_or(files.len()))
    }

    /// Where the name itself is one that a rotation gives, the others of that log: what was met as
    /// `app.log.1` may be `app.log.2` now.
    pub(super) fn kin(&self) -> Vec<Sibling> {
        let mut kin = Vec::new();
        for (directory, base) in self.homes() {
            for name in family::bases(base.file_name().unwrap_or_default()) {
                kin.extend(self.named_after(&directory, OsStr::from_bytes(&name)).0);
            }
        }
        kin
    }

    /// The files of a directory that a rotation names so, and whether each was still there.
    fn named_after(&self, directory: &Path, name: &OsStr) -> (Vec<Sibling>, bool) {
        let (mut found, mut is_whole) = (Vec::new(), true);
        for path in self.catalog.rotations_of(&self.disk, directory, name) {
            let stat = self.disk.stat(&path).ok().flatten();
            is_whole &= stat.is_some();
            if let Some(stat) = stat.filter(|stat| stat.is_file) {
                found.push(Sibling { path, stat });
            }
        }
        (found, is_whole)
    }

    /// When names in the directories changed last.
    pub(super) fn directory_times(&self) -> Vec<Option<SystemTime>> {
        let stats = self.directories().map(|at| self.disk.stat(&at));
        stats.map(|stat| stat.ok().flatten().and_then(|stat| stat.modified)).collect()
    }

    /// Opens one of them, unless its name was given to another meanwhile.
    pub(super) fn open_sibling(&self, sibling: &Sibling) -> Option<Opened<D::File>> {
        let file = Opened::open(&self.disk, &sibling.path).ok().flatten();
        file.filter(|file| file.stat.inode() == sibling.stat.inode())
    }

    /// Opens those of some files that are wanted. If names move on meanwhile, they are listed again,
    /// and only what is not open yet, or has changed since, is opened: to open many takes longer
    /// than it takes until the next name moves on.
    pub(super) fn open_steadily(
        &self,
        is_wanted: impl Fn(&Sibling) -> bool,
        list: impl Fn(&Self) -> Vec<Sibling>,
    ) -> Vec<(Sibling, Option<Opened<D::File>>)> {
        let mut found: Vec<(Sibling, Option<Opened<D::File>>)> = Vec::new();
        for _ in 0..MAX_SEARCHES {
            let before = found.drain(..).filter_map(|(_, file)| file);
            let mut open: HashMap<Inode, _> = before.map(|it| (it.stat.inode(), it)).collect();
            let mut moved = false;
            for at in list(self) {
                let is_wanted = is_wanted(&at);
                let before =
                    open.remove(&at.stat.inode()).filter(|it: &Opened<_>| it.stat == at.stat);
                let file = before.or_else(|| is_wanted.then(|| self.open_sibling(&at)).flatten());
                moved |= is_wanted && file.is_none();
                found.push((at, file));
            }
            if !moved {
                break;
            }
        }
        found
    }

    /// The rotated files as they are listed, and whether each was still there.
    fn list_siblings(&self) -> (Vec<Sibling>, bool) {
        let (mut found, mut is_whole) = (Vec::new(), true);
        for (directory, base) in self.homes() {
            let (files, are_there) =
                self.named_after(&directory, base.file_name().unwrap_or_default());
            found.extend(files);
            is_whole &= are_there;
        }
        // A file may have two names, or have got another one while it was listed.
        let mut inodes = HashSet::new();
        found.retain(|file| inodes.insert(file.stat.inode()));
        let ages: Vec<Age> = found.iter().map(Sibling::age).collect();
        self.order.set(Order::of(&ages));
        self.sort(&mut found, Sibling::age);
        (found, is_whole)
    }

    /// The name, and the one that it is a link to, with the directories that they are in.
    pub(super) fn homes(&self) -> Vec<(PathBuf, PathBuf)> {
        let mut paths = vec![self.path.to_path_buf()];
        paths.extend(self.disk.target(&self.path));
        let homes = paths.into_iter().map(|path| {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            (parent.unwrap_or(Path::new(".")).to_owned(), path)
        });
        homes.collect()
    }

    pub(super) fn directories(&self) -> impl Iterator<Item = PathBuf> + use<D> {
        self.homes().into_iter().map(|(directory, _)| directory)
    }
}
