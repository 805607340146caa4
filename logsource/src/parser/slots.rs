//! Where an extraction puts what it finds: a slot for each asked field.

use std::borrow::Cow;
use std::ops::Range;

use super::raw::{Raw, unescape};
use super::value::{ValueRef, typed};
use crate::Value;

/// A line, and the same as text if all of it is UTF-8: checked once, so that no value is.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) text: Option<&'a str>,
}

impl<'a> Line<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, text: std::str::from_utf8(bytes).ok() }
    }

    /// Where a piece of the line stands in it.
    fn place(&self, piece: &[u8]) -> Range<usize> {
        let start = piece.as_ptr().addr().wrapping_sub(self.bytes.as_ptr().addr());
        start..start.wrapping_add(piece.len())
    }
}

/// Which slot, and how good a find it is: 0 is final, and a lower rank replaces a higher one.
pub(super) type Goal = (u16, u16);

/// One found value; text is told by its place.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    Missing,
    Plain(ValueRef<'static>),
    /// Text of the line.
    Text(Range<usize>),
    /// Text that had to be written anew: escapes, and what is not UTF-8.
    Scratch(Range<usize>),
    /// A list or map of the line.
    Json(Range<usize>),
    /// A list or map that was written anew.
    ScratchJson(Range<usize>),
}

/// The slots of one line. Cleared for the next, they keep their memory.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    values: Vec<Slot>,
    ranks: Vec<u16>,
    /// Slots below this one are what somebody waits for.
    needed: usize,
    open: usize,
    pub(super) scratch: String,
    bytes: Vec<u8>,
}

impl Slots {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            values: vec![Slot::Missing; slots],
            ranks: vec![u16::MAX; slots],
            needed: slots,
            open: slots,
            scratch: String::new(),
            bytes: Vec::new(),
        }
    }

    /// Empties them; [`Slots::done`] looks at the first `needed` only.
    pub(super) fn clear(&mut self, needed: usize) {
        self.values.fill(Slot::Missing);
        self.ranks.fill(u16::MAX);
        self.scratch.clear();
        self.needed = needed;
        self.open = needed;
    }

    /// Whether nothing that is needed can be found any more, or better.
    pub(super) fn done(&self) -> bool {
        self.open == 0
    }

    /// Whether a find of this rank would count.
    pub(super) fn wants(&self, (slot, rank): Goal) -> bool {
        self.ranks.get(usize::from(slot)).is_some_and(|found| rank < *found)
    }

    pub(super) fn set(&mut self, (slot, rank): Goal, value: Slot) {
        let slot = usize::from(slot);
        if let (Some(place), Some(found)) = (self.values.get_mut(slot), self.ranks.get_mut(slot))
            && rank < *found
        {
            *place = value;
            *found = rank;
            self.open -= usize::from(rank == 0 && slot < self.needed);
        }
    }

    /// Makes of a piece of the line what was meant by it.
    pub(super) fn fill(&mut self, line: Line<'_>, goal: Goal, value: Raw<'_>) {
        if !self.wants(goal) {
            return;
        }
        let value = match value {
            Raw::Text(text) => self.text(line, line.place(text)),
            Raw::Word(word) => return self.word(line, goal, line.place(word)),
            Raw::Escaped(text, escapes) => {
                self.bytes.clear();
                unescape(text, escapes, &mut self.bytes);
                let start = self.scratch.len();
                self.scratch.push_str(&String::from_utf8_lossy(&self.bytes));
                Slot::Scratch(start..self.scratch.len())
            }
            Raw::Known(name) => Slot::Plain(ValueRef::Str(name)),
            Raw::Bool(value) => Slot::Plain(ValueRef::Bool(value)),
            Raw::Int(number) => Slot::Plain(ValueRef::Int(number)),
            Raw::Elements(_) => return self.tree(goal, &value.to_value()),
        };
        self.set(goal, value);
    }

    /// A bare word at a place of the line, typed by what it looks like.
    pub(super) fn word(&mut self, line: Line<'_>, goal: Goal, at: Range<usize>) {
        let value = match line.bytes.get(at.clone()).and_then(typed) {
            Some(value) => Slot::Plain(value),
            None => self.text(line, at),
        };
        self.set(goal, value);
    }

    /// A value that was parsed as a whole.
    pub(super) fn tree(&mut self, goal: Goal, value: &Value) {
        let start = self.scratch.len();
        let value = match value {
            Value::Null => Slot::Plain(ValueRef::Null),
            Value::Bool(value) => Slot::Plain(ValueRef::Bool(*value)),
            Value::Int(value) => Slot::Plain(ValueRef::Int(*value)),
            Value::UInt(value) => Slot::Plain(ValueRef::UInt(*value)),
            Value::Float(value) => Slot::Plain(ValueRef::Float(*value)),
            Value::Str(text) => {
                self.scratch.push_str(text);
                Slot::Scratch(start..self.scratch.len())
            }
            Value::List(_) | Value::Map(_) => {
                self.scratch.push_str(&serde_json::to_string(value).unwrap_or_default());
                Slot::ScratchJson(start..self.scratch.len())
            }
        };
        self.set(goal, value);
    }

    fn text(&mut self, line: Line<'_>, at: Range<usize>) -> Slot {
        match line.text {
            Some(text) if text.get(at.clone()).is_some() => Slot::Text(at),
            _ => match String::from_utf8_lossy(line.bytes.get(at.clone()).unwrap_or_default()) {
                Cow::Borrowed(_) => Slot::Text(at),
                Cow::Owned(text) => {
                    let start = self.scratch.len();
                    self.scratch.push_str(&text);
                    Slot::Scratch(start..self.scratch.len())
                }
            },
        }
    }

    pub(super) fn get<'a>(&'a self, line: Line<'a>, slot: usize) -> Option<ValueRef<'a>> {
        let text = |at: &Range<usize>| match line.text {
            Some(text) => text.get(at.clone()).unwrap_or_default(),
            None => {
                let bytes = line.bytes.get(at.clone()).unwrap_or_default();
                std::str::from_utf8(bytes).unwrap_or_default()
            }
        };
        let scratch = |at: &Range<usize>| self.scratch.get(at.clone()).unwrap_or_default();
        match self.values.get(slot)? {
            Slot::Missing => None,
            Slot::Plain(value) => Some(*value),
            Slot::Text(at) => Some(ValueRef::Str(text(at))),
            Slot::Scratch(at) => Some(ValueRef::Str(scratch(at))),
            Slot::Json(at) => Some(ValueRef::Json(text(at))),
            Slot::ScratchJson(at) => Some(ValueRef::Json(scratch(at))),
        }
    }
}
