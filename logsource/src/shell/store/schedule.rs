//! When places are written, and when what is written is synced.

use std::time::{Duration, Instant};

use crate::Error;

/// How soon places are safe.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// How long after a place moved it is written at the latest: from then on it survives the
    /// process.
    pub(crate) write_within: Duration,
    /// How long after a place moved it is synced at the latest: from then on it survives the
    /// machine.
    pub(crate) sync_within: Duration,
}

/// What either may be.
const POSSIBLE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(60));

/// A commit that takes longer than this, or than a place may wait to be written, triggers an early
/// flush: whatever moved meanwhile is written and synced at once, for the time that a slow disk
/// takes is added to what is at risk.
const SLOW: Duration = Duration::from_millis(50);

/// How long after a failure it is tried again: from this, doubled up to that.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing, until a place moves.
    Nothing,
    /// Nothing until then, unless a place moves.
    At(Instant),
    /// To write.
    Write,
    /// To write, and to sync.
    Sync,
}

impl Default for Pace {
    fn default() -> Self {
        Self { write_within: Duration::from_millis(100), sync_within: Duration::from_secs(1) }
    }
}

impl Pace {
    /// # Errors
    /// If one of them cannot be.
    pub(crate) fn check(self) -> Result<(), Error> {
        let (least, most) = POSSIBLE;
        let all = [("commit_within", self.write_within), ("sync_within", self.sync_within)];
        match all.into_iter().find(|(_, time)| !(least..=most).contains(time)) {
            None => Ok(()),
            Some((name, time)) => Err(Error::invalid(format!(
                "`{name}` can be from {least:?} to {most:?}, and is {time:?}"
            ))),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Schedule {
    pace: Pace,
    /// When the oldest place moved that is not written.
    unwritten: Option<Instant>,
    /// When the oldest place moved that is written, and not synced.
    unsynced: Option<Instant>,
    is_slow: bool,
    /// When places were last written, if they ever were.
    written_at: Option<Instant>,
    /// Places move all the time: those that were written last had moved soon after the ones before.
    is_busy: bool,
    /// When it is tried again, and how long was waited for that.
    retry: Option<(Instant, Duration)>,
}

impl Schedule {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, ..Self::default() }
    }

    /// Whether a place that moves now is the first.
    pub(super) fn is_first(&self) -> bool {
        self.unwritten.is_none()
    }

    /// A place moved.
    pub(super) fn moved(&mut self, now: Instant) {
        self.unwritten.get_or_insert(now);
    }

    /// Since when places have moved that are not synced.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.unsynced.or(self.unwritten)
    }

    pub(super) fn due(&self, now: Instant) -> Due {
        let Some(oldest) = self.oldest() else { return Due::Nothing };
        if let Some((again, _)) = self.retry {
            return if again <= now { Due::Sync } else { Due::At(again) };
        }
        let within = |wait| if self.is_slow { Duration::ZERO } else { wait };
        let sync = oldest + within(self.pace.sync_within);
        let write = self.unwritten.map_or(sync, |since| since + within(self.pace.write_within));
        match () {
            () if sync <= now => Due::Sync,
            () if write <= now => Due::Write,
            () => Due::At(write.min(sync)),
        }
    }

    /// After a write: when to look for places that moved since, without being told of the first. To
    /// be told, and then to wait until it is due, is to be woken twice for each write.
    pub(super) fn next_look(&self, now: Instant) -> Option<Instant> {
        let may_wait = self.retry.is_none() && !self.is_slow;
        (self.is_busy && may_wait).then(|| now + self.pace.write_within)
    }

    /// Whether there is something to write at such a look, though it is not due.
    pub(super) fn may_write(&self) -> bool {
        self.unwritten.is_some() && self.retry.is_none()
    }

    /// What moved until now is taken to be written.
    pub(super) fn taken(&mut self) {
        let Some(unwritten) = self.unwritten.take() else { return };
        let pause = self.written_at.map(|at| unwritten.saturating_duration_since(at));
        self.is_busy = pause.is_some_and(|pause| pause < self.pace.write_within);
        self.unsynced.get_or_insert(unwritten);
    }

    /// What was taken is written by now, and synced too if that is said.
    pub(super) fn written(&mut self, is_synced: bool, now: Instant, took: Duration) {
        self.retry = None;
        self.is_slow = took > SLOW.min(self.pace.write_within);
        self.written_at = Some(now);
        if is_synced {
            self.unsynced = None;
        }
    }

    /// What was taken may not be written, and what was written before may not be there.
    pub(super) fn failed(&mut self, now: Instant) {
        self.unwritten = self.oldest();
        self.unsynced = None;
        let pause = self.retry.map_or(BACKOFF.0, |(_, pause)| (pause * 2).min(BACKOFF.1));
        self.retry = Some((now + pause, pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn places_are_written_within_100_ms_and_synced_within_a_second() {
        let start = crate::shell::ticks();
        let mut schedule = Schedule::default();
        assert_eq!(schedule.due(start), Due::Nothing);
        schedule.moved(start);
        schedule.moved(start + 20 * MS);
        assert_eq!(schedule.due(start), Due::At(start + 100 * MS));
        assert_eq!(schedule.due(start + 100 * MS), Due::Write);
        schedule.taken();
        schedule.written(false, start + 101 * MS, MS);
        assert_eq!(schedule.due(start + 110 * MS), Due::At(start + 1000 * MS));
        schedule.moved(start + 980 * MS);
        assert_eq!(schedule.oldest(), Some(start));
        assert_eq!(schedule.due(start + 990 * MS), Due::At(start + 1000 * MS));
        assert_eq!(schedule.due(start + 1000 * MS), Due::Sync);
        schedule.taken();
        schedule.written(true, start + 1001 * MS, MS);
        assert_eq!((schedule.due(start + 2000 * MS), schedule.oldest()), (Due::Nothing, None));
    }

    #[test]
    fn places_are_written_and_synced_as_soon_as_was_asked_for() {
        let start = crate::shell::ticks();
        let mut schedule = Schedule::new(Pace { write_within: 7 * MS, sync_within: 20 * MS });
        schedule.moved(start);
        assert_eq!(schedule.due(start), Due::At(start + 7 * MS));
        schedule.taken();
        schedule.written(false, start + 7 * MS, 2 * MS);
        assert_eq!(schedule.due(start + 8 * MS), Due::At(start + 20 * MS));
        // A commit that takes longer than places may wait is slow.
        schedule.moved(start + 10 * MS);
        schedule.taken();
        schedule.written(false, start + 18 * MS, 8 * MS);
        assert_eq!(schedule.due(start + 18 * MS), Due::Sync);
        let checked = |write_within| Pace { write_within, ..Pace::default() }.check();
        let refusal = checked(Duration::ZERO).unwrap_err().to_string();
        assert!(refusal.contains("`commit_within` can be from 1ms to 60s"), "{refusal}");
        assert!(checked(MS).is_ok() && checked(61_000 * MS).is_err());
    }

    #[test]
    fn after_a_slow_commit_the_next_does_not_wait() {
        let start = crate::shell::ticks();
        let mut schedule = Schedule::default();
        schedule.moved(start);
        schedule.taken();
        schedule.moved(start + 10 * MS);
        schedule.written(false, start + 51 * MS, 51 * MS);
        assert_eq!(schedule.due(start + 51 * MS), Due::Sync);
        schedule.taken();
        schedule.written(true, start + 101 * MS, 50 * MS);
        schedule.moved(start + 200 * MS);
        assert_eq!(schedule.due(start + 200 * MS), Due::At(start + 300 * MS));
    }

    #[test]
    fn what_moves_all_the_time_is_looked_for_and_what_moves_at_times_is_told_of() {
        let start = crate::shell::ticks();
        let mut schedule = Schedule::default();
        let mut write = |moved: u32, took| {
            schedule.moved(start + moved * MS);
            schedule.taken();
            let now = start + (moved + 100) * MS;
            schedule.written(false, now, took);
            schedule.next_look(now).map(|at| at - now)
        };
        assert_eq!(write(0, MS), None);
        assert_eq!(write(110, MS), Some(100 * MS));
        assert_eq!(write(215, 51 * MS), None);
        assert_eq!(write(320, MS), Some(100 * MS));
        assert_eq!(write(520, MS), None);
    }

    #[test]
    fn failures_are_tried_again_with_growing_pauses() {
        let mut now = crate::shell::ticks();
        let mut schedule = Schedule::default();
        schedule.moved(now);
        let since = now;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            schedule.taken();
            schedule.failed(now);
            schedule.moved(now);
            let Due::At(again) = schedule.due(now) else { panic!("{schedule:?}") };
            assert_eq!(schedule.due(again), Due::Sync);
            pauses.push((again - now).as_millis());
            now = again;
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        assert_eq!(schedule.oldest(), Some(since));
        schedule.taken();
        schedule.written(true, now, MS);
        assert_eq!(schedule.due(now), Due::Nothing);
    }
}
