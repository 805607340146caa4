//! All signals of a target, asked for at once, each with its deadline.

mod agenda;
mod board;
#[cfg(feature = "prometheus")]
mod collector;
mod health;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, timeout, timeout_at};

pub use self::agenda::{Agenda, IntentSender, Occasion};
pub use self::board::SignalBoard;
#[cfg(feature = "prometheus")]
pub use self::collector::TargetSignals;
pub use self::health::{HealthState, SignalConditions, SourceHealth};

use crate::error::{Error, ErrorKind};
use crate::signal::Signal;
use crate::source::{Fault, FaultKind, SignalSource};

/// The most sources of one sampler.
const MAX_SOURCES: usize = 1024;

/// Asks all sources of a target at once, and gives one [`Signal`] for each, in their order.
///
/// Each source has a deadline, and the whole takes as long as the longest of them, whatever the
/// sources do. One that is past it is a [`FaultKind::Timeout`]; one that even then cannot be stopped,
/// since it blocks its thread, is not asked again before it has ended. One that panics is a fault.
///
/// A source that could not be asked, or whose answer cannot be read, gives its last signal once
/// more, with the fault in it: a lost sample alone changes nothing, and how long the last one is
/// believed goes by its age. A source that *answers* that there is nothing (no series, no number
/// among its samples) is Unknown at once: its earlier answer is not the newest any more.
///
/// Each reading runs as a task of its own; this needs a running tokio runtime with time enabled.
/// On a runtime of one thread a source that blocks it blocks all.
///
/// ```
/// # use std::time::SystemTime;
/// # use birl_scaler::{Error, Fault, FaultKind, Sample, Sampler, Signal, SignalSource, async_trait};
/// #[derive(Debug)]
/// struct Load;
///
/// #[async_trait]
/// impl SignalSource for Load {
///     fn name(&self) -> &str {
///         "load"
///     }
///
///     async fn read(&self, now: SystemTime) -> Result<Signal, Fault> {
///         let text = std::fs::read_to_string("/proc/loadavg")
///             .map_err(|e| Fault::new(FaultKind::Unsupported, format!("/proc/loadavg: {e}")))?;
///         let load = text.split(' ').next().and_then(|word| word.parse().ok());
///         let load = load.ok_or_else(|| Fault::new(FaultKind::Malformed, "/proc/loadavg"))?;
///         Ok(Signal::new("load", vec![Sample::new("", load)], now))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let mut sampler = Sampler::new();
/// sampler.add(Load, Sampler::DEADLINE)?;
/// # let now = SystemTime::UNIX_EPOCH;
/// let signals = sampler.sample(now).await;
/// assert_eq!(&*signals[0].name, "load");
/// assert!(sampler.board().conditions(now).ready);
/// # Ok(()) }
/// ```
#[derive(Default)]
pub struct Sampler {
    slots: Vec<Slot>,
    board: SignalBoard,
}

struct Slot {
    source: Arc<dyn SignalSource>,
    deadline: Duration,
    /// The last reading; it may not have ended yet.
    reading: Option<AbortHandle>,
}

/// What a reading comes to, and when it has to.
struct Asked {
    task: Option<JoinHandle<Result<Signal, Fault>>>,
    until: Instant,
    deadline: Duration,
}

impl Sampler {
    /// The customary deadline of a source.
    pub const DEADLINE: Duration = Duration::from_secs(3);

    /// A sampler without sources.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a source. It is waited for up to `deadline`, which should be less than the period of the
    /// tick.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if a source has that name already, or there are 1024.
    pub fn add(
        &mut self,
        source: impl SignalSource + 'static,
        deadline: Duration,
    ) -> Result<(), Error> {
        self.add_arc(Arc::new(source), deadline)
    }

    /// Adds a source that others hold, too.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_arc(
        &mut self,
        source: Arc<dyn SignalSource>,
        deadline: Duration,
    ) -> Result<(), Error> {
        let name = source.name();
        if self.slots.len() >= MAX_SOURCES {
            let message = format!("signal `{name}`: there are {MAX_SOURCES} already");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        if self.slots.iter().any(|slot| slot.source.name() == name) {
            let message = format!("signal `{name}` has a source already: give each its own name");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        self.board.enter(name);
        self.slots.push(Slot { source, deadline, reading: None });
        Ok(())
    }

    /// What is known of the signals: a handle that can be asked while a sample is under way.
    pub fn board(&self) -> SignalBoard {
        self.board.clone()
    }

    /// Asks all sources, and gives one signal for each, in the order in which they were added.
    ///
    /// Cancel-safe: dropping the future stops the readings, and none of them counts.
    pub async fn sample(&mut self, now: SystemTime) -> Vec<Signal> {
        let begun = Instant::now();
        let mut asked = Vec::with_capacity(self.slots.len());
        for slot in &mut self.slots {
            asked.push(slot.ask(begun, now));
        }
        let mut outcomes = Vec::with_capacity(asked.len());
        for reading in &mut asked {
            outcomes.push(reading.outcome().await);
        }
        self.board.settle(outcomes, now)
    }
}

impl Slot {
    fn ask(&mut self, begun: Instant, now: SystemTime) -> Asked {
        let deadline = self.deadline;
        let until = begun.checked_add(deadline).unwrap_or(begun);
        if self.reading.as_ref().is_some_and(|reading| !reading.is_finished()) {
            return Asked { task: None, until, deadline };
        }
        let source = Arc::clone(&self.source);
        // Its own time limit ends it; the one outside is for a source that blocks its thread.
        let task = tokio::spawn(async move {
            match timeout(deadline, source.read(now)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(late(deadline)),
            }
        });
        self.reading = Some(task.abort_handle());
        Asked { task: Some(task), until, deadline }
    }
}

impl Asked {
    async fn outcome(&mut self) -> Result<Signal, Fault> {
        let Some(task) = &mut self.task else {
            let why = "the reading before this one has not ended: it blocks its thread";
            return Err(Fault::new(FaultKind::Timeout, why));
        };
        match timeout_at(self.until, task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(e)) if e.is_panic() => {
                Err(Fault::new(FaultKind::Malformed, "the source panicked: this is a defect in it"))
            }
            Ok(Err(_)) => Err(Fault::new(FaultKind::Timeout, "the runtime is shutting down")),
            Err(_) => Err(late(self.deadline)),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

fn late(deadline: Duration) -> Fault {
    let deadline = crate::duration::format(deadline);
    Fault::new(FaultKind::Timeout, format!("no answer within its deadline of {deadline}"))
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.slots.iter().map(|slot| &slot.source)).finish()
    }
}
