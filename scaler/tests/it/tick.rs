//! The regular look: on time, spread out, without drift, whatever the clock does.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use birl_scaler::{ErrorKind, Tick};
use proptest::prelude::*;

use crate::support::{at, seconds};

const PERIOD: Duration = Duration::from_secs(15);

fn tick(now: SystemTime) -> Tick {
    Tick::new(PERIOD, now).unwrap()
}

/// The turns that a host gets who sleeps until each deadline and wakes up `late`.
fn turns(mut tick: Tick, from: SystemTime, count: usize, late: Duration) -> Vec<SystemTime> {
    let mut now = from;
    let mut turns = vec![];
    while turns.len() < count {
        now = tick.next_deadline(now) + late;
        let turn = tick.poll(now).unwrap();
        assert_eq!(turn.missed, 0);
        turns.push(turn.at);
    }
    turns
}

#[test]
fn a_late_host_does_not_drift() {
    let turns = turns(tick(at(0)).named("workers"), at(0), 1000, Duration::from_millis(700));
    for pair in turns.windows(2) {
        assert_eq!(pair[1].duration_since(pair[0]).unwrap(), PERIOD);
    }
}

#[test]
fn ten_thousand_scalers_spread_over_the_period() {
    let mut in_second = BTreeMap::<u64, u32>::new();
    for scaler in 0..10_000 {
        let mut tick = tick(at(0)).named(&format!("namespace/scaler-{scaler}"));
        assert_eq!(tick.poll(at(0)), None, "not at once: all were started together");
        let first = tick.next_deadline(at(0));
        let wait = first.duration_since(at(0)).unwrap();
        assert!(wait <= PERIOD);
        *in_second.entry(wait.as_secs()).or_default() += 1;
    }
    assert_eq!(in_second.len(), 15);
    // 667 are expected in each second; so far off is beyond seven standard deviations.
    for (second, count) in in_second {
        assert!((490..=850).contains(&count), "{count} in second {second}");
    }
}

#[test]
fn the_same_name_has_the_same_moments_after_a_restart() {
    let first = |name: &str, now| turns(tick(now).named(name), now, 1, Duration::ZERO);
    let before = first("workers", at(0));
    let after = first("workers", at(3600));
    let apart = after[0].duration_since(before[0]).unwrap();
    assert_eq!(apart.as_nanos() % PERIOD.as_nanos(), 0);
    assert_ne!(first("others", at(0)), before);
}

#[test]
fn who_was_away_gets_one_turn_and_no_burst() {
    let mut tick = tick(at(0));
    assert_eq!(tick.poll(at(15)).unwrap().missed, 0);
    let turn = tick.poll(at(15 + 3600 + 7)).unwrap();
    assert_eq!((turn.at, turn.missed), (at(3615), 239));
    for second in 3623..3630 {
        assert_eq!(tick.poll(at(second)), None);
    }
    assert_eq!(tick.poll(at(3630)).unwrap().missed, 0);
}

#[test]
fn a_clock_set_back_neither_repeats_a_turn_nor_waits_for_the_old_time() {
    let mut tick = tick(at(0));
    assert!(tick.poll(at(30)).is_some());
    // A correction by a hair, just past a moment: the turn has been.
    let hair = at(30) - Duration::from_millis(20);
    assert_eq!(tick.poll(hair), None);
    assert_eq!(tick.next_deadline(hair), at(45));
    assert_eq!(tick.poll(at(30)), None);
    assert!(tick.poll(at(45)).is_some());
    // By a year: the new time counts.
    let year = seconds(365 * 24 * 3600);
    let back = at(47) - year;
    assert_eq!(tick.poll(back), None);
    let next = tick.next_deadline(back);
    assert!(next.duration_since(back).unwrap() <= PERIOD);
    assert!(tick.poll(next).is_some());
}

#[test]
fn a_period_out_of_range_is_refused_with_the_range() {
    for period in [Duration::ZERO, Duration::from_millis(9), seconds(3601), Duration::MAX] {
        let error = Tick::new(period, at(0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("from 10ms to an hour"), "{error}");
    }
}

proptest! {
    /// Whatever the clock does, a host that sleeps until the deadline it was told gets its turn,
    /// and within a period and a half.
    #[test]
    fn any_clock_is_answered(
        seed in any::<u64>(),
        start in 1_000_000_000_000u64..4_000_000_000_000,
        jumps in prop::collection::vec((0u64..40_000, -200_000i64..200_000), 1..40),
    ) {
        let mut wall = SystemTime::UNIX_EPOCH + Duration::from_millis(start);
        let mut tick = tick(wall).seeded(seed);
        for (pass, jump) in jumps {
            wall += Duration::from_millis(pass);
            wall = match jump {
                ahead @ 0.. => wall + Duration::from_millis(ahead.unsigned_abs()),
                back => wall - Duration::from_millis(back.unsigned_abs()),
            };
            tick.poll(wall);
            let wait = tick.next_deadline(wall).duration_since(wall).unwrap();
            prop_assert!(wait <= PERIOD * 3 / 2, "{wait:?}");
            prop_assert!(tick.clone().poll(wall + wait).is_some(), "slept {wait:?} for nothing");
        }
    }

    #[test]
    fn no_time_and_no_period_panics(nanos in any::<u64>(), period in 10u64..3_600_000, seed in any::<u64>()) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
        let mut tick = Tick::new(Duration::from_millis(period), now).unwrap().seeded(seed);
        for now in [now, SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH - Duration::from_secs(1)] {
            tick.poll(now);
            prop_assert!(tick.next_deadline(now) >= now);
        }
    }
}
