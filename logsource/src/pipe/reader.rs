//! Standard input, or anything else that can be read.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use super::Overflow;
use super::pump::{Input, Pump, Settings, Stopped, abandoned, weight};
use crate::admission::Rate;
use crate::budget::Limits;
use crate::cursor::Place;
use crate::framing::MAX_BYTES;
use crate::metrics::{Count, SourceMetrics};
use crate::shell::{Queue, Tail, Wake, off_thread, ticks};
use crate::{
    Batch, Budget, Chunk, Cursor, Error, ErrorKind, Framing, Health, HealthState, LogSource,
    Metrics, Origin, Parser, Position, SourceKind,
};

/// Standard input, or anything else that can be read to an end.
///
/// What was read cannot be had again: `tail` goes on where the last stream stopped, or at a place
/// that is further on ([`Position::At`]: a cursor of an earlier run over the same bytes), and a batch
/// that was handed out is gone, acknowledged or not. `read` shows what has come and was not handed
/// out yet. One stream at a time. What was read and not handed out when the source and its stream
/// are dropped is counted ([`DropReason::Abandoned`](crate::DropReason)).
#[derive(Debug)]
pub struct StdinSource {
    settings: Settings,
    state: Arc<Mutex<State>>,
    metrics: Metrics,
}

#[derive(Debug)]
struct State {
    /// None while a stream has it.
    pump: Option<Pump>,
    /// Read, and not handed out.
    held: VecDeque<Batch>,
    health: Health,
    counters: Arc<SourceMetrics>,
}

/// Builds a [`StdinSource`].
#[must_use = "nothing is read before it is built"]
#[derive(Debug)]
pub struct StdinSourceBuilder {
    input: Result<Input, Error>,
    id: String,
    labels: BTreeMap<String, String>,
    parser: Parser,
    framing: Framing,
    buffer_bytes: usize,
    overflow: Overflow,
    rate: Rate,
    limits: Limits,
    metrics: Metrics,
}

impl StdinSource {
    /// Reads this process's standard input.
    pub fn builder() -> StdinSourceBuilder {
        // A file of our own: the standard library's would buffer what we could not see.
        let input = std::io::stdin().as_fd().try_clone_to_owned();
        let input = input.map_err(|cause| Error::io("cannot open standard input", cause));
        StdinSourceBuilder::new(input.map(Input::of_fd))
    }

    /// Reads a pipe, a socket or a terminal.
    pub fn of_fd(fd: impl Into<OwnedFd>) -> StdinSourceBuilder {
        StdinSourceBuilder::new(Ok(Input::of_fd(fd)))
    }

    /// Reads anything. Since nothing can be waited for but its next byte, dropping the stream
    /// stops the thread only after that, and `read` shows only what a stream left over.
    pub fn of_reader(reader: impl Read + Send + 'static) -> StdinSourceBuilder {
        StdinSourceBuilder::new(Ok(Input::Any(Box::new(reader))))
    }

    /// The counters that it counts with.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl StdinSourceBuilder {
    fn new(input: Result<Input, Error>) -> Self {
        Self {
            input,
            id: "stdin".to_owned(),
            labels: BTreeMap::new(),
            parser: Parser::default(),
            framing: Framing::new(),
            buffer_bytes: 1 << 20,
            overflow: Overflow::default(),
            rate: Rate::default(),
            limits: Limits::default(),
            metrics: Metrics::default(),
        }
    }

    /// The source's name within the program; `stdin` if not set.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Adds a label to every entry.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// How lines become fields; [`Parser::auto`] if not set.
    pub fn parser(mut self, parser: Parser) -> Self {
        self.parser = parser;
        self
    }

    /// How bytes become lines; those of [`Framing::new`] if not set.
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Short for [`Framing::max_line_bytes`].
    pub fn max_line_bytes(mut self, bytes: usize) -> Self {
        self.framing = self.framing.max_line_bytes(bytes);
        self
    }

    /// How much is buffered between the writer and the consumer; 1 MiB if not set.
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// What happens when the buffer is full; [`Overflow::Block`] if not set.
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// A budget to share with other sources, beside its own; none if not set.
    pub fn budget(mut self, shared: &Budget) -> Self {
        self.limits.shared = Some(shared.clone());
        self
    }

    /// How much memory its batches may take until they are dropped; 256 MiB if not set. Above
    /// 85 % of it [`Overflow`] says what happens.
    pub fn max_in_flight_bytes(mut self, bytes: usize) -> Self {
        self.limits.own_bytes = bytes;
        self
    }

    /// Another mark than 85 %, as for [`Budget::with_mark`].
    pub fn mark_percent(mut self, percent: u8) -> Self {
        self.limits.mark_percent = percent;
        self
    }

    /// What is taken each second while a budget is filled above its mark, with a burst of one
    /// second's worth, unless the overflow is [`Overflow::Block`]; 1000 lines and 1 MiB if not set.
    pub fn overload_rate(mut self, lines: u32, bytes: u32) -> Self {
        self.rate = Rate { lines, bytes };
        self
    }

    /// The counters to count with; ones of its own if not set.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Builds it. Nothing is read yet.
    ///
    /// # Errors
    /// If standard input cannot be opened, or a size cannot be.
    pub fn build(self) -> Result<StdinSource, Error> {
        check(&self.framing, self.buffer_bytes, self.rate)?;
        let metrics = self.metrics.register(&self.id, SourceKind::Stdout);
        let settings = Settings {
            intake: self.limits.intake(&metrics),
            metrics,
            origin: Arc::new(Origin::new(self.id, SourceKind::Stdout, self.labels, self.parser)),
            pool: Settings::pool(),
            framing: self.framing,
            buffer_bytes: self.buffer_bytes,
            overflow: self.overflow,
            rate: self.rate,
        };
        let pump = Some(Pump::new(settings.clone(), self.input?, 0));
        let (held, counters) = (VecDeque::new(), Arc::clone(&settings.metrics));
        let state = State { pump, held, health: Health::ready(), counters };
        Ok(StdinSource { settings, state: Arc::new(Mutex::new(state)), metrics: self.metrics })
    }
}

/// Bounds that both pipe sources share.
pub(super) fn check(framing: &Framing, buffer: usize, rate: Rate) -> Result<(), Error> {
    framing.check()?;
    rate.check()?;
    if (1..=MAX_BYTES).contains(&buffer) {
        return Ok(());
    }
    Err(Error::invalid("a buffer can have from 1 byte to 256 MiB"))
}

#[async_trait]
impl LogSource for StdinSource {
    fn origin(&self) -> &Arc<Origin> {
        &self.settings.origin
    }

    async fn read(&self, from: Position, max: usize) -> Result<Chunk, Error> {
        from.skipped()?;
        let (state, room) = (Arc::clone(&self.state), self.settings.buffer_bytes);
        off_thread(move || lock(&state).read(&from, max, room)).await
    }

    fn tail(&self, from: Position) -> BoxStream<'static, Result<Batch, Error>> {
        let failed = |error| {
            Box::pin(Tail::failed(Queue::new(1, usize::MAX, Wake::none()), error)) as BoxStream<_>
        };
        let place = match from.skipped() {
            Ok(place) => place,
            Err(error) => return failed(error),
        };
        let wake = match Wake::new() {
            Ok(wake) => wake,
            Err(cause) => return failed(Error::io("cannot make an eventfd", cause)),
        };
        let mut state = lock(&self.state);
        let Some(mut pump) = state.pump.take() else {
            return failed(Error::invalid(format!(
                "{} is being read by another stream; drop that first",
                self.settings.origin.id()
            )));
        };
        pump.pass_to(place);
        let queue = Queue::new(usize::MAX, self.settings.buffer_bytes, wake);
        for batch in state.held.drain(..) {
            let weight = weight(&batch);
            if let Some(batch) = batch.after(&from) {
                let Settings { metrics, intake, .. } = &self.settings;
                queue.push((Ok(batch.counted_by(metrics).charged_to(intake)), weight));
            }
        }
        drop(state);
        let can_wake = pump.input().fd().is_some();
        let (state, metrics) = (Arc::clone(&self.state), Arc::clone(&self.settings.metrics));
        let tail = Tail::start("stdin", queue, move |queue| {
            let stopped = pump.run(queue);
            let mut state = lock(&state);
            let mut failure = None;
            match stopped {
                Stopped::Abandoned => {}
                Stopped::Eof => {
                    state.health = Health::because(HealthState::Waiting, "the input has ended");
                }
                Stopped::Failed(cause) => {
                    let error = Error::io("cannot read the input", cause);
                    state.health = Health::because(HealthState::Failed, error.to_string());
                    metrics.add(Count::Errors, 1);
                    failure = Some(error);
                }
            }
            if queue.is_abandoned() {
                // The stream may be gone for long, where nothing could wake this thread.
                state.keep(queue);
            }
            state.pump = Some(pump);
            drop(state);
            if let Some(error) = failure {
                queue.push((Err(error), 0));
            }
        });
        let state = Arc::clone(&self.state);
        let tail = tail.leaving(move |queue| lock(&state).keep(queue));
        Box::pin(if can_wake { tail } else { tail.detached() })
    }

    async fn health_check(&self) -> Result<Health, Error> {
        let health = lock(&self.state).health.clone();
        Ok(self.settings.intake.health(health, ticks()))
    }
}

impl Drop for State {
    /// What was read cannot be had again, so what is lost here is counted.
    fn drop(&mut self) {
        for batch in self.held.drain(..) {
            abandoned(batch, &self.counters);
        }
        if let Some(pump) = &mut self.pump {
            pump.abandon();
        }
    }
}

impl State {
    /// Keeps what a stream did not hand out, for the next one. The state is locked meanwhile, so
    /// that what comes from two sides stays in its order.
    fn keep(&mut self, queue: &Queue<Result<Batch, Error>>) {
        self.held.extend(queue.leftovers().filter_map(Result::ok));
    }

    fn read(&mut self, from: &Position, max: usize, room: usize) -> Result<Chunk, Error> {
        let Some(pump) = &mut self.pump else {
            let busy = "the input is being read by a stream; drop that first";
            return Err(Error::new(ErrorKind::InvalidInput, busy));
        };
        while self.held.iter().map(weight).sum::<usize>() < room {
            match pump.next(Duration::ZERO) {
                Ok(Some(batch)) => self.held.push_back(batch),
                Ok(None) => break,
                Err(cause) => return Err(Error::io("cannot read the input", cause)),
            }
        }
        let newest = || self.held.back().map(|batch| batch.cursor().clone());
        let start = match from {
            Position::At(cursor) => cursor.clone(),
            Position::End => newest().unwrap_or(Cursor(Place::Count(0))),
            _ => Cursor(Place::Count(0)),
        };
        let from = Position::At(start.clone());
        let mut found = self.held.iter().filter_map(|batch| batch.view().after(&from));
        let Some(batch) = found.next().filter(|_| max > 0) else {
            return Ok(Chunk::new(None, start, max > 0));
        };
        let whole = batch.len();
        let batch = batch.cut(max);
        let next = batch.cursor().clone();
        let at_end = batch.len() == whole && found.next().is_none();
        Ok(Chunk::new(Some(batch), next, at_end))
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
