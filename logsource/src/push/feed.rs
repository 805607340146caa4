//! What was pushed and is not handed out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use crate::admission::{Admission, Rate, WouldBlock};
use crate::budget::{Charge, Intake, Room};
use crate::framing::{clip, is_blank, trim_end};
use crate::metrics::{Count, DropReason, SourceMetrics};
use crate::slab::{Blank, Pool, Span, Table};

/// How large a slab is, if no line is larger.
const SLAB_BYTES: usize = 64 << 10;

/// How long a slab is added to.
const OPEN_FOR: Duration = Duration::from_millis(50);

/// Between the pushers and the source. It knows nothing of the origin, so that a pusher that is
/// kept keeps nothing else.
#[derive(Debug)]
pub(super) struct Channel {
    id: String,
    counters: Arc<SourceMetrics>,
    intake: Arc<Intake>,
    feed: Mutex<Feed>,
}

/// The lines themselves. It is pure: clocks come as arguments, and whom to wake goes out.
#[derive(Debug)]
pub(super) struct Feed {
    intake: Arc<Intake>,
    pool: Arc<Pool>,
    admission: Admission,
    max_line: usize,
    open: Option<Open>,
    sealed: VecDeque<Sealed>,
    /// The place of the open slab's first byte.
    base: u64,
    pushers: usize,
    /// There is a stream.
    is_read: bool,
    /// Nobody can take anything any more.
    is_closed: bool,
    consumer: Option<Waker>,
    effects: Effects,
}

/// A slab that lines are added to.
#[derive(Debug)]
struct Open {
    blank: Blank,
    filled: usize,
    since: Instant,
    read_at: SystemTime,
    charge: Charge,
}

/// Lines to hand out.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) table: Table,
    pub(super) base: u64,
    pub(super) read_at: SystemTime,
    /// None if it is only shown.
    pub(super) charge: Option<Charge>,
}

/// What may run code of others, and so waits until the lock is given back.
#[derive(Debug, Default)]
struct Effects {
    consumer: Option<Waker>,
    freed: Vec<Charge>,
}

/// What became of a push.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    Taken,
    Refused { refusal: WouldBlock, lines: usize },
    Closed,
}

impl Channel {
    pub(super) fn new(id: &str, feed: Feed, counters: Arc<SourceMetrics>) -> Arc<Self> {
        let (id, intake) = (id.to_owned(), Arc::clone(&feed.intake));
        Arc::new(Self { id, counters, intake, feed: Mutex::new(feed) })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn counters(&self) -> &Arc<SourceMetrics> {
        &self.counters
    }

    pub(super) fn intake(&self) -> &Arc<Intake> {
        &self.intake
    }

    /// Does something under the lock, and what follows from it after.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Feed) -> T) -> T {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut feed);
        let effects = std::mem::take(&mut feed.effects);
        drop(feed);
        drop(effects.freed);
        if let Some(consumer) = effects.consumer {
            consumer.wake();
        }
        result
    }

    /// Takes lines, if there is room.
    pub(super) fn push(&self, room: Room, text: &[u8], clocks: (Instant, SystemTime)) -> Pushed {
        let (pushed, too_long) = self.with(|feed| feed.push(room, text, clocks));
        if too_long.0 > 0 {
            self.counters.drop_lines(DropReason::LineTooLong, too_long.0);
            self.counters.drop_bytes(DropReason::LineTooLong, too_long.1);
        }
        pushed
    }

    /// Nobody can take anything any more: counts and frees what was pushed, and tells who waits
    /// for room.
    pub(super) fn close(&self) {
        let rest = self.with(|feed| {
            feed.is_closed = true;
            feed.seal();
            std::mem::take(&mut feed.sealed)
        });
        for Sealed { table, .. } in &rest {
            let (lines, bytes) = (table.lines.len() as u64, table.filled as u64);
            self.counters.add(Count::Lines, lines);
            self.counters.add(Count::Bytes, bytes);
            self.counters.drop_lines(DropReason::Abandoned, lines);
            self.counters.drop_bytes(DropReason::Abandoned, bytes);
        }
        drop(rest);
        self.intake.rouse();
    }
}

impl Feed {
    pub(super) fn new(intake: Arc<Intake>, max_line: usize, rate: Rate) -> Self {
        Self {
            intake,
            pool: Pool::new(SLAB_BYTES),
            admission: Admission::new(rate),
            max_line,
            open: None,
            sealed: VecDeque::new(),
            base: 0,
            pushers: 0,
            is_read: false,
            is_closed: false,
            consumer: None,
            effects: Effects::default(),
        }
    }

    /// Takes all of the lines, or none; beside that, how many lines and bytes were cut.
    fn push(
        &mut self,
        room: Room,
        text: &[u8],
        (now, read_at): (Instant, SystemTime),
    ) -> (Pushed, (u64, u64)) {
        if self.is_closed {
            return (Pushed::Closed, (0, 0));
        }
        let lines = lines(text).count();
        if lines == 0 {
            return (Pushed::Taken, (0, 0));
        }
        if let Err(refusal) = self.admission.admit(room, (lines, text.len()), now) {
            return (Pushed::Refused { refusal, lines }, (0, 0));
        }
        if self
            .open
            .as_ref()
            .is_some_and(|open| now.saturating_duration_since(open.since) >= OPEN_FOR)
        {
            self.seal();
        }
        let mut too_long = (0, 0);
        for line in self::lines(text) {
            let kept = clip(line, self.max_line);
            // What is left may be nothing but white space, which is no line.
            let kept = if is_blank(kept) { &[] } else { kept };
            too_long.0 += u64::from(kept.len() < line.len());
            too_long.1 += (line.len() - kept.len()) as u64;
            if !kept.is_empty() {
                self.add(kept, (now, read_at));
            }
        }
        self.effects.consumer = self.consumer.take();
        (Pushed::Taken, too_long)
    }

    fn add(&mut self, line: &[u8], (now, read_at): (Instant, SystemTime)) {
        let end = |open: &Open| open.filled + line.len() + 1;
        if self.open.as_ref().is_some_and(|open| end(open) > open.blank.slab.len()) {
            self.seal();
        }
        let open = self.open.get_or_insert_with(|| {
            let mut blank = self.pool.get();
            if blank.slab.len() <= line.len() {
                blank.slab.resize(line.len() + 1, 0);
            }
            let charge = self.intake.charge(blank.slab.len());
            Open { blank, filled: 0, since: now, read_at, charge }
        });
        let (start, end) = (open.filled, end(open));
        let slab = open.blank.slab.get_mut(start..end);
        if let Some((last, room)) = slab.and_then(<[u8]>::split_last_mut) {
            room.copy_from_slice(line);
            *last = b'\n';
            open.blank.lines.push(Span::new(start, end - 1));
            open.filled = end;
        }
    }

    /// The open slab is added to no more.
    fn seal(&mut self) {
        let Some(Open { blank, filled, read_at, charge, .. }) = self.open.take() else { return };
        let pool = Some(Arc::clone(&self.pool));
        let table = Table::of_blank(blank, filled, filled as u64, pool).compacted();
        // Exact now, with the lines' places, or without the room that was not used.
        self.effects.freed.push(charge);
        let charge = Some(self.intake.charge(table.memory()));
        self.sealed.push_back(Sealed { table, base: self.base, read_at, charge });
        self.base += filled as u64;
    }

    /// A consumer that asks has nothing to do, so it is given what there is.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Sealed>> {
        if self.sealed.is_empty() {
            self.seal();
        }
        if let Some(sealed) = self.sealed.pop_front() {
            return Poll::Ready(Some(sealed));
        }
        if self.is_finished() {
            return Poll::Ready(None);
        }
        match &mut self.consumer {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.consumer = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Shows everything that is to be handed out.
    pub(super) fn waiting(&mut self) -> Vec<Sealed> {
        self.seal();
        let shown = self.sealed.iter().map(|sealed| Sealed {
            table: sealed.table.view(),
            base: sealed.base,
            read_at: sealed.read_at,
            charge: None,
        });
        shown.collect()
    }

    /// Begins a stream, unless there is one.
    pub(super) fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.is_read, true)
    }

    pub(super) fn end(&mut self) {
        (self.is_read, self.consumer) = (false, None);
    }

    pub(super) fn add_pusher(&mut self) {
        self.pushers += 1;
    }

    pub(super) fn remove_pusher(&mut self) {
        self.pushers -= 1;
        if self.pushers == 0 {
            self.effects.consumer = self.consumer.take();
        }
    }

    /// Whether nothing can be pushed any more.
    pub(super) fn is_finished(&self) -> bool {
        self.pushers == 0
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }
}

impl Sealed {
    /// The place after it.
    pub(super) fn end(&self) -> u64 {
        self.base + self.table.filled as u64
    }
}

/// The lines of a push: the last needs no line end, and blank ones are none.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    let lines = std::iter::from_fn(move || {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let (line, next) = rest.split_at_checked(end).filter(|(line, _)| !line.is_empty())?;
        rest = next;
        Some(trim_end(line))
    });
    lines.filter(|line| !is_blank(line))
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::SourceKind;
    use crate::budget::Limits;
    use crate::metrics::Gauge;

    struct Clock(Instant, SystemTime);

    impl Clock {
        fn new() -> Self {
            Self(crate::clock::ticks(), SystemTime::UNIX_EPOCH)
        }

        fn at(&self, millis: u64) -> (Instant, SystemTime) {
            let passed = Duration::from_millis(millis);
            (self.0 + passed, self.1 + passed)
        }
    }

    fn channel(own_bytes: usize, max_line: usize) -> Arc<Channel> {
        let counters = Arc::new(SourceMetrics::new(SourceKind::Push));
        let intake = Limits { own_bytes, ..Limits::default() }.intake(&counters);
        let channel = Channel::new("app", Feed::new(intake, max_line, Rate::default()), counters);
        channel.with(Feed::add_pusher);
        channel
    }

    fn taken(channel: &Channel) -> Vec<(Vec<String>, u64)> {
        let mut cx = Context::from_waker(Waker::noop());
        let next = || match channel.with(|feed| feed.poll_next(&mut cx)) {
            Poll::Ready(sealed) => sealed,
            Poll::Pending => None,
        };
        let text =
            |table: &Table, line: &Span| String::from_utf8_lossy(line.of(&table.slab)).into();
        let batches = std::iter::from_fn(next).map(|Sealed { table, read_at, .. }| {
            let read_at = read_at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let millis = u64::try_from(read_at.as_millis()).unwrap();
            (table.lines.iter().map(|line| text(&table, line)).collect(), millis)
        });
        batches.collect()
    }

    #[test]
    fn a_busy_consumer_finds_a_batch_for_each_50_ms() {
        let (channel, clock) = (channel(1 << 20, 100), Clock::new());
        for millis in [0, 20, 49, 50, 99, 300] {
            let line = format!("at {millis}\r\n \n");
            let pushed = channel.push(Room::Free, line.as_bytes(), clock.at(millis));
            assert_eq!(pushed, Pushed::Taken);
        }
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let expected: [(Vec<String>, u64); 3] = [
            (words(&["at 0", "at 20", "at 49"]), 0),
            (words(&["at 50", "at 99"]), 50),
            (words(&["at 300"]), 300),
        ];
        assert_eq!(taken(&channel), expected);
        assert_eq!(channel.counters.gauge(Gauge::InFlightBytes), 0);
    }

    #[test]
    fn a_push_is_cut_where_its_lines_are_and_is_larger_than_any_slab() {
        let (channel, clock) = (channel(1 << 20, 70_000), Clock::new());
        let lines = ["a".repeat(60_000), "b".repeat(80_000), "c".repeat(6000), "d".into()];
        let pushed = channel.push(Room::Free, lines.join("\n").as_bytes(), clock.at(0));
        assert_eq!(pushed, Pushed::Taken);
        let found: Vec<String> = taken(&channel).into_iter().flat_map(|(lines, _)| lines).collect();
        let lens: Vec<usize> = found.iter().map(String::len).collect();
        assert_eq!(lens, [60_000, 70_000, 6000, 1]);
        assert_eq!(channel.counters.dropped(DropReason::LineTooLong), 1);
        assert_eq!(channel.counters.dropped_bytes(DropReason::LineTooLong), 10_000);
    }

    #[test]
    fn a_line_is_cut_between_characters_and_left_out_if_nothing_is_left() {
        let (channel, clock) = (channel(1 << 20, 5), Clock::new());
        let text = "ab\u{20ac}cd\nabc\u{20ac}\n        x\n\u{20ac}\u{20ac}";
        assert_eq!(channel.push(Room::Free, text.as_bytes(), clock.at(0)), Pushed::Taken);
        let words = ["ab\u{20ac}", "abc", "\u{20ac}"].map(str::to_owned).to_vec();
        assert_eq!(taken(&channel), [(words, 0)]);
        assert_eq!(channel.counters.dropped(DropReason::LineTooLong), 4);
        assert_eq!(channel.counters.dropped_bytes(DropReason::LineTooLong), 2 + 3 + 9 + 3);
    }

    #[test]
    fn above_the_mark_a_rate_is_taken_and_at_the_limit_nothing() {
        let (channel, clock) = (channel(1 << 20, 1 << 20), Clock::new());
        let line = "=".repeat(999);
        let push =
            |millis: u64| channel.push(channel.intake.room(), line.as_bytes(), clock.at(millis));
        let mut free = 0;
        while channel.intake.room() == Room::Free {
            assert_eq!(push(0), Pushed::Taken);
            free += 1;
        }
        assert!((800..1000).contains(&free), "{free}");
        // A slab's room is charged as it is opened, so there is less than the mark leaves.
        let mut scarce = 0;
        while push(0) == Pushed::Taken {
            scarce += 1;
        }
        assert!((64..200).contains(&scarce), "{scarce}");
        let full = Pushed::Refused { refusal: WouldBlock { retry_after: None }, lines: 1 };
        assert_eq!((channel.intake.room(), push(60_000)), (Room::None, full));
        // What was taken is all there, and with it gone everything is taken again.
        assert_eq!(
            taken(&channel).iter().map(|(lines, _)| lines.len()).sum::<usize>(),
            free + scarce
        );
        assert_eq!((channel.intake.room(), push(60_000)), (Room::Free, Pushed::Taken));
    }

    #[test]
    fn an_empty_bucket_says_when_it_has_enough() {
        let (channel, clock) = (channel(1 << 30, 1 << 20), Clock::new());
        let push = |millis| channel.push(Room::Scarce, b"x", clock.at(millis));
        for _ in 0..1000 {
            assert_eq!(push(0), Pushed::Taken);
        }
        let refusal = WouldBlock { retry_after: Some(Duration::from_millis(1)) };
        assert_eq!(push(0), Pushed::Refused { refusal, lines: 1 });
        assert_eq!(push(1), Pushed::Taken);
        assert_eq!(push(1), Pushed::Refused { refusal, lines: 1 });
    }
}
