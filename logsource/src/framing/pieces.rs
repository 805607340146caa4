//! Framing as tests and fuzz targets drive it, and what anyone would say the lines are.

use std::time::Instant;

use super::encoding::Charset;
use super::framer::{Framed, Framer};
use super::naive;
use super::settings::{Framing, LongLines};
use crate::slab::{Pool, Span};

/// What came out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) lines: Vec<Vec<u8>>,
    /// The stream of each line, and whether its end is missing.
    pub(crate) fields: Vec<String>,
    /// The place after each line.
    pub(crate) ends: Vec<u64>,
    /// The place after each batch.
    pub(crate) taken: Vec<u64>,
    /// Lines and bytes that were too long, bytes of holes, and pieces.
    pub(crate) counts: [u64; 4],
}

impl Output {
    /// One batch more.
    pub(crate) fn add(&mut self, framed: &Framed) {
        let (table, base) = (&framed.table, self.taken.last().copied().unwrap_or(0));
        self.lines.extend(table.lines.iter().map(|line| line.of(&table.slab).to_vec()));
        self.fields.extend((0..table.lines.len()).map(|index| {
            let fields = table.record_fields(index).iter();
            let text = |span: Span| String::from_utf8_lossy(span.of(&table.slab)).into_owned();
            fields.map(|field| format!("{}={} ", text(field.name), text(field.value))).collect()
        }));
        self.ends.extend((0..table.lines.len()).map(|index| base + table.end_of(index)));
        self.taken.push(base + framed.consumed);
        let tally = framed.tally;
        let counts = [tally.long_lines, tally.long_bytes, tally.hole_bytes, tally.split];
        self.counts.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
}

/// Feeds a text in pieces of these sizes.
pub(crate) fn framed(
    text: &[u8],
    pieces: &[usize],
    slab_bytes: usize,
    framing: &Framing,
    now: Instant,
) -> Output {
    let mut framer = Framer::new(Pool::new(slab_bytes), framing);
    let (mut output, mut at, mut finished) = (Output::default(), 0, false);
    for &piece in pieces.iter().cycle() {
        let room = framer.room();
        let len = piece.min(room.len()).min(text.len() - at);
        room[..len].copy_from_slice(&text[at..at + len]);
        framer.fed(len, now);
        at += len;
        if at == text.len() && !finished && !framer.room().is_empty() {
            framer.finish();
            finished = true;
        }
        // Taking is up to the owner: here, whenever the piece was an odd one.
        if piece % 2 == 1 || framer.room().is_empty() || finished {
            while let Some(framed) = framer.take() {
                output.add(&framed);
                if finished {
                    framer.finish();
                }
            }
        }
        // So is giving memory back, at any time.
        if piece % 3 == 0 {
            framer.rest();
        }
        if finished && framer.pending() == 0 {
            break;
        }
    }
    output
}

/// Compares what comes out with what anyone would say.
pub(crate) fn check(
    text: &[u8],
    pieces: &[usize],
    slab_bytes: usize,
    framing: &Framing,
    now: Instant,
) {
    let output = framed(text, pieces, slab_bytes, framing, now);
    assert_eq!(output.taken.last().copied().unwrap_or(0), text.len() as u64);
    assert!(output.ends.is_sorted() && output.taken.is_sorted());
    let settings = framing.settings();
    let (charset, _) = naive::charset(text, framing);
    let is_decoded = charset != Charset::Bytes || settings.charset != Charset::Bytes;
    match &settings.join {
        Some(join) if is_decoded || (join.containers && join.multiline.is_some()) => {
            // In one piece there is nothing to go wrong but the joining itself.
            let whole = framed(text, &[text.len() | 1], 1 << 16, framing, now);
            assert_eq!(output.lines, whole.lines);
            assert_eq!(output.fields, whole.fields);
            assert_eq!(output.counts, whole.counts);
        }
        Some(join) if join.containers => assert_eq!(output.lines, naive::messages(text, framing)),
        Some(_) => assert_eq!(output.lines, naive::groups(text, framing)),
        None if is_decoded => assert_eq!(output.lines, naive::decoded(text, framing)),
        None => check_plain(text, &output, framing),
    }
}

fn check_plain(text: &[u8], output: &Output, framing: &Framing) {
    let (lines, counts, places) = naive::lines(text, framing);
    assert_eq!(output.lines, lines);
    assert_eq!(output.counts, counts);
    // A hole's end is a place, and so is that of a piece.
    let is_place = |end: &u64| {
        let next = usize::try_from(*end).ok().and_then(|end| text.get(end.checked_sub(1)?));
        places.contains(end) || next == Some(&0)
    };
    if framing.settings().long_lines != LongLines::Split {
        assert!(output.ends.iter().chain(&output.taken).all(is_place));
    }
}

#[cfg(test)]
mod tests;
