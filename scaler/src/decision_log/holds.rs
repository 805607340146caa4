//! Holds that intents asked for: of many alike the first is kept, and the last.
//!
//! Whoever can make a rule fire can have something decided with each line. Nothing comes of it,
//! but if each such hold were kept, the log's older entries would be gone within minutes.

use std::collections::BTreeMap;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::weight::of_record;
use super::{DecisionEntry, DecisionRecord};
use crate::decision::{Action, Limit, Reason, Trigger};

/// The most targets that are followed; of more, every hold is kept.
const MAX_TARGETS: usize = 10_000;

/// The most kinds of hold that are kept in one span, for each target.
const MAX_KINDS: usize = 16;

/// Lets everything pass but holds that are as one of the same span was.
///
/// The newest of those left out is at hand until something else of its target passes, and goes
/// before it: so what is kept ends with what is remembered, and nothing is missing before a change.
#[derive(Debug)]
pub(super) struct Holds {
    span: Duration,
    targets: BTreeMap<Arc<str>, Span>,
    at_hand: usize,
    bytes: usize,
    left_out: u64,
}

#[derive(Debug)]
struct Span {
    began: SystemTime,
    kinds: Vec<Kind>,
    /// With its weight.
    newest: Option<(Box<DecisionRecord>, usize)>,
}

/// What makes two holds alike. Not who exactly asks: that is new each time in a flood.
#[derive(Debug, PartialEq)]
struct Kind {
    action: Action,
    from: u32,
    to: u32,
    reason: Reason,
    limits: Vec<Discriminant<Limit>>,
    trigger: Option<(Discriminant<Trigger>, String)>,
}

impl Holds {
    pub(super) fn new(span: Duration) -> Self {
        Self { span, targets: BTreeMap::new(), at_hand: 0, bytes: 0, left_out: 0 }
    }

    /// How many targets have a hold at hand that is not kept yet.
    pub(super) fn at_hand(&self) -> usize {
        self.at_hand
    }

    /// What those take of memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many holds were left out for good.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Takes an entry in, and adds to `kept` what is to be kept now, in order.
    pub(super) fn sift(&mut self, entry: DecisionEntry, kept: &mut Vec<DecisionEntry>) {
        let target = Arc::clone(entry.target());
        let passed = match entry {
            DecisionEntry::Decided(record) => self.pass(record).map(DecisionEntry::Decided),
            other => Some(other),
        };
        if let Some(passed) = passed {
            let span = self.targets.get_mut(&target);
            if let Some((newest, weight)) = span.and_then(|span| span.newest.take()) {
                (self.at_hand, self.bytes) = (self.at_hand - 1, self.bytes - weight);
                kept.push(DecisionEntry::Decided(newest));
            }
            kept.push(passed);
        }
    }

    /// Gives what is at hand.
    pub(super) fn release(&mut self) -> impl Iterator<Item = DecisionEntry> {
        (self.at_hand, self.bytes) = (0, 0);
        let newest = self.targets.values_mut().filter_map(|span| span.newest.take());
        newest.map(|(newest, _)| DecisionEntry::Decided(newest))
    }

    /// Gives a record back, or has it at hand.
    fn pass(&mut self, mut record: Box<DecisionRecord>) -> Option<Box<DecisionRecord>> {
        let Some(kind) = Kind::of(&record) else { return Some(record) };
        let (target, at) = (&record.decision.target, record.decision.at);
        if !self.targets.contains_key(target) {
            if self.targets.len() >= MAX_TARGETS {
                return Some(record);
            }
            let span = Span { began: at, kinds: Vec::new(), newest: None };
            self.targets.insert(Arc::clone(target), span);
        }
        let span = self.targets.get_mut(target)?;
        // One that lies in the future is over: the clock was set back.
        if !at.duration_since(span.began).is_ok_and(|age| age < self.span) {
            (span.began, span.kinds) = (at, Vec::new());
        }
        if !span.kinds.contains(&kind) && span.kinds.len() < MAX_KINDS {
            span.kinds.push(kind);
            return Some(record);
        }
        match span.newest.take() {
            Some((before, weight)) => {
                self.left_out += 1;
                self.bytes -= weight;
                record.left_out.holds = before.left_out.holds + 1;
                // A decision in between that nobody recorded would make it another memory.
                let follows = before.decision.id.count().checked_add(1);
                if follows == Some(record.decision.id.count()) {
                    record.before = Some(Box::new(before.state));
                }
            }
            None => self.at_hand += 1,
        }
        let weight = of_record(&record);
        self.bytes += weight;
        span.newest = Some((record, weight));
        None
    }
}

impl Kind {
    /// Nothing for what may not be left out: a change, and what no intent asked for. Signals are
    /// looked at in a rhythm that the host chose.
    fn of(record: &DecisionRecord) -> Option<Self> {
        let decision = &record.decision;
        if decision.is_change() || record.seen.intents.is_empty() {
            return None;
        }
        let trigger = decision.trigger.as_ref().map(|trigger| {
            let name = match trigger {
                // Nobody is named, and the id is that of one ask.
                Trigger::Intent { id, asked_by, .. } if asked_by == id => "",
                _ => trigger.name(),
            };
            (discriminant(trigger), name.to_owned())
        });
        Some(Self {
            action: decision.action,
            from: decision.from,
            to: decision.to,
            reason: decision.reason,
            limits: decision.limits.iter().map(discriminant).collect(),
            trigger,
        })
    }
}
