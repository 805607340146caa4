//! The board as a Prometheus collector.

use std::sync::LazyLock;
use std::time::SystemTime;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts};

use super::board::SignalBoard;
use super::health::HealthState;
use crate::timestamp::elapsed;

/// The families, filled from the board when somebody scrapes.
struct Families {
    age: GaugeVec,
    healthy: IntGaugeVec,
    reads: IntCounterVec,
}

impl Families {
    /// Names and labels are constants; a test registers them, so that this is never `None`.
    fn new() -> Option<Self> {
        let age = Opts::new(
            "birl_scaler_signal_age_seconds",
            "Seconds since the last good reading of a signal was measured.",
        );
        let healthy = Opts::new(
            "birl_scaler_signal_healthy",
            "Whether a signal's source answered when it was asked last.",
        );
        let reads =
            Opts::new("birl_scaler_signal_reads_total", "Readings of a signal, by how they ended.");
        Some(Self {
            age: GaugeVec::new(age, &["signal"]).ok()?,
            healthy: IntGaugeVec::new(healthy, &["signal"]).ok()?,
            reads: IntCounterVec::new(reads, &["signal", "outcome"]).ok()?,
        })
    }

    fn all(&self) -> [&dyn Collector; 3] {
        [&self.age, &self.healthy, &self.reads]
    }
}

/// The interface hands out references, so the descriptions are made once for the process.
static DESCRIPTIONS: LazyLock<Vec<Desc>> = LazyLock::new(|| {
    let families = Families::new();
    let all = families.iter().flat_map(Families::all);
    all.flat_map(|family| family.desc().into_iter().cloned().collect::<Vec<_>>()).collect()
});

impl Collector for SignalBoard {
    fn desc(&self) -> Vec<&Desc> {
        DESCRIPTIONS.iter().collect()
    }

    #[expect(clippy::disallowed_methods, reason = "an age is told at the moment of the scrape")]
    fn collect(&self) -> Vec<MetricFamily> {
        let Some(families) = Families::new() else { return Vec::new() };
        let now = SystemTime::now();
        for entry in self.lock().iter() {
            let name = &*entry.health.name;
            if let Some(last) = &entry.last {
                let age = elapsed(last.at, now).as_secs_f64();
                families.age.with_label_values(&[name]).set(age);
            }
            let healthy = i64::from(entry.health.state == HealthState::Healthy);
            families.healthy.with_label_values(&[name]).set(healthy);
            for (outcome, count) in &entry.reads {
                families.reads.with_label_values(&[name, *outcome]).inc_by(*count);
            }
        }
        families.all().into_iter().flat_map(|family| family.collect()).collect()
    }
}
