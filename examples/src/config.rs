//! `birl.yaml`: sources, rules, routes, receivers and scalers in one file.
//!
//! What the router and the scaler decide on is written in their own words: `route`, `receivers`,
//! `inhibit_rules` and `time_intervals` are Alertmanager's, `topology`, `sla_tiers`, `health` and
//! `flap` the router's own, a scaler's `spec` is that of the `CustomScaler` resource.

#[cfg(feature = "etcd")]
mod decision_log;
mod duration;
mod load;
mod scaler;
mod signal;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use birl_router::yaml::Spanned;
use birl_router::{
    Config as RouterConfig, FlapConfig, HealthConfig, InhibitRuleConfig, Position, ReceiverConfig,
    RouteConfig, SlaTiers, TimeIntervalConfig, TopologyConfig,
};
use birl_scaler::{GlobalBrake, Tick};
use serde::Deserialize;

#[cfg(feature = "etcd")]
pub(crate) use decision_log::{DecisionLogConfig, EtcdConfig};
pub(crate) use duration::parse as parse_duration;
pub(crate) use load::{Complaint, load, parse_yaml, suggest};
pub(crate) use scaler::{ScalerConfig, VerifyConfig};
pub(crate) use signal::{
    DiskConfig, LogSignal, Measure, MemoryConfig, OtlpListen, Outside, OutsideSignal,
    PrometheusConfig, SignalConfig, StatsdConfig, StatsdListen,
};
#[cfg(feature = "otlp")]
pub(crate) use signal::{SpanMeasure, SpansConfig};
#[cfg(feature = "kube")]
pub(crate) use target::KubernetesConfig;
pub(crate) use target::{CommandConfig, ProcessesConfig};

/// What is refused needs no shape.
#[cfg(not(feature = "etcd"))]
type DecisionLogConfig = serde::de::IgnoredAny;
#[cfg(not(feature = "kube"))]
type KubernetesConfig = serde::de::IgnoredAny;

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
    /// What all scalers together may do, beside the brake that each has.
    pub(crate) brake: Option<BrakeConfig>,
    /// Where services report over StatsD; nowhere when absent.
    pub(crate) statsd: Option<StatsdListen>,
    /// Where decisions are kept; in the state directory when absent.
    pub(crate) decision_log: Option<Spanned<DecisionLogConfig>>,
    /// Where OpenTelemetry spans are sent; nowhere when absent.
    pub(crate) otlp: Option<OtlpListen>,
}

/// What all scalers together may do.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BrakeConfig {
    /// The most applied changes in any hour.
    max_actions_per_hour: u32,
    /// Nothing is changed while this is set.
    #[serde(default)]
    kill_switch: bool,
}

impl BrakeConfig {
    pub(crate) fn build(self) -> GlobalBrake {
        let brake = GlobalBrake::new(self.max_actions_per_hour);
        brake.set_kill_switch(self.kill_switch);
        brake
    }
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
    /// `auto`, `raw`, `json`, `logfmt`, `ltsv`, `syslog`, `combined`, `nginx` or `apache`.
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

    /// When deciders look at their signals, each by its name at a moment of its own, and for the first
    /// time at once.
    pub(crate) fn tick(&self) -> Result<Tick, birl_scaler::Error> {
        Tick::new(self.tick, SystemTime::UNIX_EPOCH)
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
            return Err(unbuilt(None, "otlp", "otlp"));
        }
        if let Some(log) = &self.decision_log {
            #[cfg(feature = "etcd")]
            log.value.check(log.position)?;
            #[cfg(not(feature = "etcd"))]
            return Err(unbuilt(Some(log.position), "decision_log", "etcd"));
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
            scaler.value.check(scaler.position, self.mode, &ids)?;
        }
        self.tick().map(|_| ()).map_err(|error| (None, error.to_string(), None))
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
        self.scalers.iter_mut().for_each(|scaler| scaler.value.resolve_paths(folder));
        #[cfg(feature = "etcd")]
        self.decision_log.iter_mut().for_each(|log| log.value.resolve_paths(folder));
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

/// A key that only other builds know.
fn unbuilt(at: Option<Position>, key: &str, feature: &str) -> Fault {
    let what = format!("`{key}` is given, and this birl was built without it");
    (at, what, Some(format!("build it with `--features {feature}`")))
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

fn fifteen_seconds() -> Duration {
    Duration::from_secs(15)
}

fn state_dir() -> PathBuf {
    PathBuf::from("birl-state")
}

fn instance() -> String {
    "instance".to_owned()
}
