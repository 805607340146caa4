use std::time::Duration;

use birl_router::{Alert, Config, DeliveryReport, Outcome, Router, State};
use serde_json::json;

use crate::{alert, at, config, router, simple_router, told, told_by};

const HOUR: u64 = 3600;

#[test]
fn a_new_alert_is_told_and_its_repeat_inside_the_window_is_not() {
    let mut r = simple_router();
    let first = r.route(alert("A", 0), at(0));
    assert_eq!((first.outcome, first.state), (Outcome::Notified, State::Firing));
    assert_eq!(told_by(&first), ["all:firing"]);
    let repeat = r.route(alert("A", 0).annotation("summary", "newer"), at(299));
    assert_eq!((repeat.outcome, repeat.state), (Outcome::Deduped, State::Deduped));
    assert!(repeat.notifications.is_empty());
    assert_eq!(repeat.reason, "a repeat after 4m59s, inside the window of 5m");
    // Admitted all the same: the alert is updated.
    let view = r.alerts().next().unwrap();
    assert_eq!(view.alert.annotations.get("summary"), "newer");
    assert_eq!(view.told, ["all"]);
}

#[test]
fn past_the_window_it_is_ongoing_and_told_again_after_the_repeat_interval() {
    let mut r = simple_router();
    let _ = r.route(alert("A", 0), at(0));
    let ongoing = r.route(alert("A", 0), at(300));
    assert_eq!((ongoing.outcome, ongoing.state), (Outcome::Ongoing, State::Firing));
    assert_eq!(ongoing.reason, "it goes on; told again in 3h55m");
    assert_eq!(r.next_deadline(), Some(at(4 * HOUR)));
    assert!(r.tick(at(4 * HOUR - 1)).is_empty());
    let again = r.tick(at(4 * HOUR));
    assert_eq!(told(&again), ["all:firing"]);
    assert!(r.tick(at(4 * HOUR)).is_empty());
    assert_eq!(r.next_deadline(), Some(at(8 * HOUR)));
}

/// A report that comes before the tick tells, too, even inside the window: repeating is the interval's business.
#[test]
fn a_report_tells_again_when_the_interval_is_over() {
    let mut r = router(json!({
        "route": { "receiver": "all", "repeat_interval": "1m" },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }]
    }));
    let first = r.route(alert("A", 0), at(0));
    assert_eq!(r.route(alert("A", 0), at(59)).outcome, Outcome::Deduped);
    let again = r.route(alert("A", 0), at(60));
    assert_eq!(again.outcome, Outcome::Notified);
    assert_ne!(first.notifications[0].id, again.notifications[0].id, "another telling");
}

/// Users of others get a doubled period when the interval equals the tick's. Not even late ticks stretch it.
#[test]
fn the_repeat_interval_is_kept_and_never_stretched() {
    let mut r = router(json!({
        "route": { "receiver": "all", "repeat_interval": "5m" },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }]
    }));
    let _ = r.route(alert("A", 0), at(0));
    let mut times = Vec::new();
    // A tick every 70 seconds, so that each comes late by a different while.
    for now in (0..=1800).step_by(70) {
        times.extend(r.tick(at(now)).iter().map(|_| now));
    }
    // Each is late by less than a tick, and the lateness of one does not add to the next.
    let late: Vec<u64> = times.iter().enumerate().map(|(i, t)| t - 300 * (i as u64 + 1)).collect();
    assert_eq!(late.len(), 5, "{times:?}");
    assert!(late.iter().all(|late| *late < 70), "{times:?}");
}

#[test]
fn after_a_long_sleep_it_is_told_once_not_once_for_each_interval_missed() {
    let mut r = simple_router();
    let _ = r.route(alert("A", 0), at(0));
    assert_eq!(r.tick(at(40 * HOUR)).len(), 1);
    assert!(r.tick(at(40 * HOUR)).is_empty());
}

#[test]
fn a_resolve_is_told_to_exactly_those_who_were_told() {
    let mut r = router(json!({
        "route": { "receiver": "all", "routes": [
            { "matchers": ["alertname=\"A\""], "receiver": "quiet", "continue": true },
            { "matchers": ["alertname=\"A\""], "receiver": "oncall" }
        ] },
        "receivers": [
            { "name": "all", "stdout_configs": [{}] },
            { "name": "quiet", "stdout_configs": [{ "send_resolved": false }] },
            { "name": "oncall", "stdout_configs": [{}], "webhook_configs": [{ "url": "http://a.example" }] }
        ]
    }));
    let firing = r.route(alert("A", 0), at(0));
    assert_eq!(told_by(&firing), ["quiet:firing", "oncall:firing", "oncall:firing"]);
    let over = r.route(alert("A", 0).resolved(at(60)), at(60));
    assert_eq!((over.outcome, over.state), (Outcome::Notified, State::Resolved));
    assert_eq!(told_by(&over), ["oncall:resolved", "oncall:resolved"]);
    assert_eq!(over.notifications[0].group_key, firing.notifications[1].group_key);
    assert_ne!(over.notifications[0].id, firing.notifications[1].id);
    // Once.
    let repeat = r.route(alert("A", 0).resolved(at(60)), at(61));
    assert_eq!((repeat.outcome, told_by(&repeat).len()), (Outcome::Deduped, 0));
}

#[test]
fn a_resolve_of_what_was_never_told_is_told_to_nobody() {
    let mut r = simple_router();
    let over = r.route(alert("A", 0).resolved(at(1)), at(1));
    assert_eq!((over.outcome, told_by(&over).len()), (Outcome::NothingToResolve, 0));
    assert_eq!(over.reason, "it is over, and it was not known to fire");
}

#[test]
fn a_resolve_and_a_new_episode_are_never_duplicates() {
    let mut r = simple_router();
    let mut ids = std::collections::HashSet::new();
    for (i, episode) in ["1", "2", "3"].into_iter().enumerate() {
        let now = i as u64 * 2;
        let firing = r.route(alert("A", now).episode(episode), at(now));
        assert_eq!(told_by(&firing), ["all:firing"], "{episode}");
        let over = r.route(alert("A", now).episode(episode).resolved(at(now + 1)), at(now + 1));
        assert_eq!(told_by(&over), ["all:resolved"], "{episode}");
        ids.extend([&firing, &over].map(|routed| routed.notifications[0].id.clone()));
    }
    assert_eq!(ids.len(), 6, "each telling has a key of its own");
}

#[test]
fn a_new_episode_before_the_last_one_ended_is_told() {
    let mut r = simple_router();
    let _ = r.route(alert("A", 0).episode("1"), at(0));
    assert_eq!(told_by(&r.route(alert("A", 9).episode("2"), at(9))), ["all:firing"]);
    // A late copy of the first does not flip it back, and its resolve does not end the second.
    assert_eq!(r.route(alert("A", 0).episode("1"), at(10)).outcome, Outcome::Deduped);
    let stale = r.route(alert("A", 0).episode("1").resolved(at(8)), at(11));
    assert_eq!((stale.outcome, told_by(&stale).len()), (Outcome::Stale, 0));
    assert_eq!(r.metrics().dropped("stale_resolve"), 1);
    let over = r.route(alert("A", 9).episode("2").resolved(at(12)), at(12));
    assert_eq!(told_by(&over), ["all:resolved"]);
}

#[test]
fn without_names_for_episodes_the_start_tells_them_apart() {
    let mut r = simple_router();
    let _ = r.route(alert("A", 0), at(0));
    // While it fires, a later start is the same episode, and the earliest start is kept.
    assert_eq!(r.route(alert("A", 5), at(5)).outcome, Outcome::Deduped);
    assert_eq!(r.alerts().next().unwrap().alert.starts_at, at(0));
    // A resolve from before it began is stale.
    assert_eq!(
        r.route(alert("A", 0).resolved(at(0) - Duration::from_secs(1)), at(6)).outcome,
        Outcome::Stale
    );
    assert_eq!(told_by(&r.route(alert("A", 0).resolved(at(7)), at(7))), ["all:resolved"]);
    // A late copy of the firing stays quiet; what began later is told.
    assert_eq!(r.route(alert("A", 0), at(8)).outcome, Outcome::Deduped);
    assert_eq!(told_by(&r.route(alert("A", 9), at(9))), ["all:firing"]);
}

/// At-least-once sources send everything again after a restart. Nobody must hear of it twice.
#[test]
fn a_replay_of_the_whole_story_is_told_to_nobody() {
    let mut r = simple_router();
    let story = [alert("A", 0).episode("1"), alert("A", 0).episode("1").resolved(at(5))];
    let tell = |r: &mut Router, now| -> Vec<String> {
        story.iter().flat_map(|alert| told_by(&r.route(alert.clone(), at(now)))).collect()
    };
    assert_eq!(tell(&mut r, 6), ["all:firing", "all:resolved"]);
    assert_eq!(tell(&mut r, 20), Vec::<String>::new());
}

#[test]
fn an_alert_holds_until_its_end_and_is_then_resolved() {
    let mut r = simple_router();
    let until = |end| alert("A", 0).resolved(at(end));
    assert_eq!(told_by(&r.route(until(60), at(0))), ["all:firing"]);
    assert_eq!(r.route(until(90), at(30)).outcome, Outcome::Deduped); // refreshed
    assert!(r.next_deadline() <= Some(at(90)));
    assert!(r.tick(at(60)).is_empty());
    assert_eq!(r.next_deadline(), Some(at(90)));
    assert!(r.tick(at(89)).is_empty());
    let over = r.tick(at(95));
    assert_eq!(told(&over), ["all:resolved"]);
    assert_eq!(over[0].alerts[0].ends_at, Some(at(90)));
}

#[test]
fn without_an_end_it_waits_for_a_resolve_unless_a_timeout_is_configured() {
    let mut waits = simple_router();
    let _ = waits.route(alert("A", 0), at(0));
    assert!(told(&waits.tick(at(3 * HOUR))).is_empty());

    let mut r = router(json!({
        "global": { "resolve_timeout": "1m" },
        "route": { "receiver": "all" },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }]
    }));
    let _ = r.route(alert("A", 0), at(0));
    let _ = r.route(alert("A", 0), at(50));
    assert!(r.tick(at(109)).is_empty());
    assert_eq!(told(&r.tick(at(110))), ["all:resolved"]);
    // It was only late: as its receiver believes that it is over, it has to be told again, inside the window too.
    assert_eq!(told_by(&r.route(alert("A", 0), at(120))), ["all:firing"]);
}

/// Whoever re-sends a little later than it promised fires again, and is over again: both are told.
#[test]
fn an_alert_that_ended_for_want_of_a_report_comes_back_and_is_resolved_again() {
    let mut r = simple_router();
    let until = |end| alert("A", 0).resolved(at(end));
    assert_eq!(told_by(&r.route(until(240), at(0))), ["all:firing"]);
    assert_eq!(told(&r.tick(at(240))), ["all:resolved"]);
    assert_eq!(told_by(&r.route(until(490), at(250))), ["all:firing"], "late, and firing");
    assert_eq!(told_by(&r.route(until(400), at(400))), ["all:resolved"], "not a repeat of 240");
    assert_eq!(r.route(until(400), at(401)).outcome, Outcome::Deduped);
}

/// "Never" is written as an endless duration: it must not come out as "at once", over and over.
#[test]
fn an_endless_interval_never_passes() {
    let mut route = birl_router::RouteConfig::to("all").immediate();
    route.repeat_interval = Some(Duration::MAX);
    let receiver = birl_router::ReceiverConfig::new("all").stdout();
    let mut config = Config::new(route, [receiver]);
    config.global.resolve_timeout = Some(Duration::MAX);
    config.dedup_window = Duration::MAX;
    let mut r = Router::new(config).unwrap();
    let first = r.route(alert("A", 0), at(0)).notifications.remove(0);
    assert!(r.tick(at(100 * 365 * 24 * HOUR)).is_empty());
    assert!(r.next_deadline() > Some(at(200 * 365 * 24 * HOUR)), "{:?}", r.next_deadline());
    let error = birl_router::LostCause::Permanent;
    let _ = r.report(&DeliveryReport::lost(&first, error, "410", at(1)), at(1));
    assert!(r.tick(at(2)).is_empty());
    assert!(r.next_deadline() > Some(at(2)), "a dead letter is not told again at once");
}

#[test]
fn what_is_over_is_forgotten_after_a_while() {
    let mut r = simple_router();
    for i in 0..100 {
        let _ = r.route(alert(&format!("A{i}"), 0), at(0));
        let _ = r.route(alert(&format!("A{i}"), 0).resolved(at(1)), at(1));
    }
    assert_eq!(r.alerts().count(), 100);
    assert!(r.tick(at(901)).is_empty());
    assert_eq!((r.alerts().count(), r.next_deadline()), (0, None));
}

fn small(limit: &str, value: u64) -> Router {
    router(json!({
        "route": { "receiver": "all" },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }],
        "limits": { limit: value }
    }))
}

#[test]
fn too_many_alerts_are_told_unremembered_never_dropped() {
    let mut r = small("max_alerts", 2);
    for name in ["A", "B", "C", "C"] {
        assert_eq!(told_by(&r.route(alert(name, 0), at(0))), ["all:firing"], "{name}");
    }
    assert_eq!(r.alerts().count(), 2);
    assert_eq!(r.metrics().dropped("untracked_full"), 2);
    // The resolve of one of them is told: it may have been told that it fires.
    assert_eq!(told_by(&r.route(alert("C", 0).resolved(at(1)), at(1))), ["all:resolved"]);
    // What is over makes room.
    let _ = r.route(alert("A", 0).resolved(at(1)), at(1));
    let _ = r.route(alert("D", 2), at(2));
    assert_eq!(r.route(alert("D", 2), at(3)).outcome, Outcome::Deduped);
}

#[test]
fn labels_too_large_to_keep_are_told_all_the_same() {
    let mut r = small("max_label_bytes", 20);
    let large = || Alert::firing([("alertname", "x".repeat(100))], at(0));
    assert_eq!(told_by(&r.route(large(), at(0))), ["all:firing"]);
    assert_eq!(told_by(&r.route(large(), at(1))), ["all:firing"]);
    assert_eq!(r.metrics().dropped("untracked_large"), 2);
    assert_eq!(r.alerts().count(), 0);
}

/// What is forgotten early, to make room, is told again when it is reported again: a duplicate, and counted.
#[test]
fn what_made_room_is_told_again_and_counted() {
    let mut r = small("max_alerts", 1);
    let _ = r.route(alert("A", 0), at(0));
    let _ = r.route(alert("A", 0).resolved(at(1)), at(1));
    let _ = r.route(alert("B", 2), at(2)); // takes A's place
    let _ = r.route(alert("B", 2).resolved(at(3)), at(3));
    assert_eq!(r.metrics().dropped("dedup_evicted"), 1);
    assert_eq!(told_by(&r.route(alert("A", 0), at(4))), ["all:firing"]);
}

#[test]
fn a_new_configuration_keeps_the_alerts_and_what_was_told() {
    let with = |receiver: &str| -> Config {
        config(json!({
            "route": { "receiver": receiver },
            "receivers": [
                { "name": "old", "stdout_configs": [{}] },
                { "name": "new", "stdout_configs": [{}] }
            ]
        }))
    };
    let mut r = Router::new(with("old")).unwrap();
    let _ = r.route(alert("A", 0), at(0));
    let version = r.version();
    r.replace(with("old"), at(1)).unwrap();
    assert!(r.version() > version);
    assert_eq!(r.route(alert("A", 0), at(1)).outcome, Outcome::Deduped);
    // Another receiver: it is told at the next report, and both are told when it is over.
    r.replace(with("new"), at(1)).unwrap();
    assert_eq!(told_by(&r.route(alert("A", 0), at(2))), ["new:firing"]);
    let mut believe = r.alerts().next().unwrap().told;
    believe.sort_unstable();
    assert_eq!(believe, ["new", "old"]);
    let over = r.route(alert("A", 0).resolved(at(3)), at(3));
    assert_eq!(told_by(&over), ["new:resolved", "old:resolved"]);
}

#[test]
fn a_receiver_that_is_gone_cannot_be_told_and_is_counted() {
    let mut r = simple_router();
    let _ = r.route(alert("A", 0), at(0));
    let other = config(json!({
        "route": { "receiver": "other" },
        "receivers": [{ "name": "other", "stdout_configs": [{}] }]
    }));
    r.replace(other, at(1)).unwrap();
    let over = r.route(alert("A", 0).resolved(at(1)), at(1));
    assert_eq!(over.outcome, Outcome::NothingToResolve);
    assert_eq!(r.metrics().dropped("receiver_gone"), 1);
}

#[test]
fn a_clock_that_goes_backwards_neither_panics_nor_tells_twice() {
    let mut r = simple_router();
    let first = r.route(alert("A", 1000), at(1000));
    let _ = r.report(
        &DeliveryReport::delivered(&first.notifications[0], Duration::ZERO, at(1000)),
        at(1000),
    );
    assert_eq!(r.route(alert("A", 1000), at(10)).outcome, Outcome::Deduped);
    assert!(r.tick(at(0)).is_empty());
}
