//! Since when something that was read is not acknowledged.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The books of a source with something open in them, and when the oldest of that was issued.
#[derive(Debug, Default)]
pub(crate) struct Unacked(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// As many as there are books.
    since: BTreeMap<u64, Instant>,
    #[cfg(any(feature = "file", feature = "journald"))]
    next: u64,
}

impl Unacked {
    /// How long the oldest has been open; zero if nothing is.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        let oldest = self.lock().since.values().min().copied();
        oldest.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Another book; its number.
    #[cfg(any(feature = "file", feature = "journald"))]
    pub(crate) fn enter(&self) -> u64 {
        let mut state = self.lock();
        state.next += 1;
        state.next
    }

    /// Since when something is open in a book, if anything is.
    #[cfg(any(feature = "file", feature = "journald"))]
    pub(crate) fn note(&self, book: u64, since: Option<Instant>) {
        let mut state = self.lock();
        match since {
            Some(since) => drop(state.since.insert(book, since)),
            None => drop(state.since.remove(&book)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
