//! How the program ends when it does not end well: an exit code and words that name the remedy.

use std::fmt;
use std::process::ExitCode;

/// A reason to stop, with the exit code that scripts see.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The user's input is at fault: exit code 2.
    pub(crate) fn input(message: impl fmt::Display) -> Self {
        Self { code: 2, message: message.to_string() }
    }

    /// Something went wrong while running: exit code 1.
    pub(crate) fn running(message: impl fmt::Display) -> Self {
        Self { code: 1, message: message.to_string() }
    }

    /// A fault of birl's own: exit code 3.
    pub(crate) fn own(message: impl fmt::Display) -> Self {
        Self { code: 3, message: format!("{message} (this is a fault in birl; please report it)") }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A message that is a rendered diagnostic already begins with `error`.
        if self.message.starts_with("error") {
            f.write_str(&self.message)
        } else {
            write!(f, "error: {}", self.message)
        }
    }
}
