//! What writing asks of a file system. The one in use is the operating system's; tests have one
//! in memory, which is full, fails, and loses power when they say so.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// A larger file was not written by us: not even with a million keys.
const MAX_BYTES: u64 = 1 << 30;

/// Whether a lock was had.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Locked {
    Ours,
    /// Somebody else has it: the process of that number, if that could be read.
    Taken(Option<u32>),
}

/// A file system, with at most one file open for writing and one locked.
pub(super) trait Disk: Debug + Send {
    /// A file's content; `None` if there is none of that name.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// Locks a file, and makes it if need be. It stays locked as long as this lives.
    fn lock(&mut self, path: &Path) -> io::Result<Locked>;

    /// Makes a file, or empties it, and opens it for writing.
    fn create(&mut self, path: &Path) -> io::Result<()>;

    /// Opens a file for syncing it.
    fn reopen(&mut self, path: &Path) -> io::Result<()>;

    /// Whether the open file is still the one of that name.
    fn is_open(&self, path: &Path) -> bool;

    /// Writes at the end of the open file.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns once the open file's content survives the loss of power.
    fn sync(&mut self) -> io::Result<()>;

    /// Returns once the names beside that one survive the loss of power.
    fn sync_directory(&mut self, of: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove(&mut self, path: &Path) -> io::Result<()>;
}

/// The operating system's.
#[derive(Debug, Default)]
pub(super) struct Os {
    open: Option<File>,
    lock: Option<File>,
}

impl Os {
    fn open(&self) -> io::Result<&File> {
        self.open.as_ref().ok_or_else(|| ErrorKind::NotConnected.into())
    }
}

impl Drop for Os {
    /// Closing alone does not unlock it while a child that is just being started has it too.
    fn drop(&mut self) {
        if let Some(file) = &self.lock {
            rustix::fs::flock(file, FlockOperation::Unlock).ok();
        }
    }
}

impl Disk for Os {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 1 GiB"));
        }
        Ok(Some(bytes))
    }

    fn lock(&mut self, path: &Path) -> io::Result<Locked> {
        let mut options = File::options();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                file.take(32).read_to_string(&mut text).ok();
                return Ok(Locked::Taken(text.trim().parse().ok()));
            }
            Err(error @ (Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP)) => {
                tracing::debug!(path = %path.display(), %error, "files cannot be locked there");
            }
            other => other?,
        }
        // Only for the message that another process gives.
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).ok();
        self.lock = Some(file);
        Ok(Locked::Ours)
    }

    fn create(&mut self, path: &Path) -> io::Result<()> {
        self.open = None;
        self.open = Some(File::create(path)?);
        Ok(())
    }

    fn reopen(&mut self, path: &Path) -> io::Result<()> {
        self.open = Some(File::options().append(true).open(path)?);
        Ok(())
    }

    fn is_open(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;

        let inode = |meta: fs::Metadata| (meta.dev(), meta.ino());
        let open = self.open.as_ref().and_then(|file| file.metadata().ok()).map(inode);
        open.is_some() && open == fs::metadata(path).ok().map(inode)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.open()?.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.open()?.sync_data()
    }

    fn sync_directory(&mut self, of: &Path) -> io::Result<()> {
        let directory = of.parent().filter(|parent| !parent.as_os_str().is_empty());
        synced(File::open(directory.unwrap_or(Path::new(".")))?.sync_all())
    }

    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// Some file systems, such as a few of those in user space and of networks, cannot sync a
/// directory, and say so each time: there is nothing more to be done for it.
fn synced(done: io::Result<()>) -> io::Result<()> {
    let is_unknown = |error: &io::Error| {
        let errno = Errno::from_io_error(error);
        matches!(errno, Some(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS))
    };
    done.or_else(|error| if is_unknown(&error) { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_synced_is_one_that_is() {
        for errno in [Errno::INVAL, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::NOSYS] {
            assert!(synced(Err(errno.into())).is_ok(), "{errno}");
        }
        for errno in [Errno::IO, Errno::NOSPC, Errno::DQUOT] {
            assert!(synced(Err(errno.into())).is_err(), "{errno}");
        }
    }

    #[test]
    fn a_lock_ends_with_its_holder_though_a_child_has_it_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let (mut first, mut second) = (Os::default(), Os::default());
        assert_eq!(first.lock(&path).unwrap(), Locked::Ours);
        let us = std::process::id();
        assert_eq!(second.lock(&path).unwrap(), Locked::Taken(Some(us)));
        // As between a fork and its exec.
        let child = first.lock.as_ref().unwrap().try_clone().unwrap();
        drop(first);
        assert_eq!(second.lock(&path).unwrap(), Locked::Ours);
        drop(child);
    }
}
