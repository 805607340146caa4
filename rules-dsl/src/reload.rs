//! Rule files that may be edited while the program runs.
//!
//! A shell: it owns a thread and reads files. What it promises:
//!
//! - an edit is live within a second, however it was made: written in place, renamed over, deleted and
//!   made again, or swapped behind a symbolic link, as Kubernetes does with mounted configuration;
//! - a set goes live whole or not at all; a broken edit keeps the old set and says why;
//! - a file that is still being written is not taken for finished: an edit counts only once two looks
//!   in a row have seen the same text.
//!
//! Looking is polling. It needs no privileges, works on every file system, and misses nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::compile::Compiler;
use crate::diagnostic::Diagnostics;
use crate::files::{Files, Look, ReadError};
use crate::metrics::Metrics;
use crate::ruleset::RuleSet;
use crate::source::SourceText;

/// How long an edit must lie still before it counts.
const SETTLE: Duration = Duration::from_millis(60);
const LEAST_POLL: Duration = Duration::from_millis(10);

/// Rule files, and the set that they currently make.
///
/// Cheap to clone; clones share the files and the live set.
#[derive(Debug, Clone)]
pub struct RuleFiles {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    compiler: Compiler,
    metrics: Metrics,
    live: ArcSwap<RuleSet>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    files: Files,
    /// What the last judged look saw; nothing is judged twice.
    judged: u64,
    generation: u64,
}

/// What became of an edit.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ReloadEvent {
    /// It is live.
    #[non_exhaustive]
    Loaded {
        /// The new set.
        rules: Arc<RuleSet>,
        /// Its number, one more than the last.
        generation: u64,
        /// Rules that are new, by name.
        added: Vec<Arc<str>>,
        /// Rules whose meaning changed; these lose their state.
        changed: Vec<Arc<str>>,
        /// Rules that are gone.
        removed: Vec<Arc<str>>,
    },
    /// It is broken, and the set before it stays live.
    #[non_exhaustive]
    Rejected {
        /// What is wrong, place and remedy included.
        error: LoadError,
        /// The set that stays live.
        kept_generation: u64,
    },
}

/// Rule files could not be read, or do not compile.
///
/// `Debug` is the same as `Display`, as that of [`Diagnostics`] is.
#[derive(Clone)]
pub struct LoadError {
    cause: Arc<Cause>,
}

#[derive(Debug)]
enum Cause {
    Read(ReadError),
    Rules(Diagnostics),
    Thread(std::io::Error),
}

/// What kind of failure a [`LoadError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoadErrorKind {
    /// A file or directory is not there.
    NotFound,
    /// A file or directory is there and cannot be read.
    Io,
    /// The files were read and are not valid rules.
    Rules,
    /// The watching thread could not be started.
    Thread,
}

impl LoadError {
    fn new(cause: Cause) -> Self {
        Self { cause: Arc::new(cause) }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> LoadErrorKind {
        match &*self.cause {
            Cause::Read(error) if error.error.kind() == std::io::ErrorKind::NotFound => {
                LoadErrorKind::NotFound
            }
            Cause::Read(_) => LoadErrorKind::Io,
            Cause::Rules(_) => LoadErrorKind::Rules,
            Cause::Thread(_) => LoadErrorKind::Thread,
        }
    }

    /// The mistakes, when the files were read and are not valid.
    #[must_use]
    pub fn diagnostics(&self) -> Option<&Diagnostics> {
        match &*self.cause {
            Cause::Rules(diagnostics) => Some(diagnostics),
            _ => None,
        }
    }
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.cause {
            Cause::Read(error) => {
                write!(f, "cannot read {}: {}", error.path.display(), error.error)
            }
            Cause::Rules(diagnostics) => {
                let s = if diagnostics.len() == 1 { "" } else { "s" };
                write!(f, "{} mistake{s} in the rule files\n{diagnostics}", diagnostics.len())
            }
            Cause::Thread(error) => {
                write!(f, "cannot start the thread that watches rules: {error}")
            }
        }
    }
}

impl std::fmt::Debug for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for LoadError {}

impl RuleFiles {
    /// Reads and compiles files and directories; of a directory, its `*.yaml`, `*.yml` and `*.json`.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read, or the rules do not compile. There is no set to fall back to
    /// yet, so a program should not start on it.
    pub fn open<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Result<Self, LoadError> {
        Self::open_with(paths, Compiler::new(), Metrics::new())
    }

    /// The same with intents of the host's own, and counting reloads in `metrics`.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with<P: Into<PathBuf>>(
        paths: impl IntoIterator<Item = P>,
        compiler: Compiler,
        metrics: Metrics,
    ) -> Result<Self, LoadError> {
        let mut files = Files::new(paths.into_iter().map(Into::into).collect());
        let look = files.look();
        let judged = look.fingerprint();
        let sources = look.sources.map_err(|error| LoadError::new(Cause::Read(error)))?;
        let rules =
            compiler.compile(&sources).map_err(|wrong| LoadError::new(Cause::Rules(wrong)))?;
        metrics.set_generation(1);
        let live = ArcSwap::from_pointee(rules.with_generation(1));
        let state = Mutex::new(State { files, judged, generation: 1 });
        Ok(Self { shared: Arc::new(Shared { compiler, metrics, live, state }) })
    }

    /// Reads the files that [`open`](Self::open) would read, each with its path, and compiles nothing:
    /// for programs that work on the text itself, as with [`format`](crate::format).
    ///
    /// # Errors
    ///
    /// When one of them cannot be read.
    pub fn read<P: Into<PathBuf>>(
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Vec<(PathBuf, SourceText)>, LoadError> {
        let files = Files::new(paths.into_iter().map(Into::into).collect());
        files.read().map_err(|error| LoadError::new(Cause::Read(error)))
    }

    /// The set that is live. Lock-free; take it once per batch.
    #[must_use]
    pub fn current(&self) -> Arc<RuleSet> {
        self.shared.live.load_full()
    }

    /// The counters of reloads; share them with an engine by
    /// [`EngineConfig::metrics`](crate::EngineConfig).
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Looks once, now, and judges what is there if it changed since the last time; `None` if not.
    ///
    /// [`watch`](Self::watch) does this by itself. Call it to reload on a signal, or where a thread is
    /// unwanted; it blocks for as long as reading and compiling takes.
    pub fn reload(&self) -> Option<ReloadEvent> {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        let look = state.files.look();
        self.judge(&mut state, look)
    }

    /// Watches the files on a thread of its own, looking every `poll` (250 ms suits most; 10 ms is the
    /// least), and calls
    /// `on_event` there for every edit. Dropping the watcher stops the thread.
    ///
    /// # Errors
    ///
    /// When the system refuses another thread.
    pub fn watch(
        &self,
        poll: Duration,
        on_event: impl FnMut(ReloadEvent) + Send + 'static,
    ) -> Result<Watcher, LoadError> {
        // A thread that never waits would look all the time.
        let poll = poll.max(LEAST_POLL);
        let (stop, stopped) = channel::<()>();
        let files = self.clone();
        let mut on_event = on_event;
        let work = move || {
            let mut seen = None;
            let mut wait = poll;
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                let event = files.settled(&mut seen);
                wait = if seen.is_some() { SETTLE.min(poll) } else { poll };
                if let Some(event) = event {
                    on_event(event);
                }
            }
        };
        let thread = std::thread::Builder::new().name("birl-rules".to_owned()).spawn(work);
        let thread = thread.map_err(|error| LoadError::new(Cause::Thread(error)))?;
        Ok(Watcher { stop: Some(stop), thread: Some(thread) })
    }

    /// Looks, and judges only what an earlier look has seen just so. `seen` is the edit that waits.
    fn settled(&self, seen: &mut Option<u64>) -> Option<ReloadEvent> {
        let mut state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_none() && !state.files.touched() {
            return None;
        }
        let look = state.files.look();
        let fingerprint = look.fingerprint();
        if fingerprint == state.judged {
            *seen = None;
            return None;
        }
        if seen.replace(fingerprint) != Some(fingerprint) {
            return None;
        }
        *seen = None;
        self.judge(&mut state, look)
    }

    fn judge(&self, state: &mut State, look: Look) -> Option<ReloadEvent> {
        let fingerprint = look.fingerprint();
        if fingerprint == state.judged {
            return None;
        }
        state.judged = fingerprint;
        let compiled = match look.sources {
            Err(error) => Err(LoadError::new(Cause::Read(error))),
            Ok(sources) => {
                let compiled = self.shared.compiler.compile(&sources);
                compiled.map_err(|wrong| LoadError::new(Cause::Rules(wrong)))
            }
        };
        self.shared.metrics.add_reload(compiled.is_ok());
        Some(match compiled {
            Ok(rules) => self.publish(state, rules),
            Err(error) => {
                let kept_generation = state.generation;
                tracing::warn!(kept_generation, %error, "rules rejected, the old ones stay");
                ReloadEvent::Rejected { error, kept_generation }
            }
        })
    }

    fn publish(&self, state: &mut State, rules: RuleSet) -> ReloadEvent {
        state.generation += 1;
        let generation = state.generation;
        let rules = Arc::new(rules.with_generation(generation));
        let old = self.shared.live.swap(Arc::clone(&rules));
        self.shared.metrics.set_generation(generation);
        let by_name = |set: &RuleSet| -> BTreeMap<Arc<str>, u64> {
            set.iter().map(|rule| (Arc::clone(&rule.info.name), rule.hash)).collect()
        };
        let (before, after) = (by_name(&old), by_name(&rules));
        let mut added = Vec::new();
        let mut changed = Vec::new();
        for (name, hash) in &after {
            match before.get(name) {
                None => added.push(Arc::clone(name)),
                Some(old) if old != hash => changed.push(Arc::clone(name)),
                Some(_) => {}
            }
        }
        let removed = before.into_keys().filter(|name| !after.contains_key(name)).collect();
        let count = rules.len();
        tracing::info!(generation, rules = count, "rules loaded");
        ReloadEvent::Loaded { rules, generation, added, changed, removed }
    }
}

/// The thread that watches rule files; it ends when this is dropped.
#[derive(Debug)]
#[must_use = "dropping the watcher stops watching"]
pub struct Watcher {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A callback may drop its own watcher; a thread cannot wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
