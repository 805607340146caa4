//! Three-valued (Kleene) logic.

use serde::Serialize;

/// The verdict of a condition: true, false, or unknown because something it needs is missing.
///
/// `false && unknown` is false and `true || unknown` is true, in either order; otherwise unknown
/// spreads. A rule fires on [`Truth::True`] alone, unless its `on_missing` says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// A field is missing, or of a type (or NaN) that gives no answer.
    Unknown,
}

impl Truth {
    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Unknown,
        }
    }

    /// At least one.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::False, Self::False) => Self::False,
            _ => Self::Unknown,
        }
    }

    pub(crate) fn negate(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }

    pub(crate) fn negate_if(self, negated: bool) -> Self {
        if negated { self.negate() } else { self }
    }

    pub(crate) fn all(truths: impl Iterator<Item = Self>) -> Self {
        truths.fold(Self::True, Self::and)
    }

    pub(crate) fn any(truths: impl Iterator<Item = Self>) -> Self {
        truths.fold(Self::False, Self::or)
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}
