//! The bounds of silences.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration;

/// The bounds of a [`Silences`](crate::Silences).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SilenceLimits {
    /// Silences that are kept, expired ones among them. When they are so many, the one that has been expired the longest
    /// makes room; when none is expired, a new one is refused. Default 50,000.
    pub max_silences: usize,
    /// Bytes of all texts of one silence. Default 16 KiB.
    pub max_silence_bytes: usize,
    /// Matchers of one silence. Default 100.
    pub max_matchers: usize,
    /// How long an expired silence is kept to be looked at. Default 120h.
    #[serde(with = "duration")]
    pub retention: Duration,
    /// How long a silence "until resolved" waits for the first firing alert that it hits. Default 24h.
    #[serde(with = "duration")]
    pub until_resolved_wait: Duration,
}

impl Default for SilenceLimits {
    fn default() -> Self {
        Self {
            max_silences: 50_000,
            max_silence_bytes: 16 * 1024,
            max_matchers: 100,
            retention: Duration::from_secs(120 * 3600),
            until_resolved_wait: Duration::from_secs(24 * 3600),
        }
    }
}
