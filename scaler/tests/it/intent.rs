//! Who asks is heard once, and never beyond what is allowed.

use birl_scaler::{
    Action, Change, Decider, Limit, MetricSpec, Observation, Reason, Replicas, ScaleIntent, Trigger,
};

use crate::support::{ask, at, cpu, decider, prompt, seconds, spec, step};

#[test]
fn an_intent_skips_the_condition_window() {
    let seen = cpu(2, 60.0, at(0))
        .intent(ScaleIntent::new("slow/1", Change::By(2)).asked_by("rule slow").trace_id("4bf9"));
    let decision = decider(spec()).decide(&seen, at(0));
    assert_eq!((decision.action, decision.to), (Action::ScaleUp, 4));
    assert_eq!(decision.reason, Reason::Intent);
    assert_eq!(decision.trace_id.as_deref(), Some("4bf9"));
    let trigger = decision.trigger.unwrap();
    assert_eq!((trigger.name(), trigger.value()), ("rule slow", "+2".to_owned()));
}

#[test]
fn the_same_id_acts_once() {
    let mut decider = decider(spec());
    assert_eq!(step(&mut decider, &ask(1, "slow/1", Change::By(2)), at(0)), 3);
    let again = decider.decide(&ask(3, "slow/1", Change::By(2)), at(1));
    assert_eq!((again.to, again.reason), (3, Reason::DuplicateIntent));
    let id = "slow/1".to_owned();
    assert_eq!(again.limits, [Limit::DuplicateIntent { count: 1, id }]);
    assert_eq!(step(&mut decider, &ask(3, "slow/2", Change::By(2)), at(2)), 5, "another episode");
}

#[test]
fn the_same_id_acts_once_even_before_the_report() {
    let mut decider = decider(spec());
    assert!(decider.decide(&ask(1, "slow/1", Change::By(2)), at(0)).is_change());
    assert!(!decider.decide(&ask(1, "slow/1", Change::By(2)), at(0)).is_change());
}

#[test]
fn after_a_failure_it_may_ask_again() {
    let mut decider = decider(spec());
    let decision = decider.decide(&ask(1, "slow/1", Change::By(2)), at(0));
    decider.applied(&decision, Err("no room"), at(0));
    assert_eq!(decider.decide(&ask(1, "slow/1", Change::By(2)), at(1)).to, 3);
}

/// A rollout that takes too long is reported as failed, and comes true: it is one change, of which
/// the brake knows and which nobody asks for twice.
#[test]
fn what_failed_and_came_true_was_applied() {
    let mut spec = spec();
    spec.brake.max_actions_per_hour = 3;
    let mut decider = decider(spec);
    let (mut size, mut changes) = (1, 0);
    for second in 0..60 {
        let seen = Observation::new(Replicas { desired: size, ready: 1 })
            .intent(ScaleIntent::new("slow/1", Change::By(1)));
        let decision = decider.decide(&seen, at(second));
        if decision.is_change() {
            decider.applied(&decision, Err("worker-2 is not ready in time"), at(second));
            (size, changes) = (decision.to, changes + 1);
        }
    }
    assert_eq!((size, changes), (2, 1), "the same ask is heard once");
    for n in 0..9u64 {
        let id = format!("slow/{}", n + 2);
        let seen = Observation::new(Replicas { desired: size, ready: 1 })
            .intent(ScaleIntent::new(id, Change::By(1)));
        let decision = decider.decide(&seen, at(60 + n));
        decider.applied(&decision, Err("not ready in time"), at(60 + n));
        size = decision.to;
    }
    assert_eq!(size, 4, "three an hour, and no more");
}

/// A host that is killed between a decision and its report asks the platform what became of it.
#[test]
fn a_kill_before_the_report_neither_loses_nor_repeats_a_change() {
    for was_applied in [false, true] {
        let mut first = decider(spec());
        let decision = first.decide(&ask(1, "slow/1", Change::By(2)), at(0));
        assert_eq!(decision.to, 3);
        let saved = serde_json::to_string(first.state()).unwrap();
        let state = serde_json::from_str(&saved).unwrap();
        let mut second = Decider::with_state(spec(), state).unwrap();
        let size = if was_applied { 3 } else { 1 };
        let again = second.decide(&ask(size, "slow/1", Change::By(2)), at(5));
        assert_eq!(again.to, 3, "applied: {was_applied}");
        assert_eq!(again.is_change(), !was_applied);
    }
}

#[test]
fn a_refused_intent_may_ask_again() {
    let mut spec = spec();
    spec.lock_out.scale_up = seconds(60);
    let mut decider = decider(spec);
    assert_eq!(step(&mut decider, &ask(1, "a", Change::By(1)), at(0)), 2);
    assert_eq!(step(&mut decider, &ask(2, "b", Change::By(1)), at(59)), 2);
    assert_eq!(step(&mut decider, &ask(2, "b", Change::By(1)), at(60)), 3);
}

#[test]
fn asks_for_more_do_not_add_up() {
    let intents = (0..50).map(|n| ScaleIntent::new(format!("slow/{n}"), Change::By(1 + n % 3)));
    let mut decider = decider(spec());
    let seen = Observation::new(Replicas::ready(1)).intents(intents);
    assert_eq!(step(&mut decider, &seen, at(0)), 4, "one burst: the largest of +1, +2, +3");
    assert!(!decider.decide(&seen, at(1)).is_change(), "and all of them have been heard");
}

#[test]
fn the_most_cautious_ask_for_less_wins() {
    let seen = Observation::new(Replicas::ready(8))
        .intent(ScaleIntent::new("a", Change::To(2)))
        .intent(ScaleIntent::new("b", Change::By(-1)));
    assert_eq!(decider(spec()).decide(&seen, at(0)).to, 8, "cpu is Unknown");
    let mut blind = spec();
    blind.metrics.clear();
    assert_eq!(decider(blind).decide(&seen, at(0)).to, 7);
}

#[test]
fn no_intent_passes_the_bounds_or_the_step() {
    for (change, to) in [
        (Change::By(i32::MAX), 10),
        (Change::To(u32::MAX), 10),
        (Change::By(i32::MIN), 1),
        (Change::To(0), 1),
    ] {
        let mut spec = spec();
        spec.metrics.clear();
        assert_eq!(decider(spec.clone()).decide(&ask(5, "x", change), at(0)).to, to);
        (spec.step.up, spec.step.down) = (Some(1), Some(1));
        let to = if to > 5 { 6 } else { 4 };
        assert_eq!(decider(spec).decide(&ask(5, "x", change), at(0)).to, to);
    }
}

#[test]
fn a_correction_of_the_size_does_not_use_an_intent_up() {
    let mut spec = spec();
    spec.min_replicas = 2;
    let mut decider = decider(spec);
    assert_eq!(step(&mut decider, &ask(1, "slow", Change::By(3)), at(0)), 2);
    assert_eq!(step(&mut decider, &ask(2, "slow", Change::By(3)), at(1)), 5);
}

#[test]
fn an_unknown_signal_vetoes_an_ask_for_less() {
    let decision = decider(spec()).decide(&ask(5, "calm", Change::By(-1)), at(0));
    assert_eq!((decision.to, decision.reason), (5, Reason::UnknownSignal));
    assert!(matches!(decision.trigger, Some(Trigger::Intent { .. })));
    assert_eq!(decider(spec()).decide(&ask(5, "slow", Change::By(1)), at(0)).to, 6);
}

#[test]
fn a_metric_that_asks_for_more_outweighs_an_ask_for_less() {
    let seen = cpu(5, 90.0, at(0)).intent(ScaleIntent::new("calm", Change::By(-1)));
    let decision = decider(spec()).decide(&seen, at(0));
    assert_eq!((decision.to, decision.reason), (5, Reason::Contradiction));
    assert_eq!(decider(prompt()).decide(&seen, at(0)).to, 8, "without a window the metric acts");

    let inside = cpu(5, 60.0, at(0)).intent(ScaleIntent::new("calm", Change::By(-1)));
    assert_eq!(decider(spec()).decide(&inside, at(0)).to, 4, "inside the band nobody objects");
}

#[test]
fn the_larger_of_a_metric_and_an_intent_wins() {
    let seen = |by| cpu(4, 90.0, at(0)).intent(ScaleIntent::new("slow", Change::By(by)));
    let metric = decider(prompt()).decide(&seen(1), at(0));
    assert_eq!((metric.to, metric.reason), (6, Reason::Metric));
    let intent = decider(prompt()).decide(&seen(3), at(0));
    assert_eq!((intent.to, intent.reason), (7, Reason::Intent));
}

#[test]
fn an_ask_for_what_there_is_is_done() {
    let mut decider = decider(spec());
    let same = decider.decide(&ask(3, "three", Change::To(3)), at(0));
    assert_eq!((same.to, same.reason), (3, Reason::Steady));
    let later = decider.decide(&ask(2, "three", Change::To(3)), at(1));
    assert_eq!((later.to, later.reason), (2, Reason::DuplicateIntent));
}

#[test]
fn the_memory_of_ids_is_bounded() {
    let mut spec = spec();
    spec.metrics = vec![MetricSpec::utilization("cpu", 60)];
    spec.brake.max_actions_per_hour = 3600;
    let mut decider = decider(spec);
    for n in 0..3000u64 {
        let (from, change) = if n % 2 == 0 { (1, Change::To(2)) } else { (2, Change::To(3)) };
        step(&mut decider, &ask(from, &format!("slow/{n}"), change), at(n * 4));
    }
    let state = serde_json::to_value(decider.state()).unwrap();
    assert_eq!(state["intents"].as_array().unwrap().len(), 1024);
    assert!(!decider.decide(&ask(1, "slow/2999", Change::To(2)), at(20_000)).is_change());
    assert!(decider.decide(&ask(1, "slow/0", Change::To(2)), at(20_000)).is_change());
}
