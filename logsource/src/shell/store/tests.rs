use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use super::simulated::Simulated;
use super::*;
use crate::cursor::Place;

const PATH: &str = "/state/offsets";

fn at(n: u64) -> Cursor {
    Cursor(Place::Count(n))
}

fn on(disk: &Simulated) -> Arc<Store> {
    Store::on(Some(PATH.into()), Box::new(disk.again()), Pace::default())
}

fn opened(path: &Path) -> Arc<Store> {
    Store::new(Some(path.to_owned()), Pace::default())
}

fn numbers(store: &Store) -> Result<BTreeMap<String, u64>, Error> {
    let number = |place: Cursor| match place.0 {
        Place::Count(n) => n,
        other => panic!("not a number: {}", Cursor(other)),
    };
    Ok(store.places()?.into_iter().map(|(key, place)| (key, number(place))).collect())
}

/// Waits for something that takes a moment; fails the test if it never happens.
fn until(what: &str, mut check: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if check() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("never: {what}");
}

/// A store without its thread: it writes when the test says so.
struct Still(Shared);

impl Still {
    fn on(disk: &Simulated) -> Self {
        let writer = Writer::new(PATH.into(), Box::new(disk.again()));
        Self(Shared {
            state: Mutex::default(),
            work: Condvar::new(),
            writer: Some(Mutex::new(writer)),
            metrics: OnceLock::new(),
        })
    }

    fn change(&self, key: &str, place: Option<u64>) {
        let mut state = self.0.state();
        let moved = match place {
            Some(place) => state.places.set(key, &at(place)),
            None => state.places.remove(key),
        };
        if moved {
            state.schedule.moved(ticks());
        }
    }
}

/// Ends a process between two of its steps.
fn kill<S>(disk: &Simulated, store: S) {
    disk.world().steps = Some(0);
    drop(store);
    disk.world().steps = None;
}

/// Whichever step was the last one done, and whatever of the ones not synced the disk kept.
#[test]
fn cut_off_between_any_two_steps_no_place_that_was_synced_is_lost() {
    for with_spare in [false, true] {
        let (mut steps, mut ended) = (0, false);
        while !ended {
            for loss in 0..=40 {
                let disk = Simulated::default();
                let store = Still::on(&disk);
                for (key, place) in [("a", 1), ("b", 1)] {
                    store.change(key, Some(place));
                }
                store.0.commit(true).unwrap();
                kill(&disk, store);
                if with_spare {
                    // Began anew once more, so that there is a file before this one.
                    let store = Still::on(&disk);
                    store.change("a", Some(2));
                    store.0.commit(true).unwrap();
                    kill(&disk, store);
                }
                let before = numbers(&on(&disk)).unwrap();
                let store = Still::on(&disk);
                store.change("a", Some(9));
                store.change("c", Some(9));
                disk.world().steps = Some(steps);
                let done = store.0.commit(true).is_ok();
                kill(&disk, store);
                if loss > 0 {
                    // All renames but the last 0 to 9, and none or half of the bytes, torn or not.
                    let names = (loss - 1) / 4;
                    disk.world().lose_power(names, 50 * ((loss - 1) % 2), (loss - 1) % 4 > 1);
                }
                let mut after = before.clone();
                after.extend([("a".to_owned(), 9), ("c".to_owned(), 9)]);
                let store = on(&disk);
                let found = numbers(&store).unwrap();
                assert!(found == after || (!done && found == before), "{steps} {loss}: {found:?}");
                assert!(store.recover().unwrap().is_none(), "{steps} {loss}");
                // And it goes on from there.
                store.set("d", &at(1));
                store.flush().unwrap();
                drop(store);
                assert_eq!(numbers(&on(&disk)).unwrap().len(), found.len() + 1);
                ended = done;
            }
            steps += 1;
        }
        assert!(steps > 7, "{steps}");
    }
}

#[derive(Debug, Clone)]
enum Act {
    Change(u8, Option<u64>),
    Commit {
        sync: bool,
    },
    /// Everything fails after so many steps; the process is killed, or the power lost.
    Die {
        steps: usize,
        power: Option<(usize, usize, bool)>,
    },
    /// So many bytes can be written, then the disk is full.
    Fill(usize),
    Free,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let power = proptest::option::of((0..9_usize, 0..=100_usize, any::<bool>()));
    let act = prop_oneof![
        9 => (0..4_u8, proptest::option::weighted(0.8, 0..1000_u64))
            .prop_map(|(key, place)| Act::Change(key, place)),
        6 => any::<bool>().prop_map(|sync| Act::Commit { sync }),
        2 => (0..12_usize, power).prop_map(|(steps, power)| Act::Die { steps, power }),
        1 => (0..300_usize).prop_map(Act::Fill),
        1 => Just(Act::Free),
    ];
    proptest::collection::vec(act, 0..60)
}

proptest! {
    /// The naive twin: everything there ever was to know. After a loss of power every place is one
    /// that it had since the last sync; after a kill, one that it had since it was last written.
    #[test]
    fn after_any_death_what_is_found_is_no_older_than_what_was_committed(acts in acts()) {
        let disk = Simulated::default();
        let mut store = Still::on(&disk);
        store.0.open(&mut store.0.writer().unwrap()).unwrap();
        let mut states = vec![BTreeMap::<String, u64>::new()];
        let (mut written, mut synced) = (0, 0);
        for act in acts {
            match act {
                Act::Change(key, place) => {
                    let key = key.to_string();
                    store.change(&key, place);
                    let mut state = states.last().unwrap().clone();
                    match place {
                        Some(place) => drop(state.insert(key, place)),
                        None => drop(state.remove(&key)),
                    }
                    states.push(state);
                }
                Act::Commit { sync } => {
                    if store.0.commit(sync).is_ok() {
                        written = states.len() - 1;
                        synced = if sync { written } else { synced };
                    } else {
                        prop_assert!(store.0.state().trouble.is_some());
                        // What was only written may have been torn off with it.
                        written = synced;
                    }
                }
                Act::Fill(space) => disk.world().space = Some(space),
                Act::Free => disk.world().space = None,
                Act::Die { steps, power } => {
                    disk.world().steps = Some(steps);
                    if store.0.commit(true).is_ok() {
                        (written, synced) = (states.len() - 1, states.len() - 1);
                    }
                    let next = Simulated::clone(&disk);
                    kill(&disk, store);
                    if let Some((names, keep, is_torn)) = power {
                        disk.world().lose_power(names, keep, is_torn);
                    }
                    store = Still::on(&next);
                    store.0.open(&mut store.0.writer().unwrap()).unwrap();
                    let state = store.0.state();
                    prop_assert_eq!(&state.report, &None);
                    let found = state.places.iter().map(|(key, place)| {
                        let Place::Count(n) = place.0 else { panic!("{place}") };
                        (key.to_string(), n)
                    });
                    let found: BTreeMap<String, u64> = found.collect();
                    drop(state);
                    let least = if power.is_some() { synced } else { written };
                    // Places are each for itself: part of a write may be there.
                    for key in (0..4).map(|key: u8| key.to_string()) {
                        let mut since = states[least..].iter().map(|state| state.get(&key));
                        let is_known = since.any(|place| place == found.get(&key));
                        prop_assert!(is_known, "{key}: {found:?} of {states:?} from {least}");
                    }
                    // After a kill it is not synced yet.
                    states.drain(..if power.is_some() { states.len() } else { synced });
                    states.push(found);
                    (written, synced) = (states.len() - 1, 0);
                }
            }
        }
    }
}

#[test]
fn a_million_places_keep_the_file_short() {
    let disk = Simulated::default();
    let store = Still::on(&disk);
    let mut longest = 0;
    for n in 0..1_000_000 {
        store.change(["a", "b", "c"][n as usize % 3], Some(n));
        if n % 50 == 0 {
            store.0.commit(false).unwrap();
            longest = longest.max(disk.world().content(PATH).unwrap().len());
        }
    }
    assert!((1000..70_000).contains(&longest), "{longest}");
    assert!(disk.world().writes >= 20_000);
}

#[test]
fn a_hundred_thousand_keys_are_one_write() {
    let disk = Simulated::default();
    let store = Still::on(&disk);
    let key = |n| format!("2049:{n}:/var/log/pods/{n}.log");
    for n in 0..100_000 {
        store.change(&key(n), Some(n));
    }
    store.0.commit(true).unwrap();
    for n in 0..100_000 {
        store.change(&key(n), Some(n + 1));
        store.change(&key(n), Some(n + 2));
    }
    store.0.commit(false).unwrap();
    assert_eq!(disk.world().writes, 2);
    kill(&disk, store);
    let store = on(&disk);
    assert_eq!(numbers(&store).unwrap()[&key(70)], 72);
    store.retain(|place| place.0 == Place::Count(72));
    store.flush().unwrap();
    drop(store);
    assert_eq!(numbers(&on(&disk)).unwrap().into_keys().collect::<Vec<_>>(), [key(70)]);
}

/// Since when there are places that would not survive the machine.
fn uncommitted_since(store: &Store) -> Option<std::time::Instant> {
    store.shared.state().schedule.oldest()
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost_once_there_is_room() {
    let disk = Simulated::default();
    let store = on(&disk);
    store.recover().unwrap();
    store.set("a", &at(1));
    store.flush().unwrap();
    assert!(store.trouble().is_none() && uncommitted_since(&store).is_none());
    disk.world().space = Some(20);
    let before = ticks();
    for n in 2..1000 {
        store.set("a", &at(n));
    }
    until("the trouble shows", || store.trouble().is_some());
    let trouble = store.trouble().unwrap();
    assert!(trouble.is_retryable() && trouble.to_string().contains(PATH), "{trouble}");
    assert!(uncommitted_since(&store).unwrap() >= before);
    store.set("b", &at(5));
    assert!(store.flush().is_err());
    assert_eq!(numbers(&store).unwrap(), BTreeMap::from([("a".into(), 999), ("b".into(), 5)]));
    // What is on disk is as good as it was.
    assert_eq!(numbers(&on(&disk)).unwrap()["a"], 1);
    disk.world().space = None;
    until("it recovers by itself", || store.trouble().is_none());
    assert!(uncommitted_since(&store).is_none());
    kill(&disk, store);
    assert_eq!(numbers(&on(&disk)).unwrap(), BTreeMap::from([("a".into(), 999), ("b".into(), 5)]));
}

#[test]
fn places_are_written_and_synced_by_themselves() {
    let disk = Simulated::default();
    let store = on(&disk);
    let metrics = Arc::new(SourceMetrics::new(crate::SourceKind::File));
    store.counted_by(&metrics);
    store.set("a", &at(1));
    until("a first file", || uncommitted_since(&store).is_none());
    let writes = disk.world().writes;
    let syncs = disk.world().syncs;
    // A place that does not move is nothing to write.
    store.set("a", &at(1));
    assert!(uncommitted_since(&store).is_none());
    store.set("a", &at(2));
    until("it is written", || disk.world().writes > writes);
    until("it is synced", || disk.world().syncs > syncs);
    until("nothing is left", || uncommitted_since(&store).is_none());
    kill(&disk, store);
    assert_eq!(numbers(&on(&disk)).unwrap()["a"], 2);
    assert!(metrics.get(Count::Commits) >= 2);
}

#[test]
fn many_threads_set_and_flush_while_it_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("offsets");
    for round in 0..5 {
        let store = opened(&path);
        assert!(store.recover().unwrap().is_none());
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let store = Arc::clone(&store);
                scope.spawn(move || {
                    for n in 0..500 {
                        store.set(&format!("{thread}-{}", n % 7), &at(round * 1000 + n));
                        match n % 100 {
                            40 => store.flush().unwrap(),
                            70 => store.remove(&format!("{thread}-3")),
                            80 => drop(store.places().unwrap()),
                            _ => {}
                        }
                    }
                });
            }
            drop(store);
        });
        let found = numbers(&opened(&path)).unwrap();
        assert_eq!(found.len(), 28);
        assert!((0..4).all(|thread| found[&format!("{thread}-2")] == round * 1000 + 499));
    }
}

#[test]
fn two_do_not_share_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("offsets");
    let first = opened(&path);
    first.recover().unwrap();
    first.set("a", &at(1));
    first.flush().unwrap();
    let second = opened(&path);
    let error = second.recover().unwrap_err();
    assert!(!error.is_retryable() && error.to_string().contains("of its own"), "{error}");
    // Looking is no harm.
    assert_eq!(numbers(&second).unwrap()["a"], 1);
    first.set("a", &at(2));
    drop(first);
    assert!(second.recover().unwrap().is_none());
    assert_eq!(numbers(&second).unwrap()["a"], 2);
}

#[test]
fn a_file_that_somebody_deletes_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("offsets");
    let store = opened(&path);
    store.set("a", &at(1));
    store.set("b", &at(1));
    store.flush().unwrap();
    fs::remove_file(&path).unwrap();
    store.set("a", &at(2));
    store.flush().unwrap();
    assert_eq!(
        numbers(&opened(&path)).unwrap(),
        BTreeMap::from([("a".into(), 2), ("b".into(), 1)])
    );
}

#[test]
fn a_file_of_a_later_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("offsets");
    fs::write(&path, "birl-offsets 7\n").unwrap();
    let store = opened(&path);
    let error = store.recover().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("version 7"), "{error}");
    store.set("a", &at(1));
    assert!(store.flush().is_err());
    drop(store);
    assert_eq!(fs::read_to_string(&path).unwrap(), "birl-offsets 7\n");
}

#[test]
fn with_nothing_whole_it_begins_anew_and_keeps_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("offsets");
    fs::write(&path, "birl-offsets 1\nrubbish\n").unwrap();
    fs::write(dir.path().join("offsets.old"), "").unwrap();
    assert_eq!(opened(&path).places().unwrap_err().kind(), ErrorKind::Corrupt);
    let store = opened(&path);
    let said = store.recover().unwrap().unwrap();
    assert!(said.is_retryable() && said.to_string().contains("first run"), "{said}");
    assert!(store.places().unwrap().is_empty() && store.recover().unwrap().is_none());
    store.set("a", &at(1));
    store.flush().unwrap();
    let broken = fs::read_to_string(dir.path().join("offsets.broken")).unwrap();
    assert!(broken.contains("rubbish"));
    assert_eq!(numbers(&opened(&path)).unwrap()["a"], 1);
}

#[test]
fn what_is_before_the_damage_is_used_and_the_rest_is_told_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("offsets");
    let store = opened(&path);
    for n in 1..=4 {
        store.set(&format!("key{n}"), &at(n));
        store.flush().unwrap();
    }
    drop(store);
    let whole = fs::read_to_string(&path).unwrap();
    assert!(whole.contains(r#"{"key":"key3","place":{"count":3}}"#), "{whole}");
    fs::write(&path, whole.replace("key3", "kez3")).unwrap();
    let store = opened(&path);
    let said = store.recover().unwrap().unwrap();
    assert!(said.is_retryable() && said.to_string().contains("offsets.broken"), "{said}");
    assert_eq!(numbers(&store).unwrap().into_keys().collect::<Vec<_>>(), ["key1", "key2"]);
    store.set("key5", &at(5));
    drop(store);
    assert!(fs::read_to_string(dir.path().join("offsets.broken")).unwrap().contains("kez3"));
    let store = opened(&path);
    assert!(store.recover().unwrap().is_none());
    assert_eq!(numbers(&store).unwrap().len(), 3);
}

#[test]
fn a_file_of_version_1_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("offsets");
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/offsets-1"), &path).unwrap();
    let store = opened(&path);
    assert!(store.recover().unwrap().is_none());
    let before = store.places().unwrap();
    assert_eq!(before["other"], Cursor::from_text("page 3\nline two"));
    store.set("count", &at(8));
    drop(store);
    assert!(fs::read_to_string(&path).unwrap().starts_with("birl-offsets 2\n"));
    let after = opened(&path).places().unwrap();
    assert_eq!(after["count"], at(8));
    assert_eq!(after.len(), before.len());
}
