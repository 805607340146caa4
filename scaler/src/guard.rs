//! Guards: signals that say that something is wrong, and not by how many replicas.
//!
//! Latency is not linear in replicas, so that the formula would overshoot with it. A guard on it
//! steps up while it is breached, and forbids to scale down. One without a step only forbids: calls
//! that are retried too often beside little load mean that something further down is broken, which
//! more replicas do not mend, and fewer must not follow from.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::belief::believed;
use crate::decision::Limit;
use crate::milli::Milli;
use crate::proposal::Unknown;
use crate::signal::Signal;
use crate::spec::ScalerSpec;
use crate::timestamp::later;
use crate::window::ConditionWindow;

/// The most guards of one scaler.
const MOST: usize = 16;

/// A signal that must stay on one side of a value.
///
/// ```
/// # fn main() -> Result<(), serde_json::Error> {
/// let _latency: birl_scaler::Guard = serde_json::from_str(
///     r#"{ "signal": "p99_ms", "above": 500, "for": "30s", "step": "+20%" }"#)?;
/// let _retries: birl_scaler::Guard = serde_json::from_str(
///     r#"{ "signal": "retry_ratio", "above": 0.2 }"#)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Guard {
    /// The signal's name. Its value is the average of its samples.
    #[serde(alias = "name")]
    pub signal: Arc<str>,
    /// It is breached above this; one of `above` and `below`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<Milli>,
    /// It is breached below this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<Milli>,
    /// How long it must be on the wrong side, without a break, before it steps; at once by default.
    /// After an applied change this time begins anew, so that it is also the time between steps.
    #[serde(rename = "for", with = "crate::duration::serde", default)]
    pub hold_for: Duration,
    /// By how much it scales up when it is breached; absent: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<GuardStep>,
    /// Whether it forbids every scale-down while it is on the wrong side, or Unknown; by default it
    /// does.
    #[serde(default = "yes")]
    pub veto_down: bool,
    /// Whether a person is told while it is breached ([`GuardAlarms`](crate::GuardAlarms)); absent:
    /// if it has no step, as then nobody else does anything about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<bool>,
}

/// By how much a breached guard scales up: `+2` or `+20%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GuardStep {
    /// So many more.
    By(u32),
    /// So many percent more, rounded up.
    Percent(u32),
}

/// What a guard says at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GuardReading {
    /// The signal's name.
    pub signal: Arc<str>,
    /// Whether it is breached above `limit`, or below.
    pub above: bool,
    /// The value that it must not pass.
    pub limit: Milli,
    /// What it says.
    #[serde(flatten)]
    pub state: GuardState,
}

/// What a guard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum GuardState {
    /// It is on the right side.
    Calm {
        /// The value.
        value: Milli,
    },
    /// It is on the right side, as far as is known: the last attempt to measure it failed and this is
    /// an older value, or some of its samples have none. It forbids to scale down.
    Doubtful {
        /// The value.
        value: Milli,
        /// What is not known.
        why: Unknown,
    },
    /// It is on the wrong side, but not for long enough to step.
    Pending {
        /// The value.
        value: Milli,
        /// When it will have been.
        #[serde(with = "crate::timestamp::serde")]
        until: SystemTime,
    },
    /// It is breached.
    Breached {
        /// The value.
        value: Milli,
    },
    /// There is no value.
    Unknown {
        /// Why not.
        why: Unknown,
    },
}

impl Guard {
    /// A guard that is breached above `limit`; it only forbids to scale down.
    pub fn above(signal: impl AsRef<str>, limit: Milli) -> Self {
        Self {
            signal: signal.as_ref().into(),
            above: Some(limit),
            below: None,
            hold_for: Duration::ZERO,
            step: None,
            veto_down: true,
            alert: None,
        }
    }

    /// A guard that is breached below `limit`.
    pub fn below(signal: impl AsRef<str>, limit: Milli) -> Self {
        Self { above: None, below: Some(limit), ..Self::above(signal, limit) }
    }

    /// Steps up when breached for so long.
    #[must_use]
    pub fn step(mut self, step: GuardStep, hold_for: Duration) -> Self {
        self.step = Some(step);
        self.hold_for = hold_for;
        self
    }

    /// Whether a person is told.
    pub(crate) fn is_told(&self) -> bool {
        self.alert.unwrap_or(self.step.is_none())
    }

    fn limit(&self) -> Milli {
        self.above.or(self.below).unwrap_or_default()
    }
}

impl GuardStep {
    /// The size that it asks for, coming from `from`.
    pub fn apply(self, from: u32) -> u32 {
        let by = match self {
            Self::By(by) => by.into(),
            Self::Percent(percent) => (u64::from(from) * u64::from(percent)).div_ceil(100),
        };
        u32::try_from(u64::from(from) + by).unwrap_or(u32::MAX)
    }
}

impl GuardReading {
    /// Whether it scales up now.
    pub fn is_breached(&self) -> bool {
        matches!(self.state, GuardState::Breached { .. })
    }

    /// Whether nothing speaks against a scale-down.
    pub fn is_calm(&self) -> bool {
        matches!(self.state, GuardState::Calm { .. })
    }

    /// Whether there is no value, or none that tells all.
    pub fn is_unknown(&self) -> bool {
        matches!(self.state, GuardState::Unknown { .. } | GuardState::Doubtful { .. })
    }
}

/// Since when each guard has been on the wrong side, for those that are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct GuardMemory(Vec<(Arc<str>, ConditionWindow)>);

impl GuardMemory {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every guard starts to count anew.
    pub(crate) fn restart(&mut self) {
        self.0.clear();
    }

    fn window(&self, signal: &str) -> ConditionWindow {
        let of_signal = self.0.iter().find(|(name, _)| **name == *signal);
        of_signal.map(|(_, window)| *window).unwrap_or_default()
    }

    /// What each guard says at `now`.
    pub(crate) fn read(
        &mut self,
        guards: &[Guard],
        signals: &[Signal],
        now: SystemTime,
    ) -> Vec<GuardReading> {
        let mut next = Vec::new();
        let each = guards.iter().map(|guard| {
            let mut window = self.window(&guard.signal);
            let state = match average(&guard.signal, signals, now) {
                Err(why) => {
                    window.restart();
                    GuardState::Unknown { why }
                }
                Ok((value, doubt)) => {
                    let wrong = guard.above.is_some_and(|limit| value > limit)
                        || guard.below.is_some_and(|limit| value < limit);
                    window.observe(wrong, now);
                    match window.full_at(guard.hold_for) {
                        None => match doubt {
                            Some(why) => GuardState::Doubtful { value, why },
                            None => GuardState::Calm { value },
                        },
                        Some(until) if until > now => GuardState::Pending { value, until },
                        Some(_) => GuardState::Breached { value },
                    }
                }
            };
            if window.since().is_some() {
                next.push((Arc::clone(&guard.signal), window));
            }
            GuardReading {
                signal: Arc::clone(&guard.signal),
                above: guard.above.is_some(),
                limit: guard.limit(),
                state,
            }
        });
        let readings = each.collect();
        self.0 = next;
        readings
    }

    /// When the next of them will have been on the wrong side for long enough.
    pub(crate) fn next_breach(&self, guards: &[Guard], now: SystemTime) -> Option<SystemTime> {
        let ends = guards.iter().filter_map(|guard| {
            self.window(&guard.signal).since().map(|since| later(since, guard.hold_for))
        });
        ends.filter(|end| *end > now).min()
    }
}

/// The first guard that forbids a scale-down.
pub(crate) fn veto(spec: &ScalerSpec, readings: &[GuardReading]) -> Option<Limit> {
    let both = spec.guards.iter().zip(readings);
    let mut against = both.filter(|(guard, reading)| guard.veto_down && !reading.is_calm());
    against.next().map(|(_, reading)| Limit::Guard { reading: reading.clone() })
}

/// The breached guard that asks for most, and for how many.
pub(crate) fn largest_step<'a>(
    spec: &ScalerSpec,
    readings: &'a [GuardReading],
    from: u32,
) -> Option<(&'a GuardReading, u32)> {
    let both = spec.guards.iter().zip(readings);
    let steps = both
        .filter(|(_, reading)| reading.is_breached())
        .filter_map(|(guard, reading)| guard.step.map(|step| (reading, step.apply(from))));
    // The first of equals, which `max_by_key` would not give.
    steps.reduce(|most, next| if next.1 > most.1 { next } else { most })
}

/// The average of the samples that have a value, and what is not known about it.
fn average(
    name: &str,
    signals: &[Signal],
    now: SystemTime,
) -> Result<(Milli, Option<Unknown>), Unknown> {
    let signal = believed(name, signals, now)?;
    let known = || signal.samples.iter().filter_map(|sample| sample.value);
    let sum: u128 = known().map(|value| u128::from(value.0)).sum();
    let count = known().count();
    let mean = sum.checked_div(count as u128).ok_or(Unknown::Empty)?;
    let partial = (count < signal.samples.len()).then_some(Unknown::Partial);
    let doubt = signal.fault.map(Unknown::Failed).or(partial);
    Ok((Milli(u64::try_from(mean).unwrap_or(u64::MAX)), doubt))
}

pub(crate) fn check(guards: &[Guard], faults: &mut Vec<String>) {
    if guards.len() > MOST {
        faults.push(format!("guards has {} entries: the most is {MOST}", guards.len()));
    }
    for (at, guard) in guards.iter().enumerate() {
        let name = &guard.signal;
        if name.trim().is_empty() {
            faults.push(format!("guards[{at}].signal is empty: name the signal that it watches"));
        }
        if guard.above.is_some() == guard.below.is_some() {
            faults.push(format!("guards[{at}] ({name}) needs one of `above`, `below`"));
        }
        if matches!(guard.step, Some(GuardStep::By(0) | GuardStep::Percent(0))) {
            faults.push(format!("guards[{at}] ({name}): step is 0: leave it out, or ask for more"));
        }
        if guards.iter().take(at).any(|other| other.signal == guard.signal) {
            faults.push(format!("guards[{at}].signal `{name}` is used twice: remove one"));
        }
    }
}

impl fmt::Display for GuardStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By(by) => write!(f, "+{by}"),
            Self::Percent(percent) => write!(f, "+{percent}%"),
        }
    }
}

impl Serialize for GuardStep {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GuardStep {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let step = text.strip_prefix('+').and_then(|step| match step.strip_suffix('%') {
            Some(percent) => percent.parse().map(Self::Percent).ok(),
            None => step.parse().map(Self::By).ok(),
        });
        step.ok_or_else(|| {
            let message = format!("`{text}` is not a step: write \"+2\" or \"+20%\"");
            serde::de::Error::custom(message)
        })
    }
}

fn yes() -> bool {
    true
}
