//! `count(10s) by host >= 20`: what a window rule asks, read from its condition.

use std::ops::Range;
use std::time::Duration;

use crate::ast::{Ast, CompareOp, ExprId, Kind, Literal};
use crate::issue::Issue;
use crate::literal::humane;

/// The largest number that a count can be compared with: so many times are kept per group.
pub(crate) const MAX_THRESHOLD: u64 = 10_000;
const MAX_LENGTH: Duration = Duration::from_secs(7 * 86_400);

/// One window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) over: Duration,
    /// Fires at this many records or more.
    pub(crate) needs: u64,
    /// The comparison as it was written: `>= 20`.
    pub(crate) written: String,
    /// Fields that split the records into groups.
    pub(crate) by: Vec<(String, Range<usize>)>,
}

/// The top-level terms of a `when`, with the window taken out.
#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) window: Option<Window>,
    /// The comparison that holds the window, if any.
    pub(crate) windows: Vec<ExprId>,
    /// All other terms.
    pub(crate) terms: Vec<ExprId>,
}

pub(crate) fn split(ast: &Ast) -> Result<Split, Vec<Issue>> {
    let mut split = Split { window: None, windows: Vec::new(), terms: Vec::new() };
    let mut issues = Vec::new();
    for term in ast.conjuncts() {
        let Some((op, count, number)) = comparison(ast, term) else {
            split.terms.push(term);
            continue;
        };
        split.windows.push(term);
        match window(ast, op, count, number) {
            Ok(_) if split.window.is_some() => issues.push(
                Issue::new(
                    "E0401",
                    ast.span(term),
                    "a second window in one rule",
                    "one `count()` is enough",
                )
                .help("write a rule for each"),
            ),
            Ok(window) => split.window = Some(window),
            Err(issue) => issues.push(issue),
        }
    }
    if issues.is_empty() { Ok(split) } else { Err(issues) }
}

/// `count(...) OP x` or `x OP count(...)`, the operator turned to stand behind the count.
fn comparison(ast: &Ast, term: ExprId) -> Option<(CompareOp, ExprId, ExprId)> {
    let Kind::Compare(op, a, b) = *ast.kind(term) else { return None };
    let is_count = |id| matches!(ast.kind(id), Kind::Count { .. });
    match (is_count(a), is_count(b)) {
        (true, false) => Some((op, a, b)),
        (false, true) => Some((op.flipped(), b, a)),
        _ => None,
    }
}

fn window(ast: &Ast, op: CompareOp, count: ExprId, number: ExprId) -> Result<Window, Issue> {
    let Kind::Count { over, by } = ast.kind(count) else {
        return Err(Issue::new("E0401", ast.span(count), "not a window", ""));
    };
    let over = length(ast, *over)?;
    let threshold = threshold(ast, number)?;
    let needs = match op {
        CompareOp::Ge => threshold,
        CompareOp::Gt => threshold + 1,
        _ => {
            let message =
                format!("a count is compared with `>` or `>=`, not with `{}`", op.symbol());
            return Err(Issue::new(
                "E0402",
                ast.span(count),
                message,
                "a window fires on many records",
            )
            .help(match op {
                CompareOp::Lt | CompareOp::Le => {
                    "a rule that fires when records stay away is not part of the language yet"
                }
                _ => "a count goes up one by one: `>=` holds from the number on",
            }));
        }
    };
    if needs == 0 {
        let message = "this count is always reached";
        return Err(Issue::new("E0402", ast.span(number), message, "no count is below zero")
            .help("`count(5m) >= 1` fires at the first record"));
    }
    let written = format!("{} {threshold}", op.symbol());
    Ok(Window { over, needs, written, by: by.clone() })
}

fn length(ast: &Ast, id: ExprId) -> Result<Duration, Issue> {
    let span = ast.span(id);
    match ast.kind(id) {
        Kind::Literal(Literal::Duration(over)) if over.is_zero() || *over > MAX_LENGTH => {
            let message = format!("a window of {} is out of bounds", humane(*over));
            Err(Issue::new("E0403", span, message, "expected more than 0 and at most 7d"))
        }
        Kind::Literal(Literal::Duration(over)) => Ok(*over),
        Kind::Literal(Literal::Int(number)) => {
            let issue = Issue::new("E0403", span, "a window needs a unit", "expected a duration");
            Err(issue.suggest(format!("{number}s")))
        }
        _ => Err(Issue::new(
            "E0403",
            span,
            "the length of a window is a constant",
            "expected a duration such as 5m",
        )),
    }
}

fn threshold(ast: &Ast, id: ExprId) -> Result<u64, Issue> {
    let span = ast.span(id);
    let (message, label) = match ast.kind(id) {
        Kind::Literal(Literal::Int(number)) => match u64::try_from(*number) {
            Ok(number) if number <= MAX_THRESHOLD => return Ok(number),
            Ok(_) => {
                (format!("a count cannot be compared with more than {MAX_THRESHOLD}"), "too large")
            }
            Err(_) => ("a count is never negative".to_owned(), "expected a whole number"),
        },
        Kind::Literal(Literal::Str(text)) => {
            let issue = Issue::new(
                "E0402",
                span,
                "a count is a number, not a string",
                "expected a whole number",
            );
            return Err(match text.trim().parse::<u64>() {
                Ok(number) => issue.suggest(number.to_string()),
                Err(_) => issue,
            });
        }
        Kind::Literal(Literal::Float(_)) => {
            ("a count is a whole number".to_owned(), "expected a whole number")
        }
        Kind::Literal(Literal::Bool(_)) => {
            ("a count is a number, not a bool".to_owned(), "expected a whole number")
        }
        _ => {
            let message = "a count is compared with a constant";
            let issue = Issue::new("E0402", span, message, "expected a whole number");
            return Err(issue.help("a threshold is written in the rule: `count(5m) >= 20`"));
        }
    };
    Err(Issue::new("E0402", span, message, label))
}
