//! `append_latency`: from a line written by another process to the entry in the consumer's hands,
//! beside a bare write → inotify → read of the same lines at the same time; once in quiet, once with
//! 10 MB/s of other lines in another file of the same source.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use birl_benches::bare::Lines;
use birl_benches::figure::{Figure, Target, percentile};
use birl_logsource::{FileSource, LogSource, Parser, Position};
use futures_util::StreamExt;
use rustix::fs::inotify;
use serde::{Deserialize, Serialize};

use crate::ROUNDS;
use crate::child::Role;
use crate::monotonic::{milliseconds_since, now};
use crate::pace;
use crate::scale::Scale;

/// What flows beside them.
const STREAM: u64 = 10_000_000;

pub(crate) fn measure(scale: Scale) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, with_stream) in [("append_latency", false), ("append_latency_busy", true)] {
        let rounds: Vec<_> = (0..ROUNDS)
            .map(|round| one(scale.appends, round, with_stream))
            .collect::<Result<_, _>>()?;
        let target = Target::ValueBelow(10.0);
        let reference = "write → inotify → read, beside";
        figures.push(Figure::of_rounds(name, "ms p99", reference, target, &rounds));
    }
    Ok(figures)
}

/// The 99th percentile of us, and of the bare reader.
fn one(appends: usize, round: usize, with_stream: bool) -> anyhow::Result<(f64, f64)> {
    let folder = tempfile::tempdir()?;
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs)?;
    let path = logs.join("app.log");
    File::create(&path)?;
    let stream = with_stream.then(|| logs.join("stream.log"));
    if let Some(stream) = &stream {
        File::create(stream)?;
    }
    let files: Vec<PathBuf> = [Some(path.clone()), stream.clone()].into_iter().flatten().collect();
    let mut writer =
        Role::Appends(Appends { path, stream, appends, seed: round as u64 }).start()?;
    let (ours, bare) = std::thread::scope(|scope| {
        let bare = scope.spawn(|| by_hand(&files, appends));
        let ours = through_the_source(&logs, folder.path(), appends);
        let bare = bare.join().map_err(|_| anyhow::anyhow!("the bare reader failed"));
        anyhow::Ok((ours?, bare??))
    })?;
    writer.wait()?;
    Ok((percentile(ours.into_iter(), 0.99), percentile(bare.into_iter(), 0.99)))
}

/// What the writer writes to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Appends {
    path: PathBuf,
    stream: Option<PathBuf>,
    appends: usize,
    seed: u64,
}

impl Appends {
    /// Is the writer.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        // The readers need a moment to be there; they measure nothing before the first append.
        std::thread::sleep(Duration::from_millis(500));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            if let Some(stream) = &self.stream {
                scope.spawn(|| pace::append(stream, STREAM, |_| !over.load(Ordering::Relaxed)));
            }
            let written = self.appends();
            over.store(true, Ordering::Relaxed);
            written
        })?;
        Ok(())
    }

    fn appends(&self) -> std::io::Result<()> {
        let mut file = File::options().append(true).open(&self.path)?;
        let mut pauses = Pauses(self.seed);
        for _ in 0..self.appends {
            std::thread::sleep(pauses.next());
            let line = format!("append {} {:x<150}\n", now(), "");
            file.write_all(line.as_bytes())?;
        }
        Ok(())
    }
}

/// Irregular, as programs are: mostly a few milliseconds, at times longer than whatever a reader
/// may do to be ready for the next line.
struct Pauses(u64);

impl Pauses {
    fn next(&mut self) -> Duration {
        let between = |random: u64, low: u64, high: u64| low + random % (high - low);
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let random = self.0 >> 33;
        Duration::from_micros(match random % 100 {
            0..80 => between(random / 100, 200, 4_000),
            80..98 => between(random / 100, 5_000, 30_000),
            _ => between(random / 100, 100_000, 400_000),
        })
    }
}

/// Milliseconds since the line was written, if it is one of those that count.
fn latency(line: &[u8]) -> Option<f64> {
    let digits = line.strip_prefix(b"append ")?.iter().take_while(|byte| byte.is_ascii_digit());
    Some(milliseconds_since(digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))))
}

fn through_the_source(logs: &Path, elsewhere: &Path, appends: usize) -> anyhow::Result<Vec<f64>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let source = FileSource::builder(logs.join("*.log"))
        .parser(Parser::raw())
        .offset_file(elsewhere.join("offsets"))
        .build()?;
    let mut latencies = Vec::new();
    runtime.block_on(async {
        let mut batches = source.tail(Position::Start);
        while latencies.len() < appends {
            let batch =
                batches.next().await.ok_or_else(|| anyhow::anyhow!("the stream ended"))??;
            latencies.extend(batch.entries().filter_map(|entry| latency(entry.line())));
            batch.ack();
        }
        Ok(latencies)
    })
}

/// The floor: a blocking read of inotify, a read of the files, a look at each line.
fn by_hand(paths: &[PathBuf], appends: usize) -> anyhow::Result<Vec<f64>> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    let mut files = Vec::new();
    for path in paths {
        inotify::add_watch(&watch, path, inotify::WatchFlags::MODIFY)?;
        files.push(Lines::new(File::open(path)?));
    }
    let (mut events, mut latencies) = ([0; 4096], Vec::new());
    while latencies.len() < appends {
        rustix::io::read(&watch, &mut events)?;
        for file in &mut files {
            while file.read(|line| latencies.extend(latency(line)))? > 0 {}
        }
    }
    Ok(latencies)
}
