//! Patterns that say less, or more, than they seem to.

use super::{Lint, LintCode, pattern};
use crate::{MatchOp, Matcher};

/// Looks at one condition; `place` is where it stands.
pub(super) fn check(matcher: &Matcher, place: &str, lints: &mut Vec<Lint>) {
    let negated = match matcher.op() {
        MatchOp::Regex => false,
        MatchOp::NotRegex => true,
        _ => return,
    };
    let (name, value) = (matcher.name(), matcher.value());
    if pattern::anything(value) {
        let message = match negated {
            false => format!("`{matcher}` holds for every alert, those without `{name}` included"),
            true => format!("`{matcher}` holds for no alert, not even for one without `{name}`"),
        };
        let present = written(name, MatchOp::NotEqual, "");
        let remedy = match negated {
            false => format!("write `{present}` if the label has to be there, else remove it"),
            true => format!(
                "write `{}` if the label must be missing",
                written(name, MatchOp::Equal, "")
            ),
        };
        lints.push(Lint::new(LintCode::MatchesAnything, place, message, remedy));
        return;
    }
    let begin = value.strip_prefix('^');
    let rest = begin.unwrap_or(value);
    let end = pattern::without_end(rest);
    let bare = end.unwrap_or(rest);
    if pattern::branches(value).is_some_and(|branches| branches.len() == 1)
        && (begin.is_some() || end.is_some())
    {
        let signs = match (begin, end) {
            (Some(_), Some(_)) => "`^` and `$` say",
            (Some(_), None) => "`^` says",
            _ => "`$` says",
        };
        let message =
            format!("{signs} nothing in `{matcher}`: a pattern has to match the whole value");
        let remedy = match (pattern::literal(bare), begin, end) {
            (Some(_), Some(_), None) => {
                format!("write `{bare}.*` for what begins with it, else leave the sign out")
            }
            (Some(_), None, Some(_)) => {
                format!("write `.*{bare}` for what ends in it, else leave the sign out")
            }
            _ => "leave them out".to_owned(),
        };
        lints.push(Lint::new(LintCode::AnchoredRegex, place, message, remedy));
    } else if let Some(text) = pattern::literal(value) {
        let op = if negated { MatchOp::NotEqual } else { MatchOp::Equal };
        let message = format!("`{matcher}` has a pattern that is one plain text");
        let remedy = format!("write `{}`", written(name, op, &text));
        lints.push(Lint::new(LintCode::PlainRegex, place, message, remedy));
    }
}

fn written(name: &str, op: MatchOp, value: &str) -> String {
    Matcher::new(name, op, value).map_or_else(|_| String::new(), |matcher| matcher.to_string())
}
