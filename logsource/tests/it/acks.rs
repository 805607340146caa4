//! Acknowledgements in any order, rotations at any moment, restarts in between: nothing is lost.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use birl_logsource::{Ack, Count, DropReason, Edge, FileSource, Gauge, LogSource, Position};
use proptest::prelude::*;

use crate::support::{Place, append, lines, next, until};

const RESUME: Position = Position::Resume { otherwise: Edge::Start };

/// What happens within one run of a follower.
#[derive(Debug, Clone)]
struct Run {
    writes: Vec<Write>,
    /// Batches that are taken.
    takes: usize,
    /// Which of the acks that are held are done, one after the other; the others are dropped.
    acks: Vec<usize>,
    /// Entries are acknowledged one by one.
    singly: bool,
}

#[derive(Debug, Clone, Copy)]
enum Write {
    Lines(usize),
    Rename,
}

fn run() -> impl Strategy<Value = Run> {
    let write = prop_oneof![
        6 => (1_usize..8).prop_map(Write::Lines),
        2 => Just(Write::Rename),
    ];
    let writes = proptest::collection::vec(write, 0..4);
    let acks = proptest::collection::vec(0_usize..6, 0..8);
    (writes, 0_usize..6, acks, any::<bool>()).prop_map(|(writes, takes, acks, singly)| Run {
        writes,
        takes,
        acks,
        singly,
    })
}

/// The program, the log's writer, and what the two agree on.
struct World {
    place: Place,
    written: usize,
    rotated: usize,
    acked: BTreeSet<usize>,
}

impl World {
    fn write(&mut self, write: Write) {
        let rotated = self.place.path(&format!("app.log.{}", self.rotated));
        match write {
            Write::Lines(count) => {
                let lines: Vec<_> = (0..count).map(|n| format!("{}", self.written + n)).collect();
                append(&self.place.log, lines.join("\n") + "\n");
                self.written += count;
                return;
            }
            Write::Rename => drop(fs::rename(&self.place.log, rotated)),
        }
        self.rotated += 1;
        // The clock that tells which file came first ticks every few milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(10));
    }

    async fn run(&mut self, run: &Run) {
        let source = FileSource::builder(&self.place.log)
            .offset_file(&self.place.offsets)
            .batch_bytes(16)
            .build()
            .unwrap();
        let mut stream = source.tail(RESUME);
        let mut held: Vec<(Vec<usize>, Ack)> = Vec::new();
        for take in 0..run.takes {
            if let Some(write) = run.writes.get(take) {
                self.write(*write);
            }
            let wait = std::time::Duration::from_millis(50);
            let Ok(batch) = tokio::time::timeout(wait, next(&mut stream)).await else { break };
            let number = |line: &[u8]| std::str::from_utf8(line).unwrap().parse().unwrap();
            let batch = batch.unwrap();
            if run.singly {
                let entries = batch.into_deliveries();
                held.extend(entries.map(|one| (vec![number(&one.entry.line)], one.ack)));
            } else {
                let lines = batch.entries().map(|entry| number(entry.line())).collect();
                held.push((lines, batch.into_ack()));
            }
        }
        for index in &run.acks {
            if *index < held.len() {
                let (lines, ack) = held.swap_remove(*index);
                self.acked.extend(lines);
                ack.done();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_was_not_acknowledged_comes_again(runs in proptest::collection::vec(run(), 1..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (place, acked) = (Place::new(), BTreeSet::new());
            let mut world = World { place, written: 0, rotated: 0, acked };
            for run in &runs {
                world.run(run).await;
            }
            world.write(Write::Lines(1));
            let source = FileSource::builder(&world.place.log).offset_file(&world.place.offsets);
            let mut stream = source.build().unwrap().tail(RESUME);
            let last = world.written - 1;
            let mut found = world.acked.clone();
            loop {
                let batch = next(&mut stream).await.unwrap();
                let lines = batch.entries().map(|entry| entry.text().parse::<usize>().unwrap());
                let lines: Vec<usize> = lines.collect();
                found.extend(&lines);
                if lines.contains(&last) {
                    break;
                }
            }
            assert_eq!(found, (0..world.written).collect());
        });
    }
}

/// Only where places are kept: elsewhere nobody need acknowledge.
#[tokio::test]
async fn how_long_nothing_was_acknowledged_is_told() {
    for keeps in [true, false] {
        let place = Place::new();
        append(&place.log, "a line\n");
        let builder = FileSource::builder(&place.log).id("log");
        let builder = if keeps { builder.offset_file(&place.offsets) } else { builder };
        let source = builder.build().unwrap();
        let mut stream = source.tail(Position::Start);
        let counters = source.metrics().source("log").unwrap();
        let age = || counters.gauge(Gauge::UnackedSeconds);
        let batch = next(&mut stream).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(age() > 0, keeps);
        batch.ack();
        assert_eq!(age(), 0);
    }
}

/// Places are written when that was asked for, and when the stream is dropped in any case.
#[tokio::test]
async fn places_wait_for_as_long_as_was_asked_for() {
    for (within, waits) in [(Duration::from_secs(60), true), (Duration::from_millis(1), false)] {
        let place = Place::new();
        let builder = FileSource::builder(&place.log).id("log").offset_file(&place.offsets);
        let source = builder.commit_within(within).sync_within(within).build().unwrap();
        append(&place.log, "a line\n");
        let mut stream = source.tail(RESUME);
        let counters = source.metrics().source("log").unwrap();
        assert_eq!(lines(&mut stream, 1).await, ["a line"]);
        let acked =
            || fs::read_to_string(&place.offsets).unwrap_or_default().contains(r#""offset":7"#);
        if waits {
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert!(!acked());
        } else {
            until("it is written", async || acked()).await;
        }
        let before = counters.get(Count::Commits);
        drop(stream);
        assert!(acked() && counters.get(Count::Commits) >= before + u64::from(waits));
    }
    let refused = FileSource::builder("a.log").commit_within(Duration::ZERO).build();
    assert!(refused.unwrap_err().to_string().contains("commit_within"));
}

/// Of a file that was empty when it came, a first line that is read tells from then on which one it
/// is, acknowledged or not: what is written over it is not taken for it, nor its archive for another.
#[tokio::test]
async fn a_file_that_was_empty_is_known_by_what_was_read_of_it() {
    for is_over in [true, false] {
        let place = Place::new();
        append(&place.log, "");
        let source = || {
            FileSource::builder(&place.log).id("log").offset_file(&place.offsets).build().unwrap()
        };
        let first = source();
        let mut stream = first.tail(RESUME);
        append(&place.log, "a 1\n");
        let batch = next(&mut stream).await.unwrap();
        assert_eq!(batch.len(), 1);
        drop((stream, batch, first));
        if is_over {
            fs::write(&place.log, "b 1\n").unwrap();
        } else {
            fs::copy(&place.log, place.path("app.log.1")).unwrap();
            fs::write(&place.log, "").unwrap();
            append(&place.log, "b 1\n");
        }
        let second = source();
        let mut stream = second.tail(RESUME);
        let expected: &[&str] = if is_over { &["b 1"] } else { &["a 1", "b 1"] };
        assert_eq!(lines(&mut stream, expected.len()).await, expected);
        let metrics = second.metrics().source("log").unwrap();
        let lost = u64::from(is_over);
        assert_eq!(metrics.dropped(DropReason::Truncated), lost);
        assert_eq!(metrics.get(Count::Truncations), 1);
    }
}
