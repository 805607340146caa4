//! Precedence: from a flat row of operands and operators to a tree, without recursion.

use std::ops::Range;

use crate::ast::{ArithOp, Ast, CompareOp, ExprId, Kind, Literal, TextOp};
use crate::issue::Issue;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    /// `!`, which binds tighter than anything.
    Not,
    /// `not`, which binds looser than a comparison: `not a == b` means what it says.
    NotWord,
    Minus,
    Plus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Infix {
    Or,
    And,
    Compare(CompareOp),
    In { negated: bool, folds: bool },
    Match { negated: bool },
    Text(TextOp),
    Range,
    Default,
    Arith(ArithOp),
}

const OR: u8 = 1;
const AND: u8 = 2;
const NOT_WORD: u8 = 3;
const COMPARE: u8 = 4;
const RANGE: u8 = 5;
const ADD: u8 = 6;
const MUL: u8 = 7;
const DEFAULT: u8 = 8;
const PREFIX: u8 = 9;

impl Infix {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Compare(op) => op.symbol(),
            Self::In { negated: false, folds: false } => "in",
            Self::In { negated: true, folds: false } => "not in",
            Self::In { negated: false, folds: true } => "iin",
            Self::In { negated: true, folds: true } => "not iin",
            Self::Match { negated: false } => "=~",
            Self::Match { negated: true } => "!~",
            Self::Text(op) => op.symbol(),
            Self::Range => "..",
            Self::Default => "??",
            Self::Arith(op) => op.symbol(),
        }
    }

    fn binding(self) -> u8 {
        match self {
            Self::Or => OR,
            Self::And => AND,
            Self::Compare(_) | Self::In { .. } | Self::Match { .. } | Self::Text(_) => COMPARE,
            Self::Range => RANGE,
            Self::Arith(ArithOp::Add | ArithOp::Sub) => ADD,
            Self::Arith(_) => MUL,
            Self::Default => DEFAULT,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Operator {
    Prefix(Prefix),
    Infix(Infix),
}

impl Operator {
    fn binding(self) -> u8 {
        match self {
            Self::Prefix(Prefix::NotWord) => NOT_WORD,
            Self::Prefix(_) => PREFIX,
            Self::Infix(infix) => infix.binding(),
        }
    }
}

/// A shunting yard.
#[derive(Debug, Default)]
pub(crate) struct Climb {
    operators: Vec<(Operator, Range<usize>)>,
    operands: Vec<ExprId>,
    /// What stands on the right of `=~` and `!~`.
    pub(crate) patterns: Vec<ExprId>,
}

impl Climb {
    pub(crate) fn prefix(&mut self, prefix: Prefix, span: Range<usize>) {
        self.operators.push((Operator::Prefix(prefix), span));
    }

    pub(crate) fn operand(&mut self, operand: ExprId) {
        self.operands.push(operand);
    }

    pub(crate) fn infix(
        &mut self,
        ast: &mut Ast,
        text: &str,
        issues: &mut Vec<Issue>,
        infix: Infix,
        span: Range<usize>,
    ) -> Result<(), Issue> {
        let binding = infix.binding();
        // Chains of `&&` and of `||` are gathered and become one node; `??` leans to the right.
        let gathers = matches!(infix, Infix::And | Infix::Or | Infix::Default);
        while let Some((top, _)) = self.operators.last() {
            let top = *top;
            if top.binding() < binding || (top.binding() == binding && gathers) {
                break;
            }
            if top.binding() == COMPARE && binding == COMPARE {
                issues.push(chained(ast, text, &self.operands, infix, span.clone()));
            }
            self.reduce(ast, text, issues)?;
        }
        self.operators.push((Operator::Infix(infix), span));
        Ok(())
    }

    pub(crate) fn finish(
        &mut self,
        ast: &mut Ast,
        text: &str,
        issues: &mut Vec<Issue>,
    ) -> Result<ExprId, Issue> {
        while !self.operators.is_empty() {
            self.reduce(ast, text, issues)?;
        }
        let root = self.operands.pop().ok_or_else(|| missing(0..text.len()))?;
        ast.root = root;
        Ok(root)
    }

    /// Turns the topmost operator and its operands into a node.
    fn reduce(&mut self, ast: &mut Ast, text: &str, issues: &mut Vec<Issue>) -> Result<(), Issue> {
        let Some((operator, span)) = self.operators.pop() else { return Ok(()) };
        let node = match operator {
            Operator::Prefix(prefix) => {
                let operand = self.operands.pop().ok_or_else(|| missing(span.clone()))?;
                apply_prefix(ast, prefix, operand, span.start)?
            }
            Operator::Infix(Infix::And) => self.gather(ast, AND, &span)?,
            Operator::Infix(Infix::Or) => self.gather(ast, OR, &span)?,
            Operator::Infix(infix) => {
                let right = self.operands.pop().ok_or_else(|| missing(span.clone()))?;
                let left = self.operands.pop().ok_or_else(|| missing(span.clone()))?;
                if infix.binding() == COMPARE {
                    tight_not(ast, text, issues, left, infix);
                }
                if matches!(infix, Infix::Match { .. }) {
                    self.patterns.push(right);
                }
                let span = ast.span(left).start..ast.span(right).end;
                ast.push(binary(infix, left, right), span)?
            }
        };
        self.operands.push(node);
        Ok(())
    }

    fn gather(&mut self, ast: &mut Ast, binding: u8, span: &Range<usize>) -> Result<ExprId, Issue> {
        let mut count = 2;
        while self.operators.last().is_some_and(|(top, _)| top.binding() == binding) {
            self.operators.pop();
            count += 1;
        }
        let from = self.operands.len().checked_sub(count).ok_or_else(|| missing(span.clone()))?;
        let terms = self.operands.split_off(from);
        let (first, last) = (ast.span(terms[0]).start, ast.span(terms[count - 1]).end);
        ast.push(if binding == AND { Kind::And(terms) } else { Kind::Or(terms) }, first..last)
    }
}

fn missing(span: Range<usize>) -> Issue {
    Issue::new("E0201", span, "an operand is missing", "expected a value")
}

fn binary(infix: Infix, left: ExprId, right: ExprId) -> Kind {
    match infix {
        Infix::Compare(op) => Kind::Compare(op, left, right),
        Infix::In { negated, folds } => Kind::In { negated, folds, item: left, list: right },
        Infix::Match { negated } => Kind::Match { negated, text: left, pattern: right },
        Infix::Text(op) => Kind::Text(op, left, right),
        Infix::Arith(op) => Kind::Arith(op, left, right),
        Infix::Range => Kind::Range(left, right),
        Infix::Default => Kind::Default(left, right),
        Infix::And => Kind::And(vec![left, right]),
        Infix::Or => Kind::Or(vec![left, right]),
    }
}

fn apply_prefix(
    ast: &mut Ast,
    prefix: Prefix,
    operand: ExprId,
    start: usize,
) -> Result<ExprId, Issue> {
    let span = start..ast.span(operand).end;
    let kind = match prefix {
        Prefix::Not | Prefix::NotWord => Kind::Not(operand),
        Prefix::Plus => match ast.kind(operand) {
            Kind::Literal(Literal::Int(_) | Literal::UInt(_) | Literal::Float(_)) => {
                ast.set_span(operand, span);
                return Ok(operand);
            }
            _ => return Err(Issue::new("E0304", span, "a `+` sign goes with a number", "not one")),
        },
        // A signed literal is one literal, so that -9223372036854775808 can be written.
        Prefix::Minus => match ast.kind(operand) {
            Kind::Literal(Literal::Int(value)) if *value >= 0 => {
                Kind::Literal(Literal::Int(-*value))
            }
            Kind::Literal(Literal::Float(value)) => Kind::Literal(Literal::Float(-*value)),
            Kind::Literal(Literal::UInt(value)) if *value == i64::MIN.unsigned_abs() => {
                Kind::Literal(Literal::Int(i64::MIN))
            }
            _ => Kind::Negate(operand),
        },
    };
    ast.push(kind, span)
}

/// `1 < x < 5` reads well and means nothing; say how to write it.
fn chained(ast: &Ast, text: &str, operands: &[ExprId], infix: Infix, span: Range<usize>) -> Issue {
    let middle = operands.last().map_or("x", |id| &text[ast.span(*id)]);
    Issue::new("E0205", span, "comparisons do not chain", "a second comparison").help(format!(
        "compare twice: `... && {middle} {} ...`, or put one of them in parentheses",
        infix.symbol()
    ))
}

/// `!a == b` is `(!a) == b` in every language that has it, and never what was meant.
fn tight_not(ast: &Ast, text: &str, issues: &mut Vec<Issue>, left: ExprId, infix: Infix) {
    let span = ast.span(left);
    let Kind::Not(inner) = ast.kind(left) else { return };
    if text[span.clone()].starts_with('!') {
        let message = format!("`!` binds tighter than `{}`", infix.symbol());
        let inner = &text[ast.span(*inner)];
        let issue = Issue::new("E0205", span, message, "this negates the field alone")
            .help(format!("negate the whole comparison: `!({inner} {} ...)`", infix.symbol()));
        issues.push(issue);
    }
}
