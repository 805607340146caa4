//! Did it happen? Every applied decision is followed up until its evidence is in, or its deadline
//! passes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::decision::Decision;
use crate::evidence::{Pending, Raised, Sightings};
use crate::signal::{Observation, Replicas};
use crate::timestamp::later;
use crate::verification::{LegName, Verdict, Verification};

/// Who spoke within it keeps its place among the instances: a change may take so long to be carried
/// out, and who was seen meanwhile counts.
const REMEMBERED: Duration = Duration::from_secs(60);

/// What a [`Verifier`] asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifierConfig {
    /// Whether the counter of scaling actions must be seen to move; on by default.
    pub counter: bool,
    /// Legs that must hold sooner than the rest, counted from when the change is expected.
    pub within: BTreeMap<LegName, Duration>,
    /// A text that must show in the log, `{replicas}` standing for the size, such as
    /// `scaled to {replicas}`. None by default: a text is one more sign, not the proof.
    pub text: Option<String>,
    /// After a scale-in: how long the stopped instances must have been silent, and within how long
    /// each of those that stay must have spoken. 5 s by default.
    pub quiet: Duration,
    /// The most targets that are followed at once; 1024 by default.
    pub max_targets: usize,
    /// The most instances that are remembered for a target; 4096 by default. Past it a stranger is
    /// not, until one of them has been silent for a minute, or for `quiet` where that is longer.
    pub max_instances: usize,
}

impl Default for VerifierConfig {
    fn default() -> Self {
        Self {
            counter: true,
            within: BTreeMap::new(),
            text: None,
            quiet: Duration::from_secs(5),
            max_targets: 1024,
            max_instances: 4096,
        }
    }
}

/// Follows decisions up along the whole loop, metric → alert → scale → log: was the reading behind
/// it fresh, was the alert told, is the platform ready, did the counter move, and do the instances
/// show themselves in the workload's own log?
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
/// verifier.see_instance("workers", "worker-1", now, now);
/// assert!(verifier.tick(now).is_empty(), "one of two has spoken");
///
/// verifier.see_instance("workers", "worker-2", now, now);
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

#[derive(Debug, Clone)]
struct Followed {
    sightings: Sightings,
    /// The alert that was raised last.
    alert: Option<Raised>,
    /// The alert that was told last of those that nobody has raised yet: which, to whom, and when.
    told: Option<(Arc<str>, Arc<str>, SystemTime)>,
    pending: Option<Pending>,
}

impl Followed {
    fn new(config: &VerifierConfig) -> Self {
        let sightings = Sightings::new(config.max_instances, config.quiet.max(REMEMBERED));
        Self { sightings, alert: None, told: None, pending: None }
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
        self.follow(decision, None, deadline, now);
    }

    /// The same, and the change must come from a fresh reading, which is in what was `seen`.
    pub fn expect_seen(
        &mut self,
        decision: &Decision,
        seen: &Observation,
        deadline: Duration,
        now: SystemTime,
    ) {
        self.follow(decision, Some(seen), deadline, now);
    }

    /// The target refused a change, which has failed by that.
    pub fn refused(&mut self, decision: &Decision, error: &str, now: SystemTime) {
        if !decision.is_change() {
            return;
        }
        let verdict = Verdict::Failed {
            leg: LegName::PlatformReady,
            why: format!("the target refused: {error}"),
        };
        let lost = Pending::new(decision, None, now);
        self.settle(lost.conclude(Vec::new(), verdict, now));
    }

    fn follow(
        &mut self,
        decision: &Decision,
        seen: Option<&Observation>,
        deadline: Duration,
        now: SystemTime,
    ) {
        if !decision.is_change() {
            return;
        }
        let until = later(now, deadline);
        if self.followed(&decision.target).is_none() {
            let most = self.config.max_targets;
            let why = format!("already following {most} targets, the most allowed");
            let lost = Pending::new(decision, seen, until);
            self.settle(lost.conclude(Vec::new(), Verdict::Unchecked { why }, now));
            return;
        }
        let Some(followed) = self.targets.get_mut(&decision.target) else { return };
        let mut pending = Pending::new(decision, seen, until);
        for (instance, at, ()) in followed.sightings.iter() {
            pending.hear(instance, at);
        }
        pending.expected(&self.config, now);
        if let Some(alert) = &followed.alert {
            pending.raised(alert);
        }
        if let Some(older) = followed.pending.replace(pending) {
            let legs = older.legs(&self.config, &followed.sightings, now);
            let verdict = older.verdict(&legs, now);
            let verdict = verdict.unwrap_or(Verdict::Superseded { by: decision.id });
            self.settle(older.conclude(legs, verdict, now));
        }
    }

    /// `instance` of `target` showed itself in the workload's own log, in a record of time `at`. One
    /// that lies ahead of `now` comes from a clock that is fast: it was seen `now`.
    pub fn see_instance(&mut self, target: &str, instance: &str, at: SystemTime, now: SystemTime) {
        let Some(followed) = self.followed(target) else {
            self.dropped += 1;
            return;
        };
        let remembered = followed.sightings.hear(instance, (), at, now);
        if let Some(pending) = &mut followed.pending {
            pending.hear(instance, at.min(now));
        }
        self.dropped += u64::from(!remembered);
    }

    /// A log line about `target`; it counts if it holds the configured text.
    pub fn see_text(&mut self, target: &str, text: &str, at: SystemTime) {
        let Some(wanted) = &self.config.text else { return };
        if let Some(pending) = self.targets.get_mut(target).and_then(|t| t.pending.as_mut()) {
            pending.read(text, wanted, at);
        }
    }

    /// An alert about what drives `target` is on its way: a change that an intent asks for within
    /// the hour must see it told, and so must one that is expected already, where no other alert is
    /// behind it. `id` names the occurrence; raised again, it stays told.
    pub fn alert_raised(&mut self, target: &str, id: &str, at: SystemTime) {
        let Some(followed) = self.followed(target) else {
            self.dropped += 1;
            return;
        };
        let raised = match &mut followed.alert {
            Some(same) if *same.id == *id => {
                same.at = same.at.max(at);
                Raised { at, ..same.clone() }
            }
            other => {
                let told = followed.told.take_if(|(of, ..)| **of == *id);
                let told = told.map(|(_, way, at)| (way, at));
                other.insert(Raised { id: Arc::from(id), at, told }).clone()
            }
        };
        if let Some(pending) = &mut followed.pending {
            pending.raised(&raised);
        }
    }

    /// The alert `id` was told to somebody at `at`; `way` says to whom, and how.
    pub fn alert_told(&mut self, target: &str, id: &str, way: &str, at: SystemTime) {
        let Some(followed) = self.followed(target) else {
            self.dropped += 1;
            return;
        };
        let pending = followed.pending.as_mut().and_then(|pending| pending.alert.as_mut());
        let mut is_known = false;
        for alert in followed.alert.iter_mut().chain(pending).filter(|alert| *alert.id == *id) {
            alert.told.get_or_insert_with(|| (Arc::from(way), at));
            is_known = true;
        }
        if !is_known {
            followed.told = Some((Arc::from(id), Arc::from(way), at));
        }
    }

    /// The platform reports this size of `target` at `now`.
    pub fn ready(&mut self, target: &str, replicas: Replicas, now: SystemTime) {
        if let Some(pending) = self.targets.get_mut(target).and_then(|t| t.pending.as_mut()) {
            pending.platform(replicas, now);
        }
    }

    /// The counter of scaling actions of this kind reads `count`, as
    /// [`Metrics::actions_like`](crate::Metrics::actions_like) tells, or a scrape. The first reading
    /// is where it stood before the change; a greater one later is the proof that it moved.
    ///
    /// ```
    /// # fn main() -> Result<(), birl_scaler::Error> {
    /// # use std::time::{Duration, UNIX_EPOCH};
    /// # use birl_scaler::*;
    /// # let now = UNIX_EPOCH + Duration::from_secs(1_795_420_800);
    /// # let mut decider = Decider::new(ScalerSpec::new("workers", 1, 3))?;
    /// # let asked = ScaleIntent::new("slow/1", Change::By(1));
    /// # let decision = decider.decide(&Observation::new(Replicas::ready(1)).intent(asked), now);
    /// let (mut verifier, metrics) = (Verifier::default(), Metrics::new());
    /// verifier.expect(&decision, Duration::from_secs(30), now);
    /// verifier.counter_reads("workers", metrics.actions_like(&decision), now);
    ///
    /// metrics.record_action(&decision, Status::Success);
    /// verifier.counter_reads("workers", metrics.actions_like(&decision), now);
    /// # Ok(()) }
    /// ```
    pub fn counter_reads(&mut self, target: &str, count: u64, at: SystemTime) {
        if let Some(pending) = self.targets.get_mut(target).and_then(|t| t.pending.as_mut()) {
            pending.count_reads(count, at);
        }
    }

    /// The counter of scaling actions was seen to move for `target`, by a host that can tell
    /// otherwise than by [what it reads](Self::counter_reads).
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
            let followed = Followed::new(&self.config);
            self.targets.insert(Arc::from(target), followed);
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
