//! Access logs of web servers: common and combined, and what nginx and Apache add to them.

use super::raw::{Escapes, Raw, Sink, until_quote};
use super::time;

const WRONG: &str = "not the line of an access log";

#[derive(Default)]
pub(super) struct Access<'a> {
    host: Option<&'a [u8]>,
    client: Option<Raw<'a>>,
    ident: Option<Raw<'a>>,
    user: Option<Raw<'a>>,
    time: &'a [u8],
    request: Quoted<'a>,
    status: &'a [u8],
    size: &'a [u8],
    referrer: Quoted<'a>,
    agent: Quoted<'a>,
    forwarded: Quoted<'a>,
    extra: &'a [u8],
}

/// Text in quotes, and whether there are escapes in it.
#[derive(Default, Clone, Copy)]
struct Quoted<'a> {
    text: &'a [u8],
    escaped: bool,
}

impl<'a> Quoted<'a> {
    fn raw(self, text: &'a [u8]) -> Raw<'a> {
        Raw::quoted(text, self.escaped, Escapes::Backslash)
    }

    fn unless_dash(self) -> Option<Raw<'a>> {
        (self.text != b"-" && !self.text.is_empty()).then(|| self.raw(self.text))
    }
}

pub(super) fn parse<'a>(line: &'a [u8], sink: &mut impl Sink<'a>) -> Option<&'static str> {
    match Access::read(line) {
        Some(found) => {
            found.hand_over(sink);
            None
        }
        None => Some(WRONG),
    }
}

impl<'a> Access<'a> {
    /// The same if the line is surely one: its time is a time.
    pub(super) fn detect(line: &'a [u8]) -> Option<Self> {
        Self::read(line).filter(|found| time::scan_all(found.time).is_some())
    }

    fn read(line: &'a [u8]) -> Option<Self> {
        let mut found = Self::default();
        // A client may be an IPv6 address in brackets: what is looked for is after a blank.
        let bracket = memchr::memmem::find(line, b" [")?;
        found.who(&line[..bracket])?;
        let rest = &line[bracket + 2..];
        let end = memchr::memchr(b']', rest)?;
        found.time = &rest[..end];
        let rest = rest[end + 1..].strip_prefix(b" \"")?;
        let (request, rest) = quoted(rest)?;
        found.request = request;
        let rest = rest.strip_prefix(b" ")?;
        let (status, rest) = word(rest);
        let (size, rest) = word(rest);
        let number = |word: &[u8]| word.iter().all(u8::is_ascii_digit) || word == b"-";
        if !(number(status) && number(size)) || status.is_empty() || status.len() > 3 {
            return None;
        }
        (found.status, found.size) = (status, size);
        found.extra = rest;
        for place in [&mut found.referrer, &mut found.agent, &mut found.forwarded] {
            let Some(rest) = found.extra.strip_prefix(b"\"") else { break };
            let (text, rest) = quoted(rest)?;
            *place = text;
            found.extra = rest.strip_prefix(b" ").unwrap_or(rest);
        }
        Some(found)
    }

    /// `client ident user`, with a virtual host before them in some of Apache's logs.
    fn who(&mut self, text: &'a [u8]) -> Option<()> {
        let (first, rest) = word(text);
        let (second, third) = word(rest);
        let (client, ident, user) = match word(third) {
            (b"-", user) if second != b"-" && !user.is_empty() => {
                self.host = Some(first);
                (second, &b"-"[..], user)
            }
            _ => (first, second, third),
        };
        self.client = Raw::unless_dash(client);
        self.ident = Raw::unless_dash(ident);
        self.user = (user != b"-").then_some(Raw::Text(user));
        (!user.is_empty()).then_some(())
    }

    pub(super) fn hand_over(&self, sink: &mut impl Sink<'a>) {
        sink.put_some("vhost", self.host.map(Raw::Text));
        sink.put_some("client", self.client);
        sink.put_some("ident", self.ident);
        sink.put_some("user", self.user);
        sink.put(b"timestamp", Raw::Text(self.time));
        self.request(sink);
        sink.put_some("status", number(self.status));
        sink.put_some("size", number(self.size));
        sink.put_some("referrer", self.referrer.unless_dash());
        sink.put_some("agent", self.agent.unless_dash());
        sink.put_some("forwarded_for", self.forwarded.unless_dash());
        if !self.extra.is_empty() {
            sink.put(b"extra", Raw::Text(self.extra));
        }
    }

    /// `METHOD /path?query PROTOCOL`; what is none of that is told as it was sent.
    fn request(&self, sink: &mut impl Sink<'a>) {
        let quoted = self.request;
        let (method, rest) = word(quoted.text);
        let (target, protocol) = match memchr::memrchr(b' ', rest) {
            Some(blank) => (&rest[..blank], &rest[blank + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        let is_method = !method.is_empty() && method.iter().all(u8::is_ascii_uppercase);
        let is_request = protocol.is_empty() || protocol.starts_with(b"HTTP/");
        if !is_method || !is_request || target.is_empty() {
            return sink.put_some("request", quoted.unless_dash());
        }
        let (path, query) = match memchr::memchr(b'?', target) {
            Some(mark) => (&target[..mark], &target[mark + 1..]),
            None => (target, &target[target.len()..]),
        };
        sink.put(b"method", Raw::Text(method));
        sink.put(b"path", quoted.raw(path));
        if !query.is_empty() {
            sink.put(b"query", quoted.raw(query));
        }
        if !protocol.is_empty() {
            sink.put(b"protocol", Raw::Text(protocol));
        }
    }
}

fn number(digits: &[u8]) -> Option<Raw<'_>> {
    let number = digits.iter().try_fold(0_i64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(i64::from(digit))
    });
    number.filter(|_| !digits.is_empty()).map(Raw::Int)
}

fn quoted(text: &[u8]) -> Option<(Quoted<'_>, &[u8])> {
    let (text, escaped, rest) = until_quote(text, b'"')?;
    Some((Quoted { text, escaped }, rest))
}

fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', text) {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &text[text.len()..]),
    }
}
