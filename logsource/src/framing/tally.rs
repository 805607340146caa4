//! What was lost or changed on the way from bytes to lines.

use crate::metrics::{Count, DropReason, SourceMetrics};

/// Counts of one take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Lines that were longer than the limit, and were cut or dropped.
    pub(crate) long_lines: u64,
    /// The bytes that they lost that way.
    pub(crate) long_bytes: u64,
    /// Zero bytes that no writer wrote.
    pub(crate) hole_bytes: u64,
    /// Pieces that were taken off what is too long.
    pub(crate) split: u64,
    /// Messages whose end did not come in time.
    pub(crate) partial: u64,
    /// Lines with bytes that are not valid in their encoding.
    pub(crate) undecodable: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.long_lines += other.long_lines;
        self.long_bytes += other.long_bytes;
        self.hole_bytes += other.hole_bytes;
        self.split += other.split;
        self.partial += other.partial;
        self.undecodable += other.undecodable;
    }

    /// Where the line goes on after the zero bytes at its beginning.
    pub(super) fn strip_hole(&mut self, slab: &[u8], start: usize) -> usize {
        let hole = slab[start..].iter().take_while(|byte| **byte == 0).count();
        self.hole_bytes += hole as u64;
        start + hole
    }

    /// Counts it all.
    pub(crate) fn count(&self, metrics: &SourceMetrics) {
        if *self == Self::default() {
            return;
        }
        metrics.drop_lines(DropReason::LineTooLong, self.long_lines);
        metrics.drop_bytes(DropReason::LineTooLong, self.long_bytes);
        metrics.drop_bytes(DropReason::Hole, self.hole_bytes);
        metrics.add(Count::Split, self.split);
        metrics.add(Count::Partial, self.partial);
        metrics.add(Count::Undecodable, self.undecodable);
    }
}
