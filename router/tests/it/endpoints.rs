use std::time::Duration;

use birl_router::{
    DeliveryReport, DeliveryResult, EndpointId, Health, LostCause, Notification, Router,
};
use serde_json::json;

use crate::{alert, at, router, told};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Three ways to one receiver: near at 1, middle at 5, far at 9.
fn pool(sla: serde_json::Value) -> Router {
    router(json!({
        "route": { "receiver": "oncall", "sla": sla },
        "receivers": [{ "name": "oncall", "endpoints": [
            { "name": "far", "distance": 9, "host": {} },
            { "name": "near", "distance": 1, "host": {} },
            { "name": "middle", "distance": 5, "host": {} }
        ] }]
    }))
}

fn id(name: &str) -> EndpointId {
    EndpointId::new(format!("oncall/{name}"))
}

/// Routes a fresh alert; the one notification that comes of it.
fn tell(r: &mut Router, name: &str, now: u64) -> Notification {
    let routed = r.route(alert(name, now), at(now));
    assert_eq!(routed.notifications.len(), 1, "{}", routed.reason);
    routed.notifications.into_iter().next().unwrap()
}

fn deliver(r: &mut Router, n: &Notification, rtt: Duration, now: u64) {
    let reported = r.report(&DeliveryReport::delivered(n, rtt, at(now)), at(now));
    assert!(reported.resend.is_empty() && reported.dead_letter.is_none());
}

/// One failed attempt at `n`, which the dispatcher goes on with.
fn fail_once(r: &mut Router, n: &Notification, now: u64) {
    let mut report = DeliveryReport::lost(n, LostCause::Permanent, "503", at(now));
    report.result = DeliveryResult::Retrying { error: "503".into(), pause: MS(1) };
    let reported = r.report(&report, at(now));
    assert!(reported.resend.is_empty());
}

fn lose(r: &mut Router, n: &Notification, now: u64) -> birl_router::Reported {
    r.report(&DeliveryReport::lost(n, LostCause::DeadlineOver, "503", at(now)), at(now))
}

fn health(r: &Router, name: &str, now: u64) -> Health {
    let all = r.endpoints(at(now));
    all.into_iter().find(|status| status.id == id(name)).unwrap().health
}

#[test]
fn the_nearest_healthy_endpoint_is_used() {
    let mut r = pool(json!(null));
    let n = tell(&mut r, "A", 0);
    assert_eq!(n.endpoint, id("near"));
    assert!(
        n.reason.contains("nearest healthy: distance 1, up, rtt not measured yet"),
        "{}",
        n.reason
    );
    deliver(&mut r, &n, MS(12), 0);
    let n = tell(&mut r, "B", 1);
    assert!(n.reason.contains("distance 1, up, rtt 12 ms"), "{}", n.reason);
}

#[test]
fn the_sla_cuts_what_is_too_slow() {
    let mut r = pool(json!(1));
    r.heartbeat(&id("near"), Some(MS(80)), at(0));
    r.heartbeat(&id("middle"), Some(MS(40)), at(0));
    let n = tell(&mut r, "A", 0);
    assert_eq!(n.endpoint, id("middle"));
    assert!(n.reason.contains("rtt 40 ms, within tier 1 (50 ms)"), "{}", n.reason);
}

#[test]
fn when_all_are_outside_the_sla_the_fastest_is_used_and_the_reason_says_so() {
    let mut r = pool(json!(1));
    for (name, rtt) in [("near", 90), ("middle", 70), ("far", 60)] {
        r.heartbeat(&id(name), Some(MS(rtt)), at(0));
    }
    let n = tell(&mut r, "A", 0);
    assert_eq!(n.endpoint, id("far"));
    assert!(
        n.reason.contains("all are outside the SLA; fastest that is alive: distance 9, up, rtt 60 ms, outside tier 1 (50 ms)"),
        "{}",
        n.reason
    );
}

#[test]
fn failures_in_a_row_take_it_down_and_a_delivery_brings_it_back() {
    let mut r = pool(json!(null));
    let n = tell(&mut r, "A", 0);
    let version = r.version();
    fail_once(&mut r, &n, 1);
    assert_eq!(health(&r, "near", 1), Health::Degraded);
    assert!(r.version() > version, "a change of health is a new version");
    // Degraded: still there, but another one that is up goes first.
    assert_eq!(tell(&mut r, "B", 1).endpoint, id("middle"));
    fail_once(&mut r, &n, 2);
    fail_once(&mut r, &n, 3);
    assert_eq!(health(&r, "near", 3), Health::Down);
    // After a while it is on trial: one failure more and it is down again, one delivery and it is up.
    assert_eq!(health(&r, "near", 33), Health::Degraded);
    fail_once(&mut r, &n, 33);
    assert_eq!(health(&r, "near", 34), Health::Down);
    deliver(&mut r, &n, MS(10), 35);
    assert_eq!(health(&r, "near", 35), Health::Up);
    assert_eq!(tell(&mut r, "C", 36).endpoint, id("near"));
}

#[test]
fn health_is_a_double_check_of_heartbeat_and_round_trip() {
    let mut r = pool(json!(null));
    r.heartbeat(&id("near"), Some(MS(10)), at(0));
    assert_eq!(health(&r, "near", 30), Health::Up);
    assert_eq!(health(&r, "near", 31), Health::Degraded, "the heartbeat is late");
    for _ in 0..20 {
        r.heartbeat(&id("near"), Some(MS(1500)), at(40)); // the average passes the budget of 1 s
    }
    assert_eq!(
        health(&r, "near", 40),
        Health::Degraded,
        "the heartbeat is good, the round trip bad"
    );
    r.heartbeat(&id("near"), None, at(41));
    assert_eq!(health(&r, "near", 41), Health::Down, "both are bad");
    r.heartbeat(&id("near"), Some(MS(1500)), at(42));
    assert_eq!(health(&r, "near", 42), Health::Degraded);
}

/// Slow once must not mean spared for ever: nobody would measure it again.
#[test]
fn an_old_round_trip_is_forgotten() {
    let mut r = pool(json!(1));
    let n = tell(&mut r, "A", 0);
    deliver(&mut r, &n, MS(400), 0);
    assert_eq!(tell(&mut r, "B", 599).endpoint, id("middle"));
    assert_eq!(tell(&mut r, "C", 601).endpoint, id("near"));
}

#[test]
fn a_lost_notification_goes_to_the_next_endpoint_with_the_same_key() {
    let mut r = pool(json!(null));
    let n = tell(&mut r, "A", 0);
    let mut tried = vec![n.endpoint.clone()];
    let mut current = n.clone();
    for now in 1..=2 {
        let resend = lose(&mut r, &current, now).resend;
        assert_eq!(told(&resend), ["oncall:firing"]);
        current = resend.into_iter().next().unwrap();
        assert_eq!(current.id, n.id);
        assert!(
            current.reason.starts_with(&format!("{} failed (503), so by ", tried.last().unwrap())),
            "{}",
            current.reason
        );
        tried.push(current.endpoint.clone());
    }
    assert_eq!(tried, [id("near"), id("middle"), id("far")]);
    // Delivered at last: nothing more is heard of it.
    deliver(&mut r, &current, MS(5), 3);
    assert!(lose(&mut r, &current, 4).resend.is_empty());
    assert_eq!(r.metrics().dropped("dead_letter"), 0);
}

#[test]
fn a_dead_letter_is_counted_reported_and_told_again_later() {
    let mut r = pool(json!(null));
    let first = tell(&mut r, "A", 0);
    let mut current = first.clone();
    for now in 1..=2 {
        current = lose(&mut r, &current, now).resend.remove(0);
    }
    let dead = lose(&mut r, &current, 3).dead_letter.expect("no endpoint is left");
    assert_eq!(dead.tried, [id("near"), id("middle"), id("far")]);
    assert_eq!(
        dead.reason,
        "no endpoint is left (oncall/far: deadline_over, 503); it is told again in 5m"
    );
    assert_eq!(r.metrics().dropped("dead_letter"), 1);
    // All are tried again, by the same key: one of them may have had it after all.
    assert!(r.tick(at(302)).is_empty());
    let again = r.tick(at(303));
    assert_eq!(told(&again), ["oncall:firing"]);
    assert_eq!(again[0].id, first.id);
}

#[test]
fn when_all_are_down_the_least_bad_is_used() {
    let mut r = pool(json!(null));
    for (name, failures) in [("near", 5), ("middle", 3), ("far", 4)] {
        let mut n = tell(&mut r, name, 0);
        n.endpoint = id(name);
        for _ in 0..failures {
            fail_once(&mut r, &n, 1);
        }
    }
    let n = tell(&mut r, "Z", 2);
    assert_eq!(n.endpoint, id("middle"));
    assert!(n.reason.contains("all are down; least bad: distance 5, down"), "{}", n.reason);
}

#[test]
fn a_resolve_that_could_not_be_delivered_is_told_again_and_in_the_end_forgotten() {
    let mut r = router(json!({
        "route": { "receiver": "oncall" },
        "receivers": [{ "name": "oncall", "webhook_configs": [{ "url": "http://a.example" }] }]
    }));
    let n = tell(&mut r, "A", 0);
    deliver(&mut r, &n, MS(5), 0);
    let over = r.route(alert("A", 0).resolved(at(10)), at(10)).notifications.remove(0);
    assert!(lose(&mut r, &over, 20).dead_letter.is_some());
    let again = r.tick(at(320));
    assert_eq!(told(&again), ["oncall:resolved"]);
    assert_eq!(again[0].id, over.id);
    deliver(&mut r, &again[0], MS(5), 321);
    // Bounded: a receiver that never comes back does not keep it for ever.
    let _ = r.tick(at(10 + 3600));
    assert_eq!(r.alerts().count(), 0);
}

/// One integration's failure is its own: the receiver's other ones are not told again.
#[test]
fn a_failed_integration_does_not_repeat_the_others() {
    let mut r = router(json!({
        "route": { "receiver": "oncall" },
        "receivers": [{ "name": "oncall", "webhook_configs": [
            { "url": "http://a.example" }, { "url": "http://b.example" }
        ] }]
    }));
    let routed = r.route(alert("A", 0), at(0));
    assert_eq!(routed.notifications.len(), 2);
    deliver(&mut r, &routed.notifications[1], MS(5), 0);
    assert!(lose(&mut r, &routed.notifications[0], 1).dead_letter.is_some());
    let again = r.tick(at(400));
    let endpoints: Vec<&EndpointId> = again.iter().map(|n| &n.endpoint).collect();
    assert_eq!(endpoints, [&EndpointId::new("oncall/webhook_configs/0")]);
}

/// A firing still on its way must not arrive after its resolve, at whatever endpoint.
#[test]
fn a_resolve_queues_behind_its_firing_and_a_lost_firing_is_not_sent_after_it() {
    let mut r = pool(json!(null));
    let firing = tell(&mut r, "A", 0);
    for now in 1..=3 {
        fail_once(&mut r, &firing, now);
    }
    assert_eq!(health(&r, "near", 4), Health::Down);
    let over = r.route(alert("A", 0).resolved(at(4)), at(4)).notifications.remove(0);
    assert_eq!(over.endpoint, firing.endpoint, "behind the firing, though it is down");
    assert!(over.reason.to_string().ends_with("(behind the firing)"), "{}", over.reason);
    let reported = lose(&mut r, &firing, 5);
    assert!(reported.resend.is_empty() && reported.dead_letter.is_none());
    assert_eq!(r.metrics().dropped("overtaken"), 1);
    // The resolve itself goes elsewhere when it is lost.
    assert_eq!(lose(&mut r, &over, 6).resend[0].endpoint, id("middle"));
}

/// The other way around: an old resolve that arrives after a new firing would close it.
#[test]
fn a_firing_queues_behind_the_resolve_of_the_episode_before() {
    let mut r = pool(json!(null));
    let first = tell(&mut r, "A", 0);
    deliver(&mut r, &first, MS(5), 0);
    let over = r.route(alert("A", 0).resolved(at(1)), at(1)).notifications.remove(0);
    for now in 2..=4 {
        fail_once(&mut r, &over, now); // still under way
    }
    assert_eq!(health(&r, "near", 5), Health::Down);
    let second = r.route(alert("A", 5), at(5)).notifications.remove(0);
    assert_eq!(second.endpoint, over.endpoint, "behind the resolve, though it is down");
    assert!(second.reason.ends_with("(behind the resolve)"), "{}", second.reason);
    let reported = lose(&mut r, &over, 6);
    assert!(reported.resend.is_empty() && reported.dead_letter.is_none(), "overtaken");
    assert_eq!(lose(&mut r, &second, 7).resend[0].endpoint, id("middle"));
}

/// Failed once must not mean spared for ever either: while another one is up, nobody would try it again.
#[test]
fn an_old_failure_is_forgotten() {
    let mut r = pool(json!(null));
    let n = tell(&mut r, "A", 0);
    for now in 1..=3 {
        fail_once(&mut r, &n, now);
    }
    assert_eq!(tell(&mut r, "B", 602).endpoint, id("middle"));
    let n = tell(&mut r, "C", 604);
    assert_eq!(n.endpoint, id("near"), "10m after its last failure it gets a chance");
    // One more failure, and it is down for another ten minutes.
    fail_once(&mut r, &n, 605);
    assert_eq!(health(&r, "near", 605), Health::Down);
    assert_eq!(tell(&mut r, "D", 606).endpoint, id("middle"));
}

#[test]
fn a_round_trip_of_any_length_can_be_shown() {
    let mut r = pool(json!(null));
    r.heartbeat(&id("near"), Some(Duration::MAX), at(0));
    let status = r.endpoints(at(0)).into_iter().find(|status| status.id == id("near")).unwrap();
    assert!(status.rtt.unwrap() > Duration::from_secs(1 << 40), "{status:?}");
}

/// Nothing is promised that will not be done.
#[test]
fn a_lost_firing_of_what_is_over_is_not_told_again() {
    let mut r = router(json!({
        "route": { "receiver": "oncall" },
        "receivers": [{ "name": "oncall", "webhook_configs": [
            { "url": "http://a.example", "send_resolved": false }
        ] }]
    }));
    let n = tell(&mut r, "A", 0);
    let _ = r.route(alert("A", 0).resolved(at(1)), at(1));
    let dead = lose(&mut r, &n, 2).dead_letter.unwrap();
    assert!(dead.reason.ends_with("it is over, so it is given up"), "{}", dead.reason);
    assert!(r.tick(at(400)).is_empty());
}

#[test]
fn reports_that_never_come_are_bounded_and_counted() {
    let mut r = router(json!({
        "route": { "receiver": "all" },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }],
        "limits": { "max_outstanding": 3 }
    }));
    for i in 0..5 {
        let _ = r.route(alert(&format!("A{i}"), 0), at(0));
    }
    assert_eq!(r.metrics().dropped("unreported"), 2);
}
