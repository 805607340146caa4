//! Files that are taken for others, or for none.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use birl_logsource::{Count, FileSource, Framing};

use super::*;

#[tokio::test]
async fn pain_06_the_inode_number_of_a_deleted_file() {
    let log = Log::new();
    let mut again = 0;
    for round in 0..20 {
        let name = format!("round {round}");
        log.write(&numbered(&name, 0..10));
        let mut run = log.run();
        assert_eq!(run.lines(10).await, numbered(&name, 0..10));
        let inode = fs::metadata(log.path()).unwrap().ino();
        if round % 2 == 0 {
            drop(run);
            fs::remove_file(log.path()).unwrap();
            // Longer than what was read, and of the same number where the file system has it so.
            log.write(&numbered("new", round * 100..round * 100 + 30));
            run = log.run();
        } else {
            fs::remove_file(log.path()).unwrap();
            log.write(&numbered("new", round * 100..round * 100 + 30));
        }
        let found = run.lines(30).await;
        let same = fs::metadata(log.path()).unwrap().ino() == inode;
        assert_eq!(found, numbered("new", round * 100..round * 100 + 30), "same number: {same}");
        again += usize::from(same);
        drop(run);
        fs::remove_file(log.path()).unwrap();
    }
    // Where the file system gives numbers again, some of them were: else this tests nothing.
    assert!(again > 0 || !gives_numbers_again(&log), "no number came again");
}

/// Whether a file that comes after another one was deleted may have its number: on ext4 and XFS, but
/// not on tmpfs.
fn gives_numbers_again(log: &Log) -> bool {
    let probe = log.at("probe");
    let number = || {
        fs::write(&probe, "").unwrap();
        let number = fs::metadata(&probe).unwrap().ino();
        fs::remove_file(&probe).unwrap();
        number
    };
    (0..20).map(|_| number()).collect::<Vec<_>>().windows(2).any(|two| two[0] == two[1])
}

#[tokio::test]
async fn pain_08_a_line_that_is_finished_after_a_restart() {
    let log = Log::new();
    append(log.path(), "whole\nabc");
    let mut run = log.run();
    assert_eq!(run.lines(1).await, ["whole"]);
    drop(run);
    append(log.path(), "def\n");
    log.end();
    assert_eq!(log.run().rest().await, ["abcdef"]);
}

#[tokio::test]
async fn pain_20_two_files_that_begin_alike() {
    let log = Log::new();
    let header = "# the same four thousand bytes\n".repeat(140);
    for (name, count) in [("app.log.a", 100), ("app.log.b", 50)] {
        append(&log.at(name), header.clone() + &joined(&numbered(name, 0..count)));
    }
    let mut run = Run::of(log.glob());
    let found = run.lines(140 * 2 + 150).await;
    append(&log.at("app.log.b"), joined(&numbered("app.log.b", 50..100)));
    let found = [found, run.lines(50).await].concat();
    let of = |name: &str| {
        found.iter().filter(|line| line.starts_with(name)).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of("app.log.a"), numbered("app.log.a", 0..100));
    assert_eq!(of("app.log.b"), numbered("app.log.b", 0..100));
    assert_eq!(of("#").len(), 280);
}

#[tokio::test]
async fn pain_21_two_files_that_are_the_same() {
    let log = Log::new();
    let names = ["one.log", "two.log"];
    let write = |numbers: Range<usize>| {
        for name in names {
            append(&log.at(name), joined(&numbered("same", numbers.clone())));
        }
    };
    write(0..100);
    let mut run = Run::of(FileSource::builder(log.at("*.log")).id("log"));
    let mut found = run.lines(200).await;
    write(100..150);
    found.extend(run.lines(100).await);
    let twice = numbered("same", 0..150).into_iter().flat_map(|line| [line.clone(), line]);
    assert_eq!(sorted(found), twice.collect::<Vec<_>>());
}

#[tokio::test]
async fn pain_22_files_that_are_small() {
    let log = Log::new();
    append(&log.at("one.log"), "1\n");
    append(&log.at("three.log"), "abc");
    append(&log.at("none.log"), "");
    let framing = Framing::new().flush_partial_after(Duration::from_millis(20));
    let mut run = Run::of(FileSource::builder(log.at("*.log")).id("log").framing(framing));
    assert_eq!(sorted(run.lines(2).await), ["1", "abc"]);
    append(&log.at("none.log"), "x\n");
    assert_eq!(run.lines(1).await, ["x"]);
}

#[tokio::test]
async fn pain_25_a_name_that_is_no_text() {
    let log = Log::new();
    let path = log.at("dir").join(OsStr::from_bytes(b"\xff\xfe.log"));
    fs::create_dir(log.at("dir")).unwrap();
    append(&path, "1\n");
    let build = || {
        let builder = FileSource::builder(log.at("dir/*.log")).id("log");
        builder.offset_file(&log.place.offsets)
    };
    let mut run = Run::of(build());
    assert_eq!(run.lines(1).await, ["1"]);
    drop(run);
    append(&path, "2\n");
    let mut run = Run::of(build());
    assert_eq!(run.lines(1).await, ["2"]);
    assert_eq!(run.count(Count::Resumed), 1);
}
