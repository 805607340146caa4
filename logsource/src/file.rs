//! Files, followed by name like `tail -n +0 -F`.

mod catalog;
mod chunk;
mod content;
mod discovery;
mod disk;
mod family;
mod follower;
mod health;
mod identity;
mod lag;
mod listings;
mod open_files;
mod opening;
mod reader;
mod reading;
mod table;

#[cfg(fuzzing)]
pub(crate) use self::content::memory::read_growing;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use self::discovery::Patterns;
use self::health::Status;
use self::open_files::OpenFiles;
use self::opening::Opening;
pub use self::reader::BlockingTail;
use self::reader::{Reader, Settings};
use self::reading::{Keeping, Shared};
use crate::budget::Limits;
use crate::framing::MAX_BYTES;
use crate::metrics::{Count, Gauge};
use crate::shell::{Pace, Queue, Store, Tail, Wake, off_thread, ticks};
use crate::slab::Pool;
use crate::{
    Batch, Budget, Chunk, Error, Framing, Health, LogSource, Metrics, Origin, Parser, Position,
    SourceKind,
};

/// Batches that are read ahead of the consumer: few, so that they are still in the cache.
const READ_AHEAD: usize = 2;

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
/// file that is cut short, or written anew in place, is read from its start, and if a copy of it
/// (`copytruncate`) holds what was not read or not acknowledged yet, that comes first. A missing
/// file is waited for, and read from its first byte once it appears.
///
/// What was compressed with gzip or zstd is read as what it was (feature `compression`), whatever it
/// is called. Files are read in turn, a batch each; archives one after another beside them, so that
/// the memory to unpack is needed once, not for each of a directory full.
///
/// Lines end with `\n` or `\r\n`; blank ones are dropped. A last line without its end is held
/// until that is written.
///
/// [`tail`](LogSource::tail) looks for the files and opens each of them once before it returns, so
/// that what is renamed or written after that is not missed. This takes about a tenth of a
/// millisecond a file on the calling thread: where a pattern may name thousands, an async program
/// calls it where it may block (`spawn_blocking`, say).
///
/// With an offset file, acknowledged places are written to it within 100 ms, synced within a second
/// and when the stream is dropped. While that cannot be (a full disk), it is told as a retryable
/// error and tried again, and reading goes on. Without one they are kept in memory, for
/// [`Position::Resume`] within the process. Use an offset file for one source only: it is locked
/// while a source has it.
#[derive(Debug)]
pub struct FileSource {
    shared: Shared,
    store: Arc<Store>,
    patterns: Patterns,
    max_held_bytes: u64,
    poll_interval: Duration,
    watch: Watch,
    status: Arc<Status>,
    metrics: Metrics,
}

/// Which files are followed, and what becomes of them: settings that a description of a source, or
/// a command line, gives together. Each is as the setter of [`FileSourceBuilder`] of its name.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileOptions {
    /// See [`FileSourceBuilder::exclude`].
    pub exclude: Vec<PathBuf>,
    /// See [`FileSourceBuilder::ignore_older`].
    pub ignore_older: Option<Duration>,
    /// See [`FileSourceBuilder::remove_after_ack`].
    pub remove_after_ack: Option<Duration>,
    /// See [`FileSourceBuilder::close_after`].
    pub close_after: Option<Duration>,
}

/// Builds a [`FileSource`].
#[derive(Debug, Clone)]
#[must_use = "nothing is followed before it is built"]
pub struct FileSourceBuilder {
    include: Vec<PathBuf>,
    exclude: Vec<PathBuf>,
    max_files: usize,
    id: Option<String>,
    labels: BTreeMap<String, String>,
    parser: Parser,
    offset_file: Option<PathBuf>,
    pace: Pace,
    poll_interval: Duration,
    watch: Watch,
    framing: Framing,
    batch_bytes: usize,
    limits: Limits,
    keeping: Keeping,
    max_open_files: Option<usize>,
    max_held_bytes: u64,
    metrics: Metrics,
}

impl FileSource {
    /// Follows a path, or the files that a pattern names, as in `/var/log/**/*.log`.
    ///
    /// A pattern is as in a shell: `*` and `?` stay within a name, `[a-z]` and `[!a-z]` are one
    /// character, `**` is any number of directories, `{a,b}` is either, and `\` takes what follows
    /// as it is. A leading dot is matched by a dot alone. Links are followed, to files and to
    /// directories. A file of that very name wins over a pattern.
    pub fn builder(path: impl Into<PathBuf>) -> FileSourceBuilder {
        FileSourceBuilder {
            include: vec![path.into()],
            exclude: Vec::new(),
            max_files: 100_000,
            id: None,
            labels: BTreeMap::new(),
            parser: Parser::default(),
            offset_file: None,
            pace: Pace::default(),
            poll_interval: Duration::from_millis(250),
            watch: Watch::Auto,
            framing: Framing::new(),
            batch_bytes: 128 << 10,
            limits: Limits::default(),
            keeping: Keeping {
                ignore_older: None,
                remove_after: None,
                close_after: Duration::from_secs(300),
            },
            max_open_files: None,
            max_held_bytes: 1 << 30,
            metrics: Metrics::default(),
        }
    }

    /// [Tails](LogSource::tail) on the thread that asks for each batch, for programs that are not
    /// async. There is no thread between the files and the caller, so it also costs least: up to a
    /// third less for a log that grows by 10 MB a second.
    ///
    /// It looks for the files, and opens each once, before it returns. Dropping what it gives stops
    /// it.
    ///
    /// # Errors
    /// If the position is not one in a file, the offset file cannot be used, or there is no file
    /// descriptor left.
    ///
    /// # Example
    ///
    /// ```
    /// use birl_logsource::{Edge, FileSource, Position};
    ///
    /// # fn main() -> Result<(), birl_logsource::Error> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let (log, offsets) = (dir.path().join("app.log"), dir.path().join("app.offsets"));
    /// # std::fs::write(&log, "started\n").unwrap();
    /// let source = FileSource::builder(&log).offset_file(&offsets).build()?;
    /// for batch in source.tail_blocking(Position::Resume { otherwise: Edge::Start })? {
    ///     let batch = batch?;
    ///     for entry in batch.entries() {
    ///         assert_eq!(entry.line(), b"started");
    ///     }
    ///     batch.ack();
    /// #   break;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn tail_blocking(&self, from: Position) -> Result<BlockingTail, Error> {
        let (settings, opening) = self.begin(usize::MAX, &from)?;
        Ok(BlockingTail::new(settings, opening))
    }

    /// What a tail begins with, and its way to the consumer.
    fn begin(&self, read_ahead: usize, from: &Position) -> Result<(Settings, Opening), Error> {
        let shared = Shared { store: Some(Arc::clone(&self.store)), ..self.shared.clone() };
        let begin = || {
            let wake = Wake::new().map_err(|cause| Error::io("cannot make an eventfd", cause))?;
            Ok((wake, Opening::new(&shared, &self.patterns, self.watch, from)?))
        };
        let count = |_: &Error| shared.metrics.add(Count::Errors, 1);
        let (wake, opening) = begin().inspect_err(count)?;
        let settings = Settings {
            shared,
            patterns: self.patterns.clone(),
            poll_interval: self.poll_interval,
            max_held_bytes: self.max_held_bytes,
            status: Arc::clone(&self.status),
            queue: Queue::new(read_ahead, usize::MAX, wake),
        };
        Ok((settings, opening))
    }

    /// The counters that it counts with.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl FileSourceBuilder {
    /// Follows these, too: a path, or a pattern as in [`FileSource::builder`].
    pub fn include(mut self, path: impl Into<PathBuf>) -> Self {
        self.include.push(path.into());
        self
    }

    /// Leaves files out, though they are included. A pattern that is relative may begin at any
    /// directory, as in `*.gz` or `archive/*.log`. One that matches a directory leaves out all that
    /// is in it.
    pub fn exclude(mut self, pattern: impl Into<PathBuf>) -> Self {
        self.exclude.push(pattern.into());
        self
    }

    /// Several settings at once; those that are not given stay as they are.
    pub fn options(mut self, options: &FileOptions) -> Self {
        let FileOptions { exclude, ignore_older, remove_after_ack, close_after } = options;
        self.exclude.extend(exclude.iter().cloned());
        let keeping = &mut self.keeping;
        keeping.ignore_older = ignore_older.or(keeping.ignore_older);
        keeping.remove_after = remove_after_ack.or(keeping.remove_after);
        keeping.close_after = close_after.unwrap_or(keeping.close_after);
        self
    }

    /// More files than this are not followed, and a retryable error tells of them; 100,000 if not
    /// set.
    pub fn max_files(mut self, files: usize) -> Self {
        self.max_files = files;
        self
    }

    /// The source's name within the program; the first path if not set.
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

    /// How much is read at once; 128 KiB if not set, so that the slabs in flight stay in a core's
    /// cache. About ten times this much memory is used.
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// Files that were last written longer ago are not read. If one is written again, what comes
    /// then is read. One of which some was read already is read on in any case. All are read if
    /// not set.
    pub fn ignore_older(mut self, than: Duration) -> Self {
        self.keeping.ignore_older = Some(than);
        self
    }

    /// Removes files that were read to their end: once all of it is acknowledged, that is written
    /// down on disk, and nothing was written to the file for this long. It is for files that
    /// nobody writes again: what a writer adds to one that was removed is lost. None is removed if
    /// not set.
    ///
    /// It counts [`Count::Removed`](crate::Count::Removed). A file that cannot be removed is told
    /// as a retryable error, and stays.
    pub fn remove_after_ack(mut self, quiet: Duration) -> Self {
        self.keeping.remove_after = Some(quiet);
        self
    }

    /// Closes files that were read to their end and not written for this long; 5 minutes if not
    /// set. They are followed as before, and opened again when they are written.
    pub fn close_after(mut self, quiet: Duration) -> Self {
        self.keeping.close_after = quiet;
        self
    }

    /// No more files than this are open at once, 16 at least; 4096, or three quarters of what
    /// the process may have open if that is less, if not set. When there are more, those that were
    /// read are closed, and the others are read one after another.
    pub fn max_open_files(mut self, files: usize) -> Self {
        self.max_open_files = Some(files);
        self
    }

    /// How much disk space files may take that were deleted and are not read to their end yet;
    /// 1 GiB if not set. When it is more, the oldest are let go of, and what was not read of them
    /// is counted ([`DropReason::HeldTooMuch`](crate::DropReason::HeldTooMuch)).
    pub fn max_held_bytes(mut self, bytes: u64) -> Self {
        self.max_held_bytes = bytes;
        self
    }

    /// A budget to share with other sources, beside its own; none if not set.
    pub fn budget(mut self, shared: &Budget) -> Self {
        self.limits.shared = Some(shared.clone());
        self
    }

    /// How much memory its batches may take until they are dropped; 256 MiB if not set. Above
    /// 85 % of it nothing is read: the files are the buffer.
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

    /// Builds it. The file need not exist yet.
    ///
    /// # Errors
    /// If a setting cannot be, or the offset file cannot be written.
    pub fn build(self) -> Result<FileSource, Error> {
        if self.max_files == 0 {
            return Err(Error::invalid("`max_files` cannot be 0: nothing would be followed"));
        }
        let patterns = Patterns::new(&self.include, &self.exclude)?.limit(self.max_files);
        self.framing.check()?;
        if !(1..=MAX_BYTES).contains(&self.batch_bytes) {
            return Err(Error::invalid("a batch can have from 1 byte to 256 MiB"));
        }
        self.pace.check()?;
        if self.poll_interval.is_zero() {
            return Err(Error::invalid("the poll interval cannot be zero"));
        }
        let store = Store::new(self.offset_file, self.pace);
        store.check()?;
        let id = self.id.unwrap_or_else(|| {
            self.include.first().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
        });
        let metrics = self.metrics.register(&id, SourceKind::File);
        let shared = Shared {
            intake: self.limits.intake(&metrics),
            origin: Arc::new(Origin::new(id, SourceKind::File, self.labels, self.parser)),
            pool: Pool::new(self.batch_bytes),
            framing: self.framing,
            open: OpenFiles::new(self.max_open_files, &metrics),
            keeping: self.keeping,
            metrics,
            store: None,
        };
        store.counted_by(&shared.metrics);
        Ok(FileSource {
            shared,
            store,
            patterns,
            max_held_bytes: self.max_held_bytes,
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
        let (shared, patterns) = (self.shared.clone(), self.patterns.clone());
        let store = Arc::clone(&self.store);
        off_thread(move || chunk::read(&shared, &store, &patterns, &from, max)).await
    }

    fn tail(&self, from: Position) -> BoxStream<'static, Result<Batch, Error>> {
        match self.begin(READ_AHEAD, &from) {
            Ok((settings, opening)) => {
                let queue = Arc::clone(&settings.queue);
                Box::pin(Tail::start("file", queue, move |_| Reader::run(settings, opening)))
            }
            Err(error) => Box::pin(Tail::failed(Queue::new(1, usize::MAX, Wake::none()), error)),
        }
    }

    async fn health_check(&self) -> Result<Health, Error> {
        let (patterns, status) = (self.patterns.clone(), Arc::clone(&self.status));
        let (metrics, intake) = (Arc::clone(&self.shared.metrics), Arc::clone(&self.shared.intake));
        off_thread(move || {
            let now = ticks();
            let mut health = intake.health(health::look(&patterns, &status, now), now);
            health.lag_bytes = Some(metrics.lag_bytes());
            health.lag = Some(Duration::from_secs(metrics.gauge(Gauge::LagSeconds)));
            Ok(health)
        })
        .await
    }
}
