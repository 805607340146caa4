//! The alerts that are asked about: words of a command line, or JSON.

use std::collections::BTreeMap;

use birl_router::Labels;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::Failure;

/// More of standard input is not read.
pub(super) const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// `team=api severity=page`.
pub(super) fn labels(words: &[String]) -> Result<Labels, Failure> {
    let mut labels = BTreeMap::new();
    for word in words {
        let Some((name, value)) = word.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Failure::input(format!(
                "`{word}` is no label\n  = help: write it as in `team=api`"
            )));
        };
        let value =
            value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        if labels.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::input(format!(
                "the label `{name}` is given twice\n  = help: keep one"
            )));
        }
    }
    Ok(Labels::from(labels))
}

/// Every alert in `text`: objects one after the other, usually one a line, or in a list, as Prometheus and Alertmanager
/// write them. An object with `labels` is an alert, and any other one is its labels.
pub(super) fn each(
    text: &str,
    mut each: impl FnMut(Labels) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    loop {
        let line =
            1 + text.as_bytes().iter().take(values.byte_offset()).filter(|b| **b == b'\n').count();
        match values.next() {
            None => return Ok(()),
            Some(Ok(Value::Array(alerts))) => {
                alerts.into_iter().try_for_each(|alert| each(of_alert(alert, line)?))?;
            }
            // Prometheus' API, and the body of a webhook, have the list inside.
            Some(Ok(Value::Object(mut object))) => match inner(&mut object) {
                Some(alerts) => {
                    alerts.into_iter().try_for_each(|alert| each(of_alert(alert, line)?))?;
                }
                None => each(of_alert(Value::Object(object), line)?)?,
            },
            Some(Ok(_)) => return Err(no_alert(line, "expected an object, or a list of them")),
            Some(Err(error)) => {
                let line = if error.line() == 0 { line } else { error.line() };
                let error = error.to_string();
                let error = error.split(" at line ").next().unwrap_or_default();
                return Err(no_alert(line, error));
            }
        }
    }
}

fn inner(object: &mut serde_json::Map<String, Value>) -> Option<Vec<Value>> {
    if object.contains_key("labels") {
        return None;
    }
    let within = match object.get_mut("data") {
        Some(data) => data.get_mut("alerts"),
        None => object.get_mut("alerts"),
    };
    match within.map(Value::take) {
        Some(Value::Array(alerts)) => Some(alerts),
        _ => None,
    }
}

fn of_alert(mut alert: Value, line: usize) -> Result<Labels, Failure> {
    let labels = match alert.get_mut("labels") {
        Some(labels) => labels.take(),
        None => alert,
    };
    let labels = BTreeMap::<String, Scalar>::deserialize(labels)
        .map_err(|_| no_alert(line, "expected labels: names, each with one value"))?;
    Ok(labels.into_iter().map(|(name, value)| (name, value.0)).collect())
}

/// A label's value is a text; a number is one, too.
struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            Value::Null => Ok(Self(String::new())),
            value @ (Value::Bool(_) | Value::Number(_)) => Ok(Self(value.to_string())),
            _ => Err(serde::de::Error::custom("a list or a map")),
        }
    }
}

fn no_alert(line: usize, why: &str) -> Failure {
    Failure::input(format!(
        "line {line} of standard input is no alert: {why}\n  = help: `{{\"labels\": {{\"team\": \"api\"}}}}`, or the labels alone"
    ))
}
