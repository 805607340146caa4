//! What came and what was dropped, for a registry.

use std::sync::{Arc, LazyLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, Opts};

use super::counts::SpanDrop;
use super::receiver::{Receiver, Shared};

/// The counters of a [`Receiver`], for a registry that the host passes in.
///
/// | name | type | labels |
/// | --- | --- | --- |
/// | `birl_scaler_otlp_received_total` | counter | `what`: `requests`, `spans` |
/// | `birl_scaler_otlp_calls_total` | counter | `window`: `counted`, `elsewhere` |
/// | `birl_scaler_otlp_dropped_total` | counter | `reason`, see [`SpanDrop`] |
#[derive(Debug, Clone)]
pub struct SpanMetrics(Arc<Shared>);

impl Receiver {
    /// Its counters: `registry.register(Box::new(receiver.metrics()))`.
    pub fn metrics(&self) -> SpanMetrics {
        SpanMetrics(self.shared())
    }
}

/// The families, filled from the counts when somebody scrapes.
struct Families {
    received: IntCounterVec,
    calls: IntCounterVec,
    dropped: IntCounterVec,
}

impl Families {
    /// Names and labels are constants; a test registers them, so that this is never `None`.
    fn new() -> Option<Self> {
        let counter = |name: &str, help: &str, label: &str| {
            IntCounterVec::new(Opts::new(name, help), &[label]).ok()
        };
        Some(Self {
            received: counter(
                "birl_scaler_otlp_received_total",
                "Requests that were read, and spans in them, of every kind.",
                "what",
            )?,
            calls: counter(
                "birl_scaler_otlp_calls_total",
                "Calls of clients, by whether a window is about them.",
                "window",
            )?,
            dropped: counter(
                "birl_scaler_otlp_dropped_total",
                "Spans, requests and connections that were not counted, by the reason.",
                "reason",
            )?,
        })
    }

    fn all(&self) -> [&dyn Collector; 3] {
        [&self.received, &self.calls, &self.dropped]
    }
}

/// The interface hands out references, so the descriptions are made once for the process.
static DESCRIPTIONS: LazyLock<Vec<Desc>> = LazyLock::new(|| {
    let families = Families::new();
    let all = families.iter().flat_map(Families::all);
    all.flat_map(|family| family.desc().into_iter().cloned().collect::<Vec<_>>()).collect()
});

impl Collector for SpanMetrics {
    fn desc(&self) -> Vec<&Desc> {
        DESCRIPTIONS.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(families) = Families::new() else { return Vec::new() };
        let counts = self.0.intake().counts();
        families.received.with_label_values(&["requests"]).inc_by(counts.requests);
        families.received.with_label_values(&["spans"]).inc_by(counts.spans);
        families.calls.with_label_values(&["counted"]).inc_by(counts.counted);
        families.calls.with_label_values(&["elsewhere"]).inc_by(counts.elsewhere);
        for reason in SpanDrop::ALL {
            let dropped = families.dropped.with_label_values(&[reason.as_str()]);
            dropped.inc_by(counts.dropped(reason));
        }
        families.all().into_iter().flat_map(|family| family.collect()).collect()
    }
}
