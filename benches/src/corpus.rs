//! Files of lines, all of it from one counter: every run reads the same bytes.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::lines::Line;

/// Lines are made once for so many bytes, and written again and again: far more than a cache holds.
const BLOCK: usize = 16 << 20;

/// A block has a multiple of so many lines, so that what is in several lines is never cut between two.
const GROUP: u64 = 60;

/// A file of lines.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// Where it is.
    pub path: PathBuf,
    /// How many lines it has.
    pub lines: u64,
    /// How many bytes, line ends included.
    pub bytes: u64,
}

impl Corpus {
    /// Writes at least `bytes` of lines, and waits until they are on the disk, so that writing them
    /// back does not disturb what is measured. They stay in the page cache.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(path: &Path, bytes: u64, line: Line) -> io::Result<Self> {
        let (mut block, mut lines) = (Vec::with_capacity(BLOCK + 1024), 0_u64);
        let wanted = BLOCK.min(usize::try_from(bytes).unwrap_or(BLOCK));
        while block.len() < wanted || !lines.is_multiple_of(GROUP) {
            line(lines, &mut block)?;
            lines += 1;
        }
        let times = bytes.div_ceil(block.len() as u64);
        let mut file = File::create(path)?;
        for _ in 0..times {
            file.write_all(&block)?;
        }
        file.sync_all()?;
        let (lines, bytes) = (lines * times, block.len() as u64 * times);
        Ok(Self { path: path.to_owned(), lines, bytes })
    }
}
