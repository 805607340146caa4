//! What the sources have done, counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::SourceKind;
use crate::clock::ticks;
use crate::refusals::{Refusals, Refused};
use crate::unacked::Unacked;

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
    /// A line was longer than the limit; its end was cut off, or all of it dropped.
    LineTooLong,
    /// The buffer was full, and its oldest lines made room.
    OverflowOldest,
    /// The buffer was full, and the newest lines were not taken.
    OverflowNewest,
    /// The buffer was nearly full, and the producer was over its rate.
    RateLimited,
    /// A file was rotated away or deleted before it was opened, or while nobody was reading.
    RotatedAway,
    /// A file was cut short before it was read to its end, and no copy of it was found.
    Truncated,
    /// A deleted file was let go of before it was read to its end: too many bytes were held so.
    HeldTooMuch,
    /// Zero bytes that no writer wrote, such as a file has after it was cut under its writer. They
    /// are no lines, so it is their bytes that are counted.
    Hole,
    /// Part of a compressed file cannot be read.
    Damaged,
    /// A record was not in the format that it should be in.
    Unreadable,
    /// It was read or pushed, and whoever could have taken it was gone: a command's stream was
    /// dropped, or a source that holds what cannot be had again.
    Abandoned,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::LineTooLong,
        Self::OverflowOldest,
        Self::OverflowNewest,
        Self::RateLimited,
        Self::RotatedAway,
        Self::Truncated,
        Self::HeldTooMuch,
        Self::Hole,
        Self::Damaged,
        Self::Unreadable,
        Self::Abandoned,
    ];

    /// The name, as in the label `reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LineTooLong => "line_too_long",
            Self::OverflowOldest => "overflow_oldest",
            Self::OverflowNewest => "overflow_newest",
            Self::RateLimited => "rate_limited",
            Self::RotatedAway => "rotated_away",
            Self::Truncated => "truncated",
            Self::HeldTooMuch => "held_too_much",
            Self::Hole => "hole",
            Self::Damaged => "damaged",
            Self::Unreadable => "unreadable",
            Self::Abandoned => "abandoned",
        }
    }
}

/// The counters of one source.
#[derive(Debug)]
pub struct SourceMetrics {
    kind: SourceKind,
    counts: [AtomicU64; Count::ALL.len()],
    dropped: [AtomicU64; DropReason::ALL.len()],
    dropped_bytes: [AtomicU64; DropReason::ALL.len()],
    gauges: [AtomicU64; Gauge::ALL.len()],
    refusals: Mutex<Refusals>,
    unacked: Unacked,
}

/// What is counted, beside drops.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Count {
    /// Entries read.
    Lines,
    /// Bytes read.
    Bytes,
    /// Batches that entries were read into. Of a pipe's, some may be dropped before anybody takes
    /// them; what is pushed is counted as it is handed out.
    Batches,
    /// Entries acknowledged.
    Acked,
    /// Entries that did not parse. Counted each time that one is made an entry of its own
    /// ([`EntryRef::to_entry`](crate::EntryRef::to_entry)), and by nothing else.
    Malformed,
    /// Files that were found and are read.
    Files,
    /// Files that were gone on with where an earlier run had been.
    Resumed,
    /// Files that were found and are not read: too old, or nothing but what was read already.
    Ignored,
    /// Files that were removed once they were read and acknowledged.
    Removed,
    /// Times that a file was renamed away and another took its name, or was copied and cut.
    Rotations,
    /// Times that a file was cut short or written anew in place.
    Truncations,
    /// Times that everything was looked at anew, since events were lost.
    Rescans,
    /// Times that reading paused, since too many bytes were in flight.
    Stalls,
    /// Times that acknowledged places were written down.
    Commits,
    /// Troubles with the source, those that pass by themselves included.
    Errors,
    /// Times that a child process was started again.
    Restarts,
    /// Pieces that were taken off lines, or off groups of lines, that are longer than the limit.
    Split,
    /// Messages of containers that were handed on without their end, since it did not come.
    Partial,
    /// Lines with bytes that are not valid in their encoding, and were replaced.
    Undecodable,
}

impl Count {
    /// Everything that is counted.
    pub const ALL: [Self; 19] = [
        Self::Lines,
        Self::Bytes,
        Self::Batches,
        Self::Acked,
        Self::Malformed,
        Self::Files,
        Self::Resumed,
        Self::Ignored,
        Self::Removed,
        Self::Rotations,
        Self::Truncations,
        Self::Rescans,
        Self::Stalls,
        Self::Commits,
        Self::Errors,
        Self::Restarts,
        Self::Split,
        Self::Partial,
        Self::Undecodable,
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
            Self::Files => "files",
            Self::Resumed => "resumed",
            Self::Ignored => "ignored",
            Self::Removed => "removed",
            Self::Rotations => "rotations",
            Self::Truncations => "truncations",
            Self::Rescans => "rescans",
            Self::Stalls => "stalls",
            Self::Commits => "commits",
            Self::Errors => "errors",
            Self::Restarts => "restarts",
            Self::Split => "split",
            Self::Partial => "partial",
            Self::Undecodable => "undecodable",
        }
    }
}

/// What goes up and down.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gauge {
    /// Bytes written and not yet read when the source last looked.
    LagBytes,
    /// How long the oldest byte not yet read has been there, in seconds; 0 if all is read.
    LagSeconds,
    /// Files that are open.
    OpenFiles,
    /// Files that are followed, open or not.
    WatchedFiles,
    /// Disk space of deleted files that are still being read, in bytes.
    HeldBytes,
    /// Memory of batches that are read and not yet dropped, in bytes.
    InFlightBytes,
    /// How long the oldest entries that were read and not acknowledged have been so, in seconds, in a
    /// source that keeps places: it grows where a consumer acknowledges nothing, and where a batch
    /// was dropped instead, since what was read since comes again after a restart. 0 if all is
    /// acknowledged.
    UnackedSeconds,
    /// 1 if files are polled, since events cannot be had for some of them.
    Polling,
}

impl Gauge {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::LagBytes,
        Self::LagSeconds,
        Self::OpenFiles,
        Self::WatchedFiles,
        Self::HeldBytes,
        Self::InFlightBytes,
        Self::UnackedSeconds,
        Self::Polling,
    ];

    /// The name, as in `birl_logsource_lag_bytes`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LagBytes => "lag_bytes",
            Self::LagSeconds => "lag_seconds",
            Self::OpenFiles => "open_files",
            Self::WatchedFiles => "watched_files",
            Self::HeldBytes => "held_bytes",
            Self::InFlightBytes => "in_flight_bytes",
            Self::UnackedSeconds => "unacked_seconds",
            Self::Polling => "polling",
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

    /// Forgets the counters of a source, and gives them back: for programs whose sources come and
    /// go under ever new ids. Remove them once the source and its streams are dropped: one that is
    /// still there counts on where nobody sees it, or under its id again when it is tailed anew.
    pub fn remove(&self, id: &str) -> Option<Arc<SourceMetrics>> {
        self.lock().remove(id)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<SourceMetrics>>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SourceMetrics {
    pub(crate) fn new(kind: SourceKind) -> Self {
        Self {
            kind,
            counts: Default::default(),
            dropped: Default::default(),
            dropped_bytes: Default::default(),
            gauges: Default::default(),
            refusals: Mutex::default(),
            unacked: Unacked::default(),
        }
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

    /// How many lines were dropped, or cut, for this reason. Where it is not known what was lost, it
    /// is how often something was: files ([`DropReason::RotatedAway`], [`DropReason::Truncated`]),
    /// parts of files ([`DropReason::Damaged`]), and holes that were passed over without being read
    /// ([`DropReason::Hole`]; one that was read counts no line).
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].load(Relaxed)
    }

    /// How many bytes were dropped for this reason, as far as that is known.
    #[must_use]
    pub fn dropped_bytes(&self, reason: DropReason) -> u64 {
        self.dropped_bytes[reason as usize].load(Relaxed)
    }

    /// What producers were refused since there was no room: the keys that were refused most, at
    /// most 64 of them, and all others together (in Prometheus those whose `key` is empty). It was not taken, so it is not dropped either,
    /// unless the producer did that.
    #[must_use]
    pub fn refused(&self) -> Vec<Refused> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).all()
    }

    /// Counts a refusal, for adapters of other crates.
    pub fn refuse(&self, key: Option<&str>, lines: u64, bytes: u64) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.count(key, (lines, bytes));
    }

    /// What goes up and down.
    #[must_use]
    pub fn gauge(&self, gauge: Gauge) -> u64 {
        let set = self.gauges[gauge as usize].load(Relaxed);
        match gauge {
            // It grows by itself.
            Gauge::UnackedSeconds => set.max(self.unacked.age(ticks()).as_secs()),
            _ => set,
        }
    }

    pub(crate) fn unacked(&self) -> &Unacked {
        &self.unacked
    }

    /// How many bytes were written and not yet read when the source last looked.
    #[must_use]
    pub fn lag_bytes(&self) -> u64 {
        self.gauge(Gauge::LagBytes)
    }

    /// Counts on, for adapters of other crates.
    pub fn add(&self, count: Count, by: u64) {
        self.counts[count as usize].fetch_add(by, Relaxed);
    }

    /// Counts a drop, for adapters of other crates.
    pub fn drop_lines(&self, reason: DropReason, lines: u64) {
        self.dropped[reason as usize].fetch_add(lines, Relaxed);
    }

    /// Counts the bytes of a drop, for adapters of other crates.
    pub fn drop_bytes(&self, reason: DropReason, bytes: u64) {
        self.dropped_bytes[reason as usize].fetch_add(bytes, Relaxed);
    }

    /// Adds to what is set from several threads at once.
    pub(crate) fn raise(&self, gauge: Gauge, by: u64) {
        self.gauges[gauge as usize].fetch_add(by, Relaxed);
    }

    pub(crate) fn lower(&self, gauge: Gauge, by: u64) {
        self.gauges[gauge as usize].fetch_sub(by, Relaxed);
    }

    /// Sets what goes up and down, for adapters of other crates.
    pub fn set(&self, gauge: Gauge, value: u64) {
        self.gauges[gauge as usize].store(value, Relaxed);
    }
}

/// Built at every scrape: the counters above stay plain atomics, whatever reads them.
#[cfg(feature = "prometheus")]
mod exposition {
    use prometheus::core::{Collector, Desc};
    use prometheus::proto::MetricFamily;
    use prometheus::{IntCounterVec, IntGaugeVec, Opts};

    use super::{Count, DropReason, Gauge, Metrics};

    struct Families {
        counts: Vec<(Count, IntCounterVec)>,
        dropped: IntCounterVec,
        dropped_bytes: IntCounterVec,
        refused: IntCounterVec,
        refused_bytes: IntCounterVec,
        gauges: Vec<(Gauge, IntGaugeVec)>,
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
            let gauges = Gauge::ALL.into_iter().map(|gauge| {
                let name = gauge.as_str();
                let help = format!("The {} of a log source.", name.replace('_', " "));
                let opts = Opts::new(format!("birl_logsource_{name}"), help);
                Some((gauge, IntGaugeVec::new(opts, &["source", "kind"]).ok()?))
            });
            let dropped_bytes = "Total bytes dropped, as far as known.";
            let refused = "Total lines that were refused since there was no room, by producer.";
            let refused_bytes = "Total bytes that were refused, by producer.";
            Some(Self {
                counts: counts.collect::<Option<_>>()?,
                dropped: counter("dropped", "Total lines dropped or cut.".into(), "reason")?,
                dropped_bytes: counter("dropped_bytes", dropped_bytes.into(), "reason")?,
                refused: counter("refused", refused.into(), "key")?,
                refused_bytes: counter("refused_bytes", refused_bytes.into(), "key")?,
                gauges: gauges.collect::<Option<_>>()?,
            })
        }

        fn each(&self, mut visit: impl FnMut(&dyn Collector)) {
            self.counts.iter().for_each(|(_, family)| visit(family));
            visit(&self.dropped);
            visit(&self.dropped_bytes);
            visit(&self.refused);
            visit(&self.refused_bytes);
            self.gauges.iter().for_each(|(_, family)| visit(family));
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
                    let labels = &[id.as_str(), reason.as_str()];
                    families.dropped.with_label_values(labels).inc_by(source.dropped(reason));
                    let bytes = source.dropped_bytes(reason);
                    families.dropped_bytes.with_label_values(labels).inc_by(bytes);
                }
                for refused in source.refused() {
                    // No producer has an empty key, and to Prometheus it is a label that is not
                    // there.
                    let labels = &[id.as_str(), refused.key.as_deref().unwrap_or_default()];
                    families.refused.with_label_values(labels).inc_by(refused.lines);
                    families.refused_bytes.with_label_values(labels).inc_by(refused.bytes);
                }
                for (gauge, family) in &families.gauges {
                    let value = i64::try_from(source.gauge(*gauge)).unwrap_or(i64::MAX);
                    family.with_label_values(&[id.as_str(), kind]).set(value);
                }
            }
            let mut found = Vec::new();
            families.each(|family| found.extend(family.collect()));
            found
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_is_told_no_more_and_counted_anew() {
        let metrics = Metrics::new();
        let first = metrics.register("app", SourceKind::File);
        first.add(Count::Lines, 3);
        assert_eq!(metrics.remove("app").map(|removed| removed.get(Count::Lines)), Some(3));
        assert!(metrics.source("app").is_none() && metrics.remove("app").is_none());
        // A source that is still there counts for itself.
        first.add(Count::Lines, 1);
        assert_eq!(metrics.register("app", SourceKind::File).get(Count::Lines), 0);
    }
}
