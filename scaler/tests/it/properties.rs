//! What holds for every input, checked against random ones and a naive twin.

use std::sync::Arc;
use std::time::Duration;

use birl_scaler::{
    Action, Behavior, Change, Decider, Decision, Fallback, FaultKind, Guard, GuardStep, Instance,
    MetricSpec, Milli, Observation, PanicSpec, PolicyKind, Reading, Reason, Replicas, Sample,
    ScaleIntent, ScalerSpec, ScalingPolicy, Schedule, SelectPolicy, Signal,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;

use crate::support::{at, decider, step};

fn any_spec() -> impl Strategy<Value = ScalerSpec> {
    let factors = (1000u64..2000, 100u64..=1000);
    let windows = (0u64..120, 0u64..400, 0u64..90, 0u64..90);
    let steps = (proptest::option::of(1u32..5), proptest::option::of(1u32..5));
    (1u32..5, 0u32..20, factors, windows, steps, 0u32..8, 0usize..3, 1u32..150).prop_map(
        |(min, room, (up, down), (w_up, w_down, l_up, l_down), steps, brake, metrics, target)| {
            let mut spec = ScalerSpec::new("workers", min, min + room);
            let all = ["cpu", "memory", "queue"];
            let all = all[..=metrics].iter();
            spec.metrics = all.map(|name| MetricSpec::utilization(name, target)).collect();
            (spec.hysteresis.up_factor, spec.hysteresis.down_factor) = (Milli(up), Milli(down));
            spec.cool_down.scale_up = Duration::from_secs(w_up);
            spec.cool_down.scale_down = Duration::from_secs(w_down);
            spec.lock_out.scale_up = Duration::from_secs(l_up);
            spec.lock_out.scale_down = Duration::from_secs(l_down);
            (spec.step.up, spec.step.down) = steps;
            spec.brake.max_actions_per_hour = brake;
            spec
        },
    )
}

fn any_behavior() -> impl Strategy<Value = Behavior> {
    let kind = prop_oneof![Just(PolicyKind::Pods), Just(PolicyKind::Percent)];
    let policy = (kind, 1u32..120, 1u64..120).prop_map(|(kind, value, period)| match kind {
        PolicyKind::Pods => ScalingPolicy::pods(value % 5 + 1, Duration::from_secs(period)),
        PolicyKind::Percent => ScalingPolicy::percent(value, Duration::from_secs(period)),
    });
    let select = prop_oneof![
        4 => Just(SelectPolicy::Max),
        4 => Just(SelectPolicy::Min),
        1 => Just(SelectPolicy::Disabled),
    ];
    let rules = || (vec(policy.clone(), 1..3), select.clone(), 0u64..400);
    (rules(), rules()).prop_map(|(up, down)| {
        let mut behavior = Behavior::default();
        for (rules, (policies, select, window)) in
            [(&mut behavior.scale_up, up), (&mut behavior.scale_down, down)]
        {
            (rules.policies, rules.select_policy) = (policies, select);
            rules.stabilization_window = Duration::from_secs(window);
        }
        behavior
    })
}

/// A specification that uses everything, or some of it.
fn any_full_spec() -> impl Strategy<Value = ScalerSpec> {
    let extras = (
        proptest::option::of(any_behavior()),
        proptest::option::of((0u64..60, proptest::option::of(1u32..4), any::<bool>())),
        proptest::option::of((101u32..400, 0u64..200)),
        proptest::option::of((1u64..200, 0u32..30, any::<bool>())),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.2),
        (prop::bool::weighted(0.1), prop::bool::weighted(0.1)),
    );
    (any_spec(), extras).prop_map(
        |(mut spec, (behavior, guard, panic, fallback, scheduled, elastic, (no_in, no_out)))| {
            spec.behavior = behavior;
            spec.guards = guard
                .into_iter()
                .map(|(hold_for, step, veto)| {
                    let mut guard = Guard::above("queue", Milli::from(100));
                    guard.hold_for = Duration::from_secs(hold_for);
                    (guard.step, guard.veto_down) = (step.map(GuardStep::By), veto);
                    guard
                })
                .collect();
            spec.panic = panic.map(|(threshold, window)| {
                let mut panic = PanicSpec::default();
                (panic.threshold, panic.window) = (threshold, Duration::from_secs(window));
                panic
            });
            spec.fallback = fallback.map(|(after, replicas, below)| {
                let mut fallback = Fallback::new(replicas.min(spec.max_replicas));
                (fallback.after, fallback.below_current) = (Duration::from_secs(after), below);
                fallback
            });
            if scheduled {
                // From 08:01 on, of a history that begins at 08:00.
                let mut schedule = Schedule::new("busy", "UTC", "08:01", "08:20");
                schedule.min_replicas = Some(spec.min_replicas + 1);
                schedule.max_replicas = Some(spec.max_replicas + 2);
                spec.schedule.push(schedule);
            }
            if elastic {
                spec.min_replicas = 0;
            }
            (spec.paused_scale_in, spec.paused_scale_out) = (no_in, no_out);
            spec
        },
    )
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => 0.0..300.0f64,
        1 => Just(f64::NAN),
        1 => Just(-1.0),
        1 => Just(1e30),
    ]
}

/// What happens at one moment, the size of the target left out.
#[derive(Debug, Clone)]
struct Moment {
    gap: u64,
    signals: Vec<(&'static str, Vec<f64>)>,
    intents: Vec<ScaleIntent>,
    listed: bool,
    ready: u32,
    applied: bool,
    /// Whether the last attempt to measure the first of the signals failed.
    failed: bool,
}

fn any_moment() -> impl Strategy<Value = Moment> {
    let values = || vec(any_value(), 0..6);
    let signals = (values(), values(), values())
        .prop_map(|(a, b, c)| vec![("cpu", a), ("memory", b), ("queue", c)])
        .prop_flat_map(|all| subsequence(all, 0..=3));
    let change = prop_oneof![(-4i32..6).prop_map(Change::By), (0u32..30).prop_map(Change::To)];
    let intent = (0u32..12, change).prop_map(|(id, to)| ScaleIntent::new(format!("i{id}"), to));
    let odds = (any::<bool>(), prop::bool::weighted(0.8), prop::bool::weighted(0.1));
    (0u64..90, signals, vec(intent, 0..3), 0u32..6, odds).prop_map(
        |(gap, signals, intents, ready, (listed, applied, failed))| Moment {
            gap,
            signals,
            intents,
            listed,
            ready,
            applied,
            failed,
        },
    )
}

fn see(moment: &Moment, desired: u32, second: u64) -> Observation {
    let named = |n: usize| format!("worker-{n}");
    let signals = moment.signals.iter().map(|(name, values)| {
        let samples = values.iter().enumerate().map(|(n, value)| Sample::new(named(n), *value));
        let mut signal = Signal::new(*name, samples.collect(), at(second));
        let is_first = moment.signals.first().is_some_and(|(first, _)| first == name);
        signal.fault = (moment.failed && is_first).then_some(FaultKind::Timeout);
        signal
    });
    let seen = Observation::new(Replicas { desired, ready: moment.ready.min(desired) })
        .signals(signals)
        .intents(moment.intents.clone());
    if !moment.listed {
        return seen;
    }
    seen.instances(
        (0..desired as usize).map(|n| Instance::new(named(n), n < moment.ready as usize)),
    )
}

/// `load` in thousandths, spread over `replicas` workers to the last one.
fn spread(load: u64, replicas: u32) -> Observation {
    let (share, rest) = (load / u64::from(replicas), load % u64::from(replicas));
    let samples = (0..u64::from(replicas)).map(|n| {
        let mut sample = Sample::unknown(format!("worker-{n}"));
        sample.value = Some(Milli(share + u64::from(n < rest)));
        sample
    });
    Observation::new(Replicas::ready(replicas)).signal(Signal::new("cpu", samples.collect(), at(0)))
}

fn roomy(target: u32) -> ScalerSpec {
    let mut spec = ScalerSpec::new("workers", 1, 10_000);
    spec.metrics = vec![MetricSpec::utilization("cpu", target)];
    spec.cool_down.scale_up = Duration::ZERO;
    spec.cool_down.scale_down = Duration::ZERO;
    spec
}

proptest! {
    // One decision each, and what goes wrong does so in one of a thousand.
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// Whatever the metric is about, whoever is ready, and whoever tells.
    #[test]
    fn more_load_never_means_fewer_replicas(
        kind in 0usize..5, target in 1u64..200_000, values in vec((0u64..400_000, 0u64..400_000), 1..12),
        (known, ready) in any::<(u16, u16)>(), (desired, count) in (1u32..12, 0u32..12),
        (listed, asks) in any::<(bool, bool)>(),
    ) {
        let mut spec = roomy(60);
        let target = Milli(target);
        spec.metrics = vec![match kind {
            0 => MetricSpec::utilization("load", 60),
            1 => MetricSpec::utilization("cpu", 60),
            2 => MetricSpec::average("load", target),
            3 => MetricSpec::value("load", target),
            _ => MetricSpec::per_replica("load", target),
        }];
        let name = Arc::clone(&spec.metrics[0].name);
        let is = |bits: u16, n: usize| bits >> n & 1 == 1;
        let whole = kind >= 3;
        let to = |more: bool| {
            // Each load grows, or stays.
            let samples = values.iter().enumerate().map(|(n, (load, by))| {
                let mut sample = Sample::unknown(format!("worker-{n}"));
                let value = Milli(load + if more { *by } else { 0 });
                sample.value = (whole || is(known, n)).then_some(value);
                if asks { sample.request(100.0) } else { sample }
            });
            let samples = if whole { samples.take(1).collect() } else { samples.collect() };
            let current = Replicas { desired, ready: count.min(desired) };
            let mut seen = Observation::new(current).signal(Signal::new(&*name, samples, at(0)));
            if listed {
                let named = |n| Instance::new(format!("worker-{n}"), is(ready, n));
                seen = seen.instances((0..values.len()).map(named));
            }
            decider(spec.clone()).decide(&seen, at(0)).to
        };
        prop_assert!(to(false) <= to(true));
    }
}

proptest! {
    #[test]
    fn constant_load_is_a_fixpoint_after_one_change(
        load in 0u64..20_000_000, from in 1u32..200, target in 1u32..200,
    ) {
        let mut decider = decider(roomy(target));
        let first = step(&mut decider, &spread(load, from), at(0));
        let second = step(&mut decider, &spread(load, first), at(1));
        prop_assert_eq!(second, first);
    }

    /// The formula as a reader would write it, in rationals of wide integers.
    #[test]
    fn the_ratio_agrees_with_a_naive_twin(
        values in vec(0u64..400_000, 1..20), target in 1u32..200,
        up in 1000u64..2000, down in 0u64..=1000, desired in 1u32..50, ready in 1u32..50,
    ) {
        let mut spec = roomy(target);
        (spec.hysteresis.up_factor, spec.hysteresis.down_factor) = (Milli(up), Milli(down));
        let samples = values.iter().map(|value| {
            let mut sample = Sample::unknown("");
            sample.value = Some(Milli(*value));
            sample
        });
        let seen = Observation::new(Replicas { desired, ready })
            .signal(Signal::new("cpu", samples.collect(), at(0)));

        let (sum, whole) = (values.iter().sum::<u64>(), values.len() as u64 * u64::from(target) * 1000);
        let expected = if sum * 1000 >= whole * up {
            ((sum * u64::from(ready)).div_ceil(whole) as u32).max(desired)
        } else if sum * 1000 < whole * down {
            ((sum * u64::from(ready)).div_ceil(whole) as u32).min(desired)
        } else {
            desired
        };
        let decision = decider(spec).decide(&seen, at(0));
        let Reading::Known { replicas, .. } = decision.proposals[0].reading else {
            return Err(TestCaseError::fail("unknown"));
        };
        prop_assert_eq!(replicas, expected);
        prop_assert_eq!(decision.to, expected.clamp(1, 10_000));
    }

    #[test]
    fn the_order_of_what_is_seen_decides_nothing(
        spec in any_full_spec(), moments in vec(any_moment(), 1..12), seed in any::<u64>(),
    ) {
        let (mut straight, mut shuffled) = (decider(spec.clone()), decider(spec));
        let (mut second, mut desired) = (0, 3);
        for moment in moments {
            second += moment.gap;
            let seen = see(&moment, desired, second);
            let mut other = seen.clone();
            let turn = |len: usize| if len == 0 { 0 } else { seed as usize % len };
            other.signals.reverse();
            other.intents.rotate_left(turn(seen.intents.len()));
            for signal in &mut other.signals {
                let by = turn(signal.samples.len());
                signal.samples.rotate_left(by);
            }
            if let Some(instances) = &mut other.instances {
                instances.reverse();
            }
            let decision = straight.decide(&seen, at(second));
            prop_assert_eq!(&decision, &shuffled.decide(&other, at(second)));
            if moment.applied {
                straight.applied(&decision, Ok(()), at(second));
                shuffled.applied(&decision, Ok(()), at(second));
                desired = decision.to;
            }
        }
    }

}

proptest! {
    // A whole history each, and every decision as text.
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Bounds, veto, brake, determinism and restarts, over one random history.
    #[test]
    fn whatever_happens_the_rules_hold(
        spec in any_full_spec(), moments in vec(any_moment(), 1..40), restart in any::<u64>(),
    ) {
        let (mut decider, mut twin) = (decider(spec.clone()), decider(spec.clone()));
        let (mut second, mut desired) = (0, spec.min_replicas.max(1));
        let mut applied: Vec<u64> = Vec::new();
        for (n, moment) in moments.iter().enumerate() {
            second += moment.gap;
            let now = at(second);
            let seen = see(moment, desired, second);
            let restarted = |twin: &Decider| {
                let saved = serde_json::to_string(twin.state()).unwrap();
                let state = serde_json::from_str(&saved).unwrap();
                Decider::with_state(spec.clone(), state).unwrap()
            };
            if restart >> (n % 64) & 1 == 1 {
                twin = restarted(&twin);
            }
            let decision = decider.decide(&seen, now);
            let other = twin.decide(&seen, now);
            // Also between a decision and its report.
            if restart >> (n % 61) & 1 == 1 {
                twin = restarted(&twin);
            }
            prop_assert_eq!(&decision, &other, "a restart changes nothing");
            let bytes = |d| serde_json::to_string(d).unwrap();
            prop_assert_eq!(bytes(&decision), bytes(&other), "the same input, the same bytes");
            // Beyond 2^53 thousandths a number in JSON is none that every reader can tell apart.
            let sane = moment.signals.iter().all(|(_, values)| values.iter().all(|v| v.is_nan() || *v <= 1e9));
            if sane {
                let back: Decision = serde_json::from_str(&bytes(&decision)).unwrap();
                prop_assert_eq!(&back, &decision, "a record is read back as it was");
            }
            prop_assert_eq!(decider.next_deadline(now), twin.next_deadline(now));

            let most = spec.schedule.first().and_then(|busy| busy.max_replicas);
            let bounds = spec.min_replicas..=most.unwrap_or(spec.max_replicas);
            prop_assert!(bounds.contains(&decision.to) || !decision.is_change());
            let reason = decision.reason;
            let correction = reason == Reason::OutOfBounds;
            let unknown = decision
                .proposals
                .iter()
                .any(|p| matches!(p.reading, Reading::Unknown { .. }) || p.fault.is_some());
            let vetoed = spec.guards.iter().zip(&decision.guards);
            let vetoed = vetoed.filter(|(guard, _)| guard.veto_down);
            let vetoed = vetoed.filter(|(_, reading)| !reading.is_calm()).count() > 0;
            if decision.action == Action::ScaleDown && !correction {
                prop_assert!(!unknown || reason == Reason::Fallback);
                prop_assert!(!vetoed, "past a guard");
            }
            prop_assert!(decision.action != Action::ScaleDown || !spec.paused_scale_in);
            prop_assert!(decision.action != Action::ScaleUp || !spec.paused_scale_out);
            let step = decision.to.abs_diff(decision.from);
            let most = if decision.to > decision.from { spec.step.up } else { spec.step.down };
            prop_assert!(correction || most.is_none_or(|most| step <= most));
            prop_assert_eq!(decision.is_change(), step > 0);

            let outcome = if moment.applied { Ok(()) } else { Err("no room") };
            decider.applied(&decision, outcome, now);
            twin.applied(&other, outcome, now);
            if moment.applied && decision.is_change() {
                let lock_out = match decision.action {
                    Action::ScaleUp => spec.lock_out.scale_up,
                    _ => spec.lock_out.scale_down,
                };
                let rested = applied.last().is_none_or(|last| second - last >= lock_out.as_secs());
                let free = correction || reason == Reason::Panic;
                prop_assert!(rested || free, "inside the lock-out");
                applied.push(second);
                desired = decision.to;
                let hour = applied.iter().filter(|then| second - **then < 3600).count();
                prop_assert!(hour <= spec.brake.max_actions_per_hour as usize);
            }
        }
    }

    /// A log holds what was seen, when, and what was decided; from the first state on it can be
    /// decided again, to the same bytes.
    #[test]
    fn replaying_a_log_reproduces_every_decision(
        spec in any_full_spec(), moments in vec(any_moment(), 1..40), from in any::<prop::sample::Index>(),
    ) {
        let mut live = decider(spec.clone());
        let (mut second, mut desired) = (0, 3);
        let mut log = Vec::new();
        for moment in &moments {
            second += moment.gap;
            let seen = see(moment, desired, second);
            let before = serde_json::to_string(live.state()).unwrap();
            let decision = live.decide(&seen, at(second));
            let outcome = if moment.applied { Ok(()) } else { Err("no room") };
            live.applied(&decision, outcome, at(second));
            if moment.applied {
                desired = decision.to;
            }
            let seen = serde_json::to_string(&seen).unwrap();
            let decided = serde_json::to_string(&decision).unwrap();
            log.push((before, seen, second, decided, outcome));
        }
        // From the start, and from wherever somebody begins to read.
        for start in [0, from.index(log.len())] {
            let state = serde_json::from_str(&log[start].0).unwrap();
            let mut replay = Decider::with_state(spec.clone(), state).unwrap();
            for (_, seen, second, decided, outcome) in &log[start..] {
                let seen: Observation = serde_json::from_str(seen).unwrap();
                let decision = replay.decide(&seen, at(*second));
                prop_assert_eq!(&serde_json::to_string(&decision).unwrap(), decided);
                replay.applied(&decision, *outcome, at(*second));
            }
            prop_assert_eq!(replay.state(), live.state());
        }
    }
}
