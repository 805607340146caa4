//! What is let in above the mark from who cannot wait: a rate, with a burst of one second of it.

use std::time::{Duration, Instant};

use crate::Error;
use crate::budget::Room;

const NANOS: u128 = 1_000_000_000;

/// How much may come in each second while memory is scarce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) lines: u32,
    pub(crate) bytes: u32,
}

impl Default for Rate {
    fn default() -> Self {
        Self { lines: 1000, bytes: 1 << 20 }
    }
}

impl Rate {
    /// What `build()` of every source that takes one asks.
    ///
    /// # Errors
    /// If it lets nothing in.
    pub(crate) fn check(self) -> Result<(), Error> {
        if self.lines == 0 || self.bytes == 0 {
            return Err(Error::invalid("an overload rate of 0 lets nothing in, ever; allow 1"));
        }
        Ok(())
    }
}

/// Nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WouldBlock {
    /// When there will be tokens enough, if nothing else comes; `None` if memory must be released
    /// first.
    pub(crate) retry_after: Option<Duration>,
}

/// Admits everything while there is room, what a token bucket allows while room is scarce, and
/// nothing when there is none.
///
/// A refusal takes nothing. What is larger than the whole bucket is let in by a full one, and
/// leaves a debt: else it would never be.
#[derive(Debug)]
pub(crate) struct Admission {
    lines: Bucket,
    bytes: Bucket,
    /// When the buckets were last filled.
    filled_at: Option<Instant>,
}

impl Admission {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { lines: Bucket::new(rate.lines), bytes: Bucket::new(rate.bytes), filled_at: None }
    }

    /// Lets in all of it, or nothing.
    pub(crate) fn admit(
        &mut self,
        room: Room,
        (lines, bytes): (usize, usize),
        now: Instant,
    ) -> Result<(), WouldBlock> {
        match room {
            Room::Free => return Ok(()),
            Room::None => return Err(WouldBlock { retry_after: None }),
            Room::Scarce => {}
        }
        let before = *self.filled_at.get_or_insert(now);
        let passed = now.saturating_duration_since(before);
        self.filled_at = Some(before.max(now));
        self.lines.fill(passed);
        self.bytes.fill(passed);
        let wait = self.lines.wait(lines).max(self.bytes.wait(bytes));
        if !wait.is_zero() {
            return Err(WouldBlock { retry_after: Some(wait) });
        }
        self.lines.take(lines);
        self.bytes.take(bytes);
        Ok(())
    }
}

/// Tokens, in billionths of one, so that a nanosecond's share is a whole number.
#[derive(Debug)]
struct Bucket {
    per_second: u128,
    /// What is there, up to a second's worth;
    left: u128,
    /// or what is owed.
    debt: u128,
}

impl Bucket {
    fn new(per_second: u32) -> Self {
        let per_second = u128::from(per_second.max(1));
        Self { per_second, left: per_second * NANOS, debt: 0 }
    }

    fn fill(&mut self, passed: Duration) {
        let gain = passed.as_nanos() * self.per_second;
        let paid = gain.min(self.debt);
        self.debt -= paid;
        self.left = (self.left + gain - paid).min(self.per_second * NANOS);
    }

    /// How long until so many can be taken.
    fn wait(&self, tokens: usize) -> Duration {
        let wanted = (tokens as u128 * NANOS).min(self.per_second * NANOS);
        let nanos = (self.debt + wanted).saturating_sub(self.left).div_ceil(self.per_second);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn take(&mut self, tokens: usize) {
        let wanted = tokens as u128 * NANOS;
        self.debt += wanted.saturating_sub(self.left);
        self.left = self.left.saturating_sub(wanted);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The naive twin: whole tokens, added one millisecond after the other.
    struct Naive {
        per_milli: i64,
        full: i64,
        tokens: i64,
    }

    impl Naive {
        fn new(per_milli: i64) -> Self {
            Self { per_milli, full: 1000 * per_milli, tokens: 1000 * per_milli }
        }

        fn pass(&mut self, millis: u64) {
            for _ in 0..millis {
                self.tokens = (self.tokens + self.per_milli).min(self.full);
            }
        }

        fn has(&self, wanted: i64) -> bool {
            self.tokens >= wanted.min(self.full)
        }

        /// How many milliseconds until it has, one after the other.
        fn millis_until(&self, wanted: i64) -> u64 {
            let mut later = Self { ..*self };
            (0..)
                .find(|_| {
                    later.has(wanted) || {
                        later.pass(1);
                        false
                    }
                })
                .unwrap()
        }
    }

    fn room() -> impl Strategy<Value = Room> {
        prop_oneof![1 => Just(Room::Free), 8 => Just(Room::Scarce), 1 => Just(Room::None)]
    }

    proptest! {
        #[test]
        fn a_bucket_is_what_is_added_less_what_is_taken(
            rates in (1_i64..5, 1_i64..5000),
            steps in proptest::collection::vec(
                (0_u64..400, room(), 1_usize..2000, 0_usize..200_000), 1..60),
        ) {
            let per_second = |per_milli: i64| u32::try_from(per_milli * 1000).unwrap();
            let rate = Rate { lines: per_second(rates.0), bytes: per_second(rates.1) };
            let mut admission = Admission::new(rate);
            let (mut lines, mut bytes) = (Naive::new(rates.0), Naive::new(rates.1));
            let mut now = crate::clock::ticks();
            for (millis, room, some_lines, some_bytes) in steps {
                now += Duration::from_millis(millis);
                lines.pass(millis);
                bytes.pass(millis);
                let wanted = (i64::try_from(some_lines).unwrap(), i64::try_from(some_bytes).unwrap());
                let admitted = admission.admit(room, (some_lines, some_bytes), now);
                let has = lines.has(wanted.0) && bytes.has(wanted.1);
                match room {
                    Room::Free => prop_assert_eq!(admitted, Ok(())),
                    Room::None => prop_assert_eq!(admitted, Err(WouldBlock { retry_after: None })),
                    Room::Scarce if has => {
                        prop_assert_eq!(admitted, Ok(()));
                        (lines.tokens, bytes.tokens) =
                            (lines.tokens - wanted.0, bytes.tokens - wanted.1);
                    }
                    Room::Scarce => {
                        let after = admitted.unwrap_err().retry_after.unwrap();
                        let until = lines.millis_until(wanted.0).max(bytes.millis_until(wanted.1));
                        // To the nanosecond it is a little earlier than a whole millisecond.
                        prop_assert_eq!(after.as_nanos().div_ceil(1_000_000), u128::from(until));
                    }
                }
            }
        }
    }

    #[test]
    fn above_the_mark_a_thousand_lines_come_at_once_and_then_a_thousand_each_second() {
        let (mut admission, start) = (Admission::new(Rate::default()), crate::clock::ticks());
        let mut admitted_in = |seconds: u64| {
            let lines = (0..10_000_u64).filter(|n| {
                let now = start + Duration::from_secs(seconds) + Duration::from_micros(n * 100);
                admission.admit(Room::Scarce, (1, 100), now).is_ok()
            });
            lines.count()
        };
        assert_eq!(admitted_in(0), 1999);
        assert_eq!((1..10).map(&mut admitted_in).sum::<usize>(), 9000);
    }

    #[test]
    fn what_is_larger_than_the_bucket_is_let_in_by_a_full_one_and_paid_for() {
        let (mut admission, start) = (Admission::new(Rate::default()), crate::clock::ticks());
        let large = (1, 3 << 20);
        assert_eq!(admission.admit(Room::Scarce, large, start), Ok(()));
        let refused = admission.admit(Room::Scarce, (1, 1 << 20), start).unwrap_err();
        assert_eq!(refused.retry_after, Some(Duration::from_secs(3)));
        let later = start + Duration::from_secs(3);
        assert_eq!(admission.admit(Room::Scarce, (1, 1 << 20), later), Ok(()));
        // A clock that is behind takes nothing away.
        assert!(admission.admit(Room::Scarce, (1, 1), start).is_err());
    }
}
