//! From a checked tree to steps.

use super::{Atoms, Program, Slots, Step};
use crate::ast::{Ast, CompareOp, ExprId, Kind, Literal, TextOp};
use crate::check::Checked;
use crate::fold::folded;
use crate::function::Function;
use crate::members::{Member, Members};
use crate::value::Value;

pub(crate) fn constant(literal: &Literal) -> Value<'static> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::UInt(value) => Value::from(*value),
        Literal::Float(value) => Value::Float(*value),
        Literal::Str(text) => Value::from(text.clone()),
        // Beside times, which are such numbers too.
        Literal::Duration(duration) => {
            u64::try_from(duration.as_nanos()).map_or(Value::Opaque, Value::from)
        }
    }
}

/// What stands there, if that is a constant.
pub(crate) fn literal(ast: &Ast, checked: &Checked, id: ExprId) -> Option<Value<'static>> {
    match ast.kind(id) {
        Kind::Literal(literal) => Some(constant(literal)),
        _ => checked.constants.get(&Ast::index(id)).map(constant),
    }
}

/// What stands on the right of `in`, if that is constant.
pub(crate) fn members(ast: &Ast, checked: &Checked, list: ExprId) -> Option<Vec<Member>> {
    let mut members = Vec::new();
    match ast.kind(list) {
        Kind::List(items) => {
            items.iter().for_each(|item| member(ast, checked, *item, &mut members));
        }
        Kind::Range(..) => member(ast, checked, list, &mut members),
        Kind::Call { name, .. } if name == "cidr" => member(ast, checked, list, &mut members),
        _ => return None,
    }
    Some(members)
}

fn member(ast: &Ast, checked: &Checked, id: ExprId, out: &mut Vec<Member>) {
    match ast.kind(id) {
        Kind::Range(low, high) => {
            let number = |end| literal(ast, checked, end)?.number();
            out.extend(number(*low).zip(number(*high)).map(|(a, b)| Member::Between(a, b)));
        }
        _ => match checked.nets.get(&Ast::index(id)) {
            Some(nets) => out.extend(nets.iter().copied().map(Member::Net)),
            None => out.extend(literal(ast, checked, id).map(Member::Is)),
        },
    }
}

pub(super) struct Compiler<'c, 's> {
    pub(super) ast: &'c Ast,
    pub(super) checked: &'c Checked,
    pub(super) slots: &'c mut Slots<'s>,
    pub(super) atoms: &'c mut Atoms,
    pub(super) program: &'c mut Program,
    /// What is compiled is judged for each item of a list.
    pub(super) of_items: bool,
}

/// Recursion is bounded by the height of the tree.
impl Compiler<'_, '_> {
    pub(super) fn truth(&mut self, id: ExprId) {
        if self.of_items || !self.costs_much(id) {
            return self.judge(id);
        }
        // Paths as they are written will do: the aliases of a set are the same everywhere.
        let meaning = self.ast.fingerprint(id, &str::to_owned);
        let atom = self.atoms.number(meaning);
        let skip = self.program.steps.len();
        self.emit(Step::SkipIfKnown { atom, to: 0 });
        self.judge(id);
        self.emit(Step::Remember { atom });
        let to = self.program.steps.len() as u32;
        self.program.steps[skip] = Step::SkipIfKnown { atom, to };
    }

    /// Whether to judge it takes much longer than to remember how it was judged.
    fn costs_much(&self, id: ExprId) -> bool {
        let is_made = |id: &ExprId| {
            matches!(self.ast.kind(*id), Kind::Call { .. } | Kind::Arith(..))
                && self.literal(*id).is_none()
        };
        match self.ast.kind(id) {
            Kind::Match { .. } | Kind::Each { .. } => true,
            Kind::Text(op, ..) => op.folds() || op.is_containing(),
            Kind::Compare(_, a, b) => is_made(a) || is_made(b),
            Kind::In { item, .. } => is_made(item),
            Kind::Call { name, .. } => name != "exists",
            _ => false,
        }
    }

    fn judge(&mut self, id: ExprId) {
        let ast = self.ast;
        match ast.kind(id) {
            Kind::And(terms) => self.chain(terms, &Step::And),
            Kind::Or(terms) => self.chain(terms, &Step::Or),
            Kind::Not(operand) => {
                self.truth(*operand);
                self.emit(Step::Not);
            }
            Kind::Literal(Literal::Bool(value)) => self.emit(Step::Truth(*value)),
            Kind::Compare(op, a, b) => self.compare(*op, *a, *b),
            Kind::In { negated, folds, item, list } => {
                self.membership(*negated, *folds, *item, *list);
            }
            Kind::Each { all, over } => self.each(*all, *over),
            Kind::Match { negated, text, pattern } => {
                let regex = self.regex(*pattern);
                let negated = *negated;
                if let Some(slot) = self.field(*text) {
                    self.emit(Step::FieldMatch { slot, regex, negated });
                } else {
                    self.value(*text);
                    self.emit(Step::Match { regex, negated });
                }
            }
            Kind::Text(op, a, b) if op.folds() => self.folded(*op, *a, *b),
            Kind::Text(op, a, b) => {
                if let (Some(slot), Some(constant)) = (self.field(*a), self.constant(*b)) {
                    self.emit(Step::FieldText { slot, op: *op, constant });
                } else {
                    self.value(*a);
                    self.value(*b);
                    self.emit(Step::Text(*op));
                }
            }
            Kind::Call { name, args } if name == "exists" => {
                if let Some(slot) = args.first().and_then(|field| self.field(*field)) {
                    self.emit(Step::Exists { slot });
                } else {
                    self.emit(Step::Item);
                    self.emit(Step::IsPresent);
                }
            }
            _ => {
                self.value(id);
                self.emit(Step::AsTruth);
            }
        }
    }

    fn value(&mut self, id: ExprId) {
        if let Some(constant) = self.constant(id) {
            return self.emit(Step::Constant { constant });
        }
        if let Some(slot) = self.field(id) {
            return self.emit(Step::Load { slot });
        }
        let ast = self.ast;
        match ast.kind(id) {
            Kind::Negate(operand) => {
                self.value(*operand);
                self.emit(Step::Negate);
            }
            Kind::Arith(op, a, b) => {
                self.value(*a);
                self.value(*b);
                self.emit(Step::Arith(*op));
            }
            Kind::Default(a, b) => {
                self.value(*a);
                let skip = self.program.steps.len();
                self.emit(Step::SkipIfPresent { to: 0 });
                self.value(*b);
                let to = self.program.steps.len() as u32;
                self.program.steps[skip] = Step::SkipIfPresent { to };
            }
            Kind::List(items) => {
                let items = items.iter().filter_map(|item| self.literal(*item)).collect();
                self.program.constants.push(Value::List(items));
                let constant = self.program.constants.len() as u32 - 1;
                self.emit(Step::Constant { constant });
            }
            Kind::Call { name, args } if name != "exists" => {
                args.iter().for_each(|argument| self.value(*argument));
                let arguments = args.len() as u16;
                if let Some(function) = self.checked.functions.get(&Ast::index(id)) {
                    self.program.hosts.push(function.clone());
                    let function = self.program.hosts.len() as u32 - 1;
                    return self.emit(Step::Host { function, arguments });
                }
                // The checker knows every name.
                let function = Function::named(name).unwrap_or(Function::Num);
                self.emit(Step::Call { function, arguments });
            }
            Kind::Item(_) => self.emit(Step::Item),
            // The checker lets neither through; there is no value that they are.
            Kind::Range(..) | Kind::Count { .. } => self.emit(Step::Nothing),
            _ => {
                self.truth(id);
                self.emit(Step::AsValue);
            }
        }
    }

    fn chain(&mut self, terms: &[ExprId], join: &Step) {
        let mut skips = Vec::new();
        for (index, term) in terms.iter().enumerate() {
            if index > 0 {
                skips.push(self.program.steps.len());
                self.emit(Step::Push); // replaced below, when the end is known
                self.emit(Step::Push);
            }
            self.truth(*term);
            if index > 0 {
                self.emit(join.clone());
            }
        }
        let to = self.program.steps.len() as u32;
        for skip in skips {
            self.program.steps[skip] = match join {
                Step::And => Step::SkipIfFalse { to },
                _ => Step::SkipIfTrue { to },
            };
        }
    }

    fn compare(&mut self, op: CompareOp, a: ExprId, b: ExprId) {
        let fused = match (self.field(a), self.constant(b)) {
            (Some(slot), Some(constant)) => Some((slot, op, constant)),
            _ => match (self.constant(a), self.field(b)) {
                (Some(constant), Some(slot)) => Some((slot, op.flipped(), constant)),
                _ => None,
            },
        };
        if let Some((slot, op, constant)) = fused {
            return self.emit(Step::FieldCompare { slot, op, constant });
        }
        self.value(a);
        self.value(b);
        self.emit(Step::Compare(op));
    }

    fn membership(&mut self, negated: bool, folds: bool, item: ExprId, list: ExprId) {
        let Some(members) = members(self.ast, self.checked, list) else {
            self.value(item);
            self.value(list);
            return self.emit(Step::Within { negated });
        };
        self.program.lists.push(Members::new(members, folds));
        let list = self.program.lists.len() as u32 - 1;
        if let Some(slot) = self.field(item) {
            self.emit(Step::FieldIn { slot, list, negated });
        } else {
            self.value(item);
            self.emit(Step::In { list, negated });
        }
    }

    fn folded(&mut self, op: TextOp, a: ExprId, b: ExprId) {
        let word = match self.literal(b) {
            Some(Value::Str(text)) => folded(&text),
            _ => String::new(),
        };
        let constant = self.keep(Value::from(word));
        if let Some(slot) = self.field(a) {
            self.emit(Step::FieldFolded { slot, op, constant });
        } else {
            self.value(a);
            self.emit(Step::Folded { op, constant });
        }
    }

    fn each(&mut self, all: bool, over: ExprId) {
        let item = self.ast.items_of(over);
        let Some(path) = item else { return };
        let slot = (self.slots)(path);
        let each = self.program.steps.len();
        self.emit(Step::Each { slot, all, to: 0 });
        self.of_items = true;
        self.truth(over);
        self.of_items = false;
        self.emit(Step::Term);
        let to = self.program.steps.len() as u32;
        self.program.steps[each] = Step::Each { slot, all, to };
    }

    fn emit(&mut self, step: Step) {
        self.program.steps.push(step);
    }

    fn field(&mut self, id: ExprId) -> Option<u32> {
        match self.ast.kind(id) {
            Kind::Field(path) => Some((self.slots)(path)),
            _ => None,
        }
    }

    fn literal(&self, id: ExprId) -> Option<Value<'static>> {
        literal(self.ast, self.checked, id)
    }

    fn constant(&mut self, id: ExprId) -> Option<u32> {
        let value = self.literal(id)?;
        Some(self.keep(value))
    }

    fn keep(&mut self, value: Value<'static>) -> u32 {
        let known = self.program.constants.iter().position(|known| *known == value);
        let index = known.unwrap_or_else(|| {
            self.program.constants.push(value);
            self.program.constants.len() - 1
        });
        index as u32
    }

    fn regex(&mut self, pattern: ExprId) -> u32 {
        self.program.regexes.extend(self.checked.regexes.get(&Ast::index(pattern)).cloned());
        self.program.regexes.len() as u32 - 1
    }
}
