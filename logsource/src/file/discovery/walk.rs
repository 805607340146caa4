//! All files that are meant, found in one walk.
//!
//! A directory is listed only where a wildcard needs it, and entered only where a pattern goes on.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::listing::{self, Directory, Listing, Seen};
use super::patterns::{self, Fit, Patterns, Place};
use super::trie::Root;
use crate::file::disk::Stat;

/// Directories in directories, at most.
const MAX_DEPTH: usize = 64;

/// Directories of one walk, at most.
const MAX_DIRECTORIES: usize = 100_000;

/// More troubles than these say nothing new.
const MAX_TROUBLES: usize = 100;

/// What was found.
#[derive(Debug, Default)]
pub(in crate::file) struct Walk {
    /// Regular files, by path. One that has many names is there as often.
    pub(in crate::file) found: Vec<Found>,
    /// Links in place of a file, whether they lead to one or not.
    pub(in crate::file) links: Vec<Link>,
    /// Directories in which something that matters can happen: those that were listed, those of
    /// files that are named, and if those are missing, what there is of the way to them.
    pub(in crate::file) directories: Vec<Watched>,
    /// What could not be looked at.
    pub(in crate::file) troubles: Vec<(PathBuf, io::Error)>,
    /// How many names matched beyond the limit of files.
    pub(in crate::file) truncated: usize,
}

/// A file.
#[derive(Debug, Clone)]
pub(in crate::file) struct Found {
    pub(in crate::file) path: PathBuf,
    /// Of the file, links followed.
    pub(in crate::file) stat: Stat,
    /// Something is mounted at this very name, so its directory does not see it written.
    pub(in crate::file) is_mount: bool,
}

/// A link in place of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::file) struct Link {
    pub(in crate::file) path: PathBuf,
    /// What it leads to, link after link. The last may not exist.
    pub(in crate::file) hops: Vec<PathBuf>,
}

/// A directory to watch.
#[derive(Debug, Clone)]
pub(in crate::file) struct Watched {
    pub(in crate::file) path: PathBuf,
    /// Its device and inode number.
    pub(in crate::file) inode: (u64, u64),
    pub(super) place: Place,
}

impl Patterns {
    /// Finds all files that are meant. Costs about a `stat` for each, and the listing of each
    /// directory that a pattern goes through.
    pub(in crate::file) fn walk(&self) -> Walk {
        let mut walker = Walker::new(self);
        for (root, path) in [(Root::Relative, ""), (Root::Absolute, "/")] {
            let place = self.start(root);
            if self.goes_on(&place) {
                walker.enter(Task { path: path.into(), place, depth: 0 });
            }
        }
        walker.finish()
    }

    /// Finds all files that are meant in some directories and below. Of those that do not exist,
    /// it tells what there is of the way to them.
    pub(in crate::file) fn walk_in<P: AsRef<Path>>(
        &self,
        directories: impl IntoIterator<Item = P>,
    ) -> Walk {
        let mut walker = Walker::new(self);
        let mut asked: Vec<PathBuf> =
            directories.into_iter().map(|path| path.as_ref().to_owned()).collect();
        asked.sort();
        // What is below another is found with that.
        asked.dedup_by(|below, above| below.starts_with(above));
        for directory in asked {
            walker.enter_at(&directory);
        }
        walker.finish()
    }
}

struct Task {
    path: PathBuf,
    place: Place,
    depth: usize,
}

/// The directory that is being looked at.
struct Here<'a> {
    directory: &'a Directory<'a>,
    path: &'a Path,
    place: &'a Place,
    depth: usize,
    is_listed: bool,
}

struct Walker<'a> {
    patterns: &'a Patterns,
    walk: Walk,
    listing: Listing<Fit>,
    next: Place,
    entered: usize,
    /// The directories that the one being looked at is in, from the root on.
    trail: Vec<(u64, u64)>,
    is_cut: bool,
}

impl<'a> Walker<'a> {
    fn new(patterns: &'a Patterns) -> Self {
        Self {
            patterns,
            walk: Walk::default(),
            listing: Listing::default(),
            next: Place::default(),
            entered: 0,
            trail: Vec::new(),
            is_cut: false,
        }
    }

    fn finish(mut self) -> Walk {
        if self.walk.truncated > 0 {
            let (most, more) = (self.patterns.most(), self.walk.truncated);
            let what = format!(
                "{} matches {more} files more than the limit of {most}, and they are not \
                 followed; narrow it, leave some out, or raise `max_files`",
                self.patterns.shown()
            );
            self.trouble(Path::new(""), io::Error::other(what));
        }
        // Each directory's are in order, so there is little to do.
        self.walk.found.sort_by(|a, b| a.path.cmp(&b.path));
        self.walk
    }

    /// Looks at a directory and at all below it.
    fn enter(&mut self, task: Task) {
        let mut tasks = vec![task];
        while let Some(task) = tasks.pop() {
            self.entered += 1;
            if self.entered > MAX_DIRECTORIES || task.depth > MAX_DEPTH {
                if !std::mem::replace(&mut self.is_cut, true) {
                    let what = "more than 100,000 directories, or 64 one in another, are not \
                                looked at; narrow the pattern, or leave some out";
                    self.trouble(&task.path, io::Error::other(what));
                }
                continue;
            }
            self.look(task, &mut tasks);
        }
    }

    /// Goes to a directory, by the names that lead there, then enters it.
    fn enter_at(&mut self, directory: &Path) {
        let root = patterns::root(directory);
        let mut path = PathBuf::from(if root == Root::Absolute { "/" } else { "" });
        let (mut place, mut depth) = (self.patterns.start(root), 0);
        self.trail.clear();
        for name in patterns::names(directory) {
            let Ok(inode) = Directory::open(&path, false).and_then(|at| at.inode()) else { return };
            if self.trail.contains(&inode) {
                self.patterns.end_any_depth(&mut place);
            }
            let below = path.join(name);
            if !below.is_dir() {
                if self.patterns.enter(&place, name.as_bytes(), &mut self.next).directory {
                    self.walk.directories.push(Watched { path, inode, place });
                }
                return;
            }
            self.trail.push(inode);
            if !self.patterns.enter(&place, name.as_bytes(), &mut self.next).directory {
                return;
            }
            (path, depth) = (below, depth + 1);
            std::mem::swap(&mut place, &mut self.next);
        }
        self.enter(Task { path, place, depth });
    }

    /// Finds the files in a directory, and notes what is to be looked at below it.
    fn look(&mut self, task: Task, tasks: &mut Vec<Task>) {
        let Task { path, mut place, depth } = task;
        let to_list = self.patterns.needs_listing(&place);
        let opened = match Directory::open(&path, to_list) {
            Err(cause) if to_list => {
                self.trouble(&path, cause);
                // What is named without a wildcard can be had without listing.
                Directory::open(&path, false).map(|directory| (directory, false))
            }
            opened => opened.map(|directory| (directory, to_list)),
        };
        let looked =
            opened.and_then(|(directory, listable)| Ok((directory.inode()?, directory, listable)));
        let (inode, directory, listable) = match looked {
            Ok(looked) => looked,
            Err(_) if to_list => return,
            Err(cause) => return self.trouble(&path, cause),
        };
        self.trail.truncate(depth);
        if self.trail.contains(&inode) {
            self.patterns.end_any_depth(&mut place);
        }
        self.trail.push(inode);
        let is_listed = listable && self.patterns.needs_listing(&place);
        let mut listing = std::mem::take(&mut self.listing);
        listing.clear();
        if is_listed && let Err(cause) = self.list(&directory, &place, &mut listing) {
            self.trouble(&path, cause);
        }
        self.add_named(&place, is_listed, &mut listing);
        let here = Here { directory: &directory, path: &path, place: &place, depth, is_listed };
        let (mut matters, first_below) = (is_listed, tasks.len());
        for (name, kind, fit) in listing.iter() {
            matters |= self.judge(&here, name, kind, fit, tasks);
        }
        // The first is to be looked at first.
        tasks.get_mut(first_below..).unwrap_or_default().reverse();
        self.listing = listing;
        if matters {
            self.walk.directories.push(Watched { path, inode, place });
        }
    }

    fn list(
        &mut self,
        directory: &Directory<'_>,
        place: &Place,
        listing: &mut Listing<Fit>,
    ) -> io::Result<()> {
        let (patterns, next) = (self.patterns, &mut self.next);
        listing.read(directory, |name| {
            Some(patterns.enter(place, name, next)).filter(|fit| fit.file || fit.directory)
        })
    }

    /// Adds the names that are asked for without a wildcard, where no listing has them.
    fn add_named(&mut self, place: &Place, is_listed: bool, listing: &mut Listing<Fit>) {
        for name in self.patterns.names(place).filter(|name| !is_listed || **name == *b"..") {
            let fit = self.patterns.enter(place, name, &mut self.next);
            if fit.file || fit.directory {
                listing.push(name, fit);
            }
        }
    }

    /// Judges one entry. Says whether it is a reason to watch the directory.
    fn judge(
        &mut self,
        here: &Here<'_>,
        name: &[u8],
        kind: FileType,
        fit: Fit,
        tasks: &mut Vec<Task>,
    ) -> bool {
        let is_useless = match kind {
            FileType::Directory => !fit.directory,
            FileType::RegularFile => !fit.file,
            FileType::Symlink | FileType::Unknown => false,
            _ => here.is_listed,
        };
        if is_useless {
            return false;
        }
        let path = || here.path.join(OsStr::from_bytes(name));
        let (seen, is_link) = match kind {
            FileType::Directory => (None, false),
            _ => match here.directory.follow(name, kind == FileType::Symlink) {
                Ok((seen, is_link)) => (Some(seen), is_link),
                Err((cause, is_link)) => {
                    if is_link && fit.file {
                        self.link(path());
                    }
                    if cause.kind() != io::ErrorKind::NotFound {
                        self.trouble(&path(), cause);
                    }
                    // It may come, be it a file or a directory.
                    return true;
                }
            },
        };
        match seen {
            Some(seen) if seen.kind != FileType::Directory => {
                self.file(here, seen, is_link, fit, &path);
            }
            _ if fit.directory => {
                self.patterns.enter(here.place, name, &mut self.next);
                let place = std::mem::take(&mut self.next);
                tasks.push(Task { path: path(), place, depth: here.depth + 1 });
            }
            _ if !here.is_listed => self.unfit(&path()),
            _ => {}
        }
        // A link can be made to lead elsewhere.
        fit.file || is_link
    }

    fn file(
        &mut self,
        here: &Here<'_>,
        seen: Seen,
        is_link: bool,
        fit: Fit,
        path: &dyn Fn() -> PathBuf,
    ) {
        if !fit.file {
            return;
        }
        if !seen.stat.is_file {
            if !here.is_listed {
                self.unfit(&path());
            }
            return;
        }
        if self.walk.found.len() >= self.patterns.most() {
            self.walk.truncated += 1;
            return;
        }
        if is_link {
            self.link(path());
        }
        let Seen { stat, is_mount, .. } = seen;
        self.walk.found.push(Found { path: path(), stat, is_mount });
    }

    /// What was named is something else.
    fn unfit(&mut self, path: &Path) {
        let what = "not a regular file; read it with the command `cat` instead";
        self.trouble(path, io::Error::new(io::ErrorKind::InvalidInput, what));
    }

    fn link(&mut self, path: PathBuf) {
        let hops = listing::hops(&path);
        self.walk.links.push(Link { path, hops });
    }

    fn trouble(&mut self, path: &Path, cause: io::Error) {
        if self.walk.troubles.len() < MAX_TROUBLES {
            self.walk.troubles.push((path.to_owned(), cause));
        }
    }
}

#[cfg(test)]
mod tests;
