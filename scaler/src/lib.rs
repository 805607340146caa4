//! How much capacity should run, why, and whether it happened.
//!
//! An autoscaler is judged by its worst night: it read an outage as an empty queue and scaled a
//! service away, it flapped at the edge of a threshold, it jumped past what anybody had allowed,
//! and in the morning nobody could say why. This crate is built around those nights, from three
//! nouns:
//!
//! * An [`Observation`] is what is known at one moment: the size of a target, the [`Signal`]s that
//!   were measured, and the [`ScaleIntent`]s that rules or people handed in. What is not known is
//!   *Unknown*: a value that is missing, NaN, negative or too old never turns into zero, and an
//!   Unknown signal forbids every scale-down.
//! * A [`Decision`] is what a [`Decider`] makes of it: a new size or a hold, with every signal,
//!   proposal and limit that led to it, as data and as one sentence.
//! * A [`Verification`] is what a [`Verifier`] found out afterwards: the platform is ready, the
//!   counter moved, and as many distinct instances as decided showed themselves in the workload's
//!   own log. Until then a change is only an intention.
//!
//! # How it decides
//!
//! The formula is the Kubernetes HPA's, `ceil(ratio × ready)`, the largest of several metrics wins,
//! and missing instances are filled in so that they only dampen. Several things stand between the
//! formula and a change, each a field of [`ScalerSpec`], each named in the decision that it held
//! back:
//!
//! 1. The *hysteresis band*. With a target of 60 % and the factors 1.3 and 0.7 it acts at 78 % and
//!    above, and below 42 %; nothing happens in between.
//! 2. The *condition window* (`coolDown`). The metric must ask for the whole window, and the count
//!    starts anew when it breaks off.
//! 3. The *stabilization window* of the HPA's [`behavior`](Behavior), where there is one: a change
//!    goes no further than every recommendation of the window. Intents skip these two, which are
//!    about metrics, and nothing else.
//! 4. *Bounds, step, rate and lock-out*: the fewest and most replicas (at this time of day:
//!    [`Schedule`]), the largest single change, the `behavior`'s policies, the rest after an applied
//!    change.
//! 5. The *brake*: so many changes an hour for a target, so many for all of them ([`GlobalBrake`]),
//!    and a kill switch. Whoever can write a log line could otherwise scale you.
//!
//! Beside the formula, a [`Guard`] on a signal that is not proportional to replicas (latency, a
//! retry ratio) steps up or forbids to go down; a panic ([`PanicSpec`]) does not wait for windows;
//! a [`Fallback`] says what to run when nothing has been known for a while; and a target can be
//! paused, in one direction, or at a size, or only previewed ([`Mode`]). [`ScalerSpec::hpa`] is a
//! Kubernetes HPA and nothing else.
//!
//! # Why it is shaped like this
//!
//! Decider and verifier are synchronous state machines that take the time as an argument, do no
//! I/O and cannot fail. So the same history can be replayed at disk speed or simulated with
//! faults, and gives the same decisions, byte for byte: numbers become thousandths in integers
//! where they enter, because `1 − 0.7` is not 0.3 in binary floats. The decider's memory is a value
//! ([`DeciderState`]) that is stored with each decision, so that a restart inside a window neither
//! hastens nor forgets.
//!
//! What acts is a [`ScaleTarget`]: `LocalProcesses`, which runs and drains real worker processes,
//! [`MemoryTarget`], or your own.
//!
//! # An example
//!
//! One turn of the loop; a host runs it on a tick of its own, 15 s being customary.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//!
//! use birl_scaler::{
//!     Decider, MemoryTarget, MetricSpec, Metrics, Observation, ScaleTarget, ScalerSpec,
//!     SignalWindow, Status, Verifier,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), birl_scaler::Error> {
//! let mut spec = ScalerSpec::new("workers", 1, 10);
//! spec.metrics = vec![MetricSpec::utilization("cpu", 60)];
//! spec.cool_down.scale_up = Duration::ZERO; // for this example: act at once
//!
//! let (mut decider, mut verifier) = (Decider::new(spec)?, Verifier::default());
//! let (metrics, target) = (Metrics::new(), MemoryTarget::new(2));
//! let mut cpu = SignalWindow::new("cpu", Duration::from_secs(30));
//!
//! let now = SystemTime::now();
//! cpu.record("worker-1", 88.0, now, now); // from a log line, a scrape, …: measured when, and now
//! cpu.record("worker-2", 96.0, now, now);
//!
//! let seen = Observation::new(target.replicas().await?).signal(cpu.signal(now));
//! let decision = decider.decide(&seen, now);
//! assert_eq!(
//!     decision.explain(),
//!     "scale_up workers 2 → 4: cpu 92 % is at or above 78 % (target 60 %); limits: none"
//! );
//! if decision.is_change() {
//!     verifier.expect(&decision, Duration::from_secs(60), now);
//!     let outcome = target.scale_to(decision.to, &decision).await;
//!     metrics.record_action(&decision, Status::from(&outcome));
//!     let told = outcome.as_ref().map(|_| ()).map_err(|_| "the target refused");
//!     decider.applied(&decision, told, now);
//! }
//! # assert_eq!(target.history(), [4]);
//! # Ok(()) }
//! ```
//!
//! # Features
//!
//! * `command`: `CommandTarget`, which scales by running a program.
//! * `decision-log`: every decision, with all that it follows from, in an append-only log of files,
//!   and `Replay`, which makes them again.
//! * `ebpf`: `PageFaults`, counted in the Linux kernel where it lets us.
//! * `etcd`: `EtcdDecisionLog`, the same log in etcd. Building it needs `protoc`.
//! * `kube`: `KubeTarget`, for Kubernetes' `/scale`. The program that is built with it chooses the
//!   version of `k8s-openapi`.
//! * `otlp`: the module `otlp`, signals from OpenTelemetry spans.
//! * `process` (default): `LocalProcesses`, on tokio.
//! * `procfs`: `MemoryPressure` and `DiskQueue`, signals from files of the Linux kernel.
//! * `prometheus-query`: `PrometheusQuery`, a signal by an expression of a Prometheus server.
//! * `prometheus`: [`Metrics`] is a collector for a registry that the host passes in.
//! * `rules`: `ScaleIntent::from_firing`, from what a rule of `birl-rules-dsl` asks for.
//! * `sampler`: `Sampler` asks all signals at once, each with its deadline; `Agenda` is the loop's
//!   waiting: the [`Tick`], and firings that do not wait for it.
//! * `schedule`: other bounds at certain times, in time zones.
//! * `simulate`: a service under load in memory, to compare specifications before the night.
//! * `statsd`: signals that services report over StatsD, by UDP and Unix sockets.
//!
//! Without any of them there is the core alone. The crate starts no runtime, installs no handler
//! and prints nothing; it tells what it does through [`Metrics`] and `tracing` events.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod behavior;
mod belief;
mod brake;
#[cfg(feature = "command")]
mod command;
mod conditions;
mod decider;
mod decision;
#[cfg(feature = "decision-log")]
mod decision_log;
mod demand;
#[cfg(feature = "procfs")]
mod disk;
mod duration;
#[cfg(all(feature = "ebpf", target_os = "linux"))]
mod ebpf;
mod error;
#[cfg(feature = "etcd")]
mod etcd_log;
mod evidence;
mod explain;
mod fallback;
mod fnv;
#[cfg(feature = "rules")]
mod from_rules;
mod guard;
mod guard_alarm;
mod intent;
mod kpa;
#[cfg(feature = "kube")]
mod kube_target;
mod limit;
mod metric;
mod metrics;
mod milli;
mod moment;
#[cfg(feature = "otlp")]
pub mod otlp;
mod panic_mode;
#[cfg(feature = "procfs")]
mod pressure;
#[cfg(feature = "process")]
mod process;
#[cfg(feature = "procfs")]
pub mod procfs;
#[cfg(feature = "prometheus-query")]
mod prom_query;
mod proposal;
mod rate;
mod ratio;
mod restraint;
#[cfg(feature = "sampler")]
mod sampler;
mod schedule;
mod signal;
mod signal_window;
#[cfg(feature = "simulate")]
pub mod simulate;
mod source;
mod speakers;
mod spec;
mod stabilization;
mod state;
#[cfg(feature = "statsd")]
pub mod statsd;
mod target;
mod telemetry;
mod tick;
mod timestamp;
mod verification;
mod verify;
mod window;
mod wish;

pub use async_trait::async_trait;

pub use crate::behavior::{Behavior, PolicyKind, ScalingPolicy, ScalingRules, SelectPolicy};
pub use crate::brake::GlobalBrake;
#[cfg(feature = "command")]
pub use crate::command::{CommandTarget, CommandTargetBuilder};
pub use crate::conditions::{Condition, ConditionKind};
pub use crate::decider::Decider;
pub use crate::decision::{Action, Decision, DecisionId, Limit, Reason, Trigger};
#[cfg(feature = "decision-log")]
pub use crate::decision_log::{
    AppliedRecord, DecisionEntry, DecisionLine, DecisionLog, DecisionLogReader, DecisionRecord,
    DecisionRecorder, FileDecisionLog, FileLogOptions, Fsync, LeftOut, RecorderOptions,
    RecorderStats, Replay, Replayed, last_state,
};
#[cfg(feature = "procfs")]
pub use crate::disk::{DiskDepth, DiskQueue};
#[cfg(all(feature = "ebpf", target_os = "linux"))]
pub use crate::ebpf::PageFaults;
pub use crate::error::{Error, ErrorKind};
#[cfg(feature = "etcd")]
pub use crate::etcd_log::{EtcdDecisionLog, EtcdLogCounts, EtcdLogOptions};
pub use crate::fallback::Fallback;
pub use crate::guard::{Guard, GuardReading, GuardState, GuardStep};
pub use crate::guard_alarm::{GuardAlarm, GuardAlarms};
pub use crate::intent::{Change, ScaleIntent};
pub use crate::kpa::{Kpa, KpaLoad, KpaSpec};
#[cfg(feature = "kube")]
pub use crate::kube_target::KubeTarget;
pub use crate::metric::{
    MetricId, MetricSource, MetricSpec, ObjectRef, Requirement, Selector, Startup, TargetType, Unit,
};
pub use crate::metrics::{Metrics, Status};
pub use crate::milli::Milli;
pub use crate::moment::Moment;
pub use crate::panic_mode::PanicSpec;
#[cfg(feature = "procfs")]
pub use crate::pressure::{MemoryMeasure, MemoryPressure};
#[cfg(feature = "process")]
pub use crate::process::{LocalProcesses, LocalProcessesBuilder, Output, ProcessStats, Ready};
#[cfg(feature = "prometheus-query")]
pub use crate::prom_query::{PrometheusQuery, PrometheusServer};
pub use crate::proposal::{Band, Proposal, Reading, Tally, Unknown};
#[cfg(all(feature = "sampler", feature = "prometheus"))]
pub use crate::sampler::TargetSignals;
#[cfg(feature = "sampler")]
pub use crate::sampler::{
    Agenda, HealthState, IntentSender, Occasion, Sampler, SignalBoard, SignalConditions,
    SourceHealth,
};
pub use crate::schedule::{Day, Schedule};
pub use crate::signal::{Instance, Observation, Phase, Replicas, Sample, Signal};
pub use crate::signal_window::SignalWindow;
pub use crate::source::{Fault, FaultKind, SignalSource};
pub use crate::spec::{
    BrakeSpec, CoolDown, Hysteresis, LockOut, Mode, ScalerSpec, Step, TargetRef,
};
pub use crate::state::DeciderState;
pub use crate::target::{MemoryTarget, ScaleTarget};
pub use crate::tick::{Tick, Turn};
pub use crate::verification::{Leg, LegName, Verdict, Verification};
pub use crate::verify::{Verifier, VerifierConfig};

/// The README's program compiles.
#[cfg(all(doctest, feature = "process"))]
#[doc = include_str!("../README.md")]
struct Readme;
