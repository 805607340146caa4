//! Output that comes through a pipe: a command's, or what is on standard input.

mod command;
mod pump;
mod reader;

pub use command::{CommandSource, CommandSourceBuilder};
pub use reader::{StdinSource, StdinSourceBuilder};

/// What happens when the buffer between a pipe and its consumer is full.
///
/// A file needs no such policy: there the file is the buffer.
///
/// Where more than 85 % of a [`Budget`](crate::Budget) is in flight, a pipe that blocks is not read
/// either; the two others go on with 1000 lines and 1 MiB a second (`overload_rate`), drop what is
/// above that, and count it as [rate-limited](crate::DropReason::RateLimited).
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
