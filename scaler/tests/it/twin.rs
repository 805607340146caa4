//! The HPA's normalisation of a recommendation, written down naively, beside the decider: a whole
//! list of everything that ever happened, in floats, as its authors have it.

use std::time::Duration;

use birl_scaler::{
    Behavior, Decider, MetricSpec, Milli, Observation, PolicyKind, Replicas, Sample, ScalerSpec,
    ScalingPolicy, ScalingRules, SelectPolicy, Signal,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{at, decider, seconds};

#[derive(Default)]
struct Hpa {
    recommendations: Vec<(u64, u32)>,
    ups: Vec<(u64, u32)>,
    downs: Vec<(u64, u32)>,
}

impl Hpa {
    fn decide(
        &mut self,
        behavior: &Behavior,
        bounds: (u32, u32),
        from: u32,
        wanted: u32,
        now: u64,
    ) -> u32 {
        if self.recommendations.is_empty() {
            self.recommendations.push((now, from));
        }
        let within = |window: Duration| {
            let list = self.recommendations.iter();
            list.filter(move |(at, _)| now - at < window.as_secs()).map(|(_, replicas)| *replicas)
        };
        let lowest = within(behavior.scale_up.stabilization_window).fold(wanted, u32::min);
        let highest = within(behavior.scale_down.stabilization_window).fold(wanted, u32::max);
        self.recommendations.push((now, wanted));
        let stable = from.max(lowest).min(highest);

        let start = |policy: &ScalingPolicy| {
            let sum = |list: &[(u64, u32)]| -> f64 {
                let fresh = list.iter().filter(|(at, _)| now - at < policy.period.as_secs());
                fresh.map(|(_, by)| f64::from(*by)).sum()
            };
            f64::from(from) - sum(&self.ups) + sum(&self.downs)
        };
        let bound = |rules: &ScalingRules, sign: f64| {
            let each = rules.policies.iter().map(|policy| match policy.kind {
                PolicyKind::Pods => start(policy) + sign * f64::from(policy.value),
                PolicyKind::Percent => {
                    let exact = start(policy) * (100.0 + sign * f64::from(policy.value)) / 100.0;
                    if sign > 0.0 { exact.ceil() } else { exact.trunc() }
                }
            });
            let largest_change = |one: f64, other: f64| match sign > 0.0 {
                true => one.max(other),
                false => one.min(other),
            };
            let smallest_change = |one: f64, other: f64| match sign > 0.0 {
                true => one.min(other),
                false => one.max(other),
            };
            match rules.select_policy {
                SelectPolicy::Disabled => f64::from(from),
                SelectPolicy::Max => each.reduce(largest_change).unwrap(),
                SelectPolicy::Min => each.reduce(smallest_change).unwrap(),
            }
        };
        let to = if stable > from {
            let limit = bound(&behavior.scale_up, 1.0).max(f64::from(from));
            f64::from(stable).min(limit.min(f64::from(bounds.1))) as u32
        } else if stable < from {
            let limit = bound(&behavior.scale_down, -1.0).min(f64::from(from));
            f64::from(stable).max(limit.max(f64::from(bounds.0))) as u32
        } else {
            from
        };
        if to > from {
            self.ups.push((now, to - from));
        } else if to < from {
            self.downs.push((now, from - to));
        }
        to
    }
}

fn any_rules() -> impl Strategy<Value = ScalingRules> {
    let kind = prop_oneof![Just(PolicyKind::Pods), Just(PolicyKind::Percent)];
    let policy = (kind, 1u32..150, 1u64..=1800).prop_map(|(kind, value, period)| match kind {
        PolicyKind::Pods => ScalingPolicy::pods(value, seconds(period)),
        PolicyKind::Percent => ScalingPolicy::percent(value, seconds(period)),
    });
    let select = prop_oneof![
        4 => Just(SelectPolicy::Max), 4 => Just(SelectPolicy::Min), 1 => Just(SelectPolicy::Disabled)
    ];
    (vec(policy, 1..4), select, prop_oneof![Just(0u64), 0u64..=3600]).prop_map(
        |(policies, select, window)| {
            let mut rules = ScalingRules::up();
            (rules.policies, rules.select_policy) = (policies, select);
            rules.stabilization_window = seconds(window);
            rules
        },
    )
}

fn wanting(current: u32, wanted: u32, second: u64) -> Observation {
    let (count, sum) = (u64::from(current), u64::from(wanted) * 1000);
    let samples = (0..count).map(|n| {
        let mut sample = Sample::unknown(format!("pod-{n}"));
        sample.value = Some(Milli(sum / count + u64::from(n < sum % count)));
        sample
    });
    let signal = Signal::new("load", samples.collect(), at(second));
    Observation::new(Replicas::ready(current)).signal(signal)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Through any history, with a restart in the middle of it, and with some changes that fail.
    #[test]
    fn the_decider_is_the_hpa(
        up in any_rules(), down in any_rules(), first in 1u32..60, room in 1u32..200,
        moments in vec((15u64..400, 0u32..250, prop::bool::weighted(0.9)), 1..60),
        restart in any::<prop::sample::Index>(),
    ) {
        let mut spec = ScalerSpec::hpa("workers", 1, first + room);
        spec.metrics = vec![MetricSpec::average("load", Milli(1000))];
        (spec.hysteresis.up_factor, spec.hysteresis.down_factor) = (Milli(1000), Milli(1000));
        spec.cool_down.max_gap = seconds(1_000_000);
        let mut behavior = Behavior::default();
        (behavior.scale_up, behavior.scale_down) = (up, down);
        spec.behavior = Some(behavior.clone());
        let (mut ours, mut hpa) = (decider(spec.clone()), Hpa::default());
        let restart = restart.index(moments.len());
        let (mut second, mut from) = (0, first);
        for (n, (gap, wanted, applied)) in moments.into_iter().enumerate() {
            second += gap;
            if n == restart {
                let saved = serde_json::to_string(ours.state()).unwrap();
                let state = serde_json::from_str(&saved).unwrap();
                ours = Decider::with_state(spec.clone(), state).unwrap();
            }
            let decision = ours.decide(&wanting(from, wanted, second), at(second));
            let bounds = (1, first + room);
            let (ups, downs) = (hpa.ups.len(), hpa.downs.len());
            let to = hpa.decide(&behavior, bounds, from, wanted, second);
            prop_assert_eq!(decision.to, to, "second {}: {}", second, decision);
            if applied {
                ours.applied(&decision, Ok(()), at(second));
                from = to;
            } else {
                ours.applied(&decision, Err("no room"), at(second));
                hpa.ups.truncate(ups);
                hpa.downs.truncate(downs);
            }
        }
    }
}
