//! Limits that are reached: events, disk space, memory, and a file with a hole in it.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use birl_logsource::{Count, DropReason, Gauge, LogSource, PushSource};

use super::*;
use crate::far_end::{FarEnd, Home, checksum};
use crate::support::until;

/// How many events the kernel keeps for a watcher that does not look.
fn queued_events() -> usize {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events");
    limit.ok().and_then(|limit| limit.trim().parse().ok()).unwrap_or(16_384)
}

/// Two events and more for each time.
fn make_noise(files: &[PathBuf; 2], times: usize) {
    for n in 0..times {
        // Two files in turn: the kernel keeps events apart only if they differ from the last one.
        fs::write(&files[n % 2], "").unwrap();
        fs::remove_file(&files[n % 2]).unwrap();
    }
}

#[test]
fn pain_12_more_events_than_the_kernel_keeps_for_a_process_that_is_stopped() {
    let home = Home::new();
    append(&home.log(), "say first\n");
    let mut far_end = FarEnd::start(&home, &["env"]);
    far_end.answer("first");
    far_end.stop();
    make_noise(&[home.at("noise.0"), home.at("noise.1")], queued_events());
    append(&home.log(), "1\n");
    fs::rename(home.log(), home.at("app.log.1")).unwrap();
    append(&home.log(), "2\n");
    far_end.act(&["kill", "-CONT"]);
    append(&home.log(), format!("3\n{END}\n"));
    let lines = [&b"say first"[..], b"1", b"2", b"3"];
    let told = far_end.told();
    assert_eq!(told.checksum, lines.into_iter().fold(0, checksum));
    assert!(told.rescans > 0, "no events were lost");
}

#[tokio::test]
async fn pain_12_many_events_while_the_consumer_is_slow() {
    let log = Log::new();
    let mut run = Run::of(log.builder().batch_bytes(256));
    log.write(&numbered("a", 0..200));
    let mut found = run.lines(1).await;
    // From here on nobody takes what is read. The reader takes events all the same: they do not
    // pile up as they do for a process that is stopped.
    until("the reader waits", async || run.count(Count::Batches) > 2).await;
    make_noise(&[log.at("noise.0"), log.at("noise.1")], queued_events() / 2 + 100);
    log.write(&numbered("a", 200..300));
    fs::rename(log.path(), log.at("app.log.1")).unwrap();
    log.write(&numbered("b", 0..100));
    fs::rename(log.path(), log.at("app.log.2")).unwrap();
    log.write(&numbered("c", 0..100));
    log.end();
    found.extend(run.rest().await);
    let expected = [numbered("a", 0..300), numbered("b", 0..100), numbered("c", 0..100)];
    assert_eq!(found, expected.concat());
    // And it hears of what comes after that.
    log.write(&numbered("d", 0..1));
    assert_eq!(run.lines(1).await, numbered("d", 0..1));
}

#[tokio::test]
async fn pain_28_a_hole_before_the_next_line() {
    const HOLE: u64 = 1 << 30;
    let log = Log::new();
    log.write(&numbered("before", 0..10));
    let mut run = log.run();
    assert_eq!(run.lines(10).await, numbered("before", 0..10));
    // A writer that does not append goes on where it was, after the file was cut under it.
    let mut writer = fs::OpenOptions::new().write(true).open(log.path()).unwrap();
    writer.set_len(0).unwrap();
    writer.seek(SeekFrom::Start(HOLE)).unwrap();
    writer.write_all(joined(&numbered("after", 0..10)).as_bytes()).unwrap();
    assert_eq!(run.lines(10).await, numbered("after", 0..10));
    let skipped = run.metrics().dropped_bytes(DropReason::Hole);
    // Blocks of the file system are written whole: at most one of them is zeros that are there.
    assert!(skipped <= HOLE && skipped > HOLE - (1 << 20), "{skipped}");
}

#[tokio::test]
async fn pain_28_a_hole_and_a_restart() {
    const HOLE: u64 = 1 << 30;
    let log = Log::new();
    let mut writer = append(log.path(), "");
    writer.set_len(HOLE).unwrap();
    writer.write_all(b"1\n").unwrap();
    let mut run = log.run();
    assert_eq!(run.lines(1).await, ["1"]);
    drop(run);
    writer.write_all(b"2\n").unwrap();
    let mut run = log.run();
    assert_eq!(run.lines(1).await, ["2"]);
    assert_eq!(run.dropped(DropReason::Hole), 0);
}

#[tokio::test]
async fn pain_32_who_was_refused_is_named_in_bounded_memory() {
    let (pusher, source) =
        PushSource::builder("app").max_in_flight_bytes(64 << 10).build().unwrap();
    let _stream = source.tail(Position::Start);
    let refused = |key: &str, times: usize| {
        let pusher = pusher.keyed(key);
        (0..times).filter(|_| pusher.try_push(&[b'x'; 1000]).is_err()).count()
    };
    while refused("first", 1) == 0 {}
    let noisy = refused("noisy", 5_000);
    let quiet: usize = (0..1_000).map(|n| refused(&format!("quiet {n}"), 1)).sum();
    let told = source.metrics().source("app").unwrap().refused();
    assert!(told.len() <= 65, "{}", told.len());
    let noisiest = told.iter().find(|told| told.key.as_deref() == Some("noisy")).unwrap();
    assert_eq!(noisiest.lines as usize, noisy);
    let all: u64 = told.iter().map(|told| told.lines).sum();
    assert_eq!(all as usize, noisy + quiet + 1);
}

#[test]
fn pain_11_files_that_nobody_could_open_are_counted() {
    let home = Home::new();
    append(&home.log(), "say first\n");
    let mut far_end = FarEnd::start(&home, &["env"]);
    far_end.answer("first");
    far_end.stop();
    fs::rename(home.log(), home.at("app.log-20261120")).unwrap();
    for n in 0..10 {
        append(&home.log(), format!("{n}\n"));
        // Three of them are there long enough.
        match n % 3 {
            0 if n > 0 => fs::rename(home.log(), home.at(&format!("app.log-2026112{n}"))).unwrap(),
            _ => fs::remove_file(home.log()).unwrap(),
        }
    }
    append(&home.log(), "say last\n");
    far_end.act(&["kill", "-CONT"]);
    far_end.answer("last");
    // It is counted once everything that is there was read.
    let ticks = std::cell::Cell::new(0);
    far_end.wait_for("some ticks", || ticks.replace(ticks.get() + 1) > 5);
    append(&home.log(), format!("{END}\n"));
    let told = far_end.told();
    let lines = [&b"say first"[..], b"3", b"6", b"9", b"say last"];
    assert_eq!((told.checksum, told.rotated_away), (lines.into_iter().fold(0, checksum), 7));
}

#[tokio::test]
async fn pain_19_the_space_of_deleted_files_is_bounded() {
    const FILES: usize = 40;
    let log = Log::new();
    let mut run = Run::of(log.builder().batch_bytes(1024).max_held_bytes(1 << 20));
    let metrics = run.metrics();
    // Nobody takes what is read.
    for n in 0..FILES {
        log.write(&vec![format!("{n} {}", "x".repeat(100)); 1000]);
        let files = n as u64;
        until("it is opened", async || metrics.get(Count::Files) > files).await;
        fs::remove_file(log.path()).unwrap();
    }
    until("the oldest are let go of", async || {
        // The last files are deleted before the source has noticed that the first ones are.
        metrics.dropped_bytes(DropReason::HeldTooMuch) > 1 << 20
            && metrics.gauge(Gauge::HeldBytes) <= 1 << 20
    })
    .await;
    log.write(&numbered("last", 0..1));
    log.end();
    let found = run.rest().await;
    assert_eq!(found.last(), numbered("last", 0..1).last());
}
