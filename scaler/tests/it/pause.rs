//! Pauses, scaling to zero, and schedules: who has switched what off, and when.

use std::time::SystemTime;

use birl_scaler::{
    Action, Change, Day, Fallback, GlobalBrake, Limit, Mode, Observation, Reason, Replicas,
    ScaleIntent, ScalerSpec, Schedule,
};

use crate::support::{ask, at, cpu, decider, prompt, seconds, step};

#[test]
fn a_paused_target_is_left_alone_whatever_happens() {
    let mut spec = prompt();
    spec.paused = true;
    let mut decider = decider(spec);
    for seen in [cpu(3, 99.0, at(0)), cpu(40, 0.0, at(0)), ask(2, "x", Change::By(1))] {
        let decision = decider.decide(&seen, at(0));
        assert_eq!((decision.action, decision.reason), (Action::Hold, Reason::Paused));
    }
    // What was asked for meanwhile was not heard; it may be asked for afterwards.
    decider.replace(prompt()).unwrap();
    assert!(decider.decide(&ask(2, "x", Change::By(1)), at(1)).is_change());
}

#[test]
fn a_target_is_paused_at_a_size_and_comes_back() {
    let mut spec = prompt();
    spec.paused_replicas = Some(7);
    (spec.step.up, spec.lock_out.scale_up) = (Some(1), seconds(600));
    let mut decider = decider(spec.clone());
    let decision = decider.decide(&cpu(3, 99.0, at(0)), at(0));
    assert_eq!(decision.explain(), "scale_up workers 3 → 7: it is paused at 7; limits: none");
    decider.applied(&decision, Ok(()), at(0));
    assert_eq!(decider.decide(&cpu(7, 0.0, at(15)), at(15)).to, 7);

    // At nothing: when the pause ends it wakes, since nobody set it to 0 by hand.
    spec.paused_replicas = Some(0);
    decider.replace(spec).unwrap();
    assert_eq!(step(&mut decider, &cpu(7, 99.0, at(30)), at(30)), 0);
    decider.replace(prompt()).unwrap();
    let woken = decider.decide(&Observation::new(Replicas::ready(0)), at(45));
    assert_eq!((woken.to, woken.reason), (1, Reason::OutOfBounds));
}

#[test]
fn one_direction_can_be_paused() {
    let (mut no_in, mut no_out) = (prompt(), prompt());
    no_in.paused_scale_in = true;
    no_out.paused_scale_out = true;
    let to = |spec: &ScalerSpec, seen: &Observation| decider(spec.clone()).decide(seen, at(0));
    assert_eq!(to(&no_in, &cpu(3, 99.0, at(0))).to, 5);
    let held = to(&no_in, &cpu(3, 1.0, at(0)));
    assert_eq!((held.to, held.reason), (3, Reason::Paused));
    assert_eq!(held.limits, [Limit::Paused { action: Action::ScaleDown }]);
    assert!(held.explain().ends_with("scale_down is paused"), "{held}");
    assert_eq!(to(&no_in, &cpu(12, 60.0, at(0))).to, 12, "not even to its bounds");
    assert_eq!(to(&no_out, &cpu(3, 1.0, at(0))).to, 1);
    assert_eq!(to(&no_out, &cpu(3, 99.0, at(0))).to, 3);
    assert_eq!(to(&no_out, &ask(3, "x", Change::By(1))).to, 3);
}

#[test]
fn the_brake_and_the_kill_switch_hold_a_pause_at_a_size_too() {
    let mut spec = prompt();
    spec.paused_replicas = Some(7);
    spec.brake.max_actions_per_hour = 0;
    assert_eq!(decider(spec).decide(&cpu(3, 60.0, at(0)), at(0)).reason, Reason::Brake);
}

#[test]
fn a_preview_takes_no_place_of_the_global_brake() {
    let brake = GlobalBrake::new(1);
    let mut spec = prompt();
    spec.mode = Mode::Preview;
    let mut preview = decider(spec).with_global_brake(brake.clone());
    assert_eq!(preview.decide(&cpu(3, 99.0, at(0)), at(0)).action, Action::ScaleUp);
    assert_eq!(brake.actions(at(0)), 0);
}

fn elastic() -> ScalerSpec {
    let mut spec = prompt();
    spec.min_replicas = 0;
    spec
}

/// KEP-2021: it wakes only what it has put to sleep.
#[test]
fn it_scales_to_zero_and_wakes_what_it_put_to_sleep() {
    let mut decider = decider(elastic());
    assert_eq!(step(&mut decider, &cpu(1, 0.0, at(0)), at(0)), 0);
    let none = || Observation::new(Replicas::ready(0));
    let asleep = decider.decide(&none(), at(15));
    assert_eq!((asleep.to, asleep.reason), (0, Reason::UnknownSignal), "nobody asks");
    let saved = serde_json::to_string(decider.state()).unwrap();
    let state = serde_json::from_str(&saved).unwrap();
    let mut decider = birl_scaler::Decider::with_state(elastic(), state).unwrap();
    let call = none().intent(ScaleIntent::new("call/1", Change::By(1)));
    assert_eq!(step(&mut decider, &call, at(30)), 1);
    decider.decide(&cpu(1, 60.0, at(45)), at(45));

    // Now somebody sets it to 0.
    let call = none().intent(ScaleIntent::new("call/2", Change::By(1)));
    let paused = decider.decide(&call, at(60));
    assert_eq!((paused.to, paused.reason), (0, Reason::Paused));
    // And back to 1: it is listened to again.
    assert_eq!(decider.decide(&cpu(1, 99.0, at(75)), at(75)).to, 2);
}

/// Somebody woke it by hand, and put it to sleep again.
#[test]
fn a_sleep_that_somebody_else_ended_is_forgotten() {
    let mut decider = decider(elastic());
    assert_eq!(step(&mut decider, &cpu(1, 0.0, at(0)), at(0)), 0);
    assert_eq!(decider.decide(&cpu(3, 60.0, at(15)), at(15)).to, 3);
    let call = Observation::new(Replicas::ready(0)).intent(ScaleIntent::new("x", Change::By(1)));
    assert_eq!(decider.decide(&call, at(30)).reason, Reason::Paused);
}

#[test]
fn what_nobody_else_sets_is_never_paused_by_hand() {
    let call = Observation::new(Replicas::ready(0)).intent(ScaleIntent::new("x", Change::By(1)));
    let mut shared = decider(elastic());
    assert_eq!(shared.decide(&call, at(0)).reason, Reason::Paused);
    let mut own = decider(elastic()).with_sole_owner();
    assert_eq!(own.decide(&call, at(0)).to, 1);
}

/// Nothing is known of a target that has nothing: a fallback is not about that.
#[test]
fn a_fallback_does_not_wake_a_target() {
    let mut spec = elastic();
    spec.fallback = Some(Fallback::new(5));
    let mut decider = decider(spec);
    assert_eq!(step(&mut decider, &cpu(1, 0.0, at(0)), at(0)), 0);
    for second in (15..900).step_by(15) {
        let none = Observation::new(Replicas::ready(0));
        assert_eq!(decider.decide(&none, at(second)).to, 0);
    }
}

#[test]
fn a_failed_scale_to_zero_is_none() {
    let mut decider = decider(elastic());
    let decision = decider.decide(&cpu(1, 0.0, at(0)), at(0));
    decider.applied(&decision, Err("no"), at(0));
    decider.decide(&cpu(1, 60.0, at(1)), at(1)); // it is still there
    let call = Observation::new(Replicas::ready(0)).intent(ScaleIntent::new("x", Change::By(1)));
    assert_eq!(decider.decide(&call, at(2)).reason, Reason::Paused);
}

/// Local time as a point in time, by the zone's rules.
fn local(zone: &str, time: &str) -> SystemTime {
    let time: jiff::civil::DateTime = time.parse().unwrap();
    time.in_tz(zone).unwrap().timestamp().into()
}

fn scheduled(schedule: Schedule) -> ScalerSpec {
    let mut spec = prompt();
    spec.schedule = vec![schedule];
    spec
}

fn min_at(spec: &ScalerSpec, now: SystemTime) -> u32 {
    decider(spec.clone()).decide(&cpu(1, 60.0, now), now).to
}

#[test]
fn a_schedule_sets_other_bounds_in_its_own_time_zone() {
    let mut office = Schedule::new("office", "America/New_York", "07:30", "19:00");
    office.days = vec![Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri];
    office.min_replicas = Some(6);
    let spec = scheduled(office);
    let to = |time| min_at(&spec, local("America/New_York", time));
    assert_eq!(to("2026-11-23T07:29:59"), 1, "a Monday");
    assert_eq!(to("2026-11-23T07:30:00"), 6);
    assert_eq!(to("2026-11-23T18:59:59"), 6);
    assert_eq!(to("2026-11-23T19:00:00"), 1);
    assert_eq!(to("2026-11-22T12:00:00"), 1, "a Sunday");

    let now = local("America/New_York", "2026-11-23T08:00:00");
    let decision = decider(spec.clone()).decide(&cpu(1, 60.0, now), now);
    assert_eq!(
        decision.explain(),
        "scale_up workers 1 → 6: it must have 6 to 10 replicas; limits: schedule office, 6 to 10"
    );
    let decider = decider(spec);
    let edge = |time| decider.next_deadline(local("America/New_York", time)).unwrap();
    assert_eq!(edge("2026-11-23T08:00:00"), local("America/New_York", "2026-11-23T19:00:00"));
    assert_eq!(edge("2026-11-27T20:00:00"), local("America/New_York", "2026-11-30T07:30:00"));
}

/// A night in New York loses an hour in March and has one twice in November.
#[test]
fn a_schedule_keeps_local_time_where_clocks_change() {
    let mut night = Schedule::new("night", "America/New_York", "22:00", "06:00");
    night.max_replicas = Some(2);
    let mut spec = scheduled(night);
    spec.min_replicas = 2;
    let to = |time: &str| {
        let now = local("America/New_York", time);
        decider(spec.clone()).decide(&cpu(5, 60.0, now), now).to
    };
    for day in ["2026-03-07", "2026-03-08", "2026-10-31", "2026-11-01", "2026-11-02"] {
        assert_eq!(to(&format!("{day}T21:59:59")), 5, "{day}");
        assert_eq!(to(&format!("{day}T22:00:00")), 2, "{day}");
        assert_eq!(to(&format!("{day}T05:59:59")), 2, "{day}");
        assert_eq!(to(&format!("{day}T06:00:00")), 5, "{day}");
        assert_eq!(to(&format!("{day}T12:00:00")), 5, "{day}");
    }
    // A time that does not exist, and one that is there twice: 02:30 on the day of the change.
    let mut odd = Schedule::new("odd", "America/New_York", "02:30", "04:00");
    odd.min_replicas = Some(4);
    let spec = scheduled(odd);
    assert_eq!(min_at(&spec, local("America/New_York", "2026-03-08T03:29:59")), 1);
    assert_eq!(min_at(&spec, local("America/New_York", "2026-03-08T03:30:00")), 4);
    let mut twice = Schedule::new("twice", "America/New_York", "01:30", "04:00");
    twice.min_replicas = Some(4);
    let first = local("America/New_York", "2026-11-01T01:30:00");
    let spec = scheduled(twice);
    assert_eq!(min_at(&spec, first - seconds(1)), 1);
    assert_eq!(min_at(&spec, first), 4);
    assert_eq!(min_at(&spec, first + seconds(3600)), 4);
}

#[test]
fn a_schedule_for_one_day_may_go_above_the_scalers_own_bounds() {
    let mut sale = Schedule::new("sale", "Europe/Berlin", "2026-11-27T00:00", "2026-11-28T06:00");
    (sale.min_replicas, sale.max_replicas) = (Some(12), Some(40));
    let spec = scheduled(sale);
    let at = |time| local("Europe/Berlin", time);
    assert_eq!(min_at(&spec, at("2026-11-26T23:59:59")), 1);
    assert_eq!(min_at(&spec, at("2026-11-27T00:00:00")), 12);
    assert_eq!(min_at(&spec, at("2026-11-28T06:00:00")), 1);
    let now = at("2026-11-27T12:00:00");
    let crowd = decider(spec).decide(&cpu(20, 300.0, now), now);
    assert_eq!(crowd.to, 40);
    let limit = |limit: &Limit| limit.as_str();
    assert_eq!(crowd.limits.iter().map(limit).collect::<Vec<_>>(), ["schedule", "max"]);
}

#[test]
fn several_schedules_at_once_give_the_largest() {
    let mut spec = scheduled({
        let mut one = Schedule::new("one", "UTC", "00:00", "00:00"); // all day
        one.min_replicas = Some(3);
        one
    });
    let mut other = Schedule::new("other", "UTC", "08:00", "09:00");
    other.min_replicas = Some(5);
    spec.schedule.push(other);
    assert_eq!(min_at(&spec, at(0)), 5, "08:00");
    assert_eq!(min_at(&spec, at(3600)), 3);
    assert_eq!(min_at(&spec, at(16 * 3600)), 3, "midnight");
}

#[test]
fn a_schedule_that_cannot_be_says_what_is_wrong() {
    let mut spec = prompt();
    let fault = |schedule: Schedule| {
        let mut spec = prompt();
        spec.schedule = vec![schedule];
        spec.validate().unwrap_err().to_string()
    };
    let with_min = |mut schedule: Schedule, min| {
        schedule.min_replicas = Some(min);
        schedule
    };
    for (schedule, expected) in [
        (with_min(Schedule::new("a", "Mars/Olympus", "07:00", "08:00"), 2), "no time zone `Mars"),
        (with_min(Schedule::new("a", "UTC", "7 o'clock", "08:00"), 2), "two times of day"),
        (with_min(Schedule::new("a", "UTC", "07:00", "2026-11-27T00:00"), 2), "two times of day"),
        (
            with_min(Schedule::new("a", "UTC", "2026-11-28T00:00", "2026-11-27T00:00"), 2),
            "before it begins",
        ),
        (Schedule::new("a", "UTC", "07:00", "08:00"), "it sets nothing"),
        (with_min(Schedule::new("a", "UTC", "07:00", "08:00"), 11), "it leaves 11 to 10"),
    ] {
        let message = fault(schedule);
        assert!(message.contains("schedule[0] (a)") && message.contains(expected), "{message}");
    }
    spec.schedule = vec![with_min(Schedule::new("a", "UTC", "07:00", "08:00"), 2); 65];
    assert!(spec.validate().unwrap_err().to_string().contains("the most is 64"));
}
