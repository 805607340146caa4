//! Who asks for what: the metrics together, and the intents together.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::decision::{Action, Limit, Trigger};
use crate::intent::ScaleIntent;
use crate::proposal::{Band, Proposal, Reading, Unknown};

/// What the metrics ask for: the one that asks for most speaks for all of them.
pub(crate) struct Demand<'a> {
    /// The strongest of the metrics that have a value, and its replicas.
    pub(crate) winner: Option<(&'a Proposal, u32)>,
    /// A veto on every scale-down, if any metric has no value.
    pub(crate) unknown: Option<Veto<'a>>,
    /// A veto of the same kind, if the value that a metric has is one from before: the last attempt
    /// to measure it failed. Its windows go on; else a source that fails now and then would keep
    /// the target large for ever.
    pub(crate) doubt: Option<Veto<'a>>,
    /// Whether any of them lies above its band. With few instances ready, the formula of a number
    /// about the target as a whole asks for less even then: that is no reason to remove capacity.
    pressed: bool,
}

/// A metric of which not enough is known to scale down.
#[derive(Clone, Copy)]
pub(crate) struct Veto<'a> {
    proposal: &'a Proposal,
    why: Unknown,
}

impl Veto<'_> {
    pub(crate) fn told(self) -> Limit {
        Limit::UnknownSignal { metric: Arc::clone(&self.proposal.metric), why: self.why }
    }
}

impl<'a> Demand<'a> {
    pub(crate) fn of(proposals: &'a [Proposal]) -> Self {
        let mut demand = Self { winner: None, unknown: None, doubt: None, pressed: false };
        for proposal in proposals {
            match proposal.reading {
                Reading::Known { replicas, band, .. } => {
                    if demand.winner.is_none_or(|(_, most)| replicas > most) {
                        demand.winner = Some((proposal, replicas));
                    }
                    demand.pressed |= band == Band::Above;
                    if let (Some(fault), None) = (proposal.fault, &demand.doubt) {
                        demand.doubt = Some(Veto { proposal, why: Unknown::Failed(fault) });
                    }
                }
                Reading::Unknown { why } if demand.unknown.is_none() => {
                    demand.unknown = Some(Veto { proposal, why });
                }
                Reading::Unknown { .. } => {}
            }
        }
        demand
    }

    /// The strongest metric, if it asks for more than `from`.
    pub(crate) fn more(&self, from: u32) -> Option<(&'a Proposal, u32)> {
        self.winner.filter(|&(_, replicas)| replicas > from)
    }

    /// The strongest metric, if even that asks for less than `from`, and none is above its band.
    pub(crate) fn less(&self, from: u32) -> Option<(&'a Proposal, u32)> {
        self.winner.filter(|&(_, replicas)| replicas < from && !self.pressed)
    }
}

/// What the intents ask for that has not been carried out yet.
///
/// Several that ask for more do not add up, the largest wins: fifty groups of one rule that fire
/// at once are one burst, not fifty. Of several that ask for less, the most cautious wins.
pub(crate) struct Asked<'a> {
    fresh: Vec<(&'a ScaleIntent, u32)>,
    /// Those carried out before.
    pub(crate) duplicates: Option<Limit>,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(
        intents: &'a [ScaleIntent],
        from: u32,
        is_done: impl Fn(&str) -> bool,
    ) -> Self {
        let mut fresh = Vec::new();
        let mut done: Vec<&str> = Vec::new();
        for intent in intents {
            match is_done(&intent.id) {
                true => done.push(&intent.id),
                false => fresh.push((intent, intent.change.apply(from))),
            }
        }
        let count = u32::try_from(done.len()).unwrap_or(u32::MAX);
        let duplicates =
            done.into_iter().min().map(|id| Limit::DuplicateIntent { count, id: id.to_owned() });
        Self { fresh, duplicates }
    }

    /// The largest ask for more than `from`.
    pub(crate) fn more(&self, from: u32) -> Option<(&'a ScaleIntent, u32)> {
        self.largest(|replicas| replicas > from)
    }

    /// The most cautious ask for less than `from`.
    pub(crate) fn less(&self, from: u32) -> Option<(&'a ScaleIntent, u32)> {
        self.largest(|replicas| replicas < from)
    }

    /// An ask for just what there is.
    pub(crate) fn same(&self, from: u32) -> Option<&'a ScaleIntent> {
        self.largest(|replicas| replicas == from).map(|(intent, _)| intent)
    }

    /// The intents that `action` settles: all that ask in its direction, and on a hold those that
    /// ask for what there is already.
    pub(crate) fn settled_by(&self, action: Action, from: u32) -> impl Iterator<Item = &str> {
        self.fresh
            .iter()
            .filter(move |&&(_, replicas)| match action {
                Action::ScaleUp => replicas > from,
                Action::ScaleDown => replicas < from,
                Action::Hold => replicas == from,
            })
            .map(|(intent, _)| intent.id.as_str())
    }

    /// The trace of the intent that is the trigger.
    pub(crate) fn trace_of(&self, trigger: Option<&Trigger>) -> Option<String> {
        let Some(Trigger::Intent { id, .. }) = trigger else { return None };
        let of_id = self.fresh.iter().filter(|(intent, _)| intent.id == *id);
        of_id.filter_map(|(intent, _)| intent.trace_id.clone()).min()
    }

    fn largest(&self, among: impl Fn(u32) -> bool) -> Option<(&'a ScaleIntent, u32)> {
        let candidates = self.fresh.iter().filter(|&&(_, replicas)| among(replicas));
        // Ties go by content, so that the order in which intents came in decides nothing.
        let order = |&&(intent, replicas): &&(&'a ScaleIntent, u32)| {
            (Reverse(replicas), &intent.id, &intent.asked_by, &intent.reason, intent.change.rank())
        };
        candidates.min_by_key(order).copied()
    }
}

impl From<&ScaleIntent> for Trigger {
    fn from(intent: &ScaleIntent) -> Self {
        let asked_by = match intent.asked_by.as_str() {
            "" => &intent.id,
            who => who,
        };
        Self::Intent {
            id: intent.id.clone(),
            asked_by: asked_by.to_owned(),
            change: intent.change,
            reason: intent.reason.clone(),
        }
    }
}

impl Trigger {
    pub(crate) fn of_metric(proposal: &Proposal) -> Option<Self> {
        match proposal.reading {
            Reading::Known { value, .. } => Some(Self::Metric {
                metric: Arc::clone(&proposal.metric),
                value,
                target: proposal.target,
            }),
            Reading::Unknown { .. } => None,
        }
    }
}
