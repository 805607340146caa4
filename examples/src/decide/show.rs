//! A decision for people, and what it follows from.

use std::fmt::{self, Display, Formatter};
use std::time::SystemTime;

use birl_scaler::{Decision, Observation, Reading, Signal};
use serde::Serialize;

use crate::failure::Failure;
use crate::rules::Answers;

/// A decision, and with `--explain` all that went into it.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    #[serde(flatten)]
    decision: &'a Decision,
    #[serde(skip_serializing_if = "Option::is_none")]
    inputs: Option<Inputs<'a>>,
}

#[derive(Serialize)]
struct Inputs<'a> {
    seen: &'a Observation,
    /// How old each signal was, in the order of the observation.
    ages: Vec<Age<'a>>,
}

#[derive(Serialize)]
struct Age<'a> {
    signal: &'a str,
    /// Less than nothing if its time lies ahead.
    age_ms: i64,
}

impl<'a> Answer<'a> {
    pub(super) fn new(decision: &'a Decision, seen: &'a Observation, explain: bool) -> Self {
        let inputs = explain.then(|| Inputs {
            seen,
            ages: seen
                .signals
                .iter()
                .map(|signal| Age { signal: &signal.name, age_ms: age(signal, decision.at) })
                .collect(),
        });
        Self { decision, inputs }
    }

    pub(super) fn tell(&self, out: &mut Answers) -> Result<(), Failure> {
        out.answer(self, self)
    }
}

impl Display for Answer<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { decision, inputs } = self;
        write!(f, "{} {decision}", Time(decision.at))?;
        let Some(Inputs { seen, .. }) = inputs else { return Ok(()) };
        let (desired, ready) = (seen.current.desired, seen.current.ready);
        write!(f, "\n  decision {}\n  size {desired} desired, {ready} ready", decision.id)?;
        if let Some(instances) = &seen.instances {
            let ready = instances.iter().filter(|instance| instance.ready).count();
            write!(f, ", {ready} of {} instances ready", instances.len())?;
        }
        for signal in &seen.signals {
            let known = signal.samples.iter().filter(|sample| sample.value.is_some()).count();
            let age = age(signal, decision.at) as f64 / 1e3;
            write!(f, "\n  signal {}: {age} s old, {known}", signal.name)?;
            write!(f, " of {} samples with a value", signal.samples.len())?;
            if let Some(fault) = signal.fault {
                write!(f, ", the last attempt failed: {}", fault.as_str())?;
            }
        }
        for intent in &seen.intents {
            write!(f, "\n  intent {}: {}", intent.id, intent.change)?;
            if !intent.asked_by.is_empty() {
                write!(f, " by {}", intent.asked_by)?;
            }
        }
        for proposal in &decision.proposals {
            write!(f, "\n  proposal {proposal}")?;
            if let Reading::Known { replicas, .. } = proposal.reading {
                write!(f, ", and the formula gives {replicas}")?;
            }
        }
        for limit in &decision.limits {
            write!(f, "\n  limit {limit}")?;
        }
        let winner = decision.trigger.as_ref().map_or("none", |trigger| trigger.name());
        write!(f, "\n  winner {winner}\n  verdict {}", decision.action.as_str())?;
        write!(f, " because of {}", decision.reason.as_str())
    }
}

/// In milliseconds.
fn age(signal: &Signal, now: SystemTime) -> i64 {
    let millis = |duration: std::time::Duration| i64::try_from(duration.as_millis());
    match now.duration_since(signal.at) {
        Ok(age) => millis(age).unwrap_or(i64::MAX),
        Err(ahead) => millis(ahead.duration()).map_or(i64::MIN, |ahead| -ahead),
    }
}

/// In RFC 3339.
pub(super) struct Time(pub(super) SystemTime);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::try_from(self.0) {
            Ok(at) => at.fmt(f),
            Err(_) => f.write_str("beyond the calendar"),
        }
    }
}
