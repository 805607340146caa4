//! Matchers: what an alert's labels must be.

use std::fmt;
use std::str::FromStr;

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind};
use crate::{Labels, pattern};

/// One condition on one label, in Alertmanager's syntax.
///
/// | written | holds when the label |
/// | --- | --- |
/// | `env="prod"` or `env=prod` | is `prod` |
/// | `env!="prod"` | is not `prod` |
/// | `team=~"a\|b"` | matches the pattern as a whole |
/// | `team!~"a\|b"` | does not |
///
/// A missing label is the empty string: `env=""` holds for an alert without `env`, and so do `env!="prod"` and
/// `env=~".*"`. A value may hold the escapes `\"`, `\\` and `\n`; a name that is not a plain word is quoted.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

/// The comparison of a [`Matcher`]. The order is Alertmanager's, which sorts the matchers in a group key by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl Matcher {
    /// Builds a matcher from its parts.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMatcher`] when the name is empty or the pattern cannot be compiled.
    pub fn new(
        name: impl Into<String>,
        op: MatchOp,
        value: impl Into<String>,
    ) -> Result<Self, Error> {
        let (name, value) = (name.into(), value.into());
        if name.is_empty() {
            return Err(invalid(&value, "the label's name is missing: write name=\"value\""));
        }
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(
                pattern::compile(&value)
                    .map_err(|e| invalid(&format!("{name}{op}{value:?}"), e.trim()))?,
            ),
        };
        Ok(Self { name, op, value, regex })
    }

    /// Reads one matcher, such as `team=~"api|web"`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMatcher`], with what was expected.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let trimmed = text.trim();
        let (name, rest) = split_name(text, trimmed)?;
        let rest = rest.trim_start();
        // The longer operators first: `=~` begins with `=`.
        let (op, value) = [MatchOp::Regex, MatchOp::NotRegex, MatchOp::NotEqual, MatchOp::Equal]
            .into_iter()
            .find_map(|op| Some((op, rest.strip_prefix(op.as_str())?)))
            .ok_or_else(|| {
                invalid(text, "expected =, !=, =~ or !~ after the label's name, as in env=\"prod\"")
            })?;
        Self::new(name, op, unquote(text, value.trim())?)
    }

    /// Does the condition hold for `labels`?
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name);
        match (self.op, &self.regex) {
            (MatchOp::NotEqual, _) => value != self.value,
            (MatchOp::Regex, Some(regex)) => regex.is_match(value),
            (MatchOp::NotRegex, Some(regex)) => !regex.is_match(value),
            _ => value == self.value,
        }
    }

    /// The label it looks at.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or pattern that it compares with, without quotes.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl MatchOp {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

impl fmt::Display for MatchOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// As Alertmanager prints it, in its group keys too: `name="value"`, with `"`, `\` and line feeds escaped.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_plain(&self.name) {
            write!(f, "{}{}\"{}\"", self.name, self.op, escaped(&self.value))
        } else {
            write!(f, "\"{}\"{}\"{}\"", escaped(&self.name), self.op, escaped(&self.value))
        }
    }
}

/// What [`unquote`] undoes, and nothing more: whatever else a text holds stands as it is.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('\n', r"\n").replace('"', "\\\"")
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl FromStr for Matcher {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn invalid(text: &str, message: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidMatcher, format_args!("matcher `{text}`"), message)
}

fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '_' | ':'))
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

/// The label's name, plain or quoted, and what follows it.
fn split_name<'t>(whole: &str, text: &'t str) -> Result<(String, &'t str), Error> {
    if text.starts_with('"') {
        let end = closing_quote(text)
            .ok_or_else(|| invalid(whole, "the quote around the label's name is not closed"))?;
        return Ok((unquote(whole, &text[..=end])?, &text[end + 1..]));
    }
    let end = text
        .find(|c: char| c.is_whitespace() || matches!(c, '=' | '!' | '~'))
        .unwrap_or(text.len());
    let name = &text[..end];
    if !name.is_empty() && !is_plain(name) {
        return Err(invalid(
            whole,
            format_args!("`{name}` is not a plain label name: write it in double quotes"),
        ));
    }
    Ok((name.to_owned(), &text[end..]))
}

/// Where the quoted text that begins `text` ends.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(i, c)| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes.then_some(i)
    })
}

/// The value without its quotes and escapes. Alertmanager's rules: quotes are optional, but a lone one is an error.
fn unquote(whole: &str, raw: &str) -> Result<String, Error> {
    let inner = match raw.strip_prefix('"') {
        None => raw,
        Some(_) => match closing_quote(raw) {
            Some(end) if end + 1 == raw.len() => &raw[1..end],
            Some(_) => return Err(invalid(whole, "there is text after the closing quote")),
            None => return Err(invalid(whole, "the closing quote is missing")),
        },
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('n')) => {
                chars.next();
                out.push('\n');
            }
            ('\\', Some(&next @ ('"' | '\\'))) => {
                chars.next();
                out.push(next);
            }
            ('"', _) => {
                return Err(invalid(whole, "a double quote inside the value is written \\\""));
            }
            // Any other escape stays as it is: `\d` belongs to the pattern.
            (other, _) => out.push(other),
        }
    }
    Ok(out)
}
