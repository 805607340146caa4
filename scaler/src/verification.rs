//! What became of a decision: its legs, their evidence, and the verdict.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::decision::{Action, DecisionId};

/// What became of one decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verification {
    /// The decision.
    pub decision_id: DecisionId,
    /// Its target.
    pub target: Arc<str>,
    /// The size before.
    pub from: u32,
    /// The size that was decided.
    pub replicas: u32,
    /// Each leg, with its evidence.
    pub legs: Vec<Leg>,
    /// What follows from them.
    pub verdict: Verdict,
    /// When the verdict was reached.
    #[serde(with = "crate::timestamp::serde")]
    pub at: SystemTime,
}

/// One leg of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Leg {
    /// Which.
    pub name: LegName,
    /// Whether it held by its deadline.
    pub ok: bool,
    /// Whether what was seen says otherwise, instead of only too little.
    #[serde(default)]
    pub contradicted: bool,
    /// Since when it holds, if it does.
    #[serde(with = "crate::timestamp::serde::option")]
    pub at: Option<SystemTime>,
    /// Its deadline.
    #[serde(with = "crate::timestamp::serde::option", default)]
    pub until: Option<SystemTime>,
    /// What was seen, as a sentence.
    pub evidence: String,
}

/// Which leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LegName {
    /// The reading that drove the change was measured shortly before.
    Metric,
    /// The alert behind the change was told to somebody.
    Alert,
    /// The platform reports the size as asked for and ready.
    PlatformReady,
    /// The counter of scaling actions moved.
    Counter,
    /// As many distinct instances as decided showed themselves in the workload's log.
    Instances,
    /// After a scale-in: nobody else did, for a quiet period after the drain.
    Silence,
    /// The configured text showed in the log.
    Text,
}

impl LegName {
    /// As in log lines: `platform_ready`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metric => "metric",
            Self::Alert => "alert",
            Self::PlatformReady => "platform_ready",
            Self::Counter => "counter",
            Self::Instances => "instances",
            Self::Silence => "silence",
            Self::Text => "text",
        }
    }
}

/// The outcome of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Every leg holds.
    Verified,
    /// The platform says that it is done, and a leg beside that lacks its evidence; the first of
    /// them.
    Partial {
        /// The leg.
        leg: LegName,
        /// What was missing.
        why: String,
    },
    /// Something says that it did not happen: the platform has another size, an instance that
    /// should be gone goes on speaking, the target refused.
    Failed {
        /// The leg.
        leg: LegName,
        /// What was seen.
        why: String,
    },
    /// The deadline passed before the platform said that it is done, and nothing says that it will
    /// not be.
    TimedOut {
        /// The leg.
        leg: LegName,
        /// What was missing.
        why: String,
    },
    /// A newer decision for the same target came before the verdict.
    Superseded {
        /// The newer one.
        by: DecisionId,
    },
    /// It could not be followed: too many targets at once.
    Unchecked {
        /// What was full.
        why: String,
    },
}

impl Verdict {
    /// As in metrics and log lines: `verified`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Partial { .. } => "partial",
            Self::Failed { .. } => "failed",
            Self::TimedOut { .. } => "timed_out",
            Self::Superseded { .. } => "superseded",
            Self::Unchecked { .. } => "unchecked",
        }
    }

    /// The leg that decided it, if one did.
    pub fn leg(&self) -> Option<LegName> {
        match self {
            Self::Partial { leg, .. } | Self::Failed { leg, .. } | Self::TimedOut { leg, .. } => {
                Some(*leg)
            }
            _ => None,
        }
    }
}

impl Verification {
    /// Which way it went.
    pub fn action(&self) -> Action {
        if self.replicas > self.from { Action::ScaleUp } else { Action::ScaleDown }
    }

    /// Whether somebody should look: the change failed, timed out, or is proven in part only.
    pub fn is_alarming(&self) -> bool {
        self.verdict.leg().is_some()
    }

    /// Whether it ends the alarm of an earlier one for the same target.
    pub fn is_all_clear(&self) -> bool {
        self.verdict == Verdict::Verified
    }

    /// The labels of the alert that a host raises when it [is alarming](Self::is_alarming), and
    /// resolves when one is an [all-clear](Self::is_all_clear): the same for each of its target.
    pub fn labels(&self) -> [(&'static str, String); 3] {
        [
            ("alertname", "ScalingNotVerified".to_owned()),
            ("scale_target", self.target.to_string()),
            ("severity", "warning".to_owned()),
        ]
    }

    /// What that alert has to tell.
    pub fn annotations(&self) -> [(&'static str, String); 4] {
        [
            ("summary", self.to_string()),
            ("verdict", self.verdict.as_str().to_owned()),
            ("leg", self.verdict.leg().map_or("", LegName::as_str).to_owned()),
            ("decision_id", self.decision_id.to_string()),
        ]
    }
}

impl fmt::Display for Verification {
    /// `verified workers 1 → 3: platform_ready ok (…), counter ok (…), instances ok (…)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, from, replicas, verdict, .. } = self;
        write!(f, "{} {target} {from} → {replicas}", verdict.as_str())?;
        match verdict {
            Verdict::Superseded { by } => write!(f, " by {by}")?,
            Verdict::Unchecked { why } => write!(f, ": {why}")?,
            Verdict::Partial { leg, why }
            | Verdict::Failed { leg, why }
            | Verdict::TimedOut { leg, why } => write!(f, " at {}: {why}", leg.as_str())?,
            Verdict::Verified => {}
        }
        for (at, leg) in self.legs.iter().enumerate() {
            let start = if at == 0 { "; legs: " } else { ", " };
            let mark = if leg.ok { "ok" } else { "open" };
            write!(f, "{start}{} {mark} ({})", leg.name.as_str(), leg.evidence)?;
        }
        Ok(())
    }
}
