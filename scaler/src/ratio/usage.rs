//! What the instances use together, and how many of them told.

use std::sync::Arc;
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
        let samples = &signal.samples;
        let is_aligned = crowd.list.is_none_or(|list| are_aligned(list, samples));
        let all_ready = crowd.list.is_none_or(|list| crowd.ready == list.len() as u64);
        let simple = crowd.is_plain && is_aligned && all_ready;
        let mut usage = Self::default();
        // What the first one carries, the others most likely carry too.
        let has_extras = samples.first().is_some_and(|sample| sample.extras() != 0);
        let is_done = simple
            && ((!has_extras && usage.add_plain(samples)) || usage.add_requests(metric, samples));
        if !is_done {
            usage.add_each(metric, signal, crowd, is_aligned, now);
        }
        usage
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

    /// The hot loop of a decision. Whether it could: not if a sample carries more than a value, or if
    /// the sum might not fit 64 bits.
    fn add_plain(&mut self, samples: &[Sample]) -> bool {
        let (mut sum, mut bits, mut told, mut extras) = (0u64, 0u64, 0u64, 0u64);
        for sample in samples {
            let value = sample.value.unwrap_or_default().0;
            sum = sum.wrapping_add(value);
            bits |= value;
            told += u64::from(sample.value.is_some());
            extras |= sample.extras();
        }
        if extras != 0 || bits >= 1 << 44 || samples.len() >= 1 << 20 {
            return false;
        }
        let missing = samples.len() as u64 - told;
        (self.sum, self.weight, self.told) = (sum.into(), told.into(), told);
        (self.missing.count, self.missing.weight) = (missing, missing.into());
        true
    }

    /// The same for samples that may carry requests, but no times of their own.
    #[inline(never)] // It would only crowd the usual way.
    fn add_requests(&mut self, metric: &MetricSpec, samples: &[Sample]) -> bool {
        if metric.unit() != Unit::Percent {
            return false;
        }
        let (mut sum, mut asked, mut all_asked, mut bits) = (0u64, 0u64, 0u64, 0u64);
        let (mut told, mut asking, mut all_asking) = (0u64, 0u64, 0u64);
        let (mut largest, mut has_times) = (0u64, false);
        for sample in samples {
            let (value, request) = (sample.value.unwrap_or_default().0, sample.request_or_zero());
            let of_told = u64::from(sample.value.is_some());
            let asks = u64::from(sample.requested().is_some());
            sum = sum.wrapping_add(value);
            bits |= value | request;
            told += of_told;
            asking += asks & of_told;
            all_asking += asks;
            asked = asked.wrapping_add(request & of_told.wrapping_neg());
            all_asked = all_asked.wrapping_add(request);
            largest = largest.max(request);
            has_times |= sample.measured().is_some();
        }
        if has_times || all_asking == 0 || bits >= 1 << 44 || samples.len() >= 1 << 20 {
            return false;
        }
        let missing = samples.len() as u64 - told;
        let unweighed = missing - (all_asking - asking);
        let weight = u128::from(unweighed) * u128::from(largest) + u128::from(all_asked - asked);
        (self.sum, self.weight) = (u128::from(sum) * u128::from(WHOLE), asked.into());
        (self.told, self.lacks_request) = (told, asking < told);
        (self.missing.count, self.missing.weight) = (missing, weight);
        true
    }

    /// Looks at each instance.
    #[inline(never)] // It would only crowd the usual way.
    fn add_each(
        &mut self,
        metric: &MetricSpec,
        signal: &Signal,
        crowd: &Crowd<'_>,
        is_aligned: bool,
        now: SystemTime,
    ) {
        let (samples, usage) = (&signal.samples, self);
        let of_requests =
            metric.unit() == Unit::Percent && samples.iter().any(|s| s.requested().is_some());
        let mut largest = 0;
        let mut add = |group: Group, sample: Option<&Sample>| {
            let request = match of_requests {
                true => sample.and_then(Sample::requested),
                false => Some(Milli(1)),
            };
            if group == Group::Ignored {
                usage.ignored += 1;
                return;
            }
            largest = largest.max(request.unwrap_or_default().0);
            match group {
                Group::Missing => usage.missing.add(request),
                Group::Unready => usage.unready.add(request),
                Group::Told | Group::Ignored => {
                    let value = sample.and_then(|sample| sample.value).unwrap_or_default();
                    usage.told += 1;
                    usage.sum += u128::from(value.0);
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
                let sorted = if is_aligned { None } else { Some(ByInstance::new(samples)) };
                for (place, instance) in instances.iter().enumerate() {
                    let sample = match &sorted {
                        Some(sorted) => sorted.of(&instance.name),
                        None => samples.get(place),
                    };
                    let at = sample.and_then(|sample| measured(sample, signal, now));
                    add(group(instance, at, metric, signal, now), sample);
                }
            }
        }
        // Whose request is unknown counts as the largest: that dampens most, in both directions.
        for share in [&mut usage.missing, &mut usage.unready] {
            share.weight += u128::from(share.unweighed) * u128::from(largest);
        }
        if of_requests {
            usage.sum = usage.sum.saturating_mul(WHOLE.into());
        }
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
    // The time of the signal itself has been looked at.
    let Some(at) = sample.measured() else { return Some(signal.at) };
    let believed = elapsed(at, now) <= signal.max_age && at <= later(now, signal.max_age);
    believed.then_some(at)
}

/// Whether both name the same instances in the same order, as they do when one source feeds both.
fn are_aligned(instances: &[Instance], samples: &[Sample]) -> bool {
    instances.len() == samples.len()
        && instances.iter().zip(samples).all(|(instance, sample)| {
            let (name, of) = (&instance.name, &sample.instance);
            Arc::ptr_eq(name, of) || name == of
        })
}

/// Samples in the order of their instances, for look-ups by name.
struct ByInstance<'a>(Vec<&'a Sample>);

impl<'a> ByInstance<'a> {
    fn new(samples: &'a [Sample]) -> Self {
        let mut order: Vec<_> = samples.iter().collect();
        order.sort_unstable_by_key(|s| (&*s.instance, s.value, s.requested(), s.measured()));
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
