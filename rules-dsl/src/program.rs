//! A condition compiled to a flat row of steps.
//!
//! Two stacks, forward jumps, no recursion and no boxes. Nearly every term of a real rule compares one
//! field with one constant, so that is one step; the rest goes through the value stack.

use regex::Regex;

use crate::ast::{ArithOp, Ast, CompareOp, ExprId, Kind, Literal, TextOp};
use crate::check::Checked;
use crate::ops::{self, Function};
use crate::record::Record;
use crate::scratch::Machine;
use crate::truth::Truth;
use crate::value::Value;

/// One step. Numbers name slots of the rule set, or constants, lists and patterns of the program.
#[derive(Debug, Clone)]
enum Step {
    // A field against constants.
    FieldCompare {
        slot: u32,
        op: CompareOp,
        constant: u32,
    },
    FieldIn {
        slot: u32,
        list: u32,
        negated: bool,
    },
    FieldMatch {
        slot: u32,
        regex: u32,
        negated: bool,
    },
    FieldText {
        slot: u32,
        op: TextOp,
        constant: u32,
    },
    Exists {
        slot: u32,
    },
    // Values.
    Load {
        slot: u32,
    },
    Constant {
        constant: u32,
    },
    Negate,
    Arith(ArithOp),
    Call(Function),
    // Values to truths and back.
    Compare(CompareOp),
    In {
        list: u32,
        negated: bool,
    },
    Within {
        negated: bool,
    },
    Match {
        regex: u32,
        negated: bool,
    },
    Text(TextOp),
    AsTruth,
    AsValue,
    // Truths. The last one is in a register; `Push` keeps it while the next is found.
    Truth(bool),
    Not,
    Push,
    And,
    Or,
    /// A term of the top-level chain ends here: if it is false, so is everything.
    Term,
    // Jumps: the answer is known, or the default is not needed.
    SkipIfFalse {
        to: u32,
    },
    SkipIfTrue {
        to: u32,
    },
    SkipIfPresent {
        to: u32,
    },
}

/// A compiled condition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    steps: Vec<Step>,
    constants: Vec<Value<'static>>,
    lists: Vec<Vec<Value<'static>>>,
    regexes: Vec<Regex>,
}

/// Gives each field its slot.
pub(crate) type Slots<'s> = dyn FnMut(&str) -> u32 + 's;

impl Program {
    /// Appends `terms` of a checked tree as further terms of this program's `&&` chain.
    pub(crate) fn extend(
        &mut self,
        ast: &Ast,
        checked: &Checked,
        terms: &[ExprId],
        slots: &mut Slots<'_>,
    ) {
        for term in terms {
            Compiler { ast, checked, slots, program: self }.truth(*term);
            self.steps.push(Step::Term);
        }
    }

    /// Runs the program over one record. An empty program holds for every record.
    pub(crate) fn run<'a, R: Record>(&'a self, machine: &mut Machine<'a>, record: &'a R) -> Truth {
        let mut at = 0;
        let mut truth = Truth::True;
        let mut verdict = Truth::True;
        while let Some(step) = self.steps.get(at) {
            at += 1;
            match *step {
                Step::FieldCompare { slot, op, constant } => {
                    let constant = &self.constants[constant as usize];
                    truth = ops::compare(op, machine.field(slot, record), Some(constant));
                }
                Step::Term => match truth {
                    Truth::True => {}
                    Truth::False => return Truth::False,
                    Truth::Unknown => verdict = Truth::Unknown,
                },
                Step::FieldIn { slot, list, negated } => {
                    let list = &self.lists[list as usize];
                    let item = machine.field(slot, record);
                    let found = item.map_or(Truth::Unknown, |item| item.among(list));
                    truth = found.negate_if(negated);
                }
                Step::FieldMatch { slot, regex, negated } => {
                    let regex = &self.regexes[regex as usize];
                    let found = ops::matches(machine.field(slot, record), regex);
                    truth = found.negate_if(negated);
                }
                Step::FieldText { slot, op, constant } => {
                    let constant = &self.constants[constant as usize];
                    truth = ops::text(op, machine.field(slot, record), Some(constant));
                }
                Step::Exists { slot } => truth = machine.field(slot, record).is_some().into(),
                Step::Not => truth = truth.negate(),
                Step::Push => machine.truths.push(truth),
                Step::And => truth = machine.pop_truth().and(truth),
                Step::Or => truth = machine.pop_truth().or(truth),
                Step::Truth(value) => truth = value.into(),
                Step::SkipIfFalse { to } if truth == Truth::False => at = to as usize,
                Step::SkipIfTrue { to } if truth == Truth::True => at = to as usize,
                Step::SkipIfFalse { .. } | Step::SkipIfTrue { .. } => {}
                Step::SkipIfPresent { to } => match machine.values.last() {
                    Some(Some(value)) if *value != Value::Null => at = to as usize,
                    _ => drop(machine.values.pop()),
                },
                Step::Load { slot } => {
                    let value = machine.field(slot, record).cloned();
                    machine.values.push(value);
                }
                ref step => self.rare(step, machine, &mut truth),
            }
        }
        verdict
    }

    /// The steps that look at no record. Out of line, to keep the loop above small.
    fn rare<'a>(&'a self, step: &Step, machine: &mut Machine<'a>, truth: &mut Truth) {
        match *step {
            Step::Constant { constant } => {
                machine.values.push(Some(reborrow(&self.constants[constant as usize])));
            }
            Step::Negate => {
                let value = machine.value();
                machine.values.push(ops::negate(value.as_ref()));
            }
            Step::Arith(op) => {
                let (b, a) = (machine.value(), machine.value());
                machine.values.push(ops::arith(op, a.as_ref(), b.as_ref()));
            }
            Step::Call(function) => {
                let value = machine.value();
                machine.values.push(ops::call(function, value.as_ref()));
            }
            Step::Compare(op) => {
                let (b, a) = (machine.value(), machine.value());
                *truth = ops::compare(op, a.as_ref(), b.as_ref());
            }
            Step::In { list, negated } => {
                let item = machine.value();
                let list = &self.lists[list as usize];
                let found = item.map_or(Truth::Unknown, |item| item.among(list));
                *truth = found.negate_if(negated);
            }
            Step::Within { negated } => {
                let (list, item) = (machine.value(), machine.value());
                *truth = ops::within(item.as_ref(), list.as_ref()).negate_if(negated);
            }
            Step::Match { regex, negated } => {
                let text = machine.value();
                let regex = &self.regexes[regex as usize];
                *truth = ops::matches(text.as_ref(), regex).negate_if(negated);
            }
            Step::Text(op) => {
                let (b, a) = (machine.value(), machine.value());
                *truth = ops::text(op, a.as_ref(), b.as_ref());
            }
            Step::AsTruth => {
                let value = machine.value();
                *truth = ops::truth(value.as_ref());
            }
            Step::AsValue => {
                machine.values.push(ops::value(*truth));
            }
            // The steps that need the record or the counter are in `run`.
            _ => {}
        }
    }
}

/// A constant as a value that borrows it.
fn reborrow<'a>(value: &'a Value<'static>) -> Value<'a> {
    match value {
        Value::Str(text) => Value::text(text),
        other => other.clone(),
    }
}

pub(crate) fn constant(literal: &Literal) -> Value<'static> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::UInt(value) => Value::from(*value),
        Literal::Float(value) => Value::Float(*value),
        Literal::Str(text) => Value::from(text.clone()),
        // The checker let none through.
        Literal::Duration(_) => Value::Opaque,
    }
}

/// What stands there, if that is a constant.
pub(crate) fn literal(ast: &Ast, checked: &Checked, id: ExprId) -> Option<Value<'static>> {
    match ast.kind(id) {
        Kind::Literal(literal) => Some(constant(literal)),
        _ => checked.constants.get(&Ast::index(id)).map(constant),
    }
}

struct Compiler<'c, 's> {
    ast: &'c Ast,
    checked: &'c Checked,
    slots: &'c mut Slots<'s>,
    program: &'c mut Program,
}

/// Recursion is bounded by the height of the tree.
impl Compiler<'_, '_> {
    fn truth(&mut self, id: ExprId) {
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
            Kind::In { negated, item, list } => self.membership(*negated, *item, *list),
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
                if let Some(argument) = args.first() {
                    self.value(*argument);
                }
                self.emit(Step::Call(match name.as_str() {
                    "len" => Function::Len,
                    "lower" => Function::Lower,
                    _ => Function::Num,
                }));
            }
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

    fn membership(&mut self, negated: bool, item: ExprId, list: ExprId) {
        let ast = self.ast;
        let Kind::List(items) = ast.kind(list) else {
            self.value(item);
            self.value(list);
            return self.emit(Step::Within { negated });
        };
        let items = items.iter().filter_map(|item| self.literal(*item)).collect();
        self.program.lists.push(items);
        let list = self.program.lists.len() as u32 - 1;
        if let Some(slot) = self.field(item) {
            self.emit(Step::FieldIn { slot, list, negated });
        } else {
            self.value(item);
            self.emit(Step::In { list, negated });
        }
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
        let known = self.program.constants.iter().position(|known| *known == value);
        let index = known.unwrap_or_else(|| {
            self.program.constants.push(value);
            self.program.constants.len() - 1
        });
        Some(index as u32)
    }

    fn regex(&mut self, pattern: ExprId) -> u32 {
        self.program.regexes.extend(self.checked.regexes.get(&Ast::index(pattern)).cloned());
        self.program.regexes.len() as u32 - 1
    }
}
