//! The newest value of each instance, fed from log entries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::milli::Milli;
use crate::signal::{Sample, Signal};
use crate::timestamp::{elapsed, later};

/// The most instances that a window remembers unless told otherwise.
const DEFAULT_MAX_INSTANCES: usize = 4096;

/// Turns values that arrive one by one into a [`Signal`]: the newest of each instance, as long as
/// the instance goes on speaking.
///
/// An instance that is silent for `max_age` drops out; when all have, the signal is Unknown, never
/// zero. Until then the last value of a stopped instance would still count: tell the observation
/// which [`instances`](crate::Observation::instances) there are, and it does not. Memory is bounded: past the most instances a stranger is refused and counted.
#[derive(Debug, Clone)]
pub struct SignalWindow {
    name: Arc<str>,
    max_age: Duration,
    max_instances: usize,
    newest: BTreeMap<Arc<str>, (SystemTime, Option<Milli>)>,
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
            max_instances: DEFAULT_MAX_INSTANCES,
            newest: BTreeMap::new(),
            last: None,
            refused: 0,
        }
    }

    /// Sets how many instances it remembers; 4096 by default.
    #[must_use]
    pub fn max_instances(mut self, most: usize) -> Self {
        self.max_instances = most;
        self
    }

    /// Takes in what `instance` reported at `at`. An older value than the one held changes nothing;
    /// one that is no number makes the instance Unknown.
    pub fn record(&mut self, instance: &str, value: f64, at: SystemTime) {
        let value = Milli::from_f64(value);
        if let Some(held) = self.newest.get_mut(instance) {
            if at >= held.0 {
                *held = (at, value);
            }
        } else {
            if self.newest.len() >= self.max_instances {
                self.forget_silent(at);
            }
            if self.newest.len() >= self.max_instances {
                self.refused += 1;
                return;
            }
            self.newest.insert(Arc::from(instance), (at, value));
        }
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }

    /// The signal at `now`: a sample from each instance that spoke within `max_age`. Before the
    /// first value it is as old as time, and so Unknown.
    pub fn signal(&mut self, now: SystemTime) -> Signal {
        self.forget_silent(now);
        let samples = self
            .newest
            .iter()
            .map(|(instance, &(_, value))| Sample::of(Arc::clone(instance), value));
        let newest = self.newest.values().map(|(at, _)| *at).max();
        Signal {
            name: Arc::clone(&self.name),
            samples: samples.collect(),
            at: newest.or(self.last).unwrap_or(SystemTime::UNIX_EPOCH),
            max_age: self.max_age,
            window: Duration::ZERO,
            fault: None,
        }
    }

    /// How many values were refused because the window was full of other live instances.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn forget_silent(&mut self, now: SystemTime) {
        let max_age = self.max_age;
        self.newest.retain(|_, (at, _)| {
            // What lies far ahead is a wrong clock; it must not be believed until then.
            elapsed(*at, now) <= max_age && *at <= later(now, max_age)
        });
    }
}
