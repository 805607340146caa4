//! Why a line was not believed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a line was not believed, in one word fit for a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refused {
    /// It is not valid UTF-8.
    NotUtf8,
    /// Nothing stands before the first colon.
    NoName,
    /// Nothing stands between name and type, or there is no colon.
    NoValue,
    /// No pipe follows the value.
    NoType,
    /// The type is none of `c`, `g`, `ms`, `h`, `d`, `s`.
    UnknownType,
    /// A value is not a finite number.
    NotANumber,
    /// A timer or one of many values is below zero.
    Negative,
    /// One of many values is larger than can be told apart: 2⁴⁴ and above.
    TooLarge,
    /// The sample rate is not between one in a million and 1.
    AbsurdRate,
    /// Two sample rates, or two lists of tags.
    Repeated,
    /// Its type is not that of the statistic which is asked for under its name.
    OtherType,
    /// It lacks the tag by which instances are told apart.
    NoInstance,
    /// That tag's value is empty, too long, or has control characters.
    BadInstance,
    /// A gauge was changed whose value nobody has sent. It is not taken as zero.
    NoBase,
    /// There are as many series already as may be.
    TooManySeries,
    /// There is as much in sketches and sets already as may be, or more in one bucket than it counts.
    TooMuchMemory,
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::NotUtf8,
        Self::NoName,
        Self::NoValue,
        Self::NoType,
        Self::UnknownType,
        Self::NotANumber,
        Self::Negative,
        Self::TooLarge,
        Self::AbsurdRate,
        Self::Repeated,
        Self::OtherType,
        Self::NoInstance,
        Self::BadInstance,
        Self::NoBase,
        Self::TooManySeries,
        Self::TooMuchMemory,
    ];

    /// As in metrics and log lines: `not_a_number`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::NoName => "no_name",
            Self::NoValue => "no_value",
            Self::NoType => "no_type",
            Self::UnknownType => "unknown_type",
            Self::NotANumber => "not_a_number",
            Self::Negative => "negative",
            Self::TooLarge => "too_large",
            Self::AbsurdRate => "absurd_rate",
            Self::Repeated => "repeated",
            Self::OtherType => "other_type",
            Self::NoInstance => "no_instance",
            Self::BadInstance => "bad_instance",
            Self::NoBase => "no_base",
            Self::TooManySeries => "too_many_series",
            Self::TooMuchMemory => "too_much_memory",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
