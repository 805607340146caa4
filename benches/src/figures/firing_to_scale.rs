//! `firing_to_scale`: from a firing in hand to the acknowledged scale call, while signals are sampled beside it.
//!
//! The tick is a second and not fifteen, and one of five sources never answers, so that at most times a sample is under
//! way: a host that waited for the tick or for a deadline would show in every percentile. The reference is the same
//! hand-over between the same two tasks, with nothing decided.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use birl_benches::figure::{Figure, Target, percentile};
use birl_scaler::{
    Agenda, Change, Decider, Fault, MemoryTarget, MetricSpec, Observation, Sample, Sampler,
    ScaleIntent, ScaleTarget, ScalerSpec, Signal, SignalSource, Tick, async_trait,
};
use tokio::sync::mpsc;

use crate::ROUNDS;
use crate::scale::Scale;

const SIGNALS: usize = 5;
const INSTANCES: usize = 50;
/// Between two firings; not a divisor of the tick.
const EVERY: Duration = Duration::from_millis(7);

pub(crate) fn measure(scale: Scale) -> anyhow::Result<Vec<Figure>> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut p99 = Vec::new();
    for _ in 0..ROUNDS {
        let ours = runtime.block_on(scaled(scale.incidents))?;
        let bare = runtime.block_on(handed_over(scale.incidents))?;
        p99.push((percentile(ours.into_iter(), 0.99), percentile(bare.into_iter(), 0.99)));
    }
    let reference = "a bare hand-over between two tasks";
    let figure =
        Figure::of_rounds("firing_to_scale", "ms", reference, Target::ValueBelow(20.0), &p99);
    Ok(vec![figure])
}

/// The loop that a host runs: an agenda, a decider, a target.
async fn scaled(count: usize) -> anyhow::Result<Vec<f64>> {
    let (mut sampler, mut spec) = (Sampler::new(), ScalerSpec::new("api", 1, 1_000_000));
    for number in 0..SIGNALS {
        let name = format!("signal-{number}");
        spec.metrics.push(MetricSpec::utilization(name.as_str(), 60));
        sampler.add(Source { name, hangs: number == 0 }, Duration::from_millis(900))?;
    }
    spec.brake.max_actions_per_hour = 3600; // the most that a specification may ask for
    let (target, mut decider) = (MemoryTarget::new(INSTANCES as u32), Decider::new(spec)?);
    let tick = Tick::new(Duration::from_secs(1), SystemTime::now())?.named("api");
    let mut agenda = Agenda::new(tick, sampler);

    let firings = agenda.intents();
    let (send, mut sent) = mpsc::unbounded_channel();
    let writer = tokio::spawn(async move {
        for number in 0..count {
            tokio::time::sleep(EVERY).await;
            let _ = send.send(Instant::now());
            let intent = ScaleIntent::new(format!("rule/{number}"), Change::By(1));
            if firings.send(intent).is_err() {
                break;
            }
        }
    });
    let mut latencies = Vec::with_capacity(count);
    while latencies.len() < count {
        let occasion = agenda.next().await;
        let asked = occasion.intents.len();
        let seen = Observation::new(target.replicas().await?)
            .signals(occasion.signals)
            .intents(occasion.intents);
        let decision = decider.decide(&seen, occasion.now);
        if decision.is_change() {
            target.scale_to(decision.to, &decision).await?;
            decider.applied(&decision, Ok(()), occasion.now);
        }
        anyhow::ensure!(asked == 0 || decision.is_change(), "held: {}", decision.explain());
        for _ in 0..asked {
            let sent = sent.recv().await.ok_or_else(|| anyhow::anyhow!("the writer ended"))?;
            latencies.push(sent.elapsed().as_secs_f64() * 1e3);
        }
    }
    writer.await?;
    Ok(latencies)
}

/// The floor: the same channel, and somebody who only looks at the clock.
async fn handed_over(count: usize) -> anyhow::Result<Vec<f64>> {
    let (send, mut sent) = mpsc::channel(1024);
    let writer = tokio::spawn(async move {
        for _ in 0..count {
            tokio::time::sleep(EVERY).await;
            let _ = send.send(Instant::now()).await;
        }
    });
    let mut latencies = Vec::with_capacity(count);
    while let Some(sent) = sent.recv().await {
        latencies.push(sent.elapsed().as_secs_f64() * 1e3);
    }
    writer.await?;
    Ok(latencies)
}

/// Fifty instances at their target, or somebody who never answers.
#[derive(Debug)]
struct Source {
    name: String,
    hangs: bool,
}

#[async_trait]
impl SignalSource for Source {
    fn name(&self) -> &str {
        &self.name
    }

    async fn read(&self, now: SystemTime) -> Result<Signal, Fault> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let instances = (0..INSTANCES).map(|n| Arc::<str>::from(format!("pod-{n}")));
        let samples = instances.map(|instance| Sample::new(instance, 60.0)).collect();
        Ok(Signal::new(&self.name, samples, now))
    }
}
