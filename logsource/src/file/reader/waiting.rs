//! How a reader waits: for events, and shortly without them.

use std::time::{Duration, Instant};

use super::Reader;
use crate::shell::{ticks, wait};

impl Reader {
    /// Waits until there may be something to read, or `until`. In a nap, the only news would be that
    /// nobody takes what is read any more: that can wait as well, and just to sleep costs less.
    pub(super) fn rest(&mut self, now: Instant, until: Option<Instant>) {
        match self.nap_left(now, until) {
            Duration::ZERO => self.wait(now, until),
            nap => {
                std::thread::sleep(nap);
                self.drain_at = now + nap;
            }
        }
    }

    /// Has events asked for with the next turn, however lately they were.
    pub(super) fn drain_now(&mut self) {
        self.drain_at = ticks();
    }

    /// Waits until something happens or is due, or `until`.
    pub(super) fn wait(&mut self, now: Instant, until: Option<Instant>) {
        let nap = self.nap_left(now, until);
        let due = self.due(until);
        let wake = self.settings.queue.wake();
        if !nap.is_zero() {
            wait(wake, &[], nap);
            self.drain_at = now + nap;
            return;
        }
        let events = self.watcher.fd();
        if wait(wake, events.as_slice(), due.saturating_duration_since(ticks())) {
            self.drain_at = now;
        }
    }

    /// How long events are not waited for, so that a file that is written all the time does not wake
    /// this thread twice for each look.
    fn nap_left(&self, now: Instant, until: Option<Instant>) -> Duration {
        self.nap.left(now).min(self.due(until).saturating_duration_since(now))
    }

    /// By when something is to be done, whatever happens.
    fn due(&self, until: Option<Instant>) -> Instant {
        let polls = (!self.blind.is_empty()).then(|| self.poll.due());
        let dues = polls.into_iter().chain(self.table.next_due()).chain(until);
        dues.fold(self.note_at.min(self.rescan.due()), Instant::min)
    }
}
