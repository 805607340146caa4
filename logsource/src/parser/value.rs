//! Values that are borrowed from the line they stand in.

use std::fmt;

use super::json;
use crate::Value;

/// What an [`Extractor`](crate::Extractor) found under a name: a [`Value`] that owns nothing.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRef<'a> {
    /// JSON's `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer that fits in 64 signed bits.
    Int(i64),
    /// An integer above `i64::MAX`; smaller ones are [`ValueRef::Int`].
    UInt(u64),
    /// A number with a fraction or an exponent, or JSON's integers that 64 bits do not hold.
    Float(f64),
    /// Text, without its quotes and escapes.
    Str(&'a str),
    /// A list or a map, as the JSON text that it is written in.
    Json(&'a str),
}

impl<'a> ValueRef<'a> {
    /// The text, if it is text.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The same value on its own.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::UInt(value) => Value::UInt(value),
            Self::Float(value) => Value::Float(value),
            Self::Str(text) => Value::Str(text.to_owned()),
            // What was found well-formed is read again.
            Self::Json(text) => serde_json::from_str(text)
                .ok()
                .or_else(|| json::repaired(text))
                .unwrap_or_else(|| Value::Str(text.to_owned())),
        }
    }
}

/// The same value, borrowed; none of a list or a map.
pub(super) fn plain(value: &Value) -> Option<ValueRef<'_>> {
    Some(match value {
        Value::Null => ValueRef::Null,
        Value::Bool(value) => ValueRef::Bool(*value),
        Value::Int(value) => ValueRef::Int(*value),
        Value::UInt(value) => ValueRef::UInt(*value),
        Value::Float(value) => ValueRef::Float(*value),
        Value::Str(text) => ValueRef::Str(text),
        Value::List(_) | Value::Map(_) => return None,
    })
}

/// As it stands in the line, without quotes.
impl fmt::Display for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::UInt(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Str(text) | Self::Json(text) => f.write_str(text),
        }
    }
}

/// The number or truth value that a bare word looks like; see [`Value::infer`].
pub(crate) fn typed(word: &[u8]) -> Option<ValueRef<'static>> {
    match word.first() {
        Some(b't') if word == b"true" => return Some(ValueRef::Bool(true)),
        Some(b'f') if word == b"false" => return Some(ValueRef::Bool(false)),
        Some(b'0'..=b'9' | b'-') => {}
        _ => return None,
    }
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let whole = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if whole == 0 || (whole > 1 && digits[0] == b'0') {
        return None;
    }
    match &digits[whole..] {
        [] if word == b"-0" => None,
        [] => integer(digits, digits.len() < word.len()),
        [b'.', fraction @ ..]
            if !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit) =>
        {
            let number: f64 = std::str::from_utf8(word).ok()?.parse().ok()?;
            number.is_finite().then_some(ValueRef::Float(number))
        }
        _ => None,
    }
}

/// The value of decimal digits, if 64 bits hold it.
pub(super) fn integer(digits: &[u8], negative: bool) -> Option<ValueRef<'static>> {
    let mut number = 0_u64;
    for digit in digits {
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    if negative {
        return 0_i64.checked_sub_unsigned(number).map(ValueRef::Int);
    }
    Some(i64::try_from(number).map_or(ValueRef::UInt(number), ValueRef::Int))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_no_float_holds_stays_text() {
        let long = format!("{}.5", "9".repeat(400));
        assert_eq!(typed(long.as_bytes()), None);
        assert_eq!(Value::infer(&long), Value::Str(long));
        assert_eq!(typed(b"1.5"), Some(ValueRef::Float(1.5)));
    }
}
