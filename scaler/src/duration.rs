//! Durations as people write them: `60s`, `5m`, `1h30m`, `250ms`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a sum of `NUMBER UNIT` parts, or a bare `0`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let fail = || format!("`{text}` is not a duration: write a number and a unit, such as `60s`");
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(fail());
    }
    let mut millis = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fail)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let number: u64 = number.parse().map_err(|_| fail())?;
        let scale = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(fail)?.1;
        millis =
            number.checked_mul(scale).and_then(|part| millis.checked_add(part)).ok_or_else(fail)?;
        rest = tail.trim_start();
    }
    Ok(Duration::from_millis(millis))
}

/// The shortest text that [`parse`] reads back to the same milliseconds; finer parts are cut.
pub(crate) fn format(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, scale) in UNITS {
        let count = millis / scale;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            millis -= count * scale;
        }
    }
    text
}

/// `#[serde(with = "crate::duration::serde")]` for a field that people write.
pub(crate) mod serde {
    use std::fmt;
    use std::time::Duration;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::format(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Duration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with a unit, such as \"60s\" or \"5m\"")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
                super::parse(text).map_err(E::custom)
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Duration, E> {
                match number {
                    0 => Ok(Duration::ZERO),
                    n => Err(E::custom(format!("{n} has no unit: write \"{n}s\" for seconds"))),
                }
            }
        }
        from.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in
            [("60s", 60_000), ("5m", 300_000), ("1h30m", 5_400_000), ("250ms", 250), ("0", 0)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(parse(&format(Duration::from_millis(millis))), parse(text), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_with_a_remedy() {
        for text in ["", "60", "s", "-5s", "1.5s", "5 minutes", "99999999999999999999s", "1e9s"] {
            let message = parse(text).unwrap_err();
            assert!(message.contains("such as `60s`"), "{text}: {message}");
        }
    }
}
