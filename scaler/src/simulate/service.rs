//! What one pod can do, and how long a request takes: Erlang's formulas.

use std::time::Duration;

use super::bounds::{Faults, seconds};

/// Above this part of its capacity a pod's queue has no stationary state that it could reach soon.
const FULL: f64 = 0.98;

/// The share of requests that may be late where capacity is called enough.
pub(crate) const MAY_BE_LATE: f64 = 0.01;

/// The most workers in a pod.
const MOST_WORKERS: u32 = 1024;

/// What one pod can do, and what its users expect.
///
/// By default a pod has 8 workers that take 80 ms for a request, so 100 requests/s; 99 % of the
/// requests should be answered within 500 ms; and nobody waits longer than 10 s.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Service {
    /// How many requests a pod works on at once; 1 to 1024.
    pub workers: u32,
    /// How long a worker is busy with one, on average.
    pub service_time: Duration,
    /// A request whose answer takes longer is late; above `service_time`.
    pub slo: Duration,
    /// A request that has waited this long gives up.
    pub patience: Duration,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            workers: 8,
            service_time: Duration::from_millis(80),
            slo: Duration::from_millis(500),
            patience: Duration::from_secs(10),
        }
    }
}

impl Service {
    /// What a pod can serve at most, in requests/s.
    pub fn capacity(&self) -> f64 {
        f64::from(self.workers) / self.service_time.as_secs_f64()
    }

    /// The highest rate for one pod, in requests/s, at which no more than 1 % of the requests are
    /// late.
    pub fn safe_rate(&self) -> f64 {
        let (mut low, mut high) = (0.0, self.capacity());
        for _ in 0..50 {
            let middle = (low + high) / 2.0;
            match self.load(middle).late_share(0.0) <= MAY_BE_LATE {
                true => low = middle,
                false => high = middle,
            }
        }
        low
    }

    pub(super) fn check(&self, faults: &mut Faults) {
        faults.check((1..=MOST_WORKERS).contains(&self.workers), || {
            format!("service.workers is {}: it must be 1 to {MOST_WORKERS}", self.workers)
        });
        faults.span("service.service_time", self.service_time, 0.001, 3600.0);
        faults.span("service.patience", self.patience, 0.0, 86_400.0);
        faults.span("service.slo", self.slo, 0.001, 86_400.0);
        faults.check(self.slo > self.service_time, || {
            "service.slo is not above service.service_time: every request would be late".to_owned()
        });
    }

    /// One pod at `rate`.
    pub(crate) fn load(&self, rate: f64) -> Load {
        let rate = rate.clamp(0.0, FULL * self.capacity());
        Load {
            rate,
            spare: self.capacity() - rate,
            waits: self.waits(rate),
            service_time: seconds(self.service_time),
            allowance: seconds(self.slo) - seconds(self.service_time),
        }
    }

    /// Erlang's C: the probability that a request finds all workers busy.
    fn waits(&self, rate: f64) -> f64 {
        let load = rate * seconds(self.service_time);
        // The recursion of Erlang's B, the probability of loss, which no factorial makes overflow.
        let lost = (1..=self.workers)
            .fold(1.0, |lost, worker| load * lost / (f64::from(worker) + load * lost));
        let busy = load / f64::from(self.workers);
        lost / (1.0 - busy * (1.0 - lost))
    }
}

/// One pod at a rate that stays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    rate: f64,
    /// What the pod could serve beside it.
    spare: f64,
    /// Erlang's C.
    waits: f64,
    service_time: f64,
    /// How long a request may wait and still be in time.
    allowance: f64,
}

impl Load {
    /// The share of requests that are late, behind a backlog that takes `behind` seconds.
    pub(crate) fn late_share(&self, behind: f64) -> f64 {
        let allowance = self.allowance - behind;
        if allowance <= 0.0 { 1.0 } else { self.waits * (-self.spare * allowance).exp() }
    }

    /// The response time that 99 % of the requests stay below, in seconds.
    pub(crate) fn p99(&self, behind: f64) -> f64 {
        let spread = (self.waits / 0.01).ln().max(0.0) / self.spare;
        self.service_time + behind + spread
    }

    /// How many requests wait in the pod, on average, beside the backlog.
    pub(crate) fn waiting(&self) -> f64 {
        self.waits * self.rate / self.spare
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erlangs_c_has_its_known_values() {
        // One worker: the probability to wait is the load. Two: 2a²/(2 + a)/(…); from the formula
        // itself, C(2, 1) = 1/3. Ten workers at 80 %: 0.409, as the printed tables have it.
        let of = |workers: u32, load: f64| {
            let service = Service { workers, ..Service::default() };
            service.waits(load / 0.08)
        };
        assert!((of(1, 0.7) - 0.7).abs() < 1e-9, "{}", of(1, 0.7));
        assert!((of(2, 1.0) - 1.0 / 3.0).abs() < 1e-9, "{}", of(2, 1.0));
        assert!((of(10, 8.0) - 0.409).abs() < 1e-3, "{}", of(10, 8.0));
    }

    #[test]
    fn a_safe_rate_is_where_one_of_a_hundred_is_late() {
        let service = Service::default();
        let rate = service.safe_rate();
        assert!((80.0..95.0).contains(&rate), "{rate}");
        assert!((service.load(rate).late_share(0.0) - 0.01).abs() < 1e-6);
        assert!((service.load(rate).p99(0.0) - 0.5).abs() < 1e-6, "the P99 there is the SLO");
    }
}
