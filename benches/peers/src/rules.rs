//! Rules beside the crates that judge rules: one rule beside `cel`, and a thousand beside `rsigma-eval`.
//!
//! `cel` is used as sparingly as it allows: one context with all functions, a scope for each line, and in it
//! no more than the three fields that the condition names. The rules of `rsigma-eval` are of six kinds
//! (equal, contains, wildcard, pattern, begins with, network), with case counting as it does here.

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use anyhow::Context as _;
use birl_benches::figure::{Figure, ROUNDS, Target};
use birl_benches::stopwatch::nanoseconds;
use birl_rules_dsl::{Event, JsonLine, RuleSet, Scratch, SourceText};
use rsigma_eval::event::JsonEvent;
use serde_json::{Value, json};

const EXAMPLE: &str = r#"
when: "cpu_usage > 90"
where: "cluster == 'prod' && node_type == 'backend'"
then: "send_pagerduty('HIGH_CPU')"
"#;
/// The same to `cel`, in which a float is not compared with an integer.
const CEL: &str = "cluster == 'prod' && node_type == 'backend' && cpu_usage > 90.0";
const LINE: &str = r#"{"cpu_usage":42.5,"cluster":"prod","node_type":"backend","host":"web-17","region":"eu-1","zone":"b","level":"info","message":"still alive"}"#;

/// Rules of each of six kinds.
const OF_EACH: usize = 250;
const RECORDS: usize = 256;

/// The example of the mission, from the bytes of a line to a verdict.
pub(crate) fn cel() -> anyhow::Result<Figure> {
    let rules = Arc::new(RuleSet::from_yaml("rule.yaml", EXAMPLE)?);
    let mut scratch = Scratch::new();
    let program = cel::Program::compile(CEL)?;
    let root = cel::Context::default();
    let by_cel = |line: &str| {
        let record: Value = serde_json::from_str(line)?;
        let mut scope = root.new_inner_scope();
        let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        scope.add_variable_from_value("cluster", text("cluster"));
        scope.add_variable_from_value("node_type", text("node_type"));
        let usage = record.get("cpu_usage").and_then(Value::as_f64).unwrap_or_default();
        scope.add_variable_from_value("cpu_usage", usage);
        anyhow::Ok(program.execute(&scope)? == cel::Value::Bool(true))
    };
    anyhow::ensure!(
        by_cel(&LINE.replace("42.5", "97.5"))? && !by_cel(LINE)?,
        "cel judges otherwise"
    );
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let record = JsonLine::new(LINE);
        let batch = [(); 128].map(|()| Event::new(black_box(&record), UNIX_EPOCH));
        let ours = nanoseconds(|| rules.matches(batch, &mut scratch)) / 128.0;
        let theirs = nanoseconds(|| by_cel(black_box(LINE)).ok());
        rounds.push((ours, theirs));
    }
    let target = Target::RatioAtMost(0.1);
    Ok(Figure::of_rounds("rule_eval_cel", "ns", "cel 0.15, from the same bytes", target, &rounds))
}

/// What a rule of each kind looks for.
struct Kind {
    field: &'static str,
    /// In Sigma, where case counts only if it is said.
    modifier: &'static str,
    sigma: fn(usize) -> String,
    condition: fn(usize) -> String,
}

const KINDS: [Kind; 6] = [
    Kind {
        field: "Image",
        modifier: "|cased",
        sigma: |n| format!("/usr/bin/tool{n}"),
        condition: |n| format!("Image == '/usr/bin/tool{n}'"),
    },
    Kind {
        field: "CommandLine",
        modifier: "|cased|contains",
        sigma: |n| format!("--job{n}--"),
        condition: |n| format!("CommandLine contains '--job{n}--'"),
    },
    Kind {
        field: "ParentImage",
        modifier: "|cased",
        sigma: |n| format!("/opt/app{n}/*/run"),
        condition: |n| format!(r"ParentImage =~ '(?s)^/opt/app{n}/.*/run$'"),
    },
    Kind {
        field: "CommandLine",
        modifier: "|re",
        sigma: |n| format!(r"user{n}:\d+"),
        condition: |n| format!(r"CommandLine =~ 'user{n}:\d+'"),
    },
    Kind {
        field: "User",
        modifier: "|cased|startswith",
        sigma: |n| format!("svc-{n}-"),
        condition: |n| format!("User startswith 'svc-{n}-'"),
    },
    Kind {
        field: "SourceIp",
        modifier: "|cidr",
        sigma: |n| format!("10.7.{n}.0/24"),
        condition: |n| format!("SourceIp in cidr('10.7.{n}.0/24')"),
    },
];

fn records() -> Vec<Value> {
    (0..RECORDS)
        .map(|n| {
            // Few of these are looked for: one record in ten matches a rule of each kind.
            let of = |step: usize| if n % 10 == step { n } else { n + 100_000 };
            json!({
                "Image": format!("/usr/bin/tool{}", of(0)),
                "CommandLine": format!("tool --verbose --job{}-- user{}:42 and much more of it", of(1), of(2)),
                "ParentImage": format!("/opt/app{}/bin/run", of(3)),
                "User": format!("svc-{}-x", of(4)),
                "SourceIp": if n % 10 == 5 { format!("10.7.{n}.9") } else { format!("10.8.{n}.9") },
                "Hashes": "SHA256=4bf92f3577b34da6a3ce929d0e0e4736", "ProcessId": n, "EventID": 1,
            })
        })
        .collect()
}

/// 1,500 rules of the same meaning in both languages.
pub(crate) fn sigma() -> anyhow::Result<Figure> {
    let (mut yaml, mut rules) = (String::new(), Vec::new());
    for (kind_number, kind) in KINDS.iter().enumerate() {
        for n in 0..OF_EACH {
            let (field, modifier, sigma) = (kind.field, kind.modifier, (kind.sigma)(n));
            write!(
                yaml,
                "---\ntitle: k{kind_number}-{n}\nlogsource:\n  product: linux\ndetection:\n  selection:\n    \
                 {field}{modifier}: '{sigma}'\n  condition: selection\nlevel: medium\n"
            )?;
            let name = format!("k{kind_number}-{n}");
            rules.push(json!({"name": name, "when": (kind.condition)(n), "then": "notify()"}));
        }
    }
    let text = json!({ "rules": rules }).to_string();
    let ours = Arc::new(RuleSet::compile(&[SourceText::json("rules.json", text)])?);
    let mut theirs = rsigma_eval::Engine::new();
    let collection =
        rsigma_parser::parse_sigma_yaml(&yaml).map_err(|bad| anyhow::anyhow!("{bad}"))?;
    theirs.add_collection(&collection).map_err(|bad| anyhow::anyhow!("{bad}"))?;
    let (records, mut scratch) = (records(), Scratch::new());
    let mut all = 0;
    for record in &records {
        let hits = ours.matches([Event::new(record, UNIX_EPOCH)], &mut scratch);
        let mut found: Vec<&str> = hits.rule_names().collect();
        let matches = theirs.evaluate(&JsonEvent::borrow(record));
        let mut expected: Vec<&str> =
            matches.iter().map(|found| found.header.rule_title.as_str()).collect();
        found.sort_unstable();
        expected.sort_unstable();
        anyhow::ensure!(found == expected, "on {record}: {found:?}, and they say {expected:?}");
        all += found.len();
    }
    anyhow::ensure!(all > 0, "nothing matches");
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let events = records.iter().map(|record| Event::new(black_box(record), UNIX_EPOCH));
        let ours = nanoseconds(|| ours.matches(events.clone(), &mut scratch)) / RECORDS as f64;
        let theirs = nanoseconds(|| {
            for record in &records {
                black_box(theirs.evaluate(&JsonEvent::borrow(black_box(record))));
            }
        });
        rounds.push((1e9 / ours, 1e9 * RECORDS as f64 / theirs));
    }
    rounds.first().context("there are rounds")?;
    let (reference, target) = ("rsigma-eval 0.23, the same rules", Target::RatioAtLeast(1.5));
    Ok(Figure::of_rounds("rules_sigma", "ev/s", reference, target, &rounds))
}
