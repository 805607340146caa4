//! The classic syntax, the only one before Alertmanager 0.27.
//!
//! A tolerant one: a value need not be quoted, an escape that there is not stands for itself, a brace may be missing.

use super::read::Complaint;
use super::{MatchOp, Parts, is_plain};

/// What `\s` is in Go's patterns; other spaces are part of the value.
fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\x0c' | '\r' | ' ')
}

/// `{a="b", c=~"d"}`, each brace optional, a last comma allowed.
pub(super) fn list(text: &str) -> Result<Vec<Parts>, Complaint> {
    let inner = text.strip_prefix('{').unwrap_or(text);
    let inner = inner.strip_suffix('}').unwrap_or(inner);
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut in_quotes, mut escaped) = (false, false);
    for (at, c) in inner.char_indices() {
        match c {
            ',' if !in_quotes => {
                parts.push(one(&inner[start..at])?);
                start = at + 1;
            }
            ',' => {}
            '"' if escaped => escaped = false,
            '"' => in_quotes = !in_quotes,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    let last = inner[start..].trim();
    if !last.is_empty() {
        parts.push(one(last)?);
    }
    Ok(parts)
}

pub(super) fn one(text: &str) -> Result<Parts, Complaint> {
    let trimmed = text.trim_matches(is_space);
    let end =
        trimmed.find(|c| is_space(c) || matches!(c, '=' | '!' | '~')).unwrap_or(trimmed.len());
    let (name, rest) = trimmed.split_at(end);
    let rest = rest.trim_start_matches(is_space);
    // The longer operators first: `=~` begins with `=`.
    let (op, value) = [MatchOp::Regex, MatchOp::NotRegex, MatchOp::NotEqual, MatchOp::Equal]
        .into_iter()
        .find_map(|op| Some((op, rest.strip_prefix(op.as_str())?)))
        .ok_or_else(|| {
            Complaint::new(
                text,
                "expected =, !=, =~ or !~ after the label's name, as in env=\"prod\"",
            )
        })?;
    if name.is_empty() {
        return Err(Complaint::new(text, "the label's name is missing: write name=\"value\""));
    }
    if !is_plain(name) {
        let message = format!("`{name}` is not a plain label name: write it in double quotes");
        return Err(Complaint::new(text, message));
    }
    let value = unquote(text, value.trim_start_matches(is_space))?;
    Ok(Parts { name: name.to_owned(), op, value })
}

/// The value without its quotes and escapes. Quotes are optional, but a lone one is an error.
fn unquote(whole: &str, raw: &str) -> Result<String, Complaint> {
    let (inner, mut open) = match raw.strip_prefix('"') {
        Some(inner) => (inner, true),
        None => (raw, false),
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(escaped @ ('"' | '\\')) => out.push(escaped),
                // Any other escape stays as it is: `\d` belongs to the pattern.
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            '"' if open && chars.as_str().is_empty() => open = false,
            '"' if open => {
                return Err(Complaint::new(
                    whole,
                    "there is text after the closing quote; a double quote inside the value is written \\\"",
                ));
            }
            '"' => {
                return Err(Complaint::new(
                    whole,
                    "a double quote inside the value is written \\\"",
                ));
            }
            other => out.push(other),
        }
    }
    if open {
        return Err(Complaint::new(whole, "the closing quote is missing"));
    }
    Ok(out)
}
