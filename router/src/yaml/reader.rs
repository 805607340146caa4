//! YAML to a tree with positions. The only file that knows the YAML parser.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, Span};

use super::node::{Fault, Kind, MAX_DEPTH, Node};
use crate::error::Position;

/// A configuration is written by hand, or by a program for hands; anything larger is something else.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;
/// How many nodes aliases may copy: far more than any honest file, far less than a bomb.
const MAX_COPIED: usize = 100_000;

pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    if text.len() > MAX_BYTES {
        let message = format!("larger than {} MiB: is it a configuration?", MAX_BYTES >> 20);
        return Err(Fault::new(message));
    }
    let mut reader = Reader { open: Vec::new(), anchors: HashMap::new(), copied: 0, root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = position(error.marker().line(), error.marker().col());
            let message = error.to_string();
            let message = message.split(" at byte ").next().unwrap_or(&message);
            let message = message.split(" at char ").next().unwrap_or(message);
            Fault::new(format!("this is no YAML: {message}")).at(at)
        })?;
        reader.event(event, &span)?;
    }
    match reader.root {
        Some(root) if !root.is_null() => Ok(root),
        _ => Err(Fault::new("the file is empty")),
    }
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
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Fault> {
        let at = position(span.start.line(), span.start.col());
        match event {
            Event::Scalar(value, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                self.add(Node::scalar(value, plain, at), anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.start(Kind::List(Vec::new()), at, anchor),
            Event::MappingStart(_, anchor, _) => self.start(Kind::Map(Vec::new()), at, anchor),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let node = merged(open.node)?;
                self.add(node, open.anchor)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(Fault::new("an alias of what it stands in").at(at));
                };
                self.copy(&node, at)?;
                if self.open.len() + depth(&node) > MAX_DEPTH {
                    return Err(too_deep(at));
                }
                self.add(node, 0)
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(Fault::new("a second document begins here: one file, one document").at(at))
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, kind: Kind, at: Position, anchor: usize) -> Result<(), Fault> {
        if self.open.len() == MAX_DEPTH {
            return Err(too_deep(at));
        }
        self.open.push(Open { node: Node { kind, at }, anchor, key: None });
        Ok(())
    }

    /// Takes what a copy of `node` costs from what anchors and aliases may copy.
    fn copy(&mut self, node: &Node, at: Position) -> Result<(), Fault> {
        self.copied = self.copied.saturating_add(weight(node));
        if self.copied <= MAX_COPIED {
            return Ok(());
        }
        Err(Fault::new(format!("anchors and aliases copy more than {MAX_COPIED} values")).at(at))
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        if anchor != 0 {
            self.copy(&node, node.at)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut parent.node.kind {
            Kind::List(items) => items.push(node),
            Kind::Map(entries) => match parent.key.take() {
                None => parent.key = Some(node),
                Some(key) => entries.push((key, node)),
            },
            Kind::Scalar { .. } => {}
        }
        Ok(())
    }
}

/// The map with what `<<` brings in behind its own keys. A key that is there twice is refused: one of the two would be
/// silently without effect.
fn merged(mut node: Node) -> Result<Node, Fault> {
    let Kind::Map(entries) = &mut node.kind else { return Ok(node) };
    let mut seen = HashSet::new();
    let mut sources = Vec::new();
    let mut own = Vec::with_capacity(entries.len());
    for (key, value) in entries.drain(..) {
        let Kind::Scalar { text, plain } = &key.kind else {
            return Err(Fault::new("a key is a word").at(key.at));
        };
        if *plain && text == "<<" {
            sources.push(value);
        } else if seen.insert(text.clone()) {
            own.push((key, value));
        } else {
            let message = format!("the key `{text}` is here twice: merge the two");
            return Err(Fault::new(message).at(key.at));
        }
    }
    for source in sources {
        let maps = match source.kind {
            Kind::List(items) => items,
            _ => vec![source],
        };
        for map in maps {
            let Kind::Map(entries) = map.kind else {
                return Err(Fault::new("`<<` takes a map, or a list of maps").at(map.at));
            };
            for (key, value) in entries {
                let Some(name) = key.text() else { continue };
                if seen.insert(name.to_owned()) {
                    own.push((key, value));
                } else if name.contains("match") {
                    let message = format!(
                        "`{name}` is here and in what `<<` brings in, and Alertmanager would demand both: write it out once"
                    );
                    return Err(Fault::new(message).at(map.at));
                }
            }
        }
    }
    *entries = own;
    Ok(node)
}

/// Nodes in and below this one, to bound what aliases copy; long texts weigh like several.
fn weight(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar { text, .. } => text.len() / 64,
        Kind::List(items) => items.iter().map(weight).sum(),
        Kind::Map(entries) => entries.iter().map(|(key, value)| weight(key) + weight(value)).sum(),
    }
}

/// Levels in and below this node, so that aliases cannot stack deeper than text may nest.
fn depth(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar { .. } => 0,
        Kind::List(items) => items.iter().map(depth).max().unwrap_or(0),
        Kind::Map(entries) => entries.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
    }
}

fn too_deep(at: Position) -> Fault {
    Fault::new(format!("the file nests deeper than {MAX_DEPTH} levels")).at(at)
}

/// The parser counts columns from 0.
fn position(line: usize, column: usize) -> Position {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: number(line.max(1)), column: number(column.saturating_add(1)) }
}
