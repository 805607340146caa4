//! How much memory an entry takes while it waits to become text.

use super::{DecisionEntry, DecisionRecord};
use crate::signal::{Instance, Observation, Sample};
use crate::state::DeciderState;

/// What it takes beside all that grows with what was seen.
const PLAIN: usize = 1500;

/// About how many bytes; its line has about as many.
pub(super) fn weight(entry: &DecisionEntry) -> usize {
    match entry {
        DecisionEntry::Decided(record) => of_record(record),
        DecisionEntry::Applied(record) => PLAIN + of_state(&record.state),
        DecisionEntry::Verified(_) => PLAIN,
    }
}

pub(super) fn of_record(record: &DecisionRecord) -> usize {
    let before = record.before.as_deref().map_or(0, of_state);
    PLAIN + of_observation(&record.seen) + of_state(&record.state) + before
}

/// A hash and a number, of which each line tells one in text.
fn of_state(state: &DeciderState) -> usize {
    state.intents.len() * 3 * size_of::<u64>()
}

fn of_observation(seen: &Observation) -> usize {
    let samples = seen.signals.iter().flat_map(|signal| &signal.samples);
    let samples: usize = samples.map(|one| size_of::<Sample>() + one.instance.len()).sum();
    let instances = seen.instances.iter().flatten();
    let instances: usize = instances.map(|one| size_of::<Instance>() + one.name.len()).sum();
    let intents = seen.intents.iter().map(|intent| {
        let texts = [&intent.id, &intent.asked_by, &intent.reason];
        let texts: usize = texts.into_iter().chain(&intent.trace_id).map(String::len).sum();
        size_of_val(intent) + texts
    });
    samples + instances + intents.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::super::DecisionLine;
    use super::*;
    use crate::decider::Decider;
    use crate::intent::{Change, ScaleIntent};
    use crate::signal::{Replicas, Signal};
    use crate::spec::ScalerSpec;

    #[test]
    fn an_entry_weighs_about_what_its_line_does() {
        let plain = Observation::new(Replicas::ready(3));
        let samples = (0..2000).map(|n| Sample::new(format!("worker-{n}"), 90.0)).collect();
        let measured = plain.clone().signal(Signal::new("cpu", samples, UNIX_EPOCH));
        let ask = |n| ScaleIntent::new(format!("slow/{n}"), Change::To(3)).asked_by("rule slow");
        let asked = plain.clone().intents((0..1000).map(ask));
        for seen in [plain, measured, asked] {
            let mut decider = Decider::new(ScalerSpec::new("workers", 1, 10)).unwrap();
            let decision = decider.decide(&seen, UNIX_EPOCH);
            let entry = DecisionEntry::decided(&decider, &seen, &decision);
            let (weight, size) = (weight(&entry), DecisionLine::encode(&entry).unwrap().size());
            assert!(size / 2 < weight && weight < size * 2, "{weight} for a line of {size}");
        }
    }
}
