use std::time::{Duration, SystemTime};

use birl_router::{
    Error, ErrorKind, TimeInterval, TimeIntervalConfig, TimeIntervalSpec, TimeIntervals,
    TimeRangeConfig,
};
use serde_json::{Value, json};

mod zones;

/// Compiles the entries under one name.
fn compile(entries: Value) -> Result<std::sync::Arc<TimeInterval>, Error> {
    let config = json!([{ "name": "it", "time_intervals": entries }]);
    let config: Vec<TimeIntervalConfig> = serde_json::from_value(config).expect("a configuration");
    let set = TimeIntervals::compile(&config)?;
    Ok(std::sync::Arc::clone(set.get("it").expect("its only interval")))
}

/// `2026-03-29T01:00:00Z`, or with another offset; without seconds and offset, UTC.
fn time(text: &str) -> SystemTime {
    let text = if text.len() == 16 { format!("{text}:00Z") } else { text.to_owned() };
    chrono::DateTime::parse_from_rfc3339(&text).expect(&text).into()
}

fn changes(entries: Value, from: &str, count: usize) -> Vec<String> {
    let interval = compile(entries).unwrap();
    let next = |at: &SystemTime| interval.next_change(*at);
    let all = std::iter::successors(next(&time(from)), next).take(count);
    all.map(|at| chrono::DateTime::<chrono::Utc>::from(at).format("%FT%R").to_string()).collect()
}

#[track_caller]
fn holds(entries: Value, inside: &[&str], outside: &[&str]) {
    let interval = compile(entries.clone()).unwrap();
    for at in inside {
        assert!(interval.contains(time(at)), "{entries} contains {at}");
    }
    for at in outside {
        assert!(!interval.contains(time(at)), "{entries} does not contain {at}");
    }
}

#[test]
fn what_alertmanager_documents_holds() {
    // Nothing said: always.
    holds(json!([{}]), &["2006-01-02T15:04", "1969-12-31T23:59"], &[]);
    // No entry: never.
    holds(json!([]), &[], &["2006-01-02T15:04"]);
    // Office hours: the begin is part, the end is not.
    holds(
        json!([{ "weekdays": ["monday:friday"],
                 "times": [{ "start_time": "09:00", "end_time": "17:00" }] }]),
        &["2020-07-08T09:00", "2020-07-08T16:59", "2020-07-10T16:59"],
        &["2020-07-08T08:59", "2020-07-08T17:00", "2020-07-11T12:00", "2020-07-12T12:00"],
    );
    // 24:00 takes the last minute of the day.
    holds(
        json!([{ "times": [{ "start_time": "17:00", "end_time": "24:00" }] }]),
        &["2020-07-08T17:00", "2020-07-08T23:59"],
        &["2020-07-08T16:59", "2020-07-09T00:00"],
    );
    // Easter 2020: all lists have to hold.
    holds(
        json!([{ "days_of_month": ["4:6"], "months": ["april"], "years": ["2020"] }]),
        &["2020-04-04T15:04", "2020-04-05T00:00", "2020-04-06T23:59"],
        &["2020-04-03T23:59", "2020-04-07T00:00", "2020-06-04T12:00", "2019-04-06T12:00"],
    );
    // Negative days count from the end of that month.
    holds(
        json!([{ "days_of_month": ["-3:-1"] }]),
        &["2020-01-29T00:00", "2020-01-31T23:59", "2020-06-28T00:00", "2020-02-27T00:00"],
        &["2020-01-28T23:59", "2020-03-01T00:00", "2020-06-27T23:59", "2020-02-26T23:59"],
    );
    // A range may begin at the front and end at the back.
    holds(
        json!([{ "days_of_month": ["20:-2"] }]),
        &["2021-02-20T00:00", "2021-02-27T12:00", "2021-03-30T12:00"],
        &["2021-02-19T23:59", "2021-02-28T00:00", "2021-03-31T00:00"],
    );
    // What a month does not have is clamped to it, never to the neighbour.
    holds(
        json!([{ "days_of_month": ["1:31"], "months": ["june"] }]),
        &["2020-06-01T00:00", "2020-06-30T23:59"],
        &["2020-05-31T23:59", "2020-07-01T00:00"],
    );
    holds(
        json!([{ "days_of_month": ["30:31"], "months": ["february"] }]),
        &[],
        &["2021-02-28T13:00", "2020-02-29T13:00", "2021-03-01T13:00"],
    );
    holds(
        json!([{ "days_of_month": ["-31:-30"] }]),
        &["2021-01-01T00:00", "2021-06-01T00:00"],
        &["2021-02-01T00:00", "2021-06-02T00:00", "2021-01-31T00:00"],
    );
    // Several ranges in each list, names and numbers, any case.
    holds(
        json!([{ "weekdays": ["Monday:FRIDAY", "sunday"], "months": ["January:3", "5", "10:december"],
                 "days_of_month": ["-7:-1"], "years": ["2020:2025", "2030:2035"],
                 "times": [{ "start_time": "09:00", "end_time": "17:00" }] }]),
        &["2021-01-27T09:00", "2025-03-31T13:00", "2035-01-31T13:00", "2021-05-31T10:00"],
        &["2021-01-30T13:00", "2021-04-30T13:00", "2026-01-30T13:00", "2035-01-31T17:00"],
    );
    // Any of the entries.
    holds(
        json!([{ "weekdays": ["saturday"] }, { "days_of_month": [13] }]),
        &["2026-11-28T00:00", "2026-11-13T12:00"],
        &["2026-11-27T12:00"],
    );
}

#[test]
fn an_instant_is_judged_by_the_clock_of_the_location() {
    let office = json!([{ "weekdays": ["monday:friday"], "location": "Australia/Sydney",
                          "times": [{ "start_time": "09:00", "end_time": "17:00" }] }]);
    holds(office, &["2021-04-06T13:00:00+10:00"], &["2021-04-06T13:00:00+00:00"]);
    // The first of November there is the last of October here.
    holds(
        json!([{ "months": ["november"], "location": "Australia/Sydney" }]),
        &["2021-10-31T13:00", "2021-11-30T12:59"],
        &["2021-10-31T12:59", "2021-11-30T13:00"],
    );
    // The empty location is UTC.
    holds(json!([{ "years": ["2021"], "location": "" }]), &["2021-01-01T00:00"], &[]);
}

/// Alertmanager#5447: a month that loses an hour is no day shorter.
#[test]
fn pain_27_the_last_day_of_a_month_with_a_change_to_summer_time_is_the_last() {
    holds(
        json!([{ "days_of_month": ["-1"], "location": "America/New_York" }]),
        &["2021-03-31T12:00:00-04:00", "2021-11-30T12:00:00-05:00", "2021-03-31T23:59:59-04:00"],
        &["2021-03-30T12:00:00-04:00", "2021-11-29T12:00:00-05:00", "2021-04-01T00:00:00-04:00"],
    );
}

#[test]
fn a_time_that_is_left_out_does_not_come_and_one_that_is_repeated_comes_twice() {
    let half_past_two = json!([{ "times": [{ "start_time": "02:15", "end_time": "02:45" }],
                                 "location": "Europe/Berlin" }]);
    assert_eq!(
        changes(half_past_two.clone(), "2026-03-28T12:00", 2),
        ["2026-03-30T00:15", "2026-03-30T00:45"] // not on the 29th
    );
    assert_eq!(
        changes(half_past_two, "2026-10-24T12:00", 6),
        [
            "2026-10-25T00:15", // summer time
            "2026-10-25T00:45",
            "2026-10-25T01:15", // and again
            "2026-10-25T01:45",
            "2026-10-26T01:15",
            "2026-10-26T01:45"
        ]
    );
    // One hour on the clock, two in time, without a break.
    let hour = json!([{ "times": [{ "start_time": "02:00", "end_time": "03:00" }],
                        "location": "Europe/Berlin" }]);
    assert_eq!(changes(hour, "2026-10-24T12:00", 2), ["2026-10-25T00:00", "2026-10-25T02:00"]);
    // The end is left out: it is over when the clock has jumped past it.
    let night = json!([{ "times": [{ "start_time": "01:30", "end_time": "02:30" }],
                         "location": "Europe/Berlin" }]);
    assert_eq!(changes(night, "2026-03-28T12:00", 2), ["2026-03-29T00:30", "2026-03-29T01:00"]);
}

#[test]
fn a_day_that_a_zone_left_out_does_not_come() {
    // Samoa went from the 29th of December 2011 to the 31st.
    let day = |n: i32| json!([{ "days_of_month": [n], "months": ["12"], "years": ["2011"], "location": "Pacific/Apia" }]);
    assert_eq!(changes(day(30), "2011-12-29T00:00", 1), [""; 0]);
    assert_eq!(changes(day(31), "2011-12-29T00:00", 2), ["2011-12-30T10:00", "2011-12-31T10:00"]);
}

#[test]
fn a_year_comes_back_when_the_clock_jumps_back_over_its_end() {
    // Arizona went from war time to mountain time one minute after the beginning of 1944.
    let year = json!([{ "years": ["1943"], "location": "America/Phoenix" }]);
    assert_eq!(
        changes(year, "1943-12-31T12:00", 3),
        ["1944-01-01T06:00", "1944-01-01T06:01", "1944-01-01T07:00"]
    );
}

#[test]
fn the_next_change_is_one() {
    // Two whole days are one stretch.
    assert_eq!(
        changes(json!([{ "weekdays": ["saturday", "sunday"] }]), "2026-11-27T12:00", 3),
        ["2026-11-28T00:00", "2026-11-30T00:00", "2026-12-05T00:00"]
    );
    // So are an evening and the morning after it, in two entries or in one.
    let (evening, morning) = (
        json!({ "start_time": "17:00", "end_time": "24:00" }),
        json!({ "start_time": "00:00", "end_time": "08:00" }),
    );
    for entries in [
        json!([{ "times": [evening] }, { "times": [morning] }]),
        json!([{ "times": [evening, morning] }]),
    ] {
        assert_eq!(
            changes(entries, "2026-11-27T12:00", 3),
            ["2026-11-27T17:00", "2026-11-28T08:00", "2026-11-28T17:00"]
        );
    }
    // A leap day, and the day after.
    assert_eq!(
        changes(json!([{ "months": [2], "days_of_month": [29] }]), "2026-11-27T12:00", 2),
        ["2028-02-29T00:00", "2028-03-01T00:00"]
    );
    // A moment between two seconds, and the edge itself.
    let interval = compile(json!([{ "weekdays": ["saturday"] }])).unwrap();
    let saturday = time("2026-11-28T00:00");
    assert_eq!(interval.next_change(saturday - Duration::from_nanos(1)), Some(saturday));
    assert_eq!(interval.next_change(saturday), Some(time("2026-11-29T00:00")));
    assert!(!interval.contains(saturday - Duration::from_nanos(1)));
}

#[test]
fn what_never_changes_has_no_next_change() {
    let now = time("2026-11-27T12:00");
    for entries in [
        json!([]),
        json!([{}]),
        json!([{ "location": "Europe/Berlin" }]),
        json!([{ "years": ["2020:2024"], "location": "Europe/Berlin" }]),
        json!([{ "times": [{ "start_time": "12:00", "end_time": "24:00" },
                           { "start_time": "00:00", "end_time": "12:00" }] }]),
        json!([{ "years": ["99999"] }]),
        json!([{ "months": ["february"], "days_of_month": ["30"] }]),
        json!([{ "months": ["4", "6"], "days_of_month": ["31"], "location": "Asia/Tehran" }]),
        json!([{ "days_of_month": ["1:-1"], "months": ["1:12"], "weekdays": ["sunday:saturday"],
                 "times": [{ "start_time": "00:00", "end_time": "24:00" }] }]),
    ] {
        assert_eq!(compile(entries.clone()).unwrap().next_change(now), None, "{entries}");
    }
    // What is very far away is looked for again after some years.
    let later = now + Duration::from_secs(5 * 365 * 86_400);
    for entries in [
        json!([{ "years": ["2050"] }]),
        json!([{ "years": ["2050"], "location": "Europe/Berlin" }]),
        json!([{ "years": ["2020:2050"] }]),
    ] {
        let next = compile(entries.clone()).unwrap().next_change(now);
        assert!(
            next.is_some_and(|next| later < next && next < time("2050-01-01T00:00")),
            "{entries}"
        );
    }
}

/// The message that an entry leads to.
fn complaint(entry: Value) -> String {
    let error = compile(json!([{}, entry])).expect_err("not a valid entry");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let message = error.to_string();
    let inside = message.strip_prefix("time_intervals[0].time_intervals[1].");
    inside.unwrap_or_else(|| panic!("no place: {message}")).to_owned()
}

#[test]
fn a_bad_range_is_refused_with_place_and_remedy() {
    for (key, text, expected) in [
        ("weekdays", "blurgsday", "`blurgsday` is not a weekday: did you mean `thursday`?"),
        ("weekdays", "mon:fri", "`mon` is not a weekday: did you mean `monday`?"),
        ("weekdays", "monday:firday", "`firday` is not a weekday: did you mean `friday`?"),
        ("weekdays", "1:3", "`1` is not a weekday: write sunday, monday … or saturday"),
        ("weekdays", "", "`` is not a weekday: write sunday, monday … or saturday"),
        ("weekdays", "monday:", "`` is not a weekday: write sunday, monday … or saturday"),
        (
            "weekdays",
            "friday:monday",
            "`friday:monday` ends before it begins, as the week begins on sunday: write two, \
             `friday:saturday` and `sunday:monday`",
        ),
        (
            "weekdays",
            "saturday:sunday",
            "`saturday:sunday` ends before it begins, as the week begins on sunday: write two, \
             `saturday` and `sunday`",
        ),
        ("weekdays", "a:b:c", "`a:b:c` is not a range: write `first:last`"),
        ("weekdays", "monday :friday", "`monday :friday` has spaces in it: remove them"),
        (
            "days_of_month",
            "0",
            "`0` is not a day of the month: write 1 to 31, or -1 (the last day) to -31",
        ),
        (
            "days_of_month",
            "1:50",
            "`50` is not a day of the month: write 1 to 31, or -1 (the last day) to -31",
        ),
        (
            "days_of_month",
            "-32",
            "`-32` is not a day of the month: write 1 to 31, or -1 (the last day) to -31",
        ),
        (
            "days_of_month",
            "-15:5",
            "`-15:5` begins at the end of a month and ends in the next: write two, `-15:-1` and `1:5`",
        ),
        (
            "days_of_month",
            "-1:1",
            "`-1:1` begins at the end of a month and ends in the next: write two, `-1` and `1`",
        ),
        (
            "days_of_month",
            "10:5",
            "`10:5` ends before it begins in every month: write the earlier day first",
        ),
        (
            "days_of_month",
            "10:-25",
            "`10:-25` ends before it begins in every month: write the earlier day first",
        ),
        (
            "days_of_month",
            "-1:-3",
            "`-1:-3` ends before it begins in every month: write the earlier day first",
        ),
        (
            "months",
            "martius:june",
            "`martius` is not a month: write january, february … or 1 to 12",
        ),
        ("months", "sept", "`sept` is not a month: did you mean `september`?"),
        ("months", "13", "`13` is not a month: write january, february … or 1 to 12"),
        ("months", "0:3", "`0` is not a month: write january, february … or 1 to 12"),
        (
            "months",
            "november:2",
            "`november:2` ends before it begins: write two, `november:december` and `january:february`",
        ),
        ("years", "2022:2020", "`2022:2020` ends before it begins: write `2020:2022`"),
        ("years", "soon", "`soon` is not a year: write it like 2026"),
        (
            "years",
            "99999999999999999999",
            "`99999999999999999999` is not a year: write it like 2026",
        ),
    ] {
        assert_eq!(complaint(json!({ key: [text] })), format!("{key}[0]: {expected}"));
    }
    // The element that is at fault is named, not the first.
    let second = complaint(json!({ "years": ["2026", "26a"] }));
    assert_eq!(second, "years[1]: `26a` is not a year: write it like 2026");
}

#[test]
fn a_bad_time_of_day_is_refused_with_place_and_remedy() {
    let how = "is not a time of day: write HH:MM, 00:00 to 23:59, or 24:00 for the end of the day";
    let bad = |text: &str| format!("`{text}` {how}");
    for (start, end, expected) in [
        ("9:00", "17:00", bad("9:00")),
        ("01:99", "23:59", bad("01:99")),
        ("00:00", "25:00", bad("25:00")),
        ("12:30", "24:01", bad("24:01")),
        ("00:00", "99:99", bad("99:99")),
        ("", "17:00", bad("")),
        ("+1:00", "17:00", bad("+1:00")),
        ("09:00", "17:00\n", bad("17:00\n")),
        ("0٣:00", "17:00", bad("0٣:00")),
        ("17:31", "17:31", "`17:31` to `17:31` is no time at all: write a later `end_time`".into()),
        ("24:00", "17:41", "`24:00` is the end of the day: begin at 00:00".into()),
        (
            "22:00",
            "06:00",
            "`22:00` is later than `06:00`: past midnight write one from 22:00 to 24:00, and one \
             from 00:00 to 06:00"
                .into(),
        ),
        (
            "22:00",
            "00:00",
            "`22:00` is later than `00:00`: past midnight write one from 22:00 to 24:00".into(),
        ),
    ] {
        let entry = json!({ "times": [{ "start_time": start, "end_time": end }] });
        assert_eq!(complaint(entry), format!("times[0]: {expected}"));
    }
}

#[test]
fn an_unknown_location_is_refused_with_the_one_that_may_be_meant() {
    for (name, expected) in [
        ("Europe/Belrin", "there is no time zone `Europe/Belrin`: did you mean `Europe/Berlin`?"),
        ("Berlin", "there is no time zone `Berlin`: did you mean `Europe/Berlin`?"),
        (
            "America/New York",
            "there is no time zone `America/New York`: did you mean `America/New_York`?",
        ),
        (
            "PST",
            "there is no time zone `PST`: write a name of the IANA database, such as \
             `Europe/Berlin` or `UTC`",
        ),
        (
            "../../etc/passwd",
            "there is no time zone `../../etc/passwd`: write a name of the IANA database, such as \
             `Europe/Berlin` or `UTC`",
        ),
        (
            "Local",
            "`Local` is another zone on another machine: name the one that you mean, such as \
             `Europe/Berlin`",
        ),
    ] {
        assert_eq!(complaint(json!({ "location": name })), format!("location: {expected}"));
    }
}

#[test]
fn both_lists_make_one_set() {
    let one = |name: &str| TimeIntervalConfig::new(name, [TimeIntervalSpec::default()]);
    let set = TimeIntervals::compile_with_older(&[one("b"), one("weekends")], &[one("a")]).unwrap();
    assert_eq!(
        set.iter().map(|interval| interval.name()).collect::<Vec<_>>(),
        ["a", "b", "weekends"]
    );
    assert!(set.get("a").is_some() && set.get("c").is_none());

    let error = |time: &[TimeIntervalConfig], mute: &[TimeIntervalConfig]| {
        TimeIntervals::compile_with_older(time, mute).unwrap_err().to_string()
    };
    assert_eq!(
        error(&[one("b"), one("a")], &[one("a")]),
        "time_intervals[1]: there are two time intervals `a`: put the entries of both under one name"
    );
    assert!(error(&[], &[one("a"), one("a")]).starts_with("mute_time_intervals[1]: there are two"));
    assert_eq!(
        error(&[one("")], &[]),
        "time_intervals[0]: the time interval's name is missing: `name: NAME`"
    );

    let route = "route.routes[2].mute_time_intervals[0]";
    assert_eq!(set.find(route, "b").unwrap().name(), "b");
    assert_eq!(
        set.find(route, "weekend").unwrap_err().to_string(),
        "route.routes[2].mute_time_intervals[0]: there is no time interval `weekend`: did you mean `weekends`?"
    );
    let far = set.find(route, "holidays").unwrap_err().to_string();
    assert!(far.ends_with("`holidays`: the time intervals are: a, b, weekends"), "{far}");
    let none = TimeIntervals::default().find(route, "holidays").unwrap_err().to_string();
    assert!(none.ends_with("`holidays`: define it under `time_intervals`"), "{none}");
}

#[test]
fn the_configuration_is_written_as_it_is_read() {
    let whole = json!({ "name": "offhours", "time_intervals": [{
        "times": [{ "start_time": "17:00", "end_time": "24:00" }],
        "weekdays": ["monday:friday", "Saturday"],
        "days_of_month": ["1:5", "-3:-1"],
        "months": ["january:march", "5", "10:12"],
        "years": ["2024:2026"],
        "location": "Europe/Berlin"
    }, {}] });
    let config: TimeIntervalConfig = serde_json::from_value(whole.clone()).unwrap();
    assert_eq!(serde_json::to_value(&config).unwrap(), whole);
    TimeIntervals::compile(std::slice::from_ref(&config)).unwrap();

    let mut entry = TimeIntervalSpec::default();
    entry.times = vec![TimeRangeConfig::new("17:00", "24:00")];
    entry.days_of_month = vec!["1".into(), "-1".into()];
    // YAML reads these as numbers, and `~` as nothing.
    let loose = json!({ "times": [{ "start_time": "17:00", "end_time": "24:00" }],
                        "days_of_month": [1, -1], "months": null });
    assert_eq!(serde_json::from_value::<TimeIntervalSpec>(loose).unwrap(), entry);
}

#[test]
fn what_would_be_without_effect_is_refused() {
    for (entry, expected) in [
        (json!({ "weekdays": [] }), "an empty list never holds: leave it out"),
        (json!({ "times": [] }), "an empty list never holds: leave it out"),
        (json!({ "weekday": ["monday"] }), "unknown field `weekday`"),
        (json!({ "time_zone": "UTC" }), "unknown field `time_zone`"),
        (json!({ "times": [{ "start_time": "17:00" }] }), "missing field `end_time`"),
        (json!({ "days_of_month": [1.5] }), "expected a value or a range `first:last`"),
        (json!({ "weekdays": "monday" }), "expected a sequence"),
    ] {
        let error = serde_json::from_value::<TimeIntervalSpec>(entry).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn absurd_input_is_an_error_or_harmless() {
    let ages = [
        SystemTime::UNIX_EPOCH,
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::MAX >> 2),
        SystemTime::UNIX_EPOCH - Duration::from_secs(u64::MAX >> 2),
        time("9999-12-30T21:59"),
        time("0001-01-01T00:00"),
    ];
    let many: Vec<_> = (0..10_000).map(|i| format!("{}:{}", i * 3, i * 3 + 1)).collect();
    let minutes = (0..720).map(|i| {
        let hour = |m: usize| format!("{:02}:{:02}", m / 60, m % 60);
        json!({ "start_time": hour(2 * i), "end_time": hour(2 * i + 1) })
    });
    let minutes: Vec<_> = minutes.collect();
    let times: Vec<_> = minutes.iter().cycle().take(10_000).collect();
    for entries in [
        json!([{ "years": ["-9223372036854775808:9223372036854775807"], "weekdays": ["monday"] }]),
        json!([{ "years": ["-99999", "9223372036854775807", "9223372036854775806"] }]),
        json!([{ "years": many }]),
        json!([{ "years": ["9999"], "days_of_month": ["-1"], "location": "Europe/Berlin" }]),
        json!([{ "times": times, "location": "America/New_York" }]),
        json!([{}, { "times": minutes }]), // always, and a thousand edges a day that change nothing
        json!([{ "days_of_month": vec!["-31:-1"; 10_000], "weekdays": vec!["friday"; 10_000] }]),
        Value::Array(vec![
            json!({ "months": ["2"], "days_of_month": ["30"], "location": "Asia/Tehran" });
            10_000
        ]),
    ] {
        let interval = compile(entries).unwrap();
        for at in ages {
            interval.contains(at);
            let next = interval.next_change(at);
            assert!(next.is_none_or(|next| next > at), "{next:?}");
        }
    }
    // A message shows the beginning of what it complains of.
    let long = complaint(json!({ "weekdays": ["é".repeat(100_000)] }));
    assert!(long.contains("é…` is not a weekday") && long.len() < 500, "{}", long.len());
    let long = complaint(json!({ "location": "é".repeat(100_000) }));
    assert!(long.contains("there is no time zone `é") && long.len() < 500, "{}", long.len());
}
