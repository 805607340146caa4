//! What has been seen of one decision, and which of its legs that makes hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::decision::{Action, Decision, DecisionId, Trigger};
use crate::signal::{Observation, Replicas};
use crate::speakers::Speakers;
use crate::timestamp::{elapsed, later};
use crate::verification::{Leg, LegName, Verdict, Verification};
use crate::verify::VerifierConfig;

/// How many names a sentence lists before it only counts.
const NAMES: usize = 8;

/// How long before a change its alert may have been raised.
const ALERT_AGE: Duration = Duration::from_secs(3600);

/// An alert that is on its way, or was told.
#[derive(Debug, Clone)]
pub(crate) struct Raised {
    /// Which occurrence.
    pub(crate) id: Arc<str>,
    /// When it was raised last.
    pub(crate) at: SystemTime,
    /// To whom it was told first, and when.
    pub(crate) told: Option<(Arc<str>, SystemTime)>,
}

/// The reading behind a change.
#[derive(Debug, Clone)]
struct Read {
    /// When it was measured; `None` if it was too old to be believed, or not there.
    at: Option<SystemTime>,
    evidence: String,
}

/// When each instance of a target was last seen in the log.
pub(crate) type Sightings = Speakers<()>;

/// A decision whose verdict is open.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    id: DecisionId,
    target: Arc<str>,
    action: Action,
    from: u32,
    to: u32,
    /// Evidence counts from here on.
    since: SystemTime,
    pub(crate) until: SystemTime,
    /// Legs with a deadline of their own.
    sooner: BTreeMap<LegName, SystemTime>,
    /// The reading that drove it, where the host told and there is one.
    read: Option<Read>,
    /// Whether an intent asked for it.
    is_asked: bool,
    /// The alert that must have been told.
    pub(crate) alert: Option<Raised>,
    platform: Option<Replicas>,
    /// Since when the platform reports the size as ready.
    ready_at: Option<SystemTime>,
    counter: Option<SystemTime>,
    /// What the counter read first.
    counted_from: Option<u64>,
    text: Option<(String, SystemTime)>,
    /// Who was heard since the decision.
    heard: BTreeSet<Arc<str>>,
    /// When there were enough of them.
    enough_at: Option<SystemTime>,
}

impl Pending {
    pub(crate) fn new(decision: &Decision, seen: Option<&Observation>, until: SystemTime) -> Self {
        Self {
            id: decision.id,
            target: Arc::clone(&decision.target),
            action: decision.action,
            from: decision.from,
            to: decision.to,
            since: decision.at,
            until,
            sooner: BTreeMap::new(),
            read: seen.and_then(|seen| read(decision, seen)),
            is_asked: matches!(decision.trigger, Some(Trigger::Intent { .. })),
            alert: None,
            platform: None,
            ready_at: None,
            counter: None,
            counted_from: None,
            text: None,
            heard: BTreeSet::new(),
            enough_at: None,
        }
    }

    /// Sets the deadlines of single legs, counted from `now`.
    pub(crate) fn expected(&mut self, config: &VerifierConfig, now: SystemTime) {
        let sooner = config.within.iter().map(|(leg, within)| (*leg, later(now, *within)));
        self.sooner = sooner.filter(|(_, until)| *until < self.until).collect();
    }

    /// An alert was raised. A change that an intent asked for has the nearest one behind it: the last
    /// before the decision or, where there is none, the first after it. Which of them is told of first
    /// does not matter.
    pub(crate) fn raised(&mut self, alert: &Raised) {
        if !self.is_asked || elapsed(alert.at, self.since) > ALERT_AGE {
            return;
        }
        let since = self.since;
        let far = |at| (at > since, elapsed(at, since).max(elapsed(since, at)));
        if self.alert.as_ref().is_none_or(|held| far(alert.at) < far(held.at)) {
            self.alert = Some(alert.clone());
        }
    }

    pub(crate) fn hear(&mut self, instance: &str, at: SystemTime) {
        // Enough is enough: the set never outgrows the size that was decided.
        let enough = self.to as usize;
        if at < self.since || self.heard.len() >= enough || self.heard.contains(instance) {
            return;
        }
        self.heard.insert(Arc::from(instance));
        if self.heard.len() == enough {
            self.enough_at = Some(at);
        }
    }

    pub(crate) fn platform(&mut self, replicas: Replicas, now: SystemTime) {
        let there = replicas == Replicas::ready(self.to);
        self.platform = Some(replicas);
        self.ready_at = if there { self.ready_at.or(Some(now)) } else { None };
    }

    pub(crate) fn count(&mut self, at: SystemTime) {
        if at >= self.since && self.counter.is_none() {
            self.counter = Some(at);
        }
    }

    pub(crate) fn count_reads(&mut self, count: u64, at: SystemTime) {
        match self.counted_from {
            Some(from) if count > from => self.count(at),
            // A smaller one is that of a counter which has begun anew.
            _ => self.counted_from = Some(count),
        }
    }

    pub(crate) fn read(&mut self, line: &str, wanted: &str, at: SystemTime) {
        let wanted = wanted.replace("{replicas}", &self.to.to_string());
        let sooner = self.text.as_ref().is_none_or(|(_, told)| at < *told);
        if at >= self.since && sooner && holds_text(line, &wanted) {
            self.text = Some((wanted, at));
        }
    }

    /// Every leg as it stands at `now`; after the deadline, as it stood then.
    pub(crate) fn legs(
        &self,
        config: &VerifierConfig,
        sightings: &Sightings,
        now: SystemTime,
    ) -> Vec<Leg> {
        let now = now.min(self.until);
        let mut legs = Vec::with_capacity(6);
        legs.extend(self.read.as_ref().map(Read::leg));
        legs.extend(self.alert.as_ref().map(Raised::leg));
        legs.push(self.platform_leg());
        if config.counter {
            legs.push(self.counter_leg());
        }
        if self.action == Action::ScaleDown {
            legs.extend(self.quiet_legs(config.quiet, sightings, now));
        } else {
            legs.push(self.instances_leg());
        }
        if let Some(wanted) = &config.text {
            legs.push(self.text_leg(wanted));
        }
        for leg in &mut legs {
            let until = self.sooner.get(&leg.name).copied().unwrap_or(self.until);
            leg.until = Some(until);
            leg.ok = leg.at.is_some_and(|at| at <= until);
        }
        legs
    }

    /// What has come of it by `now`, unless that is still open.
    pub(crate) fn verdict(&self, legs: &[Leg], now: SystemTime) -> Option<Verdict> {
        let Some(first) = legs.iter().find(|leg| !leg.ok) else { return Some(Verdict::Verified) };
        let open = |leg: &&Leg| !leg.ok && leg.until.is_some_and(|until| now < until);
        if legs.iter().any(|leg| open(&leg)) {
            return None;
        }
        let told = |leg: &Leg| (leg.name, leg.evidence.clone());
        if let Some(against) = legs.iter().find(|leg| !leg.ok && leg.contradicted) {
            let (leg, why) = told(against);
            return Some(Verdict::Failed { leg, why });
        }
        let platform = legs.iter().find(|leg| leg.name == LegName::PlatformReady && !leg.ok);
        Some(match platform {
            Some(platform) => {
                let (leg, why) = told(platform);
                Verdict::TimedOut { leg, why }
            }
            None => {
                let (leg, why) = told(first);
                Verdict::Partial { leg, why }
            }
        })
    }

    pub(crate) fn conclude(
        &self,
        legs: Vec<Leg>,
        verdict: Verdict,
        at: SystemTime,
    ) -> Verification {
        Verification {
            decision_id: self.id,
            target: Arc::clone(&self.target),
            from: self.from,
            replicas: self.to,
            legs,
            verdict,
            at,
        }
    }

    fn platform_leg(&self) -> Leg {
        let evidence = match self.platform {
            Some(Replicas { desired, ready }) => {
                format!("the platform reports {ready} ready of {desired} desired")
            }
            None => "the platform has reported nothing".to_owned(),
        };
        let other = self.platform.is_some_and(|replicas| replicas.desired != self.to);
        Leg { contradicted: other, ..leg(LegName::PlatformReady, self.ready_at, evidence) }
    }

    fn counter_leg(&self) -> Leg {
        let seen = if self.counter.is_some() { "it moved" } else { "it was not seen to move" };
        leg(LegName::Counter, self.counter, seen.to_owned())
    }

    fn instances_leg(&self) -> Leg {
        let heard = names(self.heard.iter());
        let evidence = format!("{} of {} were heard{heard}", self.heard.len(), self.to);
        leg(LegName::Instances, self.enough_at, evidence)
    }

    /// After a scale-in, at the end of a quiet period that began no earlier than the drain's end:
    /// who stays must have spoken in it, and nobody else may have.
    fn quiet_legs(&self, quiet: Duration, sightings: &Sightings, now: SystemTime) -> [Leg; 2] {
        let Some(ready_at) = self.ready_at else {
            let wait = || "the drain has not ended".to_owned();
            return [leg(LegName::Instances, None, wait()), leg(LegName::Silence, None, wait())];
        };
        let start = now.checked_sub(quiet).map_or(ready_at, |start| start.max(ready_at));
        let spoke = sightings.iter().filter(|(_, at, ())| *at > start);
        let live: Vec<_> = spoke.map(|(name, ..)| name).collect();
        let (count, to) = (live.len(), self.to as usize);
        let over = elapsed(ready_at, now) >= quiet;
        let told = names(live.into_iter());
        let enough = (over && count >= to).then_some(now);
        let silent = (over && count <= to).then_some(now);
        let window = crate::duration::format(quiet);
        [
            leg(
                LegName::Instances,
                enough,
                format!("{count} of {to} were heard in the last {window}{told}"),
            ),
            Leg {
                contradicted: over && count > to,
                ..leg(
                    LegName::Silence,
                    silent,
                    match over {
                        true => {
                            format!("{count} were heard in the last {window}, {to} should be left")
                        }
                        false => format!("less than {window} have passed since the drain"),
                    },
                )
            },
        ]
    }

    fn text_leg(&self, wanted: &str) -> Leg {
        match &self.text {
            Some((text, at)) => leg(LegName::Text, Some(*at), format!("the log says `{text}`")),
            None => {
                let wanted = wanted.replace("{replicas}", &self.to.to_string());
                leg(LegName::Text, None, format!("the log has not said `{wanted}`"))
            }
        }
    }
}

fn leg(name: LegName, at: Option<SystemTime>, evidence: String) -> Leg {
    Leg { name, ok: at.is_some(), contradicted: false, at, until: None, evidence }
}

impl Raised {
    fn leg(&self) -> Leg {
        match &self.told {
            Some((way, at)) => leg(LegName::Alert, Some(*at), format!("told: {way}")),
            None => leg(LegName::Alert, None, "nobody was told of the alert behind it".to_owned()),
        }
    }
}

impl Read {
    fn leg(&self) -> Leg {
        leg(LegName::Metric, self.at, self.evidence.clone())
    }
}

/// The reading that drove a decision, out of what was seen; nothing if no metric did.
fn read(decision: &Decision, seen: &Observation) -> Option<Read> {
    let Some(Trigger::Metric { metric, value, target }) = &decision.trigger else { return None };
    let Some(signal) = seen.signals.iter().find(|signal| signal.name == *metric) else {
        let evidence = format!("{metric} is not in what was seen");
        return Some(Read { at: None, evidence });
    };
    let age = elapsed(signal.at, decision.at);
    let shown = crate::duration::format(age);
    let evidence = format!("{metric} was {value} (target {target}), measured {shown} before");
    let believed = age <= signal.max_age && signal.at <= later(decision.at, signal.max_age);
    Some(Read { at: believed.then_some(signal.at), evidence })
}

/// ` (a, b and 3 more)`, or nothing.
fn names<'a>(mut among: impl Iterator<Item = &'a Arc<str>>) -> String {
    let shown: Vec<&str> = among.by_ref().take(NAMES).map(|name| &**name).collect();
    match (shown.len(), among.count()) {
        (0, _) => String::new(),
        (_, 0) => format!(": {}", shown.join(", ")),
        (_, more) => format!(": {} and {more} more", shown.join(", ")),
    }
}

/// Whether `line` holds `text` and no longer number in its place: `scaled to 3`, not `30`.
fn holds_text(line: &str, text: &str) -> bool {
    line.match_indices(text).any(|(at, _)| {
        let next = line[at + text.len()..].chars().next();
        let inside = text.ends_with(|c: char| c.is_ascii_digit());
        !(inside && next.is_some_and(|c| c.is_ascii_digit()))
    })
}
