//! The sentences, word for word.

use birl_scaler::{Change, MetricSpec, Observation, Replicas, ScaleIntent};

use crate::support::{ask, at, cpu, decider, prompt, spec};

#[test]
fn sentences() {
    let slow = ScaleIntent::new("slow/1", Change::By(2))
        .asked_by("rule slow")
        .reason("latency_ms 812 > 500");
    let asked = Observation::new(Replicas::ready(1)).intent(slow);
    let say = |spec, seen: &Observation| decider(spec).decide(seen, at(0)).explain();
    assert_eq!(
        say(spec(), &asked),
        "scale_up workers 1 → 3: rule slow asked +2 (latency_ms 812 > 500); limits: none"
    );
    assert_eq!(
        say(spec(), &cpu(3, 55.0, at(0))),
        "hold workers at 3: cpu 55 % is inside 42–78 % (target 60 %)"
    );
    assert_eq!(
        say(prompt(), &cpu(9, 92.5, at(0))),
        "scale_up workers 9 → 10: cpu 92.5 % is at or above 78 % (target 60 %); \
         limits: max 10 (wanted 14)"
    );
    assert_eq!(
        say(prompt(), &cpu(3, 20.0, at(0))),
        "scale_down workers 3 → 1: cpu 20 % is below 42 % (target 60 %); limits: none"
    );
    assert_eq!(
        say(spec(), &cpu(3, 90.0, at(0))),
        "hold workers at 3: cpu 90 % is at or above 78 % (target 60 %); limits: scale_up window, \
         holds since 2026-11-23T08:00:00Z, acts at 2026-11-23T08:01:00Z"
    );
    assert_eq!(
        say(prompt(), &cpu(1, 30.0, at(0))),
        "hold workers at 1: cpu 30 % is below 42 % (target 60 %), and the formula gives 1"
    );
    assert_eq!(
        say(spec(), &Observation::new(Replicas::ready(2))),
        "hold workers at 2: no metric has a value; limits: no scale-down while cpu is Unknown \
         (no signal has that name)"
    );
    assert_eq!(
        say(spec(), &ask(2, "calm", Change::To(1))),
        "hold workers at 2: calm asked for 1; limits: no scale-down while cpu is Unknown \
         (no signal has that name)"
    );
    assert_eq!(
        say(spec(), &Observation::new(Replicas::ready(0))),
        "hold workers at 0: it was set to 0 replicas, which pauses scaling until it is set to 1 \
         or more"
    );
    assert_eq!(
        say(spec(), &cpu(12, 60.0, at(0))),
        "scale_down workers 12 → 10: it must have 1 to 10 replicas; limits: none"
    );
    let mut none = spec();
    none.metrics.clear();
    assert_eq!(
        say(none, &Observation::new(Replicas::ready(2))),
        "hold workers at 2: there is no metric, and nobody asks for a change"
    );
    let mut two = spec();
    two.metrics.push(MetricSpec::utilization("memory", 80));
    assert_eq!(
        say(two, &cpu(2, 60.0, at(0))),
        "hold workers at 2: cpu 60 % is inside 42–78 % (target 60 %); memory is Unknown (no \
         signal has that name)"
    );
}

#[test]
fn filled_instances_are_told() {
    let mut seen = cpu(3, 30.0, at(0));
    seen.signals[0].samples[2] = birl_scaler::Sample::unknown("worker-3");
    assert_eq!(
        decider(prompt()).decide(&seen, at(0)).explain(),
        "hold workers at 3: cpu 30 % (53.333 % with 1 missing filled in) is inside 42–78 % \
         (target 60 %)"
    );
}

#[test]
fn a_duplicate_is_told() {
    let mut decider = decider(spec());
    let first = decider.decide(&ask(2, "slow/1", Change::By(1)), at(0));
    decider.applied(&first, Ok(()), at(0));
    assert_eq!(
        decider.decide(&ask(3, "slow/1", Change::By(1)), at(1)).explain(),
        "hold workers at 3: what was asked for has been decided already; limits: `slow/1` was \
         decided on before"
    );
}
