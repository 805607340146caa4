//! Did it happen? Every applied decision is followed up until its evidence is in, or its deadline
//! passes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::decision::{Decision, DecisionId};
use crate::evidence::{Pending, Sightings};
use crate::signal::Replicas;
use crate::timestamp::later;

/// What a [`Verifier`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifierConfig {
    /// Whether the counter of scaling actions must be seen to move; on by default.
    pub counter: bool,
    /// A text that must show in the log, `{replicas}` standing for the size, such as
    /// `scaled to {replicas}`. None by default: a text is one more sign, not the proof.
    pub text: Option<String>,
    /// After a scale-in: how long the stopped instances must have been silent, and within how long
    /// each of those that stay must have spoken. 5 s by default.
    pub quiet: Duration,
    /// The most targets that are followed at once; 1024 by default.
    pub max_targets: usize,
    /// The most instances that are remembered for a target; 4096 by default.
    pub max_instances: usize,
}

impl Default for VerifierConfig {
    fn default() -> Self {
        Self {
            counter: true,
            text: None,
            quiet: Duration::from_secs(5),
            max_targets: 1024,
            max_instances: 4096,
        }
    }
}

/// Follows decisions up: is the platform ready, did the counter move, and do the instances show
/// themselves in the workload's own log?
///
/// It is as pure as the decider. The host tells it what it expects and what it sees, in any order,
/// and asks with [`tick`](Self::tick) what has come to a verdict. A newer decision for a target
/// supersedes the older one, unless that had come to its verdict by then.
///
/// It believes the log that it is handed. Whoever can write to that log can name instances that
/// there are not; the platform's word is the leg that such lines cannot forge.
///
/// ```
/// # fn main() -> Result<(), birl_scaler::Error> {
/// # use std::time::{Duration, UNIX_EPOCH};
/// # use birl_scaler::*;
/// # let now = UNIX_EPOCH + Duration::from_secs(1_795_420_800);
/// # let mut decider = Decider::new(ScalerSpec::new("workers", 1, 3))?;
/// # let asked = ScaleIntent::new("slow/1", Change::By(1));
/// # let decision = decider.decide(&Observation::new(Replicas::ready(1)).intent(asked), now);
/// let mut verifier = Verifier::new(VerifierConfig::default());
/// verifier.expect(&decision, Duration::from_secs(30), now); // 1 → 2
///
/// verifier.ready("workers", Replicas::ready(2), now);
/// verifier.counter_moved("workers", now);
/// verifier.see_instance("workers", "worker-1", now);
/// assert!(verifier.tick(now).is_empty(), "one of two has spoken");
///
/// verifier.see_instance("workers", "worker-2", now);
/// assert_eq!(verifier.tick(now)[0].verdict, Verdict::Verified);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Verifier {
    config: VerifierConfig,
    targets: BTreeMap<Arc<str>, Followed>,
    /// Verdicts that no tick has fetched yet; at most one a target, since an older one goes out
    /// with the same tick as its successor.
    settled: Vec<Verification>,
    dropped: u64,
}

#[derive(Debug, Clone, Default)]
struct Followed {
    sightings: Sightings,
    pending: Option<Pending>,
}

/// What became of one decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verification {
    /// The decision.
    pub decision_id: DecisionId,
    /// Its target.
    pub target: Arc<str>,
    /// The size before.
    pub from: u32,
    /// The size that was decided.
    pub replicas: u32,
    /// Each leg, with its evidence.
    pub legs: Vec<Leg>,
    /// What follows from them.
    pub verdict: Verdict,
    /// When the verdict was reached.
    #[serde(with = "crate::timestamp::serde")]
    pub at: SystemTime,
}

/// One leg of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Leg {
    /// Which.
    pub name: LegName,
    /// Whether it holds.
    pub ok: bool,
    /// Since when, if it does.
    #[serde(with = "crate::timestamp::serde::option")]
    pub at: Option<SystemTime>,
    /// What was seen, as a sentence.
    pub evidence: String,
}

/// Which leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LegName {
    /// The platform reports the size as asked for and ready.
    PlatformReady,
    /// The counter of scaling actions moved.
    Counter,
    /// As many distinct instances as decided showed themselves in the workload's log.
    Instances,
    /// After a scale-in: nobody else did, for a quiet period after the drain.
    Silence,
    /// The configured text showed in the log.
    Text,
}

impl LegName {
    /// As in log lines: `platform_ready`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PlatformReady => "platform_ready",
            Self::Counter => "counter",
            Self::Instances => "instances",
            Self::Silence => "silence",
            Self::Text => "text",
        }
    }
}

/// The outcome of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Every leg holds.
    Verified,
    /// The deadline passed before this leg held; the first of them.
    Failed {
        /// The leg.
        leg: LegName,
        /// What was missing.
        why: String,
    },
    /// A newer decision for the same target came before the verdict.
    Superseded {
        /// The newer one.
        by: DecisionId,
    },
    /// It could not be followed: too many targets at once.
    Unchecked {
        /// What was full.
        why: String,
    },
}

impl Verdict {
    /// As in metrics and log lines: `verified`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Failed { .. } => "failed",
            Self::Superseded { .. } => "superseded",
            Self::Unchecked { .. } => "unchecked",
        }
    }
}

impl fmt::Display for Verification {
    /// `verified workers 1 → 3: platform_ready ok (…), counter ok (…), instances ok (…)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, from, replicas, verdict, .. } = self;
        write!(f, "{} {target} {from} → {replicas}", verdict.as_str())?;
        match verdict {
            Verdict::Superseded { by } => write!(f, " by {by}")?,
            Verdict::Unchecked { why } => write!(f, ": {why}")?,
            Verdict::Failed { leg, why } => write!(f, " at {}: {why}", leg.as_str())?,
            Verdict::Verified => {}
        }
        for (at, leg) in self.legs.iter().enumerate() {
            let start = if at == 0 { "; legs: " } else { ", " };
            let mark = if leg.ok { "ok" } else { "open" };
            write!(f, "{start}{} {mark} ({})", leg.name.as_str(), leg.evidence)?;
        }
        Ok(())
    }
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new(VerifierConfig::default())
    }
}

impl Verifier {
    /// A verifier that expects nothing yet.
    pub fn new(config: VerifierConfig) -> Self {
        Self { config, targets: BTreeMap::new(), settled: Vec::new(), dropped: 0 }
    }

    /// Follows a change up until `deadline` from `now`. Evidence counts from the moment of the
    /// decision on, also what was seen before this call. A hold is nothing to follow.
    pub fn expect(&mut self, decision: &Decision, deadline: Duration, now: SystemTime) {
        if !decision.is_change() {
            return;
        }
        let until = later(now, deadline);
        if self.followed(&decision.target).is_none() {
            let most = self.config.max_targets;
            let why = format!("already following {most} targets, the most allowed");
            let lost = Pending::new(decision, until, &Sightings::default());
            self.settle(lost.conclude(Vec::new(), Verdict::Unchecked { why }, now));
            return;
        }
        let Some(followed) = self.targets.get_mut(&decision.target) else { return };
        let pending = Pending::new(decision, until, &followed.sightings);
        if let Some(older) = followed.pending.replace(pending) {
            let legs = older.legs(&self.config, &followed.sightings, now);
            let verdict = older.verdict(&legs, now);
            let verdict = verdict.unwrap_or(Verdict::Superseded { by: decision.id });
            self.settle(older.conclude(legs, verdict, now));
        }
    }

    /// `instance` of `target` showed itself in the workload's own log, in a record of time `at`.
    pub fn see_instance(&mut self, target: &str, instance: &str, at: SystemTime) {
        let most = self.config.max_instances;
        let Some(followed) = self.followed(target) else {
            self.dropped += 1;
            return;
        };
        let evicted = followed.sightings.note(instance, at, most);
        if let Some(pending) = &mut followed.pending {
            pending.hear(instance, at);
        }
        self.dropped += u64::from(evicted);
    }

    /// A log line about `target`; it counts if it holds the configured text.
    pub fn see_text(&mut self, target: &str, text: &str, at: SystemTime) {
        let Some(wanted) = &self.config.text else { return };
        if let Some(pending) = self.targets.get_mut(target).and_then(|t| t.pending.as_mut()) {
            pending.read(text, wanted, at);
        }
    }

    /// The platform reports this size of `target` at `now`.
    pub fn ready(&mut self, target: &str, replicas: Replicas, now: SystemTime) {
        if let Some(pending) = self.targets.get_mut(target).and_then(|t| t.pending.as_mut()) {
            pending.platform(replicas, now);
        }
    }

    /// The counter of scaling actions was seen to move for `target`.
    pub fn counter_moved(&mut self, target: &str, at: SystemTime) {
        if let Some(pending) = self.targets.get_mut(target).and_then(|t| t.pending.as_mut()) {
            pending.count(at);
        }
    }

    /// What has come to a verdict by `now`; each decision once.
    pub fn tick(&mut self, now: SystemTime) -> Vec<Verification> {
        let mut settled = std::mem::take(&mut self.settled);
        for followed in self.targets.values_mut() {
            let Some(pending) = followed.pending.take() else { continue };
            let legs = pending.legs(&self.config, &followed.sightings, now);
            match pending.verdict(&legs, now) {
                Some(verdict) => settled.push(pending.conclude(legs, verdict, now)),
                None => followed.pending = Some(pending),
            }
        }
        settled
    }

    /// When the next deadline passes, if anything is expected. Ask for a tick after each piece of
    /// evidence as well, and after the quiet period of a scale-in.
    pub fn next_deadline(&self) -> Option<SystemTime> {
        self.targets.values().filter_map(|t| t.pending.as_ref()).map(|p| p.until).min()
    }

    /// How many decisions are being followed.
    pub fn pending(&self) -> usize {
        self.targets.values().filter(|followed| followed.pending.is_some()).count()
    }

    /// How many sightings, memories of idle targets and verdicts were dropped because a bound was
    /// reached.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The entry of `target`, made if there is room.
    fn followed(&mut self, target: &str) -> Option<&mut Followed> {
        if !self.targets.contains_key(target) {
            if self.targets.len() >= self.config.max_targets {
                // Make room: what nobody waits for is only a memory of sightings.
                let idle = self.targets.iter().find(|(_, followed)| followed.pending.is_none());
                let idle = Arc::clone(idle?.0);
                self.targets.remove(&idle);
                self.dropped += 1;
            }
            self.targets.insert(Arc::from(target), Followed::default());
        }
        self.targets.get_mut(target)
    }

    /// Keeps a verdict for the next tick; a host that never ticks loses the oldest.
    fn settle(&mut self, verification: Verification) {
        if self.settled.len() >= self.config.max_targets.max(1) {
            self.settled.remove(0);
            self.dropped += 1;
        }
        self.settled.push(verification);
    }
}
