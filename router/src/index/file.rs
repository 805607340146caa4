//! Where a conjunction is filed, and how an alert leads to it.

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
    heads: Ends,
    tails: Ends,
    present: Vec<u32>,
}

/// Beginnings or ends of values. There are few lengths, so a value is cut to each and looked up.
#[derive(Debug, Default)]
struct Ends {
    lists: FxHashMap<Box<[u8]>, Vec<u32>>,
    /// The lengths that there are, ascending, each with the number of texts that have it.
    lengths: Vec<(usize, usize)>,
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
                .chain(heads.iter().map(|end| length(postings.heads.lists.get(end))))
                .chain(tails.iter().map(|end| length(postings.tails.lists.get(end))))
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
            heads.iter().for_each(|end| postings.heads.settle(end));
            tails.iter().for_each(|end| postings.tails.settle(end));
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
        heads.iter().for_each(|end| act(postings.heads.list(end)));
        tails.iter().for_each(|end| act(postings.tails.list(end)));
    }

    /// The candidates, if they stand in one list already: all conjunctions are filed under exact values of one label.
    #[inline]
    pub(super) fn one_list(&self, scratch: &IndexScratch) -> Option<&[u32]> {
        let [(name, postings)] = &self.labels[..] else { return None };
        if !(self.always.is_empty() && postings.present.is_empty() && postings.has_no_ends()) {
            return None;
        }
        let value = scratch.seen(*name).map_or(NO_VALUE, |seen| seen.value);
        Some(postings.exact.get(&value).map_or(&[], Vec::as_slice))
    }

    pub(super) fn candidates(&self, labels: &Labels, scratch: &IndexScratch, found: &mut Vec<u32>) {
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
    fn has_no_ends(&self) -> bool {
        self.heads.lengths.is_empty() && self.tails.lengths.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.has_no_ends() && self.present.is_empty()
    }

    fn candidates(
        &self,
        name: u32,
        labels: &Labels,
        scratch: &IndexScratch,
        gather: &mut Gather<'_>,
    ) {
        let Some(seen) = scratch.seen(name) else { return };
        gather.take(&self.present);
        if seen.value != NO_VALUE
            && let Some(list) = self.exact.get(&seen.value)
        {
            gather.take(list);
        }
        if self.has_no_ends() {
            return;
        }
        let value = labels.bytes(seen.place());
        for (length, _) in &self.heads.lengths {
            let Some(head) = value.get(..*length) else { break };
            gather.take(self.heads.lists.get(head).map_or(&[], Vec::as_slice));
        }
        for (length, _) in &self.tails.lengths {
            let Some(start) = value.len().checked_sub(*length) else { break };
            gather.take(self.tails.lists.get(&value[start..]).map_or(&[], Vec::as_slice));
        }
    }
}

impl Ends {
    /// The list of this text, which may be new.
    fn list(&mut self, end: &[u8]) -> &mut Vec<u32> {
        if !self.lists.contains_key(end) {
            match self.lengths.binary_search_by_key(&end.len(), |(length, _)| *length) {
                Ok(at) => self.lengths[at].1 += 1,
                Err(at) => self.lengths.insert(at, (end.len(), 1)),
            }
        }
        self.lists.entry(end.into()).or_default()
    }

    /// Forgets the text if nobody is filed under it any more.
    fn settle(&mut self, end: &[u8]) {
        if !self.lists.get(end).is_some_and(Vec::is_empty) {
            return;
        }
        self.lists.remove(end);
        if let Ok(at) = self.lengths.binary_search_by_key(&end.len(), |(length, _)| *length) {
            self.lengths[at].1 -= 1;
            if self.lengths[at].1 == 0 {
                self.lengths.remove(at);
            }
        }
    }
}

/// Where one condition would file its conjunction; `None` if a missing label meets it.
fn filed(matcher: &Matcher, vocabulary: &Vocabulary) -> Option<Filed> {
    if matcher.matches_value("") {
        return None;
    }
    let name = vocabulary.find_name(matcher.name().as_bytes())?;
    let numbers = |texts: &[&str]| -> Option<Box<[u32]>> {
        texts.iter().map(|text| vocabulary.find_value(name, text.as_bytes())).collect()
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
            let tails: Box<[Box<[u8]>]> = needs.tails.iter().copied().map(Into::into).collect();
            if heads.is_empty() && tails.is_empty() {
                return Some(Filed::Present { name });
            }
            Some(Filed::Under { name, exact: Box::default(), heads, tails })
        }
        // `!=""`, or `!~` of a pattern that matches nothing at all: the label has to be there.
        _ => Some(Filed::Present { name }),
    }
}
