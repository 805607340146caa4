//! A histogram of durations in a kilobyte.

use std::time::Duration;

/// Steps in each doubling.
const STEPS: u32 = 8;
/// From a microsecond to an hour and eleven minutes; what is longer counts as that.
const BUCKETS: usize = 240;

/// How many calls took how long. Buckets are an eighth of an octave wide or narrower, so a quantile
/// is off by less than 1/8 of itself, and as a rule by much less, since it is interpolated.
#[derive(Debug, Clone)]
pub(super) struct Durations {
    counts: [u32; BUCKETS],
    longest: Duration,
}

impl Durations {
    pub(super) const fn new() -> Self {
        Self { counts: [0; BUCKETS], longest: Duration::ZERO }
    }

    pub(super) fn record(&mut self, duration: Duration) {
        if let Some(count) = self.counts.get_mut(bucket(duration)) {
            *count = count.saturating_add(1);
        }
        self.longest = self.longest.max(duration);
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.longest = self.longest.max(other.longest);
    }

    /// The duration that `permille` of all stay below or reach; `None` if there are none.
    pub(super) fn quantile(&self, permille: u32) -> Option<Duration> {
        let all: u64 = self.counts.iter().copied().map(u64::from).sum();
        if all == 0 {
            return None;
        }
        let rank = all as f64 * f64::from(permille) / 1000.0;
        let mut below = 0.0;
        for (index, &count) in self.counts.iter().enumerate() {
            let count = f64::from(count);
            if count > 0.0 && below + count >= rank {
                let (from, to) = (lower(index) as f64, lower(index + 1) as f64);
                let micros = from + (to - from) * ((rank - below) / count);
                return Some(Duration::from_nanos((micros * 1000.0) as u64).min(self.longest));
            }
            below += count;
        }
        Some(self.longest)
    }
}

fn bucket(duration: Duration) -> usize {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    if micros < u64::from(STEPS) {
        return micros as usize;
    }
    let octave = micros.ilog2();
    let step = (micros >> (octave - 3)) as u32 & (STEPS - 1);
    (((octave - 2) * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The least number of microseconds in a bucket.
fn lower(index: usize) -> u64 {
    let index = index as u64;
    let steps = u64::from(STEPS);
    if index < steps {
        return index;
    }
    (steps + index % steps) << (index / steps - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_bucket() {
        for micros in (0..5000).chain([65_535, 65_536, 1_000_000, 4_294_967_295]) {
            let index = bucket(Duration::from_micros(micros));
            assert!(lower(index) <= micros && micros < lower(index + 1), "{micros} in {index}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
        assert_eq!(lower(BUCKETS), 1 << 32);
    }

    #[test]
    fn a_quantile_is_close_to_the_true_one() {
        let mut durations = Durations::new();
        assert_eq!(durations.quantile(990), None);
        for millis in 1..=1000 {
            durations.record(Duration::from_millis(millis));
        }
        for permille in [1, 500, 900, 990, 999, 1000] {
            let found = durations.quantile(permille).unwrap().as_secs_f64() * 1000.0;
            let error = (found - f64::from(permille)).abs() / f64::from(permille);
            assert!(error < 0.125, "{permille}: {found}");
        }
        let mut more = Durations::new();
        for _ in 0..9000 {
            more.record(Duration::from_secs(7200));
        }
        durations.add(&more);
        assert!(durations.quantile(990).unwrap() > Duration::from_secs(3600));
        let mut same = Durations::new();
        (0..10).for_each(|_| same.record(Duration::from_millis(100)));
        let p99 = same.quantile(990).unwrap();
        assert_eq!(p99, Duration::from_millis(100), "none is longer than the longest");
    }
}
