//! What is wrong, but not by how many replicas: guards, panic, fallback.

use birl_scaler::{
    Action, Behavior, Change, Fallback, FaultKind, Guard, GuardState, GuardStep, Limit, MetricSpec,
    Milli, Observation, PanicSpec, Reason, Replicas, ScaleIntent, ScalerSpec, ScalingPolicy,
    Signal, Unknown,
};
use serde_json::{from_value, json};

use crate::support::{at, cpu, decider, prompt, seconds, signal, spec, step};

fn watched(guard: Guard) -> ScalerSpec {
    let mut spec = prompt();
    spec.max_replicas = 100;
    spec.guards = vec![guard];
    spec
}

/// `replicas` workers at `percent`, and a P99 of so many milliseconds.
fn seen(replicas: u32, percent: f64, p99: f64, second: u64) -> Observation {
    cpu(replicas, percent, at(second)).signal(signal("p99_ms", &[p99], at(second)))
}

#[test]
fn a_breached_guard_steps_up_and_is_told() {
    let guard = Guard::above("p99_ms", Milli::from(500)).step(GuardStep::Percent(20), seconds(30));
    let mut decider = decider(watched(guard));
    let pending = decider.decide(&seen(10, 60.0, 812.0, 0), at(0));
    assert_eq!(pending.action, Action::Hold);
    let value = Milli::from(812);
    assert_eq!(pending.guards[0].state, GuardState::Pending { value, until: at(30) });
    assert!(
        pending.explain().ends_with("; p99_ms 812 is above 500, breached at 2026-11-23T08:00:30Z"),
        "{pending}"
    );
    assert_eq!(decider.next_deadline(at(0)), Some(at(30)));

    let decision = decider.decide(&seen(10, 60.0, 812.0, 30), at(30));
    assert_eq!(
        decision.explain(),
        "scale_up workers 10 → 12: p99_ms 812 is above 500; limits: none"
    );
    assert_eq!(decision.reason, Reason::Guard);
    assert_eq!(decision.trigger.as_ref().unwrap().name(), "p99_ms");
    decider.applied(&decision, Ok(()), at(30));
    // It is not latency's fault that a new instance takes a while: the time begins anew.
    assert!(!decider.decide(&seen(12, 60.0, 812.0, 45), at(45)).is_change());
    assert_eq!(decider.decide(&seen(12, 60.0, 812.0, 75), at(75)).to, 15, "a fifth, rounded up");
}

/// Nobody looked, so that nobody can tell that it held.
#[test]
fn a_gap_in_which_nobody_looked_starts_every_time_anew() {
    let guard = Guard::above("p99_ms", Milli::from(500)).step(GuardStep::By(2), seconds(30));
    let mut spec = watched(guard);
    spec.cool_down.max_gap = seconds(45);
    spec.fallback = Some(Fallback::new(9));
    let mut slow = decider(spec.clone());
    slow.decide(&seen(4, 60.0, 600.0, 0), at(0));
    assert!(!slow.decide(&seen(4, 60.0, 600.0, 100), at(100)).is_change());
    assert!(slow.decide(&seen(4, 60.0, 600.0, 130), at(130)).is_change());
    let mut blind = decider(spec);
    blind.decide(&dark(4, 0), at(0));
    assert!(!blind.decide(&dark(4, 200), at(200)).is_change());
    assert!((1..=6).any(|n| blind.decide(&dark(4, 200 + n * 30), at(200 + n * 30)).is_change()));
}

#[test]
fn a_break_starts_its_time_anew_and_calm_asks_for_nothing() {
    let guard = Guard::above("p99_ms", Milli::from(500)).step(GuardStep::By(2), seconds(30));
    let mut decider = decider(watched(guard));
    for (second, p99) in [(0, 600.0), (15, 600.0), (29, 500.0), (30, 600.0), (45, 600.0)] {
        let decision = decider.decide(&seen(10, 60.0, p99, second), at(second));
        assert!(!decision.is_change(), "at {second}: {decision}");
    }
    assert_eq!(decider.decide(&seen(10, 60.0, 600.0, 60), at(60)).to, 12);
}

/// Calls are retried too often, and there is little load: something further down is broken.
#[test]
fn a_guard_without_a_step_forbids_a_scale_down_and_says_so() {
    let mut spec = watched(Guard::above("retry_ratio", Milli(200)));
    spec.cool_down.scale_down = seconds(0);
    let mut decider = decider(spec);
    let retries = |ratio| signal("retry_ratio", &[ratio], at(0));
    let held = decider.decide(&cpu(6, 10.0, at(0)).signal(retries(0.4)), at(0));
    assert_eq!((held.to, held.reason), (6, Reason::Guard));
    assert_eq!(
        held.explain(),
        "hold workers at 6: cpu 10 % is below 42 % (target 60 %); limits: no scale-down while \
         retry_ratio 0.4 is above 0.2"
    );
    let calm = decider.decide(&cpu(6, 10.0, at(0)).signal(retries(0.1)), at(0));
    assert_eq!(calm.to, 1);
    // Nobody asks for less, and it is told all the same.
    let steady = decider.decide(&cpu(6, 60.0, at(0)).signal(retries(0.4)), at(0));
    assert!(steady.explain().ends_with("; retry_ratio 0.4 is above 0.2"), "{steady}");
    // People are held back by it, too; more may be asked for at any time.
    let ask = |by| ScaleIntent::new(format!("by/{by}"), Change::By(by));
    let less = cpu(6, 60.0, at(0)).signal(retries(0.4)).intent(ask(-1));
    assert_eq!(decider.decide(&less, at(0)).reason, Reason::Guard);
    let more = cpu(6, 60.0, at(0)).signal(retries(0.4)).intent(ask(1));
    assert_eq!(decider.decide(&more, at(0)).to, 7);
}

#[test]
fn an_unknown_guard_never_steps_and_forbids_a_scale_down() {
    let guard = Guard::above("p99_ms", Milli::from(500)).step(GuardStep::By(2), seconds(0));
    let mut open = guard.clone();
    open.veto_down = false;
    for (signals, why) in [
        (vec![], Unknown::Absent),
        (vec![signal("p99_ms", &[f64::NAN], at(0))], Unknown::Empty),
        (vec![signal("p99_ms", &[-1.0], at(0))], Unknown::Empty),
        (
            vec![Signal::failed("p99_ms", FaultKind::Timeout, at(0))],
            Unknown::Failed(FaultKind::Timeout),
        ),
        (vec![signal("p99_ms", &[900.0], at(0) - seconds(61))], Unknown::Stale),
        (vec![signal("p99_ms", &[900.0], at(61))], Unknown::FromTheFuture),
        (
            vec![signal("p99_ms", &[9.0], at(0)), signal("p99_ms", &[9.0], at(0))],
            Unknown::Ambiguous,
        ),
    ] {
        let seen = cpu(6, 10.0, at(0)).signals(signals);
        let decision = decider(watched(guard.clone())).decide(&seen, at(0));
        assert_eq!((decision.to, decision.reason), (6, Reason::UnknownSignal), "{decision}");
        assert_eq!(decision.guards[0].state, GuardState::Unknown { why });
        let decision = decider(watched(open.clone())).decide(&seen, at(0));
        assert_eq!(decision.to, 1, "one that may not forbid: {decision}");
    }
}

#[test]
fn a_guard_below_a_value() {
    let guard = Guard::below("free_percent", Milli::from(10)).step(GuardStep::By(1), seconds(0));
    let mut decider = decider(watched(guard));
    let seen = |free| cpu(3, 60.0, at(0)).signal(signal("free_percent", &[free, free], at(0)));
    assert!(!decider.decide(&seen(10.0), at(0)).is_change());
    assert_eq!(decider.decide(&seen(9.9), at(0)).to, 4);
}

#[test]
fn a_guards_step_is_held_by_everything_that_holds_a_metric() {
    let guard = Guard::above("p99_ms", Milli::from(500)).step(GuardStep::Percent(100), seconds(0));
    let mut spec = watched(guard);
    let mut behavior = Behavior::default();
    behavior.scale_up.policies = vec![ScalingPolicy::pods(3, seconds(60))];
    spec.behavior = Some(behavior);
    spec.lock_out.scale_up = seconds(30);
    let mut decider = decider(spec);
    assert_eq!(step(&mut decider, &seen(10, 60.0, 812.0, 0), at(0)), 13, "the rate");
    let locked = decider.decide(&seen(13, 60.0, 812.0, 70), at(29));
    assert_eq!(locked.reason, Reason::RateLimit);
    let next = decider.decide(&seen(13, 60.0, 812.0, 60), at(60));
    assert_eq!(next.to, 16);
}

#[test]
fn guards_are_read_and_checked() {
    let read = |value| from_value::<Guard>(value).map_err(|error| error.to_string());
    let guard =
        read(json!({ "signal": "p99_ms", "above": 500, "for": "30s", "step": "+20%" })).unwrap();
    let expected = Guard::above("p99_ms", Milli::from(500));
    assert_eq!(guard, expected.step(GuardStep::Percent(20), seconds(30)));
    let text = serde_json::to_string(&guard).unwrap();
    assert_eq!(serde_json::from_str::<Guard>(&text).unwrap(), guard);
    for (step, wrong) in [("20%", "`20%` is not a step"), ("+-1", "is not a step")] {
        let error = read(json!({ "signal": "x", "above": 1, "step": step })).unwrap_err();
        assert!(error.contains(wrong), "{error}");
    }
    let mut spec = spec();
    let mut both = Guard::above("a", Milli::from(1)).step(GuardStep::By(0), seconds(0));
    both.below = Some(Milli::from(1));
    spec.guards = vec![both, Guard::above("a", Milli::from(1)), Guard::above(" ", Milli::from(1))];
    spec.panic = Some(PanicSpec::default());
    spec.panic.as_mut().unwrap().threshold = 100;
    spec.fallback = Some(Fallback::new(11));
    spec.paused_replicas = Some(11);
    let message = spec.validate().unwrap_err().to_string();
    for part in [
        "guards[0] (a) needs one of `above`, `below`",
        "guards[0] (a): step is 0",
        "guards[1].signal `a` is used twice",
        "guards[2].signal is empty",
        "panic.threshold is 100",
        "fallback.replicas (11) is above maxReplicas (10)",
        "pausedReplicas (11) is above maxReplicas (10)",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn a_panic_acts_at_once_and_lets_nothing_go_for_a_window() {
    let mut spec = spec(); // 60 s and 300 s of condition windows
    spec.max_replicas = 100;
    spec.cool_down.scale_down = seconds(0);
    spec.lock_out.scale_up = seconds(600);
    spec.panic = Some(PanicSpec::default());
    let mut decider = decider(spec);
    assert!(!decider.decide(&cpu(4, 100.0, at(0)), at(0)).is_change(), "7 is not twice 4");
    let decision = decider.decide(&cpu(4, 120.0, at(15)), at(15));
    assert_eq!((decision.to, decision.reason), (8, Reason::Panic), "{decision}");
    decider.applied(&decision, Ok(()), at(15));
    let again = decider.decide(&cpu(8, 120.0, at(30)), at(30));
    assert_eq!((again.to, again.reason), (16, Reason::Panic), "no lock-out holds it");
    decider.applied(&again, Ok(()), at(30));
    for second in (45..90).step_by(15) {
        let held = decider.decide(&cpu(16, 10.0, at(second)), at(second));
        assert_eq!((held.to, held.reason), (16, Reason::Panic), "{held}");
        assert_eq!(held.limits, [Limit::Panic { until: at(90) }]);
    }
    assert_eq!(decider.next_deadline(at(75)), Some(at(90)));
    assert_eq!(decider.decide(&cpu(16, 10.0, at(90)), at(90)).to, 3);
}

#[test]
fn a_panic_is_held_by_bounds_step_and_brake() {
    let mut spec = spec();
    spec.panic = Some(PanicSpec::default());
    spec.step.up = Some(3);
    spec.brake.max_actions_per_hour = 1;
    let mut decider = decider(spec);
    assert_eq!(step(&mut decider, &cpu(4, 200.0, at(0)), at(0)), 7);
    assert_eq!(decider.decide(&cpu(7, 200.0, at(15)), at(15)).reason, Reason::Brake);
}

fn dark(replicas: u32, second: u64) -> Observation {
    Observation::new(Replicas::ready(replicas)).signal(Signal::failed(
        "cpu",
        FaultKind::Unreachable,
        at(second),
    ))
}

#[test]
fn a_fallback_comes_after_a_while_and_never_takes_away() {
    let mut spec = prompt();
    spec.fallback = Some(Fallback::new(5));
    let mut decider = decider(spec);
    for second in (0..180).step_by(15) {
        let decision = decider.decide(&dark(3, second), at(second));
        assert_eq!((decision.to, decision.reason), (3, Reason::UnknownSignal));
    }
    assert_eq!(decider.next_deadline(at(170)), Some(at(180)));
    let decision = decider.decide(&dark(3, 180), at(180));
    assert_eq!((decision.to, decision.reason), (5, Reason::Fallback));
    assert_eq!(
        decision.explain(),
        "scale_up workers 3 → 5: every metric has been Unknown since 2026-11-23T08:00:00Z, \
         fallback 5; limits: none"
    );
    assert_eq!(decider.decide(&dark(8, 195), at(195)).to, 8, "not below what there is");
    // One good sample, and the time begins anew.
    decider.decide(&cpu(3, 60.0, at(210)), at(210));
    assert!(!decider.decide(&dark(3, 225), at(225)).is_change());
    assert!(decider.decide(&dark(3, 405), at(405)).is_change());
}

#[test]
fn a_fallback_may_go_down_where_it_says_so() {
    let mut spec = prompt();
    let mut fallback = Fallback::new(2);
    fallback.below_current = true;
    spec.fallback = Some(fallback);
    spec.guards = vec![Guard::above("retry_ratio", Milli(200))];
    let mut decider = decider(spec);
    let calm = |second| signal("retry_ratio", &[0.0], at(second));
    decider.decide(&dark(8, 0).signal(calm(0)), at(0));
    let down = decider.decide(&dark(8, 180).signal(calm(180)), at(180));
    assert_eq!((down.to, down.reason), (2, Reason::Fallback), "{down}");
    let guarded = decider.decide(&dark(8, 195), at(195));
    assert_eq!(guarded.to, 8, "a guard forbids that, too: {guarded}");
}

#[test]
fn one_metric_with_a_value_is_enough_against_a_fallback() {
    let mut spec = prompt();
    spec.metrics.push(MetricSpec::utilization("memory", 80));
    spec.fallback = Some(Fallback::new(9));
    let mut decider = decider(spec);
    for second in (0..=600).step_by(15) {
        let decision = decider.decide(&cpu(3, 60.0, at(second)), at(second));
        assert!(!decision.is_change(), "{decision}");
    }
}

/// A guard is about what is wrong now: a value from before the last attempt, or of some of its
/// instances, does not say that all is well.
#[test]
fn a_guard_that_is_known_in_part_forbids_to_scale_down_and_still_steps_up() {
    let mut spec = prompt();
    let step = GuardStep::By(2);
    spec.guards = vec![Guard::above("p99_ms", Milli::from(500)).step(step, seconds(0))];
    let of = |values: &[f64], fault| {
        let mut p99 = signal("p99_ms", values, at(0));
        p99.fault = fault;
        decider(spec.clone()).decide(&cpu(6, 10.0, at(0)).signal(p99), at(0))
    };
    assert_eq!(of(&[80.0, 90.0], None).to, 1);
    let old = of(&[80.0, 90.0], Some(FaultKind::Timeout));
    assert_eq!((old.to, old.reason), (6, Reason::UnknownSignal));
    assert_eq!(
        old.explain(),
        "hold workers at 6: cpu 10 % is below 42 % (target 60 %); limits: no scale-down while p99_ms \
         85 is not above 500 as far as is known (the last attempt failed: timeout)"
    );
    let part = of(&[80.0, f64::NAN], None);
    assert_eq!((part.to, part.reason), (6, Reason::UnknownSignal));
    let wrong = of(&[800.0, f64::NAN], Some(FaultKind::Timeout));
    assert_eq!((wrong.to, wrong.reason), (8, Reason::Guard), "what is known to be wrong is heeded");
}
