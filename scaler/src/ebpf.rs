//! Page faults, counted where the kernel handles them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;

use crate::pressure::{MemoryMeasure, MemoryPressure, Scope};
use crate::procfs::{self, Interval, Origin, Reading, moved};
use crate::signal::{Sample, Signal};
use crate::source::{Fault, FaultKind, SignalSource};

mod probe;

use self::probe::Probe;

/// A signal of page faults a second, counted by a small program in the kernel (eBPF), else read
/// from `pgfault`.
///
/// The program sits on the tracepoint `exceptions:page_fault_user` and adds one for each fault of
/// a program, of all of them or of one cgroup (version 2) with all below it. It needs Linux 5.7 on
/// x86-64 (elsewhere only some newer kernels have the tracepoint), and the capabilities `CAP_BPF`
/// and `CAP_PERFMON` (5.8; before, and in their place, `CAP_SYS_ADMIN`). It needs no BTF and no
/// tracefs. Where the kernel says no, [`MemoryMeasure::Faults`] takes over, and
/// [`origin`](Self::origin) says so.
///
/// It costs each fault about a tenth of a microsecond, where the fault itself costs two or more
/// (x86-64, a virtual machine; 65 ns for all, 105 to 117 ns for a cgroup).
///
/// Faults follow activity and do not show pressure by themselves: a program that starts has
/// thousands of them and suffers from none. [`MemoryMeasure::SomeStalled`] is the better guard.
///
/// `pgfault` counts the same within a few percent: the kernel's own accesses to a program's memory
/// are in it, and a fault that is tried again may be in it twice.
#[derive(Debug)]
pub struct PageFaults {
    procfs: MemoryPressure,
    probe: Result<Probe, Fault>,
    /// Why it counts for the machine and not for a cgroup.
    because: Option<Fault>,
    interval: Mutex<Interval<u64>>,
}

impl PageFaults {
    /// Puts the program into the kernel, for whom and under what name `like` says: its own measure
    /// is not looked at. The program leaves with this value.
    ///
    /// It waits for the kernel to check the program, some ten milliseconds or more: do it before
    /// the loop begins.
    pub fn open(like: MemoryPressure) -> Self {
        let procfs = like.measuring(MemoryMeasure::Faults);
        let (probe, because) = match Self::watched(&procfs) {
            Ok((watched, because)) => (Probe::open(watched), because),
            Err(fault) => (Err(fault), None),
        };
        Self { procfs, probe, because, interval: Mutex::default() }
    }

    /// The same, where the program in the kernel is a must.
    ///
    /// # Errors
    ///
    /// [`FaultKind::Unsupported`], with what this machine or this process lacks.
    pub fn open_in_kernel(like: MemoryPressure) -> Result<Self, Fault> {
        let opened = Self::open(like);
        match &opened.probe {
            Ok(_) => Ok(opened),
            Err(fault) => Err(fault.clone()),
        }
    }

    /// Where the numbers come from, and why not from the program in the kernel if that is so;
    /// `None` before a first read that found any.
    pub fn origin(&self) -> Option<Origin> {
        match &self.probe {
            Ok(probe) => Some(Origin::new(probe.place(), self.because.as_ref())),
            Err(fault) => {
                let from = self.procfs.origin()?.from;
                Some(Origin::new(from, Some(fault)))
            }
        }
    }

    /// The number of the cgroup that is counted, `None` for all, and why not the one that was meant.
    fn watched(like: &MemoryPressure) -> Result<(Option<u64>, Option<Fault>), Fault> {
        let found = match &like.scope {
            Scope::Machine => return Ok((None, None)),
            Scope::Cgroup(folder) => return Ok((Some(procfs::cgroup_id(folder)?), None)),
            Scope::Here => procfs::own_cgroup(&like.proc),
        };
        match found.and_then(|folder| procfs::cgroup_id(&folder)) {
            Ok(id) => Ok((Some(id), None)),
            Err(fault) if fault.kind() == FaultKind::Unsupported => Ok((None, Some(fault))),
            Err(fault) => Err(fault),
        }
    }

    fn measure(&self, probe: &Probe, now: SystemTime) -> Result<Signal, Fault> {
        let from = probe.place();
        let count = probe.count()?;
        let up = procfs::uptime(&self.procfs.proc)?;
        // A panic beside it leaves at most an interval that begins anew.
        let mut interval = self.interval.lock().unwrap_or_else(PoisonError::into_inner);
        let Reading { samples, at } =
            interval.turn(up, now, count, from, |before, seen, over| {
                let count = moved(*before, *seen, "the count", from)?;
                let rate = count as f64 / over.as_secs_f64();
                Ok(vec![Sample::new(Arc::clone(&self.procfs.instance), rate)])
            })?;
        Ok(Signal::new(&self.procfs.name, samples, at).max_age(self.procfs.max_age))
    }
}

#[async_trait]
impl SignalSource for PageFaults {
    fn name(&self) -> &str {
        &self.procfs.name
    }

    async fn read(&self, now: SystemTime) -> Result<Signal, Fault> {
        match &self.probe {
            Ok(probe) => self.measure(probe, now),
            Err(_) => self.procfs.measure(now),
        }
    }
}
