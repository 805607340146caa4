//! The HPA's `behavior`: how fast a target may grow and shrink, and how calmly.
//!
//! Names, defaults and ranges are those of `autoscaling/v2`, so that a manifest's `behavior` can be
//! pasted as it is. A scaler without it has no such windows and policies: its calm is the
//! condition window ([`CoolDown`](crate::CoolDown)).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::milli::Milli;

/// The longest stabilization window and the longest period, as the HPA has them.
const LONGEST_WINDOW: Duration = Duration::from_secs(3600);
const LONGEST_PERIOD: Duration = Duration::from_secs(1800);

/// So many policies a direction are enough for anybody.
const MOST_POLICIES: usize = 16;

/// How a target may grow and shrink. What is left out is as in Kubernetes: up by the larger of 4
/// pods and 100 % in 15 s, at once; down by 100 % in 15 s, not below what was recommended in the
/// last 300 s.
///
/// ```
/// # fn main() -> Result<(), serde_json::Error> {
/// let behavior: birl_scaler::Behavior = serde_json::from_str(r#"{
///     "scaleDown": {
///         "stabilizationWindowSeconds": 600,
///         "policies": [{ "type": "Pods", "value": 2, "periodSeconds": 60 }]
///     }
/// }"#)?;
/// assert_eq!(behavior.scale_up, birl_scaler::ScalingRules::up());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RawBehavior", into = "RawBehavior")]
#[non_exhaustive]
pub struct Behavior {
    /// On the way up.
    pub scale_up: ScalingRules,
    /// On the way down.
    pub scale_down: ScalingRules,
}

/// The rules of one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScalingRules {
    /// A change goes no further than every recommendation of this long: on the way up the lowest
    /// holds, on the way down the highest. At most an hour.
    pub stabilization_window: Duration,
    /// Which of the policies holds.
    pub select_policy: SelectPolicy,
    /// How much may change in how long; at least one.
    pub policies: Vec<ScalingPolicy>,
    /// The part of its target by which a metric may be off before it asks for a change; both ends
    /// of the band hold. Without it [`Hysteresis`](crate::Hysteresis) says where the band ends.
    pub tolerance: Option<Milli>,
}

/// Which of several policies holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum SelectPolicy {
    /// The one that allows the largest change.
    #[default]
    Max,
    /// The one that allows the smallest.
    Min,
    /// None: there is no change in this direction.
    Disabled,
}

/// How much may change within a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct ScalingPolicy {
    /// What `value` counts.
    #[serde(rename = "type")]
    pub kind: PolicyKind,
    /// How many pods, or how many percent of what there was when the period began; above 0.
    pub value: u32,
    /// How long the period is; a second to half an hour.
    #[serde(rename = "periodSeconds", with = "whole_seconds")]
    pub period: Duration,
}

/// What the value of a policy counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PolicyKind {
    /// Instances.
    Pods,
    /// Percent of the size at the beginning of the period.
    Percent,
}

impl Behavior {
    /// The longest period of any policy: what happened before it limits nothing.
    pub(crate) fn longest_period(&self) -> Duration {
        let both = self.scale_up.policies.iter().chain(&self.scale_down.policies);
        both.map(|policy| policy.period).max().unwrap_or_default()
    }

    pub(crate) fn check(&self, faults: &mut Vec<String>) {
        self.scale_up.check("behavior.scaleUp", faults);
        self.scale_down.check("behavior.scaleDown", faults);
        if self.scale_down.tolerance.is_some_and(|tolerance| tolerance.0 > 1000) {
            faults.push(
                "behavior.scaleDown.tolerance is above 1: nothing would ever ask for less; use a \
                 part such as 0.1"
                    .to_owned(),
            );
        }
    }
}

impl Default for Behavior {
    fn default() -> Self {
        Self { scale_up: ScalingRules::up(), scale_down: ScalingRules::down() }
    }
}

impl ScalingRules {
    /// What Kubernetes does on the way up when nobody says otherwise.
    pub fn up() -> Self {
        let quarter = Duration::from_secs(15);
        Self {
            stabilization_window: Duration::ZERO,
            select_policy: SelectPolicy::Max,
            policies: vec![ScalingPolicy::pods(4, quarter), ScalingPolicy::percent(100, quarter)],
            tolerance: None,
        }
    }

    /// What Kubernetes does on the way down when nobody says otherwise.
    pub fn down() -> Self {
        Self {
            stabilization_window: Duration::from_secs(300),
            select_policy: SelectPolicy::Max,
            policies: vec![ScalingPolicy::percent(100, Duration::from_secs(15))],
            tolerance: None,
        }
    }

    fn check(&self, place: &str, faults: &mut Vec<String>) {
        if self.stabilization_window > LONGEST_WINDOW {
            faults.push(format!(
                "{place}.stabilizationWindowSeconds is above 3600: use an hour at most"
            ));
        }
        let count = self.policies.len();
        if count == 0 {
            faults.push(format!(
                "{place}.policies is empty: leave it out for the defaults, or set selectPolicy to \
                 Disabled to forbid every change"
            ));
        }
        if count > MOST_POLICIES {
            faults
                .push(format!("{place}.policies has {count} entries: the most is {MOST_POLICIES}"));
        }
        for (at, policy) in self.policies.iter().enumerate() {
            if policy.value == 0 {
                faults.push(format!("{place}.policies[{at}].value is 0: it must be above 0"));
            }
            if policy.period < Duration::from_secs(1) || policy.period > LONGEST_PERIOD {
                faults.push(format!("{place}.policies[{at}].periodSeconds must be 1 to 1800"));
            }
        }
        if self.tolerance.is_some_and(|tolerance| tolerance.0 > 100_000) {
            faults.push(format!("{place}.tolerance is above 100: it is a part, such as 0.1"));
        }
    }

    /// These rules with what `raw` says.
    fn with(mut self, raw: RawRules) -> Self {
        if let Some(seconds) = raw.stabilization_window_seconds {
            self.stabilization_window = Duration::from_secs(seconds.into());
        }
        if let Some(select) = raw.select_policy {
            self.select_policy = select;
        }
        if let Some(policies) = raw.policies {
            self.policies = policies;
        }
        self.tolerance = raw.tolerance;
        self
    }
}

impl ScalingPolicy {
    /// At most `value` instances in any `period`.
    pub fn pods(value: u32, period: Duration) -> Self {
        Self { kind: PolicyKind::Pods, value, period }
    }

    /// At most `value` percent in any `period`, of what there was when it began.
    pub fn percent(value: u32, period: Duration) -> Self {
        Self { kind: PolicyKind::Percent, value, period }
    }
}

/// `behavior` as it is written: what is absent depends on the direction.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawBehavior {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale_up: Option<RawRules>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale_down: Option<RawRules>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawRules {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stabilization_window_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    select_policy: Option<SelectPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policies: Option<Vec<ScalingPolicy>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tolerance: Option<Milli>,
}

impl From<RawBehavior> for Behavior {
    fn from(raw: RawBehavior) -> Self {
        Self {
            scale_up: ScalingRules::up().with(raw.scale_up.unwrap_or_default()),
            scale_down: ScalingRules::down().with(raw.scale_down.unwrap_or_default()),
        }
    }
}

impl From<Behavior> for RawBehavior {
    fn from(behavior: Behavior) -> Self {
        Self {
            scale_up: Some(behavior.scale_up.into()),
            scale_down: Some(behavior.scale_down.into()),
        }
    }
}

impl From<ScalingRules> for RawRules {
    fn from(rules: ScalingRules) -> Self {
        let seconds = u32::try_from(rules.stabilization_window.as_secs()).unwrap_or(u32::MAX);
        Self {
            stabilization_window_seconds: Some(seconds),
            select_policy: Some(rules.select_policy),
            policies: Some(rules.policies),
            tolerance: rules.tolerance,
        }
    }
}

/// A duration as a number of seconds, as the HPA writes it.
mod whole_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Ok(Duration::from_secs(u32::deserialize(from)?.into()))
    }
}
