//! What was decided and everything that led to it, as data; [`explain`](Decision::explain) makes
//! it a sentence.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::guard::GuardReading;
use crate::intent::Change;
pub use crate::limit::Limit;
use crate::milli::Milli;
use crate::proposal::Proposal;

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
    /// What each guard says.
    #[serde(default)]
    pub guards: Vec<GuardReading>,
    /// What changed the outcome on its way, in the order it was met.
    pub limits: Vec<Limit>,
    /// When it was decided.
    #[serde(with = "crate::timestamp::serde")]
    pub at: SystemTime,
    /// The trace that led to it, if an intent carried one.
    pub trace_id: Option<String>,
    /// Whether it only says what would be done ([`Mode::Preview`](crate::Mode::Preview)).
    #[serde(default)]
    pub preview: bool,
}

impl Decision {
    /// Whether there is something to apply. Never in a preview.
    pub fn is_change(&self) -> bool {
        self.action != Action::Hold && !self.preview
    }

    /// What a person should be told of: somebody asked for more changes than the brake lets pass.
    /// That is a runaway, or a forged log.
    pub fn alarm(&self) -> Option<&Limit> {
        self.limits.iter().find(|limit| matches!(limit, Limit::Brake { .. }))
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

    /// How many decisions of its target there had been, this one among them.
    pub(crate) fn count(self) -> u64 {
        self.count
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
    /// A guard is breached: it asks for the change, or forbids one.
    Guard,
    /// The metrics ask for far more than there is, and are heeded at once; or it is not long enough
    /// ago that they did to scale down.
    Panic,
    /// Nothing has been known for so long that the fallback is due.
    Fallback,
    /// Recent recommendations of the metrics leave nothing of the change.
    Stabilization,
    /// Min, max or step leave nothing of the change.
    Bounds,
    /// The rate policies leave nothing of the change.
    RateLimit,
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
    /// The target has been set to zero replicas by hand, or its specification pauses it.
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
            Self::Guard => "guard",
            Self::Panic => "panic",
            Self::Fallback => "fallback",
            Self::Stabilization => "stabilization",
            Self::Bounds => "bounds",
            Self::RateLimit => "rate_limit",
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
    /// A guard.
    Guard {
        /// The signal's name.
        signal: Arc<str>,
        /// The value that it must not pass.
        limit: Milli,
    },
    /// Every metric has been Unknown.
    Fallback {
        /// Since when.
        #[serde(with = "crate::timestamp::serde")]
        since: SystemTime,
        /// The size that is run then.
        replicas: u32,
    },
    /// The specification pauses the target.
    Paused {
        /// The size that it is paused at; absent: as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replicas: Option<u32>,
    },
}

impl Trigger {
    /// The `trigger_metric` of a log line: the metric, who asked, or `replicas`.
    pub fn name(&self) -> &str {
        match self {
            Self::Metric { metric, .. } => metric,
            Self::Intent { asked_by, .. } => asked_by,
            Self::Guard { signal, .. } => signal,
            Self::Fallback { .. } => "fallback",
            Self::Bounds { .. } | Self::Paused { .. } => "replicas",
        }
    }

    /// The `trigger_value` of a log line: the measured value, the change asked for, the bounds.
    pub fn value(&self) -> String {
        match self {
            Self::Metric { value, .. } => value.to_string(),
            Self::Intent { change, .. } => change.to_string(),
            Self::Bounds { min, max } => format!("{min}..{max}"),
            Self::Guard { limit, .. } => limit.to_string(),
            Self::Fallback { replicas, .. } => replicas.to_string(),
            Self::Paused { replicas } => {
                replicas.map(|replicas| replicas.to_string()).unwrap_or_default()
            }
        }
    }
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
            #[serde(skip_serializing_if = "<[GuardReading]>::is_empty")]
            guards: &'a [GuardReading],
            limits: &'a [Limit],
            #[serde(with = "crate::timestamp::serde")]
            at: SystemTime,
            trace_id: &'a Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            preview: Option<bool>,
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
            guards: &self.guards,
            limits: &self.limits,
            at: self.at,
            trace_id: &self.trace_id,
            preview: self.preview.then_some(true),
            explain: self.explain(),
        };
        record.serialize(to)
    }
}
