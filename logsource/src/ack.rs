//! Acknowledgements: what has been safely handed on, in whatever order that happened.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::LogEntry;
use crate::ends::Ends;
#[cfg(any(feature = "file", feature = "journald"))]
use crate::ledger::Slot;
use crate::metrics::{Count, SourceMetrics};

/// The promise that something read is now held elsewhere.
///
/// Dropping it without [`Ack::done`] means that after a restart the same entries come again, and
/// all that follow them in their file: a place is kept only when everything before it is
/// acknowledged. Acks may be done in any order, on any thread.
#[must_use = "an ack that is dropped means that its entries come again after a restart"]
pub struct Ack {
    inner: Inner,
    counted: Option<(Arc<SourceMetrics>, usize)>,
    /// Done after it: of other files that the same entries are from.
    also: Vec<Self>,
}

enum Inner {
    Nothing,
    Call(Box<dyn FnOnce() + Send + Sync>),
    #[cfg(any(feature = "file", feature = "journald"))]
    Slot(Slot),
    Part {
        parts: Arc<Parts>,
        index: usize,
    },
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
            #[cfg(any(feature = "file", feature = "journald"))]
            Inner::Slot(slot) => slot.done(),
            Inner::Part { parts, index } => parts.done(index),
        }
        self.also.into_iter().for_each(Self::done);
    }

    /// Splits the ack of a batch into one for each entry; `ends` are the places after each.
    pub(crate) fn split(mut self, ends: Ends) -> Splitter {
        let done = vec![false; ends.len];
        let metrics = self.counted.take().map(|(metrics, _)| metrics);
        let state = PartsState { whole: Some(self), done, reached: 0 };
        Splitter { parts: Arc::new(Parts { ends, state: Mutex::new(state) }), metrics }
    }

    /// An ack that goes into a ledger.
    #[cfg(any(feature = "file", feature = "journald"))]
    pub(crate) fn in_ledger(slot: Slot) -> Self {
        Self::of(Inner::Slot(slot))
    }

    /// Acknowledges another place too, after this one.
    #[cfg(feature = "file")]
    pub(crate) fn also(mut self, other: Self) -> Self {
        self.also.push(other);
        self
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
        Self { inner, counted: None, also: Vec::new() }
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
    #[cfg_attr(
        not(any(feature = "file", feature = "journald")),
        expect(dead_code, reason = "only a ledger keeps a place within a batch")
    )]
    ends: Ends,
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
        let whole = if reached == all { state.whole.take() } else { None };
        #[cfg(any(feature = "file", feature = "journald"))]
        if let Some(Ack { inner: Inner::Slot(slot), .. }) = &state.whole {
            slot.reached(self.ends.get(reached - 1));
        }
        drop(state);
        if let Some(whole) = whole {
            whole.done();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
