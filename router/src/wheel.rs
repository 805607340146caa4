//! The timer wheel: what is due when, for millions of timers, without a heap and without a task for each.

use std::time::Duration;

use crate::time::Stamp;

/// Six bits of the time a level: a level's slots are one slot of the level above.
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
/// 64⁸ milliseconds are nine thousand years.
const LEVELS: usize = 8;
/// The furthest time that has a slot.
const FURTHEST: u64 = (1 << (BITS * 8)) - 1;
/// In a slot with more timers than this the soonest is not looked for.
const MOST_COMPARED: usize = 32;
const NONE: u32 = u32::MAX;

/// Timers by key, one for each key; keys are slots of a table, so they are dense.
///
/// A hierarchical wheel of eight levels with a millisecond as the finest step: setting, moving and cancelling a timer
/// touch a constant number of places, whatever the number of timers. A timer moves down a level at most seven times.
/// What is due in the same millisecond comes out in the order in which it was set.
pub(crate) struct Wheel {
    /// In milliseconds since 1970. What was due before is out.
    now: u64,
    levels: [Level; LEVELS],
    /// By key.
    timers: Vec<Timer>,
    armed: usize,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    occupied: u64,
    /// The first of each slot's ring of timers.
    first: [u32; SLOTS],
}

/// Twenty-four bytes, whether it is set or not.
#[derive(Debug, Clone, Copy)]
struct Timer {
    at: u64,
    /// A ring: the one before the first is the last.
    next: u32,
    before: u32,
    level: u8,
    slot: u8,
    armed: bool,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        let level = Level { occupied: 0, first: [NONE; SLOTS] };
        Self { now: 0, levels: [level; LEVELS], timers: Vec::new(), armed: 0 }
    }

    /// How many timers are set.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.armed
    }

    /// Sets the timer of `key`, or moves it. A time that is over is due at the next look.
    pub(crate) fn set(&mut self, key: u32, at: Stamp) {
        self.cancel(key);
        if at == Stamp::NEVER {
            return;
        }
        let index = key as usize;
        if index >= self.timers.len() {
            let unset = Timer { at: 0, next: NONE, before: NONE, level: 0, slot: 0, armed: false };
            self.timers.resize(index + 1, unset);
        }
        self.armed += 1;
        self.place(key, at.ceil_ms());
    }

    pub(crate) fn cancel(&mut self, key: u32) {
        let Some(timer) = self.timers.get(key as usize).copied().filter(|timer| timer.armed) else {
            return;
        };
        self.armed -= 1;
        self.timers[key as usize].armed = false;
        let level = &mut self.levels[usize::from(timer.level)];
        let first = &mut level.first[usize::from(timer.slot)];
        if timer.next == key {
            *first = NONE;
            level.occupied &= !(1 << timer.slot);
            return;
        }
        if *first == key {
            *first = timer.next;
        }
        self.timers[timer.next as usize].before = timer.before;
        self.timers[timer.before as usize].next = timer.next;
    }

    /// What the timer of `key` is set to; never, if it is not set.
    pub(crate) fn due_at(&self, key: u32) -> Stamp {
        let timer = self.timers.get(key as usize).filter(|timer| timer.armed);
        timer.map_or(Stamp::NEVER, |timer| Stamp::from_ms(timer.at))
    }

    /// When the next timer is due, or earlier: where many lie far ahead it is the beginning of the span that they lie
    /// in, and a look at that time finds nothing but a nearer answer.
    pub(crate) fn next(&self) -> Option<Stamp> {
        let (level, slot, begins) = self.next_slot()?;
        let first = self.levels[level].first[slot];
        let (mut soonest, mut key) = (u64::MAX, first);
        for _ in 0..MOST_COMPARED {
            let timer = self.timers.get(key as usize)?;
            soonest = soonest.min(timer.at);
            key = timer.next;
            if key == first {
                return Some(Stamp::from_ms(soonest.max(self.now)));
            }
        }
        Some(Stamp::from_ms(begins))
    }

    /// Moves on to `now`, and adds the keys whose time has come to `due`, in the order of time. Their timers are unset.
    pub(crate) fn advance(&mut self, now: Stamp, due: &mut Vec<u32>) {
        let now = now.floor_ms();
        while let Some((level, slot, at)) = self.next_slot().filter(|(.., at)| *at <= now) {
            self.now = self.now.max(at);
            let mut key = self.levels[level].first[slot];
            self.levels[level].first[slot] = NONE;
            self.levels[level].occupied &= !(1 << slot);
            let last = self.timers[key as usize].before;
            loop {
                let Timer { at, next, .. } = self.timers[key as usize];
                if level == 0 {
                    self.timers[key as usize].armed = false;
                    self.armed -= 1;
                    due.push(key);
                } else {
                    self.place(key, at);
                }
                if key == last {
                    break;
                }
                key = next;
            }
        }
        self.now = self.now.max(now);
    }

    /// Turns the time back: what was due at a time is due as much earlier, and never before `now`.
    pub(crate) fn turn_back(&mut self, by: Duration, now: Stamp) {
        let armed: Vec<(u32, u64)> = (0_u32..)
            .zip(&self.timers)
            .filter(|(_, timer)| timer.armed)
            .map(|(key, timer)| (key, timer.at))
            .collect();
        for (key, _) in &armed {
            self.cancel(*key);
        }
        self.now = now.floor_ms();
        for (key, at) in armed {
            self.set(key, Stamp::from_ms(at).minus(by));
        }
    }

    fn place(&mut self, key: u32, at: u64) {
        let at = at.clamp(self.now, self.now.max(FURTHEST));
        // The highest digit in which the two times differ is the level.
        let digit = (63 - ((at ^ self.now) | 1).leading_zeros()) / BITS;
        let level = (digit as usize).min(LEVELS - 1);
        let slot = slot_of(at, level);
        let place = &mut self.levels[level];
        let (level, first) = (u8::try_from(level).unwrap_or_default(), place.first[slot]);
        place.occupied |= 1 << slot;
        let (next, before) = match first {
            NONE => {
                place.first[slot] = key;
                (key, key)
            }
            first => (first, self.timers[first as usize].before),
        };
        let slot = u8::try_from(slot).unwrap_or_default();
        self.timers[key as usize] = Timer { at, next, before, level, slot, armed: true };
        if first != NONE {
            self.timers[before as usize].next = key;
            self.timers[first as usize].before = key;
        }
    }

    /// The first slot that is not empty, and when it begins. What is on a lower level is always sooner.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        self.levels.iter().enumerate().find_map(|(index, level)| {
            if level.occupied == 0 {
                return None;
            }
            let here = slot_of(self.now, index);
            let ahead = level.occupied & (u64::MAX << here);
            // All slots lie ahead; were one behind, it would be the next round of the highest level.
            let slot = if ahead == 0 { level.occupied } else { ahead }.trailing_zeros() as usize;
            let shift = BITS * u32::try_from(index).unwrap_or_default();
            let above = (self.now >> shift) & !(SLOTS as u64 - 1);
            let begins = (above | slot as u64) << shift;
            Some((index, slot, begins.max(self.now)))
        })
    }
}

impl std::fmt::Debug for Wheel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wheel").field("armed", &self.armed).finish_non_exhaustive()
    }
}

fn slot_of(at: u64, level: usize) -> usize {
    let shift = BITS * u32::try_from(level).unwrap_or_default();
    // Six bits.
    usize::try_from((at >> shift) & (SLOTS as u64 - 1)).unwrap_or_default()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Set(u32, u64),
        Cancel(u32),
        Advance(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Times of every size, so that every level is used.
        let ahead = || (0_u32..40).prop_flat_map(|bits| 0..(1_u64 << bits));
        prop_oneof![
            4 => (0..40_u32, ahead()).prop_map(|(key, ahead)| Step::Set(key, ahead)),
            1 => (0..40_u32).prop_map(Step::Cancel),
            3 => ahead().prop_map(Step::Advance),
        ]
    }

    proptest! {
        /// A map of times is what the wheel is instead of.
        #[test]
        fn is_a_map_of_times(steps in proptest::collection::vec(step(), 1..80)) {
            let (mut wheel, mut now) = (Wheel::new(), 1_700_000_000_000);
            wheel.advance(Stamp::from_ms(now), &mut Vec::new());
            let mut plain: BTreeMap<u32, u64> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Set(key, ahead) => {
                        wheel.set(key, Stamp::from_ms(now + ahead));
                        plain.insert(key, now + ahead);
                    }
                    Step::Cancel(key) => {
                        wheel.cancel(key);
                        plain.remove(&key);
                    }
                    Step::Advance(by) => {
                        now += by;
                        let mut due = Vec::new();
                        wheel.advance(Stamp::from_ms(now), &mut due);
                        let times: Vec<u64> = due.iter().map(|key| plain[key]).collect();
                        prop_assert!(times.is_sorted(), "{times:?}");
                        let mut expected: Vec<u32> =
                            plain.iter().filter(|(_, at)| **at <= now).map(|(key, _)| *key).collect();
                        plain.retain(|_, at| *at > now);
                        due.sort_unstable();
                        expected.sort_unstable();
                        prop_assert_eq!(due, expected);
                    }
                }
                prop_assert_eq!(wheel.len(), plain.len());
                let soonest = plain.values().min().map(|at| Stamp::from_ms(*at));
                match (wheel.next(), soonest) {
                    (None, None) => {}
                    (Some(next), Some(soonest)) => prop_assert!(next <= soonest),
                    (next, soonest) => prop_assert!(false, "{next:?} for {soonest:?}"),
                }
            }
        }
    }

    /// Whoever wakes when it is said finds the timer within a few looks.
    #[test]
    fn a_far_timer_is_found_in_few_looks() {
        let mut wheel = Wheel::new();
        let at = Stamp::from_ms(1_700_000_000_000 + 365 * 86_400_000 + 12_345);
        wheel.advance(Stamp::from_ms(1_700_000_000_000), &mut Vec::new());
        wheel.set(7, at);
        let (mut due, mut looks) = (Vec::new(), 0);
        while due.is_empty() {
            let next = wheel.next().expect("it is set");
            wheel.advance(next, &mut due);
            looks += 1;
        }
        assert!(wheel.now == at.ceil_ms() && looks <= 8, "{looks} looks");
    }

    #[test]
    fn never_is_not_set_and_the_past_is_due() {
        let mut wheel = Wheel::new();
        wheel.advance(Stamp::from_ms(1_000_000), &mut Vec::new());
        wheel.set(1, Stamp::NEVER);
        assert_eq!(wheel.next(), None);
        wheel.set(1, Stamp::from_ms(5));
        let mut due = Vec::new();
        wheel.advance(Stamp::from_ms(1_000_000), &mut due);
        assert_eq!(due, [1]);
        wheel.set(2, Stamp::from_ms(u64::MAX));
        assert!(wheel.next().is_some(), "further than anybody waits, and still a time");
    }

    #[test]
    fn the_time_is_turned_back() {
        let mut wheel = Wheel::new();
        wheel.advance(Stamp::from_ms(10_000_000), &mut Vec::new());
        wheel.set(1, Stamp::from_ms(10_030_000));
        wheel.turn_back(Duration::from_secs(9000), Stamp::from_ms(1_000_000));
        let mut due = Vec::new();
        wheel.advance(Stamp::from_ms(1_029_999), &mut due);
        assert!(due.is_empty());
        wheel.advance(Stamp::from_ms(1_030_000), &mut due);
        assert_eq!(due, [1]);
    }
}
