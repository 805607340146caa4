//! How a line becomes fields. Parsing is apart from reading: nothing is parsed before somebody
//! asks for an entry, or for some of its fields.

mod access_log;
mod delimited;
mod error_log;
mod extractor;
mod finder;
mod json;
mod names;
mod pairs;
mod paths;
mod pattern;
mod raw;
mod slots;
mod structured;
mod syslog;
mod time;
mod value;

use std::sync::Arc;
use std::time::SystemTime;

pub use delimited::Delimited;
pub use extractor::{Extracted, Extractor};
pub use pairs::KeyValue;
pub use value::ValueRef;

pub(crate) use value::typed;

use raw::Sink;
use regex::bytes::Regex;

use crate::{Error, Fields};

/// A regular expression may compile to no more than this many bytes.
const REGEX_BYTES: usize = 1 << 20;

/// How a source's lines become fields.
///
/// A line that does not parse is data, not an error: it comes with [`Parsed::malformed`] set, and
/// with the fields that could be had. Of a name that repeats in a line, the first counts.
///
/// # Fields
///
/// | format | fields |
/// | --- | --- |
/// | [JSON](Parser::json), [logfmt](Parser::logfmt), [`key=value`](Parser::key_value) | as the line names them |
/// | [regex](Parser::regex), [delimited](Parser::delimited) | as the pattern or the settings name them |
/// | [syslog](Parser::syslog) | `facility` (`kern` … `local7`), `severity` (`emergency`, `alert`, `critical`, `error`, `warning`, `notice`, `info`, `debug`), `version`, `timestamp`, `hostname`, `appname`, `procid`, `msgid`, `structured_data` (a map: id → name → text), `message` |
/// | [access log](Parser::combined) | `vhost`, `client`, `ident`, `user`, `timestamp`, `method`, `path`, `query`, `protocol`, `status`, `size`, `referrer`, `agent`, `forwarded_for`, `extra` (what follows); `request` in place of the method and what belongs to it if it is no HTTP request |
/// | [nginx](Parser::nginx)'s error log | `timestamp`, `level`, `pid`, `tid`, `connection`, `message`, `client`, `server`, `request`, `upstream`, `host`, `referrer` |
/// | [Apache](Parser::apache)'s error log | `timestamp`, `module`, `level`, `pid`, `tid`, `client`, `code`, `message` |
///
/// What a line does not say, or says with a `-`, is no field.
///
/// # Time stamps
///
/// A time is looked for in `timestamp`, `@timestamp`, `time`, `ts` and `datetime`, or in the
/// fields that are [named](Parser::timestamp_field). It may be RFC 3339 (also with a blank, with
/// slashes, with a comma before the fraction), RFC 2822, asctime, syslog's, an access log's, or a
/// number of seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by its
/// size (of the usual fields, no number below 100,000,000 is a time: `{"time":0.352}` is how long
/// something took); or be in the [format](Parser::timestamp_format) that is set. One without a zone is in the
/// [zone](Parser::time_zone) that is set, else in the machine's own; one without a year is the last
/// such time before the moment that [`Parser::parse_at`] is given.
#[derive(Debug, Clone)]
pub struct Parser {
    format: Format,
    times: time::Times,
}

#[derive(Debug, Clone)]
enum Format {
    Raw,
    Json,
    Pairs(Arc<KeyValue>),
    Regex(Regex),
    Delimited(Arc<Delimited>),
    Syslog,
    Access,
    Nginx,
    Apache,
    /// With how pairs are found in prose.
    Auto(Arc<KeyValue>),
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

    /// One JSON object a line. An escaped surrogate without its twin is U+FFFD, and a number that
    /// is too large for a float, such as `1e400`, is text.
    #[must_use]
    pub fn json() -> Self {
        Self::of(Format::Json)
    }

    /// `key=value key="quoted value" flag`. Unquoted numbers and truth values are typed, a bare
    /// word is a field that is `true`.
    #[must_use]
    pub fn logfmt() -> Self {
        Self::of(Format::Pairs(Arc::default()))
    }

    /// Keys and values with other separators and quotes than logfmt's.
    ///
    /// # Errors
    /// If a separator is empty, or both are the same.
    pub fn key_value(settings: KeyValue) -> Result<Self, Error> {
        settings.check()?;
        Ok(Self::of(Format::Pairs(Arc::new(settings))))
    }

    /// A field for every named group, such as `(?P<status>\d+)`; numbers and truth values are
    /// typed.
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

    /// Columns at a delimiter, named by their position. Unquoted numbers and truth values are
    /// typed.
    ///
    /// # Errors
    /// If there is no name or no delimiter, or a name comes twice.
    pub fn delimited(settings: Delimited) -> Result<Self, Error> {
        settings.check()?;
        Ok(Self::of(Format::Delimited(Arc::new(settings))))
    }

    /// Syslog, each line by itself: RFC 5424, or RFC 3164 as it is met, with the year or without,
    /// with an ISO time stamp, without priority, host, tag or process id.
    #[must_use]
    pub fn syslog() -> Self {
        Self::of(Format::Syslog)
    }

    /// Access logs of web servers, common and combined; also with a virtual host before them, and
    /// with what is put behind them.
    #[must_use]
    pub fn combined() -> Self {
        Self::of(Format::Access)
    }

    /// nginx's access log in the combined format, and its error log, each line by itself.
    ///
    /// nginx does not escape what it writes into its error log, so a request may look like what
    /// follows the message. Where the genuine `client` cannot be told from a forged one, and in a
    /// line that nginx may have cut (it does at 2 KiB), everything is the `message`. What stands
    /// after the `request` is only as good as that: decide nothing by it that a client must not
    /// forge.
    #[must_use]
    pub fn nginx() -> Self {
        Self::of(Format::Nginx)
    }

    /// Apache's access log in the common or combined format, and its error log, each line by
    /// itself.
    #[must_use]
    pub fn apache() -> Self {
        Self::of(Format::Apache)
    }

    /// Each line by itself: one that begins with `{` is JSON; one that begins with a syslog
    /// priority or time stamp is syslog; one of an access log is that; of any other, and of a
    /// syslog message, what looks like `key=value` is a field. A time at its beginning is its own.
    /// Only broken JSON is malformed.
    #[must_use]
    pub fn auto() -> Self {
        Self::of(Format::Auto(Arc::new(KeyValue::new().skip_bare_words())))
    }

    /// The parser that a configuration names: `auto`, `raw`, `json`, `logfmt`, `ltsv`, `syslog`,
    /// `combined`, `nginx` or `apache`.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn from_name(name: &str) -> Result<Self, Error> {
        names::from_name(name)
    }

    /// Names the field (a dotted path) that holds the time, in place of the usual ones. A line
    /// without a time there is malformed.
    #[must_use]
    pub fn timestamp_field(self, path: impl Into<String>) -> Self {
        self.timestamp_fields([path])
    }

    /// Names the fields that hold the time together, such as `date` and `time`: it is read from
    /// their texts with one blank between them.
    #[must_use]
    pub fn timestamp_fields<S: Into<String>>(mut self, paths: impl IntoIterator<Item = S>) -> Self {
        self.times.set_fields(paths);
        self
    }

    /// How the time is written, as for strftime: `%d.%m.%Y %H:%M:%S%.f`. Without it the usual ways
    /// of writing are told apart.
    ///
    /// # Errors
    /// If it is no format, or one that cannot be read back.
    pub fn timestamp_format(mut self, format: &str) -> Result<Self, Error> {
        self.times.set_format(format)?;
        Ok(self)
    }

    /// The zone of times that name none: `Europe/Berlin`, a POSIX rule such as
    /// `CET-1CEST,M3.5.0,M10.5.0/3`, an offset such as `+01:00`, `UTC`, or `local`, which is the
    /// machine's own and what counts if nothing is set. Of a time that a clock shows twice, the
    /// first is meant.
    ///
    /// # Errors
    /// If the machine does not know the zone. Names need its tzdata, the other forms do not.
    pub fn time_zone(mut self, zone: &str) -> Result<Self, Error> {
        self.times.set_zone(zone)?;
        Ok(self)
    }

    /// Parses one line, without its line end. Never fails: see [`Parsed::malformed`]. A time stamp
    /// without a year is no time here: see [`Parser::parse_at`].
    #[must_use]
    pub fn parse(&self, line: &[u8]) -> Parsed {
        self.parse_with(line, None)
    }

    /// Parses one line that was written not long before `reference`, which is how a time stamp
    /// without a year gets one: it is the last such time that is no more than a day after it.
    #[must_use]
    pub fn parse_at(&self, line: &[u8], reference: SystemTime) -> Parsed {
        self.parse_with(line, Some(reference))
    }

    /// A reader of some fields only, named by their dotted paths: it borrows from the line, and
    /// steps over everything else.
    #[must_use]
    pub fn extractor(&self, paths: &[&str]) -> Extractor {
        Extractor::new(self.clone(), paths)
    }

    fn of(format: Format) -> Self {
        Self { format, times: time::Times::default() }
    }

    fn parse_with(&self, line: &[u8], reference: Option<SystemTime>) -> Parsed {
        if matches!(self.format, Format::Raw) {
            return Parsed::default();
        }
        let (fields, mut malformed) = self.fields(line);
        let values = self.times.paths().map(|path| fields.get(path).and_then(value::plain));
        let mut timestamp = self.times.find(values, &mut String::new(), reference);
        if timestamp.is_none() && self.is_text(line) {
            timestamp = self.times.leading(line, reference);
        }
        // A named field that is missing or unreadable is worth saying; a guessed one is not.
        if timestamp.is_none() {
            malformed = malformed.or_else(|| self.times.missing());
        }
        Parsed { fields, timestamp, malformed }
    }

    /// The fields, and what is wrong with the line.
    fn fields(&self, line: &[u8]) -> (Fields, Option<String>) {
        if self.is_json(line) {
            return json::parse(line);
        }
        let mut fields = Fields::new();
        let wrong = self.format.read(line, &mut fields);
        (fields, wrong.map(str::to_owned))
    }

    fn is_json(&self, line: &[u8]) -> bool {
        match self.format {
            Format::Json => true,
            Format::Auto(_) => line.trim_ascii_start().first() == Some(&b'{'),
            _ => false,
        }
    }

    /// Whether the line is prose, as far as anybody knows, which may begin with a time.
    fn is_text(&self, line: &[u8]) -> bool {
        matches!(self.format, Format::Auto(_)) && !self.is_json(line)
    }
}

impl Default for Parser {
    /// [`Parser::auto`].
    fn default() -> Self {
        Self::auto()
    }
}

impl Format {
    /// Hands over the fields of a line that is no JSON; what is wrong with the line.
    fn read<'a>(&self, line: &'a [u8], sink: &mut impl Sink<'a>) -> Option<&'static str> {
        match self {
            Self::Raw | Self::Json => None,
            Self::Pairs(settings) => settings.parse(line, sink),
            Self::Regex(regex) => pattern::parse(regex, line, sink),
            Self::Delimited(settings) => settings.parse(line, sink),
            Self::Syslog => syslog::parse(line, sink),
            Self::Access => access_log::parse(line, sink),
            // What an error log begins with, no access log does.
            Self::Nginx if line.get(4) == Some(&b'/') => error_log::nginx(line, sink),
            Self::Apache if line.first() == Some(&b'[') => {
                // A client of an access log may be an IPv6 address in brackets.
                let wrong = error_log::apache(line, sink)?;
                access_log::parse(line, sink).and(Some(wrong))
            }
            Self::Nginx | Self::Apache => access_log::parse(line, sink),
            Self::Auto(prose) => {
                let mut text = line;
                if let Some(found) = syslog::Syslog::detect(line) {
                    found.hand_over(sink);
                    text = found.message;
                } else if let Some(found) = access_log::Access::detect(line) {
                    found.hand_over(sink);
                    return None;
                }
                prose.parse(text, sink);
                None
            }
        }
    }
}
