//! A tree as it would be written, for what a name stands for and was written elsewhere.

use std::fmt::Write as _;

use crate::ast::{Ast, ExprId, Kind, Literal};
use crate::literal::humane;

/// The text of an expression. It recurses once per level, which the height of the tree bounds.
pub(crate) fn show(ast: &Ast, id: ExprId) -> String {
    let mut out = String::new();
    write_into(ast, id, &mut out);
    out
}

fn write_into(ast: &Ast, id: ExprId, out: &mut String) {
    match ast.kind(id) {
        Kind::Literal(literal) => write_literal(literal, out),
        Kind::Field(path) => out.push_str(path),
        Kind::Item(path) => {
            out.push_str(path);
            out.push_str("[*]");
        }
        Kind::List(items) => {
            out.push('[');
            joined(ast, items, ", ", out);
            out.push(']');
        }
        Kind::And(terms) => operands(ast, terms, " && ", out),
        Kind::Or(terms) => operands(ast, terms, " || ", out),
        Kind::Range(a, b) => operands(ast, &[*a, *b], "..", out),
        Kind::Not(one) => {
            out.push('!');
            operand(ast, *one, out);
        }
        Kind::Negate(one) => {
            out.push('-');
            operand(ast, *one, out);
        }
        Kind::Compare(op, a, b) => infix(ast, *a, op.symbol(), *b, out),
        Kind::In { negated, folds, item, list } => {
            let symbol = match (negated, folds) {
                (false, false) => "in",
                (true, false) => "not in",
                (false, true) => "iin",
                (true, true) => "not iin",
            };
            infix(ast, *item, symbol, *list, out);
        }
        Kind::Match { negated, text, pattern } => {
            operand(ast, *text, out);
            out.push_str(if *negated { " !~ " } else { " =~ " });
            match ast.kind(*pattern) {
                // Its backslashes are its own.
                Kind::Literal(Literal::Str(text)) => {
                    let _ = write!(out, "'{}'", text.replace('\'', "\\'"));
                }
                _ => operand(ast, *pattern, out),
            }
        }
        Kind::Text(op, a, b) => infix(ast, *a, op.symbol(), *b, out),
        Kind::Arith(op, a, b) => infix(ast, *a, op.symbol(), *b, out),
        Kind::Default(a, b) => infix(ast, *a, "??", *b, out),
        Kind::Call { name, args } => {
            out.push_str(name);
            out.push('(');
            joined(ast, args, ", ", out);
            out.push(')');
        }
        Kind::Each { all, over } => {
            out.push_str(if *all { "all(" } else { "any(" });
            write_into(ast, *over, out);
            out.push(')');
        }
        Kind::Count { over, .. } => {
            out.push_str("count(");
            write_into(ast, *over, out);
            out.push(')');
        }
    }
}

fn infix(ast: &Ast, a: ExprId, symbol: &str, b: ExprId, out: &mut String) {
    operand(ast, a, out);
    let _ = write!(out, " {symbol} ");
    operand(ast, b, out);
}

fn operands(ast: &Ast, all: &[ExprId], between: &str, out: &mut String) {
    for (index, one) in all.iter().enumerate() {
        if index > 0 {
            out.push_str(between);
        }
        operand(ast, *one, out);
    }
}

/// In parentheses if it is made of others with signs between them.
fn operand(ast: &Ast, id: ExprId, out: &mut String) {
    let is_whole = matches!(
        ast.kind(id),
        Kind::Literal(_)
            | Kind::Field(_)
            | Kind::Item(_)
            | Kind::List(_)
            | Kind::Range(..)
            | Kind::Call { .. }
            | Kind::Each { .. }
            | Kind::Count { .. }
    );
    if is_whole {
        return write_into(ast, id, out);
    }
    out.push('(');
    write_into(ast, id, out);
    out.push(')');
}

fn joined(ast: &Ast, all: &[ExprId], between: &str, out: &mut String) {
    for (index, one) in all.iter().enumerate() {
        if index > 0 {
            out.push_str(between);
        }
        write_into(ast, *one, out);
    }
}

fn write_literal(literal: &Literal, out: &mut String) {
    let _ = match literal {
        Literal::Null => write!(out, "null"),
        Literal::Bool(value) => write!(out, "{value}"),
        Literal::Int(value) => write!(out, "{value}"),
        Literal::UInt(value) => write!(out, "{value}"),
        Literal::Float(value) => write!(out, "{value:?}"),
        Literal::Duration(value) => write!(out, "{}", humane(*value)),
        Literal::Str(text) => {
            let text = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n");
            write!(out, "'{text}'")
        }
    };
}
