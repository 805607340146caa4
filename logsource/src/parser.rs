//! How a line becomes fields. Parsing is apart from reading: nothing is parsed before somebody
//! asks for an entry.

mod logfmt;
mod time;

use std::sync::Arc;
use std::time::SystemTime;

use regex::bytes::Regex;

use crate::{Error, Fields, Value};

/// The names under which a time stamp is looked for when none was named.
const TIME_FIELDS: [&str; 5] = ["timestamp", "@timestamp", "time", "ts", "datetime"];

/// A regular expression may compile to no more than this many bytes.
const REGEX_BYTES: usize = 1 << 20;

/// How a source's lines become fields.
///
/// A line that does not parse is data, not an error: it comes with [`Parsed::malformed`] set, and
/// with the fields that could be had.
#[derive(Debug, Clone)]
pub struct Parser {
    format: Format,
    time_field: Option<Arc<str>>,
}

#[derive(Debug, Clone)]
enum Format {
    Raw,
    Json,
    Logfmt,
    Regex(Regex),
    Auto,
}

/// What a [`Parser`] made of one line.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// Names and values.
    pub fields: Fields,
    /// When the line itself says that it happened.
    pub timestamp: Option<SystemTime>,
    /// Why the line is not what the parser was told to expect.
    pub malformed: Option<String>,
}

impl Parser {
    /// Lines stay lines: no fields.
    #[must_use]
    pub fn raw() -> Self {
        Self::of(Format::Raw)
    }

    /// One JSON object a line.
    #[must_use]
    pub fn json() -> Self {
        Self::of(Format::Json)
    }

    /// `key=value key="quoted value" flag`. Unquoted numbers and truth values are typed, a bare
    /// word is a field that is `true`.
    #[must_use]
    pub fn logfmt() -> Self {
        Self::of(Format::Logfmt)
    }

    /// Each line by itself: one that begins with `{` is JSON, one that holds `key=value` is logfmt
    /// (bare words are not fields then), any other is raw.
    #[must_use]
    pub fn auto() -> Self {
        Self::of(Format::Auto)
    }

    /// A field for every named group, such as `(?P<status>\d+)`; unquoted numbers and truth values
    /// are typed.
    ///
    /// # Errors
    /// If the expression does not compile, is too large, or names no group.
    pub fn regex(pattern: &str) -> Result<Self, Error> {
        let regex = regex::bytes::RegexBuilder::new(pattern)
            .size_limit(REGEX_BYTES)
            .build()
            .map_err(|error| Error::invalid(format!("the parser's pattern: {error}")))?;
        if regex.capture_names().flatten().next().is_none() {
            return Err(Error::invalid(format!(
                "the parser's pattern `{pattern}` names no group; write (?P<field>…) where a \
                 field is"
            )));
        }
        Ok(Self::of(Format::Regex(regex)))
    }

    /// The parser that a configuration names: `raw`, `json`, `logfmt` or `auto`.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn from_name(name: &str) -> Result<Self, Error> {
        match name {
            "raw" => Ok(Self::raw()),
            "json" => Ok(Self::json()),
            "logfmt" => Ok(Self::logfmt()),
            "auto" => Ok(Self::auto()),
            _ => Err(Error::invalid(format!(
                "there is no parser `{name}`; the parsers are raw, json, logfmt and auto"
            ))),
        }
    }

    /// Names the field (a dotted path) that holds the time: RFC 3339 text, or a number of seconds,
    /// milliseconds, microseconds or nanoseconds since 1970, told apart by its size. Without it,
    /// `timestamp`, `@timestamp`, `time`, `ts` and `datetime` are tried.
    #[must_use]
    pub fn timestamp_field(mut self, path: impl Into<String>) -> Self {
        self.time_field = Some(path.into().into());
        self
    }

    /// Parses one line, without its line end. Never fails: see [`Parsed::malformed`].
    #[must_use]
    pub fn parse(&self, line: &[u8]) -> Parsed {
        let mut parsed = match &self.format {
            Format::Raw => return Parsed::default(),
            Format::Json => json(line),
            Format::Logfmt => logfmt::parse(line, logfmt::Bare::IsTrue),
            Format::Regex(regex) => captures(regex, line),
            Format::Auto => auto(line),
        };
        self.stamp(&mut parsed);
        parsed
    }

    fn of(format: Format) -> Self {
        Self { format, time_field: None }
    }

    /// A named field that is missing or unreadable is worth saying; a guessed one is not.
    fn stamp(&self, parsed: &mut Parsed) {
        if parsed.timestamp.is_some() {
            return;
        }
        let Some(path) = &self.time_field else {
            let mut values = TIME_FIELDS.iter().filter_map(|name| parsed.fields.get(name));
            parsed.timestamp = values.find_map(time::of_value);
            return;
        };
        parsed.timestamp = parsed.fields.get(path).and_then(time::of_value);
        if parsed.timestamp.is_none() && parsed.malformed.is_none() {
            parsed.malformed = Some(format!("no time in the field `{path}`"));
        }
    }
}

impl Default for Parser {
    /// [`Parser::auto`].
    fn default() -> Self {
        Self::auto()
    }
}

fn json(line: &[u8]) -> Parsed {
    match serde_json::from_slice::<Fields>(line) {
        Ok(fields) => Parsed { fields, ..Parsed::default() },
        Err(error) => {
            Parsed { malformed: Some(format!("not a JSON object: {error}")), ..Parsed::default() }
        }
    }
}

fn captures(regex: &Regex, line: &[u8]) -> Parsed {
    let Some(found) = regex.captures(line) else {
        let malformed = Some("the line does not match the parser's pattern".to_owned());
        return Parsed { malformed, ..Parsed::default() };
    };
    let groups = regex.capture_names().flatten();
    let fields = groups.filter_map(|name| {
        let text = String::from_utf8_lossy(found.name(name)?.as_bytes());
        Some((name.to_owned(), Value::infer(&text)))
    });
    Parsed { fields: fields.collect(), ..Parsed::default() }
}

fn auto(line: &[u8]) -> Parsed {
    if line.trim_ascii_start().first() == Some(&b'{') {
        return json(line);
    }
    let mut parsed = logfmt::parse(line, logfmt::Bare::IsNothing);
    parsed.malformed = None;
    if parsed.fields.is_empty() {
        parsed.timestamp = time::leading(line);
    }
    parsed
}
