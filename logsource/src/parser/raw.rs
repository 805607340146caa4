//! What a format finds in a line, before anybody knows whether it is wanted.

use super::structured;
use super::value::typed;
use crate::{Fields, Value};

/// A value as it stands in the line. Making something of it is left to who wants it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Raw<'a> {
    /// Text that stays text.
    Text(&'a [u8]),
    /// A bare word, typed by what it looks like.
    Word(&'a [u8]),
    /// Text with escapes in it.
    Escaped(&'a [u8], Escapes),
    /// A name that the format has for a number.
    Known(&'static str),
    Bool(bool),
    Int(i64),
    /// The structured data of RFC 5424, checked.
    Elements(&'a [u8]),
}

/// How characters are written that could not stand for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// `\n`, `\t`, `\r`, `\xHH`, `\uHHHH`; before any other character a backslash means nothing.
    Backslash,
    /// RFC 5424: a backslash counts before `"`, `\` and `]` only.
    Structured,
    /// A quote is written twice.
    Doubled(u8),
}

/// Takes what a format finds. Of a name that repeats, the first counts.
pub(super) trait Sink<'a> {
    fn put(&mut self, name: &[u8], value: Raw<'a>);

    /// Whether nothing more is wanted of this line.
    fn done(&self) -> bool;

    fn put_some(&mut self, name: &str, value: Option<Raw<'a>>) {
        if let Some(value) = value {
            self.put(name.as_bytes(), value);
        }
    }
}

/// Wants everything.
impl<'a> Sink<'a> for Fields {
    fn put(&mut self, name: &[u8], value: Raw<'a>) {
        self.insert_first(String::from_utf8_lossy(name), || value.to_value());
    }

    fn done(&self) -> bool {
        false
    }
}

impl<'a> Raw<'a> {
    /// Text between quotes.
    pub(super) fn quoted(text: &'a [u8], escaped: bool, escapes: Escapes) -> Self {
        if escaped { Self::Escaped(text, escapes) } else { Self::Text(text) }
    }

    /// A bare word, if it is not the `-` that stands for none.
    pub(super) fn unless_dash(word: &'a [u8]) -> Option<Self> {
        (word != b"-" && !word.is_empty()).then_some(Self::Word(word))
    }

    pub(super) fn to_value(self) -> Value {
        match self {
            Self::Text(text) => Value::Str(String::from_utf8_lossy(text).into_owned()),
            Self::Word(word) => match typed(word) {
                Some(value) => value.to_value(),
                None => Self::Text(word).to_value(),
            },
            Self::Escaped(text, escapes) => Value::Str(unescaped(text, escapes)),
            Self::Known(name) => Value::Str(name.to_owned()),
            Self::Bool(value) => Value::Bool(value),
            Self::Int(number) => Value::Int(number),
            Self::Elements(text) => structured::to_value(text),
        }
    }
}

/// The text that was meant; what is not UTF-8 is replaced.
pub(super) fn unescaped(text: &[u8], escapes: Escapes) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    unescape(text, escapes, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) fn unescape(text: &[u8], escapes: Escapes, into: &mut Vec<u8>) {
    let mark = match escapes {
        Escapes::Doubled(quote) => quote,
        _ => b'\\',
    };
    let mut rest = text;
    while let Some(at) = memchr::memchr(mark, rest) {
        into.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(byte) = rest.first() else {
            into.push(mark);
            break;
        };
        let mut taken = 1;
        match (escapes, *byte) {
            (Escapes::Backslash, b'n') => into.push(b'\n'),
            (Escapes::Backslash, b't') => into.push(b'\t'),
            (Escapes::Backslash, b'r') => into.push(b'\r'),
            (Escapes::Backslash, other) => match (other, hex(rest, 2), hex(rest, 4)) {
                (b'x', Some(value), _) => {
                    into.push(value as u8);
                    taken = 3;
                }
                (b'u', _, Some(value)) => {
                    let c = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
                    into.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    taken = 5;
                }
                _ => into.push(other),
            },
            (Escapes::Structured, b'"' | b'\\' | b']') => into.push(*byte),
            (Escapes::Structured, other) => into.extend([mark, other]),
            (Escapes::Doubled(_), other) if other == mark => into.push(mark),
            (Escapes::Doubled(_), other) => into.extend([mark, other]),
        }
        rest = &rest[taken..];
    }
    into.extend_from_slice(rest);
}

/// The value of so many hexadecimal digits after a letter.
fn hex(text: &[u8], digits: usize) -> Option<u32> {
    text.get(1..=digits)?
        .iter()
        .try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

/// Text after its opening quote: what is inside, whether there are backslashes in it, and what
/// follows the closing quote.
pub(super) fn until_quote(text: &[u8], quote: u8) -> Option<(&[u8], bool, &[u8])> {
    let mut at = 0;
    let mut escaped = false;
    loop {
        at += memchr::memchr2(quote, b'\\', text.get(at..)?)?;
        if text[at] == quote {
            return Some((&text[..at], escaped, &text[at + 1..]));
        }
        escaped = true;
        at += 2;
    }
}
