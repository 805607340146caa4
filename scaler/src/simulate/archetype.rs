//! Loads of a known kind, from seeds.

use std::fmt;

use super::curve::Curve;
use super::random::Random;

/// How long such a curve is: four hours.
const LENGTH: usize = 4 * 3600;

/// The noise that every curve has: 3 % that wears off in half a minute.
const NOISE: (f64, f64) = (0.03, 30.0);

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Archetype {
    /// A level, and three to six bursts of 2 to 10 minutes at 1.5 to 4 times the level.
    Spike,
    /// A wave of 40 to 90 minutes that swings by 30 to 70 % of its mean.
    Periodic,
    /// A level that rises by 3 to 6 times in 20 to 80 minutes, stays, and falls back.
    Ramp,
    /// A level with noise of 8 to 20 % that wears off in 1 to 4 minutes.
    Noisy,
    /// A level that jumps by 3 to 6 times in 15 to 60 seconds and halves in 15 to 40 minutes.
    FlashCrowd,
}

impl Archetype {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Spike, Self::Periodic, Self::Ramp, Self::Noisy, Self::FlashCrowd];

    /// Four hours of it, with a level of 400 to 1000 requests/s.
    pub fn curve(self, seed: u64) -> Curve {
        // Each kind draws from a stream of its own, so that seeds mean something else to each.
        let mut random = Random::new(seed.wrapping_mul(31).wrapping_add(self as u64));
        let level = random.between(400.0, 1000.0);
        let mut shape = match self {
            Self::Spike => spikes(&mut random),
            Self::Periodic => wave(&mut random),
            Self::Ramp => ramp(&mut random),
            Self::Noisy => {
                let (share, memory) = (random.between(0.08, 0.2), random.between(60.0, 240.0));
                noise(&mut random, share, memory)
            }
            Self::FlashCrowd => crowd(&mut random),
        };
        let (share, memory) = NOISE;
        for (rate, noise) in shape.iter_mut().zip(noise(&mut random, share, memory)) {
            *rate = (*rate * noise * level).max(0.0);
        }
        Curve::of_seconds(&shape)
    }
}

impl fmt::Display for Archetype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spike => "spike",
            Self::Periodic => "periodic",
            Self::Ramp => "ramp",
            Self::Noisy => "noisy",
            Self::FlashCrowd => "flash crowd",
        })
    }
}

/// The values of `shape` at each second.
fn seconds(shape: impl Fn(f64) -> f64) -> Vec<f64> {
    (0..=LENGTH).map(|second| shape(second as f64)).collect()
}

/// Around 1, with a deviation of `share` that wears off in `memory` seconds: an autoregressive
/// process of the first order.
fn noise(random: &mut Random, share: f64, memory: f64) -> Vec<f64> {
    let keep = (-1.0 / memory).exp();
    let fresh = share * (1.0 - keep * keep).sqrt();
    let mut off = share * random.normal();
    let step = |_| {
        off = keep * off + fresh * random.normal();
        (1.0 + off).max(0.05)
    };
    (0..=LENGTH).map(step).collect()
}

fn spikes(random: &mut Random) -> Vec<f64> {
    let count = 3 + random.below(4);
    let room = LENGTH as f64 / count as f64;
    let mut bursts = Vec::new();
    for place in 0..count {
        let length = random.between(120.0, 600.0);
        let start = room * place as f64 + random.between(300.0, room - 650.0);
        let (height, slope) = (random.between(0.5, 3.0), random.between(10.0, 60.0));
        bursts.push((start, length, height, slope));
    }
    seconds(|at| {
        let burst = |&(start, length, height, slope): &(f64, f64, f64, f64)| {
            let edge = (at - start).min(start + length - at) / slope;
            height * edge.clamp(0.0, 1.0)
        };
        1.0 + bursts.iter().map(burst).sum::<f64>()
    })
}

fn wave(random: &mut Random) -> Vec<f64> {
    let (period, swing) = (random.between(2400.0, 5400.0), random.between(0.3, 0.7));
    let phase = random.between(0.0, 1.0);
    seconds(|at| 1.0 + swing * (std::f64::consts::TAU * (at / period + phase)).sin())
}

fn ramp(random: &mut Random) -> Vec<f64> {
    let height = random.between(2.0, 5.0);
    let start = random.between(600.0, 2400.0);
    let (rise, fall) = (random.between(1200.0, 4800.0), random.between(1200.0, 4800.0));
    let top = random.between(600.0, 2400.0);
    seconds(|at| {
        let up = (at - start) / rise;
        let down = (start + rise + top + fall - at) / fall;
        1.0 + height * up.min(down).clamp(0.0, 1.0)
    })
}

fn crowd(random: &mut Random) -> Vec<f64> {
    let height = random.between(2.0, 5.0);
    let (start, rise) = (random.between(1200.0, 6000.0), random.between(15.0, 60.0));
    let half = random.between(900.0, 2400.0);
    seconds(|at| {
        let since = at - start;
        let decay = (-(since - rise).max(0.0) / half * std::f64::consts::LN_2).exp();
        1.0 + height * (since / rise).clamp(0.0, 1.0) * decay
    })
}
