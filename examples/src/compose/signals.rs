//! What is asked on the tick: signals from outside the log (queries of Prometheus, files of the kernel,
//! StatsD, spans), and how large targets are that live without birl. All of a scaler's is asked at
//! once, each with its deadline; nothing else waits for it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use birl_scaler::statsd::{Listener, Statsd, Watch};
use birl_scaler::{
    DiskDepth, DiskQueue, Error, HealthState, MemoryMeasure, MemoryPressure, PrometheusQuery,
    PrometheusServer, Replicas, Sampler, Signal, SourceHealth, Tick,
};
use prometheus::Registry;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

#[cfg(feature = "otlp")]
use super::spans::Spans;
use super::targets::{Size, Target};
use crate::config::{
    Config, DiskConfig, Measure, MemoryConfig, OtlpListen, Outside, OutsideSignal,
    PrometheusConfig, SignalConfig, StatsdConfig, StatsdListen,
};
use crate::failure::Failure;

/// What is to be asked, for whom, and where services report.
#[derive(Debug)]
pub(crate) struct SignalPlan {
    statsd: Option<StatsdListen>,
    #[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "it is refused"))]
    otlp: Option<OtlpListen>,
    scalers: Vec<(String, Vec<OutsideSignal>)>,
    /// Where the health of the signals is shown.
    registry: Registry,
    tick: Tick,
}

/// All scalers that have something to ask for outside the log.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Those that are not asking at this moment.
    idle: BTreeMap<String, Asking>,
    asking: JoinSet<(Asking, Answer)>,
    /// Held for as long as signals are read from them.
    _statsd: Option<Listener>,
    #[cfg(feature = "otlp")]
    _spans: Option<Spans>,
}

#[derive(Debug)]
struct Asking {
    /// When it is asked.
    tick: Tick,
    sampler: Sampler,
    /// How each source was when it was last told.
    told: Vec<HealthState>,
    /// How large the target is, if it has to be asked.
    size: Option<Size>,
}

/// What came for one scaler.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) target: String,
    pub(crate) signals: Vec<Signal>,
    /// How large the target is, if it was asked; nothing in it if it did not say.
    pub(crate) size: Option<Option<Replicas>>,
    /// When it was asked for.
    pub(crate) asked: SystemTime,
}

impl SignalPlan {
    pub(crate) fn of(config: &Config, registry: Registry, tick: Tick) -> Self {
        let scalers = config.scalers.iter().map(|scaler| {
            let outside = scaler.value.signals.iter().filter_map(|signal| match signal {
                SignalConfig::Outside(signal) => Some(signal.clone()),
                SignalConfig::Log(_) => None,
            });
            (scaler.value.name().to_owned(), outside.collect())
        });
        let scalers = scalers.filter(|(_, signals): &(_, Vec<_>)| !signals.is_empty()).collect();
        let (statsd, otlp) = (config.statsd.clone(), config.otlp.clone());
        Self { statsd, otlp, scalers, registry, tick }
    }

    /// Makes every source, and begins to listen; `targets` are those that have to be asked.
    ///
    /// # Errors
    /// What cannot be had, with the scaler and the metric that it is for.
    pub(crate) async fn start(
        &mut self,
        targets: &BTreeMap<String, Target>,
    ) -> Result<Signals, Failure> {
        let mut signals = Signals::default();
        let statsd = Statsd::default();
        #[cfg(feature = "otlp")]
        let mut spans = self.spans().await?;
        for (target, outside) in std::mem::take(&mut self.scalers) {
            let mut asking = Asking::of(&target, self.tick);
            for signal in &outside {
                let added = match &signal.of {
                    #[cfg(feature = "otlp")]
                    Outside::Spans(config) => {
                        spans.add(&mut asking.sampler, &signal.metric, config, signal.max_age)
                    }
                    _ => add(&mut asking.sampler, signal, &statsd),
                };
                added.map_err(|error| {
                    Failure::input(format!(
                        "scaler `{target}`, signal `{}`: {error}",
                        signal.metric
                    ))
                })?;
            }
            register(&self.registry, asking.sampler.board().of_target(&target))?;
            asking.told = vec![HealthState::Unknown; outside.len()];
            signals.idle.insert(target, asking);
        }
        for (name, target) in targets {
            let asking = signals.idle.entry(name.clone());
            let asking = asking.or_insert_with(|| Asking::of(name, self.tick));
            asking.size = Some(Size::of(Target::clone(target)));
        }
        if let Some(listen) = self.statsd.take() {
            register(&self.registry, statsd.metrics())?;
            let builder = Listener::builder();
            let builder = listen.listen.into_iter().fold(builder, |builder, at| builder.udp(at));
            let builder = listen.unix.into_iter().fold(builder, |builder, at| builder.unix(at));
            signals._statsd = Some(builder.start(&statsd).map_err(Failure::input)?);
        }
        #[cfg(feature = "otlp")]
        {
            signals._spans = Some(spans);
        }
        Ok(signals)
    }

    /// The windows that signals ask for, and who fills them.
    #[cfg(feature = "otlp")]
    async fn spans(&self) -> Result<Spans, Failure> {
        let mut spans = Spans::new();
        for signal in self.scalers.iter().flat_map(|(_, signals)| signals) {
            if let Outside::Spans(config) = &signal.of {
                spans.expect(config);
            }
        }
        if let Some(otlp) = &self.otlp {
            spans.listen(otlp, &self.registry).await?;
        }
        Ok(spans)
    }
}

impl Signals {
    /// Asks for everything of those whose turn it is. Who is still asking is left to it: everything has
    /// a deadline.
    pub(crate) fn ask(&mut self, now: SystemTime) {
        let turn = |(target, asking): (&String, &mut Asking)| {
            asking.tick.poll(now).map(|_| target.clone())
        };
        let turns: Vec<String> = self.idle.iter_mut().filter_map(turn).collect();
        for target in turns {
            let Some(mut asking) = self.idle.remove(&target) else { continue };
            self.asking.spawn(async move {
                let Asking { sampler, size, .. } = &mut asking;
                let size = async {
                    match size {
                        Some(size) => Some(size.ask(&target).await),
                        None => None,
                    }
                };
                let (signals, size) = tokio::join!(sampler.sample(now), size);
                (asking, Answer { target, signals, size, asked: now })
            });
        }
    }

    /// What comes next. Pends for as long as nobody is asking.
    ///
    /// Cancel-safe.
    pub(crate) async fn next(&mut self) -> Answer {
        loop {
            match self.asking.join_next().await {
                Some(Ok((mut asking, answer))) => {
                    asking.tell(&answer.target);
                    self.idle.insert(answer.target.clone(), asking);
                    return answer;
                }
                Some(Err(error)) => error!(%error, "the signals of a scaler are lost"),
                None => std::future::pending().await,
            }
        }
    }
}

impl Asking {
    /// Nothing to ask for yet.
    fn of(target: &str, tick: Tick) -> Self {
        Self { tick: tick.named(target), sampler: Sampler::new(), told: Vec::new(), size: None }
    }

    /// Says what has begun to fail, and what is well again.
    fn tell(&mut self, target: &str) {
        for (told, health) in self.told.iter_mut().zip(self.sampler.board().health()) {
            let SourceHealth { name, state, last_fault, .. } = health;
            match (*told, state, last_fault) {
                (
                    HealthState::Unknown | HealthState::Healthy,
                    HealthState::Failing,
                    Some(fault),
                ) => {
                    warn!(target_ref = target, signal = &*name, %fault, "a signal cannot be read");
                }
                (HealthState::Failing, HealthState::Healthy, _) => {
                    info!(target_ref = target, signal = &*name, "a signal can be read again");
                }
                _ => {}
            }
            *told = state;
        }
    }
}

/// Shows it in `/metrics`.
pub(super) fn register(
    registry: &Registry,
    collector: impl prometheus::core::Collector + 'static,
) -> Result<(), Failure> {
    registry.register(Box::new(collector)).map_err(Failure::own)
}

fn add(sampler: &mut Sampler, signal: &OutsideSignal, statsd: &Statsd) -> Result<(), Error> {
    let OutsideSignal { metric, max_age, of } = signal;
    /// All have it, and no trait says so.
    macro_rules! add {
        ($source:expr) => {{
            let source = $source;
            let source = match *max_age {
                Some(max_age) => source.max_age(max_age),
                None => source,
            };
            sampler.add(source, Sampler::DEADLINE)
        }};
    }
    match of {
        Outside::Prometheus(config) => add!(query(metric, config)?),
        Outside::Memory(config) => add!(memory(metric, config)),
        Outside::Disk(config) => add!(disk(metric, config)),
        Outside::Statsd(config) => {
            let watch = watch(metric, config);
            let watch = match *max_age {
                Some(max_age) => watch.max_age(max_age),
                None => watch,
            };
            sampler.add(statsd.signal(watch)?, Sampler::DEADLINE)
        }
        // The configuration was checked: there are none without the feature `otlp`.
        Outside::Spans(_) => Ok(()),
    }
}

fn query(metric: &str, config: &PrometheusConfig) -> Result<PrometheusQuery, Error> {
    let mut server = PrometheusServer::new(&config.url)?;
    if let Some(file) = &config.bearer_token_file {
        server = server.bearer_token_file(file);
    }
    let query = PrometheusQuery::new(&server, metric, &config.query);
    Ok(match &config.instance {
        Some(label) => query.instance_label(label),
        None => query,
    })
}

fn memory(metric: &str, config: &MemoryConfig) -> MemoryPressure {
    let measure = match config.measure {
        Measure::SomeStalled => MemoryMeasure::SomeStalled,
        Measure::FullStalled => MemoryMeasure::FullStalled,
        Measure::Refaults => MemoryMeasure::Refaults,
        Measure::MajorFaults => MemoryMeasure::MajorFaults,
        Measure::Faults => MemoryMeasure::Faults,
        Measure::OomKills => MemoryMeasure::OomKills,
    };
    let memory = MemoryPressure::new(metric, measure);
    match &config.cgroup {
        Some(folder) => memory.cgroup(folder),
        None => memory,
    }
}

fn disk(metric: &str, config: &DiskConfig) -> DiskQueue {
    let queue = DiskQueue::new(metric);
    let queue = match config.devices.is_empty() {
        true => queue,
        false => queue.devices(&config.devices),
    };
    match config.in_flight {
        true => queue.depth(DiskDepth::InFlight),
        false => queue,
    }
}

fn watch(metric: &str, config: &StatsdConfig) -> Watch {
    let mut watch = Watch::new(metric, &config.name, config.statistic);
    for (name, value) in &config.tags {
        watch = watch.tag(name, value);
    }
    if let Some(tag) = &config.instance {
        watch = watch.instance(tag);
    }
    match config.window {
        Some(window) => watch.window(window),
        None => watch,
    }
}
