//! Kubernetes' own rows of `behavior`: of the scaling-rules tests in
//! `pkg/controller/podautoscaler/horizontal_test.go`, as facts in `behavior/*.jsonl`, names kept.
//!
//! Each runs through the whole decider: recommendations and events come about by deciding and
//! applying earlier, as they do in life, and the metric asks for just what the row says. How long
//! the lists of upstream's memory are is not a fact about scaling; ours hold only what still counts.

use std::time::{Duration, SystemTime};

use birl_scaler::{
    Action, Behavior, Change, ConditionKind, Decider, Decision, Limit, MetricSpec, Milli,
    Observation, Reason, Replicas, Sample, ScaleIntent, ScalerSpec, ScalingPolicy, ScalingRules,
    SelectPolicy, Signal,
};
use serde::Deserialize;

use crate::support::{ask, at, cpu, decider, decision, prompt, seconds, step};

/// When a row's decision is made; its past lies before.
const NOW: u64 = 10_000;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Rules {
    pods: Option<(u32, u64)>,
    percent: Option<(u32, u64)>,
    #[serde(default)]
    select: SelectPolicy,
    #[serde(default)]
    window: u64,
}

impl Rules {
    fn read(&self, mut rules: ScalingRules) -> ScalingRules {
        rules.stabilization_window = seconds(self.window);
        rules.select_policy = self.select;
        let pods = self.pods.map(|(value, period)| ScalingPolicy::pods(value, seconds(period)));
        let percent =
            self.percent.map(|(value, period)| ScalingPolicy::percent(value, seconds(period)));
        rules.policies = pods.into_iter().chain(percent).collect();
        rules
    }
}

/// Nothing is in the way: no window, and policies that allow everything.
fn open(period: u64) -> ScalerSpec {
    let mut spec = ScalerSpec::new("workers", 0, 1_000_000);
    (spec.cool_down.scale_up, spec.cool_down.scale_down) = (Duration::ZERO, Duration::ZERO);
    spec.cool_down.max_gap = seconds(1_000_000);
    (spec.hysteresis.up_factor, spec.hysteresis.down_factor) = (Milli(1000), Milli(1000));
    spec.brake.max_actions_per_hour = 3600;
    let all = Rules { pods: Some((1_000_000, period)), ..Rules::default() };
    let mut behavior = Behavior::default();
    behavior.scale_up = all.read(ScalingRules::up());
    behavior.scale_down = all.read(ScalingRules::down());
    spec.behavior = Some(behavior);
    spec
}

/// `current` instances, whose metric asks for just `wanted`.
fn wanting(current: u32, wanted: u32, now: SystemTime) -> Observation {
    let (count, sum) = (u64::from(current), u64::from(wanted) * 1000);
    let samples = (0..count).map(|n| {
        let mut sample = Sample::unknown(format!("pod-{n}"));
        sample.value = Some(Milli(sum / count + u64::from(n < sum % count)));
        sample
    });
    Observation::new(Replicas::ready(current)).signal(Signal::new("load", samples.collect(), now))
}

fn load() -> Vec<MetricSpec> {
    vec![MetricSpec::average("load", Milli(1000))]
}

/// Lets the target go through `sizes`, each after so many seconds before now.
fn live_through(decider: &mut Decider, sizes: &[(f64, u32)], mut from: u32) {
    for (n, (ago, to)) in sizes.iter().enumerate() {
        let now = at(NOW) - Duration::from_secs_f64(*ago);
        let to = step(decider, &ask(from, &format!("past/{n}"), Change::To(*to)), now);
        from = to;
    }
}

fn condition(decision: &Decision, kind: ConditionKind) -> &'static str {
    decision.conditions().iter().find(|condition| condition.kind == kind).unwrap().reason
}

#[test]
fn rows_of_the_scaling_rules() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        test: String,
        name: String,
        current: u32,
        wanted: u32,
        min: u32,
        max: u32,
        up: Option<Rules>,
        down: Option<Rules>,
        #[serde(default)]
        added: Vec<u32>,
        #[serde(default)]
        removed: Vec<u32>,
        expected: u32,
        condition: String,
    }
    let mut rows = 0;
    for line in include_str!("behavior/scaling_rules.jsonl").lines() {
        let row: Row = serde_json::from_str(line).unwrap();
        // Events lie in the middle of equal parts of the last two minutes.
        let spread = |changes: &[u32], sign: i64| -> Vec<(f64, i64)> {
            let part = 120.0 / changes.len() as f64;
            let at = |n: usize| 120.0 - part * (n as f64 + 0.5);
            changes.iter().enumerate().map(|(n, by)| (at(n), sign * i64::from(*by))).collect()
        };
        let mut events = spread(&row.added, 1);
        events.extend(spread(&row.removed, -1));
        events.sort_by(|one, other| other.0.total_cmp(&one.0));
        let total: i64 = events.iter().map(|(_, by)| by).sum();
        let first = (i64::from(row.current) - total) as u32;
        let mut size = i64::from(first);
        let sizes: Vec<(f64, u32)> = std::iter::once((200.0, first))
            .chain(events.into_iter().map(|(ago, by)| {
                size += by;
                (ago, size as u32)
            }))
            .collect();
        let mut spec = open(300);
        let mut decider = decider(spec.clone());
        live_through(&mut decider, &sizes, first);

        (spec.min_replicas, spec.max_replicas) = (row.min, row.max);
        spec.metrics = load();
        let mut behavior = Behavior::default();
        if let Some(rules) = &row.up {
            behavior.scale_up = rules.read(ScalingRules::up());
        }
        if let Some(rules) = &row.down {
            behavior.scale_down = rules.read(ScalingRules::down());
        }
        spec.behavior = Some(behavior);
        decider.replace(spec).unwrap();
        let decision = decider.decide(&wanting(row.current, row.wanted, at(NOW)), at(NOW));
        let (test, name) = (&row.test, &row.name);
        assert_eq!(decision.to, row.expected, "{test}, {name}: {decision}");
        let limited = condition(&decision, ConditionKind::ScalingLimited);
        assert_eq!(limited, row.condition, "{test}, {name}: {decision}");
        rows += 1;
    }
    assert_eq!(rows, 49);
}

#[test]
fn rows_of_the_stabilization_windows() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        test: String,
        name: String,
        /// How many, and how many seconds ago.
        recommendations: Vec<(u32, u64)>,
        current: u32,
        wanted: u32,
        up: u64,
        down: u64,
        expected: u32,
        condition: Option<String>,
    }
    let mut rows = 0;
    for line in include_str!("behavior/stabilization.jsonl").lines() {
        let row: Row = serde_json::from_str(line).unwrap();
        let mut spec = open(15);
        spec.metrics = load();
        let behavior = spec.behavior.as_mut().unwrap();
        behavior.scale_up.stabilization_window = seconds(row.up);
        behavior.scale_down.stabilization_window = seconds(row.down);
        let mut decider = decider(spec);
        let mut look = |wanted, now| decider.decide(&wanting(row.current, wanted, now), now);
        look(row.current, at(0));
        let mut past = row.recommendations.clone();
        past.sort_by_key(|(_, ago)| std::cmp::Reverse(*ago));
        for (wanted, ago) in past {
            look(wanted, at(NOW - ago)); // decided, and never carried out
        }
        let decision = look(row.wanted, at(NOW));
        let (test, name) = (&row.test, &row.name);
        assert_eq!(decision.to, row.expected, "{test}, {name}: {decision}");
        if let Some(expected) = &row.condition {
            let able = condition(&decision, ConditionKind::AbleToScale);
            assert_eq!(able, expected, "{test}, {name}: {decision}");
        }
        rows += 1;
    }
    assert_eq!(rows, 16);
}

#[test]
fn rows_of_what_is_remembered_of_changes() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Row {
        test: String,
        name: String,
        /// By how many, and how many seconds ago.
        before: Vec<(u32, u64)>,
        rules: Option<Rules>,
        /// How many within the last minute.
        expected: u32,
        /// What counts afterwards, when 5 more have come.
        after: Vec<u32>,
    }
    let mut rows = 0;
    for line in include_str!("behavior/store_events.jsonl").lines() {
        let row: Row = serde_json::from_str(line).unwrap();
        let (test, name) = (&row.test, &row.name);
        for up in [true, false] {
            let moved = |from: u32, by| if up { from + by } else { from - by };
            let mut spec = open(1800);
            let mut decider = decider(spec.clone());
            let mut past = row.before.clone();
            past.sort_by_key(|(_, ago)| std::cmp::Reverse(*ago));
            let mut size = 500;
            let sizes: Vec<_> = past
                .iter()
                .map(|(by, ago)| {
                    size = moved(size, *by);
                    (*ago as f64, size)
                })
                .collect();
            live_through(&mut decider, &sizes, 500);

            // A policy of 100 in a minute leaves 100 less what has been used of it.
            let probe = Rules { pods: Some((100, 60)), ..Rules::default() };
            let behavior = spec.behavior.as_mut().unwrap();
            behavior.scale_up = probe.read(ScalingRules::up());
            behavior.scale_down = probe.read(ScalingRules::down());
            let mut other = decider.clone();
            other.replace(spec.clone()).unwrap();
            let to = if up { 1_000_000 } else { 0 };
            let probed = other.decide(&ask(size, "probe", Change::To(to)), at(NOW));
            assert_eq!(100 - probed.to.abs_diff(size), row.expected, "{test}, {name}: {probed}");

            spec.behavior = row.rules.as_ref().map(|rules| {
                let mut behavior = Behavior::default();
                behavior.scale_up = rules.read(ScalingRules::up());
                behavior.scale_down = rules.read(ScalingRules::down());
                behavior
            });
            decider.replace(spec).unwrap();
            let change = decision("workers", size, moved(size, 5), at(NOW));
            decider.applied(&change, Ok(()), at(NOW));
            let state = serde_json::to_value(decider.state()).unwrap();
            let kept = &state["changes"][if up { "up" } else { "down" }];
            let mut kept: Vec<u32> = kept
                .as_array()
                .iter()
                .flat_map(|changes| changes.iter())
                .map(|change| change[1].as_u64().unwrap() as u32)
                .collect();
            let mut expected = row.after.clone();
            kept.sort_unstable();
            expected.sort_unstable();
            assert_eq!(kept, expected, "{test}, {name}");
        }
        rows += 1;
    }
    assert_eq!(rows, 8);
}

#[test]
fn behavior_is_read_as_kubernetes_writes_it() {
    let behavior: Behavior = serde_json::from_value(serde_json::json!({
        "scaleUp": {
            "stabilizationWindowSeconds": 30,
            "selectPolicy": "Min",
            "policies": [
                { "type": "Percent", "value": 50, "periodSeconds": 60 },
                { "type": "Pods", "value": 3, "periodSeconds": 15 },
            ],
            "tolerance": "0.05",
        },
        "scaleDown": { "selectPolicy": "Disabled" },
    }))
    .unwrap();
    assert_eq!(behavior.scale_up.stabilization_window, seconds(30));
    assert_eq!(behavior.scale_up.policies[1], ScalingPolicy::pods(3, seconds(15)));
    assert_eq!(behavior.scale_up.tolerance, Some(Milli(50)));
    assert_eq!(behavior.scale_down.stabilization_window, seconds(300));
    assert_eq!(behavior.scale_down.policies, ScalingRules::down().policies);
    let text = serde_json::to_string(&behavior).unwrap();
    assert_eq!(serde_json::from_str::<Behavior>(&text).unwrap(), behavior);
    let empty: Behavior = serde_json::from_str("{}").unwrap();
    assert_eq!(empty, Behavior::default());
}

#[test]
fn a_behavior_that_cannot_be_says_what_is_wrong() {
    let mut spec = ScalerSpec::hpa("web", 1, 3);
    spec.hysteresis.up_factor = Milli(1200);
    spec.hysteresis.down_factor = Milli(800);
    let behavior = spec.behavior.as_mut().unwrap();
    behavior.scale_up.stabilization_window = seconds(3601);
    behavior.scale_up.policies = vec![ScalingPolicy::pods(0, seconds(1801))];
    behavior.scale_down.policies.clear();
    let message = spec.validate().unwrap_err().to_string();
    for part in [
        "hysteresis.upFactor and behavior.scaleUp.tolerance both say",
        "hysteresis.downFactor and behavior.scaleDown.tolerance both say",
        "behavior.scaleUp.stabilizationWindowSeconds is above 3600",
        "behavior.scaleUp.policies[0].value is 0",
        "behavior.scaleUp.policies[0].periodSeconds must be 1 to 1800",
        "behavior.scaleDown.policies is empty",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let unknown = serde_json::from_str::<Behavior>(r#"{"scaleup":{}}"#).unwrap_err().to_string();
    assert!(unknown.contains("unknown field `scaleup`"), "{unknown}");
}

/// Both ends of the HPA's band hold; of ours the upper one acts.
#[test]
fn a_tolerance_holds_at_both_of_its_ends() {
    let mut hpa = ScalerSpec::hpa("workers", 1, 1000);
    hpa.metrics = vec![MetricSpec::utilization("cpu", 50)];
    hpa.behavior.as_mut().unwrap().scale_down.stabilization_window = Duration::ZERO;
    for (percent, to) in [(55.0, 100), (55.001, 111), (45.0, 100), (44.999, 90)] {
        let decision = decider(hpa.clone()).decide(&cpu(100, percent, at(0)), at(0));
        assert_eq!(decision.to, to, "{decision}");
    }
    let mut ours = prompt();
    ours.max_replicas = 1000;
    ours.metrics = vec![MetricSpec::utilization("cpu", 50)];
    ours.hysteresis.up_factor = Milli(1100);
    assert_eq!(decider(ours).decide(&cpu(100, 55.0, at(0)), at(0)).to, 110);
}

#[test]
fn the_three_windows_are_three_fields_and_each_says_that_it_bit() {
    let mut spec = crate::support::spec();
    spec.lock_out.scale_down = seconds(600);
    spec.cool_down.scale_down = seconds(120);
    spec.behavior = Some(Behavior::default()); // 300 s on the way down
    let mut decider = decider(spec);
    decider.applied(&decision("workers", 9, 10, at(0)), Ok(()), at(0));
    let mut reasons = Vec::new();
    for second in (0..=700).step_by(10) {
        let decision = decider.decide(&cpu(10, 6.0, at(second)), at(second));
        let bit: Vec<_> = decision.limits.iter().map(Limit::as_str).collect();
        if reasons.last().is_none_or(|(_, last, _)| *last != decision.reason.as_str()) {
            reasons.push((second, decision.reason.as_str(), bit.join(" ")));
        }
    }
    let row = |second: u64, reason, limits: &str| (second, reason, limits.to_owned());
    assert_eq!(
        reasons,
        [
            row(0, "condition_window", "condition_window"),
            row(120, "stabilization", "stabilization"),
            row(300, "lock_out", "lock_out"),
            row(600, "metric", ""),
        ]
    );
}

/// Half of what is known is no recommendation: it must not hold a later scale-up back.
#[test]
fn what_an_unknown_metric_vetoes_is_not_remembered() {
    let mut spec = prompt();
    spec.metrics.push(MetricSpec::utilization("memory", 80));
    let mut behavior = Behavior::default();
    behavior.scale_up.stabilization_window = seconds(300);
    spec.behavior = Some(behavior);
    let mut decider = decider(spec);
    for second in (0..600).step_by(15) {
        let decision = decider.decide(&cpu(5, 5.0, at(second)), at(second)); // cpu asks for 1
        assert_eq!(decision.reason, Reason::UnknownSignal);
    }
    let memory = crate::support::signal("memory", &[80.0; 5], at(600));
    let decision = decider.decide(&cpu(5, 96.0, at(600)).signal(memory), at(600));
    assert_eq!(decision.to, 8, "{decision}");
}

#[test]
fn a_disabled_direction_stays_disabled_and_says_so() {
    let mut spec = prompt();
    let mut behavior = Behavior::default();
    behavior.scale_up.select_policy = SelectPolicy::Disabled;
    spec.behavior = Some(behavior);
    let decision = decider(spec).decide(&cpu(3, 99.0, at(0)), at(0));
    assert_eq!((decision.action, decision.reason), (Action::Hold, Reason::RateLimit));
    assert!(decision.explain().ends_with("scale_up is disabled (wanted 5)"), "{decision}");
}

/// Policies hold for whoever asks; windows are about metrics.
#[test]
fn an_intent_skips_the_windows_and_not_the_policies() {
    let mut spec = prompt();
    (spec.max_replicas, spec.metrics) = (100, vec![MetricSpec::utilization("cpu", 60)]);
    let mut behavior = Behavior::default();
    behavior.scale_up.stabilization_window = seconds(300);
    behavior.scale_down.policies = vec![ScalingPolicy::pods(2, seconds(60))];
    spec.behavior = Some(behavior);
    let mut decider = decider(spec);
    let seen =
        |change| cpu(10, 60.0, at(0)).intent(ScaleIntent::new(format!("ask/{change}"), change));
    let up = decider.decide(&seen(Change::By(50)), at(0));
    assert_eq!((up.to, up.reason), (20, Reason::Intent), "{up}");
    let down = decider.decide(&seen(Change::By(-9)), at(0));
    assert_eq!((down.to, down.reason), (8, Reason::Intent), "{down}");
    assert!(down.explain().ends_with("limits: rate 2 in 60 s, 8 now (wanted 1)"), "{down}");
}

/// The rate holds over a restart, as the HPA's does not.
#[test]
fn a_restart_does_not_grant_another_period() {
    let mut spec = prompt();
    spec.max_replicas = 100;
    let mut behavior = Behavior::default();
    behavior.scale_up.policies = vec![ScalingPolicy::pods(4, seconds(60))];
    spec.behavior = Some(behavior);
    let mut before = decider(spec.clone());
    assert_eq!(step(&mut before, &cpu(10, 99.0, at(0)), at(0)), 14);
    let saved = serde_json::to_string(before.state()).unwrap();
    let mut after = Decider::with_state(spec, serde_json::from_str(&saved).unwrap()).unwrap();
    assert_eq!(after.decide(&cpu(14, 99.0, at(30)), at(30)).reason, Reason::RateLimit);
    assert_eq!(after.next_deadline(at(30)), Some(at(60)));
    assert_eq!(after.decide(&cpu(14, 99.0, at(60)), at(60)).to, 18);
}

/// A tick a second for an hour, each with another recommendation and a change: what is remembered
/// has a bound.
#[test]
fn the_memory_of_windows_and_policies_is_bounded() {
    let mut spec = open(1800);
    spec.metrics = load();
    let behavior = spec.behavior.as_mut().unwrap();
    behavior.scale_up.stabilization_window = seconds(3600);
    behavior.scale_down.stabilization_window = seconds(3600);
    let mut decider = decider(spec);
    for second in 0..3600u32 {
        let now = at(u64::from(second));
        decider.decide(&wanting(1, 10_000 - second, now), now);
        let change = decision("workers", 1, 2, now);
        decider.applied(&change, Ok(()), now);
    }
    let state = serde_json::to_value(decider.state()).unwrap();
    let length = |of: &str, way: &str| state[of][way].as_array().map_or(0, Vec::len);
    for (of, way) in [("recommendations", "up"), ("recommendations", "down"), ("changes", "up")] {
        assert!((1..=512).contains(&length(of, way)), "{of}.{way}: {}", length(of, way));
    }
}

/// What a hundred thousand scalers cost in memory and on disk depends on this.
#[test]
fn a_state_in_usual_use_is_small() {
    let mut spec = ScalerSpec::hpa("workers", 1, 100);
    spec.metrics = vec![MetricSpec::utilization("cpu", 60)];
    let (mut decider, mut replicas, mut largest) = (decider(spec), 5, 0);
    for tick in 0..960u64 {
        let wave = (tick % 240).abs_diff(120) as f64; // four hours, an hour a wave
        let percent = (100.0 + wave * 5.0) / f64::from(replicas) * 3.0;
        let now = at(tick * 15);
        replicas = step(&mut decider, &cpu(replicas, percent, now), now);
        largest = largest.max(serde_json::to_string(decider.state()).unwrap().len());
    }
    assert!(largest <= 1024 + 60 * 26, "{largest} bytes"); // and the brake's hour of changes
}

#[test]
fn the_largest_percentages_of_the_largest_sizes_allow_everything() {
    let (most, huge) = (u32::MAX, i32::MAX.unsigned_abs());
    let mut spec = open(60);
    spec.max_replicas = most;
    let mut behavior = Behavior::default();
    for rules in [&mut behavior.scale_up, &mut behavior.scale_down] {
        rules.policies = vec![ScalingPolicy::percent(most, seconds(60))];
    }
    spec.behavior = Some(behavior);
    spec.metrics.clear();
    spec.validate().unwrap();
    let mut decider = decider(spec);
    // The second ones count what the first ones moved.
    for (n, (from, to)) in
        [(huge, most), (most, 0), (huge, most), (most, 0)].into_iter().enumerate()
    {
        let now = at(n as u64);
        assert_eq!(step(&mut decider, &ask(from, &n.to_string(), Change::To(to)), now), to);
    }
}
