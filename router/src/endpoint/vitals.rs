//! The measurements of an endpoint: one writer, any number of readers that neither wait nor see half of a change.

#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering, fence};

/// What has been measured, as one value. Times are nanoseconds after 1970, round trips milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Vitals {
    /// The round trip's moving average, if there is one, and when it was last fed.
    pub(super) rtt: Option<(f64, u64)>,
    /// The highest of late, and as of when: it sinks towards the average. A failure raises it as well.
    pub(super) peak: Option<(f64, u64)>,
    /// When an attempt or a probe last failed; forgotten when the endpoint is well again.
    pub(super) failed: Option<u64>,
    /// When a probe was last answered, once there was one.
    pub(super) probed: Option<u64>,
    /// The endpoint asked not to be used before this.
    pub(super) spared: Option<u64>,
    /// Failed attempts since the last that went through.
    pub(super) failures: u32,
    /// Probes without an answer since the last that had one.
    pub(super) unanswered: u16,
    /// Attempts and probes since the last one that failed.
    pub(super) successes: u8,
    /// It was taken down for failures in a row, and has not come back.
    pub(super) down: bool,
    /// The average was above its budget, and has not sunk below the mark to come back at.
    pub(super) slow: bool,
}

/// The words of [`Vitals`].
const WORDS: usize = 8;
/// No time, and no round trip.
const NONE: u64 = u64::MAX;

const DOWN: u64 = 1 << 62;
const SLOW: u64 = 1 << 63;

/// [`Vitals`] that threads share.
#[derive(Debug)]
pub(crate) struct SharedVitals {
    latch: Latch<WORDS>,
    /// Notifications on their way there.
    pending: AtomicU64,
}

/// Some words that are changed together by one writer, while others read them.
///
/// Two copies: while the writer makes one ready, the other is read. `turn` counts the changes, and its lowest bit says
/// which copy is the current one. A reader that finds it moved reads again, for which the writer has to begin its second
/// change while the reader is at a handful of words; one that is stopped in the middle of a change stops nobody. (The
/// idea is the latch of Linux' sequence counters.)
#[derive(Debug)]
struct Latch<const N: usize> {
    turn: AtomicU64,
    copies: [[AtomicU64; N]; 2],
}

impl Vitals {
    pub(super) const NONE: Self = Self {
        rtt: None,
        peak: None,
        failed: None,
        probed: None,
        spared: None,
        failures: 0,
        unanswered: 0,
        successes: 0,
        down: false,
        slow: false,
    };

    fn to_words(self) -> [u64; WORDS] {
        let flags = u64::from(self.failures)
            | u64::from(self.unanswered) << 32
            | u64::from(self.successes) << 48
            | if self.down { DOWN } else { 0 }
            | if self.slow { SLOW } else { 0 };
        let (rtt, rtt_at) = measured(self.rtt);
        let (peak, peak_at) = measured(self.peak);
        let time = |at: Option<u64>| at.unwrap_or(NONE);
        [rtt, rtt_at, peak, peak_at, time(self.failed), time(self.probed), time(self.spared), flags]
    }

    fn from_words(words: [u64; WORDS]) -> Self {
        let [rtt, rtt_at, peak, peak_at, failed, probed, spared, flags] = words;
        let time = |at: u64| (at != NONE).then_some(at);
        Self {
            rtt: time(rtt_at).map(|at| (f64::from_bits(rtt), at)),
            peak: time(peak_at).map(|at| (f64::from_bits(peak), at)),
            failed: time(failed),
            probed: time(probed),
            spared: time(spared),
            failures: flags as u32,
            unanswered: (flags >> 32) as u16,
            successes: ((flags >> 48) & 0xff) as u8,
            down: flags & DOWN != 0,
            slow: flags & SLOW != 0,
        }
    }
}

fn measured(value: Option<(f64, u64)>) -> (u64, u64) {
    value.map_or((0, NONE), |(value, at)| (value.to_bits(), at))
}

impl SharedVitals {
    pub(super) fn new() -> Self {
        Self { latch: Latch::new(Vitals::NONE.to_words()), pending: AtomicU64::new(0) }
    }

    /// The newest vitals, whole.
    pub(super) fn read(&self) -> Vitals {
        Vitals::from_words(self.latch.read())
    }

    /// Publishes new vitals. From one thread at a time: the router's, which has the only `&mut` to its endpoints.
    pub(super) fn write(&self, vitals: Vitals) {
        self.latch.write(vitals.to_words());
    }

    /// Notifications that are on their way to the endpoint.
    pub(super) fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }

    pub(super) fn one_more(&self) {
        self.pending.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn one_less(&self) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<const N: usize> Latch<N> {
    fn new(words: [u64; N]) -> Self {
        let copy = || words.map(AtomicU64::new);
        Self { turn: AtomicU64::new(0), copies: [copy(), copy()] }
    }

    fn read(&self) -> [u64; N] {
        loop {
            let turn = self.turn.load(Ordering::Acquire);
            let words = self.copy(turn).each_ref().map(|word| word.load(Ordering::Relaxed));
            // If one of them belongs to a later change, the end of the change before it is visible below.
            fence(Ordering::Acquire);
            if self.turn.load(Ordering::Relaxed) == turn {
                return words;
            }
            std::hint::spin_loop();
        }
    }

    fn write(&self, words: [u64; N]) {
        let turn = self.turn.load(Ordering::Relaxed).wrapping_add(1);
        // Whoever sees a word of this change sees that the one before has ended, and reads again.
        fence(Ordering::Release);
        for (word, value) in self.copy(turn).iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
        self.turn.store(turn, Ordering::Release);
    }

    fn copy(&self, turn: u64) -> &[AtomicU64; N] {
        let [even, odd] = &self.copies;
        if turn & 1 == 0 { even } else { odd }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time() -> impl Strategy<Value = Option<u64>> {
        prop::option::of(0..NONE)
    }

    fn measured() -> impl Strategy<Value = Option<(f64, u64)>> {
        prop::option::of((0.0..1e18, 0..NONE))
    }

    proptest! {
        /// What is written is what is read, down to the last bit of every field.
        #[test]
        fn reads_what_was_written(
            (rtt, peak) in (measured(), measured()),
            (failed, probed, spared) in (time(), time(), time()),
            (failures, unanswered, successes) in (any::<u32>(), any::<u16>(), any::<u8>()),
            (down, slow) in (any::<bool>(), any::<bool>()),
        ) {
            let vitals = Vitals {
                rtt, peak, failed, probed, spared, failures, unanswered, successes, down, slow,
            };
            let shared = SharedVitals::new();
            prop_assert_eq!(shared.read(), Vitals::NONE);
            shared.write(vitals);
            prop_assert_eq!(shared.read(), vitals);
            shared.write(Vitals::NONE);
            prop_assert_eq!(shared.read(), Vitals::NONE);
        }
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// Two changes beside a reader, the second of which writes over the copy that is read: what is read is one of them,
    /// whole, and none older than what was read before. (Two words show all that eight do, in seconds instead of hours.)
    #[test]
    fn a_reader_never_sees_half_of_a_change() {
        loom::model(|| {
            let latch = Arc::new(Latch::new([0, 0]));
            let written = Arc::clone(&latch);
            let writer = thread::spawn(move || (1..=2).for_each(|n| written.write([n, n])));
            let (first, second) = (latch.read(), latch.read());
            assert!(first[0] == first[1] && second[0] == second[1], "{first:?} {second:?}");
            assert!(first[0] <= second[0]);
            writer.join().unwrap();
            assert_eq!(latch.read(), [2, 2]);
        });
    }
}
