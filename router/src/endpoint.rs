//! Endpoints: which of the ways to a receiver is the nearest healthy one.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::config::{HealthConfig, SlaTier, SlaTiers};
use crate::{Status, time};

/// How much the newest round trip counts in the moving average.
const EWMA_WEIGHT: f64 = 0.3;

/// Names one way to a receiver, such as `oncall/eu` or `oncall/webhook_configs/0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointId(Arc<str>);

/// Is an endpoint worth sending to?
///
/// A double check of two signals: the heartbeat (an active probe where the host reports one, else whether the last
/// delivery went through) and the round trip's moving average against its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Health {
    /// Both signals are good, or nothing is known yet.
    Up,
    /// One signal is bad. Kept, and used when no other endpoint is up.
    Degraded,
    /// Both signals are bad, or too many deliveries in a row have failed. Used only when nothing else is left, and
    /// on trial again after `retry_down_after`.
    Down,
}

/// What is known of one endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EndpointStatus {
    /// Its name.
    pub id: EndpointId,
    /// Its health, as of the time asked for.
    pub health: Health,
    /// The moving average of its round trips; `None` before the first.
    pub rtt: Option<Duration>,
    /// Failed attempts since the last one that went through.
    pub failures: u32,
}

/// The measurements of one endpoint.
#[derive(Debug, Clone, Default)]
struct Vitals {
    /// Moving average in milliseconds, and when it was last fed. Forgotten when it is old: an endpoint that nobody
    /// uses because it *was* slow must get another chance.
    rtt: Option<(f64, SystemTime)>,
    failures: u32,
    last_failure: Option<SystemTime>,
    /// When the last active probe was answered, and whether the newest one was.
    probe: Option<(SystemTime, bool)>,
}

/// The endpoints' health, by name.
#[derive(Debug)]
pub(crate) struct Endpoints {
    vitals: HashMap<EndpointId, Vitals>,
    health: HealthConfig,
    tiers: SlaTiers,
}

/// One endpoint of a pool, as the configuration has it.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) id: EndpointId,
    pub(crate) distance: u32,
}

/// A candidate as of one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged<'a> {
    candidate: &'a Candidate,
    health: Health,
    rtt: Option<f64>,
    failures: u32,
}

/// The endpoint that was chosen, and why.
#[derive(Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) id: &'a EndpointId,
    pub(crate) why: Grounds<'a>,
}

/// Why an endpoint was chosen, as a part of a sentence; written where the sentence is.
#[derive(Debug)]
pub(crate) enum Grounds<'a> {
    Judged {
        how: &'static str,
        found: Judged<'a>,
        budget: Option<(SlaTier, Duration)>,
    },
    /// The last telling is still on its way there, and says this.
    Behind(Status),
}

impl EndpointId {
    /// Names an endpoint.
    pub fn new(name: impl Into<String>) -> Self {
        Self(Arc::from(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for EndpointId {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        })
    }
}

impl Endpoints {
    pub(crate) fn new(
        ids: impl Iterator<Item = EndpointId>,
        health: HealthConfig,
        tiers: SlaTiers,
    ) -> Self {
        Self { vitals: ids.map(|id| (id, Vitals::default())).collect(), health, tiers }
    }

    /// Takes over what is known of the endpoints that stay.
    pub(crate) fn inherit(&mut self, mut old: Self) {
        for (id, vitals) in &mut self.vitals {
            if let Some(known) = old.vitals.remove(id) {
                *vitals = known;
            }
        }
    }

    /// Records an attempt. `true` if the endpoint's health is another one now.
    pub(crate) fn attempt(
        &mut self,
        id: &EndpointId,
        ok: bool,
        rtt: Option<Duration>,
        now: SystemTime,
    ) -> bool {
        self.measure(id, now, |vitals| {
            if ok {
                vitals.failures = 0;
                vitals.last_failure = None;
                vitals.record_rtt(rtt, now);
            } else {
                vitals.failures = vitals.failures.saturating_add(1);
                vitals.last_failure = Some(now);
            }
        })
    }

    /// Records an active probe: its round trip, or `None` if it was not answered.
    pub(crate) fn probe(
        &mut self,
        id: &EndpointId,
        rtt: Option<Duration>,
        now: SystemTime,
    ) -> bool {
        self.measure(id, now, |vitals| {
            let answered = vitals.probe.map_or(now, |(at, _)| at);
            vitals.probe = Some((if rtt.is_some() { now } else { answered }, rtt.is_some()));
            vitals.record_rtt(rtt, now);
            if rtt.is_some() {
                vitals.failures = 0;
            }
        })
    }

    pub(crate) fn status(&self, now: SystemTime) -> Vec<EndpointStatus> {
        let sorted: BTreeMap<_, _> = self.vitals.iter().collect();
        let statuses = sorted.into_iter().map(|(id, vitals)| EndpointStatus {
            id: id.clone(),
            health: vitals.health(&self.health, now),
            rtt: vitals
                .rtt
                .map(|(ms, _)| Duration::try_from_secs_f64(ms / 1000.0).unwrap_or(Duration::MAX)),
            failures: vitals.failures,
        });
        statuses.collect()
    }

    /// Chooses among `pool`, which is sorted by distance, leaving out what was tried already.
    ///
    /// In this order: the nearest that is up and inside the tier; the nearest degraded one inside the tier; the
    /// fastest that is not down; and when all are down, the one that failed least. `None` only if none is left.
    pub(crate) fn choose<'a>(
        &self,
        pool: &'a [Candidate],
        tier: Option<SlaTier>,
        tried: &[EndpointId],
        now: SystemTime,
    ) -> Option<Choice<'a>> {
        let budget = tier.map(|tier| (tier, self.tiers.budget(tier)));
        let unknown = Vitals::default();
        let candidates: Vec<Judged<'a>> = pool
            .iter()
            .filter(|candidate| !tried.contains(&candidate.id))
            .map(|candidate| {
                let vitals = self.vitals.get(&candidate.id).unwrap_or(&unknown);
                Judged {
                    candidate,
                    health: vitals.health(&self.health, now),
                    rtt: vitals.rtt(&self.health, now),
                    failures: vitals.failures,
                }
            })
            .collect();
        let inside = |it: &Judged<'_>| budget.is_none_or(|(_, limit)| within(it.rtt, limit));
        let nearest = |wanted| candidates.iter().find(|it| it.health == wanted && inside(it));
        let fastest = || {
            let alive = candidates.iter().filter(|it| it.health != Health::Down);
            alive.min_by(|a, b| a.rtt.unwrap_or(0.0).total_cmp(&b.rtt.unwrap_or(0.0)))
        };
        let least_bad = || candidates.iter().min_by_key(|it| it.failures);

        let (found, how) = if let Some(found) = nearest(Health::Up) {
            (found, "nearest healthy")
        } else if let Some(found) = nearest(Health::Degraded) {
            (found, "none is up; nearest degraded")
        } else if let Some(found) = fastest() {
            (found, "all are outside the SLA; fastest that is alive")
        } else {
            (least_bad()?, "all are down; least bad")
        };
        let id = &found.candidate.id;
        Some(Choice { id, why: Grounds::Judged { how, found: *found, budget } })
    }

    fn measure(
        &mut self,
        id: &EndpointId,
        now: SystemTime,
        record: impl FnOnce(&mut Vitals),
    ) -> bool {
        let Some(vitals) = self.vitals.get_mut(id) else { return false };
        let before = vitals.health(&self.health, now);
        record(vitals);
        before != vitals.health(&self.health, now)
    }
}

impl Vitals {
    fn health(&self, config: &HealthConfig, now: SystemTime) -> Health {
        let failures = self.recent_failures(config, now);
        if failures >= config.failures {
            // On trial again after a while: one more failure and it is down once more.
            let waited = self.last_failure.map(|at| time::since(at, now)).unwrap_or_default();
            let on_trial = waited >= config.retry_down_after;
            return if on_trial { Health::Degraded } else { Health::Down };
        }
        let heartbeat = match self.probe {
            Some((at, answered)) => {
                answered && time::since(at, now) <= config.heartbeat_timeout && failures == 0
            }
            None => failures == 0,
        };
        match (heartbeat, within(self.rtt(config, now), config.rtt_budget)) {
            (true, true) => Health::Up,
            (false, false) => Health::Down,
            _ => Health::Degraded,
        }
    }

    /// The failures in a row, unless the knowledge is too old. Where nobody probes, and another endpoint is up, only a
    /// notification can find out that this one is back.
    fn recent_failures(&self, config: &HealthConfig, now: SystemTime) -> u32 {
        let old = self.last_failure.is_none_or(|at| time::since(at, now) > config.rtt_max_age);
        if self.probe.is_none() && old { 0 } else { self.failures }
    }

    /// The round trip in milliseconds, unless the knowledge is too old.
    fn rtt(&self, config: &HealthConfig, now: SystemTime) -> Option<f64> {
        let (ms, at) = self.rtt?;
        (time::since(at, now) <= config.rtt_max_age).then_some(ms)
    }

    fn record_rtt(&mut self, rtt: Option<Duration>, now: SystemTime) {
        let Some(rtt) = rtt else { return };
        let newest = rtt.as_secs_f64() * 1000.0;
        let average = self.rtt.map_or(newest, |(old, _)| old + EWMA_WEIGHT * (newest - old));
        self.rtt = Some((average, now));
    }
}

/// Is the round trip inside `budget`? One that was never measured is given the benefit of the doubt.
fn within(rtt_ms: Option<f64>, budget: Duration) -> bool {
    rtt_ms.is_none_or(|ms| ms <= budget.as_secs_f64() * 1000.0)
}

/// `nearest healthy: distance 1, up, rtt 12 ms within tier 1 (50 ms)`.
impl fmt::Display for Grounds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (how, found, budget) = match self {
            Self::Judged { how, found, budget } => (how, found, budget),
            Self::Behind(Status::Firing) => return f.write_str("behind the firing"),
            Self::Behind(Status::Resolved) => return f.write_str("behind the resolve"),
        };
        let Judged { candidate, health, rtt, .. } = *found;
        write!(f, "{how}: distance {}, {health}", candidate.distance)?;
        match rtt {
            Some(ms) => write!(f, ", rtt {ms:.0} ms")?,
            None => f.write_str(", rtt not measured yet")?,
        }
        let Some((tier, budget)) = *budget else { return Ok(()) };
        let side = if within(rtt, budget) { "within" } else { "outside" };
        write!(f, ", {side} tier {} ({} ms)", tier.number(), budget.as_millis())
    }
}
