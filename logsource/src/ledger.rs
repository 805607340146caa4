//! Which batches of a file or journal are acknowledged, and so how far it is.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::clock::ticks;
use crate::metrics::SourceMetrics;
use crate::{Ack, Cursor};

/// A batch's place in the ledger of the file or journal that it came from.
pub(crate) struct Slot {
    book: Arc<Book>,
    ticket: u64,
    settled: bool,
}

impl Slot {
    pub(crate) fn done(mut self) {
        self.settled = true;
        self.book.update(|ledger| ledger.done(self.ticket));
    }

    pub(crate) fn reached(&self, place: Cursor) {
        self.book.update(|ledger| ledger.reached(self.ticket, place));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.settled {
            lock(&self.book.ledger).lost(self.ticket);
        }
    }
}

/// A ledger, and who is told when it moves.
pub(crate) struct Book {
    ledger: Mutex<Ledger>,
    moved: Box<dyn Fn(&Cursor) + Send + Sync>,
    watched: Option<Watched>,
}

/// Who is told since when something is open in a book, and the book's number there.
struct Watched(Arc<SourceMetrics>, u64);

impl Book {
    /// With counters, those tell how long something has not been acknowledged.
    pub(crate) fn new(
        counters: Option<&Arc<SourceMetrics>>,
        moved: impl Fn(&Cursor) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let watched = counters.map(|counters| {
            let number = counters.unacked().enter();
            Watched(Arc::clone(counters), number)
        });
        Arc::new(Self { ledger: Mutex::default(), moved: Box::new(moved), watched })
    }

    /// Tells where everything begins, if nothing was issued yet.
    #[cfg(feature = "file")]
    pub(crate) fn begin(&self, place: &Cursor) {
        let ledger = lock(&self.ledger);
        if ledger.next == 0 {
            (self.moved)(place);
        }
    }

    /// The acknowledgement of a batch that ends there.
    pub(crate) fn issue(self: &Arc<Self>, end: Cursor) -> Ack {
        let mut ledger = lock(&self.ledger);
        let before = ledger.oldest();
        let ticket = ledger.issue(end, ticks());
        self.note(before, &ledger);
        drop(ledger);
        Ack::in_ledger(Slot { book: Arc::clone(self), ticket, settled: false })
    }

    /// Whether everything that was issued is acknowledged.
    #[cfg(feature = "file")]
    pub(crate) fn is_settled(&self) -> bool {
        let ledger = lock(&self.ledger);
        ledger.slots.is_empty() && !ledger.frozen
    }

    /// Whether a batch was lost, so that nothing behind it can ever count.
    #[cfg(feature = "file")]
    pub(crate) fn is_frozen(&self) -> bool {
        lock(&self.ledger).frozen
    }

    /// The lock is held while telling, so that places are told in their order.
    fn update(&self, change: impl FnOnce(&mut Ledger) -> Option<Cursor>) {
        let mut ledger = lock(&self.ledger);
        let before = ledger.oldest();
        if let Some(place) = change(&mut ledger) {
            (self.moved)(&place);
        }
        self.note(before, &ledger);
    }

    fn note(&self, before: Option<Instant>, ledger: &Ledger) {
        if let Some(Watched(counters, number)) = &self.watched
            && ledger.oldest() != before
        {
            counters.unacked().note(*number, ledger.oldest());
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.unacked().note(self.1, None);
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

/// Which batches are acknowledged, and so how far everything is.
///
/// Memory is bounded by what is outstanding: once a batch is lost, nothing behind it can ever
/// count, so nothing behind it is kept.
#[derive(Debug, Default)]
struct Ledger {
    first: u64,
    next: u64,
    slots: VecDeque<Entry>,
    frozen: bool,
}

#[derive(Debug)]
struct Entry {
    issued_at: Instant,
    end: Cursor,
    partly: Option<Cursor>,
    done: bool,
}

impl Ledger {
    fn issue(&mut self, end: Cursor, now: Instant) -> u64 {
        let ticket = self.next;
        self.next += 1;
        if !self.frozen {
            if self.slots.is_empty() {
                // Of a file that is seldom written there is one at a time.
                self.slots.reserve_exact(1);
            }
            self.slots.push_back(Entry { issued_at: now, end, partly: None, done: false });
        }
        ticket
    }

    /// When the first batch was issued that holds the place back.
    fn oldest(&self) -> Option<Instant> {
        self.slots.front().map(|entry| entry.issued_at)
    }

    /// Marks a batch whole; gives the new place if that moved it.
    fn done(&mut self, ticket: u64) -> Option<Cursor> {
        self.entry(ticket)?.done = true;
        let mut place = None;
        while self.slots.front().is_some_and(|entry| entry.done) {
            self.first += 1;
            place = self.slots.pop_front().map(|entry| entry.end);
        }
        if self.slots.is_empty() && self.slots.capacity() == 1 {
            // Most of many files are idle.
            self.slots = VecDeque::new();
        }
        let partly = self.slots.front().and_then(|entry| entry.partly.clone());
        if place.is_some() { partly.or(place) } else { None }
    }

    /// Marks the beginning of a batch; gives the new place if that moved it.
    fn reached(&mut self, ticket: u64, place: Cursor) -> Option<Cursor> {
        let is_first = ticket == self.first;
        self.entry(ticket)?.partly = Some(place.clone());
        is_first.then_some(place)
    }

    /// A batch that will never be acknowledged.
    fn lost(&mut self, ticket: u64) {
        if let Some(index) = self.index(ticket) {
            self.slots.truncate(index + 1);
            self.frozen = true;
        }
    }

    fn entry(&mut self, ticket: u64) -> Option<&mut Entry> {
        let index = self.index(ticket)?;
        self.slots.get_mut(index)
    }

    fn index(&self, ticket: u64) -> Option<usize> {
        let index = usize::try_from(ticket.checked_sub(self.first)?).ok()?;
        (index < self.slots.len()).then_some(index)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn place(n: usize) -> Cursor {
        Cursor::from_text(n.to_string())
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Issue,
        Done(usize),
        Partly(usize),
        Lose(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Issue),
            6 => (0_usize..12).prop_map(Step::Done),
            2 => (0_usize..12).prop_map(Step::Partly),
            1 => (0_usize..12).prop_map(Step::Lose),
        ];
        proptest::collection::vec(step, 0..60)
    }

    /// The naive twin: everything ever issued, and a scan from the beginning each time.
    #[derive(Debug, Default)]
    struct Naive(Vec<(char, bool)>);

    impl Naive {
        /// Batch `n` ends at `10 n + 10`, and its beginning at `10 n + 5`.
        fn reached(&self) -> Option<usize> {
            let whole = self.0.iter().take_while(|(state, _)| *state == 'd').count();
            let partly = self.0.get(whole).is_some_and(|(state, partly)| *state != 'd' && *partly);
            match (whole, partly) {
                (_, true) => Some(10 * whole + 5),
                (0, false) => None,
                (_, false) => Some(10 * whole),
            }
        }
    }

    proptest! {
        #[test]
        fn places_move_over_contiguous_acks_alone(steps in steps()) {
            let (mut ledger, mut naive, mut committed) =
                (Ledger::default(), Naive::default(), None);
            let now = ticks();
            for step in steps {
                let open = |naive: &Naive, n: usize| {
                    naive.0.get(n).is_some_and(|(state, _)| *state == 'w')
                };
                let moved = match step {
                    Step::Issue => {
                        let n = naive.0.len();
                        naive.0.push(('w', false));
                        prop_assert_eq!(ledger.issue(place(10 * n + 10), now), n as u64);
                        None
                    }
                    Step::Done(n) if open(&naive, n) => {
                        naive.0[n].0 = 'd';
                        ledger.done(n as u64)
                    }
                    Step::Partly(n) if open(&naive, n) => {
                        naive.0[n].1 = true;
                        ledger.reached(n as u64, place(10 * n + 5))
                    }
                    Step::Lose(n) if open(&naive, n) => {
                        naive.0[n].0 = 'l';
                        ledger.lost(n as u64);
                        None
                    }
                    _ => None,
                };
                committed = moved.or(committed);
                prop_assert_eq!(committed.clone(), naive.reached().map(place));
                let waiting = naive.0.iter().filter(|(state, _)| *state != 'd').count();
                prop_assert!(ledger.slots.len() <= naive.0.len());
                prop_assert!(waiting > 0 || ledger.slots.is_empty());
            }
        }
    }

    #[test]
    fn nothing_is_kept_behind_a_lost_batch() {
        let (mut ledger, now) = (Ledger::default(), ticks());
        let tickets: Vec<u64> = (0..3).map(|n| ledger.issue(place(n), now)).collect();
        ledger.lost(tickets[1]);
        for n in 3..1000 {
            let ticket = ledger.issue(place(n), now);
            assert_eq!(ledger.done(ticket), None);
        }
        assert_eq!(ledger.slots.len(), 2);
        assert_eq!(ledger.done(tickets[0]), Some(place(0)));
    }

    /// What counts is the oldest batch of all books, and one that was dropped is never acknowledged.
    #[test]
    fn how_long_something_is_not_acknowledged_is_known() {
        let counters = Arc::new(SourceMetrics::new(crate::SourceKind::File));
        let book = || Book::new(Some(&counters), |_| {});
        let (one, other, now) = (book(), book(), ticks() + Duration::from_secs(30));
        let is_open = || counters.unacked().age(now) > Duration::from_secs(20);
        let acks = [one.issue(place(1)), other.issue(place(1)), one.issue(place(2))];
        let open = acks.map(|ack| {
            assert!(is_open());
            ack.done();
            is_open()
        });
        assert_eq!(open, [true, true, false]);
        drop(one.issue(place(3)));
        one.issue(place(4)).done();
        other.issue(place(2)).done();
        assert!(is_open());
        drop(one);
        assert!(!is_open());
    }
}
