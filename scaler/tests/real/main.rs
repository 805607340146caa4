//! Against the programs that signals really come from.
//!
//! Needs what `.ci/parts` installs. Starts its own of each, on the loopback interface and in a directory of its own, and
//! stops it; what is missing fails loudly.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a helper of a test fails the test, and the real parts live in real time"
)]

#[cfg(feature = "statsd")]
mod statsd; // what clients of StatsD send
