//! The floor: `read` into one buffer, `memchr` for the line ends, and nothing else.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// As large as serves `read` best on most machines.
const BUFFER: usize = 256 * 1024;

/// Calls `each` with every line of the file, without its end.
///
/// # Errors
/// If the file cannot be read.
pub fn lines(path: &Path, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut reader = Lines::new(File::open(path)?);
    while reader.read(&mut each)? > 0 {}
    Ok(())
}

/// The lines of a file that may still grow.
#[derive(Debug)]
pub struct Lines {
    file: File,
    buffer: Vec<u8>,
    /// Bytes of a line whose end is not read yet.
    held: usize,
}

impl Lines {
    /// Reads on from where the file stands.
    #[must_use]
    pub fn new(file: File) -> Self {
        Self { file, buffer: vec![0; BUFFER], held: 0 }
    }

    /// Reads once. Gives the lines that are finished by it, and says how many bytes there were.
    ///
    /// # Errors
    /// If the file cannot be read, or a line is longer than the buffer.
    pub fn read(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<usize> {
        if self.held == self.buffer.len() {
            return Err(io::Error::other("a line is longer than the bare reader's buffer"));
        }
        let read = self.file.read(&mut self.buffer[self.held..])?;
        let filled = self.held + read;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &self.buffer[..filled]) {
            each(&self.buffer[start..end]);
            start = end + 1;
        }
        self.buffer.copy_within(start..filled, 0);
        self.held = filled - start;
        Ok(read)
    }
}
