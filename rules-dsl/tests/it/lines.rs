//! Lines of JSON as records.

use std::sync::{Arc, LazyLock};
use std::time::UNIX_EPOCH;

use birl_rules_dsl::{Event, FieldPath, JsonLine, Record, RuleSet, Scratch, SourceText, Truth};
use proptest::prelude::*;
use serde_json::json;

use crate::json_twin;

/// Which of the conditions hold for a line; each is judged and explained.
fn holding(line: &str, conditions: &[&str]) -> Vec<String> {
    let rules: Vec<_> = conditions
        .iter()
        .map(|when| json!({"name": when, "when": when, "then": "notify()"}))
        .collect();
    let text = json!({ "rules": rules }).to_string();
    let rules = Arc::new(RuleSet::compile(&[SourceText::json("rules.json", text)]).unwrap());
    let record = JsonLine::new(line);
    let hits = rules.matches([Event::new(&record, UNIX_EPOCH)], &mut Scratch::new());
    let found: Vec<String> = hits.rule_names().map(str::to_owned).collect();
    for condition in conditions {
        let explained = rules.explain(condition, &record).unwrap();
        let holds = found.iter().any(|name| name == condition);
        assert_eq!(explained.verdict == Truth::True, holds, "{line}: {explained}");
    }
    found
}

#[test]
fn fields_are_found_wherever_they_stand() {
    let line = r#"{"skip": {"deep": [1, {"x": "}"}]}, "a": {"b": {"c": 5}, "d": "x"}, "é\n": "\u00e9\"",
        "e.f": true, "g": {"h": 1}, "g.h": 2, "list": ["x", 2, [1], {"y": 1}, null], "none": null}"#;
    let conditions = [
        "a.b.c == 5 && a.d == 'x'",
        "exists(a) && exists(a.b)",
        r#"`é\n` == 'é"'"#,
        "e.f",
        "g.h == 1",
        "'x' in list && 2 in list && null in list && len(list) == 5",
        "none == null && exists(none)",
        "line contains 'skip'",
    ];
    // A name cannot hold a line break, so that one field is not to be asked for.
    let conditions: Vec<&str> = conditions.into_iter().filter(|text| !text.contains('é')).collect();
    assert_eq!(holding(line, &conditions), conditions);
    assert!(
        holding(line, &["exists(skip.deep.x)", "g.h == 2", "a == 1", "exists(zzz)"]).is_empty()
    );
}

#[test]
fn names_and_texts_with_escapes_are_read() {
    let line = r#"{"na\u006de": "caf\u00e9 \"x\"", "tab": "a\tb"}"#;
    let conditions = [r#"name == 'café "x"'"#, r"tab == 'a\tb'"];
    assert_eq!(holding(line, &conditions), conditions);
}

#[test]
fn of_a_broken_line_what_stands_before_the_break_is_there() {
    for line in
        [r#"{"a": 1, "b": "#, r#"{"a": 1, b: 2}"#, r#"{"a": 1, "b": "x"#, r#"{"a": 1} tail"#]
    {
        assert_eq!(holding(line, &["a == 1", "exists(b)"]), ["a == 1"], "{line}");
    }
    for line in ["", "not JSON", "[1, 2]", "5", "null", "\"a\""] {
        assert!(holding(line, &["a == 1", "exists(a)"]).is_empty(), "{line}");
    }
}

#[test]
fn the_first_of_two_fields_of_one_name_counts() {
    let line = r#"{"a": 1, "a": 2}"#;
    assert_eq!(holding(line, &["a == 1", "a == 2"]), ["a == 1"]);
}

#[test]
fn nesting_beyond_measure_is_no_harm() {
    let work = || {
        let deep = format!("{{\"x\": {}{}, \"a\": 1}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(holding(&deep, &["a == 1", "exists(x)"]).len(), 2);
        let deep =
            format!("{{\"x\": {}1{}, \"a\": 1}}", "{\"x\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(holding(&deep, &["a == 1", "exists(x.x.x)", "exists(x)"]).len(), 3);
        assert_eq!(holding(&deep, &["a == 1", "exists(y)"]).len(), 1);
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(work).unwrap().join().unwrap();
}

/// Texts that are nearly JSON, of few names, so that they meet.
fn nearly_json() -> impl Strategy<Value = String> {
    let name =
        prop::sample::select(vec!["a", "b", "c", "a.b", "\\u0061", "é", "long_name_of_it", ""]);
    let number = "-?(0|[1-9][0-9]{0,20}|00|[0-9]{1,3})(\\.[0-9]{0,20})?([eE][+-]?[0-9]{0,3})?";
    let text = prop::collection::vec(
        prop::sample::select(vec![
            "x",
            "some text",
            "é",
            "\\n",
            "\\\"",
            "\\u00e9",
            "\\ud83d\\ude00",
            "\\q",
            "\\u12",
            "\n",
            "\u{1}",
            "\u{1f}",
            "{",
            "]",
            ":",
            "12345678",
        ]),
        0..5,
    );
    let value = prop_oneof![
        4 => number.prop_map(|text| text.to_string()),
        4 => text.prop_map(|parts| format!("\"{}\"", parts.concat())),
        2 => prop::sample::select(vec![
            "true", "false", "null", "tru", "nul", "truex", "-", "[1, \"x\", [2], {\"y\": 3}]", "[]",
            "{\"b\": 1, \"c\": {\"d\": 2}}", "[1,", "{\"b\"", "{}", "", "+1", ".5", "NaN",
        ]).prop_map(str::to_owned),
    ];
    let blank = || prop::sample::select(vec!["", "", "", " ", "\n\t", "\u{a0}"]);
    let pair = (blank(), name, blank(), blank(), value)
        .prop_map(|(a, name, b, c, value)| format!("{a}\"{name}\"{b}:{c}{value}"));
    let ends = prop::sample::select(vec!["}", "}", "}", "", ",}", "} tail", "]"]);
    (prop::collection::vec(pair, 0..6), ends, prop::option::of((0..80_usize, any::<char>())))
        .prop_map(|(pairs, end, edit)| {
            let text = format!("{{{}{end}", pairs.join(","));
            // One character of some is another.
            let Some((at, c)) = edit else { return text };
            text.chars().enumerate().map(|(n, was)| if n == at { c } else { was }).collect()
        })
}

const NAMES: [&str; 6] = ["a", "b", "c", "é", "long_name_of_it", "zzz"];

/// A rule for each name, which holds where the field is there.
static PRESENCE: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
    let rule = |name| json!({"name": name, "when": format!("exists({name})"), "then": "notify()"});
    let rules = json!({ "rules": NAMES.map(rule) }).to_string();
    Arc::new(RuleSet::from_json("r.json", &rules).unwrap())
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn a_line_says_what_a_parser_of_all_of_json_says(text in nearly_json()) {
        let line = JsonLine::new(&text);
        let hits = PRESENCE.matches([Event::new(&line, UNIX_EPOCH)], &mut Scratch::new());
        let found: Vec<&str> = hits.rule_names().collect();
        let fields = json_twin::fields(&text);
        for name in NAMES {
            let expected = json_twin::first(&fields, name);
            prop_assert_eq!(found.contains(&name), expected.is_some(), "`{}` of {}", name, text);
            prop_assert_eq!(line.get(&FieldPath::new(name)), expected, "`{}` of {}", name, text);
        }
    }
}

/// Whoever chooses what is in one field hides no other by it.
#[test]
fn a_value_that_cannot_be_had_is_missing_and_hides_nothing() {
    for odd in [r#""\ud800""#, "1e999", "-1e999", r#"["\ud800"]"#, "[1e999]", r#"{"b": "\ud800"}"#]
    {
        let line = format!(r#"{{"x": {odd}, "\ud800": 1, "o": {{"p": {odd}, "q": 2}}, "a": 1}}"#);
        let conditions = ["a == 1", "o.q == 2 && exists(o)", "exists(o.p)", "exists(x)"];
        let is_object = odd.starts_with('{');
        let expected = if is_object { &conditions[..] } else { &conditions[..2] };
        assert_eq!(holding(&line, &conditions), expected, "{line}");
        assert_eq!(holding(&line, &["x == 1", "x.b == 1", "o.p.b == 1", "a == 1"]), ["a == 1"]);
    }
}
