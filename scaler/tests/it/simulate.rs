//! The simulator: what it says can be relied on, and what it draws can be looked at.

use std::time::{Duration, SystemTime};

use birl_scaler::simulate::{
    Archetype, Curve, HpaDefault, KpaLike, Oracle, Policy, Random, Run, Scaler, World, plot,
};
use birl_scaler::{Decider, ErrorKind, MetricSpec, Observation, ScalerSpec};
use proptest::prelude::*;

const MINUTE: Duration = Duration::from_secs(60);

fn spec() -> ScalerSpec {
    let mut spec = ScalerSpec::new("api", 2, 200);
    spec.metrics = vec![MetricSpec::utilization("cpu", 60)];
    spec
}

fn policies(world: &World, curve: &Curve) -> Vec<Box<dyn Policy>> {
    vec![
        Box::new(HpaDefault::cpu(60, 2, 200)),
        Box::new(KpaLike::new(5.1, 2, 200)),
        Box::new(Scaler::new("ours", spec()).unwrap()),
        Box::new(Oracle::new(world, curve)),
    ]
}

/// Half an hour of any course.
fn any_curve() -> impl Strategy<Value = Curve> {
    let rates = prop::collection::vec(0.0..5000.0f64, 2..31);
    rates.prop_map(|rates| Curve::from_rates(MINUTE, &rates).unwrap())
}

fn any_world() -> impl Strategy<Value = World> {
    (0u64..200, 0u64..30, 1u32..40).prop_map(|(start, drain, initial)| {
        let mut world = World::default().start_delay(Duration::from_secs(start));
        (world.drain, world.initial) = (Duration::from_secs(drain), Some(initial));
        world
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_request_is_lost_or_invented(curve in any_curve(), world in any_world()) {
        for mut policy in policies(&world, &curve) {
            let score = world.run(&curve, policy.as_mut()).unwrap().score;
            let arrived: f64 = (0..curve.length().as_secs())
                .map(|second| curve.rate(Duration::from_millis(second * 1000 + 500)))
                .sum();
            let accounted = score.served + score.gave_up + score.left;
            prop_assert!((score.requests - arrived).abs() < 1e-6 * arrived.max(1.0));
            prop_assert!((accounted - arrived).abs() < 1e-6 * arrived.max(1.0), "{accounted} of {arrived}");
            prop_assert!(score.late <= score.requests + 1e-6 && score.gave_up <= score.late + 1e-6);
            prop_assert!(score.under + score.over <= score.seconds);
        }
    }

    #[test]
    fn who_knows_the_future_is_never_late_and_nobody_in_time_pays_less(
        curve in any_curve(),
        start in 0u64..200,
    ) {
        let world = World::default().start_delay(Duration::from_secs(start));
        let oracle = world.run(&curve, &mut Oracle::new(&world, &curve)).unwrap();
        prop_assert_eq!(oracle.score.under, 0.0);
        prop_assert_eq!(oracle.score.gave_up, 0.0);
        let slo = world.service.slo.as_secs_f64();
        prop_assert!(oracle.timeline.iter().all(|moment| moment.latency_p99 <= slo + 1e-9));
        prop_assert!(oracle.score.pod_seconds >= oracle.score.needed_seconds);
    }

    #[test]
    fn any_text_is_a_curve_or_an_error(text in "\\PC{0,80}", lines in "([0-9:. -]{0,24},[0-9.e-]{0,9}\n){0,5}") {
        let _ = Curve::from_csv(&text);
        let _ = Curve::from_csv(&lines);
    }
}

#[test]
fn twice_the_same_is_the_same_and_another_seed_is_not() {
    for (seed, archetype) in (7..).zip(Archetype::ALL) {
        let once = |seed| {
            let curve = archetype.curve(seed);
            let mut ours = Scaler::new("ours", spec()).unwrap();
            World::default().run(&curve, &mut ours).unwrap()
        };
        assert_eq!(once(seed), once(seed), "{archetype}");
        assert_ne!(archetype.curve(seed), archetype.curve(seed + 1), "{archetype}");
    }
}

/// Runs so many pods, whatever happens.
struct Fixed(u32);

impl Policy for Fixed {
    fn name(&self) -> &str {
        "fixed"
    }

    fn decide(&mut self, _: &Observation, _: SystemTime) -> u32 {
        self.0
    }
}

#[test]
fn the_elasticity_metrics_are_what_their_formulas_say() {
    let mut world = World::default().start_delay(Duration::ZERO);
    let rate = 12.0 * world.service.safe_rate() - 1.0;
    let still = Curve::constant(rate, 10 * MINUTE).unwrap();
    let mut score = |curve: &Curve, pods| {
        world.initial = Some(pods);
        world.run(curve, &mut Fixed(pods)).unwrap().score
    };
    let half = score(&still, 6);
    assert_eq!((half.theta_under(), half.theta_over()), (50.0, 0.0), "6 of 12 are missing");
    assert_eq!((half.tau_under(), half.tau_over(), half.instability()), (100.0, 0.0, 0.0));
    let twice = score(&still, 24);
    assert_eq!((twice.theta_under(), twice.theta_over()), (0.0, 100.0), "12 of 12 are idle");
    assert_eq!((twice.tau_under(), twice.tau_over()), (0.0, 100.0));
    assert_eq!((twice.pod_hours(), twice.needed_seconds), (4.0, 7200.0));
    let rising = Curve::from_points([(0.0, 0.0), (600.0, 6000.0)]).unwrap();
    let apart = score(&rising, 24);
    assert_eq!(apart.instability(), 100.0, "demand rises each minute, supply never");
    assert_eq!(apart.minutes, 9.0);
}

#[test]
fn a_load_that_stands_still_is_left_alone() {
    let curve = Curve::constant(1200.0, 60 * MINUTE).unwrap();
    let mut world = World::default();
    world.initial = Some(20); // 60 % of 100 requests/s each
    for policy in &mut policies(&world, &curve)[..3] {
        let score = world.run(&curve, policy.as_mut()).unwrap().score;
        assert_eq!(score.adaptations(), 0.0, "{}", policy.name());
        assert!(score.late_percent() < 0.01, "{}: {score}", policy.name());
    }
}

/// Asks the baseline and a decider with the same rules, and obeys the baseline.
struct Both {
    baseline: HpaDefault,
    decider: Decider,
    asked: u32,
    agreed: u32,
}

impl Policy for Both {
    fn name(&self) -> &str {
        "both"
    }

    fn decide(&mut self, seen: &Observation, now: SystemTime) -> u32 {
        let decision = self.decider.decide(seen, now);
        let to = self.baseline.decide(seen, now);
        self.asked += 1;
        self.agreed += u32::from(decision.to == to);
        if decision.to == to {
            self.decider.applied(&decision, Ok(()), now);
        }
        to
    }
}

#[test]
fn the_baseline_and_a_decider_with_the_hpas_rules_agree() {
    for archetype in Archetype::ALL {
        let mut rules = ScalerSpec::hpa("api", 2, 200);
        rules.metrics = spec().metrics;
        let decider = Decider::new(rules).unwrap();
        let baseline = HpaDefault::cpu(60, 2, 200);
        let mut both = Both { baseline, decider, asked: 0, agreed: 0 };
        World::default().run(&archetype.curve(3), &mut both).unwrap();
        // They differ where a pod is ready and has no sample yet: this one takes it for missing,
        // the HPA, in a pod's first minutes, for not ready.
        let Both { asked, agreed, .. } = both;
        assert!(agreed * 1000 >= asked * 995, "{archetype}: {agreed} of {asked}");
    }
}

#[test]
fn half_a_service_is_late_until_somebody_acts() {
    let curve = Curve::constant(2000.0, 30 * MINUTE).unwrap();
    let mut world = World::default();
    world.initial = Some(10); // half of what arrives
    let mut nobody = spec();
    nobody.brake.kill_switch = true;
    let stuck = world.run(&curve, &mut Scaler::new("nobody", nobody).unwrap()).unwrap();
    assert!(stuck.score.late_percent() > 99.0, "{stuck}");
    assert!((stuck.score.gave_up / stuck.score.requests - 0.5).abs() < 0.01);
    let acted = world.run(&curve, &mut HpaDefault::cpu(60, 2, 200)).unwrap();
    assert!(acted.score.late_percent() < 15.0, "{acted}");
    let last = acted.timeline.last().unwrap();
    assert!((33..=37).contains(&last.ready), "2000 requests/s at 60 %: {last:?}");
}

#[test]
fn starting_pods_serve_nothing_and_cost_something() {
    let curve =
        Curve::from_points([(0.0, 600.0), (300.0, 600.0), (301.0, 3000.0), (900.0, 3000.0)]);
    let late = |seconds| {
        let world = World::default().start_delay(Duration::from_secs(seconds));
        world.run(curve.as_ref().unwrap(), &mut HpaDefault::cpu(60, 2, 200)).unwrap().score.late
    };
    let (quick, slow) = (late(5), late(120));
    assert!(slow > 2.0 * quick, "{slow} and {quick}");
}

#[test]
fn every_change_of_the_real_decider_says_why() {
    let curve = Archetype::FlashCrowd.curve(1);
    let run = World::default().run(&curve, &mut Scaler::new("ours", spec()).unwrap()).unwrap();
    assert!(!run.changes.is_empty());
    for change in &run.changes {
        let why = change.why.as_deref().unwrap();
        let sizes = format!("api {} → {}: cpu", change.from, change.to);
        assert!(why.contains(&sizes), "{why}");
    }
}

#[test]
fn a_trace_is_read_as_monitoring_exports_it() {
    let text = "timestamp,value\n2014-04-10 00:04:00,94.0\n2014-04-10 00:09:00,56.0,ok\n\n";
    let curve = Curve::from_csv(text).unwrap();
    assert_eq!(curve.length(), 5 * MINUTE);
    assert_eq!(curve.rate(Duration::from_secs(150)), 75.0, "half way");
    assert_eq!(curve.rate(60 * MINUTE), 56.0, "the end holds");
    assert_eq!(curve.faster(5.0).unwrap().length(), MINUTE);
    assert_eq!(curve.scaled_to(1.0, 940.0).unwrap().rate(Duration::ZERO), 940.0);

    for (text, words) in [
        ("", "two points"),
        ("0,1\n5,2\n5,3", "point 3 is at 5 s"),
        ("0,1\n1,-2", "rate -2"),
        ("0,1\n1,NaN", "rate NaN"),
        ("at,rate\nyesterday,1\n1,2", "line 2"),
        ("0,1\n9e9,1", "the most is 115"),
    ] {
        let error = Curve::from_csv(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(words), "{text:?}: {error}");
    }
}

#[test]
fn a_world_with_impossible_numbers_says_which() {
    let curve = Curve::constant(1.0, MINUTE).unwrap();
    let mut world = World::default().start_delay(Duration::from_secs(100_000));
    world.service.workers = 0;
    world.service.slo = Duration::ZERO;
    let error = world.run(&curve, &mut HpaDefault::cpu(60, 1, 2)).unwrap_err().to_string();
    for words in ["service.workers is 0", "service.slo", "start_delay is 100000s"] {
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_plot_names_its_axes_units_and_lines() {
    let curve = Archetype::Spike.curve(2);
    let world = World::default();
    let runs: Vec<Run> = policies(&world, &curve)
        .iter_mut()
        .map(|policy| world.run(&curve, policy.as_mut()).unwrap())
        .collect();
    let svg = plot("spikes & <more>", &world, &runs.iter().collect::<Vec<_>>());
    for words in ["spikes &amp; &lt;more&gt;", "time, hours", "pods that serve", "500 ms", "ours:"]
    {
        assert!(svg.contains(words), "{words}");
    }
    assert!(svg.len() < 150_000, "{} bytes", svg.len());
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
}

#[test]
fn seeds_give_numbers_as_the_law_says() {
    let mut random = Random::new(7);
    let values: Vec<f64> = (0..10_000).map(|_| random.normal()).collect();
    let mean = values.iter().sum::<f64>() / 10_000.0;
    let variance = values.iter().map(|value| value * value).sum::<f64>() / 10_000.0;
    assert!(mean.abs() < 0.05 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    assert!((0..1000).all(|_| (2.0..3.0).contains(&random.between(2.0, 3.0))));
}
