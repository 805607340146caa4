//! Counters that the host can read, and with the feature `prometheus` register.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::decision::{Action, Decision, Reason};
use crate::verification::{Leg, LegName, Verdict, Verification};

/// The most targets that have a gauge; further ones are counted as dropped.
const MAX_TARGETS: usize = 10_000;

/// The leg under which a verification counts as a whole.
const ALL: &str = "all";

/// Whether a change was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It was.
    Success,
    /// It was not.
    Failed,
}

impl Status {
    /// As in metrics and log lines: `success`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed",
        }
    }
}

impl<T, E> From<&Result<T, E>> for Status {
    fn from(outcome: &Result<T, E>) -> Self {
        if outcome.is_ok() { Self::Success } else { Self::Failed }
    }
}

/// What the scaler did, counted. Clones are handles to the same counters.
///
/// | name | type | labels |
/// | --- | --- | --- |
/// | `autoscaler_scale_actions_total` | counter | `action`, `reason`, `status` |
/// | `autoscaler_holds_total` | counter | `reason` |
/// | `autoscaler_replicas` | gauge | `target` |
/// | `autoscaler_verifications_total` | counter | `leg`, `verdict` |
/// | `birl_scaler_dropped_total` | counter | `reason` |
/// | `birl_scaler_decision_log_entries` | gauge | `state`: `written`, `waiting`, `dropped`, `unwritable`, `left_out` |
/// | `birl_scaler_decision_log_degraded` | gauge | |
///
/// A verification counts once with the leg `all`, and once with each of its legs: `verified` if
/// that leg held, `failed` if what was seen says otherwise, `timed_out` if too little was seen.
///
/// With the feature `prometheus` it is a collector: `registry.register(Box::new(metrics.clone()))`.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    actions: BTreeMap<(Action, Reason, Status), u64>,
    holds: BTreeMap<Reason, u64>,
    replicas: BTreeMap<Arc<str>, u32>,
    /// By leg and verdict.
    verifications: BTreeMap<(&'static str, &'static str), u64>,
    dropped_targets: u64,
    /// How the decision log fares, where the host tells.
    #[cfg(feature = "decision-log")]
    log: Option<crate::decision_log::RecorderStats>,
}

impl Metrics {
    /// Counters at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a decision to leave a target as it is, by what settled it: `brake` is a runaway or a
    /// forged log, `unknown_signal` something to measure that is not there. A change counts nothing.
    pub fn record_hold(&self, decision: &Decision) {
        if decision.action == Action::Hold {
            *self.lock().holds.entry(decision.reason).or_default() += 1;
        }
    }

    /// Counts a change that was carried out or failed, and tells about it in one `tracing` event
    /// (target `birl_scaler`). A hold is no action and counts nothing.
    pub fn record_action(&self, decision: &Decision, status: Status) {
        if !decision.is_change() {
            return;
        }
        let key = (decision.action, decision.reason, status);
        *self.lock().actions.entry(key).or_default() += 1;
        if status == Status::Success {
            self.set_replicas(&decision.target, decision.to);
        }
        crate::telemetry::tell_action(decision, status);
    }

    /// Counts a verdict, and tells about it in one `tracing` event.
    pub fn record_verification(&self, verification: &Verification) {
        let mut counts = self.lock();
        let whole = (ALL, verification.verdict.as_str());
        let legs = verification.legs.iter();
        let legs = legs.map(|leg| (leg.name.as_str(), of_leg(leg, &verification.verdict)));
        for key in legs.chain([whole]) {
            *counts.verifications.entry(key).or_default() += 1;
        }
        drop(counts);
        crate::telemetry::tell_verification(verification);
    }

    /// Sets the gauge of a target's size.
    pub fn set_replicas(&self, target: &str, replicas: u32) {
        let mut counts = self.lock();
        if let Some(gauge) = counts.replicas.get_mut(target) {
            *gauge = replicas;
        } else if counts.replicas.len() < MAX_TARGETS {
            counts.replicas.insert(Arc::from(target), replicas);
        } else {
            counts.dropped_targets += 1;
        }
    }

    /// Tells how the decision log fares; on each tick, say.
    #[cfg(feature = "decision-log")]
    pub fn set_log(&self, stats: crate::decision_log::RecorderStats) {
        self.lock().log = Some(stats);
    }

    /// How many actions there were of this kind.
    pub fn actions(&self, action: Action, reason: Reason, status: Status) -> u64 {
        self.lock().actions.get(&(action, reason, status)).copied().unwrap_or_default()
    }

    /// How many actions were carried out of the kind that `decision` is: what its counter reads,
    /// for [`Verifier::counter_reads`](crate::Verifier::counter_reads).
    pub fn actions_like(&self, decision: &Decision) -> u64 {
        self.actions(decision.action, decision.reason, Status::Success)
    }

    /// How many actions were carried out, of every kind.
    pub fn actions_total(&self) -> u64 {
        let counts = self.lock();
        let done = counts.actions.iter().filter(|((.., status), _)| *status == Status::Success);
        done.map(|(_, count)| count).sum()
    }

    /// How many decisions held for this reason.
    pub fn holds(&self, reason: Reason) -> u64 {
        self.lock().holds.get(&reason).copied().unwrap_or_default()
    }

    /// The last known size of a target.
    pub fn replicas(&self, target: &str) -> Option<u32> {
        self.lock().replicas.get(target).copied()
    }

    /// How many verdicts of this kind there were: `verified`, `partial`, `failed`, `timed_out`,
    /// `superseded`, `unchecked`.
    pub fn verifications(&self, verdict: &str) -> u64 {
        self.counted(ALL, verdict)
    }

    /// How often a leg came out so: `verified`, `failed`, `timed_out`, `superseded`.
    pub fn leg_verifications(&self, leg: LegName, verdict: &str) -> u64 {
        self.counted(leg.as_str(), verdict)
    }

    fn counted(&self, leg: &str, verdict: &str) -> u64 {
        let counts = self.lock();
        let same = counts.verifications.iter().filter(|(key, _)| **key == (leg, verdict));
        same.map(|(_, count)| count).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // A counter that somebody panicked beside is still a number.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a single leg counts as.
fn of_leg(leg: &Leg, whole: &Verdict) -> &'static str {
    match whole {
        _ if leg.ok => "verified",
        Verdict::Superseded { .. } | Verdict::Unchecked { .. } => whole.as_str(),
        _ if leg.contradicted => "failed",
        _ => "timed_out",
    }
}

#[cfg(feature = "prometheus")]
mod collector {
    use std::sync::LazyLock;

    use prometheus::core::{Collector, Desc};
    use prometheus::proto::MetricFamily;
    use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts};

    use super::Metrics;

    /// The families, filled from the counts when somebody scrapes.
    struct Families {
        actions: IntCounterVec,
        holds: IntCounterVec,
        replicas: IntGaugeVec,
        verifications: IntCounterVec,
        dropped: IntCounterVec,
        log: IntGaugeVec,
        degraded: IntGauge,
    }

    impl Families {
        /// Names and labels are constants; a test registers them, so that this is never `None`.
        fn new() -> Option<Self> {
            let counter = |name: &str, help: &str, labels: &[&str]| {
                IntCounterVec::new(Opts::new(name, help), labels).ok()
            };
            let replicas = Opts::new("autoscaler_replicas", "The last known size of a target.");
            let log = Opts::new(
                "birl_scaler_decision_log_entries",
                "Entries of the decision log: kept, waiting, lost, not to be written, or as others are.",
            );
            let degraded = "Whether decisions go on from memory: their log cannot be written.";
            Some(Self {
                actions: counter(
                    "autoscaler_scale_actions_total",
                    "Scaling actions, by what was done, what settled it and whether it worked.",
                    &["action", "reason", "status"],
                )?,
                holds: counter(
                    "autoscaler_holds_total",
                    "Decisions to leave a target as it is, by what settled it.",
                    &["reason"],
                )?,
                replicas: IntGaugeVec::new(replicas, &["target"]).ok()?,
                verifications: counter(
                    "autoscaler_verifications_total",
                    "Scaling actions that were followed up, by leg (`all` for the whole) and verdict.",
                    &["leg", "verdict"],
                )?,
                dropped: counter(
                    "birl_scaler_dropped_total",
                    "What was not recorded because a bound was reached.",
                    &["reason"],
                )?,
                log: IntGaugeVec::new(log, &["state"]).ok()?,
                degraded: IntGauge::new("birl_scaler_decision_log_degraded", degraded).ok()?,
            })
        }

        fn all(&self) -> [&dyn Collector; 7] {
            let Self { actions, holds, replicas, verifications, dropped, log, degraded } = self;
            [actions, holds, replicas, verifications, dropped, log, degraded]
        }

        #[cfg(feature = "decision-log")]
        fn fill_log(&self, stats: &crate::decision_log::RecorderStats) {
            for (state, entries) in [
                ("written", stats.written),
                ("waiting", stats.waiting),
                ("dropped", stats.dropped),
                ("unwritable", stats.unwritable),
                ("left_out", stats.left_out),
            ] {
                let entries = i64::try_from(entries).unwrap_or(i64::MAX);
                self.log.with_label_values(&[state]).set(entries);
            }
            self.degraded.set(i64::from(stats.is_degraded()));
        }
    }

    /// The interface hands out references, so the descriptions are made once for the process.
    static DESCRIPTIONS: LazyLock<Vec<Desc>> = LazyLock::new(|| {
        let families = Families::new();
        let all = families.iter().flat_map(Families::all);
        all.flat_map(|family| family.desc().into_iter().cloned().collect::<Vec<_>>()).collect()
    });

    impl Collector for Metrics {
        fn desc(&self) -> Vec<&Desc> {
            DESCRIPTIONS.iter().collect()
        }

        fn collect(&self) -> Vec<MetricFamily> {
            let Some(families) = Families::new() else { return Vec::new() };
            let counts = self.lock();
            for ((action, reason, status), count) in &counts.actions {
                let labels = [action.as_str(), reason.as_str(), status.as_str()];
                families.actions.with_label_values(&labels).inc_by(*count);
            }
            for (reason, count) in &counts.holds {
                families.holds.with_label_values(&[reason.as_str()]).inc_by(*count);
            }
            for (target, replicas) in &counts.replicas {
                families.replicas.with_label_values(&[target]).set(i64::from(*replicas));
            }
            for ((leg, verdict), count) in &counts.verifications {
                families.verifications.with_label_values(&[leg, verdict]).inc_by(*count);
            }
            families
                .dropped
                .with_label_values(&["too_many_targets"])
                .inc_by(counts.dropped_targets);
            #[cfg(feature = "decision-log")]
            if let Some(stats) = &counts.log {
                families.fill_log(stats);
            }
            drop(counts);
            families.all().into_iter().flat_map(|family| family.collect()).collect()
        }
    }
}
