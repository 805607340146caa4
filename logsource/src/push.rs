//! Lines that the program itself hands in.

mod feed;
mod pusher;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_core::Stream;
use futures_core::stream::BoxStream;

use self::feed::{Channel, Feed, Sealed};
pub use self::pusher::Pusher;
use crate::admission::Rate;
use crate::budget::Limits;
use crate::clock::ticks;
use crate::cursor::Place;
use crate::{
    Batch, Budget, Chunk, Cursor, Error, Health, HealthState, LogSource, Metrics, Origin, Parser,
    Position, SourceKind,
};

/// Lines that the program itself hands in, through a [`Pusher`].
///
/// For an adapter that is only a callback, a test, or a program's own log. Lines are gathered in
/// slabs like those of any other source. A slab is handed on as soon as the stream is polled, so
/// an idle consumer has a line at once and a busy one has all that came meanwhile; one that takes
/// longer than 50 ms finds a batch for every 50 ms, each with its own
/// [`read_at`](Batch::read_at).
///
/// What is pushed is in memory alone until it is handed out: acknowledgements are counted, and
/// nothing comes again. `tail` goes on where the last stream stopped; one stream at a time. The
/// stream ends once every pusher was dropped and the rest was handed out. What is left when the
/// source and its stream are dropped is counted ([`DropReason::Abandoned`](crate::DropReason)).
///
/// ```
/// use birl_logsource::{Budget, LogSource, Position, PushSource};
/// use futures_util::StreamExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), birl_logsource::Error> {
/// let budget = Budget::new(64 << 20);
/// let (pusher, source) = PushSource::builder("app").budget(&budget).build()?;
/// pusher.try_push(b"{\"level\":\"error\"}")?; // or an error of the kind `WouldBlock`
/// pusher.push(b"two lines\nin one push").await?; // waits for room
/// drop(pusher);
///
/// let mut batches = source.tail(Position::Start);
/// let batch = batches.next().await.unwrap()?;
/// assert_eq!(batch.len(), 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PushSource {
    origin: Arc<Origin>,
    seat: Arc<Seat>,
    metrics: Metrics,
}

/// Builds a [`PushSource`].
#[derive(Debug, Clone)]
#[must_use = "nothing can be pushed before it is built"]
pub struct PushSourceBuilder {
    id: String,
    labels: BTreeMap<String, String>,
    parser: Parser,
    max_line_bytes: usize,
    rate: Rate,
    limits: Limits,
    metrics: Metrics,
}

impl PushSource {
    /// A source by this name.
    pub fn builder(id: impl Into<String>) -> PushSourceBuilder {
        PushSourceBuilder {
            id: id.into(),
            labels: BTreeMap::new(),
            parser: Parser::default(),
            max_line_bytes: 1 << 20,
            rate: Rate::default(),
            limits: Limits::default(),
            metrics: Metrics::default(),
        }
    }

    /// The counters that it counts with.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl PushSourceBuilder {
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

    /// Lines longer than this are cut, and counted; 1 MiB if not set.
    pub fn max_line_bytes(mut self, bytes: usize) -> Self {
        self.max_line_bytes = bytes;
        self
    }

    /// What [`Pusher::try_push`] lets in each second while a budget is filled above its mark, with a burst of one second's worth; 1000 lines and 1 MiB if not set.
    pub fn overload_rate(mut self, lines: u32, bytes: u32) -> Self {
        self.rate = Rate { lines, bytes };
        self
    }

    /// A budget to share with other sources, beside its own; none if not set.
    pub fn budget(mut self, shared: &Budget) -> Self {
        self.limits.shared = Some(shared.clone());
        self
    }

    /// How much memory pushed lines may take until their batches are dropped; 256 MiB if not set.
    pub fn max_in_flight_bytes(mut self, bytes: usize) -> Self {
        self.limits.own_bytes = bytes;
        self
    }

    /// Its mark, as for [`Budget::with_mark`]; 85 if not set.
    pub fn mark_percent(mut self, percent: u8) -> Self {
        self.limits.mark_percent = percent;
        self
    }

    /// The counters to count with; ones of its own if not set.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Builds it, and the first of its pushers.
    ///
    /// # Errors
    /// If a size cannot be.
    pub fn build(self) -> Result<(Pusher, PushSource), Error> {
        if !(1..=256 << 20).contains(&self.max_line_bytes) {
            return Err(Error::invalid("a line can have from 1 byte to 256 MiB"));
        }
        self.rate.check()?;
        let kind = SourceKind::Push;
        let counters = self.metrics.register(&self.id, kind);
        let feed = Feed::new(self.limits.intake(&counters), self.max_line_bytes, self.rate);
        let channel = Channel::new(&self.id, feed, counters);
        let origin = Arc::new(Origin::new(self.id, kind, self.labels, self.parser));
        let seat = Arc::new(Seat(Arc::clone(&channel)));
        Ok((Pusher::new(channel), PushSource { origin, seat, metrics: self.metrics }))
    }
}

#[async_trait]
impl LogSource for PushSource {
    fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    async fn read(&self, from: Position, max: usize) -> Result<Chunk, Error> {
        let place = from.skipped()?;
        let waiting = self.seat.0.with(Feed::waiting);
        let newest = waiting.last().map(|sealed| sealed.end());
        let start = match from {
            Position::At(_) => place,
            Position::End => newest.unwrap_or(0),
            _ => 0,
        };
        let start = Cursor(Place::Count(start));
        let from = Position::At(start.clone());
        let batches = waiting.into_iter().map(|sealed| batch(&self.origin, sealed));
        let mut found = batches.filter_map(|batch| batch.after(&from));
        let Some(batch) = found.next().filter(|_| max > 0) else {
            return Ok(Chunk::new(None, start, max > 0));
        };
        let whole = batch.len();
        let batch = batch.cut(max);
        let (next, at_end) = (batch.cursor().clone(), batch.len() == whole);
        Ok(Chunk::new(Some(batch), next, at_end && found.next().is_none()))
    }

    fn tail(&self, from: Position) -> BoxStream<'static, Result<Batch, Error>> {
        let begun = from.skipped().and_then(|_| {
            if self.seat.0.with(Feed::begin) {
                return Ok(());
            }
            let id = self.origin.id();
            Err(Error::invalid(format!("{id} is being read by another stream; drop that first")))
        });
        let (seat, origin) = (Arc::clone(&self.seat), Arc::clone(&self.origin));
        Box::pin(Tail { seat, origin, from, begun: begun.is_ok(), error: begun.err() })
    }

    async fn health_check(&self) -> Result<Health, Error> {
        let channel = &self.seat.0;
        if channel.with(|feed| feed.is_finished()) {
            return Ok(Health::because(HealthState::Waiting, "every pusher was dropped"));
        }
        Ok(channel.intake().health(Health::ready(), ticks()))
    }
}

/// Whoever can take what is pushed. When the last of them is gone, nothing is pushed any more.
#[derive(Debug)]
struct Seat(Arc<Channel>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[derive(Debug)]
struct Tail {
    seat: Arc<Seat>,
    origin: Arc<Origin>,
    from: Position,
    /// It is the one stream.
    begun: bool,
    error: Option<Error>,
}

impl Stream for Tail {
    type Item = Result<Batch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.begun {
            return Poll::Ready(self.error.take().map(Err));
        }
        let channel = &self.seat.0;
        loop {
            let polled = channel.with(|feed| feed.poll_next(cx));
            let Poll::Ready(Some(sealed)) = polled else { return polled.map(|_| None) };
            if let Some(batch) = batch(&self.origin, sealed).after(&self.from) {
                return Poll::Ready(Some(Ok(batch.counted_by(channel.counters()))));
            }
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        if self.begun {
            self.seat.0.with(Feed::end);
        }
    }
}

fn batch(origin: &Arc<Origin>, sealed: Sealed) -> Batch {
    let (base, end) = (Cursor(Place::Count(sealed.base)), Cursor(Place::Count(sealed.end())));
    let batch = Batch::new(Arc::clone(origin), sealed.table, sealed.read_at, end).based_at(base);
    match sealed.charge {
        Some(charge) => batch.with_charge(charge),
        None => batch,
    }
}
