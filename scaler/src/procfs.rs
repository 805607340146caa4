//! What files of the Linux kernel say, read as data: pressure, counters, disks.
//!
//! The parsers here are pure: text and the name of its file in, numbers or a [`Fault`] that names
//! file and line out. A number that a kernel cannot have written is never taken for zero.
//! [`MemoryPressure`](crate::MemoryPressure), [`DiskQueue`](crate::DiskQueue) and `PageFaults` (feature `ebpf`)
//! are the signals made of them.
//!
//! | file | since Linux | read for |
//! | --- | --- | --- |
//! | `/proc/pressure/memory` | 4.20, with `CONFIG_PSI` (some distributions want `psi=1` at boot) | [`Psi`] |
//! | `memory.pressure` of a cgroup v2 | 4.20, likewise; `cgroup.pressure` must be 1 (6.1) | [`Psi`] |
//! | `memory.stat` of a cgroup v2 | 4.5; `workingset_refault_anon` and `_file` 5.9 | [`Counters`] |
//! | `memory.events` of a cgroup v2 | 4.5; `oom_kill` 4.13 | [`Counters`] |
//! | `/proc/vmstat` | 2.6; `oom_kill` 4.13, refaults as above | [`Counters`] |
//! | `/proc/diskstats` | 14 columns 2.6.25, 18 with discards 4.18, 20 with flushes 5.5 | [`Disk`] |
//! | `/proc/uptime` | always | how long it was between two reads |
//!
//! The time between two reads is the kernel's own: a wall clock that is set in between would make
//! any rate look like calm, or like alarm.

use std::fmt;
use std::sync::Arc;

use crate::source::{Fault, FaultKind};

mod cgroup;
mod counters;
mod disks;
mod file;
mod interval;
mod psi;
mod uptime;

pub use self::counters::Counters;
pub use self::disks::Disk;
pub use self::psi::{Psi, Stall};

#[cfg(all(feature = "ebpf", target_os = "linux"))]
pub(crate) use self::cgroup::id as cgroup_id;
pub(crate) use self::cgroup::own as own_cgroup;
pub(crate) use self::file::{MOST_BYTES, text};
pub(crate) use self::interval::{Interval, Reading, moved};
pub(crate) use self::uptime::uptime;

/// Where a signal's numbers come from, and why not from where one would look first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The file, or the tracepoint.
    pub from: Arc<str>,
    /// Why the better place was passed over, if it was.
    pub because: Option<Arc<str>>,
}

impl Origin {
    pub(crate) fn new(from: impl AsRef<str>, because: Option<&Fault>) -> Self {
        Self { from: from.as_ref().into(), because: because.map(|fault| fault.detail().into()) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.from)?;
        self.because.as_ref().map_or(Ok(()), |because| write!(f, ", because {because}"))
    }
}

/// A line that cannot be read; `line` counts from 1.
fn malformed(file: &str, line: usize, what: impl fmt::Display) -> Fault {
    Fault::new(FaultKind::Malformed, format!("{file}:{line}: {what}"))
}

/// What stands in an error: a hostile file must not fill a log.
fn shown(word: &str) -> String {
    const MOST: usize = 40;
    let mut chars = word.chars();
    let start: String = chars.by_ref().take(MOST).flat_map(char::escape_debug).collect();
    if chars.next().is_some() { format!("`{start}…`") } else { format!("`{start}`") }
}
