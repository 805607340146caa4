//! The ways to read a log, each with lines as it is made for.

use birl_benches::lines::{self, ACCESS, ACCESS_FIELDS, Line};
use birl_logsource::{Delimited, Error, Framing, Join, KeyValue, Multiline, Parser};

/// One row of the table.
pub(crate) struct Strategy {
    pub(crate) name: &'static str,
    pub(crate) line: Line,
    pub(crate) framing: fn() -> Result<Framing, Error>,
    pub(crate) parser: fn() -> Result<Parser, Error>,
    pub(crate) read: Read,
    /// How many entries every so many lines are.
    pub(crate) entries: (u64, u64),
}

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

const RAW: Strategy = Strategy {
    name: "raw",
    line: lines::text,
    framing: || Ok(Framing::new()),
    parser: || Ok(Parser::raw()),
    read: Read::Line,
    entries: (1, 1),
};

const JSON: Strategy = Strategy { line: lines::json, parser: || Ok(Parser::json()), ..RAW };
const LOGFMT: Strategy = Strategy { line: lines::logfmt, parser: || Ok(Parser::logfmt()), ..RAW };
const REGEX: Strategy = Strategy { line: lines::combined, parser: || Parser::regex(ACCESS), ..RAW };
const ACCESS_LOG: Strategy =
    Strategy { line: lines::combined, parser: || Ok(Parser::combined()), ..RAW };

/// Columns at a fixed delimiter.
const TABS: Strategy = Strategy {
    line: lines::delimited,
    parser: || {
        let first = ["time", "level", "service", "method", "path", "status", "latency_ms"];
        let names = first.into_iter().chain(["client", "message", "trace_id"]);
        Parser::delimited(Delimited::new(names).delimiter("\t").quote(None))
    },
    ..RAW
};

const SYSLOG_5424: Strategy =
    Strategy { line: lines::syslog_5424, parser: || Ok(Parser::syslog()), ..RAW };
const SYSLOG_3164: Strategy = Strategy { line: lines::syslog_3164, ..SYSLOG_5424 };

/// The parts of messages are joined.
const CONTAINERS: Strategy =
    Strategy { framing: || Ok(Framing::new().join(Join::containers())), entries: (4, 6), ..RAW };

const LOGGED: Read = Read::Some(&["level", "status", "trace_id"]);
const SYSLOG: Read = Read::Some(&["severity", "appname", "message"]);
const REQUEST: Read = Read::Some(&["client", "path", "status"]);

/// Those of [`ACCESS_FIELDS`], by the names of the access log.
const ALL_OF_REQUEST: Read =
    Read::Some(&["client", "user", "timestamp", "method", "path", "status", "size", "referrer"]);

pub(crate) const ALL: &[Strategy] = &[
    RAW,
    Strategy { name: "JSON, 3 fields", read: LOGGED, ..JSON },
    Strategy { name: "JSON, whole entry", read: Read::Entry, ..JSON },
    Strategy { name: "logfmt, 3 fields", read: LOGGED, ..LOGFMT },
    Strategy { name: "logfmt, whole entry", read: Read::Entry, ..LOGFMT },
    Strategy {
        name: "`key=value` in prose, 3 fields",
        line: lines::pairs_in_prose,
        parser: || Parser::key_value(KeyValue::new().skip_bare_words()),
        read: Read::Some(&["path", "status", "trace_id"]),
        ..RAW
    },
    Strategy {
        name: "LTSV, 3 fields",
        line: lines::ltsv,
        parser: || Parser::from_name("ltsv"),
        read: LOGGED,
        ..RAW
    },
    Strategy { name: "columns between tabs, 3 fields", read: LOGGED, ..TABS },
    Strategy { name: "columns between tabs, whole entry", read: Read::Entry, ..TABS },
    Strategy { name: "regex, 8 groups", read: Read::Some(&ACCESS_FIELDS), ..REGEX },
    Strategy { name: "regex, whole entry", read: Read::Entry, ..REGEX },
    Strategy { name: "access log (combined), 8 fields", read: ALL_OF_REQUEST, ..ACCESS_LOG },
    Strategy { name: "access log (combined), whole entry", read: Read::Entry, ..ACCESS_LOG },
    Strategy {
        name: "nginx, 3 fields",
        parser: || Ok(Parser::nginx()),
        read: REQUEST,
        ..ACCESS_LOG
    },
    Strategy {
        name: "Apache, 3 fields",
        parser: || Ok(Parser::apache()),
        read: REQUEST,
        ..ACCESS_LOG
    },
    Strategy { name: "syslog (RFC 5424), 3 fields", read: SYSLOG, ..SYSLOG_5424 },
    Strategy { name: "syslog (RFC 5424), whole entry", read: Read::Entry, ..SYSLOG_5424 },
    Strategy { name: "syslog (RFC 3164), 3 fields", read: SYSLOG, ..SYSLOG_3164 },
    Strategy { name: "syslog (RFC 3164), whole entry", read: Read::Entry, ..SYSLOG_3164 },
    Strategy { name: "CRI, parts joined", line: lines::cri, ..CONTAINERS },
    Strategy { name: "Docker json-file, parts joined", line: lines::docker, ..CONTAINERS },
    Strategy {
        name: "multiline, stack traces of Java",
        line: lines::stack_traces,
        framing: || Ok(Framing::new().join(Join::multiline(Multiline::java()))),
        entries: (5, 10),
        ..RAW
    },
    Strategy {
        name: "multiline, a pattern of first lines",
        line: lines::stack_traces,
        framing: || {
            let first = Multiline::start(r"^\d{4}-\d\d-\d\dT")?;
            Ok(Framing::new().join(Join::multiline(first)))
        },
        entries: (4, 10),
        ..RAW
    },
];
