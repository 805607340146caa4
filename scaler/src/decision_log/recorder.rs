//! Keeps entries without making anybody wait: a bounded memory, and a thread that writes.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{DecisionEntry, DecisionLine, DecisionLog};
use crate::error::{Error, ErrorKind};

/// How a [`DecisionRecorder`] waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecorderOptions {
    /// The most bytes that wait in memory while the log cannot be written; beyond it the oldest
    /// entries go, counted. 64 MiB by default.
    pub max_bytes: usize,
    /// The most entries that are given to the log at once; 10 000 by default.
    pub max_batch: usize,
    /// How soon a failed write is tried again; doubled each time, to 64 times this at most. 100 ms
    /// by default.
    pub retry: Duration,
}

impl Default for RecorderOptions {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_batch: 10_000, retry: Duration::from_millis(100) }
    }
}

/// How a [`DecisionRecorder`] fares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RecorderStats {
    /// Entries that are kept.
    pub written: u64,
    /// Batches that they were kept in.
    pub batches: u64,
    /// Entries that wait, those being written among them.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Entries that went because too many waited, or at the end.
    pub dropped: u64,
    /// Entries that cannot be written down at all.
    pub unwritable: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Why the last attempt failed, until one succeeds: decisions go on from memory.
    pub trouble: Option<String>,
}

impl RecorderStats {
    /// Whether decisions are not being kept at the moment.
    pub fn is_degraded(&self) -> bool {
        self.trouble.is_some()
    }
}

/// Hands entries to a [`DecisionLog`] on a thread of its own, in order, so that no decision waits
/// for a disk or a network.
///
/// While the log cannot be written, entries wait in memory, within a bound, and are written in
/// order once it can; when that begins and ends is told by `tracing` events, and by
/// [`stats`](Self::stats). What is recorded in one call is written in one batch, if the log is not
/// behind.
///
/// Dropping it makes one last attempt and ends the thread.
#[derive(Debug)]
pub struct DecisionRecorder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    options: RecorderOptions,
    queue: Mutex<Queue>,
    /// Something came, or the end did.
    news: Condvar,
    /// A batch was written, or could not be.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<DecisionLine>,
    bytes: usize,
    /// How many of the oldest are being written, and stay until they are.
    busy: usize,
    stats: RecorderStats,
    closed: bool,
}

impl DecisionRecorder {
    /// Begins to keep entries in `log`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if no thread can be started.
    pub fn start(log: impl DecisionLog + 'static, options: RecorderOptions) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            options,
            queue: Mutex::default(),
            news: Condvar::new(),
            done: Condvar::new(),
        });
        let (of_thread, log) = (Arc::clone(&shared), Box::new(log));
        let thread = std::thread::Builder::new()
            .name("birl-decisions".to_owned())
            .spawn(move || of_thread.write(log))
            .map_err(|error| {
                let message = "the decision log's thread cannot be started";
                Error::new(ErrorKind::Io, message).with_source(error)
            })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Takes entries in, usually those of one tick. Never waits for the log.
    pub fn record(&self, entries: impl IntoIterator<Item = DecisionEntry>) {
        let mut lines = Vec::new();
        let mut unwritable = 0;
        for entry in entries {
            match DecisionLine::encode(&entry) {
                Ok(line) => lines.push(line),
                Err(error) => {
                    unwritable += 1;
                    tracing::warn!(target: "birl_scaler", %error, "not kept");
                }
            }
        }
        let mut queue = self.shared.lock();
        queue.stats.unwritable += unwritable;
        for line in lines {
            queue.bytes += line.size();
            queue.waiting.push_back(line);
        }
        queue.bound(self.shared.options.max_bytes);
        drop(queue);
        self.shared.news.notify_one();
    }

    /// Waits until everything recorded so far is kept, or `timeout` has passed; tells which.
    pub fn flush(&self, timeout: Duration) -> bool {
        let queue = self.shared.lock();
        let kept = |queue: &Queue| queue.stats.written + queue.stats.dropped;
        let goal = kept(&queue) + queue.waiting.len() as u64;
        let waited = self
            .shared
            .done
            .wait_timeout_while(queue, timeout, |queue| kept(queue) < goal && !queue.closed);
        let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        kept(&queue) >= goal
    }

    /// How it fares.
    pub fn stats(&self) -> RecorderStats {
        let queue = self.shared.lock();
        let (waiting, waiting_bytes) = (queue.waiting.len() as u64, queue.bytes as u64);
        RecorderStats { waiting, waiting_bytes, ..queue.stats.clone() }
    }
}

impl Drop for DecisionRecorder {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.news.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(target: "birl_scaler", "the decision log's thread had panicked");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Counts and queue are set together; a panic elsewhere leaves them sound.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut log: Box<dyn DecisionLog>) {
        let most = self.options.max_batch.max(1);
        let (mut pause, mut size) = (self.options.retry, most);
        loop {
            let Some(batch) = self.next_batch(size) else { return };
            let outcome = log.append(&batch);
            let mut queue = self.lock();
            queue.busy = 0;
            let failed = outcome.is_err();
            match outcome {
                Ok(()) => {
                    queue.written(batch.len());
                    pause = self.options.retry;
                    size = size.saturating_mul(2).min(most);
                }
                Err(error) => {
                    queue.failed(&error);
                    // There may be room for some of it.
                    size = (batch.len() / 2).max(1);
                }
            }
            queue.bound(self.options.max_bytes);
            self.done.notify_all();
            if !failed {
                continue;
            }
            if queue.closed {
                queue.give_up();
                self.done.notify_all();
                return;
            }
            let waited = self.news.wait_timeout_while(queue, pause, |queue| !queue.closed);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            pause = (pause * 2).min(self.options.retry * 64);
        }
    }

    /// Waits for something to write; nothing at the end. What it gives stays in the queue until it
    /// is kept.
    fn next_batch(&self, most: usize) -> Option<Vec<DecisionLine>> {
        let queue = self.lock();
        let waited = self.news.wait_while(queue, |queue| queue.waiting.is_empty() && !queue.closed);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        if queue.waiting.is_empty() {
            return None;
        }
        let batch: Vec<_> = queue.waiting.iter().take(most).cloned().collect();
        queue.busy = batch.len();
        Some(batch)
    }
}

impl Queue {
    /// Lets the oldest go until the rest fits; what is being written stays.
    fn bound(&mut self, most: usize) {
        let before = self.stats.dropped;
        while self.bytes > most && self.waiting.len() > self.busy {
            let Some(gone) = self.waiting.remove(self.busy) else { break };
            self.bytes -= gone.size();
            self.stats.dropped += 1;
        }
        if before == 0 && self.stats.dropped > 0 {
            tracing::warn!(
                target: "birl_scaler", most,
                "too many decisions wait for their log; the oldest are lost, and counted"
            );
        }
    }

    fn written(&mut self, count: usize) {
        for line in self.waiting.drain(..count) {
            self.bytes -= line.size();
        }
        self.stats.written += count as u64;
        self.stats.batches += 1;
        if let Some(trouble) = self.stats.trouble.take() {
            tracing::info!(
                target: "birl_scaler", trouble, written = count,
                "the decision log can be written again"
            );
        }
    }

    fn failed(&mut self, error: &Error) {
        self.stats.failures += 1;
        if self.stats.trouble.is_none() {
            tracing::warn!(
                target: "birl_scaler", %error, waiting = self.waiting.len(),
                "the decision log cannot be written; decisions go on from memory"
            );
        }
        self.stats.trouble = Some(error.to_string());
    }

    /// At the end: what could not be written is lost.
    fn give_up(&mut self) {
        let lost = self.waiting.len();
        self.stats.dropped += lost as u64;
        self.waiting.clear();
        self.bytes = 0;
        tracing::error!(target: "birl_scaler", lost, "decisions that were not kept are lost");
    }
}
