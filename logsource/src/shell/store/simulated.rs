//! A disk in memory. It can be full, fail at any step, and lose power, which keeps of what is not
//! synced whatever it likes.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::{Disk, Locked};

/// Clones are the same disk, each with an open file of its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Simulated {
    world: Arc<Mutex<World>>,
    open: Option<usize>,
    holds: bool,
}

#[derive(Debug, Default)]
pub(super) struct World {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    /// The names that survive, and what was done to them since.
    synced: BTreeMap<PathBuf, usize>,
    unsynced: Vec<BTreeMap<PathBuf, usize>>,
    is_locked: bool,
    /// How many bytes can be written until it is full.
    pub(super) space: Option<usize>,
    /// How many steps are done until everything fails.
    pub(super) steps: Option<usize>,
    /// How many times content was written, and was synced.
    pub(super) writes: usize,
    pub(super) syncs: usize,
}

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
}

impl Drop for Simulated {
    fn drop(&mut self) {
        if self.holds {
            self.world().is_locked = false;
        }
    }
}

impl Simulated {
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The same disk, as the next process finds it.
    pub(super) fn again(&self) -> Self {
        self.world().is_locked = false;
        Self { world: Arc::clone(&self.world), open: None, holds: false }
    }

    fn step(&self) -> io::Result<MutexGuard<'_, World>> {
        let mut world = self.world();
        match &mut world.steps {
            Some(0) => return Err(io::Error::other("this disk is gone")),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(world)
    }
}

impl World {
    pub(super) fn content(&self, path: &str) -> Option<&[u8]> {
        Some(&self.files[*self.names.get(Path::new(path))?].bytes)
    }

    /// Power is lost: some of the last renames are undone, and of every file `keep` of a hundred
    /// bytes that were not synced are there, the last of them perhaps broken.
    pub(super) fn lose_power(&mut self, names_kept: usize, keep: usize, is_torn: bool) {
        let done = names_kept.min(self.unsynced.len());
        self.names = match done {
            0 => self.synced.clone(),
            _ => self.unsynced[done - 1].clone(),
        };
        self.synced = self.names.clone();
        self.unsynced.clear();
        for file in &mut self.files {
            let kept = file.synced + (file.bytes.len() - file.synced) * keep / 100;
            file.bytes.truncate(kept);
            if is_torn && kept > file.synced {
                let zeros = file.synced.max(kept.saturating_sub(9));
                file.bytes[zeros..].fill(0);
            }
            file.synced = kept;
        }
        self.is_locked = false;
    }

    fn named(&mut self, change: impl FnOnce(&mut BTreeMap<PathBuf, usize>)) {
        change(&mut self.names);
        self.unsynced.push(self.names.clone());
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for Simulated {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let world = self.world();
        Ok(world.names.get(path).map(|id| world.files[*id].bytes.clone()))
    }

    fn lock(&mut self, _: &Path) -> io::Result<Locked> {
        let mut world = self.step()?;
        if world.is_locked && !self.holds {
            return Ok(Locked::Taken(Some(7)));
        }
        world.is_locked = true;
        drop(world);
        self.holds = true;
        Ok(Locked::Ours)
    }

    fn create(&mut self, path: &Path) -> io::Result<()> {
        let mut world = self.step()?;
        let id = match world.names.get(path) {
            Some(id) => *id,
            None => world.files.len(),
        };
        if id == world.files.len() {
            world.files.push(Content::default());
            world.named(|names| _ = names.insert(path.to_owned(), id));
        } else {
            // As bad as it can be: what was there is gone at once.
            world.files[id] = Content::default();
        }
        drop(world);
        self.open = Some(id);
        Ok(())
    }

    fn reopen(&mut self, path: &Path) -> io::Result<()> {
        let id = *self.step()?.names.get(path).ok_or_else(missing)?;
        self.open = Some(id);
        Ok(())
    }

    fn is_open(&self, path: &Path) -> bool {
        self.open.is_some() && self.world().names.get(path).copied() == self.open
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.step()?;
        let fits = world.space.map_or(bytes.len(), |space| space.min(bytes.len()));
        if let Some(space) = &mut world.space {
            *space -= fits;
        }
        world.writes += 1;
        let id = self.open.ok_or_else(missing)?;
        world.files[id].bytes.extend_from_slice(&bytes[..fits]);
        if fits < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut world = self.step()?;
        world.syncs += 1;
        let file = &mut world.files[self.open.ok_or_else(missing)?];
        file.synced = file.bytes.len();
        Ok(())
    }

    fn sync_directory(&mut self, _: &Path) -> io::Result<()> {
        let mut world = self.step()?;
        world.synced = world.names.clone();
        world.unsynced.clear();
        Ok(())
    }

    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.step()?;
        let id = *world.names.get(from).ok_or_else(missing)?;
        if world.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.named(|names| _ = names.insert(to.to_owned(), id));
        Ok(())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.step()?;
        let id = *world.names.get(from).ok_or_else(missing)?;
        world.named(|names| {
            names.remove(from);
            names.insert(to.to_owned(), id);
        });
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let mut world = self.step()?;
        world.names.get(path).ok_or_else(missing)?;
        world.named(|names| _ = names.remove(path));
        Ok(())
    }
}
