//! The log of decisions: what was seen, what was decided, what became of it; append-only.

mod disk;
mod file;
mod heard;
mod holds;
mod line;
mod queue;
mod read;
mod recorder;
mod replay;
mod weight;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::decider::Decider;
use crate::decision::{Decision, DecisionId};
use crate::error::Error;
use crate::signal::Observation;
use crate::spec::ScalerSpec;
use crate::state::DeciderState;
use crate::verification::Verification;

pub use self::file::{FileDecisionLog, FileLogOptions, Fsync};
pub use self::line::DecisionLine;
pub use self::read::{DecisionLogReader, last_state};
pub use self::recorder::{DecisionRecorder, RecorderOptions, RecorderStats};
pub use self::replay::{Replay, Replayed};

/// One entry of the log of decisions.
///
/// An entry stands by itself: the decider's memory is in each one that changed it, so that a
/// restart goes on from the newest alone, and [`Replay`] can make each decision again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum DecisionEntry {
    /// Something was decided.
    Decided(Box<DecisionRecord>),
    /// A change was carried out, or it was not.
    Applied(Box<AppliedRecord>),
    /// A change was followed up.
    Verified(Box<Verification>),
}

/// A decision with everything that it follows from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DecisionRecord {
    /// What was decided.
    pub decision: Decision,
    /// What it was decided by.
    pub spec: ScalerSpec,
    /// What was seen: every input, with its time. Of many intents that a decision did not carry
    /// out, those that mattered.
    pub seen: Observation,
    /// What the decider remembers after it.
    pub state: DeciderState,
    /// What it remembered before it, if the log does not tell: holds before it were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<DeciderState>>,
    /// What is not kept.
    #[serde(default, skip_serializing_if = "LeftOut::is_nothing")]
    pub left_out: LeftOut,
}

/// How much there was beside what an entry has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LeftOut {
    /// Decisions just before this one: holds as one that is kept.
    pub holds: u64,
    /// Intents of `seen` that had been carried out before, as the one that is kept.
    pub repeats: u32,
    /// Intents of `seen` that others spoke for.
    pub unheard: u32,
}

impl LeftOut {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AppliedRecord {
    /// The target that was to change.
    pub target: Arc<str>,
    /// The decision behind it.
    pub decision: DecisionId,
    /// When it was reported.
    #[serde(with = "crate::timestamp::serde")]
    pub at: SystemTime,
    /// Why it was not carried out, if it was not.
    pub error: Option<String>,
    /// What the decider remembers after it.
    pub state: DeciderState,
}

impl DecisionEntry {
    /// What `decider` has just decided, from what was `seen`.
    pub fn decided(decider: &Decider, seen: &Observation, decision: &Decision) -> Self {
        let (seen, left_out) = heard::kept(decider, seen, decision);
        Self::Decided(Box::new(DecisionRecord {
            decision: decision.clone(),
            spec: decider.spec().clone(),
            seen,
            state: decider.state().clone(),
            before: None,
            left_out,
        }))
    }

    /// What `decider` was just told of a change, by [`Decider::applied`].
    pub fn applied(
        decider: &Decider,
        decision: &Decision,
        outcome: Result<(), &str>,
        now: SystemTime,
    ) -> Self {
        Self::Applied(Box::new(AppliedRecord {
            target: Arc::clone(&decision.target),
            decision: decision.id,
            at: now,
            error: outcome.err().map(str::to_owned),
            state: decider.state().clone(),
        }))
    }

    /// What became of a change in the end.
    pub fn verified(verification: &Verification) -> Self {
        Self::Verified(Box::new(verification.clone()))
    }

    /// Whose decision it is about.
    pub fn target(&self) -> &Arc<str> {
        match self {
            Self::Decided(record) => &record.decision.target,
            Self::Applied(record) => &record.target,
            Self::Verified(verification) => &verification.target,
        }
    }

    /// Which decision it is about.
    pub fn decision_id(&self) -> DecisionId {
        match self {
            Self::Decided(record) => record.decision.id,
            Self::Applied(record) => record.decision,
            Self::Verified(verification) => verification.decision_id,
        }
    }

    /// `decided`, `applied` or `verified`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Decided(_) => "decided",
            Self::Applied(_) => "applied",
            Self::Verified(_) => "verified",
        }
    }

    /// What the decider remembers after it, where it changed that.
    pub fn state(&self) -> Option<&DeciderState> {
        match self {
            Self::Decided(record) => Some(&record.state),
            Self::Applied(record) => Some(&record.state),
            Self::Verified(_) => None,
        }
    }
}

/// Reads a line of another medium than files.
#[cfg(feature = "etcd")]
pub(crate) fn decode_line(line: &[u8]) -> Result<DecisionEntry, String> {
    line::decode(line).map_err(|bad| bad.to_string())
}

/// Where entries are kept: a folder ([`FileDecisionLog`]), etcd, or your own.
///
/// It blocks for as long as its medium takes. [`DecisionRecorder`] gives it a thread of its own,
/// and a bounded memory for the time that it cannot write.
pub trait DecisionLog: fmt::Debug + Send {
    /// Appends a batch, in its order. When this returns, all of it is kept.
    ///
    /// # Errors
    ///
    /// When not all of it could be kept. The same batch may then be given again, also with more
    /// behind it: nothing is kept twice for it.
    fn append(&mut self, batch: &[DecisionLine]) -> Result<(), Error>;
}

impl<T: DecisionLog + ?Sized> DecisionLog for Box<T> {
    fn append(&mut self, batch: &[DecisionLine]) -> Result<(), Error> {
        (**self).append(batch)
    }
}
