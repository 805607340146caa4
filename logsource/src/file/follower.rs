//! One name, followed through every file that bears it: rename, truncate, remove, create.

mod carry;
mod closing;
mod copies;
mod cut;
mod resume;

use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use self::carry::HandedOver;
use self::copies::{Looked, Origin};
use super::catalog::{Catalog, Known};
use super::disk::{Disk, Stat};
use super::family::{self, Age, Order};
use super::identity::Opened;
use super::reading::{Account, Closed, Filled, Reading, Shared};
use crate::cursor::FileMark;
use crate::metrics::Count;
use crate::shell::now;
use crate::{Batch, Edge};

/// A writer may go on with a renamed file until it is told to open the new one.
const ROTATE_WAIT: Duration = Duration::from_secs(5);

/// A copy or an archive is being written as long as the last byte is not older than this.
const WRITTEN_WAIT: Duration = Duration::from_secs(2);

/// How soon to look again at what is not over.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// So often a directory is listed until nothing is renamed meanwhile.
const MAX_LISTINGS: usize = 4;

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
    /// How many files were told to have come to the name, and how many were found.
    births: u64,
    found: u64,
    /// How the rotated files are ordered, as far as the last look at all of them showed.
    order: Cell<Order>,
}

/// A file was cut; it must be begun anew.
struct Cut;

/// Whether somebody may still be writing a copy or an archive.
fn is_being_written(stat: &Stat) -> bool {
    let age = stat.modified.and_then(|modified| now().duration_since(modified).ok());
    age.is_none_or(|age| age < WRITTEN_WAIT)
}

/// Another file of the same log.
#[derive(Debug)]
struct Sibling {
    path: PathBuf,
    stat: Stat,
}

impl Sibling {
    /// Whether this is that file.
    fn is<F>(&self, file: &Opened<F>) -> bool {
        self.stat.inode() == file.stat.inode()
    }

    fn age(&self) -> Age {
        Age::of(&self.path, &self.stat)
    }

    fn directory(&self) -> &Path {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }
}

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
            nameless: false,
            looked: None,
            unsure: false,
            closed: None,
            waits: false,
            births: 0,
            found: 0,
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
            if !self.look(now)? {
                if self.births > 0 {
                    self.count_unseen()?;
                }
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
        loop {
            let Some(reading) = self.chain.get_mut(index) else { return Ok(Ok(None)) };
            let filled = reading.fill(now)?;
            if filled == Filled::Cut {
                return Ok(Err(Cut));
            }
            if filled != Filled::Nothing {
                reading.touched = now;
            }
            if filled == Filled::More && !reading.is_full() {
                continue;
            }
            // Were it cut while it was read, these might be the bytes of another line.
            if reading.has_lines() && (reading.is_cut()? || self.is_shown_cut(index)?) {
                return Ok(Err(Cut));
            }
            let Some(reading) = self.chain.get_mut(index) else { return Ok(Ok(None)) };
            reading.trusted |= reading.has_lines();
            if let Some(batch) = reading.take(max) {
                self.catalog.advance(reading.own_mark());
                return Ok(Ok(Some(batch)));
            }
            if filled != Filled::More {
                return Ok(if reading.end_look()? { Err(Cut) } else { Ok(None) });
            }
        }
    }

    /// Looks at who bears the name now. Says whether there is something new to read.
    pub(super) fn look(&mut self, now: Instant) -> io::Result<bool> {
        if let Some(begin) = self.pending.take() {
            self.begin(begin, now)?;
            return Ok(!self.chain.is_empty());
        }
        self.settle_retired();
        if self.closed.is_some() {
            return self.reopen(now);
        }
        let was_unsure = std::mem::take(&mut self.unsure);
        if let Some(newest) = self.chain.len().checked_sub(1)
            && let Some(last) = self.chain.back_mut()
            && (last.is_cut()? || self.is_shown_cut(newest)?)
        {
            self.restart(newest, now)?;
            return Ok(true);
        }
        let Some(stat) = self.disk.stat(&self.path)? else {
            if !std::mem::replace(&mut self.nameless, true)
                && let Some(last) = self.chain.back_mut()
            {
                last.touched = now;
            }
            return self.open_missed(None, now);
        };
        self.nameless = false;
        if self.chain.back().is_some_and(|last| last.is(&stat)) {
            if !was_unsure {
                return Ok(false);
            }
            // What could not be told may show now; it was written before what bears the name.
            let bearer = self.chain.pop_back();
            let any = self.open_missed(Some(stat.inode()), now);
            self.chain.extend(bearer);
            return any;
        }
        if self.chain.len() >= MAX_CHAIN {
            return Ok(false);
        }
        if self.chain.is_empty() && self.shared.open.is_full() {
            self.waits = true;
            return Ok(false);
        }
        let Some((file, offset)) = self.news_of(&stat)? else { return Ok(false) };
        if let Some(last) = self.chain.back_mut() {
            self.shared.metrics.add(Count::Rotations, 1);
            last.touched = now;
        }
        let missed = self.news(Some(file.stat.inode()))?;
        let bearer = self.disk.stat(&self.path)?;
        if bearer.is_none_or(|bearer| bearer.inode() != file.stat.inode()) {
            // It was renamed meanwhile, and is one of several of which the order shows now.
            return self.open_missed(None, now);
        }
        self.push_missed(missed, now);
        self.found += 1;
        self.shared.metrics.add(Count::Files, 1);
        self.push(file, offset, None, now);
        Ok(true)
    }

    /// Opens the file that bears the name now, unless nothing in it is new. Gives where the new
    /// begins.
    fn news_of(&mut self, stat: &Stat) -> io::Result<Option<(Opened<D::File>, u64)>> {
        let known = self.catalog.get(stat);
        match known {
            Some(Known::Held(_)) => return Ok(None),
            Some(
                Known::Finished { size, .. }
                | Known::Copy { size, .. }
                | Known::PassedOver { size, .. },
            ) if size == stat.size => return Ok(None),
            Some(Known::WasCopy(_)) if is_being_written(stat) => {
                self.unsure = true;
                return Ok(None);
            }
            _ => {}
        }
        let Some(mut file) = Opened::open(&self.disk, &self.path)? else { return Ok(None) };
        if file.stat.inode() != stat.inode() {
            // It moved on meanwhile, and is looked at again for that.
            return Ok(None);
        }
        match known {
            Some(Known::Finished { mark, .. }) if file.holds(&mark) => {
                Ok(Some((file, mark.offset)))
            }
            Some(Known::WasCopy(mark)) if file.holds(&mark) => {
                if file.reaches(mark.offset + 1) {
                    return Ok(Some((file, mark.offset)));
                }
                self.catalog.settle(mark, stat.size);
                Ok(None)
            }
            Some(Known::PassedOver { size, .. }) if file.stat.size > size => Ok(Some((file, size))),
            None if self.is_too_old(&file.stat) => {
                self.pass_over(&file.stat);
                Ok(None)
            }
            None | Some(Known::Copy { .. })
                if self.chain.is_empty() && self.is_made_of_others(&mut file)? =>
            {
                Ok(None)
            }
            _ => Ok(Some((file, 0))),
        }
    }

    /// The name may have moved on more than once since the last look: opens the files that have
    /// come and were renamed since. Says whether there were any.
    fn open_missed(&mut self, bearer: Option<(u64, u64)>, now: Instant) -> io::Result<bool> {
        let missed = self.news(bearer)?;
        let any = !missed.is_empty();
        self.push_missed(missed, now);
        Ok(any)
    }

    /// The files that have come and were renamed since.
    fn news(&mut self, bearer: Option<(u64, u64)>) -> io::Result<Vec<(Sibling, Opened<D::File>)>> {
        self.missed(|sibling, follower| {
            Some(sibling.stat.inode()) != bearer
                && follower.catalog.is_news(sibling.directory(), &sibling.stat)
        })
    }

    fn push_missed(&mut self, missed: Vec<(Sibling, Opened<D::File>)>, now: Instant) {
        // Those that find no room are news again when there is.
        let room = MAX_CHAIN.saturating_sub(self.chain.len());
        for (sibling, file) in missed.into_iter().take(room) {
            self.found += 1;
            self.catalog.see(sibling.directory(), &sibling.stat);
            self.shared.metrics.add(Count::Rotations, 1);
            self.shared.metrics.add(Count::Files, 1);
            self.push(file, 0, None, now);
        }
    }

    /// The rotated files that were never read, of those asked for, in their order. Copies and
    /// archives of what was read are not among them.
    fn missed(
        &mut self,
        wanted: impl Fn(&Sibling, &Self) -> bool,
    ) -> io::Result<Vec<(Sibling, Opened<D::File>)>> {
        let mut siblings = self.siblings();
        // Plain ones first, so that an archive of one of them is known for what it is.
        siblings.sort_by_key(|sibling| family::is_packed(&sibling.path));
        let mut missed: Vec<(Sibling, Opened<D::File>)> = Vec::new();
        for sibling in siblings {
            if self.catalog.get(&sibling.stat).is_some() || !wanted(&sibling, self) {
                continue;
            }
            // Where names moved on since they were listed, the next look shows them anew.
            let Some(mut file) = self.open_sibling(&sibling) else { continue };
            if file.head.len == 0 {
                // A copy or an archive may be about to be written: what it is shows later.
                continue;
            }
            match self.origin_of(&mut file, &sibling, usize::MAX)? {
                Origin::Unsure => self.unsure = true,
                Origin::Of(origin) => self.note_copy(origin, &sibling, &file),
                Origin::None if self.is_too_old(&file.stat) => self.pass_over(&file.stat),
                Origin::None => {
                    if !missed.iter_mut().any(|(_, other)| file.is_within(&mut other.content)) {
                        missed.push((sibling, file));
                    }
                }
            }
        }
        self.sort(&mut missed, |(sibling, _)| sibling.age());
        Ok(missed)
    }

    /// Lets go of the renamed files to which nobody has written for a while. What is left of a
    /// last line is a line then.
    fn close_finished(&mut self, now: Instant) -> io::Result<Option<Batch>> {
        let newest = self.chain.len().saturating_sub(1);
        for index in 0..self.chain.len() {
            let Some(reading) = self.chain.get_mut(index) else { break };
            // The last one is let go of only when no other has its name, and it is deleted. What
            // a pattern matched is over with its name: else every old file would stay open.
            let is_over = self.nameless
                && (self.catalog.is_of_pattern()
                    || reading.stat().is_ok_and(|stat| stat.links == 0));
            let bears_the_name = index == newest && !is_over;
            let is_quiet = now.saturating_duration_since(reading.touched) >= ROTATE_WAIT;
            if is_quiet && reading.rest() {
                continue;
            }
            let is_over = is_quiet || reading.is_over();
            let quiet = now.saturating_duration_since(reading.touched);
            let is_to_go = self.shared.keeping.remove_after.is_some_and(|wait| quiet >= wait);
            if (bears_the_name || !is_over) && !is_to_go {
                continue;
            }
            if reading.has_partial() {
                reading.finish();
                return Ok(reading.take(usize::MAX));
            }
            // Its place is kept until all of it is acknowledged.
            let account = reading.account();
            if !(account.is_settled() || account.is_frozen()) {
                continue;
            }
            if is_to_go && account.is_settled() {
                self.remove(index, now)?;
                return Ok(None);
            }
            if !bears_the_name
                && is_over
                && let Some(reading) = self.chain.remove(index)
            {
                self.finish(reading);
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn finish(&mut self, reading: Reading<D::File>) {
        let mark = FileMark { finished: true, ..reading.mark() };
        if let (Some(store), true) = (&self.shared.store, reading.account().is_settled()) {
            // It is kept as long as the file is there: a copy of it is not to be read either.
            store.set(reading.key(), &crate::Cursor::of_files(vec![mark.clone()]));
        }
        self.note_finished(&mark);
        let size = reading.stat().map_or(u64::MAX, |stat| stat.size);
        let (path, ino, offset) = (self.path.display(), mark.file.ino, mark.offset);
        tracing::debug!(%path, ino, size, offset, "done with a file");
        let copies = self.catalog.finish(mark, size);
        self.keep(copies);
    }

    fn note_finished(&mut self, mark: &FileMark) {
        if self.finished.len() == MAX_FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(mark.clone());
    }

    /// Keeps the places of copies in which nothing is left to read, so that they are known after a
    /// restart.
    fn keep(&self, copies: Vec<FileMark>) {
        let Some(store) = &self.shared.store else { return };
        for mark in copies {
            let key = format!("{}:{}:{}", mark.file.dev, mark.file.ino, mark.file.path.display());
            store.set(&key, &crate::Cursor::of_files(vec![mark]));
        }
    }

    /// Forgets the places in contents that are gone, once they are acknowledged.
    fn settle_retired(&mut self) {
        let Some(store) = &self.shared.store else { return };
        self.retired.retain(|account| {
            if account.is_settled() {
                store.remove(&account.key);
            }
            !account.is_settled()
        });
        // What is never acknowledged shows again at the next start.
        let excess = self.retired.len().saturating_sub(MAX_FINISHED);
        self.retired.drain(..excess);
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
        self.catalog.hold(reading.own_mark());
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

    /// The rotated files of this log, in the order in which they were last written.
    fn siblings(&self) -> Vec<Sibling> {
        let mut times = self.directory_times();
        for _ in 0..MAX_LISTINGS {
            let found = self.list_siblings();
            // What is renamed while a directory is listed may not be listed at all.
            let then = std::mem::replace(&mut times, self.directory_times());
            if then == times {
                return found;
            }
        }
        self.list_siblings()
    }

    /// Puts files of this log into the order in which they were written.
    fn sort<T>(&self, files: &mut [T], age: impl Fn(&T) -> Age) {
        let order = self.order.get();
        files.sort_by(|one, two| order.compare(&age(one), &age(two)));
    }

    /// When names in the directories changed last.
    fn directory_times(&self) -> Vec<Option<SystemTime>> {
        let stats = self.directories().map(|at| self.disk.stat(&at));
        stats.map(|stat| stat.ok().flatten().and_then(|stat| stat.modified)).collect()
    }

    /// Opens one of them, unless its name was given to another meanwhile.
    fn open_sibling(&self, sibling: &Sibling) -> Option<Opened<D::File>> {
        let file = Opened::open(&self.disk, &sibling.path).ok().flatten();
        file.filter(|file| file.stat.inode() == sibling.stat.inode())
    }

    fn list_siblings(&self) -> Vec<Sibling> {
        let mut found = Vec::new();
        for (directory, base) in self.homes() {
            for (path, _) in self.disk.list(&directory).unwrap_or_default() {
                let name = path.file_name().unwrap_or_default();
                if !family::is_rotation_of(name, base.file_name().unwrap_or_default()) {
                    continue;
                }
                if let Ok(Some(stat)) = self.disk.stat(&path)
                    && stat.is_file
                {
                    found.push(Sibling { path, stat });
                }
            }
        }
        // A file may have two names, or have got another one while it was listed.
        let mut inodes = HashSet::new();
        found.retain(|file| inodes.insert(file.stat.inode()));
        let ages: Vec<Age> = found.iter().map(Sibling::age).collect();
        self.order.set(Order::of(&ages));
        self.sort(&mut found, Sibling::age);
        found
    }

    /// The name, and the one that it is a link to, with the directories that they are in.
    fn homes(&self) -> Vec<(PathBuf, PathBuf)> {
        let mut paths = vec![self.path.to_path_buf()];
        paths.extend(self.disk.target(&self.path));
        let homes = paths.into_iter().map(|path| {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            (parent.unwrap_or(Path::new(".")).to_owned(), path)
        });
        homes.collect()
    }

    fn directories(&self) -> impl Iterator<Item = PathBuf> + use<D> {
        self.homes().into_iter().map(|(directory, _)| directory)
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
