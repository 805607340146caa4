//! Demand: how many requests arrive, over time.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// The longest curve, about four months of seconds.
pub(crate) const LONGEST: f64 = 1e7;

/// The most points of a curve.
const MOST_POINTS: usize = 10_000_000;

/// The highest rate: what exceeds it is a mistake in the data.
const HIGHEST: f64 = 1e12;

/// Requests a second over time: points, and straight lines between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Seconds since the start, and the rate there; at least two, in order, the first at 0.
    points: Arc<[(f64, f64)]>,
}

impl Curve {
    /// A curve through `points`: seconds, and requests a second there. The first point is where
    /// time starts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for fewer than two points, times that do not rise, rates that
    /// are negative or no numbers, and more than four months.
    pub fn from_points(points: impl IntoIterator<Item = (f64, f64)>) -> Result<Self, Error> {
        let mut points: Vec<_> = points.into_iter().take(MOST_POINTS + 1).collect();
        let refuse = |what: String| Err(Error::new(ErrorKind::InvalidInput, what));
        if points.len() > MOST_POINTS {
            return refuse(format!("the curve has more than {MOST_POINTS} points: thin it out"));
        }
        let (Some(&(start, _)), Some(&(end, _)), true) =
            (points.first(), points.last(), points.len() >= 2)
        else {
            return refuse(format!("a curve needs two points or more, not {}", points.len()));
        };
        for (place, &(at, rate)) in points.iter().enumerate() {
            let number = place + 1;
            if !(rate.is_finite() && (0.0..=HIGHEST).contains(&rate)) {
                return refuse(format!(
                    "point {number} has the rate {rate}: it must be 0 to {HIGHEST} requests/s"
                ));
            }
            let before = place.checked_sub(1).and_then(|before| points.get(before));
            if !at.is_finite() || before.is_some_and(|&(before, _)| at <= before) {
                return refuse(format!(
                    "point {number} is at {at} s, not after the point before it: sort them by time"
                ));
            }
        }
        if end - start > LONGEST {
            let days = (end - start) / 86_400.0;
            return refuse(format!("the curve lasts {days:.0} days: the most is 115"));
        }
        for (at, _) in &mut points {
            *at -= start;
        }
        Ok(Self { points: points.into() })
    }

    /// A curve through rates that are evenly apart.
    ///
    /// # Errors
    ///
    /// As for [`from_points`](Self::from_points).
    pub fn from_rates(every: Duration, rates: &[f64]) -> Result<Self, Error> {
        let apart = every.as_secs_f64();
        Self::from_points(rates.iter().enumerate().map(|(n, &rate)| (n as f64 * apart, rate)))
    }

    /// A curve through a rate each second; what is no rate counts as none.
    pub(super) fn of_seconds(rates: &[f64]) -> Self {
        let held = |&rate: &f64| if rate >= 0.0 { rate.min(HIGHEST) } else { 0.0 };
        let points = rates.iter().take(LONGEST as usize).map(held).enumerate();
        Self { points: points.map(|(second, rate)| (second as f64, rate)).collect() }
    }

    /// Always the same rate.
    ///
    /// # Errors
    ///
    /// As for [`from_points`](Self::from_points).
    pub fn constant(rate: f64, length: Duration) -> Result<Self, Error> {
        Self::from_points([(0.0, rate), (length.as_secs_f64(), rate)])
    }

    /// Reads lines of a time and a rate, parted by a comma, as monitoring systems export them; a
    /// first line that has no rate is a heading. Times are seconds since 1970, RFC 3339, or
    /// `2014-04-10 00:04:00`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] with the number of the line; otherwise as for
    /// [`from_points`](Self::from_points).
    pub fn from_csv(text: &str) -> Result<Self, Error> {
        super::csv::read(text)
    }

    /// How long it lasts.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.points.last().map_or(0.0, |&(end, _)| end))
    }

    /// The rate at a time after the start; beyond the ends, the rate of the end.
    pub fn rate(&self, at: Duration) -> f64 {
        let at = at.as_secs_f64();
        let after = self.points.partition_point(|&(time, _)| time <= at);
        self.between(after, at)
    }

    /// The rate in the middle of each second.
    pub(crate) fn seconds(&self) -> impl Iterator<Item = f64> + '_ {
        let count = self.length().as_secs();
        let mut after = 0;
        (0..count).map(move |second| {
            let at = second as f64 + 0.5;
            while self.points.get(after).is_some_and(|&(time, _)| time <= at) {
                after += 1;
            }
            self.between(after, at)
        })
    }

    /// The same course with every rate times `factor`.
    ///
    /// # Errors
    ///
    /// As for [`from_points`](Self::from_points).
    pub fn scaled(&self, factor: f64) -> Result<Self, Error> {
        Self::from_points(self.points.iter().map(|&(at, rate)| (at, rate * factor)))
    }

    /// The same course, scaled so that a share of `quantile` (0 to 1) of its points is at `rate`
    /// or below. A trace counts what it counts; this makes it the load of a service of some size.
    ///
    /// # Errors
    ///
    /// As for [`from_points`](Self::from_points); also if that quantile is 0.
    pub fn scaled_to(&self, quantile: f64, rate: f64) -> Result<Self, Error> {
        let mut rates: Vec<f64> = self.points.iter().map(|&(_, rate)| rate).collect();
        rates.sort_by(f64::total_cmp);
        let place = (quantile.clamp(0.0, 1.0) * (rates.len() - 1) as f64).round() as usize;
        match rates.get(place) {
            Some(&there) if there > 0.0 => self.scaled(rate / there),
            _ => {
                let what = format!("the curve is 0 at its quantile {quantile}: take a higher one");
                Err(Error::new(ErrorKind::InvalidInput, what))
            }
        }
    }

    /// The part of it from `start` on, for `length` at most.
    ///
    /// # Errors
    ///
    /// As for [`from_points`](Self::from_points); also if it ends before `start`.
    pub fn part(&self, start: Duration, length: Duration) -> Result<Self, Error> {
        let (from, to) = (start.as_secs_f64(), (start + length).min(self.length()).as_secs_f64());
        let inside = self.points.iter().copied().filter(|&(at, _)| from < at && at < to);
        let end = |at: f64| (at, self.rate(Duration::from_secs_f64(at)));
        Self::from_points(std::iter::once(end(from)).chain(inside).chain(std::iter::once(end(to))))
    }

    /// When the rate is highest.
    pub fn peak(&self) -> Duration {
        let highest = self.points.iter().max_by(|(_, one), (_, other)| one.total_cmp(other));
        Duration::from_secs_f64(highest.map_or(0.0, |&(at, _)| at))
    }

    /// The same course in `1/times` of the time.
    ///
    /// # Errors
    ///
    /// As for [`from_points`](Self::from_points).
    pub fn faster(&self, times: f64) -> Result<Self, Error> {
        Self::from_points(self.points.iter().map(|&(at, rate)| (at / times, rate)))
    }

    /// The rate at `at`, which is before the point of the number `after`.
    fn between(&self, after: usize, at: f64) -> f64 {
        let before = after.checked_sub(1).and_then(|before| self.points.get(before));
        match (before, self.points.get(after)) {
            (Some(&(from, low)), Some(&(to, high))) => {
                low + (high - low) * (at - from) / (to - from)
            }
            (Some(&(_, rate)), None) | (None, Some(&(_, rate))) => rate,
            (None, None) => 0.0,
        }
    }
}
