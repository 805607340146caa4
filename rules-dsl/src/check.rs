//! Types, before anything runs.
//!
//! Typing is gradual: a field may hold anything, so only what is wrong whatever the fields hold is an
//! error. Children stand before their parents in the arena, so one loop sees every type in time.

mod calls;
mod lists;
mod negations;
mod texts;
mod times;

use std::collections::HashMap;
use std::ops::Range;

use ipnet::IpNet;
use regex::Regex;

use crate::ast::{ArithOp, Ast, CompareOp, ExprId, Kind, Literal};
use crate::host::FunctionSpec;
use crate::issue::Issue;
pub(crate) use crate::patterns::Patterns;
use crate::schema::Schema;

/// For so many mistakes in one condition it is looked for what was meant.
const MAX_SUGGESTIONS: usize = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// A field, or something made of one: anything.
    Any,
    Null,
    Bool,
    Number,
    Text,
    List,
    Duration,
    /// A point in time: `time(f)`.
    Time,
    /// From one time to another.
    Span,
    /// What stands on the right of `in` alone: a range, networks, a list with such.
    Set,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Self::Any => "a field",
            Self::Null => "null",
            Self::Bool => "a bool",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::List => "a list",
            Self::Duration => "a duration",
            Self::Time => "a time",
            Self::Span => "a stretch of time",
            Self::Set => "a range or a network",
        }
    }
}

/// What checking found out and compiling needs.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) regexes: HashMap<usize, Regex>,
    /// Constant calls such as `millis(5m)`.
    pub(crate) constants: HashMap<usize, Literal>,
    /// Of `cidr()`.
    pub(crate) nets: HashMap<usize, Vec<IpNet>>,
    /// Calls of the host's own functions.
    pub(crate) functions: HashMap<usize, FunctionSpec>,
    /// What is no mistake, and may not be meant.
    pub(crate) odd: Vec<Issue>,
}

/// What a condition is checked against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'k> {
    pub(crate) schema: &'k Schema,
    pub(crate) functions: &'k [FunctionSpec],
}

/// Checks a condition; `windows` are the comparisons with `count()` that stand where they may.
pub(crate) fn check(
    ast: &Ast,
    text: &str,
    windows: &[ExprId],
    patterns: &mut Patterns,
    known: Known<'_>,
) -> Result<Checked, Vec<Issue>> {
    let mut checker = Checker::new(ast, text, patterns, known);
    checker.all(windows);
    checker.condition(ast.root);
    if !known.schema.is_empty() {
        checker.negations();
    }
    checker.finish()
}

/// Checks what a name stands for, which may be of any type.
pub(crate) fn definition(
    ast: &Ast,
    text: &str,
    patterns: &mut Patterns,
    known: Known<'_>,
) -> Result<Checked, Vec<Issue>> {
    let mut checker = Checker::new(ast, text, patterns, known);
    checker.all(&[]);
    checker.finish()
}

fn misplaced(span: Range<usize>) -> Issue {
    Issue::new("E0401", span, "`count()` cannot stand here", "not a top-level condition of `when`")
        .help(
            "a window is one term of the `&&` chain of `when`, compared with a number: \
             `when: level == 'error' && count(5m) >= 10`; it counts the records for which the \
             other terms and `where` hold",
        )
}

struct Checker<'a> {
    patterns: &'a mut Patterns,
    known: Known<'a>,
    ast: &'a Ast,
    text: &'a str,
    types: Vec<Type>,
    issues: Vec<Issue>,
    out: Checked,
}

impl<'a> Checker<'a> {
    fn new(ast: &'a Ast, text: &'a str, patterns: &'a mut Patterns, known: Known<'a>) -> Self {
        let (types, issues, out) = (Vec::new(), Vec::new(), Checked::default());
        Self { patterns, known, ast, text, types, issues, out }
    }

    /// Every node, children before parents.
    fn all(&mut self, windows: &[ExprId]) {
        let ast = self.ast;
        for (id, node) in ast.iter() {
            let is_window = windows.contains(&id);
            let checked = if is_window { Type::Bool } else { self.node(id, &node.kind) };
            self.types.push(checked);
        }
        let terms = ast.conjuncts();
        for (id, node) in ast.iter() {
            let counted = |window: &&ExprId| ast.kind(**window).children().contains(&id);
            if matches!(node.kind, Kind::Count { .. }) && !windows.iter().any(|w| counted(&w)) {
                let mut issue = misplaced(node.span.clone());
                if terms.contains(&id) {
                    issue = Issue { label: "compared with nothing".into(), ..issue };
                }
                self.issues.push(issue);
            }
        }
        self.items();
    }

    fn finish(self) -> Result<Checked, Vec<Issue>> {
        if self.issues.is_empty() { Ok(self.out) } else { Err(self.issues) }
    }

    fn ty(&self, id: ExprId) -> Type {
        self.types.get(Ast::index(id)).copied().unwrap_or(Type::Any)
    }

    fn written(&self, id: ExprId) -> &str {
        &self.text[self.ast.span(id)]
    }

    fn issue(
        &mut self,
        code: &'static str,
        id: ExprId,
        message: String,
        label: &str,
    ) -> &mut Issue {
        let at = self.issues.len();
        self.issues.push(Issue::new(code, self.ast.span(id), message, label));
        &mut self.issues[at]
    }

    fn node(&mut self, id: ExprId, kind: &Kind) -> Type {
        match kind {
            Kind::Literal(literal) => literal_type(literal),
            Kind::Field(path) => self.field(id, path).unwrap_or(Type::Any),
            Kind::Item(path) => {
                match self.field(id, path) {
                    None | Some(Type::List | Type::Any) => {}
                    Some(found) => {
                        let message = format!("`{path}` is {}, and no list", found.name());
                        self.issue("E0310", id, message, "not a list");
                    }
                }
                Type::Any
            }
            Kind::Count { .. } => Type::Any,
            Kind::List(items) => self.list(items),
            Kind::Range(low, high) => self.range(id, *low, *high),
            Kind::And(terms) => self.connective(terms, "&&"),
            Kind::Or(terms) => self.connective(terms, "||"),
            Kind::Not(operand) => self.connective(&[*operand], "!"),
            Kind::Negate(operand) => {
                self.numeric(*operand, "-");
                Type::Number
            }
            Kind::Compare(op, a, b) => self.compare(id, *op, *a, *b),
            Kind::In { item, list, folds, .. } => self.membership(*item, *list, *folds),
            Kind::Match { text, pattern, .. } => self.pattern(*text, *pattern),
            Kind::Text(op, a, b) => self.text(*op, *a, *b),
            Kind::Each { all, over } => {
                let symbol = if *all { "all()" } else { "any()" };
                self.connective(&[*over], symbol)
            }
            Kind::Arith(op, a, b) => self.arith(*op, *a, *b),
            Kind::Default(a, b) => self.default(*a, *b),
            Kind::Call { name, args } => self.call(id, name, args),
        }
    }

    /// What a field holds, where that was said. A path without a name stands for what is wrong elsewhere.
    fn field(&mut self, id: ExprId, path: &str) -> Option<Type> {
        if path.is_empty() {
            return None;
        }
        match self.known.schema.field(path)? {
            Ok(declared) => Some(declared.holds),
            Err(unknown) => {
                // To find what was meant takes as long as there are fields.
                let span = self.ast.span(id);
                let is_one_of_many = self.issues.len() >= MAX_SUGGESTIONS;
                let issue = self.known.schema.unknown(&unknown, span, !is_one_of_many);
                self.issues.push(issue);
                None
            }
        }
    }

    /// Something stands where a condition must: a literal of another type never is one.
    fn condition(&mut self, id: ExprId) {
        let found = self.ty(id);
        if matches!(found, Type::Any | Type::Bool) {
            return;
        }
        let message = format!("this must be a condition, not {}", found.name());
        let issue = self.issue("E0301", id, message, &format!("this is {}", found.name()));
        if matches!(found, Type::Number | Type::Text) {
            issue.help = Some("compare it with something: `cpu > 90`, `env == 'prod'`".into());
        }
    }

    fn connective(&mut self, operands: &[ExprId], symbol: &str) -> Type {
        for operand in operands {
            let found = self.ty(*operand);
            if matches!(found, Type::Any | Type::Bool) {
                continue;
            }
            let message = format!("`{symbol}` needs conditions, not {}", found.name());
            let issue =
                self.issue("E0301", *operand, message, &format!("this is {}", found.name()));
            issue.help = match found {
                Type::Text if symbol == "||" => {
                    Some("to test several values, write `field in ['a', 'b']`".into())
                }
                Type::Number | Type::Text => {
                    Some("compare it with something: `cpu > 90`, `env == 'prod'`".into())
                }
                _ => None,
            };
        }
        Type::Bool
    }

    fn compare(&mut self, id: ExprId, op: CompareOp, a: ExprId, b: ExprId) -> Type {
        let (left, right) = (self.ty(a), self.ty(b));
        if self.timed(op.symbol(), a, b) {
            return Type::Bool;
        }
        for (side, ty) in [(a, left), (b, right)] {
            if ty == Type::Duration {
                self.bare_duration(side);
                return Type::Bool;
            }
            if matches!(ty, Type::List | Type::Set) {
                let (message, label, help) = match ty {
                    Type::List => (
                        format!("`{}` does not compare lists", op.symbol()),
                        "this is a list",
                        "to ask whether a field is one of these, write `field in [...]`",
                    ),
                    _ => (
                        format!("`{}` compares with one value", op.symbol()),
                        "this is a range or a network",
                        "to ask whether a field is in it, write `in`",
                    ),
                };
                self.issue("E0310", side, message, label).help = Some(help.into());
                return Type::Bool;
            }
            if op.is_ordering() && matches!(ty, Type::Bool | Type::Null) {
                let message =
                    format!("`{}` orders numbers and texts, not {}", op.symbol(), ty.name());
                let label = format!("this is {}", ty.name());
                self.issue("E0303", side, message, &label).help =
                    Some("compare it with `==` or `!=`".into());
                return Type::Bool;
            }
        }
        let constant = |id| matches!(self.ast.kind(id), Kind::Literal(_));
        if constant(a) && constant(b) {
            self.issue(
                "E0308",
                id,
                "this compares two constants".into(),
                "the answer never changes",
            )
            .help = Some("a field is named without quotes: `status == 'up'`".into());
        } else if left != Type::Any && right != Type::Any && left != right {
            let message = match op {
                CompareOp::Eq | CompareOp::Ne => {
                    format!("{} never equals {}", left.name(), right.name())
                }
                _ => format!("{} and {} have no order", left.name(), right.name()),
            };
            self.issue("E0302", id, message, "these types have nothing in common");
        } else if op.is_ordering() {
            for side in [a, b] {
                self.quoted_number(side, op);
            }
        }
        Type::Bool
    }

    /// `cpu > '90'` would compare texts, where '9' is greater than '10'.
    fn quoted_number(&mut self, id: ExprId, op: CompareOp) {
        let Kind::Literal(Literal::Str(text)) = self.ast.kind(id) else { return };
        if text.trim().parse::<f64>().is_ok() {
            let (text, message) =
                (text.trim().to_owned(), format!("`{}` with a number in quotes", op.symbol()));
            let issue = self.issue("E0303", id, message, "a string, ordered letter by letter");
            issue.help = Some(
                "drop the quotes; if the field itself holds text, convert it: `num(field) > 90`"
                    .into(),
            );
            issue.suggestion = Some(text.into());
        }
    }

    fn bare_duration(&mut self, id: ExprId) {
        let written = self.written(id).to_owned();
        let issue =
            self.issue("E0309", id, format!("`{written}` has no unit to a record"), "a duration");
        issue.help = Some(
            "fields hold plain numbers: say in which unit, with `millis()` or `seconds()`".into(),
        );
        issue.suggestion = Some(format!("millis({written})").into());
    }

    fn numeric(&mut self, id: ExprId, symbol: &str) {
        match self.ty(id) {
            Type::Any | Type::Number => {}
            Type::Duration => self.bare_duration(id),
            found => {
                let message = format!("`{symbol}` works on numbers, not on {}", found.name());
                self.issue("E0304", id, message, &format!("this is {}", found.name()));
            }
        }
    }

    fn arith(&mut self, op: ArithOp, a: ExprId, b: ExprId) -> Type {
        let is_span = |ty| matches!(ty, Type::Span | Type::Duration);
        match (op, self.ty(a), self.ty(b)) {
            (ArithOp::Sub, Type::Time, Type::Time) => return Type::Span,
            (ArithOp::Add | ArithOp::Sub, Type::Time, b) if is_span(b) => return Type::Time,
            (ArithOp::Add, a, Type::Time) if is_span(a) => return Type::Time,
            (ArithOp::Add | ArithOp::Sub, Type::Span, b) if is_span(b) => return Type::Span,
            (ArithOp::Add | ArithOp::Sub, a, Type::Span) if is_span(a) => return Type::Span,
            _ => {}
        }
        let known = self.issues.len();
        self.numeric(a, op.symbol());
        self.numeric(b, op.symbol());
        if self.issues.len() > known {
            return Type::Any;
        }
        let zero = match self.ast.kind(b) {
            Kind::Literal(Literal::Int(0)) => true,
            Kind::Literal(Literal::Float(value)) => *value == 0.0,
            _ => false,
        };
        if zero && matches!(op, ArithOp::Div | ArithOp::Rem) {
            self.issue("E0304", b, "division by zero".into(), "never gives an answer");
        }
        Type::Number
    }

    fn default(&mut self, a: ExprId, b: ExprId) -> Type {
        if !matches!(self.ast.kind(a), Kind::Literal(_)) {
            let (left, right) = (self.ty(a), self.ty(b));
            if right == Type::Duration && left != Type::Span {
                self.bare_duration(b);
            }
            for (side, found) in [(a, left), (b, right)] {
                if found == Type::Set {
                    let message = "a default is one value, or a list of values".to_owned();
                    self.issue("E0310", side, message, "this is a range or a network");
                }
            }
            if left != right && [left, right].iter().any(|ty| matches!(ty, Type::Time | Type::Span))
            {
                self.timed("??", a, b);
            }
            return if left == right { left } else { Type::Any };
        }
        self.issue(
            "E0308",
            a,
            "a literal is never missing".into(),
            "`??` never takes its right side",
        )
        .help = Some("the field stands left, its default right: `field ?? 0`".into());
        self.ty(a)
    }
}

fn literal_type(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) | Literal::UInt(_) | Literal::Float(_) => Type::Number,
        Literal::Str(_) => Type::Text,
        Literal::Duration(_) => Type::Duration,
    }
}
