//! Names that move on, while files are looked for and between two runs.

use super::*;

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

/// The real file system, on which something happens once what bears a name is read.
#[derive(Debug, Clone)]
pub(super) struct WhenRead(pub(super) Moving);

#[derive(Debug)]
pub(super) struct Read(<Real as Disk>::File, Moving);

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

/// The real file system, on which a log's only rotated file gets its next name each time that it was
/// listed, so many times, and there is another log that is never at rest.
#[derive(Debug, Clone)]
struct Restless {
    log: PathBuf,
    moves: usize,
    listed: Arc<std::sync::atomic::AtomicUsize>,
}

impl Disk for Restless {
    type File = <Real as Disk>::File;

    fn open(&self, path: &Path) -> io::Result<Option<Self::File>> {
        Real.open(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        Real.stat(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
        let found = Real.list(directory);
        let count = self.listed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        std::fs::write(directory.join(format!("other.log.{count}")), "").unwrap();
        if count < self.moves {
            let at = |number| format!("{}.{number}", self.log.display());
            std::fs::rename(at(count + 1), at(count + 2)).unwrap();
        }
        found
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Real.remove(path)
    }

    fn target(&self, path: &Path) -> Option<PathBuf> {
        Real.target(path)
    }
}

#[test]
fn a_file_is_found_however_often_it_is_renamed_while_it_is_listed() {
    for moves in [0, 1, 9] {
        let log = Log::new();
        log.write(".1", "a 1\n");
        log.write("", "b 1\n");
        let listed: Arc<std::sync::atomic::AtomicUsize> = Arc::new((usize::MAX / 2).into());
        let disk = Restless { log: log.at(""), moves, listed: Arc::clone(&listed) };
        let follower = log.follower(&disk, "", 64 << 10, &Catalog::new(false));
        listed.store(0, std::sync::atomic::Ordering::Relaxed);
        let found: Vec<_> = follower.siblings().into_iter().map(|at| at.path).collect();
        assert_eq!(found, [log.at(&format!(".{}", moves + 1))]);
        // What other logs do is no reason to go on.
        assert!(listed.load(std::sync::atomic::Ordering::Relaxed) <= moves + 2);
    }
}
