//! Files that are renamed, cut, removed, late and odd.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use birl_logsource::{
    Count, DropReason, Edge, ErrorKind, FileSource, HealthState, LogSource, Position, Watch,
};
use futures_util::StreamExt;

use crate::support::{Place, append, lines, next, until};

const RESUME: Position = Position::Resume { otherwise: Edge::Start };

fn source(place: &Place) -> FileSource {
    FileSource::builder(&place.log).id("log").offset_file(&place.offsets).build().unwrap()
}

/// A file's time of birth tells which came first, and its clock ticks every few milliseconds.
fn tick() {
    std::thread::sleep(Duration::from_millis(20));
}

/// Whether this process holds the file of that name.
fn is_open(path: &std::path::Path) -> bool {
    let fds = fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
    fds.filter_map(|fd| fs::read_link(fd.path()).ok()).any(|link| link == path)
}

fn count(source: &FileSource, count: Count) -> u64 {
    source.metrics().source("log").unwrap().get(count)
}

fn dropped(source: &FileSource, reason: DropReason) -> u64 {
    source.metrics().source("log").unwrap().dropped(reason)
}

#[tokio::test]
async fn a_renamed_file_is_read_to_its_end_before_the_next() {
    let place = Place::new();
    let mut old = append(&place.log, "a 1\n");
    let source = source(&place);
    let mut stream = source.tail(Position::Start);
    assert_eq!(lines(&mut stream, 1).await, ["a 1"]);
    fs::rename(&place.log, place.path("app.log.1")).unwrap();
    append(&place.log, "b 1\n");
    // A writer that was not told yet.
    std::io::Write::write_all(&mut old, b"a 2\n").unwrap();
    let mut found = lines(&mut stream, 2).await;
    std::io::Write::write_all(&mut old, b"a 3\n").unwrap();
    found.extend(lines(&mut stream, 1).await);
    append(&place.log, "b 2\n");
    found.extend(lines(&mut stream, 1).await);
    found.sort();
    assert_eq!(found, ["a 2", "a 3", "b 1", "b 2"]);
    assert_eq!(count(&source, Count::Rotations), 1);
}

#[tokio::test]
async fn rotations_under_load_lose_nothing_and_keep_the_order() {
    let place = Place::new();
    let source = source(&place);
    let mut stream = source.tail(Position::Start);
    let (log, dir) = (place.log.clone(), place.dir.path().to_owned());
    let writer = std::thread::spawn(move || {
        for n in 0..3000 {
            append(&log, format!("{n}\n"));
            if n % 300 == 299 {
                // Like dates, the names tell the order of files written at one tick of the clock.
                fs::rename(&log, dir.join(format!("app.log.{}", 20_261_123 + n))).unwrap();
            }
        }
    });
    let found = lines(&mut stream, 3000).await;
    writer.join().unwrap();
    let expected: Vec<String> = (0..3000).map(|n: u32| n.to_string()).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn files_that_came_and_were_renamed_between_two_looks_are_read() {
    let place = Place::new();
    let source = FileSource::builder(&place.log)
        .watch(Watch::Poll)
        .poll_interval(Duration::from_millis(300));
    let mut stream = source.build().unwrap().tail(Position::End);
    for (line, rotated) in [("a\n", "app.log.2"), ("b\n", "app.log.1")] {
        append(&place.log, line);
        tick();
        fs::rename(&place.log, place.path(rotated)).unwrap();
    }
    assert_eq!(lines(&mut stream, 2).await, ["a", "b"]);
}

#[tokio::test]
async fn a_stalled_consumer_misses_no_rotation() {
    let place = Place::new();
    let source =
        FileSource::builder(&place.log).batch_bytes(64).offset_file(&place.offsets).build();
    let mut stream = source.unwrap().tail(Position::Start);
    let mut expected = Vec::new();
    for generation in 0..5 {
        let batch: Vec<String> = (0..100).map(|n| format!("{generation}-{n}")).collect();
        append(&place.log, batch.join("\n") + "\n");
        expected.extend(batch);
        if generation == 0 {
            // It reads ahead what it may, and then it waits for us.
            assert!(!next(&mut stream).await.unwrap().is_empty());
        }
        tick();
        fs::rename(&place.log, place.path(&format!("app.log.{generation}"))).unwrap();
    }
    append(&place.log, "end\n");
    expected.push("end".to_owned());
    drop(stream);
    // Nothing was acknowledged, so a new run has all of it, five rotations later.
    let source = self::source(&place);
    let mut stream = source.tail(RESUME);
    assert_eq!(lines(&mut stream, expected.len()).await, expected);
}

#[tokio::test]
async fn a_file_cut_in_place_is_read_from_its_start() {
    let place = Place::new();
    append(&place.log, "header\n".to_owned() + &"old\n".repeat(1000));
    let source = source(&place);
    let mut stream = source.tail(Position::Start);
    lines(&mut stream, 1001).await;
    fs::write(&place.log, "header\nnew\n").unwrap();
    assert_eq!(lines(&mut stream, 2).await, ["header", "new"]);
    assert_eq!(count(&source, Count::Truncations), 1);
    // And its place is the new file's: nothing comes twice after a restart.
    drop((stream, source));
    append(&place.log, "newer\n");
    assert_eq!(lines(&mut self::source(&place).tail(RESUME), 1).await, ["newer"]);
}

#[tokio::test]
async fn what_a_copy_holds_of_a_cut_file_comes_first() {
    let place = Place::new();
    append(&place.log, "1\n2\n3\n");
    let first = source(&place);
    let mut stream = first.tail(RESUME);
    lines(&mut stream, 3).await;
    drop((stream, first));
    append(&place.log, "4\n5\n");
    // logrotate's copytruncate, while nobody reads.
    fs::copy(&place.log, place.path("app.log.1")).unwrap();
    fs::write(&place.log, "6\n").unwrap();
    assert_eq!(lines(&mut source(&place).tail(RESUME), 3).await, ["4", "5", "6"]);
}

#[tokio::test]
async fn rotated_twice_while_stopped_it_goes_on_where_it_was() {
    let place = Place::new();
    append(&place.log, "a 1\na 2\n");
    let first = source(&place);
    let mut stream = first.tail(RESUME);
    lines(&mut stream, 2).await;
    drop((stream, first));
    append(&place.log, "a 3\n");
    tick();
    fs::rename(&place.log, place.path("app.log.2")).unwrap();
    append(&place.log, "b 1\n");
    tick();
    fs::rename(&place.log, place.path("app.log.1")).unwrap();
    append(&place.log, "c 1\n");
    let source = source(&place);
    assert_eq!(lines(&mut source.tail(RESUME), 3).await, ["a 3", "b 1", "c 1"]);
    assert_eq!(dropped(&source, DropReason::RotatedAway), 0);
}

#[tokio::test]
async fn a_new_file_of_the_same_name_is_new() {
    let place = Place::new();
    append(&place.log, "old 1\nold 2\n");
    let first = source(&place);
    let mut stream = first.tail(RESUME);
    lines(&mut stream, 2).await;
    drop((stream, first));
    // Its inode number may well be the same.
    fs::remove_file(&place.log).unwrap();
    append(&place.log, "new 1\nnew 2\nnew 3\n");
    let source = source(&place);
    assert_eq!(lines(&mut source.tail(RESUME), 3).await, ["new 1", "new 2", "new 3"]);
}

#[tokio::test]
async fn a_missing_file_is_waited_for_and_read_from_its_first_byte() {
    let place = Place::new();
    for from in [Position::End, Position::Start, Position::Resume { otherwise: Edge::End }] {
        let log = place.path("late/app.log");
        let source =
            FileSource::builder(&log).poll_interval(Duration::from_millis(10)).build().unwrap();
        let mut stream = source.tail(from);
        let health = source.health_check().await.unwrap();
        assert_eq!(health.state, HealthState::Waiting);
        assert!(health.reason.unwrap().contains("late/app.log"));
        fs::create_dir(place.path("late")).unwrap();
        append(&log, "first\n");
        assert_eq!(lines(&mut stream, 1).await, ["first"]);
        let is_ready = async || source.health_check().await.unwrap().state == HealthState::Ready;
        until("it is well", is_ready).await;
        fs::remove_dir_all(place.path("late")).unwrap();
    }
}

#[tokio::test]
async fn a_line_is_held_until_its_end_is_written() {
    let place = Place::new();
    append(&place.log, "whole\nabc");
    let first = source(&place);
    let chunk = first.read(Position::Start, 10).await.unwrap();
    assert_eq!(chunk.batch.unwrap().len(), 1);
    assert!(chunk.at_end);
    let mut stream = first.tail(RESUME);
    assert_eq!(lines(&mut stream, 1).await, ["whole"]);
    drop((stream, first));
    append(&place.log, "def");
    let source = source(&place);
    // From the end: the line is not over, so all of it is new.
    let mut from_end = source.tail(Position::End);
    append(&place.log, "\n");
    assert_eq!(lines(&mut from_end, 1).await, ["abcdef"]);
}

#[tokio::test]
async fn line_ends_blank_lines_and_odd_bytes() {
    let place = Place::new();
    append(&place.log, b"one\r\n\r\n\n \t\ntwo \xff\n  three\n");
    let mut stream = source(&place).tail(Position::Start);
    let batch = next(&mut stream).await.unwrap();
    let found: Vec<&[u8]> = batch.entries().map(|entry| entry.line()).collect();
    assert_eq!(found, [&b"one"[..], b"two \xff", b"  three"]);
    assert_eq!(batch.get(1).unwrap().text(), "two \u{fffd}");
    assert_eq!(batch.path(), Some(place.log.as_path()));
    assert_eq!(batch.labels()["path"], place.log.to_str().unwrap());
    assert_eq!(batch.labels()["source"], "file");
}

#[tokio::test]
async fn a_line_that_is_too_long_is_cut_and_counted() {
    let place = Place::new();
    let long = "x".repeat(500_000);
    append(&place.log, format!("before\n{long}\nafter\n"));
    let source = FileSource::builder(&place.log).id("log").batch_bytes(4096).max_line_bytes(1000);
    let source = source.offset_file(&place.offsets).build().unwrap();
    let mut stream = source.tail(Position::Start);
    assert_eq!(lines(&mut stream, 3).await, ["before", &long[..1000], "after"]);
    assert_eq!(dropped(&source, DropReason::LineTooLong), 1);
    drop((stream, source));
    append(&place.log, "later\n");
    assert_eq!(lines(&mut self::source(&place).tail(RESUME), 1).await, ["later"]);
}

#[tokio::test]
async fn a_pattern_follows_files_that_come_later_and_no_file_twice() {
    let place = Place::new();
    append(&place.path("a.log"), "a 1\n");
    let build = || {
        let pattern = place.path("*.log*");
        FileSource::builder(pattern).offset_file(place.path("x.offsets")).build().unwrap()
    };
    let source = build();
    let mut stream = source.tail(RESUME);
    assert_eq!(lines(&mut stream, 1).await, ["a 1"]);
    append(&place.path("b.log"), "b 1\n");
    assert_eq!(lines(&mut stream, 1).await, ["b 1"]);
    fs::rename(place.path("a.log"), place.path("a.log.1")).unwrap();
    append(&place.path("a.log"), "a 2\n");
    assert_eq!(lines(&mut stream, 1).await, ["a 2"]);
    append(&place.path("b.log"), "b 2\n");
    assert_eq!(lines(&mut stream, 1).await, ["b 2"]);
    // Nor after a restart.
    drop((stream, source));
    append(&place.path("c.log"), "c 1\n");
    let source = build();
    let mut stream = source.tail(RESUME);
    assert_eq!(lines(&mut stream, 1).await, ["c 1"]);
    append(&place.path("a.log.1"), "a 3\n");
    assert_eq!(lines(&mut stream, 1).await, ["a 3"]);
}

#[tokio::test]
async fn a_link_is_followed_to_another_directory_and_by_its_odd_name() {
    let place = Place::new();
    let name = std::ffi::OsStr::from_bytes(b"\xff odd.log");
    let (target, link) = (place.dir.path().join("target"), place.dir.path().join(name));
    fs::create_dir(&target).unwrap();
    append(&target.join("real"), "1\n");
    std::os::unix::fs::symlink(target.join("real"), &link).unwrap();
    let build = || FileSource::builder(&link).offset_file(&place.offsets).build().unwrap();
    let mut stream = build().tail(RESUME);
    assert_eq!(lines(&mut stream, 1).await, ["1"]);
    append(&target.join("real"), "2\n");
    assert_eq!(lines(&mut stream, 1).await, ["2"]);
    drop(stream);
    append(&target.join("real"), "3\n");
    assert_eq!(lines(&mut build().tail(RESUME), 1).await, ["3"]);
}

#[tokio::test]
async fn offsets_reach_the_disk_while_the_stream_is_open() {
    let place = Place::new();
    append(&place.log, "1\n");
    let source = source(&place);
    let mut stream = source.tail(RESUME);
    lines(&mut stream, 1).await;
    let written = async || {
        fs::read_to_string(&place.offsets).is_ok_and(|text| text.contains(r#""offset":2"#))
    };
    until("the offset is written", written).await;
}

#[tokio::test]
async fn with_a_broken_offset_file_it_begins_as_on_a_first_run_and_says_so() {
    let place = Place::new();
    append(&place.log, "1\n");
    append(&place.offsets, "nonsense");
    let source = source(&place);
    let mut stream = source.tail(RESUME);
    let error = next(&mut stream).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.is_retryable());
    assert!(error.to_string().contains("state.offsets.broken"), "{error}");
    assert_eq!(lines(&mut stream, 1).await, ["1"]);
    assert_eq!(fs::read(place.path("state.offsets.broken")).unwrap(), b"nonsense");
    drop((stream, source));
    append(&place.log, "2\n");
    assert_eq!(lines(&mut self::source(&place).tail(RESUME), 1).await, ["2"]);
}

#[tokio::test]
async fn an_offset_file_of_a_later_version_ends_the_stream_and_is_left_alone() {
    let place = Place::new();
    append(&place.offsets, "birl-offsets 3\n");
    let mut stream = source(&place).tail(RESUME);
    let error = next(&mut stream).await.unwrap_err();
    assert!(!error.is_retryable());
    assert!(error.to_string().contains("version 3"), "{error}");
    assert!(stream.next().await.is_none());
    assert_eq!(fs::read(&place.offsets).unwrap(), b"birl-offsets 3\n");
}

#[tokio::test]
async fn what_is_held_of_a_line_survives_a_cut() {
    let place = Place::new();
    append(&place.log, "1\nhalf");
    let mut stream = source(&place).tail(Position::Start);
    assert_eq!(lines(&mut stream, 1).await, ["1"]);
    // A copy that has the line's end comes first, whole.
    fs::copy(&place.log, place.path("app.log.1")).unwrap();
    append(&place.path("app.log.1"), " of it\n");
    fs::write(&place.log, "2\nlost").unwrap();
    let mut found = lines(&mut stream, 2).await;
    found.sort();
    assert_eq!(found, ["2", "half of it"]);
    // Without a copy, what was read is all there is.
    fs::write(&place.log, "3\n").unwrap();
    assert_eq!(lines(&mut stream, 2).await, ["lost", "3"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_at_first_keeps_its_place() {
    let place = Place::new();
    append(&place.log, "1\n");
    let first = source(&place);
    let mut stream = first.tail(RESUME);
    lines(&mut stream, 1).await;
    drop((stream, first));
    append(&place.log, "2\n");
    fs::rename(&place.log, place.path("moved")).unwrap();
    std::os::unix::fs::symlink("app.log", &place.log).unwrap();
    let mut stream = source(&place).tail(RESUME);
    assert!(next(&mut stream).await.unwrap_err().is_retryable());
    // At once: while nobody has the name, the place would be that of a file that is gone.
    fs::rename(place.path("moved"), &place.log).unwrap();
    assert_eq!(lines(&mut stream, 1).await, ["2"]);
}

#[tokio::test]
async fn files_after_one_that_is_gone_are_read_on_resume() {
    let place = Place::new();
    append(&place.path("app.log.9"), "before\n");
    append(&place.log, "a\n");
    let first = source(&place);
    let mut stream = first.tail(RESUME);
    lines(&mut stream, 1).await;
    tick();
    drop((stream, first));
    tick();
    // It is compressed, and the one after it is renamed.
    fs::remove_file(&place.log).unwrap();
    append(&place.log, "b\n");
    fs::rename(&place.log, place.path("app.log.1")).unwrap();
    append(&place.log, "c\n");
    let second = source(&place);
    let mut stream = second.tail(RESUME);
    assert_eq!(lines(&mut stream, 2).await, ["b", "c"]);
    tick();
    drop((stream, second));
    tick();
    // The same, and its inode number is that of the newest.
    append(&place.path("app.log.3"), "d\n");
    fs::write(&place.log, "e\n").unwrap();
    let mut stream = source(&place).tail(RESUME);
    assert_eq!(lines(&mut stream, 2).await, ["d", "e"]);
}

#[tokio::test]
async fn a_pipe_in_the_way_is_a_failure_and_hangs_nothing() {
    let place = Place::new();
    let made = std::process::Command::new("mkfifo").arg(&place.log).status().unwrap();
    assert!(made.success());
    let source = source(&place);
    let health = tokio::time::timeout(crate::support::PATIENCE, source.health_check());
    let health = health.await.expect("it hangs").unwrap();
    assert_eq!(health.state, HealthState::Failed);
    assert!(health.reason.unwrap().contains("not a regular file"));
}

#[tokio::test]
async fn a_cursor_of_another_source_is_refused() {
    let place = Place::new();
    let other = Position::At(birl_logsource::Cursor::from_text("page 3"));
    let error = source(&place).read(other.clone(), 1).await.unwrap_err();
    assert!(error.to_string().contains("not a place in a file"), "{error}");
    assert!(!next(&mut source(&place).tail(other)).await.unwrap_err().is_retryable());
}

#[tokio::test]
async fn a_file_that_leaves_the_pattern_does_not_stay_open() {
    let place = Place::new();
    let away = place.path("archive");
    fs::create_dir(&away).unwrap();
    append(&place.path("a.log"), "1\n");
    let mut stream = FileSource::builder(place.path("*.log")).build().unwrap().tail(RESUME);
    assert_eq!(lines(&mut stream, 1).await, ["1"]);
    fs::rename(place.path("a.log"), away.join("a.log")).unwrap();
    assert!(is_open(&away.join("a.log")));
    until("it is closed", async || !is_open(&away.join("a.log"))).await;
}

#[tokio::test]
async fn a_stalled_consumer_misses_no_file_that_is_deleted_though_nothing_tells_of_it() {
    let place = Place::new();
    append(&place.log, "a\n".repeat(1000));
    let source = FileSource::builder(&place.log).batch_bytes(64).watch(Watch::Poll).build();
    let mut stream = source.unwrap().tail(Position::Start);
    assert!(!next(&mut stream).await.unwrap().is_empty());
    fs::rename(&place.log, place.path("app.log.1")).unwrap();
    append(&place.log, "b\n");
    until("it is opened", async || is_open(&place.log)).await;
    fs::remove_file(&place.log).unwrap();
    append(&place.log, "c\n");
    let mut found = Vec::new();
    while found.last().is_none_or(|line| line != "c") {
        found.extend(lines(&mut stream, 1).await);
    }
    assert_eq!(found[found.len() - 2..], ["b", "c"]);
}

#[test]
fn what_cannot_be_followed_is_said_at_once() {
    let place = Place::new();
    let error = |builder: birl_logsource::FileSourceBuilder| builder.build().unwrap_err();
    let directory = error(FileSource::builder(place.dir.path()));
    assert!(directory.to_string().contains("/*.log"), "{directory}");
    let pattern = error(FileSource::builder(&place.log).include("/var/[a/x.log"));
    assert!(pattern.to_string().contains("`/var/[a/x.log`, at byte 6"), "{pattern}");
    let offsets = FileSource::builder(&place.log).offset_file(place.path("no/such/dir"));
    let offsets = error(offsets);
    assert_eq!(offsets.kind(), ErrorKind::NotFound);
    assert!(offsets.to_string().contains("no/such/dir"), "{offsets}");
    let size = error(FileSource::builder(&place.log).max_line_bytes(0));
    assert_eq!(size.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn trouble_that_may_pass_is_told_once_and_shows_in_health() {
    let place = Place::new();
    let source = FileSource::builder(&place.log)
        .id("log")
        .poll_interval(Duration::from_millis(10))
        .build()
        .unwrap();
    let mut stream = source.tail(Position::Start);
    fs::create_dir(&place.log).unwrap();
    let error = next(&mut stream).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.to_string().contains("app.log"), "{error}");
    assert_eq!(source.health_check().await.unwrap().state, HealthState::Failed);
    fs::remove_dir(&place.log).unwrap();
    append(&place.log, "better\n");
    assert_eq!(lines(&mut stream, 1).await, ["better"]);
    // It is well once it was read to its end.
    let is_ready = async || source.health_check().await.unwrap().state == HealthState::Ready;
    until("it is well again", is_ready).await;
}

#[tokio::test]
async fn a_file_written_anew_and_longer_than_before_is_read_from_its_start() {
    let place = Place::new();
    let header = "the same first line\n";
    append(&place.log, format!("{header}{}", "old\n".repeat(100)));
    let source = FileSource::builder(&place.log).id("log").offset_file(&place.offsets);
    let source = source.watch(Watch::Poll).build().unwrap();
    let mut stream = source.tail(Position::Start);
    lines(&mut stream, 101).await;
    // Nobody could see that it was shorter in between.
    let anew = format!("{header}{}", "new\n".repeat(200));
    fs::write(&place.log, anew).unwrap();
    let found = lines(&mut stream, 201).await;
    assert_eq!((found[0].as_str(), found[1].as_str()), ("the same first line", "new"));
    assert_eq!(count(&source, Count::Truncations), 1);
    assert_eq!(dropped(&source, DropReason::Truncated), 1);
    // Nor while nobody looks.
    drop((stream, source));
    fs::write(&place.log, format!("{header}{}", "newer\n".repeat(300))).unwrap();
    let found = lines(&mut self::source(&place).tail(RESUME), 301).await;
    assert_eq!(found[1], "newer");
}

#[tokio::test]
async fn what_was_read_and_not_acknowledged_when_a_file_was_copied_and_cut_comes_again() {
    let place = Place::new();
    append(&place.log, "1\n2\n3\n");
    let first = source(&place);
    let mut stream = first.tail(RESUME);
    let unacked = next(&mut stream).await.unwrap();
    assert_eq!(unacked.len(), 3);
    fs::copy(&place.log, place.path("app.log.1")).unwrap();
    fs::write(&place.log, "4\n").unwrap();
    assert_eq!(lines(&mut stream, 1).await, ["4"]);
    drop((unacked, stream, first));
    let found = lines(&mut source(&place).tail(RESUME), 3).await;
    assert_eq!(found, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_copy_that_a_pattern_matches_too_is_read_once() {
    let place = Place::new();
    append(&place.log, "1\n2\n");
    let build = || {
        let pattern = place.path("app.log*");
        FileSource::builder(pattern).offset_file(&place.offsets).build().unwrap()
    };
    let source = build();
    let mut stream = source.tail(RESUME);
    lines(&mut stream, 2).await;
    drop((stream, source));
    append(&place.log, "3\n");
    fs::rename(&place.log, place.path("app.log.1")).unwrap();
    append(&place.log, "4\n");
    let mut found = lines(&mut build().tail(RESUME), 2).await;
    found.sort();
    assert_eq!(found, ["3", "4"]);
}
