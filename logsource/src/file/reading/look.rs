//! A look into a file: all that is there is read, and it is asked whether it was cut meanwhile.

use std::io;

use super::{Filled, Reading};
use crate::file::disk::Handle;

impl<F: Handle> Reading<F> {
    /// Begins a look. Says whether the file was cut since the last one, if something is held that
    /// it would be too late to save once more is read; else that is asked once there is more.
    pub(in crate::file) fn begin_look(&mut self) -> io::Result<bool> {
        if !std::mem::take(&mut self.rested) {
            return Ok(false);
        }
        self.checked = false;
        Ok(self.has_partial() && self.is_found_cut()?)
    }

    /// Reads nothing, since something is left. Whether all that is there was read is not known then.
    pub(in crate::file) fn pass(&mut self) -> Filled {
        self.at_end = false;
        Filled::More
    }

    /// Whether the last read of a packed file did not come to its end.
    pub(in crate::file) fn is_amid(&self) -> bool {
        self.is_amid && self.content.is_packed()
    }

    /// Everything that is there was read. Says whether the file was cut meanwhile.
    pub(in crate::file) fn end_look(&mut self) -> io::Result<bool> {
        let is_doubtful = !self.trusted && self.has_partial();
        if (is_doubtful || !self.checked) && self.is_found_cut()? {
            return Ok(true);
        }
        (self.rested, self.trusted) = (true, true);
        self.framer.rest();
        Ok(false)
    }

    /// Ends the look after a batch, if there is no line left, and all that was there was read before
    /// it was asked whether the file had been cut. What was written since then is for the next look:
    /// to go after each line that comes while a busy file is read costs more than the line.
    pub(in crate::file) fn end_look_early(&mut self) {
        let is_all_read = self.checked && (self.at_end || self.size == self.at);
        if is_all_read && !self.content.is_packed() && !self.framer.has_lines() {
            (self.rested, self.trusted) = (true, true);
            self.framer.rest();
        }
    }

    /// Whether all that was there was taken at the last look, if there was one.
    pub(in crate::file) fn is_rested(&self) -> bool {
        self.rested
    }

    /// Whether the file was cut: asked in the course of a look.
    pub(in crate::file) fn is_found_cut(&mut self) -> io::Result<bool> {
        let is_cut = self.is_cut()?;
        self.checked = !is_cut;
        Ok(is_cut)
    }
}
