//! Numbers about the target as a whole: the HPA's Object and External metrics.
//!
//! With a Value the replicas are `ceil(sum ÷ target × ready)`: the number shrinks as the target
//! grows, as a lag does. With an AverageValue they are `ceil(sum ÷ target)`: the number is shared,
//! as the length of a queue is, and the band is around `sum ÷ (target × replicas)`.

use super::Tolerance;
use super::crowd::Crowd;
use super::fraction::Fraction;
use crate::metric::{MetricSpec, TargetType};
use crate::proposal::{Band, Reading, Unknown};
use crate::signal::Signal;

/// What the one number of `signal` gives.
#[inline(never)] // It would only crowd the usual way.
pub(super) fn read(
    metric: &MetricSpec,
    tolerance: Tolerance,
    signal: &Signal,
    crowd: &Crowd<'_>,
) -> Result<Reading, Unknown> {
    if signal.samples.iter().all(|sample| sample.value.is_none()) {
        return Err(Unknown::Empty);
    }
    let mut sum = 0u128;
    for sample in &signal.samples {
        // A sum that lacks a part is too small, and would scale in.
        sum += u128::from(sample.value.ok_or(Unknown::Partial)?.0);
    }
    let desired = crowd.desired;
    let all = Fraction::new(sum, 1, metric.target.0);
    let (value, band, replicas) = match metric.target_type {
        TargetType::AverageValue => {
            let share = Fraction::new(sum, crowd.status.into(), metric.target.0);
            let band = share.band(tolerance);
            let replicas = match band {
                // Nothing shares it yet, so there is no ratio.
                _ if crowd.status == 0 || desired == 0 => all.times(1),
                // The HPA answers with the count of the platform, and outside the band with more
                // than were asked for on a share that is below its target: during a rolling update
                // the share is that of a size that nobody asked for. Here a hold is a hold.
                Band::Inside => desired,
                Band::Below => all.times(1).min(desired),
                Band::Above => all.times(1).max(desired),
            };
            let value = if crowd.status == 0 { Default::default() } else { share.average_up() };
            (value, band, replicas)
        }
        _ => {
            let band = all.band(tolerance);
            let replicas = match band {
                // From nothing there is no change that could be too small.
                _ if desired == 0 => all.times(1),
                Band::Inside => desired,
                _ if crowd.ready == 0 => return Err(Unknown::NoneReady),
                // A surge must not grow on a number that asks for less.
                Band::Below => all.times(crowd.ready).min(desired),
                Band::Above => all.times(crowd.ready),
            };
            (all.average(), band, replicas)
        }
    };
    Ok(Reading::Known { value, weighed: value, filled: 0, band, replicas })
}
