//! What matching hands to the engine.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use crate::index::KINDS;
use crate::kept;
use crate::rule::{GroupField, Rule};
use crate::ruleset::RuleSet;
use crate::time::Nanos;
use crate::value::Value;

/// One record and the time at which it says it happened.
#[derive(Debug)]
pub struct Event<'a, R> {
    /// The record.
    pub record: &'a R,
    /// Event time: windows and episodes run on it.
    pub time: SystemTime,
}

impl<'a, R> Event<'a, R> {
    /// A record with its time.
    pub fn new(record: &'a R, time: SystemTime) -> Self {
        Self { record, time }
    }
}

impl<R> Clone for Event<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Event<'_, R> {}

/// The outcome of matching one batch: which records satisfied which rules.
///
/// It owns what it needs of the records, so the batch can be dropped. Make them in as many threads as
/// there are, and feed them to the one [`Engine`](crate::Engine) in order.
#[derive(Debug)]
#[must_use = "hits do nothing until an engine advances over them"]
pub struct Hits {
    /// The generation that made them, and that they will be judged by.
    rules: Arc<RuleSet>,
    list: Vec<Hit>,
    /// The records that satisfied any rule.
    sightings: Vec<Kept>,
    /// What they held, record by record.
    values: Vec<(u32, Value<'static>)>,
    /// The names of groups that are lists, of which no more than the beginning is among the values.
    lists: Vec<(u32, Box<str>)>,
    pub(crate) events: u64,
    /// Of how many of them the kinds of values were counted.
    pub(crate) looked_up: u64,
    /// Unknown verdicts, for the rules that had any, of those that were judged.
    pub(crate) unknown: Vec<(u32, u64)>,
    /// The same for rules of which that is an error, with what was missing first.
    pub(crate) errors: BTreeMap<u32, (u64, Box<str>)>,
    /// By slot, how many of each kind of value there were, where there were any.
    pub(crate) kinds: Vec<(u32, [u32; KINDS])>,
}

impl Hits {
    pub(crate) fn new(rules: Arc<RuleSet>) -> Self {
        let (list, sightings, values, lists) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (unknown, errors, kinds) = (Vec::new(), BTreeMap::new(), Vec::new());
        let (events, looked_up) = (0, 0);
        Self { rules, list, sightings, values, lists, events, looked_up, unknown, errors, kinds }
    }

    /// Keeps what rules may want of a record; the hits that follow are of this one.
    pub(crate) fn sight(
        &mut self,
        time: Nanos,
        line: Option<Box<str>>,
        trace: Option<Box<str>>,
        values: impl Iterator<Item = (u32, Value<'static>, Option<Box<str>>)>,
    ) {
        let (from, first) = (self.values.len(), self.lists.len());
        for (slot, value, list) in values {
            self.values.push((slot, value));
            self.lists.extend(list.map(|list| (slot, list)));
        }
        self.values[from..].sort_unstable_by_key(|(slot, _)| *slot);
        let (values, lists) = (from..self.values.len(), first..self.lists.len());
        self.sightings.push(Kept { time, line, trace, values, lists });
    }

    /// The record that was sighted last satisfies a rule.
    pub(crate) fn push(&mut self, rule: u32) {
        self.list.push(Hit { rule, sighting: (self.sightings.len() - 1) as u32 });
    }

    /// Every rule that was satisfied, with the record, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, Sighting<'_>)> {
        self.list.iter().map(|hit| {
            let kept = &self.sightings[hit.sighting as usize];
            let (line, values) = (kept.line.as_deref(), &self.values[kept.values.clone()]);
            let (lists, trace) = (&self.lists[kept.lists.clone()], kept.trace.as_deref());
            (hit.rule, Sighting { time: kept.time, line, trace, values, lists })
        })
    }

    /// How many pairs of a record and a rule matched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether no record matched any rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many records were looked at.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Names of the rules that matched, one for each pair, in the order of the records.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|hit| &*self.rules.rule(hit.rule).info.name)
    }

    /// The set that made them.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }
}

/// The value of a `by` field that a record lacks: a group of its own, which silences no other.
pub(crate) const MISSING: &str = "<missing>";

/// The values of the `by` fields, in their order.
pub(crate) type GroupKey = Box<[Box<str>]>;

/// One record that satisfied one rule (of a window rule: all but the window).
#[derive(Debug)]
struct Hit {
    rule: u32,
    sighting: u32,
}

#[derive(Debug)]
struct Kept {
    time: Nanos,
    line: Option<Box<str>>,
    trace: Option<Box<str>>,
    values: Range<usize>,
    lists: Range<usize>,
}

/// What is kept of a record that satisfied a rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sighting<'h> {
    pub(crate) time: Nanos,
    /// The beginning of its line.
    pub(crate) line: Option<&'h str>,
    /// The trace that it is part of.
    pub(crate) trace: Option<&'h str>,
    /// By slot, ascending.
    values: &'h [(u32, Value<'static>)],
    lists: &'h [(u32, Box<str>)],
}

impl<'h> Sighting<'h> {
    pub(crate) fn value(&self, slot: u32) -> Option<&'h Value<'static>> {
        let at = self.values.binary_search_by_key(&slot, |(slot, _)| *slot).ok()?;
        self.values.get(at).map(|(_, value)| value)
    }

    /// The values in which a rule is interested, in the order of its captures.
    pub(crate) fn captured(&self, rule: &Rule) -> Vec<Option<&'h Value<'static>>> {
        rule.captures.iter().map(|slot| self.value(*slot)).collect()
    }

    /// The group that the record belongs to.
    pub(crate) fn group(&self, rule: &Rule) -> GroupKey {
        let list = |slot| self.lists.iter().find(|(of, _)| *of == slot);
        let value = |field: &GroupField| match (list(field.slot), self.value(field.slot)) {
            (Some((_, list)), _) => list.clone(),
            (None, Some(value)) => kept::cut(&value.to_string()).into(),
            (None, None) => MISSING.into(),
        };
        rule.group.iter().map(value).collect()
    }
}
