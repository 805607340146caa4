//! Commands and standard input.

use std::io::Write;
use std::time::Duration;

use birl_logsource::{
    CommandSource, DropReason, ErrorKind, HealthState, LogSource, Metrics, Overflow, Position,
    StdinSource,
};
use futures_util::StreamExt;

use crate::support::{lines, next, until};

fn shell(script: &str) -> CommandSource {
    CommandSource::builder(["sh", "-c", script]).id("cmd").build().unwrap()
}

#[tokio::test]
async fn a_command_is_read_to_its_end_and_its_last_line_needs_no_end() {
    let source = shell("echo one; echo; printf two; echo complaint >&2");
    assert_eq!(source.health_check().await.unwrap().state, HealthState::Waiting);
    let mut stream = source.tail(Position::Start);
    assert_eq!(lines(&mut stream, 2).await, ["one", "two"]);
    assert!(stream.next().await.is_none());
    let health = source.health_check().await.unwrap();
    assert!(health.reason.unwrap().contains("exit status: 0"));
}

#[tokio::test]
async fn a_command_that_fails_ends_the_stream_with_its_last_words() {
    let source = shell("echo one; echo 'disk on fire' >&2; exit 3");
    let mut stream = source.tail(Position::Start);
    assert_eq!(lines(&mut stream, 1).await, ["one"]);
    let error = next(&mut stream).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let text = error.to_string();
    assert!(text.contains("exit status: 3") && text.contains("disk on fire"), "{text}");
    assert!(stream.next().await.is_none());
    assert_eq!(source.health_check().await.unwrap().state, HealthState::Failed);
}

#[tokio::test]
async fn a_read_of_a_command_that_only_fails_is_no_empty_chunk() {
    let source = shell("echo 'no such disk' >&2; exit 3");
    let error = source.read(Position::Start, 10).await.unwrap_err();
    assert!(error.to_string().contains("no such disk"), "{error}");
    assert!(shell("true").read(Position::Start, 10).await.unwrap().batch.is_none());
    let other = Position::At(birl_logsource::Cursor::from_text("page 3"));
    let error = source.read(other, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_command_that_is_not_there_is_named() {
    let source = CommandSource::builder(["no-such-program"]).build().unwrap();
    let error = next(&mut source.tail(Position::Start)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("`no-such-program`"), "{error}");
    assert!(CommandSource::builder([""; 0]).build().is_err());
}

#[tokio::test]
async fn dropping_the_stream_ends_the_command_and_what_it_started() {
    let source = shell("sleep 1000 & echo $!; trap '' TERM; while :; do sleep 1000; done");
    let mut stream = source.tail(Position::Start);
    let pid = lines(&mut stream, 1).await.remove(0);
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    drop(stream);
    // A zombie counts as ended: whoever inherits it may be slow to bury it.
    until("the grandchild ends", async || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    })
    .await;
}

#[tokio::test]
async fn a_command_that_outlives_its_output_is_stopped_and_health_says_so() {
    let source = shell("echo one; exec >&-; exec sleep 1000");
    let mut stream = source.tail(Position::Start);
    assert_eq!(lines(&mut stream, 1).await, ["one"]);
    assert!(stream.next().await.is_none());
    let health = source.health_check().await.unwrap();
    assert!(health.reason.unwrap().contains("was stopped"));
}

/// Fills the buffer, and waits until the pump has seen all of it.
async fn overflowed(overflow: Overflow) -> (Vec<String>, u64, u64) {
    let metrics = Metrics::new();
    let script = "seq 1 20000; echo end; exec sleep 1000";
    let source = CommandSource::builder(["sh", "-c", script])
        .id("cmd")
        .buffer_bytes(32 << 10)
        .overflow(overflow)
        .metrics(metrics.clone())
        .build()
        .unwrap();
    let mut stream = source.tail(Position::Start);
    let counters = metrics.source("cmd").unwrap();
    let all = 20_001;
    if overflow != Overflow::Block {
        let seen = async || counters.get(birl_logsource::Count::Lines) == all;
        until("everything is read", seen).await;
    }
    let (oldest, newest) = (
        counters.dropped(DropReason::OverflowOldest),
        counters.dropped(DropReason::OverflowNewest),
    );
    let left = usize::try_from(all - oldest - newest).unwrap();
    (lines(&mut stream, left).await, oldest, newest)
}

#[tokio::test]
async fn a_full_buffer_does_what_it_was_told() {
    let (found, oldest, newest) = overflowed(Overflow::Block).await;
    assert_eq!((found.len(), oldest, newest), (20_001, 0, 0));
    let (found, oldest, newest) = overflowed(Overflow::DropOldest).await;
    assert!(oldest > 0 && newest == 0);
    assert_eq!(found.last().unwrap(), "end");
    let (found, oldest, newest) = overflowed(Overflow::DropNewest).await;
    assert!(newest > 0 && oldest == 0);
    assert_eq!(found.first().unwrap(), "1");
}

#[tokio::test]
async fn a_pipe_goes_on_where_the_last_stream_stopped() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let source = StdinSource::of_fd(reader).id("in").build().unwrap();
    let mut stream = source.tail(Position::Start);
    writer.write_all(b"1\n2\n3").unwrap();
    assert_eq!(lines(&mut stream, 2).await, ["1", "2"]);
    let mut busy = source.tail(Position::Start);
    let error = next(&mut busy).await.unwrap_err();
    assert!(error.to_string().contains("another stream"), "{error}");
    drop(stream);
    writer.write_all(b"3\n4\n").unwrap();
    drop(writer);
    let chunk = source.read(Position::Start, 1).await.unwrap();
    assert_eq!(chunk.batch.unwrap().get(0).unwrap().line(), b"33");
    let mut stream = source.tail(Position::Start);
    assert_eq!(lines(&mut stream, 2).await, ["33", "4"]);
    assert!(stream.next().await.is_none());
    let health = source.health_check().await.unwrap();
    assert!(health.reason.unwrap().contains("ended"));
}

#[tokio::test]
async fn anything_that_can_be_read_is_a_source() {
    let source = StdinSource::of_reader(&b"1\r\n\n2"[..]).build().unwrap();
    let mut stream = source.tail(Position::Start);
    assert_eq!(lines(&mut stream, 2).await, ["1", "2"]);
    let end = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
    assert!(end.unwrap().is_none());
}
