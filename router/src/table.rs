//! A slab of values found by a hash and then by comparing: what two hashes share never decides identity.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Names a value in a [`Table`] until it is removed.
pub(crate) type Slot = usize;

/// Values by hash. Equal hashes are chained through the slab, so that a look-up allocates nothing.
#[derive(Debug)]
pub(crate) struct Table<T> {
    heads: HashMap<u64, Slot, BuildHasherDefault<Prehashed>>,
    slab: Vec<Option<Node<T>>>,
    free: Vec<Slot>,
}

#[derive(Debug)]
struct Node<T> {
    hash: u64,
    next: Option<Slot>,
    value: T,
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self { heads: HashMap::default(), slab: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len() - self.free.len()
    }

    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<Slot> {
        let mut cursor = self.heads.get(&hash).copied();
        while let Some(slot) = cursor {
            let node = self.slab.get(slot)?.as_ref()?;
            if is_it(&node.value) {
                return Some(slot);
            }
            cursor = node.next;
        }
        None
    }

    /// Adds a value; the caller has made sure that it is not there.
    pub(crate) fn insert(&mut self, hash: u64, value: T) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slab.push(None);
            self.slab.len() - 1
        });
        let next = self.heads.insert(hash, slot);
        self.slab[slot] = Some(Node { hash, next, value });
        slot
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<T> {
        let node = self.slab.get_mut(slot)?.take()?;
        self.free.push(slot);
        // Take it out of its chain: from the head, or from the node before it.
        let mut cursor = self.heads.get(&node.hash).copied();
        if cursor == Some(slot) {
            match node.next {
                Some(next) => self.heads.insert(node.hash, next),
                None => self.heads.remove(&node.hash),
            };
            return Some(node.value);
        }
        while let Some(before) = cursor.and_then(|c| self.slab[c].as_mut()) {
            if before.next == Some(slot) {
                before.next = node.next;
                break;
            }
            cursor = before.next;
        }
        Some(node.value)
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        self.slab.get(slot)?.as_ref().map(|node| &node.value)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.slab.get_mut(slot)?.as_mut().map(|node| &mut node.value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        let full = self.slab.iter().enumerate();
        full.filter_map(|(slot, node)| Some((slot, &node.as_ref()?.value)))
    }
}

/// The keys are keyed hashes already: hashing them again would only cost time.
#[derive(Debug, Default)]
pub(crate) struct Prehashed(u64);

impl Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All values share one hash: each is still found by itself, whatever the order of removal.
    #[test]
    fn equal_hashes_never_decide() {
        for removed in [["a", "b", "c"], ["b", "a", "c"], ["c", "b", "a"], ["b", "c", "a"]] {
            let mut table = Table::new();
            for value in ["a", "b", "c"] {
                table.insert(7, value);
            }
            for (i, value) in removed.iter().enumerate() {
                let slot = table.find(7, |v| v == value).unwrap();
                assert_eq!(table.remove(slot), Some(*value));
                assert_eq!(table.remove(slot), None);
                assert_eq!(table.find(7, |v| v == value), None);
                for left in &removed[i + 1..] {
                    assert!(table.find(7, |v| v == left).is_some(), "{left} after {value}");
                }
            }
            assert_eq!(table.len(), 0);
            table.insert(7, "d");
            assert_eq!(table.slab.len(), 3, "slots are used again");
        }
    }
}
