//! `compat: alertmanager`: what was seen of a real one, on invented time. `tests/real` plays whole timelines to both.

use std::time::Duration;

use birl_router::{Alert, DeliveryReport, Labels, Router, Status};
use serde_json::{Value, json};

use crate::{alert, at, config};

/// One group, told at once and each minute from then on; one hook wants to hear of resolves, the other does not.
fn two_hooks(compat: &str) -> Router {
    let json = json!({
        "compat": compat,
        "global": { "resolve_timeout": "5m" },
        "route": { "receiver": "all", "group_by": [], "group_wait": "0s", "group_interval": "1m" },
        "receivers": [{ "name": "all", "webhook_configs": [
            { "url": "http://h.example/all" },
            { "url": "http://h.example/firing", "send_resolved": false }
        ] }]
    });
    Router::new(config(json)).unwrap()
}

/// All that is told until then, as `second hook: alerts`, those that are over in parentheses.
fn told(r: &mut Router, until: u64) -> Vec<String> {
    let mut out = Vec::new();
    while let Some(due) = r.next_deadline().filter(|due| *due <= at(until)) {
        let second = due.duration_since(at(0)).unwrap_or_default().as_secs();
        for n in r.tick(due) {
            let alerts = n.alerts.iter().map(|alert| {
                let name = alert.labels.get("alertname");
                match alert.status(due) {
                    Status::Firing => name.to_owned(),
                    _ => format!("({name})"),
                }
            });
            let mut alerts: Vec<String> = alerts.collect();
            alerts.sort();
            let hook = if n.endpoint.as_str().ends_with('0') { "all" } else { "firing" };
            out.push(format!("{second} {hook}: {}", alerts.join(" ")));
            let _ = r.report(&DeliveryReport::delivered(&n, Duration::ZERO, due), due);
        }
    }
    out
}

/// Reports it, and takes what is told at once for delivered.
fn fires(r: &mut Router, alert: Alert, second: u64) {
    for n in r.route(alert, at(second)).notifications {
        let _ = r.report(&DeliveryReport::delivered(&n, Duration::ZERO, at(second)), at(second));
    }
}

fn is_over(r: &mut Router, name: &str, since: u64, second: u64) {
    fires(r, alert(name, since).resolved(at(second)), second);
}

#[test]
fn who_wants_no_resolves_is_not_told_again_because_one_of_several_is_over() {
    for compat in ["birl", "alertmanager"] {
        let mut r = two_hooks(compat);
        fires(&mut r, alert("A", 0), 0);
        fires(&mut r, alert("B", 10), 10);
        assert_eq!(told(&mut r, 90), ["60 all: A B", "60 firing: A B"]);
        is_over(&mut r, "B", 10, 100);
        assert_eq!(told(&mut r, 170), ["120 all: (B) A"], "{compat}");
        // Alertmanager's log still has it as firing; here a new episode is news.
        fires(&mut r, alert("B", 200), 200);
        let again = told(&mut r, 250);
        match compat {
            "birl" => assert_eq!(again, ["240 all: A B", "240 firing: A B"]),
            _ => assert_eq!(again, ["240 all: A B"]),
        }
    }
}

#[test]
fn what_comes_and_goes_within_an_interval_is_told_once_as_over() {
    let mut r = two_hooks("alertmanager");
    fires(&mut r, alert("A", 0), 0);
    fires(&mut r, alert("B", 10), 10);
    let _ = told(&mut r, 90);
    is_over(&mut r, "B", 10, 100);
    assert_eq!(told(&mut r, 170), ["120 all: (B) A"]);
    // The last message said already that B is over.
    fires(&mut r, alert("B", 190), 190);
    is_over(&mut r, "B", 190, 210);
    fires(&mut r, alert("A", 0), 220);
    assert_eq!(told(&mut r, 309), Vec::<String>::new());
    // Of C no message said so.
    fires(&mut r, alert("C", 310), 310);
    is_over(&mut r, "C", 310, 320);
    assert_eq!(told(&mut r, 370), ["360 all: (C) A"]);
    is_over(&mut r, "A", 0, 400);
    assert_eq!(told(&mut r, 430), ["420 all: (A)"], "C is not said again");
}

#[test]
fn the_later_of_two_named_ends_holds() {
    let ends = |compat: &str, first: u64, second: Option<u64>| {
        let mut r = two_hooks(compat);
        fires(&mut r, alert("A", 0).resolved(at(first)), 0);
        let mut again = alert("A", 0);
        again.ends_at = second.map(at);
        fires(&mut r, again, 50);
        told(&mut r, 3600)
    };
    assert_eq!(ends("alertmanager", 150, Some(100)), ["180 all: (A)"]);
    assert_eq!(ends("alertmanager", 500, None), ["540 all: (A)"], "350, for want of a report");
    assert_eq!(ends("alertmanager", 150, None), ["360 all: (A)"]);
    // The last word holds.
    assert_eq!(ends("birl", 150, Some(100)), ["120 all: (A)"]);
}

#[test]
fn the_key_of_an_older_pattern_has_alertmanagers_anchors() {
    let json = json!({
        "route": { "receiver": "all", "routes": [{ "match_re": { "team": "a|b" } }] },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }]
    });
    let mut r = Router::new(config(json)).unwrap();
    let key = |r: &mut Router, team: &str| {
        let labels = Labels::from([("team", team)]);
        r.route(Alert::firing(labels, at(0)), at(0)).notifications[0].group_key.clone()
    };
    assert_eq!(key(&mut r, "a"), "{}/{team=~\"^(?:a|b)$\"}:{team=\"a\"}");
    assert_eq!(key(&mut r, "ab"), "{}:{team=\"ab\"}");
}

#[test]
fn an_empty_receiver_is_inherited() {
    let config_of = |root: &str| -> Value {
        json!({
            "route": { "receiver": root, "routes": [{ "receiver": "", "matchers": ["a=b"] }] },
            "receivers": [{ "name": "all", "stdout_configs": [{}] }]
        })
    };
    let mut r = Router::new(config(config_of("all"))).unwrap();
    let routed = r.route(Alert::firing([("a", "b")], at(0)), at(0));
    assert_eq!(routed.notifications[0].receiver, "all");
    let error = Router::new(config(config_of(""))).unwrap_err();
    assert_eq!(error.to_string(), "route: name the default receiver: `receiver: NAME`");
}
