//! A condition and a record: evaluation is total, and agrees with its explanation.
#![no_main]

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use birl_rules_dsl::{Event, RuleSet, Scratch, Truth};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (condition, record) = input;
    let Ok(record) = serde_json::from_str::<serde_json::Value>(record) else { return };
    let rule = serde_json::json!({ "rules": [{ "name": "r", "when": condition, "then": "notify('x')" }] });
    let Ok(rules) = RuleSet::from_json("fuzz.json", &rule.to_string()) else { return };
    let rules = Arc::new(rules);
    let hits = rules.matches([Event::new(&record, UNIX_EPOCH)], &mut Scratch::new());
    let explained = rules.explain("r", &record).unwrap();
    assert_eq!(hits.len() == 1, explained.verdict == Truth::True);
});
