//! Properties, each against a naive twin.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use birl_rules_dsl::{Engine, EngineConfig, Event, RuleSet, Scratch, SourceText, Status, Truth};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A condition as a naive tree: it prints itself, and judges by plain recursion.
#[derive(Debug, Clone)]
enum Expr {
    Compare(Operand, &'static str, Operand),
    In(Operand, Vec<Value>, bool),
    Contains(Operand, &'static str),
    Exists(&'static str),
    Bare(&'static str),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

#[derive(Debug, Clone)]
enum Operand {
    Field(&'static str),
    Literal(Value),
    Or(&'static str, Value),
    Sum(&'static str, i64),
}

const FIELDS: [&str; 4] = ["a", "b", "c.d", "e"];

fn literal() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-2..3_i64).prop_map(|n| json!(n)),
        prop_oneof![Just(0.5), Just(1.0), Just(-2.0), Just(9_007_199_254_740_992.0)]
            .prop_map(|n: f64| json!(n)),
        Just(json!(9_007_199_254_740_993_i64)),
        prop_oneof![Just("x"), Just("xy"), Just("")].prop_map(|t| json!(t)),
    ]
}

fn field() -> impl Strategy<Value = &'static str> {
    prop::sample::select(FIELDS.to_vec())
}

fn operand() -> impl Strategy<Value = Operand> {
    prop_oneof![
        4 => field().prop_map(Operand::Field),
        1 => (field(), literal()).prop_map(|(f, l)| Operand::Or(f, l)),
        1 => (field(), -2..3_i64).prop_map(|(f, n)| Operand::Sum(f, n)),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    let operator = || prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        4 => (operand(), operator(), literal())
            .prop_map(|(a, op, b)| Expr::Compare(a, op, Operand::Literal(b))),
        1 => (literal(), operator(), operand())
            .prop_map(|(a, op, b)| Expr::Compare(Operand::Literal(a), op, b)),
        1 => (operand(), operator(), operand()).prop_map(|(a, op, b)| Expr::Compare(a, op, b)),
        1 => (operand(), prop::collection::vec(literal(), 1..4), any::<bool>())
            .prop_map(|(a, list, negated)| Expr::In(a, list, negated)),
        1 => (field(), prop::sample::select(vec!["x", "y"]))
            .prop_map(|(f, text)| Expr::Contains(Operand::Field(f), text)),
        1 => field().prop_map(Expr::Exists),
        1 => field().prop_map(Expr::Bare),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|e| Expr::Not(Box::new(e))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::All),
            prop::collection::vec(inner, 2..4).prop_map(Expr::Any),
        ]
    })
}

fn record() -> impl Strategy<Value = Value> {
    let value = || {
        prop_oneof![
            4 => literal().prop_map(Some),
            1 => any::<bool>().prop_map(|b| Some(json!(b))),
            1 => Just(Some(Value::Null)),
            1 => Just(Some(json!(["x", 1]))),
            2 => Just(None),
        ]
    };
    (value(), value(), value(), value()).prop_map(|(a, b, cd, e)| {
        let mut map = serde_json::Map::new();
        for (name, value) in [("a", a), ("b", b), ("e", e)] {
            if let Some(value) = value {
                map.insert(name.to_owned(), value);
            }
        }
        if let Some(value) = cd {
            map.insert("c".to_owned(), json!({ "d": value }));
        }
        Value::Object(map)
    })
}

impl Operand {
    fn text(&self) -> String {
        match self {
            Self::Field(name) => (*name).to_owned(),
            Self::Literal(value) => value.to_string(),
            Self::Or(name, value) => format!("({name} ?? {value})"),
            Self::Sum(name, n) => format!("({name} + {n})"),
        }
    }

    fn value(&self, record: &Value) -> Option<Value> {
        let get = |name: &str| name.split('.').try_fold(record, |node, key| node.get(key)).cloned();
        match self {
            Self::Field(name) => get(name),
            Self::Literal(value) => Some(value.clone()),
            Self::Or(name, value) => get(name).filter(|v| !v.is_null()).or(Some(value.clone())),
            Self::Sum(name, n) => match get(name)? {
                Value::Number(x) if x.is_i64() => Some(json!(x.as_i64().unwrap() + n)),
                Value::Number(x) => Some(json!(x.as_f64().unwrap() + *n as f64)),
                _ => None,
            },
        }
    }
}

impl Expr {
    fn text(&self) -> String {
        let join = |terms: &[Self], by: &str| {
            let terms: Vec<String> = terms.iter().map(Self::text).collect();
            format!("({})", terms.join(by))
        };
        match self {
            Self::Compare(a, op, b) => format!("{} {op} {}", a.text(), b.text()),
            Self::In(a, list, negated) => {
                let word = if *negated { "not in" } else { "in" };
                format!("{} {word} {}", a.text(), json!(list))
            }
            Self::Contains(a, text) => format!("{} contains '{text}'", a.text()),
            Self::Exists(name) => format!("exists({name})"),
            Self::Bare(name) => (*name).to_owned(),
            Self::Not(inner) => format!("!({})", inner.text()),
            Self::All(terms) => join(terms, " && "),
            Self::Any(terms) => join(terms, " || "),
        }
    }

    /// `None` is unknown.
    fn judge(&self, record: &Value) -> Option<bool> {
        match self {
            Self::Compare(a, op, b) => compare(op, &a.value(record)?, &b.value(record)?),
            Self::In(a, list, negated) => {
                let value = a.value(record)?;
                let found = list.iter().any(|item| compare("==", &value, item) == Some(true));
                Some(found != *negated)
            }
            Self::Contains(a, text) => match a.value(record)? {
                Value::String(value) => Some(value.contains(text)),
                Value::Array(items) => Some(items.iter().any(|item| item == text)),
                _ => None,
            },
            Self::Exists(name) => Some(Operand::Field(name).value(record).is_some()),
            Self::Bare(name) => Operand::Field(name).value(record)?.as_bool(),
            Self::Not(inner) => inner.judge(record).map(|truth| !truth),
            Self::All(terms) => {
                let truths: Vec<_> = terms.iter().map(|term| term.judge(record)).collect();
                if truths.contains(&Some(false)) {
                    Some(false)
                } else if truths.contains(&None) {
                    None
                } else {
                    Some(true)
                }
            }
            Self::Any(terms) => {
                let truths: Vec<_> = terms.iter().map(|term| term.judge(record)).collect();
                if truths.contains(&Some(true)) {
                    Some(true)
                } else if truths.contains(&None) {
                    None
                } else {
                    Some(false)
                }
            }
        }
    }
}

/// Exact comparison the slow way: every number here is a multiple of one half, so twice its value is
/// a whole number.
fn compare(op: &str, a: &Value, b: &Value) -> Option<bool> {
    let twice = |v: &Value| -> Option<i128> {
        match v {
            Value::Number(n) if n.is_i64() => Some(2 * i128::from(n.as_i64()?)),
            Value::Number(n) => Some((n.as_f64()? * 2.0) as i128),
            _ => None,
        }
    };
    let ordering = match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => match (twice(a), twice(b)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => None,
        },
    };
    match (op, ordering) {
        ("==", Some(ordering)) => Some(ordering.is_eq()),
        ("!=", Some(ordering)) => Some(ordering.is_ne()),
        ("==", None) => Some(a == b),
        ("!=", None) => Some(a != b),
        (_, None) => None,
        ("<", Some(ordering)) => Some(ordering.is_lt()),
        ("<=", Some(ordering)) => Some(ordering.is_le()),
        (">", Some(ordering)) => Some(ordering.is_gt()),
        (_, Some(ordering)) => Some(ordering.is_ge()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn program_explanation_and_naive_tree_agree(
        expr in expr(),
        records in prop::collection::vec(record(), 1..6),
    ) {
        let rule = json!({"name": "r", "when": expr.text(), "then": "notify()"});
        // The checker refuses some of what is generated; that is not this test's business.
        let Ok(rules) = RuleSet::compile(&[SourceText::json("r.json", rule.to_string())]) else {
            return Ok(());
        };
        let rules = Arc::new(rules);
        let mut scratch = Scratch::new();
        let events = records.iter().map(|record| Event::new(record, UNIX_EPOCH));
        let batch = rules.matches(events, &mut scratch).len();
        let mut expected = 0;
        for record in &records {
            let naive = match expr.judge(record) {
                Some(true) => Truth::True,
                Some(false) => Truth::False,
                None => Truth::Unknown,
            };
            let explained = rules.explain("r", record).unwrap();
            prop_assert_eq!(explained.verdict, naive, "{} on {}", expr.text(), record);
            let hit = !rules.matches([Event::new(record, UNIX_EPOCH)], &mut scratch).is_empty();
            prop_assert_eq!(hit, naive == Truth::True, "{} on {}", expr.text(), record);
            expected += usize::from(hit);
        }
        prop_assert_eq!(batch, expected);
    }
}

/// One step of a trace: the clock moves on, and maybe a record comes that says it is some time old.
#[derive(Debug, Clone)]
struct Step {
    wait: u64,
    record: Option<(u8, i64)>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = (0..3_u8, prop_oneof![3 => Just(0_i64), 2 => 0..30_i64, 1 => -5..0_i64]);
    let step = (0..8_u64, prop::option::weighted(0.8, record));
    prop::collection::vec(step.prop_map(|(wait, record)| Step { wait, record }), 1..80)
}

/// The window the slow way: all records of a group for ever, counted anew each time.
#[derive(Default)]
struct NaiveGroup {
    accepted: Vec<u64>,
    newest: u64,
    newest_at: u64,
    open: bool,
    /// When the count falls below what is needed, as far as is known.
    falls: u64,
}

const START: u64 = 1_700_000_000;
const WINDOW: u64 = 10;

impl NaiveGroup {
    fn count(&self, at: u64) -> usize {
        self.accepted.iter().filter(|t| **t <= at && **t + WINDOW > at).count()
    }

    /// The first second from `from` on in which fewer than `needs` are left.
    fn end(&self, from: u64, needs: usize) -> u64 {
        (from..).find(|at| self.count(*at) < needs).unwrap()
    }

    fn close_before(&mut self, at: u64, keep: u64, out: &mut Vec<String>, key: u8) {
        let end = self.falls + keep;
        if self.open && end < at {
            self.open = false;
            out.push(format!("-{key}@{}", end - START));
        }
    }
}

/// Within one call, what ends comes last and in no order that matters here.
fn ends_sorted(mut told: Vec<String>) -> Vec<String> {
    let ends = told.iter().rev().take_while(|text| text.starts_with('-')).count();
    let from = told.len() - ends;
    told[from..].sort();
    told
}

fn naive(steps: &[Step], needs: usize, lateness: u64, keep: u64) -> Vec<String> {
    let mut all = Vec::new();
    let mut groups: BTreeMap<u8, NaiveGroup> = BTreeMap::new();
    let mut now = START;
    for step in steps {
        now += step.wait;
        let mut out = Vec::new();
        if let Some((key, age)) = step.record {
            let at = u64::try_from(now as i64 - age).unwrap().min(now);
            let group = groups.entry(key).or_default();
            group.close_before(at, keep, &mut out, key);
            if group.newest < at + WINDOW && group.newest <= at + lateness {
                group.accepted.push(at);
                if at >= group.newest {
                    (group.newest, group.newest_at) = (at, now);
                }
                if group.count(group.newest) >= needs {
                    out.push(format!("{}{key}@{}", if group.open { '=' } else { '+' }, at - START));
                    group.open = true;
                    group.falls = group.end(group.newest, needs);
                }
            }
        }
        for (key, group) in &mut groups {
            if group.open {
                let end = group.falls + keep;
                if group.newest_at + end.saturating_sub(group.newest) <= now {
                    group.open = false;
                    out.push(format!("-{key}@{}", end - START));
                }
            }
        }
        all.extend(ends_sorted(out));
    }
    all
}

fn real(steps: &[Step], needs: usize, lateness: u64, keep: u64) -> Vec<String> {
    let when = format!("count({WINDOW}s) by k >= {needs}");
    let text = format!("{{name: r, when: {when}, keep_firing_for: {keep}s, then: notify()}}");
    let rules = Arc::new(RuleSet::from_yaml("r.yaml", &text).unwrap());
    let mut config = EngineConfig::default();
    config.max_event_age = None;
    config.allowed_lateness = Duration::from_secs(lateness);
    let mut engine = Engine::new(Arc::clone(&rules), config);
    let time = |seconds: u64| -> SystemTime { UNIX_EPOCH + Duration::from_secs(seconds) };
    let mut out = Vec::new();
    let mut now = START;
    for step in steps {
        now += step.wait;
        let firings = match step.record {
            None => engine.tick(time(now)),
            Some((key, age)) => {
                let record = json!({ "k": key });
                let at = time(u64::try_from(now as i64 - age).unwrap());
                let hits = rules.matches([Event::new(&record, at)], &mut Scratch::new());
                engine.advance(hits, time(now))
            }
        };
        let told = firings.iter().map(|firing| {
            let sign = match (firing.status, firing.repeat) {
                (Status::Resolved, _) => '-',
                (_, true) => '=',
                (_, false) => '+',
            };
            let at = firing.event_time.duration_since(time(START));
            let at = at.map_or_else(|e| -(e.duration().as_secs() as i64), |d| d.as_secs() as i64);
            format!("{sign}{}@{at}", firing.group["k"])
        });
        out.extend(ends_sorted(told.collect()));
        if let Some(deadline) = engine.next_deadline() {
            assert!(deadline > time(now), "what is due has been done");
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn windows_agree_with_counting_anew(
        steps in steps(),
        needs in 1..5_usize,
        lateness in prop::sample::select(vec![0_u64, 7, 20]),
        keep in prop::sample::select(vec![0_u64, 0, 5, 30]),
    ) {
        // Event times before the start would need signs in the twin.
        let steps: Vec<Step> = std::iter::once(Step { wait: 100, record: None }).chain(steps).collect();
        prop_assert_eq!(real(&steps, needs, lateness, keep), naive(&steps, needs, lateness, keep));
    }
}
