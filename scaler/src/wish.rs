//! What is wanted, before anything restrains it.

use crate::decision::{Reason, Trigger};
use crate::intent::ScaleIntent;
use crate::proposal::Proposal;

/// What is wanted, by whom.
pub(crate) struct Wish {
    pub(crate) to: u32,
    pub(crate) reason: Reason,
    pub(crate) trigger: Option<Trigger>,
}

impl Wish {
    pub(crate) fn hold(at: u32, reason: Reason) -> Self {
        Self { to: at, reason, trigger: None }
    }

    /// The larger of what an intent and a metric want; on a tie the intent, which says why.
    pub(crate) fn largest(
        intent: Option<(&ScaleIntent, u32)>,
        metric: Option<(&Proposal, u32)>,
    ) -> Option<Self> {
        match (intent, metric) {
            (Some((intent, to)), metric) if metric.is_none_or(|(_, other)| to >= other) => {
                Some(Self { to, reason: Reason::Intent, trigger: Some(intent.into()) })
            }
            (_, Some((metric, to))) => {
                Some(Self { to, reason: Reason::Metric, trigger: Trigger::of_metric(metric) })
            }
            _ => None,
        }
    }
}
