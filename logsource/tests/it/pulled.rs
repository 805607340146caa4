//! Files that are read on the thread of whoever asks.

use std::fs;
use std::time::Duration;

use birl_logsource::{
    Batch, BlockingTail, Edge, ErrorKind, FileSource, FileSourceBuilder, HealthState, LogSource,
    Position,
};

use tokio::time::Instant;

use crate::support::{PATIENCE, Place, append};

const RESUME: Position = Position::Resume { otherwise: Edge::Start };

fn builder(place: &Place) -> FileSourceBuilder {
    FileSource::builder(&place.log).commit_within(PATIENCE).offset_file(&place.offsets)
}

fn text(batch: &Batch) -> Vec<String> {
    batch.entries().map(|entry| entry.text().into_owned()).collect()
}

/// Takes lines, and acknowledges them, until there are so many.
fn lines(tail: &mut BlockingTail, count: usize) -> Vec<String> {
    let (mut found, begun) = (Vec::new(), Instant::now());
    while found.len() < count {
        assert!(begun.elapsed() < PATIENCE, "only {found:?} came");
        if let Some(batch) = tail.next_within(Duration::from_secs(1)).unwrap() {
            found.extend(text(&batch));
            batch.ack();
        }
    }
    found
}

#[test]
fn a_caller_follows_a_rotating_file_and_a_later_one_goes_on() {
    let place = Place::new();
    append(&place.log, "a 1\na 2\n");
    let source = builder(&place).build().unwrap();
    let mut tail = source.tail_blocking(RESUME).unwrap();
    assert_eq!(lines(&mut tail, 2), ["a 1", "a 2"]);
    for n in 0..20 {
        append(&place.log, format!("b {n}\n"));
        fs::rename(&place.log, place.path("app.log.1")).unwrap();
        append(&place.log, format!("c {n}\n"));
        assert_eq!(lines(&mut tail, 2), [format!("b {n}"), format!("c {n}")]);
    }
    append(&place.log, "not acknowledged\n");
    let batch = tail.next().unwrap().unwrap();
    assert_eq!(text(&batch), ["not acknowledged"]);
    // What was acknowledged is written down once it is dropped, and not only with its source.
    drop((batch, tail));
    let copied = place.path("copy.offsets");
    fs::copy(&place.offsets, &copied).unwrap();
    for source in [source, builder(&place).offset_file(copied).build().unwrap()] {
        assert_eq!(lines(&mut source.tail_blocking(RESUME).unwrap(), 1), ["not acknowledged"]);
    }
}

/// Rotated again and again while nobody asks, it is as after a restart.
#[test]
fn what_was_rotated_while_the_caller_was_away_comes_in_order() {
    let place = Place::new();
    append(&place.log, "0\n");
    let source = builder(&place).build().unwrap();
    let mut tail = source.tail_blocking(RESUME).unwrap();
    assert_eq!(lines(&mut tail, 1), ["0"]);
    for n in 1..=3 {
        for older in (1..n).rev() {
            let name = |number| place.path(&format!("app.log.{number}"));
            fs::rename(name(older), name(older + 1)).unwrap();
        }
        fs::rename(&place.log, place.path("app.log.1")).unwrap();
        // A file's time of birth tells which came first, and its clock ticks every few milliseconds.
        std::thread::sleep(Duration::from_millis(20));
        append(&place.log, format!("{n}\n"));
    }
    assert_eq!(lines(&mut tail, 3), ["1", "2", "3"]);
}

#[test]
fn a_look_without_time_says_what_is_there_and_one_with_time_waits_for_it() {
    let place = Place::new();
    let names: Vec<_> = (0..50).map(|n| place.path(&format!("{n:02}.log"))).collect();
    names.iter().for_each(|name| drop(append(name, "old\n")));
    let source = FileSource::builder(place.path("*.log")).build().unwrap();
    let mut tail = source.tail_blocking(Position::Start).unwrap();
    let mut now = || tail.next_within(Duration::ZERO).unwrap();
    let there = std::iter::from_fn(&mut now).map(|batch| batch.len()).sum::<usize>();
    assert_eq!(there, 50, "of each file");
    assert!(now().is_none());

    let begun = Instant::now();
    assert!(tail.next_within(Duration::from_millis(30)).unwrap().is_none());
    assert!(begun.elapsed() >= Duration::from_millis(30));
    let batch = std::thread::scope(|scope| {
        let batch = scope.spawn(|| tail.next_within(PATIENCE));
        append(&names[7], "new\n");
        batch.join().unwrap().unwrap()
    });
    assert_eq!(text(&batch.expect("it was there in time")), ["new"]);
}

/// Right after a batch, when a log that is written all the time would not be asked for a while.
#[test]
fn what_is_written_within_the_time_comes_in_time() {
    let place = Place::new();
    append(&place.log, "");
    let source = builder(&place).build().unwrap();
    let mut tail = source.tail_blocking(Position::Start).unwrap();
    for n in 0..50 {
        assert!(tail.next_within(Duration::ZERO).unwrap().is_none());
        append(&place.log, format!("{n}\n"));
        let batch = tail.next_within(Duration::ZERO).unwrap().expect("it is there");
        assert_eq!(text(&batch), [n.to_string()]);
    }
    let batch = std::thread::scope(|scope| {
        let batch = scope.spawn(|| {
            append(&place.log, "by another\n");
            tail.next_within(Duration::from_millis(1)).unwrap()
        });
        batch.join().unwrap()
    });
    assert_eq!(text(&batch.expect("it was there before it was asked for")), ["by another"]);
}

/// A caller who keeps what it was given is told that there is nothing, and not held for ever.
#[test]
fn batches_that_are_kept_are_not_read_past_the_budget() {
    let place = Place::new();
    append(&place.log, format!("{}\n", "x".repeat(99)).repeat(20_000));
    let source = builder(&place).batch_bytes(16 << 10).max_in_flight_bytes(200_000);
    let source = source.build().unwrap();
    let mut tail = source.tail_blocking(RESUME).unwrap();
    let mut kept: Vec<Batch> =
        std::iter::from_fn(|| tail.next_within(Duration::ZERO).unwrap()).collect();
    let bytes: usize = kept.iter().map(Batch::bytes).sum();
    assert!((100_000..250_000).contains(&bytes), "{bytes}");
    let begun = Instant::now();
    assert!(tail.next_within(Duration::from_millis(20)).unwrap().is_none());
    assert!(begun.elapsed() >= Duration::from_millis(20), "it waits for room");
    // Room that another thread makes is noticed.
    let next = std::thread::scope(|scope| {
        let next = scope.spawn(|| tail.next_within(PATIENCE).unwrap().map(|batch| batch.len()));
        kept.drain(..).for_each(Batch::ack);
        next.join().unwrap()
    });
    let rest = 20_000 - bytes / 100 - next.expect("there was room");
    assert_eq!(lines(&mut tail, rest).len(), rest);
}

#[tokio::test]
async fn what_is_wrong_is_told_and_reading_goes_on() {
    let place = Place::new();
    std::os::unix::fs::symlink(&place.log, &place.log).unwrap();
    append(&place.path("other.log"), "a line\n");
    let source = builder(&place).include(place.path("other.log")).build().unwrap();
    let mut tail = source.tail_blocking(RESUME).unwrap();
    let (mut told, mut found) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    while told.is_empty() || found.is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{told:?} {found:?}");
        match tail.next_within(Duration::from_millis(10)) {
            Ok(batch) => found.extend(batch.iter().flat_map(text)),
            Err(error) => told.push(error),
        }
    }
    assert_eq!(found, ["a line"]);
    assert!(told[0].is_retryable() && told[0].to_string().contains("app.log"), "{}", told[0]);
    assert_eq!(source.health_check().await.unwrap().state, HealthState::Degraded);
}

#[test]
fn a_beginning_that_cannot_be_is_an_error_at_once() {
    let place = Place::new();
    let source = builder(&place).build().unwrap();
    let mut tail = source.tail_blocking(Position::Start).unwrap();
    append(&place.log, "a line\n");
    assert_eq!(lines(&mut tail, 1), ["a line"]);
    let second = builder(&place).build().unwrap();
    let error = second.tail_blocking(RESUME).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("state.offsets"), "{error}");
}
