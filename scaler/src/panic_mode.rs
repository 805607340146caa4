//! Panic: when far more is needed than there is, act at once, and let nothing go for a while.
//!
//! The rule is Knative's: it begins when the metrics ask for `threshold` percent of what is ready,
//! and ends when a whole window has passed without.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::timestamp::{elapsed, later};

/// When to panic. While it lasts, a scale-up waits for no condition window, stabilization or
/// lock-out, and nothing is scaled down. Bounds, step, rate policies and brake hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct PanicSpec {
    /// It begins when the metrics ask for this many percent of the ready instances, or more; 200,
    /// and above 100.
    pub threshold: u32,
    /// It ends when the threshold has not been reached for this long; 60 s.
    #[serde(with = "crate::duration::serde")]
    pub window: Duration,
}

/// A panic that is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Panicking {
    /// When the threshold was last reached.
    #[serde(with = "crate::timestamp::serde")]
    last: SystemTime,
}

impl Default for PanicSpec {
    fn default() -> Self {
        Self { threshold: 200, window: Duration::from_secs(60) }
    }
}

impl PanicSpec {
    /// Whether there is a panic at `now`, when the metrics ask for `wanted` and so many are ready.
    pub(crate) fn observe(
        &self,
        before: Option<Panicking>,
        wanted: Option<u32>,
        ready: u32,
        now: SystemTime,
    ) -> Option<Panicking> {
        let least = u64::from(ready.max(1)) * u64::from(self.threshold);
        if wanted.is_some_and(|wanted| u64::from(wanted) * 100 >= least) {
            return Some(Panicking { last: now });
        }
        let last = before?.last.min(now);
        (elapsed(last, now) < self.window).then_some(Panicking { last })
    }

    /// When it ends, if nothing prolongs it.
    pub(crate) fn end(&self, panicking: Panicking) -> SystemTime {
        later(panicking.last, self.window)
    }

    pub(crate) fn check(&self, faults: &mut Vec<String>) {
        if self.threshold <= 100 {
            faults.push(format!(
                "panic.threshold is {}, which is always reached: use more than 100 percent, such \
                 as 200",
                self.threshold
            ));
        }
    }
}
