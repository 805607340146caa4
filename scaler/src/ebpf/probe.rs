//! The program in the kernel: put there, and read.

use std::error::Error;
use std::fmt;
use std::io;

use aya::maps::{MapData, PerCpuArray};
use aya::programs::RawTracePoint;
use aya::{Ebpf, EbpfLoader, include_bytes_aligned};

use crate::source::{Fault, FaultKind};

/// `ebpf/page_faults.bpf.c`, compiled by `ebpf/build`; a test compiles it again and compares.
static OBJECT: &[u8] = include_bytes_aligned!("../../ebpf/page_faults.bpf.o");

/// Names in that file.
const PROGRAM: &str = "count_page_fault";
const COUNTS: &str = "counts";
const WATCHED: &str = "watched_cgroup";

const TRACEPOINT: &str = "page_fault_user";

/// Counts page faults as long as it lives.
pub(super) struct Probe {
    counts: PerCpuArray<MapData, u64>,
    place: String,
    /// The program leaves the kernel with it.
    _program: Ebpf,
}

impl Probe {
    /// Counts for the cgroup with this number and all below it, or for all.
    pub(super) fn open(watched: Option<u64>) -> Result<Self, Fault> {
        let unsupported =
            |error: &(dyn Error + 'static)| Fault::new(FaultKind::Unsupported, sentence(error));
        // No cgroup has the number 0, which the program takes for all of them.
        let id = watched.unwrap_or_default();
        let mut loaded = EbpfLoader::new()
            .override_global(WATCHED, &id, true)
            .load(OBJECT)
            .map_err(|error| unsupported(&error))?;
        let broken = || Fault::new(FaultKind::Unsupported, "page_faults.bpf.o is another program");
        let program: &mut RawTracePoint = loaded
            .program_mut(PROGRAM)
            .ok_or_else(broken)?
            .try_into()
            .map_err(|error: aya::programs::ProgramError| unsupported(&error))?;
        program.load().map_err(|error| unsupported(&error))?;
        program.attach(TRACEPOINT).map_err(|error| unsupported(&error))?;
        let counts = loaded.take_map(COUNTS).ok_or_else(broken)?;
        let counts = PerCpuArray::try_from(counts).map_err(|error| unsupported(&error))?;
        let whose =
            watched.map_or("of all".into(), |id| format!("of the cgroup with the inode {id}"));
        let place = format!("eBPF on exceptions:{TRACEPOINT}, {whose}");
        Ok(Self { counts, place, _program: loaded })
    }

    /// How many there were since it was opened.
    pub(super) fn count(&self) -> Result<u64, Fault> {
        let each = self.counts.get(&0, 0).map_err(|error| {
            Fault::new(FaultKind::Unreachable, format!("{}: {}", self.place, sentence(&error)))
        })?;
        Ok(each.iter().fold(0_u64, |sum, processor| sum.wrapping_add(*processor)))
    }

    /// What it is, for people.
    pub(super) fn place(&self) -> &str {
        &self.place
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("place", &self.place).finish_non_exhaustive()
    }
}

/// What went wrong, with the remedy where the kernel's word for it has one.
fn sentence(error: &(dyn Error + 'static)) -> String {
    let chain = || std::iter::successors(Some(error), |&error| error.source());
    let kernel = chain().filter_map(|error| error.downcast_ref::<io::Error>()).last();
    let kind = kernel.map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::PermissionDenied) => {
            "this process may not put programs into the kernel; it needs CAP_BPF and CAP_PERFMON, \
             or root, and a seccomp filter that lets bpf() through"
                .into()
        }
        Some(io::ErrorKind::NotFound) => {
            format!(
                "this kernel has no tracepoint {TRACEPOINT}; x86-64 has it, others only in newer kernels"
            )
        }
        _ => {
            // The verifier's log has many lines.
            let words: Vec<_> = chain().map(|error| error.to_string()).collect();
            let words = words.join(": ");
            words.lines().next().unwrap_or_default().chars().take(300).collect()
        }
    }
}
