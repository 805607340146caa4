//! What decisions are carried out on: workers of birl's own, and what lives without it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use birl_scaler::{Error, Instance, LocalProcesses, Replicas, ScaleTarget};
use tracing::{error, info, warn};

use super::sizes::Sizes;
use crate::config::{Mode, ProcessesConfig, ScalerConfig};
use crate::failure::Failure;

/// How long a target may take to say how large it is; less than the customary tick.
const ANSWER: Duration = Duration::from_secs(10);

/// A target, whatever it is.
pub(crate) type Target = Arc<dyn ScaleTarget>;

/// The targets of all scalers, by name.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    workers: BTreeMap<String, Workers>,
    outside: BTreeMap<String, Target>,
    /// Those that are looked for at the start.
    #[cfg(feature = "kube")]
    kubernetes: Vec<(crate::config::KubernetesConfig, birl_scaler::TargetRef)>,
}

/// Worker processes, and how many of them birl begins with.
#[derive(Debug)]
struct Workers {
    processes: Arc<LocalProcesses>,
    begin_with: u32,
    /// Whether readings go by their names.
    named: bool,
}

impl Targets {
    /// Takes in what a scaler acts on. Nothing is started, run or asked yet.
    pub(crate) fn add(
        &mut self,
        scaler: &ScalerConfig,
        mode: Mode,
        sizes: &Sizes,
    ) -> Result<(), Failure> {
        let (name, spec) = (scaler.name(), &scaler.spec);
        if let Some(processes) = scaler.processes.as_ref().filter(|_| mode == Mode::Act) {
            let processes = local(name, &processes.value, sizes).map_err(named(name))?;
            let begin_with = sizes.last(name, spec.min_replicas, spec.max_replicas);
            let named = scaler.has_named_workers();
            let workers = Workers { processes: Arc::new(processes), begin_with, named };
            self.workers.insert(name.to_owned(), workers);
        }
        if let Some(command) = &scaler.command {
            let target = command.value.target(name, sizes.known(name)).map_err(named(name))?;
            self.outside.insert(name.to_owned(), Arc::new(target));
        }
        #[cfg(feature = "kube")]
        if let Some(kubernetes) = &scaler.kubernetes {
            self.kubernetes.push((kubernetes.value.clone(), spec.target_ref.clone()));
        }
        Ok(())
    }

    /// Finds the cluster, and starts the workers.
    ///
    /// # Errors
    /// What cannot be had or started, with the scaler that it is for.
    pub(crate) async fn start(&mut self) -> Result<(), Failure> {
        #[cfg(feature = "kube")]
        for (config, reference) in std::mem::take(&mut self.kubernetes) {
            let name = reference.name.to_string();
            let target = kubernetes(&config, &reference).await.map_err(named(&name))?;
            self.outside.insert(name, Arc::new(target));
        }
        for (name, workers) in &self.workers {
            workers.processes.start(workers.begin_with).await.map_err(named(name))?;
        }
        Ok(())
    }

    /// Those that have to be asked, and take their time.
    pub(crate) fn outside(&self) -> &BTreeMap<String, Target> {
        &self.outside
    }

    /// How many workers there are, and which where readings go by their names. It is known at once.
    pub(crate) fn workers(&self) -> impl Iterator<Item = (&str, Replicas, Option<Vec<Instance>>)> {
        self.workers.iter().map(|(name, Workers { processes, named, .. })| {
            (name.as_str(), processes.size(), named.then(|| processes.instances()))
        })
    }

    /// What a decision about `name` is carried out on.
    pub(crate) fn get(&self, name: &str) -> Option<Target> {
        let workers = self.workers.get(name);
        let workers = workers.map(|workers| Arc::clone(&workers.processes) as Target);
        workers.or_else(|| self.outside.get(name).map(Arc::clone))
    }

    /// Drains the workers. What lives without birl stays as it is.
    pub(crate) async fn shutdown(&self) {
        for (name, workers) in &self.workers {
            if let Err(error) = workers.processes.shutdown().await {
                error!(target_ref = name, %error, "workers could not be drained");
            }
        }
    }
}

/// How large a target is, and what was said of that.
#[derive(Debug)]
pub(crate) struct Size {
    target: Target,
    is_known: bool,
}

impl Size {
    pub(crate) fn of(target: Target) -> Self {
        Self { target, is_known: true }
    }

    /// Asks for it; nothing if the target does not say.
    pub(crate) async fn ask(&mut self, name: &str) -> Option<Replicas> {
        let answer = match tokio::time::timeout(ANSWER, self.target.replicas()).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {ANSWER:?}")),
        };
        match (&answer, std::mem::replace(&mut self.is_known, answer.is_ok())) {
            (Err(error), true) => {
                warn!(
                    target_ref = name,
                    error, "the target does not say how large it is; nothing is decided"
                );
            }
            (Ok(_), false) => info!(target_ref = name, "the target says how large it is again"),
            _ => {}
        }
        answer.ok()
    }
}

fn local(name: &str, processes: &ProcessesConfig, sizes: &Sizes) -> Result<LocalProcesses, Error> {
    let mut words = processes.command.iter();
    let program = words.next().map_or("", String::as_str);
    let mut builder = LocalProcesses::builder(name, program)
        .args(words)
        .drain_timeout(processes.drain_timeout)
        .pid_file(sizes.pid_file(name));
    for (name, value) in &processes.env {
        builder = builder.env(name, value);
    }
    if let Some(log) = &processes.log {
        builder = builder.log_file(log).stdout_to(log);
    }
    builder.build()
}

#[cfg(feature = "kube")]
async fn kubernetes(
    config: &crate::config::KubernetesConfig,
    reference: &birl_scaler::TargetRef,
) -> Result<birl_scaler::KubeTarget, Error> {
    use birl_scaler::KubeTarget;
    let target = match &config.server {
        Some(url) => KubeTarget::at(url, &config.namespace, reference)?,
        None => KubeTarget::connect(&config.namespace, reference).await?,
    };
    Ok(match config.deadline {
        Some(deadline) => target.deadline(deadline),
        None => target,
    })
}

fn named(name: &str) -> impl Fn(Error) -> Failure {
    move |error| Failure::input(format!("scaler `{name}`: {error}"))
}
