//! Output that comes through a pipe: a command's, or what is on standard input.

mod command;
mod pump;
mod reader;

use crate::cursor::Place;
use crate::{Cursor, Error, Position};

pub use command::{CommandSource, CommandSourceBuilder};
pub use reader::{StdinSource, StdinSourceBuilder};

/// The bytes that a position passes over.
fn skipped(from: &Position) -> Result<u64, Error> {
    match from {
        Position::At(Cursor(Place::Count(bytes))) => Ok(*bytes),
        Position::At(cursor) => {
            Err(Error::invalid(format!("`{cursor}` is not a place in a stream of bytes")))
        }
        _ => Ok(0),
    }
}

/// What happens when the buffer between a pipe and its consumer is full.
///
/// A file needs no such policy: there the file is the buffer.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The pipe is not read, so that in the end its writer waits. Nothing is lost.
    #[default]
    Block,
    /// The oldest lines of the buffer make room, and are counted as dropped.
    DropOldest,
    /// The newest lines are not taken, and are counted as dropped.
    DropNewest,
}
