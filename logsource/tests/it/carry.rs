//! Messages, groups and lines that begin in one file of a log and end in the next.

use std::fs;
use std::time::Duration;

use birl_logsource::{
    Edge, FileSource, FileSourceBuilder, Framing, Join, LogSource, Multiline, Position,
};

use crate::support::{Place, append, lines, next};

const RESUME: Position = Position::Resume { otherwise: Edge::Start };

fn builder(place: &Place, framing: Framing) -> FileSourceBuilder {
    FileSource::builder(&place.log).id("log").offset_file(&place.offsets).framing(framing)
}

fn containers() -> Framing {
    Framing::new().join(Join::containers().part_time_out(Duration::from_secs(60)))
}

/// Writes a message of a stream, or a part of one (`P`) that goes on.
type Write = fn(&str, char, &str) -> String;

/// How container runtimes write.
const FORMATS: [Write; 2] = [cri, docker];

fn cri(stream: &str, tag: char, message: &str) -> String {
    format!("2026-11-23T08:00:00.123456789Z {stream} {tag} {message}\n")
}

fn docker(stream: &str, tag: char, message: &str) -> String {
    let end = if tag == 'F' { "\\n" } else { "" };
    let time = "2026-11-23T08:00:00.123456789Z";
    format!("{{\"log\":\"{message}{end}\",\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n")
}

/// A message in four parts.
fn parts(write: Write, stream: &str, message: &str) -> Vec<String> {
    let chunks = message.as_bytes().chunks(message.len().div_ceil(4));
    let chunks: Vec<_> = chunks.map(|chunk| std::str::from_utf8(chunk).unwrap()).collect();
    let last = chunks.len() - 1;
    let tag = |n: usize| if n == last { 'F' } else { 'P' };
    chunks.iter().enumerate().map(|(n, chunk)| write(stream, tag(n), chunk)).collect()
}

#[tokio::test]
async fn a_message_of_each_stream_goes_on_after_a_rotation() {
    for case in 0..8 {
        let (write, rotated_after) = (FORMATS[case / 4], case % 4);
        let place = Place::new();
        let source = builder(&place, containers()).batch_bytes(4096).build().unwrap();
        let mut stream = source.tail(RESUME);
        append(&place.log, write("stdout", 'F', "begun"));
        assert_eq!(lines(&mut stream, 1).await, ["begun"]);
        let (out, err) = ("o".repeat(20_000), "e".repeat(20_000));
        let both = parts(write, "stdout", &out).into_iter().zip(parts(write, "stderr", &err));
        for (n, (out, err)) in both.enumerate() {
            append(&place.log, out);
            append(&place.log, err);
            if n == rotated_after {
                fs::rename(&place.log, place.path("app.log.20261123-080000")).unwrap();
            }
        }
        append(&place.log, write("stdout", 'F', "over"));
        assert!(lines(&mut stream, 3).await == [out, err, "over".into()], "{case}");
    }
}

/// What was carried counts as read in the file that it came from only when the message is
/// acknowledged: if it never is, all of it comes again, from both files.
#[tokio::test]
async fn a_message_of_two_files_comes_again_whole_until_it_is_acknowledged() {
    for write in FORMATS {
        let place = Place::new();
        let source = || builder(&place, containers()).build().unwrap();
        append(&place.log, write("stdout", 'F', "first") + &write("stdout", 'P', "one, "));
        let mut stream = source().tail(RESUME);
        assert_eq!(lines(&mut stream, 1).await, ["first"]);
        fs::rename(&place.log, place.path("app.log.1")).unwrap();
        append(&place.log, write("stdout", 'P', "two, ") + &write("stdout", 'F', "three"));
        append(&place.log, write("stdout", 'F', "later"));
        for _ in 0..2 {
            let batch = next(&mut stream).await.unwrap();
            assert_eq!(batch.get(0).unwrap().line(), b"one, two, three");
            drop(stream);
            drop(batch);
            stream = source().tail(RESUME);
        }
        assert_eq!(lines(&mut stream, 2).await, ["one, two, three", "later"]);
        drop(stream);
        append(&place.log, write("stdout", 'F', "after"));
        assert_eq!(lines(&mut source().tail(RESUME), 1).await, ["after"]);
    }
}

/// The same, entry by entry.
#[tokio::test]
async fn entries_behind_a_carried_message_are_acknowledged_by_themselves() {
    for write in FORMATS {
        let place = Place::new();
        let source = || builder(&place, containers()).build().unwrap();
        append(&place.log, write("stdout", 'F', "first") + &write("stdout", 'P', "one, "));
        let mut stream = source().tail(RESUME);
        assert_eq!(lines(&mut stream, 1).await, ["first"]);
        fs::rename(&place.log, place.path("app.log.1")).unwrap();
        append(&place.log, write("stdout", 'F', "two") + &write("stdout", 'F', "later"));
        let batch = next(&mut stream).await.unwrap();
        assert_eq!(batch.get(0).unwrap().line(), b"one, two");
        batch.into_deliveries().for_each(|delivery| delivery.ack.done());
        drop(stream);
        append(&place.log, write("stdout", 'F', "after"));
        let found = lines(&mut source().tail(RESUME), 1).await;
        assert!(["later", "after"].contains(&&*found[0]), "{found:?}");
    }
}

#[tokio::test]
async fn a_message_is_finished_after_a_rotation_while_nobody_read() {
    for write in FORMATS {
        let place = Place::new();
        let source = || builder(&place, containers()).build().unwrap();
        append(&place.log, write("stdout", 'F', "first") + &write("stdout", 'P', "one, "));
        let mut stream = source().tail(RESUME);
        assert_eq!(lines(&mut stream, 1).await, ["first"]);
        drop(stream);
        fs::rename(&place.log, place.path("app.log.1")).unwrap();
        append(&place.log, write("stdout", 'F', "two"));
        assert_eq!(lines(&mut source().tail(RESUME), 1).await, ["one, two"]);
    }
}

#[tokio::test]
async fn a_trace_goes_on_after_a_rotation() {
    let place = Place::new();
    let multiline = Multiline::java().time_out(Duration::from_secs(60));
    let framing = Framing::new().join(Join::multiline(multiline));
    let source = builder(&place, framing).build().unwrap();
    let mut stream = source.tail(RESUME);
    append(&place.log, "up\njava.lang.IllegalStateException: down\n\tat a.B.c(B.java:1)\n");
    assert_eq!(lines(&mut stream, 1).await, ["up"]);
    fs::rename(&place.log, place.path("app.log.1")).unwrap();
    append(&place.log, "\tat a.B.main(B.java:9)\nup again\n");
    let trace =
        "java.lang.IllegalStateException: down\n\tat a.B.c(B.java:1)\n\tat a.B.main(B.java:9)";
    assert_eq!(lines(&mut stream, 2).await, [trace, "up again"]);
}

#[tokio::test]
async fn a_line_goes_on_in_the_next_file_if_that_was_asked_for() {
    for (carries, expected) in [(true, "abcdef"), (false, "def")] {
        let place = Place::new();
        let framing = Framing::new().carry_partial(carries);
        let source = builder(&place, framing).build().unwrap();
        let mut stream = source.tail(RESUME);
        append(&place.log, "first\nabc");
        assert_eq!(lines(&mut stream, 1).await, ["first"]);
        fs::rename(&place.log, place.path("app.log.1")).unwrap();
        append(&place.log, "def\n");
        assert_eq!(lines(&mut stream, 1).await, [expected]);
    }
}

/// A writer with a buffer writes up to the middle of a line, is copied and cut, and goes on. What
/// it wrote between the copy and the cut is gone, and nobody knows whether that was nothing: to put
/// the halves together might spoil a line that is whole.
#[tokio::test]
async fn halves_of_a_line_that_was_copied_and_cut_stay_halves() {
    let place = Place::new();
    let source = builder(&place, Framing::new()).build().unwrap();
    append(&place.log, "first\n");
    let mut stream = source.tail(RESUME);
    assert_eq!(lines(&mut stream, 1).await, ["first"]);
    drop(stream);
    append(&place.log, "second\nabc");
    fs::copy(&place.log, place.path("app.log.1")).unwrap();
    fs::File::options().write(true).open(&place.log).unwrap().set_len(0).unwrap();
    append(&place.log, "def\n");
    assert_eq!(lines(&mut source.tail(RESUME), 3).await, ["second", "def", "abc"]);
}

#[tokio::test]
async fn containers_are_labeled_by_their_path() {
    for write in FORMATS {
        let place = Place::new();
        let directory = place.path("pods/shop_api-0_1b2c-3d/api");
        fs::create_dir_all(&directory).unwrap();
        let log = directory.join("0.log");
        append(&log, write("stderr", 'F', "up"));
        let source = FileSource::builder(&log)
            .framing(containers())
            .label("k8s.container.name", "mine")
            .build()
            .unwrap();
        let batch = next(&mut source.tail(Position::Start)).await.unwrap();
        assert_eq!(batch.labels()["k8s.pod.name"], "api-0");
        assert_eq!(batch.labels()["k8s.namespace.name"], "shop");
        assert_eq!(batch.labels()["k8s.container.name"], "mine");
        assert_eq!(batch.get(0).unwrap().field("stream"), Some(&b"stderr"[..]));
    }
}
