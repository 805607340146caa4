//! What the router made of a report.

use std::fmt;

use serde::Serialize;

use crate::{Notification, State};

/// The router's answer to one report of an alert.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use = "the notifications have to be sent, or nobody hears of the alert"]
pub struct Routed {
    /// What has to be sent.
    pub notifications: Vec<Notification>,
    /// What is shown of the alert now.
    pub state: State,
    /// What came of the report.
    pub outcome: Outcome,
    /// Why, as one sentence; also why nobody is told.
    pub reason: String,
    /// The version of configuration and health that this was decided under.
    pub version: u64,
}

/// What came of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[repr(u8)]
pub enum Outcome {
    /// Somebody is told.
    Notified,
    /// A repeat inside the de-duplication window: the alert is updated, nobody is told.
    Deduped,
    /// It goes on firing past the window: the alert is updated, and told again after `repeat_interval`.
    Ongoing,
    /// A resolve of which nobody needs to hear: nobody was told that it fires, or the receivers want no resolves.
    NothingToResolve,
    /// A resolve of an episode that is not the current one: nothing changes.
    Stale,
    /// It is routed to a receiver without endpoints: nobody is told, as configured.
    NoEndpoint,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Notified,
        Self::Deduped,
        Self::Ongoing,
        Self::NothingToResolve,
        Self::Stale,
        Self::NoEndpoint,
    ];

    /// The outcome in snake case, as in the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Notified => "notified",
            Self::Deduped => "deduped",
            Self::Ongoing => "ongoing",
            Self::NothingToResolve => "nothing_to_resolve",
            Self::Stale => "stale",
            Self::NoEndpoint => "no_endpoint",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
