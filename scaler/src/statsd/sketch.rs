//! How many values are how large, in buckets that grow with the values.

use super::budget::{Budget, Held};
use super::refused::Refused;

/// Powers of two that are told apart, beginning with 2⁻²⁰, which is about a millionth.
const OCTAVES: usize = 64;
const LOWEST: i32 = -20;
/// 2⁻²⁰: what is smaller counts as zero.
const LEAST: f64 = 1.0 / (1 << 20) as f64;
/// 2⁴⁴, which nothing reaches: as microseconds, half a year. Lines with more are refused before.
pub(super) const CEILING: f64 = (1_u64 << 44) as f64;

/// Buckets from one power of two to the next, as many as six bits of the fraction name. A value is
/// told as the middle of its bucket, so off by 1 part in 128, or 0.8 %, at most.
const BUCKETS: usize = 64;
const FRACTION_BITS: u32 = 52;
const BUCKET_BITS: u32 = 6;

/// Values in buckets whose width is a sixty-fourth of the power of two below them.
///
/// It is the histogram that HdrHistogram and DDSketch are kin to, in its plainest form: a bucket is
/// read off a float's bits, so that the same values give the same buckets on every machine. Buckets
/// exist in pages, one for each power of two that occurs.
#[derive(Debug)]
pub(super) struct Sketch {
    /// One more than the page of each power of two; zero where there is none.
    index: [u8; OCTAVES],
    pages: Vec<[u32; BUCKETS]>,
    zeros: u64,
    weight: u64,
    sum: f64,
    least: f64,
    most: f64,
    /// Whether a value found no room: nothing that is told from here on would be true.
    lost: bool,
    held: Held,
}

impl Default for Sketch {
    fn default() -> Self {
        Self {
            index: [0; OCTAVES],
            pages: Vec::new(),
            zeros: 0,
            weight: 0,
            sum: 0.0,
            least: f64::INFINITY,
            most: 0.0,
            lost: false,
            held: Held::default(),
        }
    }
}

impl Sketch {
    /// Takes in `value`, which is not negative, as often as `weight` says.
    pub(super) fn record(
        &mut self,
        value: f64,
        weight: u32,
        budget: &Budget,
    ) -> Result<(), Refused> {
        let value = value.clamp(0.0, CEILING.next_down());
        if value < LEAST {
            self.zeros += u64::from(weight);
        } else {
            let bits = value.to_bits();
            let octave = (bits >> FRACTION_BITS) as i32 - 1023 - LOWEST;
            let bucket = (bits >> (FRACTION_BITS - BUCKET_BITS)) as usize % BUCKETS;
            let page = self.page(octave as usize, budget);
            let bucket = page.and_then(|page| page.get_mut(bucket));
            let more = bucket.and_then(|bucket| Some((bucket.checked_add(weight)?, bucket)));
            let Some((more, bucket)) = more else {
                self.lost = true;
                return Err(Refused::TooMuchMemory);
            };
            *bucket = more;
        }
        self.weight += u64::from(weight);
        self.sum += value * f64::from(weight);
        self.least = self.least.min(value);
        self.most = self.most.max(value);
        Ok(())
    }

    fn page(&mut self, octave: usize, budget: &Budget) -> Option<&mut [u32; BUCKETS]> {
        let page = self.index.get_mut(octave)?;
        if *page == 0 {
            if !self.held.take(size_of::<[u32; BUCKETS]>(), budget) {
                return None;
            }
            self.pages.reserve_exact(1);
            self.pages.push([0; BUCKETS]);
            // At most as many pages as powers of two.
            *page = self.pages.len() as u8;
        }
        self.pages.get_mut(usize::from(*page) - 1)
    }

    fn buckets(&self, octave: usize) -> Option<&[u32; BUCKETS]> {
        let page = usize::from(*self.index.get(octave)?).checked_sub(1)?;
        self.pages.get(page)
    }
}

/// What several sketches say together.
#[derive(Debug)]
pub(super) struct Together<'a>(Vec<&'a Sketch>);

impl<'a> Together<'a> {
    /// `None` where one of them is not whole.
    pub(super) fn of(sketches: impl Iterator<Item = &'a Sketch>) -> Option<Self> {
        let sketches: Vec<_> = sketches.collect();
        (!sketches.iter().any(|sketch| sketch.lost)).then_some(Self(sketches))
    }

    /// How many values they hold.
    pub(super) fn weight(&self) -> u64 {
        self.0.iter().map(|sketch| sketch.weight).sum()
    }

    /// Their mean; `None` of none.
    pub(super) fn mean(&self) -> Option<f64> {
        let sum: f64 = self.0.iter().map(|sketch| sketch.sum).sum();
        let weight = self.weight();
        (weight > 0).then(|| sum / weight as f64)
    }

    /// The value that `percent` of all values do not exceed, by nearest rank; off by 0.8 % at most,
    /// and never beyond the least and the largest. `None` of none.
    pub(super) fn percentile(&self, percent: u64) -> Option<f64> {
        let least = self.0.iter().map(|sketch| sketch.least).fold(f64::INFINITY, f64::min);
        let most = self.0.iter().map(|sketch| sketch.most).fold(0.0, f64::max);
        let weight = self.weight();
        let mut left = weight.saturating_mul(percent).div_ceil(100).max(1);
        if weight == 0 {
            return None;
        }
        let zeros: u64 = self.0.iter().map(|sketch| sketch.zeros).sum();
        if zeros >= left {
            return Some(least);
        }
        left -= zeros;
        for octave in 0..OCTAVES {
            let mut sums = [0_u64; BUCKETS];
            for buckets in self.0.iter().filter_map(|sketch| sketch.buckets(octave)) {
                for (sum, bucket) in sums.iter_mut().zip(buckets) {
                    *sum += u64::from(*bucket);
                }
            }
            let here: u64 = sums.iter().sum();
            if here < left {
                left -= here;
                continue;
            }
            for (bucket, here) in sums.into_iter().enumerate() {
                if here >= left {
                    let within = 1.0 + (bucket as f64 + 0.5) / BUCKETS as f64;
                    let middle = within * 2_f64.powi(octave as i32 + LOWEST);
                    return Some(middle.clamp(least, most));
                }
                left -= here;
            }
        }
        Some(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(values: impl IntoIterator<Item = f64>) -> Sketch {
        let (mut sketch, budget) = (Sketch::default(), Budget::new(1 << 20));
        for value in values {
            sketch.record(value, 1, &budget).unwrap();
        }
        sketch
    }

    fn percentiles(sketches: &[&Sketch]) -> [f64; 3] {
        let together = Together::of(sketches.iter().copied()).unwrap();
        [50, 95, 99].map(|percent| together.percentile(percent).unwrap())
    }

    #[test]
    fn percentiles_are_off_by_less_than_one_part_in_128_at_every_scale() {
        for scale in [1e-5, 0.003, 1.0, 7.0, 1e3, 1e9] {
            let sketch = filled((1..=1000).map(|n| f64::from(n) * scale));
            for (told, percent) in percentiles(&[&sketch]).into_iter().zip([500.0, 950.0, 990.0]) {
                let truth = percent * scale;
                assert!((told - truth).abs() <= truth / 128.0, "{told} for {truth}");
            }
        }
    }

    #[test]
    fn one_value_is_told_as_it_is_and_sketches_add_up() {
        assert_eq!(percentiles(&[&filled([123.456; 9])]), [123.456; 3]);
        assert_eq!(percentiles(&[&filled([0.0, -0.0, 1e-9])]), [0.0; 3]);
        let whole = filled((0..100).map(f64::from));
        let (low, high) = (filled((0..50).map(f64::from)), filled((50..100).map(f64::from)));
        assert_eq!(percentiles(&[&low, &high]), percentiles(&[&whole]));
        let mean = |sketches: &[&Sketch]| Together::of(sketches.iter().copied())?.mean();
        assert_eq!(mean(&[&low, &high]), Some(49.5));
        assert_eq!(mean(&[]), None);
    }

    #[test]
    fn a_sketch_without_room_is_not_whole_and_gives_back_what_it_took() {
        let (mut sketch, budget) = (Sketch::default(), Budget::new(300));
        assert_eq!(sketch.record(1.0, 1, &budget), Ok(()));
        assert_eq!(sketch.record(1.5, 7, &budget), Ok(()), "the same page");
        assert_eq!(sketch.record(2.0, 1, &budget), Err(Refused::TooMuchMemory));
        assert!(Together::of([&sketch].into_iter()).is_none());
        assert_eq!(budget.left(), 300 - 256);
        drop(sketch);
        assert_eq!(budget.left(), 300);
    }

    #[test]
    fn every_value_below_the_ceiling_has_a_bucket() {
        let budget = Budget::new(1 << 20);
        let mut sketch = Sketch::default();
        for value in
            [LEAST, f64::MIN_POSITIVE, CEILING.next_down(), LEAST.next_down(), 1.0, CEILING]
        {
            assert_eq!(sketch.record(value, 1, &budget), Ok(()), "{value}");
        }
        assert_eq!(sketch.weight, 6);
        assert_eq!(budget.left(), (1 << 20) - 3 * 256);
    }
}
