//! What each operator makes of each kind of value, and how a verdict explains itself.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use birl_rules_dsl::{Event, FieldPath, Record, RuleSet, Scratch, Truth, Value};
use serde_json::json;

use crate::common::compile;

/// The verdict of the compiled program, checked against that of the plain evaluator.
fn verdict<R: Record>(condition: &str, record: &R) -> Truth {
    let condition = serde_json::to_string(condition).unwrap();
    let rules = compile(&format!("{{name: r, when: {condition}, then: notify()}}"));
    let negated = format!("{{name: r, when: {}, then: notify()}}", not(&condition));
    let holds = |text: &str| {
        let rules = compile(text);
        let events = [Event::new(record, UNIX_EPOCH)];
        !rules.matches(events, &mut Scratch::new()).is_empty()
    };
    let compiled = match (
        holds(&format!("{{name: r, when: {condition}, then: notify()}}")),
        holds(&negated),
    ) {
        (true, false) => Truth::True,
        (false, true) => Truth::False,
        (false, false) => Truth::Unknown,
        (true, true) => panic!("{condition} holds, and so does its negation"),
    };
    let explained = rules.explain("r", record).unwrap();
    assert_eq!(explained.verdict, compiled, "{condition}: {explained}");
    compiled
}

fn not(condition: &str) -> String {
    let text: String = serde_json::from_str(condition).unwrap();
    serde_json::to_string(&format!("not ({text})")).unwrap()
}

fn check(expect: Truth, record: &serde_json::Value, conditions: &[&str]) {
    for condition in conditions {
        assert_eq!(verdict(condition, record), expect, "{condition} on {record}");
    }
}

#[test]
fn pain_02_every_operator_on_a_missing_field_is_unknown() {
    let conditions = [
        "x == 1",
        "x != 1",
        "x < 1",
        "x <= 1",
        "x > 1",
        "x >= 1",
        "x == null",
        "x != null",
        "x in [1]",
        "x not in [1]",
        "1 in x",
        "1 not in x",
        "30 < x",
        "x endswith 'a'",
        "1 - x > 0",
        "x * 2 > 0",
        "x / 2 > 0",
        "x % 2 == 0",
        "x contains 'a'",
        "x startswith 'a'",
        "x =~ 'a'",
        "x !~ 'a'",
        "!x",
        "x",
        "!(x == 1)",
        "x + 1 > 0",
        "len(x) > 0",
        "lower(x) == 'a'",
        "num(x) > 0",
        "-x < 0",
        "x == y",
        "not x == 1",
        "x.y.z == 1",
    ];
    check(Truth::Unknown, &json!({}), &conditions);
    check(Truth::Unknown, &json!({"x": {"y": 1}}), &["x.y.z == 1", "x.z == 1"]);
    check(Truth::False, &json!({"x": {"y": 1}}), &["exists(x.z)", "exists(x.y.z)", "exists(q)"]);
    check(Truth::True, &json!({"x": {"y": null}}), &["exists(x)", "exists(x.y)", "x.y == null"]);
}

#[test]
fn unknown_spreads_only_where_it_matters() {
    let record = json!({"t": 1});
    check(Truth::False, &record, &["x == 1 && t == 2", "t == 2 && x == 1", "!(t == 1 || x)"]);
    check(Truth::True, &record, &["x == 1 || t == 1", "t == 1 || x == 1"]);
    check(Truth::Unknown, &record, &["x == 1 && t == 1", "x == 1 || t == 2", "t == 1 && !x"]);
}

#[test]
fn numbers_compare_exactly_whatever_their_spelling() {
    for five in [json!({"x": 5}), json!({"x": 5.0}), json!({"x": 5e0})] {
        check(Truth::True, &five, &["x == 5", "x == 5.0", "x >= 5", "x < 5.000001", "x in [1, 5]"]);
    }
    let large = json!({"x": 9_007_199_254_740_993_i64});
    check(Truth::True, &large, &["x > 9007199254740992.0", "x == 9_007_199_254_740_993"]);
    check(Truth::False, &large, &["x == 9007199254740992.0"]);
    let huge = json!({"x": u64::MAX});
    check(Truth::True, &huge, &["x == 18446744073709551615", "x > -1", "x > 9223372036854775807"]);
    check(Truth::True, &json!({"x": i64::MIN}), &["x == -9223372036854775808"]);
    check(Truth::True, &json!({"x": 10_485_760}), &["x == 10MiB", "x > 10MB", "x == 10240KiB"]);
}

#[test]
fn nothing_is_coerced() {
    let text = json!({"x": "5"});
    check(Truth::False, &text, &["x == 5", "x in [5]"]);
    check(Truth::True, &text, &["x != 5", "num(x) == 5", "x == '5'", "num(x) > 4.5"]);
    check(Truth::Unknown, &text, &["x > 4", "x + 1 == 6", "x", "!x"]);
    check(Truth::False, &json!({"x": ""}), &["x == null"]);
    check(Truth::False, &json!({"x": null}), &["x == ''", "x == 0", "x == false"]);
    check(Truth::Unknown, &json!({"x": "five"}), &["num(x) > 0"]);
}

#[test]
fn text_lists_and_patterns() {
    let record = json!({"m": "GET /api/v1", "tags": ["a", 2, null], "e": "é"});
    check(
        Truth::True,
        &record,
        &[
            "m contains '/api'",
            "m startswith 'GET'",
            "m endswith 'v1'",
            r"m =~ '^GET\s+/api/v\d$'",
            "m !~ '^POST'",
            "m =~ 'api'",
            "lower(m) startswith 'get'",
            "len(m) == 11 && len(e) == 1 && len(tags) == 3",
            "tags contains 'a' && tags contains 2",
            "2.0 in tags && null in tags",
            "'b' not in tags",
            "m > 'GET' && m < 'H'",
            r"m == 'GET /api/v1' && e == 'é'",
        ],
    );
    check(Truth::False, &record, &["m contains 'API'", "tags contains 'b'", "m in ['GET']"]);
    check(
        Truth::Unknown,
        &record,
        &["tags startswith 'a'", "tags =~ 'a'", "'a' in m", "len(n) > 0"],
    );
    check(Truth::True, &json!({"q": "it's \"so\""}), &[r#"q == 'it\'s "so"'"#, r#"q =~ 'it\'s'"#]);
}

#[test]
fn defaults_and_arithmetic() {
    let record = json!({"a": 7, "b": 2, "n": null, "z": 0, "max": i64::MAX});
    check(
        Truth::True,
        &record,
        &[
            "x ?? 3 == 3",
            "n ?? 'none' == 'none'",
            "a ?? 3 == 7",
            "x ?? y ?? b == 2",
            "(x ?? a) + 1 == 8",
            "a / b == 3.5",
            "a % b == 1",
            "a - b * 2 == 3",
            "-a + 8 == 1",
            "1 + a * b - 1 == 14",
            "(x ?? false) == false",
            "!(x ?? false)",
            "max + 1 == 9223372036854775808",
            "a > millis(5ms) && a < seconds(1m) && a > seconds(500ms)",
        ],
    );
    check(Truth::Unknown, &record, &["a / z > 0", "a % z == 0", "max * max > 0", "n + 1 > 0"]);
}

#[test]
fn precedence_is_that_of_every_other_language() {
    let record = json!({"t": true, "f": false, "one": 1});
    check(
        Truth::True,
        &record,
        &[
            "t || t && f",
            "!f && t",
            "not one == 2",
            "not f && t",
            "one + 1 * 2 == 3",
            "one == 1 && t || f",
            "(t || f) && t",
            "one in [1] && one not in [2]",
        ],
    );
    check(Truth::False, &record, &["(t || t) && f", "not (f || t)"]);
}

#[test]
fn nan_gives_no_answer() {
    struct Nan;
    impl Record for Nan {
        fn get(&self, path: &FieldPath) -> Option<Value<'_>> {
            (path.as_str() == "x").then_some(Value::Float(f64::NAN))
        }
    }
    for condition in ["x == x", "x != 1", "x > 0", "x < 0", "x in [1]", "x + 1 > 0"] {
        assert_eq!(verdict(condition, &Nan), Truth::Unknown, "{condition}");
    }
}

#[test]
fn paths_walk_maps_or_name_a_key_whole() {
    let nested = json!({"http": {"status": 500}, "a.b": 1, "app.k8s/name": "x"});
    check(
        Truth::True,
        &nested,
        &["http.status == 500", "a.b == 1", "`app.k8s/name` == 'x'", "http.`status` == 500"],
    );
    let flat = BTreeMap::from([("http.status".to_owned(), "500".to_owned())]);
    assert_eq!(verdict("http.status == '500'", &flat), Truth::True);
}

#[test]
fn aliases_stand_for_paths() {
    let rules = compile(
        "{aliases: {cpu_usage: metrics.cpu.usage}, \
         rules: [{name: r, when: cpu_usage > 90, then: notify()}]}",
    );
    let record = json!({"metrics": {"cpu": {"usage": 95}}});
    assert_eq!(rules.explain("r", &record).unwrap().verdict, Truth::True);
    assert_eq!(rules.matches([Event::new(&record, UNIX_EPOCH)], &mut Scratch::new()).len(), 1);
    assert_eq!(rules.fields()[0].as_str(), "metrics.cpu.usage");
}

#[test]
fn the_line_is_a_field_of_last_resort() {
    struct Line(&'static str);
    impl Record for Line {
        fn get(&self, _: &FieldPath) -> Option<Value<'_>> {
            None
        }
        fn line(&self) -> Option<Cow<'_, str>> {
            Some(Cow::Borrowed(self.0))
        }
    }
    assert_eq!(verdict("line contains 'panic'", &Line("a panic here")), Truth::True);
    assert_eq!(verdict("exists(line) && !exists(other)", &Line("")), Truth::True);
    check(Truth::True, &json!({"line": 5}), &["line == 5"]);
}

#[test]
fn each_field_is_looked_up_once_per_record() {
    use std::cell::Cell;
    struct Counting(Cell<u32>);
    impl Record for Counting {
        fn get(&self, _: &FieldPath) -> Option<Value<'_>> {
            self.0.set(self.0.get() + 1);
            Some(Value::Int(5))
        }
    }
    let rules =
        (0..50).map(|i| format!("  - {{name: r{i}, when: x > {i} && y < {i}, then: notify()}}\n"));
    let rules = compile(&format!("rules:\n{}", rules.collect::<String>()));
    let records = [Counting(Cell::new(0)), Counting(Cell::new(0))];
    let events = records.iter().map(|record| Event::new(record, UNIX_EPOCH));
    drop(rules.matches(events, &mut Scratch::new()));
    assert_eq!(records.map(|record| record.0.get()), [2, 2]);
}

#[test]
fn a_record_may_answer_by_slot() {
    struct Slots<'a>(Vec<Value<'a>>);
    impl Record for Slots<'_> {
        fn get(&self, path: &FieldPath) -> Option<Value<'_>> {
            self.0.get(path.slot()?).cloned()
        }
    }
    let rules = compile("{name: r, when: a > 1 && b == 'x', then: notify()}");
    let names: Vec<&str> = rules.fields().iter().map(FieldPath::as_str).collect();
    assert_eq!(names, ["a", "b"]);
    let record = Slots(vec![Value::Int(2), Value::text("x")]);
    let hits = rules.matches([Event::new(&record, UNIX_EPOCH)], &mut Scratch::new());
    assert_eq!(hits.rule_names().collect::<Vec<_>>(), ["r"]);
}

#[test]
fn an_explanation_says_what_is_missing_and_what_never_meets() {
    let rules = compile(
        "{name: r, when: cpu > 90 && status == 200 && count(1m) > 5, \
          where: env == 'prod', then: notify()}",
    );
    let record = json!({"cpu": "95", "status": "200"});
    let explained = rules.explain("r", &record).unwrap();
    assert_eq!(
        explained.to_string(),
        "rule r does not match\n  \
         unknown where env == 'prod'  [env is missing]\n  \
         unknown when  cpu > 90  [cpu=95]  \
         (a string and an integer are never ordered; convert with num())\n  \
         false   when  status == 200  [status=200]  \
         (a string and an integer are never equal; convert with num())\n  \
         and then count(1m) > 5, over all such records"
    );
    assert!(rules.explain("nobody", &record).is_none());
    let data = serde_json::to_value(&explained).unwrap();
    assert_eq!(data["terms"][1]["verdict"], "unknown");
}

/// The table of the language reference, cell by cell.
#[test]
fn the_reference_says_what_each_operator_makes_of_nothing() {
    struct Odd(Option<Value<'static>>);
    impl Record for Odd {
        fn get(&self, path: &FieldPath) -> Option<Value<'_>> {
            self.0.clone().filter(|_| path.as_str() == "f")
        }
    }
    let held = [None, Some(Value::Null), Some(Value::Opaque), Some(Value::Float(f64::NAN))];
    let reference = include_str!("../../src/syntax.md");
    let table = reference.split_once("| | missing | null | a map | NaN |\n").unwrap().1;
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let mut judged = 0;
    for row in rows {
        let row = row.replace("\\|", "\u{1}");
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let conditions =
            cells[0].replace("<code>", "`").replace("</code>", "`").replace('\u{1}', "|");
        for condition in conditions.split("`, `").map(|part| part.trim_matches('`')) {
            for (value, expected) in held.iter().zip(&cells[1..]) {
                let found = verdict(condition, &Odd(value.clone()));
                assert_eq!(
                    format!("{found:?}").to_lowercase(),
                    **expected,
                    "{condition} of {value:?}"
                );
                judged += 1;
            }
        }
    }
    assert!(judged > 200, "{judged} cells");
}

/// What a checker let through once, and evaluation had no answer to.
#[test]
fn ranges_and_lists_stand_where_they_can() {
    let on_a_small_stack = |text: &'static str| {
        let code = std::thread::Builder::new().stack_size(512 * 1024).spawn(move || {
            let rule = json!({"macros": {"ports": "[22, 8000..8999]"}, "rules": [
                {"name": "r", "when": text, "then": "notify()"},
            ]});
            match RuleSet::from_json("r.json", &rule.to_string()) {
                Err(wrong) => wrong.iter().map(|one| one.code).collect::<Vec<_>>().join(" "),
                Ok(rules) => format!("{:?}", rules.explain("r", &json!({"f": 3})).unwrap().verdict),
            }
        });
        code.unwrap().join().unwrap()
    };
    for (text, expected) in [
        ("f contains 1..5", "E0310"),
        ("(f ?? (1..5)) == 3", "E0310"),
        ("f in [[1..5], 7]", "E0310"),
        ("f in [ports, 443]", "E0310"),
        ("f in ports", "False"),
        ("f in (g ?? [1..2])", "E0310"),
        ("f contains ['a', 'b']", "E0310"),
        ("f contains cidr('10.0.0.0/8')", "E0310"),
        ("f contains 5m", "E0310"),
        ("5m in f", "E0309"),
        ("f in 5..time('2026-11-23T00:00:00Z')", "E0310"),
        ("time(b) - time(a) in 0..60", "E0302"),
        ("time(b) - time(a) in [30]", "E0302"),
        ("time(b) - time(a) in 30s..5m", "Unknown"),
        ("time(b) - time(a) in [30s, 5m]", "Unknown"),
        ("f in 30s..5m", "E0309"),
        ("(f ?? time('2026-11-23T00:00:00Z')) > time('2026-11-23T00:00:00Z')", "E0302"),
        ("lower(f) in [5]", "E0302"),
        ("len(f) in ['5']", "E0302"),
        ("len(f) in 2..5", "Unknown"),
        ("lower(f) in cidr('10.0.0.0/8')", "Unknown"),
        ("'x' iin f", "E0310"),
        ("any(ports[*] == 5)", "E0312"),
        ("f in cidr('::ffff:10.0.0.1/104')", "E0307"),
        ("f == \u{2018}x\u{2019}", "E0204"),
    ] {
        let found = on_a_small_stack(text);
        assert!(found.starts_with(expected), "{text}: {found}");
    }
}

/// Parentheses around a text are not part of it.
#[test]
fn a_text_in_parentheses_is_the_text() {
    let record = json!({"env": "prod", "path": "/api/7"});
    check(
        Truth::True,
        &record,
        &["env == ('prod')", "env == ((\"prod\"))", "path =~ ('^/api/\\d')"],
    );
    let rules = compile("{name: r, when: env == ('prod'), then: notify(('team'))}");
    assert_eq!(rules.rules().next().unwrap().intents[0].to_string(), "notify('team')");
}
