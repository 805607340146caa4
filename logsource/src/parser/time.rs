//! Times as logs write them.

use std::time::{Duration, SystemTime};

use crate::Value;

/// RFC 3339 text, or a number since 1970 whose unit shows in its size. What is no date that can be
/// written, as in the year 30000, is none.
pub(super) fn of_value(value: &Value) -> Option<SystemTime> {
    let time = match value {
        Value::Str(text) => text.parse::<jiff::Timestamp>().ok().map(SystemTime::from),
        Value::Int(number) => of_number(u64::try_from(*number).ok()?),
        Value::UInt(number) => of_number(*number),
        Value::Float(seconds) => of_float(*seconds),
        _ => None,
    };
    time.filter(|time| jiff::Timestamp::try_from(*time).is_ok())
}

/// The unit by size: each bound is the year 5138 in its own unit and March 1973 in the next finer
/// one, so that no date a log holds is ambiguous.
fn of_number(number: u64) -> Option<SystemTime> {
    let since = match number {
        0..100_000_000_000 => Duration::from_secs(number),
        100_000_000_000..100_000_000_000_000 => Duration::from_millis(number),
        100_000_000_000_000..100_000_000_000_000_000 => Duration::from_micros(number),
        _ => Duration::from_nanos(number),
    };
    SystemTime::UNIX_EPOCH.checked_add(since)
}

fn of_float(number: f64) -> Option<SystemTime> {
    let seconds = if number >= 1e11 { number / 1e3 } else { number };
    SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

/// A text line that begins with a time, as in `2026-11-23T08:00:00Z starting`.
pub(super) fn leading(line: &[u8]) -> Option<SystemTime> {
    if !line.first()?.is_ascii_digit() {
        return None;
    }
    let end = memchr::memchr(b' ', line).unwrap_or(line.len());
    let word = std::str::from_utf8(&line[..end]).ok()?;
    word.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_names_the_same_moment() {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_420_800);
        for number in
            [1_795_420_800, 1_795_420_800_000, 1_795_420_800_000_000, 1_795_420_800_000_000_000]
        {
            assert_eq!(of_value(&Value::Int(number)), Some(expected), "{number}");
        }
        assert_eq!(of_value(&Value::Float(1_795_420_800.0)), Some(expected));
        assert_eq!(of_value(&Value::Str("2026-11-23T08:00:00Z".into())), Some(expected));
        assert_eq!(of_value(&Value::Str("2026-11-23T09:00:00+01:00".into())), Some(expected));
        assert_eq!(leading(b"2026-11-23T08:00:00Z up"), Some(expected));
    }

    #[test]
    fn nonsense_is_no_time() {
        for value in [
            Value::Int(-5),
            Value::Float(f64::NAN),
            Value::Float(1e300),
            Value::Float(1e17),
            Value::Null,
        ] {
            assert_eq!(of_value(&value), None, "{value:?}");
        }
        assert_eq!(leading(b"12 monkeys"), None);
        assert_eq!(leading(b""), None);
    }
}
