//! A file that was cut short or written anew in place.

use std::io;
use std::time::Instant;

use super::siblings::Sibling;
use super::{Follower, MAX_CHAIN};
use crate::cursor::FileMark;
use crate::file::catalog::Known;
use crate::file::disk::Disk;
use crate::file::identity::Opened;
use crate::file::reading::Reading;
use crate::metrics::{Count, DropReason};

/// What was read tells a file from others that begin alike if it is longer than any header.
const LONG_BYTES: u64 = 16 << 10;

impl<D: Disk> Follower<D> {
    /// The file was cut in place. If a copy of it holds what was not read yet, that comes first,
    /// and with it whatever was copied since; else what is held of it is all that is left.
    pub(super) fn restart(&mut self, index: usize, now: Instant) -> io::Result<()> {
        let Some(mut reading) = self.chain.remove(index) else { return Ok(()) };
        self.looked = None;
        // The new place in the file says that what was there before is in copies. A run that finds
        // it, and not the places in those, would not look for them.
        let store = self.shared.store.clone();
        let _held = store.as_ref().map(|store| store.hold());
        let mark = reading.mark();
        let copies = match self.copies_before_cut(&mut reading) {
            Ok(copies) => copies,
            Err(error) => return self.put_back(index, reading, error),
        };
        let copy = match copies.into_iter().next() {
            Some(copy) => Some(copy),
            // Many files begin like a young one, and those that were read are forgotten.
            None if mark.offset < LONG_BYTES => None,
            None => self.copy_of(&mark),
        };
        // What an earlier file left goes on in the copy if nothing of it was taken yet. Else no
        // copy has it.
        let carried = copy.as_ref().and_then(|_| reading.give_back());
        if carried.is_none() && reading.is_resumed() {
            self.rest.extend(reading.take_rest());
        }
        let (path, ino, offset) = (self.path.display(), mark.file.ino, mark.offset);
        let copy_ino = copy.as_ref().map(|(at, _)| at.stat.ino);
        tracing::debug!(%path, ino, offset, copy_ino, "a file was cut");
        let key = match reading.stat() {
            Ok(stat) => self.new_key(&stat),
            Err(error) => return self.put_back(index, reading, error),
        };
        if copy.is_none() {
            self.lose_rest(&mut reading);
        }
        let account = match reading.restart(key) {
            Ok(account) => account,
            Err(error) => return self.put_back(index, reading, error),
        };
        self.shared.metrics.add(Count::Truncations, 1);
        let behind = self.chain.split_off(index.min(self.chain.len()));
        match copy {
            Some((sibling, file)) => {
                self.shared.metrics.add(Count::Rotations, 1);
                self.catalog.see(sibling.directory(), &sibling.stat);
                self.push(file, mark.offset, Some(Ok(account)), now);
                if let (0, Some(store), Some(last)) = (mark.offset, &store, self.chain.back()) {
                    // Of the file nothing was known by which a run after this one could find it in
                    // the copy.
                    store.set(last.key(), &crate::Cursor::of_files(vec![last.own_mark()]));
                }
                if let (Some(carried), Some(last)) = (carried, self.chain.back_mut()) {
                    last.resume(carried);
                }
                self.push_copied_since(Some(&sibling), &mut reading, now)?;
            }
            None => {
                self.retired.push(account);
                self.push_copied_since(None, &mut reading, now)?;
            }
        }
        self.catalog.advance(reading.own_mark());
        self.chain.push_back(reading);
        self.chain.extend(behind);
        Ok(())
    }

    fn put_back(
        &mut self,
        index: usize,
        reading: Reading<D::File>,
        error: io::Error,
    ) -> io::Result<()> {
        self.chain.insert(index.min(self.chain.len()), reading);
        Err(error)
    }

    /// What is held was read before the cut, unless the file is as long again: then it may be
    /// anything.
    fn lose_rest(&mut self, reading: &mut Reading<D::File>) {
        let metrics = &self.shared.metrics;
        metrics.drop_lines(DropReason::Truncated, 1);
        metrics.drop_bytes(DropReason::Truncated, reading.unread());
        if reading.is_shorter() {
            self.rest.extend(reading.take_rest());
        }
    }

    /// The copies that were made after that one, and the log written anew each time; all new ones
    /// if there is none of what was read. If the log was renamed, what came after it is none of
    /// them, nor is a copy of what it has now.
    fn push_copied_since(
        &mut self,
        copy: Option<&Sibling>,
        reading: &mut Reading<D::File>,
        now: Instant,
    ) -> io::Result<()> {
        let inode = reading.inode();
        let mut later = self.missed(|siblings, it| {
            let is_it = |at: &Sibling| copy.is_some_and(|it| it.stat.inode() == at.stat.inode());
            let since = it.last_of(siblings, is_it).or_else(|| copy.map(Sibling::age));
            let until = it.last_of(siblings, |at| at.stat.inode() == inode);
            let order = it.order.get();
            siblings.retain(|at| {
                at.stat.inode() != inode
                    && match since {
                        Some(since) => order.is_after(&at.age(), &since),
                        None => it.catalog.is_news(at.directory(), &at.stat),
                    }
                    && until.is_none_or(|until| order.is_after(&until, &at.age()))
            });
        })?;
        later.retain_mut(|(_, file)| !file.is_within(reading.content()));
        let room = MAX_CHAIN.saturating_sub(self.chain.len());
        for (sibling, file) in later.into_iter().take(room) {
            self.shared.metrics.add(Count::Rotations, 1);
            self.shared.metrics.add(Count::Files, 1);
            self.catalog.see(sibling.directory(), &sibling.stat);
            self.push(file, 0, None, now);
        }
        Ok(())
    }

    /// The newest copy or archive of what was read up to the mark, with that and perhaps more.
    pub(super) fn copy_of(&self, mark: &FileMark) -> Option<(Sibling, Opened<D::File>)> {
        if mark.file.head.len == 0 {
            return None;
        }
        for sibling in self.siblings().into_iter().rev() {
            // What somebody reads, or has read to its end, is none of which something is left.
            if !matches!(self.catalog.get(&sibling.stat), None | Some(Known::Copy { .. })) {
                continue;
            }
            let Some(mut file) = self.open_sibling(&sibling) else { continue };
            if file.holds(mark) {
                return Some((sibling, file));
            }
        }
        None
    }
}
