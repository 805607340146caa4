//! Bytes that were made into the wrong lines.

use std::fs;
use std::time::Duration;

use birl_logsource::{Batch, Budget, Count, FileSource, Framing, Join, LogSource, Multiline};
use futures_util::{FutureExt, StreamExt};
use proptest::prelude::*;

use super::*;
use crate::support::until;

/// What a plain split makes of it. The last part has no end, so it is not over.
fn naive(text: &[u8], delimiter: &[u8]) -> Vec<Vec<u8>> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.windows(delimiter.len()).position(|part| part == delimiter) {
        found.push(rest[..at].to_vec());
        rest = &rest[at + delimiter.len()..];
    }
    found.retain(|line| !line.iter().all(u8::is_ascii_whitespace));
    found
}

/// Everything that is in the file now, batch after batch.
async fn read_all(source: &FileSource) -> Vec<Vec<u8>> {
    let (mut found, mut from) = (Vec::new(), Position::Start);
    loop {
        let chunk = source.read(from, 7).await.unwrap();
        let lines = |batch: &Batch| batch.entries().map(|entry| entry.line().to_vec()).collect();
        found.extend(chunk.batch.as_ref().map(lines).unwrap_or_else(Vec::new));
        if chunk.at_end {
            return found;
        }
        from = Position::At(chunk.next);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn pain_26_a_delimiter_of_several_bytes(
        delimiter in prop::collection::vec(prop::sample::select(&b"ab|\n"[..]), 1..5),
        // Much of it is parts of the delimiter.
        text in prop::collection::vec(prop::sample::select(&b"ab|\nxy"[..]), 0..600),
        batch_bytes in 1_usize..64,
    ) {
        let log = Log::new();
        append(log.path(), &text);
        let framing = Framing::new().delimiter(&delimiter);
        let builder = log.builder().batch_bytes(batch_bytes).framing(framing);
        let source = builder.build().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(read_all(&source));
        prop_assert_eq!(found, naive(&text, &delimiter));
    }
}

#[tokio::test]
async fn pain_26_a_delimiter_that_is_written_in_two_parts() {
    let log = Log::new();
    let mut run = Run::of(log.builder().framing(Framing::new().delimiter("<|end|>")));
    for part in ["one<|en", "d|>two<", "|end", "|>three<|end|", ">", "four<|end|>"] {
        append(log.path(), part);
        tokio::task::yield_now().await;
    }
    assert_eq!(run.lines(4).await, ["one", "two", "three", "four"]);
    assert!(run.stream.next().now_or_never().is_none());
}

/// A line as containerd and cri-o write it.
fn cri(stream: &str, tag: char, message: &str) -> String {
    format!("2026-11-23T08:00:00.123456789Z {stream} {tag} {message}\n")
}

/// A message in parts, as the runtime cuts it.
fn cri_parts(stream: &str, message: &str) -> Vec<String> {
    let chunks = message.as_bytes().chunks(16 << 10);
    let last = chunks.len() - 1;
    let part = |(n, chunk): (usize, &[u8])| {
        let tag = if n == last { 'F' } else { 'P' };
        cri(stream, tag, std::str::from_utf8(chunk).unwrap())
    };
    chunks.enumerate().map(part).collect()
}

#[tokio::test]
async fn pain_29_a_last_part_that_never_comes() {
    let log = Log::new();
    append(log.path(), cri("stdout", 'P', "the beginning "));
    let join = Join::containers().part_time_out(Duration::from_millis(50));
    let mut run = Run::of(log.builder().framing(Framing::new().join(join)));
    let batch = next(&mut run.stream).await.unwrap();
    let entry = batch.get(0).unwrap();
    assert_eq!(entry.text(), "the beginning ");
    assert!(entry.field("partial").is_some());
    batch.ack();
    // What is whole is not marked.
    append(log.path(), cri("stdout", 'F', "next"));
    let batch = next(&mut run.stream).await.unwrap();
    let entry = batch.get(0).unwrap();
    assert_eq!((&*entry.text(), entry.field("partial")), ("next", None));
    assert_eq!(run.count(Count::Partial), 1);
}

#[tokio::test]
async fn pain_30_long_lines_in_parts_of_two_streams() {
    let log = Log::new();
    let framing = Framing::new().join(Join::containers());
    let mut run = Run::of(log.builder().batch_bytes(4096).framing(framing));
    let (out, err) = ("o".repeat(100 << 10), "e".repeat(100 << 10));
    for (out, err) in cri_parts("stdout", &out).into_iter().zip(cri_parts("stderr", &err)) {
        append(log.path(), out);
        append(log.path(), err);
    }
    append(log.path(), cri("stdout", 'F', END));
    let found = run.rest().await;
    assert!(found == [out, err], "{:?}", found.iter().map(String::len).collect::<Vec<_>>());
}

#[tokio::test]
async fn pain_30_long_lines_in_parts_mixed_and_rotated() {
    for rotated_after in 0..7 {
        let log = Log::new();
        let framing = Framing::new().join(Join::containers());
        let mut run = Run::of(log.builder().batch_bytes(4096).framing(framing));
        let (out, err) = ("o".repeat(100 << 10), "e".repeat(100 << 10));
        let mixed = cri_parts("stdout", &out).into_iter().zip(cri_parts("stderr", &err));
        for (n, (out, err)) in mixed.enumerate() {
            append(log.path(), out);
            append(log.path(), err);
            if n == rotated_after {
                fs::rename(log.path(), log.at("app.log.20261123-080000")).unwrap();
            }
        }
        append(log.path(), cri("stdout", 'F', END));
        let found = run.rest().await;
        let lengths = found.iter().map(String::len).collect::<Vec<_>>();
        assert!(found == [out, err], "{rotated_after}: {lengths:?}");
    }
}

#[tokio::test]
async fn pain_30_a_long_line_that_is_finished_after_a_restart() {
    let log = Log::new();
    let framing = Framing::new().join(Join::containers());
    let builder = || log.builder().batch_bytes(4096).framing(framing.clone());
    let message = "m".repeat(100 << 10);
    let parts = cri_parts("stdout", &message);
    append(log.path(), cri("stdout", 'F', "first") + &parts[..3].concat());
    let mut run = Run::of(builder());
    assert_eq!(run.lines(1).await, ["first"]);
    drop(run);
    fs::rename(log.path(), log.at("app.log.20261123-080000")).unwrap();
    append(log.path(), parts[3..].concat() + &cri("stdout", 'F', END));
    assert!(Run::of(builder()).rest().await == [message]);
}

#[tokio::test]
async fn pain_27_records_larger_than_the_memory_that_is_given() {
    let log = Log::new();
    let budget = Budget::new(64 << 10);
    let multiline = Multiline::start("^record").unwrap().max_bytes(2 << 20).max_lines(1 << 14);
    let join = Join::multiline(multiline);
    let framing = Framing::new().max_line_bytes(2 << 20).join(join);
    let mut run = Run::of(log.builder().batch_bytes(4096).framing(framing).budget(&budget));
    let record = |n: usize| {
        // One of many is as long as 16 budgets, and has as many lines.
        let details = if n % 100 == 50 { 1 << 13 } else { n % 3 };
        let lines = (0..details).map(|line| format!("\n  detail {line:04} {}", "x".repeat(112)));
        format!("record {n:06}{}", lines.collect::<String>())
    };
    let records: Vec<_> = (0..300).map(record).collect();
    for (n, chunk) in records.chunks(100).enumerate() {
        log.write(chunk);
        fs::rename(log.path(), log.at(&format!("app.log-{}", 20_261_100 + n))).unwrap();
    }
    append(log.path(), "record that ends the last one\n");
    let found = run.lines(300).await;
    assert!(found == records, "{:?}", found.iter().map(String::len).collect::<Vec<_>>());
    assert_eq!(run.all_dropped(), 0);
    assert_eq!(budget.in_flight_bytes(), 0);
}

/// Files that come and go while nothing can be read are read all the same.
#[tokio::test]
async fn pain_27_files_that_come_in_a_pause_are_opened() {
    let log = Log::new();
    let pattern = FileSource::builder(log.at("*.log")).id("log").offset_file(&log.place.offsets);
    let mut run = Run::of(pattern.batch_bytes(1024).max_in_flight_bytes(2048));
    log.write(&numbered("a", 0..1000));
    until("reading is paused", async || run.count(Count::Stalls) > 0).await;
    for n in 0..5 {
        let other = log.at(&format!("other {n}.log"));
        append(&other, joined(&numbered(&format!("other {n}"), 0..10)));
        until("it is opened", async || run.count(Count::Files) == 2 + n).await;
        fs::remove_file(other).unwrap();
    }
    let mut found = run.lines(1050).await;
    found.sort_unstable();
    let others = (0..5).flat_map(|n| numbered(&format!("other {n}"), 0..10));
    assert!(found.into_iter().eq(numbered("a", 0..1000).into_iter().chain(others)));
    assert_eq!(run.all_dropped(), 0);
}
