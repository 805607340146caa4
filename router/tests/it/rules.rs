//! From a record to a notification: a rule fires, and the router tells.

use std::collections::BTreeMap;
use std::sync::Arc;

use birl_router::{Alert, Outcome};
use birl_rules_dsl::{Engine, EngineConfig, Event, Firing, RuleSet, Scratch};
use serde_json::json;

use crate::{at, router, told_by};

/// The firings of one record with this status, seen at `now`.
fn firings(engine: &mut Engine, status: &str, event: u64, now: u64) -> Vec<Firing> {
    let fields = [("status", status), ("service", "api")];
    let record: BTreeMap<String, String> =
        fields.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let event = Event { record: &record, time: at(event) };
    let hits = Arc::clone(engine.rules()).matches([event], &mut Scratch::default());
    engine.advance(hits, at(now))
}

fn engine(then: serde_json::Value) -> Engine {
    let rules = json!({ "rules": [{
        "name": "Broken", "when": "status == '500'", "by": ["service"], "then": then,
        "labels": { "severity": "critical" }, "annotations": { "summary": "{{service}} is broken" }
    }] });
    let rules = RuleSet::from_json("rules.json", &rules.to_string()).unwrap();
    Engine::new(Arc::new(rules), EngineConfig::default())
}

fn alerts(firings: &[Firing]) -> Vec<Alert> {
    firings.iter().flat_map(Alert::from_firing).collect()
}

#[test]
fn a_firing_becomes_an_alert_for_each_receiver_it_names() {
    let then =
        json!(["notify('oncall')", "notify('chat')", "notify('oncall')", "scale('api', '+1')"]);
    let alerts = alerts(&firings(&mut engine(then), "500", 0, 1));
    let receivers: Vec<Option<&str>> = alerts.iter().map(|a| a.receiver.as_deref()).collect();
    assert_eq!(receivers, [Some("oncall"), Some("chat")]);
    let alert = &alerts[0];
    assert_eq!(
        alert.labels.to_string(),
        r#"{alertname="Broken", service="api", severity="critical"}"#
    );
    assert_eq!(alert.annotations.get("summary"), "api is broken");
    assert_eq!((alert.starts_at, alert.ends_at), (at(0), None));
    assert!(!alert.episode.is_empty() && !alert.reason.is_empty());
}

#[test]
fn what_notifies_nobody_or_is_withheld_is_no_alert() {
    assert_eq!(alerts(&firings(&mut engine(json!("scale('api', '+1')")), "500", 0, 1)), []);
    let mut engine = engine(json!("notify('oncall')"));
    let old = firings(&mut engine, "500", 0, 3600);
    assert!(old.iter().any(|firing| firing.withheld.is_some()), "{old:?}");
    assert_eq!(alerts(&old), []);
}

#[test]
fn the_story_from_record_to_resolve() {
    let mut engine = engine(json!("notify()"));
    let mut router = router(json!({
        "route": { "receiver": "default", "routes": [
            { "matchers": ["severity=\"critical\""], "receiver": "oncall" }
        ] },
        "receivers": [
            { "name": "default", "stdout_configs": [{}] },
            { "name": "oncall", "stdout_configs": [{}] }
        ]
    }));
    let mut outcomes = Vec::new();
    for now in [1, 2, 3] {
        for alert in alerts(&firings(&mut engine, "500", now, now)) {
            let routed = router.route(alert, at(now));
            outcomes.push((routed.outcome, told_by(&routed)));
        }
    }
    assert_eq!(outcomes[0], (Outcome::Notified, vec!["oncall:firing".to_owned()]));
    assert!(outcomes[1..].iter().all(|(outcome, _)| *outcome == Outcome::Deduped), "{outcomes:?}");
    let over: Vec<String> = alerts(&engine.tick(at(900)))
        .into_iter()
        .flat_map(|alert| told_by(&router.route(alert, at(900))))
        .collect();
    assert_eq!(over, ["oncall:resolved"]);
}
