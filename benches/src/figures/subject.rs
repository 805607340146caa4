//! A process that does nothing but follow files, so that its processor time and memory are those of
//! following. It answers on its standard output what it has used when it is asked on its input.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::Context;
use birl_benches::hash::LineHash;
use birl_benches::usage;
use birl_logsource::{Batch, FileSource, LogSource, Parser, Position, Watch};
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
    /// By us, told by inotify, and read on the thread of the consumer.
    Pulling,
    /// By us, polling.
    Polling,
    /// By hand: a thread that naps, reads, and looks for line ends, and one that takes the same hash.
    Bare,
    /// By hand, the same in one thread.
    Alone,
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
            How::Alone => return self.by_hand_alone(&progress),
            How::Walking => return self.walk(&progress),
            How::Pulling => return self.pull(&progress),
            How::Watching | How::Polling => {}
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.follow(&progress))
    }

    /// The source, with its offset file in `folder`.
    fn source(&self, folder: &Path) -> anyhow::Result<FileSource> {
        let watch = if let How::Polling = self.how { Watch::Poll } else { Watch::Auto };
        let source = FileSource::builder(&self.path)
            .parser(Parser::raw())
            .offset_file(folder.join("offsets"))
            .watch(watch);
        Ok(source.build()?)
    }

    async fn follow(&self, progress: &Progress) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut batches = self.source(folder.path())?.tail(Position::Start);
        let mut hash = LineHash::default();
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            take(&batch, &mut hash, progress);
            if let Some(pace) = self.pace {
                let takes = batch.bytes() as f64 / pace as f64;
                tokio::time::sleep(Duration::from_secs_f64(takes)).await;
            }
            batch.ack();
        }
        anyhow::bail!("the stream ended")
    }

    fn pull(&self, progress: &Progress) -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut hash = LineHash::default();
        for batch in self.source(folder.path())?.tail_blocking(Position::Start)? {
            let batch = batch?;
            take(&batch, &mut hash, progress);
            batch.ack();
        }
        anyhow::bail!("the batches ended")
    }

    fn by_hand(&self, progress: &Progress) -> anyhow::Result<()> {
        let mut by_hand = ByHand::new(&self.path)?;
        let (full, filled) = sync_channel(1);
        let (empty, emptied) = sync_channel(2);
        (0..2).try_for_each(|_| empty.send(vec![0; BUFFER]))?;
        let reading = std::thread::spawn(move || {
            for mut buffer in emptied {
                let len = by_hand.next(&mut buffer)?;
                full.send((buffer, len))?;
            }
            anyhow::Ok(())
        });
        let mut hash = LineHash::default();
        for (buffer, len) in filled {
            hash_lines(&buffer[..len], &mut hash, progress);
            empty.send(buffer)?;
        }
        reading.join().map_err(|_| anyhow::anyhow!("the reading thread failed"))?
    }

    fn by_hand_alone(&self, progress: &Progress) -> anyhow::Result<()> {
        let mut by_hand = ByHand::new(&self.path)?;
        let (mut hash, mut buffer) = (LineHash::default(), vec![0; BUFFER]);
        loop {
            let len = by_hand.next(&mut buffer)?;
            hash_lines(&buffer[..len], &mut hash, progress);
        }
    }

    fn walk(&self, progress: &Progress) -> anyhow::Result<()> {
        let folder = self.path.parent().context("a pattern in a folder")?;
        let (mut hash, mut buffer) = (LineHash::default(), vec![0; BUFFER]);
        for entry in std::fs::read_dir(folder)? {
            let (file, mut at) = (File::open(entry?.path())?, 0);
            loop {
                let read = file.read_at(&mut buffer, at)?;
                let len = hash_lines(&buffer[..read], &mut hash, progress);
                if len == 0 {
                    break;
                }
                at += len as u64;
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

/// Follows a file and nothing more: naps, reads, and looks for line ends.
struct ByHand {
    file: File,
    at: u64,
}

impl ByHand {
    fn new(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: File::open(path)?, at: 0 })
    }

    /// Reads whole lines, once there are some, and says how many bytes they are.
    fn next(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut len = 0;
        while len == 0 {
            std::thread::sleep(NAP);
            let read = self.file.read_at(buffer, self.at)?;
            memchr::memchr_iter(b'\n', &buffer[..read]).for_each(|end| len = end + 1);
        }
        self.at += len as u64;
        Ok(len)
    }
}

/// Takes the hash of the lines that are whole, and says how many bytes they are.
fn hash_lines(bytes: &[u8], hash: &mut LineHash, progress: &Progress) -> usize {
    let (before, mut start) = (hash.lines, 0);
    for end in memchr::memchr_iter(b'\n', bytes) {
        hash.line(&bytes[start..end]);
        start = end + 1;
    }
    progress.add((hash.lines - before) as usize, start);
    start
}

fn take(batch: &Batch, hash: &mut LineHash, progress: &Progress) {
    batch.entries().for_each(|entry| hash.line(entry.line()));
    progress.add(batch.len(), batch.bytes());
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
