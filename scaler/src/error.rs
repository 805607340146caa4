//! One opaque error for the crate, with a kind to branch on and a message to read.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong, for code that branches on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A scaler specification breaks a rule; the message names every offending field.
    InvalidSpec,
    /// A saved state, or an entry of a log, cannot be taken up: damaged, of another format version, or
    /// of another target.
    InvalidState,
    /// An argument is out of range, such as more workers than the configured ceiling.
    InvalidInput,
    /// A worker process could not be started.
    Spawn,
    /// The target did not reach the asked-for size before its deadline.
    Timeout,
    /// Reading or writing a file failed.
    Io,
    /// The target was shut down.
    Closed,
    /// A target's platform refused or failed; for implementors of
    /// [`ScaleTarget`](crate::ScaleTarget).
    Target,
}

/// Why an operation of this crate failed.
///
/// `Display` shows this layer only; [`source`](StdError::source) holds the cause, if there is one.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with a message that names the place and the remedy.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Attaches the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What went wrong, for code that branches on it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Spawn | ErrorKind::Timeout | ErrorKind::Io | ErrorKind::Target
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
