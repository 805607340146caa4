//! Grouping and its timers: what is told together, when, and when again.

use std::time::{Duration, SystemTime};

use birl_router::{Alert, DeliveryReport, LostCause, Notification, Outcome, Router, State};
use serde_json::json;

use crate::{alert, at, config, router, told};

/// The names of a notification's alerts, those that are over in parentheses.
fn names(n: &Notification) -> String {
    let shown = n.alerts.iter().map(|alert| {
        let name = alert.labels.get("alertname");
        if alert.status(n.at) == birl_router::Status::Firing {
            name.to_owned()
        } else {
            format!("({name})")
        }
    });
    let mut shown: Vec<String> = shown.collect();
    shown.sort();
    shown.join(" ")
}

/// What comes of all that is due up to `until`, as `second: names`.
fn run(r: &mut Router, until: u64) -> Vec<String> {
    let mut out = Vec::new();
    while let Some(deadline) = r.next_deadline().filter(|deadline| *deadline <= at(until)) {
        let second = deadline.duration_since(at(0)).unwrap_or_default().as_secs_f64();
        for n in r.tick(deadline) {
            out.push(format!("{second}: {}", names(&n)));
            let _ = r.report(&DeliveryReport::delivered(&n, Duration::ZERO, deadline), deadline);
        }
    }
    out
}

fn alertmanagers(route: serde_json::Value) -> Router {
    let mut json = json!({
        "route": { "receiver": "all", "group_by": ["cluster"] },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }, { "name": "other", "stdout_configs": [{}] }]
    });
    for (key, value) in route.as_object().unwrap() {
        json["route"][key] = value.clone();
    }
    router(json)
}

#[test]
fn alerts_of_a_group_are_told_together_after_the_wait_and_then_once_an_interval() {
    let mut r = alertmanagers(json!({}));
    let first = r.route(alert("A", 0), at(0));
    assert_eq!((first.outcome, first.state), (Outcome::Grouped, State::Active));
    assert_eq!(first.reason, "told in 30s, with the group {}");
    let _ = r.route(alert("B", 10), at(10));
    assert_eq!(run(&mut r, 29), Vec::<String>::new());
    assert_eq!(run(&mut r, 60), ["30: A B"]);
    // What is new waits for the interval, and comes with what still fires.
    let _ = r.route(alert("C", 100), at(100));
    let _ = r.route(alert("A", 0).resolved(at(120)), at(120));
    assert_eq!(run(&mut r, 329), Vec::<String>::new());
    assert_eq!(run(&mut r, 400), ["330: (A) B C"]);
    // Nothing new: nothing is said, until the repeat interval is over.
    assert_eq!(run(&mut r, 330 + 4 * 3600 - 1), Vec::<String>::new());
    assert_eq!(run(&mut r, 330 + 4 * 3600), ["14730: B C"]);
}

#[test]
fn a_group_has_what_its_alerts_share() {
    let mut r = alertmanagers(json!({}));
    let of = |name: &str, cluster: &str| {
        let labels = [("alertname", name), ("cluster", cluster), ("env", "prod")];
        Alert::firing(labels, at(0)).annotation("runbook", "r").annotation("summary", name)
    };
    for alert in [of("A", "eu"), of("B", "eu"), of("C", "us")] {
        let _ = r.route(alert, at(0));
    }
    let mut sent = r.tick(at(30));
    sent.sort_by_key(|n| n.group_key.clone());
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].group_key, "{}:{cluster=\"eu\"}");
    assert_eq!(sent[0].group_labels.to_string(), "{cluster=\"eu\"}");
    assert_eq!(sent[0].common_labels.to_string(), "{cluster=\"eu\", env=\"prod\"}");
    assert_eq!(sent[0].common_annotations.to_string(), "{runbook=\"r\"}");
    assert!(sent[0].reason.ends_with("; 2 firing and 0 resolved"), "{}", sent[0].reason);
    assert_eq!(names(&sent[1]), "C");
    let mut groups: Vec<String> = r.groups().map(|group| group.key).collect();
    groups.sort();
    assert_eq!(groups, ["{}:{cluster=\"eu\"}", "{}:{cluster=\"us\"}"]);
}

#[test]
fn what_is_over_before_the_wait_is_told_to_nobody() {
    let mut r = alertmanagers(json!({}));
    let _ = r.route(alert("A", 0), at(0));
    let over = r.route(alert("A", 0).resolved(at(10)), at(10));
    assert_eq!(over.outcome, Outcome::NothingToResolve);
    assert_eq!(run(&mut r, 3600), Vec::<String>::new());
    assert_eq!((r.alerts().count(), r.groups().count()), (0, 0));
}

#[test]
fn a_zero_interval_tells_every_change_at_once() {
    let mut r = alertmanagers(json!({ "group_wait": "0s", "group_interval": "0s" }));
    assert_eq!(
        r.route(alert("A", 0), at(0)).notifications.iter().map(names).collect::<Vec<_>>(),
        ["A"]
    );
    assert_eq!(
        r.route(alert("B", 1), at(1)).notifications.iter().map(names).collect::<Vec<_>>(),
        ["A B"]
    );
    let over = r.route(alert("A", 0).resolved(at(2)), at(2));
    assert_eq!(over.notifications.iter().map(names).collect::<Vec<_>>(), ["(A) B"]);
}

/// Times are not whole milliseconds in life: what is due in this one is due.
#[test]
fn at_once_is_at_once_at_any_nanosecond() {
    let mut r = alertmanagers(json!({ "group_wait": "0s", "group_interval": "0s" }));
    for nanosecond in [1, 499_999, 999_999, 1_000_001, 123_456_789] {
        let now = at(1) + Duration::from_nanos(nanosecond);
        let name = format!("A{nanosecond}");
        let firing = Alert::firing([("alertname", &name), ("cluster", &name)], now);
        assert_eq!(
            told(&r.route(firing.clone(), now).notifications),
            ["all:firing"],
            "{nanosecond}"
        );
        let over = r.route(firing.resolved(now), now);
        assert_eq!(told(&over.notifications), ["all:resolved"], "{nanosecond}");
    }
}

/// What has to arrive within 50 ms cannot wait half a minute for company.
#[test]
fn the_first_tier_does_not_wait() {
    let mut r = alertmanagers(json!({ "sla": 1 }));
    assert_eq!(told(&r.route(alert("A", 0), at(0)).notifications), ["all:firing"]);
}

#[test]
fn an_empty_group_by_gathers_everything_whatever_the_parent_says() {
    let mut r =
        alertmanagers(json!({ "routes": [{ "matchers": ["env=\"prod\""], "group_by": [] }] }));
    for cluster in ["eu", "us"] {
        let labels = [("alertname", cluster), ("cluster", cluster), ("env", "prod")];
        let _ = r.route(Alert::firing(labels, at(0)), at(0));
    }
    assert_eq!(run(&mut r, 30), ["30: eu us"]);
}

#[test]
fn an_empty_group_keeps_its_beat_for_an_interval_and_is_then_forgotten() {
    let mut r = alertmanagers(json!({}));
    let _ = r.route(alert("A", 0), at(0));
    assert_eq!(run(&mut r, 30), ["30: A"]);
    let _ = r.route(alert("A", 0).resolved(at(40)), at(40));
    assert_eq!(run(&mut r, 330), ["330: (A)"]);
    let _ = r.route(alert("A", 400), at(400));
    assert_eq!(run(&mut r, 700), ["630: A"], "the group was still there");
    let _ = r.route(alert("A", 400).resolved(at(700)), at(700));
    assert_eq!(run(&mut r, 1229), ["930: (A)"]);
    assert_eq!(r.groups().count(), 1);
    assert_eq!(run(&mut r, 1300), Vec::<String>::new());
    assert_eq!(r.groups().count(), 0);
    let _ = r.route(alert("A", 1300), at(1300));
    assert_eq!(run(&mut r, 1400), ["1330: A"], "a new group waits");
}

#[test]
fn a_receiver_that_two_routes_lead_to_is_told_once_and_twice_by_alertmanagers_rules() {
    let routes = json!({ "group_by": ["..."], "group_wait": "0s", "group_interval": "0s", "routes": [
        { "matchers": ["alertname=\"A\""], "continue": true },
        { "matchers": ["alertname=~\"A|B\""], "receiver": "other", "continue": true },
        { "matchers": ["alertname=\"A\""] }
    ] });
    let mut r = alertmanagers(routes.clone());
    assert_eq!(told(&r.route(alert("A", 0), at(0)).notifications), ["all:firing", "other:firing"]);
    let over = r.route(alert("A", 0).resolved(at(1)), at(1));
    assert_eq!(told(&over.notifications), ["all:resolved", "other:resolved"]);
    let mut json = json!({
        "route": routes, "compat": "alertmanager",
        "receivers": [{ "name": "all", "stdout_configs": [{}] }, { "name": "other", "stdout_configs": [{}] }]
    });
    json["route"]["receiver"] = json!("all");
    let mut r = router(json);
    let first = r.route(alert("A", 0), at(0));
    assert_eq!(told(&first.notifications), ["all:firing", "other:firing", "all:firing"]);
}

#[test]
fn several_receivers_of_one_route_are_told_each() {
    let mut r = alertmanagers(json!({ "receivers": ["other"], "group_wait": "0s" }));
    assert_eq!(told(&r.route(alert("A", 0), at(0)).notifications), ["all:firing", "other:firing"]);
}

#[test]
fn too_many_groups_share_one_and_nobody_is_lost() {
    let mut r = router(json!({
        "route": { "receiver": "all", "group_by": ["alertname"], "group_wait": "1s", "group_interval": "1s" },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }],
        "limits": { "max_groups": 3 }
    }));
    for i in 0..10 {
        let _ = r.route(alert(&format!("A{i}"), 0), at(0));
    }
    assert_eq!(r.groups().count(), 4);
    assert_eq!(r.metrics().dropped("group_overflow"), 7);
    let mut sent = r.tick(at(1));
    sent.sort_by_key(|n| n.alerts.len());
    assert_eq!(sent.iter().map(|n| n.alerts.len()).collect::<Vec<_>>(), [1, 1, 1, 7]);
    assert_eq!(sent[3].group_key, "{}:{__overflow__=\"true\"}");
    // An alert stays where it is.
    let over = r.route(alert("A9", 0).resolved(at(2)), at(2));
    assert_eq!(
        over.notifications.iter().map(names).collect::<Vec<_>>(),
        ["(A9) A3 A4 A5 A6 A7 A8"]
    );
}

#[test]
fn a_lost_group_is_told_again_whole_and_by_the_same_name() {
    let mut r = alertmanagers(json!({ "group_interval": "1m" }));
    let _ = r.route(alert("A", 0), at(0));
    let _ = r.route(alert("B", 0), at(0));
    let first = r.tick(at(30)).remove(0);
    let lost = DeliveryReport::lost(&first, LostCause::Permanent, "500", at(31));
    let dead = r.report(&lost, at(31)).dead_letter.expect("there is one endpoint");
    assert!(dead.reason.ends_with("it is told again in 5m"), "{}", dead.reason);
    let mut again = Vec::new();
    for second in 32..=400 {
        again.extend(r.tick(at(second)).into_iter().map(|n| (second, n)));
    }
    let [(when, n)] = &again[..] else { panic!("{again:?}") };
    assert_eq!((*when, names(n)), (390, "A B".to_owned()), "on the beat after five minutes");
    assert_eq!(n.id, first.id);
}

/// A resolve that no endpoint took is told again, even when the group said something else meanwhile.
#[test]
fn a_lost_resolve_is_not_forgotten_over_later_news() {
    let mut r = alertmanagers(json!({ "group_wait": "0s", "group_interval": "0s" }));
    let deliver = |r: &mut Router, n: &Notification, now| {
        let _ = r.report(&DeliveryReport::delivered(n, Duration::ZERO, at(now)), at(now));
    };
    let first = r.route(alert("A", 0), at(0)).notifications.remove(0);
    deliver(&mut r, &first, 0);
    let over = r.route(alert("A", 0).resolved(at(1)), at(1)).notifications.remove(0);
    let later = r.route(alert("B", 2), at(2)).notifications.remove(0);
    assert_eq!(names(&later), "B", "the resolve is on its way");
    deliver(&mut r, &later, 2);
    let lost = DeliveryReport::lost(&over, LostCause::DeadlineOver, "500", at(3));
    assert!(r.report(&lost, at(3)).resend.is_empty(), "overtaken");
    assert_eq!(r.tick(at(3)).iter().map(names).collect::<Vec<_>>(), ["(A) B"]);
}

#[test]
fn a_muted_time_delays_the_firing_and_never_the_resolve() {
    // 2027-01-15 08:00 UTC is at(0).
    let mut r = router(json!({
        "route": { "receiver": "all", "group_wait": "0s", "group_interval": "1m", "group_by": ["..."], "routes": [
            { "matchers": ["alertname=~\".+\""], "mute_time_intervals": ["nine"] }
        ] },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }],
        "time_intervals": [{ "name": "nine", "time_intervals": [
            { "times": [{ "start_time": "09:00", "end_time": "10:00" }] }
        ] }]
    }));
    assert_eq!(told(&r.route(alert("A", 3590), at(3590)).notifications), ["all:firing"]);
    let muted = r.route(alert("B", 3601), at(3601));
    assert_eq!((muted.outcome, muted.state), (Outcome::Muted, State::Suppressed));
    assert_eq!(muted.reason, "its route is muted at this time");
    // The resolve of what was told is told; B is told when the time is over.
    let _ = r.route(alert("A", 3590).resolved(at(3700)), at(3700));
    assert_eq!(run(&mut r, 7199), ["3710: (A)"]);
    assert_eq!(run(&mut r, 7300), ["7201: B"]);
    assert_eq!(
        r.alerts().find(|a| a.alert.labels.get("alertname") == "B").unwrap().state,
        State::Firing
    );
}

#[test]
fn an_undefined_time_interval_is_an_error() {
    let error = Router::new(config(json!({
        "route": { "receiver": "all", "routes": [{ "mute_time_intervals": ["nigth"] }] },
        "receivers": [{ "name": "all" }],
        "time_intervals": [{ "name": "night", "time_intervals": [] }]
    })))
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "route.routes[0].mute_time_intervals[0]: there is no time interval `nigth`: did you mean `night`?"
    );
}

#[test]
fn another_thread_watches_a_word() {
    let mut r = alertmanagers(json!({}));
    let a = alert("A", 0);
    assert!(r.watch(&a).is_none());
    let _ = r.route(a.clone(), at(0));
    let word = r.watch(&a).unwrap();
    assert_eq!(word.load().state(), State::Active);
    let _ = r.tick(at(30));
    assert_eq!(word.load().state(), State::Firing);
    let _ = r.route(a.resolved(at(31)), at(31));
    assert_eq!(word.load().state(), State::Resolved);
}

/// Every alert that was told as firing is told as resolved, once, whatever happens to reports and in which order.
#[test]
fn random_stories_end_with_everybody_knowing() {
    use std::collections::BTreeMap;
    for seed in 0..crate::cases(200) {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let mut r = alertmanagers(json!({
            "group_by": if seed % 2 == 0 { json!(["alertname"]) } else { json!([]) },
            "group_wait": "5s", "group_interval": if seed % 3 == 0 { "0s" } else { "20s" }, "repeat_interval": "5m"
        }));
        // What the receiver believes, by what was delivered.
        let mut believes: BTreeMap<String, bool> = BTreeMap::new();
        let mut on_the_way: Vec<Notification> = Vec::new();
        let mut firing: BTreeMap<String, bool> = BTreeMap::new();
        let mut now = 0;
        for _ in 0..120 {
            now += next(15);
            let name = format!("A{}", next(4));
            let sent = match next(5) {
                0 | 1 => {
                    firing.insert(name.clone(), true);
                    r.route(alert(&name, now), at(now)).notifications
                }
                2 => {
                    firing.insert(name.clone(), false);
                    r.route(alert(&name, now).resolved(at(now)), at(now)).notifications
                }
                _ => r.tick(at(now)),
            };
            on_the_way.extend(sent);
            // Deliveries are in order, and sometimes fail.
            while !on_the_way.is_empty() && next(3) > 0 {
                let n = on_the_way.remove(0);
                deliver(&mut r, n, next(4) > 0, at(now), &mut believes, &mut on_the_way);
            }
        }
        for _ in 0..400 {
            now += 5;
            on_the_way.extend(r.tick(at(now)));
            while !on_the_way.is_empty() {
                let n = on_the_way.remove(0);
                deliver(&mut r, n, true, at(now), &mut believes, &mut on_the_way);
            }
        }
        for (name, fires) in &firing {
            assert_eq!(believes.get(name).copied().unwrap_or(false), *fires, "{name}, seed {seed}");
        }
    }
}

fn deliver(
    r: &mut Router,
    n: Notification,
    ok: bool,
    now: SystemTime,
    believes: &mut std::collections::BTreeMap<String, bool>,
    on_the_way: &mut Vec<Notification>,
) {
    let report = if ok {
        for alert in &n.alerts {
            let fires = alert.status(n.at) == birl_router::Status::Firing;
            believes.insert(alert.labels.get("alertname").to_owned(), fires);
        }
        DeliveryReport::delivered(&n, Duration::ZERO, now)
    } else {
        DeliveryReport::lost(&n, LostCause::DeadlineOver, "500", now)
    };
    on_the_way.extend(r.report(&report, now).resend);
}
