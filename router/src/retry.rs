//! When to try again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration;

/// Exponential backoff with full jitter, up to a deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The longest first pause. Default 500ms.
    #[serde(with = "duration")]
    pub initial: Duration,
    /// The longest pause of all, unless the endpoint asks for a longer one. Default 30s.
    #[serde(with = "duration")]
    pub max: Duration,
    /// What each pause is longer than the one before by. Default 2.
    pub multiplier: u32,
    /// How long after it was accepted a notification is given up at an endpoint. Each gets one attempt at least,
    /// however long it had to queue. Default 1m.
    #[serde(with = "duration")]
    pub deadline: Duration,
    /// Draw each pause from zero up to its length, so that many senders do not come back at once. Default true.
    pub jitter: bool,
    /// Where the drawing begins. `None`, the default: somewhere else in each process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(500),
            max: Duration::from_secs(30),
            multiplier: 2,
            deadline: Duration::from_secs(60),
            jitter: true,
            seed: None,
        }
    }
}

/// The pauses of one endpoint.
#[derive(Debug)]
pub(crate) struct Pauses {
    policy: RetryPolicy,
    random: u64,
}

impl Pauses {
    pub(crate) fn new(policy: RetryPolicy, endpoint: &str) -> Self {
        let seed = policy.seed.unwrap_or_else(|| RandomState::new().hash_one(endpoint));
        // Endpoints with one seed must still not beat together.
        let mut fnv = crate::labels::Fnv::default();
        let random = seed ^ fnv.field(endpoint).0;
        Self { policy, random }
    }

    /// The pause after the `attempts`-th attempt failed. What the endpoint asks for is kept, and then a little more.
    pub(crate) fn next(&mut self, attempts: u32, asked_for: Option<Duration>) -> Duration {
        let factor = self.policy.multiplier.max(1).saturating_pow(attempts.saturating_sub(1));
        let longest = self.policy.initial.saturating_mul(factor).min(self.policy.max);
        match asked_for {
            Some(pause) => pause.saturating_add(self.draw(longest.min(self.policy.initial))),
            None => self.draw(longest),
        }
    }

    fn draw(&mut self, longest: Duration) -> Duration {
        if self.policy.jitter { longest.mul_f64(self.fraction()) } else { longest }
    }

    /// SplitMix64, as a number from 0 to 1.
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(jitter: bool) -> Pauses {
        Pauses::new(RetryPolicy { jitter, seed: Some(7), ..RetryPolicy::default() }, "a")
    }

    #[test]
    fn grows_up_to_its_limit() {
        let mut pauses = pauses(false);
        let ms: Vec<u128> = (1..=9).map(|n| pauses.next(n, None).as_millis()).collect();
        assert_eq!(ms, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(pauses.next(u32::MAX, None), Duration::from_secs(30));
    }

    #[test]
    fn jitter_is_full_repeatable_and_differs_between_endpoints() {
        let mut one = pauses(true);
        let drawn: Vec<Duration> = (0..1000).map(|_| one.next(1, None)).collect();
        assert!(drawn.iter().all(|pause| *pause <= Duration::from_millis(500)));
        assert!(drawn.iter().any(|pause| *pause < Duration::from_millis(50)));
        assert!(drawn.iter().any(|pause| *pause > Duration::from_millis(450)));
        let mut same = pauses(true);
        assert!(drawn.iter().all(|pause| *pause == same.next(1, None)));
        let policy = RetryPolicy { seed: Some(7), ..RetryPolicy::default() };
        assert_ne!(Pauses::new(policy, "b").next(1, None), drawn[0]);
    }

    #[test]
    fn what_the_endpoint_asks_for_is_kept() {
        let asked = Duration::from_secs(2);
        let mut pauses = pauses(true);
        for attempts in 1..20 {
            let pause = pauses.next(attempts, Some(asked));
            assert!(pause >= asked && pause <= asked + Duration::from_millis(500), "{pause:?}");
        }
    }
}
