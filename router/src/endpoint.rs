//! Endpoints: the ways to a receiver, and how well each of them is.

mod choice;
mod health;
mod vitals;
mod ways;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

pub(crate) use self::choice::{Candidate, Choice, Grounds, arrange};
pub use self::health::HealthConfig;
use self::health::{Rules, milliseconds, time};
use self::vitals::{SharedVitals, Vitals};
pub use self::ways::{Way, Ways};
use crate::config::{SlaTier, SlaTiers};
use crate::error::Error;

/// Names one way to a receiver, such as `oncall/eu` or `oncall/webhook_configs/0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EndpointId(Arc<str>);

/// Is an endpoint worth sending to?
///
/// A double check of two signals: the heartbeat (an active probe where the host reports one, else whether the last
/// delivery went through) and the round trip's moving average against its budget. Neither turns back easily: an average
/// that was above the budget has to sink below a lower mark, and one that was down needs several successes in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Health {
    /// Both signals are good, or nothing is known yet.
    Up,
    /// One signal is bad, or it was down and is on trial. Kept, and used when no other endpoint is up.
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
    /// It asked not to be used for so long from the time asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spared_for: Option<Duration>,
    /// Notifications on their way there, whose fate has not been reported.
    pub pending: u64,
}

/// The endpoints' health. One writer, which has it mutably; a clone is for reading: it shares the measurements, not the
/// configuration, and may be asked in any thread while the writer goes on.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    /// By [`Candidate::slot`].
    vitals: Vec<Arc<SharedVitals>>,
    slots: Arc<HashMap<EndpointId, usize>>,
    rules: Rules,
    /// The tiers' limits in milliseconds, from the first on, and as they were written.
    limits_ms: [f64; 3],
    tiers: SlaTiers,
    /// Moves with the configuration and with every change of health. Clones share it, until the next configuration.
    version: Arc<AtomicU64>,
}

/// A notification on its way: as long as this lives, it counts for its endpoint's load.
#[derive(Debug)]
pub(crate) struct Pending(Arc<SharedVitals>);

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
    /// Nothing is known of them yet. `ids` in the order of their slots.
    ///
    /// # Errors
    /// If `health` contradicts itself.
    pub(crate) fn new(
        ids: impl Iterator<Item = EndpointId>,
        health: &HealthConfig,
        tiers: SlaTiers,
    ) -> Result<Self, Error> {
        let slots: HashMap<_, _> = ids.enumerate().map(|(slot, id)| (id, slot)).collect();
        let limits = [SlaTier::One, SlaTier::Two, SlaTier::Three].map(|tier| tiers.budget(tier));
        Ok(Self {
            vitals: (0..slots.len()).map(|_| Arc::new(SharedVitals::new())).collect(),
            slots: Arc::new(slots),
            rules: Rules::compile(health)?,
            limits_ms: limits.map(milliseconds),
            tiers,
            version: Arc::new(AtomicU64::new(1)),
        })
    }

    /// Takes over what is known of the endpoints that stay.
    pub(crate) fn inherit(&mut self, old: Self) {
        for (id, slot) in self.slots.iter() {
            let (known, mine) = (old.shared(id), self.vitals.get_mut(*slot));
            if let (Some(known), Some(mine)) = (known, mine) {
                *mine = Arc::clone(known);
            }
        }
        // Another counter: who still decides by the old configuration must not name the version of the new one.
        self.version = Arc::new(AtomicU64::new(old.version() + 1));
    }

    /// After the clock was set back: every time that was taken by it.
    pub(crate) fn turn_back(&mut self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        for shared in &self.vitals {
            let mut vitals = shared.read();
            for at in [&mut vitals.failed, &mut vitals.probed, &mut vitals.spared] {
                *at = at.map(|at| at.saturating_sub(by));
            }
            for fed in [&mut vitals.rtt, &mut vitals.peak] {
                *fed = fed.map(|(ms, at)| (ms, at.saturating_sub(by)));
            }
            shared.write(vitals);
        }
    }

    /// Records an attempt, and the pause that the endpoint asked for. `true` if the same question may have another
    /// answer now.
    pub(crate) fn attempt(
        &mut self,
        id: &EndpointId,
        ok: bool,
        rtt: Option<Duration>,
        retry_after: Option<Duration>,
        now: SystemTime,
    ) -> bool {
        self.measure(id, now, |vitals, rules, now| match ok {
            true => vitals.delivered(rtt, rules, now),
            false => vitals.failed(retry_after, rules, now),
        })
    }

    /// Records an active probe: its round trip, or `None` if it was not answered.
    pub(crate) fn probe(
        &mut self,
        id: &EndpointId,
        rtt: Option<Duration>,
        now: SystemTime,
    ) -> bool {
        self.measure(id, now, |vitals, rules, now| match rtt {
            Some(rtt) => vitals.answered(rtt, rules, now),
            None => vitals.unanswered(rules, now),
        })
    }

    /// Counts a notification that is on its way to `id`.
    pub(crate) fn pending(&self, id: &EndpointId) -> Option<Pending> {
        let shared = Arc::clone(self.shared(id)?);
        shared.one_more();
        Some(Pending(shared))
    }

    pub(crate) fn status(&self, now: SystemTime) -> Vec<EndpointStatus> {
        let now = time(now);
        let sorted: BTreeMap<_, _> = self.slots.iter().collect();
        let statuses = sorted.into_iter().filter_map(|(id, slot)| {
            let shared = self.vitals.get(*slot)?;
            let vitals = shared.read();
            let rtt = vitals.rtt.map(|(ms, _)| Duration::try_from_secs_f64(ms / 1000.0));
            let spared = vitals.spared(now).map(|until| Duration::from_nanos(until - now));
            Some(EndpointStatus {
                id: id.clone(),
                health: vitals.health(&self.rules, now),
                rtt: rtt.map(|rtt| rtt.unwrap_or(Duration::MAX)),
                failures: vitals.failures,
                spared_for: spared,
                pending: shared.pending(),
            })
        });
        statuses.collect()
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn measure(
        &mut self,
        id: &EndpointId,
        now: SystemTime,
        change: impl FnOnce(Vitals, &Rules, u64) -> Vitals,
    ) -> bool {
        let now = time(now);
        let Some(shared) = self.shared(id) else { return false };
        let before = shared.read();
        let after = change(before, &self.rules, now);
        shared.write(after);
        let standing =
            |vitals: &Vitals| (vitals.health(&self.rules, now), vitals.spared(now).is_some());
        let changed = standing(&before) != standing(&after);
        if changed {
            // After the vitals: whoever sees the number sees them.
            self.version.fetch_add(1, Ordering::Release);
        }
        changed
    }

    fn shared(&self, id: &EndpointId) -> Option<&Arc<SharedVitals>> {
        self.vitals.get(*self.slots.get(id)?)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.one_less();
    }
}
