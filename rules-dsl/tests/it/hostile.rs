//! Input made to break things. Everything here runs on a small stack, and must end in an error or an
//! answer, never in an abort.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use birl_rules_dsl::{Event, JsonLine, Record, RuleSet, Scratch, SourceText, Truth};

/// Runs on 512 KiB, a quarter of what threads usually get.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(work).unwrap();
    thread.join().unwrap();
}

fn condition(text: &str) -> String {
    format!("{{\"when\": {}, \"then\": \"notify()\"}}", serde_json::to_string(text).unwrap())
}

fn refused(code: &'static str, text: String) {
    on_a_small_stack(move || {
        let source = SourceText::json("hostile.json", condition(&text));
        let wrong = RuleSet::compile(&[source]).unwrap_err();
        let found: Vec<_> = wrong.iter().map(|diagnostic| diagnostic.code).collect();
        assert_eq!(found, [code], "{}", wrong.to_string().chars().take(2000).collect::<String>());
        assert!(wrong.to_string().len() < 2000, "the message is as long as the attack");
    });
}

#[test]
fn deep_and_long_expressions_are_refused() {
    let n = 30_000;
    refused("E0206", format!("{}x{}", "(".repeat(n), ")".repeat(n)));
    refused("E0206", "(".repeat(n));
    refused("E0206", format!("{}x", "!".repeat(n)));
    refused("E0206", format!("x == {}1", "-".repeat(n)));
    refused("E0206", format!("{}x", "not ".repeat(n / 4)));
    refused("E0206", format!("x in {}1{}", "[".repeat(n), "]".repeat(n)));
    refused("E0206", format!("{}x{}", "len(".repeat(n / 4), ")".repeat(n / 4)));
    refused("E0206", format!("{}x", "x ?? ".repeat(10_000)));
    refused("E0206", format!("x{} > 1", " + 1".repeat(10_000)));
    // Beyond the byte limit.
    let n = 100_000;
    for sign in [
        "(", ")", "!", "-", "+", "[", "not ", "len(", "[(", "'", "`", "a.", "1.", "é", "any(",
        "a[*]", "1..", "cidr(",
    ] {
        refused("E0206", sign.repeat(n));
        refused("E0206", format!("{}x", sign.repeat(n)));
    }
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("len(", ")"),
        ("!(", ")"),
        ("-(", ")"),
        ("any(", ")"),
        ("max(1,", ")"),
    ] {
        refused("E0206", format!("x > {}1{}", open.repeat(n), close.repeat(n)));
    }
    for operator in [
        "&&",
        "||",
        "??",
        "+",
        "-",
        "*",
        "==",
        "=~",
        " in ",
        " contains ",
        "..",
        " icontains ",
        " iin ",
    ] {
        refused("E0206", format!("a{}", format!("{operator}a").repeat(1_000_000 / 3)));
    }
}

#[test]
fn deep_and_long_actions_are_refused() {
    let refused = |code: &'static str, text: String| {
        on_a_small_stack(move || {
            let rule = serde_json::json!({"when": "a", "then": text}).to_string();
            let wrong = RuleSet::from_json("hostile.json", &rule).unwrap_err();
            let found: Vec<_> = wrong.iter().map(|diagnostic| diagnostic.code).collect();
            assert_eq!(found, [code], "{wrong}");
            assert!(wrong.to_string().len() < 2000, "the message is as long as the attack");
        });
    };
    // Within the byte limit and beyond it.
    for n in [10_000, 100_000] {
        for sign in ["(", "!", "-", "[", "not ", "len(", "(-"] {
            refused("E0206", format!("notify({}'x')", sign.repeat(n)));
        }
        for (open, close) in [("(", ")"), ("[", "]"), ("len(", ")"), ("notify(", ")")] {
            refused("E0206", format!("notify({}1{})", open.repeat(n), close.repeat(n)));
        }
    }
    refused("E0206", format!("notify('{}')", "x".repeat(1_000_000)));
    refused("E0206", "notify();".repeat(100_000));
    refused("E0206", format!("scale('a', {}1)", "+ ".repeat(100_000)));
    refused("E0502", format!("notify({}'x')", "'x', ".repeat(10_000)));
}

#[test]
fn deep_and_long_templates_are_refused() {
    let template = |text: String| {
        serde_json::json!({"when": "a", "then": "notify()", "annotations": {"why": text}})
            .to_string()
    };
    for sign in ["{{", "{{(", "{{!", "{{-", "{{[", "{{{{a}}", "{{a.", "{{`", "{{$"] {
        let rule = template(sign.repeat(100_000));
        on_a_small_stack(move || {
            let wrong = RuleSet::from_json("hostile.json", &rule).unwrap_err();
            let found: Vec<_> = wrong.iter().map(|diagnostic| diagnostic.code).collect();
            assert_eq!(found, ["E0503"], "{wrong}");
            assert!(wrong.to_string().len() < 2000, "the message is as long as the attack");
        });
    }
    for inside in ["(", "!", "-", "[", "a.", "`"] {
        let rule = template(format!("{{{{{}x}}}}", inside.repeat(100_000)));
        on_a_small_stack(move || {
            let wrong = RuleSet::from_json("hostile.json", &rule).unwrap_err();
            assert!(wrong.iter().all(|diagnostic| diagnostic.code == "E0503"), "{wrong}");
            assert!(wrong.to_string().len() < 2000, "the message is as long as the attack");
        });
    }
    // Braces that open nothing are text, and so many holes are filled as a few are.
    for fine in ["{".to_owned(), "}}".repeat(100_000), "{{a}}".repeat(100_000)] {
        let rule = template(fine);
        on_a_small_stack(move || drop(RuleSet::from_json("hostile.json", &rule).unwrap()));
    }
}

#[test]
fn a_chain_within_the_limits_is_fine_however_long() {
    on_a_small_stack(|| {
        for operator in ["&&", "||"] {
            let text = format!("a{}", format!(" {operator} a").repeat(9_000));
            let rules = RuleSet::from_json("long.json", &condition(&text)).unwrap();
            let rules = Arc::new(rules);
            let record = serde_json::json!({"a": true});
            let hits = rules.matches([Event::new(&record, UNIX_EPOCH)], &mut Scratch::new());
            assert_eq!(hits.len(), 1);
            assert!(rules.explain("long.json#1", &record).is_some());
        }
    });
}

#[test]
fn the_deepest_expression_allowed_fits_the_small_stack() {
    on_a_small_stack(|| {
        for (open, close) in [("(", ")"), ("!(", ")"), ("(1 + ", ")"), ("(x ?? ", ")")] {
            let depth = 64;
            let inner = format!("{}x{}", open.repeat(depth), close.repeat(depth));
            let text = format!("{inner} == 1");
            let text = if open == "!(" { inner } else { text };
            let rules = RuleSet::from_json("deep.json", &condition(&text));
            let rules = Arc::new(rules.unwrap_or_else(|wrong| panic!("{wrong}")));
            let record = serde_json::json!({"x": 1});
            let _ = rules.matches([Event::new(&record, UNIX_EPOCH)], &mut Scratch::new());
            let _ = rules.explain("deep.json#1", &record).unwrap().to_string();
        }
    });
}

#[test]
fn deep_files_and_alias_bombs_are_refused() {
    let json = |text: String| SourceText::json("hostile.json", text);
    let yaml = |text: String| SourceText::yaml("hostile.yaml", text);
    let n = 100_000;
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let items = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb.push_str(&format!("a{i}: &a{i} [{items}]\n"));
    }
    let mut stacked = "a0: &a0 [x]\n".to_owned();
    for i in 1..2000 {
        stacked.push_str(&format!("a{i}: &a{i} [[[[*a{}]]]]\n", i - 1));
    }
    // Thirty anchors around one list would copy it thirty times.
    let inside = vec!["x"; 20_000].join(", ");
    let anchored: String = (0..30).map(|i| format!("&a{i} [")).collect();
    let anchored = format!("rules: {anchored}{inside}{}\n", "]".repeat(30));
    for source in [
        json("[".repeat(n)),
        json("{\"a\":".repeat(n)),
        json(format!("{{\"rules\": {}{}}}", "[".repeat(n), "]".repeat(n))),
        yaml("[".repeat(n)),
        yaml("{a: ".repeat(n)),
        yaml("- ".repeat(n)),
        yaml("? ".repeat(n)),
        yaml(format!("rules: {}{}", "[".repeat(n), "]".repeat(n))),
        yaml(bomb),
        yaml(stacked),
        yaml(anchored),
        yaml("a: &a [*a]\n".to_owned()),
        yaml("x".repeat(40 * 1024 * 1024)),
        yaml("[a, ".repeat(n)),
        yaml("? [".repeat(n)),
        yaml("&a [".repeat(n)),
        yaml("!!seq [".repeat(n)),
        yaml("- - ? ".repeat(n)),
        yaml(format!("{}{}", "{".repeat(n), "}".repeat(n))),
        yaml((0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect()),
        yaml((0..200).map(|depth| format!("{}-\n", " ".repeat(depth))).collect()),
        json("[{\"a\":".repeat(n)),
        json("{\"rules\":[".repeat(n)),
        // One text under many names: values are few, and bytes are many.
        yaml(format!("a: &a {}\nrules: [{}]\n", "x".repeat(1 << 20), ["*a"; 50_000].join(", "))),
    ] {
        on_a_small_stack(move || {
            let wrong = RuleSet::compile(&[source]).unwrap_err();
            assert!(wrong.to_string().len() < 20_000);
        });
    }
}

#[test]
fn whatever_of_a_rule_is_deep_is_refused() {
    for key in ["name", "when", "where", "then", "by", "labels", "annotations", "on_missing", "x"] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}0{}", open.repeat(100_000), close.repeat(100_000));
            let rule = format!("{{\"{key}\": {deep}}}");
            let sources = [SourceText::json("r.json", rule.clone()), SourceText::yaml("r", rule)];
            on_a_small_stack(move || {
                for source in sources {
                    let wrong = RuleSet::compile(&[source]).unwrap_err();
                    let found: Vec<_> = wrong.iter().map(|diagnostic| diagnostic.code).collect();
                    // The parser of YAML has a limit of its own for lists and maps in brackets.
                    assert!(found == ["E0107"] || found == ["E0101"], "{wrong}");
                }
            });
        }
    }
}

/// How deep the records below are.
const DEEP: usize = 100_000;

/// Takes a value apart level by level: dropping it as a whole would recurse once a level, which is how
/// `serde_json` does it, and its parser makes no value that deep.
fn take_apart(mut value: serde_json::Value) {
    while let Some(inner) = match &mut value {
        serde_json::Value::Array(items) => items.pop(),
        serde_json::Value::Object(fields) => {
            fields.iter_mut().next().map(|(_, value)| value.take())
        }
        _ => None,
    } {
        value = inner;
    }
}

/// Rules that ask for a field in every way: above the depth, in it, and as far down as rules may ask; once
/// few, and once so many that records are asked for all of their fields.
fn rules_about_x() -> Vec<(usize, Arc<RuleSet>)> {
    let below = format!("x{}", ".x".repeat(63));
    let conditions = [
        "x contains 1 || x == 1 || len(x) > 5 || x in [1] || 1 in x".to_owned(),
        "exists(x) && a == 1 && z == 1".to_owned(),
        "x.x.x == 1 || lower(x.x) == 'x' || num(x.x) > 1 || -x.x > 1 || x.x + 1 > 1".to_owned(),
        format!("{below} == 1 || `x.x` == 1"),
        format!("exists({below}) && a == 1"),
        "line contains 'never'".to_owned(),
    ];
    let rule = |when: &String| serde_json::json!({"when": when, "then": "notify('{{x}}')"});
    let few: Vec<_> = conditions.iter().map(rule).collect();
    let others: Vec<String> = (0..30).map(|n| format!("other{n} == 'x'")).collect();
    let many: Vec<_> = conditions.iter().chain(&others).map(rule).collect();
    let compile = |rules: Vec<_>| {
        let rules = serde_json::Value::Array(rules).to_string();
        (conditions.len(), Arc::new(RuleSet::from_json("r.json", &rules).unwrap()))
    };
    vec![compile(few), compile(many)]
}

/// Judges and explains a record in every way there is. The names of rules that hold.
fn judged<R: Record>(rules: &Arc<RuleSet>, conditions: usize, record: &R) -> Vec<String> {
    let mut scratch = Scratch::new();
    let events = || [Event::new(record, UNIX_EPOCH), Event::new(record, UNIX_EPOCH)];
    let hits = rules.matches(events(), &mut scratch);
    let names: Vec<_> = hits.rule_names().map(str::to_owned).collect();
    let scanned = rules.matches_by_scan(events(), &mut scratch);
    assert_eq!(scanned.rule_names().collect::<Vec<_>>(), names);
    for n in 1..=conditions {
        let name = format!("r.json#{n}");
        let why = rules.explain(&name, record).unwrap();
        assert_eq!(why.verdict == Truth::True, names.contains(&name), "{why}");
        drop(serde_json::to_string(&why).unwrap());
    }
    let half = names.len() / 2;
    assert_eq!(names[..half], names[half..], "the same record twice");
    names[..half].to_vec()
}

#[test]
fn deep_records_are_only_looked_at() {
    for is_list in [true, false] {
        on_a_small_stack(move || {
            let mut record = serde_json::json!(1);
            for _ in 0..DEEP {
                record = match is_list {
                    true => serde_json::Value::Array(vec![record]),
                    // Not by the macro, which would walk the value to copy it.
                    false => [("x".to_owned(), record)].into_iter().collect(),
                };
            }
            let mut fields = serde_json::Map::new();
            // The deep one last in the record, so that `take_apart` finds it first.
            fields.insert("x".to_owned(), record);
            let mut record = serde_json::Value::Object(fields);
            record["a"] = serde_json::json!(1);
            record["z"] = serde_json::json!(1);
            let expected: &[&str] = if is_list { &["r.json#2"] } else { &["r.json#2", "r.json#5"] };
            for (conditions, rules) in rules_about_x() {
                assert_eq!(judged(&rules, conditions, &record), expected);
            }
            take_apart(record["x"].take());
        });
    }
}

#[test]
fn deep_lines_are_only_read_over() {
    let (lists, maps) = (("[", "1", "]"), ("{\"x\":", "1", "}"));
    for ((open, inner, close), expected) in
        [(lists, &["r.json#2"][..]), (maps, &["r.json#2", "r.json#5"][..])]
    {
        let (open, close) = (open.repeat(DEEP), close.repeat(DEEP));
        let whole = format!("{{\"a\": 1, \"x\": {open}{inner}{close}, \"z\": 1}}");
        let broken = format!("{{\"a\": 1, \"x\": {open}");
        on_a_small_stack(move || {
            for (conditions, rules) in rules_about_x() {
                assert_eq!(judged(&rules, conditions, &JsonLine::new(&whole)), expected);
                judged(&rules, conditions, &JsonLine::new(&broken));
                judged(&rules, conditions, &JsonLine::new(&whole[6..]));
            }
        });
    }
}

#[test]
fn no_field_is_deeper_than_records_are_walked_down() {
    let deep = format!("x{}", ".x".repeat(64));
    let template = format!("{{{{{deep}}}}}");
    for rule in [
        serde_json::json!({"when": format!("{deep} == 1"), "then": "notify()"}),
        serde_json::json!({"when": format!("a && count(5m) by {deep} > 3"), "then": "notify()"}),
        serde_json::json!({"when": "a", "then": "notify()", "by": [deep]}),
        serde_json::json!({"when": "a", "then": "notify()", "annotations": {"a": template}}),
        serde_json::json!({"rules": [{"when": "a", "then": "notify()"}], "aliases": {"a": deep}}),
    ] {
        let wrong = RuleSet::from_json("r.json", &rule.to_string()).unwrap_err();
        let found: Vec<_> = wrong.iter().map(|diagnostic| diagnostic.code).collect();
        assert_eq!(found, ["E0107"], "{wrong}");
    }
}

#[test]
fn patterns_that_grow_are_refused() {
    for pattern in [
        "(a{1,999}){1,999}".to_owned(),
        "((a{1,99}){1,99}){1,99}".to_owned(),
        "(((((a{9}){9}){9}){9}){9}){9}".to_owned(),
        "\\w{999}".to_owned(),
        "a{999999999}".to_owned(),
        "a{99999999999999999999}".to_owned(),
        format!("x{}", "{1,9}".repeat(240)),
        "(".repeat(10_000),
        format!("{}a{}", "(".repeat(8_000), ")".repeat(8_000)),
        format!("{}a{}", "[".repeat(8_000), "]".repeat(8_000)),
        format!("{}a{}", "(?:".repeat(5_000), ")*".repeat(5_000)),
        "*".repeat(10_000),
        format!("a{}", "*".repeat(10_000)),
        "\\w".repeat(8_000),
        "\\w".repeat(30_000),
        "x".repeat(60_000),
    ] {
        refused("E0305", format!("x =~ '{pattern}'"));
    }
    // As deep as they may be, in the shapes that take most to compile.
    for pattern in [
        format!("x{}", "{1,2}".repeat(10)),
        format!("{}a{}", "(?:".repeat(10), ")*".repeat(10)),
        format!("{}a{}", "(".repeat(30), ")".repeat(30)),
    ] {
        on_a_small_stack(move || {
            let rules = RuleSet::from_json("r.json", &condition(&format!("x =~ '{pattern}'")));
            let rules = Arc::new(rules.unwrap_or_else(|wrong| panic!("{wrong}")));
            let record = serde_json::json!({"x": "xxxaaa"});
            assert_eq!(judged(&rules, 1, &record), ["r.json#1"], "{pattern}");
        });
    }
    // Longer than an expression may be.
    refused("E0206", format!("x =~ '{}'", "a".repeat(1 << 20)));
    refused("E0206", format!("x =~ '{}'", "(a{1,999})".repeat(100_000)));
}

#[test]
fn huge_lists_are_refused_or_fine() {
    refused("E0206", format!("x in [{}]", "1,".repeat(31_000)));
    refused("E0206", format!("x in [{}]", "1,".repeat(1_000_000)));
    on_a_small_stack(|| {
        let items: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
        let text = format!("x in [{}]", items.join(","));
        let rules = Arc::new(RuleSet::from_json("r.json", &condition(&text)).unwrap());
        let record = serde_json::json!({"x": 9_999});
        assert_eq!(judged(&rules, 1, &record), ["r.json#1"]);
        let long = serde_json::json!({"x": vec![1; 1_000_000]});
        assert!(judged(&rules, 1, &long).is_empty());
    });
}

#[test]
fn a_pattern_made_to_backtrack_takes_linear_time() {
    let rules = condition("x =~ '^(a+)+$' && x =~ '(x+x+)+y'");
    let rules = Arc::new(RuleSet::from_json("r.json", &rules).unwrap());
    let record = serde_json::json!({"x": format!("{}!", "a".repeat(100_000))});
    assert!(rules.matches([Event::new(&record, UNIX_EPOCH)], &mut Scratch::new()).is_empty());
}

#[test]
fn odd_bytes_never_panic() {
    let texts = [
        "\0",
        "\u{feff}",
        "é",
        "a.é == 'é'",
        "'",
        "\"",
        "`",
        "``",
        "a.",
        ".a",
        "a..b",
        "5",
        "5.",
        "\\",
        "'\\",
        "a == '\\'",
        "count",
        "count(",
        "count()",
        "count(5m)",
        "count(5m) by",
        "1m",
        "🦀 == 1",
        "a 🦀 b",
        "x == '\u{0}'",
        "\n\n",
        "a\n==\n1",
        "{{",
        "}}",
        "#",
        ";",
        ",",
    ];
    for text in texts {
        let _ = RuleSet::from_json("odd.json", &condition(text)).map_err(|wrong| wrong.to_string());
        for template in [
            format!("when: {text}\nthen: notify()\n"),
            format!("when: a > 1\nthen: {text}\n"),
            format!("when: a > 1\nthen: notify()\nannotations: {{x: \"{{{{{text}}}}}\"}}\n"),
            format!("when: >\n  {text}\nthen: notify()\n"),
            text.to_owned(),
        ] {
            let _ = RuleSet::from_yaml("odd.yaml", &template).map_err(|wrong| wrong.to_string());
        }
    }
}

#[test]
fn a_file_of_nothing_but_mistakes_fits_the_memory() {
    on_a_small_stack(|| {
        // On one line, which every diagnostic quotes.
        let text = format!("{{\"rules\": [{}]}}", vec!["{\"é\": 1}"; 50_000].join(", "));
        let wrong = RuleSet::from_json("hostile.json", &text).unwrap_err();
        assert_eq!(wrong.len(), 1_000);
        let kept: usize = wrong.iter().map(|diagnostic| diagnostic.source_line.len()).sum();
        assert!(kept < 3_000_000, "{kept} bytes of lines");
        let last = wrong.iter().last().unwrap();
        assert_eq!((last.line, last.column), (1, 12 + 999 * 10 + 1));
        let shown = last.to_string();
        let mut lines = shown.lines().skip(3);
        let (line, carets) = (lines.next().unwrap(), lines.next().unwrap());
        let at = carets.chars().position(|c| c == '^').unwrap();
        let marked: String = line.chars().skip(at).take(3).collect();
        assert_eq!(marked, "\"é\"", "{shown}");
        assert_eq!(carets.matches('^').count(), 3);
    });
}

#[test]
fn debug_is_the_picture_that_display_shows() {
    let wrong = RuleSet::from_json("r.json", &condition("a >")).unwrap_err();
    assert_eq!(format!("{wrong:?}"), wrong.to_string());
    let boxed: Box<dyn std::error::Error> = wrong.into();
    assert!(format!("{boxed:?}").contains("--> r.json:1:"), "{boxed:?}");
}

#[test]
fn messages_quote_no_more_than_one_can_read() {
    refused("E0204", format!("x == {}", "1".repeat(60_000)));
    refused("E0204", format!("x == 1{}", ".1".repeat(30_000)));
    let fields: Vec<String> = (0..2_000).map(|i| format!("k{i}")).collect();
    let text = format!("{{when: x > 1, then: notify(), by: [{}]}}", fields.join(", "));
    let wrong = RuleSet::from_yaml("hostile.yaml", &text).unwrap_err();
    assert!(wrong.iter().all(|diagnostic| diagnostic.code == "E0107"), "{wrong}");
}
