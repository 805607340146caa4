//! What follows from conditions, as far as it can be proven. What cannot be is "no": a lint must not cry wolf.

use std::collections::{BTreeMap, BTreeSet};

use super::pattern;
use crate::{Labels, MatchOp, Matcher};

/// Conditions that hold together, by label.
#[derive(Debug, Clone, Default)]
pub(super) struct Premises<'a>(BTreeMap<&'a str, Known<'a>>);

#[derive(Debug, Clone, Default)]
struct Known<'a> {
    conditions: Vec<&'a Matcher>,
    /// All values that the label can have, if they are few; the empty one is a missing label.
    values: Option<BTreeSet<String>>,
}

impl<'a> Premises<'a> {
    pub(super) fn add(&mut self, condition: &'a Matcher) {
        let known = self.0.entry(condition.name()).or_default();
        known.conditions.push(condition);
        if let Some(texts) = texts(condition) {
            known.values = Some(match known.values.take() {
                Some(values) => values.intersection(&texts).cloned().collect(),
                None => texts,
            });
        }
        if let Some(values) = &mut known.values {
            values.retain(|value| known.conditions.iter().all(|one| holds(one, value)));
        }
    }

    /// Can no alert at all fulfill these?
    pub(super) fn contradictory(&self) -> bool {
        self.0.values().any(|known| match &known.values {
            Some(values) => values.is_empty(),
            None => known.conditions.iter().any(|one| {
                known.conditions.iter().any(|other| {
                    (one.op(), other.op()) == (MatchOp::Regex, MatchOp::NotRegex)
                        && one.value() == other.value()
                })
            }),
        })
    }

    /// The only value that the label can have.
    pub(super) fn only(&self, name: &str) -> Option<&str> {
        let values = self.0.get(name)?.values.as_ref()?;
        let mut values = values.iter();
        let first = values.next()?;
        values.next().is_none().then_some(first.as_str())
    }

    /// The labels that can have one value alone.
    pub(super) fn fixed(&self) -> impl Iterator<Item = (&'a str, &str)> {
        self.0.keys().filter_map(|name| Some((*name, self.only(name)?)))
    }

    /// Is the label there, whatever its value?
    pub(super) fn demand(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|known| known.conditions.iter().any(|one| !holds(one, "")))
    }

    /// Does `condition` hold for every alert that fulfills these?
    pub(super) fn imply(&self, condition: &Matcher) -> bool {
        let Some(known) = self.0.get(condition.name()) else { return false };
        if let Some(values) = &known.values {
            return values.iter().all(|value| holds(condition, value));
        }
        if known.conditions.contains(&condition) {
            return true;
        }
        let excluded = |value: &str| known.conditions.iter().any(|one| !holds(one, value));
        match condition.op() {
            MatchOp::NotEqual => excluded(condition.value()),
            MatchOp::NotRegex => pattern::texts(condition.value())
                .is_some_and(|texts| texts.iter().all(|text| excluded(text))),
            // Of several ways the premise is one.
            MatchOp::Regex => pattern::branches(condition.value()).is_some_and(|branches| {
                let mut premises = known.conditions.iter().filter(|one| one.op() == MatchOp::Regex);
                premises.any(|one| branches.contains(&one.value()))
            }),
            MatchOp::Equal => false,
        }
    }
}

impl<'a> FromIterator<&'a Matcher> for Premises<'a> {
    fn from_iter<I: IntoIterator<Item = &'a Matcher>>(conditions: I) -> Self {
        let mut premises = Self::default();
        conditions.into_iter().for_each(|condition| premises.add(condition));
        premises
    }
}

/// All values that fulfill `condition`, if they are few.
fn texts(condition: &Matcher) -> Option<BTreeSet<String>> {
    match condition.op() {
        MatchOp::Equal => Some(BTreeSet::from([condition.value().to_owned()])),
        MatchOp::Regex => Some(pattern::texts(condition.value())?.into_iter().collect()),
        _ => None,
    }
}

fn holds(condition: &Matcher, value: &str) -> bool {
    condition.matches(&Labels::from([(condition.name(), value)]))
}
