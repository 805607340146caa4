//! Condition windows: how long something has been asked for without a break.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::timestamp::{elapsed, later};

/// Counts from the moment a condition begins to hold, and forgets when it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ConditionWindow {
    #[serde(with = "crate::timestamp::serde::option")]
    since: Option<SystemTime>,
}

impl ConditionWindow {
    /// Notes whether the condition holds at `now`.
    pub(crate) fn observe(&mut self, holds: bool, now: SystemTime) {
        self.since = match (holds, self.since) {
            (false, _) => None,
            // A clock that was set back must not leave a start in the future behind.
            (true, Some(since)) => Some(since.min(now)),
            (true, None) => Some(now),
        };
    }

    /// Starts anew with the next observation.
    pub(crate) fn restart(&mut self) {
        self.since = None;
    }

    /// Since when the condition has held.
    pub(crate) fn since(&self) -> Option<SystemTime> {
        self.since
    }

    /// Whether it has held for all of `window`.
    pub(crate) fn is_full(&self, window: Duration, now: SystemTime) -> bool {
        self.since.is_some_and(|since| elapsed(since, now) >= window)
    }

    /// When it will have held for `window`, if nothing breaks it.
    pub(crate) fn full_at(&self, window: Duration) -> Option<SystemTime> {
        self.since.map(|since| later(since, window))
    }
}

/// Whether `at` lies within `window` before `now`. What is just as old as the window is not.
pub(crate) fn in_window(at: SystemTime, window: Duration, now: SystemTime) -> bool {
    elapsed(at, now) < window
}

/// So many things of a window are remembered one by one. Of further ones those in the same slot, a
/// part of the window, are remembered as one, so that there is a bound: twice as many.
const SLOTS: u32 = 256;

/// Whether something at `now` is to be remembered as one with the last, which was at `last`.
pub(crate) fn merges(count: usize, last: SystemTime, now: SystemTime, window: Duration) -> bool {
    let slot = (window / SLOTS).as_nanos().max(1);
    let number = |at: SystemTime| elapsed(SystemTime::UNIX_EPOCH, at).as_nanos() / slot;
    count >= SLOTS as usize && number(last) == number(now)
}
