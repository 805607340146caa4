//! Counters: what was seen, what fired, and what was left out and why.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::index::{Asked, KINDS, Kinds};

/// The counters of one engine and its rule files. A clone is another handle to the same counters.
///
/// With the feature `prometheus` it is a collector: register a clone with a registry of your own.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    events: AtomicU64,
    reloads_loaded: AtomicU64,
    reloads_rejected: AtomicU64,
    generation: AtomicU64,
    rules: Mutex<BTreeMap<Arc<str>, Arc<RuleCounters>>>,
    #[cfg(feature = "prometheus")]
    descriptions: std::sync::OnceLock<Vec<prometheus::core::Desc>>,
}

/// Counters of one rule. Single counts are exact; a snapshot is not one moment.
#[derive(Debug, Default)]
pub(crate) struct RuleCounters {
    pub(crate) firing: Counter,
    pub(crate) repeat: Counter,
    pub(crate) resolved: Counter,
    pub(crate) too_old: Counter,
    pub(crate) unknown: Counter,
    pub(crate) errors: Counter,
    last_error: Mutex<Option<Arc<str>>>,
    unjudged: Mutex<Unjudged>,
    pub(crate) late: Counter,
    pub(crate) future: Counter,
    pub(crate) evicted: Counter,
    /// A gauge: groups that have state now.
    pub(crate) groups: Counter,
}

/// What the fields of one rule set held: what a rule is silent about that was never judged is found out
/// from here, when somebody asks.
#[derive(Debug)]
pub(crate) struct FieldCounters {
    held: Mutex<Held>,
}

/// One moment of it: were they counted apart, what is left of one less the other could go backward.
#[derive(Debug)]
struct Held {
    events: u64,
    kinds: Vec<[u64; KINDS]>,
}

impl FieldCounters {
    pub(crate) fn new(slots: usize) -> Self {
        Self { held: Mutex::new(Held { events: 0, kinds: vec![[0; KINDS]; slots] }) }
    }

    pub(crate) fn add(&self, events: u64, kinds: &[(u32, [u32; KINDS])]) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.events += events;
        for (slot, counts) in kinds {
            let Some(all) = held.kinds.get_mut(*slot as usize) else { continue };
            all.iter_mut().zip(counts).for_each(|(sum, count)| *sum += u64::from(*count));
        }
    }

    /// For how many records a field held nothing for which there is an answer.
    fn silent(&self, asked: &[(u32, Kinds)]) -> u64 {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = |(slot, answers): &(u32, Kinds)| {
            Some(answers.others(held.events, *held.kinds.get(*slot as usize)?))
        };
        asked.iter().filter_map(of_one).sum()
    }
}

/// What a rule was silent about without being judged.
#[derive(Debug, Default)]
struct Unjudged {
    /// Under rule sets that were replaced.
    before: u64,
    now: Option<(Arc<FieldCounters>, Asked)>,
}

impl Unjudged {
    fn count(&self) -> u64 {
        let now = self.now.as_ref().map_or(0, |(fields, asked)| fields.silent(asked));
        self.before + now
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A copy of all counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Records that were matched.
    pub events: u64,
    /// Edits of rule files that went live.
    pub reloads_loaded: u64,
    /// Edits that were refused.
    pub reloads_rejected: u64,
    /// The generation of the rules that are live.
    pub generation: u64,
    /// By rule.
    pub rules: BTreeMap<Arc<str>, RuleStats>,
}

/// The counters of one rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RuleStats {
    /// Episodes that began.
    pub firing: u64,
    /// Matches while an episode was open.
    pub repeat: u64,
    /// Episodes that ended.
    pub resolved: u64,
    /// Matches that were older than the limit.
    pub too_old: u64,
    /// Records about which the rule had no answer, mostly for want of a field. A rule of several terms
    /// is looked up by one of them; a record about which that one had no answer counts whatever the
    /// others would have said. Of one that is looked up in several ways, as for `||`, or by `cidr()`, those
    /// count about which it was judged.
    pub unknown: u64,
    /// The same, where the rule says `on_missing: error`.
    pub errors: u64,
    /// What was missing the last time.
    pub last_error: Option<Arc<str>>,
    /// Records that came too late for their window.
    pub late: u64,
    /// Records from the future, taken as happening now.
    pub future: u64,
    /// Groups that were given up for want of room.
    pub evicted: u64,
    /// Groups that have state now.
    pub groups: u64,
}

impl Metrics {
    /// Counters at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of all counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let rules = self.rules();
        let rules = rules.iter().map(|(name, counters)| (Arc::clone(name), counters.stats()));
        Stats {
            events: load(&self.inner.events),
            reloads_loaded: load(&self.inner.reloads_loaded),
            reloads_rejected: load(&self.inner.reloads_rejected),
            generation: load(&self.inner.generation),
            rules: rules.collect(),
        }
    }

    pub(crate) fn add_events(&self, amount: u64) {
        self.inner.events.fetch_add(amount, Ordering::Relaxed);
    }

    #[cfg(feature = "reload")]
    pub(crate) fn add_reload(&self, loaded: bool) {
        let counter =
            if loaded { &self.inner.reloads_loaded } else { &self.inner.reloads_rejected };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_generation(&self, generation: u64) {
        self.inner.generation.store(generation, Ordering::Relaxed);
    }

    pub(crate) fn rule(&self, name: &Arc<str>) -> Arc<RuleCounters> {
        Arc::clone(self.rules().entry(Arc::clone(name)).or_default())
    }

    /// Forgets rules that are gone, so that an edited file leaves no dead series behind.
    pub(crate) fn retain(&self, live: impl Fn(&str) -> bool) {
        self.rules().retain(|name, _| live(name));
    }

    #[cfg(feature = "prometheus")]
    pub(crate) fn descriptions(&self) -> &[prometheus::core::Desc] {
        self.inner.descriptions.get_or_init(crate::prometheus::descriptions)
    }

    fn rules(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<RuleCounters>>> {
        // Nothing panics under this lock; if something ever does, counters still count.
        self.inner.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RuleCounters {
    /// From now on the rule is looked up by these fields.
    pub(crate) fn look_up_by(&self, fields: &Arc<FieldCounters>, asked: &[(u32, Kinds)]) {
        let mut unjudged = self.unjudged.lock().unwrap_or_else(PoisonError::into_inner);
        unjudged.before = unjudged.count();
        let now = || (Arc::clone(fields), asked.into());
        unjudged.now = (!asked.is_empty()).then(now);
    }

    /// Counts records that a rule could not judge and should have been able to.
    pub(crate) fn fail(&self, count: u64, why: &str) {
        self.errors.add(count);
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_deref() != Some(why) {
            *last = Some(why.into());
        }
    }

    fn stats(&self) -> RuleStats {
        let unjudged = self.unjudged.lock().unwrap_or_else(PoisonError::into_inner).count();
        RuleStats {
            firing: self.firing.get(),
            repeat: self.repeat.get(),
            resolved: self.resolved.get(),
            too_old: self.too_old.get(),
            unknown: self.unknown.get() + unjudged,
            errors: self.errors.get(),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            late: self.late.get(),
            future: self.future.get(),
            evicted: self.evicted.get(),
            groups: self.groups.get(),
        }
    }
}
