//! Whoever can write a log line can ask; the brake decides how often they are heard.

use birl_scaler::{
    Change, Decider, GlobalBrake, Limit, Observation, Reason, Replicas, ScaleIntent, ScalerSpec,
};

use crate::support::{ask, at, cpu, decider, prompt, spec, step};

fn braked(most: u32) -> ScalerSpec {
    let mut spec = spec();
    spec.max_replicas = 1000;
    spec.brake.max_actions_per_hour = most;
    spec
}

#[test]
fn a_flood_of_intents_gets_so_many_changes_an_hour() {
    let mut decider = decider(braked(3));
    let mut replicas = 1;
    let mut changes = Vec::new();
    for second in 0..7200 {
        let seen = ask(replicas, &format!("flood/{second}"), Change::By(1));
        let to = step(&mut decider, &seen, at(second));
        if to != replicas {
            changes.push(second);
        }
        replicas = to;
    }
    assert_eq!(changes, [0, 1, 2, 3600, 3601, 3602]);
    let refused = decider.decide(&ask(7, "last", Change::By(1)), at(7199));
    assert_eq!(refused.reason, Reason::Brake);
    let (max_actions_per_hour, until) = (3, at(7200));
    assert_eq!(refused.limits, [Limit::Brake { max_actions_per_hour, until, global: false }]);
}

/// Somebody writes lines that match a scale rule, as fast as they can, each with an id of its own:
/// to a thousand, to none, a million more. The target stays in its bounds, changes no more often
/// than it may, and every refusal says why; a person is to be told.
#[test]
fn a_flood_of_forged_lines_is_held_told_and_alarming() {
    let mut spec = spec();
    (spec.min_replicas, spec.max_replicas, spec.brake.max_actions_per_hour) = (2, 8, 6);
    spec.metrics.clear();
    let mut decider = decider(spec);
    let (mut replicas, mut changes, mut alarms) = (4, 0, 0);
    for second in 0..3600u64 {
        let forged = (0..50).map(|n| {
            let change = match (second + n) % 4 {
                0 => Change::To(1_000),
                1 => Change::To(0),
                2 => Change::By(i32::MAX),
                _ => Change::By(i32::MIN),
            };
            ScaleIntent::new(format!("forged/{second}/{n}"), change).asked_by("rule scale")
        });
        // Every other second they all ask for less, so that there is always something to do.
        let forged = forged.filter(|intent| {
            second % 2 == 0 || matches!(intent.change, Change::To(0) | Change::By(i32::MIN))
        });
        let seen = Observation::new(Replicas::ready(replicas)).intents(forged);
        let decision = decider.decide(&seen, at(second));
        decider.applied(&decision, Ok(()), at(second));
        replicas = decision.to;
        assert!((2..=8).contains(&replicas));
        changes += u32::from(decision.is_change());
        if let Some(limit) = decision.alarm() {
            assert_eq!((limit.as_str(), decision.reason), ("brake", Reason::Brake));
            assert!(decision.explain().contains("brake, 6 changes an hour, free at"), "{decision}");
            alarms += 1;
        }
    }
    assert_eq!(changes, 6);
    assert!(alarms > 1000, "{alarms}");
    let size = serde_json::to_string(decider.state()).unwrap().len();
    assert!(size < 128 * 1024, "{size} bytes"); // the ids of the last intents
}

#[test]
fn only_what_was_applied_counts() {
    let mut decider = decider(braked(2));
    for second in 0..10 {
        let decision = decider.decide(&ask(1, "slow", Change::By(1)), at(second));
        assert!(decision.is_change());
        decider.applied(&decision, Err("no room"), at(second));
    }
    let decision = decider.decide(&ask(1, "slow", Change::By(1)), at(10));
    decider.applied(&decision, Ok(()), at(10));
    decider.applied(&decision, Ok(()), at(10)); // a second report is not a second change
    assert_eq!(step(&mut decider, &ask(2, "next", Change::By(1)), at(11)), 3);
    assert_eq!(decider.decide(&ask(3, "last", Change::By(1)), at(12)).reason, Reason::Brake);
}

#[test]
fn zero_changes_an_hour_are_none_at_all() {
    let mut decider = decider(braked(0));
    for second in [0, 10_000] {
        let decision = decider.decide(&ask(1, "slow", Change::By(1)), at(second));
        assert_eq!(decision.reason, Reason::Brake);
    }
}

#[test]
fn the_kill_switch_stops_even_a_correction_and_says_what_it_stopped() {
    let mut spec = prompt();
    spec.brake.kill_switch = true;
    spec.max_replicas = 4;
    let mut decider = decider(spec);
    let decision = decider.decide(&cpu(9, 90.0, at(0)), at(0));
    assert_eq!((decision.to, decision.reason), (9, Reason::KillSwitch));
    assert_eq!(decision.limits, [Limit::KillSwitch { global: false }]);
    let decision = decider.decide(&cpu(2, 90.0, at(0)), at(0));
    assert_eq!((decision.to, decision.reason), (2, Reason::KillSwitch));
    assert_eq!(decision.trigger.unwrap().name(), "cpu");
}

fn shared(brake: &GlobalBrake, target: usize) -> Decider {
    let spec = ScalerSpec::new(format!("target-{target}"), 1, 100);
    Decider::new(spec).unwrap().with_global_brake(brake.clone())
}

#[test]
fn targets_that_decide_in_the_same_instant_share_the_global_brake() {
    let brake = GlobalBrake::new(5);
    let mut deciders: Vec<_> = (0..100).map(|n| shared(&brake, n)).collect();
    let decisions: Vec<_> =
        deciders.iter_mut().map(|d| d.decide(&ask(1, "mass", Change::By(1)), at(0))).collect();
    let changes: Vec<_> = decisions.iter().filter(|decision| decision.is_change()).collect();
    assert_eq!(changes.len(), 5, "before any of them has been reported");
    assert!(matches!(decisions[5].limits[..], [Limit::Brake { global: true, .. }]));

    deciders[0].applied(&decisions[0], Err("no room"), at(1));
    assert_eq!(brake.actions(at(1)), 4, "what failed gives its place back");
    assert!(deciders[50].decide(&ask(1, "more", Change::By(1)), at(1)).is_change());
    assert!(!deciders[51].decide(&ask(1, "more", Change::By(1)), at(1)).is_change());

    for (decider, decision) in deciders.iter_mut().zip(&decisions).skip(1).take(4) {
        decider.applied(decision, Ok(()), at(2));
    }
    assert_eq!(brake.actions(at(2)), 5);
    assert!(!deciders[52].decide(&ask(1, "more", Change::By(1)), at(3600)).is_change());
    assert!(deciders[52].decide(&ask(1, "more", Change::By(1)), at(3602)).is_change());
}

#[test]
fn a_host_that_only_watches_does_not_use_the_global_brake_up() {
    let brake = GlobalBrake::new(1);
    let mut watching = shared(&brake, 0);
    for second in 0..100 {
        let seen = ask(1, &format!("slow/{second}"), Change::By(1));
        assert!(watching.decide(&seen, at(second)).is_change(), "never reported");
    }
    assert_eq!(brake.actions(at(100)), 1);
}

#[test]
fn a_place_that_is_never_reported_lapses_after_an_hour() {
    let brake = GlobalBrake::new(1);
    assert!(shared(&brake, 0).decide(&ask(1, "slow", Change::By(1)), at(0)).is_change());
    let mut other = shared(&brake, 1);
    assert!(!other.decide(&ask(1, "slow", Change::By(1)), at(3599)).is_change());
    assert!(other.decide(&ask(1, "slow", Change::By(1)), at(3600)).is_change());
}

#[test]
fn the_global_kill_switch_stops_everybody() {
    let brake = GlobalBrake::new(100);
    let mut decider = shared(&brake, 0);
    brake.set_kill_switch(true);
    let stopped = decider.decide(&ask(1, "slow", Change::By(1)), at(0));
    assert_eq!(stopped.limits, [Limit::KillSwitch { global: true }]);
    brake.set_kill_switch(false);
    assert!(decider.decide(&ask(1, "slow", Change::By(1)), at(1)).is_change());
}

/// "Never" is written as a long duration: it must hold, and what it held back can still be recorded.
#[test]
fn a_rest_without_end_never_ends_and_can_be_written_down() {
    for rest in [std::time::Duration::MAX, crate::support::seconds(86_400 * 9_999_999)] {
        let mut spec = prompt();
        (spec.lock_out.scale_up, spec.cool_down.scale_down) = (rest, rest);
        let mut decider = decider(spec);
        assert_eq!(step(&mut decider, &ask(1, "first", Change::By(1)), at(0)), 2);
        let held = decider.decide(&ask(2, "second", Change::By(1)), at(100_000));
        assert_eq!(held.reason, Reason::LockOut);
        assert!(serde_json::to_string(&held).unwrap().contains("9999-12-31T23:59:59Z"), "{held}");
        let quiet = decider.decide(&cpu(2, 1.0, at(100_001)), at(100_001));
        assert_eq!(quiet.reason, Reason::ConditionWindow);
        serde_json::to_string(&quiet).unwrap();
        assert!(decider.next_deadline(at(100_001)) > Some(at(100_001)));
    }
}
