//! What can go wrong with a source, and whether waiting helps.

use std::fmt;
use std::time::Duration;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What kind of trouble an [`Error`] is.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The file, directory or program is not there.
    NotFound,
    /// The process may not read or write it.
    PermissionDenied,
    /// The caller asked for something that cannot be: a bad pattern, setting or description.
    InvalidInput,
    /// The operating system refused a read, a write or a new thread.
    Io,
    /// What was read back is not what was written: an offset file, a journal's answer.
    Corrupt,
    /// The source has ended and will not go on, such as a command that failed.
    Closed,
    /// Too much is in flight, and nothing was taken: what `EAGAIN` is to a socket. Try again, after
    /// [`Error::retry_after`] if that is known.
    WouldBlock,
    /// Anything that an adapter of another crate reports.
    Other,
}

/// A failure of a source. A bad *line* is never an error: it comes as an entry that says what is
/// wrong with it.
///
/// `Display` names the place and the remedy; the cause, if there is one, is the
/// [`source`](std::error::Error::source).
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: Box<str>,
    retryable: bool,
    retry_after: Option<Duration>,
    cause: Option<Cause>,
}

impl Error {
    /// An error that will not pass by itself. The message names the place and the remedy.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into().into();
        Self { kind, message, retryable: false, retry_after: None, cause: None }
    }

    /// Says that the source goes on by itself, and that this was only a report.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Adds what caused it.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What kind of trouble it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the source goes on by itself. A `tail` stream yields more after such an error, and
    /// ends after any other.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }

    /// When trying again may help: the earliest time at which there is anything left of a rate.
    /// `None` if that is up to somebody else, such as whoever has to drop batches first.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Says when trying again may help.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// An I/O error at a place: `doing` is a phrase such as `cannot read /var/log/app.log`.
    #[cfg(any(feature = "file", feature = "stdout", feature = "journald"))]
    pub(crate) fn io(doing: impl fmt::Display, cause: std::io::Error) -> Self {
        let (kind, remedy) = match cause.kind() {
            std::io::ErrorKind::NotFound => (ErrorKind::NotFound, "check that it exists"),
            std::io::ErrorKind::PermissionDenied => {
                (ErrorKind::PermissionDenied, "let this user read or write it")
            }
            _ => (ErrorKind::Io, ""),
        };
        let gap = if remedy.is_empty() { "" } else { "; " };
        Self::new(kind, format!("{doing}: {cause}{gap}{remedy}")).with_cause(cause)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause.as_ref() as _)
    }
}
