//! A line as a container runtime writes it.

use std::borrow::Cow;

use serde::Deserialize;

/// What a file of a container is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `2026-11-23T08:00:00.123456789Z stdout F the message`.
    Cri,
    /// `{"log":"the message\n","stream":"stdout","time":"2026-11-23T08:00:00.123456789Z"}`.
    Docker,
}

/// Where a container wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
    /// A line in no known format, or one that does not say.
    Unknown,
}

/// One line's message, or part of one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) stream: Stream,
    /// Microseconds since 1970; 0 if it does not say.
    pub(super) time: u64,
    pub(super) message: Cow<'a, [u8]>,
    /// Whether the message ends with it.
    pub(super) is_last: bool,
}

impl Format {
    /// Parses a line in the format that the file is known to have, else in either.
    pub(super) fn parse<'a>(known: &mut Option<Self>, line: &'a [u8]) -> Part<'a> {
        let part = match known {
            Some(Self::Cri) => cri(line),
            Some(Self::Docker) => docker(line),
            None => {
                let (format, part) = if line.first() == Some(&b'{') {
                    (Self::Docker, docker(line))
                } else {
                    (Self::Cri, cri(line))
                };
                if part.is_some() {
                    *known = Some(format);
                }
                part
            }
        };
        let message = Cow::Borrowed(line);
        part.unwrap_or(Part { stream: Stream::Unknown, time: 0, message, is_last: true })
    }
}

impl Stream {
    fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"stdout" => Some(Self::Stdout),
            b"stderr" => Some(Self::Stderr),
            _ => None,
        }
    }
}

fn cri(line: &[u8]) -> Option<Part<'_>> {
    let (time, rest) = word(line)?;
    let (stream, rest) = word(rest)?;
    // A writer may leave out the blank after the last word.
    let (tags, message) = word(rest).unwrap_or((rest, &[]));
    let stream = Stream::of(stream)?;
    // There may be more tags than the first, one day.
    let is_last = match tags.split(|byte| *byte == b':').next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    let time = micros(time)?;
    Some(Part { stream, time, message: Cow::Borrowed(message), is_last })
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', text)?;
    Some((&text[..end], &text[end + 1..]))
}

#[derive(Deserialize)]
struct Docker<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time: Option<Cow<'a, str>>,
}

fn docker(line: &[u8]) -> Option<Part<'_>> {
    let Docker { log, stream, time } = serde_json::from_slice(line).ok()?;
    let stream = stream.and_then(|name| Stream::of(name.as_bytes()));
    let is_last = log.ends_with('\n');
    let bare = super::trim_end(log.as_bytes()).len();
    let message = match log {
        Cow::Borrowed(text) => {
            Cow::Borrowed(if is_last { &text.as_bytes()[..bare] } else { text.as_bytes() })
        }
        Cow::Owned(text) => {
            let mut bytes = text.into_bytes();
            bytes.truncate(if is_last { bare } else { bytes.len() });
            Cow::Owned(bytes)
        }
    };
    let time = time.and_then(|time| micros(time.as_bytes())).unwrap_or(0);
    Some(Part { stream: stream.unwrap_or(Stream::Unknown), time, message, is_last })
}

/// RFC 3339 as microseconds since 1970.
fn micros(text: &[u8]) -> Option<u64> {
    let time: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    u64::try_from(time.as_microsecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> (Stream, u64, String, bool) {
        let part = Format::parse(&mut None, line.as_bytes());
        let message = String::from_utf8(part.message.into_owned()).unwrap();
        (part.stream, part.time, message, part.is_last)
    }

    #[test]
    fn both_formats_are_understood() {
        let time = 1_795_420_800_123_456;
        let cri = "2026-11-23T08:00:00.123456789+00:00 stderr P  two  blanks ";
        assert_eq!(parsed(cri), (Stream::Stderr, time, " two  blanks ".into(), false));
        let empty = "2026-11-23T08:00:00.123456Z stdout F";
        assert_eq!(parsed(empty), (Stream::Stdout, time, String::new(), true));
        let docker = r#"{"log":"a \"b\"\r\n","stream":"stdout","attrs":{"x":"y"},"time":"2026-11-23T08:00:00.123456789Z"}"#;
        assert_eq!(parsed(docker), (Stream::Stdout, time, "a \"b\"".into(), true));
        let part = r#"{"time":"2026-11-23T08:00:00.123456789Z","stream":"stderr","log":"part\r"}"#;
        assert_eq!(parsed(part), (Stream::Stderr, time, "part\r".into(), false));
    }

    #[test]
    fn what_is_in_no_format_is_left_as_it_is() {
        let lines = [
            "2026-11-23T08:00:00Z stdout X what",
            "2026-11-23T08:00:00Z stdin F what",
            "yesterday stdout F what",
            r#"{"log":7}"#,
            r#"{"message":"no"}"#,
            r#"{"log":"cut"#,
            "",
        ];
        for line in lines {
            assert_eq!(parsed(line), (Stream::Unknown, 0, line.to_owned(), true));
        }
    }
}
