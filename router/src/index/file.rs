//! Where a conjunction is filed, and how an alert leads to it.

use std::collections::BTreeMap;
use std::ops::Bound;

use rustc_hash::FxHashMap;

use super::vocabulary::Vocabulary;
use super::{IndexScratch, NO_VALUE};
use crate::{Labels, MatchOp, Matcher, Matchers};

/// The conjunctions that one query can find.
#[derive(Debug, Default)]
pub(super) struct Scope {
    always: Vec<u32>,
    /// By the number of the name, ascending.
    labels: Vec<(u32, Postings)>,
}

/// The conjunctions that are filed under one label. Every list is ascending.
#[derive(Debug, Default)]
struct Postings {
    exact: FxHashMap<u32, Vec<u32>>,
    heads: BTreeMap<Box<[u8]>, Vec<u32>>,
    /// The ends of values, back to front.
    tails: BTreeMap<Box<[u8]>, Vec<u32>>,
    present: Vec<u32>,
}

/// Where one conjunction is filed.
#[derive(Debug, PartialEq)]
pub(super) enum Filed {
    Always,
    /// It holds for no alert, or is not to be found.
    Nowhere,
    /// If the label is there.
    Present {
        name: u32,
    },
    /// Under each of these.
    Under {
        name: u32,
        exact: Box<[u32]>,
        heads: Box<[Box<[u8]>]>,
        tails: Box<[Box<[u8]>]>,
    },
}

impl Scope {
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.always.is_empty() && self.labels.is_empty()
    }

    /// The condition that leaves the fewest candidates, as far as can be told from what is filed already.
    pub(super) fn choose(&self, matchers: &Matchers, vocabulary: &Vocabulary) -> Filed {
        let mut best = (usize::MAX, Filed::Always);
        for matcher in matchers {
            let Some(filed) = filed(matcher, vocabulary) else { continue };
            let cost = self.cost(&filed);
            if cost < best.0 {
                best = (cost, filed);
            }
        }
        best.1
    }

    /// How many others share the fullest place, and what a look-up of that kind is worth, in candidates.
    fn cost(&self, filed: &Filed) -> usize {
        let (name, kind) = match filed {
            Filed::Nowhere => return 0,
            Filed::Always => return usize::MAX,
            Filed::Present { name } => (*name, 64),
            Filed::Under { name, heads, tails, .. } if heads.is_empty() && tails.is_empty() => {
                (*name, 0)
            }
            Filed::Under { name, heads, tails, .. } => {
                // A long text says more than a short one.
                let lengths = heads.iter().chain(tails).map(|end| end.len());
                let shortest = lengths.min().unwrap_or(0);
                (*name, if tails.is_empty() { 2 } else { 4 } + 16 / shortest.max(1))
            }
        };
        let Some(postings) = self.label(name) else { return kind };
        let length = |list: Option<&Vec<u32>>| list.map_or(0, Vec::len);
        kind + match filed {
            Filed::Under { exact, heads, tails, .. } => exact
                .iter()
                .map(|value| length(postings.exact.get(value)))
                .chain(heads.iter().map(|end| length(postings.heads.get(end))))
                .chain(tails.iter().map(|end| length(postings.tails.get(end))))
                .max()
                .unwrap_or(0),
            _ => postings.present.len(),
        }
    }

    fn label(&self, name: u32) -> Option<&Postings> {
        let at = self.labels.binary_search_by_key(&name, |(name, _)| *name).ok()?;
        self.labels.get(at).map(|(_, postings)| postings)
    }

    pub(super) fn add(&mut self, filed: &Filed, id: u32) {
        self.each_list(filed, |list| {
            // Configurations come in order: mostly it is the last.
            let at = if list.last().is_none_or(|last| *last < id) {
                Err(list.len())
            } else {
                list.binary_search(&id)
            };
            if let Err(at) = at {
                list.insert(at, id);
            }
        });
    }

    pub(super) fn remove(&mut self, filed: &Filed, id: u32) {
        self.each_list(filed, |list| {
            if let Ok(at) = list.binary_search(&id) {
                list.remove(at);
            }
        });
        // What is empty now goes, so that a place that was used once costs nothing for ever.
        let (Filed::Present { name } | Filed::Under { name, .. }) = filed else { return };
        let Ok(at) = self.labels.binary_search_by_key(name, |(name, _)| *name) else { return };
        let postings = &mut self.labels[at].1;
        if let Filed::Under { exact, heads, tails, .. } = filed {
            for value in exact {
                if postings.exact.get(value).is_some_and(Vec::is_empty) {
                    postings.exact.remove(value);
                }
            }
            for (ends, lists) in [(heads, &mut postings.heads), (tails, &mut postings.tails)] {
                for end in ends {
                    if lists.get(end).is_some_and(Vec::is_empty) {
                        lists.remove(end);
                    }
                }
            }
        }
        if postings.is_empty() {
            self.labels.remove(at);
        }
    }

    fn each_list(&mut self, filed: &Filed, mut act: impl FnMut(&mut Vec<u32>)) {
        let name = match filed {
            Filed::Nowhere => return,
            Filed::Always => return act(&mut self.always),
            Filed::Present { name } | Filed::Under { name, .. } => *name,
        };
        let at = match self.labels.binary_search_by_key(&name, |(name, _)| *name) {
            Ok(at) => at,
            Err(at) => {
                self.labels.insert(at, (name, Postings::default()));
                at
            }
        };
        let postings = &mut self.labels[at].1;
        let Filed::Under { exact, heads, tails, .. } = filed else {
            return act(&mut postings.present);
        };
        exact.iter().for_each(|value| act(postings.exact.entry(*value).or_default()));
        heads.iter().for_each(|end| act(postings.heads.entry(end.clone()).or_default()));
        tails.iter().for_each(|end| act(postings.tails.entry(end.clone()).or_default()));
    }

    pub(super) fn candidates(
        &self,
        labels: &Labels,
        scratch: &mut IndexScratch,
        found: &mut Vec<u32>,
    ) {
        let start = found.len();
        let mut gather = Gather { found, lists: 0 };
        gather.take(&self.always);
        // Whichever are fewer: the labels that are filed under, or those that the alert has.
        if self.labels.len() <= scratch.names.len() {
            for (name, postings) in &self.labels {
                postings.candidates(*name, labels, scratch, &mut gather);
            }
        } else {
            for at in 0..scratch.names.len() {
                let name = scratch.names[at];
                if let Some(postings) = self.label(name) {
                    postings.candidates(name, labels, scratch, &mut gather);
                }
            }
        }
        if gather.lists > 1 {
            found[start..].sort_unstable();
            let mut kept = start;
            for at in start..found.len() {
                if at == start || found[at] != found[kept - 1] {
                    found[kept] = found[at];
                    kept += 1;
                }
            }
            found.truncate(kept);
        }
    }
}

struct Gather<'a> {
    found: &'a mut Vec<u32>,
    lists: usize,
}

impl Gather<'_> {
    fn take(&mut self, list: &[u32]) {
        if !list.is_empty() {
            self.found.extend_from_slice(list);
            self.lists += 1;
        }
    }
}

impl Postings {
    fn is_empty(&self) -> bool {
        self.exact.is_empty()
            && self.heads.is_empty()
            && self.tails.is_empty()
            && self.present.is_empty()
    }

    fn candidates(
        &self,
        name: u32,
        labels: &Labels,
        scratch: &mut IndexScratch,
        gather: &mut Gather<'_>,
    ) {
        let Some(seen) = scratch.seen(name) else { return };
        gather.take(&self.present);
        if seen.value != NO_VALUE
            && let Some(list) = self.exact.get(&seen.value)
        {
            gather.take(list);
        }
        if self.heads.is_empty() && self.tails.is_empty() {
            return;
        }
        let value = labels.text(seen.start..seen.end).as_bytes();
        each_beginning(&self.heads, value, gather);
        if !self.tails.is_empty() {
            scratch.reversed.clear();
            scratch.reversed.extend(value.iter().rev());
            each_beginning(&self.tails, &scratch.reversed, gather);
        }
    }
}

/// The lists of all texts that `value` begins with.
///
/// The greatest text that is not greater than `value` either is such a beginning, or shares one with it: whatever
/// `value` begins with, that text begins with as well. So each step leaves a shorter value to look for, and there are
/// about as many steps as beginnings.
fn each_beginning(
    lists: &BTreeMap<Box<[u8]>, Vec<u32>>,
    mut value: &[u8],
    gather: &mut Gather<'_>,
) {
    loop {
        let up_to = (Bound::Unbounded, Bound::Included(value));
        let Some((text, list)) = lists.range::<[u8], _>(up_to).next_back() else { return };
        let shared = text.iter().zip(value).take_while(|(a, b)| a == b).count();
        let shorter = if shared == text.len() {
            gather.take(list);
            shared.checked_sub(1)
        } else {
            Some(shared)
        };
        match shorter.and_then(|length| value.get(..length)) {
            Some(shorter) if !shorter.is_empty() => value = shorter,
            _ => return,
        }
    }
}

/// Where one condition would file its conjunction; `None` if a missing label meets it.
fn filed(matcher: &Matcher, vocabulary: &Vocabulary) -> Option<Filed> {
    if matcher.matches_value("") {
        return None;
    }
    let name = vocabulary.name(matcher.name())?;
    let numbers = |texts: &[&str]| -> Option<Box<[u32]>> {
        texts.iter().map(|text| vocabulary.value(name, text)).collect()
    };
    let under = |exact| Filed::Under { name, exact, heads: Box::default(), tails: Box::default() };
    match (matcher.op(), matcher.pattern()) {
        (MatchOp::Equal, _) => Some(under(numbers(&[matcher.value()])?)),
        (MatchOp::Regex, Some(pattern)) => {
            let needs = pattern.needs();
            if needs.nothing {
                return Some(Filed::Nowhere);
            }
            if pattern.exact().is_some() {
                return Some(under(numbers(&needs.exact)?));
            }
            // Beside texts with gaps an exact one is looked up as a beginning: its number is not known.
            let exact = needs.exact.iter().map(|text| text.as_bytes());
            let heads: Box<[Box<[u8]>]> =
                needs.heads.iter().copied().chain(exact).map(Into::into).collect();
            let tails: Box<[Box<[u8]>]> =
                needs.tails.iter().map(|end| end.iter().rev().copied().collect()).collect();
            if heads.is_empty() && tails.is_empty() {
                return Some(Filed::Present { name });
            }
            Some(Filed::Under { name, exact: Box::default(), heads, tails })
        }
        // `!=""`, or `!~` of a pattern that matches nothing at all: the label has to be there.
        _ => Some(Filed::Present { name }),
    }
}
