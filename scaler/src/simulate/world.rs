//! The world: pods that take their time, a queue, monitoring, and somebody who decides.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::bounds::Faults;
use super::curve::Curve;
use super::fleet::Fleet;
use super::meter::Meter;
use super::policy::{Cadence, Policy};
use super::queue::Queue;
use super::run::{Run, Scaled, Timeline};
use super::score::Score;
use super::service::Service;
use crate::error::Error;

/// The most pods: what a policy asks for beyond is cut.
const MOST_PODS: u32 = 100_000;

/// How much more than needed there is at the start.
const SPARE: f64 = 1.5;

/// The most changes that a run lists; all are counted.
const MOST_CHANGES: usize = 10_000;

/// 2026-01-05, a Monday.
const START: Duration = Duration::from_secs(1_767_571_200);

/// What there is beside the demand and the policy.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct World {
    /// What one pod can do.
    pub service: Service,
    /// From the order of a pod until it serves; 30 s by default, at most a day.
    pub start_delay: Duration,
    /// How long a pod that serves no more is still there, and paid for; 10 s by default.
    pub drain: Duration,
    /// How many pods there are at the start, all ready; by default half more than the first
    /// minutes need.
    pub initial: Option<u32>,
    /// When it starts, for policies that look at the calendar; a Monday by default.
    pub start: SystemTime,
}

impl Default for World {
    fn default() -> Self {
        Self {
            service: Service::default(),
            start_delay: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            initial: None,
            start: UNIX_EPOCH + START,
        }
    }
}

impl World {
    /// The same with another time to start a pod.
    #[must_use]
    pub fn start_delay(mut self, start_delay: Duration) -> Self {
        self.start_delay = start_delay;
        self
    }

    /// How many pods each second needs: the fewest with which no more than 1 % of its requests are
    /// late. The demand of the scores.
    pub fn needed(&self, curve: &Curve) -> Vec<u32> {
        let safe = self.service.safe_rate();
        curve.seconds().map(|rate| ((rate / safe).ceil() as u32).clamp(1, MOST_PODS)).collect()
    }

    /// Lets `policy` decide while the curve lasts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) if a number of this world or of
    /// the policy's cadence is out of range.
    pub fn run(&self, curve: &Curve, policy: &mut dyn Policy) -> Result<Run, Error> {
        let cadence = policy.cadence();
        self.check(&cadence)?;
        let needed = self.needed(curve);
        let (start, drain) = (self.start_delay.as_secs(), self.drain.as_secs());
        let (scrape, delay) = (cadence.scrape.as_secs(), cadence.delay.as_secs());
        let (tick, phase) = (cadence.tick.as_secs(), cadence.phase.as_secs());

        let (mut fleet, mut queue, mut meter) =
            (Fleet::default(), Queue::default(), Meter::default());
        fleet.scale_to(self.initial_size(&needed, start + 2 * tick), 0, 0, drain);
        let (mut score, mut timeline) = (Score::default(), Timeline::new(needed.len()));
        let mut changes = Vec::new();
        for ((second, rate), &needed) in (0u64..).zip(curve.seconds()).zip(&needed) {
            let now = self.start + Duration::from_secs(second);
            fleet.advance(second, meter.totals);
            if second % tick == phase {
                let wanted = policy.decide(&meter.observe(&fleet, second), now);
                let (from, to) = (fleet.size(), wanted.clamp(1, MOST_PODS));
                if from != to {
                    score.change(from, to);
                    if changes.len() < MOST_CHANGES {
                        let at = Duration::from_secs(second);
                        changes.push(Scaled { at, from, to, why: policy.why() });
                    }
                    fleet.scale_to(to, second, start, drain);
                    fleet.advance(second, meter.totals); // a pod may start in no time
                }
            }
            let ready = fleet.ready();
            let happened = queue.step(&self.service, rate, ready);
            meter.count(happened, ready, second + 1);
            if (second + 1).is_multiple_of(scrape) {
                meter.scrape(&fleet, delay, now + Duration::from_secs(1));
            }
            score.second(happened, needed, ready, fleet.paid());
            timeline.second(second, happened, needed, &fleet);
        }
        score.end(queue.backlog);
        Ok(Run { policy: policy.name().to_owned(), score, timeline: timeline.end(), changes })
    }

    fn initial_size(&self, needed: &[u32], within: u64) -> u32 {
        let within = usize::try_from(within).unwrap_or(usize::MAX);
        let most = needed.iter().take(within).max().copied().unwrap_or(1);
        let size = (f64::from(most) * SPARE).ceil() as u32;
        self.initial.unwrap_or(size).clamp(1, MOST_PODS)
    }

    fn check(&self, cadence: &Cadence) -> Result<(), Error> {
        let mut faults = Faults::default();
        self.service.check(&mut faults);
        faults.span("start_delay", self.start_delay, 0.0, 86_400.0);
        faults.span("drain", self.drain, 0.0, 86_400.0);
        faults.span("cadence.scrape", cadence.scrape, 1.0, 86_400.0);
        faults.span("cadence.tick", cadence.tick, 1.0, 86_400.0);
        faults.span("cadence.delay", cadence.delay, 0.0, 86_400.0);
        faults.check(cadence.phase < cadence.tick, || {
            "cadence.phase is not below cadence.tick: there would be no decision".to_owned()
        });
        faults.settle()
    }
}
