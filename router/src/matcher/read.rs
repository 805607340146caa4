//! Which syntax a text is in. What the classic one can read is classic: where both can, Alertmanager too lets it win.

use super::{Parts, classic, invalid, is_plain, shorthand, utf8};
use crate::{Error, Matcher};

/// Why a text is not in a syntax: the part of the text, and what was expected there.
pub(super) struct Complaint {
    pub(super) text: String,
    pub(super) message: String,
}

impl Complaint {
    pub(super) fn new(text: &str, message: impl Into<String>) -> Self {
        Self { text: text.to_owned(), message: message.into() }
    }
}

impl From<Complaint> for Error {
    fn from(complaint: Complaint) -> Self {
        invalid(&complaint.text, complaint.message)
    }
}

/// One matcher; a list is refused, but for what the classic syntax takes for one value: `a=b,c=d` asks whether `a` is
/// `b,c=d`.
pub(super) fn one(text: &str) -> Result<Matcher, Error> {
    let classic = match classic::one(text).map_err(Error::from).and_then(Parts::compile) {
        Ok(matcher) => return Ok(matcher),
        Err(error) => error,
    };
    if text.trim().starts_with('{') {
        return Err(invalid(text, "one matcher has no braces: write env=\"prod\""));
    }
    let only = |mut parts: Vec<Parts>| match (parts.pop(), parts.len()) {
        (Some(one), 0) => one.compile(),
        (_, others) => {
            Err(invalid(text, format_args!("expected one matcher, found {}", others + 1)))
        }
    };
    match utf8::list(text).map_err(Error::from).and_then(only) {
        Ok(matcher) => Ok(matcher),
        Err(_) if shorthand::looks_like(text) => {
            shorthand::list(text).map_err(Error::from).and_then(only)
        }
        Err(modern) => Err(telling(text, classic, modern)),
    }
}

/// A list of matchers, which may be empty.
pub(super) fn list(text: &str) -> Result<Vec<Matcher>, Error> {
    let compile = |parts: Vec<Parts>| parts.into_iter().map(Parts::compile).collect();
    let classic: Result<Vec<_>, Error> = classic::list(text).map_err(Error::from).and_then(compile);
    let classic = match classic {
        Ok(matchers) => return Ok(matchers),
        Err(error) => error,
    };
    let modern: Result<Vec<_>, Error> = utf8::list(text).map_err(Error::from).and_then(compile);
    match modern {
        Ok(matchers) => Ok(matchers),
        Err(_) if shorthand::looks_like(text) => {
            shorthand::list(text).map_err(Error::from).and_then(compile)
        }
        Err(modern) => Err(telling(text, classic, modern)),
    }
}

/// Of two refusals the one that helps: where the names are not plain, the classic syntax was not meant.
fn telling(text: &str, classic: Error, modern: Error) -> Error {
    let inner = text.trim().trim_start_matches('{').trim_start();
    let end = inner.find(|c: char| c.is_whitespace() || "=!~".contains(c)).unwrap_or(inner.len());
    if end == 0 || is_plain(&inner[..end]) { classic } else { modern }
}
