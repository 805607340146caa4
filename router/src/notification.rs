//! Notifications: what goes out, and its form on the wire.

use std::time::SystemTime;

use serde::{Serialize, Serializer};

use crate::{Alert, EndpointId, Fingerprint, Labels, Status, time};

/// One message to one endpoint of one receiver. Made by the [`Router`](crate::Router), delivered by a
/// [`Notifier`](crate::Notifier).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Notification {
    /// The idempotency key. The same for every attempt and for every endpoint that is tried; another one for everything
    /// else that is told, and for each telling after `repeat_interval`.
    pub id: String,
    /// Who is told.
    pub receiver: String,
    /// The way that was chosen.
    pub endpoint: EndpointId,
    /// Firing, or resolved when all alerts are.
    pub status: Status,
    /// What is told: the alerts of the group that fire, and those that are over since it was last told.
    pub alerts: Vec<Alert>,
    /// How many more alerts there are that are not in `alerts`: in a digest, of many groups at once.
    pub truncated_alerts: u64,
    /// Alertmanager's name for the conversation: a firing and its resolve share it.
    pub group_key: String,
    /// The labels that the alerts were grouped by.
    pub group_labels: Labels,
    /// The labels that all alerts share.
    pub common_labels: Labels,
    /// The annotations that all alerts share.
    pub common_annotations: Labels,
    /// The link back to the host.
    pub external_url: String,
    /// Why this receiver and this endpoint, as one sentence.
    pub reason: String,
    /// The version of configuration and health that the decision was made under.
    pub version: u64,
    /// When it was decided.
    pub at: SystemTime,
}

/// A [`Notification`] as Alertmanager's webhook sends it, version 4: same keys, same types. Serialize it.
#[derive(Debug, Clone, Copy)]
pub struct WebhookV4<'a>(&'a Notification);

impl Notification {
    /// Alertmanager's webhook message, version 4, to serialize.
    pub fn to_webhook_v4(&self) -> WebhookV4<'_> {
        WebhookV4(self)
    }
}

/// The keys in the order in which Alertmanager writes them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    receiver: &'a str,
    status: Status,
    alerts: Vec<AlertMessage<'a>>,
    group_labels: &'a Labels,
    common_labels: &'a Labels,
    common_annotations: &'a Labels,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertMessage<'a> {
    status: Status,
    labels: &'a Labels,
    annotations: &'a Labels,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: Fingerprint,
}

impl Serialize for WebhookV4<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let n = self.0;
        let alerts = n.alerts.iter().map(|alert| alert_message(alert, n.at)).collect();
        let message = Message {
            receiver: &n.receiver,
            status: n.status,
            alerts,
            group_labels: &n.group_labels,
            common_labels: &n.common_labels,
            common_annotations: &n.common_annotations,
            external_url: &n.external_url,
            version: "4",
            group_key: &n.group_key,
            truncated_alerts: n.truncated_alerts,
        };
        message.serialize(serializer)
    }
}

fn alert_message(alert: &Alert, at: SystemTime) -> AlertMessage<'_> {
    let status = alert.status(at);
    AlertMessage {
        status,
        labels: &alert.labels,
        annotations: &alert.annotations,
        starts_at: time::to_rfc3339(alert.starts_at),
        ends_at: match (status, alert.ends_at) {
            (Status::Resolved, Some(end)) => time::to_rfc3339(end),
            // Go's zero time: what Alertmanager sends for an alert that goes on.
            _ => "0001-01-01T00:00:00Z".to_owned(),
        },
        generator_url: &alert.generator_url,
        fingerprint: alert.fingerprint(),
    }
}
