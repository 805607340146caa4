//! Telling a person of guards: once when one is breached, and once when it is calm again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::decision::Decision;
use crate::spec::ScalerSpec;
use crate::window::ConditionWindow;

/// How long a guard must have been calm before its alarm ends: one that comes and goes at its edge
/// is one alarm, and not one a tick.
const CALM: Duration = Duration::from_secs(60);

/// Which breached guards of a target somebody was told of.
///
/// More replicas do not mend what a guard without a step watches: a person has to. It is told when
/// such a guard is breached ([`Guard::alert`](crate::Guard::alert) says otherwise), and its end when
/// it has been calm for a minute. While it is Unknown, nothing ends.
///
/// ```
/// # fn main() -> Result<(), birl_scaler::Error> {
/// # use std::time::SystemTime;
/// # use birl_scaler::{Decider, Guard, GuardAlarms, Milli, Observation, Replicas, Sample, ScalerSpec, Signal};
/// let mut spec = ScalerSpec::new("workers", 1, 10);
/// spec.guards = vec![Guard::above("retry_ratio", Milli::from(20))];
/// let (mut decider, mut alarms) = (Decider::new(spec)?, GuardAlarms::default());
///
/// let now = SystemTime::now();
/// let retries = Signal::new("retry_ratio", vec![Sample::new("", 35.0)], now);
/// let decision = decider.decide(&Observation::new(Replicas::ready(3)).signal(retries), now);
/// let told = alarms.see(decider.spec(), &decision);
/// assert!(told[0].firing);
/// assert_eq!(told[0].summary, "workers: retry_ratio 35 is above 20; no scale-down meanwhile");
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
pub struct GuardAlarms {
    /// Signals, each with the time that it has been calm for; as few as there are guards.
    told: Vec<(Arc<str>, ConditionWindow)>,
}

/// That a guard is breached, or is not any more.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuardAlarm {
    /// Whose guard it is.
    pub target: Arc<str>,
    /// The signal that it watches.
    pub signal: Arc<str>,
    /// Whether it is breached; else this is the end of it.
    pub firing: bool,
    /// What there is to see, in one sentence.
    pub summary: String,
    /// When it was seen.
    pub at: SystemTime,
}

impl GuardAlarms {
    /// What a person is to be told of after `decision`, which was made by `spec`.
    pub fn see(&mut self, spec: &ScalerSpec, decision: &Decision) -> Vec<GuardAlarm> {
        let mut news = Vec::new();
        // A guard that nobody has any more is calm.
        self.told.retain(|(signal, _)| {
            let is_watched = spec.guards.iter().any(|guard| guard.signal == *signal);
            if !is_watched {
                news.push(GuardAlarm::of(
                    decision,
                    signal,
                    false,
                    "there is no such guard any more",
                ));
            }
            is_watched
        });
        for (guard, reading) in spec.guards.iter().zip(&decision.guards) {
            let signal = &guard.signal;
            if let Some(at) = self.told.iter().position(|(told, _)| told == signal) {
                let calm = &mut self.told[at].1;
                calm.observe(reading.is_calm(), decision.at);
                if calm.is_full(CALM, decision.at) {
                    self.told.swap_remove(at);
                    news.push(GuardAlarm::of(decision, signal, false, &reading.to_string()));
                }
            } else if guard.is_told() && reading.is_breached() {
                self.told.push((Arc::clone(signal), ConditionWindow::default()));
                let meanwhile = if guard.veto_down { "; no scale-down meanwhile" } else { "" };
                news.push(GuardAlarm::of(decision, signal, true, &format!("{reading}{meanwhile}")));
            }
        }
        news
    }

    /// The signals whose guards somebody was told of, and not yet of their end.
    pub fn firing(&self) -> impl Iterator<Item = &Arc<str>> {
        self.told.iter().map(|(signal, _)| signal)
    }
}

impl GuardAlarm {
    fn of(decision: &Decision, signal: &Arc<str>, firing: bool, what: &str) -> Self {
        Self {
            target: Arc::clone(&decision.target),
            signal: Arc::clone(signal),
            firing,
            summary: format!("{}: {what}", decision.target),
            at: decision.at,
        }
    }

    /// The labels of the alert that a host raises or resolves: the same for each of its guard.
    pub fn labels(&self) -> [(&'static str, String); 4] {
        [
            ("alertname", "ScalingGuardBreached".to_owned()),
            ("scale_target", self.target.to_string()),
            ("signal", self.signal.to_string()),
            ("severity", "warning".to_owned()),
        ]
    }
}
