//! Being told that something happened in a directory, instead of looking all the time.
//!
//! An event is only ever a reason to look. What happened is found out by looking, so a lost event
//! costs time, never a line.

use std::collections::{HashMap, HashSet};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::pattern::Pattern;

/// File systems on which another machine, or a program behind FUSE, writes without an event.
const SILENT: [u64; 8] = [
    0x6969,      // NFS
    0x517b,      // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x6573_5546, // FUSE
    0x0102_1997, // 9P
    0x00c3_6400, // Ceph
    0x5346_414f, // AFS
];

#[derive(Debug)]
pub(super) struct Watcher {
    inotify: Option<OwnedFd>,
    watches: HashMap<PathBuf, i32>,
    /// Names that matter beside those of the pattern: what a link points to.
    names: HashSet<Vec<u8>>,
    /// Directories that inotify cannot be trusted with.
    is_partial: bool,
}

impl Watcher {
    /// A watcher that watches nothing yet; without inotify if there is no more of it to be had.
    pub(super) fn new() -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        if let Err(error) = &inotify {
            tracing::info!(%error, "no inotify, files are polled");
        }
        let inotify = inotify.ok();
        Self { inotify, watches: HashMap::new(), names: HashSet::new(), is_partial: false }
    }

    /// A watcher that never sees anything.
    pub(super) fn none() -> Self {
        let (watches, names) = (HashMap::new(), HashSet::new());
        Self { inotify: None, watches, names, is_partial: true }
    }

    /// Watches a directory, and what links in it point to; lets go of what is not asked for any
    /// more. Asking again is cheap, and right when a directory may have been replaced by another
    /// of the same name.
    pub(super) fn cover_all<'a>(
        &mut self,
        directory: &Path,
        paths: impl Iterator<Item = &'a Path>,
    ) {
        self.names.clear();
        let mut wanted = HashSet::from([directory.to_owned()]);
        self.cover(directory);
        wanted.extend(paths.filter_map(|path| self.cover_target(path)));
        let (kept, gone): (HashMap<_, _>, HashMap<_, _>) =
            std::mem::take(&mut self.watches).into_iter().partition(|(at, _)| wanted.contains(at));
        self.watches = kept;
        let Some(inotify) = &self.inotify else { return };
        // Two names of one directory have one watch. It may be gone by itself.
        for watch in gone.into_values().filter(|gone| !self.watches.values().any(|w| w == gone)) {
            inotify::remove_watch(inotify, watch).ok();
        }
    }

    fn cover(&mut self, directory: &Path) {
        let Some(inotify) = &self.inotify else { return };
        let silent = rustix::fs::statfs(directory)
            .is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|kind| SILENT.contains(&kind)));
        if silent {
            self.is_partial = true;
            return;
        }
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::ONLYDIR;
        match inotify::add_watch(inotify, directory, flags) {
            Ok(watch) => {
                let old = self.watches.insert(directory.to_owned(), watch);
                if let Some(old) = old.filter(|old| *old != watch) {
                    // It is of a directory that has lost this name; it may be gone by itself.
                    inotify::remove_watch(inotify, old).ok();
                }
            }
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => {
                if !self.is_partial {
                    let directory = directory.display();
                    tracing::info!(%directory, %error, "cannot be watched, files are polled");
                }
                self.is_partial = true;
            }
        }
    }

    /// Watches what a link points to, where that is elsewhere; gives its directory.
    pub(super) fn cover_target(&mut self, path: &Path) -> Option<PathBuf> {
        if !path.is_symlink() {
            return None;
        }
        let target = path.canonicalize().ok()?;
        let (directory, name) = (target.parent()?, target.file_name()?);
        self.names.insert(name.as_encoded_bytes().to_owned());
        self.cover(directory);
        Some(directory.to_owned())
    }

    /// Whether events come for everything that was asked for.
    pub(super) fn is_whole(&self) -> bool {
        self.inotify.is_some() && !self.is_partial && !self.watches.is_empty()
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// Reads the events that there are. Says whether one of them is a reason to look.
    pub(super) fn drain(&mut self, pattern: &Pattern) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(inotify, &mut buffer);
        let mut relevant = false;
        // Any error, such as that there is no more, ends it: there is always a next time.
        while let Ok(event) = reader.next() {
            relevant |= event.events().contains(ReadFlags::QUEUE_OVERFLOW)
                || match event.file_name() {
                    Some(name) => {
                        pattern.matches(name.to_bytes()) || self.names.contains(name.to_bytes())
                    }
                    None => true,
                };
        }
        relevant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_links_pointed_to_once_is_watched_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("app.log");
        let mut watcher = Watcher::new();
        for target in ["pod-1", "pod-2", "pod-3"] {
            let target = dir.path().join(target);
            std::fs::create_dir(&target).unwrap();
            std::fs::write(target.join(target.file_name().unwrap()), "").unwrap();
            std::fs::remove_file(&link).ok();
            std::os::unix::fs::symlink(target.join(target.file_name().unwrap()), &link).unwrap();
            watcher.cover_all(dir.path(), [link.as_path()].into_iter());
            assert_eq!((watcher.watches.len(), watcher.names.len()), (2, 1));
            assert!(watcher.watches.contains_key(&target.canonicalize().unwrap()));
        }
    }
}
