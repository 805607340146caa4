//! Files that came to the name and were gone before anybody saw them.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use super::Follower;
use super::siblings::Sibling;
use crate::file::disk::{Disk, Stat};
use crate::metrics::DropReason;

/// An event of a file that was found comes within so long, or never: copies come to no name.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// Files that came to the name: those of which an event tells against those that are found. Either
/// may come first.
#[derive(Debug, Default)]
pub(super) struct Births {
    /// How many were told of, and not found yet.
    told: u64,
    /// How many were found, and not told of yet, and the last of them when.
    found: u64,
    found_at: Option<Instant>,
    /// Some were told of since it was last looked for them.
    is_new: bool,
    /// The directories as they were then.
    times: Vec<Option<SystemTime>>,
}

impl Births {
    pub(super) fn tell(&mut self, now: Instant) {
        let is_late = |at: Instant| now.saturating_duration_since(at) > TOLD_WITHIN;
        if self.found_at.is_none_or(is_late) {
            self.found = 0;
        }
        match self.found.checked_sub(1) {
            Some(left) => self.found = left,
            None => (self.told, self.is_new) = (self.told + 1, true),
        }
    }

    pub(super) fn find(&mut self, now: Instant) {
        match self.told.checked_sub(1) {
            Some(left) => self.told = left,
            None => (self.found, self.found_at) = (self.found + 1, Some(now)),
        }
    }

    /// Whether there may be some that are gone, and it was not looked for them yet.
    pub(super) fn is_new(&self) -> bool {
        self.is_new && self.told > 0
    }
}

impl<D: Disk> Follower<D> {
    /// A file was told to have come to the name.
    pub(in crate::file) fn is_born(&mut self, now: Instant) {
        self.births.tell(now);
    }

    /// Counts the files that came to the name and were gone before anybody saw them.
    pub(super) fn count_unseen(&mut self) -> io::Result<()> {
        // No events, no count: where they are lost, files are found all the same.
        if self.births.told == 0 {
            return Ok(());
        }
        let times = self.directory_times();
        if !std::mem::take(&mut self.births.is_new) && self.births.times == times {
            return Ok(());
        }
        self.births.times = times;
        // Those that are there and were not opened, as they are empty, say, are not lost as long as
        // they are there.
        let is_unknown = |stat: &Stat| self.catalog.get(stat).is_none();
        let is_waiting =
            |at: &Sibling| is_unknown(&at.stat) && self.catalog.is_news(at.directory(), &at.stat);
        let waiting = self.siblings().iter().filter(|at| is_waiting(at)).count() as u64
            + u64::from(self.disk.stat(&self.path)?.is_some_and(|stat| is_unknown(&stat)));
        let unseen = self.births.told.saturating_sub(waiting);
        if unseen > 0 {
            self.births.told -= unseen;
            let path = self.path.display();
            tracing::warn!(%path, unseen, "files were rotated away before they could be opened");
            self.shared.metrics.drop_lines(DropReason::RotatedAway, unseen);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_before_it_is_told_of_is_not_missing() {
        let (mut births, now) = (Births::default(), crate::clock::ticks());
        births.find(now);
        births.find(now);
        births.tell(now);
        births.tell(now);
        assert_eq!(births.told, 0);
        births.tell(now);
        births.find(now);
        assert_eq!((births.told, births.found), (0, 0));
        // Of a copy no event tells: it does not stand for what comes later.
        births.find(now);
        births.tell(now + 2 * TOLD_WITHIN);
        assert_eq!(births.told, 1);
    }
}
