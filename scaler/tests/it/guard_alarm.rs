//! A guard that is breached is told to somebody: once, and once its end.

use birl_scaler::{
    Decider, FaultKind, Guard, GuardAlarm, GuardAlarms, GuardStep, Milli, ScalerSpec, Signal,
};

use crate::support::{at, cpu, prompt, seconds, signal};

/// A decider and its alarms, asked every 15 seconds.
struct Watch {
    decider: Decider,
    alarms: GuardAlarms,
    second: u64,
}

impl Watch {
    fn new(guard: Guard) -> Self {
        let mut spec: ScalerSpec = prompt();
        spec.guards = vec![guard];
        Self { decider: Decider::new(spec).unwrap(), alarms: GuardAlarms::default(), second: 0 }
    }

    fn see(&mut self, retries: Signal) -> Vec<GuardAlarm> {
        let now = at(self.second);
        let decision = self.decider.decide(&cpu(3, 60.0, now).signal(retries), now);
        self.second += 15;
        self.alarms.see(self.decider.spec(), &decision)
    }

    /// Each told alarm: whether it fires, and when.
    fn run(&mut self, ratios: &[f64]) -> Vec<(bool, u64)> {
        let mut told = Vec::new();
        for ratio in ratios {
            let second = self.second;
            let news = self.see(signal("retry_ratio", &[*ratio], at(second)));
            told.extend(news.iter().map(|alarm| (alarm.firing, second)));
        }
        told
    }
}

fn guard() -> Guard {
    Guard::above("retry_ratio", Milli::from(20))
}

#[test]
fn it_is_told_once_and_its_end_after_a_minute_of_calm() {
    let mut watch = Watch::new(guard());
    let told = watch.run(&[5.0, 30.0, 40.0, 50.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 30.0]);
    assert_eq!(told, [(true, 15), (false, 120), (true, 150)]);
}

#[test]
fn one_that_comes_and_goes_at_its_edge_is_one_alarm() {
    let mut watch = Watch::new(guard());
    let edge: Vec<f64> = (0..200).map(|n| if n % 3 == 0 { 20.1 } else { 19.9 }).collect();
    assert_eq!(watch.run(&edge), [(true, 0)]);
    assert_eq!(watch.alarms.firing().count(), 1);
}

#[test]
fn it_says_what_is_wrong_and_names_target_and_signal() {
    let mut watch = Watch::new(guard());
    let told = watch.see(signal("retry_ratio", &[35.0], at(0))).remove(0);
    assert_eq!(told.summary, "workers: retry_ratio 35 is above 20; no scale-down meanwhile");
    let labels = told.labels().map(|(name, value)| format!("{name}={value}"));
    assert_eq!(
        labels,
        [
            "alertname=ScalingGuardBreached",
            "scale_target=workers",
            "signal=retry_ratio",
            "severity=warning"
        ]
    );
    let mut calm = (0..6).flat_map(|_| {
        let second = watch.second;
        watch.see(signal("retry_ratio", &[5.0], at(second)))
    });
    let end = calm.next().unwrap();
    assert_eq!(end.labels(), told.labels());
    assert_eq!(end.summary, "workers: retry_ratio 5 is not above 20");
}

#[test]
fn what_is_unknown_neither_begins_nor_ends_it() {
    let mut watch = Watch::new(guard());
    let unknown = || Signal::failed("retry_ratio", FaultKind::Timeout, at(0));
    assert!(watch.see(unknown()).is_empty());
    assert_eq!(watch.run(&[30.0]), [(true, 15)]);
    for _ in 0..20 {
        assert!(watch.see(unknown()).is_empty());
    }
    let calm = watch.run(&[5.0; 6]);
    assert_eq!(calm.iter().map(|(firing, _)| *firing).collect::<Vec<_>>(), [false]);
}

#[test]
fn one_that_steps_is_told_only_if_it_says_so() {
    let steps = guard().step(GuardStep::By(1), seconds(0));
    assert!(Watch::new(steps.clone()).run(&[30.0; 3]).is_empty(), "it is dealt with");
    let mut asks = steps;
    asks.alert = Some(true);
    assert_eq!(Watch::new(asks).run(&[30.0; 3]), [(true, 0)]);
    let mut quiet = guard();
    quiet.alert = Some(false);
    assert!(Watch::new(quiet).run(&[30.0; 3]).is_empty());
}

#[test]
fn it_is_told_when_it_is_breached_and_not_while_that_is_pending() {
    let mut slow = guard();
    slow.hold_for = seconds(30);
    assert_eq!(Watch::new(slow).run(&[30.0; 4]), [(true, 30)]);
}

#[test]
fn a_guard_that_was_taken_out_is_told_of_no_longer() {
    let mut watch = Watch::new(guard());
    watch.run(&[30.0]);
    watch.decider.replace(prompt()).unwrap();
    assert_eq!(watch.run(&[30.0, 30.0]), [(false, 15)]);
}
