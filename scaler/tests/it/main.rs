//! One binary for all integration tests; a module a concern.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

mod support;

#[cfg(feature = "process")]
mod process;
