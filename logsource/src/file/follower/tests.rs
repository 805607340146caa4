//! Whoever stops where a look ended early has missed nothing; nor has who begins anew after much
//! has happened.

mod cuts;
mod moves;
mod turns;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::file::disk::Real;
use crate::framing::pieces;
use crate::{DropReason, FileSource, Framing, LongLines};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn nothing_is_left_when_all_is_read(
        pieces in proptest::collection::vec("((x{0,9}|y{40,300}| )\n?){1,6}", 1..8),
        batch_bytes in 1_usize..128,
        max_line_bytes in 1_usize..32,
        long_lines in prop::sample::select(vec![
            LongLines::Truncate, LongLines::Drop, LongLines::Split,
        ]),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let framing = Framing::new().max_line_bytes(max_line_bytes).long_lines(long_lines);
        let source =
            FileSource::builder(&path).framing(framing.clone()).batch_bytes(batch_bytes).build();
        let (shared, now) = (source.unwrap().shared, crate::shell::ticks());
        let catalog = Catalog::new(false);
        let mut follower = Follower::new(&Real, &shared, &path.as_path().into(), &catalog);
        follower.begin(Begin::Edge(Edge::Start), now).unwrap();
        let mut found = Vec::new();
        let mut text = Vec::new();
        for piece in pieces {
            file.write_all(piece.as_bytes()).unwrap();
            text.extend_from_slice(piece.as_bytes());
            while let Some(batch) = follower.step(now, usize::MAX).unwrap() {
                found.extend(batch.entries().map(|entry| entry.line().to_vec()));
                if follower.is_read_to_end() {
                    break;
                }
            }
            prop_assert!(follower.step(now, usize::MAX).unwrap().is_none());
        }
        file.write_all(b"\n").unwrap();
        text.push(b'\n');
        while let Some(batch) = follower.step(now, usize::MAX).unwrap() {
            found.extend(batch.entries().map(|entry| entry.line().to_vec()));
        }
        let lines = pieces::framed(&text, &[text.len()], 1 << 20, &framing, now).lines;
        prop_assert_eq!(found, lines);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Also what is written while something of what was read is left.
    #[test]
    fn nothing_is_left_of_what_is_written_between_two_batches(
        pieces in proptest::collection::vec("((x{0,9}|y{40,300}| )\n){1,6}", 1..20),
        batch_bytes in 1_usize..128,
        max_line_bytes in 1_usize..32,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        let framing = Framing::new().max_line_bytes(max_line_bytes);
        let source = FileSource::builder(&path).framing(framing).batch_bytes(batch_bytes).build();
        let (shared, now) = (source.unwrap().shared, crate::shell::ticks());
        let catalog = Catalog::new(false);
        let mut follower = Follower::new(&Real, &shared, &path.as_path().into(), &catalog);
        follower.begin(Begin::Edge(Edge::Start), now).unwrap();
        for piece in pieces {
            file.write_all(piece.as_bytes()).unwrap();
            follower.step(now, usize::MAX).unwrap();
            if follower.is_read_to_end() {
                prop_assert!(follower.step(now, usize::MAX).unwrap().is_none());
            }
        }
    }
}

/// The real file system, on which something happens just before a file is opened.
#[derive(Debug, Clone)]
struct Moving {
    before: Arc<Path>,
    happens: Arc<Mutex<Option<Happening>>>,
}

struct Happening(Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Happening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Happening")
    }
}

impl Disk for Moving {
    type File = <Real as Disk>::File;

    fn open(&self, path: &Path) -> io::Result<Option<Self::File>> {
        if *path == *self.before
            && let Some(Happening(happens)) = self.happens.lock().unwrap().take()
        {
            happens();
        }
        Real.open(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        Real.stat(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
        Real.list(directory)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Real.remove(path)
    }

    fn target(&self, path: &Path) -> Option<PathBuf> {
        Real.target(path)
    }
}

/// A log in a folder of its own, for what happens between two runs.
struct Log(tempfile::TempDir);

impl Log {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, suffix: &str) -> PathBuf {
        self.0.path().join(format!("app.log{suffix}"))
    }

    fn write(&self, suffix: &str, text: &str) {
        write(&self.at(suffix), text);
    }

    fn names(&self) -> Names {
        Names(self.at(""))
    }

    /// The place of an earlier run, as far as that, in what this file is now.
    fn mark(&self, suffix: &str, offset: u64) -> Kept {
        let mut file = Opened::open(&Real, &self.at(suffix)).unwrap().unwrap();
        let tail = crate::file::identity::tail(&mut file.content, offset).unwrap();
        let file = Arc::new(file.id(self.at("").as_path().into()));
        Kept { mark: FileMark { file, offset, tail, finished: false }, key: None }
    }

    /// Every line that comes after these places.
    fn lines_after(&self, disk: &impl Disk, marks: Vec<Kept>) -> Vec<String> {
        let catalog = Catalog::new(false);
        let mut follower = self.follower(disk, "", 64 << 10, &catalog);
        follower.begin(Begin::After(marks), crate::shell::ticks()).unwrap();
        lines(&mut follower)
    }

    fn follower<D: Disk>(
        &self,
        disk: &D,
        suffix: &str,
        batch_bytes: usize,
        catalog: &Catalog,
    ) -> Follower<D> {
        let source = FileSource::builder(self.at(suffix)).batch_bytes(batch_bytes).build();
        Follower::new(disk, &source.unwrap().shared, &self.at(suffix).as_path().into(), catalog)
    }
}

/// Every line that a follower has now.
fn lines<D: Disk>(follower: &mut Follower<D>) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(batch) = follower.step(crate::shell::ticks(), usize::MAX).unwrap() {
        found.extend(batch.entries().map(|entry| entry.text().into_owned()));
    }
    found
}

fn write(path: &Path, text: &str) {
    // Times of birth and of writing tell which came first.
    std::thread::sleep(Duration::from_millis(5));
    std::fs::write(path, text).unwrap();
}

/// What is done to the names of a log, at any time.
#[derive(Clone)]
struct Names(PathBuf);

impl Names {
    fn at(&self, nth: usize, extension: &str) -> PathBuf {
        let number = if nth == 0 { String::new() } else { format!(".{nth}") };
        PathBuf::from(format!("{}{number}{extension}", self.0.display()))
    }

    /// Makes `.1` free.
    fn shift(&self) {
        for nth in (1..8).rev() {
            for extension in ["", ".gz"] {
                std::fs::rename(self.at(nth, extension), self.at(nth + 1, extension)).ok();
            }
        }
    }

    fn rename(&self, next: &str) {
        self.shift();
        std::fs::rename(&self.0, self.at(1, "")).unwrap();
        write(&self.0, next);
    }

    fn copy(&self) {
        self.shift();
        std::thread::sleep(Duration::from_millis(5));
        std::fs::copy(&self.0, self.at(1, "")).unwrap();
    }

    /// Cuts the log in place, and writes it anew.
    fn cut(&self, next: &str) {
        write(&self.0, next);
    }

    #[cfg(feature = "compression")]
    fn compress(&self) {
        self.pack();
        std::fs::remove_file(self.at(1, "")).unwrap();
    }

    /// Compresses `.1`, which is there as long as that takes.
    #[cfg(feature = "compression")]
    fn pack(&self) {
        let (from, to) = (self.at(1, ""), self.at(1, ".gz"));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(&std::fs::read(&from).unwrap()).unwrap();
        std::fs::write(&to, packed.finish().unwrap()).unwrap();
        let modified = std::fs::metadata(&from).unwrap().modified().unwrap();
        std::fs::File::options().write(true).open(&to).unwrap().set_modified(modified).unwrap();
    }
}
