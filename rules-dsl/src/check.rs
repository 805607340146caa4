//! Types, before anything runs.
//!
//! Typing is gradual: a field may hold anything, so only what is wrong whatever the fields hold is an
//! error. Children stand before their parents in the arena, so one loop sees every type in time.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use regex::{Regex, RegexBuilder};

use crate::ast::{ArithOp, Ast, CompareOp, ExprId, Kind, Literal};
use crate::issue::{Issue, nearest};

/// Compiled size of one regular expression, in bytes; the engine is linear in time anyway.
const REGEX_SIZE_LIMIT: usize = 1 << 20;

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
        }
    }
}

/// What checking found out and compiling needs.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) regexes: HashMap<usize, Regex>,
    /// Constant calls such as `millis(5m)`.
    pub(crate) constants: HashMap<usize, Literal>,
}

/// Patterns that are compiled already: many rules ask for the same ones, and nothing else in loading
/// takes as long.
pub(crate) type Patterns = HashMap<String, Regex>;

/// Checks a condition; `windows` are the comparisons with `count()` that stand where they may.
pub(crate) fn check(
    ast: &Ast,
    text: &str,
    windows: &[ExprId],
    patterns: &mut Patterns,
) -> Result<Checked, Vec<Issue>> {
    let mut checker = Checker {
        patterns,
        ast,
        text,
        types: Vec::new(),
        issues: Vec::new(),
        out: Checked { regexes: HashMap::new(), constants: HashMap::new() },
    };
    for (id, node) in ast.iter() {
        let checked = if windows.contains(&id) { Type::Bool } else { checker.node(id, &node.kind) };
        checker.types.push(checked);
    }
    for (id, node) in ast.iter() {
        let counted = |window: &&ExprId| ast.kind(**window).children().contains(&id);
        if matches!(node.kind, Kind::Count { .. }) && !windows.iter().any(|w| counted(&w)) {
            checker.issues.push(misplaced(node.span.clone()));
        }
    }
    checker.condition(ast.root);
    if checker.issues.is_empty() { Ok(checker.out) } else { Err(checker.issues) }
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
    ast: &'a Ast,
    text: &'a str,
    types: Vec<Type>,
    issues: Vec<Issue>,
    out: Checked,
}

impl Checker<'_> {
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
            Kind::Field(_) | Kind::Count { .. } => Type::Any,
            Kind::List(items) => self.list(items),
            Kind::And(terms) => self.connective(terms, "&&"),
            Kind::Or(terms) => self.connective(terms, "||"),
            Kind::Not(operand) => self.connective(&[*operand], "!"),
            Kind::Negate(operand) => {
                self.numeric(*operand, "-");
                Type::Number
            }
            Kind::Compare(op, a, b) => self.compare(id, *op, *a, *b),
            Kind::In { item, list, .. } => self.membership(*item, *list),
            Kind::Match { text, pattern, .. } => self.pattern(*text, *pattern),
            Kind::Text(op, a, b) => {
                let list = *op == crate::ast::TextOp::Contains;
                self.textual(*a, op.symbol());
                if !list {
                    self.textual(*b, op.symbol());
                }
                Type::Bool
            }
            Kind::Arith(op, a, b) => self.arith(*op, *a, *b),
            Kind::Default(a, b) => self.default(*a, *b),
            Kind::Call { name, args } => self.call(id, name, args),
        }
    }

    fn list(&mut self, items: &[ExprId]) -> Type {
        for item in items {
            if !matches!(self.ast.kind(*item), Kind::Literal(_)) && self.ty(*item) != Type::Duration
            {
                let help = "a list holds constants; for a field write `a == b || ...`";
                self.issue(
                    "E0310",
                    *item,
                    "a list item that is no constant".into(),
                    "not a literal",
                )
                .help = Some(help.into());
            }
        }
        Type::List
    }

    /// Something stands where a condition must: a literal of another type never is one.
    fn condition(&mut self, id: ExprId) {
        let found = self.ty(id);
        if matches!(found, Type::Any | Type::Bool) {
            return;
        }
        let message = format!("this must be a condition, not {}", found.name());
        self.issue("E0301", id, message, &format!("this is {}", found.name()));
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
            if found == Type::Text && symbol == "||" {
                issue.help = Some("to test several values, write `field in ['a', 'b']`".into());
            }
        }
        Type::Bool
    }

    fn compare(&mut self, id: ExprId, op: CompareOp, a: ExprId, b: ExprId) -> Type {
        let (left, right) = (self.ty(a), self.ty(b));
        for (side, ty) in [(a, left), (b, right)] {
            if ty == Type::Duration {
                self.bare_duration(side);
                return Type::Bool;
            }
            if ty == Type::List {
                let message = format!("`{}` does not compare lists", op.symbol());
                self.issue("E0310", side, message, "this is a list").help =
                    Some("to ask whether a field is one of these, write `field in [...]`".into());
                return Type::Bool;
            }
            if op.is_ordering() && matches!(ty, Type::Bool | Type::Null) {
                let message = format!("`{}` has no order for {}", op.symbol(), ty.name());
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
            let message = format!("{} is never {} {}", left.name(), op.symbol(), right.name());
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

    fn membership(&mut self, item: ExprId, list: ExprId) -> Type {
        let (item_type, found) = (self.ty(item), self.ty(list));
        if !matches!(found, Type::List | Type::Any) {
            let written = self.written(list).to_owned();
            let message = format!("`in` needs a list, not {}", found.name());
            let issue = self.issue("E0310", list, message, "not a list");
            issue.suggestion = Some(format!("[{written}]").into());
            if found == Type::Text {
                issue.help =
                    Some("to look for a text inside a field, write `field contains 'x'`".into());
            }
        } else if item_type == Type::List {
            self.issue("E0310", item, "a list is never an item of a list".into(), "this is a list");
        } else if let Kind::List(items) = self.ast.kind(list) {
            if items.is_empty() {
                self.issue(
                    "E0310",
                    list,
                    "nothing is in an empty list".into(),
                    "the answer never changes",
                );
            } else if matches!(self.ast.kind(item), Kind::Literal(_)) {
                self.issue(
                    "E0308",
                    item,
                    "a constant in a list of constants".into(),
                    "the answer never changes",
                )
                .help = Some("a field is named without quotes".into());
            }
            for item in items.clone() {
                if self.ty(item) == Type::Duration {
                    self.bare_duration(item);
                }
            }
        }
        Type::Bool
    }

    fn pattern(&mut self, text: ExprId, pattern: ExprId) -> Type {
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
        let list = symbol == "contains" && found == Type::List;
        if matches!(found, Type::Any | Type::Text) || list {
            return;
        }
        let message = format!("`{symbol}` works on text, not on {}", found.name());
        self.issue("E0304", id, message, &format!("this is {}", found.name()));
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
        self.numeric(a, op.symbol());
        self.numeric(b, op.symbol());
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
            if self.ty(b) == Type::Duration {
                self.bare_duration(b);
            }
            return if self.ty(a) == self.ty(b) { self.ty(a) } else { Type::Any };
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

    fn call(&mut self, id: ExprId, name: &str, args: &[ExprId]) -> Type {
        let (expected, result) = match name {
            "exists" => ("a field", Type::Bool),
            "len" => ("a text or a list", Type::Number),
            "lower" => ("a text", Type::Text),
            "num" => ("a text or a number", Type::Number),
            "millis" | "seconds" => ("a duration such as 5m", Type::Number),
            "count" => ("a duration such as 5m", Type::Any),
            _ => {
                self.unknown_function(id, name);
                return Type::Any;
            }
        };
        let [argument] = args else {
            let message = format!("`{name}()` takes one argument, not {}", args.len());
            self.issue("E0307", id, message, &format!("expected {expected}"));
            return result;
        };
        let found = self.ty(*argument);
        let kind = self.ast.kind(*argument);
        let fits = match name {
            "exists" => matches!(kind, Kind::Field(_)),
            "len" => matches!(found, Type::Any | Type::Text | Type::List),
            "lower" => matches!(found, Type::Any | Type::Text),
            "num" => matches!(found, Type::Any | Type::Text | Type::Number),
            _ => found == Type::Duration,
        };
        if !fits {
            let message = format!("`{name}()` takes {expected}, not {}", describe(kind, found));
            let written = self.written(*argument).to_owned();
            let issue = self.issue("E0307", *argument, message, &format!("expected {expected}"));
            if let (true, Kind::Literal(Literal::Str(text))) = (name == "exists", kind) {
                issue.suggestion = Some(text.as_str().into());
            } else if matches!(kind, Kind::Literal(Literal::Int(_)))
                && expected.contains("duration")
            {
                issue.suggestion = Some(format!("{written}s").into());
            }
        }
        if let Kind::Literal(Literal::Duration(duration)) = kind {
            let scale = if name == "millis" { 1_000_000 } else { 1_000_000_000 };
            self.out.constants.insert(Ast::index(id), in_units(*duration, scale));
        }
        result
    }

    fn unknown_function(&mut self, id: ExprId, name: &str) {
        const FUNCTIONS: [&str; 7] =
            ["count", "exists", "len", "lower", "millis", "num", "seconds"];
        const INTENTS: [&str; 4] = ["notify", "send_pagerduty", "scale", "keep_logs"];
        let near = nearest(name, FUNCTIONS);
        let issue =
            self.issue("E0306", id, format!("no function is called `{name}`"), "unknown function");
        issue.help = Some(if INTENTS.contains(&name) {
            "an intent belongs into `then`".into()
        } else {
            format!("there are {}", FUNCTIONS.map(|name| format!("{name}()")).join(" ")).into()
        });
        issue.suggestion = near.map(Into::into);
        let start = self.ast.span(id).start;
        if let Some(issue) = self.issues.last_mut() {
            issue.span = start..start + name.len();
        }
    }
}

fn describe(kind: &Kind, found: Type) -> &'static str {
    match kind {
        Kind::Field(_) => "a field",
        _ if found == Type::Any => "an expression",
        _ => found.name(),
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

/// A whole number of units where it is one.
fn in_units(duration: Duration, scale: u128) -> Literal {
    let nanos = duration.as_nanos();
    match i64::try_from(nanos / scale) {
        Ok(whole) if nanos.is_multiple_of(scale) => Literal::Int(whole),
        _ => Literal::Float(nanos as f64 / scale as f64),
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
