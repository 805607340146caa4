//! Log entries of `birl-logsource` as records.

use std::collections::BTreeMap;
use std::sync::Arc;

use birl_logsource::{Fields, LogEntry, Value};
use birl_rules_dsl::{Event, Record, Scratch};

use crate::common::{at, compile};

fn entry() -> LogEntry {
    let labels = [("source", "file"), ("env", "prod"), ("level", "of the label")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut fields = Fields::new();
    fields.insert("level", Value::Str("error".to_owned()));
    fields.insert("tags", Value::List(vec![Value::Str("a".to_owned()), Value::Int(2)]));
    let http = BTreeMap::from([("status".to_owned(), Value::Int(500))]);
    fields.insert("http", Value::Map(http));
    let line = b"level=error \xff panic".to_vec();
    LogEntry::new(at(0.0), Arc::new(BTreeMap::from(labels)), line).with_fields(fields)
}

#[test]
fn fields_come_before_labels_and_the_line_is_there() {
    let rules = compile(
        "{name: r, then: notify(), when: \"level == 'error' && labels.level == 'of the label' \
         && env == 'prod' && source == 'file' && http.status >= 500 && tags contains 2 \
         && line contains 'panic' && !exists(nothing)\"}",
    );
    let entry = entry();
    let explained = rules.explain("r", &entry).unwrap();
    let hits = rules.matches([Event::new(&entry, entry.timestamp)], &mut Scratch::new());
    assert_eq!(hits.len(), 1, "{explained}");
    assert_eq!(Record::line(&entry).unwrap(), "level=error \u{fffd} panic");
}

/// So many fields that they are not looked up one by one.
#[test]
fn fields_are_found_among_many_too() {
    let conditions = [
        "level == 'error'",
        "labels.level == 'of the label'",
        "env == 'prod'",
        "source == 'file'",
        "http.status == 500",
        "exists(http)",
        "tags contains 2",
        "line contains 'panic'",
        "labels.env == 'prod'",
        "`dotted.name` == 1",
        "dotted.name == 1",
        "dotted.name.deep == 2",
        "exists(nothing)",
        "http.other == 1",
        "labels.nothing == 'x'",
        "http == 1",
        "labels == 'x'",
        "dotted == 1",
    ];
    let others = (0..40).map(|n| format!("f{n} == {n}"));
    let conditions: Vec<String> =
        conditions.iter().map(ToString::to_string).chain(others).collect();
    let rules: Vec<_> = conditions
        .iter()
        .map(|when| serde_json::json!({"name": when, "when": when, "then": "notify()"}))
        .collect();
    let rules = compile(&serde_json::json!({ "rules": rules }).to_string());
    let mut entry = entry();
    entry.fields.insert("dotted.name", Value::Int(1));
    let deep = BTreeMap::from([("deep".to_owned(), Value::Int(2))]);
    let mut other = entry.clone();
    other.fields.insert("dotted.name", Value::Map(deep));
    for entry in [entry, other] {
        let hits = rules.matches([Event::new(&entry, entry.timestamp)], &mut Scratch::new());
        let found: Vec<&str> = hits.rule_names().collect();
        let holds = |name: &&String| rules.explain(name, &entry).is_some_and(|why| why.holds);
        assert_eq!(found, conditions.iter().filter(holds).collect::<Vec<_>>());
        assert!(found.len() > 9, "{found:?}");
    }
}
