//! The HPA's formula, in integers: from one signal to the replicas that one metric asks for.
//!
//! `ceil(ratio × ready)`, where the ratio is the average over the instances divided by the target.
//! Inside the hysteresis band the answer is the present size. Missing and unready instances are
//! filled in so that they can only dampen a change: assumed busy when the others ask for less,
//! idle when they ask for more. If that turns the direction around, the present size stays.

use std::sync::Arc;
use std::time::SystemTime;

use crate::metric::{MetricSpec, Unit};
use crate::milli::Milli;
use crate::proposal::{Band, Proposal, Reading, Unknown};
use crate::signal::{Instance, Observation, Sample, Signal};
use crate::spec::ScalerSpec;
use crate::timestamp::{elapsed, later};

/// What 100 % of a request is, in thousandths of a percent.
const WHOLE: u64 = 100_000;

/// The multiples of its target between which a metric asks for nothing. The lower edge holds, as in
/// the HPA; whether the upper one does is ours to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tolerance {
    pub(crate) up: Milli,
    pub(crate) down: Milli,
    pub(crate) upper_edge_acts: bool,
}

/// What each metric of `spec` asks for.
pub(crate) fn propose(spec: &ScalerSpec, seen: &Observation, now: SystemTime) -> Vec<Proposal> {
    let (metrics, signals) = (&spec.metrics, &seen.signals);
    let tolerance = spec.tolerance();
    // One signal for each metric, in the same order, is what a host that loops over the metrics
    // hands in. Names of metrics are unique, so nothing needs to be searched, or is there twice.
    let aligned = metrics.len() == signals.len()
        && metrics.iter().zip(signals).all(|(metric, signal)| metric.name == signal.name);
    let each = metrics.iter().enumerate().map(|(place, metric)| {
        let signal = match aligned {
            true => signals.get(place).ok_or(Unknown::Absent),
            false => named(&metric.name, signals),
        };
        proposal(metric, &tolerance, signal, seen, now)
    });
    each.collect()
}

/// What `metric` asks for, fed by `signal`.
fn proposal(
    metric: &MetricSpec,
    tolerance: &Tolerance,
    signal: Result<&Signal, Unknown>,
    seen: &Observation,
    now: SystemTime,
) -> Proposal {
    let reading = signal
        .and_then(|signal| believable(signal, now))
        .and_then(|signal| Usage::gather(signal, seen))
        .map_or_else(|why| Reading::Unknown { why }, |usage| weigh(usage, metric, tolerance, seen));
    let edge = |factor: Milli| Milli(scaled(metric.target.0, factor.0));
    Proposal {
        metric: Arc::clone(&metric.name),
        unit: metric.unit,
        target: metric.target,
        low: edge(tolerance.down),
        high: edge(tolerance.up),
        reading,
    }
}

/// The one signal of that name.
fn named<'a>(name: &str, signals: &'a [Signal]) -> Result<&'a Signal, Unknown> {
    let mut named = signals.iter().filter(|signal| *signal.name == *name);
    let signal = named.next().ok_or(Unknown::Absent)?;
    if named.next().is_some() { Err(Unknown::Ambiguous) } else { Ok(signal) }
}

/// The signal, if it is of our time.
fn believable(signal: &Signal, now: SystemTime) -> Result<&Signal, Unknown> {
    if let (Some(fault), true) = (signal.fault, signal.samples.is_empty()) {
        return Err(Unknown::Failed(fault));
    }
    if elapsed(signal.at, now) > signal.max_age {
        return Err(signal.fault.map_or(Unknown::Stale, Unknown::Failed));
    }
    if signal.at > later(now, signal.max_age) {
        return Err(Unknown::FromTheFuture);
    }
    Ok(signal)
}

/// `value × milli / 1000`, held at the end of the range.
fn scaled(value: u64, milli: u64) -> u64 {
    match value.checked_mul(milli) {
        Some(product) => product / 1000,
        None => narrow(u128::from(value) * u128::from(milli) / 1000),
    }
}

fn narrow(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// What the instances use together, and how many of them told.
struct Usage {
    sum: u128,
    known: u64,
    missing: u64,
    unready: u64,
}

impl Usage {
    fn gather(signal: &Signal, seen: &Observation) -> Result<Self, Unknown> {
        let samples = &signal.samples;
        let usage = match &seen.instances {
            None => Self::of(samples.iter().map(|sample| sample.value)),
            Some(instances) => {
                let ready = instances.iter().filter(|instance| instance.ready).count();
                let mut usage = if are_aligned(instances, samples) {
                    let both = instances.iter().zip(samples);
                    Self::of(both.filter(|(i, _)| i.ready).map(|(_, sample)| sample.value))
                } else {
                    let samples = ByInstance::new(samples);
                    let ready = instances.iter().filter(|instance| instance.ready);
                    Self::of(ready.map(|instance| samples.value(&instance.name)))
                };
                usage.unready = (instances.len() - ready) as u64;
                usage
            }
        };
        if usage.known == 0 {
            return Err(Unknown::Empty);
        }
        if seen.instances.is_none() && seen.current.ready == 0 {
            // Someone's samples times nobody is zero replicas: a start-up must not scale in.
            return Err(Unknown::NoneReady);
        }
        Ok(usage)
    }

    /// Adds up. One pass without a branch on the values: the hot loop of a decision.
    fn of(values: impl Iterator<Item = Option<Milli>>) -> Self {
        let (mut low, mut carries, mut known, mut all) = (0u64, 0u64, 0u64, 0u64);
        for value in values {
            let (sum, carry) = low.overflowing_add(value.map_or(0, |value| value.0));
            low = sum;
            carries += u64::from(carry);
            known += u64::from(value.is_some());
            all += 1;
        }
        let sum = (u128::from(carries) << 64) | u128::from(low);
        Self { sum, known, missing: all - known, unready: 0 }
    }
}

/// Whether both name the same instances in the same order, as they do when one source feeds both.
fn are_aligned(instances: &[Instance], samples: &[Sample]) -> bool {
    instances.len() == samples.len()
        && instances.iter().zip(samples).all(|(instance, sample)| instance.name == sample.instance)
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
fn weigh(usage: Usage, metric: &MetricSpec, tolerance: &Tolerance, seen: &Observation) -> Reading {
    let desired = seen.current.desired;
    let measured = Ratio { sum: usage.sum, count: usage.known, target: metric.target.0 };
    let mut ratio = measured;
    if measured.is_below_one() {
        let busy = match metric.unit {
            Unit::Percent => metric.target.0.max(WHOLE),
            Unit::Plain => metric.target.0,
        };
        ratio.sum += u128::from(usage.missing) * u128::from(busy);
        ratio.count += usage.missing;
    } else if measured.is_above_one() {
        ratio.count += usage.missing + usage.unready;
    }

    let band = ratio.band(tolerance);
    let turned = (measured.is_below_one() && ratio.is_above_one())
        || (measured.is_above_one() && ratio.is_below_one());
    let replicas = if band == Band::Inside || turned {
        desired
    } else {
        let base = match &seen.instances {
            Some(_) => ratio.count,
            None => u64::from(seen.current.ready),
        };
        let replicas = ratio.times(base);
        // A surge or a half-started target has another count than was asked for; the formula
        // must not turn that difference into a change against its own direction.
        let against = (ratio.is_below_one() && replicas > desired)
            || (ratio.is_above_one() && replicas < desired);
        if against { desired } else { replicas }
    };
    let filled = ratio.count - usage.known;
    let value = measured.average();
    Reading::Known {
        value,
        weighed: if filled == 0 { value } else { ratio.average() },
        filled: u32::try_from(filled).unwrap_or(u32::MAX),
        band,
        replicas,
    }
}

/// `sum / (count × target)`, kept as its parts so that every comparison is exact.
#[derive(Clone, Copy)]
struct Ratio {
    sum: u128,
    count: u64,
    target: u64,
}

impl Ratio {
    /// What the sum would be if every instance were at its target.
    fn whole(self) -> u128 {
        u128::from(self.count) * u128::from(self.target)
    }

    fn is_below_one(self) -> bool {
        self.sum < self.whole()
    }

    fn is_above_one(self) -> bool {
        self.sum > self.whole()
    }

    fn band(self, tolerance: &Tolerance) -> Band {
        // No product overflows: there are fewer than 2^44 samples in any memory, each below 2^64,
        // and a validated factor is below 2^17.
        let usage = self.sum * 1000;
        let edge = |factor: Milli| self.whole() * u128::from(factor.0);
        let upper = edge(tolerance.up);
        if usage < edge(tolerance.down) {
            Band::Below
        } else if usage > upper || (tolerance.upper_edge_acts && usage == upper) {
            Band::Above
        } else {
            Band::Inside
        }
    }

    /// `ceil(ratio × base)`, held at the end of the range.
    fn times(self, base: u64) -> u32 {
        let usage = self.sum.saturating_mul(u128::from(base));
        u32::try_from(usage.div_ceil(self.whole().max(1))).unwrap_or(u32::MAX)
    }

    fn average(self) -> Milli {
        let count = self.count.max(1);
        // A division of 128 bits costs ten times one of 64.
        Milli(match u64::try_from(self.sum) {
            Ok(sum) => sum / count,
            Err(_) => narrow(self.sum / u128::from(count)),
        })
    }
}
