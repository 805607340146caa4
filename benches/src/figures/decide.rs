//! `decide`, `decide_requests`, `decide_pods`: one decision over 5 signals of 50 instances, explanation
//! included, beside the bare ratio; `decide_100k`, `decide_state`: as many scalers as anybody has, in one tick.

use std::hint::black_box;
use std::io::{BufRead as _, BufReader};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use birl_benches::figure::{Figure, Target};
use birl_benches::stopwatch::{nanoseconds, seconds};
use birl_benches::usage::resident;
use birl_scaler::{
    Decider, DeciderState, Instance, MetricSpec, Milli, Observation, Phase, Replicas, Sample,
    ScalerSpec, Signal,
};

use crate::ROUNDS;
use crate::child::Role;

const SIGNALS: usize = 5;
const INSTANCES: usize = 50;
/// Scalers in one tick, and the few that they are measured against.
const SCALERS: usize = 100_000;
const FEW: usize = 10_000;
/// Instances of each of them.
const EACH: usize = 10;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let plain = "the bare ratio over the same samples";
    let pods = "the bare ratio of the samples that belong to a running pod, by name";
    Ok(vec![
        one("decide", plain, Told::Percent)?,
        one("decide_requests", "the bare ratio of the two sums", Told::Requests)?,
        one("decide_pods", pods, Told::Pods)?,
    ])
}

/// What is told beside the values.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    /// Nothing: they are percents.
    Percent,
    /// What each instance asked for, so that a utilization is usage over request.
    Requests,
    /// Which pods there are, with phase, readiness and times: samples are matched to them by name.
    Pods,
}

/// One decision.
fn one(name: &'static str, reference: &'static str, told: Told) -> anyhow::Result<Figure> {
    let requests = told == Told::Requests;
    let names: Vec<String> = (0..SIGNALS).map(|signal| format!("signal-{signal}")).collect();
    let mut spec = ScalerSpec::new("api", 1, 500);
    spec.metrics = names.iter().map(|name| MetricSpec::utilization(name.as_str(), 60)).collect();
    let mut now = SystemTime::now();
    let readings = |signal: usize| {
        (0..INSTANCES).map(move |instance| 50.0 + (signal * 7 + instance) as f64 % 20.0)
    };
    let mut observation = Observation::new(Replicas::ready(INSTANCES as u32));
    for (signal, name) in names.iter().enumerate() {
        let samples = readings(signal).enumerate().map(|(n, value)| {
            let sample = Sample::new(format!("pod-{n}"), value);
            if requests { sample.request(100.0) } else { sample }
        });
        let signal = Signal::new(name.as_str(), samples.collect(), now);
        observation = observation.signal(signal.max_age(Duration::from_secs(1 << 30)));
    }
    if told == Told::Pods {
        let long_ago = now - Duration::from_secs(86_400);
        let pod = |n| Instance::new(format!("pod-{n}"), true).phase(Phase::Running);
        let pods = (0..INSTANCES).map(pod).map(|pod| pod.started(long_ago).ready_changed(long_ago));
        observation = observation.instances(pods);
    }
    let mut decider = Decider::new(spec)?;
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let bare = nanoseconds(|| {
                let sum = |signal: &Signal, of: fn(&Sample) -> Option<Milli>| {
                    signal.samples.iter().filter_map(of).map(|Milli(value)| value).sum::<u64>()
                };
                let pods = observation.instances.as_deref().unwrap_or_default();
                let replicas = |signal: &Signal| {
                    if told == Told::Pods {
                        let both = pods.iter().zip(&signal.samples);
                        let counted = both.filter(|(pod, sample)| {
                            pod.name == sample.instance
                                && pod.phase == Some(Phase::Running)
                                && !pod.deleted
                        });
                        let values = counted.filter_map(|(_, sample)| sample.value);
                        return values.map(|Milli(value)| value).sum::<u64>().div_ceil(60_000);
                    }
                    let used = sum(signal, |sample| sample.value);
                    if !requests {
                        return used.div_ceil(60_000);
                    }
                    let asked = sum(signal, Sample::requested);
                    (used * 100_000 * INSTANCES as u64).div_ceil(asked * 60_000)
                };
                black_box(&observation).signals.iter().map(replicas).max()
            });
            let ours = nanoseconds(|| {
                now += Duration::from_millis(1);
                let decision = decider.decide(&observation, now);
                let sentence = decision.explain();
                (decision, sentence)
            });
            (ours, bare)
        })
        .collect();
    Ok(Figure::of_rounds(name, "ns", reference, Target::RatioAtMost(5.0), &rounds))
}

/// A tick of a hundred thousand scalers beside ten ticks of ten thousand; and what one of them
/// remembers after an hour of changes.
pub(crate) fn many() -> anyhow::Result<Vec<Figure>> {
    let spec = spec();
    let mut now = SystemTime::now();
    let names: Vec<String> = (0..EACH).map(|n| format!("pod-{n}")).collect();
    let observe = |scaler: usize| {
        let value = |n: usize| 50.0 + (scaler * 7 + n) as f64 % 40.0;
        let samples = names.iter().enumerate().map(|(n, name)| Sample::new(&**name, value(n)));
        let signal = Signal::new("cpu", samples.collect(), now);
        Observation::new(Replicas::ready(EACH as u32))
            .signal(signal.max_age(Duration::from_secs(1 << 30)))
    };
    let mut scalers = (0..SCALERS)
        .map(|scaler| Ok((Decider::new(spec.clone())?, observe(scaler))))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut tick = |scalers: &mut [(Decider, Observation)]| {
        now += Duration::from_secs(15);
        let decide = |(decider, seen): &mut (Decider, Observation)| decider.decide(seen, now).to;
        seconds(|| scalers.iter_mut().map(decide).map(u64::from).sum::<u64>()).0 * 1e3
    };
    tick(&mut scalers);
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let (few, all) = (SCALERS / FEW, tick(&mut scalers));
            (all, (0..few).map(|_| tick(&mut scalers[..FEW])).sum())
        })
        .collect();
    let of_all = Figure::of_rounds(
        "decide_100k",
        "ms",
        "10 ticks of 10,000 scalers",
        Target::RatioAtMost(2.0),
        &rounds,
    );
    Ok(vec![of_all, Figure::of_budget("decide_state", "B", state()?, 1024.0)])
}

/// Bytes of a state, as a child finds them that has freed no memory yet.
fn state() -> anyhow::Result<f64> {
    let mut child = Role::ScalerStates.start()?;
    let out = child.0.stdout.take().context("a child has an output")?;
    let line = BufReader::new(out).lines().next().context("a child says what it found")??;
    child.wait()?;
    Ok(line.parse()?)
}

/// Tells the bytes of a state after an hour in which the brake was used up.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub(crate) fn tell_states() -> anyhow::Result<()> {
    let mut decider = Decider::new(spec())?;
    let (mut now, mut replicas) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), 5);
    for turn in 0..240 {
        now += Duration::from_secs(15);
        let load = if turn / 8 % 2 == 0 { 90.0 } else { 30.0 };
        let samples = vec![Sample::new("", load); replicas as usize];
        let signal = Signal::new("cpu", samples, now);
        let decision =
            decider.decide(&Observation::new(Replicas::ready(replicas)).signal(signal), now);
        decider.applied(&decision, Ok(()), now);
        replicas = decision.to;
    }
    let before = resident();
    let states: Vec<DeciderState> = black_box(vec![decider.state().clone(); SCALERS]);
    println!("{}", resident().saturating_sub(before) as f64 / states.len() as f64);
    Ok(())
}

fn spec() -> ScalerSpec {
    let mut spec = ScalerSpec::new("api", 1, 500);
    spec.metrics = vec![MetricSpec::utilization("cpu", 60)];
    spec.cool_down.scale_up = Duration::ZERO;
    spec.cool_down.scale_down = Duration::ZERO;
    spec
}
