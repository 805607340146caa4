//! The dispatcher: queues, attempts, and reports of what became of each notification.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind};
use crate::lane::{Lane, Worker};
use crate::{
    DeliveryReport, DeliveryResult, EndpointId, LostCause, Metrics, NamedNotifier, Notification,
    Notifier, RetryPolicy,
};

/// How a [`Dispatcher`] delivers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DispatchConfig {
    /// Notifications that may wait for one endpoint, the one on its way included. Default 1,000.
    pub queue: usize,
    /// Reports that may wait for the host. Default 1,024.
    pub reports: usize,
    /// How long one attempt may take, whatever the notifier thinks. Default 30 s.
    pub attempt_timeout: Duration,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Where to count; share the router's with it: `router.metrics().clone()`.
    pub metrics: Metrics,
}

impl Default for DispatchConfig {
    fn default() -> Self {
        Self {
            queue: 1_000,
            reports: 1_024,
            attempt_timeout: Duration::from_secs(30),
            retry: RetryPolicy::default(),
            metrics: Metrics::new(),
        }
    }
}

/// Delivers notifications: a bounded queue and a task for each endpoint, so that a slow one blocks no other.
///
/// One endpoint's notifications are delivered in order, one at a time: a resolve cannot overtake its firing. What became
/// of each comes out of [`Reports`], and belongs into [`Router::report`](crate::Router::report), which knows where else
/// a lost one can go. Nothing is given up silently: it is refused by [`send`](Self::send), or reported, and counted.
///
/// Order has a price. What is queued behind a notification that keeps failing waits for it: up to the retry policy's
/// `deadline` (1m), and then each of the queue has its own attempt, which a dead endpoint may hold up for as long as an
/// attempt may take (10s for a webhook, `attempt_timeout` otherwise). New notifications are spared that: the router sees
/// the failed attempts, and sends them to another endpoint of the pool where there is one.
///
/// Dropping the dispatcher lets its tasks finish what is queued, unseen; [`shutdown`](Self::shutdown) waits for them.
#[derive(Debug)]
pub struct Dispatcher {
    config: DispatchConfig,
    runtime: Handle,
    lanes: Mutex<Lanes>,
}

#[derive(Debug)]
struct Lanes {
    open: HashMap<EndpointId, Running>,
    /// Of endpoints that were taken away: they finish what they have.
    retired: Vec<Running>,
    /// `None` after the shutdown.
    reports: Option<mpsc::Sender<DeliveryReport>>,
}

#[derive(Debug)]
struct Running {
    lane: Arc<Lane>,
    task: JoinHandle<()>,
}

/// What becomes of the notifications, in the order in which it was known.
///
/// Read it, or drop it. While it is full, which means unread, endpoints wait with their next notification.
#[derive(Debug)]
pub struct Reports(mpsc::Receiver<DeliveryReport>);

/// A notification was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Which.
    pub notification_id: String,
    /// How many wait for the endpoint, this one included.
    pub queued: usize,
}

/// A notification was not accepted. Nothing more is heard of it: hand [`report`](Self::report) to the router, which
/// knows where else it can go.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} takes no notification: {cause}", notification.endpoint)]
#[non_exhaustive]
pub struct Refused {
    /// The notification.
    pub notification: Box<Notification>,
    /// Why.
    pub cause: LostCause,
}

/// Collects the endpoints of a [`Dispatcher`].
#[derive(Debug)]
pub struct DispatcherBuilder {
    config: DispatchConfig,
    notifiers: Vec<NamedNotifier>,
}

impl DispatcherBuilder {
    /// Adds an endpoint. Of two with one name the later counts.
    #[must_use]
    pub fn endpoint(mut self, id: EndpointId, notifier: Arc<dyn Notifier>) -> Self {
        self.notifiers.push((id, notifier));
        self
    }

    /// Adds several, such as those of [`notifiers_for`](crate::notifiers_for).
    #[must_use]
    pub fn endpoints(mut self, notifiers: impl IntoIterator<Item = NamedNotifier>) -> Self {
        self.notifiers.extend(notifiers);
        self
    }

    /// Starts a task for each endpoint, on the runtime that this is called in.
    ///
    /// # Errors
    /// [`ErrorKind::NoRuntime`] outside a tokio runtime.
    pub fn start(self) -> Result<(Dispatcher, Reports), Error> {
        let runtime = Handle::try_current().map_err(|_| {
            let message = "start it inside a tokio runtime: the library starts none";
            Error::new(ErrorKind::NoRuntime, "dispatcher", message)
        })?;
        let (sender, receiver) = mpsc::channel(self.config.reports.max(1));
        let lanes = Lanes { open: HashMap::new(), retired: Vec::new(), reports: Some(sender) };
        let dispatcher = Dispatcher { config: self.config, runtime, lanes: Mutex::new(lanes) };
        dispatcher.replace_endpoints(self.notifiers);
        Ok((dispatcher, Reports(receiver)))
    }
}

impl Dispatcher {
    /// Begins one with this configuration.
    pub fn builder(config: DispatchConfig) -> DispatcherBuilder {
        DispatcherBuilder { config, notifiers: Vec::new() }
    }

    /// Queues a notification for its endpoint. Never waits.
    ///
    /// # Errors
    /// The notification back, and why: the queue is full, the endpoint unknown, the dispatcher shut down.
    pub fn send(&self, notification: Notification) -> Result<Receipt, Refused> {
        let notification = Box::new(notification);
        let lanes = self.lanes();
        let (result, cause) = match lanes.open.get(&notification.endpoint) {
            _ if lanes.reports.is_none() => (Err(notification), LostCause::Shutdown),
            Some(running) => (running.lane.push(notification), LostCause::QueueFull),
            None => (Err(notification), LostCause::UnknownEndpoint),
        };
        result.map_err(|notification| {
            self.config.metrics.count_delivery(&notification.endpoint, cause.as_str(), None);
            self.config.metrics.count_dropped(cause.as_str(), 1);
            Refused { notification, cause }
        })
    }

    /// Swaps the endpoints, after a new configuration. One that stays keeps its queue; one that goes delivers what it
    /// has.
    pub fn replace_endpoints(&self, notifiers: impl IntoIterator<Item = NamedNotifier>) {
        let mut lanes = self.lanes();
        let Some(reports) = lanes.reports.clone() else { return };
        let mut old = std::mem::take(&mut lanes.open);
        for (id, notifier) in notifiers {
            let running = match old.remove(&id).or_else(|| lanes.open.remove(&id)) {
                Some(running) => {
                    running.lane.set_notifier(notifier);
                    running
                }
                None => self.run(&id, notifier, reports.clone()),
            };
            lanes.open.insert(id, running);
        }
        lanes.retired.retain(|running| !running.task.is_finished());
        for (_, running) in old {
            running.lane.close();
            lanes.retired.push(running);
        }
    }

    /// Takes no more, and waits until everything queued is delivered or given up, for at most `within`. What is left
    /// then is given up, counted, and returned: as `Lost` by [`LostCause::Shutdown`], together with reports that the
    /// host had not made room for.
    ///
    /// Not cancel-safe: dropping the future leaves the tasks to finish by themselves.
    pub async fn shutdown(&self, within: Duration) -> Vec<DeliveryReport> {
        let all = {
            let mut lanes = self.lanes();
            lanes.reports = None;
            let open = std::mem::take(&mut lanes.open).into_values();
            let mut all: Vec<Running> = open.collect();
            all.append(&mut lanes.retired);
            all
        };
        for running in &all {
            running.lane.close();
        }
        let began = tokio::time::Instant::now();
        let mut left = Vec::new();
        for mut running in all {
            let patience = within.saturating_sub(began.elapsed());
            if tokio::time::timeout(patience, &mut running.task).await.is_err() {
                running.task.abort();
                let _ = running.task.await; // ended, one way or the other
            }
            left.extend(running.lane.take_left(wall_clock()));
        }
        for report in left.iter().filter(|report| is_shutdown(report)) {
            let cause = LostCause::Shutdown.as_str();
            self.config.metrics.count_delivery(&report.endpoint, cause, None);
            self.config.metrics.count_dropped(cause, 1);
        }
        left
    }

    fn run(
        &self,
        id: &EndpointId,
        notifier: Arc<dyn Notifier>,
        reports: mpsc::Sender<DeliveryReport>,
    ) -> Running {
        let lane = Arc::new(Lane::new(notifier, self.config.queue));
        let worker = Worker::new(id.clone(), Arc::clone(&lane), &self.config, reports);
        Running { lane, task: self.runtime.spawn(worker.run()) }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        for running in self.lanes().open.values() {
            running.lane.close();
        }
    }
}

impl Reports {
    /// The next report; `None` after the dispatcher is gone and all has been read. Cancel-safe.
    pub async fn next(&mut self) -> Option<DeliveryReport> {
        self.0.recv().await
    }

    /// A report that is there already.
    pub fn try_next(&mut self) -> Option<DeliveryReport> {
        self.0.try_recv().ok()
    }
}

impl Refused {
    /// The refusal as a report, for the router.
    pub fn report(&self, at: SystemTime) -> DeliveryReport {
        DeliveryReport::lost(&self.notification, self.cause, self.to_string(), at)
    }
}

fn is_shutdown(report: &DeliveryReport) -> bool {
    matches!(report.result, DeliveryResult::Lost { cause: LostCause::Shutdown, .. })
}

/// What a report is stamped with.
#[expect(clippy::disallowed_methods, reason = "this is a shell: it lives in real time")]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is number {} in its queue", self.notification_id, self.queued)
    }
}
