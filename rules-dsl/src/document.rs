//! A rule file as data with positions: what YAML and JSON have in common.

use std::ops::Range;

/// How deep maps and lists may nest in a rule file.
pub(crate) const MAX_DEPTH: usize = 32;
/// The largest rule file that is looked at.
pub(crate) const MAX_BYTES: usize = 32 * 1024 * 1024;

/// A value of the file and the bytes it was written in.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) span: Range<usize>,
    /// A YAML tag that stands before the value (`!x`), which is how a leading `!` is lost.
    pub(crate) tag: Option<Range<usize>>,
}

#[derive(Debug, Clone)]
pub(crate) enum NodeKind {
    Scalar { text: String, style: Style },
    Seq(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Bare words; in JSON numbers, `true`, `false`, `null`.
    Plain,
    Single,
    Double,
    /// `|` and `>`.
    Block,
}

impl Node {
    pub(crate) fn scalar(text: String, style: Style, span: Range<usize>) -> Self {
        Self { kind: NodeKind::Scalar { text, style }, span, tag: None }
    }

    /// What stands here, for a message.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.kind {
            NodeKind::Map(_) => "a map",
            NodeKind::Seq(_) => "a list",
            NodeKind::Scalar { .. } if self.is_null() => "nothing",
            NodeKind::Scalar { .. } => "a text",
        }
    }

    /// A bare nothing: `key:`, `key: ~`, `key: null`.
    pub(crate) fn is_null(&self) -> bool {
        match &self.kind {
            NodeKind::Scalar { text, style: Style::Plain } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// Nodes in and below this one, to bound what aliases copy; long texts weigh like several.
    #[cfg(feature = "yaml")]
    pub(crate) fn weight(&self) -> usize {
        1 + match &self.kind {
            NodeKind::Scalar { text, .. } => text.len() / 64,
            NodeKind::Seq(items) => items.iter().map(Self::weight).sum(),
            NodeKind::Map(entries) => {
                entries.iter().map(|(key, value)| key.weight() + value.weight()).sum()
            }
        }
    }

    /// Levels in and below this node, so that aliases cannot stack deeper than text may nest.
    #[cfg(feature = "yaml")]
    pub(crate) fn depth(&self) -> usize {
        1 + match &self.kind {
            NodeKind::Scalar { .. } => 0,
            NodeKind::Seq(items) => items.iter().map(Self::depth).max().unwrap_or(0),
            NodeKind::Map(entries) => {
                entries.iter().map(|(key, value)| key.depth().max(value.depth())).max().unwrap_or(0)
            }
        }
    }
}
