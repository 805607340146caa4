//! One endpoint's queue, and the task that works it off.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::dispatch::{DispatchConfig, Receipt, wall_clock};
use crate::retry::Pauses;
use crate::{
    DeliveryReport, DeliveryResult, EndpointId, LostCause, Metrics, Notification, Notifier,
    NotifyError,
};

/// The queue. A notification stays at its front until it is delivered or given up, so that nothing is in two places, or
/// in none, when the task is stopped.
#[derive(Debug)]
pub(crate) struct Lane {
    inner: Mutex<Inner>,
    wake: Notify,
}

#[derive(Debug)]
struct Inner {
    notifier: Arc<dyn Notifier>,
    /// With the time each was accepted at.
    queue: VecDeque<(Arc<Notification>, Instant)>,
    capacity: usize,
    closed: bool,
    /// The last notification's report, as long as the host has not made room for it.
    unsent: Option<DeliveryReport>,
}

impl Lane {
    pub(crate) fn new(notifier: Arc<dyn Notifier>, capacity: usize) -> Self {
        let queue = VecDeque::new();
        let inner =
            Inner { notifier, queue, capacity: capacity.max(1), closed: false, unsent: None };
        Self { inner: Mutex::new(inner), wake: Notify::new() }
    }

    /// Queues a notification, or gives it back.
    pub(crate) fn push(
        &self,
        notification: Box<Notification>,
    ) -> Result<Receipt, Box<Notification>> {
        let mut inner = self.inner();
        if inner.closed || inner.queue.len() >= inner.capacity {
            return Err(notification);
        }
        let notification_id = notification.id.clone();
        inner.queue.push_back((Arc::from(notification), Instant::now()));
        let queued = inner.queue.len();
        drop(inner);
        self.wake.notify_one();
        Ok(Receipt { notification_id, queued })
    }

    pub(crate) fn set_notifier(&self, notifier: Arc<dyn Notifier>) {
        self.inner().notifier = notifier;
    }

    /// Takes no more; the task ends when the queue is empty.
    pub(crate) fn close(&self) {
        self.inner().closed = true;
        self.wake.notify_one();
    }

    /// What is left after the task has ended, as reports.
    pub(crate) fn take_left(&self, at: SystemTime) -> Vec<DeliveryReport> {
        let mut inner = self.inner();
        let unsent = inner.unsent.take();
        let queue = std::mem::take(&mut inner.queue);
        let lost = queue.into_iter().map(|(notification, _)| {
            let error = "the dispatcher was shut down before it was delivered";
            DeliveryReport::lost(&notification, LostCause::Shutdown, error, at)
        });
        unsent.into_iter().chain(lost).collect()
    }

    /// The front of the queue; waits for one. `None` when it is closed and empty.
    async fn front(&self) -> Option<(Arc<Notification>, Instant)> {
        loop {
            {
                let inner = self.inner();
                if let Some((notification, accepted)) = inner.queue.front() {
                    return Some((Arc::clone(notification), *accepted));
                }
                if inner.closed {
                    return None;
                }
            }
            self.wake.notified().await;
        }
    }

    /// The front of the queue is dealt with.
    fn finish(&self, report: DeliveryReport) {
        let mut inner = self.inner();
        inner.queue.pop_front();
        inner.unsent = Some(report);
    }

    fn notifier(&self) -> Arc<dyn Notifier> {
        Arc::clone(&self.inner().notifier)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of one lane.
#[derive(Debug)]
pub(crate) struct Worker {
    id: EndpointId,
    lane: Arc<Lane>,
    pauses: Pauses,
    attempt_timeout: Duration,
    deadline: Duration,
    metrics: Metrics,
    reports: mpsc::Sender<DeliveryReport>,
}

impl Worker {
    pub(crate) fn new(
        id: EndpointId,
        lane: Arc<Lane>,
        config: &DispatchConfig,
        reports: mpsc::Sender<DeliveryReport>,
    ) -> Self {
        Self {
            pauses: Pauses::new(config.retry.clone(), id.as_str()),
            id,
            lane,
            attempt_timeout: config.attempt_timeout,
            deadline: config.retry.deadline,
            metrics: config.metrics.clone(),
            reports,
        }
    }

    pub(crate) async fn run(mut self) {
        while let Some((notification, accepted)) = self.lane.front().await {
            let report = self.deliver(&notification, accepted).await;
            self.lane.finish(report.clone());
            // Waits for room: a final report is never dropped. If nobody listens, nobody wants to know.
            let _ = self.reports.send(report).await;
            self.lane.inner().unsent = None;
        }
    }

    /// Tries until it is delivered or given up.
    async fn deliver(&mut self, notification: &Notification, accepted: Instant) -> DeliveryReport {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let began = Instant::now();
            let result = self.attempt(notification).await;
            let took = began.elapsed();
            let retry_after = result.as_ref().err().and_then(NotifyError::retry_after);
            let report = |result| DeliveryReport {
                notification_id: notification.id.clone(),
                endpoint: self.id.clone(),
                receiver: notification.receiver.clone(),
                result,
                attempts,
                rtt: Some(took),
                retry_after,
                at: wall_clock(),
            };
            let Err(failure) = result else {
                self.metrics.count_delivery(&self.id, "delivered", Some(took));
                return report(DeliveryResult::Delivered);
            };
            let error = failure.to_string();
            let pause = self.pauses.next(attempts, failure.retry_after());
            let cause = match failure.is_retryable() {
                false => Some(LostCause::Permanent),
                // No sum of times: the pause may be a number that somebody else made up.
                true if accepted.elapsed().saturating_add(pause) >= self.deadline => {
                    Some(LostCause::DeadlineOver)
                }
                true => None,
            };
            if let Some(cause) = cause {
                let (endpoint, id) = (self.id.as_str(), notification.id.as_str());
                tracing::warn!(endpoint, id, attempts, error, cause = %cause, "notification lost");
                self.metrics.count_delivery(&self.id, cause.as_str(), Some(took));
                self.metrics.count_dropped(cause.as_str(), 1);
                return report(DeliveryResult::Lost { cause, error });
            }
            tracing::debug!(endpoint = self.id.as_str(), attempts, error, "notification failed");
            self.metrics.count_delivery(&self.id, "retrying", Some(took));
            // This one only helps the router to see early that an endpoint fails; it may be dropped.
            if self.reports.try_send(report(DeliveryResult::Retrying { error, pause })).is_err() {
                self.metrics.count_dropped("report_dropped", 1);
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// One attempt, bounded in time, and fenced: a notifier that panics must not take its endpoint with it.
    async fn attempt(&self, notification: &Notification) -> Result<(), NotifyError> {
        let notifier = self.lane.notifier();
        let attempt = fenced(Box::pin(async { notifier.notify(notification).await }));
        tokio::time::timeout(self.attempt_timeout, attempt).await.unwrap_or_else(|_| {
            let within = crate::duration::format(self.attempt_timeout);
            Err(NotifyError::retryable(format!("the notifier was not done within {within}")))
        })
    }
}

type Attempt<'a> = Pin<Box<dyn Future<Output = Result<(), NotifyError>> + Send + 'a>>;

async fn fenced(mut attempt: Attempt<'_>) -> Result<(), NotifyError> {
    std::future::poll_fn(|context| {
        // After a panic the future is never polled again, only dropped.
        match catch_unwind(AssertUnwindSafe(|| attempt.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(_) => Poll::Ready(Err(NotifyError::permanent("the notifier panicked"))),
        }
    })
    .await
}
