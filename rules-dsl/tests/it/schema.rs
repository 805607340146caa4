//! The JSON Schema of rule files, against what the compiler takes.

use birl_rules_dsl::{JSON_SCHEMA, RuleSet};
use jsonschema::Validator;
use serde_json::{Value, json};

fn validator() -> Validator {
    jsonschema::validator_for(&serde_json::from_str(JSON_SCHEMA).unwrap()).unwrap()
}

/// Files that are fine to both.
fn good() -> Vec<Value> {
    let rule = json!({
        "name": "high_cpu", "let": {"busy": "cpu > 90", "always": true, "limit": 5},
        "when": "busy && count(5m) by host >= 10", "where": "env == 'prod'",
        "then": ["notify('ops')", "scale('api', '+1'); keep_logs(5m)"],
        "labels": {"severity": "page", "tier": 1}, "annotations": {"summary": "{{host}}", "n": 5},
        "keep_firing_for": "1h30m", "on_missing": "error", "priority": -3,
    });
    let grouped =
        json!({"when": true, "then": "notify()", "by": ["host", "a.b"], "keep_firing_for": 0});
    vec![
        json!({"when": "x > 1", "then": "notify()"}),
        json!([rule, grouped, {"when": "x", "then": "notify()", "by": "host", "name": 5}]),
        json!([]),
        json!({"rules": [rule]}),
        json!({"rules": []}),
        json!({
            "aliases": {"cpu": "metrics.cpu.usage"},
            "fields": {"metrics.cpu.usage": "number", "host": "string?", "tags": "list", "`a b`": "any"},
            "lists": {"environments": ["prod", 5, 1.5, true, null]},
            "macros": {"busy": "cpu > 90", "é": "host == 'x'", "on": true},
        }),
    ]
}

#[test]
fn what_compiles_is_valid() {
    let validator = validator();
    for file in good() {
        let wrong: Vec<String> =
            validator.iter_errors(&file).map(|wrong| wrong.to_string()).collect();
        assert!(wrong.is_empty(), "{file}: {wrong:?}");
        if let Err(wrong) = RuleSet::from_json("r.json", &file.to_string()) {
            panic!("{file}: {wrong}");
        }
    }
}

#[test]
fn what_is_invalid_does_not_compile() {
    let validator = validator();
    let rule = |key: &str, value: Value| {
        let mut rule = json!({"when": "x > 1", "then": "notify()"});
        rule[key] = value;
        rule
    };
    let file = |key: &str, value: Value| {
        let mut file = json!({"rules": []});
        file[key] = value;
        file
    };
    for bad in [
        json!("a text"),
        json!({}),
        json!({"when": "x > 1"}),
        json!({"then": "notify()"}),
        json!([5]),
        rule("whn", json!("x")),
        rule("when", json!(["x"])),
        rule("when", json!("")),
        rule("then", json!({"notify": "ops"})),
        rule("let", json!({"a.b": "x"})),
        rule("let", json!({"5a": "x"})),
        rule("let", json!("x")),
        rule(
            "by",
            json!(
                vec!["x"; 33]
                    .iter()
                    .enumerate()
                    .map(|(n, x)| format!("{x}{n}"))
                    .collect::<Vec<_>>()
            ),
        ),
        rule("labels", json!({"a-b": "x"})),
        rule("labels", json!({"a": ["x"]})),
        rule("labels", json!(["a"])),
        rule("keep_firing_for", json!(5)),
        rule("keep_firing_for", json!("5x")),
        rule("on_missing", json!("fire")),
        rule("priority", json!(1.5)),
        rule("priority", json!(3_000_000_000_u64)),
        rule("name", json!("")),
        rule("name", json!("n".repeat(201))),
        file("rules", json!({"a": 1})),
        file("rule", json!([])),
        file("aliases", json!({"a": 5.5})),
        file("fields", json!({"a": "integer"})),
        file("lists", json!({"a": []})),
        file("lists", json!({"a": [[1]]})),
        file("lists", json!({"a": "x"})),
        file("macros", json!({"a b": "x"})),
        file("macros", json!(["x"])),
    ] {
        assert!(!validator.is_valid(&bad), "{bad} is valid");
        assert!(RuleSet::from_json("r.json", &bad.to_string()).is_err(), "{bad} compiles");
    }
}
