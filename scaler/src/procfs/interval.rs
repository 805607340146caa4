//! What counters did between two reads.

use std::time::{Duration, SystemTime};

use crate::signal::Sample;
use crate::source::{Fault, FaultKind};

/// Reads that are nearer than this are one: the kernel's clock has hundredths of a second.
const SHORTEST: Duration = Duration::from_millis(100);

/// Reads that are farther apart say little of now.
const LONGEST: Duration = Duration::from_secs(600);

/// The last state of some counters, and what was made of it.
#[derive(Debug)]
pub(crate) struct Interval<T> {
    last: Option<(Duration, T)>,
    given: Option<Reading>,
}

/// What a source gives, and when it was measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    pub(crate) samples: Vec<Sample>,
    pub(crate) at: SystemTime,
}

impl<T> Default for Interval<T> {
    fn default() -> Self {
        Self { last: None, given: None }
    }
}

impl<T> Interval<T> {
    /// Puts `seen` in place of what was held, and lets `measure` compare the two; it gets the time
    /// between them. A fault, as after a reset, loses this reading and not the next one.
    pub(crate) fn turn(
        &mut self,
        up: Duration,
        now: SystemTime,
        seen: T,
        from: &str,
        measure: impl FnOnce(&T, &T, Duration) -> Result<Vec<Sample>, Fault>,
    ) -> Result<Reading, Fault> {
        let fault = |kind, detail: String| Fault::new(kind, format!("{from}: {detail}"));
        let before = self.last.take();
        let over = before.as_ref().map(|(last, _)| up.checked_sub(*last));
        if over.flatten().is_some_and(|over| over < SHORTEST) {
            self.last = before;
            let again = self.given.clone().map(Ok);
            let detail = format!("needs two reads that are {SHORTEST:?} apart");
            return again.unwrap_or_else(|| Err(fault(FaultKind::Empty, detail)));
        }
        let samples = match (before, over.flatten()) {
            (None, _) => {
                let detail = "needs two reads, and this was the first";
                Err(fault(FaultKind::Empty, detail.into()))
            }
            (Some((last, _)), None) => {
                let detail = format!("the kernel's clock went back from {last:?} to {up:?}");
                Err(fault(FaultKind::NotANumber, detail))
            }
            (_, Some(over)) if over > LONGEST => {
                let detail = format!("needs two reads, and the last one was {over:?} ago");
                Err(fault(FaultKind::Empty, detail))
            }
            (Some((_, before)), Some(over)) => measure(&before, &seen, over),
        };
        self.last = Some((up, seen));
        let reading = samples.map(|samples| Reading { samples, at: now });
        self.given = reading.as_ref().ok().cloned();
        reading
    }
}

/// How far a counter came. One that is smaller than before was reset, or is another's.
pub(crate) fn moved(before: u64, seen: u64, what: &str, from: &str) -> Result<u64, Fault> {
    seen.checked_sub(before).ok_or_else(|| {
        let detail = format!("{from}: {what} went from {before} to {seen}: it was reset");
        Fault::new(FaultKind::NotANumber, detail)
    })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn turn(interval: &mut Interval<u64>, up: u64, seen: u64) -> Result<Reading, Fault> {
        let now = UNIX_EPOCH + Duration::from_secs(up);
        interval.turn(Duration::from_millis(up), now, seen, "f", |before, seen, over| {
            let count = moved(*before, *seen, "it", "f")?;
            Ok(vec![Sample::new("", count as f64 / over.as_secs_f64())])
        })
    }

    #[track_caller]
    fn is(reading: Result<Reading, Fault>, value: f64, at: u64) {
        let at = UNIX_EPOCH + Duration::from_secs(at);
        assert_eq!(reading.unwrap(), Reading { samples: vec![Sample::new("", value)], at });
    }

    #[track_caller]
    fn is_fault(reading: Result<Reading, Fault>, kind: FaultKind, detail: &str) {
        assert_eq!(reading.unwrap_err(), Fault::new(kind, detail));
    }

    #[test]
    fn reads_at_once_give_what_was_given_before() {
        let mut interval = Interval::default();
        let first = "f: needs two reads, and this was the first";
        is_fault(turn(&mut interval, 1_000, 10), FaultKind::Empty, first);
        let near = "f: needs two reads that are 100ms apart";
        is_fault(turn(&mut interval, 1_099, 10), FaultKind::Empty, near);
        is(turn(&mut interval, 3_000, 20), 5.0, 3_000);
        is(turn(&mut interval, 3_099, 99), 5.0, 3_000);
        is(turn(&mut interval, 4_000, 99), 79.0, 4_000);
    }

    #[test]
    fn what_goes_back_is_unknown_once() {
        let mut interval = Interval::default();
        let _ = turn(&mut interval, 1_000, 10);
        let reset = "f: it went from 10 to 4: it was reset";
        is_fault(turn(&mut interval, 2_000, 4), FaultKind::NotANumber, reset);
        is(turn(&mut interval, 3_000, 6), 2.0, 3_000);
        let back = "f: the kernel's clock went back from 3s to 1s";
        is_fault(turn(&mut interval, 1_000, 8), FaultKind::NotANumber, back);
        is(turn(&mut interval, 2_000, 9), 1.0, 2_000);
        let late = "f: needs two reads, and the last one was 601s ago";
        is_fault(turn(&mut interval, 603_000, 10), FaultKind::Empty, late);
        is(turn(&mut interval, 604_000, 11), 1.0, 604_000);
    }
}
