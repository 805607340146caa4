//! What is between two delimiters: a line, or what a line that is no plain one becomes.

use super::settings::LongLines;
use super::tally::Tally;
use super::{clip, is_blank};
use crate::slab::Span;

/// What becomes of the lines that are not plain ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_line: usize,
    pub(super) long_lines: LongLines,
    /// Whether zero bytes at a line's beginning are none of it.
    pub(super) holes: bool,
    /// Whether characters have two bytes.
    pub(super) wide: bool,
    /// Whether lines of white space are wanted.
    pub(super) keep_blank: bool,
}

impl Limits {
    /// How much of a line is kept until its end is found: enough to see where a character ends.
    pub(super) fn head(self) -> usize {
        self.max_line + 2
    }

    fn clip(self, line: &[u8]) -> usize {
        if self.wide { self.max_line.min(line.len()) } else { clip(line, self.max_line).len() }
    }
}

/// Makes lines of what is between delimiters.
pub(super) struct Cutter<'a> {
    pub(super) slab: &'a [u8],
    pub(super) lines: &'a mut Vec<Span>,
    pub(super) tally: &'a mut Tally,
    pub(super) limits: Limits,
    /// Where the next line begins.
    pub(super) start: usize,
}

impl Cutter<'_> {
    /// The line that ends before `end`; the next one begins at `next`.
    #[inline]
    pub(super) fn line(&mut self, end: usize, next: usize) {
        // Nearly every line begins with a letter, and is not too long.
        let is_plain = end > self.start
            && self.slab[self.start] > b' '
            && end - self.start <= self.limits.max_line;
        if is_plain {
            self.lines.push(Span::new(self.start, end));
        } else {
            self.odd_line(end);
        }
        self.start = next;
    }

    #[cold]
    fn odd_line(&mut self, end: usize) {
        self.strip_hole(end);
        let line = &self.slab[self.start..end];
        if is_blank(line) && !self.limits.keep_blank {
            return;
        }
        if line.len() <= self.limits.max_line {
            self.lines.push(Span::new(self.start, end));
        } else if self.limits.long_lines == LongLines::Split {
            self.split(end, end);
            self.piece(end);
        } else {
            self.too_long(line.len() as u64);
        }
    }

    /// Takes pieces off a line for as long as they end before `until`. Says how many.
    pub(super) fn split(&mut self, end: usize, until: usize) -> usize {
        let (max_line, mut pieces) = (self.limits.max_line, 0);
        loop {
            self.strip_hole(end);
            let rest = &self.slab[self.start..end];
            if rest.len() <= max_line || self.start + max_line > until {
                return pieces;
            }
            pieces += 1;
            let piece = &rest[..self.limits.clip(rest)];
            self.tally.split += u64::from(!is_blank(piece));
            self.piece(self.start + piece.len());
        }
    }

    fn strip_hole(&mut self, end: usize) {
        if self.limits.holes && self.slab[self.start..end].first() == Some(&0) {
            self.start = self.tally.strip_hole(&self.slab[..end], self.start);
        }
    }

    fn piece(&mut self, end: usize) {
        if self.limits.keep_blank || !is_blank(&self.slab[self.start..end]) {
            self.lines.push(Span::new(self.start, end));
        }
        self.start = end;
    }

    /// A line of which a part was thrown away already.
    pub(super) fn cut_line(&mut self, end: usize, cut: u64, cut_blank: bool) {
        let line = &self.slab[self.start..end];
        if self.limits.keep_blank || !(cut_blank && is_blank(line)) {
            self.too_long(line.len() as u64 + cut);
        }
    }

    fn too_long(&mut self, len: u64) {
        let kept = match self.limits.long_lines {
            LongLines::Drop => 0,
            _ => self.limits.clip(&self.slab[self.start..]),
        };
        // What is left may be nothing but white space, which is no line.
        let is_left = self.limits.keep_blank || !is_blank(&self.slab[self.start..][..kept]);
        let kept = if is_left { kept } else { 0 };
        self.tally.long_lines += 1;
        self.tally.long_bytes += len - kept as u64;
        if kept > 0 {
            self.lines.push(Span::new(self.start, self.start + kept));
        }
    }
}
