//! `rules_threads`: records against patterns that can only be tried, in two threads beside one.

use std::hint::black_box;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use birl_benches::figure::{Figure, Target};
use birl_benches::stopwatch::seconds;
use birl_rules_dsl::{Event, RuleSet, Scratch, SourceText};
use serde_json::{Value, json};

const RULES: usize = 200;
const RECORDS: usize = 256;
const BATCHES: usize = 32;
/// More than elsewhere: what else the machine has to do takes one of two threads.
const ROUNDS: usize = 21;

fn rules() -> SourceText {
    // No word of three letters is in all that they match, so that each is tried on each record.
    let rule = |n: usize| {
        let when = format!(r"message =~ '[a-f]\d{{{}}} [x-z]{}\b|\d{n} ms'", 1 + n % 3, n % 10);
        json!({"name": format!("r{n}"), "when": when, "then": "notify()"})
    };
    let rules: Vec<_> = (0..RULES).map(rule).collect();
    SourceText::json("rules.json", json!({ "rules": rules }).to_string())
}

/// Seconds for so many threads to judge all batches each.
fn judge(rules: &Arc<RuleSet>, records: &[Value], threads: usize) -> f64 {
    let work = || {
        let mut scratch = Scratch::new();
        for _ in 0..BATCHES {
            let events = records.iter().map(|record| Event::new(record, UNIX_EPOCH));
            drop(black_box(rules.matches(black_box(events), &mut scratch)));
        }
    };
    let all = || {
        std::thread::scope(|scope| {
            (0..threads).for_each(|_| drop(scope.spawn(work)));
        });
    };
    seconds(all).0
}

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let rules = Arc::new(RuleSet::compile(&[rules()])?);
    let record = |n: usize| json!({"message": format!("GET /api/{n} took 1{n} us, a{n} y2, from 10.0.{n}.7")});
    let records: Vec<Value> = (0..RECORDS).map(record).collect();
    let speed = |threads: usize| {
        let work = (threads * BATCHES * RECORDS) as f64;
        work / judge(&rules, &records, threads)
    };
    speed(1);
    let rounds: Vec<_> = (0..ROUNDS).map(|_| (speed(2), speed(1))).collect();
    Ok(vec![Figure::of_rounds(
        "rules_threads",
        "rec/s",
        "one thread",
        Target::RatioAtLeast(1.8),
        &rounds,
    )])
}
