//! Time stamps as RFC 3339 text, exact to the nanosecond.
//!
//! Decisions and saved states are read by people and by other programs, so time crosses the border
//! as `2026-11-23T08:00:00.25Z`. The calendar arithmetic is Howard Hinnant's `civil_from_days`.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

/// UTC text of `at`; years outside 0–9999 have no RFC 3339 form and give `None`.
pub(crate) fn format(at: SystemTime) -> Option<String> {
    let (seconds, nanos) = match at.duration_since(UNIX_EPOCH) {
        Ok(since) => (i64::try_from(since.as_secs()).ok()?, since.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let seconds = -i64::try_from(before.as_secs()).ok()?;
            match before.subsec_nanos() {
                0 => (seconds, 0),
                nanos => (seconds - 1, 1_000_000_000 - nanos),
            }
        }
    };
    let (year, month, day) = civil_from_days(seconds.div_euclid(DAY));
    if !(0..=9999).contains(&year) {
        return None;
    }
    let clock = seconds.rem_euclid(DAY);
    let mut text = format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    );
    if nanos > 0 {
        let fraction = format!("{nanos:09}");
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push('Z');
    Some(text)
}

/// Reads RFC 3339 with any offset and up to nine digits of fraction.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    let bytes = text.as_bytes();
    let digits = |from: usize, count: usize| -> Option<i64> {
        let part = text.get(from..from + count)?;
        if part.bytes().all(|b| b.is_ascii_digit()) { part.parse().ok() } else { None }
    };
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| bytes.get(at) != Some(&mark)) {
        return None;
    }
    if !matches!(bytes.get(10)?, b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 2)?, digits(8, 2)?);
    let (hour, minute, second) = (digits(11, 2)?, digits(14, 2)?, digits(17, 2)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_from_civil(year, month, day);
    if civil_from_days(days) != (year, month, day) {
        return None; // the 30th of February
    }
    let mut rest = text.get(19..)?;
    let mut nanos = 0u32;
    if let Some(tail) = rest.strip_prefix('.') {
        let end = tail.find(|c: char| !c.is_ascii_digit())?;
        if !(1..=9).contains(&end) {
            return None;
        }
        nanos = format!("{:0<9}", &tail[..end]).parse().ok()?;
        rest = &tail[end..];
    }
    let offset = match rest {
        "Z" | "z" => 0,
        _ => {
            let at = text.len() - rest.len();
            let sign = match rest.as_bytes() {
                [b'+', _, _, b':', _, _] => 1,
                [b'-', _, _, b':', _, _] => -1,
                _ => return None,
            };
            sign * (digits(at + 1, 2)? * 3600 + digits(at + 4, 2)? * 60)
        }
    };
    let seconds = days * DAY + hour * 3600 + minute * 60 + second - offset;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let base = if seconds >= 0 {
        UNIX_EPOCH.checked_add(whole)?
    } else {
        UNIX_EPOCH.checked_sub(whole)?
    };
    base.checked_add(Duration::from_nanos(u64::from(nanos)))
}

/// Milliseconds since 1970, zero before it.
pub(crate) fn unix_millis(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// How long `since` lies back at `now`; nothing if it lies ahead.
pub(crate) fn elapsed(since: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or_default()
}

/// The end of the year 9999, the last second that has an RFC 3339 form.
const END: Duration = Duration::from_secs(253_402_300_799);

/// `at + by`, held at the end of the calendar: "never", written as an endless duration, must neither
/// come out as "now" nor as a time that cannot be written down.
pub(crate) fn later(at: SystemTime, by: Duration) -> SystemTime {
    let end = UNIX_EPOCH + END;
    at.checked_add(by).map_or(end, |sum| sum.min(end)).max(at)
}

/// Shows a time inside a sentence.
pub(crate) struct Stamp(pub(crate) SystemTime);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(format(self.0).as_deref().unwrap_or("a time beyond the calendar"))
    }
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153; // March is 0
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// `#[serde(with = "crate::timestamp::serde")]`.
pub(crate) mod serde {
    use std::time::SystemTime;

    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(at: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        let text =
            super::format(*at).ok_or_else(|| S::Error::custom("time outside years 0 to 9999"))?;
        to.serialize_str(&text)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(from)?;
        super::parse(&text).ok_or_else(|| {
            let hint = "is not an RFC 3339 time such as 2026-11-23T08:00:00Z";
            D::Error::custom(format!("`{text}` {hint}"))
        })
    }

    /// The same for an optional time.
    pub(crate) mod option {
        use std::time::SystemTime;

        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        #[derive(Serialize, Deserialize)]
        struct At(#[serde(with = "super")] SystemTime);

        pub(crate) fn serialize<S: Serializer>(
            at: &Option<SystemTime>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            at.map(At).serialize(to)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<SystemTime>, D::Error> {
            Ok(Option::<At>::deserialize(from)?.map(|at| at.0))
        }
    }

    /// The same for a queue of times.
    pub(crate) mod queue {
        use std::collections::VecDeque;
        use std::time::SystemTime;

        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        #[derive(Serialize, Deserialize)]
        struct At(#[serde(with = "super")] SystemTime);

        pub(crate) fn serialize<S: Serializer>(
            times: &VecDeque<SystemTime>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            to.collect_seq(times.iter().map(|at| At(*at)))
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<VecDeque<SystemTime>, D::Error> {
            Ok(Vec::<At>::deserialize(from)?.into_iter().map(|at| at.0).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn knows_the_calendar() {
        let at = |secs: u64, nanos: u32| UNIX_EPOCH + Duration::new(secs, nanos);
        assert_eq!(format(at(0, 0)).unwrap(), "1970-01-01T00:00:00Z");
        assert_eq!(format(at(951_782_400, 0)).unwrap(), "2000-02-29T00:00:00Z");
        assert_eq!(format(at(1_795_420_800, 250_000_000)).unwrap(), "2026-11-23T08:00:00.25Z");
        assert_eq!(format(UNIX_EPOCH - Duration::from_nanos(1)).unwrap().len(), 30);
        assert_eq!(parse("2026-11-23T10:00:00.25+02:00"), Some(at(1_795_420_800, 250_000_000)));
        for bad in ["", "2026-11-23", "2026-02-30T00:00:00Z", "2026-11-23T08:00:00", "☃☃☃☃-☃☃"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back(secs in 0u64..250_000_000_000, nanos in 0u32..1_000_000_000) {
            let at = UNIX_EPOCH + Duration::new(secs, nanos);
            prop_assert_eq!(parse(&format(at).unwrap()), Some(at));
        }

        #[test]
        fn any_text_is_judged_without_a_panic(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
