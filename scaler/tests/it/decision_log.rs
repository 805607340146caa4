//! The log of decisions: kept over crashes and rotations, and made again to the bit.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use birl_scaler::{
    Change, Decider, DecisionEntry, DecisionLine, DecisionLog, DecisionLogReader, DecisionRecorder,
    ErrorKind, FileDecisionLog, FileLogOptions, Fsync, GlobalBrake, MetricSpec, Milli, Observation,
    RecorderOptions, Replay, Replayed, Replicas, ScaleIntent, ScalerSpec, Signal, Verifier,
    last_state,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{ask, at, cpu, decider, prompt, seconds, signal, spec};

fn open(folder: &Path) -> FileDecisionLog {
    FileDecisionLog::open(folder, FileLogOptions::default()).unwrap()
}

fn append(log: &mut FileDecisionLog, entries: &[DecisionEntry]) {
    let lines: Vec<_> = entries.iter().map(|entry| DecisionLine::encode(entry).unwrap()).collect();
    log.append(&lines).unwrap();
}

fn read(folder: &Path) -> Vec<DecisionEntry> {
    DecisionLogReader::open(folder).unwrap().map(Result::unwrap).collect()
}

fn newest(folder: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.into_iter().max().unwrap()
}

/// Decides, reports a change as carried out, and gives both entries.
fn turn(decider: &mut Decider, seen: &Observation, now: SystemTime) -> Vec<DecisionEntry> {
    let decision = decider.decide(seen, now);
    let mut entries = vec![DecisionEntry::decided(decider, seen, &decision)];
    if decision.is_change() {
        decider.applied(&decision, Ok(()), now);
        entries.push(DecisionEntry::applied(decider, &decision, Ok(()), now));
    }
    entries
}

fn some(count: u64) -> Vec<DecisionEntry> {
    let mut decider = decider(prompt());
    (0..count).flat_map(|n| turn(&mut decider, &cpu(3, 90.0, at(60 * n)), at(60 * n))).collect()
}

#[test]
fn an_entry_is_a_line_of_json_with_format_checksum_and_all_that_it_follows_from() {
    let folder = tempfile::tempdir().unwrap();
    let entries = some(1);
    append(&mut open(folder.path()), &entries);
    let text = fs::read_to_string(folder.path().join("decisions-00000001.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [decided, applied] = &lines[..] else { panic!("{text}") };
    assert_eq!(decided["format"], 2);
    assert_eq!(decided["crc32"].as_str().unwrap().len(), 8);
    let entry = &decided["entry"];
    assert_eq!(entry["kind"], "decided");
    assert_eq!(entry["seen"]["signals"][0]["at"], "2026-11-23T08:00:00Z");
    assert_eq!(entry["spec"]["targetRef"]["name"], "workers");
    assert_eq!(entry["decision"]["to"], 5);
    assert!(entry["decision"]["explain"].as_str().unwrap().starts_with("scale_up workers 3 → 5"));
    assert_eq!(entry["state"]["count"], 1);
    assert_eq!(applied["entry"]["kind"], "applied");
    assert_eq!(applied["entry"]["decision"], entry["decision"]["id"]);
    assert_eq!(read(folder.path()), entries);
    assert_eq!(
        DecisionLine::encode(&entries[0]).unwrap().key(),
        "workers/1795420800000-0000000001/1-decided"
    );
}

#[test]
fn a_decider_goes_on_from_the_log_as_if_nothing_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(folder.path());
    assert_eq!(last_state(folder.path(), "workers").unwrap(), None);
    // The reference never restarts; the other does after each decision.
    let (mut whole, mut cut) = (decider(spec()), decider(spec()));
    for tick in 0..40 {
        let now = at(15 * tick);
        let seen = cpu(4, if tick % 20 < 12 { 95.0 } else { 20.0 }, now);
        let expected = turn(&mut whole, &seen, now);
        let found = turn(&mut cut, &seen, now);
        assert_eq!(found, expected, "tick {tick}");
        append(&mut log, &found);
        drop(log);
        log = open(folder.path());
        let state = last_state(folder.path(), "workers").unwrap().unwrap();
        cut = Decider::with_state(spec(), state).unwrap();
    }
    let done = read(folder.path());
    assert!(done.iter().any(|entry| entry.kind() == "applied"), "nothing was ever changed");
    assert_eq!(last_state(folder.path(), "others").unwrap(), None);
}

#[test]
fn what_a_crash_cut_short_is_cut_off_and_told_and_nothing_else_is() {
    let entries = some(3);
    let whole: String = {
        let lines = entries.iter().map(|entry| DecisionLine::encode(entry).unwrap());
        lines.map(|line| format!("{line}\n")).collect()
    };
    let sound = |length: usize| whole[..length].matches('\n').count();
    for length in (0..whole.len()).step_by(97).chain([whole.len() - 1, whole.len()]) {
        if !whole.is_char_boundary(length) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("decisions-00000007.jsonl"), &whole[..length]).unwrap();
        // Before somebody writes again, the torn end is no entry, and no error.
        assert_eq!(read(folder.path()), entries[..sound(length)]);
        let mut log = open(folder.path());
        let kept = whole[..length].rfind('\n').map_or(0, |at| at + 1);
        assert_eq!(log.cut(), (length - kept) as u64);
        append(&mut log, &entries[sound(length)..]);
        assert_eq!(read(folder.path()), entries, "cut at {length}");
    }
}

#[test]
fn a_damaged_line_in_the_middle_is_named_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let entries = some(3);
    append(&mut open(folder.path()), &entries);
    let path = newest(folder.path());
    let text = fs::read_to_string(&path).unwrap();
    let at = text.match_indices("\"desired\":3").nth(1).unwrap().0;
    let mut bytes = text.into_bytes();
    bytes[at + 10] = b'4'; // one bit of the second decision
    fs::write(&path, bytes).unwrap();
    let read: Vec<_> = DecisionLogReader::open(folder.path()).unwrap().collect();
    assert_eq!(read.len(), entries.len());
    let error = read[2].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidState);
    assert!(error.to_string().contains("decisions-00000001.jsonl: line 3"), "{error}");
    assert!(error.to_string().contains("checksum"), "{error}");
    assert_eq!(read[3].as_ref().unwrap(), &entries[3]);
    let log = open(folder.path());
    assert_eq!(log.cut(), 0, "what follows is sound");
    assert!(last_state(folder.path(), "workers").unwrap().is_some());
}

#[test]
fn a_log_of_a_newer_version_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decisions-00000001.jsonl");
    let newer = "{\"format\":3,\"something\":\"else\"}\n";
    fs::write(&path, newer).unwrap();
    let error = FileDecisionLog::open(folder.path(), FileLogOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("line 1: it has format 3, this version reads 1 to 2"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}

#[test]
fn files_are_bounded_in_size_and_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = FileLogOptions::default();
    (options.max_file_bytes, options.max_files, options.fsync) = (8_000, 3, Fsync::Never);
    let mut log = FileDecisionLog::open(folder.path(), options).unwrap();
    let entries = some(50);
    for entry in &entries {
        append(&mut log, std::slice::from_ref(entry));
    }
    let mut sizes = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "lock" {
            sizes.push(entry.metadata().unwrap().len());
        }
    }
    assert_eq!(sizes.len(), 3);
    assert!(sizes.iter().all(|size| *size <= 8_000), "{sizes:?}");
    let kept = read(folder.path());
    assert_eq!(kept, entries[entries.len() - kept.len()..], "the newest, in order, no gap");
    assert!(kept.len() > 4);
    // A restart goes on in the newest file.
    drop(log);
    let before = newest(folder.path());
    drop(FileDecisionLog::open(folder.path(), options).unwrap());
    assert_eq!(newest(folder.path()), before);
}

#[test]
fn two_writers_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let error = FileDecisionLog::open(folder.path(), FileLogOptions::default()).unwrap_err();
    assert!(error.to_string().contains("another process writes into it"), "{error}");
    drop(first);
    drop(open(folder.path()));
}

#[test]
fn a_folder_without_a_log_says_what_to_name() {
    let folder = tempfile::tempdir().unwrap();
    let error = DecisionLogReader::open(folder.path()).unwrap_err();
    assert!(error.to_string().contains("decisions-00000001.jsonl"), "{error}");
}

/// Takes what it is given, once it is let.
#[derive(Debug)]
struct Stalled(std::sync::mpsc::Receiver<()>, FileDecisionLog);

impl DecisionLog for Stalled {
    fn append(&mut self, batch: &[DecisionLine]) -> Result<(), birl_scaler::Error> {
        let _ = self.0.recv();
        self.1.append(batch)
    }
}

#[test]
fn nobody_waits_for_a_log_that_stalls() {
    let folder = tempfile::tempdir().unwrap();
    let (go, gate) = std::sync::mpsc::channel();
    let log = Stalled(gate, open(folder.path()));
    let recorder = DecisionRecorder::start(log, RecorderOptions::default()).unwrap();
    let entries = some(20);
    for tick in entries.chunks(2) {
        recorder.record(tick.iter().cloned());
    }
    assert!(!recorder.flush(Duration::from_millis(20)));
    assert_eq!((recorder.stats().waiting, recorder.stats().written), (40, 0));
    drop(go);
    assert!(recorder.flush(seconds(30)));
    let stats = recorder.stats();
    assert_eq!((stats.written, stats.waiting, stats.dropped), (40, 0, 0));
    assert!(stats.batches <= 2, "what waited goes in one batch");
    drop(recorder);
    assert_eq!(read(folder.path()), entries);
}

/// Entries recorded in one call go in one batch, and a drop keeps what is waiting.
#[test]
fn a_tick_is_a_batch_and_the_end_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let recorder =
        DecisionRecorder::start(open(folder.path()), RecorderOptions::default()).unwrap();
    recorder.record(some(20));
    assert!(recorder.flush(seconds(30)));
    assert_eq!((recorder.stats().batches, recorder.stats().written), (1, 40));
    recorder.record(some(1));
    drop(recorder);
    assert_eq!(read(folder.path()).len(), 42);
}

fn replayed(entries: &[DecisionEntry], replay: &mut Replay) -> Vec<Replayed> {
    entries.iter().map(|entry| replay.step(entry)).collect()
}

#[test]
fn a_replay_tells_what_is_the_same_what_differs_and_what_cannot_be_told() {
    let entries = some(5);
    let all = replayed(&entries, &mut Replay::new());
    assert!(all.iter().all(|one| *one == Replayed::Same), "{all:?}");
    // A log that begins in the middle: the first one cannot be told, the rest can.
    let some = replayed(&entries[2..], &mut Replay::new());
    assert!(matches!(some[0], Replayed::Unknown(_)), "{some:?}");
    assert!(some[1..].iter().all(|one| *one == Replayed::Same), "{some:?}");
    // A forged one.
    let mut forged = entries.clone();
    let DecisionEntry::Decided(record) = &mut forged[2] else { panic!("{forged:?}") };
    record.decision.to = 9;
    let Replayed::Differs(found) = &replayed(&forged, &mut Replay::new())[2] else { panic!() };
    assert_eq!(found.to, 5);
    // What follows a verification: nothing.
    let mut verifier = Verifier::default();
    let DecisionEntry::Decided(record) = &entries[0] else { panic!() };
    verifier.expect(&record.decision, seconds(1), at(0));
    let verified = DecisionEntry::verified(&verifier.tick(at(2))[0]);
    assert_eq!(Replay::new().step(&verified), Replayed::Nothing);
    let line = DecisionLine::encode(&verified).unwrap();
    assert!(line.key().ends_with("/3-verified"));
}

#[test]
fn another_spec_is_tried_on_last_months_log() {
    let entries = some(3);
    let mut capped = prompt();
    capped.max_replicas = 4;
    let found = replayed(&entries, &mut Replay::with_spec(capped));
    let differ: Vec<u32> = found
        .iter()
        .filter_map(|one| match one {
            Replayed::Differs(decision) => Some(decision.to),
            _ => None,
        })
        .collect();
    assert_eq!(differ, [4, 4, 4]);
    let found = replayed(&entries, &mut Replay::with_spec(ScalerSpec::new("others", 1, 2)));
    assert!(found.iter().all(|one| *one == Replayed::Nothing));
}

#[test]
fn what_the_shared_brake_and_kill_switch_held_back_is_reproduced() {
    let brake = GlobalBrake::new(2);
    let mut one = decider(prompt()).with_global_brake(brake.clone());
    let mut entries = Vec::new();
    for n in 0..4 {
        entries.extend(turn(&mut one, &ask(3, &format!("a/{n}"), Change::By(1)), at(n)));
    }
    brake.set_kill_switch(true);
    entries.extend(turn(&mut one, &ask(3, "b/1", Change::By(1)), at(10)));
    let sentences: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            DecisionEntry::Decided(record) => Some(record.decision.explain()),
            _ => None,
        })
        .collect();
    assert!(sentences[2].contains("global brake"), "{sentences:#?}");
    assert!(sentences[4].contains("global kill switch"), "{sentences:#?}");
    let all = replayed(&entries, &mut Replay::new());
    assert!(all.iter().all(|one| *one == Replayed::Same), "{all:#?}");
}

/// What happens at one moment.
#[derive(Debug, Clone)]
struct Tick {
    gap: u64,
    size: u32,
    signals: Vec<Vec<f64>>,
    intents: Vec<(u8, Change)>,
    /// Whether a change is carried out; `None`: nobody reports.
    outcome: Option<bool>,
}

fn any_tick() -> impl Strategy<Value = Tick> {
    let value = prop_oneof![8 => 0.0..300.0f64, 1 => Just(f64::NAN), 1 => Just(-1.0)];
    let change = prop_oneof![(-3i32..=3).prop_map(Change::By), (0u32..12).prop_map(Change::To)];
    let intents = vec((any::<u8>(), change), 0..3);
    (0u64..90, 0u32..8, vec(vec(value, 0..5), 0..3), intents, proptest::option::of(any::<bool>()))
        .prop_map(|(gap, size, signals, intents, outcome)| Tick {
            gap,
            size,
            signals,
            intents,
            outcome,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Replaying a decision log reproduces every decision, and all that is remembered, to the bit.
    #[test]
    fn a_log_reproduces_each_of_its_decisions(
        windows in (0u64..120, 0u64..200, 0u64..60),
        most in 1u32..6,
        ticks in vec(any_tick(), 1..30),
    ) {
        let mut spec = ScalerSpec::new("workers", 1, 8);
        spec.metrics = vec![MetricSpec::utilization("cpu", 60), MetricSpec::average("queue", Milli(20_500))];
        (spec.cool_down.scale_up, spec.cool_down.scale_down) = (seconds(windows.0), seconds(windows.1));
        spec.lock_out.scale_down = seconds(windows.2);
        spec.brake.max_actions_per_hour = most;
        let folder = tempfile::tempdir().unwrap();
        let mut options = FileLogOptions::default();
        (options.max_file_bytes, options.fsync) = (10_000, Fsync::Never);
        options.max_files = 1000;
        let mut log = FileDecisionLog::open(folder.path(), options).unwrap();
        let (mut decider, mut now) = (decider(spec), 0);
        let mut written = Vec::new();
        for tick in ticks {
            now += tick.gap;
            let names = ["cpu", "queue"].iter().zip(&tick.signals);
            let signals: Vec<Signal> =
                names.map(|(name, values)| signal(name, values, at(now))).collect();
            let intents = tick.intents.into_iter().map(|(id, change)| {
                ScaleIntent::new(format!("rule/{id}"), change).asked_by("a rule").reason("load")
            });
            let seen = Observation::new(Replicas::ready(tick.size)).signals(signals).intents(intents);
            let decision = decider.decide(&seen, at(now));
            let mut batch = vec![DecisionEntry::decided(&decider, &seen, &decision)];
            if let Some(done) = tick.outcome.filter(|_| decision.is_change()) {
                let outcome = if done { Ok(()) } else { Err("no room") };
                decider.applied(&decision, outcome, at(now));
                batch.push(DecisionEntry::applied(&decider, &decision, outcome, at(now)));
            }
            append(&mut log, &batch);
            written.extend(batch);
        }
        let entries = read(folder.path());
        prop_assert_eq!(&entries, &written);
        for found in replayed(&entries, &mut Replay::new()) {
            prop_assert_eq!(found, Replayed::Same);
        }
        let state = last_state(folder.path(), "workers").unwrap();
        prop_assert_eq!(state.as_ref(), Some(decider.state()));
    }

    /// Whatever stands in the files, reading ends, and only what is sound is taken.
    #[test]
    fn any_bytes_are_read_without_a_panic(noise in vec(any::<u8>(), 0..2000), at in 0usize..4000) {
        let folder = tempfile::tempdir().unwrap();
        append(&mut open(folder.path()), &some(1));
        let mut bytes = fs::read(newest(folder.path())).unwrap();
        let at = at % bytes.len();
        bytes.splice(at..at, noise);
        OpenOptions::new().write(true).truncate(true).open(newest(folder.path())).unwrap()
            .write_all(&bytes).unwrap();
        let _ = DecisionLogReader::open(folder.path()).unwrap().count();
        if let Ok(log) = FileDecisionLog::open(folder.path(), FileLogOptions::default()) {
            drop(log);
            let _ = DecisionLogReader::open(folder.path()).unwrap().count();
        }
    }
}
