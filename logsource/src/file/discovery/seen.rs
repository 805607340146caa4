//! What has happened, as far as it is a reason to look.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What has happened since it was last asked. Reuse one: what is in it costs nothing to see again.
#[derive(Debug, Default)]
pub(in crate::file) struct Seen {
    /// Events were lost, or a file system is gone: all must be looked at.
    pub(in crate::file) lost_events: bool,
    /// Files that may have been made, renamed or removed, or anything else. One behind a link has
    /// the link's name.
    pub(in crate::file) touched: HashSet<PathBuf>,
    /// Files that were written or cut, and bear the same names as before unless they are among
    /// those as well.
    pub(in crate::file) written: HashSet<PathBuf>,
    /// The file that was [remembered](super::Watcher::remember), if it was written again.
    pub(in crate::file) again: Option<Arc<Path>>,
    /// A file came to this name that had none that was cared for. Each is here as often as it came.
    pub(in crate::file) born: Vec<PathBuf>,
    /// Directories that came or went and that can have files that are meant: walk in them again.
    pub(in crate::file) changed: HashSet<PathBuf>,
}

impl Seen {
    /// Forgets all of it.
    pub(in crate::file) fn clear(&mut self) {
        self.lost_events = false;
        self.touched.clear();
        self.written.clear();
        self.again = None;
        self.born.clear();
        self.changed.clear();
    }

    /// Whether all that happened is that one file was written.
    pub(in crate::file) fn is_one_written(&self) -> bool {
        let Self { lost_events, touched, written, again, born, changed } = self;
        let none = touched.is_empty() && again.is_none() && born.is_empty() && changed.is_empty();
        !lost_events && none && written.len() == 1
    }

    /// Whether there is a reason to look.
    pub(in crate::file) fn is_empty(&self) -> bool {
        let Self { lost_events, touched, written, again, born, changed } = self;
        let none = touched.is_empty() && written.is_empty() && born.is_empty();
        !lost_events && none && changed.is_empty() && again.is_none()
    }
}
