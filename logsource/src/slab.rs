//! Slabs: the memory that batches are made of, used again and again.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

/// A line's place in its slab, without its line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// Slabs are far below 4 GiB: `build()` of every source sees to that.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: clamp(start), end: clamp(end) }
    }

    pub(crate) fn of(self, slab: &[u8]) -> &[u8] {
        slab.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// What an adapter knows of an entry beside its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its fields: from here,
    pub(crate) first_field: u32,
    /// to here.
    pub(crate) end_field: u32,
    /// Microseconds since 1970.
    pub(crate) realtime: u64,
    /// Its cursor, in the slab.
    pub(crate) cursor: Span,
}

/// A field's name and value in the slab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Span,
    pub(crate) value: Span,
}

/// A slab and its offset tables. Dropping it gives the memory back to its pool.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) slab: Bytes,
    /// How much of the slab was read into; the rest is room.
    pub(crate) filled: usize,
    pub(crate) lines: Vec<Span>,
    /// As many as lines, or none.
    pub(crate) records: Vec<Record>,
    pub(crate) fields: Vec<Field>,
    /// How far the stream is read after each line, counted from where it was before the first;
    /// empty if the slab is the stream itself, byte for byte.
    pub(crate) ends: Vec<u32>,
    /// How far it is read after all of them.
    pub(crate) end: u64,
    pub(crate) pool: Option<Arc<Pool>>,
}

impl Table {
    /// Lines in memory of its own.
    pub(crate) fn of_lines(slab: Bytes, lines: Vec<Span>) -> Self {
        let filled = slab.len();
        let blank = Blank { lines, ..Blank::default() };
        let mut table = Self::of_blank(blank, filled, filled as u64, None);
        table.slab = slab;
        table
    }

    /// What was read into a slab: so many bytes of it, from so many bytes of the stream.
    pub(crate) fn of_blank(blank: Blank, filled: usize, end: u64, pool: Option<Arc<Pool>>) -> Self {
        let Blank { slab, lines, records, fields, ends } = blank;
        Self { slab: slab.freeze(), filled, lines, records, fields, ends, end, pool }
    }

    /// How far the stream is read after a line, blank lines after it included, counted from where
    /// it was before the first.
    pub(crate) fn end_of(&self, index: usize) -> u64 {
        match (self.ends.get(index), self.lines.get(index + 1)) {
            (_, None) => self.end,
            (Some(end), _) => (*end).into(),
            (None, Some(next)) => next.start.into(),
        }
    }

    /// Keeps the first lines only.
    ///
    /// Not fewer than take the stream on, and all that end where the last of them does: several
    /// entries may be of one line, and whoever asks for them one by one would get the first for
    /// ever, or never the last.
    pub(crate) fn truncate(&mut self, mut lines: usize) {
        let is_inside = |lines: usize| {
            let end = self.end_of(lines - 1);
            end == 0 || end == self.end_of(lines)
        };
        while lines > 0 && lines < self.lines.len() && !self.ends.is_empty() && is_inside(lines) {
            lines += 1;
        }
        if lines >= self.lines.len() {
            return;
        }
        self.end = if lines == 0 { 0 } else { self.end_of(lines - 1) };
        let next = self.lines.get(lines).map_or(0, |line| line.start as usize);
        self.filled = self.filled.min(next);
        self.lines.truncate(lines);
        self.records.truncate(lines);
        self.ends.truncate(lines);
    }

    /// Leaves out the first lines.
    pub(crate) fn skip(&mut self, lines: usize) {
        self.lines.drain(..lines.min(self.lines.len()));
        self.records.drain(..lines.min(self.records.len()));
        self.ends.drain(..lines.min(self.ends.len()));
    }

    /// The same once more, over the same memory, which goes back to no pool.
    pub(crate) fn view(&self) -> Self {
        Self {
            slab: self.slab.clone(),
            filled: self.filled,
            lines: self.lines.clone(),
            records: self.records.clone(),
            fields: self.fields.clone(),
            ends: self.ends.clone(),
            end: self.end,
            pool: None,
        }
    }

    /// What it takes in memory, in bytes, whether used or not.
    pub(crate) fn memory(&self) -> usize {
        let of = |count: usize, each: usize| count.saturating_mul(each);
        size_of::<Self>()
            + self.slab.len()
            + of(self.lines.capacity(), size_of::<Span>())
            + of(self.records.capacity(), size_of::<Record>())
            + of(self.fields.capacity(), size_of::<Field>())
            + of(self.ends.capacity(), size_of::<u32>())
    }

    /// A few lines do not keep a whole slab, so that a bound in bytes is one.
    pub(crate) fn compacted(self) -> Self {
        if self.filled >= self.slab.len() / 4 {
            return self;
        }
        let mut copy = self.view();
        copy.slab = Bytes::copy_from_slice(self.slab.get(..self.filled).unwrap_or_default());
        copy
    }

    /// The fields of a record.
    pub(crate) fn record_fields(&self, index: usize) -> &[Field] {
        let Some(record) = self.records.get(index) else { return &[] };
        self.fields.get(record.first_field as usize..record.end_field as usize).unwrap_or_default()
    }

    /// Leaves out the lines that are not to be kept.
    #[cfg(feature = "journald")]
    pub(crate) fn retain(&mut self, kept: &[bool]) {
        let mut keep = kept.iter();
        self.lines.retain(|_| keep.next() == Some(&true));
        let mut keep = kept.iter();
        self.records.retain(|_| keep.next() == Some(&true));
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let Some(pool) = self.pool.take() else { return };
        // Somebody still holds a view of the slab: then it is theirs, and freed with the view.
        let Ok(slab) = std::mem::take(&mut self.slab).try_into_mut() else { return };
        let mut blank = Blank { slab, ..Blank::default() };
        std::mem::swap(&mut blank.lines, &mut self.lines);
        std::mem::swap(&mut blank.records, &mut self.records);
        std::mem::swap(&mut blank.fields, &mut self.fields);
        std::mem::swap(&mut blank.ends, &mut self.ends);
        pool.put(blank);
    }
}

/// Memory to read into. The slab is initialized to its whole length.
#[derive(Debug, Default)]
pub(crate) struct Blank {
    pub(crate) slab: BytesMut,
    pub(crate) lines: Vec<Span>,
    pub(crate) records: Vec<Record>,
    pub(crate) fields: Vec<Field>,
    pub(crate) ends: Vec<u32>,
}

/// A few slabs of one size.
#[derive(Debug)]
pub(crate) struct Pool {
    free: Mutex<Vec<Blank>>,
    slab_bytes: usize,
}

impl Pool {
    /// More than this many slabs are not kept for later.
    const KEPT: usize = 8;

    pub(crate) fn new(slab_bytes: usize) -> Arc<Self> {
        Arc::new(Self { free: Mutex::default(), slab_bytes })
    }

    pub(crate) fn get(&self) -> Blank {
        let used = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        used.unwrap_or_else(|| Blank {
            slab: BytesMut::zeroed(self.slab_bytes),
            ..Blank::default()
        })
    }

    /// The size of its slabs.
    #[cfg(any(feature = "file", feature = "stdout"))]
    pub(crate) fn slab_bytes(&self) -> usize {
        self.slab_bytes
    }

    /// Takes a slab back, unless it is none, or of another size.
    pub(crate) fn put(&self, mut blank: Blank) {
        if blank.slab.len() != self.slab_bytes {
            return;
        }
        blank.lines.clear();
        blank.records.clear();
        blank.fields.clear();
        blank.ends.clear();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < Self::KEPT {
            free.push(blank);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_table_is_used_again_unless_somebody_holds_its_bytes() {
        let pool = Pool::new(1024);
        let table = |pool: &Arc<Pool>| {
            let slab = pool.get().slab.freeze();
            let mut table = Table::of_lines(slab, Vec::new());
            table.pool = Some(Arc::clone(pool));
            table
        };
        let first = table(&pool);
        let address = first.slab.as_ptr();
        drop(first);
        let second = table(&pool);
        assert_eq!(second.slab.as_ptr(), address);
        let view = second.slab.slice(10..20);
        drop(second);
        assert_ne!(table(&pool).slab.as_ptr(), address);
        assert_eq!(view.len(), 10);
    }
}
