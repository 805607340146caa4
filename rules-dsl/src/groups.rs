//! The groups of one rule: a bounded table that gives up the stalest first.

use std::collections::{HashMap, VecDeque};

use crate::episode::Open;
use crate::hits::GroupKey;
use crate::time::Nanos;

/// What is remembered about one group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) key: GroupKey,
    /// Event time of its newest record, and the clock when that record was judged. From there the
    /// group's time runs on with the clock: that is its watermark.
    pub(crate) newest: Nanos,
    pub(crate) newest_at: Nanos,
    /// Event times in its window, ascending, at most the rule's cap.
    pub(crate) times: VecDeque<Nanos>,
    /// Records fell out of `times` for want of room, so its length is a lower bound.
    pub(crate) saturated: bool,
    pub(crate) open: Option<Open>,
    /// The minute in which it was last told that old records are withheld.
    pub(crate) withheld_minute: Option<u64>,
    /// The clock time at which it is to be looked at, if any.
    pub(crate) scheduled: Option<Nanos>,
    newer: Link,
    older: Link,
}

type Link = Option<u32>;

/// Groups by key, and in the order in which they last saw a record.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    by_key: HashMap<GroupKey, u32>,
    slab: Vec<Option<Group>>,
    free: Vec<u32>,
    newest: Link,
    stalest: Link,
}

impl Groups {
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Group> {
        self.slab.get(id as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Group> {
        self.slab.get_mut(id as usize)?.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Group)> {
        let slots = self.slab.iter().enumerate();
        slots.filter_map(|(id, group)| group.as_ref().map(|group| (id as u32, group)))
    }

    /// The group of this key, now the freshest; made if it is new.
    pub(crate) fn touch(&mut self, key: &GroupKey) -> u32 {
        if let Some(id) = self.by_key.get(key).copied() {
            if self.newest != Some(id) {
                self.unlink(id);
                self.link(id);
            }
            return id;
        }
        let group = Group {
            key: key.clone(),
            newest: 0,
            newest_at: 0,
            times: VecDeque::new(),
            saturated: false,
            open: None,
            withheld_minute: None,
            scheduled: None,
            newer: None,
            older: None,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.slab[id as usize] = Some(group);
                id
            }
            None => {
                self.slab.push(Some(group));
                self.slab.len() as u32 - 1
            }
        };
        self.by_key.insert(key.clone(), id);
        self.link(id);
        id
    }

    /// The group that has been without a record for longest.
    pub(crate) fn stalest(&self) -> Option<(u32, &Group)> {
        let id = self.stalest?;
        self.get(id).map(|group| (id, group))
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<Group> {
        self.get(id)?;
        self.unlink(id);
        let group = self.slab[id as usize].take()?;
        self.by_key.remove(&group.key);
        self.free.push(id);
        Some(group)
    }

    fn link(&mut self, id: u32) {
        let older = self.newest;
        if let Some(group) = self.get_mut(id) {
            (group.newer, group.older) = (None, older);
        }
        match older.and_then(|older| self.get_mut(older)) {
            Some(older) => older.newer = Some(id),
            None => self.stalest = Some(id),
        }
        self.newest = Some(id);
    }

    fn unlink(&mut self, id: u32) {
        let Some(group) = self.get(id) else { return };
        let (newer, older) = (group.newer, group.older);
        match newer.and_then(|newer| self.get_mut(newer)) {
            Some(group) => group.older = older,
            None => self.newest = older,
        }
        match older.and_then(|older| self.get_mut(older)) {
            Some(group) => group.newer = newer,
            None => self.stalest = newer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: usize) -> GroupKey {
        [name.to_string().into_boxed_str()].into()
    }

    #[test]
    fn the_stalest_is_found_after_any_order_of_touches() {
        let mut groups = Groups::default();
        let mut order: Vec<usize> = Vec::new();
        let mut state = 7_usize;
        for _ in 0..2000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            let name = (state >> 33) % 17;
            if state.is_multiple_of(5) {
                if let Some(&oldest) = order.first() {
                    let (id, group) = groups.stalest().expect("not empty");
                    assert_eq!(group.key, key(oldest));
                    groups.remove(id);
                    order.remove(0);
                }
            } else {
                groups.touch(&key(name));
                order.retain(|known| *known != name);
                order.push(name);
            }
            assert_eq!(groups.len(), order.len());
        }
    }
}
