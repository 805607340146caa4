//! What is remembered crosses a restart, whole or not at all.

use birl_scaler::{Change, Decider, DeciderState, ErrorKind, ScalerSpec};

use crate::support::{ask, at, decider, spec, step};

#[test]
fn a_state_of_another_target_or_format_is_refused() {
    let state = decider(spec()).state().clone();
    let error = Decider::with_state(ScalerSpec::new("other", 1, 2), state.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidState);
    assert!(error.to_string().contains("belongs to `workers`, not to `other`"), "{error}");

    let mut newer = serde_json::to_value(&state).unwrap();
    newer["format"] = 2.into();
    let newer: DeciderState = serde_json::from_value(newer).unwrap();
    let error = Decider::with_state(spec(), newer).unwrap_err();
    assert!(error.to_string().contains("has format 2, this version reads 1"), "{error}");
}

#[test]
fn lock_out_brake_and_intents_cross_a_restart() {
    let mut spec = spec();
    spec.lock_out.scale_up = crate::support::seconds(60);
    spec.brake.max_actions_per_hour = 1;
    let mut before = decider(spec.clone());
    assert_eq!(step(&mut before, &ask(1, "slow/1", Change::By(1)), at(0)), 2);
    let state: DeciderState =
        serde_json::from_str(&serde_json::to_string(before.state()).unwrap()).unwrap();
    assert_eq!(&state, before.state());
    let mut after = Decider::with_state(spec, state).unwrap();
    let reason = |decider: &mut Decider, id: &str, second| {
        decider.decide(&ask(2, id, Change::By(1)), at(second)).reason.as_str()
    };
    assert_eq!(reason(&mut after, "slow/1", 1), "duplicate_intent");
    assert_eq!(reason(&mut after, "slow/2", 1), "lock_out");
    assert_eq!(reason(&mut after, "slow/2", 60), "brake");
    assert_eq!(reason(&mut after, "slow/2", 3600), "intent");
}

#[test]
fn a_saved_state_stays_readable() {
    // Written by the first version; never edit this, only add to it.
    let saved = r#"{"format":1,"target":"workers","count":7,"lastSeen":"2026-11-23T08:00:45Z",
        "up":"2026-11-23T08:00:15Z","down":null,
        "lastApplied":{"id":"1795420800000-3","at":"2026-11-23T08:00:00Z"},
        "actions":["2026-11-23T08:00:00Z"],
        "intents":[{"id":"slow/1","by":"1795420800000-3"}]}"#;
    let state: DeciderState = serde_json::from_str(saved).unwrap();
    let mut decider = Decider::with_state(spec(), state).unwrap();
    let decision = decider.decide(&crate::support::cpu(3, 90.0, at(75)), at(75));
    assert_eq!(decision.to, 5, "{decision}");
    assert_eq!(decision.id.to_string(), "1795420875000-8");
    let again = decider.decide(&ask(5, "slow/1", Change::By(1)), at(76));
    assert_eq!(again.reason.as_str(), "duplicate_intent");
}

#[test]
fn a_state_with_any_count_is_taken_up() {
    let mut state = serde_json::to_value(decider(spec()).state()).unwrap();
    state["count"] = u64::MAX.into();
    let state: DeciderState = serde_json::from_value(state).unwrap();
    let mut decider = Decider::with_state(spec(), state).unwrap();
    let _ = decider.decide(&crate::support::cpu(3, 90.0, at(0)), at(0));
}
