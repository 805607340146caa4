//! An autoscaler in the manner of Knative's, as a baseline.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use super::policy::{Cadence, Policy};
use crate::signal::Observation;
use crate::timestamp::elapsed;

/// The window of the calm mode.
const STABLE: Duration = Duration::from_secs(60);

/// The window of the panic mode: a tenth.
const PANIC: Duration = Duration::from_secs(6);

/// Panic starts where the short window asks for this many times the ready pods.
const THRESHOLD: f64 = 2.0;

/// Of what is ready, a step up makes at most this many times, and a step down leaves one part in
/// so many.
const MOST_UP: f64 = 1000.0;
const MOST_DOWN: f64 = 2.0;

/// What Knative's pod autoscaler does with its defaults: requests in flight, averaged over 60 s and
/// over 6 s; looked at every 2 s; when the short window asks for twice what is ready it panics, and
/// until a minute after that it never scales down.
#[derive(Debug, Clone)]
pub struct KpaLike {
    target: f64,
    bounds: (u32, u32),
    /// Requests in flight in all pods.
    seen: VecDeque<(SystemTime, f64)>,
    last_sample: Option<SystemTime>,
    panicking_since: Option<SystemTime>,
    highest: u32,
}

impl KpaLike {
    /// With `target` requests in flight for each pod.
    pub fn new(target: f64, min: u32, max: u32) -> Self {
        Self {
            target,
            bounds: (min, max.max(min)),
            seen: VecDeque::new(),
            last_sample: None,
            panicking_since: None,
            highest: 0,
        }
    }

    fn average(&self, over: Duration, now: SystemTime) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for &(at, value) in self.seen.iter().rev() {
            if elapsed(at, now) >= over {
                break;
            }
            sum += value;
            count += 1.0;
        }
        if count == 0.0 { 0.0 } else { sum / count }
    }
}

impl Policy for KpaLike {
    fn name(&self) -> &'static str {
        "KPA-like"
    }

    fn cadence(&self) -> Cadence {
        let mut cadence = Cadence::every(Duration::from_secs(1), Duration::from_secs(2));
        cadence.delay = Duration::from_secs(1);
        cadence
    }

    fn decide(&mut self, seen: &Observation, now: SystemTime) -> u32 {
        let signal = seen.signals.iter().find(|signal| *signal.name == *"in_flight");
        if let Some(signal) = signal.filter(|signal| self.last_sample != Some(signal.at)) {
            let values = signal.samples.iter().filter_map(|sample| sample.value);
            self.seen.push_back((signal.at, values.map(crate::Milli::as_f64).sum()));
            self.last_sample = Some(signal.at);
        }
        while self.seen.front().is_some_and(|&(at, _)| elapsed(at, now) > STABLE) {
            self.seen.pop_front();
        }
        if self.seen.is_empty() {
            return seen.current.desired;
        }
        let ready = f64::from(seen.current.ready.max(1));
        let size = |window| {
            let wanted = (self.average(window, now) / self.target).ceil();
            wanted.clamp((ready / MOST_DOWN).floor(), (ready * MOST_UP).ceil()) as u32
        };
        let (calm, quick) = (size(STABLE), size(PANIC));
        if f64::from(quick) / ready >= THRESHOLD {
            self.panicking_since = Some(now);
        } else if self.panicking_since.is_some_and(|since| elapsed(since, now) > STABLE) {
            (self.panicking_since, self.highest) = (None, 0);
        }
        let wanted = match self.panicking_since {
            None => calm,
            Some(_) => {
                self.highest = self.highest.max(quick).max(calm);
                self.highest
            }
        };
        wanted.clamp(self.bounds.0, self.bounds.1)
    }
}
