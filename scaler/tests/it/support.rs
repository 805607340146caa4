//! What several modules share.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use birl_scaler::{
    Change, Decider, Decision, MetricSpec, Observation, Replicas, Sample, ScaleIntent, ScalerSpec,
    Signal,
};

/// A fixed day, plus `seconds`.
pub(crate) fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_420_800 + seconds)
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `workers`, 1 to 10 of them, `cpu` at 60 %, everything else as it comes.
pub(crate) fn spec() -> ScalerSpec {
    let mut spec = ScalerSpec::new("workers", 1, 10);
    spec.metrics = vec![MetricSpec::utilization("cpu", 60)];
    spec
}

/// The same, without any window.
pub(crate) fn prompt() -> ScalerSpec {
    let mut spec = spec();
    spec.cool_down.scale_up = Duration::ZERO;
    spec.cool_down.scale_down = Duration::ZERO;
    spec
}

pub(crate) fn decider(spec: ScalerSpec) -> Decider {
    Decider::new(spec).unwrap()
}

/// A signal with a sample from `worker-1`, `worker-2` and so on.
pub(crate) fn signal(name: &str, values: &[f64], at: SystemTime) -> Signal {
    let samples = values.iter().enumerate();
    let samples = samples.map(|(n, value)| Sample::new(format!("worker-{}", n + 1), *value));
    Signal::new(name, samples.collect(), at)
}

/// `replicas` ready workers, each at `percent` cpu.
pub(crate) fn cpu(replicas: u32, percent: f64, now: SystemTime) -> Observation {
    let values = vec![percent; replicas as usize];
    Observation::new(Replicas::ready(replicas)).signal(signal("cpu", &values, now))
}

/// `replicas` ready workers, and one who asks.
pub(crate) fn ask(replicas: u32, id: &str, change: Change) -> Observation {
    Observation::new(Replicas::ready(replicas)).intent(ScaleIntent::new(id, change))
}

/// A decision that changes `target` from `from` to `to`.
pub(crate) fn decision(target: &str, from: u32, to: u32, now: SystemTime) -> Decision {
    let mut decider = decider(ScalerSpec::new(target, 1, 1000));
    let intent = ScaleIntent::new("test", Change::To(to)).asked_by("a test");
    decider.decide(&Observation::new(Replicas::ready(from)).intent(intent), now)
}

/// Decides and, if it is a change, reports it as applied; gives the size that follows.
pub(crate) fn step(decider: &mut Decider, seen: &Observation, now: SystemTime) -> u32 {
    let decision = decider.decide(seen, now);
    decider.applied(&decision, Ok(()), now);
    decision.to
}
