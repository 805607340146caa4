//! What somebody asked for, by name and once.

mod memory;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use self::memory::IntentMemory;

/// Somebody asks for a change: a rule that fired, or a person.
///
/// An intent skips the windows that are about metrics, the condition window and the stabilization
/// window, and nothing else: bounds, step, rate policies, lock-out, brake, and the veto of an Unknown
/// signal or a guard on a scale-down hold for it too. It is idempotent by `id`: once it
/// has been carried out, the same id asks for nothing more. One that was refused is not queued; it
/// may ask again, as a rule does with each further match of an open episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct ScaleIntent {
    /// What makes it one and the same ask: rule, group and episode.
    pub id: String,
    /// What is asked for.
    pub change: Change,
    /// Who asks, for the explanation: `rule slow`. The id where it is left empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub asked_by: String,
    /// Why, as a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The trace that led to it, handed on to the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// What an intent asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// So many more, or fewer when negative.
    By(i32),
    /// Exactly so many.
    To(u32),
}

impl ScaleIntent {
    /// An ask with an id that stays the same when it is repeated.
    pub fn new(id: impl Into<String>, change: Change) -> Self {
        Self {
            id: id.into(),
            change,
            asked_by: String::new(),
            reason: String::new(),
            trace_id: None,
        }
    }

    /// Says who asks.
    #[must_use]
    pub fn asked_by(mut self, who: impl Into<String>) -> Self {
        self.asked_by = who.into();
        self
    }

    /// Says why.
    #[must_use]
    pub fn reason(mut self, why: impl Into<String>) -> Self {
        self.reason = why.into();
        self
    }

    /// Carries the trace on.
    #[must_use]
    pub fn trace_id(mut self, trace: impl Into<String>) -> Self {
        self.trace_id = Some(trace.into());
        self
    }
}

impl Change {
    /// The size that it asks for, coming from `from`; never below zero.
    pub fn apply(self, from: u32) -> u32 {
        match self {
            Self::By(by) => from.saturating_add_signed(by),
            Self::To(to) => to,
        }
    }
}

impl Change {
    /// Some order, the same everywhere.
    pub(crate) fn rank(self) -> (bool, i64) {
        match self {
            Self::By(by) => (false, by.into()),
            Self::To(to) => (true, to.into()),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By(by) => write!(f, "{by:+}"),
            Self::To(to) => write!(f, "{to}"),
        }
    }
}
