//! How good it was: late requests, cost, and the elasticity metrics of the SPEC research group.

use std::fmt;
use std::ops::AddAssign;

use super::queue::Second;

/// Over so many seconds directions are compared.
const STRETCH: u64 = 60;

/// What a run comes to, as sums, so that runs can be added up; the methods make shares of them.
///
/// Demand is the pods that are needed ([`World::needed`](super::World::needed)), supply the pods
/// that serve. The elasticity metrics are those of SPEC RG 2016-01, "Ready for Rain?" (Herbst and
/// others), with the second as the step.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Score {
    /// Seconds that went by.
    pub seconds: f64,
    /// Requests that arrived.
    pub requests: f64,
    /// Of these, those that were answered later than the service's objective, or never.
    pub late: f64,
    /// Requests that were served.
    pub served: f64,
    /// Requests that waited too long and gave up; they are among the late ones.
    pub gave_up: f64,
    /// Requests that were waiting at the end.
    pub left: f64,
    /// Seconds of pods that were there: starting, ready or draining.
    pub pod_seconds: f64,
    /// Seconds of pods that were needed.
    pub needed_seconds: f64,
    /// Changes of the size upward.
    pub ups: f64,
    /// Changes of the size downward.
    pub downs: f64,
    /// Missing pods over needed ones, summed over the seconds.
    pub missing: f64,
    /// Idle pods over needed ones, summed over the seconds.
    pub idle: f64,
    /// Seconds with fewer pods than needed.
    pub under: f64,
    /// Seconds with more pods than needed.
    pub over: f64,
    /// Minutes in which demand and supply went different ways, one of them perhaps nowhere.
    pub apart: f64,
    /// Minutes that were compared.
    pub minutes: f64,
    /// Demand and supply at the start of the present minute.
    anchor: Option<(u32, u32)>,
}

impl Score {
    pub(super) fn second(&mut self, happened: Second, needed: u32, ready: u32, paid: u64) {
        let anchor = *self.anchor.get_or_insert((needed, ready));
        if self.seconds > 0.0 && (self.seconds as u64).is_multiple_of(STRETCH) {
            self.minutes += 1.0;
            self.apart += f64::from(u8::from(needed.cmp(&anchor.0) != ready.cmp(&anchor.1)));
            self.anchor = Some((needed, ready));
        }
        self.seconds += 1.0;
        self.requests += happened.arrived;
        self.late += happened.late;
        self.served += happened.served;
        self.gave_up += happened.gave_up;
        self.pod_seconds += paid as f64;
        self.needed_seconds += f64::from(needed);
        let of_needed = |pods: u32| f64::from(pods) / f64::from(needed.max(1));
        self.missing += of_needed(needed.saturating_sub(ready));
        self.idle += of_needed(ready.saturating_sub(needed));
        self.under += f64::from(u8::from(ready < needed));
        self.over += f64::from(u8::from(ready > needed));
    }

    pub(super) fn change(&mut self, from: u32, to: u32) {
        match to > from {
            true => self.ups += 1.0,
            false => self.downs += 1.0,
        }
    }

    pub(super) fn end(&mut self, backlog: f64) {
        (self.left, self.anchor) = (backlog, None);
    }

    /// Late requests, in percent of all.
    pub fn late_percent(&self) -> f64 {
        percent(self.late, self.requests)
    }

    /// What was paid for, in pod-hours.
    pub fn pod_hours(&self) -> f64 {
        self.pod_seconds / 3600.0
    }

    /// How often the size changed.
    pub fn adaptations(&self) -> f64 {
        self.ups + self.downs
    }

    /// SPEC's accuracy of under-provisioning, θ_U: how much of what was needed was missing, on
    /// average over time, in percent.
    pub fn theta_under(&self) -> f64 {
        percent(self.missing, self.seconds)
    }

    /// SPEC's accuracy of over-provisioning, θ_O, in percent of what was needed.
    pub fn theta_over(&self) -> f64 {
        percent(self.idle, self.seconds)
    }

    /// SPEC's time share of under-provisioning, τ_U, in percent.
    pub fn tau_under(&self) -> f64 {
        percent(self.under, self.seconds)
    }

    /// SPEC's time share of over-provisioning, τ_O, in percent.
    pub fn tau_over(&self) -> f64 {
        percent(self.over, self.seconds)
    }

    /// SPEC's instability, υ: the share of time in which demand and supply do not go the same
    /// way, compared minute by minute, in percent.
    pub fn instability(&self) -> f64 {
        percent(self.apart, self.minutes)
    }
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.requests += other.requests;
        self.late += other.late;
        self.served += other.served;
        self.gave_up += other.gave_up;
        self.left += other.left;
        self.pod_seconds += other.pod_seconds;
        self.needed_seconds += other.needed_seconds;
        self.ups += other.ups;
        self.downs += other.downs;
        self.missing += other.missing;
        self.idle += other.idle;
        self.under += other.under;
        self.over += other.over;
        self.apart += other.apart;
        self.minutes += other.minutes;
    }
}

/// Late requests, cost and changes in one line.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} % of the requests late, {:.1} pod-hours, {} changes",
            self.late_percent(),
            self.pod_hours(),
            self.adaptations()
        )
    }
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}
