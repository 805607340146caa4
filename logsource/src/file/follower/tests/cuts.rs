//! Files that are cut, and the copies that were made of them before.

use super::*;
use crate::file::reading::Shared;
use crate::shell::{Pace, Store};

#[test]
fn what_was_cut_and_renamed_while_nobody_read_is_read_from_its_start() {
    let log = Log::new();
    log.write(".2", "old 1\nold 2\n");
    let old = log.mark(".2", 6);
    log.write(".1", "b 1\nb 2\n");
    let later = log.mark(".1", 4);
    std::fs::write(log.at(".2"), "new 1\n").unwrap();
    log.write("", "c 1\n");
    // One that is gone altogether is another matter.
    log.write(".3", "older 1\nolder 2\n");
    let gone = log.mark(".3", 8);
    std::fs::remove_file(log.at(".3")).unwrap();
    let catalog = Catalog::new(false);
    let mut follower = log.follower(&Real, "", 64 << 10, &catalog);
    follower.begin(Begin::After(vec![gone, old, later]), crate::shell::ticks()).unwrap();
    assert_eq!(lines(&mut follower), ["new 1", "b 2", "c 1"]);
    let dropped = |reason| follower.shared.metrics.dropped(reason);
    assert_eq!([DropReason::Truncated, DropReason::RotatedAway].map(dropped), [1, 1]);
    assert_eq!(follower.shared.metrics.get(crate::Count::Truncations), 1);
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

/// The copy was made before the run began, and the cut comes while the two are compared. Of the file
/// it was known only that it was empty.
#[test]
fn what_is_cut_while_it_is_compared_with_its_copy_is_read_in_the_copy() {
    for next in ["b 1\n", ""] {
        let log = Log::new();
        log.write("", "");
        let kept = log.mark("", 0);
        let store = || Store::new(Some(log.at(".offsets")), Pace::default());
        store().set("app", &crate::Cursor::of_files(vec![kept.mark.clone()]));
        log.write("", "a 1\n");
        let names = log.names();
        names.copy();
        let happens = Happening(Box::new(move || names.cut(next)));
        let happens = Arc::new(Mutex::new(Some(happens)));
        let disk = Moving { before: log.at(".1").as_path().into(), happens };
        let source = FileSource::builder(log.at("")).build().unwrap();
        let shared = Shared { store: Some(store()), ..source.shared.clone() };
        shared.store.as_ref().unwrap().recover().unwrap();
        let catalog = Catalog::new(false);
        let path = log.at("");
        let mut follower = Follower::new(&disk, &shared, &path.as_path().into(), &catalog);
        follower.begin(Begin::After(vec![kept]), crate::shell::ticks()).unwrap();
        let expected: &[&str] = if next.is_empty() { &["a 1"] } else { &["a 1", "b 1"] };
        assert_eq!(lines(&mut follower), expected);
        assert_eq!(shared.metrics.dropped(DropReason::Truncated), 0);
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

/// Beside the place of an earlier file that was empty, and could be anything that was compressed since.
#[cfg(feature = "compression")]
#[test]
fn what_is_renamed_and_compressed_after_it_was_opened_is_gone_on_with_and_not_read_again() {
    let log = Log::new();
    log.write(".9", "");
    let empty = log.mark(".9", 0);
    std::fs::remove_file(log.at(".9")).unwrap();
    log.write(".1", "old 1\nold 2\n");
    log.write("", "a 1\na 2\n");
    let marks = vec![empty, log.mark(".1", 6), log.mark("", 4)];
    let names = log.names();
    let rotate = move || {
        names.rename("b 1\n");
        names.compress();
    };
    let happens = Arc::new(Mutex::new(Some(Happening(Box::new(rotate)))));
    let disk = Moving { before: log.at(".1").as_path().into(), happens };
    assert_eq!(log.lines_after(&disk, marks), ["old 2", "a 2", "b 1"]);
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
