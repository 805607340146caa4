//! What `journalctl` answers.

use std::fs::File;
use std::io::{ErrorKind as Io, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::export::Exported;
use crate::shell::{Wake, wait};
use crate::slab::Pool;
use crate::{Error, ErrorKind};

/// How long `journalctl` may be silent before a `read` gives up on it.
pub(super) const READ_PATIENCE: Duration = Duration::from_secs(30);

/// The output of a child.
pub(super) struct Input {
    file: File,
    pub(super) exported: Exported,
    /// The cursor of an entry that could not be read.
    pub(super) bad: Option<String>,
}

impl Input {
    pub(super) fn new(stdout: OwnedFd, pool: &Arc<Pool>) -> Self {
        let exported = Exported::new(Arc::clone(pool));
        Self { file: File::from(stdout), exported, bad: None }
    }

    /// Reads what comes within a time: so many bytes, 0 at the end, `None` if nothing came.
    pub(super) fn read(&mut self, within: Duration, wake: &Wake) -> Result<Option<usize>, Error> {
        if !wait(wake, &[self.file.as_fd()], within) {
            return Ok(None);
        }
        let read = match self.file.read(self.exported.room()) {
            Ok(read) => read,
            Err(error) if error.kind() == Io::Interrupted => return Ok(None),
            Err(cause) => return Err(Error::io("cannot read journalctl's output", cause)),
        };
        self.exported.fed(read).map_err(|unreadable| {
            self.bad = unreadable.cursor;
            let message = "journalctl's output is not in the export format, or an entry is too \
                           large";
            Error::new(ErrorKind::Corrupt, message)
        })?;
        Ok(Some(read))
    }

    /// Whether no further entry comes.
    pub(super) fn is_over(&mut self, within: Duration) -> Result<bool, Error> {
        loop {
            match self.read(within, &Wake::none())? {
                Some(0) => return Ok(self.exported.take().is_none()),
                Some(_) if self.exported.take().is_some() => return Ok(false),
                Some(_) => {}
                None => return Err(silent()),
            }
        }
    }
}

pub(super) fn silent() -> Error {
    let seconds = READ_PATIENCE.as_secs();
    Error::new(ErrorKind::Io, format!("journalctl said nothing for {seconds} s; it may hang"))
}
