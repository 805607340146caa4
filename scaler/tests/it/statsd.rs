//! What services report over StatsD: the grammar, the windows, and what silence, floods and clocks do to them.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, SystemTime};

use birl_scaler::statsd::{
    Aggregator, Kind, Limits, Listener, Parsed, Refused, Statistic, Statsd, StatsdSignal, Value,
    Watch, WatchId, lines, parse,
};
use birl_scaler::{
    ErrorKind, FaultKind, MetricSpec, Milli, Observation, Reason, Replicas, SignalSource,
};
use proptest::prelude::*;

use crate::statsd_twin::Pair;
use crate::support::{at, decider, prompt, seconds};

fn watching(watch: Watch) -> (Aggregator, WatchId) {
    let mut statsd = Aggregator::new(Limits::default());
    let id = statsd.watch(watch).unwrap();
    (statsd, id)
}

/// The value of the only sample.
fn value(statsd: &mut Aggregator, id: WatchId, now: SystemTime) -> Option<f64> {
    let signal = statsd.read(id, now).unwrap();
    assert_eq!(signal.samples.len(), 1);
    signal.samples[0].value.map(Milli::as_f64)
}

fn silence(statsd: &mut Aggregator, id: WatchId, now: SystemTime) -> String {
    let fault = statsd.read(id, now).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Empty);
    fault.detail().to_owned()
}

#[test]
fn a_line_is_taken_apart_as_statsd_and_dogstatsd_write_it() {
    let line = |text: &'static str| match parse(text.as_bytes()) {
        Ok(Parsed::Metric(line)) => line,
        other => panic!("{text}: {other:?}"),
    };
    let values = |text| line(text).values().collect::<Vec<_>>();
    let number = |number, signed| Value { number, signed };

    for (letters, kind) in [
        ("c", Kind::Counter),
        ("g", Kind::Gauge),
        ("ms", Kind::Timer),
        ("h", Kind::Histogram),
        ("d", Kind::Distribution),
        ("s", Kind::Set),
    ] {
        let text = format!("a.b:1|{letters}");
        let Ok(Parsed::Metric(line)) = parse(text.as_bytes()) else { panic!("{text}") };
        assert_eq!((line.name(), line.kind(), kind.letters()), ("a.b", kind, letters));
        assert_eq!((line.rate(), line.weight(), line.tags().count()), (1.0, 1, 0));
    }
    assert_eq!(values("a:320|ms"), [number(320.0, false)]);
    assert_eq!(values("a:-4|g"), [number(-4.0, true)]);
    assert_eq!(values("a:+1.5e2|g"), [number(150.0, true)]);
    assert_eq!(values("a:.5:2.:0003|h"), [0.5, 2.0, 3.0].map(|n| number(n, false)));
    assert_eq!(values("a:9007199254740993|c"), [number(9_007_199_254_740_992.0, false)]);
    assert_eq!(values("a:1:-2:+3|c").iter().map(|v| v.number).sum::<f64>(), 2.0);

    let full =
        line("shop orders/é:1|c|@0.1|#env:production,canary,pod:a:b,,pod:c|c:ci-83f2|T1700000000");
    assert_eq!((full.name(), full.rate(), full.weight()), ("shop orders/é", 0.1, 10));
    let tags: Vec<_> = full.tags().collect();
    assert_eq!(tags, [("env", "production"), ("canary", ""), ("pod", "a:b"), ("pod", "c")]);
    assert_eq!(
        (full.tag("pod"), full.tag("canary"), full.tag("zone")),
        (Some("a:b"), Some(""), None)
    );
    let turned = line("a:1|d|#x:y|e:it-false|@0.5|card:low");
    assert_eq!((turned.weight(), turned.tag("x")), (2, Some("y")));

    let set = line("users:anna:maria|s");
    assert_eq!((set.member(), set.values().count()), ("anna:maria", 0));
    assert_eq!(parse(b"_e{5,4}:title|text|#a"), Ok(Parsed::Event));
    assert_eq!(parse(b"_sc|db|0|m:fine"), Ok(Parsed::ServiceCheck));
    let all: Vec<_> = lines(b"\n\na:1|c\r\n\r\nb:2|c\n").collect();
    assert_eq!(all, [b"a:1|c", b"b:2|c"]);
}

#[test]
fn a_line_that_cannot_be_believed_is_refused_with_its_reason() {
    let long = format!("a:{}|c", "1".repeat(65));
    for (line, why) in [
        (&b"caf\xe9:1|c"[..], Refused::NotUtf8),
        (b":1|c", Refused::NoName),
        (b"|c", Refused::NoName),
        (b"a", Refused::NoValue),
        (b"a|c", Refused::NoValue),
        (b"a:|c", Refused::NoValue),
        (b"a:1", Refused::NoType),
        (b"a:1|", Refused::UnknownType),
        (b"a:1|x", Refused::UnknownType),
        (b"a:1|ms ", Refused::UnknownType),
        (b"a:1|c:333|g", Refused::UnknownType),
        (b"a:one|c", Refused::NotANumber),
        (b"a:1 |c", Refused::NotANumber),
        (b"a:0x10|c", Refused::NotANumber),
        (b"a:NaN|g", Refused::NotANumber),
        (b"a:-inf|g", Refused::NotANumber),
        (b"a:Infinity|ms", Refused::NotANumber),
        (b"a:1e999|c", Refused::NotANumber),
        (b"a:1::2|c", Refused::NotANumber),
        (b"a:1:|h", Refused::NotANumber),
        (long.as_bytes(), Refused::NotANumber),
        (b"a:-1|ms", Refused::Negative),
        (b"a:5:-1|d", Refused::Negative),
        (b"a:17592186044416|h", Refused::TooLarge),
        (b"a:1|c|@0", Refused::AbsurdRate),
        (b"a:1|c|@-0.1", Refused::AbsurdRate),
        (b"a:1|c|@1.5", Refused::AbsurdRate),
        (b"a:1|c|@0.0000001", Refused::AbsurdRate),
        (b"a:1|c|@", Refused::AbsurdRate),
        (b"a:1|c|@NaN", Refused::AbsurdRate),
        (b"a:1|c|@0.1|@0.1", Refused::Repeated),
        (b"a:1|c|#a|#b", Refused::Repeated),
    ] {
        assert_eq!(parse(line), Err(why), "{}", String::from_utf8_lossy(line));
    }
    // One of them spoils neither the lines before nor those behind it, and all are accounted for.
    let watch = Watch::new("a", "a", Statistic::Value);
    let (mut statsd, id) = watching(watch);
    statsd.packet(b"a:1|g\na:x|g\n\xff\na:1|c\nb:1|c\n_sc|a|0\n_e{1,1}:a|b\na:7|g\n", at(0));
    assert_eq!(value(&mut statsd, id, at(0)), Some(7.0));
    let counts = statsd.counts();
    assert_eq!((counts.packets, counts.lines, counts.taken, counts.unwatched), (1, 8, 2, 1));
    assert_eq!((counts.events, counts.checks, counts.refused_total()), (1, 1, 3));
    for why in [Refused::NotANumber, Refused::NotUtf8, Refused::OtherType] {
        assert_eq!(counts.refused(why), 1, "{why}");
    }
}

#[test]
fn a_counter_is_a_rate_over_its_window_and_sample_rates_are_reckoned_in() {
    let (mut statsd, id) = watching(Watch::new("orders", "orders", Statistic::Rate));
    for second in 0..300 {
        statsd.packet(b"orders:2:3|c\norders:1|c|@0.1", at(second));
        let told = value(&mut statsd, id, at(second));
        match second {
            0..15 => assert_eq!(told, None, "too early to tell"),
            15..60 => {
                let told = told.unwrap();
                assert!((15.0..=16.0).contains(&told), "{told}: too high at first, never too low");
            }
            _ => assert!((told.unwrap() - 15.0).abs() < 0.3, "{told:?}"),
        }
    }
    // Silence dampens it for the window, and then nobody knows.
    let told = value(&mut statsd, id, at(329)).unwrap();
    assert!((7.5..=9.0).contains(&told), "{told}");
    assert_eq!(
        silence(&mut statsd, id, at(360)),
        "no line of `orders` that makes a rate has come for 1m1s"
    );
}

#[test]
fn load_that_the_kernel_dropped_does_not_look_like_load_that_went_away() {
    let mut statsd = Aggregator::new(Limits::default());
    let mut watch = |name, statistic| statsd.watch(Watch::new(name, name, statistic)).unwrap();
    let rate = watch("orders", Statistic::Rate);
    let [count, p99] = [Statistic::Count, Statistic::P99].map(|one| watch("took", one));
    let mut values = |dropped: u64, seconds: std::ops::Range<u64>| {
        for second in seconds.clone() {
            for _ in 0..10 {
                statsd.packet(b"orders:1|c\ntook:50|ms", at(second));
            }
            statsd.dropped(dropped);
        }
        [rate, count, p99].map(|id| value(&mut statsd, id, at(seconds.end - 1)))
    };
    let near = |told: Option<f64>, truth: f64| {
        assert!(told.is_some_and(|told| (told / truth - 1.0).abs() < 0.03), "{told:?} for {truth}");
    };
    let [rate, count, _] = values(0, 0..120);
    near(rate, 10.0);
    near(count, 600.0);
    let [rate, count, p99] = values(5, 120..240);
    near(rate, 15.0);
    near(count, 900.0);
    assert_eq!(p99, Some(50.0));
    let [rate, count, p99] = values(30, 240..360);
    assert_eq!((rate, count), (None, None), "of four packets three were lost: nobody can tell");
    assert_eq!(p99, Some(50.0));
    near(values(0, 360..480)[0], 10.0);
}

#[test]
fn a_gauge_is_its_last_value_and_changes_need_one() {
    let (mut statsd, id) = watching(Watch::new("waiting", "waiting", Statistic::Value));
    statsd.packet(b"waiting:+5|g", at(0));
    assert!(silence(&mut statsd, id, at(0)).ends_with("has come yet"));
    assert_eq!(statsd.counts().refused(Refused::NoBase), 1, "it is not taken as 0 + 5");
    statsd.packet(b"waiting:40|g\nwaiting:+5|g\nwaiting:-3:+1|g", at(1));
    assert_eq!(value(&mut statsd, id, at(1)), Some(43.0));
    statsd.packet(b"waiting:-44|g", at(2));
    assert_eq!(value(&mut statsd, id, at(2)), None, "below zero is nothing a signal can mean");
    statsd.packet(b"waiting:7|g|@0.1", at(3));
    assert_eq!(value(&mut statsd, id, at(3)), Some(7.0), "a sampled gauge is what it is");
    assert_eq!(statsd.read(id, at(40)).unwrap().at, at(3));
    assert!(statsd.read(id, at(64)).is_err());
    statsd.packet(b"waiting:+1|g", at(100));
    assert_eq!(
        value(&mut statsd, id, at(100)),
        Some(8.0),
        "the base is remembered for as long again"
    );
    statsd.packet(b"waiting:+1|g", at(230));
    assert!(statsd.read(id, at(230)).is_err(), "and then forgotten");
}

#[test]
fn gauges_that_differ_in_other_tags_add_up_and_one_that_falls_silent_is_missed() {
    let watch = Watch::new("waiting", "waiting", Statistic::Value).instance("pod");
    let (mut statsd, id) = watching(watch);
    statsd.packet(b"waiting:5|g|#pod:a,queue:x\nwaiting:7|g|#queue:y,pod:a", at(0));
    assert_eq!(value(&mut statsd, id, at(0)), Some(12.0));
    statsd.packet(b"waiting:6|g|#queue:x,pod:a", at(50));
    assert_eq!(value(&mut statsd, id, at(50)), Some(13.0), "the order of tags means nothing");
    assert_eq!(value(&mut statsd, id, at(61)), None, "nobody knows about y: it is not 6");
    statsd.packet(b"waiting:6|g|#pod:a,queue:x", at(110));
    assert_eq!(value(&mut statsd, id, at(121)), Some(6.0), "y is gone for good");
    assert_eq!(statsd.series(), 1);
}

#[test]
fn timers_tell_percentiles_within_a_hundredth_and_sampled_ones_weigh_more() {
    let mut statsd = Aggregator::new(Limits::default());
    let mut watch = |statistic| statsd.watch(Watch::new("took", "took", statistic)).unwrap();
    use Statistic::{Count, Mean, P50, P90, P95, P99};
    let ids = [P50, P90, P95, P99, Mean, Count].map(&mut watch);
    for second in 0..60 {
        let packet: Vec<_> = (1..=1000).map(|n| format!("took:{n}|ms")).collect();
        statsd.packet(packet.join("\n").as_bytes(), at(second));
    }
    let truth = [500.0, 900.0, 950.0, 990.0, 500.5, 60_000.0 * 60.0 / 59.0];
    for (id, truth) in ids.into_iter().zip(truth) {
        let told = value(&mut statsd, id, at(59)).unwrap();
        assert!((told / truth - 1.0).abs() < 0.01, "{told} for {truth}");
    }
    // 1 % at 10 s, which one in twenty reports: a fifth of all that is reported weighs as much.
    let (mut statsd, id) = watching(Watch::new("took", "took", Statistic::P99));
    statsd.packet("took:10|h\n".repeat(980).as_bytes(), at(0));
    statsd.packet("took:10000|h|@0.05\n".as_bytes(), at(0));
    assert_eq!(value(&mut statsd, id, at(0)), Some(10_000.0), "20 of 1000 took 10 s");
}

#[test]
fn a_window_slides_and_a_slow_minute_is_over() {
    let watch = Watch::new("took", "took", Statistic::P99).max_age(seconds(3600));
    let (mut statsd, id) = watching(watch);
    statsd.packet(b"took:9000|ms", at(0));
    statsd.packet(b"took:10|ms", at(30));
    assert!(value(&mut statsd, id, at(60)).unwrap() > 8000.0);
    assert_eq!(value(&mut statsd, id, at(80)), Some(10.0));
    assert_eq!(value(&mut statsd, id, at(120)), None, "in all of the window nothing came");
}

#[test]
fn a_set_counts_members_once() {
    let watch = Watch::new("users", "users", Statistic::Cardinality);
    let (mut statsd, id) = watching(watch);
    for second in 0..30 {
        statsd.packet(b"users:anna|s\nusers:bert|s\nusers:anna:maria|s", at(second));
    }
    assert_eq!(value(&mut statsd, id, at(30)), Some(3.0));
}

#[test]
fn instances_are_told_apart_by_a_tag_and_the_silent_one_is_missing_before_it_is_gone() {
    let watch = Watch::new("busy", "busy", Statistic::Value).instance("pod").tag("env", "live");
    let (mut statsd, id) = watching(watch);
    statsd.packet(b"busy:80|g|#pod:b,env:live\nbusy:60|g|#env:live,pod:a", at(0));
    statsd.packet(b"busy:1|g|#pod:c,env:test\nbusy:1|g|#env:live\nbusy:1|g|#env:live,pod", at(0));
    statsd.packet("busy:1|g|#env:live,pod:a\u{1b}[2K".as_bytes(), at(0));
    let counts = statsd.counts();
    assert_eq!((counts.taken, counts.unwatched), (2, 1));
    assert_eq!(counts.refused(Refused::NoInstance), 1);
    assert_eq!(counts.refused(Refused::BadInstance), 2);
    statsd.packet(b"busy:90|g|#env:live,pod:b", at(50));

    let told = |statsd: &mut Aggregator, now| {
        let signal = statsd.read(id, at(now)).unwrap();
        assert_eq!((&*signal.name, signal.max_age), ("busy", seconds(60)));
        let samples = signal.samples.iter();
        samples.map(|s| (s.instance.to_string(), s.value.map(|v| v.0))).collect::<Vec<_>>()
    };
    let (a, b) = ("a".to_owned(), "b".to_owned());
    assert_eq!(told(&mut statsd, 50), [(a.clone(), Some(60_000)), (b.clone(), Some(90_000))]);
    assert_eq!(told(&mut statsd, 61), [(a, None), (b.clone(), Some(90_000))]);
    statsd.packet(b"busy:90|g|#env:live,pod:b", at(100));
    assert_eq!(told(&mut statsd, 121), [(b, Some(90_000))]);
    let fault = silence(&mut statsd, id, at(200));
    let expected = "no line of `busy` that makes a value with tags env:live, told apart by `pod`, has come for 1m40s";
    assert_eq!(fault, expected);
}

#[test]
fn services_that_fall_silent_are_not_scaled_away() {
    let mut spec = prompt();
    spec.metrics = vec![MetricSpec::average("orders", Milli(10_000))];
    let (mut statsd, id) =
        watching(Watch::new("orders", "orders", Statistic::Rate).instance("pod"));
    for second in 0..60 {
        statsd.packet(b"orders:2|c|#pod:a\norders:2|c|#pod:b\norders:2|c|#pod:c", at(second));
    }
    let mut decide = |now| {
        let seen = Observation::new(Replicas::ready(3));
        let seen = match statsd.read(id, now) {
            Ok(signal) => seen.signal(signal),
            Err(fault) => seen.signal(birl_scaler::Signal::failed("orders", fault.kind(), now)),
        };
        decider(spec.clone()).decide(&seen, now)
    };
    assert_eq!(decide(at(59)).to, 1, "2 a second each are little work");
    let silent = decide(at(121));
    assert_eq!((silent.to, silent.reason), (3, Reason::UnknownSignal), "{}", silent.explain());
}

#[test]
fn a_flood_of_strangers_takes_no_room_from_anybody() {
    let mut statsd = Aggregator::new(Limits::default().series(100).bytes(64 << 10));
    let watch = |name: &str, statistic| Watch::new(name, name, statistic).instance("pod");
    let took = statsd.watch(watch("took", Statistic::P99)).unwrap();
    statsd.watch(watch("users", Statistic::Cardinality)).unwrap();
    let level = statsd.watch(watch("level", Statistic::Value)).unwrap();
    statsd.packet(b"level:5|g|#pod:a\ntook:20|ms|#pod:a", at(0));
    for n in 0..20_000 {
        let packet = format!(
            "n{n}:1|c\nlevel:{n}|g|#pod:a,x:{n}\ntook:{n}|ms|#pod:p{n}\nusers:{n}|s|#pod:q{}\n\x07{n}",
            n % 7
        );
        statsd.packet(packet.as_bytes(), at(n / 1000));
        assert!(statsd.series() <= 100 && statsd.bytes() <= 64 << 10);
    }
    let counts = statsd.counts();
    assert_eq!(counts.lines, 100_002);
    assert_eq!(counts.taken + counts.unwatched + counts.refused_total(), counts.lines);
    assert_eq!(counts.unwatched, 20_000);
    assert!(counts.refused(Refused::TooManySeries) > 39_000, "{counts:?}");
    assert!(counts.refused(Refused::TooMuchMemory) > 0, "{counts:?}");

    // Who was there before is still heard, once the flood has left the window.
    statsd.packet(b"took:20|ms|#pod:a", at(21));
    assert_eq!(statsd.read(took, at(21)).unwrap_err().kind(), FaultKind::TooLarge);
    statsd.packet(b"took:20|ms|#pod:a", at(81));
    let signal = statsd.read(took, at(90)).unwrap();
    let a = signal.samples.iter().find(|sample| &*sample.instance == "a").unwrap();
    assert_eq!(a.value, Some(20.into()));
    // And when the strangers have gone, everything that they took is there again.
    statsd.packet(b"level:6|g|#pod:b\ntook:20|ms|#pod:a", at(300));
    statsd.read(level, at(300)).unwrap();
    statsd.read(took, at(300)).unwrap();
    assert!(statsd.series() <= 12, "{}", statsd.series());
    statsd.unwatch(took);
    assert!(statsd.read(took, at(300)).is_err());
}

#[test]
fn a_window_without_room_is_unknown_as_a_whole() {
    let mut statsd = Aggregator::new(Limits::default().bytes(512));
    let id = statsd.watch(Watch::new("took", "took", Statistic::P50)).unwrap();
    statsd.packet(b"took:1|ms\ntook:1|ms\ntook:1000|ms", at(0));
    assert!(value(&mut statsd, id, at(0)).unwrap() < 1.01);
    statsd.packet(b"took:1000000|ms", at(1));
    assert_eq!(
        value(&mut statsd, id, at(1)),
        None,
        "the median of what found room is not the median"
    );
    statsd.packet(b"took:1.5|ms", at(55));
    assert_eq!(value(&mut statsd, id, at(56)), None);
    statsd.packet(b"took:1.5|ms", at(75));
    assert_eq!(value(&mut statsd, id, at(75)), None, "the window knows of one that was refused");
    statsd.packet(b"took:1.5|ms", at(130));
    assert_eq!(value(&mut statsd, id, at(130)), Some(1.5), "it has moved on");
}

#[test]
fn a_signal_of_which_a_part_found_no_room_is_unknown_and_not_too_small() {
    let mut statsd = Aggregator::new(Limits::default().series(5));
    let mut watch = |name, statistic| {
        let watch = Watch::new(name, name, statistic).instance("pod");
        statsd.watch(watch).unwrap()
    };
    let waiting = watch("waiting", Statistic::Value);
    let [orders, other] = ["orders", "other"].map(|name| watch(name, Statistic::Rate));
    let mut told = |packet: &[u8], now, id| {
        statsd.packet(packet, at(now));
        let read = statsd.read(id, at(now));
        read.map(|signal| signal.samples.len()).map_err(|fault| fault.to_string())
    };
    let found_room = b"waiting:5|g|#pod:a\nwaiting:7|g|#pod:b\norders:1|c|#pod:a\norders:1|c|#pod:b\nother:1|c|#pod:a";
    assert_eq!(told(found_room, 0, waiting), Ok(2));
    let why = |metric, statistic| {
        Err(format!(
            "too_large: there was no room for one of the series of `{metric}`, and the {statistic} of the rest is not \
             that of all: raise the limit of series, or tell fewer of them apart"
        ))
    };
    assert_eq!(told(b"waiting:9|g|#pod:c", 0, waiting), why("waiting", "value"));
    assert_eq!(told(b"waiting:9|g|#pod:a,queue:x", 5, waiting), why("waiting", "value"));
    assert_eq!(told(b"orders:1|c|#pod:c", 5, orders), why("orders", "rate"));
    assert_eq!(told(found_room, 50, other), Ok(1), "nobody who found room pays for it");
    // It is forgotten when what was refused would not count any more.
    assert_eq!(told(found_room, 65, waiting), why("waiting", "value"));
    assert_eq!(told(found_room, 66, waiting), Ok(2));
    assert_eq!(told(found_room, 69, orders), why("orders", "rate"));
    assert_eq!(told(found_room, 70, orders), Ok(2));

    // The same where there is no room for a sketch.
    let mut statsd = Aggregator::new(Limits::default().bytes(256));
    let took = statsd.watch(Watch::new("took", "took", Statistic::P50).instance("pod")).unwrap();
    statsd.packet(b"took:1|ms|#pod:a\ntook:9|ms|#pod:b", at(0));
    let fault = statsd.read(took, at(0)).unwrap_err().to_string();
    assert!(fault.contains("raise the limit of bytes"), "{fault}");
}

#[test]
fn a_clock_that_jumps_makes_nothing_up() {
    let minute = seconds(60);
    for (ahead, back) in [(600, 0), (0, 600), (90, 90), (0, 20), (100_000, 0)] {
        let watch = Watch::new("orders", "orders", Statistic::Rate).max_age(minute);
        let (mut statsd, id) = watching(watch);
        let begin = 1_000_000;
        for second in begin..begin + 120 {
            statsd.packet(b"orders:10|c", at(second));
        }
        let jumped = begin + 120 + ahead - back;
        for second in jumped..jumped + 300 {
            statsd.packet(b"orders:10|c", at(second));
            if let Ok(signal) = statsd.read(id, at(second))
                && let Some(told) = signal.samples[0].value
            {
                let told = told.as_f64();
                assert!((9.9..=20.1).contains(&told), "{ahead} ahead, {back} back: {told}");
            }
        }
        assert!((value(&mut statsd, id, at(jumped + 300)).unwrap() - 10.0).abs() < 0.5);
    }
}

#[test]
fn a_watch_says_what_is_wrong_with_it() {
    let mut watch = Watch::new("", "a|b", Statistic::Rate).tag("a:b", "").instance("");
    watch.window = Duration::from_millis(1);
    watch.max_age = seconds(100_000);
    let error = Aggregator::new(Limits::default()).watch(watch).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidSpec);
    for field in ["signal:", "metric: `a|b`", "tags: `a:b`", "instance: ``", "window:", "maxAge:"] {
        assert!(error.to_string().contains(field), "{field} in {error}");
    }
    let text = r#"{ "signal": "a", "metric": "b", "statistic": "p99", "instance": "pod", "window": "2m" }"#;
    let watch: Watch = serde_json::from_str(text).unwrap();
    assert_eq!(watch, Watch::new("a", "b", Statistic::P99).instance("pod").window(seconds(120)));
    assert!(serde_json::from_str::<Watch>(&text.replace("window", "windows")).is_err());
}

#[test]
fn what_came_of_every_line_can_be_scraped() {
    let statsd = Statsd::default();
    let registry = prometheus::Registry::new();
    registry.register(Box::new(statsd.metrics())).unwrap();
    let _signal = statsd.signal(Watch::new("a", "a", Statistic::P99)).unwrap();
    statsd.packet(b"a:1|ms\nb:1|c\na:1|x\na:2|d", at(0));
    statsd.packet(b"_sc|db|0", at(0));
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    for line in [
        "birl_scaler_statsd_packets_total{outcome=\"read\"} 2",
        "birl_scaler_statsd_packets_total{outcome=\"dropped_by_kernel\"} 0",
        "birl_scaler_statsd_lines_total{outcome=\"taken\"} 2",
        "birl_scaler_statsd_lines_total{outcome=\"unwatched\"} 1",
        "birl_scaler_statsd_lines_total{outcome=\"service_check\"} 1",
        "birl_scaler_statsd_lines_total{outcome=\"unknown_type\"} 1",
        "birl_scaler_statsd_held{what=\"series\"} 1",
        "birl_scaler_statsd_held{what=\"bytes\"} 512",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} in\n{text}");
    }
}

/// Lines that mean something, and some that do not.
fn a_line() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["c", "g", "t", "s", "t", "x", ""]);
    let number = prop_oneof![
        5 => (0..2000_u32).prop_map(|n| n.to_string()),
        2 => (0.0..1e6_f64).prop_map(|n| n.to_string()),
        2 => (-50..50_i32).prop_map(|n| format!("{n:+}")),
        1 => prop::sample::select(vec!["", "NaN", "1e300", "-1e300", "1e-9", "17592186044416", "x"])
            .prop_map(str::to_owned),
    ];
    let numbers = prop::collection::vec(number, 1..4).prop_map(|numbers| numbers.join(":"));
    let kind = prop::sample::select(vec!["c", "g", "ms", "h", "d", "s", "q", ""]);
    let rate = prop::sample::select(vec!["", "", "", "|@0.1", "|@0.3", "|@1", "|@0", "|@0.1|@0.2"]);
    let tags = prop::sample::select(vec![
        "",
        "|#pod:a",
        "|#pod:a,env:x",
        "|#env:x,pod:a",
        "|#pod:b",
        "|#env,pod:b",
        "|#pod",
        "|#env:",
        "|#pod:\u{7}",
        "|#a|#b",
        "|c:pod|#pod:a",
    ]);
    let fits = prop::sample::select(vec!["c|c", "g|g", "t|ms", "t|d", "s|s"]);
    let loose = (name, numbers.clone(), kind, rate.clone(), tags.clone())
        .prop_map(|(name, value, kind, rate, tags)| format!("{name}:{value}|{kind}{rate}{tags}"));
    let sound = (fits, numbers, rate, tags).prop_map(|(fits, value, rate, tags)| {
        let (name, kind) = fits.split_once('|').unwrap();
        format!("{name}:{value}|{kind}{rate}{tags}")
    });
    prop_oneof![3 => sound, 1 => loose]
}

proptest! {
    #[test]
    fn it_tells_what_its_twin_tells(steps in prop::collection::vec(
        (prop::sample::select(vec![0, 10, 900, 5_000, 10_000, 29_000, 61_000, 90_000, 121_000, 700_000]),
         prop::collection::vec(a_line(), 0..8)), 1..24,
    )) {
        let mut pair = Pair::new();
        for (wait, lines) in steps {
            pair.wait(wait);
            pair.packet(lines.join("\n").as_bytes());
            pair.compare();
        }
    }

    #[test]
    fn no_bytes_are_too_strange(packet in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut pair = Pair::new();
        pair.packet(&packet);
        pair.compare();
    }
}

/// Waits for what a thread brings, and no longer than ten seconds.
fn until(mut is_true: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if is_true() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it did not come about in ten seconds");
}

fn read(signal: &StatsdSignal) -> Option<f64> {
    let read = tokio::runtime::Builder::new_current_thread().build().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the listener lives in real time")]
    let signal = read.block_on(signal.read(SystemTime::now())).ok()?;
    signal.samples.first()?.value.map(Milli::as_f64)
}

#[test]
fn a_listener_receives_over_udp_of_both_kinds_and_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statsd.sock");
    let statsd = Statsd::default();
    let [four, six, unix] = ["four", "six", "unix"]
        .map(|name| statsd.signal(Watch::new(name, name, Statistic::Value)).unwrap());
    assert_eq!(four.name(), "four");
    let listener = Listener::builder().udp("127.0.0.1:0").udp("[::1]:0").unix(&path);
    let listener = listener.start(&statsd).unwrap();
    let [to_four, to_six] = listener.udp() else { panic!("{listener:?}") };
    let send = |to: &SocketAddr, text: &str| {
        let from = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        UdpSocket::bind(from).unwrap().send_to(text.as_bytes(), to).unwrap();
    };
    send(to_four, "four:4|g");
    send(to_six, "six:6|g");
    UnixDatagram::unbound().unwrap().send_to(b"unix:9|g", &path).unwrap();
    until(|| [&four, &six, &unix].map(read) == [Some(4.0), Some(6.0), Some(9.0)]);
    assert_eq!((statsd.counts().packets, statsd.counts().dropped), (3, 0));

    let second = Listener::builder().unix(&path).start(&statsd).unwrap_err();
    assert!(second.to_string().contains("does another program listen?"), "{second}");
    let second = Listener::builder().udp(to_four.to_string()).start(&statsd).unwrap_err();
    assert!(second.to_string().contains(&to_four.to_string()), "{second}");
    drop(four);
    assert_eq!(statsd.size().0, 2, "a signal that is gone takes no room");
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn a_socket_that_nobody_listens_on_is_replaced_and_a_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statsd.sock");
    drop(UnixDatagram::bind(&path).unwrap()); // as a crash leaves it
    let statsd = Statsd::default();
    let signal = statsd.signal(Watch::new("a", "a", Statistic::Value)).unwrap();
    let _listener = Listener::builder().unix(&path).start(&statsd).unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"a:1|g", &path).unwrap();
    until(|| read(&signal) == Some(1.0));

    let file = folder.path().join("notes");
    std::fs::write(&file, "mine").unwrap();
    assert!(Listener::builder().unix(&file).start(&statsd).is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn a_packet_longer_than_the_buffer_loses_its_last_line_and_no_more() {
    let statsd = Statsd::default();
    let signal = statsd.signal(Watch::new("a", "a", Statistic::Value)).unwrap();
    let listener = Listener::builder().udp("127.0.0.1:0").max_packet(512).start(&statsd).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Cut after 512 bytes the last line is one that could be believed.
    let packet = format!("{}{}", "b:1|c\n".repeat(84), "a:7|g|#x:y,and so on");
    assert!(parse(&packet.as_bytes()[504..512]).is_ok());
    socket.send_to(packet.as_bytes(), listener.udp()[0]).unwrap();
    socket.send_to(b"a:3|g", listener.udp()[0]).unwrap();
    until(|| read(&signal) == Some(3.0));
    let counts = statsd.counts();
    assert_eq!((counts.packets, counts.truncated), (2, 1));
    assert_eq!((counts.unwatched, counts.taken), (84, 1));
}

#[test]
fn what_the_kernel_dropped_is_counted() {
    let statsd = Statsd::default();
    let watch = Watch::new("a", "a", Statistic::P99).max_age(seconds(3600));
    let signal = statsd.signal(watch).unwrap();
    let listener = Listener::builder().udp("127.0.0.1:0").start(&statsd).unwrap();
    let to = listener.udp()[0];
    let flood = |packets: u64| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let packet = "a:1.25|ms\n".repeat(800);
        for _ in 0..packets {
            socket.send_to(packet.as_bytes(), to).unwrap();
        }
    };
    let threads: Vec<_> = (0..3).map(|_| std::thread::scope(|_| flood(2000))).collect();
    drop(threads);
    // The drops are told of with a packet that came through.
    let mut sent = 6000;
    until(|| {
        flood(1);
        sent += 1;
        let counts = statsd.counts();
        counts.packets + counts.dropped >= 6000
    });
    until(|| {
        let counts = statsd.counts();
        counts.packets + counts.dropped == sent
    });
    let counts = statsd.counts();
    assert_eq!(counts.taken, counts.packets * 800);
    assert_eq!(read(&signal), Some(1.25));
}
