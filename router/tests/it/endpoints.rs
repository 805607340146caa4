use std::collections::BTreeMap;
use std::time::Duration;

use birl_router::{
    DeliveryReport, DeliveryResult, EndpointId, EndpointStatus, Health, LostCause, Notification,
    Router,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{alert, at, router, told};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Three ways to one receiver: near at 1, middle at 5, far at 9.
fn pool(sla: Value) -> Router {
    pool_of(&[("far", 9), ("near", 1), ("middle", 5)], sla, json!({}))
}

fn pool_of(endpoints: &[(&str, u32)], sla: Value, health: Value) -> Router {
    let endpoint =
        |(name, distance): &(&str, u32)| json!({ "name": name, "distance": distance, "host": {} });
    let endpoints: Vec<Value> = endpoints.iter().map(endpoint).collect();
    router(json!({
        "route": { "receiver": "oncall", "sla": sla },
        "receivers": [{ "name": "oncall", "endpoints": endpoints }],
        "health": health
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

/// One failed attempt, after which the endpoint asks to be spared for so many seconds.
fn refuse(r: &mut Router, n: &Notification, retry_after: u64, now: u64) {
    let mut report = DeliveryReport::lost(n, LostCause::Permanent, "429", at(now));
    report.result = DeliveryResult::Retrying { error: "429".into(), pause: MS(1) };
    report.retry_after = Some(Duration::from_secs(retry_after));
    assert!(r.report(&report, at(now)).resend.is_empty());
}

fn status(r: &Router, name: &str, now: u64) -> EndpointStatus {
    let all = r.endpoints(at(now));
    all.into_iter().find(|status| status.id == id(name)).unwrap()
}

fn health(r: &Router, name: &str, now: u64) -> Health {
    status(r, name, now).health
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
    // After a while it is on trial: one failure more and it is down again, two deliveries in a row and it is up.
    assert_eq!(health(&r, "near", 33), Health::Degraded);
    fail_once(&mut r, &n, 33);
    assert_eq!(health(&r, "near", 34), Health::Down);
    deliver(&mut r, &n, MS(10), 35);
    assert_eq!(health(&r, "near", 35), Health::Degraded, "one swallow does not make a summer");
    fail_once(&mut r, &n, 36);
    assert_eq!(health(&r, "near", 36), Health::Down);
    for now in [37, 38] {
        deliver(&mut r, &n, MS(10), now);
    }
    assert_eq!(health(&r, "near", 38), Health::Up);
    assert_eq!(tell(&mut r, "C", 39).endpoint, id("near"));
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

/// Around its budget an endpoint does not flap: it is good again below a lower mark.
#[test]
fn a_slow_endpoint_comes_back_when_it_is_well_below_its_budget() {
    let mut r = pool(json!(null));
    for (now, ms, expected) in [
        (0, 900, Health::Up),
        (100, 1100, Health::Degraded), // nearly all of the average is the newest by now
        (200, 900, Health::Degraded),
        (300, 820, Health::Degraded),
        (400, 780, Health::Up),
        (500, 900, Health::Up),
    ] {
        r.heartbeat(&id("near"), Some(MS(ms)), at(now));
        assert_eq!(health(&r, "near", now), expected, "{ms} ms at {now}");
    }
}

/// The longer nothing was measured the more the newest counts; and of many at once each counts for something.
#[test]
fn the_average_is_weighted_by_time() {
    let mut r = pool(json!(null));
    let rtt = |r: &Router, now| status(r, "near", now).rtt.unwrap().as_millis();
    r.heartbeat(&id("near"), Some(MS(100)), at(0));
    r.heartbeat(&id("near"), Some(MS(200)), at(0));
    assert_eq!(rtt(&r, 0), 130);
    r.heartbeat(&id("near"), Some(MS(200)), at(30)); // once the decay: 130 + 70 × (1 − 1/e)
    assert_eq!(rtt(&r, 30), 174);
    r.heartbeat(&id("near"), Some(MS(20)), at(330));
    assert_eq!(rtt(&r, 330), 20);
}

#[test]
fn probes_without_an_answer_in_a_row_take_it_down_and_one_answer_does_not_bring_it_back() {
    let mut r = pool(json!(null));
    r.heartbeat(&id("near"), Some(MS(10)), at(0));
    for now in [1, 2] {
        r.heartbeat(&id("near"), None, at(now));
        assert_eq!(health(&r, "near", now), Health::Degraded);
    }
    r.heartbeat(&id("near"), None, at(3));
    assert_eq!(health(&r, "near", 3), Health::Down);
    r.heartbeat(&id("near"), Some(MS(10)), at(4));
    assert_eq!(health(&r, "near", 4), Health::Degraded);
    r.heartbeat(&id("near"), Some(MS(10)), at(5));
    assert_eq!(health(&r, "near", 5), Health::Up);
}

/// It is there, and refuses all the same.
#[test]
fn an_answered_probe_between_refusals_does_not_hide_them() {
    let mut r = pool(json!(null));
    let n = tell(&mut r, "A", 0);
    for now in 1..=3 {
        r.heartbeat(&id("near"), Some(MS(10)), at(now));
        fail_once(&mut r, &n, now);
    }
    assert_eq!(health(&r, "near", 3), Health::Down);
}

#[test]
fn an_endpoint_that_asks_for_a_pause_is_spared_until_it_is_over() {
    let mut r = pool(json!(null));
    let n = tell(&mut r, "A", 0);
    let version = r.version();
    refuse(&mut r, &n, 60, 0);
    assert!(r.version() > version);
    assert_eq!(status(&r, "near", 10).spared_for, Some(Duration::from_secs(50)));
    let to_middle = tell(&mut r, "B", 10);
    assert_eq!(to_middle.endpoint, id("middle"));
    assert!(
        to_middle.reason.ends_with("passed over: oncall/near (asked to be spared))"),
        "{}",
        to_middle.reason
    );
    // The other two fail: what asked for a pause is better than nothing, and alive.
    for (name, now) in [("middle", 11), ("far", 12)] {
        let mut n = tell(&mut r, name, now);
        n.endpoint = id(name);
        (0..3).for_each(|_| fail_once(&mut r, &n, now));
    }
    let n = tell(&mut r, "C", 13);
    assert_eq!(n.endpoint, id("near"));
    assert!(n.reason.contains("none is alive but what asked to be spared"), "{}", n.reason);
    // The pause is over; it is degraded by its failure, as before.
    assert_eq!(status(&r, "near", 60).spared_for, None);
    assert!(tell(&mut r, "D", 60).reason.contains("nearest degraded: distance 1"));
    // A delivery ends a pause as well.
    refuse(&mut r, &n, 60, 61);
    deliver(&mut r, &n, MS(5), 62);
    assert_eq!(status(&r, "near", 62).spared_for, None);
}

#[test]
fn nobody_is_spared_for_longer_than_five_minutes() {
    let mut r = pool(json!(null));
    let n = tell(&mut r, "A", 0);
    refuse(&mut r, &n, u64::MAX, 0);
    assert_eq!(status(&r, "near", 0).spared_for, Some(Duration::from_secs(300)));
    let mut r = pool_of(&[("only", 1)], json!(null), json!({ "retry_after_max": "10s" }));
    let n = tell(&mut r, "A", 0);
    refuse(&mut r, &n, 60, 0);
    assert_eq!(status(&r, "only", 0).spared_for, Some(Duration::from_secs(10)));
    assert_eq!(tell(&mut r, "B", 1).endpoint, id("only"), "never silence");
}

/// Most are down, and none is up: perhaps it is the measurement. Then the nearest is asked, down or not.
#[test]
fn when_most_are_down_and_none_is_up_health_is_ignored() {
    for (percent, expected, how) in [
        (
            50,
            "near",
            "none is up and most are down, so health is ignored; nearest: distance 1, down",
        ),
        (100, "far", "none is up; nearest degraded: distance 9, degraded"),
    ] {
        let mut r = pool_of(
            &[("near", 1), ("middle", 5), ("far", 9)],
            json!(null),
            json!({ "panic_percent": percent }),
        );
        for (name, failures) in [("near", 3), ("middle", 3), ("far", 1)] {
            let mut n = tell(&mut r, name, 0);
            n.endpoint = id(name);
            (0..failures).for_each(|_| fail_once(&mut r, &n, 0));
        }
        let n = tell(&mut r, "A", 1);
        assert_eq!(n.endpoint, id(expected), "{}", n.reason);
        assert!(n.reason.contains(how), "{}", n.reason);
    }
}

/// Of one pool: how often each endpoint is used by so many tellings, of which nobody hears the end.
fn shares(r: &mut Router, tellings: u64, now: u64) -> BTreeMap<EndpointId, u64> {
    let mut shares = BTreeMap::new();
    for i in 0..tellings {
        *shares.entry(tell(r, &format!("{now}-{i}"), now).endpoint).or_default() += 1;
    }
    shares
}

#[test]
fn equally_near_endpoints_share_the_load_and_the_same_story_is_the_same_choices() {
    let run = || {
        let mut r = pool_of(&[("a", 1), ("b", 1), ("c", 1), ("far", 2)], json!(null), json!({}));
        let ends: Vec<EndpointId> =
            (0..300).map(|i| tell(&mut r, &format!("A{i}"), 0).endpoint).collect();
        let pending: Vec<u64> = r.endpoints(at(0)).iter().map(|status| status.pending).collect();
        (ends, pending)
    };
    let (ends, pending) = run();
    assert!(pending[..3].iter().all(|n| (95..=105).contains(n)), "{pending:?}");
    assert_eq!(pending[3], 0, "farther away");
    assert_eq!(run(), (ends, pending));
}

#[test]
fn of_equally_near_endpoints_the_faster_gets_more() {
    let mut r = pool_of(&[("slow", 1), ("fast", 1)], json!(null), json!({}));
    r.heartbeat(&id("slow"), Some(MS(90)), at(0));
    r.heartbeat(&id("fast"), Some(MS(30)), at(0));
    // 90 × (pending + 1) against 30 × (pending + 1): three times as many.
    let shares = shares(&mut r, 100, 0);
    assert!((24..=26).contains(&shares[&id("slow")]), "{shares:?}");
}

/// One slow answer counts at once, and is forgotten slowly.
#[test]
fn a_peak_counts_at_once_and_sinks_with_time() {
    let mut r = pool_of(&[("peak", 1), ("even", 1)], json!(null), json!({}));
    for _ in 0..50 {
        r.heartbeat(&id("peak"), Some(MS(10)), at(0));
        r.heartbeat(&id("even"), Some(MS(20)), at(0));
    }
    assert_eq!(tell(&mut r, "A", 0).endpoint, id("peak"), "it is the faster one");
    r.heartbeat(&id("peak"), Some(MS(800)), at(0));
    for _ in 0..20 {
        r.heartbeat(&id("peak"), Some(MS(10)), at(0));
    }
    assert_eq!(tell(&mut r, "B", 0).endpoint, id("even"), "its average is good, its peak is not");
    for now in 1..=20 {
        r.heartbeat(&id("peak"), Some(MS(10)), at(now * 15));
        r.heartbeat(&id("even"), Some(MS(20)), at(now * 15));
    }
    let to_peak = shares(&mut r, 30, 300)[&id("peak")];
    assert!(to_peak >= 18, "{to_peak} of 30");
}

/// An endpoint that refuses at once answers fast; it must not get more for it.
#[test]
fn a_fast_error_does_not_attract() {
    let mut r = pool_of(&[("refuses", 1), ("works", 1)], json!(null), json!({}));
    r.heartbeat(&id("refuses"), Some(MS(1)), at(0));
    r.heartbeat(&id("works"), Some(MS(100)), at(0));
    let mut n = tell(&mut r, "A", 0);
    assert_eq!(n.endpoint, id("refuses"));
    fail_once(&mut r, &n, 0);
    deliver(&mut r, &n, MS(1), 1);
    r.heartbeat(&id("refuses"), Some(MS(1)), at(1));
    assert_eq!(health(&r, "refuses", 1), Health::Up, "so only the penalty keeps it away");
    let shares = shares(&mut r, 20, 2);
    assert_eq!(shares.get(&id("refuses")), None, "{shares:?}");
    // And it comes back by itself: after five times the decay 5 s are 30 ms.
    n = tell(&mut r, "B", 200);
    r.heartbeat(&id("works"), Some(MS(100)), at(200));
    r.heartbeat(&id("refuses"), Some(MS(1)), at(200));
    assert_eq!(n.endpoint, id("refuses"), "{}", n.reason);
}

#[test]
fn what_is_on_its_way_counts_until_its_fate_is_known() {
    let mut r = router(json!({
        "route": { "receiver": "oncall" },
        "receivers": [{ "name": "oncall", "endpoints": [
            { "name": "near", "distance": 1, "host": {} }, { "name": "far", "distance": 2, "host": {} }
        ] }],
        "limits": { "max_outstanding": 3 }
    }));
    let pending = |r: &Router| (status(r, "near", 0).pending, status(r, "far", 0).pending);
    let first = tell(&mut r, "A", 0);
    let second = tell(&mut r, "B", 0);
    assert_eq!(pending(&r), (2, 0));
    deliver(&mut r, &first, MS(1), 0);
    assert_eq!(pending(&r), (1, 0));
    let moved = lose(&mut r, &second, 0).resend.remove(0);
    assert_eq!((pending(&r), &moved.endpoint), ((0, 1), &id("far")));
    assert!(lose(&mut r, &moved, 0).dead_letter.is_some());
    assert_eq!(pending(&r), (0, 0));
    // What is pushed out of the memory, and so never reported, does not count for ever.
    for i in 0..10 {
        let _ = tell(&mut r, &format!("C{i}"), 0);
    }
    assert_eq!(pending(&r).0 + pending(&r).1, 3);
}

#[test]
fn what_was_passed_over_is_named_up_to_eight() {
    let names: Vec<String> = (0..20).map(|i| format!("e{i:02}")).collect();
    let endpoints: Vec<(&str, u32)> = names.iter().map(String::as_str).zip(0..).collect();
    let mut r = pool_of(&endpoints, json!(1), json!({}));
    for (i, name) in names.iter().enumerate().take(11) {
        let rtt = if i == 1 { None } else { Some(MS(80)) };
        r.heartbeat(&id(name), rtt, at(0));
    }
    let n = tell(&mut r, "A", 0);
    assert!(
        n.reason.ends_with(
            "(nearest healthy: distance 11, up, rtt not measured yet, within tier 1 (50 ms); passed over: \
             oncall/e00 (rtt 80 ms), oncall/e01 (degraded), oncall/e02 (rtt 80 ms), oncall/e03 (rtt 80 ms), \
             oncall/e04 (rtt 80 ms), oncall/e05 (rtt 80 ms), oncall/e06 (rtt 80 ms), oncall/e07 (rtt 80 ms) \
             and 3 more)"
        ),
        "{}",
        n.reason
    );
    // The one that is chosen in the end, for want of a better, is not passed over.
    let mut r = pool(json!(1));
    for (name, rtt) in [("near", 90), ("middle", 70), ("far", 80)] {
        r.heartbeat(&id(name), Some(MS(rtt)), at(0));
    }
    let n = tell(&mut r, "A", 0);
    assert!(
        n.reason.ends_with("passed over: oncall/near (rtt 90 ms), oncall/far (rtt 80 ms))"),
        "{}",
        n.reason
    );
}

#[test]
fn marks_that_contradict_each_other_are_refused() {
    for (health, expected) in [
        (json!({ "successes": 0 }), "health.successes: must be at least 1"),
        (
            json!({ "panic_percent": 101 }),
            "health.panic_percent: must be at most 100, which is never",
        ),
        (
            json!({ "rtt_budget": "1s", "rtt_recovery": "2s" }),
            "health.rtt_recovery: must not be above `rtt_budget`",
        ),
    ] {
        let config = crate::config(json!({
            "route": { "receiver": "all" }, "receivers": [{ "name": "all" }], "health": health
        }));
        assert_eq!(Router::new(config).expect_err("a contradiction").to_string(), expected);
    }
}

/// What happens to an endpoint, or to the time.
#[derive(Debug, Clone)]
enum Step {
    Probe(usize, Option<u64>),
    Delivered(usize, u64),
    Failed(usize, Option<u64>),
    Wait(u64),
    /// A telling, and how many endpoints lose it.
    Tell(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let rtt = || prop::sample::select(vec![5_u64, 40, 60, 150, 250, 700, 900, 1500]);
    let endpoint = || 0_usize..6;
    prop_oneof![
        3 => (endpoint(), prop::option::weighted(0.6, rtt())).prop_map(|(e, rtt)| Step::Probe(e, rtt)),
        3 => (endpoint(), rtt()).prop_map(|(e, rtt)| Step::Delivered(e, rtt)),
        6 => (endpoint(), prop::option::weighted(0.3, 0_u64..400)).prop_map(|(e, pause)| Step::Failed(e, pause)),
        2 => prop::sample::select(vec![1_u64, 10, 29, 31, 300, 601]).prop_map(Step::Wait),
        6 => (0_usize..4).prop_map(Step::Tell),
    ]
}

/// An endpoint to the twin: its distance, what the router says of its health, and a round trip that is not too old.
struct Plain {
    distance: u32,
    status: EndpointStatus,
    rtt: Option<Duration>,
}

/// Sorts and filters plainly: all endpoints that may be chosen, and the words for why.
fn plainly(mut all: Vec<Plain>, limit: Option<Duration>) -> (Vec<EndpointId>, &'static str) {
    all.sort_by_key(|it| it.distance);
    let inside = |it: &&Plain| it.rtt.is_none_or(|rtt| limit.is_none_or(|limit| rtt <= limit));
    let spared = |it: &&Plain| it.status.spared_for.is_some();
    let is = |health| move |it: &&Plain| it.status.health == health;
    let nearest = |found: Vec<&Plain>| -> Vec<EndpointId> {
        let least = found.first().map(|it| it.distance);
        let found = found.into_iter().filter(|it| Some(it.distance) == least);
        found.map(|it| it.status.id.clone()).collect()
    };
    let kept: Vec<&Plain> = all.iter().filter(inside).collect();
    let ready = || kept.iter().copied().filter(|it| !spared(it));
    let up: Vec<&Plain> = ready().filter(is(Health::Up)).collect();
    if !up.is_empty() {
        return (nearest(up), "(nearest healthy: ");
    }
    let down = kept.iter().filter(|it| it.status.health == Health::Down).count();
    if down * 2 > kept.len() && ready().any(|it| it.status.health == Health::Degraded) {
        return (nearest(ready().collect()), "health is ignored; nearest: ");
    }
    let degraded: Vec<&Plain> = ready().filter(is(Health::Degraded)).collect();
    if !degraded.is_empty() {
        return (nearest(degraded), "nearest degraded: ");
    }
    let best = |found: Vec<&Plain>, rank: &dyn Fn(&Plain) -> Duration| -> Vec<EndpointId> {
        let least = found.iter().map(|it| rank(it)).min();
        let found = found.into_iter().filter(|it| Some(rank(it)) == least);
        found.map(|it| it.status.id.clone()).collect()
    };
    let alive: Vec<&Plain> = all.iter().filter(|it| it.status.health != Health::Down).collect();
    let (resting, awake): (Vec<&Plain>, Vec<&Plain>) = alive.into_iter().partition(spared);
    if !awake.is_empty() {
        return (best(awake, &|it| it.rtt.unwrap_or_default()), "fastest that is alive: ");
    }
    if !resting.is_empty() {
        return (best(resting, &|it| it.status.spared_for.unwrap()), "the first to be ready: ");
    }
    let failures = |it: &Plain| Duration::from_secs(it.status.failures.into());
    (best(all.iter().collect(), &failures), "least bad: ")
}

proptest! {
    /// In any story every choice is one that the plain twin would allow, and has its words.
    #[test]
    fn agrees_with_its_naive_twin(
        distances in prop::collection::vec(0_u32..3, 1..6),
        tier in prop::option::of(1_u8..=3),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let names: Vec<String> = (0..distances.len()).map(|i| format!("e{i}")).collect();
        let endpoints: Vec<_> = names.iter().map(String::as_str).zip(distances.iter().copied()).collect();
        let mut r = pool_of(&endpoints, json!(tier), json!({}));
        let limit = tier.map(|tier| MS([50, 200, 1000][usize::from(tier) - 1]));
        let mut measured: Vec<Option<u64>> = vec![None; names.len()];
        let (mut now, mut told) = (0, 0);
        let sample = tell(&mut r, "sample", 0);
        let about = |e: usize| {
            let mut n = sample.clone();
            n.endpoint = id(&names[e]);
            n
        };
        for step in steps {
            match step {
                Step::Probe(e, ..) | Step::Delivered(e, _) | Step::Failed(e, _) if e >= names.len() => {}
                Step::Probe(e, rtt) => {
                    r.heartbeat(&id(&names[e]), rtt.map(MS), at(now));
                    measured[e] = rtt.map(|_| now).or(measured[e]);
                }
                Step::Delivered(e, rtt) => {
                    deliver(&mut r, &about(e), MS(rtt), now);
                    measured[e] = Some(now);
                }
                Step::Failed(e, None) => fail_once(&mut r, &about(e), now),
                Step::Failed(e, Some(pause)) => refuse(&mut r, &about(e), pause, now),
                Step::Wait(seconds) => now += seconds,
                Step::Tell(losses) => {
                    told += 1;
                    let allowed = |r: &Router, tried: &[EndpointId]| {
                        let all = r.endpoints(at(now)).into_iter().enumerate();
                        let all = all.map(|(i, status)| Plain {
                            distance: distances[i],
                            rtt: status.rtt.filter(|_| measured[i].is_some_and(|at| now - at <= 600)),
                            status,
                        });
                        plainly(all.filter(|it| !tried.contains(&it.status.id)).collect(), limit)
                    };
                    let (ids, how) = allowed(&r, &[]);
                    let mut n = tell(&mut r, &format!("A{told}"), now);
                    prop_assert!(ids.contains(&n.endpoint), "{:?} {}", ids, n.reason);
                    prop_assert!(n.reason.contains(how), "{} {}", how, n.reason);
                    let mut tried = Vec::new();
                    for _ in 0..losses {
                        let reported = lose(&mut r, &n, now);
                        tried.push(n.endpoint.clone());
                        let (ids, how) = allowed(&r, &tried);
                        let Some(next) = reported.resend.into_iter().next() else {
                            prop_assert!(tried.len() == names.len() && reported.dead_letter.is_some());
                            break;
                        };
                        n = next;
                        prop_assert!(ids.contains(&n.endpoint), "{:?} {}", ids, n.reason);
                        prop_assert!(n.reason.contains(how), "{} {}", how, n.reason);
                    }
                }
            }
        }
    }
}

/// Threads that only read choose while the router writes: each choice is one that some moment allows, and the version
/// never goes back.
#[test]
fn readers_choose_while_the_router_writes() {
    let mut r = pool(json!(1));
    let ways = r.ways("oncall").unwrap();
    assert!(r.ways("oncal").is_none());
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (ways, stop) = (ways.clone(), &stop);
                threads.spawn(move || {
                    let mut version = 0;
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        let way = ways.choose(None, &[], at(0), version).unwrap();
                        assert!(way.version() >= version);
                        version = way.version();
                        let said = way.to_string();
                        let near = "oncall/near (nearest healthy: distance 1, up, rtt 10 ms)";
                        let middle =
                            "oncall/middle (nearest healthy: distance 5, up, rtt not measured yet";
                        let first =
                            "oncall/near (nearest healthy: distance 1, up, rtt not measured yet)";
                        assert!(
                            said == near || said == first || said.starts_with(middle),
                            "{said}"
                        );
                    }
                })
            })
            .collect();
        for _ in 0..2_000 {
            r.heartbeat(&id("near"), Some(MS(10)), at(0));
            r.heartbeat(&id("near"), Some(MS(10)), at(0));
            (0..3).for_each(|_| r.heartbeat(&id("near"), None, at(0)));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    assert_eq!(ways.choose(None, &[], at(0), 0).unwrap().version(), r.version());
    // An old snapshot does not name the version of a configuration that it does not have.
    let version = r.version();
    let other = json!({ "route": { "receiver": "all" }, "receivers": [{ "name": "all" }] });
    r.replace(crate::config(other), at(0)).unwrap();
    assert!(r.version() > version);
    assert_eq!(ways.choose(None, &[], at(0), 0).unwrap().version(), version);
}
