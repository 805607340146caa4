//! Short texts as two words, so that most are compared and hashed without a loop or a call.

use std::hash::Hasher;

use rustc_hash::FxHasher;

/// The first and last eight bytes of a text and its length: all of it, if it has no more than sixteen.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    first: u64,
    last: u64,
    length: usize,
}

impl Key {
    #[inline]
    pub(super) fn of(text: &[u8]) -> Self {
        let length = text.len();
        let (first, last) = match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => match (text.first_chunk(), text.last_chunk()) {
                (Some(first), Some(last)) => {
                    (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
                }
                _ => (text.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
            },
        };
        Self { first, last, length }
    }

    /// Is there no more to the text?
    #[inline]
    pub(super) fn is_whole(self) -> bool {
        self.length <= 16
    }

    /// The hash of the text that this is the key of.
    #[inline]
    pub(super) fn hash(self, text: &[u8]) -> u64 {
        if !self.is_whole() {
            let mut hasher = FxHasher::default();
            hasher.write(text);
            return hasher.finish();
        }
        // A product of both words, folded, as wyhash does; the constants are its.
        let a = self.first ^ 0xa076_1d64_78bd_642f ^ self.length as u64;
        let b = self.last ^ 0xe703_7ed1_a0b4_28db;
        let product = u128::from(a) * u128::from(b);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_short_texts_have_different_keys() {
        let mut texts = std::collections::BTreeSet::new();
        for length in 0..=16 {
            for filler in [b'a', b'b', 0] {
                let text = vec![filler; length];
                texts.extend((0..length).map(|at| {
                    let mut text = text.clone();
                    text[at] = b'x';
                    text
                }));
                texts.insert(text);
            }
        }
        let keys: std::collections::HashSet<_> = texts
            .iter()
            .map(|text| Key::of(text))
            .inspect(|key| assert!(key.is_whole()))
            .map(|key| (key.first, key.last, key.length))
            .collect();
        assert_eq!(keys.len(), texts.len());
        assert!(!Key::of(&[0; 17]).is_whole());
    }
}
