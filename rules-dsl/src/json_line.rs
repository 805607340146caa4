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
/// broken off, those before the break are there. Of two fields of one name the first counts. A value that is
/// JSON and cannot be had, such as 1e999 or half of a surrogate pair, is missing, and hides no other.
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
        if let Some(mut scan) = Scan::new(self.text) {
            object(&mut scan, fields.root(), Some(fields), &mut found_all, &mut whole);
        }
        // A path that leads somewhere goes before a name with dots in it.
        whole.into_iter().for_each(|(slot, value)| found(slot, value));
    }
}

/// Goes through the fields of an object until all that are wanted were found, which it says, to its end,
/// or to a break. `fields` is of the outermost one, for its names with dots. Nests no deeper than the
/// longest path.
fn object<'r>(
    scan: &mut Scan<'r>,
    names: FieldNames<'_>,
    fields: Option<&FieldSet>,
    found: &mut dyn FnMut(usize, Value<'r>) -> bool,
    whole: &mut Vec<(usize, Value<'r>)>,
) -> Option<bool> {
    let dotted = fields.filter(|fields| fields.has_whole());
    while let Some(name) = scan.name()? {
        let is_dotted = dotted.is_some() && name.raw().contains('.');
        if !(name.has_escapes || is_dotted || scan.nests()) {
            let slot = names.below(name.raw()).and_then(FieldNames::slot);
            if scalar(scan, slot, found)? {
                return Some(true);
            }
            continue;
        }
        // A name that is no text is none that anybody asks for.
        let name = name.text();
        let below = name.as_deref().and_then(|name| names.below(name));
        let dotted = name.as_deref().zip(dotted).map(|(name, fields)| fields.whole(name));
        let mut dotted = dotted.into_iter().flatten().peekable();
        if below.is_none() && dotted.peek().is_none() {
            scan.skip()?;
            continue;
        }
        let value = match below.filter(|below| below.has_more() && scan.enter()) {
            Some(below) if object(scan, below, None, found, whole)? => return Some(true),
            Some(_) => Some(Value::Opaque),
            None => value(scan)?,
        };
        let Some(value) = value else { continue };
        whole.extend(dotted.map(|slot| (slot, value.clone())));
        if let Some(slot) = below.and_then(FieldNames::slot)
            && found(slot, value)
        {
            return Some(true);
        }
    }
    Some(false)
}

/// Hands a scalar on to the field that it is of, or skips it. Says whether there are all now.
#[inline]
fn scalar<'r>(
    scan: &mut Scan<'r>,
    slot: Option<usize>,
    found: &mut dyn FnMut(usize, Value<'r>) -> bool,
) -> Option<bool> {
    let Some(slot) = slot else { return scan.skip().map(|()| false) };
    let at = scan.place();
    match scan.scalar(|value| found(slot, value)) {
        Some(is_all) => Some(is_all),
        None => skip_from(scan, at).map(|()| false),
    }
}

/// A value; none if it is one that is JSON and cannot be had, such as 1e999 and half of a surrogate pair.
fn value<'r>(scan: &mut Scan<'r>) -> Option<Option<Value<'r>>> {
    let at = scan.place();
    let value = if scan.nests() { scan.any(Nested) } else { scan.scalar(|value| value) };
    match value {
        Some(value) => Some(Some(value)),
        None => skip_from(scan, at).map(|()| None),
    }
}

/// Whoever chooses one field must not hide others by it.
#[cold]
fn skip_from(scan: &mut Scan<'_>, at: usize) -> Option<()> {
    scan.back_to(at);
    scan.skip()
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

/// A list, of which one level is looked at, or an object of which nothing more is wanted.
struct Nested;

impl<'r> DeserializeSeed<'r> for Nested {
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

impl<'r> Visitor<'r> for Nested {
    scalars!();

    fn visit_map<A: MapAccess<'r>>(self, mut map: A) -> Result<Value<'r>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
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
