//! Reports: what became of a notification.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::{EndpointId, Notification};

/// What became of one notification, or of one attempt at it. Hand it to [`Router::report`](crate::Router::report).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeliveryReport {
    /// Which notification.
    pub notification_id: String,
    /// Where it was sent.
    pub endpoint: EndpointId,
    /// Whom it was for.
    pub receiver: String,
    /// What became of it.
    pub result: DeliveryResult,
    /// How many attempts there have been.
    pub attempts: u32,
    /// How long the last attempt took; `None` if there was none.
    pub rtt: Option<Duration>,
    /// The pause that the endpoint asked for, if it did: it is spared for so long.
    pub retry_after: Option<Duration>,
    /// When this was known.
    pub at: SystemTime,
}

/// The result in a [`DeliveryReport`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliveryResult {
    /// The endpoint has it.
    Delivered,
    /// The attempt failed; the next one comes after this pause. Not final.
    Retrying {
        /// What went wrong.
        error: String,
        /// The pause before the next attempt.
        pause: Duration,
    },
    /// It is given up at this endpoint. Final.
    Lost {
        /// Why it was given up.
        cause: LostCause,
        /// What went wrong.
        error: String,
    },
}

/// Why a notification was given up at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LostCause {
    /// The endpoint refused it, and would again.
    Permanent,
    /// It kept failing until the deadline.
    DeadlineOver,
    /// The endpoint's queue was full.
    QueueFull,
    /// No notifier is registered for the endpoint.
    UnknownEndpoint,
    /// The dispatcher was shut down before it was delivered.
    Shutdown,
}

/// What follows from a [`DeliveryReport`].
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
#[must_use = "`resend` has to be sent, or the notification is lost"]
pub struct Reported {
    /// The notification again, for the next endpoint of its pool. Send it.
    pub resend: Vec<Notification>,
    /// No endpoint is left: the notification could not be delivered.
    pub dead_letter: Option<DeadLetter>,
}

/// A notification that no endpoint of its pool would take. Counted, and told again after a while as long as the alert
/// is remembered.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// What could not be delivered; its `endpoint` is the last that was tried.
    pub notification: Notification,
    /// All that were tried, in order.
    pub tried: Vec<EndpointId>,
    /// Where it ended, and when it is told again, as one sentence.
    pub reason: String,
}

impl DeliveryReport {
    /// A final report: delivered at the first attempt. For hosts that deliver without the dispatcher.
    pub fn delivered(notification: &Notification, rtt: Duration, at: SystemTime) -> Self {
        let mut report = Self::about(notification, DeliveryResult::Delivered, at);
        (report.attempts, report.rtt) = (1, Some(rtt));
        report
    }

    /// A final report: given up. For hosts that deliver without the dispatcher.
    pub fn lost(
        notification: &Notification,
        cause: LostCause,
        error: impl Into<String>,
        at: SystemTime,
    ) -> Self {
        Self::about(notification, DeliveryResult::Lost { cause, error: error.into() }, at)
    }

    fn about(notification: &Notification, result: DeliveryResult, at: SystemTime) -> Self {
        Self {
            notification_id: notification.id.clone(),
            endpoint: notification.endpoint.clone(),
            receiver: notification.receiver.clone(),
            result,
            attempts: 0,
            rtt: None,
            retry_after: None,
            at,
        }
    }

    /// Is this the last that is heard of the notification at this endpoint?
    pub fn is_final(&self) -> bool {
        !matches!(self.result, DeliveryResult::Retrying { .. })
    }
}

impl LostCause {
    /// The cause in snake case, as in the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::DeadlineOver => "deadline_over",
            Self::QueueFull => "queue_full",
            Self::UnknownEndpoint => "unknown_endpoint",
            Self::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for LostCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
