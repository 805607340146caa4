//! Letting go of files: closed while nobody writes to them, removed when they are read, shed when
//! they take too much space, or never read.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::Follower;
use crate::cursor::FileMark;
use crate::file::disk::{Disk, Stat};
use crate::file::identity::Opened;
use crate::file::reading::{Closed, Reading};
use crate::metrics::{Count, DropReason};
use crate::shell::now as time_of_day;

impl<D: Disk> Follower<D> {
    /// Closes the file that bears the name, if nobody has written to it for long, or others wait
    /// for room.
    pub(super) fn close_quiet(&mut self, now: Instant) {
        let Some(reading) = self.chain.back().filter(|_| self.may_close()) else { return };
        let quiet = now.saturating_duration_since(reading.touched);
        if quiet >= self.shared.keeping.close_after || self.shared.open.is_full() {
            self.close();
        }
    }

    /// Whether there is an open file that can be closed for now.
    pub(in crate::file) fn may_close(&self) -> bool {
        let [reading] = self.chain.as_slices().0 else { return false };
        !self.nameless
            && self.rest.is_empty()
            && self.retired.is_empty()
            && self.pending.is_none()
            && reading.may_close()
    }

    /// Closes it, if it can be.
    pub(in crate::file) fn close(&mut self) {
        if self.may_close()
            && let Some(reading) = self.chain.pop_back()
        {
            self.catalog.let_go(reading.inode());
            self.closed = Some(reading.close());
            // There may be very many that are closed.
            self.chain.shrink_to_fit();
        }
    }

    /// Whether there is something to read for which there was no room.
    pub(in crate::file) fn waits_for_room(&self) -> bool {
        self.waits
    }

    /// Opens a file again that was closed, if there is anything new. Says whether it did.
    pub(super) fn reopen(&mut self, now: Instant) -> io::Result<bool> {
        self.waits = false;
        let Some(closed) = &self.closed else { return Ok(false) };
        let bearer = self.disk.stat(&self.path)?;
        if bearer.as_ref().is_some_and(|stat| closed.is_as_before(stat)) {
            return Ok(false);
        }
        if self.shared.open.is_full() {
            self.waits = true;
            return Ok(false);
        }
        let path = self.path.to_path_buf();
        let paths = match bearer.is_some_and(|stat| closed.is(&stat)) {
            true => vec![path],
            // It was renamed; the name may have been given to another one.
            false => {
                let siblings = self.siblings().into_iter();
                siblings.filter(|at| closed.is(&at.stat)).map(|at| at.path).collect()
            }
        };
        let mut opened = None;
        for path in paths {
            opened = Opened::open(&self.disk, &path)?.filter(|file| closed.is(&file.stat));
        }
        match (opened, self.closed.take()) {
            (Some(file), Some(closed)) => {
                let (shared, path) = (self.shared.clone(), Arc::clone(&self.path));
                let reading = Reading::reopen(&shared, &path, file, closed, now);
                self.catalog.hold(reading.own_mark(), reading.share());
                self.chain.reserve_exact(1);
                self.chain.push_back(reading);
                Ok(true)
            }
            (None, Some(closed)) => {
                self.forget(closed);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// A file that was closed is nowhere any more.
    fn forget(&mut self, closed: Closed) {
        let Closed { mark, account, .. } = closed;
        let mark = FileMark { finished: true, ..mark };
        self.note_finished(&mark);
        let copies = self.catalog.finish(mark, u64::MAX);
        self.keep(copies);
        self.retired.push(account);
    }

    /// Whether a file was last written so long ago that it is not to be read.
    pub(super) fn is_too_old(&self, stat: &Stat) -> bool {
        let Some(limit) = self.shared.keeping.ignore_older else { return false };
        let age = stat.modified.and_then(|modified| time_of_day().duration_since(modified).ok());
        age.is_some_and(|age| age > limit)
    }

    /// Does not read what is in a file now.
    pub(super) fn pass_over(&self, stat: &Stat) {
        self.shared.metrics.add(Count::Ignored, 1);
        self.catalog.pass_over(stat);
        for directory in self.directories() {
            self.catalog.see(&directory, stat);
        }
    }

    /// Removes a file that was read, once that is on disk; unless somebody has written to it.
    pub(super) fn remove(&mut self, index: usize, now: Instant) -> io::Result<()> {
        let Some(reading) = self.chain.get_mut(index) else { return Ok(()) };
        let path = match self.disk.stat(&self.path)? {
            Some(stat) if reading.is(&stat) => Some(self.path.to_path_buf()),
            _ => {
                let reading = &self.chain[index];
                let sibling = self.siblings().into_iter().find(|at| reading.is(&at.stat));
                sibling.map(|sibling| sibling.path)
            }
        };
        let Some(reading) = self.chain.get_mut(index) else { return Ok(()) };
        if let Some(store) = &self.shared.store {
            let mark = FileMark { finished: true, ..reading.mark() };
            store.set(reading.key(), &crate::Cursor::of_files(vec![mark]));
            if store.flush().is_err() {
                // It is told by others. The file stays as long as its place is not on disk.
                return Ok(());
            }
        }
        if reading.lag(now).0 > 0 {
            return Ok(());
        }
        if let Some(path) = path {
            self.disk.remove(&path)?;
            self.shared.metrics.add(Count::Removed, 1);
        }
        let Some(reading) = self.chain.remove(index) else { return Ok(()) };
        let (key, store) = (Arc::clone(reading.key()), self.shared.store.clone());
        self.finish(reading);
        if let Some(store) = store {
            store.remove(&key);
        }
        Ok(())
    }

    /// The deleted files that are still read: which, since when they were not written, and what
    /// they take on disk.
    pub(in crate::file) fn held(&self) -> impl Iterator<Item = (usize, Instant, u64)> {
        let readings = self.chain.iter().enumerate();
        readings.filter_map(|(index, reading)| Some((index, reading.touched, reading.held()?.0)))
    }

    /// Lets go of a deleted file that was not read to its end.
    pub(in crate::file) fn shed(&mut self, index: usize) {
        let Some(reading) = self.chain.remove(index) else { return };
        let unread = reading.held().map_or(0, |(_, unread)| unread);
        let (path, ino) = (self.path.display(), reading.inode().1);
        tracing::warn!(%path, ino, unread, "a deleted file is let go of: too much space is held");
        self.shared.metrics.drop_lines(DropReason::HeldTooMuch, 1);
        self.shared.metrics.drop_bytes(DropReason::HeldTooMuch, unread);
        let mark = FileMark { finished: true, ..reading.mark() };
        let copies = self.catalog.finish(mark, u64::MAX);
        self.keep(copies);
        self.retired.push(reading.into_account());
    }
}
