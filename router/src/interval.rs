//! Time intervals: named spans of the calendar that mute routes or activate them, in Alertmanager's words.

mod calendar;
mod config;
mod grammar;
mod zone;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use jiff::{Timestamp, ToSpan as _};

use self::calendar::Calendar;
pub use self::config::{TimeIntervalConfig, TimeIntervalSpec, TimeRangeConfig};
use crate::error::{Error, ErrorKind, nearest};

/// How far ahead a change is looked for, in years. Every date of the calendar but 29 February comes round once a year.
const SEARCH_YEARS: i64 = 8;
/// How many edges of all entries together are looked at for one change. Entries that overlap a lot may need more, and
/// get an edge that changes nothing.
const SEARCH_EDGES: usize = 1024;
/// How many names a message lists.
const LISTED: usize = 20;

/// A named set of times, compiled: it holds whenever one of its entries holds.
///
/// An entry looks at what the clocks of its `location` show at that instant, as Alertmanager does. So a time of day that
/// a change to summer time leaves out does not come on that day, and one that a change back repeats comes twice.
#[derive(Debug)]
pub struct TimeInterval {
    name: String,
    entries: Vec<Calendar>,
}

/// All time intervals of a configuration, by name.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use birl_router::{TimeIntervalConfig, TimeIntervals};
///
/// let config: Vec<TimeIntervalConfig> = serde_json::from_str(r#"[{
///     "name": "weekend",
///     "time_intervals": [{ "weekdays": ["saturday", "sunday"] }]
/// }]"#)?;
/// let intervals = TimeIntervals::compile(&config)?;
/// let weekend = intervals.get("weekend").ok_or("it was just compiled")?;
///
/// let friday = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400); // 2 January 1970
/// let saturday = friday + Duration::from_secs(86_400);
/// assert!(!weekend.contains(friday));
/// assert_eq!(weekend.next_change(friday), Some(saturday));
/// assert!(weekend.contains(saturday));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TimeIntervals {
    intervals: Vec<Arc<TimeInterval>>,
    by_name: HashMap<String, usize>,
}

impl TimeInterval {
    /// What routes call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Does it hold at `now`? Begins are part of it, ends are not.
    pub fn contains(&self, now: SystemTime) -> bool {
        self.holds(instant(now))
    }

    /// When to ask again: the next instant after `now` at which [`contains`](Self::contains) may answer differently.
    ///
    /// It may be early, never late: up to there the answer is the same as at `now`. It is exact unless the
    /// change is more than eight years away, or behind very many edges of overlapping entries. `None`: the answer never changes again.
    pub fn next_change(&self, now: SystemTime) -> Option<SystemTime> {
        let now = instant(now);
        let holds = self.holds(now);
        let horizon = now.checked_add((SEARCH_YEARS * 366 * 24).hours()).unwrap_or(Timestamp::MAX);
        let mut edge = now;
        // Each round asks every entry, and one round there has to be.
        for _ in 0..1 + SEARCH_EDGES / self.entries.len().max(1) {
            edge = self.entries.iter().filter_map(|entry| entry.next_edge(edge)).min()?;
            if edge >= horizon || self.holds(edge) != holds {
                break;
            }
        }
        Some(edge.into())
    }

    fn holds(&self, at: Timestamp) -> bool {
        self.entries.iter().any(|entry| entry.contains(at))
    }

    fn compile(config: &TimeIntervalConfig) -> Result<Self, Error> {
        let entries = config.time_intervals.iter().enumerate().map(|(i, spec)| {
            Calendar::compile(spec)
                .map_err(|error| error.within(format_args!("time_intervals[{i}]")))
        });
        Ok(Self { name: config.name.clone(), entries: entries.collect::<Result<_, _>>()? })
    }
}

impl TimeIntervals {
    /// Compiles the list `time_intervals`. Reads the time zones that it names from the system's database.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) for a name that is missing or there twice, a range that cannot be
    /// read or never holds, or a time zone that is not known.
    pub fn compile(time_intervals: &[TimeIntervalConfig]) -> Result<Self, Error> {
        Self::compile_with_older(time_intervals, &[])
    }

    /// The same with the list under its older name, `mute_time_intervals`, beside: both make one set.
    ///
    /// # Errors
    ///
    /// As [`compile`](Self::compile).
    pub fn compile_with_older(
        time_intervals: &[TimeIntervalConfig],
        mute_time_intervals: &[TimeIntervalConfig],
    ) -> Result<Self, Error> {
        let mut set = Self::default();
        for (list, configs) in
            [("mute_time_intervals", mute_time_intervals), ("time_intervals", time_intervals)]
        {
            for (i, config) in configs.iter().enumerate() {
                set.add(format_args!("{list}[{i}]"), config)?;
            }
        }
        Ok(set)
    }

    fn add(&mut self, place: fmt::Arguments<'_>, config: &TimeIntervalConfig) -> Result<(), Error> {
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidConfig, place, message));
        let name = &config.name;
        if name.is_empty() {
            return invalid("the time interval's name is missing: `name: NAME`".into());
        }
        if self.by_name.contains_key(name) {
            return invalid(format!(
                "there are two time intervals `{}`: put the entries of both under one name",
                grammar::shown(name)
            ));
        }
        let interval = TimeInterval::compile(config).map_err(|error| error.within(place))?;
        self.by_name.insert(name.clone(), self.intervals.len());
        self.intervals.push(Arc::new(interval));
        Ok(())
    }

    /// The one of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<TimeInterval>> {
        self.by_name.get(name).and_then(|i| self.intervals.get(*i))
    }

    /// The one of this name, for a configuration that names it at `place`.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`](ErrorKind::InvalidConfig) when there is none, with the name that may be meant.
    pub fn find(&self, place: impl fmt::Display, name: &str) -> Result<&Arc<TimeInterval>, Error> {
        self.get(name).ok_or_else(|| {
            let shown = grammar::shown(name);
            let hint = match nearest(&shown, self.iter().map(|interval| interval.name())) {
                Some(near) => format!("did you mean `{near}`?"),
                None if self.intervals.is_empty() => "define it under `time_intervals`".to_owned(),
                None => {
                    let names = self.iter().take(LISTED).map(|interval| interval.name());
                    let more = if self.intervals.len() > LISTED { ", …" } else { "" };
                    format!(
                        "the time intervals are: {}{more}",
                        names.collect::<Vec<_>>().join(", ")
                    )
                }
            };
            let message = format_args!("there is no time interval `{shown}`: {hint}");
            Error::new(ErrorKind::InvalidConfig, place, message)
        })
    }

    /// All of them, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<TimeInterval>> {
        self.intervals.iter()
    }
}

/// Whole seconds, rounded down: all edges are whole ones. What the calendar cannot hold is clamped.
fn instant(at: SystemTime) -> Timestamp {
    let clamped = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    let at = Timestamp::try_from(at).unwrap_or(clamped);
    let second = at.as_nanosecond().div_euclid(1_000_000_000);
    i64::try_from(second).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(clamped)
}
