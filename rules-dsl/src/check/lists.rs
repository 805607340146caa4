//! `in`, and what may stand on its right: lists, ranges, networks.

use crate::ast::{ArithOp, Ast, ExprId, Kind, Literal};
use crate::check::{Checker, Type};
use crate::value::Number;

impl Checker<'_> {
    pub(super) fn list(&mut self, items: &[ExprId]) -> Type {
        let mut list = Type::List;
        for item in items {
            match (self.ast.kind(*item), self.ty(*item)) {
                (Kind::Range(..) | Kind::Call { .. }, Type::Set) => list = Type::Set,
                (_, Type::Set | Type::List) => {
                    let message = "a list in a list".into();
                    self.issue("E0310", *item, message, "not one value").help =
                        Some("name them one by one: `f in one || f in other`".into());
                }
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
        if self.ty(low) != self.ty(high) && ends.iter().all(Option::is_some) {
            let message = "the ends of this range have nothing in common".into();
            self.issue("E0310", id, message, "a number and a time");
            return Type::Set;
        }
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
            (Some(number), Type::Duration) => Some(number),
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
            Literal::Duration(value) => i128::try_from(value.as_nanos()).ok().map(Number::Int),
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
            let meets = items.clone().into_iter().map(|member| self.member(item, member));
            let meets = meets.collect::<Vec<_>>();
            self.never(item, list, &meets);
        } else {
            let meets = self.member(item, list);
            self.never(item, list, &[meets]);
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

    /// A time is among times alone, and a duration has no unit. Whether the item may be the member.
    fn member(&mut self, item: ExprId, member: ExprId) -> bool {
        let of = match self.ast.kind(member) {
            Kind::Range(low, _) => *low,
            _ => member,
        };
        let (found, of_type) = (self.ty(item), self.ty(of));
        if found == Type::Duration {
            self.bare_duration(item);
        } else if [found, of_type].iter().any(|ty| matches!(ty, Type::Time | Type::Span)) {
            self.timed("in", item, of);
        } else if of_type == Type::Duration {
            self.bare_duration(of);
        } else {
            // A network is one of texts.
            let of_type = if of_type == Type::Set { Type::Text } else { of_type };
            return found == of_type || [found, of_type].contains(&Type::Any);
        }
        true
    }

    /// Complains where an item is of another type than all that it may be.
    fn never(&mut self, item: ExprId, list: ExprId, meets: &[bool]) {
        if meets.is_empty() || meets.contains(&true) {
            return;
        }
        let of = match self.ast.kind(list) {
            Kind::List(items) => items.first().copied().unwrap_or(list),
            Kind::Range(low, _) => *low,
            _ => list,
        };
        let message = format!("{} is never {}", self.ty(item).name(), self.ty(of).name());
        self.issue("E0302", list, message, "these types have nothing in common");
    }
}
