//! What came of it: a timeline, the changes, a score.

use std::fmt;
use std::time::Duration;

use super::fleet::Fleet;
use super::queue::Second;
use super::score::Score;

/// The most moments of a timeline.
const MOST_MOMENTS: usize = 2880;

/// One policy's time in a world.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Run {
    /// Whose it is.
    pub policy: String,
    /// What it comes to.
    pub score: Score,
    /// How it went, thinned out to at most 2880 moments that are evenly apart.
    pub timeline: Vec<Moment>,
    /// The first 10,000 changes of the size.
    pub changes: Vec<Scaled>,
}

/// What a timeline knows about one stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Moment {
    /// When it ends, from the start.
    pub at: Duration,
    /// Requests/s that arrived, on average.
    pub rate: f64,
    /// The most pods that were needed.
    pub needed: u32,
    /// The fewest pods that served.
    pub ready: u32,
    /// Pods that are paid for, at its end: starting, ready and draining.
    pub paid: u64,
    /// The worst response time that 99 % stayed below, in seconds.
    pub latency_p99: f64,
}

/// A change of the size.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scaled {
    /// When, from the start.
    pub at: Duration,
    /// From how many pods.
    pub from: u32,
    /// To how many.
    pub to: u32,
    /// Why, if the policy could say so.
    pub why: Option<String>,
}

/// The name and the score.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.policy, self.score)
    }
}

/// Gathers moments.
pub(super) struct Timeline {
    every: u64,
    moments: Vec<Moment>,
    current: Option<Moment>,
}

impl Timeline {
    pub(super) fn new(seconds: usize) -> Self {
        let every = seconds.div_ceil(MOST_MOMENTS).max(1) as u64;
        Self { every, moments: Vec::new(), current: None }
    }

    pub(super) fn second(&mut self, second: u64, happened: Second, needed: u32, fleet: &Fleet) {
        let ready = fleet.ready();
        let moment = self.current.get_or_insert(Moment { ready, ..Moment::default() });
        moment.rate += happened.arrived / self.every as f64;
        moment.needed = moment.needed.max(needed);
        moment.ready = moment.ready.min(ready);
        moment.latency_p99 = moment.latency_p99.max(happened.p99);
        if (second + 1).is_multiple_of(self.every) {
            moment.at = Duration::from_secs(second + 1);
            moment.paid = fleet.paid();
            self.moments.extend(self.current.take());
        }
    }

    pub(super) fn end(self) -> Vec<Moment> {
        self.moments
    }
}
