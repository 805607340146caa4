//! A Bloom filter over a sliding window: what it does not know is surely new.

use std::time::{Duration, SystemTime};

use crate::time;

/// Bits for each key: with eight of them set by it, one new key in some four hundred is taken for an old one, and looked
/// up exactly.
const BITS_PER_KEY: usize = 12;
/// A generation is 64 MiB at most, for forty million keys.
const MOST_BLOCKS: usize = 1 << 20;
/// Words of one block: a key's bits lie in one line of the cache.
const BLOCK: usize = 8;

/// Two generations of a blocked Bloom filter. Each takes keys for one window; a key is found for at least one window
/// after it came, whatever the time of the change.
#[derive(Debug)]
pub(crate) struct Bloom {
    now: Vec<u64>,
    before: Vec<u64>,
    /// When the present generation began.
    began: Option<SystemTime>,
    window: Duration,
}

impl Bloom {
    /// For so many keys in a window; more of them make it useless, never wrong.
    pub(crate) fn new(window: Duration, keys: usize) -> Self {
        let blocks = keys.saturating_mul(BITS_PER_KEY) / (BLOCK * 64);
        let blocks = blocks.clamp(1, MOST_BLOCKS).next_power_of_two();
        let empty = vec![0; blocks * BLOCK];
        Self { now: empty.clone(), before: empty, began: None, window }
    }

    /// Was the key put in within the window? "No" is sure; "yes" is a maybe.
    pub(crate) fn may_know(&self, hash: u64) -> bool {
        let block = self.block(hash);
        let knows = |bits: &[u64]| {
            let bits = bits.get(block..block + BLOCK).unwrap_or_default();
            places(hash).all(|(word, bit)| bits.get(word).is_some_and(|bits| bits & bit != 0))
        };
        knows(&self.now) || knows(&self.before)
    }

    /// Puts a key in. Before it is put where it is looked up exactly, so that no moment knows one and not the other.
    pub(crate) fn insert(&mut self, hash: u64, at: SystemTime) {
        let began = *self.began.get_or_insert(at);
        // A clock that was set back makes a generation longer, and forgets nothing early.
        if time::since(began, at) >= self.window {
            std::mem::swap(&mut self.now, &mut self.before);
            self.now.fill(0);
            if time::since(began, at) >= self.window.saturating_mul(2) {
                self.before.fill(0); // all of it is older than a window
            }
            self.began = Some(at);
        }
        let block = self.block(hash);
        for (word, bit) in places(hash) {
            if let Some(bits) = self.now.get_mut(block + word) {
                *bits |= bit;
            }
        }
    }

    fn block(&self, hash: u64) -> usize {
        // The high half; the low one says which bits. There is a power of two of blocks.
        let blocks = self.now.len() / BLOCK;
        BLOCK * (usize::try_from(hash >> 32).unwrap_or_default() & (blocks - 1))
    }
}

/// Eight bits of the block, one in each word.
fn places(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    let mut bits = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ hash;
    (0..BLOCK).map(move |word| {
        bits = bits.rotate_right(6);
        (word, 1 << (bits & 63))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
    }

    fn hash(n: u64) -> u64 {
        let n = (n + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (n ^ (n >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb) ^ (n >> 29)
    }

    #[test]
    fn a_key_is_known_for_a_window_and_few_others_are() {
        let mut bloom = Bloom::new(Duration::from_secs(300), 10_000);
        for n in 0..30_000 {
            bloom.insert(hash(n), at(n / 33)); // ten thousand in a window
            let oldest = n.saturating_sub(299 * 33);
            assert!(bloom.may_know(hash(oldest)), "{oldest} at {n}");
        }
        let wrong = (1_000_000..1_100_000).filter(|n| bloom.may_know(hash(*n))).count();
        assert!(wrong < 2_000, "{wrong} of 100,000 new keys are looked up");
    }
}
