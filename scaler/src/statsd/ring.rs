//! A window in parts, of which the oldest is dropped as a whole.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A window is kept in so many parts, and one more that is being filled.
pub(super) const PARTS: u64 = 6;

/// The parts of a window. What it tells covers the window and up to a sixth more.
///
/// It never fails over a clock that jumps: after a jump ahead it is empty, and so it is after a
/// jump back by more than itself; one that is set back by less goes on with its newest part.
#[derive(Debug, Default)]
pub(super) struct Ring<T> {
    newest: u64,
    parts: [T; PARTS as usize + 1],
}

/// Nanoseconds since 1970: windows reckon with every line.
pub(super) type Nanos = u64;

/// `at` in nanoseconds since 1970, zero before it.
pub(super) fn nanos(at: SystemTime) -> Nanos {
    at.duration_since(UNIX_EPOCH).map_or(0, length)
}

/// A length in nanoseconds.
pub(super) fn length(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How a window is cut into parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    part: Nanos,
}

impl Cut {
    pub(super) fn new(window: Duration) -> Self {
        Self { part: (length(window) / PARTS).max(1) }
    }

    /// Which part `now` lies in.
    pub(super) fn part(self, now: Nanos) -> u64 {
        now / self.part
    }

    /// How long the parts that are kept at `now` reach back, but not past `first`.
    pub(super) fn covered(self, first: Nanos, now: Nanos) -> Duration {
        let oldest = self.part(now).saturating_sub(PARTS).saturating_mul(self.part);
        Duration::from_nanos(now.saturating_sub(oldest.max(first)))
    }
}

impl<T: Default> Ring<T> {
    /// The part to fill at `part`. Whether everything before was dropped comes with it.
    pub(super) fn fill(&mut self, part: u64) -> (&mut T, bool) {
        const KEPT: u64 = PARTS + 1;
        let mut anew = false;
        if part > self.newest || self.newest - part > PARTS {
            anew = part.abs_diff(self.newest) >= KEPT;
            let first = if anew { part.saturating_sub(PARTS) } else { self.newest + 1 };
            for part in first..=part {
                self.parts[(part % KEPT) as usize] = T::default();
            }
            self.newest = part;
        }
        (&mut self.parts[(self.newest % KEPT) as usize], anew)
    }

    /// The parts that still count when `part` is the one of now.
    pub(super) fn live(&self, part: u64) -> impl Iterator<Item = &T> {
        const KEPT: u64 = PARTS + 1;
        let oldest = part.saturating_sub(PARTS);
        let kept = self.newest.saturating_sub(PARTS)..=self.newest;
        // One set far back is dropped with the next value; until then it tells nothing.
        let ahead = self.newest.saturating_sub(part) > PARTS;
        kept.filter(move |kept| *kept >= oldest && !ahead)
            .filter_map(|kept| self.parts.get((kept % KEPT) as usize))
    }
}
