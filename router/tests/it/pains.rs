//! What users of others suffered from size, and from readers beside the writer.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use birl_router::{
    Alert, DeliveryReport, InhibitOptions, InhibitRuleConfig, InhibitScratch, Inhibition, Labels,
    Matchers, RouteScratch, Silence, SilenceLimits, SilenceScratch, Silences, State,
};
use serde_json::json;

use crate::{alert, at, config, router};

/// A hundred rules and ten thousand sources: each alert finds the one that mutes it, and only that. How long it takes is
/// the figure `inhibition`.
#[test]
fn pain_09_a_hundred_rules_and_ten_thousand_sources() {
    let rules = (0..100).map(|rule| {
        serde_json::from_value(json!({
            "source_matchers": ["severity=critical", format!("cause=cause-{rule}")],
            "target_matchers": ["severity=warning", format!("area=area-{rule}")],
            "equal": ["host"]
        }))
    });
    let rules: Vec<InhibitRuleConfig> = rules.collect::<Result<_, _>>().unwrap();
    let mut inhibition = Inhibition::new(&rules, InhibitOptions::default()).unwrap();
    for n in 0..10_000_u32 {
        let source = Labels::from([
            ("severity", "critical".to_owned()),
            ("cause", format!("cause-{}", n % 100)),
            ("host", format!("host-{n}")),
        ]);
        assert!(inhibition.fires(n, &source, at(0), &mut Vec::new()));
    }
    let mut scratch = InhibitScratch::default();
    for n in (0..10_000).step_by(7) {
        let target = |area: u32| {
            Labels::from([
                ("severity", "warning".to_owned()),
                ("area", format!("area-{area}")),
                ("host", format!("host-{n}")),
            ])
        };
        let by = inhibition.inhibited_labels(&target(n % 100), &mut scratch).unwrap();
        assert_eq!((by.rule, by.source), (n % 100, n));
        assert_eq!(inhibition.inhibited_labels(&target((n + 1) % 100), &mut scratch), None);
    }
}

/// Ten thousand silences, and one more: it mutes from the next question on. How long it takes is the figure `silences`.
#[test]
fn pain_10_ten_thousand_silences_and_one_more() {
    let mut silences = Silences::new(SilenceLimits::default(), 1);
    let add = |silences: &mut Silences, text: String| {
        silences
            .set(Silence::new(Matchers::parse(&text).unwrap(), Some(at(3600))), at(0))
            .unwrap()
            .slot
    };
    let slots: Vec<_> = (0..10_000)
        .map(|n| match n % 20 {
            0 => add(&mut silences, format!("host=~\"web-{n}-[a-z]+\"")),
            _ => add(&mut silences, format!("host=web-{n}, env=prod")),
        })
        .collect();
    let mut scratch = SilenceScratch::default();
    let mut hit = |silences: &Silences, host: &str| {
        let labels = Labels::from([("host", host), ("env", "prod")]);
        silences.matching(&labels, at(1), &mut scratch).to_vec()
    };
    for n in (1..10_000).step_by(13) {
        let expected = if n % 20 == 0 { vec![] } else { vec![slots[n]] };
        assert_eq!(hit(&silences, &format!("web-{n}")), expected);
    }
    assert_eq!(hit(&silences, "web-40-blue"), [slots[40]]);
    assert_eq!(hit(&silences, "db-1"), []);
    let new = add(&mut silences, "host=db-1".to_owned());
    assert_eq!(hit(&silences, "db-1"), [new]);
}

/// Readers decide while the router takes alerts and swaps its configuration: they never stop it, each decision is whole,
/// and none is of half of a configuration.
#[test]
fn pain_11_readers_beside_the_writer_see_one_configuration_or_the_other() {
    // Two configurations in which both levels of routes name the same set.
    let of = |set: &str| {
        config(json!({
            "route": { "receiver": format!("{set}-all"), "routes": [
                { "matchers": ["team=api"], "receiver": format!("{set}-api"), "continue": true },
                { "matchers": ["team=~\"api|web\""], "receiver": format!("{set}-web") }
            ] },
            "receivers": [
                { "name": format!("{set}-all"), "stdout_configs": [{}] },
                { "name": format!("{set}-api"), "stdout_configs": [{}] },
                { "name": format!("{set}-web"), "stdout_configs": [{}] }
            ]
        }))
    };
    let mut r = birl_router::Router::new(of("a")).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            let (mut reader, done) = (r.reader(), &done);
            threads.spawn(move || {
                let labels = Labels::from([("team", "api"), ("alertname", "A")]);
                let (mut scratch, mut versions) = (RouteScratch::default(), BTreeSet::new());
                loop {
                    let last = done.load(Ordering::Acquire);
                    let snapshot = reader.get();
                    let decision = snapshot.decide(&labels, at(0), 0, &mut scratch);
                    let told: Vec<&str> = decision.targets.iter().map(|t| t.receiver).collect();
                    assert!(told == ["a-api", "a-web"] || told == ["b-api", "b-web"], "{told:?}");
                    let set = if decision.version % 2 == 1 { "a" } else { "b" };
                    assert!(told[0].starts_with(set), "{told:?} of version {}", decision.version);
                    versions.insert(decision.version);
                    if last {
                        break;
                    }
                }
                assert!(versions.contains(&201), "the newest is seen: {versions:?}");
            });
        }
        for swap in 0..200_u64 {
            let _ = r.route(alert(&format!("A{swap}"), swap), at(swap));
            let sent = r.tick(at(swap));
            for n in sent {
                let _ =
                    r.report(&DeliveryReport::delivered(&n, Duration::ZERO, at(swap)), at(swap));
            }
            r.replace(of(if swap % 2 == 0 { "b" } else { "a" }), at(swap)).unwrap();
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!(r.alerts().count(), 200);
}

/// Each of many alerts is a group, and all of them are told when their time comes. What they take is the figure
/// `alert_groups`.
#[test]
fn pain_12_each_of_many_alerts_a_group() {
    const MANY: u64 = 5_000;
    let mut r = router(json!({
        "route": { "receiver": "all", "group_by": ["..."], "group_wait": "30s" },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }]
    }));
    for i in 0..MANY {
        let _ = r.route(alert(&format!("A{i}"), 0), at(i % 10));
    }
    assert_eq!(r.groups().count() as u64, MANY);
    let mut told = 0;
    while let Some(deadline) = r.next_deadline().filter(|at_| *at_ <= at(60)) {
        told += r.tick(deadline).len() as u64;
    }
    assert_eq!(told, MANY);
    assert!(r.alerts().all(|alert| alert.state == State::Firing));
}

/// The reverse: all of them in one group. What happens to one of them costs what it costs of ten; were it not so, this
/// would take minutes.
#[test]
fn pain_12_all_of_many_alerts_in_one_group() {
    const MANY: u64 = 20_000;
    let mut r = router(json!({
        "route": { "receiver": "all", "group_by": [], "group_wait": "30s" },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }]
    }));
    for i in 0..MANY {
        let _ = r.route(alert(&format!("A{i}"), 0), at(0));
    }
    let sent = r.tick(at(30));
    assert_eq!((sent.len(), sent[0].alerts.len() as u64), (1, MANY));
    let _ = r.report(&DeliveryReport::delivered(&sent[0], Duration::ZERO, at(30)), at(30));
    for i in 0..MANY {
        let _ = r.route(alert(&format!("A{i}"), 0), at(60)); // reported again
        let _ = r.route(alert(&format!("A{i}"), 0).resolved(at(61)), at(61));
    }
    let sent = r.tick(at(330));
    assert_eq!((sent.len(), sent[0].alerts.len() as u64), (1, MANY));
    let _ = r.report(&DeliveryReport::delivered(&sent[0], Duration::ZERO, at(330)), at(330));
    assert_eq!(r.groups().map(|group| group.alerts.len()).sum::<usize>(), 0);
}

/// A silence that is set before a group is told, be it at the same moment, mutes it.
#[test]
fn pain_17_a_silence_is_known_to_whatever_comes_after_it() {
    let mut r = router(json!({
        "route": { "receiver": "all", "group_by": ["..."], "group_wait": "30s" },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }]
    }));
    let _ = r.route(Alert::firing([("alertname", "A")], at(0)), at(0));
    let silence = Silence::new(Matchers::parse("alertname=A").unwrap(), Some(at(3600)));
    r.set_silence(silence, at(30)).unwrap();
    assert_eq!(r.alerts().next().unwrap().state, State::Silenced);
    assert!(r.tick(at(30)).is_empty());
}
