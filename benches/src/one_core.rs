//! One core for a figure that is told per core.

use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// While it lives, this thread and the threads that it starts run on one core alone.
#[derive(Debug)]
pub struct OneCore {
    before: CpuSet,
}

impl OneCore {
    /// Pins to the last core that this process may use: the first ones serve most interrupts.
    ///
    /// # Errors
    /// If the system does not allow it.
    pub fn pin() -> io::Result<Self> {
        let before = sched_getaffinity(None)?;
        let last = (0..CpuSet::MAX_CPU).rev().find(|core| before.is_set(*core)).unwrap_or(0);
        let mut one = CpuSet::new();
        one.set(last);
        sched_setaffinity(None, &one)?;
        Ok(Self { before })
    }
}

impl Drop for OneCore {
    fn drop(&mut self) {
        // It was allowed a moment ago.
        let _ = sched_setaffinity(None, &self.before);
    }
}
