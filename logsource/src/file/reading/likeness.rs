//! What other files of the log are to this one.

use std::io;
use std::time::{Duration, SystemTime};

use super::Reading;
use crate::file::disk::Handle;
use crate::file::identity::{self, Likeness, Opened};

impl<F: Handle> Reading<F> {
    /// When the file came to be, where the file system knows.
    pub(in crate::file) fn born(&self) -> Option<SystemTime> {
        let born = Duration::from_nanos(self.id.born?);
        SystemTime::UNIX_EPOCH.checked_add(born)
    }

    /// Whether so little was read that it may be the same in every file of the log.
    pub(in crate::file) fn is_young(&self) -> bool {
        !self.content.is_packed() && identity::is_young(&self.own_mark())
    }

    /// What another file is to this one, as far as this one was read.
    pub(in crate::file) fn likeness_of(&mut self, file: &mut Opened<F>) -> io::Result<Likeness> {
        let mark = self.own_mark();
        file.likeness_to(&mut self.content, &mark)
    }

    /// Whether another file is the beginning of what was read: a copy that was made when less was
    /// there. It is known by more than any header, or it is not.
    pub(in crate::file) fn has_read_all_of(&self, file: &mut Opened<F>) -> bool {
        let size = if file.content.is_packed() { self.base } else { file.stat.size };
        match self.memory.beginning(size.min(self.base)) {
            Some((len, crc)) => {
                !file.reaches(self.base) && identity::beginning(&mut file.content, len) == Some(crc)
            }
            None => file.is_begun(&self.own_mark()),
        }
    }
}
