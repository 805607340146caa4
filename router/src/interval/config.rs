//! What a configuration says of time intervals.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

/// A named time interval, which routes refer to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TimeIntervalConfig {
    /// What routes call it.
    pub name: String,
    /// It holds whenever one of these holds; without any it never does.
    pub time_intervals: Vec<TimeIntervalSpec>,
}

/// One entry of a time interval: it holds when every list that is given has an element that holds.
///
/// The elements are Alertmanager's: one value, or a range `first:last` of which both ends are part. Letter case does not
/// matter. A list that is left out holds always; an empty one would never hold and is refused, where Alertmanager keeps
/// it in silence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct TimeIntervalSpec {
    /// Times of day. Half-open: the end is no longer part.
    #[serde(deserialize_with = "ranges", skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<TimeRangeConfig>,
    /// `saturday`, `monday:friday`. The week begins on Sunday, so a weekend is two entries.
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<String>,
    /// `1`, `1:5`, `-3:-1`: negative ones are counted from the end of the month, of which -1 is the last day. Days that a
    /// month does not have do not come in it.
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub days_of_month: Vec<String>,
    /// `january:march`, `5`, `10:12`.
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<String>,
    /// `2024`, `2024:2026`.
    #[serde(deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub years: Vec<String>,
    /// The time zone, by its name in the IANA database: `Europe/Berlin`. Default UTC.
    ///
    /// `Local` is refused, where Alertmanager takes the zone of the machine: the same configuration would decide
    /// differently on two machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// Times of day from `start_time`, which is part, to `end_time`, which is not: `HH:MM`, at most `24:00`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TimeRangeConfig {
    /// When it begins.
    pub start_time: String,
    /// When it is over. `24:00` is the end of the day.
    pub end_time: String,
}

impl TimeIntervalConfig {
    /// A time interval of these entries.
    pub fn new(
        name: impl Into<String>,
        entries: impl IntoIterator<Item = TimeIntervalSpec>,
    ) -> Self {
        Self { name: name.into(), time_intervals: entries.into_iter().collect() }
    }
}

impl TimeRangeConfig {
    /// From `start_time` to `end_time`, as in `17:00` to `24:00`.
    pub fn new(start_time: impl Into<String>, end_time: impl Into<String>) -> Self {
        Self { start_time: start_time.into(), end_time: end_time.into() }
    }
}

/// A list of texts. A number stands for its text, as in YAML: `days_of_month: [1, -1]`.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let words: Vec<Word> = list(deserializer)?;
    Ok(words.into_iter().map(|word| word.0).collect())
}

fn ranges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TimeRangeConfig>, D::Error> {
    list(deserializer)
}

fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    match Option::<Vec<T>>::deserialize(deserializer)? {
        None => Ok(Vec::new()),
        Some(list) if list.is_empty() => {
            Err(de::Error::custom("an empty list never holds: leave it out if it does not matter"))
        }
        Some(list) => Ok(list),
    }
}

struct Word(String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a range `first:last`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Word, E> {
                Ok(Word(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Word, E> {
                Ok(Word(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Word, E> {
                Ok(Word(number.to_string()))
            }
        }

        deserializer.deserialize_any(Either)
    }
}
