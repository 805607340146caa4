//! One rule, key by key: what each of them says, and what is wrong with it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::ast::{Ast, CompareOp, ExprId, Kind};
use crate::check::{self, Checked, Known};
use crate::compile::Session;
use crate::cost::Cost;
use crate::document::{Node, NodeKind};
use crate::index::{self, Need};
use crate::intent::{self, Hole, Intent};
use crate::issue::Issue;
use crate::keys::{self, Keys};
use crate::names::{Names, Scope};
use crate::parser::parse_condition;
use crate::program::Program;
use crate::record::FieldPath;
use crate::rule::{GroupField, OnMissing, Piece, is_label_name, label_name};
use crate::source::Source;
use crate::template::{Template, is_path};
use crate::window::{self, Window};

/// How long a record rule's episode outlives its last match, unless the rule says otherwise.
const KEEP_FIRING_FOR: Duration = Duration::from_secs(300);

/// How many fields may split a rule's records into groups.
const MAX_BY: usize = 32;

/// The parts of a rule as they come together.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) when: String,
    pub(crate) scope: Option<String>,
    pub(crate) program: Program,
    /// How records are found for which it can hold, term by term.
    pub(crate) needs: Vec<Need>,
    pub(crate) window: Option<Window>,
    pub(crate) group: Vec<GroupField>,
    pub(crate) captures: Vec<u32>,
    /// Where each slot stands among them.
    capture_of: HashMap<u32, usize>,
    pub(crate) captured: Vec<Arc<str>>,
    pub(crate) sentence: Vec<Piece>,
    pub(crate) annotations: Vec<(String, Template)>,
    pub(crate) intents: Vec<Intent>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) arguments: Vec<Hole>,
    pub(crate) lets: Option<Box<Names>>,
    pub(crate) on_missing: OnMissing,
    pub(crate) priority: i32,
    pub(crate) cost: u64,
    pub(crate) keep_firing_for: Duration,
    pub(crate) meaning: Vec<String>,
}

impl Draft {
    fn capture(&mut self, path: &str, slot: u32) -> usize {
        *self.capture_of.entry(slot).or_insert_with(|| {
            self.captures.push(slot);
            self.captured.push(FieldPath::new(path).text());
            self.captures.len() - 1
        })
    }

    /// Adds a `by` field; refuses one that would lose its label to another, because then groups could
    /// not be told apart as alerts.
    fn group_by(&mut self, path: &str, slot: u32, span: Range<usize>) -> Result<(), Issue> {
        if self.group.iter().any(|field| field.slot == slot) {
            return Ok(());
        }
        if self.group.len() == MAX_BY {
            let message = format!("a rule is grouped by at most {MAX_BY} fields");
            return Err(Issue::new("E0107", span, message, "one too many"));
        }
        let name = FieldPath::new(path).as_str().to_owned();
        let label = label_name(&name);
        let other = match self.group.iter().find(|field| field.label == label) {
            Some(other) => format!("of `{}`", other.name),
            None if label == "alertname" => "of the rule's name".to_owned(),
            None => {
                self.group.push(GroupField { name, label, slot });
                return Ok(());
            }
        };
        let message = format!("`{name}` would share the label `{label}` {other}");
        let issue = Issue::new("E0109", span, message, "each label comes from one place");
        Err(issue.help("give the field another name under `aliases:` and group by that"))
    }
}

impl Session<'_> {
    /// Reads every key but the name.
    pub(crate) fn draft(&mut self, source: &Source<'_>, keys: &Keys<'_>) -> Draft {
        let mut draft = Draft::default();
        if let Some(node) = keys.get("let") {
            draft.lets = Some(Box::new(self.lets(source, node)));
        }
        self.on_missing(source, keys, &mut draft);
        self.conditions(source, keys, &mut draft);
        if draft.on_missing != OnMissing::NoMatch {
            // Where nothing is there, nothing can be looked up.
            draft.needs.clear();
        }
        self.intents(source, keys, &mut draft);
        self.grouping(source, keys, &mut draft);
        self.labels(source, keys, &mut draft);
        self.annotations(source, keys, &mut draft);
        self.keep_firing_for(source, keys, &mut draft);
        self.priority(source, keys, &mut draft);
        if let (Some(node), Some(lets)) = (keys.get("let"), &draft.lets) {
            self.unused_lets(source, node, lets);
        }
        draft
    }

    fn conditions(&mut self, source: &Source<'_>, keys: &Keys<'_>, draft: &mut Draft) {
        if let Some((node, text, ast)) = self.parsed(source, keys, "where", draft) {
            let known = Known { schema: &self.schema, functions: self.functions };
            match check::check(&ast, text, &[], &mut self.patterns, known) {
                Err(issues) => self.report_in(source, node, issues),
                Ok(checked) => {
                    self.odd(source, keys, node, &checked);
                    self.cost(source, node, &ast, &checked, draft);
                    let terms = ast.conjuncts();
                    self.program(&ast, &checked, &terms, draft);
                    draft.scope = Some(text.trim().to_owned());
                    draft.meaning.push(ast.fingerprint(ast.root, &|path| self.resolved(path)));
                }
            }
        }
        if let Some((node, text, ast)) = self.parsed(source, keys, "when", draft) {
            let split = match window::split(&ast) {
                Ok(split) => split,
                Err(issues) => return self.report_in(source, node, issues),
            };
            let (windows, patterns) = (&split.windows, &mut self.patterns);
            let known = Known { schema: &self.schema, functions: self.functions };
            let checked = match check::check(&ast, text, windows, patterns, known) {
                Ok(checked) => checked,
                Err(issues) => return self.report_in(source, node, issues),
            };
            self.odd(source, keys, node, &checked);
            self.cost(source, node, &ast, &checked, draft);
            self.program(&ast, &checked, &split.terms, draft);
            draft.when = text.trim().to_owned();
            for term in &split.terms {
                draft.meaning.push(ast.fingerprint(*term, &|path| self.resolved(path)));
                self.sentence(&ast, text, *term, draft);
            }
            if let Some(window) = &split.window {
                for (path, span) in &window.by {
                    let slot = self.slot(path);
                    let unknown = self.no_field(path, span.clone(), draft);
                    let found = unknown.map_or(Ok(()), Err);
                    if let Err(issue) =
                        found.and_then(|()| draft.group_by(path, slot, span.clone()))
                    {
                        self.report_in(source, node, vec![issue]);
                        break;
                    }
                }
            }
            draft.window = split.window;
        }
    }

    /// Compiles terms, and finds out how they are looked up.
    fn program(&mut self, ast: &Ast, checked: &Checked, terms: &[ExprId], draft: &mut Draft) {
        let mut atoms = std::mem::take(&mut self.atoms);
        let slots = &mut |path: &str| self.slot(path);
        draft.program.extend(ast, checked, terms, slots, &mut atoms);
        index::collect(ast, checked, terms, slots, &mut draft.needs);
        self.atoms = atoms;
    }

    fn parsed<'n>(
        &mut self,
        source: &Source<'_>,
        keys: &Keys<'n>,
        key: &str,
        draft: &Draft,
    ) -> Option<(&'n Node, &'n str, Ast)> {
        let node = keys.get(key)?;
        let text = match keys::expression(source.text, node, key) {
            Ok(text) => text,
            Err(issue) => {
                self.report(source, [issue]);
                return None;
            }
        };
        let scope = Scope { rule: draft.lets.as_deref(), set: Some(&self.names) };
        match parse_condition(text, scope) {
            Ok(ast) => Some((node, text, ast)),
            Err(mut issues) => {
                keys::blame_remark(source.text, node, &mut issues);
                self.report_in(source, node, issues);
                None
            }
        }
    }

    /// The term as text, with a hole for the value behind every field whose value is not plain from
    /// the text itself.
    fn sentence(&mut self, ast: &Ast, text: &str, term: ExprId, draft: &mut Draft) {
        if !draft.sentence.is_empty() {
            draft.sentence.push(Piece::Text(" && ".to_owned()));
        }
        let span = ast.span(term);
        let below = ast.below(term);
        // `env == 'prod'` holds only if the value is the one that stands there.
        let obvious = match *ast.kind(term) {
            Kind::Compare(CompareOp::Eq, a, b) if draft.on_missing != OnMissing::Match => {
                match (ast.kind(a), ast.kind(b)) {
                    (Kind::Field(_), Kind::Literal(_)) => Some(a),
                    (Kind::Literal(_), Kind::Field(_)) => Some(b),
                    _ => None,
                }
            }
            _ => None,
        };
        let mut at = span.start;
        for id in below {
            let (Kind::Field(path) | Kind::Item(path)) = ast.kind(id) else { continue };
            let slot = self.slot(path);
            let index = draft.capture(path, slot);
            if ast.node(id).is_named {
                let end = ast.span(id).end;
                if at < end {
                    draft.sentence.push(Piece::Text(spaced(&text[at..end])));
                }
                if draft.sentence.last() != Some(&Piece::Named(index)) {
                    draft.sentence.push(Piece::Named(index));
                }
                at = end;
            } else if obvious != Some(id) {
                let end = ast.span(id).end;
                draft.sentence.push(Piece::Text(spaced(&text[at..end])));
                draft.sentence.push(Piece::Value(index));
                at = end;
            }
        }
        draft.sentence.push(Piece::Text(spaced(&text[at..span.end])));
    }

    fn intents(&mut self, source: &Source<'_>, keys: &Keys<'_>, draft: &mut Draft) {
        let Some(node) = keys.get("then") else { return };
        let mut issues = Vec::new();
        let nodes = match &node.kind {
            NodeKind::Scalar { .. } => vec![node],
            _ => keys::texts(node, "an intent", &mut issues),
        };
        self.report(source, issues);
        for node in nodes {
            if self.is_full() {
                break;
            }
            match keys::expression(source.text, node, "then") {
                Err(issue) => self.report(source, [issue]),
                Ok(text) => match intent::parse(text, self.intents) {
                    Ok(intents) => {
                        for (intent, texts) in intents {
                            let holes = self.holes(&intent, &texts, draft);
                            match holes {
                                Ok(holes) => draft.arguments.extend(holes),
                                Err(issue) => self.report_in(source, node, vec![issue]),
                            }
                            draft.intents.push(intent);
                        }
                    }
                    Err(issues) => self.report_in(source, node, issues),
                },
            }
        }
    }

    /// The arguments of an intent that hold templates; `spans` are those of its texts.
    fn holes(
        &mut self,
        intent: &Intent,
        spans: &[Range<usize>],
        draft: &mut Draft,
    ) -> Result<Vec<Hole>, Issue> {
        let number = draft.intents.len();
        let mut holes = Vec::new();
        let mut intent = intent.clone();
        for (text, (written, span)) in intent.texts_mut().into_iter().zip(spans).enumerate() {
            if written.contains("{{") {
                let template = self.template(written, draft).map_err(|mut issue| {
                    // Behind the quote.
                    let at = span.start + 1;
                    issue.span = at + issue.span.start..at + issue.span.end;
                    issue
                })?;
                holes.push(Hole { intent: number, text, template });
            }
        }
        Ok(holes)
    }

    fn template(&mut self, text: &str, draft: &mut Draft) -> Result<Template, Issue> {
        Template::parse(text, draft.window.is_some(), &mut |path, span| {
            if let Some(issue) = self.no_field(path, span, draft) {
                return Err(issue);
            }
            let slot = self.slot(path);
            Ok(draft.capture(path, slot))
        })
    }

    /// What is wrong with a path that must be a field: a name that stands for something else is none.
    fn no_field(&self, path: &str, span: Range<usize>, draft: &Draft) -> Option<Issue> {
        let scope = Scope { rule: draft.lets.as_deref(), set: Some(&self.names) };
        if let Some(known) = scope.get(path) {
            let message = format!("`{path}` is {}, and no field", known.what);
            let issue = Issue::new("E0503", span, message, "expected a field");
            return Some(issue.help(format!("a field of that name is written `` `{path}` ``")));
        }
        let unknown = self.schema.field(path)?.err()?;
        Some(self.schema.unknown(&unknown, span, true))
    }

    /// Adds what a condition costs, and complains if that is too much.
    fn cost(
        &mut self,
        source: &Source<'_>,
        node: &Node,
        ast: &Ast,
        checked: &Checked,
        draft: &mut Draft,
    ) {
        let (cost, limit) = (Cost::of(ast, checked), self.max_rule_cost);
        draft.cost = draft.cost.saturating_add(cost.total);
        if cost.total <= limit {
            return;
        }
        let message = format!("this condition costs {}, and the limit is {limit}", cost.total);
        let issue = Issue::new("E0207", ast.span(ast.root), message, "at worst, for one record");
        let mut issue = issue.help("split the rule, or have it look at less");
        for (part, cost) in cost.costliest(3) {
            issue = issue.with(ast.span(part), format!("{cost} of it"));
        }
        self.report_in(source, node, vec![issue]);
    }

    /// Keeps the warnings about a condition; who says what happens without a field needs none about it.
    fn odd(&mut self, source: &Source<'_>, keys: &Keys<'_>, node: &Node, checked: &Checked) {
        let is_said = keys.get("on_missing").is_some();
        let odd = checked.odd.iter().filter(|issue| !(is_said && issue.code == "W0001"));
        let mut odd: Vec<Issue> = odd.cloned().collect();
        source.locate(node, &mut odd);
        self.warn(source, odd);
    }

    fn grouping(&mut self, source: &Source<'_>, keys: &Keys<'_>, draft: &mut Draft) {
        let Some(node) = keys.get("by") else { return };
        let mut issues = Vec::new();
        if !draft.group.is_empty() {
            let message = "this rule is grouped twice";
            let issue = Issue::new("E0404", node.span.clone(), message, "`when` has a `by` too");
            issues.push(issue.help("keep one of the two"));
        } else {
            for item in keys::texts(node, "a field of `by`", &mut issues) {
                let path = keys::text(item, "a field").unwrap_or_default().trim();
                if let Some(issue) = self.no_field(path, item.span.clone(), draft) {
                    issues.push(issue);
                } else if is_path(path) {
                    let slot = self.slot(path);
                    issues.extend(draft.group_by(path, slot, item.span.clone()).err());
                    if draft.group.len() == MAX_BY && !issues.is_empty() {
                        break;
                    }
                } else {
                    let message = format!("`{path}` is not the name of a field");
                    issues.push(Issue::new(
                        "E0109",
                        item.span.clone(),
                        message,
                        "expected a field name",
                    ));
                }
            }
        }
        self.report(source, issues);
    }

    fn labels(&mut self, source: &Source<'_>, keys: &Keys<'_>, draft: &mut Draft) {
        let Some(node) = keys.get("labels") else { return };
        let mut issues = Vec::new();
        for (name, key, value) in keys::map(node, "labels", &mut issues) {
            let text = keys::text(value, name).unwrap_or_default();
            let span = key.span.clone();
            if name == "alertname" {
                issues.push(Issue::new(
                    "E0109",
                    span,
                    "`alertname` is the rule's name",
                    "set by the engine",
                ));
            } else if !is_label_name(name) {
                let message = format!("`{name}` is not a label name");
                let issue = Issue::new("E0109", span, message, "expected letters, digits and _");
                issues.push(issue.suggest(label_name(name)));
            } else if draft.group.iter().any(|field| field.label == name) {
                let message = format!("`{name}` is a field of `by` and a label");
                issues.push(Issue::new("E0109", span, message, "each label comes from one place"));
            } else if text.contains("{{") {
                let issue = Issue::new(
                    "E0503",
                    value.span.clone(),
                    "a label cannot hold a template",
                    "labels identify an alert",
                );
                issues.push(issue.help("to tell alerts apart by a field, name it in `by`; to show a value, use `annotations`"));
            } else {
                draft.labels.insert(name.to_owned(), text.to_owned());
            }
        }
        self.report(source, issues);
    }

    fn annotations(&mut self, source: &Source<'_>, keys: &Keys<'_>, draft: &mut Draft) {
        let Some(node) = keys.get("annotations") else { return };
        let mut issues = Vec::new();
        for (name, _, value) in keys::map(node, "annotations", &mut issues) {
            let text = keys::text(value, name).unwrap_or_default();
            match self.template(text, draft) {
                Ok(template) => draft.annotations.push((name.to_owned(), template)),
                Err(issue) => self.report_in(source, value, vec![issue]),
            }
        }
        self.report(source, issues);
    }

    fn keep_firing_for(&mut self, source: &Source<'_>, keys: &Keys<'_>, draft: &mut Draft) {
        draft.keep_firing_for =
            if draft.window.is_some() { Duration::ZERO } else { KEEP_FIRING_FOR };
        if let Some(node) = keys.get("keep_firing_for") {
            match keys::duration(node, "`keep_firing_for`") {
                Ok(duration) => draft.keep_firing_for = duration,
                Err(issue) => self.report(source, [issue]),
            }
        }
    }

    fn on_missing(&mut self, source: &Source<'_>, keys: &Keys<'_>, draft: &mut Draft) {
        let Some(node) = keys.get("on_missing") else { return };
        draft.on_missing = match keys::word(node, "`on_missing`", &["no_match", "match", "error"]) {
            Ok("match") => OnMissing::Match,
            Ok("error") => OnMissing::Error,
            Ok(_) => OnMissing::NoMatch,
            Err(issue) => return self.report(source, [issue]),
        };
    }

    fn priority(&mut self, source: &Source<'_>, keys: &Keys<'_>, draft: &mut Draft) {
        let Some(node) = keys.get("priority") else { return };
        match keys::integer(node, "`priority`") {
            Ok(priority) => draft.priority = priority,
            Err(issue) => self.report(source, [issue]),
        }
    }
}

/// Line breaks and runs of spaces as one space each.
fn spaced(text: &str) -> String {
    if !text.contains(['\n', '\t']) {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        let c = if c.is_whitespace() { ' ' } else { c };
        if c != ' ' || !out.ends_with(' ') {
            out.push(c);
        }
    }
    out
}
