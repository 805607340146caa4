//! What monitoring sees of the pods: samples, from time to time, some seconds late.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::fleet::{Fleet, Pod};
use super::queue::Second;
use crate::signal::{Instance, Observation, Replicas, Sample, Signal};

/// How long a signal is believed: some scrapes.
const MAX_AGE: Duration = Duration::from_secs(60);

/// What a pod that was there from the start would have counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    /// When, in seconds.
    at: u64,
    /// Seconds of full work.
    worked: f64,
    requests: f64,
}

/// Counts, scrapes, and hands out what has arrived.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) totals: Totals,
    scraped: Totals,
    worst: f64,
    last: Second,
    /// Scrapes on their way, with the second at which they arrive.
    on_the_way: VecDeque<(u64, Scrape)>,
    newest: Option<Scrape>,
}

/// The samples of one scrape.
#[derive(Debug)]
struct Scrape {
    at: SystemTime,
    cpu: Vec<Sample>,
    requests: Vec<Sample>,
    in_flight: Vec<Sample>,
    latency: Vec<Sample>,
}

impl Meter {
    /// Counts what happened in the second that ended at `now`.
    pub(super) fn count(&mut self, second: Second, pods: u32, now: u64) {
        self.totals.at = now;
        self.totals.worked += second.used;
        self.totals.requests += second.arrived / f64::from(pods.max(1));
        self.worst = self.worst.max(second.p99);
        self.last = second;
    }

    /// Takes samples of the pods that are ready; they arrive `delay` seconds later.
    pub(super) fn scrape(&mut self, fleet: &Fleet, delay: u64, now: SystemTime) {
        let (start, end) = (self.scraped, self.totals);
        let length = (end.at - start.at).max(1) as f64;
        let ready = || fleet.pods.iter().filter_map(|pod| Some((pod, pod.since?)));
        let each = |value: f64| {
            ready().map(|(pod, _)| Sample::new(Arc::clone(&pod.name), value)).collect()
        };
        let used = (end.worked - start.worked) / length;
        let cpu = ready()
            .filter(|(_, since)| since.at <= start.at)
            .map(|(pod, _)| Sample::new(Arc::clone(&pod.name), used * 100.0));
        let requests = ready().map(|(pod, since)| {
            let from = since.requests.max(start.requests);
            Sample::new(Arc::clone(&pod.name), (end.requests - from) / length)
        });
        let scrape = Scrape {
            at: now,
            cpu: cpu.collect(),
            requests: requests.collect(),
            in_flight: each(self.last.in_flight),
            latency: each(self.worst),
        };
        self.on_the_way.push_back((end.at + delay, scrape));
        (self.scraped, self.worst) = (end, 0.0);
    }

    /// What is known now.
    pub(super) fn observe(&mut self, fleet: &Fleet, now: u64) -> Observation {
        while self.on_the_way.front().is_some_and(|&(arrives, _)| arrives <= now) {
            self.newest = self.on_the_way.pop_front().map(|(_, scrape)| scrape);
        }
        let size = Replicas { desired: fleet.size(), ready: fleet.ready() };
        let instance = |pod: &Pod| Instance::new(Arc::clone(&pod.name), pod.since.is_some());
        let seen = Observation::new(size).instances(fleet.pods.iter().map(instance));
        let Some(scrape) = &self.newest else { return seen };
        let signal = |name: &str, samples: &Vec<Sample>| {
            Signal::new(name, samples.clone(), scrape.at).max_age(MAX_AGE)
        };
        seen.signals([
            signal("cpu", &scrape.cpu),
            signal("requests", &scrape.requests),
            signal("in_flight", &scrape.in_flight),
            signal("latency_p99", &scrape.latency),
        ])
    }
}
