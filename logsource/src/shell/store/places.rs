//! Every place, and which of them are not written down yet.

use std::collections::HashMap;
use std::sync::Arc;

use crate::Cursor;

/// A key, and its place; none if it has none any more.
pub(super) type Change = (Arc<str>, Option<Cursor>);

/// Places by key. However often a key's place moves between two times of writing, it is written
/// once.
#[derive(Debug)]
pub(super) struct Places {
    known: HashMap<Arc<str>, Entry>,
    /// The keys to write, each once; empty if everything is to be written anyway.
    listed: Vec<Arc<str>>,
    /// What is on disk says nothing: everything is to be written.
    is_afresh: bool,
}

#[derive(Debug)]
struct Entry {
    /// None if it was removed, and that is not written yet.
    place: Option<Cursor>,
    is_listed: bool,
}

impl Default for Places {
    fn default() -> Self {
        Self { known: HashMap::new(), listed: Vec::new(), is_afresh: true }
    }
}

impl Places {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Cursor)> {
        self.known.iter().filter_map(|(key, entry)| Some((key, entry.place.as_ref()?)))
    }

    #[cfg(feature = "file")]
    pub(super) fn contains(&self, key: &str) -> bool {
        self.known.get(key).is_some_and(|entry| entry.place.is_some())
    }

    /// Adds what is on disk, unless something newer is known.
    pub(super) fn load(&mut self, told: HashMap<String, Cursor>) {
        self.known.reserve(told.len());
        for (key, place) in told {
            let entry = || Entry { place: Some(place), is_listed: false };
            self.known.entry(key.into()).or_insert_with(entry);
        }
    }

    /// Says whether that is news. Nothing is allocated for a key that is known, but for the list's
    /// growing.
    pub(super) fn set(&mut self, key: &str, place: &Cursor) -> bool {
        let Some(entry) = self.known.get_mut(key) else {
            let key: Arc<str> = key.into();
            let is_listed = !self.is_afresh;
            if is_listed {
                self.listed.push(Arc::clone(&key));
            }
            self.known.insert(key, Entry { place: Some(place.clone()), is_listed });
            return true;
        };
        if entry.place.as_ref() == Some(place) {
            return false;
        }
        entry.place = Some(place.clone());
        self.list(key);
        true
    }

    /// Says whether that is news.
    #[cfg(feature = "file")]
    pub(super) fn remove(&mut self, key: &str) -> bool {
        let Some(entry) = self.known.get_mut(key) else { return false };
        let had = entry.place.take().is_some();
        if self.is_afresh {
            self.known.remove(key);
        } else if had {
            self.list(key);
        }
        had
    }

    /// Says whether that removed any.
    #[cfg(feature = "file")]
    pub(super) fn retain(&mut self, keep: impl Fn(&Cursor) -> bool) -> bool {
        let gone = self.iter().filter(|(_, place)| !keep(place)).map(|(key, _)| Arc::clone(key));
        let gone: Vec<Arc<str>> = gone.collect();
        for key in &gone {
            self.remove(key);
        }
        !gone.is_empty()
    }

    /// Takes what is to be written. Gives whether that is everything.
    pub(super) fn take(&mut self, everything: bool, into: &mut Vec<Change>) -> bool {
        into.clear();
        if everything || self.is_afresh {
            self.distrust();
            self.is_afresh = false;
            into.extend(self.iter().map(|(key, place)| (Arc::clone(key), Some(place.clone()))));
            return true;
        }
        for key in self.listed.drain(..) {
            let Some(entry) = self.known.get_mut(&key) else { continue };
            entry.is_listed = false;
            let place = entry.place.clone();
            if place.is_none() {
                self.known.remove(&key);
            }
            into.push((key, place));
        }
        false
    }

    /// What is on disk may not be what was written: everything is written next.
    pub(super) fn distrust(&mut self) {
        self.is_afresh = true;
        for key in self.listed.drain(..) {
            match self.known.get_mut(&key) {
                Some(Entry { place: None, .. }) => drop(self.known.remove(&key)),
                Some(entry) => entry.is_listed = false,
                None => {}
            }
        }
    }

    fn list(&mut self, key: &str) {
        if self.is_afresh || self.known.get(key).is_none_or(|entry| entry.is_listed) {
            return;
        }
        if let Some((key, _)) = self.known.get_key_value(key) {
            self.listed.push(Arc::clone(key));
        }
        if let Some(entry) = self.known.get_mut(key) {
            entry.is_listed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Set(u8, u8),
        Remove(u8),
        Retain(u8),
        Take(bool),
        Distrust,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0..6_u8, any::<u8>()).prop_map(|(key, place)| Step::Set(key, place)),
            3 => (0..6_u8).prop_map(Step::Remove),
            1 => any::<u8>().prop_map(Step::Retain),
            3 => any::<bool>().prop_map(Step::Take),
            1 => Just(Step::Distrust),
        ];
        proptest::collection::vec(step, 0..80)
    }

    fn number(place: &Cursor) -> u8 {
        place.text().unwrap().parse().unwrap()
    }

    proptest! {
        #[test]
        fn what_is_taken_adds_up_to_what_is_known(steps in steps()) {
            let (mut places, mut written) = (Places::default(), BTreeMap::new());
            let (mut naive, mut changes) = (BTreeMap::new(), Vec::new());
            for step in steps.into_iter().chain([Step::Take(false)]) {
                match step {
                    Step::Set(key, place) => {
                        let news = naive.insert(key.to_string(), place) != Some(place);
                        let place = Cursor::from_text(place.to_string());
                        prop_assert_eq!(places.set(&key.to_string(), &place), news);
                    }
                    Step::Remove(key) => {
                        let had = naive.remove(&key.to_string()).is_some();
                        prop_assert_eq!(places.remove(&key.to_string()), had);
                    }
                    Step::Retain(least) => {
                        naive.retain(|_, place| *place >= least);
                        places.retain(|place| number(place) >= least);
                    }
                    Step::Distrust => {
                        written = BTreeMap::from([("lost".to_owned(), 0)]);
                        places.distrust();
                    }
                    Step::Take(everything) => {
                        if places.take(everything, &mut changes) {
                            written.clear();
                        }
                        let keys: Vec<_> = changes.iter().map(|(key, _)| Arc::clone(key)).collect();
                        for (key, place) in changes.drain(..) {
                            match place {
                                Some(place) => written.insert(key.to_string(), number(&place)),
                                None => written.remove(&*key),
                            };
                        }
                        prop_assert_eq!(&written, &naive);
                        let once: std::collections::BTreeSet<_> = keys.iter().collect();
                        prop_assert_eq!(once.len(), keys.len());
                    }
                }
                prop_assert!(places.listed.len() <= places.known.len());
                let known = places.iter().map(|(key, place)| (key.to_string(), number(place)));
                prop_assert_eq!(known.collect::<BTreeMap<_, _>>(), naive.clone());
            }
        }
    }
}
