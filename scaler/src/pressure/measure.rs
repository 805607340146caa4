//! What of memory is measured, and where the kernel tells it.

use serde::{Deserialize, Serialize};

use crate::procfs::{Counters, Psi};
use crate::source::{Fault, FaultKind};

/// What a [`MemoryPressure`](super::MemoryPressure) measures.
///
/// A share of time and a rate are different things; one never stands in for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MemoryMeasure {
    /// Percent of the time in which at least one task waited for memory (`memory.pressure`, else
    /// `/proc/pressure/memory`). The one to begin with: it is lost time, whatever lost it.
    SomeStalled,
    /// Percent of the time in which all tasks that had work waited for memory (likewise).
    FullStalled,
    /// Pages a second that were evicted, and missed soon after (`workingset_refault_anon` and
    /// `_file` of `memory.stat`, else of `/proc/vmstat`): the working set does not fit.
    Refaults,
    /// Page faults a second that waited for a disk (`pgmajfault`, likewise).
    MajorFaults,
    /// Page faults a second, of which most cost nothing (`pgfault`, likewise). They follow
    /// activity and not pressure.
    Faults,
    /// How often a second the cgroup was slowed down at its `memory.high` (`high` of
    /// `memory.events`). The machine has no such limit.
    HighEvents,
    /// Processes a second that were killed for lack of memory (`oom_kill` of `memory.events`,
    /// else of `/proc/vmstat`).
    OomKills,
}

/// How a counter becomes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Microseconds, of all that passed.
    PercentOfTime,
    PerSecond,
}

const REFAULTS: [&str; 2] = ["workingset_refault_anon", "workingset_refault_file"];

/// As it was called before Linux 5.9.
const ALL_REFAULTS: &str = "workingset_refault";

impl MemoryMeasure {
    pub(super) fn scale(self) -> Scale {
        match self {
            Self::SomeStalled | Self::FullStalled => Scale::PercentOfTime,
            _ => Scale::PerSecond,
        }
    }

    /// The file of a cgroup that tells, and what one can do where it is not there.
    pub(super) fn in_cgroup(self) -> (&'static str, &'static str) {
        match self {
            Self::SomeStalled | Self::FullStalled => (
                "memory.pressure",
                "it needs cgroup v2, a kernel with PSI, and 1 in the cgroup's cgroup.pressure",
            ),
            Self::Refaults | Self::MajorFaults | Self::Faults => {
                ("memory.stat", "the memory controller of cgroup v2 must be on for this cgroup")
            }
            Self::HighEvents | Self::OomKills => {
                ("memory.events", "the memory controller of cgroup v2 must be on for this cgroup")
            }
        }
    }

    /// The file under `/proc` that tells for the whole machine.
    pub(super) fn in_proc(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::SomeStalled | Self::FullStalled => Some((
                "pressure/memory",
                "it needs Linux 4.20 with CONFIG_PSI; some distributions want psi=1 at boot",
            )),
            Self::HighEvents => None,
            _ => Some(("vmstat", "")),
        }
    }

    /// The counter in `text`, which is that of `file`.
    pub(super) fn count(self, text: &str, file: &str) -> Result<u64, Fault> {
        let unsupported = |what: &str| {
            Fault::new(FaultKind::Unsupported, format!("{file}: this kernel has no {what} here"))
        };
        let counters = Counters::new(text, file);
        let counter = |name: &str| counters.get(name)?.ok_or_else(|| unsupported(name));
        match self {
            Self::SomeStalled => Ok(micros(Psi::parse(text, file)?.some.total)),
            Self::FullStalled => {
                let full = Psi::parse(text, file)?.full;
                full.map(|full| micros(full.total)).ok_or_else(|| unsupported("line `full`"))
            }
            Self::Refaults => match counters.get(ALL_REFAULTS)? {
                Some(all) => Ok(all),
                None => REFAULTS
                    .into_iter()
                    .try_fold(0_u64, |sum, name| Ok(sum.saturating_add(counter(name)?))),
            },
            Self::MajorFaults => counter("pgmajfault"),
            Self::Faults => counter("pgfault"),
            Self::HighEvents => counter("high"),
            Self::OomKills => counter("oom_kill"),
        }
    }
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
