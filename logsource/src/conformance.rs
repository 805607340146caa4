//! The suite that every adapter passes, ours and yours.
//!
//! An adapter's tests describe, with a [`Fixture`], how to write lines into the log and how to
//! open a source on it, and call [`run`]. The suite then finds out whether lines come whole and in
//! order, whether `read` moves nothing, whether cursors and acknowledgements resume exactly, and
//! whether dropping a stream lets go of everything. It needs no runtime of its own.
//!
//! The feature `conformance` turns it on. It is not a stable part of the API: a later version may
//! ask for more.

mod checks;
mod timer;

use std::fmt;

use async_trait::async_trait;

use crate::LogSource;

/// A log that a test can write to. Each check gets one of its own, empty at first.
#[async_trait]
pub trait Fixture: Send {
    /// Opens a source on the log, as a program does that was just started: with the offsets that
    /// the one before left behind. No other source is open then.
    async fn open(&mut self) -> Result<Box<dyn LogSource>, crate::Error>;

    /// Writes lines. Once it returns, they are in the log.
    async fn append(&mut self, lines: &[String]) -> Result<(), crate::Error>;

    /// What the adapter can do; everything, unless it says otherwise.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }
}

/// What not every source can do: what went through a pipe cannot be had again.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// [`Position::At`](crate::Position::At) finds every place again.
    pub replays: bool,
    /// Acknowledgements survive: [`Position::Resume`](crate::Position::Resume) goes on after them.
    pub resumes: bool,
    /// [`Position::End`](crate::Position::End) passes over what was there.
    pub ends: bool,
}

impl Default for Abilities {
    fn default() -> Self {
        Self { replays: true, resumes: true, ends: true }
    }
}

/// What an adapter got wrong.
#[derive(Debug)]
pub struct Failure {
    check: &'static str,
    what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conformance check `{}`: {}", self.check, self.what)
    }
}

impl std::error::Error for Failure {}

/// Runs every check that the adapter's abilities allow, each on a fixture of its own.
///
/// # Errors
/// The first check that failed, and what it saw.
pub async fn run<F: Fixture>(mut make: impl FnMut() -> F + Send) -> Result<(), Failure> {
    let failed = |check| move |what| Failure { check, what };
    let abilities = make().abilities();
    checks::whole_and_in_order(make()).await.map_err(failed("whole and in order"))?;
    checks::slow_consumer(make()).await.map_err(failed("slow consumer"))?;
    checks::read_moves_nothing(make()).await.map_err(failed("read moves nothing"))?;
    checks::lets_go(make()).await.map_err(failed("a dropped stream lets go"))?;
    checks::health(make()).await.map_err(failed("health"))?;
    if abilities.replays {
        checks::cursors(make()).await.map_err(failed("cursors resume exactly"))?;
    }
    if abilities.resumes {
        checks::acks(make()).await.map_err(failed("acknowledgements resume exactly"))?;
        checks::batch_acks(make()).await.map_err(failed("only acknowledged batches count"))?;
    }
    if abilities.ends {
        checks::end(make()).await.map_err(failed("the end passes over what was there"))?;
    }
    Ok(())
}
