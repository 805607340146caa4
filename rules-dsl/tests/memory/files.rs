//! Files of ten megabytes that are made to take memory, on a thread with a small stack.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use birl_rules_dsl::{Compiler, Diagnostics, Event, RuleSet, Scratch, SourceText};

use crate::counting;

const SIZE: usize = 10 << 20;

/// At most so many times the size of a file is held while it is compiled. A value of three bytes becomes
/// one of 80 with its place, in a list that doubles as it grows.
const TIMES: usize = 60;

/// What takes more, and up to a hundred times: values of two bytes, and rules of thirty, of which each
/// becomes a program, a name, a place in the index.
fn dense(source: &SourceText) -> usize {
    40 * source.text.len()
}

/// What the patterns of one set may take beside that, the limit being on the sizes of their programs.
const PATTERNS: usize = 1 << 30;

/// What names stand for takes no more than that.
const NAMES: usize = 512 << 20;

/// Compiles a file and drops all that comes of it. Gives what `look` makes of the outcome.
fn compiled<T: Send + 'static>(
    source: SourceText,
    beside: usize,
    look: impl FnOnce(Result<RuleSet, Diagnostics>) -> T + Send + 'static,
) -> T {
    let bytes = source.text.len();
    let work = move || {
        let before = counting::live();
        counting::begin_peak();
        let outcome = RuleSet::compile(std::slice::from_ref(&source));
        let peak = (counting::peak() - before).unsigned_abs();
        if let Err(wrong) = &outcome {
            let (kept, shown) = ((counting::live() - before).unsigned_abs(), wrong.to_string());
            assert!(wrong.len() <= 1_000 && kept < 4 << 20, "{kept} bytes of mistakes are kept");
            assert!(shown.len() < 100_000, "nobody reads {} bytes", shown.len());
        }
        let looked = look(outcome);
        let start: String = source.text.chars().take(60).collect();
        let most = TIMES * bytes + beside;
        assert!(peak <= most, "{peak} bytes for {bytes}, more than {most}: {start}");
        looked
    };
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(work).unwrap();
    thread.join().unwrap()
}

fn codes(outcome: Result<RuleSet, Diagnostics>) -> Vec<&'static str> {
    let Err(wrong) = outcome else { return Vec::new() };
    let mut codes: Vec<_> = wrong.iter().map(|diagnostic| diagnostic.code).collect();
    codes.dedup();
    codes
}

#[track_caller]
fn refused(expected: &[&'static str], source: SourceText) {
    refused_beside(0, expected, source);
}

#[track_caller]
fn refused_beside(beside: usize, expected: &[&'static str], source: SourceText) {
    let start: String = source.text.chars().take(60).collect();
    assert_eq!(compiled(source, beside, codes), expected, "{start}");
}

fn messages(outcome: Result<RuleSet, Diagnostics>) -> Vec<String> {
    outcome.unwrap_err().iter().map(|diagnostic| diagnostic.message.clone()).collect()
}

/// A text of about `SIZE` bytes: `head`, then items with `between` between them, then `tail`.
fn filled(head: &str, item: impl Fn(usize) -> String, between: &str, tail: &str) -> String {
    filled_to(SIZE, head, item, between, tail)
}

fn filled_to(
    size: usize,
    head: &str,
    item: impl Fn(usize) -> String,
    between: &str,
    tail: &str,
) -> String {
    let mut text = head.to_owned();
    for n in 0.. {
        if n > 0 {
            text.push_str(between);
        }
        text.push_str(&item(n));
        if text.len() >= size {
            break;
        }
    }
    text + tail
}

fn json(text: String) -> SourceText {
    SourceText::json("hostile.json", text)
}

fn yaml(text: String) -> SourceText {
    SourceText::yaml("hostile.yaml", text)
}

/// A rule with `inside` in one of its lists or maps.
fn in_rule(key: &str, open: char, item: impl Fn(usize) -> String, close: char) -> SourceText {
    let head = format!("{{\"when\":\"a\",\"then\":\"notify()\",\"{key}\":{open}");
    json(filled_to(SIZE / 5, &head, item, ",", &format!("{close}}}")))
}

#[test]
fn one_huge_text() {
    let rule = |when: &str| json(format!(r#"{{"when":"{when}","then":"notify()"}}"#));
    refused(&["E0206"], rule(&format!("x == '{}'", "y".repeat(SIZE))));
    refused(&["E0206"], rule(&filled("a", |_| "a".to_owned(), "&&", "")));
    refused(&["E0206"], rule(&"(".repeat(SIZE)));
    refused(&["E0101"], json(format!("\"{}", "\\".repeat(SIZE))));
    refused(&["E0101"], json("1".repeat(SIZE)));
    refused(&["E0101"], json(" ".repeat(SIZE)));
    refused(&["E0206"], yaml(format!("when: {}\nthen: notify()\n", "a".repeat(SIZE))));
    refused(&["E0101"], yaml("#".repeat(SIZE)));
    // A text that is no condition is kept.
    let annotated = |text: String| {
        let rule = format!(r#"{{"when":"a","then":"notify()","annotations":{{"a":"{text}"}}}}"#);
        compiled(json(rule), 0, |outcome| outcome.unwrap().len())
    };
    assert_eq!(annotated("y".repeat(SIZE)), 1);
    assert_eq!(annotated("{{a}}".repeat(SIZE / 5)), 1);
    refused(&["E0503"], in_rule("annotations", '{', |n| format!("\"{n}\":\"{{{{\""), '}'));
}

#[test]
fn one_huge_rule() {
    refused(&["E0102"], json(filled("{\"when\":\"a\",", |n| format!("\"{n}\":0"), ",", "}")));
    refused(&["E0105"], json(filled("{", |_| "\"when\":0".to_owned(), ",", "}")));
    refused(&["E0107"], in_rule("by", '[', |n| format!("\"a{n}\""), ']'));
    refused(&["E0104"], in_rule("by", '[', |_| "null".to_owned(), ']'));
    refused(&["E0109"], in_rule("labels", '{', |n| format!("\"{n}\":0"), '}'));
    refused(&["E0105"], in_rule("labels", '{', |_| "\"a\":0".to_owned(), '}'));
    let then = |call: &str| {
        json(filled("{\"when\":\"a\",\"then\":[", |_| format!("\"{call}\""), ",", "]}"))
    };
    refused(&["E0501"], then("x()"));
    refused(
        &["E0104"],
        json(filled("{\"when\":\"a\",\"then\":[", |_| "0,[]".to_owned(), ",", "]}")),
    );
    refused(&["E0109"], json(filled("{\"aliases\":{", |n| format!("\"{n}\":\"b\""), ",", "}}")));
}

#[test]
fn many_rules() {
    let rule = |n: usize| {
        let why = "y".repeat(500);
        format!(
            r#"{{"name":"r{n}","when":"status == {n} && host == 'h{n}'","then":"notify('team')","annotations":{{"why":"{why}"}}}}"#
        )
    };
    let text = filled("{\"rules\":[", rule, ",", "]}");
    let (rules, hits) = compiled(json(text), 0, |outcome| {
        let rules = Arc::new(outcome.unwrap());
        let record = serde_json::json!({"status": 7, "host": "h7"});
        let hits = rules.matches([Event::new(&record, UNIX_EPOCH)], &mut Scratch::new());
        (rules.len(), hits.rule_names().map(str::to_owned).collect::<Vec<_>>())
    });
    assert!(rules > 15_000 && hits == ["r7"], "{rules} rules, {hits:?}");
    // As short as rules get, of which there is room for a third of a million in ten megabytes: a
    // twentieth of that says as much.
    let short = |n: usize| format!(r#"{{"when":"a>{n}","then":"notify()"}}"#);
    let text = filled_to(SIZE / 20, "{\"rules\":[", short, ",", "]}");
    let source = json(text);
    let beside = dense(&source);
    assert!(compiled(source, beside, |outcome| outcome.unwrap().len()) > 10_000);
}

#[test]
fn nothing_but_mistakes() {
    let rules = |item: &str| json(filled("{\"rules\":[", |_| item.to_owned(), ",", "]}"));
    refused(&["E0103"], rules("{}"));
    refused(&["E0104"], rules("[]"));
    let values = rules("0");
    let beside = dense(&values);
    assert_eq!(compiled(values, beside, codes), ["E0104"]);
    refused(&["E0301"], rules(r#"{"when":"1","then":"notify()"}"#));
    // The parser of YAML takes its time where it is not optimized.
    let maps = yaml(filled_to(SIZE / 5, "rules:\n", |_| "- {a: b}".to_owned(), "\n", "\n"));
    let beside = dense(&maps);
    assert_eq!(compiled(maps, beside, codes), ["E0102"]);
    refused(&["E0107"], yaml(filled("rules:\n", |n| format!("- &a{n} x"), "\n", "\n")));
    // Columns are counted from the beginning of the line, and the mistakes stand at its end.
    let fine = r#"{"when":"a","then":"notify()","annotations":{"a":"AAAA"}}"#;
    let fine = fine.replace("AAAA", &"é".repeat(10_000));
    let late =
        filled("{\"rules\":[", |_| fine.clone(), ",", &format!(",{}]}}", ["{}"; 2000].join(",")));
    refused(&["E0103"], json(late));
}

#[test]
fn more_fields_than_anybody_has() {
    let rules = |item: &dyn Fn(usize) -> String| {
        json(filled_to(
            4 << 20,
            "{\"rules\":[",
            |n| format!(r#"{{"when":"{}","then":"notify()"}}"#, item(n)),
            ",",
            "]}",
        ))
    };
    refused(&["E0107"], rules(&|n| format!("a{n}{}", ".a".repeat(40))));
    refused(&["E0107"], rules(&|n| format!("a{n}{}", ".a".repeat(30_000))));
    let holes = filled_to(2 << 20, "", |n| format!("{{{{f{n}}}}}"), "", "");
    refused(
        &["E0107"],
        json(format!(r#"{{"when":"x","then":"notify()","annotations":{{"a":"{holes}"}}}}"#)),
    );
    // A long way round, which every rule would take.
    let rule = [r#"{"when":"a","then":"notify()"}"#; 10_000].join(",");
    let far = format!(r#"{{"rules":[{rule}],"aliases":{{"a":"x{}"}}}}"#, ".x".repeat(SIZE / 2));
    refused(&["E0109"], json(far));
}

#[test]
fn what_aliases_copy_is_bounded_in_bytes_too() {
    let text =
        format!("a: &a \"{}\"\nrules: [{}]\n", "y".repeat(1 << 20), ["*a"; 50_000].join(", "));
    refused(&["E0107"], yaml(text));
}

#[test]
fn long_patterns() {
    // While a pattern is read, each of these is a table of all letters there are.
    let rule = |classes: usize| {
        let when = format!("x =~ '{}'", r"\\w".repeat(classes));
        json(format!(r#"{{"when":"{when}","then":"notify()"}}"#))
    };
    assert_eq!(compiled(rule(8_000), 80 << 20, codes), ["E0305"]);
    refused(&["E0305"], rule(30_000));
}

#[test]
fn many_patterns() {
    // Each is within its bound, and takes a third of a megabyte.
    let rule = |n: usize| format!(r#"{{"when":"x =~ 'a{{2900}}{n}'","then":"notify()"}}"#);
    let text = filled_to(150_000, "{\"rules\":[", rule, ",", "]}");
    let told = compiled(json(text), PATTERNS, messages);
    assert!(told.iter().all(|message| message.contains("together take more")), "{told:?}");
    // What is refused has cost time, and counts.
    let rule =
        |n: usize| format!(r#"{{"when":"x =~ '(a{{1,999}}){{1,999}}{n}'","then":"notify()"}}"#);
    let text = filled_to(50_000, "{\"rules\":[", rule, ",", "]}");
    let told = compiled(json(text), PATTERNS, messages);
    let (own, all): (Vec<_>, Vec<_>) =
        told.into_iter().partition(|message| message.contains("it compiles to more than"));
    assert!(own.len() < 600 && all.len() > 100, "{} and {}", own.len(), all.len());
}

/// A name is as long as it likes, and as often as a file has room for.
#[test]
fn names_of_names() {
    // Each stands for twice what the one before it does.
    let doubled: Vec<String> =
        (1..40).map(|n| format!("  m{n}: m{} && m{}", n - 1, n - 1)).collect();
    let text = format!("macros:\n  m0: a > 1\n{}\nrules: []\n", doubled.join("\n"));
    refused_beside(NAMES, &["E0206"], SourceText::yaml("names.yaml", text));
    // One that stands for much, again and again.
    let many: Vec<String> = (0..5_000).map(|n| format!("- x{n} > 1 || x{n} < 0")).collect();
    let large = many.iter().map(|term| &term[2..]).collect::<Vec<_>>().join(" || ");
    let large = &large[..large[..40_000].rfind(" || ").unwrap()];
    let again: Vec<String> = (0..20_000).map(|n| format!("  m{n}: large")).collect();
    let text = format!("macros:\n  large: {large}\n{}\nrules: []\n", again.join("\n"));
    refused_beside(NAMES, &["E0206"], SourceText::yaml("names.yaml", text));
}

/// A long list in many rules is given up as soon as all together cost too much.
#[test]
fn lists_in_many_rules() {
    let items = (0..15_000).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let rule = |n: usize| format!("- {{name: r{n}, when: x in items, then: notify()}}");
    let rules = (0..20_000).map(rule).collect::<Vec<_>>().join("\n");
    let text = format!("lists:\n  items: [{items}]\nrules:\n{rules}\n");
    let compiler = Compiler::new().max_set_cost(200_000);
    let before = counting::live();
    counting::begin_peak();
    let outcome = compiler.compile(&[SourceText::yaml("lists.yaml", text)]);
    let peak = (counting::peak() - before).unsigned_abs();
    assert_eq!(codes(outcome), ["E0207"]);
    // 27 rules of it, and the text of all 20,000.
    assert!(peak < 256 << 20, "{peak} bytes");
}
