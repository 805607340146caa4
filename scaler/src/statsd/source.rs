//! An aggregator that a listener feeds and signals are read from.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;

use super::aggregator::{Aggregator, Limits, WatchId};
use super::counts::Counts;
use super::watch::Watch;
use crate::error::Error;
use crate::signal::Signal;
use crate::source::{Fault, FaultKind, SignalSource};

/// An [`Aggregator`] that several share: a listener feeds it, signals are read from it. Clones are
/// handles to the same one.
#[derive(Debug, Clone)]
pub struct Statsd(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    aggregator: Mutex<Aggregator>,
    /// Who waits to read. The listener lets them in between two batches: a lock alone would not.
    waiting: AtomicUsize,
    /// Why the listener ended, if it did by itself.
    ended: Mutex<Option<Fault>>,
}

/// One signal that services report over StatsD. Dropping it ends its watch.
#[derive(Debug)]
pub struct StatsdSignal {
    statsd: Statsd,
    id: WatchId,
    name: Arc<str>,
}

impl Statsd {
    /// One that watches nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared {
            aggregator: Mutex::new(Aggregator::new(limits)),
            waiting: AtomicUsize::new(0),
            ended: Mutex::new(None),
        }))
    }

    /// Watches from here on, for as long as the signal exists.
    ///
    /// # Errors
    ///
    /// Those of [`Aggregator::watch`].
    pub fn signal(&self, watch: Watch) -> Result<StatsdSignal, Error> {
        let name = Arc::clone(&watch.signal);
        let id = self.reader().watch(watch)?;
        Ok(StatsdSignal { statsd: self.clone(), id, name })
    }

    /// Takes in a packet from a host that has a listener of its own.
    pub fn packet(&self, packet: &[u8], now: SystemTime) {
        self.writer().packet(packet, now);
    }

    /// What came in and what became of it.
    pub fn counts(&self) -> Counts {
        self.reader().counts()
    }

    /// How many series there are, and how many bytes sketches and sets have taken.
    pub fn size(&self) -> (usize, usize) {
        let aggregator = self.reader();
        (aggregator.series(), aggregator.bytes())
    }

    fn reader(&self) -> MutexGuard<'_, Aggregator> {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
        let guard = self.writer();
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        guard
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, Aggregator> {
        // No step leaves it half done; the counters go on.
        self.0.aggregator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets in who waits to read: a thread that is woken up takes longer to get going than the listener
    /// takes to be back with the next batch. The kernel holds what comes meanwhile; 20 ms are the most.
    #[cfg(target_os = "linux")]
    pub(super) fn give_way(&self) {
        const TURN: std::time::Duration = std::time::Duration::from_micros(100);
        for _ in 0..200 {
            if self.0.waiting.load(Ordering::Relaxed) == 0 {
                return;
            }
            std::thread::sleep(TURN);
        }
    }

    /// Says why the listener has ended, or that there is one again.
    #[cfg(target_os = "linux")]
    pub(super) fn set_ended(&self, why: Option<Fault>) {
        *self.ended() = why;
    }

    fn ended(&self) -> MutexGuard<'_, Option<Fault>> {
        self.0.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Statsd {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

#[async_trait]
impl SignalSource for StatsdSignal {
    fn name(&self) -> &str {
        &self.name
    }

    /// Never waits for I/O.
    ///
    /// # Errors
    ///
    /// Those of [`Aggregator::read`]; [`FaultKind::Unreachable`] where the listener has ended.
    async fn read(&self, now: SystemTime) -> Result<Signal, Fault> {
        let read = self.statsd.reader().read(self.id, now);
        match read {
            Err(fault) if fault.kind() == FaultKind::Empty => {
                Err(self.statsd.ended().clone().unwrap_or(fault))
            }
            read => read,
        }
    }
}

impl Drop for StatsdSignal {
    fn drop(&mut self) {
        self.statsd.reader().unwatch(self.id);
    }
}
