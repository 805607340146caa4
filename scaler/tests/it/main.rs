//! One binary for all integration tests; a module a concern.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a helper of a test may fail the test")]

mod support;

mod band;
mod brake;
mod explain;
mod hpa;
mod intent;
mod metrics;
mod pains;
mod properties;
mod shape;
mod signal;
#[cfg(feature = "simulate")]
mod simulate;
mod spec;
mod state;
mod verify;

#[cfg(feature = "process")]
mod process;
#[cfg(feature = "rules")]
mod rules;
