//! YAML to a document with positions. The only file that knows the YAML parser.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::document::{MAX_DEPTH, Node, NodeKind, Style};
use crate::issue::Issue;
use crate::keys::quoted;

/// How many nodes aliases may copy in one file: far more than any honest file, far less than a bomb.
const MAX_COPIED: usize = 100_000;

pub(crate) fn parse(text: &str) -> Result<Node, Issue> {
    let mut reader = Reader { open: Vec::new(), anchors: HashMap::new(), copied: 0, root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker().byte_offset().unwrap_or_default();
            scan_error(text, at, &error.to_string())
        })?;
        reader.event(event, &span)?;
    }
    let empty = || {
        Issue::new("E0101", 0..0, "the file is empty", "expected `rules:`")
            .help("a file that should hold no rules says so: `rules: []`")
    };
    reader
        .root
        .ok_or_else(empty)
        .and_then(|root| if root.is_null() { Err(empty()) } else { Ok(root) })
}

/// Builds the tree from events, with a stack of its own.
struct Reader {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    copied: usize,
    root: Option<Node>,
}

struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value, in a map.
    key: Option<Node>,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Issue> {
        let range = bytes(span);
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted => Style::Single,
                    ScalarStyle::DoubleQuoted => Style::Double,
                    _ => Style::Block,
                };
                let mut node = Node::scalar(value.into_owned(), style, range);
                node.tag = tag.and(span.tag_start).map(|start| {
                    let start = start.byte_offset().unwrap_or_default();
                    start..start + 1
                });
                self.add(node, anchor)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.start(NodeKind::Seq(Vec::new()), range, anchor)
            }
            Event::MappingStart(_, anchor, _) => {
                self.start(NodeKind::Map(Vec::new()), range, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(&range),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(Issue::new(
                        "E0101",
                        range,
                        "an alias of itself",
                        "refers to what it is in",
                    ));
                };
                let node = node.clone();
                self.copy(&node, range.clone())?;
                if self.open.len() + node.depth() > MAX_DEPTH {
                    return Err(too_deep(range));
                }
                self.add(node, 0)
            }
            Event::DocumentStart(..) if self.root.is_some() => Err(Issue::new(
                "E0101",
                range,
                "a second document begins here",
                "one file, one document",
            )
            .help("put all rules under one `rules:`, or into files of their own")),
            _ => Ok(()),
        }
    }

    fn start(&mut self, kind: NodeKind, span: Range<usize>, anchor: usize) -> Result<(), Issue> {
        if self.open.len() == MAX_DEPTH {
            return Err(too_deep(span));
        }
        self.open.push(Open { node: Node { kind, span, tag: None }, anchor, key: None });
        Ok(())
    }

    fn end(&mut self, span: &Range<usize>) -> Result<(), Issue> {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        open.node.span.end = span.end.max(open.node.span.start);
        self.add(open.node, open.anchor)
    }

    /// Takes what a copy of `node` costs from what anchors and aliases may copy.
    fn copy(&mut self, node: &Node, span: Range<usize>) -> Result<(), Issue> {
        self.copied += node.weight();
        if self.copied <= MAX_COPIED {
            return Ok(());
        }
        let message = format!("anchors and aliases copy more than {MAX_COPIED} values");
        Err(Issue::new("E0107", span, message, "one too many"))
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Issue> {
        if anchor != 0 {
            self.copy(&node, node.span.clone())?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut parent.node.kind {
            NodeKind::Seq(items) => items.push(node),
            NodeKind::Map(entries) => match parent.key.take() {
                None => parent.key = Some(node),
                Some(key) => entries.push((key, node)),
            },
            NodeKind::Scalar { .. } => {}
        }
        Ok(())
    }
}

fn too_deep(span: Range<usize>) -> Issue {
    let message = format!("the file nests deeper than {MAX_DEPTH} levels");
    Issue::new("E0107", span, message, "one too many")
}

fn bytes(span: &Span) -> Range<usize> {
    let start = span.start.byte_offset().unwrap_or_default();
    start..span.end.byte_offset().unwrap_or(start).max(start)
}

/// Says what went wrong in the words of rules where a condition's own signs confused YAML.
fn scan_error(text: &str, at: usize, message: &str) -> Issue {
    let at = at.min(text.len());
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    // An error at a line's start is about what stood before it.
    let previous = text[..start.saturating_sub(1)].rfind('\n').map_or(0, |newline| newline + 1);
    for (from, to) in
        [(start, text[start..].find('\n').map_or(text.len(), |end| start + end)), (previous, start)]
    {
        if let Some(issue) = expression_trap(&text[from..to], from) {
            return issue;
        }
    }
    let line = &text[start..text[start..].find('\n').map_or(text.len(), |end| start + end)];
    if let Some(item) = line.find("[*]") {
        let span = start + item..start + item + 3;
        let message = "YAML reads `[*]` inside braces or brackets as a list of its own";
        let issue = Issue::new("E0106", span, message, "not part of a text to YAML");
        return issue.help("put the whole condition in quotes");
    }
    let indentation = &line[..line.len() - line.trim_start().len()];
    if message.contains("tab")
        && let Some(tab) = indentation.find('\t')
    {
        let span = start + tab..start + tab + 1;
        let issue = Issue::new("E0101", span, "YAML indents with spaces, not with tabs", "a tab");
        return issue.help("write spaces in its place");
    }
    let message = message.split(" at byte ").next().unwrap_or(message);
    let message = message.split(" at char ").next().unwrap_or(message);
    let at = if text[at..].is_empty() { text.trim_end().len().saturating_sub(1) } else { at };
    Issue::new("E0101", at..at + 1, format!("not valid YAML: {message}"), "the parser stopped here")
}

/// A condition on one line whose first or inner signs mean something to YAML.
fn expression_trap(line: &str, offset: usize) -> Option<Issue> {
    let trimmed = line.trim_start().trim_start_matches("- ").trim_start();
    let key = ["when", "where", "then"].into_iter().find(|key| {
        trimmed.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':'))
    })?;
    let value = trimmed[key.len()..].trim_start().strip_prefix(':')?.trim();
    let from = offset + line.len() - line.trim_end().len();
    let from = from + line.rfind(value).unwrap_or_default() - (line.len() - line.trim_end().len());
    let span = from..from + value.len();
    let first = value.chars().next()?;
    let (message, label) = match first {
        '\'' | '"' => match value[1..].find(first) {
            None => {
                let message = format!("this {first} is never closed");
                let issue = Issue::new("E0101", span.start..span.start + 1, message, "opened here");
                return Some(issue.help(format!("end the value with another {first}")));
            }
            // The value is one quoted text; what is wrong is something else.
            Some(end) if end + 2 == value.len() => return None,
            Some(_) => {
                (format!("YAML ends this value at the second {first}"), "the rest is left over")
            }
        },
        '[' | '{' => (format!("YAML reads a leading `{first}` as a list or a map"), "not a text"),
        '`' => ("YAML reserves a leading backtick".to_owned(), "cannot begin a bare value"),
        '@' | '%' => (format!("YAML reserves a leading `{first}`"), "cannot begin a bare value"),
        '&' | '*' => {
            (format!("YAML reads a leading `{first}` as an anchor or an alias"), "not a text")
        }
        '|' | '>' => return None,
        _ if value.contains(": ") => {
            let colon = value.find(": ").unwrap_or_default();
            let span = span.start + colon..span.start + colon + 1;
            let issue = Issue::new(
                "E0106",
                span,
                "YAML reads `: ` inside a bare value as a new key",
                "this colon",
            );
            return Some(
                issue.help("put the whole value in quotes").suggest_if(quoted(key, value)),
            );
        }
        _ => return None,
    };
    let issue = Issue::new("E0106", span, message, label);
    Some(issue.help("put the whole value in quotes").suggest_if(quoted(key, value)))
}
