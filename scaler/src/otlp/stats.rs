//! What the calls of a window come to, and which of its numbers a signal tells.

use std::time::{Duration, SystemTime};

/// Which number of a window a signal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Measure {
    /// Retries among all calls, in percent from 0 to 100. With every call failing and each tried
    /// three times it is 67: the first try counts as a call too.
    RetryRatio,
    /// Failed calls among all calls, in percent from 0 to 100.
    ErrorRatio,
    /// Calls that end in a second, retries included. Spans that were sampled away are missing in it.
    CallsPerSecond,
    /// The duration that 99 % of the calls stay below, in milliseconds.
    P99,
}

impl Measure {
    /// As in sentences: `retry ratio`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetryRatio => "retry ratio",
            Self::ErrorRatio => "error ratio",
            Self::CallsPerSecond => "rate of calls",
            Self::P99 => "99th percentile",
        }
    }
}

/// The calls of a window at one time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct SpanStats {
    /// Calls that ended within the window.
    pub calls: u64,
    /// Those of them that were retries.
    pub retries: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// About how many spans are missing: refused, too late, or of a clock that is ahead.
    pub lost: u64,
    /// Calls a second over the settled part of the window; `None` until it has been listened to
    /// for so long, and until calls that ended after it have come.
    pub per_second: Option<f64>,
    /// How long 99 % of the calls stayed below; `None` if none told how long it took.
    pub p99: Option<Duration>,
    /// When the last of the calls ended.
    pub newest: Option<SystemTime>,
}

impl SpanStats {
    /// Retries among all calls, 0 to 1; `None` without calls.
    pub fn retry_ratio(&self) -> Option<f64> {
        self.of_calls(self.retries)
    }

    /// Failed calls among all calls, 0 to 1; `None` without calls.
    pub fn error_ratio(&self) -> Option<f64> {
        self.of_calls(self.errors)
    }

    /// Spans that are missing among all there should be, 0 to 1; `None` where there is neither.
    pub fn lost_ratio(&self) -> Option<f64> {
        let all = self.calls.saturating_add(self.lost);
        (all > 0).then(|| self.lost as f64 / all as f64)
    }

    /// The number that a measure stands for; `None` where there is none.
    pub fn get(&self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::RetryRatio => self.retry_ratio().map(|ratio| ratio * 100.0),
            Measure::ErrorRatio => self.error_ratio().map(|ratio| ratio * 100.0),
            Measure::CallsPerSecond => self.per_second,
            Measure::P99 => self.p99.map(|p99| p99.as_secs_f64() * 1000.0),
        }
    }

    fn of_calls(&self, count: u64) -> Option<f64> {
        (self.calls > 0).then(|| count as f64 / self.calls as f64)
    }
}
