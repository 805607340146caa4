//! A line of JSON as a record, read once and only as far as rules ask.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::json_scan::Scan;
use crate::record::{FieldNames, FieldPath, FieldSet, Record};
use crate::value::Value;

/// A text that holds one JSON object, as a record.
///
/// Nothing is parsed ahead: one pass over the text hands out the fields that the rules mention, borrowed
/// where they have no escapes, and skips all others. A text that is no object has no fields; of one that is
/// broken off, those before the break are there. Of two fields of one name the first counts.
///
/// Reading allocates where a name, or a text that is wanted, has escapes; for a list that is wanted; and for
/// what is skipped and nests twice.
///
/// ```
/// use std::sync::Arc;
/// use std::time::UNIX_EPOCH;
///
/// use birl_rules_dsl::{Event, JsonLine, RuleSet, Scratch};
///
/// let text = "{when: cpu_usage > 90, where: cluster == 'prod', then: send_pagerduty('HIGH_CPU')}";
/// let rules = Arc::new(RuleSet::from_yaml("rules.yaml", text)?);
/// let line = JsonLine::new(r#"{"cluster": "prod", "cpu_usage": 97.5, "message": "so busy"}"#);
/// let hits = rules.matches([Event::new(&line, UNIX_EPOCH)], &mut Scratch::new());
/// assert_eq!(hits.len(), 1);
/// # Ok::<(), birl_rules_dsl::Diagnostics>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct JsonLine<'t> {
    text: &'t str,
}

impl<'t> JsonLine<'t> {
    /// A record over a text. What is wrong with the text shows as fields that are missing.
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        Self { text }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &'t str {
        self.text
    }

    fn read<'r>(&'r self, fields: &FieldSet, found: &mut dyn FnMut(usize, Value<'r>)) {
        let (all, mut seen) = (fields.paths().len(), 0_u64);
        let mut found_all = |slot: usize, value: Value<'r>| {
            seen |= 1_u64.checked_shl(slot as u32).unwrap_or(0);
            found(slot, value);
            seen.count_ones() as usize == all
        };
        let mut whole = Vec::new();
        // It ends early when all is found; what is broken has the fields before the break.
        Self::fields(self.text, fields, &mut found_all, &mut whole);
        // A path that leads somewhere goes before a name with dots in it.
        whole.into_iter().for_each(|(slot, value)| found(slot, value));
    }

    /// Goes through the fields until all that are wanted were found, to the end, or to a break.
    fn fields<'r>(
        text: &'r str,
        fields: &FieldSet,
        found: &mut dyn FnMut(usize, Value<'r>) -> bool,
        whole: &mut Vec<(usize, Value<'r>)>,
    ) -> Option<()> {
        let mut scan = Scan::object(text)?;
        let root = fields.root();
        loop {
            let name = scan.name()?;
            let is_dotted = fields.has_whole() && name.raw().contains('.');
            if !(name.has_escapes || is_dotted || scan.nests()) {
                match root.below(name.raw()).and_then(FieldNames::slot) {
                    Some(slot) if scan.scalar(|value| found(slot, value))? => return Some(()),
                    Some(_) => {}
                    None => scan.skip()?,
                }
                continue;
            }
            let name = name.text()?;
            let names = root.below(&name);
            if names.is_none() && fields.whole(&name).next().is_none() {
                scan.skip()?;
                continue;
            }
            let value = match scan.nests() {
                false => scan.scalar(|value| value)?,
                true => scan.any(Inner { names, found, whole })?,
            };
            whole.extend(fields.whole(&name).map(|slot| (slot, value.clone())));
            if let Some(slot) = names.and_then(FieldNames::slot)
                && found(slot, value)
            {
                return Some(());
            }
        }
    }
}

impl Record for JsonLine<'_> {
    /// Reads the text up to its end for one field; [`visit`](Record::visit) does that for all of them.
    fn get(&self, path: &FieldPath) -> Option<Value<'_>> {
        let (fields, mut value) = (FieldSet::new(vec![path.clone()]), None);
        self.read(&fields, &mut |_, found| {
            value.get_or_insert(found);
        });
        value
    }

    fn visit<'r>(&'r self, fields: &FieldSet, found: &mut dyn FnMut(usize, Value<'r>)) {
        self.read(fields, found);
    }

    fn is_read_through(&self) -> bool {
        true
    }

    fn line(&self) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(self.text))
    }
}

/// An object in a field, of which some fields are wanted. Nests no deeper than the longest path.
struct Object<'o, 'f, 'r> {
    names: FieldNames<'f>,
    /// Takes a value; says whether there are all now.
    found: &'o mut dyn FnMut(usize, Value<'r>) -> bool,
    whole: &'o mut Vec<(usize, Value<'r>)>,
}

impl<'r> Visitor<'r> for Object<'_, '_, 'r> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'r>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Text)? {
            let Some(names) = self.names.below(&name) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let inner = Inner { names: Some(names), found: self.found, whole: self.whole };
            let value = map.next_value_seed(inner)?;
            if let Some(slot) = names.slot()
                && (self.found)(slot, value)
            {
                // The reader misses the end of the object, and stops: an error that costs least.
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The value of a field: it is wanted itself, or some of what is in it.
struct Inner<'o, 'f, 'r> {
    names: Option<FieldNames<'f>>,
    /// Takes a value; says whether there are all now.
    found: &'o mut dyn FnMut(usize, Value<'r>) -> bool,
    whole: &'o mut Vec<(usize, Value<'r>)>,
}

impl<'r> DeserializeSeed<'r> for Inner<'_, '_, 'r> {
    type Value = Value<'r>;

    fn deserialize<D: Deserializer<'r>>(self, reader: D) -> Result<Value<'r>, D::Error> {
        reader.deserialize_any(self)
    }
}

/// The scalars, which both kinds of values read alike.
macro_rules! scalars {
    () => {
        type Value = Value<'r>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a value")
        }

        fn visit_unit<E>(self) -> Result<Value<'r>, E> {
            Ok(Value::Null)
        }

        fn visit_bool<E>(self, value: bool) -> Result<Value<'r>, E> {
            Ok(Value::Bool(value))
        }

        fn visit_i64<E>(self, value: i64) -> Result<Value<'r>, E> {
            Ok(Value::Int(value))
        }

        fn visit_u64<E>(self, value: u64) -> Result<Value<'r>, E> {
            Ok(Value::from(value))
        }

        fn visit_f64<E>(self, value: f64) -> Result<Value<'r>, E> {
            Ok(Value::Float(value))
        }

        fn visit_borrowed_str<E>(self, text: &'r str) -> Result<Value<'r>, E> {
            Ok(Value::text(text))
        }

        fn visit_str<E>(self, text: &str) -> Result<Value<'r>, E> {
            Ok(Value::from(text.to_owned()))
        }
    };
}

impl<'r> Visitor<'r> for Inner<'_, '_, 'r> {
    scalars!();

    fn visit_map<A: MapAccess<'r>>(self, mut map: A) -> Result<Value<'r>, A::Error> {
        match self.names.filter(|names| names.has_more()) {
            Some(names) => {
                let object = Object { names, found: self.found, whole: self.whole };
                object.visit_map(map)?;
            }
            None => while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {},
        }
        Ok(Value::Opaque)
    }

    fn visit_seq<A: SeqAccess<'r>>(self, mut items: A) -> Result<Value<'r>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Item)? {
            list.push(item);
        }
        Ok(Value::List(list))
    }
}

/// An item of a list: what is in it is not looked at.
pub(crate) struct Item;

impl<'r> DeserializeSeed<'r> for Item {
    type Value = Value<'r>;

    fn deserialize<D: Deserializer<'r>>(self, reader: D) -> Result<Value<'r>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'r> Visitor<'r> for Item {
    scalars!();

    fn visit_map<A: MapAccess<'r>>(self, mut map: A) -> Result<Value<'r>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Opaque)
    }

    fn visit_seq<A: SeqAccess<'r>>(self, mut items: A) -> Result<Value<'r>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Opaque)
    }
}

/// The name of a field.
struct Text;

impl<'r> DeserializeSeed<'r> for Text {
    type Value = Cow<'r, str>;

    fn deserialize<D: Deserializer<'r>>(self, reader: D) -> Result<Cow<'r, str>, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'r> Visitor<'r> for Text {
    type Value = Cow<'r, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, text: &'r str) -> Result<Cow<'r, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'r, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
