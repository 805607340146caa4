//! What is no log, no text, or no checkpoint.

use std::fs;
use std::os::unix::fs::symlink;

use birl_logsource::{
    Batch, Count, DropReason, Edge, Encoding, ErrorKind, FileSource, Framing, HealthState,
    LogSource, Position,
};

use crate::far_end::{END, FarEnd, Home};
use crate::support::{Place, append, lines, next, until};

const RESUME: Position = Position::Resume { otherwise: Edge::Start };

fn texts(batch: &Batch) -> Vec<String> {
    batch.entries().map(|entry| entry.text().into_owned()).collect()
}

#[tokio::test]
async fn a_directory_in_place_of_a_file_is_told_with_a_remedy() {
    let place = Place::new();
    let error = FileSource::builder(place.dir.path()).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("/*.log"), "{error}");
    // One that appears later is trouble that may pass.
    let source = FileSource::builder(&place.log).id("log").build().unwrap();
    let mut stream = source.tail(Position::Start);
    fs::create_dir(&place.log).unwrap();
    let error = next(&mut stream).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("app.log"), "{error}");
    fs::remove_dir(&place.log).unwrap();
    append(&place.log, "1\n");
    assert_eq!(lines(&mut stream, 1).await, ["1"]);
}

#[tokio::test]
async fn a_directory_that_a_pattern_matches_is_no_file_and_no_trouble() {
    let place = Place::new();
    fs::create_dir(place.path("dir.log")).unwrap();
    append(&place.log, "1\n");
    let source = FileSource::builder(place.path("*.log")).id("log").build().unwrap();
    let mut stream = source.tail(Position::Start);
    assert_eq!(texts(&next(&mut stream).await.unwrap()), ["1"]);
    append(&place.log, "2\n");
    assert_eq!(lines(&mut stream, 1).await, ["2"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_named_and_the_others_are_read() {
    let place = Place::new();
    // Root may read everything, but not a link to itself.
    symlink(place.path("loop.log"), place.path("loop.log")).unwrap();
    append(&place.log, "1\n");
    let source = FileSource::builder(place.path("loop.log")).id("log").build().unwrap();
    let mut stream = source.tail(Position::Start);
    let error = next(&mut stream).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("loop.log"), "{error}");
    let health = source.health_check().await.unwrap();
    assert_eq!(health.state, HealthState::Failed);
    assert!(health.reason.unwrap().contains("loop.log"));
    // It is read once it can be.
    fs::remove_file(place.path("loop.log")).unwrap();
    append(&place.path("loop.log"), "better\n");
    assert_eq!(lines(&mut stream, 1).await, ["better"]);

    // Below what is no directory there is nothing yet.
    let below = FileSource::builder(place.path("app.log/x.log")).id("below").build().unwrap();
    let health = below.health_check().await.unwrap();
    assert!(health.reason.unwrap().contains("app.log"));
    assert_ne!(health.state, HealthState::Ready);
}

#[tokio::test]
async fn a_binary_file_is_lines_of_bytes() {
    let place = Place::new();
    let mut random = 7_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 56) as u8
    })
    .take(1 << 20)
    .chain([b'\n'])
    .collect();
    // What begins like a packed file is one.
    let bytes = [b"\x7fELF\x02\x01", &bytes[..]].concat();
    append(&place.log, &bytes);
    let source = FileSource::builder(&place.log).id("log").build().unwrap();
    let mut stream = source.tail(Position::Start);
    let expected: Vec<&[u8]> = bytes
        .split(|byte| *byte == b'\n')
        // Zero bytes before a line are what a file has that was cut under its writer.
        .map(|line| &line[line.iter().take_while(|byte| **byte == 0).count()..])
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.iter().all(u8::is_ascii_whitespace))
        .collect();
    let mut found: Vec<Vec<u8>> = Vec::new();
    while found.len() < expected.len() {
        let batch = next(&mut stream).await.unwrap();
        // Every entry becomes an object and says so if it did not parse.
        batch.entries().for_each(|entry| drop(serde_json::to_string(&entry.to_entry()).unwrap()));
        found.extend(batch.entries().map(|entry| entry.line().to_vec()));
    }
    assert!(found == expected);
}

#[tokio::test]
async fn a_packed_file_that_is_damaged_gives_what_can_be_read() {
    let place = Place::new();
    let plain: String = (0..20_000).map(|n| format!("line {n:06}\n")).collect();
    let mut packed = crate::pains::gzipped(plain.as_bytes());
    let half = packed.len() / 2;
    packed[half..].fill(0xff);
    append(&place.path("app.log.gz"), &packed);
    let source = FileSource::builder(place.path("app.log.gz")).id("log").build().unwrap();
    let mut stream = source.tail(RESUME);
    let found = lines(&mut stream, 5_000).await;
    assert!(found.iter().take(5_000).enumerate().all(|(n, line)| *line == format!("line {n:06}")));
    let metrics = source.metrics().source("log").unwrap();
    let is_counted = async || metrics.dropped_bytes(DropReason::Damaged) > 0;
    // The rest of what can be read must be taken first.
    let drain = async {
        while let Ok(batch) = next(&mut stream).await {
            batch.ack();
            if is_counted().await {
                break;
            }
        }
    };
    tokio::select! {
        () = drain => {}
        () = until("the damage is counted", is_counted) => {}
    }
    assert!(metrics.dropped_bytes(DropReason::Damaged) <= (packed.len() - half + 300) as u64);
}

#[tokio::test]
async fn a_format_that_is_not_read_is_named() {
    let place = Place::new();
    append(&place.log, b"\xfd7zXZ\0..........");
    let source = FileSource::builder(&place.log).id("log").build().unwrap();
    let error = next(&mut source.tail(Position::Start)).await.unwrap_err();
    assert!(error.to_string().contains("xz") && error.to_string().contains("app.log"), "{error}");
}

#[tokio::test]
async fn a_line_of_64_mib_is_cut_and_what_follows_is_read() {
    let place = Place::new();
    append(&place.log, "before\n");
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        append(&place.log, &chunk);
    }
    append(&place.log, "\nafter\n");
    let source = FileSource::builder(&place.log).id("log").max_line_bytes(64 << 10);
    let source = source.build().unwrap();
    let found = lines(&mut source.tail(Position::Start), 3).await;
    assert_eq!(
        (found[0].as_str(), found[1].len(), found[2].as_str()),
        ("before", 64 << 10, "after")
    );
    let metrics = source.metrics().source("log").unwrap();
    assert_eq!(metrics.dropped(DropReason::LineTooLong), 1);
    assert_eq!(metrics.dropped_bytes(DropReason::LineTooLong), (64 << 20) - (64 << 10));
}

#[tokio::test]
async fn bytes_that_are_no_text_are_kept_and_shown_as_such() {
    let place = Place::new();
    append(&place.log, b"good\n\xc3\x28 \xff\xfe\n\xe2\x82\nlast\n");
    let mut stream = FileSource::builder(&place.log).build().unwrap().tail(Position::Start);
    let batch = next(&mut stream).await.unwrap();
    let found: Vec<&[u8]> = batch.entries().map(|entry| entry.line()).collect();
    assert_eq!(found, [&b"good"[..], b"\xc3\x28 \xff\xfe", b"\xe2\x82", b"last"]);
    assert_eq!(batch.get(1).unwrap().text(), "\u{fffd}( \u{fffd}\u{fffd}");
}

#[tokio::test]
async fn bytes_that_are_not_of_their_encoding_are_replaced_and_counted() {
    let cases: [(&str, &[u8], &[&str]); 4] = [
        // Half a pair of surrogates.
        ("utf-16le", b"a\0\n\0\x3d\xd8b\0\n\0c\0\n\0", &["a", "\u{fffd}b", "c"]),
        ("gbk", b"\xc4\xe3\xba\xc3\n\xff!\nend\n", &["你好", "\u{fffd}!", "end"]),
        // A first byte without its second one does not take the line's end with it.
        ("shift_jis", b"ok\n\x83\nend\n", &["ok", "\u{fffd}", "end"]),
        ("utf-8", b"ok\n\xf0\x9f\nend\n", &["ok", "\u{fffd}", "end"]),
    ];
    for (label, bytes, expected) in cases {
        let place = Place::new();
        append(&place.log, bytes);
        let framing = Framing::new().encoding(Encoding::of_label(label).unwrap());
        let source = FileSource::builder(&place.log).id("log").framing(framing).build().unwrap();
        let found = lines(&mut source.tail(Position::Start), 3).await;
        assert_eq!(found, expected, "{label}");
        if label != "utf-8" {
            let metrics = source.metrics().source("log").unwrap();
            assert_eq!(metrics.get(Count::Undecodable), 1, "{label}");
        }
    }
    let error = Encoding::of_label("utf-9").unwrap_err();
    assert!(error.to_string().contains("utf-9"), "{error}");
}

#[tokio::test]
async fn while_offsets_cannot_be_written_it_reads_on_and_recovers() {
    let home = Home::new();
    // As on a full disk: nothing that it writes can be longer than this.
    let full = ["sh", "-c", "trap '' XFSZ && exec prlimit --fsize=100: \"$@\"", "sh"];
    let mut far_end = FarEnd::start(&home, &full);
    append(&home.log(), "say 1st\n");
    let trouble = far_end.answer("trouble");
    assert!(trouble.contains("offsets"), "{trouble}");
    far_end.answer("health Degraded");
    append(&home.log(), "say 2nd\n");
    far_end.answer("2nd");
    far_end.act(&["prlimit", "--fsize=unlimited", "--pid"]);
    far_end.answer("health Ready");
    append(&home.log(), format!("{END}\n"));
    assert_eq!(far_end.told().lines, 2);
    append(&home.log(), "new\n");
    let source = FileSource::builder(home.log()).offset_file(home.at("offsets")).build().unwrap();
    assert_eq!(lines(&mut source.tail(RESUME), 1).await, ["new"]);
}

#[tokio::test]
async fn with_a_corrupt_checkpoint_it_starts_and_says_so() {
    for garbage in [&b"nonsense"[..], &[0; 4096], &[0xff; 100]] {
        let place = Place::new();
        append(&place.log, "1\n");
        append(&place.offsets, garbage);
        let builder = FileSource::builder(&place.log).id("log").offset_file(&place.offsets);
        let source = builder.build().unwrap();
        let mut stream = source.tail(RESUME);
        let error = next(&mut stream).await.unwrap_err();
        assert!(error.is_retryable() && error.kind() == ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("state.offsets"), "{error}");
        let batch = next(&mut stream).await.unwrap();
        assert_eq!(texts(&batch), ["1"]);
        batch.ack();
        drop((stream, source));
        append(&place.log, "2\n");
        let source = FileSource::builder(&place.log).id("log").offset_file(&place.offsets);
        let source = source.build().unwrap();
        assert_eq!(lines(&mut source.tail(RESUME), 1).await, ["2"]);
        assert_eq!(source.metrics().source("log").unwrap().get(Count::Errors), 0);
    }
}
