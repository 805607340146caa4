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

#[cfg(feature = "decision-log")]
mod decision_log; // a disk that is full
mod disk; // queues before disks
#[cfg(target_os = "linux")]
mod ebpf; // page faults, counted in the kernel
#[cfg(feature = "etcd")]
mod etcd; // decisions in a real etcd
mod kernel; // memory that is touched, cgroups
#[cfg(feature = "kube")]
mod kube; // whatever API server `KUBECONFIG` names
mod node_exporter; // a machine's load and disks
mod otlp; // spans of the OpenTelemetry SDK
mod pressure; // memory that is short
mod programs; // how the programs are started and stopped
mod prometheus; // the P99 of a service, and a server that is killed
mod statsd; // what clients of StatsD send
