//! Error logs of web servers.

use super::raw::{Escapes, Raw, Sink, until_quote};
use super::time;

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
    let end = memchr::memmem::find(rest, b", client: ").unwrap_or(rest.len());
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
