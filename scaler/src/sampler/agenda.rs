//! What to decide about next: a tick, or somebody who asks and does not wait for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::sleep;

use super::Sampler;
use super::board::SignalBoard;
use crate::intent::ScaleIntent;
use crate::signal::Signal;
use crate::tick::{Tick, Turn};

/// How many intents wait for the host, at most.
const MAX_WAITING: usize = 1024;

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The two things that a scaler decides about, as they come: on each turn of the [`Tick`] a new
/// sample of all signals, and between them whatever is asked for, at once.
///
/// A firing waits neither for the tick nor for a sample that is under way: it comes with the newest
/// signals that are known, whose age the decider judges as ever.
///
/// ```
/// # use std::time::{Duration, SystemTime};
/// # use birl_scaler::{
/// #     Agenda, Change, Decider, Error, MemoryTarget, Observation, Sampler, ScaleIntent,
/// #     ScaleTarget, ScalerSpec, Tick,
/// # };
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let now = SystemTime::now();
/// let target = MemoryTarget::new(2);
/// let mut decider = Decider::new(ScalerSpec::new("workers", 1, 10))?;
/// let mut agenda = Agenda::new(Tick::new(Tick::PERIOD, now)?.named("workers"), Sampler::new());
///
/// let firings = agenda.intents(); // for whoever has rules
/// firings.send(ScaleIntent::new("rule/1", Change::By(2))).map_err(|_| "full").unwrap();
///
/// let occasion = agenda.next().await; // a host loops over this
/// let seen = Observation::new(target.replicas().await?)
///     .signals(occasion.signals)
///     .intents(occasion.intents);
/// let decision = decider.decide(&seen, occasion.now);
/// if decision.is_change() {
///     target.scale_to(decision.to, &decision).await?;
///     decider.applied(&decision, Ok(()), occasion.now);
/// }
/// assert_eq!(target.history(), [4]);
/// # Ok(()) }
/// ```
pub struct Agenda {
    tick: Tick,
    /// Here, or inside of the sample that is under way.
    sampler: Option<Sampler>,
    sample: Option<(Turn, Readings)>,
    board: SignalBoard,
    waiting: Receiver<ScaleIntent>,
    intents: IntentSender,
    clock: Clock,
}

type Readings = Pin<Box<dyn Future<Output = (Sampler, Vec<Signal>)> + Send>>;

/// Something to decide about.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Occasion {
    /// When it is: the time to decide at.
    pub now: SystemTime,
    /// The turn of the tick, if it is one.
    pub turn: Option<Turn>,
    /// The signals: read anew on a turn, else the newest that are known.
    pub signals: Vec<Signal>,
    /// What was asked for since the last occasion; on a turn there may be none.
    pub intents: Vec<ScaleIntent>,
}

/// Where intents are handed in. Clones lead to the same agenda.
#[derive(Debug, Clone)]
pub struct IntentSender {
    queue: Sender<ScaleIntent>,
    dropped: Arc<AtomicU64>,
}

impl IntentSender {
    /// Hands in what is asked for; the host is woken at once. Never waits.
    ///
    /// # Errors
    ///
    /// Gives it back if 1024 are waiting already, which is counted, or the agenda is gone.
    pub fn send(&self, intent: ScaleIntent) -> Result<(), ScaleIntent> {
        self.queue.try_send(intent).map_err(|e| {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            e.into_inner()
        })
    }

    /// How many were given back.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl Agenda {
    /// An agenda that samples on each turn of `tick`, by the machine's clock.
    #[expect(clippy::disallowed_methods, reason = "the shell around a decider reads the clock")]
    pub fn new(tick: Tick, sampler: Sampler) -> Self {
        Self::with_clock(tick, sampler, SystemTime::now)
    }

    /// An agenda by another clock; what it sleeps is tokio's time.
    pub fn with_clock(
        tick: Tick,
        sampler: Sampler,
        clock: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        Self {
            tick,
            board: sampler.board(),
            sampler: Some(sampler),
            sample: None,
            waiting,
            intents: IntentSender { queue, dropped: Arc::default() },
            clock: Arc::new(clock),
        }
    }

    /// Where intents are handed in.
    pub fn intents(&self) -> IntentSender {
        self.intents.clone()
    }

    /// What is known of the signals.
    pub fn board(&self) -> SignalBoard {
        self.board.clone()
    }

    /// Waits for the next occasion.
    ///
    /// Cancel-safe: what was read or asked for comes with the next call. A sample goes on while
    /// nobody waits here, and its deadlines count.
    pub async fn next(&mut self) -> Occasion {
        loop {
            let now = (self.clock)();
            if self.sample.is_none()
                && let Some(turn) = self.tick.poll(now)
                && let Some(sampler) = self.sampler.take()
            {
                self.sample = Some((turn, Box::pin(read(sampler, now))));
            }
            let wait = self.tick.next_deadline(now).duration_since(now).unwrap_or_default();
            let is_idle = self.sample.is_none();
            let (turn, signals, first) = tokio::select! {
                // In this order a flood of intents cannot keep a sample back.
                biased;
                (turn, sampler, signals) = under_way(&mut self.sample) => {
                    self.sampler = Some(sampler);
                    self.sample = None;
                    (Some(turn), signals, None)
                }
                // It ends never: one sender is here.
                first = self.waiting.recv() => (None, self.board.latest(), first),
                () = sleep(wait), if is_idle => continue,
            };
            let mut intents = Vec::from_iter(first);
            while intents.len() < MAX_WAITING
                && let Ok(intent) = self.waiting.try_recv()
            {
                intents.push(intent);
            }
            return Occasion { now: (self.clock)(), turn, signals, intents };
        }
    }
}

async fn read(mut sampler: Sampler, now: SystemTime) -> (Sampler, Vec<Signal>) {
    let signals = sampler.sample(now).await;
    (sampler, signals)
}

/// The sample that is under way; if none is, this never ends.
async fn under_way(sample: &mut Option<(Turn, Readings)>) -> (Turn, Sampler, Vec<Signal>) {
    match sample {
        Some((turn, readings)) => {
            let (sampler, signals) = readings.await;
            (*turn, sampler, signals)
        }
        None => std::future::pending().await,
    }
}

impl fmt::Debug for Agenda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agenda")
            .field("tick", &self.tick)
            .field("is_sampling", &self.sample.is_some())
            .finish_non_exhaustive()
    }
}
