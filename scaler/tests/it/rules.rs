//! From a rule that fires to a decision: the edge to `birl-rules-dsl`.

use std::collections::BTreeMap;
use std::sync::Arc;

use birl_rules_dsl::{Engine, EngineConfig, Event, Firing, RuleSet, Scratch};
use birl_scaler::{Change, Observation, Reason, Replicas, ScaleIntent};

use crate::support::{at, decider, seconds, spec};

/// What a rule says about a record of `event` that is judged at `now`.
fn fire(then: &str, event: u64, now: u64) -> Vec<Firing> {
    let text = serde_json::json!({ "rules": [{
        "name": "slow", "when": "line == 'timeout'", "then": [then, "scale('batch', '4')"],
    }] });
    let rules = Arc::new(RuleSet::from_json("rules.json", &text.to_string()).unwrap());
    let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
    let record = BTreeMap::from([("line".to_owned(), "timeout".to_owned())]);
    let event = Event { record: &record, time: at(event) };
    engine.advance(rules.matches([event], &mut Scratch::new()), at(now))
}

#[test]
fn a_firing_asks_each_of_its_targets_once_an_episode() {
    let firings = fire("scale('workers', '+2')", 0, 0);
    let asked = ScaleIntent::from_firing(&firings[0]);
    let (targets, intents): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
    assert_eq!(targets.iter().map(|target| &**target).collect::<Vec<_>>(), ["workers", "batch"]);
    assert_eq!([intents[0].change, intents[1].change], [Change::By(2), Change::To(4)]);
    assert_ne!(intents[0].id, intents[1].id);
    assert_eq!(intents[0].asked_by, "rule slow");
    let again = ScaleIntent::from_firing(&fire("scale('workers', '+2')", 0, 1)[0]);
    assert_eq!(again[0].1.id, intents[0].id, "the same records ask under the same id");

    let seen = Observation::new(Replicas::ready(1)).intent(intents[0].clone());
    let decision = decider(spec()).decide(&seen, at(0));
    assert_eq!((decision.to, decision.reason), (3, Reason::Intent));
    assert!(decision.explain().contains("rule slow asked +2 ("), "{decision}");
}

#[test]
fn what_is_too_old_or_over_asks_for_nothing() {
    let withheld = fire("scale('workers', '+2')", 0, 86_400);
    assert!(withheld.iter().all(|firing| firing.withheld.is_some()));
    assert!(withheld.iter().all(|firing| ScaleIntent::from_firing(firing).is_empty()));

    let text = r#"{ "rules": [{ "name": "slow", "when": "line == 'timeout'",
                                "then": "scale('workers', '+2')" }] }"#;
    let rules = Arc::new(RuleSet::from_json("rules.json", text).unwrap());
    let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
    let record = BTreeMap::from([("line".to_owned(), "timeout".to_owned())]);
    let event = Event { record: &record, time: at(0) };
    engine.advance(rules.matches([event], &mut Scratch::new()), at(0));
    let over = engine.tick(at(0) + seconds(3600));
    assert!(!over.is_empty());
    assert!(over.iter().all(|firing| ScaleIntent::from_firing(firing).is_empty()));
}
