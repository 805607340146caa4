//! How much memory may be in flight.

use std::sync::Arc;
use std::time::Duration;

use birl_logsource::{
    Batch, Budget, CommandSource, CommandSourceBuilder, Count, DropReason, FileSource, Gauge,
    LogSource, Metrics, Overflow, Position, SourceMetrics,
};
use futures_util::StreamExt;

use crate::conformance::Journal;
use crate::support::{Batches, Place, append, lines, next, until};

const MIB: usize = 1 << 20;

/// Above the mark, a pipe that drops goes on at a thousand lines a second.
#[tokio::test]
async fn what_may_drop_is_held_to_a_rate_and_counted() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest] {
        let metrics = Metrics::new();
        let source = writer(100_000).max_in_flight_bytes(MIB).buffer_bytes(64 * MIB);
        let source = source.overflow(overflow).metrics(metrics.clone()).build().unwrap();
        let mut stream = source.tail(Position::Start);
        let counters = counters(&metrics);
        let all = async || counters.get(Count::Lines) == 100_001;
        until("everything is read", all).await;
        let limited = counters.dropped(DropReason::RateLimited);
        let bytes = counters.dropped_bytes(DropReason::RateLimited);
        assert!(limited > 80_000, "{limited}");
        assert!(bytes.abs_diff(100 * limited) < 100, "{bytes}");
        assert!(counters.gauge(Gauge::InFlightBytes) < 1_300_000);
        let left = 100_001 - usize::try_from(limited).unwrap();
        assert_eq!(lines(&mut stream, left).await.len(), left);
        let others = [DropReason::OverflowOldest, DropReason::OverflowNewest];
        assert_eq!(others.map(|reason| counters.dropped(reason)), [0, 0]);
    }
}

/// As much as was asked for: nothing is held to a rate before all of the budget is in flight, or next
/// to nothing is let in above the mark.
#[tokio::test]
async fn the_rate_of_what_may_drop_is_as_it_was_set() {
    for (rate, fills) in [(u32::MAX, true), (1, false)] {
        let source = writer(100_000).max_in_flight_bytes(4 * MIB).buffer_bytes(64 * MIB);
        let source = source.overflow(Overflow::DropNewest).mark_percent(50);
        let source = source.overload_rate(rate, rate).build().unwrap();
        let _stream = source.tail(Position::Start);
        let counters = counters(source.metrics());
        until("it is read", async || counters.get(Count::Lines) == 100_001).await;
        let in_flight = counters.gauge(Gauge::InFlightBytes);
        let between = 2 * MIB as u64..3 * MIB as u64;
        assert_eq!((in_flight >= 4 * MIB as u64, between.contains(&in_flight)), (fills, !fills));
        assert!(counters.dropped(DropReason::RateLimited) > 0);
    }
    assert!(writer(1).overload_rate(0, 1).build().is_err());
}

/// A command that writes so many lines of 100 bytes.
fn writer(lines: usize) -> CommandSourceBuilder {
    let script = format!("yes '{}' | head -n {lines}; echo end", "=".repeat(99));
    CommandSource::builder(["sh", "-c", &script]).id("cmd")
}

fn counters(metrics: &Metrics) -> Arc<SourceMetrics> {
    metrics.source("cmd").unwrap()
}

/// Takes batches and keeps them until none comes any more, since reading is paused.
async fn held_until_paused(stream: &mut Batches, counters: &SourceMetrics) -> Vec<Batch> {
    let mut held = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_millis(100), stream.next()).await {
            Ok(batch) => held.push(batch.unwrap().unwrap()),
            Err(_) if counters.get(Count::Stalls) > 0 => return held,
            Err(_) => {}
        }
    }
}

#[tokio::test]
async fn a_consumer_that_keeps_batches_holds_the_writer_back() {
    let metrics = Metrics::new();
    let source = writer(100_000).max_in_flight_bytes(MIB).metrics(metrics.clone());
    let source = source.build().unwrap();
    let mut stream = source.tail(Position::Start);
    let counters = counters(&metrics);
    let held = held_until_paused(&mut stream, &counters).await;
    let in_flight = counters.gauge(Gauge::InFlightBytes);
    assert!((850_000..1_300_000).contains(&in_flight), "{in_flight}");
    let read = counters.get(Count::Lines);
    assert!(read < 20_000, "{read}");

    let mut seen: usize = held.iter().map(Batch::len).sum();
    drop(held);
    let rest = lines(&mut stream, 100_001 - seen).await;
    seen += rest.len();
    assert_eq!((seen, rest.last().unwrap().as_str()), (100_001, "end"));
    assert_eq!(counters.gauge(Gauge::InFlightBytes), 0);
    assert_eq!(counters.dropped(DropReason::RateLimited), 0);
}

#[tokio::test]
async fn sources_that_share_a_budget_do_not_starve_each_other() {
    let (budget, metrics) = (Budget::new(MIB), Metrics::new());
    let build = |id: &str| {
        let source = writer(100_000).id(id).budget(&budget).metrics(metrics.clone());
        source.build().unwrap()
    };
    let (greedy, modest) = (build("cmd"), build("modest"));
    let mut greedy = greedy.tail(Position::Start);
    let held = held_until_paused(&mut greedy, &counters(&metrics)).await;
    assert!(budget.is_above_mark());
    // One of the two has taken everything and keeps it; the other goes on, one batch at a time.
    let mut modest = modest.tail(Position::Start);
    assert_eq!(lines(&mut modest, 100_001).await.last().unwrap(), "end");
    assert!(budget.is_above_mark());
    let left = 100_001 - held.iter().map(Batch::len).sum::<usize>();
    drop(held);
    assert_eq!(lines(&mut greedy, left).await.last().unwrap(), "end");
    assert_eq!(budget.in_flight_bytes(), 0);
}

#[tokio::test]
async fn the_journal_is_not_read_while_a_batch_is_kept() {
    let (journal, metrics) = (Journal::new(), Metrics::new());
    journal.write(b"MESSAGE=first\n");
    let source = journal.source().max_in_flight_bytes(1).metrics(metrics.clone()).build().unwrap();
    let mut stream = source.tail(Position::Start);
    let held = next(&mut stream).await.unwrap();
    let counters = metrics.source("journald").unwrap();
    until("it pauses", async || counters.get(Count::Stalls) == 1).await;
    for n in 0..1000 {
        journal.write(format!("MESSAGE={n}\n").as_bytes());
    }
    assert_eq!(counters.get(Count::Lines), 1);
    drop(held);
    let found = lines(&mut stream, 1000).await;
    assert_eq!((found[0].as_str(), found[999].as_str()), ("0", "999"));
}

/// Pain 27: a limit that is smaller than a line loses nothing, and neither does what is rotated
/// while reading is paused.
#[tokio::test]
async fn lines_larger_than_the_limit_come_though_files_are_rotated_meanwhile() {
    let (place, metrics) = (Place::new(), Metrics::new());
    let line = |n: usize| format!("{n:03} {}\n", "=".repeat(MIB - 10));
    let write = |from: usize| {
        append(&place.log, (from..from + 3).map(line).collect::<String>());
    };
    write(0);
    let source = FileSource::builder(place.path("*.log*")).id("cmd").max_in_flight_bytes(64 << 10);
    let source = source.metrics(metrics.clone()).build().unwrap();
    let mut stream = source.tail(Position::Start);
    let counters = counters(&metrics);
    let mut held = next(&mut stream).await.unwrap();
    until("it pauses", async || counters.get(Count::Stalls) > 0).await;
    for (from, name) in [(3, "app.log.1"), (6, "app.log.2"), (9, "app.log.3")] {
        std::fs::rename(&place.log, place.path(name)).unwrap();
        write(from);
        append(&place.path(&format!("new{from}.log")), line(100 + from));
    }
    let mut found = Vec::new();
    loop {
        let numbers = held.entries().map(|entry| {
            let text = entry.text();
            assert_eq!(text.len(), MIB - 6);
            text.split(' ').next().unwrap().parse::<usize>().unwrap()
        });
        found.extend(numbers);
        // One batch is all there ever is.
        assert!(counters.gauge(Gauge::InFlightBytes) < 4 * MIB as u64);
        held.ack();
        if found.len() == 15 {
            break;
        }
        held = next(&mut stream).await.unwrap();
    }
    found.sort_unstable();
    assert_eq!(found, (0..12).chain([103, 106, 109]).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_file_waits_for_its_consumer_and_memory_stays_flat() {
    let (place, metrics) = (Place::new(), Metrics::new());
    append(&place.log, format!("{}\n", "=".repeat(99)).repeat(100_000));
    let source = FileSource::builder(&place.log).id("cmd").max_in_flight_bytes(MIB);
    let source = source.metrics(metrics.clone()).build().unwrap();
    let mut stream = source.tail(Position::Start);
    let counters = counters(&metrics);
    let mut held = held_until_paused(&mut stream, &counters).await;
    let mut seen = held.iter().map(Batch::len).sum::<usize>();
    assert!(seen < 20_000, "{seen}");
    // One for one: what is dropped is what is read.
    while seen < 100_000 {
        assert!(counters.gauge(Gauge::InFlightBytes) < 1_400_000);
        held.remove(0).ack();
        held.push(next(&mut stream).await.unwrap());
        seen += held.last().unwrap().len();
    }
    assert_eq!(seen, 100_000);
    drop(held);
    assert_eq!(counters.gauge(Gauge::InFlightBytes), 0);
}
