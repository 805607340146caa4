//! What is written in a format is read back from it, whatever it says.

use std::collections::BTreeMap;

use birl_logsource::{Delimited, Fields, KeyValue, Parser, Value};
use proptest::prelude::*;

/// Text with everything in it that a format may trip over.
fn text() -> impl Strategy<Value = String> {
    "(\\PC|[\n\"'\\\\\\]\\[=;,\t -]){0,16}"
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<bool>().prop_map(Value::Bool),
        text().prop_map(Value::Str),
    ]
}

fn named() -> impl Strategy<Value = BTreeMap<String, Value>> {
    prop::collection::btree_map("[a-z][a-z0-9_.]{0,8}", scalar(), 0..6)
}

fn backslashed(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n").replace('\t', r"\t")
}

/// Text in quotes, and anything else as it is.
fn pair(name: &str, value: &Value, between: &str) -> String {
    match value {
        Value::Str(text) => format!("{name}{between}\"{}\"", backslashed(text)),
        other => format!("{name}{between}{}", serde_json::to_string(other).unwrap()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn pairs(fields in named()) {
        let semicolons = KeyValue::new().pairs_end_with(";").values_begin_with(": ");
        let forms = [
            (Parser::logfmt(), "=", " "),
            (Parser::key_value(KeyValue::new().skip_bare_words()).unwrap(), "=", "  "),
            (Parser::key_value(semicolons).unwrap(), ": ", " ; "),
        ];
        for (parser, between, after) in forms {
            let pairs = fields.iter().map(|(name, value)| pair(name, value, between));
            let line = pairs.collect::<Vec<_>>().join(after);
            let parsed = parser.parse(line.as_bytes());
            prop_assert_eq!(&parsed.fields, &Fields::from(fields.clone()), "{}", line);
            prop_assert_eq!(parsed.malformed, None);
        }
    }

    #[test]
    fn columns(values in prop::collection::vec(scalar(), 1..6)) {
        let names: Vec<_> = (0..values.len()).map(|column| format!("c{column}")).collect();
        for delimiter in [",", "\t", " | ", " "] {
            let quoted = |value: &Value| match value {
                Value::Str(text) => format!("\"{}\"", text.replace('"', "\"\"")),
                other => serde_json::to_string(other).unwrap(),
            };
            let line = values.iter().map(quoted).collect::<Vec<_>>().join(delimiter);
            let settings = Delimited::new(names.clone());
            let settings = match delimiter {
                " " => settings.blanks(),
                _ => settings.delimiter(delimiter),
            };
            let parsed = Parser::delimited(settings).unwrap().parse(line.as_bytes());
            let expected = names.iter().cloned().zip(values.iter().cloned()).collect::<Fields>();
            prop_assert_eq!(parsed.fields, expected, "{}", line);
            prop_assert_eq!(parsed.malformed, None);
        }
    }

    #[test]
    fn structured_data(
        elements in prop::collection::btree_map(
            "[a-z@.0-9]{1,8}",
            prop::collection::btree_map("[a-z.]{1,6}", text(), 0..4),
            0..4,
        ),
        message in "[a-z]?(\\PC){0,12}",
    ) {
        let escaped = |text: &str| {
            text.replace('\\', r"\\").replace('"', "\\\"").replace(']', r"\]")
        };
        let mut data = String::new();
        for (id, params) in &elements {
            let params = params.iter().map(|(name, text)| format!(" {name}=\"{}\"", escaped(text)));
            data.push_str(&format!("[{id}{}]", params.collect::<String>()));
        }
        let data = if data.is_empty() { "-" } else { &data };
        let line = format!("<11>1 - - - - - {data} {message}");
        let parsed = Parser::syslog().parse(line.as_bytes());
        prop_assert_eq!(&parsed.malformed, &None, "{}", line);
        for (id, params) in &elements {
            for (name, text) in params {
                let path = format!("structured_data.{id}.{name}");
                // `a.b` as an id hides what a map `a` may hold under `b`.
                if !id.contains('.') && !name.contains('.') {
                    let found = parsed.fields.get(&path).and_then(Value::as_str);
                    prop_assert_eq!(found, Some(&**text), "{} in {}", path, line);
                }
            }
        }
        let found = parsed.fields.get("message").and_then(Value::as_str).unwrap_or_default();
        prop_assert_eq!(found, message.strip_prefix('\u{feff}').unwrap_or(&message));
    }

    #[test]
    fn access_logs(
        user in "[a-z ]{1,6}",
        method in "[A-Z]{1,7}",
        path in "/[!-~&&[^\"\\\\?]]{0,12}",
        query in "[!-~&&[^\"\\\\]]{0,12}",
        status in 100..600_i64,
        size in 0..i64::MAX,
        agent in "(\\PC|[\"\\\\]){1,16}",
    ) {
        prop_assume!(user.trim() == user && agent != "-");
        let target = if query.is_empty() { path.clone() } else { format!("{path}?{query}") };
        let line = format!(
            "10.0.0.1 - {user} [23/Nov/2026:08:00:00 +0000] \"{method} {target} HTTP/2.0\" \
             {status} {size} \"-\" \"{}\"",
            backslashed(&agent),
        );
        let parsed = Parser::combined().parse(line.as_bytes());
        prop_assert_eq!(parsed.malformed, None, "{}", line);
        let expected = [
            ("user", Value::Str(user)),
            ("method", Value::Str(method)),
            ("path", Value::Str(path)),
            ("status", Value::Int(status)),
            ("size", Value::Int(size)),
            ("agent", Value::Str(agent)),
        ];
        for (name, value) in expected {
            prop_assert_eq!(parsed.fields.get(name), Some(&value), "{} in {}", name, line);
        }
        let found = parsed.fields.get("query").and_then(Value::as_str).unwrap_or_default();
        prop_assert_eq!(found, query);
    }
}
