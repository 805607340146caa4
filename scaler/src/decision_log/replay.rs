//! Making the decisions of a log again, and comparing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{AppliedRecord, DecisionEntry, DecisionRecord, heard};
use crate::brake::GlobalBrake;
use crate::decider::Decider;
use crate::decision::{Decision, Limit};
use crate::spec::ScalerSpec;
use crate::state::DeciderState;

/// The most targets that are followed; of more, the first of each is all that is looked at.
const MAX_TARGETS: usize = 20_000;

/// The most places of a shared brake that a replay sets up.
const MAX_PLACES: u32 = 1000;

const HOUR: Duration = Duration::from_secs(3600);

/// Makes each decision of a log again, from what was seen and what was remembered, and compares.
///
/// With the recorded specifications, a difference means that the decider has changed, or that the
/// log is not what one decider wrote. With another one ([`with_spec`](Self::with_spec)) it is what
/// an edit would have changed: each decision by itself, coming from what was remembered then. Of
/// those only the outcome is compared: action, size and reason.
#[derive(Debug, Default)]
pub struct Replay {
    spec: Option<ScalerSpec>,
    known: BTreeMap<Arc<str>, Known>,
}

#[derive(Debug)]
struct Known {
    state: DeciderState,
    /// The newest decision, which a report may be about, and its specification.
    last: (Decision, ScalerSpec),
}

/// What a replay found.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Replayed {
    /// The same comes out, to the bit.
    Same,
    /// Another decision comes out.
    Differs(Box<Decision>),
    /// The decision is the same, and what is remembered after it is not.
    Remembers(Box<DeciderState>),
    /// It cannot be told, and why: what came before is not in the log, say.
    Unknown(&'static str),
    /// An entry that nothing follows from.
    Nothing,
}

impl Replay {
    /// A replay by the recorded specifications.
    pub fn new() -> Self {
        Self::default()
    }

    /// A replay by this one, for its target; entries of others are passed over.
    pub fn with_spec(spec: ScalerSpec) -> Self {
        Self { spec: Some(spec), known: BTreeMap::new() }
    }

    /// Does an entry again; give it all of them, in their order.
    pub fn step(&mut self, entry: &DecisionEntry) -> Replayed {
        let other = |spec: &ScalerSpec| *spec.target_ref.name != **entry.target();
        if self.spec.as_ref().is_some_and(other) {
            return Replayed::Nothing;
        }
        match entry {
            DecisionEntry::Decided(record) => self.decide(record),
            DecisionEntry::Applied(record) => self.apply(record),
            DecisionEntry::Verified(_) => Replayed::Nothing,
        }
    }

    fn decide(&mut self, record: &DecisionRecord) -> Replayed {
        let found = self.decide_again(record);
        let target = &record.decision.target;
        let state = record.state.clone();
        let last = (record.decision.clone(), record.spec.clone());
        if let Some(known) = self.known.get_mut(target) {
            *known = Known { state, last };
        } else if self.known.len() < MAX_TARGETS {
            self.known.insert(Arc::clone(target), Known { state, last });
        }
        found
    }

    fn decide_again(&self, record: &DecisionRecord) -> Replayed {
        let decision = &record.decision;
        let count = decision.id.count();
        let mut before = match (&record.before, self.known.get(&decision.target)) {
            (Some(before), _) => (**before).clone(),
            (None, Some(known)) if known.state.count.wrapping_add(1) == count => {
                known.state.clone()
            }
            _ if count == 1 => DeciderState::new(Arc::clone(&decision.target)),
            _ => return Replayed::Unknown("what was remembered before it is not in the log"),
        };
        let found = self.decide_from(before.clone(), record);
        if found != Replayed::Same && before.abandon_change() {
            // A host that was started anew meanwhile knew that nobody would report.
            return self.decide_from(before, record);
        }
        found
    }

    fn decide_from(&self, before: DeciderState, record: &DecisionRecord) -> Replayed {
        let DecisionRecord { decision, spec, state, .. } = record;
        let spec = self.spec.as_ref().unwrap_or(spec);
        let Ok(mut decider) = Decider::going_on(spec.clone(), before) else {
            return Replayed::Unknown("this version does not take its specification or state");
        };
        match shared_brake(decision) {
            Some(Shared::Free) => {}
            Some(Shared::Is(brake)) => decider = decider.with_global_brake(brake),
            None => return Replayed::Unknown("the brake shared with other targets is too large"),
        }
        // A change that came to nothing frees its intents first: they are no repeats.
        decider.settle(decision.from, decision.at);
        let Some(seen) = heard::seen(record, decider.state()) else {
            return Replayed::Unknown("more repeats of its intents were left out than ever are");
        };
        let again = decider.decide(&seen, decision.at);
        let outcome = |of: &Decision| (of.action, of.to, of.reason);
        let same = match self.spec {
            Some(_) => outcome(&again) == outcome(decision),
            None => again == *decision,
        };
        if !same {
            return Replayed::Differs(Box::new(again));
        }
        let mut remembered = decider.state().clone();
        // Who wrote this did not remember it yet.
        remembered.unsettled = remembered.unsettled.filter(|_| state.unsettled.is_some());
        match self.spec.is_some() || remembered == *state {
            true => Replayed::Same,
            false => Replayed::Remembers(Box::new(remembered)),
        }
    }

    fn apply(&mut self, record: &AppliedRecord) -> Replayed {
        let Some(known) = self.known.get_mut(&record.target) else {
            return Replayed::Unknown("the decision that it reports is not in the log");
        };
        let before = std::mem::replace(&mut known.state, record.state.clone());
        let (decision, spec) = &known.last;
        if decision.id != record.decision {
            return Replayed::Unknown("the decision that it reports is not the one before it");
        }
        let Ok(mut decider) = Decider::going_on(spec.clone(), before) else {
            return Replayed::Unknown("this version does not take its specification or state");
        };
        let outcome = record.error.as_deref().map_or(Ok(()), Err);
        decider.applied(decision, outcome, record.at);
        match decider.state() {
            same if *same == record.state => Replayed::Same,
            other => Replayed::Remembers(Box::new(other.clone())),
        }
    }
}

/// What other targets' changes had left of the shared brake.
enum Shared {
    Free,
    Is(GlobalBrake),
}

/// The shared brake as the decision met it; `None` if that is too large to be set up again.
fn shared_brake(decision: &Decision) -> Option<Shared> {
    for limit in &decision.limits {
        match limit {
            Limit::KillSwitch { global: true } => {
                let brake = GlobalBrake::new(u32::MAX);
                brake.set_kill_switch(true);
                return Some(Shared::Is(brake));
            }
            Limit::Brake { max_actions_per_hour, until, global: true } => {
                let most = *max_actions_per_hour;
                if most > MAX_PLACES {
                    return None;
                }
                let brake = GlobalBrake::new(most);
                let at = until.checked_sub(HOUR)?;
                (0..most).for_each(|_| brake.report("", decision.id, true, at));
                return Some(Shared::Is(brake));
            }
            _ => {}
        }
    }
    Some(Shared::Free)
}
