//! What users write, and what they are told when it is wrong.

use birl_scaler::{Decider, ErrorKind, MetricSpec, Milli, ScalerSpec};
use serde_json::{from_value, json};

use crate::support::seconds;

#[test]
fn a_custom_scaler_is_read_as_it_is_written() {
    let spec: ScalerSpec = from_value(json!({
        "targetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "workers" },
        "minReplicas": 2,
        "maxReplicas": 10,
        "metrics": [
            { "type": "Resource", "resource": {
                "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 60 } } },
            { "type": "Pods", "pods": {
                "metric": { "name": "in_flight" },
                "target": { "type": "AverageValue", "averageValue": "8500m" } } },
            { "name": "queue", "target": 12.5 },
        ],
        "hysteresis": { "upFactor": 1.3, "downFactor": "0.7" },
        "coolDown": { "scaleUp": "60s", "scaleDown": "5m", "maxGap": "1m30s" },
        "lockOut": { "scaleUp": "0s", "scaleDown": 0 },
        "step": { "up": 4 },
        "brake": { "maxActionsPerHour": 12, "killSwitch": false },
    }))
    .unwrap();
    spec.validate().unwrap();
    let metrics = [
        MetricSpec::utilization("cpu", 60),
        MetricSpec::average("in_flight", Milli(8500)),
        MetricSpec::average("queue", Milli(12_500)),
    ];
    assert_eq!(spec.metrics, metrics);
    assert_eq!(spec.cool_down.max_gap, seconds(90));
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<ScalerSpec>(&text).unwrap(), spec);

    let least: ScalerSpec =
        from_value(json!({ "targetRef": { "name": "workers" }, "maxReplicas": 3 })).unwrap();
    assert_eq!(least, ScalerSpec::new("workers", 1, 3));
    assert_eq!(least.hysteresis.up_factor, Milli(1300));
    assert_eq!(least.cool_down.scale_down, seconds(300));
    assert_eq!(least.lock_out.scale_up, seconds(0));
}

#[test]
fn what_cannot_be_read_says_what_is_wrong() {
    let read = |key: &str, value: serde_json::Value| {
        let mut spec = json!({ "targetRef": { "name": "w" }, "maxReplicas": 3 });
        spec[key] = value;
        from_value::<ScalerSpec>(spec).unwrap_err().to_string()
    };
    for (key, value, expected) in [
        ("minReplica", json!(1), "unknown field `minReplica`"),
        ("coolDown", json!({ "scaleUp": "60" }), "such as `60s`"),
        ("coolDown", json!({ "scaleUp": 60 }), "write \"60s\" for seconds"),
        ("coolDown", json!({ "scaleup": "60s" }), "unknown field `scaleup`"),
        ("hysteresis", json!({ "upFactor": -1 }), "-1 is negative"),
        ("hysteresis", json!({ "upFactor": "much" }), "`much` is not a number"),
        ("metrics", json!([{ "name": "cpu" }]), "`cpu` needs one of `averageUtilization`"),
        ("metrics", json!([{ "averageUtilization": 60 }]), "a metric needs `name`"),
        ("metrics", json!([{ "type": "Resource", "name": "cpu" }]), "has `resource`"),
        ("metrics", json!([{ "type": "External" }]), "unknown variant `External`"),
        (
            "metrics",
            json!([{ "resource": { "name": "cpu", "target": {
                "type": "AverageValue", "averageUtilization": 60 } } }]),
            "target.type does not fit",
        ),
    ] {
        let message = read(key, value);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn validation_names_every_field_at_once() {
    let mut spec = ScalerSpec::new(" ", 5, 3);
    spec.hysteresis.up_factor = Milli(900);
    spec.hysteresis.down_factor = Milli(1100);
    spec.step.up = Some(0);
    spec.step.down = Some(0);
    spec.brake.max_actions_per_hour = 3601;
    spec.metrics = vec![
        MetricSpec::utilization("cpu", 60),
        MetricSpec::utilization("cpu", 70),
        MetricSpec::utilization("", 0),
    ];
    let error = Decider::new(spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    let message = error.to_string();
    for part in [
        "targetRef.name is empty",
        "minReplicas (5) is above maxReplicas (3)",
        "hysteresis.upFactor is 0.9",
        "hysteresis.downFactor is 1.1",
        "step.up is 0",
        "step.down is 0",
        "brake.maxActionsPerHour is 3601",
        "metrics[1].name `cpu` is used twice",
        "metrics[2].name is empty",
        "the target is 0",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    ScalerSpec::new("w", 0, 3).validate().unwrap();
    let message = ScalerSpec::new("w", 0, 0).validate().unwrap_err().to_string();
    assert!(message.contains("maxReplicas is 0"), "{message}");
}

#[test]
fn a_changed_specification_keeps_what_is_remembered() {
    let mut decider = crate::support::decider(crate::support::spec());
    let state = decider.state().clone();
    let mut larger = crate::support::spec();
    larger.max_replicas = 20;
    decider.replace(larger).unwrap();
    assert_eq!((decider.spec().max_replicas, decider.state()), (20, &state));
    let error = decider.replace(ScalerSpec::new("others", 1, 2)).unwrap_err();
    assert!(error.to_string().contains("`workers` to `others`"));
    assert!(decider.replace(ScalerSpec::new("workers", 2, 1)).is_err());
    assert_eq!(decider.spec().max_replicas, 20);
}
