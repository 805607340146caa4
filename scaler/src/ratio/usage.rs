//! What the instances use together, and how many of them told.

use std::time::SystemTime;

use super::WHOLE;
use super::crowd::{Crowd, Group, group};
use crate::metric::{MetricSpec, Unit};
use crate::milli::Milli;
use crate::proposal::{Tally, Unknown};
use crate::signal::{Instance, Sample, Signal};
use crate::timestamp::{elapsed, later};

/// What the instances use together, and how many of them told.
#[derive(Default)]
pub(super) struct Usage {
    pub(super) sum: u128,
    /// How many told; with requests, what those that told asked for.
    pub(super) weight: u128,
    pub(super) told: u64,
    pub(super) missing: Share,
    pub(super) unready: Share,
    ignored: u64,
    /// Whether one of those that told has no request, and others have one.
    lacks_request: bool,
}

/// Some of the instances, and what they weigh in an average.
#[derive(Default, Clone, Copy)]
pub(super) struct Share {
    pub(super) count: u64,
    pub(super) weight: u128,
    /// How many of them have no request that is known.
    unweighed: u64,
}

impl Usage {
    pub(super) fn gather(
        metric: &MetricSpec,
        signal: &Signal,
        crowd: &Crowd<'_>,
        now: SystemTime,
    ) -> Self {
        let plain = if crowd.is_plain { Self::plain(&signal.samples, crowd) } else { None };
        plain.unwrap_or_else(|| Self::detailed(metric, signal, crowd, now))
    }

    /// Why nothing can be said, if nothing can.
    pub(super) fn check(&self, crowd: &Crowd<'_>) -> Result<(), Unknown> {
        if self.told == 0 {
            return Err(Unknown::Empty);
        }
        if crowd.list.is_none() && crowd.ready == 0 {
            // Someone's samples times nobody is zero replicas: a start-up must not scale in.
            return Err(Unknown::NoneReady);
        }
        if self.lacks_request || self.weight == 0 {
            return Err(Unknown::NoRequest);
        }
        Ok(())
    }

    pub(super) fn tally(&self) -> Tally {
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Tally {
            told: count(self.told),
            missing: count(self.missing.count),
            unready: count(self.unready.count),
            ignored: count(self.ignored),
        }
    }

    /// Adds up samples that carry a value and nothing else, of instances in the same order; `None`
    /// if they are not like that.
    fn plain(samples: &[Sample], crowd: &Crowd<'_>) -> Option<Self> {
        let Some(instances) = crowd.list else {
            return Self::of(samples.iter());
        };
        if !are_aligned(instances, samples) {
            return None;
        }
        let both = instances.iter().zip(samples);
        let mut usage = Self::of(both.filter(|(i, _)| i.ready).map(|(_, sample)| sample))?;
        let unready = instances.len() as u64 - crowd.ready;
        usage.unready = Share { count: unready, weight: u128::from(unready), unweighed: 0 };
        Some(usage)
    }

    /// One pass without a branch on the values: the hot loop of a decision.
    fn of<'a>(samples: impl Iterator<Item = &'a Sample>) -> Option<Self> {
        let (mut low, mut carries, mut known, mut all) = (0u64, 0u64, 0u64, 0u64);
        let mut is_more = false;
        for sample in samples {
            let (sum, carry) = low.overflowing_add(sample.value.map_or(0, |value| value.0));
            low = sum;
            carries += u64::from(carry);
            known += u64::from(sample.value.is_some());
            all += 1;
            is_more |= sample.request.is_some() | sample.at.is_some();
        }
        if is_more {
            return None;
        }
        let missing = all - known;
        Some(Self {
            sum: (u128::from(carries) << 64) | u128::from(low),
            weight: u128::from(known),
            told: known,
            missing: Share { count: missing, weight: u128::from(missing), unweighed: 0 },
            ..Self::default()
        })
    }

    /// Looks at each instance.
    fn detailed(metric: &MetricSpec, signal: &Signal, crowd: &Crowd<'_>, now: SystemTime) -> Self {
        let samples = &signal.samples;
        let of_requests =
            metric.unit() == Unit::Percent && samples.iter().any(|s| s.request.is_some());
        let mut usage = Self::default();
        let mut largest = 0;
        let mut add = |group: Group, sample: Option<&Sample>| {
            let request = match of_requests {
                true => sample.and_then(|sample| sample.request),
                false => Some(Milli(1)),
            };
            if group != Group::Ignored {
                largest = largest.max(request.unwrap_or_default().0);
            }
            match group {
                Group::Ignored => usage.ignored += 1,
                Group::Missing => usage.missing.add(request),
                Group::Unready => usage.unready.add(request),
                Group::Told => {
                    let value = sample.and_then(|sample| sample.value).unwrap_or_default().0;
                    let unit = if of_requests { WHOLE } else { 1 };
                    usage.told += 1;
                    usage.sum = usage.sum.saturating_add(u128::from(value) * u128::from(unit));
                    usage.weight += u128::from(request.unwrap_or_default().0);
                    usage.lacks_request |= request.is_none();
                }
            }
        };
        match crowd.list {
            None => {
                for sample in samples {
                    let told = measured(sample, signal, now).is_some();
                    add(if told { Group::Told } else { Group::Missing }, Some(sample));
                }
            }
            Some(instances) => {
                let samples = ByInstance::new(samples);
                for instance in instances {
                    let sample = samples.of(&instance.name);
                    let at = sample.and_then(|sample| measured(sample, signal, now));
                    add(group(instance, at, metric, signal, now), sample);
                }
            }
        }
        // Whose request is unknown counts as the largest: that dampens most, in both directions.
        for share in [&mut usage.missing, &mut usage.unready] {
            share.weight += u128::from(share.unweighed) * u128::from(largest);
        }
        usage
    }
}

impl Share {
    fn add(&mut self, request: Option<Milli>) {
        self.count += 1;
        self.weight += u128::from(request.unwrap_or_default().0);
        self.unweighed += u64::from(request.is_none());
    }
}

/// When `sample` was measured, if it has a value of our time.
fn measured(sample: &Sample, signal: &Signal, now: SystemTime) -> Option<SystemTime> {
    sample.value?;
    let at = sample.at.unwrap_or(signal.at);
    let believed = elapsed(at, now) <= signal.max_age && at <= later(now, signal.max_age);
    believed.then_some(at)
}

/// Whether both name the same instances in the same order, as they do when one source feeds both.
fn are_aligned(instances: &[Instance], samples: &[Sample]) -> bool {
    instances.len() == samples.len()
        && instances.iter().zip(samples).all(|(instance, sample)| instance.name == sample.instance)
}

/// Samples in the order of their instances, for look-ups by name.
struct ByInstance<'a>(Vec<&'a Sample>);

impl<'a> ByInstance<'a> {
    fn new(samples: &'a [Sample]) -> Self {
        let mut order: Vec<_> = samples.iter().collect();
        order.sort_unstable_by_key(|s| (&*s.instance, s.value, s.request, s.at));
        Self(order)
    }

    /// The sample of `instance`; of several, the one with the greatest value, whatever their order
    /// was.
    fn of(&self, instance: &str) -> Option<&'a Sample> {
        let after = self.0.partition_point(|sample| *sample.instance <= *instance);
        let sample = self.0.get(after.wrapping_sub(1))?;
        (*sample.instance == *instance).then_some(*sample)
    }
}
