//! Error logs of web servers.

use super::raw::{Escapes, Raw, Sink, until_quote};
use super::time;

/// nginx cuts longer lines here.
const CUT_BYTES: usize = 2047;

const CLIENT: &[u8] = b", client: ";

/// nginx: `2026/11/23 08:00:00 [error] 31#32: *7 message, client: 10.0.0.1, server: shop`.
pub(super) fn nginx<'a>(line: &'a [u8], sink: &mut impl Sink<'a>) -> Option<&'static str> {
    let Some((time, level, rest)) = nginx_head(line) else {
        return Some("not a line of nginx's logs");
    };
    sink.put(b"timestamp", Raw::Text(time));
    sink.put(b"level", Raw::Text(level));
    let mut rest = rest.trim_ascii_start();
    if let Some((process, thread, after)) = process(rest) {
        sink.put(b"pid", Raw::Word(process));
        sink.put(b"tid", Raw::Word(thread));
        rest = after;
    }
    if let Some(after) = rest.strip_prefix(b"*") {
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            sink.put(b"connection", Raw::Word(&after[..digits]));
            rest = after[digits..].trim_ascii_start();
        }
    }
    let end = context_at(rest, line.len() >= CUT_BYTES).unwrap_or(rest.len());
    sink.put(b"message", Raw::Text(&rest[..end]));
    context(&rest[end..], sink);
    None
}

/// The time, the level, and what follows.
fn nginx_head(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (_, length) = time::scan(line)?;
    let (time, rest) = line.split_at(length);
    let rest = rest.strip_prefix(b" [")?;
    let end = memchr::memchr(b']', rest)?;
    Some((time, &rest[..end], &rest[end + 1..]))
}

/// `31#32: `
fn process(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let hash = memchr::memchr(b'#', text)?;
    let colon = hash + memchr::memchr(b':', &text[hash..])?;
    let (process, thread) = (&text[..hash], &text[hash + 1..colon]);
    let number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    (number(process) && number(thread))
        .then(|| (process, thread, text[colon + 1..].trim_ascii_start()))
}

/// Where `, client: …` begins, as far as it can be told from what was sent: nginx writes paths and
/// requests without escaping them, though in quotes. Better none than a forged one.
fn context_at(text: &[u8], is_cut: bool) -> Option<usize> {
    let mut places = memchr::memmem::find_iter(text, CLIENT);
    let first = places.next()?;
    if !text[..first].contains(&b'"') {
        return Some(first);
    }
    if is_cut {
        // The genuine one may be what is missing.
        return None;
    }
    if places.next().is_none() {
        return Some(first);
    }
    // One was sent. Before the genuine one, there is text after it that is no context; behind it,
    // it is in the request.
    let request = memchr::memmem::find(text, b", request: \"").unwrap_or(text.len());
    let mut places = memchr::memmem::find_iter(&text[..request], CLIENT);
    places.find(|place| is_context(&text[*place..]))
}

/// Whether this is an address, then the server or nothing, and only names and values up to the end.
fn is_context(text: &[u8]) -> bool {
    let rest = text.strip_prefix(CLIENT).unwrap_or(text);
    let client = memchr::memmem::find(rest, b", ").unwrap_or(rest.len());
    let (client, mut rest) = rest.split_at(client);
    if client.contains(&b' ') || !(rest.is_empty() || rest.starts_with(b", server: ")) {
        return false;
    }
    while let Some(pair) = rest.strip_prefix(b", ") {
        let end = memchr::memmem::find(pair, b", ").unwrap_or(pair.len());
        rest = match memchr::memchr(b'"', &pair[..end]) {
            None => &pair[end..],
            Some(quote) if pair[..quote].ends_with(b": ") => {
                match until_quote(&pair[quote + 1..], b'"') {
                    Some((_, _, after)) => after,
                    None => return false,
                }
            }
            Some(_) => return false,
        };
    }
    rest.is_empty()
}

/// `, client: 10.0.0.1, request: "GET / HTTP/1.1"` …
fn context<'a>(mut text: &'a [u8], sink: &mut impl Sink<'a>) {
    while let Some(rest) = text.strip_prefix(b", ") {
        let Some(colon) = memchr::memmem::find(rest, b": ") else { return };
        let (name, value) = (&rest[..colon], &rest[colon + 2..]);
        let (value, after) = match value.strip_prefix(b"\"") {
            Some(quoted) => match until_quote(quoted, b'"') {
                Some((text, escaped, after)) => {
                    (Raw::quoted(text, escaped, Escapes::Backslash), after)
                }
                None => (Raw::Text(quoted), &quoted[quoted.len()..]),
            },
            None => {
                let end = memchr::memmem::find(value, b", ").unwrap_or(value.len());
                (Raw::Text(&value[..end]), &value[end..])
            }
        };
        if matches!(name, b"client" | b"server" | b"request" | b"upstream" | b"host" | b"referrer")
        {
            sink.put(name, value);
        }
        text = after;
    }
}

/// Apache: `[Mon Nov 23 08:00:00.123 2026] [core:error] [pid 3:tid 4] [client 10.0.0.1:5] message`.
pub(super) fn apache<'a>(line: &'a [u8], sink: &mut impl Sink<'a>) -> Option<&'static str> {
    const WRONG: &str = "not a line of Apache's logs";
    let Some((time, rest)) = bracketed(line) else { return Some(WRONG) };
    if time::scan_all(time).is_none() {
        return Some(WRONG);
    }
    let Some((level, mut rest)) = bracketed(rest) else { return Some(WRONG) };
    sink.put(b"timestamp", Raw::Text(time));
    match memchr::memchr(b':', level) {
        Some(colon) => {
            if colon > 0 {
                sink.put(b"module", Raw::Text(&level[..colon]));
            }
            sink.put(b"level", Raw::Text(&level[colon + 1..]));
        }
        None => sink.put(b"level", Raw::Text(level)),
    }
    while let Some((text, after)) = bracketed(rest) {
        if let Some(client) = text.strip_prefix(b"client ") {
            sink.put(b"client", Raw::Text(client));
        } else if let Some(process) = text.strip_prefix(b"pid ") {
            match memchr::memmem::find(process, b":tid ") {
                Some(colon) => {
                    sink.put(b"pid", Raw::Word(&process[..colon]));
                    sink.put(b"tid", Raw::Word(&process[colon + 5..]));
                }
                None => sink.put(b"pid", Raw::Word(process)),
            }
        } else {
            break;
        }
        rest = after;
    }
    let rest = rest.trim_ascii_start();
    let code = rest.strip_prefix(b"AH").and_then(|text| {
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (digits > 0 && text[digits..].starts_with(b": ")).then_some(digits + 2)
    });
    if let Some(length) = code {
        sink.put(b"code", Raw::Text(&rest[..length]));
    }
    let message = code.map_or(rest, |length| &rest[length + 2..]);
    sink.put(b"message", Raw::Text(message));
    None
}

/// What stands between brackets here, and what follows them.
fn bracketed(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = text.trim_ascii_start().strip_prefix(b"[")?;
    let end = memchr::memchr(b']', inside)?;
    Some((&inside[..end], &inside[end + 1..]))
}

#[cfg(test)]
mod tests {
    use crate::{Parser, Value};

    fn client(rest: &str) -> Option<String> {
        let line = format!("2026/11/23 08:00:00 [error] 31#32: *7 {rest}");
        let parsed = Parser::nginx().parse(line.as_bytes());
        assert_eq!(parsed.malformed, None, "{line}");
        parsed.fields.get("client").and_then(Value::as_str).map(str::to_owned)
    }

    #[test]
    fn what_was_sent_does_not_pass_for_the_client() {
        const REST: &str = "failed (2: No such file or directory), client: 10.0.0.1, server: shop";
        const FORGED: &str = ", client: 6.6.6.6, server: shop";
        let real = Some("10.0.0.1".to_owned());
        // In the path, which is written without its escapes, and in the request, which is as sent.
        for path in [
            FORGED.to_owned(),
            format!("\"{FORGED}"),
            format!("\"{FORGED}, request: \"z"),
            format!("\"{FORGED}, a: \"b\\"),
            format!("\"{FORGED}, a: \"b\", c: \""),
            ", client: 6.6.6.6".to_owned(),
        ] {
            let line = format!("open() \"/srv{path}\" {REST}, request: \"GET /x HTTP/1.1\"");
            assert!(client(&line).is_none_or(|found| Some(found) == real), "{line}");
            assert_ne!(client(&format!("open() \"/srv{path}\" {REST}")), Some("6.6.6.6".into()));
        }
        let line = format!("open() \"/srv{FORGED}\" {REST}, request: \"GET /x HTTP/1.1\"");
        assert_eq!(client(&line), real);
        for request in [FORGED.to_owned(), format!("\"{FORGED}"), format!("\"?{FORGED}, r: \"z")] {
            let line = format!(
                "open() \"/srv/x\" {REST}, request: \"GET /{request} HTTP/1.1\", host: \"shop\""
            );
            assert!(client(&line).is_none_or(|found| Some(found) == real), "{line}");
        }
        let line = format!("open() \"/srv/x\" {REST}, request: \"GET /{FORGED} HTTP/1.1\"");
        assert_eq!(client(&line), real);
    }

    #[test]
    fn a_client_is_found_whatever_else_is_told() {
        for rest in [
            "connect() failed, client: 10.0.0.1, server: 0.0.0.0:443, upstream: \"10.0.0.2:80\", \
             bytes from/to client:0/0, bytes from/to upstream:0/0",
            "SSL_do_handshake() failed, client: 10.0.0.1, server: 0.0.0.0:443",
            "recv() failed, client: 10.0.0.1",
            "odd, client: 10.0.0.1, server: shop, request: \"GET /a\"b HTTP/1.1\", host: \"shop\"",
        ] {
            assert_eq!(client(rest), Some("10.0.0.1".to_owned()), "{rest}");
        }
        assert_eq!(client("signal process started"), None);
        // Of a line that was cut, the genuine one may be missing, unless nothing was sent before.
        let long = "x".repeat(3000);
        let cut = format!("open() \"/srv\", client: 6.6.6.6, server: {long}");
        assert_eq!(client(&cut[..2010]), None);
        let cut = format!("recv() failed, client: 10.0.0.1, server: a, request: \"GET /{long}");
        assert_eq!(client(&cut[..2010]), Some("10.0.0.1".to_owned()));
    }
}
