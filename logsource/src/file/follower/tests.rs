//! Whoever stops where a look ended early has missed nothing; nor has who begins anew after much
//! has happened.

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

#[test]
fn names_that_move_on_while_files_are_looked_for_hide_none_of_them() {
    let log = Log::new();
    log.write(".2", "a 1\na 2\n");
    log.write(".1", "b 1\n");
    log.write("", "c 1\n");
    let marks = vec![log.mark(".2", 4)];
    let names = log.names();
    let rotate = move || names.rename("d 1\n");
    let happens = Arc::new(Mutex::new(Some(Happening(Box::new(rotate)))));
    let disk = Moving { before: log.at(".1").as_path().into(), happens };
    assert_eq!(log.lines_after(&disk, marks), ["a 2", "b 1", "c 1", "d 1"]);
}

#[test]
fn what_was_cut_and_renamed_while_nobody_read_is_read_from_its_start() {
    let log = Log::new();
    log.write(".2", "old 1\nold 2\n");
    let old = log.mark(".2", 6);
    log.write(".1", "b 1\nb 2\n");
    let later = log.mark(".1", 4);
    std::fs::write(log.at(".2"), "new 1\n").unwrap();
    log.write("", "c 1\n");
    let found = log.lines_after(&Real, vec![old, later]);
    assert_eq!(found, ["new 1", "b 2", "c 1"]);
}

#[test]
fn what_begins_and_ends_as_a_file_that_was_read_does_is_none_of_it() {
    // Longer than what a file is known by, so that every one begins alike.
    let text =
        |first: &str, lines| format!("{}\n{first}\n{}", "h".repeat(1500), "same\n".repeat(lines));
    let log = Log::new();
    let read = text("a 1", 200);
    log.write(".2", &read);
    let mark = log.mark(".2", read.len() as u64);
    log.write(".1", &text("b 1", 100));
    log.write("", "c 1\n");
    let found = log.lines_after(&Real, vec![mark.clone()]);
    let found: Vec<_> = found.iter().filter(|line| line.len() < 1500).collect();
    assert_eq!((found.len(), &found[0][..], &found[101][..]), (102, "b 1", "c 1"));
    // A copy that was not whole when it was made has nothing new.
    log.write(".1", &read[..1800]);
    assert_eq!(log.lines_after(&Real, vec![mark]), ["c 1"]);
}

#[cfg(feature = "compression")]
#[test]
fn what_was_empty_when_its_place_was_kept_is_found_in_its_archive() {
    let log = Log::new();
    log.write(".2", "");
    let empty = log.mark(".2", 0);
    std::fs::write(log.at(".2"), "b 1\nb 2\n").unwrap();
    log.write(".1", "c 1\nc 2\n");
    let later = log.mark(".1", 4);
    log.write("", "d 1\n");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(b"b 1\nb 2\n").unwrap();
    let modified = std::fs::metadata(log.at(".2")).unwrap().modified().unwrap();
    std::fs::write(log.at(".2.gz"), packed.finish().unwrap()).unwrap();
    std::fs::File::options()
        .write(true)
        .open(log.at(".2.gz"))
        .unwrap()
        .set_modified(modified)
        .unwrap();
    std::fs::remove_file(log.at(".2")).unwrap();
    let found = log.lines_after(&Real, vec![empty, later]);
    assert_eq!(found, ["b 1", "b 2", "c 2", "d 1"]);
}

#[cfg(feature = "compression")]
#[test]
fn what_was_empty_is_found_in_its_archive_though_the_log_is_the_same_file_as_before() {
    let log = Log::new();
    log.write(".1", "");
    let empty = log.mark(".1", 0);
    log.write(".1", "b 1\nb 2\n");
    log.write("", "c 1\nc 2\n");
    let current = log.mark("", 4);
    log.names().compress();
    assert_eq!(log.lines_after(&Real, vec![empty, current]), ["b 1", "b 2", "c 2"]);
}

#[test]
fn what_is_renamed_after_it_was_opened_comes_before_what_bore_the_name_since() {
    let log = Log::new();
    log.write(".1", "a 1\na 2\n");
    log.write("", "b 1\n");
    let marks = vec![log.mark(".1", 4)];
    let names = log.names();
    let rotate = move || {
        names.rename("c 1\n");
        names.rename("d 1\n");
    };
    let happens = Arc::new(Mutex::new(Some(Happening(Box::new(rotate)))));
    let disk = Moving { before: log.at(".1").as_path().into(), happens };
    assert_eq!(log.lines_after(&disk, marks), ["a 2", "b 1", "c 1", "d 1"]);
}

#[test]
fn what_is_copied_and_cut_while_others_are_looked_for_is_read_in_its_copy() {
    let log = Log::new();
    log.write(".2", "a 1\na 2\n");
    log.write(".1", "b 1\n");
    log.write("", "c 1\n");
    let marks = vec![log.mark(".2", 4)];
    let (names, copy) = (log.names(), log.at(".0"));
    let copy_and_cut = move || {
        std::thread::sleep(Duration::from_millis(5));
        std::fs::copy(&names.0, copy).unwrap();
        names.cut("d 1\n");
    };
    let happens = Arc::new(Mutex::new(Some(Happening(Box::new(copy_and_cut)))));
    let disk = Moving { before: log.at(".1").as_path().into(), happens };
    let catalog = Catalog::new(false);
    let mut follower = log.follower(&disk, "", 64 << 10, &catalog);
    follower.begin(Begin::After(marks), crate::shell::ticks()).unwrap();
    // A run after this one finds the copy by its place, were this one killed now.
    assert_eq!(follower.chain.len(), 4);
    assert_eq!(lines(&mut follower), ["a 2", "b 1", "c 1", "d 1"]);
}

#[test]
fn what_is_removed_and_written_on_after_it_was_opened_comes_before_what_bore_the_name_since() {
    for is_packed in [false, cfg!(feature = "compression")] {
        let log = Log::new();
        log.write(".1", "a 1\na 2\n");
        log.write("", "b 1\n");
        let marks = vec![log.mark(".1", 4)];
        let names = log.names();
        let recreate = move || {
            let mut late = OpenOptions::new().append(true).open(&names.0).unwrap();
            std::fs::remove_file(&names.0).unwrap();
            write(&names.0, "c 1\n");
            std::thread::sleep(Duration::from_millis(5));
            late.write_all(b"b 2\n").unwrap();
            names.rename("d 1\n");
            #[cfg(feature = "compression")]
            if is_packed {
                names.compress();
            }
        };
        let happens = Arc::new(Mutex::new(Some(Happening(Box::new(recreate)))));
        let disk = Moving { before: log.at(".1").as_path().into(), happens };
        assert_eq!(log.lines_after(&disk, marks), ["a 2", "b 1", "b 2", "c 1", "d 1"]);
    }
}

#[cfg(feature = "compression")]
#[test]
fn what_is_cut_and_compressed_after_it_was_opened_is_read_once() {
    let log = Log::new();
    log.write(".1", "a 1\na 2\n");
    log.write("", "b 1\n");
    let marks = vec![log.mark(".1", 4)];
    let names = log.names();
    let rotate = move || {
        names.copy();
        names.cut("c 1\n");
        names.rename("d 1\n");
        names.compress();
        names.rename("e 1\n");
    };
    let happens = Arc::new(Mutex::new(Some(Happening(Box::new(rotate)))));
    let disk = Moving { before: log.at(".1").as_path().into(), happens };
    let catalog = Catalog::new(true);
    let mut follower = log.follower(&disk, "", 64 << 10, &catalog);
    follower.begin(Begin::After(marks), crate::shell::ticks()).unwrap();
    let mut archive = log.follower(&disk, ".2.gz", 64 << 10, &catalog);
    archive.begin(Begin::After(Vec::new()), crate::shell::ticks()).unwrap();
    assert_eq!(lines(&mut follower), ["a 2", "b 1", "c 1", "d 1", "e 1"]);
    assert_eq!(lines(&mut archive), [""; 0]);
}

#[test]
fn what_is_cut_and_renamed_in_the_midst_of_a_look_is_gone_on_with_in_its_copy() {
    let log = Log::new();
    log.write("", "a 1\na 2\na 3\na 4\n");
    let catalog = Catalog::new(false);
    let mut follower = log.follower(&Real, "", 10, &catalog);
    follower.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
    let batch = follower.step(crate::shell::ticks(), usize::MAX).unwrap().unwrap();
    let mut found: Vec<_> = batch.entries().map(|entry| entry.text().into_owned()).collect();
    assert_eq!(found, ["a 1", "a 2"]);
    let names = log.names();
    names.copy();
    names.cut("b 1\n");
    names.rename("c 1\n");
    found.extend(lines(&mut follower));
    assert_eq!(found, ["a 1", "a 2", "a 3", "a 4", "b 1", "c 1"]);
}

#[test]
fn half_a_first_line_does_not_go_on_in_what_was_written_since_the_file_was_cut() {
    let log = Log::new();
    log.write("", "");
    let catalog = Catalog::new(false);
    let mut follower = log.follower(&Real, "", 64 << 10, &catalog);
    follower.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
    log.write("", "a 1 ");
    assert_eq!(lines(&mut follower), [""; 0]);
    log.names().cut("b 1 and more\nb 2\n");
    assert_eq!(lines(&mut follower), ["b 1 and more", "b 2"]);
}

#[test]
fn what_was_written_between_two_cuts_comes_before_what_was_written_after_them() {
    let log = Log::new();
    log.write("", "a 1\n");
    let catalog = Catalog::new(false);
    let mut follower = log.follower(&Real, "", 64 << 10, &catalog);
    follower.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
    assert_eq!(lines(&mut follower), ["a 1"]);
    let names = log.names();
    names.cut("b 1 and more\n");
    names.copy();
    names.cut("c 1 and more\n");
    let mut found = lines(&mut follower);
    names.rename("d 1\n");
    found.extend(lines(&mut follower));
    assert_eq!(found, ["b 1 and more", "c 1 and more", "d 1"]);
}

#[cfg(feature = "compression")]
#[test]
fn what_was_cut_renamed_and_compressed_comes_before_what_bore_the_name_since() {
    let log = Log::new();
    log.write("", "a 1\n");
    let catalog = Catalog::new(false);
    let mut follower = log.follower(&Real, "", 64 << 10, &catalog);
    follower.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
    assert_eq!(lines(&mut follower), ["a 1"]);
    let names = log.names();
    names.copy();
    names.cut("b 1\nb 2\n");
    names.rename("c 1\n");
    names.compress();
    names.rename("d 1\n");
    assert_eq!(lines(&mut follower), ["b 1", "b 2", "c 1", "d 1"]);
}

#[test]
fn all_that_is_over_is_let_go_of_at_once() {
    let log = Log::new();
    log.write("", "a 1\n");
    let catalog = Catalog::new(false);
    let mut follower = log.follower(&Real, "", 64 << 10, &catalog);
    let now = crate::shell::ticks();
    follower.begin(Begin::Edge(Edge::Start), now).unwrap();
    for next in ["b 1\n", "c 1\n", "d 1\n"] {
        lines(&mut follower);
        log.names().rename(next);
    }
    assert_eq!(lines(&mut follower), ["d 1"]);
    assert_eq!(follower.chain.len(), 4);
    assert!(follower.step(now + 2 * ROTATE_WAIT, usize::MAX).unwrap().is_none());
    assert_eq!(follower.chain.len(), 1);
}

#[test]
fn what_is_copied_before_it_is_found_is_read_once() {
    let log = Log::new();
    log.write("", "a 1\n");
    let catalog = Catalog::new(false);
    let mut follower = log.follower(&Real, "", 64 << 10, &catalog);
    follower.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
    assert_eq!(lines(&mut follower), ["a 1"]);
    let names = log.names();
    names.rename("b 1\n");
    names.copy();
    assert_eq!(lines(&mut follower), ["b 1"]);
    names.cut("c 1\nc 2\n");
    assert_eq!(lines(&mut follower), ["c 1", "c 2"]);
}

#[test]
fn what_bore_the_name_after_a_file_was_cut_and_renamed_is_no_copy_of_it() {
    let log = Log::new();
    log.write("", "a 1\n");
    let catalog = Catalog::new(false);
    let mut follower = log.follower(&Real, "", 64 << 10, &catalog);
    follower.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
    let names = log.names();
    names.copy();
    names.cut("b 1\n");
    names.rename("c 1\n");
    names.rename("d 1\n");
    assert_eq!(lines(&mut follower), ["a 1", "b 1", "c 1", "d 1"]);
}

#[test]
fn what_was_copied_and_cut_before_any_of_it_was_read_comes_first_though_the_file_is_renamed() {
    for has_next in [true, false] {
        let log = Log::new();
        log.write("", "");
        let catalog = Catalog::new(false);
        let mut follower = log.follower(&Real, "", 64 << 10, &catalog);
        follower.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
        assert_eq!(lines(&mut follower), [""; 0]);
        let names = log.names();
        for next in ["a 1\n", "b 1 and more\n"] {
            names.cut(next);
            names.copy();
        }
        names.cut("c 1 and much more\n");
        names.rename("d 1\n");
        if !has_next {
            std::fs::remove_file(log.at("")).unwrap();
        }
        let all = ["a 1", "b 1 and more", "c 1 and much more", "d 1"];
        assert_eq!(lines(&mut follower), all[..3 + usize::from(has_next)]);
    }
}

#[cfg(feature = "compression")]
#[test]
fn what_is_open_and_not_read_yet_is_known_for_the_origin_of_an_archive() {
    for was_cut in [false, true] {
        let log = Log::new();
        log.write("", if was_cut { "a 1\n" } else { "" });
        let catalog = Catalog::new(true);
        let mut follower = log.follower(&Real, "", 64 << 10, &catalog);
        follower.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
        let names = log.names();
        if was_cut {
            names.copy();
        }
        names.cut("b 1\n");
        names.rename("c 1\n");
        names.compress();
        let mut archive = log.follower(&Real, ".1.gz", 64 << 10, &catalog);
        assert_eq!(lines(&mut archive), [""; 0]);
        let found = lines(&mut follower);
        assert_eq!(found, ["a 1", "b 1", "c 1"][usize::from(!was_cut)..]);
        assert_eq!(lines(&mut archive), [""; 0]);
    }
}

#[cfg(feature = "compression")]
#[test]
fn what_was_met_under_a_rotated_name_is_gone_on_with_in_its_archive() {
    let log = Log::new();
    log.write("", "b 1\nb 2\n");
    let names = log.names();
    names.rename("c 1\n");
    let Kept { mark, key } = log.mark(".1", 4);
    let path = log.at(".1").as_path().into();
    let file = Arc::new(crate::cursor::FileId { path, ..mark.file.as_ref().clone() });
    names.compress();
    names.rename("d 1\n");
    std::fs::remove_file(log.at(".1")).unwrap();
    let catalog = Catalog::new(true);
    let mut follower = log.follower(&Real, ".1", 64 << 10, &catalog);
    let kept = Kept { mark: FileMark { file, ..mark }, key };
    follower.begin(Begin::After(vec![kept]), crate::shell::ticks()).unwrap();
    assert_eq!(lines(&mut follower), ["b 2"]);
    let mut archive = log.follower(&Real, ".2.gz", 64 << 10, &catalog);
    archive.begin(Begin::After(Vec::new()), crate::shell::ticks()).unwrap();
    assert_eq!(lines(&mut archive), [""; 0]);
}

#[cfg(feature = "compression")]
#[test]
fn the_archive_of_what_is_read_under_a_rotated_name_is_not_read_as_the_log() {
    let log = Log::new();
    log.write("", "a 1\n");
    let catalog = Catalog::new(true);
    let mut follower = log.follower(&Real, "", 64 << 10, &catalog);
    follower.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
    assert_eq!(lines(&mut follower), ["a 1"]);
    let names = log.names();
    names.rename("b 1\n");
    names.rename("c 1\n");
    let mut rotated = log.follower(&Real, ".1", 64 << 10, &catalog);
    assert_eq!(lines(&mut rotated), ["b 1"]);
    names.compress();
    assert_eq!(lines(&mut follower), ["c 1"]);
}

#[cfg(feature = "compression")]
#[test]
fn what_was_cut_and_is_being_compressed_when_reading_begins_is_read_once() {
    let log = Log::new();
    log.write(".2", "a 1\na 2\n");
    log.write(".1", "old 1\nold 2\n");
    let marks = vec![log.mark(".2", 4), log.mark(".1", 6)];
    std::fs::write(log.at(".1"), "new 1\n").unwrap();
    log.write("", "c 1\n");
    log.names().pack();
    assert_eq!(log.lines_after(&Real, marks), ["a 2", "new 1", "c 1"]);
}

#[test]
fn what_was_cut_and_renamed_is_read_though_it_is_written_only_after_reading_began() {
    let log = Log::new();
    log.write(".2", "a 1\na 2\n");
    log.write(".1", "");
    log.write("", "c 1\n");
    let marks = vec![log.mark(".2", 4)];
    let catalog = Catalog::new(false);
    let mut follower = log.follower(&Real, "", 64 << 10, &catalog);
    follower.begin(Begin::After(marks), crate::shell::ticks()).unwrap();
    log.write(".1", "b 1\n");
    assert_eq!(lines(&mut follower), ["a 2", "b 1", "c 1"]);
}

#[test]
fn a_file_that_is_gone_is_counted_though_another_one_waits() {
    let log = Log::new();
    log.write("", "a 1\n");
    let catalog = Catalog::new(false);
    let mut follower = log.follower(&Real, "", 64 << 10, &catalog);
    follower.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
    assert_eq!(lines(&mut follower), ["a 1"]);
    // An archive of which nothing is there yet. It may be the file that is missing.
    log.write(".1.gz", "");
    for text in ["gone\n", "b 1\n"] {
        std::fs::remove_file(log.at("")).unwrap();
        log.write("", text);
        follower.is_born(crate::shell::ticks());
    }
    assert_eq!(lines(&mut follower), ["b 1"]);
    let metrics = Arc::clone(&follower.shared.metrics);
    assert_eq!(metrics.dropped(DropReason::RotatedAway), 0);
    std::fs::remove_file(log.at(".1.gz")).unwrap();
    assert_eq!(lines(&mut follower), [""; 0]);
    assert_eq!(metrics.dropped(DropReason::RotatedAway), 1);
}

#[cfg(feature = "compression")]
#[test]
fn what_was_met_under_a_rotated_name_is_left_to_that_name() {
    for is_packed in [false, true] {
        let log = Log::new();
        log.write(".1", "a 1\na 2\n");
        let older = log.mark(".1", 8);
        log.write("", "b 1\nb 2\n");
        let names = log.names();
        names.rename("c 1\n");
        let Kept { mark, key } = log.mark(".1", 4);
        let path = log.at(".1").as_path().into();
        let file = Arc::new(crate::cursor::FileId { path, ..mark.file.as_ref().clone() });
        let mark = FileMark { file, ..mark };
        if is_packed {
            names.compress();
        }
        let catalog = Catalog::new(true);
        catalog.claim(&older.mark);
        catalog.claim(&mark);
        let mut follower = log.follower(&Real, "", 64 << 10, &catalog);
        follower.begin(Begin::After(vec![older]), crate::shell::ticks()).unwrap();
        let mut rotated = log.follower(&Real, ".1", 64 << 10, &catalog);
        let kept = Kept { mark, key };
        rotated.begin(Begin::After(vec![kept]), crate::shell::ticks()).unwrap();
        assert_eq!(lines(&mut follower), ["c 1"]);
        assert_eq!(lines(&mut rotated), ["b 2"]);
    }
}

#[test]
fn the_copy_of_what_was_cut_before_any_of_it_was_taken_is_found_after_a_restart() {
    let log = Log::new();
    log.write("", "");
    let source = FileSource::builder(log.at("")).offset_file(log.at("-places")).build().unwrap();
    let store = Arc::clone(&source.store);
    let shared = Shared { store: Some(Arc::clone(&store)), ..source.shared.clone() };
    let path: Arc<Path> = log.at("").as_path().into();
    let begin = |begin| {
        let mut follower = Follower::new(&Real, &shared, &path, &Catalog::new(false));
        follower.begin(begin, crate::shell::ticks()).unwrap();
        follower
    };
    let mut follower = begin(Begin::Edge(Edge::Start));
    assert_eq!(lines(&mut follower), [""; 0]);
    let names = log.names();
    names.cut("a 1\n");
    names.copy();
    names.cut("b 1\n");
    assert!(follower.look(crate::shell::ticks()).unwrap());
    drop(follower);
    names.rename("c 1\n");
    let places = store.places().unwrap();
    let kept = places.iter().flat_map(|(key, place)| {
        let key: Arc<str> = key.as_str().into();
        place
            .files()
            .iter()
            .map(move |mark| Kept { mark: mark.clone(), key: Some(Arc::clone(&key)) })
    });
    let mut follower = begin(Begin::After(kept.collect()));
    assert_eq!(lines(&mut follower), ["a 1", "b 1", "c 1"]);
}

#[test]
fn what_was_copied_since_a_cut_is_read_though_it_is_short_and_begins_as_what_is_lost_did() {
    // Longer than what a file is known by, so that every one begins alike.
    let text = |line: &str| format!("{}\n{line}\n", "h".repeat(1500));
    let log = Log::new();
    log.write("", &text(&"a".repeat(500)));
    let kept = log.mark("", 2002);
    let source = FileSource::builder(log.at("")).offset_file(log.at("-places")).build().unwrap();
    let store = Arc::clone(&source.store);
    store.set("place", &crate::Cursor::of_files(vec![kept.mark.clone()]));
    store.flush().unwrap();
    store.recover().unwrap();
    let names = log.names();
    names.cut(&text("b 1"));
    names.copy();
    names.cut(&text("c 1"));
    let shared = Shared { store: Some(store), ..source.shared.clone() };
    let path: Arc<Path> = log.at("").as_path().into();
    let mut follower = Follower::new(&Real, &shared, &path, &Catalog::new(false));
    follower.begin(Begin::After(vec![kept]), crate::shell::ticks()).unwrap();
    let found = lines(&mut follower);
    let found: Vec<_> = found.iter().filter(|line| line.len() < 1500).collect();
    assert_eq!(found, ["b 1", "c 1"]);
}

/// The real file system, on which something happens once what bears a name is read.
#[derive(Debug, Clone)]
struct WhenRead(Moving);

#[derive(Debug)]
struct Read(<Real as Disk>::File, Moving);

impl crate::file::disk::Handle for Read {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let bearer = Real.stat(&self.1.before)?.map(|stat| stat.inode());
        // Less is read to know a file by.
        if into.len() > 4096 && bearer == Some(self.stat()?.inode()) {
            let happens = self.1.happens.lock().unwrap().take();
            if let Some(Happening(happens)) = happens {
                happens();
            }
        }
        self.0.read_at(into, offset)
    }

    fn stat(&self) -> io::Result<Stat> {
        crate::file::disk::Handle::stat(&self.0)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        self.0.next_data(offset)
    }
}

impl Disk for WhenRead {
    type File = Read;

    fn open(&self, path: &Path) -> io::Result<Option<Read>> {
        Ok(Real.open(path)?.map(|file| Read(file, self.0.clone())))
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

#[test]
fn what_is_written_to_a_renamed_file_once_it_was_read_comes_before_what_is_written_then() {
    let log = Log::new();
    log.write("", "a 1\n");
    let happens = Arc::new(Mutex::new(None));
    let before = log.at("").as_path().into();
    let disk = WhenRead(Moving { before, happens: Arc::clone(&happens) });
    let catalog = Catalog::new(false);
    let mut follower = log.follower(&disk, "", 64 << 10, &catalog);
    follower.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
    assert_eq!(lines(&mut follower), ["a 1"]);
    let append = |path: &Path, text: &str| {
        OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    };
    let (old, new) = (log.at(".1"), log.at(""));
    log.names().rename("b 1\n");
    let write = move || {
        append(&old, "a 2\n");
        append(&new, "b 2\n");
    };
    *happens.lock().unwrap() = Some(Happening(Box::new(write)));
    assert_eq!(lines(&mut follower), ["a 2", "b 1", "b 2"]);
}

#[test]
fn files_are_not_waited_for_as_long_as_others_wait_for_room() {
    let log = Log::new();
    log.write("", "0\n");
    let catalog = Catalog::new(false);
    let mut follower = log.follower(&Real, "", 64 << 10, &catalog);
    follower.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
    let last = 3 * MAX_CHAIN;
    for nth in 1..=last {
        std::fs::rename(log.at(""), log.at(&format!(".{nth}"))).unwrap();
        log.write("", &format!("{nth}\n"));
    }
    let all: Vec<_> = (0..=last).map(|nth| nth.to_string()).collect();
    assert_eq!(lines(&mut follower), all);
    assert!(follower.chain.len() > MAX_CHAIN / 4, "there was room for these");
}

#[test]
fn the_copy_of_what_is_cut_just_after_reading_went_on_is_read() {
    let log = Log::new();
    log.write("", "a 1\n");
    let begin = |is_resumed| {
        let source = FileSource::builder(log.at("")).offset_file(log.at("-places")).build();
        let source = source.unwrap();
        let shared = Shared { store: Some(Arc::clone(&source.store)), ..source.shared.clone() };
        shared.store.as_ref().unwrap().recover().unwrap();
        let places = source.store.places().unwrap();
        let kept = places.iter().flat_map(|(key, place)| {
            let kept =
                |mark: &FileMark| Kept { mark: mark.clone(), key: Some(key.as_str().into()) };
            place.files().iter().map(kept)
        });
        let begin = match is_resumed {
            true => Begin::After(kept.collect()),
            false => Begin::Edge(Edge::Start),
        };
        let path: Arc<Path> = log.at("").as_path().into();
        let mut follower = Follower::new(&Real, &shared, &path, &Catalog::new(false));
        follower.begin(begin, crate::shell::ticks()).unwrap();
        source.store.flush().unwrap();
        follower
    };
    drop(begin(false));
    let names = log.names();
    names.copy();
    let mut follower = begin(true);
    assert_eq!(follower.chain.len(), 1);
    names.cut("b 1\n");
    assert_eq!(lines(&mut follower), ["a 1", "b 1"]);
}
