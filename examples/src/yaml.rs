//! YAML for people to read; what reads YAML is in `birl-router`.

use std::fmt::{self, Display, Formatter};

use serde_json::Value;

/// One document, a line for each value.
pub(crate) struct Document<'a>(pub(crate) &'a Value);

impl Display for Document<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Object(entries) if !entries.is_empty() => block(self.0, 0, f),
            Value::Array(items) if !items.is_empty() => block(self.0, 0, f),
            scalar => writeln!(f, "{}", Scalar(scalar)),
        }
    }
}

/// The lines of a map or a list; nesting is as deep as in the JSON that it was.
fn block(value: &Value, indent: usize, f: &mut Formatter<'_>) -> fmt::Result {
    let entry = |start: &dyn Display, value: &Value, f: &mut Formatter<'_>| {
        write!(f, "{:indent$}{start}", "")?;
        let empty = match value {
            Value::Object(entries) => entries.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => true,
        };
        if empty {
            return writeln!(f, " {}", Scalar(value));
        }
        writeln!(f)?;
        block(value, indent + 2, f)
    };
    match value {
        Value::Object(entries) => entries
            .iter()
            .try_for_each(|(key, value)| entry(&format_args!("{}:", Text(key)), value, f)),
        Value::Array(items) => items.iter().try_for_each(|value| entry(&"-", value, f)),
        _ => Ok(()),
    }
}

/// What stands on the line of its key.
struct Scalar<'a>(&'a Value);

impl Display for Scalar<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => Text(text).fmt(f),
            // JSON's numbers, `true`, `null`, `{}` and `[]` are YAML.
            other => other.fmt(f),
        }
    }
}

/// A text: bare where nobody could take it for something else, else as JSON quotes it, which YAML reads, too.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = self.0;
        let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
        let means = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
        if word && !means.iter().any(|means| text.eq_ignore_ascii_case(means)) {
            return f.write_str(text);
        }
        Value::from(text).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let value = serde_json::json!({
            "line": "a: b # c\n\t\"d\"", "path": "/var/log/app.log", "n": 1.5, "flag": true, "none": null,
            "yes": "yes", "number": "12", "empty": "", "labels": {"a b": "c", "none": {}}, "list": [1, "x", {"y": [2]}, []],
            "\u{1F600}": "\u{1F600}"
        });
        let text = Document(&value).to_string();
        assert_eq!(birl_router::yaml::from_str::<Value>(&text).unwrap(), value, "{text}");
        assert!(
            text.contains("path: /var/log/app.log\n") && text.contains("  \"a b\": c\n"),
            "{text}"
        );
    }
}
