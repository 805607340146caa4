//! The life of an alert: one word, one table.
//!
//! Why an alert is quiet is a set of *independent* reasons, each a bit. What is shown is the first that applies, and
//! lifting one reason never tells anybody while another one holds. [`Word::next`] is the whole table, a pure function;
//! [`AlertState`] is the same word shared between threads, moved by compare-and-swap.

#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

const RESOLVED: u64 = 1;
const SILENCED: u64 = 1 << 1;
const SUPPRESSED: u64 = 1 << 2;
const DEDUPED: u64 = 1 << 3;
/// Somebody has been told that it fires, and nobody yet that it is over.
const TOLD: u64 = 1 << 4;
/// A time interval of its route holds.
const TIME_MUTED: u64 = 1 << 5;
/// Its receiver is told as much as it may be told, or it flaps.
const RATE_LIMITED: u64 = 1 << 6;
/// Everything that puts telling off, and that a new episode does not end.
const MUTES: u64 = SILENCED | SUPPRESSED | TIME_MUTED | RATE_LIMITED;
const FLAGS: u64 = (1 << 8) - 1;
/// The rest of the word counts the transitions, so that a word is never seen twice (no ABA).
const GENERATION_SHIFT: u32 = 8;

/// What is shown of an alert: the first that applies, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// It is over.
    Resolved,
    /// A silence holds.
    Silenced,
    /// Another alert inhibits it, a time interval mutes its route, or its receiver has been told too much.
    Suppressed,
    /// The last report of it was a repeat inside the de-duplication window.
    Deduped,
    /// Its receivers have been told.
    Firing,
    /// It is known, and nobody has been told.
    Active,
}

/// Why nobody is told of an alert that fires. Any number of these hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Quiet {
    /// A silence holds.
    Silenced,
    /// Another alert inhibits it.
    Inhibited,
    /// A time interval mutes its route, or none of those in which it is active lasts.
    TimeMuted,
    /// The last report of it was a repeat inside the de-duplication window.
    Deduped,
    /// Its receiver is told as much as it may be told, or the alert flaps.
    RateLimited,
}

/// What can happen to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A report that is no repeat: it may be told. Opens a new episode if the last one is resolved.
    Fire,
    /// A repeat inside the de-duplication window.
    Duplicate,
    /// The de-duplication window has passed.
    WindowOver,
    /// It goes on firing, and it is time to tell again.
    Repeat,
    /// A silence begins to hold.
    Silence,
    /// The last silence is over.
    Unsilence,
    /// Another alert begins to inhibit it.
    Suppress,
    /// The last inhibition is over.
    Unsuppress,
    /// A time interval begins to mute its route.
    Mute,
    /// No time interval mutes it any more.
    Unmute,
    /// Its receiver may not be told any more for now, or it flaps.
    Limit,
    /// Its receiver may be told again.
    Unlimit,
    /// It fires anew, and telling is for later: a new episode, of which nobody has been told.
    Reopen,
    /// It is over.
    Resolve,
}

/// What a transition asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Effect {
    /// Nothing: nobody hears of it.
    None,
    /// The receivers are to be told that it fires.
    TellFiring,
    /// Who was told that it fires is to be told that it is over: through any mute.
    TellResolved,
}

/// One alert's state as a value: the reason bits, and how many transitions there have been.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Word(u64);

impl Word {
    /// A known alert that nobody has been told of.
    pub const ACTIVE: Self = Self(0);

    /// The word as one number, to store or to publish.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// The word of [`to_bits`](Self::to_bits).
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// What is shown.
    pub fn state(self) -> State {
        match self.0 {
            w if w & RESOLVED != 0 => State::Resolved,
            w if w & SILENCED != 0 => State::Silenced,
            w if w & MUTES != 0 => State::Suppressed,
            w if w & DEDUPED != 0 => State::Deduped,
            w if w & TOLD != 0 => State::Firing,
            _ => State::Active,
        }
    }

    /// Has somebody been told that it fires, and not yet that it is over?
    pub fn is_told(self) -> bool {
        self.0 & TOLD != 0
    }

    /// Does `reason` hold, be it shown or hidden behind a stronger one?
    pub fn holds(self, reason: State) -> bool {
        let bit = match reason {
            State::Resolved => RESOLVED,
            State::Silenced => SILENCED,
            State::Suppressed => SUPPRESSED | TIME_MUTED | RATE_LIMITED,
            State::Deduped => DEDUPED,
            State::Firing => TOLD,
            State::Active => return self.0 & FLAGS == 0,
        };
        self.0 & bit != 0
    }

    /// Why nobody is told of it: all reasons that hold, the shown one and those behind it.
    pub fn quiets(self) -> impl Iterator<Item = Quiet> {
        QUIETS.into_iter().filter(move |(_, bit)| self.0 & bit != 0).map(|(quiet, _)| quiet)
    }

    /// The same word with this reason set or lifted, and nobody told: for whoever tells later, and asks then whether
    /// any reason holds.
    #[must_use]
    pub fn with(self, quiet: Quiet, holds: bool) -> Self {
        let bit = QUIETS.iter().find(|(q, _)| *q == quiet).map_or(0, |(_, bit)| *bit);
        let old = self.0 & FLAGS;
        self.changed_to(if holds { old | bit } else { old & !bit })
    }

    /// The same word, of an alert of which somebody is known to have been told.
    pub(crate) fn told(self) -> Self {
        self.changed_to(self.0 & FLAGS | TOLD)
    }

    /// How many transitions changed something; wraps after 2⁵⁶.
    pub fn generation(self) -> u64 {
        self.0 >> GENERATION_SHIFT
    }

    /// The table: what `event` makes of this word, and who has to hear of it.
    ///
    /// An event that changes nothing returns the same word, with the same generation.
    #[must_use]
    pub fn next(self, event: Event) -> (Self, Effect) {
        let old = self.0 & FLAGS;
        let resolved = old & RESOLVED != 0;
        let (flags, effect) = match event {
            // A new episode forgets what the last one was told; a mute outlives episodes.
            Event::Fire if resolved => enter_firing(old & MUTES),
            Event::Reopen => (old & MUTES, Effect::None),
            Event::Fire => enter_firing(old & !DEDUPED),
            Event::Unsilence => lift(old, SILENCED),
            Event::Unsuppress => lift(old, SUPPRESSED),
            Event::Unmute => lift(old, TIME_MUTED),
            Event::Unlimit => lift(old, RATE_LIMITED),
            Event::Mute => (old | TIME_MUTED, Effect::None),
            Event::Limit => (old | RATE_LIMITED, Effect::None),
            Event::Silence => (old | SILENCED, Effect::None),
            Event::Suppress => (old | SUPPRESSED, Effect::None),
            // What is over stays over until it fires anew.
            Event::Duplicate | Event::WindowOver | Event::Repeat | Event::Resolve if resolved => {
                (old, Effect::None)
            }
            Event::Duplicate => (old | DEDUPED, Effect::None),
            // Only a quiet that hid an untold alert can end in telling; this one came after the telling, or the key
            // was told before the alert was known. The next report decides.
            Event::WindowOver => (old & !DEDUPED, Effect::None),
            // While it is muted the telling is put off, and the receivers keep what they were told.
            Event::Repeat if old & MUTES != 0 => (old & !DEDUPED, Effect::None),
            Event::Repeat => enter_firing(old & !(TOLD | DEDUPED)),
            Event::Resolve => {
                let effect = if old & TOLD != 0 { Effect::TellResolved } else { Effect::None };
                ((old | RESOLVED) & !(TOLD | DEDUPED), effect)
            }
        };
        (if effect == Effect::None { self.changed_to(flags) } else { self.counted(flags) }, effect)
    }

    fn changed_to(self, flags: u64) -> Self {
        if flags == self.0 & FLAGS { self } else { self.counted(flags) }
    }

    fn counted(self, flags: u64) -> Self {
        let generation = self.generation().wrapping_add(1) << GENERATION_SHIFT;
        Self(generation | flags)
    }
}

const QUIETS: [(Quiet, u64); 5] = [
    (Quiet::Silenced, SILENCED),
    (Quiet::Inhibited, SUPPRESSED),
    (Quiet::TimeMuted, TIME_MUTED),
    (Quiet::Deduped, DEDUPED),
    (Quiet::RateLimited, RATE_LIMITED),
];

/// A mute ends: what it hid is told now. If nothing was muted nothing ends.
fn lift(flags: u64, mute: u64) -> (u64, Effect) {
    if flags & mute == 0 { (flags, Effect::None) } else { enter_firing(flags & !mute) }
}

/// Tells, unless a reason to be quiet holds or it has been told already.
fn enter_firing(flags: u64) -> (u64, Effect) {
    if flags & (RESOLVED | MUTES | DEDUPED | TOLD) == 0 {
        (flags | TOLD, Effect::TellFiring)
    } else {
        (flags, Effect::None)
    }
}

impl std::fmt::Debug for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Word")
            .field("state", &self.state())
            .field("flags", &format_args!("{:#09b}", self.0 & FLAGS))
            .field("generation", &self.generation())
            .finish()
    }
}

/// A [`Word`] shared between threads: anybody reads it, anybody moves it, nobody waits.
///
/// For hosts that use the state machine alone. Inside a [`Router`](crate::Router) one ordered writer decides.
#[derive(Debug)]
pub struct AlertState(AtomicU64);

impl AlertState {
    /// Starts at `word`.
    pub fn new(word: Word) -> Self {
        Self(AtomicU64::new(word.to_bits()))
    }

    /// The word as of now.
    pub fn load(&self) -> Word {
        Word(self.0.load(Ordering::Acquire))
    }

    /// For the one writer that has decided already.
    pub(crate) fn publish(&self, word: Word) {
        self.0.store(word.to_bits(), Ordering::Release);
    }

    /// Applies `event` to whatever the word is at that moment, and returns what it became.
    ///
    /// Of two threads whose events would both tell, exactly one gets the effect, and it alone has to act on it.
    pub fn apply(&self, event: Event) -> (Word, Effect) {
        let mut seen = self.load();
        loop {
            let (word, effect) = seen.next(event);
            match self.compare_exchange(seen, word) {
                Ok(()) => return (word, effect),
                Err(current) => seen = current,
            }
        }
    }

    /// Moves from `seen` to `word`, if nobody has moved it since `seen` was read.
    ///
    /// # Errors
    /// The word that is there instead.
    pub fn compare_exchange(&self, seen: Word, word: Word) -> Result<(), Word> {
        let (acquire, release) = (Ordering::Acquire, Ordering::AcqRel);
        match self.0.compare_exchange(seen.0, word.0, release, acquire) {
            Ok(_) => Ok(()),
            Err(current) => Err(Word(current)),
        }
    }
}

impl Default for AlertState {
    fn default() -> Self {
        Self::new(Word::ACTIVE)
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    fn tells(effects: &[Effect], effect: Effect) -> usize {
        effects.iter().filter(|e| **e == effect).count()
    }

    /// Several reporters of one alert, at once: it is told exactly once.
    #[test]
    fn of_racing_reports_one_tells() {
        loom::model(|| {
            let state = Arc::new(AlertState::default());
            let other = Arc::clone(&state);
            let reporter = thread::spawn(move || other.apply(Event::Fire).1);
            let mine = state.apply(Event::Fire).1;
            let effects = [mine, reporter.join().unwrap()];
            assert_eq!(tells(&effects, Effect::TellFiring), 1);
            assert_eq!(state.load().state(), State::Firing);
        });
    }

    /// A resolve beside a report: whoever was told "firing" is told "resolved", in every order.
    #[test]
    fn a_resolve_is_told_as_often_as_a_firing() {
        loom::model(|| {
            let state = Arc::new(AlertState::default());
            let other = Arc::clone(&state);
            let resolver = thread::spawn(move || other.apply(Event::Resolve).1);
            let first = state.apply(Event::Fire).1;
            let effects = [first, resolver.join().unwrap(), state.apply(Event::Resolve).1];
            let (firing, resolved) =
                (tells(&effects, Effect::TellFiring), tells(&effects, Effect::TellResolved));
            assert_eq!(firing, resolved);
            assert_eq!(state.load().state(), State::Resolved);
        });
    }

    /// Two reasons are lifted at once: exactly one of the two lifts tells.
    #[test]
    fn of_two_reasons_lifted_at_once_the_last_tells() {
        loom::model(|| {
            let state = Arc::new(AlertState::default());
            state.apply(Event::Silence);
            state.apply(Event::Suppress);
            assert_eq!(state.apply(Event::Fire).1, Effect::None);
            let other = Arc::clone(&state);
            let lifter = thread::spawn(move || other.apply(Event::Unsilence).1);
            let mine = state.apply(Event::Unsuppress).1;
            let effects = [mine, lifter.join().unwrap()];
            assert_eq!(tells(&effects, Effect::TellFiring), 1);
        });
    }

    /// A word that came back to the same flags is another word: a stale compare-and-swap fails, and no transition is
    /// lost.
    #[test]
    fn the_generation_defeats_aba() {
        loom::model(|| {
            let state = Arc::new(AlertState::default());
            let other = Arc::clone(&state);
            let there_and_back = thread::spawn(move || {
                other.apply(Event::Duplicate);
                other.apply(Event::WindowOver);
            });
            let seen = state.load();
            let swapped = state.compare_exchange(seen, seen.next(Event::Silence).0);
            there_and_back.join().unwrap();
            if let Err(current) = swapped {
                assert!(current.generation() > seen.generation());
            }
            assert_eq!(state.load().generation(), 2 + u64::from(swapped.is_ok()));
            assert_eq!(state.load().holds(State::Silenced), swapped.is_ok());
        });
    }
}
