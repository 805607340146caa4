//! Numbers for names and values. Whoever uses one takes it and gives it back, so what nobody compares with any more is
//! forgotten.

use std::sync::Arc;

use hashbrown::HashTable;

use super::key::Key;

/// The hash is a plain one: only the configuration and the operators' silences fill the tables. An alert, which anybody
/// may write, is but looked up.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    names: Numbers<Values>,
    /// Most labels of an alert are nobody's business, and a glance here says so of nearly all of them.
    slots: Slots,
}

/// The values that somebody compares a label with.
type Values = Numbers<()>;

/// Texts with numbers. A number that is given back is used again.
#[derive(Debug)]
struct Numbers<T> {
    by_key: HashTable<(Key, u32)>,
    all: Vec<Entry<T>>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Entry<T> {
    key: Key,
    text: Arc<[u8]>,
    uses: u32,
    more: T,
}

impl Vocabulary {
    /// The number after the largest that a name has.
    pub(super) fn names(&self) -> usize {
        self.names.all.len()
    }

    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        let values = self.names.all.iter().map(|name| name.more.by_key.len()).sum::<usize>();
        values + self.names.by_key.len()
    }

    /// The number of the name, if anybody uses it.
    #[inline]
    pub(super) fn find_name(&self, name: &[u8]) -> Option<u32> {
        match self.slots.0[slot(name)] {
            NOBODY => None,
            SEVERAL => self.names.find(name),
            one => self.names.is(one, name).then_some(one),
        }
    }

    /// The number of the value, if anybody compares with it.
    #[inline]
    pub(super) fn find_value(&self, name: u32, value: &[u8]) -> Option<u32> {
        self.names.all.get(name as usize)?.more.find(value)
    }

    pub(super) fn take_name(&mut self, text: &str) -> u32 {
        let known = self.names.by_key.len();
        let number = self.names.take(text.as_bytes());
        if self.names.by_key.len() > known {
            self.slots.add(slot(text.as_bytes()), number);
        }
        number
    }

    pub(super) fn take_value(&mut self, name: u32, text: &str) -> u32 {
        self.names.all[name as usize].more.take(text.as_bytes())
    }

    pub(super) fn release_value(&mut self, name: u32, number: u32) {
        if let Some(name) = self.names.all.get_mut(name as usize) {
            name.more.release(number);
        }
    }

    pub(super) fn release_name(&mut self, number: u32) {
        if self.names.release(number) {
            self.slots = Slots::default();
            for (_, number) in &self.names.by_key {
                self.slots.add(slot(&self.names.all[*number as usize].text), *number);
            }
        }
    }
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { by_key: HashTable::new(), all: Vec::new(), free: Vec::new() }
    }
}

impl<T: Default> Numbers<T> {
    #[inline]
    fn find(&self, text: &[u8]) -> Option<u32> {
        // No table is no hash: most patterns and conditions of presence compare with nothing.
        if self.by_key.is_empty() {
            return None;
        }
        let key = Key::of(text);
        let is_it = |(known, number): &(Key, u32)| {
            *known == key && (key.is_whole() || *self.all[*number as usize].text == *text)
        };
        self.by_key.find(key.hash(text), is_it).map(|(_, number)| *number)
    }

    /// Has this text this number?
    #[inline]
    fn is(&self, number: u32, text: &[u8]) -> bool {
        self.all.get(number as usize).is_some_and(|known| {
            let key = Key::of(text);
            known.key == key && (key.is_whole() || *known.text == *text)
        })
    }

    fn take(&mut self, text: &[u8]) -> u32 {
        if let Some(number) = self.find(text) {
            self.all[number as usize].uses += 1;
            return number;
        }
        let key = Key::of(text);
        let entry = Entry { key, text: text.into(), uses: 1, more: T::default() };
        let number = match self.free.pop() {
            Some(number) => {
                self.all[number as usize] = entry;
                number
            }
            None => {
                self.all.push(entry);
                self.all.len() as u32 - 1
            }
        };
        let all = &self.all;
        let rehash = |(key, number): &(Key, u32)| key.hash(&all[*number as usize].text);
        self.by_key.insert_unique(key.hash(text), (key, number), rehash);
        number
    }

    /// True: nobody uses it any more.
    fn release(&mut self, number: u32) -> bool {
        let Some(entry) = self.all.get_mut(number as usize) else { return false };
        entry.uses = entry.uses.saturating_sub(1);
        if entry.uses > 0 {
            return false;
        }
        let Entry { key, text, .. } = std::mem::take(entry);
        let hash = key.hash(&text);
        if let Ok(found) = self.by_key.find_entry(hash, |(_, known)| *known == number) {
            found.remove();
            self.free.push(number);
        }
        true
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
            assert_eq!((name, again, values[0] + values[1]), (0, 0, 1));
            let find = |vocabulary: &Vocabulary| {
                let name = vocabulary.find_name(format!("name-{round}").as_bytes())?;
                Some((name, vocabulary.find_value(name, format!("value-{round}-1").as_bytes())))
            };
            assert_eq!(find(&vocabulary), Some((0, Some(values[1]))));
            values.iter().for_each(|value| vocabulary.release_value(name, *value));
            assert_eq!(find(&vocabulary), Some((0, None)));
            vocabulary.release_name(name);
            assert_eq!(find(&vocabulary), Some((0, None)), "it has been taken twice");
            vocabulary.release_name(name);
            assert_eq!(find(&vocabulary), None);
        }
    }

    #[test]
    fn many_names_share_a_slot_and_long_values_share_their_ends() {
        let mut vocabulary = Vocabulary::default();
        let names: Vec<String> = (0..500).map(|n| format!("a{n}z")).collect();
        let numbers: Vec<u32> = names.iter().map(|name| vocabulary.take_name(name)).collect();
        for (name, number) in names.iter().zip(&numbers) {
            assert_eq!(vocabulary.find_name(name.as_bytes()), Some(*number));
        }
        assert_eq!(vocabulary.find_name(b"a500z"), None);
        let values: Vec<String> =
            (0..500).map(|n| format!("the-beginning-{n:03}-the-ending")).collect();
        let numbers: Vec<u32> =
            values.iter().map(|value| vocabulary.take_value(0, value)).collect();
        for (value, number) in values.iter().zip(&numbers) {
            assert_eq!(vocabulary.find_value(0, value.as_bytes()), Some(*number));
        }
        assert_eq!(vocabulary.find_value(0, b"the-beginning-500-the-ending"), None);
        for number in &numbers[1..] {
            vocabulary.release_value(0, *number);
        }
        assert_eq!(vocabulary.find_value(0, values[0].as_bytes()), Some(numbers[0]));
        assert_eq!(vocabulary.find_value(0, values[1].as_bytes()), None);
    }
}
