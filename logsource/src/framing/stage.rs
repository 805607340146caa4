//! Lines that are not handed on as they stand in the stream: they are decoded, or joined.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::container::{Format, Part, Stream};
#[cfg(feature = "encoding")]
use super::decoder::Decoder;
use super::encoding::Charset;
use super::lane::{Came, From, Lane, Rules};
use super::outbox::Outbox;
use super::settings::Settings;
use super::tally::Tally;
use crate::slab::{Pool, Table};

/// Places in the stream are counted from here, so that what was begun in an earlier file comes
/// before them.
const ORIGIN: u64 = 1 << 32;

/// So much may be held at least, whatever the limits of lines and groups are.
const MIN_HELD: usize = 1 << 20;

/// Makes records of lines: in a slab of its own, in the order in which they began.
#[derive(Debug)]
pub(super) struct Stage {
    rules: Rules,
    #[cfg(feature = "encoding")]
    decoder: Option<Decoder>,
    containers: bool,
    format: Option<Format>,
    part_time_out: Duration,
    /// One for each stream, and one for lines of none.
    lanes: [Lane; 3],
    outbox: Outbox,
    /// How far the stream has come.
    position: u64,
    /// The last line was a piece that another follows.
    in_pieces: bool,
    /// More is not held.
    max_held: usize,
    /// What was resumed is still held.
    resumed: bool,
    pub(super) tally: Tally,
}

/// What is held when a file ends and another goes on.
#[cfg(any(feature = "file", test))]
#[derive(Debug, Clone)]
pub(super) struct Held {
    lanes: [Lane; 3],
    waiting: std::collections::VecDeque<super::outbox::Done>,
}

/// A line of the stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a> {
    pub(super) bytes: &'a [u8],
    /// Where it begins, counted from the stream's beginning.
    pub(super) at: u64,
    /// Where the next one begins.
    pub(super) end: u64,
    /// Whether it is a piece, and another follows.
    pub(super) continues: bool,
}

impl Stage {
    pub(super) fn new(pool: Arc<Pool>, settings: &Settings) -> Self {
        let join = settings.join.as_ref();
        let containers = join.is_some_and(|join| join.containers);
        let multiline = join.and_then(|join| join.multiline.clone());
        let max_group = multiline.as_ref().map_or(0, |it| it.max_bytes).max(settings.max_line);
        let rules = Rules {
            max_line: settings.max_line,
            long_lines: settings.long_lines,
            are_messages: containers,
            multiline,
            max_group,
        };
        Self {
            rules,
            #[cfg(feature = "encoding")]
            decoder: None,
            containers,
            format: None,
            part_time_out: join.map_or(Duration::ZERO, |join| join.part_time_out),
            lanes: [Stream::Stdout, Stream::Stderr, Stream::Unknown].map(Lane::new),
            outbox: Outbox::new(pool, containers, ORIGIN),
            position: ORIGIN,
            in_pieces: false,
            max_held: (2 * max_group).max(MIN_HELD),
            resumed: false,
            tally: Tally::default(),
        }
    }

    /// What lines are in from here on.
    #[cfg_attr(
        not(feature = "encoding"),
        expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "bytes are all")
    )]
    pub(super) fn read_as(&mut self, charset: Charset) {
        match charset {
            #[cfg(feature = "encoding")]
            Charset::Encoded(encoding) => {
                if !self.decoder.as_ref().is_some_and(|decoder| decoder.is_of(encoding)) {
                    self.decoder = Some(Decoder::new(encoding));
                }
            }
            #[cfg(feature = "encoding")]
            Charset::Bytes => self.decoder = None,
            #[cfg(not(feature = "encoding"))]
            Charset::Bytes => {}
        }
    }

    /// Takes the next line.
    pub(super) fn line(&mut self, raw: Raw<'_>, now: Instant) {
        #[cfg(feature = "encoding")]
        if let Some(mut decoder) = self.decoder.take() {
            let (text, is_valid) = decoder.decode(raw.bytes, !raw.continues);
            self.tally.undecodable += u64::from(!is_valid);
            self.text(Raw { bytes: text, ..raw }, now);
            self.decoder = Some(decoder);
            return;
        }
        self.text(raw, now);
    }

    fn text(&mut self, raw: Raw<'_>, now: Instant) {
        let is_piece = std::mem::replace(&mut self.in_pieces, raw.continues) || raw.continues;
        let part = if self.containers {
            Format::parse(&mut self.format, raw.bytes)
        } else {
            let message = std::borrow::Cow::Borrowed(raw.bytes);
            Part { stream: Stream::Unknown, time: 0, message, is_last: true }
        };
        let (at, end) = (ORIGIN + raw.at, ORIGIN + raw.end);
        let came = Came {
            text: &part.message,
            from: From { at, time: part.time },
            end,
            is_last: part.is_last,
            is_piece,
        };
        self.position = end;
        self.in_lane(part.stream as usize, |lane, rules, tally, give| {
            lane.touched = Some(now);
            lane.add(rules, came, tally, give);
        });
        let held: usize = self.lanes.iter().map(Lane::held_bytes).sum();
        if held + self.outbox.waiting_bytes() > self.max_held
            && let Some(oldest) = self.oldest()
            // What waits for nothing but the next slab is not to be held against a lane.
            && !self.is_blocked()
        {
            self.tally.split += u64::from(!self.lanes[oldest].is_mid_message());
            self.finish_lane(oldest);
        }
        self.outbox.drain(self.low());
    }

    fn in_lane(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Lane, &Rules, &mut Tally, super::lane::Give<'_>),
    ) {
        let others = self.lanes.iter().enumerate().filter(|(other, _)| *other != index);
        let others = others.filter_map(|(_, lane)| lane.first()).min().unwrap_or(u64::MAX);
        let (lane, outbox) = (&mut self.lanes[index], &mut self.outbox);
        let stream = lane.stream;
        act(lane, &self.rules, &mut self.tally, &mut |from, text, is_partial, rest| {
            outbox.give(stream, from, text, is_partial, (others, rest));
        });
    }

    fn finish_lane(&mut self, index: usize) {
        let end = self.position;
        self.in_lane(index, |lane, rules, tally, give| lane.finish(rules, end, tally, give));
    }

    /// The lane that has held something for longest.
    fn oldest(&self) -> Option<usize> {
        let held = self.lanes.iter().enumerate();
        let held = held.filter_map(|(index, lane)| Some((lane.first()?, index)));
        held.min().map(|(_, index)| index)
    }

    /// Where the oldest thing that is not done yet began.
    fn low(&self) -> u64 {
        self.lanes.iter().filter_map(Lane::first).min().unwrap_or(self.position)
    }

    /// Blank lines, too, are passed.
    pub(super) fn passed(&mut self, position: u64) {
        self.position = self.position.max(ORIGIN + position);
    }

    /// Whether the records must be taken before another line can be.
    pub(super) fn is_blocked(&self) -> bool {
        self.outbox.is_blocked(self.low())
    }

    /// Gives memory back of which nothing is used.
    #[cfg(any(feature = "file", test))]
    pub(super) fn rest(&mut self) {
        self.outbox.rest();
    }

    pub(super) fn has_lines(&self) -> bool {
        !self.outbox.blank.lines.is_empty()
    }

    /// Where the stream is done with, counted from its beginning.
    pub(super) fn done(&self) -> u64 {
        let waiting = self.outbox.waiting.front().map_or(u64::MAX, |done| done.from.at);
        self.low().min(waiting).max(self.outbox.base) - ORIGIN
    }

    /// Whether the stream is done with further than was taken.
    #[cfg(feature = "file")]
    pub(super) fn has_passed(&self) -> bool {
        ORIGIN + self.done() > self.outbox.base
    }

    /// The records that are done, and whether what was resumed is among them.
    pub(super) fn take(&mut self, pool: &Arc<Pool>) -> Option<(Table, bool)> {
        let done = ORIGIN + self.done();
        let end = done - self.outbox.base;
        if !self.has_lines() && end == 0 {
            return None;
        }
        let is_held = self.lanes.iter().filter_map(Lane::first).any(|at| at < ORIGIN)
            || self.outbox.waiting.iter().any(|done| done.from.at < ORIGIN);
        let carried = self.resumed && !is_held;
        self.resumed &= is_held;
        let table = if self.has_lines() {
            let (blank, used) = self.outbox.take();
            Table::of_blank(blank, used, end, Some(Arc::clone(pool)))
        } else {
            let mut table = Table::of_lines(bytes::Bytes::new(), Vec::new());
            table.end = end;
            table
        };
        self.outbox.base = done;
        self.outbox.drain(self.low());
        Some((table, carried))
    }

    /// Ends everything that is held.
    pub(super) fn finish(&mut self) {
        while let Some(oldest) = self.oldest() {
            self.finish_lane(oldest);
        }
        self.outbox.drain(self.low());
    }

    /// Ends what has waited past its time.
    pub(super) fn expire(&mut self, now: Instant) {
        for index in 0..self.lanes.len() {
            if self.deadline(&self.lanes[index]).is_some_and(|deadline| deadline <= now) {
                self.finish_lane(index);
            }
        }
        self.outbox.drain(self.low());
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.lanes.iter().filter_map(|lane| self.deadline(lane)).min()
    }

    fn deadline(&self, lane: &Lane) -> Option<Instant> {
        lane.first()?;
        let of_group = self.rules.multiline.as_ref().map(|multiline| multiline.time_out);
        let wait = of_group.filter(|_| !lane.is_mid_message()).unwrap_or(self.part_time_out);
        lane.touched?.checked_add(wait)
    }

    /// Forgets everything, and begins anew.
    pub(super) fn begin(&mut self) {
        self.lanes = [Stream::Stdout, Stream::Stderr, Stream::Unknown].map(Lane::new);
        self.outbox.clear();
        self.outbox.base = ORIGIN;
        (self.position, self.in_pieces, self.format) = (ORIGIN, false, None);
        #[cfg(feature = "encoding")]
        self.decoder.iter_mut().for_each(Decoder::begin);
        (self.tally, self.resumed) = (Tally::default(), false);
    }

    /// Whether the last line was a piece, of which the rest is to come.
    #[cfg(any(feature = "file", test))]
    pub(super) fn is_mid_piece(&self) -> bool {
        self.in_pieces
    }

    /// Takes out what is held, if anything is.
    #[cfg(any(feature = "file", test))]
    pub(super) fn drain(&mut self) -> Option<Held> {
        let is_empty = self.oldest().is_none() && self.outbox.waiting.is_empty();
        if is_empty || self.is_blocked() {
            return None;
        }
        let fresh = [Stream::Stdout, Stream::Stderr, Stream::Unknown].map(Lane::new);
        let mut lanes = std::mem::replace(&mut self.lanes, fresh);
        let mut waiting = std::mem::take(&mut self.outbox.waiting);
        self.outbox.resume(std::collections::VecDeque::new());
        // Their order is all that is left of where they began.
        let places = lanes.iter().filter_map(Lane::first);
        let mut order: Vec<u64> = places.chain(waiting.iter().map(|done| done.from.at)).collect();
        order.sort_unstable();
        let rank = |at: u64| order.partition_point(|place| *place < at) as u64;
        for lane in &mut lanes {
            if let Some(at) = lane.first() {
                lane.move_to(rank(at));
            }
        }
        waiting.iter_mut().for_each(|done| done.from.at = rank(done.from.at));
        Some(Held { lanes, waiting })
    }

    /// Goes on with what an earlier file left.
    #[cfg(any(feature = "file", test))]
    pub(super) fn resume(&mut self, held: Held) {
        self.lanes = held.lanes;
        self.outbox.resume(held.waiting);
        self.resumed = true;
    }
}
