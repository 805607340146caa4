//! What the follower asks of a file system.

use std::collections::HashSet;
use std::fmt::Debug;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirEntryExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::OFlags;

/// Of a directory with more entries than this, no more are looked at for renamed files.
const MAX_ENTRIES: usize = 100_000;

/// A file system.
pub(super) trait Disk: Clone + Debug + Send + Sync + 'static {
    /// An open file.
    type File: Handle;

    /// Opens a regular file; `None` if there is none of that name.
    fn open(&self, path: &Path) -> io::Result<Option<Self::File>>;

    /// What a name stands for now, links followed; `None` if there is none of that name.
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>>;

    /// The names in a directory with their inode numbers, links not followed.
    fn list(&self, directory: &Path) -> io::Result<Vec<(PathBuf, u64)>>;

    /// Removes a name.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The path that a symbolic link leads to in the end; `None` if it is none, or leads nowhere.
    fn target(&self, path: &Path) -> Option<PathBuf>;
}

/// An open file.
pub(super) trait Handle: Debug + Send + Sync + 'static {
    /// Reads at an offset; 0 at the end.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;

    /// What it is now.
    fn stat(&self) -> io::Result<Stat>;

    /// How long it is now.
    fn size(&self) -> io::Result<u64> {
        self.stat().map(|stat| stat.size)
    }

    /// The next offset, from this one on, at which something was ever written; `None` if there is
    /// only a hole up to the end.
    fn next_data(&self, offset: u64) -> io::Result<Option<u64>>;
}

/// The inode numbers that are in some directories. None if one of them cannot be listed, or not all
/// that is in it: what is not among the others may be there.
pub(super) fn inodes<'a>(
    disk: &impl Disk,
    directories: impl Iterator<Item = &'a Path>,
) -> Option<HashSet<u64>> {
    let mut found = HashSet::new();
    for directory in directories {
        match disk.list(directory) {
            Ok(entries) if entries.len() < MAX_ENTRIES => {
                found.extend(entries.into_iter().map(|(_, ino)| ino));
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            _ => return None,
        }
    }
    Some(found)
}

/// What a file system knows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) dev: u64,
    pub(super) ino: u64,
    pub(super) size: u64,
    /// How many bytes of disk it takes.
    pub(super) space: u64,
    /// How many names it has.
    pub(super) links: u64,
    pub(super) modified: Option<SystemTime>,
    pub(super) born: Option<SystemTime>,
    pub(super) is_file: bool,
}

impl Stat {
    /// Its device and inode number.
    pub(super) fn inode(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }
}

impl From<Metadata> for Stat {
    fn from(meta: Metadata) -> Self {
        Self {
            dev: meta.dev(),
            ino: meta.ino(),
            size: meta.len(),
            space: meta.blocks().saturating_mul(512),
            links: meta.nlink(),
            modified: meta.modified().ok(),
            born: meta.created().ok(),
            is_file: meta.is_file(),
        }
    }
}

fn open_with(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// The operating system's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Real;

impl Disk for Real {
    type File = File;

    fn open(&self, path: &Path) -> io::Result<Option<File>> {
        // Not blocking: opening a named pipe would wait for its writer.
        let opened = match open_with(path, OFlags::NONBLOCK | OFlags::NOATIME) {
            // Only the owner may read without a trace.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                open_with(path, OFlags::NONBLOCK)
            }
            other => other,
        };
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if !file.metadata()?.is_file() {
            let what = "not a regular file; read it with the command `cat` instead";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        Ok(Some(file))
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        match std::fs::metadata(path) {
            Ok(meta) => Ok(Some(meta.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
        let entries = std::fs::read_dir(directory)?.filter_map(Result::ok).take(MAX_ENTRIES);
        Ok(entries.map(|entry| (entry.path(), entry.ino())).collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn target(&self, path: &Path) -> Option<PathBuf> {
        if path.is_symlink() { path.canonicalize().ok() } else { None }
    }
}

/// One that somebody else has open.
impl Handle for Arc<dyn Handle> {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        self.as_ref().read_at(into, offset)
    }

    fn stat(&self) -> io::Result<Stat> {
        self.as_ref().stat()
    }

    fn size(&self) -> io::Result<u64> {
        self.as_ref().size()
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        self.as_ref().next_data(offset)
    }
}

impl Handle for File {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, into, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn stat(&self) -> io::Result<Stat> {
        self.metadata().map(Stat::from)
    }

    /// Takes a third of the time of all that is known of a file. Nothing reads where it seeks to.
    fn size(&self) -> io::Result<u64> {
        rustix::fs::seek(self, rustix::fs::SeekFrom::End(0)).map_err(io::Error::from)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(self, rustix::fs::SeekFrom::Data(offset)) {
            Ok(at) => Ok(Some(at)),
            Err(rustix::io::Errno::NXIO) => Ok(None),
            // A file system that knows no holes has none.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => Ok(Some(offset)),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories that are called how many files they have.
    #[derive(Debug, Clone)]
    struct Numbered;

    impl Disk for Numbered {
        type File = File;

        fn open(&self, _: &Path) -> io::Result<Option<File>> {
            Ok(None)
        }

        fn stat(&self, _: &Path) -> io::Result<Option<Stat>> {
            Ok(None)
        }

        fn list(&self, directory: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
            let most = match directory.to_str() {
                Some("gone") => return Err(io::ErrorKind::NotFound.into()),
                Some("locked") => return Err(io::ErrorKind::PermissionDenied.into()),
                number => number.and_then(|number| number.parse().ok()).unwrap_or(0),
            };
            let files = (1..=most).take(MAX_ENTRIES);
            Ok(files.map(|ino| (PathBuf::new(), ino)).collect())
        }

        fn remove(&self, _: &Path) -> io::Result<()> {
            Ok(())
        }

        fn target(&self, _: &Path) -> Option<PathBuf> {
            None
        }
    }

    #[test]
    fn what_may_be_in_a_directory_beyond_what_was_listed_is_not_taken_for_gone() {
        let count = |directories: &[&str]| {
            let paths = directories.iter().map(Path::new);
            inodes(&Numbered, paths).map(|found| found.len())
        };
        assert_eq!(count(&["3", "gone", "5"]), Some(5));
        assert_eq!(count(&["3", "locked"]), None);
        let most = (MAX_ENTRIES + 1).to_string();
        assert_eq!(count(&["3", &most]), None);
    }
}
