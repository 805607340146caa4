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
        let asks = samples.first().is_some_and(|sample| sample.requested().is_some());
        let is_done = simple
            && match asks {
                false => usage.add_plain(samples),
                true => metric.unit() == Unit::Percent && usage.add_requests(samples),
            };
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

    /// The hot loop of a decision: every sample has a value and nothing else. Whether it is so, and
    /// the sum fits 64 bits.
    fn add_plain(&mut self, samples: &[Sample]) -> bool {
        // Two of `extras`: each would wait for the one before.
        let (mut sum, mut bits, mut extras) = (0u64, 0u64, [0u64; 2]);
        for sample in samples {
            let Some(Milli(value)) = sample.value else { return false };
            sum = sum.wrapping_add(value);
            bits |= value;
            let [request, time] = sample.extras();
            extras[0] |= request;
            extras[1] |= time;
        }
        if extras != [0; 2] || is_large(bits, samples) {
            return false;
        }
        self.told = samples.len() as u64;
        (self.sum, self.weight) = (sum.into(), self.told.into());
        true
    }

    /// The same where every sample has a value and a request.
    #[inline(never)] // It would only crowd the usual way.
    fn add_requests(&mut self, samples: &[Sample]) -> bool {
        let (mut sum, mut asked, mut bits, mut times) = (0u64, 0u64, 0u64, 0u64);
        for sample in samples {
            let (Some(Milli(value)), Some(Milli(request))) = (sample.value, sample.requested())
            else {
                return false;
            };
            sum = sum.wrapping_add(value);
            asked = asked.wrapping_add(request);
            bits |= value | request;
            times |= u64::from(sample.measured().is_some());
        }
        if times != 0 || is_large(bits, samples) {
            return false;
        }
        self.told = samples.len() as u64;
        (self.sum, self.weight) = (u128::from(sum) * u128::from(WHOLE), asked.into());
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

/// Whether the sum of `samples`, whose values have these `bits`, might not fit 64 bits.
fn is_large(bits: u64, samples: &[Sample]) -> bool {
    bits >= 1 << 44 || samples.len() >= 1 << 20
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
