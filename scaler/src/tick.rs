//! When to look: a regular tick, each scaler at a moment of its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, ErrorKind};
use crate::fnv::fnv1a;
use crate::timestamp::later;

/// The longest period: the condition windows need to be looked at.
const LONGEST: Duration = Duration::from_secs(3600);

/// The shortest period.
const SHORTEST: Duration = Duration::from_millis(10);

/// Says when to look at the signals: every 15 s, or another period.
///
/// The moments lie on a grid that time itself carries: whole periods since 1970, moved on by a
/// phase that a seed picks. So there is no drift however long a turn takes, a restart finds the
/// same moments again, and ten thousand scalers, each with its name as the seed, do not all query
/// in one instant but spread evenly over the period.
///
/// Whoever was away for many periods gets one turn, which says how many were missed, and no burst.
/// A clock that is set ahead is the same. One that is set back by less than half a period lengthens
/// one turn by that much; set back by more, the grid of the new time counts, and the next turn is
/// at most a period away.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use birl_scaler::Tick;
///
/// # fn main() -> Result<(), birl_scaler::Error> {
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_420_800);
/// let mut tick = Tick::new(Tick::PERIOD, now)?.named("workers");
///
/// let next = tick.next_deadline(now); // sleep until then
/// assert!(next <= now + Tick::PERIOD);
/// assert!(tick.poll(next).is_some_and(|turn| turn.at == next && turn.missed == 0));
/// assert_eq!(tick.poll(next), None, "each turn once");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    period: u128,
    phase: u128,
    /// When it was made.
    began: u128,
    /// The place on the grid of the last turn; where it was made, before there is one.
    last: u128,
}

/// That it is time to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// The moment on the grid; the turn itself may come a little later.
    pub at: SystemTime,
    /// How many turns before this one nobody took.
    pub missed: u64,
}

impl Tick {
    /// The customary period, the HPA's own.
    pub const PERIOD: Duration = Duration::from_secs(15);

    /// A tick with this period, at whole periods since 1970. Its first turn is the first moment
    /// after `now`, and not `now` itself: a thousand scalers may be started at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if the period is shorter than 10 ms or longer than an hour.
    pub fn new(period: Duration, now: SystemTime) -> Result<Self, Error> {
        if !(SHORTEST..=LONGEST).contains(&period) {
            let message = format!(
                "a tick every {period:?}: use a period from {SHORTEST:?} to an hour; 15 s is customary"
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let (period, began) = (period.as_nanos(), since_epoch(now));
        let tick = Self { period, phase: 0, began, last: 0 };
        Ok(tick.begin())
    }

    /// Moves its moments on by a share of the period that `seed` picks: evenly spread, and always
    /// the same for the same seed.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.phase = (u128::from(mix(seed)) * self.period) >> 64;
        self.begin()
    }

    /// [`seeded`](Self::seeded) by a name, such as the target's.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        // The seed is mixed again after.
        self.seeded(fnv1a(name))
    }

    /// How long it is from one turn to the next.
    pub fn period(&self) -> Duration {
        nanoseconds(self.period)
    }

    /// A turn, if it is time for one.
    pub fn poll(&mut self, now: SystemTime) -> Option<Turn> {
        let (place, last) = (self.place(since_epoch(now)), self.last);
        if place > last {
            self.last = place;
            let missed = u64::try_from(place - last - 1).unwrap_or(u64::MAX);
            return Some(Turn { at: self.moment(place), missed });
        }
        if self.is_set_back(now) {
            self.last = place;
        }
        None
    }

    /// When the next turn is, after [`poll`](Self::poll) was asked; never later than one and a half
    /// periods from `now`.
    pub fn next_deadline(&self, now: SystemTime) -> SystemTime {
        let place = self.place(since_epoch(now));
        if place > self.last {
            return now;
        }
        self.moment(1 + if self.is_set_back(now) { place } else { self.last })
    }

    fn begin(mut self) -> Self {
        self.last = self.place(self.began);
        self
    }

    /// Whether the clock was set back so far that the turn after the last is not waited for.
    fn is_set_back(&self, now: SystemTime) -> bool {
        let next = self.last * self.period + self.phase;
        next > since_epoch(now) + self.period * 3 / 2
    }

    /// How many moments of the grid there have been.
    fn place(&self, since: u128) -> u128 {
        // One period is added, so that the time before the first moment has a place, too.
        (since + self.period - self.phase) / self.period
    }

    /// When it is that far.
    fn moment(&self, place: u128) -> SystemTime {
        let since = (place * self.period + self.phase).saturating_sub(self.period);
        later(UNIX_EPOCH, nanoseconds(since))
    }
}

/// Nothing for the time before 1970.
fn since_epoch(at: SystemTime) -> u128 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()
}

fn nanoseconds(count: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(count / SECOND).unwrap_or(u64::MAX);
    Duration::new(seconds, u32::try_from(count % SECOND).unwrap_or_default())
}

/// Spreads neighbouring seeds over the whole range: SplitMix64's finalizer (Steele, Lea and Flood,
/// 2014).
fn mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
