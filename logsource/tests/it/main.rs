//! What a user of the crate relies on, through its public API.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod acks;
mod bad_input;
mod batches;
mod budgets;
mod carry;
mod conformance;
mod far_end;
mod follow;
mod journald;
mod keeping;
mod metrics;
mod pains;
mod parsers;
mod pipes;
mod pulled;
mod push;
mod registry;
mod round_trips;
mod support;
