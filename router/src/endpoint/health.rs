//! Health: from measurements to up, degraded or down.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::Health;
use super::vitals::Vitals;
use crate::duration;
use crate::error::{Error, ErrorKind};

/// The newest round trip counts for this much at least, however close to the one before it comes.
const LEAST_WEIGHT: f64 = 0.3;

/// What the round trip of an endpoint that was never measured is taken for when it is compared with another's, as in
/// linkerd: fast enough to be tried, slow enough not to be drowned.
const UNMEASURED_MS: f64 = 30.0;

/// When an endpoint is up, degraded or down; see [`Health`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct HealthConfig {
    /// So many failed attempts, or unanswered probes, in a row, and it is down. Default 3.
    pub failures: u32,
    /// So many attempts or probes in a row have to go through before one that was down is up again. Default 2.
    pub successes: u8,
    /// An active probe older than this is a missing heartbeat. Default 30s. Counts only where the host probes.
    #[serde(with = "duration")]
    pub heartbeat_timeout: Duration,
    /// A round trip above this, on average, is a bad sign. Default 1s.
    #[serde(with = "duration")]
    pub rtt_budget: Duration,
    /// The sign is good again when the average is not above this. `None`, the default: four fifths of `rtt_budget`.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub rtt_recovery: Option<Duration>,
    /// The time in which an older round trip loses all but a third of its weight in the average, and in which a peak
    /// sinks by two thirds of the way to it. Default 30s.
    #[serde(with = "duration")]
    pub rtt_decay: Duration,
    /// What was seen longer ago than this, a round trip or (where the host does not probe) a failure, is forgotten, and
    /// the endpoint gets another chance. Default 10m.
    #[serde(with = "duration")]
    pub rtt_max_age: Duration,
    /// How long an endpoint that is down is spared before it is tried again. Default 30s.
    #[serde(with = "duration")]
    pub retry_down_after: Duration,
    /// What a failure counts for as a round trip when equally near endpoints are compared: one that refuses at once must
    /// not look like a fast one. It sinks like any peak. Default 5s.
    #[serde(with = "duration")]
    pub failure_penalty: Duration,
    /// How long an endpoint is spared at most when it asks for it (`Retry-After`). Default 5m.
    #[serde(with = "duration")]
    pub retry_after_max: Duration,
    /// When more than this part of the endpoints that keep the SLA are down, and none of them is up, being down counts
    /// for no more than being degraded: it may be the measurement that is wrong. 100 is never. Default 50.
    pub panic_percent: u8,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            failures: 3,
            successes: 2,
            heartbeat_timeout: Duration::from_secs(30),
            rtt_budget: Duration::from_secs(1),
            rtt_recovery: None,
            rtt_decay: Duration::from_secs(30),
            rtt_max_age: Duration::from_secs(600),
            retry_down_after: Duration::from_secs(30),
            failure_penalty: Duration::from_secs(5),
            retry_after_max: Duration::from_secs(300),
            panic_percent: 50,
        }
    }
}

/// The same in the units of [`Vitals`], so that a decision converts nothing.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    failures: u32,
    successes: u8,
    heartbeat_timeout: u64,
    budget_ms: f64,
    recovery_ms: f64,
    decay: f64,
    max_age: u64,
    retry_down_after: u64,
    penalty_ms: f64,
    retry_after_max: u64,
    panic_percent: u8,
}

impl Rules {
    pub(super) fn compile(config: &HealthConfig) -> Result<Self, Error> {
        let invalid = |key: &str, message: &str| {
            Err(Error::new(ErrorKind::InvalidConfig, format!("health.{key}"), message))
        };
        if config.successes == 0 {
            return invalid("successes", "must be at least 1");
        }
        if config.panic_percent > 100 {
            return invalid("panic_percent", "must be at most 100, which is never");
        }
        if config.rtt_recovery.is_some_and(|mark| mark > config.rtt_budget) {
            return invalid("rtt_recovery", "must not be above `rtt_budget`");
        }
        let budget_ms = milliseconds(config.rtt_budget);
        Ok(Self {
            failures: config.failures,
            successes: config.successes,
            heartbeat_timeout: nanoseconds(config.heartbeat_timeout),
            budget_ms,
            recovery_ms: config.rtt_recovery.map_or(budget_ms * 0.8, milliseconds),
            decay: config.rtt_decay.as_secs_f64() * 1e9,
            max_age: nanoseconds(config.rtt_max_age),
            retry_down_after: nanoseconds(config.retry_down_after),
            penalty_ms: milliseconds(config.failure_penalty),
            retry_after_max: nanoseconds(config.retry_after_max),
            panic_percent: config.panic_percent,
        })
    }

    /// Are so many of them down that "down" may be wrong?
    pub(super) fn is_panic(&self, down: usize, all: usize) -> bool {
        down.saturating_mul(100) > all.saturating_mul(self.panic_percent.into())
    }
}

impl Vitals {
    /// An attempt went through.
    #[must_use]
    pub(super) fn delivered(mut self, rtt: Option<Duration>, rules: &Rules, now: u64) -> Self {
        self.failures = 0;
        self.spared = None;
        self.with_success(rules).with_rtt(rtt, rules, now)
    }

    /// An attempt failed; the endpoint may have asked for a pause.
    #[must_use]
    pub(super) fn failed(self, retry_after: Option<Duration>, rules: &Rules, now: u64) -> Self {
        let mut failed = self.with_failure(rules, now);
        failed.failures = self.failures.saturating_add(1);
        failed.down |= failed.failures >= rules.failures;
        if let Some(pause) = retry_after {
            let pause = nanoseconds(pause).min(rules.retry_after_max);
            failed.spared = Some(now.saturating_add(pause).min(LAST));
        }
        failed
    }

    /// A probe was answered, after `rtt`.
    ///
    /// It ends a row of failed attempts only as one of several in a row: an endpoint may be there, and yet refuse.
    #[must_use]
    pub(super) fn answered(mut self, rtt: Duration, rules: &Rules, now: u64) -> Self {
        self.unanswered = 0;
        self.probed = Some(now);
        self.with_success(rules).with_rtt(Some(rtt), rules, now)
    }

    /// A probe had no answer.
    #[must_use]
    pub(super) fn unanswered(self, rules: &Rules, now: u64) -> Self {
        let mut failed = self.with_failure(rules, now);
        failed.unanswered = self.unanswered.saturating_add(1);
        failed.down |= u32::from(failed.unanswered) >= rules.failures;
        failed.probed = Some(self.probed.unwrap_or(now));
        failed
    }

    fn with_success(mut self, rules: &Rules) -> Self {
        self.successes = self.successes.saturating_add(1);
        if self.successes >= rules.successes {
            self.failures = 0;
            self.down = false;
        }
        if !self.down && self.failures == 0 {
            self.failed = None;
        }
        self
    }

    fn with_failure(mut self, rules: &Rules, now: u64) -> Self {
        self.successes = 0;
        self.failed = Some(now);
        self.peak = Some((self.peak_ms(rules, now).max(rules.penalty_ms), now));
        self
    }

    /// The average is weighted by time, as linkerd's: the longer nothing was measured, the more the newest counts.
    fn with_rtt(mut self, rtt: Option<Duration>, rules: &Rules, now: u64) -> Self {
        let Some(newest) = rtt.map(milliseconds) else { return self };
        let average = self.rtt.map_or(newest, |(old, at)| {
            let weight = 1.0 - rules.left_after(now.saturating_sub(at));
            old + weight.max(LEAST_WEIGHT) * (newest - old)
        });
        let peak = self.peak.map_or(newest, |_| self.peak_ms(rules, now).max(newest));
        self.slow = rules.is_slow(average, self.slow);
        self.rtt = Some((average, now));
        self.peak = Some((peak, now));
        self
    }

    pub(super) fn health(&self, rules: &Rules, now: u64) -> Health {
        // Where nobody probes, and another endpoint is up, only a notification can find out that this one is back.
        let forgotten = self.probed.is_none()
            && self.failed.is_none_or(|at| now.saturating_sub(at) > rules.max_age);
        if (self.down || self.failures >= rules.failures) && !forgotten {
            // Coming back, or on trial after a while: one more failure and it is down once more.
            let waited = self.failed.map_or(0, |at| now.saturating_sub(at));
            let on_trial = self.successes > 0 || waited >= rules.retry_down_after;
            return if on_trial { Health::Degraded } else { Health::Down };
        }
        let answered = self.probed.is_none_or(|at| {
            self.unanswered == 0 && now.saturating_sub(at) <= rules.heartbeat_timeout
        });
        let heartbeat = answered && (forgotten || self.failures == 0);
        let round_trip = self.rtt_ms(rules, now).is_none_or(|ms| !rules.is_slow(ms, self.slow));
        match (heartbeat, round_trip) {
            (true, true) => Health::Up,
            (false, false) => Health::Down,
            _ => Health::Degraded,
        }
    }

    /// The average round trip, unless the knowledge is too old: an endpoint that nobody uses because it *was* slow must
    /// get another chance.
    pub(super) fn rtt_ms(&self, rules: &Rules, now: u64) -> Option<f64> {
        let (ms, at) = self.rtt?;
        (now.saturating_sub(at) <= rules.max_age).then_some(ms)
    }

    /// What the next notification is expected to wait here: the peak of the round trips, as it is after sinking towards
    /// the average since.
    pub(super) fn peak_ms(&self, rules: &Rules, now: u64) -> f64 {
        let average = self.rtt_ms(rules, now).unwrap_or(UNMEASURED_MS);
        match self.peak {
            Some((peak, at)) if peak > average => {
                average + (peak - average) * rules.left_after(now.saturating_sub(at))
            }
            _ => average,
        }
    }

    /// Until when it asked to be spared, if that is not over.
    pub(super) fn spared(&self, now: u64) -> Option<u64> {
        self.spared.filter(|until| *until > now)
    }
}

impl Rules {
    /// How much of a weight is left after a time.
    fn left_after(&self, nanoseconds: u64) -> f64 {
        // Without a decay everything is old at once; 0/0 would be no number.
        if self.decay > 0.0 { (-(nanoseconds as f64) / self.decay).exp() } else { 0.0 }
    }

    /// Above the budget; or above the lower mark, if it was slow before.
    fn is_slow(&self, average_ms: f64, was_slow: bool) -> bool {
        average_ms > self.budget_ms || (was_slow && average_ms > self.recovery_ms)
    }
}

/// The last time that there is.
const LAST: u64 = u64::MAX - 1;

/// Nanoseconds after 1970; what was before is 1970, and what is after the year 2554 is 2554.
pub(super) fn time(at: SystemTime) -> u64 {
    nanoseconds(at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()).min(LAST)
}

fn nanoseconds(duration: Duration) -> u64 {
    let seconds = duration.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(duration.subsec_nanos().into())
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
