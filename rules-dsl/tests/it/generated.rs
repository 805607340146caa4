//! Rules and records by chance, few names and few values of them, so that they meet.

use birl_rules_dsl::{RuleSet, SourceText};
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

pub(crate) fn leaf() -> impl Strategy<Value = String> {
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

pub(crate) fn condition() -> impl Strategy<Value = String> {
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

pub(crate) fn record() -> impl Strategy<Value = Value> {
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
pub(crate) fn compiled(conditions: &[String]) -> Vec<Value> {
    // Some fire for want of a field.
    let on_missing = |number| if number % 9 == 4 { "match" } else { "no_match" };
    let rule = |(number, when)| {
        json!({
            "name": format!("r{number}"), "when": when, "then": "notify()",
            "on_missing": on_missing(number),
        })
    };
    let is_fine =
        |rule: &Value| RuleSet::compile(&[SourceText::json("r.json", rule.to_string())]).is_ok();
    conditions.iter().enumerate().map(rule).filter(is_fine).collect()
}
