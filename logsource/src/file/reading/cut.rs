//! A file that is cut short, or written anew in place.

use std::io;
use std::sync::Arc;

use super::{Account, Reading};
use crate::cursor::{FileId, Tail};
use crate::file::disk::Handle;
use crate::file::identity;

impl<F: Handle> Reading<F> {
    /// Whether the file is not the one any more that was read up to here: it is shorter, or does
    /// not begin or go on as it did.
    pub(in crate::file) fn is_cut(&mut self) -> io::Result<bool> {
        let size = self.content.file().size()?;
        if self.content.is_packed() {
            return Ok(false);
        }
        if size < self.at {
            return Ok(true);
        }
        self.size = size;
        // As long as nothing was taken, what is held of a first line is all that it is known by.
        let is_held = self.memory.head_bytes() > self.id.head.len as usize;
        let head = if is_held { self.memory.head() } else { self.id.head };
        Ok(!identity::stands(&mut self.content, self.tail)
            || !identity::begins_with(&mut self.content, head))
    }

    /// Whether the file is shorter than what was read of it.
    pub(in crate::file) fn is_shorter(&self) -> bool {
        self.content.file().size().is_ok_and(|size| size < self.at)
    }

    /// Begins anew: the file was written anew in place. Gives the account of what it was.
    pub(in crate::file) fn restart(&mut self, key: Arc<str>) -> io::Result<Account> {
        self.content.restart()?;
        let (head, stat) = (identity::head(&mut self.content)?, self.content.file().stat()?);
        self.framer.begin(0);
        self.is_damage_told = false;
        (self.base, self.at, self.tail) = (0, 0, Tail::default());
        self.memory.begin(0, &[]);
        (self.size, self.at_hole) = (stat.size, false);
        self.growth.clear();
        self.left.clear();
        self.resumed = None;
        self.id = Arc::new(FileId { head, ..self.id.as_ref().clone() });
        let account = Account::open(&self.shared, key, &self.place(0));
        Ok(std::mem::replace(&mut self.account, account))
    }

    /// How many bytes were there at the last look, and were not read.
    pub(in crate::file) fn unread(&self) -> u64 {
        self.size.saturating_sub(self.at)
    }
}
