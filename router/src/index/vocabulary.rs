//! Numbers for names and values. Whoever uses one takes it and gives it back, so what nobody compares with any more is
//! forgotten.

use std::sync::Arc;

use rustc_hash::FxHashMap;

/// The hash is a plain one: only the configuration and the operators' silences fill the tables. An alert, which anybody
/// may write, is but looked up.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    by_name: FxHashMap<Arc<str>, u32>,
    names: Vec<Name>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Name {
    text: Arc<str>,
    uses: u32,
    by_value: FxHashMap<Arc<str>, u32>,
    values: Vec<Value>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Value {
    text: Arc<str>,
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

    /// The numbers of the name, if anybody uses it, and of the value.
    pub(super) fn find(&self, name: &str, value: &str) -> Option<(u32, Option<u32>)> {
        let number = *self.by_name.get(name)?;
        let name = self.names.get(number as usize)?;
        // No table is no hash: most patterns and conditions of presence compare with nothing.
        let known = !name.by_value.is_empty();
        Some((number, if known { name.by_value.get(value).copied() } else { None }))
    }

    /// The number of a name that is in use.
    pub(super) fn name(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// The number of a value that is in use.
    pub(super) fn value(&self, name: u32, value: &str) -> Option<u32> {
        self.names.get(name as usize)?.by_value.get(value).copied()
    }

    pub(super) fn take_name(&mut self, text: &str) -> u32 {
        if let Some(number) = self.by_name.get(text) {
            self.names[*number as usize].uses += 1;
            return *number;
        }
        let text: Arc<str> = text.into();
        let name = Name { text: Arc::clone(&text), uses: 1, ..Name::default() };
        let number = put(&mut self.names, &mut self.free, name);
        self.by_name.insert(text, number);
        number
    }

    pub(super) fn take_value(&mut self, name: u32, text: &str) -> u32 {
        let name = &mut self.names[name as usize];
        if let Some(number) = name.by_value.get(text) {
            name.values[*number as usize].uses += 1;
            return *number;
        }
        let text: Arc<str> = text.into();
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
        }
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
            assert_eq!(
                vocabulary.find(&format!("name-{round}"), &format!("value-{round}-1")),
                Some((0, Some(1)))
            );
            values.iter().for_each(|value| vocabulary.release_value(name, *value));
            assert_eq!(
                vocabulary.find(&format!("name-{round}"), &format!("value-{round}-1")),
                Some((0, None))
            );
            vocabulary.release_name(name);
            vocabulary.release_name(name);
            assert_eq!(vocabulary.name(&format!("name-{round}")), None);
        }
    }
}
