//! Worker processes on this machine: the embedded default of a scale target.

mod builder;
mod group;
mod log;
mod pid_file;
mod ready;
mod worker;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

pub use self::builder::{LocalProcessesBuilder, Output};
pub use self::ready::Ready;

use self::builder::Plan;
use self::pid_file::PidFile;
use self::worker::Worker;
use crate::decision::Decision;
use crate::error::{Error, ErrorKind};
use crate::signal::{Instance, Replicas};
use crate::target::ScaleTarget;

/// How long the kernel may take to end a killed process before it is given up on.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// Runs as many copies of a program as a decision says.
///
/// Workers are named `worker-1` to `worker-N`: names are stable, the lowest free one is used first,
/// and a scale-in stops the highest. Each runs in a process group of its own. A scale-in sends the
/// group SIGTERM, and SIGKILL once the drain timeout has passed; a worker that crashes is started
/// again under its name, after a pause that doubles up to a cap.
///
/// It starts with no worker at all; a [`Decider`](crate::Decider) takes zero replicas for a pause,
/// so [`start`](Self::start) the first ones yourself. Dropping it kills every worker at once;
/// [`shutdown`](Self::shutdown) drains them. A host that is itself killed with SIGKILL cannot clean
/// up. Where that must leave nothing running, run it in a container or under systemd, whose default
/// `KillMode=control-group` ends the workers with their host; elsewhere
/// [`pid_file`](LocalProcessesBuilder::pid_file) lets the next host end them.
///
/// All methods need a running tokio runtime with time and I/O enabled.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), birl_scaler::Error> {
/// use birl_scaler::{LocalProcesses, Replicas, ScaleTarget};
///
/// let workers = LocalProcesses::builder("workers", "sleep").arg("60").build()?;
/// workers.start(2).await?;
/// assert_eq!(workers.replicas().await?, Replicas::ready(2));
/// workers.shutdown().await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct LocalProcesses {
    plan: Arc<Plan>,
    counts: Arc<Counts>,
    /// Opened with the first change, where one is asked for.
    pids: Arc<OnceLock<PidFile>>,
    table: Mutex<Table>,
    /// Whose turn it is to change the size; calls that overlap queue here, in order.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Table {
    desired: u32,
    /// `worker-1` first; there are never gaps.
    workers: Vec<Worker>,
    /// Told to stop and not gone yet.
    draining: Vec<Worker>,
    /// The size that the log was last told.
    told: Option<u32>,
    closed: bool,
}

/// What happened to the workers, counted.
#[derive(Debug, Default)]
struct Counts {
    restarts: AtomicU64,
    spawn_failures: AtomicU64,
    killed: AtomicU64,
    log_failures: AtomicU64,
    leftovers: AtomicU64,
}

/// What happened to the workers so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProcessStats {
    /// How often a worker that had ended by itself was started again.
    pub restarts: u64,
    /// How often a worker could not be started.
    pub spawn_failures: u64,
    /// How many workers outlived the drain timeout and were killed.
    pub killed: u64,
    /// How often the line `scaled to N` could not be written.
    pub log_failures: u64,
    /// How many workers of a host that was killed were found by the pid file, and ended.
    pub leftovers: u64,
}

impl LocalProcesses {
    /// Begins to describe workers that run `program`, as the scale target `target`.
    pub fn builder(
        target: impl AsRef<str>,
        program: impl AsRef<std::ffi::OsStr>,
    ) -> LocalProcessesBuilder {
        LocalProcessesBuilder::new(target.as_ref(), program.as_ref())
    }

    /// Brings the number of workers to `replicas` and returns when all of them are ready and those
    /// too many are gone. Then, if the number is a new one, it appends the line `scaled to N` to
    /// the log file.
    ///
    /// Calls that overlap are carried out one after the other. Dropping the future stops the
    /// waiting, not the change.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] above the configured ceiling, [`ErrorKind::Closed`] after a
    /// shutdown; both change nothing. [`ErrorKind::Spawn`] if a worker cannot be started at all:
    /// the size stays as it was. [`ErrorKind::Timeout`] if the workers are not ready in time: they
    /// stay, and may get there later. [`ErrorKind::Io`] if the pid file cannot be used.
    pub async fn start(&self, replicas: u32) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        self.leftovers().await?;
        // What an earlier change that nobody waited for left behind still has the names.
        self.stopped().await?;
        self.resize(replicas)?;
        self.stopped().await?;
        self.ready().await?;
        self.tell(replicas);
        Ok(())
    }

    /// Drains every worker and accepts no further change. Doing it twice is fine. A change under
    /// way does not hold it up: that one ends with [`ErrorKind::Closed`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`] if a process cannot even be killed, as one that hangs in the kernel.
    pub async fn shutdown(&self) -> Result<(), Error> {
        {
            let mut table = self.lock();
            table.closed = true;
            table.desired = 0;
            table.stop_down_to(0);
        }
        let _turn = self.turn.lock().await;
        self.stopped().await
    }

    /// How many workers there should be, and how many are ready. One that drains is neither.
    pub fn size(&self) -> Replicas {
        let table = self.lock();
        let ready = table.workers.iter().filter(|worker| worker.is_ready()).count();
        Replicas { desired: table.desired, ready: u32::try_from(ready).unwrap_or(u32::MAX) }
    }

    /// The workers by name, for an [`Observation`](crate::Observation). Those that drain are gone.
    pub fn instances(&self) -> Vec<Instance> {
        let table = self.lock();
        table.workers.iter().map(|w| Instance::new(w.name.as_str(), w.is_ready())).collect()
    }

    /// The process ids of the workers that run, by name; those that drain included.
    pub fn pids(&self) -> Vec<(String, u32)> {
        let table = self.lock();
        let all = table.workers.iter().chain(&table.draining);
        all.filter_map(|worker| Some((worker.name.clone(), worker.pid()?))).collect()
    }

    /// What happened so far.
    pub fn stats(&self) -> ProcessStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ProcessStats {
            restarts: read(&self.counts.restarts),
            spawn_failures: read(&self.counts.spawn_failures),
            killed: read(&self.counts.killed),
            log_failures: read(&self.counts.log_failures),
            leftovers: read(&self.counts.leftovers),
        }
    }

    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan: Arc::new(plan),
            counts: Arc::default(),
            pids: Arc::default(),
            table: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Ends, before the first change, what a host before this one left running.
    async fn leftovers(&self) -> Result<(), Error> {
        let Some(path) = self.plan.pid_file.as_ref().filter(|_| self.pids.get().is_none()) else {
            return Ok(());
        };
        let (file, count) = PidFile::open(path, self.plan.drain_timeout).await?;
        self.counts.leftovers.fetch_add(count, Ordering::Relaxed);
        // It is this call's turn, so that nobody else can have set it.
        let _ = self.pids.set(file);
        Ok(())
    }

    /// Starts and stops, without waiting for either.
    fn resize(&self, replicas: u32) -> Result<(), Error> {
        let name = &self.plan.target;
        let most = self.plan.max_workers;
        if replicas > most {
            let remedy = "raise `max_workers` if it is meant";
            let message = format!("{name}: {replicas} workers asked, {most} are allowed: {remedy}");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let mut table = self.lock();
        if table.closed {
            return Err(self.closed());
        }
        let before = table.workers.len();
        table.stop_down_to(replicas as usize);
        while table.workers.len() < replicas as usize {
            let number = table.workers.len() as u32 + 1;
            match Worker::start(&self.plan, &self.counts, &self.pids, number) {
                Ok(worker) => table.workers.push(worker),
                Err(error) => {
                    table.stop_down_to(before);
                    return Err(error);
                }
            }
        }
        table.desired = replicas;
        Ok(())
    }

    /// Waits until all that were told to stop are gone.
    async fn stopped(&self) -> Result<(), Error> {
        let deadline = deadline(self.plan.drain_timeout.saturating_add(KILL_GRACE));
        let waiting: Vec<_> = self.lock().draining.iter().map(Worker::watch).collect();
        for mut watch in waiting {
            if timeout_at(deadline, watch.gone()).await.is_err() {
                let message = format!("{}: {} does not end", self.plan.target, watch.name);
                return Err(Error::new(ErrorKind::Timeout, message));
            }
        }
        self.lock().draining.retain(|worker| !worker.is_gone());
        Ok(())
    }

    /// Waits until all workers are ready at the same time.
    async fn ready(&self) -> Result<(), Error> {
        let deadline = deadline(self.plan.ready_timeout);
        loop {
            let late = {
                let table = self.lock();
                if table.closed {
                    return Err(self.closed());
                }
                table.workers.iter().find(|w| !w.is_ready()).map(Worker::watch)
            };
            let Some(mut late) = late else { return Ok(()) };
            if timeout_at(deadline, late.ready()).await.is_err() {
                let Replicas { desired, ready } = self.size();
                let message = format!(
                    "{}: {ready} of {desired} workers were ready after {}: {} {}",
                    self.plan.target,
                    crate::duration::format(self.plan.ready_timeout),
                    late.name,
                    late.trouble(),
                );
                return Err(Error::new(ErrorKind::Timeout, message));
            }
        }
    }

    fn closed(&self) -> Error {
        let message = format!("{}: shut down, it cannot be scaled any more", self.plan.target);
        Error::new(ErrorKind::Closed, message)
    }

    fn tell(&self, replicas: u32) {
        let mut table = self.lock();
        if table.closed || table.told == Some(replicas) {
            return;
        }
        table.told = Some(replicas);
        let names: Vec<String> = table.workers.iter().map(|worker| worker.name.clone()).collect();
        drop(table);
        let Some(path) = &self.plan.log_file else { return };
        if let Err(error) = log::scaled(path, &self.plan.target, &names) {
            self.counts.log_failures.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(target: "birl_scaler", path = %path.display(), %error, "log line lost");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is whole between any two statements that could panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `timeout` from now; where the clock's range ends, a year.
fn deadline(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or(now + Duration::from_secs(365 * 86_400))
}

impl Table {
    fn stop_down_to(&mut self, count: usize) {
        while self.workers.len() > count {
            let Some(mut newest) = self.workers.pop() else { return };
            newest.stop();
            self.draining.push(newest);
        }
    }
}

#[async_trait]
impl ScaleTarget for LocalProcesses {
    async fn replicas(&self) -> Result<Replicas, Error> {
        Ok(self.size())
    }

    async fn scale_to(&self, replicas: u32, _decision: &Decision) -> Result<(), Error> {
        self.start(replicas).await
    }
}

impl Drop for LocalProcesses {
    fn drop(&mut self) {
        let table = self.table.get_mut().unwrap_or_else(PoisonError::into_inner);
        for worker in table.workers.iter_mut().chain(&mut table.draining) {
            worker.kill();
        }
    }
}
