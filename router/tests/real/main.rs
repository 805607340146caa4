//! Against a real Alertmanager: what it tells, birl tells.
//!
//! Needs Alertmanager's binaries: `prometheus-alertmanager` and `amtool` (Debian) or `alertmanager` in the path. Starts
//! its own, on the loopback interface and in a directory of its own, and stops it.
#![cfg(not(loom))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a helper of a test fails the test, and Alertmanager lives in real time"
)]

mod accepted; // which configurations are accepted
mod alertmanager; // the real thing
mod dice; // chance that a seed repeats
#[cfg(feature = "yaml")]
mod files; // its tool, on files of all ages
mod generated; // configurations and labels by chance
mod hooks; // the receiving end of webhooks
mod message; // the webhook's message
mod routes; // which receivers an alert is routed to
mod soak; // how many cases, which seed, what came of it
mod story; // what is reported when, by chance
mod timelines; // who is told what, and when
