//! Who bears the name now, and which files bore it since the last look.

use std::io;
use std::time::{Duration, Instant};

use super::copies::Origin;
use super::siblings::Sibling;
use super::{Follower, MAX_CHAIN};
use crate::file::catalog::Known;
use crate::file::disk::{Disk, Stat};
use crate::file::family;
use crate::file::identity::Opened;
use crate::metrics::Count;
use crate::shell::now as time_of_day;

/// A copy or an archive is being written as long as the last byte is not older than this.
const WRITTEN_WAIT: Duration = Duration::from_secs(2);

/// Whether somebody may still be writing a copy or an archive.
fn is_being_written(stat: &Stat) -> bool {
    let age = stat.modified.and_then(|modified| time_of_day().duration_since(modified).ok());
    age.is_none_or(|age| age < WRITTEN_WAIT)
}

impl<D: Disk> Follower<D> {
    /// Looks at who bears the name now. Says whether there is something new to read.
    pub(in crate::file) fn look(&mut self, now: Instant) -> io::Result<bool> {
        self.look_at_name(now, true)
    }

    /// The same; what bears the name need not be asked whether it was cut if it was just read.
    pub(super) fn look_at_name(&mut self, now: Instant, is_cut_asked: bool) -> io::Result<bool> {
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
            && ((is_cut_asked && last.is_cut()?) || self.is_shown_cut(newest)?)
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
            // What could not be told may show now.
            return if was_unsure { self.open_missed(Some(stat.inode()), now) } else { Ok(false) };
        }
        if self.chain.len() >= MAX_CHAIN {
            return Ok(false);
        }
        if self.chain.is_empty() && self.shared.open.is_full() {
            self.waits = true;
            return Ok(false);
        }
        let Some((mut file, offset)) = self.news_of(&stat)? else { return Ok(false) };
        let mut missed = self.news(Some(file.stat.inode()))?;
        if self.restart_if_cut(now)? {
            return Ok(true);
        }
        if let Some(last) = self.chain.back_mut() {
            self.shared.metrics.add(Count::Rotations, 1);
            last.touched = now;
        }
        let bearer = self.disk.stat(&self.path)?;
        if bearer.is_none_or(|bearer| bearer.inode() != file.stat.inode()) {
            // It was renamed meanwhile, and is one of several of which the order shows now.
            return self.open_missed(None, now);
        }
        let copies = match offset {
            0 => self
                .take_copies(&mut missed, &mut file, |it, file| it.news(Some(file.stat.inode())))?,
            _ => Vec::new(),
        };
        let is_full = self.chain.len() + missed.len() >= MAX_CHAIN;
        self.push_missed(missed, now);
        if is_full {
            // It comes after those that wait for room.
            return Ok(true);
        }
        self.births.find(now);
        self.shared.metrics.add(Count::Files, 1);
        self.push_with_copies(file, offset, None, copies, now);
        Ok(true)
    }

    /// Opens the file that bears the name now, unless nothing in it is new. Gives where the new
    /// begins.
    pub(super) fn news_of(&mut self, stat: &Stat) -> io::Result<Option<(Opened<D::File>, u64)>> {
        let known = self.catalog.get(stat);
        match known {
            Some(Known::Held(_)) => return Ok(None),
            Some(
                Known::Finished { size, .. }
                | Known::Copy { size, .. }
                | Known::PassedOver { size, .. },
            ) if size == stat.size => return Ok(None),
            // Half of an archive does not show what it is made of, which may be gone already.
            Some(Known::WasCopy(_) | Known::Copy { is_packed: true, .. })
                if is_being_written(stat) =>
            {
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
            None | Some(Known::Copy { .. }) if self.is_made_of_others(&mut file)? => Ok(None),
            _ => Ok(Some((file, 0))),
        }
    }

    /// The name may have moved on more than once since the last look: opens the files that have
    /// come and were renamed since. They come before the one that bears the name, if that is read.
    /// Says whether there were any.
    pub(super) fn open_missed(
        &mut self,
        bearer: Option<(u64, u64)>,
        now: Instant,
    ) -> io::Result<bool> {
        let missed = self.news(bearer)?;
        if self.restart_if_cut(now)? {
            return Ok(true);
        }
        let any = !missed.is_empty();
        let bears = self.chain.back().is_some_and(|last| Some(last.inode()) == bearer);
        let last = if bears { self.chain.pop_back() } else { None };
        self.push_missed(missed, now);
        self.chain.extend(last);
        Ok(any)
    }

    /// Begins the newest file anew if it was cut, though it may have been renamed since. It is asked
    /// once all others are found: they may be copies of what it was, which are taken for files that
    /// nobody has read as long as the cut is not known.
    fn restart_if_cut(&mut self, now: Instant) -> io::Result<bool> {
        let Some(last) = self.chain.back_mut() else { return Ok(false) };
        let is_cut = last.is_cut()?;
        if is_cut {
            self.restart(self.chain.len() - 1, now)?;
        }
        Ok(is_cut)
    }

    /// The files that have come and were renamed since.
    pub(super) fn news(
        &mut self,
        bearer: Option<(u64, u64)>,
    ) -> io::Result<Vec<(Sibling, Opened<D::File>)>> {
        self.missed(|siblings, follower| {
            siblings.retain(|sibling| {
                Some(sibling.stat.inode()) != bearer
                    && follower.catalog.is_news(sibling.directory(), &sibling.stat)
            });
        })
    }

    pub(super) fn push_missed(&mut self, missed: Vec<(Sibling, Opened<D::File>)>, now: Instant) {
        // Those that find no room are news again when there is.
        let room = MAX_CHAIN.saturating_sub(self.chain.len());
        for (sibling, file) in missed.into_iter().take(room) {
            self.births.find(now);
            self.catalog.see(sibling.directory(), &sibling.stat);
            self.shared.metrics.add(Count::Rotations, 1);
            self.shared.metrics.add(Count::Files, 1);
            self.push(file, 0, None, now);
        }
    }

    /// The rotated files that were never read, of those chosen among all that there are, in their
    /// order. Copies and archives of what was read are not among them.
    pub(super) fn missed(
        &mut self,
        choose: impl Fn(&mut Vec<Sibling>, &Self),
    ) -> io::Result<Vec<(Sibling, Opened<D::File>)>> {
        // Whoever takes these puts down places in them. If one before them was left out, since its
        // name moved on before it was opened, a run after this one would take it for an old one.
        // All are open before a first one is looked into.
        let opened = self.open_steadily(
            |_| true,
            |follower| {
                let mut siblings = follower.siblings();
                choose(&mut siblings, follower);
                siblings.retain(|at| follower.catalog.get(&at.stat).is_none());
                // Plain ones first, so that an archive of one of them is known for what it is.
                siblings.sort_by_key(|sibling| family::is_packed(&sibling.path));
                siblings
            },
        );
        let bearer = self.disk.stat(&self.path)?;
        let is_older = |at: &Sibling| {
            let births = at.stat.born.zip(bearer.and_then(|bearer| bearer.born));
            births.is_some_and(|(born, bearer)| born < bearer) && !family::is_packed(&at.path)
        };
        let mut missed: Vec<(Sibling, Opened<D::File>)> = Vec::new();
        for (sibling, file) in opened {
            let Some(mut file) = file else { continue };
            if file.head.len == 0 {
                // A copy or an archive may be about to be written: what it is shows later. What was
                // there before the log is neither, and who had it open may still write to it.
                if is_older(&sibling) {
                    missed.push((sibling, file));
                }
                continue;
            }
            match self.origin_of(&mut file, &sibling, usize::MAX)? {
                Origin::Unsure => self.unsure = true,
                Origin::Of(origin) => self.note_copy(origin, &sibling, &file),
                Origin::None if self.is_too_old(&file.stat) => self.pass_over(&file.stat),
                Origin::None => {
                    let mut others = missed.iter_mut().map(|(_, other)| other);
                    if !others.any(|other| {
                        !file.begins_otherwise(other.head) && file.is_within(&mut other.content)
                    }) {
                        missed.push((sibling, file));
                    }
                }
            }
        }
        self.sort(&mut missed, |(sibling, _)| sibling.age());
        Ok(missed)
    }
}
