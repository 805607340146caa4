//! Kinds of values: of which of them a term is silent, and how many of each a field held.

use crate::value::Value;

/// A set of kinds of values, and of "missing".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kinds(u8);

/// How many kinds of values there are.
pub(crate) const KINDS: usize = 7;

impl Kinds {
    pub(crate) const BOOL: Self = Self(1 << 1);
    pub(crate) const NUMBER: Self = Self(1 << 2);
    pub(crate) const TEXT: Self = Self(1 << 3);
    pub(crate) const LIST: Self = Self(1 << 4);
    /// All but NaN, and missing.
    pub(crate) const NUMBERED: Self = Self((1 << 6) - 1);
    /// All but missing.
    pub(crate) const PRESENT: Self = Self((1 << KINDS) - 1);
    pub(crate) const ALL: Self = Self(u8::MAX);

    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The number of a value's kind.
    pub(crate) fn of(value: &Value<'_>) -> usize {
        match value {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Float(number) if number.is_nan() => 6,
            Value::Int(_) | Value::UInt(_) | Value::Float(_) => 2,
            Value::Str(_) => 3,
            Value::List(_) => 4,
            Value::Opaque => 5,
        }
    }

    /// Of so many records, in which the field held so many of each kind: in how many it held none of
    /// these.
    pub(crate) fn others(self, records: u64, held: [u64; KINDS]) -> u64 {
        if self == Self::ALL {
            return 0;
        }
        let those = held.iter().enumerate().filter(|(kind, _)| self.0 & (1 << kind) != 0);
        records.saturating_sub(those.map(|(_, count)| count).sum())
    }
}
