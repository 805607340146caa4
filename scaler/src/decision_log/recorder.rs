//! Keeps entries without making anybody wait: a bounded memory, and a thread that writes.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::queue::{Queue, Waiting};
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
    /// Of holds that intents asked for and that are alike (target, sizes, reason, kinds of limits,
    /// who asked) one is kept in so long, and the newest before anything else of the target; the
    /// others are left out, counted. 15 s by default; with zero each is kept.
    pub same_holds: Duration,
}

impl Default for RecorderOptions {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_batch: 10_000,
            retry: Duration::from_millis(100),
            same_holds: Duration::from_secs(15),
        }
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
    /// Holds that were left out, since they were as one that is kept.
    pub left_out: u64,
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
/// A flood of lines that make rules fire has something decided with each of them. Of the holds
/// that follow most are left out ([`RecorderOptions::same_holds`]), so that it does not wash the
/// log's history away. A replay is as exact as without; what a crash can lose is what was
/// remembered of holds since the last entry, by that span at most.
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

impl DecisionRecorder {
    /// Begins to keep entries in `log`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if no thread can be started.
    pub fn start(log: impl DecisionLog + 'static, options: RecorderOptions) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            options,
            queue: Mutex::new(Queue::new(&options)),
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

    /// Takes entries in, usually those of one tick. Never waits for the log, and leaves it to the
    /// log's thread to make text of them.
    pub fn record(&self, entries: impl IntoIterator<Item = DecisionEntry>) {
        // Whoever makes them may take a while.
        let entries = entries.into_iter().collect();
        self.shared.lock().take_in(entries);
        self.shared.news.notify_one();
    }

    /// Waits until everything recorded so far is kept, or `timeout` has passed; tells which.
    pub fn flush(&self, timeout: Duration) -> bool {
        let mut queue = self.shared.lock();
        queue.release();
        self.shared.news.notify_one();
        let goal = queue.goal();
        let waited = self
            .shared
            .done
            .wait_timeout_while(queue, timeout, |queue| queue.over() < goal && !queue.closed);
        let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.over() >= goal
    }

    /// How it fares.
    pub fn stats(&self) -> RecorderStats {
        self.shared.lock().stats()
    }
}

impl Drop for DecisionRecorder {
    fn drop(&mut self) {
        {
            let mut queue = self.shared.lock();
            queue.release();
            queue.closed = true;
        }
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
        let mut since = None;
        while let Some(batch) = self.next_batch(size, &mut since) {
            let outcome = log.append(&batch);
            let mut queue = self.lock();
            match outcome {
                Ok(()) => {
                    queue.written();
                    self.done.notify_all();
                    pause = self.options.retry;
                    size = size.saturating_mul(2).min(most);
                    continue;
                }
                Err(error) => {
                    queue.failed(&error);
                    // There may be room for some of it.
                    size = (batch.len() / 2).max(1);
                }
            }
            if queue.closed {
                queue.give_up();
                self.done.notify_all();
                return;
            }
            self.done.notify_all();
            let waited = self.news.wait_timeout_while(queue, pause, |queue| !queue.closed);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
            pause = (pause * 2).min(self.options.retry * 64);
        }
    }

    /// Waits for something to write; nothing at the end. What it gives stays in the queue until it
    /// is kept.
    fn next_batch(&self, most: usize, since: &mut Option<Instant>) -> Option<Vec<DecisionLine>> {
        loop {
            let mut queue = self.wait(since);
            if queue.is_empty() {
                return None;
            }
            let waiting = queue.begin(most);
            // Text is made while others record.
            drop(queue);
            let lines: Vec<_> = waiting.into_iter().filter_map(Waiting::line).collect();
            self.lock().encoded(&lines);
            if !lines.is_empty() {
                return Some(lines);
            }
            self.done.notify_all();
        }
    }

    /// Waits until something is to be written, or for the end. Holds are at hand `since` then; they
    /// are written once a span is over, also if nothing comes after them.
    #[expect(clippy::disallowed_methods, reason = "a shell: the log's thread")]
    fn wait(&self, since: &mut Option<Instant>) -> MutexGuard<'_, Queue> {
        let mut queue = self.lock();
        loop {
            if !queue.has_holds() {
                *since = None;
            } else if since.get_or_insert_with(Instant::now).elapsed() >= self.options.same_holds {
                queue.release();
                *since = None;
            }
            if !queue.is_empty() || queue.closed {
                return queue;
            }
            queue = match *since {
                None => self.news.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(since) => {
                    let left = self.options.same_holds.saturating_sub(since.elapsed());
                    let woken = self.news.wait_timeout(queue, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}
