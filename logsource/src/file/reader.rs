//! The thread of a `tail`: looks, reads, hands on, and writes down how far it was acknowledged.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::follower::{Begin, Follower, Known};
use super::pattern::Pattern;
use super::reading::Shared;
use super::watcher::Watcher;
use super::{Status, Watch};
use crate::cursor::FileMark;
use crate::metrics::Count;
use crate::shell::{Pushed, Queue, ticks, wait};
use crate::{Batch, Edge, Error, Position};

/// How often acknowledged places are written to disk.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// How often everything is looked at, though no event came.
const SAFETY: Duration = Duration::from_secs(1);

/// How often places of files that are gone are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(600);

type Items = Queue<Result<Batch, Error>>;

pub(super) struct Reader<'a> {
    pub(super) shared: Shared,
    pub(super) pattern: Pattern,
    pub(super) poll_interval: Duration,
    pub(super) watch: Watch,
    pub(super) status: Arc<Status>,
    pub(super) queue: &'a Items,
}

/// What is the same for every name of a source: where it begins.
#[derive(Debug)]
pub(super) struct Start {
    marks: BTreeMap<PathBuf, Vec<FileMark>>,
    /// For names that no mark speaks of.
    otherwise: Begin,
}

impl Start {
    /// Reads the position, and for [`Position::Resume`] the acknowledged places.
    pub(super) fn new(shared: &Shared, from: &Position) -> Result<Self, Error> {
        let all = || Begin::After(Vec::new());
        let (marks, otherwise) = match from {
            Position::Start => (Vec::new(), Begin::Edge(Edge::Start)),
            Position::End => (Vec::new(), Begin::Edge(Edge::End)),
            Position::At(cursor) if cursor.is_of_files() => (cursor.files().to_vec(), all()),
            Position::At(cursor) => {
                return Err(Error::invalid(format!("`{cursor}` is not a place in a file")));
            }
            Position::Resume { otherwise } => {
                let places = match &shared.store {
                    Some(store) => store.places()?,
                    None => BTreeMap::new(),
                };
                let marks = places.values().flat_map(|place| place.files().iter().cloned());
                let begin = if places.is_empty() { Begin::Edge(*otherwise) } else { all() };
                (marks.collect(), begin)
            }
        };
        let mut by_path = BTreeMap::<_, Vec<_>>::new();
        for mark in marks {
            by_path.entry(mark.file.path.clone()).or_default().push(mark);
        }
        Ok(Self { marks: by_path, otherwise })
    }

    /// The names to begin with: those with a mark first, so that a file that was renamed is
    /// followed under the name that its mark speaks of.
    pub(super) fn paths(&self, pattern: &Pattern) -> Vec<PathBuf> {
        let matched = pattern.paths();
        let is_ours = |path: &Path| {
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            pattern.matches(name) && path.parent() == Some(pattern.directory())
        };
        let mut paths: Vec<PathBuf> =
            self.marks.keys().filter(|path| is_ours(path)).cloned().collect();
        paths.extend(matched.into_iter().filter(|path| !self.marks.contains_key(path)));
        paths
    }

    pub(super) fn begin(&self, path: &Path) -> Begin {
        match self.marks.get(path) {
            Some(marks) => Begin::After(marks.clone()),
            None => self.otherwise.clone(),
        }
    }
}

/// What a `tail` begins with. It is found on the calling thread, so that the end is where it is
/// when `tail` is called: what is written after that is new.
#[derive(Debug)]
pub(super) struct Opening {
    known: Known,
    followers: Vec<Follower>,
    troubles: Vec<(PathBuf, std::io::Error)>,
    /// Why the acknowledged places are lost.
    broken: Option<Error>,
}

impl Opening {
    pub(super) fn new(shared: &Shared, pattern: &Pattern, from: &Position) -> Result<Self, Error> {
        // Read first even if an explicit position is a new beginning: a file that another version
        // wrote is not written over.
        let broken = match &shared.store {
            Some(store) => store.recover()?,
            None => None,
        };
        let start = Start::new(shared, from)?;
        if let Some(store) = &shared.store {
            // From now on this is not a first run, whether or not anything was there to read.
            store.set("run", &crate::Cursor::of_files(Vec::new()));
        }
        let known = Known::new(pattern.directory(), pattern.is_glob());
        let (mut followers, mut troubles) = (Vec::new(), Vec::new());
        for path in start.paths(pattern) {
            let mut follower = Follower::new(shared, &path, &known);
            if let Err(cause) = follower.begin(start.begin(&path)) {
                troubles.push((path, cause));
            }
            followers.push(follower);
        }
        Ok(Self { known, followers, troubles, broken })
    }
}

impl Reader<'_> {
    pub(super) fn run(mut self, opening: Opening) {
        let Opening { known, mut followers, troubles, broken } = opening;
        let mut watcher = match self.watch {
            Watch::Auto => Watcher::new(),
            Watch::Poll => Watcher::none(),
        };
        watcher.cover_all(self.pattern.directory(), followers.iter().map(Follower::path));
        if let Some(error) = broken {
            self.shared.metrics.add(Count::Errors, 1);
            self.queue.push((Err(error), 0));
        }
        for (path, cause) in troubles {
            self.report(&path, cause);
        }
        self.turn(&mut followers, &mut watcher, &known);
        self.flush();
    }

    fn turn(&mut self, followers: &mut Vec<Follower>, watcher: &mut Watcher, known: &Known) {
        let mut timers = Timers::new(ticks());
        // Everything is read until it is at its end, then only what gives a reason to.
        let mut look = true;
        while !self.queue.is_abandoned() {
            let now = ticks();
            let was_reading = look;
            if look {
                look = self.read_all(followers, watcher, now);
            }
            if timers.flush.due(now) {
                self.note(followers);
                self.flush();
            }
            if timers.forget.due(now) {
                self.forget(known);
            }
            if look {
                continue;
            }
            if was_reading {
                self.note(followers);
            }
            let whole = watcher.is_whole();
            let pause = if whole { self.poll_interval.max(SAFETY) } else { self.poll_interval };
            let files: Vec<BorrowedFd<'_>> = watcher.fd().into_iter().collect();
            let told = wait(self.queue.wake(), &files, pause.min(FLUSH_EVERY));
            look = told && watcher.drain(&self.pattern);
            if timers.safety.due_every(ticks(), pause) {
                look = true;
                watcher.cover_all(self.pattern.directory(), followers.iter().map(Follower::path));
            }
            if look && self.pattern.is_glob() {
                self.discover(followers, watcher, known);
            }
        }
    }

    /// One batch of every name, and again until there is nothing. Says whether it was stopped
    /// before it was through.
    fn read_all(
        &mut self,
        followers: &mut [Follower],
        watcher: &mut Watcher,
        now: Instant,
    ) -> bool {
        let mut more = false;
        for index in 0..followers.len() {
            let Some(follower) = followers.get_mut(index) else { continue };
            match follower.step(now, usize::MAX) {
                Ok(Some(batch)) => {
                    more = true;
                    if !self.hand_on(batch, followers, watcher) {
                        return false;
                    }
                }
                Ok(None) => self.status.resolve(follower.path()),
                Err(cause) => {
                    let path = follower.path().to_owned();
                    self.report(&path, cause);
                }
            }
        }
        more
    }

    /// Hands a batch on, and waits while there is no room. Renames are noticed even then: a file
    /// that is renamed twice while the consumer is slow must not be missed.
    fn hand_on(&self, batch: Batch, followers: &mut [Follower], watcher: &mut Watcher) -> bool {
        let mut item = Ok(batch);
        let mut flushed = ticks();
        loop {
            match self.queue.try_push(item, 0) {
                Pushed::Taken => return !self.queue.is_abandoned(),
                Pushed::Full(back) => item = back,
            }
            let files: Vec<BorrowedFd<'_>> = watcher.fd().into_iter().collect();
            let told = wait(self.queue.wake(), &files, FLUSH_EVERY);
            if self.queue.is_abandoned() {
                return false;
            }
            let mut look = told && watcher.drain(&self.pattern);
            if ticks().saturating_duration_since(flushed) >= FLUSH_EVERY {
                flushed = ticks();
                self.flush();
                look |= !watcher.is_whole();
            }
            if look {
                for follower in followers.iter_mut() {
                    // Trouble shows again, and is told, when it is read next.
                    follower.look().ok();
                }
            }
        }
    }

    /// Follows what matches the pattern since the last look, from its first byte.
    fn discover(&self, followers: &mut Vec<Follower>, watcher: &mut Watcher, known: &Known) {
        let old: HashSet<PathBuf> = followers.iter().map(|f| f.path().to_owned()).collect();
        for path in self.pattern.paths() {
            if !old.contains(&path) {
                watcher.cover_target(&path);
                followers.push(Follower::new(&self.shared, &path, known));
            }
        }
        followers.retain(|follower| !follower.is_idle() || follower.path().exists());
    }

    fn forget(&self, known: &Known) {
        let Ok(entries) = std::fs::read_dir(self.pattern.directory()) else { return };
        let there: HashSet<u64> = entries
            .filter_map(Result::ok)
            .map(|entry| std::os::unix::fs::DirEntryExt::ino(&entry))
            .collect();
        known.forget(|ino| there.contains(&ino));
        if let Some(store) = &self.shared.store {
            store.retain(|place| {
                place.files().iter().all(|mark| {
                    there.contains(&mark.file.ino) || known.is_held((mark.file.dev, mark.file.ino))
                })
            });
        }
    }

    fn note(&self, followers: &[Follower]) {
        let lag = followers.iter().map(Follower::lag).sum();
        self.shared.metrics.set_lag_bytes(lag);
    }

    /// A trouble that may pass is told once, and counted each time.
    fn report(&self, path: &Path, cause: std::io::Error) {
        self.shared.metrics.add(Count::Errors, 1);
        let error = Error::io(format!("cannot read {}", path.display()), cause).retryable();
        if self.status.trouble(path, error.to_string()) {
            self.queue.push((Err(error), 0));
        }
    }

    fn flush(&self) {
        let Some(store) = &self.shared.store else { return };
        if let Err(error) = store.flush() {
            self.shared.metrics.add(Count::Errors, 1);
            let error = error.retryable();
            if self.status.trouble(Path::new(""), error.to_string()) {
                self.queue.push((Err(error), 0));
            }
        } else {
            self.status.resolve(Path::new(""));
        }
    }
}

/// When each of the regular duties is due.
struct Timers {
    flush: Timer,
    safety: Timer,
    forget: Timer,
}

struct Timer {
    last: Instant,
    every: Duration,
}

impl Timers {
    fn new(now: Instant) -> Self {
        let timer = |every| Timer { last: now, every };
        Self { flush: timer(FLUSH_EVERY), safety: timer(SAFETY), forget: timer(FORGET_EVERY) }
    }
}

impl Timer {
    fn due(&mut self, now: Instant) -> bool {
        self.due_every(now, self.every)
    }

    fn due_every(&mut self, now: Instant, every: Duration) -> bool {
        let due = now.saturating_duration_since(self.last) >= every;
        if due {
            self.last = now;
        }
        due
    }
}
