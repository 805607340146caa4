//! What a user writes: the `spec` of a `CustomScaler`, checked as a whole before it is used.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::metric::MetricSpec;
use crate::milli::Milli;
use crate::ratio::Tolerance;

/// The most actions an hour that a brake can be set to: one a second.
const BRAKE_CEILING: u32 = 3600;

/// The largest factor, in thousandths: a hundred times the target.
const FACTOR_CEILING: u64 = 100_000;

/// How one target is scaled: the `spec` of a `CustomScaler` resource.
///
/// Keys are camelCase, unknown ones are errors, durations carry their unit. Only `targetRef` and
/// `maxReplicas` have no default:
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let spec: birl_scaler::ScalerSpec = serde_json::from_str(r#"{
///     "targetRef": { "name": "workers" },
///     "maxReplicas": 10,
///     "metrics": [{ "name": "cpu", "averageUtilization": 60 }],
///     "hysteresis": { "upFactor": 1.3, "downFactor": 0.7 },
///     "coolDown": { "scaleUp": "60s", "scaleDown": "300s" }
/// }"#)?;
/// spec.validate()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct ScalerSpec {
    /// What is scaled.
    pub target_ref: TargetRef,
    /// Never fewer than this; at least 1.
    #[serde(default = "one")]
    pub min_replicas: u32,
    /// Never more than this, whoever asks.
    pub max_replicas: u32,
    /// What is measured. Several: the one that asks for most wins. None: only intents scale.
    #[serde(default)]
    pub metrics: Vec<MetricSpec>,
    /// How far from the target a metric must be before it asks for a change.
    #[serde(default)]
    pub hysteresis: Hysteresis,
    /// How long a metric must ask, without a break, before it is heeded.
    #[serde(default)]
    pub cool_down: CoolDown,
    /// How long to rest after an applied change.
    #[serde(default)]
    pub lock_out: LockOut,
    /// The largest single change.
    #[serde(default)]
    pub step: Step,
    /// What stops a runaway.
    #[serde(default)]
    pub brake: BrakeSpec,
}

/// What is scaled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct TargetRef {
    /// The target's name: a group of local processes, a Deployment.
    pub name: Arc<str>,
    /// The target's kind, where its platform has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The API group and version of that kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
}

/// The band around a metric's target in which nothing happens.
///
/// With a target of 60 the defaults act at 78 and above, and below 42. In the HPA's words this is
/// a tolerance of `upFactor − 1` up and `1 − downFactor` down, except that the upper edge acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Hysteresis {
    /// Scale up when the metric is at this multiple of its target or above; at least 1.
    pub up_factor: Milli,
    /// Scale down when the metric is below this multiple of its target; at most 1.
    pub down_factor: Milli,
}

/// Condition windows: the condition must hold for the whole window, and its counter starts anew
/// when the condition breaks. (The pause after a change is [`LockOut`].)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CoolDown {
    /// How long a metric must ask for more; 60 s by default.
    #[serde(with = "crate::duration::serde")]
    pub scale_up: Duration,
    /// How long a metric must ask for less; 300 s by default.
    #[serde(with = "crate::duration::serde")]
    pub scale_down: Duration,
    /// When nobody looked for longer than this (a stopped host, say), nobody can tell that the
    /// condition held: the counters start anew. 5 min by default.
    #[serde(with = "crate::duration::serde")]
    pub max_gap: Duration,
}

/// The pause after an applied change, in either direction; none by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LockOut {
    /// No scale-up within this time of the last applied change.
    #[serde(with = "crate::duration::serde")]
    pub scale_up: Duration,
    /// No scale-down within this time of the last applied change.
    #[serde(with = "crate::duration::serde")]
    pub scale_down: Duration,
}

/// The largest single change in replicas; absent means as far as the formula says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Step {
    /// At most this many more at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<u32>,
    /// At most this many fewer at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down: Option<u32>,
}

/// What stops a runaway: whoever can write a log line could otherwise scale you.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct BrakeSpec {
    /// The most applied changes of this target in any hour; 30 by default, 0 for none at all.
    pub max_actions_per_hour: u32,
    /// Nothing is changed while this is set; decisions still say what they would have done.
    pub kill_switch: bool,
}

impl ScalerSpec {
    /// A specification with defaults, for a target that may have `min` to `max` replicas.
    pub fn new(target: impl AsRef<str>, min: u32, max: u32) -> Self {
        Self {
            target_ref: TargetRef { name: target.as_ref().into(), kind: None, api_version: None },
            min_replicas: min,
            max_replicas: max,
            metrics: Vec::new(),
            hysteresis: Hysteresis::default(),
            cool_down: CoolDown::default(),
            lock_out: LockOut::default(),
            step: Step::default(),
            brake: BrakeSpec::default(),
        }
    }

    /// The band around each metric's target in which nothing happens.
    pub(crate) fn tolerance(&self) -> Tolerance {
        self.hysteresis.into()
    }

    /// Checks what single fields cannot: ranges, order, uniqueness.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSpec`], naming every field that is wrong and what it should be.
    pub fn validate(&self) -> Result<(), Error> {
        let mut faults = Vec::new();
        let mut check = |holds: bool, fault: &dyn Fn() -> String| {
            if !holds {
                faults.push(fault());
            }
        };
        let (min, max) = (self.min_replicas, self.max_replicas);
        check(!self.target_ref.name.trim().is_empty(), &|| {
            "targetRef.name is empty: name what is to be scaled".to_owned()
        });
        check(min >= 1, &|| {
            "minReplicas is 0, but scaling to zero is not supported: use 1 or more".to_owned()
        });
        check(min <= max, &|| {
            format!(
                "minReplicas ({min}) is above maxReplicas ({max}): lower one or raise the other"
            )
        });
        let Hysteresis { up_factor, down_factor } = self.hysteresis;
        check((1000..=FACTOR_CEILING).contains(&up_factor.0), &|| {
            format!("hysteresis.upFactor is {up_factor}: it must be 1 to 100, such as 1.3")
        });
        check(down_factor.0 <= 1000, &|| {
            format!("hysteresis.downFactor is {down_factor}: it must be 1 or less, such as 0.7")
        });
        check(self.step.up != Some(0), &|| {
            "step.up is 0, which forbids every scale-up: leave it out or use 1 or more".to_owned()
        });
        check(self.step.down != Some(0), &|| {
            "step.down is 0, which forbids every scale-down: leave it out or use 1 or more"
                .to_owned()
        });
        let most = self.brake.max_actions_per_hour;
        check(most <= BRAKE_CEILING, &|| {
            format!("brake.maxActionsPerHour is {most}: the most is {BRAKE_CEILING}")
        });
        for (at, metric) in self.metrics.iter().enumerate() {
            check(!metric.name.trim().is_empty(), &|| {
                format!("metrics[{at}].name is empty: name the signal that feeds it")
            });
            check(metric.target.0 > 0, &|| {
                format!("metrics[{at}] ({}): the target is 0: it must be above 0", metric.name)
            });
            check(!self.metrics[..at].iter().any(|other| other.name == metric.name), &|| {
                format!("metrics[{at}].name `{}` is used twice: remove one", metric.name)
            });
        }
        if faults.is_empty() {
            return Ok(());
        }
        let message = format!("scaler `{}`: {}", self.target_ref.name, faults.join("; "));
        Err(Error::new(ErrorKind::InvalidSpec, message))
    }
}

impl Default for Hysteresis {
    fn default() -> Self {
        Self { up_factor: Milli(1300), down_factor: Milli(700) }
    }
}

impl Default for CoolDown {
    fn default() -> Self {
        Self {
            scale_up: Duration::from_secs(60),
            scale_down: Duration::from_secs(300),
            max_gap: Duration::from_secs(300),
        }
    }
}

impl Default for BrakeSpec {
    fn default() -> Self {
        Self { max_actions_per_hour: 30, kill_switch: false }
    }
}

fn one() -> u32 {
    1
}
