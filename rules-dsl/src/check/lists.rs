//! `in`, and what may stand on its right: lists, ranges, networks.

use crate::ast::{ArithOp, Ast, ExprId, Kind, Literal};
use crate::check::{Checker, Type};
use crate::value::Number;

impl Checker<'_> {
    pub(super) fn list(&mut self, items: &[ExprId]) -> Type {
        let mut list = Type::List;
        for item in items {
            match (self.ast.kind(*item), self.ty(*item)) {
                (_, Type::Set) => list = Type::Set,
                (Kind::Literal(_), _) | (_, Type::Duration) => {}
                _ if self.out.constants.contains_key(&Ast::index(*item)) => {}
                _ => {
                    let help = "a list holds constants, and a text among them stands in quotes; for a \
                                field write `a == b || ...`";
                    let message = "a list item that is no constant".into();
                    let word = match self.ast.kind(*item) {
                        Kind::Field(path) => Some(format!("'{path}'").into_boxed_str()),
                        _ => None,
                    };
                    let issue = self.issue("E0310", *item, message, "not a literal");
                    issue.help = Some(help.into());
                    issue.suggestion = word;
                }
            }
        }
        list
    }

    /// `500..599`: two numbers, or two times, in their order.
    pub(super) fn range(&mut self, id: ExprId, low: ExprId, high: ExprId) -> Type {
        let ends = [low, high].map(|end| self.end(end));
        let [Some(low), Some(high)] = ends else { return Type::Set };
        if low.compare(high).is_none_or(std::cmp::Ordering::is_gt) {
            let message = "nothing is in this range".into();
            let issue = self.issue("E0310", id, message, "the larger end stands first");
            issue.help = Some("a range goes from its smaller end to its larger, both in it".into());
        }
        Type::Set
    }

    fn end(&mut self, id: ExprId) -> Option<Number> {
        match (self.number(id), self.ty(id)) {
            (Some(number), Type::Number | Type::Time) => Some(number),
            (_, Type::Duration) => {
                self.bare_duration(id);
                None
            }
            _ => {
                let message = "a range has numbers for its ends".to_owned();
                self.issue("E0310", id, message, "not a number").help =
                    Some("for a field write `x >= low && x <= high`".into());
                None
            }
        }
    }

    /// The number that stands there, if it is a constant.
    fn number(&self, id: ExprId) -> Option<Number> {
        let literal = match self.ast.kind(id) {
            Kind::Literal(literal) => literal,
            _ => self.out.constants.get(&Ast::index(id))?,
        };
        match *literal {
            Literal::Int(value) => Some(Number::Int(value.into())),
            Literal::UInt(value) => Some(Number::Int(value.into())),
            Literal::Float(value) => Some(Number::Float(value)),
            _ => None,
        }
    }

    pub(super) fn membership(&mut self, item: ExprId, list: ExprId, folds: bool) -> Type {
        let (item_type, found) = (self.ty(item), self.ty(list));
        if folds && found == Type::Any {
            let message = "`iin` looks into a list that is known beforehand".into();
            self.issue("E0310", list, message, "not a list of constants").help =
                Some("to look into a list that a record brings, write `list icontains 'x'`".into());
            return Type::Bool;
        }
        if !matches!(found, Type::List | Type::Set | Type::Any) {
            self.no_list(list, found);
        } else if matches!(item_type, Type::List | Type::Set) {
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
            for member in items.clone() {
                self.member(item, member);
            }
        } else {
            self.member(item, list);
        }
        Type::Bool
    }

    fn no_list(&mut self, list: ExprId, found: Type) {
        let written = self.written(list).to_owned();
        let net = match self.ast.kind(list) {
            Kind::Literal(Literal::Str(text)) => crate::members::network(text),
            _ => None,
        };
        let range = match self.ast.kind(list) {
            Kind::Arith(ArithOp::Sub, a, b) => {
                Some(format!("{}..{}", self.written(*a), self.written(*b)))
            }
            _ => None,
        };
        let message = format!("`in` needs a list, not {}", found.name());
        let issue = self.issue("E0310", list, message, "not a list");
        issue.suggestion = Some(match (net, range) {
            (Some(_), _) => format!("cidr({written})").into(),
            (None, Some(range)) => range.into(),
            (None, None) => format!("[{written}]").into(),
        });
        if found == Type::Text && net.is_none() {
            issue.help =
                Some("to look for a text inside a field, write `field contains 'x'`".into());
        }
    }

    /// A time is among times alone, and a duration has no unit.
    fn member(&mut self, item: ExprId, member: ExprId) {
        let (of, is_end) = match self.ast.kind(member) {
            Kind::Range(low, _) => (*low, true),
            _ => (member, false),
        };
        if self.ty(of) == Type::Duration {
            if !is_end {
                self.bare_duration(of);
            }
        } else if [self.ty(item), self.ty(of)].contains(&Type::Time) {
            self.timed("in", item, of);
        }
    }
}
