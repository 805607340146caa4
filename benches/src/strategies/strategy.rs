//! The ways to read a log, each with lines as it is made for.

use birl_benches::lines::{self, ACCESS, ACCESS_FIELDS, Line};
use birl_logsource::{Error, FileSourceBuilder, Parser};

/// One row of the table.
pub(crate) struct Strategy {
    pub(crate) name: &'static str,
    pub(crate) line: Line,
    /// How the source is told.
    pub(crate) set: fn(FileSourceBuilder) -> Result<FileSourceBuilder, Error>,
    pub(crate) read: Read,
    /// How many entries every so many lines are.
    pub(crate) entries: (u64, u64),
}

/// As nearly every format has it.
const A_LINE_IS_AN_ENTRY: (u64, u64) = (1, 1);

/// What the consumer asks of every entry.
#[derive(Clone, Copy)]
pub(crate) enum Read {
    /// The line alone.
    Line,
    /// These fields, borrowed from the line.
    Some(&'static [&'static str]),
    /// Everything, in an object of its own.
    Entry,
}

const LOGGED: &[&str] = &["level", "status", "trace_id"];

pub(crate) const ALL: &[Strategy] = &[
    Strategy {
        name: "raw",
        line: lines::text,
        set: |source| Ok(source.parser(Parser::raw())),
        read: Read::Line,
        entries: A_LINE_IS_AN_ENTRY,
    },
    Strategy {
        name: "JSON, 3 fields",
        line: lines::json,
        set: |source| Ok(source.parser(Parser::json())),
        read: Read::Some(LOGGED),
        entries: A_LINE_IS_AN_ENTRY,
    },
    Strategy {
        name: "JSON, whole entry",
        line: lines::json,
        set: |source| Ok(source.parser(Parser::json())),
        read: Read::Entry,
        entries: A_LINE_IS_AN_ENTRY,
    },
    Strategy {
        name: "logfmt, 3 fields",
        line: lines::logfmt,
        set: |source| Ok(source.parser(Parser::logfmt())),
        read: Read::Some(LOGGED),
        entries: A_LINE_IS_AN_ENTRY,
    },
    Strategy {
        name: "logfmt, whole entry",
        line: lines::logfmt,
        set: |source| Ok(source.parser(Parser::logfmt())),
        read: Read::Entry,
        entries: A_LINE_IS_AN_ENTRY,
    },
    Strategy {
        name: "regex, 8 groups",
        line: lines::combined,
        set: |source| Ok(source.parser(Parser::regex(ACCESS)?)),
        read: Read::Some(&ACCESS_FIELDS),
        entries: A_LINE_IS_AN_ENTRY,
    },
];
