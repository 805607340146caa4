//! What the log asks of a file system. Tests have one that is full, or fails.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// A file system, with at most one file open for appending.
pub(super) trait Disk: fmt::Debug + Send {
    /// Makes a file that is not there yet, and opens it.
    fn create(&mut self, path: &Path) -> io::Result<()>;

    /// Opens a file that is there.
    fn open(&mut self, path: &Path) -> io::Result<()>;

    /// Writes at the end of the open file; after an error some of it may be there.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the open file down.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Returns once the open file's content survives the loss of power.
    fn sync(&mut self) -> io::Result<()>;

    /// Returns once the names in a folder survive the loss of power.
    fn sync_folder(&mut self, folder: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
}

/// The operating system's.
#[derive(Debug, Default)]
pub(super) struct Os(Option<File>);

impl Os {
    fn file(&mut self) -> io::Result<&mut File> {
        self.0.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Disk for Os {
    fn create(&mut self, path: &Path) -> io::Result<()> {
        self.0 = Some(File::options().append(true).create_new(true).open(path)?);
        Ok(())
    }

    fn open(&mut self, path: &Path) -> io::Result<()> {
        self.0 = Some(File::options().append(true).open(path)?);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file()?.write_all(bytes)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file()?.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file()?.sync_data()
    }

    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        match File::open(folder)?.sync_all() {
            // Some file systems have nothing to sync there, and say so.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => other,
        }
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}
