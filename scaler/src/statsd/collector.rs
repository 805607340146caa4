//! What came in and what became of it, for a registry.

use std::sync::LazyLock;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use super::refused::Refused;
use super::source::Statsd;

/// The counters of a [`Statsd`], for a registry that the host passes in.
///
/// | name | type | labels |
/// | --- | --- | --- |
/// | `birl_scaler_statsd_packets_total` | counter | `outcome`: `read`, `truncated`, `dropped_by_kernel` |
/// | `birl_scaler_statsd_lines_total` | counter | `outcome`: `taken`, `unwatched`, `event`, `service_check`, or why refused, see [`Refused`] |
/// | `birl_scaler_statsd_held` | gauge | `what`: `series`, `bytes` |
#[derive(Debug, Clone)]
pub struct StatsdMetrics(Statsd);

impl Statsd {
    /// Its counters: `registry.register(Box::new(statsd.metrics()))`.
    pub fn metrics(&self) -> StatsdMetrics {
        StatsdMetrics(self.clone())
    }
}

/// The families, filled from the counts when somebody scrapes.
struct Families {
    packets: IntCounterVec,
    lines: IntCounterVec,
    held: IntGaugeVec,
}

impl Families {
    /// Names and labels are constants; a test registers them, so that this is never `None`.
    fn new() -> Option<Self> {
        let packets = "Packets, by whether they were read whole, cut, or dropped by the kernel.";
        let packets = Opts::new("birl_scaler_statsd_packets_total", packets);
        let lines = Opts::new("birl_scaler_statsd_lines_total", "Lines, by what became of them.");
        let held = Opts::new("birl_scaler_statsd_held", "Series, and bytes of sketches and sets.");
        Some(Self {
            packets: IntCounterVec::new(packets, &["outcome"]).ok()?,
            lines: IntCounterVec::new(lines, &["outcome"]).ok()?,
            held: IntGaugeVec::new(held, &["what"]).ok()?,
        })
    }

    fn all(&self) -> [&dyn Collector; 3] {
        [&self.packets, &self.lines, &self.held]
    }
}

/// The interface hands out references, so the descriptions are made once for the process.
static DESCRIPTIONS: LazyLock<Vec<Desc>> = LazyLock::new(|| {
    let families = Families::new();
    let all = families.iter().flat_map(Families::all);
    all.flat_map(|family| family.desc().into_iter().cloned().collect::<Vec<_>>()).collect()
});

impl Collector for StatsdMetrics {
    fn desc(&self) -> Vec<&Desc> {
        DESCRIPTIONS.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(families) = Families::new() else { return Vec::new() };
        let counts = self.0.counts();
        let (series, bytes) = self.0.size();
        let read = counts.packets.saturating_sub(counts.truncated);
        let packets = [
            ("read", read),
            ("truncated", counts.truncated),
            ("dropped_by_kernel", counts.dropped),
        ];
        for (outcome, count) in packets {
            families.packets.with_label_values(&[outcome]).inc_by(count);
        }
        let lines = [
            ("taken", counts.taken),
            ("unwatched", counts.unwatched),
            ("event", counts.events),
            ("service_check", counts.checks),
        ];
        let refused = Refused::ALL.map(|why| (why.as_str(), counts.refused(why)));
        for (outcome, count) in lines.into_iter().chain(refused) {
            families.lines.with_label_values(&[outcome]).inc_by(count);
        }
        for (what, held) in [("series", series), ("bytes", bytes)] {
            families.held.with_label_values(&[what]).set(i64::try_from(held).unwrap_or(i64::MAX));
        }
        families.all().into_iter().flat_map(|family| family.collect()).collect()
    }
}
