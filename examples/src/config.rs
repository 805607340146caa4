//! `birl.yaml`: sources, rules, routes, receivers and scalers in one file.
//!
//! What the router and the scaler decide on is written in their own words: `route`, `receivers`,
//! `inhibit_rules` and `time_intervals` are Alertmanager's, `topology`, `sla_tiers`, `health` and
//! `flap` the router's own, a scaler's `spec` is that of the `CustomScaler` resource.

mod duration;
mod load;
mod signal;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::time::Duration;

use birl_router::yaml::Spanned;
use birl_router::{
    Config as RouterConfig, FlapConfig, HealthConfig, InhibitRuleConfig, Position, ReceiverConfig,
    RouteConfig, SlaTiers, TimeIntervalConfig, TopologyConfig,
};
use birl_scaler::ScalerSpec;
use serde::Deserialize;

pub(crate) use duration::parse as parse_duration;
pub(crate) use load::{Complaint, load, parse_yaml, suggest};
pub(crate) use signal::{
    DiskConfig, LogSignal, Measure, MemoryConfig, OtlpListen, Outside, OutsideSignal,
    PrometheusConfig, SignalConfig, StatsdConfig, StatsdListen,
};
#[cfg(feature = "otlp")]
pub(crate) use signal::{SpanMeasure, SpansConfig};

/// Where an error is, what it is, what helps.
type Fault = (Option<Position>, String, Option<String>);

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Whether decisions are carried out.
    #[serde(default)]
    pub(crate) mode: Mode,
    /// Older records feed windows and counters, and never act.
    #[serde(default = "five_minutes", with = "duration")]
    pub(crate) max_event_age: Duration,
    /// Where offsets are kept.
    #[serde(default = "state_dir")]
    pub(crate) state_dir: PathBuf,
    /// Where `/metrics` and `/healthz` are served; nowhere when absent.
    pub(crate) listen: Option<String>,
    /// How often deciders look at their signals.
    #[serde(default = "fifteen_seconds", with = "duration")]
    pub(crate) tick: Duration,
    /// Whether rules see what birl itself wrote.
    #[serde(default)]
    pub(crate) include_own_output: bool,
    /// Only looking (`--check`, `--dry-run`): nothing on disk is read, kept or moved on.
    #[serde(skip)]
    pub(crate) stateless: bool,
    pub(crate) sources: Vec<Spanned<SourceConfig>>,
    /// Rule files, or folders of them.
    #[serde(default)]
    pub(crate) rules: Vec<Spanned<PathBuf>>,
    pub(crate) route: Option<RouteConfig>,
    #[serde(default)]
    pub(crate) receivers: Vec<ReceiverConfig>,
    #[serde(default)]
    pub(crate) inhibit_rules: Vec<InhibitRuleConfig>,
    #[serde(default)]
    pub(crate) time_intervals: Vec<TimeIntervalConfig>,
    pub(crate) topology: Option<TopologyConfig>,
    #[serde(default)]
    pub(crate) sla_tiers: SlaTiers,
    #[serde(default)]
    pub(crate) health: HealthConfig,
    #[serde(default)]
    pub(crate) flap: FlapConfig,
    #[serde(default)]
    pub(crate) notify_on_unmute: bool,
    #[serde(default)]
    pub(crate) scalers: Vec<Spanned<ScalerConfig>>,
    /// Where services report over StatsD; nowhere when absent.
    pub(crate) statsd: Option<StatsdListen>,
    /// Where OpenTelemetry spans are sent; nowhere when absent.
    pub(crate) otlp: Option<OtlpListen>,
}

/// Whether decisions are carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Decide, say so, and touch nothing.
    #[default]
    Observe,
    /// Notify and scale.
    Act,
}

/// One place that entries come from; exactly one of `file`, `command`, `stdin`, `journald`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SourceConfig {
    /// A name for metrics, health and the offset file; made from the source when absent.
    pub(crate) id: Option<String>,
    pub(crate) file: Option<PathBuf>,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) stdin: bool,
    pub(crate) journald: Option<JournaldConfig>,
    /// `auto`, `json`, `logfmt` or `raw`.
    pub(crate) parse: Option<String>,
    /// A regular expression whose named groups become fields; instead of `parse`.
    pub(crate) regex: Option<String>,
    /// The field that holds an entry's time.
    pub(crate) timestamp: Option<String>,
    /// How bytes become lines: `encoding`, `multiline`, `containers`, `max_line_bytes` and what
    /// else `Framing::from_words` knows.
    pub(crate) framing: BTreeMap<String, Word>,
    /// Files to leave out, though `file` matches them.
    pub(crate) exclude: Vec<PathBuf>,
    /// Files that were last written longer ago are not read before they grow.
    #[serde(with = "duration::optional")]
    pub(crate) ignore_older: Option<Duration>,
    /// Files that were read and acknowledged are removed once they are quiet for this long.
    #[serde(with = "duration::optional")]
    pub(crate) remove_after_ack: Option<Duration>,
    /// Where a first run, with no offset on disk, begins.
    pub(crate) start: Start,
    pub(crate) labels: BTreeMap<String, String>,
}

/// A setting that is handed on as text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Word {
    Flag(bool),
    Number(u64),
    Text(String),
}

impl Display for Word {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// Which part of the journal.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct JournaldConfig {
    pub(crate) unit: Option<String>,
    pub(crate) priority: Option<String>,
    /// Nothing older than this: `2026-11-23T08:00:00Z`.
    pub(crate) since: Option<jiff::Timestamp>,
    /// A folder of journal files, instead of the system's journal.
    pub(crate) directory: Option<PathBuf>,
}

/// Where a first run begins in what exists already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Start {
    /// At the end: old lines are not read.
    #[default]
    End,
    /// At the beginning: old lines are read, feed windows, and do not act.
    Beginning,
}

/// One thing that is scaled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScalerConfig {
    /// The `spec` of a `CustomScaler`; rules call it by its `targetRef.name`: `scale('NAME', '+2')`.
    pub(crate) spec: ScalerSpec,
    /// Worker processes that birl starts and drains.
    pub(crate) processes: Option<ProcessesConfig>,
    /// What feeds the spec's metrics and guards.
    #[serde(default)]
    pub(crate) signals: Vec<SignalConfig>,
    #[serde(default)]
    pub(crate) verify: VerifyConfig,
}

/// Worker processes that birl starts and drains.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessesConfig {
    /// Program and arguments; `{instance}` stands for the worker's name.
    pub(crate) command: Vec<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Where the workers' output goes, and the line `scaled to N`.
    pub(crate) log: Option<PathBuf>,
    /// How long a worker may take to finish after SIGTERM, before SIGKILL.
    #[serde(default = "ten_seconds", with = "duration")]
    pub(crate) drain_timeout: Duration,
}

/// How a change is proven by the workload's own log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct VerifyConfig {
    /// The field that names the instance that wrote an entry.
    pub(crate) instance: String,
    /// The source that shows the workload's entries, by id; any when absent.
    pub(crate) source: Option<String>,
    /// How long the proof may take.
    #[serde(with = "duration")]
    pub(crate) within: Duration,
    /// Whether the alert of the rule that asks for a change must have been delivered, too.
    pub(crate) told: bool,
    /// Whether a change that is not proven becomes an alert (`ScalingNotVerified`, on the routes).
    pub(crate) alert: bool,
}

impl Default for VerifyConfig {
    fn default() -> Self {
        let within = Duration::from_secs(30);
        Self { instance: instance(), source: None, within, told: false, alert: true }
    }
}

impl Config {
    /// What the router is to do; nothing without a `route`.
    pub(crate) fn router(&self) -> Option<RouterConfig> {
        let mut route = self.route.clone()?;
        // Whoever says nothing of groups wants to hear at once; Alertmanager's defaults would wait half a minute.
        if route.group_by.is_none() && route.group_wait.is_none() && route.group_interval.is_none()
        {
            route = route.immediate();
        }
        let mut router = RouterConfig::new(route, self.receivers.iter().cloned());
        router.inhibit_rules.clone_from(&self.inhibit_rules);
        router.time_intervals.clone_from(&self.time_intervals);
        router.topology.clone_from(&self.topology);
        router.sla_tiers.clone_from(&self.sla_tiers);
        router.health.clone_from(&self.health);
        router.flap.clone_from(&self.flap);
        router.notify_on_unmute = self.notify_on_unmute;
        Some(router)
    }

    /// What parsing alone cannot see.
    fn check(&self) -> Result<(), Fault> {
        if self.sources.is_empty() {
            return Err((
                None,
                "`sources` is empty".into(),
                Some("name at least one, such as `- file: /var/log/app.log`".into()),
            ));
        }
        let mut ids = BTreeSet::new();
        for source in &self.sources {
            let at = Some(source.position);
            source.value.check().map_err(|(message, help)| (at, message, Some(help)))?;
            if !ids.insert(source.value.id()) {
                return Err((
                    at,
                    format!("two sources are called `{}`", source.value.id()),
                    Some("give one of them another `id:`".into()),
                ));
            }
        }
        if self.route.is_some() && self.receivers.is_empty() {
            return Err((
                None,
                "`route` is given, but no `receivers`".into(),
                Some("add `receivers:` with at least the default receiver".into()),
            ));
        }
        if self.route.is_none() && !self.receivers.is_empty() {
            return Err((
                None,
                "`receivers` are given, but no `route`".into(),
                Some("add `route: {receiver: NAME}` to name the default one".into()),
            ));
        }
        if self.otlp.is_some() && !cfg!(feature = "otlp") {
            return Err((
                None,
                "`otlp` is given, and this birl was built without it".into(),
                Some("build it with `--features otlp`".into()),
            ));
        }
        let mut names = BTreeSet::new();
        for scaler in &self.scalers {
            let at = Some(scaler.position);
            if !names.insert(scaler.value.name()) {
                return Err((
                    at,
                    format!("two scalers are called `{}`", scaler.value.name()),
                    Some("a target has one decider; merge them".into()),
                ));
            }
            if self.mode == Mode::Act && scaler.value.processes.is_none() {
                return Err((
                    at,
                    format!("scaler `{}` has nothing to act on", scaler.value.name()),
                    Some("add `processes:`, or set `mode: observe`".into()),
                ));
            }
            if scaler.value.processes.as_ref().is_some_and(|processes| processes.command.is_empty())
            {
                return Err((at, format!("scaler `{}`: `processes.command` is empty", scaler.value.name()), Some("name a program and its arguments: `[\"worker\", \"--id\", \"{instance}\"]`".into())));
            }
        }
        for scaler in &self.scalers {
            let at = Some(scaler.position);
            for signal in &scaler.value.signals {
                let SignalConfig::Outside(signal) = signal else { continue };
                let missing = match signal.of {
                    Outside::Statsd(_) if self.statsd.is_none() => {
                        ("statsd", "statsd: {listen: [\"127.0.0.1:8125\"]}")
                    }
                    Outside::Spans(_) if self.otlp.is_none() => {
                        ("otlp", "otlp: {listen: \"127.0.0.1:4317\"}")
                    }
                    _ => continue,
                };
                let (key, example) = missing;
                return Err((
                    at,
                    format!(
                        "the signal of `{}` has nobody who listens: there is no `{key}`",
                        signal.metric
                    ),
                    Some(format!("add `{example}`")),
                ));
            }
            scaler.value.check(&ids).map_err(|(message, help)| (at, message, Some(help)))?;
        }
        if self.tick.is_zero() {
            return Err((
                None,
                "`tick` is zero".into(),
                Some("write a duration such as `15s`".into()),
            ));
        }
        Ok(())
    }

    /// Relative paths count from the configuration's folder, not from where birl was started.
    fn resolve_paths(&mut self, folder: &Path) {
        let resolve = |path: &mut PathBuf| *path = folder.join(&*path);
        resolve(&mut self.state_dir);
        self.rules.iter_mut().for_each(|path| resolve(&mut path.value));
        for source in &mut self.sources {
            source.value.file.iter_mut().for_each(resolve);
            if let Some(journald) = &mut source.value.journald {
                journald.directory.iter_mut().for_each(resolve);
            }
        }
        for scaler in &mut self.scalers {
            if let Some(log) =
                scaler.value.processes.as_mut().and_then(|processes| processes.log.as_mut())
            {
                resolve(log);
            }
        }
    }
}

impl ScalerConfig {
    /// What rules call it.
    pub(crate) fn name(&self) -> &str {
        &self.spec.target_ref.name
    }

    /// A signal that nothing feeds would leave the scaler without a word.
    fn check(&self, sources: &BTreeSet<String>) -> Result<(), (String, String)> {
        let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
        let metrics = self.spec.metrics.iter().map(|metric| &*metric.name);
        let guards = self.spec.guards.iter().map(|guard| &*guard.signal);
        let metrics: Vec<&str> = metrics.chain(guards).collect();
        let name = self.name();
        let named = self.signals.iter().filter_map(SignalConfig::source);
        for source in named.chain(&self.verify.source) {
            if !sources.contains(&source.as_str()) {
                let message =
                    format!("scaler `{name}` reads the source `{source}`, and there is none");
                return Err((message, suggest(source, &sources)));
            }
        }
        for signal in &self.signals {
            let metric = signal.metric();
            if !metrics.contains(&metric) {
                let message = format!(
                    "scaler `{name}` feeds the metric `{metric}`, which its spec does not have"
                );
                return Err((message, suggest(metric, &metrics)));
            }
        }
        Ok(())
    }
}

impl SourceConfig {
    fn check(&self) -> Result<(), (String, String)> {
        let kinds =
            [self.file.is_some(), self.command.is_some(), self.stdin, self.journald.is_some()];
        match kinds.iter().filter(|given| **given).count() {
            1 => {}
            0 => return Err(("this source names nothing to read".into(), "add one of `file`, `command`, `stdin: true`, `journald`".into())),
            _ => return Err(("this source names several things to read".into(), "keep one of `file`, `command`, `stdin`, `journald`; make the others sources of their own".into())),
        }
        if self.command.as_ref().is_some_and(Vec::is_empty) {
            return Err((
                "`command` is empty".into(),
                "name a program and its arguments: `[\"tail\", \"-f\", \"x\"]`".into(),
            ));
        }
        if self.parse.is_some() && self.regex.is_some() {
            return Err((
                "`parse` and `regex` exclude each other".into(),
                "keep one of them".into(),
            ));
        }
        Ok(())
    }

    /// Its name: the given one, else one made from what is read.
    pub(crate) fn id(&self) -> String {
        if let Some(id) = &self.id {
            return id.clone();
        }
        match (&self.file, &self.command, &self.journald) {
            (Some(path), ..) => path.display().to_string(),
            (_, Some(command), _) => command.join(" "),
            (.., Some(journald)) => match &journald.unit {
                Some(unit) => format!("journald:{unit}"),
                None => "journald".to_owned(),
            },
            _ => "stdin".to_owned(),
        }
    }
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

fn fifteen_seconds() -> Duration {
    Duration::from_secs(15)
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn state_dir() -> PathBuf {
    PathBuf::from("birl-state")
}

fn instance() -> String {
    "instance".to_owned()
}
