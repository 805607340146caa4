//! What users of other scalers suffer from, one test each. The issues are Kubernetes' (k8s), its
//! enhancements' (enh) and KEDA's.

use birl_scaler::{
    Action, Behavior, Change, ConditionKind, Decider, Decision, FaultKind, Instance, Limit,
    MetricSource, MetricSpec, Milli, Mode, Observation, PanicSpec, Phase, Reason, Replicas, Sample,
    ScaleIntent, ScalerSpec, ScalingPolicy, SelectPolicy, Signal, TargetType, Unknown,
};

use crate::support::{ask, at, cpu, decider, prompt, seconds, signal, spec, step};

/// An HPA and nothing else, `cpu` at 60 %.
fn hpa(min: u32, max: u32) -> ScalerSpec {
    let mut spec = ScalerSpec::hpa("workers", min, max);
    spec.metrics = vec![MetricSpec::utilization("cpu", 60)];
    spec
}

/// Saves the state, and goes on with it.
fn restarted(decider: &Decider) -> Decider {
    let saved = serde_json::to_string(decider.state()).unwrap();
    let state = serde_json::from_str(&saved).unwrap();
    Decider::with_state(decider.spec().clone(), state).unwrap()
}

fn condition(decision: &Decision, kind: ConditionKind) -> (bool, &'static str) {
    let condition = decision.conditions().into_iter().find(|condition| condition.kind == kind);
    condition.map(|condition| (condition.status, condition.reason)).unwrap()
}

/// k8s 98174, 96671: it scales up while the load falls, because the windows of both directions mix.
#[test]
fn pain_01_a_falling_load_never_scales_up() {
    let mut spec = hpa(1, 10);
    let behavior = spec.behavior.as_mut().unwrap();
    behavior.scale_up.stabilization_window = seconds(300);
    let mut decider = decider(spec);
    decider.decide(&cpu(2, 60.0, at(0)), at(0));
    assert_eq!(decider.decide(&cpu(2, 90.0, at(600)), at(600)).proposals.len(), 1); // asks for 3
    let decision = decider.decide(&cpu(2, 25.0, at(780)), at(780)); // asks for 1
    assert_eq!((decision.to, decision.reason), (2, Reason::Stabilization), "{decision}");
    let able = condition(&decision, ConditionKind::AbleToScale);
    assert_eq!(able, (true, "ScaleDownStabilized"));
}

/// enh 883: flapping at the edge.
#[test]
fn pain_02_noise_of_ten_percent_changes_nothing_for_an_hour() {
    let mut decider = decider(prompt());
    let mut noise = 1u64;
    for second in (0..3600).step_by(15) {
        noise = noise.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let percent = 60.0 * (0.9 + 0.2 * (noise >> 11) as f64 / (1u64 << 53) as f64);
        let decision = decider.decide(&cpu(4, percent, at(second)), at(second));
        assert!(!decision.is_change(), "{decision}");
    }
}

/// k8s 101371: a stabilization window is read as a lock-out. Here the lock-out is one.
#[test]
fn pain_03_a_second_change_inside_the_lock_out_is_refused_and_says_until_when() {
    let mut spec = prompt();
    spec.lock_out.scale_up = seconds(60);
    let mut decider = decider(spec);
    assert_eq!(step(&mut decider, &cpu(2, 90.0, at(0)), at(0)), 3);
    let second = decider.decide(&cpu(3, 90.0, at(30)), at(30));
    assert_eq!((second.to, second.reason), (3, Reason::LockOut));
    assert_eq!(second.limits, [Limit::LockOut { until: at(60) }]);
    assert!(second.explain().ends_with("lock-out until 2026-11-23T08:01:00Z"), "{second}");
    assert_eq!(decider.decide(&cpu(3, 90.0, at(60)), at(60)).to, 5);
}

/// KEDA 6844: the cool-down is ignored except on the way to zero. Here each step has it.
#[test]
fn pain_04_the_cool_down_applies_to_every_step_down() {
    let mut decider = decider(spec());
    let mut replicas = 8;
    let mut sizes = vec![];
    for second in (0..=1200).step_by(15) {
        let to = step(&mut decider, &cpu(replicas, 30.0, at(second)), at(second));
        if to != replicas {
            sizes.push((second, to));
        }
        replicas = to;
    }
    // A change starts the window anew with the next look, 15 s later.
    assert_eq!(sizes, [(300, 4), (615, 2), (930, 1)]);
}

/// KEDA 7770, 7204: from 5 it jumps to 0, past the policy. Here the last step is like every other.
#[test]
fn pain_05_the_way_to_zero_goes_through_the_policy() {
    let mut spec = prompt();
    spec.min_replicas = 0;
    let mut behavior = Behavior::default();
    behavior.scale_down.stabilization_window = seconds(0);
    behavior.scale_down.policies = vec![ScalingPolicy::pods(2, seconds(60))];
    spec.behavior = Some(behavior);
    let mut decider = decider(spec);
    let (mut replicas, mut sizes) = (5, vec![]);
    for second in (0..=240).step_by(15) {
        let to = step(&mut decider, &cpu(replicas, 0.0, at(second)), at(second));
        if to != replicas {
            sizes.push((second, to));
        }
        replicas = to;
    }
    assert_eq!(sizes, [(0, 3), (60, 1), (120, 0)]);
}

/// k8s 68826: the first decisions after a restart are random.
#[test]
fn pain_09_a_restart_inside_a_window_neither_hastens_nor_forgets() {
    let mut before = decider(spec());
    for second in (0..=150).step_by(15) {
        before.decide(&cpu(10, 20.0, at(second)), at(second));
    }
    let saved = serde_json::to_string(before.state()).unwrap();
    drop(before);

    let state = serde_json::from_str(&saved).unwrap();
    let mut after = Decider::with_state(spec(), state).unwrap();
    for second in (165..300).step_by(15) {
        assert!(!after.decide(&cpu(10, 20.0, at(second)), at(second)).is_change());
    }
    assert_eq!(after.decide(&cpu(10, 20.0, at(300)), at(300)).action, Action::ScaleDown);

    // The HPA's window is remembered, too, with what it saw before the restart.
    let mut before = decider(hpa(1, 10));
    for second in (0..=150).step_by(15) {
        before.decide(&cpu(10, 60.0, at(second)), at(second));
    }
    let mut after = restarted(&before);
    for second in (165..450).step_by(15) {
        // Half of the instances are not ready yet, and those that are have little to do.
        let mut seen = cpu(10, 10.0, at(second));
        seen.current.ready = 5;
        let decision = after.decide(&seen, at(second));
        assert!(!decision.is_change(), "second {second}: {decision}");
    }
    assert_eq!(after.decide(&cpu(10, 10.0, at(450)), at(450)).action, Action::ScaleDown);

    let mut forgetful = decider(spec());
    for second in (165..465).step_by(15) {
        let decision = forgetful.decide(&cpu(10, 20.0, at(second)), at(second));
        assert!(!decision.is_change(), "without its state it waits a whole window");
    }
}

/// k8s 105655: with `selectPolicy: Disabled` it lost pods all the same, after the API was away.
#[test]
fn pain_11_a_disabled_way_down_never_goes_below_the_high_water_mark() {
    let mut spec = hpa(1, 100);
    spec.behavior.as_mut().unwrap().scale_down.select_policy = SelectPolicy::Disabled;
    let mut decider = decider(spec);
    let (mut replicas, mut high) = (4, 4);
    for tick in 0..400u64 {
        let now = at(tick * 15);
        let seen = match tick % 10 {
            0..=2 => cpu(replicas, 5.0, now),
            3 => cpu(replicas, 61.0 + (tick % 70) as f64, now),
            4 => Observation::new(Replicas { desired: replicas, ready: 0 }),
            5 => Observation::new(Replicas::ready(replicas)).signal(Signal::failed(
                "cpu",
                FaultKind::Unreachable,
                now,
            )),
            6 => {
                Observation::new(Replicas::ready(replicas)).signal(Signal::new("cpu", vec![], now))
            }
            _ => cpu(replicas, 0.0, now),
        };
        if tick % 37 == 0 {
            decider = restarted(&decider);
        }
        replicas = step(&mut decider, &seen, now);
        assert!(replicas >= high, "tick {tick}: {replicas} after {high}");
        high = replicas;
    }
    assert!(high > 4);
}

/// k8s 122059: a pair for one target, one that only scales up and one that only scales down, is a
/// fair wish. (That two which do both are told apart as a conflict, k8s 112027, is the operator's.)
#[test]
fn pain_12_a_pair_for_both_directions_works_together() {
    let (mut up, mut down) = (hpa(1, 50), hpa(1, 50));
    up.paused_scale_in = true;
    down.behavior.as_mut().unwrap().scale_up.select_policy = SelectPolicy::Disabled;
    let (mut up, mut down) = (decider(up), decider(down));
    let (mut replicas, mut sizes) = (10u32, vec![]);
    for tick in 0..200u64 {
        let now = at(tick * 15);
        let load = if tick < 100 { 2400.0 } else { 300.0 };
        let seen = cpu(replicas, load / f64::from(replicas), now);
        let (one, other) = (up.decide(&seen, now), down.decide(&seen, now));
        assert_ne!(one.action, Action::ScaleDown);
        assert_ne!(other.action, Action::ScaleUp);
        assert!(!one.is_change() || !other.is_change(), "they never pull in two directions");
        for (decider, decision) in [(&mut up, &one), (&mut down, &other)] {
            decider.applied(decision, Ok(()), now);
            replicas = if decision.is_change() { decision.to } else { replicas };
        }
        sizes.push(replicas);
    }
    assert_eq!((sizes[50], sizes[199]), (40, 5));
}

/// k8s 106765: decisions that nobody can explain. The record has every signal, limit and winner.
#[test]
fn pain_17_a_decision_carries_all_that_led_to_it() {
    let mut spec = prompt();
    spec.metrics.push(MetricSpec::average("queue", Milli(10_000)));
    spec.metrics.push(MetricSpec::utilization("memory", 80));
    spec.step.up = Some(1);
    let seen = cpu(3, 90.0, at(0)).signal(signal("queue", &[20.0; 3], at(0)));
    let decision = decider(spec).decide(&seen, at(0));
    let record = serde_json::to_value(&decision).unwrap();
    assert_eq!(record["action"], "scale_up");
    assert_eq!(record["trigger"]["metric"], "queue");
    assert_eq!(record["proposals"][0]["reading"]["value"], 90);
    assert_eq!(record["proposals"][0]["reading"]["replicas"], 5);
    assert_eq!(record["proposals"][0]["high"], 78);
    assert_eq!(record["proposals"][1]["reading"]["replicas"], 6);
    assert_eq!(record["proposals"][2]["reading"]["why"], "absent");
    assert_eq!(record["limits"][0]["limit"], "step");
    assert_eq!(record["at"], "2026-11-23T08:00:00Z");
    assert_eq!(record["explain"], decision.explain());
    let back: birl_scaler::Decision = serde_json::from_value(record).unwrap();
    assert_eq!(back, decision);
}

/// KEDA 5008: a new object has no grace.
#[test]
fn pain_24_a_new_decider_does_not_scale_down_in_its_first_window() {
    let mut decider = decider(spec());
    for second in 0..300 {
        assert!(!decider.decide(&cpu(5, 0.0, at(second)), at(second)).is_change());
    }
    let mut decider = crate::support::decider(hpa(1, 10));
    for second in 0..300 {
        assert!(!decider.decide(&cpu(5, 0.0, at(second)), at(second)).is_change());
    }
    assert_eq!(decider.decide(&cpu(5, 0.0, at(300)), at(300)).to, 1);
}

/// k8s 110317: from a step in the load to the decision it takes 55 s. Here the next sample decides.
#[test]
fn pain_15_a_step_in_the_load_is_decided_on_with_its_first_sample() {
    // With the default condition window of 60 s, a panic does not wait.
    let mut patient = spec();
    patient.panic = Some(PanicSpec::default());
    for (spec, reason) in
        [(hpa(1, 10), Reason::Metric), (prompt(), Reason::Metric), (patient, Reason::Panic)]
    {
        let mut decider = decider(spec);
        for second in (0..600).step_by(15) {
            let decision = decider.decide(&cpu(2, 55.0, at(second)), at(second));
            assert!(!decision.is_change());
        }
        let decision = decider.decide(&cpu(2, 150.0, at(600)), at(600));
        assert_eq!((decision.to, decision.reason), (5, reason), "{decision}");
    }
}

/// enh 3148, k8s 106765: a dry run was asked for twice. It decides just the same, and is marked.
#[test]
fn pain_17_a_preview_decides_the_same_and_changes_nothing() {
    let mut preview = spec();
    preview.mode = Mode::Preview;
    let (mut meant, mut shown) = (decider(spec()), decider(preview));
    for second in (0..=600).step_by(15) {
        let seen = cpu(2, if second < 300 { 90.0 } else { 20.0 }, at(second));
        let decision = meant.decide(&seen, at(second));
        let mut marked = shown.decide(&seen, at(second));
        assert!(!marked.is_change() && marked.preview);
        if marked.action == Action::ScaleUp {
            assert!(marked.explain().starts_with("preview: scale_up workers 2 → 3"), "{marked}");
        }
        shown.applied(&marked, Ok(()), at(second)); // changes nothing, either
        marked.preview = false;
        assert_eq!(marked, decision, "the same record");
    }
    // An intent is not used up by it.
    let seen = ask(2, "slow/1", Change::By(1));
    assert_eq!(shown.decide(&seen, at(700)).to, 3);
    shown.replace(spec()).unwrap();
    assert!(shown.decide(&seen, at(715)).is_change());
}

/// KEDA 7914: `Ready` flaps on one lost sample.
#[test]
fn pain_20_one_lost_sample_does_not_make_it_inactive() {
    let mut spec = hpa(1, 10);
    spec.metrics.push(MetricSpec::utilization("memory", 80));
    let mut decider = decider(spec);
    for tick in 0..20u64 {
        let now = at(tick * 15);
        let mut seen = cpu(3, 60.0, now);
        let lost = tick % 5 == 4;
        if !lost {
            seen = seen.signal(signal("memory", &[80.0; 3], now));
        }
        let decision = decider.decide(&seen, now);
        let active = condition(&decision, ConditionKind::ScalingActive);
        assert_eq!(active, (true, "ValidMetricFound"));
        let healthy = condition(&decision, ConditionKind::SignalHealthy);
        let expected = if lost { (false, "SignalUnknown") } else { (true, "AllSignalsKnown") };
        assert_eq!(healthy, expected);
    }
    let dark = decider.decide(&Observation::new(Replicas::ready(3)), at(400));
    let active = condition(&dark, ConditionKind::ScalingActive);
    assert_eq!(active, (false, "FailedGetMetric"), "without any value it is");

    // Nor the only one, as the sampler tells it: with the value of before, for as long as it holds.
    let mut decider = crate::support::decider(hpa(1, 10));
    for tick in 0..20u64 {
        let (now, lost) = (at(tick * 15), tick % 5 == 4);
        let mut seen = cpu(3, 60.0, at(if lost { tick * 15 - 15 } else { tick * 15 }));
        seen.signals[0].fault = lost.then_some(FaultKind::Timeout);
        let decision = decider.decide(&seen, now);
        let active = condition(&decision, ConditionKind::ScalingActive);
        assert_eq!(active, (true, "ValidMetricFound"));
        let healthy = condition(&decision, ConditionKind::SignalHealthy);
        let expected = if lost { (false, "LastReadFailed") } else { (true, "AllSignalsKnown") };
        assert_eq!(healthy, expected);
    }
}

/// k8s 25238, turned around: whoever changes the size by hand is not fought inside the bounds.
#[test]
fn pain_16_a_size_set_by_hand_inside_the_band_stays() {
    let mut decider = decider(prompt());
    assert_eq!(step(&mut decider, &cpu(2, 90.0, at(0)), at(0)), 3);
    assert_eq!(decider.decide(&cpu(7, 60.0, at(15)), at(15)).to, 7);
}

/// Who does what to an idle target of eight.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Turn {
    Pause,
    Resume,
    /// Somebody sets it to zero by hand, and back afterwards.
    Zero,
    Ask,
    Nobody,
}

/// All of them, in all orders of four.
fn orders() -> Vec<[Turn; 4]> {
    const ALL: [Turn; 5] = [Turn::Pause, Turn::Resume, Turn::Zero, Turn::Ask, Turn::Nobody];
    let turn = |order: usize, place: u32| ALL[order / 5_usize.pow(place) % 5];
    (0..625).map(|order| [0, 1, 2, 3].map(|place| turn(order, place))).collect()
}

/// Takes `turns` 15 s apart, from `second` on; with `restarts`, one before and after everything.
fn take(decider: &mut Decider, turns: &[Turn], second: u64, restarts: bool) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for (turn, second) in turns.iter().zip((second..).step_by(15)) {
        let restart = |decider: &mut Decider| {
            if restarts {
                *decider = restarted(decider);
            }
        };
        restart(decider);
        let mut spec = decider.spec().clone();
        spec.paused = *turn == Turn::Pause || (spec.paused && *turn != Turn::Resume);
        decider.replace(spec).unwrap();
        restart(decider);
        let seen = match turn {
            Turn::Zero => Observation::new(Replicas::ready(0)),
            Turn::Ask => cpu(8, 1.0, at(second)).intent(ScaleIntent::new("slow", Change::By(1))),
            _ => cpu(8, 1.0, at(second)),
        };
        let decision = decider.decide(&seen, at(second));
        restart(decider);
        decider.applied(&decision, Ok(()), at(second));
        decisions.push(decision);
    }
    decisions
}

/// KEDA 7231, 6982, 6321: the order of pause, resume and restart matters. Here it does not.
#[test]
fn pain_19_pause_resume_and_restart_in_any_order_end_in_the_same_state() {
    for spec in [spec(), hpa(1, 10)] {
        // What is done once a pause is over, with nothing before it.
        let pause = [Turn::Pause, Turn::Resume];
        let idle = [Turn::Nobody; 20];
        let after = |decider: &mut Decider| {
            take(decider, &pause, 100, false);
            let looks = take(decider, &idle, 130, false);
            looks.into_iter().map(|look| (look.to, look.explain())).collect::<Vec<_>>()
        };
        let first_day = after(&mut decider(spec.clone()));
        assert!(first_day.iter().take(19).all(|(to, _)| *to == 8), "a whole window: {first_day:?}");
        assert_eq!(first_day[19].0, 1);

        for order in orders() {
            let (mut steady, mut shaken) = (decider(spec.clone()), decider(spec.clone()));
            let decisions = take(&mut steady, &order, 0, false);
            assert!(take(&mut shaken, &order, 0, true) == decisions, "{order:?}");
            assert_eq!(steady.state(), shaken.state(), "{order:?}");
            let mut paused = false;
            for (turn, decision) in order.iter().zip(&decisions) {
                paused = *turn == Turn::Pause || (paused && *turn != Turn::Resume);
                let rests = paused || *turn == Turn::Zero;
                assert_eq!(decision.reason == Reason::Paused, rests, "{order:?}: {decision}");
                assert!(!rests || !decision.is_change(), "{order:?}: {decision}");
            }
            // However it came to it, after a pause everything is as on the first day.
            assert_eq!(after(&mut steady), first_day, "{order:?}");
        }
    }
}

/// k8s 99394, 105187: one metric is missing, and the target is scaled down by the other.
#[test]
fn pain_06_one_metric_missing_scaled_down() {
    let mut spec = prompt();
    spec.metrics.push(MetricSpec::per_replica("queue", Milli(10_000)));
    let failed = || Signal::failed("queue", FaultKind::Unreachable, at(0));
    let down = decider(spec.clone()).decide(&cpu(3, 1.0, at(0)).signal(failed()), at(0));
    assert_eq!((down.to, down.reason), (3, Reason::UnknownSignal));
    let why = Unknown::Failed(FaultKind::Unreachable);
    assert_eq!(down.limits, [Limit::UnknownSignal { metric: "queue".into(), why }]);
    let up = decider(spec).decide(&cpu(3, 120.0, at(0)).signal(failed()), at(0));
    assert_eq!(up.to, 6, "what is known may still ask for more");
}

/// `replicas` of an idle target, of which `silent` have no sample; and what becomes of them.
fn idle_with(metric: MetricSpec, replicas: usize, silent: usize) -> u32 {
    let mut spec = spec();
    spec.max_replicas = 1000;
    let name = std::sync::Arc::clone(&metric.name);
    spec.metrics = vec![metric];
    let mut decider = decider(spec);
    let pods = (0..replicas).map(|n| Instance::new(format!("pod-{n}"), true).phase(Phase::Running));
    let long_ago = at(0) - seconds(3600);
    let pods: Vec<_> = pods.map(|pod| pod.started(long_ago).ready_changed(long_ago)).collect();
    let mut to = replicas as u32;
    for second in (0..=300).step_by(15) {
        let samples = (silent..replicas).map(|n| Sample::new(format!("pod-{n}"), 0.1).request(1.0));
        let seen = Observation::new(Replicas::ready(replicas as u32))
            .signal(Signal::new(&name, samples.collect(), at(second)))
            .instances(pods.clone());
        to = decider.decide(&seen, at(second)).to;
    }
    to
}

/// k8s 119788, 109214: one of 160 has no sample, and the target stays at its size for hours.
#[test]
fn pain_07_one_metric_missing_stuck_high() {
    let cpu = || MetricSpec::utilization("cpu", 60);
    assert_eq!(idle_with(cpu(), 160, 0), 27);
    assert_eq!(idle_with(cpu(), 160, 1), 29, "it counts as fully busy, and the rest goes");
    assert_eq!(idle_with(cpu(), 160, 40), 87);
    assert_eq!(idle_with(cpu(), 160, 80), 160, "half of them: who knows");
}

/// KEDA 8036, 7880: an outage, or a negative number, is read as an empty queue.
#[test]
fn pain_08_outage_read_as_zero() {
    let signal = |samples| Signal::new("queue", samples, at(0));
    let unknown = [
        signal(vec![]),
        signal(vec![Sample::new("", f64::NAN)]),
        signal(vec![Sample::new("", -5.0)]),
        signal(vec![Sample::unknown("")]),
        signal(vec![Sample::new("", 0.0), Sample::unknown("")]),
        Signal::failed("queue", FaultKind::Refused, at(0)),
        Signal::failed("queue", FaultKind::Timeout, at(0)),
        Signal::new("queue", vec![Sample::new("", 0.0)], at(0) - seconds(61)),
    ];
    let metrics = [
        MetricSpec::per_replica("queue", Milli(10_000)),
        MetricSpec::value("queue", Milli(10_000)),
        MetricSpec::average("queue", Milli(10_000)),
        MetricSpec::utilization("queue", 60),
    ];
    for metric in metrics {
        for signal in &unknown {
            // A part of a sum is not the sum; an instance without a value is filled in.
            if !matches!(metric.source, MetricSource::External { .. }) && signal.samples.len() == 2
            {
                continue;
            }
            let mut spec = prompt();
            spec.metrics = vec![metric.clone()];
            let seen = Observation::new(Replicas::ready(5)).signal(signal.clone());
            let decision = decider(spec).decide(&seen, at(0));
            assert_eq!((decision.to, decision.reason), (5, Reason::UnknownSignal), "{signal:?}");
        }
    }
}

/// k8s 72775, 84142, 90461, 98914: each rolling update leaves more replicas than the one before.
#[test]
fn pain_10_rolling_update_ratchets() {
    let metrics = [
        MetricSpec::utilization("load", 60),
        MetricSpec::average("load", Milli(60_000)),
        MetricSpec::value("load", Milli(60_000)),
        MetricSpec::per_replica("load", Milli(60_000)),
    ];
    for metric in metrics {
        let mut spec = prompt();
        spec.max_replicas = 1000;
        let is_shared = metric.target_type == TargetType::AverageValue
            && matches!(metric.source, MetricSource::External { .. });
        let is_of_the_whole = matches!(metric.source, MetricSource::External { .. });
        spec.metrics = vec![metric];
        spec.hysteresis.down_factor = Milli(950);
        spec.hysteresis.up_factor = Milli(1050);
        for percent in [0.0, 30.0, 50.0, 56.9, 57.0, 60.0, 62.0] {
            // A surge of 25 %: 100 were asked for, 125 are up, the new ones ready and idle alike.
            let (desired, up) = (100, 125);
            let pods = (0..up).map(|n| Instance::new(format!("worker-{}", n + 1), true));
            let samples = match (is_of_the_whole, is_shared) {
                (true, true) => vec![percent * f64::from(desired)],
                (true, false) => vec![percent],
                _ => vec![percent; up as usize],
            };
            let seen = Observation::new(Replicas { desired, ready: up })
                .signal(signal("load", &samples, at(0)))
                .instances(pods)
                .status_replicas(up);
            let decision = decider(spec.clone()).decide(&seen, at(0));
            assert!(decision.to <= desired, "{decision}");
        }
    }
}

/// Of a rolling update's pods, one that was started at `born`: for a while it is nowhere, then it
/// starts, and then it works.
fn pod(name: String, born: u64, now: u64) -> Instance {
    let pod = Instance::new(name, now >= born + 45).started(at(born));
    match now - born {
        0..15 => pod.phase(Phase::Pending),
        15..45 => pod.phase(Phase::Running).ready_changed(at(born + 15)),
        _ => pod.phase(Phase::Running).ready_changed(at(born + 45)),
    }
}

/// The same as it happens: four rollouts of 100 pods, a quarter at a time beside the old ones. Pods
/// that start burn four times what they may, and for a while after that their samples still say so.
#[test]
fn pain_10_four_rollouts_with_busy_starting_pods_end_at_the_size_they_began_with() {
    let loads_of = [(prompt(), [53.0, 60.0, 77.0]), (hpa(1, 10), [55.0, 60.0, 65.0])];
    for (mut spec, loads) in loads_of {
        spec.max_replicas = 1000;
        for load in loads {
            let mut decider = decider(spec.clone());
            let mut pods: Vec<(String, u64)> = (0..100).map(|n| (format!("old-{n}"), 0)).collect();
            let (mut size, mut starting, mut surges) = (100_u32, 0, 0);
            let mut look = |pods: &[(String, u64)], leaving: usize, second: u64| {
                let mut instances = Vec::new();
                for (place, (name, born)) in pods.iter().enumerate() {
                    let pod = pod(name.clone(), *born, second);
                    instances.push(if place < leaving { pod.deleted() } else { pod });
                }
                let works = |instance: &&Instance| instance.ready && !instance.deleted;
                let ready = instances.iter().filter(works).count() as u32;
                let mut samples = Vec::new();
                for (instance, (_, born)) in instances.iter().zip(pods) {
                    let percent = match second - born {
                        0..15 => continue,
                        15..75 => 400.0, // a sample is about the last 30 s
                        _ => load * 100.0 / f64::from(ready),
                    };
                    starting += u32::from(percent == 400.0);
                    samples.push(Sample::new(&*instance.name, percent));
                }
                surges += u32::from(instances.len() > 100);
                let signal = Signal::new("cpu", samples, at(second)).window(seconds(30));
                let seen = Observation::new(Replicas { desired: size, ready })
                    .signal(signal)
                    .instances(instances);
                let decision = decider.decide(&seen, at(second));
                decider.applied(&decision, Ok(()), at(second));
                assert_eq!(decision.to, 100, "load {load}, second {second}: {decision}");
                size = decision.to;
            };
            let mut second = 3600;
            for rollout in 0..4 {
                for batch in 0..4 {
                    pods.extend((0..25).map(|n| (format!("new-{rollout}-{batch}-{n}"), second)));
                    for _ in 0..6 {
                        look(&pods, 0, second);
                        second += 15;
                    }
                    look(&pods, 25, second); // 25 are told to go, and still burn
                    pods.drain(..25);
                    second += 15;
                }
                for _ in 0..40 {
                    look(&pods, 0, second);
                    second += 15;
                }
            }
            assert_eq!((starting, surges), (4 * 4 * 25 * 4, 4 * 4 * 7), "as it was meant");
        }
    }
}

/// k8s 116898: pods of a Job carry the same labels, and their load counts.
#[test]
fn pain_13_pods_of_others_counted() {
    let old = at(0) - seconds(3600);
    let pod = |name: &str| {
        Instance::new(name, true).phase(Phase::Running).started(old).ready_changed(old)
    };
    let mut seen = cpu(2, 60.0, at(0)).instances([pod("worker-1"), pod("worker-2")]);
    let alone = decider(prompt()).decide(&seen, at(0));
    // The Job's pod is not among the target's instances; the platform goes by owner, not by label.
    seen.signals[0].samples.push(Sample::new("job-1", 100_000.0));
    assert_eq!(decider(prompt()).decide(&seen, at(0)), alone);
    // One that has ended counts for nothing, sample or not.
    let ended = Instance::new("worker-3", false).phase(Phase::Succeeded);
    seen.instances.as_mut().unwrap().push(ended);
    seen.signals[0].samples.push(Sample::new("worker-3", 0.0));
    let decision = decider(prompt()).decide(&seen, at(0));
    assert_eq!((decision.to, decision.proposals[0].tally.ignored), (2, 1));
}

/// k8s 116984, 125987, 62013: ten percent of a large target are hundreds of pods.
#[test]
fn pain_14_fixed_tolerance() {
    let to = |up_factor, percent| {
        let mut spec = prompt();
        spec.max_replicas = 200;
        spec.metrics = vec![MetricSpec::utilization("cpu", 100)];
        spec.hysteresis.up_factor = Milli(up_factor);
        decider(spec).decide(&cpu(100, percent, at(0)), at(0)).to
    };
    assert_eq!(to(1000, 101.0), 101);
    assert_eq!(to(1000, 100.0), 100);
    assert_eq!(to(1100, 101.0), 100);
}

/// k8s 76187: pods that nobody can place keep an idle target large.
#[test]
fn pain_18_unschedulable_pods_never_scale_down() {
    let mut decider = decider(spec());
    let old = at(0) - seconds(3600);
    let pods = (1..=6).map(|n| {
        let name = format!("worker-{n}");
        match n {
            1 | 2 => {
                Instance::new(name, true).phase(Phase::Running).started(old).ready_changed(old)
            }
            _ => Instance::new(name, false).phase(Phase::Pending),
        }
    });
    let pods: Vec<_> = pods.collect();
    let mut look = |second| {
        let seen = Observation::new(Replicas { desired: 6, ready: 2 })
            .signal(signal("cpu", &[0.0; 2], at(second)))
            .instances(pods.clone());
        decider.decide(&seen, at(second))
    };
    for second in (0..300).step_by(15) {
        assert!(!look(second).is_change());
    }
    let decision = look(300);
    assert_eq!((decision.action, decision.to), (Action::ScaleDown, 1));
    assert_eq!(decision.proposals[0].tally.unready, 4);
}

/// k8s pull request 127193: one container of 160 has no sample, and the target stays at its size.
#[test]
fn pain_23_one_container_missing_blocks_all() {
    let cpu = || MetricSpec::container("app", "cpu", 60);
    assert_eq!(idle_with(cpu(), 160, 0), 27);
    assert_eq!(idle_with(cpu(), 160, 1), 29);
    assert_eq!(idle_with(cpu(), 160, 80), 160);
}
