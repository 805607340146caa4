//! What operators see: the counters as Prometheus scrapes them, the event as a log line.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use birl_scaler::{Action, Metrics, Reason, Status, Verifier};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{ask, at, cpu, decider, decision, prompt};

#[test]
fn actions_are_counted_and_holds_are_not() {
    let metrics = Metrics::new();
    metrics.record_action(&decision("workers", 1, 3, at(0)), Status::Success);
    metrics.record_action(&decision("workers", 3, 2, at(0)), Status::Failed);
    let hold = decider(prompt()).decide(&cpu(3, 60.0, at(0)), at(0));
    metrics.record_action(&hold, Status::Success);
    metrics.record_hold(&hold);
    metrics.record_hold(&decision("workers", 1, 3, at(0)));
    assert_eq!(metrics.holds(hold.reason), 1);
    assert_eq!(metrics.holds(Reason::Intent), 0, "a change is no hold");
    assert_eq!(metrics.actions(Action::ScaleUp, Reason::Intent, Status::Success), 1);
    assert_eq!(metrics.actions(Action::ScaleDown, Reason::Intent, Status::Failed), 1);
    assert_eq!(metrics.actions_total(), 1);
    assert_eq!(metrics.replicas("workers"), Some(3), "a failed change changes no size");
    let failed: Result<(), &str> = Err("no room");
    assert_eq!(Status::from(&failed), Status::Failed);
}

#[cfg(feature = "prometheus")]
#[test]
fn prometheus_scrapes_them_from_a_registry_of_the_host() {
    let (metrics, registry) = (Metrics::new(), prometheus::Registry::new());
    registry.register(Box::new(metrics.clone())).unwrap();
    metrics.record_action(&decision("workers", 1, 3, at(0)), Status::Success);
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let sample =
        r#"autoscaler_scale_actions_total{action="scale_up",reason="intent",status="success"} 1"#;
    assert!(text.contains(sample), "{text}");
    assert!(text.contains(r#"autoscaler_replicas{target="workers"} 3"#), "{text}");
    metrics.record_hold(&decider(prompt()).decide(&cpu(3, 60.0, at(0)), at(0)));
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(text.contains(r#"autoscaler_holds_total{reason="steady"} 1"#), "{text}");
    assert!(text.contains("birl_scaler_dropped_total"), "{text}");
    let mut verifier = Verifier::default();
    verifier.expect(&decision("workers", 1, 3, at(0)), std::time::Duration::ZERO, at(0));
    metrics.record_verification(&verifier.tick(at(0))[0]);
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    for leg in ["all", "platform_ready", "counter", "instances"] {
        let sample =
            format!("autoscaler_verifications_total{{leg=\"{leg}\",verdict=\"timed_out\"}} 1");
        assert!(text.contains(&sample), "{text}");
    }
    #[cfg(feature = "decision-log")]
    {
        let mut stats = birl_scaler::RecorderStats::default();
        (stats.waiting, stats.trouble) = (7, Some("no room".to_owned()));
        metrics.set_log(stats);
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for sample in [
            r#"birl_scaler_decision_log_entries{state="waiting"} 7"#,
            "birl_scaler_decision_log_degraded 1",
        ] {
            assert!(text.contains(sample), "{text}");
        }
    }
    // Two instances in one process never collide.
    prometheus::Registry::new().register(Box::new(Metrics::new())).unwrap();
}

/// Collects the fields of each event.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl Subscriber for Events {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = BTreeMap::new();
        span.record(&mut Fields(&mut fields));
        fields.insert("span".to_owned(), span.metadata().name().to_owned());
        self.0.lock().unwrap().push(fields);
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        fields.insert("target".to_owned(), event.metadata().target().to_owned());
        self.0.lock().unwrap().push(fields);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn one_event_an_action_with_the_fields_that_queries_look_for() {
    let events = Events::default();
    tracing::subscriber::with_default(events.clone(), || {
        let metrics = Metrics::new();
        let decision = decider(prompt()).decide(&cpu(3, 92.5, at(0)), at(0));
        metrics.record_action(&decision, Status::Success);
        let mut asked = ask(1, "slow/1", birl_scaler::Change::By(2));
        asked.intents[0].trace_id = Some("4bf92f".to_owned());
        let decision = decider(prompt()).decide(&asked, at(0));
        metrics.record_action(&decision, Status::Failed);
    });
    let events = events.0.lock().unwrap().clone();
    let [metric, intent] = &events[..] else { panic!("{events:?}") };
    for (field, value) in [
        ("target", "birl_scaler"),
        ("action", "scale_up"),
        ("target_replicas", "5"),
        ("trigger_metric", "cpu"),
        ("trigger_value", "92.5"),
        ("trace_id", "unknown"),
        ("autoscaling.action", "scale_up"),
        ("autoscaling.target_replicas", "5"),
        ("autoscaling.trigger_reason", "metric"),
        ("scale_target", "workers"),
        ("status", "success"),
    ] {
        assert_eq!(metric.get(field).map(String::as_str), Some(value), "{field}");
    }
    assert_eq!((intent["trace_id"].as_str(), intent["status"].as_str()), ("4bf92f", "failed"));
}

#[test]
fn a_span_around_the_change_has_the_attributes_of_opentelemetry() {
    let events = Events::default();
    tracing::subscriber::with_default(events.clone(), || {
        let decision = decider(prompt()).decide(&cpu(3, 92.5, at(0)), at(0));
        let _entered = decision.span().entered();
    });
    let events = events.0.lock().unwrap().clone();
    for (field, value) in [
        ("span", "scale"),
        ("autoscaling.action", "scale_up"),
        ("autoscaling.target_replicas", "5"),
        ("autoscaling.trigger_reason", "metric"),
        ("trigger_metric", "cpu"),
        ("scale_target", "workers"),
    ] {
        assert_eq!(events[0].get(field).map(String::as_str), Some(value), "{field}");
    }
}
