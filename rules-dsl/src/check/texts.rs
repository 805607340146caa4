//! What is asked of texts: parts of them, and patterns.

use regex::RegexBuilder;

use crate::ast::{Ast, ExprId, Kind, Literal, TextOp};
use crate::check::{Checker, Type};

/// Compiled size of one regular expression, in bytes; the engine is linear in time anyway.
const REGEX_SIZE_LIMIT: usize = 1 << 20;

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
        } else if !op.is_containing() {
            self.textual(b, symbol);
        }
        Type::Bool
    }

    pub(super) fn pattern(&mut self, text: ExprId, pattern: ExprId) -> Type {
        self.textual(text, "=~");
        let Kind::Literal(Literal::Str(source)) = self.ast.kind(pattern) else {
            let message = "a pattern must be a string literal".to_owned();
            self.issue("E0305", pattern, message, "expected '...'").help =
                Some("patterns are compiled once, when the rules are loaded".into());
            return Type::Bool;
        };
        let known = self.patterns.get(source).cloned().map(Ok);
        let build = || RegexBuilder::new(source).size_limit(REGEX_SIZE_LIMIT).build();
        match known.unwrap_or_else(build) {
            Ok(regex) => {
                self.patterns.insert(source.clone(), regex.clone());
                self.out.regexes.insert(Ast::index(pattern), regex);
            }
            Err(error) => {
                let reason = regex_reason(&error);
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

    fn textual(&mut self, id: ExprId, symbol: &str) {
        let found = self.ty(id);
        let list = matches!(symbol, "contains" | "icontains") && found == Type::List;
        if matches!(found, Type::Any | Type::Text) || list {
            return;
        }
        let message = format!("`{symbol}` works on text, not on {}", found.name());
        self.issue("E0304", id, message, &format!("this is {}", found.name()));
    }
}

fn regex_reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("it compiles to more than {limit} bytes"),
        // The library draws a picture of its own; its last line says why.
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    }
}
