//! Commands and standard input.

use std::io::Write;
use std::time::Duration;

use birl_logsource::{
    CommandSource, Count, DropReason, ErrorKind, Framing, HealthState, Join, LogSource, LongLines,
    Metrics, Multiline, Overflow, Position, StdinSource,
};
use futures_util::StreamExt;

use crate::support::{PATIENCE, lines, next, until};

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

#[tokio::test]
async fn a_place_ahead_of_what_was_read_is_gone_on_from() {
    let text = "1\n2\n3\n4\n5\n";
    for ahead in [false, true] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let source = StdinSource::of_fd(reader).build().unwrap();
        let (first, rest) = text.split_at(4);
        writer.write_all(first.as_bytes()).unwrap();
        // What a program kept of an earlier run, over the same input.
        let chunk = StdinSource::of_reader(&b"1\n2\n3\n4\n"[..]).build().unwrap();
        let batch = next(&mut chunk.tail(Position::Start)).await.unwrap();
        let place = Position::At(batch.cursor().clone());
        if ahead {
            // Some of it is here already.
            assert_eq!(source.read(Position::Start, 9).await.unwrap().batch.unwrap().len(), 2);
        }
        writer.write_all(rest.as_bytes()).unwrap();
        drop(writer);
        let mut stream = source.tail(place);
        assert_eq!(lines(&mut stream, 1).await, ["5"]);
        assert!(stream.next().await.is_none());
    }
    // An unfinished line that it lies behind is passed over, too; one that it lies in comes whole.
    for (place, expected) in [("1\n22\n", "33"), ("1\n2", "22")] {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let source = StdinSource::of_fd(reader).build().unwrap();
        writer.write_all(b"1\n2").unwrap();
        assert_eq!(source.read(Position::Start, 9).await.unwrap().batch.unwrap().len(), 1);
        let earlier = StdinSource::of_reader(place.as_bytes()).build().unwrap();
        let mut stream = earlier.tail(Position::Start);
        let mut cursor = None;
        while let Some(batch) = stream.next().await {
            cursor = Some(batch.unwrap().cursor().clone());
        }
        writer.write_all(b"2\n33\n").unwrap();
        drop(writer);
        let mut stream = source.tail(Position::At(cursor.unwrap()));
        assert_eq!(lines(&mut stream, 1).await[0], expected);
    }
}

/// Everything that comes of a text, to its end.
async fn all(text: Vec<u8>, framing: Framing) -> Vec<String> {
    let reader = std::io::Cursor::new(text);
    let source = StdinSource::of_reader(reader).framing(framing).build().unwrap();
    let mut stream = source.tail(Position::Start);
    let mut found = Vec::new();
    while let Some(batch) = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap() {
        let batch = batch.unwrap();
        found.extend(batch.entries().map(|entry| entry.text().into_owned()));
    }
    found
}

#[tokio::test]
async fn a_hole_as_large_as_a_slab_is_no_end_of_file() {
    let text = [&b"first\n"[..], &[0; 65_536], b"second\nthird\n"].concat();
    assert_eq!(all(text, Framing::new()).await, ["first", "second", "third"]);
    let source = shell("head -c 70000 /dev/zero; echo; echo one; echo two");
    let mut stream = source.tail(Position::Start);
    assert_eq!(lines(&mut stream, 2).await, ["one", "two"]);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_long_line_after_a_group_is_no_end_of_file() {
    let long = "=".repeat(4 << 20);
    let text = format!("java.lang.Exception: x\n\tat a.B.c(B.java:1)\n{long}\nnext\nlast\n");
    let framing = Framing::new().join(Join::multiline(Multiline::java()));
    let found = all(text.into_bytes(), framing).await;
    let heads: Vec<&str> = found.iter().map(|line| &line[..line.len().min(9)]).collect();
    assert_eq!(heads, ["java.lang", "=========", "next", "last"]);
}

#[tokio::test]
async fn what_is_held_behind_a_full_slab_comes_at_the_end() {
    let line = |rest: &str| format!("2026-11-23T08:00:00Z {rest}");
    let mut text = line("stderr P begun\n");
    for _ in 0..80 {
        text += &line(&format!("stdout F {}\n", "=".repeat(1000)));
    }
    text += &line("stdout P tail\n");
    text += &line("stderr F ended");
    let found = all(text.into_bytes(), Framing::new().join(Join::containers())).await;
    assert_eq!(found.len(), 82);
    assert_eq!((found[0].as_str(), found[81].as_str()), ("begunended", "tail"));
}

#[tokio::test]
async fn what_was_read_before_the_end_and_not_taken_comes_with_the_next_stream() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let metrics = Metrics::new();
    let source = StdinSource::of_fd(reader).id("in").metrics(metrics.clone()).build().unwrap();
    let stream = source.tail(Position::Start);
    writer.write_all(b"1\n2\n3").unwrap();
    drop(writer);
    until("the input has ended", async || {
        source.health_check().await.unwrap().state == HealthState::Waiting
    })
    .await;
    drop(stream);
    let mut stream = source.tail(Position::Start);
    assert_eq!(lines(&mut stream, 3).await, ["1", "2", "3"]);
    assert!(stream.next().await.is_none());
    assert_eq!(metrics.source("in").unwrap().get(Count::Lines), 3);
}

#[tokio::test]
async fn the_pieces_of_one_message_are_read_once_each() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let framing = Framing::new().max_line_bytes(60).long_lines(LongLines::Split);
    let framing = framing.join(Join::containers());
    let source = StdinSource::of_fd(reader).framing(framing).build().unwrap();
    let line = |rest: String| format!("2026-11-23T08:00:00Z stdout {rest}\n");
    let text = line("F one".into())
        + &line(format!("P {}", "a".repeat(130)))
        + &line(format!("P {}", "b".repeat(130)))
        + &line("F c".into())
        + &line("F two".into());
    writer.write_all(text.as_bytes()).unwrap();
    drop(writer);
    let whole = source.read(Position::Start, 100).await.unwrap().batch.unwrap();
    let expected: Vec<String> = whole.entries().map(|entry| entry.text().into_owned()).collect();
    assert_eq!(expected.concat(), format!("one{}{}ctwo", "a".repeat(130), "b".repeat(130)));
    for max in 1..4 {
        let (mut found, mut from) = (Vec::new(), Position::Start);
        for _ in 0..expected.len() {
            let chunk = source.read(from, max).await.unwrap();
            let batch = chunk.batch.unwrap();
            found.extend(batch.entries().map(|entry| entry.text().into_owned()));
            from = Position::At(chunk.next);
            if chunk.at_end {
                break;
            }
        }
        assert_eq!(found, expected, "{max} at a time");
    }
}

#[tokio::test]
async fn what_nobody_took_of_a_command_is_counted() {
    for script in ["echo one; echo two; printf three; exec sleep 1000", "echo one; echo two"] {
        let metrics = Metrics::new();
        let builder = CommandSource::builder(["sh", "-c", script]).id("cmd");
        let source = builder.metrics(metrics.clone()).build().unwrap();
        let stream = source.tail(Position::Start);
        let cmd = metrics.source("cmd").unwrap();
        until("two lines are read", async || cmd.get(Count::Lines) >= 2).await;
        drop(stream);
        // The last line may not have been read yet.
        assert_eq!(cmd.dropped(DropReason::Abandoned), cmd.get(Count::Lines));
        assert_eq!(cmd.dropped_bytes(DropReason::Abandoned), cmd.get(Count::Bytes));
    }
}

#[tokio::test]
async fn what_is_still_held_when_the_input_is_dropped_is_counted() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let metrics = Metrics::new();
    let source = StdinSource::of_fd(reader).id("in").metrics(metrics.clone()).build().unwrap();
    writer.write_all(b"1\n2\n3").unwrap();
    assert_eq!(source.read(Position::Start, 1).await.unwrap().batch.unwrap().len(), 1);
    let counters = metrics.source("in").unwrap();
    assert_eq!(counters.get(Count::Lines), 0, "a look is no progress");
    drop(source);
    assert_eq!((counters.get(Count::Lines), counters.get(Count::Bytes)), (3, 5));
    assert_eq!(counters.dropped(DropReason::Abandoned), 3);
    assert_eq!(counters.dropped_bytes(DropReason::Abandoned), 5);
}

#[tokio::test]
async fn a_line_does_not_override_what_its_source_knows() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let framing = Framing::new().join(Join::containers());
    let source = StdinSource::of_fd(reader).framing(framing).build().unwrap();
    let line = r#"2026-11-23T08:00:00Z stderr F {"stream":"stdout","user":"eve"}"#;
    writer.write_all(line.as_bytes()).unwrap();
    drop(writer);
    let batch = next(&mut source.tail(Position::Start)).await.unwrap();
    let fields = batch.get(0).unwrap().to_entry().fields;
    let text = |name| fields.get(name).and_then(birl_logsource::Value::as_str);
    assert_eq!((text("stream"), text("user")), (Some("stderr"), Some("eve")));
}
