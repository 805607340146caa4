//! The `journalctl` child: asked, read, watched, and started again.

use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::input::{Input, READ_PATIENCE, silent};
use super::query::{Begin, Query};
use crate::budget::Intake;
use crate::cursor::Place;
use crate::ledger::Book;
use crate::metrics::{Count, DropReason, SourceMetrics};
use crate::process::{Process, Stderr};
use crate::shell::{Pushed, Queue, Store, Wake, now, ticks, wait};
use crate::slab::{Pool, Table};
use crate::{Batch, Chunk, Cursor, Edge, Error, ErrorKind, Health, HealthState, Origin, Position};

/// Where the acknowledged cursor is in the offset file.
const KEY: &str = "journal";

/// How often the child is looked after, and acknowledged cursors are written to disk.
const TICK: Duration = Duration::from_secs(1);

/// How often it is asked whether an answer is still wanted.
const GLANCE: Duration = Duration::from_millis(50);

/// How long after its death a child is started again: from this, doubled up to that.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// A child that is stopped (as by `SIGSTOP`) for so many ticks is replaced.
const STOPPED_TICKS: u32 = 3;

/// Reads the journal for one `tail` or one `read`.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) query: Query,
    pub(super) origin: Arc<Origin>,
    pub(super) store: Arc<Store>,
    pub(super) pool: Arc<Pool>,
    pub(super) intake: Arc<Intake>,
    pub(super) counters: Arc<SourceMetrics>,
    pub(super) health: Arc<Mutex<Health>>,
}

/// Why a child is read no more.
enum Over {
    Abandoned,
    /// It ended, or had to be ended; the reason.
    Died(String),
}

/// A run of children, one after the other.
struct Session<'a> {
    queue: &'a Queue<Result<Batch, Error>>,
    book: Arc<Book>,
    begin: Begin,
    /// Something came since this was last asked.
    progress: bool,
    /// `journalctl` could be run, so that it can be run again.
    has_run: bool,
}

impl Follower {
    pub(super) fn run(&self, from: &Position, queue: &Queue<Result<Batch, Error>>) {
        let begin = match self.recover(queue).and_then(|()| self.begin(from)) {
            Ok(Begin::End) => self.newest(queue),
            Ok(begin) => begin,
            Err(error) => return self.fail(error, queue),
        };
        // Told at once, so that a run that never acknowledged anything begins again where this
        // one did.
        match &begin {
            Begin::Start => self.store.set(KEY, &Cursor(Place::Journal("".into()))),
            Begin::After(cursor) => {
                self.store.set(KEY, &Cursor(Place::Journal(Arc::clone(cursor))));
            }
            Begin::End | Begin::Since(_) => {}
        }
        let store = Arc::clone(&self.store);
        let counters = self.store.is_on_disk().then_some(&self.counters);
        let book = Book::new(counters, move |place| store.set(KEY, place));
        let mut session = Session { queue, book, begin, progress: false, has_run: false };
        let mut backoff = BACKOFF.0;
        let mut told = String::new();
        while !queue.is_abandoned() {
            let started = now();
            let reason = match self.follow(&mut session) {
                Ok(Over::Abandoned) => break,
                Ok(Over::Died(reason)) => reason,
                Err(error) if session.has_run => error.to_string(),
                Err(error) => {
                    self.fail(error, queue);
                    break;
                }
            };
            if session.begin == Begin::End {
                // What came since must not be missed by the next one.
                session.begin = Begin::Since(started);
            }
            if std::mem::take(&mut session.progress) {
                backoff = BACKOFF.0;
                told.clear();
            }
            self.counters.add(Count::Restarts, 1);
            self.counters.add(Count::Errors, 1);
            self.set_health(Health::because(HealthState::Degraded, reason.clone()));
            if told != reason {
                told.clone_from(&reason);
                queue.push((Err(Error::new(ErrorKind::Io, reason).retryable()), 0));
            }
            self.pause(backoff, queue);
            backoff = (backoff * 2).min(BACKOFF.1);
        }
        // What is wrong is told below.
        self.store.flush().ok();
        self.flush(queue);
    }

    /// What there is after a position, at most `max` entries.
    pub(super) fn read(&self, from: &Position, max: usize) -> Result<Chunk, Error> {
        let begin = self.begin(from)?;
        let start = match &begin {
            Begin::After(cursor) => Cursor(Place::Journal(Arc::clone(cursor))),
            _ => Cursor(Place::Journal("".into())),
        };
        if max == 0 {
            return Ok(Chunk::new(None, start, false));
        }
        if begin == Begin::End {
            let next = self.last(|| true)?.unwrap_or_else(|| "".into());
            return Ok(Chunk::new(None, Cursor(Place::Journal(next)), true));
        }
        let (mut process, stdout) = self.start(&begin, false)?;
        let mut input = Input::new(stdout, &self.pool);
        let mut skipped = start;
        loop {
            let more = input.read(READ_PATIENCE, &Wake::none())?;
            let Some(table) = input.exported.take() else {
                match more {
                    Some(1..) => continue,
                    Some(0) => {
                        ended(&mut process)?;
                        return Ok(Chunk::new(None, skipped, true));
                    }
                    None => return Err(silent()),
                }
            };
            let cursor = last_cursor(&table).unwrap_or_else(|| skipped.clone());
            let Some(batch) = self.batch(table, &cursor) else {
                skipped = cursor;
                continue;
            };
            let whole = batch.len();
            let batch = batch.cut(max);
            let next = batch.cursor().clone();
            let at_end = batch.len() == whole && input.is_over(READ_PATIENCE)?;
            return Ok(Chunk::new(Some(batch), next, at_end));
        }
    }

    /// The end as a place, which can be kept; if it cannot be had, just the end.
    fn newest(&self, queue: &Queue<Result<Batch, Error>>) -> Begin {
        match self.last(|| !queue.is_abandoned()) {
            Ok(Some(cursor)) => Begin::After(cursor),
            Ok(None) => Begin::Start,
            Err(_) => Begin::End,
        }
    }

    /// The cursor of the newest entry, if there is one.
    fn last(&self, wanted: impl Fn() -> bool) -> Result<Option<Arc<str>>, Error> {
        let mut query = self.query.clone();
        query.since = None;
        let mut command = query.command(&Begin::Start, false);
        command.arg("--lines=1");
        let (mut process, stdout) = self.spawn(command)?;
        let mut input = Input::new(stdout, &self.pool);
        let begun = ticks();
        loop {
            match input.read(GLANCE, &Wake::none())? {
                Some(0) => break,
                Some(_) => {}
                None if wanted() && ticks().saturating_duration_since(begun) < READ_PATIENCE => {}
                None => return Err(silent()),
            }
        }
        ended(&mut process)?;
        let last = input.exported.take().and_then(|table| last_cursor(&table));
        Ok(last.and_then(|cursor| match cursor.0 {
            Place::Journal(text) => Some(text),
            _ => None,
        }))
    }

    /// A broken offset file is told, and is no reason not to begin.
    fn recover(&self, queue: &Queue<Result<Batch, Error>>) -> Result<(), Error> {
        if let Some(error) = self.store.recover()? {
            self.counters.add(Count::Errors, 1);
            queue.push((Err(error), 0));
        }
        Ok(())
    }

    fn begin(&self, from: &Position) -> Result<Begin, Error> {
        Ok(match from {
            Position::Start => Begin::Start,
            Position::End => Begin::End,
            Position::At(Cursor(Place::Journal(cursor))) if cursor.is_empty() => Begin::Start,
            Position::At(Cursor(Place::Journal(cursor))) => Begin::After(Arc::clone(cursor)),
            Position::At(cursor) => {
                return Err(Error::invalid(format!("`{cursor}` is not a place in a journal")));
            }
            Position::Resume { otherwise } => match self.store.places()?.get(KEY) {
                Some(Cursor(Place::Journal(cursor))) if cursor.is_empty() => Begin::Start,
                Some(Cursor(Place::Journal(cursor))) => Begin::After(Arc::clone(cursor)),
                _ if *otherwise == Edge::Start => Begin::Start,
                _ => Begin::End,
            },
        })
    }

    fn start(&self, begin: &Begin, follow: bool) -> Result<(Process, OwnedFd), Error> {
        self.spawn(self.query.command(begin, follow))
    }

    fn spawn(&self, command: Command) -> Result<(Process, OwnedFd), Error> {
        let (process, stdout) = Process::start(command, Stderr::Trace).map_err(|error| {
            let program = self.query.journalctl.display();
            let remedy = "install systemd's journalctl, or name another program to run";
            Error::new(error.kind(), format!("cannot run `{program}`; {remedy}")).with_cause(error)
        })?;
        Ok((process, stdout.into()))
    }

    /// Reads one child until it ends.
    fn follow(&self, session: &mut Session<'_>) -> Result<Over, Error> {
        let (mut process, stdout) = self.start(&session.begin, true)?;
        session.has_run = true;
        self.set_health(Health::ready());
        let mut input = Input::new(stdout, &self.pool);
        let mut ticked = ticks();
        let mut stopped = 0;
        loop {
            if session.queue.is_abandoned() {
                return Ok(Over::Abandoned);
            }
            let wake = session.queue.wake();
            let read = if self.intake.admits(|| wake.rouser(), ticks()) {
                input.read(TICK, wake)
            } else {
                // A pipe that is not read holds the child back.
                wait(wake, &[], TICK);
                Ok(None)
            };
            let read = match read {
                Ok(read) => read,
                Err(error) => {
                    if error.kind() == ErrorKind::Corrupt {
                        self.counters.drop_lines(DropReason::Unreadable, 1);
                    }
                    self.hand_on(&mut input, session);
                    if let Some(cursor) = input.bad.take() {
                        // Past the entry that cannot be read.
                        session.begin = Begin::After(cursor.into());
                        session.progress = true;
                    }
                    return Ok(Over::Died(error.to_string()));
                }
            };
            self.hand_on(&mut input, session);
            if read == Some(0) {
                return Ok(Over::Died(death(&mut process)));
            }
            if tick(&mut ticked) {
                self.flush(session.queue);
                stopped = if is_stopped(process.id()) { stopped + 1 } else { 0 };
                if stopped >= STOPPED_TICKS {
                    return Ok(Over::Died("journalctl was stopped, and is replaced".to_owned()));
                }
            }
        }
    }

    fn hand_on(&self, input: &mut Input, session: &mut Session<'_>) {
        let Some(table) = input.exported.take() else { return };
        let Some(cursor) = last_cursor(&table) else {
            // They have no place, so they could be neither acknowledged nor gone on from.
            self.counters.drop_lines(DropReason::Unreadable, table.lines.len() as u64);
            return;
        };
        if let Place::Journal(text) = &cursor.0 {
            session.begin = Begin::After(Arc::clone(text));
        }
        session.progress = true;
        let Some(batch) = self.batch(table, &cursor) else {
            // All of it left out: nothing to acknowledge, but a place to go on from.
            session.book.issue(cursor).done();
            return;
        };
        let ack = session.book.issue(cursor);
        let mut item = Ok(batch.with_ack(ack).counted_by(&self.counters).charged_to(&self.intake));
        let mut ticked = ticks();
        while !session.queue.is_abandoned() {
            match session.queue.try_push(item, 0) {
                Pushed::Taken => return,
                Pushed::Full(back) => item = back,
            }
            wait(session.queue.wake(), &[], TICK);
            if tick(&mut ticked) {
                self.flush(session.queue);
            }
        }
    }

    /// The entries that are not left out.
    fn batch(&self, mut table: Table, cursor: &Cursor) -> Option<Batch> {
        self.leave_out(&mut table);
        let origin = Arc::clone(&self.origin);
        let batch = Batch::new(origin, table, now(), cursor.clone());
        (!batch.is_empty()).then_some(batch)
    }

    fn leave_out(&self, table: &mut Table) {
        let (pids, units) = (&self.query.excluded_pids, &self.query.excluded_units);
        if pids.is_empty() && units.is_empty() {
            return;
        }
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        let is_out = |table: &Table, index: usize| {
            table.record_fields(index).iter().any(|field| {
                let value = field.value.of(&table.slab);
                match field.name.of(&table.slab) {
                    b"_PID" => pids.iter().any(|pid| pid.as_bytes() == value),
                    b"_SYSTEMD_UNIT" => units.iter().any(|unit| unit.as_bytes() == value),
                    _ => false,
                }
            })
        };
        let kept: Vec<bool> = (0..table.lines.len()).map(|index| !is_out(table, index)).collect();
        if kept.iter().all(|kept| *kept) {
            return;
        }
        table.retain(&kept);
    }

    fn fail(&self, error: Error, queue: &Queue<Result<Batch, Error>>) {
        self.counters.add(Count::Errors, 1);
        self.set_health(Health::because(HealthState::Failed, error.to_string()));
        queue.push((Err(error), 0));
    }

    fn set_health(&self, health: Health) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    /// The store writes by itself. If it cannot, that is told here.
    fn flush(&self, queue: &Queue<Result<Batch, Error>>) {
        if let Some(error) = self.store.trouble() {
            self.counters.add(Count::Errors, 1);
            let health = Health::because(HealthState::Degraded, error.to_string());
            let mut shown = self.health.lock().unwrap_or_else(PoisonError::into_inner);
            if *shown != health {
                *shown = health;
                drop(shown);
                queue.push((Err(error), 0));
            }
        }
    }

    fn pause(&self, pause: Duration, queue: &Queue<Result<Batch, Error>>) {
        let begun = ticks();
        loop {
            self.flush(queue);
            let left = pause.saturating_sub(ticks().saturating_duration_since(begun));
            if left.is_zero() || queue.is_abandoned() {
                return;
            }
            wait(queue.wake(), &[], left.min(TICK));
        }
    }
}

fn last_cursor(table: &Table) -> Option<Cursor> {
    let text = table.records.last()?.cursor.of(&table.slab);
    (!text.is_empty()).then(|| Cursor(Place::Journal(String::from_utf8_lossy(text).into())))
}

/// An error if a child that should have come to its end failed.
fn ended(process: &mut Process) -> Result<(), Error> {
    match process.wait(TICK) {
        Some(status) if !status.success() => Err(Error::new(ErrorKind::Io, death(process))),
        _ => Ok(()),
    }
}

fn death(process: &mut Process) -> String {
    let how = match process.wait(TICK) {
        Some(status) => format!("journalctl ended with {status}"),
        None => "journalctl closed its output".to_owned(),
    };
    let words = process.last_words();
    if words.is_empty() { how } else { format!("{how}: {words}") }
}

fn tick(last: &mut Instant) -> bool {
    let now = ticks();
    let due = now.saturating_duration_since(*last) >= TICK;
    if due {
        *last = now;
    }
    due
}

/// Whether a process is stopped: it lives, and does nothing. Silence alone says nothing, since a
/// journal may be quiet for hours.
fn is_stopped(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    matches!(after_name.trim_start().bytes().next(), Some(b'T' | b't'))
}
