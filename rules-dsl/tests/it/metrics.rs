//! What is counted, and that two engines never collide.

use birl_rules_dsl::Metrics;
use serde_json::json;

use crate::common::Bench;

#[test]
fn unknown_verdicts_are_counted_by_rule() {
    let mut bench = Bench::new(
        "[{name: a, when: x > 1, then: notify()}, {name: b, when: exists(y), then: notify()}]",
    );
    for record in [json!({}), json!({"x": "text"}), json!({"x": 0}), json!({"x": 5, "y": 1})] {
        bench.feed(0.0, record);
    }
    let stats = bench.engine.stats();
    assert_eq!(stats.events, 4);
    assert_eq!((stats.rules["a"].unknown, stats.rules["a"].firing), (2, 1));
    assert_eq!((stats.rules["b"].unknown, stats.rules["b"].firing), (0, 1));
    assert_eq!(stats.generation, 1);
}

#[test]
fn metrics_can_be_shared_and_outlive_the_engine() {
    let metrics = Metrics::new();
    let shared = metrics.clone();
    let mut bench =
        Bench::with("{name: a, when: x > 1, then: notify()}", |config| config.metrics = shared);
    bench.feed(0.0, json!({"x": 2}));
    drop(bench);
    assert_eq!(metrics.stats().rules["a"].firing, 1);
}

#[cfg(feature = "prometheus")]
#[test]
fn a_registry_shows_them() {
    let mut bench = Bench::new("{name: a, when: x > 1, then: notify(), keep_firing_for: 0}");
    let registry = prometheus::Registry::new();
    registry.register(Box::new(bench.engine.metrics().clone())).unwrap();
    bench.feed(0.0, json!({"x": 2}));
    bench.feed(0.5, json!({}));
    bench.feed_at(0.0, 1000.0, json!({"x": 2}));
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    for line in [
        "birl_rules_events_total 3",
        "birl_rules_firings_total{rule=\"a\",status=\"firing\"} 1",
        "birl_rules_firings_total{rule=\"a\",status=\"resolved\"} 1",
        "birl_rules_withheld_total{reason=\"too_old\",rule=\"a\"} 1",
        "birl_rules_unknown_total{rule=\"a\"} 1",
        "birl_rules_late_total{rule=\"a\"} 0",
        "birl_rules_evicted_groups_total{rule=\"a\"} 0",
        "birl_rules_groups{rule=\"a\"} 1",
        "birl_rules_reloads_total{result=\"loaded\"} 0",
        "birl_rules_generation 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
    }
    // Another engine, another registry, the same process.
    let other = Bench::new("{name: a, when: x > 1, then: notify()}");
    let registry = prometheus::Registry::new();
    registry.register(Box::new(other.engine.metrics().clone())).unwrap();
    assert_eq!(other.engine.stats().rules["a"].firing, 0);
}
