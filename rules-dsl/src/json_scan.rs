//! The outermost object of a line of JSON, name by name.
//!
//! Nearly every line is a flat object of short texts and plain numbers, of which rules want a few. Those
//! are read here, in a loop over bytes; whatever is more than that, escapes, odd numbers, and what
//! nests, is left to `serde_json`, so that both take the same texts for JSON and say the same of them.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, IgnoredAny};

use crate::json_line::Item;
use crate::value::Value;

/// So many digits fit into 64 bits whatever they are.
const DIGITS: usize = 18;
/// Up to here every integer is a float as well.
const EXACT: u64 = 1 << 53;
/// Powers of ten that are floats without rounding, as far as digits go.
const POWERS: [f64; DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];

/// A text as it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written<'t> {
    quoted: &'t str,
    pub(crate) has_escapes: bool,
}

impl<'t> Written<'t> {
    /// Between its quotes.
    #[inline]
    pub(crate) fn raw(&self) -> &'t str {
        &self.quoted[1..self.quoted.len() - 1]
    }

    /// With its escapes resolved.
    pub(crate) fn text(&self) -> Option<Cow<'t, str>> {
        match self.has_escapes {
            false => Some(Cow::Borrowed(self.raw())),
            true => serde_json::from_str(self.quoted).map(Cow::Owned).ok(),
        }
    }
}

/// A place in a text. Its methods give nothing where the text is no JSON, or ends.
#[derive(Debug)]
pub(crate) struct Scan<'t> {
    text: &'t str,
    at: usize,
    is_first: bool,
}

impl<'t> Scan<'t> {
    /// Begins to read an object, if the text is one.
    pub(crate) fn new(text: &'t str) -> Option<Self> {
        let mut scan = Self { text, at: 0, is_first: true };
        scan.blank();
        scan.enter().then_some(scan)
    }

    /// Goes into the object that comes next, if one does; its names come next then.
    pub(crate) fn enter(&mut self) -> bool {
        let is_object = self.peek() == Some(b'{');
        if is_object {
            self.at += 1;
            self.is_first = true;
        }
        is_object
    }

    /// Where it stands, to come back to.
    pub(crate) fn place(&self) -> usize {
        self.at
    }

    pub(crate) fn back_to(&mut self, place: usize) {
        self.at = place;
    }

    /// The next name of the object; its value is read or skipped next. At its end it goes behind it, and
    /// there is none.
    #[inline]
    pub(crate) fn name(&mut self) -> Option<Option<Written<'t>>> {
        let is_first = std::mem::take(&mut self.is_first);
        self.blank();
        match self.peek()? {
            b'}' => {
                self.at += 1;
                return Some(None);
            }
            b',' if !is_first => {
                self.at += 1;
                self.blank();
            }
            _ if !is_first => return None,
            _ => {}
        }
        let name = self.string()?;
        self.sign(b':')?;
        self.blank();
        Some(Some(name))
    }

    /// Whether a list or an object comes next.
    pub(crate) fn nests(&self) -> bool {
        matches!(self.peek(), Some(b'[' | b'{'))
    }

    /// A value that is no list and no object. It is handed on where it is made, because moving it costs
    /// as much as reading it.
    #[inline]
    pub(crate) fn scalar<T>(&mut self, take: impl FnOnce(Value<'t>) -> T) -> Option<T> {
        match self.peek()? {
            b'"' => {
                let text = self.string()?;
                Some(match text.has_escapes {
                    false => take(Value::Str(Cow::Borrowed(text.raw()))),
                    true => take(Value::Str(text.text()?)),
                })
            }
            b't' => self.word("true").map(|()| take(Value::Bool(true))),
            b'f' => self.word("false").map(|()| take(Value::Bool(false))),
            b'n' => self.word("null").map(|()| take(Value::Null)),
            _ => {
                let plain = self.plain_number();
                let value = if plain.is_some() { plain } else { self.any(Item) };
                value.map(take)
            }
        }
    }

    /// A value of any kind, read by `seed`.
    pub(crate) fn any<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Option<S::Value> {
        let mut reader = serde_json::Deserializer::from_str(&self.text[self.at..]);
        let value = seed.deserialize(&mut reader).ok()?;
        self.at += reader.into_iter::<IgnoredAny>().byte_offset();
        Some(value)
    }

    /// Goes behind a value.
    #[inline]
    pub(crate) fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string_end().map(|_| ()),
            b'[' | b'{' => self.pass_over(),
            b't' | b'f' | b'n' => self.scalar(|_| ()),
            _ => self.plain_number().map(|_| ()).or_else(|| self.pass_over()),
        }
    }

    fn pass_over(&mut self) -> Option<()> {
        self.any(std::marker::PhantomData::<IgnoredAny>).map(|_| ())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn sign(&mut self, sign: u8) -> Option<()> {
        self.blank();
        (self.peek()? == sign).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        rest.starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    #[inline]
    fn string(&mut self) -> Option<Written<'t>> {
        let start = self.at;
        let has_escapes = self.string_end()?;
        Some(Written { quoted: &self.text[start..self.at], has_escapes })
    }

    /// Goes behind a text. Says whether it has escapes, which are right then.
    #[inline]
    fn string_end(&mut self) -> Option<bool> {
        let start = self.at;
        if self.peek()? != b'"' {
            return None;
        }
        let (bytes, mut escaped) = (self.text.as_bytes(), false);
        let mut at = start + 1;
        loop {
            at = next_odd(bytes, at);
            match bytes.get(at)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    at += 2;
                }
                _ => return None,
            }
        }
        self.at = at + 1;
        if escaped {
            serde_json::from_str::<IgnoredAny>(self.text.get(start..self.at)?).ok()?;
        }
        Some(escaped)
    }

    /// A number of few digits, maybe with a point; none if it is another or no number.
    #[inline]
    fn plain_number(&mut self) -> Option<Value<'t>> {
        let bytes = self.text.as_bytes();
        let is_negative = self.peek() == Some(b'-');
        let start = self.at + usize::from(is_negative);
        let (mut at, mut value, mut point) = (start, 0_u64, None);
        loop {
            match bytes.get(at) {
                Some(digit @ b'0'..=b'9') if at - start <= DIGITS => {
                    value = value * 10 + u64::from(digit - b'0');
                }
                Some(b'.') if point.is_none() => point = Some(at),
                _ => break,
            }
            at += 1;
        }
        let digits = at - start - usize::from(point.is_some());
        let whole = point.unwrap_or(at) - start;
        let is_plain = (1..=DIGITS).contains(&digits)
            && whole > 0
            && (whole == 1 || bytes[start] != b'0')
            && point.is_none_or(|point| point + 1 < at)
            && !matches!(bytes.get(at), Some(b'0'..=b'9' | b'.' | b'e' | b'E'));
        let fraction = digits - whole.min(digits);
        match (is_plain, point) {
            (true, None) if value > 0 || !is_negative => {
                self.at = at;
                let value = value as i64;
                Some(Value::Int(if is_negative { -value } else { value }))
            }
            // One exact division of exact floats: what rounding is left is right.
            (true, Some(_)) if value <= EXACT => {
                self.at = at;
                let value = value as f64 / POWERS[fraction];
                Some(Value::Float(if is_negative { -value } else { value }))
            }
            _ => None,
        }
    }
}

/// Where the next quote, backslash or control character is, or the end.
#[inline]
fn next_odd(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The lowest bit that is set is of the first odd byte; those above it may be of others.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*eight);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let odd = control
            | zero(word ^ (ONES * u64::from(b'"')))
            | zero(word ^ (ONES * u64::from(b'\\')));
        if odd != 0 {
            return at + odd.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at) {
        if matches!(byte, b'"' | b'\\' | 0..=0x1f) {
            break;
        }
        at += 1;
    }
    at
}
