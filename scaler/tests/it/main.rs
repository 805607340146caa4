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
mod metric;
mod metrics;
mod pains;
mod pause;
mod properties;
mod ratio;
#[cfg(feature = "prometheus-query")]
mod prom_query;
mod properties;
#[cfg(feature = "sampler")]
mod sampler;
mod shape;
mod signal;
mod spec;
mod state;
mod twin;
mod tick;
mod verify;

#[cfg(feature = "procfs")]
mod disk;
#[cfg(feature = "procfs")]
mod pressure;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "process")]
mod process;
#[cfg(feature = "procfs")]
mod procfs;
#[cfg(feature = "rules")]
mod rules;
#[cfg(feature = "statsd")]
mod statsd;
#[cfg(feature = "statsd")]
mod statsd_twin;
