//! Bytes into lines of a slab, with nothing copied.

use std::sync::Arc;

use super::cutter::{Cutter, Limits};
use super::delimiter::Delimiter;
use super::encoding::{Charset, Mark, mark};
use super::groups::Groups;
use super::is_blank;
use super::settings::{LongLines, Settings};
use super::tally::Tally;
use crate::slab::Blank;

/// How much is read at a time while the end of an over-long line is looked for. Few bytes in
/// tests, so that short texts come through here too.
const SKIP_BYTES: usize = if cfg!(any(test, fuzzing)) { 16 } else { 64 * 1024 };

/// A container's line is longer than the message in it.
const WRAPPED_BYTES: usize = 256 << 10;

/// A slab that is being filled, and the lines found in it.
#[derive(Debug)]
pub(super) struct Splitter {
    pub(super) blank: Blank,
    delimiter: Delimiter,
    limits: Limits,
    /// The delimiter as the user gave it.
    spelled: Option<Arc<[u8]>>,
    /// What the lines are in.
    pub(super) charset: Charset,
    /// Bytes read into the slab.
    pub(super) filled: usize,
    /// Bytes of the slab that finished lines came from.
    pub(super) framed: usize,
    /// Where the unfinished line begins: where the finished ones end, unless a group is open.
    pub(super) start: usize,
    /// There is no line end between `start` and here.
    scanned: usize,
    /// Bytes of the slab's last line that were thrown away, since it is too long. Offsets after
    /// it are no longer those of the stream, so the slab ends with it.
    cut: u64,
    /// They were nothing but white space.
    cut_blank: bool,
    pub(super) sealed: bool,
    /// The unfinished line is the rest of one of which pieces were taken.
    in_pieces: bool,
    /// Where the stream's first byte is in the slab, until it is known whether a byte order mark
    /// is there.
    head: Option<usize>,
    pub(super) groups: Option<Groups>,
    pub(super) tally: Tally,
}

impl Splitter {
    pub(super) fn new(blank: Blank, settings: &Settings) -> Self {
        let charset = settings.charset;
        let delimiter = Delimiter::new(settings.delimiter.as_deref(), charset);
        let is_wrapped = settings.join.as_ref().is_some_and(|join| join.containers);
        let limits = Limits {
            max_line: match is_wrapped {
                true => settings.max_line.max(WRAPPED_BYTES),
                false => settings.max_line,
            },
            long_lines: if is_wrapped { LongLines::Truncate } else { settings.long_lines },
            holes: true,
            wide: false,
            // Whoever decodes or joins has a look at every line.
            keep_blank: is_wrapped,
        };
        let multiline = settings.join.as_ref().and_then(|join| join.multiline.clone());
        let groups = multiline.filter(|_| !is_wrapped).map(|it| Groups::new(it, settings.max_line));
        let mut splitter = Self {
            blank,
            delimiter,
            limits,
            spelled: settings.delimiter.clone(),
            charset: Charset::Bytes,
            filled: 0,
            framed: 0,
            start: 0,
            scanned: 0,
            cut: 0,
            cut_blank: true,
            sealed: false,
            in_pieces: false,
            head: Some(0),
            groups,
            tally: Tally::default(),
        };
        splitter.read_as(charset);
        splitter
    }

    /// What the bytes stand for from here on.
    fn read_as(&mut self, charset: Charset) {
        self.charset = charset;
        self.delimiter = Delimiter::new(self.spelled.as_deref(), charset);
        self.limits.holes = self.delimiter.shows_holes();
        self.limits.wide = self.delimiter.is_wide();
        if self.limits.wide {
            self.limits.max_line = (self.limits.max_line & !1).max(2);
        }
        if charset != Charset::Bytes {
            self.limits.keep_blank = true;
            self.groups = None;
        }
    }

    /// Whether the lines are decoded or joined, so that they are not handed on from this slab.
    pub(super) fn is_staged(&self) -> bool {
        self.limits.keep_blank
    }

    /// Where to read to; empty if the finished lines must be taken first.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let slab = &mut self.blank.slab;
        if self.sealed || (self.filled == slab.len() && self.framed > 0) {
            return &mut [];
        }
        if self.filled == slab.len() {
            let is_hole = self.limits.holes && slab.get(self.start) == Some(&0);
            if is_hole && self.cut == 0 && self.start == 0 {
                // However long it is, a hole takes no memory.
                self.start = self.tally.strip_hole(&slab[..self.filled], 0);
                self.framed = self.start;
                self.scanned = self.scanned.max(self.framed);
                return &mut [];
            }
            // Enough to see a delimiter begin after the longest line, or the longest group.
            let of_groups = self.groups.as_ref().map_or(0, |groups| groups.max_bytes);
            let limit = of_groups + self.limits.head() + self.delimiter.longest() + SKIP_BYTES;
            if slab.len() < limit {
                let doubled = (slab.len() * 2).min(limit);
                slab.resize(doubled, 0);
            } else if self.start > 0 {
                // A line that is too long belongs to no group.
                self.close();
                return &mut [];
            } else {
                self.cut_tail();
            }
        }
        self.blank.slab.get_mut(self.filled..).unwrap_or_default()
    }

    /// Throws away what an over-long line has too many; not its last bytes, since the delimiter,
    /// or the `\r` before it, may have begun.
    fn cut_tail(&mut self) {
        let head = self.limits.head();
        let mut until = self.filled - self.delimiter.longest();
        // A character of two bytes stays one.
        until -= if self.limits.wide { (until - head) % 2 } else { 0 };
        let slab = &mut self.blank.slab;
        self.cut_blank &= is_blank(&slab[head..until]);
        slab.copy_within(until..self.filled, head);
        self.cut += (until - head) as u64;
        self.filled -= until - head;
        self.scanned = self.filled;
    }

    /// Says how many bytes were read into the room.
    pub(super) fn fed(&mut self, bytes: usize) {
        self.filled = (self.filled + bytes).min(self.blank.slab.len());
        self.scan();
    }

    /// How many bytes of unfinished lines are held.
    #[cfg(any(feature = "file", test))]
    pub(super) fn pending(&self) -> u64 {
        (self.filled - self.framed) as u64 + if self.sealed { 0 } else { self.cut }
    }

    /// Whether part of a line is held.
    pub(super) fn is_mid_line(&self) -> bool {
        !self.sealed && self.filled > self.start
    }

    /// How many bytes the finished lines came from.
    pub(super) fn consumed(&self) -> u64 {
        self.framed as u64 + if self.sealed { self.cut } else { 0 }
    }

    /// Goes on in `next` with what is not finished, and gives the slab with what is.
    pub(super) fn turn(&mut self, mut next: Blank) -> Blank {
        let rest = self.filled - self.framed;
        if next.slab.len() < rest {
            next.slab.resize(rest, 0);
        }
        next.slab[..rest].copy_from_slice(&self.blank.slab[self.framed..self.filled]);
        let full = std::mem::replace(&mut self.blank, next);
        self.moved(rest);
        full
    }

    /// Goes on in the same slab: the finished lines were copied elsewhere.
    pub(super) fn compact(&mut self) {
        self.blank.slab.copy_within(self.framed..self.filled, 0);
        self.blank.lines.clear();
        self.moved(self.filled - self.framed);
    }

    /// Goes on in `next`, which has room for all that is there, and gives the memory that it was in.
    pub(super) fn swap(&mut self, mut next: Blank) -> Blank {
        next.slab[..self.filled].copy_from_slice(&self.blank.slab[..self.filled]);
        next.lines.append(&mut self.blank.lines);
        std::mem::replace(&mut self.blank, next)
    }

    fn moved(&mut self, rest: usize) {
        let by = std::mem::take(&mut self.framed);
        self.filled = rest;
        self.start -= by;
        if std::mem::take(&mut self.sealed) {
            (self.cut, self.cut_blank) = (0, true);
            self.scanned = self.start;
        } else {
            self.scanned = self.scanned.saturating_sub(by).max(self.start);
        }
        self.scan();
    }

    /// Ends the last line, though it has no line end. Says whether there is one.
    pub(super) fn finish_line(&mut self) -> bool {
        if self.head.take().is_some() {
            self.scan();
        }
        self.pass_hole();
        let is_there = self.is_mid_line();
        if is_there {
            self.line(self.filled, self.filled);
        }
        is_there
    }

    /// Passes over what is nothing but a hole: it may have been passed over when it was read.
    fn pass_hole(&mut self) {
        let slab = &self.blank.slab[..self.filled];
        let is_whole_line = self.is_mid_line() && self.cut == 0;
        if self.limits.holes && is_whole_line && slab[self.start..].iter().all(|byte| *byte == 0) {
            self.start = self.tally.strip_hole(slab, self.start);
            self.close();
            (self.framed, self.scanned, self.in_pieces) = (self.start, self.start, false);
        }
    }

    /// Ends the open group.
    pub(super) fn close(&mut self) {
        if let Some(groups) = &mut self.groups {
            groups.close(self.framed, &mut self.blank.lines);
            self.framed = self.start;
        }
    }

    /// Forgets everything, and begins at an offset of a stream.
    pub(super) fn begin(&mut self, settings: &Settings, offset: u64) {
        let mut blank = std::mem::take(&mut self.blank);
        blank.lines.clear();
        let (charset, next) = (self.charset, Self::new(blank, settings));
        *self = next;
        if offset > 0 {
            self.head = None;
            self.read_as(charset);
        }
    }

    /// Says what the stream begins with, if it was not read from there.
    #[cfg(any(feature = "file", test))]
    pub(super) fn know(&mut self, head: &[u8]) {
        if self.head.is_none()
            && let Mark::Found(_, charset) = mark(head)
        {
            self.read_as(charset);
        }
    }

    /// Whether the unfinished line is all there, so that it can go on elsewhere.
    #[cfg(any(feature = "file", test))]
    pub(super) fn is_portable(&self) -> bool {
        self.cut == 0 && !self.in_pieces && !self.limits.wide
    }

    /// Takes out what is not finished, and where in it the unfinished line begins.
    #[cfg(any(feature = "file", test))]
    pub(super) fn drain(&mut self) -> (Vec<u8>, usize) {
        let start = self.start - self.framed;
        let held = self.blank.slab[self.framed..self.filled].to_vec();
        self.filled = self.framed;
        (self.start, self.scanned) = (self.framed, self.framed);
        (held, start)
    }

    /// Begins with what another left.
    #[cfg(any(feature = "file", test))]
    pub(super) fn preset(&mut self, held: &[u8], start: usize) {
        if self.blank.slab.len() <= held.len() {
            self.blank.slab.resize(held.len() + 1, 0);
        }
        self.blank.slab[..held.len()].copy_from_slice(held);
        self.filled = held.len();
        (self.start, self.scanned) = (start, start);
        self.head = self.head.map(|_| held.len());
    }

    /// Passes over a byte order mark. Says whether it is known yet whether there is one.
    fn pass_mark(&mut self) -> bool {
        let Some(head) = self.head else { return true };
        match mark(&self.blank.slab[head..self.filled]) {
            Mark::Unknown => return false,
            Mark::None => {}
            Mark::Found(len, charset) => {
                if head > self.start {
                    // What was carried here is another line, then.
                    self.line(head, head);
                }
                self.close();
                self.start = head + len;
                self.framed = self.start;
                self.scanned = self.start;
                self.read_as(charset);
            }
        }
        self.head = None;
        true
    }

    fn scan(&mut self) {
        if self.sealed || !self.pass_mark() {
            return;
        }
        let len = self.delimiter.len();
        // A delimiter may have begun before what was looked at.
        let overlap = self.scanned.saturating_sub(len - 1);
        if self.cut > 0 {
            // The rare case, by itself: the first delimiter finishes the cut line.
            let from = overlap.max(self.limits.head());
            match self.delimiter.find(&self.blank.slab[..self.filled], from, self.start) {
                Some(end) => self.line(end, end + len),
                None => self.scanned = self.filled,
            }
            return;
        }
        let mut from = overlap.max(self.start);
        if self.groups.is_some() || self.delimiter.is_wide() {
            // Each line is looked at by itself.
            let slab = self.filled;
            while let Some(end) = self.delimiter.find(&self.blank.slab[..slab], from, self.start) {
                self.line(end, end + len);
                from = self.start;
            }
        } else {
            self.scan_plain(from);
        }
        if self.limits.long_lines == LongLines::Split {
            self.split_tail();
        }
        self.scanned = self.filled;
    }

    /// Every line between here and the last delimiter, with no look at what is in them.
    fn scan_plain(&mut self, from: usize) {
        let Blank { slab, lines, .. } = &mut self.blank;
        let slab = &slab[..self.filled];
        let (limits, start) = (self.limits, self.start);
        let mut cutter = Cutter { slab, lines, tally: &mut self.tally, limits, start };
        let unseen = &slab[from..];
        match &self.delimiter {
            Delimiter::Newline => {
                for end in memchr::memchr_iter(b'\n', unseen).map(|found| from + found) {
                    let bare = end - usize::from(end > cutter.start && slab[end - 1] == b'\r');
                    cutter.line(bare, end + 1);
                }
            }
            Delimiter::Byte(byte) => {
                for end in memchr::memchr_iter(*byte, unseen).map(|found| from + found) {
                    cutter.line(end, end + 1);
                }
            }
            Delimiter::Bytes(finder) | Delimiter::Wide(finder, _) => {
                let len = finder.needle().len();
                for end in finder.find_iter(unseen).map(|found| from + found) {
                    cutter.line(end, end + len);
                }
            }
        }
        self.start = cutter.start;
        self.framed = self.start;
    }

    /// Takes pieces off the unfinished line. What may be the beginning of a delimiter is not taken
    /// for a piece's end.
    fn split_tail(&mut self) {
        let until = self.filled.saturating_sub(self.delimiter.longest());
        let unlimited = self.filled.saturating_sub(self.start) <= self.limits.max_line;
        if unlimited || self.start + self.limits.max_line > until {
            return;
        }
        self.close();
        let slab = &self.blank.slab[..self.filled];
        let (lines, tally) = (&mut self.blank.lines, &mut self.tally);
        let mut cutter = Cutter { slab, lines, tally, limits: self.limits, start: self.start };
        let pieces = cutter.split(self.filled, until);
        self.in_pieces |= pieces > 0 && self.groups.is_some();
        self.start = cutter.start;
        self.framed = self.start;
    }

    /// Finishes the unfinished line, which may have been cut, at `end`; all until `next` is its.
    fn line(&mut self, end: usize, next: usize) {
        let slab = &self.blank.slab[..end];
        let line = self.delimiter.trim(&slab[self.start..]);
        let bare = self.start + line.len();
        let is_piece = std::mem::take(&mut self.in_pieces);
        let is_hole = self.limits.holes && line.first() == Some(&0);
        if let Some(groups) = &mut self.groups {
            let lines = &mut self.blank.lines;
            if self.cut == 0 && !is_piece && !is_hole && line.len() <= self.limits.max_line {
                let tally = &mut self.tally;
                self.framed =
                    groups.line(slab, (self.framed, self.start, bare), next, lines, tally);
                (self.start, self.scanned) = (next, next);
                return;
            }
            groups.close(self.framed, lines);
            if is_hole {
                // What comes after it is a line like any other.
                self.start = self.tally.strip_hole(slab, self.start);
                (self.framed, self.in_pieces) = (self.start, is_piece);
                return self.line(end, next);
            }
        }
        let (lines, tally) = (&mut self.blank.lines, &mut self.tally);
        let mut cutter = Cutter { slab, lines, tally, limits: self.limits, start: self.start };
        if self.cut > 0 {
            cutter.cut_line(bare, self.cut, self.cut_blank);
            self.sealed = true;
        } else {
            cutter.line(bare, next);
        }
        (self.framed, self.start, self.scanned) = (next, next, next);
    }
}
