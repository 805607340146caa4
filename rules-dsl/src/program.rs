//! A condition compiled to a flat row of steps.
//!
//! Two stacks, forward jumps, no recursion and no boxes. Nearly every term of a real rule compares one
//! field with one constant, so that is one step; the rest goes through the value stack.

mod lower;

use std::collections::HashMap;

use regex::Regex;

use self::lower::Compiler;
pub(crate) use self::lower::{constant, literal, members};
use crate::ast::{ArithOp, Ast, CompareOp, ExprId, TextOp};
use crate::check::Checked;
use crate::function::Function;
use crate::host::FunctionSpec;
use crate::members::Members;
use crate::ops;
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
    /// The constant is folded.
    FieldFolded {
        slot: u32,
        op: TextOp,
        constant: u32,
    },
    Exists {
        slot: u32,
    },
    /// Judges the steps up to `to` for each item of a list.
    Each {
        slot: u32,
        all: bool,
        to: u32,
    },
    /// The item at hand.
    Item,
    /// No value.
    Nothing,
    // Values.
    Load {
        slot: u32,
    },
    Constant {
        constant: u32,
    },
    Negate,
    Arith(ArithOp),
    Call {
        function: Function,
        arguments: u16,
    },
    /// A function of the host's own.
    Host {
        function: u32,
        arguments: u16,
    },
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
    Folded {
        op: TextOp,
        constant: u32,
    },
    IsPresent,
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
    // A term that costs much is judged once for a record, however many rules have it.
    SkipIfKnown {
        atom: u32,
        to: u32,
    },
    Remember {
        atom: u32,
    },
}

/// The terms that cost much, of all rules of a set: what is said in the same way is the same.
#[derive(Debug, Default)]
pub(crate) struct Atoms {
    by_meaning: HashMap<String, u32>,
}

impl Atoms {
    fn number(&mut self, meaning: String) -> u32 {
        let next = self.by_meaning.len() as u32;
        *self.by_meaning.entry(meaning).or_insert(next)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_meaning.len()
    }
}

/// A compiled condition.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    steps: Vec<Step>,
    constants: Vec<Value<'static>>,
    lists: Vec<Members>,
    regexes: Vec<Regex>,
    hosts: Vec<FunctionSpec>,
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
        atoms: &mut Atoms,
    ) {
        for term in terms {
            let program = &mut *self;
            Compiler { ast, checked, slots, atoms, program, of_items: false }.truth(*term);
            self.steps.push(Step::Term);
        }
    }

    /// The slots that it looks at, in order, some maybe more than once.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        self.steps.iter().filter_map(|step| match *step {
            Step::FieldCompare { slot, .. }
            | Step::FieldIn { slot, .. }
            | Step::FieldMatch { slot, .. }
            | Step::FieldText { slot, .. }
            | Step::FieldFolded { slot, .. }
            | Step::Each { slot, .. }
            | Step::Load { slot } => Some(slot),
            _ => None,
        })
    }

    /// Runs the program over one record. An empty program holds for every record.
    pub(crate) fn run<'a, R: Record>(&'a self, machine: &mut Machine<'a>, record: &'a R) -> Truth {
        self.part(0, self.steps.len(), machine, record)
    }

    /// Runs some of the steps. It calls itself for the items of a list, which hold no lists.
    fn part<'a, R: Record>(
        &'a self,
        mut at: usize,
        end: usize,
        machine: &mut Machine<'a>,
        record: &'a R,
    ) -> Truth {
        let mut truth = Truth::True;
        let mut verdict = Truth::True;
        let steps = &self.steps[..end];
        while let Some(step) = steps.get(at) {
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
                    let (item, buffer) = machine.field_and_buffer(slot, record);
                    let found = self.lists[list as usize].hold(item, buffer);
                    truth = found.negate_if(negated);
                }
                Step::FieldFolded { slot, op, constant } => {
                    let (value, buffer) = machine.field_and_buffer(slot, record);
                    truth = ops::folded(op, value, self.text(constant), buffer);
                }
                Step::Each { slot, all, to } => {
                    truth = self.each(at, to as usize, slot, all, machine, record);
                    at = to as usize;
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
                Step::SkipIfKnown { atom, to } => {
                    if let Some(known) = machine.known_atom(atom) {
                        truth = known;
                        at = to as usize;
                    }
                }
                Step::Remember { atom } => machine.remember(atom, truth),
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

    /// Whether the steps hold for any item of a list, or for all of them.
    #[inline(never)]
    fn each<'a, R: Record>(
        &'a self,
        at: usize,
        to: usize,
        slot: u32,
        all: bool,
        machine: &mut Machine<'a>,
        record: &'a R,
    ) -> Truth {
        let mut verdict = Truth::from(all);
        for number in 0.. {
            let Some(Value::List(items)) = machine.field(slot, record) else {
                return Truth::Unknown;
            };
            // No item holds a list, so that this copies a reference, or a text that had escapes.
            let Some(item) = items.get(number).cloned() else { break };
            machine.item = Some(item);
            let truth = self.part(at, to, machine, record);
            verdict = if all { verdict.and(truth) } else { verdict.or(truth) };
            if verdict == Truth::from(!all) {
                break;
            }
        }
        verdict
    }

    fn text(&self, constant: u32) -> &str {
        match &self.constants[constant as usize] {
            Value::Str(text) => text,
            _ => "",
        }
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
            Step::Item => {
                let item = machine.item.clone();
                machine.values.push(item);
            }
            Step::Nothing => machine.values.push(None),
            Step::IsPresent => *truth = machine.value().is_some().into(),
            Step::Call { function, arguments } => {
                let from = machine.values.len().saturating_sub(arguments.into());
                let value = function.call(&machine.values[from..]);
                machine.values.truncate(from);
                machine.values.push(value);
            }
            Step::Host { function, arguments } => {
                let from = machine.values.len().saturating_sub(arguments.into());
                let value = self.hosts[function as usize].call(&machine.values[from..]);
                machine.values.truncate(from);
                machine.values.push(value);
            }
            Step::Compare(op) => {
                let (b, a) = (machine.value(), machine.value());
                *truth = ops::compare(op, a.as_ref(), b.as_ref());
            }
            Step::In { list, negated } => {
                let item = machine.value();
                let found = self.lists[list as usize].hold(item.as_ref(), &mut machine.buffer);
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
            Step::Folded { op, constant } => {
                let value = machine.value();
                let word = self.text(constant);
                *truth = ops::folded(op, value.as_ref(), word, &mut machine.buffer);
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
pub(crate) fn reborrow<'a>(value: &'a Value<'static>) -> Value<'a> {
    match value {
        Value::Str(text) => Value::text(text),
        other => other.clone(),
    }
}
