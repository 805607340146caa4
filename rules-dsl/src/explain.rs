//! Why a rule does or does not hold for one record.
//!
//! This is the plain evaluator: it walks the tree, skips nothing, and remembers everything. It shares
//! the operators with the compiled program and nothing else, and so it is also the program's oracle.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::ast::{Ast, ExprId, Kind};
use crate::check::{self, Checked, Known};
use crate::compile::resolve;
use crate::fold::folded;
use crate::function::Function;
use crate::kept;
use crate::literal::humane;
use crate::members::{between, within};
use crate::names::Scope;
use crate::ops;
use crate::parser::parse_condition;
use crate::program::{constant, reborrow};
use crate::record::Record;
use crate::rule::{OnMissing, Rule};
use crate::ruleset;
use crate::schema::Schema;
use crate::scratch::look_up;
use crate::show::show;
use crate::truth::Truth;
use crate::value::{Number, Value};
use crate::window;

/// How deep a term is taken apart.
const MAX_LEVELS: usize = 8;

/// The verdict of one rule about one record, term by term.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The rule.
    pub rule: String,
    /// Whether the record satisfies it (a window rule: all of it but the window).
    pub verdict: Truth,
    /// Whether it fires for it: it is true, or unknown and `on_missing: match` says so.
    pub holds: bool,
    /// What the rule does where the verdict is unknown.
    pub on_missing: OnMissing,
    /// The terms of `where`, then those of `when`.
    pub terms: Vec<Term>,
    /// The window that the record would count in: `count(10s) >= 20`.
    pub window: Option<String>,
}

/// One term of a top-level `&&` chain.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
pub struct Term {
    /// Where it stands: `when` or `where`.
    pub clause: &'static str,
    /// As written.
    pub text: String,
    /// What it came to.
    pub verdict: Truth,
    /// The fields it looks at, in order, with the beginning of what they hold. Of a part that is made of
    /// parts itself, these have them.
    pub values: Vec<Seen>,
    /// What is surprising about it: a missing field, types that never meet.
    pub note: Option<String>,
    /// What it is made of, if that is several conditions, or one that goes by a name; down to those
    /// that look at fields, or eight levels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Self>,
}

/// A field and what it held. As data, one that is not there is told from one that is null by
/// `missing: true` in the place of its value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Seen {
    /// The field as the rule names it.
    pub field: String,
    /// Its value; `None` when the record has no such field.
    pub value: Option<Value<'static>>,
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("field", &self.field)?;
        match &self.value {
            Some(value) => map.serialize_entry("value", value)?,
            None => map.serialize_entry("missing", &true)?,
        }
        map.end()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.field),
            None => write!(f, "{} is missing", self.field),
        }
    }
}

/// One line for the rule and one for each term.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.verdict, self.holds) {
            (Truth::Unknown, true) => "matches: unknown, and `on_missing: match`",
            (Truth::Unknown, false) if self.on_missing == OnMissing::Error => {
                "does not match: unknown, and `on_missing: error`"
            }
            (Truth::Unknown, false) => "does not match: unknown",
            (_, true) => "matches",
            (_, false) => "does not match",
        };
        write!(f, "rule {} {verdict}", self.rule)?;
        self.terms.iter().try_for_each(|term| term.show(f, 0))?;
        if let Some(window) = &self.window {
            write!(f, "\n  and then {window}, over all such records")?;
        }
        Ok(())
    }
}

impl Term {
    /// A line for it, and one for each part, which has the values.
    fn show(&self, f: &mut fmt::Formatter<'_>, level: usize) -> fmt::Result {
        let mark = match self.verdict {
            Truth::True => "true   ",
            Truth::False => "false  ",
            Truth::Unknown => "unknown",
        };
        write!(f, "\n  {mark} {:5} {}{}", self.clause, "  ".repeat(level), self.text)?;
        if !self.parts.is_empty() {
            return self.parts.iter().try_for_each(|part| part.show(f, level + 1));
        }
        let values: Vec<String> = self.values.iter().map(ToString::to_string).collect();
        if !values.is_empty() {
            write!(f, "  [{}]", values.join(", "))?;
        }
        match &self.note {
            Some(note) => write!(f, "  ({note})"),
            None => Ok(()),
        }
    }
}

pub(crate) fn explain<R: Record>(rule: &Rule, set: &ruleset::Known, record: &R) -> Explanation {
    let ruleset::Known { aliases, names, functions } = set;
    let named = Scope { rule: rule.lets.as_deref(), set: Some(names) };
    // What fields should hold was checked before.
    let known = Known { schema: &Schema::default(), functions };
    let scope = rule.info.scope.as_deref().map(|text| ("where", text));
    let clauses = scope.into_iter().chain([("when", &*rule.info.when)]);
    let mut terms = Vec::new();
    // The texts were checked when the set was compiled; trees are not kept, they are cheap to remake.
    let mut patterns = check::Patterns::new();
    let mut fields = Fields::new();
    for (clause, text) in clauses {
        let Ok(ast) = parse_condition(text, named) else { continue };
        let Ok(split) = window::split(&ast) else { continue };
        let checked = check::check(&ast, text, &split.windows, &mut patterns, known);
        let Ok(checked) = checked else { continue };
        // Each is looked up once, which may take reading all of a line.
        for (_, node) in ast.iter() {
            if let Kind::Field(path) | Kind::Item(path) = &node.kind
                && !fields.contains_key(path)
            {
                let value = look_up(record, &resolve(aliases, path)).map(Value::into_owned);
                fields.insert(path.clone(), value);
            }
        }
        let plain = Plain { ast: &ast, checked: &checked, fields: &fields, item: None };
        for term in split.terms {
            terms.push(plain.term(clause, Some(text), term, MAX_LEVELS));
        }
    }
    let verdict = Truth::all(terms.iter().map(|term| term.verdict));
    let on_unknown = rule.info.on_missing == OnMissing::Match;
    Explanation {
        rule: rule.info.name.to_string(),
        verdict,
        holds: verdict == Truth::True || (verdict == Truth::Unknown && on_unknown),
        on_missing: rule.info.on_missing,
        terms,
        window: rule.window.as_ref().map(|w| format!("count({}) {}", humane(w.over), w.written)),
    }
}

/// What the fields hold, by their paths as they are written.
type Fields = HashMap<String, Option<Value<'static>>>;

/// Recursion is bounded by the height of the tree.
struct Plain<'p> {
    ast: &'p Ast,
    checked: &'p Checked,
    fields: &'p Fields,
    /// The item of a list that is being judged.
    item: Option<&'p Value<'p>>,
}

impl Plain<'_> {
    /// A condition and what it is made of, so many levels down. Without a text it is shown as it would
    /// be written: what a name stands for was written elsewhere.
    fn term(&self, clause: &'static str, text: Option<&str>, id: ExprId, levels: usize) -> Term {
        let node = self.ast.node(id);
        let written =
            text.map_or_else(|| show(self.ast, id), |text| text[node.span.clone()].to_owned());
        let (mut values, mut known): (Vec<Seen>, HashSet<&str>) = (Vec::new(), HashSet::new());
        for id in self.ast.below(id) {
            if let Kind::Field(path) | Kind::Item(path) = self.ast.kind(id)
                && known.insert(path)
            {
                let value = self.field(path).map(kept::value);
                values.push(Seen { field: path.replace('`', ""), value });
            }
        }
        let verdict = self.truth(id);
        let note = self.note(id, verdict, &values);
        let inside = text.filter(|_| !node.is_named);
        let is_taken_apart = |part: ExprId| {
            matches!(self.ast.kind(part), Kind::And(_) | Kind::Or(_) | Kind::Not(_))
                || (inside.is_some() && self.ast.node(part).is_named)
        };
        let parts = match &node.kind {
            Kind::And(parts) | Kind::Or(parts) if levels > 0 => parts.as_slice(),
            Kind::Not(part) if levels > 0 && is_taken_apart(*part) => std::slice::from_ref(part),
            _ => &[],
        };
        let mut parts: Vec<Term> =
            parts.iter().map(|part| self.term(clause, inside, *part, levels - 1)).collect();
        if parts.is_empty() && node.is_named && text.is_some() && levels > 0 {
            parts.push(self.term(clause, None, id, 0));
        }
        if !parts.is_empty() && levels < MAX_LEVELS {
            values = Vec::new();
        }
        Term { clause, text: written, verdict, values, note, parts }
    }

    fn note(&self, term: ExprId, verdict: Truth, values: &[Seen]) -> Option<String> {
        if let Kind::Compare(op, a, b) = self.ast.kind(term) {
            let (a, b) = (self.value(*a)?, self.value(*b)?);
            let related = match (&a, &b) {
                (Value::Null, _) | (_, Value::Null) => true,
                _ => {
                    a.type_name() == b.type_name() || (a.number().is_some() && b.number().is_some())
                }
            };
            if !related && verdict != Truth::True {
                let meet = if op.is_ordering() { "ordered" } else { "equal" };
                let text = matches!(a, Value::Str(_)) || matches!(b, Value::Str(_));
                let number = a.number().is_some() || b.number().is_some();
                let remedy = if text && number { "; convert with num()" } else { "" };
                return Some(format!(
                    "{} and {} are never {meet}{remedy}",
                    a.type_name(),
                    b.type_name()
                ));
            }
        }
        let missing = values.iter().find(|seen| seen.value.is_none());
        match (verdict, missing) {
            (Truth::Unknown, None) => Some("of a type that gives no answer".to_owned()),
            _ => None,
        }
    }

    fn field(&self, path: &str) -> Option<&Value<'static>> {
        self.fields.get(path)?.as_ref()
    }

    fn truth(&self, id: ExprId) -> Truth {
        match self.ast.kind(id) {
            Kind::And(terms) => Truth::all(terms.iter().map(|term| self.truth(*term))),
            Kind::Or(terms) => Truth::any(terms.iter().map(|term| self.truth(*term))),
            Kind::Not(operand) => self.truth(*operand).negate(),
            Kind::Compare(op, a, b) => {
                ops::compare(*op, self.value(*a).as_ref(), self.value(*b).as_ref())
            }
            Kind::In { negated, folds, item, list } => {
                let item = self.value(*item);
                let is = |member: &ExprId| self.is_member(item.as_ref(), *member, *folds);
                let found = match self.ast.kind(*list) {
                    Kind::List(members) => Truth::any(members.iter().map(is)),
                    Kind::Range(..) => is(list),
                    Kind::Call { name, .. } if name == "cidr" => is(list),
                    _ => ops::within(item.as_ref(), self.value(*list).as_ref()),
                };
                found.negate_if(*negated)
            }
            Kind::Each { all, over } => self.each(*all, *over),
            Kind::Match { negated, text, pattern } => {
                match self.checked.regexes.get(&Ast::index(*pattern)) {
                    Some(regex) => {
                        ops::matches(self.value(*text).as_ref(), regex).negate_if(*negated)
                    }
                    None => Truth::Unknown,
                }
            }
            Kind::Text(op, a, b) if op.folds() => {
                let word = match self.value(*b) {
                    Some(Value::Str(text)) => folded(&text),
                    _ => return Truth::Unknown,
                };
                ops::folded(*op, self.value(*a).as_ref(), &word, &mut String::new())
            }
            Kind::Text(op, a, b) => {
                ops::text(*op, self.value(*a).as_ref(), self.value(*b).as_ref())
            }
            Kind::Call { name, args } if name == "exists" => {
                let found = args.first().and_then(|field| self.value(*field));
                Truth::from(found.is_some())
            }
            _ => ops::truth(self.value(id).as_ref()),
        }
    }

    fn is_member(&self, item: Option<&Value<'_>>, member: ExprId, folds: bool) -> Truth {
        let Some(item) = item else { return Truth::Unknown };
        if let Kind::Range(low, high) = self.ast.kind(member) {
            let ends = self.number(*low).zip(self.number(*high));
            return match (item.number(), ends) {
                (Some(number), Some(_)) if number.compare(number).is_none() => Truth::Unknown,
                (Some(number), Some((low, high))) => between(number, low, high).into(),
                _ => Truth::False,
            };
        }
        match (self.checked.nets.get(&Ast::index(member)), item) {
            (Some(nets), Value::Str(text)) => {
                return Truth::any(nets.iter().map(|net| within(text, net)));
            }
            (Some(_), _) => return Truth::False,
            (None, _) => {}
        }
        match (self.value(member), item) {
            (Some(Value::Str(word)), Value::Str(text)) if folds => {
                Truth::from(folded(&word) == folded(text))
            }
            (Some(member), item) => item.among(&[member]),
            (None, _) => Truth::Unknown,
        }
    }

    fn number(&self, id: ExprId) -> Option<Number> {
        self.value(id)?.number()
    }

    fn each(&self, all: bool, over: ExprId) -> Truth {
        let path = self.ast.items_of(over);
        let Some(Value::List(items)) = path.and_then(|path| self.field(path)) else {
            return Truth::Unknown;
        };
        let truths = items.iter().map(|item| {
            let Self { ast, checked, fields, .. } = *self;
            Plain { ast, checked, fields, item: Some(item) }.truth(over)
        });
        if all { Truth::all(truths) } else { Truth::any(truths) }
    }

    fn value(&self, id: ExprId) -> Option<Value<'_>> {
        if let Some(literal) = self.checked.constants.get(&Ast::index(id)) {
            return Some(constant(literal));
        }
        match self.ast.kind(id) {
            Kind::Count { .. } | Kind::Range(..) => None,
            Kind::Item(_) => self.item.cloned().map(Value::into_owned),
            Kind::Literal(literal) => Some(constant(literal)),
            Kind::Field(path) => self.field(path).map(reborrow),
            Kind::List(items) => {
                Some(Value::List(items.iter().filter_map(|item| self.value(*item)).collect()))
            }
            Kind::Negate(operand) => ops::negate(self.value(*operand).as_ref()),
            Kind::Arith(op, a, b) => {
                ops::arith(*op, self.value(*a).as_ref(), self.value(*b).as_ref())
            }
            Kind::Default(a, b) => match self.value(*a) {
                None | Some(Value::Null) => self.value(*b),
                found => found,
            },
            Kind::Call { name, args } if name != "exists" => {
                let arguments: Vec<_> = args.iter().map(|argument| self.value(*argument)).collect();
                match self.checked.functions.get(&Ast::index(id)) {
                    Some(function) => function.call(&arguments),
                    None => Function::named(name)?.call(&arguments).map(Value::into_owned),
                }
            }
            _ => ops::value(self.truth(id)),
        }
    }
}
