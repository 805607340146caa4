//! What one metric says: its reading, its band, and the replicas that follow.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::metric::Unit;
use crate::milli::Milli;
use crate::source::FaultKind;

/// What one metric says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Proposal {
    /// Its name.
    pub metric: Arc<str>,
    /// What its numbers mean.
    pub unit: Unit,
    /// What its average should be.
    pub target: Milli,
    /// Below this it asks for less.
    pub low: Milli,
    /// At this and above it asks for more.
    pub high: Milli,
    /// How its instances were judged; all zero for a number about the target as a whole.
    #[serde(default)]
    pub tally: Tally,
    /// Why the last attempt to measure it failed, if it did: the reading is then that of an earlier
    /// one, and forbids to scale down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultKind>,
    /// What was measured.
    pub reading: Reading,
}

/// How the instances were judged for one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Tally {
    /// Those whose samples count.
    pub told: u32,
    /// Those that should have a sample and have none.
    pub missing: u32,
    /// Those whose samples would mean nothing: not ready, not placed, still starting.
    pub unready: u32,
    /// Those that have ended or are being deleted.
    pub ignored: u32,
}

/// What was measured, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reading {
    /// There is a value.
    Known {
        /// The average of the instances that told; of a number about the target as a whole, that
        /// number, or the share of each replica.
        value: Milli,
        /// The average with those that did not filled in; it is what was judged.
        weighed: Milli,
        /// How many were filled in.
        filled: u32,
        /// Where it lies.
        band: Band,
        /// How many replicas the formula gives.
        replicas: u32,
    },
    /// There is none.
    Unknown {
        /// Why not.
        why: Unknown,
    },
}

/// Where a value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    /// Under the lower edge.
    Below,
    /// Between the edges, the lower one included.
    Inside,
    /// At the upper edge or over it.
    Above,
}

/// Why a signal is Unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unknown {
    /// No signal has the metric's name.
    Absent,
    /// Several signals have it.
    Ambiguous,
    /// It holds no usable sample of a ready instance.
    Empty,
    /// It is a sum, and one of its parts has no value.
    Partial,
    /// Some instances tell what they asked for and others do not, or all asked for nothing.
    NoRequest,
    /// It could not be measured, and what was measured before is too old or nothing.
    Failed(FaultKind),
    /// It is older than its `max_age`.
    Stale,
    /// It lies further ahead than its `max_age`: a clock is wrong.
    FromTheFuture,
    /// No instance is ready, so that there is nothing to multiply.
    NoneReady,
}
