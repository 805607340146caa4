//! The Kubernetes HPA with its defaults, as a baseline; written apart from the decider, in floats as
//! the original is, so that the two can be compared.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::policy::Policy;
use crate::signal::Observation;
use crate::timestamp::elapsed;

/// Within this of its target a metric asks for nothing.
const TOLERANCE: f64 = 0.1;

/// How long a recommendation holds a scale-down back.
const DOWN_WINDOW: Duration = Duration::from_secs(300);

/// The period of the scale-up policies: 4 pods or 100 %, whichever is more.
const UP_PERIOD: Duration = Duration::from_secs(15);

/// The HPA v2 with the `behavior` that it has when nobody sets one: a tolerance of 10 %, scale-up
/// at once by at most the larger of 4 pods and 100 % in 15 s, scale-down to the highest
/// recommendation of the last 300 s.
#[derive(Debug, Clone)]
pub struct HpaDefault {
    name: String,
    bounds: (u32, u32),
    /// Signal and target.
    metrics: Vec<(String, f64)>,
    recommended: VecDeque<(SystemTime, u32)>,
    added: VecDeque<(SystemTime, u32)>,
}

impl HpaDefault {
    /// On `cpu` with a target of `percent`.
    pub fn cpu(percent: u32, min: u32, max: u32) -> Self {
        Self {
            name: "HPA default".to_owned(),
            bounds: (min, max.max(min)),
            metrics: vec![("cpu".to_owned(), f64::from(percent))],
            recommended: VecDeque::new(),
            added: VecDeque::new(),
        }
    }

    /// Adds a metric: the average of `signal` over the pods should be `target`. The one that asks
    /// for most wins.
    #[must_use]
    pub fn metric(mut self, signal: impl Into<String>, target: f64) -> Self {
        self.metrics.push((signal.into(), target));
        self
    }

    /// Gives it another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The highest of what the metrics ask for, or the present size if one of them cannot tell
    /// and the others ask for less.
    fn propose(&self, seen: &Observation) -> u32 {
        let current = seen.current.desired;
        let each = self.metrics.iter().map(|(name, target)| ask(name, *target, seen));
        let least = each.clone().any(|asked| asked.is_none()).then_some(current);
        each.flatten().chain(least).max().unwrap_or(current)
    }

    fn stabilize(&mut self, current: u32, proposed: u32, now: SystemTime) -> u32 {
        if self.recommended.is_empty() {
            self.recommended.push_back((now, current));
        }
        forget(&mut self.recommended, DOWN_WINDOW, now);
        self.recommended.push_back((now, proposed));
        let highest = self.recommended.iter().map(|&(_, size)| size).max().unwrap_or(proposed);
        if proposed < current { highest.min(current) } else { proposed }
    }

    fn limit(&mut self, current: u32, wanted: u32, now: SystemTime) -> u32 {
        forget(&mut self.added, UP_PERIOD, now);
        let added: u32 = self.added.iter().map(|&(_, count)| count).sum();
        let start = current.saturating_sub(added);
        let most = start.saturating_add(4).max(start.saturating_mul(2)).max(current);
        let wanted = wanted.min(most).clamp(self.bounds.0, self.bounds.1);
        if wanted > current {
            self.added.push_back((now, wanted - current));
        }
        wanted
    }
}

impl Policy for HpaDefault {
    fn name(&self) -> &str {
        &self.name
    }

    fn decide(&mut self, seen: &Observation, now: SystemTime) -> u32 {
        let current = seen.current.desired;
        let proposed = self.propose(seen);
        let wanted = self.stabilize(current, proposed, now);
        self.limit(current, wanted, now)
    }
}

/// What one metric asks for.
fn ask(name: &str, target: f64, seen: &Observation) -> Option<u32> {
    let current = seen.current.desired;
    let signal = seen.signals.iter().find(|signal| *signal.name == *name)?;
    let value =
        |sample: &crate::Sample| Some((Arc::clone(&sample.instance), sample.value?.as_f64()));
    let values: BTreeMap<_, _> = signal.samples.iter().filter_map(value).collect();
    let (mut sum, mut known, mut unready) = (0.0, 0.0, 0.0);
    for instance in seen.instances.as_deref().unwrap_or_default() {
        match values.get(&instance.name) {
            Some(value) if instance.ready => {
                sum += value;
                known += 1.0;
            }
            // Ready but not sampled yet is what the HPA calls unready in a pod's first minutes.
            _ => unready += 1.0,
        }
    }
    if known == 0.0 {
        return None;
    }
    let ratio = sum / known / target;
    let all = if ratio > 1.0 { known + unready } else { known };
    let weighed = sum / all / target;
    let replicas = (weighed * all).ceil() as u32;
    let inside = (weighed - 1.0).abs() <= TOLERANCE;
    let against = (weighed > 1.0 && replicas < current) || (weighed < 1.0 && replicas > current);
    let turned = ratio > 1.0 && weighed < 1.0;
    Some(if inside || turned || against { current } else { replicas })
}

fn forget(entries: &mut VecDeque<(SystemTime, u32)>, after: Duration, now: SystemTime) {
    while entries.front().is_some_and(|&(at, _)| elapsed(at, now) >= after) {
        entries.pop_front();
    }
}
