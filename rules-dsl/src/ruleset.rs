//! A compiled set of rules: immutable, shared, and matched against in as many threads as there are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::compile::Compiler;
use crate::diagnostic::Diagnostics;
use crate::explain::{Explanation, explain};
use crate::hits::{Event, GroupKey, Hit, Hits};
use crate::record::{FieldPath, Record};
use crate::rule::{Rule, RuleInfo};
use crate::scratch::{Machine, Scratch};
use crate::source::SourceText;
use crate::time;
use crate::truth::Truth;
use crate::value::Value;

/// The value of a `by` field that a record lacks: a group of its own, which silences no other.
pub(crate) const MISSING: &str = "<missing>";
/// How much of a line a firing keeps.
const LINE_CHARS: usize = 200;
/// How much of one value is kept; a longer text is cut, and a list ends with the last item that fits,
/// so that no record can fill the memory.
const VALUE_BYTES: usize = 1024;
/// What an item of a list takes besides its text.
const LIST_ITEM_BYTES: usize = 16;

/// Compiled rules.
///
/// Evaluation needs only `&self`; replacing rules means making a new set and handing it to
/// [`Engine::replace`](crate::Engine::replace).
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    fields: Vec<FieldPath>,
    aliases: BTreeMap<String, String>,
    by_name: HashMap<Arc<str>, u32>,
    generation: u64,
}

impl RuleSet {
    pub(crate) fn new(
        rules: Vec<Rule>,
        fields: Vec<FieldPath>,
        aliases: BTreeMap<String, String>,
    ) -> Self {
        let names = rules.iter().enumerate();
        let by_name = names.map(|(at, rule)| (Arc::clone(&rule.info.name), at as u32)).collect();
        Self { rules, fields, aliases, by_name, generation: 1 }
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

    /// The rules, in the order of the sources.
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
        &self.fields
    }

    /// Judges every record by every rule.
    ///
    /// Pure: no state is read or written but `scratch`, which a thread keeps between calls. Windows
    /// and episodes are the [`Engine`](crate::Engine)'s business.
    pub fn matches<'a, R: Record + 'a>(
        self: &'a Arc<Self>,
        events: impl IntoIterator<Item = Event<'a, R>>,
        scratch: &mut Scratch,
    ) -> Hits {
        let mut hits =
            Hits { rules: Self::clone_arc(self), list: Vec::new(), events: 0, unknown: Vec::new() };
        scratch.unknown.clear();
        scratch.unknown.resize(self.rules.len(), 0);
        let mut machine = scratch.machine(&self.fields);
        for event in events {
            hits.events += 1;
            machine.next_record();
            for (index, rule) in self.rules.iter().enumerate() {
                match rule.program.run(&mut machine, event.record) {
                    Truth::True => hits.list.push(hit(index, rule, &event, &mut machine)),
                    Truth::Unknown => scratch.unknown[index] += 1,
                    Truth::False => {}
                }
            }
        }
        scratch.put_back(machine);
        let unknown = scratch.unknown.iter().enumerate().filter(|(_, count)| **count > 0);
        hits.unknown.extend(unknown.map(|(index, count)| (index as u32, *count)));
        hits
    }

    /// Why `rule` does or does not hold for a record, term by term; `None` if there is no such rule.
    ///
    /// The window of a window rule is named but not judged: that takes more than one record.
    pub fn explain<R: Record>(&self, rule: &str, record: &R) -> Option<Explanation> {
        let rule = self.rule(*self.by_name.get(rule)?);
        Some(explain(rule, &self.aliases, record))
    }

    fn clone_arc(this: &Arc<Self>) -> Arc<Self> {
        Arc::clone(this)
    }

    pub(crate) fn rule(&self, index: u32) -> &Rule {
        &self.rules[index as usize]
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.rules.iter()
    }

    pub(crate) fn index_of(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }
}

#[cold]
fn hit<'a, R: Record>(
    index: usize,
    rule: &Rule,
    event: &Event<'a, R>,
    machine: &mut Machine<'a>,
) -> Hit {
    let group: GroupKey = rule
        .group
        .iter()
        .map(|field| match machine.field(field.slot, event.record) {
            Some(value) => cut(&value.to_string()).into(),
            None => MISSING.into(),
        })
        .collect();
    let seen =
        rule.captures.iter().map(|slot| machine.field(*slot, event.record).map(kept)).collect();
    let line = event.record.line().map(|line| excerpt(&line).into_boxed_str());
    Hit { rule: index as u32, time: time::nanos(event.time), group, seen, line }
}

fn kept(value: &Value<'_>) -> Value<'static> {
    match value {
        Value::Str(text) => Value::from(cut(text).to_owned()),
        Value::List(items) => {
            let mut room = VALUE_BYTES;
            let fits = |item: &&Value<'_>| {
                let size = if let Value::Str(text) = item { text.len() } else { 0 };
                // Every item costs something, so that empty ones are bounded too.
                room.checked_sub(size + LIST_ITEM_BYTES).map(|left| room = left).is_some()
            };
            Value::List(items.iter().take_while(fits).cloned().collect()).into_owned()
        }
        other => other.clone().into_owned(),
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(VALUE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The beginning of a line, marked where it was cut.
fn excerpt(line: &str) -> String {
    let line = line.trim_end();
    match line.char_indices().nth(LINE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
