//! A conjunction of matchers.

use std::fmt;
use std::str::FromStr;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::read;
use crate::{Error, Labels, Matcher};

/// Conditions that must all hold; none at all hold for every alert.
///
/// ```
/// use birl_router::{Labels, Matchers};
///
/// let classic = Matchers::parse(r#"{env="prod", team=~"api|web"}"#)?;
/// assert!(classic.matches(&Labels::from([("env", "prod"), ("team", "web")])));
///
/// let shorthand = Matchers::parse("env:prod+host:web-*")?;
/// assert_eq!(shorthand.to_string(), r#"{env="prod",host=~"web-.*"}"#);
/// # Ok::<(), birl_router::Error>(())
/// ```
///
/// In a configuration it is a list of texts, of which each may hold several matchers, or one such text:
/// `matchers: ['env="prod"', 'team:api']`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matchers(Vec<Matcher>);

impl Matchers {
    /// No condition: every alert.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a list as Alertmanager does, `{a="b",c=~"d"}` with or without its braces, or birl's shorthand `a:b+c:d*`.
    /// An empty text is an empty list.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMatcher`](crate::ErrorKind), with what was expected.
    pub fn parse(text: &str) -> Result<Self, Error> {
        read::list(text).map(Self)
    }

    /// Do all conditions hold for `labels`?
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels))
    }

    /// The first condition that does not hold.
    pub fn first_failure(&self, labels: &Labels) -> Option<&Matcher> {
        self.0.iter().find(|matcher| !matcher.matches(labels))
    }

    /// Adds a condition.
    pub fn push(&mut self, matcher: Matcher) {
        self.0.push(matcher);
    }

    /// In Alertmanager's order, that of its keys: by name, value, operator.
    pub fn sort(&mut self) {
        self.0.sort_by(|a, b| (a.name(), a.value(), a.op()).cmp(&(b.name(), b.value(), b.op())));
    }

    /// The conditions, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Matcher> {
        self.0.iter()
    }

    /// How many conditions there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// No condition at all?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// As Alertmanager prints a list: `{a="b",c=~"d"}`.
impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, matcher) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{matcher}")?;
        }
        f.write_str("}")
    }
}

impl FromStr for Matchers {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl FromIterator<Matcher> for Matchers {
    fn from_iter<I: IntoIterator<Item = Matcher>>(matchers: I) -> Self {
        Self(matchers.into_iter().collect())
    }
}

impl From<Vec<Matcher>> for Matchers {
    fn from(matchers: Vec<Matcher>) -> Self {
        Self(matchers)
    }
}

impl From<Matcher> for Matchers {
    fn from(matcher: Matcher) -> Self {
        Self(vec![matcher])
    }
}

impl Extend<Matcher> for Matchers {
    fn extend<I: IntoIterator<Item = Matcher>>(&mut self, matchers: I) {
        self.0.extend(matchers);
    }
}

impl IntoIterator for Matchers {
    type Item = Matcher;
    type IntoIter = std::vec::IntoIter<Matcher>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Matchers {
    type Item = &'a Matcher;
    type IntoIter = std::slice::Iter<'a, Matcher>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl Serialize for Matchers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de> Deserialize<'de> for Matchers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Texts)
    }
}

struct Texts;

impl<'de> Visitor<'de> for Texts {
    type Value = Matchers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of matchers such as `env=\"prod\"`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Matchers, E> {
        Matchers::parse(text).map_err(E::custom)
    }

    // YAML's empty value: `matchers:` with nothing behind it.
    fn visit_unit<E: serde::de::Error>(self) -> Result<Matchers, E> {
        Ok(Matchers::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<Matchers, A::Error> {
        let mut all = Matchers::new();
        while let Some(text) = texts.next_element::<String>()? {
            all.extend(Matchers::parse(&text).map_err(serde::de::Error::custom)?);
        }
        Ok(all)
    }
}
