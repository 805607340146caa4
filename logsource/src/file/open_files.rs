//! How many files may be open at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustix::process::{Resource, getrlimit};

use crate::metrics::{Gauge, SourceMetrics};

/// Fewer files are never open at once.
const LEAST: usize = 16;

/// By default no more are open: each takes some memory.
const MOST: usize = 4096;

/// The open files of a source. What was read to its end is closed when there are too many.
#[derive(Debug)]
pub(super) struct OpenFiles {
    limit: usize,
    open: AtomicUsize,
    metrics: Arc<SourceMetrics>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct OpenFile(Arc<OpenFiles>);

impl OpenFiles {
    /// With no limit given, three quarters of what this process may have, and 4096 at most.
    pub(super) fn new(limit: Option<usize>, metrics: &Arc<SourceMetrics>) -> Arc<Self> {
        let allowed = || {
            let soft = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
            (usize::try_from(soft).unwrap_or(usize::MAX) / 4 * 3).min(MOST)
        };
        let limit = limit.unwrap_or_else(allowed).max(LEAST);
        Arc::new(Self { limit, open: AtomicUsize::new(0), metrics: Arc::clone(metrics) })
    }

    /// Whether there is no room for another one.
    pub(super) fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// How many more there may be.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.open.load(Relaxed))
    }

    /// Counts one, even if there is no room: who must open a file does.
    pub(super) fn hold(self: &Arc<Self>) -> OpenFile {
        self.open.fetch_add(1, Relaxed);
        self.metrics.raise(Gauge::OpenFiles, 1);
        OpenFile(Arc::clone(self))
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
        self.0.metrics.lower(Gauge::OpenFiles, 1);
    }
}
