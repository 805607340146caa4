//! A reader without a thread of its own: whoever takes what is read also does the reading.

use std::fmt;
use std::time::{Duration, Instant};

use super::super::opening::Opening;
use super::{Reader, Settings, Turn};
use crate::shell::ticks;
use crate::{Batch, Error};

/// What [`FileSource::tail_blocking`](super::super::FileSource::tail_blocking) gives: batches, read
/// on the thread that asks for them.
///
/// As an iterator it waits for the next batch, and never ends: a thread that is to be stopped, or
/// that keeps batches, asks with [`next_within`](Self::next_within). Who keeps batches of more than
/// 85 % of `max_in_flight_bytes` waits for their room in vain, unless another thread drops them.
///
/// An error is retryable: reading goes on with the next call, and
/// [`health_check`](crate::LogSource::health_check) says what is wrong meanwhile. To stop, drop it;
/// what was acknowledged until then is written to the offset file first. Should that fail, the metrics
/// tell it.
///
/// All that a `tail` does beside reading happens within these calls: to follow renames, to close
/// files, to let go of deleted ones, to count how far behind it is. A caller that stays away for
/// long finds what was rotated meanwhile as after a restart; but what was also deleted is lost,
/// unless it was open.
pub struct BlockingTail {
    reader: Box<Reader>,
}

impl BlockingTail {
    pub(in crate::file) fn new(settings: Settings, opening: Opening) -> Self {
        let reader = Box::new(Reader::begin(settings, opening));
        reader.settings.status.hold_up(Some(ticks()));
        Self { reader }
    }

    /// The next batch, or none if there is none within `timeout`. With a timeout of zero, what is
    /// there now; only of files that have to be polled that is known later.
    ///
    /// It takes a few microseconds more for each file that was written, as after a start each is.
    ///
    /// # Errors
    /// If something went wrong with a file or with the offset file. All such errors are retryable:
    /// call again.
    pub fn next_within(&mut self, timeout: Duration) -> Result<Option<Batch>, Error> {
        self.next_until(ticks().checked_add(timeout))
    }

    fn next_until(&mut self, until: Option<Instant>) -> Result<Option<Batch>, Error> {
        self.reader.settings.status.hold_up(None);
        let next = self.look_until(until);
        if !matches!(next, Ok(None)) {
            self.reader.settings.status.hold_up(Some(ticks()));
        }
        next
    }

    fn look_until(&mut self, until: Option<Instant>) -> Result<Option<Batch>, Error> {
        let mut is_late = false;
        loop {
            if let Some(item) = self.reader.settings.queue.pop() {
                return item.map(Some);
            }
            let turn = match self.reader.has_room() {
                true => self.reader.turn(until),
                false => self.reader.wait_for_room(until),
            };
            match turn {
                // Behind what there is to tell.
                Turn::Read(batch) => self.reader.settings.queue.push((Ok(batch), 0)),
                Turn::Rested if until.is_some_and(|until| ticks() >= until) => {
                    if std::mem::replace(&mut is_late, true)
                        && self.reader.settings.queue.is_empty()
                    {
                        return Ok(None);
                    }
                    // What came within the time was perhaps slept through, or not asked for yet.
                    self.reader.drain_now();
                }
                Turn::Looked | Turn::Rested => {}
            }
        }
    }
}

impl Iterator for BlockingTail {
    type Item = Result<Batch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_until(None).transpose()
    }
}

impl Drop for BlockingTail {
    fn drop(&mut self) {
        self.reader.settings.status.hold_up(None);
        self.reader.end();
    }
}

impl fmt::Debug for BlockingTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingTail").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::health;
    use crate::{FileSource, HealthState, Position};

    #[test]
    fn a_caller_that_stays_away_is_told_of_and_one_that_is_done_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        std::fs::write(&path, "a line\n").unwrap();
        let source = FileSource::builder(path).build().unwrap();
        let later = || {
            let now = ticks() + Duration::from_secs(60);
            health::look(&source.patterns, &source.status, now)
        };
        let mut tail = source.tail_blocking(Position::Start).unwrap();
        assert_eq!(later().state, HealthState::Degraded, "nobody has asked");
        assert!(tail.next_within(Duration::ZERO).unwrap().is_some());
        let away = later();
        assert_eq!(away.state, HealthState::Degraded);
        assert!(away.reason.unwrap().contains("nobody has asked"));
        // There is nothing that it could take.
        assert!(tail.next_within(Duration::ZERO).unwrap().is_none());
        assert_eq!(later().state, HealthState::Ready);
        drop(tail);
        assert_eq!(later().state, HealthState::Ready);
    }
}
