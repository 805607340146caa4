//! Metrics as people write them: the HPA's long forms, and the short ones.

use birl_scaler::{
    Instance, MetricSource, MetricSpec, Milli, Observation, Reading, Replicas, Sample, Signal,
    TargetType, Unknown,
};
use serde_json::{Value, from_value, json, to_value};

use crate::support::{at, decider, prompt, seconds, signal};

fn read(value: Value) -> MetricSpec {
    from_value(value).unwrap()
}

/// The `metrics` of a manifest for `autoscaling/v2`, one of each type, and what they mean here.
fn manifest() -> [(Value, &'static str, TargetType, Milli); 8] {
    [
        (
            json!({ "type": "Resource", "resource": {
                "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 60 } } }),
            "cpu",
            TargetType::Utilization,
            Milli(60_000),
        ),
        (
            json!({ "type": "Resource", "resource": {
                "name": "memory", "target": { "type": "AverageValue", "averageValue": "500Mi" } } }),
            "memory",
            TargetType::AverageValue,
            Milli(524_288_000_000),
        ),
        (
            json!({ "type": "ContainerResource", "containerResource": {
                "name": "cpu", "container": "app",
                "target": { "type": "Utilization", "averageUtilization": 70 } } }),
            "app/cpu",
            TargetType::Utilization,
            Milli(70_000),
        ),
        (
            json!({ "type": "Pods", "pods": {
                "metric": { "name": "packets-per-second" },
                "target": { "type": "AverageValue", "averageValue": "1k" } } }),
            "packets-per-second",
            TargetType::AverageValue,
            Milli(1_000_000),
        ),
        (
            json!({ "type": "Object", "object": {
                "metric": { "name": "requests-per-second" },
                "describedObject": {
                    "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "main-route" },
                "target": { "type": "Value", "value": "2k" } } }),
            "requests-per-second",
            TargetType::Value,
            Milli(2_000_000),
        ),
        (
            json!({ "type": "Object", "object": {
                "metric": { "name": "hits", "selector": { "matchLabels": { "verb": "GET" } } },
                "describedObject": { "kind": "Service", "name": "web" },
                "target": { "type": "AverageValue", "averageValue": "250m" } } }),
            "hits",
            TargetType::AverageValue,
            Milli(250),
        ),
        (
            json!({ "type": "External", "external": {
                "metric": { "name": "queue_messages_ready", "selector": {
                    "matchLabels": { "queue": "worker_tasks" },
                    "matchExpressions": [
                        { "key": "zone", "operator": "In", "values": ["a", "b"] } ] } },
                "target": { "type": "AverageValue", "averageValue": 30 } } }),
            "queue_messages_ready",
            TargetType::AverageValue,
            Milli(30_000),
        ),
        (
            json!({ "type": "External", "external": {
                "metric": { "name": "lag" }, "target": { "type": "Value", "value": "1e3" } } }),
            "lag",
            TargetType::Value,
            Milli(1_000_000),
        ),
    ]
}

#[test]
fn every_long_form_of_the_hpa_is_read_and_written_back() {
    for (text, signal, target_type, target) in manifest() {
        let metric = read(text.clone());
        assert_eq!(&*metric.name, signal);
        assert_eq!((metric.target_type, metric.target), (target_type, target), "{signal}");
        assert_eq!(metric.source.as_str(), text["type"], "{signal}");
        assert_eq!(read(to_value(&metric).unwrap()), metric, "{signal}");
    }
    let MetricSource::External { metric } = read(manifest()[6].0.clone()).source else { panic!() };
    let selector = metric.selector.unwrap();
    assert_eq!(selector.match_labels["queue"], "worker_tasks");
    assert_eq!(selector.match_expressions[0].values, ["a", "b"]);
}

#[test]
fn the_short_forms_say_the_same() {
    let long = |place: usize| read(manifest()[place].0.clone());
    for (short, metric) in [
        (json!({ "name": "cpu", "averageUtilization": 60 }), long(0)),
        (json!({ "name": "packets-per-second", "target": 1000 }), long(3)),
        (json!({ "name": "lag", "value": 1000 }), long(7)),
        (json!({ "name": "cpu", "averageUtilization": 60 }), MetricSpec::utilization("cpu", 60)),
        (
            json!({ "name": "queue", "perReplica": 30 }),
            MetricSpec::per_replica("queue", Milli(30_000)),
        ),
        (json!({ "name": "lag", "value": 1.5 }), MetricSpec::value("lag", Milli(1500))),
    ] {
        assert_eq!(read(short.clone()), metric);
        assert_eq!(to_value(&metric).unwrap(), short, "and it is how it is written");
    }
    assert_eq!(long(2), MetricSpec::container("app", "cpu", 70));
}

#[test]
fn a_metric_may_name_its_signal_and_how_long_cpus_start() {
    let mut text = manifest()[6].0.clone();
    text["signal"] = json!("tasks");
    let metric = read(text);
    assert_eq!(&*metric.name, "tasks");
    assert_eq!(read(to_value(&metric).unwrap()), metric);

    let text = json!({ "name": "cpu", "averageUtilization": 60,
                       "cpuInitializationPeriod": "2m", "initialReadinessDelay": "10s" });
    let metric = read(text.clone());
    assert_eq!(metric.startup.cpu_initialization_period, seconds(120));
    assert_eq!(metric.startup.initial_readiness_delay, seconds(10));
    assert_eq!(to_value(&metric).unwrap(), text);
    assert_eq!(MetricSpec::utilization("cpu", 60).startup.initial_readiness_delay, seconds(30));
}

#[test]
fn what_cannot_be_meant_names_the_metric_and_the_remedy() {
    let target = |target: Value| json!({ "resource": { "name": "cpu", "target": target } });
    for (text, expected) in [
        (
            target(json!({})),
            "metric `cpu`: `target` holds no value: it needs `averageUtilization` or `averageValue`",
        ),
        (
            target(json!({ "averageUtilization": 60, "averageValue": 3 })),
            "metric `cpu`: `target` holds several values",
        ),
        (
            target(json!({ "value": 3 })),
            "metric `cpu`: `target` of `resource` cannot be `value`: use `averageUtilization` or `averageValue`",
        ),
        (
            target(json!({ "type": "Value", "averageValue": 3 })),
            "metric `cpu`: target.type does not fit the value beside it: with `averageValue` it is AverageValue",
        ),
        (
            json!({ "external": { "metric": { "name": "lag" }, "target": { "averageUtilization": 3 } } }),
            "metric `lag`: `target` of `external` cannot be `averageUtilization`: use `value` or `averageValue`",
        ),
        (
            json!({ "type": "External", "pods": { "metric": { "name": "lag" }, "target": { "averageValue": 3 } } }),
            "metric `lag`: a metric of type External has `external`, not `pods`",
        ),
        (
            json!({ "name": "lag", "pods": { "metric": { "name": "lag" }, "target": { "averageValue": 3 } } }),
            "metric `lag` is written in one form: `pods` needs nothing beside it but `type` and `signal`",
        ),
        (
            json!({ "resource": { "name": "cpu", "target": { "averageUtilization": 3 } },
                    "pods": { "metric": { "name": "lag" }, "target": { "averageValue": 3 } } }),
            "it has `resource` and `pods`, make two metrics of them",
        ),
        (
            json!({ "type": "Object" }),
            "a metric of type Object has `object`: write its name and target there",
        ),
        (
            json!({ "name": "lag", "value": 3, "target": 4 }),
            "metric `lag` needs one of `averageUtilization`",
        ),
        (json!({ "name": "lag", "value": "3x" }), "`3x` is not a number"),
        (json!({}), "a metric needs `name`, or one of the long forms"),
        (
            json!({ "name": "cpu", "averageUtilization": 60, "initialReadinessDelay": 10 }),
            "write \"10s\" for seconds",
        ),
    ] {
        let error = from_value::<MetricSpec>(text.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

fn proposed(metric: MetricSpec, seen: &Observation) -> Reading {
    let mut spec = prompt();
    spec.metrics = vec![metric];
    decider(spec).decide(seen, at(0)).proposals[0].reading
}

fn replicas(reading: Reading) -> u32 {
    let Reading::Known { replicas, .. } = reading else { panic!("{reading:?}") };
    replicas
}

#[test]
fn a_utilization_weighs_large_and_small_instances_by_what_they_asked_for() {
    let cpu = MetricSpec::utilization("cpu", 60);
    let sample = |name: &str, used: f64, asked: f64| Sample::new(name, used).request(asked);
    let seen = |samples: Vec<Sample>| {
        Observation::new(Replicas::ready(2)).signal(Signal::new("cpu", samples, at(0)))
    };
    // 0.9 of 1 core and 0.9 of 3 cores are 45 %, not the mean of 90 % and 30 %.
    let both = seen(vec![sample("a", 0.9, 1.0), sample("b", 0.9, 3.0)]);
    let Reading::Known { value, .. } = proposed(cpu.clone(), &both) else { panic!() };
    assert_eq!(value, Milli(45_000));
    // A missing instance without a request counts as the largest: 0.3 + 0.9 + 3 of 7 cores.
    let missing = seen(vec![sample("a", 0.3, 1.0), sample("b", 0.9, 3.0), Sample::unknown("c")]);
    let Reading::Known { weighed, filled, .. } = proposed(cpu.clone(), &missing) else { panic!() };
    assert_eq!((weighed, filled), (Milli(60_000), 1));
    // One that tells what it uses but not what it asked for leaves the sum without a meaning.
    let unasked = seen(vec![sample("a", 0.9, 1.0), Sample::new("b", 0.9)]);
    assert_eq!(proposed(cpu.clone(), &unasked), Reading::Unknown { why: Unknown::NoRequest });
    let nothing = seen(vec![sample("a", 0.9, 0.0)]);
    assert_eq!(proposed(cpu, &nothing), Reading::Unknown { why: Unknown::NoRequest });
    // For a plain number a request means nothing.
    let reading = proposed(MetricSpec::average("cpu", Milli(450)), &both);
    assert_eq!(replicas(reading), 4);
}

#[test]
fn a_number_of_the_whole_is_shared_or_scales_what_is_ready() {
    let seen = |desired, ready, values: &[f64]| {
        let samples = values.iter().map(|value| Sample::new("", *value)).collect();
        Observation::new(Replicas { desired, ready }).signal(Signal::new("queue", samples, at(0)))
    };
    let shared = || MetricSpec::per_replica("queue", Milli(30_000));
    assert_eq!(replicas(proposed(shared(), &seen(3, 3, &[300.0]))), 10);
    assert_eq!(replicas(proposed(shared(), &seen(3, 3, &[100.0, 200.0]))), 10, "parts add up");
    assert_eq!(replicas(proposed(shared(), &seen(3, 1, &[90.0]))), 3, "ready or not");
    let whole = || MetricSpec::value("queue", Milli(100_000));
    assert_eq!(replicas(proposed(whole(), &seen(3, 3, &[150.0]))), 5);
    assert_eq!(replicas(proposed(whole(), &seen(3, 2, &[150.0]))), 3, "of those that are ready");
    // What is not whole is not known: the rest would be too small, and scale in.
    for (values, why) in [
        (vec![], Unknown::Empty),
        (vec![f64::NAN], Unknown::Empty),
        (vec![5.0, f64::NAN], Unknown::Partial),
    ] {
        assert_eq!(proposed(shared(), &seen(3, 3, &values)), Reading::Unknown { why });
    }
    assert_eq!(
        proposed(whole(), &seen(3, 0, &[5.0])),
        Reading::Unknown { why: Unknown::NoneReady }
    );
}

#[test]
fn a_rolling_update_counts_more_than_were_asked_for_and_a_hold_stays_a_hold() {
    let metric = MetricSpec::per_replica("queue", Milli(10_000));
    let seen = Observation::new(Replicas { desired: 8, ready: 8 })
        .signal(Signal::new("queue", vec![Sample::new("", 100.0)], at(0)))
        .status_replicas(10);
    assert_eq!(replicas(proposed(metric, &seen)), 8, "10 each for the 10 that there are");
}

#[test]
fn each_signal_is_as_old_as_it_is() {
    let names = ["a", "b", "c"];
    let mut spec = prompt();
    spec.metrics = names.map(|name| MetricSpec::utilization(name, 60)).to_vec();
    let signal = |name, second| Signal::new(name, vec![Sample::new("", 1.0)], at(second));
    for stale in 0..3 {
        let signals = names.iter().enumerate().map(|(n, name)| match n == stale {
            true => signal(*name, 0),
            false => signal(*name, 61),
        });
        let seen = Observation::new(Replicas::ready(3)).signals(signals);
        let decision = decider(spec.clone()).decide(&seen, at(61));
        for (n, proposal) in decision.proposals.iter().enumerate() {
            let is_stale = proposal.reading == Reading::Unknown { why: Unknown::Stale };
            assert_eq!(is_stale, n == stale, "{proposal:?}");
        }
    }
}

#[test]
fn a_sample_that_is_older_than_its_signal_may_be_is_a_missing_one() {
    let samples = vec![
        Sample::new("a", 10.0),
        Sample::new("b", 10.0).at(at(0)),
        Sample::new("c", 10.0).at(at(0) - seconds(61)),
        Sample::new("d", 10.0).at(at(0) + seconds(61)),
    ];
    let seen = Observation::new(Replicas::ready(4)).signal(Signal::new("cpu", samples, at(0)));
    let listed = seen.clone().instances(["a", "b", "c", "d"].map(|name| Instance::new(name, true)));
    for seen in [seen, listed] {
        let mut decider = decider(prompt());
        let tally = decider.decide(&seen, at(0)).proposals[0].tally;
        assert_eq!((tally.told, tally.missing), (2, 2));
    }
}

#[test]
fn observations_with_what_the_hpa_looks_at_are_read_from_files() {
    let text = json!({
        "current": { "desired": 2, "ready": 1 },
        "instances": [
            { "name": "a", "ready": true, "phase": "Running",
              "started": "2026-11-23T07:00:00Z", "readyChanged": "2026-11-23T07:00:20Z" },
            { "name": "b", "ready": false, "phase": "Pending" },
            { "name": "c", "ready": false, "phase": "Failed", "deleted": true }
        ],
        "statusReplicas": 3,
        "signals": [{ "name": "cpu", "at": "2026-11-23T08:00:00Z", "window": "30s", "maxAge": "60s",
                      "samples": [{ "instance": "a", "value": 0.5, "request": 1,
                                    "at": "2026-11-23T07:59:50Z" }] }],
        "intents": []
    });
    let seen: Observation = from_value(text.clone()).unwrap();
    assert_eq!(seen.signals[0].window, seconds(30));
    let decision = decider(prompt()).decide(&seen, at(0));
    let tally = decision.proposals[0].tally;
    assert_eq!((tally.told, tally.unready, tally.ignored), (1, 1, 1));
    assert_eq!(from_value::<Observation>(to_value(&seen).unwrap()).unwrap(), seen);
}

/// In the middle of an outage, with two of ten ready, the HPA's formula for a value makes less of a
/// lag that is twice its target.
#[test]
fn a_value_above_its_band_never_scales_down() {
    let mut spec = prompt();
    spec.metrics = vec![MetricSpec::value("lag", Milli::from(2000))];
    let seen = |lag: f64| {
        Observation::new(Replicas { desired: 10, ready: 2 }).signal(signal("lag", &[lag], at(0)))
    };
    let decision = decider(spec.clone()).decide(&seen(4000.0), at(0));
    assert_eq!(
        decision.explain(),
        "hold workers at 10: lag 4000 is at or above 2600 (target 2000), and the formula gives 4"
    );
    // Nor does another metric speak for it.
    spec.metrics.push(MetricSpec::per_replica("queue", Milli::from(10)));
    let both = seen(4000.0).signal(signal("queue", &[60.0], at(0)));
    assert_eq!(decider(spec).decide(&both, at(0)).to, 10);
}
