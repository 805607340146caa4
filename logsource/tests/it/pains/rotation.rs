//! Files that are renamed, copied, cut and packed.

use std::fs;
use std::io::Write;
use std::time::Duration;

use birl_logsource::{Count, FileSource, HealthState, LogSource};

use super::*;
use crate::support::{made_older, until};

#[tokio::test]
async fn pain_01_truncate_with_the_same_first_line() {
    let header = "# time level message\n";
    let log = Log::new();
    append(log.path(), header);
    log.write(&numbered("old", 0..1000));
    let mut run = log.run();
    run.lines(1001).await;
    fs::write(log.path(), header.to_owned() + &joined(&numbered("new", 0..10))).unwrap();
    log.end();
    let found = run.rest().await;
    assert_eq!(found[0], header.trim());
    assert_eq!(found[1..], numbered("new", 0..10));
    assert_eq!(run.count(Count::Truncations), 1);
}

#[tokio::test]
async fn pain_01_truncate_with_the_same_first_page_and_more_than_before() {
    let header = "# a long licence\n".repeat(200);
    for stopped in [false, true] {
        let log = Log::new();
        append(log.path(), &header);
        log.write(&numbered("old", 0..1000));
        let mut run = log.run();
        run.lines(1200).await;
        if stopped {
            drop(run);
            fs::write(log.path(), header.clone() + &joined(&numbered("new", 0..3000))).unwrap();
            run = log.run();
        } else {
            fs::write(log.path(), header.clone() + &joined(&numbered("new", 0..3000))).unwrap();
        }
        log.end();
        assert_eq!(run.rest().await[200..], numbered("new", 0..3000), "stopped: {stopped}");
    }
}

#[tokio::test]
async fn pain_02_copytruncate() {
    let log = Log::new();
    log.write(&numbered("a", 0..100));
    let mut run = log.run();
    let mut found = run.lines(100).await;
    for round in 1..4 {
        copy_and_truncate(log.path(), &log.at(&format!("app.log.{round}")));
        let lines = numbered("b", round * 10..round * 10 + 10);
        log.write(&lines);
        found.extend(run.lines(10).await);
    }
    log.end();
    found.extend(run.rest().await);
    assert_eq!(found, [numbered("a", 0..100), numbered("b", 10..40)].concat());
    assert_eq!(run.all_dropped(), 0);
}

#[tokio::test]
async fn pain_03_copytruncate_with_gzip_and_a_restart() {
    for glob in [false, true] {
        let log = Log::new();
        let build = || if glob { log.glob() } else { log.builder() };
        log.write(&numbered("a", 0..50));
        let mut run = Run::of(build().batch_bytes(64));
        let mut found = run.lines(10).await;
        drop(run);
        copy_and_truncate(log.path(), &log.at("app.log.1"));
        gzip(&log.at("app.log.1"), &log.at("app.log.1.gz"));
        log.write(&numbered("a", 50..100));
        let mut run = Run::of(build().batch_bytes(64));
        found.extend(run.lines(60).await);
        drop(run);
        fs::rename(log.at("app.log.1.gz"), log.at("app.log.2.gz")).unwrap();
        copy_and_truncate(log.path(), &log.at("app.log.1"));
        gzip(&log.at("app.log.1"), &log.at("app.log.1.gz"));
        log.write(&numbered("a", 100..150));
        log.end();
        let mut run = Run::of(build());
        found.extend(run.rest().await);
        assert_eq!(found, numbered("a", 0..150), "glob: {glob}");
        assert_eq!(run.all_dropped(), 0);
    }
}

#[tokio::test]
async fn pain_04_packed_while_half_of_it_was_read() {
    for (glob, suffix) in [(false, "gz"), (true, "gz"), (false, "zst"), (true, "zst")] {
        let log = Log::new();
        let build = || if glob { log.glob() } else { log.builder() };
        log.write(&numbered("a", 0..1000));
        let mut run = Run::of(build().batch_bytes(1000));
        let mut found = run.lines(500).await;
        drop(run);
        fs::rename(log.path(), log.at("app.log.1")).unwrap();
        let packed = log.at(&format!("app.log.1.{suffix}"));
        if suffix == "gz" {
            gzip(&log.at("app.log.1"), &packed);
        } else {
            let plain = fs::File::open(log.at("app.log.1")).unwrap();
            let level = ruzstd::encoding::CompressionLevel::Fastest;
            fs::write(&packed, ruzstd::encoding::compress_to_vec(plain, level)).unwrap();
            fs::remove_file(log.at("app.log.1")).unwrap();
        }
        log.write(&numbered("b", 0..10));
        log.end();
        found.extend(Run::of(build()).rest().await);
        let expected = [numbered("a", 0..1000), numbered("b", 0..10)].concat();
        assert_eq!(found, expected, "glob: {glob}, {suffix}");
    }
}

#[tokio::test]
async fn pain_05_members_one_after_another() {
    let log = Log::new();
    let packed = log.at("c.gz");
    let members = [gzipped(b"a 1\na 2\n"), gzipped(b"b 1\n"), gzipped(b""), gzipped(b"c 1\nc 2\n")];
    fs::write(&packed, members.concat()).unwrap();
    let mut run = Run::of(FileSource::builder(&packed).id("log"));
    assert_eq!(run.lines(5).await, ["a 1", "a 2", "b 1", "c 1", "c 2"]);
}

#[tokio::test]
async fn pain_07_rotated_while_stopped() {
    for glob in [false, true] {
        let log = Log::new();
        let build = || if glob { log.glob() } else { log.builder() };
        log.write(&numbered("a", 0..100));
        let mut run = Run::of(build());
        let mut found = run.lines(100).await;
        drop(run);
        fs::rename(log.path(), log.at("app.log.1")).unwrap();
        append(&log.at("app.log.1"), joined(&numbered("a", 100..110)));
        log.write(&numbered("b", 0..10));
        log.end();
        let mut run = Run::of(build());
        found.extend(run.rest().await);
        let expected = [numbered("a", 0..110), numbered("b", 0..10)].concat();
        assert_eq!(found, expected, "glob: {glob}");
        assert_eq!(run.all_dropped(), 0);
    }
}

#[tokio::test]
async fn pain_07_a_log_that_came_and_was_rotated_while_stopped() {
    let log = Log::new();
    let build = || FileSource::builder(log.at("*.log")).id("log").offset_file(&log.place.offsets);
    log.write(&numbered("a", 0..10));
    let mut run = Run::of(build());
    assert_eq!(run.lines(10).await, numbered("a", 0..10));
    drop(run);
    append(&log.at("late.log.1"), joined(&numbered("b", 0..10)));
    append(&log.at("late.log"), joined(&[&numbered("c", 0..10)[..], &[END.to_owned()]].concat()));
    // What was written before anybody read anything is none of it.
    let old = append(&log.at("late.log.2"), joined(&numbered("old", 0..10)));
    old.set_modified(std::time::UNIX_EPOCH).unwrap();
    let mut run = Run::of(build());
    assert_eq!(run.rest().await, [numbered("b", 0..10), numbered("c", 0..10)].concat());
}

#[tokio::test]
async fn pain_09_rotated_at_any_byte() {
    // A thousand rotations: fifty of each log.
    const LOGS: usize = 20;
    const LINES: usize = 3000;
    let log = Log::new();
    let path = |of: usize| log.at(&format!("app-{of}.log"));
    let mut files: Vec<_> = (0..LOGS).map(|of| append(&path(of), "")).collect();
    let builder = FileSource::builder(log.at("app-*.log")).id("log");
    let mut run = Run::of(builder.offset_file(&log.place.offsets));
    let place = log.place.dir.path().to_owned();
    let writer = std::thread::spawn(move || {
        let mut random = 20_261_123_u64;
        for n in 0..LINES {
            let (of, count) = (n % LOGS, n / LOGS);
            let path = place.join(format!("app-{of}.log"));
            let record =
                format!("{{\"log\":{of},\"n\":{count},\"text\":\"{}\"}}\n", "x".repeat(n % 97));
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let cut = (random >> 33) as usize % record.len();
            let (before, after) = record.split_at(cut);
            files[of].write_all(before.as_bytes()).unwrap();
            // The writer learns of it after its line is whole, as programs do.
            let is_rotated = count % 3 == 2;
            if is_rotated {
                let rotated = format!("app-{of}.log-{}", 20_260_000 + count);
                fs::rename(&path, place.join(rotated)).unwrap();
            }
            files[of].write_all(after.as_bytes()).unwrap();
            if is_rotated {
                files[of] = append(&path, "");
            }
        }
    });
    let found = run.lines(LINES).await;
    writer.join().unwrap();
    for of in 0..LOGS {
        let start = format!("{{\"log\":{of},");
        let lines = found.iter().filter(|line| line.starts_with(&start));
        let expected = |n: usize| format!("{start}\"n\":{n},");
        for (n, line) in lines.clone().enumerate() {
            assert!(line.starts_with(&expected(n)) && line.ends_with("\"}"), "{of}, {n}: {line}");
        }
        assert_eq!(lines.count(), LINES / LOGS, "{of}");
    }
}

#[tokio::test]
async fn pain_10_rotated_often_while_the_consumer_is_slow() {
    let log = Log::new();
    let mut run = Run::of(log.builder().batch_bytes(256));
    let mut expected = Vec::new();
    for generation in 0..6 {
        let lines = numbered(&format!("generation {generation}"), 0..200);
        log.write(&lines);
        expected.extend(lines);
        if generation < 5 {
            fs::rename(log.path(), log.at(&format!("app.log-2026112{generation}"))).unwrap();
        }
    }
    log.end();
    assert_eq!(run.rest().await, expected);
    assert_eq!(run.all_dropped(), 0);
}

#[tokio::test]
async fn pain_14_goes_on_after_a_rotation() {
    let log = Log::new();
    let mut run = Run::of(log.builder().batch_bytes(128));
    for generation in 0..4 {
        let lines = numbered(&format!("generation {generation}"), 0..3);
        log.write(&lines);
        assert_eq!(run.lines(3).await, lines);
        fs::rename(log.path(), log.at(&format!("app.log.{generation}"))).unwrap();
    }
    log.write(&numbered("more", 0..1000));
    assert_eq!(run.lines(1000).await, numbered("more", 0..1000));
    until("it is well, and knows that it is through", async || {
        let health = run.source.health_check().await.unwrap();
        health.state == HealthState::Ready && health.lag_bytes == Some(0)
    })
    .await;
}

#[tokio::test]
async fn pain_14_the_lag_is_told_while_nobody_takes_what_is_read() {
    let log = Log::new();
    let run = Run::of(log.builder().batch_bytes(1024));
    log.write(&numbered("a", 0..1000));
    let lag = async || {
        let health = run.source.health_check().await.unwrap();
        (health.lag_bytes.unwrap(), health.lag.unwrap())
    };
    let written = || fs::metadata(log.path()).unwrap().len();
    until("it knows how far behind it is", async || lag().await.0 > written() / 2).await;
    let before = lag().await;
    log.write(&numbered("b", 0..10_000));
    until("it sees that more was written, and time passes", async || {
        let (bytes, age) = lag().await;
        bytes > before.0 + written() / 2 && age > before.1
    })
    .await;
}

#[tokio::test]
async fn pain_31_the_lines_of_a_writer_come_in_their_order() {
    const FILES: usize = 20;
    let log = Log::new();
    let mut run = Run::of(log.builder().batch_bytes(512));
    for file in 0..FILES {
        log.write(&numbered("a", file * 100..file * 100 + 100));
        // Names alone do not tell the order of files that were written at the same moment.
        until("it is open", async || run.count(Count::Files) as usize > file).await;
        // As logrotate does: every file is renamed.
        for number in (1..=file).rev() {
            let of = |number: usize| log.at(&format!("app.log.{number}"));
            fs::rename(of(number), of(number + 1)).unwrap();
        }
        fs::rename(log.path(), log.at("app.log.1")).unwrap();
    }
    assert_eq!(run.lines(FILES * 100).await, numbered("a", 0..FILES * 100));
}

/// A pattern that matches the log, its copies and its archives.
#[tokio::test]
async fn pain_02_copytruncate_and_the_pattern_matches_the_copy() {
    let log = Log::new();
    log.write(&numbered("a", 0..100));
    let mut run = Run::of(log.glob());
    let mut found = run.lines(100).await;
    for round in 1..4 {
        copy_and_truncate(log.path(), &log.at(&format!("app.log.{round}")));
        let lines = numbered("b", round * 10..round * 10 + 10);
        log.write(&lines);
        found.extend(run.lines(10).await);
        // A restart in between: the copy is known, and matches.
        drop(run);
        run = Run::of(log.glob());
    }
    log.end();
    found.extend(run.rest().await);
    let expected = [numbered("a", 0..100), numbered("b", 10..40)].concat();
    assert_eq!(sorted(found), expected);
}

#[tokio::test]
async fn pain_04_packed_and_the_pattern_matches_the_archive() {
    let log = Log::new();
    log.write(&numbered("a", 0..1000));
    let mut run = Run::of(log.glob());
    let mut found = run.lines(1000).await;
    fs::rename(log.path(), log.at("app.log.1")).unwrap();
    log.write(&numbered("b", 0..100));
    found.extend(run.lines(100).await);
    gzip(&log.at("app.log.1"), &log.at("app.log.1.gz"));
    log.write(&numbered("c", 0..100));
    found.extend(run.lines(100).await);
    drop(run);
    // It moves on while nobody looks.
    fs::rename(log.at("app.log.1.gz"), log.at("app.log.2.gz")).unwrap();
    fs::rename(log.path(), log.at("app.log.1")).unwrap();
    gzip(&log.at("app.log.1"), &log.at("app.log.1.gz"));
    log.write(&numbered("d", 0..100));
    log.end();
    found.extend(Run::of(log.glob()).rest().await);
    let expected = [
        numbered("a", 0..1000),
        numbered("b", 0..100),
        numbered("c", 0..100),
        numbered("d", 0..100),
    ];
    assert_eq!(sorted(found), expected.concat());
}

/// Half of an archive does not show what it was made of once the plain file is gone.
#[tokio::test]
async fn pain_04_the_plain_file_goes_while_its_archive_is_half_written() {
    let log = Log::new();
    let mut run = Run::of(log.glob());
    // So few that it is known by all of them: its beginning alone says nothing.
    log.write(&numbered("a", 0..60));
    let mut found = run.lines(60).await;
    fs::rename(log.path(), log.at("app.log.1")).unwrap();
    let (plain, packed) = (log.at("app.log.1"), log.at("app.log.1.gz"));
    // Stored as it is, so that each part of it is a part of the lines.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(&fs::read(&plain).unwrap()).unwrap();
    let bytes = encoder.finish().unwrap();
    for (part, piece) in bytes.chunks(bytes.len().div_ceil(4)).enumerate() {
        append(&packed, piece);
        if part == 1 {
            fs::remove_file(&plain).unwrap();
        }
        // What was told before the first of these is looked at before the second comes.
        for number in part * 2..part * 2 + 2 {
            log.write(&numbered("b", number..number + 1));
            found.extend(run.lines(1).await);
        }
    }
    // Nobody has written to it for a while: what it is shows now.
    made_older(&packed, Duration::from_secs(10));
    log.write(&numbered("c", 0..1));
    found.extend(run.lines(1).await);
    log.end();
    found.extend(run.rest().await);
    let expected = [numbered("a", 0..60), numbered("b", 0..8), numbered("c", 0..1)];
    assert_eq!(sorted(found), expected.concat());
}
