//! Sets of rules, as they are found and judged together, against each rule explained by itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::UNIX_EPOCH;

use birl_rules_dsl::{
    Compiler, Engine, EngineConfig, Event, FunctionSpec, JsonLine, RuleSet, Scratch, SourceText,
    Truth, ValueKind,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::compile;
use crate::generated::{compiled, condition, leaf, record};

/// A word that a record repeats leads to its rules once, and so does an item of a list.
#[test]
fn what_a_record_repeats_takes_no_memory() {
    let rule = |n: usize| {
        format!(
            "{{name: r{n}, when: \"msg contains 'again' && n > {n} || 'x' in tags && n > {n}\", then: notify()}}"
        )
    };
    let rules: Vec<String> = (0..500).map(rule).collect();
    let rules = compile(&format!("[{}]", rules.join(", ")));
    let record = json!({"msg": "again".repeat(20_000), "tags": vec!["x"; 20_000], "n": 3});
    let hits = rules.matches([Event::new(&record, UNIX_EPOCH)], &mut Scratch::new());
    assert_eq!(hits.rule_names().collect::<Vec<_>>(), ["r0", "r1", "r2"]);
}

/// Silence is counted only where it was looked for.
#[test]
fn hits_of_a_scan_count_no_silence() {
    let rules: Vec<String> =
        (0..20).map(|n| format!("{{name: r{n}, when: a == {n}, then: notify()}}")).collect();
    let rules = compile(&format!("[{}]", rules.join(", ")));
    let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
    let records = [json!({"a": 1}), json!({}), json!({"a": "x"})];
    for scans in [true, false] {
        let (events, mut scratch) =
            (records.iter().map(|r| Event::new(r, UNIX_EPOCH)), Scratch::new());
        let hits = match scans {
            true => rules.matches_by_scan(events, &mut scratch),
            false => rules.matches(events, &mut scratch),
        };
        engine.advance(hits, UNIX_EPOCH);
        let expected = if scans { 1 } else { 2 };
        assert_eq!(engine.stats().rules["r5"].unknown, expected);
    }
}

proptest! {
    // More of them: PROPTEST_CASES.
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn pain_28_rules_that_are_found_are_those_that_hold(
        conditions in prop::collection::vec(condition(), 1..50),
        records in prop::collection::vec(record(), 1..8),
    ) {
        let rules = compiled(&conditions);
        let text = json!({ "rules": rules }).to_string();
        let rules = Arc::new(RuleSet::compile(&[SourceText::json("r.json", text)]).unwrap());
        let mut scratch = Scratch::new();
        for record in &records {
            let hits = rules.matches([Event::new(record, UNIX_EPOCH)], &mut scratch);
            let found: Vec<&str> = hits.rule_names().collect();
            let holds = |name: &&str| rules.explain(name, record).unwrap().holds;
            let expected: Vec<&str> = rules.rules().map(|rule| &*rule.name).filter(holds).collect();
            let odd = |name: &&&str| found.contains(*name) != expected.contains(*name);
            let odd: BTreeSet<&&str> = found.iter().chain(&expected).filter(odd).collect();
            let odd: Vec<_> = odd.iter().filter_map(|name| rules.explain(name, record)).collect();
            prop_assert!(odd.is_empty(), "on {record}: {odd:#?}");
            prop_assert_eq!(&found, &expected, "in another order, on {}", record);
            let hits = rules.matches_by_scan([Event::new(record, UNIX_EPOCH)], &mut scratch);
            prop_assert_eq!(hits.rule_names().collect::<Vec<_>>(), &expected[..], "by scan, on {}", record);
            // A text has itself as its line.
            if record.get("line").is_some() {
                let text = record.to_string();
                let line = JsonLine::new(&text);
                let hits = rules.matches([Event::new(&line, UNIX_EPOCH)], &mut scratch);
                prop_assert_eq!(hits.rule_names().collect::<Vec<_>>(), expected, "as a text: {}", text);
            }
        }
    }

    #[test]
    fn what_a_rule_is_silent_about_is_counted_though_it_is_not_judged(
        conditions in prop::collection::vec((leaf(), any::<bool>()), 1..30),
        batches in prop::collection::vec(prop::collection::vec(record(), 0..6), 1..4),
    ) {
        // Whether a text is an address is found out where it is judged.
        let countable = |leaf: &str| !leaf.contains("&&") && !leaf.contains("cidr");
        let conditions = conditions.into_iter().filter(|(leaf, _)| countable(leaf));
        let conditions: Vec<String> = conditions
            .map(|(leaf, negated)| if negated { format!("!({leaf})") } else { leaf })
            .collect();
        let text = json!({ "rules": compiled(&conditions) }).to_string();
        let rules = Arc::new(RuleSet::compile(&[SourceText::json("r.json", text)]).unwrap());
        let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
        let mut scratch = Scratch::new();
        for batch in &batches {
            let events = batch.iter().map(|record| Event::new(record, UNIX_EPOCH));
            engine.advance(rules.matches(events, &mut scratch), UNIX_EPOCH);
            // The counts go on when the same rules come again.
            engine.replace(Arc::clone(&rules));
        }
        let stats = engine.stats();
        for rule in rules.rules() {
            let silent = |record: &&Value| {
                rules.explain(&rule.name, *record).unwrap().verdict == Truth::Unknown
            };
            let expected = batches.iter().flatten().filter(silent).count() as u64;
            prop_assert_eq!(stats.rules[&rule.name].unknown, expected, "{}", rule.when);
        }
    }
}

/// However many rules ask for a term that costs much, it is judged once for a record.
#[test]
fn what_costs_much_is_judged_once_for_a_record() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let slow = FunctionSpec::new("slow", ValueKind::Number, move |arguments| {
        counted.fetch_add(1, Ordering::Relaxed);
        match arguments {
            [birl_rules_dsl::Value::Int(number)] => Some(birl_rules_dsl::Value::Int(number % 10)),
            _ => None,
        }
    });
    let compiler = Compiler::new().function(slow.argument(ValueKind::Any));
    let mut rules = vec![json!({"name": "first", "when": "slow(a) > 5", "then": "notify()"})];
    for n in 0..50 {
        let when = match n % 3 {
            0 => format!("slow(a) > 5 && b != {n}"),
            1 => format!("b == {n} || !(slow(a) > 5)"),
            _ => format!("any(tags[*] == {n}) || slow(a) > 5"),
        };
        rules.push(json!({"name": format!("r{n}"), "when": when, "then": "notify()"}));
    }
    let text = json!({ "rules": rules }).to_string();
    let rules = Arc::new(compiler.compile(&[SourceText::json("r.json", text)]).unwrap());
    let records: Vec<_> =
        (0..20).map(|n| json!({"a": n, "b": n, "tags": [n, 3]})).chain([json!({"b": 1})]).collect();
    let mut scratch = Scratch::new();
    let mut found = Vec::new();
    for scans in [false, true] {
        calls.store(0, Ordering::Relaxed);
        // In batches, so that nothing is carried over from one to the next.
        let mut names = Vec::new();
        for batch in records.chunks(7) {
            let events = batch.iter().map(|record| Event::new(record, UNIX_EPOCH));
            let hits = match scans {
                true => rules.matches_by_scan(events, &mut scratch),
                false => rules.matches(events, &mut scratch),
            };
            names.extend(hits.rule_names().map(str::to_owned));
        }
        assert_eq!(calls.load(Ordering::Relaxed), 20, "scans: {scans}");
        found.push(names);
    }
    assert_eq!(found[0], found[1]);
    let mut expected = Vec::new();
    for record in &records {
        let holds = |name: &str| rules.explain(name, record).unwrap().holds;
        let names = rules.rules().map(|rule| rule.name.to_string());
        expected.extend(names.filter(|name| holds(name)));
    }
    assert_eq!(found[0], expected);
}
