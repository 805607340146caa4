//! One worker and the task that looks after it: ready, crashed, started again, drained.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::Counts;
use super::builder::Plan;
use super::group::{Group, Slot};
use super::pid_file::PidFile;
use super::ready::ReadyWatch;
use crate::error::{Error, ErrorKind};

/// Where a worker is in its life.
#[derive(Debug, Clone, Default)]
struct Status {
    stage: Stage,
    /// How it last ended by itself, and how often it has.
    crash: Option<(String, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Starting,
    Ready,
    Crashed,
    Gone,
}

/// A worker, as the table of its target holds it.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) name: String,
    slot: Slot,
    status: watch::Receiver<Status>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// What waits for a worker to change.
pub(crate) struct WorkerWatch {
    pub(crate) name: String,
    status: watch::Receiver<Status>,
}

impl Worker {
    /// Starts worker `number` and the task that looks after it.
    pub(crate) fn start(
        plan: &Arc<Plan>,
        counts: &Arc<Counts>,
        pids: &Arc<OnceLock<PidFile>>,
        number: u32,
    ) -> Result<Self, Error> {
        let slot = Slot::default();
        let (sender, status) = watch::channel(Status::default());
        let (stop, stopped) = oneshot::channel();
        let mut keeper = Keeper {
            plan: Arc::clone(plan),
            counts: Arc::clone(counts),
            pids: Arc::clone(pids),
            number,
            slot: slot.clone(),
            status: sender,
        };
        let started = keeper.spawn()?;
        let task = tokio::spawn(async move { keeper.keep(started, stopped).await });
        Ok(Self { name: Plan::instance(number), slot, status, stop: Some(stop), task })
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.status.borrow().stage == Stage::Ready
    }

    pub(crate) fn is_gone(&self) -> bool {
        // Without a task there is nobody left to say so.
        self.status.borrow().stage == Stage::Gone || self.task.is_finished()
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.slot.pid()
    }

    pub(crate) fn watch(&self) -> WorkerWatch {
        WorkerWatch { name: self.name.clone(), status: self.status.clone() }
    }

    /// Begins to drain it.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A task that has ended has nothing left to stop.
            let _ = stop.send(());
        }
    }

    /// Kills it at once, without waiting for anything.
    pub(crate) fn kill(&mut self) {
        self.slot.close();
        self.task.abort();
    }
}

impl WorkerWatch {
    /// Waits until it is ready, or gone because it was stopped; for ever if its task was ended.
    pub(crate) async fn ready(&mut self) {
        let settled = |status: &Status| matches!(status.stage, Stage::Ready | Stage::Gone);
        if self.status.wait_for(settled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until it is gone.
    pub(crate) async fn gone(&mut self) {
        // The task drops its end only after the process group is dead.
        let _ = self.status.wait_for(|status| status.stage == Stage::Gone).await;
    }

    /// Why it is not ready, as the end of a sentence.
    pub(crate) fn trouble(&self) -> String {
        match &self.status.borrow().crash {
            Some((how, times)) => format!("ended by itself, {times} times, last with {how}"),
            None => "is still starting".to_owned(),
        }
    }
}

/// The task's side.
struct Keeper {
    plan: Arc<Plan>,
    counts: Arc<Counts>,
    pids: Arc<OnceLock<PidFile>>,
    number: u32,
    slot: Slot,
    status: watch::Sender<Status>,
}

impl Keeper {
    fn spawn(&self) -> Result<(Group, ReadyWatch), Error> {
        let ready = self.plan.ready.watch(&self.plan, self.number);
        let spawned = self.plan.command(self.number).and_then(|mut command| {
            command.spawn().map_err(|error| {
                let program = self.plan.program();
                let remedy = "is it installed, executable, and spelled right?";
                let message = format!("cannot start {program} ({error}): {remedy}");
                Error::new(ErrorKind::Spawn, message).with_source(error)
            })
        });
        match spawned {
            Ok(child) => {
                if let Some(pids) = self.pids.get()
                    && let Err(error) = pids.record(self.number, child.id())
                {
                    tracing::warn!(target: "birl_scaler", %error, "a pid was not recorded");
                }
                Ok((Group::adopt(child, self.slot.clone()), ready))
            }
            Err(error) => {
                self.counts.spawn_failures.fetch_add(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    /// Looks after the worker until it is told to stop.
    async fn keep(&mut self, started: (Group, ReadyWatch), mut stop: oneshot::Receiver<()>) {
        let (first, cap) = self.plan.backoff;
        let mut pause = first;
        let mut running = Some(started);
        loop {
            if let Some((mut group, ready)) = running.take() {
                let began = Instant::now();
                let Some(how) = self.watch_over(&mut group, ready, &mut stop).await else {
                    if group.drain(self.plan.drain_timeout).await {
                        self.counts.killed.fetch_add(1, Ordering::Relaxed);
                    }
                    break;
                };
                if began.elapsed() >= cap {
                    pause = first;
                }
                self.crashed(&how, pause);
            }
            tokio::select! {
                biased;
                _ = &mut stop => break,
                () = sleep(pause) => {}
            }
            pause = pause.saturating_mul(2).min(cap);
            match self.spawn() {
                Ok(started) => {
                    self.counts.restarts.fetch_add(1, Ordering::Relaxed);
                    running = Some(started);
                    self.set(Stage::Starting);
                }
                Err(error) => self.crashed(&error.to_string(), pause),
            }
        }
        self.set(Stage::Gone);
    }

    /// How the worker ended by itself, or nothing if it is to be stopped.
    async fn watch_over(
        &self,
        group: &mut Group,
        mut ready: ReadyWatch,
        stop: &mut oneshot::Receiver<()>,
    ) -> Option<String> {
        let mut is_ready = false;
        loop {
            tokio::select! {
                biased;
                // Also when the sender is gone: nobody could stop the worker any more.
                _ = &mut *stop => return None,
                ended = group.ended() => {
                    return Some(ended.map_or_else(|error| error.to_string(), |s| s.to_string()));
                }
                () = ready.ready(), if !is_ready => {
                    is_ready = true;
                    self.set(Stage::Ready);
                }
            }
        }
    }

    fn crashed(&self, how: &str, pause: Duration) {
        tracing::warn!(
            target: "birl_scaler",
            instance = Plan::instance(self.number),
            how,
            restart_in = crate::duration::format(pause),
            "worker ended by itself"
        );
        self.status.send_modify(|status| {
            let times = status.crash.as_ref().map_or(0, |(_, times)| *times);
            *status = Status { stage: Stage::Crashed, crash: Some((how.to_owned(), times + 1)) };
        });
    }

    fn set(&self, stage: Stage) {
        self.status.send_modify(|status| status.stage = stage);
    }
}
