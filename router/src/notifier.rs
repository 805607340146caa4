//! Notifiers: how a notification gets to where it is going.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::config::Config;
use crate::receiver::{Transport, transports};
use crate::{EndpointId, Error, Notification, WebhookV4};

/// Delivers notifications to one endpoint: one attempt a call. Whether there is another attempt is the dispatcher's
/// business.
///
/// Dropping the future gives the attempt up; whether the endpoint got it is open then, which is why every attempt
/// carries the same [`id`](Notification::id).
#[async_trait]
pub trait Notifier: fmt::Debug + Send + Sync + 'static {
    /// Delivers `notification` once.
    ///
    /// # Errors
    /// Says whether another attempt can help, and when.
    async fn notify(&self, notification: &Notification) -> Result<(), NotifyError>;
}

/// A notifier, and the endpoint that it delivers to.
pub type NamedNotifier = (EndpointId, Arc<dyn Notifier>);

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotifyError {
    message: String,
    retryable: bool,
    retry_after: Option<Duration>,
}

impl NotifyError {
    /// Another attempt can help: the endpoint was away, or busy.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: true, retry_after: None }
    }

    /// The endpoint refuses this notification, and would again.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: false, retry_after: None }
    }

    /// The endpoint asks for this pause before the next attempt.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// Can another attempt help?
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// The pause that the endpoint asks for.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

#[async_trait]
impl<N: Notifier + ?Sized> Notifier for Arc<N> {
    async fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        (**self).notify(notification).await
    }
}

#[async_trait]
impl<N: Notifier + ?Sized> Notifier for Box<N> {
    async fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        (**self).notify(notification).await
    }
}

/// Writes each notification as one JSON line: the webhook's message, and with it `id`, `endpoint` and `reason`.
///
/// A library prints nothing by itself: the host hands the writer in, such as `std::io::stdout()`. Writing blocks the
/// thread for as long as the writer does.
pub struct WriterNotifier<W>(Mutex<W>);

impl<W: Write + Send> WriterNotifier<W> {
    /// Writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self(Mutex::new(writer))
    }

    /// Gives the writer back.
    pub fn into_inner(self) -> W {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> fmt::Debug for WriterNotifier<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterNotifier").finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    endpoint: &'a EndpointId,
    reason: &'a str,
    #[serde(flatten)]
    message: WebhookV4<'a>,
}

#[async_trait]
impl<W: Write + Send + 'static> Notifier for WriterNotifier<W> {
    async fn notify(&self, notification: &Notification) -> Result<(), NotifyError> {
        let line = Line {
            id: &notification.id,
            endpoint: &notification.endpoint,
            reason: &notification.reason,
            message: notification.to_webhook_v4(),
        };
        let mut bytes = serde_json::to_vec(&line)
            .map_err(|e| NotifyError::permanent(format!("the notification is no JSON: {e}")))?;
        bytes.push(b'\n');
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writer
            .write_all(&bytes)
            .and_then(|()| writer.flush())
            .map_err(|e| NotifyError::retryable(format!("the line could not be written: {e}")))
    }
}

/// A notifier for every endpoint that `config` names, to register with the dispatcher. All `stdout` endpoints share
/// the one handed in. Endpoints of kind `host` are left out: the host registers its own under their names.
///
/// # Errors
/// A URL that cannot be used, or whose scheme needs a feature that this build does not have.
pub fn notifiers_for(
    config: &Config,
    stdout: Arc<dyn Notifier>,
) -> Result<Vec<NamedNotifier>, Error> {
    let mut notifiers: Vec<NamedNotifier> = Vec::new();
    for (id, transport) in transports(&config.receivers) {
        match transport {
            Transport::Webhook(webhook) => {
                let notifier = webhook_notifier(webhook)
                    .map_err(|e| e.within(format_args!("endpoint `{id}`")))?;
                notifiers.push((id, notifier));
            }
            Transport::Stdout => notifiers.push((id, Arc::clone(&stdout))),
            Transport::Host => {}
        }
    }
    Ok(notifiers)
}

#[cfg(feature = "webhook")]
fn webhook_notifier(config: &crate::WebhookConfig) -> Result<Arc<dyn Notifier>, Error> {
    Ok(Arc::new(crate::WebhookNotifier::new(config)?))
}

#[cfg(not(feature = "webhook"))]
fn webhook_notifier(_: &crate::WebhookConfig) -> Result<Arc<dyn Notifier>, Error> {
    let message = "webhooks need birl-router's feature `webhook`, which this build lacks";
    Err(Error::new(crate::ErrorKind::InvalidUrl, "url", message))
}
