//! From rule files to a rule set: reads every file to its end and reports every mistake at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::check::Patterns;
use crate::cost;
use crate::definitions::File;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::document::{Node, NodeKind};
use crate::host::FunctionSpec;
use crate::index::{Index, Need};
use crate::intent::IntentSpec;
use crate::issue::Issue;
use crate::keys::{self, Keys};
use crate::names::Names;
use crate::program::Atoms;
use crate::record::FieldPath;
use crate::rule::{GroupField, Rule, RuleInfo, fnv1a};
use crate::ruleset::{Known, RuleSet};
use crate::schema::Schema;
use crate::source::{Source, SourceText};
use crate::window::Window;

/// After so many mistakes no more are looked for; nobody reads them, and a file may be made of nothing else.
pub(crate) const MAX_DIAGNOSTICS: usize = 1_000;

/// How many names with dots between them lead to a field. Records are walked down as deep as that.
const MAX_NAMES: usize = 64;

/// How many names there may be in all fields of a set: each takes about a kilobyte.
const MAX_ALL_NAMES: usize = 100_000;

/// Compiles rule files, with the intents that a host adds.
///
/// [`RuleSet::compile`] is the short way where the built-in intents are enough.
#[derive(Debug, Clone)]
pub struct Compiler {
    intents: Vec<IntentSpec>,
    functions: Vec<FunctionSpec>,
    max_rule_cost: u64,
    max_set_cost: u64,
}

impl Default for Compiler {
    fn default() -> Self {
        Self {
            intents: Vec::new(),
            functions: Vec::new(),
            max_rule_cost: cost::MAX_RULE,
            max_set_cost: cost::MAX_SET,
        }
    }
}

impl Compiler {
    /// The language as it comes: `notify`, `send_pagerduty`, `scale`, `keep_logs`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an intent of the host's own.
    #[must_use]
    pub fn intent(mut self, spec: IntentSpec) -> Self {
        self.intents.push(spec);
        self
    }

    /// Adds a function of the host's own to conditions.
    #[must_use]
    pub fn function(mut self, spec: FunctionSpec) -> Self {
        self.functions.push(spec);
        self
    }

    /// What each condition of a rule may cost at worst for one record; 10,000 unless the host says
    /// otherwise. One is about what it takes to compare a field with a constant, some nanoseconds; a
    /// pattern costs 20, a condition about the items of a list 16 times what it costs for one.
    #[must_use]
    pub fn max_rule_cost(mut self, cost: u64) -> Self {
        self.max_rule_cost = cost;
        self
    }

    /// What all rules of a set may cost together; 5,000,000 unless the host says otherwise.
    #[must_use]
    pub fn max_set_cost(mut self, cost: u64) -> Self {
        self.max_set_cost = cost;
        self
    }

    /// Compiles the sources into one set. What a file defines beside rules holds in all of them.
    ///
    /// # Errors
    ///
    /// Every mistake in every file (the first 1,000), with its place and remedy. There is no partial set.
    pub fn compile(&self, sources: &[SourceText]) -> Result<RuleSet, Diagnostics> {
        let mut session = Session {
            intents: &self.intents,
            functions: &self.functions,
            max_rule_cost: self.max_rule_cost,
            patterns: Patterns::new(),
            diagnostics: Vec::new(),
            warnings: Vec::new(),
            aliases: BTreeMap::new(),
            names: Names::default(),
            defined: 0,
            cost: 0,
            max_set_cost: self.max_set_cost,
            schema: Schema::default(),
            fields: Vec::new(),
            slots: HashMap::new(),
            atoms: Atoms::default(),
            field_names: 0,
            refused: None,
            rules: Vec::new(),
            rule_names: HashMap::new(),
        };
        let files: Vec<File<'_>> =
            sources.iter().filter_map(|source| session.read(source)).collect();
        session.definitions(&files);
        for (source, root) in &files {
            session.file(source, root);
        }
        session.unused(&files);
        session.costs(&files);
        if session.diagnostics.is_empty() {
            Ok(session.finish())
        } else {
            Err(Diagnostics::new(session.diagnostics))
        }
    }
}

pub(crate) struct Session<'c> {
    pub(crate) intents: &'c [IntentSpec],
    pub(crate) functions: &'c [FunctionSpec],
    pub(crate) max_rule_cost: u64,
    pub(crate) patterns: Patterns,
    diagnostics: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    pub(crate) aliases: BTreeMap<String, String>,
    /// Of `lists` and `macros`.
    pub(crate) names: Names,
    /// How many values and operators names stand for.
    pub(crate) defined: usize,
    /// Of all rules so far.
    cost: u64,
    max_set_cost: u64,
    pub(crate) schema: Schema,
    fields: Vec<FieldPath>,
    slots: HashMap<FieldPath, u32>,
    /// The terms that rules may share.
    pub(crate) atoms: Atoms,
    /// How many names there are in the fields.
    field_names: usize,
    /// Why a field of the rule at hand cannot be looked up.
    refused: Option<String>,
    /// With each, how it is found.
    rules: Vec<(Rule, Vec<Need>)>,
    /// Where each rule's name was given first.
    rule_names: HashMap<String, String>,
}

impl Session<'_> {
    pub(crate) fn report(&mut self, source: &Source<'_>, issues: impl IntoIterator<Item = Issue>) {
        let room = MAX_DIAGNOSTICS.saturating_sub(self.diagnostics.len());
        let issues = issues.into_iter().take(room);
        self.diagnostics.extend(issues.map(|issue| source.diagnose(issue)));
    }

    /// Keeps what is odd and no mistake.
    pub(crate) fn warn(&mut self, source: &Source<'_>, issues: impl IntoIterator<Item = Issue>) {
        let room = MAX_DIAGNOSTICS.saturating_sub(self.warnings.len());
        let issues = issues.into_iter().take(room);
        self.warnings.extend(issues.map(|issue| source.diagnose(issue)));
    }

    /// Complains if all rules together cost too much, where the costliest of them stands.
    fn costs(&mut self, files: &[File<'_>]) {
        let (total, limit) = (self.cost, self.max_set_cost);
        if total <= limit {
            return;
        }
        let infos = || self.rules.iter().map(|(rule, _)| &rule.info);
        let mut costliest: Vec<_> = infos().collect();
        costliest.sort_by_key(|info| std::cmp::Reverse(info.cost));
        let Some(first) = costliest.first() else { return };
        let Some((source, _)) = files.iter().find(|(source, _)| source.name == first.file) else {
            return;
        };
        let message = format!("the rules together cost {total} or more, and the limit is {limit}");
        let label = format!("{} of it", first.cost);
        let names = costliest.iter().take(3).map(|info| format!("{} ({})", info.name, info.cost));
        let help = format!("the costliest are {}", names.collect::<Vec<_>>().join(", "));
        let issue = Issue::new("E0207", first.span.clone(), message, label).help(help);
        self.report(source, [issue]);
    }

    /// The set of all rules: those of higher priority first, else in the order of the sources.
    fn finish(mut self) -> RuleSet {
        self.rules.sort_by_key(|(rule, _)| std::cmp::Reverse(rule.info.priority));
        let (rules, needs): (Vec<Rule>, Vec<Vec<Need>>) = self.rules.into_iter().unzip();
        let index = Index::new(&needs, self.fields.len());
        let warnings = Diagnostics::sorted(self.warnings);
        let known =
            Known { aliases: self.aliases, names: self.names, functions: self.functions.to_vec() };
        RuleSet::new(rules, self.fields, self.atoms.len(), known, index, warnings)
    }

    /// Whether more mistakes were found than anybody reads.
    pub(crate) fn is_full(&self) -> bool {
        self.diagnostics.len() >= MAX_DIAGNOSTICS
    }

    /// Reports issues that were found inside the text of a scalar.
    pub(crate) fn report_in(&mut self, source: &Source<'_>, node: &Node, mut issues: Vec<Issue>) {
        source.locate(node, &mut issues);
        self.report(source, issues);
    }

    fn read<'t>(&mut self, text: &'t SourceText) -> Option<(Source<'t>, Node)> {
        match text.read() {
            Ok(read) => Some(read),
            Err(diagnostic) => {
                if self.diagnostics.len() < MAX_DIAGNOSTICS {
                    self.diagnostics.push(*diagnostic);
                }
                None
            }
        }
    }

    /// A file is a map with `rules`, a bare list of rules, or one rule.
    fn file(&mut self, source: &Source<'_>, root: &Node) {
        match &root.kind {
            NodeKind::Seq(items) => self.list(source, items),
            NodeKind::Map(entries) if keys::is_rule(entries) => self.rule(source, root, 1),
            NodeKind::Map(entries) => {
                let mut issues = Vec::new();
                let keys = Keys::read(entries, &keys::FILE, &mut issues);
                match keys.get("rules") {
                    Some(Node { kind: NodeKind::Seq(items), .. }) => self.list(source, items),
                    Some(node) => issues.push(keys::no_list(node)),
                    None if keys.any() || !issues.is_empty() => {}
                    None => issues.push(keys::no_rules(root)),
                }
                self.report(source, issues);
            }
            NodeKind::Scalar { .. } => self.report(source, [keys::no_rules(root)]),
        }
    }

    fn list(&mut self, source: &Source<'_>, items: &[Node]) {
        for (index, item) in items.iter().enumerate() {
            // What costs too much is too much already, and more of it takes room.
            if self.is_full() || self.cost > self.max_set_cost {
                break;
            }
            self.rule(source, item, index + 1);
        }
    }

    fn rule(&mut self, source: &Source<'_>, node: &Node, position: usize) {
        let NodeKind::Map(entries) = &node.kind else {
            return self.report(source, [keys::no_rule(node)]);
        };
        let known = self.diagnostics.len();
        let mut issues = Vec::new();
        let keys = Keys::read(entries, &keys::RULE, &mut issues);
        // A misspelt key is one mistake, not also a missing one.
        let misspelt = !issues.is_empty();
        let name = self.name(source, &keys, position, node, &mut issues);
        for required in ["when", "then"] {
            if keys.get(required).is_none() && !misspelt {
                let first = entries.first().map_or(node, |(key, _)| key);
                let issue = Issue::new(
                    "E0103",
                    first.span.clone(),
                    format!("this rule has no `{required}`"),
                    "in this rule",
                );
                issues.push(match required {
                    "when" => issue.help("`when` is the condition; to act on every record that `where` lets through, write `when: true`"),
                    _ => issue.help("`then` says what to do: `notify()`, `notify('team')`, `scale('api', '+1')`"),
                });
            }
        }
        self.report(source, issues);
        let draft = self.draft(source, &keys);
        if let Some(message) = self.refused.take() {
            let span = entries.first().map_or(node, |(key, _)| key).span.clone();
            self.report(source, [Issue::new("E0107", span, message, "in this rule")]);
        }
        if self.diagnostics.len() == known {
            let line = source.line(node.span.start);
            let info = RuleInfo {
                name: name.into(),
                file: Arc::clone(&source.name),
                line,
                span: node.span.clone(),
                when: draft.when.into(),
                scope: draft.scope.map(Into::into),
                window: draft.window.as_ref().map(|window| window.over),
                by: draft.group.iter().map(|field| field.name.clone()).collect(),
                intents: draft.intents,
                labels: draft.labels,
                on_missing: draft.on_missing,
                cost: draft.cost,
                priority: draft.priority,
                keep_firing_for: draft.keep_firing_for,
            };
            let hash = semantic_hash(
                &info,
                &draft.meaning,
                draft.window.as_ref(),
                &draft.group,
                &self.fields,
            );
            let rule = Rule {
                info,
                lets: draft.lets,
                program: draft.program,
                window: draft.window,
                group: draft.group,
                captures: draft.captures,
                captured: draft.captured,
                sentence: draft.sentence,
                annotations: draft.annotations,
                arguments: draft.arguments,
                hash,
            };
            self.cost = self.cost.saturating_add(rule.info.cost);
            self.rules.push((rule, draft.needs));
        }
    }

    fn name(
        &mut self,
        source: &Source<'_>,
        keys: &Keys<'_>,
        position: usize,
        node: &Node,
        issues: &mut Vec<Issue>,
    ) -> String {
        let given = keys.get("name").map(|node| (node, keys::text(node, "`name`")));
        let (span, name) = match given {
            None => (node.span.start..node.span.start + 1, format!("{}#{position}", source.name)),
            Some((_, Err(issue))) => {
                issues.push(issue);
                return String::new();
            }
            Some((node, Ok(name))) => {
                let name = name.trim();
                if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
                    issues.push(Issue::new(
                        "E0109",
                        node.span.clone(),
                        "not a name for a rule",
                        "expected 1 to 200 bytes on one line",
                    ));
                    return String::new();
                }
                (node.span.clone(), name.to_owned())
            }
        };
        let place = format!("{}:{}", source.name, source.line(span.start));
        if let Some(first) = self.rule_names.get(&name) {
            let message = format!("a rule called `{name}` stands at {first} already");
            let issue = Issue::new("E0105", span, message, "the second of that name");
            issues.push(issue.help("names identify alerts and their state, so each is given once"));
        } else {
            self.rule_names.insert(name.clone(), place);
        }
        name
    }

    pub(crate) fn slot(&mut self, path: &str) -> u32 {
        let path = resolve(&self.aliases, path);
        if let Some(slot) = self.slots.get(&path) {
            return *slot;
        }
        let names = path.segments().len();
        if names > MAX_NAMES {
            let message =
                format!("a field has {names} names between dots; the limit is {MAX_NAMES}");
            self.refused = Some(message);
            return 0;
        }
        if self.field_names + names > MAX_ALL_NAMES {
            let message = format!("the rules mention more than {MAX_ALL_NAMES} names of fields");
            self.refused = Some(message);
            return 0;
        }
        self.field_names += names;
        let slot = self.fields.len() as u32;
        self.slots.insert(path.clone(), slot);
        self.fields.push(path.with_slot(slot));
        slot
    }

    pub(crate) fn resolved(&self, path: &str) -> String {
        resolve(&self.aliases, path).as_str().to_owned()
    }
}

/// A path as written, to the path that is looked up.
pub(crate) fn resolve(aliases: &BTreeMap<String, String>, path: &str) -> FieldPath {
    let path = FieldPath::new(path);
    aliases.get(path.as_str()).map_or(path, |target| FieldPath::new(target))
}

/// What makes two versions of a rule the same rule: everything but its annotations and spelling.
fn semantic_hash(
    info: &RuleInfo,
    meaning: &[String],
    window: Option<&Window>,
    group: &[GroupField],
    fields: &[FieldPath],
) -> u64 {
    let group: Vec<_> = group
        .iter()
        .map(|field| (&field.label, fields.get(field.slot as usize).map(FieldPath::as_str)))
        .collect();
    let window = window.map(|window| (window.over, window.needs));
    let intents: Vec<String> = info.intents.iter().map(ToString::to_string).collect();
    fnv1a(&format!(
        "{meaning:?} {window:?} {group:?} {intents:?} {:?} {:?} {:?}",
        info.labels, info.keep_firing_for, info.on_missing,
    ))
}
