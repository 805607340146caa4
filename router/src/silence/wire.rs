//! Silences as JSON, in the form of Alertmanager's API v2.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Silence, SilenceState};
use crate::{MatchOp, Matcher, Matchers, time};

/// A silence with its state: what the API answers, `status` included.
#[derive(Debug, Clone, Serialize)]
pub struct SilenceView<'a> {
    /// The silence.
    #[serde(flatten)]
    pub silence: &'a Silence,
    /// Where it is in its life.
    pub status: SilenceStatus,
}

/// `{"state": "active"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SilenceStatus {
    /// Where the silence is in its life.
    pub state: SilenceState,
}

/// What there is on the wire. An unknown key is an error: a misspelt `endsAt` would be a silence without an end.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Read {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    matchers: Vec<OneOrMore>,
    #[serde(default)]
    matcher_sets: Vec<Vec<OneOrMore>>,
    #[serde(default, with = "time::rfc3339::option")]
    starts_at: Option<SystemTime>,
    #[serde(default, with = "time::rfc3339::option")]
    ends_at: Option<SystemTime>,
    #[serde(default)]
    until_resolved: bool,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default, with = "time::rfc3339::option")]
    updated_at: Option<SystemTime>,
    #[serde(default)]
    revision: u64,
    /// Comes back from whoever posts what it got; the times say it better.
    #[serde(default, rename = "status")]
    _status: serde::de::IgnoredAny,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    id: &'a str,
    matchers: Vec<WireMatcher<&'a str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    matcher_sets: Vec<Vec<WireMatcher<&'a str>>>,
    #[serde(with = "time::rfc3339")]
    starts_at: SystemTime,
    #[serde(with = "time::rfc3339")]
    ends_at: SystemTime,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    until_resolved: bool,
    created_by: &'a str,
    comment: &'a str,
    annotations: &'a BTreeMap<String, String>,
    #[serde(with = "time::rfc3339")]
    updated_at: SystemTime,
    revision: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WireMatcher<T> {
    name: T,
    value: T,
    #[serde(default)]
    is_regex: bool,
    #[serde(default = "yes")]
    is_equal: bool,
}

/// A matcher as an object, or matchers as a text.
struct OneOrMore(Matchers);

impl<'de> Deserialize<'de> for Silence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Read::deserialize(deserializer)?;
        let conjunction = |all: Vec<OneOrMore>| -> Matchers {
            all.into_iter()
                .flat_map(|OneOrMore(some)| some.iter().cloned().collect::<Vec<_>>())
                .collect()
        };
        let first = conjunction(read.matchers);
        let mut matchers: Vec<Matchers> = read.matcher_sets.into_iter().map(conjunction).collect();
        match matchers.first() {
            None => matchers.push(first),
            Some(set) if first.is_empty() || *set == first => {}
            Some(set) => {
                return Err(serde::de::Error::custom(format_args!(
                    "`matchers` ({first}) is not the first of `matcherSets` ({set}): leave `matchers` out"
                )));
            }
        }
        Ok(Self {
            id: read.id.unwrap_or_default(),
            matchers,
            starts_at: read.starts_at.unwrap_or(SystemTime::UNIX_EPOCH),
            ends_at: read.ends_at.filter(|_| !read.until_resolved),
            created_by: read.created_by,
            comment: read.comment,
            annotations: read.annotations.unwrap_or_default(),
            updated_at: read.updated_at.unwrap_or(SystemTime::UNIX_EPOCH),
            revision: read.revision,
        })
    }
}

impl Serialize for Silence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sets = || self.matchers.iter().map(|set| set.iter().map(WireMatcher::from).collect());
        Written {
            id: &self.id,
            matchers: sets().next().unwrap_or_default(),
            matcher_sets: if self.matchers.len() > 1 { sets().collect() } else { Vec::new() },
            starts_at: self.starts_at,
            // Alertmanager's clients need an end.
            ends_at: self.ends_at.unwrap_or(SystemTime::UNIX_EPOCH + LAST),
            until_resolved: self.ends_at.is_none(),
            created_by: &self.created_by,
            comment: &self.comment,
            annotations: &self.annotations,
            updated_at: self.updated_at,
            revision: self.revision,
        }
        .serialize(serializer)
    }
}

/// 30 December 9999, about the last time that can be written: an end for those who cannot do without one.
const LAST: Duration = Duration::from_secs(253_402_128_000);

fn yes() -> bool {
    true
}

impl<'a> From<&'a Matcher> for WireMatcher<&'a str> {
    fn from(matcher: &'a Matcher) -> Self {
        let op = matcher.op();
        Self {
            name: matcher.name(),
            value: matcher.value(),
            is_regex: matches!(op, MatchOp::Regex | MatchOp::NotRegex),
            is_equal: matches!(op, MatchOp::Equal | MatchOp::Regex),
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MatcherVisitor)
    }
}

struct MatcherVisitor;

impl<'de> Visitor<'de> for MatcherVisitor {
    type Value = OneOrMore;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a matcher: {\"name\", \"value\", \"isRegex\", \"isEqual\"}, or a text such as env=\"prod\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OneOrMore, E> {
        Matchers::parse(text).map(OneOrMore).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMore, A::Error> {
        let wire = WireMatcher::<String>::deserialize(MapAccessDeserializer::new(map))?;
        let op = match (wire.is_regex, wire.is_equal) {
            (false, true) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (true, false) => MatchOp::NotRegex,
        };
        let matcher = Matcher::new(wire.name, op, wire.value).map_err(serde::de::Error::custom)?;
        Ok(OneOrMore([matcher].into_iter().collect()))
    }
}

impl Serialize for SilenceState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
