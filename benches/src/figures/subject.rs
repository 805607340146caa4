//! A process that does nothing but follow files, so that its processor time and memory are those of
//! following. It answers on its standard output what it has used when it is asked on its input.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::Context;
use birl_benches::hash::LineHash;
use birl_benches::usage;
use birl_logsource::{FileSource, LogSource, Parser, Position, Watch};
use futures_util::StreamExt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::child::{Role, Started};

/// How long the reader by hand sleeps: as long as ours waits for more of a file that is written all
/// the time.
const NAP: Duration = Duration::from_micros(9_500);

/// What the reader by hand reads at once, at most.
const BUFFER: usize = 256 * 1024;

/// What is followed, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Subject {
    /// A path or a pattern.
    pub(crate) path: PathBuf,
    pub(crate) how: How,
    /// How many bytes a second the consumer takes; as many as come if not set.
    pub(crate) pace: Option<u64>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum How {
    /// By us, told by inotify.
    Watching,
    /// By us, polling.
    Polling,
    /// By hand: a thread that naps, reads, and looks for line ends, and one that takes the same hash.
    Bare,
    /// By hand, once: goes through the directory, opens each file, reads it, and takes the same hash.
    /// Nothing is remembered.
    Walking,
}

/// What a subject has used, and how far it is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Used {
    /// Bytes of memory that are resident, and the most that ever were.
    pub(crate) resident: u64,
    pub(crate) peak: u64,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

/// A subject at work.
pub(crate) struct Running {
    // First, so that it is ended while its pipes are still open.
    _child: Started,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Subject {
    /// Starts it in a process of its own.
    pub(crate) fn start(&self) -> anyhow::Result<Running> {
        let mut child = Role::Subject(self.clone()).start()?;
        let questions = child.0.stdin.take().context("the subject's input")?;
        let answers = BufReader::new(child.0.stdout.take().context("the subject's output")?);
        Ok(Running { _child: child, questions, answers })
    }

    /// Is that process.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        // A host that follows ten thousand files allows itself to open them.
        let files = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum })?;
        let progress = Arc::new(Progress::default());
        let told = Arc::clone(&progress);
        std::thread::spawn(move || answer(&told));
        match self.how {
            How::Bare => return self.by_hand(&progress),
            How::Walking => return self.walk(&progress),
            How::Watching | How::Polling => {}
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.follow(&progress))
    }

    async fn follow(&self, progress: &Progress) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let watch = if let How::Polling = self.how { Watch::Poll } else { Watch::Auto };
        let source = FileSource::builder(&self.path)
            .parser(Parser::raw())
            .offset_file(folder.path().join("offsets"))
            .watch(watch)
            .build()?;
        let mut batches = source.tail(Position::Start);
        let mut hash = LineHash::default();
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            batch.entries().for_each(|entry| hash.line(entry.line()));
            progress.add(batch.len(), batch.bytes());
            if let Some(pace) = self.pace {
                let takes = batch.bytes() as f64 / pace as f64;
                tokio::time::sleep(Duration::from_secs_f64(takes)).await;
            }
            batch.ack();
        }
        anyhow::bail!("the stream ended")
    }

    fn by_hand(&self, progress: &Progress) -> anyhow::Result<()> {
        let file = std::fs::File::open(&self.path)?;
        let (full, filled) = sync_channel(1);
        let (empty, emptied) = sync_channel(2);
        (0..2).try_for_each(|_| empty.send(vec![0; BUFFER]))?;
        let reading = std::thread::spawn(move || {
            let mut at = 0;
            for mut buffer in emptied {
                let mut len = 0;
                while len == 0 {
                    std::thread::sleep(NAP);
                    let read = file.read_at(&mut buffer, at)?;
                    memchr::memchr_iter(b'\n', &buffer[..read]).for_each(|end| len = end + 1);
                }
                at += len as u64;
                full.send((buffer, len))?;
            }
            anyhow::Ok(())
        });
        let mut hash = LineHash::default();
        for (buffer, len) in filled {
            let (before, mut start) = (hash.lines, 0);
            for end in memchr::memchr_iter(b'\n', &buffer[..len]) {
                hash.line(&buffer[start..end]);
                start = end + 1;
            }
            progress.add((hash.lines - before) as usize, len);
            empty.send(buffer)?;
        }
        reading.join().map_err(|_| anyhow::anyhow!("the reading thread failed"))?
    }

    fn walk(&self, progress: &Progress) -> anyhow::Result<()> {
        let folder = self.path.parent().context("a pattern in a folder")?;
        let (mut hash, mut buffer) = (LineHash::default(), vec![0; BUFFER]);
        for entry in std::fs::read_dir(folder)? {
            let (file, mut at) = (std::fs::File::open(entry?.path())?, 0);
            loop {
                let read = file.read_at(&mut buffer, at)?;
                let (before, mut start) = (hash.lines, 0);
                for end in memchr::memchr_iter(b'\n', &buffer[..read]) {
                    hash.line(&buffer[start..end]);
                    start = end + 1;
                }
                if start == 0 {
                    break;
                }
                at += start as u64;
                progress.add((hash.lines - before) as usize, start);
            }
        }
        // Until nobody asks any more.
        loop {
            std::thread::park();
        }
    }
}

impl Running {
    /// Asks what it has used so far.
    pub(crate) fn used(&mut self) -> anyhow::Result<Used> {
        self.ask("all")
    }

    fn ask<T: DeserializeOwned>(&mut self, what: &str) -> anyhow::Result<T> {
        writeln!(self.questions, "{what}")?;
        let mut answer = String::new();
        let read = self.answers.read_line(&mut answer)?;
        anyhow::ensure!(read > 0, "the subject has ended");
        Ok(serde_json::from_str(&answer)?)
    }

    /// Waits until it has seen so many lines.
    pub(crate) fn wait_for(&mut self, lines: u64, at_most: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let seen = self.used()?.lines;
            if seen >= lines {
                return Ok(());
            }
            anyhow::ensure!(begun.elapsed() < at_most, "{seen} of {lines} lines in {at_most:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks how much processor time all of its threads have used so far.
    pub(crate) fn cpu(&mut self) -> anyhow::Result<Duration> {
        self.ask("cpu")
    }
}

/// The processor time of each subject as a percentage of one core, over the same `interval`.
pub(crate) fn percent_of_a_core<const N: usize>(
    mut subjects: [&mut Running; N],
    interval: Duration,
) -> anyhow::Result<[f64; N]> {
    let begun = Instant::now();
    let mut shares = [0.0; N];
    for (subject, share) in subjects.iter_mut().zip(&mut shares) {
        *share -= subject.cpu()?.as_secs_f64();
    }
    std::thread::sleep(interval);
    let took = begun.elapsed().as_secs_f64();
    for (subject, share) in subjects.iter_mut().zip(&mut shares) {
        *share = (*share + subject.cpu()?.as_secs_f64()) / took * 100.0;
    }
    Ok(shares)
}

#[derive(Debug, Default)]
struct Progress {
    lines: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    fn add(&self, lines: usize, bytes: usize) {
        self.lines.fetch_add(lines as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Answers until nobody asks any more, and ends the process then.
fn answer(progress: &Progress) {
    for question in std::io::stdin().lines().map_while(Result::ok) {
        let answer = if question == "cpu" {
            // Alone, since looking at the memory takes time itself.
            serde_json::to_string(&usage::cpu())
        } else {
            serde_json::to_string(&Used {
                resident: usage::resident(),
                peak: usage::peak_resident(),
                lines: progress.lines.load(Ordering::Relaxed),
                bytes: progress.bytes.load(Ordering::Relaxed),
            })
        };
        let Ok(answer) = answer else { break };
        if writeln!(std::io::stdout(), "{answer}").is_err() {
            break;
        }
    }
    std::process::exit(0);
}
