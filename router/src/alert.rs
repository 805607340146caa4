//! Alerts: what comes in.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::{Fingerprint, Labels, time};

/// Something is wrong, or is over.
///
/// The labels (together with [`receiver`](Self::receiver)) say *which* alert it is, everything else may change from
/// one report to the next. An alert with [`ends_at`](Self::ends_at) in the past is resolved.
///
/// ```
/// use std::time::SystemTime;
/// use birl_router::{Alert, Status};
///
/// let now = SystemTime::UNIX_EPOCH;
/// let alert = Alert::firing([("alertname", "HighLatency"), ("service", "api")], now)
///     .annotation("summary", "p99 is 840 ms");
/// assert_eq!(alert.status(now), Status::Firing);
/// assert_eq!(alert.resolved(now).status(now), Status::Resolved);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Alert {
    /// What it is known by.
    pub labels: Labels,
    /// What a person should read. No part of the identity.
    #[serde(default)]
    pub annotations: Labels,
    /// When it began.
    #[serde(with = "time::rfc3339")]
    pub starts_at: SystemTime,
    /// When it ended, or, in the future, until when it holds unless reported again. `None`: until it is resolved, or
    /// until [`resolve_timeout`](crate::GlobalConfig::resolve_timeout) passes without a report, where one is set.
    #[serde(default, with = "time::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<SystemTime>,
    /// A link to what raised it; may be empty.
    #[serde(default, rename = "generatorURL")]
    pub generator_url: Box<str>,
    /// A receiver named by the rule: it is told, whatever the route tree says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiver: Option<Box<str>>,
    /// Which occurrence this is. A report with another episode is a new alert to tell, never a duplicate; a resolve of
    /// another episode than the one that is firing is stale and changes nothing. Empty: the router tells occurrences
    /// apart by `starts_at`.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub episode: Box<str>,
    /// Why it was raised, as one sentence; may be empty.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub reason: Box<str>,
}

/// Does it fire, or is it over?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// It goes on.
    Firing,
    /// It is over.
    Resolved,
}

impl Alert {
    /// An alert that began at `starts_at` and goes on.
    pub fn firing(labels: impl Into<Labels>, starts_at: SystemTime) -> Self {
        Self {
            labels: labels.into(),
            annotations: Labels::new(),
            starts_at,
            ends_at: None,
            generator_url: Box::default(),
            receiver: None,
            episode: Box::default(),
            reason: Box::default(),
        }
    }

    /// The same alert, over since `at`.
    #[must_use]
    pub fn resolved(mut self, at: SystemTime) -> Self {
        self.ends_at = Some(at);
        self
    }

    /// Adds an annotation; an empty value is dropped.
    #[must_use]
    pub fn annotation(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let mut map: BTreeMap<String, String> =
            self.annotations.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        map.insert(name.into(), value.into());
        self.annotations(map)
    }

    /// Sets all annotations.
    #[must_use]
    pub fn annotations(mut self, annotations: impl Into<Labels>) -> Self {
        self.annotations = annotations.into();
        self
    }

    /// Sets the link to what raised it.
    #[must_use]
    pub fn generator_url(mut self, url: impl Into<String>) -> Self {
        self.generator_url = url.into().into_boxed_str();
        self
    }

    /// Names the receiver, past the route tree.
    #[must_use]
    pub fn receiver(mut self, name: impl Into<String>) -> Self {
        self.receiver = Some(name.into().into_boxed_str());
        self
    }

    /// Names the occurrence.
    #[must_use]
    pub fn episode(mut self, episode: impl Into<String>) -> Self {
        self.episode = episode.into().into_boxed_str();
        self
    }

    /// Says why.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into().into_boxed_str();
        self
    }

    /// Firing or resolved, as of `now`.
    pub fn status(&self, now: SystemTime) -> Status {
        match self.ends_at {
            Some(end) if end <= now => Status::Resolved,
            _ => Status::Firing,
        }
    }

    /// Alertmanager's fingerprint of the labels.
    pub fn fingerprint(&self) -> Fingerprint {
        self.labels.fingerprint()
    }
}

impl Status {
    /// `firing` or `resolved`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
