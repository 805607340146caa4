//! What the sources have done, counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::SourceKind;

/// The counters of any number of sources. Clones share them; hand one to every source's builder.
///
/// With the feature `prometheus` it is a collector:
/// `registry.register(Box::new(metrics.clone()))`.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    sources: Arc<Mutex<BTreeMap<String, Arc<SourceMetrics>>>>,
}

/// Why something that was written was not delivered, or not whole.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// A line was longer than the limit; its end was cut off.
    LineTooLong,
    /// The buffer was full, and its oldest lines made room.
    OverflowOldest,
    /// The buffer was full, and the newest lines were not taken.
    OverflowNewest,
    /// A file was rotated away or deleted before it was read to its end.
    RotatedAway,
    /// A record was not in the format that it should be in.
    Unreadable,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [
        Self::LineTooLong,
        Self::OverflowOldest,
        Self::OverflowNewest,
        Self::RotatedAway,
        Self::Unreadable,
    ];

    /// The name, as in the label `reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LineTooLong => "line_too_long",
            Self::OverflowOldest => "overflow_oldest",
            Self::OverflowNewest => "overflow_newest",
            Self::RotatedAway => "rotated_away",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The counters of one source.
#[derive(Debug)]
pub struct SourceMetrics {
    kind: SourceKind,
    counts: [AtomicU64; Count::ALL.len()],
    dropped: [AtomicU64; DropReason::ALL.len()],
    lag: AtomicU64,
}

/// What is counted, beside drops.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Count {
    /// Entries read.
    Lines,
    /// Bytes read.
    Bytes,
    /// Batches handed out.
    Batches,
    /// Entries acknowledged.
    Acked,
    /// Entries that did not parse, counted when they were parsed.
    Malformed,
    /// Times that a file was renamed away and another took its name.
    Rotations,
    /// Times that a file was cut short or written anew in place.
    Truncations,
    /// Troubles with the source, those that pass by themselves included.
    Errors,
    /// Times that a child process was started again.
    Restarts,
}

impl Count {
    /// Everything that is counted.
    pub const ALL: [Self; 9] = [
        Self::Lines,
        Self::Bytes,
        Self::Batches,
        Self::Acked,
        Self::Malformed,
        Self::Rotations,
        Self::Truncations,
        Self::Errors,
        Self::Restarts,
    ];

    /// The name, as in `birl_logsource_lines_total`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Bytes => "bytes",
            Self::Batches => "batches",
            Self::Acked => "acked",
            Self::Malformed => "malformed",
            Self::Rotations => "rotations",
            Self::Truncations => "truncations",
            Self::Errors => "errors",
            Self::Restarts => "restarts",
        }
    }
}

impl Metrics {
    /// No sources yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The counters of one source, by its id; none until it was built.
    #[must_use]
    pub fn source(&self, id: &str) -> Option<Arc<SourceMetrics>> {
        self.lock().get(id).cloned()
    }

    /// The counters of every source, by id.
    #[must_use]
    pub fn sources(&self) -> BTreeMap<String, Arc<SourceMetrics>> {
        self.lock().clone()
    }

    /// The counters for a source, for adapters of other crates. Sources of one id share them.
    pub fn register(&self, id: &str, kind: SourceKind) -> Arc<SourceMetrics> {
        let mut sources = self.lock();
        let counters = sources.entry(id.to_owned());
        Arc::clone(counters.or_insert_with(|| Arc::new(SourceMetrics::new(kind))))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<SourceMetrics>>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SourceMetrics {
    pub(crate) fn new(kind: SourceKind) -> Self {
        let (counts, dropped) = (Default::default(), Default::default());
        Self { kind, counts, dropped, lag: AtomicU64::new(0) }
    }

    /// The way in.
    #[must_use]
    pub fn kind(&self) -> SourceKind {
        self.kind
    }

    /// One of the counters.
    #[must_use]
    pub fn get(&self, count: Count) -> u64 {
        self.counts[count as usize].load(Relaxed)
    }

    /// How many lines were dropped, or cut, for this reason. With
    /// [`DropReason::RotatedAway`] it is files, since what was in them is not known.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].load(Relaxed)
    }

    /// How many bytes were written and not yet read when the source last looked.
    #[must_use]
    pub fn lag_bytes(&self) -> u64 {
        self.lag.load(Relaxed)
    }

    /// Counts on, for adapters of other crates.
    pub fn add(&self, count: Count, by: u64) {
        self.counts[count as usize].fetch_add(by, Relaxed);
    }

    /// Counts a drop, for adapters of other crates.
    pub fn drop_lines(&self, reason: DropReason, lines: u64) {
        self.dropped[reason as usize].fetch_add(lines, Relaxed);
    }

    /// Sets the lag, for adapters of other crates.
    pub fn set_lag_bytes(&self, bytes: u64) {
        self.lag.store(bytes, Relaxed);
    }
}

/// Built at every scrape: the counters above stay plain atomics, whatever reads them.
#[cfg(feature = "prometheus")]
mod exposition {
    use prometheus::core::{Collector, Desc};
    use prometheus::proto::MetricFamily;
    use prometheus::{IntCounterVec, IntGaugeVec, Opts};

    use super::{Count, DropReason, Metrics};

    struct Families {
        counts: Vec<(Count, IntCounterVec)>,
        dropped: IntCounterVec,
        lag: IntGaugeVec,
    }

    impl Families {
        /// `None` only if a name above were not a metric's name.
        fn new() -> Option<Self> {
            let counter = |name: &str, help: String, label| {
                let opts = Opts::new(format!("birl_logsource_{name}_total"), help);
                IntCounterVec::new(opts, &["source", label]).ok()
            };
            let counts = Count::ALL.into_iter().map(|count| {
                let name = count.as_str();
                Some((count, counter(name, format!("Total {name} of a log source."), "kind")?))
            });
            let lag = Opts::new("birl_logsource_lag_bytes", "Bytes written and not yet read.");
            Some(Self {
                counts: counts.collect::<Option<_>>()?,
                dropped: counter("dropped", "Total lines dropped or cut.".into(), "reason")?,
                lag: IntGaugeVec::new(lag, &["source", "kind"]).ok()?,
            })
        }

        fn each(&self, mut visit: impl FnMut(&dyn Collector)) {
            self.counts.iter().for_each(|(_, family)| visit(family));
            visit(&self.dropped);
            visit(&self.lag);
        }
    }

    /// Descriptions live as long as the collector, so they are made once per process.
    static DESCRIPTIONS: std::sync::LazyLock<Vec<Desc>> = std::sync::LazyLock::new(|| {
        let mut all = Vec::new();
        if let Some(families) = Families::new() {
            families.each(|family| all.extend(family.desc().into_iter().cloned()));
        }
        all
    });

    impl Collector for Metrics {
        fn desc(&self) -> Vec<&Desc> {
            DESCRIPTIONS.iter().collect()
        }

        fn collect(&self) -> Vec<MetricFamily> {
            let Some(families) = Families::new() else { return Vec::new() };
            for (id, source) in self.sources() {
                let kind = source.kind().as_str();
                for (count, family) in &families.counts {
                    family.with_label_values(&[id.as_str(), kind]).inc_by(source.get(*count));
                }
                for reason in DropReason::ALL {
                    let dropped = source.dropped(reason);
                    families
                        .dropped
                        .with_label_values(&[id.as_str(), reason.as_str()])
                        .inc_by(dropped);
                }
                let lag = i64::try_from(source.lag_bytes()).unwrap_or(i64::MAX);
                families.lag.with_label_values(&[id.as_str(), kind]).set(lag);
            }
            let mut found = Vec::new();
            families.each(|family| found.extend(family.collect()));
            found
        }
    }
}
