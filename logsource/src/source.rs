//! The contract of every source.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::Stream;
use futures_core::stream::BoxStream;

use crate::{Batch, Cursor, Delivery, Error, Origin, Position};

/// Somewhere that log entries come from.
///
/// Implementors do the least that every source can do; users have [`LogSourceExt`] beside it.
#[async_trait]
pub trait LogSource: Debug + Send + Sync + 'static {
    /// Who its entries are from.
    fn origin(&self) -> &Arc<Origin>;

    /// What is there now, from a position, at most `max` lines of it. Never waits for new data,
    /// and moves nothing: reading the same position twice gives the same entries, and
    /// acknowledging them changes nothing. Go on with [`Chunk::next`] until [`Chunk::at_end`].
    ///
    /// Cancel safe: dropping the future reads nothing further.
    ///
    /// # Errors
    /// If the source cannot be read. A file that does not exist yet has no entries; that is no
    /// error.
    async fn read(&self, from: Position, max: usize) -> Result<Chunk, Error>;

    /// A stream that goes on. It yields what is there from the position on, then what comes. It
    /// goes on after an error that [is retryable](Error::is_retryable) and ends after any other.
    ///
    /// A slow consumer holds the source back; a few batches are read ahead. Dropping the stream
    /// stops its thread, and waits until its offsets are on disk (milliseconds).
    ///
    /// What is there is found before this returns, so that what is written after that is new. For
    /// a pattern of many files that takes a while on the calling thread: see the source.
    fn tail(&self, from: Position) -> BoxStream<'static, Result<Batch, Error>>;

    /// How it is doing.
    ///
    /// # Errors
    /// If that cannot be told. A source in trouble is a [`Health`], not an error.
    async fn health_check(&self) -> Result<Health, Error>;
}

/// What [`LogSource::read`] found.
#[non_exhaustive]
#[derive(Debug)]
pub struct Chunk {
    /// The entries, unless there were none.
    pub batch: Option<Batch>,
    /// The place after them.
    pub next: Cursor,
    /// Whether that is all there is now.
    pub at_end: bool,
}

impl Chunk {
    /// A chunk, for adapters of other crates.
    #[must_use]
    pub fn new(batch: Option<Batch>, next: Cursor, at_end: bool) -> Self {
        Self { batch, next, at_end }
    }
}

/// How a source is doing.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// In one word.
    pub state: HealthState,
    /// Why it is not simply ready; names the place.
    pub reason: Option<String>,
    /// How much is written and not yet read, where that can be told.
    pub lag_bytes: Option<u64>,
    /// How long the oldest of that has been there, where that can be told; zero if all is read.
    pub lag: Option<Duration>,
}

/// A source's state in one word.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HealthState {
    /// It can be read.
    Ready,
    /// There is nothing yet, such as a file that does not exist. It will be read once there is.
    Waiting,
    /// It can be read, but not as it should be.
    Degraded,
    /// It cannot be read.
    Failed,
}

impl Health {
    /// It can be read.
    #[must_use]
    pub fn ready() -> Self {
        Self { state: HealthState::Ready, reason: None, lag_bytes: None, lag: None }
    }

    /// Any state but ready, and why.
    #[must_use]
    pub fn because(state: HealthState, reason: impl Into<String>) -> Self {
        Self { state, reason: Some(reason.into()), lag_bytes: None, lag: None }
    }
}

macro_rules! through_pointer {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        impl<S: LogSource + ?Sized> LogSource for $pointer<S> {
            fn origin(&self) -> &Arc<Origin> {
                (**self).origin()
            }

            async fn read(&self, from: Position, max: usize) -> Result<Chunk, Error> {
                (**self).read(from, max).await
            }

            fn tail(&self, from: Position) -> BoxStream<'static, Result<Batch, Error>> {
                (**self).tail(from)
            }

            async fn health_check(&self) -> Result<Health, Error> {
                (**self).health_check().await
            }
        }
    )*};
}

through_pointer!(Box, Arc);

/// What can be had from every source.
pub trait LogSourceExt: LogSource {
    /// The entries one by one, each copied out and parsed, each with its own acknowledgement. It
    /// is for those who want it simple; batches are faster.
    fn entries(&self, from: Position) -> Entries {
        Entries { batches: self.tail(from), current: None }
    }
}

impl<S: LogSource + ?Sized> LogSourceExt for S {}

/// The stream of [`LogSourceExt::entries`].
#[must_use = "a stream does nothing unless it is polled"]
pub struct Entries {
    batches: BoxStream<'static, Result<Batch, Error>>,
    current: Option<Box<dyn Iterator<Item = Delivery> + Send>>,
}

impl Stream for Entries {
    type Item = Result<Delivery, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(delivery) = self.current.as_mut().and_then(Iterator::next) {
                return Poll::Ready(Some(Ok(delivery)));
            }
            match ready!(self.batches.as_mut().poll_next(cx)) {
                Some(Ok(batch)) => self.current = Some(Box::new(batch.into_deliveries())),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").finish_non_exhaustive()
    }
}
