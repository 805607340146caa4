//! Numbers for names and values. Whoever uses one takes it and gives it back, so what nobody compares with any more is
//! forgotten.

use std::sync::Arc;

use rustc_hash::FxHashMap;

/// The hash is a plain one: only the configuration and the operators' silences fill the tables. An alert, which anybody
/// may write, is but looked up.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    by_name: FxHashMap<Arc<[u8]>, u32>,
    /// Most labels of an alert are nobody's business, and a glance here says so of nearly all of them.
    slots: Slots,
    names: Vec<Name>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Name {
    text: Arc<[u8]>,
    uses: u32,
    by_value: FxHashMap<Arc<[u8]>, u32>,
    values: Vec<Value>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Value {
    text: Arc<[u8]>,
    uses: u32,
}

impl Vocabulary {
    /// The number after the largest that a name has.
    pub(super) fn names(&self) -> usize {
        self.names.len()
    }

    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.names
            .iter()
            .map(|name| name.values.iter().map(|value| value.uses).sum::<u32>() + name.uses)
            .sum::<u32>() as usize
            + self.by_name.len()
    }

    /// The number of the name, if anybody uses it.
    #[inline]
    pub(super) fn find_name(&self, name: &[u8]) -> Option<u32> {
        match self.slots.0[slot(name)] {
            NOBODY => None,
            SEVERAL => self.by_name.get(name).copied(),
            one => self
                .names
                .get(one as usize)
                .is_some_and(|known| same(&known.text, name))
                .then_some(one),
        }
    }

    /// The number of the value, if anybody compares with it.
    #[inline]
    pub(super) fn find_value(&self, name: u32, value: &[u8]) -> Option<u32> {
        let name = self.names.get(name as usize)?;
        // No table is no hash: most patterns and conditions of presence compare with nothing.
        if name.by_value.is_empty() { None } else { name.by_value.get(value).copied() }
    }

    pub(super) fn take_name(&mut self, text: &str) -> u32 {
        if let Some(number) = self.by_name.get(text.as_bytes()) {
            self.names[*number as usize].uses += 1;
            return *number;
        }
        let text: Arc<[u8]> = text.as_bytes().into();
        let name = Name { text: Arc::clone(&text), uses: 1, ..Name::default() };
        let slot = slot(&text);
        let number = put(&mut self.names, &mut self.free, name);
        self.slots.add(slot, number);
        self.by_name.insert(text, number);
        number
    }

    pub(super) fn take_value(&mut self, name: u32, text: &str) -> u32 {
        let name = &mut self.names[name as usize];
        if let Some(number) = name.by_value.get(text.as_bytes()) {
            name.values[*number as usize].uses += 1;
            return *number;
        }
        let text: Arc<[u8]> = text.as_bytes().into();
        let value = Value { text: Arc::clone(&text), uses: 1 };
        let number = put(&mut name.values, &mut name.free, value);
        name.by_value.insert(text, number);
        number
    }

    pub(super) fn release_value(&mut self, name: u32, number: u32) {
        let Some(name) = self.names.get_mut(name as usize) else { return };
        let Some(value) = name.values.get_mut(number as usize) else { return };
        value.uses -= 1;
        if value.uses == 0 {
            name.by_value.remove(&std::mem::take(value).text);
            name.free.push(number);
        }
    }

    pub(super) fn release_name(&mut self, number: u32) {
        let Some(name) = self.names.get_mut(number as usize) else { return };
        name.uses -= 1;
        if name.uses == 0 {
            self.by_name.remove(&std::mem::take(name).text);
            self.free.push(number);
            self.slots = Slots::default();
            self.by_name.iter().for_each(|(name, number)| self.slots.add(slot(name), *number));
        }
    }
}

const NOBODY: u32 = u32::MAX;
const SEVERAL: u32 = u32::MAX - 1;

/// Which name it can be, by a hash that is had at a glance: names of labels are short words, and not many.
#[derive(Debug)]
struct Slots([u32; 64]);

impl Default for Slots {
    fn default() -> Self {
        Self([NOBODY; 64])
    }
}

impl Slots {
    fn add(&mut self, slot: usize, number: u32) {
        self.0[slot] = if self.0[slot] == NOBODY { number } else { SEVERAL };
    }
}

fn slot(name: &[u8]) -> usize {
    let (first, last) = (name.first().copied(), name.last().copied());
    let mixed = usize::from(first.unwrap_or(0)) * 5 + usize::from(last.unwrap_or(0)) * 3;
    (mixed + name.len()) % 64
}

/// Equality of short texts, two words at a time instead of by a call.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (a.first_chunk::<8>(), b.first_chunk::<8>(), a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(a1), Some(b1), Some(a2), Some(b2)) if a.len() <= 16 => a1 == b1 && a2 == b2,
        (None, ..) => a.iter().eq(b),
        _ => a == b,
    }
}

fn put<T>(all: &mut Vec<T>, free: &mut Vec<u32>, one: T) -> u32 {
    if let Some(number) = free.pop() {
        all[number as usize] = one;
        return number;
    }
    all.push(one);
    all.len() as u32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_uses_is_forgotten_and_its_number_used_again() {
        let mut vocabulary = Vocabulary::default();
        for round in 0..1000 {
            let name = vocabulary.take_name(&format!("name-{round}"));
            let again = vocabulary.take_name(&format!("name-{round}"));
            let values = [0, 1].map(|n| vocabulary.take_value(name, &format!("value-{round}-{n}")));
            assert_eq!((name, again, values), (0, 0, [0, 1]));
            let find = |vocabulary: &Vocabulary| {
                let name = vocabulary.find_name(format!("name-{round}").as_bytes())?;
                Some((name, vocabulary.find_value(name, format!("value-{round}-1").as_bytes())))
            };
            assert_eq!(find(&vocabulary), Some((0, Some(1))));
            values.iter().for_each(|value| vocabulary.release_value(name, *value));
            assert_eq!(find(&vocabulary), Some((0, None)));
            vocabulary.release_name(name);
            vocabulary.release_name(name);
            assert_eq!(find(&vocabulary), None);
        }
    }
}
