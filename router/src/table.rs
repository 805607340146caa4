//! A slab of values found by a hash and then by comparing: what two hashes share never decides identity.

use hashbrown::HashTable;

/// Names a value in a [`Table`] until it is removed.
pub(crate) type Slot = u32;

/// A piece of the slab. It grows by whole pieces, so that growing never copies what is there, and never takes half as
/// much again.
const PIECE: usize = 1 << 10;

/// Values by hash. A look-up allocates nothing; four bytes of the index and eight of the slab are what a value costs
/// besides itself.
#[derive(Debug)]
pub(crate) struct Table<T> {
    index: HashTable<Slot>,
    pieces: Vec<Vec<Option<Node<T>>>>,
    free: Vec<Slot>,
    len: usize,
}

#[derive(Debug)]
struct Node<T> {
    hash: u64,
    value: T,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self { index: HashTable::new(), pieces: Vec::new(), free: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<Slot> {
        let found = self.index.find(hash, |slot| {
            node(&self.pieces, *slot).is_some_and(|node| node.hash == hash && is_it(&node.value))
        });
        found.copied()
    }

    /// Adds a value; the caller has made sure that it is not there, and that there are fewer than 2³² of them.
    pub(crate) fn insert(&mut self, hash: u64, value: T) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            if self.pieces.last().is_none_or(|piece| piece.len() == PIECE) {
                self.pieces.push(Vec::with_capacity(PIECE));
            }
            let before = (self.pieces.len() - 1) * PIECE;
            let Some(piece) = self.pieces.last_mut() else { return 0 };
            piece.push(None);
            Slot::try_from(before + piece.len() - 1).unwrap_or(Slot::MAX)
        });
        let pieces = &mut self.pieces;
        pieces[slot as usize / PIECE][slot as usize % PIECE] = Some(Node { hash, value });
        self.index
            .insert_unique(hash, slot, |slot| node(pieces, *slot).map_or(0, |node| node.hash));
        self.len += 1;
        slot
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<T> {
        let place = self.pieces.get_mut(slot as usize / PIECE)?.get_mut(slot as usize % PIECE)?;
        let node = place.take()?;
        if let Ok(entry) = self.index.find_entry(node.hash, |found| *found == slot) {
            entry.remove();
        }
        self.free.push(slot);
        self.len -= 1;
        Some(node.value)
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        node(&self.pieces, slot).map(|node| &node.value)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let piece = self.pieces.get_mut(slot as usize / PIECE)?;
        piece.get_mut(slot as usize % PIECE)?.as_mut().map(|node| &mut node.value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        let all = (0..).zip(self.pieces.iter().flatten());
        all.filter_map(|(slot, node)| Some((slot, &node.as_ref()?.value)))
    }

    /// The slots that are taken, to walk while values change.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.iter().map(|(slot, _)| slot).collect()
    }
}

fn node<T>(pieces: &[Vec<Option<Node<T>>>], slot: Slot) -> Option<&Node<T>> {
    pieces.get(slot as usize / PIECE)?.get(slot as usize % PIECE)?.as_ref()
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
            assert!(table.insert(7, "d") < 3, "slots are used again");
        }
    }

    #[test]
    fn a_table_of_many_pieces() {
        let mut table = Table::new();
        let slots: Vec<Slot> = (0..5000_u64).map(|n| table.insert(n % 97, n)).collect();
        for (n, slot) in (0..5000).zip(&slots) {
            assert_eq!(table.find(n % 97, |v| *v == n), Some(*slot));
            assert_eq!(table.get(*slot), Some(&n));
        }
        assert_eq!(table.iter().count(), 5000);
        for slot in slots.iter().step_by(2) {
            assert!(table.remove(*slot).is_some());
        }
        assert_eq!((table.len(), table.slots().len()), (2500, 2500));
    }
}
