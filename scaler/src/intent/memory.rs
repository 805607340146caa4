//! Which intents have been carried out: a hash of each id, and which decision did it.

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::decision::DecisionId;
use crate::fnv::fnv1a;

/// How many intents a decider remembers; the oldest goes first.
const MEMORY: usize = 1024;

/// The length of a hash as text.
const DIGITS: usize = 16;

/// The intents that have been carried out, or are about to be.
///
/// Of their ids only hashes are kept: the memory is stored with every decision. That two ids of a
/// thousand have the same hash is as good as impossible, and then one ask is not heard.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Kept>", into = "Vec<Kept>")]
pub(crate) struct IntentMemory {
    /// In the order they were spent.
    order: VecDeque<Spent>,
    /// Their hashes in ascending order.
    hashes: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spent {
    hash: u64,
    /// The number of the decision that spent it.
    by: u64,
}

/// How a part of the memory is stored.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    /// What one decision spent, with that one's number: `[7,"0123456789abcdef"]`.
    Run(u64, Hashes),
    /// An intent as it was stored at first, by its id.
    Id { id: String, by: DecisionId },
}

/// Hashes one behind the other, as hexadecimal digits.
struct Hashes(Vec<u64>);

impl IntentMemory {
    pub(crate) fn contains(&self, id: &str) -> bool {
        self.hashes.binary_search(&fnv1a(id)).is_ok()
    }

    pub(crate) fn spend(&mut self, id: &str, by: DecisionId) {
        self.remember(Spent { hash: fnv1a(id), by: by.count() });
    }

    fn remember(&mut self, spent: Spent) {
        let Err(place) = self.hashes.binary_search(&spent.hash) else { return };
        self.hashes.insert(place, spent.hash);
        self.order.push_back(spent);
        if self.order.len() > MEMORY
            && let Some(oldest) = self.order.pop_front()
            && let Ok(place) = self.hashes.binary_search(&oldest.hash)
        {
            self.hashes.remove(place);
        }
    }

    /// The decision was not carried out: what it spent may ask again.
    pub(crate) fn release(&mut self, by: DecisionId) {
        self.order.retain(|spent| spent.by != by.count());
        self.hashes = self.order.iter().map(|spent| spent.hash).collect();
        self.hashes.sort_unstable();
    }

    /// Whether `newest`, the last decision there was, spent any.
    #[cfg(feature = "decision-log")]
    pub(crate) fn is_spent_by(&self, newest: DecisionId) -> bool {
        self.order.back().is_some_and(|spent| spent.by == newest.count())
    }

    #[cfg(feature = "decision-log")]
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }
}

impl From<Vec<Kept>> for IntentMemory {
    fn from(kept: Vec<Kept>) -> Self {
        let mut memory = Self::default();
        for part in kept {
            match part {
                Kept::Run(by, Hashes(hashes)) => {
                    hashes.into_iter().for_each(|hash| memory.remember(Spent { hash, by }));
                }
                Kept::Id { id, by } => memory.spend(&id, by),
            }
        }
        memory
    }
}

impl From<IntentMemory> for Vec<Kept> {
    fn from(memory: IntentMemory) -> Self {
        let mut kept = Self::new();
        for Spent { hash, by } in memory.order {
            match kept.last_mut() {
                Some(Kept::Run(last, Hashes(hashes))) if *last == by => hashes.push(hash),
                _ => kept.push(Kept::Run(by, Hashes(vec![hash]))),
            }
        }
        kept
    }
}

impl fmt::Display for Hashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|hash| write!(f, "{hash:016x}"))
    }
}

impl Serialize for Hashes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hashes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let hash = |digits: &[u8]| -> Option<u64> {
            let digits = std::str::from_utf8(digits).ok()?;
            (digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .then(|| u64::from_str_radix(digits, 16).ok())?
        };
        let hashes: Option<Vec<u64>> = text.as_bytes().chunks(DIGITS).map(hash).collect();
        let wrong = || serde::de::Error::custom("hashes have 16 hexadecimal digits each");
        hashes.map(Self).ok_or_else(wrong)
    }
}
