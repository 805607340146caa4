//! What is not known is Unknown, and Unknown never scales down.

use birl_scaler::{
    FaultKind, Instance, Limit, MetricSpec, Observation, Reading, Reason, Replicas, Sample,
    ScalerSpec, Signal, SignalWindow, Unknown,
};

use crate::support::{at, cpu, decider, prompt, seconds, signal};

fn why(seen: &Observation) -> Option<Unknown> {
    let decision = decider(prompt()).decide(seen, at(100));
    match decision.proposals[0].reading {
        Reading::Unknown { why } => {
            assert_eq!(decision.reason, Reason::UnknownSignal);
            assert!(!decision.is_change());
            Some(why)
        }
        _ => None,
    }
}

fn with(samples: Vec<Sample>) -> Observation {
    Observation::new(Replicas::ready(3)).signal(Signal::new("cpu", samples, at(100)))
}

#[test]
fn nan_negative_absent_stale_and_empty_are_unknown_and_never_zero() {
    let none = Observation::new(Replicas::ready(3));
    assert_eq!(why(&none), Some(Unknown::Absent));
    assert_eq!(why(&with(vec![])), Some(Unknown::Empty));
    for value in [f64::NAN, f64::INFINITY, -1.0] {
        assert_eq!(why(&with(vec![Sample::new("a", value)])), Some(Unknown::Empty), "{value}");
    }
    assert_eq!(why(&with(vec![Sample::unknown("a")])), Some(Unknown::Empty));
    let aged = |second| none.clone().signal(signal("cpu", &[1.0; 3], at(second)));
    assert_eq!(why(&aged(39)), Some(Unknown::Stale));
    assert_eq!(why(&aged(40)), None, "60 s are believed by default");
    assert_eq!(why(&aged(161)), Some(Unknown::FromTheFuture));
    assert_eq!(why(&aged(100).signal(signal("cpu", &[90.0], at(100)))), Some(Unknown::Ambiguous));
    let starting = Replicas { desired: 3, ready: 0 };
    let seen = Observation::new(starting).signal(signal("cpu", &[1.0; 3], at(100)));
    assert_eq!(why(&seen), Some(Unknown::NoneReady));
}

#[test]
fn an_unknown_metric_vetoes_down_and_lets_up() {
    let mut spec = prompt();
    spec.metrics.push(MetricSpec::utilization("memory", 60));
    let down = decider(spec.clone()).decide(&cpu(3, 1.0, at(0)), at(0));
    assert_eq!((down.to, down.reason), (3, Reason::UnknownSignal));
    let metric = "memory".into();
    assert_eq!(down.limits, [Limit::UnknownSignal { metric, why: Unknown::Absent }]);
    assert_eq!(decider(spec).decide(&cpu(3, 120.0, at(0)), at(0)).to, 6);
}

#[test]
fn missing_instances_dampen_in_both_directions() {
    let seen = |values: &[f64]| {
        let instances = (1..=4).map(|n| Instance::new(format!("worker-{n}"), true));
        Observation::new(Replicas::ready(4))
            .signal(signal("cpu", values, at(0)))
            .instances(instances)
    };
    let to = |values: &[f64]| decider(prompt()).decide(&seen(values), at(0)).to;
    assert_eq!(to(&[10.0; 4]), 1);
    assert_eq!(to(&[10.0, 10.0, 10.0]), 3, "the silent one counts as fully busy: 32.5 %");
    assert_eq!(to(&[10.0, 10.0]), 4, "two of them: 55 %, inside the band");
    assert_eq!(to(&[120.0; 4]), 8);
    assert_eq!(to(&[120.0, 120.0, 120.0]), 6, "the silent one counts as idle: 90 %");
    assert_eq!(to(&[10.0, 10.0, 10.0, f64::NAN]), 3, "a broken sample is a missing one");

    // Without a list, a sample without a value still names an instance that is missing.
    let mut unlisted = seen(&[10.0, 10.0, 10.0, f64::NAN]);
    unlisted.instances = None;
    assert_eq!(decider(prompt()).decide(&unlisted, at(0)).to, 3);
}

#[test]
fn strangers_are_ignored_once_the_instances_are_known() {
    let seen = cpu(2, 60.0, at(0));
    let mut with_stranger = seen.clone();
    with_stranger.signals[0].samples.push(Sample::new("job-1", 100_000.0));
    let list = || [Instance::new("worker-1", true), Instance::new("worker-2", true)];
    let know = |seen: Observation| decider(prompt()).decide(&seen.instances(list()), at(0)).to;
    assert_eq!(know(with_stranger.clone()), 2);
    assert_eq!(know(seen), 2);
    assert_eq!(decider(prompt()).decide(&with_stranger, at(0)).to, 10);
}

#[test]
fn a_window_keeps_the_newest_of_each_live_instance() {
    let mut window = SignalWindow::new("cpu", seconds(30));
    let empty = window.signal(at(0));
    assert!(empty.samples.is_empty() && empty.at < at(0));
    window.record("b", 10.0, at(0), at(0));
    window.record("a", 20.0, at(10), at(10));
    window.record("a", 99.0, at(5), at(5)); // late: changes nothing
    window.record("b", 30.0, at(20), at(20));
    let signal = window.signal(at(20));
    assert_eq!(signal.samples, [Sample::new("a", 20.0), Sample::new("b", 30.0)]);
    assert_eq!((signal.at, signal.max_age), (at(20), seconds(30)));
    assert_eq!(window.signal(at(41)).samples, [Sample::new("b", 30.0)], "a has gone silent");
    window.record("b", f64::NAN, at(42), at(42));
    assert_eq!(window.signal(at(42)).samples, [Sample::unknown("b")]);

    let gone = Observation::new(Replicas::ready(3)).signal(window.signal(at(100)));
    assert_eq!(why(&gone), Some(Unknown::Stale), "all silent: an outage, not no load");
}

#[test]
fn a_window_is_bounded_and_survives_a_wrong_clock() {
    let mut window = SignalWindow::new("cpu", seconds(30)).max_instances(2);
    for instance in ["a", "b", "c"] {
        window.record(instance, 1.0, at(0), at(0));
    }
    assert_eq!((window.signal(at(0)).samples.len(), window.refused()), (2, 1));
    window.record("c", 1.0, at(60), at(60));
    assert_eq!(window.signal(at(60)).samples.len(), 1, "the silent made room");

    window.record("d", 50.0, at(1_000_000), at(61));
    let signal = window.signal(at(61));
    assert_eq!(signal.samples, [Sample::new("c", 1.0)], "a line from the future is not believed");
    assert_eq!(signal.at, at(60));
}

/// Whoever can write a line can make up names, and times.
#[test]
fn a_line_from_the_future_moves_nobody_out_of_a_window() {
    let mut window = SignalWindow::new("cpu", seconds(30)).max_instances(2);
    window.record("a", 10.0, at(0), at(0));
    window.record("b", 20.0, at(0), at(0));
    for (instance, ahead) in [("x", 1_000_000), ("a", 1_000_000), ("y", 32), ("b", 32)] {
        window.record(instance, 99.0, at(ahead), at(1));
    }
    let live = [Sample::new("a", 10.0), Sample::new("b", 20.0)];
    assert_eq!((window.signal(at(1)).samples.as_slice(), window.refused()), (&live[..], 4));

    // One that is a little ahead counts from now on, and no longer than any other.
    window.record("a", 30.0, at(31), at(1));
    window.record("a", 40.0, at(2), at(2));
    assert_eq!(window.signal(at(2)).samples[0], Sample::new("a", 40.0));
}

#[test]
fn a_full_window_is_looked_through_once_a_second_and_not_for_each_stranger() {
    let millis = |millis| at(0) + std::time::Duration::from_millis(millis);
    let mut window = SignalWindow::new("cpu", seconds(30)).max_instances(2);
    window.record("a", 1.0, at(0), at(0));
    window.record("b", 1.0, at(10), at(10));
    let mut stranger = |name: &str, now| {
        window.record(name, 1.0, millis(now), millis(now));
        window.refused()
    };
    assert_eq!(stranger("c", 29_500), 1, "both of them are live");
    assert_eq!(stranger("d", 30_200), 2, "a is silent by now, but nobody looked again");
    assert_eq!(stranger("e", 30_499), 3);
    assert_eq!(stranger("f", 30_500), 3, "a second later there is room");
    assert_eq!(stranger("g", 29_000), 4);
    assert_eq!(stranger("h", 20_000), 5, "nor does a clock that was set back stop it for long");
    assert_eq!(window.signal(at(31)).samples, [Sample::new("b", 1.0), Sample::new("f", 1.0)]);
}

#[test]
fn observations_are_read_from_files() {
    let seen: Observation = serde_json::from_str(
        r#"{ "current": { "desired": 3, "ready": 3 },
             "signals": [{ "name": "cpu", "at": "2026-11-23T08:01:40Z", "maxAge": "5m",
                           "samples": [{ "instance": "a", "value": 55.5 }, { "value": null },
                                       { "value": -3 }] }],
             "intents": [{ "id": "slow/1", "change": { "by": 2 }, "askedBy": "rule slow" }] }"#,
    )
    .unwrap();
    assert_eq!(seen.signals[0].at, at(100));
    assert_eq!(seen.signals[0].max_age, seconds(300));
    assert_eq!(seen.signals[0].samples[1..], [Sample::unknown(""), Sample::unknown("")]);
    let text = serde_json::to_string(&seen).unwrap();
    assert_eq!(serde_json::from_str::<Observation>(&text).unwrap(), seen);
}

#[test]
fn a_failed_read_is_unknown_by_its_kind_and_what_was_read_before_is_believed_for_its_time() {
    let mut spec = ScalerSpec::new("workers", 1, 10);
    spec.metrics = vec![MetricSpec::utilization("cpu", 60)];
    let mut decider = decider(spec);
    let why = |decision: &birl_scaler::Decision| decision.proposals[0].to_string();
    let seen = |signal| Observation::new(Replicas::ready(4)).signal(signal);

    let failed = Signal::failed("cpu", FaultKind::Refused, at(0));
    let decision = decider.decide(&seen(failed), at(0));
    assert_eq!(why(&decision), "cpu is Unknown (the last attempt failed: refused)");

    let mut earlier = Signal::new("cpu", vec![Sample::new("", 60.0)], at(0));
    earlier.fault = Some(FaultKind::Timeout);
    let decision = decider.decide(&seen(earlier.clone()), at(60));
    assert_eq!(why(&decision), "cpu 60 % is inside 42–78 % (target 60 %)");
    let decision = decider.decide(&seen(earlier), at(61));
    assert_eq!(why(&decision), "cpu is Unknown (the last attempt failed: timeout)");
}

#[test]
fn an_attempt_that_failed_forbids_a_scale_down_and_breaks_no_window() {
    let mut spec = ScalerSpec::new("workers", 1, 10);
    spec.metrics = vec![MetricSpec::utilization("cpu", 60)];
    let mut decider = decider(spec);
    let mut look = |second, fault| {
        let mut signal = Signal::new("cpu", vec![Sample::new("", 30.0)], at(second));
        signal.fault = fault;
        decider.decide(&Observation::new(Replicas::ready(4)).signal(signal), at(second))
    };
    for second in (0..300).step_by(15) {
        // Every other attempt fails: what was read before is as calm as the rest.
        let fault = (second % 30 == 15).then_some(FaultKind::Refused);
        assert!(!look(second, fault).is_change());
    }
    let doubtful = look(300, Some(FaultKind::Refused));
    assert_eq!(doubtful.reason, Reason::UnknownSignal);
    let why = Unknown::Failed(FaultKind::Refused);
    assert_eq!(doubtful.limits, [Limit::UnknownSignal { metric: "cpu".into(), why }]);
    assert_eq!(look(315, None).to, 2, "the window went on meanwhile");
}
