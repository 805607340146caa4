//! Who has spoken, when last, and what they said: so many names, and no more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::timestamp::{elapsed, later};

/// How often a full table is looked through for those who have gone silent. Anybody who can write a
/// line can make up names: if each one had all of them looked through, a flood would stop the loop.
const SWEEP: Duration = Duration::from_secs(1);

/// Who has spoken, when last, and what they said. Whoever is not silent keeps its place: names that
/// are made up take none of those that are known.
#[derive(Debug, Clone)]
pub(crate) struct Speakers<V> {
    most: usize,
    /// Who is silent for longer makes room where there is none.
    max_age: Duration,
    last: BTreeMap<Arc<str>, (SystemTime, V)>,
    swept: Option<SystemTime>,
}

impl<V> Speakers<V> {
    pub(crate) fn new(most: usize, max_age: Duration) -> Self {
        Self { most, max_age, last: BTreeMap::new(), swept: None }
    }

    pub(crate) fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Takes in what `name` said at `at`, unless it has said something since. `false` if there is no
    /// room for one more. A clock that is ahead says nothing about the future: it spoke `now`.
    pub(crate) fn hear(&mut self, name: &str, said: V, at: SystemTime, now: SystemTime) -> bool {
        let at = at.min(now);
        if let Some(held) = self.last.get_mut(name) {
            if at >= held.0 {
                *held = (at, said);
            }
            return true;
        }
        if self.last.len() >= self.most {
            self.sweep_at_times(now);
        }
        let fits = self.last.len() < self.most;
        if fits {
            self.last.insert(Arc::from(name), (at, said));
        }
        fits
    }

    /// All of them in the order of their names, with the time and what was said.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, SystemTime, &V)> {
        self.last.iter().map(|(name, (at, said))| (name, *at, said))
    }

    /// Forgets who is silent at `now`.
    pub(crate) fn forget_silent(&mut self, now: SystemTime) {
        let max_age = self.max_age;
        self.last.retain(|_, (at, _)| {
            // What lies far ahead is from before the clock was set back.
            elapsed(*at, now) <= max_age && *at <= later(now, max_age)
        });
    }

    /// By the host's clock: that of a line is whatever its writer wants.
    fn sweep_at_times(&mut self, now: SystemTime) {
        let lately = |swept| elapsed(swept, now).max(elapsed(now, swept)) < SWEEP;
        if !self.swept.is_some_and(lately) {
            self.swept = Some(now);
            self.forget_silent(now);
        }
    }
}
