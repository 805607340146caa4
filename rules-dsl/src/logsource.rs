//! `Record` for the log entries of `birl-logsource`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use birl_logsource::LogEntry;

use crate::record::{FieldPath, FieldSet, Record};
use crate::value::Value;

/// A field of the parsed line first, then a label of the source. `labels.NAME` is the label even
/// where a field hides it, and `line` is the line as it was written.
impl Record for LogEntry {
    fn get(&self, path: &FieldPath) -> Option<Value<'_>> {
        if let Some(value) = self.fields.get(path.as_str()) {
            return Some(convert(value));
        }
        let label = |name: &str| BTreeMap::get(&self.labels, name);
        let name = path.as_str();
        let found = label(name).or_else(|| label(name.strip_prefix("labels.")?));
        found.map(|text| Value::text(text))
    }

    fn visit<'r>(&'r self, fields: &FieldSet, found: &mut dyn FnMut(usize, Value<'r>)) {
        let own = self.fields.iter().map(|(name, _)| name.as_str());
        let labels = self.labels.keys().map(String::as_str);
        for slot in own.chain(labels).chain(["labels"]).flat_map(|name| fields.beginning(name)) {
            if let Some(value) = self.get(&fields.paths()[slot]) {
                found(slot, value);
            }
        }
    }

    fn line(&self) -> Option<Cow<'_, str>> {
        Some(String::from_utf8_lossy(&self.line))
    }
}

fn convert(value: &birl_logsource::Value) -> Value<'_> {
    match value {
        birl_logsource::Value::List(items) => Value::List(items.iter().map(scalar).collect()),
        value => scalar(value),
    }
}

fn scalar(value: &birl_logsource::Value) -> Value<'_> {
    match value {
        birl_logsource::Value::Null => Value::Null,
        birl_logsource::Value::Bool(value) => Value::Bool(*value),
        birl_logsource::Value::Int(value) => Value::Int(*value),
        birl_logsource::Value::UInt(value) => Value::UInt(*value),
        birl_logsource::Value::Float(value) => Value::Float(*value),
        birl_logsource::Value::Str(text) => Value::text(text),
        _ => Value::Opaque,
    }
}
