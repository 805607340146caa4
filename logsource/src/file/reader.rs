//! Looks, reads, and tells what is wrong, for whoever takes what is read: a thread that hands it on
//! to the stream of a `tail`, or the caller of a `tail_blocking`.

mod pulled;
mod threaded;
mod waiting;

pub use self::pulled::BlockingTail;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::catalog::Catalog;
use super::discovery::{Idle, Nap, Pace, Patterns, Seen, Walk, Watcher};
use super::disk::{self, Disk, Real};
use super::health::Status;
use super::opening::Opening;
use super::reading::Shared;
use super::table::{Follower, Table};
use crate::metrics::{Count, Gauge};
use crate::shell::{Queue, ticks};
use crate::{Batch, Error};

/// How often it is told what is wrong, and how far behind it is.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// While there is something to read, events are asked for no more often.
const DRAIN_EVERY: Duration = Duration::from_millis(1);

/// A file that is written all the time is looked at in full no less often.
const FULL_LOOK_EVERY: Duration = Duration::from_secs(1);

/// Polled files that are due within this are looked at together.
const POLLS_APART: Duration = Duration::from_millis(50);

/// How soon what failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How often places of files that are gone are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// While directories come that hold directories that hold files, so often it is looked again.
const MAX_LOOKS: usize = 8;

/// About what a look at one file takes.
const LOOK: Duration = Duration::from_micros(5);

type Items = Queue<Result<Batch, Error>>;

/// What a `tail` is asked for.
pub(super) struct Settings {
    pub(super) shared: Shared,
    pub(super) patterns: Patterns,
    pub(super) poll_interval: Duration,
    pub(super) max_held_bytes: u64,
    pub(super) status: Arc<Status>,
    pub(super) queue: Arc<Items>,
}

/// What a turn came to.
#[expect(clippy::large_enum_variant, reason = "a batch is moved once, and boxes would be garbage")]
enum Turn {
    Read(Batch),
    /// A file had nothing to read, or could not be. There may be others.
    Looked,
    /// There was nothing to look at.
    Rested,
}

/// Reads what is ready, in turn, and else waits for what happens.
pub(super) struct Reader {
    settings: Settings,
    catalog: Catalog,
    table: Table,
    watcher: Watcher,
    seen: Seen,
    rescan: Pace,
    poll: Pace,
    nap: Nap,
    /// When events are asked for next, unless there are some.
    drain_at: Instant,
    note_at: Instant,
    forget_at: Instant,
    /// What the last look at everything could not look at.
    unseen: HashSet<PathBuf>,
    /// What is polled.
    blind: Vec<PathBuf>,
    begun: Instant,
    /// What happened before it began is known.
    is_begun: bool,
}

impl Reader {
    /// Looks at everything, and reads nothing yet.
    fn begin(settings: Settings, opening: Opening) -> Self {
        let Opening { catalog, table, watcher, troubles, broken } = opening;
        let now = ticks();
        let mut reader = Self {
            poll: Pace::of_polls(now, settings.poll_interval),
            settings,
            catalog,
            table,
            watcher,
            seen: Seen::default(),
            rescan: Pace::of_rescans(now),
            nap: Nap::new(now),
            drain_at: now,
            note_at: now + NOTE_EVERY,
            forget_at: now + FORGET_EVERY,
            unseen: HashSet::new(),
            blind: Vec::new(),
            begun: now,
            is_begun: false,
        };
        if let Some(error) = broken {
            reader.settings.shared.metrics.add(Count::Errors, 1);
            reader.settings.queue.push((Err(error), 0));
        }
        for (path, cause) in troubles {
            reader.report(&path, cause);
        }
        reader.look_at_all(now);
        reader.attend(now);
        reader.is_begun = true;
        reader
    }

    /// Reads a batch if there may be one, and else waits for what happens, `until` at the latest.
    fn turn(&mut self, until: Option<Instant>) -> Turn {
        let now = ticks();
        self.attend(now);
        // They are read next anyway.
        self.table.forget_news();
        self.table.make_room(&self.settings.shared.open);
        if let Some(path) = self.table.next() {
            return self.read(&path, now).map_or(Turn::Looked, Turn::Read);
        }
        self.note();
        self.rest(now, until);
        Turn::Rested
    }

    /// Whether there is room in memory for a next batch; if not, the queue's wake is signaled when
    /// there may be.
    fn has_room(&self) -> bool {
        let Settings { queue, shared, .. } = &self.settings;
        shared.intake.admits(|| queue.wake().rouser(), ticks())
    }

    /// Waits for room, and notices renames meanwhile: a file that is renamed twice while the
    /// consumer is slow must not be missed.
    fn wait_for_room(&mut self, until: Option<Instant>) -> Turn {
        self.wait(ticks(), until);
        let now = ticks();
        self.attend(now);
        for path in self.table.take_news() {
            if let Some(follower) = self.table.follower(&path) {
                // Trouble shows again, and is told, when it is read next.
                follower.look(now).ok();
            }
        }
        Turn::Rested
    }

    /// Writes down what was acknowledged: nothing more will be read.
    fn end(&self) {
        if let Some(store) = &self.settings.shared.store {
            // What is wrong is told below.
            store.flush().ok();
        }
        self.tell_of_store();
    }

    /// Sees what has happened, and does what is due.
    fn attend(&mut self, now: Instant) {
        if now >= self.drain_at {
            self.take_events(now);
            self.drain_at = now + DRAIN_EVERY;
        }
        if self.rescan.is_due(now) {
            self.look_at_all(now);
        } else if self.poll.is_due(now) && !self.blind.is_empty() {
            self.look_at_blind(now);
        }
        for path in self.catalog.take_news() {
            self.table.touch(&path);
        }
        while let Some(path) = self.table.take_due(now) {
            self.ripen(&path, now);
        }
        if now >= self.note_at {
            self.note_at = now + NOTE_EVERY;
            self.table.note_all(now);
            let held = self.table.shed(self.settings.max_held_bytes);
            self.settings.shared.metrics.set(Gauge::HeldBytes, held);
            self.note();
            self.tell_of_store();
        }
        if now >= self.forget_at {
            self.forget_at = now + FORGET_EVERY;
            self.forget();
        }
    }

    /// A file is due to be looked at: not if it is polled, and nothing has changed.
    fn ripen(&mut self, path: &Arc<Path>, now: Instant) {
        let is_quiet = self.watcher.blind(path).is_some()
            && self.table.is_as_it_rested(path, now, || Real.stat(path).ok().flatten());
        if is_quiet {
            self.poll_later(path, now);
            if let Some(until) = self.table.rests_until(path) {
                self.table.later(path, until);
            }
        } else {
            self.table.touch(path);
        }
    }

    fn poll_later(&mut self, path: &Arc<Path>, now: Instant) {
        let pace = Idle::new(self.settings.poll_interval, self.table.len(), LOOK);
        let at = now + pace.interval(self.table.idle(path, now));
        // Many at once cost less than each by itself.
        let since = at.saturating_duration_since(self.begun).as_millis();
        let late = POLLS_APART.as_millis() - since % POLLS_APART.as_millis();
        self.table.later(path, at + Duration::from_millis(u64::try_from(late).unwrap_or(0)));
    }

    /// One batch of a file, if it has any.
    fn read(&mut self, path: &Arc<Path>, now: Instant) -> Option<Batch> {
        // How it is before it is read: what comes later shows.
        let before = self.watcher.blind(path).map(|_| Real.stat(path).ok().flatten());
        let (follower, is_written) = self.table.next_read(path)?;
        let is_plain = before.is_none() && is_written;
        match follower.step(now, usize::MAX) {
            Ok(Some(batch)) => {
                // Of what is written all the time, that is the end of a look. At its name, and at
                // all else that no event may tell of, it is looked before long.
                let is_all = is_plain && follower.is_read_to_end();
                let next_look = if is_all { follower.next_look(now) } else { None };
                self.table.changed(path, now);
                if is_all {
                    let soon = now + FULL_LOOK_EVERY;
                    self.table.later(path, next_look.map_or(soon, |at| at.min(soon)));
                } else {
                    self.table.again(path);
                }
                return Some(batch);
            }
            Ok(None) => {
                let next_look = follower.next_look(now);
                let waits = follower.waits_for_room();
                let is_over = follower.is_idle() && !self.is_meant(path);
                self.settings.status.resolve(path);
                self.table.note(path, now);
                self.table.at_end(path);
                if is_over {
                    self.table.remove(path);
                    return None;
                }
                if waits {
                    self.table.wait(path);
                }
                if let Some(at) = next_look {
                    self.table.later(path, at);
                }
                if self.watcher.blind(path).is_some() {
                    self.table.rest(path, before.flatten(), next_look);
                    self.poll_later(path, now);
                }
            }
            Err(cause) => {
                self.report(path, cause);
                self.table.later(path, now + RETRY_AFTER.min(self.settings.poll_interval));
            }
        }
        None
    }

    /// Whether a path is to be followed though there is nothing to read now.
    fn is_meant(&self, path: &Path) -> bool {
        let named = self.settings.patterns.named();
        named.binary_search_by(|name| name.as_path().cmp(path)).is_ok()
            || Real.stat(path).is_ok_and(|stat| stat.is_some())
    }

    fn take_events(&mut self, now: Instant) {
        let Self { watcher, table, seen, .. } = self;
        let patterns = &self.settings.patterns;
        if watcher.drain(patterns, |path| !table.kin(path).is_empty(), seen) {
            self.nap.begin(now);
        }
        if let Some(path) = seen.again.take() {
            self.heed(&path, false, now);
        }
        if self.seen.is_empty() {
            return;
        }
        let mut seen = std::mem::take(&mut self.seen);
        let is_one = seen.is_one_written();
        let touched = seen.touched.drain().map(|path| (path, true));
        for (path, is_strange) in touched.chain(seen.written.drain().map(|path| (path, false))) {
            let has_kin = self.table.touch_kin(&path);
            let is_followed = self.heed(&path, is_strange, now);
            if is_one && is_followed && !has_kin {
                self.watcher.remember(&path);
            }
        }
        // What came while it began may have been opened before it was told of.
        for path in seen.born.drain(..).filter(|_| self.is_begun) {
            if let Some(follower) = self.table.follower(&path) {
                follower.is_born(now);
            }
        }
        if !seen.changed.is_empty() {
            self.look_in(&seen.changed, now);
        }
        if seen.lost_events {
            self.settings.shared.metrics.add(Count::Rescans, 1);
            self.table.touch_busy();
            self.look_at_all(now);
        }
        seen.clear();
        self.seen = seen;
    }

    /// Something happened to a path. Says whether it was followed before.
    fn heed(&mut self, path: &Path, is_strange: bool, now: Instant) -> bool {
        let is_followed = match is_strange {
            true => self.table.touch(path),
            false => self.table.touch_written(path),
        };
        if !is_followed {
            self.meet(path, now);
        } else if self.table.follower(path).is_some_and(|follower| follower.is_idle()) {
            // It may be the new name of one that is still read under its old one.
            self.table.touch_busy();
        }
        is_followed
    }

    /// Something happened to a path that is not followed.
    fn meet(&mut self, path: &Path, now: Instant) {
        if !self.settings.patterns.matches(path) {
            self.table.touch_busy();
        } else if Real.stat(path).is_ok_and(|stat| stat.is_some_and(|stat| stat.is_file)) {
            self.follow(path, now);
        }
    }

    /// Follows a file that came, from its first byte.
    fn follow(&mut self, path: &Path, now: Instant) {
        let Settings { shared, patterns, .. } = &self.settings;
        if self.table.len() < patterns.most() {
            let follower = Follower::new(&Real, shared, &path.into(), &self.catalog);
            self.table.add(follower, now);
            self.watcher.unremember();
        }
    }

    /// Looks at everything: what came, what changed, what is gone.
    fn look_at_all(&mut self, now: Instant) {
        self.table.begin_round();
        let begun = ticks();
        let mut walk = self.settings.patterns.walk();
        let mut is_new = self.watcher.cover(&walk, now);
        for _ in 1..MAX_LOOKS {
            self.merge(&walk, now);
            if !is_new {
                break;
            }
            walk = self.settings.patterns.walk();
            is_new = self.watcher.extend(&walk, now);
        }
        self.table.end_round();
        self.tell_of_walk(walk);
        self.blind = self.watcher.polled().map(|(path, _)| path.to_owned()).collect();
        self.tell_of_polling();
        self.rescan.done(now, ticks().saturating_duration_since(begun));
    }

    /// Looks at what no event tells of.
    fn look_at_blind(&mut self, now: Instant) {
        let begun = ticks();
        let directory = |path: &PathBuf| match self.watcher.is_directory(path) {
            true => Some(path.clone()),
            false => path.parent().map(Path::to_owned),
        };
        let directories: HashSet<PathBuf> = self.blind.iter().filter_map(directory).collect();
        self.look_in(&directories, now);
        self.poll.done(now, ticks().saturating_duration_since(begun));
    }

    fn look_in(&mut self, directories: &HashSet<PathBuf>, now: Instant) {
        for _ in 0..MAX_LOOKS {
            let walk = self.settings.patterns.walk_in(directories);
            let is_new = self.watcher.extend(&walk, now);
            self.merge(&walk, now);
            if !is_new {
                break;
            }
        }
    }

    fn merge(&mut self, walk: &Walk, now: Instant) {
        for found in &walk.found {
            if !self.table.see(&found.path, &found.stat) {
                self.follow(&found.path, now);
            }
        }
    }

    /// Forgets the places of files that are nowhere any more.
    fn forget(&self) {
        let Some(there) = disk::inodes(&Real, self.watcher.directories()) else { return };
        self.catalog.retain(|ino| there.contains(&ino));
        if let Some(store) = &self.settings.shared.store {
            store.retain(|place| {
                place.files().iter().all(|mark| {
                    let inode = (mark.file.dev, mark.file.ino);
                    there.contains(&inode.1) || self.catalog.is_held(inode)
                })
            });
        }
    }

    fn note(&self) {
        let metrics = &self.settings.shared.metrics;
        metrics.set(Gauge::LagBytes, self.table.lag());
        metrics.set(Gauge::LagSeconds, self.table.lag_age().as_secs());
        metrics.set(Gauge::WatchedFiles, self.table.len() as u64);
    }

    fn tell_of_polling(&self) {
        let Settings { shared, status, .. } = &self.settings;
        shared.metrics.set(Gauge::Polling, self.watcher.is_polling().into());
        let what = self.watcher.polled().find(|(_, why)| why.is_trouble());
        status.polling(what.map(|(path, why)| {
            let path = super::discovery::or_current(path).display();
            format!("{path} is polled: {why}")
        }));
    }

    fn tell_of_walk(&mut self, walk: Walk) {
        let was = std::mem::take(&mut self.unseen);
        for (path, cause) in walk.troubles {
            if path.as_os_str().is_empty() {
                // It is about the patterns.
                self.tell(Path::new("*"), Error::new(crate::ErrorKind::Io, cause.to_string()));
                self.unseen.insert("*".into());
                continue;
            }
            self.report(&path, cause);
            self.unseen.insert(path);
        }
        for path in was.difference(&self.unseen) {
            self.settings.status.resolve(path);
        }
    }

    fn report(&self, path: &Path, cause: std::io::Error) {
        self.tell(path, Error::io(format!("cannot read {}", path.display()), cause));
    }

    /// A trouble that may pass is told once, and counted each time.
    fn tell(&self, path: &Path, error: Error) {
        let Settings { shared, status, queue, .. } = &self.settings;
        shared.metrics.add(Count::Errors, 1);
        let error = error.retryable();
        if status.trouble(path, error.to_string()) {
            queue.push((Err(error), 0));
        }
    }

    /// The store writes by itself. If it cannot, that is told here.
    fn tell_of_store(&self) {
        let Some(store) = &self.settings.shared.store else { return };
        match store.trouble() {
            Some(error) => self.tell(Path::new(""), error),
            None => self.settings.status.resolve(Path::new("")),
        }
    }
}
