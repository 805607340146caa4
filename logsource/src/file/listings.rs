//! The rotated files in a directory, by the name that they had before: listed once for all logs
//! that are there, as long as no name changes.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::disk::Disk;
use super::family;

/// A directory that was changed so lately may be changed again without its time being another.
const COARSE: Duration = Duration::from_millis(100);

/// More directories are not remembered.
const MOST: usize = 64;

/// What directories have in them.
#[derive(Debug, Default)]
pub(super) struct Listings(HashMap<PathBuf, Listing>);

#[derive(Debug)]
struct Listing {
    modified: SystemTime,
    rotations: HashMap<Vec<u8>, Vec<PathBuf>>,
}

impl Listings {
    /// The files of a directory whose names are what a rotation calls a file of that name.
    pub(super) fn rotations_of(
        &mut self,
        disk: &impl Disk,
        directory: &Path,
        name: &OsStr,
        now: SystemTime,
    ) -> Vec<PathBuf> {
        let modified = disk.stat(directory).ok().flatten().and_then(|stat| stat.modified);
        if let Some(known) = self.0.get(directory)
            && Some(known.modified) == modified
        {
            return known.of(name);
        }
        let mut rotations = HashMap::<_, Vec<_>>::new();
        for (path, _) in disk.list(directory).unwrap_or_default() {
            for base in family::bases(path.file_name().unwrap_or_default()) {
                rotations.entry(base).or_default().push(path.clone());
            }
        }
        let Some(modified) = modified else { return Vec::new() };
        let listing = Listing { modified, rotations };
        let found = listing.of(name);
        self.0.remove(directory);
        if now.duration_since(modified).is_ok_and(|age| age > COARSE) {
            if self.0.len() >= MOST {
                self.0.clear();
            }
            self.0.insert(directory.to_owned(), listing);
        }
        found
    }
}

impl Listing {
    fn of(&self, name: &OsStr) -> Vec<PathBuf> {
        self.rotations.get(name.as_encoded_bytes()).cloned().unwrap_or_default()
    }
}
