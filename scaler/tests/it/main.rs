//! One binary for all integration tests; a module a concern.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a helper of a test may fail the test")]

mod support;

mod band;
mod behavior;
mod brake;
mod explain;
mod guard;
mod guard_alarm;
mod hpa;
mod intent;
mod kpa;
mod metric;
mod metrics;
mod pains;
mod pause;
mod properties;
mod ratio;
mod shape;
mod signal;
#[cfg(feature = "simulate")]
mod simulate;
mod spec;
mod state;
mod tick;
mod twin;
mod verify;

#[cfg(feature = "command")]
mod command;
#[cfg(feature = "decision-log")]
mod decision_log;
#[cfg(feature = "procfs")]
mod disk;
#[cfg(feature = "decision-log")]
mod flood;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "procfs")]
mod pressure;
#[cfg(feature = "process")]
mod process;
#[cfg(feature = "procfs")]
mod procfs;
#[cfg(feature = "prometheus-query")]
mod prom_query;
#[cfg(feature = "rules")]
mod rules;
#[cfg(feature = "sampler")]
mod sampler;
#[cfg(feature = "statsd")]
mod statsd;
#[cfg(feature = "statsd")]
mod statsd_twin;
