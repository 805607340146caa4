//! The ratio of what is used to what should be, kept as its parts so that every comparison is exact.

use super::Tolerance;
use crate::milli::Milli;
use crate::proposal::Band;

/// The most replicas that anything can ask for: what a Kubernetes scale can hold.
const MOST: u32 = i32::MAX as u32;

/// `sum / (weight × target)`.
///
/// Sums of 64-bit numbers fit 128 bits with room for every count that fits a memory. Products may
/// not, for numbers that nothing real has; they are held at the end of the range, where two that
/// are held there compare equal, which holds the size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fraction {
    sum: u128,
    /// How many share the sum, or what they asked for together.
    weight: u128,
    target: u64,
    /// What the sum would be if everything were at its target.
    whole: u128,
}

impl Fraction {
    pub(super) fn new(sum: u128, weight: u128, target: u64) -> Self {
        Self { sum, weight, target, whole: times(weight, target) }
    }

    /// With so much more in the sum, shared by so many more.
    pub(super) fn with(self, sum: u128, weight: u128) -> Self {
        let (sum, weight) = (self.sum.saturating_add(sum), self.weight.saturating_add(weight));
        Self::new(sum, weight, self.target)
    }

    pub(super) fn is_below_one(self) -> bool {
        self.sum < self.whole
    }

    pub(super) fn is_above_one(self) -> bool {
        self.sum > self.whole
    }

    pub(super) fn band(self, tolerance: Tolerance) -> Band {
        let (usage, whole) = (times(self.sum, 1000), self.whole);
        let (low, high) = (times(whole, tolerance.down.0), times(whole, tolerance.up.0));
        if usage < low {
            Band::Below
        } else if usage > high || (usage == high && tolerance.upper_edge_acts && usage < u128::MAX)
        {
            Band::Above
        } else {
            Band::Inside
        }
    }

    /// `ceil(ratio × base)`, held at the most that can be asked for.
    pub(super) fn times(self, base: u64) -> u32 {
        let (usage, whole) = (times(self.sum, base), self.whole.max(1));
        let replicas = match (u64::try_from(usage), u64::try_from(whole)) {
            // A division of 128 bits costs ten times one of 64.
            (Ok(usage), Ok(whole)) => u128::from(usage.div_ceil(whole)),
            _ => usage.div_ceil(whole),
        };
        u32::try_from(replicas).map_or(MOST, |replicas| replicas.min(MOST))
    }

    /// `sum / weight`, cut to a thousandth.
    pub(super) fn average(self) -> Milli {
        Milli(match (u64::try_from(self.sum), u64::try_from(self.weight.max(1))) {
            (Ok(sum), Ok(weight)) => sum / weight,
            _ => narrow(self.sum / self.weight.max(1)),
        })
    }

    /// `sum / weight`, up to a thousandth.
    pub(super) fn average_up(self) -> Milli {
        Milli(narrow(self.sum.div_ceil(self.weight.max(1))))
    }
}

fn times(value: u128, by: u64) -> u128 {
    match u64::try_from(value) {
        Ok(value) => u128::from(value) * u128::from(by),
        Err(_) => value.saturating_mul(u128::from(by)),
    }
}

pub(super) fn narrow(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn band(sum: u128, upper_edge_acts: bool) -> Band {
        let tolerance = Tolerance { up: Milli(1100), down: Milli(900), upper_edge_acts };
        Fraction::new(sum, 3, 60_000).band(tolerance)
    }

    #[test]
    fn both_edges_of_a_tolerance_hold_and_the_upper_edge_of_hysteresis_acts() {
        for (sum, tolerance, hysteresis) in [
            (161_999, Band::Below, Band::Below),
            (162_000, Band::Inside, Band::Inside),
            (197_999, Band::Inside, Band::Inside),
            (198_000, Band::Inside, Band::Above),
            (198_001, Band::Above, Band::Above),
        ] {
            assert_eq!((band(sum, false), band(sum, true)), (tolerance, hysteresis), "{sum}");
        }
    }

    #[test]
    fn numbers_that_nothing_real_has_end_at_the_end_of_the_range() {
        let most = Fraction::new(u128::MAX, 1, 1);
        assert_eq!(most.times(u64::MAX), MOST);
        assert_eq!(Fraction::new(3_000_000_000, 1, 1).times(1), MOST);
        assert_eq!(most.average(), Milli(u64::MAX));
        assert_eq!(band(u128::MAX, true), Band::Above);
        let equal = Fraction::new(u128::MAX, u128::MAX, u64::MAX);
        let tolerance = Tolerance { up: Milli(1300), down: Milli(700), upper_edge_acts: true };
        assert_eq!(equal.band(tolerance), Band::Inside, "nobody can tell, so it holds");
        assert_eq!(Fraction::new(0, 0, 0).times(3), 0);
    }
}
