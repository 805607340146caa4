//! `/proc/diskstats` of this machine, while something is written to a disk.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::thread;
use std::time::{Duration, Instant};

use birl_scaler::procfs::Disk;
use birl_scaler::{DiskDepth, DiskQueue, FaultKind};

use crate::kernel::{not_tested, read, value};

const FILE: &str = "/proc/diskstats";

/// For so long, each write is on the disk before the next. Gives how many there were.
fn write_and_sync(threads: usize, time: Duration) -> u64 {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let end = Instant::now() + time;
    let write = |n: usize| {
        let file = File::create(folder.path().join(n.to_string())).unwrap();
        let mut writes = 0;
        while Instant::now() < end {
            file.write_all_at(&[n as u8; 256 << 10], 0).unwrap();
            file.sync_all().unwrap();
            writes += 1;
        }
        writes
    };
    thread::scope(|scope| {
        let writing: Vec<_> = (0..threads).map(|n| scope.spawn(move || write(n))).collect();
        writing.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

fn completed() -> u64 {
    let text = fs::read_to_string(FILE).unwrap();
    Disk::parse_all(&text, FILE).unwrap().iter().map(|disk| disk.completed).sum()
}

/// Some machines keep their files in memory; then there is no disk to look at.
fn has_disk() -> bool {
    let before = completed();
    write_and_sync(1, Duration::from_millis(200));
    let moved = completed() > before;
    if !moved {
        not_tested(&"no disk is behind the folder of the tests");
    }
    moved
}

#[test]
fn a_queue_is_seen_while_files_are_written_and_synced() {
    if !has_disk() {
        return;
    }
    let mean = DiskQueue::new("queue");
    let each = DiskQueue::new("queue").each();
    assert_eq!(read(&mean).unwrap_err().kind(), FaultKind::Empty);
    assert_eq!(read(&each).unwrap_err().kind(), FaultKind::Empty);
    let before = completed();
    let writes = write_and_sync(4, Duration::from_secs(1));
    let counted = completed() - before;
    assert!(counted >= writes, "{writes} writes were synced, and {counted} were counted");
    let depth = value(&mean);
    let deepest = read(&each).unwrap().samples.iter().filter_map(|s| s.value).max().unwrap();
    println!("mean depth {depth}, of each {deepest}, completed {counted}");
    assert!(depth > 0.05, "{depth}");
    assert!((0.5..=2.0).contains(&(deepest.as_f64() / depth)), "the deepest of all is {depth}");
}

#[test]
fn requests_on_their_way_are_seen_in_a_snapshot() {
    if !has_disk() {
        return;
    }
    let queue = DiskQueue::new("queue").depth(DiskDepth::InFlight);
    let deepest = thread::scope(|scope| {
        let writing = scope.spawn(|| write_and_sync(4, Duration::from_secs(1)));
        let mut deepest = 0.0_f64;
        while !writing.is_finished() {
            deepest = deepest.max(value(&queue));
            thread::sleep(Duration::from_millis(1));
        }
        deepest
    });
    println!("most in flight: {deepest}");
    assert!(deepest >= 1.0);
}
