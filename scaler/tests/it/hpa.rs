//! Rows of Kubernetes' own replica calculator, run with a tolerance of 0.1 (factors 1.1 and 0.9).
//! A request is 1000 milli-cores, so that a level of 300 is 30 %.

use birl_scaler::{Instance, MetricSpec, Milli, Observation, Replicas, Sample, ScalerSpec, Signal};

use crate::support::{at, decider};

struct Row {
    name: &'static str,
    current: u32,
    expected: u32,
    target: u32,
    /// Whether each pod is ready.
    pods: &'static [bool],
    /// The level of each pod, in order; the last pods may have none.
    levels: &'static [f64],
}

const T: bool = true;
const F: bool = false;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { name: "ScaleUp", current: 3, expected: 5, target: 30,
          pods: &[T, T, T], levels: &[300., 500., 700.] },
    Row { name: "ScaleUpUnreadyLessScale", current: 3, expected: 4, target: 30,
          pods: &[F, T, T], levels: &[300., 500., 700.] },
    Row { name: "ScaleUpUnreadyNoScale", current: 3, expected: 3, target: 30,
          pods: &[T, F, F], levels: &[400., 500., 700.] },
    Row { name: "ScaleDown", current: 5, expected: 3, target: 50,
          pods: &[T, T, T, T, T], levels: &[100., 300., 500., 250., 250.] },
    Row { name: "ScaleDownExcludeUnready", current: 5, expected: 2, target: 50,
          pods: &[T, T, T, F, F], levels: &[100., 300., 500., 250., 250.] },
    Row { name: "Tolerance", current: 3, expected: 3, target: 100,
          pods: &[T, T, T], levels: &[1010., 1030., 1020.] },
    Row { name: "MissingMetricsNoChangeEq", current: 2, expected: 2, target: 100,
          pods: &[T, T], levels: &[1000.] },
    Row { name: "MissingMetricsNoChangeGt", current: 2, expected: 2, target: 100,
          pods: &[T, T], levels: &[1900.] },
    Row { name: "MissingMetricsNoChangeLt", current: 2, expected: 2, target: 100,
          pods: &[T, T], levels: &[600.] },
    Row { name: "MissingMetricsUnreadyNoChange", current: 3, expected: 3, target: 50,
          pods: &[F, T, T], levels: &[100., 450.] },
    Row { name: "MissingMetricsUnreadyScaleUp", current: 3, expected: 4, target: 50,
          pods: &[F, T, T], levels: &[100., 2000.] },
    Row { name: "MissingMetricsUnreadyScaleDown", current: 4, expected: 3, target: 50,
          pods: &[F, T, T, T], levels: &[100., 100., 100.] },
    Row { name: "DuringRollingUpdateWithMaxSurge", current: 2, expected: 2, target: 50,
          pods: &[T, T, T], levels: &[100., 100.] },
];

#[test]
fn rows_of_the_replica_calculator() {
    for row in ROWS {
        let mut spec = ScalerSpec::new("pods", 1, 100);
        spec.metrics = vec![MetricSpec::utilization("cpu", row.target)];
        spec.hysteresis.up_factor = Milli(1100);
        spec.hysteresis.down_factor = Milli(900);
        spec.cool_down.scale_up = std::time::Duration::ZERO;
        spec.cool_down.scale_down = std::time::Duration::ZERO;

        let name = |n: usize| format!("pod-{n}");
        let samples = row.levels.iter().enumerate();
        let samples = samples.map(|(n, level)| Sample::new(name(n), level / 10.0)).collect();
        let pods = row.pods.iter().enumerate().map(|(n, ready)| Instance::new(name(n), *ready));
        let ready = row.pods.iter().filter(|ready| **ready).count() as u32;
        let seen = Observation::new(Replicas { desired: row.current, ready })
            .signal(Signal::new("cpu", samples, at(0)))
            .instances(pods);
        assert_eq!(decider(spec).decide(&seen, at(0)).to, row.expected, "{}", row.name);
    }
}
