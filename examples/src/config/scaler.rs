//! One thing that is scaled: its spec, its target, its signals, and the proof of its changes.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use birl_router::Position;
use birl_router::yaml::Spanned;
use birl_scaler::ScalerSpec;
use serde::Deserialize;

use super::{CommandConfig, Fault, KubernetesConfig, Mode, ProcessesConfig, SignalConfig};
use super::{duration, suggest};

/// One thing that is scaled; at most one of `processes`, `command`, `kubernetes`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScalerConfig {
    /// The `spec` of a `CustomScaler`; rules call it by its `targetRef.name`: `scale('NAME', '+2')`.
    pub(crate) spec: ScalerSpec,
    /// Worker processes that birl starts and drains.
    pub(crate) processes: Option<Spanned<ProcessesConfig>>,
    /// Something that a program scales.
    pub(crate) command: Option<Spanned<CommandConfig>>,
    /// Something in Kubernetes.
    pub(crate) kubernetes: Option<Spanned<KubernetesConfig>>,
    /// What feeds the spec's metrics and guards.
    #[serde(default)]
    pub(crate) signals: Vec<SignalConfig>,
    #[serde(default)]
    pub(crate) verify: VerifyConfig,
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
        let (instance, within) = (super::instance(), Duration::from_secs(30));
        Self { instance, source: None, within, told: false, alert: true }
    }
}

impl ScalerConfig {
    /// What rules call it.
    pub(crate) fn name(&self) -> &str {
        &self.spec.target_ref.name
    }

    /// Whether its target lives without birl, and has to be asked how large it is.
    pub(crate) fn is_outside(&self) -> bool {
        self.command.is_some() || self.kubernetes.is_some()
    }

    /// Whether nobody but birl sets the target's size.
    pub(crate) fn has_sole_owner(&self) -> bool {
        let uncounted = |command: &Spanned<CommandConfig>| command.value.count.is_empty();
        self.processes.is_some() || self.command.as_ref().is_some_and(uncounted)
    }

    pub(super) fn check(
        &self,
        at: Position,
        mode: Mode,
        sources: &BTreeSet<String>,
    ) -> Result<(), Fault> {
        self.check_target(at, mode)?;
        self.check_signals(sources).map_err(|(message, help)| (Some(at), message, Some(help)))
    }

    /// What to act on, where the library would find it out only when it is too late.
    fn check_target(&self, at: Position, mode: Mode) -> Result<(), Fault> {
        let name = self.name();
        let given = [self.processes.is_some(), self.command.is_some(), self.kubernetes.is_some()];
        match given.iter().filter(|given| **given).count() {
            0 if mode == Mode::Act => {
                return Err((
                    Some(at),
                    format!("scaler `{name}` has nothing to act on"),
                    Some(
                        "add one of `processes`, `command`, `kubernetes`, or set `mode: observe`"
                            .into(),
                    ),
                ));
            }
            0 | 1 => {}
            _ => {
                return Err((
                    Some(at),
                    format!("scaler `{name}` has several things to act on"),
                    Some("keep one of `processes`, `command`, `kubernetes`".into()),
                ));
            }
        }
        if let Some(processes) = &self.processes
            && processes.value.command.is_empty()
        {
            return Err((
                Some(processes.position),
                format!("scaler `{name}`: `processes.command` is empty"),
                Some(
                    "name a program and its arguments: `[\"worker\", \"--id\", \"{instance}\"]`"
                        .into(),
                ),
            ));
        }
        if let Some(command) = &self.command {
            let checked = command.value.check(name);
            checked.map_err(|(message, help)| (Some(command.position), message, help))?;
        }
        if let Some(kubernetes) = &self.kubernetes {
            let at = Some(kubernetes.position);
            #[cfg(not(feature = "kube"))]
            return Err(super::unbuilt(at, "kubernetes", "kube"));
            #[cfg(feature = "kube")]
            birl_scaler::KubeTarget::check(&kubernetes.value.namespace, &self.spec.target_ref)
                .map_err(|error| (at, error.to_string(), None))?;
        }
        Ok(())
    }

    /// A signal that nothing feeds would leave the scaler without a word.
    fn check_signals(&self, sources: &BTreeSet<String>) -> Result<(), (String, String)> {
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

    /// Relative paths count from `folder`.
    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        let log = self.processes.as_mut().and_then(|processes| processes.value.log.as_mut());
        if let Some(log) = log {
            *log = folder.join(&*log);
        }
    }
}
