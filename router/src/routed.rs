//! What the router made of a report.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::life::spoken;
use crate::{Notification, State, duration};

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
    pub reason: Reason,
    /// The version of configuration and health that this was decided under.
    pub version: u64,
}

/// Why something was decided. It is written when it is shown: most reports are repeats, and nobody reads of those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(Text);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Text {
    Written(String),
    /// A repeat after so long, inside a window of so long.
    Repeat(Duration, Duration),
}

impl Reason {
    pub(crate) fn repeat(age: Duration, window: Duration) -> Self {
        Self(Text::Repeat(age, window))
    }

    pub(crate) fn add(&mut self, more: &str) {
        *self = Self::from(format!("{self}{more}"));
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self(Text::Written(text))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Text::Written(text) => f.write_str(text),
            Text::Repeat(age, window) => {
                let window = duration::format(*window);
                write!(f, "a repeat after {}, inside the window of {window}", spoken(*age))
            }
        }
    }
}

impl PartialEq<str> for Reason {
    fn eq(&self, other: &str) -> bool {
        match &self.0 {
            Text::Written(text) => text == other,
            Text::Repeat(..) => format!("{self}") == other,
        }
    }
}

impl PartialEq<&str> for Reason {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What came of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[repr(u8)]
pub enum Outcome {
    /// Somebody is told.
    Notified,
    /// Somebody is told later, together with the rest of its group.
    Grouped,
    /// It is silenced, inhibited, muted by a time interval, or held back by a rate limit: the alert is updated.
    Muted,
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
    pub const ALL: [Self; 8] = [
        Self::Notified,
        Self::Grouped,
        Self::Muted,
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
            Self::Grouped => "grouped",
            Self::Muted => "muted",
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
