//! What came in and what became of it.

use super::refused::Refused;

/// What came in and what became of it, counted since the start.
///
/// Every line is counted once under [`lines`](Self::lines) and once more under one of
/// [`taken`](Self::taken), [`unwatched`](Self::unwatched), [`events`](Self::events),
/// [`checks`](Self::checks) and [`refused`](Self::refused).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Packets.
    pub packets: u64,
    /// Those of them that were longer than the buffer. Their last line is cut, and not looked at.
    pub truncated: u64,
    /// Lines that are not empty.
    pub lines: u64,
    /// Lines that a watch took in.
    pub taken: u64,
    /// Sound lines that nobody watches.
    pub unwatched: u64,
    /// Events of DogStatsD.
    pub events: u64,
    /// Service checks of DogStatsD.
    pub checks: u64,
    /// Packets that the kernel dropped because its buffer was full. It tells of them with the next
    /// packet that it does not drop; a Unix socket drops none, there the sender waits.
    pub dropped: u64,
    refused: [u64; Refused::ALL.len()],
}

impl Counts {
    /// Lines that were not believed for this reason.
    pub fn refused(&self, why: Refused) -> u64 {
        self.refused.get(why as usize).copied().unwrap_or_default()
    }

    /// Lines that were not believed, for any reason.
    pub fn refused_total(&self) -> u64 {
        self.refused.iter().sum()
    }

    pub(super) fn refuse(&mut self, why: Refused) {
        if let Some(count) = self.refused.get_mut(why as usize) {
            *count += 1;
        }
    }
}
