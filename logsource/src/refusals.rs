//! Who was refused, by key: the keys that are refused most, and all others together.

/// As many keys are told apart.
const KEYS: usize = 64;

/// A key is not longer than this.
const KEY_BYTES: usize = 128;

/// What was refused of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    /// The key that the producer was given; `None` for all those together that have none, or an
    /// empty one, or are not among those that are refused most.
    pub key: Option<String>,
    /// How many lines were refused. One that is tried again is refused again.
    pub lines: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// Counts refusals in bounded memory.
///
/// The keys that are kept are those of the space-saving algorithm: whoever has more than one in 64
/// of the refusals is among them, whatever else comes. What is told is exact for as long as a key
/// is kept, and goes to the others when it is not, so that the sum is always that of all.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    keys: Vec<Kept>,
    others: Refused,
}

#[derive(Debug)]
struct Kept {
    refused: Refused,
    /// Its lines, and those of the keys whose place it took.
    rank: u64,
}

impl Refusals {
    pub(crate) fn count(&mut self, key: Option<&str>, (lines, bytes): (u64, u64)) {
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            return self.others.add(lines, bytes);
        };
        let end = (0..=KEY_BYTES).rev().find(|end| key.is_char_boundary(*end));
        let key = key.get(..end.unwrap_or(0)).unwrap_or_default();
        let known = self.keys.iter().position(|kept| kept.refused.key.as_deref() == Some(key));
        let kept = match known {
            Some(index) => self.keys.get_mut(index),
            None => self.place(key),
        };
        if let Some(kept) = kept {
            kept.rank += lines;
            kept.refused.add(lines, bytes);
        }
    }

    /// A place for a new key: a free one, or that of the least.
    fn place(&mut self, key: &str) -> Option<&mut Kept> {
        let new = || Refused { key: Some(key.to_owned()), ..Refused::default() };
        if self.keys.len() < KEYS {
            self.keys.push(Kept { refused: new(), rank: 0 });
            return self.keys.last_mut();
        }
        let least = self.keys.iter_mut().min_by_key(|kept| kept.rank)?;
        self.others.add(least.refused.lines, least.refused.bytes);
        least.refused = new();
        Some(least)
    }

    /// Every key that is kept, and the others.
    pub(crate) fn all(&self) -> Vec<Refused> {
        let others = (self.others.lines > 0).then_some(&self.others);
        self.keys.iter().map(|kept| &kept.refused).chain(others).cloned().collect()
    }
}

impl Refused {
    fn add(&mut self, lines: u64, bytes: u64) {
        self.lines += lines;
        self.bytes += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_most_is_told_though_thousands_of_others_are_too() {
        let mut refusals = Refusals::default();
        for n in 0..20_000 {
            if n % 10 == 0 {
                refusals.count(Some("noisy"), (1, 100));
            }
            refusals.count(Some(&format!("one-off {n}")), (1, 10));
        }
        refusals.count(None, (7, 70));
        let all = refusals.all();
        assert_eq!(all.len(), KEYS + 1);
        let noisy = all.iter().find(|refused| refused.key.as_deref() == Some("noisy")).unwrap();
        assert!(noisy.lines > 1900, "{noisy:?}");
        assert_eq!(noisy.bytes, 100 * noisy.lines);
        let sum = |of: fn(&Refused) -> u64| all.iter().map(of).sum::<u64>();
        assert_eq!(sum(|refused| refused.lines), 22_007);
        assert_eq!(sum(|refused| refused.bytes), 400_070);
    }

    #[test]
    fn a_long_key_is_cut_between_characters() {
        let mut refusals = Refusals::default();
        refusals.count(Some(&"é".repeat(1000)), (1, 1));
        refusals.count(Some(&format!("x{}", "é".repeat(1000))), (1, 1));
        let lens = refusals.all().into_iter().map(|refused| refused.key.unwrap().len());
        assert_eq!(lens.collect::<Vec<_>>(), [128, 127]);
    }
}
