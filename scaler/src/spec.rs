//! What a user writes: the `spec` of a `CustomScaler`, checked as a whole before it is used.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::behavior::Behavior;
use crate::error::{Error, ErrorKind};
use crate::fallback::Fallback;
use crate::guard::{self, Guard};
use crate::metric::MetricSpec;
use crate::milli::Milli;
use crate::panic_mode::PanicSpec;
use crate::ratio::Tolerance;
use crate::schedule::{Plan, Schedule};

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
    /// Never fewer than this; 1 by default. With 0 it may scale to zero, and wakes again if it was
    /// scaled to zero by itself; 0 set by hand is a pause.
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
    /// The HPA's stabilization windows and rate policies; absent: none of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behavior: Option<Behavior>,
    /// Signals that step up or forbid a scale-down instead of being divided by a target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Guard>,
    /// When to act at once, and let nothing go for a while; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic: Option<PanicSpec>,
    /// What to run when nothing has been known for a while; absent: what there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// Other bounds at certain times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<Schedule>,
    /// Nothing is changed while this is set.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused: bool,
    /// It goes to so many replicas and stays there; not above `maxReplicas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_replicas: Option<u32>,
    /// It never scales down while this is set.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused_scale_in: bool,
    /// It never scales up while this is set.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused_scale_out: bool,
    /// Whether decisions are meant.
    #[serde(default, skip_serializing_if = "Mode::is_act")]
    pub mode: Mode,
}

/// Whether decisions are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Mode {
    /// They are.
    #[default]
    Act,
    /// They say what would be done and are marked; [`Decision::is_change`](crate::Decision::is_change)
    /// is false for each of them, so that nothing is carried out.
    Preview,
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
    /// condition held: the counters start anew, and those of guards and of the fallback; the
    /// stabilization window begins with the present size. 5 min by default.
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
            behavior: None,
            guards: Vec::new(),
            panic: None,
            fallback: None,
            schedule: Vec::new(),
            paused: false,
            paused_replicas: None,
            paused_scale_in: false,
            paused_scale_out: false,
            mode: Mode::Act,
        }
    }

    /// A Kubernetes HPA and nothing else: a tolerance of 0.1, its `behavior` as it comes, no
    /// condition window, and the brake out of the way.
    pub fn hpa(target: impl AsRef<str>, min: u32, max: u32) -> Self {
        let mut behavior = Behavior::default();
        behavior.scale_up.tolerance = Some(Milli(100));
        behavior.scale_down.tolerance = Some(Milli(100));
        let (scale_up, scale_down) = (Duration::ZERO, Duration::ZERO);
        Self {
            cool_down: CoolDown { scale_up, scale_down, ..CoolDown::default() },
            brake: BrakeSpec { max_actions_per_hour: BRAKE_CEILING, ..BrakeSpec::default() },
            behavior: Some(behavior),
            ..Self::new(target, min, max)
        }
    }

    /// The band around a target in which a metric asks for nothing: that of the HPA where `behavior`
    /// has a tolerance, and else the hysteresis.
    pub(crate) fn tolerance(&self) -> Tolerance {
        let rules = self.behavior.as_ref();
        let up = rules.and_then(|behavior| behavior.scale_up.tolerance);
        let down = rules.and_then(|behavior| behavior.scale_down.tolerance);
        Tolerance {
            up: up.map_or(self.hysteresis.up_factor, |part| Milli(part.0.saturating_add(1000))),
            down: down
                .map_or(self.hysteresis.down_factor, |part| Milli(1000u64.saturating_sub(part.0))),
            upper_edge_acts: up.is_none(),
        }
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
        check(max >= 1, &|| "maxReplicas is 0: use 1 or more".to_owned());
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
        if let Some(replicas) = self.paused_replicas {
            check(replicas <= max, &|| {
                format!("pausedReplicas ({replicas}) is above maxReplicas ({max}): lower it")
            });
        }
        let given = self.behavior.as_ref().map(|behavior| {
            (behavior.scale_up.tolerance.is_some(), behavior.scale_down.tolerance.is_some())
        });
        let (up, down) = given.unwrap_or_default();
        let default = Hysteresis::default();
        check(!up || up_factor == default.up_factor, &|| {
            "hysteresis.upFactor and behavior.scaleUp.tolerance both say where the band ends: \
             remove one"
                .to_owned()
        });
        check(!down || down_factor == default.down_factor, &|| {
            "hysteresis.downFactor and behavior.scaleDown.tolerance both say where the band ends: \
             remove one"
                .to_owned()
        });
        self.behavior.iter().for_each(|behavior| behavior.check(&mut faults));
        guard::check(&self.guards, &mut faults);
        self.panic.iter().for_each(|panic| panic.check(&mut faults));
        self.fallback.iter().for_each(|fallback| fallback.check(max, &mut faults));
        Plan::compile(self, &mut faults);
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

impl Mode {
    /// Whether decisions are meant.
    pub(crate) fn is_act(&self) -> bool {
        *self == Self::Act
    }
}

fn one() -> u32 {
    1
}

fn is_false(flag: &bool) -> bool {
    !*flag
}
