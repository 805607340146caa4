//! Which lines feed a signal, and what is made of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::line::{Kind, Line};
use crate::error::{Error, ErrorKind};
use crate::signal::DEFAULT_MAX_AGE;

const LEAST_WINDOW: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(86_400);

/// Which lines feed a signal, and what is made of them.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let watch: birl_scaler::statsd::Watch = serde_json::from_str(r#"{
///     "signal": "checkout_p99",
///     "metric": "shop.checkout",
///     "statistic": "p99",
///     "tags": { "env": "production" },
///     "instance": "pod",
///     "window": "1m",
///     "maxAge": "90s"
/// }"#)?;
/// watch.validate()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct Watch {
    /// The name of the signal, which is that of the metric it feeds.
    pub signal: Arc<str>,
    /// The name that lines carry.
    pub metric: Arc<str>,
    /// What is made of their values.
    pub statistic: Statistic,
    /// Lines must carry all of these tags. A bare tag has an empty value; of several tags of one
    /// name the first counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<Arc<str>, Arc<str>>,
    /// The tag by which instances are told apart, such as `pod`. Without one all lines are one
    /// sample, whoever sent them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Arc<str>>,
    /// How far a statistic looks back, from 1 s to a day; 60 s by default. It should be several times
    /// as long as clients keep lines back. A gauge needs none.
    #[serde(with = "crate::duration::serde", default = "default_max_age")]
    pub window: Duration,
    /// An instance that is silent for longer is Unknown, and forgotten after as long again; up to a
    /// day, 60 s by default. It should be longer than clients keep lines back.
    #[serde(with = "crate::duration::serde", default = "default_max_age")]
    pub max_age: Duration,
}

/// What is made of the values of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Statistic {
    /// Of counters: how much was added a second, sample rates reckoned in.
    Rate,
    /// Of gauges: the last value. Gauges of one instance that differ in other tags are added up.
    Value,
    /// Of timers, histograms and distributions: how many values there are to a window.
    Count,
    /// Of the same: their mean.
    Mean,
    /// Of the same: the value that half of them do not exceed. All percentiles are off by 0.8 % at
    /// most.
    P50,
    /// Of the same: the value that 90 % of them do not exceed.
    P90,
    /// Of the same: the value that 95 % of them do not exceed.
    P95,
    /// Of the same: the value that 99 % of them do not exceed.
    P99,
    /// Of sets: how many different members there were; exact up to 1024, then with a standard error
    /// of 3.1 %.
    Cardinality,
}

impl Watch {
    /// A watch over lines of `metric`, whatever their tags, as one sample.
    pub fn new(signal: impl AsRef<str>, metric: impl AsRef<str>, statistic: Statistic) -> Self {
        Self {
            signal: signal.as_ref().into(),
            metric: metric.as_ref().into(),
            statistic,
            tags: BTreeMap::new(),
            instance: None,
            window: DEFAULT_MAX_AGE,
            max_age: DEFAULT_MAX_AGE,
        }
    }

    /// Lines must carry this tag, too.
    #[must_use]
    pub fn tag(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.tags.insert(name.as_ref().into(), value.as_ref().into());
        self
    }

    /// Tells instances apart by this tag.
    #[must_use]
    pub fn instance(mut self, tag: impl AsRef<str>) -> Self {
        self.instance = Some(tag.as_ref().into());
        self
    }

    /// Sets how far a statistic looks back.
    #[must_use]
    pub fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets for how long a silent instance is believed.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSpec`], naming every field that breaks a rule and the rule.
    pub fn validate(&self) -> Result<(), Error> {
        let mut wrong = Vec::new();
        if self.signal.is_empty() {
            wrong.push("signal: it needs the name of the metric it feeds".to_owned());
        }
        if self.metric.is_empty() || self.metric.contains([':', '|', '\n']) {
            wrong.push(format!(
                "metric: `{}` is nothing a line can carry; it needs a name without `:`, `|` and \
                 line breaks",
                self.metric
            ));
        }
        let tags = self.tags.keys().map(|name| ("tags", name));
        for (field, tag) in tags.chain(self.instance.iter().map(|tag| ("instance", tag))) {
            if tag.is_empty() || tag.contains([':', ',', '|', '\n']) {
                wrong.push(format!(
                    "{field}: `{tag}` is nothing a line can carry; it needs a name without `:`, \
                     `,`, `|` and line breaks"
                ));
            }
        }
        if !(LEAST_WINDOW..=LONGEST).contains(&self.window) {
            wrong.push("window: it must be from 1s to 1d".to_owned());
        }
        if !(LEAST_WINDOW..=LONGEST).contains(&self.max_age) {
            wrong.push("maxAge: it must be from 1s to 1d".to_owned());
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let message = format!("statsd signal `{}`: {}", self.signal, wrong.join("; "));
        Err(Error::new(ErrorKind::InvalidSpec, message))
    }

    /// Whether the line has the tags that are asked for.
    pub(super) fn fits(&self, line: &Line<'_>) -> bool {
        self.tags.iter().all(|(name, value)| line.tag(name) == Some(value))
    }
}

impl Statistic {
    /// Whether it is made of values of this kind.
    pub fn is_of(self, kind: Kind) -> bool {
        match self {
            Self::Rate => kind == Kind::Counter,
            Self::Value => kind == Kind::Gauge,
            Self::Cardinality => kind == Kind::Set,
            Self::Count | Self::Mean | Self::P50 | Self::P90 | Self::P95 | Self::P99 => {
                matches!(kind, Kind::Timer | Kind::Histogram | Kind::Distribution)
            }
        }
    }

    /// As in files and sentences: `p99`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Value => "value",
            Self::Count => "count",
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Cardinality => "cardinality",
        }
    }

    /// Which share of all values is asked for.
    pub(super) fn percent(self) -> Option<u64> {
        match self {
            Self::P50 => Some(50),
            Self::P90 => Some(90),
            Self::P95 => Some(95),
            Self::P99 => Some(99),
            _ => None,
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn default_max_age() -> Duration {
    DEFAULT_MAX_AGE
}
