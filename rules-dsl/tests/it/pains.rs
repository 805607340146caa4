//! What users of other rule engines suffered, one test each. The numbers are those of
//! `docs/rules-pains.md`, which says where each was told.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use birl_rules_dsl::{Compiler, Event, JsonLine, RuleSet, Scratch, SourceText, Truth};
use serde_json::{Value, json};

use crate::common::{Bench, compile, short};

/// What a condition is for a record, when it is explained; what it is found to be is held against it.
fn verdict(condition: &str, record: &Value) -> Truth {
    let rule = json!({"name": "r", "when": condition, "then": "notify()"}).to_string();
    let rules = Arc::new(RuleSet::from_json("r.json", &rule).unwrap_or_else(|bad| panic!("{bad}")));
    let explained = rules.explain("r", record).unwrap();
    let hits = rules.matches([Event::new(record, UNIX_EPOCH)], &mut Scratch::new());
    assert_eq!(!hits.is_empty(), explained.verdict == Truth::True, "{condition}: {explained}");
    explained.verdict
}

/// The code of each mistake, and the text that it points at.
fn mistakes(text: &str) -> Vec<(&'static str, String)> {
    let wrong = RuleSet::from_yaml("r.yaml", text).unwrap_err();
    wrong.iter().map(|one| (one.code, text[one.span.clone()].to_owned())).collect()
}

#[test]
fn pain_01_exists_asks_for_every_step_of_a_path() {
    for record in [json!({}), json!({"a": null}), json!({"a": {}}), json!({"a": {"b": 1}})] {
        assert_eq!(verdict("exists(a.b.c)", &record), Truth::False, "{record}");
        assert_eq!(verdict("!exists(a.b.c)", &record), Truth::True, "{record}");
    }
    assert_eq!(verdict("exists(a.b.c)", &json!({"a": {"b": {"c": null}}})), Truth::True);
}

#[test]
fn pain_03_a_negation_does_not_hold_for_want_of_a_field() {
    let record = json!({"other": 1});
    for condition in
        ["user != 'root'", "user not in ['root']", "!(user == 'root')", "user !~ 'root'"]
    {
        assert_eq!(verdict(condition, &record), Truth::Unknown, "{condition}");
        assert_eq!(verdict(condition, &json!({"user": "me"})), Truth::True, "{condition}");
    }
    // A rule that nobody is to pass by leaving the field out fires for it.
    let text = "{name: r, when: user != 'root', then: notify(), on_missing: match}";
    for (record, fires) in [(&record, true), (&json!({"user": "root"}), false)] {
        let mut bench = Bench::new(text);
        assert_eq!(!bench.feed(0.0, record.clone()).is_empty(), fires, "{record}");
        assert_eq!(bench.rules.explain("r", record).unwrap().holds, fires, "{record}");
    }
    // A rule that must be able to judge every record says when it is not.
    let mut bench =
        Bench::new("{name: r, when: user != 'root', then: notify(), on_missing: error}");
    assert!(bench.feed(0.0, record.clone()).is_empty());
    bench.feed(0.0, json!({"user": "root"}));
    let stats = bench.engine.stats().rules["r"].clone();
    let told = stats.last_error.as_deref();
    assert_eq!((stats.errors, stats.unknown, told), (1, 1, Some("`user` is missing")));
    // Where it is said which fields may be missing, a negation of one is told.
    let odd = |rule: &str| {
        let text = format!(
            "{{fields: {{user: string?, env: string}}, rules: [{{{rule}, then: notify()}}]}}"
        );
        let rules = compile(&text);
        let odd = rules.warnings().iter().map(|one| (one.code, text[one.span.clone()].to_owned()));
        odd.collect::<Vec<_>>()
    };
    let warning = [("W0001", "user".to_owned())];
    for rule in [
        "when: user != 'root'",
        "when: \"user not in ['root']\"",
        "when: \"!(user == 'root' || env == 'x')\"",
        "when: user !~ 'root'",
    ] {
        assert_eq!(odd(rule), warning, "{rule}");
    }
    for rule in [
        "when: env != 'prod'",
        "when: user == 'root'",
        "when: \"!exists(user) || user != 'root'\"",
        "when: (user ?? '') != 'root'",
        "when: user != 'root', on_missing: match",
        "when: user != 'root', on_missing: no_match",
    ] {
        assert_eq!(odd(rule), [], "{rule}");
    }
    // Whoever means it says so.
    assert_eq!(verdict("(user ?? '') != 'root'", &record), Truth::True);
    assert_eq!(verdict("!exists(user) || user != 'root'", &record), Truth::True);
}

#[test]
fn pain_04_a_number_is_a_number_however_it_is_written() {
    for line in [r#"{"x": 5}"#, r#"{"x": 5.0}"#, r#"{"x": 5e0}"#, r#"{"x": 0.5e1}"#] {
        let record: Value = serde_json::from_str(line).unwrap();
        for condition in ["x == 5", "x == 5.0", "x in [5]", "x >= 5 && x <= 5.0", "x * 2.0 == 10"] {
            assert_eq!(verdict(condition, &record), Truth::True, "{condition} on {line}");
        }
        let rules = compile("{when: x == 5, then: notify()}");
        let line = JsonLine::new(line);
        assert_eq!(rules.matches([Event::new(&line, UNIX_EPOCH)], &mut Scratch::new()).len(), 1);
    }
    let record = json!({"x": 9_007_199_254_740_993_i64});
    assert_eq!(verdict("x == 9007199254740992.0", &record), Truth::False);
}

#[test]
fn pain_05_any_two_numbers_compare() {
    let numbers = [
        "-9223372036854775808",
        "-1",
        "-0.5",
        "0",
        "0.5",
        "1",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "1e300",
    ];
    for (at, a) in numbers.iter().enumerate() {
        for (other, b) in numbers.iter().enumerate() {
            let record: Value = serde_json::from_str(&format!(r#"{{"x": {a}}}"#)).unwrap();
            let b = if *b == "1e300" { "1.0e300" } else { b };
            let expected = |holds: bool| if holds { Truth::True } else { Truth::False };
            assert_eq!(verdict(&format!("x < {b}"), &record), expected(at < other), "{a} < {b}");
            assert_eq!(verdict(&format!("x == {b}"), &record), expected(at == other), "{a} == {b}");
        }
    }
}

#[test]
fn pain_06_a_mistake_is_shown_where_it_is() {
    let rule = |when: &str| format!("rules:\n  - when: {when}\n    then: notify()\n");
    for (when, code, at) in [
        ("a > 1 && b < '5' && c == 2", "E0303", "'5'"),
        ("len(a) == 'x' || b", "E0302", "len(a) == 'x'"),
        ("a > 5m", "E0309", "5m"),
        ("lenn(a) > 1", "E0306", "lenn"),
        ("a =~ '(' && b", "E0305", "'('"),
        ("a && b / 0 > 1", "E0304", "0"),
    ] {
        assert_eq!(mistakes(&rule(when)), [(code, at.to_owned())], "{when}");
        // In quotes and over several lines as well, escapes and all.
        let quoted = rule(&serde_json::to_string(&format!("\t{when}")).unwrap());
        assert_eq!(mistakes(&quoted), [(code, at.to_owned())], "{quoted}");
        let block = rule(&format!("|\n      exists(\u{e9}) &&\n      {when}"));
        assert_eq!(mistakes(&block), [(code, at.to_owned())], "{block}");
    }
}

#[test]
fn pain_07_every_mistake_names_its_file_and_place() {
    let sources = [
        SourceText::yaml("rules/a.yaml", "- {name: a, when: x >, then: notify()}\n"),
        SourceText::yaml(
            "rules/b.yaml",
            "- when: x\n  then: notify()\n- when: y\n  then: page('x')\n",
        ),
    ];
    let wrong = RuleSet::compile(&sources).unwrap_err();
    let places: Vec<_> =
        wrong.iter().map(|at| format!("{}:{}:{}", at.file, at.line, at.column)).collect();
    assert_eq!(places, ["rules/a.yaml:1:21", "rules/b.yaml:4:9"]);
    let text = wrong.to_string();
    assert!(places.iter().all(|place| text.contains(&format!("--> {place}\n"))), "{text}");
}

#[test]
fn pain_08_keys_that_are_misspelt_or_missing_are_named() {
    let wrong =
        RuleSet::from_yaml("r.yaml", "{whn: x > 1, then: notify()}").unwrap_err().to_string();
    assert!(wrong.contains("E0102") && wrong.contains("did you mean `when`"), "{wrong}");
    let wrong = RuleSet::from_yaml("r.yaml", "{name: a, then: notify()}").unwrap_err().to_string();
    assert!(wrong.contains("E0103") && wrong.contains("this rule has no `when`"), "{wrong}");
}

#[test]
fn pain_09_an_unknown_field_is_found_when_the_rule_is_loaded() {
    let text = "fields: {cpu_usage: number, host: string}\n\
                rules: [{when: cpu_usge > 90, by: [hots], then: notify()}]";
    let found = mistakes(text);
    assert_eq!(found, [("E0311", "cpu_usge".to_owned()), ("E0311", "hots".to_owned())]);
    let wrong = RuleSet::from_yaml("r.yaml", text).unwrap_err().to_string();
    assert!(wrong.contains("did you mean `cpu_usage`?"), "{wrong}");
    assert!(wrong.contains("r.yaml:2:16"), "{wrong}");
    // What a field holds is known before any record comes.
    let text =
        "{fields: {cpu_usage: number}, rules: [{when: cpu_usage == 'high', then: notify()}]}";
    assert_eq!(mistakes(text), [("E0302", "cpu_usage == 'high'".to_owned())]);
}

#[test]
fn pain_10_no_rule_is_cut_by_yaml_in_silence() {
    for (text, says) in [
        ("when: !x\nthen: notify()\n", "!"),
        ("when: a == b: c\nthen: notify()\n", ": "),
        ("when: a == 'x' #b\nthen: notify()\n", "#"),
        ("when: a == 1 && # that\nthen: notify()\n", "#"),
        ("when: *x\nthen: notify()\n", "*"),
        ("when: [a] == 1\nthen: notify()\n", "quotes"),
    ] {
        match RuleSet::from_yaml("r.yaml", text) {
            Err(wrong) => {
                let wrong = wrong.to_string();
                assert!(wrong.contains(says) && wrong.contains("quotes"), "{text}{wrong}");
            }
            // What YAML takes for a remark after a whole condition is one.
            Ok(rules) => assert_eq!(
                rules.rules().next().map(|rule| rule.when.to_string()),
                Some("a == 'x'".to_owned()),
                "{text}"
            ),
        }
    }
    // In quotes, all of it is there.
    let rules = compile("when: \"a == 'b: c #d'\"\nthen: notify()\n");
    assert_eq!(
        rules.explain("test.yaml#1", &json!({"a": "b: c #d"})).unwrap().verdict,
        Truth::True
    );
}

#[test]
fn pain_16_no_alert_is_lost_to_a_template() {
    let wrong = "{when: x, then: notify(), annotations: {a: '{{.x}}'}}";
    assert_eq!(mistakes(wrong), [("E0503", "{{.x}}".to_owned())]);
    let mut bench =
        Bench::new("{name: r, when: x, then: notify(), annotations: {a: 'by {{user.name}}'}}");
    let fired = bench.feed(0.0, json!({"x": true}));
    assert_eq!(short(&fired).len(), 1);
    assert_eq!(fired[0].annotations["a"], "by <missing:user.name>");
}

#[test]
fn pain_17_what_changes_with_each_record_identifies_no_alert() {
    let text = "{when: x, then: notify(), labels: {value: '{{x}}'}}";
    let wrong = RuleSet::from_yaml("r.yaml", text).unwrap_err().to_string();
    assert!(wrong.contains("labels") && wrong.contains("by"), "{wrong}");
}

#[test]
fn pain_24_it_says_why_a_rule_did_not_match() {
    let rules =
        compile("{name: r, where: env == 'prod', when: cpu > 90 && exists(host), then: notify()}");
    let why = rules.explain("r", &json!({"env": "prod", "cpu": "95"})).unwrap();
    assert_eq!(why.verdict, Truth::False);
    let terms: Vec<_> = why.terms.iter().map(|term| (term.text.as_str(), term.verdict)).collect();
    assert_eq!(
        terms,
        [
            ("env == 'prod'", Truth::True),
            ("cpu > 90", Truth::Unknown),
            ("exists(host)", Truth::False),
        ]
    );
    let text = why.to_string();
    assert!(
        text.contains("cpu=95") && text.contains("num()") && text.contains("host is missing"),
        "{text}"
    );
}

#[test]
fn pain_25_deep_nesting_is_an_error_and_no_abort() {
    let work = || {
        for (open, close) in
            [("(", ")"), ("!", ""), ("-", ""), ("[", "]"), ("a&&", ""), ("len(", ")")]
        {
            let text = format!("{}a{}", open.repeat(100_000), close.repeat(100_000));
            let rule = json!({"when": text, "then": "notify()"}).to_string();
            assert!(RuleSet::from_json("r.json", &rule).is_err(), "{open}");
        }
        let yaml = format!("when: x\nthen: notify()\nlabels: {}", "{a: ".repeat(100_000));
        assert!(RuleSet::from_yaml("r.yaml", &yaml).is_err());
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn pain_26_large_rules_and_deep_records_are_bounded() {
    let large = json!({"when": format!("x == '{}'", "y".repeat(10 << 20)), "then": "notify()"});
    let wrong = RuleSet::from_json("r.json", &large.to_string()).unwrap_err();
    assert!(wrong.to_string().len() < 2_000);
    let rules = compile("{when: a == 1 && exists(deep), then: notify()}");
    let text = format!(r#"{{"deep": {}{}, "a": 1}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let line = JsonLine::new(&text);
    assert_eq!(rules.matches([Event::new(&line, UNIX_EPOCH)], &mut Scratch::new()).len(), 1);
}

#[test]
fn pain_27_a_pattern_that_would_fill_the_memory_is_refused() {
    let text = "{when: \"x =~ 'a{1,999999}'\", then: notify()}";
    assert_eq!(mistakes(text), [("E0305", "'a{1,999999}'".to_owned())]);
}

#[test]
fn pain_29_all_rules_that_match_are_told_in_their_order() {
    let rules: String =
        (0..30).map(|n| format!("- {{name: r{n:02}, when: x > {n}, then: notify()}}\n")).collect();
    let rules = compile(&rules);
    let record = json!({"x": 20});
    let hits = rules.matches([Event::new(&record, UNIX_EPOCH)], &mut Scratch::new());
    let expected: Vec<String> = (0..20).map(|n| format!("r{n:02}")).collect();
    assert_eq!(hits.rule_names().collect::<Vec<_>>(), expected);
}

#[test]
fn pain_30_a_limit_of_costs_says_what_costs() {
    let condition = "any(tags[*] =~ 'x+') || lower(name) == 'a' || x == 1";
    let text = format!("{{name: r, when: \"{condition}\", then: notify()}}");
    let compile =
        |compiler: Compiler| compiler.compile(&[SourceText::yaml("r.yaml", text.as_str())]);
    assert_eq!(compile(Compiler::new()).unwrap().rules().next().unwrap().cost, 352);
    let wrong = compile(Compiler::new().max_rule_cost(351)).unwrap_err();
    let wrong: Vec<_> = wrong.iter().collect();
    assert_eq!((wrong.len(), wrong[0].code), (1, "E0207"));
    assert_eq!(wrong[0].message, "this condition costs 352, and the limit is 351");
    let costliest: Vec<_> =
        wrong[0].others.iter().map(|one| (&text[one.span.clone()], one.label.as_str())).collect();
    let expected =
        [("tags[*] =~ 'x+'", "320 of it"), ("tags[*]", "16 of it"), ("lower(name)", "10 of it")];
    assert_eq!(costliest, expected);
    // All rules of a set have a limit together.
    let rules: String =
        (0..9).map(|n| format!("- {{name: r{n}, when: x > {n}, then: notify()}}\n")).collect();
    let rules = format!("{rules}- {{name: dear, when: \"x =~ 'a'\", then: notify()}}\n");
    let sources = [SourceText::yaml("r.yaml", rules.as_str())];
    let total: u64 = RuleSet::compile(&sources).unwrap().rules().map(|rule| rule.cost).sum();
    assert!(Compiler::new().max_set_cost(total).compile(&sources).is_ok());
    let wrong = Compiler::new().max_set_cost(total - 1).compile(&sources).unwrap_err().to_string();
    assert!(
        wrong.contains("r.yaml:10:") && wrong.contains("the costliest are dear (21), r0 (2)"),
        "{wrong}"
    );
}
