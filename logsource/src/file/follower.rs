//! One name, followed through every file that bears it: rename, truncate, remove, create.

mod carry;
mod cut;
mod resume;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::carry::HandedOver;
use super::catalog::{Catalog, Known};
use super::disk::{Disk, Stat};
use super::family;
use super::identity::{self, Opened};
use super::reading::{Account, Filled, Reading, Shared};
use crate::cursor::FileMark;
use crate::metrics::Count;
use crate::{Batch, Edge};

/// A writer may go on with a renamed file until it is told to open the new one.
const ROTATE_WAIT: Duration = Duration::from_secs(5);

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
    /// Nobody bears the name now.
    nameless: bool,
}

/// A file was cut; it must be begun anew.
struct Cut;

/// Another file of the same log.
#[derive(Debug)]
struct Sibling {
    path: PathBuf,
    stat: Stat,
}

impl Sibling {
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
            if let Some(batch) = self.close_finished(now) {
                return Ok(Some(batch));
            }
            if !self.look(now)? {
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
            if reading.has_lines() && reading.is_cut()? {
                return Ok(Err(Cut));
            }
            if let Some(batch) = reading.take(max) {
                return Ok(Ok(Some(batch)));
            }
            if filled != Filled::More {
                reading.end_look();
                return Ok(Ok(None));
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
        if let Some(last) = self.chain.back_mut()
            && last.is_cut()?
        {
            let newest = self.chain.len() - 1;
            self.restart(newest, now)?;
            return Ok(true);
        }
        let Some(stat) = self.disk.stat(&self.path)? else {
            if !std::mem::replace(&mut self.nameless, true)
                && let Some(last) = self.chain.back_mut()
            {
                last.touched = now;
            }
            return Ok(self.open_missed(None, now));
        };
        self.nameless = false;
        if self.chain.back().is_some_and(|last| last.is(&stat)) {
            return Ok(false);
        }
        let known = self.catalog.get(&stat);
        let nothing_new = match &known {
            Some(Known::Held) => true,
            Some(Known::Finished(mark)) => stat.size == mark.offset,
            Some(Known::PassedOver { size, .. }) => stat.size == *size,
            None => false,
        };
        if nothing_new || self.chain.len() >= MAX_CHAIN {
            return Ok(false);
        }
        let Some(mut file) = Opened::open(&self.disk, &self.path)? else { return Ok(false) };
        if let Some(last) = self.chain.back_mut() {
            self.shared.metrics.add(Count::Rotations, 1);
            last.touched = now;
        }
        self.open_missed(Some(file.stat.inode()), now);
        let offset = match known {
            Some(Known::Finished(mark)) if file.is(&mark) => mark.offset,
            Some(Known::PassedOver { size, .. }) if file.stat.size > size => size,
            _ => 0,
        };
        self.shared.metrics.add(Count::Files, 1);
        self.push(file, offset, None, now);
        Ok(true)
    }

    /// The name may have moved on more than once since the last look: opens the files that have
    /// come and were renamed since. Says whether there were any.
    fn open_missed(&mut self, bearer: Option<(u64, u64)>, now: Instant) -> bool {
        let room = MAX_CHAIN.saturating_sub(self.chain.len());
        let missed = self.missed(|sibling, follower| {
            Some(sibling.stat.inode()) != bearer
                && follower.catalog.is_news(sibling.directory(), &sibling.stat)
        });
        let any = !missed.is_empty();
        // Those that find no room are news again when there is.
        for (sibling, file) in missed.into_iter().take(room) {
            self.catalog.see(sibling.directory(), &sibling.stat);
            self.shared.metrics.add(Count::Rotations, 1);
            self.shared.metrics.add(Count::Files, 1);
            self.push(file, 0, None, now);
        }
        any
    }

    /// The rotated files that were never read, of those asked for, in their order. Copies and
    /// archives of what was read are not among them.
    fn missed(
        &mut self,
        wanted: impl Fn(&Sibling, &Self) -> bool,
    ) -> Vec<(Sibling, Opened<D::File>)> {
        let mut siblings = self.siblings();
        // Plain ones first, so that an archive of one of them is known for what it is.
        siblings.sort_by_key(|sibling| family::is_packed(&sibling.path));
        let mut missed: Vec<(Sibling, Opened<D::File>)> = Vec::new();
        for sibling in siblings {
            if self.catalog.get(&sibling.stat).is_some() || !wanted(&sibling, self) {
                continue;
            }
            let Ok(Some(mut file)) = Opened::open(&self.disk, &sibling.path) else { continue };
            if file.stat.inode() != sibling.stat.inode() {
                // The names moved on since they were listed: the next look shows them anew.
                continue;
            }
            if file.head.len == 0 {
                // A copy or an archive may be about to be written: what it is shows later.
                continue;
            }
            let is_known = self.is_known(&mut file)
                || missed.iter_mut().any(|(_, other)| file.is_copy_of(&other.whole(&self.path)));
            if is_known {
                self.shared.metrics.add(Count::Ignored, 1);
                self.catalog.see(sibling.directory(), &sibling.stat);
                self.catalog.pass_over(&file.stat);
            } else {
                missed.push((sibling, file));
            }
        }
        missed.sort_by_cached_key(|(sibling, _)| identity::age(&sibling.path, &sibling.stat));
        missed
    }

    /// Whether a file is a copy or an archive of what is read here, or was.
    pub(super) fn is_known(&self, file: &mut Opened<D::File>) -> bool {
        let held = self.chain.iter().map(Reading::mark);
        held.chain(self.finished.iter().cloned()).any(|mark| file.is_copy_of(&mark))
    }

    /// Lets go of the renamed files to which nobody has written for a while. What is left of a
    /// last line is a line then.
    fn close_finished(&mut self, now: Instant) -> Option<Batch> {
        let newest = self.chain.len().saturating_sub(1);
        for index in 0..self.chain.len() {
            let reading = self.chain.get_mut(index)?;
            // The last one is let go of only when no other has its name, and it is deleted. What
            // a pattern matched is over with its name: else every old file would stay open.
            let is_over = self.nameless
                && (self.catalog.keeps_finished()
                    || reading.stat().is_ok_and(|stat| stat.links == 0));
            let bears_the_name = index == newest && !is_over;
            let is_quiet = now.saturating_duration_since(reading.touched) >= ROTATE_WAIT;
            if is_quiet && reading.rest() {
                continue;
            }
            if bears_the_name || !(is_quiet || reading.is_over()) {
                continue;
            }
            if reading.has_partial() {
                reading.finish();
                return reading.take(usize::MAX);
            }
            // Its place is kept until all of it is acknowledged.
            if reading.account().is_settled() || reading.account().is_frozen() {
                let reading = self.chain.remove(index)?;
                self.finish(reading);
                return None;
            }
        }
        None
    }

    fn finish(&mut self, reading: Reading<D::File>) {
        let mark = FileMark { finished: true, ..reading.mark() };
        if let (Some(store), true) = (&self.shared.store, reading.account().is_settled()) {
            if self.catalog.keeps_finished() {
                store.set(reading.key(), &crate::Cursor::of_files(vec![mark.clone()]));
            } else {
                store.remove(reading.key());
            }
        }
        if self.finished.len() == MAX_FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(mark.clone());
        self.catalog.finish(mark);
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
        self.catalog.hold(file.stat.inode());
        for directory in self.directories() {
            self.catalog.see(&directory, &file.stat);
        }
        let account = account.unwrap_or_else(|| Err(self.new_key(&file.stat)));
        let reading = Reading::new(&self.shared, &self.path, file, offset, account, now);
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
        found.sort_by_cached_key(|file| identity::age(&file.path, &file.stat));
        found.dedup_by_key(|file| file.stat.inode());
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
        self.chain.is_empty() && self.rest.is_empty()
    }

    /// Whether files are read, or waited for, that do not bear the name any more.
    pub(super) fn is_busy(&self) -> bool {
        self.chain.len() > 1 || (self.nameless && !self.chain.is_empty())
    }

    /// When to look again, though nothing may have happened: somebody waits for it, or time has to
    /// pass before it is over.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        let waits = self.is_busy() || self.pending.is_some() || !self.retired.is_empty();
        let soon = waits.then(|| now + LOOK_AGAIN);
        let deadlines = self.chain.iter().filter_map(Reading::next_deadline);
        // What of a packed file is held back is handed on once it is quiet.
        let packed = self.chain.iter().filter(|reading| reading.is_packed());
        let quiet = packed.map(|reading| reading.touched + ROTATE_WAIT).filter(|at| *at > now);
        deadlines.chain(quiet).chain(soon).min()
    }

    /// The places after what was taken as batches.
    pub(super) fn marks(&self) -> impl Iterator<Item = FileMark> {
        self.chain.iter().map(Reading::mark)
    }

    pub(super) fn lag(&self) -> u64 {
        self.chain.iter().map(Reading::lag).sum()
    }
}
