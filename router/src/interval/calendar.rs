//! One entry of a time interval, compiled to bits: a month is a word of 32 of them.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::config::TimeIntervalSpec;
use super::{grammar, zone};
use crate::error::{Error, ErrorKind};

/// How far ahead a day is looked for.
const SEARCH_MONTHS: u32 = 96;
const DAY_MINUTES: u16 = 24 * 60;
const WEEK: u64 = 0b111_1111;

#[derive(Debug)]
pub(super) struct Calendar {
    zone: TimeZone,
    /// Minutes since midnight, half-open, apart and in order. `None` is the whole day.
    times: Option<Vec<(u16, u16)>>,
    /// Bit 0 is Sunday.
    weekdays: u64,
    /// Bit 1 is the first day; one word for each length of a month, 28 to 31.
    days: [u32; 4],
    /// Bit 1 is January.
    months: u32,
    /// Both ends are part; apart and in order. `None` is every year, an empty list none.
    years: Option<Vec<(i64, i64)>>,
}

impl Calendar {
    pub(super) fn compile(spec: &TimeIntervalSpec) -> Result<Self, Error> {
        let zone = spec.location.as_deref().map_or(Ok(TimeZone::UTC), zone::find);
        let days = ranges("days_of_month", &spec.days_of_month, grammar::days_of_month)?;
        let mut calendar = Self {
            zone: zone.map_err(|message| invalid("location", message))?,
            times: times(spec)?,
            weekdays: ranges("weekdays", &spec.weekdays, grammar::weekdays)?
                .map_or(WEEK, |ranges| bits(&ranges).into()),
            days: [28, 29, 30, 31].map(|length| month_of(length, days.as_deref())),
            months: ranges("months", &spec.months, grammar::months)?
                .map_or(u32::MAX, |ranges| bits(&ranges)),
            years: ranges("years", &spec.years, grammar::years)?.map(years),
        };
        // Fine for Alertmanager, and nobody has to look for it: the 30th of February.
        let [_, leap, short, long] = calendar.days.map(|days| days != 0);
        let has_day = |month| match month {
            2 => leap,
            4 | 6 | 9 | 11 => short,
            _ => long,
        };
        if !(1..=12).any(|month| calendar.months >> month & 1 == 1 && has_day(month)) {
            calendar.years = Some(Vec::new());
        }
        Ok(calendar)
    }

    pub(super) fn contains(&self, at: Timestamp) -> bool {
        let local = self.zone.to_datetime(at);
        let minute = minute_of(local.time());
        self.takes(local.date())
            && self.times.as_ref().is_none_or(|times| {
                let next = times.partition_point(|(_, end)| *end <= minute);
                times.get(next).is_some_and(|(start, _)| *start <= minute)
            })
    }

    /// The next instant after `from` at which this may begin or cease to hold, `None` when there is none. Up to there it
    /// is constant.
    ///
    /// While the zone keeps its offset the local clock runs evenly, so the next edge on that clock is one in time. Where
    /// the offset changes the clock jumps, and every jump counts as an edge.
    pub(super) fn next_edge(&self, from: Timestamp) -> Option<Timestamp> {
        let offset = self.zone.to_offset(from);
        let local = offset.to_datetime(from);
        if self.is_settled(local.date()) {
            return None;
        }
        let even = self.next_local_edge(local).and_then(|edge| offset.to_timestamp(edge).ok());
        let jump = self.zone.following(from).next().map(|transition| transition.timestamp());
        even.into_iter().chain(jump).min()
    }

    /// Nothing can change any more. A clock that jumps back may bring the last year back, but not the one before it.
    fn is_settled(&self, date: Date) -> bool {
        self.is_over(i64::from(date.year()) - 1) || self.times.is_none() && self.takes_all_days()
    }

    /// No year from this one on is among the years.
    fn is_over(&self, year: i64) -> bool {
        let last = |years: &Vec<(i64, i64)>| years.last().is_none_or(|(_, last)| *last < year);
        self.years.as_ref().is_some_and(last)
    }

    fn takes_all_days(&self) -> bool {
        let all = |bits: u32, of: std::ops::RangeInclusive<u32>| {
            of.into_iter().all(|b| bits >> b & 1 == 1)
        };
        self.years.is_none()
            && all(self.months, 1..=12)
            && self.weekdays == WEEK
            && [28, 29, 30, 31]
                .into_iter()
                .zip(self.days)
                .all(|(length, days)| all(days, 1..=length))
    }

    fn next_local_edge(&self, local: DateTime) -> Option<DateTime> {
        let date = local.date();
        let holds = self.takes(date);
        let Some(times) = &self.times else {
            return self.next_day(date.tomorrow().ok()?, !holds).map(|day| day.at(0, 0, 0, 0));
        };
        if holds {
            // Edges are whole minutes: those after this minute's beginning are after this moment.
            let minute = minute_of(local.time());
            let next = times.iter().flat_map(|(start, end)| [*start, *end]).find(|m| *m > minute);
            if let Some(edge) = next {
                return at(date, edge);
            }
        }
        at(self.next_day(date.tomorrow().ok()?, true)?, times.first()?.0)
    }

    /// The first day from `from` on that is taken, or that is not. Where the search ends without one, its end.
    fn next_day(&self, from: Date, taken: bool) -> Option<Date> {
        let mut month = from.first_of_month();
        let mut ahead = u32::MAX << from.day();
        for _ in 0..SEARCH_MONTHS {
            if taken && self.is_over(month.year().into()) {
                return None;
            }
            let days = self.days_of(month);
            let found = ahead & if taken { days } else { !days & all_days(month) };
            if found != 0 {
                let day = i8::try_from(found.trailing_zeros()).ok()?;
                return Date::new(month.year(), month.month(), day).ok();
            }
            ahead = u32::MAX;
            month = month.last_of_month().tomorrow().ok()?;
        }
        Some(month)
    }

    fn takes(&self, date: Date) -> bool {
        self.days_of(date.first_of_month()) >> date.day() & 1 == 1
    }

    /// The days of a month that are taken, as bits.
    fn days_of(&self, first: Date) -> u32 {
        let year = i64::from(first.year());
        let in_years = self.years.as_ref().is_none_or(|years| {
            let next = years.partition_point(|(_, last)| *last < year);
            years.get(next).is_some_and(|(begin, _)| *begin <= year)
        });
        if !in_years || self.months >> first.month() & 1 == 0 {
            return 0;
        }
        let length = usize::try_from(first.days_in_month()).unwrap_or_default();
        let days = length.checked_sub(28).and_then(|i| self.days.get(i)).copied();
        // The week, turned so that it begins with the weekday of the first, five times over; day 1 is bit 1.
        let turn = first.weekday().to_sunday_zero_offset();
        let week = (self.weekdays >> turn | self.weekdays << (7 - turn)) & WEEK;
        let weeks = (0..5).fold(0_u64, |all, i| all | week << (7 * i)) << 1;
        days.unwrap_or_default() & u32::try_from(weeks & u64::from(u32::MAX)).unwrap_or_default()
    }
}

/// Reads every element of a list, or names the one that cannot be read. `None`: the list is not there.
fn ranges(
    key: &str,
    list: &[String],
    read: impl Fn(&str) -> Result<grammar::Range, String>,
) -> Result<Option<Vec<grammar::Range>>, Error> {
    let read = |(i, text): (usize, &String)| {
        read(text).map_err(|message| invalid(format_args!("{key}[{i}]"), message))
    };
    let ranges = list.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok((!ranges.is_empty()).then_some(ranges))
}

fn times(spec: &TimeIntervalSpec) -> Result<Option<Vec<(u16, u16)>>, Error> {
    let mut all = Vec::with_capacity(spec.times.len());
    for (i, range) in spec.times.iter().enumerate() {
        let read = grammar::times(&range.start_time, &range.end_time);
        all.push(read.map_err(|message| invalid(format_args!("times[{i}]"), message))?);
    }
    all.sort_unstable();
    let mut apart: Vec<(u16, u16)> = Vec::new();
    for (start, end) in all {
        match apart.last_mut() {
            Some(before) if start <= before.1 => before.1 = before.1.max(end),
            _ => apart.push((start, end)),
        }
    }
    Ok((!apart.is_empty() && apart != [(0, DAY_MINUTES)]).then_some(apart))
}

/// Those that a calendar has, in order, and none touching the next.
fn years(mut ranges: Vec<grammar::Range>) -> Vec<grammar::Range> {
    let (min, max) = (i64::from(Date::MIN.year()), i64::from(Date::MAX.year()));
    ranges.retain(|(first, last)| *first <= max && *last >= min);
    ranges.sort_unstable();
    let mut apart: Vec<grammar::Range> = Vec::new();
    for (first, last) in ranges {
        match apart.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => apart.push((first, last)),
        }
    }
    apart
}

/// The days of a month of this length. Counted from its end they may lie before its beginning, and do not come then.
fn month_of(length: i64, ranges: Option<&[grammar::Range]>) -> u32 {
    let day = |n: i64| if n < 0 { length + 1 + n } else { n };
    let Some(ranges) = ranges else { return bits(&[(1, length)]) };
    let within = |(first, last): &grammar::Range| (day(*first).max(1), day(*last).min(length));
    bits(&ranges.iter().map(within).collect::<Vec<_>>())
}

fn bits(ranges: &[grammar::Range]) -> u32 {
    ranges.iter().flat_map(|(first, last)| *first..=*last).fold(0, |bits, n| bits | 1 << n)
}

fn all_days(first: Date) -> u32 {
    bits(&[(1, first.days_in_month().into())])
}

fn minute_of(time: Time) -> u16 {
    u16::try_from(i16::from(time.hour()) * 60 + i16::from(time.minute())).unwrap_or_default()
}

fn at(date: Date, minute: u16) -> Option<DateTime> {
    if minute >= DAY_MINUTES {
        return date.tomorrow().ok().map(|next| next.at(0, 0, 0, 0));
    }
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    Some(date.at(hour, minute, 0, 0))
}

fn invalid(place: impl std::fmt::Display, message: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, place, message)
}
