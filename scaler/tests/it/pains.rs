//! What users of other scalers suffer from, one test each. The issues are Kubernetes' (k8s), its
//! enhancements' (enh) and KEDA's.

use birl_scaler::{
    Action, Change, Decider, Limit, MetricSpec, Milli, Observation, Reason, Replicas, Sample,
    ScaleIntent, Signal,
};

use crate::support::{ask, at, cpu, decider, prompt, seconds, signal, spec, step};

/// enh 883: flapping at the edge.
#[test]
fn noise_of_ten_percent_changes_nothing_for_an_hour() {
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
fn a_second_change_inside_the_lock_out_is_refused_and_says_until_when() {
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
fn the_cool_down_applies_to_every_step_down() {
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

/// k8s 99394: one metric is missing, and the target is scaled down by the other.
#[test]
fn one_missing_metric_keeps_the_size() {
    let mut spec = prompt();
    spec.metrics.push(MetricSpec::average("queue", Milli(10_000)));
    let seen = cpu(3, 1.0, at(0)).signal(Signal::new("queue", vec![], at(0)));
    assert_eq!(decider(spec).decide(&seen, at(0)).to, 3);
}

/// KEDA 8036: an outage of the source is read as an empty queue.
#[test]
fn an_outage_is_not_an_empty_queue() {
    for sample in [Sample::new("", f64::NAN), Sample::new("", -5.0), Sample::unknown("")] {
        let seen =
            Observation::new(Replicas::ready(5)).signal(Signal::new("cpu", vec![sample], at(0)));
        let decision = decider(prompt()).decide(&seen, at(0));
        assert_eq!((decision.to, decision.reason), (5, Reason::UnknownSignal));
    }
}

/// k8s 68826: the first decisions after a restart are random.
#[test]
fn a_restart_inside_a_window_neither_hastens_nor_forgets() {
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

    let mut forgetful = decider(spec());
    for second in (165..465).step_by(15) {
        let decision = forgetful.decide(&cpu(10, 20.0, at(second)), at(second));
        assert!(!decision.is_change(), "without its state it waits a whole window");
    }
}

/// k8s 98914: a rolling update with a surge ratchets the replicas up.
#[test]
fn a_surge_does_not_ratchet() {
    let surge = Replicas { desired: 8, ready: 10 };
    for percent in [0.0, 41.0, 60.0] {
        let seen = Observation::new(surge).signal(signal("cpu", &[percent; 10], at(0)));
        assert!(decider(prompt()).decide(&seen, at(0)).to <= 8, "at {percent} %");
    }
}

/// k8s 116984: a fixed tolerance of ten percent is hundreds of pods.
#[test]
fn a_factor_of_one_acts_on_one_percent() {
    let mut spec = prompt();
    spec.max_replicas = 200;
    spec.hysteresis.up_factor = Milli(1000);
    spec.metrics = vec![MetricSpec::utilization("cpu", 50)];
    assert_eq!(decider(spec.clone()).decide(&cpu(100, 50.0, at(0)), at(0)).to, 100);
    assert_eq!(decider(spec).decide(&cpu(100, 50.5, at(0)), at(0)).to, 101);
}

/// k8s 106765: decisions that nobody can explain. The record has every signal, limit and winner.
#[test]
fn a_decision_carries_all_that_led_to_it() {
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

/// k8s 76187: instances that never start keep an idle target large.
#[test]
fn pending_instances_do_not_keep_an_idle_target_large() {
    let seen =
        Observation::new(Replicas { desired: 6, ready: 2 }).signal(signal("cpu", &[0.0; 2], at(0)));
    assert_eq!(decider(prompt()).decide(&seen, at(0)).action, Action::ScaleDown);
}

/// KEDA 5008: a new object has no grace.
#[test]
fn a_new_decider_does_not_scale_down_in_its_first_window() {
    let mut decider = decider(spec());
    for second in 0..300 {
        assert!(!decider.decide(&cpu(5, 0.0, at(second)), at(second)).is_change());
    }
}

/// k8s 25238, turned around: whoever changes the size by hand is not fought inside the bounds.
#[test]
fn a_size_set_by_hand_inside_the_band_stays() {
    let mut decider = decider(prompt());
    assert_eq!(step(&mut decider, &cpu(2, 90.0, at(0)), at(0)), 3);
    assert_eq!(decider.decide(&cpu(7, 60.0, at(15)), at(15)).to, 7);
}

/// KEDA 7231: the order of pause, resume and restart matters. Here it does not.
#[test]
fn pause_resume_and_restart_in_any_order_end_in_the_same_state() {
    let pause = |decider: &mut Decider, second| {
        decider.decide(&Observation::new(Replicas::ready(0)), at(second));
    };
    let restart = |decider: &mut Decider| {
        *decider = Decider::with_state(spec(), decider.state().clone()).unwrap();
    };
    let mut first = decider(spec());
    pause(&mut first, 0);
    restart(&mut first);
    let mut second = decider(spec());
    restart(&mut second);
    pause(&mut second, 0);
    for decider in [&mut first, &mut second] {
        decider.decide(&ask(3, "slow", Change::By(1)), at(15));
    }
    assert_eq!(first.state(), second.state());
    let intent = ScaleIntent::new("slow", Change::By(1));
    let seen = Observation::new(Replicas::ready(4)).intent(intent);
    assert_eq!(first.decide(&seen, at(30)), second.decide(&seen, at(30)));
}
