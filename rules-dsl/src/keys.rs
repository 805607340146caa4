//! The keys of a rule file, what people write instead of them, and reading them from a document.

use std::collections::HashMap;
use std::time::Duration;

use crate::check::{self, Known, Patterns};
use crate::compile::MAX_DIAGNOSTICS;
use crate::document::{Node, NodeKind, Style};
use crate::issue::{Issue, nearest};
use crate::literal::parse_duration;
use crate::names::Scope;
use crate::parser::{parse_actions, parse_condition};
use crate::schema::Schema;

pub(crate) const FILE: [&str; 5] = ["rules", "aliases", "fields", "lists", "macros"];
pub(crate) const RULE: [&str; 11] = [
    "name",
    "let",
    "when",
    "where",
    "then",
    "by",
    "labels",
    "annotations",
    "keep_firing_for",
    "on_missing",
    "priority",
];

/// Words of neighboring tools.
const MEANT: [(&str, &str); 25] = [
    ("alert", "name"),
    ("id", "name"),
    ("title", "name"),
    ("if", "when"),
    ("expr", "when"),
    ("condition", "when"),
    ("query", "when"),
    ("filter", "where"),
    ("do", "then"),
    ("action", "then"),
    ("actions", "then"),
    ("group_by", "by"),
    ("groupby", "by"),
    ("tags", "labels"),
    ("description", "annotations"),
    ("alias", "aliases"),
    ("macro", "macros"),
    ("conditions", "macros"),
    ("list", "lists"),
    ("schema", "fields"),
    ("lets", "let"),
    ("vars", "let"),
    ("variables", "let"),
    ("define", "let"),
    ("order", "priority"),
];

/// A map with known keys; what is unknown or said twice is complained about and left out.
pub(crate) struct Keys<'n> {
    entries: Vec<(&'n str, &'n Node, &'n Node)>,
}

impl<'n> Keys<'n> {
    pub(crate) fn read(
        entries: &'n [(Node, Node)],
        known: &[&'static str],
        issues: &mut Vec<Issue>,
    ) -> Self {
        let mut keys = Self { entries: Vec::new() };
        for (key, value) in entries {
            if issues.len() >= MAX_DIAGNOSTICS {
                break;
            }
            let Some(name) = key_text(key, issues) else { continue };
            if let Some((_, first, _)) = keys.entries.iter().find(|(known, ..)| *known == name) {
                issues.push(twice(name, key, first));
            } else if known.contains(&name) {
                keys.entries.push((name, key, value));
            } else {
                issues.push(unknown(name, key, known));
            }
        }
        keys
    }

    /// Whether there are any.
    pub(crate) fn any(&self) -> bool {
        !self.entries.is_empty()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(key, ..)| *key == name).map(|(.., value)| *value)
    }
}

fn key_text<'n>(key: &'n Node, issues: &mut Vec<Issue>) -> Option<&'n str> {
    if let NodeKind::Scalar { text, .. } = &key.kind {
        return Some(text);
    }
    let message = format!("a key must be a text, not {}", key.describe());
    issues.push(Issue::new("E0104", key.span.clone(), message, "expected a name"));
    None
}

/// Whether a map is a rule that stands in its file alone.
pub(crate) fn is_rule(entries: &[(Node, Node)]) -> bool {
    let has = |wanted: &str| {
        entries
            .iter()
            .any(|(key, _)| matches!(&key.kind, NodeKind::Scalar { text, .. } if text == wanted))
    };
    !has("rules") && (has("when") || has("then"))
}

/// The file is something else than a rule file.
pub(crate) fn no_rules(root: &Node) -> Issue {
    let start = root.span.start;
    match root.kind {
        NodeKind::Scalar { .. } => {
            let message = "a rule file is a map with `rules`, not a text";
            Issue::new("E0104", root.span.clone(), message, "expected `rules:`")
        }
        _ => Issue::new("E0103", start..start, "the file holds no `rules`", "expected `rules:`"),
    }
}

/// `rules` is something else than a list.
pub(crate) fn no_list(node: &Node) -> Issue {
    let message = format!("`rules` must be a list, not {}", node.describe());
    Issue::new("E0104", node.span.clone(), message, "expected a list")
        .help("begin each rule with `- `; `rules: []` says that there are none")
}

/// An item of `rules` is something else than a rule.
pub(crate) fn no_rule(node: &Node) -> Issue {
    let message = format!("a rule must be a map, not {}", node.describe());
    Issue::new("E0104", node.span.clone(), message, "expected `when:` and `then:`")
}

fn twice(name: &str, key: &Node, first: &Node) -> Issue {
    let message = format!("`{name}` stands here twice");
    let issue = Issue::new("E0105", key.span.clone(), message, "the second time");
    issue.with(first.span.clone(), "the first time").help(match name {
        "when" | "where" => "join both with `&&`, or delete one",
        _ => "delete one of the two",
    })
}

/// A suggestion in the quotes of what it replaces.
fn in_quotes(node: &Node, text: &str) -> String {
    match node.kind {
        NodeKind::Scalar { style: Style::Double, .. } => format!("\"{text}\""),
        NodeKind::Scalar { style: Style::Single, .. } => format!("'{text}'"),
        _ => text.to_owned(),
    }
}

fn unknown(name: &str, key: &Node, known: &[&'static str]) -> Issue {
    let issue =
        Issue::new("E0102", key.span.clone(), format!("unknown key `{name}`"), "not a key here");
    let meant = MEANT.iter().find(|(word, key)| *word == name && known.contains(key));
    match (name, meant) {
        ("severity" | "team" | "env" | "service", _) if known.contains(&"labels") => {
            issue.help(format!("`{name}` is a label: write it under `labels:`"))
        }
        ("summary" | "runbook" | "runbook_url", _) if known.contains(&"annotations") => {
            issue.help(format!("`{name}` is an annotation: write it under `annotations:`"))
        }
        ("for", _) => issue.help(
            "`for` is not part of the language yet; to wait for more than one record, count them: \
             `count(5m) >= 10`",
        ),
        ("throttle" | "no_data", _) => {
            issue.help(format!("`{name}` is not part of the language yet"))
        }
        (_, Some((_, meant))) => issue.suggest(in_quotes(key, meant)),
        _ => {
            let near = nearest(name, known.iter().copied());
            let issue = issue.suggest_if(near.map(|near| in_quotes(key, near)));
            if near.is_some() {
                return issue;
            }
            issue.help(format!("known keys are {}", known.join(", ")))
        }
    }
}

/// One of some words.
pub(crate) fn word<'w>(node: &Node, what: &str, words: &[&'w str]) -> Result<&'w str, Issue> {
    let found = text(node, what)?.trim();
    if let Some(word) = words.iter().find(|word| **word == found) {
        return Ok(word);
    }
    let message = format!("{what} cannot be `{found}`");
    let issue = Issue::new("E0110", node.span.clone(), message, "not one of the words for it");
    let near = nearest(found, words.iter().copied());
    let issue = issue.suggest_if(near.map(|near| in_quotes(node, near)));
    Err(if near.is_some() { issue } else { issue.help(one_of(words)) })
}

fn one_of(words: &[&str]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("it is {} or {last}", rest.join(", ")),
        _ => format!("it is {}", words.join("")),
    }
}

/// A text, however it is quoted. `what` names it in messages.
pub(crate) fn text<'n>(node: &'n Node, what: &str) -> Result<&'n str, Issue> {
    match &node.kind {
        NodeKind::Scalar { .. } if node.is_null() => {
            let message = format!("{what} is empty");
            Err(Issue::new("E0104", node.span.clone(), message, "expected a text"))
        }
        NodeKind::Scalar { text, .. } => Ok(text),
        _ => {
            let message = format!("{what} must be a text, not {}", node.describe());
            let issue = Issue::new("E0104", node.span.clone(), message, "expected a text");
            Err(issue.help("put the value in quotes"))
        }
    }
}

/// One text or a list of texts.
pub(crate) fn texts<'n>(node: &'n Node, what: &str, issues: &mut Vec<Issue>) -> Vec<&'n Node> {
    let nodes: Vec<&Node> = match &node.kind {
        NodeKind::Seq(items) => items.iter().collect(),
        _ => vec![node],
    };
    let mut found = Vec::new();
    for node in nodes {
        if issues.len() >= MAX_DIAGNOSTICS {
            break;
        }
        match text(node, what) {
            Ok(_) => found.push(node),
            Err(issue) => issues.push(issue),
        }
    }
    found
}

/// A map of names to texts.
pub(crate) fn map<'n>(
    node: &'n Node,
    what: &str,
    issues: &mut Vec<Issue>,
) -> Vec<(&'n str, &'n Node, &'n Node)> {
    let mut entries = entries(node, what, issues);
    entries.retain(|(name, _, value)| match text(value, &format!("`{name}`")) {
        Ok(_) => true,
        Err(issue) => {
            issues.push(issue);
            false
        }
    });
    entries
}

/// A map of names to anything; what is said twice is complained about and left out.
pub(crate) fn entries<'n>(
    node: &'n Node,
    what: &str,
    issues: &mut Vec<Issue>,
) -> Vec<(&'n str, &'n Node, &'n Node)> {
    let NodeKind::Map(entries) = &node.kind else {
        if !node.is_null() {
            let message = format!("`{what}` must be a map, not {}", node.describe());
            issues.push(Issue::new("E0104", node.span.clone(), message, "expected `name: value`"));
        }
        return Vec::new();
    };
    let mut out: Vec<(&str, &Node, &Node)> = Vec::new();
    let mut names: HashMap<&str, &Node> = HashMap::new();
    for (key, value) in entries {
        if issues.len() >= MAX_DIAGNOSTICS {
            break;
        }
        let Some(name) = key_text(key, issues) else { continue };
        if let Some(first) = names.get(name) {
            issues.push(twice(name, key, first));
        } else {
            names.insert(name, key);
            out.push((name, key, value));
        }
    }
    out
}

/// A duration such as `5m`, or 0.
pub(crate) fn duration(node: &Node, what: &str) -> Result<Duration, Issue> {
    let text = text(node, what)?;
    parse_duration(text).ok_or_else(|| {
        let message = format!("{what} is not a duration");
        let issue =
            Issue::new("E0108", node.span.clone(), message, "expected a duration such as 5m");
        match text.trim().parse::<u64>() {
            Ok(number) => issue.suggest(format!("{number}s")),
            Err(_) => issue.help("write a number and a unit: 500ms, 30s, 5m, 1h30m, 1d; or 0"),
        }
    })
}

/// A whole number.
pub(crate) fn integer(node: &Node, what: &str) -> Result<i32, Issue> {
    let text = text(node, what)?.trim();
    text.parse().map_err(|_| {
        let message = format!("{what} is not a whole number");
        Issue::new("E0108", node.span.clone(), message, "expected a number such as 10")
    })
}

/// An expression, with the traps that YAML sets for one.
pub(crate) fn expression<'n>(file: &str, node: &'n Node, key: &str) -> Result<&'n str, Issue> {
    if let Some(tag) = &node.tag {
        let line_end = file[tag.start..].find('\n').map_or(file.len(), |end| tag.start + end);
        let written = file[tag.start..line_end].trim_end();
        let span = tag.start..tag.start + written.len();
        let quoted = quoted(key, written);
        return Err(Issue::new(
            "E0106",
            span,
            "YAML reads a leading `!` as a tag",
            "not a text to YAML",
        )
        .help("put the whole value in quotes")
        .suggest_if(quoted));
    }
    let value = match (&node.kind, key) {
        (NodeKind::Seq(_), "when" | "where") => {
            let message = format!("`{key}` is one condition, not a list");
            let issue = Issue::new("E0104", node.span.clone(), message, "expected a text");
            return Err(issue.help("join the conditions with `&&`"));
        }
        (NodeKind::Map(_), "then") => {
            let message = "an intent is written like a call, not as a map";
            let issue = Issue::new("E0104", node.span.clone(), message, "expected a text");
            return Err(issue.help("for example: `then: notify('team')`"));
        }
        _ => text(node, &format!("`{key}`"))?,
    };
    let before = file.get(..node.span.start).unwrap_or_default().trim_end();
    if matches!(node.kind, NodeKind::Scalar { style: Style::Plain, .. }) && before.ends_with("&&") {
        let span = before.len() - 2..before.len();
        let message = "YAML reads a leading `&&` as an anchor";
        let issue = Issue::new("E0106", span, message, "not part of the condition");
        return Err(issue.help("a condition does not begin with `&&`"));
    }
    if let NodeKind::Scalar { style: Style::Plain, .. } = node.kind
        && let Some(issue) = swallowed_comment(file, node, key)
    {
        return Err(issue);
    }
    Ok(value)
}

/// ` #` ends a bare value. That is fine before a remark, and a silent disaster before the rest of a
/// condition; a comment that starts without a space or holds an operator is taken for the latter.
fn swallowed_comment(file: &str, node: &Node, key: &str) -> Option<Issue> {
    let rest = file.get(node.span.end..)?;
    // Most values have no comment behind them, and lines may be as long as the file.
    if !rest.trim_start_matches([' ', '\t']).starts_with('#') {
        return None;
    }
    let line = rest.lines().next()?;
    let comment = line.trim_start().strip_prefix('#')?;
    let remark = comment.is_empty() || comment.starts_with([' ', '\t', '#', '!']);
    if remark && !comment.contains("&&") && !comment.contains("||") {
        return None;
    }
    let start = node.span.end + (line.len() - line.trim_start().len());
    let span = start..node.span.end + line.trim_end().len();
    let whole = file.get(node.span.start..span.end)?;
    Some(
        Issue::new(
            "E0106",
            span,
            "YAML reads ` #` as the start of a comment",
            "cut off from the condition",
        )
        .help(
            "put the whole value in quotes, and a text in it in quotes of its own; a remark begins \
             with a space behind the #, and holds no `&&` and no `||`",
        )
        .suggest_if(quoted(key, whole)),
    )
}

/// Adds the likely cause to complaints about a bare value that YAML cut short at a remark.
pub(crate) fn blame_remark(file: &str, node: &Node, issues: &mut [Issue]) {
    let plain = matches!(node.kind, NodeKind::Scalar { style: Style::Plain, .. });
    let rest = file.get(node.span.end..).and_then(|rest| rest.lines().next());
    if !plain || !rest.is_some_and(|rest| rest.trim_start().starts_with('#')) {
        return;
    }
    for issue in issues.iter_mut().filter(|issue| issue.help.is_none()) {
        let help = "YAML ends the value at ` #`: put the whole value in quotes";
        issue.help = Some(help.into());
    }
}

/// Whether a text is an expression, or intents, in which no mistake can be seen.
fn is_fine(key: &str, text: &str) -> bool {
    if key == "then" {
        return parse_actions(text).is_ok();
    }
    let known = Known { schema: &Schema::default(), functions: &[] };
    parse_condition(text, Scope::default())
        .is_ok_and(|ast| check::definition(&ast, text, &mut Patterns::new(), known).is_ok())
}

/// The value of a key in the kind of quotes that needs no escapes inside; `None` when both kinds occur,
/// and when it would be wrong in quotes too.
pub(crate) fn quoted(key: &str, value: &str) -> Option<String> {
    if value.len() > 200 || !is_fine(key, value) {
        None
    } else if !value.contains('"') && !value.contains('\\') {
        Some(format!("\"{value}\""))
    } else if !value.contains('\'') {
        Some(format!("'{value}'"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_these_keys() {
        let schema: serde_json::Value = serde_json::from_str(crate::JSON_SCHEMA).unwrap();
        let keys = |of: &str| -> Vec<String> {
            let properties = schema["$defs"][of]["properties"].as_object().unwrap();
            properties.keys().cloned().collect()
        };
        let sorted = |keys: &[&str]| {
            let mut keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            keys.sort();
            keys
        };
        assert_eq!(keys("rule"), sorted(&RULE));
        assert_eq!(keys("file"), sorted(&FILE));
    }
}
