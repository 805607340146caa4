//! De-duplication: which reports are repeats of one that was admitted a moment ago.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use crate::bloom::Bloom;
use crate::table::{Slot, Table};
use crate::{Labels, Status, time};

/// What makes two reports the same: labels, named receiver, status and episode.
///
/// A resolve, and a new episode, differ from what came before, so they are never duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DedupKey<'a> {
    /// The labels; compared whole, never by a hash alone.
    pub labels: &'a Labels,
    /// The receiver that the rule names.
    pub receiver: Option<&'a str>,
    /// Firing or resolved.
    pub status: Status,
    /// The occurrence.
    pub episode: &'a str,
}

/// An exact sliding window over admitted keys.
///
/// A key is a duplicate for `window` after it was *admitted*: repeats do not push the end of the window on, else an
/// alert that is reported each minute would never leave it. Bounded: when it is full the key admitted longest ago
/// makes room, is counted, and counts as new if it comes again. A duplicate is legal, a loss is not.
#[derive(Debug)]
pub struct DedupWindow {
    window: Duration,
    capacity: usize,
    key: RandomState,
    bloom: Option<Bloom>,
    entries: Table<Entry>,
    /// In order of admission, oldest first. A slot whose entry has another number was used again since.
    queue: VecDeque<(Slot, u64)>,
    admissions: u64,
    evicted: u64,
}

#[derive(Debug)]
struct Entry {
    labels: Labels,
    receiver: Option<Box<str>>,
    status: Status,
    episode: Box<str>,
    admitted: SystemTime,
    number: u64,
}

impl DedupWindow {
    /// A window of this length that holds at most `capacity` keys (at least one).
    pub fn new(window: Duration, capacity: usize) -> Self {
        Self {
            window,
            capacity: capacity.max(1),
            key: RandomState::new(),
            bloom: None,
            entries: Table::new(),
            queue: VecDeque::new(),
            admissions: 0,
            evicted: 0,
        }
    }

    /// With a Bloom filter in front, of 24 bits for each key of the capacity: most keys that are new are known to be so
    /// without a look at the exact table, which pays when that is out of the cache and most keys are new. It never
    /// decides that a key is a duplicate.
    #[must_use]
    pub fn with_bloom_filter(mut self) -> Self {
        self.bloom = Some(Bloom::new(self.window, self.capacity));
        self
    }

    /// How long ago `key` was admitted, if that is inside the window. Changes nothing. What was admitted more than a window
    /// *ahead*, by a clock that has been set back since, is new.
    pub fn seen(&self, key: DedupKey<'_>, now: SystemTime) -> Option<Duration> {
        self.seen_hashed(self.hash(key), key, now)
    }

    /// Puts `key` into the window, as of `now`.
    pub fn admit(&mut self, key: DedupKey<'_>, now: SystemTime) {
        self.admit_hashed(self.hash(key), key, now);
    }

    /// Takes `key` out of the window: the next report of it is new.
    pub fn forget(&mut self, key: DedupKey<'_>) {
        let hash = self.hash(key);
        if let Some(slot) = self.entries.find(hash, |entry| entry.is(key)) {
            self.entries.remove(slot);
        }
    }

    /// How many keys it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Does it hold none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many keys made room while they were still inside the window.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) fn seen_hashed(
        &self,
        hash: u64,
        key: DedupKey<'_>,
        now: SystemTime,
    ) -> Option<Duration> {
        if self.bloom.as_ref().is_some_and(|bloom| !bloom.may_know(hash)) {
            return None;
        }
        let slot = self.entries.find(hash, |entry| entry.is(key))?;
        let admitted = self.entries.get(slot)?.admitted;
        // By a clock that was set back since it may be long before that is over.
        let ahead = time::since(now, admitted) > self.window;
        let age = time::since(admitted, now);
        (age < self.window && !ahead).then_some(age)
    }

    pub(crate) fn admit_hashed(&mut self, hash: u64, key: DedupKey<'_>, now: SystemTime) {
        if let Some(slot) = self.entries.find(hash, |entry| entry.is(key)) {
            self.entries.remove(slot);
        }
        self.expire(now);
        if let Some(bloom) = &mut self.bloom {
            bloom.insert(hash, now);
        }
        while self.entries.len() >= self.capacity {
            if !self.remove_oldest() {
                break;
            }
            self.evicted += 1;
        }
        self.admissions += 1;
        let entry = Entry {
            labels: key.labels.clone(),
            receiver: key.receiver.map(Box::from),
            status: key.status,
            episode: Box::from(key.episode),
            admitted: now,
            number: self.admissions,
        };
        let slot = self.entries.insert(hash, entry);
        self.queue.push_back((slot, self.admissions));
        if self.queue.len() > 2 * self.entries.len() + 64 {
            // Keys that are admitted over and over leave a place behind each time.
            let entries = &self.entries;
            self.queue.retain(|&(slot, number)| {
                entries.get(slot).is_some_and(|entry| entry.number == number)
            });
        }
    }

    fn hash(&self, key: DedupKey<'_>) -> u64 {
        self.key.hash_one((key.labels, key.receiver, key.status, key.episode))
    }

    /// Drops what has left the window. Amortized constant: each entry is dropped once.
    fn expire(&mut self, now: SystemTime) {
        while let Some(&(slot, number)) = self.queue.front() {
            match self.entries.get(slot).filter(|entry| entry.number == number) {
                Some(entry) if time::since(entry.admitted, now) < self.window => break,
                Some(_) => drop(self.entries.remove(slot)),
                None => {} // admitted anew, or forgotten
            }
            self.queue.pop_front();
        }
    }

    fn remove_oldest(&mut self) -> bool {
        while let Some((slot, number)) = self.queue.pop_front() {
            if self.entries.get(slot).is_some_and(|entry| entry.number == number) {
                self.entries.remove(slot);
                return true;
            }
        }
        false
    }
}

impl Entry {
    fn is(&self, key: DedupKey<'_>) -> bool {
        self.status == key.status
            && *self.episode == *key.episode
            && self.receiver.as_deref() == key.receiver
            && self.labels.same(key.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is admitted over and over takes no more room than what is admitted once.
    #[test]
    fn the_queue_is_bounded_by_the_keys() {
        let labels = [Labels::from([("alertname", "A")]), Labels::from([("alertname", "B")])];
        let key = |labels| DedupKey { labels, receiver: None, status: Status::Firing, episode: "" };
        let mut window = DedupWindow::new(Duration::from_secs(300), 10);
        let now = SystemTime::UNIX_EPOCH;
        window.admit(key(&labels[0]), now);
        for _ in 0..1000 {
            window.admit(key(&labels[1]), now);
        }
        assert!(window.queue.len() <= 68, "{}", window.queue.len());
        window.admit(key(&labels[0]), now + Duration::from_secs(300));
        assert_eq!(window.len(), 1, "what has left the window is still found");
    }

    /// Two alerts whose hashes are made to collide, so that the filter knows both when it knows one: neither hides the
    /// other.
    #[test]
    fn a_collision_hides_nobody() {
        let (a, b) = (Labels::from([("alertname", "A")]), Labels::from([("alertname", "B")]));
        let key = |labels| DedupKey { labels, receiver: None, status: Status::Firing, episode: "" };
        let mut window = DedupWindow::new(Duration::from_secs(300), 10).with_bloom_filter();
        let now = SystemTime::UNIX_EPOCH;
        window.admit_hashed(7, key(&a), now);
        assert_eq!(window.seen_hashed(7, key(&b), now), None);
        window.admit_hashed(7, key(&b), now);
        assert!(window.seen_hashed(7, key(&a), now).is_some());
        assert!(window.seen_hashed(7, key(&b), now).is_some());
    }
}
