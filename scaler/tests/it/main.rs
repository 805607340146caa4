//! One binary for all integration tests; a module a concern.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a helper of a test may fail the test")]

mod support;

mod band;
mod behavior;
mod brake;
mod explain;
mod guard;
mod hpa;
mod intent;
mod kpa;
mod metrics;
mod pains;
mod pause;
mod properties;
mod shape;
mod signal;
#[cfg(feature = "simulate")]
mod simulate;
mod spec;
mod state;
mod twin;
mod verify;

#[cfg(feature = "process")]
mod process;
#[cfg(feature = "rules")]
mod rules;
