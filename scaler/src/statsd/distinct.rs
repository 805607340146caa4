//! How many different members there were, exactly while they are few.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::budget::{Budget, Held};
use super::refused::Refused;

/// So many are counted exactly. Beyond it the number is an estimate whose standard error is one by
/// the root of this: 3.1 %.
const EXACT: usize = 1024;

/// What a member costs in a tree of them, about.
const BYTES: usize = 16;

/// The smallest hashes of all members: where hashes are spread evenly, how far the smallest of them
/// reach tells how many there are.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    smallest: BTreeSet<u64>,
    /// Whether there were more than are kept.
    more: bool,
    /// Whether a member found no room.
    lost: bool,
    held: Held,
}

impl Distinct {
    /// Takes in one of the members.
    pub(super) fn record(&mut self, member: &str, budget: &Budget) -> Result<(), Refused> {
        // A hash without a key: the same members are the same number in every process.
        let mut hasher = DefaultHasher::new();
        member.hash(&mut hasher);
        let hash = hasher.finish();
        if self.smallest.contains(&hash) {
            return Ok(());
        }
        if self.smallest.len() >= EXACT {
            self.more = true;
            if self.smallest.last().is_some_and(|largest| *largest < hash) {
                return Ok(());
            }
            self.smallest.pop_last();
        } else if !self.held.take(BYTES, budget) {
            self.lost = true;
            return Err(Refused::TooMuchMemory);
        }
        self.smallest.insert(hash);
        Ok(())
    }

    /// How many different members they saw together; `None` where one of them is not whole.
    pub(super) fn together<'a>(parts: impl Iterator<Item = &'a Self>) -> Option<f64> {
        let mut smallest = BTreeSet::<u64>::new();
        let mut more = false;
        for part in parts {
            if part.lost {
                return None;
            }
            more |= part.more;
            smallest.extend(&part.smallest);
        }
        let exact = smallest.len() as f64;
        if !more && smallest.len() <= EXACT {
            return Some(exact);
        }
        let reach = smallest.iter().nth(EXACT - 1).map(|reach| *reach as f64 / u64::MAX as f64);
        Some(reach.filter(|share| *share > 0.0).map_or(exact, |share| (EXACT - 1) as f64 / share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(members: impl IntoIterator<Item = u32>) -> Distinct {
        let (mut set, budget) = (Distinct::default(), Budget::new(1 << 20));
        for member in members {
            set.record(&member.to_string(), &budget).unwrap();
        }
        set
    }

    #[test]
    fn few_are_counted_and_many_are_estimated_within_three_standard_errors() {
        let one = |members: u32| Distinct::together([&filled(0..members)].into_iter()).unwrap();
        for members in [0, 1, 7, 1024] {
            assert_eq!(one(members), f64::from(members));
        }
        for members in [1025, 5_000, 100_000] {
            let told = one(members);
            assert!((told / f64::from(members) - 1.0).abs() < 0.094, "{told} for {members}");
        }
    }

    #[test]
    fn members_of_several_parts_count_once() {
        let parts = [filled(0..600), filled(300..900), filled(0..10)];
        assert_eq!(Distinct::together(parts.iter()), Some(900.0));
        let parts = [filled(0..6000), filled(3000..9000)];
        let told = Distinct::together(parts.iter()).unwrap();
        assert!((told / 9000.0 - 1.0).abs() < 0.094, "{told}");
    }

    #[test]
    fn a_set_without_room_is_not_whole() {
        let (mut set, budget) = (Distinct::default(), Budget::new(BYTES));
        assert_eq!(set.record("a", &budget), Ok(()));
        assert_eq!(set.record("a", &budget), Ok(()));
        assert_eq!(set.record("b", &budget), Err(Refused::TooMuchMemory));
        assert_eq!(Distinct::together([&set].into_iter()), None);
        drop(set);
        assert_eq!(budget.left(), BYTES);
    }
}
