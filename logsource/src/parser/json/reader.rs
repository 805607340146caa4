//! Steps through JSON text without making anything of it.

use std::ops::Range;

use super::super::value::{ValueRef, integer};

/// Containers may be inside one another one level less than this, as in serde_json.
const MAX_DEPTH: u32 = 128;

/// A position in the text. What is `None` is malformed.
pub(super) struct Reader<'t> {
    pub(super) text: &'t str,
    pub(super) bytes: &'t [u8],
    pub(super) at: usize,
    pub(super) depth: u32,
}

/// What stands between two quotes.
pub(super) struct Quoted {
    pub(super) at: Range<usize>,
    pub(super) escaped: bool,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, depth: 0 }
    }

    pub(super) fn literal(&mut self, word: &str) -> Option<()> {
        let found = self.bytes[self.at..].starts_with(word.as_bytes());
        self.at += if found { word.len() } else { 0 };
        found.then_some(())
    }

    /// A number; none of its value if it is one that no float holds.
    pub(super) fn number(&mut self) -> Option<Option<ValueRef<'static>>> {
        let start = self.at;
        let integral = self.skip_number()?;
        let number = &self.text[start..self.at];
        let digits = number.strip_prefix('-').unwrap_or(number);
        if integral
            && number != "-0"
            && let Some(value) = integer(digits.as_bytes(), digits.len() < number.len())
        {
            return Some(Some(value));
        }
        // What is no 64-bit integer is a float.
        Some(serde_json::from_str::<f64>(number).ok().map(ValueRef::Float))
    }

    /// Steps over any value.
    pub(super) fn skip(&mut self) -> Option<()> {
        let floor = self.depth;
        let mut objects = 0_u128;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    self.string()?;
                }
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    self.deeper()?;
                    objects = objects << 1 | u128::from(open == b'{');
                    self.blank();
                    if !self.take(open + 2) {
                        if open == b'{' {
                            self.name()?;
                        }
                        continue;
                    }
                    objects >>= 1;
                    self.depth -= 1;
                }
                b't' => self.literal("true")?,
                b'f' => self.literal("false")?,
                b'n' => self.literal("null")?,
                _ => {
                    self.skip_number()?;
                }
            }
            // After a value: what it stands in goes on, or ends.
            loop {
                if self.depth == floor {
                    return Some(());
                }
                self.blank();
                let object = objects & 1 == 1;
                match self.next()? {
                    b',' => {
                        self.blank();
                        if object {
                            self.name()?;
                        }
                        break;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return None,
                }
                objects >>= 1;
                self.depth -= 1;
            }
        }
    }

    /// A name that nobody asked for, and its colon.
    pub(super) fn name(&mut self) -> Option<()> {
        self.expect(b'"')?;
        self.string()?;
        self.colon()
    }

    /// Whether it is integral.
    pub(super) fn skip_number(&mut self) -> Option<bool> {
        self.take(b'-');
        match self.next()? {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        let mut integral = true;
        if self.take(b'.') {
            integral = false;
            self.digit()?;
        }
        if self.take(b'e') || self.take(b'E') {
            integral = false;
            let _ = self.take(b'+') || self.take(b'-');
            self.digit()?;
        }
        Some(integral)
    }

    /// At least one digit.
    pub(super) fn digit(&mut self) -> Option<()> {
        self.next()?.is_ascii_digit().then(|| self.digits())
    }

    pub(super) fn digits(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    /// A string after its opening quote. Escapes are checked, not resolved.
    pub(super) fn string(&mut self) -> Option<Quoted> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain(&self.bytes[self.at..]);
            match self.next()? {
                b'"' => return Some(Quoted { at: start..self.at - 1, escaped }),
                b'\\' => {
                    escaped = true;
                    match self.next()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let hex = self.bytes.get(self.at..self.at + 4)?;
                            if !hex.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            self.at += 4;
                        }
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
    }

    pub(super) fn deeper(&mut self) -> Option<()> {
        self.depth += 1;
        (self.depth < MAX_DEPTH).then_some(())
    }

    pub(super) fn colon(&mut self) -> Option<()> {
        self.blank();
        self.expect(b':')?;
        self.blank();
        Some(())
    }

    pub(super) fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }
}

/// How many bytes come before the next quote, backslash or control character: eight at a time.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // A byte's high bit is set where it is below the one that is taken off; a borrow can only
        // set further ones after the first, which is all that is asked for.
        let below = |word: u64, byte: u8| word.wrapping_sub(ONES * u64::from(byte)) & !word;
        let found = below(word, 0x20)
            | below(word ^ (ONES * u64::from(b'"')), 1)
            | below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = found & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = &bytes[at..];
    let end = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'));
    at + end.unwrap_or(rest.len())
}

/// Resolves escapes that were checked before. A surrogate without its twin is U+FFFD.
pub(super) fn unescape(text: &str, into: &mut String) -> Option<()> {
    let mut at = 0;
    while let Some(escape) = memchr::memchr(b'\\', &text.as_bytes()[at..]).map(|n| at + n) {
        into.push_str(&text[at..escape]);
        at = escape + 2;
        into.push(match text.as_bytes().get(escape + 1)? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => match surrogate(&text[escape..]) {
                Some((found, len)) => {
                    at = escape + len;
                    found.unwrap_or(char::REPLACEMENT_CHARACTER)
                }
                None => {
                    at += 4;
                    char::from_u32(hex(&text[escape..])?)?
                }
            },
            other => char::from(*other),
        });
    }
    into.push_str(&text[at..]);
    Some(())
}

/// The character of two surrogates at the beginning of a text, or none of one without its twin;
/// and how long that is. `None` if it begins with no surrogate.
pub(super) fn surrogate(text: &str) -> Option<(Option<char>, usize)> {
    let first = hex(text).filter(|first| (0xD800..0xE000).contains(first))?;
    let low = text.get(6..).and_then(hex).and_then(|second| second.checked_sub(0xDC00));
    match low.filter(|low| *low < 0x400 && first < 0xDC00) {
        Some(low) => Some((char::from_u32(0x10000 + ((first - 0xD800) << 10) + low), 12)),
        None => Some((None, 6)),
    }
}

/// The value of `\uHHHH` at the beginning of a text.
fn hex(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.as_bytes().get(..4)?;
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}
