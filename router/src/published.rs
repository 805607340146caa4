//! Published snapshots: one writer swaps a value, readers see the old one or the new one, whole, and never wait.

use std::fmt;
use std::sync::{Arc, TryLockError};

#[cfg(not(loom))]
use std::sync::{
    RwLock,
    atomic::{AtomicU64, Ordering},
};

#[cfg(loom)]
use loom::sync::{
    RwLock,
    atomic::{AtomicU64, Ordering},
};

/// The writer's side of a value that is replaced as a whole: a configuration, a table, a set of silences.
///
/// There is one writer, since [`publish`](Self::publish) takes `&mut self`; and as many [`Reader`]s as there are threads.
/// A reader that decides under what [`Reader::get`] gives it decides under one version from beginning to end.
///
/// ```
/// use birl_router::Published;
///
/// let mut budgets = Published::new(vec![50, 200, 1000]);
/// let mut reader = budgets.reader();
/// std::thread::scope(|threads| {
///     threads.spawn(move || {
///         assert!(matches!(reader.get()[..], [50, 200, 1000] | [20, 100, 500]));
///     });
///     assert_eq!(budgets.publish(vec![20, 100, 500]), 2);
/// });
/// assert_eq!(budgets.reader().get()[0], 20);
/// ```
pub struct Published<T> {
    shared: Arc<Shared<T>>,
}

/// A reader's side. Each thread has its own: a clone costs no more than one of an [`Arc`].
pub struct Reader<T> {
    shared: Arc<Shared<T>>,
    seen: Snapshot<T>,
}

struct Shared<T> {
    /// The version of `newest`, or, for the moment of a swap, of what was there before: never a newer one.
    version: AtomicU64,
    newest: RwLock<Snapshot<T>>,
}

struct Snapshot<T> {
    version: u64,
    value: Arc<T>,
}

impl<T> Published<T> {
    /// Publishes the first value, as version 1.
    pub fn new(value: T) -> Self {
        let first = Snapshot { version: 1, value: Arc::new(value) };
        let shared = Shared { version: AtomicU64::new(1), newest: RwLock::new(first) };
        Self { shared: Arc::new(shared) }
    }

    /// Replaces the value; returns its version. Readers see it from their next [`Reader::get`] on. The old value is
    /// dropped by whoever lets go of it last.
    pub fn publish(&mut self, value: T) -> u64 {
        let value = Arc::new(value);
        let mut newest = self.shared.newest.write().unwrap_or_else(|e| e.into_inner());
        let version = newest.version.wrapping_add(1);
        let old = std::mem::replace(&mut *newest, Snapshot { version, value });
        // Before the lock is open: with the number goes the promise that the value can be had.
        self.shared.version.store(version, Ordering::Release);
        drop(newest);
        drop(old); // outside of the lock, since a large one takes long to drop
        version
    }

    /// The version that is published.
    pub fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }

    /// A reader, which has the newest value.
    pub fn reader(&self) -> Reader<T> {
        let newest = self.shared.newest.read().unwrap_or_else(|e| e.into_inner());
        Reader { shared: Arc::clone(&self.shared), seen: newest.clone() }
    }
}

impl<T> Reader<T> {
    /// The newest value. While it is being swapped, for as long as it takes to move two pointers, the one before.
    ///
    /// As long as nothing is published this is one comparison (about 2 ns). It never waits, and allocates nothing; a
    /// value that this reader was the last to hold is dropped here.
    pub fn get(&mut self) -> &T {
        if self.shared.version.load(Ordering::Acquire) != self.seen.version {
            self.catch_up();
        }
        &self.seen.value
    }

    /// The version of what the last [`get`](Self::get) gave.
    pub fn version(&self) -> u64 {
        self.seen.version
    }

    /// The same value as the last [`get`](Self::get) gave, to keep.
    pub fn snapshot(&self) -> Arc<T> {
        Arc::clone(&self.seen.value)
    }

    #[cold]
    fn catch_up(&mut self) {
        let newest = match self.shared.newest.try_read() {
            Ok(newest) => newest,
            // A writer that panicked did so before or after the swap, which cannot fail.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return, // the next look finds it
        };
        let newest = newest.clone();
        self.seen = newest;
    }
}

impl<T> Clone for Snapshot<T> {
    fn clone(&self) -> Self {
        Self { version: self.version, value: Arc::clone(&self.value) }
    }
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), seen: self.seen.clone() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Published<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reader = self.reader();
        let (version, value) = (reader.seen.version, &reader.seen.value);
        f.debug_struct("Published").field("version", &version).field("value", value).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for Reader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, value) = (self.seen.version, &self.seen.value);
        f.debug_struct("Reader").field("version", &version).field("value", value).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_reader_keeps_what_it_has_until_it_looks_again() {
        let mut published = Published::new("one");
        let mut reader = published.reader();
        let mut late = reader.clone();
        assert_eq!(published.publish("two"), 2);
        assert_eq!((reader.version(), *reader.snapshot()), (1, "one"));
        assert_eq!((*reader.get(), reader.version()), ("two", 2));
        assert_eq!(published.publish("three"), 3);
        assert_eq!((*late.get(), late.version(), published.version()), ("three", 3, 3));
    }

    /// A reader in the middle of a swap has the old value rather than none, and does not wait.
    #[test]
    fn a_reader_does_not_wait_for_a_writer() {
        let published = Published::new(1);
        let mut reader = published.reader();
        let mut swap = published.shared.newest.write().unwrap();
        *swap = Snapshot { version: 2, value: Arc::new(2) };
        published.shared.version.store(2, Ordering::Release);
        assert_eq!((*reader.get(), reader.version()), (1, 1));
        drop(swap);
        assert_eq!((*reader.get(), reader.version()), (2, 2));
    }

    #[test]
    fn an_old_value_is_dropped_with_its_last_holder() {
        let mut published = Published::new(String::from("one"));
        let mut reader = published.reader();
        let held = Arc::downgrade(&reader.snapshot());
        let _ = published.publish(String::from("two"));
        assert!(held.upgrade().is_some(), "the reader still has it");
        assert_eq!(reader.get(), "two");
        assert!(held.upgrade().is_none());
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use loom::thread;

    use super::*;

    /// Two halves that must belong together, and to the version: the n-th version is `(n, n)`.
    fn look(reader: &mut Reader<(u64, u64)>) -> u64 {
        let (one, other) = *reader.get();
        assert_eq!(one, other, "half of two values");
        assert_eq!(one, reader.version(), "a version that is not the value's");
        one
    }

    /// One writer and two readers: whatever they see is whole, belongs to its version, and is never older than what
    /// they saw before; and after the writer is done they see the last.
    #[test]
    fn readers_see_whole_values_in_order_and_at_last_the_newest() {
        loom::model(|| {
            let mut published = Published::new((1, 1));
            let mut readers = [published.reader(), published.reader()];
            let [mut other, mut mine] = [readers[0].clone(), readers[1].clone()];
            let watching = thread::spawn(move || {
                let first = look(&mut other);
                assert!(first <= look(&mut other));
            });
            let writing = thread::spawn(move || {
                let _ = published.publish((2, 2));
                let _ = published.publish((3, 3));
            });
            let first = look(&mut mine);
            assert!(first <= look(&mut mine));
            writing.join().unwrap();
            watching.join().unwrap();
            // Both of these have seen nothing since the beginning.
            assert!(readers.iter_mut().all(|reader| look(reader) == 3));
        });
    }
}
