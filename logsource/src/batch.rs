//! Batches: many entries in one piece of memory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::ack::Splitter;
use crate::budget::Charge;
use crate::cursor::Place;
use crate::ends::{Ends, Places};
use crate::metrics::{Count, SourceMetrics};
use crate::slab::{Record, Span, Table};
use crate::{Ack, Budget, Cursor, Delivery, Extracted, Extractor, LogEntry, Origin, Value};

/// Entries that were read together: one slab of bytes, a table of offsets into it, and one
/// acknowledgement.
///
/// Nothing is copied or parsed until somebody asks, and the slab is read into again once the batch
/// is dropped. A batch cannot be cloned, since its acknowledgement is in it.
pub struct Batch {
    origin: Arc<Origin>,
    labels: Arc<BTreeMap<String, String>>,
    path: Option<Arc<Path>>,
    table: Table,
    /// The place of the slab's first byte, where bytes are how places are told.
    base: Option<Cursor>,
    cursor: Cursor,
    read_at: SystemTime,
    ack: Ack,
    metrics: Option<Arc<SourceMetrics>>,
    /// Last: when it is dropped, the memory above is already free.
    charge: Option<Charge>,
}

impl Batch {
    /// A batch for an adapter of another crate: the lines of `slab` (blank ones dropped, line ends
    /// removed), with the cursor after the last of them.
    ///
    /// # Panics
    /// If the slab has 4 GiB or more: places in it are told in 32 bits.
    #[must_use]
    pub fn from_lines(
        origin: Arc<Origin>,
        slab: impl Into<Bytes>,
        read_at: SystemTime,
        cursor: Cursor,
    ) -> Self {
        let slab = slab.into();
        assert!(u32::try_from(slab.len()).is_ok(), "a batch is of less than 4 GiB; make several");
        let mut lines = Vec::new();
        let mut start = 0;
        for line in slab.split_inclusive(|byte| *byte == b'\n') {
            let end = start + crate::framing::trim_end(line).len();
            if !crate::framing::is_blank(&slab[start..end]) {
                lines.push(Span::new(start, end));
            }
            start += line.len();
        }
        Self::new(origin, Table::of_lines(slab, lines), read_at, cursor)
    }

    /// The same batch, acknowledged through `ack`.
    #[must_use]
    pub fn with_ack(mut self, ack: Ack) -> Self {
        self.ack = ack;
        self
    }

    pub(crate) fn new(
        origin: Arc<Origin>,
        table: Table,
        read_at: SystemTime,
        cursor: Cursor,
    ) -> Self {
        let (labels, ack) = (Arc::clone(origin.labels()), Ack::nothing());
        Self {
            origin,
            labels,
            path: None,
            table,
            base: None,
            cursor,
            read_at,
            ack,
            metrics: None,
            charge: None,
        }
    }

    /// Says which file it is from.
    #[cfg(feature = "file")]
    pub(crate) fn of_file(
        mut self,
        path: Arc<Path>,
        labels: Arc<BTreeMap<String, String>>,
    ) -> Self {
        self.path = Some(path);
        self.labels = labels;
        self
    }

    /// Says where the slab's first byte is from.
    pub(crate) fn based_at(mut self, base: Cursor) -> Self {
        self.base = Some(base);
        self
    }

    /// Counts the batch and its entries ([`Count::Lines`] and so on) now, and later those that are
    /// malformed or acknowledged: for adapters of other crates, before they hand it out, with the
    /// counters that [`Metrics::register`](crate::Metrics::register) gave them. A batch is counted
    /// once: one that is already is left as it is.
    #[must_use]
    pub fn counted_by(mut self, metrics: &Arc<SourceMetrics>) -> Self {
        if self.metrics.is_some() {
            return self;
        }
        metrics.add(Count::Batches, 1);
        metrics.add(Count::Lines, self.len() as u64);
        metrics.add(Count::Bytes, self.bytes() as u64);
        self.metrics = Some(Arc::clone(metrics));
        self
    }

    /// Its memory counts against a budget from here on, until the batch is dropped or turned into
    /// an [`Ack`]: for adapters of other crates, which look at [`Budget::is_above_mark`] before they
    /// read. A batch is held against one budget: one that is already is left as it is.
    #[must_use]
    pub fn held_against(mut self, budget: &Budget) -> Self {
        self.charge.get_or_insert_with(|| Charge::of_budget(budget, self.table.memory()));
        self
    }

    /// Its memory counts against the source's budgets from here on, until the batch is dropped.
    #[cfg(any(feature = "file", feature = "stdout", feature = "journald"))]
    pub(crate) fn charged_to(mut self, intake: &Arc<crate::budget::Intake>) -> Self {
        self.charge.get_or_insert_with(|| intake.charge(self.table.memory()));
        self
    }

    /// The same, for memory that counts already.
    pub(crate) fn with_charge(mut self, charge: Charge) -> Self {
        self.charge = Some(charge);
        self
    }

    /// The same entries once more, without their acknowledgement.
    #[cfg(feature = "stdout")]
    pub(crate) fn view(&self) -> Self {
        let (origin, table) = (Arc::clone(&self.origin), self.table.view());
        let view = Self::new(origin, table, self.read_at, self.cursor.clone());
        Self { base: self.base.clone(), ..view }
    }

    /// The first `max` entries, and those that cannot be told from the last of them by a place.
    pub(crate) fn cut(mut self, max: usize) -> Self {
        let before = self.len();
        self.table.truncate(max);
        let kept = self.len();
        if kept < before {
            self.cursor = match &self.base {
                Some(base) => base.plus(self.table.end),
                None => {
                    kept.checked_sub(1).and_then(|last| self.own_place(last)).unwrap_or(self.cursor)
                }
            };
        }
        self
    }

    /// The entries after a place that is told in bytes; none if they are all before it.
    pub(crate) fn after(mut self, from: &crate::Position) -> Option<Self> {
        let (crate::Position::At(Cursor(Place::Count(place))), Some(base)) = (from, &self.base)
        else {
            return Some(self);
        };
        // Where the batch begins, nothing of it was taken: not even entries that end there, since
        // more of their line is to come.
        let Cursor(Place::Count(base)) = *base else { return Some(self) };
        if *place <= base {
            return Some(self);
        }
        let is_before = |index: &usize| base + self.table.end_of(*index) <= *place;
        let skipped = (0..self.len()).take_while(is_before).count();
        self.table.skip(skipped);
        (!self.table.lines.is_empty()).then_some(self)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.lines.len()
    }

    /// Whether there are none. No source of this crate yields such a batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.lines.is_empty()
    }

    /// How many bytes of the slab the entries came from.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.table.filled
    }

    /// The entries, in the order in which they were written.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = EntryRef<'_>> {
        (0..self.len()).map(|index| EntryRef { batch: self, index })
    }

    /// One entry.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<EntryRef<'_>> {
        (index < self.len()).then_some(EntryRef { batch: self, index })
    }

    /// Which source it is from.
    #[must_use]
    pub fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// The labels of every entry: the origin's, and `path` if it came from a file.
    #[must_use]
    pub fn labels(&self) -> &Arc<BTreeMap<String, String>> {
        &self.labels
    }

    /// The file that it was read from, under the name that it was followed by.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The place after the batch.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// When it was read.
    #[must_use]
    pub fn read_at(&self) -> SystemTime {
        self.read_at
    }

    /// Acknowledges every entry.
    pub fn ack(self) {
        self.into_ack().done();
    }

    /// Gives the memory back and keeps the acknowledgement for later.
    pub fn into_ack(self) -> Ack {
        let entries = self.len();
        self.ack.counted_by(self.metrics, entries)
    }

    /// Takes the entries out one by one, each with its own acknowledgement.
    pub fn into_deliveries(mut self) -> impl Iterator<Item = Delivery> + Send {
        let ends = self.ends();
        let ack = std::mem::replace(&mut self.ack, Ack::nothing());
        let ack = ack.counted_by(self.metrics.clone(), self.len());
        Deliveries { splitter: ack.split(ends), batch: self, next: 0 }
    }

    /// The place after each entry.
    fn ends(&self) -> Ends {
        let end = |at: u64| u32::try_from(at).unwrap_or(u32::MAX);
        let places = match &self.base {
            Some(base) => {
                let ends = (0..self.len()).map(|index| end(self.table.end_of(index)));
                Places::Bytes(base.clone(), ends.collect())
            }
            None if self.table.records.is_empty() => Places::None,
            None => {
                let mut texts = Vec::new();
                let ends = self.table.records.iter().map(|record| {
                    texts.extend_from_slice(record.cursor.of(&self.table.slab));
                    end(texts.len() as u64)
                });
                let ends = ends.collect();
                Places::Texts(texts, ends)
            }
        };
        Ends { places, last: self.cursor.clone(), len: self.len() }
    }

    /// The place that an entry's own record tells.
    fn own_place(&self, index: usize) -> Option<Cursor> {
        let record = self.table.records.get(index)?;
        let text = String::from_utf8_lossy(record.cursor.of(&self.table.slab));
        Some(Cursor(Place::Journal(text.into())))
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("origin", &self.origin.id())
            .field("len", &self.len())
            .field("bytes", &self.bytes())
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

struct Deliveries {
    batch: Batch,
    splitter: Splitter,
    next: usize,
}

impl Iterator for Deliveries {
    type Item = Delivery;

    fn next(&mut self) -> Option<Delivery> {
        let entry = self.batch.get(self.next)?.to_entry();
        let ack = self.splitter.part(self.next);
        self.next += 1;
        Some(Delivery { entry, ack })
    }
}

/// An entry in its batch.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    batch: &'a Batch,
    index: usize,
}

impl<'a> EntryRef<'a> {
    /// The line, without its line end.
    #[must_use]
    pub fn line(self) -> &'a [u8] {
        let span = self.batch.table.lines.get(self.index);
        span.map_or(&[], |span| span.of(&self.batch.table.slab))
    }

    /// The line as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.line())
    }

    /// When the source says that it was written, else when it was read. What the line itself says
    /// comes with [`EntryRef::to_entry`], since the line must be parsed for it.
    #[must_use]
    pub fn timestamp(self) -> SystemTime {
        self.record()
            .filter(|record| record.realtime != 0)
            .and_then(|record| {
                SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(record.realtime))
            })
            .unwrap_or(self.batch.read_at)
    }

    /// A field that the source itself knows, byte for byte, such as journald's `_SYSTEMD_UNIT`;
    /// the first of that name if it repeats.
    #[must_use]
    pub fn field(self, name: &str) -> Option<&'a [u8]> {
        self.source_fields().find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
    }

    /// All fields that the source itself knows, in its order, repeated ones too.
    pub fn source_fields(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let slab: &'a [u8] = &self.batch.table.slab;
        let fields = self.batch.table.record_fields(self.index);
        fields.iter().map(move |field| (field.name.of(slab), field.value.of(slab)))
    }

    /// Some fields of the line, borrowed: nothing is copied, and nothing else is parsed.
    #[must_use]
    pub fn extract(self, extractor: &'a mut Extractor) -> Extracted<'a> {
        extractor.reference(self.timestamp()).extract(self.line())
    }

    /// The entry on its own, copied out and parsed by the origin's parser.
    ///
    /// What the source itself knows, such as journald's `_UID` or a container's `stream`, is what
    /// its field says: a field of the line does not override it. One that the source does not tell
    /// is the line's: what must not be forged is to be had with [`EntryRef::field`].
    #[must_use]
    pub fn to_entry(self) -> LogEntry {
        let parsed = self.batch.origin.parser().parse_at(self.line(), self.timestamp());
        if let (Some(_), Some(metrics)) = (&parsed.malformed, &self.batch.metrics) {
            metrics.add(Count::Malformed, 1);
        }
        let mut fields = crate::Fields::new();
        for (name, value) in self.source_fields() {
            let text = String::from_utf8_lossy(value).into_owned();
            fields.push(&String::from_utf8_lossy(name), Value::Str(text));
        }
        if fields.is_empty() {
            fields = parsed.fields;
        } else {
            for (name, value) in parsed.fields {
                fields.insert_first(name, || value);
            }
        }
        LogEntry {
            timestamp: parsed.timestamp.unwrap_or_else(|| self.timestamp()),
            labels: Arc::clone(&self.batch.labels),
            line: Bytes::copy_from_slice(self.line()),
            fields,
            malformed: parsed.malformed,
        }
    }

    fn record(self) -> Option<&'a Record> {
        self.batch.table.records.get(self.index)
    }
}

impl fmt::Debug for EntryRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EntryRef").field(&self.text()).finish()
    }
}
