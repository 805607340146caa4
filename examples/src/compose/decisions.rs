//! Where decisions are kept, and what deciders remember of those before them.

use std::path::PathBuf;

use birl_scaler::{
    Decider, DeciderState, DecisionRecorder, Error, ErrorKind, FileDecisionLog, FileLogOptions,
    RecorderOptions, last_state,
};
use tracing::warn;

use crate::config::{Config, ScalerConfig};
use crate::failure::Failure;

/// The log of decisions, which nothing is written to yet.
#[derive(Debug)]
pub(super) enum Decisions {
    /// Nobody decides anything that counts.
    Nowhere,
    Files(FileDecisionLog, PathBuf),
    #[cfg(feature = "etcd")]
    Etcd(Box<birl_scaler::EtcdDecisionLog>),
}

impl Decisions {
    /// Opens what the configuration names; in the state directory if it names nothing.
    pub(super) fn open(config: &Config) -> Result<Self, Failure> {
        if config.stateless || config.scalers.is_empty() {
            return Ok(Self::Nowhere);
        }
        #[cfg(feature = "etcd")]
        if let Some(log) = &config.decision_log {
            return etcd::connect(&log.value.etcd).map(|log| Self::Etcd(Box::new(log)));
        }
        let folder = config.state_dir.join("decisions");
        let log = FileDecisionLog::open(&folder, FileLogOptions::default());
        Ok(Self::Files(log.map_err(Failure::input)?, folder))
    }

    /// A decider that goes on where the log says that it stopped.
    pub(super) fn decider(&self, scaler: &ScalerConfig) -> Result<Decider, Failure> {
        let (name, spec) = (scaler.name(), || scaler.spec.clone());
        let before = self.last_state(name).unwrap_or_else(|error| {
            warn!(target_ref = name, %error, "beginning anew: the log of decisions cannot be read");
            None
        });
        if let Some(state) = before {
            match Decider::with_state(spec(), state) {
                Err(error) if error.kind() == ErrorKind::InvalidState => {
                    warn!(target_ref = name, %error, "beginning anew");
                }
                other => return other.map_err(Failure::input),
            }
        }
        Decider::new(spec()).map_err(Failure::input)
    }

    /// Writes beside the loop from here on: no decision waits for a disk, or a network.
    pub(super) fn record(self) -> Result<Option<DecisionRecorder>, Failure> {
        let options = RecorderOptions::default();
        let recorder = match self {
            Self::Nowhere => return Ok(None),
            Self::Files(log, _) => DecisionRecorder::start(log, options),
            #[cfg(feature = "etcd")]
            Self::Etcd(log) => DecisionRecorder::start(log, options),
        };
        recorder.map(Some).map_err(Failure::own)
    }

    fn last_state(&self, target: &str) -> Result<Option<DeciderState>, Error> {
        match self {
            Self::Nowhere => Ok(None),
            Self::Files(_, folder) => last_state(folder, target),
            #[cfg(feature = "etcd")]
            Self::Etcd(log) => etcd::wait(log.last_state(target)),
        }
    }
}

#[cfg(feature = "etcd")]
mod etcd {
    use birl_scaler::{EtcdDecisionLog, EtcdLogOptions};
    use tokio::runtime::Handle;

    use crate::config::EtcdConfig;
    use crate::failure::Failure;

    pub(super) fn connect(config: &EtcdConfig) -> Result<EtcdDecisionLog, Failure> {
        let endpoints: Vec<&str> = config.endpoints.iter().map(String::as_str).collect();
        let mut options = EtcdLogOptions::default();
        if let Some(prefix) = &config.prefix {
            options.prefix.clone_from(prefix);
        }
        options.keep = config.keep;
        if let (Some(user), Some(file)) = (&config.user, &config.password_file) {
            let password = std::fs::read_to_string(file).map_err(|error| {
                let file = file.display();
                Failure::input(format!("cannot read `password_file` {file} of etcd: {error}"))
            })?;
            options.user = Some((user.clone(), password.trim_end().to_owned()));
        }
        wait(EtcdDecisionLog::connect(&endpoints, options)).map_err(Failure::input)
    }

    /// Before the loop runs, there is nobody to hold up.
    pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
        Handle::current().block_on(future)
    }
}
