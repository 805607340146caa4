//! `decide`: one decision over 5 signals of 50 instances, explanation included, beside the bare ratio.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use birl_benches::figure::{Figure, Target};
use birl_benches::stopwatch::nanoseconds;
use birl_scaler::{Decider, MetricSpec, Milli, Observation, Replicas, Sample, ScalerSpec, Signal};

use crate::ROUNDS;

const SIGNALS: usize = 5;
const INSTANCES: usize = 50;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let names: Vec<String> = (0..SIGNALS).map(|signal| format!("signal-{signal}")).collect();
    let mut spec = ScalerSpec::new("api", 1, 500);
    spec.metrics = names.iter().map(|name| MetricSpec::utilization(name.as_str(), 60)).collect();
    let mut now = SystemTime::now();
    let readings = |signal: usize| {
        (0..INSTANCES).map(move |instance| 50.0 + (signal * 7 + instance) as f64 % 20.0)
    };
    let mut observation = Observation::new(Replicas::ready(INSTANCES as u32));
    for (signal, name) in names.iter().enumerate() {
        let samples = readings(signal)
            .enumerate()
            .map(|(n, value)| Sample::new(format!("pod-{n}"), value))
            .collect();
        observation = observation
            .signal(Signal::new(name.as_str(), samples, now).max_age(Duration::from_secs(1 << 30)));
    }
    let mut decider = Decider::new(spec)?;
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let bare = nanoseconds(|| {
                let sum = |signal: &Signal| {
                    signal
                        .samples
                        .iter()
                        .filter_map(|sample| sample.value)
                        .map(|Milli(value)| value)
                        .sum::<u64>()
                };
                black_box(&observation)
                    .signals
                    .iter()
                    .map(|signal| sum(signal).div_ceil(60_000))
                    .max()
            });
            let ours = nanoseconds(|| {
                now += Duration::from_millis(1);
                decider.decide(&observation, now)
            });
            (ours, bare)
        })
        .collect();
    Ok(vec![Figure::of_rounds(
        "decide",
        "ns",
        "the bare ratio over the same samples",
        Target::RatioAtMost(5.0),
        &rounds,
    )])
}
