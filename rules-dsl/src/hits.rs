//! What matching hands to the engine.

use std::sync::Arc;
use std::time::SystemTime;

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
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) list: Vec<Hit>,
    pub(crate) events: u64,
    /// Unknown verdicts, for the rules that had any.
    pub(crate) unknown: Vec<(u32, u64)>,
}

impl Hits {
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

/// The values of the `by` fields, in their order.
pub(crate) type GroupKey = Box<[Box<str>]>;

/// One record that satisfied one rule (of a window rule: all but the window).
#[derive(Debug)]
pub(crate) struct Hit {
    pub(crate) rule: u32,
    pub(crate) time: Nanos,
    pub(crate) group: GroupKey,
    /// The captured values, in the order of the rule's captures.
    pub(crate) seen: Box<[Option<Value<'static>>]>,
    pub(crate) line: Option<Box<str>>,
}
