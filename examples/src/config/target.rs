//! What is made larger and smaller: worker processes, whatever has a command for it, Kubernetes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use birl_scaler::{CommandTarget, Error};
use serde::Deserialize;

use super::duration;

/// Worker processes that birl starts and drains.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessesConfig {
    /// Program and arguments; `{instance}` stands for the worker's name.
    pub(crate) command: Vec<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Whether readings go by the names that birl gives the workers, so that those of others do not
    /// count and missing ones are filled in; worked out when absent.
    pub(crate) named: Option<bool>,
    /// Where the workers' output goes, and the line `scaled to N`.
    pub(crate) log: Option<PathBuf>,
    /// How long a worker may take to finish after SIGTERM, before SIGKILL.
    #[serde(default = "ten_seconds", with = "duration")]
    pub(crate) drain_timeout: Duration,
}

/// Something that a program scales.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommandConfig {
    /// Program and arguments that set the size; `{replicas}` stands for it.
    pub(crate) scale: Vec<String>,
    /// Program and arguments that print how many there are.
    #[serde(default)]
    pub(crate) count: Vec<String>,
    /// Where the number asked for is in the JSON that it prints: `/spec/replicas`.
    pub(crate) desired: Option<String>,
    /// Where the number that is ready is: `/status/readyReplicas`.
    pub(crate) ready: Option<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// How long a change may take in all; a minute when absent.
    #[serde(default, with = "duration::optional")]
    pub(crate) deadline: Option<Duration>,
    /// How many there are before birl has changed it; instead of `count`.
    pub(crate) initial: Option<u32>,
}

/// Something in Kubernetes with a `/scale`; the spec's `targetRef` says what.
#[cfg(feature = "kube")]
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KubernetesConfig {
    pub(crate) namespace: String,
    /// An API server that asks for no credentials, such as `kubectl proxy`; found as `kubectl` does
    /// when absent.
    pub(crate) server: Option<String>,
    /// How long a change may take until all are ready; two minutes when absent.
    #[serde(default, with = "duration::optional")]
    pub(crate) deadline: Option<Duration>,
}

impl ProcessesConfig {
    /// Whether workers are told their names where the configuration shows it.
    pub(super) fn names_workers(&self) -> bool {
        let mut texts = self.command.iter().chain(self.env.values());
        texts.any(|text| text.contains("{instance}"))
    }
}

impl CommandConfig {
    /// What it describes, when `known` is how many there were last. Nothing is run.
    ///
    /// # Errors
    /// What the library says of the commands.
    pub(crate) fn target(&self, name: &str, known: Option<u32>) -> Result<CommandTarget, Error> {
        let mut builder = CommandTarget::builder(name, self.scale.iter()).count(self.count.iter());
        if let (Some(desired), Some(ready)) = (&self.desired, &self.ready) {
            builder = builder.pointers(desired, ready);
        }
        if let Some(initial) = known.or(self.initial) {
            builder = builder.initial(initial);
        }
        if let Some(deadline) = self.deadline {
            builder = builder.deadline(deadline);
        }
        for (name, value) in &self.env {
            builder = builder.env(name, value);
        }
        builder.build()
    }

    pub(super) fn check(&self, name: &str) -> Result<(), (String, Option<String>)> {
        let fault = |what: String, help: &str| Err((what, Some(help.to_owned())));
        if self.desired.is_some() != self.ready.is_some() {
            return fault(
                format!("scaler `{name}`: `command.desired` and `command.ready` go together"),
                "name both, such as `/spec/replicas` and `/status/readyReplicas`, or none",
            );
        }
        match (self.count.is_empty(), self.initial) {
            (true, None) => fault(
                format!("scaler `{name}`: nobody knows how many there are"),
                "add `count: [PROGRAM, ARGUMENT]`, which prints it, or `initial: N` if nobody but birl ever changes it",
            ),
            (false, Some(_)) => fault(
                format!("scaler `{name}`: `command.initial` has no effect beside `command.count`"),
                "keep one of them",
            ),
            _ => self.target(name, None).map(|_| ()).map_err(|error| (error.to_string(), None)),
        }
    }
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}
