//! One thing that is scaled: its spec, its target, its signals, and the proof of its changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use birl_router::Position;
use birl_router::yaml::Spanned;
use birl_scaler::{LegName, ScalerSpec, VerifierConfig};
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
    /// Legs that must hold sooner than that: `{alert: 5s, platform_ready: 20s}`.
    #[serde(with = "duration::each")]
    pub(crate) legs: BTreeMap<LegName, Duration>,
    /// A text that the log must show, too: `scaled to {replicas}`.
    pub(crate) text: Option<String>,
    /// After a scale-in: how long the stopped instances must have been silent.
    #[serde(with = "duration")]
    pub(crate) quiet: Duration,
    /// Whether the alert of the rule that asks for a change must have been delivered, too; when
    /// absent, if the routes tell it at once.
    pub(crate) told: Option<bool>,
    /// Whether a change that is not proven becomes an alert (`ScalingNotVerified`, on the routes).
    pub(crate) alert: bool,
}

impl Default for VerifyConfig {
    fn default() -> Self {
        let (instance, within) = (super::instance(), Duration::from_secs(30));
        let VerifierConfig { within: legs, text, quiet, .. } = VerifierConfig::default();
        Self { instance, source: None, within, legs, text, quiet, told: None, alert: true }
    }
}

impl VerifyConfig {
    /// What the library is asked for.
    pub(crate) fn verifier(&self) -> VerifierConfig {
        let mut config = VerifierConfig::default();
        config.within.clone_from(&self.legs);
        config.text.clone_from(&self.text);
        config.quiet = self.quiet;
        config
    }

    /// What would make a proof impossible, or none.
    fn check(&self, name: &str) -> Result<(), (String, String)> {
        let within = self.within;
        let fault =
            |what: String, help: &str| Err((format!("scaler `{name}`: {what}"), help.into()));
        for (leg, until) in &self.legs {
            let leg = leg.as_str();
            if *until > within {
                return fault(
                    format!("`verify.legs.{leg}` is {until:?}, and the whole proof has {within:?}"),
                    "make it shorter, or `verify.within` longer",
                );
            }
        }
        if self.quiet >= within {
            return fault(
                format!(
                    "no scale-in can be proven within {within:?}: who is stopped must be silent for {:?}",
                    self.quiet
                ),
                "make `verify.quiet` shorter, or `verify.within` longer",
            );
        }
        match &self.text {
            Some(text) if text.trim().is_empty() => fault(
                "`verify.text` is empty, and every line would hold it".into(),
                "name a text such as `scaled to {replicas}`, or leave it out",
            ),
            None if self.legs.contains_key(&LegName::Text) => fault(
                "`verify.legs.text` has no effect without `verify.text`".into(),
                "add `text: 'scaled to {replicas}'`",
            ),
            _ => Ok(()),
        }
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

    /// Whether the readings of each metric that is about instances go by the names of birl's own
    /// workers. Whoever is asked from outside has names of its own, unless it is said.
    pub(crate) fn has_named_workers(&self) -> bool {
        let Some(processes) = &self.processes else { return false };
        let of_instances = |metric: &str| {
            let metric = self.spec.metrics.iter().find(|known| *known.name == *metric);
            metric.is_some_and(|metric| !metric.is_of_the_whole())
        };
        let outside = |signal: &SignalConfig| matches!(signal, SignalConfig::Outside(_));
        let mut outside = self.signals.iter().filter(|signal| outside(signal));
        processes.value.named.unwrap_or_else(|| {
            processes.value.names_workers() && !outside.any(|signal| of_instances(signal.metric()))
        })
    }

    pub(super) fn check(
        &self,
        at: Position,
        mode: Mode,
        sources: &BTreeSet<String>,
    ) -> Result<(), Fault> {
        self.check_target(at, mode)?;
        let verify = self.verify.check(self.name());
        verify.map_err(|(message, help)| (Some(at), message, Some(help)))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_yaml;

    fn named(processes: &str, signals: &str) -> bool {
        let text = format!(
            "spec: {{targetRef: {{name: api}}, minReplicas: 1, maxReplicas: 2, metrics: [{{name: cpu, \
             averageUtilization: 60}}, {{type: External, external: {{metric: {{name: lag}}, target: \
             {{type: AverageValue, averageValue: 10}}}}}}], guards: [{{signal: retries, above: 5}}]}}\n\
             processes: {{{processes}}}\nsignals: [{signals}]\n"
        );
        parse_yaml::<ScalerConfig>("birl.yaml", &text).unwrap().has_named_workers()
    }

    #[test]
    fn a_proof_is_as_it_is_written() {
        let text = "{within: 40s, legs: {alert: 5s, platform_ready: 20s}, text: 'scaled to {replicas}', quiet: 8s}";
        let verify: VerifyConfig = parse_yaml("birl.yaml", text).unwrap();
        let mut expected = VerifierConfig::default();
        let (five, twenty) = (Duration::from_secs(5), Duration::from_secs(20));
        expected.within = [(LegName::Alert, five), (LegName::PlatformReady, twenty)].into();
        expected.text = Some("scaled to {replicas}".to_owned());
        expected.quiet = Duration::from_secs(8);
        assert_eq!((verify.verifier(), verify.within), (expected, Duration::from_secs(40)));
        let nothing: VerifyConfig = parse_yaml("birl.yaml", "{}").unwrap();
        assert_eq!(nothing.verifier(), VerifierConfig::default());
    }

    #[test]
    fn readings_are_matched_to_workers_where_their_names_are_known() {
        let (told, log) = ("command: [w, '{instance}']", "{metric: cpu, field: cpu}");
        assert!(named(told, log));
        assert!(named("command: [w], env: {NAME: 'w-{instance}'}", log));
        assert!(!named("command: [w]", log), "it was not told its name");
        assert!(named("command: [w], named: true", log), "it has it from elsewhere");
        assert!(!named("command: [w, '{instance}'], named: false", log));
        let pods = "{metric: cpu, prometheus: {url: 'http://127.0.0.1:9090', query: cpu}}";
        assert!(!named(told, pods), "a server has names of its own");
        assert!(named("command: [w], named: true", pods), "unless it is said");
        let whole = format!("{log}, {{metric: lag, disk: {{}}}}, {{metric: retries, disk: {{}}}}");
        assert!(named(told, &whole), "what is about the whole goes by no names");
    }
}
