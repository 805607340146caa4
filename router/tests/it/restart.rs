//! A restart: what was saved goes on.

use std::time::Duration;

use birl_router::{
    Alert, DeliveryReport, Matchers, Metrics, Notification, Router, SavedRouter, Silence, State,
};
use serde_json::{Value, json};

use crate::{alert, at, config, told};

fn json(interval: &str) -> Value {
    json!({
        "route": { "receiver": "all", "group_by": ["cluster"], "group_wait": "0s", "group_interval": interval },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }, { "name": "other", "stdout_configs": [{}] }]
    })
}

fn delivered(r: &mut Router, n: &Notification, now: u64) {
    let _ = r.report(&DeliveryReport::delivered(n, Duration::ZERO, at(now)), at(now));
}

/// Through text, as a host keeps it.
fn restart(r: Router, json: Value, now: u64) -> Router {
    let kept = serde_json::to_string(&r.save()).unwrap();
    drop(r);
    let saved: SavedRouter = serde_json::from_str(&kept).unwrap();
    Router::restore(config(json), saved, Metrics::new(), at(now)).unwrap()
}

fn until(name: &str, end: u64) -> Alert {
    alert(name, 0).resolved(at(end))
}

/// Killed between firing and resolve, and the source is silent from then on: it is told to be over, after its end.
#[test]
fn pain_19_after_a_restart_what_ended_meanwhile_is_told_to_be_over() {
    let mut r = Router::new(config(json("0s"))).unwrap();
    let sent = r.route(until("A", 240), at(0)).notifications;
    delivered(&mut r, &sent[0], 0);
    let mut r = restart(r, json("0s"), 600);
    assert_eq!(r.alerts().next().unwrap().state, State::Firing);
    assert!(r.tick(at(600)).is_empty(), "a source may have had no time to report");
    let over: Vec<(u64, String)> = (601..800)
        .flat_map(|now| told(&r.tick(at(now))).into_iter().map(move |t| (now, t)))
        .collect();
    assert_eq!(over, [(690, "all:resolved".to_owned())]);
}

#[test]
fn nobody_is_told_anything_by_a_restart_alone_and_every_timer_goes_on() {
    let mut r = Router::new(config(json("5m"))).unwrap();
    let sent = r.route(alert("A", 0), at(0)).notifications;
    delivered(&mut r, &sent[0], 0);
    let _ = r.route(alert("B", 10), at(10)); // waits for 300
    let mut r = restart(r, json("5m"), 100);
    let mut sent = Vec::new();
    for now in 100..=14_000 {
        for n in r.tick(at(now)) {
            delivered(&mut r, &n, now);
            sent.push((now, n.alerts.len()));
        }
    }
    assert_eq!(sent, [(300, 2)]);
    assert_eq!(r.route(alert("A", 0), at(14_001)).notifications.len(), 0);
}

/// What was on its way is told again, by the same name; what had arrived is not.
#[test]
fn what_was_on_its_way_is_told_again_by_the_same_name() {
    let mut r = Router::new(config(json("0s"))).unwrap();
    let first = r.route(alert("A", 0), at(0)).notifications.remove(0);
    let mut r = restart(r, json("0s"), 5);
    let again = r.tick(at(5));
    assert_eq!((told(&again), &again[0].id), (vec!["all:firing".to_owned()], &first.id));
    delivered(&mut r, &again[0], 5);
    let over = r.route(alert("A", 0).resolved(at(6)), at(6)).notifications.remove(0);
    let mut r = restart(r, json("0s"), 7);
    let again = r.tick(at(7));
    assert_eq!((told(&again), &again[0].id), (vec!["all:resolved".to_owned()], &over.id));
    delivered(&mut r, &again[0], 7);
    let mut r = restart(r, json("0s"), 8);
    assert!(r.tick(at(1000)).is_empty());
}

#[test]
fn silences_survive_and_so_does_what_they_hit() {
    let mut r = Router::new(config(json("0s"))).unwrap();
    let silence = Silence::new(Matchers::parse("alertname=A").unwrap(), Some(at(3600)));
    r.set_silence(silence, at(0)).unwrap();
    let _ = r.route(alert("A", 0), at(1));
    let mut r = restart(r, json("0s"), 10);
    assert_eq!(r.alerts().next().unwrap().state, State::Silenced);
    assert!(r.tick(at(3599)).is_empty());
    assert_eq!(told(&r.tick(at(3600))), ["all:firing"]);
}

/// The receiver is another one after the restart: the old one is told when it is over.
#[test]
fn another_configuration_after_the_restart() {
    let mut r = Router::new(config(json("0s"))).unwrap();
    let sent = r.route(alert("A", 0), at(0)).notifications;
    delivered(&mut r, &sent[0], 0);
    let mut other = json("0s");
    other["route"]["receiver"] = json!("other");
    let mut r = restart(r, other, 10);
    let sent = r.tick(at(10));
    assert_eq!(told(&sent), ["other:firing"]);
    delivered(&mut r, &sent[0], 10);
    let mut over = told(&r.route(alert("A", 0).resolved(at(20)), at(20)).notifications);
    over.sort();
    assert_eq!(over, ["all:resolved", "other:resolved"]);
}

#[test]
fn a_form_of_the_future_is_refused() {
    let r = Router::new(config(json("0s"))).unwrap();
    let mut saved = serde_json::to_value(r.save()).unwrap();
    saved["format"] = json!(2);
    let saved: SavedRouter = serde_json::from_value(saved).unwrap();
    let error = Router::restore(config(json("0s")), saved, Metrics::new(), at(0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "saved.format: the saved state has format 2, and this version reads 1: use the version that wrote it, or a later one"
    );
}
