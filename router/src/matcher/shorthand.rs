//! birl's shorthand: `env:prod+team:api`, with `*` for anything.

use super::quote::unquote;
use super::read::Complaint;
use super::utf8::is_reserved;
use super::{MatchOp, Parts};

/// Is there a `:` where a matcher would have its operator?
pub(super) fn looks_like(text: &str) -> bool {
    name(text.trim_start()).is_ok_and(|(_, rest)| rest.starts_with(':'))
}

pub(super) fn list(text: &str) -> Result<Vec<Parts>, Complaint> {
    let complain = |message: String| Complaint::new(text, message);
    let (mut parts, mut rest) = (Vec::new(), text.trim());
    loop {
        let (name, behind) = name(rest).map_err(complain)?;
        let value = behind
            .strip_prefix(':')
            .ok_or_else(|| complain("expected `name:value` on both sides of each `+`".into()))?;
        let (op, value, behind) = read_value(value.trim_start()).map_err(complain)?;
        parts.push(Parts { name, op, value });
        match behind.trim_start().strip_prefix('+') {
            Some(next) => rest = next.trim_start(),
            None if behind.trim().is_empty() => return Ok(parts),
            None => {
                return Err(complain(format!(
                    "expected `+` and another `name:value` before `{}`; a value that holds a space, a comma, a quote \
                     or a `+` is written in double quotes",
                    behind.trim_start()
                )));
            }
        }
    }
}

/// The label's name, plain or in quotes, and what follows it.
fn name(text: &str) -> Result<(String, &str), String> {
    let (name, rest) = if text.starts_with('"') {
        unquote(text)?
    } else {
        let end = text.find(|c| is_reserved(c) || matches!(c, ':' | '+')).unwrap_or(text.len());
        (text[..end].to_owned(), &text[end..])
    };
    if name.is_empty() {
        return Err("the label's name is missing: write `name:value`".into());
    }
    Ok((name, rest.trim_start()))
}

/// The value, as the condition that it is, and what follows it.
fn read_value(text: &str) -> Result<(MatchOp, String, &str), String> {
    if text.starts_with('"') {
        let (value, rest) = unquote(text)?;
        return Ok((MatchOp::Equal, value, rest));
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, '+' | ',' | '"');
    let (value, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    if value.is_empty() {
        return Err("the value is missing: write `name:value`, or `name:\"\"` for a label that is not there".into());
    }
    Ok(if !value.contains('*') {
        (MatchOp::Equal, value.to_owned(), rest)
    } else if value.chars().all(|c| c == '*') {
        (MatchOp::NotEqual, String::new(), rest)
    } else {
        (MatchOp::Regex, pattern(value), rest)
    })
}

/// `web-*` as the pattern `web-.*`.
fn pattern(glob: &str) -> String {
    let mut out = String::with_capacity(glob.len() + 2);
    let mut before = None;
    for c in glob.chars() {
        match c {
            '*' if before == Some('*') => {}
            '*' => out.push_str(".*"),
            '\\' | '.' | '+' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
                out.extend(['\\', c]);
            }
            c => out.push(c),
        }
        before = Some(c);
    }
    out
}
