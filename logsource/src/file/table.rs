//! The files of a source by name, and which of them to look at next.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::disk::{Real, Stat};
use super::family;
use super::open_files::OpenFiles;

pub(super) type Follower = super::follower::Follower<Real>;

/// A file is looked at when it was touched, or when it is due. Whatever else there is costs
/// nothing.
#[derive(Debug)]
pub(super) struct Table {
    files: HashMap<Arc<Path>, Box<Entry>>,
    ready: Ready,
    /// Those that were touched since it was last asked.
    news: Vec<Arc<Path>>,
    /// Those that are to be looked at some time, whether touched or not.
    due: BTreeSet<(Instant, Arc<Path>)>,
    /// Those with files that were renamed away and are still being read.
    busy: HashSet<Arc<Path>>,
    /// Those for which there was no room to be open.
    waiting: VecDeque<Arc<Path>>,
    /// Those of which not all is read, and how long the oldest of that has been there.
    behind: HashMap<Arc<Path>, Duration>,
    /// How often everything was looked at.
    round: u64,
    lag: u64,
}

/// Those to be read, each once: files in turn, and archives one after another. To unpack takes memory,
/// some of them megabytes, and a directory may have archives by the thousand. Nobody waits for what
/// is in them, but they are not to wait for ever either.
#[derive(Debug, Default)]
struct Ready {
    files: VecDeque<Arc<Path>>,
    archives: VecDeque<Arc<Path>>,
    /// Whose turn it was.
    was_archive: bool,
}

impl Ready {
    fn pop(&mut self) -> Option<Arc<Path>> {
        self.was_archive = !self.was_archive;
        let (first, other) = match self.was_archive {
            true => (&mut self.archives, &mut self.files),
            false => (&mut self.files, &mut self.archives),
        };
        first.pop_front().or_else(|| other.pop_front())
    }

    fn is_empty(&self) -> bool {
        self.files.is_empty() && self.archives.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Path>> {
        self.files.iter().chain(&self.archives)
    }
}

#[derive(Debug)]
struct Entry {
    follower: Follower,
    is_ready: bool,
    /// In which queue it is, or was last.
    is_among_archives: bool,
    /// Something other than that it was written may have happened to it since it was last read to
    /// its end.
    is_strange: bool,
    /// It waits for room to be open.
    waits: bool,
    due: Option<Instant>,
    /// How it was at the last look at everything.
    stamp: Option<Stamp>,
    /// How it was when it was last read to its end, if it is polled, and until when that counts.
    rest: Option<(Stamp, Option<Instant>)>,
    /// In which of those looks it was there.
    round: u64,
    /// When it was last seen to change.
    changed: Instant,
    lag: u64,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    modified: Option<std::time::SystemTime>,
}

impl From<&Stat> for Stamp {
    fn from(stat: &Stat) -> Self {
        Self { inode: stat.inode(), size: stat.size, modified: stat.modified }
    }
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            files: HashMap::new(),
            ready: Ready::default(),
            news: Vec::new(),
            due: BTreeSet::new(),
            busy: HashSet::new(),
            waiting: VecDeque::new(),
            behind: HashMap::new(),
            round: 0,
            lag: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Adds a file; it is to be read.
    pub(super) fn add(&mut self, follower: Follower, now: Instant) {
        let path = Arc::clone(follower.path());
        let entry = Entry {
            follower,
            is_ready: false,
            is_among_archives: false,
            is_strange: true,
            waits: false,
            due: None,
            stamp: None,
            rest: None,
            round: self.round,
            changed: now,
            lag: 0,
        };
        self.remove(&path);
        self.files.insert(Arc::clone(&path), Box::new(entry));
        self.touch(&path);
    }

    pub(super) fn remove(&mut self, path: &Path) {
        let Some((path, entry)) = self.files.remove_entry(path) else { return };
        if let Some(due) = entry.due {
            self.due.remove(&(due, Arc::clone(&path)));
        }
        self.busy.remove(&path);
        self.behind.remove(&path);
        self.lag -= entry.lag;
    }

    pub(super) fn follower(&mut self, path: &Path) -> Option<&mut Follower> {
        self.files.get_mut(path).map(|entry| &mut entry.follower)
    }

    /// The same, and whether all that can have happened to the file since it was last read to its
    /// end is that it was written.
    pub(super) fn next_read(&mut self, path: &Path) -> Option<(&mut Follower, bool)> {
        self.files.get_mut(path).map(|entry| (&mut entry.follower, !entry.is_strange))
    }

    /// Something may have happened to a file. Says whether it is one of these.
    pub(super) fn touch(&mut self, path: &Path) -> bool {
        if let Some(entry) = self.files.get_mut(path) {
            entry.is_strange = true;
        }
        self.touch_written(path)
    }

    /// A file was written. Says whether it is one of these.
    pub(super) fn touch_written(&mut self, path: &Path) -> bool {
        let Some((path, _)) = self.files.get_key_value(path) else { return false };
        let path = Arc::clone(path);
        self.make_ready(&path);
        self.news.push(path);
        true
    }

    /// Something happened to a file that was renamed away.
    pub(super) fn touch_busy(&mut self) {
        for path in self.busy.iter().cloned().collect::<Vec<_>>() {
            self.touch(&path);
        }
    }

    /// The followed files of which a path may be what a rotation or a copy is called.
    pub(super) fn kin(&self, path: &Path) -> Vec<Arc<Path>> {
        let (Some(name), Some(directory)) = (path.file_name(), path.parent()) else {
            return Vec::new();
        };
        let bases = family::bases(name).into_iter();
        let paths = bases.map(|base| directory.join(OsStr::from_bytes(&base)));
        paths.filter_map(|path| Some(Arc::clone(self.files.get_key_value(&*path)?.0))).collect()
    }

    /// Something happened to what a path may be a rotation or a copy of. Says whether there is any.
    pub(super) fn touch_kin(&mut self, path: &Path) -> bool {
        let kin = self.kin(path);
        kin.iter().for_each(|path| _ = self.touch(path));
        !kin.is_empty()
    }

    /// A look at everything begins.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
    }

    /// A file was seen. Says whether it is one of these.
    pub(super) fn see(&mut self, path: &Path, stat: &Stat) -> bool {
        let Some(entry) = self.files.get_mut(path) else { return false };
        entry.round = self.round;
        let stamp = Some(Stamp::from(stat));
        if entry.stamp != stamp {
            entry.stamp = stamp;
            self.touch(path);
        }
        true
    }

    /// A look at everything is over: what was not seen has lost its name.
    pub(super) fn end_round(&mut self) {
        let round = self.round;
        let missing = self.files.iter_mut().filter(|(_, entry)| entry.round != round);
        let missing = missing.filter_map(|(path, entry)| entry.stamp.take().map(|_| path));
        for path in missing.cloned().collect::<Vec<_>>() {
            self.touch(&path);
        }
    }

    /// The next one to read.
    pub(super) fn next(&mut self) -> Option<Arc<Path>> {
        while let Some(path) = self.ready.pop() {
            if let Some(entry) = self.files.get_mut(&path)
                && std::mem::take(&mut entry.is_ready)
            {
                return Some(path);
            }
        }
        None
    }

    /// Those that were touched since the last time.
    pub(super) fn take_news(&mut self) -> Vec<Arc<Path>> {
        std::mem::take(&mut self.news)
    }

    /// Nobody asks which were touched.
    pub(super) fn forget_news(&mut self) {
        self.news.clear();
    }

    /// A batch of it was read.
    pub(super) fn changed(&mut self, path: &Path, now: Instant) {
        if let Some(entry) = self.files.get_mut(path) {
            entry.changed = now;
        }
    }

    /// There may be more of it. The others come first, unless it takes memory until it is read on.
    pub(super) fn again(&mut self, path: &Arc<Path>) {
        let Some(entry) = self.files.get_mut(path) else { return };
        let is_archive = entry.follower.is_archive();
        if is_archive && !entry.is_among_archives {
            // That was not known before it was opened: its turn is to come.
            entry.follower.park();
            return self.make_ready(path);
        }
        if !entry.follower.is_amid() {
            return self.make_ready(path);
        }
        if !std::mem::replace(&mut entry.is_ready, true) {
            let Ready { files, archives, .. } = &mut self.ready;
            let queue = if is_archive { archives } else { files };
            queue.push_front(Arc::clone(path));
        }
    }

    /// It was read to its end, and whatever happened to it was looked at.
    pub(super) fn at_end(&mut self, path: &Path) {
        if let Some(entry) = self.files.get_mut(path) {
            entry.is_strange = false;
        }
    }

    /// It is to be looked at by then.
    pub(super) fn later(&mut self, path: &Arc<Path>, at: Instant) {
        let Some(entry) = self.files.get_mut(path) else { return };
        if entry.due.is_some_and(|due| due <= at) {
            return;
        }
        if let Some(due) = entry.due.replace(at) {
            self.due.remove(&(due, Arc::clone(path)));
        }
        self.due.insert((at, Arc::clone(path)));
    }

    /// Takes out one that is due.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Arc<Path>> {
        self.next_due().filter(|due| *due <= now)?;
        let (_, path) = self.due.pop_first()?;
        if let Some(entry) = self.files.get_mut(&path) {
            entry.due = None;
        }
        Some(path)
    }

    /// A polled file was read to its end: so it was before that, and by then it is to be looked at
    /// though it does not change.
    pub(super) fn rest(&mut self, path: &Path, stat: Option<Stat>, until: Option<Instant>) {
        if let Some(entry) = self.files.get_mut(path) {
            entry.rest = stat.map(|stat| (Stamp::from(&stat), until));
        }
    }

    /// By when a polled file that was read to its end is looked at in any case.
    pub(super) fn rests_until(&self, path: &Path) -> Option<Instant> {
        self.files.get(path)?.rest?.1
    }

    /// Whether a polled file is as it was when it was read to its end, and not due for anything else.
    pub(super) fn is_as_it_rested(
        &self,
        path: &Path,
        now: Instant,
        stat: impl FnOnce() -> Option<Stat>,
    ) -> bool {
        let rest = self.files.get(path).and_then(|entry| entry.rest);
        rest.is_some_and(|(stamp, until)| {
            until.is_none_or(|until| until > now)
                && stat().is_some_and(|stat| Stamp::from(&stat) == stamp)
        })
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// How long it has not changed.
    pub(super) fn idle(&self, path: &Path, now: Instant) -> Duration {
        let changed = self.files.get(path).map_or(now, |entry| entry.changed);
        now.saturating_duration_since(changed)
    }

    /// Notes how far behind a file is, and whether it has others behind it.
    pub(super) fn note(&mut self, path: &Arc<Path>, now: Instant) {
        let Some(entry) = self.files.get_mut(path) else { return };
        let (lag, age) = entry.follower.lag(now);
        self.lag = self.lag - std::mem::replace(&mut entry.lag, lag) + lag;
        match age {
            Some(age) => self.behind.insert(Arc::clone(path), age),
            None => self.behind.remove(path),
        };
        if entry.follower.is_busy() {
            self.busy.insert(Arc::clone(path));
        } else {
            self.busy.remove(path);
        }
    }

    /// Notes how far behind those are that wait to be read, or were behind before.
    pub(super) fn note_all(&mut self, now: Instant) {
        let waiting: HashSet<_> = self.ready.iter().chain(self.behind.keys()).cloned().collect();
        for path in waiting {
            self.note(&path, now);
        }
    }

    /// How far behind all of them are, in bytes.
    pub(super) fn lag(&self) -> u64 {
        self.lag
    }

    /// How long the oldest byte that is not read has been there.
    pub(super) fn lag_age(&self) -> Duration {
        self.behind.values().max().copied().unwrap_or_default()
    }

    /// There was no room for it to be open: what happened to it was not looked at.
    pub(super) fn wait(&mut self, path: &Arc<Path>) {
        let Some(entry) = self.files.get_mut(path) else { return };
        entry.is_strange = true;
        if !std::mem::replace(&mut entry.waits, true) {
            self.waiting.push_back(Arc::clone(path));
        }
    }

    /// Has as many that wait looked at as there is room for. Where there is none, closes those
    /// that were read, half of all at the most.
    pub(super) fn make_room(&mut self, open: &OpenFiles) {
        if self.waiting.is_empty() {
            return;
        }
        // Those that are to be read are closed by and by.
        if open.is_full() && self.ready.is_empty() {
            let idle = self.files.values_mut().filter(|entry| !entry.is_ready);
            idle.filter(|entry| entry.follower.may_close())
                .for_each(|entry| entry.follower.close());
        }
        for _ in 0..open.room() {
            let Some(path) = self.waiting.pop_front() else { break };
            if let Some(entry) = self.files.get_mut(&path) {
                entry.waits = false;
            }
            self.make_ready(&path);
        }
    }

    /// Lets go of deleted files that were not read to their end, the oldest first, until they take
    /// no more space than that. Gives what they take.
    pub(super) fn shed(&mut self, most: u64) -> u64 {
        let mut held = Vec::new();
        for path in &self.busy {
            let Some(entry) = self.files.get(path) else { continue };
            let of_one = entry.follower.held();
            held.extend(of_one.map(|(index, since, space)| (since, index, space, path)));
        }
        let mut sum: u64 = held.iter().map(|(.., space, _)| space).sum();
        // The oldest first; of one log, that is the first, so that the others move up.
        held.sort_unstable();
        let mut gone: HashMap<&Arc<Path>, Vec<usize>> = HashMap::new();
        for (_, index, space, path) in held {
            if sum <= most {
                break;
            }
            let gone = gone.entry(path).or_default();
            if let Some(entry) = self.files.get_mut(path) {
                let before = gone.iter().filter(|other| **other < index).count();
                entry.follower.shed(index - before);
                gone.push(index);
                sum -= space;
            }
        }
        sum
    }

    fn make_ready(&mut self, path: &Arc<Path>) {
        if let Some(entry) = self.files.get_mut(path)
            && !std::mem::replace(&mut entry.is_ready, true)
        {
            let Ready { files, archives, .. } = &mut self.ready;
            entry.is_among_archives = entry.follower.is_archive();
            let queue = if entry.is_among_archives { archives } else { files };
            queue.push_back(Arc::clone(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_in_turn_and_archives_one_after_another_beside_them() {
        let names = |names: &[&str]| names.iter().map(|name| Path::new(name).into()).collect();
        let mut ready = Ready {
            files: names(&["a", "b"]),
            archives: names(&["1.gz", "2.gz"]),
            was_archive: true,
        };
        let mut popped = Vec::new();
        // A file that is written all the time, and one of whose batches two are left.
        for _ in 0..6 {
            let path = ready.pop().unwrap();
            popped.push(path.display().to_string());
            let batches = popped.iter().filter(|name| **name == *popped.last().unwrap()).count();
            match path.extension() {
                None => ready.files.push_back(path),
                Some(_) if batches < 2 => ready.archives.push_front(path),
                Some(_) => {}
            }
        }
        assert_eq!(popped, ["a", "1.gz", "b", "1.gz", "a", "2.gz"]);
        ready.files.clear();
        assert_eq!(ready.iter().count(), 1);
        assert_eq!(ready.pop().as_deref(), Some(Path::new("2.gz")));
        assert!(ready.pop().is_none() && ready.is_empty());
    }
}
