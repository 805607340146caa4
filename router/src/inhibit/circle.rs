//! Circles: alerts that inhibit each other, so that without further thought none of them would be told.
//!
//! Alerts are nodes, and an edge leads from a source to each target. In a strongly connected component of more than one
//! alert everybody is inhibited by somebody of the component; the one that began first is let out.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rustc_hash::FxHashMap;

use super::meeting::{Meetings, Sort};
use super::rule::Side;
use super::tracked::Tracked;

/// The known components of more than one alert.
#[derive(Debug, Default)]
pub(super) struct Circles {
    by_id: BTreeMap<u32, Circle>,
    next: u32,
    /// Alerts whose web was too large to be searched when they came, and where the next try goes on.
    waiting: BTreeSet<u32>,
    turn: u32,
    /// How often that was so.
    pub(super) unsearched: u64,
}

#[derive(Debug)]
struct Circle {
    first: u32,
    members: Vec<u32>,
}

/// How many are tried again when an alert is over.
const TRIES: usize = 8;

pub(super) type Alerts = FxHashMap<u32, Tracked>;

/// What the search walks on.
#[derive(Clone, Copy)]
pub(super) struct Web<'a> {
    pub(super) alerts: &'a Alerts,
    pub(super) meetings: &'a Meetings,
}

impl Circles {
    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Is it the one of its circle that is told?
    pub(super) fn is_first(&self, circle: u32, slot: u32) -> bool {
        self.by_id.get(&circle).is_some_and(|circle| circle.first == slot)
    }

    /// Notes the circle that the new alert `slot` closes, if it does, in place of those that it joins. Its members are
    /// added to `changed`.
    pub(super) fn close(
        &mut self,
        slot: u32,
        alerts: &mut Alerts,
        meetings: &Meetings,
        most: usize,
        changed: &mut Vec<u32>,
    ) {
        if !self.search(slot, alerts, meetings, most, changed) {
            self.waiting.insert(slot);
            self.unsearched += 1;
        }
    }

    /// One alert less, `gone`: webs that were too large may have become small enough. A few are tried, in turn.
    pub(super) fn retry(
        &mut self,
        gone: u32,
        alerts: &mut Alerts,
        meetings: &Meetings,
        most: usize,
        changed: &mut Vec<u32>,
    ) {
        self.waiting.remove(&gone);
        if self.waiting.is_empty() {
            return;
        }
        let again = self.waiting.range(..self.turn);
        let next: Vec<u32> =
            self.waiting.range(self.turn..).chain(again).take(TRIES).copied().collect();
        for slot in next {
            self.turn = slot.wrapping_add(1);
            if self.waiting.contains(&slot) && self.search(slot, alerts, meetings, most, changed) {
                self.waiting.remove(&slot);
            }
        }
    }

    /// `false` when the web is too large.
    fn search(
        &mut self,
        slot: u32,
        alerts: &mut Alerts,
        meetings: &Meetings,
        most: usize,
        changed: &mut Vec<u32>,
    ) -> bool {
        let web = Web { alerts, meetings };
        // All members are ahead of it, and all are behind it: whichever is the smaller web is looked through.
        let members = match web.reach(slot, Side::Source, None, most) {
            Some(ahead) => web.reach(slot, Side::Target, Some(&ahead), most),
            None => web
                .reach(slot, Side::Target, None, most)
                .and_then(|behind| web.reach(slot, Side::Source, Some(&behind), most)),
        };
        let Some(members) = members else { return false };
        self.note(&members, alerts, changed);
        true
    }

    /// Takes `gone`, which is not among the alerts any more, out of its circle. What is left of it is added to `changed`.
    pub(super) fn open(
        &mut self,
        circle: u32,
        gone: u32,
        alerts: &mut Alerts,
        meetings: &Meetings,
        changed: &mut Vec<u32>,
    ) {
        let Some(circle) = self.by_id.remove(&circle) else { return };
        let mut left: HashSet<u32> =
            circle.members.into_iter().filter(|slot| *slot != gone).collect();
        for slot in &left {
            if let Some(alert) = alerts.get_mut(slot) {
                alert.circle = None;
            }
        }
        changed.extend(&left);
        while let Some(slot) = left.iter().next().copied() {
            let web = Web { alerts, meetings };
            let members = web
                .reach(slot, Side::Source, Some(&left), usize::MAX)
                .and_then(|ahead| web.reach(slot, Side::Target, Some(&ahead), usize::MAX))
                .unwrap_or_else(|| HashSet::from([slot]));
            left.retain(|slot| !members.contains(slot));
            self.note(&members, alerts, changed);
        }
    }

    fn note(&mut self, members: &HashSet<u32>, alerts: &mut Alerts, changed: &mut Vec<u32>) {
        if members.len() < 2 {
            return;
        }
        let first = members
            .iter()
            .filter_map(|slot| Some((alerts.get(slot)?, *slot)))
            .min_by(|(a, m), (b, n)| (a.since, &a.labels, m).cmp(&(b.since, &b.labels, n)))
            .map(|(_, slot)| slot);
        let Some(first) = first else { return };
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        for slot in members {
            self.waiting.remove(slot);
            if let Some(alert) = alerts.get_mut(slot)
                && let Some(old) = alert.circle.replace(id)
            {
                self.by_id.remove(&old);
            }
        }
        changed.extend(members);
        self.by_id.insert(id, Circle { first, members: members.iter().copied().collect() });
    }
}

impl Web<'_> {
    /// The alerts that can be reached from `from` by edges that leave this side, `from` itself included; none outside of
    /// `within`. `None` when they are more than `most`.
    fn reach(
        self,
        from: u32,
        leaving: Side,
        within: Option<&HashSet<u32>>,
        most: usize,
    ) -> Option<HashSet<u32>> {
        let mut seen = HashSet::from([from]);
        let mut left = vec![from];
        // A meeting leads everybody of a sort to the same others: it is looked through once for each sort.
        let mut done = HashSet::new();
        while let Some(slot) = left.pop() {
            let Some(alert) = self.alerts.get(&slot) else { continue };
            for place in alert.places(leaving) {
                if done.contains(&(place.meeting, false))
                    || !done.insert((place.meeting, place.sort.is_two_sided()))
                {
                    continue;
                }
                let Some(meeting) = self.meetings.get(place.meeting) else { continue };
                let others = match leaving {
                    Side::Source => &meeting.targets,
                    Side::Target => &meeting.sources,
                };
                let through = Sort::ALL
                    .into_iter()
                    .filter(|sort| sort.is_through() && sort.can_inhibit(place.sort));
                for sort in through {
                    let others_of_sort = others.of(sort);
                    match within {
                        // Each is one of `within`, which is small: it is never walked through the whole meeting.
                        Some(within) if within.len() < others_of_sort.len() => {
                            for other in within.iter().filter(|slot| others.contains(sort, **slot))
                            {
                                if seen.insert(*other) {
                                    left.push(*other);
                                }
                            }
                        }
                        _ => {
                            for other in others_of_sort {
                                if within.is_none_or(|within| within.contains(&other))
                                    && seen.insert(other)
                                {
                                    left.push(other);
                                }
                                if seen.len() > most {
                                    return None;
                                }
                            }
                        }
                    }
                }
            }
        }
        Some(seen)
    }
}
