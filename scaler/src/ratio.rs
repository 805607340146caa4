//! The HPA's formula, in integers: from one signal to the replicas that one metric asks for.
//!
//! `ceil(ratio × ready)`, where the ratio is the average over the instances divided by the target.
//! Inside the band the answer is the present size. Missing and unready instances are filled in so
//! that they can only dampen a change: assumed busy when the others ask for less, idle when they
//! ask for more. If that turns the direction around, the present size stays. A number about the
//! target as a whole has no instances to fill in: [`whole`].
//!
//! Where this differs from Kubernetes' replica calculator, it holds: a utilization is not cut to
//! whole percents first; another number of instances than was asked for (a surge, a start) never
//! turns a ratio below one into more replicas; and nobody ready is Unknown rather than zero
//! replicas. A number about the target as a whole that lies above its band gives fewer replicas than
//! there are where few of them are ready; it is proposed, as there, and not acted upon.

mod crowd;
mod fraction;
mod usage;
mod whole;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::belief;
use crate::metric::{MetricSpec, Unit};
use crate::milli::Milli;
use crate::proposal::{Band, Proposal, Reading, Tally, Unknown};
use crate::signal::{Observation, Signal};
use crate::spec::ScalerSpec;
use crowd::Crowd;
use fraction::Fraction;
use usage::Usage;

/// What 100 % of a request is, in thousandths of a percent.
const WHOLE: u64 = 100_000;

/// The edges of the band around a target in which a metric asks for nothing, as multiples of it.
///
/// A ratio below `down` acts and one at `down` holds. At `up` it acts if `upper_edge_acts`, which
/// is how hysteresis factors are meant; the HPA's tolerance holds there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tolerance {
    pub(crate) up: Milli,
    pub(crate) down: Milli,
    pub(crate) upper_edge_acts: bool,
}

/// What each metric of `spec` asks for.
pub(crate) fn propose(spec: &ScalerSpec, seen: &Observation, now: SystemTime) -> Vec<Proposal> {
    let (metrics, signals) = (&spec.metrics, &seen.signals);
    // One signal for each metric, in the same order, is what a host that loops over the metrics
    // hands in. Names of metrics are unique, so nothing needs to be searched, or is there twice.
    let aligned = metrics.len() == signals.len()
        && metrics.iter().zip(signals).all(|(metric, signal)| metric.name == signal.name);
    let tolerance = spec.tolerance();
    let mut judge = Judge { tolerance, crowd: Crowd::of(seen), now, fresh: None };
    // Filled in where they lie: a copy of what was just written is most of the cost of a reading.
    let mut proposals: Vec<Proposal> =
        metrics.iter().map(|metric| blank(metric, tolerance)).collect();
    for (place, (metric, proposal)) in metrics.iter().zip(&mut proposals).enumerate() {
        let signal = match aligned {
            true => signals.get(place).ok_or(Unknown::Absent),
            false => belief::named(&metric.name, signals),
        };
        let read = signal.and_then(|signal| {
            judge.believe(signal)?;
            proposal.fault = signal.fault;
            judge.read(metric, signal, proposal)
        });
        if let Err(why) = read {
            proposal.reading = Reading::Unknown { why };
        }
    }
    proposals
}

/// What there is to say of `metric` before anything was measured.
fn blank(metric: &MetricSpec, tolerance: Tolerance) -> Proposal {
    let edge = |factor: Milli| Milli(scaled(metric.target.0, factor.0));
    Proposal {
        metric: Arc::clone(&metric.name),
        unit: metric.unit(),
        target: metric.target,
        low: edge(tolerance.down),
        high: edge(tolerance.up),
        tally: Tally::default(),
        fault: None,
        reading: Reading::Unknown { why: Unknown::Absent },
    }
}

/// What all metrics of one decision are judged by.
struct Judge<'a> {
    tolerance: Tolerance,
    crowd: Crowd<'a>,
    now: SystemTime,
    /// The time and the most age of the last signal that was believed: most have the same.
    fresh: Option<(SystemTime, Duration)>,
}

/// `value × milli / 1000`, held at the end of the range.
fn scaled(value: u64, milli: u64) -> u64 {
    match value.checked_mul(milli) {
        Some(product) => product / 1000,
        None => fraction::narrow(u128::from(value) * u128::from(milli) / 1000),
    }
}

impl Judge<'_> {
    /// Whether `signal` is to be believed. Most have the time of the one before.
    fn believe(&mut self, signal: &Signal) -> Result<(), Unknown> {
        let fresh = Some((signal.at, signal.max_age));
        if self.fresh == fresh && signal.fault.is_none() {
            return Ok(());
        }
        belief::believe(signal, self.now)?;
        self.fresh = fresh;
        Ok(())
    }

    /// Reads what `metric` asks for into its `proposal`.
    fn read(
        &self,
        metric: &MetricSpec,
        signal: &Signal,
        proposal: &mut Proposal,
    ) -> Result<(), Unknown> {
        if metric.is_of_the_whole() {
            proposal.reading = whole::read(metric, self.tolerance, signal, &self.crowd)?;
            return Ok(());
        }
        let usage = Usage::gather(metric, signal, &self.crowd, self.now);
        proposal.tally = usage.tally();
        usage.check(&self.crowd)?;
        self.weigh(&usage, metric, proposal);
        Ok(())
    }

    /// The formula itself, for numbers of each instance.
    fn weigh(&self, usage: &Usage, metric: &MetricSpec, proposal: &mut Proposal) {
        let desired = self.crowd.desired;
        let measured = Fraction::new(usage.sum, usage.weight, metric.target.0);
        let (mut ratio, mut filled) = (measured, 0);
        if measured.is_below_one() {
            let busy = match metric.unit() {
                Unit::Percent => metric.target.0.max(WHOLE),
                Unit::Plain => metric.target.0,
            };
            filled = usage.missing.count;
            if filled > 0 {
                let weight = usage.missing.weight;
                ratio = measured.with(weight.saturating_mul(u128::from(busy)), weight);
            }
        } else if measured.is_above_one() {
            filled = usage.missing.count + usage.unready.count;
            if filled > 0 {
                ratio = measured.with(0, usage.missing.weight.saturating_add(usage.unready.weight));
            }
        }

        let band = ratio.band(self.tolerance);
        let turned = (measured.is_below_one() && ratio.is_above_one())
            || (measured.is_above_one() && ratio.is_below_one());
        let replicas = if band == Band::Inside || turned {
            desired
        } else {
            let base = match self.crowd.list {
                Some(_) => usage.told + filled,
                None => self.crowd.ready,
            };
            let replicas = ratio.times(base);
            // A surge or a half-started target has another count than was asked for; the formula
            // must not turn that difference into a change against its own direction.
            let against = (ratio.is_below_one() && replicas > desired)
                || (ratio.is_above_one() && replicas < desired);
            if against { desired } else { replicas }
        };
        let value = measured.average();
        proposal.reading = Reading::Known {
            value,
            weighed: if filled == 0 { value } else { ratio.average() },
            filled: u32::try_from(filled).unwrap_or(u32::MAX),
            band,
            replicas,
        };
    }
}
