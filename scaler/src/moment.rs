//! What was seen, and when: the line of a file that decisions can be made from.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::signal::Observation;

/// An observation with its time, as in
/// `{"at":"2026-11-23T08:00:00Z","seen":{"current":{"desired":3,"ready":3},"signals":[…]}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Moment {
    /// When it was seen, in RFC 3339.
    #[serde(with = "crate::timestamp::serde")]
    pub at: SystemTime,
    /// What was seen.
    pub seen: Observation,
}

impl Moment {
    /// What was seen at `at`.
    pub fn new(seen: Observation, at: SystemTime) -> Self {
        Self { at, seen }
    }
}
