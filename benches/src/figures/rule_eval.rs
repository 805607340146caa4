//! `rule_eval`: the example rule on a parsed record, beside the same check written by hand.

use std::hint::black_box;
use std::sync::Arc;
use std::time::SystemTime;

use birl_benches::figure::{Figure, Target};
use birl_benches::stopwatch::nanoseconds;
use birl_rules_dsl::{Event, RuleSet, Scratch};
use serde_json::{Value, json};

use crate::ROUNDS;

const RULE: &str = r#"
rules:
  - when: "cpu_usage > 90"
    where: "cluster == 'prod' && node_type == 'backend'"
    then: "send_pagerduty('HIGH_CPU')"
"#;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let rules = Arc::new(RuleSet::from_yaml("rule.yaml", RULE)?);
    let mut scratch = Scratch::default();
    // Misses at its last condition, as nearly every record of a service does: all of it is looked at.
    let record = json!({ "cpu_usage": 42.5, "cluster": "prod", "node_type": "backend", "host": "web-17",
                         "region": "eu-1", "zone": "b", "level": "info", "message": "still alive" });
    let time = SystemTime::now();
    let by_hand = |record: &Value| {
        record.get("cluster").and_then(Value::as_str) == Some("prod")
            && record.get("node_type").and_then(Value::as_str) == Some("backend")
            && record.get("cpu_usage").and_then(Value::as_f64).is_some_and(|usage| usage > 90.0)
    };
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let bare = nanoseconds(|| by_hand(black_box(&record)));
            // As a loop uses it: batches of records.
            let batch = [(); 128].map(|()| Event::new(black_box(&record), time));
            let ours = nanoseconds(|| rules.matches(batch, &mut scratch)) / 128.0;
            (ours, bare)
        })
        .collect();
    Ok(vec![Figure::of_rounds(
        "rule_eval",
        "ns",
        "the same check by hand",
        Target::RatioAtMost(3.0),
        &rounds,
    )])
}
