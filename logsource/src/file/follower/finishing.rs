//! Files that are read to their end, and are over.

use std::io;
use std::time::{Duration, Instant};

use super::{Follower, MAX_CHAIN, MAX_FINISHED};
use crate::Batch;
use crate::cursor::FileMark;
use crate::file::disk::Disk;
use crate::file::reading::Reading;

/// A writer may go on with a renamed file until it is told to open the new one.
pub(super) const ROTATE_WAIT: Duration = Duration::from_secs(5);

impl<D: Disk> Follower<D> {
    /// Lets go of the renamed files to which nobody has written for a while. What is left of a
    /// last line is a line then. Where others wait for room, those go that came before many others,
    /// however lately they were read.
    pub(super) fn close_finished(&mut self, now: Instant) -> io::Result<Option<Batch>> {
        let is_full = self.chain.len() >= MAX_CHAIN;
        let mut next = 0;
        loop {
            let (index, newest) = (next, self.chain.len().saturating_sub(1));
            next += 1;
            let is_surplus = is_full && self.chain.len() > MAX_CHAIN / 2;
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
            let makes_room = is_surplus && index == 0 && reading.is_used_up(now);
            let is_over = is_quiet || reading.is_over() || makes_room;
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
                next = index;
            }
        }
        Ok(None)
    }

    pub(super) fn finish(&mut self, reading: Reading<D::File>) {
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

    pub(super) fn note_finished(&mut self, mark: &FileMark) {
        if self.finished.len() == MAX_FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(mark.clone());
    }

    /// Keeps the places of copies in which nothing is left to read, so that they are known after a
    /// restart.
    pub(super) fn keep(&self, copies: Vec<FileMark>) {
        let Some(store) = &self.shared.store else { return };
        for mark in copies {
            let key = format!("{}:{}:{}", mark.file.dev, mark.file.ino, mark.file.path.display());
            store.set(&key, &crate::Cursor::of_files(vec![mark]));
        }
    }

    /// Forgets the places in contents that are gone, once they are acknowledged.
    pub(super) fn settle_retired(&mut self) {
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
}
