//! The structured data of RFC 5424: `[id name="value" …][id …]`.

use super::raw::{Escapes, Raw, Sink, until_quote};
use crate::{Fields, Value};

/// The structured data at the beginning of a text, and what follows it; none if it is malformed.
pub(super) fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = text;
    while rest.first() == Some(&b'[') {
        let (_, mut params) = id(rest)?;
        loop {
            match params.first()? {
                b']' => break,
                b' ' => params = next_param(params)?.1,
                _ => return None,
            }
        }
        rest = &params[1..];
    }
    let taken = text.len() - rest.len();
    (taken > 0).then(|| text.split_at(taken))
}

/// A name and its value.
type Param<'a> = (&'a [u8], Raw<'a>);

/// One element of what [`split`] found to be well-formed.
pub(super) struct Element<'a> {
    pub(super) id: &'a [u8],
    params: &'a [u8],
}

pub(super) fn elements(text: &[u8]) -> impl Iterator<Item = Element<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (id, params) = id(rest)?;
        rest = params;
        while let Some((_, after)) = next_param(rest) {
            rest = after;
        }
        rest = rest.strip_prefix(b"]")?;
        Some(Element { id, params })
    })
}

/// All of it as maps in a map.
pub(super) fn to_value(text: &[u8]) -> Value {
    let mut all = Fields::new();
    for element in elements(text) {
        all.insert_first(String::from_utf8_lossy(element.id), || element.to_value());
    }
    Value::Map(all.into_map())
}

impl<'a> Element<'a> {
    pub(super) fn to_value(&self) -> Value {
        let mut params = Fields::new();
        for (name, value) in self.params() {
            params.put(name, value);
        }
        Value::Map(params.into_map())
    }

    /// Names and values.
    pub(super) fn params(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        let mut rest = self.params;
        std::iter::from_fn(move || {
            let (param, after) = next_param(rest)?;
            rest = after;
            Some(param)
        })
    }
}

/// The name of the element that begins here, and what follows the name.
fn id(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.strip_prefix(b"[")?;
    let end = text.iter().position(|byte| matches!(byte, b' ' | b']' | b'=' | b'"'))?;
    (end > 0).then(|| text.split_at(end))
}

/// A parameter after its blank, and what follows it.
fn next_param(text: &[u8]) -> Option<(Param<'_>, &[u8])> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|byte| matches!(byte, b' ' | b']' | b'=' | b'"'))?;
    let (name, rest) = text.split_at(end);
    let (value, escaped, rest) = until_quote(rest.strip_prefix(b"=\"")?, b'"')?;
    let value = Raw::quoted(value, escaped, Escapes::Structured);
    (!name.is_empty()).then_some(((name, value), rest))
}
