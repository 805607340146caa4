//! A look at the raw text before the parser sees it: length, nesting, and what was left open.
//!
//! The parser recurses once per bracket, so the depth is bounded here, in a loop, where hostile
//! input can do nothing worse than get an error. What is left open is found here too, because here
//! the opening sign is still known.

use crate::issue::Issue;

/// The longest expression that is looked at, in bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
/// How deep brackets may nest.
pub(crate) const MAX_DEPTH: usize = 64;

pub(crate) fn prescan(text: &str) -> Result<(), Issue> {
    if text.len() > MAX_BYTES {
        let message = format!("the expression has {} bytes; the limit is {MAX_BYTES}", text.len());
        return Err(Issue::new("E0206", 0..1, message, "begins here")
            .help("split it into several rules, or use `in [...]` instead of a long `||` chain"));
    }
    if text.trim().is_empty() {
        return Err(Issue::new(
            "E0201",
            0..text.len(),
            "the expression is empty",
            "expected a condition",
        ));
    }
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' | '"' | '`' => skip_quoted(&mut chars, at, c)?,
            '(' | '[' => {
                if open.len() == MAX_DEPTH {
                    let message = format!("brackets nest deeper than {MAX_DEPTH} levels");
                    return Err(Issue::new("E0206", at..at + 1, message, "one too many")
                        .help("an expression this deep is unreadable; split the rule"));
                }
                open.push((at, c));
            }
            ')' | ']' => close(&mut open, at, c)?,
            _ => {}
        }
    }
    match open.pop() {
        Some((at, c)) => {
            let message = format!("this `{c}` is never closed");
            Err(Issue::new("E0202", at..at + 1, message, format!("expected a `{}`", closing(c))))
        }
        None => Ok(()),
    }
}

fn skip_quoted(chars: &mut std::str::CharIndices<'_>, at: usize, quote: char) -> Result<(), Issue> {
    while let Some((_, c)) = chars.next() {
        if c == quote {
            return Ok(());
        }
        if c == '\\' && quote != '`' {
            chars.next();
        }
    }
    let what = if quote == '`' { "name" } else { "string" };
    let message = format!("this {what} is never closed");
    Err(Issue::new("E0202", at..at + 1, message, format!("expected another {quote} behind it")))
}

fn close(open: &mut Vec<(usize, char)>, at: usize, c: char) -> Result<(), Issue> {
    match open.pop() {
        Some((_, opening)) if closing(opening) == c => Ok(()),
        Some((_, opening)) => {
            let message = format!("`{c}` closes a `{opening}`");
            Err(Issue::new(
                "E0202",
                at..at + 1,
                message,
                format!("expected `{}`", closing(opening)),
            ))
        }
        None => {
            let message = format!("this `{c}` closes nothing");
            Err(Issue::new("E0202", at..at + 1, message, "no bracket is open here"))
        }
    }
}

fn closing(opening: char) -> char {
    if opening == '(' { ')' } else { ']' }
}
