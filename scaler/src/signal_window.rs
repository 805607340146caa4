//! The newest value of each instance, fed from log entries.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::milli::Milli;
use crate::signal::{Sample, Signal};
use crate::speakers::Speakers;
use crate::timestamp::later;

/// The most instances that a window remembers unless told otherwise.
const DEFAULT_MAX_INSTANCES: usize = 4096;

/// Turns values that arrive one by one into a [`Signal`]: the newest of each instance, as long as
/// the instance goes on speaking.
///
/// An instance that is silent for `max_age` drops out; when all have, the signal is Unknown, never
/// zero. Until then the last value of a stopped instance would still count: tell the observation
/// which [`instances`](crate::Observation::instances) there are, and it does not.
///
/// Memory and work are bounded, whoever writes the lines: past the most instances a stranger is
/// refused and counted, until one of those that are known has been silent for `max_age`; and the time
/// that a line names moves nobody else out.
#[derive(Debug, Clone)]
pub struct SignalWindow {
    name: Arc<str>,
    max_age: Duration,
    newest: Speakers<Option<Milli>>,
    /// When the last value came, kept after its instance is gone so that staleness has an age.
    last: Option<SystemTime>,
    refused: u64,
}

impl SignalWindow {
    /// An empty window that feeds the metric `name`.
    pub fn new(name: impl AsRef<str>, max_age: Duration) -> Self {
        Self {
            name: name.as_ref().into(),
            max_age,
            newest: Speakers::new(DEFAULT_MAX_INSTANCES, max_age),
            last: None,
            refused: 0,
        }
    }

    /// Sets how many instances it remembers; 4096 by default.
    #[must_use]
    pub fn max_instances(mut self, most: usize) -> Self {
        self.newest.set_most(most);
        self
    }

    /// Takes in what `instance` reported at `at`; what a line says of its time is good enough. An
    /// older value than the one held changes nothing; one that is no number makes the instance
    /// Unknown. One that lies further ahead of `now` than `max_age` is a wrong clock's, and refused.
    pub fn record(&mut self, instance: &str, value: f64, at: SystemTime, now: SystemTime) {
        let is_of_our_time = at <= later(now, self.max_age);
        if !is_of_our_time || !self.newest.hear(instance, Milli::from_f64(value), at, now) {
            self.refused += 1;
            return;
        }
        let at = at.min(now);
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }

    /// The signal at `now`: a sample from each instance that spoke within `max_age`. Before the
    /// first value it is as old as time, and so Unknown.
    pub fn signal(&mut self, now: SystemTime) -> Signal {
        self.newest.forget_silent(now);
        let spoke = self.newest.iter();
        let samples = spoke.map(|(instance, _, value)| Sample::of(Arc::clone(instance), *value));
        let newest = self.newest.iter().map(|(_, at, _)| at).max();
        Signal {
            name: Arc::clone(&self.name),
            samples: samples.collect(),
            at: newest.or(self.last).unwrap_or(SystemTime::UNIX_EPOCH),
            max_age: self.max_age,
            window: Duration::ZERO,
            fault: None,
        }
    }

    /// How many values were refused because the window was full of other live instances, or lay too
    /// far in the future.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}
