//! Perfect foresight, as a measure for everybody else.

use std::time::SystemTime;

use super::curve::Curve;
use super::policy::{Cadence, Policy};
use super::world::World;
use crate::signal::Observation;
use crate::timestamp::elapsed;

/// Knows the curve: it orders each pod just early enough to be ready, and keeps none that is not
/// needed. Nobody can do better at the same ticks; what it costs is the floor.
#[derive(Debug, Clone)]
pub struct Oracle {
    needed: Vec<u32>,
    start: SystemTime,
    ahead: usize,
}

impl Oracle {
    /// For this curve in this world.
    pub fn new(world: &World, curve: &Curve) -> Self {
        let needed = world.needed(curve);
        let ahead = world.start_delay.as_secs() + Cadence::default().tick.as_secs();
        Self { needed, start: world.start, ahead: usize::try_from(ahead).unwrap_or(usize::MAX) }
    }
}

impl Policy for Oracle {
    fn name(&self) -> &'static str {
        "oracle"
    }

    fn decide(&mut self, seen: &Observation, now: SystemTime) -> u32 {
        let from = usize::try_from(elapsed(self.start, now).as_secs()).unwrap_or(usize::MAX);
        let coming = self.needed.iter().skip(from).take(self.ahead.saturating_add(1));
        coming.max().copied().unwrap_or(seen.current.desired)
    }
}
