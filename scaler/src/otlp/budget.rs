//! How many spans a second are taken in.

use std::time::{Duration, SystemTime};

use crate::timestamp::elapsed;

/// So many seconds' worth may come at once.
const BURST: i64 = 5;
/// How long a sender is told to wait.
const WAIT: (u64, u64) = (1, 30);

/// A bucket of tokens, one a span. A request is let in while there is one, and pays for what turns
/// out to be in it, so that the balance may go below zero.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    a_second: i64,
    /// In thousandths of a span.
    balance: i64,
    last: Option<SystemTime>,
}

impl Budget {
    pub(super) fn new(a_second: u32) -> Self {
        let a_second = i64::from(a_second.max(1));
        Self { a_second, balance: a_second * BURST * 1000, last: None }
    }

    /// Whether a request may come in; if not, when it may come again.
    pub(super) fn admit(&mut self, now: SystemTime) -> Result<(), Duration> {
        let millis = self.last.map_or(0, |last| elapsed(last, now).as_millis().min(60_000));
        let earned = self.a_second.saturating_mul(i64::try_from(millis).unwrap_or(60_000));
        self.balance = self.balance.saturating_add(earned).min(self.a_second * BURST * 1000);
        // A request that comes within the same millisecond earns nothing, and loses nothing of it.
        if millis > 0 || self.last.is_none_or(|last| last > now) {
            self.last = Some(now);
        }
        if self.balance > 0 {
            return Ok(());
        }
        let wait = self.balance.unsigned_abs() / (self.a_second.unsigned_abs() * 1000);
        Err(Duration::from_secs(wait.clamp(WAIT.0, WAIT.1)))
    }

    pub(super) fn pay(&mut self, spans: u64) {
        let price = i64::try_from(spans).unwrap_or(i64::MAX).saturating_mul(1000);
        self.balance = self.balance.saturating_sub(price);
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn in_the_long_run_so_many_and_five_seconds_worth_at_once() {
        let at = |millis| UNIX_EPOCH + Duration::from_secs(100) + Duration::from_millis(millis);
        let (mut budget, mut taken, mut refused) = (Budget::new(1000), 0, 0);
        for millis in (0..60_000).step_by(5) {
            match budget.admit(at(millis)) {
                Ok(()) => {
                    budget.pay(50);
                    taken += 50;
                }
                Err(wait) => {
                    assert_eq!(wait, Duration::from_secs(1));
                    refused += 50;
                }
            }
        }
        assert!((65_000..65_100).contains(&taken), "{taken}");
        assert_eq!(taken + refused, 600_000);
        budget.pay(20_000);
        assert_eq!(budget.admit(at(60_000)), Err(Duration::from_secs(20)));
        assert_eq!(budget.admit(at(50_000)), Err(Duration::from_secs(20)), "a clock set back");
        assert_eq!(budget.admit(at(200_000)), Ok(()));
    }
}
