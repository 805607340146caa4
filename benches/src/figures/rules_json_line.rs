//! `rules_json_line`: a line of 250 bytes against 100 rules, from its text to what matches, beside bare
//! borrowed serde_json of the fields that the rules ask for.

use std::hint::black_box;
use std::sync::Arc;
use std::time::SystemTime;

use birl_benches::figure::{Figure, Target};
use birl_benches::stopwatch::nanoseconds;
use birl_rules_dsl::{Event, JsonLine, RuleSet, Scratch, SourceText};
use serde::Deserialize;
use serde_json::json;

use crate::ROUNDS;

const RULES: usize = 100;
const LINES: usize = 128;

/// What the rules ask for.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "parsed, which is what is measured")]
struct Bare<'t> {
    level: &'t str,
    service: &'t str,
    status: u16,
    latency_ms: f64,
}

fn line(number: usize) -> String {
    let (service, latency) = (number % 40, (number * 37 % 400) as f64 + 0.5);
    let status = if number % 50 == 7 { 503 } else { 200 };
    format!(
        "{{\"ts\":\"2026-11-28T10:00:{:02}.125Z\",\"level\":\"info\",\"service\":\"shop-{service}\",\
         \"host\":\"web-{:03}.eu-1.example\",\"method\":\"GET\",\"path\":\"/api/v1/cart/items/{number:05}\",\
         \"status\":{status},\"latency_ms\":{latency},\"bytes\":5120,\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}}",
        number % 60,
        number % 500,
    )
}

fn rules() -> SourceText {
    let condition = |rule: usize| match rule % 4 {
        0 => format!("service == 'shop-{rule}' && latency_ms > 300"),
        1 => format!("service == 'shop-{rule}' && status >= 500"),
        2 => format!("latency_ms > {} && latency_ms <= {}", 400 + rule, 401 + rule),
        _ => format!("level == 'error' && status == {}", 500 + rule),
    };
    let rules: Vec<_> = (0..RULES)
        .map(
            |rule| json!({"name": format!("r{rule}"), "when": condition(rule), "then": "notify()"}),
        )
        .collect();
    SourceText::json("rules.json", json!({ "rules": rules }).to_string())
}

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let lines: Vec<String> = (0..LINES).map(line).collect();
    let rules = Arc::new(RuleSet::compile(&[rules()])?);
    let (mut scratch, time) = (Scratch::new(), SystemTime::now());
    let records: Vec<JsonLine<'_>> = lines.iter().map(|line| JsonLine::new(line)).collect();
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let events = records.iter().map(|record| Event::new(black_box(record), time));
            let ours = nanoseconds(|| rules.matches(events.clone(), &mut scratch)) / LINES as f64;
            let bare = nanoseconds(|| {
                for line in &lines {
                    black_box(serde_json::from_str::<Bare<'_>>(black_box(line)).ok());
                }
            });
            (ours, bare / LINES as f64)
        })
        .collect();
    Ok(vec![Figure::of_rounds(
        "rules_json_line",
        "ns",
        "borrowed serde_json of the same fields",
        Target::RatioAtMost(3.0),
        &rounds,
    )])
}
