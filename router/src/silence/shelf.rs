//! Where silences stand: by slot, by id, and by what they hit.

use std::collections::HashMap;
use std::time::SystemTime;

use super::{Silence, SilenceState};
use crate::Labels;
use crate::index::{IndexScratch, MatcherIndex};

#[derive(Debug, Default)]
pub(super) struct Shelf {
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
    by_id: HashMap<String, u32>,
    /// Finds sets of matchers; `owners` says whose they are.
    index: MatcherIndex,
    owners: Vec<u32>,
    free_sets: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) silence: Silence,
    /// The furthest state that it has been told to be in.
    pub(super) reached: SilenceState,
    /// Firing alerts that it hits.
    pub(super) hits: u64,
    /// Since when the first hit is waited for, if it is one until resolved.
    pub(super) waits_since: SystemTime,
    pub(super) boundary: Option<SystemTime>,
    /// Its sets in the index; none when it is expired.
    sets: Vec<u32>,
}

impl Entry {
    pub(super) fn new(silence: Silence, reached: SilenceState, now: SystemTime) -> Self {
        let waits_since = silence.starts_at.max(now);
        Self { silence, reached, hits: 0, waits_since, boundary: None, sets: Vec::new() }
    }

    /// What it has reached is never taken back, whatever the clock says.
    pub(super) fn state(&self, now: SystemTime) -> SilenceState {
        self.reached.max(self.silence.state_at(now))
    }
}

impl Shelf {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Entry> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Entry> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    pub(super) fn find(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Entry)> {
        (0..).zip(&self.slots).filter_map(|(slot, entry)| Some((slot, entry.as_ref()?)))
    }

    pub(super) fn insert(&mut self, entry: Entry) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        self.by_id.insert(entry.silence.id.clone(), slot);
        self.slots[slot as usize] = Some(entry);
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) {
        self.unfile(slot);
        if let Some(entry) = self.slots.get_mut(slot as usize).and_then(Option::take) {
            self.by_id.remove(&entry.silence.id);
            self.free.push(slot);
        }
    }

    /// From here on it is found by what it hits.
    pub(super) fn file(&mut self, slot: u32) {
        let Some(entry) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
            return;
        };
        for matchers in &entry.silence.matchers {
            let set = self.free_sets.pop().unwrap_or_else(|| {
                self.owners.push(slot);
                self.owners.len() as u32 - 1
            });
            self.owners[set as usize] = slot;
            self.index.insert(0, set, matchers);
            entry.sets.push(set);
        }
    }

    /// The reverse.
    pub(super) fn unfile(&mut self, slot: u32) {
        let Some(entry) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) else {
            return;
        };
        for set in entry.sets.drain(..) {
            self.index.remove(set);
            self.free_sets.push(set);
        }
    }

    /// Those that hit an alert with these labels, one that has several sets perhaps more than once.
    pub(super) fn hitting<'a>(
        &'a self,
        labels: &Labels,
        scratch: &mut IndexScratch,
        sets: &'a mut Vec<u32>,
    ) -> impl Iterator<Item = (u32, &'a Entry)> {
        sets.clear();
        self.index.query(0, labels, scratch, sets);
        sets.iter().filter_map(|set| {
            let owner = *self.owners.get(*set as usize)?;
            Some((owner, self.get(owner)?))
        })
    }
}
