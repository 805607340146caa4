//! Where sources and targets meet: a rule, and values in which they agree.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::ops::Range;

use super::rule::{Pairs, Side};
use crate::Labels;
use crate::table::{Slot, Table};

/// The firing alerts on the two sides of one rule that have the same values.
#[derive(Debug)]
pub(super) struct Meeting {
    rule: u32,
    point: Slot,
    pub(super) sources: Members,
    pub(super) targets: Members,
}

/// Alerts, in order of their sort and then of their slot, so that each sort is one piece.
#[derive(Debug, Default)]
pub(super) struct Members(Vec<u64>);

/// What matters of an alert on a side of a rule: whether it matches the other side too, which decides whom it can mute,
/// and whether it can be part of a circle, because it is a source of some rule and a target of some rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sort(u64);

impl Sort {
    pub(super) const ALL: [Self; 4] = [Self(0), Self(1), Self(2), Self(3)];

    pub(super) fn new(two_sided: bool, through: bool) -> Self {
        Self(u64::from(two_sided) << 1 | u64::from(through))
    }

    pub(super) fn is_two_sided(self) -> bool {
        self.0 & 2 != 0
    }

    pub(super) fn is_through(self) -> bool {
        self.0 & 1 != 0
    }

    /// Alertmanager's rule, which also keeps an alert from inhibiting itself.
    pub(super) fn can_inhibit(self, target: Self) -> bool {
        !(self.is_two_sided() && target.is_two_sided())
    }
}

impl Members {
    pub(super) fn insert(&mut self, sort: Sort, slot: u32) {
        let member = sort.0 << 32 | u64::from(slot);
        if let Err(at) = self.0.binary_search(&member) {
            self.0.insert(at, member);
        }
    }

    pub(super) fn remove(&mut self, sort: Sort, slot: u32) {
        if let Ok(at) = self.0.binary_search(&(sort.0 << 32 | u64::from(slot))) {
            self.0.remove(at);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is there one that matches this side alone?
    pub(super) fn has_one_sided(&self) -> bool {
        self.0.first().is_some_and(|first| *first < 2 << 32)
    }

    /// Of sources, those that can inhibit a target of this sort.
    pub(super) fn inhibiting(&self, target: Sort) -> impl Iterator<Item = u32> {
        let sorts = if target.is_two_sided() { 0..2 } else { 0..4 };
        self.piece(sorts)
    }

    /// Those of one sort.
    pub(super) fn of(&self, sort: Sort) -> impl ExactSizeIterator<Item = u32> {
        self.piece(sort.0..sort.0 + 1)
    }

    pub(super) fn contains(&self, sort: Sort, slot: u32) -> bool {
        self.0.binary_search(&(sort.0 << 32 | u64::from(slot))).is_ok()
    }

    fn piece(&self, sorts: Range<u64>) -> impl ExactSizeIterator<Item = u32> {
        // Mostly they are few, and mostly the first ones are asked for.
        let begin = match sorts.start {
            0 => 0,
            sort => self.0.partition_point(|member| *member < sort << 32),
        };
        let end = match sorts.end {
            4 => self.0.len(),
            sort => self.0.partition_point(|member| *member < sort << 32),
        };
        self.0.get(begin..end).unwrap_or_default().iter().map(|member| *member as u32)
    }
}

/// The meetings of the rules that compare the same labels, at the same values: found by one look-up for all of them.
#[derive(Debug)]
struct Point {
    /// The number of the pairs of labels.
    pairs: u32,
    values: Box<[Box<str>]>,
    /// In ascending order of rules.
    meetings: Vec<(u32, Slot)>,
}

/// All meetings, found by rule and values.
#[derive(Debug, Default)]
pub(super) struct Meetings {
    points: Table<Point>,
    slab: Vec<Option<Meeting>>,
    free: Vec<Slot>,
    /// Keyed: the values are chosen by whoever can send an alert.
    key: RandomState,
}

impl Meetings {
    /// The meetings of an alert on this side of whatever rules have these pairs, in ascending order of rules.
    pub(super) fn at(
        &self,
        number: u32,
        pairs: &Pairs,
        side: Side,
        labels: &Labels,
    ) -> impl Iterator<Item = (u32, &Meeting)> {
        let (_, point) = self.look_up(number, pairs, side, labels);
        let meetings = point.and_then(|point| self.points.get(point)).map(|point| &point.meetings);
        let meetings = meetings.into_iter().flatten();
        meetings.filter_map(|(rule, slot)| Some((*rule, self.get(*slot)?)))
    }

    /// The meeting of an alert on this side of a rule, made if it is not there.
    pub(super) fn enter(
        &mut self,
        rule: u32,
        number: u32,
        pairs: &Pairs,
        side: Side,
        labels: &Labels,
    ) -> Slot {
        let (hash, point) = self.look_up(number, pairs, side, labels);
        let point = point.unwrap_or_else(|| {
            let values = pairs.values(side, labels).map(Box::from).collect();
            self.points.insert(hash, Point { pairs: number, values, meetings: Vec::new() })
        });
        let slot = self.free.last().copied().unwrap_or(self.slab.len() as Slot);
        let Some(Point { meetings, .. }) = self.points.get_mut(point) else { return slot };
        match meetings.binary_search_by_key(&rule, |(rule, _)| *rule) {
            Ok(at) => return meetings.get(at).map_or(slot, |(_, known)| *known),
            Err(at) => meetings.insert(at, (rule, slot)),
        }
        let (sources, targets) = (Members::default(), Members::default());
        let meeting = Some(Meeting { rule, point, sources, targets });
        match self.free.pop() {
            Some(slot) => self.slab[slot as usize] = meeting,
            None => self.slab.push(meeting),
        }
        slot
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Meeting> {
        self.slab.get(slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Meeting> {
        self.slab.get_mut(slot as usize)?.as_mut()
    }

    /// Forgets it once nobody is left.
    pub(super) fn leave(&mut self, slot: Slot) {
        let is_empty =
            |meeting: &&mut Meeting| meeting.sources.is_empty() && meeting.targets.is_empty();
        let Some(&mut Meeting { rule, point, .. }) = self.get_mut(slot).filter(is_empty) else {
            return;
        };
        self.slab[slot as usize] = None;
        self.free.push(slot);
        let Some(Point { meetings, .. }) = self.points.get_mut(point) else { return };
        meetings.retain(|(other, _)| *other != rule);
        if meetings.is_empty() {
            self.points.remove(point);
        }
    }

    fn look_up(
        &self,
        number: u32,
        pairs: &Pairs,
        side: Side,
        labels: &Labels,
    ) -> (u64, Option<Slot>) {
        let mut hasher = self.key.build_hasher();
        hasher.write_u32(number);
        for value in pairs.values(side, labels) {
            value.hash(&mut hasher);
        }
        let hash = hasher.finish();
        let point = self.points.find(hash, |point| {
            point.pairs == number
                && point.values.iter().map(|value| &**value).eq(pairs.values(side, labels))
        });
        (hash, point)
    }
}
