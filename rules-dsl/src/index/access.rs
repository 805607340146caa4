//! How a rule is found: what must hold of a record before the rule can.
//!
//! A condition that is true has a reason that can be looked up: a field is this text, lies between
//! these numbers, contains that word, or at least is there. Under Kleene logic that goes for negated
//! terms too: `status != 200` is true only where there is a `status`. What is found is still judged;
//! an access may hold where its rule does not, never the other way round.

use ipnet::IpNet;

use crate::ast::{Ast, CompareOp, ExprId, Kind, Literal, TextOp};
use crate::check::Checked;
use crate::fold::folded;
use crate::index::bands::Band;
use crate::index::kinds::Kinds;
use crate::index::literals::{self, Words};
use crate::members::Member;
use crate::program::{self, Slots};
use crate::value::Value;

/// Any of these holds where the condition does; none of them at all: it never does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Access {
    /// Nothing is known: it must be judged for every record.
    Always,
    Any(Vec<Atom>),
}

impl Access {
    pub(crate) fn atoms(&self) -> Option<&[Atom]> {
        match self {
            Self::Always => None,
            Self::Any(atoms) => Some(atoms),
        }
    }
}

/// One look-up in one field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Atom {
    pub(crate) slot: u32,
    /// The test is of the folded text, and so is what it looks for.
    pub(crate) folds: bool,
    pub(crate) test: Test,
    /// What the field must hold for the term to be true or false rather than unknown, as far as that
    /// is not found out by judging.
    pub(crate) answers: Kinds,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    /// The field is a number in there.
    Band(Band),
    Text(Box<str>),
    Bool(bool),
    Null,
    /// The field is an address of this network.
    Net(IpNet),
    /// The field is a list with this item.
    Item(Item),
    /// The field is a text that begins with this, ends with it, or has it anywhere.
    Begins(Box<str>),
    Ends(Box<str>),
    Contains(Box<str>),
    /// The field is there.
    Present,
}

/// What an item of a list may be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Item {
    Band(Band),
    Text(Box<str>),
    Bool(bool),
    Null,
}

/// One term of a condition: how it is found, and whether it holds wherever it is found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Need {
    pub(crate) access: Access,
    pub(crate) exact: bool,
}

impl Need {
    fn always() -> Self {
        Self { access: Access::Always, exact: false }
    }

    fn any(atoms: Vec<Atom>) -> Self {
        Self { access: Access::Any(atoms), exact: false }
    }

    fn one(slot: u32, test: Test, answers: Kinds) -> Self {
        Self::any(vec![Atom { slot, folds: false, test, answers }])
    }

    /// Wherever the field is there, the term is judged.
    fn present(slot: u32) -> Self {
        Self::one(slot, Test::Present, Kinds::PRESENT)
    }

    fn exactly(mut self) -> Self {
        self.exact = true;
        self
    }

    /// The band of a field, if that is all there is to it.
    fn band(&self) -> Option<(u32, Band)> {
        match &self.access {
            Access::Any(atoms) => match atoms.as_slice() {
                [Atom { slot, test: Test::Band(band), .. }] => Some((*slot, *band)),
                _ => None,
            },
            Access::Always => None,
        }
    }
}

/// Adds what the `terms` of an `&&` chain need. Bounds on the same number become one band.
pub(crate) fn collect(
    ast: &Ast,
    checked: &Checked,
    terms: &[ExprId],
    slots: &mut Slots<'_>,
    needs: &mut Vec<Need>,
) {
    for term in terms {
        let need = Reading { ast, checked, slots }.holds(*term, true);
        add(needs, need);
    }
}

fn add(needs: &mut Vec<Need>, need: Need) {
    if let Some((slot, band)) = need.band() {
        let same = needs.iter_mut().find(|other| other.band().is_some_and(|(at, _)| at == slot));
        if let Some((other, (_, known))) = same.and_then(|other| {
            let band = other.band()?;
            Some((other, band))
        }) {
            match known.intersect(&band) {
                Some(both) => {
                    other.access = Need::one(slot, Test::Band(both), Kinds::NUMBER).access;
                    other.exact &= need.exact;
                }
                // It never holds, but it is silent where there is no number.
                None => other.exact = false,
            }
            return;
        }
    }
    needs.push(need);
}

/// Recursion is bounded by the height of the tree.
struct Reading<'r, 's> {
    ast: &'r Ast,
    checked: &'r Checked,
    slots: &'r mut Slots<'s>,
}

impl Reading<'_, '_> {
    /// What must hold of a record for which the condition is true, or false if that is `wanted`.
    fn holds(&mut self, id: ExprId, wanted: bool) -> Need {
        let ast = self.ast;
        match ast.kind(id) {
            Kind::And(terms) if wanted => self.all(terms, wanted),
            Kind::Or(terms) if !wanted => self.all(terms, wanted),
            Kind::And(terms) | Kind::Or(terms) => self.any(terms, wanted),
            Kind::Not(operand) => self.holds(*operand, !wanted),
            Kind::Literal(Literal::Bool(value)) if *value == wanted => Need::always(),
            Kind::Literal(Literal::Bool(_)) => Need::any(Vec::new()).exactly(),
            Kind::Field(path) => {
                let slot = (self.slots)(path);
                Need::one(slot, Test::Bool(wanted), Kinds::BOOL).exactly()
            }
            Kind::Compare(op, a, b) => {
                let op = if wanted { *op } else { op.negated() };
                self.compare(op, *a, *b)
            }
            Kind::In { negated, folds, item, list } => {
                self.membership(wanted != *negated, *folds, *item, *list)
            }
            Kind::Each { over, .. } => self.each(*over),
            Kind::Match { negated, text, pattern } => match (self.field(*text), wanted != *negated)
            {
                (Some(slot), true) => self.pattern(slot, *pattern),
                (Some(slot), false) => Need::present(slot),
                (None, _) => self.strict(&[*text]),
            },
            Kind::Text(op, a, b) => self.text(*op, *a, *b, wanted),
            Kind::Call { name, args } if name == "exists" => {
                match args.first().and_then(|field| self.field(*field)) {
                    Some(slot) if wanted => Need::one(slot, Test::Present, Kinds::ALL).exactly(),
                    _ => Need::always(),
                }
            }
            Kind::Call { args, .. } => self.strict(args),
            _ => Need::always(),
        }
    }

    /// All of them hold, so any one of them will do: the one that is likely to be found least.
    fn all(&mut self, terms: &[ExprId], wanted: bool) -> Need {
        let mut needs = Vec::new();
        for term in terms {
            let need = self.holds(*term, wanted);
            add(&mut needs, need);
        }
        if needs.len() == 1 {
            return needs.pop().unwrap_or_else(Need::always);
        }
        let rank = |need: &Need| match &need.access {
            Access::Always => usize::MAX,
            Access::Any(atoms) => atoms.iter().map(|atom| atom.test.rank()).sum(),
        };
        let best = needs.into_iter().min_by_key(rank);
        best.map_or_else(Need::always, |need| Need { exact: false, ..need })
    }

    fn any(&mut self, terms: &[ExprId], wanted: bool) -> Need {
        let (mut all, mut exact) = (Vec::new(), true);
        for term in terms {
            let need = self.holds(*term, wanted);
            let Access::Any(atoms) = need.access else { return Need::always() };
            exact &= need.exact;
            all.extend(atoms);
        }
        Need { access: Access::Any(all), exact }
    }

    fn compare(&mut self, op: CompareOp, a: ExprId, b: ExprId) -> Need {
        let fused = match (self.field(a), self.constant(b)) {
            (Some(slot), Some(constant)) => Some((slot, op, constant)),
            _ => match (self.constant(a), self.field(b)) {
                (Some(constant), Some(slot)) => Some((slot, op.flipped(), constant)),
                _ => None,
            },
        };
        let Some((slot, op, constant)) = fused else { return self.strict(&[a, b]) };
        match (op, constant.number()) {
            (CompareOp::Ne, _) => Need::present(slot),
            (CompareOp::Eq, _) => match item(&constant) {
                Some(item) => {
                    let answers = item.answers();
                    Need::one(slot, item.test(), answers).exactly()
                }
                None => Need::present(slot),
            },
            (_, Some(number)) => match Band::of(op, number) {
                Some(band) => Need::one(slot, Test::Band(band), Kinds::NUMBER).exactly(),
                None => Need::present(slot),
            },
            // Texts have an order too, which nobody asks for.
            (_, None) => Need::present(slot),
        }
    }

    fn membership(&mut self, wanted: bool, folds: bool, needle: ExprId, list: ExprId) -> Need {
        if let Some(members) = program::members(self.ast, self.checked, list) {
            let Some(slot) = self.field(needle) else { return self.strict(&[needle]) };
            if !wanted {
                return Need::present(slot);
            }
            let tests = members.iter().map(|member| member_test(member, folds));
            let Some(tests) = tests.collect::<Option<Vec<_>>>() else { return Need::present(slot) };
            let all = tests.iter().map(|(_, _, answers)| *answers);
            let answers = all.reduce(Kinds::and).unwrap_or(Kinds::PRESENT);
            let atoms =
                tests.into_iter().map(|(test, folds, _)| Atom { slot, folds, test, answers });
            return Need::any(atoms.collect()).exactly();
        }
        match (self.constant(needle).as_ref().and_then(item), self.field(list), wanted) {
            (Some(item), Some(slot), true) => {
                Need::one(slot, Test::Item(item), Kinds::LIST).exactly()
            }
            (_, Some(slot), _) => Need::present(slot),
            _ => self.strict(&[needle, list]),
        }
    }

    fn text(&mut self, op: TextOp, a: ExprId, b: ExprId, wanted: bool) -> Need {
        let (Some(slot), Some(constant)) = (self.field(a), self.constant(b)) else {
            return self.strict(&[a, b]);
        };
        let folds = op.folds();
        let constant = match constant {
            Value::Str(text) if folds => Value::from(folded(&text)),
            constant => constant,
        };
        let word = match &constant {
            Value::Str(text) if !text.is_empty() => Some(text.as_ref()),
            Value::Str(_) => return Need::present(slot),
            _ => None,
        };
        if !wanted {
            return Need::present(slot);
        }
        let test: fn(Box<str>) -> Test = match op {
            TextOp::Contains | TextOp::IContains => Test::Contains,
            TextOp::StartsWith | TextOp::IStartsWith => Test::Begins,
            TextOp::EndsWith | TextOp::IEndsWith => Test::Ends,
            TextOp::IEquals => Test::Text,
        };
        let found = word.map(|word| test(word.into()));
        // It looks into lists as well.
        let listed = op.is_containing().then(|| item(&constant).map(Test::Item)).flatten();
        let answers = match (op, &constant) {
            (TextOp::Contains | TextOp::IContains, Value::Str(_)) => Kinds::TEXT.or(Kinds::LIST),
            (TextOp::Contains, _) => Kinds::LIST,
            (TextOp::IEquals, _) => Kinds::PRESENT,
            _ => Kinds::TEXT,
        };
        let tests = found.into_iter().chain(listed);
        let atoms: Vec<_> = tests.map(|test| Atom { slot, folds, test, answers }).collect();
        match atoms.is_empty() {
            true => Need::present(slot),
            false => Need::any(atoms).exactly(),
        }
    }

    /// Every match holds one of these words, if the pattern says so.
    fn pattern(&self, slot: u32, pattern: ExprId) -> Need {
        let Kind::Literal(Literal::Str(source)) = self.ast.kind(pattern) else {
            return Need::present(slot);
        };
        let answers = Kinds::TEXT;
        let atom = |test| Atom { slot, folds: false, test, answers };
        match literals::required(source) {
            Some(Words::AtStart(words)) => {
                Need::any(words.into_iter().map(Test::Begins).map(atom).collect())
            }
            Some(Words::Anywhere(words)) => {
                Need::any(words.into_iter().map(Test::Contains).map(atom).collect())
            }
            None => Need::present(slot),
        }
    }

    /// It takes a list for an answer, be it an empty one.
    fn each(&mut self, over: ExprId) -> Need {
        let ast = self.ast;
        let item = ast.items_of(over);
        item.map_or_else(Need::always, |path| Need::present((self.slots)(path)))
    }

    /// Something that has no answer unless all of these have one.
    fn strict(&mut self, operands: &[ExprId]) -> Need {
        let mut open = operands.to_vec();
        while let Some(id) = open.pop() {
            match self.ast.kind(id) {
                Kind::Field(path) => {
                    let slot = (self.slots)(path);
                    return Need::present(slot);
                }
                Kind::Negate(one) => open.push(*one),
                Kind::Arith(_, a, b) => open.extend([*a, *b]),
                Kind::Call { name, args } if name != "exists" => open.extend(args),
                _ => {}
            }
        }
        Need::always()
    }

    fn field(&mut self, id: ExprId) -> Option<u32> {
        match self.ast.kind(id) {
            Kind::Field(path) => Some((self.slots)(path)),
            _ => None,
        }
    }

    fn constant(&self, id: ExprId) -> Option<Value<'static>> {
        program::literal(self.ast, self.checked, id)
    }
}

impl Test {
    /// How likely it is to be found in a record, roughly: the lower the better.
    fn rank(&self) -> usize {
        match self {
            Self::Text(_) => 1,
            Self::Net(_) => 2,
            Self::Band(band) if band.is_bounded() => 2,
            Self::Item(_) | Self::Begins(_) | Self::Ends(_) => 2,
            Self::Contains(_) => 5,
            Self::Null => 20,
            Self::Band(_) | Self::Bool(_) => 50,
            Self::Present => 90,
        }
    }
}

impl Item {
    /// What a field must hold to be equal to it, or not: NaN is neither to a number.
    fn answers(&self) -> Kinds {
        if matches!(self, Self::Band(_)) { Kinds::NUMBERED } else { Kinds::PRESENT }
    }

    fn test(self) -> Test {
        match self {
            Self::Band(band) => Test::Band(band),
            Self::Text(text) => Test::Text(text),
            Self::Bool(value) => Test::Bool(value),
            Self::Null => Test::Null,
        }
    }
}

/// How an item is found that is this member of a list, and what a field must hold for an answer.
fn member_test(member: &Member, folds: bool) -> Option<(Test, bool, Kinds)> {
    Some(match member {
        Member::Is(Value::Str(text)) if folds => {
            (Test::Text(folded(text).into()), true, Kinds::PRESENT)
        }
        Member::Is(value) => {
            let item = item(value)?;
            let answers = item.answers();
            (item.test(), false, answers)
        }
        Member::Between(low, high) => {
            let (low, high) = (Band::of(CompareOp::Ge, *low)?, Band::of(CompareOp::Le, *high)?);
            (Test::Band(low.intersect(&high)?), false, Kinds::NUMBERED)
        }
        // Of texts those that are addresses, which takes judging.
        Member::Net(net) => (Test::Net(*net), false, Kinds::PRESENT),
    })
}

/// What equals a constant; none if that is no scalar.
fn item(constant: &Value<'_>) -> Option<Item> {
    match constant {
        Value::Str(text) => Some(Item::Text(text.as_ref().into())),
        Value::Bool(value) => Some(Item::Bool(*value)),
        Value::Null => Some(Item::Null),
        number => Some(Item::Band(Band::of(CompareOp::Eq, number.number()?)?)),
    }
}
