//! What is asked of texts: parts of them, and patterns.

use crate::ast::{Ast, ExprId, Kind, Literal, TextOp};
use crate::check::{Checker, Type};

impl Checker<'_> {
    pub(super) fn text(&mut self, op: TextOp, a: ExprId, b: ExprId) -> Type {
        let symbol = op.symbol();
        self.textual(a, symbol);
        if op.folds() {
            if !matches!(self.ast.kind(b), Kind::Literal(Literal::Str(_))) {
                let message = format!("`{symbol}` looks for a text that is known beforehand");
                let help = "for two fields write `lower(a) == lower(b)`";
                self.issue("E0304", b, message, "not a text in quotes").help = Some(help.into());
            }
        } else if op.is_containing() {
            self.contained(a, b);
        } else {
            self.textual(b, symbol);
        }
        Type::Bool
    }

    /// What `contains` looks for is one value, and in a text it is a text.
    fn contained(&mut self, a: ExprId, b: ExprId) {
        let (within, found) = (self.ty(a), self.ty(b));
        let is_one =
            matches!(found, Type::Any | Type::Null | Type::Bool | Type::Number | Type::Text);
        if !is_one {
            let message = format!("`contains` looks for one value, not for {}", found.name());
            let issue = self.issue("E0310", b, message, "expected a text or a number");
            if matches!(found, Type::List | Type::Set) {
                issue.help =
                    Some("to look for any of several, write `f contains 'a' || ...`".into());
            }
        } else if within == Type::Text && !matches!(found, Type::Any | Type::Text) {
            let message = format!("a text never contains {}", found.name());
            self.issue("E0302", b, message, "these types have nothing in common");
        }
    }

    pub(super) fn pattern(&mut self, text: ExprId, pattern: ExprId) -> Type {
        if !self.textual(text, "=~")
            && let Some(issue) = self.issues.last_mut()
        {
            issue.help = Some("the field stands left, the pattern right: `path =~ '^/api'`".into());
        }
        let Kind::Literal(Literal::Str(source)) = self.ast.kind(pattern) else {
            let message = "a pattern must be a string literal".to_owned();
            self.issue("E0305", pattern, message, "expected a text in quotes").help = Some(
                "patterns are compiled once, when the rules are loaded; to compare two fields, \
                 write `path startswith prefix` or `contains`"
                    .into(),
            );
            return Type::Bool;
        };
        match self.patterns.get(source) {
            Ok(regex) => drop(self.out.regexes.insert(Ast::index(pattern), regex)),
            Err(reason) => {
                self.issue(
                    "E0305",
                    pattern,
                    format!("not a valid pattern: {reason}"),
                    "in this pattern",
                );
            }
        }
        Type::Bool
    }

    fn textual(&mut self, id: ExprId, symbol: &str) -> bool {
        let found = self.ty(id);
        let list = matches!(symbol, "contains" | "icontains") && found == Type::List;
        if matches!(found, Type::Any | Type::Text) || list {
            return true;
        }
        let message = format!("`{symbol}` works on text, not on {}", found.name());
        self.issue("E0304", id, message, &format!("this is {}", found.name()));
        false
    }
}
