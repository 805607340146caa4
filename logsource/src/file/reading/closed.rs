//! A file that is closed while nobody writes to it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::{Account, Reading, Shared};
use crate::cursor::FileMark;
use crate::file::disk::{Handle, Stat};
use crate::file::identity::{self, Opened};

/// A file that is closed for now: where to go on, and how it was.
#[derive(Debug)]
pub(in crate::file) struct Closed {
    pub(in crate::file) mark: FileMark,
    pub(in crate::file) account: Account,
    /// Its size on disk if all of that was read.
    size: Option<u64>,
    modified: Option<SystemTime>,
}

impl Closed {
    /// Whether there is nothing to read.
    pub(in crate::file) fn is_as_before(&self, stat: &Stat) -> bool {
        self.is(stat) && self.size == Some(stat.size) && self.modified == stat.modified
    }

    /// Whether it is this file.
    pub(in crate::file) fn is(&self, stat: &Stat) -> bool {
        let file = &self.mark.file;
        (file.dev, file.ino) == stat.inode() && identity::is_same_birth(stat.born, file.born)
    }

    /// How much of this file is not read.
    pub(in crate::file) fn lag(&self, stat: &Stat) -> u64 {
        if self.size == Some(stat.size) { 0 } else { stat.size.saturating_sub(self.mark.offset) }
    }
}

impl<F: Handle> Reading<F> {
    /// Opens a file again that was closed. It may have been cut since.
    pub(in crate::file) fn reopen(
        shared: &Shared,
        path: &Arc<Path>,
        opened: Opened<F>,
        closed: Closed,
        now: Instant,
    ) -> Self {
        let Closed { mark, account, .. } = closed;
        let mut reading = Self::new(shared, path, opened, mark.offset, Ok(account), now);
        (reading.id, reading.tail) = (mark.file, mark.tail);
        reading
    }

    /// Whether nothing is held that a closed file could not be told by.
    pub(in crate::file) fn may_close(&self) -> bool {
        self.rested && self.framer.is_empty() && !self.is_resumed() && self.handed.is_none()
    }

    /// Closes it for now.
    pub(in crate::file) fn close(self) -> Closed {
        let (mark, stat) = (self.own_mark(), self.stat().ok());
        let is_all = match self.content.is_packed() {
            true => self.content.is_complete(),
            false => stat.as_ref().is_some_and(|stat| stat.size == self.base),
        };
        let size = stat.as_ref().filter(|_| is_all).map(|stat| stat.size);
        let modified = stat.and_then(|stat| stat.modified);
        Closed { mark, account: self.account, size, modified }
    }
}
