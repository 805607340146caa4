//! Names that stand for something other than a field: `lists` and `macros` of a set, the `let` of a rule.
//!
//! A name is replaced by the tree that it stands for when the text around it is parsed. So everything
//! behind the parser, types, index and evaluation, sees one tree and knows of no names.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ast::{Ast, Kind};

/// What one name stands for.
#[derive(Debug)]
pub(crate) struct Definition {
    /// None where it is wrong, which is complained about once and not wherever it is used.
    pub(crate) ast: Option<Ast>,
    /// "a macro", "a list", …
    pub(crate) what: &'static str,
    is_used: AtomicBool,
}

/// Names by their spelling.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: HashMap<String, Definition>,
}

/// What is known where a text stands: the names of the rule go before those of the set.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scope<'n> {
    pub(crate) rule: Option<&'n Names>,
    pub(crate) set: Option<&'n Names>,
}

impl Definition {
    pub(crate) fn new(what: &'static str, ast: Option<Ast>) -> Self {
        Self { ast, what, is_used: AtomicBool::new(false) }
    }
}

impl Names {
    pub(crate) fn get(&self, name: &str) -> Option<&Definition> {
        self.known.get(name)
    }

    pub(crate) fn insert(&mut self, name: String, definition: Definition) {
        self.known.insert(name, definition);
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.known.extend(more.known);
    }

    pub(crate) fn is_used(&self, name: &str) -> bool {
        self.known.get(name).is_none_or(|known| known.is_used.load(Ordering::Relaxed))
    }
}

impl<'n> Scope<'n> {
    pub(crate) fn get(&self, name: &str) -> Option<&'n Definition> {
        let found =
            [self.rule, self.set].into_iter().flatten().find_map(|names| names.get(name))?;
        found.is_used.store(true, Ordering::Relaxed);
        Some(found)
    }
}

/// The order in which definitions can be read, each behind those that it uses, and the circles of those
/// that use themselves. What uses one of a circle, and is in none, is in neither.
pub(crate) struct Sorted {
    pub(crate) order: Vec<usize>,
    pub(crate) circles: Vec<Vec<usize>>,
}

/// Sorts definitions by what they use; `trees` are as written, with names for fields.
pub(crate) fn sort(names: &[&str], trees: &[Option<Ast>]) -> Sorted {
    let by_name: BTreeMap<&str, usize> =
        names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
    let mut uses: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
    for (user, tree) in trees.iter().enumerate() {
        let Some(tree) = tree else { continue };
        for (_, node) in tree.iter() {
            let Kind::Field(name) = &node.kind else { continue };
            if let Some(used) = by_name.get(name.as_str()) {
                users[*used].push(user);
                uses[user].push(*used);
            }
        }
    }
    let mut waits: Vec<usize> = uses.iter().map(Vec::len).collect();
    let mut order: Vec<usize> = (0..names.len()).filter(|at| waits[*at] == 0).collect();
    let mut next = 0;
    while let Some(at) = order.get(next).copied() {
        next += 1;
        for user in &users[at] {
            waits[*user] -= 1;
            if waits[*user] == 0 {
                order.push(*user);
            }
        }
    }
    let waiting = |at: &usize| waits[*at] > 0;
    let mut walked: Vec<Option<usize>> = vec![None; names.len()];
    let mut circles = Vec::new();
    for start in (0..names.len()).filter(waiting) {
        // What waits uses something that waits, so that this ends where somebody was before.
        let (mut at, mut path) = (start, Vec::new());
        while walked[at].is_none() {
            walked[at] = Some(start);
            path.push(at);
            at = uses[at].iter().copied().find(waiting).unwrap_or(at);
        }
        if walked[at] == Some(start) {
            let from = path.iter().position(|on| *on == at).unwrap_or_default();
            circles.push(path.split_off(from));
        }
    }
    Sorted { order, circles }
}
