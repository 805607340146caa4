//! A window tells what the calls of the last minute were, or that it cannot tell.

use std::time::{Duration, SystemTime};

use birl_scaler::FaultKind;
use birl_scaler::otlp::{ClientCall, Measure, RetryWindow, SpanFilter, Taken};
use proptest::prelude::*;

use crate::support::{at, seconds};

fn millis(millis: u64) -> SystemTime {
    at(0) + Duration::from_millis(millis)
}

fn window() -> RetryWindow {
    RetryWindow::new(SpanFilter::any()).min_calls(1)
}

/// A call from `checkout` to `payments`.
fn call(end: SystemTime) -> ClientCall<'static> {
    ClientCall::new(end).between("checkout", "payments")
}

fn why(window: &RetryWindow, measure: Measure, now: SystemTime) -> (FaultKind, String) {
    let fault = window.read(measure, now).unwrap_err();
    (fault.kind(), fault.detail().to_owned())
}

#[test]
fn a_retry_ratio_is_that_of_the_last_minute_and_forgets() {
    let mut window = window();
    for n in 0..100 {
        let call = call(at(n)).retry(n % 4 == 0).error(n % 5 == 0).took(Duration::from_millis(n));
        assert_eq!(window.record(&call, at(n)), Taken::Counted);
    }
    let (ratio, when) = window.read(Measure::RetryRatio, at(99)).unwrap();
    assert!((24.0..=26.0).contains(&ratio), "{ratio}");
    assert_eq!(when, at(99), "as old as the last call");
    let (errors, _) = window.read(Measure::ErrorRatio, at(99)).unwrap();
    assert!((19.0..=21.0).contains(&errors), "{errors}");
    let (slow, _) = window.read(Measure::P99, at(99)).unwrap();
    assert!((90.0..=104.0).contains(&slow), "{slow} ms");
    let (rate, _) = window.read(Measure::CallsPerSecond, at(99)).unwrap();
    assert_eq!(rate, 1.0);

    for n in 100..170 {
        window.record(&call(at(n)), at(n));
    }
    assert_eq!(window.read(Measure::RetryRatio, at(169)).unwrap(), (0.0, at(169)));
    let durations = window.stats(at(169));
    assert_eq!((durations.p99, durations.errors), (None, 0), "nobody told how long it took");
    assert_eq!(why(&window, Measure::P99, at(169)).0, FaultKind::Empty);
}

#[test]
fn too_few_calls_are_unknown_and_never_zero() {
    let mut window = RetryWindow::new(SpanFilter::any());
    let (kind, why_none) = why(&window, Measure::RetryRatio, at(0));
    assert_eq!(kind, FaultKind::Empty);
    assert_eq!(why_none, "retry ratio of any → any: 0 calls in the last 60s, of at least 20");
    for n in 0..19 {
        window.record(&call(at(n)), at(n));
    }
    for measure in [Measure::RetryRatio, Measure::ErrorRatio, Measure::P99, Measure::CallsPerSecond]
    {
        assert_eq!(why(&window, measure, at(19)).0, FaultKind::Empty, "{measure:?}");
    }
    window.record(&call(at(19)), at(19));
    assert_eq!(window.read(Measure::RetryRatio, at(19)).unwrap(), (0.0, at(19)));
    assert_eq!(why(&window, Measure::RetryRatio, at(90)).0, FaultKind::Empty, "and silent again");
}

#[test]
fn names_choose_the_calls() {
    let any = SpanFilter::any;
    let filters = [
        (any(), 4),
        (any().service("checkout"), 3),
        (any().peer("payments"), 3),
        (any().service("checkout").peer("payments"), 2),
        (any().route("/charge"), 1),
        (any().service("checkout").peer("payments").route("/charge"), 1),
        (any().peer("Payments"), 0),
        (any().peer(""), 0),
    ];
    for (filter, matching) in filters {
        let mut window = RetryWindow::new(filter.clone()).min_calls(1);
        let taken = [
            call(at(0)).route("/charge"),
            call(at(0)),
            ClientCall::new(at(0)).between("checkout", "stock"),
            ClientCall::new(at(0)).between("refunds", "payments"),
        ]
        .map(|call| window.record(&call, at(0)));
        let counted = taken.iter().filter(|taken| **taken == Taken::Counted).count();
        assert_eq!((counted, window.stats(at(0)).calls as usize), (matching, matching), "{filter}");
    }
}

#[test]
fn a_burst_of_late_deliveries_is_not_a_burst_of_calls() {
    // Ten calls a second; what ended in five seconds is delivered at the end of them.
    let mut window = window();
    for batch in 0..24 {
        let now = at(5 * batch + 5);
        for n in 0..50 {
            window.record(&call(millis(5000 * batch + 100 * n)), now);
        }
        for wait in 0..5 {
            match window.read(Measure::CallsPerSecond, now + seconds(wait)) {
                Ok((rate, _)) => assert_eq!(rate, 10.0, "batch {batch}, {wait} s on"),
                Err(fault) => assert!(batch < 16, "batch {batch}: {fault}"),
            }
        }
    }
}

#[test]
fn a_sender_that_died_is_unknown_and_not_falling_load() {
    let mut window = window();
    let mut second = 0;
    while second < 120 {
        (0..10).for_each(|_| _ = window.record(&call(at(second)), at(second)));
        second += 1;
    }
    let mut told = 0;
    for silent in 0..200 {
        match window.read(Measure::CallsPerSecond, at(119 + silent)) {
            Ok((rate, _)) => {
                assert_eq!(rate, 10.0, "{silent} s after its end");
                told += 1;
            }
            Err(fault) => assert_eq!(fault.kind(), FaultKind::Empty),
        }
    }
    assert!((5..=15).contains(&told), "{told} s");
    let (_, why_none) = why(&window, Measure::CallsPerSecond, at(150));
    let told = "rate of calls of any → any: the last call ended 31.0s ago, and a rate needs one \
                of the last 10s: are the senders alive, and do they export more often than that?";
    assert_eq!(why_none, told);
    assert_eq!(why(&window, Measure::RetryRatio, at(200)).0, FaultKind::Empty);

    // It comes back: half a minute is not a minute.
    for second in 320..450 {
        (0..10).for_each(|_| _ = window.record(&call(at(second)), at(second)));
        let rate = window.read(Measure::CallsPerSecond, at(second)).map(|(rate, _)| rate);
        assert!(rate.is_err() || rate == Ok(10.0), "{second}: {rate:?}");
        assert_eq!(rate.is_ok(), second >= 395, "{second}");
    }
}

#[test]
fn a_single_missing_span_spoils_a_rate_and_a_tenth_of_them_a_ratio() {
    let mut window = window();
    for second in 0..100 {
        window.record(&call(at(second)).retry(second % 2 == 0), at(second));
    }
    assert!(window.read(Measure::CallsPerSecond, at(99)).is_ok());
    window.lose(1, at(99));
    let (kind, told) = why(&window, Measure::CallsPerSecond, at(99));
    assert_eq!(kind, FaultKind::TooLarge);
    assert!(told.contains("about 1 spans are missing beside 6"), "{told}");
    assert!(window.read(Measure::RetryRatio, at(99)).is_ok());
    window.lose(10, at(99));
    for measure in [Measure::RetryRatio, Measure::ErrorRatio, Measure::P99] {
        assert_eq!(why(&window, measure, at(99)).0, FaultKind::TooLarge, "{measure:?}");
    }
    for second in 100..250 {
        window.record(&call(at(second)), at(second));
    }
    assert!(window.read(Measure::CallsPerSecond, at(249)).is_ok(), "it passes");
}

#[test]
fn late_and_future_spans_are_not_counted_and_known_to_be_missing() {
    let mut window = window();
    for (end, taken) in [
        (at(1000), Taken::Counted),
        (at(1005), Taken::Counted), // up to five seconds are the clocks' difference
        (at(1006), Taken::Future),
        (at(1_000_000), Taken::Future),
        (at(930), Taken::Counted), // it is kept for the rate
        (at(920), Taken::Late),
        (SystemTime::UNIX_EPOCH, Taken::Late),
    ] {
        assert_eq!(window.record(&call(end), at(1000)), taken, "{end:?}");
    }
    let stats = window.stats(at(1000));
    assert_eq!((stats.calls, stats.lost, stats.newest), (2, 4, Some(at(1000))));
    assert_eq!(why(&window, Measure::RetryRatio, at(1000)).0, FaultKind::TooLarge);
}

#[test]
fn a_clock_that_is_set_makes_a_rate_unknown_and_not_wrong() {
    let mut window = window();
    for second in 0..100 {
        window.record(&call(at(second)), at(second));
    }
    // An hour ahead: the minute before has no calls, and is no minute.
    for second in 3700..3800 {
        window.record(&call(at(second)), at(second));
        let rate = window.read(Measure::CallsPerSecond, at(second)).map(|(rate, _)| rate);
        assert_eq!(rate.is_ok(), second >= 3775, "{second}: {rate:?}");
        assert!(rate.is_err() || rate == Ok(1.0), "{second}: {rate:?}");
    }
    // And back: what lies ahead is forgotten, what comes is counted.
    for second in 200..300 {
        assert_eq!(window.record(&call(at(second)).retry(true), at(second)), Taken::Counted);
        let stats = window.stats(at(second));
        assert_eq!((stats.calls, stats.newest), (stats.retries, Some(at(second))));
        let rate = window.read(Measure::CallsPerSecond, at(second)).map(|(rate, _)| rate);
        assert!(rate.is_err() || rate == Ok(1.0), "{second}: {rate:?}");
    }
    assert!(window.read(Measure::CallsPerSecond, at(299)).is_ok());
}

#[test]
fn odd_lengths_and_endless_waits_are_bounded() {
    for (length, settle) in [
        (Duration::ZERO, Duration::MAX),
        (Duration::MAX, Duration::MAX),
        (seconds(7), Duration::from_nanos(1)),
    ] {
        let mut window = window().length(length).settle(settle);
        for now in [SystemTime::UNIX_EPOCH, at(0), at(1 << 33)] {
            window.record(&call(now), now);
            window.record(&call(at(0)), now);
            window.lose(u64::MAX, now);
            assert!(window.read(Measure::CallsPerSecond, now).is_err());
            assert!(window.stats(now).calls >= 1);
        }
    }
}

/// What a list of the calls says.
fn naive(calls: &[(u64, bool)], now: u64, width: u64) -> (u64, u64) {
    let from = (now / width).saturating_sub(12) * width;
    let within = calls.iter().filter(|(end, _)| (from..=now).contains(end));
    within.fold((0, 0), |(all, retries), (_, retry)| (all + 1, retries + u64::from(*retry)))
}

proptest! {
    /// Delays and order of delivery do not matter, as long as nothing is too late.
    #[test]
    fn a_window_counts_what_a_list_counts(
        calls in prop::collection::vec((0u64..20_000, 0u64..300, any::<bool>()), 0..200),
        length in 1u64..30,
    ) {
        // Time goes on in milliseconds; a window has twelve buckets.
        let length = Duration::from_millis(1200 * length);
        let width = (length / 12).as_millis() as u64;
        let mut window = window().length(length);
        let mut delivered: Vec<_> =
            calls.iter().map(|&(end, delay, retry)| (end + delay, end, retry)).collect();
        delivered.sort_unstable();
        let base = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_000 / width * width);
        let mut seen = Vec::new();
        for (now, end, retry) in delivered {
            let moment = |millis| base + Duration::from_millis(millis);
            let taken = window.record(&call(moment(end)).retry(retry), moment(now));
            prop_assert_eq!(taken, Taken::Counted);
            seen.push((end, retry));
            let stats = window.stats(moment(now));
            prop_assert_eq!((stats.calls, stats.retries), naive(&seen, now, width));
        }
    }
}
