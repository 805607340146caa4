//! How a metric is written: the HPA's long forms, and the short ones.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{MetricId, MetricSource, MetricSpec, ObjectRef, Startup, TargetType};
use crate::milli::Milli;

/// A metric as it is written, in any form.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Written {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<ResourceForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_resource: Option<ContainerForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pods: Option<MetricForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<ObjectForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external: Option<MetricForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    average_utilization: Option<Milli>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Milli>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_replica: Option<Milli>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Milli>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_initialization_period: Option<Length>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_readiness_delay: Option<Length>,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Kind {
    Resource,
    ContainerResource,
    Pods,
    Object,
    External,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Length(#[serde(with = "crate::duration::serde")] Duration);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceForm {
    name: Arc<str>,
    target: Target,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContainerForm {
    name: Arc<str>,
    container: Arc<str>,
    target: Target,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricForm {
    metric: MetricId,
    target: Target,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ObjectForm {
    described_object: ObjectRef,
    metric: MetricId,
    target: Target,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Target {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<TargetType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    average_utilization: Option<Milli>,
    #[serde(skip_serializing_if = "Option::is_none")]
    average_value: Option<Milli>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Milli>,
}

impl Kind {
    fn key(self) -> &'static str {
        match self {
            Self::Resource => "resource",
            Self::ContainerResource => "containerResource",
            Self::Pods => "pods",
            Self::Object => "object",
            Self::External => "external",
        }
    }

    /// How a target of this kind can be meant.
    fn targets(self) -> &'static [TargetType] {
        match self {
            Self::Resource | Self::ContainerResource => {
                &[TargetType::Utilization, TargetType::AverageValue]
            }
            Self::Pods => &[TargetType::AverageValue],
            Self::Object | Self::External => &[TargetType::Value, TargetType::AverageValue],
        }
    }
}

impl TargetType {
    /// The key that holds its value.
    fn key(self) -> &'static str {
        match self {
            Self::Utilization => "averageUtilization",
            Self::AverageValue => "averageValue",
            Self::Value => "value",
        }
    }
}

impl Target {
    fn read(&self, name: &str, kind: Kind) -> Result<(TargetType, Milli), String> {
        let given = [
            (TargetType::Utilization, self.average_utilization),
            (TargetType::AverageValue, self.average_value),
            (TargetType::Value, self.value),
        ];
        let mut given = given.into_iter().filter_map(|(of, value)| Some((of, value?)));
        let may = kind.targets().iter().map(|of| format!("`{}`", of.key())).collect::<Vec<_>>();
        let may = may.join(" or ");
        let fail = |what: &str| Err(format!("metric `{name}`: {what}"));
        match (given.next(), given.next(), self.kind) {
            (None, ..) => fail(&format!("`target` holds no value: it needs {may}")),
            (_, Some(_), _) => fail(&format!("`target` holds several values: keep {may}")),
            (Some((of, _)), ..) if !kind.targets().contains(&of) => {
                fail(&format!("`target` of `{}` cannot be `{}`: use {may}", kind.key(), of.key()))
            }
            (Some((of, _)), _, Some(stated)) if stated != of => fail(&format!(
                "target.type does not fit the value beside it: with `{}` it is {of:?}",
                of.key()
            )),
            (Some(read), ..) => Ok(read),
        }
    }

    fn write(of: TargetType, value: Milli) -> Self {
        let mut target = Self { kind: Some(of), ..Self::default() };
        match of {
            TargetType::Utilization => target.average_utilization = Some(value),
            TargetType::AverageValue => target.average_value = Some(value),
            TargetType::Value => target.value = Some(value),
        }
        target
    }
}

impl Written {
    /// The one long form that is there, with the kind it is of.
    fn long(&mut self) -> Result<Option<(Kind, MetricSource, Target)>, String> {
        let resource = self.resource.take().map(|form| {
            (Kind::Resource, MetricSource::Resource { resource: form.name }, form.target)
        });
        let container = self.container_resource.take().map(|form| {
            let source =
                MetricSource::ContainerResource { resource: form.name, container: form.container };
            (Kind::ContainerResource, source, form.target)
        });
        let pods = self
            .pods
            .take()
            .map(|form| (Kind::Pods, MetricSource::Pods { metric: form.metric }, form.target));
        let object = self.object.take().map(|form| {
            let (metric, described_object) = (form.metric, form.described_object);
            (Kind::Object, MetricSource::Object { metric, described_object }, form.target)
        });
        let external = self.external.take().map(|form| {
            (Kind::External, MetricSource::External { metric: form.metric }, form.target)
        });
        let mut forms = [resource, container, pods, object, external].into_iter().flatten();
        match (forms.next(), forms.next()) {
            (Some((one, ..)), Some((other, ..))) => Err(format!(
                "a metric is written in one form: it has `{}` and `{}`, make two metrics of them",
                one.key(),
                other.key()
            )),
            (form, _) => Ok(form),
        }
    }

    /// The short form.
    fn short(&self) -> Result<(MetricSource, TargetType, Milli), String> {
        let Some(name) = self.name.clone() else {
            return Err("a metric needs `name`, or one of the long forms `resource`, \
                        `containerResource`, `pods`, `object`, `external`"
                .into());
        };
        let metric = MetricId { name: Arc::clone(&name), selector: None };
        let keys = [self.average_utilization, self.target, self.per_replica, self.value];
        if keys.iter().flatten().count() != 1 {
            return Err(format!(
                "metric `{name}` needs one of `averageUtilization` (percent), `target` (for each \
                 instance), `perReplica` (a share of one number), `value` (one number)"
            ));
        }
        let external = |metric| MetricSource::External { metric };
        Ok(match keys {
            [Some(percent), ..] => {
                (MetricSource::Resource { resource: name }, TargetType::Utilization, percent)
            }
            [_, Some(value), ..] => {
                (MetricSource::Pods { metric }, TargetType::AverageValue, value)
            }
            [_, _, Some(value), _] => (external(metric), TargetType::AverageValue, value),
            [.., value] => (external(metric), TargetType::Value, value.unwrap_or_default()),
        })
    }

    fn is_short(&self) -> bool {
        self.name.is_some()
            || self.average_utilization.is_some()
            || self.target.is_some()
            || self.per_replica.is_some()
            || self.value.is_some()
    }
}

impl TryFrom<Written> for MetricSpec {
    type Error = String;

    fn try_from(mut written: Written) -> Result<Self, String> {
        let stated = written.kind;
        let (source, target_type, target) = match (written.long()?, stated) {
            (Some((kind, source, target)), stated) => {
                let name = source.signal();
                if let Some(stated) = stated.filter(|stated| *stated != kind) {
                    return Err(format!(
                        "metric `{name}`: a metric of type {} has `{}`, not `{}`",
                        MetricSource::as_str_of(stated),
                        stated.key(),
                        kind.key()
                    ));
                }
                if written.is_short() {
                    return Err(format!(
                        "metric `{name}` is written in one form: `{}` needs nothing beside it but \
                         `type` and `signal`",
                        kind.key()
                    ));
                }
                let (target_type, value) = target.read(&name, kind)?;
                (source, target_type, value)
            }
            (None, Some(stated)) => {
                return Err(format!(
                    "a metric of type {} has `{}`: write its name and target there",
                    MetricSource::as_str_of(stated),
                    stated.key()
                ));
            }
            (None, None) => written.short()?,
        };
        let usual = Startup::default();
        let or = |given: Option<Length>, usual| given.map_or(usual, |Length(given)| given);
        Ok(Self {
            name: written.signal.unwrap_or_else(|| source.signal()),
            source,
            target_type,
            target,
            startup: Startup {
                cpu_initialization_period: or(
                    written.cpu_initialization_period,
                    usual.cpu_initialization_period,
                ),
                initial_readiness_delay: or(
                    written.initial_readiness_delay,
                    usual.initial_readiness_delay,
                ),
            },
        })
    }
}

impl MetricSource {
    fn as_str_of(kind: Kind) -> &'static str {
        match kind {
            Kind::Resource => "Resource",
            Kind::ContainerResource => "ContainerResource",
            Kind::Pods => "Pods",
            Kind::Object => "Object",
            Kind::External => "External",
        }
    }
}

impl From<MetricSpec> for Written {
    /// The short form where it says everything, else the long one.
    fn from(metric: MetricSpec) -> Self {
        let MetricSpec { name, source, target_type, target, startup } = metric;
        let usual = Startup::default();
        let unless = |value, usual| (value != usual).then_some(Length(value));
        let (period, delay) = (startup.cpu_initialization_period, startup.initial_readiness_delay);
        let mut written = Self {
            cpu_initialization_period: unless(period, usual.cpu_initialization_period),
            initial_readiness_delay: unless(delay, usual.initial_readiness_delay),
            ..Self::default()
        };
        if name != source.signal() {
            written.signal = Some(Arc::clone(&name));
        }
        let plain = |metric: &MetricId| metric.selector.is_none();
        let long = Target::write(target_type, target);
        match source {
            MetricSource::Resource { resource } if target_type == TargetType::Utilization => {
                (written.name, written.average_utilization) = (Some(resource), Some(target));
            }
            MetricSource::Pods { metric } if plain(&metric) => {
                (written.name, written.target) = (Some(metric.name), Some(target));
            }
            MetricSource::External { metric } if plain(&metric) => {
                written.name = Some(metric.name);
                match target_type {
                    TargetType::AverageValue => written.per_replica = Some(target),
                    _ => written.value = Some(target),
                }
            }
            MetricSource::Resource { resource } => {
                written.kind = Some(Kind::Resource);
                written.resource = Some(ResourceForm { name: resource, target: long });
            }
            MetricSource::ContainerResource { resource, container } => {
                written.kind = Some(Kind::ContainerResource);
                written.container_resource =
                    Some(ContainerForm { name: resource, container, target: long });
            }
            MetricSource::Pods { metric } => {
                written.kind = Some(Kind::Pods);
                written.pods = Some(MetricForm { metric, target: long });
            }
            MetricSource::Object { metric, described_object } => {
                written.kind = Some(Kind::Object);
                written.object = Some(ObjectForm { described_object, metric, target: long });
            }
            MetricSource::External { metric } => {
                written.kind = Some(Kind::External);
                written.external = Some(MetricForm { metric, target: long });
            }
        }
        written
    }
}
