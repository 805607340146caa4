//! The reusable memory of evaluation.

use crate::index::{Found, KINDS, Kinds};
use crate::record::{FieldNames, FieldPath, FieldSet, Record};
use crate::truth::Truth;
use crate::value::Value;

/// Working memory of [`RuleSet::matches`](crate::RuleSet::matches).
///
/// Keep one per thread and hand it to every call: after the first calls, records that match nothing
/// cost no allocation. It remembers nothing between calls and fits any rule set.
#[derive(Debug, Default)]
pub struct Scratch {
    slots: Vec<Slot<'static>>,
    values: Vec<Option<Value<'static>>>,
    truths: Vec<Truth>,
    present: Vec<u32>,
    buffer: String,
    /// In the record of which epoch a term was judged last, and how.
    atoms: Vec<(u64, Truth)>,
    /// Of the last record, so that nothing is taken for known that was found out in an earlier batch.
    epoch: u64,
    /// By slot, how many of each kind of value there were in the batch at hand.
    pub(crate) kinds: Census,
    /// The rules that the record at hand leads to.
    pub(crate) found: Found,
    /// Unknown verdicts in the batch at hand: each as often as it came.
    pub(crate) unknown: Vec<u32>,
}

/// Kinds of values, counted for a batch.
#[derive(Debug, Default)]
pub(crate) struct Census {
    counts: Vec<[u32; KINDS]>,
    /// The slots that have counts.
    counted: Vec<u32>,
}

impl Census {
    pub(crate) fn count(&mut self, slot: u32, value: &Value<'_>) {
        let index = slot as usize;
        if index >= self.counts.len() {
            self.counts.resize(index + 1, [0; KINDS]);
        }
        let counts = &mut self.counts[index];
        if *counts == [0; KINDS] {
            self.counted.push(slot);
        }
        counts[Kinds::of(value)] += 1;
    }

    /// What was counted; it counts from zero then.
    pub(crate) fn take(&mut self) -> Vec<(u32, [u32; KINDS])> {
        let Self { counts, counted } = self;
        let take = |slot| (slot, std::mem::take(&mut counts[slot as usize]));
        counted.drain(..).map(take).collect()
    }
}

impl Scratch {
    /// Empty memory; it grows to the size of the rule set at the first call.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lends the memory out for one batch of records.
    pub(crate) fn machine<'a>(&mut self, fields: &'a FieldSet, atoms: usize) -> Machine<'a> {
        if self.atoms.len() < atoms {
            self.atoms.resize(atoms, (0, Truth::Unknown));
        }
        let mut slots = recycle(std::mem::take(&mut self.slots), |_| Slot::default());
        slots.resize_with(fields.paths().len(), Slot::default);
        Machine {
            fields,
            line: fields.root().below("line").and_then(FieldNames::slot),
            slots,
            epoch: self.epoch,
            atoms: std::mem::take(&mut self.atoms),
            is_filled: false,
            present: std::mem::take(&mut self.present),
            values: recycle(std::mem::take(&mut self.values), |_| None),
            truths: std::mem::take(&mut self.truths),
            item: None,
            buffer: std::mem::take(&mut self.buffer),
        }
    }

    pub(crate) fn put_back(&mut self, machine: Machine<'_>) {
        self.slots = recycle(machine.slots, |_| Slot::default());
        self.values = recycle(machine.values, |_| None);
        self.truths = machine.truths;
        self.present = machine.present;
        self.buffer = machine.buffer;
        self.atoms = machine.atoms;
        self.epoch = machine.epoch;
    }
}

/// Empties a vector and changes what its items may borrow. The standard library collects in place
/// when source and target have the same layout, so the allocation lives on.
fn recycle<A, B>(mut items: Vec<A>, never: impl FnMut(A) -> B) -> Vec<B> {
    items.clear();
    items.into_iter().map(never).collect()
}

/// What a field held in the record of `epoch`.
#[derive(Debug, Default)]
struct Slot<'a> {
    epoch: u64,
    value: Option<Value<'a>>,
}

/// The memory while it borrows from a rule set and a batch of records.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    fields: &'a FieldSet,
    /// The slot of the pseudo-field `line`.
    line: Option<usize>,
    slots: Vec<Slot<'a>>,
    epoch: u64,
    atoms: Vec<(u64, Truth)>,
    /// All fields of the record are in their slots: what is in none is missing.
    is_filled: bool,
    /// The slots that were filled.
    present: Vec<u32>,
    pub(crate) values: Vec<Option<Value<'a>>>,
    pub(crate) truths: Vec<Truth>,
    /// The item of a list that is being judged.
    pub(crate) item: Option<Value<'a>>,
    /// For texts whose case is folded.
    pub(crate) buffer: String,
}

impl<'a> Machine<'a> {
    /// Forgets the last record: every slot's epoch is now too old.
    pub(crate) fn next_record(&mut self) {
        self.epoch += 1;
        self.is_filled = false;
    }

    /// Looks all fields up at once. Gives the slots of those that are there.
    pub(crate) fn fill<R: Record>(&mut self, record: &'a R) {
        let Self { fields, slots, epoch, present, line, .. } = self;
        present.clear();
        let mut put = |slot: usize, value: Value<'a>| {
            let Some(entry) = slots.get_mut(slot) else { return };
            if entry.epoch != *epoch {
                *entry = Slot { epoch: *epoch, value: Some(value) };
                present.push(slot as u32);
            }
        };
        record.visit(fields, &mut put);
        if let Some((slot, line)) = line.and_then(|slot| Some((slot, record.line()?))) {
            put(slot, Value::Str(line));
        }
        self.is_filled = true;
    }

    /// Whether all fields of the record were looked up.
    pub(crate) fn is_filled(&self) -> bool {
        self.is_filled
    }

    /// The slots that [`fill`](Self::fill) has filled.
    pub(crate) fn present(&self) -> &[u32] {
        &self.present
    }

    /// A value that was looked up.
    pub(crate) fn known(&self, slot: u32) -> Option<&Value<'a>> {
        let entry = self.slots.get(slot as usize)?;
        entry.value.as_ref().filter(|_| entry.epoch == self.epoch)
    }

    /// The value of a field, looked up when it is first asked for.
    #[inline]
    pub(crate) fn field<R: Record>(&mut self, slot: u32, record: &'a R) -> Option<&Value<'a>> {
        let index = slot as usize;
        let entry = self.slots.get_mut(index)?;
        if entry.epoch != self.epoch {
            entry.epoch = self.epoch;
            entry.value = match self.is_filled {
                true => None,
                false => look_up(record, &self.fields.paths()[index]),
            };
        }
        entry.value.as_ref()
    }

    /// The same, and room to fold it in.
    pub(crate) fn field_and_buffer<R: Record>(
        &mut self,
        slot: u32,
        record: &'a R,
    ) -> (Option<&Value<'a>>, &mut String) {
        self.field(slot, record);
        let Self { slots, epoch, buffer, .. } = self;
        let entry = slots.get(slot as usize).filter(|entry| entry.epoch == *epoch);
        (entry.and_then(|entry| entry.value.as_ref()), buffer)
    }

    /// How a term was judged for this record.
    pub(crate) fn known_atom(&self, atom: u32) -> Option<Truth> {
        let (epoch, truth) = *self.atoms.get(atom as usize)?;
        (epoch == self.epoch).then_some(truth)
    }

    pub(crate) fn remember(&mut self, atom: u32, truth: Truth) {
        if let Some(known) = self.atoms.get_mut(atom as usize) {
            *known = (self.epoch, truth);
        }
    }

    pub(crate) fn pop_truth(&mut self) -> Truth {
        self.truths.pop().unwrap_or(Truth::Unknown)
    }

    pub(crate) fn value(&mut self) -> Option<Value<'a>> {
        self.values.pop().flatten()
    }
}

/// A field of the record, or its line where the record has no field called `line`.
pub(crate) fn look_up<'a, R: Record>(record: &'a R, path: &FieldPath) -> Option<Value<'a>> {
    record.get(path).or_else(|| match path.as_str() {
        "line" => record.line().map(Value::Str),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recycling_keeps_the_allocation() {
        let slots: Vec<Slot<'static>> = Vec::with_capacity(100);
        let address = slots.as_ptr() as usize;
        let slots: Vec<Slot<'_>> = recycle(slots, |_| Slot::default());
        assert_eq!((slots.as_ptr() as usize, slots.capacity()), (address, 100));
    }
}
