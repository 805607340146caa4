//! The socket at which spans come in.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::connection;
use super::counts::{SpanCounts, SpanDrop};
use super::intake::{Reader, SpanIntake, Watch};
use super::limits::Limits;
use super::refusal::Refusal;
use super::source::SpanSource;
use super::stats::{Measure, SpanStats};
use crate::error::{Error, ErrorKind};
use crate::source::Fault;

/// How long to wait when a connection cannot be accepted, as when there are no more descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens for spans by OTLP/gRPC and OTLP/HTTP (protobuf), packed with gzip or not, without TLS.
///
/// What is over its [`Limits`] is refused in the way that OTLP has for it: a request for which there
/// is no room gets `RESOURCE_EXHAUSTED` with a `RetryInfo`, or 429 with `Retry-After`, and of a
/// request with too many spans the rest is rejected by a `partial_success`. All of it is counted.
///
/// Dropping it closes the socket and every connection at once; [`stop`](Self::stop) lets requests
/// that have begun be answered.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What connections and sources have in common.
#[derive(Debug)]
pub(super) struct Shared {
    intake: Mutex<SpanIntake>,
    reader: Reader,
    limits: Limits,
    room: Arc<Semaphore>,
    stopped: AtomicBool,
}

impl Receiver {
    /// Begins to listen. By custom the port is 4317; 0 takes a free one.
    ///
    /// Has to be called within a tokio runtime, on which it then runs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the address cannot be had.
    pub async fn bind(address: SocketAddr, intake: SpanIntake) -> Result<Self, Error> {
        let error = |error: std::io::Error| {
            let message = format!(
                "cannot listen for spans on {address}: is another collector there, or the address \
                 not this machine's?"
            );
            Error::new(ErrorKind::Io, message).with_source(error)
        };
        let listener = TcpListener::bind(address).await.map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        let limits = intake.limits().clone();
        let room = limits.max_in_flight_bytes.max(limits.max_message_bytes);
        let shared = Arc::new(Shared {
            reader: intake.reader(),
            intake: Mutex::new(intake),
            limits,
            room: Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS))),
            stopped: AtomicBool::new(false),
        });
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, Arc::clone(&shared), stopped));
        Ok(Self { shared, address, stop, task })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// A number of a window as the signal `name`. It goes on to work as long as the receiver does.
    pub fn source(&self, name: impl AsRef<str>, watch: Watch, measure: Measure) -> SpanSource {
        let (name, shared) = (name.as_ref().into(), Arc::clone(&self.shared));
        SpanSource { name, watch, measure, max_age: None, shared }
    }

    /// What a window has counted.
    ///
    /// # Errors
    ///
    /// If the window is another intake's.
    pub fn stats(&self, watch: Watch, now: SystemTime) -> Result<SpanStats, Fault> {
        self.shared.intake().stats(watch, now)
    }

    /// What came, and what of it was not counted.
    pub fn counts(&self) -> SpanCounts {
        self.shared.intake().counts()
    }

    #[cfg(feature = "prometheus")]
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Stops listening, and waits until requests that have begun are answered, but no longer than
    /// `grace`; what is left then is cut off.
    ///
    /// Dropping the future cuts off at once.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.send_replace(true);
        // An error is a time-out; what is left ends with `self`.
        let _ = timeout(grace, &mut self.task).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.task.abort();
    }
}

impl Shared {
    pub(super) fn intake(&self) -> MutexGuard<'_, SpanIntake> {
        // Counts that somebody panicked beside are still counts.
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn room(&self) -> &Arc<Semaphore> {
        &self.room
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Counts a refusal. Spans are missing then, unless it was about something else; the rate has
    /// been seen to where it was found.
    pub(super) fn refused(&self, refusal: &Refusal) {
        let reason = refusal.reason();
        tracing::debug!(target: "birl_scaler", %reason, "refused a request of spans");
        match refusal {
            Refusal::Rate(_) => {}
            Refusal::Unsupported(..) => self.intake().turn_away(reason),
            _ => self.intake().refuse(reason, clock()),
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < shared.limits.max_connections => {
                    // Answers are small, and somebody waits for them.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection::serve(stream, Arc::clone(&shared), stop.clone()));
                }
                Ok(_) => shared.intake().turn_away(SpanDrop::Connections),
                Err(error) => {
                    tracing::warn!(target: "birl_scaler", %error, "cannot accept a connection");
                    sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// What time it is where spans come in.
#[expect(clippy::disallowed_methods, reason = "the shell gives the core its time")]
pub(super) fn clock() -> SystemTime {
    SystemTime::now()
}
