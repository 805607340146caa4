//! What a source knows of the files that its followers meet: read now, finished, copies of those, or
//! not to be read.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::disk::{Disk, Handle, Stat};
use super::listings::Listings;
use super::{family, identity};
use crate::cursor::{FileId, FileMark, Head, Tail};
use crate::shell::now;

/// Shared by the followers of a source. A pattern may match a file under its old name and under
/// its new one, and a copy or an archive of it; what is in it is read once.
#[derive(Debug, Clone, Default)]
pub(super) struct Catalog {
    state: Arc<Mutex<State>>,
    /// A pattern may match what a file is renamed to: keep what is known of it.
    is_of_pattern: bool,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<Inode, Known>,
    /// What is held, as long as it is open: it may have no name any more.
    open: HashMap<Inode, Weak<dyn Handle>>,
    /// What was in a directory at first, and what was found there since. What is not among it has
    /// come since.
    seen: HashMap<PathBuf, HashSet<Entry>>,
    /// The files by their names, and by what the names of one log have in common: under the hashes
    /// of these, which others may have too.
    names: BTreeSet<(u64, Inode)>,
    hasher: RandomState,
    /// The rotated files of each directory.
    listings: Listings,
    /// The copies of what is held.
    copies: HashMap<Inode, HashSet<Inode>>,
    /// Names of which more is known now than when they were last looked at.
    news: Vec<Arc<Path>>,
    /// The places of an earlier run in the files of each log, while reading begins.
    claims: HashMap<(PathBuf, Vec<u8>), Claims>,
}

/// Of many files with a number in their names, to go through all places for each of them would take
/// long.
#[derive(Debug, Default)]
struct Claims {
    of_inode: HashMap<u64, Vec<FileMark>>,
    /// By the checksum of how the file begins, if that is long enough to tell it from others.
    of_head: HashMap<Option<u32>, Vec<FileMark>>,
}

pub(super) type Inode = (u64, u64);

/// What a file is looked up by.
#[derive(Debug, Clone, Copy, Hash)]
enum By {
    Name,
    /// What its name has in common with those of its log: an archive of which the beginning is known,
    Archive,
    /// the same, if it begins so,
    Head(u32),
    /// or any other file.
    Other,
}

/// A directory's entry: the inode number, and the time of birth, since numbers come again.
type Entry = (u64, Option<u64>);

/// What is known of an inode.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// Somebody reads it, and has read so much of it.
    Held(FileMark),
    /// It was read up to here when it had so many bytes, and let go of.
    Finished { mark: FileMark, size: u64 },
    /// All of it was read elsewhere, up to here.
    WasCopy(FileMark),
    /// All of it is in what is held under this inode, or was when it had so many bytes.
    Copy { of: Inode, id: Arc<FileId>, size: u64, is_packed: bool },
    /// It is too old. If it grows beyond this, that is read.
    PassedOver { born: Option<u64>, size: u64 },
}

impl Catalog {
    pub(super) fn new(is_of_pattern: bool) -> Self {
        Self { state: Arc::default(), is_of_pattern }
    }

    pub(super) fn is_of_pattern(&self) -> bool {
        self.is_of_pattern
    }

    /// Notes what is in a directory, the first time that it is asked for.
    pub(super) fn enter(&self, disk: &impl Disk, directory: &Path) {
        if self.lock().seen.contains_key(directory) {
            return;
        }
        let mut found = HashSet::new();
        for (path, ino) in disk.list(directory).unwrap_or_default() {
            // What is gone by now would be news if it came again.
            if let Ok(Some(stat)) = disk.stat(&path) {
                found.insert((ino, identity::birth(&stat)));
            }
        }
        self.lock().seen.insert(directory.to_owned(), found);
    }

    /// Whether a directory's entry is there for the first time.
    pub(super) fn is_news(&self, directory: &Path, stat: &Stat) -> bool {
        let entry = (stat.ino, identity::birth(stat));
        self.lock().seen.get(directory).is_none_or(|seen| !seen.contains(&entry))
    }

    pub(super) fn see(&self, directory: &Path, stat: &Stat) {
        let entry = (stat.ino, identity::birth(stat));
        self.lock().seen.entry(directory.to_owned()).or_default().insert(entry);
    }

    /// The files of a directory whose names are what a rotation calls a file of that name.
    pub(super) fn rotations_of(
        &self,
        disk: &impl Disk,
        directory: &Path,
        name: &OsStr,
    ) -> Vec<PathBuf> {
        self.lock().listings.rotations_of(disk, directory, name, now())
    }

    /// An earlier run left this place under the name that it speaks of: who begins with another name
    /// of the log before that leaves the file to it.
    pub(super) fn claim(&self, mark: &FileMark) {
        if self.is_of_pattern {
            let log = log_of(&mark.file.path);
            let mut state = self.lock();
            let claims = state.claims.entry(log).or_default();
            claims.of_inode.entry(mark.file.ino).or_default().push(mark.clone());
            claims.of_head.entry(told_by(mark.file.head)).or_default().push(mark.clone());
        }
    }

    /// What is claimed in the file of an inode number, for other names of the log that a name is of.
    pub(super) fn claims_in(&self, ino: u64, path: &Path) -> Vec<FileMark> {
        self.claims_beside(path, |claims| vec![claims.of_inode.get(&ino)])
    }

    /// What is claimed, for other names of the log that a name is of, in files that may begin so.
    pub(super) fn claims_like(&self, head: Head, path: &Path) -> Vec<FileMark> {
        self.claims_beside(path, |claims| match told_by(head) {
            told @ Some(_) => vec![claims.of_head.get(&told), claims.of_head.get(&None)],
            None => claims.of_head.values().map(Some).collect(),
        })
    }

    fn claims_beside(
        &self,
        path: &Path,
        of: impl FnOnce(&Claims) -> Vec<Option<&Vec<FileMark>>>,
    ) -> Vec<FileMark> {
        let state = self.lock();
        let Some(claims) = state.claims.get(&log_of(path)) else { return Vec::new() };
        let marks = of(claims).into_iter().flatten().flatten();
        marks.filter(|mark| *mark.file.path != *path).cloned().collect()
    }

    /// Every name was begun with.
    pub(super) fn end_claims(&self) {
        self.lock().claims = HashMap::new();
    }

    /// What is known of a file, unless it is another one that has its inode number now.
    pub(super) fn get(&self, stat: &Stat) -> Option<Known> {
        let found = self.lock().files.get(&stat.inode()).cloned()?;
        let is_same = match &found {
            Known::Held(_) => true,
            Known::Finished { mark, .. } | Known::WasCopy(mark) => {
                identity::is_same_birth(stat.born, mark.file.born)
            }
            Known::Copy { id, .. } => identity::is_same_birth(stat.born, id.born),
            Known::PassedOver { born, .. } => identity::is_same_birth(stat.born, *born),
        };
        is_same.then_some(found)
    }

    pub(super) fn is_held(&self, inode: Inode) -> bool {
        matches!(self.lock().files.get(&inode), Some(Known::Held(_)))
    }

    /// Somebody reads it, from this mark on.
    pub(super) fn hold(&self, mark: FileMark, open: Weak<dyn Handle>) {
        let mut state = self.lock();
        let inode = (mark.file.dev, mark.file.ino);
        if self.is_of_pattern {
            state.index(&mark.file);
            state.open.insert(inode, open);
        }
        state.files.insert(inode, Known::Held(mark));
    }

    /// What somebody reads, whether or not it has a name.
    pub(super) fn open_file(&self, inode: Inode) -> Option<Arc<dyn Handle>> {
        self.lock().open.get(&inode)?.upgrade()
    }

    /// It is closed for now.
    pub(super) fn let_go(&self, inode: Inode) {
        self.lock().open.remove(&inode);
    }

    /// It was read up to this mark.
    pub(super) fn advance(&self, mark: FileMark) {
        if !self.is_of_pattern {
            return;
        }
        if let Some(known) = self.lock().files.get_mut(&(mark.file.dev, mark.file.ino)) {
            *known = Known::Held(mark);
        }
    }

    /// What may be what a file of this name, which begins so, was made of.
    pub(super) fn origins(&self, path: &Path, head: Head) -> Vec<Known> {
        let state = self.lock();
        let (directory, name) = split(path);
        let is_origin = |known: &&Known| match known {
            Known::Held(mark) | Known::Finished { mark, .. } => {
                let (other, from) = split(&mark.file.path);
                directory == other && family::may_derive(name, from)
            }
            _ => false,
        };
        let candidates = state.candidates(path, head).into_iter();
        let known = candidates.filter_map(|inode| state.files.get(&inode));
        known.filter(is_origin).cloned().collect()
    }

    /// There is nothing in it beyond what was read elsewhere.
    pub(super) fn settle(&self, mark: FileMark, size: u64) {
        let inode = (mark.file.dev, mark.file.ino);
        self.lock().files.insert(inode, Known::Finished { mark, size });
    }

    pub(super) fn pass_over(&self, stat: &Stat) {
        let known = Known::PassedOver { born: identity::birth(stat), size: stat.size };
        self.lock().files.insert(stat.inode(), known);
    }

    /// All of it is in what is held under the other inode.
    pub(super) fn copy(&self, of: Inode, id: FileId, size: u64, is_packed: bool) {
        let mut state = self.lock();
        let inode = (id.dev, id.ino);
        tracing::debug!(path = %id.path.display(), ino = id.ino, of = of.1, size, "a copy");
        state.copies.entry(of).or_default().insert(inode);
        state.files.insert(inode, Known::Copy { of, id: Arc::new(id), size, is_packed });
    }

    /// What was taken for a copy is none. Whoever follows its name is to look again.
    pub(super) fn forget(&self, stat: &Stat, path: &Path) {
        let mut state = self.lock();
        if let Some(Known::Copy { .. }) = state.files.get(&stat.inode()) {
            state.files.remove(&stat.inode());
            state.news.push(path.into());
        }
    }

    /// It was read when it had so many bytes, and is let go of. Gives the marks of its copies, in
    /// which nothing is left to read either.
    pub(super) fn finish(&self, mark: FileMark, size: u64) -> Vec<FileMark> {
        let mut state = self.lock();
        let copies = state.end_copies(&mark);
        let inode = (mark.file.dev, mark.file.ino);
        state.open.remove(&inode);
        if self.is_of_pattern {
            state.index(&mark.file);
        }
        state.files.insert(inode, Known::Finished { mark, size });
        copies
    }

    /// The file was cut after it was read up to the mark. Gives the marks of its copies. If there
    /// is more in one, that is to be read.
    pub(super) fn cut(&self, mark: &FileMark) -> Vec<FileMark> {
        self.lock().end_copies(mark)
    }

    /// Names of which more is known now than when they were last looked at.
    pub(super) fn take_news(&self) -> Vec<Arc<Path>> {
        std::mem::take(&mut self.lock().news)
    }

    /// Forgets the files that are nowhere any more.
    pub(super) fn retain(&self, is_there: impl Fn(u64) -> bool) {
        let mut state = self.lock();
        state.files.retain(|(_, ino), known| matches!(known, Known::Held(_)) || is_there(*ino));
        state.open.retain(|_, open| open.strong_count() > 0);
        let State { files, seen, names, copies, .. } = &mut *state;
        for seen in seen.values_mut() {
            seen.retain(|(ino, _)| is_there(*ino));
        }
        names.retain(|(_, inode)| files.contains_key(inode));
        copies.retain(|origin, _| files.contains_key(origin));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn index(&mut self, file: &FileId) {
        let (directory, name) = split(&file.path);
        let (inode, root) = ((file.dev, file.ino), family::root(name));
        let is_known = family::is_packed(&file.path) && !identity::is_short(file.head);
        let by_root: &[By] =
            if is_known { &[By::Archive, By::Head(file.head.crc)] } else { &[By::Other] };
        let hashes = by_root.iter().map(|by| self.hash(directory, *by, &root));
        let hashes: Vec<u64> =
            hashes.chain([self.hash(directory, By::Name, name.as_bytes())]).collect();
        self.names.extend(hashes.into_iter().map(|hash| (hash, inode)));
    }

    fn hash(&self, directory: &Path, by: By, name: &[u8]) -> u64 {
        self.hasher.hash_one((directory.as_os_str(), by, name))
    }

    /// The files among which is all that one of this name may have been made of, and few others: of
    /// many with a number in their names, each would be gone through for each of them.
    fn candidates(&self, path: &Path, head: Head) -> BTreeSet<Inode> {
        let (directory, name) = split(path);
        let mut keys: Vec<_> =
            family::bases(name).into_iter().map(|base| (By::Name, base)).collect();
        if family::is_packed(path) {
            // It may have been renamed as well: it may be made of any of its log. Another archive
            // is not written any more, so that one that begins otherwise is none of them.
            let root = family::root(name);
            let is_known = !identity::is_short(head);
            let archives = if is_known { By::Head(head.crc) } else { By::Archive };
            keys.extend([(archives, root.clone()), (By::Other, root)]);
        }
        let hashes = keys.iter().map(|(by, name)| self.hash(directory, *by, name));
        let (first, last) = ((0, 0), (u64::MAX, u64::MAX));
        let entries = hashes.flat_map(|hash| self.names.range((hash, first)..=(hash, last)));
        entries.map(|(_, inode)| *inode).collect()
    }

    /// What was a copy of what is held is finished where that ended.
    fn end_copies(&mut self, mark: &FileMark) -> Vec<FileMark> {
        let origin = (mark.file.dev, mark.file.ino);
        let mut ended = Vec::new();
        for copy in self.copies.remove(&origin).unwrap_or_default() {
            if let Some(known @ Known::Copy { .. }) = self.files.get_mut(&copy)
                && let Known::Copy { of, id, size, is_packed } = &*known
                && *of == origin
            {
                let mut mark = FileMark { file: Arc::clone(id), finished: true, ..mark.clone() };
                if !is_packed && *size < mark.offset {
                    // It was made when less was there: it ends before what was read does.
                    (mark.offset, mark.tail) = (*size, Tail::default());
                }
                self.news.push(Arc::clone(&id.path));
                *known = Known::WasCopy(mark.clone());
                ended.push(mark);
            }
        }
        ended
    }
}

/// What tells how a file begins from how others do; none if it is too short for that.
fn told_by(head: Head) -> Option<u32> {
    (!identity::is_short(head)).then_some(head.crc)
}

fn log_of(path: &Path) -> (PathBuf, Vec<u8>) {
    let (directory, name) = split(path);
    (directory.to_owned(), family::root(name))
}

fn split(path: &Path) -> (&Path, &OsStr) {
    (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Head = Head { len: 1, crc: 1 };

    /// Files, and how each begins.
    fn held(files: impl IntoIterator<Item = (String, Head)>) -> Catalog {
        let catalog = Catalog::new(true);
        for (ino, (path, head)) in (1..).zip(files) {
            let file = FileId { path: Path::new(&path).into(), dev: 1, ino, born: None, head };
            let tail = Tail::default();
            let mark = FileMark { file: Arc::new(file), offset: 1, tail, finished: false };
            catalog.hold(mark, Weak::<std::fs::File>::new());
        }
        catalog
    }

    fn long(crc: u32) -> Head {
        Head { len: u32::try_from(identity::HEAD_BYTES).unwrap(), crc }
    }

    fn origins(catalog: &Catalog, path: &str, head: Head) -> Vec<String> {
        let path_of = |known: Known| match known {
            Known::Held(mark) => mark.file.path.display().to_string(),
            other => format!("{other:?}"),
        };
        catalog.origins(Path::new(path), head).into_iter().map(path_of).collect()
    }

    #[test]
    fn a_file_may_be_made_of_what_its_name_says_alone() {
        let names = ["d/app.log", "d/app.log.1", "d/app.log.2.gz", "d/app-7.log", "e/app.log"];
        let catalog = held(names.map(|name| (name.to_owned(), SHORT)));
        assert_eq!(origins(&catalog, "d/app.log", SHORT), [""; 0]);
        assert_eq!(origins(&catalog, "d/app.log.1", SHORT), ["d/app.log"]);
        assert_eq!(origins(&catalog, "d/app.log.1.2", SHORT), ["d/app.log", "d/app.log.1"]);
        assert_eq!(origins(&catalog, "d/app-8.log", SHORT), ["d/app.log"]);
        assert_eq!(origins(&catalog, "e/app.log.old", SHORT), ["e/app.log"]);
        assert_eq!(origins(&catalog, "f/app.log.1", SHORT), [""; 0]);
        // Compressed, it may have been renamed as well.
        for head in [SHORT, long(7)] {
            let archive = origins(&catalog, "d/app.log.3.gz", head);
            assert_eq!(archive, ["d/app.log", "d/app.log.1", "d/app.log.2.gz", "d/app-7.log"]);
        }
        // What is nowhere any more is no origin.
        catalog.lock().files.clear();
        catalog.retain(|_| false);
        assert!(catalog.lock().names.is_empty());
    }

    #[test]
    fn an_archive_may_be_made_of_another_one_that_begins_so() {
        let names = ["d/a.log.1.gz", "d/a.log.2.gz", "d/a.log.3"];
        let catalog = held(names.map(str::to_owned).into_iter().zip([7, 8, 9].map(long)));
        assert_eq!(origins(&catalog, "d/a.log.4.zst", long(8)), ["d/a.log.2.gz", "d/a.log.3"]);
        // As long as there is little in it, nothing tells.
        assert_eq!(origins(&catalog, "d/a.log.4.zst", SHORT), names);
    }

    #[test]
    fn a_place_is_claimed_in_what_may_begin_as_its_file_did() {
        let catalog = Catalog::new(true);
        let heads = [long(7), long(8), SHORT];
        for (ino, (name, head)) in (1..).zip(["1.gz", "2.gz", "3"].into_iter().zip(heads)) {
            let path = Path::new("d").join(format!("a.log.{name}")).into();
            let file = Arc::new(FileId { path, dev: 1, ino, born: None, head });
            catalog.claim(&FileMark { file, offset: 1, tail: Tail::default(), finished: false });
        }
        let inodes = |marks: Vec<FileMark>| {
            let mut inodes: Vec<_> = marks.iter().map(|mark| mark.file.ino).collect();
            inodes.sort_unstable();
            inodes
        };
        let like = |head, path| inodes(catalog.claims_like(head, Path::new(path)));
        assert_eq!(like(long(8), "d/a.log.4.gz"), [2, 3]);
        assert_eq!(like(long(9), "d/a.log.4.gz"), [3]);
        // What is short may have begun as any other does.
        assert_eq!(like(SHORT, "d/a.log.4.gz"), [1, 2, 3]);
        assert_eq!(like(long(8), "d/a.log.2.gz"), [3]);
        assert_eq!(like(long(8), "d/b.log.4.gz"), [0_u64; 0]);
        assert_eq!(inodes(catalog.claims_in(2, Path::new("d/a.log.4.gz"))), [2]);
        catalog.end_claims();
        assert_eq!(like(SHORT, "d/a.log.4.gz"), [0_u64; 0]);
    }

    #[test]
    fn numbered_files_are_not_gone_through_for_each_of_them() {
        for name in ["app-{}.log", "service.{}", "app.log-{}", "app.log.{}", "app.log-{}.gz"] {
            let path = |n: u32| format!("logs/{}", name.replace("{}", &format!("{n:06}")));
            let catalog = held((0..1000).map(|n| (path(n), long(n))));
            let looked_at = |n| catalog.lock().candidates(Path::new(&path(n)), long(n)).len();
            let most = (0..1000).map(looked_at).max();
            assert!(most <= Some(1), "{name}: {most:?}");
            let marks = catalog.lock().files.values().cloned().collect::<Vec<_>>();
            for known in marks {
                let Known::Held(mark) = known else { continue };
                catalog.claim(&mark);
            }
            let beside = Path::new("logs").join(name.replace("{}", "001000"));
            assert_eq!(catalog.claims_like(long(1), &beside).len(), 1, "{name}");
        }
    }
}
