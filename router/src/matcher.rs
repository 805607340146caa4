//! Matchers: what an alert's labels must be.

mod classic;
mod list;
mod quote;
mod read;
mod shorthand;
mod utf8;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::list::Matchers;
use crate::error::{Error, ErrorKind};
use crate::pattern::Pattern;
use crate::{Labels, matcher::quote::Quoted};

/// One condition on one label.
///
/// | written | holds when the label |
/// | --- | --- |
/// | `env="prod"` or `env=prod` | is `prod` |
/// | `env!="prod"` | is not `prod` |
/// | `team=~"a\|b"` | matches the pattern as a whole |
/// | `team!~"a\|b"` | does not |
///
/// A missing label is the empty string: `env=""` holds for an alert without `env`, and so do `env!="prod"` and
/// `env=~".*"`.
///
/// # Alertmanager has two syntaxes
///
/// The classic one has plain names (`[a-zA-Z_:][a-zA-Z0-9_:]*`); a value, quoted or not, may hold the escapes `\"`, `\\`
/// and `\n`, and any other backslash stands for itself: `path=~"\d+"`. The UTF-8 one, since Alertmanager 0.27, takes any
/// name, in double quotes where it holds one of ``{}!=~,\"'` `` or a space, and Go's escapes. A text that both can read
/// means what the classic one says, which is Alertmanager's rule too.
///
/// # birl's shorthand
///
/// | written | the same as |
/// | --- | --- |
/// | `env:prod` | `env="prod"` |
/// | `team:*` | `team!=""`: it is there |
/// | `host:web-*` | `host=~"web-.*"`; a `*` may stand anywhere |
/// | `env:"a b"` | `env="a b"`; in quotes a `*` is itself |
///
/// Several are joined by `+`, in [`Matchers`]: `env:prod+team:api`. Whatever Alertmanager can read is not a shorthand:
/// `job:up=1` asks the label `job:up`.
///
/// # The pattern
///
/// Go's dialect (RE2), anchored at both ends: `.` does not match a line feed, `\d`, `\w`, `\s` and `\b` are ASCII.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    pattern: Option<Arc<Pattern>>,
}

/// The comparison of a [`Matcher`]. The order is Alertmanager's, which sorts the matchers in a group key by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => {
                let compiled = Pattern::compile(&value);
                Some(Arc::new(
                    compiled.map_err(|e| invalid(&format!("{name}{op}{value:?}"), e.trim()))?,
                ))
            }
        };
        Ok(Self { name, op, value, pattern })
    }

    /// Reads one matcher, such as `team=~"api|web"`, in any of the syntaxes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMatcher`], with what was expected.
    pub fn parse(text: &str) -> Result<Self, Error> {
        read::one(text)
    }

    /// Does the condition hold for `labels`?
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.get(&self.name))
    }

    /// Does it hold for this value of its label? A missing label is the empty string.
    pub fn matches_value(&self, value: &str) -> bool {
        match (self.op, &self.pattern) {
            (MatchOp::NotEqual, _) => value != self.value,
            (MatchOp::Regex, Some(pattern)) => pattern.is_match(value),
            (MatchOp::NotRegex, Some(pattern)) => !pattern.is_match(value),
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

    /// The compiled pattern of `=~` and `!~`.
    pub(crate) fn pattern(&self) -> Option<&Arc<Pattern>> {
        self.pattern.as_ref()
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

/// As Alertmanager prints it, in its group keys too: `name="value"`, with `"`, `\` and line feeds escaped. A name that
/// only the UTF-8 syntax can read is quoted, and then the value has Go's escapes.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(utf8::is_reserved) {
            write!(f, "{}{}{}", Quoted::go(&self.name), self.op, Quoted::go(&self.value))
        } else {
            write!(f, "{}{}{}", self.name, self.op, Quoted::open_metrics(&self.value))
        }
    }
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

/// The parts of a matcher, before its pattern is compiled.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    name: String,
    op: MatchOp,
    value: String,
}

impl Parts {
    fn compile(self) -> Result<Matcher, Error> {
        Matcher::new(self.name, self.op, self.value)
    }
}

fn invalid(text: &str, message: impl fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidMatcher, format_args!("matcher `{text}`"), message)
}

/// A name that the classic syntax can read, and Prometheus' data model before UTF-8.
fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '_' | ':'))
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}
