//! `key=value` lines, logfmt among them.

use super::raw::{Escapes, Raw, Sink, until_quote};
use crate::Error;

/// How the pairs of a line are written: what [`Parser::key_value`](crate::Parser::key_value)
/// takes. As it begins it is logfmt.
///
/// ```
/// use birl_logsource::{KeyValue, Parser, Value};
///
/// let ltsv = KeyValue::new().pairs_end_with("\t").values_begin_with(":");
/// let parsed = Parser::key_value(ltsv)?.parse(b"host:10.0.0.1\tstatus:200");
/// assert_eq!(parsed.fields.get("status"), Some(&Value::Int(200)));
/// # Ok::<(), birl_logsource::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct KeyValue {
    /// What ends a pair; none is any run of blanks.
    pair: Option<Box<[u8]>>,
    value: Box<[u8]>,
    quotes: Box<[u8]>,
    pub(super) bare: Bare,
}

/// What a word without a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bare {
    /// A flag, as in logfmt proper.
    IsTrue,
    /// Prose around the pairs. Only what looks like a name is a key then.
    IsNothing,
}

impl KeyValue {
    /// Blanks between pairs, `=` before values, double quotes, and a bare word is `true`.
    pub fn new() -> Self {
        Self { pair: None, value: (*b"=").into(), quotes: (*b"\"").into(), bare: Bare::IsTrue }
    }

    /// What stands between two pairs, such as `;` or a tab; blanks around it do not count.
    pub fn pairs_end_with(mut self, separator: impl AsRef<[u8]>) -> Self {
        self.pair = Some(separator.as_ref().into());
        self
    }

    /// What stands between a key and its value; blanks around it do not count, unless blanks end
    /// a pair.
    pub fn values_begin_with(mut self, separator: impl AsRef<[u8]>) -> Self {
        self.value = separator.as_ref().into();
        self
    }

    /// Which bytes quote a value, such as `"'`; none if empty. In quotes a backslash escapes.
    pub fn quotes(mut self, quotes: impl AsRef<[u8]>) -> Self {
        self.quotes = quotes.as_ref().into();
        self
    }

    /// Bare words are prose around the pairs, not flags.
    pub fn skip_bare_words(mut self) -> Self {
        self.bare = Bare::IsNothing;
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let pair = self.pair.as_deref().unwrap_or(b" ");
        if pair.is_empty() || self.value.is_empty() || *pair == *self.value {
            return Err(Error::invalid(
                "what ends a pair and what begins a value must be two different texts, neither \
                 of them empty; logfmt has a blank and `=`",
            ));
        }
        Ok(())
    }

    /// Hands over the pairs; what is wrong with the line.
    pub(super) fn parse<'a>(
        &self,
        line: &'a [u8],
        sink: &mut impl Sink<'a>,
    ) -> Option<&'static str> {
        let mut wrong = None;
        let mut rest = line.trim_ascii_start();
        while !rest.is_empty() && !sink.done() {
            let (key, after) = self.key(rest);
            let Some(value) = after.strip_prefix(&*self.value) else {
                if self.bare == Bare::IsTrue && !key.is_empty() {
                    sink.put(key, Raw::Bool(true));
                }
                rest = self.next(after);
                continue;
            };
            let value = if self.pair.is_some() { value.trim_ascii_start() } else { value };
            let quote = value.first().filter(|first| self.quotes.contains(first));
            let (raw, after) = match quote {
                Some(quote) => match until_quote(&value[1..], *quote) {
                    Some((text, escaped, after)) => {
                        (Raw::quoted(text, escaped, Escapes::Backslash), after)
                    }
                    None => {
                        wrong = Some("a quote is never closed");
                        (Raw::Text(&value[1..]), &value[value.len()..])
                    }
                },
                None => {
                    let (word, after) = value.split_at(self.pair_end(value));
                    let word = if self.pair.is_some() { word.trim_ascii_end() } else { word };
                    (Raw::Word(word), after)
                }
            };
            if key.is_empty() {
                wrong = wrong.or(Some("a value without a key"));
            } else if self.bare == Bare::IsTrue || is_name(key) {
                sink.put(key, raw);
            }
            rest = self.next(after);
        }
        wrong
    }

    /// The key, up to its value or to the end of the pair, and what follows.
    fn key<'a>(&self, text: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        if self.pair.is_none() && *self.value == *b"=" {
            let end = text.iter().position(|byte| *byte == b'=' || byte.is_ascii_whitespace());
            return text.split_at(end.unwrap_or(text.len()));
        }
        let pair = &text[..self.pair_end(text)];
        let end = find(&self.value, pair).unwrap_or(pair.len());
        let (key, after) = text.split_at(end);
        (key.trim_ascii_end(), after)
    }

    fn pair_end(&self, text: &[u8]) -> usize {
        let end = match &self.pair {
            Some(separator) => find(separator, text),
            None => text.iter().position(u8::is_ascii_whitespace),
        };
        end.unwrap_or(text.len())
    }

    /// The next pair: after a separator, if one is here.
    fn next<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let text = text.trim_ascii_start();
        match &self.pair {
            Some(separator) => text.strip_prefix(&**separator).unwrap_or(text).trim_ascii_start(),
            None => text,
        }
    }
}

impl Default for KeyValue {
    fn default() -> Self {
        Self::new()
    }
}

fn find(needle: &[u8], text: &[u8]) -> Option<usize> {
    match needle {
        [byte] => memchr::memchr(*byte, text),
        _ => memchr::memmem::find(text, needle),
    }
}

/// In prose only a word that looks like a name is a key: `/search?q=1` is not.
fn is_name(key: &[u8]) -> bool {
    key.first().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'@'))
        && key.iter().all(|b| b.is_ascii_alphanumeric() || b"_.-@".contains(b))
}
