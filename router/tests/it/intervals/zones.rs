//! Against a naive twin on the clocks of a second library: chrono, with its own copy of the time zone database.

use std::time::{Duration, SystemTime};

use birl_router::{
    TimeInterval, TimeIntervalConfig, TimeIntervalSpec, TimeIntervals, TimeRangeConfig,
};
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, Offset, TimeZone, Timelike};
use chrono_tz::Tz;
use proptest::prelude::*;

/// Zones that changed their clocks in these years, by the usual rules and by all unusual ones: half an hour, two hours,
/// in the fast month, in winter, at midnight, for the last time, for the first.
const ZONES: [&str; 50] = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/El_Aaiun",
    "America/Asuncion",
    "America/Chicago",
    "America/Chihuahua",
    "America/Ciudad_Juarez",
    "America/Denver",
    "America/Halifax",
    "America/Havana",
    "America/Los_Angeles",
    "America/Mexico_City",
    "America/Miquelon",
    "America/New_York",
    "America/Nuuk",
    "America/Ojinaga",
    "America/Phoenix",
    "America/Santiago",
    "America/Scoresbysund",
    "America/St_Johns",
    "America/Tijuana",
    "Antarctica/Casey",
    "Antarctica/Troll",
    "Antarctica/Vostok",
    "Asia/Almaty",
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Damascus",
    "Asia/Gaza",
    "Asia/Hebron",
    "Asia/Jerusalem",
    "Asia/Kathmandu",
    "Asia/Nicosia",
    "Asia/Qostanay",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Atlantic/Bermuda",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Athens",
    "Europe/Berlin",
    "Europe/Chisinau",
    "Europe/Dublin",
    "Europe/Lisbon",
    "Europe/London",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Easter",
    "Pacific/Norfolk",
];
const YEARS: std::ops::Range<i32> = 2022..2025;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

/// One entry as numbers, judged in Alertmanager's steps.
#[derive(Debug, Clone, Default)]
struct Naive {
    times: Vec<(u32, u32)>,
    weekdays: Vec<(u32, u32)>,
    days_of_month: Vec<(i64, i64)>,
    months: Vec<(u32, u32)>,
    years: Vec<(i32, i32)>,
}

impl Naive {
    fn contains(&self, local: &NaiveDateTime) -> bool {
        fn any<T>(list: &[(T, T)], holds: impl FnMut(&(T, T)) -> bool) -> bool {
            list.is_empty() || list.iter().any(holds)
        }
        let minute = local.hour() * 60 + local.minute();
        let first = NaiveDate::from_ymd_opt(local.year(), local.month(), 1).unwrap();
        let days = ((first + Months::new(1)) - first).num_days();
        let day = i64::from(local.day());
        let from_start = |day: i64| if day < 0 { days + day + 1 } else { day };
        let weekday = local.weekday().num_days_from_sunday();
        any(&self.times, |(start, end)| (*start..*end).contains(&minute))
            && any(&self.weekdays, |(first, last)| (*first..=*last).contains(&weekday))
            && any(&self.days_of_month, |(first, last)| {
                (from_start(*first)..=from_start(*last)).contains(&day)
            })
            && any(&self.months, |(first, last)| (*first..=*last).contains(&local.month()))
            && any(&self.years, |(first, last)| (*first..=*last).contains(&local.year()))
    }

    fn spec(&self, zone: &str) -> TimeIntervalSpec {
        const WEEKDAYS: [&str; 7] =
            ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
        fn texts<T: ToString>(list: &[(T, T)]) -> Vec<String> {
            let text = |(a, b): &(T, T)| format!("{}:{}", a.to_string(), b.to_string());
            list.iter().map(text).collect()
        }
        let time = |m: u32| format!("{:02}:{:02}", m / 60, m % 60);
        let weekday = |d: u32| WEEKDAYS[d as usize];
        let mut spec = TimeIntervalSpec::default();
        spec.times =
            self.times.iter().map(|(a, b)| TimeRangeConfig::new(time(*a), time(*b))).collect();
        spec.weekdays =
            self.weekdays.iter().map(|(a, b)| format!("{}:{}", weekday(*a), weekday(*b))).collect();
        spec.days_of_month = texts(&self.days_of_month);
        spec.months = texts(&self.months);
        spec.years = texts(&self.years);
        spec.location = Some(zone.to_owned());
        spec
    }
}

fn compile(specs: impl IntoIterator<Item = TimeIntervalSpec>) -> std::sync::Arc<TimeInterval> {
    let set = TimeIntervals::compile(&[TimeIntervalConfig::new("it", specs)]).unwrap();
    std::sync::Arc::clone(set.get("it").unwrap())
}

fn system(second: i64) -> SystemTime {
    DateTime::from_timestamp(second, 0).unwrap().into()
}

fn zone(name: &str) -> Tz {
    name.parse().unwrap()
}

fn local(second: i64, zone: Tz) -> NaiveDateTime {
    zone.timestamp_opt(second, 0).unwrap().naive_local()
}

fn year_begins(year: i32) -> i64 {
    NaiveDate::from_ymd_opt(year, 1, 1).unwrap().and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp()
}

/// The seconds at which the zone's offset changes in these years, found by looking at every sixth hour and halving.
fn transitions(zone: Tz) -> Vec<i64> {
    let offset = |s: i64| zone.timestamp_opt(s, 0).unwrap().offset().fix().local_minus_utc();
    let step = 6 * HOUR;
    let mut found = Vec::new();
    for hour in (year_begins(YEARS.start)..year_begins(YEARS.end)).step_by(step as usize) {
        let (mut before, mut after) = (hour, hour + step);
        if offset(before) != offset(after) {
            while after - before > 1 {
                let middle = (before + after) / 2;
                if offset(middle) == offset(before) { before = middle } else { after = middle }
            }
            found.push(after);
        }
    }
    found
}

/// One entry for each way in which a jump of the clock can matter.
fn sensitive() -> Vec<Naive> {
    vec![
        Naive { times: vec![(0, 30), (75, 135), (150, 180), (1410, 1440)], ..Naive::default() },
        Naive { weekdays: vec![(0, 0), (5, 5)], ..Naive::default() },
        Naive { days_of_month: vec![(-1, -1), (1, 1), (8, 14)], ..Naive::default() },
        Naive {
            months: vec![(3, 3), (10, 10)],
            years: vec![(2022, 2022), (2024, 2030)],
            times: vec![(120, 1440)],
            ..Naive::default()
        },
    ]
}

#[test]
fn pain_27_fifty_zones_and_their_transitions_agree_with_a_second_library() {
    let mut seen = 0;
    for name in ZONES {
        let zone = zone(name);
        let twins = sensitive();
        let compiled: Vec<_> = twins.iter().map(|naive| compile([naive.spec(name)])).collect();
        let agree = |second: i64| {
            let local = local(second, zone);
            for (twin, interval) in twins.iter().zip(&compiled) {
                let expected = twin.contains(&local);
                let found = interval.contains(system(second));
                assert_eq!(found, expected, "{name} {second} ({local}): {twin:?}");
            }
        };
        for transition in transitions(zone) {
            seen += 1;
            agree(transition - 1);
            for minute in -180..=180 {
                agree(transition + minute * MINUTE);
            }
            // What a timer would be set to, from three hours before the jump to three hours after it.
            for (twin, interval) in twins.iter().zip(&compiled) {
                let holds = |second: i64| twin.contains(&local(second, zone));
                let (begin, end) = (transition - 3 * HOUR, transition + 3 * HOUR);
                let mut changes = (begin + MINUTE..=end).step_by(60);
                let mut at = begin;
                while at < end {
                    let next = interval.next_change(system(at)).unwrap();
                    let expected = changes.find(|second| holds(*second) != holds(at));
                    match expected {
                        Some(expected) => {
                            assert_eq!(next, system(expected), "{name} {at} {twin:?}")
                        }
                        None => assert!(next > system(end), "{name} {at} {twin:?}"),
                    }
                    at = expected.unwrap_or(end);
                }
            }
        }
        // And everywhere else, coarsely; 7h13m meets every hour and minute in time.
        let (begin, end) = (year_begins(YEARS.start), year_begins(YEARS.end));
        for second in (begin..end).step_by((31 * HOUR + 13 * MINUTE) as usize) {
            agree(second);
        }
    }
    assert!(seen > 200, "only {seen} transitions: is the database one of these years?");
}

fn ranges<T: Ord + Copy + std::fmt::Debug>(
    of: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Vec<(T, T)>> {
    let range = (of.clone(), of).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(range, 1..4)]
}

/// Times are multiples of `grain` minutes.
fn any_entry(grain: u32) -> impl Strategy<Value = Naive> {
    let steps = 1440 / grain;
    let time = (0..steps, 1..=steps).prop_map(move |(a, b)| {
        let start = a.min(b - 1);
        (start * grain, b.max(start + 1) * grain)
    });
    let times = prop_oneof![1 => Just(vec![]), 2 => prop::collection::vec(time, 1..5)];
    let day = prop_oneof![
        2 => (1..=31_i64, 1..=31_i64).prop_map(|(a, b)| (a.min(b), a.max(b))),
        2 => (-31..=-1_i64, -31..=-1_i64).prop_map(|(a, b)| (a.min(b), a.max(b))),
        1 => (1..=15_i64, -16..=-1_i64),
    ];
    let days = prop_oneof![2 => Just(vec![]), 1 => prop::collection::vec(day, 1..4)];
    (times, ranges(0..7_u32), days, ranges(1..=12_u32), ranges(2021..=2026_i32)).prop_map(
        |(times, weekdays, days_of_month, months, years)| Naive {
            times,
            weekdays,
            days_of_month,
            months,
            years,
        },
    )
}

/// The twin goes from `from` on in steps of `step`; what it sees must be what a timer is told.
fn next_change_is_never_late(
    entries: &[(Naive, &str)],
    from: i64,
    nanos: u32,
    step: i64,
    steps: i64,
) -> Result<(), TestCaseError> {
    let interval = compile(entries.iter().map(|(naive, zone)| naive.spec(zone)));
    let twins: Vec<_> = entries.iter().map(|(naive, name)| (naive, zone(name))).collect();
    let holds = |s: i64| twins.iter().any(|(naive, zone)| naive.contains(&local(s, *zone)));
    let now = system(from) + Duration::new(0, nanos);
    let before = holds(from);
    prop_assert_eq!(interval.contains(now), before);
    let next = interval.next_change(now);
    // All edges lie on the grid of the steps; `from` need not.
    let grid = from - from.rem_euclid(step);
    let expected = (1..=steps).map(|i| grid + i * step).find(|second| holds(*second) != before);
    if let Some(expected) = expected {
        // So few entries have no reason to be early either.
        prop_assert_eq!(next, Some(system(expected)), "from {}", from);
        prop_assert_eq!(interval.contains(system(expected)), !before);
    } else {
        let end = system(grid + steps * step);
        prop_assert!(next.is_none_or(|next| next > end), "{:?} is no change", next);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Minute by minute over the days around a jump of the clock.
    #[test]
    fn the_next_change_around_a_jump_is_the_twins(
        entries in prop::collection::vec((any_entry(1), prop::sample::select(&ZONES[..])), 1..3),
        (which, hours_before, second) in (any::<prop::sample::Index>(), 0..30_i64, 0..HOUR),
        nanos in 0..1_000_000_000_u32,
    ) {
        let all = transitions_of(entries[0].1);
        let jump = if all.is_empty() { year_begins(2023) } else { all[which.index(all.len())] };
        let from = jump - hours_before * HOUR - second;
        next_change_is_never_late(&entries, from, nanos, MINUTE, 2 * 24 * 60)?;
    }

    /// In quarters of an hour over a month anywhere in these years, where every offset, and every time at which it
    /// changes, is a multiple of it. (Casey's clock once jumped at one minute past midnight.)
    #[test]
    fn the_next_change_in_a_month_is_the_twins(
        entries in prop::collection::vec((any_entry(15), prop::sample::select(on_the_quarter())), 1..3),
        from in year_begins(YEARS.start)..year_begins(YEARS.end),
        nanos in 0..1_000_000_000_u32,
    ) {
        next_change_is_never_late(&entries, from, nanos, 15 * MINUTE, 31 * 24 * 4)?;
    }
}

/// Found once for each zone.
fn on_the_quarter() -> Vec<&'static str> {
    let even = |name: &&str| transitions_of(name).iter().all(|at| at % (15 * MINUTE) == 0);
    ZONES.into_iter().filter(even).collect()
}

fn transitions_of(name: &str) -> &'static [i64] {
    use std::collections::HashMap;
    use std::sync::OnceLock;

    static ALL: OnceLock<HashMap<&str, Vec<i64>>> = OnceLock::new();
    let all = ALL.get_or_init(|| ZONES.map(|name| (name, transitions(zone(name)))).into());
    &all[name]
}
