//! Who must know, once, by the nearest healthy way.
//!
//! A monitoring rule that fires a hundred times a minute is no use to anybody unless somebody decides who hears of it,
//! that it is said once, what happens when the first way of saying it is down, and that "it is over" reaches exactly
//! those who heard "it began". This crate is that decision, with Alertmanager's words and semantics where Alertmanager
//! has them, for any program to embed.
//!
//! # Three nouns
//!
//! - An [`Alert`] is what comes in: labels that say which one it is, and that it fires or is over.
//! - A [`Router`] decides. It knows the route tree, what each receiver has been told, which endpoints are healthy. It is
//!   a synchronous state machine that takes its time as an argument: no clock, no socket, no failure. So it can be
//!   tested on invented time, replayed over last month's alerts, and asked why.
//! - A [`Notification`] is what goes out: one message to one endpoint, with a sentence that says why, and a key that is
//!   the same for every attempt. A [`Notifier`] delivers it; the [`Dispatcher`] queues, retries and reports back.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use birl_router::{Alert, Config, Outcome, Router};
//!
//! let config: Config = serde_json::from_str(r#"{
//!     "route": {
//!         "receiver": "everybody", "group_by": ["..."], "group_wait": "0s", "group_interval": "0s",
//!         "routes": [{ "matchers": ["team=\"api\""], "receiver": "api-oncall" }]
//!     },
//!     "receivers": [
//!         { "name": "everybody", "stdout_configs": [{}] },
//!         { "name": "api-oncall", "webhook_configs": [{ "url": "http://pager.example/hook" }] }
//!     ]
//! }"#)?;
//! let mut router = Router::new(config)?;
//!
//! let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//! let alert = Alert::firing([("alertname", "HighLatency"), ("team", "api")], now);
//! let routed = router.route(alert.clone(), now);
//! assert_eq!(routed.notifications[0].receiver, "api-oncall");
//! assert_eq!(
//!     routed.reason,
//!     "route.routes[0] matches {team=\"api\"}: api-oncall by api-oncall/webhook_configs/0 \
//!      (nearest healthy: distance 0, up, rtt not measured yet)"
//! );
//!
//! // The same alert a minute later: known, and nobody is told again.
//! let now = now + Duration::from_secs(60);
//! assert_eq!(router.route(alert.clone(), now).outcome, Outcome::Deduped);
//!
//! // It is over: whoever was told is told.
//! let routed = router.route(alert.resolved(now), now);
//! assert_eq!(routed.notifications[0].status.as_str(), "resolved");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # When somebody is told
//!
//! An alert goes to the routes that take it, and each route gathers its alerts into groups by the labels of `group_by`.
//! A group is told when it is new (after `group_wait`, 30s), then when something in it has changed (at most once in
//! `group_interval`, 5m), and when nothing has (after `repeat_interval`, 4h). [`RouteConfig::immediate`] is each alert by
//! itself, and at once.
//!
//! | what is reported | what happens |
//! | --- | --- |
//! | an alert that is not known to fire, or a new episode of one | [`Notified`](Outcome::Notified), or [`Grouped`](Outcome::Grouped): with its group |
//! | one that is silenced, inhibited, or muted at this time | [`Muted`](Outcome::Muted): told when that ends, if it still fires |
//! | the same again inside `dedup_window` (5m) | [`Deduped`](Outcome::Deduped): it is updated, nobody is told |
//! | the same again later | [`Ongoing`](Outcome::Ongoing): told again when `repeat_interval` is over |
//! | that it is over | exactly those who were told "firing" are told "resolved", through any mute |
//! | that another episode than the current one is over | [`Stale`](Outcome::Stale): nothing changes |
//! | a late copy of what is over | nobody is told |
//!
//! What is observed and what was told are kept apart. A [silence](Silence) and an [inhibition](Inhibition) put off the
//! telling that something fires; they never hide from a receiver that what it was told of is over. Why an alert is quiet
//! is a set of independent reasons ([`Word`]), and lifting one tells nobody while another holds.
//!
//! An alert that flaps ([`FlapConfig`]) is told less often, and its last state always. A receiver with a
//! [`RateLimit`] hears what was too much for it in one digest, with counts.
//!
//! A duplicate is legal, a loss is not: a bound that is reached (alerts, groups, label bytes) makes the router tell too
//! much, never too little, and is counted in [`Metrics::dropped`]. [`Router::save`] is all that has to be kept over a
//! restart.
//!
//! # Which way
//!
//! Labels choose the receiver. Every `webhook_configs` and `stdout_configs` entry of it is told, as in Alertmanager.
//! Its `endpoints` are birl's own: ways to the same receiver, of which one is used: sorted by distance (over zones and
//! regions, where a [`topology`](TopologyConfig) says how far they are from each other), cut by the route's `sla` against
//! the measured round trip, the first healthy one. Of several at one distance two are drawn, and the one is taken that is
//! expected to be done sooner: peak round trip × notifications under way. If none is left the choice degrades in steps
//! that the reason names:
//!
//! 1. the nearest that is up and keeps the SLA;
//! 2. the nearest degraded one that keeps it; when more than half of those that keep it are down, a nearer one that is
//!    down as well, since it may be the measurement that is wrong;
//! 3. the fastest that is not down;
//! 4. of those that asked to be spared (`Retry-After`), which were passed over so far, the first to be ready;
//! 5. the one that failed least.
//!
//! So it never ends in silence. What an endpoint then loses goes to the next one ([`Router::report`]), and what none
//! would take is a dead letter: counted, reported, and told again after the window.
//!
//! # A missing label, here and in birl's rules
//!
//! | condition | label or field is missing: here | in `birl-rules-dsl` |
//! | --- | --- | --- |
//! | `env="prod"` / `env == 'prod'` | does not match | unknown: the rule does not fire |
//! | `env!="prod"` / `env != 'prod'` | **matches** | unknown: **the rule does not fire** |
//! | `env=""` / `env == ''` | **matches** | unknown: **the rule does not fire** |
//! | `env=~".*"` | **matches** | unknown: **the rule does not fire** |
//! | `env!~"prod"` | **matches** | unknown: **the rule does not fire** |
//!
//! Here a missing label *is* the empty string, which is Alertmanager's rule and what its users' configurations rely on.
//! A rule looks at records, where a field that is not there says nothing about the value it would have.
//!
//! # Differences from Alertmanager
//!
//! `compat: alertmanager` turns off the first group; a test plays random stories to a real Alertmanager and to this.
//!
//! | what | Alertmanager | here |
//! | --- | --- | --- |
//! | over while muted | told to nobody, ever; and what fires again is swallowed | told to whoever was told that it fires |
//! | over before it was told | is in the next message of its group | is told to nobody |
//! | fires anew before its resolve was told | told to nobody until `repeat_interval` | told: another episode |
//! | two routes to one receiver | told twice | told once, by the first |
//! | fired for longer than `group_wait` when first reported | told at once | waits, so that what inhibits it can be reported |
//! | two alerts that inhibit each other | nobody is told | the one that began first is told |
//! | a rule of inhibition without a source | accepted | refused |
//! | flapping | each change | less often, and how it ended |
//!
//! And always:
//!
//! | what | Alertmanager | here |
//! | --- | --- | --- |
//! | `repeat_interval` = n × `group_interval` | slips by one interval | on the beat |
//! | a group that is empty | lives for up to 30 s | until its next beat |
//! | of two ends that reports promise | the later one, unless a report without one came between | the later one |
//! | over and told, and sent again | told once more if the group said something else between | a repeat |
//! | a late firing of an episode that is over | fires again | known for what it is, for `dedup_window` |
//! | `group_interval: 0s` | refused | every change at once |
//! | 429 and `Retry-After` | given up | tried again when it was asked to be |
//! | an alert without an end | over after `resolve_timeout` (5m) | waits for its resolve, unless a timeout is set; 5m for `alertmanager.yml` |
//! | `location: Local`, months of 13, `weekdays: []` | accepted | refused |
//! | ranges of days such as `28:-1` | refused | accepted |
//!
//! # Features
//!
//! - `webhook` (default): [`WebhookNotifier`], plain HTTP.
//! - `dispatch` (part of `webhook`): the [`Dispatcher`], on the host's tokio.
//! - `tls`: `https://` for the webhook, by rustls.
//! - `yaml`: `AlertmanagerFile` reads `alertmanager.yml` as it is, and `yaml::from_str` any other file.
//! - `rules`: alerts from the firings of `birl-rules-dsl`.
//! - `prometheus`: [`Metrics`] as a collector for the host's registry.
//!
//! Without default features the decision remains, and the trait to deliver by: no tokio, no socket.
#![cfg_attr(
    not(feature = "webhook"),
    expect(rustdoc::broken_intra_doc_links, reason = "the story names what only features bring")
)]

mod alert;
mod index;
mod labels;
mod matcher;
mod pattern;

#[cfg(feature = "yaml")]
mod alertmanager;
mod config;
mod interval;
mod plan;
mod receiver;
mod route;
mod topology;

mod bloom;
mod inhibit;
mod silence;

mod clock;
mod dedup;
mod flap;
mod group;
mod state;
mod storm;
mod table;
mod tracked;
mod wheel;

mod delivery;
mod endpoint;
mod flush;
mod life;
mod logged;
mod muted;
mod outstanding;
mod regroup;
mod routed;
mod router;
mod saved;
mod snapshot;
mod teller;

mod notification;
mod notifier;
mod report;
#[cfg(feature = "webhook")]
mod webhook;

#[cfg(feature = "dispatch")]
mod dispatch;
#[cfg(feature = "dispatch")]
mod lane;
#[cfg(feature = "dispatch")]
mod retry;

#[cfg(feature = "prometheus")]
mod collector;
#[cfg(feature = "rules")]
mod from_rules;
mod metrics;

pub mod lint;
#[cfg(feature = "yaml")]
pub mod yaml;

mod duration;
mod error;
mod published;
mod time;

/// The README's program, compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use async_trait::async_trait;

pub use crate::alert::{Alert, Status};
#[cfg(feature = "yaml")]
pub use crate::alertmanager::{AlertmanagerFile, Notice};
pub use crate::config::{
    Compat, Config, EndpointConfig, GlobalConfig, HostConfig, Limits, NamedHostConfig,
    ReceiverConfig, RouteConfig, SlaTier, SlaTiers, StdoutConfig, WebhookConfig,
};
pub use crate::dedup::{DedupKey, DedupWindow};
#[cfg(feature = "dispatch")]
pub use crate::dispatch::{
    DispatchConfig, Dispatcher, DispatcherBuilder, Receipt, Refused, Reports,
};
pub use crate::endpoint::{EndpointId, EndpointStatus, Health, HealthConfig, Way, Ways};
pub use crate::error::{Error, ErrorKind, Position};
pub use crate::flap::FlapConfig;
pub use crate::inhibit::{
    InhibitOptions, InhibitRuleConfig, InhibitScratch, InhibitedBy, Inhibition,
};
pub use crate::interval::{
    TimeInterval, TimeIntervalConfig, TimeIntervalSpec, TimeIntervals, TimeRangeConfig,
};
pub use crate::labels::{Fingerprint, LabelPairs, Labels};
pub use crate::matcher::{MatchOp, Matcher, Matchers};
pub use crate::metrics::Metrics;
pub use crate::notification::{Notification, WebhookV4};
pub use crate::notifier::{NamedNotifier, Notifier, NotifyError, WriterNotifier, notifiers_for};
pub use crate::published::{Published, Reader};
pub use crate::report::{DeadLetter, DeliveryReport, DeliveryResult, LostCause, Reported};
#[cfg(feature = "dispatch")]
pub use crate::retry::RetryPolicy;
pub use crate::route::{GroupBy, Route, RouteScratch, RouteStep, RouteTree, RouteVerdict};
pub use crate::routed::{Outcome, Reason, Routed};
pub use crate::router::{AlertView, GroupView, Router};
pub use crate::saved::SavedRouter;
pub use crate::silence::{
    Silence, SilenceChange, SilenceEdit, SilenceLimits, SilenceScratch, SilenceSet, SilenceSlot,
    SilenceState, SilenceStatus, SilenceView, Silences,
};
pub use crate::snapshot::{Decision, DecisionTarget, EndpointReason, Snapshot};
pub use crate::state::{AlertState, Effect, Event, Quiet, State, Word};
pub use crate::storm::RateLimit;
pub use crate::topology::{LinkConfig, RegionConfig, Topology, TopologyConfig};
#[cfg(feature = "webhook")]
pub use crate::webhook::WebhookNotifier;
