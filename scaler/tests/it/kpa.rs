//! Knative's own calls of its autoscaler (`pkg/autoscaler/scaling/autoscaler_test.go`), as facts in
//! `behavior/knative.jsonl`. What it says of burst capacity is for its activator, and not here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use birl_scaler::{Kpa, KpaLoad, KpaSpec, Milli};
use serde::Deserialize;

#[derive(Deserialize)]
struct Sequence {
    name: String,
    /// Seconds, as everywhere here.
    created: f64,
    ready: u32,
    spec: Spec,
    calls: Vec<Call>,
    starts_in_panic: Option<bool>,
}

/// As Knative's tests have it where they say nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    target: u32,
    #[serde(default = "two")]
    panic: u32,
    #[serde(default = "minute")]
    stable: u64,
    #[serde(default)]
    delay: u64,
    #[serde(default = "ten")]
    up: f64,
    #[serde(default = "ten")]
    down: f64,
    #[serde(default)]
    activation: u32,
    #[serde(default = "yes")]
    reachable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    at: f64,
    #[serde(default = "one")]
    ready: u32,
    stable: Option<f64>,
    panic: Option<f64>,
    update: Option<Spec>,
    expected: Option<u32>,
    /// Since when it panics after the call; absent where the test does not look.
    #[serde(default, with = "serde_with_some")]
    panicking: Option<Option<f64>>,
}

/// Tells `null` from nothing.
mod serde_with_some {
    use serde::{Deserialize, Deserializer};

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Option<f64>>, D::Error> {
        Option::<f64>::deserialize(from).map(Some)
    }
}

fn one() -> u32 {
    1
}
fn two() -> u32 {
    2
}
fn ten() -> f64 {
    10.0
}
fn minute() -> u64 {
    60
}
fn yes() -> bool {
    true
}

impl Spec {
    fn read(&self) -> KpaSpec {
        let milli = |value| Milli::from_f64(value).unwrap();
        let mut spec = KpaSpec::new(Milli::from(self.target));
        spec.panic_threshold = Milli::from(self.panic);
        spec.stable_window = Duration::from_secs(self.stable);
        spec.scale_down_delay = Duration::from_secs(self.delay);
        (spec.max_scale_up_rate, spec.max_scale_down_rate) = (milli(self.up), milli(self.down));
        (spec.activation_scale, spec.reachable) = (self.activation, self.reachable);
        spec
    }
}

fn at(seconds: f64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs_f64(1_795_420_800.0 + seconds)
}

#[test]
fn knatives_own_calls() {
    let mut calls = 0;
    for line in include_str!("behavior/knative.jsonl").lines() {
        let row: Sequence = serde_json::from_str(line).unwrap();
        let name = &row.name;
        let mut kpa = Kpa::new(row.spec.read(), row.ready, at(row.created));
        if let Some(panics) = row.starts_in_panic {
            assert_eq!(kpa.panicking_since().is_some(), panics, "{name}");
        }
        for (n, call) in row.calls.iter().enumerate() {
            if let Some(update) = &call.update {
                kpa.replace(update.read());
            }
            let load = call.stable.zip(call.panic).map(|(stable, panic)| KpaLoad {
                stable: Milli::from_f64(stable).unwrap(),
                panic: Milli::from_f64(panic).unwrap(),
            });
            let replicas = kpa.decide(load, call.ready, at(call.at));
            assert_eq!(replicas, call.expected, "{name}, call {n}");
            if let Some(panicking) = call.panicking {
                assert_eq!(kpa.panicking_since(), panicking.map(at), "{name}, call {n}");
            }
            calls += 1;
        }
    }
    assert_eq!(calls, 60);
}

/// A clock set back neither ends a panic early nor keeps it without end.
#[test]
fn a_panic_outlives_a_clock_set_back_by_one_window_at_most() {
    let mut kpa = Kpa::new(KpaSpec::new(Milli::from(1)), 1, at(0.0));
    let load = |value| Some(KpaLoad { stable: Milli::from(value), panic: Milli::from(value) });
    assert_eq!(kpa.decide(load(10), 1, at(10_000.0)), Some(10));
    assert_eq!(kpa.decide(load(5), 10, at(0.0)), Some(10));
    assert_eq!(kpa.decide(load(5), 10, at(61.0)), Some(5));
}
