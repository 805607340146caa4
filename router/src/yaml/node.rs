//! A file as data with positions, and how serde reads it.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::SPANNED;
use crate::error::Position;

/// How deep maps and lists may nest: routes nest up to 64 levels, each of them a map in a list.
pub(crate) const MAX_DEPTH: usize = 160;

/// A value of the file and where it begins.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) at: Position,
}

#[derive(Clone)]
pub(crate) enum Kind {
    /// Every scalar is kept as it is written: what it stands for depends on what reads it, as in Alertmanager.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// What is wrong with a file, and where. Never holds a value of the file, which may be secret.
#[derive(Debug)]
pub(crate) struct Fault(Box<Parts>);

#[derive(Debug)]
struct Parts {
    message: String,
    /// A misspelt key, and what could stand there.
    unknown: Option<(String, &'static [&'static str])>,
    at: Option<Position>,
    /// Where the steps begin; empty for the root.
    base: String,
    /// The steps from there to the place, innermost first.
    path: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

impl Node {
    pub(crate) fn scalar(text: impl Into<String>, plain: bool, at: Position) -> Self {
        Self { kind: Kind::Scalar { text: text.into(), plain }, at }
    }

    /// A bare nothing: `key:`, `key: ~`, `key: null`. Such a key counts as left out, as in Alertmanager.
    pub(crate) fn is_null(&self) -> bool {
        match &self.kind {
            Kind::Scalar { text, plain: true } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// The items of a list; none when this is nothing or something else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The entries of a map; none when this is nothing or something else.
    pub(crate) fn entries(&self) -> &[(Self, Self)] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn entries_mut(&mut self) -> Option<&mut Vec<(Self, Self)>> {
        match &mut self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of `key`, unless it is nothing.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let (_, value) = self.entries().iter().find(|(name, _)| name.text() == Some(key))?;
        (!value.is_null()).then_some(value)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        let entries = self.entries_mut()?;
        let (_, value) = entries.iter_mut().find(|(name, _)| name.text() == Some(key))?;
        (!value.is_null()).then_some(value)
    }

    /// What stands here, for a message.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Map(_) => "a map",
            Kind::List(_) => "a list",
            Kind::Scalar { .. } if self.is_null() => "nothing",
            Kind::Scalar { .. } => "a text",
        }
    }

    fn expected(&self, what: &str) -> Fault {
        Fault::new(format!("expected {what}, and there is {}", self.describe())).at(self.at)
    }

    fn number<T: std::str::FromStr>(&self) -> Result<T, Fault> {
        let number = self.text().and_then(|text| text.replace('_', "").parse().ok());
        number.ok_or_else(|| Fault::new("expected a whole number within its range").at(self.at))
    }

    /// A word without quotes, when nobody says what it should be.
    fn visit_plain<'de, V: Visitor<'de>>(
        &'de self,
        text: &str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let visited = if let "true" | "false" = text {
            visitor.visit_bool(text == "true")
        } else if let Ok(number) = text.parse() {
            visitor.visit_u64(number)
        } else if let Ok(number) = text.parse() {
            visitor.visit_i64(number)
        } else if let (Ok(number), true) =
            (text.parse(), text.contains(|c: char| c.is_ascii_digit()))
        {
            visitor.visit_f64(number)
        } else {
            return de::Deserializer::deserialize_str(self, visitor);
        };
        visited.map_err(|fault: Fault| fault.at(self.at))
    }

    fn visit_entries<'de, V: Visitor<'de>>(
        &'de self,
        entries: &'de [(Self, Self)],
        skip_nothing: bool,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let entries = Entries { rest: entries.iter(), skip_nothing, value: None };
        visitor.visit_map(entries).map_err(|fault| fault.at(self.at))
    }

    /// YAML 1.1's words, which Alertmanager reads.
    pub(crate) fn boolean(&self) -> Result<bool, Fault> {
        match self.text().map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "yes" | "on" | "y") => Ok(true),
            Some("false" | "no" | "off" | "n") => Ok(false),
            _ => Err(Fault::new("expected true or false").at(self.at)),
        }
    }
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        let (base, path) = (String::new(), Vec::new());
        Self(Box::new(Parts { message: message.into(), unknown: None, at: None, base, path }))
    }

    /// The innermost position counts.
    pub(crate) fn at(mut self, at: Position) -> Self {
        self.0.at.get_or_insert(at);
        self
    }

    /// Says where it is, once and for all.
    pub(crate) fn in_place(mut self, place: &str) -> Self {
        place.clone_into(&mut self.0.base);
        self
    }

    fn under(mut self, key: &str) -> Self {
        self.0.path.push(Step::Key(key.to_owned()));
        self
    }

    fn item(mut self, index: usize) -> Self {
        self.0.path.push(Step::Index(index));
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// A misspelt key, and what could stand there.
    pub(crate) fn unknown(&self) -> Option<(&str, &'static [&'static str])> {
        self.0.unknown.as_ref().map(|(key, expected)| (key.as_str(), *expected))
    }

    pub(crate) fn position(&self) -> Option<Position> {
        self.0.at
    }

    /// `route.routes[2].matchers[0]`; empty for the file as a whole.
    pub(crate) fn place(&self) -> String {
        let mut place = self.0.base.clone();
        for step in self.0.path.iter().rev() {
            match step {
                Step::Index(index) => place.push_str(&format!("[{index}]")),
                Step::Key(key) if place.is_empty() => place.push_str(key),
                Step::Key(key) => place.extend([".", key]),
            }
        }
        place
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let mut fault = Self::new(format!("unknown key `{field}`"));
        fault.0.unknown = Some((field.to_owned(), expected));
        fault
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("the key `{field}` is missing: add `{field}:` here"))
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}"))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}"))
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.$visit(self.number()?).map_err(|fault: Fault| fault.at(self.at))
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &'de Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.kind {
            Kind::Map(_) => self.deserialize_map(visitor),
            Kind::List(_) => self.deserialize_seq(visitor),
            Kind::Scalar { .. } if self.is_null() => visitor.visit_unit(),
            Kind::Scalar { text, plain: true } => self.visit_plain(text, visitor),
            Kind::Scalar { .. } => self.deserialize_str(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_bool(self.boolean()?)
    }

    numbers! {
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32 deserialize_i64 visit_i64
        deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32 deserialize_u64 visit_u64
        deserialize_f32 visit_f32 deserialize_f64 visit_f64
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.kind {
            Kind::Scalar { .. } => visitor
                .visit_borrowed_str(self.text().unwrap_or_default())
                .map_err(|fault: Fault| fault.at(self.at)),
            _ => Err(self.expected("a text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.kind {
            Kind::List(items) => visitor
                .visit_seq(Items { rest: items.iter(), index: 0 })
                .map_err(|fault| fault.at(self.at)),
            _ if self.is_null() => visitor.visit_seq(Items { rest: [].iter(), index: 0 }),
            _ => Err(self.expected("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.kind {
            Kind::Map(entries) => self.visit_entries(entries, false, visitor),
            _ if self.is_null() => self.visit_entries(&[], false, visitor),
            _ => Err(self.expected("a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == SPANNED {
            return visitor.visit_map(Spanning { node: self, next: 0 });
        }
        match &self.kind {
            Kind::Map(entries) => self.visit_entries(entries, true, visitor),
            _ if self.is_null() => self.visit_entries(&[], true, visitor),
            _ => Err(self.expected("a map")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let text = self.text().ok_or_else(|| self.expected("a word"))?;
        let word: StrDeserializer<'de, Fault> = text.into_deserializer();
        visitor.visit_enum(word).map_err(|fault| fault.at(self.at))
    }

    serde::forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct tuple tuple_struct ignored_any
    }
}

struct Items<'de> {
    rest: std::slice::Iter<'de, Node>,
    index: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some(node) = self.rest.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(node).map(Some).map_err(|fault| fault.at(node.at).item(index))
    }
}

struct Entries<'de> {
    rest: std::slice::Iter<'de, (Node, Node)>,
    /// A setting that is nothing counts as left out.
    skip_nothing: bool,
    value: Option<(&'de Node, &'de Node)>,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let skip = self.skip_nothing;
        let Some((key, value)) = self.rest.find(|(_, value)| !skip || !value.is_null()) else {
            return Ok(None);
        };
        let read = seed.deserialize(key).map_err(|fault| fault.at(key.at))?;
        self.value = Some((key, value));
        Ok(Some(read))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((key, value)) = self.value.take() else {
            return Err(Fault::new("a value without a key"));
        };
        seed.deserialize(value)
            .map_err(|fault| fault.at(value.at).under(key.text().unwrap_or_default()))
    }
}

/// A value with its position, as if it were a map of the three.
struct Spanning<'de> {
    node: &'de Node,
    next: usize,
}

impl<'de> de::MapAccess<'de> for Spanning<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some(key) = ["line", "column", "value"].get(self.next) else { return Ok(None) };
        self.next += 1;
        seed.deserialize(de::value::BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        match self.next {
            1 => seed.deserialize(self.node.at.line.into_deserializer()),
            2 => seed.deserialize(self.node.at.column.into_deserializer()),
            _ => seed.deserialize(self.node),
        }
    }
}
