//! JSON to a document with positions.
//!
//! Structure is read here, because positions are needed and a general parser keeps none; what is
//! inside a string or a number is left to `serde_json`.

use std::ops::Range;

use crate::document::{MAX_DEPTH, Node, NodeKind, Style};
use crate::issue::Issue;

pub(crate) fn parse(text: &str) -> Result<Node, Issue> {
    let mut reader = Reader { text, at: 0 };
    reader.space();
    if reader.peek().is_none() {
        return Err(Issue::new(
            "E0101",
            0..0,
            "the file is empty",
            "expected `{\"rules\": [...]}`",
        )
        .help("a file that should hold no rules says so: {\"rules\": []}"));
    }
    let root = reader.value(0)?;
    reader.space();
    match reader.peek() {
        None => Ok(root),
        Some(_) => Err(reader.unexpected("the end of the file")),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Recurses once per level, at most `MAX_DEPTH` times.
    fn value(&mut self, depth: usize) -> Result<Node, Issue> {
        if depth > MAX_DEPTH {
            let message = format!("the file nests deeper than {MAX_DEPTH} levels");
            return Err(Issue::new("E0107", self.at..self.at + 1, message, "one too many"));
        }
        match self.peek() {
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9' | b'a'..=b'z') => self.word(),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Node, Issue> {
        let start = self.at;
        let mut entries = Vec::new();
        self.items(b'}', |reader| {
            if reader.peek() != Some(b'"') {
                return Err(reader.unexpected("a key in double quotes"));
            }
            let key = reader.string()?;
            reader.space();
            if reader.peek() != Some(b':') {
                return Err(reader.unexpected("`:`"));
            }
            reader.at += 1;
            reader.space();
            entries.push((key, reader.value(depth + 1)?));
            Ok(())
        })?;
        Ok(Node { kind: NodeKind::Map(entries), span: start..self.at, tag: None })
    }

    fn list(&mut self, depth: usize) -> Result<Node, Issue> {
        let start = self.at;
        let mut items = Vec::new();
        self.items(b']', |reader| {
            items.push(reader.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Node { kind: NodeKind::Seq(items), span: start..self.at, tag: None })
    }

    fn items(
        &mut self,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), Issue>,
    ) -> Result<(), Issue> {
        self.at += 1;
        self.space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        let mut comma;
        loop {
            item(self)?;
            self.space();
            match self.peek() {
                Some(b',') => {
                    comma = self.at;
                    self.at += 1;
                }
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.unexpected(&format!("`,` or `{}`", close as char))),
            }
            self.space();
            if self.peek() == Some(close) {
                let message = "JSON allows no comma before the end";
                let issue = Issue::new("E0101", comma..comma + 1, message, "this comma");
                return Err(issue.help("delete it"));
            }
        }
    }

    fn string(&mut self) -> Result<Node, Issue> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(byte) if *byte >= 0x20 => end += 1,
                _ => {
                    return Err(Issue::new(
                        "E0101",
                        start..start + 1,
                        "this string is never closed",
                        "expected another \" on this line",
                    ));
                }
            }
        }
        self.at = end + 1;
        let span = start..self.at;
        let text = serde_json::from_str::<String>(&self.text[span.clone()])
            .map_err(|error| bad(span.clone(), "string", &error))?;
        Ok(Node::scalar(text, Style::Double, span))
    }

    fn word(&mut self) -> Result<Node, Issue> {
        let start = self.at;
        while matches!(
            self.peek(),
            Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')
        ) {
            self.at += 1;
        }
        let span = start..self.at;
        let text = &self.text[span.clone()];
        serde_json::from_str::<serde_json::Value>(text)
            .map_err(|error| bad(span.clone(), "value", &error))?;
        Ok(Node::scalar(text.to_owned(), Style::Plain, span))
    }

    fn unexpected(&self, expected: &str) -> Issue {
        let rest = &self.text[self.at..];
        if let Some(sign) = ["//", "/*", "#"].into_iter().find(|sign| rest.starts_with(sign)) {
            let span = self.at..self.at + sign.len();
            let issue = Issue::new("E0101", span, "JSON has no comments", "not part of JSON");
            return issue.help("write the rules in YAML, where `#` begins a comment");
        }
        let found = self.text[self.at..].chars().next();
        let message = match found {
            None => "the file ends too early".to_owned(),
            Some(c) => format!("not valid JSON: `{c}` is not expected here"),
        };
        let width = found.map_or(0, char::len_utf8);
        Issue::new("E0101", self.at..self.at + width, message, format!("expected {expected}"))
    }
}

fn bad(span: Range<usize>, what: &str, error: &serde_json::Error) -> Issue {
    let reason = error.to_string();
    let reason = reason.split(" at line").next().unwrap_or_default().to_owned();
    Issue::new("E0101", span, format!("not a valid JSON {what}"), reason)
}
