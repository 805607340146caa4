//! Reading a log back: every sound entry, oldest first, whatever else the files hold.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::DecisionEntry;
use super::file::{path, trouble};
use super::line::{BadLine, MAX_LINE, decode};
use crate::error::{Error, ErrorKind};
use crate::state::DeciderState;

/// Reads the entries of a folder that a [`FileDecisionLog`](super::FileDecisionLog) writes, oldest
/// first; it may be writing meanwhile.
///
/// A line that is no entry is an error with its place, and reading goes on behind it. What a crash
/// cut short at the very end, or what is just being written there, is no entry yet and no error.
#[derive(Debug)]
pub struct DecisionLogReader {
    folder: PathBuf,
    /// Files that are still to be read, newest first.
    left: Vec<u64>,
    lines: Option<Lines>,
}

impl DecisionLogReader {
    /// Looks which files there are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the folder cannot be read, or holds no log.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = folder.as_ref();
        let mut left = files(folder)?;
        if left.is_empty() {
            let message = format!(
                "{} holds no decision log: name the folder that has `decisions-00000001.jsonl` in \
                 it",
                folder.display()
            );
            return Err(Error::new(ErrorKind::Io, message));
        }
        left.reverse();
        Ok(Self { folder: folder.to_owned(), left, lines: None })
    }

    fn step(&mut self) -> Result<Option<DecisionEntry>, Error> {
        loop {
            let Some(lines) = &mut self.lines else {
                let Some(next) = self.left.pop() else { return Ok(None) };
                match Lines::open(&path(&self.folder, next)) {
                    Ok(lines) => self.lines = Some(lines),
                    // It was the oldest, and the log has just left it behind.
                    Err(error) if is_gone(&error) => {}
                    Err(error) => return Err(error),
                }
                continue;
            };
            let Some(line) = lines.next()? else {
                self.lines = None;
                continue;
            };
            match line.entry {
                Ok(entry) if line.complete => return Ok(Some(entry)),
                _ if !line.complete && self.left.is_empty() => {}
                Ok(_) => return Err(place(&lines.path, line.number, "its end is missing")),
                Err(bad) => return Err(place(&lines.path, line.number, bad)),
            }
        }
    }
}

impl Iterator for DecisionLogReader {
    type Item = Result<DecisionEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step().transpose();
        if let Some(Err(error)) = &step
            && error.kind() == ErrorKind::Io
        {
            // It would only fail again.
            (self.lines, self.left) = (None, Vec::new());
        }
        step
    }
}

/// What the decider of `target` remembered last, by the log in `folder`: give it to
/// [`Decider::with_state`](crate::Decider::with_state). Damaged lines are passed over, with a
/// warning.
///
/// # Errors
///
/// [`ErrorKind::Io`] if the folder cannot be read. One that is not there holds nothing.
pub fn last_state(folder: impl AsRef<Path>, target: &str) -> Result<Option<DeciderState>, Error> {
    let folder = folder.as_ref();
    for number in files(folder)?.into_iter().rev() {
        let mut reader =
            DecisionLogReader { folder: folder.to_owned(), left: vec![number], lines: None };
        let mut last = None;
        for entry in &mut reader {
            match entry {
                Ok(entry) if **entry.target() == *target => {
                    last = entry.state().cloned().or(last);
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Io => return Err(error),
                Err(error) => tracing::warn!(target: "birl_scaler", %error, "passed over"),
            }
        }
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// The numbers of the files that there are, oldest first.
pub(super) fn files(folder: &Path) -> Result<Vec<u64>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| trouble("read", folder, error))?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| trouble("read", folder, error))?;
        let name = entry.file_name();
        let digits = name
            .to_str()
            .and_then(|name| name.strip_prefix("decisions-")?.strip_suffix(".jsonl"))
            .filter(|digits| digits.len() >= 8 && digits.bytes().all(|b| b.is_ascii_digit()));
        numbers.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The lines of one file.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    buffer: Vec<u8>,
    number: u64,
    end: u64,
}

/// A line, as far as it goes.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) entry: Result<DecisionEntry, BadLine>,
    /// Counted from 1.
    pub(super) number: u64,
    /// Where the next one begins.
    pub(super) end: u64,
    /// Whether it ends as lines do.
    pub(super) complete: bool,
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| trouble("read", path, error))?;
        let reader = BufReader::with_capacity(64 << 10, file);
        Ok(Self { path: path.to_owned(), reader, buffer: Vec::new(), number: 0, end: 0 })
    }

    pub(super) fn next(&mut self) -> Result<Option<Line>, Error> {
        self.buffer.clear();
        let failed = |error| trouble("read", &self.path, error);
        let mut read = (&mut self.reader)
            .take(MAX_LINE as u64)
            .read_until(b'\n', &mut self.buffer)
            .map_err(failed)?;
        if read == 0 {
            return Ok(None);
        }
        let mut complete = self.buffer.last() == Some(&b'\n');
        let too_long = !complete && read >= MAX_LINE;
        if too_long {
            self.buffer.clear();
            let more = self.reader.skip_until(b'\n').map_err(failed)?;
            (read, complete) = (read + more, true);
        }
        self.number += 1;
        self.end += read as u64;
        let text = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let entry = if too_long { Err(BadLine::Damaged) } else { decode(text) };
        Ok(Some(Line { entry, number: self.number, end: self.end, complete }))
    }
}

fn place(path: &Path, line: u64, why: impl std::fmt::Display) -> Error {
    let message = format!("{}: line {line} is no entry: {why}", path.display());
    Error::new(ErrorKind::InvalidState, message)
}

fn is_gone(error: &Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}
