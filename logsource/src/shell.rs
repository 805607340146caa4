//! Around the cores: threads, and the way from a thread to a stream.

mod queue;
#[cfg(any(feature = "file", feature = "journald"))]
mod store;
mod wake;

use std::future::Future;
use std::sync::Arc;

pub(crate) use queue::{Pushed, Queue, Tail};
#[cfg(all(fuzzing, feature = "file"))]
pub use store::reread_offsets;
#[cfg(any(feature = "file", feature = "journald"))]
pub(crate) use store::{Pace, Store};
pub(crate) use wake::{Wake, wait};

use self::queue::Finishing;
pub(crate) use crate::clock::{now, ticks};
use crate::{Error, ErrorKind};

/// Starts a thread of this crate.
pub(crate) fn spawn(
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(format!("birl-{name}"))
        .spawn(run)
        .map_err(|cause| Error::io("cannot start a thread", cause))
}

/// Runs something that blocks on a thread of its own, and waits for its answer.
pub(crate) fn off_thread<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> impl Future<Output = Result<T, Error>> + Send {
    let answer = Queue::new(1, usize::MAX, Wake::none());
    let asked = Finishing(Arc::clone(&answer));
    let started = spawn("read", move || asked.0.push((run(), 0)));
    async move {
        started?;
        let gone = || Error::new(ErrorKind::Io, "the reading thread ended without an answer");
        std::future::poll_fn(|cx| answer.poll_pop(cx)).await.unwrap_or_else(|| Err(gone()))
    }
}
