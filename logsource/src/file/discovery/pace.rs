//! How often to look where no event tells, or for safety: often enough to be soon, seldom enough
//! to cost next to nothing.

use std::time::{Duration, Instant};

/// A look at everything for safety takes no more than this part of a core: 0.05 %.
const RESCAN_SHARE: u32 = 2_000;
const RESCAN_LEAST: Duration = Duration::from_secs(1);
const RESCAN_MOST: Duration = Duration::from_secs(60);

/// Looks at what is polled take no more than about this part of a core: 0.1 %.
const POLL_SHARE: u32 = 1_000;
const IDLE_LEAST: Duration = Duration::from_secs(2);
const IDLE_MOST: Duration = Duration::from_secs(10);

/// When something is done again that takes a while: the longer it took, the later.
#[derive(Debug, Clone, Copy)]
pub(in crate::file) struct Pace {
    due: Instant,
    share: u32,
    least: Duration,
    most: Duration,
}

impl Pace {
    /// For looking at everything, though no event told: in a second, or in 2000 times as long as
    /// it took, but in no more than a minute.
    pub(in crate::file) fn of_rescans(now: Instant) -> Self {
        let (share, least, most) = (RESCAN_SHARE, RESCAN_LEAST, RESCAN_MOST);
        Self { due: now + least, share, least, most }
    }

    /// For looking at the directories that no event tells of: after the interval, or in 1000 times
    /// as long as it took, but in no more than 10 s.
    pub(in crate::file) fn of_polls(now: Instant, interval: Duration) -> Self {
        let most = IDLE_MOST.max(interval);
        Self { due: now + interval, share: POLL_SHARE, least: interval, most }
    }

    pub(in crate::file) fn due(&self) -> Instant {
        self.due
    }

    pub(in crate::file) fn is_due(&self, now: Instant) -> bool {
        now >= self.due
    }

    /// It is done, and took so long.
    pub(in crate::file) fn done(&mut self, now: Instant, took: Duration) {
        self.due = now + took.saturating_mul(self.share).clamp(self.least, self.most);
    }
}

/// Reading a file that is written all the time, less often than it is written.
///
/// What was quiet is read at once. After that everything that comes within a few milliseconds is
/// read together: an event for each line of a busy file would cost more than its lines.
#[derive(Debug, Clone, Copy)]
pub(in crate::file) struct Nap {
    last: Instant,
}

impl Nap {
    /// What comes within this time is read together. Nobody waits for a line for longer than 10 ms;
    /// the rest of that is for waking up and reading, and each wake less saves a thread's switch or two.
    const SPAN: Duration = Duration::from_micros(9_500);

    pub(in crate::file) fn new(now: Instant) -> Self {
        Self { last: now }
    }

    /// How long to wait although there is something to look at.
    pub(in crate::file) fn left(&self, now: Instant) -> Duration {
        (self.last + Self::SPAN).saturating_duration_since(now)
    }

    /// A look begins.
    pub(in crate::file) fn begin(&mut self, now: Instant) {
        self.last = now;
    }
}

/// How often a polled file is looked at that has not changed.
///
/// The longer it has not, the longer it can wait: an eighth of that time. So it is late by an
/// eighth at most, and a file that was idle for a minute costs a tenth of a busy one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::file) struct Idle {
    least: Duration,
    most: Duration,
}

impl Idle {
    /// From the interval for files that changed just now, how many are polled, and how long a look
    /// at one takes. With many, idle ones are looked at every 10 s at least; with few, every 2 s.
    pub(in crate::file) fn new(interval: Duration, files: usize, look: Duration) -> Self {
        let files = u32::try_from(files).unwrap_or(u32::MAX);
        let most = look.saturating_mul(POLL_SHARE).saturating_mul(files);
        Self { least: interval, most: most.clamp(IDLE_LEAST, IDLE_MOST).max(interval) }
    }

    /// How long after a look, at which a file had been idle for so long, the next is due.
    pub(in crate::file) fn interval(&self, idle: Duration) -> Duration {
        (idle / 8).clamp(self.least, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Some instant: what counts is what is added to it.
    fn start() -> Instant {
        crate::shell::ticks()
    }

    #[test]
    fn a_rescan_costs_no_more_than_its_share_and_comes_within_a_minute() {
        let now = start();
        let mut rescan = Pace::of_rescans(now);
        assert!(!rescan.is_due(now) && rescan.is_due(now + ms(1_000)));
        for (took, after) in [(0, 1_000), (500, 1_000), (5_000, 10_000), (900_000, 60_000)] {
            rescan.done(now, Duration::from_micros(took));
            assert_eq!(rescan.due(), now + ms(after), "{took} us");
        }
    }

    #[test]
    fn what_comes_in_a_rush_is_read_together_and_what_comes_alone_at_once() {
        let now = start();
        let mut nap = Nap::new(now);
        assert_eq!(nap.left(now + ms(100)), Duration::ZERO);
        nap.begin(now + ms(100));
        assert_eq!(nap.left(now + ms(101)), Duration::from_micros(8_500));
        assert_eq!(nap.left(now + ms(110)), Duration::ZERO);
    }

    /// Looks in an hour at files that were last written when it began.
    fn looks(idle: Idle, since: Duration) -> u32 {
        let (mut at, mut looks) = (since, 0);
        while at < since + Duration::from_secs(3_600) {
            at += idle.interval(at);
            looks += 1;
        }
        looks
    }

    #[test]
    fn idle_files_are_looked_at_seldom_but_within_seconds() {
        let look = Duration::from_micros(1);
        let few = Idle::new(ms(250), 10, look);
        assert_eq!(few.interval(Duration::ZERO), ms(250));
        assert_eq!(few.interval(ms(4_000)), ms(500));
        assert_eq!(few.interval(Duration::from_secs(3_600)), ms(2_000));
        let many = Idle::new(ms(250), 10_000, look);
        assert_eq!(many.interval(Duration::from_secs(3_600)), ms(10_000));
        // 10,000 files for an hour: 0.1 % of a core.
        let cost = look * 10_000 * looks(many, Duration::from_secs(3_600));
        assert!(cost <= ms(3_600), "{cost:?}");
        // An interval that is longer than all that is kept.
        let slow = Idle::new(ms(30_000), 10, look);
        assert_eq!(slow.interval(Duration::from_secs(3_600)), ms(30_000));
        assert_eq!(slow.interval(Duration::ZERO), ms(30_000));
    }
}
