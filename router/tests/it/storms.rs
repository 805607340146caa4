//! Storms, flapping, reloads, clocks that jump: what must not make noise, and must not lose anything.

use std::collections::BTreeSet;
use std::time::Duration;

use birl_router::{Alert, DeliveryReport, Notification, Outcome, Router, State, Status};
use serde_json::{Value, json};

use crate::{alert, at, config, router, told};

fn delivered(r: &mut Router, n: &Notification, now: u64) {
    let _ = r.report(&DeliveryReport::delivered(n, Duration::ZERO, at(now)), at(now));
}

fn tick(r: &mut Router, now: u64) -> Vec<Notification> {
    let sent = r.tick(at(now));
    sent.iter().for_each(|n| delivered(r, n, now));
    sent
}

fn limited(per_minute: u32) -> Router {
    router(json!({
        "route": { "receiver": "all", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1m" },
        "receivers": [{ "name": "all", "rate_limit": { "per_minute": per_minute }, "stdout_configs": [{}] }]
    }))
}

/// Ten thousand alerts in one second: so many messages as the receiver takes, and a digest that counts the rest.
#[test]
fn pain_22_a_storm_is_a_few_messages_and_a_digest_with_counts() {
    let mut r = limited(6);
    let mut sent: Vec<(u64, Notification)> = Vec::new();
    for i in 0..10_000_u64 {
        let routed = r.route(alert(&format!("A{i}"), 0), at(i / 5000));
        sent.extend(routed.notifications.into_iter().map(|n| (i / 5000, n)));
    }
    assert_eq!(sent.len(), 6, "the burst");
    sent.iter()
        .map(|(_, n)| n.clone())
        .collect::<Vec<_>>()
        .iter()
        .for_each(|n| delivered(&mut r, n, 1));
    let held = r.alerts().filter(|alert| alert.state == State::Suppressed).count();
    assert_eq!(held, 9_994);
    for now in 2..=120 {
        sent.extend(tick(&mut r, now).into_iter().map(|n| (now, n)));
    }
    let [.., (when, digest)] = &sent[..] else { panic!() };
    assert_eq!((sent.len(), *when), (7, 10), "one digest, when the next token comes");
    assert_eq!(digest.alerts.len() as u64 + digest.truncated_alerts, 9_994);
    assert_eq!((digest.alerts.len(), digest.group_labels.get("__digest__")), (100, "all"));
    assert!(
        digest
            .reason
            .starts_with("a digest of 9994 groups that all's rate limit held back: all by"),
        "{}",
        digest.reason
    );
    assert!(digest.reason.ends_with("; 9994 firing and 0 resolved"), "{}", digest.reason);
    assert!(r.alerts().all(|alert| alert.state == State::Firing));
    // When they are over, they are told to be: in a few messages again, none of them lost.
    for i in 0..10_000 {
        sent.extend(
            r.route(alert(&format!("A{i}"), 0).resolved(at(200)), at(200))
                .notifications
                .into_iter()
                .map(|n| (200, n)),
        );
    }
    let before = sent.len();
    for now in 200..=400 {
        sent.extend(tick(&mut r, now).into_iter().map(|n| (now, n)));
    }
    let over: u64 = sent[7..]
        .iter()
        .map(|(_, n)| {
            let over = n.alerts.iter().filter(|alert| alert.status(n.at) == Status::Resolved);
            over.count() as u64 + n.truncated_alerts
        })
        .sum();
    assert_eq!(over, 10_000, "{} messages", sent.len());
    assert!(sent.len() < before + 12, "{}", sent.len());
}

/// What flips twenty times an hour is told three times, and how it ended.
#[test]
fn pain_21_flapping_is_three_messages_an_hour_and_the_last_state() {
    let mut r = router(json!({
        "route": { "receiver": "all", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "5m" },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }],
        "flap": { "changes": 4 }
    }));
    let mut sent: Vec<(u64, Status)> = Vec::new();
    for now in 0..3 * 3600_u64 {
        if now < 3600 && now % 180 == 0 {
            let report =
                if now % 360 == 0 { alert("A", now) } else { alert("A", now).resolved(at(now)) };
            let routed = r.route(report, at(now)).notifications;
            routed.iter().for_each(|n| delivered(&mut r, n, now));
            sent.extend(routed.iter().map(|n| (now, n.status)));
        }
        sent.extend(tick(&mut r, now).iter().map(|n| (now, n.status)));
    }
    assert!(sent.iter().filter(|(now, _)| *now < 3600).count() <= 3, "{sent:?}");
    assert_eq!(sent.last().map(|(_, status)| *status), Some(Status::Resolved), "{sent:?}");
}

fn twenty(group_by: &str) -> Value {
    json!({
        "route": { "receiver": "all", "group_by": [group_by], "group_wait": "30s", "group_interval": "5m" },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }, { "name": "other", "stdout_configs": [{}] }]
    })
}

fn of_cluster(i: u64) -> Alert {
    Alert::firing([("alertname", format!("A{i}")), ("cluster", "eu".to_owned())], at(0))
}

#[test]
fn pain_05_fifty_reloads_tell_nobody_anything_and_keep_every_timer() {
    let mut r = router(twenty("cluster"));
    let mut sent = Vec::new();
    for i in 0..20 {
        let _ = r.route(of_cluster(i), at(0));
    }
    for now in 0..=700 {
        if now % 10 == 3 {
            r.replace(config(twenty("cluster")), at(now)).unwrap();
        }
        if now == 100 {
            let _ = r.route(of_cluster(20), at(now));
        }
        sent.extend(tick(&mut r, now).iter().map(|n| (now, n.alerts.len())));
    }
    assert_eq!(sent, [(30, 20), (330, 21)], "whole groups, at their times");
}

#[test]
fn a_reload_that_groups_otherwise_tells_nobody_what_is_known() {
    let mut r = router(twenty("cluster"));
    for i in 0..20 {
        let _ = r.route(of_cluster(i), at(0));
    }
    assert_eq!(tick(&mut r, 30).len(), 1);
    r.replace(config(twenty("alertname")), at(40)).unwrap();
    for now in 40..1000 {
        assert_eq!(told(&tick(&mut r, now)), Vec::<String>::new());
    }
    assert_eq!(r.groups().count(), 20);
    let mut over = r.route(of_cluster(3).resolved(at(1000)), at(1000)).notifications;
    over.iter().for_each(|n| delivered(&mut r, n, 1000));
    over.extend((1000..1400).flat_map(|now| tick(&mut r, now)));
    assert_eq!(told(&over), ["all:resolved"]);
}

/// A resolve that is on its way when the configuration changes is not told again, and not lost.
#[test]
fn a_reload_while_a_resolve_is_on_its_way() {
    for arrives in [true, false] {
        let mut json = twenty("cluster");
        json["route"]["group_wait"] = json!("0s");
        json["route"]["group_interval"] = json!("0s");
        let mut r = router(json.clone());
        let first = r.route(of_cluster(0), at(0)).notifications.remove(0);
        delivered(&mut r, &first, 0);
        let over = r.route(of_cluster(0).resolved(at(1)), at(1)).notifications.remove(0);
        r.replace(config(json), at(2)).unwrap();
        assert_eq!(told(&r.tick(at(3))), Vec::<String>::new());
        if arrives {
            delivered(&mut r, &over, 4);
        } else {
            let lost = birl_router::LostCause::DeadlineOver;
            let _ = r.report(&DeliveryReport::lost(&over, lost, "500", at(4)), at(4));
        }
        let later: Vec<Notification> = (5..=400).flat_map(|now| tick(&mut r, now)).collect();
        assert_eq!(later.len(), usize::from(!arrives), "{arrives}");
    }
}

#[test]
fn pain_20_a_repeat_interval_equal_to_the_group_interval_is_not_doubled() {
    let mut json = twenty("cluster");
    json["route"]["repeat_interval"] = json!("5m");
    json["route"]["group_wait"] = json!("0s");
    let mut r = router(json);
    let mut sent: Vec<u64> =
        r.route(of_cluster(0), at(0)).notifications.iter().map(|_| 0).collect();
    for now in 0..=1800 {
        sent.extend(tick(&mut r, now).iter().map(|_| now));
    }
    assert_eq!(sent, [0, 300, 600, 900, 1200, 1500, 1800]);
}

/// One group that comes and goes, over and over: every alert is told, and over.
#[test]
fn pain_13_a_group_that_is_destroyed_and_made_again_loses_nobody() {
    let mut json = twenty("cluster");
    json["route"]["group_wait"] = json!("0s");
    json["route"]["group_interval"] = json!("0s");
    json["flap"] = json!({ "changes": 0 });
    let mut r = router(json);
    for i in 0..2_000_u64 {
        let again = |i: u64| {
            Alert::firing([("alertname", format!("A{}", i % 7)), ("cluster", "eu".into())], at(i))
        };
        let firing = r.route(again(i), at(i)).notifications;
        assert_eq!(told(&firing), ["all:firing"], "{i}");
        delivered(&mut r, &firing[0], i);
        let over = r.route(again(i).resolved(at(i)), at(i)).notifications;
        assert_eq!(told(&over), ["all:resolved"], "{i}");
        delivered(&mut r, &over[0], i);
        assert_eq!(r.groups().count(), 0);
    }
}

/// A receiver that never answers does not keep what is over for ever.
#[test]
fn pain_18_a_dead_receiver_and_a_churn_of_alerts_take_no_memory() {
    let mut json = twenty("alertname");
    json["route"]["group_wait"] = json!("0s");
    json["route"]["group_interval"] = json!("1m");
    let mut r = router(json);
    let (mut most, mut lost) = (0, 0);
    for minute in 0..5 * 60_u64 {
        let now = minute * 60;
        for i in 0..5 {
            let name = format!("A{}", minute * 5 + i);
            let mut sent = r.route(alert(&name, now), at(now)).notifications;
            sent.extend(r.tick(at(now + 30)));
            sent.extend(
                r.route(alert(&name, now).resolved(at(now + 40)), at(now + 40)).notifications,
            );
            sent.extend(r.tick(at(now + 50)));
            for n in sent {
                let cause = birl_router::LostCause::DeadlineOver;
                let _ =
                    r.report(&DeliveryReport::lost(&n, cause, "503", at(now + 50)), at(now + 50));
                lost += 1;
            }
        }
        if minute > 120 {
            most = most.max(r.alerts().count()).max(r.groups().count());
        }
    }
    assert!(lost > 3_000 && most < 5 * 130, "{most} remembered");
}

fn until(name: &str, end: u64) -> Alert {
    alert(name, 0).resolved(at(end))
}

fn with_ends() -> Router {
    let mut json = twenty("alertname");
    json["route"]["group_wait"] = json!("0s");
    json["route"]["group_interval"] = json!("0s");
    router(json)
}

/// The host's clock is set forward by a day, or it was asleep: nothing is over because of it.
#[test]
fn a_clock_that_jumps_ahead_resolves_nothing() {
    const DAY: u64 = 86_400;
    for jump in [300, DAY] {
        let mut r = with_ends();
        for i in 0..100 {
            let _ = r.route(until(&format!("A{i}"), 240), at(0));
        }
        for now in (0..180).step_by(60) {
            assert!(tick(&mut r, now).iter().all(|n| n.status == Status::Firing));
        }
        // The sources' clock is right: they go on to promise four minutes from then.
        for now in (180..1800).step_by(60) {
            for i in 0..100 {
                let routed = r.route(until(&format!("A{i}"), now + 240), at(now + jump));
                let firing = routed.notifications.iter().all(|n| n.status == Status::Firing);
                assert!(firing, "{jump} {now}: {}", routed.reason);
            }
            let over: Vec<Notification> = tick(&mut r, now + jump);
            assert!(over.iter().all(|n| n.status == Status::Firing), "{jump} {now}");
        }
        assert_eq!(r.alerts().filter(|alert| alert.state == State::Resolved).count(), 0);
        // A source that says that it is over is believed.
        let routed = r.route(until("A7", 1700), at(1800 + jump));
        assert_eq!(told(&routed.notifications), ["all:resolved"], "{}", routed.reason);
        assert_eq!(r.metrics().dropped("clock_ahead"), 1);
    }
}

/// The clock is set back by a day: what waited does not wait for a day, and nobody is told twice.
#[test]
fn a_clock_that_is_set_back_delays_nothing() {
    const DAY: u64 = 86_400;
    for jump in [300, DAY] {
        let base = 10 * DAY;
        let mut r = router(twenty("cluster"));
        for i in 0..3 {
            let _ = r.route(of_cluster(i), at(base));
        }
        let back = base - jump;
        let mut sent: Vec<u64> = Vec::new();
        for second in 10..=399 {
            if second == 100 {
                let _ = r.route(of_cluster(9), at(back + second));
            }
            sent.extend(tick(&mut r, back + second).iter().map(|_| second));
        }
        // The ten seconds before the jump are lost to it, and no more.
        assert_eq!(sent, [40, 340], "{jump}");
        assert_eq!(r.metrics().dropped("clock_back"), 1);
        assert_eq!(r.route(of_cluster(9), at(back + 399)).outcome, Outcome::Deduped);
    }
}

/// What is known of endpoints is set back as well: one that asked to be spared for a minute is not spared for a day.
#[test]
fn a_clock_that_is_set_back_spares_no_endpoint_for_longer() {
    const DAY: u64 = 86_400;
    let mut json = twenty("cluster");
    json["route"]["group_wait"] = json!("0s");
    json["receivers"] = json!([{ "name": "all", "endpoints": [{ "name": "a", "host": {} }] }]);
    let mut r = router(json);
    let n = r.route(of_cluster(0), at(10 * DAY)).notifications.remove(0);
    let mut report = DeliveryReport::delivered(&n, Duration::ZERO, at(10 * DAY));
    report.result = birl_router::DeliveryResult::Retrying {
        error: "429".into(),
        pause: Duration::from_secs(60),
    };
    report.retry_after = Some(Duration::from_secs(60));
    let _ = r.report(&report, at(10 * DAY));
    assert_eq!(r.endpoints(at(10 * DAY))[0].spared_for, Some(Duration::from_secs(60)));
    let _ = r.tick(at(9 * DAY));
    assert_eq!(r.endpoints(at(9 * DAY))[0].spared_for, Some(Duration::from_secs(60)));
}

#[test]
fn every_alert_of_a_restart_waits_for_its_group() {
    // Alertmanager tells what has fired for longer than the wait at once; before what inhibits it has been reported.
    let mut r = router(twenty("cluster"));
    let _ = r.route(of_cluster(0), at(3600));
    assert!(tick(&mut r, 3629).is_empty());
    assert_eq!(tick(&mut r, 3630).len(), 1);
    let mut json = twenty("cluster");
    json["compat"] = json!("alertmanager");
    let mut r = router(json);
    assert_eq!(r.route(of_cluster(0), at(3600)).notifications.len(), 1);
}

#[test]
fn names_that_are_strange_are_names() {
    let mut r = with_ends();
    let strange = json!({ "labels": {
        "": "empty name", "a b": "blank", "üñí": "ç", "quote\"": "\"", "empty": "", "long": "x".repeat(1000),
        "nul\u{0}": "\u{0}", "__overflow__": "mine"
    }, "startsAt": "2027-01-15T08:00:00Z" });
    let strange: Alert = serde_json::from_value(strange).unwrap();
    assert_eq!(strange.labels.len(), 7, "an empty value is no label");
    assert_eq!(told(&r.route(strange.clone(), at(0)).notifications), ["all:firing"]);
    assert_eq!(r.route(strange, at(1)).outcome, Outcome::Deduped);
    // Of two labels with one name the later counts; bytes that are no UTF-8 are an error with a place.
    let twice: Alert =
        serde_json::from_str(r#"{"labels":{"a":"1","a":"2"},"startsAt":"2027-01-15T08:00:00Z"}"#)
            .unwrap();
    assert_eq!(twice.labels.get("a"), "2");
    let bad = b"{\"labels\":{\"a\xff\":\"1\"},\"startsAt\":\"2027-01-15T08:00:00Z\"}";
    let error = serde_json::from_slice::<Alert>(bad).unwrap_err().to_string();
    assert!(error.contains("line 1 column"), "{error}");
    let unnamed = Alert::firing(birl_router::Labels::new(), at(0));
    assert_eq!(told(&r.route(unnamed, at(0)).notifications), ["all:firing"], "no label at all");
}

/// Two alerts with one fingerprint, made on purpose: neither hides the other, and each is told to be over.
#[test]
fn alerts_whose_fingerprints_collide_are_two_alerts() {
    // Names whose FNV-1a of 64 bits is the same; what follows them is the same as well.
    let names = ["8yn0iYCKYHlIj4-BwPqk", "GReLUrM4wMqfg9yzV3KQ"];
    let [one, other] = names.map(|name| Alert::firing([(name, "value")], at(0)));
    assert_eq!(one.fingerprint(), other.fingerprint());
    for compat in ["birl", "alertmanager"] {
        let mut json = twenty("...");
        json["route"]["group_wait"] = json!("0s");
        json["route"]["group_interval"] = json!("1s");
        json["compat"] = json!(compat);
        let mut r = router(json);
        assert_eq!(told(&r.route(one.clone(), at(0)).notifications), ["all:firing"]);
        let second = r.route(other.clone(), at(0));
        assert_eq!((second.outcome, told(&second.notifications).len()), (Outcome::Notified, 1));
        assert_eq!(r.alerts().count(), 2);
        let mut over = told(&r.route(one.clone().resolved(at(5)), at(5)).notifications);
        over.extend(told(&r.route(other.clone().resolved(at(5)), at(5)).notifications));
        over.extend(told(&r.tick(at(10))));
        assert_eq!(over, ["all:resolved", "all:resolved"], "{compat}");
    }
}

/// The set of what is told depends on the reports alone, not on when somebody looks.
#[test]
fn late_looks_tell_the_same() {
    let story = |step: u64| -> BTreeSet<String> {
        let mut r = router(twenty("cluster"));
        let mut all = BTreeSet::new();
        let mut note = |sent: Vec<Notification>| {
            for n in sent {
                all.extend(n.alerts.iter().map(|a| format!("{}{}", a.labels, a.status(n.at))));
            }
        };
        for now in 0..2000 {
            if now % 97 == 0 {
                note(r.route(of_cluster(now / 97), at(now)).notifications);
            }
            if now % step == 0 {
                note(tick(&mut r, now));
            }
        }
        all
    };
    assert_eq!(story(1), story(61));
}
