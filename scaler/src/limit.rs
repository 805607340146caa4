//! What stood between a wish and its decision, one kind at a time.

use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::behavior::ScalingPolicy;
use crate::decision::Action;
use crate::guard::GuardReading;
use crate::proposal::Unknown;

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
    /// Not every recommendation of the stabilization window agrees.
    Stabilization {
        /// In which direction it was wanted.
        action: Action,
        /// How many were wanted.
        wanted: u32,
        /// How far all of them agree.
        held: u32,
        /// When the one that goes least far leaves the window.
        #[serde(with = "crate::timestamp::serde")]
        until: SystemTime,
    },
    /// The rate policies of a direction.
    Rate {
        /// In which direction it was wanted.
        action: Action,
        /// How many were wanted.
        wanted: u32,
        /// How many there may be now.
        allowed: u32,
        /// The policy that says so; none where the direction is disabled.
        policy: Option<ScalingPolicy>,
    },
    /// A guard is breached, about to be, or Unknown, which forbids a scale-down.
    Guard {
        /// What it says.
        reading: GuardReading,
    },
    /// It is not long enough ago that the metrics asked for far more than there was.
    Panic {
        /// When it will be.
        #[serde(with = "crate::timestamp::serde")]
        until: SystemTime,
    },
    /// A schedule has set the bounds.
    Schedule {
        /// Its name.
        name: Arc<str>,
        /// The fewest.
        min: u32,
        /// The most.
        max: u32,
    },
    /// The specification pauses this direction.
    Paused {
        /// Which.
        action: Action,
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

impl Limit {
    /// What kind it is, in one word fit for a metric's label: `condition_window`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Min { .. } => "min",
            Self::Max { .. } => "max",
            Self::Step { .. } => "step",
            Self::ConditionWindow { .. } => "condition_window",
            Self::LockOut { .. } => "lock_out",
            Self::Brake { .. } => "brake",
            Self::KillSwitch { .. } => "kill_switch",
            Self::Stabilization { .. } => "stabilization",
            Self::Rate { .. } => "rate",
            Self::Guard { .. } => "guard",
            Self::Panic { .. } => "panic",
            Self::Schedule { .. } => "schedule",
            Self::Paused { .. } => "paused",
            Self::UnknownSignal { .. } => "unknown_signal",
            Self::Contradiction { .. } => "contradiction",
            Self::DuplicateIntent { .. } => "duplicate_intent",
        }
    }
}
