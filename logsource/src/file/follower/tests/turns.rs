//! Whether a file is read on before the others have their turn, and that this comes to an end.

use super::moves::WhenRead;
use super::*;

/// Reads a batch, and says whether the file would be read on before others.
fn step<D: Disk>(follower: &mut Follower<D>) -> Option<bool> {
    let batch = follower.step(crate::shell::ticks(), usize::MAX).unwrap();
    batch.map(|_| follower.is_amid())
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[cfg(feature = "compression")]
#[test]
fn an_archive_is_read_on_until_its_end_and_a_log_behind_one_has_its_turn() {
    let log = Log::new();
    log.write("", &"a\n".repeat(200));
    let mark = log.mark("", 2);
    let names = log.names();
    names.rename(&"b\n".repeat(200));
    names.compress();
    let catalog = Catalog::new(true);
    let mut archive = log.follower(&Real, ".1.gz", 64, &catalog);
    archive.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
    assert!(archive.is_archive());
    let turns: Vec<bool> = std::iter::from_fn(|| step(&mut archive)).collect();
    assert!(turns.len() > 4 && turns[..turns.len() - 1].iter().all(|is_amid| *is_amid));
    assert_eq!(turns.last(), Some(&false));

    let catalog = Catalog::new(false);
    let mut follower = log.follower(&Real, "", 64, &catalog);
    follower.begin(Begin::After(vec![mark]), crate::shell::ticks()).unwrap();
    assert_eq!(follower.chain.len(), 2);
    for _ in 0..20 {
        assert!(!follower.is_archive());
        assert_eq!(step(&mut follower), Some(false));
        append(&log.at(""), "c\n");
    }
}

#[test]
fn a_file_that_is_written_under_its_old_name_does_not_take_every_turn() {
    let log = Log::new();
    log.write("", "a\n");
    let happens = Arc::new(Mutex::new(None));
    let before = log.at("").as_path().into();
    let disk = WhenRead(Moving { before, happens: Arc::clone(&happens) });
    let catalog = Catalog::new(false);
    let mut follower = log.follower(&disk, "", 64 << 10, &catalog);
    follower.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
    assert_eq!(lines(&mut follower), ["a"]);
    log.names().rename("b\n");
    assert_eq!(lines(&mut follower), ["b"]);
    let mut late = 0;
    for _ in 0..20 {
        append(&log.at(""), "b\n");
        // After it was read under its old name: that comes first, and the new one waits with a line.
        let old = log.at(".1");
        let write = move || append(&old, "late\n");
        *happens.lock().unwrap() = Some(Happening(Box::new(write)));
        let batch = follower.step(crate::shell::ticks(), usize::MAX).unwrap().unwrap();
        if batch.entries().next().unwrap().line() == b"late" {
            late += 1;
            assert!(follower.chain.iter().any(Reading::has_lines) && !follower.is_amid());
        }
    }
    assert!(late >= 10, "{late}");
}

#[test]
fn what_is_left_of_a_batch_is_handed_on_before_more_is_read() {
    let log = Log::new();
    // The slab ends with the line that is too long; there are others behind it.
    log.write("", &format!("{}\nb\nc\n", "a".repeat(200)));
    let framing = Framing::new().max_line_bytes(8).long_lines(LongLines::Truncate);
    let source = FileSource::builder(log.at("")).framing(framing).batch_bytes(64).build();
    let catalog = Catalog::new(false);
    let path = log.at("").as_path().into();
    let mut follower = Follower::new(&Real, &source.unwrap().shared, &path, &catalog);
    follower.begin(Begin::Edge(Edge::Start), crate::shell::ticks()).unwrap();
    let mut turns = Vec::new();
    while let Some(batch) = follower.step(crate::shell::ticks(), usize::MAX).unwrap() {
        let last = batch.entries().last().unwrap().text().into_owned();
        turns.push((last, follower.is_amid()));
        // Not in what was read.
        append(&log.at(""), if turns.len() == 1 { "d\n" } else { "" });
    }
    let turns: Vec<_> = turns.iter().map(|(last, is_amid)| (&last[..], *is_amid)).collect();
    assert_eq!(turns, [("aaaaaaaa", true), ("c", false), ("d", false)]);
}
