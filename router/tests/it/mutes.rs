//! Silences and inhibitions in the router: who hears of what, before, during and after.

use std::time::Duration;

use birl_router::{
    Alert, DeliveryReport, Matchers, Notification, Outcome, Quiet, Router, Silence, State, Status,
};
use serde_json::{Value, json};

use crate::{alert, at, router, told};

fn json(more: &[(&str, Value)]) -> Value {
    let mut json = json!({
        "route": { "receiver": "all", "group_by": ["..."], "group_wait": "0s", "group_interval": "1m" },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }],
        "flap": { "changes": 0 },
    });
    for (key, value) in more {
        json[key] = value.clone();
    }
    json
}

fn rules() -> (&'static str, Value) {
    (
        "inhibit_rules",
        json!([{
            "source_matchers": ["severity=critical"], "target_matchers": ["severity=warning"], "equal": ["service"]
        }]),
    )
}

fn of(severity: &str, service: &str, name: &str) -> Alert {
    Alert::firing([("alertname", name), ("service", service), ("severity", severity)], at(0))
}

fn send(r: &mut Router, report: Alert, now: u64) -> Vec<String> {
    let sent = r.route(report, at(now)).notifications;
    deliver(r, &sent, now)
}

fn deliver(r: &mut Router, sent: &[Notification], now: u64) -> Vec<String> {
    for n in sent {
        let _ = r.report(&DeliveryReport::delivered(n, Duration::ZERO, at(now)), at(now));
    }
    told(sent)
}

/// All that is told in this time.
fn run(r: &mut Router, from: u64, to: u64) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    for now in from..=to {
        let sent = r.tick(at(now));
        all.extend(deliver(r, &sent, now).into_iter().map(|told| (now, told)));
    }
    all
}

fn silence(matchers: &str, to: u64) -> Silence {
    let mut silence = Silence::new(Matchers::parse(matchers).unwrap(), Some(at(to)));
    silence.comment = "work".to_owned();
    silence
}

/// Fire, told, silence, resolve: the resolve is told, once.
#[test]
fn pain_01_a_resolve_while_silenced_inhibited_or_off_hours_is_told_once() {
    let mut r = router(json(&[]));
    assert_eq!(send(&mut r, alert("A", 0), 0), ["all:firing"]);
    r.set_silence(silence("alertname=A", 3600), at(10)).unwrap();
    assert_eq!(r.alerts().next().unwrap().state, State::Silenced);
    assert_eq!(send(&mut r, alert("A", 0).resolved(at(20)), 20), Vec::<String>::new());
    assert_eq!(run(&mut r, 20, 4000), [(60, "all:resolved".to_owned())]);

    let mut r = router(json(&[rules()]));
    assert_eq!(send(&mut r, of("warning", "db", "Slow"), 0), ["all:firing"]);
    assert_eq!(send(&mut r, of("critical", "db", "Down"), 5), ["all:firing"]);
    let _ = send(&mut r, of("warning", "db", "Slow").resolved(at(20)), 20);
    assert_eq!(run(&mut r, 20, 4000), [(60, "all:resolved".to_owned())]);
    // By Alertmanager's rules, where that is asked for, it is not told, ever.
    let mut r = router(json(&[("compat", json!("alertmanager"))]));
    let mut sent = send(&mut r, alert("A", 0), 0);
    r.set_silence(silence("alertname=A", 3600), at(10)).unwrap();
    sent.extend(send(&mut r, alert("A", 0).resolved(at(20)), 20));
    assert_eq!((sent, run(&mut r, 20, 4000).len()), (vec!["all:firing".to_owned()], 0));
}

/// … then it is unsilenced and fires again: told within the group interval.
#[test]
fn pain_02_a_new_firing_after_a_muted_resolve_is_told() {
    let mut r = router(json(&[]));
    let _ = send(&mut r, alert("A", 0), 0);
    let set = r.set_silence(silence("alertname=A", 3600), at(10)).unwrap();
    let _ = send(&mut r, alert("A", 0).resolved(at(20)), 20);
    assert_eq!(run(&mut r, 20, 100), [(60, "all:resolved".to_owned())]);
    let id = r.silences().get(set.slot).unwrap().id.clone();
    assert!(r.expire_silence(&id, at(100)).unwrap());
    let mut sent: Vec<_> =
        send(&mut r, alert("A", 110), 110).into_iter().map(|t| (110, t)).collect();
    sent.extend(run(&mut r, 110, 400));
    let [(when, what)] = &sent[..] else { panic!("{sent:?}") };
    assert!(*when <= 170 && what == "all:firing", "{sent:?}");
}

/// What fires still when its silence ends is told within the group interval, if that is asked for.
#[test]
fn pain_03_the_end_of_a_mute_can_be_told() {
    for (asked, expected) in [(false, vec![]), (true, vec![(660, "all:firing".to_owned())])] {
        let mut r = router(json(&[("notify_on_unmute", json!(asked))]));
        let _ = send(&mut r, alert("A", 0), 0);
        r.set_silence(silence("alertname=A", 601), at(10)).unwrap();
        assert_eq!(run(&mut r, 10, 3600), expected, "{asked}");
    }
    // Whoever was never told is told in any case.
    let mut r = router(json(&[]));
    r.set_silence(silence("alertname=A", 601), at(0)).unwrap();
    let muted = r.route(alert("A", 1), at(1));
    assert_eq!((muted.outcome, muted.state), (Outcome::Muted, State::Silenced));
    assert!(muted.reason.to_string().ends_with("(work)"), "{}", muted.reason);
    assert_eq!(run(&mut r, 1, 3600), [(601, "all:firing".to_owned())]);
}

/// After a restart the target comes first, what inhibits it twenty seconds later: the target is told to nobody.
#[test]
fn pain_04_after_a_restart_an_inhibited_alert_is_not_told_before_its_source_is_known() {
    let mut j = json(&[rules()]);
    j["route"]["group_wait"] = json!("30s");
    let mut r = router(j);
    let old = |severity: &str, name: &str| of(severity, "db", name);
    assert_eq!(send(&mut r, old("warning", "Slow"), 10_000), Vec::<String>::new());
    assert_eq!(run(&mut r, 10_000, 10_020).len(), 0);
    let _ = send(&mut r, old("critical", "Down"), 10_020);
    let sent = run(&mut r, 10_020, 12_000);
    assert_eq!(sent, [(10_050, "all:firing".to_owned())]);
    let slow = r.alerts().find(|a| a.alert.labels.get("alertname") == "Slow").unwrap();
    assert_eq!((slow.state, slow.told.len()), (State::Suppressed, 0));
    assert_eq!(slow.word.quiets().collect::<Vec<_>>(), [Quiet::Inhibited]);
}

#[test]
fn an_inhibition_says_by_what_and_ends_with_its_source() {
    let mut r = router(json(&[rules()]));
    let _ = send(&mut r, of("critical", "db", "Down"), 0);
    let muted = r.route(of("warning", "db", "Slow"), at(1));
    assert_eq!((muted.outcome, muted.state), (Outcome::Muted, State::Suppressed));
    assert_eq!(
        muted.reason,
        "inhibited by {alertname=\"Down\", service=\"db\", severity=\"critical\"} (inhibit_rules[0])"
    );
    assert_eq!(send(&mut r, of("warning", "web", "Slow"), 1), ["all:firing"], "another service");
    let _ = send(&mut r, of("critical", "db", "Down").resolved(at(100)), 100);
    let state = |r: &Router| {
        r.alerts()
            .find(|a| {
                a.alert.labels.get("service") == "db" && a.alert.labels.get("alertname") == "Slow"
            })
            .unwrap()
            .state
    };
    assert_eq!(state(&r), State::Active, "seen at once, told with the group");
    let sent = run(&mut r, 100, 300);
    assert_eq!(sent.iter().filter(|(_, told)| told == "all:firing").count(), 1, "{sent:?}");
    assert_eq!(state(&r), State::Firing);
}

/// A source that is over at its end mutes nobody from then on, not from when it is forgotten.
#[test]
fn a_source_that_ends_by_itself_mutes_nobody() {
    let mut r = router(json(&[rules()]));
    let _ = send(&mut r, of("critical", "db", "Down").resolved(at(240)), 0);
    let _ = send(&mut r, of("warning", "db", "Slow"), 1);
    let sent = run(&mut r, 1, 400);
    assert_eq!(sent, [(240, "all:resolved".to_owned()), (241, "all:firing".to_owned())]);
}

#[test]
fn lifting_one_reason_tells_nobody_while_another_holds() {
    let mut r = router(json(&[rules()]));
    r.set_silence(silence("alertname=Slow", 300), at(0)).unwrap();
    let _ = send(&mut r, of("critical", "db", "Down"), 0);
    let muted = r.route(of("warning", "db", "Slow"), at(1));
    assert_eq!(muted.state, State::Silenced);
    let reason = muted.reason.to_string();
    assert!(reason.contains("silenced by") && reason.contains("; inhibited by"), "{reason}");
    assert_eq!(run(&mut r, 1, 1000), [], "the silence is over, the inhibition is not");
    let slow = r.alerts().find(|a| a.alert.labels.get("alertname") == "Slow").unwrap().state;
    assert_eq!(slow, State::Suppressed);
}

#[test]
fn a_silence_until_resolved_ends_with_what_it_hits() {
    let mut r = router(json(&[]));
    let _ = send(&mut r, alert("A", 0), 0);
    let until = Silence::new(Matchers::parse("alertname=A").unwrap(), None);
    let slot = r.set_silence(until, at(10)).unwrap().slot;
    let _ = run(&mut r, 10, 5000);
    assert_eq!(r.silences().state(slot, at(5000)), Some(birl_router::SilenceState::Active));
    let _ = send(&mut r, alert("A", 0).resolved(at(5000)), 5000);
    assert_eq!(r.silences().state(slot, at(5000)), Some(birl_router::SilenceState::Expired));
    let mut sent = send(&mut r, alert("A", 6000), 6000);
    sent.extend(run(&mut r, 6000, 6100).into_iter().map(|(_, told)| told));
    assert_eq!(sent, ["all:firing"]);
}

#[test]
fn a_preview_shows_what_a_silence_would_hit() {
    let mut r = router(json(&[]));
    for service in ["db", "web", "api"] {
        let _ = send(&mut r, of("warning", service, "Slow"), 0);
    }
    let _ = send(&mut r, of("warning", "db", "Slow").resolved(at(1)), 1);
    let silence = silence("service=~\"db|web\"", 100);
    let hit: Vec<&str> = r.preview_silence(&silence).map(|a| a.labels.get("service")).collect();
    assert_eq!(hit, ["web"], "what is over is not hit");
}

/// Too many alerts to remember this one, and it is silenced all the same.
#[test]
fn what_cannot_be_remembered_is_silenced_too() {
    let mut r = router(json(&[("limits", json!({ "max_alerts": 1 }))]));
    let _ = send(&mut r, alert("A", 0), 0);
    r.set_silence(silence("alertname=B", 100), at(0)).unwrap();
    let muted = r.route(alert("B", 0), at(1));
    assert_eq!((muted.outcome, muted.state), (Outcome::Muted, State::Silenced));
    assert_eq!(send(&mut r, alert("C", 0), 1), ["all:firing"]);
    assert_eq!(send(&mut r, alert("B", 0), 100), ["all:firing"]);
}

/// Whoever looks sees the silence at once: the state is judged when it is set, not when the group is told.
#[test]
fn pain_26_the_state_after_a_silence_is_seen_at_once() {
    let mut r = router(json(&[("limits", json!({ "max_alerts": 200_000 }))]));
    for i in 0..4_000 {
        let _ = r.route(of("warning", &format!("s{}", i % 100), &format!("A{i}")), at(0));
    }
    r.set_silence(silence("service=s7", 100), at(1)).unwrap();
    assert_eq!(r.alerts().filter(|a| a.state == State::Silenced).count(), 40);
}

/// A reload with other rules judges anew, and tells nobody twice.
#[test]
fn a_reload_changes_inhibitions() {
    let mut r = router(json(&[]));
    let _ = send(&mut r, of("critical", "db", "Down"), 0);
    let _ = send(&mut r, of("warning", "db", "Slow"), 0);
    r.replace(serde_json::from_value(json(&[rules()])).unwrap(), at(10)).unwrap();
    let state =
        |r: &Router| r.alerts().find(|a| a.alert.labels.get("alertname") == "Slow").unwrap().state;
    assert_eq!(state(&r), State::Suppressed);
    r.replace(serde_json::from_value(json(&[])).unwrap(), at(20)).unwrap();
    assert_eq!(state(&r), State::Firing);
    assert_eq!(run(&mut r, 20, 1000), []);
}

/// Whatever silences and inhibitions come and go: in the end everybody knows what fires, and nobody was told "over" of
/// what he had not heard of.
#[test]
fn random_mutes_end_with_everybody_knowing() {
    use std::collections::BTreeMap;
    for seed in 0..crate::cases(100) {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let mut j = json(&[rules()]);
        j["route"]["group_by"] = if seed % 2 == 0 { json!(["service"]) } else { json!(["..."]) };
        j["route"]["group_interval"] = if seed % 3 == 0 { json!("0s") } else { json!("30s") };
        let mut r = router(j);
        let (mut believes, mut firing) = (BTreeMap::new(), BTreeMap::new());
        let hear = |r: &mut Router,
                    sent: Vec<Notification>,
                    now: u64,
                    believes: &mut BTreeMap<String, bool>| {
            for alert in sent.iter().flat_map(|n| n.alerts.iter().map(move |a| (a, n.at))) {
                let (alert, when) = alert;
                let fires = alert.status(when) == Status::Firing;
                let before = believes.insert(alert.labels.to_string(), fires).unwrap_or(false);
                assert!(
                    fires || before,
                    "told over, never told firing: {}, seed {seed}",
                    alert.labels
                );
            }
            deliver(r, &sent, now);
        };
        let mut now = 0;
        for _ in 0..150 {
            now += next(20);
            let severity = ["critical", "warning", "warning"][next(3) as usize];
            let of = |start: u64, service: u64, name: u64| {
                let labels = [
                    ("alertname", format!("A{name}")),
                    ("service", format!("s{service}")),
                    ("severity", severity.to_owned()),
                ];
                Alert::firing(labels, at(start))
            };
            let report = of(now, next(2), next(2));
            let sent = match next(6) {
                0 | 1 => {
                    firing.insert(report.labels.to_string(), true);
                    r.route(report, at(now)).notifications
                }
                2 => {
                    firing.insert(report.labels.to_string(), false);
                    r.route(report.resolved(at(now)), at(now)).notifications
                }
                3 => {
                    let matchers =
                        ["severity=critical", "service=s0", "alertname=A1"][next(3) as usize];
                    r.set_silence(silence(matchers, now + 1 + next(100)), at(now)).unwrap();
                    Vec::new()
                }
                _ => r.tick(at(now)),
            };
            hear(&mut r, sent, now, &mut believes);
        }
        for _ in 0..100 {
            now += 7;
            let sent = r.tick(at(now));
            hear(&mut r, sent, now, &mut believes);
        }
        // No silence is left; what is inhibited is known or not, as it was when that began.
        for (labels, fires) in firing {
            let critical = labels.contains("critical");
            let muted = r
                .alerts()
                .any(|a| a.alert.labels.to_string() == labels && a.state == State::Suppressed);
            assert!(!(muted && critical));
            let knows = believes.get(&labels).copied().unwrap_or(false);
            assert!(knows == fires || (muted && fires), "{labels} fires {fires}, seed {seed}");
        }
    }
}
