//! Records on their way out, in the order in which they began.

use std::collections::VecDeque;
use std::sync::Arc;

use super::container::Stream;
use super::lane::From;
use crate::slab::{Blank, Field, Pool, Record, Span};

/// The names and values that fields have, at the beginning of a slab.
const NAMES: &[u8] = b"streamstdoutstderrpartialtrue";
const STREAM: Span = Span { start: 0, end: 6 };
const STDOUT: Span = Span { start: 6, end: 12 };
const STDERR: Span = Span { start: 12, end: 18 };
const PARTIAL: Span = Span { start: 18, end: 25 };
const TRUE: Span = Span { start: 25, end: 29 };

/// What a record that waits takes beside its text: the queue's spare room and the allocator's.
const RECORD_BYTES: usize = 2 * size_of::<Done>();

/// A record that is done.
#[derive(Debug, Clone)]
pub(super) struct Done {
    stream: Stream,
    pub(super) from: From,
    text: Vec<u8>,
    is_partial: bool,
}

/// A slab of records, and those that wait for an older one, or for the next slab.
#[derive(Debug)]
pub(super) struct Outbox {
    pool: Arc<Pool>,
    pub(super) blank: Blank,
    used: usize,
    has_fields: bool,
    pub(super) waiting: VecDeque<Done>,
    /// Their memory, more or less.
    waiting_bytes: usize,
    /// Where in the stream the slab's first record may begin.
    pub(super) base: u64,
}

impl Outbox {
    pub(super) fn new(pool: Arc<Pool>, has_fields: bool, base: u64) -> Self {
        let (blank, waiting) = (Blank::default(), VecDeque::new());
        Self { blank, pool, used: 0, has_fields, waiting, waiting_bytes: 0, base }
    }

    fn prepare(&mut self) {
        self.used = 0;
        if self.has_fields {
            self.append(NAMES);
        }
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// Takes a record. Other things that are held began at `others`; the stream is done with up
    /// to `rest` beside them.
    pub(super) fn give(
        &mut self,
        stream: Stream,
        from: From,
        text: &[u8],
        is_partial: bool,
        (others, rest): (u64, u64),
    ) {
        if self.waiting.is_empty() && from.at < others && self.fits(text.len()) {
            self.write(stream, from.time, text, is_partial, others.min(rest));
            return;
        }
        let after = self.waiting.partition_point(|done| done.from.at <= from.at);
        self.waiting_bytes += text.len() + RECORD_BYTES;
        self.waiting.insert(after, Done { stream, from, text: text.to_vec(), is_partial });
    }

    /// Writes what waits for nothing that is held: that all began at `low` or later.
    pub(super) fn drain(&mut self, low: u64) {
        while self.waiting.front().is_some_and(|done| done.from.at < low)
            && !self.is_blocked(low)
            && let Some(done) = self.waiting.pop_front()
        {
            self.waiting_bytes -= done.text.len() + RECORD_BYTES;
            let next = self.waiting.front().map_or(low, |next| next.from.at.min(low));
            self.write(done.stream, done.from.time, &done.text, done.is_partial, next);
        }
    }

    /// Whether the slab must be taken before more can be written.
    pub(super) fn is_blocked(&self, low: u64) -> bool {
        let next = self.waiting.front().filter(|done| done.from.at < low);
        next.is_some_and(|done| !self.fits(done.text.len()))
    }

    fn fits(&self, len: usize) -> bool {
        self.blank.lines.is_empty() || self.used + len <= self.blank.slab.len()
    }

    fn write(&mut self, stream: Stream, time: u64, text: &[u8], is_partial: bool, end: u64) {
        if self.blank.slab.is_empty() {
            self.blank = self.pool.get();
            self.prepare();
        }
        let start = self.used;
        self.append(text);
        self.blank.lines.push(Span::new(start, self.used));
        // What is more than 4 GiB on is told too early, which is a place all the same.
        self.blank.ends.push(u32::try_from(end.saturating_sub(self.base)).unwrap_or(u32::MAX));
        if !self.has_fields {
            return;
        }
        let index = |fields: &Vec<Field>| u32::try_from(fields.len()).unwrap_or(u32::MAX);
        let first_field = index(&self.blank.fields);
        let name = match stream {
            Stream::Stdout => Some(STDOUT),
            Stream::Stderr => Some(STDERR),
            Stream::Unknown => None,
        };
        let name = name.map(|value| Field { name: STREAM, value });
        let partial = is_partial.then_some(Field { name: PARTIAL, value: TRUE });
        self.blank.fields.extend(name.into_iter().chain(partial));
        let end_field = index(&self.blank.fields);
        let cursor = Span::new(0, 0);
        self.blank.records.push(Record { first_field, end_field, realtime: time, cursor });
    }

    fn append(&mut self, text: &[u8]) {
        let end = self.used + text.len();
        if self.blank.slab.len() < end {
            self.blank.slab.resize(end, 0);
        }
        self.blank.slab[self.used..end].copy_from_slice(text);
        self.used = end;
    }

    /// Gives the slab back, if nothing is in it.
    #[cfg(any(feature = "file", test))]
    pub(super) fn rest(&mut self) {
        if self.blank.lines.is_empty() {
            self.pool.put(std::mem::take(&mut self.blank));
            self.used = 0;
        }
    }

    /// The slab, and how much of it is used. The next one begins when it is needed.
    pub(super) fn take(&mut self) -> (Blank, usize) {
        (std::mem::take(&mut self.blank), std::mem::take(&mut self.used))
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        let Blank { lines, records, fields, ends, .. } = &mut self.blank;
        lines.clear();
        records.clear();
        fields.clear();
        ends.clear();
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.used = 0;
        if !self.blank.slab.is_empty() {
            self.prepare();
        }
    }

    /// Gives what waits the places of another stream.
    #[cfg(any(feature = "file", test))]
    pub(super) fn resume(&mut self, waiting: VecDeque<Done>) {
        self.waiting_bytes = waiting.iter().map(|done| done.text.len() + RECORD_BYTES).sum();
        self.waiting = waiting;
    }
}
