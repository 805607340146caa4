//! Groups: the alerts that one route gathers into one notification, and what each receiver has been told of them.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::Labels;
use crate::logged::Logged;
use crate::receiver::PoolId;
use crate::table::{Slot, Table};
use crate::time::Stamp;
use crate::wheel::Wheel;

/// Pools that one group may tell: each has a bit in what a member remembers.
pub(crate) const MAX_POOLS: usize = 32;
/// So many members are looked through as fast as a map is asked.
const FEW: usize = 32;
/// After so many removals the places are written anew.
const MOST_REMOVED: usize = 256;

/// Which alerts are told together: those of one route whose labels agree in what it groups by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct GroupKey {
    pub(crate) route: u32,
    pub(crate) named: Named,
    pub(crate) labels: Labels,
}

/// Who is told: by the tree, or past it, because the alert itself names its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Named {
    ByTree,
    /// This one, by index.
    Receiver(u32),
    /// One that there is not: the default receiver is told.
    Unknown,
}

/// One group. It is told at most once in `group_interval`, counted from when it was first told.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) key: GroupKey,
    /// A group of an earlier configuration that the present one does not have, and Alertmanager's name for it: it only
    /// tells what is over.
    pub(crate) retired: Option<Box<str>>,
    /// Tells this group from another one in the same slot.
    pub(crate) number: u64,
    pub(crate) members: SmallVec<[Member; 1]>,
    /// Where each is, once there are many.
    places: Option<Box<Places>>,
    /// One for each pool of the route's receivers.
    pub(crate) logs: SmallVec<[Log; 1]>,
    pub(crate) began: Stamp,
    /// When the first of the alerts that have come to it began.
    pub(crate) oldest: Stamp,
    /// When it was first told, as planned: the interval is counted from here.
    pub(crate) anchor: Stamp,
    /// When it was last told, as planned.
    pub(crate) flushed: Stamp,
}

/// Where each of many members is.
#[derive(Debug)]
struct Places {
    /// Where it was when this was written: since then it can only have moved up, by so many places as were removed.
    last_known: FxHashMap<Slot, u32>,
    removed: usize,
}

/// An alert in a group. The masks have a bit for each of the group's logs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) alert: Slot,
    /// Who believes that it fires.
    pub(crate) told: u32,
    /// Who is being told that it is over, and has not confirmed it.
    pub(crate) pending: u32,
    /// Who was told of it by its name, and not as one of so many.
    pub(crate) by_name: u32,
    /// Who is told by another group of the same alert.
    pub(crate) skip: u32,
    /// Who is to be told again that it fires, whatever was told: a new episode.
    pub(crate) again: u32,
}

/// What one pool has been told of a group: the third clock, when it was *notified*.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) pool: PoolId,
    /// When it was last told that something fires, as planned.
    pub(crate) told_at: Stamp,
    /// How often it was told.
    pub(crate) tellings: u32,
    /// The hash in the name of the last notification.
    pub(crate) last: u64,
    /// When to tell again what could not be delivered.
    pub(crate) retry_at: Stamp,
    /// What the last message said, and the one before, should this one be lost. For `compat: alertmanager` alone.
    pub(crate) logged: [Option<Box<Logged>>; 2],
}

/// The groups by key, and when each is due.
#[derive(Debug)]
pub(crate) struct Groups {
    table: Table<Group>,
    key: RandomState,
    wheel: Wheel,
    created: u64,
}

impl Member {
    pub(crate) fn new(alert: Slot) -> Self {
        Self { alert, told: 0, pending: 0, by_name: 0, skip: 0, again: 0 }
    }
}

impl Log {
    pub(crate) fn new(pool: &PoolId) -> Self {
        let pool = PoolId::clone(pool);
        let (told_at, retry_at) = (Stamp::NEVER, Stamp::NEVER);
        Self { pool, told_at, tellings: 0, last: 0, retry_at, logged: [None, None] }
    }
}

impl Group {
    pub(crate) fn new<'a>(
        key: GroupKey,
        pools: impl Iterator<Item = &'a PoolId>,
        now: Stamp,
    ) -> Self {
        Self {
            retired: None,
            number: 0,
            members: SmallVec::new(),
            places: None,
            logs: pools.take(MAX_POOLS).map(Log::new).collect(),
            began: now,
            oldest: Stamp::NEVER,
            anchor: Stamp::NEVER,
            flushed: Stamp::NEVER,
            key,
        }
    }

    pub(crate) fn member(&self, alert: Slot) -> Option<&Member> {
        self.members.get(self.place(alert)?)
    }

    pub(crate) fn member_mut(&mut self, alert: Slot) -> Option<&mut Member> {
        let place = self.place(alert)?;
        self.members.get_mut(place)
    }

    /// Adds a member that is not there yet.
    pub(crate) fn push(&mut self, member: Member) {
        if let Some(places) = &mut self.places {
            let place = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
            places.last_known.insert(member.alert, place);
        }
        self.members.push(member);
        if self.places.is_none() && self.members.len() > FEW {
            self.find_places();
        }
    }

    pub(crate) fn remove(&mut self, alert: Slot) {
        let Some(place) = self.place(alert) else { return };
        self.members.remove(place);
        if let Some(places) = &mut self.places {
            places.last_known.remove(&alert);
            places.removed += 1;
            if places.removed > MOST_REMOVED {
                self.find_places();
            }
        }
    }

    /// Keeps those of which `keep` says so.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&mut Member) -> bool) {
        let before = self.members.len();
        self.members.retain(keep);
        if self.places.is_some() && self.members.len() < before {
            self.find_places();
        }
    }

    fn place(&self, alert: Slot) -> Option<usize> {
        let Some(places) = &self.places else {
            return self.members.iter().position(|member| member.alert == alert);
        };
        let last_known = *places.last_known.get(&alert)? as usize;
        let earliest = last_known.saturating_sub(places.removed);
        let among = self.members.get(earliest..=last_known.min(self.members.len() - 1))?;
        let place = among.iter().rposition(|member| member.alert == alert)?;
        Some(earliest + place)
    }

    fn find_places(&mut self) {
        let alerts = self.members.iter().map(|member| member.alert);
        self.places = (self.members.len() > FEW)
            .then(|| Box::new(Places { last_known: alerts.zip(0..).collect(), removed: 0 }));
    }

    /// When something new could be told at the earliest, `now` or later.
    pub(crate) fn next_flush(&self, wait: Duration, interval: Duration, now: Stamp) -> Stamp {
        if self.anchor == Stamp::NEVER {
            return self.began.plus(wait).max(now);
        }
        if interval.is_zero() {
            return now;
        }
        // The first beat after the last one that was used, and not before now.
        self.beat(interval, now.max(self.flushed.plus(interval)))
    }

    /// The first time at or after `at` that is a whole number of intervals after the group was first told.
    pub(crate) fn beat(&self, interval: Duration, at: Stamp) -> Stamp {
        if interval.is_zero() || self.anchor == Stamp::NEVER {
            return at;
        }
        let beats = at.since(self.anchor).as_nanos().div_ceil(interval.as_nanos());
        match u32::try_from(beats) {
            Ok(beats) => self.anchor.plus(interval.saturating_mul(beats)),
            Err(_) => at,
        }
    }

    /// The last beat that is not after `now`: the time for which a look that comes late stands.
    pub(crate) fn last_beat(&self, interval: Duration, now: Stamp) -> Stamp {
        if interval.is_zero() || self.anchor == Stamp::NEVER {
            return now;
        }
        let beats = now.since(self.anchor).as_nanos() / interval.as_nanos();
        match u32::try_from(beats) {
            Ok(beats) => self.anchor.plus(interval.saturating_mul(beats)),
            Err(_) => now,
        }
    }
}

impl Groups {
    pub(crate) fn new() -> Self {
        Self { table: Table::new(), key: RandomState::new(), wheel: Wheel::new(), created: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn find(&self, key: &GroupKey) -> Option<Slot> {
        self.table
            .find(self.key.hash_one(key), |group| group.retired.is_none() && group.key == *key)
    }

    pub(crate) fn insert(&mut self, mut group: Group) -> Slot {
        self.created += 1;
        group.number = self.created;
        // Those that are retired are not found by their key, and may be as many as there are alerts of one.
        let hash = match &group.retired {
            Some(_) => self.key.hash_one(group.number),
            None => self.key.hash_one(&group.key),
        };
        self.table.insert(hash, group)
    }

    /// Takes all groups out, to be given to another configuration.
    pub(crate) fn take_all(&mut self) -> Vec<(Slot, Group)> {
        let slots = self.table.slots();
        slots.into_iter().filter_map(|slot| Some((slot, self.remove(slot)?))).collect()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Group> {
        self.table.get(slot)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Group> {
        self.table.get_mut(slot)
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Group> {
        self.wheel.cancel(slot);
        self.table.remove(slot)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Group)> {
        self.table.iter()
    }

    /// When `slot` is due; never, if nothing waits to be told.
    pub(crate) fn due_at(&self, slot: Slot) -> Stamp {
        self.wheel.due_at(slot)
    }

    /// Has the time of `slot` come? The wheel's step is a millisecond; what is due in this one is due.
    pub(crate) fn is_due(&self, slot: Slot, now: Stamp) -> bool {
        let due = self.wheel.due_at(slot);
        due != Stamp::NEVER && due.floor_ms() <= now.ceil_ms()
    }

    /// Makes `slot` due at `at`, unless it is due before.
    pub(crate) fn due_by(&mut self, slot: Slot, at: Stamp) {
        if at < self.wheel.due_at(slot) {
            self.wheel.set(slot, at);
        }
    }

    /// Sets when `slot` is due, sooner or later than it was.
    pub(crate) fn set_due(&mut self, slot: Slot, at: Stamp) {
        self.wheel.set(slot, at);
    }

    /// The groups whose time has come, in its order.
    pub(crate) fn due(&mut self, now: Stamp) -> Vec<Slot> {
        let mut due = Vec::new();
        self.wheel.advance(now, &mut due);
        due
    }

    pub(crate) fn next_deadline(&self) -> Option<SystemTime> {
        self.wheel.next().map(Stamp::to_system_time)
    }

    /// After the clock was set back: every timer, and every time that the next ones are counted from.
    pub(crate) fn turn_back(&mut self, by: Duration, now: Stamp) {
        self.wheel.turn_back(by, now);
        for slot in self.table.slots() {
            let Some(group) = self.table.get_mut(slot) else { continue };
            for at in [&mut group.began, &mut group.anchor, &mut group.flushed] {
                *at = at.minus(by);
            }
            for log in &mut group.logs {
                (log.told_at, log.retry_at) = (log.told_at.minus(by), log.retry_at.minus(by));
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Looking through the list is what the map of places is instead of.
        #[test]
        fn members_are_where_a_search_finds_them(
            steps in proptest::collection::vec((0..90_u32, 0..8_u32), 1..200),
        ) {
            let mut group = group();
            for (alert, what) in steps {
                match what {
                    0 => group.retain(|member| member.alert % 5 != alert % 5),
                    1 | 2 => group.remove(alert),
                    _ if group.member(alert).is_none() => group.push(Member::new(alert)),
                    _ => {}
                }
                for alert in 0..90 {
                    let searched = group.members.iter().find(|member| member.alert == alert);
                    let found = group.member(alert);
                    prop_assert_eq!(found.map(std::ptr::from_ref), searched.map(std::ptr::from_ref));
                }
            }
        }
    }

    fn at(seconds: u64) -> Stamp {
        Stamp::from_ms(1_700_000_000_000 + seconds * 1000)
    }

    fn group() -> Group {
        let key = GroupKey { route: 0, named: Named::ByTree, labels: Labels::new() };
        Group::new(key, std::iter::empty(), at(0))
    }

    #[test]
    fn what_is_new_waits_for_the_next_beat() {
        let (wait, interval) = (Duration::from_secs(30), Duration::from_secs(300));
        let mut group = group();
        assert_eq!(group.next_flush(wait, interval, at(10)), at(30));
        assert_eq!(group.next_flush(wait, interval, at(40)), at(40), "late");
        (group.anchor, group.flushed) = (at(30), at(30));
        assert_eq!(group.next_flush(wait, interval, at(30)), at(330), "the beat of now is used up");
        assert_eq!(group.next_flush(wait, interval, at(329)), at(330));
        assert_eq!(group.next_flush(wait, interval, at(330)), at(330));
        assert_eq!(group.next_flush(wait, interval, at(1000)), at(1230));
        assert_eq!(group.next_flush(wait, Duration::ZERO, at(31)), at(31), "every change at once");
        assert_eq!(group.last_beat(interval, at(329)), at(30));
        assert_eq!(group.last_beat(interval, at(640)), at(630));
    }
}
