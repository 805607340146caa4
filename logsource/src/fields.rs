//! What a line says, once parsed: names and typed values.

use std::collections::{BTreeMap, btree_map};
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::parser::typed;

/// A value in a log entry. Numbers keep their exact kind: an integer that 64 bits hold never goes
/// through a float. A larger one is the nearest float if it comes from JSON, and stays text if it is
/// a bare word of a line.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// JSON's `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer that fits in 64 signed bits.
    Int(i64),
    /// An integer above `i64::MAX`; smaller ones are [`Value::Int`].
    UInt(u64),
    /// A number with a fraction or an exponent, or JSON's integers that 64 bits do not hold.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    List(Vec<Self>),
    /// Names and values.
    Map(BTreeMap<String, Self>),
}

impl Value {
    /// Types a bare word of a line: `true`, `500` and `0.25` become what they look like, all else
    /// stays text. `007`, `+5` and `1e5` stay text too, as do integers that 64 bits do not hold.
    ///
    /// A decimal becomes the nearest float, which does not know how it was written: the version
    /// `1.10` is the number `1.1`. What is no number is safe in quotes, or in [`LogEntry::line`].
    ///
    /// [`LogEntry::line`]: crate::LogEntry::line
    #[must_use]
    pub fn infer(word: &str) -> Self {
        match typed(word.as_bytes()) {
            Some(value) => value.to_value(),
            None => Self::Str(word.to_owned()),
        }
    }

    /// The text, if it is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::UInt(value) => serializer.serialize_u64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Str(value) => serializer.serialize_str(value),
            Self::List(values) => serializer.collect_seq(values),
            Self::Map(values) => serializer.collect_map(values),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::UInt(value), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Str(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Str(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        entries(map).map(Value::Map)
    }
}

/// Of a name that repeats, the first counts: so a reader may stop once it has what it wants.
fn entries<'de, A: MapAccess<'de>>(mut map: A) -> Result<BTreeMap<String, Value>, A::Error> {
    let mut values = BTreeMap::new();
    while let Some((name, value)) = map.next_entry()? {
        values.entry(name).or_insert(value);
    }
    Ok(values)
}

/// The fields of one entry, ordered by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields(BTreeMap<String, Value>);

impl Fields {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are at the top level.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value at a dotted path. A name that itself contains dots is found too: `a.b` means the
    /// field `a.b` if there is one, else the field `b` of the map `a`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Value> {
        look_up(&self.0, path)
    }

    /// Sets a field by its plain name, and gives back what was there.
    pub fn insert(&mut self, name: impl Into<String>, value: Value) -> Option<Value> {
        self.0.insert(name.into(), value)
    }

    /// Sets a field that is not there yet: of a name that repeats, the first counts.
    pub(crate) fn insert_first(
        &mut self,
        name: impl Into<String> + AsRef<str>,
        value: impl FnOnce() -> Value,
    ) {
        if !self.0.contains_key(name.as_ref()) {
            self.0.insert(name.into(), value());
        }
    }

    pub(crate) fn into_map(self) -> BTreeMap<String, Value> {
        self.0
    }

    /// Adds one more value under a name that may repeat: the second makes it a list.
    pub(crate) fn push(&mut self, name: &str, value: Value) {
        match self.0.get_mut(name) {
            None => {
                self.0.insert(name.to_owned(), value);
            }
            Some(Value::List(values)) => values.push(value),
            Some(one) => {
                let first = std::mem::replace(one, Value::Null);
                *one = Value::List(vec![first, value]);
            }
        }
    }

    /// The fields of the top level, by name.
    pub fn iter(&self) -> btree_map::Iter<'_, String, Value> {
        self.0.iter()
    }
}

fn look_up<'a>(map: &'a BTreeMap<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = map.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| match map.get(&path[..dot]) {
        Some(Value::Map(inner)) => look_up(inner, &path[dot + 1..]),
        _ => None,
    })
}

impl<'a> IntoIterator for &'a Fields {
    type Item = (&'a String, &'a Value);
    type IntoIter = btree_map::Iter<'a, String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Fields {
    type Item = (String, Value);
    type IntoIter = btree_map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<BTreeMap<String, Value>> for Fields {
    fn from(map: BTreeMap<String, Value>) -> Self {
        Self(map)
    }
}

impl FromIterator<(String, Value)> for Fields {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl Extend<(String, Value)> for Fields {
    fn extend<I: IntoIterator<Item = (String, Value)>>(&mut self, fields: I) {
        self.0.extend(fields);
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor).map(Self)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = BTreeMap<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        entries(map)
    }
}
