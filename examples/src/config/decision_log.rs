//! Where decisions are kept, if not in the state directory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use birl_router::Position;
use serde::Deserialize;

use super::{Fault, duration};

/// Somewhere else than in the state directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionLogConfig {
    pub(crate) etcd: EtcdConfig,
}

/// An etcd, whose keys are the entries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EtcdConfig {
    /// Its members: `http://127.0.0.1:2379`.
    pub(crate) endpoints: Vec<String>,
    /// What the keys begin with; `birl/decisions/` when absent.
    pub(crate) prefix: Option<String>,
    /// How long entries are kept; for good when absent.
    #[serde(default, with = "duration::optional")]
    pub(crate) keep: Option<Duration>,
    pub(crate) user: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
}

impl DecisionLogConfig {
    pub(super) fn check(&self, at: Position) -> Result<(), Fault> {
        let etcd = &self.etcd;
        let fault =
            |what: &str, help: &str| Err((Some(at), what.to_owned(), Some(help.to_owned())));
        if etcd.endpoints.is_empty() {
            return fault("`etcd.endpoints` is empty", "name a member: `http://127.0.0.1:2379`");
        }
        if etcd.user.is_some() != etcd.password_file.is_some() {
            return fault("`etcd.user` and `etcd.password_file` go together", "name both, or none");
        }
        Ok(())
    }

    /// Relative paths count from `folder`.
    pub(super) fn resolve_paths(&mut self, folder: &Path) {
        if let Some(file) = &mut self.etcd.password_file {
            *file = folder.join(&*file);
        }
    }
}
