//! One measured quantity and the value it should have.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::milli::Milli;

/// A metric of a [`ScalerSpec`](crate::ScalerSpec): the signal of this name should average
/// `target` over the instances.
///
/// The short forms and the HPA's long forms read alike:
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
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawMetric", into = "RawMetric")]
#[non_exhaustive]
pub struct MetricSpec {
    /// The name of the signal that feeds it.
    pub name: Arc<str>,
    /// What the numbers mean.
    pub unit: Unit,
    /// The value that the average over the instances should have; percent for a utilization.
    pub target: Milli,
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
    /// A plain number for each instance. A missing instance counts as at its target when the
    /// others ask for less, and as zero when they ask for more.
    Plain,
}

impl MetricSpec {
    /// A utilization in percent, such as `cpu` at 60.
    pub fn utilization(name: impl AsRef<str>, percent: u32) -> Self {
        Self { name: name.as_ref().into(), unit: Unit::Percent, target: percent.into() }
    }

    /// A plain average over the instances, such as 8 requests in flight.
    pub fn average(name: impl AsRef<str>, target: Milli) -> Self {
        Self { name: name.as_ref().into(), unit: Unit::Plain, target }
    }
}

/// A value with its unit, for sentences.
pub(crate) struct Amount(pub(crate) Milli, pub(crate) Unit);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Unit::Percent => write!(f, "{} %", self.0),
            Unit::Plain => write!(f, "{}", self.0),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawMetric {
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    kind: Option<RawKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<RawResource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pods: Option<RawPods>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    average_utilization: Option<Milli>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Milli>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum RawKind {
    Resource,
    Pods,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawResource {
    name: Arc<str>,
    target: RawTarget,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPods {
    metric: RawName,
    target: RawTarget,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawName {
    name: Arc<str>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawTarget {
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    kind: Option<RawTargetKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    average_utilization: Option<Milli>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    average_value: Option<Milli>,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum RawTargetKind {
    Utilization,
    AverageValue,
}

impl RawTarget {
    fn read(self, name: &str) -> Result<(Unit, Milli), String> {
        let (unit, target, kind) = match (self.average_utilization, self.average_value) {
            (Some(percent), None) => (Unit::Percent, percent, RawTargetKind::Utilization),
            (None, Some(value)) => (Unit::Plain, value, RawTargetKind::AverageValue),
            _ => {
                return Err(format!(
                    "metric `{name}`: target needs one of `averageUtilization`, `averageValue`"
                ));
            }
        };
        match self.kind {
            Some(stated) if stated != kind => {
                Err(format!("metric `{name}`: target.type does not fit the value beside it"))
            }
            _ => Ok((unit, target)),
        }
    }
}

impl TryFrom<RawMetric> for MetricSpec {
    type Error = String;

    fn try_from(raw: RawMetric) -> Result<Self, String> {
        let RawMetric { kind, resource, pods, name, average_utilization, target } = raw;
        let short = name.is_some() || average_utilization.is_some() || target.is_some();
        let (name, (unit, target)) = match (kind, resource, pods) {
            (Some(RawKind::Resource) | None, Some(long), None) if !short => {
                let read = long.target.read(&long.name)?;
                (long.name, read)
            }
            (Some(RawKind::Pods) | None, None, Some(long)) if !short => {
                let read = long.target.read(&long.metric.name)?;
                (long.metric.name, read)
            }
            (None, None, None) => {
                let name = name.ok_or("a metric needs `name`")?;
                match (average_utilization, target) {
                    (Some(percent), None) => (name, (Unit::Percent, percent)),
                    (None, Some(value)) => (name, (Unit::Plain, value)),
                    _ => {
                        return Err(format!(
                            "metric `{name}` needs one of `averageUtilization` (percent), `target`"
                        ));
                    }
                }
            }
            (Some(RawKind::Resource), ..) => {
                return Err("a metric of type Resource has `resource` and nothing else".into());
            }
            (Some(RawKind::Pods), ..) => {
                return Err("a metric of type Pods has `pods` and nothing else".into());
            }
            _ => return Err("a metric is written in one form: `name`, `resource` or `pods`".into()),
        };
        Ok(Self { name, unit, target })
    }
}

impl From<MetricSpec> for RawMetric {
    fn from(metric: MetricSpec) -> Self {
        let (average_utilization, target) = match metric.unit {
            Unit::Percent => (Some(metric.target), None),
            Unit::Plain => (None, Some(metric.target)),
        };
        Self {
            kind: None,
            resource: None,
            pods: None,
            name: Some(metric.name),
            average_utilization,
            target,
        }
    }
}
