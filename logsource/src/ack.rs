//! Acknowledgements: what has been safely handed on, in whatever order that happened.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::metrics::{Count, SourceMetrics};
use crate::{Cursor, LogEntry};

/// The promise that something read is now held elsewhere.
///
/// Dropping it without [`Ack::done`] means that after a restart the same entries come again, and
/// all that follow them in their file: a place is kept only when everything before it is
/// acknowledged. Acks may be done in any order, on any thread.
#[must_use = "an ack that is dropped means that its entries come again after a restart"]
pub struct Ack {
    inner: Inner,
    counted: Option<(Arc<SourceMetrics>, usize)>,
}

enum Inner {
    Nothing,
    Call(Box<dyn FnOnce() + Send + Sync>),
    Slot(Slot),
    Part { parts: Arc<Parts>, index: usize },
}

/// One entry by itself, and its acknowledgement.
#[derive(Debug)]
pub struct Delivery {
    /// The entry, parsed and on its own.
    pub entry: LogEntry,
    /// Done when the entry is held elsewhere.
    pub ack: Ack,
}

impl Ack {
    /// An ack that nobody waits for.
    pub fn nothing() -> Self {
        Self::of(Inner::Nothing)
    }

    /// An ack for an adapter of another crate: calls `done` when everything is acknowledged, and
    /// never if it is dropped before.
    pub fn from_fn(done: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self::of(Inner::Call(Box::new(done)))
    }

    /// Acknowledges.
    pub fn done(self) {
        if let Some((metrics, entries)) = &self.counted {
            metrics.add(Count::Acked, *entries as u64);
        }
        match self.inner {
            Inner::Nothing => {}
            Inner::Call(done) => done(),
            Inner::Slot(slot) => slot.done(),
            Inner::Part { parts, index } => parts.done(index),
        }
    }

    /// Splits the ack of a batch into one for each entry; `ends` are the places after each.
    pub(crate) fn split(mut self, ends: Vec<Cursor>) -> Splitter {
        let done = vec![false; ends.len()];
        let metrics = self.counted.take().map(|(metrics, _)| metrics);
        let state = PartsState { whole: Some(self), done, reached: 0 };
        Splitter { parts: Arc::new(Parts { ends, state: Mutex::new(state) }), metrics }
    }

    #[cfg(any(feature = "file", feature = "journald"))]
    pub(crate) fn issue(book: &Arc<Book>, end: Cursor) -> Self {
        let ticket = lock(&book.ledger).issue(end);
        Self::of(Inner::Slot(Slot { book: Arc::clone(book), ticket, settled: false }))
    }

    pub(crate) fn counted_by(
        mut self,
        metrics: Option<Arc<SourceMetrics>>,
        entries: usize,
    ) -> Self {
        self.counted = metrics.map(|metrics| (metrics, entries));
        self
    }

    fn of(inner: Inner) -> Self {
        Self { inner, counted: None }
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ack")
    }
}

/// Gives out the acks of a batch's entries.
#[derive(Debug)]
pub(crate) struct Splitter {
    parts: Arc<Parts>,
    metrics: Option<Arc<SourceMetrics>>,
}

impl Splitter {
    pub(crate) fn part(&self, index: usize) -> Ack {
        let inner = Inner::Part { parts: Arc::clone(&self.parts), index };
        Ack::of(inner).counted_by(self.metrics.clone(), 1)
    }
}

#[derive(Debug)]
struct Parts {
    ends: Vec<Cursor>,
    state: Mutex<PartsState>,
}

#[derive(Debug)]
struct PartsState {
    whole: Option<Ack>,
    done: Vec<bool>,
    reached: usize,
}

impl Parts {
    fn done(&self, index: usize) {
        let mut state = lock(&self.state);
        let before = state.reached;
        if let Some(done) = state.done.get_mut(index) {
            *done = true;
        }
        while state.done.get(state.reached) == Some(&true) {
            state.reached += 1;
        }
        let (reached, all) = (state.reached, state.done.len());
        if reached == before {
            return;
        }
        if reached == all {
            let whole = state.whole.take();
            drop(state);
            if let Some(whole) = whole {
                whole.done();
            }
        } else if let (Some(Ack { inner: Inner::Slot(slot), .. }), Some(end)) =
            (&state.whole, self.ends.get(reached - 1))
        {
            slot.reached(end.clone());
        }
    }
}

/// A batch's place in the ledger of the file or journal that it came from.
struct Slot {
    book: Arc<Book>,
    ticket: u64,
    settled: bool,
}

impl Slot {
    fn done(mut self) {
        self.settled = true;
        self.book.update(|ledger| ledger.done(self.ticket));
    }

    fn reached(&self, place: Cursor) {
        self.book.update(|ledger| ledger.reached(self.ticket, place));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.settled {
            lock(&self.book.ledger).lost(self.ticket);
        }
    }
}

/// A ledger, and who is told when it moves.
pub(crate) struct Book {
    ledger: Mutex<Ledger>,
    moved: Box<dyn Fn(&Cursor) + Send + Sync>,
}

impl Book {
    #[cfg(any(feature = "file", feature = "journald"))]
    pub(crate) fn new(moved: impl Fn(&Cursor) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { ledger: Mutex::default(), moved: Box::new(moved) })
    }

    /// Whether everything that was issued is acknowledged.
    #[cfg(feature = "file")]
    pub(crate) fn is_settled(&self) -> bool {
        let ledger = lock(&self.ledger);
        ledger.slots.is_empty() && !ledger.frozen
    }

    /// The lock is held while telling, so that places are told in their order.
    fn update(&self, change: impl FnOnce(&mut Ledger) -> Option<Cursor>) {
        let mut ledger = lock(&self.ledger);
        if let Some(place) = change(&mut ledger) {
            (self.moved)(&place);
        }
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

/// Which batches are acknowledged, and so how far everything is.
///
/// Memory is bounded by what is outstanding: once a batch is lost, nothing behind it can ever
/// count, so nothing behind it is kept.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    first: u64,
    next: u64,
    slots: VecDeque<Entry>,
    frozen: bool,
}

#[derive(Debug)]
struct Entry {
    end: Cursor,
    partly: Option<Cursor>,
    done: bool,
}

impl Ledger {
    pub(crate) fn issue(&mut self, end: Cursor) -> u64 {
        let ticket = self.next;
        self.next += 1;
        if !self.frozen {
            self.slots.push_back(Entry { end, partly: None, done: false });
        }
        ticket
    }

    /// Marks a batch whole; gives the new place if that moved it.
    pub(crate) fn done(&mut self, ticket: u64) -> Option<Cursor> {
        self.entry(ticket)?.done = true;
        let mut place = None;
        while self.slots.front().is_some_and(|entry| entry.done) {
            self.first += 1;
            place = self.slots.pop_front().map(|entry| entry.end);
        }
        let partly = self.slots.front().and_then(|entry| entry.partly.clone());
        if place.is_some() { partly.or(place) } else { None }
    }

    /// Marks the beginning of a batch; gives the new place if that moved it.
    pub(crate) fn reached(&mut self, ticket: u64, place: Cursor) -> Option<Cursor> {
        let is_first = ticket == self.first;
        self.entry(ticket)?.partly = Some(place.clone());
        is_first.then_some(place)
    }

    /// A batch that will never be acknowledged.
    pub(crate) fn lost(&mut self, ticket: u64) {
        if let Some(index) = self.index(ticket) {
            self.slots.truncate(index + 1);
            self.frozen = true;
        }
    }

    fn entry(&mut self, ticket: u64) -> Option<&mut Entry> {
        let index = self.index(ticket)?;
        self.slots.get_mut(index)
    }

    fn index(&self, ticket: u64) -> Option<usize> {
        let index = usize::try_from(ticket.checked_sub(self.first)?).ok()?;
        (index < self.slots.len()).then_some(index)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
