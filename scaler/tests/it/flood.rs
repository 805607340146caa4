//! Somebody makes rules fire with every line: the log of decisions stays an account of hours.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use birl_scaler::{
    Change, Decider, DecisionEntry, DecisionLine, DecisionLog, DecisionLogReader, DecisionRecord,
    DecisionRecorder, FileDecisionLog, FileLogOptions, Fsync, Observation, RecorderOptions, Replay,
    Replayed, Replicas, ScaleIntent, ScalerSpec, last_state,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{ask, at, cpu, decider, prompt, seconds, spec};

/// One action an hour, by whoever asks.
fn braked() -> ScalerSpec {
    let mut spec = prompt();
    spec.metrics.clear();
    spec.brake.max_actions_per_hour = 1;
    spec
}

fn recorder(folder: &Path, options: RecorderOptions) -> DecisionRecorder {
    let mut files = FileLogOptions::default();
    files.fsync = Fsync::Never;
    DecisionRecorder::start(FileDecisionLog::open(folder, files).unwrap(), options).unwrap()
}

fn read(folder: &Path) -> Vec<DecisionEntry> {
    DecisionLogReader::open(folder).unwrap().map(Result::unwrap).collect()
}

fn decided(entry: &DecisionEntry) -> Option<&DecisionRecord> {
    match entry {
        DecisionEntry::Decided(record) => Some(record),
        _ => None,
    }
}

/// Decides, reports a change as carried out, and records both; gives the size that follows.
fn live(
    decider: &mut Decider,
    recorder: &DecisionRecorder,
    seen: &Observation,
    at: SystemTime,
) -> u32 {
    let decision = decider.decide(seen, at);
    recorder.record([DecisionEntry::decided(decider, seen, &decision)]);
    if decision.is_change() {
        decider.applied(&decision, Ok(()), at);
        recorder.record([DecisionEntry::applied(decider, &decision, Ok(()), at)]);
    }
    decision.to
}

fn crowd(replicas: u32, name: &str, count: u32, change: Change) -> Observation {
    let ids = (0..count).map(|n| format!("{name}/{n}"));
    let intents = ids.map(|id| ScaleIntent::new(id, change).asked_by("rule slow").reason("slow"));
    Observation::new(Replicas::ready(replicas)).intents(intents)
}

fn assert_same(entries: &[DecisionEntry]) {
    let mut replay = Replay::new();
    for entry in entries {
        let found = replay.step(entry);
        let told = matches!(entry, DecisionEntry::Verified(_)) || found == Replayed::Same;
        assert!(told, "{entry:?}: {found:?}");
    }
}

#[test]
fn a_flood_of_asks_does_not_wash_the_log_away() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = recorder(folder.path(), RecorderOptions::default());
    let mut decider = decider(braked());
    let size = live(&mut decider, &recorder, &ask(1, "real", Change::By(2)), at(0));
    assert_eq!(size, 3);
    // For a minute, twenty times a second: new asks that the brake holds back, old ones, asks for
    // what there is, and all of them in turn.
    let moment = |n: u32| at(1) + Duration::from_millis(50) * n;
    for n in 0..1200 {
        let seen = match n % 4 {
            0 | 1 => crowd(3, &n.to_string(), 300, Change::By(2)),
            2 => ask(3, "real", Change::By(2)),
            _ => crowd(3, &n.to_string(), 2, Change::To(3)),
        };
        live(&mut decider, &recorder, &seen, moment(n));
        if n % 300 == 299 {
            let tick = Observation::new(Replicas::ready(3));
            live(&mut decider, &recorder, &tick, moment(n));
        }
    }
    assert!(recorder.flush(seconds(30)));
    let stats = recorder.stats();
    drop(recorder);
    let entries = read(folder.path());
    assert_eq!(entries.len() as u64 + stats.left_out, 2 + 1200 + 4, "each is kept or counted");
    assert!(entries.len() < 40, "{} of 1206 are kept", entries.len());
    let size = fs::metadata(folder.path().join("decisions-00000001.jsonl")).unwrap().len();
    assert!(size < 1_000_000, "{size} bytes");
    let told: u64 = entries.iter().filter_map(decided).map(|record| record.left_out.holds).sum();
    assert_eq!(told, stats.left_out, "and an entry says how many came before it");
    let ticks = entries.iter().filter_map(decided).filter(|one| one.seen.intents.is_empty());
    assert_eq!(ticks.count(), 4, "what no intent asked for is kept as it comes");
    assert_same(&entries);
    assert_eq!(last_state(folder.path(), "workers").unwrap().as_ref(), Some(decider.state()));
}

/// Whoever knows what makes holds differ gains little.
#[test]
fn holds_of_many_kinds_are_bounded_too() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = recorder(folder.path(), RecorderOptions::default());
    let mut decider = decider(braked());
    live(&mut decider, &recorder, &ask(1, "real", Change::By(2)), at(0));
    for n in 0..1000 {
        let intent =
            ScaleIntent::new(format!("x/{n}"), Change::By(1)).asked_by(format!("rule {n}"));
        let seen = Observation::new(Replicas::ready(3)).intent(intent);
        live(&mut decider, &recorder, &seen, at(1));
    }
    drop(recorder);
    let entries = read(folder.path());
    assert!(entries.len() < 25, "{} are kept", entries.len());
    assert_same(&entries);
}

#[test]
fn a_change_is_never_left_out_nor_what_led_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = recorder(folder.path(), RecorderOptions::default());
    let mut spec = braked();
    spec.lock_out.scale_up = seconds(10);
    spec.brake.max_actions_per_hour = 100;
    let mut decider = decider(spec);
    let mut size = 1;
    for n in 0..30 {
        let seen = ask(size, &format!("slow/{n}"), Change::By(1));
        size = live(&mut decider, &recorder, &seen, at(n));
    }
    assert_eq!(size, 4);
    drop(recorder);
    let entries = read(folder.path());
    let moments = entries.iter().filter_map(decided).map(|one| one.decision.at);
    let moments: Vec<_> = moments.map(|moment| (0..30).find(|n| at(*n) == moment)).collect();
    // Each change, the last hold before it, and the first at each size and in each span.
    assert_eq!(moments, [0, 1, 9, 10, 11, 15, 16, 19, 20, 21, 29].map(Some));
    assert_same(&entries);
}

#[test]
fn an_entry_has_few_of_many_intents_that_were_not_heard() {
    let mut spec = braked();
    spec.brake.max_actions_per_hour = 0;
    spec.metrics = crate::support::spec().metrics;
    let mut state = serde_json::to_value(decider(spec.clone()).state()).unwrap();
    state["intents"] =
        serde_json::json!([{ "id": "done/3", "by": "1-0" }, { "id": "done/4", "by": "1-0" }]);
    let mut decider = Decider::with_state(spec, serde_json::from_value(state).unwrap()).unwrap();
    let mut seen = crowd(3, "forged", 700, Change::By(2));
    for n in 0..300 {
        let id = format!("done/{}", 3 + n % 2);
        seen = seen.intent(ScaleIntent::new(id, Change::By(1)));
        seen = seen.intent(ScaleIntent::new(format!("less/{n}"), Change::By(-1)));
    }
    seen = seen.intent(ScaleIntent::new("forged/0", Change::By(1)).trace_id("b"));
    seen = seen.intent(ScaleIntent::new("forged/0", Change::By(1)).trace_id("a"));
    let decision = decider.decide(&seen, at(0));
    assert_eq!(decision.reason.as_str(), "brake");
    assert_eq!(decision.trace_id.as_deref(), Some("a"));
    let entry = DecisionEntry::decided(&decider, &seen, &decision);
    let record = decided(&entry).unwrap();
    let kept = record.seen.intents.len();
    assert!(kept < 8, "{kept} are kept");
    let left_out = record.left_out;
    assert_eq!(left_out.repeats, 299);
    assert_eq!(kept + (left_out.repeats + left_out.unheard) as usize, seen.intents.len());
    let line = DecisionLine::encode(&entry).unwrap();
    assert!(line.text().len() < 4_000, "{} bytes", line.text().len());
    // What an entry keeps is enough to decide the same; the state before it is that of no entry.
    let DecisionEntry::Decided(mut record) = entry else { panic!() };
    let mut before = serde_json::to_value(&record.state).unwrap();
    (before["count"], before["lastSeen"]) = (0.into(), serde_json::Value::Null);
    (before["up"], before["down"]) = (serde_json::Value::Null, serde_json::Value::Null);
    before.as_object_mut().unwrap().remove("unknownSince");
    record.before = Some(Box::new(serde_json::from_value(before).unwrap()));
    assert_same(&[DecisionEntry::Decided(record)]);
}

#[test]
fn what_was_carried_out_is_kept_whole_however_much_it_is() {
    let mut decider = decider(braked());
    let seen = crowd(1, "slow", 700, Change::By(2));
    let decision = decider.decide(&seen, at(0));
    assert_eq!(decision.to, 3);
    let entry = DecisionEntry::decided(&decider, &seen, &decision);
    assert_eq!(decided(&entry).unwrap().seen, seen);
    assert_same(&[entry]);
}

#[test]
fn a_thousand_remembered_intents_make_an_entry_half_as_long_as_their_ids() {
    let mut decider = decider(braked());
    decider.decide(&crowd(3, "a", 1024, Change::To(3)), at(0));
    let one_decision = serde_json::to_string(decider.state()).unwrap();
    assert!(one_decision.len() < 17_000, "{} bytes", one_decision.len());
    for n in 0..1024 {
        decider.decide(&ask(3, &format!("b/{n}"), Change::To(3)), at(1));
    }
    let each_its_own = serde_json::to_string(decider.state()).unwrap();
    assert!(each_its_own.len() < 27_000, "{} bytes", each_its_own.len());
    let again: birl_scaler::DeciderState = serde_json::from_str(&each_its_own).unwrap();
    assert_eq!(&again, decider.state());
}

/// Written by the first version; never edit it.
const FIRST: &str = include_str!("../fixtures/decision_log/decisions-00000001.jsonl");

#[test]
fn a_log_of_the_first_format_is_read_replayed_and_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("decisions-00000001.jsonl"), FIRST).unwrap();
    assert!(FIRST.lines().all(|line| line.starts_with("{\"format\":1,")));
    let entries = read(folder.path());
    assert_eq!(entries.len(), 7);
    assert_same(&entries);
    let state = last_state(folder.path(), "workers").unwrap().unwrap();
    let mut decider = Decider::with_state(spec(), state).unwrap();
    // The ids in it are the same asks as ever.
    let recorder = recorder(folder.path(), RecorderOptions::default());
    let now = at(7200);
    for id in ["5e1f0c2b9a7d4e63/0", "0d44a1b7c39e8f20/0", "77aa0c2b9a7d4e63/0"] {
        let seen = ask(6, id, Change::By(1));
        let decision = decider.decide(&seen, now);
        assert_eq!(decision.reason.as_str(), "duplicate_intent", "{id}");
        recorder.record([DecisionEntry::decided(&decider, &seen, &decision)]);
    }
    drop(recorder);
    let entries = read(folder.path());
    assert!(entries.len() > 7);
    assert_same(&entries);
}

#[test]
fn a_hold_that_nothing_follows_is_kept_after_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = RecorderOptions::default();
    options.same_holds = Duration::from_millis(50);
    let recorder = recorder(folder.path(), options);
    let mut decider = decider(braked());
    for n in 0..3 {
        let seen = ask(3, "same", Change::To(3));
        live(&mut decider, &recorder, &seen, at(0) + Duration::from_millis(n));
    }
    for _ in 0..600 {
        if recorder.stats().waiting == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let stats = recorder.stats();
    assert_eq!((stats.written, stats.left_out, stats.waiting), (3, 0, 0), "{stats:?}");
    assert_eq!(last_state(folder.path(), "workers").unwrap().as_ref(), Some(decider.state()));
}

#[test]
fn with_no_span_each_hold_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = RecorderOptions::default();
    options.same_holds = Duration::ZERO;
    let recorder = recorder(folder.path(), options);
    let mut decider = decider(braked());
    for _ in 0..50 {
        live(&mut decider, &recorder, &ask(3, "same", Change::To(3)), at(0));
    }
    drop(recorder);
    assert_eq!(read(folder.path()).len(), 50);
}

/// Takes a batch each time it is let, and says when it is asked.
#[derive(Debug)]
struct Gated(Receiver<()>, std::sync::mpsc::Sender<usize>);

impl DecisionLog for Gated {
    fn append(&mut self, batch: &[DecisionLine]) -> Result<(), birl_scaler::Error> {
        let _ = self.1.send(batch.len());
        let _ = self.0.recv();
        Ok(())
    }
}

/// While the log's thread is busy, nobody has found out that an entry cannot be written: whoever
/// records makes no text of it.
#[test]
fn text_is_made_by_the_thread_that_writes() {
    let ((go, gate), (asked, news)) = (channel(), channel());
    let recorder = DecisionRecorder::start(Gated(gate, asked), RecorderOptions::default()).unwrap();
    let go = go; // dropped first, so that a failure ends as well
    let mut decider = decider(prompt());
    live(&mut decider, &recorder, &cpu(3, 60.0, at(0)), at(0));
    assert_eq!(news.recv_timeout(seconds(30)), Ok(1));
    let beyond = UNIX_EPOCH + Duration::from_secs(300_000_000_000); // the year 11476
    live(&mut decider, &recorder, &cpu(3, 60.0, beyond), beyond);
    let stats = recorder.stats();
    assert_eq!((stats.waiting, stats.unwritable), (2, 0), "{stats:?}");
    drop(go);
    assert!(recorder.flush(seconds(30)), "{:?}", recorder.stats());
    let stats = recorder.stats();
    assert_eq!((stats.written, stats.unwritable, stats.waiting), (1, 1, 0), "{stats:?}");
    assert_eq!(stats.waiting_bytes, 0);
}

/// A batch of intents, and what becomes of the decision.
#[derive(Debug, Clone)]
struct Batch {
    gap: u64,
    size: u32,
    intents: Vec<(u8, Change, Option<u8>)>,
    /// The load, where signals are looked at as well.
    load: Option<f64>,
    outcome: Option<bool>,
}

fn any_batch() -> impl Strategy<Value = Batch> {
    let change = prop_oneof![
        4 => (-2i32..=3).prop_map(Change::By),
        1 => (2u32..5).prop_map(Change::To),
    ];
    let intent = (any::<u8>(), change, proptest::option::weighted(0.2, 0u8..4));
    let intents = prop_oneof![1 => vec(intent.clone(), 0..3), 2 => vec(intent, 15..60)];
    let load = proptest::option::weighted(0.3, 0.0..150.0f64);
    let outcome = proptest::option::weighted(0.9, any::<bool>());
    (0u64..12, 2u32..5, intents, load, outcome)
        .prop_map(|(gap, size, intents, load, outcome)| Batch { gap, size, intents, load, outcome })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is left out, each entry that is kept comes out the same again, to the bit.
    #[test]
    fn what_is_left_of_a_flood_is_reproduced(
        most in 0u32..4,
        lock_out in 0u64..30,
        preview in proptest::bool::weighted(0.1),
        blind in any::<bool>(),
        batches in vec(any_batch(), 1..60),
    ) {
        let mut spec = spec();
        spec.brake.max_actions_per_hour = most;
        (spec.lock_out.scale_up, spec.lock_out.scale_down) = (seconds(lock_out), seconds(lock_out / 2));
        if preview {
            spec.mode = birl_scaler::Mode::Preview;
        }
        if blind {
            spec.metrics.clear();
        }
        let folder = tempfile::tempdir().unwrap();
        let recorder = recorder(folder.path(), RecorderOptions::default());
        let (mut decider, mut now, mut recorded) = (decider(spec), 0, 0);
        for batch in batches {
            now += batch.gap;
            let mut seen = match batch.load {
                Some(load) => cpu(batch.size, load, at(now)),
                None => Observation::new(Replicas::ready(batch.size)),
            };
            for (id, change, trace) in batch.intents {
                let mut intent = ScaleIntent::new(format!("rule/{id}"), change).asked_by("a rule");
                if let Some(trace) = trace {
                    intent = intent.trace_id(trace.to_string());
                }
                seen = seen.intent(intent);
            }
            let decision = decider.decide(&seen, at(now));
            recorder.record([DecisionEntry::decided(&decider, &seen, &decision)]);
            recorded += 1;
            if let Some(done) = batch.outcome.filter(|_| decision.is_change()) {
                let outcome = if done { Ok(()) } else { Err("no room") };
                decider.applied(&decision, outcome, at(now));
                recorder.record([DecisionEntry::applied(&decider, &decision, outcome, at(now))]);
                recorded += 1;
            }
        }
        prop_assert!(recorder.flush(seconds(30)));
        let stats = recorder.stats();
        drop(recorder);
        prop_assert_eq!(stats.written + stats.left_out, recorded);
        let entries = read(folder.path());
        let mut replay = Replay::new();
        for entry in &entries {
            prop_assert_eq!(replay.step(entry), Replayed::Same, "{:?}", entry);
        }
        let state = last_state(folder.path(), "workers").unwrap();
        prop_assert_eq!(state.as_ref(), Some(decider.state()));
    }
}
