//! Files, followed by name like `tail -n +0 -F`.

mod follower;
mod identity;
mod pattern;
mod reader;
mod reading;
mod watcher;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use self::follower::{Follower, Known};
use self::identity::Opened;
use self::pattern::Pattern;
use self::reader::{Opening, Reader, Start};
use self::reading::Shared;
use crate::metrics::{Count, SourceMetrics};
use crate::shell::{Queue, Store, Tail, Wake, off_thread, ticks};
use crate::slab::Pool;
use crate::{
    Batch, Chunk, Cursor, Error, Health, HealthState, LogSource, Metrics, Origin, Parser, Position,
    SourceKind,
};

/// Batches that are read ahead of the consumer: few, so that they are still in the cache.
const READ_AHEAD: usize = 2;

/// A slab, and so a line, is not larger than this.
const MAX_BYTES: usize = 256 << 20;

/// How a [`FileSource`] learns that something was written.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Watch {
    /// By inotify, with a look every second for safety. Where inotify cannot work (no instances
    /// or watches left, a network file system), by polling.
    #[default]
    Auto,
    /// By polling alone.
    Poll,
}

/// A file, or the files that a pattern names, followed like `tail -n +0 -F`.
///
/// The *name* is followed. A file that is renamed away is read to its end before the one that
/// takes its name; a writer that goes on with the renamed file is read for five seconds more. A
/// file that is cut short is read from its start, and if a copy of it (`copytruncate`) holds what
/// was not read yet, that comes first; what was read of it and not acknowledged does not come
/// again, so rotate by renaming where that matters. A missing file is waited for, and read from its
/// first byte once it appears.
///
/// Lines end with `\n` or `\r\n`; blank ones are dropped. A last line without its end is held
/// until that is written.
///
/// With an offset file, acknowledged places are written to it about once a second and when the
/// stream is dropped. Without one they are kept in memory, for [`Position::Resume`] within the
/// process. Use an offset file for one source only.
#[derive(Debug)]
pub struct FileSource {
    shared: Shared,
    store: Arc<Store>,
    pattern: Pattern,
    poll_interval: Duration,
    watch: Watch,
    status: Arc<Status>,
    metrics: Metrics,
}

/// Builds a [`FileSource`].
#[derive(Debug, Clone)]
#[must_use = "nothing is followed before it is built"]
pub struct FileSourceBuilder {
    path: PathBuf,
    id: Option<String>,
    labels: BTreeMap<String, String>,
    parser: Parser,
    offset_file: Option<PathBuf>,
    poll_interval: Duration,
    watch: Watch,
    max_line_bytes: usize,
    batch_bytes: usize,
    metrics: Metrics,
}

impl FileSource {
    /// Follows a path. Its last component may be a pattern, as in `/var/log/*.log`.
    pub fn builder(path: impl Into<PathBuf>) -> FileSourceBuilder {
        FileSourceBuilder {
            path: path.into(),
            id: None,
            labels: BTreeMap::new(),
            parser: Parser::default(),
            offset_file: None,
            poll_interval: Duration::from_millis(250),
            watch: Watch::Auto,
            max_line_bytes: 1 << 20,
            batch_bytes: 128 << 10,
            metrics: Metrics::default(),
        }
    }

    /// The counters that it counts with.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl FileSourceBuilder {
    /// The source's name within the program; the path if not set.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
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

    /// Where acknowledged places are kept across restarts. A broken file is put aside (as
    /// `….broken`) and told as a retryable error; reading then begins as on a first run.
    pub fn offset_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.offset_file = Some(path.into());
        self
    }

    /// How often to look where no event tells; 250 ms if not set.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// How to learn that something was written; [`Watch::Auto`] if not set.
    pub fn watch(mut self, watch: Watch) -> Self {
        self.watch = watch;
        self
    }

    /// Lines longer than this are cut, and counted; 1 MiB if not set.
    pub fn max_line_bytes(mut self, bytes: usize) -> Self {
        self.max_line_bytes = bytes;
        self
    }

    /// How much is read at once; 128 KiB if not set, so that the slabs in flight stay in a core's
    /// cache. About ten times this much memory is used.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// The counters to count with; ones of its own if not set.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Builds it. The file need not exist yet.
    ///
    /// # Errors
    /// If a setting cannot be, or the offset file cannot be written.
    pub fn build(self) -> Result<FileSource, Error> {
        let pattern = Pattern::new(&self.path)?;
        let within = |bytes: usize| (1..=MAX_BYTES).contains(&bytes);
        if !within(self.max_line_bytes) || !within(self.batch_bytes) {
            return Err(Error::invalid("a line and a batch can have from 1 byte to 256 MiB"));
        }
        if self.poll_interval.is_zero() {
            return Err(Error::invalid("the poll interval cannot be zero"));
        }
        let store = Store::new(self.offset_file);
        store.check()?;
        let id = self.id.unwrap_or_else(|| self.path.to_string_lossy().into_owned());
        let shared = Shared {
            metrics: self.metrics.register(&id, SourceKind::File),
            origin: Arc::new(Origin::new(id, SourceKind::File, self.labels, self.parser)),
            pool: Pool::new(self.batch_bytes),
            max_line: self.max_line_bytes,
            store: None,
        };
        Ok(FileSource {
            shared,
            store,
            pattern,
            poll_interval: self.poll_interval,
            watch: self.watch,
            status: Arc::default(),
            metrics: self.metrics,
        })
    }
}

#[async_trait]
impl LogSource for FileSource {
    fn origin(&self) -> &Arc<Origin> {
        &self.shared.origin
    }

    async fn read(&self, from: Position, max: usize) -> Result<Chunk, Error> {
        let (shared, pattern) = (self.shared.clone(), self.pattern.clone());
        let store = Arc::clone(&self.store);
        off_thread(move || read(&shared, &store, &pattern, &from, max)).await
    }

    fn tail(&self, from: Position) -> BoxStream<'static, Result<Batch, Error>> {
        let shared = Shared { store: Some(Arc::clone(&self.store)), ..self.shared.clone() };
        let (pattern, watch) = (self.pattern.clone(), self.watch);
        let (poll_interval, status) = (self.poll_interval, Arc::clone(&self.status));
        let wake = Wake::new().map_err(|cause| Error::io("cannot make an eventfd", cause));
        let begun = wake.and_then(|wake| Ok((wake, Opening::new(&shared, &pattern, &from)?)));
        let (wake, opening) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                self.shared.metrics.add(Count::Errors, 1);
                return Box::pin(Tail::failed(Queue::new(1, usize::MAX, Wake::none()), error));
            }
        };
        let queue = Queue::new(READ_AHEAD, usize::MAX, wake);
        Box::pin(Tail::start("file", queue, move |queue| {
            Reader { shared, pattern, poll_interval, watch, status, queue }.run(opening);
        }))
    }

    async fn health_check(&self) -> Result<Health, Error> {
        let (pattern, status) = (self.pattern.clone(), Arc::clone(&self.status));
        let metrics = Arc::clone(&self.shared.metrics);
        off_thread(move || {
            let mut health = look(&pattern, &status);
            health.lag_bytes = Some(metrics.lag_bytes());
            Ok(health)
        })
        .await
    }
}

/// A `read`: the same bookkeeping as a `tail`'s, for one batch, and nothing is kept.
fn read(
    shared: &Shared,
    store: &Arc<Store>,
    pattern: &Pattern,
    from: &Position,
    max: usize,
) -> Result<Chunk, Error> {
    let trouble = |path: &Path, cause| Error::io(format!("cannot read {}", path.display()), cause);
    let asking = Shared { store: Some(Arc::clone(store)), ..shared.clone() };
    // A read is no progress, so it counts nothing.
    let metrics = Arc::new(SourceMetrics::new(SourceKind::File));
    let shared = &Shared { metrics, ..shared.clone() };
    let start = Start::new(&asking, from)?;
    let known = Known::new(pattern.directory(), true);
    let (mut batch, mut at_end, mut marks) = (None, true, Vec::new());
    for path in start.paths(pattern) {
        let mut follower = Follower::new(shared, &path, &known);
        follower.begin(start.begin(&path)).map_err(|cause| trouble(&path, cause))?;
        if batch.is_none() && max > 0 {
            batch = follower.step(ticks(), max).map_err(|cause| trouble(&path, cause))?;
        }
        at_end &= follower.is_at_end().map_err(|cause| trouble(&path, cause))?;
        marks.extend(follower.marks());
    }
    Ok(Chunk::new(batch, Cursor::of_files(marks), at_end))
}

fn look(pattern: &Pattern, status: &Status) -> Health {
    let shown = pattern.directory().display();
    let paths = pattern.paths();
    if paths.is_empty() {
        return Health::because(HealthState::Waiting, format!("no file in {shown} matches yet"));
    }
    let (mut readable, mut failed, mut missing) = (0, None, None);
    for path in paths {
        match Opened::open(&path) {
            Ok(Some(_)) => readable += 1,
            Ok(None) => missing = Some(format!("{} does not exist yet", path.display())),
            Err(cause) => {
                let error = Error::io(format!("cannot read {}", path.display()), cause);
                failed.get_or_insert(error.to_string());
            }
        }
    }
    let trouble = status.lock().values().next().cloned();
    match (failed, trouble, missing) {
        (Some(failed), ..) if readable == 0 => Health::because(HealthState::Failed, failed),
        (Some(trouble), ..) | (None, Some(trouble), _) => {
            Health::because(HealthState::Degraded, trouble)
        }
        (None, None, Some(missing)) => Health::because(HealthState::Waiting, missing),
        (None, None, None) => Health::ready(),
    }
}

/// What is wrong now, by path.
#[derive(Debug, Default)]
struct Status(Mutex<BTreeMap<PathBuf, String>>);

impl Status {
    /// Notes a trouble. Says whether it is news.
    fn trouble(&self, path: &Path, what: String) -> bool {
        let mut troubles = self.lock();
        let is_news = troubles.get(path) != Some(&what);
        troubles.insert(path.to_owned(), what);
        is_news
    }

    fn resolve(&self, path: &Path) {
        self.lock().remove(path);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
