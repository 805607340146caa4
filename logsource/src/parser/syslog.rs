//! Syslog lines, RFC 5424 and RFC 3164: the latter as it is met, with the year or without, with an
//! ISO time stamp, without host, process id or priority.

use super::raw::{Raw, Sink};
use super::{structured, time};

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

const SEVERITIES: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

/// What a line says of itself, before its message.
#[derive(Default)]
pub(super) struct Syslog<'a> {
    priority: Option<usize>,
    version: Option<Raw<'a>>,
    time: Option<&'a [u8]>,
    host: Option<Raw<'a>>,
    app: Option<Raw<'a>>,
    process: Option<Raw<'a>>,
    id: Option<Raw<'a>>,
    data: Option<&'a [u8]>,
    pub(super) message: &'a [u8],
    wrong: Option<&'static str>,
}

pub(super) fn parse<'a>(line: &'a [u8], sink: &mut impl Sink<'a>) -> Option<&'static str> {
    let found = Syslog::read(line);
    found.hand_over(sink);
    found.wrong
}

impl<'a> Syslog<'a> {
    /// The same if the line is surely one: it has a priority or begins with a syslog time stamp.
    pub(super) fn detect(line: &'a [u8]) -> Option<Self> {
        let sure = match line.first()? {
            b'<' => line.get(1)?.is_ascii_digit(),
            b'A'..=b'S' => time::is_syslog(line),
            _ => false,
        };
        sure.then(|| Self::read(line)).filter(|found| found.wrong.is_none())
    }

    fn read(line: &'a [u8]) -> Self {
        let (priority, after) = match priority(line) {
            Ok(found) => found,
            Err(wrong) => {
                return Self { message: line, wrong: Some(wrong), ..Self::default() };
            }
        };
        let mut found = match version(after) {
            Some((version, rest)) if priority.is_some() => {
                let mut found = Self { version: Some(Raw::Word(version)), ..Self::default() };
                // Else it only looked like one: `<13>1 apple fell`.
                if found.newer(rest) { found } else { Self::older(after, true) }
            }
            _ => Self::older(after, priority.is_some()),
        };
        found.priority = priority;
        found
    }

    /// RFC 5424, after its version: every part is there, or a `-` for it. Says whether it is: it
    /// has a time there, or structured data.
    fn newer(&mut self, text: &'a [u8]) -> bool {
        let (time, rest) = word(text);
        self.time = (time != b"-").then_some(time);
        let (host, rest) = word(rest);
        let (app, rest) = word(rest);
        let (process, rest) = word(rest);
        let (id, rest) = word(rest);
        self.host = Raw::unless_dash(host);
        self.app = Raw::unless_dash(app);
        self.process = Raw::unless_dash(process);
        self.id = Raw::unless_dash(id);
        let (data, rest) = match rest.strip_prefix(b"-") {
            Some(rest) => (None, rest),
            None => match structured::split(rest) {
                Some((data, rest)) => (Some(data), rest),
                None => {
                    self.wrong = Some("the structured data is malformed");
                    (None, rest)
                }
            },
        };
        self.data = data;
        let message = rest.strip_prefix(b" ").unwrap_or(rest);
        self.message = message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message);
        if !rest.is_empty() && rest[0] != b' ' {
            self.wrong = self.wrong.or(Some("no blank after the structured data"));
        }
        let is_timed = self.time.is_none_or(|time| time::scan_all(time).is_some());
        let is_structured = self.wrong.is_none();
        if !is_timed {
            self.wrong = Some("the time stamp is malformed");
        }
        is_timed || is_structured
    }

    /// RFC 3164, after its priority.
    fn older(text: &'a [u8], has_priority: bool) -> Self {
        let mut found = Self { message: text, ..Self::default() };
        let Some((_, length)) = time::scan(text) else {
            if has_priority {
                found.tag(text);
            } else {
                found.wrong = Some("neither a priority nor a time stamp");
            }
            return found;
        };
        let (time, rest) = text.split_at(length);
        found.time = Some(time);
        // Some devices write a colon after the time.
        let rest = rest.strip_prefix(b":").unwrap_or(rest);
        let Some(rest) = rest.strip_prefix(b" ") else {
            found.message = rest;
            if !rest.is_empty() {
                found.wrong = Some("no blank after the time stamp");
            }
            return found;
        };
        let rest = rest.trim_ascii_start();
        // A host may be left out: what ends like a tag is one.
        let (host, after) = word(rest);
        if host.ends_with(b":") || host.ends_with(b"]") || after.is_empty() {
            found.tag(rest);
        } else {
            found.host = Raw::unless_dash(host);
            found.tag(after.trim_ascii_start());
        }
        found
    }

    /// `app[process]: message`, `app: message`, or only a message.
    fn tag(&mut self, text: &'a [u8]) {
        self.message = text;
        let Some(end) = memchr::memchr3(b'[', b':', b' ', text).filter(|end| *end > 0) else {
            return;
        };
        let (app, rest) = text.split_at(end);
        let (process, rest) = match rest.strip_prefix(b"[") {
            Some(inside) => match memchr::memchr2(b']', b' ', inside) {
                Some(end) if inside[end] == b']' => (Some(&inside[..end]), &inside[end + 1..]),
                _ => return,
            },
            None => (None, rest),
        };
        let message = match rest.strip_prefix(b":") {
            Some(message) => message,
            None if process.is_some() => rest,
            None => return,
        };
        self.app = Some(Raw::Text(app));
        self.process = process.and_then(Raw::unless_dash);
        self.message = message.strip_prefix(b" ").unwrap_or(message);
    }

    pub(super) fn hand_over(&self, sink: &mut impl Sink<'a>) {
        if let Some(priority) = self.priority {
            sink.put_some("facility", FACILITIES.get(priority / 8).copied().map(Raw::Known));
            sink.put_some("severity", SEVERITIES.get(priority % 8).copied().map(Raw::Known));
        }
        sink.put_some("version", self.version);
        sink.put_some("timestamp", self.time.map(Raw::Text));
        sink.put_some("hostname", self.host);
        sink.put_some("appname", self.app);
        sink.put_some("procid", self.process);
        sink.put_some("msgid", self.id);
        sink.put_some("structured_data", self.data.map(Raw::Elements));
        if !self.message.is_empty() {
            sink.put(b"message", Raw::Text(self.message));
        }
    }
}

/// The number in `<…>`, if there is one, and what follows.
fn priority(line: &[u8]) -> Result<(Option<usize>, &[u8]), &'static str> {
    const WRONG: &str = "the priority is no number from 0 to 191";
    let Some(rest) = line.strip_prefix(b"<") else { return Ok((None, line)) };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = rest[..digits].iter().try_fold(0_usize, |number, digit| {
        number.checked_mul(10)?.checked_add(usize::from(digit - b'0'))
    });
    let rest = rest[digits..].strip_prefix(b">").ok_or(WRONG)?;
    match number.filter(|number| digits > 0 && *number < 192) {
        Some(number) => Ok((Some(number), rest)),
        None => Err(WRONG),
    }
}

/// The one version that there is, and its blank: what makes it RFC 5424.
fn version(text: &[u8]) -> Option<(&[u8], &[u8])> {
    Some((text.get(..1)?, text.strip_prefix(b"1 ")?))
}

/// What stands before the next blank, and what stands after it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', text) {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[]),
    }
}
