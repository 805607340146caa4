//! The systemd journal.

mod child;
mod export;
mod input;
mod query;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use self::child::Follower;
use self::query::Query;
use crate::budget::{Intake, Limits};
use crate::shell::{Pace, Queue, Store, Tail, Wake, off_thread, ticks};
use crate::slab::Pool;
use crate::{
    Batch, Budget, Chunk, Error, Health, HealthState, LogSource, Metrics, Origin, Parser, Position,
    SourceKind,
};

/// How much is read from `journalctl` at once.
const SLAB_BYTES: usize = 256 << 10;

/// Batches that are read ahead of the consumer.
const READ_AHEAD: usize = 4;

/// The systemd journal, through a `journalctl --output=export` child.
///
/// The line of an entry is its `MESSAGE`, its time stamp is `__REALTIME_TIMESTAMP`, and all its
/// fields are there, byte for byte, with [`EntryRef::field`](crate::EntryRef::field), and as text
/// in [`LogEntry::fields`](crate::LogEntry::fields); a field that repeats is a list there. What
/// the parser finds in the message is added to them, and overrides none.
///
/// Entries of every boot are followed, and those of other machines if there are any in the
/// journal's directories. A child that dies or stands still is started again, after the last entry
/// it gave. With an offset file, the cursor of the last acknowledged entry survives restarts.
#[derive(Debug)]
pub struct JournaldSource {
    origin: Arc<Origin>,
    query: Query,
    store: Arc<Store>,
    pool: Arc<Pool>,
    intake: Arc<Intake>,
    health: Arc<Mutex<Health>>,
    metrics: Metrics,
}

/// Builds a [`JournaldSource`].
#[derive(Debug, Clone)]
#[must_use = "nothing is followed before it is built"]
pub struct JournaldSourceBuilder {
    query: Query,
    id: Option<String>,
    labels: BTreeMap<String, String>,
    parser: Parser,
    offset_file: Option<PathBuf>,
    pace: Pace,
    limits: Limits,
    metrics: Metrics,
}

impl JournaldSource {
    /// Follows this machine's journal, unless a directory or file is named.
    pub fn builder() -> JournaldSourceBuilder {
        JournaldSourceBuilder {
            query: Query::new(),
            id: None,
            labels: BTreeMap::new(),
            parser: Parser::default(),
            offset_file: None,
            pace: Pace::default(),
            limits: Limits::default(),
            metrics: Metrics::default(),
        }
    }

    /// The counters that it counts with.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn follower(&self) -> Follower {
        Follower {
            query: self.query.clone(),
            origin: Arc::clone(&self.origin),
            store: Arc::clone(&self.store),
            pool: Arc::clone(&self.pool),
            intake: Arc::clone(&self.intake),
            counters: self.metrics.register(self.origin.id(), SourceKind::Journald),
            health: Arc::clone(&self.health),
        }
    }
}

impl JournaldSourceBuilder {
    /// Only entries of this unit; called again, of these units.
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.query.units.push(unit.into());
        self
    }

    /// Only entries of this priority or a graver one: `emerg`, `alert`, `crit`, `err`, `warning`,
    /// `notice`, `info`, `debug`, or 0 to 7.
    pub fn priority(mut self, priority: impl Into<String>) -> Self {
        self.query.priority = Some(priority.into());
        self
    }

    /// Only entries since this time. [`Position::At`] and a resumed position are after it anyway.
    pub fn since(mut self, time: SystemTime) -> Self {
        self.query.since = Some(time);
        self
    }

    /// The journal files of this directory.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.query.directory = Some(path.into());
        self
    }

    /// This journal file; called again, these files.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.query.files.push(path.into());
        self
    }

    /// The journal of this namespace.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.query.namespace = Some(name.into());
        self
    }

    /// The program to run; `journalctl`, looked for in `PATH`, if not set.
    pub fn journalctl(mut self, path: impl Into<PathBuf>) -> Self {
        self.query.journalctl = path.into();
        self
    }

    /// Leaves out what a process writes, such as this one, whose own log would feed itself.
    pub fn exclude_pid(mut self, pid: u32) -> Self {
        self.query.excluded_pids.push(pid);
        self
    }

    /// Leaves out what a unit writes, such as this process's own.
    pub fn exclude_unit(mut self, unit: impl Into<String>) -> Self {
        self.query.excluded_units.push(unit.into());
        self
    }

    /// The source's name within the program; `journald` if not set.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Adds a label to every entry.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// How messages become fields; [`Parser::auto`] if not set.
    pub fn parser(mut self, parser: Parser) -> Self {
        self.parser = parser;
        self
    }

    /// Where the acknowledged cursor is kept across restarts. A broken file is put aside (as
    /// `….broken`) and told as a retryable error; reading then begins as on a first run.
    pub fn offset_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.offset_file = Some(path.into());
        self
    }

    /// How soon an acknowledged place is written, so that it survives the process; 100 ms if not
    /// set. A commit that takes longer than this, or than 50 ms, is followed by the next at once.
    pub fn commit_within(mut self, time: Duration) -> Self {
        self.pace.write_within = time;
        self
    }

    /// How soon an acknowledged place is synced, so that it survives the machine; 1 s if not set.
    pub fn sync_within(mut self, time: Duration) -> Self {
        self.pace.sync_within = time;
        self
    }

    /// A budget to share with other sources, beside its own; none if not set.
    pub fn budget(mut self, shared: &Budget) -> Self {
        self.limits.shared = Some(shared.clone());
        self
    }

    /// How much memory its batches may take until they are dropped; 256 MiB if not set. Above
    /// 85 % of it the journal is not read.
    pub fn max_in_flight_bytes(mut self, bytes: usize) -> Self {
        self.limits.own_bytes = bytes;
        self
    }

    /// Another mark than 85 %, as for [`Budget::with_mark`].
    pub fn mark_percent(mut self, percent: u8) -> Self {
        self.limits.mark_percent = percent;
        self
    }

    /// The counters to count with; ones of its own if not set.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Builds it. Nothing is run yet.
    ///
    /// # Errors
    /// If a setting cannot be, or the offset file cannot be written.
    pub fn build(self) -> Result<JournaldSource, Error> {
        self.query.check()?;
        self.pace.check()?;
        let store = Store::new(self.offset_file, self.pace);
        store.check()?;
        let id = self.id.unwrap_or_else(|| "journald".to_owned());
        let counters = self.metrics.register(&id, SourceKind::Journald);
        store.counted_by(&counters);
        let health = Health::because(HealthState::Waiting, "the journal is not being followed");
        Ok(JournaldSource {
            origin: Arc::new(Origin::new(id, SourceKind::Journald, self.labels, self.parser)),
            query: self.query,
            store,
            pool: Pool::new(SLAB_BYTES),
            intake: self.limits.intake(&counters),
            health: Arc::new(Mutex::new(health)),
            metrics: self.metrics,
        })
    }
}

#[async_trait]
impl LogSource for JournaldSource {
    fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    async fn read(&self, from: Position, max: usize) -> Result<Chunk, Error> {
        let follower = self.follower();
        off_thread(move || follower.read(&from, max)).await
    }

    fn tail(&self, from: Position) -> BoxStream<'static, Result<Batch, Error>> {
        let wake = match Wake::new() {
            Ok(wake) => wake,
            Err(cause) => {
                let queue = Queue::new(1, usize::MAX, Wake::none());
                return Box::pin(Tail::failed(queue, Error::io("cannot make an eventfd", cause)));
            }
        };
        let follower = self.follower();
        let queue = Queue::new(READ_AHEAD, usize::MAX, wake);
        Box::pin(Tail::start("journald", queue, move |queue| follower.run(&from, queue)))
    }

    async fn health_check(&self) -> Result<Health, Error> {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(self.intake.health(health, ticks()))
    }
}

/// Whether this is a journal: a `*.journal` file, or a directory that holds some.
pub(crate) fn is_journal(path: &Path) -> bool {
    let is_file = |path: &Path| path.extension().is_some_and(|ext| ext == "journal");
    if path.is_file() {
        return is_file(path);
    }
    let Ok(entries) = std::fs::read_dir(path) else { return false };
    entries.filter_map(Result::ok).take(10_000).any(|entry| {
        let path = entry.path();
        // A machine's journals are in a directory named after it.
        is_file(&path)
            || std::fs::read_dir(&path).is_ok_and(|inner| {
                inner.filter_map(Result::ok).take(100).any(|entry| is_file(&entry.path()))
            })
    })
}

/// The entries of an export stream that comes in pieces of these sizes; `None` where it is none.
#[cfg(fuzzing)]
#[must_use]
pub fn export_entries(bytes: &[u8], pieces: &[usize]) -> Option<Vec<export::pieces::Entry>> {
    export::pieces::parse(bytes, pieces).ok()
}
