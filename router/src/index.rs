//! Which of many conjunctions of matchers hold for an alert, without asking each.
//!
//! Routes, silences and inhibition rules are the same question. A conjunction is filed under one of its conditions that
//! cannot hold for a missing label, the one that it shares with the fewest others: an exact value (or each of several),
//! the beginning of a value, its end, or that the label is there at all. What has no such condition is always a
//! candidate. An alert then leads to its candidates by a few look-ups, and only those are asked in full.
//!
//! The look-ups are by number: each name, and each value that some conjunction compares with, has one, so the text of a
//! label is hashed once for each alert, however many conjunctions and scopes there are.

mod file;
mod key;
mod vocabulary;

use std::sync::Arc;

use self::file::{Filed, Scope};
use self::vocabulary::Vocabulary;
use crate::pattern::Pattern;
use crate::{Labels, MatchOp, Matchers};

/// Conjunctions by number, that come and go, each in a scope: a query asks one scope. Numbers and scopes are used as
/// positions, so they should be dense.
#[derive(Debug, Default)]
pub(crate) struct MatcherIndex {
    vocabulary: Vocabulary,
    scopes: Vec<Scope>,
    gates: Vec<Gate>,
    entries: Vec<Option<Entry>>,
}

/// The one condition that most conjunctions begin with, `name="value"`, where a query finds it without detours. Whoever
/// asks a few of them in a row may keep their gates in a row, see [`MatcherIndex::gate`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate {
    name: u32,
    value: u32,
    /// What it says is all there is to say.
    alone: bool,
}

/// The entry has to be asked.
const NO_GATE: Gate = Gate { name: u32::MAX, value: NO_VALUE, alone: false };

/// What a query works with, so that it allocates nothing once it has grown. One serves any number of indexes.
#[derive(Debug, Default, Clone)]
pub(crate) struct IndexScratch {
    /// The number of the query; what bears another is from an earlier one.
    query: u64,
    seen: Vec<Seen>,
    /// The names that the alert has and the index knows.
    names: Vec<u32>,
}

/// A label of the alert, by the number of its name.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    query: u64,
    /// The number of its value, [`NO_VALUE`] if nobody compares with it.
    value: u32,
    start: u32,
    length: u32,
}

const NO_VALUE: u32 = u32::MAX;

#[derive(Debug)]
struct Entry {
    scope: u32,
    conditions: Box<[Condition]>,
    filed: Filed,
}

/// A matcher, in numbers.
#[derive(Debug)]
struct Condition {
    name: u32,
    when_missing: bool,
    test: Test,
}

/// What a value that is there must be.
#[derive(Debug)]
enum Test {
    Is(u32),
    IsNot(u32),
    OneOf(Box<[u32]>),
    NoneOf(Box<[u32]>),
    Matches(Arc<Pattern>),
    MatchesNot(Arc<Pattern>),
    Any,
    None,
}

impl MatcherIndex {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Files the conjunction under this number; one that had it before is replaced.
    pub(crate) fn insert(&mut self, scope: u32, id: u32, matchers: &Matchers) {
        self.put(scope, id, matchers, true);
    }

    /// Takes the conjunction, but does not file it: it can be asked, but no query finds it.
    pub(crate) fn insert_unfiled(&mut self, id: u32, matchers: &Matchers) {
        self.put(0, id, matchers, false);
    }

    fn put(&mut self, scope: u32, id: u32, matchers: &Matchers, file: bool) {
        self.remove(id);
        let conditions: Box<[Condition]> =
            matchers.iter().map(|matcher| Condition::new(matcher, &mut self.vocabulary)).collect();
        let filed = if file {
            if self.scopes.len() <= scope as usize {
                self.scopes.resize_with(scope as usize + 1, Scope::default);
            }
            let scope = &mut self.scopes[scope as usize];
            let filed = scope.choose(matchers, &self.vocabulary);
            scope.add(&filed, id);
            filed
        } else {
            Filed::Nowhere
        };
        if self.entries.len() <= id as usize {
            self.entries.resize_with(id as usize + 1, || None);
            self.gates.resize(id as usize + 1, NO_GATE);
        }
        self.gates[id as usize] = Gate::of(&conditions);
        self.entries[id as usize] = Some(Entry { scope, conditions, filed });
    }

    /// Forgets the conjunction. Was it there?
    pub(crate) fn remove(&mut self, id: u32) -> bool {
        let Some(entry) = self.entries.get_mut(id as usize).and_then(Option::take) else {
            return false;
        };
        self.gates[id as usize] = NO_GATE;
        if let Some(scope) = self.scopes.get_mut(entry.scope as usize) {
            scope.remove(&entry.filed, id);
        }
        for condition in &entry.conditions {
            condition.release(&mut self.vocabulary);
        }
        true
    }

    /// The numbers of all conjunctions of the scope that hold for `labels`, ascending, behind what `found` has.
    pub(crate) fn query(
        &self,
        scope: u32,
        labels: &Labels,
        scratch: &mut IndexScratch,
        found: &mut Vec<u32>,
    ) {
        self.look_up(labels, scratch);
        let start = found.len();
        self.candidates(scope, labels, scratch, found);
        let mut kept = start;
        for at in start..found.len() {
            if self.holds(found[at], labels, scratch) {
                found[kept] = found[at];
                kept += 1;
            }
        }
        found.truncate(kept);
    }

    /// Looks the labels up, once for all that is asked about them.
    pub(crate) fn look_up(&self, labels: &Labels, scratch: &mut IndexScratch) {
        scratch.query += 1;
        scratch.names.clear();
        if scratch.seen.len() < self.vocabulary.names() {
            scratch.seen.resize(self.vocabulary.names(), Seen::default());
        }
        for (name, place) in labels.places() {
            let Some(name) = self.vocabulary.find_name(name) else { continue };
            let value = self.vocabulary.find_value(name, labels.bytes(place.clone()));
            if let Some(seen) = scratch.seen.get_mut(name as usize) {
                *seen = Seen {
                    query: scratch.query,
                    value: value.unwrap_or(NO_VALUE),
                    start: place.start as u32,
                    length: place.len() as u32,
                };
                scratch.names.push(name);
            }
        }
    }

    /// The conjunctions that may hold, ascending, behind what `found` has. `labels` have been looked up.
    pub(crate) fn candidates(
        &self,
        scope: u32,
        labels: &Labels,
        scratch: &IndexScratch,
        found: &mut Vec<u32>,
    ) {
        if let Some(scope) = self.scopes.get(scope as usize) {
            scope.candidates(labels, scratch, found);
        }
    }

    /// The same, ascending, where they stand in one list already.
    #[inline]
    pub(crate) fn one_list(&self, scope: u32, scratch: &IndexScratch) -> Option<&[u32]> {
        self.scopes.get(scope as usize)?.one_list(scratch)
    }

    /// Does this conjunction hold? `labels` have been looked up.
    #[inline]
    pub(crate) fn holds(&self, id: u32, labels: &Labels, scratch: &IndexScratch) -> bool {
        self.gates.get(id as usize).is_some_and(|gate| self.opens(*gate, id, labels, scratch))
    }

    /// What to ask this conjunction first; as long as it is not replaced.
    pub(crate) fn gate(&self, id: u32) -> Gate {
        self.gates.get(id as usize).copied().unwrap_or(NO_GATE)
    }

    /// As [`holds`](Self::holds), by the conjunction's gate.
    #[inline]
    pub(crate) fn opens(
        &self,
        gate: Gate,
        id: u32,
        labels: &Labels,
        scratch: &IndexScratch,
    ) -> bool {
        if gate.name != NO_GATE.name {
            if scratch.seen(gate.name).is_none_or(|seen| seen.value != gate.value) {
                return false;
            }
            if gate.alone {
                return true;
            }
        }
        self.holds_in_full(id, labels, scratch)
    }

    fn holds_in_full(&self, id: u32, labels: &Labels, scratch: &IndexScratch) -> bool {
        match self.entries.get(id as usize) {
            Some(Some(entry)) => entry.conditions.iter().all(|c| c.holds(labels, scratch)),
            _ => false,
        }
    }
}

impl Gate {
    fn of(conditions: &[Condition]) -> Self {
        let gate = conditions.iter().find_map(|condition| match condition.test {
            Test::Is(value) => Some((condition.name, value)),
            _ => None,
        });
        gate.map_or(NO_GATE, |(name, value)| Self { name, value, alone: conditions.len() == 1 })
    }
}

impl Seen {
    fn place(self) -> std::ops::Range<usize> {
        let start = self.start as usize;
        start..start + self.length as usize
    }
}

impl IndexScratch {
    /// The label by the number of its name, if the alert has it.
    fn seen(&self, name: u32) -> Option<Seen> {
        self.seen.get(name as usize).copied().filter(|seen| seen.query == self.query)
    }
}

impl Condition {
    fn new(matcher: &crate::Matcher, vocabulary: &mut Vocabulary) -> Self {
        let name = vocabulary.take_name(matcher.name());
        let positive = matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex);
        let test = match matcher.pattern() {
            None if matcher.value().is_empty() => {
                if positive {
                    Test::None
                } else {
                    Test::Any
                }
            }
            None => {
                let value = vocabulary.take_value(name, matcher.value());
                if positive { Test::Is(value) } else { Test::IsNot(value) }
            }
            Some(pattern) => match pattern.exact() {
                Some(texts) => {
                    let texts = texts.iter().filter(|text| !text.is_empty());
                    let mut values: Box<[u32]> =
                        texts.map(|text| vocabulary.take_value(name, text)).collect();
                    values.sort_unstable();
                    if positive { Test::OneOf(values) } else { Test::NoneOf(values) }
                }
                None if positive => Test::Matches(Arc::clone(pattern)),
                None => Test::MatchesNot(Arc::clone(pattern)),
            },
        };
        Self { name, when_missing: matcher.matches_value(""), test }
    }

    /// Gives the numbers back.
    fn release(&self, vocabulary: &mut Vocabulary) {
        match &self.test {
            Test::Is(value) | Test::IsNot(value) => vocabulary.release_value(self.name, *value),
            Test::OneOf(values) | Test::NoneOf(values) => {
                values.iter().for_each(|value| vocabulary.release_value(self.name, *value));
            }
            Test::Matches(_) | Test::MatchesNot(_) | Test::Any | Test::None => {}
        }
        vocabulary.release_name(self.name);
    }

    fn holds(&self, labels: &Labels, scratch: &IndexScratch) -> bool {
        let Some(seen) = scratch.seen(self.name) else { return self.when_missing };
        match &self.test {
            Test::Is(value) => seen.value == *value,
            Test::IsNot(value) => seen.value != *value,
            Test::OneOf(values) => values.binary_search(&seen.value).is_ok(),
            Test::NoneOf(values) => values.binary_search(&seen.value).is_err(),
            Test::Matches(pattern) => pattern.is_match(labels.text(seen.place())),
            Test::MatchesNot(pattern) => !pattern.is_match(labels.text(seen.place())),
            Test::Any => true,
            Test::None => false,
        }
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::Matcher;

    /// Every operator, on values that are there, missing, empty, alike; patterns of each shape.
    static MATCHERS: LazyLock<Vec<Matcher>> = LazyLock::new(|| {
        let values = ["", "x", "y", "xy", "xyz", "x\ny", "é", "éx"].map(|value| (value, false));
        let patterns = [
            "",
            "x",
            "x|y",
            "|x",
            "x.*",
            "xy.*|éx",
            ".*y",
            ".*y|x.*",
            "x.+",
            ".+",
            ".*",
            "(?s).*y.*",
            "x.*z",
            "[xy]+",
            "x[yz]*",
            "[^\\s\\S]",
            "(x|é).*",
            ".y.",
            "^xy$",
            "(?i)X",
            "x?y?",
            ".*z|é",
            "\\Bx.*|y",
        ]
        .map(|pattern| (pattern, true));
        let operands = values.into_iter().chain(patterns);
        operands
            .flat_map(|(value, is_pattern)| {
                let ops = if is_pattern {
                    [MatchOp::Regex, MatchOp::NotRegex]
                } else {
                    [MatchOp::Equal, MatchOp::NotEqual]
                };
                let all =
                    ops.into_iter().flat_map(|op| ["a", "b", "c", "d"].map(|name| (name, op)));
                all.map(move |(name, op)| Matcher::new(name, op, value).unwrap())
            })
            .collect()
    });

    fn any_matcher() -> impl Strategy<Value = Matcher> {
        (0..MATCHERS.len()).prop_map(|at| MATCHERS[at].clone())
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u32, u32, Matchers),
        Remove(u32),
        Query(u32, Labels),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let labels = prop::collection::btree_map("[a-e]", "[xyzé\\n]{0,4}", 0..5);
        let matchers = prop::collection::vec(any_matcher(), 0..4);
        prop_oneof![
            3 => (0..2_u32, 0..24_u32, matchers)
                .prop_map(|(scope, id, m)| Step::Insert(scope, id, Matchers::from(m))),
            1 => (0..24_u32).prop_map(Step::Remove),
            4 => (0..3_u32, labels).prop_map(|(scope, l)| Step::Query(scope, Labels::from(l))),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_its_naive_twin(steps in prop::collection::vec(any_step(), 0..60)) {
            let mut index = MatcherIndex::new();
            let mut twin = std::collections::BTreeMap::new();
            let (mut scratch, mut found) = (IndexScratch::default(), Vec::new());
            for step in steps {
                match step {
                    Step::Insert(scope, id, matchers) => {
                        index.insert(scope, id, &matchers);
                        twin.insert(id, (scope, matchers));
                    }
                    Step::Remove(id) => {
                        prop_assert_eq!(index.remove(id), twin.remove(&id).is_some());
                    }
                    Step::Query(scope, labels) => {
                        found.clear();
                        index.query(scope, &labels, &mut scratch, &mut found);
                        let expected: Vec<u32> = twin
                            .iter()
                            .filter(|(_, (of, matchers))| *of == scope && matchers.matches(&labels))
                            .map(|(id, _)| *id)
                            .collect();
                        prop_assert_eq!(&found, &expected, "{} in {}", labels, scope);
                    }
                }
            }
            // What has gone leaves nothing behind.
            for id in 0..24 {
                index.remove(id);
            }
            for scope in &index.scopes {
                prop_assert!(scope.is_empty(), "{:?}", scope);
            }
            prop_assert_eq!(index.vocabulary.in_use(), 0);
        }
    }

    #[test]
    fn a_query_asks_few() {
        let mut index = MatcherIndex::new();
        for id in 0..1000 {
            let matchers = match id % 4 {
                0 => format!("env=prod,team=team-{id}"),
                1 => format!("env=prod,host=~\"web-{id}-.*\""),
                2 => format!("env=prod,host=~\".*-{id}\""),
                _ => format!("env=prod,service=~\"a{id}|b{id}\""),
            };
            index.insert(0, id, &Matchers::parse(&matchers).unwrap());
        }
        let labels = |host: &str| {
            Labels::from([("env", "prod"), ("team", "team-8"), ("host", host), ("service", "b7")])
        };
        let (mut scratch, mut found) = (IndexScratch::default(), Vec::new());
        for (host, expected) in
            [("web-5-1", &[7, 8, 5][..]), ("web-5-6", &[5, 6, 7, 8]), ("db", &[7, 8])]
        {
            let labels = labels(host);
            index.look_up(&labels, &mut scratch);
            found.clear();
            index.candidates(0, &labels, &scratch, &mut found);
            // The first few are filed under what all share, since nobody shared it then.
            assert!(found.len() <= expected.len() + 12, "{found:?}");
            found.clear();
            index.query(0, &labels, &mut scratch, &mut found);
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(found, expected);
        }
    }
}
