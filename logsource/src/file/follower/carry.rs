//! From one file of a log to the next.

use std::io;
use std::time::Instant;

use super::{Cut, Follower};
use crate::file::disk::Disk;

/// What became of what a file holds.
pub(super) enum HandedOver {
    /// It holds nothing, or it stays there.
    No,
    /// The next file goes on with it.
    Yes,
    /// The next file is empty, or this one is an archive that is being written: nothing is known
    /// before that goes on.
    NotYet,
    /// More was written to the file, which is in `rest` now.
    More,
    /// The next file was cut.
    NextIsCut,
}

impl<D: Disk> Follower<D> {
    /// Gives what a file that is read to its end holds to the next file, if nothing was read of
    /// that yet: whoever writes there does not write to the earlier one any more.
    pub(super) fn hand_over(
        &mut self,
        index: usize,
        now: Instant,
        max: usize,
    ) -> io::Result<Result<HandedOver, Cut>> {
        let is_last = index + 2 >= self.chain.len();
        let (Some(reading), Some(next)) = (self.chain.get(index), self.chain.get(index + 1)) else {
            return Ok(Ok(HandedOver::No));
        };
        if !reading.has_partial() || !next.is_fresh() {
            return Ok(Ok(HandedOver::No));
        }
        if reading.is_growing() || (is_last && next.stat()?.size == 0) {
            return Ok(Ok(HandedOver::NotYet));
        }
        // A copy of what the next file was may have to come between.
        if is_last && self.is_shown_cut(index + 1)? {
            return Ok(Ok(HandedOver::NextIsCut));
        }
        // Only what was written before the next file was begun is before it.
        match self.read_one(index, now, max)? {
            Ok(None) => {}
            Ok(Some(batch)) => {
                self.rest.push_back(batch);
                return Ok(Ok(HandedOver::More));
            }
            Err(cut) => return Ok(Err(cut)),
        }
        let carried = self.chain.get_mut(index).and_then(|reading| reading.carry());
        let (Some(carried), Some(next)) = (carried, self.chain.get_mut(index + 1)) else {
            return Ok(Ok(HandedOver::No));
        };
        next.resume(carried);
        Ok(Ok(HandedOver::Yes))
    }
}
