//! Closing the loop: evidence in any order, deadlines, and what a scale-in has to show.

use birl_scaler::{
    Decision, LegName, Metrics, Replicas, Status, Verdict, Verification, Verifier, VerifierConfig,
};

use crate::support::{at, decision, seconds};

fn settled(verifications: &[Verification]) -> Option<&Verification> {
    assert!(verifications.len() <= 1, "{verifications:?}");
    verifications.first()
}

fn up() -> Decision {
    decision("workers", 1, 3, at(0))
}

fn all_but_instances(verifier: &mut Verifier, replicas: u32, second: u64) {
    verifier.ready("workers", Replicas::ready(replicas), at(second));
    verifier.counter_moved("workers", at(second));
}

#[test]
fn a_scale_up_is_verified_when_every_leg_holds_and_not_before() {
    let mut verifier = Verifier::default();
    verifier.expect(&up(), seconds(30), at(0));
    assert_eq!(verifier.next_deadline(), Some(at(30)));
    all_but_instances(&mut verifier, 3, 2);
    for (second, instance) in [(3, "worker-1"), (4, "worker-2"), (5, "worker-2")] {
        verifier.see_instance("workers", instance, at(second), at(second));
        assert!(verifier.tick(at(second)).is_empty());
    }
    verifier.see_instance("workers", "worker-3", at(6), at(6));
    let verifications = verifier.tick(at(7));
    let done = settled(&verifications).unwrap();
    assert_eq!(done.verdict, Verdict::Verified);
    assert_eq!((done.decision_id, done.from, done.replicas, done.at), (up().id, 1, 3, at(7)));
    let legs: Vec<_> = done.legs.iter().map(|leg| (leg.name, leg.ok, leg.at)).collect();
    assert_eq!(
        legs,
        [
            (LegName::PlatformReady, true, Some(at(2))),
            (LegName::Counter, true, Some(at(2))),
            (LegName::Instances, true, Some(at(6))),
        ]
    );
    assert!(done.legs[2].evidence.ends_with(": worker-1, worker-2, worker-3"));
    assert!(verifier.tick(at(8)).is_empty(), "each verdict once");
    assert_eq!(verifier.pending(), 0);
}

#[test]
fn each_missing_leg_fails_at_the_deadline_and_is_named() {
    let run = |skip: LegName| {
        let mut verifier = Verifier::default();
        verifier.expect(&up(), seconds(30), at(0));
        if skip != LegName::PlatformReady {
            verifier.ready("workers", Replicas::ready(3), at(1));
        }
        if skip != LegName::Counter {
            verifier.counter_moved("workers", at(1));
        }
        let heard = if skip == LegName::Instances { 2 } else { 3 };
        for n in 1..=heard {
            verifier.see_instance("workers", &format!("worker-{n}"), at(1), at(1));
        }
        assert!(verifier.tick(at(29)).is_empty());
        settled(&verifier.tick(at(30))).unwrap().verdict.clone()
    };
    let why = |leg| match run(leg) {
        // Nobody can tell whether the platform is there yet: too late, but not refuted.
        Verdict::TimedOut { leg: LegName::PlatformReady, why } if leg == LegName::PlatformReady => {
            why
        }
        // The platform says yes; the rest of the proof is missing.
        Verdict::Partial { leg: short, why } if short == leg => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(LegName::PlatformReady), "the platform has reported nothing");
    assert_eq!(why(LegName::Counter), "it was not seen to move");
    assert_eq!(why(LegName::Instances), "2 of 3 were heard: worker-1, worker-2");
}

/// The leg is about the counter that operators see, and not about a host that says so.
#[test]
fn the_counter_has_moved_only_if_it_reads_more_than_before() {
    let run = |recorded: &[(Decision, Status)]| {
        let (mut verifier, metrics) = (Verifier::default(), Metrics::new());
        let decision = up();
        metrics.record_action(&decision, Status::Success); // one of an hour ago
        verifier.expect(&decision, seconds(30), at(0));
        verifier.counter_reads("workers", metrics.actions_like(&decision), at(0));
        for (decision, status) in recorded {
            metrics.record_action(decision, *status);
        }
        verifier.counter_reads("workers", metrics.actions_like(&decision), at(1));
        verifier.ready("workers", Replicas::ready(3), at(1));
        (1..=3)
            .for_each(|n| verifier.see_instance("workers", &format!("worker-{n}"), at(1), at(1)));
        settled(&verifier.tick(at(30))).unwrap().verdict.clone()
    };
    assert_eq!(run(&[(up(), Status::Success)]), Verdict::Verified);
    let forgotten = run(&[]);
    assert!(
        matches!(&forgotten, Verdict::Partial { leg: LegName::Counter, why } if why == "it was not seen to move"),
        "{forgotten:?}"
    );
    assert_eq!(run(&[(up(), Status::Failed)]), forgotten, "a failed one is no success");
    let other = decision("workers", 3, 2, at(0));
    assert_eq!(run(&[(other, Status::Success)]), forgotten, "another kind");
}

#[test]
fn a_counter_that_begins_anew_has_to_move_from_there() {
    let mut verifier = Verifier::default();
    verifier.expect(&up(), seconds(30), at(0));
    verifier.ready("workers", Replicas::ready(3), at(1));
    (1..=3).for_each(|n| verifier.see_instance("workers", &format!("worker-{n}"), at(1), at(1)));
    for (second, count) in [(1, 7), (2, 0), (3, 0)] {
        verifier.counter_reads("workers", count, at(second));
        assert!(verifier.tick(at(second)).is_empty());
    }
    verifier.counter_reads("workers", 1, at(4));
    assert_eq!(settled(&verifier.tick(at(4))).unwrap().verdict, Verdict::Verified);
}

#[test]
fn what_says_otherwise_is_a_failure_and_what_says_too_little_is_not() {
    let run = |replicas: Replicas| {
        let mut verifier = Verifier::default();
        verifier.expect(&up(), seconds(30), at(0));
        verifier.ready("workers", replicas, at(1));
        let verifications = verifier.tick(at(30));
        let done = settled(&verifications).unwrap();
        assert!(done.is_alarming() && !done.is_all_clear());
        (done.verdict.as_str(), done.verdict.leg())
    };
    let platform = Some(LegName::PlatformReady);
    assert_eq!(run(Replicas { desired: 3, ready: 2 }), ("timed_out", platform), "under way");
    assert_eq!(run(Replicas { desired: 1, ready: 1 }), ("failed", platform), "somebody undid it");

    let mut verifier = Verifier::default();
    verifier.refused(&up(), "forbidden", at(5));
    let verifications = verifier.tick(at(5));
    let done = settled(&verifications).unwrap();
    assert!(
        done.to_string()
            .contains("failed workers 1 → 3 at platform_ready: the target refused: forbidden"),
        "{done}"
    );
}

/// The whole loop, metric → alert → scale → log.
#[test]
fn the_reading_behind_a_change_must_be_fresh() {
    let run = |age: u64| {
        let mut decider = crate::support::decider(crate::support::prompt());
        let mut seen = crate::support::cpu(1, 90.0, at(100));
        let decision = decider.decide(&seen, at(100));
        assert_eq!(decision.to, 2);
        seen.signals[0].at = at(100 - age);
        let mut verifier = Verifier::default();
        verifier.expect_seen(&decision, &seen, seconds(30), at(100));
        all_but_instances(&mut verifier, 2, 101);
        for n in 1..=2 {
            verifier.see_instance("workers", &format!("worker-{n}"), at(101), at(101));
        }
        let verifications = verifier.tick(at(130));
        let done = settled(&verifications).unwrap();
        let leg = done.legs.iter().find(|leg| leg.name == LegName::Metric).unwrap();
        (done.verdict.as_str(), leg.evidence.clone(), leg.at)
    };
    let fresh = run(4);
    assert_eq!(
        fresh,
        ("verified", "cpu was 90 (target 60), measured 4s before".to_owned(), Some(at(96)))
    );
    assert_eq!(run(90).0, "partial", "it was too old to be believed");

    // What somebody asked for has no reading of its own.
    let mut verifier = Verifier::default();
    let asked = crate::support::ask(1, "x", birl_scaler::Change::By(1));
    let decision = crate::support::decider(crate::support::prompt()).decide(&asked, at(0));
    verifier.expect_seen(&decision, &asked, seconds(30), at(0));
    let verifications = verifier.tick(at(30));
    assert!(settled(&verifications).unwrap().legs.iter().all(|leg| leg.name != LegName::Metric));
}

#[test]
fn the_alert_behind_a_change_must_have_been_told() {
    let run = |raised: Option<u64>, told: Option<u64>| {
        let mut config = VerifierConfig::default();
        config.within.insert(LegName::Alert, seconds(10));
        let mut verifier = Verifier::new(config);
        if let Some(second) = raised {
            verifier.alert_raised("workers", "slow/1", at(second));
        }
        let mut told = told.map(|second| (second, at(second)));
        if let Some((_, at)) = told.take_if(|(second, _)| *second < 5000) {
            verifier.alert_told("workers", "slow/1", "rule slow to pager", at);
            // An episode that goes on is raised again, and nobody is told again.
            verifier.alert_raised("workers", "slow/1", crate::support::at(4990));
        }
        verifier.expect(&decision("workers", 1, 3, at(5000)), seconds(30), at(5000));
        if let Some((_, at)) = told {
            verifier.alert_told("workers", "another/1", "rule another to pager", at);
            verifier.alert_told("workers", "slow/1", "rule slow to pager", at);
        }
        all_but_instances(&mut verifier, 3, 5001);
        for n in 1..=3 {
            verifier.see_instance("workers", &format!("worker-{n}"), at(5001), at(5001));
        }
        let verifications = verifier.tick(at(5011));
        let done = settled(&verifications).unwrap();
        (done.verdict.as_str(), done.verdict.leg(), done.legs[0].evidence.clone())
    };
    assert_eq!(
        run(Some(5000), Some(5002)),
        ("verified", None, "told: rule slow to pager".to_owned())
    );
    assert_eq!(run(Some(3000), Some(3001)).0, "verified");
    assert_eq!(run(Some(5000), Some(5011)).0, "partial", "this leg had ten seconds");
    let (verdict, leg, why) = run(Some(5000), None);
    assert_eq!((verdict, leg), ("partial", Some(LegName::Alert)));
    assert_eq!(why, "nobody was told of the alert behind it");
    assert_eq!(run(Some(1000), None).0, "verified", "that was another night's alert");
    assert_eq!(run(None, None).0, "verified", "a rule that tells nobody has no such leg");

    // A metric's change has no alert behind it, whatever else was raised.
    let mut verifier = Verifier::default();
    verifier.alert_raised("workers", "slow/1", at(0));
    let by_metric = crate::support::decider(crate::support::prompt())
        .decide(&crate::support::cpu(1, 90.0, at(0)), at(0));
    verifier.expect(&by_metric, seconds(30), at(0));
    let verifications = verifier.tick(at(30));
    assert!(settled(&verifications).unwrap().legs.iter().all(|leg| leg.name != LegName::Alert));
}

#[test]
fn an_alert_counts_whether_it_is_heard_of_before_the_change_or_after_it() {
    type Call = fn(&mut Verifier);
    let run = |calls: &[Call]| {
        let mut verifier = Verifier::default();
        calls.iter().for_each(|call| call(&mut verifier));
        all_but_instances(&mut verifier, 3, 5001);
        for n in 1..=3 {
            verifier.see_instance("workers", &format!("worker-{n}"), at(5001), at(5001));
        }
        let verifications = verifier.tick(at(5030));
        let done = settled(&verifications).unwrap();
        let alert = done.legs.iter().find(|leg| leg.name == LegName::Alert);
        (done.verdict.as_str(), alert.map(|leg| leg.evidence.clone()))
    };
    let expect: Call = |v| v.expect(&decision("workers", 1, 3, at(5000)), seconds(30), at(5000));
    let raised: Call = |v| v.alert_raised("workers", "slow/1", at(4999));
    let told: Call = |v| v.alert_told("workers", "slow/1", "rule slow to pager", at(5002));
    let proof = ("verified", Some("told: rule slow to pager".to_owned()));
    for calls in [
        [expect, raised, told],
        [expect, told, raised],
        [raised, expect, told],
        [raised, told, expect],
        [told, expect, raised],
        [told, raised, expect],
    ] {
        assert_eq!(run(&calls), proof);
    }
    let untold = ("partial", Some("nobody was told of the alert behind it".to_owned()));
    assert_eq!(run(&[expect, raised]), untold);
    assert_eq!(run(&[raised, expect]), untold);
    let late: Call = |v| v.alert_raised("workers", "slow/1", at(5001));
    assert_eq!(run(&[expect, late]), untold, "raised a moment after the decision");
    assert_eq!(run(&[expect, late, told]), proof);

    // One that is raised meanwhile is not behind a change that another one is behind.
    let another: Call = |v| v.alert_raised("workers", "another/1", at(5001));
    assert_eq!(run(&[raised, expect, another, told]), proof);
    assert_eq!(run(&[expect, another, raised, told]), proof);
    let by_metric: Call = |v| {
        let seen = crate::support::cpu(2, 90.0, at(5000));
        let decision = crate::support::decider(crate::support::prompt()).decide(&seen, at(5000));
        v.expect(&decision, seconds(30), at(5000));
    };
    assert_eq!(run(&[by_metric, late]), ("verified", None), "a metric's change has none");
}

#[test]
fn a_leg_with_a_deadline_of_its_own_does_not_end_the_others() {
    let mut config = VerifierConfig::default();
    config.within.insert(LegName::Counter, seconds(5));
    let mut verifier = Verifier::new(config);
    verifier.expect(&up(), seconds(30), at(0));
    verifier.ready("workers", Replicas::ready(3), at(1));
    assert!(verifier.tick(at(10)).is_empty(), "the instances may still show themselves");
    for n in 1..=3 {
        verifier.see_instance("workers", &format!("worker-{n}"), at(11), at(11));
    }
    let verifications = verifier.tick(at(11));
    let done = settled(&verifications).unwrap();
    assert_eq!(done.verdict.leg(), Some(LegName::Counter));
    let untils: Vec<_> = done.legs.iter().map(|leg| leg.until).collect();
    assert_eq!(untils, [Some(at(30)), Some(at(5)), Some(at(30))]);
}

#[test]
fn a_verdict_is_counted_by_leg_and_makes_an_alert() {
    let metrics = Metrics::new();
    let mut verifier = Verifier::default();
    verifier.expect(&up(), seconds(30), at(0));
    all_but_instances(&mut verifier, 3, 1);
    let verifications = verifier.tick(at(30));
    let partial = settled(&verifications).unwrap();
    metrics.record_verification(partial);
    let count = |leg, verdict| metrics.leg_verifications(leg, verdict);
    assert_eq!((metrics.verifications("partial"), metrics.verifications("verified")), (1, 0));
    assert_eq!(count(LegName::PlatformReady, "verified"), 1);
    assert_eq!(count(LegName::Instances, "timed_out"), 1);
    assert_eq!(count(LegName::Instances, "verified"), 0);
    let labels = partial.labels();
    assert_eq!(labels[1], ("scale_target", "workers".to_owned()));
    let told = partial.annotations();
    assert_eq!(told[0].1, partial.to_string());
    assert_eq!((told[1].1.as_str(), told[2].1.as_str()), ("partial", "instances"));

    verifier.expect(&decision("workers", 3, 4, at(40)), seconds(30), at(40));
    all_but_instances(&mut verifier, 4, 41);
    for n in 1..=4 {
        verifier.see_instance("workers", &format!("worker-{n}"), at(41), at(41));
    }
    let verifications = verifier.tick(at(41));
    let done = settled(&verifications).unwrap();
    assert!(done.is_all_clear() && !done.is_alarming());
    assert_eq!(done.labels(), labels, "it ends the same alert");
}

#[test]
fn old_evidence_does_not_count() {
    let mut verifier = Verifier::default();
    let decision = decision("workers", 1, 3, at(100));
    for n in 1..=3 {
        verifier.see_instance("workers", &format!("worker-{n}"), at(99), at(99));
    }
    verifier.expect(&decision, seconds(30), at(100));
    all_but_instances(&mut verifier, 3, 101);
    verifier.counter_moved("workers", at(99));
    assert!(verifier.tick(at(101)).is_empty());
}

#[test]
fn evidence_from_between_the_decision_and_its_report_counts() {
    let mut verifier = Verifier::default();
    for n in 1..=3 {
        verifier.see_instance("workers", &format!("worker-{n}"), at(5), at(5));
    }
    verifier.expect(&up(), seconds(30), at(8)); // decided at 0, applied at 8
    all_but_instances(&mut verifier, 3, 9);
    assert_eq!(settled(&verifier.tick(at(9))).unwrap().verdict, Verdict::Verified);
}

#[test]
fn evidence_after_the_deadline_is_too_late_even_when_nobody_ticked() {
    let mut verifier = Verifier::default();
    verifier.expect(&up(), seconds(30), at(0));
    all_but_instances(&mut verifier, 3, 1);
    for n in 1..=3 {
        verifier.see_instance("workers", &format!("worker-{n}"), at(31), at(31));
    }
    let verifications = verifier.tick(at(40));
    assert!(matches!(settled(&verifications).unwrap().verdict, Verdict::Partial { .. }));

    let mut verifier = Verifier::default();
    verifier.expect(&up(), seconds(30), at(0));
    all_but_instances(&mut verifier, 3, 1);
    for n in 1..=3 {
        verifier.see_instance("workers", &format!("worker-{n}"), at(29), at(29));
    }
    assert_eq!(settled(&verifier.tick(at(40))).unwrap().verdict, Verdict::Verified);
}

#[test]
fn a_platform_that_loses_its_replicas_again_is_not_ready() {
    let mut verifier = Verifier::default();
    verifier.expect(&up(), seconds(30), at(0));
    all_but_instances(&mut verifier, 3, 1);
    verifier.ready("workers", Replicas { desired: 3, ready: 2 }, at(2));
    for n in 1..=3 {
        verifier.see_instance("workers", &format!("worker-{n}"), at(3), at(3));
    }
    assert!(verifier.tick(at(3)).is_empty());
    verifier.ready("workers", Replicas::ready(3), at(4));
    assert_eq!(settled(&verifier.tick(at(4))).unwrap().verdict, Verdict::Verified);
}

#[test]
fn a_scale_in_needs_the_stopped_to_be_silent_and_the_rest_to_speak() {
    let mut verifier = Verifier::default();
    verifier.expect(&decision("workers", 3, 1, at(0)), seconds(60), at(0));
    for second in 0..10 {
        for n in 1..=3 {
            verifier.see_instance("workers", &format!("worker-{n}"), at(second), at(second));
        }
    }
    verifier.see_instance("workers", "worker-1", at(12), at(12));
    assert!(verifier.tick(at(20)).is_empty(), "the platform has not said that the drain is over");
    all_but_instances(&mut verifier, 1, 20);
    verifier.see_instance("workers", "worker-1", at(21), at(21));
    assert!(verifier.tick(at(21)).is_empty(), "the stopped have had no time to be silent");
    verifier.see_instance("workers", "worker-3", at(22), at(22)); // still draining, it seems
    assert!(verifier.tick(at(24)).is_empty(), "the quiet period has not passed");
    assert!(verifier.tick(at(25)).is_empty(), "two were heard in it");
    verifier.see_instance("workers", "worker-1", at(26), at(26));
    assert!(verifier.tick(at(26)).is_empty());
    let verifications = verifier.tick(at(28));
    let done = settled(&verifications).unwrap();
    assert_eq!(done.verdict, Verdict::Verified, "{done}");
    assert!(done.legs.iter().any(|leg| leg.name == LegName::Silence && leg.ok));
}

#[test]
fn a_scale_in_fails_when_a_stopped_instance_goes_on_or_nobody_is_left() {
    let mut verifier = Verifier::default();
    verifier.expect(&decision("workers", 2, 1, at(0)), seconds(30), at(0));
    all_but_instances(&mut verifier, 1, 1);
    for second in 1..30 {
        verifier.see_instance("workers", "worker-1", at(second), at(second));
        verifier.see_instance("workers", "worker-2", at(second), at(second));
        assert!(verifier.tick(at(second)).is_empty());
    }
    let verdict = settled(&verifier.tick(at(30))).unwrap().verdict.clone();
    assert!(matches!(verdict, Verdict::Failed { leg: LegName::Silence, .. }), "{verdict:?}");

    verifier.expect(&decision("workers", 2, 1, at(100)), seconds(30), at(100));
    all_but_instances(&mut verifier, 1, 101);
    let verdict = settled(&verifier.tick(at(130))).unwrap().verdict.clone();
    assert!(matches!(verdict, Verdict::Partial { leg: LegName::Instances, .. }), "{verdict:?}");
}

#[test]
fn a_text_is_one_more_sign_and_its_number_is_read_whole() {
    let mut config = VerifierConfig::default();
    config.text = Some("scaled to {replicas}".to_owned());
    let mut verifier = Verifier::new(config);
    verifier.expect(&up(), seconds(30), at(0));
    all_but_instances(&mut verifier, 3, 1);
    for n in 1..=3 {
        verifier.see_instance("workers", &format!("worker-{n}"), at(1), at(1));
    }
    verifier.see_text("workers", r#"{"msg":"scaled to 30"}"#, at(1));
    assert!(verifier.tick(at(1)).is_empty());
    // A line from the future does not stand in the way of the one that is meant.
    verifier.see_text("workers", r#"{"msg":"scaled to 3"}"#, at(1_000_000));
    verifier.see_text("workers", r#"{"msg":"scaled to 3"}"#, at(2));
    assert_eq!(settled(&verifier.tick(at(2))).unwrap().verdict, Verdict::Verified);
}

#[test]
fn a_newer_decision_supersedes_the_older_one() {
    let mut verifier = Verifier::default();
    let (first, second) = (up(), decision("workers", 3, 5, at(10)));
    verifier.expect(&first, seconds(30), at(0));
    verifier.expect(&second, seconds(30), at(10));
    let verifications = verifier.tick(at(10));
    let done = settled(&verifications).unwrap();
    assert_eq!(done.decision_id, first.id);
    assert_eq!(done.verdict, Verdict::Superseded { by: second.id });
    assert_eq!(verifier.pending(), 1);
    let metrics = Metrics::new();
    metrics.record_verification(done);
    assert_eq!(metrics.verifications("superseded"), 1);
}

/// What is complete when the newer decision comes is verified, ticked or not.
#[test]
fn evidence_that_is_in_before_the_newer_decision_counts() {
    let mut verifier = Verifier::default();
    verifier.expect(&up(), seconds(30), at(0));
    all_but_instances(&mut verifier, 3, 1);
    for n in 1..=3 {
        verifier.see_instance("workers", &format!("worker-{n}"), at(1), at(1));
    }
    verifier.expect(&decision("workers", 3, 5, at(10)), seconds(30), at(10));
    assert_eq!(settled(&verifier.tick(at(10))).unwrap().verdict, Verdict::Verified);

    // And what was overdue by then has failed.
    let late = decision("workers", 5, 6, at(50));
    verifier.expect(&late, seconds(30), at(50));
    assert_eq!(settled(&verifier.tick(at(50))).unwrap().verdict.as_str(), "timed_out");
}

#[test]
fn a_superseded_scale_in_tells_who_was_heard() {
    let mut verifier = Verifier::default();
    verifier.expect(&decision("workers", 3, 1, at(0)), seconds(60), at(0));
    verifier.ready("workers", birl_scaler::Replicas::ready(1), at(1));
    verifier.see_instance("workers", "worker-1", at(5), at(5));
    verifier.expect(&decision("workers", 1, 2, at(6)), seconds(30), at(6));
    let verifications = verifier.tick(at(6));
    let text = settled(&verifications).unwrap().to_string();
    assert!(text.contains("1 of 1 were heard in the last 5s: worker-1"), "{text}");
}

#[test]
fn a_deadline_without_end_never_passes() {
    let mut verifier = Verifier::default();
    verifier.expect(&up(), std::time::Duration::MAX, at(0));
    assert!(verifier.tick(at(1_000_000)).is_empty());
    assert_eq!(verifier.pending(), 1);
}

#[test]
fn targets_do_not_mix_and_holds_are_not_followed() {
    let mut verifier = Verifier::default();
    verifier.expect(&decision("workers", 3, 3, at(0)), seconds(30), at(0));
    assert_eq!(verifier.pending(), 0);
    verifier.expect(&up(), seconds(30), at(0));
    all_but_instances(&mut verifier, 3, 1);
    for n in 1..=3 {
        verifier.see_instance("others", &format!("worker-{n}"), at(1), at(1));
    }
    assert!(verifier.tick(at(1)).is_empty());
}

#[test]
fn everything_is_bounded_and_drops_are_counted() {
    let mut config = VerifierConfig::default();
    (config.max_targets, config.max_instances) = (2, 10);
    let mut verifier = Verifier::new(config);
    for n in 0..3 {
        verifier.expect(&decision(&format!("target-{n}"), 1, 2, at(0)), seconds(30), at(0));
    }
    let verifications = verifier.tick(at(0));
    let lost = settled(&verifications).unwrap();
    assert_eq!((&*lost.target, lost.verdict.as_str()), ("target-2", "unchecked"));
    for n in 0..25 {
        verifier.see_instance("target-0", &format!("worker-{n}"), at(n), at(n));
    }
    verifier.see_instance("stranger", "worker-1", at(1), at(1));
    assert_eq!(verifier.dropped(), 15 + 1);
}

/// Whoever can write to the log can make up names, and times.
#[test]
fn a_flood_of_names_moves_no_instance_out() {
    let mut config = VerifierConfig::default();
    config.max_instances = 3;
    let mut verifier = Verifier::new(config);
    for n in 1..=3 {
        verifier.see_instance("workers", &format!("worker-{n}"), at(5), at(5));
    }
    for n in 0..1000 {
        verifier.see_instance("workers", &format!("stranger-{n}"), at(6 + n), at(6));
    }
    assert_eq!(verifier.dropped(), 1000);
    verifier.expect(&up(), seconds(30), at(8)); // decided at 0, applied at 8
    all_but_instances(&mut verifier, 3, 9);
    let verifications = verifier.tick(at(9));
    let done = settled(&verifications).unwrap();
    assert!(done.legs[2].evidence.ends_with(": worker-1, worker-2, worker-3"), "{done}");
}

#[test]
fn a_full_memory_is_looked_through_once_a_second_and_not_for_each_stranger() {
    let mut config = VerifierConfig::default();
    config.max_instances = 2;
    let mut verifier = Verifier::new(config);
    verifier.see_instance("workers", "worker-1", at(0), at(0));
    verifier.see_instance("workers", "worker-2", at(30), at(30));
    for (millis, dropped, why) in [
        (59_500, 1, "both of them are live"),
        (60_200, 2, "worker-1 is silent by now, but nobody looked again"),
        (60_499, 3, "not yet"),
        (60_500, 3, "a second later there is room"),
    ] {
        let now = at(0) + std::time::Duration::from_millis(millis);
        verifier.see_instance("workers", &format!("stranger-{millis}"), now, now);
        assert_eq!(verifier.dropped(), dropped, "{why}");
    }
}

#[test]
fn a_clock_that_is_fast_does_not_speak_for_an_instance_that_has_stopped() {
    let mut verifier = Verifier::default();
    verifier.expect(&decision("workers", 2, 1, at(0)), seconds(30), at(0));
    verifier.see_instance("workers", "worker-2", at(100_000), at(2));
    all_but_instances(&mut verifier, 1, 3);
    verifier.see_instance("workers", "worker-1", at(7), at(7));
    let verifications = verifier.tick(at(9));
    assert_eq!(settled(&verifications).unwrap().verdict, Verdict::Verified);
}

#[test]
fn a_verification_reads_as_one_sentence_and_as_data() {
    let mut verifier = Verifier::default();
    verifier.expect(&up(), seconds(30), at(0));
    verifier.counter_moved("workers", at(1));
    let verifications = verifier.tick(at(30));
    let failed = settled(&verifications).unwrap();
    assert_eq!(
        failed.to_string(),
        "timed_out workers 1 → 3 at platform_ready: the platform has reported nothing; legs: \
         platform_ready open (the platform has reported nothing), counter ok (it moved), \
         instances open (0 of 3 were heard)"
    );
    let text = serde_json::to_string(failed).unwrap();
    assert_eq!(&serde_json::from_str::<Verification>(&text).unwrap(), failed);
}
