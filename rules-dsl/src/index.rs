//! Which rules can hold for a record, without asking all of them.
//!
//! Of every rule the one term is looked up that is likely to hold least often ([`access`]); the terms of
//! all rules about one field stand together: texts in a hash table, numbers in a tree of bands, words in
//! one automaton. So a record costs what its own fields cost and what is found, however many rules
//! there are. The rules that are found are then judged, except where the look-up has judged them.

mod access;
mod bands;
mod found;
mod kinds;
mod literals;
mod nets;
mod words;

use std::collections::HashSet;

use rustc_hash::FxHashMap;

use self::access::{Access, Atom, Item, Test};
pub(crate) use self::access::{Need, collect};
use self::bands::{Band, Bands};
pub(crate) use self::found::Found;
pub(crate) use self::kinds::{KINDS, Kinds};
use self::nets::Nets;
use self::words::{Ends, Words, push};
use crate::fold::fold_into;
use crate::value::Value;

/// So few rules are judged faster than they are found.
const FEW: usize = 8;

/// By which fields a rule is looked up, and what each must hold for it to have an answer.
pub(crate) type Asked = Box<[(u32, Kinds)]>;

/// The rules of a set by what they look for.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// By slot.
    fields: Vec<Field>,
    /// The slots with something in them, ascending.
    slots: Vec<u32>,
    /// Rules that no field leads to, ascending.
    always: Vec<u32>,
    /// Rules that hold wherever they are found.
    exact: Vec<bool>,
    /// Of each rule; of one that is always judged, nothing.
    asked: Vec<Asked>,
}

/// The rules that one field leads to.
#[derive(Debug, Default)]
struct Field {
    itself: Scalars,
    /// Of a list.
    items: Scalars,
    begins: Ends,
    ends: Ends,
    words: Option<Words>,
    nets: Nets,
    /// What is looked for whatever the case of letters.
    folded: Option<Box<Folded>>,
    present: Vec<u32>,
}

/// The rules that a folded text leads to.
#[derive(Debug, Default)]
struct Folded {
    texts: FxHashMap<Box<str>, Vec<u32>>,
    /// Of a list.
    items: FxHashMap<Box<str>, Vec<u32>>,
    begins: Ends,
    ends: Ends,
    words: Option<Words>,
}

#[derive(Debug, Default)]
struct Scalars {
    texts: FxHashMap<Box<str>, Vec<u32>>,
    bands: Bands,
    bools: [Vec<u32>; 2],
    nulls: Vec<u32>,
}

impl Index {
    /// Of all rules, in their order: what the terms of each need.
    pub(crate) fn new(rules: &[Vec<Need>], slots: usize) -> Self {
        let mut index = Self { exact: vec![false; rules.len()], ..Self::default() };
        if rules.len() <= FEW {
            index.always = (0..rules.len() as u32).collect();
            return index;
        }
        let census = Census::new(rules, slots);
        let mut building: Vec<Building> = Vec::new();
        building.resize_with(slots, Building::default);
        for (rule, needs) in rules.iter().enumerate() {
            let best = needs.iter().min_by(|a, b| census.share(a).total_cmp(&census.share(b)));
            match best.map(|need| &need.access) {
                Some(Access::Any(atoms)) => {
                    index.exact[rule] = needs.len() == 1 && needs.iter().all(|need| need.exact);
                    index.asked.push(asked(atoms));
                    for atom in atoms {
                        if let Some(field) = building.get_mut(atom.slot as usize) {
                            field.add(atom, rule as u32);
                        }
                    }
                }
                Some(Access::Always) | None => {
                    index.asked.push(Box::default());
                    index.always.push(rule as u32);
                }
            }
        }
        index.fields = building.into_iter().map(|field| field.finish(&mut index.exact)).collect();
        let used = index.fields.iter().enumerate().filter(|(_, field)| !field.is_empty());
        index.slots = used.map(|(slot, _)| slot as u32).collect();
        index
    }

    /// The slots that lead to rules, ascending.
    pub(crate) fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// Adds the rules that the value of a field leads to, maybe more than once.
    pub(crate) fn find(&self, slot: u32, value: &Value<'_>, out: &mut Found) {
        let Some(field) = self.fields.get(slot as usize) else { return };
        out.add(&field.present);
        field.itself.find(value, out);
        match value {
            Value::Str(text) => {
                field.begins.begin(text, out);
                field.ends.end(text, out);
                if let Some(words) = &field.words {
                    words.find(text, out);
                }
                field.nets.find(text, out);
                if let Some(folded) = &field.folded {
                    folded.find(text, out);
                }
            }
            Value::List(items) => {
                if !field.items.is_empty() {
                    items.iter().for_each(|item| field.items.find(item, out));
                }
                if let Some(folded) = &field.folded {
                    folded.find_items(items, out);
                }
            }
            _ => {}
        }
    }

    /// The rules to judge for every record, ascending.
    pub(crate) fn always(&self) -> &[u32] {
        &self.always
    }

    /// By which fields a rule is looked up, and what they must hold for it to have an answer; of a
    /// rule that is always judged, none.
    pub(crate) fn asked(&self, rule: u32) -> &[(u32, Kinds)] {
        self.asked.get(rule as usize).map_or(&[], |asked| asked)
    }

    /// Whether a rule that was found holds.
    pub(crate) fn is_exact(&self, rule: u32) -> bool {
        self.exact.get(rule as usize).copied().unwrap_or(false)
    }
}

/// Of several fields, or several ways to ask, it takes judging to tell whether all were silent.
fn asked(atoms: &[Atom]) -> Asked {
    let mut asked: Vec<(u32, Kinds)> = atoms.iter().map(|atom| (atom.slot, atom.answers)).collect();
    asked.dedup();
    if asked.len() > 1 { Asked::default() } else { asked.into() }
}

impl Field {
    fn is_empty(&self) -> bool {
        let Self { itself, items, begins, ends, words, nets, folded, present } = self;
        let none = words.is_none() && begins.is_empty() && ends.is_empty();
        let none = none && nets.is_empty() && folded.is_none();
        itself.is_empty() && items.is_empty() && none && present.is_empty()
    }
}

impl Folded {
    fn find(&self, text: &str, out: &mut Found) {
        let mut buffer = out.take_buffer();
        fold_into(text, &mut buffer);
        if let Some(rules) = self.texts.get(buffer.as_str()) {
            out.add(rules);
        }
        self.begins.begin(&buffer, out);
        self.ends.end(&buffer, out);
        if let Some(words) = &self.words {
            words.find(&buffer, out);
        }
        out.put_back(buffer);
    }

    fn find_items(&self, items: &[Value<'_>], out: &mut Found) {
        if self.items.is_empty() {
            return;
        }
        let mut buffer = out.take_buffer();
        for item in items {
            let Value::Str(text) = item else { continue };
            fold_into(text, &mut buffer);
            if let Some(rules) = self.items.get(buffer.as_str()) {
                out.add(rules);
            }
        }
        out.put_back(buffer);
    }
}

impl Scalars {
    fn is_empty(&self) -> bool {
        let Self { texts, bands, bools, nulls } = self;
        let none = bools.iter().all(Vec::is_empty) && nulls.is_empty();
        texts.is_empty() && bands.is_empty() && none
    }

    fn find(&self, value: &Value<'_>, out: &mut Found) {
        match value {
            Value::Str(text) => {
                if !self.texts.is_empty()
                    && let Some(rules) = self.texts.get(text.as_ref())
                {
                    out.add(rules);
                }
            }
            Value::Bool(value) => out.add(&self.bools[usize::from(*value)]),
            Value::Null => out.add(&self.nulls),
            Value::List(_) | Value::Opaque => {}
            number => {
                if let Some(number) = number.number() {
                    self.bands.find(number, out);
                }
            }
        }
    }
}

/// A field while its rules come together.
#[derive(Debug, Default)]
struct Building {
    field: Field,
    bands: Vec<(Band, u32)>,
    item_bands: Vec<(Band, u32)>,
    words: FxHashMap<Box<str>, Vec<u32>>,
    folded_words: FxHashMap<Box<str>, Vec<u32>>,
}

impl Building {
    fn add(&mut self, atom: &Atom, rule: u32) {
        if atom.folds {
            return self.add_folded(&atom.test, rule);
        }
        let field = &mut self.field;
        match &atom.test {
            Test::Net(net) => field.nets.add(net, rule),
            Test::Band(band) => self.bands.push((*band, rule)),
            Test::Text(text) => push(&mut field.itself.texts, text, rule),
            Test::Bool(value) => field.itself.bools[usize::from(*value)].push(rule),
            Test::Null => field.itself.nulls.push(rule),
            Test::Item(Item::Band(band)) => self.item_bands.push((*band, rule)),
            Test::Item(Item::Text(text)) => push(&mut field.items.texts, text, rule),
            Test::Item(Item::Bool(value)) => field.items.bools[usize::from(*value)].push(rule),
            Test::Item(Item::Null) => field.items.nulls.push(rule),
            Test::Begins(word) => field.begins.add(word, rule),
            Test::Ends(word) => field.ends.add(word, rule),
            Test::Contains(word) => push(&mut self.words, word, rule),
            Test::Present => field.present.push(rule),
        }
    }

    fn add_folded(&mut self, test: &Test, rule: u32) {
        let folded = self.field.folded.get_or_insert_default();
        match test {
            Test::Text(text) => push(&mut folded.texts, text, rule),
            Test::Item(Item::Text(text)) => push(&mut folded.items, text, rule),
            Test::Begins(word) => folded.begins.add(word, rule),
            Test::Ends(word) => folded.ends.add(word, rule),
            Test::Contains(word) => push(&mut self.folded_words, word, rule),
            // Nothing else has a case.
            _ => self.field.present.push(rule),
        }
    }

    /// Rules for which there is no look-up after all are judged wherever the field is there.
    fn finish(self, exact: &mut [bool]) -> Field {
        let Self { mut field, bands, item_bands, words, folded_words } = self;
        field.itself.bands = Bands::new(&bands);
        field.items.bands = Bands::new(&item_bands);
        let mut found = |words| match Words::new(words)? {
            Ok(words) => Some(words),
            Err(rules) => {
                rules.iter().for_each(|rule| exact[*rule as usize] = false);
                field.present.extend(rules);
                None
            }
        };
        field.words = found(words);
        if let Some(folded) = &mut field.folded {
            folded.words = found(folded_words);
        }
        field
    }
}

/// What is asked of each field by all rules together: a field that is asked for a thousand texts is
/// seldom any one of them.
struct Census {
    texts: Vec<usize>,
    bands: Vec<usize>,
}

impl Census {
    fn new(rules: &[Vec<Need>], slots: usize) -> Self {
        let mut texts: Vec<HashSet<&str>> = vec![HashSet::new(); slots];
        let mut bands = vec![0; slots];
        let accesses = rules.iter().flatten().map(|need| &need.access);
        for atom in accesses.filter_map(Access::atoms).flatten() {
            let slot = atom.slot as usize;
            match &atom.test {
                Test::Text(text) | Test::Item(Item::Text(text)) => drop(texts[slot].insert(text)),
                Test::Band(band) | Test::Item(Item::Band(band)) if band.is_bounded() => {
                    bands[slot] += 1;
                }
                _ => {}
            }
        }
        Self { texts: texts.iter().map(HashSet::len).collect(), bands }
    }

    /// In which part of all records it is likely to be found, by a rule of thumb.
    fn share(&self, need: &Need) -> f64 {
        match &need.access {
            Access::Always => f64::INFINITY,
            Access::Any(atoms) => atoms.iter().map(|atom| self.of(atom)).sum(),
        }
    }

    fn of(&self, atom: &Atom) -> f64 {
        let slot = atom.slot as usize;
        let one_of = |known: usize| 1.0 / (1.0 + known as f64);
        match &atom.test {
            Test::Text(_) | Test::Item(Item::Text(_)) => one_of(self.texts[slot]),
            Test::Band(band) | Test::Item(Item::Band(band)) if band.is_bounded() => {
                one_of(self.bands[slot])
            }
            Test::Begins(_) | Test::Ends(_) | Test::Net(_) => 0.01,
            Test::Contains(_) => 0.02,
            Test::Null | Test::Item(Item::Null) => 0.1,
            Test::Bool(_) | Test::Item(Item::Bool(_)) => 0.5,
            Test::Band(_) | Test::Item(Item::Band(_)) => 0.5,
            Test::Present => 0.9,
        }
    }
}
