//! Which groups an alert is in, and what becomes of groups when the configuration is another one.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::endpoint::Endpoints;
use crate::group::{Group, GroupKey, Log, Member};
use crate::muted;
use crate::plan::{OVERFLOW, Plan};
use crate::receiver::PoolId;
use crate::table::Slot;
use crate::teller::Teller;
use crate::time::Stamp;
use crate::{Compat, Config, Error, Labels, Router, Snapshot};

impl Router {
    /// Swaps the configuration. Alerts, what was told, timers, and the health of endpoints that stay are kept: nobody
    /// hears anything because of it but a receiver that is new for an alert that fires.
    ///
    /// # Errors
    /// As [`new`](Self::new); then the old configuration stays.
    pub fn replace(&mut self, config: Config, now: std::time::SystemTime) -> Result<(), Error> {
        let (plan, endpoints) = Plan::compile(&config)?;
        let inhibition = muted::inhibition(&config)?;
        let now = self.observe(now);
        self.install(plan, endpoints, now);
        self.inhibit_by(inhibition, now);
        self.silences.set_limits(config.limits.silences);
        Ok(())
    }

    fn install(&mut self, plan: Plan, endpoints: Endpoints, now: Stamp) {
        let keys: Vec<String> = self.groups.iter().map(|(_, group)| self.key_text(group)).collect();
        let mut old: HashMap<Slot, Old> = HashMap::new();
        for ((slot, group), key) in self.groups.take_all().into_iter().zip(keys) {
            old.insert(slot, Old::new(group, key));
        }
        let before = std::mem::replace(&mut self.teller.endpoints, endpoints);
        self.teller.endpoints.inherit(before);
        self.teller.plan = Arc::new(plan);
        self.teller.epoch += 1;
        let version = u64::from(self.teller.epoch);
        let Teller { plan, endpoints, .. } = &self.teller;
        self.published.publish(Snapshot::of(plan, endpoints, version));
        self.teller.version += 1;
        self.storm.reset_groups(|pool| self.teller.plan.receivers.pool(pool).is_some());
        self.regroup(old, now);
    }

    /// Gives every alert the groups of the present configuration. `old` are those that it was in, by the slots that the
    /// alerts name.
    pub(crate) fn regroup(&mut self, mut old: HashMap<Slot, Old>, now: Stamp) {
        let mut by_key: HashMap<String, Vec<Slot>> = HashMap::new();
        for (slot, old) in &old {
            by_key.entry(old.key.clone()).or_default().push(*slot);
        }
        // The same groups in the same order, whatever the order of the table.
        by_key.values_mut().for_each(|slots| slots.sort_unstable());
        for slot in self.alerts.slots() {
            let Some(tracked) = self.alerts.get_mut(slot) else { continue };
            let was_in = std::mem::take(&mut tracked.groups);
            if tracked.is_over() && was_in.is_empty() {
                continue;
            }
            let over = tracked.is_over();
            let mut known = knowledge(slot, &was_in, &old);
            if !over {
                self.join_as(slot, now, |key| carried(key, &mut by_key, &mut old), &mut known);
            }
            self.retire(slot, &known, &was_in, &old, now);
            self.show_told(slot);
            self.settle(slot);
        }
    }

    /// After a restart the word does not know yet that somebody was told.
    fn show_told(&mut self, slot: Slot) {
        let told = self.believed(slot);
        let Some(tracked) = self.alerts.get_mut(slot).filter(|tracked| !tracked.is_over()) else {
            return;
        };
        if told && !tracked.word.is_told() {
            tracked.set_word(tracked.word.told());
        }
    }

    /// Puts an alert that fires into its groups, and sees to it that it is told.
    pub(crate) fn join(&mut self, slot: Slot, now: Stamp) {
        self.join_as(slot, now, |_| None, &mut Vec::new());
    }

    /// `carried` finds the group of an earlier configuration by its name; what pools knew of the alert is taken from
    /// `known`.
    fn join_as(
        &mut self,
        slot: Slot,
        now: Stamp,
        mut carried: impl FnMut(&str) -> Option<Carried>,
        known: &mut Vec<Known>,
    ) {
        let Some(tracked) = self.alerts.get(slot) else { return };
        let keys = self.teller.plan.group_keys(&tracked.alert, &mut self.scratch);
        let (again, alert_began) = (tracked.groups.clone(), tracked.began);
        let mut seen: SmallVec<[PoolId; 4]> = SmallVec::new();
        let mut joined: SmallVec<[Slot; 2]> = SmallVec::new();
        for key in keys {
            let group = self.group_for(key, now, &mut carried);
            let Some(found) = self.groups.get_mut(group) else { continue };
            if found.member(slot).is_none() {
                found.push(Member::new(slot));
            }
            found.oldest = found.oldest.min(alert_began);
            let mut member = Member::new(slot);
            for (pool, log) in found.logs.iter_mut().enumerate() {
                let bit = 1 << pool;
                // A receiver is told once, by the first route that leads to it.
                if self.teller.plan.compat == Compat::Birl && seen.contains(&log.pool) {
                    member.skip |= bit;
                    continue;
                }
                seen.push(PoolId::clone(&log.pool));
                if let Some(at) = known.iter().position(|known| known.log.pool == log.pool) {
                    let known = known.swap_remove(at);
                    member.told |= if known.told { bit } else { 0 };
                    member.pending |= if known.pending { bit } else { 0 };
                    member.again |= if known.again { bit } else { 0 };
                    member.by_name |= if known.by_name { bit } else { 0 };
                    if log.told_at == Stamp::NEVER {
                        *log = known.log;
                    }
                }
            }
            let is_new = !again.contains(&group);
            if let Some(place) = found.member_mut(slot) {
                if is_new {
                    *place = member;
                } else {
                    // A new episode: who was told of the last one is told of this one, whether it was over or not, and
                    // whether the resolve that is on its way arrives or not.
                    place.skip = member.skip;
                    place.again |= match self.teller.plan.compat {
                        Compat::Birl => place.told,
                        Compat::Alertmanager => place.told & place.pending,
                    };
                    place.pending = 0;
                }
            }
            let untold = found.member(slot).is_some_and(|member| {
                let all = u32::MAX.checked_shr(32 - found.logs.len() as u32).unwrap_or(0);
                (!member.told | member.again) & !member.skip & all != 0
            });
            joined.push(group);
            if untold || found.logs.is_empty() {
                self.touch(group, now);
            } else if let Some(found) = self.groups.get(group) {
                let (muted, _) = self.teller.plan.time_muted(found, now);
                self.remind(group, muted, now);
            }
        }
        if let Some(tracked) = self.alerts.get_mut(slot) {
            // Groups of an earlier configuration stay: they tell when it is over.
            for group in again {
                if !joined.contains(&group) {
                    joined.push(group);
                }
            }
            tracked.groups = joined;
        }
    }

    /// The group of this key: the one that there is, one of the configuration before, or a new one.
    fn group_for(
        &mut self,
        key: GroupKey,
        now: Stamp,
        carried: &mut impl FnMut(&str) -> Option<Carried>,
    ) -> Slot {
        if let Some(slot) = self.groups.find(&key) {
            return slot;
        }
        let plan = &self.teller.plan;
        if self.groups.len() >= plan.limits.max_groups {
            // Compared whole: an alert may have that label, too.
            let overflow = Labels::from([(OVERFLOW, "true")]);
            if key.labels != overflow {
                self.teller.metrics.count_dropped("group_overflow", 1);
                return self.group_for(GroupKey { labels: overflow, ..key }, now, carried);
            }
        }
        let pools = plan.pools(key.route, key.named);
        let mut group = Group::new(key, pools, now);
        if let Some(before) = carried(&plan.group_key(&group.key)) {
            (group.began, group.anchor, group.flushed) =
                (before.began, before.anchor, before.flushed);
            for log in &mut group.logs {
                if let Some(known) = before.logs.iter().find(|known| known.pool == log.pool) {
                    *log = known.clone();
                }
            }
        }
        self.groups.insert(group)
    }

    /// Something in the group is to be told, as soon as its timers allow.
    pub(crate) fn touch(&mut self, slot: Slot, now: Stamp) {
        let Some(group) = self.groups.get(slot) else { return };
        let timing = self.teller.plan.timing(group);
        let mut at = group.next_flush(timing.wait, timing.interval, now);
        // Alertmanager does not wait with what has fired for longer than that already.
        let compat = self.teller.plan.compat == Compat::Alertmanager;
        let untold = compat && group.anchor == Stamp::NEVER;
        if untold && group.oldest.plus(timing.wait) < now {
            at = now;
        }
        self.groups.due_by(slot, at);
    }

    /// Flushes those groups of an alert whose time has come.
    pub(crate) fn flush_due(&mut self, slot: Slot, now: Stamp) -> Vec<crate::Notification> {
        let mut out = Vec::new();
        let Some(tracked) = self.alerts.get(slot) else { return out };
        let due = |group: &&Slot| self.groups.is_due(**group, now);
        let due: SmallVec<[Slot; 2]> = tracked.groups.iter().filter(due).copied().collect();
        for group in due {
            self.groups.set_due(group, Stamp::NEVER);
            self.flush(group, now, &mut out);
        }
        out
    }

    /// Forgets an alert, and whatever was still to be told of it.
    pub(crate) fn forget(&mut self, slot: Slot) {
        let Some(tracked) = self.alerts.remove(slot) else { return };
        for group in tracked.groups {
            let Some(found) = self.groups.get_mut(group) else { continue };
            found.remove(slot);
            if found.members.is_empty() {
                self.groups.remove(group);
                self.storm.forget(group);
            }
        }
    }

    /// Whoever was told by a route that is gone, and by no other one, is told when the alert is over.
    fn retire(
        &mut self,
        slot: Slot,
        known: &[Known],
        was_in: &[Slot],
        old: &HashMap<Slot, Old>,
        now: Stamp,
    ) {
        for known in known.iter().filter(|known| known.told) {
            let from = was_in.iter().filter_map(|group| old.get(group));
            let Some(from) = from.into_iter().find(|old| old.has(&known.log.pool)) else {
                continue;
            };
            let mut group =
                Group::new(from.group.key.clone(), std::iter::empty(), from.group.began);
            group.retired = Some(from.key.clone().into_boxed_str());
            (group.anchor, group.flushed) = (from.group.anchor, from.group.flushed);
            group.logs.push(known.log.clone());
            let mut member = Member::new(slot);
            (member.told, member.pending) = (1, u32::from(known.pending));
            member.by_name = u32::from(known.by_name);
            group.push(member);
            let group = self.groups.insert(group);
            if let Some(tracked) = self.alerts.get_mut(slot) {
                tracked.groups.push(group);
                if tracked.is_over() {
                    self.touch(group, now);
                }
            }
        }
    }

    pub(crate) fn key_text(&self, group: &Group) -> String {
        match &group.retired {
            Some(key) => key.to_string(),
            None => self.teller.plan.group_key(&group.key),
        }
    }
}

/// A group of the configuration before.
pub(crate) struct Old {
    group: Group,
    key: String,
    used: bool,
}

/// What a group takes over from the one that had its name.
struct Carried {
    began: Stamp,
    anchor: Stamp,
    flushed: Stamp,
    logs: SmallVec<[Log; 1]>,
}

/// What one pool knew of one alert.
struct Known {
    log: Log,
    told: bool,
    pending: bool,
    again: bool,
    by_name: bool,
}

impl Old {
    pub(crate) fn new(group: Group, key: String) -> Self {
        Self { group, key, used: false }
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.group.members
    }

    fn has(&self, pool: &str) -> bool {
        self.group.logs.iter().any(|log| *log.pool == *pool)
    }
}

/// What the pools of the groups before knew of an alert.
fn knowledge(slot: Slot, was_in: &[Slot], old: &HashMap<Slot, Old>) -> Vec<Known> {
    let mut known: Vec<Known> = Vec::new();
    for group in was_in.iter().filter_map(|group| Some(&old.get(group)?.group)) {
        let Some(member) = group.member(slot) else { continue };
        for (pool, log) in group.logs.iter().enumerate() {
            let (told, pending) =
                (member.told & (1 << pool) != 0, member.pending & (1 << pool) != 0);
            if told && known.iter().all(|known| known.log.pool != log.pool) {
                let again = member.again & (1 << pool) != 0;
                let by_name = member.by_name & (1 << pool) != 0;
                known.push(Known { log: log.clone(), told, pending, again, by_name });
            }
        }
    }
    known
}

/// The group that had this name. Each is taken over once: two routes may have one name.
fn carried(
    key: &str,
    by_key: &mut HashMap<String, Vec<Slot>>,
    old: &mut HashMap<Slot, Old>,
) -> Option<Carried> {
    let slots = by_key.get(key)?;
    let slot = slots.iter().find(|slot| old.get(slot).is_some_and(|old| !old.used))?;
    let found = old.get_mut(slot)?;
    found.used = true;
    let Group { began, anchor, flushed, logs, .. } = &found.group;
    Some(Carried { began: *began, anchor: *anchor, flushed: *flushed, logs: logs.clone() })
}
