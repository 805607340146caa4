//! Which files are kept open, are opened again, are removed, or are never read.

use std::fs;
use std::time::Duration;

use birl_logsource::{
    Count, Edge, FileSource, FileSourceBuilder, Gauge, LogSource, Position, SourceMetrics,
};

use crate::support::{Batches, Place, append, lines, made_older, next, until};

const RESUME: Position = Position::Resume { otherwise: Edge::Start };

fn builder(place: &Place, pattern: &str) -> FileSourceBuilder {
    FileSource::builder(place.path(pattern)).id("log").offset_file(&place.offsets)
}

/// One that closes what is quiet for a moment.
fn closing(place: &Place) -> FileSource {
    builder(place, "app.log").close_after(Duration::from_millis(50)).build().unwrap()
}

fn metrics(source: &FileSource) -> std::sync::Arc<SourceMetrics> {
    source.metrics().source("log").unwrap()
}

/// Reads a line, and waits until its file is closed.
async fn read_and_closed(source: &FileSource, stream: &mut Batches, line: &str) {
    assert_eq!(lines(stream, 1).await, [line]);
    let metrics = metrics(source);
    until("it is closed", async || metrics.gauge(Gauge::OpenFiles) == 0).await;
}

#[tokio::test]
async fn a_quiet_file_is_closed_and_opened_again() {
    let place = Place::new();
    append(&place.log, "1\n");
    let source = closing(&place);
    let mut stream = source.tail(RESUME);
    read_and_closed(&source, &mut stream, "1").await;
    append(&place.log, "2\n");
    read_and_closed(&source, &mut stream, "2").await;
    // In place of what was read, and as long.
    fs::write(&place.log, "5\n6\n").unwrap();
    assert_eq!(lines(&mut stream, 2).await, ["5", "6"]);
    assert_eq!(metrics(&source).get(Count::Truncations), 1);
}

#[tokio::test]
async fn a_file_that_is_renamed_while_it_is_closed_is_read_to_its_end_first() {
    let place = Place::new();
    append(&place.log, "1\n");
    let source = closing(&place);
    let mut stream = source.tail(RESUME);
    read_and_closed(&source, &mut stream, "1").await;
    append(&place.log, "2\n");
    fs::rename(&place.log, place.path("app.log.1")).unwrap();
    append(&place.log, "3\n");
    assert_eq!(lines(&mut stream, 2).await, ["2", "3"]);
}

#[tokio::test]
async fn a_closed_file_is_acknowledged_late_and_resumed() {
    let place = Place::new();
    append(&place.log, "1\n2\n");
    let source = closing(&place);
    let mut stream = source.tail(RESUME);
    let batch = next(&mut stream).await.unwrap();
    let metrics = metrics(&source);
    until("it is closed", async || metrics.gauge(Gauge::OpenFiles) == 0).await;
    batch.ack();
    drop((stream, source));
    append(&place.log, "3\n");
    assert_eq!(lines(&mut closing(&place).tail(RESUME), 1).await, ["3"]);
}

#[tokio::test]
async fn more_files_than_may_be_open_are_read_all_the_same() {
    const FILES: usize = 200;
    let place = Place::new();
    for n in 0..FILES {
        append(&place.path(&format!("{n:03}.log")), format!("{n:03} a\n{n:03} b\n"));
    }
    let source = builder(&place, "*.log").max_open_files(16).build().unwrap();
    let mut stream = source.tail(RESUME);
    let mut found = lines(&mut stream, 2 * FILES).await;
    found.sort_unstable();
    let expected = (0..FILES).flat_map(|n| [format!("{n:03} a"), format!("{n:03} b")]);
    assert!(found.into_iter().eq(expected));
    let metrics = metrics(&source);
    assert!(metrics.gauge(Gauge::OpenFiles) <= 17, "{}", metrics.gauge(Gauge::OpenFiles));
    // Whichever is written next is seen, closed or not.
    for n in [3, 150] {
        append(&place.path(&format!("{n:03}.log")), "more\n");
        assert_eq!(lines(&mut stream, 1).await, ["more"]);
    }
    // And so is a new one.
    append(&place.path("new.log"), "new\n");
    assert_eq!(lines(&mut stream, 1).await, ["new"]);
    assert!(metrics.gauge(Gauge::OpenFiles) <= 17, "{}", metrics.gauge(Gauge::OpenFiles));
}

#[tokio::test]
async fn a_file_that_was_read_and_acknowledged_is_removed() {
    let place = Place::new();
    let (one, two) = (place.path("1.log"), place.path("2.log"));
    append(&one, "a\nb\n");
    append(&two, "c\nhalf a line");
    let quiet = Duration::from_millis(50);
    let build = || builder(&place, "*.log").remove_after_ack(quiet).build().unwrap();
    let source = build();
    let mut stream = source.tail(RESUME);
    let mut batches = Vec::new();
    let mut found = 0;
    while found < 4 {
        let batch = next(&mut stream).await.unwrap();
        found += batch.len();
        batches.push(batch);
    }
    // As long as one line of them is not acknowledged they stay.
    let waited = async {
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(one.exists() && two.exists());
        }
    };
    waited.await;
    batches.into_iter().for_each(birl_logsource::Batch::ack);
    until("they are removed", async || !one.exists() && !two.exists()).await;
    assert_eq!(metrics(&source).get(Count::Removed), 2);
    // What comes under such a name is another file.
    append(&one, "new\n");
    assert_eq!(lines(&mut stream, 1).await, ["new"]);
    until("it is removed", async || !one.exists()).await;
    drop((stream, source));
    let source = build();
    let mut stream = source.tail(RESUME);
    append(&two, "after\n");
    assert_eq!(lines(&mut stream, 1).await, ["after"]);
    let lost = birl_logsource::DropReason::ALL.map(|reason| metrics(&source).dropped(reason));
    assert_eq!(lost.iter().sum::<u64>(), 0);
}

#[tokio::test]
async fn what_is_too_old_is_not_read_before_it_grows() {
    let place = Place::new();
    let (old, young) = (place.path("old.log"), place.path("young.log"));
    append(&old, "old\n");
    made_older(&old, Duration::from_secs(7200));
    append(&young, "young\n");
    let build =
        || builder(&place, "*.log").ignore_older(Duration::from_secs(3600)).build().unwrap();
    let source = build();
    let mut stream = source.tail(RESUME);
    assert_eq!(lines(&mut stream, 1).await, ["young"]);
    assert_eq!(metrics(&source).get(Count::Ignored), 1);
    append(&old, "grown\n");
    assert_eq!(lines(&mut stream, 1).await, ["grown"]);
    drop((stream, source));
    // One of which a part was read is read on, however old it is.
    append(&young, "later\n");
    made_older(&young, Duration::from_secs(7200));
    assert_eq!(lines(&mut build().tail(RESUME), 1).await, ["later"]);
}

/// Else every look would write to the disk, and tools that go by the access time would take logs
/// for files that somebody needs.
#[tokio::test]
async fn reading_leaves_no_trace() {
    let place = Place::new();
    append(&place.log, "1\n");
    let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let times = fs::FileTimes::new().set_accessed(long_ago);
    append(&place.log, "2\n").set_times(times).unwrap();
    let source = builder(&place, "app.log").build().unwrap();
    assert_eq!(lines(&mut source.tail(RESUME), 2).await, ["1", "2"]);
    assert_eq!(fs::metadata(&place.log).unwrap().accessed().unwrap(), long_ago);
}
