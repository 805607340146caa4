//! The shell: streams, timers, deliveries and targets around [`Core`].

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use birl_logsource::{Batch, LogSource, Position};
use birl_router::{DeliveryReport, DeliveryResult, Dispatcher, Notification, Reports};
use birl_rules_dsl::reload::ReloadEvent;
use birl_scaler::{Decision, ErrorKind, Metrics, Replicas, ScaleTarget as _, Status};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{Instrument as _, error, info, warn};

use super::Core;
use super::acks::Acks;
use super::core::Effects;
use super::names::Names;
use super::signals::{SignalPlan, Signals};
use super::sizes::Sizes;
use super::targets::{Target, Targets};
use crate::failure::Failure;

/// Batches that wait for the core; a source that is faster waits in its own channel, and then in its file.
const QUEUE: usize = 16;
/// How often workers are counted, proofs are looked at, and it may be somebody's turn to decide.
const POLL: Duration = Duration::from_millis(250);
/// How far the carried-on clock may be from the system's.
const MAX_DRIFT: Duration = Duration::from_secs(1);
/// How long deliveries under way may take at the end.
const GRACE: Duration = Duration::from_secs(10);

/// Everything that touches the world.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) core: Core,
    pub(crate) sources: Vec<(Arc<dyn LogSource>, Position)>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) reports: Reports,
    pub(crate) targets: Targets,
    pub(crate) sizes: Sizes,
    pub(crate) reloads: mpsc::Receiver<ReloadEvent>,
    pub(crate) names: Names,
    pub(crate) scale_metrics: Metrics,
    pub(crate) signals: SignalPlan,
}

type Stream = BoxStream<'static, Result<Batch, birl_logsource::Error>>;

/// A change that was carried out, or not.
type Applied = (Decision, Result<Replicas, String>);

impl Live {
    /// Runs until `shutdown` resolves, or until every source has ended.
    ///
    /// # Errors
    /// When workers cannot be started at all (a program that is not there, say), or when a source
    /// failed for good.
    pub(crate) async fn run(mut self, shutdown: impl Future<Output = ()>) -> Result<(), Failure> {
        let mut clock = Clock::start();
        let (feed, mut batches) = mpsc::channel(QUEUE);
        let mut readers = JoinSet::new();
        // Where a source begins is settled here: what is written from now on is seen.
        for (source, position) in std::mem::take(&mut self.sources) {
            let stream = source.tail(position);
            readers.spawn(pump(source, stream, feed.clone()));
        }
        drop(feed);
        info!(sources = readers.len(), "following");
        self.targets.start().await?;
        let mut signals: Signals = self.signals.start(self.targets.outside()).await?;
        let mut acks = Acks::default();
        let mut changes: JoinSet<Applied> = JoinSet::new();
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::pin!(shutdown);
        loop {
            let deadline = self.core.next_deadline();
            tokio::select! {
                () = &mut shutdown => {
                    info!("stopping: finishing what is under way");
                    break;
                }
                batch = batches.recv() => {
                    let Some(batch) = batch else {
                        info!("every source has ended");
                        break;
                    };
                    let now = clock.now();
                    let effects = self.core.on_batch(&batch, now);
                    acks.hold(batch.into_ack(), causes(&effects));
                    self.carry_out(effects, &mut acks, &mut changes, now);
                }
                Some(report) = self.reports.next() => self.on_report(&report, &mut acks, clock.now()),
                Some(done) = changes.join_next() => {
                    match done {
                        Ok(applied) => self.on_applied(applied, &mut acks, &mut changes, clock.now()),
                        Err(error) => error!(%error, "a scale action was lost"),
                    }
                }
                Some(event) = self.reloads.recv() => self.on_reload(event),
                answer = signals.next() => {
                    let now = clock.now();
                    let effects = self.core.on_answer(answer, now);
                    self.carry_out(effects, &mut acks, &mut changes, now);
                }
                _ = poll.tick() => {
                    clock.follow();
                    let now = clock.now();
                    self.count_workers(now);
                    signals.ask(now);
                    let effects = self.core.on_tick(now);
                    self.carry_out(effects, &mut acks, &mut changes, now);
                }
                () = sleep_until(deadline, &clock), if deadline.is_some() => {
                    let now = clock.now();
                    let effects = self.core.on_tick(now);
                    self.carry_out(effects, &mut acks, &mut changes, now);
                }
            }
        }
        self.finish(acks, changes, &clock).await;
        readers.abort_all();
        while let Some(ended) = readers.join_next().await {
            if let Ok(Some(failure)) = ended {
                return Err(Failure::running(failure));
            }
        }
        Ok(())
    }

    /// Deliveries and changes under way end, within a bound; workers are drained.
    async fn finish(mut self, mut acks: Acks, mut changes: JoinSet<Applied>, clock: &Clock) {
        let ended = tokio::time::timeout(2 * GRACE, async {
            while let Some(done) = changes.join_next().await {
                if let Ok((decision, result)) = done {
                    // What follows from it is not begun any more.
                    let _ = self.core.on_applied(&decision, result, clock.now());
                    acks.settle(&decision.id.to_string());
                }
            }
            let left = self.dispatcher.shutdown(GRACE).await;
            while let Some(report) = self.reports.try_next() {
                self.on_report(&report, &mut acks, clock.now());
            }
            for report in left.iter().filter(|report| report.result == DeliveryResult::Delivered) {
                self.on_report(report, &mut acks, clock.now());
            }
        });
        if ended.await.is_err() {
            warn!(grace = ?GRACE, "not everything ended in time; what is not acknowledged is read again at the next start");
        }
        self.targets.shutdown().await;
    }

    fn carry_out(
        &mut self,
        effects: Effects,
        acks: &mut Acks,
        changes: &mut JoinSet<Applied>,
        now: SystemTime,
    ) {
        for notification in effects.notifications {
            self.send(notification, acks, now);
        }
        for decision in effects.decisions {
            let Some(target) = self.targets.get(&decision.target) else { continue };
            self.core.on_applying(&decision);
            changes.spawn(apply(target, decision));
        }
    }

    fn send(&mut self, notification: Notification, acks: &mut Acks, now: SystemTime) {
        // A pool has finitely many endpoints, so what is refused everywhere ends as a dead letter.
        if let Err(refused) = self.dispatcher.send(notification) {
            warn!(%refused, "trying the next endpoint");
            self.on_report(&refused.report(now), acks, now);
        }
    }

    fn on_report(&mut self, report: &DeliveryReport, acks: &mut Acks, now: SystemTime) {
        let next = self.core.on_delivery(report, now);
        acks.pass_on(
            &report.notification_id,
            next.iter().map(|notification| notification.id.clone()),
        );
        for notification in next {
            self.send(notification, acks, now);
        }
        if report.is_final() {
            acks.settle(&report.notification_id);
        }
    }

    fn on_applied(
        &mut self,
        applied: Applied,
        acks: &mut Acks,
        changes: &mut JoinSet<Applied>,
        now: SystemTime,
    ) {
        let (decision, result) = applied;
        let status = if result.is_ok() { Status::Success } else { Status::Failed };
        self.scale_metrics.record_action(&decision, status);
        if result.is_ok()
            && let Err(error) = self.sizes.remember(&decision.target, decision.to)
        {
            warn!(%error, "the new size could not be kept; a restart will not know it");
        }
        // What is decided in the same moment is about those that there are now.
        self.count_workers(now);
        let effects = self.core.on_applied(&decision, result, now);
        acks.settle(&decision.id.to_string());
        self.carry_out(effects, acks, changes, now);
    }

    fn count_workers(&mut self, now: SystemTime) {
        for (name, replicas, instances) in self.targets.workers() {
            self.core.on_replicas(name, replicas, now);
            self.core.on_instances(name, instances);
        }
    }

    /// Puts an edit to work. Of a rejected one the library has told already, and the old rules stay.
    fn on_reload(&mut self, event: ReloadEvent) {
        let ReloadEvent::Loaded { rules, generation, added, changed, removed, .. } = event else {
            return;
        };
        if let Err(error) = self.names.check(&rules) {
            warn!("the edited rules name what is not configured; the old ones stay: {error}");
            return;
        }
        info!(generation, ?added, ?changed, ?removed, "rules reloaded");
        self.core.on_rules(rules);
    }
}

/// Hands batches on, for as long as the source has any and somebody takes them. Returns what the
/// source failed of, if it did.
async fn pump(
    source: Arc<dyn LogSource>,
    mut stream: Stream,
    feed: mpsc::Sender<Batch>,
) -> Option<String> {
    let id = source.origin().id().to_owned();
    let mut failure = None;
    while let Some(next) = stream.next().await {
        match next {
            Ok(batch) => {
                if feed.send(batch).await.is_err() {
                    return None;
                }
            }
            Err(error) if error.is_retryable() => {
                warn!(source = id, %error, "reading goes on after an error")
            }
            Err(error) => {
                error!(source = id, %error, "the source has failed");
                failure = Some(format!("source `{id}`: {error}"));
            }
        }
    }
    info!(source = id, "the source has ended");
    failure
}

async fn apply(target: Target, decision: Decision) -> Applied {
    let scaled = target.scale_to(decision.to, &decision).instrument(decision.span()).await;
    let result = match scaled {
        Ok(()) => target.replicas().await,
        // The target has the size that was asked for, and is only not ready: that is for the proof.
        Err(error) if error.kind() == ErrorKind::Timeout => match target.replicas().await {
            Ok(replicas) if replicas.desired == decision.to => {
                warn!(target = %decision.target, %error, "the new size is not ready yet");
                Ok(replicas)
            }
            _ => Err(error),
        },
        Err(error) => Err(error),
    };
    (decision, result.map_err(|error| error.to_string()))
}

fn causes(effects: &Effects) -> Vec<String> {
    let notifications = effects.notifications.iter().map(|notification| notification.id.clone());
    notifications.chain(effects.decisions.iter().map(|decision| decision.id.to_string())).collect()
}

async fn sleep_until(deadline: Option<SystemTime>, clock: &Clock) {
    if let Some(deadline) = deadline {
        tokio::time::sleep(deadline.duration_since(clock.now()).unwrap_or_default()).await;
    }
}

/// Wall time carried on by the monotonic clock, so that the small corrections of the system's clock
/// do not run windows backward. A real jump is followed, and said.
#[derive(Debug)]
struct Clock {
    wall: SystemTime,
    since: Instant,
}

#[expect(clippy::disallowed_methods, reason = "the live shell is where time comes from")]
impl Clock {
    fn start() -> Self {
        Self { wall: SystemTime::now(), since: Instant::now() }
    }

    fn now(&self) -> SystemTime {
        self.wall + self.since.elapsed()
    }

    fn follow(&mut self) {
        let (wall, ours) = (SystemTime::now(), self.now());
        let apart = wall.duration_since(ours).unwrap_or_else(|behind| behind.duration());
        if apart > MAX_DRIFT {
            warn!(?apart, forward = wall > ours, "the system's clock was set; following it");
            *self = Self::start();
        }
    }
}
