//! How much memory may be in flight, and who is woken when there is room again.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

#[cfg(not(loom))]
use std::sync::{Mutex, atomic::AtomicU64};

#[cfg(loom)]
use loom::sync::{Mutex, atomic::AtomicU64};

use crate::metrics::{Count, Gauge, SourceMetrics};
use crate::{Health, HealthState};

/// Set in a budget's word while somebody waits for room.
const WAITED: u64 = 1 << 63;

/// Above this much of a budget, intake pauses, if nothing else was said.
const MARK_PERCENT: u8 = 85;

/// A pause is how things work; one that goes on for longer than this is worth a word.
const LONG_PAUSE: Duration = Duration::from_secs(10);

/// Whoever takes entries and acknowledges nothing for longer is worth one, too.
const LONG_UNACKED: Duration = Duration::from_secs(60);

/// A bound on the memory of what was read and is not dropped yet. Clones share it: hand one to
/// the builders of several sources, and it is the bound of all of them together.
///
/// - Below a mark, 85 % of it, nothing is limited.
/// - Above, a source that can pause does: files, journald and pipes that may block are not read
///   until enough batches were dropped. What cannot pause is held to a rate, and at the whole of
///   it refused ([`ErrorKind::WouldBlock`](crate::ErrorKind::WouldBlock)) or dropped and counted.
/// - A source that has nothing in flight is let one batch, whatever the others hold: so none
///   starves, and none waits for itself.
///
/// What is let in is let in whole, so the bound may be passed: by one batch for each source, which
/// is as large as its slab or its longest line, and by one push for each pusher, which is as large
/// as its caller makes it.
///
/// What counts is the memory of a batch, not its lines: from when it was read until it is dropped
/// or turned into an [`Ack`](crate::Ack) by [`Batch::into_ack`](crate::Batch::into_ack).
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    limit: u64,
    mark: u64,
    /// Bytes in flight, and [`WAITED`]. One word, so that nobody can begin to wait between a
    /// release and its look at who waits.
    word: AtomicU64,
    waiting: Mutex<Vec<Weak<dyn Rouse>>>,
}

/// Somebody who waits for room. Being roused twice, or too early, must do no harm.
pub(crate) trait Rouse: Send + Sync {
    fn rouse(&self);
}

impl Budget {
    /// A budget of so many bytes; one of 0 lets one batch of each source be in flight.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self::with_mark(bytes, MARK_PERCENT)
    }

    /// The same with another mark than 85 %: from 1 to 100, and what is not is taken for the nearer
    /// of them. At 100 nothing is held to a rate, and everything paused, refused or dropped only
    /// when all of it is in flight.
    #[must_use]
    pub fn with_mark(bytes: usize, percent: u8) -> Self {
        let limit = u64::try_from(bytes).unwrap_or(u64::MAX).clamp(1, WAITED >> 8);
        let mark = (limit * u64::from(percent.clamp(1, 100)) / 100).max(1);
        let (word, waiting) = (AtomicU64::new(0), Mutex::new(Vec::new()));
        Self(Arc::new(Inner { limit, mark, word, waiting }))
    }

    /// How many bytes it is.
    #[must_use]
    pub fn limit_bytes(&self) -> u64 {
        self.0.limit
    }

    /// How many bytes are in flight.
    #[must_use]
    pub fn in_flight_bytes(&self) -> u64 {
        self.0.word.load(Acquire) & !WAITED
    }

    /// Whether as much of it is in flight as its mark or more, so that intake pauses.
    #[must_use]
    pub fn is_above_mark(&self) -> bool {
        self.in_flight_bytes() >= self.0.mark
    }

    fn charge(&self, bytes: u64) {
        self.0.word.fetch_add(bytes, AcqRel);
    }

    fn release(&self, bytes: u64) {
        let before = self.0.word.fetch_sub(bytes, AcqRel);
        if before & WAITED != 0 && (before & !WAITED) - bytes < self.0.mark {
            self.rouse();
        }
    }

    #[cold]
    fn rouse(&self) {
        let mut waiting = lock(&self.0.waiting);
        self.0.word.fetch_and(!WAITED, AcqRel);
        let roused = std::mem::take(&mut *waiting);
        // A waker may run anything, such as what drops another batch.
        drop(waiting);
        roused.iter().filter_map(Weak::upgrade).for_each(|waiter| waiter.rouse());
    }

    /// Has a waiter roused when there is room, or on any release if there is room already. Gives
    /// the bytes in flight: a release after those were counted finds the waiter.
    #[cold]
    fn watch(&self, waiter: &Weak<dyn Rouse>) -> u64 {
        let mut waiting = lock(&self.0.waiting);
        let is_other =
            |known: &Weak<dyn Rouse>| !std::ptr::addr_eq(known.as_ptr(), waiter.as_ptr());
        waiting.retain(|known| known.strong_count() > 0 && is_other(known));
        waiting.push(Weak::clone(waiter));
        self.0.word.fetch_or(WAITED, AcqRel) & !WAITED
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("limit_bytes", &self.limit_bytes())
            .field("in_flight_bytes", &self.in_flight_bytes())
            .finish()
    }
}

/// The way of one source's batches through its budgets: its own, and one that it may share.
///
/// Its reader asks [`Intake::admits`] before it reads, and if there is no room waits for the wake
/// that it gave; each batch is charged as it is made ([`Batch::charged_to`](crate::Batch)), and
/// released when it is dropped. Nothing is asked or counted per line.
#[derive(Debug)]
pub(crate) struct Intake {
    own: Budget,
    shared: Option<Budget>,
    metrics: Arc<SourceMetrics>,
    is_paused: AtomicBool,
    paused_at: std::sync::Mutex<Option<Instant>>,
}

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Below the mark.
    Free,
    /// Above the mark.
    Scarce,
    /// None at all.
    None,
}

/// What a source's builder is told about memory.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) own_bytes: usize,
    pub(crate) mark_percent: u8,
    pub(crate) shared: Option<Budget>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { own_bytes: 256 << 20, mark_percent: MARK_PERCENT, shared: None }
    }
}

impl Limits {
    pub(crate) fn intake(self, metrics: &Arc<SourceMetrics>) -> Arc<Intake> {
        Arc::new(Intake {
            own: Budget::with_mark(self.own_bytes, self.mark_percent),
            shared: self.shared,
            metrics: Arc::clone(metrics),
            is_paused: AtomicBool::new(false),
            paused_at: std::sync::Mutex::default(),
        })
    }
}

impl Intake {
    /// Whether there is room to read. If not, the waiter is roused when there may be; ask again
    /// then. A pause is counted once, however often it is asked meanwhile.
    pub(crate) fn admits(&self, waiter: impl FnOnce() -> Weak<dyn Rouse>, now: Instant) -> bool {
        let admitted = self.room() == Room::Free || self.watch(&waiter()) == Room::Free;
        self.note((!admitted).then_some(now));
        admitted
    }

    fn watch(&self, waiter: &Weak<dyn Rouse>) -> Room {
        let own = self.own.watch(waiter);
        self.room_for(own, self.shared.as_ref().map(|shared| shared.watch(waiter)))
    }

    /// How much room there is now.
    pub(crate) fn room(&self) -> Room {
        let shared = self.shared.as_ref().map(Budget::in_flight_bytes);
        self.room_for(self.own.in_flight_bytes(), shared)
    }

    fn room_for(&self, own: u64, shared: Option<u64>) -> Room {
        if own == 0 {
            return Room::Free;
        }
        let budgets = [(Some(&self.own), Some(own)), (self.shared.as_ref(), shared)];
        let room = |(budget, bytes): (Option<&Budget>, Option<u64>)| match (budget, bytes) {
            (Some(budget), Some(bytes)) if bytes >= budget.0.limit => Room::None,
            (Some(budget), Some(bytes)) if bytes >= budget.0.mark => Room::Scarce,
            _ => Room::Free,
        };
        match budgets.map(room) {
            [Room::None, _] | [_, Room::None] => Room::None,
            [Room::Scarce, _] | [_, Room::Scarce] => Room::Scarce,
            [Room::Free, Room::Free] => Room::Free,
        }
    }

    /// Takes memory into account until the charge is dropped.
    pub(crate) fn charge(self: &Arc<Self>, bytes: usize) -> Charge {
        let bytes = bytes as u64;
        self.each(|budget| budget.charge(bytes));
        self.metrics.raise(Gauge::InFlightBytes, bytes);
        Charge { on: Charged::Intake(Arc::clone(self)), bytes }
    }

    /// A source's health; or if nothing else is wrong, that somebody keeps batches, so that reading
    /// has been paused for long, or does not acknowledge them.
    pub(crate) fn health(&self, otherwise: Health, now: Instant) -> Health {
        if otherwise.state != HealthState::Ready {
            return otherwise;
        }
        let Some(reason) = self.paused(now).or_else(|| self.unacked(now)) else { return otherwise };
        let Health { lag_bytes, lag, .. } = otherwise;
        Health { lag_bytes, lag, ..Health::because(HealthState::Degraded, reason) }
    }

    fn paused(&self, now: Instant) -> Option<String> {
        if self.room() == Room::Free {
            // Whoever was refused last has not asked again.
            return None;
        }
        let paused_at = *self.paused_at.lock().unwrap_or_else(PoisonError::into_inner);
        let paused = paused_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let seconds = paused.as_secs();
        (paused >= LONG_PAUSE).then(|| format!("reading has been paused for {seconds} s, {self}"))
    }

    fn unacked(&self, now: Instant) -> Option<String> {
        let age = self.metrics.unacked().age(now);
        let seconds = age.as_secs();
        (age >= LONG_UNACKED).then(|| {
            format!(
                "entries that were read {seconds} s ago are not acknowledged, so that they and all \
                 after them come again after a restart; call `ack` of every batch, or `done` of \
                 every entry's"
            )
        })
    }

    /// Notes since when nothing is let in, or that something is.
    pub(crate) fn note(&self, since: Option<Instant>) {
        if since.is_some() == self.is_paused.load(Relaxed) {
            return;
        }
        let mut paused_at = self.paused_at.lock().unwrap_or_else(PoisonError::into_inner);
        if since.is_some() && paused_at.is_none() {
            self.metrics.add(Count::Stalls, 1);
        }
        *paused_at = since.map(|since| paused_at.unwrap_or(since));
        self.is_paused.store(since.is_some(), Relaxed);
    }

    /// Rouses whoever waits for room, though there may be none.
    pub(crate) fn rouse(&self) {
        self.own.rouse();
    }

    fn each(&self, act: impl Fn(&Budget)) {
        act(&self.own);
        self.shared.iter().for_each(act);
    }
}

/// What is in flight, and what helps; goes on after a comma.
impl fmt::Display for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.own.in_flight_bytes();
        write!(f, "since batches of {own} bytes are in flight, of {}", self.own.limit_bytes())?;
        if let Some(shared) = &self.shared {
            let (all, limit) = (shared.in_flight_bytes(), shared.limit_bytes());
            write!(f, ", and with the sources that share its budget {all}, of {limit}")?;
        }
        f.write_str("; drop batches sooner, or allow more with `max_in_flight_bytes`")?;
        if self.shared.is_some() { f.write_str(" and the shared `Budget`") } else { Ok(()) }
    }
}

/// Memory in flight, until it is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    on: Charged,
    bytes: u64,
}

#[derive(Debug)]
enum Charged {
    Intake(Arc<Intake>),
    Budget(Budget),
}

impl Charge {
    /// Takes memory into account that is of no source of this crate.
    pub(crate) fn of_budget(budget: &Budget, bytes: usize) -> Self {
        budget.charge(bytes as u64);
        Self { on: Charged::Budget(budget.clone()), bytes: bytes as u64 }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        match &self.on {
            Charged::Intake(intake) => {
                intake.metrics.lower(Gauge::InFlightBytes, self.bytes);
                intake.each(|budget| budget.release(self.bytes));
            }
            Charged::Budget(budget) => budget.release(self.bytes),
        }
    }
}

#[cfg(not(loom))]
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(loom)]
fn lock<T>(mutex: &Mutex<T>) -> loom::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, loom))]
mod loom_models {
    use loom::sync::Notify;
    use loom::thread;

    use super::*;
    use crate::SourceKind;

    impl Rouse for Notify {
        fn rouse(&self) {
            self.notify();
        }
    }

    fn intake(own_bytes: usize, shared: Option<&Budget>) -> Arc<Intake> {
        let metrics = Arc::new(SourceMetrics::new(SourceKind::File));
        Limits { own_bytes, shared: shared.cloned(), ..Limits::default() }.intake(&metrics)
    }

    /// What a reader does: waits until there is room. Loom fails if nobody ever wakes it.
    fn wait(intake: &Intake, now: Instant) {
        let wake = Arc::new(Notify::new());
        let rouser = || Arc::downgrade(&wake) as Weak<dyn Rouse>;
        while !intake.admits(rouser, now) {
            wake.wait();
        }
    }

    /// The last of its own batches is dropped while a reader begins to wait, though its budget is
    /// held by another source.
    #[test]
    fn a_release_is_not_missed() {
        let now = crate::clock::ticks();
        loom::model(move || {
            let shared = Budget::new(100);
            let (first, other) = (intake(1000, Some(&shared)), intake(1000, Some(&shared)));
            let _held = other.charge(100);
            let charge = first.charge(10);
            let dropping = thread::spawn(move || drop(charge));
            wait(&first, now);
            dropping.join().unwrap();
            assert_eq!(first.own.in_flight_bytes(), 0);
        });
    }

    /// Two readers wait, and one release makes room: both go on, whoever came first.
    #[test]
    fn all_who_wait_are_woken() {
        let now = crate::clock::ticks();
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(move || {
            let intake = intake(100, None);
            let charge = intake.charge(100);
            let reading = Arc::clone(&intake);
            let reader = thread::spawn(move || wait(&reading, now));
            let dropping = thread::spawn(move || drop(charge));
            wait(&intake, now);
            reader.join().unwrap();
            dropping.join().unwrap();
            assert_eq!(intake.own.in_flight_bytes(), 0);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::SourceKind;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Rouse for Counted {
        fn rouse(&self) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn intake(own_bytes: usize, shared: Option<&Budget>) -> Arc<Intake> {
        let metrics = Arc::new(SourceMetrics::new(SourceKind::File));
        Limits { own_bytes, shared: shared.cloned(), ..Limits::default() }.intake(&metrics)
    }

    fn rouser(counted: &Arc<Counted>) -> impl Fn() -> Weak<dyn Rouse> {
        let weak = Arc::downgrade(counted);
        move || Weak::clone(&weak) as Weak<dyn Rouse>
    }

    #[test]
    fn nothing_is_limited_below_the_mark_and_everything_at_the_limit() {
        let intake = intake(100, None);
        let mut charges = Vec::new();
        for bytes in 0..=100 {
            let expected = match bytes {
                0..85 => Room::Free,
                85..100 => Room::Scarce,
                _ => Room::None,
            };
            assert_eq!(intake.room(), expected, "{bytes}");
            charges.push(intake.charge(1));
        }
        assert_eq!(intake.metrics.gauge(Gauge::InFlightBytes), 101);
        drop(charges);
        assert_eq!(intake.metrics.gauge(Gauge::InFlightBytes), 0);
    }

    #[test]
    fn the_mark_is_where_it_was_set() {
        let shared = Budget::with_mark(1000, 40);
        let limits = Limits { own_bytes: 100, mark_percent: 60, shared: Some(shared.clone()) };
        let metrics = Arc::new(SourceMetrics::new(SourceKind::File));
        let intake = limits.intake(&metrics);
        let (_small, below) = (intake.charge(59), intake.room());
        let (_one, above) = (intake.charge(1), intake.room());
        assert_eq!((below, above), (Room::Free, Room::Scarce));
        let (_others, was_above) = (Charge::of_budget(&shared, 339), shared.is_above_mark());
        let _last = Charge::of_budget(&shared, 1);
        assert_eq!((was_above, shared.is_above_mark()), (false, true));
        assert_eq!([0, 101].map(|percent| Budget::with_mark(1000, percent).0.mark), [10, 1000]);
    }

    #[test]
    fn a_source_with_nothing_in_flight_is_let_one_batch() {
        let shared = Budget::new(0);
        let (greedy, modest) = (intake(1000, Some(&shared)), intake(0, Some(&shared)));
        let held = greedy.charge(500);
        assert_eq!((greedy.room(), modest.room()), (Room::None, Room::Free));
        let one = modest.charge(500);
        assert_eq!(modest.room(), Room::None);
        drop(one);
        assert_eq!(modest.room(), Room::Free);
        drop(held);
        assert_eq!(shared.in_flight_bytes(), 0);
    }

    #[test]
    fn a_pause_is_counted_once_and_told_when_it_is_long() {
        let (intake, waiter, start) = (intake(100, None), Arc::default(), crate::clock::ticks());
        let at = |seconds| start + Duration::from_secs(seconds);
        let rouser = rouser(&waiter);
        let (large, small) = (intake.charge(90), intake.charge(5));
        for second in 0..3 {
            assert!(!intake.admits(&rouser, at(second)));
        }
        assert_eq!(intake.metrics.get(Count::Stalls), 1);
        assert_eq!(intake.health(Health::ready(), at(9)).state, HealthState::Ready);
        let health = intake.health(Health::ready(), at(12));
        let reason = health.reason.unwrap();
        assert_eq!(health.state, HealthState::Degraded);
        assert!(reason.contains("paused for 12 s") && reason.contains("95 bytes"), "{reason}");
        let failed = Health::because(HealthState::Failed, "no such disk");
        assert_eq!(intake.health(failed.clone(), at(12)), failed);

        drop(small);
        assert_eq!(waiter.0.load(Relaxed), 0, "there is no room yet");
        drop(large);
        assert_eq!(waiter.0.load(Relaxed), 1);
        assert!(intake.admits(&rouser, at(13)));
        assert_eq!(intake.health(Health::ready(), at(30)), Health::ready());
        let _again = intake.charge(90);
        assert!(!intake.admits(&rouser, at(30)));
        assert_eq!(intake.metrics.get(Count::Stalls), 2);
    }

    #[test]
    fn a_pause_is_over_when_there_is_room_though_nobody_asks() {
        let (intake, start) = (intake(100, None), crate::clock::ticks());
        let charge = intake.charge(90);
        intake.note(Some(start));
        let later = start + Duration::from_secs(60);
        assert_eq!(intake.health(Health::ready(), later).state, HealthState::Degraded);
        drop(charge);
        assert_eq!(intake.health(Health::ready(), later), Health::ready());
    }

    #[cfg(any(feature = "file", feature = "journald"))]
    #[test]
    fn a_consumer_that_acknowledges_nothing_is_told_after_a_while() {
        let (intake, start) = (intake(100, None), crate::clock::ticks());
        let book = crate::ledger::Book::new(Some(&intake.metrics), |_| {});
        let ack = book.issue(crate::Cursor::from_text("1"));
        let later = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(intake.health(Health::ready(), later(59)), Health::ready());
        let health = intake.health(Health::ready(), later(70));
        assert_eq!(health.state, HealthState::Degraded);
        let reason = health.reason.unwrap();
        assert!(reason.contains(" s ago are not acknowledged"), "{reason}");
        ack.done();
        assert_eq!(intake.health(Health::ready(), later(70)), Health::ready());
    }

    #[test]
    fn who_is_gone_is_not_kept() {
        let intake = intake(10, None);
        let _held = intake.charge(10);
        for _ in 0..100 {
            let gone = Arc::default();
            assert!(!intake.admits(rouser(&gone), crate::clock::ticks()));
        }
        let stays = Arc::default();
        for _ in 0..100 {
            assert!(!intake.admits(rouser(&stays), crate::clock::ticks()));
        }
        assert_eq!(lock(&intake.own.0.waiting).len(), 1);
    }
}
