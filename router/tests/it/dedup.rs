use std::time::Duration;

use birl_router::{DedupKey, DedupWindow, Labels, Status};
use proptest::prelude::*;

use crate::at;

const WINDOW: Duration = Duration::from_secs(300);

fn key<'a>(labels: &'a Labels, status: Status, episode: &'a str) -> DedupKey<'a> {
    DedupKey { labels, receiver: None, status, episode }
}

#[test]
fn the_window_is_exact_at_its_edge_and_repeats_do_not_extend_it() {
    let labels = Labels::from([("alertname", "A")]);
    let key = key(&labels, Status::Firing, "1");
    let mut window = DedupWindow::new(WINDOW, 10);
    assert_eq!(window.seen(key, at(0)), None);
    window.admit(key, at(0));
    for second in [0, 1, 60, 299] {
        assert_eq!(window.seen(key, at(second)), Some(Duration::from_secs(second)));
    }
    assert_eq!(window.seen(key, at(300)), None);
}

#[test]
fn status_episode_receiver_and_labels_each_make_another_key() {
    let (a, b) = (Labels::from([("alertname", "A")]), Labels::from([("alertname", "B")]));
    let mut window = DedupWindow::new(WINDOW, 10);
    let first = key(&a, Status::Firing, "1");
    window.admit(first, at(0));
    assert!(window.seen(first, at(1)).is_some());
    for other in [
        key(&b, Status::Firing, "1"),
        key(&a, Status::Resolved, "1"),
        key(&a, Status::Firing, "2"),
        DedupKey { receiver: Some("x"), ..first },
    ] {
        assert_eq!(window.seen(other, at(1)), None, "{other:?}");
    }
}

#[test]
fn an_evicted_key_counts_as_new_and_is_counted() {
    let labels: Vec<Labels> =
        (0..4).map(|i| Labels::from([("alertname", format!("A{i}"))])).collect();
    let mut window = DedupWindow::new(WINDOW, 3);
    for (i, labels) in labels.iter().enumerate() {
        window.admit(key(labels, Status::Firing, "1"), at(i as u64));
    }
    assert_eq!((window.len(), window.evicted()), (3, 1));
    let seen = |i: usize| window.seen(key(&labels[i], Status::Firing, "1"), at(5)).is_some();
    assert_eq!([seen(0), seen(1), seen(2), seen(3)], [false, true, true, true]);
}

#[test]
fn what_has_left_the_window_leaves_the_memory() {
    let mut window = DedupWindow::new(WINDOW, 1_000_000);
    for i in 0..10_000_u64 {
        let labels = Labels::from([("alertname", format!("A{i}"))]);
        window.admit(key(&labels, Status::Firing, ""), at(i));
        assert!(window.len() <= 300, "{} at {i}", window.len());
    }
    assert_eq!(window.evicted(), 0);
}

/// The window without any index: a list of what was admitted.
#[derive(Default)]
struct Naive {
    admitted: Vec<(u8, bool, u8, u64)>,
}

impl Naive {
    fn seen(&self, name: u8, firing: bool, episode: u8, now: u64) -> Option<u64> {
        let same = |e: &&(u8, bool, u8, u64)| (e.0, e.1, e.2) == (name, firing, episode);
        let last = self.admitted.iter().rev().find(same)?;
        Some(now - last.3).filter(|age| *age < WINDOW.as_secs())
    }
}

proptest! {
    /// With room enough, the window and its naive twin agree on every report of any story.
    #[test]
    fn agrees_with_its_naive_twin(
        reports in prop::collection::vec((0_u8..6, any::<bool>(), 0_u8..3, 0_u64..120), 1..200),
        filtered in any::<bool>(),
    ) {
        let mut window = DedupWindow::new(WINDOW, 10_000);
        if filtered {
            window = window.with_bloom_filter();
        }
        let (mut naive, mut now) = (Naive::default(), 0);
        for (name, firing, episode, pause) in reports {
            now += pause;
            let labels = Labels::from([("alertname", name.to_string())]);
            let status = if firing { Status::Firing } else { Status::Resolved };
            let text = episode.to_string();
            let key = key(&labels, status, &text);
            let expected = naive.seen(name, firing, episode, now);
            prop_assert_eq!(window.seen(key, at(now)), expected.map(Duration::from_secs));
            if expected.is_none() {
                window.admit(key, at(now));
                naive.admitted.push((name, firing, episode, now));
            }
        }
    }

    /// Short of room it may forget, which makes a duplicate; it never calls new what is new a duplicate.
    #[test]
    fn short_of_room_it_forgets_but_never_loses(
        reports in prop::collection::vec((0_u8..20, 0_u64..60), 1..200),
    ) {
        let (mut window, mut naive) = (DedupWindow::new(WINDOW, 4), Naive::default());
        let mut now = 0;
        for (name, pause) in reports {
            now += pause;
            let labels = Labels::from([("alertname", name.to_string())]);
            let key = key(&labels, Status::Firing, "");
            let seen = window.seen(key, at(now));
            if seen.is_some() {
                let expected = naive.seen(name, true, 0, now);
                prop_assert_eq!(seen, expected.map(Duration::from_secs));
            } else {
                window.admit(key, at(now));
                naive.admitted.push((name, true, 0, now));
            }
            prop_assert!(window.len() <= 4);
        }
    }
}
