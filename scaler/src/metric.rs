//! One measured quantity and the value it should have.

mod forms;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::milli::Milli;

/// The HPA's `--horizontal-pod-autoscaler-cpu-initialization-period`.
const CPU_INITIALIZATION: Duration = Duration::from_secs(300);

/// The HPA's `--horizontal-pod-autoscaler-initial-readiness-delay`.
const INITIAL_READINESS: Duration = Duration::from_secs(30);

/// A metric of a [`ScalerSpec`](crate::ScalerSpec): the signal of this name should have `target`.
///
/// The short forms and the long forms of the HPA (`autoscaling/v2`) read alike:
///
/// ```
/// # use birl_scaler::MetricSpec;
/// # fn main() -> Result<(), serde_json::Error> {
/// let short: MetricSpec = serde_json::from_str(r#"{ "name": "cpu", "averageUtilization": 60 }"#)?;
/// let long: MetricSpec = serde_json::from_str(r#"{
///     "type": "Resource",
///     "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 60 } }
/// }"#)?;
/// assert_eq!(short, long);
/// let _in_flight: MetricSpec = serde_json::from_str(r#"{ "name": "in_flight", "target": 8 }"#)?;
/// let _backlog: MetricSpec = serde_json::from_str(r#"{ "name": "backlog", "perReplica": 30 }"#)?;
/// let _lag: MetricSpec = serde_json::from_str(r#"{ "name": "lag", "value": 2000 }"#)?;
/// # Ok(()) }
/// ```
///
/// | short | long | the signal holds | replicas |
/// |---|---|---|---|
/// | `averageUtilization` | Resource or ContainerResource, Utilization | for each instance percents, or usage and request | `ceil(utilization ÷ target × ready)` |
/// | `target` | Resource, ContainerResource or Pods, AverageValue | a number for each instance | `ceil(average ÷ target × ready)` |
/// | `perReplica` | Object or External, AverageValue | one number, or several that add up | `ceil(sum ÷ target)` |
/// | `value` | Object or External, Value | one number, or several that add up | `ceil(sum ÷ target × ready)` |
///
/// The signal has the name of the resource or of the metric; for a ContainerResource it is
/// `container/resource`, such as `app/cpu`. A long form may name another with `signal`, beside
/// `type`: two External metrics that differ in their selectors need that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "forms::Written", into = "forms::Written")]
#[non_exhaustive]
pub struct MetricSpec {
    /// The name of the signal that feeds it.
    pub name: Arc<str>,
    /// What is measured, and on what.
    pub source: MetricSource,
    /// How the target is meant.
    pub target_type: TargetType,
    /// The value that it should have; percent for a utilization.
    pub target: Milli,
    /// Which instances are too young for their `cpu` to mean anything.
    pub startup: Startup,
}

/// What is measured, and on what, in the words of `autoscaling/v2`.
///
/// Selectors and objects are for whoever reads the signal; the decider only keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricSource {
    /// A resource of each instance as a whole, such as `cpu`.
    Resource {
        /// Its name.
        resource: Arc<str>,
    },
    /// A resource of one container of each instance.
    ContainerResource {
        /// Its name.
        resource: Arc<str>,
        /// The container.
        container: Arc<str>,
    },
    /// Any other number of each instance.
    Pods {
        /// Which.
        metric: MetricId,
    },
    /// A number that describes one other object.
    Object {
        /// Which number.
        metric: MetricId,
        /// Which object.
        described_object: ObjectRef,
    },
    /// A number from outside, such as the length of a queue.
    External {
        /// Which.
        metric: MetricId,
    },
}

/// A metric's name, and which of its series are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricId {
    /// Its name.
    pub name: Arc<str>,
    /// Which of its series; all of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
}

/// A label selector of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Selector {
    /// Labels and the values they must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// What else must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
}

/// One condition of a [`Selector`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// The values, for the first two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// The object that an Object metric describes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The API group and version of its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
}

/// How a target is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TargetType {
    /// Percent of what the instances asked for.
    Utilization,
    /// So much for each instance, on average.
    AverageValue,
    /// So much for all of them together.
    Value,
}

/// What a metric's numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Unit {
    /// Percent of what an instance asked for. A missing instance counts as fully used (100 %, or
    /// the target where that is higher) when the others ask for less, and as idle when they ask
    /// for more.
    Percent,
    /// A plain number. A missing instance counts as at its target when the others ask for less,
    /// and as zero when they ask for more.
    Plain,
}

/// Which instances are too young for their `cpu` to mean anything: starting costs more than
/// working does. It is heeded for a resource named `cpu`, of instances whose
/// [`phase`](crate::Instance::phase) is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Startup {
    /// Younger than this, an instance must be ready, and its sample must have been measured wholly
    /// after it became so; 5 min by default. `cpuInitializationPeriod` beside `type` or `name`.
    pub cpu_initialization_period: Duration,
    /// An instance whose readiness last changed within this time of its start was never ready;
    /// 30 s by default. `initialReadinessDelay` beside `type` or `name`.
    pub initial_readiness_delay: Duration,
}

impl MetricSpec {
    /// A utilization in percent, such as `cpu` at 60.
    pub fn utilization(name: impl AsRef<str>, percent: u32) -> Self {
        let resource = name.as_ref().into();
        Self::new(MetricSource::Resource { resource }, TargetType::Utilization, percent.into())
    }

    /// The same of one container of each instance. The signal's name is `container/name`.
    pub fn container(container: impl AsRef<str>, name: impl AsRef<str>, percent: u32) -> Self {
        let (container, resource) = (container.as_ref().into(), name.as_ref().into());
        let source = MetricSource::ContainerResource { resource, container };
        Self::new(source, TargetType::Utilization, percent.into())
    }

    /// A plain average over the instances, such as 8 requests in flight.
    pub fn average(name: impl AsRef<str>, target: Milli) -> Self {
        let metric = MetricId::new(name);
        Self::new(MetricSource::Pods { metric }, TargetType::AverageValue, target)
    }

    /// One number for all replicas that each should have this share of, such as 30 messages of a
    /// queue.
    pub fn per_replica(name: impl AsRef<str>, target: Milli) -> Self {
        let metric = MetricId::new(name);
        Self::new(MetricSource::External { metric }, TargetType::AverageValue, target)
    }

    /// One number for all replicas that should have this value, and shrinks as they grow.
    pub fn value(name: impl AsRef<str>, target: Milli) -> Self {
        let metric = MetricId::new(name);
        Self::new(MetricSource::External { metric }, TargetType::Value, target)
    }

    fn new(source: MetricSource, target_type: TargetType, target: Milli) -> Self {
        Self { name: source.signal(), source, target_type, target, startup: Startup::default() }
    }

    /// What its numbers mean.
    pub fn unit(&self) -> Unit {
        match self.target_type {
            TargetType::Utilization => Unit::Percent,
            TargetType::AverageValue | TargetType::Value => Unit::Plain,
        }
    }

    /// Whether the signal is about the target as a whole rather than about each instance: which
    /// instances there are then makes no difference to it.
    pub fn is_of_the_whole(&self) -> bool {
        matches!(self.source, MetricSource::Object { .. } | MetricSource::External { .. })
    }

    /// Whether a starting instance's samples mean nothing yet.
    pub(crate) fn is_cpu(&self) -> bool {
        match &self.source {
            MetricSource::Resource { resource }
            | MetricSource::ContainerResource { resource, .. } => **resource == *"cpu",
            _ => false,
        }
    }
}

impl MetricSource {
    /// The `type` of the long form.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Resource { .. } => "Resource",
            Self::ContainerResource { .. } => "ContainerResource",
            Self::Pods { .. } => "Pods",
            Self::Object { .. } => "Object",
            Self::External { .. } => "External",
        }
    }

    /// The name of its signal when nobody gives another.
    fn signal(&self) -> Arc<str> {
        match self {
            Self::Resource { resource } => Arc::clone(resource),
            Self::ContainerResource { resource, container } => {
                format!("{container}/{resource}").into()
            }
            Self::Pods { metric } | Self::Object { metric, .. } | Self::External { metric } => {
                Arc::clone(&metric.name)
            }
        }
    }
}

impl MetricId {
    /// All series of the metric of this name.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self { name: name.as_ref().into(), selector: None }
    }
}

impl Default for Startup {
    fn default() -> Self {
        Self {
            cpu_initialization_period: CPU_INITIALIZATION,
            initial_readiness_delay: INITIAL_READINESS,
        }
    }
}

/// A value with its unit, for sentences.
pub(crate) struct Amount(pub(crate) Milli, pub(crate) Unit);

impl Amount {
    pub(crate) fn tell(&self, to: &mut impl fmt::Write) -> fmt::Result {
        self.0.tell(to)?;
        match self.1 {
            Unit::Percent => to.write_str(" %"),
            Unit::Plain => Ok(()),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f)
    }
}
