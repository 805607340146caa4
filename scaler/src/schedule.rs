//! Other bounds at certain times: nights, sales, the first of January.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::decision::Limit;

#[cfg(feature = "schedule")]
mod calendar;
#[cfg(not(feature = "schedule"))]
mod none;

#[cfg(feature = "schedule")]
pub(crate) use calendar::Plan;
#[cfg(not(feature = "schedule"))]
pub(crate) use none::Plan;

/// Other bounds while a local clock shows certain times. It needs the feature `schedule`.
///
/// `start` and `end` are times of day, `"07:30"`, and then hold on every day or on the `days`
/// named, over midnight where the end is not after the start; or both are dates,
/// `"2026-11-27T00:00"`, and hold once. The end is no part of it. Where the clock is set forward
/// over a time, the time after the gap is meant; where it is set back, the first of both.
///
/// Of several that hold at once the largest `minReplicas` and the largest `maxReplicas` count.
///
/// ```
/// # fn main() -> Result<(), serde_json::Error> {
/// let _office: birl_scaler::Schedule = serde_json::from_str(r#"{
///     "name": "office", "timeZone": "Europe/Berlin",
///     "days": ["mon", "tue", "wed", "thu", "fri"], "start": "07:30", "end": "19:00",
///     "minReplicas": 6
/// }"#)?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Schedule {
    /// What decisions call it.
    pub name: Arc<str>,
    /// A name of the IANA database, such as `Europe/Berlin`, or `UTC`.
    pub time_zone: String,
    /// When it begins.
    pub start: String,
    /// When it ends.
    pub end: String,
    /// The days on which it begins; none named: all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// Never fewer than this meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<u32>,
    /// Never more than this meanwhile; it may be above the scaler's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_replicas: Option<u32>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are the days of the week")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// The fewest and the most replicas at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// The schedule that set them.
    pub(crate) schedule: Option<Arc<str>>,
}

impl Bounds {
    /// What a decision says when they bit.
    pub(crate) fn told(&self) -> Option<Limit> {
        let name = Arc::clone(self.schedule.as_ref()?);
        Some(Limit::Schedule { name, min: self.min, max: self.max })
    }
}

impl Schedule {
    /// A schedule that sets nothing yet.
    pub fn new(name: impl AsRef<str>, time_zone: &str, start: &str, end: &str) -> Self {
        Self {
            name: name.as_ref().into(),
            time_zone: time_zone.to_owned(),
            start: start.to_owned(),
            end: end.to_owned(),
            days: Vec::new(),
            min_replicas: None,
            max_replicas: None,
        }
    }
}
