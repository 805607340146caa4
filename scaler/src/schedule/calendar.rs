//! A schedule with its time zones, ready to be asked.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;

use super::{Bounds, Day, Schedule};
use crate::spec::ScalerSpec;

/// The most entries of a schedule.
const MOST: usize = 64;

/// A week and a day: what holds on one day of the week begins or ends within it.
const AHEAD: usize = 9;

/// All entries of a schedule.
#[derive(Debug, Clone)]
pub(crate) struct Plan(Arc<[Entry]>);

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    zone: TimeZone,
    span: Span,
    min: Option<u32>,
    max: Option<u32>,
}

#[derive(Debug)]
enum Span {
    /// Local times of the day; over midnight if the end is not after the start.
    Daily {
        start: Time,
        end: Time,
        days: Vec<Weekday>,
    },
    Once {
        start: Timestamp,
        end: Timestamp,
    },
}

impl Plan {
    pub(crate) fn of(spec: &ScalerSpec) -> Self {
        Self::compile(spec, &mut Vec::new())
    }

    /// Reads a specification's schedule; what cannot be read is told and left out.
    pub(crate) fn compile(spec: &ScalerSpec, faults: &mut Vec<String>) -> Self {
        if spec.schedule.len() > MOST {
            faults
                .push(format!("schedule has {} entries: the most is {MOST}", spec.schedule.len()));
        }
        let mut entries = Vec::new();
        for (at, schedule) in spec.schedule.iter().take(MOST).enumerate() {
            match Entry::read(schedule, spec) {
                Ok(entry) => entries.push(entry),
                Err(fault) => faults.push(format!("schedule[{at}] ({}): {fault}", schedule.name)),
            }
        }
        Self(entries.into())
    }

    /// The bounds that hold at `now`.
    pub(crate) fn bounds(&self, spec: &ScalerSpec, now: SystemTime) -> Bounds {
        let (min, max) = (spec.min_replicas, spec.max_replicas);
        let mut bounds = Bounds { min, max, schedule: None };
        if self.0.is_empty() {
            return bounds;
        }
        let Ok(at) = Timestamp::try_from(now) else { return bounds };
        let (mut mins, mut maxes) = (None, None);
        for entry in self.0.iter().filter(|entry| entry.contains(at)) {
            mins = mins.max(entry.min);
            maxes = maxes.max(entry.max);
            bounds.schedule.get_or_insert_with(|| Arc::clone(&entry.name));
        }
        bounds.max = maxes.unwrap_or(max).max(mins.unwrap_or_default());
        bounds.min = mins.unwrap_or(min).min(bounds.max);
        bounds
    }

    /// When the next entry begins or ends.
    pub(crate) fn next_edge(&self, now: SystemTime) -> Option<SystemTime> {
        let at = Timestamp::try_from(now).ok()?;
        let next = self.0.iter().filter_map(|entry| entry.next_edge(at)).min()?;
        Some(next.into())
    }
}

impl Entry {
    fn read(schedule: &Schedule, spec: &ScalerSpec) -> Result<Self, String> {
        let Schedule { name, start, end, days, min_replicas, max_replicas, .. } = schedule;
        let zone = zone(&schedule.time_zone)?;
        let span = if let (Some(start), Some(end)) = (time_of_day(start), time_of_day(end)) {
            Span::Daily { start, end, days: days.iter().map(|day| day.weekday()).collect() }
        } else if let (Ok(from), Ok(to)) = (start.parse::<DateTime>(), end.parse::<DateTime>()) {
            if !days.is_empty() {
                return Err("`days` is for times of day: leave it out beside dates".to_owned());
            }
            if from >= to {
                return Err(format!("it ends ({end}) before it begins ({start}): swap them"));
            }
            let exact = |local| zone.to_timestamp(local).map_err(|error| error.to_string());
            Span::Once { start: exact(from)?, end: exact(to)? }
        } else {
            return Err(format!(
                "`{start}` and `{end}` must be two times of day, such as 07:30, or two dates, such \
                 as 2026-11-27T00:00"
            ));
        };
        let min = min_replicas.unwrap_or(spec.min_replicas);
        let max = max_replicas.unwrap_or(spec.max_replicas);
        if min_replicas.is_none() && max_replicas.is_none() {
            return Err("it sets nothing: give it minReplicas or maxReplicas".to_owned());
        }
        if min > max || max == 0 {
            return Err(format!(
                "it leaves {min} to {max} replicas: lower minReplicas or raise maxReplicas"
            ));
        }
        Ok(Self { name: Arc::clone(name), zone, span, min: *min_replicas, max: *max_replicas })
    }

    fn contains(&self, at: Timestamp) -> bool {
        match &self.span {
            Span::Once { start, end } => *start <= at && at < *end,
            Span::Daily { .. } => {
                let today = self.zone.to_datetime(at).date();
                let days = [today.yesterday().ok(), Some(today)];
                let mut spans = days.into_iter().flatten().filter_map(|day| self.on(day));
                spans.any(|(start, end)| start <= at && at < end)
            }
        }
    }

    /// From when to when it holds, if it begins on `day`.
    fn on(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        let Span::Daily { start, end, days } = &self.span else { return None };
        if !days.is_empty() && !days.contains(&day.weekday()) {
            return None;
        }
        let last = if end > start { day } else { day.tomorrow().ok()? };
        let exact = |day: Date, time| self.zone.to_timestamp(day.to_datetime(time)).ok();
        Some((exact(day, *start)?, exact(last, *end)?))
    }

    fn next_edge(&self, at: Timestamp) -> Option<Timestamp> {
        let earliest =
            |edges: &mut dyn Iterator<Item = Timestamp>| edges.filter(|edge| *edge > at).min();
        match &self.span {
            Span::Once { start, end } => earliest(&mut [*start, *end].into_iter()),
            Span::Daily { .. } => {
                let yesterday = self.zone.to_datetime(at).date().yesterday().ok()?;
                let days = std::iter::successors(Some(yesterday), |day| day.tomorrow().ok());
                let spans = days.take(AHEAD).filter_map(|day| self.on(day));
                earliest(&mut spans.flat_map(|(start, end)| [start, end]))
            }
        }
    }
}

impl Day {
    fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        }
    }
}

/// A time without a date. (jiff would read one with a date, and leave that out.)
fn time_of_day(text: &str) -> Option<Time> {
    if text.contains(['-', 'T', 't']) { None } else { text.parse().ok() }
}

/// A zone by its name. UTC needs no database.
fn zone(name: &str) -> Result<TimeZone, String> {
    if name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name).map_err(|_| {
        format!(
            "there is no time zone `{name}`: write a name of the IANA database, such as \
             `Europe/Berlin` or `UTC`; it comes with the package `tzdata`"
        )
    })
}
