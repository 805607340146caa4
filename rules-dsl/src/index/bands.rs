//! Which of many ranges of numbers a number lies in, in logarithmic time.

use std::cmp::Ordering;

use super::found::Found;
use crate::ast::CompareOp;
use crate::value::Number;

/// A range of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Band {
    low: Bound,
    high: Bound,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    Open,
    At(Number),
    /// Beyond the number: it is not in the band itself.
    Past(Number),
}

impl Bound {
    fn number(self) -> Option<Number> {
        match self {
            Self::Open => None,
            Self::At(number) | Self::Past(number) => Some(number),
        }
    }
}

impl Band {
    /// The numbers that compare like this with a constant; none for `!=`, and for NaN.
    pub(crate) fn of(op: CompareOp, constant: Number) -> Option<Self> {
        constant.compare(constant)?;
        let (at, past, open) = (Bound::At(constant), Bound::Past(constant), Bound::Open);
        let (low, high) = match op {
            CompareOp::Eq => (at, at),
            CompareOp::Lt => (open, past),
            CompareOp::Le => (open, at),
            CompareOp::Gt => (past, open),
            CompareOp::Ge => (at, open),
            CompareOp::Ne => return None,
        };
        Some(Self { low, high })
    }

    /// What lies in both, if anything may.
    pub(crate) fn intersect(&self, other: &Self) -> Option<Self> {
        let low = tighter(self.low, other.low, Ordering::Greater);
        let high = tighter(self.high, other.high, Ordering::Less);
        let is_empty = match (low, high) {
            (Bound::At(a), Bound::At(b)) => order(a, b).is_gt(),
            (Bound::Open, _) | (_, Bound::Open) => false,
            (a, b) => {
                let (a, b) = (a.number(), b.number());
                a.zip(b).is_some_and(|(a, b)| order(a, b).is_ge())
            }
        };
        (!is_empty).then_some(Self { low, high })
    }

    /// Whether it has two ends.
    pub(crate) fn is_bounded(&self) -> bool {
        self.low != Bound::Open && self.high != Bound::Open
    }
}

/// The bound that lets less through; `Past` a number lets less through than `At` it.
fn tighter(a: Bound, b: Bound, wins: Ordering) -> Bound {
    let (Some(x), Some(y)) = (a.number(), b.number()) else {
        return if a == Bound::Open { b } else { a };
    };
    match order(x, y) {
        Ordering::Equal if matches!(b, Bound::Past(_)) => b,
        Ordering::Equal => a,
        found if found == wins => a,
        _ => b,
    }
}

/// Of numbers that are none of them NaN.
fn order(a: Number, b: Number) -> Ordering {
    a.compare(b).unwrap_or(Ordering::Equal)
}

/// A segment tree over the ends of all bands: the ends cut the number line into points and gaps, and
/// every band stands at a few nodes that cover just its points and gaps.
#[derive(Debug, Default)]
pub(crate) struct Bands {
    /// Ascending, each once.
    ends: Vec<Number>,
    /// How many points and gaps there are, rounded up to a power of two.
    leaves: usize,
    /// What stands at each node: `found[starts[node]..starts[node + 1]]`.
    starts: Vec<u32>,
    found: Vec<u32>,
}

impl Bands {
    pub(crate) fn new(bands: &[(Band, u32)]) -> Self {
        let ends = bands.iter().flat_map(|(band, _)| [band.low.number(), band.high.number()]);
        let mut ends: Vec<Number> = ends.flatten().collect();
        ends.sort_unstable_by(|a, b| order(*a, *b));
        ends.dedup_by(|a, b| order(*a, *b).is_eq());
        let mut tree =
            Self { leaves: (2 * ends.len() + 1).next_power_of_two(), ends, ..Self::default() };
        if bands.is_empty() {
            return tree;
        }
        // Counted first, then filled: two passes over the same nodes.
        let mut starts = vec![0_u32; 2 * tree.leaves + 1];
        for (band, _) in bands {
            tree.cover(band, |node| starts[node + 1] += 1);
        }
        for node in 1..starts.len() {
            starts[node] += starts[node - 1];
        }
        let mut next = starts.clone();
        let mut found = vec![0; starts.last().map_or(0, |all| *all as usize)];
        for (band, rule) in bands {
            tree.cover(band, |node| {
                found[next[node] as usize] = *rule;
                next[node] += 1;
            });
        }
        (tree.starts, tree.found) = (starts, found);
        tree
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Adds what the bands with this number in them belong to.
    pub(crate) fn find(&self, number: Number, out: &mut Found) {
        if self.is_empty() || number.compare(number).is_none() {
            return;
        }
        let mut node = self.leaves + self.place(number);
        while node > 0 {
            if let [from, to] = self.starts[node..node + 2] {
                out.add(&self.found[from as usize..to as usize]);
            }
            node /= 2;
        }
    }

    /// The point or gap of a number: odd for an end, even for what lies between two.
    fn place(&self, number: Number) -> usize {
        match self.ends.binary_search_by(|end| order(*end, number)) {
            Ok(at) => 2 * at + 1,
            Err(at) => 2 * at,
        }
    }

    /// Calls with the fewest nodes that cover the band.
    fn cover(&self, band: &Band, mut at: impl FnMut(usize)) {
        let low = match band.low {
            Bound::Open => 0,
            Bound::At(number) => self.place(number),
            Bound::Past(number) => self.place(number) + 1,
        };
        let past_high = match band.high {
            Bound::Open => 2 * self.ends.len() + 1,
            Bound::At(number) => self.place(number) + 1,
            Bound::Past(number) => self.place(number),
        };
        let (mut from, mut to) = (self.leaves + low, self.leaves + past_high.max(low));
        while from < to {
            if from % 2 == 1 {
                at(from);
                from += 1;
            }
            if to % 2 == 1 {
                to -= 1;
                at(to);
            }
            from /= 2;
            to /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = Number> {
        prop_oneof![
            4 => (-6_i64..6).prop_map(|int| Number::Int(int.into())),
            2 => (-12_i32..12).prop_map(|half| Number::Float(f64::from(half) / 2.0)),
            1 => Just(Number::Float(f64::INFINITY)),
            1 => Just(Number::Int(i128::from(u64::MAX))),
            1 => Just(Number::Float(18_446_744_073_709_551_615.0)),
        ]
    }

    fn op() -> impl Strategy<Value = CompareOp> {
        use CompareOp::{Eq, Ge, Gt, Le, Lt};
        prop::sample::select(vec![Eq, Lt, Le, Gt, Ge])
    }

    fn holds(op: CompareOp, a: Number, b: Number) -> bool {
        let found = order(a, b);
        match op {
            CompareOp::Eq => found.is_eq(),
            CompareOp::Ne => found.is_ne(),
            CompareOp::Lt => found.is_lt(),
            CompareOp::Le => found.is_le(),
            CompareOp::Gt => found.is_gt(),
            CompareOp::Ge => found.is_ge(),
        }
    }

    proptest! {
        #[test]
        fn a_number_is_found_in_the_bands_that_have_it(
            bands in prop::collection::vec((op(), number(), prop::option::of((op(), number()))), 0..40),
            numbers in prop::collection::vec(number(), 1..20),
        ) {
            let mut all = Vec::new();
            for (rule, (op, end, other)) in bands.iter().enumerate() {
                let band = Band::of(*op, *end).unwrap();
                let band = match other {
                    Some((op, end)) => band.intersect(&Band::of(*op, *end).unwrap()),
                    None => Some(band),
                };
                all.extend(band.map(|band| (band, rule as u32)));
            }
            let tree = Bands::new(&all);
            for number in numbers {
                let mut found = Found::default();
                found.clear(bands.len());
                tree.find(number, &mut found);
                found.finish();
                let expected: Vec<u32> = bands
                    .iter()
                    .enumerate()
                    .filter(|(_, (op, end, other))| {
                        holds(*op, number, *end)
                            && other.is_none_or(|(op, end)| holds(op, number, end))
                    })
                    .map(|(rule, _)| rule as u32)
                    .collect();
                prop_assert_eq!(found.rules(), expected, "{:?}", number);
            }
            let mut found = Found::default();
            tree.find(Number::Float(f64::NAN), &mut found);
            prop_assert!(found.rules().is_empty());
        }
    }
}
