//! What judging records asks of the allocator: nothing for a record that matches nothing, and for a
//! batch the same few calls however many are in it. What does ask is here too, with how often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use birl_rules_dsl::{Event, JsonLine, Record, RuleSet, Scratch};

use crate::counting;

/// A batch hands out two lists: which kinds of values it held, and which rules had no answer. The second
/// doubles as it grows, up to two dozen here.
const PER_BATCH: u64 = 5;

/// Records in one batch, and how often it is judged before it is counted.
const BATCH: usize = 100;
const WARM_UP: usize = 3;

/// Conditions of every kind, of which none holds for the records below. Those of the first half are
/// looked up, those of the second are judged for every record.
const CONDITIONS: [&str; 33] = [
    "text == 'never'",
    "text in ['one', 'another'] && number > 5",
    "text startswith 'never'",
    "text endswith 'never'",
    "text contains 'never'",
    "text =~ '^never\\d+'",
    "text =~ '[0-9a-f]{4}never|\\w+ never'",
    "number > 5_000 && number < 5_010",
    "float >= 1.5e9",
    "flag == true",
    "nothing != null",
    "exists(missing) && count(5m) by text > 3",
    "!exists(text)",
    "(number ?? 0) > 5_000",
    "(missing ?? 'never') == text",
    "not text == 'a word of seven' || !(number < 6)",
    "number * 2 + 1 > 10_000 || number / 3 > 5_000 || number % 7 == 9 || -number > 0",
    "num(digits) > 5_000",
    "len(text) > 5_000",
    "number == float",
    "nested.number > 5_000",
    "`dotted.name` == 'never'",
    "line contains 'never never'",
    "missing > 5",
    "number in 5_000..6_000 || number in [1, 7..9]",
    "text in cidr('10.0.0.0/8')",
    "text iequals 'NEVER' || text iin ['never', 'NEVER EVER']",
    "text icontains 'NEVER'",
    "text istartswith 'NEVER' || text iendswith 'NEVER'",
    "any(missing[*] == 1)",
    "time(text) > time('2026-11-23T00:00:00Z')",
    "max(number, 2) > 5_000 || abs(float) < 1",
    "trim(text) == 'never'",
];

fn rules(conditions: &[&str]) -> Arc<RuleSet> {
    let rule = |when: &&str| serde_json::json!({"when": when, "then": "notify('team')"});
    let rules: Vec<_> = conditions.iter().map(rule).collect();
    Arc::new(RuleSet::from_json("r.json", &serde_json::json!(rules).to_string()).unwrap())
}

fn line() -> String {
    r#"{"other": [1, 2], "text": "a word of seven", "number": 5, "float": 5.25, "flag": false, "nothing": null, "digits": "17", "nested": {"number": 5}, "dotted.name": "x", "last": 0}"#
        .to_owned()
}

fn value() -> serde_json::Value {
    serde_json::from_str(&line()).unwrap()
}

fn flat() -> BTreeMap<String, String> {
    let names = ["text", "number", "digits", "nested.number", "dotted.name", "other"];
    names.map(|name| (name.to_owned(), "a word of seven".to_owned())).into()
}

/// How often memory is asked for while a batch of so many records is judged, once memory is warm.
fn calls<R: Record>(rules: &Arc<RuleSet>, record: &R, batch: usize, scan: bool) -> u64 {
    let mut scratch = Scratch::new();
    let mut last = 0;
    for _ in 0..=WARM_UP {
        let events = (0..batch).map(|_| Event::new(record, UNIX_EPOCH));
        let before = counting::calls();
        let hits = match scan {
            true => rules.matches_by_scan(events, &mut scratch),
            false => rules.matches(events, &mut scratch),
        };
        last = counting::calls() - before;
        assert_eq!(hits.events(), batch as u64);
        assert!(hits.is_empty(), "{:?}", hits.rule_names().collect::<Vec<_>>());
    }
    last
}

/// How often memory is asked for by each record, beside what the batch asks for.
#[track_caller]
fn per_record<R: Record>(rules: &Arc<RuleSet>, record: &R) -> u64 {
    let of = |batch| calls(rules, record, batch, false);
    let (few, many) = (of(BATCH), of(2 * BATCH));
    assert_eq!((many - few) % BATCH as u64, 0, "not the same for each: {few} and {many}");
    let each = (many - few) / BATCH as u64;
    assert!(few - each * BATCH as u64 <= PER_BATCH, "a batch asks {few} times");
    each
}

/// The rules of `conditions`, and one about a field that no record has: of a line of JSON, what follows
/// the last field that any rule wants is not read, which costs an allocation.
fn reading_all(conditions: &[&str]) -> Arc<RuleSet> {
    rules(&[conditions, &["missing > 5"]].concat())
}

#[test]
fn a_record_that_matches_nothing_costs_no_allocation() {
    let text = line();
    // Found by the index, judged one after the other, and so few that there is no index.
    for conditions in [&CONDITIONS[..], &CONDITIONS[..12], &CONDITIONS[12..], &CONDITIONS[..6]] {
        let rules = reading_all(conditions);
        assert_eq!(per_record(&rules, &value()), 0, "a JSON value");
        assert_eq!(per_record(&rules, &flat()), 0, "a flat record");
        assert_eq!(per_record(&rules, &JsonLine::new(&text)), 0, "a line of JSON");
        // The list of all rules is one more for a batch.
        let scanned = |batch| calls(&rules, &value(), batch, true);
        assert_eq!(scanned(BATCH), scanned(2 * BATCH));
    }
    // Each by itself among others that are the same.
    for condition in CONDITIONS {
        let rules = reading_all(&[condition; 10]);
        assert_eq!(per_record(&rules, &value()), 0, "{condition} of a JSON value");
        assert_eq!(per_record(&rules, &flat()), 0, "{condition} of a flat record");
        assert_eq!(per_record(&rules, &JsonLine::new(&text)), 0, "{condition} of a line");
    }
}

/// The exceptions, with how often each asks for memory for a record.
#[test]
fn what_costs_an_allocation() {
    let of_value = |condition: &str, text: &str| {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        per_record(&rules(&[condition; 10]), &value)
    };
    let of_line =
        |text: &str| per_record(&reading_all(&["text == 'never'"; 10]), &JsonLine::new(text));
    // A list is handed out as one, once a record, however many rules ask for it.
    assert_eq!(of_value("'c' in text", r#"{"text": ["a", "b"]}"#), 1);
    assert_eq!(of_line(r#"{"text": ["a", "b"]}"#), 1);
    // A term that makes a text does so once a record, however many rules have it; so does one that takes
    // a list along to somewhere else than the right side of `in`.
    assert_eq!(of_value("lower(text) == 'x'", r#"{"text": "A"}"#), 1);
    assert_eq!(of_value("[1, 2] contains text", r#"{"text": "A"}"#), 1);
    // Of a line of JSON: what has escapes is unescaped,
    assert_eq!(of_line(r#"{"text": "a\nb"}"#), 2);
    assert_eq!(of_line(r#"{"te\u0078t": "a"}"#), 2);
    assert_eq!(of_line(r#"{"other": "a\nb"}"#), 0);
    // what is skipped is free unless it nests,
    assert_eq!(of_line(r#"{"other": {"a": 1}}"#), 0);
    assert_eq!(of_line(r#"{"other": {"a": {"b": 1}}}"#), 1);
    // and to stop before the end, because all was found or because it breaks off, is free.
    let last = JsonLine::new(r#"{"text": "a", "other": 1}"#);
    assert_eq!(per_record(&rules(&["text == 'never'"; 10]), &last), 0);
    assert_eq!(of_line("a text"), 0);
    assert_eq!(of_line(r#"{"other": 1"#), 0);
    // A text that has the shape of a time and is none is an error to the parser of times.
    let odd = per_record(
        &rules(&["time(text) > time('2026-11-23T00:00:00Z')"; 10]),
        &JsonLine::new(r#"{"text": "2026-99-23T08:00:00Z"}"#),
    );
    assert!(odd > 0);
}
