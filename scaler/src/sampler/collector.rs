//! The board as a Prometheus collector, of one target or of several.

use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts};

use super::board::SignalBoard;
use super::health::HealthState;
use crate::timestamp::elapsed;

/// The [`SignalBoard`] of one target among several: its samples also have the label `target`, so that
/// all of them can be registered with one registry.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (api, web) = (birl_scaler::Sampler::new(), birl_scaler::Sampler::new());
/// # let registry = prometheus::Registry::new();
/// registry.register(Box::new(api.board().of_target("api")))?;
/// registry.register(Box::new(web.board().of_target("web")))?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct TargetSignals {
    board: SignalBoard,
    target: Arc<str>,
    descriptions: Vec<Desc>,
}

/// The families, filled from the board when somebody scrapes.
struct Families {
    age: GaugeVec,
    healthy: IntGaugeVec,
    reads: IntCounterVec,
}

impl Families {
    /// Names of metrics and labels are constants; a test registers them, so that this is never `None`.
    fn new(target: Option<&str>) -> Option<Self> {
        let opts = |name: &str, help: &str| {
            let opts = Opts::new(name, help);
            match target {
                Some(target) => opts.const_label("target", target),
                None => opts,
            }
        };
        let age = opts(
            "birl_scaler_signal_age_seconds",
            "Seconds since the last good reading of a signal was measured.",
        );
        let healthy = opts(
            "birl_scaler_signal_healthy",
            "Whether a signal's source answered when it was asked last.",
        );
        let reads =
            opts("birl_scaler_signal_reads_total", "Readings of a signal, by how they ended.");
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

fn descriptions(target: Option<&str>) -> Vec<Desc> {
    let families = Families::new(target);
    let all = families.iter().flat_map(Families::all);
    all.flat_map(|family| family.desc().into_iter().cloned().collect::<Vec<_>>()).collect()
}

/// The interface hands out references, so the descriptions are made once for the process.
static DESCRIPTIONS: LazyLock<Vec<Desc>> = LazyLock::new(|| descriptions(None));

impl SignalBoard {
    /// The board as the collector of one target among several.
    #[must_use]
    pub fn of_target(&self, target: &str) -> TargetSignals {
        let descriptions = descriptions(Some(target));
        TargetSignals { board: self.clone(), target: target.into(), descriptions }
    }

    #[expect(clippy::disallowed_methods, reason = "an age is told at the moment of the scrape")]
    fn families(&self, target: Option<&str>) -> Vec<MetricFamily> {
        let Some(families) = Families::new(target) else { return Vec::new() };
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

impl Collector for SignalBoard {
    fn desc(&self) -> Vec<&Desc> {
        DESCRIPTIONS.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.families(None)
    }
}

impl Collector for TargetSignals {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.board.families(Some(&self.target))
    }
}
