//! How much capacity should run, why, and whether it happened.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod brake;
mod decider;
mod decision;
mod demand;
mod duration;
mod error;
mod evidence;
mod explain;
#[cfg(feature = "rules")]
mod from_rules;
mod intent;
mod metric;
mod metrics;
mod milli;
#[cfg(feature = "process")]
mod process;
mod ratio;
mod signal;
mod signal_window;
mod spec;
mod state;
mod target;
mod telemetry;
mod timestamp;
mod verify;
mod window;

pub use async_trait::async_trait;

pub use crate::brake::GlobalBrake;
pub use crate::decider::Decider;
pub use crate::decision::{
    Action, Band, Decision, DecisionId, Limit, Proposal, Reading, Reason, Trigger, Unknown,
};
pub use crate::error::{Error, ErrorKind};
pub use crate::intent::{Change, ScaleIntent};
pub use crate::metric::{MetricSpec, Unit};
pub use crate::metrics::{Metrics, Status};
pub use crate::milli::Milli;
#[cfg(feature = "process")]
pub use crate::process::{LocalProcesses, LocalProcessesBuilder, Output, ProcessStats, Ready};
pub use crate::signal::{Instance, Observation, Replicas, Sample, Signal};
pub use crate::signal_window::SignalWindow;
pub use crate::spec::{BrakeSpec, CoolDown, Hysteresis, LockOut, ScalerSpec, Step, TargetRef};
pub use crate::state::DeciderState;
pub use crate::target::{MemoryTarget, ScaleTarget};
pub use crate::verify::{Leg, LegName, Verdict, Verification, Verifier, VerifierConfig};
