//! Writes: appends to the offset file, and begins it anew before it grows too long.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, Locked};
use super::format::Encoder;
use super::places::Change;
use super::recovery::{self, Found, Name, Trouble};

/// A file is begun anew once what was appended is more than so many times what it began with,
const MAX_GROWTH: u64 = 4;

/// and more than this.
const MIN_APPENDED: u64 = 64 << 10;

/// More memory than this is not kept for the next time.
const MAX_KEPT: usize = 1 << 20;

/// A step of beginning the file anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A file that was only left to be synced and renamed gets its name.
    Finish,
    Create,
    Write,
    Sync,
    /// The spare copy is removed, so that its name is free.
    Spare,
    /// The file becomes the spare copy.
    Keep,
    Replace,
    SyncDirectory,
}

/// How the file is begun anew: whichever of these was the last that was done, and whichever of
/// the last ones survived, there is a whole file that says no less than before.
fn plan(is_unfinished: bool, keep: bool) -> impl Iterator<Item = Step> {
    let all = [
        Step::Finish,
        Step::Create,
        Step::Write,
        Step::Sync,
        Step::Spare,
        Step::Keep,
        Step::Replace,
        Step::SyncDirectory,
    ];
    all.into_iter().filter(move |step| match step {
        Step::Finish => is_unfinished,
        Step::Spare | Step::Keep => keep,
        _ => true,
    })
}

/// The files of a store.
#[derive(Debug)]
pub(super) struct Writer {
    disk: Box<dyn Disk>,
    path: PathBuf,
    encoder: Encoder,
    buffer: Vec<u8>,
    /// What is being written; kept for its memory.
    pub(super) changes: Vec<Change>,
    /// How many bytes the open file began with, and how many were appended; none if there is no
    /// open file that all was written to.
    sizes: Option<(u64, u64)>,
    is_locked: bool,
    /// What was found under the name of the next file must get its own first.
    is_unfinished: bool,
    /// The file is good enough to be the spare copy.
    is_good: bool,
}

impl Writer {
    pub(super) fn new(path: PathBuf, disk: Box<dyn Disk>) -> Self {
        Self {
            disk,
            path,
            encoder: Encoder::default(),
            buffer: Vec::new(),
            changes: Vec::new(),
            sizes: None,
            is_locked: false,
            is_unfinished: false,
            is_good: true,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn name(&self, name: Name) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(name.suffix());
        path.into()
    }

    pub(super) fn is_locked(&self) -> bool {
        self.is_locked
    }

    pub(super) fn lock(&mut self) -> io::Result<Locked> {
        let locked = self.disk.lock(&self.name(Name::Lock))?;
        self.is_locked = locked == Locked::Ours;
        Ok(locked)
    }

    pub(super) fn find(&mut self) -> Result<Found, Trouble> {
        let found = recovery::find(|name| self.disk.read(&self.name(name)));
        self.is_unfinished = found.as_ref().is_ok_and(|found| found.in_new);
        found
    }

    /// Keeps a file that is damaged, under another name too. It is no spare copy.
    pub(super) fn put_aside(&mut self) -> PathBuf {
        let (path, aside) = (self.path.clone(), self.name(Name::Broken));
        self.disk.remove(&aside).ok();
        // Where that cannot be it is not kept, which is no worse for who reads on.
        self.disk.link(&path, &aside).ok();
        self.is_good = false;
        aside
    }

    /// Finds out whether a file can be made there.
    pub(super) fn check(&mut self) -> io::Result<()> {
        let probe = self.name(Name::Probe);
        self.disk.create(&probe)?;
        self.disk.remove(&probe).ok();
        Ok(())
    }

    /// Whether everything is to be written next: nothing is there to append to, or there is too
    /// much of it already.
    pub(super) fn wants_everything(&self) -> bool {
        let is_long =
            |(begun, grown): (u64, u64)| grown > MIN_APPENDED && grown > MAX_GROWTH * begun;
        self.sizes.is_none_or(is_long) || !self.disk.is_open(&self.path)
    }

    /// Writes the changes; synced if that is asked for. If that fails, everything is to be written
    /// next.
    pub(super) fn append(&mut self, sync: bool) -> io::Result<()> {
        let Some((begun, grown)) = self.sizes.take() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        self.buffer.clear();
        for (key, place) in &self.changes {
            self.encoder.change(key, place.as_ref(), &mut self.buffer)?;
        }
        if !self.buffer.is_empty() {
            self.disk.write(&self.buffer)?;
        }
        if sync {
            self.disk.sync()?;
        }
        self.sizes = Some((begun, grown + self.buffer.len() as u64));
        self.shrink();
        Ok(())
    }

    /// Begins the file anew with the changes, which are everything. It is synced.
    pub(super) fn replace(&mut self) -> io::Result<()> {
        self.sizes = None;
        self.buffer.clear();
        let all = self.changes.iter();
        let all = all.filter_map(|(key, place)| Some((&**key, place.as_ref()?)));
        let all: Vec<_> = all.collect();
        self.encoder.begin(all.into_iter(), &mut self.buffer)?;
        for step in plan(self.is_unfinished, self.is_good) {
            if let Err(error) = self.step(step) {
                // It may be what fills the disk. Once it is renamed it is not there any more.
                if matches!(step, Step::Create | Step::Write | Step::Sync) {
                    self.disk.remove(&self.name(Name::New)).ok();
                }
                return Err(error);
            }
        }
        self.is_good = true;
        self.sizes = Some((self.buffer.len() as u64, 0));
        self.shrink();
        Ok(())
    }

    fn step(&mut self, step: Step) -> io::Result<()> {
        let (new, old) = (self.name(Name::New), self.name(Name::Old));
        match step {
            Step::Finish => {
                // Whoever wrote it may have been killed before it was synced.
                self.disk.reopen(&new)?;
                self.disk.sync()?;
                self.disk.rename(&new, &self.path)?;
                self.is_unfinished = false;
                self.disk.sync_directory(&self.path)
            }
            Step::Create => self.disk.create(&new),
            Step::Write => self.disk.write(&self.buffer),
            Step::Sync => self.disk.sync(),
            // There need not be a spare copy, and some file systems know no second names.
            Step::Spare => self.disk.remove(&old).or(Ok(())),
            Step::Keep => self.disk.link(&self.path, &old).or(Ok(())),
            Step::Replace => self.disk.rename(&new, &self.path),
            Step::SyncDirectory => self.disk.sync_directory(&self.path),
        }
    }

    fn shrink(&mut self) {
        if self.buffer.capacity() > MAX_KEPT {
            self.buffer = Vec::new();
        }
        self.changes.clear();
        if self.changes.capacity() * size_of::<Change>() > MAX_KEPT {
            self.changes = Vec::new();
        }
    }
}
