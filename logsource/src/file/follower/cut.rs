//! A file that was cut short or written anew in place.

use std::io;
use std::time::{Duration, Instant};

use super::copies::{copy_before_cut, is_made_of};
use super::resume::Found;
use super::siblings::Sibling;
use super::{Follower, Kept, MAX_CHAIN};
use crate::cursor::FileMark;
use crate::file::catalog::Known;
use crate::file::disk::Disk;
use crate::file::identity::{self, Likeness, Opened};
use crate::file::reading::Reading;
use crate::metrics::{Count, DropReason};

/// A copy that was made so shortly before places were last written down may not have been seen
/// then. One that was read is known for longer.
const SLACK: Duration = Duration::from_secs(2);

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
            // Where it is gone, its archive stands where it stood.
            let is_of_it = |at: &Sibling| {
                matches!(it.catalog.get(&at.stat), Some(Known::Copy { of, .. }) if of == inode)
            };
            let until = it.last_of(siblings, |at| at.stat.inode() == inode);
            let until = until.or_else(|| it.last_of(siblings, is_of_it));
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

    /// Where little was read of a file, a copy that was made since may show that it was cut. Then
    /// reading goes on in the copy, and the file is begun anew.
    pub(super) fn find_cut(
        &mut self,
        found: &mut Found<D::File>,
        current: Option<&mut Opened<D::File>>,
    ) -> io::Result<()> {
        let Some(since) = self.shared.store.as_ref().and_then(|store| store.written_at()) else {
            return Ok(());
        };
        let is_young = |kept: &Kept| identity::is_young(&kept.mark);
        if !found.current.iter().chain(found.rotated.iter().map(|(.., kept)| kept)).any(is_young) {
            return Ok(());
        }
        let mut copies = Vec::new();
        for sibling in self.siblings() {
            let is_taken = current.as_ref().is_some_and(|file| sibling.is(file))
                || found.rotated.iter().any(|(_, file, _)| sibling.is(file))
                || self.catalog.get(&sibling.stat).is_some();
            let is_later = sibling.stat.modified.is_some_and(|time| time + SLACK >= since);
            if is_later && !is_taken {
                copies.extend(self.open_sibling(&sibling).map(|file| (sibling, file)));
            }
        }
        // Not copies or archives of what is gone on with elsewhere.
        for (_, file, kept) in &mut found.rotated {
            copies.retain_mut(|(_, copy)| {
                copy.begins_otherwise(file.head)
                    || !matches!(
                        copy.likeness_to(&mut file.content, &kept.mark),
                        Ok(Likeness::Copy | Likeness::Unsure) | Err(_)
                    )
            });
        }
        if let (Some(file), Some(kept)) = (current, &found.current) {
            if let Some((at, copy)) = copy_before_cut(file, kept, &mut copies)? {
                let kept = found.current.take();
                found.is_cut = true;
                found.rotated.extend(kept.map(|kept| (at, copy, kept)));
            } else {
                found.copies.extend(copies.extract_if(.., |(at, copy)| is_made_of(at, copy, file)));
            }
        }
        for (at, mut file, kept) in std::mem::take(&mut found.rotated) {
            match copy_before_cut(&mut file, &kept, &mut copies)? {
                Some((copied, copy)) => {
                    found.rotated.push((copied, copy, kept));
                    found.anew.push((at, file));
                }
                None => found.rotated.push((at, file, kept)),
            }
        }
        Ok(())
    }
}
