//! What was decided and everything that led to it, as data; [`explain`](Decision::explain) makes
//! it a sentence.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::intent::Change;
use crate::milli::Milli;
use crate::proposal::{Proposal, Unknown};

/// One decision about one target: also a hold is one, with its reason.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Decision {
    /// Unique for its target; grows with time.
    pub id: DecisionId,
    /// Whose size it is about.
    pub target: Arc<str>,
    /// What to do.
    pub action: Action,
    /// The size that was asked for before.
    pub from: u32,
    /// The size that should be asked for now; equal to `from` on a hold.
    pub to: u32,
    /// What settled it.
    pub reason: Reason,
    /// What drives the change, or would have.
    pub trigger: Option<Trigger>,
    /// What each metric says.
    pub proposals: Vec<Proposal>,
    /// What changed the outcome on its way, in the order it was met.
    pub limits: Vec<Limit>,
    /// When it was decided.
    #[serde(with = "crate::timestamp::serde")]
    pub at: SystemTime,
    /// The trace that led to it, if an intent carried one.
    pub trace_id: Option<String>,
}

impl Decision {
    /// Whether there is something to apply.
    pub fn is_change(&self) -> bool {
        self.action != Action::Hold
    }
}

/// Names a decision: milliseconds since 1970 and a counter, `1795420800000-7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId {
    at_millis: u64,
    count: u64,
}

impl DecisionId {
    pub(crate) fn new(at_millis: u64, count: u64) -> Self {
        Self { at_millis, count }
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at_millis, self.count)
    }
}

impl Serialize for DecisionId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DecisionId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let parts = text.split_once('-').and_then(|(at, count)| {
            Some(Self { at_millis: at.parse().ok()?, count: count.parse().ok()? })
        });
        parts.ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a decision id")))
    }
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Ask for more.
    ScaleUp,
    /// Ask for less.
    ScaleDown,
    /// Leave it as it is.
    Hold,
}

impl Action {
    /// As in metrics and log lines: `scale_up`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScaleUp => "scale_up",
            Self::ScaleDown => "scale_down",
            Self::Hold => "hold",
        }
    }
}

/// What settled a decision, in one word fit for a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// A metric asked for the change through its whole condition window.
    Metric,
    /// An intent asked for the change.
    Intent,
    /// The present size is outside min and max.
    OutOfBounds,
    /// Every metric is inside its band, or its formula gives the present size.
    Steady,
    /// A metric asks, but not for long enough yet.
    ConditionWindow,
    /// Min, max or step leave nothing of the change.
    Bounds,
    /// Too soon after the last applied change.
    LockOut,
    /// Too many changes in the last hour.
    Brake,
    /// The kill switch is set.
    KillSwitch,
    /// Not enough is known to do what was asked, or anything.
    UnknownSignal,
    /// A metric asks for more while an intent asks for less.
    Contradiction,
    /// What the intents ask for has been decided already.
    DuplicateIntent,
    /// The target has been set to zero replicas by hand.
    Paused,
    /// There is no metric, and nobody asks for anything.
    Idle,
}

impl Reason {
    /// As in metrics and log lines: `condition_window`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metric => "metric",
            Self::Intent => "intent",
            Self::OutOfBounds => "out_of_bounds",
            Self::Steady => "steady",
            Self::ConditionWindow => "condition_window",
            Self::Bounds => "bounds",
            Self::LockOut => "lock_out",
            Self::Brake => "brake",
            Self::KillSwitch => "kill_switch",
            Self::UnknownSignal => "unknown_signal",
            Self::Contradiction => "contradiction",
            Self::DuplicateIntent => "duplicate_intent",
            Self::Paused => "paused",
            Self::Idle => "idle",
        }
    }
}

/// What drives a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trigger {
    /// A metric.
    Metric {
        /// Its name.
        metric: Arc<str>,
        /// What it measured, averaged over the instances.
        value: Milli,
        /// What it should be.
        target: Milli,
    },
    /// An intent.
    Intent {
        /// Its id.
        id: String,
        /// Who asked.
        asked_by: String,
        /// What for.
        change: Change,
        /// Why.
        reason: String,
    },
    /// The present size is outside these bounds.
    Bounds {
        /// The fewest.
        min: u32,
        /// The most.
        max: u32,
    },
}

impl Trigger {
    /// The `trigger_metric` of a log line: the metric, who asked, or `replicas`.
    pub fn name(&self) -> &str {
        match self {
            Self::Metric { metric, .. } => metric,
            Self::Intent { asked_by, .. } => asked_by,
            Self::Bounds { .. } => "replicas",
        }
    }

    /// The `trigger_value` of a log line: the measured value, the change asked for, the bounds.
    pub fn value(&self) -> String {
        match self {
            Self::Metric { value, .. } => value.to_string(),
            Self::Intent { change, .. } => change.to_string(),
            Self::Bounds { min, max } => format!("{min}..{max}"),
        }
    }
}

/// What changed an outcome on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "limit", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Limit {
    /// The fewest replicas there may be.
    Min {
        /// How many were wanted.
        wanted: u32,
        /// The bound.
        min: u32,
    },
    /// The most replicas there may be.
    Max {
        /// How many were wanted.
        wanted: u32,
        /// The bound.
        max: u32,
    },
    /// The largest single change.
    Step {
        /// How many were wanted.
        wanted: u32,
        /// How many more or fewer are allowed at once.
        step: u32,
    },
    /// A condition has not held for long enough.
    ConditionWindow {
        /// In which direction it asks.
        action: Action,
        /// Since when it holds.
        #[serde(with = "crate::timestamp::serde")]
        since: SystemTime,
        /// When it will have held for long enough.
        #[serde(with = "crate::timestamp::serde")]
        until: SystemTime,
    },
    /// Too soon after the last applied change.
    LockOut {
        /// When it ends.
        #[serde(with = "crate::timestamp::serde")]
        until: SystemTime,
    },
    /// Too many changes in the last hour.
    Brake {
        /// How many are allowed.
        max_actions_per_hour: u32,
        /// When the next one is free.
        #[serde(with = "crate::timestamp::serde")]
        until: SystemTime,
        /// Whether it is the brake shared with other targets.
        global: bool,
    },
    /// The kill switch is set.
    KillSwitch {
        /// Whether it is the one shared with other targets.
        global: bool,
    },
    /// A signal is Unknown, which forbids a scale-down.
    UnknownSignal {
        /// The metric without a value; the first in the order of the specification.
        metric: Arc<str>,
        /// Why.
        why: Unknown,
    },
    /// A metric asks for more while an intent asks for less.
    Contradiction {
        /// The metric.
        metric: Arc<str>,
    },
    /// Intents with these ids have been decided on before.
    DuplicateIntent {
        /// How many.
        count: u32,
        /// The smallest of the ids.
        id: String,
    },
}

impl Serialize for Decision {
    /// All the fields, and `explain`: the sentence, for those who read the record by eye.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Record<'a> {
            id: DecisionId,
            target: &'a str,
            action: Action,
            from: u32,
            to: u32,
            reason: Reason,
            trigger: &'a Option<Trigger>,
            proposals: &'a [Proposal],
            limits: &'a [Limit],
            #[serde(with = "crate::timestamp::serde")]
            at: SystemTime,
            trace_id: &'a Option<String>,
            explain: String,
        }
        let record = Record {
            id: self.id,
            target: &self.target,
            action: self.action,
            from: self.from,
            to: self.to,
            reason: self.reason,
            trigger: &self.trigger,
            proposals: &self.proposals,
            limits: &self.limits,
            at: self.at,
            trace_id: &self.trace_id,
            explain: self.explain(),
        };
        record.serialize(to)
    }
}
