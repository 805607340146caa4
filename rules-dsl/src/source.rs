//! Rule text and where things stand in it.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Place};
use crate::document::{MAX_BYTES, Node, NodeKind, Style};
use crate::issue::Issue;

/// How much of a line a diagnostic keeps on either side of the fault.
const LINE_BYTES: usize = 1_000;

/// How a rule file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// YAML 1.2. Needs the feature `yaml`.
    Yaml,
    /// JSON.
    Json,
}

/// One rule file: its name in messages, its text, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// Shown in diagnostics and kept in [`RuleInfo::file`](crate::RuleInfo::file); usually a path.
    pub name: String,
    /// The text of the file.
    pub text: String,
    /// How it is written.
    pub format: Format,
}

impl SourceText {
    /// A source in YAML.
    pub fn yaml(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), format: Format::Yaml }
    }

    /// A source in JSON.
    pub fn json(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into(), format: Format::Json }
    }

    /// The text as a document.
    pub(crate) fn read(&self) -> Result<(Source<'_>, Node), Box<Diagnostic>> {
        if self.text.len() > MAX_BYTES {
            let message =
                format!("the file has {} bytes; the limit is {MAX_BYTES}", self.text.len());
            let issue = Issue::new("E0107", 0..0, message, "split it into several files");
            return Err(Box::new(Source::new(&self.name, "").diagnose(issue)));
        }
        let source = Source::new(&self.name, &self.text);
        match self.format.parse(&self.text) {
            Ok(root) => Ok((source, root)),
            Err(issue) => Err(Box::new(source.diagnose(issue))),
        }
    }
}

impl Format {
    pub(crate) fn parse(self, text: &str) -> Result<Node, Issue> {
        match self {
            #[cfg(feature = "yaml")]
            Self::Yaml => crate::yaml::parse(text),
            Self::Json => crate::json::parse(text),
            #[cfg(not(feature = "yaml"))]
            Self::Yaml => Err(Issue::new("E0101", 0..1, "this build reads no YAML", "")
                .help("turn on the feature `yaml` of birl-rules-dsl, or write the rules in JSON")),
        }
    }
}

/// A source while it is compiled: turns byte positions into lines and columns.
#[derive(Debug)]
pub(crate) struct Source<'t> {
    pub(crate) name: Arc<str>,
    pub(crate) text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'t> Source<'t> {
    pub(crate) fn new(name: &str, text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { name: name.into(), text, lines }
    }

    /// Line of a byte, from 1. Unlike the column it costs the same however long the line is.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).max(1)
    }

    /// Line and column of a byte, both from 1; columns count characters.
    fn position(&self, at: usize) -> (usize, usize) {
        let at = self.floor(at);
        let line = self.line(at);
        (line, self.text[self.lines[line - 1]..at].chars().count() + 1)
    }

    fn floor(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    /// Gives an issue its place; its span counts bytes of this file.
    pub(crate) fn diagnose(&self, issue: Issue) -> Diagnostic {
        let place = self.place(&issue.span, issue.label.into());
        let others = issue.others.into_iter().map(|(span, label)| self.place(&span, label.into()));
        Diagnostic {
            code: issue.code,
            message: issue.message.into(),
            file: Arc::clone(&self.name),
            line: place.line,
            column: place.column,
            span: place.span.clone(),
            label: place.label.clone(),
            help: issue.help,
            suggestion: issue.suggestion.map(Into::into),
            others: others.collect(),
            source_line: place.source_line.clone(),
            skipped: place.skipped,
        }
    }

    fn place(&self, span: &Range<usize>, label: String) -> Place {
        let mut start = self.floor(span.start);
        let end = self.floor(span.end).max(start);
        // An end of file or of line is shown behind the last thing that is there.
        if start == end
            && start > 0
            && matches!(self.text.as_bytes().get(start), None | Some(b'\n'))
        {
            start = self.floor(self.text[..start].trim_end().len().saturating_sub(1));
        }
        let (line, column) = self.position(start);
        let line_start = self.lines[line - 1];
        // Every mistake keeps its line, and a file of one line may be all mistakes.
        let cut = self.floor(line_start.max(start.saturating_sub(LINE_BYTES)));
        let part = &self.text[cut..self.floor(start + LINE_BYTES)];
        let source_line = part.lines().next().unwrap_or_default().to_owned();
        let skipped = self.text[line_start..cut].chars().count();
        Place { line, column, span: start..end, label, source_line, skipped }
    }

    /// Turns spans inside a scalar's value into spans of the file.
    pub(crate) fn locate(&self, node: &Node, issues: &mut [Issue]) {
        let map = Alignment { whole: node.span.clone(), offsets: origins(self.text, node) };
        for issue in issues {
            issue.span = map.source(issue.span.clone());
            issue.others.iter_mut().for_each(|(span, _)| *span = map.source(span.clone()));
        }
    }
}

/// Of each byte of a scalar's value the byte of the file that it came from, plus one for its end;
/// nothing when that cannot be told.
pub(crate) fn origins(file: &str, node: &Node) -> Vec<usize> {
    let NodeKind::Scalar { text, style } = &node.kind else { return Vec::new() };
    let Range { mut start, end } = node.span;
    if *style == Style::Block {
        // The empty lines before it are a part of the value, and its span begins behind them.
        start = file.get(..start).map_or(start, |before| before.trim_end().len());
    }
    let offsets = file.get(start..end).and_then(|source| align(source, text, *style));
    offsets.unwrap_or_default().into_iter().map(|at| at + start).collect()
}

/// Which byte of the file each byte of a scalar's value came from.
///
/// Values differ from their spelling by escapes, folded lines and stripped indentation. Walking both
/// texts side by side maps nearly all of them exactly; where the walk loses the thread, the start of
/// the value must do.
#[derive(Debug)]
struct Alignment {
    whole: Range<usize>,
    /// Empty when the thread was lost.
    offsets: Vec<usize>,
}

impl Alignment {
    fn source(&self, span: Range<usize>) -> Range<usize> {
        match (self.offsets.get(span.start), self.offsets.get(span.end)) {
            (Some(start), Some(end)) => *start..(*end).max(*start),
            _ => self.whole.clone(),
        }
    }
}

fn align(source: &str, value: &str, style: Style) -> Option<Vec<usize>> {
    let mut at = match style {
        Style::Plain => 0,
        Style::Single | Style::Double => 1,
        // The header (`|`, `>-`) has a line of its own; some parsers leave it out of the span.
        Style::Block if source.starts_with(['|', '>']) => source.find('\n')? + 1,
        Style::Block => 0,
    };
    let mut offsets = Vec::with_capacity(value.len() + 1);
    for wanted in value.chars() {
        if !wanted.is_whitespace() {
            // Indentation and folded lines.
            at = source.len() - source.get(at..)?.trim_start().len();
        }
        let found = source.get(at..)?.chars().next();
        let from;
        (from, at) = match found {
            Some('\\') if style == Style::Double => {
                // A line break behind a backslash joins lines and stands for nothing.
                let (from, next) = skip_joins(source, at);
                (from, next + escape_length(source.get(next..)?)?)
            }
            Some('\'') if style == Style::Single && wanted == '\'' => (at, at + 2),
            Some(c) if c == wanted || (c.is_whitespace() && wanted.is_whitespace()) => {
                (at, at + c.len_utf8())
            }
            // A block's last line break may be the end of the file.
            None if wanted == '\n' => (at, at),
            _ => return None,
        };
        offsets.extend(std::iter::repeat_n(from, wanted.len_utf8()));
    }
    offsets.push(at.min(source.len()));
    Some(offsets)
}

fn skip_joins(source: &str, mut at: usize) -> (usize, usize) {
    let from = at;
    while source[at..].starts_with("\\\n") || source[at..].starts_with("\\\r\n") {
        let rest = source[at + 1..].trim_start();
        at = source.len() - rest.len();
    }
    (from, at)
}

/// Bytes of one escape (or of the plain character that stands there).
fn escape_length(source: &str) -> Option<usize> {
    let mut chars = source.chars();
    let first = chars.next()?;
    if first != '\\' {
        return Some(first.len_utf8());
    }
    let kind = chars.next()?;
    let surrogate = |text: &str| {
        text.len() > 4
            && matches!(&text[2..4], "d8" | "d9" | "da" | "db" | "D8" | "D9" | "DA" | "DB")
    };
    Some(match kind {
        'x' => 4,
        'u' if source.is_char_boundary(4) && surrogate(source) => 12,
        'u' => 6,
        'U' => 10,
        other => 1 + other.len_utf8(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, value: &str, style: Style, needle: &str, expect: &str) {
        let offsets = align(source, value, style).expect("aligned");
        let at = value.find(needle).expect("needle");
        assert_eq!(&source[offsets[at]..offsets[at + needle.len()]], expect, "{source:?}");
    }

    #[test]
    fn every_scalar_style_maps_back() {
        check("cpu > 90", "cpu > 90", Style::Plain, "90", "90");
        check("a &&\n      b > 1", "a && b > 1", Style::Plain, "b", "b");
        check("'it''s > 1'", "it's > 1", Style::Single, "> 1", "> 1");
        check(r#""a == \"x\" && b""#, r#"a == "x" && b"#, Style::Double, "b", "b");
        check(
            "\"a &&\n  \\\"x\\\" == b\"",
            "a && \"x\" == b",
            Style::Double,
            "\"x\" ==",
            r#"\"x\" =="#,
        );
        check(r#""a\u00e9 && b""#, "a\u{e9} && b", Style::Double, "b", "b");
        check(r#""\ud83d\ude00 && b""#, "\u{1F600} && b", Style::Double, "b", "b");
        check("|\n    a &&\n    b\n", "a &&\nb\n", Style::Block, "b", "b");
        check("|\n    a\n      && b\n", "a\n  && b\n", Style::Block, "b", "b");
        check(">-\n    a &&\n    b\n", "a && b", Style::Block, "b", "b");
    }
}
