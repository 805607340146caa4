//! What a field may hold, and how two values compare.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use serde::ser::{Serialize, SerializeSeq, Serializer};

use crate::truth::Truth;

/// The value of one field of one record, borrowed from the record where possible.
///
/// Numbers keep the type in which they were written; comparing an integer with a float is exact (no
/// rounding on either side). There is no coercion: the string `"5"` never equals the number 5.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Present, and null. Not the same as missing, and not the same as `""`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits in 64 bits with a sign.
    Int(i64),
    /// A whole number; compares like any other, and is needed only above [`i64::MAX`].
    UInt(u64),
    /// A floating-point number. NaN makes every comparison unknown.
    Float(f64),
    /// Text.
    Str(Cow<'a, str>),
    /// A list: `in` and `contains` look into it, one level deep.
    List(Vec<Self>),
    /// A map, or a container inside a list: `exists` sees it, and it equals nothing.
    Opaque,
}

impl<'a> Value<'a> {
    /// A string value that borrows `text`.
    #[must_use]
    pub fn text(text: &'a str) -> Self {
        Self::Str(Cow::Borrowed(text))
    }

    /// The same value, owning its text.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::UInt(value) => Value::UInt(value),
            Self::Float(value) => Value::Float(value),
            Self::Str(text) => Value::Str(Cow::Owned(text.into_owned())),
            // One level: what lies deeper is never looked at, so hostile nesting costs nothing.
            Self::List(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| match item {
                        Self::List(_) => Value::Opaque,
                        scalar => scalar.into_owned(),
                    })
                    .collect(),
            ),
            Self::Opaque => Value::Opaque,
        }
    }

    /// The number, rounded if a float cannot hold it; `None` for anything else.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        self.number().map(Number::as_f64)
    }

    /// What the value is called in messages: `"a string"`, `"an integer"` …
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) | Self::UInt(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Str(_) => "a string",
            Self::List(_) => "a list",
            Self::Opaque => "a map",
        }
    }

    /// `==`: values of different types are different; NaN gives no answer.
    pub(crate) fn equals(&self, other: &Value<'_>) -> Truth {
        match (self, other) {
            (Self::Null, Value::Null) => Truth::True,
            (Self::Bool(a), Value::Bool(b)) => Truth::from(a == b),
            (Self::Str(a), Value::Str(b)) => Truth::from(a == b),
            (Self::List(a), Value::List(b)) => {
                if a.len() != b.len() {
                    return Truth::False;
                }
                // One level, like everywhere: inner lists are opaque.
                Truth::all(a.iter().zip(b).map(|(a, b)| a.equals_scalar(b)))
            }
            _ => match (self.number(), other.number()) {
                (Some(a), Some(b)) => match a.compare(b) {
                    Some(ordering) => Truth::from(ordering == Ordering::Equal),
                    None => Truth::Unknown,
                },
                _ => Truth::False,
            },
        }
    }

    fn equals_scalar(&self, other: &Value<'_>) -> Truth {
        match (self, other) {
            (Self::List(_), _) | (_, Value::List(_)) => Truth::False,
            _ => self.equals(other),
        }
    }

    /// `<` and its kin: numbers with numbers, text with text (by code point); else no answer.
    pub(crate) fn order(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Str(a), Value::Str(b)) => Some(a.as_ref().cmp(b.as_ref())),
            _ => self.number()?.compare(other.number()?),
        }
    }

    /// Whether `self` is one of `items`.
    pub(crate) fn among(&self, items: &[Value<'_>]) -> Truth {
        Truth::any(items.iter().map(|item| self.equals_scalar(item)))
    }

    pub(crate) fn number(&self) -> Option<Number> {
        match *self {
            Self::Int(value) => Some(Number::Int(i128::from(value))),
            Self::UInt(value) => Some(Number::Int(i128::from(value))),
            Self::Float(value) => Some(Number::Float(value)),
            _ => None,
        }
    }
}

/// A number on its way through a comparison or a calculation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    /// Compares on the one number line, without rounding; `None` for NaN.
    pub(crate) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Int(a), Self::Float(b)) => int_float(a, b),
            (Self::Float(a), Self::Int(b)) => int_float(b, a).map(Ordering::reverse),
        }
    }

    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// Back to a value; `None` when an integer left the 64-bit range or a float is not finite.
    pub(crate) fn into_value(self) -> Option<Value<'static>> {
        match self {
            Self::Int(value) => match i64::try_from(value) {
                Ok(value) => Some(Value::Int(value)),
                Err(_) => u64::try_from(value).ok().map(Value::UInt),
            },
            Self::Float(value) => value.is_finite().then_some(Value::Float(value)),
        }
    }
}

/// An integer of at most 65 bits against a float: truncate the float (exact in that range), compare
/// whole parts, and let the fraction decide a tie.
fn int_float(int: i128, float: f64) -> Option<Ordering> {
    const LIMIT: f64 = 73_786_976_294_838_206_464.0; // 2^66: beyond every 64-bit integer
    if float.is_nan() {
        return None;
    }
    if float >= LIMIT {
        return Some(Ordering::Less);
    }
    if float <= -LIMIT {
        return Some(Ordering::Greater);
    }
    let whole = float.trunc() as i128;
    Some(int.cmp(&whole).then_with(|| {
        let fraction = float - whole as f64;
        0.0_f64.partial_cmp(&fraction).unwrap_or(Ordering::Equal)
    }))
}

/// As it reads in a sentence or a group label: text bare, lists in brackets.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::UInt(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Str(text) => f.write_str(text),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    match item {
                        Self::List(_) => write!(f, "{comma}[…]")?,
                        item => write!(f, "{comma}{item}")?,
                    }
                }
                f.write_str("]")
            }
            Self::Opaque => f.write_str("{…}"),
        }
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::UInt(value) => serializer.serialize_u64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Str(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    match item {
                        Self::List(_) => seq.serialize_element("[…]")?,
                        item => seq.serialize_element(item)?,
                    }
                }
                seq.end()
            }
            Self::Opaque => serializer.serialize_str("{…}"),
        }
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::UInt(value), Self::Int)
    }
}

impl From<f64> for Value<'_> {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::text(value)
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Str(Cow::Owned(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_exact_number_line() {
        let two53 = 9_007_199_254_740_992_i64;
        let float = Value::Float(9_007_199_254_740_992.0);
        assert_eq!(Value::Int(two53).equals(&float), Truth::True);
        assert_eq!(Value::Int(two53 + 1).equals(&float), Truth::False);
        assert_eq!(Value::Int(two53 + 1).order(&float), Some(Ordering::Greater));
        assert_eq!(Value::UInt(u64::MAX).order(&Value::Int(-1)), Some(Ordering::Greater));
        assert_eq!(Value::Int(-1).order(&Value::Float(-1.5)), Some(Ordering::Greater));
        assert_eq!(Value::Float(f64::INFINITY).order(&Value::UInt(u64::MAX)), {
            Some(Ordering::Greater)
        });
        assert_eq!(Value::Float(f64::NAN).order(&Value::Int(1)), None);
        assert_eq!(Value::Float(f64::NAN).equals(&Value::Float(f64::NAN)), Truth::Unknown);
    }

    #[test]
    fn nothing_is_coerced() {
        assert_eq!(Value::text("5").equals(&Value::Int(5)), Truth::False);
        assert_eq!(Value::text("5").order(&Value::Int(4)), None);
        assert_eq!(Value::Null.equals(&Value::text("")), Truth::False);
        assert_eq!(Value::Bool(true).equals(&Value::Int(1)), Truth::False);
    }
}
