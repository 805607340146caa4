//! A compiled set of rules: immutable, shared, and matched against in as many threads as there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::compile::Compiler;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::explain::{Explanation, explain};
use crate::hits::{Event, Hits};
use crate::host::FunctionSpec;
use crate::index::{Found, Index, Kinds};
use crate::intent::Intent;
use crate::kept;
use crate::names::Names;
use crate::record::{FieldPath, FieldSet, Record};
use crate::rule::{OnMissing, Rule, RuleInfo};
use crate::scratch::{Census, Machine, Scratch};
use crate::source::SourceText;
use crate::time;
use crate::truth::Truth;
use crate::value::Value;

/// So few fields are looked up one by one.
const FEW_FIELDS: usize = 16;

/// What the texts of rules are read with when they are explained.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) aliases: BTreeMap<String, String>,
    /// Of `lists` and `macros`.
    pub(crate) names: Names,
    pub(crate) functions: Vec<FunctionSpec>,
}

/// Compiled rules.
///
/// Evaluation needs only `&self`; replacing rules means making a new set and handing it to
/// [`Engine::replace`](crate::Engine::replace).
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    fields: FieldSet,
    index: Index,
    /// By slot: some rule wants to know what is in it when it fires.
    is_kept: Vec<bool>,
    /// By slot: some rule is grouped by it.
    is_grouped: Vec<bool>,
    /// Where a record names its trace, if some rule scales something.
    trace: Option<FieldPath>,
    /// How many terms rules may share.
    atoms: usize,
    known: Known,
    warnings: Vec<Diagnostic>,
    by_name: HashMap<Arc<str>, u32>,
    generation: u64,
}

impl RuleSet {
    pub(crate) fn new(
        rules: Vec<Rule>,
        fields: Vec<FieldPath>,
        atoms: usize,
        known: Known,
        index: Index,
        warnings: Vec<Diagnostic>,
    ) -> Self {
        let numbered = rules.iter().enumerate();
        let by_name = numbered.map(|(at, rule)| (Arc::clone(&rule.info.name), at as u32)).collect();
        let (mut is_kept, mut is_grouped) = (vec![false; fields.len()], vec![false; fields.len()]);
        for rule in &rules {
            rule.group.iter().for_each(|field| is_grouped[field.slot as usize] = true);
            let grouped = rule.group.iter().map(|field| field.slot);
            grouped
                .chain(rule.captures.iter().copied())
                .for_each(|slot| is_kept[slot as usize] = true);
        }
        let scales = |rule: &Rule| {
            rule.info.intents.iter().any(|intent| matches!(intent, Intent::Scale { .. }))
        };
        let trace = rules.iter().any(scales).then(|| FieldPath::new("trace_id"));
        let fields = FieldSet::new(fields);
        let generation = 1;
        Self {
            rules,
            fields,
            index,
            is_kept,
            is_grouped,
            trace,
            atoms,
            known,
            warnings,
            by_name,
            generation,
        }
    }

    /// Compiles sources into one set.
    ///
    /// # Errors
    ///
    /// Every mistake in every source, with its place and remedy. There is no partial set.
    pub fn compile(sources: &[SourceText]) -> Result<Self, Diagnostics> {
        Compiler::new().compile(sources)
    }

    /// Compiles one YAML text; `name` is what messages call it.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    #[cfg(feature = "yaml")]
    pub fn from_yaml(name: &str, text: &str) -> Result<Self, Diagnostics> {
        Self::compile(&[SourceText::yaml(name, text)])
    }

    /// Compiles one JSON text; `name` is what messages call it.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn from_json(name: &str, text: &str) -> Result<Self, Diagnostics> {
        Self::compile(&[SourceText::json(name, text)])
    }

    /// The same set under another generation number; a fresh set has number 1.
    #[must_use]
    pub fn with_generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    /// The number that tells one edit of the rules from the next.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What is odd about the sources and no mistake, in the order of the text; at most 1,000.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The rules: those of higher priority first, else in the order of the sources.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &RuleInfo> {
        self.rules.iter().map(|rule| &rule.info)
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Every field that some rule looks at, once, aliases resolved. A record that keeps its values in
    /// this order can answer by [`FieldPath::slot`], without comparing names.
    #[must_use]
    pub fn fields(&self) -> &[FieldPath] {
        self.fields.paths()
    }

    /// Judges every record by every rule.
    ///
    /// Pure: no state is read or written but `scratch`, which a thread keeps between calls. Windows
    /// and episodes are the [`Engine`](crate::Engine)'s business. Rules that the record's fields do not
    /// lead to are not looked at, so that what a record costs does not grow with their number. What a
    /// call costs grows with that of the fields that rules mention: hand over records in batches.
    pub fn matches<'a, R: Record + 'a>(
        self: &'a Arc<Self>,
        events: impl IntoIterator<Item = Event<'a, R>>,
        scratch: &mut Scratch,
    ) -> Hits {
        let mut kinds = std::mem::take(&mut scratch.kinds);
        let mut hits = self.judge(events, scratch, |event, machine, found| {
            self.find(event.record, machine, &mut kinds, found);
            self.index.always()
        });
        (hits.looked_up, hits.kinds) = (hits.events, kinds.take());
        scratch.kinds = kinds;
        hits
    }

    /// The same by asking every rule, one after the other: what [`matches`](Self::matches) is held
    /// against, by tests and by figures.
    pub fn matches_by_scan<'a, R: Record + 'a>(
        self: &'a Arc<Self>,
        events: impl IntoIterator<Item = Event<'a, R>>,
        scratch: &mut Scratch,
    ) -> Hits {
        let all: Vec<u32> = (0..self.rules.len() as u32).collect();
        self.judge(events, scratch, |_, _, _| &all)
    }

    /// Judges every record by the rules that `find` finds, and by those that it gives.
    #[inline]
    fn judge<'a, 'f, R: Record + 'a>(
        self: &'a Arc<Self>,
        events: impl IntoIterator<Item = Event<'a, R>>,
        scratch: &mut Scratch,
        mut find: impl FnMut(&Event<'a, R>, &mut Machine<'a>, &mut Found) -> &'f [u32],
    ) -> Hits {
        let mut hits = Hits::new(Arc::clone(self));
        scratch.unknown.clear();
        let mut found = std::mem::take(&mut scratch.found);
        found.clear(self.rules.len());
        let mut machine = scratch.machine(&self.fields, self.atoms);
        for event in events {
            hits.events += 1;
            machine.next_record();
            if event.record.is_read_through() {
                machine.fill(event.record);
            }
            let others = find(&event, &mut machine, &mut found);
            let mut is_sighted = false;
            let mut judge = |index: u32, holds: bool| {
                let rule = &self.rules[index as usize];
                let truth = match holds {
                    true => Truth::True,
                    false => rule.program.run(&mut machine, event.record),
                };
                if truth == Truth::Unknown {
                    scratch.unknown.push(index);
                }
                match truth {
                    Truth::Unknown if rule.info.on_missing == OnMissing::NoMatch => {}
                    Truth::Unknown if rule.info.on_missing == OnMissing::Error => {
                        self.fail(index, &event, &mut machine, &mut hits);
                    }
                    Truth::True | Truth::Unknown => {
                        if !std::mem::replace(&mut is_sighted, true) {
                            self.sight(&event, &mut machine, &mut hits);
                        }
                        hits.push(index);
                    }
                    Truth::False => {}
                }
            };
            if found.rules().is_empty() {
                others.iter().for_each(|index| judge(*index, false));
            } else {
                both(found.rules(), others)
                    .for_each(|index| judge(index, self.index.is_exact(index)));
            }
        }
        scratch.put_back(machine);
        scratch.found = found;
        scratch.unknown.sort_unstable();
        let same = scratch.unknown.chunk_by(|a, b| a == b);
        hits.unknown.extend(same.map(|rules| (rules[0], rules.len() as u64)));
        hits
    }

    /// Keeps what a rule would have needed of a record.
    #[cold]
    fn fail<'a, R: Record>(
        &'a self,
        index: u32,
        event: &Event<'a, R>,
        machine: &mut Machine<'a>,
        hits: &mut Hits,
    ) {
        let (count, _) = hits.errors.entry(index).or_insert_with(|| {
            let mut slots = self.rules[index as usize].program.slots();
            let missing = slots.find(|slot| machine.field(*slot, event.record).is_none());
            let path = missing.and_then(|slot| self.fields.paths().get(slot as usize));
            let why = match path {
                Some(path) => format!("`{path}` is missing"),
                None => "a field is of a type that gives no answer".to_owned(),
            };
            (0, why.into())
        });
        *count += 1;
    }

    /// Keeps what the rules may want of a record.
    #[cold]
    fn sight<'a, R: Record>(
        &self,
        event: &Event<'a, R>,
        machine: &mut Machine<'a>,
        hits: &mut Hits,
    ) {
        let line = event.record.line().map(|line| kept::line(&line).into_boxed_str());
        let trace = self.trace.as_ref().and_then(|path| kept::trace(&event.record.get(path)?));
        let time = time::nanos(event.time);
        let keep = |slot: u32, value: &Value<'_>| {
            let is_list = matches!(value, Value::List(_)) && self.is_grouped[slot as usize];
            let list = is_list.then(|| kept::cut(&value.to_string()).into());
            (slot, kept::value(value), list)
        };
        if machine.is_filled() {
            let wanted = machine.present().iter().filter(|slot| self.is_kept[**slot as usize]);
            let kept = wanted.filter_map(|slot| Some(keep(*slot, machine.known(*slot)?)));
            return hits.sight(time, line, trace, kept);
        }
        let slots = (0..self.is_kept.len() as u32).filter(|slot| self.is_kept[*slot as usize]);
        let kept = slots.filter_map(|slot| Some(keep(slot, machine.field(slot, event.record)?)));
        hits.sight(time, line, trace, kept);
    }

    /// The rules that the fields of a record lead to, ascending, each once.
    fn find<'a, R: Record>(
        &'a self,
        record: &'a R,
        machine: &mut Machine<'a>,
        kinds: &mut Census,
        found: &mut Found,
    ) {
        found.clear(self.rules.len());
        let slots = self.index.slots();
        if slots.is_empty() {
            return;
        }
        if !machine.is_filled() && self.fields.paths().len() > FEW_FIELDS {
            machine.fill(record);
        }
        if machine.is_filled() {
            for slot in machine.present() {
                if let Some(value) = machine.known(*slot) {
                    kinds.count(*slot, value);
                    self.index.find(*slot, value, found);
                }
            }
        } else {
            for slot in slots {
                if let Some(value) = machine.field(*slot, record) {
                    kinds.count(*slot, value);
                    self.index.find(*slot, value, found);
                }
            }
        }
        found.finish();
    }

    /// Why `rule` does or does not hold for a record, term by term; `None` if there is no such rule.
    ///
    /// The window of a window rule is named but not judged: that takes more than one record.
    pub fn explain<R: Record>(&self, rule: &str, record: &R) -> Option<Explanation> {
        let rule = self.rule(*self.by_name.get(rule)?);
        Some(explain(rule, &self.known, record))
    }

    pub(crate) fn rule(&self, index: u32) -> &Rule {
        &self.rules[index as usize]
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.rules.iter()
    }

    /// By which fields a rule is looked up, and what they must hold for it to have an answer.
    pub(crate) fn asked(&self, rule: u32) -> &[(u32, Kinds)] {
        self.index.asked(rule)
    }

    pub(crate) fn index_of(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }
}

/// The items of two ascending rows, in order; no item is in both.
fn both<'i>(a: &'i [u32], b: &'i [u32]) -> impl Iterator<Item = u32> + 'i {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if y < x => b.next(),
        (None, _) => b.next(),
        _ => a.next(),
    })
}
