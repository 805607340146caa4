//! Input made to break things. Everything here runs on a small stack, and must end in an error or an
//! answer, never in an abort.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use birl_rules_dsl::{Event, RuleSet, Scratch, SourceText};

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
    refused("E0206", "(".repeat(100_000));
    refused("E0206", "!".repeat(100_000));
    refused("E0206", format!("a{}", "&&a".repeat(333_333)));
    refused("E0206", "é".repeat(1_000_000));
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
    ] {
        on_a_small_stack(move || {
            let wrong = RuleSet::compile(&[source]).unwrap_err();
            assert!(wrong.to_string().len() < 20_000);
        });
    }
}

#[test]
fn deep_records_are_only_looked_at() {
    on_a_small_stack(|| {
        let mut record = serde_json::json!(1);
        for _ in 0..100_000 {
            record = serde_json::Value::Array(vec![record]);
        }
        // Not by the macro, which would walk the value to copy it.
        let record = serde_json::Value::Object([("x".to_owned(), record)].into_iter().collect());
        let rules = condition("x contains 1 || x == 1 || len(x) > 5 || x in [1]");
        let rules = Arc::new(RuleSet::from_json("r.json", &rules).unwrap());
        let hits = rules.matches([Event::new(&record, UNIX_EPOCH)], &mut Scratch::new());
        assert!(hits.is_empty());
        let _ = rules.explain("r.json#1", &record).unwrap().to_string();
        // Dropping such a value is serde_json's own recursion; this test is about ours.
        std::mem::forget(record);
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
