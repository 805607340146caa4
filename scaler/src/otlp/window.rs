//! The calls of the last minute, counted in time buckets.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::call::ClientCall;
use super::durations::Durations;
use super::filter::SpanFilter;
use super::stats::{Measure, SpanStats};
use crate::source::{Fault, FaultKind};
use crate::timestamp::{elapsed, later};

/// Buckets in a window; it moves on by one at a time.
const BUCKETS: u64 = 12;
/// What ends later than this after `now` is of a wrong clock; less is held for now.
const AHEAD: Duration = Duration::from_secs(5);
/// The shortest and the longest window.
const LENGTHS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));
/// The longest delay, in windows; it bounds the number of buckets.
const MOST_SETTLE: u32 = 4;
/// Of a hundred spans, so many may be missing before a ratio is Unknown.
const LOSABLE: u64 = 10;

/// Counts the calls that ended in the last minute, by when they *ended*, so that a burst of spans
/// which were delivered late is not a burst of calls.
///
/// It is a state machine without a clock and of a fixed size, some 20 KB. What cannot be told is a
/// [`Fault`], never zero:
///
/// * Fewer calls than `min_calls` (20 by default) are no statistics. A quiet night is Unknown as
///   well, since it looks like a sender that has gone.
/// * Where more than a tenth of the spans are missing, refused in a flood or dated wrongly, a ratio
///   is Unknown; for the rate of calls a single one is too many.
/// * Spans are exported some seconds after they ended (5 by default). So the rate is taken over a
///   window that ended a while ago ([`settle`](Self::settle), 10 s), and only once calls have come
///   that ended after it: the last minute of a sender that died must not read as falling load.
///   After a silence of twice that time it is waited for anew.
///
/// Spans that end up to 5 s ahead of `now` are held for now. If the clock is set back, what was
/// counted ahead of it is forgotten.
#[derive(Debug, Clone)]
pub struct RetryWindow {
    filter: SpanFilter,
    length: Duration,
    settle: Duration,
    min_calls: u64,
    buckets: Vec<Bucket>,
    /// Since when something has been heard, without a gap, and when last.
    heard: Option<(SystemTime, SystemTime)>,
}

#[derive(Debug, Clone)]
struct Bucket {
    /// Which bucket since 1970 it is.
    number: u64,
    calls: u64,
    retries: u64,
    errors: u64,
    lost: u64,
    newest: Option<SystemTime>,
    durations: Durations,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Taken {
    /// The window is about others.
    Elsewhere,
    /// It ended more than 5 s ahead of `now`.
    Future,
    /// It ended before the window.
    Late,
    /// It is counted.
    Counted,
}

impl RetryWindow {
    /// A window of a minute over these calls.
    pub fn new(filter: SpanFilter) -> Self {
        let (length, settle) = (Duration::from_secs(60), Duration::from_secs(10));
        Self { filter, length, settle, min_calls: 20, buckets: Vec::new(), heard: None }.emptied()
    }

    /// Sets how far back it looks, from a second to a day. What was counted is forgotten.
    #[must_use]
    pub fn length(mut self, length: Duration) -> Self {
        self.length = length.clamp(LENGTHS.0, LENGTHS.1);
        self.emptied()
    }

    /// Sets how long after their end spans are waited for before a rate is taken: longer than the
    /// senders' export interval. At most four windows. What was counted is forgotten.
    #[must_use]
    pub fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self.emptied()
    }

    /// Sets how few calls are too few to tell; 1 is the least.
    #[must_use]
    pub fn min_calls(mut self, least: u64) -> Self {
        self.min_calls = least.max(1);
        self
    }

    /// Which calls it is about.
    pub fn filter(&self) -> &SpanFilter {
        &self.filter
    }

    /// Counts a call, if it is one of those that the window is about.
    pub fn record(&mut self, call: &ClientCall<'_>, now: SystemTime) -> Taken {
        self.listen(now);
        if !self.filter.matches(call) {
            return Taken::Elsewhere;
        }
        if call.end > later(now, AHEAD) {
            self.lose(1, now);
            return Taken::Future;
        }
        let end = call.end.min(now);
        let (number, current) = (self.number(end), self.number(now));
        if current - number >= self.buckets.len() as u64 {
            self.lose(1, now);
            return Taken::Late;
        }
        if let Some(bucket) = self.bucket(number) {
            bucket.calls += 1;
            bucket.retries += u64::from(call.retry);
            bucket.errors += u64::from(call.error);
            bucket.newest = bucket.newest.max(Some(end));
            if let Some(duration) = call.duration {
                bucket.durations.record(duration);
            }
        }
        Taken::Counted
    }

    /// Tells that about so many spans, which may have been of these calls, are missing.
    pub fn lose(&mut self, spans: u64, now: SystemTime) {
        self.listen(now);
        let number = self.number(now);
        if let Some(bucket) = self.bucket(number) {
            bucket.lost = bucket.lost.saturating_add(spans);
        }
    }

    /// What was counted, seen from `now`.
    pub fn stats(&self, now: SystemTime) -> SpanStats {
        let current = self.number(now);
        let settled = self.number(earlier(now, self.settle));
        let (mut stats, mut durations, mut in_rate) = (SpanStats::default(), Durations::new(), 0);
        for bucket in self.buckets.iter().filter(|bucket| bucket.number <= current) {
            if (settled.saturating_sub(BUCKETS)..settled).contains(&bucket.number) {
                in_rate += bucket.calls;
            }
            // The current bucket has only begun, so it comes on top.
            if bucket.number + BUCKETS >= current {
                stats.calls += bucket.calls;
                stats.retries += bucket.retries;
                stats.errors += bucket.errors;
                stats.newest = stats.newest.max(bucket.newest);
                durations.add(&bucket.durations);
            }
            if bucket.number + BUCKETS >= settled {
                stats.lost = stats.lost.saturating_add(bucket.lost);
            }
        }
        let heard = self
            .heard
            .is_some_and(|(since, _)| self.number(since) < settled.saturating_sub(BUCKETS));
        let alive = stats.newest.is_some_and(|newest| self.number(newest) >= settled);
        if heard && alive {
            stats.per_second = Some(in_rate as f64 / (self.width() * BUCKETS as u32).as_secs_f64());
        }
        stats.p99 = durations.quantile(990);
        stats
    }

    /// The number that `measure` stands for, and when it was measured: when the last call ended.
    ///
    /// # Errors
    ///
    /// [`FaultKind::Empty`] where there are too few calls to tell, [`FaultKind::TooLarge`] where
    /// too many spans are missing.
    pub fn read(&self, measure: Measure, now: SystemTime) -> Result<(f64, SystemTime), Fault> {
        let stats = self.stats(now);
        let allowed = match measure {
            Measure::CallsPerSecond => 0,
            _ => stats.calls.saturating_add(stats.lost) / (100 / LOSABLE),
        };
        if stats.lost > allowed {
            return Err(self.fault(FaultKind::TooLarge, measure, || {
                format!(
                    "about {} spans are missing beside {} that came; the counters say why: \
                     send fewer, or raise the limit",
                    stats.lost, stats.calls
                )
            }));
        }
        if stats.calls < self.min_calls {
            return Err(self.fault(FaultKind::Empty, measure, || {
                let (calls, length, least) = (stats.calls, self.length, self.min_calls);
                format!("{calls} calls in the last {length:?}, of at least {least}")
            }));
        }
        match (stats.get(measure), stats.newest) {
            (Some(value), Some(newest)) => Ok((value, newest)),
            _ if measure == Measure::CallsPerSecond => {
                Err(self.fault(FaultKind::Empty, measure, || self.why_no_rate(&stats, now)))
            }
            _ => Err(self.fault(FaultKind::Empty, measure, || "no call tells it".to_owned())),
        }
    }

    fn why_no_rate(&self, stats: &SpanStats, now: SystemTime) -> String {
        let (silence, settle) = (stats.newest.map(|newest| elapsed(newest, now)), self.settle);
        match silence {
            Some(silence) if silence > settle => format!(
                "the last call ended {silence:.1?} ago, and a rate needs one of the last \
                 {settle:?}: are the senders alive, and do they export more often than that?"
            ),
            _ => format!("it takes {:?} of listening", self.length + settle),
        }
    }

    fn fault(&self, kind: FaultKind, measure: Measure, why: impl FnOnce() -> String) -> Fault {
        Fault::new(kind, format!("{} of {}: {}", measure.as_str(), self.filter, why()))
    }

    /// Where nothing at all was heard for a while, or the clock was set, there is no telling what
    /// has been missed, and listening begins anew.
    fn listen(&mut self, now: SystemTime) {
        let gap = self.settle.max(self.width()) * 2;
        let since = match self.heard {
            Some((since, last)) if last <= now && elapsed(last, now) <= gap => since,
            Some((since, last)) if last > now && elapsed(now, last) <= AHEAD => since.min(now),
            _ => now,
        };
        self.heard = Some((since, now));
    }

    /// The bucket of this number, begun anew if another one stood there.
    fn bucket(&mut self, number: u64) -> Option<&mut Bucket> {
        let place = number % self.buckets.len().max(1) as u64;
        let bucket = self.buckets.get_mut(place as usize)?;
        if bucket.number != number {
            *bucket = Bucket { number, ..Bucket::new() };
        }
        Some(bucket)
    }

    fn emptied(mut self) -> Self {
        self.settle = self.settle.min(self.length * MOST_SETTLE);
        let settle = self.settle.as_nanos().div_ceil(self.width().as_nanos().max(1)) as u64;
        // Those of the window before it settled, the current one, and one for what does not divide.
        self.buckets = vec![Bucket::new(); (BUCKETS + settle + 2) as usize];
        self.heard = None;
        self
    }

    fn width(&self) -> Duration {
        self.length / BUCKETS as u32
    }

    fn number(&self, at: SystemTime) -> u64 {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos() / self.width().as_nanos().max(1)).unwrap_or(u64::MAX)
    }
}

impl Bucket {
    const fn new() -> Self {
        let (calls, retries, errors, lost) = (0, 0, 0, 0);
        let durations = Durations::new();
        Self { number: 0, calls, retries, errors, lost, newest: None, durations }
    }
}

fn earlier(at: SystemTime, by: Duration) -> SystemTime {
    at.checked_sub(by).unwrap_or(UNIX_EPOCH)
}
