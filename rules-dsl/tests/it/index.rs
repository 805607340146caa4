//! Sets of rules, as they are found and judged together, against each rule explained by itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use birl_rules_dsl::{Engine, EngineConfig, Event, RuleSet, Scratch, SourceText, Truth};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const FIELDS: [&str; 6] = ["a", "b", "c.d", "e", "tags", "line"];
const WORDS: [&str; 8] =
    ["x", "xy", "", "timeout", "connection reset", "time", "X", "\u{e9}t\u{e9}"];

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just("a".to_owned()),
        9 => prop::sample::select(FIELDS.to_vec()).prop_map(str::to_owned),
        // Many fields that few records have.
        3 => (0..60).prop_map(|n| format!("f{n}")),
        1 => (0..4).prop_map(|n| format!("g.h{n}")),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (-3..4_i64).prop_map(|n| json!(n)),
        3 => (-6..7_i32).prop_map(|n| json!(f64::from(n) / 2.0)),
        1 => Just(json!(9_007_199_254_740_992.0)),
        1 => Just(json!(9_007_199_254_740_993_i64)),
        1 => Just(json!(u64::MAX)),
    ]
}

fn word() -> impl Strategy<Value = Value> {
    prop::sample::select(WORDS.to_vec()).prop_map(|word| json!(word))
}

fn constant() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => number(),
        3 => word(),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(|value| json!(value)),
    ]
}

fn leaf() -> impl Strategy<Value = String> {
    let comparison = || prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let patterns = vec!["^time", "time|reset", "out$", "x*", "(?i)TIMEOUT", "connection .*et", "."];
    prop_oneof![
        6 => (field(), comparison(), constant()).prop_map(|(f, op, c)| format!("{f} {op} {c}")),
        2 => (constant(), comparison(), field()).prop_map(|(c, op, f)| format!("{c} {op} {f}")),
        3 => (field(), number(), number())
            .prop_map(|(f, low, high)| format!("{f} >= {low} && {f} < {high}")),
        1 => (field(), comparison(), field()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        2 => (field(), prop::collection::vec(constant(), 1..4), any::<bool>())
            .prop_map(|(f, list, not)| {
                format!("{f} {}in {}", if not { "not " } else { "" }, json!(list))
            }),
        1 => (constant(), field(), any::<bool>())
            .prop_map(|(c, f, not)| format!("{c} {}in {f}", if not { "not " } else { "" })),
        6 => (field(), prop::sample::select(vec!["contains", "startswith", "endswith"]), word())
            .prop_map(|(f, op, word)| format!("{f} {op} {word}")),
        1 => (field(), number()).prop_map(|(f, n)| format!("{f} contains {n}")),
        2 => (field(), prop::sample::select(patterns), any::<bool>())
            .prop_map(|(f, p, not)| format!("{f} {} '{p}'", if not { "!~" } else { "=~" })),
        1 => field().prop_map(|f| format!("exists({f})")),
        1 => field(),
        1 => (field(), number()).prop_map(|(f, n)| format!("({f} ?? {n}) > 0")),
        1 => field().prop_map(|f| format!("({f} ?? true)")),
        1 => (field(), number()).prop_map(|(f, n)| format!("{f} + 1 > {n}")),
        1 => (field(), number()).prop_map(|(f, n)| format!("len({f}) > {n}")),
        1 => any::<bool>().prop_map(|value| value.to_string()),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    leaf().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|e| format!("!({e})")),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|all| format!("({})", all.join(") && ("))),
            prop::collection::vec(inner, 2..4).prop_map(|all| format!("({})", all.join(") || ("))),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => constant(),
        1 => prop::collection::vec(constant(), 0..4).prop_map(Value::Array),
        1 => Just(json!([[1], {"x": 1}, "x"])),
        1 => Just(json!({"d": "xy", "h1": 2})),
        2 => Just(json!("a timeout, then connection reset by x")),
    ]
}

fn record() -> impl Strategy<Value = Value> {
    let names = ["a", "b", "c", "c.d", "e", "tags", "line", "f1", "f2", "g", "g.h1", "zzz"];
    prop::collection::vec((prop::sample::select(names.to_vec()), value()), 0..9).prop_map(
        |fields| {
            let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
            let mut map: Map<String, Value> = fields.collect();
            if let Some(value) = map.remove("zzz") {
                map.insert("c".to_owned(), json!({"d": value}));
            }
            Value::Object(map)
        },
    )
}

/// The rules that a checker lets through, in their order; alone, no rule is found by an index.
fn compiled(conditions: &[String]) -> Vec<Value> {
    let rule =
        |(number, when)| json!({"name": format!("r{number}"), "when": when, "then": "notify()"});
    let is_fine =
        |rule: &Value| RuleSet::compile(&[SourceText::json("r.json", rule.to_string())]).is_ok();
    conditions.iter().enumerate().map(rule).filter(is_fine).collect()
}

proptest! {
    // More of them: PROPTEST_CASES.
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn rules_that_are_found_are_those_that_hold(
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
            let holds = |name: &&str| rules.explain(name, record).unwrap().verdict == Truth::True;
            let expected: Vec<&str> = rules.rules().map(|rule| &*rule.name).filter(holds).collect();
            let odd = |name: &&&str| found.contains(*name) != expected.contains(*name);
            let odd: BTreeSet<&&str> = found.iter().chain(&expected).filter(odd).collect();
            let odd: Vec<_> = odd.iter().filter_map(|name| rules.explain(name, record)).collect();
            prop_assert!(odd.is_empty(), "on {record}: {odd:#?}");
            prop_assert_eq!(&found, &expected, "in another order, on {}", record);
            let hits = rules.matches_by_scan([Event::new(record, UNIX_EPOCH)], &mut scratch);
            prop_assert_eq!(hits.rule_names().collect::<Vec<_>>(), expected, "by scan, on {}", record);
        }
    }

    #[test]
    fn what_a_rule_is_silent_about_is_counted_though_it_is_not_judged(
        conditions in prop::collection::vec((leaf(), any::<bool>()), 1..30),
        batches in prop::collection::vec(prop::collection::vec(record(), 0..6), 1..4),
    ) {
        let conditions = conditions.into_iter().filter(|(leaf, _)| !leaf.contains("&&"));
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
