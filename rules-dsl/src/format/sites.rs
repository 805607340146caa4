//! Where expressions stand in a rule file.

use std::collections::{BTreeMap, HashMap};

use crate::compile::MAX_DIAGNOSTICS;
use crate::diagnostic::Diagnostic;
use crate::document::{Node, NodeKind};
use crate::issue::Issue;
use crate::keys;
use crate::names::Scope;
use crate::parser::{Language, parse_actions, parse_condition};
use crate::source::Source;

/// What holds expressions, in a rule and beside the list of rules.
const IN_RULE: [(&str, Language, Shape); 4] = [
    ("when", Language::Condition, Shape::One),
    ("where", Language::Condition, Shape::One),
    ("then", Language::Actions, Shape::List),
    ("let", Language::Condition, Shape::Map),
];
const IN_FILE: [(&str, Language, Shape); 1] = [("macros", Language::Condition, Shape::Map)];

/// How the expressions lie in the value of a key.
#[derive(Debug, Clone, Copy)]
enum Shape {
    One,
    /// One, or a list of them.
    List,
    /// Each under a name.
    Map,
}

/// The expressions of a file.
#[derive(Debug)]
pub(super) struct Sites<'n> {
    /// By the place of the node in memory, because aliases give one place in the text to many.
    languages: HashMap<*const Node, Language>,
    /// By their place in the text.
    pub(super) nodes: BTreeMap<usize, (&'n Node, Language)>,
}

impl<'n> Sites<'n> {
    /// Finds them, and complains about those that cannot be read.
    pub(super) fn find(file: &Source<'_>, root: &'n Node) -> Result<Self, Vec<Diagnostic>> {
        let sites = Self { languages: HashMap::new(), nodes: BTreeMap::new() };
        let mut finder = Finder { file, sites, wrong: Vec::new() };
        finder.file(root);
        if !finder.wrong.is_empty() {
            return Err(finder.wrong);
        }
        Ok(finder.sites)
    }

    /// The kind of expression that a node is, if it is one.
    pub(super) fn language(&self, node: &Node) -> Option<Language> {
        self.languages.get(&std::ptr::from_ref(node)).copied()
    }
}

struct Finder<'f, 'n> {
    file: &'f Source<'f>,
    sites: Sites<'n>,
    wrong: Vec<Diagnostic>,
}

impl<'n> Finder<'_, 'n> {
    /// A file is a map with `rules`, a bare list of rules, or one rule.
    fn file(&mut self, root: &'n Node) {
        match &root.kind {
            NodeKind::Seq(items) => self.list(items),
            NodeKind::Map(entries) => {
                self.values(entries, &IN_FILE);
                match entries.iter().find(|(key, _)| is(key, "rules")) {
                    Some((_, Node { kind: NodeKind::Seq(items), .. })) => self.list(items),
                    Some((_, node)) => self.report([keys::no_list(node)]),
                    None if keys::is_rule(entries) => self.rule(root),
                    None if entries.iter().any(|(key, _)| is_any(key, &keys::FILE)) => {}
                    None => self.report([keys::no_rules(root)]),
                }
            }
            NodeKind::Scalar { .. } => self.report([keys::no_rules(root)]),
        }
    }

    fn list(&mut self, items: &'n [Node]) {
        for item in items {
            // What is not kept is not looked for.
            if self.wrong.len() == MAX_DIAGNOSTICS {
                break;
            }
            self.rule(item);
        }
    }

    fn rule(&mut self, node: &'n Node) {
        match &node.kind {
            NodeKind::Map(entries) => self.values(entries, &IN_RULE),
            _ => self.report([keys::no_rule(node)]),
        }
    }

    fn values(&mut self, entries: &'n [(Node, Node)], known: &[(&str, Language, Shape)]) {
        for (key, value) in entries {
            let Some((name, language, shape)) = known.iter().find(|(name, ..)| is(key, name))
            else {
                continue;
            };
            let mut issues = Vec::new();
            let nodes: Vec<&Node> = match (shape, &value.kind) {
                (Shape::List, NodeKind::Seq(_)) => keys::texts(value, "an intent", &mut issues),
                (Shape::Map, _) => {
                    let entries = keys::map(value, name, &mut issues);
                    entries.into_iter().map(|(.., node)| node).collect()
                }
                _ => vec![value],
            };
            self.report(issues);
            for node in nodes {
                self.expression(name, node, *language);
            }
        }
    }

    fn expression(&mut self, key: &str, node: &'n Node, language: Language) {
        let text = match keys::expression(self.file.text, node, key) {
            Ok(text) => text,
            Err(issue) => return self.report([issue]),
        };
        let parsed = match language {
            Language::Condition => parse_condition(text, Scope::default()).map(drop),
            Language::Actions => parse_actions(text).map(drop),
        };
        match parsed {
            Ok(()) => {
                self.sites.languages.insert(std::ptr::from_ref(node), language);
                self.sites.nodes.insert(node.span.start, (node, language));
            }
            Err(mut issues) => {
                keys::blame_remark(self.file.text, node, &mut issues);
                self.file.locate(node, &mut issues);
                self.report(issues);
            }
        }
    }

    fn report(&mut self, issues: impl IntoIterator<Item = Issue>) {
        let room = MAX_DIAGNOSTICS.saturating_sub(self.wrong.len());
        let issues = issues.into_iter().take(room);
        self.wrong.extend(issues.map(|issue| self.file.diagnose(issue)));
    }
}

fn is_any(key: &Node, names: &[&str]) -> bool {
    names.iter().any(|name| is(key, name))
}

fn is(key: &Node, name: &str) -> bool {
    matches!(&key.kind, NodeKind::Scalar { text, .. } if text == name)
}
