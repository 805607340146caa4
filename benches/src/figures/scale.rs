//! How much work the figures are: as much as is promised, or as much as shows a slip within a minute
//! or two.

use std::time::Duration;

/// How much is read, written and waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Bytes that each of the `file_*` figures reads.
    pub(crate) size: u64,
    /// Bytes that `backlog_rss` has before it.
    pub(crate) backlog: u64,
    /// Lines in each round of `append_latency`.
    pub(crate) appends: usize,
    /// Incidents in each round of `loop_latency`.
    pub(crate) incidents: usize,
    /// For how long processor time and memory are looked at.
    pub(crate) interval: Duration,
}

impl Scale {
    /// With `--short`, while something is being changed.
    pub(crate) const SHORT: Self = Self {
        size: 256 << 20,
        backlog: 1_000_000_000,
        appends: 200,
        incidents: 200,
        interval: Duration::from_secs(10),
    };

    /// What the promises are about, and what is measured unless less is asked for.
    pub(crate) const FULL: Self = Self {
        size: 2 << 30,
        backlog: 10_000_000_000,
        appends: 1000,
        incidents: 1000,
        interval: Duration::from_secs(30),
    };
}
