//! How the sources are: which of them answer, since when, and what is still believed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::signal::Signal;
use crate::source::{Fault, FaultKind};
use crate::timestamp::{elapsed, later};

/// How a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HealthState {
    /// It has not been asked yet.
    Unknown,
    /// It answered when it was asked last.
    Healthy,
    /// It did not.
    Failing,
}

impl HealthState {
    /// As in log lines: `failing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Failing => "failing",
        }
    }
}

/// How one source is, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceHealth {
    /// The name of its signal.
    pub name: Arc<str>,
    /// How it is.
    pub state: HealthState,
    /// Since when it is so.
    pub since: Option<SystemTime>,
    /// When it answered last.
    pub last_success: Option<SystemTime>,
    /// How often it has failed since then.
    pub failures: u32,
    /// What went wrong last, even if it is healthy again.
    pub last_fault: Option<Fault>,
}

/// All sources together, as two conditions that mean different things.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignalConditions {
    /// Whether every signal can be believed: none is missing, or older than its `max_age`. One lost
    /// sample leaves this as it is.
    pub ready: bool,
    /// Whether every source answered when it was asked last.
    pub signals_healthy: bool,
    /// Which signals are not so, and why; empty if both hold.
    pub message: String,
}

/// One source on the board.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) health: SourceHealth,
    /// What it gave last.
    pub(super) last: Option<Signal>,
    /// What was handed on last.
    pub(super) shown: Option<Signal>,
    /// How its readings ended.
    pub(super) reads: BTreeMap<&'static str, u64>,
}

impl Entry {
    pub(super) fn new(name: &str) -> Self {
        let health = SourceHealth {
            name: name.into(),
            state: HealthState::Unknown,
            since: None,
            last_success: None,
            failures: 0,
            last_fault: None,
        };
        Self { health, last: None, shown: None, reads: BTreeMap::new() }
    }

    /// Takes in how a reading ended, and gives the signal to hand on.
    pub(super) fn settle(&mut self, outcome: Result<Signal, Fault>, now: SystemTime) -> Signal {
        let signal = match outcome.and_then(usable) {
            Ok(signal) => self.succeeded(signal, now),
            Err(fault) => self.failed(fault, now),
        };
        self.shown = Some(signal.clone());
        signal
    }

    fn succeeded(&mut self, mut signal: Signal, now: SystemTime) -> Signal {
        *self.reads.entry("ok").or_default() += 1;
        signal.name = Arc::clone(&self.health.name);
        self.last = Some(signal.clone());
        self.health.last_success = Some(now);
        self.health.failures = 0;
        if self.turns(HealthState::Healthy, now) {
            tracing::info!(target: "birl_scaler", signal = &*signal.name, "signal is read");
        }
        signal
    }

    fn failed(&mut self, fault: Fault, now: SystemTime) -> Signal {
        *self.reads.entry(fault.kind().as_str()).or_default() += 1;
        self.health.failures = self.health.failures.saturating_add(1);
        let name = Arc::clone(&self.health.name);
        if self.turns(HealthState::Failing, now) {
            let (kind, detail) = (fault.kind().as_str(), fault.detail());
            tracing::warn!(target: "birl_scaler", signal = &*name, fault = kind, detail, "signal is not read");
        }
        if is_answer(fault.kind()) {
            // Only its age is still of interest.
            if let Some(last) = &mut self.last {
                last.samples = Vec::new();
            }
        }
        let last = self.last.as_ref().filter(|last| !last.samples.is_empty());
        let signal = match last {
            Some(last) => Signal { fault: Some(fault.kind()), ..last.clone() },
            None => Signal::failed(&name, fault.kind(), now),
        };
        self.health.last_fault = Some(fault);
        signal
    }

    /// Whether this is news.
    fn turns(&mut self, state: HealthState, now: SystemTime) -> bool {
        let news = self.health.state != state;
        if news {
            self.health.state = state;
            self.health.since = Some(now);
        }
        news
    }

    /// What keeps it from being believed at `now`.
    pub(super) fn doubt(&self, now: SystemTime) -> Option<String> {
        let Some(last) = &self.last else { return Some("never read".to_owned()) };
        let age = elapsed(last.at, now);
        if age > last.max_age {
            return Some(format!("is {} old", crate::duration::format(age)));
        }
        (last.at > later(now, last.max_age)).then(|| "is from the future".to_owned())
    }
}

/// Whether the source said itself that there is nothing.
fn is_answer(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Empty | FaultKind::NotANumber)
}

/// A signal without a number in it is none.
fn usable(signal: Signal) -> Result<Signal, Fault> {
    match signal.samples.iter().any(|sample| sample.value.is_some()) {
        true => Ok(signal),
        false if signal.samples.is_empty() => Err(Fault::new(FaultKind::Empty, "no samples")),
        false => Err(Fault::new(FaultKind::NotANumber, "no sample is a number from 0 upward")),
    }
}
