//! A decision in the words of an HPA's status, for those who have dashboards and alerts on them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::decision::{Action, Decision, Limit, Reason};
use crate::guard::GuardReading;
use crate::proposal::{Proposal, Reading};

/// One line of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: ConditionKind,
    /// Whether it holds.
    pub status: bool,
    /// Why, in one word. The HPA's where it has one.
    pub reason: &'static str,
}

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ConditionKind {
    /// Whether a change could be carried out now.
    AbleToScale,
    /// Whether the metrics say something, and are listened to.
    ScalingActive,
    /// Whether a bound or a rate cut off what was wanted.
    ScalingLimited,
    /// Whether every signal had a value. It is apart from `ScalingActive`, which one lost sample
    /// among several does not change.
    SignalHealthy,
}

impl Decision {
    /// The conditions that follow, in the order of [`ConditionKind`].
    ///
    /// `AbleToScale`: `SucceededRescale` (decided, that is), `ReadyForNewScale`,
    /// `ScaleUpStabilized`, `ScaleDownStabilized`; false with `BackoffUpscale`,
    /// `BackoffDownscale` (condition window, panic), `BackoffBoth` (lock-out), `Brake`,
    /// `KillSwitch`, `Paused`.
    /// `ScalingActive`: `ValidMetricFound`, `NoMetrics`; false with `FailedGetMetric`,
    /// `ScalingDisabled`. `ScalingLimited`: `TooFewReplicas`, `TooManyReplicas`, `ScaleUpLimit`,
    /// `ScaleDownLimit`; false with `DesiredWithinRange`. `SignalHealthy`: `AllSignalsKnown`; false
    /// with `SignalUnknown`.
    pub fn conditions(&self) -> [Condition; 4] {
        let line = |kind, (status, reason)| Condition { kind, status, reason };
        [
            line(ConditionKind::AbleToScale, self.able()),
            line(ConditionKind::ScalingActive, self.active()),
            line(ConditionKind::ScalingLimited, self.limited()),
            line(ConditionKind::SignalHealthy, self.healthy()),
        ]
    }

    fn able(&self) -> (bool, &'static str) {
        let refused = |reason| (false, reason);
        let last = self.limits.iter().rev().find_map(|limit| match limit {
            Limit::KillSwitch { .. } => Some(refused("KillSwitch")),
            Limit::Brake { .. } => Some(refused("Brake")),
            Limit::Paused { .. } => Some(refused("Paused")),
            Limit::LockOut { .. } => Some(refused("BackoffBoth")),
            Limit::ConditionWindow { action: Action::ScaleUp, .. } => {
                Some(refused("BackoffUpscale"))
            }
            Limit::ConditionWindow { .. } | Limit::Panic { .. } => {
                Some(refused("BackoffDownscale"))
            }
            Limit::Stabilization { action: Action::ScaleUp, .. } => {
                Some((true, "ScaleUpStabilized"))
            }
            Limit::Stabilization { .. } => Some((true, "ScaleDownStabilized")),
            _ => None,
        });
        match (self.action, self.reason) {
            (Action::Hold, Reason::Paused) => refused("Paused"),
            (Action::Hold, _) => last.unwrap_or((true, "ReadyForNewScale")),
            // What cut a change short did not prevent it, but the HPA tells of its windows.
            _ => last.filter(|(able, _)| *able).unwrap_or((true, "SucceededRescale")),
        }
    }

    fn active(&self) -> (bool, &'static str) {
        let known = |reading: &Reading| matches!(reading, Reading::Known { .. });
        if self.reason == Reason::Paused {
            (false, "ScalingDisabled")
        } else if self.proposals.is_empty() {
            (true, "NoMetrics")
        } else if self.reason != Reason::UnknownSignal
            && self.proposals.iter().any(|proposal| known(&proposal.reading))
        {
            (true, "ValidMetricFound")
        } else {
            (false, "FailedGetMetric")
        }
    }

    fn limited(&self) -> (bool, &'static str) {
        if self.reason == Reason::OutOfBounds {
            let many = self.action == Action::ScaleDown;
            return (true, if many { "TooManyReplicas" } else { "TooFewReplicas" });
        }
        let up = |action: &Action| *action == Action::ScaleUp;
        let last = self.limits.iter().rev().find_map(|limit| match limit {
            Limit::Min { .. } => Some("TooFewReplicas"),
            Limit::Max { .. } => Some("TooManyReplicas"),
            Limit::Rate { action, .. } if up(action) => Some("ScaleUpLimit"),
            Limit::Rate { .. } => Some("ScaleDownLimit"),
            Limit::Step { wanted, .. } if *wanted > self.from => Some("ScaleUpLimit"),
            Limit::Step { .. } => Some("ScaleDownLimit"),
            _ => None,
        });
        last.map_or((false, "DesiredWithinRange"), |reason| (true, reason))
    }

    fn healthy(&self) -> (bool, &'static str) {
        let unknown = |proposal: &Proposal| matches!(proposal.reading, Reading::Unknown { .. });
        if self.proposals.iter().any(unknown) || self.guards.iter().any(GuardReading::is_unknown) {
            (false, "SignalUnknown")
        } else if self.proposals.iter().any(|proposal| proposal.fault.is_some()) {
            (false, "LastReadFailed")
        } else {
            (true, "AllSignalsKnown")
        }
    }
}

impl fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its name is the word that Kubernetes uses.
        fmt::Debug::fmt(self, f)
    }
}
