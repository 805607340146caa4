//! What a user of the crate relies on, through its public API.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod acks;
mod batches;
mod conformance;
mod follow;
mod journald;
mod metrics;
mod parsers;
mod pipes;
mod registry;
mod support;
