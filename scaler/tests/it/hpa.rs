//! Rows of Kubernetes' own tests of its replica calculator, as facts: names and numbers.
//!
//! `hpa/replica_calculator.jsonl` holds those that give replicas, `hpa/group_pods.jsonl` those that
//! say which pods count. Quantities are thousandths (of a core), utilizations percents, times
//! seconds before now. A pod without a time of its own started at the epoch, as in the original.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use birl_scaler::{
    Instance, MetricSource, MetricSpec, Milli, ObjectRef, Observation, Phase, Proposal, Reading,
    Replicas, Sample, ScalerSpec, Signal, Tally, TargetType, Unknown,
};
use serde::Deserialize;

use crate::support::{at, decider, seconds};

/// How many rows there are, so that none gets lost.
const REPLICA_ROWS: usize = 90;
const GROUP_ROWS: usize = 15;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    test: String,
    name: String,
    kind: Kind,
    replicas: u32,
    target: u64,
    #[serde(default = "tenth")]
    tolerance: [u64; 2],
    container: Option<String>,
    #[serde(default)]
    requests: Vec<u64>,
    levels: Levels,
    #[serde(default)]
    pods: Vec<String>,
    ready: Option<Vec<bool>>,
    phase: Option<Vec<Phase>>,
    deleted: Option<Vec<bool>>,
    started_ago: Option<Vec<u64>>,
    expect: Option<u32>,
    usage: Option<u64>,
    error: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Resource,
    Pods,
    Object,
    ObjectPerPod,
    External,
    ExternalPerPod,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Levels {
    Containers(Vec<Vec<u64>>),
    Metric(Vec<u64>),
}

fn tenth() -> [u64; 2] {
    [100, 100]
}

/// What is old enough for the original's zero times, and still believed.
fn ages() -> Duration {
    at(0).duration_since(UNIX_EPOCH).unwrap() * 2
}

fn spec(metric: MetricSpec, [down, up]: [u64; 2]) -> ScalerSpec {
    let mut spec = ScalerSpec::new("pods", 1, u32::MAX);
    spec.metrics = vec![metric];
    spec.hysteresis.up_factor = Milli(1000 + up);
    spec.hysteresis.down_factor = Milli(1000u64.saturating_sub(down));
    spec
}

impl Row {
    fn metric(&self) -> MetricSpec {
        let percent = || u32::try_from(self.target).unwrap();
        let mut metric = match (self.kind, &self.container) {
            (Kind::Resource, Some(container)) => MetricSpec::container(container, "cpu", percent()),
            (Kind::Resource, None) => MetricSpec::utilization("cpu", percent()),
            (Kind::Pods, _) => MetricSpec::average("qps", Milli(self.target)),
            _ => MetricSpec::value("qps", Milli(self.target)),
        };
        if matches!(self.kind, Kind::ObjectPerPod | Kind::ExternalPerPod) {
            metric.target_type = TargetType::AverageValue;
        }
        if let (Kind::Object | Kind::ObjectPerPod, MetricSource::External { metric: id }) =
            (self.kind, metric.source.clone())
        {
            let described_object = ObjectRef {
                kind: "Deployment".into(),
                name: "some-deployment".into(),
                api_version: Some("apps/v1".into()),
            };
            metric.source = MetricSource::Object { metric: id, described_object };
        }
        metric.startup.cpu_initialization_period = seconds(120);
        metric.startup.initial_readiness_delay = seconds(10);
        metric
    }

    fn samples(&self) -> Vec<Sample> {
        let name = |n: usize| self.pods.get(n).cloned().unwrap_or_else(|| format!("test-pod-{n}"));
        let samples = match &self.levels {
            Levels::Metric(levels) => levels.iter().enumerate().map(|(n, level)| {
                let mut sample = Sample::unknown(name(n));
                sample.value = Some(Milli(*level));
                sample
            }),
            Levels::Containers(levels) => return self.resources(levels, name),
        };
        samples.collect()
    }

    /// What the pods use and asked for: of one container, or of both together.
    fn resources(&self, levels: &[Vec<u64>], name: impl Fn(usize) -> String) -> Vec<Sample> {
        let place = self.container.as_deref().map(|name| usize::from(name == "container2"));
        let pods = levels.len().max(self.requests.len());
        let samples = (0..pods).map(|n| {
            let mut sample = Sample::unknown(name(n));
            // Who asked for nothing says so.
            let nothing = self.requests.is_empty().then_some(0);
            let (level, request) = (levels.get(n), self.requests.get(n).copied().or(nothing));
            let (level, request) = match place {
                Some(place) => (level.and_then(|all| all.get(place)).copied(), request),
                None => (level.map(|all| all.iter().sum()), request.map(|each| each * 2)),
            };
            sample.value = level.map(Milli);
            match request {
                Some(request) => sample.request(Milli(request).as_f64()),
                None => sample,
            }
        });
        samples.collect()
    }

    fn instances(&self) -> Vec<Instance> {
        let pods = (self.replicas as usize).max(self.phase.as_ref().map_or(0, Vec::len));
        let of = |list: &Option<Vec<bool>>, n: usize, usual| {
            list.as_ref().and_then(|list| list.get(n)).copied().unwrap_or(usual)
        };
        let instances = (0..pods).map(|n| {
            let ready = of(&self.ready, n, true);
            let started = self.started_ago.as_ref().map_or(UNIX_EPOCH, |ago| before(ago[n]));
            let instance = Instance::new(format!("test-pod-{n}"), ready)
                .phase(self.phase.as_ref().map_or(Phase::Running, |phases| phases[n]))
                .started(started)
                .ready_changed(UNIX_EPOCH);
            if of(&self.deleted, n, false) { instance.deleted() } else { instance }
        });
        instances.collect()
    }

    fn propose(&self) -> Proposal {
        let metric = self.metric();
        let signal = Signal::new(&metric.name, self.samples(), UNIX_EPOCH)
            .max_age(ages())
            .window(seconds(60));
        let (desired, instances) = (self.replicas, self.instances());
        let seen = Observation::new(Replicas { desired, ready: desired })
            .signal(signal)
            .instances(instances)
            .status_replicas(desired);
        decider(spec(metric, self.tolerance)).decide(&seen, at(0)).proposals.remove(0)
    }
}

fn before(ago: u64) -> SystemTime {
    at(0) - seconds(ago)
}

fn rows<T: for<'a> Deserialize<'a>>(text: &str) -> Vec<T> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect()
}

#[test]
fn rows_of_the_replica_calculator() {
    let rows: Vec<Row> = rows(include_str!("hpa/replica_calculator.jsonl"));
    assert_eq!(rows.len(), REPLICA_ROWS);
    let mut wrong = Vec::new();
    for row in &rows {
        let proposal = row.propose();
        let mut check = |holds: bool| {
            if !holds {
                wrong.push(format!("{}/{}: {proposal:?}", row.test, row.name));
            }
        };
        match proposal.reading {
            Reading::Known { value, replicas, .. } => {
                check(row.error.is_none());
                check(row.expect.is_none_or(|expect| expect == replicas));
                // The original cuts a utilization to whole percents, and sums at the end of 63 bits.
                let usage = match row.kind {
                    Kind::Resource => value.0 / 1000,
                    _ => value.0.min(i64::MAX as u64),
                };
                check(row.usage.is_none_or(|expect| expect == usage));
            }
            Reading::Unknown { why } => {
                let expected = match row.error.as_deref() {
                    Some("missing request for") => Some(Unknown::NoRequest),
                    Some(_) => Some(Unknown::Empty),
                    None => None,
                };
                check(expected == Some(why));
            }
            _ => check(false),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupRow {
    test: String,
    name: String,
    resource: String,
    pods: Vec<Pod>,
    ready: u32,
    unready: Vec<String>,
    missing: Vec<String>,
    ignored: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pod {
    name: String,
    phase: Phase,
    started_ago: Option<u64>,
    ready: Option<bool>,
    changed_ago: Option<u64>,
    #[serde(default)]
    deleted: bool,
    sample: Option<Measured>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Measured {
    ago: Option<u64>,
    window: Option<u64>,
}

/// How the pods are judged, whose samples are those of `of`.
fn tally(row: &GroupRow, of: &[&Pod]) -> Tally {
    let mut metric = MetricSpec::utilization(&row.resource, 50);
    metric.startup.cpu_initialization_period = seconds(120);
    metric.startup.initial_readiness_delay = seconds(10);
    let window = of.iter().filter_map(|pod| pod.sample.as_ref()?.window).max().unwrap_or(0);
    let samples = of.iter().filter_map(|pod| {
        let measured = pod.sample.as_ref()?;
        Some(Sample::new(pod.name.as_str(), 1.0).at(measured.ago.map_or(UNIX_EPOCH, before)))
    });
    let signal = Signal::new(&row.resource, samples.collect(), at(0))
        .max_age(ages())
        .window(seconds(window));
    let instances = of.iter().map(|pod| {
        let mut instance =
            Instance::new(pod.name.as_str(), pod.ready == Some(true)).phase(pod.phase);
        (instance.started, instance.ready_changed) =
            (pod.started_ago.map(before), pod.changed_ago.map(before));
        if pod.deleted { instance.deleted() } else { instance }
    });
    let seen = Observation::new(Replicas::ready(1)).signal(signal).instances(instances);
    decider(spec(metric, tenth())).decide(&seen, at(0)).proposals[0].tally
}

#[test]
fn rows_of_which_pods_count() {
    let rows: Vec<GroupRow> = rows(include_str!("hpa/group_pods.jsonl"));
    assert_eq!(rows.len(), GROUP_ROWS);
    for row in &rows {
        let name = format!("{}/{}", row.test, row.name);
        let all: Vec<&Pod> = row.pods.iter().collect();
        let got = tally(row, &all);
        assert_eq!(got.told, row.ready, "{name}");
        let groups = [&row.unready, &row.missing, &row.ignored];
        let counts = groups.map(|names| names.len() as u32);
        assert_eq!([got.unready, got.missing, got.ignored], counts, "{name}");
        // Which ones, not only how many.
        for pod in all {
            let alone = tally(row, &[pod]);
            let is_in = groups.map(|names| u32::from(names.contains(&pod.name)));
            assert_eq!(
                [alone.unready, alone.missing, alone.ignored],
                is_in,
                "{name}: {}",
                pod.name
            );
        }
    }
}
