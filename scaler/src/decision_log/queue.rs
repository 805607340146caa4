//! What waits to be written: in order, within a bound, and counted.

use std::collections::VecDeque;
use std::sync::Arc;

use super::holds::Holds;
use super::weight::weight;
use super::{DecisionEntry, DecisionLine, RecorderOptions, RecorderStats};
use crate::error::Error;

/// The queue between those who decide and the thread that writes.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    most: usize,
    /// How many of the oldest are being written, and stay until they are.
    busy: usize,
    holds: Holds,
    stats: RecorderStats,
    pub(super) closed: bool,
}

/// An entry that waits. It becomes text when its turn comes, on the thread that writes.
#[derive(Debug, Clone)]
pub(super) enum Waiting {
    Entry(Arc<DecisionEntry>, usize),
    Line(DecisionLine),
}

impl Waiting {
    fn size(&self) -> usize {
        match self {
            Self::Entry(_, size) => *size,
            Self::Line(line) => line.size(),
        }
    }

    /// As it is written; nothing if it cannot be.
    pub(super) fn line(self) -> Option<DecisionLine> {
        match self {
            Self::Line(line) => Some(line),
            Self::Entry(entry, _) => match DecisionLine::encode(&entry) {
                Ok(line) => Some(line),
                Err(error) => {
                    tracing::warn!(target: "birl_scaler", %error, "not kept");
                    None
                }
            },
        }
    }
}

impl Queue {
    pub(super) fn new(options: &RecorderOptions) -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            most: options.max_bytes,
            busy: 0,
            holds: Holds::new(options.same_holds),
            stats: RecorderStats::default(),
            closed: false,
        }
    }

    /// Whether nothing waits to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether holds are at hand that wait for what comes after them.
    pub(super) fn has_holds(&self) -> bool {
        self.holds.at_hand() > 0
    }

    pub(super) fn stats(&self) -> RecorderStats {
        RecorderStats {
            waiting: (self.waiting.len() + self.holds.at_hand()) as u64,
            waiting_bytes: (self.bytes + self.holds.bytes()) as u64,
            left_out: self.holds.left_out(),
            ..self.stats.clone()
        }
    }

    /// How many entries need no more to be waited for.
    pub(super) fn over(&self) -> u64 {
        self.stats.written + self.stats.dropped + self.stats.unwritable
    }

    /// How many will be [`over`](Self::over) once all that waits is.
    pub(super) fn goal(&self) -> u64 {
        self.over() + self.waiting.len() as u64
    }

    pub(super) fn take_in(&mut self, entries: Vec<DecisionEntry>) {
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            self.holds.sift(entry, &mut kept);
        }
        self.push(kept);
        // What is at hand has a bound of its own.
        if self.holds.bytes() > self.most / 4 {
            self.release();
        }
        self.bound();
    }

    /// Lets the holds at hand be written.
    pub(super) fn release(&mut self) {
        let kept: Vec<_> = self.holds.release().collect();
        self.push(kept);
        self.bound();
    }

    fn push(&mut self, entries: Vec<DecisionEntry>) {
        for entry in entries {
            let size = weight(&entry);
            self.bytes += size;
            self.waiting.push_back(Waiting::Entry(Arc::new(entry), size));
        }
    }

    /// The oldest, which stay until they are written, or could not be.
    pub(super) fn begin(&mut self, most: usize) -> Vec<Waiting> {
        let batch: Vec<_> = self.waiting.iter().take(most).cloned().collect();
        self.busy = batch.len();
        batch
    }

    /// The text of those that were begun; of some there is none.
    pub(super) fn encoded(&mut self, lines: &[DecisionLine]) {
        self.stats.unwritable += (self.busy - lines.len()) as u64;
        for waiting in self.waiting.drain(..self.busy) {
            self.bytes -= waiting.size();
        }
        for line in lines.iter().rev() {
            self.bytes += line.size();
            self.waiting.push_front(Waiting::Line(line.clone()));
        }
        self.busy = lines.len();
    }

    pub(super) fn written(&mut self) {
        let count = std::mem::take(&mut self.busy);
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
        self.bound();
    }

    pub(super) fn failed(&mut self, error: &Error) {
        self.busy = 0;
        self.stats.failures += 1;
        if self.stats.trouble.is_none() {
            tracing::warn!(
                target: "birl_scaler", %error, waiting = self.waiting.len(),
                "the decision log cannot be written; decisions go on from memory"
            );
        }
        self.stats.trouble = Some(error.to_string());
        self.bound();
    }

    /// Lets the oldest go until the rest fits; what is being written stays.
    fn bound(&mut self) {
        let before = self.stats.dropped;
        while self.bytes > self.most && self.waiting.len() > self.busy {
            let Some(gone) = self.waiting.remove(self.busy) else { break };
            self.bytes -= gone.size();
            self.stats.dropped += 1;
        }
        if before == 0 && self.stats.dropped > 0 {
            tracing::warn!(
                target: "birl_scaler", most = self.most,
                "too many decisions wait for their log; the oldest are lost, and counted"
            );
        }
    }

    /// At the end: what could not be written is lost.
    pub(super) fn give_up(&mut self) {
        let lost = self.waiting.len();
        self.stats.dropped += lost as u64;
        self.waiting.clear();
        self.bytes = 0;
        tracing::error!(target: "birl_scaler", lost, "decisions that were not kept are lost");
    }
}
