//! Lines cut at a delimiter, each piece named by its position.

use super::raw::{Escapes, Raw, Sink};
use crate::Error;

/// How the columns of a line are written: what [`Parser::delimited`](crate::Parser::delimited)
/// takes.
///
/// ```
/// use birl_logsource::{Delimited, Parser, Value};
///
/// let columns = Delimited::new(["date", "time", "level", "message"]).blanks().rest();
/// let parsed = Parser::delimited(columns)?.parse(b"2026-11-23 08:00:00  WARN disk is full");
/// assert_eq!(parsed.fields.get("message"), Some(&Value::Str("disk is full".into())));
/// # Ok::<(), birl_logsource::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Delimited {
    names: Vec<Box<str>>,
    /// None is any run of blanks.
    delimiter: Option<Box<[u8]>>,
    quote: Option<u8>,
    missing: Option<Box<[u8]>>,
    rest: bool,
}

/// A quoted column, what follows its delimiter, and what is wrong with it.
type Piece<'a> = (Raw<'a>, Option<&'a [u8]>, Option<&'static str>);

impl Delimited {
    /// Columns of these names, with a comma between two of them, and `"` around what holds one. A
    /// column whose name is empty is no field.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self {
            names: names.into_iter().map(|name| name.into().into()).collect(),
            delimiter: Some((*b",").into()),
            quote: Some(b'"'),
            missing: None,
            rest: false,
        }
    }

    /// What stands between two columns, such as a tab or ` | `.
    pub fn delimiter(mut self, delimiter: impl AsRef<[u8]>) -> Self {
        self.delimiter = Some(delimiter.as_ref().into());
        self
    }

    /// Any run of blanks and tabs stands between two columns.
    pub fn blanks(mut self) -> Self {
        self.delimiter = None;
        self
    }

    /// The byte around a column that holds the delimiter; inside, it is written twice. None takes
    /// quotes for what they are.
    pub fn quote(mut self, quote: impl Into<Option<u8>>) -> Self {
        self.quote = quote.into();
        self
    }

    /// An unquoted column of this text, such as `-`, is a field that is missing.
    pub fn missing(mut self, text: impl AsRef<[u8]>) -> Self {
        self.missing = Some(text.as_ref().into());
        self
    }

    /// The last name takes all that is left of the line, delimiters and quotes too.
    pub fn rest(mut self) -> Self {
        self.rest = true;
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if self.delimiter.as_ref().is_some_and(|delimiter| delimiter.is_empty()) {
            return Err(Error::invalid("a delimiter is at least one byte"));
        }
        if self.names.iter().all(|name| name.is_empty()) {
            return Err(Error::invalid("delimited lines need a name for at least one column"));
        }
        let mut names: Vec<_> = self.names.iter().filter(|name| !name.is_empty()).collect();
        names.sort();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Error::invalid(format!("two columns are named `{}`", pair[0]))),
            None => Ok(()),
        }
    }

    /// For each column, the slot of the path that names it.
    pub(super) fn plan(&self, paths: &[Box<str>]) -> Vec<Option<u16>> {
        let slots = self.names.iter().map(|name| {
            let place = paths.iter().position(|path| path == name && !name.is_empty())?;
            Some(place as u16)
        });
        slots.collect()
    }

    pub(super) fn parse<'a>(
        &self,
        line: &'a [u8],
        sink: &mut impl Sink<'a>,
    ) -> Option<&'static str> {
        self.columns(line, |column, value| {
            match &*self.names[column] {
                "" => {}
                name => sink.put(name.as_bytes(), value),
            }
            false
        })
    }

    /// Hands over each column, until there are no more or somebody says that it is enough; what is
    /// wrong with the line.
    pub(super) fn columns<'a>(
        &self,
        line: &'a [u8],
        mut enough: impl FnMut(usize, Raw<'a>) -> bool,
    ) -> Option<&'static str> {
        let mut rest = if self.delimiter.is_none() { trim_start(line) } else { line };
        let last = self.names.len() - 1;
        let mut wrong = None;
        for column in 0..=last {
            if column == last && self.rest {
                if self.missing.as_deref() != Some(rest) {
                    enough(column, Raw::Word(rest));
                }
                return wrong;
            }
            let (value, after) = match self.quoted(rest) {
                Some((value, after, fault)) => {
                    wrong = wrong.or(fault);
                    (value, after)
                }
                None => {
                    let (word, after) = self.cut(rest);
                    (Raw::Word(word), after)
                }
            };
            let missing = matches!(value, Raw::Word(word) if self.missing.as_deref() == Some(word));
            if !missing && enough(column, value) {
                return wrong;
            }
            match after {
                Some(_) if column == last => {
                    return wrong.or(Some("the line has more columns than there are names"));
                }
                Some(after) => rest = after,
                None if column < last => {
                    return wrong.or(Some("the line has fewer columns than there are names"));
                }
                None => {}
            }
        }
        wrong
    }

    /// A piece up to the next delimiter, and what follows that.
    fn cut<'a>(&self, text: &'a [u8]) -> (&'a [u8], Option<&'a [u8]>) {
        let (at, width) = match self.delimiter.as_deref() {
            Some([byte]) => (memchr::memchr(*byte, text), 1),
            Some(delimiter) => (memchr::memmem::find(text, delimiter), delimiter.len()),
            None => {
                let Some(at) = memchr::memchr2(b' ', b'\t', text) else { return (text, None) };
                let after = trim_start(&text[at..]);
                return (&text[..at], (!after.is_empty()).then_some(after));
            }
        };
        match at {
            Some(at) => (&text[..at], Some(&text[at + width..])),
            None => (text, None),
        }
    }

    fn quoted<'a>(&self, text: &'a [u8]) -> Option<Piece<'a>> {
        let quote = self.quote.filter(|quote| text.first() == Some(quote))?;
        let text = &text[1..];
        let (mut at, mut doubled) = (0, false);
        loop {
            let Some(found) = memchr::memchr(quote, &text[at..]) else {
                return Some((Raw::Text(text), None, Some("a quote is never closed")));
            };
            at += found;
            if text.get(at + 1) != Some(&quote) {
                break;
            }
            doubled = true;
            at += 2;
        }
        let value = Raw::quoted(&text[..at], doubled, Escapes::Doubled(quote));
        let (junk, after) = self.cut(&text[at + 1..]);
        let wrong = (!junk.is_empty()).then_some("text follows a closing quote");
        Some((value, after, wrong))
    }
}

fn trim_start(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &text[blanks..]
}
