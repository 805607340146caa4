//! `rules_100` to `rules_100000`: what a record costs, the more rules there are. Half of the rules compare
//! with a threshold, half with a text; a tenth of the thresholds are bands of one field that every record
//! has, and in which its value falls anywhere; one rule in a thousand fires for a record.

use std::hint::black_box;
use std::sync::Arc;
use std::time::SystemTime;

use birl_benches::figure::{Figure, Target, median, percentile};
use birl_benches::stopwatch::{nanoseconds, seconds};
use birl_rules_dsl::{Event, RuleSet, Scratch, SourceText};
use serde_json::{Map, Value, json};

use crate::ROUNDS;

/// Fields with numbers, and of how many a record has one.
const METRICS: (u64, u64) = (200, 12);
/// Fields with texts, and of how many a record has one.
const LABELS: (u64, u64) = (50, 8);
/// Texts that a field may hold.
const TEXTS: u64 = 160;
/// Numbers up to here are thresholds.
const MOST: u64 = 1_000;
/// Numbers up to here come, so that few thresholds are passed.
const USUAL: u64 = 30;
/// What the field that every record has goes up to, and how wide a band of it is.
const HOT: (u64, u64) = (10_000, 20);

const RECORDS: usize = 512;
const FEW: usize = 100;
const MOST_RULES: usize = 100_000;

/// Numbers that look like chance and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn source(rules: usize) -> SourceText {
    let mut dice = Dice(7);
    let conditions = (0..rules).map(|rule| match rule % 20 {
        0 => {
            let from = dice.below(HOT.0);
            format!("latency > {from} && latency <= {}", from + HOT.1)
        }
        1..10 => {
            format!("m{} > {}", dice.below(METRICS.0), dice.below(MOST * 1_000) as f64 / 1_000.0)
        }
        _ => format!("e{} == 'v{}'", dice.below(LABELS.0), dice.below(TEXTS)),
    });
    let rules: Vec<Value> = conditions
        .enumerate()
        .map(|(rule, when)| json!({"name": format!("r{rule}"), "when": when, "then": "notify()"}))
        .collect();
    SourceText::json("rules.json", json!({ "rules": rules }).to_string())
}

fn records() -> Vec<Value> {
    let mut dice = Dice(11);
    (0..RECORDS)
        .map(|_| {
            let mut record = Map::new();
            record.insert("latency".to_owned(), json!(dice.below(HOT.0)));
            for _ in 0..METRICS.1 {
                let value = dice.below(USUAL * 1_000) as f64 / 1_000.0;
                record.insert(format!("m{}", dice.below(METRICS.0)), json!(value));
            }
            for _ in 0..LABELS.1 {
                let text = format!("v{}", dice.below(TEXTS));
                record.insert(format!("e{}", dice.below(LABELS.0)), json!(text));
            }
            record.insert("message".to_owned(), json!("no rule asks for this"));
            Value::Object(record)
        })
        .collect()
}

struct Subject {
    rules: Arc<RuleSet>,
    records: Vec<Value>,
    scratch: Scratch,
}

impl Subject {
    fn new(rules: usize) -> anyhow::Result<Self> {
        let rules = Arc::new(RuleSet::compile(&[source(rules)])?);
        Ok(Self { rules, records: records(), scratch: Scratch::new() })
    }

    /// Nanoseconds for a record, in batches.
    fn cost(&mut self) -> f64 {
        let Self { rules, records, scratch } = self;
        let time = SystemTime::now();
        let events = records.iter().map(|record| Event::new(black_box(record), time));
        nanoseconds(|| rules.matches(events.clone(), scratch)) / RECORDS as f64
    }

    /// Nanoseconds for a record by asking every rule.
    fn cost_of_scan(&mut self) -> f64 {
        let Self { rules, records, scratch } = self;
        let time = SystemTime::now();
        let events = records.iter().take(8).map(|record| Event::new(black_box(record), time));
        nanoseconds(|| rules.matches_by_scan(events.clone(), scratch)) / 8.0
    }

    /// Nanoseconds for each record by itself, the best of several times.
    fn costs(&mut self) -> Vec<f64> {
        let Self { rules, records, scratch } = self;
        let time = SystemTime::now();
        let once = |record| {
            let best = (0..20).map(|_| {
                let event = [Event::new(black_box(record), time)];
                seconds(|| black_box(rules.matches(event, scratch))).0
            });
            best.fold(f64::INFINITY, f64::min) * 1e9
        };
        records.iter().map(once).collect()
    }
}

/// Beside a hundred of them.
pub(crate) fn measure<const RULES: usize>(name: &'static str) -> anyhow::Result<Vec<Figure>> {
    let (mut few, mut many) = (Subject::new(FEW)?, Subject::new(RULES)?);
    let rounds: Vec<_> = (0..ROUNDS).map(|_| (many.cost(), few.cost())).collect();
    Ok(vec![Figure::of_rounds(name, "ns", "100 rules", Target::RatioAtMost(20.0), &rounds)])
}

/// And beside asking every one of them, and a record beside the others.
pub(crate) fn measure_most() -> anyhow::Result<Vec<Figure>> {
    let (mut few, mut many) = (Subject::new(FEW)?, Subject::new(MOST_RULES)?);
    let rounds: Vec<_> = (0..ROUNDS).map(|_| (many.cost(), few.cost())).collect();
    let scans: Vec<_> = (0..ROUNDS).map(|_| (many.cost(), many.cost_of_scan())).collect();
    let tails: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let costs = many.costs();
            (percentile(costs.iter().copied(), 0.99), median(costs.into_iter()))
        })
        .collect();
    let name = "rules_100000";
    Ok(vec![
        Figure::of_rounds(name, "ns", "100 rules", Target::RatioAtMost(20.0), &rounds),
        Figure::of_rounds(
            "rules_100000_scan",
            "ns",
            "asking every rule",
            Target::RatioAtMost(1.0 / 200.0),
            &scans,
        ),
        Figure::of_rounds(
            "rules_100000_p99",
            "ns",
            "the median record",
            Target::RatioAtMost(3.0),
            &tails,
        ),
    ])
}

/// From text to an index, for each rule, beside a tenth of the rules.
pub(crate) fn compile() -> anyhow::Result<Vec<Figure>> {
    let (few, many) = (source(MOST_RULES / 10), source(MOST_RULES));
    let cost = |source: &SourceText, rules: usize| {
        let (took, compiled) = seconds(|| RuleSet::compile(std::slice::from_ref(source)));
        compiled.map(|_| took * 1e6 / rules as f64)
    };
    let rounds: Result<Vec<_>, _> =
        (0..ROUNDS).map(|_| Ok((cost(&many, MOST_RULES)?, cost(&few, MOST_RULES / 10)?))).collect();
    let rounds = rounds.map_err(|bad: birl_rules_dsl::Diagnostics| anyhow::anyhow!("{bad}"))?;
    Ok(vec![Figure::of_rounds(
        "rules_compile",
        "us",
        "a tenth of the rules",
        Target::ValueBelow(20.0),
        &rounds,
    )])
}
