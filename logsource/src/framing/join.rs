//! Several lines that are one record: what the user says.

use std::time::Duration;

use regex::bytes::Regex;

use super::presets::Presets;
use crate::{Error, ErrorKind};

/// How several lines become one entry. Cheap to clone.
///
/// What is not complete waits for its rest, and what was written after it waits with it, so that
/// entries keep their order and places of the stream stay contiguous. Time-outs and limits bound
/// that; what reaches one comes as it is, and is counted ([`Count::Partial`], [`Count::Split`]).
///
/// ```
/// use birl_logsource::{Framing, Join, Multiline};
///
/// // What a container wrote, and traces within it.
/// let framing = Framing::new().join(Join::containers().then(Multiline::java()));
/// ```
///
/// [`Count::Partial`]: crate::Count::Partial
/// [`Count::Split`]: crate::Count::Split
#[derive(Debug, Clone)]
#[must_use = "it does nothing until a framing gets it"]
pub struct Join {
    pub(super) containers: bool,
    pub(super) part_time_out: Duration,
    pub(super) multiline: Option<Multiline>,
}

impl Join {
    /// What a container runtime writes: CRI (`TIME stdout|stderr P|F MESSAGE`) or Docker's
    /// `json-file` (`{"log":"…\n","stream":"stdout","time":"…"}`), told apart by the file's lines.
    ///
    /// The entry's line is the message. The parts of a long one are joined, each stream's apart.
    /// Time and stream are the entry's [`timestamp`](crate::EntryRef::timestamp) and
    /// [`field`](crate::EntryRef::field) `stream`. A message whose last part did not come in time
    /// has the field `partial`. A line in no such format is an entry as it is.
    pub fn containers() -> Self {
        Self { containers: true, part_time_out: Duration::from_secs(5), multiline: None }
    }

    /// Lines that belong together, such as a stack trace. Between them are line feeds.
    pub fn multiline(multiline: Multiline) -> Self {
        Self { containers: false, ..Self::containers().then(multiline) }
    }

    /// Then joins the messages too, each stream's apart.
    pub fn then(mut self, multiline: Multiline) -> Self {
        self.multiline = Some(multiline);
        self
    }

    /// How long a part of a container's message waits for the next; 5 s if not set.
    pub fn part_time_out(mut self, time: Duration) -> Self {
        self.part_time_out = time;
        self
    }
}

/// Which lines belong together.
///
/// Either one of the presets, or patterns: regular expressions that are looked for anywhere in a
/// line. Where the mode of another collector is known:
///
/// | there | here |
/// | --- | --- |
/// | `halt_before`, `line_start_pattern`, `multiline.match: after` negated | [`start`](Self::start) |
/// | `halt_with`, `line_end_pattern` | [`end`](Self::end) |
/// | `continue_through` | [`start`](Self::start) and [`continuation`](Self::continuation) |
/// | `continue_past`, a backslash at the end | [`end_unless`](Self::end_unless) |
///
/// Blank lines within a group are kept, and end none unless `end` matches them. A line longer than
/// the framing's limit stands alone.
#[derive(Debug, Clone)]
#[must_use = "it does nothing until a framing gets it"]
pub struct Multiline {
    pub(super) start: Option<Pattern>,
    pub(super) continuation: Option<Pattern>,
    pub(super) end: Option<Pattern>,
    pub(super) presets: Presets,
    pub(super) time_out: Duration,
    pub(super) max_bytes: usize,
    pub(super) max_lines: usize,
}

impl Multiline {
    pub(super) fn of(presets: Presets) -> Self {
        Self {
            start: None,
            continuation: None,
            end: None,
            presets,
            time_out: Duration::from_secs(1),
            max_bytes: 1 << 20,
            max_lines: 1000,
        }
    }

    /// A group begins with a line that matches, and goes on until the next one, or, if a
    /// `continuation` is set too, for as long as lines match that. Lines before the first stand
    /// alone.
    ///
    /// # Errors
    /// If it is not a regular expression.
    pub fn start(pattern: &str) -> Result<Self, Error> {
        Ok(Self { start: Some(Pattern::new(pattern, false)?), ..Self::of(Presets::NONE) })
    }

    /// As [`Multiline::start`], with lines that do not match.
    ///
    /// # Errors
    /// If it is not a regular expression.
    pub fn start_unless(pattern: &str) -> Result<Self, Error> {
        Ok(Self { start: Some(Pattern::new(pattern, true)?), ..Self::of(Presets::NONE) })
    }

    /// A line that matches belongs to the one before it.
    ///
    /// # Errors
    /// If it is not a regular expression.
    pub fn continuation(pattern: &str) -> Result<Self, Error> {
        Self::of(Presets::NONE).and_continuation(pattern)
    }

    /// A group goes on up to a line that matches, which is its last.
    ///
    /// # Errors
    /// If it is not a regular expression.
    pub fn end(pattern: &str) -> Result<Self, Error> {
        Self::of(Presets::NONE).and_end(pattern)
    }

    /// As [`Multiline::end`], with a line that does not match: `\\$` joins lines that end with a
    /// backslash with the next.
    ///
    /// # Errors
    /// If it is not a regular expression.
    pub fn end_unless(pattern: &str) -> Result<Self, Error> {
        Ok(Self { end: Some(Pattern::new(pattern, true)?), ..Self::of(Presets::NONE) })
    }

    /// Lines that match belong to the group that is open.
    ///
    /// # Errors
    /// If it is not a regular expression, or this is one of the presets.
    pub fn and_continuation(mut self, pattern: &str) -> Result<Self, Error> {
        self.check_patterns("and_continuation")?;
        self.continuation = Some(Pattern::new(pattern, false)?);
        Ok(self)
    }

    /// The group that is open ends with a line that matches.
    ///
    /// # Errors
    /// If it is not a regular expression, or this is one of the presets.
    pub fn and_end(mut self, pattern: &str) -> Result<Self, Error> {
        self.check_patterns("and_end")?;
        self.end = Some(Pattern::new(pattern, false)?);
        Ok(self)
    }

    /// A preset knows by itself how a trace goes on and ends.
    fn check_patterns(&self, what: &str) -> Result<(), Error> {
        if self.presets.is_none() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{what} adds to patterns, and a preset has none; begin with Multiline::start or \
             Multiline::continuation in place of the preset"
        )))
    }

    /// Stack traces of Java and its kin, with causes and suppressed ones.
    pub fn java() -> Self {
        Self::of(Presets::JAVA)
    }

    /// Tracebacks of Python, chained ones too.
    pub fn python() -> Self {
        Self::of(Presets::PYTHON)
    }

    /// Panics and fatal errors of Go, with every goroutine.
    pub fn go() -> Self {
        Self::of(Presets::GO)
    }

    /// Panics of Rust, with their backtrace.
    pub fn rust() -> Self {
        Self::of(Presets::RUST)
    }

    /// All the languages above.
    pub fn traces() -> Self {
        Self::of(Presets::ALL)
    }

    /// How long a group waits for its next line; 1 s if not set.
    pub fn time_out(mut self, time: Duration) -> Self {
        self.time_out = time;
        self
    }

    /// A group that would be larger comes in pieces, which are counted; 1 MiB if not set.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// A group that would have more lines comes in pieces, which are counted; 1000 if not set.
    pub fn max_lines(mut self, lines: usize) -> Self {
        self.max_lines = lines;
        self
    }
}

/// A regular expression that a line matches, or must not match.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    negated: bool,
}

impl Pattern {
    pub(super) fn new(pattern: &str, negated: bool) -> Result<Self, Error> {
        let regex = Regex::new(pattern).map_err(|cause| {
            let message = format!("`{pattern}` is not a regular expression; {cause}");
            Error::new(ErrorKind::InvalidInput, message).with_cause(cause)
        })?;
        Ok(Self { regex, negated })
    }

    pub(super) fn matches(&self, line: &[u8]) -> bool {
        self.regex.is_match(line) != self.negated
    }
}
