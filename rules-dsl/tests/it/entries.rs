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
