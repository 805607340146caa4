//! What decides in a simulated world.

use std::time::{Duration, SystemTime};

use crate::decider::Decider;
use crate::decision::Decision;
use crate::error::Error;
use crate::signal::Observation;
use crate::spec::ScalerSpec;

/// Decides how many pods there should be, each tick, from what monitoring knows.
pub trait Policy {
    /// Its name, for tables and legends.
    fn name(&self) -> &str;

    /// How often it looks, and how fresh what it sees is.
    fn cadence(&self) -> Cadence {
        Cadence::default()
    }

    /// How many pods there should be from now on; the world obeys.
    fn decide(&mut self, seen: &Observation, now: SystemTime) -> u32;

    /// Why it changed the size just now, as a sentence, if it can say so.
    fn why(&self) -> Option<String> {
        None
    }
}

/// How often a policy looks, and how fresh what it sees is; in whole seconds.
///
/// By default a scrape every 15 s arrives 5 s later, and a tick every 15 s comes 5 s after that: a
/// sample is 10 s old when it is looked at, and tells of the 15 s before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cadence {
    /// From one scrape to the next.
    pub scrape: Duration,
    /// From a scrape to its samples.
    pub delay: Duration,
    /// From one decision to the next.
    pub tick: Duration,
    /// From the start to the first decision; below `tick`.
    pub phase: Duration,
}

impl Default for Cadence {
    fn default() -> Self {
        Self::every(Duration::from_secs(15), Duration::from_secs(15))
    }
}

impl Cadence {
    /// Scrapes and decisions that often; the samples are a third of a scrape late, and looked at
    /// after another third.
    pub fn every(scrape: Duration, tick: Duration) -> Self {
        let third = Duration::from_secs(scrape.as_secs() / 3);
        let phase = Duration::from_secs((2 * third.as_secs()) % tick.as_secs().max(1));
        Self { scrape, delay: third, tick, phase }
    }
}

/// The real decider, as a policy: it decides by a specification and is told that all it decided
/// was applied.
#[derive(Debug, Clone)]
pub struct Scaler {
    name: String,
    decider: Decider,
    cadence: Cadence,
    last: Option<Decision>,
}

impl Scaler {
    /// Decides by `spec`. Its metrics may be named after any signal of the simulation.
    ///
    /// # Errors
    ///
    /// As from [`Decider::new`].
    pub fn new(name: impl Into<String>, spec: ScalerSpec) -> Result<Self, Error> {
        let (name, decider) = (name.into(), Decider::new(spec)?);
        Ok(Self { name, decider, cadence: Cadence::default(), last: None })
    }

    /// Looks that often.
    #[must_use]
    pub fn cadence(mut self, cadence: Cadence) -> Self {
        self.cadence = cadence;
        self
    }

    /// The last decision, with everything that led to it.
    pub fn last(&self) -> Option<&Decision> {
        self.last.as_ref()
    }
}

impl Policy for Scaler {
    fn name(&self) -> &str {
        &self.name
    }

    fn cadence(&self) -> Cadence {
        self.cadence
    }

    fn decide(&mut self, seen: &Observation, now: SystemTime) -> u32 {
        let decision = self.decider.decide(seen, now);
        self.decider.applied(&decision, Ok(()), now);
        let to = decision.to;
        self.last = Some(decision);
        to
    }

    fn why(&self) -> Option<String> {
        self.last.as_ref().map(Decision::explain)
    }
}
