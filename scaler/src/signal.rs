//! What was measured: samples of the instances, and how old they may be.

mod compact;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::intent::ScaleIntent;
use crate::milli::Milli;
use crate::source::FaultKind;
use compact::{Moment, Request};

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
    /// How many instances the platform counts, ready or not: the `status.replicas` of a Kubernetes
    /// scale, where `current.desired` is its `spec.replicas`. A number that is shared by all
    /// replicas is judged by this count. Absent: as many as there are `instances`, else as were
    /// asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_replicas: Option<u32>,
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
///
/// Without a `phase`, an instance counts when it is ready. With one, it is judged as the HPA
/// judges a pod: what has ended or is being deleted is ignored, what is pending is not ready, and
/// readiness itself matters only for `cpu`, together with the times below
/// ([`Startup`](crate::Startup)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Instance {
    /// Its name; samples carry the same.
    pub name: Arc<str>,
    /// Whether it is up and able to work.
    pub ready: bool,
    /// How far it is, where the platform tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Whether it has been told to go.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// When it was started.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::timestamp::serde::option"
    )]
    pub started: Option<SystemTime>,
    /// Since when `ready` is what it is.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::timestamp::serde::option"
    )]
    pub ready_changed: Option<SystemTime>,
}

/// How far an instance is: the phases of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Phase {
    /// Not placed, or its images are still loaded.
    Pending,
    /// It runs, ready or not.
    Running,
    /// It has ended well.
    Succeeded,
    /// It has ended badly.
    Failed,
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
    /// Over how long each sample was measured, where it is an average over time. A `cpu` of an
    /// instance that has just become ready is believed once all of it lies after that.
    #[serde(with = "crate::duration::serde", default, skip_serializing_if = "Duration::is_zero")]
    pub window: Duration,
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
    /// The value; `None` where there was none that a number can stand for. For a utilization it is
    /// a percentage, or what is used of `request`.
    #[serde(default, deserialize_with = "lenient")]
    pub value: Option<Milli>,
    #[serde(default, skip_serializing_if = "Request::is_none")]
    request: Request,
    #[serde(default, skip_serializing_if = "Moment::is_none")]
    at: Moment,
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

    /// Tells how many instances the platform counts, ready or not.
    #[must_use]
    pub fn status_replicas(mut self, count: u32) -> Self {
        self.status_replicas = Some(count);
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
        Self {
            name: name.into(),
            ready,
            phase: None,
            deleted: false,
            started: None,
            ready_changed: None,
        }
    }

    /// Tells how far it is; from then on it is judged as a pod.
    #[must_use]
    pub fn phase(mut self, phase: Phase) -> Self {
        self.phase = Some(phase);
        self
    }

    /// Tells that it is on its way out.
    #[must_use]
    pub fn deleted(mut self) -> Self {
        self.deleted = true;
        self
    }

    /// Tells when it was started.
    #[must_use]
    pub fn started(mut self, at: SystemTime) -> Self {
        self.started = Some(at);
        self
    }

    /// Tells since when it is ready, or is not.
    #[must_use]
    pub fn ready_changed(mut self, at: SystemTime) -> Self {
        self.ready_changed = Some(at);
        self
    }
}

impl Signal {
    /// A signal that is believed for a minute.
    pub fn new(name: impl AsRef<str>, samples: Vec<Sample>, at: SystemTime) -> Self {
        Self {
            name: name.as_ref().into(),
            samples,
            at,
            max_age: DEFAULT_MAX_AGE,
            window: Duration::ZERO,
            fault: None,
        }
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

    /// Sets over how long each sample was measured.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }
}

impl Sample {
    /// What `instance` reported. NaN, infinite and negative values are Unknown, never zero: an
    /// outage that reads as "no load" would scale a service away.
    pub fn new(instance: impl Into<Arc<str>>, value: f64) -> Self {
        Self::of(instance, Milli::from_f64(value))
    }

    /// `instance` was asked and gave no usable answer.
    pub fn unknown(instance: impl Into<Arc<str>>) -> Self {
        Self::of(instance, None)
    }

    /// What `instance` reported, already in thousandths.
    pub(crate) fn of(instance: impl Into<Arc<str>>, value: Option<Milli>) -> Self {
        let (request, at) = Default::default();
        Self { instance: instance.into(), value, request, at }
    }

    /// Sets what the instance asked for, in the unit of the value; 0 if it asked for nothing.
    ///
    /// A utilization is then the sum of the values over the sum of the requests, so that large and
    /// small instances weigh what they are. A sample without a value may carry it, for an instance
    /// that is missing. NaN, infinite and negative requests are none.
    #[must_use]
    pub fn request(mut self, request: f64) -> Self {
        self.request = Milli::from_f64(request).into();
        self
    }

    /// Sets when it was measured, if not with the rest of the signal. Older than the signal's
    /// `max_age` it is as good as none.
    #[must_use]
    pub fn at(mut self, at: SystemTime) -> Self {
        self.at = Some(at).into();
        self
    }

    /// What the instance asked for, if it is known.
    pub fn requested(&self) -> Option<Milli> {
        self.request.get()
    }

    /// When it was measured, if it tells.
    pub fn measured(&self) -> Option<SystemTime> {
        self.at.get()
    }

    /// What it carries beside its value; zeros if nothing.
    pub(crate) fn extras(&self) -> [u64; 2] {
        [self.request.bits(), self.at.bits()]
    }
}

fn default_max_age() -> Duration {
    DEFAULT_MAX_AGE
}

/// A number that cannot be a reading is an unknown reading, not a broken document.
fn lenient<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Milli>, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.and_then(Milli::from_f64))
}
