//! One line of StatsD, taken apart where it lies.

use std::fmt;

use memchr::{memchr, memchr2};
use serde::{Deserialize, Serialize};

use super::refused::Refused;
use super::sketch::CEILING;

/// The smallest share of events that a client may report: one in a million. One packet must not
/// count for more than that.
const LEAST_RATE: f64 = 1e-6;

/// The longest number: no client writes more digits than a float has.
const LONGEST_NUMBER: usize = 64;

/// What a line's numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// `c`: so many more.
    Counter,
    /// `g`: as it is now; with a sign, how it changed.
    Gauge,
    /// `ms`: how long something took. The number is taken as it is.
    Timer,
    /// `h`: one of many values.
    Histogram,
    /// `d`: one of many values.
    Distribution,
    /// `s`: one of many names; what counts is how many different ones there are.
    Set,
}

/// What one line says.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Parsed<'a> {
    /// A measurement.
    Metric(Line<'a>),
    /// DogStatsD's `_e{…}`: an event, which measures nothing.
    Event,
    /// DogStatsD's `_sc|…`: a service check, which measures nothing.
    ServiceCheck,
}

/// A measurement: `name:value|type`, and what may follow.
///
/// The grammar is that of StatsD with the additions of DogStatsD:
///
/// ```text
/// name:value[:value…]|type[|@rate][|#tag:value,tag…][|other…]
/// ```
///
/// A line is valid UTF-8. Sections after the type come in any order; of those that nobody needs
/// here (`c:` a container, `T` a time) the content is not looked at. What is borrowed is borrowed
/// from the packet; nothing is allocated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line<'a> {
    name: &'a str,
    kind: Kind,
    /// Everything between name and type.
    value: &'a str,
    /// The first number of it; zero for a set.
    first: f64,
    /// What follows the first number.
    more: Option<&'a str>,
    rate: f64,
    tags: &'a str,
}

/// One number of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Value {
    /// A finite number.
    pub number: f64,
    /// Whether it is written with a sign, which makes a gauge's number a change of it.
    pub signed: bool,
}

/// The lines of a packet, without empty ones. One return before a line feed belongs to the break.
pub fn lines(packet: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = packet;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (line, next) = match memchr(b'\n', rest) {
                Some(end) => (rest.get(..end)?, rest.get(end + 1..)?),
                None => (rest, &[][..]),
            };
            rest = next;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    })
}

/// Takes one line apart.
///
/// # Errors
///
/// Why it cannot be believed. A line is taken whole or not at all: of several values one that is
/// no number refuses them all.
pub fn parse(line: &[u8]) -> Result<Parsed<'_>, Refused> {
    let line = std::str::from_utf8(line).map_err(|_| Refused::NotUtf8)?;
    if line.starts_with("_e{") {
        return Ok(Parsed::Event);
    }
    if line.starts_with("_sc|") {
        return Ok(Parsed::ServiceCheck);
    }
    let bytes = line.as_bytes();
    let colon = match memchr2(b':', b'|', bytes) {
        Some(0) => return Err(Refused::NoName),
        Some(at) if bytes.get(at) == Some(&b':') => at,
        _ => return Err(Refused::NoValue),
    };
    let (name, rest) = split(line, colon);
    // What is sought lies a few bytes ahead, where a loop is faster than `memchr`.
    let pipe = rest.bytes().position(|byte| byte == b'|');
    let Some(pipe) = pipe else { return Err(Refused::NoType) };
    let (value, rest) = split(rest, pipe);
    if value.is_empty() {
        return Err(Refused::NoValue);
    }
    let mut sections = Sections(Some(rest));
    let kind = sections.next().and_then(Kind::from_letters).ok_or(Refused::UnknownType)?;

    let (mut rate, mut tags) = (None, None);
    for section in sections {
        let seen = if let Some(text) = section.strip_prefix('@') {
            rate.replace(share(text)?).is_some()
        } else if let Some(text) = section.strip_prefix('#') {
            tags.replace(text).is_some()
        } else {
            false
        };
        if seen {
            return Err(Refused::Repeated);
        }
    }
    let (first, more) = match kind {
        Kind::Set => (0.0, None),
        _ => numbers(value, kind)?,
    };
    let (rate, tags) = (rate.unwrap_or(1.0), tags.unwrap_or_default());
    Ok(Parsed::Metric(Line { name, kind, value, first, more, rate, tags }))
}

impl<'a> Line<'a> {
    /// The name; never empty.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// What the numbers mean.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The numbers, at least one; of a set, none.
    pub fn values(&self) -> impl Iterator<Item = Value> + use<'a> {
        let first = (self.kind != Kind::Set)
            .then(|| Value { number: self.first, signed: is_signed(self.value) });
        let more = self.more.into_iter().flat_map(|more| more.split(':'));
        first.into_iter().chain(
            more.filter_map(|text| {
                Some(Value { number: number(text).ok()?, signed: is_signed(text) })
            }),
        )
    }

    /// Which member of a set it is; of the other kinds, the numbers as they were written.
    pub fn member(&self) -> &'a str {
        self.value
    }

    /// The share of events that was reported: from one in a million to 1, which is all.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// How many events one reported event stands for.
    pub fn weight(&self) -> u32 {
        // From 1 to a million, by the bounds of the rate.
        if self.rate == 1.0 { 1 } else { (1.0 / self.rate).round() as u32 }
    }

    /// The tags in their order, each with its value; a bare tag has an empty one.
    pub fn tags(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let tags = self.tags.split(',').filter(|tag| !tag.is_empty());
        tags.map(|tag| tag.split_once(':').unwrap_or((tag, "")))
    }

    /// The value of the first tag of this name.
    pub fn tag(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.tags;
        loop {
            let (tag, next) = match memchr(b',', rest.as_bytes()) {
                Some(end) => split(rest, end),
                None => (rest, ""),
            };
            match tag.strip_prefix(name) {
                Some("") if !tag.is_empty() => return Some(""),
                Some(value) if value.starts_with(':') => return value.get(1..),
                _ if next.is_empty() => return None,
                _ => rest = next,
            }
        }
    }
}

impl Kind {
    fn from_letters(letters: &str) -> Option<Self> {
        Some(match letters {
            "c" => Self::Counter,
            "g" => Self::Gauge,
            "ms" => Self::Timer,
            "h" => Self::Histogram,
            "d" => Self::Distribution,
            "s" => Self::Set,
            _ => return None,
        })
    }

    /// As lines write it: `ms`.
    pub fn letters(self) -> &'static str {
        match self {
            Self::Counter => "c",
            Self::Gauge => "g",
            Self::Timer => "ms",
            Self::Histogram => "h",
            Self::Distribution => "d",
            Self::Set => "s",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letters())
    }
}

/// The sections between pipes.
struct Sections<'a>(Option<&'a str>);

impl<'a> Iterator for Sections<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0?;
        let Some(end) = memchr(b'|', rest.as_bytes()) else { return self.0.take() };
        let (section, rest) = split(rest, end);
        self.0 = Some(rest);
        Some(section)
    }
}

/// Before and after the one-byte character at `at`.
fn split(text: &str, at: usize) -> (&str, &str) {
    (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default())
}

/// The first of the numbers, and those after it, all of them looked at.
fn numbers(value: &str, kind: Kind) -> Result<(f64, Option<&str>), Refused> {
    let fits = |number: f64| match kind {
        Kind::Counter | Kind::Gauge | Kind::Set => Ok(number),
        _ if number < 0.0 => Err(Refused::Negative),
        _ if number >= CEILING => Err(Refused::TooLarge),
        _ => Ok(number),
    };
    let Some(end) = value.bytes().position(|byte| byte == b':') else {
        return Ok((fits(number(value)?)?, None));
    };
    let (first, more) = split(value, end);
    let first = fits(number(first)?)?;
    for text in more.split(':') {
        fits(number(text)?)?;
    }
    Ok((first, Some(more)))
}

/// A finite number, in the notation of Rust's floats.
fn number(text: &str) -> Result<f64, Refused> {
    // Nearly all are whole and short.
    if (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let whole = text.bytes().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        return Ok(whole as f64);
    }
    if text.len() > LONGEST_NUMBER {
        return Err(Refused::NotANumber);
    }
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or(Refused::NotANumber)
}

fn share(text: &str) -> Result<f64, Refused> {
    number(text).ok().filter(|share| (LEAST_RATE..=1.0).contains(share)).ok_or(Refused::AbsurdRate)
}

fn is_signed(text: &str) -> bool {
    text.starts_with(['+', '-'])
}
