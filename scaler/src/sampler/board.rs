//! What is known of the signals, for whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::health::{Entry, HealthState, SignalConditions, SourceHealth};
use crate::signal::Signal;
use crate::source::Fault;

/// What is known of the signals of a [`Sampler`](super::Sampler): the newest of each, and the health
/// of their sources. Clones are handles to the same board; asking it waits for nobody.
///
/// With the feature `prometheus` it is a collector: `registry.register(Box::new(board.clone()))`, or
/// `board.of_target("api")` in place of the clone, where there are several.
///
/// | name | type | labels |
/// | --- | --- | --- |
/// | `birl_scaler_signal_age_seconds` | gauge, since the last good one was measured | `signal` |
/// | `birl_scaler_signal_healthy` | gauge, 0 or 1 | `signal` |
/// | `birl_scaler_signal_reads_total` | counter | `signal`, `outcome`: `ok` or the kind of fault |
#[derive(Debug, Clone, Default)]
pub struct SignalBoard(Arc<Mutex<Vec<Entry>>>);

impl SignalBoard {
    /// What was handed on last, one signal a source; of a source that was never asked, none. For a
    /// decision that cannot wait for the next sample: their age is judged as ever.
    pub fn latest(&self) -> Vec<Signal> {
        self.lock().iter().filter_map(|entry| entry.shown.clone()).collect()
    }

    /// How each source is.
    pub fn health(&self) -> Vec<SourceHealth> {
        self.lock().iter().map(|entry| entry.health.clone()).collect()
    }

    /// How all of them are together.
    pub fn conditions(&self, now: SystemTime) -> SignalConditions {
        let (mut ready, mut signals_healthy, mut parts) = (true, true, Vec::new());
        for entry in self.lock().iter() {
            let name = &entry.health.name;
            let doubt = entry.doubt(now);
            let healthy = entry.health.state == HealthState::Healthy;
            ready &= doubt.is_none();
            signals_healthy &= healthy;
            match (doubt, &entry.health.last_fault) {
                (Some(doubt), Some(fault)) if !healthy => {
                    parts.push(format!("{name} {doubt} ({fault})"));
                }
                (Some(doubt), _) => parts.push(format!("{name} {doubt}")),
                (None, Some(fault)) if !healthy => parts.push(format!("{name}: {fault}")),
                (None, _) => {}
            }
        }
        SignalConditions { ready, signals_healthy, message: parts.join("; ") }
    }

    pub(super) fn enter(&self, name: &str) {
        self.lock().push(Entry::new(name));
    }

    /// Takes in how the readings ended, in the order of the sources.
    pub(super) fn settle(
        &self,
        outcomes: Vec<Result<Signal, Fault>>,
        now: SystemTime,
    ) -> Vec<Signal> {
        let mut entries = self.lock();
        let both = entries.iter_mut().zip(outcomes);
        both.map(|(entry, outcome)| entry.settle(outcome, now)).collect()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        // What somebody panicked beside is still what was measured.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
