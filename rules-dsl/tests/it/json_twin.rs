//! A line of JSON read by `serde_json` alone: what `JsonLine` must say of it.

use std::fmt;

use birl_rules_dsl::Value;
use serde::de::{Deserialize, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of the outermost object, as far as the text is JSON, each with its value; none if it is JSON
/// and cannot be had, such as 1e999.
pub(crate) fn fields(text: &str) -> Vec<(String, Option<Value<'static>>)> {
    let mut fields = Vec::new();
    serde_json::Deserializer::from_str(text).deserialize_map(Object(&mut fields)).ok();
    fields
}

/// The first value of a name that can be had.
pub(crate) fn first(
    fields: &[(String, Option<Value<'static>>)],
    name: &str,
) -> Option<Value<'static>> {
    fields.iter().find_map(|(known, value)| value.clone().filter(|_| known == name))
}

struct Object<'o>(&'o mut Vec<(String, Option<Value<'static>>)>);

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let text: &RawValue = map.next_value()?;
            let value = serde_json::from_str(text.get()).map(|Shallow(value)| value);
            self.0.push((name, value.ok()));
        }
        Ok(())
    }
}

/// A value of which one level is looked at.
struct Shallow(Value<'static>);

impl<'de> Deserialize<'de> for Shallow {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(Level { is_item: false }).map(Self)
    }
}

/// An item of a list.
struct Item(Value<'static>);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(Level { is_item: true }).map(Self)
    }
}

struct Level {
    is_item: bool,
}

impl<'de> Visitor<'de> for Level {
    type Value = Value<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value<'static>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'static>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'static>, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'static>, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'static>, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'static>, E> {
        Ok(Value::from(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'static>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Opaque)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'static>, A::Error> {
        let mut list = Vec::new();
        if self.is_item {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Opaque);
        }
        while let Some(Item(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }
}
