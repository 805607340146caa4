//! Times as logs write them: which fields hold them, in what form, and in whose zone.

mod stamp;

use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone};

use stamp::Stamp;
pub(super) use stamp::{is_syslog, scan, scan_all};

use super::ValueRef;
use crate::Error;

/// The names under which a time stamp is looked for when none was named.
const GUESSES: [&str; 5] = ["timestamp", "@timestamp", "time", "ts", "datetime"];

/// A smaller number, which would be of 1973 or before, is something else, such as a duration.
const LEAST: f64 = 1e8;

/// Abbreviations of zones that a clock may be followed by. What they mean depends on where it is.
const ZONES: [&[u8]; 37] = [
    b"CET", b"CEST", b"EET", b"EEST", b"WET", b"WEST", b"BST", b"IST", b"MSK", b"EST", b"EDT",
    b"CST", b"CDT", b"MST", b"MDT", b"PST", b"PDT", b"AKST", b"AKDT", b"HST", b"AST", b"ADT",
    b"JST", b"KST", b"HKT", b"SGT", b"WIB", b"AEST", b"AEDT", b"ACST", b"ACDT", b"AWST", b"NZST",
    b"NZDT", b"SAST", b"PKT", b"BRT",
];

/// A stamp without a year may be so much ahead of the reference: clocks differ.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

/// How a line's own time is found.
#[derive(Debug, Clone, Default)]
pub(super) struct Times {
    fields: Place,
    format: Option<Arc<str>>,
    zone: Zone,
}

/// Where a time stands.
#[derive(Debug, Clone, Default)]
enum Place {
    /// The first of [`GUESSES`] that holds one.
    #[default]
    Guess,
    /// In these fields, one blank between two of them.
    Named(Arc<[Box<str>]>),
}

/// The zone of what names none: looked up once where it is the machine's own.
#[derive(Debug, Clone, Default)]
struct Zone(Arc<OnceLock<TimeZone>>);

impl Zone {
    fn get(&self) -> &TimeZone {
        self.0.get_or_init(TimeZone::system)
    }
}

impl Times {
    pub(super) fn set_fields<S: Into<String>>(&mut self, paths: impl IntoIterator<Item = S>) {
        let paths: Arc<[Box<str>]> = paths.into_iter().map(|path| path.into().into()).collect();
        self.fields = if paths.is_empty() { Place::Guess } else { Place::Named(paths) };
    }

    /// A format is only taken if what it writes can be read back with it.
    pub(super) fn set_format(&mut self, format: &str) -> Result<(), Error> {
        let sample = Timestamp::from_second(1_795_420_800).unwrap_or_default();
        let sample = sample.to_zoned(TimeZone::UTC);
        let wrong = |error| {
            Error::invalid(format!(
                "the time format `{format}`: {error}; write it as for strftime, as in \
                 `%Y-%m-%d %H:%M:%S%.f`"
            ))
        };
        let text = BrokenDownTime::from(&sample).to_string(format).map_err(wrong)?;
        BrokenDownTime::parse(format, &text).map_err(wrong)?;
        self.format = Some(format.into());
        Ok(())
    }

    pub(super) fn set_zone(&mut self, name: &str) -> Result<(), Error> {
        let zone = match name {
            "local" => {
                self.zone = Zone::default();
                return Ok(());
            }
            "UTC" | "Z" => TimeZone::UTC,
            _ => match fixed(name) {
                Some(zone) => zone,
                None => {
                    TimeZone::get(name).or_else(|_| TimeZone::posix(name)).map_err(|error| {
                        Error::invalid(format!(
                            "there is no time zone `{name}` on this machine; write a name such \
                             as Europe/Berlin (it needs the machine's tzdata), a POSIX rule such \
                             as CET-1CEST,M3.5.0,M10.5.0/3, an offset such as +01:00, UTC or local"
                        ))
                        .with_cause(error)
                    })?
                }
            },
        };
        self.zone = Zone(Arc::new(OnceLock::from(zone)));
        Ok(())
    }

    /// The paths that a time may stand at.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        let (guesses, named): (&[_], &[_]) = match &self.fields {
            Place::Guess => (&GUESSES, &[]),
            Place::Named(paths) => (&[], paths),
        };
        guesses.iter().copied().chain(named.iter().map(|path| &**path))
    }

    /// Whether a line without a time is worth saying: a guess that fails is not.
    pub(super) fn missing(&self) -> Option<String> {
        match &self.fields {
            Place::Guess => None,
            Place::Named(paths) => Some(format!("no time in the field `{}`", paths.join("` `"))),
        }
    }

    pub(super) fn is_named(&self) -> bool {
        matches!(self.fields, Place::Named(_))
    }

    /// The time, given what stands at the [paths](Times::paths).
    pub(super) fn find<'v>(
        &self,
        mut values: impl Iterator<Item = Option<ValueRef<'v>>>,
        joined: &mut String,
        reference: Option<SystemTime>,
    ) -> Option<SystemTime> {
        match &self.fields {
            Place::Guess => {
                let is_likely = |value: &ValueRef<'_>| self.format.is_some() || is_likely(*value);
                let mut values = values.flatten().filter(is_likely);
                values.find_map(|value| self.of_value(value, reference))
            }
            Place::Named(paths) if paths.len() == 1 => self.of_value(values.next()??, reference),
            Place::Named(_) => {
                joined.clear();
                for value in values {
                    if !joined.is_empty() {
                        joined.push(' ');
                    }
                    let _ = std::fmt::Write::write_fmt(joined, format_args!("{}", value?));
                }
                self.of_value(ValueRef::Str(joined), reference)
            }
        }
    }

    /// The time that a line begins with, as in `2026-11-23T08:00:00Z starting`. One in a zone that
    /// is not known is none, as it is in a field.
    pub(super) fn leading(&self, line: &[u8], reference: Option<SystemTime>) -> Option<SystemTime> {
        let text = line.strip_prefix(b"[").unwrap_or(line);
        let (stamp, length) = scan(text)?;
        if stamp.offset.is_none() && names_zone(&text[length..]) {
            return None;
        }
        self.resolve(stamp, reference)
    }

    /// The time that a value is. What is no date that can be written, as in the year 30000, is
    /// none.
    fn of_value(&self, value: ValueRef<'_>, reference: Option<SystemTime>) -> Option<SystemTime> {
        if let Some(format) = &self.format {
            return match value {
                ValueRef::Str(text) => self.formatted(format, text, reference),
                ValueRef::Int(_) | ValueRef::UInt(_) | ValueRef::Float(_) => {
                    let mut text = [0; 40];
                    let mut rest = &mut text[..];
                    write!(rest, "{value}").ok()?;
                    let length = 40 - rest.len();
                    self.formatted(format, std::str::from_utf8(&text[..length]).ok()?, reference)
                }
                _ => None,
            };
        }
        match value {
            ValueRef::Str(text) => match scan_all(text.as_bytes()) {
                Some(stamp) => self.resolve(stamp, reference),
                None => of_text(text),
            },
            ValueRef::Int(number) => of_number(u64::try_from(number).ok()?),
            ValueRef::UInt(number) => of_number(number),
            ValueRef::Float(seconds) => of_float(seconds),
            _ => None,
        }
    }

    fn formatted(
        &self,
        format: &str,
        text: &str,
        reference: Option<SystemTime>,
    ) -> Option<SystemTime> {
        let mut parts = BrokenDownTime::parse(format, text).ok()?;
        if let Some(time) = parts.timestamp() {
            // `%s` is whole seconds, whatever else there is.
            let nanos = i64::from(parts.subsec_nanosecond().unwrap_or(0));
            let is_before = text.trim_ascii_start().starts_with('-');
            let span = jiff::SignedDuration::from_nanos(if is_before { -nanos } else { nanos });
            return Some(time.checked_add(span).ok()?.into());
        }
        if parts.iana_time_zone().is_some() {
            return parts.to_zoned().ok().map(|zoned| zoned.timestamp().into());
        }
        let offset = parts.offset();
        if parts.year().is_some() || parts.iso_week_year().is_some() {
            return self.at(parts.to_datetime().ok()?, offset);
        }
        self.latest(reference?, offset, |year| {
            parts.set_year(Some(year)).ok()?;
            parts.to_datetime().ok()
        })
    }

    fn resolve(&self, stamp: Stamp, reference: Option<SystemTime>) -> Option<SystemTime> {
        let Stamp { month, day, hour, minute, second, nanos, .. } = stamp;
        let date = |year| DateTime::new(year, month, day, hour, minute, second, nanos).ok();
        let offset = match stamp.offset {
            Some(seconds) => Some(Offset::from_seconds(seconds).ok()?),
            None => None,
        };
        match stamp.year {
            Some(year) => self.at(date(year)?, offset),
            None => self.latest(reference?, offset, date),
        }
    }

    /// Of the years that make it a date, the last one that does not put it ahead of the reference.
    fn latest(
        &self,
        reference: SystemTime,
        offset: Option<Offset>,
        mut date: impl FnMut(i16) -> Option<DateTime>,
    ) -> Option<SystemTime> {
        let limit = reference.checked_add(AHEAD)?;
        let year = Timestamp::try_from(limit).ok()?.to_zoned(TimeZone::UTC).year();
        // One more for zones; eight back for a 29 February around 2100.
        (year.saturating_sub(8)..=year.saturating_add(1))
            .rev()
            .find_map(|year| self.at(date(year)?, offset).filter(|time| *time <= limit))
    }

    fn at(&self, date: DateTime, offset: Option<Offset>) -> Option<SystemTime> {
        let time = match offset {
            Some(offset) => offset.to_timestamp(date).ok()?,
            None => self.zone.get().to_timestamp(date).ok()?,
        };
        Some(time.into())
    }
}

/// Whether a value at a place that was only guessed may be a time.
fn is_likely(value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Int(number) => number as f64 >= LEAST,
        ValueRef::UInt(number) => number as f64 >= LEAST,
        ValueRef::Float(number) => number >= LEAST,
        ValueRef::Str(text) => text.parse().map_or(true, |number: f64| number >= LEAST),
        _ => true,
    }
}

/// Whether what follows a clock is the abbreviation of a zone.
fn names_zone(rest: &[u8]) -> bool {
    let Some(rest) = rest.strip_prefix(b" ") else { return false };
    let letters = rest.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let (word, rest) = rest.split_at(letters);
    ZONES.contains(&word) && !rest.first().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

/// The zone of an offset such as `+01:00`.
fn fixed(name: &str) -> Option<TimeZone> {
    let stamp = scan_all(format!("2000-01-01T00:00{name}").as_bytes())?;
    Some(TimeZone::fixed(Offset::from_seconds(stamp.offset?).ok()?))
}

/// A number that is written as text.
fn of_text(text: &str) -> Option<SystemTime> {
    // Fewer digits are no time of this century.
    if text.len() < 9 || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    match text.parse() {
        Ok(number) => of_number(number),
        Err(_) => of_float(text.parse().ok()?),
    }
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
    writable(SystemTime::UNIX_EPOCH.checked_add(since)?)
}

fn of_float(number: f64) -> Option<SystemTime> {
    let seconds = match number {
        ..1e11 => number,
        1e11..1e14 => number / 1e3,
        1e14..1e17 => number / 1e6,
        _ => number / 1e9,
    };
    writable(SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?)
}

fn writable(time: SystemTime) -> Option<SystemTime> {
    Timestamp::try_from(time).ok().map(|_| time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn utc() -> Times {
        let mut times = Times::default();
        times.set_zone("UTC").unwrap();
        times
    }

    fn time(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().into()
    }

    #[test]
    fn every_unit_names_the_same_moment() {
        let expected = Some(time("2026-11-23T08:00:00Z"));
        for number in
            [1_795_420_800, 1_795_420_800_000, 1_795_420_800_000_000, 1_795_420_800_000_000_000]
        {
            assert_eq!(utc().of_value(ValueRef::Int(number), None), expected, "{number}");
            let text = number.to_string();
            assert_eq!(utc().of_value(ValueRef::Str(&text), None), expected, "{number}");
            assert_eq!(utc().of_value(ValueRef::Float(number as f64), None), expected);
        }
        assert_eq!(utc().of_value(ValueRef::Str("1795420800.0"), None), expected);
    }

    #[test]
    fn every_way_of_writing_names_the_same_moment() {
        let expected = time("2026-11-23T08:00:00Z");
        for text in [
            "2026-11-23T08:00:00Z",
            "2026-11-23t08:00:00z",
            "2026-11-23T09:00:00+01:00",
            "2026-11-23 03:30:00-0430",
            "2026-11-23 08:00:00",
            "2026-11-23 08:00:00,000",
            "2026-11-23 08:00:00.000000000000 UTC",
            "2026/11/23 08:00:00",
            "23/Nov/2026:09:00:00 +0100",
            "Mon, 23 Nov 2026 08:00:00 GMT",
            "Mon, 23 Nov 2026 08:00 +0000",
            "23 Nov 2026 08:00:00 Z",
            "Mon Nov 23 08:00:00 2026",
            "Mon Nov 23 08:00:00.000000 2026",
            "Mon Nov 23 08:00:00 UTC 2026",
            "Nov 23 08:00:00",
            "nov 23 08:00:00.000",
            "Nov 23 2026 08:00:00",
            "Nov 23 08:00:00 2026",
        ] {
            let reference = Some(expected + 3600 * SECOND);
            let found = utc().of_value(ValueRef::Str(text), reference);
            assert_eq!(found, Some(expected), "{text}");
        }
        let leap = utc().of_value(ValueRef::Str("2016-12-31T23:59:60Z"), None);
        assert_eq!(leap, Some(time("2016-12-31T23:59:59Z")));
        let fraction = utc().of_value(ValueRef::Str("2026-11-23T08:00:00.000000001Z"), None);
        assert_eq!(fraction, Some(expected + Duration::from_nanos(1)));
    }

    #[test]
    fn nonsense_is_no_time() {
        for value in [
            ValueRef::Int(-5),
            ValueRef::Float(f64::NAN),
            ValueRef::Float(1e300),
            ValueRef::Null,
            ValueRef::Str(""),
            ValueRef::Str("12ms"),
            ValueRef::Str("noon"),
            ValueRef::Str("2026-02-30T08:00:00Z"),
            ValueRef::Str("2026-11-23T25:00:00Z"),
            ValueRef::Str("2026-11-23T08:00:00 CEST"),
            ValueRef::Str("Nov 23 08:00:00"), // of which year?
            ValueRef::Str("99999999999999999999999"),
        ] {
            assert_eq!(utc().of_value(value, None), None, "{value:?}");
        }
        assert_eq!(utc().leading(b"12 monkeys", None), None);
        assert_eq!(utc().leading(b"", None), None);
    }

    #[test]
    fn a_small_number_is_a_time_only_where_one_was_named() {
        let small = [
            ValueRef::Float(0.352),
            ValueRef::Int(99_999_999),
            ValueRef::UInt(0),
            ValueRef::Str("0.3520000000"),
        ];
        for value in small {
            assert_eq!(utc().find([Some(value)].into_iter(), &mut String::new(), None), None);
            // The next place may hold it.
            let both = [Some(value), Some(ValueRef::Int(1_795_420_800))].into_iter();
            let expected = Some(time("2026-11-23T08:00:00Z"));
            assert_eq!(utc().find(both, &mut String::new(), None), expected);
        }
        let mut named = utc();
        named.set_fields(["time"]);
        let found = named.find([Some(small[0])].into_iter(), &mut String::new(), None);
        assert_eq!(found, Some(SystemTime::UNIX_EPOCH + Duration::from_millis(352)));
    }

    #[test]
    fn a_zone_that_is_not_known_is_no_zone_of_ours() {
        for zone in ["CET", "CEST", "PST"] {
            for end in [" starting", "] starting", ""] {
                let line = format!("2026-11-23 08:00:00 {zone}{end}");
                assert_eq!(utc().leading(line.as_bytes(), None), None, "{line}");
                let line = format!("2026-11-23T08:00:00.123 {zone}{end}");
                assert_eq!(utc().leading(line.as_bytes(), None), None, "{line}");
            }
        }
        for rest in ["INFO starting", "CETERA", "starting", "UTC starting", "WARN", "[CET] x"] {
            let line = format!("2026-11-23 08:00:00 {rest}");
            let expected = Some(time("2026-11-23T08:00:00Z"));
            assert_eq!(utc().leading(line.as_bytes(), None), expected, "{line}");
        }
    }

    #[test]
    fn a_stamp_without_a_year_is_the_last_of_its_kind() {
        let cases = [
            ("Dec 31 23:59:59", "2027-01-01T00:00:05Z", "2026-12-31T23:59:59Z"),
            ("Jan  1 00:00:05", "2026-12-31T23:59:59Z", "2027-01-01T00:00:05Z"),
            ("Nov 23 08:00:00", "2026-11-23T07:00:00Z", "2026-11-23T08:00:00Z"),
            ("Nov 25 08:00:00", "2026-11-23T07:00:00Z", "2025-11-25T08:00:00Z"),
            ("Feb 29 08:00:00", "2027-01-01T00:00:00Z", "2024-02-29T08:00:00Z"),
            ("Feb 29 08:00:00", "2103-01-01T00:00:00Z", "2096-02-29T08:00:00Z"),
        ];
        for (text, reference, expected) in cases {
            for format in [None, Some("%b %e %H:%M:%S")] {
                let mut times = utc();
                if let Some(format) = format {
                    times.set_format(format).unwrap();
                }
                let found = times.of_value(ValueRef::Str(text), Some(time(reference)));
                assert_eq!(found, Some(time(expected)), "{text} at {reference}");
            }
        }
    }

    #[test]
    fn a_format_reads_what_it_writes() {
        let cases = [
            ("%d.%m.%Y %H:%M:%S%.f", "23.11.2026 09:00:00.5", "2026-11-23T08:00:00.5Z"),
            ("%Y-%m-%d %H:%M:%S,%3f", "2026-11-23 09:00:00,500", "2026-11-23T08:00:00.5Z"),
            ("%Y%m%d%H%M%S", "20260723100000", "2026-07-23T08:00:00Z"),
            ("%s", "1795420800", "2026-11-23T08:00:00Z"),
            ("%s%.f", "1795420800.25", "2026-11-23T08:00:00.25Z"),
            ("%s,%3f", "1795420800,250", "2026-11-23T08:00:00.25Z"),
            ("%s%.f", "-1.25", "1969-12-31T23:59:58.75Z"),
            ("%d/%b/%Y:%H:%M:%S %z", "23/Nov/2026:08:00:00 +0000", "2026-11-23T08:00:00Z"),
        ];
        for (format, text, expected) in cases {
            let mut times = Times::default();
            times.set_zone("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
            times.set_format(format).unwrap();
            let found = times.of_value(ValueRef::Str(text), None);
            assert_eq!(found, Some(time(expected)), "{text}");
            if let Some(number) = crate::parser::typed(text.as_bytes()) {
                assert_eq!(times.of_value(number, None), Some(time(expected)), "{text}");
            }
        }
        for wrong in ["%Y-%q", "%", "%Z"] {
            let error = Times::default().set_format(wrong).unwrap_err();
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }

    #[test]
    fn what_names_no_zone_is_in_the_one_that_is_set() {
        for (zone, expected) in [
            ("CET-1CEST,M3.5.0,M10.5.0/3", "2026-07-23T08:00:00Z"),
            ("+05:30", "2026-07-23T04:30:00Z"),
            ("-08", "2026-07-23T18:00:00Z"),
            ("UTC", "2026-07-23T10:00:00Z"),
        ] {
            let mut times = Times::default();
            times.set_zone(zone).unwrap();
            let found = times.of_value(ValueRef::Str("2026-07-23 10:00:00"), None);
            assert_eq!(found, Some(time(expected)), "{zone}");
        }
        let error = Times::default().set_zone("Europe/Berlni").unwrap_err();
        assert!(error.to_string().contains("`Europe/Berlni`"), "{error}");
    }
}
