//! What reading a file asks of the allocator: nothing for a line, next to nothing for a batch, and
//! never more than a few slabs at a time.
//!
//! The allocator counts for all threads of the process, since another one reads. So one test runs
//! at a time, and what happens now and then (a commit of the offset file, a look at the directory,
//! a word of the test harness) is told apart by the median over many batches.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod counting;

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use birl_logsource::{
    Batch, Count, EntryRef, Error, FileSource, Framing, Join, LogEntry, LogSource, LogSourceExt,
    Parser, Position, SourceMetrics, ValueRef,
};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a batch is read into, by default.
const SLAB: usize = 128 << 10;

/// More slabs than are ever in use at once are filled and given back before anything is counted,
/// so that each has room for its lines.
const WARM_UP: usize = 10;

/// How often memory may be asked for while a batch is read, taken and acknowledged. By itself that
/// is never. Each time that the reader waits for the consumer it is once, for the list of what it
/// waits for; and a commit of the offset file, which there is every 100 ms, takes about four.
const PER_BATCH: u64 = 8;

/// The reader is at most this many batches ahead: two in the queue, and the one that finds no room.
const AHEAD: u64 = 3;

/// Bytes that a file takes that is followed, was read to its end, and is closed: its name, its place,
/// and what tells it from others.
const CLOSED: usize = 2500;

/// Held for as long as a test counts.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A log of many lines, and room for an offset file.
struct Log {
    dir: TempDir,
    path: PathBuf,
    lines: usize,
}

impl Log {
    /// Lines that `line` gives the text of, for about so many bytes.
    fn of(bytes: usize, line: impl Fn(usize) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        let mut file = BufWriter::new(File::create(&path).unwrap());
        let (mut written, mut lines) = (0, 0);
        while written < bytes {
            let line = line(lines);
            writeln!(file, "{line}").unwrap();
            (written, lines) = (written + line.len() + 1, lines + 1);
        }
        file.flush().unwrap();
        Self { dir, path, lines }
    }

    /// Lines of so many bytes each, with their ends.
    fn of_lines(bytes: usize, line: usize) -> Self {
        let digits = line - 1;
        Self::of(bytes, |n| format!("{n:0digits$}"))
    }

    fn source(&self) -> FileSource {
        let offsets = self.dir.path().join("app.offsets");
        let builder = FileSource::builder(&self.path).id("log").parser(Parser::raw());
        builder.offset_file(offsets).build().unwrap()
    }
}

/// One reading of a log.
struct Run {
    runtime: Runtime,
    metrics: Arc<SourceMetrics>,
    stream: BoxStream<'static, Result<Batch, Error>>,
}

impl Run {
    fn of(log: &Log) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let source = log.source();
        let metrics = source.metrics().source("log").unwrap();
        Self { runtime, metrics, stream: source.tail(Position::Start) }
    }

    fn next(&mut self) -> Batch {
        next(&self.runtime, &mut self.stream)
    }

    /// Waits until the reader is as far ahead as it gets, or has read so many batches.
    fn let_it_run_ahead(&self, taken: u64, most: u64) {
        const MOMENT: Duration = Duration::from_millis(5);
        let ahead = (taken + AHEAD).min(most);
        self.runtime.block_on(async {
            let reads = async {
                while self.metrics.get(Count::Batches) < ahead {
                    sleep(MOMENT).await;
                }
            };
            timeout(PATIENCE, reads).await.expect("it does not read ahead");
            // Nothing tells that no more comes; were there no bound, much would.
            sleep(MOMENT).await;
        });
    }
}

/// The next item of a stream; fails the test if none comes.
fn next<T>(runtime: &Runtime, stream: &mut (impl Stream<Item = Result<T, Error>> + Unpin)) -> T {
    let item = runtime.block_on(async { timeout(PATIENCE, stream.next()).await });
    item.expect("nothing came").expect("the stream ended").unwrap()
}

/// How often memory was asked for.
#[derive(Debug)]
struct Calls {
    lines: usize,
    batches: usize,
    /// Over all.
    total: u64,
    /// For the batch in the middle.
    median: u64,
}

impl Calls {
    /// Reads a log to its end with offset file and acknowledgements, and counts all that happens
    /// once memory is warm.
    fn of(log: &Log, each: impl FnMut(EntryRef<'_>)) -> Self {
        let mut run = Run::of(log);
        Self::of_batches(log, || run.next(), each)
    }

    /// The same, where the caller reads.
    fn of_pulled(log: &Log, each: impl FnMut(EntryRef<'_>)) -> Self {
        let mut tail = log.source().tail_blocking(Position::Start).unwrap();
        let next = || tail.next_within(PATIENCE).unwrap().expect("nothing came");
        Self::of_batches(log, next, each)
    }

    fn of_batches(
        log: &Log,
        mut next: impl FnMut() -> Batch,
        mut each: impl FnMut(EntryRef<'_>),
    ) -> Self {
        let (mut warm, mut of_batches) = (0, Vec::with_capacity(1000));
        for batch in (0..WARM_UP).map(|_| next()).collect::<Vec<_>>() {
            batch.entries().for_each(&mut each);
            warm += batch.len();
            batch.ack();
        }
        let (mut lines, begun) = (warm, counting::calls());
        while lines < log.lines {
            let before = counting::calls();
            let batch = next();
            batch.entries().for_each(&mut each);
            lines += batch.len();
            batch.ack();
            of_batches.push(counting::calls() - before);
        }
        let total = counting::calls() - begun;
        of_batches.sort_unstable();
        let (lines, batches) = (lines - warm, of_batches.len());
        Self { lines, batches, total, median: of_batches[batches / 2] }
    }

    /// Lines cost nothing: a batch costs the same few calls however many are in it, and where they
    /// are many, all calls together are next to none beside them.
    #[track_caller]
    fn are_for_no_line(&self, lines_per_batch: usize) {
        assert!(self.lines >= self.batches * lines_per_batch, "{self:?}");
        assert!(self.median <= PER_BATCH, "{self:?}");
        let others = self.total.saturating_sub(self.batches as u64 * PER_BATCH);
        assert!(lines_per_batch < 1000 || others * 100 <= self.lines as u64, "{self:?}");
    }
}

#[test]
fn a_line_costs_no_allocation() {
    let _alone = alone();
    let mut hash = DefaultHasher::new();
    // As many bytes in each batch: 16,384 lines, 1,024 or 32.
    for line in [8, 128, 4096] {
        let log = Log::of_lines(16 << 20, line);
        let calls = Calls::of(&log, |entry| hash.write(entry.line()));
        calls.are_for_no_line(SLAB / line - 1);
        let calls = Calls::of_pulled(&log, |entry| hash.write(entry.line()));
        calls.are_for_no_line(SLAB / line - 1);
        assert_eq!(calls.median, 0, "{calls:?}");
    }
    assert_ne!(hash.finish(), 0);
}

#[test]
fn the_fields_of_a_line_cost_no_allocation() {
    let _alone = alone();
    // The third has to be unescaped.
    let log = Log::of(16 << 20, |n| {
        let (level, status) = (if n % 9 == 0 { "error" } else { "info" }, 200 + n % 400);
        format!(
            r#"{{"level":"{level}","took":0.25,"user":{{"name":"u","id":{n}}},"message":"\"{n}\" is {status}","status":{status},"rest":[1,2,3]}}"#
        )
    });
    let mut extractor = Parser::json().extractor(&["level", "user.id", "message"]);
    let (mut seen, mut ids, mut bytes) = (0, 0, 0);
    let calls = Calls::of(&log, |entry| {
        let found = entry.extract(&mut extractor);
        let fields = (found.get(0), found.get(1), found.get(2));
        let (Some(ValueRef::Str(level)), Some(ValueRef::Int(id)), Some(ValueRef::Str(message))) =
            fields
        else {
            panic!("{fields:?}");
        };
        assert!(message.starts_with('"'));
        (seen, ids, bytes) = (seen + 1, ids + id, bytes + level.len());
    });
    assert_eq!((seen, ids), (log.lines, (0..log.lines as i64).sum()));
    assert!(bytes > 0);
    calls.are_for_no_line(SLAB / 128);
}

#[test]
fn one_entry_that_is_not_acknowledged_keeps_next_to_nothing_of_its_batch() {
    let _alone = alone();
    let log = Log::of_lines(7 * SLAB / 2, 8);
    let growth = || {
        let mut run = Run::of(&log);
        // The last one, so that the reader needs no new slab to find that there is no more.
        let mut batch = run.next();
        let mut read = batch.len();
        while read < log.lines {
            batch.ack();
            batch = run.next();
            read += batch.len();
        }
        assert!(batch.len() > 8000);
        let before = counting::live();
        let mut deliveries = batch.into_deliveries();
        let kept = deliveries.next().unwrap();
        deliveries.for_each(|delivery| delivery.ack.done());
        let after = counting::live();
        kept.ack.done();
        after.saturating_sub(before)
    };
    // What the other threads take meanwhile is not of the entry.
    let growths: Vec<_> = (0..7).map(|_| growth()).collect();
    assert!(growths.iter().min() < Some(&(8 * 8000)), "{growths:?}");
}

/// Reads a log and keeps a few entries. All that is held after that is those, and before that there
/// were never more than a few slabs.
#[track_caller]
fn keeps_no_slab(log: &Log, entries: &mut Vec<LogEntry>, read: impl FnOnce(&mut Vec<LogEntry>)) {
    let before = counting::live();
    counting::begin_peak();
    read(entries);
    let over = |bytes: usize| bytes.saturating_sub(before);
    let (kept, peak) = (over(counting::live()), over(counting::peak()));
    let (count, bytes) = (entries.len(), log.lines * (entries[0].line.len() + 1));
    assert!(count >= 200 && bytes > 200 * SLAB, "{count} of {bytes}");
    // Not one slab, of hundreds.
    assert!(kept < SLAB, "{count} entries keep {kept} bytes");
    assert!(peak < 16 * SLAB, "{peak} bytes were held");
}

#[test]
fn a_kept_line_keeps_no_slab() {
    let _alone = alone();
    let log = Log::of_lines(32 << 20, 128);
    let mut entries = Vec::with_capacity(1000);
    keeps_no_slab(&log, &mut entries, |entries| {
        let (mut run, mut lines) = (Run::of(&log), 0);
        while lines < log.lines {
            let batch = run.next();
            lines += batch.len();
            entries.extend(batch.get(batch.len() / 2).map(EntryRef::to_entry));
            batch.ack();
        }
    });
    entries.clear();
    keeps_no_slab(&log, &mut entries, |entries| {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let mut stream = log.source().entries(Position::Start);
        for n in 0..log.lines {
            let delivery = next(&runtime, &mut stream);
            delivery.ack.done();
            if n % 1000 == 0 {
                entries.push(delivery.entry);
            }
        }
    });
}

#[test]
fn a_file_that_was_read_and_is_closed_takes_little_memory() {
    const FILES: usize = 500;
    let _alone = alone();
    let held = |files: usize| {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..files {
            let path = dir.path().join(format!("app-{n:06}.log"));
            std::fs::write(path, format!("line {n}\n")).unwrap();
        }
        let builder = FileSource::builder(dir.path().join("*.log")).id("logs");
        let builder = builder.offset_file(dir.path().join("offsets")).max_open_files(16);
        let source = builder.build().unwrap();
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let before = counting::live();
        let mut stream = source.tail(Position::Start);
        for _ in 0..files {
            next(&runtime, &mut stream).ack();
        }
        // What a commit or a look at the directory takes is given back.
        let moments = (0..40).map(|_| {
            runtime.block_on(async { sleep(Duration::from_millis(50)).await });
            counting::live().saturating_sub(before)
        });
        moments.min().unwrap()
    };
    // What is set up once belongs to neither.
    held(1);
    let (few, many) = (held(FILES), held(5 * FILES));
    let each = many.saturating_sub(few) / (4 * FILES);
    assert!(each < CLOSED, "{each} bytes a file: {few} for {FILES}, {many} for five times as many");
}

/// Reads files that all have more than a few batches, and an unfinished line at their ends. Gives the
/// most memory that was taken at once, and what is taken at the end.
fn memory_of_files(files: usize, framing: &Framing) -> (usize, usize) {
    const LINES: usize = 3_000;
    let dir = tempfile::tempdir().unwrap();
    for n in 0..files {
        let file = File::create(dir.path().join(format!("app-{n}.log"))).unwrap();
        let mut file = BufWriter::new(file);
        // With a time in front, as in a container's log.
        let line = |line: usize| format!("2026-01-01T00:00:00.000Z stdout F {n} {line:0100}");
        (0..LINES).for_each(|at| writeln!(file, "{}", line(at)).unwrap());
        file.write_all(b"2026-01-01T00:00:00.000Z stdout F unfinished").unwrap();
        file.flush().unwrap();
    }
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let before = counting::live();
    counting::begin_peak();
    let builder = FileSource::builder(dir.path().join("*.log")).id("logs");
    let source = builder.framing(framing.clone()).build().unwrap();
    let mut stream = source.tail(Position::Start);
    // The last message of a file waits for the next one.
    let mut left = files * (LINES - 1);
    while left > 0 {
        let batch = next(&runtime, &mut stream);
        left = left.saturating_sub(batch.len());
        batch.ack();
    }
    let moments = (0..20).map(|_| {
        runtime.block_on(async { sleep(Duration::from_millis(50)).await });
        counting::live().saturating_sub(before)
    });
    let end = moments.min().unwrap();
    (counting::peak().saturating_sub(before), end)
}

#[test]
fn however_many_files_are_read_at_a_time_their_unfinished_lines_hold_no_slab() {
    let _alone = alone();
    let containers = Framing::new().join(Join::containers());
    for framing in [Framing::new(), containers] {
        // What is set up once belongs to neither.
        memory_of_files(1, &framing);
        let (one, many) = (memory_of_files(1, &framing), memory_of_files(64, &framing));
        // To be known takes a few kilobytes each; a slab is 128.
        let most = |one: usize| one + 64 * 8 * 1024 + 4 * SLAB;
        assert!(many.0 < most(one.0) && many.1 < most(one.1), "{one:?}, for 64: {many:?}");
    }
}

/// Reads archives to their ends, and gives the most memory that was taken at once.
#[cfg(feature = "compression")]
fn peak_of_archives(archives: usize, lines: usize) -> usize {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..archives {
        let file = File::create(dir.path().join(format!("app.log.{n}.gz"))).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        (0..lines).for_each(|line| writeln!(gzip, "{n} {line:0120}").unwrap());
        gzip.finish().unwrap();
    }
    let before = counting::live();
    counting::begin_peak();
    let source = FileSource::builder(dir.path().join("*.gz")).id("logs").build().unwrap();
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let mut stream = source.tail(Position::Start);
    let mut left = archives * lines;
    while left > 0 {
        let batch = next(&runtime, &mut stream);
        left -= batch.len();
        batch.ack();
    }
    drop(stream);
    counting::peak().saturating_sub(before)
}

#[cfg(feature = "compression")]
#[test]
fn however_many_archives_there_are_one_is_unpacked_at_a_time() {
    let _alone = alone();
    // What is set up once belongs to neither.
    peak_of_archives(1, 1);
    let (one, many) = (peak_of_archives(1, 2_000), peak_of_archives(32, 2_000));
    // To be known takes a few kilobytes each; to be unpacked, from 60 to 300.
    assert!(many < one + 32 * 8 * 1024 + 4 * SLAB, "{one} bytes for one, {many} for 32");
}

#[test]
fn a_backlog_takes_as_much_memory_as_a_short_one() {
    let _alone = alone();
    let peak = |bytes: usize| {
        let log = Log::of_lines(bytes, 128);
        let most = bytes.div_ceil(SLAB) as u64;
        let before = counting::live();
        counting::begin_peak();
        let (mut run, mut lines) = (Run::of(&log), 0);
        for taken in 0.. {
            if lines == log.lines {
                break;
            }
            // A slow consumer: now and then, all that can be read ahead of it is.
            if taken % 16 == 0 {
                run.let_it_run_ahead(taken, most);
            }
            let batch = run.next();
            lines += batch.len();
            batch.ack();
        }
        drop(run);
        counting::peak().saturating_sub(before)
    };
    // What is set up once in a process belongs to neither.
    peak(1 << 20);
    let (short, long) = (peak(8 << 20), peak(64 << 20));
    // Whether the reader ever fills one slab more while the consumer has one is a matter of luck.
    assert!(long < short + 2 * SLAB, "{short} bytes for 8 MiB, {long} for 64 MiB");
    assert!(long < 10 * SLAB, "more than the builder says: {long}");
}
