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
/// As an iterator it waits for the next batch, and never ends. An error is retryable: reading goes
/// on with the next call, and [`health_check`](crate::LogSource::health_check) says what is wrong
/// meanwhile. To stop, drop it; what was acknowledged until then is written to the offset file
/// first.
///
/// All that a `tail` does beside reading, to follow renames say, happens within these calls. A
/// caller that stays away for long finds what was rotated meanwhile as after a restart; but what
/// was also deleted is lost, unless it was open.
pub struct BlockingTail {
    reader: Box<Reader>,
}

impl BlockingTail {
    pub(in crate::file) fn new(settings: Settings, opening: Opening) -> Self {
        Self { reader: Box::new(Reader::begin(settings, opening)) }
    }

    /// The next batch, or none if there is none within `timeout`. With a timeout of zero, what is
    /// there now; to look at all the files takes a few microseconds each even so.
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
        self.reader.settings.status.hold_up(Some(ticks()));
        next
    }

    fn look_until(&mut self, until: Option<Instant>) -> Result<Option<Batch>, Error> {
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
                Turn::Rested if until.is_some_and(|until| ticks() >= until) => return Ok(None),
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
        assert!(tail.next_within(Duration::ZERO).unwrap().is_some());
        let away = later();
        assert_eq!(away.state, HealthState::Degraded);
        assert!(away.reason.unwrap().contains("ask the tail for the next"));
        drop(tail);
        assert_eq!(later().state, HealthState::Ready);
    }
}
