//! Literals: from their spelling to their value.

use std::ops::Range;
use std::time::Duration;

use crate::ast::Literal;
use crate::issue::Issue;

/// Nanoseconds in one of each unit; longer spellings first where one begins another.
const TIME_UNITS: [(&str, u64); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

const SIZE_UNITS: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// `90s`, `5m`, `1h30m`, `1.5h`.
pub(crate) fn duration(text: &str, span: Range<usize>) -> Result<Duration, Issue> {
    parse_duration(text).ok_or_else(|| {
        Issue::new("E0204", span, format!("`{text}` is not a duration"), "expected a duration")
            .help("write a number and a unit: 500ms, 30s, 5m, 1h30m, 1d")
    })
}

/// The same for a text that stands alone, such as the value of `keep_firing_for`.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut nanos: u64 = 0;
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, scale) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(scaled(number, *scale)?)?;
        rest = tail;
    }
    Some(Duration::from_nanos(nanos))
}

/// `512B`, `10MiB`, `1.5GB`: a count of bytes.
pub(crate) fn size(text: &str, span: Range<usize>) -> Result<Literal, Issue> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let scale = SIZE_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
    scale
        .and_then(|scale| scaled(number, scale))
        .map(|bytes| i64::try_from(bytes).map_or(Literal::UInt(bytes), Literal::Int))
        .ok_or_else(|| {
            let message = format!("`{text}` is not a whole number of bytes");
            Issue::new("E0204", span, message, "expected a size")
        })
}

/// A decimal number times a scale, exactly; `None` when it is not whole or does not fit.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut total = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    if !fraction.is_empty() {
        let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 15)?;
        let power = 10_u128.pow(digits);
        let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(scale);
        if part % power != 0 {
            return None;
        }
        total = total.checked_add(u64::try_from(part / power).ok()?)?;
    }
    Some(total)
}

pub(crate) fn integer(text: &str, span: Range<usize>) -> Result<Literal, Issue> {
    let digits = text.replace('_', "");
    if let Ok(value) = digits.parse::<i64>() {
        return Ok(Literal::Int(value));
    }
    digits.parse::<u64>().map(Literal::UInt).map_err(|_| {
        Issue::new("E0204", span, format!("`{text}` does not fit in 64 bits"), "too large")
            .help("write it as a float: 1e20")
    })
}

pub(crate) fn float(text: &str, span: Range<usize>) -> Result<Literal, Issue> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Literal::Float(value)),
        _ => {
            Err(Issue::new("E0204", span, format!("`{text}` is not a finite number"), "too large"))
        }
    }
}

/// Digits that ran into something else.
pub(crate) fn odd_number(text: &str, span: Range<usize>) -> Issue {
    let message = format!("`{text}` is not a number");
    let issue = Issue::new("E0204", span, message, "cannot be read");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if number.matches('.').count() > 1 {
        return issue
            .help(
                "an address or a version is text: put it in quotes; `<` and its kin order texts \
                 letter by letter, '1.10' before '1.9'",
            )
            .suggest(format!("'{text}'"));
    }
    let units = || TIME_UNITS.iter().chain(&SIZE_UNITS).map(|(name, _)| *name);
    let near = match unit {
        "sec" | "secs" | "second" | "seconds" => Some("s"),
        "min" | "mins" | "minute" | "minutes" => Some("m"),
        "hour" | "hours" | "hr" => Some("h"),
        "day" | "days" => Some("d"),
        "K" | "k" | "M" | "G" | "T" | "Ki" | "Mi" | "Gi" | "Ti" => {
            let whole = format!("{unit}B");
            SIZE_UNITS.iter().map(|(name, _)| *name).find(|name| **name == whole)
        }
        unit => units().find(|name| name.eq_ignore_ascii_case(unit)),
    };
    let issue = match near {
        Some(near) => issue.suggest(format!("{number}{near}")),
        None => issue,
    };
    issue.help("units are ns us ms s m h d w for durations, B KB MB GB KiB MiB GiB for sizes")
}

/// A quoted string with its escapes resolved. `at` is where the text stands, for the spans.
pub(crate) fn string(quoted: &str, at: usize) -> Result<String, Issue> {
    let inner = inner(quoted);
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.char_indices();
    while let Some((from, c)) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some((_, 'n')) => out.push('\n'),
            Some((_, 't')) => out.push('\t'),
            Some((_, 'r')) => out.push('\r'),
            Some((_, c @ ('\\' | '\'' | '"'))) => out.push(c),
            other => {
                let c = other.map_or(' ', |(_, c)| c);
                let span = at + 1 + from..at + 1 + from + 1 + c.len_utf8();
                let message = format!("`\\{c}` is not an escape");
                return Err(Issue::new("E0204", span, message, "unknown escape")
                    .help("known are \\\\ \\' \\\" \\n \\t \\r; behind `=~` a backslash needs no doubling")
                    .suggest(format!("\\\\{c}")));
            }
        }
    }
    Ok(out)
}

/// A pattern: the regular expression keeps its own escapes, only the quote needs one of ours.
pub(crate) fn raw_string(quoted: &str) -> String {
    let quote = &quoted[..1];
    inner(quoted).replace(&format!("\\{quote}"), quote)
}

fn inner(quoted: &str) -> &str {
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default()
}

/// `1h30m`, the way it would be written in a rule.
pub(crate) fn humane(duration: Duration) -> String {
    let mut nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (unit, scale) in [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ] {
        let whole = nanos / scale;
        if whole > 0 {
            out.push_str(&format!("{whole}{unit}"));
            nanos %= scale;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        assert_eq!(parse_duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(parse_duration("1.5h"), Some(Duration::from_secs(5400)));
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("0"), Some(Duration::ZERO));
        for bad in ["", "5", "m", "5 m", "-5m", "5x", "1.2.3s", "99999999999w"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        assert_eq!(size("10MiB", 0..5).ok(), Some(Literal::Int(10 << 20)));
        assert_eq!(humane(Duration::from_millis(5_400_250)), "1h30m250ms");
    }
}
