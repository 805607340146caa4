//! Times, and the stretches between them.

use crate::ast::{ExprId, Kind};
use crate::check::{Checker, Type};

impl Checker<'_> {
    /// Times go with times, and stretches of time with durations. Whether it is about either.
    pub(super) fn timed(&mut self, symbol: &str, a: ExprId, b: ExprId) -> bool {
        for (side, other) in [(a, b), (b, a)] {
            let (found, meets) = (self.ty(side), self.ty(other));
            let fits = match found {
                Type::Time => meets == Type::Time,
                Type::Span => matches!(meets, Type::Span | Type::Duration),
                _ => continue,
            };
            // What something is made of was complained about, if need be.
            let is_made = !matches!(
                self.ast.kind(other),
                Kind::Field(_) | Kind::Item(_) | Kind::Literal(_) | Kind::Call { .. }
            );
            if fits || (meets == Type::Any && is_made) {
                return true;
            }
            let fitting = if found == Type::Time { "another" } else { "a duration" };
            let message = format!(
                "`{symbol}` compares {} with {fitting}, not with {}",
                found.name(),
                meets.name()
            );
            let written = self.written(other).to_owned();
            let issue = self.issue("E0302", other, message, &format!("this is {}", meets.name()));
            match (found, meets) {
                (Type::Time, Type::Any | Type::Text) => {
                    issue.help = Some("`time()` reads a text as a time".into());
                    issue.suggestion = Some(format!("time({written})").into());
                }
                (Type::Span, _) => {
                    issue.help = Some("compare it with a duration such as 5m".into());
                }
                _ => {}
            }
            return true;
        }
        false
    }
}
