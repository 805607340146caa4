//! Which intents an entry keeps: all that mattered, and not each of a flood.

use std::borrow::Cow;
use std::ptr;

use super::{DecisionRecord, LeftOut};
use crate::decider::Decider;
use crate::decision::Decision;
use crate::demand::Asked;
use crate::intent::ScaleIntent;
use crate::signal::Observation;
use crate::state::DeciderState;

/// So many are kept as they came.
const FEW: usize = 16;

/// Repeats beyond it are kept as they came: a replay that makes them again needs a bound.
const MOST_REPEATS: u32 = 100_000;

/// What was seen, as it is kept. If the decision carried none of the intents out, nothing follows
/// from those that others spoke for: of each direction the first in order is heard, and of repeats
/// only their number and the smallest id are told.
pub(super) fn kept(decider: &Decider, seen: &Observation, of: &Decision) -> (Observation, LeftOut) {
    let (intents, left_out) = match heard(decider.state(), seen, of) {
        Some((heard, left_out)) => (heard.into_iter().cloned().collect(), left_out),
        None => (seen.intents.clone(), LeftOut::default()),
    };
    let kept = Observation {
        current: seen.current,
        instances: seen.instances.clone(),
        status_replicas: seen.status_replicas,
        signals: seen.signals.clone(),
        intents,
    };
    (kept, left_out)
}

/// `None` if all matter.
fn heard<'a>(
    after: &DeciderState,
    seen: &'a Observation,
    of: &Decision,
) -> Option<(Vec<&'a ScaleIntent>, LeftOut)> {
    let (intents, from) = (&seen.intents, of.from);
    if intents.len() <= FEW || after.intents.is_spent_by(of.id) {
        return None;
    }
    // None was spent, so that what is remembered now was remembered before.
    let is_done = |id: &str| after.intents.contains(id);
    let asked = Asked::of(intents, from, is_done);
    let mut heard = Vec::new();
    for (speaker, _) in [asked.more(from), asked.less(from)].into_iter().flatten() {
        heard.push(speaker);
    }
    heard.extend(asked.same(from));
    // A trace is handed on from any ask of the same id: the smallest.
    for speaker in heard.clone() {
        let same = intents.iter().filter(|one| one.id == speaker.id && one.trace_id.is_some());
        heard.extend(same.min_by_key(|one| &one.trace_id));
    }
    let done = intents.iter().filter(|one| is_done(&one.id));
    let repeats = count(done.clone().count().saturating_sub(1));
    if repeats > MOST_REPEATS {
        return None;
    }
    heard.extend(done.min_by_key(|one| &one.id));
    let is_heard = |one: &&ScaleIntent| heard.iter().any(|heard| ptr::eq(*heard, *one));
    let kept: Vec<_> = intents.iter().filter(is_heard).collect();
    let unheard = count(intents.len() - kept.len()).saturating_sub(repeats);
    Some((kept, LeftOut { holds: 0, repeats, unheard }))
}

/// What was seen, as far as it mattered: with the repeats that are only counted. `None` if they are
/// too many to have been counted by us.
pub(super) fn seen<'a>(
    record: &'a DecisionRecord,
    before: &DeciderState,
) -> Option<Cow<'a, Observation>> {
    let repeats = record.left_out.repeats;
    if repeats == 0 {
        return Some(Cow::Borrowed(&record.seen));
    }
    if repeats > MOST_REPEATS {
        return None;
    }
    let mut seen = record.seen.clone();
    let done = seen.intents.iter().filter(|one| before.intents.contains(&one.id));
    if let Some(smallest) = done.min_by_key(|one| &one.id).cloned() {
        seen.intents.extend((0..repeats).map(|_| smallest.clone()));
    }
    Some(Cow::Owned(seen))
}

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
