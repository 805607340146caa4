//! The HPA's formula, in integers: from one signal to the replicas that one metric asks for.
//!
//! `ceil(ratio × ready)`, where the ratio is the average over the instances divided by the target.
//! Inside the hysteresis band the answer is the present size. Missing and unready instances are
//! filled in so that they can only dampen a change: assumed busy when the others ask for less,
//! idle when they ask for more. If that turns the direction around, the present size stays.

use std::sync::Arc;
use std::time::SystemTime;

use crate::decision::{Band, Proposal, Reading, Unknown};
use crate::metric::{MetricSpec, Unit};
use crate::milli::Milli;
use crate::signal::{Observation, Sample, Signal};
use crate::spec::Hysteresis;
use crate::timestamp::{elapsed, later};

/// What 100 % of a request is, in thousandths of a percent.
const WHOLE: u64 = 100_000;

/// What `metric` asks for.
pub(crate) fn propose(
    metric: &MetricSpec,
    hysteresis: &Hysteresis,
    seen: &Observation,
    now: SystemTime,
) -> Proposal {
    let reading = believable(&metric.name, &seen.signals, now)
        .and_then(|signal| Usage::gather(signal, seen))
        .map_or_else(
            |why| Reading::Unknown { why },
            |usage| weigh(usage, metric, hysteresis, seen),
        );
    let edge = |factor: Milli| {
        let edge = u128::from(metric.target.0) * u128::from(factor.0) / 1000;
        Milli(u64::try_from(edge).unwrap_or(u64::MAX))
    };
    Proposal {
        metric: Arc::clone(&metric.name),
        unit: metric.unit,
        target: metric.target,
        low: edge(hysteresis.down_factor),
        high: edge(hysteresis.up_factor),
        reading,
    }
}

/// The one signal of that name, if it is of our time.
fn believable<'a>(
    name: &str,
    signals: &'a [Signal],
    now: SystemTime,
) -> Result<&'a Signal, Unknown> {
    let mut named = signals.iter().filter(|signal| *signal.name == *name);
    let signal = named.next().ok_or(Unknown::Absent)?;
    if named.next().is_some() {
        return Err(Unknown::Ambiguous);
    }
    if elapsed(signal.at, now) > signal.max_age {
        return Err(Unknown::Stale);
    }
    if signal.at > later(now, signal.max_age) {
        return Err(Unknown::FromTheFuture);
    }
    Ok(signal)
}

/// What the instances use together, and how many of them told.
struct Usage {
    sum: u128,
    known: u128,
    missing: u128,
    unready: u128,
}

impl Usage {
    fn gather(signal: &Signal, seen: &Observation) -> Result<Self, Unknown> {
        let mut usage = Self { sum: 0, known: 0, missing: 0, unready: 0 };
        match &seen.instances {
            None => signal.samples.iter().for_each(|sample| usage.count(sample.value)),
            Some(instances) => {
                let samples = ByInstance::new(&signal.samples);
                for instance in instances {
                    match instance.ready {
                        true => usage.count(samples.value(&instance.name)),
                        false => usage.unready += 1,
                    }
                }
            }
        }
        if usage.known == 0 {
            return Err(Unknown::Empty);
        }
        if seen.instances.is_none() && seen.current.ready == 0 {
            // Someone's samples times nobody is zero replicas: a start-up must not scale in.
            return Err(Unknown::NoneReady);
        }
        Ok(usage)
    }

    fn count(&mut self, value: Option<Milli>) {
        match value {
            Some(value) => {
                self.sum += u128::from(value.0);
                self.known += 1;
            }
            None => self.missing += 1,
        }
    }
}

/// Samples in the order of their instances, for look-ups by name.
struct ByInstance<'a>(Vec<(&'a str, Option<Milli>)>);

impl<'a> ByInstance<'a> {
    fn new(samples: &'a [Sample]) -> Self {
        let mut order: Vec<_> = samples.iter().map(|s| (&*s.instance, s.value)).collect();
        order.sort_unstable();
        Self(order)
    }

    /// The value of `instance`; of several, the greatest, whatever their order was.
    fn value(&self, instance: &str) -> Option<Milli> {
        let after = self.0.partition_point(|(name, _)| *name <= instance);
        match self.0.get(after.wrapping_sub(1)) {
            Some(&(name, value)) if name == instance => value,
            _ => None,
        }
    }
}

/// The formula itself.
fn weigh(
    usage: Usage,
    metric: &MetricSpec,
    hysteresis: &Hysteresis,
    seen: &Observation,
) -> Reading {
    let desired = seen.current.desired;
    let measured = Ratio { sum: usage.sum, count: usage.known, target: metric.target.0 };
    let mut ratio = measured;
    if measured.is_below_one() {
        let busy = match metric.unit {
            Unit::Percent => metric.target.0.max(WHOLE),
            Unit::Plain => metric.target.0,
        };
        ratio.sum += usage.missing * u128::from(busy);
        ratio.count += usage.missing;
    } else if measured.is_above_one() {
        ratio.count += usage.missing + usage.unready;
    }

    let band = ratio.band(hysteresis);
    let turned = (measured.is_below_one() && ratio.is_above_one())
        || (measured.is_above_one() && ratio.is_below_one());
    let replicas = if band == Band::Inside || turned {
        desired
    } else {
        let base = match &seen.instances {
            Some(_) => ratio.count,
            None => u128::from(seen.current.ready),
        };
        let replicas = ratio.times(base);
        // A surge or a half-started target has another count than was asked for; the formula
        // must not turn that difference into a change against its own direction.
        let against = (ratio.is_below_one() && replicas > desired)
            || (ratio.is_above_one() && replicas < desired);
        if against { desired } else { replicas }
    };
    let filled = ratio.count - usage.known;
    Reading::Known {
        value: measured.average(),
        weighed: ratio.average(),
        filled: u32::try_from(filled).unwrap_or(u32::MAX),
        band,
        replicas,
    }
}

/// `sum / (count × target)`, kept as its parts so that every comparison is exact.
#[derive(Clone, Copy)]
struct Ratio {
    sum: u128,
    count: u128,
    target: u64,
}

impl Ratio {
    /// What the sum would be if every instance were at its target.
    fn whole(self) -> u128 {
        self.count * u128::from(self.target)
    }

    fn is_below_one(self) -> bool {
        self.sum < self.whole()
    }

    fn is_above_one(self) -> bool {
        self.sum > self.whole()
    }

    fn band(self, hysteresis: &Hysteresis) -> Band {
        let usage = self.sum.saturating_mul(1000);
        let edge = |factor: Milli| self.whole().saturating_mul(u128::from(factor.0));
        if usage < edge(hysteresis.down_factor) {
            Band::Below
        } else if usage >= edge(hysteresis.up_factor) {
            Band::Above
        } else {
            Band::Inside
        }
    }

    /// `ceil(ratio × base)`, held at the end of the range.
    fn times(self, base: u128) -> u32 {
        let replicas = self.sum.saturating_mul(base).div_ceil(self.whole().max(1));
        u32::try_from(replicas).unwrap_or(u32::MAX)
    }

    fn average(self) -> Milli {
        Milli(u64::try_from(self.sum / self.count.max(1)).unwrap_or(u64::MAX))
    }
}
