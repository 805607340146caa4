//! Clocks that jump: what the router believes of the time, and of the ends that reports carry.
//!
//! `now` is the host's wall clock, and so is the end that a report promises ("it fires until then, unless I say so
//! again"). When either jumps, or the host was suspended, ends are over that nobody meant: a clock that is set forward by
//! a day would resolve every alert there is. So an end is believed only while time passes as it should.

use std::time::Duration;

use crate::time::Stamp;
use crate::{Alert, Status};

/// Corrections of this size are what a clock does every day.
pub(crate) const SLEW: Duration = Duration::from_secs(2);
/// A host that comes this late to a deadline was not running, or its clock has jumped.
const LATE: Duration = Duration::from_secs(120);
/// A host that is late more often than this is slow, and not the victim of a clock.
const SELDOM: Duration = Duration::from_secs(600);
/// Within this time a source sends again what fires: each minute, in Prometheus' case.
const RESEND: Duration = Duration::from_secs(90);

#[derive(Debug)]
pub(crate) struct Clock {
    now: Stamp,
    /// Ends are not believed until then.
    distrust: Stamp,
    /// When it last jumped ahead.
    jumped: Stamp,
    /// How far.
    ahead: Duration,
}

/// How time has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Forward,
    /// It was set back by so much.
    Back(Duration),
    /// It jumped ahead, or nobody asked for so long.
    Ahead,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let (now, distrust) = (Stamp::LONG_AGO, Stamp::LONG_AGO);
        Self { now, distrust, jumped: Stamp::LONG_AGO, ahead: Duration::ZERO }
    }

    /// The time that is reckoned with, when the host says `now` and had been told to come at `deadline`.
    pub(crate) fn observe(&mut self, now: Stamp, deadline: Option<Stamp>) -> (Stamp, Step) {
        let first = self.now == Stamp::LONG_AGO;
        let back = self.now.since(now);
        if !first && back > SLEW {
            self.now = now;
            // What was noted by the clock that was wrong is noted by the one that is right.
            (self.distrust, self.jumped) = (self.distrust.minus(back), self.jumped.minus(back));
            self.ahead = Duration::ZERO;
            return (now, Step::Back(back));
        }
        let due = deadline.map(|deadline| deadline.max(self.now));
        self.now = self.now.max(now);
        match due {
            Some(due) if !first && now.since(due) > LATE && now.since(self.jumped) > SELDOM => {
                self.jumped = now;
                self.distrust = now.plus(RESEND);
                self.ahead = now.since(due);
                (self.now, Step::Ahead)
            }
            _ => (self.now, Step::Forward),
        }
    }

    /// As after a jump: nobody knows what was missed.
    pub(crate) fn distrust(&mut self, now: Stamp) {
        (self.distrust, self.jumped) = (now.plus(RESEND), now);
    }

    /// Until when ends that have come are not believed.
    pub(crate) fn distrusts_ends(&self, now: Stamp) -> Option<Stamp> {
        (self.distrust > now).then_some(self.distrust)
    }

    /// Does the report say that the alert fires? `known_end` is the end that its last report promised, if it fires.
    ///
    /// While ends are not believed, an end that has moved on is the sign of a source that goes on sending, by a clock
    /// of its own; it is trusted, and the ends of all others are distrusted for another while.
    pub(crate) fn status(
        &mut self,
        alert: &Alert,
        known: Option<Option<Stamp>>,
        now: Stamp,
    ) -> Status {
        let Some(end) = alert.ends_at.map(Stamp::of).filter(|end| *end <= now) else {
            return Status::Firing;
        };
        let skewed = self.distrusts_ends(now).is_some() && end > now.minus(self.ahead);
        let moved_on = match known {
            Some(Some(promised)) => end > promised,
            Some(None) => false,
            None => true,
        };
        if !(skewed && moved_on) {
            return Status::Resolved;
        }
        self.distrust = now.plus(RESEND);
        Status::Firing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Stamp {
        Stamp::from_ms(1_700_000_000_000 + seconds * 1000)
    }

    fn until(seconds: u64) -> Alert {
        let end = at(seconds).to_system_time();
        Alert::firing([("alertname", "A")], at(0).to_system_time()).resolved(end)
    }

    #[test]
    fn time_that_passes_is_no_jump() {
        let mut clock = Clock::new();
        assert_eq!(clock.observe(at(100), None), (at(100), Step::Forward));
        assert_eq!(clock.observe(at(99), None), (at(100), Step::Forward), "a correction");
        assert_eq!(clock.observe(at(5000), None), (at(5000), Step::Forward), "nothing was due");
        assert_eq!(clock.observe(at(5100), Some(at(5090))), (at(5100), Step::Forward));
        assert_eq!(clock.distrusts_ends(at(5100)), None);
    }

    #[test]
    fn jumps_are_noticed() {
        let mut clock = Clock::new();
        let _ = clock.observe(at(10_000), None);
        let back = Step::Back(Duration::from_secs(9000));
        assert_eq!(clock.observe(at(1000), None), (at(1000), back));
        assert_eq!(clock.observe(at(90_000), Some(at(1100))), (at(90_000), Step::Ahead));
        assert_eq!(clock.distrusts_ends(at(90_000)), Some(at(90_090)));
        assert_eq!(clock.distrusts_ends(at(90_090)), None);
    }

    #[test]
    fn after_a_jump_an_end_that_moves_on_is_a_source_that_goes_on() {
        let mut clock = Clock::new();
        let _ = clock.observe(at(0), None);
        assert_eq!(clock.status(&until(240), None, at(0)), Status::Firing);
        assert_eq!(clock.status(&until(0), Some(Some(at(240))), at(1)), Status::Resolved);
        let _ = clock.observe(at(86_400), Some(at(240)));
        // The source's clock did not jump: it promises 300, a day ago.
        assert_eq!(clock.status(&until(300), Some(Some(at(240))), at(86_400)), Status::Firing);
        assert_eq!(clock.distrusts_ends(at(86_480)), Some(at(86_490)));
        // It says that it is over: before the end that it had promised.
        assert_eq!(clock.status(&until(100), Some(Some(at(240))), at(86_401)), Status::Resolved);
        // A rule that promises no end means it.
        assert_eq!(clock.status(&until(300), Some(None), at(86_401)), Status::Resolved);
    }
}
