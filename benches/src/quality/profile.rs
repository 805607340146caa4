//! The specifications that are compared.

use std::time::Duration;

use birl_scaler::{Behavior, MetricSpec, Milli, ScalerSpec, ScalingPolicy};

/// What a pod's CPU should be at, for everybody.
pub(crate) const CPU: u32 = 60;

/// The same in requests/s of a pod that can do 100.
pub(crate) const REQUESTS: u32 = 60;

/// The same in requests in flight of a pod with 8 workers: busy ones, and the few that wait.
pub(crate) const IN_FLIGHT: f64 = 5.1;

/// The bounds, for everybody.
pub(crate) const MIN: u32 = 2;
pub(crate) const MAX: u32 = 400;

/// C2's defaults: a specification that says nothing but its metric.
pub(crate) fn defaults() -> ScalerSpec {
    let mut spec = ScalerSpec::new("api", MIN, MAX);
    spec.metrics = vec![MetricSpec::utilization("cpu", CPU)];
    spec
}

/// What a profile may turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Knobs {
    /// `hysteresis.upFactor`, in thousandths.
    pub(crate) up: u64,
    /// `hysteresis.downFactor`, in thousandths.
    pub(crate) down: u64,
    /// `coolDown.scaleUp`, in seconds.
    pub(crate) up_window: u64,
    /// `coolDown.scaleDown`, in seconds.
    pub(crate) down_window: u64,
    /// `behavior.scaleDown.stabilizationWindowSeconds`; without a `behavior` if 0.
    pub(crate) stabilize: u64,
}

/// The recommended profile, `steady`: what `quality --tune` chose from the tuning seeds.
pub(crate) const STEADY: Knobs =
    Knobs { up: 1200, down: 800, up_window: 0, down_window: 300, stabilize: 300 };

/// The specification with those knobs: C2's metric, and the requests that arrive, which show a load
/// that the CPU cannot show because it is full.
pub(crate) fn with(knobs: Knobs) -> ScalerSpec {
    let mut spec = defaults();
    spec.metrics.push(MetricSpec::average("requests", REQUESTS.into()));
    spec.hysteresis.up_factor = Milli(knobs.up);
    spec.hysteresis.down_factor = Milli(knobs.down);
    spec.cool_down.scale_up = Duration::from_secs(knobs.up_window);
    spec.cool_down.scale_down = Duration::from_secs(knobs.down_window);
    if knobs.stabilize > 0 {
        let mut behavior = Behavior::default();
        // As far up as the formula says: tenfold at once.
        behavior.scale_up.policies = vec![ScalingPolicy::percent(900, Duration::from_secs(15))];
        behavior.scale_down.stabilization_window = Duration::from_secs(knobs.stabilize);
        spec.behavior = Some(behavior);
    }
    spec
}
