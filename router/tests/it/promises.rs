//! What is promised, where that is hard to keep: messages that are late or lost, tables that are full, clocks that jump.

use std::time::Duration;

use birl_router::{
    Alert, DedupKey, DedupWindow, DeliveryReport, LostCause, Matchers, Metrics, Notification,
    Reported, Router, Silence, Status,
};
use serde_json::{Value, json};

use crate::{alert, at, config, router, told};

fn delivered(r: &mut Router, n: &Notification, now: u64) {
    let _ = r.report(&DeliveryReport::delivered(n, Duration::ZERO, at(now)), at(now));
}

fn lost(r: &mut Router, n: &Notification, now: u64) -> Reported {
    r.report(&DeliveryReport::lost(n, LostCause::DeadlineOver, "it is slow", at(now)), at(now))
}

fn tick(r: &mut Router, now: u64) -> Vec<Notification> {
    let sent = r.tick(at(now));
    sent.iter().for_each(|n| delivered(r, n, now));
    sent
}

fn send(r: &mut Router, alert: Alert, now: u64) -> Vec<Notification> {
    r.route(alert, at(now)).notifications
}

/// All that is told in this time, one step a second.
fn run(r: &mut Router, from: u64, to: u64) -> Vec<(u64, String)> {
    (from..=to).flat_map(|now| told(&tick(r, now)).into_iter().map(move |t| (now, t))).collect()
}

fn over(name: &str, now: u64) -> Alert {
    alert(name, 0).resolved(at(now))
}

fn json(interval: &str, more: &[(&str, Value)]) -> Value {
    let mut json = json!({
        "route": { "receiver": "all", "group_by": ["cluster"], "group_wait": "0s", "group_interval": interval },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }, { "name": "other", "stdout_configs": [{}] }],
        "flap": { "changes": 0 },
    });
    for (key, value) in more {
        json[key] = value.clone();
    }
    json
}

/// An endpoint is slow: the alert is over, fires, and is over before the first of it is reported. The report of the
/// first resolve says nothing of the second one.
#[test]
fn an_earlier_resolve_that_arrived_is_not_the_one_that_was_lost() {
    let mut r = router(json("0s", &[]));
    let first = send(&mut r, alert("A", 0), 0);
    delivered(&mut r, &first[0], 0);
    let over_1 = send(&mut r, over("A", 1), 1);
    let anew = send(&mut r, alert("A", 2), 2);
    let over_2 = send(&mut r, over("A", 3), 3);
    assert_eq!(
        (told(&over_1), told(&anew)),
        (vec!["all:resolved".into()], vec!["all:firing".into()])
    );
    delivered(&mut r, &over_1[0], 4);
    delivered(&mut r, &anew[0], 4);
    let _ = lost(&mut r, &over_2[0], 5);
    let told: Vec<String> = run(&mut r, 6, 900).into_iter().map(|(_, t)| t).collect();
    assert_eq!(told, ["all:resolved"]);
}

/// The pool heard last that it is over: muted since it fires again, there is nothing more to be said.
#[test]
fn who_heard_that_it_is_over_is_not_told_so_twice() {
    let mut r = router(json("0s", &[]));
    let first = send(&mut r, alert("A", 0), 0);
    delivered(&mut r, &first[0], 0);
    let over_1 = send(&mut r, over("A", 1), 1);
    let silence = Silence::new(Matchers::parse("alertname=A").unwrap(), Some(at(1000)));
    r.set_silence(silence, at(2)).unwrap();
    assert!(send(&mut r, alert("A", 2), 2).is_empty());
    delivered(&mut r, &over_1[0], 3);
    assert!(send(&mut r, over("A", 4), 4).is_empty());
    assert!(run(&mut r, 5, 900).is_empty());
}

/// At the bound, an alert in the slot of one that was forgotten is not taken for it.
#[test]
fn a_report_is_never_about_the_alert_that_has_the_slot_now() {
    let mut r = router(json("0s", &[("limits", json!({ "max_alerts": 1 }))]));
    let a = send(&mut r, alert("A", 0), 0);
    delivered(&mut r, &a[0], 0);
    let a_over = send(&mut r, over("A", 1), 1);
    let b = send(&mut r, alert("B", 2), 2);
    delivered(&mut r, &b[0], 2);
    let b_over = send(&mut r, over("B", 3), 3);
    delivered(&mut r, &a_over[0], 4);
    let _ = lost(&mut r, &b_over[0], 5);
    let told: Vec<String> = run(&mut r, 6, 900).into_iter().map(|(_, t)| t).collect();
    assert_eq!(told, ["all:resolved"]);
}

/// An alert that is over, but whose receivers wait to be told so, makes room for nobody.
#[test]
fn what_is_still_to_be_told_does_not_make_room() {
    let mut r = router(json("5m", &[("limits", json!({ "max_alerts": 1 }))]));
    let a = send(&mut r, alert("A", 0), 0);
    delivered(&mut r, &a[0], 0);
    assert!(send(&mut r, over("A", 10), 10).is_empty());
    let b = send(&mut r, alert("B", 11), 11);
    assert_eq!(told(&b), ["all:firing"], "told, and not remembered");
    delivered(&mut r, &b[0], 11);
    assert_eq!(run(&mut r, 12, 400), [(300, "all:resolved".to_owned())]);
    assert_eq!(r.metrics().dropped("untracked_full"), 1);
}

/// Told of, muted, and the telling is lost after another one of the same group was sent: nobody has heard of it.
#[test]
fn what_was_lost_and_is_not_in_the_later_message_is_told() {
    let mut r = router(json("0s", &[]));
    let a = send(&mut r, alert("A", 0), 0);
    let silence = Silence::new(Matchers::parse("alertname=A").unwrap(), Some(at(100)));
    r.set_silence(silence, at(1)).unwrap();
    let b = send(&mut r, alert("B", 2), 2);
    assert_eq!(b[0].alerts.len(), 1);
    delivered(&mut r, &b[0], 3);
    let _ = lost(&mut r, &a[0], 4);
    assert_eq!(run(&mut r, 5, 200), [(100, "all:firing".to_owned())]);
}

/// A digest that is lost after one of its groups had something newer to say is not sent as it was.
#[test]
fn an_overtaken_part_of_a_digest_is_not_told_after_what_overtook_it() {
    let mut r = router(json!({
        "route": { "receiver": "all", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "0s" },
        "receivers": [{
            "name": "all", "rate_limit": { "per_minute": 1 },
            "endpoints": [{ "name": "a", "stdout": {} }, { "name": "b", "stdout": {} }]
        }],
        "flap": { "changes": 0 },
    }));
    let first = send(&mut r, alert("X", 0), 0);
    delivered(&mut r, &first[0], 0);
    let _ = (send(&mut r, alert("A", 1), 1), send(&mut r, alert("B", 1), 1));
    let digest = r.tick(at(60));
    assert_eq!(digest[0].alerts.len(), 2);
    let _ = send(&mut r, over("A", 61), 61);
    let resolved = r.tick(at(120));
    assert_eq!(told(&resolved), ["all:resolved"]);
    delivered(&mut r, &resolved[0], 121);
    let mut after = lost(&mut r, &digest[0], 122).resend;
    for now in 122..400 {
        after.extend(tick(&mut r, now));
    }
    let firing = |n: &Notification, name: &str| {
        n.alerts
            .iter()
            .any(|a| a.labels.get("alertname") == name && a.status(n.at) == Status::Firing)
    };
    assert!(!after.iter().any(|n| firing(n, "A")), "{after:?}");
    assert_eq!(after.iter().filter(|n| firing(n, "B")).count(), 1, "{after:?}");
}

/// The same after a reload, when all groups are new.
#[test]
fn a_reload_does_not_hide_that_a_message_was_overtaken() {
    let receivers = json!([{
        "name": "all", "endpoints": [{ "name": "a", "stdout": {} }, { "name": "b", "stdout": {} }]
    }]);
    let json = json("0s", &[("receivers", receivers)]);
    let mut r = router(json.clone());
    let fires = send(&mut r, alert("A", 0), 0);
    let resolved = send(&mut r, over("A", 1), 1);
    delivered(&mut r, &resolved[0], 2);
    r.replace(config(json), at(3)).unwrap();
    assert!(lost(&mut r, &fires[0], 4).resend.is_empty());
    assert!(run(&mut r, 5, 900).is_empty());
}

/// And without one: the group is gone because its receiver heard that all is over.
#[test]
fn a_firing_that_is_lost_after_its_resolve_arrived_is_not_sent_elsewhere() {
    let receivers = json!([{
        "name": "all", "endpoints": [{ "name": "a", "stdout": {} }, { "name": "b", "stdout": {} }]
    }]);
    let mut r = router(json("0s", &[("receivers", receivers)]));
    let fires = send(&mut r, alert("A", 0), 0);
    let resolved = send(&mut r, over("A", 1), 1);
    delivered(&mut r, &resolved[0], 2);
    assert!(lost(&mut r, &fires[0], 4).resend.is_empty());
    assert!(run(&mut r, 5, 900).is_empty());
}

#[test]
fn how_it_ended_is_told_however_long_flapping_is_put_off() {
    let flap = json!({ "changes": 2, "within": "12h", "delay": "6h" });
    let mut r = router(json("1m", &[("flap", flap)]));
    let mut last = None;
    for now in (0..44_000).step_by(10) {
        let report = match now {
            0 | 600 => Some(alert("A", now)),
            300 | 22_000 => Some(alert("A", now).resolved(at(now))),
            _ => None,
        };
        if let Some(report) = report {
            let sent = send(&mut r, report, now);
            sent.iter().for_each(|n| delivered(&mut r, n, now));
            last = sent.last().map(|n| n.status).or(last);
        }
        last = tick(&mut r, now).last().map(|n| n.status).or(last);
    }
    assert_eq!(last, Some(Status::Resolved));
}

/// An hour of flapping by a clock that was a day ahead is not put off until tomorrow.
#[test]
fn flapping_is_set_back_with_the_clock() {
    const DAY: u64 = 86_400;
    let flap = json!({ "changes": 2, "within": "1h", "delay": "30m" });
    let mut r = router(json("1m", &[("flap", flap)]));
    for now in (0..=600).step_by(300) {
        let now = DAY + now;
        let report = if now.is_multiple_of(600) {
            alert("A", now)
        } else {
            alert("A", now).resolved(at(now))
        };
        let sent = send(&mut r, report, now);
        sent.iter().for_each(|n| delivered(&mut r, n, now));
        let _ = tick(&mut r, now);
    }
    assert!(r.alerts().next().unwrap().told.is_empty(), "it fires, and that waits");
    assert_eq!(run(&mut r, 601, 4000).len(), 1);
}

/// Ahead by a day and back again: what no source reports ends as it would have.
#[test]
fn a_clock_that_jumped_and_came_back_does_not_keep_alerts_for_a_day() {
    let mut r = router(json("1m", &[("global", json!({ "resolve_timeout": "5m" }))]));
    let sent = send(&mut r, alert("A", 0), 0);
    delivered(&mut r, &sent[0], 0);
    let _ = tick(&mut r, 86_400);
    let _ = r.route(alert("A", 0), at(86_410));
    let told = run(&mut r, 20, 1000);
    assert_eq!(told.iter().filter(|(_, t)| t == "all:resolved").count(), 1, "{told:?}");
    assert!(told.iter().all(|(now, _)| *now > 60), "sources have had time: {told:?}");
}

/// The ends that reports promise are over by a clock that jumped, and not believed. The message says so of each alert.
#[test]
fn what_fires_is_firing_in_the_message_whatever_end_was_promised() {
    let mut r = router(json("1m", &[]));
    let sent = send(&mut r, over("A", 240), 0);
    delivered(&mut r, &sent[0], 0);
    let again = r.tick(at(86_400));
    assert_eq!(told(&again), ["all:firing"]);
    let n = &again[0];
    assert_eq!(n.alerts[0].status(n.at), Status::Firing);
    let wire = serde_json::to_value(n.to_webhook_v4()).unwrap();
    assert_eq!(wire["alerts"][0]["status"], "firing");
}

#[test]
fn what_is_over_is_resolved_in_the_message_whatever_the_clock() {
    let mut r = router(json("5m", &[]));
    let sent = send(&mut r, alert("A", 4000), 4000);
    delivered(&mut r, &sent[0], 4000);
    assert!(send(&mut r, alert("A", 4000).resolved(at(4010)), 4010).is_empty());
    let mut resolved = Vec::new();
    for now in 1000..1400 {
        resolved.extend(tick(&mut r, now));
    }
    assert_eq!(told(&resolved), ["all:resolved"]);
    let wire = serde_json::to_value(resolved[0].to_webhook_v4()).unwrap();
    assert_eq!(wire["alerts"][0]["status"], "resolved");
}

/// A silence until resolved that begins between two ticks counts each alert once.
#[test]
fn a_silence_until_resolved_ends_with_the_last_alert_whenever_it_was_begun() {
    let mut r = router(json("0s", &[]));
    let mut silence = Silence::new(Matchers::parse("alertname=~A|B").unwrap(), None);
    silence.starts_at = at(10);
    let set = r.set_silence(silence, at(0)).unwrap();
    let _ = send(&mut r, alert("A", 11), 11);
    let _ = tick(&mut r, 12);
    assert_eq!(r.silences().hits(set.slot), 1);
    let _ = send(&mut r, alert("A", 11).resolved(at(13)), 13);
    assert_eq!(told(&send(&mut r, alert("B", 14), 14)), ["all:firing"]);
}

#[test]
fn labels_are_no_way_around_the_bound_of_groups() {
    let mut json = json("5m", &[("limits", json!({ "max_groups": 2 }))]);
    json["route"]["group_by"] = json!(["..."]);
    let mut r = router(json);
    for i in 0..10 {
        let labels = [("alertname", "A".to_owned()), ("__overflow__", i.to_string())];
        let _ = send(&mut r, Alert::firing(labels, at(0)), 0);
    }
    assert_eq!(r.groups().count(), 3);
}

#[test]
fn a_receiver_that_is_only_named_by_alerts_can_be_told_whole() {
    let many: Vec<Value> = (0..33).map(|_| json!({})).collect();
    let receivers = json!([{ "name": "all", "stdout_configs": [{}] }, { "name": "many", "stdout_configs": many }]);
    let Err(error) = Router::new(config(json("5m", &[("receivers", receivers)]))) else {
        panic!("the last one would never be told");
    };
    assert!(error.to_string().contains("receivers[1]"), "{error}");
}

/// What was kept may have been written by anything.
#[test]
fn a_saved_group_with_too_many_logs_is_no_panic() {
    let mut r = router(json("5m", &[]));
    let _ = send(&mut r, alert("A", 0), 0);
    let mut saved = serde_json::to_value(r.save()).unwrap();
    let log = saved["groups"][0]["logs"][0].clone();
    saved["groups"][0]["logs"] = (0..40).map(|_| log.clone()).collect();
    let saved = serde_json::from_value(saved).unwrap();
    let r = Router::restore(config(json("5m", &[])), saved, Metrics::new(), at(1)).unwrap();
    assert_eq!(r.alerts().count(), 1);
}

/// It was on its way when the router was saved, and arrived: its receiver is told that it is over.
#[test]
fn what_was_on_its_way_at_a_restart_may_have_arrived() {
    for over_before in [true, false] {
        let mut r = router(json("5m", &[]));
        let _ = send(&mut r, alert("A", 0), 0);
        if over_before {
            let _ = send(&mut r, over("A", 1), 1);
        }
        let saved = serde_json::from_value(serde_json::to_value(r.save()).unwrap()).unwrap();
        let mut r = Router::restore(config(json("5m", &[])), saved, Metrics::new(), at(2)).unwrap();
        if !over_before {
            let _ = send(&mut r, over("A", 3), 3);
        }
        let told: Vec<String> = run(&mut r, 4, 700).into_iter().map(|(_, t)| t).collect();
        assert_eq!(told, ["all:resolved"], "over before: {over_before}");
    }
}

/// The clock was ahead when it was saved.
#[test]
fn what_was_saved_by_a_clock_that_was_ahead_does_not_wait_for_it() {
    let mut r = router(json("5m", &[]));
    let sent = send(&mut r, alert("A", 86_400), 86_400);
    delivered(&mut r, &sent[0], 86_400);
    let saved = serde_json::from_value(serde_json::to_value(r.save()).unwrap()).unwrap();
    let mut r = Router::restore(config(json("5m", &[])), saved, Metrics::new(), at(0)).unwrap();
    let _ = send(&mut r, alert("B", 1), 1);
    assert_eq!(run(&mut r, 2, 700).len(), 1);
}

#[test]
fn a_window_is_no_longer_because_the_clock_was_set_back() {
    let labels = birl_router::Labels::from([("alertname", "A")]);
    let key = DedupKey { labels: &labels, receiver: None, status: Status::Firing, episode: "" };
    let mut window = DedupWindow::new(Duration::from_secs(300), 10);
    window.admit(key, at(86_400));
    assert_eq!(window.seen(key, at(86_401)), Some(Duration::from_secs(1)));
    assert_eq!(window.seen(key, at(0)), None, "a duplicate is legal, a loss is not");
    let mut filtered = DedupWindow::new(Duration::MAX, usize::MAX).with_bloom_filter();
    filtered.admit(key, at(0));
    assert_eq!(filtered.len(), 1, "a capacity without a bound is no allocation without one");
}

/// A host says twice that it is lost: the second one says nothing of the endpoint that it has gone to since.
#[test]
fn what_is_lost_once_goes_elsewhere_once() {
    let receivers = json!([{
        "name": "all",
        "endpoints": [{ "name": "a", "stdout": {} }, { "name": "b", "stdout": {} }, { "name": "c", "stdout": {} }]
    }]);
    let mut r = router(json("0s", &[("receivers", receivers)]));
    let sent = send(&mut r, alert("A", 0), 0);
    assert_eq!(lost(&mut r, &sent[0], 1).resend.len(), 1);
    assert_eq!(lost(&mut r, &sent[0], 1), Reported::default());
}

/// A digest says how many fire; whoever was told of each by itself is told of each that it is over.
#[test]
fn a_digest_hides_no_resolve_behind_a_number() {
    let mut r = router(json!({
        "route": { "receiver": "all", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "0s" },
        "receivers": [{ "name": "all", "rate_limit": { "per_minute": 1, "burst": 300 }, "stdout_configs": [{}] }],
    }));
    for i in 0..300 {
        let sent = send(&mut r, alert(&format!("A{i}"), 0), 0);
        assert_eq!(sent[0].alerts.len(), 1);
        delivered(&mut r, &sent[0], 0);
    }
    let mut resolved = Vec::new();
    for i in 0..300 {
        resolved.extend(send(&mut r, over(&format!("A{i}"), 1), 1));
    }
    for now in 2..600 {
        resolved.extend(tick(&mut r, now));
    }
    let mut named: Vec<&str> = resolved
        .iter()
        .flat_map(|n| n.alerts.iter())
        .map(|alert| alert.labels.get("alertname"))
        .collect();
    named.sort_unstable();
    named.dedup();
    assert_eq!(named.len(), 300);
}
