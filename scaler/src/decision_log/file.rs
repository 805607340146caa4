//! The log as files in a folder: appended to, synced, begun anew at a size, bounded in number.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::DecisionLog;
use super::disk::{Disk, Os};
use super::line::{BadLine, DecisionLine};
use super::read::{Lines, files};
use crate::error::{Error, ErrorKind};

/// How a [`FileDecisionLog`] keeps its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileLogOptions {
    /// A file that would grow beyond this is left, and another one begun; 64 MiB by default. What
    /// is written at once stays together, however large it is.
    pub max_file_bytes: u64,
    /// The most files that are kept, the one being written among them; 8 by default.
    pub max_files: usize,
    /// When what was written is brought to the disk; with each batch by default.
    pub fsync: Fsync,
}

/// When what was written is brought to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fsync {
    /// Before [`append`](DecisionLog::append) returns: it survives the loss of power.
    Batch,
    /// When the system pleases: it survives the end of this process, however it ends.
    Never,
}

impl Default for FileLogOptions {
    fn default() -> Self {
        Self { max_file_bytes: 64 << 20, max_files: 8, fsync: Fsync::Batch }
    }
}

/// The log of decisions as files in a folder: `decisions-00000001.jsonl` and on, an entry a line.
///
/// A line that a crash cut short is cut off when the folder is opened, and told. A batch that could
/// not be written whole (the disk is full, say) leaves nothing behind, and can be given again. One
/// log at a time writes into a folder.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::time::{Duration, UNIX_EPOCH};
/// # use birl_scaler::*;
/// # let folder = tempfile::tempdir()?;
/// # let (folder, now) = (folder.path(), UNIX_EPOCH + Duration::from_secs(1_795_420_800));
/// let spec = ScalerSpec::new("workers", 1, 3);
/// let mut log = FileDecisionLog::open(folder, FileLogOptions::default())?;
/// let mut decider = match last_state(folder, "workers")? {
///     Some(state) => Decider::with_state(spec, state)?, // goes on where it stopped
///     None => Decider::new(spec)?,
/// };
/// let seen = Observation::new(Replicas::ready(1));
/// let decision = decider.decide(&seen, now);
/// log.append(&[DecisionLine::encode(&DecisionEntry::decided(&decider, &seen, &decision))?])?;
/// # assert_eq!(last_state(folder, "workers")?.as_ref(), Some(decider.state()));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct FileDecisionLog {
    folder: PathBuf,
    options: FileLogOptions,
    disk: Box<dyn Disk>,
    /// The files that there are, oldest first; the last one is being written.
    numbers: Vec<u64>,
    /// How much of that one is sound.
    length: u64,
    /// What follows the sound part, if anything may.
    tail: Tail,
    /// Whether the newest file's name is still to be brought to the disk.
    nameless: bool,
    cut: u64,
    /// Held for as long as the log is open.
    lock: File,
}

/// What a failed write may have left behind the sound part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// Nothing.
    Clean,
    /// Part of a batch.
    Written,
    /// A batch that may or may not be on the disk; the system will not say any more.
    Unsynced,
}

impl FileDecisionLog {
    /// Opens the log in `folder`, which is made if need be.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the folder cannot be used, or another process writes into it;
    /// [`ErrorKind::InvalidState`] if a newer version did.
    pub fn open(folder: impl AsRef<Path>, options: FileLogOptions) -> Result<Self, Error> {
        Self::open_on(Box::new(Os::default()), folder.as_ref(), options)
    }

    fn open_on(disk: Box<dyn Disk>, folder: &Path, options: FileLogOptions) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(|error| trouble("made", folder, error))?;
        let lock = lock(folder)?;
        let numbers = files(folder)?;
        let mut log = Self {
            folder: folder.to_owned(),
            options,
            disk,
            numbers,
            length: 0,
            tail: Tail::Clean,
            nameless: false,
            cut: 0,
            lock,
        };
        match log.numbers.last() {
            Some(&newest) => log.take_up(newest)?,
            None => log.begin()?,
        }
        Ok(log)
    }

    /// How many bytes were cut off when it was opened: a batch that a crash had cut short.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Goes on with the newest file: all that follows its last sound line goes.
    fn take_up(&mut self, newest: u64) -> Result<(), Error> {
        let path = path(&self.folder, newest);
        let (mut sound, mut end) = (0, 0);
        let mut lines = Lines::open(&path)?;
        while let Some(line) = lines.next()? {
            end = line.end;
            match line.entry {
                // What a line means is the reader's business; it is whole.
                Ok(_) | Err(BadLine::Unreadable(_)) if line.complete => sound = end,
                Err(newer @ BadLine::Format(_)) => {
                    let message = format!("{}: line {}: {newer}", path.display(), line.number);
                    return Err(Error::new(ErrorKind::InvalidState, message));
                }
                _ => {}
            }
        }
        self.disk.open(&path).map_err(|error| trouble("opened", &path, error))?;
        self.length = sound;
        if end > sound {
            self.cut = end - sound;
            tracing::warn!(
                target: "birl_scaler", path = %path.display(), bytes = self.cut,
                "the decision log ended in the middle of an entry; that part was cut off"
            );
            self.tail = Tail::Written;
            self.settle()?;
        }
        Ok(())
    }

    /// Begins another file, and removes the oldest beyond those that are kept.
    fn begin(&mut self) -> Result<(), Error> {
        let mut number = self.numbers.last().map_or(1, |newest| newest + 1);
        loop {
            let path = path(&self.folder, number);
            match self.disk.create(&path) {
                Ok(()) => break,
                // An attempt that got no further.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(trouble("made", &path, error)),
            }
        }
        self.numbers.push(number);
        (self.length, self.tail, self.nameless) = (0, Tail::Clean, true);
        self.name()?;
        while self.numbers.len() > self.options.max_files.max(1) {
            let oldest = path(&self.folder, self.numbers.remove(0));
            if let Err(error) = self.disk.remove(&oldest) {
                let path = oldest.display();
                tracing::warn!(target: "birl_scaler", %path, %error, "an old decision log stays");
            }
        }
        Ok(())
    }

    /// Brings the newest file's name to the disk.
    fn name(&mut self) -> Result<(), Error> {
        if self.nameless && self.options.fsync == Fsync::Batch {
            let synced = self.disk.sync_folder(&self.folder);
            synced.map_err(|error| trouble("synced", &self.folder, error))?;
        }
        self.nameless = false;
        Ok(())
    }

    /// Makes the end of the file sound again after a write that failed.
    fn settle(&mut self) -> Result<(), Error> {
        if self.tail == Tail::Clean {
            return self.name();
        }
        let newest = self.newest();
        self.disk.truncate(self.length).map_err(|error| trouble("cut", &newest, error))?;
        if self.tail == Tail::Unsynced {
            // After a failed sync the system takes lost pages for written ones. Another file has
            // none of them.
            self.begin()?;
        }
        self.tail = Tail::Clean;
        Ok(())
    }

    fn newest(&self) -> PathBuf {
        path(&self.folder, self.numbers.last().copied().unwrap_or(1))
    }
}

impl Drop for FileDecisionLog {
    /// Closing alone does not unlock it while a child that is just being started has it, too.
    fn drop(&mut self) {
        self.lock.unlock().ok();
    }
}

impl DecisionLog for FileDecisionLog {
    fn append(&mut self, batch: &[DecisionLine]) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        self.settle()?;
        let mut bytes = Vec::with_capacity(batch.iter().map(|line| line.text().len() + 1).sum());
        for line in batch {
            bytes.extend_from_slice(line.text().as_bytes());
            bytes.push(b'\n');
        }
        let length = bytes.len() as u64;
        if self.length > 0 && self.length.saturating_add(length) > self.options.max_file_bytes {
            self.begin()?;
        }
        self.tail = Tail::Written;
        let written = self.disk.write(&bytes);
        if let Err(error) = written {
            // The room that part of the batch took may be needed by others; the next attempt
            // settles what this one could not.
            self.settle().ok();
            return Err(trouble("written", &self.newest(), error));
        }
        if self.options.fsync == Fsync::Batch {
            self.tail = Tail::Unsynced;
            self.disk.sync().map_err(|error| trouble("synced", &self.newest(), error))?;
        }
        self.tail = Tail::Clean;
        self.length += length;
        Ok(())
    }
}

pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("decisions-{number:08}.jsonl"))
}

pub(super) fn trouble(what: &str, path: &Path, error: io::Error) -> Error {
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ": make room there",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ": make it writable, or keep the log in another folder"
        }
        _ => "",
    };
    let message = format!("decision log {} cannot be {what}: {error}{remedy}", path.display());
    Error::new(ErrorKind::Io, message).with_source(error)
}

/// Two that write into one file would each cut off what the other is writing.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let opened = File::options().write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(|error| trouble("locked", &path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!(
                "decision log {}: another process writes into it: stop that one, or name another \
                 folder",
                folder.display()
            );
            Err(Error::new(ErrorKind::Io, message))
        }
        // Some network file systems have no locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(trouble("locked", &path, error)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::read::DecisionLogReader;
    use super::super::{DecisionEntry, DecisionRecorder, RecorderOptions};
    use super::*;
    use crate::decider::Decider;
    use crate::signal::{Observation, Replicas};
    use crate::spec::ScalerSpec;

    /// A disk with room for so many bytes, and syncs that may fail.
    #[derive(Debug, Clone, Default)]
    struct Small {
        room: Arc<AtomicI64>,
        failing_syncs: Arc<AtomicI64>,
        os: Arc<Mutex<Os>>,
    }

    impl Small {
        fn of(room: i64) -> Self {
            let small = Self::default();
            small.room.store(room, Ordering::SeqCst);
            small
        }
    }

    impl Disk for Small {
        fn create(&mut self, path: &Path) -> io::Result<()> {
            self.os.lock().unwrap().create(path)
        }
        fn open(&mut self, path: &Path) -> io::Result<()> {
            self.os.lock().unwrap().open(path)
        }
        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            let room = self.room.fetch_sub(bytes.len() as i64, Ordering::SeqCst);
            if room >= bytes.len() as i64 {
                return self.os.lock().unwrap().write(bytes);
            }
            self.room.fetch_add(bytes.len() as i64, Ordering::SeqCst);
            self.os.lock().unwrap().write(&bytes[..room.max(0) as usize])?;
            Err(io::ErrorKind::StorageFull.into())
        }
        fn truncate(&mut self, length: u64) -> io::Result<()> {
            self.os.lock().unwrap().truncate(length)
        }
        fn sync(&mut self) -> io::Result<()> {
            match self.failing_syncs.fetch_sub(1, Ordering::SeqCst) {
                1.. => Err(io::Error::other("the disk is gone")),
                _ => self.os.lock().unwrap().sync(),
            }
        }
        fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
            self.os.lock().unwrap().sync_folder(folder)
        }
        fn remove(&mut self, path: &Path) -> io::Result<()> {
            self.os.lock().unwrap().remove(path)
        }
    }

    fn entries(count: u32) -> Vec<DecisionEntry> {
        let mut decider = Decider::new(ScalerSpec::new("workers", 1, 10)).unwrap();
        let one = |second: u32| {
            let seen = Observation::new(Replicas::ready(1 + second % 9));
            let now = UNIX_EPOCH + Duration::from_secs(u64::from(second));
            let decision = decider.decide(&seen, now);
            DecisionEntry::decided(&decider, &seen, &decision)
        };
        (0..count).map(one).collect()
    }

    fn lines(entries: &[DecisionEntry]) -> Vec<DecisionLine> {
        entries.iter().map(|entry| DecisionLine::encode(entry).unwrap()).collect()
    }

    fn kept(folder: &Path) -> Vec<DecisionEntry> {
        DecisionLogReader::open(folder).unwrap().map(Result::unwrap).collect()
    }

    fn open(disk: &Small, folder: &Path) -> FileDecisionLog {
        let options = FileLogOptions::default();
        FileDecisionLog::open_on(Box::new(disk.clone()), folder, options).unwrap()
    }

    #[test]
    fn a_full_disk_leaves_no_part_of_a_batch_and_takes_it_whole_later() {
        let folder = tempfile::tempdir().unwrap();
        let all = entries(6);
        let batches = lines(&all);
        let disk = Small::of(batches[0].text().len() as i64 + 700);
        let mut log = open(&disk, folder.path());
        log.append(&batches[..1]).unwrap();
        let error = log.append(&batches[1..4]).unwrap_err();
        assert!(error.is_retryable());
        assert!(error.to_string().ends_with(": make room there"), "{error}");
        assert_eq!(kept(folder.path()), all[..1], "half a batch stayed");
        disk.room.store(1 << 20, Ordering::SeqCst);
        log.append(&batches[1..]).unwrap();
        assert_eq!(kept(folder.path()), all);
    }

    /// What a failed sync leaves in the system's memory must not be taken for written.
    #[test]
    fn after_a_failed_sync_another_file_takes_the_batch() {
        let folder = tempfile::tempdir().unwrap();
        let all = entries(3);
        let batches = lines(&all);
        let disk = Small::of(1 << 20);
        let mut log = open(&disk, folder.path());
        log.append(&batches[..1]).unwrap();
        disk.failing_syncs.store(1, Ordering::SeqCst);
        log.append(&batches[1..]).unwrap_err();
        log.append(&batches[1..]).unwrap();
        assert_eq!(files(folder.path()).unwrap(), [1, 2]);
        assert_eq!(kept(folder.path()), all);
    }

    #[test]
    fn decisions_go_on_from_memory_while_the_disk_is_full_and_are_kept_in_order_then() {
        let folder = tempfile::tempdir().unwrap();
        let all = entries(200);
        let disk = Small::of(20_000);
        let retry = Duration::from_millis(1);
        let options = RecorderOptions { retry, ..RecorderOptions::default() };
        let recorder = DecisionRecorder::start(open(&disk, folder.path()), options).unwrap();
        let patience = Duration::from_secs(30);
        for tick in all.chunks(10) {
            recorder.record(tick.iter().cloned());
            if !recorder.stats().is_degraded() {
                recorder.flush(Duration::from_secs(1));
            }
        }
        let stats = recorder.stats();
        assert!(stats.is_degraded(), "{stats:?}");
        assert!(stats.trouble.unwrap().contains("make room there"));
        assert!(stats.waiting > 100 && stats.written > 0);
        assert_eq!(stats.waiting + stats.written, 200, "none is lost");
        disk.room.store(1 << 20, Ordering::SeqCst);
        assert!(recorder.flush(patience), "{:?}", recorder.stats());
        let stats = recorder.stats();
        assert!(!stats.is_degraded() && stats.failures > 0, "{stats:?}");
        assert_eq!((stats.written, stats.dropped, stats.waiting_bytes), (200, 0, 0));
        drop(recorder);
        assert_eq!(kept(folder.path()), all);
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let all = entries(100);
        let disk = Small::of(0);
        let options = RecorderOptions {
            max_bytes: lines(&all[90..]).iter().map(DecisionLine::size).sum(),
            max_batch: 5,
            retry: Duration::from_millis(1),
            ..RecorderOptions::default()
        };
        let recorder = DecisionRecorder::start(open(&disk, folder.path()), options).unwrap();
        for entry in &all {
            recorder.record([entry.clone()]);
            assert!(recorder.stats().waiting_bytes <= 2 * options.max_bytes as u64);
        }
        disk.room.store(1 << 20, Ordering::SeqCst);
        assert!(recorder.flush(Duration::from_secs(30)));
        let stats = recorder.stats();
        assert_eq!(stats.written + stats.dropped, 100);
        assert!((80..=95).contains(&stats.dropped), "{stats:?}");
        drop(recorder);
        let kept = kept(folder.path());
        assert_eq!(kept.last(), all.last(), "the newest is what a restart goes on from");
        assert!(kept.is_sorted_by_key(DecisionEntry::decision_id));
    }
}
