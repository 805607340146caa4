//! What was measured: samples of the instances, and how old they may be.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::intent::ScaleIntent;
use crate::milli::Milli;
use crate::source::FaultKind;

/// How long a signal is believed when nobody says otherwise.
pub(crate) const DEFAULT_MAX_AGE: Duration = Duration::from_secs(60);

/// Everything that one decision looks at, beside its own state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Observation {
    /// How many replicas the target has.
    pub current: Replicas,
    /// Which instances there are, where the platform can tell. With it, samples are matched to
    /// instances by name: strangers are ignored and missing ones filled in as the HPA does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<Vec<Instance>>,
    /// What was measured, one signal a metric.
    #[serde(default)]
    pub signals: Vec<Signal>,
    /// What rules or people asked for.
    #[serde(default)]
    pub intents: Vec<ScaleIntent>,
}

/// How many replicas a target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replicas {
    /// How many were asked for.
    pub desired: u32,
    /// How many of them are up and able to work.
    pub ready: u32,
}

/// One instance of the target, as its platform sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Instance {
    /// Its name; samples carry the same.
    pub name: Arc<str>,
    /// Whether it is up and able to work.
    pub ready: bool,
}

/// One quantity, measured over the instances at about one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Signal {
    /// The metric that it feeds.
    pub name: Arc<str>,
    /// One sample an instance; their order means nothing.
    pub samples: Vec<Sample>,
    /// When it was measured.
    #[serde(with = "crate::timestamp::serde")]
    pub at: SystemTime,
    /// Older than this it is Unknown.
    #[serde(with = "crate::duration::serde", default = "default_max_age")]
    pub max_age: Duration,
    /// Why the last attempt to measure it failed, if it did: the samples are then those of an
    /// earlier one, or none. For the record; what is believed goes by the age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultKind>,
}

/// One instance's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Sample {
    /// Whose value it is; empty where the source cannot tell.
    #[serde(default)]
    pub instance: Arc<str>,
    /// The value; `None` where there was none that a number can stand for.
    #[serde(default, deserialize_with = "lenient")]
    pub value: Option<Milli>,
}

impl Observation {
    /// An observation that knows the target's size and nothing else yet.
    pub fn new(current: Replicas) -> Self {
        Self { current, ..Self::default() }
    }

    /// Adds what was measured.
    #[must_use]
    pub fn signal(mut self, signal: Signal) -> Self {
        self.signals.push(signal);
        self
    }

    /// Adds what was asked for.
    #[must_use]
    pub fn intent(mut self, intent: ScaleIntent) -> Self {
        self.intents.push(intent);
        self
    }

    /// Adds several of what was measured.
    #[must_use]
    pub fn signals(mut self, signals: impl IntoIterator<Item = Signal>) -> Self {
        self.signals.extend(signals);
        self
    }

    /// Adds several of what was asked for.
    #[must_use]
    pub fn intents(mut self, intents: impl IntoIterator<Item = ScaleIntent>) -> Self {
        self.intents.extend(intents);
        self
    }

    /// Tells which instances there are.
    #[must_use]
    pub fn instances(mut self, instances: impl IntoIterator<Item = Instance>) -> Self {
        self.instances = Some(instances.into_iter().collect());
        self
    }
}

impl Replicas {
    /// All of `count` are ready.
    pub fn ready(count: u32) -> Self {
        Self { desired: count, ready: count }
    }
}

impl Instance {
    /// An instance and whether it is able to work.
    pub fn new(name: impl Into<Arc<str>>, ready: bool) -> Self {
        Self { name: name.into(), ready }
    }
}

impl Signal {
    /// A signal that is believed for a minute.
    pub fn new(name: impl AsRef<str>, samples: Vec<Sample>, at: SystemTime) -> Self {
        Self { name: name.as_ref().into(), samples, at, max_age: DEFAULT_MAX_AGE, fault: None }
    }

    /// A signal that could not be measured, and why.
    pub fn failed(name: impl AsRef<str>, fault: FaultKind, at: SystemTime) -> Self {
        Self { fault: Some(fault), ..Self::new(name, Vec::new(), at) }
    }

    /// Sets how long it is believed.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }
}

impl Sample {
    /// What `instance` reported. NaN, infinite and negative values are Unknown, never zero: an
    /// outage that reads as "no load" would scale a service away.
    pub fn new(instance: impl Into<Arc<str>>, value: f64) -> Self {
        Self { instance: instance.into(), value: Milli::from_f64(value) }
    }

    /// `instance` was asked and gave no usable answer.
    pub fn unknown(instance: impl Into<Arc<str>>) -> Self {
        Self { instance: instance.into(), value: None }
    }
}

fn default_max_age() -> Duration {
    DEFAULT_MAX_AGE
}

/// A number that cannot be a reading is an unknown reading, not a broken document.
fn lenient<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Milli>, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.and_then(Milli::from_f64))
}
