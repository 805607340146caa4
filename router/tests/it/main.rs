//! One binary for all integration tests; try not to add another.
#![cfg(not(loom))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails the test"
)]

mod alertmanager; // its files, as they are
mod compat; // as Alertmanager does
mod config; // what a configuration may say, and what is said about a bad one
mod dedup; // the window, against a naive twin
mod delivery; // queues, retries, reports, on a paused clock
mod endpoints; // which way is chosen, and what happens when it fails
mod groups; // what is told together, when, and when again
mod inhibition; // who is muted by what fires, against a naive twin
mod intervals; // the calendar, and time zones against a second library
mod life; // an alert fires, goes on, is over: who hears of it
mod lints; // what is odd, and what is not
mod matchers; // labels and matchers
mod metrics; // the counters, as Prometheus sees them
mod mutes; // silences and inhibitions in the router
mod pains; // size, and readers beside the writer
mod promises; // what is told, where that is hard to keep: late and lost messages, full tables, clocks
mod restart; // what was saved goes on
mod routes; // the tree, against a naive twin
#[cfg(feature = "rules")]
mod rules; // from a record to a notification
mod silences; // who has asked not to hear of what, against a naive twin
mod state; // the table of the state word, whole
mod storms; // storms, flapping, reloads, clocks that jump
mod topology; // regions, zones, links: shortest paths, against a naive twin
mod webhook; // a real server on the other end
mod wire; // the JSON, byte by byte

use std::time::{Duration, SystemTime};

use birl_router::{Alert, Config, Routed, Router};

/// How many random cases a test plays: some, or as many as a soak asks for.
fn cases(few: u64) -> u64 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(few)
}

/// A time, in seconds after an arbitrary beginning.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

/// Every alert by itself, and at once, unless the configuration says something of groups: most tests are about something
/// else.
fn config(mut json: serde_json::Value) -> Config {
    if let Some(route) = json["route"].as_object_mut()
        && !route.keys().any(|key| key.starts_with("group_"))
    {
        route.insert("group_by".into(), serde_json::json!(["..."]));
        route.insert("group_wait".into(), "0s".into());
        route.insert("group_interval".into(), "0s".into());
    }
    serde_json::from_value(json).expect("a valid configuration")
}

fn router(json: serde_json::Value) -> Router {
    Router::new(config(json)).expect("a consistent configuration")
}

/// One receiver, told by everything.
fn simple_router() -> Router {
    router(serde_json::json!({
        "route": { "receiver": "all" },
        "receivers": [{ "name": "all", "stdout_configs": [{}] }]
    }))
}

fn alert(name: &str, starts: u64) -> Alert {
    Alert::firing([("alertname", name)], at(starts))
}

/// `receiver:status` of each notification, in order.
fn told(notifications: &[birl_router::Notification]) -> Vec<String> {
    notifications.iter().map(|n| format!("{}:{}", n.receiver, n.status)).collect()
}

fn told_by(routed: &Routed) -> Vec<String> {
    told(&routed.notifications)
}
