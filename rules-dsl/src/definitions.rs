//! What rule files define beside rules: `aliases`, `lists`, `macros`; and the `let` of a rule.

use std::collections::HashSet;

use crate::ast::{Ast, ExprId, Kind, Literal};
use crate::check::{self, Known};
use crate::compile::Session;
use crate::document::{Node, NodeKind, Style};
use crate::issue::Issue;
use crate::keys;
use crate::names::{Definition, Names, Scope, sort};
use crate::parser::parse_condition;
use crate::record::FieldPath;
use crate::source::Source;
use crate::template::is_path;

/// How many values and operators all names of a set may stand for, those of `let` included: they are
/// kept, and a name may stand for many others.
const MAX_DEFINED: usize = 2_000_000;

/// One name, where it stands, and what it stands for.
struct Entry<'n> {
    source: &'n Source<'n>,
    name: &'n str,
    key: &'n Node,
    value: &'n Node,
}

/// A file that was read.
pub(crate) type File<'t> = (Source<'t>, Node);

impl Session<'_> {
    /// Reads what holds in all files.
    pub(crate) fn definitions(&mut self, files: &[File<'_>]) {
        for (source, root) in files {
            self.aliases(source, root);
        }
        self.fields(files);
        for (source, root) in files {
            self.lists(source, root);
        }
        let mut macros = Vec::new();
        for (source, root) in files {
            let Some(node) = section(root, "macros") else { continue };
            let mut issues = Vec::new();
            for (name, key, value) in keys::map(node, "macros", &mut issues) {
                macros.push(Entry { source, name, key, value });
            }
            self.report(source, issues);
        }
        let defined = self.define(&macros, "a macro");
        self.names.extend(defined);
    }

    /// Complains about what nothing asks for.
    pub(crate) fn unused(&mut self, files: &[File<'_>]) {
        for (source, root) in files {
            for (key, what) in [("lists", "list"), ("macros", "macro")] {
                let Some(NodeKind::Map(entries)) = section(root, key).map(|node| &node.kind) else {
                    continue;
                };
                for (name, _) in entries {
                    let NodeKind::Scalar { text, .. } = &name.kind else { continue };
                    if !self.names.is_used(text) {
                        let message = format!("no rule uses the {what} `{text}`");
                        let issue = Issue::new("W0002", name.span.clone(), message, "not used");
                        self.warn(source, [issue]);
                    }
                }
            }
        }
    }

    /// The names of one rule.
    pub(crate) fn lets(&mut self, source: &Source<'_>, node: &Node) -> Names {
        let mut issues = Vec::new();
        let entries = keys::map(node, "let", &mut issues);
        self.report(source, issues);
        let entry = |(name, key, value)| Entry { source, name, key, value };
        let entries: Vec<Entry<'_>> = entries.into_iter().map(entry).collect();
        self.define(&entries, "a `let`")
    }

    /// A warning for each name of a rule that it does not use.
    pub(crate) fn unused_lets(&mut self, source: &Source<'_>, node: &Node, lets: &Names) {
        let NodeKind::Map(entries) = &node.kind else { return };
        for (name, _) in entries {
            let NodeKind::Scalar { text, .. } = &name.kind else { continue };
            if !lets.is_used(text) {
                let message = format!("the rule does not use `{text}`");
                let issue = Issue::new("W0002", name.span.clone(), message, "not used");
                self.warn(source, [issue]);
            }
        }
    }

    fn aliases(&mut self, source: &Source<'_>, root: &Node) {
        let Some(node) = section(root, "aliases") else { return };
        let mut issues = Vec::new();
        for (name, key, value) in keys::map(node, "aliases", &mut issues) {
            let target = keys::text(value, name).unwrap_or_default().trim();
            if !is_path(name) || !is_path(target) {
                let (span, wrong) = if is_path(name) {
                    (value.span.clone(), target)
                } else {
                    (key.span.clone(), name)
                };
                let message = format!("`{wrong}` is not the name of a field");
                let issue = Issue::new("E0109", span, message, "expected dotted names");
                issues.push(issue.help("an alias is `short: long.dotted.path`"));
                continue;
            }
            let name = FieldPath::new(name).as_str().to_owned();
            match self.aliases.get(&name) {
                Some(known) if known != target => {
                    let message = format!("`{name}` already stands for `{known}`");
                    let issue = Issue::new("E0105", key.span.clone(), message, "a second meaning");
                    issues.push(issue.help("aliases hold in all rule files of a set"));
                }
                _ => drop(self.aliases.insert(name, target.to_owned())),
            }
        }
        self.report(source, issues);
    }

    fn lists(&mut self, source: &Source<'_>, root: &Node) {
        let Some(node) = section(root, "lists") else { return };
        let mut issues = Vec::new();
        for (name, key, value) in keys::entries(node, "lists", &mut issues) {
            if let Some(issue) = self.unfit(name, key, None) {
                issues.push(issue);
                continue;
            }
            let known = issues.len();
            let list = list(value, &mut issues);
            let list = list.and_then(|list| {
                let issue = self.take_room(&list, value.span.clone());
                issues.extend(issue);
                (issues.len() == known).then_some(list)
            });
            self.names.insert(name.to_owned(), Definition::new("a list", list));
        }
        self.report(source, issues);
    }

    /// Reads expressions with names, each behind those that it uses.
    fn define(&mut self, entries: &[Entry<'_>], what: &'static str) -> Names {
        let mut names = Names::default();
        let mut seen = HashSet::new();
        let mut fit: Vec<(&Entry<'_>, &str)> = Vec::new();
        for entry in entries {
            if let Some(issue) = self.unfit(entry.name, entry.key, Some((&seen, what))) {
                self.report(entry.source, [issue]);
                names.insert(entry.name.to_owned(), Definition::new(what, None));
                continue;
            }
            seen.insert(entry.name);
            match keys::expression(entry.source.text, entry.value, entry.name) {
                Ok(text) => fit.push((entry, text)),
                Err(issue) => {
                    self.report(entry.source, [issue]);
                    names.insert(entry.name.to_owned(), Definition::new(what, None));
                }
            }
        }
        let trees: Vec<Option<Ast>> =
            fit.iter().map(|(_, text)| parse_condition(text, Scope::default()).ok()).collect();
        let sorted = sort(&fit.iter().map(|(entry, _)| entry.name).collect::<Vec<_>>(), &trees);
        for at in sorted.order {
            // One complaint is enough, and each further name would take as long.
            if self.defined > MAX_DEFINED {
                break;
            }
            let (entry, text) = fit[at];
            let scope = Scope { rule: Some(&names), set: Some(&self.names) };
            let read = parse_condition(text, scope).and_then(|ast| {
                let known = Known { schema: &self.schema, functions: self.functions };
                check::definition(&ast, text, &mut self.patterns, known)?;
                Ok(ast)
            });
            let read = read.and_then(|ast| {
                let span = 0..text.len();
                self.take_room(&ast, span).map_or(Ok(ast), |issue| Err(vec![issue]))
            });
            let ast = match read {
                Ok(ast) => Some(ast),
                Err(issues) => {
                    self.report_in(entry.source, entry.value, issues);
                    None
                }
            };
            names.insert(entry.name.to_owned(), Definition::new(what, ast));
        }
        for circle in sorted.circles {
            let (entry, _) = fit[circle[0]];
            let message = format!("`{}` is defined by itself", entry.name);
            let issue = Issue::new("E0111", entry.key.span.clone(), message, "it has no end");
            let way = circle.iter().chain([&circle[0]]).map(|at| fit[*at].0.name);
            let way = way.collect::<Vec<_>>().join(" -> ");
            let help = match circle.len() {
                1 => format!("the field of that name is written `` `{}` ``", entry.name),
                _ => format!("one uses the other: {way}"),
            };
            self.report(entry.source, [issue.help(help)]);
        }
        for (entry, _) in fit {
            if names.get(entry.name).is_none() {
                names.insert(entry.name.to_owned(), Definition::new(what, None));
            }
        }
        names
    }

    /// Takes what a tree takes from the room that there is for all of them.
    fn take_room(&mut self, ast: &Ast, span: std::ops::Range<usize>) -> Option<Issue> {
        self.defined += ast.size();
        if self.defined <= MAX_DEFINED {
            return None;
        }
        let message =
            format!("all names stand for more than {MAX_DEFINED} values and operators together");
        let issue = Issue::new("E0206", span, message, "one too many");
        Some(issue.help("a name that uses others stands for all that they stand for"))
    }

    /// What is wrong with a new name.
    fn unfit(
        &self,
        name: &str,
        key: &Node,
        beside: Option<(&HashSet<&str>, &'static str)>,
    ) -> Option<Issue> {
        if !is_name(name) {
            let message = format!("`{name}` cannot stand for anything");
            let issue = Issue::new("E0109", key.span.clone(), message, "not a name");
            return Some(
                issue.help("a name has letters, digits and _, and is no word of the language"),
            );
        }
        let known = match beside {
            Some((beside, what)) if beside.contains(name) => Some(what),
            _ if self.aliases.contains_key(name) => Some("an alias"),
            _ => self.names.get(name).map(|known| known.what),
        }?;
        let message = format!("`{name}` is {known} already");
        let issue = Issue::new("E0105", key.span.clone(), message, "a second meaning");
        Some(issue.help("aliases, lists and macros hold in all rule files of a set"))
    }
}

/// The value of a key at the top of a file.
pub(crate) fn section<'n>(root: &'n Node, wanted: &str) -> Option<&'n Node> {
    let NodeKind::Map(entries) = &root.kind else { return None };
    let named = |key: &Node| matches!(&key.kind, NodeKind::Scalar { text, .. } if text == wanted);
    entries.iter().find(|(key, _)| named(key)).map(|(_, node)| node)
}

fn list(node: &Node, issues: &mut Vec<Issue>) -> Option<Ast> {
    let NodeKind::Seq(items) = &node.kind else {
        let message = format!("a list must be a list, not {}", node.describe());
        issues.push(Issue::new("E0104", node.span.clone(), message, "expected `[a, b]`"));
        return None;
    };
    if items.is_empty() {
        let message = "nothing is in an empty list";
        issues.push(Issue::new("E0310", node.span.clone(), message, "the answer never changes"));
    }
    let mut ast = Ast::new();
    let mut ids = Vec::new();
    for item in items {
        let NodeKind::Scalar { text, style } = &item.kind else {
            let message = format!("an item of a list is one value, not {}", item.describe());
            issues.push(Issue::new("E0104", item.span.clone(), message, "expected a value"));
            continue;
        };
        match push_item(&mut ast, item, text, *style) {
            Ok(id) => ids.push(id),
            Err(issue) => {
                issues.push(issue.help("put it into several lists"));
                return None;
            }
        }
    }
    match ast.push(Kind::List(ids), node.span.clone()) {
        Ok(_) => Some(ast),
        Err(issue) => {
            issues.push(issue);
            None
        }
    }
}

/// `500..599` is a range, and anything else a constant.
fn push_item(ast: &mut Ast, item: &Node, text: &str, style: Style) -> Result<ExprId, Issue> {
    let ends = text
        .split_once("..")
        .map(|(low, high)| [low, high].map(|end| literal(item, end.trim(), style)));
    let is_number = |end: &Literal| matches!(end, Literal::Int(_) | Literal::Float(_));
    if let Some([low, high]) = ends.filter(|ends| ends.iter().all(is_number)) {
        let low = ast.push(Kind::Literal(low), item.span.clone())?;
        let high = ast.push(Kind::Literal(high), item.span.clone())?;
        return ast.push(Kind::Range(low, high), item.span.clone());
    }
    ast.push(Kind::Literal(literal(item, text, style)), item.span.clone())
}

/// A bare value that is a number, a bool or null is that; anything else is a text.
fn literal(node: &Node, text: &str, style: Style) -> Literal {
    if style != Style::Plain {
        return Literal::Str(text.to_owned());
    }
    if node.is_null() {
        return Literal::Null;
    }
    if let Ok(value) = text.parse::<bool>() {
        return Literal::Bool(value);
    }
    if let Ok(value) = text.parse::<i64>() {
        return Literal::Int(value);
    }
    if let Ok(value) = text.parse::<u64>() {
        return Literal::UInt(value);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Literal::Float(value),
        _ => Literal::Str(text.to_owned()),
    }
}

/// A field's name without dots that is no word of the language.
fn is_name(text: &str) -> bool {
    let is_bare = is_path(text) && !text.contains(['.', '`']);
    let is_field = |ast: &Ast| matches!(ast.kind(ast.root), Kind::Field(name) if name == text);
    is_bare && parse_condition(text, Scope::default()).is_ok_and(|ast| is_field(&ast))
}
