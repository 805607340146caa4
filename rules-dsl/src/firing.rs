//! What the engine hands out.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::explain::Seen;
use crate::intent::Intent;

/// A rule began to fire, goes on firing, or stopped, for one group of its records.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Firing {
    /// The rule.
    pub rule: Arc<str>,
    /// Begun or over.
    pub status: Status,
    /// The `by` fields and their values; a field the record lacks is `<missing>`.
    pub group: BTreeMap<String, String>,
    /// What identifies the alert: `alertname`, the group, and the rule's own labels.
    pub labels: BTreeMap<String, String>,
    /// What describes it, templates filled in.
    pub annotations: BTreeMap<String, String>,
    /// The stretch of time that this is about.
    pub episode: Episode,
    /// The episode was open already: nothing has begun, something goes on.
    pub repeat: bool,
    /// How many records this stands for; repeats within one call of the engine are told once.
    pub matched: u64,
    /// Event time of the record that caused it, or of the end.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub event_time: SystemTime,
    /// The `trace_id` of the record that caused it, so that what follows can be traced back; looked up
    /// where a rule of the set scales something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Box<str>>,
    /// What the rule asks for.
    pub intents: Vec<Intent>,
    /// Set when the rule held and nothing may be done about it; no episode was opened.
    pub withheld: Option<Withheld>,
    /// Why.
    pub explain: Explain,
}

/// Whether an episode is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// It began, or goes on.
    Firing,
    /// It is over.
    Resolved,
}

/// From the first record that made a rule fire to the end of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct Episode {
    /// The same for every firing of the episode, different for the next one; the same again when the
    /// same records are replayed. An idempotency key for whatever the firing causes.
    pub id: String,
    /// Event time of its first record.
    #[serde(serialize_with = "crate::time::rfc3339")]
    pub started: SystemTime,
}

/// Why a firing must not act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum Withheld {
    /// The record is older than [`EngineConfig::max_event_age`](crate::EngineConfig).
    #[non_exhaustive]
    TooOld {
        /// Its age when it was judged.
        #[serde(serialize_with = "crate::time::duration")]
        age: Duration,
        /// The limit.
        #[serde(serialize_with = "crate::time::duration")]
        limit: Duration,
    },
}

/// Why a firing came about, as data; `Display` is one sentence.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Explain {
    /// The sentence. Signs that would break the line or move a cursor are shown as `\u{fffd}`.
    pub text: String,
    /// Where [`cause`](Self::cause) stands in it.
    #[serde(skip)]
    pub(crate) cause: Range<usize>,
    /// The condition as written.
    pub condition: Arc<str>,
    /// The filter as written.
    #[serde(rename = "where")]
    pub scope: Option<Arc<str>>,
    /// What the fields of the condition held.
    pub values: Vec<Seen>,
    /// The line that did it, cut to 200 characters.
    pub line: Option<String>,
    /// What the window held, of a window rule.
    pub window: Option<WindowSeen>,
}

/// What a window held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WindowSeen {
    /// Records in the window.
    pub count: u64,
    /// Whether there were more than the engine keeps, so that `count` is a lower bound.
    pub at_least: bool,
    /// The length of the window.
    #[serde(serialize_with = "crate::time::duration")]
    pub over: Duration,
    /// The comparison as written: `>= 20`.
    pub needs: String,
}

impl Explain {
    /// The sentence without the line, for where the line would stand twice or take too much room.
    ///
    /// ```text
    /// rule slow_requests fired for service=shop: latency_ms (412) > 300, 3 records in 10s (needs >= 3)
    /// ```
    #[must_use]
    pub fn sentence(&self) -> &str {
        self.text.get(..self.cause.end).unwrap_or(&self.text)
    }

    /// The same without the rule's name, for a sentence of the host's own that names the rule already.
    ///
    /// ```text
    /// for service=shop: latency_ms (412) > 300, 3 records in 10s (needs >= 3)
    /// ```
    #[must_use]
    pub fn cause(&self) -> &str {
        self.text.get(self.cause.clone()).unwrap_or(&self.text)
    }
}

/// The whole sentence: [`text`](Self::text).
impl fmt::Display for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
