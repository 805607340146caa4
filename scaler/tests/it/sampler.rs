//! All signals at once: deadlines, health, and what is handed on when a source fails.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use birl_scaler::{
    Action, Agenda, Change, ErrorKind, Fault, FaultKind, HealthState, MetricSpec, Milli,
    Observation, Reading, Replicas, Sample, Sampler, ScaleIntent, Signal, SignalSource, Tick,
    Unknown, async_trait,
};
use tokio::time::Instant;

use crate::support::{at, decider, prompt, seconds};

/// What a source does when it is asked.
#[derive(Debug, Clone, Copy)]
enum Does {
    Tell(f64),
    Fail(FaultKind),
    Hang,
    Take(Duration),
    Panic,
    /// Answers, and with nothing.
    Nothing,
}

/// Does one thing after another; the last one for good.
#[derive(Debug)]
struct Scripted {
    name: &'static str,
    script: Mutex<VecDeque<Does>>,
    asked: AtomicUsize,
}

fn source<const N: usize>(name: &'static str, script: [Does; N]) -> Arc<Scripted> {
    Arc::new(Scripted { name, script: Mutex::new(script.into()), asked: AtomicUsize::new(0) })
}

#[async_trait]
impl SignalSource for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    async fn read(&self, now: SystemTime) -> Result<Signal, Fault> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let does = {
            let mut script = self.script.lock().unwrap();
            if script.len() > 1 { script.pop_front().unwrap() } else { script[0] }
        };
        let told = |value| Ok(Signal::new(self.name, vec![Sample::new("", value)], now));
        match does {
            Does::Tell(value) => told(value),
            Does::Fail(kind) => Err(Fault::new(kind, "as the script says")),
            Does::Hang => std::future::pending().await,
            Does::Take(time) => {
                tokio::time::sleep(time).await;
                told(1.0)
            }
            Does::Panic => panic!("as the script says"),
            Does::Nothing => Ok(Signal::new(self.name, vec![], now)),
        }
    }
}

fn sampler(sources: &[Arc<Scripted>]) -> Sampler {
    let mut sampler = Sampler::new();
    for source in sources {
        sampler.add_arc(Arc::<Scripted>::clone(source), Sampler::DEADLINE).unwrap();
    }
    sampler
}

#[tokio::test(start_paused = true)]
async fn a_sample_takes_as_long_as_the_longest_deadline_whatever_the_sources_do() {
    let mut sampler = Sampler::new();
    for (name, does, deadline) in [
        ("hangs", Does::Hang, 3000),
        ("hangs less", Does::Hang, 1000),
        ("slow", Does::Take(seconds(2)), 3000),
        ("too slow", Does::Take(seconds(2)), 1999),
        ("panics", Does::Panic, 3000),
        ("well", Does::Tell(7.0), 3000),
    ] {
        sampler.add_arc(source(name, [does]), Duration::from_millis(deadline)).unwrap();
    }
    let begun = Instant::now();
    let signals = sampler.sample(at(0)).await;
    // The timer of a runtime counts in milliseconds.
    assert!((2999..=3005).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    let got: Vec<_> = signals.iter().map(|s| (&*s.name, s.fault, s.samples.len())).collect();
    assert_eq!(
        got,
        [
            ("hangs", Some(FaultKind::Timeout), 0),
            ("hangs less", Some(FaultKind::Timeout), 0),
            ("slow", None, 1),
            ("too slow", Some(FaultKind::Timeout), 0),
            ("panics", Some(FaultKind::Malformed), 0),
            ("well", None, 1),
        ]
    );
}

/// Blocks its thread until it is told to go on.
#[derive(Debug)]
struct Blocking {
    go: Mutex<Receiver<()>>,
    asked: AtomicUsize,
}

#[async_trait]
impl SignalSource for Blocking {
    fn name(&self) -> &str {
        "blocking"
    }

    async fn read(&self, now: SystemTime) -> Result<Signal, Fault> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let _ = self.go.lock().unwrap().recv_timeout(seconds(10));
        Ok(Signal::new("blocking", vec![Sample::new("", 1.0)], now))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_blocks_its_thread_is_not_asked_twice_at_once() {
    let (go, gone) = channel();
    let blocking = Arc::new(Blocking { go: Mutex::new(gone), asked: AtomicUsize::new(0) });
    let mut sampler = Sampler::new();
    sampler.add_arc(Arc::<Blocking>::clone(&blocking), Duration::from_millis(50)).unwrap();
    let board = sampler.board();
    let detail = |board: &birl_scaler::SignalBoard| {
        board.health()[0].last_fault.as_ref().unwrap().detail().to_owned()
    };
    sampler.sample(at(0)).await;
    assert_eq!(detail(&board), "no answer within its deadline of 50ms");
    for second in 1..4 {
        sampler.sample(at(second)).await;
        assert!(detail(&board).contains("has not ended"), "{}", detail(&board));
    }
    assert_eq!(blocking.asked.load(Ordering::SeqCst), 1);
    go.send(()).unwrap();
    for _ in 0..1000 {
        go.send(()).unwrap();
        let signals = sampler.sample(at(4)).await;
        if signals[0].fault.is_none() {
            assert_eq!(board.health()[0].state, HealthState::Healthy);
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it is not asked again: {:?}", board.health());
}

/// KEDA 7914: readiness flaps on a transient gap.
#[tokio::test(start_paused = true)]
async fn one_lost_sample_leaves_it_ready_and_says_that_a_signal_is_not_healthy() {
    let cpu = source("cpu", [Does::Tell(60.0), Does::Fail(FaultKind::Refused), Does::Tell(61.0)]);
    let mut sampler = sampler(&[cpu]);
    let board = sampler.board();
    let before = board.conditions(at(0));
    assert!(!before.ready && !before.signals_healthy);
    assert_eq!(before.message, "cpu never read");

    sampler.sample(at(0)).await;
    let well = board.conditions(at(0));
    assert_eq!((well.ready, well.signals_healthy, &*well.message), (true, true, ""));

    let lost = sampler.sample(at(15)).await.remove(0);
    assert_eq!((lost.at, lost.fault), (at(0), Some(FaultKind::Refused)));
    assert_eq!(lost.samples, [Sample::new("", 60.0)]);
    let gap = board.conditions(at(15));
    assert_eq!((gap.ready, gap.signals_healthy), (true, false));
    assert_eq!(gap.message, "cpu: refused: as the script says");
    let health = board.health().remove(0);
    assert_eq!((health.state, health.since), (HealthState::Failing, Some(at(15))));
    assert_eq!((health.last_success, health.failures), (Some(at(0)), 1));
    // Nobody looks any more: what is too old is not ready.
    let old = board.conditions(at(61));
    assert!(!old.ready);
    assert_eq!(old.message, "cpu is 1m1s old (refused: as the script says)");

    let back = sampler.sample(at(30)).await.remove(0);
    assert_eq!((back.at, back.fault), (at(30), None));
    let health = board.health().remove(0);
    assert_eq!((health.state, health.since), (HealthState::Healthy, Some(at(30))));
    assert_eq!(health.failures, 0);
    assert!(board.conditions(at(30)).signals_healthy);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_be_asked_is_believed_until_its_last_answer_is_too_old() {
    let cpu = source("cpu", [Does::Tell(100.0), Does::Fail(FaultKind::Unreachable)]);
    let mut sampler = sampler(&[cpu]);
    let mut decider = decider(prompt());
    // It may still ask for more; that it would ask for less is not believed at all.
    for (second, action) in [(0, Action::ScaleUp), (60, Action::ScaleUp), (75, Action::Hold)] {
        let signals = sampler.sample(at(second)).await;
        let seen = Observation::new(Replicas::ready(5)).signals(signals);
        let decision = decider.decide(&seen, at(second));
        assert_eq!(decision.action, action, "{decision}");
        if action == Action::Hold {
            let why = Unknown::Failed(FaultKind::Unreachable);
            assert_eq!(decision.proposals[0].reading, Reading::Unknown { why });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_says_that_there_is_nothing_is_unknown_at_once() {
    for (does, kind) in [
        (Does::Fail(FaultKind::Empty), FaultKind::Empty),
        (Does::Fail(FaultKind::NotANumber), FaultKind::NotANumber),
        (Does::Nothing, FaultKind::Empty),
        (Does::Tell(f64::NAN), FaultKind::NotANumber),
        (Does::Tell(-1.0), FaultKind::NotANumber),
    ] {
        let script = [Does::Tell(10.0), does, Does::Fail(FaultKind::Timeout)];
        let mut sampler = sampler(&[source("cpu", script)]);
        sampler.sample(at(0)).await;
        for (second, kind) in [(15, kind), (30, FaultKind::Timeout)] {
            let signals = sampler.sample(at(second)).await;
            assert_eq!((signals[0].fault, signals[0].samples.len()), (Some(kind), 0));
            let seen = Observation::new(Replicas::ready(5)).signals(signals);
            assert_eq!(decider(prompt()).decide(&seen, at(second)).to, 5, "{does:?}");
        }
        assert!(sampler.board().conditions(at(30)).ready, "half a minute is no reason yet");
        assert!(!sampler.board().conditions(at(61)).ready);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sample_that_is_given_up_stops_its_readings_and_counts_for_nothing() {
    let slow = source("slow", [Does::Hang, Does::Tell(1.0)]);
    let mut sampler = sampler(std::slice::from_ref(&slow));
    let given_up = tokio::time::timeout(seconds(1), sampler.sample(at(0))).await;
    assert!(given_up.is_err());
    assert_eq!(sampler.board().health()[0].state, HealthState::Unknown);
    tokio::task::yield_now().await;
    let signals = sampler.sample(at(1)).await;
    assert_eq!(signals[0].fault, None);
    assert_eq!(slow.asked.load(Ordering::Relaxed), 2);
}

#[test]
fn two_sources_of_one_name_are_refused() {
    let mut sampler = Sampler::new();
    sampler.add_arc(source("cpu", [Does::Hang]), seconds(1)).unwrap();
    let error = sampler.add_arc(source("cpu", [Does::Hang]), seconds(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("give each its own name"), "{error}");
}

#[cfg(feature = "prometheus")]
#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "an age is told at the moment of the scrape")]
async fn the_board_is_a_collector() {
    let now = SystemTime::now();
    let cpu = source("cpu", [Does::Tell(60.0), Does::Fail(FaultKind::Refused)]);
    let mut sampler = sampler(&[cpu, source("queue", [Does::Hang])]);
    sampler.sample(now - seconds(100)).await;
    sampler.sample(now - seconds(40)).await;

    let registry = prometheus::Registry::new();
    registry.register(Box::new(sampler.board())).unwrap();
    let families = registry.gather();
    let value = |name: &str, labels: &[&str]| {
        let family = families.iter().find(|family| family.name() == name).unwrap();
        let of_labels = family.get_metric().iter().find(|metric| {
            labels.iter().all(|label| metric.get_label().iter().any(|l| l.value() == *label))
        });
        of_labels.map(|m| m.get_gauge().get_value().max(m.get_counter().get_value()))
    };
    let age = value("birl_scaler_signal_age_seconds", &["cpu"]).unwrap();
    assert!((100.0..160.0).contains(&age), "{age}");
    assert_eq!(value("birl_scaler_signal_age_seconds", &["queue"]), None, "never read: no age");
    assert_eq!(value("birl_scaler_signal_healthy", &["cpu"]), Some(0.0));
    assert_eq!(value("birl_scaler_signal_reads_total", &["cpu", "ok"]), Some(1.0));
    assert_eq!(value("birl_scaler_signal_reads_total", &["cpu", "refused"]), Some(1.0));
    assert_eq!(value("birl_scaler_signal_reads_total", &["queue", "timeout"]), Some(2.0));
}

/// Many targets, one registry, and signals of the same name.
#[cfg(feature = "prometheus")]
#[tokio::test(start_paused = true)]
async fn the_boards_of_several_targets_share_a_registry() {
    let registry = prometheus::Registry::new();
    let mut samplers = Vec::new();
    for (target, does) in [("api", Does::Tell(60.0)), ("web", Does::Fail(FaultKind::Refused))] {
        let mut sampler = sampler(&[source("cpu", [does])]);
        sampler.sample(at(0)).await;
        registry.register(Box::new(sampler.board().of_target(target))).unwrap();
        samplers.push(sampler);
    }
    let twice = registry.register(Box::new(samplers[0].board().of_target("api")));
    assert!(twice.is_err(), "a target is registered once");
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    for line in [
        "birl_scaler_signal_healthy{signal=\"cpu\",target=\"api\"} 1",
        "birl_scaler_signal_healthy{signal=\"cpu\",target=\"web\"} 0",
        "birl_scaler_signal_reads_total{outcome=\"refused\",signal=\"cpu\",target=\"web\"} 1",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert_eq!(text.matches("# HELP birl_scaler_signal_healthy").count(), 1, "{text}");
}

/// A clock that goes with tokio's.
fn clock() -> impl Fn() -> SystemTime + Send + Sync + Clone + 'static {
    let begun = Instant::now();
    move || at(0) + begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn ticks_come_on_time_while_a_source_hangs() {
    let sampler = sampler(&[source("hangs", [Does::Hang]), source("cpu", [Does::Tell(60.0)])]);
    let tick = Tick::new(Tick::PERIOD, at(0)).unwrap().named("workers");
    let first = tick.next_deadline(at(0));
    let mut agenda = Agenda::with_clock(tick, sampler, clock());
    for n in 0..20 {
        let occasion = agenda.next().await;
        let turn = occasion.turn.unwrap();
        assert_eq!((turn.at, turn.missed), (first + Tick::PERIOD * n, 0));
        let late = occasion.now.duration_since(turn.at).unwrap();
        assert!(late <= Sampler::DEADLINE + Duration::from_millis(20), "{late:?}");
        assert_eq!(occasion.signals[0].fault, Some(FaultKind::Timeout));
        assert_eq!(occasion.signals[1].fault, None);
    }
}

/// Idle until its moment, and then at twice its target.
#[derive(Debug)]
struct Steps(SystemTime);

#[async_trait]
impl SignalSource for Steps {
    fn name(&self) -> &str {
        "cpu"
    }

    async fn read(&self, now: SystemTime) -> Result<Signal, Fault> {
        let percent = if now >= self.0 { 120.0 } else { 60.0 };
        Ok(Signal::new("cpu", vec![Sample::new("", percent)], now))
    }
}

/// k8s 110317: 55 s from a step of the load to a decision.
#[tokio::test(start_paused = true)]
async fn a_step_of_the_load_is_decided_about_within_one_period() {
    for name in ["a", "b", "c", "d", "e"] {
        let (step, now) = (at(100), clock());
        let mut sampler = Sampler::new();
        sampler.add(Steps(step), Sampler::DEADLINE).unwrap();
        sampler.add_arc(source("memory", [Does::Hang]), Sampler::DEADLINE).unwrap();
        let tick = Tick::new(Tick::PERIOD, at(0)).unwrap().named(name);
        let mut agenda = Agenda::with_clock(tick, sampler, now);
        let mut decider = decider(prompt());
        let decided = loop {
            let occasion = agenda.next().await;
            let seen = Observation::new(Replicas::ready(2)).signals(occasion.signals);
            if decider.decide(&seen, occasion.now).to == 4 {
                break occasion.now;
            }
        };
        let after = decided.duration_since(step).unwrap();
        assert!(after <= Tick::PERIOD + Sampler::DEADLINE, "{after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_firing_waits_neither_for_the_tick_nor_for_a_sample_that_is_under_way() {
    let hangs = source("hangs", [Does::Tell(1.0), Does::Hang]);
    let tick = Tick::new(Tick::PERIOD, at(0)).unwrap();
    let mut agenda = Agenda::with_clock(tick, sampler(&[hangs]), clock());
    let firings = agenda.intents();
    let intent = |n: u32| ScaleIntent::new(format!("rule/{n}"), Change::By(1));
    let ask = |n| firings.send(intent(n)).unwrap();

    ask(0);
    let before = agenda.next().await;
    assert_eq!((before.now, before.turn), (at(0), None));
    assert!(before.signals.is_empty(), "nothing is known yet");
    assert_eq!(before.intents, [intent(0)]);

    assert!(agenda.next().await.turn.is_some());
    // Past the next turn, and inside of its sample, which hangs.
    let nobody = tokio::time::timeout(Duration::from_millis(15_100), agenda.next()).await;
    assert!(nobody.is_err());
    let begun = Instant::now();
    (1..=3).for_each(ask);
    let asked = agenda.next().await;
    assert_eq!((begun.elapsed(), asked.turn), (Duration::ZERO, None));
    assert_eq!(asked.intents, [intent(1), intent(2), intent(3)]);
    assert_eq!(
        (asked.signals.len(), asked.signals[0].fault),
        (1, None),
        "the newest that is known"
    );

    let turn = agenda.next().await;
    assert_eq!(turn.turn.unwrap().at, at(30));
    assert_eq!(turn.signals[0].fault, Some(FaultKind::Timeout));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_firings_is_bounded_and_counted_and_does_not_stop_the_ticks() {
    let tick = Tick::new(Tick::PERIOD, at(0)).unwrap();
    let sampler = sampler(&[source("cpu", [Does::Take(seconds(1))])]);
    let mut agenda = Agenda::with_clock(tick, sampler, clock());
    let firings = agenda.intents();
    let mut given_back = 0;
    for n in 0..3000 {
        let intent = ScaleIntent::new(format!("forged/{n}"), Change::By(100));
        given_back += u64::from(firings.send(intent).is_err());
    }
    assert_eq!((given_back, firings.dropped()), (1976, 1976));
    assert_eq!(agenda.next().await.intents.len(), 1024);

    let flood = tokio::spawn(async move {
        for n in 0.. {
            let _ = firings.send(ScaleIntent::new(format!("more/{n}"), Change::By(100)));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let mut turns = vec![];
    while turns.len() < 4 {
        let occasion = agenda.next().await;
        turns.extend(occasion.turn.map(|turn| (turn.at, turn.missed)));
        // The host is slower than the flood.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(turns, [(at(15), 0), (at(30), 0), (at(45), 0), (at(60), 0)]);
    flood.abort();
}

#[tokio::test(start_paused = true)]
async fn a_firing_with_signals_that_are_unknown_scales_up_and_not_down() {
    let mut spec = prompt();
    spec.metrics = vec![MetricSpec::average("queue", Milli(10_000))];
    let tick = Tick::new(Tick::PERIOD, at(0)).unwrap();
    let hangs = source("queue", [Does::Hang]);
    let mut agenda = Agenda::with_clock(tick, sampler(&[hangs]), clock());
    let firings = agenda.intents();
    let mut decider = decider(spec);
    for (id, change, to) in [("down", Change::By(-2), 5), ("up", Change::By(2), 7)] {
        firings.send(ScaleIntent::new(id, change)).unwrap();
        let occasion = agenda.next().await;
        let seen = Observation::new(Replicas::ready(5))
            .signals(occasion.signals)
            .intents(occasion.intents);
        assert_eq!(decider.decide(&seen, occasion.now).to, to, "{id}");
    }
}
