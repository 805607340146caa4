//! How workers are run: what the user sets, checked once, and read by every worker.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::LocalProcesses;
use super::ready::Ready;
use crate::error::{Error, ErrorKind};

/// Where a worker's output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// To where the host's own goes.
    Inherit,
    /// Nowhere.
    Null,
    /// To the end of this file, which is made if need be. `{instance}` stands for the worker.
    Append(PathBuf),
}

/// Describes local worker processes; made by [`LocalProcesses::builder`].
///
/// In arguments, environment values and output paths, `{instance}` stands for the worker's name
/// (`worker-2`), `{index}` for its number (`2`) and, once [`ports_from`](Self::ports_from) is set,
/// `{port}` for its port; anything else in braces stays as it is. The environment of each worker
/// also has `BIRL_INSTANCE`, `BIRL_INDEX` and, with ports, `BIRL_PORT`.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct LocalProcessesBuilder {
    plan: Plan,
}

/// What every worker is made from.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) target: String,
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    first_port: Option<u16>,
    pub(crate) log_file: Option<PathBuf>,
    stdout: Output,
    stderr: Output,
    pub(crate) ready: Ready,
    pub(crate) ready_timeout: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) backoff: (Duration, Duration),
    pub(crate) max_workers: u32,
    pub(crate) pid_file: Option<PathBuf>,
}

impl LocalProcessesBuilder {
    pub(crate) fn new(target: &str, program: &OsStr) -> Self {
        let plan = Plan {
            target: target.to_owned(),
            program: program.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            directory: None,
            first_port: None,
            log_file: None,
            stdout: Output::Inherit,
            stderr: Output::Inherit,
            ready: Ready::Spawned,
            ready_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
            backoff: (Duration::from_millis(100), Duration::from_secs(10)),
            max_workers: 256,
            pid_file: None,
        };
        Self { plan }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.plan.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.plan.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of the workers' environment, beside those of the host.
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.plan.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets the working directory; the host's by default.
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.plan.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Gives `worker-1` this port, `worker-2` the next, and so on.
    pub fn ports_from(mut self, first: u16) -> Self {
        self.plan.first_port = Some(first);
        self
    }

    /// The file to whose end the line `scaled to N` goes: the workload's own log.
    pub fn log_file(mut self, path: impl AsRef<Path>) -> Self {
        self.plan.log_file = Some(path.as_ref().to_owned());
        self
    }

    /// Where standard output goes; to the host's by default.
    pub fn stdout(mut self, output: Output) -> Self {
        self.plan.stdout = output;
        self
    }

    /// Where standard error goes; to the host's by default.
    pub fn stderr(mut self, output: Output) -> Self {
        self.plan.stderr = output;
        self
    }

    /// Sends standard output and error both to the end of this file.
    pub fn stdout_to(self, path: impl AsRef<Path>) -> Self {
        let output = Output::Append(path.as_ref().to_owned());
        self.stdout(output.clone()).stderr(output)
    }

    /// When a worker counts as ready; as soon as it is spawned by default.
    pub fn ready_when(mut self, ready: Ready) -> Self {
        self.plan.ready = ready;
        self
    }

    /// How long a change waits for all workers to be ready, once those too many are gone; 30 s by
    /// default.
    pub fn ready_timeout(mut self, timeout: Duration) -> Self {
        self.plan.ready_timeout = timeout;
        self
    }

    /// How long a worker may take to end after SIGTERM before it gets SIGKILL; 10 s by default.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.plan.drain_timeout = timeout;
        self
    }

    /// The pause before a crashed worker is started again: `first`, doubled with each crash up to
    /// `cap`, and back to `first` once it has run for `cap`. 100 ms and 10 s by default.
    pub fn restart_backoff(mut self, first: Duration, cap: Duration) -> Self {
        self.plan.backoff = (first, cap);
        self
    }

    /// The most workers there may ever be, whatever anybody asks for; 256 by default.
    pub fn max_workers(mut self, most: u32) -> Self {
        self.plan.max_workers = most;
        self
    }

    /// Remembers in this file which processes run, so that a host that was itself killed leaves
    /// nothing behind for good: the next one with the same file ends the leftovers with its first
    /// change, by SIGTERM and, past the drain timeout, SIGKILL. Off by default; Linux only, as it
    /// needs `/proc`.
    ///
    /// A process counts as a leftover only if boot, process id and start time are those recorded.
    /// The file is locked: a second host with the same file is refused. Keep it where it outlives
    /// the host, beside its other state.
    pub fn pid_file(mut self, path: impl AsRef<Path>) -> Self {
        self.plan.pid_file = Some(path.as_ref().to_owned());
        self
    }

    /// Checks the description. Nothing is started yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`], naming the setting.
    pub fn build(self) -> Result<LocalProcesses, Error> {
        let plan = self.plan;
        let fault = plan.fault();
        fault.map_or_else(
            || Ok(LocalProcesses::new(plan.clone())),
            |fault| {
                let message = format!("local processes `{}`: {fault}", plan.target);
                Err(Error::new(ErrorKind::InvalidInput, message))
            },
        )
    }
}

impl Plan {
    /// The name of worker `number`, which starts at 1.
    pub(crate) fn instance(number: u32) -> String {
        format!("worker-{number}")
    }

    /// The command that runs worker `number`.
    pub(crate) fn command(&self, number: u32) -> Result<Command, Error> {
        let instance = Self::instance(number);
        let port = self.port(number).map(|port| port.to_string());
        let index = number.to_string();
        let mut command = Command::new(&self.program);
        command
            .args(self.args.iter().map(|arg| self.fill(arg, number)))
            .envs(self.env.iter().map(|(key, value)| (key, self.fill(value, number))))
            .env("BIRL_INSTANCE", &instance)
            .env("BIRL_INDEX", index)
            .envs(port.iter().map(|port| ("BIRL_PORT", port)))
            .stdin(Stdio::null())
            .stdout(self.open(&self.stdout, number)?)
            .stderr(self.open(&self.stderr, number)?)
            .process_group(0)
            .kill_on_drop(true);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        Ok(command)
    }

    /// The program, for messages.
    pub(crate) fn program(&self) -> std::path::Display<'_> {
        Path::new(&self.program).display()
    }

    /// Replaces the placeholders of worker `number` in `template`.
    pub(crate) fn fill(&self, template: &OsStr, number: u32) -> OsString {
        let Some(text) = template.to_str() else { return template.to_owned() };
        let mut text = text
            .replace("{instance}", &Self::instance(number))
            .replace("{index}", &number.to_string());
        if let Some(port) = self.port(number) {
            text = text.replace("{port}", &port.to_string());
        }
        text.into()
    }

    fn port(&self, number: u32) -> Option<u32> {
        self.first_port.map(|first| u32::from(first).saturating_add(number - 1))
    }

    fn open(&self, output: &Output, number: u32) -> Result<Stdio, Error> {
        match output {
            Output::Inherit => Ok(Stdio::inherit()),
            Output::Null => Ok(Stdio::null()),
            Output::Append(path) => {
                let path = PathBuf::from(self.fill(path.as_os_str(), number));
                open_to_append(&path).map(Stdio::from).map_err(|error| {
                    let message = format!("cannot append to {}", path.display());
                    Error::new(ErrorKind::Io, message).with_source(error)
                })
            }
        }
    }

    fn fault(&self) -> Option<String> {
        if self.target.trim().is_empty() {
            return Some("the target has no name".into());
        }
        if self.program.is_empty() {
            return Some("there is no program to run".into());
        }
        if self.max_workers == 0 {
            return Some("max_workers is 0: use 1 or more".into());
        }
        if self.backoff.0.is_zero() {
            let remedy = "a crash loop must pause, say for 100 ms";
            return Some(format!("restart_backoff begins at zero: {remedy}"));
        }
        let holds_port = |text: &OsString| text.to_str().is_some_and(|t| t.contains("{port}"));
        let wants_port =
            self.args.iter().chain(self.env.iter().map(|(_, value)| value)).any(holds_port);
        match self.port(self.max_workers) {
            None if wants_port => Some("`{port}` is used: say where with `ports_from`".into()),
            Some(last) if last > u32::from(u16::MAX) => Some(format!(
                "the last of {} workers would have port {last}: lower `ports_from` or `max_workers`",
                self.max_workers
            )),
            _ => self.ready.fault(),
        }
    }
}

pub(crate) fn open_to_append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
