//! The offset file: how far each thing has been acknowledged.
//!
//! Places move in memory. A thread appends those that moved to the file at most 100 ms later,
//! all of them with one write, and syncs it at most a second later ([`Pace`]); a commit that was
//! slower than 50 ms is followed by the next at once. The file begins with everything that was known
//! (a snapshot), and is begun anew, beside the old one and then renamed over it, when it has grown too long, when
//! a process writes its first place, and after any failure: what was appended then may be torn.
//!
//! While it cannot be written, as on a full disk, places go on moving in memory, and writing is
//! tried again.

mod disk;
mod format;
mod places;
mod recovery;
mod schedule;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use self::disk::{Disk, Locked, Os};
#[cfg(all(fuzzing, feature = "file"))]
pub use self::format::reread_offsets;
use self::places::Places;
use self::recovery::Trouble;
pub(crate) use self::schedule::Pace;
use self::schedule::{Due, Schedule};
use self::writer::Writer;
use crate::metrics::{Count, SourceMetrics};
use crate::shell::ticks;
use crate::{Cursor, Error, ErrorKind};

/// Places by key; in memory alone if there is no path.
#[derive(Debug)]
pub(crate) struct Store {
    shared: Arc<Shared>,
}

/// What the store has in common with its thread.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Tells the thread that there is something to do.
    work: Condvar,
    /// None if there is no path. Locked before the state where both are.
    writer: Option<Mutex<Writer>>,
    metrics: OnceLock<Arc<SourceMetrics>>,
}

#[derive(Debug, Default)]
struct State {
    places: Places,
    schedule: Schedule,
    is_loaded: bool,
    /// What was read was written by another process, which may not have synced it.
    is_inherited: bool,
    /// Why a part of the file is not used, until the file is put aside.
    damage: Option<String>,
    /// That it is, until that is told.
    report: Option<String>,
    /// When the file was written by who had it before.
    written_at: Option<SystemTime>,
    /// Why it cannot be written now.
    trouble: Option<(ErrorKind, String)>,
    thread: Option<JoinHandle<()>>,
    /// The thread looks soon, without being told.
    looks: bool,
    is_over: bool,
}

impl Store {
    pub(crate) fn new(path: Option<PathBuf>, pace: Pace) -> Arc<Self> {
        Self::on(path, Box::new(Os::default()), pace)
    }

    fn on(path: Option<PathBuf>, disk: Box<dyn Disk>, pace: Pace) -> Arc<Self> {
        let state = State { schedule: Schedule::new(pace), ..State::default() };
        let shared = Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
            writer: path.map(|path| Mutex::new(Writer::new(path, disk))),
            metrics: OnceLock::new(),
        };
        Arc::new(Self { shared: Arc::new(shared) })
    }

    /// Counts [`Count::Commits`] from here on.
    pub(crate) fn counted_by(&self, metrics: &Arc<SourceMetrics>) {
        self.shared.metrics.set(Arc::clone(metrics)).ok();
    }

    /// Whether places outlive the process.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.shared.writer.is_some()
    }

    /// Every place, by key. Reads the file the first time.
    pub(crate) fn places(&self) -> Result<BTreeMap<String, Cursor>, Error> {
        if let Some(mut writer) = self.shared.writer() {
            self.shared.load(&mut writer)?;
        }
        let state = self.shared.state();
        Ok(state.places.iter().map(|(key, place)| (key.to_string(), place.clone())).collect())
    }

    /// Takes the file for this store alone, and finds out whether it can be used. One that is
    /// damaged is kept aside: what it says before the damage is used, or nothing was ever
    /// acknowledged if it says nothing. The error says so, for who reads on.
    ///
    /// # Errors
    /// If it is in use, cannot be read at all, or is of another version.
    pub(crate) fn recover(&self) -> Result<Option<Error>, Error> {
        let Some(mut writer) = self.shared.writer() else { return Ok(None) };
        self.shared.open(&mut writer)?;
        let mut state = self.shared.state();
        state.written_at = std::fs::metadata(writer.path()).and_then(|meta| meta.modified()).ok();
        let report = state.report.take();
        Ok(report.map(|message| Error::new(ErrorKind::Corrupt, message).retryable()))
    }

    /// When places were last written down before [`recover`](Self::recover).
    #[cfg(feature = "file")]
    pub(crate) fn written_at(&self) -> Option<SystemTime> {
        self.shared.state().written_at
    }

    /// Moves a place. It is written by itself, soon.
    pub(crate) fn set(&self, key: &str, place: &Cursor) {
        let mut state = self.shared.state();
        if state.places.set(key, place) {
            self.moved(state);
        }
    }

    /// As long as this is held nothing is written: places that only make sense together move together.
    /// Who holds it does not [flush](Self::flush).
    #[cfg(feature = "file")]
    pub(crate) fn hold(&self) -> impl Drop + use<'_> {
        Hold(self.shared.writer())
    }

    /// Whether a place is kept under this key.
    #[cfg(feature = "file")]
    pub(crate) fn contains(&self, key: &str) -> bool {
        self.shared.state().places.contains(key)
    }

    #[cfg(feature = "file")]
    pub(crate) fn remove(&self, key: &str) {
        let mut state = self.shared.state();
        if state.places.remove(key) {
            self.moved(state);
        }
    }

    /// Forgets the places that are not worth keeping.
    #[cfg(feature = "file")]
    pub(crate) fn retain(&self, keep: impl Fn(&Cursor) -> bool) {
        let mut state = self.shared.state();
        if state.places.retain(keep) {
            self.moved(state);
        }
    }

    fn moved(&self, mut state: MutexGuard<'_, State>) {
        if self.shared.writer.is_none() || !state.schedule.is_first() {
            return;
        }
        let now = ticks();
        state.schedule.moved(now);
        if state.thread.is_some() {
            let is_soon_enough = state.looks && matches!(state.schedule.due(now), Due::At(_));
            drop(state);
            if !is_soon_enough {
                self.shared.work.notify_one();
            }
            return;
        }
        let shared = Arc::clone(&self.shared);
        match super::spawn("offsets", move || shared.run()) {
            Ok(thread) => state.thread = Some(thread),
            // Whoever flushes writes, and the first place that moves after that tries again.
            Err(error) => state.trouble = Some((error.kind(), error.to_string())),
        }
    }

    /// Returns once everything is written and synced.
    ///
    /// # Errors
    /// If it cannot be written. It is kept in memory and tried again.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.shared.commit(true)
    }

    /// Why places cannot be written now, or not yet again; it is tried by itself.
    pub(crate) fn trouble(&self) -> Option<Error> {
        let state = self.shared.state();
        state.trouble.as_ref().map(|(kind, message)| Error::new(*kind, message.clone()).retryable())
    }

    /// Finds out before the first line whether the file can be written.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Some(mut writer) = self.shared.writer() else { return Ok(()) };
        writer.check().map_err(|cause| cannot("write", writer.path(), cause))
    }
}

/// See [`Store::hold`].
#[cfg(feature = "file")]
struct Hold<'a>(#[expect(dead_code, reason = "it is held")] Option<MutexGuard<'a, Writer>>);

#[cfg(feature = "file")]
impl Drop for Hold<'_> {
    fn drop(&mut self) {}
}

impl Drop for Store {
    /// Acknowledgements may come after the stream was dropped; the last of them is written here.
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_over = true;
        let thread = state.thread.take();
        drop(state);
        self.shared.work.notify_one();
        if let Some(thread) = thread {
            // One that panicked has nothing more to write.
            thread.join().ok();
        }
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "offsets are not written");
        }
    }
}

impl Shared {
    /// The thread: writes when that is due, until the store is gone.
    fn run(&self) {
        let mut has_written = false;
        loop {
            let mut state = self.state();
            let sync = loop {
                if state.is_over {
                    return;
                }
                let now = ticks();
                let due = match state.schedule.due(now) {
                    Due::Write => break false,
                    Due::Sync => break true,
                    Due::Nothing => None,
                    Due::At(then) => Some(then),
                };
                let look = state.schedule.next_look(now).filter(|_| has_written);
                let look = look.filter(|look| due.is_none_or(|due| *look < due));
                has_written = false;
                state.looks = look.is_some();
                state = self.wait(state, look.or(due).map(|then| then - now));
                if std::mem::take(&mut state.looks) && state.schedule.may_write() {
                    break false;
                }
            };
            drop(state);
            // The state knows of a failure, and when to try again.
            self.commit(sync).ok();
            has_written = true;
        }
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        at_most: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        match at_most {
            None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(time) => {
                let waited = self.work.wait_timeout(state, time);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    /// Writes what moved, if anything did that is not written and synced as asked for.
    fn commit(&self, sync: bool) -> Result<(), Error> {
        let Some(mut writer) = self.writer() else { return Ok(()) };
        let state = self.state();
        if state.schedule.oldest().is_none() && !(sync && state.is_inherited) {
            return Ok(());
        }
        drop(state);
        let begun = ticks();
        let done = self.write(&mut writer, sync);
        let now = ticks();
        let mut state = self.state();
        match &done {
            Ok(is_synced) => {
                let took = now.saturating_duration_since(begun);
                state.schedule.written(*is_synced, now, took);
                // What is written first is everything, synced.
                state.is_inherited = false;
                if state.trouble.take().is_some() {
                    tracing::info!(path = %writer.path().display(), "offsets are written again");
                }
                if let Some(metrics) = self.metrics.get() {
                    metrics.add(Count::Commits, 1);
                }
            }
            Err(error) => {
                state.places.distrust();
                state.schedule.failed(now);
                let trouble = (error.kind(), error.to_string());
                if state.trouble.as_ref() != Some(&trouble) {
                    tracing::warn!(%error, "offsets are not written; it is tried again");
                    state.trouble = Some(trouble);
                }
            }
        }
        done.map(|_| ())
    }

    /// Says whether it was synced.
    fn write(&self, writer: &mut Writer, sync: bool) -> Result<bool, Error> {
        // Done before the first place moved, unless the disk was in trouble then.
        self.open(writer)?;
        take(writer)?.map_err(|cause| cannot("write", writer.path(), cause))?;
        let everything = writer.wants_everything();
        let mut state = self.state();
        state.schedule.taken();
        let everything = state.places.take(everything, &mut writer.changes);
        drop(state);
        let done = if everything { writer.replace() } else { writer.append(sync) };
        done.map_err(|cause| cannot("write", writer.path(), cause))?;
        Ok(sync || everything)
    }

    /// Locks and reads the file, as far as that is not done. A damaged one is put aside.
    fn open(&self, writer: &mut Writer) -> Result<(), Error> {
        if !writer.is_locked() {
            match take(writer)? {
                // Who had it before may have gone on since it was read.
                Ok(()) => self.state().unload(),
                // Told when it cannot be written either.
                Err(error) => tracing::debug!(%error, "the offset file is not locked"),
            }
        }
        let damage = match self.load(writer) {
            Ok(()) => self.state().damage.take().map(|why| (why, "is damaged", "what is whole")),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let why = self.state().damage.take();
                Some((why.unwrap_or_default(), "was broken", ""))
            }
            Err(error) => return Err(error),
        };
        let Some((why, what, used)) = damage else { return Ok(()) };
        let aside = writer.put_aside();
        let (path, aside) = (writer.path().display(), aside.display());
        let remains = match used {
            "" => "reading begins as on a first run".to_owned(),
            _ => format!("{used} of it is used, so that entries may come again"),
        };
        let message = format!(
            "the offset file {path} {what} ({why}): {remains}, and the file is kept as {aside}"
        );
        tracing::warn!("{message}");
        let mut state = self.state();
        state.is_loaded = true;
        state.report = Some(message);
        Ok(())
    }

    /// Reads the file, unless that is done.
    fn load(&self, writer: &mut Writer) -> Result<(), Error> {
        if self.state().is_loaded {
            return Ok(());
        }
        let path = writer.path().display().to_string();
        let found = writer.find().map_err(|trouble| match trouble {
            Trouble::Unreadable(cause) => cannot("read", writer.path(), cause),
            Trouble::Version(name, version) => Error::invalid(format!(
                "the offset file {} is of version {version}, which this program does not know; \
                 use the program that wrote it, or delete the file (and its .old) to begin as on a \
                 first run",
                writer.name(name).display()
            )),
            Trouble::Broken(why) => {
                let message = format!(
                    "the offset file {path} cannot be used: {why}; delete it (and its .old) to \
                     begin as on a first run",
                );
                self.state().damage = Some(why);
                Error::new(ErrorKind::Corrupt, message)
            }
        })?;
        let mut state = self.state();
        state.places.load(found.told.places);
        // Only who has locked it writes it again.
        state.is_inherited = writer.is_locked() && found.told.is_whole;
        state.damage = found.told.damage;
        state.is_loaded = true;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> Option<MutexGuard<'_, Writer>> {
        Some(self.writer.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Forgets what was read, unless something came on top of it.
    fn unload(&mut self) {
        if self.schedule.oldest().is_none() {
            self.places = Places::default();
            self.is_loaded = false;
        }
    }
}

/// Takes the file for this store alone. The inner error is one that may pass.
///
/// # Errors
/// If somebody else has it.
fn take(writer: &mut Writer) -> Result<std::io::Result<()>, Error> {
    if writer.is_locked() {
        return Ok(Ok(()));
    }
    let who = match writer.lock() {
        Ok(Locked::Ours) => return Ok(Ok(())),
        Err(error) => return Ok(Err(error)),
        Ok(Locked::Taken(who)) => who,
    };
    let path = writer.path().display();
    Err(Error::invalid(match who {
        Some(us) if us == std::process::id() => format!(
            "the offset file {path} is in use by another source of this process (or of another \
             container); give each source one of its own, and drop a source with its streams and \
             batches before it is built anew"
        ),
        Some(process) => format!(
            "the offset file {path} is in use by process {process}; stop that one, or give this \
             one an offset file of its own"
        ),
        None => format!(
            "the offset file {path} is in use by another process; stop that one, or give this \
             one an offset file of its own"
        ),
    }))
}

fn cannot(doing: &str, path: &Path, cause: std::io::Error) -> Error {
    Error::io(format!("cannot {doing} the offset file {}", path.display()), cause)
}
