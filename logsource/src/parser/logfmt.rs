//! `key=value` lines.

use super::Parsed;
use crate::{Fields, Value};

/// What a word without `=` means.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Bare {
    /// A flag, as in logfmt proper.
    IsTrue,
    /// Prose around the pairs.
    IsNothing,
}

pub(super) fn parse(line: &[u8], bare: Bare) -> Parsed {
    let text = String::from_utf8_lossy(line);
    let mut fields = Fields::new();
    let mut malformed = None;
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let Some(value) = after.strip_prefix('=') else {
            if bare == Bare::IsTrue {
                fields.insert(key, Value::Bool(true));
            }
            rest = after.trim_start();
            continue;
        };
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => match unquote(quoted) {
                Some((text, after)) => (Value::Str(text), after),
                None => {
                    malformed = Some(format!("the quote after `{key}=` is never closed"));
                    (Value::Str(quoted.to_owned()), "")
                }
            },
            None => {
                let end = value.find(char::is_whitespace).unwrap_or(value.len());
                (Value::infer(&value[..end]), &value[end..])
            }
        };
        if key.is_empty() {
            malformed = Some("a value without a key".to_owned());
        } else if bare == Bare::IsTrue || is_name(key) {
            fields.insert(key, value);
        }
        rest = after.trim_start();
    }
    Parsed { fields, timestamp: None, malformed }
}

/// In prose only a word that looks like a name is a key: `/search?q=1` is not.
fn is_name(key: &str) -> bool {
    let mut bytes = key.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b'@')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"_.-@".contains(&b))
}

/// The text up to the closing quote, and what follows it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                other => text.push(other),
            },
            _ => text.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(fields: &Fields) -> String {
        let quote = |text: &str| {
            let escaped = text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
            format!("\"{escaped}\"")
        };
        let pair = |(key, value): (&String, &Value)| match value {
            Value::Str(text) => format!("{key}={}", quote(text)),
            other => format!("{key}={}", serde_json::to_string(other).unwrap()),
        };
        fields.iter().map(pair).collect::<Vec<_>>().join(" ")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_is_written_is_read_back(
            fields in proptest::collection::btree_map("[a-z][a-z0-9_.]{0,8}", prop_oneof![
                any::<i64>().prop_map(Value::Int),
                any::<bool>().prop_map(Value::Bool),
                "\\PC{0,12}[\n\"\\\\]?".prop_map(Value::Str),
            ], 0..6),
        ) {
            let fields = Fields::from(fields);
            for bare in [Bare::IsTrue, Bare::IsNothing] {
                let parsed = parse(write(&fields).as_bytes(), bare);
                prop_assert_eq!(&parsed.fields, &fields);
                prop_assert_eq!(parsed.malformed, None);
            }
        }

        #[test]
        fn no_bytes_are_a_panic(line in proptest::collection::vec(
            prop_oneof![Just(b'='), Just(b'"'), Just(b'\\'), Just(b' '), any::<u8>()], 0..60,
        )) {
            drop(parse(&line, Bare::IsTrue));
            drop(crate::Parser::auto().parse(&line));
            drop(crate::Parser::json().parse(&line));
        }
    }
}
