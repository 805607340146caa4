//! The formula against a naive twin, and what holds for every input.

use std::collections::BTreeMap;
use std::time::Duration;

use birl_scaler::{
    Instance, MetricSpec, Milli, Observation, Phase, Reading, Replicas, Sample, ScalerSpec, Signal,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::support::{at, decider, seconds, step};

/// When "now" is, so that times before it are in range.
const NOW: u64 = 3600;

#[derive(Debug, Clone)]
struct Pod {
    ready: bool,
    phase: Option<Phase>,
    deleted: bool,
    started_ago: Option<u64>,
    changed_ago: Option<u64>,
    value: Option<u64>,
    request: u64,
    sample_ago: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Percent of requests.
    Requests,
    /// Percents.
    Percent,
    /// Plain numbers.
    Plain,
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Requests), Just(Kind::Percent), Just(Kind::Plain)]
}

fn any_pod() -> impl Strategy<Value = Pod> {
    let phase = prop_oneof![
        4 => Just(None),
        12 => Just(Some(Phase::Running)),
        1 => Just(Some(Phase::Pending)),
        1 => Just(Some(Phase::Succeeded)),
        1 => Just(Some(Phase::Failed)),
    ];
    let times = (option::weighted(0.9, 0u64..700), option::weighted(0.9, 0u64..700));
    let weigh = prop::bool::weighted;
    (
        weigh(0.8),
        phase,
        weigh(0.05),
        times,
        option::weighted(0.85, 0u64..300_000),
        1u64..5000,
        0u64..90,
    )
        .prop_map(
            |(ready, phase, deleted, (started_ago, changed_ago), value, request, ago)| Pod {
                ready,
                phase,
                deleted,
                started_ago,
                changed_ago,
                value,
                request,
                sample_ago: ago,
            },
        )
}

fn name(n: usize) -> String {
    format!("pod-{n}")
}

fn metric(kind: Kind, target: u32) -> MetricSpec {
    match kind {
        Kind::Requests | Kind::Percent => MetricSpec::utilization("cpu", target),
        Kind::Plain => MetricSpec::average("in_flight", target.into()),
    }
}

fn spec(metric: MetricSpec, [down, up]: [u64; 2]) -> ScalerSpec {
    let mut spec = ScalerSpec::new("pods", 1, u32::MAX);
    spec.metrics = vec![metric];
    spec.hysteresis.up_factor = Milli(1000 + up);
    spec.hysteresis.down_factor = Milli(1000 - down);
    spec.cool_down.scale_up = Duration::ZERO;
    spec.cool_down.scale_down = Duration::ZERO;
    spec
}

/// What the decider is shown of `pods`.
fn see(pods: &[Pod], kind: Kind, desired: u32) -> Observation {
    let ago = |ago: u64| at(NOW) - seconds(ago);
    let instances = pods.iter().enumerate().map(|(n, pod)| {
        let mut instance = Instance::new(name(n), pod.ready);
        (instance.phase, instance.deleted) = (pod.phase, pod.deleted);
        (instance.started, instance.ready_changed) =
            (pod.started_ago.map(ago), pod.changed_ago.map(ago));
        instance
    });
    let samples = pods.iter().enumerate().map(|(n, pod)| {
        let mut sample = Sample::unknown(name(n)).at(ago(pod.sample_ago));
        sample.value = pod.value.map(Milli);
        match kind {
            Kind::Requests => sample.request(Milli(pod.request).as_f64()),
            Kind::Percent | Kind::Plain => sample,
        }
    });
    let signal = if kind == Kind::Plain { "in_flight" } else { "cpu" };
    let signal =
        Signal::new(signal, samples.collect(), at(NOW)).max_age(seconds(3600)).window(seconds(30));
    Observation::new(Replicas { desired, ready: desired }).signal(signal).instances(instances)
}

/// The formula as the HPA's documentation and code tell it, pod by pod, with maps and fractions.
/// `None` where nothing can be said.
fn twin(pods: &[Pod], kind: Kind, target: u32, desired: u32, [down, up]: [u64; 2]) -> Option<u32> {
    // Usage and request of each pod that counts; a percent is used of a request of 100.
    let of = |pod: &Pod, value: u64| match kind {
        Kind::Requests => (u128::from(value) * 100_000, u128::from(pod.request)),
        Kind::Percent | Kind::Plain => (u128::from(value), 1),
    };
    let target = u128::from(target) * 1000;
    let (mut metrics, mut missing, mut unready) = (BTreeMap::new(), vec![], vec![]);
    for (n, pod) in pods.iter().enumerate() {
        if pod.deleted || matches!(pod.phase, Some(Phase::Succeeded | Phase::Failed)) {
            continue;
        }
        if pod.phase == Some(Phase::Pending) || (pod.phase.is_none() && !pod.ready) {
            unready.push((n, pod));
            continue;
        }
        let Some(value) = pod.value else {
            missing.push((n, pod));
            continue;
        };
        let is_hot = || {
            let (Some(started), Some(changed)) = (pod.started_ago, pod.changed_ago) else {
                return true;
            };
            if started < 300 {
                !pod.ready || pod.sample_ago + 30 > changed
            } else {
                // The transition came within 30 s of the start.
                !pod.ready && started < changed + 30
            }
        };
        if kind != Kind::Plain && pod.phase.is_some() && is_hot() {
            unready.push((n, pod));
            continue;
        }
        metrics.insert(n, of(pod, value));
    }
    if metrics.is_empty() {
        return None;
    }
    let ratio = |metrics: &BTreeMap<usize, (u128, u128)>| {
        let used: u128 = metrics.values().map(|(used, _)| used).sum();
        let asked: u128 = metrics.values().map(|(_, asked)| asked).sum();
        (used, asked * target)
    };
    let (used, whole) = ratio(&metrics);
    if used < whole {
        for (n, pod) in missing {
            let (_, asked) = of(pod, 0);
            let busy = if kind == Kind::Plain { target } else { target.max(100_000) };
            metrics.insert(n, (asked * busy, asked));
        }
    } else if used > whole {
        for (n, pod) in missing.into_iter().chain(unready) {
            metrics.insert(n, of(pod, 0));
        }
    }
    let (new_used, new_whole) = ratio(&metrics);
    let holds = new_used * 1000 >= new_whole * u128::from(1000 - down)
        && new_used * 1000 < new_whole * u128::from(1000 + up);
    let turned = (used < whole && new_used > new_whole) || (used > whole && new_used < new_whole);
    if holds || turned {
        return Some(desired);
    }
    let replicas = (new_used * metrics.len() as u128).div_ceil(new_whole) as u32;
    let against = (new_used < new_whole && replicas > desired)
        || (new_used > new_whole && replicas < desired);
    Some(if against { desired } else { replicas })
}

fn replicas(spec: &ScalerSpec, seen: &Observation) -> Option<u32> {
    match decider(spec.clone()).decide(seen, at(NOW)).proposals[0].reading {
        Reading::Known { replicas, .. } => Some(replicas),
        _ => None,
    }
}

fn any_band() -> impl Strategy<Value = [u64; 2]> {
    (0u64..1000, 0u64..1000).prop_map(|(down, up)| [down, up])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_formula_equals_its_naive_twin(
        pods in vec(any_pod(), 1..12), kind in any_kind(), target in 1u32..250,
        desired in 1u32..15, band in any_band(),
    ) {
        let spec = spec(metric(kind, target), band);
        let ours = replicas(&spec, &see(&pods, kind, desired));
        prop_assert_eq!(ours, twin(&pods, kind, target, desired, band));
    }
}

proptest! {
    #[test]
    fn pods_and_samples_permute_freely(
        pods in vec(any_pod(), 1..12), kind in any_kind(), target in 1u32..250,
        desired in 1u32..15, by in (0usize..12, 0usize..12),
    ) {
        let spec = spec(metric(kind, target), [300, 300]);
        let seen = see(&pods, kind, desired);
        let mut other = seen.clone();
        let turn = |n: usize| n % pods.len();
        other.instances.as_mut().unwrap().rotate_left(turn(by.0));
        other.signals[0].samples.rotate_left(turn(by.1));
        other.signals[0].samples.reverse();
        let decide = |seen| decider(spec.clone()).decide(seen, at(NOW));
        prop_assert_eq!(decide(&seen), decide(&other));
    }

    #[test]
    fn strangers_change_nothing(
        pods in vec(any_pod(), 1..8), kind in any_kind(), desired in 1u32..15, value in 0.0..1e9,
    ) {
        let spec = spec(metric(kind, 60), [300, 300]);
        let seen = see(&pods, kind, desired);
        let mut other = seen.clone();
        let mut stranger = Sample::new("job-1", value);
        if kind == Kind::Requests {
            stranger = stranger.request(1e6);
        }
        other.signals[0].samples.insert(0, stranger);
        prop_assert_eq!(replicas(&spec, &seen), replicas(&spec, &other));
    }

    #[test]
    fn more_load_never_means_fewer_replicas(
        pods in vec(any_pod(), 1..12), kind in any_kind(), target in 1u32..250,
        desired in 1u32..15, band in any_band(), at in 0usize..12, more in 1u64..500_000,
    ) {
        let spec = spec(metric(kind, target), band);
        let mut loaded = pods.clone();
        let pod = at % pods.len();
        if let Some(value) = &mut loaded[pod].value {
            *value += more;
        }
        let (few, many) = (see(&pods, kind, desired), see(&loaded, kind, desired));
        prop_assert!(replicas(&spec, &few) <= replicas(&spec, &many));
    }

    /// The load stays, the replicas share it.
    #[test]
    fn constant_load_is_a_fixpoint_after_one_change(
        load in 0u64..2_000_000, request in 100u64..8000, from in 1u32..200, target in 1u32..200,
    ) {
        prop_assume!(load * 100 < 1000 * request * u64::from(target));
        let spec = spec(metric(Kind::Requests, target), [300, 300]);
        let mut decider = decider(spec);
        let mut replicas = from;
        let mut sizes = vec![];
        for second in 0..3 {
            let (share, rest) = (load / u64::from(replicas), load % u64::from(replicas));
            let pods: Vec<Pod> = (0..u64::from(replicas)).map(|n| Pod {
                ready: true,
                phase: Some(Phase::Running),
                deleted: false,
                started_ago: Some(700),
                changed_ago: Some(700),
                value: Some(share + u64::from(n < rest)),
                request,
                sample_ago: 0,
            }).collect();
            replicas = step(&mut decider, &see(&pods, Kind::Requests, replicas), at(NOW + second));
            sizes.push(replicas);
        }
        prop_assert!(sizes[1] == sizes[0] && sizes[2] == sizes[0], "{sizes:?}");
    }

    #[test]
    fn a_number_of_the_whole_equals_its_naive_twin(
        parts in vec(0u64..20_000_000, 1..4), target in 200_000u64..1_000_000, desired in 0u32..50,
        ready in 1u32..60, status in 0u32..60, band in any_band(), is_shared: bool,
    ) {
        let metric = match is_shared {
            true => MetricSpec::per_replica("queue", Milli(target)),
            false => MetricSpec::value("queue", Milli(target)),
        };
        let samples = parts.iter().map(|part| {
            let mut sample = Sample::unknown("");
            sample.value = Some(Milli(*part));
            sample
        });
        let seen = Observation::new(Replicas { desired, ready })
            .signal(Signal::new("queue", samples.collect(), at(NOW)))
            .status_replicas(status);
        let (sum, one) = (u128::from(parts.iter().sum::<u64>()), u128::from(target));
        let whole = if is_shared { one * u128::from(status) } else { one };
        let holds = sum * 1000 >= whole * u128::from(1000 - band[0])
            && sum * 1000 < whole * u128::from(1000 + band[1]);
        let count = |count: u128| count.min(i32::MAX as u128) as u32;
        let expected = match (is_shared, desired) {
            (_, 0) => count(sum.div_ceil(one)),
            (true, _) if status == 0 => count(sum.div_ceil(one)),
            (true, _) if holds => desired,
            (true, _) if sum < whole => count(sum.div_ceil(one)).min(desired),
            (true, _) => count(sum.div_ceil(one)).max(desired),
            (false, _) if holds => desired,
            (false, _) => {
                let replicas = count((sum * u128::from(ready)).div_ceil(one));
                if sum < one { replicas.min(desired) } else { replicas }
            }
        };
        prop_assert_eq!(replicas(&spec(metric, band), &seen), Some(expected));
    }

    #[test]
    fn nothing_that_can_be_observed_breaks_it(
        values in vec(option::of(any::<u64>()), 0..6), requests in vec(option::of(any::<u64>()), 6),
        target in 1u64.., factors in (0u64..=1000, 1000u64..=100_000), replicas in any::<(u32, u32)>(),
        status in option::of(any::<u32>()), kind in 0..4,
    ) {
        let metric = match kind {
            0 => MetricSpec::average("m", Milli(target)),
            1 => MetricSpec::per_replica("m", Milli(target)),
            2 => MetricSpec::value("m", Milli(target)),
            _ => {
                let mut metric = MetricSpec::utilization("m", 1);
                metric.target = Milli(target);
                metric
            }
        };
        let mut spec = spec(metric, [0, 0]);
        (spec.hysteresis.down_factor, spec.hysteresis.up_factor) = (Milli(factors.0), Milli(factors.1));
        let samples = values.iter().zip(requests).map(|(value, request)| {
            let mut sample = Sample::unknown("");
            sample.value = value.map(Milli);
            match request {
                Some(request) => sample.request(Milli(request).as_f64()),
                None => sample,
            }
        });
        let mut seen = Observation::new(Replicas { desired: replicas.0, ready: replicas.1 })
            .signal(Signal::new("m", samples.collect(), at(NOW)));
        seen.status_replicas = status;
        decider(spec).decide(&seen, at(NOW)).explain();
    }
}
