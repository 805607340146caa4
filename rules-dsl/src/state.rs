//! The state of one rule: its groups, their windows and episodes, and how a record changes them.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::EngineConfig;
use crate::episode::{self, Open};
use crate::firing::{Firing, Withheld};
use crate::groups::{Group, Groups};
use crate::hits::Sighting;
use crate::metrics::RuleCounters;
use crate::rule::Rule;
use crate::ruleset::RuleSet;
use crate::time::{Nanos, span};

/// At least this many times are kept per group, so that counts shown to people are exact for longer.
const MIN_KEPT: u64 = 1_000;
/// Room for so many times is never given back.
const SPARE: usize = 64;
/// Of so many groups of one rule it is told in a minute that their matches are too old to act on.
const MAX_WITHHELD: u32 = 100;
const MINUTE: Nanos = 60_000_000_000;

#[derive(Debug)]
pub(crate) struct RuleState {
    /// The set that the rule belongs to, and where it stands in it.
    rules: Arc<RuleSet>,
    index: u32,
    groups: Groups,
    /// Times kept in all windows of the rule.
    kept: usize,
    withheld: WithheldTold,
    pub(crate) counters: Arc<RuleCounters>,
    /// Whether the live set still has this very rule: then it publishes how many groups there are.
    pub(crate) live: bool,
    published: Option<usize>,
}

/// What judging needs besides the state.
pub(crate) struct Call<'c> {
    pub(crate) now: Nanos,
    pub(crate) config: &'c EngineConfig,
    /// Counts the calls of the engine.
    pub(crate) serial: u64,
    /// The state's own number, in the table of deadlines.
    pub(crate) state: u32,
    /// (clock time, state, group): when to look at a group that sees no more records.
    pub(crate) deadlines: &'c mut BTreeSet<(Nanos, u32, u32)>,
    pub(crate) out: &'c mut Vec<Firing>,
}

impl RuleState {
    pub(crate) fn new(rules: Arc<RuleSet>, index: u32, counters: Arc<RuleCounters>) -> Self {
        let withheld = WithheldTold::default();
        let groups = Groups::default();
        Self { rules, index, groups, kept: 0, withheld, counters, live: true, published: None }
    }

    /// The same rule in a newer set, maybe with other annotations.
    pub(crate) fn adopt(&mut self, rules: Arc<RuleSet>, index: u32) {
        self.rules = rules;
        self.index = index;
        self.live = true;
        self.published = None;
    }

    /// `rule` is of the set that made the hit: it may spell this rule otherwise than the live one.
    pub(crate) fn judge(&mut self, rule: &Rule, hit: &Sighting<'_>, call: &mut Call<'_>) {
        let mut at = hit.time;
        if at > call.now {
            // One bad clock must not move a group's time ahead of everybody else's.
            self.counters.future.add(1);
            at = call.now;
        }
        let id = self.groups.touch(&hit.group(rule));
        self.make_room(rule, id, call);
        self.close_before(rule, id, at, call);
        let Some(group) = self.groups.get_mut(id) else { return };
        if rule.window.is_some() && !count(rule, group, at, call, &mut self.kept) {
            self.counters.late.add(1);
            return;
        }
        if at >= group.newest {
            (group.newest, group.newest_at) = (at, call.now);
        }
        if let Some(holds_to) = holds_to(rule, group, at) {
            let withheld = episode::too_old(at, call.now, call.config.max_event_age);
            // What is too old to act still counts in the window, and so may prolong an episode.
            if let Some(open) = group.open.as_mut().filter(|_| rule.window.is_some()) {
                open.holds_to = open.holds_to.max(holds_to);
            }
            match withheld {
                Some(withheld) => {
                    self.counters.too_old.add(1);
                    self.withheld.tell(rule, group, hit, at, call, withheld);
                }
                None => fire(rule, group, hit, (at, holds_to), call, &self.counters),
            }
        }
        schedule(rule, group, id, call);
    }

    /// Ends the episode of a group if its event time has passed the end when a record at `at` comes.
    fn close_before(&mut self, rule: &Rule, id: u32, at: Nanos, call: &mut Call<'_>) {
        let Some(group) = self.groups.get_mut(id) else { return };
        let Some(end) = end(rule, group).filter(|end| at > *end) else { return };
        close(rule, group, end, &episode::ended(rule, group), call, &self.counters);
    }

    /// Looks at a group whose deadline has come.
    pub(crate) fn expire(&mut self, id: u32, call: &mut Call<'_>) {
        let rules = Arc::clone(&self.rules);
        let rule = rules.rule(self.index);
        let Some(group) = self.groups.get_mut(id) else { return };
        group.scheduled = None;
        if let Some(end) = end(rule, group).filter(|end| clock(group, *end) <= call.now) {
            close(rule, group, end, &episode::ended(rule, group), call, &self.counters);
        }
        schedule(rule, group, id, call);
    }

    /// The clock was set back to `call.now`: what seems to lie in the future is taken as happening now,
    /// or nothing would count or end until the clock is where it was.
    pub(crate) fn turn_back(&mut self, call: &mut Call<'_>) {
        let rule = self.rules.rule(self.index);
        let ids: Vec<u32> = self.groups.iter().map(|(id, _)| id).collect();
        for id in ids {
            let Some(group) = self.groups.get_mut(id) else { continue };
            group.newest = group.newest.min(call.now);
            group.newest_at = group.newest_at.min(call.now);
            for time in group.times.iter_mut().rev().take_while(|time| **time > call.now) {
                *time = call.now;
            }
            let held = holds_to(rule, group, call.now).unwrap_or(call.now);
            if let Some(open) = &mut group.open {
                open.holds_to = open.holds_to.min(held);
            }
            schedule(rule, group, id, call);
        }
    }

    /// Ends everything; the rule is gone.
    pub(crate) fn retire(&mut self, why: &str, call: &mut Call<'_>) {
        let rules = Arc::clone(&self.rules);
        let rule = rules.rule(self.index);
        let mut ids: Vec<u32> = self.groups.iter().map(|(id, _)| id).collect();
        // Slab order depends on history; group order does not.
        ids.sort_by(|a, b| {
            let key = |id: &u32| self.groups.get(*id).map(|group| &group.key);
            key(a).cmp(&key(b))
        });
        for id in ids {
            self.give_up(rule, id, why, call);
        }
    }

    /// Forgets groups that hold nothing any more, stalest first, and publishes how many are left.
    /// Says whether there are any.
    pub(crate) fn sweep(&mut self, call: &mut Call<'_>) -> bool {
        let rule = self.rules.rule(self.index);
        let reach = rule.window.as_ref().map_or(0, |window| span(window.over)).max(MINUTE);
        while let Some((id, group)) = self.groups.stalest() {
            if group.open.is_some() || group.newest_at.saturating_add(reach) >= call.now {
                break;
            }
            self.forget(id, call);
        }
        let groups = self.groups.len();
        if self.live && self.published.replace(groups) != Some(groups) {
            self.counters.groups.set(groups as u64);
        }
        groups > 0
    }

    fn make_room(&mut self, rule: &Rule, keep: u32, call: &mut Call<'_>) {
        let limit = call.config.max_groups.max(1);
        while self.groups.len() > limit || self.kept > call.config.max_window_records {
            match self.groups.stalest() {
                Some((id, _)) if id != keep => {
                    self.counters.evicted.add(1);
                    let why = "given up for newer groups, the limit was reached";
                    self.give_up(rule, id, why, call);
                }
                _ => break,
            }
        }
    }

    fn give_up(&mut self, rule: &Rule, id: u32, why: &str, call: &mut Call<'_>) {
        if let Some(group) = self.groups.get_mut(id) {
            let at = group.newest.max(call.now.saturating_sub(group.newest_at) + group.newest);
            close(rule, group, at, why, call, &self.counters);
        }
        self.forget(id, call);
    }

    fn forget(&mut self, id: u32, call: &mut Call<'_>) {
        if let Some(group) = self.groups.remove(id) {
            self.kept -= group.times.len();
            if let Some(at) = group.scheduled {
                call.deadlines.remove(&(at, call.state, id));
            }
        }
    }
}

/// Puts a time into the group's window; false when it comes too late to count.
fn count(rule: &Rule, group: &mut Group, at: Nanos, call: &Call<'_>, kept: &mut usize) -> bool {
    let Some(window) = &rule.window else { return true };
    let over = span(window.over);
    let behind = group.newest.saturating_sub(at);
    if behind >= over || behind > span(call.config.allowed_lateness) {
        return false;
    }
    let before = group.times.len();
    let cap = (window.needs * 2).max(MIN_KEPT) as usize;
    let place = group.times.partition_point(|time| *time <= at);
    if group.times.len() >= cap {
        group.saturated = true;
        if place > 0 {
            group.times.pop_front();
            group.times.insert(place - 1, at);
        }
    } else {
        group.times.insert(place, at);
    }
    let newest = group.newest.max(at);
    while group.times.front().is_some_and(|time| newest - *time >= over) {
        group.times.pop_front();
        group.saturated = false;
    }
    // The room of a burst is given back, because the limit is on what is kept, not on what was.
    if group.times.capacity() > SPARE && group.times.len() < group.times.capacity() / 4 {
        group.times.shrink_to(group.times.len() * 2);
    }
    *kept = *kept + group.times.len() - before;
    true
}

/// What a rule has told of matches that are too old to act on.
#[derive(Debug, Default)]
struct WithheldTold {
    minute: u64,
    groups: u32,
}

impl WithheldTold {
    /// Tells of one group once a minute, and of no more groups than the limit: whoever makes up values
    /// for `by` fills no log with them. All are counted.
    fn tell(
        &mut self,
        rule: &Rule,
        group: &mut Group,
        hit: &Sighting<'_>,
        at: Nanos,
        call: &mut Call<'_>,
        withheld: Withheld,
    ) {
        let minute = call.now / MINUTE;
        if self.minute != minute {
            *self = Self { minute, groups: 0 };
        }
        if self.groups < MAX_WITHHELD && group.withheld_minute.replace(minute) != Some(minute) {
            self.groups += 1;
            let unopened = episode::unopened(rule, group, at);
            call.out.push(episode::fired(rule, group, hit, unopened, false, Some(withheld)));
        }
    }
}

/// The rule holds for this group: open an episode, or go on with it.
fn fire(
    rule: &Rule,
    group: &mut Group,
    hit: &Sighting<'_>,
    (at, holds_to): (Nanos, Nanos),
    call: &mut Call<'_>,
    counters: &RuleCounters,
) {
    let mut open = group.open.take();
    let repeat = open.is_some();
    let entry = open.get_or_insert_with(|| Open::new(rule, group, at));
    entry.holds_to = entry.holds_to.max(holds_to);
    let mut firing = episode::fired(rule, group, hit, entry.episode.clone(), repeat, None);
    firing.event_time = crate::time::system_time(at);
    entry.remember(rule, &firing);
    if repeat {
        counters.repeat.add(1);
    } else {
        counters.firing.add(1);
    }
    match entry.told {
        // A burst tells its repeats once per call: the newest, standing for all of them.
        Some((serial, place)) if repeat && serial == call.serial => {
            if let Some(told) = call.out.get_mut(place) {
                firing.matched += told.matched;
                *told = firing;
            }
        }
        _ => {
            if repeat {
                entry.told = Some((call.serial, call.out.len()));
            }
            call.out.push(firing);
        }
    }
    group.open = open;
}

fn close(
    rule: &Rule,
    group: &mut Group,
    at: Nanos,
    why: &str,
    call: &mut Call<'_>,
    counters: &RuleCounters,
) {
    if let Some(open) = group.open.take() {
        counters.resolved.add(1);
        call.out.push(episode::resolved(rule, group, open, at, why));
    }
}

/// Event time to which the rule holds for a group with a match at `at`; `None` if it does not.
fn holds_to(rule: &Rule, group: &Group, at: Nanos) -> Option<Nanos> {
    let Some(window) = &rule.window else { return Some(at) };
    // The count falls below what is needed when the oldest of the newest `needs` records leaves.
    let index = (group.times.len() as u64).checked_sub(window.needs)?;
    group.times.get(index as usize).map(|time| time.saturating_add(span(window.over)))
}

/// Event time at which the open episode ends if no further record comes.
fn end(rule: &Rule, group: &Group) -> Option<Nanos> {
    let open = group.open.as_ref()?;
    Some(open.holds_to.saturating_add(span(rule.info.keep_firing_for)))
}

/// The clock time at which the group's own time reaches `event`.
fn clock(group: &Group, event: Nanos) -> Nanos {
    group.newest_at.saturating_add(event.saturating_sub(group.newest))
}

fn schedule(rule: &Rule, group: &mut Group, id: u32, call: &mut Call<'_>) {
    let Some(at) = end(rule, group).map(|end| clock(group, end)) else { return };
    // An entry that is too early is harmless: it is looked at and put back.
    if group.scheduled.is_some_and(|scheduled| scheduled <= at) {
        return;
    }
    if let Some(scheduled) = group.scheduled.replace(at) {
        call.deadlines.remove(&(scheduled, call.state, id));
    }
    call.deadlines.insert((at, call.state, id));
}
