//! Text to tree. With its tokens, the only file that knows the parser generator.

mod tokens;

use std::ops::Range;

use pest::Parser as _;
use pest::error::{ErrorVariant, InputLocation};
use pest::iterators::Pair;

use crate::ast::{Ast, ExprId, Kind, Literal};
use crate::climb::{Climb, Infix, Prefix};
use crate::issue::{Issue, nearest};
use crate::literal;
use crate::names::Scope;
use crate::prescan::prescan;

pub(crate) use tokens::{Language, TokenKind, blank_between, tokens};

#[derive(pest_derive::Parser)]
#[grammar = "grammar.pest"]
struct Grammar;

/// One call in a `then`: `scale('api', '+2')`.
#[derive(Debug, Clone)]
pub(crate) struct IntentCall {
    pub(crate) name: String,
    pub(crate) name_span: Range<usize>,
    pub(crate) span: Range<usize>,
    pub(crate) args: Vec<(Literal, Range<usize>)>,
}

/// What an argument reads as when it is a bare number with a `+`: `+2` is a text with a sign.
fn with_plus(text: &str, literal: Literal) -> Literal {
    match literal {
        Literal::Int(_) if text.starts_with('+') => Literal::Str(text.replace([' ', '_'], "")),
        literal => literal,
    }
}

/// Parses a `when`, a `where`, or what a name stands for. Reports every mistake that it can read past.
pub(crate) fn parse_condition(text: &str, scope: Scope<'_>) -> Result<Ast, Vec<Issue>> {
    prescan(text).map_err(|issue| vec![issue])?;
    let mut pairs =
        Grammar::parse(Rule::condition, text).map_err(|error| vec![syntax_error(text, &error)])?;
    let mut builder = Builder::new(text, scope);
    let expression = pairs.next().and_then(|condition| condition.into_inner().next());
    let built = match expression {
        Some(expression) => builder.expression(expression),
        None => Err(Issue::new("E0201", 0..text.len(), "the expression is empty", "")),
    };
    builder.finish(built.map(|_| ()))
}

/// Parses a `then`.
pub(crate) fn parse_actions(text: &str) -> Result<Vec<IntentCall>, Vec<Issue>> {
    prescan(text).map_err(|issue| vec![issue])?;
    let mut pairs =
        Grammar::parse(Rule::actions, text).map_err(|error| vec![syntax_error(text, &error)])?;
    let mut calls = Vec::new();
    let mut issues = Vec::new();
    for pair in pairs.next().into_iter().flat_map(Pair::into_inner) {
        if pair.as_rule() == Rule::intent {
            match intent(text, pair) {
                Ok(call) => calls.push(call),
                Err(more) => issues.extend(more),
            }
        }
    }
    if issues.is_empty() { Ok(calls) } else { Err(issues) }
}

fn intent(text: &str, pair: Pair<'_, Rule>) -> Result<IntentCall, Vec<Issue>> {
    let span = range(&pair);
    let mut call =
        IntentCall { name: String::new(), name_span: span.clone(), span, args: Vec::new() };
    let mut called = false;
    for part in pair.into_inner() {
        match part.as_rule() {
            Rule::name => {
                call.name = part.as_str().to_owned();
                call.name_span = range(&part);
            }
            _ => {
                called = true;
                for argument in part.into_inner() {
                    call.args.push(constant(text, argument)?);
                }
            }
        }
    }
    if called {
        return Ok(call);
    }
    let message = format!("`{}` is not a call", call.name);
    Err(vec![
        Issue::new("E0201", call.name_span.clone(), message, "expected parentheses behind it")
            .help("an intent is written like a function call: `notify('team')`")
            .suggest(format!("{}()", call.name)),
    ])
}

/// An argument of an intent: a literal, with a sign if it is a number.
fn constant(text: &str, pair: Pair<'_, Rule>) -> Result<(Literal, Range<usize>), Vec<Issue>> {
    let span = range(&pair);
    let mut builder = Builder::new(text, Scope::default());
    let built = builder.expression(pair).map(|_| ());
    let ast = builder.finish(built)?;
    if let Kind::Literal(literal) = ast.kind(ast.root) {
        return Ok((with_plus(&text[span.clone()], literal.clone()), span));
    }
    let mut issue = Issue::new("E0502", span, "not a constant", "expected a string or a number")
        .help("a text stands in quotes, and what varies in braces in it: `'{{team}}'`");
    if let Kind::Field(name) = ast.kind(ast.root) {
        issue = issue.suggest(format!("'{name}'"));
    }
    Err(vec![issue])
}

fn range(pair: &Pair<'_, Rule>) -> Range<usize> {
    let span = pair.as_span();
    // A rule that ends in optional white space would underline it.
    span.start()..span.start() + span.as_str().trim_end().len()
}

/// Builds the tree of one expression.
struct Builder<'t> {
    text: &'t str,
    ast: Ast,
    issues: Vec<Issue>,
    /// String literals whose escapes are not resolved yet: a pattern behind `=~` keeps its own.
    strings: Vec<(ExprId, Range<usize>)>,
    scope: Scope<'t>,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str, scope: Scope<'t>) -> Self {
        let (issues, strings) = (Vec::new(), Vec::new());
        Self { text, ast: Ast::new(), issues, strings, scope }
    }

    fn finish(mut self, built: Result<(), Issue>) -> Result<Ast, Vec<Issue>> {
        if let Err(issue) = built {
            self.issues.push(issue);
        }
        // Where it stands itself: the span of its node may have parentheses around it by now.
        for (id, span) in std::mem::take(&mut self.strings) {
            let resolved = literal::string(&self.text[span.clone()], span.start);
            self.resolve(id, resolved);
        }
        if self.issues.is_empty() { Ok(self.ast) } else { Err(self.issues) }
    }

    fn resolve(&mut self, id: ExprId, resolved: Result<String, Issue>) {
        match resolved {
            Ok(text) => self.ast.set_literal(id, Literal::Str(text)),
            Err(issue) => self.issues.push(issue),
        }
    }

    /// Recurses once per bracket, which the prescan bounds.
    fn expression(&mut self, pair: Pair<'_, Rule>) -> Result<ExprId, Issue> {
        let mut climb = Climb::default();
        for part in pair.into_inner() {
            let span = range(&part);
            match part.as_rule() {
                Rule::prefix => climb.prefix(prefix(part.as_str()), span),
                Rule::infix => {
                    let infix = self.infix(part, span.clone());
                    climb.infix(&mut self.ast, self.text, &mut self.issues, infix, span)?;
                }
                _ => {
                    let operand = self.operand(part, span)?;
                    climb.operand(operand);
                }
            }
        }
        let root = climb.finish(&mut self.ast, self.text, &mut self.issues)?;
        for pattern in climb.patterns {
            if let Some(at) = self.strings.iter().position(|(id, _)| *id == pattern) {
                let (_, span) = self.strings.swap_remove(at);
                self.resolve(pattern, Ok(literal::raw_string(&self.text[span])));
            }
        }
        Ok(root)
    }

    fn operand(&mut self, pair: Pair<'_, Rule>, span: Range<usize>) -> Result<ExprId, Issue> {
        match pair.as_rule() {
            Rule::group => {
                let inner = pair.into_inner().next();
                let inner = inner.ok_or_else(|| nothing_here(span.clone()))?;
                let id = self.expression(inner)?;
                self.ast.set_span(id, span);
                Ok(id)
            }
            Rule::list => {
                let items = pair.into_inner().map(|item| self.expression(item));
                let items = items.collect::<Result<Vec<_>, _>>()?;
                self.ast.push(Kind::List(items), span)
            }
            Rule::call => self.call(pair, span),
            Rule::literal => {
                let inner = pair.into_inner().next();
                let inner = inner.ok_or_else(|| nothing_here(span.clone()))?;
                self.literal(&inner, span)
            }
            _ => self.path(pair, span),
        }
    }

    /// A field, an item of one, or a name that stands for something else. A function of its own, so that
    /// what it takes of the stack is not taken once for each bracket.
    fn path(&mut self, pair: Pair<'_, Rule>, span: Range<usize>) -> Result<ExprId, Issue> {
        let mut parts = pair.into_inner();
        let path = parts.next().map_or("", |path| path.as_str()).to_owned();
        if let Some((at, odd)) = odd_sign(&path) {
            let at = span.start + at..span.start + at + odd.len_utf8();
            let message = format!("`{odd}` is no letter");
            let issue = Issue::new("E0204", at, message, "not part of a name");
            self.issues.push(issue.help(
                "a text stands in straight quotes, 'x'; a field with odd signs in backticks",
            ));
        }
        if let (Some(known), None) = (self.scope.get(&path), parts.peek()) {
            return match &known.ast {
                Some(tree) => self.ast.graft(tree, span),
                // It was complained about, so nothing is to be said of what stands here.
                None => self.ast.push(Kind::Field(String::new()), span),
            };
        }
        if let (Some(known), Some(_)) = (self.scope.get(&path), parts.peek()) {
            let message = format!("`{path}` is {}, and no list of a record", known.what);
            let issue = Issue::new("E0312", span.clone(), message, "not a field");
            let help = format!("a field of that name is written `` `{path}` ``");
            self.issues.push(issue.help(help));
        }
        let kind = if parts.next().is_some() { Kind::Item(path) } else { Kind::Field(path) };
        self.ast.push(kind, span)
    }

    fn literal(&mut self, pair: &Pair<'_, Rule>, span: Range<usize>) -> Result<ExprId, Issue> {
        let text = pair.as_str();
        let literal = match pair.as_rule() {
            Rule::truth => Ok(Literal::Bool(text == "true")),
            Rule::null => Ok(Literal::Null),
            Rule::duration => literal::duration(text, span.clone()).map(Literal::Duration),
            Rule::size => literal::size(text, span.clone()),
            Rule::float => literal::float(text, span.clone()),
            Rule::integer => literal::integer(text, span.clone()),
            Rule::string => Ok(Literal::Str(String::new())),
            _ => Err(literal::odd_number(text, span.clone())),
        };
        let literal = literal.unwrap_or_else(|issue| {
            self.issues.push(issue);
            Literal::Int(0)
        });
        let id = self.ast.push(Kind::Literal(literal), span.clone())?;
        if pair.as_rule() == Rule::string {
            self.strings.push((id, span));
        }
        Ok(id)
    }

    fn call(&mut self, pair: Pair<'_, Rule>, span: Range<usize>) -> Result<ExprId, Issue> {
        let mut name = String::new();
        let mut args = Vec::new();
        let mut by = Vec::new();
        let mut by_span = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::name => name = part.as_str().to_owned(),
                Rule::arguments => {
                    for argument in part.into_inner() {
                        args.push(self.expression(argument)?);
                    }
                }
                _ => {
                    by_span = Some(range(&part));
                    let paths = part.into_inner().filter(|part| part.as_rule() == Rule::path);
                    by = paths.map(|path| (path.as_str().to_owned(), range(&path))).collect();
                }
            }
        }
        if name == "count" && args.len() == 1 {
            return self.ast.push(Kind::Count { over: args[0], by }, span);
        }
        if matches!(name.as_str(), "any" | "all") && args.len() == 1 && by_span.is_none() {
            return self.ast.push(Kind::Each { all: name == "all", over: args[0] }, span);
        }
        if let Some(by_span) = by_span.filter(|_| name != "count") {
            let message = format!("`by` does not go with `{name}()`");
            let issue = Issue::new("E0401", by_span, message, "only `count(DURATION)` is grouped");
            self.issues
                .push(issue.help("to group a whole rule, write `by: [field]` beside `when`"));
        }
        self.ast.push(Kind::Call { name, args }, span)
    }

    /// Accepts what people write by mistake, and says what to write instead.
    fn infix(&mut self, pair: Pair<'_, Rule>, span: Range<usize>) -> Infix {
        let written = pair.as_str().to_owned();
        let rule = pair.into_inner().next().map(|inner| inner.as_rule());
        let infix = infix(rule.unwrap_or(Rule::op_eq));
        let right = infix.symbol();
        let word_pair = matches!(infix, Infix::In { negated: true, .. });
        if written != right && !word_pair {
            let message = format!("`{written}` is not an operator");
            let mut issue = Issue::new("E0203", span, message, "unknown operator").suggest(right);
            if written == "=" {
                issue = issue.help("a rule changes nothing, so there is only comparison: `==`");
            }
            self.issues.push(issue);
        }
        infix
    }
}

/// The first sign of a path, outside of backticks, that is neither a letter nor a digit.
fn odd_sign(path: &str) -> Option<(usize, char)> {
    let mut is_quoted = false;
    path.char_indices().find(|(_, c)| {
        is_quoted ^= *c == '`';
        !is_quoted && !c.is_alphanumeric() && !"_@.`".contains(*c)
    })
}

fn nothing_here(span: Range<usize>) -> Issue {
    Issue::new("E0201", span, "nothing stands here", "expected a value")
}

fn prefix(text: &str) -> Prefix {
    match text.trim_end() {
        "!" => Prefix::Not,
        "not" => Prefix::NotWord,
        "-" => Prefix::Minus,
        _ => Prefix::Plus,
    }
}

fn infix(rule: Rule) -> Infix {
    use crate::ast::{ArithOp, CompareOp, TextOp};
    match rule {
        Rule::op_or => Infix::Or,
        Rule::op_and => Infix::And,
        Rule::op_match => Infix::Match { negated: false },
        Rule::op_not_match => Infix::Match { negated: true },
        Rule::op_ne => Infix::Compare(CompareOp::Ne),
        Rule::op_le => Infix::Compare(CompareOp::Le),
        Rule::op_ge => Infix::Compare(CompareOp::Ge),
        Rule::op_lt => Infix::Compare(CompareOp::Lt),
        Rule::op_gt => Infix::Compare(CompareOp::Gt),
        Rule::op_in => Infix::In { negated: false, folds: false },
        Rule::op_not_in => Infix::In { negated: true, folds: false },
        Rule::op_iin => Infix::In { negated: false, folds: true },
        Rule::op_not_iin => Infix::In { negated: true, folds: true },
        Rule::op_iequals => Infix::Text(TextOp::IEquals),
        Rule::op_icontains => Infix::Text(TextOp::IContains),
        Rule::op_istartswith => Infix::Text(TextOp::IStartsWith),
        Rule::op_iendswith => Infix::Text(TextOp::IEndsWith),
        Rule::op_range => Infix::Range,
        Rule::op_contains => Infix::Text(TextOp::Contains),
        Rule::op_startswith => Infix::Text(TextOp::StartsWith),
        Rule::op_endswith => Infix::Text(TextOp::EndsWith),
        Rule::op_default => Infix::Default,
        Rule::op_add => Infix::Arith(ArithOp::Add),
        Rule::op_sub => Infix::Arith(ArithOp::Sub),
        Rule::op_mul => Infix::Arith(ArithOp::Mul),
        Rule::op_div => Infix::Arith(ArithOp::Div),
        Rule::op_rem => Infix::Arith(ArithOp::Rem),
        _ => Infix::Compare(CompareOp::Eq),
    }
}

/// The generator knows which rules could have gone on; a person wants to know what kind of thing is
/// missing, and what stands there instead.
fn syntax_error(text: &str, error: &pest::error::Error<Rule>) -> Issue {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at.min(text.len()),
    };
    let rest = &text[at..];
    let ErrorVariant::ParsingError { positives, .. } = &error.variant else {
        return Issue::new("E0206", at..text.len(), error.variant.message(), "gave up here");
    };
    let operator = positives.contains(&Rule::infix);
    let expected = if positives.contains(&Rule::word_by) || operator {
        "an operator such as `==` or `&&`"
    } else if positives.contains(&Rule::intent) || positives == &[Rule::EOI] {
        "an intent such as `notify('team')`"
    } else if positives.contains(&Rule::path) && !positives.contains(&Rule::literal) {
        "a field name"
    } else {
        "a value (a field, a literal, or `(`)"
    };
    let word = found(rest);
    if word.is_empty() {
        let end = text.trim_end().len();
        let message = "the expression ends too early";
        let last = text[..end].char_indices().next_back().map_or(0, |(at, _)| at);
        return Issue::new("E0201", last..end, message, format!("expected {expected} after this"));
    }
    // Signs that stand together were meant as one.
    let sign = |c: char| "=<>!&|~".contains(c);
    let run = text[..at].len() - text[..at].trim_end_matches(sign).len();
    if run > 0 && word.starts_with(sign) {
        let (span, word) = (at - run..at + word.len(), &text[at - run..at + word.len()]);
        let message = format!("`{word}` is not an operator");
        let near = match word.contains('~') {
            true => vec![if word.starts_with('!') { "!~" } else { "=~" }],
            false => vec!["==", "!=", "<=", ">=", "&&", "||", "<", ">"],
        };
        let near = near.into_iter().find(|near| word.contains('~') || word.starts_with(near));
        return Issue::new("E0203", span, message, "unknown operator").suggest_if(near);
    }
    let span = at..at + word.len();
    let message = format!("`{word}` is not expected here");
    let issue = Issue::new("E0201", span, message, format!("expected {expected}"));
    if !operator {
        return match word {
            "==" | "&&" | "||" | "<" | ">" | "<=" | ">=" | "!=" => {
                issue.help("an operator needs a value on both sides")
            }
            _ => issue,
        };
    }
    match word {
        "is" | "eq" | "equals" => issue.suggest("=="),
        "matches" | "like" | "~" | "regex" => issue.suggest("=~"),
        "has" | "includes" => issue.suggest("contains"),
        "by" => issue.help("`by` follows `count(DURATION)` alone"),
        "{" | "$" => issue.help("fields are named bare: `cpu_usage`, not `{cpu_usage}`"),
        "," => issue.help("to test several values, write `field in [a, b]`"),
        word => issue.suggest_if(nearest(
            word,
            [
                "contains",
                "startswith",
                "endswith",
                "in",
                "not in",
                "iequals",
                "icontains",
                "istartswith",
                "iendswith",
                "iin",
            ],
        )),
    }
}

/// The word or sign at the start of `rest`, for a message.
fn found(rest: &str) -> &str {
    let Some(first) = rest.chars().next() else { return "" };
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '@';
    let sign = |c: char| "=<>!&|~?".contains(c);
    let end = if word(first) {
        rest.find(|c| !word(c))
    } else if sign(first) {
        rest.find(|c| !sign(c))
    } else {
        Some(first.len_utf8())
    };
    let end = end.unwrap_or(rest.len());
    // A long run of junk is named by its beginning.
    let end = rest.char_indices().map(|(at, _)| at).take_while(|at| *at < end).take(24).last();
    let end = end.map_or(0, |at| at + rest[at..].chars().next().map_or(0, char::len_utf8));
    &rest[..end]
}
