//! The journal, through a stand-in for `journalctl`.

use std::fs;
use std::time::{Duration, SystemTime};

use birl_logsource::{
    Count, DropReason, Edge, ErrorKind, HealthState, JournaldSource, LogSource, Position, Value,
};
use futures_util::StreamExt;

use crate::conformance::Journal;
use crate::support::{append, lines, next, until};

const RESUME: Position = Position::Resume { otherwise: Edge::Start };

fn binary(name: &str, value: &[u8]) -> Vec<u8> {
    let len = (value.len() as u64).to_le_bytes();
    [name.as_bytes(), b"\n", &len, value, b"\n"].concat()
}

#[tokio::test]
async fn every_field_is_there_byte_for_byte() {
    let journal = Journal::new();
    let mut fields = b"__REALTIME_TIMESTAMP=1700000000000001\n_PID=7\nTAG=a\nTAG=b\n".to_vec();
    fields.extend(binary("MESSAGE", b"two\nlines \xff\0"));
    journal.write(&fields);
    let batch = next(&mut journal.source().build().unwrap().tail(Position::Start)).await.unwrap();
    let entry = batch.get(0).unwrap();
    assert_eq!(entry.line(), b"two\nlines \xff\0");
    assert_eq!(entry.field("_PID"), Some(&b"7"[..]));
    let tags: Vec<_> = entry.source_fields().filter(|(name, _)| *name == b"TAG").collect();
    assert_eq!(tags, [(&b"TAG"[..], &b"a"[..]), (&b"TAG"[..], &b"b"[..])]);
    let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_001);
    let entry = entry.to_entry();
    assert_eq!(entry.timestamp, time);
    assert_eq!(entry.labels["source"], "journald");
    let both = Value::List(vec![Value::Str("a".into()), Value::Str("b".into())]);
    assert_eq!(entry.fields.get("TAG"), Some(&both));
}

#[tokio::test]
async fn what_is_asked_for_is_what_journalctl_is_told() {
    let journal = Journal::new();
    journal.write(b"MESSAGE=1\n");
    let source = journal
        .source()
        .unit("a.service")
        .unit("b.service")
        .priority("warning")
        .directory("/some/where")
        .since(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250))
        .build()
        .unwrap();
    lines(&mut source.tail(Position::Start), 1).await;
    let calls = fs::read_to_string(journal.place.path("calls")).unwrap();
    for option in [
        "--output=export",
        "--follow",
        "--merge",
        "--boot=all",
        "--no-tail",
        "--unit=a.service",
        "--unit=b.service",
        "--priority=warning",
        "--directory=/some/where",
        "--since=@1700000000.250000",
    ] {
        assert!(calls.split_whitespace().any(|word| word == option), "{option} in {calls}");
    }
}

#[tokio::test]
async fn a_child_that_dies_is_started_again_after_its_last_entry() {
    let journal = Journal::new();
    let source = journal.source().build().unwrap();
    let mut stream = source.tail(Position::Start);
    journal.write(b"MESSAGE=1\n");
    assert_eq!(lines(&mut stream, 1).await, ["1"]);
    let pid = fs::read_to_string(journal.place.path("pid")).unwrap();
    let killed = std::process::Command::new("kill").arg(pid.trim()).status().unwrap();
    assert!(killed.success());
    let error = next(&mut stream).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.to_string().contains("journalctl ended with"), "{error}");
    journal.write(b"MESSAGE=2\n");
    assert_eq!(lines(&mut stream, 1).await, ["2"]);
    let is_ready = async || source.health_check().await.unwrap().state == HealthState::Ready;
    until("it is well again", is_ready).await;
    let counters = source.metrics().source("journald").unwrap();
    assert_eq!(counters.get(Count::Restarts), 1);
}

#[tokio::test]
async fn a_child_that_stands_still_is_replaced() {
    let journal = Journal::new();
    let source = journal.source().build().unwrap();
    let mut stream = source.tail(Position::Start);
    journal.write(b"MESSAGE=1\n");
    assert_eq!(lines(&mut stream, 1).await, ["1"]);
    let pid = fs::read_to_string(journal.place.path("pid")).unwrap();
    std::process::Command::new("kill").args(["-STOP", pid.trim()]).status().unwrap();
    journal.write(b"MESSAGE=2\n");
    let error = next(&mut stream).await.unwrap_err();
    assert!(error.to_string().contains("stopped"), "{error}");
    assert_eq!(lines(&mut stream, 1).await, ["2"]);
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_passed_over_and_counted() {
    let journal = Journal::new();
    journal.write(b"MESSAGE=1\n");
    journal.write(b"MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xff\n");
    journal.write(b"MESSAGE=3\n");
    let source = journal.source().build().unwrap();
    let mut stream = source.tail(Position::Start);
    assert_eq!(lines(&mut stream, 1).await, ["1"]);
    assert!(next(&mut stream).await.unwrap_err().is_retryable());
    assert_eq!(lines(&mut stream, 1).await, ["3"]);
    let counters = source.metrics().source("journald").unwrap();
    assert_eq!(counters.dropped(DropReason::Unreadable), 1);
}

#[tokio::test]
async fn what_is_left_out_is_passed_over_for_good() {
    let journal = Journal::new();
    let build = || {
        let own = journal.source().exclude_pid(7).exclude_unit("me.service");
        own.build().unwrap()
    };
    journal.write(b"MESSAGE=1\n_PID=7\n");
    journal.write(b"MESSAGE=2\n_PID=77\n");
    journal.write(b"MESSAGE=3\n_SYSTEMD_UNIT=me.service\n");
    let source = build();
    let mut stream = source.tail(RESUME);
    assert_eq!(lines(&mut stream, 1).await, ["2"]);
    drop((stream, source));
    journal.write(b"MESSAGE=4\n");
    assert_eq!(lines(&mut build().tail(RESUME), 1).await, ["4"]);
}

#[tokio::test]
async fn a_journalctl_that_is_not_there_ends_the_stream_and_says_what_to_do() {
    let source = JournaldSource::builder().journalctl("/no/such/journalctl").build().unwrap();
    let mut stream = source.tail(Position::Start);
    let error = next(&mut stream).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("name another program"), "{error}");
    assert!(stream.next().await.is_none());
    assert_eq!(source.health_check().await.unwrap().state, HealthState::Failed);
}

#[tokio::test]
async fn a_journalctl_that_always_fails_is_tried_again_and_told_once() {
    let journal = Journal::new();
    let failing = "#!/bin/sh\necho 'no journal files' >&2\nexit 1\n";
    fs::write(journal.place.path("journalctl"), failing).unwrap();
    let source = journal.source().build().unwrap();
    let mut stream = source.tail(Position::Start);
    let error = next(&mut stream).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.to_string().contains("no journal files"), "{error}");
    let counters = source.metrics().source("journald").unwrap();
    until("it is tried again", async || counters.get(Count::Restarts) >= 2).await;
    let health = source.health_check().await.unwrap();
    assert_eq!(health.state, HealthState::Degraded);
    assert!(source.read(Position::Start, 1).await.is_err());
}

#[test]
fn what_cannot_be_asked_is_said_at_once() {
    let build = |builder: birl_logsource::JournaldSourceBuilder| builder.build().unwrap_err();
    let error = build(JournaldSource::builder().priority("loud"));
    assert!(error.to_string().contains("warning"), "{error}");
    let error = build(JournaldSource::builder().directory("/a").file("/b"));
    assert!(error.to_string().contains("one of the three"), "{error}");
}

#[tokio::test]
async fn what_came_after_the_end_and_was_not_acknowledged_comes_again() {
    let journal = Journal::new();
    let from_end = Position::Resume { otherwise: Edge::End };
    journal.write(b"MESSAGE=1\n");
    for _ in 0..2 {
        // The first run is at the end; the second is where the first was.
        let source = journal.source().build().unwrap();
        let mut stream = source.tail(from_end.clone());
        until("journalctl follows", async || {
            let calls = fs::read_to_string(journal.place.path("calls")).unwrap_or_default();
            calls.contains("--follow")
        })
        .await;
        if !fs::read_to_string(&journal.place.log).unwrap().contains("MESSAGE=2") {
            journal.write(b"MESSAGE=2\n");
        }
        let batch = next(&mut stream).await.unwrap();
        assert_eq!(batch.get(0).unwrap().line(), b"2");
    }
}

#[tokio::test]
async fn a_journalctl_that_goes_away_for_a_while_is_waited_for() {
    let journal = Journal::new();
    let mut stream = journal.source().build().unwrap().tail(Position::Start);
    journal.write(b"MESSAGE=1\n");
    assert_eq!(lines(&mut stream, 1).await, ["1"]);
    // As while its package is being replaced.
    let (program, away) = (journal.place.path("journalctl"), journal.place.path("away"));
    fs::rename(&program, &away).unwrap();
    let pid = fs::read_to_string(journal.place.path("pid")).unwrap();
    std::process::Command::new("kill").arg(pid.trim()).status().unwrap();
    for _ in 0..2 {
        assert!(next(&mut stream).await.unwrap_err().is_retryable());
    }
    fs::rename(&away, &program).unwrap();
    journal.write(b"MESSAGE=2\n");
    assert_eq!(lines(&mut stream, 1).await, ["2"]);
}

#[tokio::test]
async fn a_cursor_of_another_source_is_refused() {
    let journal = Journal::new();
    append(&journal.place.path("x.log"), "1\n");
    let file = birl_logsource::FileSource::builder(journal.place.path("x.log")).build().unwrap();
    let place = file.read(Position::Start, 1).await.unwrap().next;
    let source = journal.source().build().unwrap();
    let error = source.read(Position::At(place), 1).await.unwrap_err();
    assert!(error.to_string().contains("not a place in a journal"), "{error}");
}
