//! One name, followed through every file that bears it: rename, truncate, remove, create.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::identity::{self, Born, Opened};
use super::reading::{Filled, Reading, Shared};
use crate::cursor::FileMark;
use crate::metrics::{Count, DropReason};
use crate::{Batch, Edge};

/// A writer may go on with a renamed file until it is told to open the new one.
const ROTATE_WAIT: Duration = Duration::from_secs(5);

/// More files than this are not held open behind one name.
const MAX_CHAIN: usize = 64;

/// Where the reading of a name begins.
#[derive(Debug, Clone)]
pub(super) enum Begin {
    Edge(Edge),
    /// After these places, and at the start of every file that they do not speak of.
    After(Vec<FileMark>),
}

/// A name and its files: the one that bears it now is the last, those renamed away come before it
/// and are read first.
#[derive(Debug)]
pub(super) struct Follower {
    shared: Shared,
    path: Arc<Path>,
    chain: VecDeque<Reading>,
    known: Known,
    /// Where to begin, if that could not be found out yet.
    pending: Option<Begin>,
    /// What was held of a file when it was cut short.
    rest: VecDeque<Batch>,
    /// Nobody bears the name now.
    nameless: bool,
}

/// The inodes that the followers of a source hold or have finished. A pattern may match a file
/// under its old name and under its new one; it is read once.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    inodes: Arc<Mutex<Inodes>>,
    /// What was in the directory at first, and what was found there since. What is not among it
    /// has come since.
    seen: Arc<Mutex<HashSet<Born>>>,
    /// Keep what is finished: a pattern may match its new name.
    keeps_finished: bool,
}

/// By device and inode number: held now, or finished at this place.
type Inodes = HashMap<(u64, u64), Option<FileMark>>;

impl Known {
    pub(super) fn new(directory: &Path, keeps_finished: bool) -> Self {
        let seen = Arc::new(Mutex::new(identity::entries(directory)));
        Self { inodes: Arc::default(), seen, keeps_finished }
    }

    /// Whether a directory's entry is there for the first time.
    fn is_news(&self, entry: Born) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(entry)
    }

    /// `None`: never seen. `Some(None)`: held now. Else: finished, at this place.
    fn get(&self, inode: (u64, u64)) -> Option<Option<FileMark>> {
        self.lock().get(&inode).cloned()
    }

    fn hold(&self, inode: (u64, u64)) {
        self.lock().insert(inode, None);
    }

    fn finish(&self, mark: FileMark) {
        let inode = (mark.file.dev, mark.file.ino);
        if self.keeps_finished {
            self.lock().insert(inode, Some(mark));
        } else {
            self.lock().remove(&inode);
        }
    }

    /// Forgets the finished files that are in the directory no more.
    pub(super) fn forget(&self, is_there: impl Fn(u64) -> bool) {
        self.lock().retain(|(_, ino), finished| finished.is_none() || is_there(*ino));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|(ino, _)| is_there(*ino));
    }

    pub(super) fn is_held(&self, inode: (u64, u64)) -> bool {
        self.get(inode) == Some(None)
    }

    fn lock(&self) -> MutexGuard<'_, Inodes> {
        self.inodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Follower {
    pub(super) fn new(shared: &Shared, path: &Path, known: &Known) -> Self {
        let (shared, path, known) = (shared.clone(), Arc::from(path), known.clone());
        let (chain, rest) = (VecDeque::new(), VecDeque::new());
        Self { shared, path, chain, known, pending: None, rest, nameless: false }
    }

    /// Opens what there is, unless it is already followed under another name. If that fails, it is
    /// tried again with every look: the place is not forgotten.
    pub(super) fn begin(&mut self, begin: Begin) -> io::Result<()> {
        let begun = self.try_begin(&begin);
        self.pending = begun.is_err().then_some(begin);
        begun
    }

    fn try_begin(&mut self, begin: &Begin) -> io::Result<()> {
        let current =
            Opened::open(&self.path)?.filter(|file| !self.known.is_held((file.dev, file.ino)));
        let marks = match begin {
            Begin::Edge(Edge::End) => {
                if let Some(file) = current {
                    let end = file.end()?;
                    self.push(file, end);
                }
                return Ok(());
            }
            Begin::Edge(Edge::Start) => &[][..],
            Begin::After(marks) => marks,
        };
        self.resume(marks, current);
        Ok(())
    }

    /// Finds the files that the marks speak of, whatever they are called now, then those that came
    /// and went since, then the one that bears the name.
    fn resume(&mut self, marks: &[FileMark], current: Option<Opened>) {
        let mut rotated: Vec<(Opened, u64)> = Vec::new();
        let (mut current_at, mut lost, mut cut) = (None, false, None);
        for mark in marks {
            match &current {
                Some(file) if file.is(mark) && file.size >= mark.offset => {
                    current_at = Some(mark.offset);
                }
                Some(file) if file.ino == mark.file.ino && file.dev == mark.file.dev => {
                    cut = Some(mark);
                }
                _ => match identity::find(&self.path, mark) {
                    Some(file) if file.size >= mark.offset => rotated.push((file, mark.offset)),
                    _ => lost = true,
                },
            }
        }
        let until = current.as_ref().and_then(|file| file.age.0);
        if let Some(mark) = cut {
            self.shared.metrics.add(Count::Truncations, 1);
            match self.copy_of(mark.file.head, mark.offset) {
                Some(copy) => rotated.push(copy),
                // Or it is another file that has the inode number of the one that is gone.
                None => rotated.extend(self.written_since()),
            }
        } else if lost && current_at.is_none() && rotated.is_empty() {
            rotated.extend(self.written_since());
        } else if current_at.is_none()
            && let Some(after) = rotated.iter().filter_map(|(file, _)| file.age.0).max()
        {
            self.shared.metrics.add(Count::Rotations, 1);
            let known: Vec<u64> = rotated.iter().map(|(file, _)| file.ino).collect();
            let between = identity::rotated(&self.path).into_iter().filter(|(_, meta)| {
                let born = meta.created().ok();
                born >= Some(after)
                    && (until.is_none() || born <= until)
                    && !known.contains(&meta.ino())
            });
            let opened = between.filter_map(|(path, _)| Opened::open(&path).ok().flatten());
            rotated.extend(opened.map(|file| (file, 0)));
        }
        if lost && !self.known.keeps_finished {
            let path = self.path.display();
            tracing::warn!(%path, "a file that was being read is gone; its end may not be read");
            self.shared.metrics.drop_lines(DropReason::RotatedAway, 1);
        }
        rotated.sort_by_key(|(file, _)| file.age);
        for (file, offset) in rotated {
            self.push(file, offset);
        }
        if let Some(file) = current {
            self.push(file, current_at.unwrap_or(0));
        }
    }

    /// The rotated files that were written to after places were last written down, where the one
    /// that was being read then is gone. A pattern may name them itself, so there it is left at
    /// that.
    fn written_since(&self) -> Vec<(Opened, u64)> {
        let store = self.shared.store.as_ref().filter(|_| !self.known.keeps_finished);
        let Some(since) = store.and_then(|store| store.written_at()) else {
            return Vec::new();
        };
        let rotated = identity::rotated(&self.path).into_iter();
        let later = rotated.filter(|(_, meta)| {
            meta.modified().is_ok_and(|time| time >= since)
                && self.known.get(identity::inode(meta)).is_none()
        });
        later.filter_map(|(path, _)| Some((Opened::open(&path).ok()??, 0))).collect()
    }

    fn push(&mut self, file: Opened, offset: u64) {
        self.known.hold((file.dev, file.ino));
        self.known.is_news((file.ino, file.age.0));
        self.chain.push_back(Reading::new(&self.shared, &self.path, file, offset));
    }

    /// Reads until there is a batch; none if everything that is there has been read.
    pub(super) fn step(&mut self, now: Instant, max: usize) -> io::Result<Option<Batch>> {
        loop {
            if let Some(rest) = self.rest.pop_front() {
                return Ok(Some(rest));
            }
            for reading in &mut self.chain {
                loop {
                    let filled = reading.fill()?;
                    if filled != Filled::Nothing {
                        reading.touched = now;
                    }
                    if filled == Filled::More && !reading.is_full() {
                        continue;
                    }
                    if let Some(batch) = reading.take(max) {
                        return Ok(Some(batch));
                    }
                    if filled != Filled::More {
                        break;
                    }
                }
            }
            if let Some(batch) = self.close_finished(now) {
                return Ok(Some(batch));
            }
            if !self.look()? {
                return Ok(None);
            }
        }
    }

    /// Looks at who bears the name now. Says whether there is something new to read.
    pub(super) fn look(&mut self) -> io::Result<bool> {
        if let Some(begin) = self.pending.take() {
            self.begin(begin)?;
            return Ok(!self.chain.is_empty());
        }
        if let Some(last) = self.chain.back_mut()
            && last.is_cut()?
        {
            let (head, offset) = (last.head(), last.mark().offset);
            return self.restart(head, offset);
        }
        let meta = match std::fs::metadata(&self.path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !std::mem::replace(&mut self.nameless, true)
                    && let Some(last) = self.chain.back_mut()
                {
                    last.touched = crate::shell::ticks();
                }
                return Ok(self.open_missed(None));
            }
            Err(error) => return Err(error),
        };
        self.nameless = false;
        let inode = identity::inode(&meta);
        let finished = self.known.get(inode);
        let nothing_new = match &finished {
            Some(None) => true,
            Some(Some(mark)) => meta.len() == mark.offset,
            None => false,
        };
        if nothing_new || self.chain.len() >= MAX_CHAIN {
            return Ok(false);
        }
        let Some(file) = Opened::open(&self.path)? else { return Ok(false) };
        if let Some(last) = self.chain.back_mut() {
            self.shared.metrics.add(Count::Rotations, 1);
            last.touched = crate::shell::ticks();
        }
        self.open_missed(Some((file.dev, file.ino)));
        let same = finished.flatten().filter(|mark| file.is(mark) && file.size > mark.offset);
        self.push(file, same.map_or(0, |mark| mark.offset));
        Ok(true)
    }

    /// The name may have moved on more than once since the last look: opens the files that have
    /// come and were renamed since. Says whether there were any.
    fn open_missed(&mut self, bearer: Option<(u64, u64)>) -> bool {
        let before = self.chain.len();
        for (path, meta) in identity::rotated(&self.path) {
            if self.chain.len() >= MAX_CHAIN {
                break;
            }
            let inode = identity::inode(&meta);
            let is_news = self.known.is_news((meta.ino(), meta.created().ok()));
            if !is_news || Some(inode) == bearer || self.known.get(inode).is_some() {
                continue;
            }
            if let Ok(Some(file)) = Opened::open(&path) {
                self.shared.metrics.add(Count::Rotations, 1);
                self.push(file, 0);
            }
        }
        self.chain.len() > before
    }

    /// The file was cut in place. If a copy of it holds what was not read yet, that comes first;
    /// else what is held of a last line is all that is left of it.
    fn restart(&mut self, head: crate::cursor::Head, offset: u64) -> io::Result<bool> {
        let copy = self.copy_of(head, offset);
        let Some(mut last) = self.chain.pop_back() else { return Ok(false) };
        if copy.is_none() {
            self.rest.extend(last.take_rest());
        }
        if let Err(error) = last.restart() {
            self.chain.push_back(last);
            return Err(error);
        }
        if let Some((file, offset)) = copy {
            self.push(file, offset);
        }
        self.chain.push_back(last);
        Ok(true)
    }

    /// The newest copy of a file that has since been cut: it begins with the same bytes, and holds
    /// more than was read.
    fn copy_of(&self, head: crate::cursor::Head, offset: u64) -> Option<(Opened, u64)> {
        if head.len == 0 {
            return None;
        }
        let copies = identity::rotated(&self.path).into_iter().rev().filter_map(|(path, meta)| {
            self.known.is_news((meta.ino(), meta.created().ok()));
            Opened::open(&path).ok().flatten()
        });
        let mut unread = copies.filter(|file| file.size > offset);
        let copy = unread.find(|file| identity::begins_with(&file.file, head))?;
        Some((copy, offset))
    }

    /// Lets go of the renamed files to which nobody has written for a while. What is left of a
    /// last line is a line then.
    fn close_finished(&mut self, now: Instant) -> Option<Batch> {
        let newest = self.chain.len().saturating_sub(1);
        for index in 0..self.chain.len() {
            let reading = self.chain.get_mut(index)?;
            // The last one is let go of only when no other has its name, and it is deleted. What
            // a pattern matched is over with its name: else every old file would stay open.
            let is_over = self.nameless && (self.known.keeps_finished || reading.is_deleted());
            let bears_the_name = index == newest && !is_over;
            if bears_the_name || now.saturating_duration_since(reading.touched) < ROTATE_WAIT {
                continue;
            }
            if reading.has_partial() {
                reading.finish();
                return reading.take(usize::MAX);
            }
            let reading = self.chain.remove(index)?;
            self.known.finish(reading.mark());
            if let (Some(store), false, true) =
                (&self.shared.store, self.known.keeps_finished, reading.is_settled())
            {
                store.remove(&reading.key());
            }
            return None;
        }
        None
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether everything that is there now was taken, except for a last line without its end.
    pub(super) fn is_at_end(&mut self) -> io::Result<bool> {
        for reading in &mut self.chain {
            if !reading.is_at_end()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether there is no file to read.
    pub(super) fn is_idle(&self) -> bool {
        self.chain.is_empty() && self.rest.is_empty()
    }

    /// The places after what was taken as batches.
    pub(super) fn marks(&self) -> impl Iterator<Item = FileMark> {
        self.chain.iter().map(Reading::mark)
    }

    pub(super) fn lag(&self) -> u64 {
        self.chain.iter().map(Reading::lag).sum()
    }
}
