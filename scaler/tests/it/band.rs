//! The numbers of the specification, at their edges.

use birl_scaler::{Action, Decider, Limit, MetricSpec, Milli, Reason};

use crate::support::{at, cpu, decider, prompt, seconds, spec, step};

#[test]
fn acts_at_78_percent_and_above_and_below_42() {
    for (percent, replicas) in [
        (42.0, 3),
        (60.0, 3),
        (77.0, 3),
        (77.999, 3),
        (78.0, 4),
        (100.0, 5),
        (41.999, 3), // ceil(0.69998 × 3) is 3 again
        (41.0, 3),
        (40.0, 2),
        (0.0, 1),
    ] {
        let to = decider(prompt()).decide(&cpu(3, percent, at(0)), at(0)).to;
        assert_eq!(to, replicas, "at {percent} %");
    }
    // The lower edge itself, where the formula has room to show it: ceil(0.69998 × 100) is 70.
    let mut roomy = prompt();
    roomy.max_replicas = 200;
    assert_eq!(decider(roomy.clone()).decide(&cpu(100, 42.0, at(0)), at(0)).to, 100);
    assert_eq!(decider(roomy).decide(&cpu(100, 41.999, at(0)), at(0)).to, 70);
}

#[test]
fn holds_at_77_percent_for_ever() {
    let mut decider = decider(spec());
    for second in (0..7200).step_by(15) {
        assert!(!decider.decide(&cpu(3, 77.0, at(second)), at(second)).is_change());
    }
}

#[test]
fn acts_when_78_percent_have_held_for_60_seconds() {
    let mut decider = decider(spec());
    for second in 0..60 {
        let decision = decider.decide(&cpu(3, 78.0, at(second)), at(second));
        assert_eq!(decision.reason, Reason::ConditionWindow, "second {second}");
        let (since, until) = (at(0), at(60));
        let action = Action::ScaleUp;
        assert_eq!(decision.limits, [Limit::ConditionWindow { action, since, until }]);
    }
    let decision = decider.decide(&cpu(3, 78.0, at(60)), at(60));
    assert_eq!((decision.action, decision.from, decision.to), (Action::ScaleUp, 3, 4));
    assert_eq!(decision.reason, Reason::Metric);
}

#[test]
fn a_break_after_59_seconds_restarts_the_counter() {
    let mut decider = decider(spec());
    for second in 0..=59 {
        decider.decide(&cpu(3, 78.0, at(second)), at(second));
    }
    decider.decide(&cpu(3, 77.0, at(60)), at(60));
    for second in 61..121 {
        let decision = decider.decide(&cpu(3, 78.0, at(second)), at(second));
        assert!(!decision.is_change(), "second {second}");
    }
    assert!(decider.decide(&cpu(3, 78.0, at(121)), at(121)).is_change());
}

#[test]
fn scales_down_when_41_percent_have_held_for_300_seconds() {
    let mut decider = decider(spec());
    for second in (0..300).step_by(15) {
        assert!(!decider.decide(&cpu(10, 41.0, at(second)), at(second)).is_change());
    }
    let decision = decider.decide(&cpu(10, 41.0, at(300)), at(300));
    assert_eq!((decision.action, decision.to), (Action::ScaleDown, 7));

    let mut other = crate::support::decider(spec());
    for second in (0..=3000).step_by(15) {
        assert!(!other.decide(&cpu(10, 42.0, at(second)), at(second)).is_change());
    }
}

#[test]
fn an_applied_change_starts_the_windows_anew() {
    let mut decider = decider(spec());
    let mut replicas = 2;
    let mut sizes = Vec::new();
    for second in (0..=180).step_by(15) {
        replicas = step(&mut decider, &cpu(replicas, 90.0, at(second)), at(second));
        sizes.push(replicas);
    }
    // 90 % of whatever there is: 3, then 5, each a whole window after the one before.
    assert_eq!(sizes, [2, 2, 2, 2, 3, 3, 3, 3, 3, 5, 5, 5, 5]);
}

#[test]
fn a_gap_in_which_nobody_looked_starts_the_windows_anew() {
    let mut spec = spec();
    spec.cool_down.max_gap = seconds(45);
    let mut decider = decider(spec);
    decider.decide(&cpu(3, 90.0, at(0)), at(0));
    assert!(!decider.decide(&cpu(3, 90.0, at(100)), at(100)).is_change());
    for second in [120, 140] {
        assert!(!decider.decide(&cpu(3, 90.0, at(second)), at(second)).is_change());
    }
    assert!(decider.decide(&cpu(3, 90.0, at(160)), at(160)).is_change());
}

#[test]
fn a_clock_set_back_delays_and_never_hastens() {
    let mut decider = decider(spec());
    decider.decide(&cpu(3, 90.0, at(5000)), at(5000));
    assert!(!decider.decide(&cpu(3, 90.0, at(1000)), at(1000)).is_change());
    assert!(!decider.decide(&cpu(3, 90.0, at(1059)), at(1059)).is_change());
    assert!(decider.decide(&cpu(3, 90.0, at(1060)), at(1060)).is_change());

    let mut spec = prompt();
    spec.lock_out.scale_up = seconds(60);
    spec.brake.max_actions_per_hour = 1;
    let mut decider = crate::support::decider(spec);
    assert_eq!(step(&mut decider, &cpu(2, 90.0, at(50_000)), at(50_000)), 3);
    let reason = |decider: &mut Decider, second| {
        decider.decide(&cpu(3, 90.0, at(second)), at(second)).reason
    };
    assert_eq!(reason(&mut decider, 1000), Reason::LockOut);
    assert_eq!(reason(&mut decider, 1059), Reason::LockOut);
    assert_eq!(reason(&mut decider, 1060), Reason::Brake);
    assert_eq!(reason(&mut decider, 4599), Reason::Brake);
    assert_eq!(reason(&mut decider, 4600), Reason::Metric);
}

#[test]
fn tells_when_to_look_again() {
    let mut spec = spec();
    spec.lock_out.scale_up = seconds(90);
    let mut decider = decider(spec);
    assert_eq!(decider.next_deadline(at(0)), None);
    decider.decide(&cpu(3, 90.0, at(0)), at(0));
    assert_eq!(decider.next_deadline(at(10)), Some(at(60)));
    assert_eq!(step(&mut decider, &cpu(3, 90.0, at(60)), at(60)), 5);
    decider.decide(&cpu(5, 90.0, at(75)), at(75));
    assert_eq!(decider.next_deadline(at(75)), Some(at(135)), "the window");
    assert_eq!(decider.next_deadline(at(140)), Some(at(150)), "then the lock-out");
}

#[test]
fn of_several_metrics_the_largest_wins() {
    let mut spec = prompt();
    spec.metrics.push(MetricSpec::average("in_flight", Milli(8_000)));
    let mut decider = decider(spec);
    let queue = |value| crate::support::signal("in_flight", &[value; 3], at(0));
    let up = decider.decide(&cpu(3, 20.0, at(0)).signal(queue(16.0)), at(0));
    assert_eq!((up.to, up.trigger.unwrap().name()), (6, "in_flight"));
    let hold = decider.decide(&cpu(3, 20.0, at(0)).signal(queue(8.0)), at(0));
    assert_eq!(hold.to, 3);
    let down = decider.decide(&cpu(3, 20.0, at(0)).signal(queue(4.0)), at(0));
    assert_eq!(down.to, 2, "the more cautious of 1 and 2");
}

#[test]
fn bounds_and_step_cut_a_change_and_are_named() {
    let mut spec = prompt();
    spec.step.up = Some(2);
    let decision = decider(spec).decide(&cpu(3, 200.0, at(0)), at(0));
    assert_eq!(decision.to, 5);
    assert_eq!(decision.limits, [Limit::Step { wanted: 10, step: 2 }]);

    let decision = decider(prompt()).decide(&cpu(9, 200.0, at(0)), at(0));
    assert_eq!(decision.to, 10);
    assert_eq!(decision.limits, [Limit::Max { wanted: 30, max: 10 }]);

    let mut spec = prompt();
    spec.min_replicas = 2;
    spec.step.down = Some(3);
    let decision = decider(spec).decide(&cpu(8, 0.0, at(0)), at(0));
    assert_eq!(decision.to, 5);
    let (min, step) = (Limit::Min { wanted: 0, min: 2 }, Limit::Step { wanted: 2, step: 3 });
    assert_eq!(decision.limits, [min, step]);

    let decision = decider(prompt()).decide(&cpu(10, 90.0, at(0)), at(0));
    assert_eq!((decision.action, decision.reason), (Action::Hold, Reason::Bounds));
}

#[test]
fn a_size_outside_the_bounds_is_corrected_at_once() {
    let mut spec = spec();
    (spec.min_replicas, spec.max_replicas) = (3, 6);
    spec.lock_out.scale_up = seconds(600);
    spec.step.down = Some(1);
    let mut decider = decider(spec);
    let decision = decider.decide(&cpu(1, 10.0, at(0)), at(0));
    assert_eq!((decision.to, decision.reason), (3, Reason::OutOfBounds));
    decider.applied(&decision, Ok(()), at(0));
    assert_eq!(decider.decide(&cpu(2, 10.0, at(1)), at(1)).to, 3, "no lock-out for it");
    assert_eq!(decider.decide(&cpu(9, 99.0, at(2)), at(2)).to, 6, "no step for it");
}

#[test]
fn zero_replicas_are_a_pause() {
    let seen =
        cpu(0, 0.0, at(0)).intent(birl_scaler::ScaleIntent::new("x", birl_scaler::Change::To(3)));
    let decision = decider(prompt()).decide(&seen, at(0));
    assert_eq!((decision.to, decision.reason), (0, Reason::Paused));
}
