//! Numbers in thousandths, so that a decision never depends on how a float rounds.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A non-negative number in thousandths: `Milli(1300)` is 1.3.
///
/// `1 − 0.7` is not 0.3 in binary floats, and a band edge must not move with the platform. Values
/// become integers once, where they enter; everything after compares integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Milli(pub u64);

impl Milli {
    /// Rounds to the nearest thousandth. NaN, infinite and negative numbers are nothing a signal
    /// can mean, so they give `None`; what exceeds the range is held at its end.
    pub fn from_f64(value: f64) -> Option<Self> {
        // `as` saturates, which is what the range's end asks for.
        (value.is_finite() && value >= 0.0).then(|| Self((value * 1000.0).round() as u64))
    }

    /// As a float, for display and for other programs.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Writes it as [`Display`](fmt::Display) does: `42.05`.
    pub(crate) fn tell(self, to: &mut impl fmt::Write) -> fmt::Result {
        let mut digits = itoa::Buffer::new();
        to.write_str(digits.format(self.0 / 1000))?;
        let rest = self.0 % 1000;
        if rest == 0 {
            return Ok(());
        }
        // The thousand in front keeps the zeros behind the point.
        let rest = digits.format(1000 + rest).get(1..).unwrap_or_default();
        to.write_str(".")?;
        to.write_str(rest.trim_end_matches('0'))
    }
}

impl From<u32> for Milli {
    fn from(whole: u32) -> Self {
        Self(u64::from(whole) * 1000)
    }
}

/// What a suffix of a Kubernetes quantity multiplies by, and is divided by.
const SUFFIXES: [(&str, f64, f64); 16] = [
    ("n", 1.0, 1e9),
    ("u", 1.0, 1e6),
    ("m", 1.0, 1e3),
    ("k", 1e3, 1.0),
    ("M", 1e6, 1.0),
    ("G", 1e9, 1.0),
    ("T", 1e12, 1.0),
    ("P", 1e15, 1.0),
    ("E", 1e18, 1.0),
    ("Ki", 1024.0, 1.0),
    ("Mi", 1048576.0, 1.0),
    ("Gi", 1073741824.0, 1.0),
    ("Ti", 1099511627776.0, 1.0),
    ("Pi", 1125899906842624.0, 1.0),
    ("Ei", 1152921504606846976.0, 1.0),
    ("", 1.0, 1.0),
];

/// Reads a Kubernetes quantity: a decimal number with a suffix or an exponent.
fn quantity(text: &str) -> Option<Milli> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (_, times, per) = SUFFIXES.iter().find(|(suffix, ..)| text[digits.len()..] == **suffix)?;
    // `1e3` has no suffix; `parse` would also read "inf" and "NaN", which `digits` cannot be.
    let value = digits.parse::<f64>().ok()?;
    Milli::from_f64(value * times / per)
}

impl fmt::Display for Milli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f)
    }
}

impl Serialize for Milli {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 % 1000 {
            0 => to.serialize_u64(self.0 / 1000),
            _ => to.serialize_f64(self.as_f64()),
        }
    }
}

impl<'de> Deserialize<'de> for Milli {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Milli;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number that is not negative, such as 60 or 1.3")
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Milli, E> {
                Milli::from_f64(value)
                    .ok_or_else(|| E::custom(format!("{value} is not a number from 0 upward")))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Milli, E> {
                value
                    .checked_mul(1000)
                    .map(Milli)
                    .ok_or_else(|| E::custom(format!("{value} is out of range")))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Milli, E> {
                u64::try_from(value)
                    .map_err(|_| E::custom(format!("{value} is negative")))
                    .and_then(|value| self.visit_u64(value))
            }
            /// A Kubernetes quantity: manifests write `"1.3"`, `"100m"`, `"512Mi"`.
            fn visit_str<E: Error>(self, text: &str) -> Result<Milli, E> {
                quantity(text).ok_or_else(|| {
                    E::custom(format!("`{text}` is not a number such as 1.3, 100m, 512Mi"))
                })
            }
        }
        from.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_nothing_rather_than_zero() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.001] {
            assert_eq!(Milli::from_f64(value), None, "{value}");
        }
        assert_eq!(Milli::from_f64(0.7), Some(Milli(700)));
        assert_eq!(Milli::from_f64(1e300), Some(Milli(u64::MAX)));
    }

    #[test]
    fn reads_numbers_and_quantities() {
        for (text, milli) in [
            ("60", 60_000u128),
            ("1.3", 1300),
            ("\"0.7\"", 700),
            ("\"100m\"", 100),
            ("\"2500000u\"", 2500),
            ("\"1.5k\"", 1_500_000),
            ("\"512Mi\"", 536_870_912_000),
            ("\"2e3\"", 2_000_000),
            ("\"1E\"", 1_000_000_000_000_000_000_000),
        ] {
            let milli = u64::try_from(milli).unwrap_or(u64::MAX);
            assert_eq!(serde_json::from_str::<Milli>(text).unwrap(), Milli(milli), "{text}");
        }
        for text in [
            "-1",
            "\"many\"",
            "\"-3m\"",
            "\"NaN\"",
            "\"inf\"",
            "\"\"",
            "\"m\"",
            "\"1mi\"",
            "\"1é\"",
            "18446744073709551615",
        ] {
            assert!(serde_json::from_str::<Milli>(text).is_err(), "{text}");
        }
        assert_eq!(serde_json::to_string(&[Milli(1300), Milli(60_000)]).unwrap(), "[1.3,60]");
        for (milli, text) in [
            (0, "0"),
            (7, "0.007"),
            (60, "0.06"),
            (500, "0.5"),
            (42_050, "42.05"),
            (60_000, "60"),
            (u64::MAX, "18446744073709551.615"),
        ] {
            assert_eq!(Milli(milli).to_string(), text);
        }
    }
}
