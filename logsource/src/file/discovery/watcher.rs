//! Being told that something happened in a directory, instead of looking all the time.
//!
//! An event is only ever a reason to look. What happened is found out by looking, so a lost event
//! costs time, never a line.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{Event, ReadFlags, Reader};

use super::inotify::{Blind, Inotify};
use super::patterns::{Patterns, Place};
use super::seen::Seen;
use super::walk::{Walk, Watched};
use crate::file::Watch;
use crate::file::disk::Disk;

/// How long to do without what could not be had, before it is asked for again.
const RETRY_EVERY: Duration = Duration::from_secs(60);

/// What the kernel fills at once: about 600 events.
const BUFFER: usize = 24 << 10;

/// If there are fewer events in the buffer, it was not full: an event with the longest name takes
/// 272 bytes.
const FULL_EVENTS: usize = BUFFER / 272;

/// Events that are read at once, at most: as many as the kernel holds by default. More are read
/// the next time, so that a busy directory cannot keep the caller.
const MAX_EVENTS: usize = 16_384;

/// Renames of which one half was seen, at most.
const MAX_RENAMES: usize = 1_024;

/// Watches directories.
#[derive(Debug)]
pub(in crate::file) struct Watcher {
    inotify: Result<Inotify, Blind>,
    directories: HashMap<Arc<Path>, Covered>,
    /// The directories of each watch: one that has two names has one watch.
    watches: HashMap<i32, Vec<Arc<Path>>>,
    /// The links that lead to a name.
    links: HashMap<PathBuf, Vec<PathBuf>>,
    /// Files that no event tells of, though their directory is watched.
    blind: HashMap<PathBuf, Blind>,
    /// The limit that was met, and until when nothing more is asked for.
    limit: Option<(Blind, Instant)>,
    round: u64,
    /// Renames whose new name was not told yet.
    renames: VecDeque<u32>,
    buffer: Box<[MaybeUninit<u8>]>,
    scratch: Scratch,
    /// The last time, nothing happened but that one file was written.
    was_one_written: bool,
    /// What the last event that only told of writing means, as long as that is known.
    known: Option<Arc<Path>>,
    /// There may be something that no event tells of.
    may_be_blind: bool,
}

/// A directory that was asked for.
#[derive(Debug)]
struct Covered {
    inode: (u64, u64),
    place: Place,
    watch: Result<i32, Blind>,
    /// In which round it was asked for last.
    round: u64,
}

impl Watcher {
    /// A watcher that watches nothing yet.
    pub(in crate::file) fn new(watch: Watch) -> Self {
        let inotify = match watch {
            Watch::Auto => Inotify::new(),
            Watch::Poll => Err(Blind::Asked),
        };
        Self {
            inotify,
            directories: HashMap::new(),
            watches: HashMap::new(),
            links: HashMap::new(),
            blind: HashMap::new(),
            limit: None,
            round: 0,
            renames: VecDeque::new(),
            buffer: vec![MaybeUninit::uninit(); BUFFER].into(),
            scratch: Scratch::default(),
            was_one_written: false,
            known: None,
            may_be_blind: false,
        }
    }

    /// Watches the directories of a whole walk, and what its links lead to; lets go of all others.
    /// Says whether there are some that were not watched before: what happened there between the
    /// walk and now was not seen, so walk in them again.
    ///
    /// It is cheap where nothing changed. What could not be watched is tried again every minute.
    #[must_use = "what is watched since now was not seen before"]
    pub(in crate::file) fn cover(&mut self, walk: &Walk, now: Instant) -> bool {
        if self.limit.is_some_and(|(_, until)| now >= until) {
            self.limit = None;
        }
        if self.limit.is_none() && self.inotify.as_ref().is_err_and(|why| why.may_pass()) {
            self.inotify = Inotify::new();
        }
        self.round += 1;
        self.links.clear();
        self.blind.clear();
        self.may_be_blind = false;
        let is_new = self.add(walk, now);
        let round = self.round;
        let gone = self.directories.extract_if(|_, covered| covered.round != round);
        for (path, covered) in gone.collect::<Vec<_>>() {
            self.release(&path, covered.watch);
        }
        is_new
    }

    /// Watches the directories of a walk in some of them, too.
    #[must_use = "what is watched since now was not seen before"]
    pub(in crate::file) fn extend(&mut self, walk: &Walk, now: Instant) -> bool {
        self.add(walk, now)
    }

    /// Whether anything must be polled.
    pub(in crate::file) fn is_polling(&self) -> bool {
        self.polled().next().is_some()
    }

    /// The directories, and files of other directories, that no event tells of.
    pub(in crate::file) fn polled(&self) -> impl Iterator<Item = (&Path, Blind)> {
        let directories = self.directories.iter();
        let directories =
            directories.filter_map(|(at, covered)| Some((&**at, covered.watch.err()?)));
        directories.chain(self.blind.iter().map(|(path, why)| (path.as_path(), *why)))
    }

    /// Whether a path is that of a directory that was asked for.
    pub(in crate::file) fn is_directory(&self, path: &Path) -> bool {
        self.directories.contains_key(path)
    }

    /// The directories that were asked for.
    pub(in crate::file) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.keys().map(|path| super::listing::or_current(path))
    }

    /// Why no event tells of a file, if none does.
    pub(in crate::file) fn blind(&self, path: &Path) -> Option<Blind> {
        if !self.may_be_blind {
            return None;
        }
        let directory = || self.directories.get(path.parent()?)?.watch.err();
        self.blind.get(path).copied().or_else(directory)
    }

    /// What to wait for. It is another one after a limit was met or has passed.
    pub(in crate::file) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().ok().map(AsFd::as_fd)
    }

    /// Says that the one file that the last [`Self::drain`] gave, if it gave but one and that only
    /// was written, is followed, and that no other is concerned. What is written all the time is
    /// told of all the time: what that means need not be found out each time. It is to be
    /// [forgotten](Self::unremember) when other files are followed.
    pub(in crate::file) fn remember(&mut self, path: &Path) {
        if self.was_one_written {
            self.known = Some(path.into());
        }
    }

    pub(in crate::file) fn unremember(&mut self) {
        self.known = None;
    }

    /// Takes what has happened, without waiting. Names that the patterns do not mean matter if
    /// they are cared for. It may leave some for the next time. Says whether anything has happened,
    /// even if it does not matter.
    pub(in crate::file) fn drain(
        &mut self,
        patterns: &Patterns,
        cares: impl Fn(&Path) -> bool,
        seen: &mut Seen,
    ) -> bool {
        let Self { directories, watches, links, renames, scratch, known, .. } = self;
        let Ok(inotify) = &self.inotify else { return false };
        // Whether what `scratch` has was told of this time.
        let mut is_told = false;
        let (mut judged, mut is_written) = (0, true);
        let mut gone = Vec::new();
        let mut reader = Reader::new(inotify, &mut self.buffer);
        let (mut events, mut of_buffer) = (0, 0);
        // What is in the buffer would be lost.
        while events < MAX_EVENTS || !reader.is_buffer_empty() {
            if reader.is_buffer_empty() {
                let is_last = events > 0 && of_buffer < FULL_EVENTS;
                if is_last {
                    break;
                }
                of_buffer = 0;
            }
            // Any error, such as that there is no more, ends it: there is always a next time.
            let Ok(event) = reader.next() else { break };
            events += 1;
            of_buffer += 1;
            let what = event.events();
            if what.intersects(ReadFlags::QUEUE_OVERFLOW | ReadFlags::UNMOUNT) {
                seen.lost_events = true;
            }
            let Some(paths) = watches.get(&event.wd()) else { continue };
            let Some(name) = event.file_name() else {
                let over = ReadFlags::IGNORED | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF;
                if what.intersects(over) {
                    seen.changed.extend(paths.iter().map(|path| path.to_path_buf()));
                    gone.push(event.wd());
                }
                continue;
            };
            // A file that is being written is told of again and again.
            if what == ReadFlags::MODIFY {
                let is_again = scratch.is_again(event.wd(), name.to_bytes());
                if is_again && is_told {
                    continue;
                }
                is_told = true;
                if !is_again {
                    *known = None;
                } else if let Some(path) = known {
                    seen.again = Some(Arc::clone(path));
                    continue;
                }
            }
            judged += 1;
            is_written &= what == ReadFlags::MODIFY;
            for path in paths {
                let Some(covered) = directories.get(path) else { continue };
                let mut judge = Judge { patterns, cares: &cares, links, renames, scratch, seen };
                judge.event(path, &covered.place, &event, name.to_bytes());
            }
        }
        self.was_one_written = judged == 1 && is_written;
        for watch in gone {
            self.forget(watch);
        }
        events > 0
    }

    fn add(&mut self, walk: &Walk, now: Instant) -> bool {
        self.unremember();
        let mut is_new = false;
        for watched in &walk.directories {
            is_new |= self.add_directory(watched, now);
        }
        for found in walk.found.iter().filter(|found| found.is_mount) {
            self.blind.insert(found.path.clone(), Blind::Mount);
            self.may_be_blind = true;
        }
        for link in &walk.links {
            for hop in &link.hops {
                let Some(directory) = hop.parent() else { continue };
                is_new |= self.add_target(directory, now);
                let links = self.links.entry(hop.clone()).or_default();
                if !links.contains(&link.path) {
                    links.push(link.path.clone());
                }
                let covered = self.directories.get(directory);
                if let Some(why) = covered.and_then(|covered| covered.watch.err()) {
                    self.blind.insert(link.path.clone(), why);
                    self.may_be_blind = true;
                }
            }
        }
        is_new
    }

    /// A directory in which only what links lead to matters, unless it was walked as well.
    fn add_target(&mut self, directory: &Path, now: Instant) -> bool {
        if self.directories.get(directory).is_some_and(|covered| covered.round == self.round) {
            return false;
        }
        let real = crate::file::disk::Real;
        let Ok(Some(stat)) = real.stat(super::listing::or_current(directory)) else { return false };
        let (path, inode) = (directory.to_owned(), stat.inode());
        self.add_directory(&Watched { path, inode, place: Place::default() }, now)
    }

    fn add_directory(&mut self, watched: &Watched, now: Instant) -> bool {
        let (round, limit) = (self.round, self.limit);
        let old = self.directories.get_mut(&*watched.path);
        if let Some(covered) = old.filter(|covered| covered.inode == watched.inode) {
            covered.round = round;
            self.may_be_blind |= covered.watch.is_err();
            if covered.place != watched.place && watched.place != Place::default() {
                covered.place = watched.place.clone();
            }
            let stays = match covered.watch {
                Ok(_) => true,
                Err(why) => !why.may_pass() || limit.is_some(),
            };
            if stays {
                return false;
            }
        }
        let watch = match (&mut self.inotify, limit) {
            (Err(why), _) => Err(*why),
            (_, Some((why, _))) => Err(why),
            (Ok(inotify), None) => match inotify.add(&watched.path) {
                Ok(Some(watch)) => Ok(watch),
                // It went between the walk and now; what it was in tells if it comes back.
                Ok(None) => return false,
                Err(why) => Err(why),
            },
        };
        if let Err(why) = watch
            && why.is_limit()
            && self.limit.is_none()
        {
            self.limit = Some((why, now + RETRY_EVERY));
            tracing::info!(%why, "files are polled");
        }
        self.may_be_blind |= watch.is_err();
        let path: Arc<Path> = watched.path.as_path().into();
        let (inode, place) = (watched.inode, watched.place.clone());
        let covered = Covered { inode, place, watch, round };
        let old = self.directories.insert(Arc::clone(&path), covered).map(|old| old.watch);
        if old == Some(watch) {
            return false;
        }
        if let Ok(watch) = watch {
            self.watches.entry(watch).or_default().push(Arc::clone(&path));
        }
        if let Some(old) = old {
            // It is of a directory that has lost this name.
            self.release(&path, old);
        }
        watch.is_ok()
    }

    /// Ends a watch for one of its names, and if that was the last, for good.
    fn release(&mut self, path: &Path, watch: Result<i32, Blind>) {
        let Ok(watch) = watch else { return };
        let Some(paths) = self.watches.get_mut(&watch) else { return };
        paths.retain(|other| **other != *path);
        if paths.is_empty() {
            self.watches.remove(&watch);
            if let Ok(inotify) = &mut self.inotify {
                inotify.remove(watch);
            }
        }
    }

    /// Ends a watch for all of its names: the directory is gone, or has others now.
    fn forget(&mut self, watch: i32) {
        self.unremember();
        for path in self.watches.remove(&watch).unwrap_or_default() {
            if self.directories.get(&path).is_some_and(|covered| covered.watch == Ok(watch)) {
                self.directories.remove(&path);
            }
        }
        if let Ok(inotify) = &mut self.inotify {
            inotify.remove(watch);
        }
    }
}

/// What is reused from event to event.
#[derive(Debug, Default)]
struct Scratch {
    /// Of the last event that only told of writing.
    watch: Option<i32>,
    name: Vec<u8>,
    path: PathBuf,
    place: Place,
}

impl Scratch {
    fn is_again(&mut self, watch: i32, name: &[u8]) -> bool {
        if self.watch == Some(watch) && self.name == name {
            return true;
        }
        self.watch = Some(watch);
        self.name.clear();
        self.name.extend_from_slice(name);
        false
    }

    /// Puts a path together where the last one was.
    fn join(&mut self, directory: &Path, name: &[u8]) {
        self.path.as_mut_os_string().clear();
        self.path.push(directory);
        self.path.push(OsStr::from_bytes(name));
    }
}

/// Judges what an event means.
struct Judge<'a, F> {
    patterns: &'a Patterns,
    cares: &'a F,
    links: &'a HashMap<PathBuf, Vec<PathBuf>>,
    renames: &'a mut VecDeque<u32>,
    scratch: &'a mut Scratch,
    seen: &'a mut Seen,
}

impl<F: Fn(&Path) -> bool> Judge<'_, F> {
    fn event(&mut self, directory: &Path, place: &Place, event: &Event<'_>, name: &[u8]) {
        let Self { patterns, links, scratch, seen, .. } = self;
        let what = event.events();
        let fit = patterns.enter(place, name, &mut scratch.place);
        scratch.join(directory, name);
        let path = &scratch.path;
        if what.contains(ReadFlags::ISDIR) {
            if fit.directory {
                insert(&mut seen.changed, path);
            }
            return;
        }
        let links = links.get(path);
        let comes = what.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        let goes = what.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM);
        // To inotify, a link is a file even if it leads to a directory.
        if fit.directory && (goes || comes) && path.symlink_metadata().is_ok_and(|m| m.is_symlink())
        {
            insert(&mut seen.changed, path);
        }
        let touched = match what == ReadFlags::MODIFY {
            true => &mut seen.written,
            false => &mut seen.touched,
        };
        let is_known = fit.file || links.is_some() || touched.contains(path);
        if !is_known && !(self.cares)(path) {
            return;
        }
        for path in links.into_iter().flatten() {
            insert(touched, path);
        }
        if links.is_none() || fit.file {
            insert(touched, path);
        }
        if what.contains(ReadFlags::MOVED_FROM) {
            if self.renames.len() == MAX_RENAMES {
                self.renames.pop_front();
            }
            self.renames.push_back(event.cookie());
        }
        if comes {
            self.comes(fit.file, event);
        }
    }

    /// A file has come to the name in `scratch`: one of which was never told, unless it was
    /// renamed from a name that was cared for.
    fn comes(&mut self, is_meant: bool, event: &Event<'_>) {
        if event.events().contains(ReadFlags::MOVED_TO) {
            let from = self.renames.iter().position(|cookie| *cookie == event.cookie());
            if let Some(from) = from {
                self.renames.remove(from);
                return;
            }
        }
        let path = &self.scratch.path;
        // A link is not a file that came; what it leads to may be there for long.
        if path.symlink_metadata().is_ok_and(|meta| !meta.is_file()) {
            return;
        }
        match self.links.get(path) {
            Some(links) if !is_meant => self.seen.born.extend(links.iter().cloned()),
            _ if is_meant => self.seen.born.push(path.clone()),
            _ => {}
        }
    }
}

fn insert(set: &mut HashSet<PathBuf>, path: &Path) {
    if !set.contains(path) {
        set.insert(path.to_owned());
    }
}
