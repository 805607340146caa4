//! From a pipe into a queue, in lines.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Overflow;
use crate::admission::{Admission, Rate};
use crate::budget::Intake;
use crate::cursor::Place;
use crate::framing::{Framer, Framing};
use crate::metrics::{DropReason, SourceMetrics};
use crate::shell::{Pushed, Queue, now, ticks, wait};
use crate::slab::Pool;
use crate::{Batch, Cursor, Error, Origin, Position};

/// How much is read from a pipe at once: what a pipe holds.
const READ_BYTES: usize = 64 << 10;

/// How long to wait where nothing but an event ends it.
const IDLE: Duration = Duration::from_secs(60);

/// What a batch costs beside its bytes.
const BATCH_WEIGHT: usize = 512;

/// Something to read from.
pub(super) enum Input {
    /// Something that can be waited for beside a wake.
    Fd(File),
    /// Something that can only be read, and blocks.
    Any(Box<dyn Read + Send>),
}

impl Input {
    pub(super) fn of_fd(fd: impl Into<OwnedFd>) -> Self {
        Self::Fd(File::from(fd.into()))
    }

    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Fd(file) => Some(file.as_fd()),
            Self::Any(_) => None,
        }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.fd().is_some() { "Fd" } else { "Any" })
    }
}

/// What every run over a pipe shares.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) origin: Arc<Origin>,
    pub(super) metrics: Arc<SourceMetrics>,
    pub(super) pool: Arc<Pool>,
    pub(super) framing: Framing,
    pub(super) buffer_bytes: usize,
    pub(super) overflow: Overflow,
    pub(super) rate: Rate,
    pub(super) intake: Arc<Intake>,
}

impl Settings {
    pub(super) fn pool() -> Arc<Pool> {
        Pool::new(READ_BYTES)
    }
}

/// Reads a pipe, and knows how many bytes of it became batches.
#[derive(Debug)]
pub(super) struct Pump {
    settings: Settings,
    input: Input,
    framer: Framer,
    admission: Admission,
    /// How far it was read.
    read: u64,
    /// How far it was taken.
    taken: u64,
    /// Bytes to pass over first.
    skip: u64,
    /// What is before it is not wanted.
    from: u64,
    at_eof: bool,
}

/// Why a pump stopped.
#[derive(Debug)]
pub(super) enum Stopped {
    Abandoned,
    Eof,
    Failed(io::Error),
}

impl Pump {
    pub(super) fn new(settings: Settings, input: Input, skip: u64) -> Self {
        let mut framer = Framer::new(Arc::clone(&settings.pool), &settings.framing);
        framer.begin(skip);
        let admission = Admission::new(settings.rate);
        let (read, taken, from) = (0, skip, skip);
        Self { settings, input, framer, admission, read, taken, skip, from, at_eof: false }
    }

    /// Goes on at a place, if that is further on.
    pub(super) fn pass_to(&mut self, place: u64) {
        self.from = self.from.max(place);
        if place > self.read + self.skip {
            // All that is held is before it.
            self.skip = place - self.read;
            self.taken = place;
            self.framer.begin(place);
        }
    }

    pub(super) fn is_at_eof(&self) -> bool {
        self.at_eof
    }

    pub(super) fn input(&self) -> &Input {
        &self.input
    }

    /// Reads until the end, or until nobody wants more.
    pub(super) fn run(&mut self, queue: &Queue<Result<Batch, Error>>) -> Stopped {
        while !queue.is_abandoned() {
            if self.at_eof {
                return Stopped::Eof;
            }
            let Settings { intake, overflow, .. } = &self.settings;
            if *overflow == Overflow::Block && !intake.admits(|| queue.wake().rouser(), ticks()) {
                // A pipe that is not read holds its writer back; what is held waits for that, too.
                wait(queue.wake(), &[], IDLE);
                continue;
            }
            let ready = match self.input.fd() {
                Some(fd) => wait(queue.wake(), &[fd], self.patience(IDLE)),
                None => true,
            };
            if !ready {
                self.framer.expire(ticks());
            } else if let Err(error) = self.read_once() {
                return Stopped::Failed(error);
            }
            while let Some(batch) = self.batch() {
                self.put(batch, queue);
            }
        }
        Stopped::Abandoned
    }

    /// The next batch that comes within a time; none if none does, or at the end.
    pub(super) fn next(&mut self, within: Duration) -> io::Result<Option<Batch>> {
        let never = crate::shell::Wake::none();
        loop {
            if let Some(batch) = self.batch() {
                return Ok(Some(batch));
            }
            let Some(fd) = self.input.fd() else { return Ok(None) };
            if self.at_eof {
                return Ok(None);
            }
            let patience = self.patience(within);
            if wait(&never, &[fd], patience) {
                self.read_once()?;
            } else if patience < within {
                self.framer.expire(ticks());
            } else {
                return Ok(None);
            }
        }
    }

    /// How long to wait for more: not past the time when what is held comes without it.
    fn patience(&self, within: Duration) -> Duration {
        let left = |deadline: Instant| deadline.saturating_duration_since(ticks());
        self.framer.next_deadline().map_or(within, |deadline| left(deadline).min(within))
    }

    fn read_once(&mut self) -> io::Result<()> {
        let room = self.framer.room();
        if room.is_empty() {
            // What is finished must be taken first. A read of nothing would look like the end.
            return Ok(());
        }
        let read = match &mut self.input {
            Input::Fd(file) => file.read(room),
            Input::Any(input) => input.read(room),
        };
        let read = match read {
            Ok(read) => read,
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => return Ok(()),
                _ => return Err(error),
            },
        };
        self.read += read as u64;
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(read);
        if skipped > 0 {
            room.copy_within(skipped..read, 0);
            self.skip -= skipped as u64;
        }
        self.framer.fed(read - skipped, ticks());
        if read == 0 {
            self.at_eof = true;
            self.framer.finish();
        }
        Ok(())
    }

    fn batch(&mut self) -> Option<Batch> {
        loop {
            let framed = self.framer.take()?;
            if self.at_eof {
                // There may have been no room for all that was held.
                self.framer.finish();
            }
            let base = Cursor(Place::Count(self.taken));
            self.taken += framed.consumed;
            framed.tally.count(&self.settings.metrics);
            if framed.table.lines.is_empty() {
                continue;
            }
            let table = framed.table.compacted();
            let (origin, cursor) =
                (Arc::clone(&self.settings.origin), Cursor(Place::Count(self.taken)));
            let batch = Batch::new(origin, table, now(), cursor).based_at(base);
            if let Some(batch) = batch.after(&Position::At(Cursor(Place::Count(self.from)))) {
                return Some(batch);
            }
        }
    }

    /// Counts what is held, since nobody will take it any more.
    pub(super) fn abandon(&mut self) {
        self.at_eof = true;
        self.framer.finish();
        while let Some(batch) = self.batch() {
            abandoned(batch, &self.settings.metrics);
        }
    }

    fn put(&mut self, batch: Batch, queue: &Queue<Result<Batch, Error>>) {
        let weight = weight(&batch);
        let (lines, bytes) = (batch.len(), batch.bytes());
        let Settings { metrics, intake, overflow, .. } = &self.settings;
        let dropped = |reason, lines: usize, bytes: usize| {
            metrics.drop_lines(reason, lines as u64);
            metrics.drop_bytes(reason, bytes as u64);
        };
        let batch = batch.counted_by(metrics);
        if *overflow != Overflow::Block
            && self.admission.admit(intake.room(), (lines, bytes), ticks()).is_err()
        {
            return dropped(DropReason::RateLimited, lines, bytes);
        }
        let mut item = Ok(batch.charged_to(intake));
        while !queue.is_abandoned() {
            match queue.try_push(item, weight) {
                Pushed::Taken => return,
                Pushed::Full(back) => item = back,
            }
            if queue.is_abandoned() {
                break;
            }
            match overflow {
                Overflow::Block => {
                    wait(queue.wake(), &[], IDLE);
                }
                Overflow::DropOldest => {
                    if let Some(Ok(shed)) = queue.shed() {
                        dropped(DropReason::OverflowOldest, shed.len(), shed.bytes());
                    }
                }
                Overflow::DropNewest => {
                    return dropped(DropReason::OverflowNewest, lines, bytes);
                }
            }
        }
        // Nobody takes it now, but who reads on later may.
        queue.push_leftover(item);
    }
}

/// Counts a batch that nobody will take any more.
pub(super) fn abandoned(batch: Batch, metrics: &Arc<SourceMetrics>) {
    let batch = batch.counted_by(metrics);
    metrics.drop_lines(DropReason::Abandoned, batch.len() as u64);
    metrics.drop_bytes(DropReason::Abandoned, batch.bytes() as u64);
}

/// What a batch costs in memory.
pub(super) fn weight(batch: &Batch) -> usize {
    batch.bytes() + batch.len() * 8 + BATCH_WEIGHT
}
