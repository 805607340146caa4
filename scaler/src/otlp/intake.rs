//! From requests to windows, without a socket and without a clock.

use std::time::{Duration, SystemTime};

use super::budget::Budget;
use super::call::{self, Batch, ClientCall};
use super::counts::{SpanCounts, SpanDrop};
use super::limits::Limits;
use super::marks::RetryMarks;
use super::recent::Recent;
use super::seen::Seen;
use super::stats::{Measure, SpanStats};
use super::window::{RetryWindow, Taken};
use super::wire::Malformed;
use crate::source::{Fault, FaultKind};

/// About how many spans a request has before one was read: what SDKs export at once.
const CUSTOMARY: u64 = 512;

/// Reads requests and counts their calls in the windows that somebody watches.
///
/// It is the part of a [`Receiver`](super::Receiver) that decides; hand it requests of your own to
/// use it without one. Its size is that of its windows and of [`Limits::remembered_spans`], whatever
/// comes in.
#[derive(Debug, Clone)]
pub struct SpanIntake {
    limits: Limits,
    marks: RetryMarks,
    windows: Vec<RetryWindow>,
    recent: Recent,
    budget: Budget,
    counts: SpanCounts,
    seen: Seen,
}

/// A window of an intake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Watch(usize);

/// What became of a request, for its sender to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Receipt {
    /// Spans that were rejected: too many in one request, or of a clock that is wrong.
    pub rejected: u64,
    /// Why most of them were.
    pub why: Option<SpanDrop>,
}

/// Reads requests, apart from the intake, so that it is not held up while one is read.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    marks: RetryMarks,
    max_spans: u64,
}

impl SpanIntake {
    /// An intake that watches nothing yet.
    pub fn new(limits: Limits) -> Self {
        let recent = Recent::new(limits.remembered_spans);
        let budget = Budget::new(limits.max_spans_per_second);
        let (marks, windows) = (RetryMarks::default(), Vec::new());
        let (counts, seen) = (SpanCounts::default(), Seen::default());
        Self { limits, marks, windows, recent, budget, counts, seen }
    }

    /// Sets what marks a retry.
    #[must_use]
    pub fn marks(mut self, marks: RetryMarks) -> Self {
        self.marks = marks;
        self
    }

    /// Watches the calls of a window.
    pub fn watch(&mut self, window: RetryWindow) -> Watch {
        self.windows.push(window);
        Watch(self.windows.len() - 1)
    }

    /// Whether a request may come in at `now`, by the number of spans a second.
    ///
    /// # Errors
    ///
    /// How long its sender should wait. The windows then know that about so many spans are missing
    /// as a request has on average, and it is counted as [`SpanDrop::Rate`].
    pub fn admit(&mut self, now: SystemTime) -> Result<(), Duration> {
        let admitted = self.budget.admit(now);
        if admitted.is_err() {
            self.refuse(SpanDrop::Rate, now);
        }
        admitted
    }

    /// Reads an encoded `ExportTraceServiceRequest` and counts what is in it.
    ///
    /// # Errors
    ///
    /// What is wrong with the bytes; nothing of them was counted.
    pub fn take(&mut self, request: &[u8], now: SystemTime) -> Result<Receipt, Malformed> {
        match self.reader().read(request) {
            Ok(batch) => Ok(self.count(&batch, now)),
            Err(malformed) => {
                self.refuse(SpanDrop::Malformed, now);
                Err(malformed)
            }
        }
    }

    /// Counts one call, whatever limits there are.
    pub fn record(&mut self, call: &ClientCall<'_>, now: SystemTime) -> Taken {
        if !self.recent.insert(call.id) {
            self.counts.drop(SpanDrop::Duplicate, 1);
            return Taken::Counted;
        }
        let taken = self.windows.iter_mut().map(|window| window.record(call, now)).max();
        let taken = taken.unwrap_or(Taken::Elsewhere);
        match taken {
            Taken::Counted => self.counts.counted += 1,
            Taken::Late => self.counts.drop(SpanDrop::Late, 1),
            Taken::Future => self.counts.drop(SpanDrop::Future, 1),
            Taken::Elsewhere => {
                self.counts.elsewhere += 1;
                self.seen.add(call);
            }
        }
        taken
    }

    /// The number that `measure` stands for in a window, and when its last call ended.
    ///
    /// # Errors
    ///
    /// Why there is none, see [`RetryWindow::read`]; and where spans of others have come, whose.
    pub fn read(
        &self,
        watch: Watch,
        measure: Measure,
        now: SystemTime,
    ) -> Result<(f64, SystemTime), Fault> {
        let fault = match self.window(watch)?.read(measure, now) {
            Ok(reading) => return Ok(reading),
            Err(fault) => fault,
        };
        if fault.kind() == FaultKind::Empty && self.stats(watch, now)?.calls == 0 {
            if !self.seen.is_empty() {
                let detail = format!("{}; spans have come of {}", fault.detail(), self.seen);
                return Err(Fault::new(FaultKind::Empty, detail));
            }
            if self.counts.spans == 0 {
                let detail = format!("{}; no span has ever come", fault.detail());
                return Err(Fault::new(FaultKind::Empty, detail));
            }
        }
        Err(fault)
    }

    /// What a window has counted.
    ///
    /// # Errors
    ///
    /// [`FaultKind::Unsupported`] if the window is another intake's.
    pub fn stats(&self, watch: Watch, now: SystemTime) -> Result<SpanStats, Fault> {
        Ok(self.window(watch)?.stats(now))
    }

    /// What came, and what of it was not counted.
    pub fn counts(&self) -> SpanCounts {
        self.counts
    }

    /// How much it takes in.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn window(&self, watch: Watch) -> Result<&RetryWindow, Fault> {
        let none = || Fault::new(FaultKind::Unsupported, "the window is of another intake");
        self.windows.get(watch.0).ok_or_else(none)
    }

    pub(super) fn reader(&self) -> Reader {
        Reader { marks: self.marks.clone(), max_spans: self.limits.max_spans }
    }

    /// Counts what was read from a request.
    pub(super) fn count(&mut self, batch: &Batch<'_>, now: SystemTime) -> Receipt {
        self.budget.pay(batch.spans - batch.over);
        self.counts.requests += 1;
        self.counts.spans = self.counts.spans.saturating_add(batch.spans);
        self.counts.drop(SpanDrop::Unfinished, batch.unfinished);
        self.counts.drop(SpanDrop::OverRequest, batch.over);
        let (mut late, mut future) = (0, 0);
        for call in &batch.calls {
            match self.record(call, now) {
                Taken::Late => late += 1,
                Taken::Future => future += 1,
                Taken::Counted | Taken::Elsewhere => {}
            }
        }
        if batch.over + batch.unfinished > 0 {
            self.lose(batch.over + batch.unfinished, now);
        }
        let reasons = [
            (batch.over, SpanDrop::OverRequest),
            (late, SpanDrop::Late),
            (future, SpanDrop::Future),
            (batch.unfinished, SpanDrop::Unfinished),
        ];
        let most = reasons.into_iter().max_by_key(|(count, _)| *count);
        let why = most.filter(|(count, _)| *count > 0).map(|(_, why)| why);
        Receipt { rejected: reasons.iter().map(|(count, _)| count).sum(), why }
    }

    /// Counts a request that was not read, and tells the windows that spans are missing: about as
    /// many as a request has had so far.
    pub(super) fn refuse(&mut self, why: SpanDrop, now: SystemTime) {
        self.counts.drop(why, 1);
        let customary = self.counts.spans.checked_div(self.counts.requests).unwrap_or(CUSTOMARY);
        self.lose(customary.max(1), now);
    }

    /// Counts what has nothing to do with spans, such as a connection.
    pub(super) fn turn_away(&mut self, why: SpanDrop) {
        self.counts.drop(why, 1);
    }

    fn lose(&mut self, spans: u64, now: SystemTime) {
        self.windows.iter_mut().for_each(|window| window.lose(spans, now));
    }
}

impl Reader {
    pub(super) fn read<'a>(&self, request: &'a [u8]) -> Result<Batch<'a>, Malformed> {
        call::read(request, &self.marks, self.max_spans)
    }
}
