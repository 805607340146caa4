//! What this process has used so far.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Processor time of all threads, to the nanosecond.
#[must_use]
pub fn cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or(0))
}

/// Bytes of memory that are resident now. Summed over the mappings: the running counter that
/// `VmRSS` shows may be off by some dozens of pages for every core.
#[must_use]
pub fn resident() -> u64 {
    kilobytes("/proc/self/smaps_rollup", "Rss:")
}

/// The most bytes of memory that were ever resident at once.
#[must_use]
pub fn peak_resident() -> u64 {
    kilobytes("/proc/self/status", "VmHWM:")
}

fn kilobytes(path: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}
