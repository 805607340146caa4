//! What changes in the spelling of the scalars that hold expressions.
//!
//! Only two things do: the blanks between tokens, and the quotes of texts. Neither can make another
//! kind of scalar of one, since no token begins with a sign that means something to YAML behind a
//! blank, and the first token stays the first.

use std::ops::Range;

use super::sites::Sites;
use crate::document::{Node, NodeKind, Style};
use crate::parser::{Language, TokenKind, blank_between, tokens};
use crate::source::origins;

/// Bytes of the file, and what shall stand there.
#[derive(Debug)]
pub(super) struct Edit {
    pub(super) span: Range<usize>,
    pub(super) new: String,
    /// Where the scalar begins to which they belong.
    pub(super) scalar: usize,
}

/// All edits of a file, in the order of its text.
pub(super) fn edits(file: &str, sites: &Sites<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (node, language) in sites.nodes.values() {
        let mut scalar = Scalar { file, node, edits: Vec::new() };
        // What cannot be followed from its value to its spelling stays as it is.
        if scalar.write(*language).is_some() {
            edits.append(&mut scalar.edits);
        }
    }
    edits
}

/// The file with some edits made; they must stand in the order of the text.
pub(super) fn apply<'e>(file: &str, edits: impl IntoIterator<Item = &'e Edit>) -> String {
    let mut out = String::with_capacity(file.len());
    let mut at = 0;
    for edit in edits {
        out.push_str(file.get(at..edit.span.start).unwrap_or_default());
        out.push_str(&edit.new);
        at = edit.span.end;
    }
    out.push_str(file.get(at..).unwrap_or_default());
    out
}

struct Scalar<'f> {
    file: &'f str,
    node: &'f Node,
    edits: Vec<Edit>,
}

impl<'f> Scalar<'f> {
    fn write(&mut self, language: Language) -> Option<()> {
        let node = self.node;
        let NodeKind::Scalar { text, style } = &node.kind else { return None };
        let origins = origins(self.file, node);
        let quoted = matches!(style, Style::Single | Style::Double);
        // Where the last token ended, and what it was; before the first one the scalar begins.
        let mut last = None;
        let mut end = node.span.start + usize::from(quoted);
        let mut gap = Gap::default();
        for token in tokens(text, language)? {
            let from = *origins.get(token.span.start)?;
            let to = *origins.get(token.span.end)?;
            gap.parts.push(end..from);
            end = to;
            if token.kind == TokenKind::Needless {
                continue;
            }
            let blank = last.map_or("", |last| blank_between(last, token.kind));
            // The lines and the indentation before the first token of a block are the block's.
            if last.is_some() || quoted {
                self.blanks(&gap, blank)?;
            }
            gap = Gap::default();
            last = Some(token.kind);
            let needs_quotes = token.kind == TokenKind::Text;
            if needs_quotes && let Some(quote) = quote(&text[token.span.clone()], *style) {
                let inner =
                    *origins.get(token.span.start + 1)?..*origins.get(token.span.end - 1)?;
                let inner = self.file.get(inner)?;
                self.edit(from..to, format!("{quote}{inner}{quote}"));
            }
        }
        gap.parts.push(end..node.span.end.checked_sub(usize::from(quoted))?);
        self.blanks(&gap, "")
    }

    /// The gap between two tokens: blanks of a line become `blank`, line breaks stay.
    fn blanks(&mut self, gap: &Gap, blank: &str) -> Option<()> {
        let (first, last) = (gap.parts.first()?, gap.parts.last()?);
        // Needless tokens may have a line of their own; one break is kept then.
        let broken = gap.parts.iter().rev().filter_map(|part| self.file.get(part.clone()));
        let new = match broken.clone().find(|part| part.contains('\n')) {
            // A backslash at the end of a line has a meaning that depends on the blanks there.
            Some(part) if part.contains('\\') => part.to_owned(),
            Some(part) => without_trailing_blanks(part),
            None => blank.to_owned(),
        };
        self.edit(first.start..last.end, new);
        Some(())
    }

    fn edit(&mut self, span: Range<usize>, new: String) {
        if self.file.get(span.clone()).is_some_and(|old| old != new) {
            self.edits.push(Edit { span, new, scalar: self.node.span.start });
        }
    }
}

/// What stands between two tokens, less the needless tokens there.
#[derive(Default)]
struct Gap {
    parts: Vec<Range<usize>>,
}

/// The quotes that a text should have, if it has others: those that need no escape in the scalar.
fn quote(text: &str, style: Style) -> Option<char> {
    let wanted = if style == Style::Single { '"' } else { '\'' };
    let inner = text.get(1..text.len().checked_sub(1)?)?;
    (!text.starts_with(wanted) && !inner.contains(['\'', '"', '\\'])).then_some(wanted)
}

/// The indentation of what follows the last line break stays.
fn without_trailing_blanks(text: &str) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    let rest = lines.pop().unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for line in lines {
        let (line, end) = match line.strip_suffix('\r') {
            Some(line) => (line, "\r\n"),
            None => (line, "\n"),
        };
        out.push_str(line.trim_end_matches([' ', '\t']));
        out.push_str(end);
    }
    out.push_str(rest);
    out
}
