//! One name, followed through every file that bears it: rename, truncate, remove, create.

mod births;
mod carry;
mod closing;
mod copies;
mod cut;
mod finishing;
mod looking;
mod resume;
mod siblings;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::births::Births;
use self::carry::HandedOver;
use self::copies::Looked;
use self::finishing::ROTATE_WAIT;
use super::catalog::Catalog;
use super::disk::{Disk, Stat};
use super::family::Order;
use super::identity::Opened;
use super::reading::{Account, Closed, Filled, Reading, Shared};
use crate::cursor::FileMark;
use crate::{Batch, Edge};

/// How soon to look again at what is not over.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// More files than this are not held open behind one name; those beyond wait on the disk.
const MAX_CHAIN: usize = 64;

/// How many finished contents are remembered, to know a copy or an archive of them.
const MAX_FINISHED: usize = 64;

/// Where the reading of a name begins.
#[derive(Debug, Clone)]
pub(super) enum Begin {
    Edge(Edge),
    /// After these places, and at the start of every file that they do not speak of.
    After(Vec<Kept>),
}

/// A place that an earlier run left.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) mark: FileMark,
    /// What it is kept under.
    pub(super) key: Option<Arc<str>>,
}

/// A name and its files: the one that bears it now is the last, those renamed away come before it
/// and are read first.
#[derive(Debug)]
pub(super) struct Follower<D: Disk> {
    disk: D,
    shared: Shared,
    path: Arc<Path>,
    chain: VecDeque<Reading<D::File>>,
    catalog: Catalog,
    /// What was finished lately, oldest first.
    finished: VecDeque<FileMark>,
    /// Accounts of contents that are gone, and not acknowledged yet.
    retired: Vec<Account>,
    /// Where to begin, if that could not be found out yet.
    pending: Option<Begin>,
    /// What was taken already: of a file that was cut short, or while another was looked at.
    rest: VecDeque<Batch>,
    /// Of what was read for the last batch, something is left.
    left: bool,
    /// Nobody bears the name now.
    nameless: bool,
    /// When it was last looked for copies that show a cut.
    looked: Option<Looked>,
    /// There is a file of which it cannot be told yet what it is.
    unsure: bool,
    /// The file that bears the name, while it is closed.
    closed: Option<Closed>,
    /// There is something to read, and there was no room for an open file.
    waits: bool,
    /// Files that came to the name.
    births: Births,
    /// How the rotated files are ordered, as far as the last look at all of them showed.
    order: Cell<Order>,
}

/// A file was cut; it must be begun anew.
struct Cut;

impl<D: Disk> Follower<D> {
    pub(super) fn new(disk: &D, shared: &Shared, path: &Arc<Path>, catalog: &Catalog) -> Self {
        let follower = Self {
            disk: disk.clone(),
            shared: shared.clone(),
            path: Arc::clone(path),
            chain: VecDeque::new(),
            catalog: catalog.clone(),
            finished: VecDeque::new(),
            retired: Vec::new(),
            pending: None,
            rest: VecDeque::new(),
            left: false,
            nameless: false,
            looked: None,
            unsure: false,
            closed: None,
            waits: false,
            births: Births::default(),
            order: Cell::new(Order::Time),
        };
        for directory in follower.directories() {
            catalog.enter(disk, &directory);
        }
        follower
    }

    pub(super) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Reads until there is a batch; none if everything that is there has been read.
    pub(super) fn step(&mut self, now: Instant, max: usize) -> io::Result<Option<Batch>> {
        self.reopen(now)?;
        self.left = false;
        loop {
            if let Some(rest) = self.rest.pop_front() {
                return Ok(Some(rest));
            }
            let mut cut = None;
            for index in 0..self.chain.len() {
                let handed = match self.read_one(index, now, max)? {
                    Ok(None) => self.hand_over(index, now, max)?,
                    Ok(Some(batch)) => return Ok(Some(batch)),
                    Err(cut) => Err(cut),
                };
                match handed {
                    Ok(HandedOver::No | HandedOver::Yes) => {}
                    Ok(HandedOver::NotYet) => break,
                    Ok(HandedOver::More) => return Ok(self.rest.pop_front()),
                    Ok(HandedOver::NextIsCut) => {
                        cut = Some(index + 1);
                        break;
                    }
                    Err(Cut) => {
                        cut = Some(index);
                        break;
                    }
                }
            }
            if let Some(index) = cut {
                self.restart(index, now)?;
                continue;
            }
            if let Some(batch) = self.close_finished(now)? {
                return Ok(Some(batch));
            }
            if !self.look_at_name(now, false)? {
                self.count_unseen()?;
                self.close_quiet(now);
                return Ok(None);
            }
        }
    }

    /// One batch of one file, if it has any.
    fn read_one(
        &mut self,
        index: usize,
        now: Instant,
        max: usize,
    ) -> io::Result<Result<Option<Batch>, Cut>> {
        let Some(reading) = self.chain.get_mut(index) else { return Ok(Ok(None)) };
        if reading.begin_look()? {
            return Ok(Err(Cut));
        }
        // Records that found no room in the last batch are handed on first, and let go of.
        let mut is_left = reading.has_lines();
        loop {
            let Some(reading) = self.chain.get_mut(index) else { return Ok(Ok(None)) };
            let was_left = std::mem::take(&mut is_left);
            let filled = if was_left { reading.pass() } else { reading.fill(now)? };
            if filled == Filled::Cut {
                return Ok(Err(Cut));
            }
            if filled != Filled::Nothing && !was_left {
                reading.touched = now;
            }
            if filled == Filled::More && !was_left && !reading.is_full() {
                continue;
            }
            // Were it cut while it was read, these might be the bytes of another line.
            if reading.has_lines() && (reading.is_found_cut()? || self.is_shown_cut(index)?) {
                return Ok(Err(Cut));
            }
            let Some(reading) = self.chain.get_mut(index) else { return Ok(Ok(None)) };
            reading.trusted |= reading.has_lines();
            if index > 0
                && reading.has_lines()
                && let Some(batch) = self.read_late(index, now, max)?
            {
                return Ok(Ok(Some(batch)));
            }
            let Some(reading) = self.chain.get_mut(index) else { return Ok(Ok(None)) };
            if let Some(batch) = reading.take(max) {
                reading.end_look_early();
                self.left = reading.has_lines();
                self.catalog.advance(reading.own_mark());
                return Ok(Ok(Some(batch)));
            }
            // What was too long to be a line may stand before others.
            if filled != Filled::More && !reading.has_lines() {
                return Ok(if reading.end_look()? { Err(Cut) } else { Ok(None) });
            }
        }
    }

    /// One batch of what was written to the files before one since they were asked. It may have been
    /// written before what was read of that one.
    fn read_late(&mut self, index: usize, now: Instant, max: usize) -> io::Result<Option<Batch>> {
        for earlier in 0..index {
            if self.chain.get(earlier).is_some_and(Reading::has_grown)
                // A cut shows again when the file is asked next.
                && let Ok(Some(batch)) = self.read_one(earlier, now, max)?
            {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn push(
        &mut self,
        file: Opened<D::File>,
        offset: u64,
        account: Option<Result<Account, Arc<str>>>,
        now: Instant,
    ) {
        for directory in self.directories() {
            self.catalog.see(&directory, &file.stat);
        }
        let account = account.unwrap_or_else(|| Err(self.new_key(&file.stat)));
        let (ino, size, key) = (file.stat.ino, file.stat.size, account.as_ref().err());
        tracing::debug!(path = %self.path.display(), ino, size, offset, ?key, "reading a file");
        let reading = Reading::new(&self.shared, &self.path, file, offset, account, now);
        self.catalog.hold(reading.own_mark(), reading.share());
        if self.chain.is_empty() {
            // Mostly it is the only one, and a large one.
            self.chain.reserve_exact(1);
        }
        self.chain.push_back(reading);
    }

    /// What the place in a new content is kept under.
    fn new_key(&self, stat: &Stat) -> Arc<str> {
        let first = format!("{}:{}:{}", stat.dev, stat.ino, self.path.display());
        let Some(store) = &self.shared.store else { return first.into() };
        let mut later = (2_u64..).map(|n| format!("{first}#{n}"));
        let mut key = first.clone();
        while store.contains(&key) {
            key = later.next().unwrap_or_default();
        }
        key.into()
    }

    /// Whether everything that is there now was taken, except for a last line without its end.
    pub(super) fn is_at_end(&mut self, now: Instant) -> io::Result<bool> {
        for reading in &mut self.chain {
            if !reading.is_at_end(now)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the last batch took all that was there, and nothing is waited for but that more is
    /// written or that the name is another file's; nor is there another file that waits for room.
    pub(super) fn is_read_to_end(&self) -> bool {
        let waits = self.is_busy() || self.unsure || self.pending.is_some() || self.births.is_new();
        let is_over = self.retired.is_empty() && self.rest.is_empty() && !waits;
        let is_kept = self.shared.keeping.remove_after.is_none() && !self.shared.open.is_full();
        is_over && is_kept && self.chain.back().is_some_and(Reading::is_rested)
    }

    /// Whether all that is read is compressed: it was written long ago, most often.
    pub(super) fn is_archive(&self) -> bool {
        !self.chain.is_empty() && self.chain.iter().all(Reading::is_packed)
    }

    /// Whether it takes memory until it is read on: for what is left of what was read for the last
    /// batch, or to unpack an archive in the midst of which it is. It does not go on for ever: what is
    /// left is handed on before more is read, and an archive has an end.
    pub(super) fn is_amid(&self) -> bool {
        self.left || (self.is_archive() && self.chain.iter().any(Reading::is_amid))
    }

    /// Lets go of the memory that unpacking takes, until it is read on.
    pub(super) fn park(&mut self) {
        self.chain.iter_mut().for_each(Reading::park);
    }

    /// Whether there is no file to read.
    pub(super) fn is_idle(&self) -> bool {
        self.chain.is_empty() && self.rest.is_empty() && self.closed.is_none()
    }

    /// Whether files are read, or waited for, that do not bear the name any more.
    pub(super) fn is_busy(&self) -> bool {
        self.chain.len() > 1 || (self.nameless && !self.chain.is_empty())
    }

    /// When to look again, though nothing may have happened: somebody waits for it, or time has to
    /// pass before it is over.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        let waits =
            self.is_busy() || self.unsure || self.pending.is_some() || !self.retired.is_empty();
        let soon = waits.then(|| now + LOOK_AGAIN);
        let deadlines = self.chain.iter().filter_map(Reading::next_deadline);
        // What of a packed file is held back is handed on once it is quiet.
        let packed = self.chain.iter().filter(|reading| reading.is_packed());
        let quiet = packed.map(|reading| reading.touched + ROTATE_WAIT).filter(|at| *at > now);
        let keeping = &self.shared.keeping;
        let bearer = self.chain.back().filter(|_| self.chain.len() == 1);
        let closes = bearer.map(|reading| reading.touched + keeping.close_after);
        let removes = bearer.and_then(|reading| Some(reading.touched + keeping.remove_after?));
        // What is due for removal waits for acknowledgements.
        let removes = removes.map(|at| at.max(now + LOOK_AGAIN));
        let closes = closes.filter(|at| *at > now);
        deadlines.chain(quiet).chain(soon).chain(closes).chain(removes).min()
    }

    /// The places after what was taken as batches.
    pub(super) fn marks(&self) -> impl Iterator<Item = FileMark> {
        self.chain.iter().map(Reading::mark)
    }

    /// How much is not read yet, and how long the oldest of that has been there.
    pub(super) fn lag(&mut self, now: Instant) -> (u64, Option<Duration>) {
        let closed = self.closed.as_ref().filter(|_| self.waits);
        let closed = closed.and_then(|closed| {
            let stat = self.disk.stat(&self.path).ok().flatten();
            stat.filter(|stat| closed.is(stat)).map(|stat| (closed.lag(&stat), None))
        });
        let lags = self.chain.iter_mut().map(|reading| reading.lag(now)).chain(closed);
        lags.fold((0, None), |(bytes, age), (more, other)| (bytes + more, age.max(other)))
    }
}

#[cfg(test)]
mod tests;
