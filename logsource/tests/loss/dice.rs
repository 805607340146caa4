//! Chance that a seed repeats.

/// A stream of numbers that the seed and a name decide.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Two names of one seed are two streams.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let name = u64::from(crc32fast::hash(name.as_bytes()));
        let mut dice = Self(seed ^ (name << 32 | name));
        dice.next();
        dice
    }

    /// SplitMix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(crate) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let index = usize::try_from(self.next()).unwrap_or(0) % all.len();
        &all[index]
    }
}
