//! The hot path of each library, for comparing a change with its parent: `cargo bench -p birl-benches`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros make public items; a bench may stop"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use birl_logsource::Parser;
use birl_router::{Alert, Router};
use birl_rules_dsl::{Engine, EngineConfig, Event, RuleSet, Scratch};
use birl_scaler::{Decider, MetricSpec, Observation, Replicas, Sample, ScalerSpec, Signal};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;

fn parse(criterion: &mut Criterion) {
    let json = br#"{"ts":"2026-01-01T00:00:00.000000Z","level":"info","service":"shop","status":200,"latency_ms":41}"#;
    let logfmt = br#"ts=2026-01-01T00:00:00Z level=info service=shop status=200 latency_ms=41 msg="all is well""#;
    let mut group = criterion.benchmark_group("parse");
    for (name, parser, line) in
        [("json", Parser::json(), &json[..]), ("logfmt", Parser::logfmt(), &logfmt[..])]
    {
        group.throughput(Throughput::Bytes(line.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| parser.parse(black_box(line))));
    }
}

fn rules(criterion: &mut Criterion) {
    let mut text = String::from("rules:\n");
    for number in 0..100 {
        text.push_str(&format!("  - {{name: r{number}, where: service == 's{number}', when: latency_ms > {number}, then: notify('x')}}\n"));
    }
    let rules = Arc::new(RuleSet::from_yaml("bench.yaml", &text).unwrap());
    let record = json!({ "service": "s7", "latency_ms": 3, "level": "info" });
    let mut scratch = Scratch::new();
    criterion.bench_function("rules/100_no_hit", |bencher| {
        bencher.iter(|| rules.matches([Event::new(black_box(&record), UNIX_EPOCH)], &mut scratch));
    });
    let window = "rules:\n  - {name: w, when: 'latency_ms > 1 && count(10s) by service >= 1000000', then: notify('x')}\n";
    let rules = Arc::new(RuleSet::from_yaml("bench.yaml", window).unwrap());
    let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
    let mut now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    criterion.bench_function("rules/window", |bencher| {
        bencher.iter(|| {
            now += Duration::from_millis(1);
            let hits = rules.matches([Event::new(&record, now)], &mut scratch);
            engine.advance(hits, now)
        });
    });
}

fn route(criterion: &mut Criterion) {
    let config = json!({ "route": { "receiver": "r", "group_by": ["..."], "group_wait": "0s", "group_interval": "0s" }, "receivers": [{ "name": "r", "stdout_configs": [{}] }] });
    let mut router = Router::new(serde_json::from_value(config).unwrap()).unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let labels = [("alertname", "slow"), ("service", "shop"), ("env", "prod")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let alert = Alert::firing(std::collections::BTreeMap::from(labels), now);
    criterion.bench_function("route/repeat", |bencher| {
        bencher.iter(|| router.route(alert.clone(), now))
    });
}

fn decide(criterion: &mut Criterion) {
    let mut spec = ScalerSpec::new("api", 1, 100);
    spec.metrics = vec![MetricSpec::utilization("cpu", 60)];
    let mut decider = Decider::new(spec).unwrap();
    let mut now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let samples = (0..10).map(|n| Sample::new(format!("pod-{n}"), 50.0 + f64::from(n))).collect();
    let signal = Signal::new("cpu", samples, now).max_age(Duration::from_secs(1 << 30));
    let seen = Observation::new(Replicas::ready(10)).signal(signal);
    criterion.bench_function("decide/1x10", |bencher| {
        bencher.iter(|| {
            now += Duration::from_millis(1);
            decider.decide(black_box(&seen), now)
        });
    });
}

criterion_group!(benches, parse, rules, route, decide);
criterion_main!(benches);
