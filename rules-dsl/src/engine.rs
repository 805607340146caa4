//! From hits to firings: the one ordered writer of windows and episodes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::firing::Firing;
use crate::hits::Hits;
use crate::metrics::{FieldCounters, Metrics, Stats};
use crate::ruleset::RuleSet;
use crate::state::{Call, RuleState};
use crate::time::{Nanos, nanos, system_time};

/// How long hits of a replaced set may still arrive before the state of its lost rules is dropped
/// even though no hits of the new set have come.
const GRACE: Nanos = 1_000_000_000;
/// How far `now` may fall behind what it was before that counts as a clock set back.
const BACKWARD: Nanos = 1_000_000_000;

/// Bounds of an [`Engine`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EngineConfig {
    /// Records older than this feed windows and open no episode; `None` lets every record act, which
    /// is for replays. 5 minutes. They come out [withheld](Firing::withheld), once a minute for each group
    /// and for at most 100 groups of a rule; all are counted.
    pub max_event_age: Option<Duration>,
    /// How far behind the newest record of its group a record may be and still count in a window. A
    /// window's own length bounds it too. 1 minute.
    pub allowed_lateness: Duration,
    /// Groups kept per rule; beyond it the one that is longest without a record goes first. 10,000.
    pub max_groups: usize,
    /// Event times kept per rule over all its windows, 8 bytes each; beyond it groups go, as above.
    /// 2,000,000.
    pub max_window_records: usize,
    /// Where to count; share it with the rule files to see everything in one place.
    pub metrics: Metrics,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            max_event_age: Some(Duration::from_secs(300)),
            allowed_lateness: Duration::from_secs(60),
            max_groups: 10_000,
            max_window_records: 2_000_000,
            metrics: Metrics::new(),
        }
    }
}

/// The state behind the rules: windows, groups, episodes.
///
/// Synchronous and pure: it reads no clock, so the caller passes `now`, and the same calls give the
/// same firings. Each group has a time of its own, that of its newest record, which runs on with the
/// clock while no records come; a source that lags behind the others loses nothing by it.
///
/// `now` should not go backward. When a clock is set back by more than a second all the same, what is
/// remembered of the time ahead counts as happening now, as a record from the future does.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    config: EngineConfig,
    states: Vec<Option<RuleState>>,
    free: Vec<u32>,
    /// Which state belongs to which rule: by name and meaning.
    by_key: HashMap<(Arc<str>, u64), u32>,
    /// The state of each rule of the live set.
    live: Vec<u32>,
    /// What the fields of the live set held.
    fields: Arc<FieldCounters>,
    /// The states that may have groups.
    active: BTreeSet<u32>,
    deadlines: BTreeSet<(Nanos, u32, u32)>,
    /// States of rules that the live set has lost, and since when; `None` is "since the last call".
    retired: Vec<u32>,
    retired_at: Option<Nanos>,
    /// The latest `now` since the clock was last set back.
    clock: Nanos,
    serial: u64,
}

impl Engine {
    /// An engine without history.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>, config: EngineConfig) -> Self {
        let mut engine = Self {
            rules: Arc::clone(&rules),
            config,
            states: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            live: Vec::new(),
            fields: Arc::new(FieldCounters::new(0)),
            active: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            retired: Vec::new(),
            retired_at: None,
            clock: 0,
            serial: 0,
        };
        engine.replace(rules);
        engine
    }

    /// The set that is live.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Judges the hits of one batch, in their order, and then whatever is due at `now`.
    ///
    /// Hits of an older set are judged whole by the set that made them.
    pub fn advance(&mut self, hits: Hits, now: SystemTime) -> Vec<Firing> {
        let now = nanos(now);
        let mut out = Vec::new();
        self.serial += 1;
        self.follow(now, &mut out);
        self.config.metrics.add_events(hits.events);
        let current = Arc::ptr_eq(hits.rules(), &self.rules);
        if current {
            self.fields.add(hits.looked_up, &hits.kinds);
            if !self.retired.is_empty() {
                self.drop_retired(now, &mut out);
            }
        }
        for (rule, count) in &hits.unknown {
            let state = self.state_of(hits.rules(), *rule, current);
            if let Some(Some(state)) = self.states.get(state as usize) {
                state.counters.unknown.add(*count);
            }
        }
        for (rule, (count, why)) in &hits.errors {
            let state = self.state_of(hits.rules(), *rule, current);
            if let Some(Some(state)) = self.states.get(state as usize) {
                state.counters.fail(*count, why);
            }
        }
        for (index, sighting) in hits.iter() {
            let state = self.state_of(hits.rules(), index, current);
            let rule = hits.rules().rule(index);
            self.active.insert(state);
            self.with(state, now, &mut out, |state, call| state.judge(rule, &sighting, call));
        }
        self.expire(now, &mut out);
        out
    }

    /// Does what is due at `now`: episodes end even when no more records come.
    pub fn tick(&mut self, now: SystemTime) -> Vec<Firing> {
        let now = nanos(now);
        let mut out = Vec::new();
        self.serial += 1;
        self.follow(now, &mut out);
        if !self.retired.is_empty() {
            let since = *self.retired_at.get_or_insert(now);
            if now.saturating_sub(since) >= GRACE {
                self.drop_retired(now, &mut out);
            }
        }
        self.expire(now, &mut out);
        out
    }

    /// When [`tick`](Self::tick) is wanted next. It may turn out that nothing is due then, and a time
    /// in the past means at once.
    #[must_use]
    pub fn next_deadline(&self) -> Option<SystemTime> {
        let retired = match (self.retired.is_empty(), self.retired_at) {
            (true, _) => None,
            (false, None) => Some(0),
            (false, Some(since)) => Some(since.saturating_add(GRACE)),
        };
        let due = self.deadlines.first().map(|(at, ..)| *at);
        due.into_iter().chain(retired).min().map(system_time)
    }

    /// Makes another set live. State stays with every rule whose name and meaning are unchanged; the
    /// episodes of all others end with the first hits of the new set, or a second later.
    pub fn replace(&mut self, rules: Arc<RuleSet>) {
        let metrics = self.config.metrics.clone();
        let mut live = Vec::with_capacity(rules.len());
        self.fields = Arc::new(FieldCounters::new(rules.fields().len()));
        for (index, rule) in rules.iter().enumerate() {
            let key = (Arc::clone(&rule.info.name), rule.hash);
            let index = index as u32;
            match self.by_key.get(&key) {
                Some(id) => {
                    if let Some(Some(state)) = self.states.get_mut(*id as usize) {
                        state.adopt(Arc::clone(&rules), index);
                    }
                    live.push(*id);
                }
                None => live.push(self.add(&rules, index)),
            }
            if let Some(Some(state)) = live.last().and_then(|id| self.states.get(*id as usize)) {
                state.counters.look_up_by(&self.fields, rules.asked(index));
            }
        }
        // Each says once how many groups it has.
        self.active.extend(&live);
        let kept: BTreeSet<u32> = live.iter().copied().collect();
        self.retired.clear();
        for (id, state) in self.states.iter_mut().enumerate() {
            let id = id as u32;
            if let Some(state) = state.as_mut().filter(|_| !kept.contains(&id)) {
                state.live = false;
                self.retired.push(id);
            }
        }
        self.retired_at = None;
        metrics.set_generation(rules.generation());
        self.live = live;
        self.rules = rules;
    }

    /// A copy of the counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.config.metrics.stats()
    }

    /// The counters themselves, to register or to keep.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.config.metrics
    }

    fn add(&mut self, rules: &Arc<RuleSet>, index: u32) -> u32 {
        let rule = rules.rule(index);
        let counters = self.config.metrics.rule(&rule.info.name);
        let key = (Arc::clone(&rule.info.name), rule.hash);
        let state = Some(RuleState::new(Arc::clone(rules), index, counters));
        let id = match self.free.pop() {
            Some(id) => {
                self.states[id as usize] = state;
                id
            }
            None => {
                self.states.push(state);
                self.states.len() as u32 - 1
            }
        };
        self.by_key.insert(key, id);
        id
    }

    /// The state that judges hits of this rule. A rule that is not live any more gets one again for
    /// as long as its hits still arrive.
    fn state_of(&mut self, rules: &Arc<RuleSet>, rule: u32, current: bool) -> u32 {
        if current {
            return self.live[rule as usize];
        }
        let found = rules.rule(rule);
        let key = (Arc::clone(&found.info.name), found.hash);
        if let Some(id) = self.by_key.get(&key) {
            return *id;
        }
        let id = self.add(rules, rule);
        if let Some(Some(state)) = self.states.get_mut(id as usize) {
            state.live = false;
        }
        self.retired.push(id);
        self.retired_at = None;
        id
    }

    fn follow(&mut self, now: Nanos, out: &mut Vec<Firing>) {
        if now.saturating_add(BACKWARD) >= self.clock {
            self.clock = self.clock.max(now);
            return;
        }
        self.clock = now;
        self.retired_at = self.retired_at.map(|since| since.min(now));
        for id in 0..self.states.len() as u32 {
            self.with(id, now, out, RuleState::turn_back);
        }
    }

    fn drop_retired(&mut self, now: Nanos, out: &mut Vec<Firing>) {
        for id in std::mem::take(&mut self.retired) {
            let why = "the rule was removed or changed";
            self.with(id, now, out, |state, call| state.retire(why, call));
            self.states[id as usize] = None;
            self.free.push(id);
        }
        self.retired_at = None;
        let states = &self.states;
        self.by_key.retain(|_, id| states[*id as usize].is_some());
        let rules = &self.rules;
        self.config.metrics.retain(|name| rules.index_of(name).is_some());
    }

    fn expire(&mut self, now: Nanos, out: &mut Vec<Firing>) {
        while let Some((at, state, group)) = self.deadlines.first().copied() {
            if at > now {
                break;
            }
            self.deadlines.pop_first();
            self.with(state, now, out, |state, call| state.expire(group, call));
        }
        // Of the rules that have no groups nothing is to be done, however many they are.
        let mut active = std::mem::take(&mut self.active);
        active.retain(|id| {
            let mut has_groups = false;
            self.with(*id, now, out, |state, call| has_groups = state.sweep(call));
            has_groups
        });
        self.active = active;
    }

    fn with(
        &mut self,
        id: u32,
        now: Nanos,
        out: &mut Vec<Firing>,
        work: impl FnOnce(&mut RuleState, &mut Call<'_>),
    ) {
        let Some(Some(state)) = self.states.get_mut(id as usize) else { return };
        let mut call = Call {
            now,
            config: &self.config,
            serial: self.serial,
            state: id,
            deadlines: &mut self.deadlines,
            out,
        };
        work(state, &mut call);
    }
}
