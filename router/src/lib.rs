//! Placeholder doc.
mod alert;
#[cfg(feature = "prometheus")]
mod collector;
mod config;
mod dedup;
#[cfg(feature = "dispatch")]
mod dispatch;
mod duration;
mod endpoint;
mod error;
#[cfg(feature = "rules")]
mod from_rules;
mod labels;
#[cfg(feature = "dispatch")]
mod lane;
mod life;
mod matcher;
mod metrics;
mod notification;
mod notifier;
mod outstanding;
mod pattern;
mod plan;
mod receiver;
mod report;
#[cfg(feature = "dispatch")]
mod retry;
mod route;
mod routed;
mod router;
mod state;
mod table;
mod teller;
mod time;
mod tracked;
#[cfg(feature = "webhook")]
mod webhook;

pub use crate::alert::{Alert, Status};
pub use crate::config::{
    Config, EndpointConfig, GlobalConfig, HealthConfig, HostConfig, Limits, ReceiverConfig,
    RouteConfig, SlaTier, SlaTiers, StdoutConfig, WebhookConfig,
};
pub use crate::dedup::{DedupKey, DedupWindow};
#[cfg(feature = "dispatch")]
pub use crate::dispatch::{
    DispatchConfig, Dispatcher, DispatcherBuilder, Receipt, Refused, Reports,
};
pub use crate::endpoint::{EndpointId, EndpointStatus, Health};
pub use crate::error::{Error, ErrorKind};
pub use crate::labels::{Fingerprint, Labels};
pub use crate::matcher::{MatchOp, Matcher};
pub use crate::metrics::Metrics;
pub use crate::notification::{Notification, WebhookV4};
pub use crate::notifier::{NamedNotifier, Notifier, NotifyError, WriterNotifier, notifiers_for};
pub use crate::report::{DeadLetter, DeliveryReport, DeliveryResult, LostCause, Reported};
#[cfg(feature = "dispatch")]
pub use crate::retry::RetryPolicy;
pub use crate::routed::{Outcome, Routed};
pub use crate::router::{AlertView, Router};
pub use crate::state::{AlertState, Effect, Event, State, Word};
#[cfg(feature = "webhook")]
pub use crate::webhook::WebhookNotifier;
pub use async_trait::async_trait;
