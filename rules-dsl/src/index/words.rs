//! Which of many words a text begins with, ends with, or has in it.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use rustc_hash::FxHashMap;

use super::found::Found;

/// Words of so many bytes in all make an automaton that is quick and not too large.
const QUICK_BYTES: usize = 16 << 10;

/// Words at one end of a text.
#[derive(Debug, Default)]
pub(super) struct Ends {
    rules: FxHashMap<Box<str>, Vec<u32>>,
    /// How long they are, each once, ascending.
    lengths: Vec<usize>,
}

impl Ends {
    pub(super) fn add(&mut self, word: &str, rule: u32) {
        push(&mut self.rules, word, rule);
        if let Err(at) = self.lengths.binary_search(&word.len()) {
            self.lengths.insert(at, word.len());
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Adds what the words belong to with which a text begins.
    pub(super) fn begin(&self, text: &str, out: &mut Found) {
        self.find(out, |length| text.get(..length));
    }

    /// The same for its end.
    pub(super) fn end(&self, text: &str, out: &mut Found) {
        self.find(out, |length| text.get(text.len().checked_sub(length)?..));
    }

    fn find<'t>(&self, out: &mut Found, part: impl Fn(usize) -> Option<&'t str>) {
        for part in self.lengths.iter().filter_map(|length| part(*length)) {
            if let Some(rules) = self.rules.get(part) {
                out.add(rules);
            }
        }
    }
}

/// Words anywhere in a text.
#[derive(Debug)]
pub(super) struct Words {
    finder: AhoCorasick,
    /// By the number of the word.
    rules: Vec<Vec<u32>>,
}

impl Words {
    /// `None` if there are no words.
    pub(super) fn new(words: FxHashMap<Box<str>, Vec<u32>>) -> Option<Result<Self, Vec<u32>>> {
        let bytes: usize = words.keys().map(|word| word.len()).sum();
        let (words, rules): (Vec<_>, Vec<_>) = words.into_iter().unzip();
        if words.is_empty() {
            return None;
        }
        let kind = match bytes <= QUICK_BYTES {
            true => AhoCorasickKind::DFA,
            false => AhoCorasickKind::ContiguousNFA,
        };
        let build = |kind| {
            let patterns = words.iter().map(|word| word.as_bytes());
            AhoCorasick::builder().match_kind(MatchKind::Standard).kind(Some(kind)).build(patterns)
        };
        // It fails only if there is more of it than can be numbered, which no rule file reaches.
        let finder = build(kind).or_else(|_| build(AhoCorasickKind::NoncontiguousNFA));
        Some(match finder {
            Ok(finder) => Ok(Self { finder, rules }),
            Err(_) => Err(rules.into_iter().flatten().collect()),
        })
    }

    /// Adds what the words in a text belong to, once each, however often they are in it.
    pub(super) fn find(&self, text: &str, out: &mut Found) {
        out.begin(self.rules.len());
        for found in self.finder.find_overlapping_iter(text) {
            let word = found.pattern().as_usize();
            if out.is_first(word) {
                out.add(&self.rules[word]);
            }
        }
    }
}

pub(super) fn push(rules: &mut FxHashMap<Box<str>, Vec<u32>>, key: &str, rule: u32) {
    match rules.get_mut(key) {
        Some(rules) => rules.push(rule),
        None => drop(rules.insert(key.into(), vec![rule])),
    }
}
