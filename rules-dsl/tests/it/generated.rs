//! Rules and records by chance, few names and few values of them, so that they meet.

use birl_rules_dsl::{RuleSet, SourceText};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const FIELDS: [&str; 6] = ["a", "b", "c.d", "e", "tags", "line"];
const WORDS: [&str; 12] = [
    "x",
    "xy",
    "",
    "timeout",
    "connection reset",
    "time",
    "X",
    "\u{e9}t\u{e9}",
    "\u{c9}T\u{c9}",
    "Timeout",
    "10.1.2.3",
    "::ffff:10.1.2.3",
];
const NETS: [&str; 6] =
    ["10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "::ffff:10.1.0.0/112", "fd00::/8", "10.1.2.0/31"];
const TIMES: [&str; 4] =
    ["2026-11-23T08:00:00Z", "2026-11-23T08:00:00.5+01:00", "2026-11-29T23:00:00Z", "timeout"];

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just("a".to_owned()),
        9 => prop::sample::select(FIELDS.to_vec()).prop_map(str::to_owned),
        // Many fields that few records have.
        3 => (0..60).prop_map(|n| format!("f{n}")),
        1 => (0..4).prop_map(|n| format!("g.h{n}")),
    ]
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (-3..4_i64).prop_map(|n| json!(n)),
        3 => (-6..7_i32).prop_map(|n| json!(f64::from(n) / 2.0)),
        1 => Just(json!(9_007_199_254_740_992.0)),
        1 => Just(json!(9_007_199_254_740_993_i64)),
        1 => Just(json!(u64::MAX)),
    ]
}

fn word() -> impl Strategy<Value = Value> {
    prop::sample::select(WORDS.to_vec()).prop_map(|word| json!(word))
}

fn constant() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => number(),
        3 => word(),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(|value| json!(value)),
    ]
}

pub(crate) fn leaf() -> impl Strategy<Value = String> {
    let comparison = || prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let patterns = vec!["^time", "time|reset", "out$", "x*", "(?i)TIMEOUT", "connection .*et", "."];
    prop_oneof![
        6 => (field(), comparison(), constant()).prop_map(|(f, op, c)| format!("{f} {op} {c}")),
        2 => (constant(), comparison(), field()).prop_map(|(c, op, f)| format!("{c} {op} {f}")),
        3 => (field(), number(), number())
            .prop_map(|(f, low, high)| format!("{f} >= {low} && {f} < {high}")),
        1 => (field(), comparison(), field()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        2 => (field(), prop::collection::vec(constant(), 1..4), any::<bool>())
            .prop_map(|(f, list, not)| {
                format!("{f} {}in {}", if not { "not " } else { "" }, json!(list))
            }),
        1 => (constant(), field(), any::<bool>())
            .prop_map(|(c, f, not)| format!("{c} {}in {f}", if not { "not " } else { "" })),
        6 => (field(), prop::sample::select(vec!["contains", "startswith", "endswith"]), word())
            .prop_map(|(f, op, word)| format!("{f} {op} {word}")),
        1 => (field(), number()).prop_map(|(f, n)| format!("{f} contains {n}")),
        2 => (field(), prop::sample::select(patterns), any::<bool>())
            .prop_map(|(f, p, not)| format!("{f} {} '{p}'", if not { "!~" } else { "=~" })),
        1 => field().prop_map(|f| format!("exists({f})")),
        1 => field(),
        1 => (field(), number()).prop_map(|(f, n)| format!("({f} ?? {n}) > 0")),
        1 => field().prop_map(|f| format!("({f} ?? true)")),
        1 => (field(), number()).prop_map(|(f, n)| format!("{f} + 1 > {n}")),
        1 => (field(), number()).prop_map(|(f, n)| format!("len({f}) > {n}")),
        1 => any::<bool>().prop_map(|value| value.to_string()),
        9 => more(),
    ]
}

/// What is asked more seldom.
fn more() -> impl Strategy<Value = String> {
    let of = |all: &[&'static str]| prop::sample::select(all.to_vec());
    let not = || prop_oneof![Just(""), Just("not ")];
    let folding = || of(&["iequals", "icontains", "istartswith", "iendswith"]);
    let text = |word: Value| if let Value::String(_) = word { word } else { json!("x") };
    prop_oneof![
        8 => (field(), folding(), word()).prop_map(|(f, op, w)| format!("{f} {op} {w}")),
        4 => (field(), not(), prop::collection::vec(constant(), 1..12)).prop_map(
            |(f, not, list)| format!("{f} {not}iin {}", json!(list))
        ),
        4 => (field(), not(), number(), number()).prop_map(
            |(f, not, a, b)| format!("{f} {not}in {a}..{b}")
        ),
        2 => (field(), not(), number(), 0..9_i64, constant()).prop_map(
            |(f, not, a, b, c)| format!("{f} {not}in [{c}, -5..{a}, {b}, {b}..1e9]")
        ),
        4 => (field(), not(), prop::collection::vec(of(&NETS), 1..3), word()).prop_map(
            move |(f, not, nets, word)| {
                let nets = json!(nets).to_string();
                let nets = nets.trim_matches(['[', ']']);
                format!("{f} {not}in [cidr({nets}), {}]", text(word))
            }
        ),
        2 => (field(), of(&["any", "all"]), of(&["==", ">", "contains"]), constant()).prop_map(
            |(f, of, op, c)| format!("{of}({f}[*] {op} {c})")
        ),
        1 => (field(), of(&["any", "all"]), constant(), number()).prop_map(
            |(f, of, c, n)| format!("{of}({f}[*] in [{c}, 0..{n}] || {f}[*] icontains 'X' && a != 1)")
        ),
        2 => (field(), of(&TIMES), of(&["<", "==", ">="])).prop_map(
            |(f, time, op)| format!("time({f}) {op} time('{time}')")
        ),
        1 => (field(), of(&["hour", "weekday"]), 0..9).prop_map(
            |(f, part, n)| format!("{part}(time({f})) in {n}..9")
        ),
        1 => (field(), field()).prop_map(|(a, b)| format!("time({a}) - time({b}) <= 90m")),
        1 => (field(), field()).prop_map(|(a, b)| format!("max({a}, abs({b})) > min({b}, 2)")),
        1 => (field(), word()).prop_map(|(a, w)| format!("upper(trim({a})) == {w}")),
        1 => (field(), word()).prop_map(|(a, w)| format!("lower({a}) icontains {w}")),
    ]
}

pub(crate) fn condition() -> impl Strategy<Value = String> {
    leaf().prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|e| format!("!({e})")),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|all| format!("({})", all.join(") && ("))),
            prop::collection::vec(inner, 2..4).prop_map(|all| format!("({})", all.join(") || ("))),
        ]
    })
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => constant(),
        1 => prop::collection::vec(constant(), 0..4).prop_map(Value::Array),
        1 => Just(json!([[1], {"x": 1}, "x"])),
        1 => Just(json!({"d": "xy", "h1": 2})),
        2 => Just(json!("a timeout, then connection reset by x")),
        1 => Just(json!("A TIMEOUT, then \u{c9}t\u{e9} by X")),
        1 => prop::sample::select(TIMES.to_vec()).prop_map(|time| json!(time)),
    ]
}

pub(crate) fn record() -> impl Strategy<Value = Value> {
    let names = ["a", "b", "c", "c.d", "e", "tags", "line", "f1", "f2", "g", "g.h1", "zzz"];
    prop::collection::vec((prop::sample::select(names.to_vec()), value()), 0..9).prop_map(
        |fields| {
            let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
            let mut map: Map<String, Value> = fields.collect();
            if let Some(value) = map.remove("zzz") {
                map.insert("c".to_owned(), json!({"d": value}));
            }
            Value::Object(map)
        },
    )
}

/// The rules that a checker lets through, in their order; alone, no rule is found by an index.
pub(crate) fn compiled(conditions: &[String]) -> Vec<Value> {
    // Some fire for want of a field.
    let on_missing = |number| if number % 9 == 4 { "match" } else { "no_match" };
    let rule = |(number, when)| {
        json!({
            "name": format!("r{number}"), "when": when, "then": "notify()",
            "on_missing": on_missing(number),
        })
    };
    let is_fine =
        |rule: &Value| RuleSet::compile(&[SourceText::json("r.json", rule.to_string())]).is_ok();
    conditions.iter().enumerate().map(rule).filter(is_fine).collect()
}
