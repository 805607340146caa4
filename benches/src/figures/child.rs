//! What must be a process of its own: a writer, or what is measured by its processor time and memory.

use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::alerts::Population;
use crate::append_latency::Appends;
use crate::loop_latency::Incidents;
use crate::subject::Subject;

/// The hidden first argument.
const MARK: &str = "as-a-child";

/// What a child does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Role {
    Incidents(Incidents),
    Appends(Appends),
    Subject(Subject),
    Population(Population),
    /// `decide_state`.
    ScalerStates,
}

/// A child that ends when it is dropped, however the measurement ends.
#[derive(Debug)]
pub(crate) struct Started(pub(crate) Child);

impl Role {
    /// Starts this program again.
    pub(crate) fn start(&self) -> anyhow::Result<Started> {
        let child = Command::new(std::env::current_exe()?)
            .arg(MARK)
            .arg(serde_json::to_string(self)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Started(child))
    }
}

impl Started {
    /// Waits until the child has done its part.
    pub(crate) fn wait(&mut self) -> anyhow::Result<()> {
        let code = self.0.wait()?;
        anyhow::ensure!(code.success(), "a child process failed: {code}");
        Ok(())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs as a child when the command line says so.
pub(crate) fn take_over() -> anyhow::Result<Option<ExitCode>> {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|first| first != MARK) {
        return Ok(None);
    }
    let role = args.next().context("a child has a role")?;
    match serde_json::from_slice(role.as_encoded_bytes())? {
        Role::Incidents(incidents) => incidents.write()?,
        Role::Appends(appends) => appends.write()?,
        Role::Subject(subject) => subject.run()?,
        Role::Population(population) => population.run()?,
        Role::ScalerStates => crate::decide::tell_states()?,
    }
    Ok(Some(ExitCode::SUCCESS))
}
