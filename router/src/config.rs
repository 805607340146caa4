//! The configuration, in Alertmanager's words.

mod sla;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::endpoint::HealthConfig;
use crate::topology::TopologyConfig;
use crate::{
    FlapConfig, InhibitRuleConfig, Matcher, Matchers, RateLimit, SilenceLimits, TimeIntervalConfig,
    duration,
};

pub use sla::{SlaTier, SlaTiers};

/// Who is told what, and how fast.
///
/// Reads from any serde format; keys that mean something to Alertmanager have its names, and durations are written its
/// way (`5m`, `1h30m`, `250ms`). An unknown key is an error, so that a misspelt one cannot be silently without effect.
///
/// ```
/// use birl_router::{Config, Router};
///
/// let config: Config = serde_json::from_str(r#"{
///     "route": {
///         "receiver": "everybody",
///         "routes": [{ "matchers": ["team=\"api\""], "receiver": "api-oncall", "sla": 2 }]
///     },
///     "receivers": [
///         { "name": "everybody", "stdout_configs": [{}] },
///         { "name": "api-oncall", "endpoints": [
///             { "name": "eu", "distance": 1, "webhook": { "url": "http://eu.example/hook" } },
///             { "name": "us", "distance": 9, "webhook": { "url": "http://us.example/hook" } }
///         ] }
///     ]
/// }"#)?;
/// Router::new(config)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Settings for all alerts.
    #[serde(default)]
    pub global: GlobalConfig,
    /// The root of the route tree. It matches every alert and names the default receiver.
    pub route: RouteConfig,
    /// Who can be told.
    pub receivers: Vec<ReceiverConfig>,
    /// For how long a report of the same alert, status and episode is a duplicate. Default 5m.
    #[serde(default = "defaults::dedup_window", with = "duration")]
    pub dedup_window: Duration,
    /// The link back to the host, in every notification.
    #[serde(default)]
    pub external_url: String,
    /// What the SLA tiers demand.
    #[serde(default)]
    pub sla_tiers: SlaTiers,
    /// When an endpoint is up, degraded or down.
    #[serde(default)]
    pub health: HealthConfig,
    /// Times of day, week, month and year, by name, for routes to be muted or active in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub time_intervals: Vec<TimeIntervalConfig>,
    /// The same, under its older name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mute_time_intervals: Vec<TimeIntervalConfig>,
    /// Alerts that mute others while they fire.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inhibit_rules: Vec<InhibitRuleConfig>,
    /// What the ids of silences are made from: a host that stores silences hands in a random number. Default 0.
    #[serde(default, skip_serializing)]
    pub silence_seed: u64,
    /// When an alert flaps, and how often it is told then.
    #[serde(default)]
    pub flap: FlapConfig,
    /// Tells what still fires when a mute (a silence, an inhibition, a time interval) ends, though its receivers were
    /// told before the mute. Default: they hear of it when `repeat_interval` is over.
    #[serde(default)]
    pub notify_on_unmute: bool,
    /// Whose rules hold where birl's differ from Alertmanager's on purpose.
    #[serde(default)]
    pub compat: Compat,
    /// How far regions and zones are from each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<TopologyConfig>,
    /// The bounds.
    #[serde(default)]
    pub limits: Limits,
}

/// Whose rules hold where birl's differ from Alertmanager's on purpose; the crate's documentation lists the
/// differences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Compat {
    /// Whoever was told "firing" is told "resolved", through any mute; a receiver is told once; flapping is told less.
    #[default]
    Birl,
    /// As Alertmanager does.
    Alertmanager,
}

/// Settings for all alerts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct GlobalConfig {
    /// An alert without an end resolves when this time passes without a report of it.
    ///
    /// `None`, the default, waits for an explicit resolve: right where the source sends one, as a rule engine does.
    /// Alertmanager's sources re-send each minute instead, and its default is 5m.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub resolve_timeout: Option<Duration>,
}

/// A node of the route tree.
///
/// An alert goes to the first child that matches, and to the ones after it only past a child that says `continue`. What
/// no child takes, the node takes itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RouteConfig {
    /// Who is told. Inherited; the root has to name one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiver: Option<String>,
    /// All of these must hold. Not on the root, which matches everything.
    #[serde(skip_serializing_if = "Matchers::is_empty")]
    pub matchers: Matchers,
    /// The older way to write `=` matchers.
    #[serde(rename = "match", skip_serializing_if = "BTreeMap::is_empty")]
    pub match_equal: BTreeMap<String, String>,
    /// The older way to write `=~` matchers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub match_re: BTreeMap<String, String>,
    /// Goes on to the siblings behind this one after it has matched.
    #[serde(rename = "continue")]
    pub continue_matching: bool,
    /// More who are told, each as if it stood in a route of its own. Inherited together with `receiver`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub receivers: Vec<String>,
    /// The labels by which alerts are gathered into one notification; `["..."]` is all of them: each alert is told on
    /// its own. Inherited; default none: everything that the route takes is told together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<Vec<String>>,
    /// How long a new group waits for more alerts before it is told. Inherited; default 30s.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub group_wait: Option<Duration>,
    /// How long what is new in a group waits after the group was told; zero tells every change at once. Inherited;
    /// default 5m.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub group_interval: Option<Duration>,
    /// When an alert that goes on firing is told again. Inherited; default 4h.
    #[serde(with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub repeat_interval: Option<Duration>,
    /// Nobody is told while one of these time intervals lasts. Not inherited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mute_time_intervals: Vec<String>,
    /// Somebody is told only while one of these time intervals lasts. Not inherited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub active_time_intervals: Vec<String>,
    /// The round trip that the chosen endpoint must keep. Inherited; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sla: Option<SlaTier>,
    /// The children, in the order in which they are asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Self>,
}

/// Somebody who can be told.
///
/// Every entry of `webhook_configs` and `stdout_configs` is told, as in Alertmanager. `endpoints` is birl's own: a pool
/// of ways to the *same* receiver, of which the nearest healthy one is used, and the next when that one fails. A
/// receiver without any entry swallows its alerts on purpose, as in Alertmanager.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ReceiverConfig {
    /// What routes call it.
    pub name: String,
    /// How much it may be told. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// A pool: one of these is used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointConfig>,
    /// Each of these is used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhook_configs: Vec<WebhookConfig>,
    /// Each of these is used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stdout_configs: Vec<StdoutConfig>,
    /// Each of these is used: a [`Notifier`](crate::Notifier) that the host registers under this receiver's name and the
    /// entry's, as in `oncall/slack_configs/0`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host_configs: Vec<NamedHostConfig>,
}

/// One way to a receiver: exactly one of `webhook`, `stdout` and `host`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// Its name inside the receiver: `eu` of `oncall` is the endpoint `oncall/eu`. Left out: its position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How far away it is, in whatever unit the operator thinks; with a zone or a region, how far from there. The
    /// nearest is asked first, and of several at one distance the one that is expected to answer sooner.
    pub distance: u32,
    /// The zone of the [topology](Config::topology) that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Instead of a zone: somewhere in this region, which is as far as its nearest zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Posts Alertmanager's webhook JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookConfig>,
    /// Writes one JSON line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout: Option<StdoutConfig>,
    /// Delivered by a [`Notifier`](crate::Notifier) that the host registers under this endpoint's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostConfig>,
}

/// A webhook. `Debug` shows scheme, host and port of the URL only: the rest may be secret.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WebhookConfig {
    /// Where to post.
    pub url: String,
    /// Tell when it is over, too? Default true.
    #[serde(default = "defaults::yes")]
    pub send_resolved: bool,
    /// How long one attempt may take in all. Default 10s.
    #[serde(default = "defaults::webhook_timeout", with = "duration")]
    pub timeout: Duration,
}

/// One JSON line per notification, to the writer that the host hands in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct StdoutConfig {
    /// Tell when it is over, too? Default true.
    pub send_resolved: bool,
}

/// A notifier of the host's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct HostConfig {
    /// Tell when it is over, too? Default true.
    pub send_resolved: bool,
}

/// A notifier of the host's own, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NamedHostConfig {
    /// What it is called inside the receiver.
    pub name: String,
    /// Tell when it is over, too? Default true.
    #[serde(default = "defaults::yes")]
    pub send_resolved: bool,
}

/// The bounds of everything that grows with the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Limits {
    /// Alerts that are remembered. One more is told without being remembered, and counted. Default 100,000.
    pub max_alerts: usize,
    /// Groups. Alerts for which there is none, and no room for another, share one with a label `__overflow__` for each
    /// route, and are counted. Default 100,000.
    pub max_groups: usize,
    /// Keys in the de-duplication window. Default 200,000.
    pub max_dedup_keys: usize,
    /// Notifications that wait for the report of their delivery. Default 10,000.
    pub max_outstanding: usize,
    /// Bytes of all names and values of one alert's labels. One with more is told without being remembered, and
    /// counted. Default 64 KiB.
    pub max_label_bytes: usize,
    /// Those of silences.
    pub silences: SilenceLimits,
}

impl Config {
    /// Everything else at its default.
    pub fn new(route: RouteConfig, receivers: impl IntoIterator<Item = ReceiverConfig>) -> Self {
        Self {
            global: GlobalConfig::default(),
            route,
            receivers: receivers.into_iter().collect(),
            dedup_window: defaults::dedup_window(),
            external_url: String::new(),
            sla_tiers: SlaTiers::default(),
            health: HealthConfig::default(),
            time_intervals: Vec::new(),
            mute_time_intervals: Vec::new(),
            inhibit_rules: Vec::new(),
            silence_seed: 0,
            flap: FlapConfig::default(),
            notify_on_unmute: false,
            compat: Compat::default(),
            topology: None,
            limits: Limits::default(),
        }
    }
}

impl RouteConfig {
    /// A route to this receiver.
    pub fn to(receiver: impl Into<String>) -> Self {
        Self { receiver: Some(receiver.into()), ..Self::default() }
    }

    /// Tells each alert by itself, and at once: no grouping, no waiting. Inherited by the routes below.
    ///
    /// Without it Alertmanager's defaults hold: all alerts of the route in one group, told after 30 seconds, and again
    /// when something changes, every 5 minutes.
    #[must_use]
    pub fn immediate(mut self) -> Self {
        self.group_by = Some(vec!["...".to_owned()]);
        (self.group_wait, self.group_interval) = (Some(Duration::ZERO), Some(Duration::ZERO));
        self
    }

    /// Adds a condition.
    #[must_use]
    pub fn matcher(mut self, matcher: Matcher) -> Self {
        self.matchers.push(matcher);
        self
    }

    /// Adds a child.
    #[must_use]
    pub fn route(mut self, child: Self) -> Self {
        self.routes.push(child);
        self
    }
}

impl ReceiverConfig {
    /// A receiver that is not told in any way yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Adds a webhook.
    #[must_use]
    pub fn webhook(mut self, url: impl Into<String>) -> Self {
        self.webhook_configs.push(WebhookConfig::new(url));
        self
    }

    /// Adds a JSON line on the host's writer.
    #[must_use]
    pub fn stdout(mut self) -> Self {
        self.stdout_configs.push(StdoutConfig::default());
        self
    }

    /// Adds a way to the pool.
    #[must_use]
    pub fn endpoint(mut self, endpoint: EndpointConfig) -> Self {
        self.endpoints.push(endpoint);
        self
    }
}

impl EndpointConfig {
    /// A webhook at this distance.
    pub fn webhook(name: impl Into<String>, distance: u32, url: impl Into<String>) -> Self {
        let webhook = Some(WebhookConfig::new(url));
        Self { name: Some(name.into()), distance, webhook, ..Self::default() }
    }

    /// A notifier of the host's own, at this distance.
    pub fn host(name: impl Into<String>, distance: u32) -> Self {
        let host = Some(HostConfig::default());
        Self { name: Some(name.into()), distance, host, ..Self::default() }
    }
}

impl WebhookConfig {
    /// Everything else at its default.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), send_resolved: true, timeout: defaults::webhook_timeout() }
    }
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("", &self.url));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        f.debug_struct("WebhookConfig")
            .field("url", &format_args!("{scheme}://{host}/…"))
            .field("send_resolved", &self.send_resolved)
            .field("timeout", &self.timeout)
            .finish()
    }
}

impl Default for StdoutConfig {
    fn default() -> Self {
        Self { send_resolved: true }
    }
}

impl Default for HostConfig {
    fn default() -> Self {
        Self { send_resolved: true }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_alerts: 100_000,
            max_groups: 100_000,
            max_dedup_keys: 200_000,
            max_outstanding: 10_000,
            max_label_bytes: 64 * 1024,
            silences: SilenceLimits::default(),
        }
    }
}

mod defaults {
    use std::time::Duration;

    pub(super) fn dedup_window() -> Duration {
        Duration::from_secs(300)
    }

    pub(super) fn webhook_timeout() -> Duration {
        Duration::from_secs(10)
    }

    pub(super) fn yes() -> bool {
        true
    }
}
