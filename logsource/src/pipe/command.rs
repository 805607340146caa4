//! A command's output.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_core::stream::BoxStream;

use super::Overflow;
use super::pump::{Input, Pump, Settings, Stopped, abandoned};
use crate::admission::Rate;
use crate::budget::Limits;
use crate::cursor::Place;
use crate::metrics::Count;
use crate::process::{Process, Stderr};
use crate::shell::{Queue, Tail, Wake, off_thread, ticks};
use crate::{
    Batch, Budget, Chunk, Cursor, Error, ErrorKind, Framing, Health, HealthState, LogSource,
    Metrics, Origin, Parser, Position, SourceKind,
};

/// When a command has been silent for this long, a `read` has seen what there is now.
const QUIET: Duration = Duration::from_millis(500);

/// How long a command that has closed its output may take to end before it is stopped.
const EXIT_WAIT: Duration = Duration::from_secs(5);

/// The standard output of a command.
///
/// `tail` runs it, and dropping the stream ends it with everything it started (its process group:
/// `SIGTERM`, then `SIGKILL` after 200 ms). The stream ends when the command does: with an error
/// if that was a failure. `read` runs it too, anew each time, until there are lines enough or it
/// is silent for half a second.
///
/// Output cannot be had twice: what was read and not taken when the stream is dropped is counted
/// ([`DropReason::Abandoned`](crate::DropReason)), and every position but [`Position::At`] means
/// all of a new run. `At` passes over as many bytes of the new run as the cursor covers, which is
/// right for a command that says the same again, such as `cat`.
#[derive(Debug)]
pub struct CommandSource {
    line: Arc<[OsString]>,
    directory: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    stderr: Stderr,
    settings: Settings,
    health: Arc<Mutex<Health>>,
    metrics: Metrics,
}

/// Builds a [`CommandSource`].
#[derive(Debug, Clone)]
#[must_use = "nothing is run before it is built"]
pub struct CommandSourceBuilder {
    line: Vec<OsString>,
    directory: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    id: Option<String>,
    labels: BTreeMap<String, String>,
    parser: Parser,
    stderr: Stderr,
    framing: Framing,
    buffer_bytes: usize,
    overflow: Overflow,
    rate: Rate,
    limits: Limits,
    metrics: Metrics,
}

impl CommandSource {
    /// Runs a program with arguments. There is no shell in between.
    pub fn builder<I>(line: I) -> CommandSourceBuilder
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        CommandSourceBuilder {
            line: line.into_iter().map(|word| word.as_ref().to_owned()).collect(),
            directory: None,
            environment: Vec::new(),
            id: None,
            labels: BTreeMap::new(),
            parser: Parser::default(),
            stderr: Stderr::default(),
            framing: Framing::new(),
            buffer_bytes: 1 << 20,
            overflow: Overflow::default(),
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

    fn run(&self, from: &Position) -> Result<Run, Error> {
        let skip = from.skipped()?;
        let Some((program, arguments)) = self.line.split_first() else {
            return Err(Error::invalid("there is no command to run"));
        };
        let mut command = Command::new(program);
        command.args(arguments).envs(self.environment.iter().cloned());
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let settings = self.settings.clone();
        Ok(Run { command, stderr: self.stderr, settings, skip })
    }
}

impl CommandSourceBuilder {
    /// The directory to run it in.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Sets a variable of its environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The source's name within the program; `stdout:` and the command line if not set.
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

    /// What becomes of its standard error; [`Stderr::Trace`] if not set.
    pub fn stderr(mut self, stderr: Stderr) -> Self {
        self.stderr = stderr;
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

    /// How much is buffered between the command and the consumer; 1 MiB if not set.
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

    /// Builds it. Nothing is run yet.
    ///
    /// # Errors
    /// If there is no program to run, or a size cannot be.
    pub fn build(self) -> Result<CommandSource, Error> {
        if self.line.first().is_none_or(|program| program.is_empty()) {
            return Err(Error::invalid("there is no command to run; name a program"));
        }
        super::reader::check(&self.framing, self.buffer_bytes, self.rate)?;
        let id = self.id.unwrap_or_else(|| {
            let words: Vec<_> = self.line.iter().map(|word| word.to_string_lossy()).collect();
            format!("stdout:{}", words.join(" "))
        });
        let metrics = self.metrics.register(&id, SourceKind::Stdout);
        let settings = Settings {
            intake: self.limits.intake(&metrics),
            metrics,
            origin: Arc::new(Origin::new(id, SourceKind::Stdout, self.labels, self.parser)),
            pool: Settings::pool(),
            framing: self.framing,
            buffer_bytes: self.buffer_bytes,
            overflow: self.overflow,
            rate: self.rate,
        };
        let health = Health::because(HealthState::Waiting, "the command is not running");
        Ok(CommandSource {
            line: self.line.into(),
            directory: self.directory,
            environment: self.environment,
            stderr: self.stderr,
            settings,
            health: Arc::new(Mutex::new(health)),
            metrics: self.metrics,
        })
    }
}

#[async_trait]
impl LogSource for CommandSource {
    fn origin(&self) -> &Arc<Origin> {
        &self.settings.origin
    }

    async fn read(&self, from: Position, max: usize) -> Result<Chunk, Error> {
        let run = self.run(&from)?;
        off_thread(move || run.read(max)).await
    }

    fn tail(&self, from: Position) -> BoxStream<'static, Result<Batch, Error>> {
        let wake = Wake::new().map_err(|cause| Error::io("cannot make an eventfd", cause));
        let (run, wake) = match (self.run(&from), wake) {
            (Ok(run), Ok(wake)) => (run, wake),
            (Err(error), _) | (_, Err(error)) => {
                let queue = Queue::new(1, usize::MAX, Wake::none());
                return Box::pin(Tail::failed(queue, error));
            }
        };
        let queue = Queue::new(usize::MAX, self.settings.buffer_bytes, wake);
        let (health, metrics) = (Arc::clone(&self.health), Arc::clone(&self.settings.metrics));
        let counters = Arc::clone(&metrics);
        let tail = Tail::start("command", queue, move |queue| {
            set(&health, Health::ready());
            let result = run.follow(queue);
            set(&health, result.health);
            if let Some(error) = result.error {
                metrics.add(Count::Errors, 1);
                queue.push((Err(error), 0));
            }
        });
        Box::pin(tail.leaving(move |queue| {
            // Output cannot be had twice.
            queue.leftovers().filter_map(Result::ok).for_each(|batch| abandoned(batch, &counters));
        }))
    }

    async fn health_check(&self) -> Result<Health, Error> {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(self.settings.intake.health(health, ticks()))
    }
}

fn set(health: &Mutex<Health>, now: Health) {
    *health.lock().unwrap_or_else(PoisonError::into_inner) = now;
}

/// One run of the command.
struct Run {
    command: Command,
    stderr: Stderr,
    settings: Settings,
    skip: u64,
}

/// How a run went.
struct Outcome {
    health: Health,
    error: Option<Error>,
}

impl Run {
    fn start(self) -> Result<(Process, Pump), Error> {
        let (process, stdout) = Process::start(self.command, self.stderr)?;
        Ok((process, Pump::new(self.settings, Input::of_fd(stdout), self.skip)))
    }

    fn follow(self, queue: &Queue<Result<Batch, Error>>) -> Outcome {
        let (mut process, mut pump) = match self.start() {
            Ok(started) => started,
            Err(error) => return Outcome::failed(error),
        };
        let stopped = pump.run(queue);
        // At the end there is nothing more.
        pump.abandon();
        match stopped {
            Stopped::Abandoned => {
                let health = Health::because(HealthState::Waiting, "the command was stopped");
                Outcome { health, error: None }
            }
            Stopped::Failed(cause) => Outcome::failed(Error::io("cannot read its output", cause)),
            Stopped::Eof => ended(&mut process, || !queue.is_abandoned()),
        }
    }

    fn read(self, max: usize) -> Result<Chunk, Error> {
        let skip = self.skip;
        let (mut process, mut pump) = self.start()?;
        let failed = |cause| Error::io("cannot read the command's output", cause);
        let start = Cursor(Place::Count(skip));
        if max == 0 {
            return Ok(Chunk::new(None, start, false));
        }
        let Some(batch) = pump.next(QUIET).map_err(failed)? else {
            // A command that only failed has said nothing, which is not to be had for empty.
            let outcome = pump.is_at_eof().then(|| ended(&mut process, || true));
            let failure = outcome.and_then(|outcome| outcome.error);
            return failure.map_or_else(|| Ok(Chunk::new(None, start, true)), Err);
        };
        let whole = batch.len();
        let batch = batch.cut(max);
        let next = batch.cursor().clone();
        let at_end = batch.len() == whole && pump.next(QUIET).map_err(failed)?.is_none();
        Ok(Chunk::new(Some(batch), next, at_end))
    }
}

impl Outcome {
    fn failed(error: Error) -> Self {
        let health = Health::because(HealthState::Failed, error.to_string());
        Self { health, error: Some(error) }
    }
}

fn ended(process: &mut Process, wanted: impl Fn() -> bool) -> Outcome {
    let Some(status) = process.wait_while(EXIT_WAIT, wanted) else {
        let reason = "the command closed its output, went on, and was stopped";
        return Outcome { health: Health::because(HealthState::Waiting, reason), error: None };
    };
    let words = process.last_words();
    let colon = if words.is_empty() { "" } else { ": " };
    let reason = format!("the command ended with {status}{colon}{words}");
    if status.success() {
        let health = Health::because(HealthState::Waiting, reason);
        return Outcome { health, error: None };
    }
    Outcome::failed(Error::new(ErrorKind::Closed, reason))
}
