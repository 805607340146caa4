//! The journal export format, in place.
//!
//! An entry is lines of `NAME=value`, or for a value that is not plain text `NAME`, a line end,
//! its length in 64 bits little-endian, the value and a line end. An empty line ends the entry.

use std::sync::Arc;

use crate::slab::{Blank, Field, Pool, Record, Span, Table};

/// An entry larger than this is passed over.
const MAX_RECORD: usize = 64 << 20;

/// What is at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
enum Scanned {
    /// An entry that ends here; its fields were pushed.
    Record(usize),
    /// Part of an entry.
    Partial,
    /// Not an entry at all.
    Garbage,
}

/// Parses the entry that begins at `from`, and pushes its fields.
fn scan(slab: &[u8], from: usize, fields: &mut Vec<Field>) -> Scanned {
    let mut at = from;
    loop {
        let Some(rest) = slab.get(at..) else { return Scanned::Partial };
        let newline = memchr::memchr(b'\n', rest);
        if newline == Some(0) {
            return Scanned::Record(at + 1);
        }
        // The name is looked at first, so that what is none shows at the same byte however the
        // stream is cut.
        let line = &rest[..newline.unwrap_or(rest.len())];
        let equals = memchr::memchr(b'=', line);
        let name_len = equals.unwrap_or(line.len());
        if !line.is_empty() && !is_name(&line[..name_len]) {
            return Scanned::Garbage;
        }
        let Some(newline) = newline else { return Scanned::Partial };
        let end = at + newline;
        let (value, next) = match equals {
            Some(equals) => (Span::new(at + equals + 1, end), end + 1),
            None => {
                let start = end + 9;
                let Some(len) = slab.get(end + 1..start) else {
                    return Scanned::Partial;
                };
                let len = len.iter().rev().fold(0_u64, |len, byte| len << 8 | u64::from(*byte));
                let Some(len) = usize::try_from(len).ok().filter(|len| *len <= MAX_RECORD) else {
                    return Scanned::Garbage;
                };
                match slab.get(start + len) {
                    None => return Scanned::Partial,
                    Some(b'\n') => {}
                    Some(_) => return Scanned::Garbage,
                }
                (Span::new(start, start + len), start + len + 1)
            }
        };
        fields.push(Field { name: Span::new(at, at + name_len), value });
        at = next;
    }
}

fn is_name(bytes: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    (1..=256).contains(&bytes.len()) && bytes.iter().all(plain)
}

/// Turns the bytes of an export stream, in whatever pieces they come, into records of a slab.
#[derive(Debug)]
pub(super) struct Exported {
    pool: Arc<Pool>,
    blank: Blank,
    filled: usize,
    framed: usize,
}

/// The stream is not what it should be, or an entry is too large.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// The cursor of the entry that it happened in, if that was still readable.
    pub(super) cursor: Option<String>,
}

impl Exported {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        let blank = pool.get();
        Self { pool, blank, filled: 0, framed: 0 }
    }

    /// Where to read to; empty if the finished entries must be taken first.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let slab = &mut self.blank.slab;
        if self.filled == slab.len() && self.framed == 0 {
            // Some more than the largest entry, so that one too large shows itself.
            slab.resize((slab.len() * 2).min(MAX_RECORD + 4096), 0);
        }
        slab.get_mut(self.filled..).unwrap_or_default()
    }

    /// Says how many bytes were read into the room, and finds the entries that they finish.
    pub(super) fn fed(&mut self, bytes: usize) -> Result<(), Unreadable> {
        self.filled = (self.filled + bytes).min(self.blank.slab.len());
        let Blank { slab, lines, records, fields, .. } = &mut self.blank;
        let slab = &slab[..self.filled];
        loop {
            let first = fields.len();
            match scan(slab, self.framed, fields) {
                Scanned::Record(end) => {
                    if fields.len() > first {
                        let (line, record) = interpret(slab, first, fields, end);
                        lines.push(line);
                        records.push(record);
                    }
                    self.framed = end;
                }
                Scanned::Partial if slab.len() - self.framed < MAX_RECORD => {
                    fields.truncate(first);
                    return Ok(());
                }
                Scanned::Partial | Scanned::Garbage => {
                    let found = fields[first..].iter().find(|f| f.name.of(slab) == b"__CURSOR");
                    let text = found.map(|f| String::from_utf8_lossy(f.value.of(slab)));
                    let cursor = text.map(std::borrow::Cow::into_owned);
                    fields.truncate(first);
                    return Err(Unreadable { cursor });
                }
            }
        }
    }

    /// The finished entries, if there are any.
    pub(super) fn take(&mut self) -> Option<Table> {
        if self.framed == 0 {
            return None;
        }
        let mut next = self.pool.get();
        let rest = self.filled - self.framed;
        if next.slab.len() < rest {
            next.slab.resize(rest, 0);
        }
        next.slab[..rest].copy_from_slice(&self.blank.slab[self.framed..self.filled]);
        let full = std::mem::replace(&mut self.blank, next);
        let filled = std::mem::replace(&mut self.framed, 0);
        self.filled = rest;
        Some(Table::of_blank(full, filled, filled as u64, Some(Arc::clone(&self.pool))))
    }
}

/// The fields that mean something to us: the line, its time, its cursor.
fn interpret(slab: &[u8], first: usize, fields: &[Field], end: usize) -> (Span, Record) {
    let (mut line, mut realtime, mut cursor) = (None, 0, Span::new(end, end));
    for field in fields.get(first..).unwrap_or_default() {
        let value = field.value;
        match field.name.of(slab) {
            b"MESSAGE" if line.is_none() => line = Some(value),
            b"__REALTIME_TIMESTAMP" => realtime = number(value.of(slab)),
            b"__CURSOR" => cursor = value,
            _ => {}
        }
    }
    let index = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let (first_field, end_field) = (index(first), index(fields.len()));
    let record = Record { first_field, end_field, realtime, cursor };
    (line.unwrap_or(Span::new(end, end)), record)
}

fn number(text: &[u8]) -> u64 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(any(test, fuzzing))]
pub(super) mod pieces {
    use super::*;

    /// The names and values of an entry.
    pub(crate) type Entry = Vec<(String, Vec<u8>)>;

    /// Feeds bytes in pieces; gives the entries, or where it stopped understanding.
    pub(crate) fn parse(bytes: &[u8], pieces: &[usize]) -> Result<Vec<Entry>, Unreadable> {
        let mut exported = Exported::new(Pool::new(64));
        let (mut entries, mut at) = (Vec::new(), 0);
        for piece in pieces.iter().cycle() {
            if at == bytes.len() {
                break;
            }
            let room = exported.room();
            let len = (*piece).min(room.len()).min(bytes.len() - at);
            room[..len].copy_from_slice(&bytes[at..at + len]);
            at += len;
            let fed = exported.fed(len);
            if let Some(table) = exported.take() {
                for index in 0..table.records.len() {
                    let fields = table.record_fields(index).iter().map(|field| {
                        let name = String::from_utf8_lossy(field.name.of(&table.slab)).into_owned();
                        (name, field.value.of(&table.slab).to_vec())
                    });
                    entries.push(fields.collect());
                }
            }
            fed?;
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::pieces::{Entry, parse};
    use super::*;

    /// Writes entries as journalctl does: binary form only where it must.
    fn write(entries: &[Entry]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in entries {
            for (name, value) in entry {
                bytes.extend(name.as_bytes());
                if value.iter().any(|byte| *byte < b' ') {
                    bytes.push(b'\n');
                    bytes.extend((value.len() as u64).to_le_bytes());
                } else {
                    bytes.push(b'=');
                }
                bytes.extend(value);
                bytes.push(b'\n');
            }
            bytes.push(b'\n');
        }
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn entries_survive_any_chunking(
            entries in proptest::collection::vec(proptest::collection::vec(
                ("[A-Z_][A-Z0-9_]{0,20}", proptest::collection::vec(any::<u8>(), 0..80)), 1..6,
            ), 0..8),
            pieces in proptest::collection::vec(1_usize..200, 1..6),
        ) {
            prop_assert_eq!(parse(&write(&entries), &pieces), Ok(entries));
        }

        #[test]
        fn no_bytes_are_a_panic(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'='), Just(0), Just(b'A'), any::<u8>()], 0..300,
            ),
            pieces in proptest::collection::vec(1_usize..50, 1..4),
        ) {
            parse(&bytes, &pieces).ok();
        }
    }

    #[test]
    fn what_is_no_name_shows_before_its_line_ends() {
        for text in ["A.B", "=1", &"A".repeat(257)] {
            let ended = format!("{text}\n");
            for text in [text.as_bytes(), ended.as_bytes()] {
                assert!(parse(text, &[1]).is_err() && parse(text, &[300]).is_err());
            }
        }
    }

    #[test]
    fn the_line_the_time_and_the_cursor_are_found() {
        let text = b"__CURSOR=c1\n__REALTIME_TIMESTAMP=17\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\nMESSAGE=no\n\n";
        let mut exported = Exported::new(Pool::new(256));
        exported.room()[..text.len()].copy_from_slice(text);
        exported.fed(text.len()).unwrap();
        let table = exported.take().unwrap();
        assert_eq!(table.lines[0].of(&table.slab), b"a\nb");
        assert_eq!(table.records[0].realtime, 17);
        assert_eq!(table.records[0].cursor.of(&table.slab), b"c1");
    }

    #[test]
    fn what_cannot_be_read_names_its_cursor() {
        let text = b"A=1\n\n__CURSOR=c2\nMESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xffx";
        let error = parse(text, &[7]).unwrap_err();
        assert_eq!(error.cursor.as_deref(), Some("c2"));
    }
}
