//! A program of ours in this kernel, and what happens where the kernel does not let it in.

use std::fs;
use std::path::Path;
use std::process::Command;

use birl_scaler::{FaultKind, MemoryMeasure, MemoryPressure, PageFaults};

use crate::kernel::{Cgroup, PAGES, Toucher, not_tested, read, rest, uptime, value};

fn faults() -> MemoryPressure {
    MemoryPressure::new("faults", MemoryMeasure::Faults)
}

/// `None` where this machine does not let programs into its kernel; then it says why.
fn in_kernel(like: MemoryPressure) -> Option<PageFaults> {
    match PageFaults::open_in_kernel(like) {
        Ok(faults) => Some(faults),
        Err(fault) => {
            not_tested(&fault);
            assert_eq!(fault.kind(), FaultKind::Unsupported);
            assert!(fault.detail().len() > 20, "{fault}");
            None
        }
    }
}

#[test]
fn pages_that_are_touched_are_counted_in_the_kernel() {
    let Some(kernel) = in_kernel(faults().machine()) else { return };
    let mut toucher = Toucher::ready(&[]);
    let procfs = faults().machine();
    let begun = uptime();
    assert_eq!(read(&kernel).unwrap_err().kind(), FaultKind::Empty);
    assert_eq!(read(&procfs).unwrap_err().kind(), FaultKind::Empty);
    toucher.touch();
    rest();
    let (rate, pgfault) = (value(&kernel), value(&procfs));
    let counted = rate * (uptime() - begun);
    println!("{rate} faults a second, {counted} in all; by pgfault {pgfault} a second");
    assert!(counted > 0.9 * PAGES, "{counted} of {PAGES}");
    assert!((0.4..=1.6).contains(&(rate / pgfault)), "{rate} and {pgfault} should be alike");
    let origin = kernel.origin().unwrap();
    assert_eq!(&*origin.from, "eBPF on exceptions:page_fault_user, of all");
    assert_eq!(origin.because, None);
}

#[test]
fn a_cgroup_is_counted_with_what_is_below_it_and_without_what_is_beside_it() {
    let Some(cgroup) = Cgroup::new("faults") else { return };
    let Some(below) = Cgroup::under(cgroup.path(), "below") else { return };
    let Some(kernel) = in_kernel(faults().cgroup(cgroup.path())) else { return };
    let mut beside = Toucher::ready(&[]);
    let mut inside = Toucher::ready(&[below.path()]);

    let mut begun = uptime();
    rest();
    let _ = read(&kernel);
    beside.touch();
    rest();
    assert_eq!(value(&kernel), 0.0, "others have faults, and this cgroup has none");
    begun = uptime().max(begun);
    inside.touch();
    rest();
    let counted = value(&kernel) * (uptime() - begun);
    println!("{counted} faults for {PAGES} pages");
    assert!((0.9..=1.3).contains(&(counted / PAGES)), "{counted} of {PAGES}");
    assert!(kernel.origin().unwrap().from.contains("of the cgroup with the inode"));
}

#[test]
fn the_program_leaves_the_kernel_with_its_value() {
    let programs = || {
        let held = fs::read_dir("/proc/self/fd").unwrap().filter_map(|held| {
            let target = fs::read_link(held.unwrap().path()).ok()?;
            target.to_string_lossy().contains("bpf").then_some(())
        });
        held.count()
    };
    let Some(kernel) = in_kernel(faults().machine()) else { return };
    assert!(programs() > 0);
    drop(kernel);
    // Other tests of this process may hold theirs: what is ours is gone when none is left.
    let gone = (0..600).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        programs() == 0
    });
    assert!(gone);
}

/// Runs itself once more without capabilities, as a program in a container is.
#[test]
fn without_capabilities_the_files_of_the_kernel_take_over_and_say_so() {
    const NAME: &str = "ebpf::without_capabilities_the_files_of_the_kernel_take_over_and_say_so";
    const BARE: &str = "BIRL_TEST_WITHOUT_CAPABILITIES";
    if rustix::process::geteuid().is_root() && std::env::var_os(BARE).is_none() {
        let output = Command::new("setpriv")
            .args(["--bounding-set=-all", "--inh-caps=-all"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(BARE, "1")
            .output()
            .unwrap();
        let says = String::from_utf8_lossy(&output.stdout);
        println!("{says}");
        assert!(output.status.success(), "{says}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(says.contains("1 passed"), "{says}");
        return;
    }
    let fault = PageFaults::open_in_kernel(faults().machine()).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unsupported);
    assert!(fault.detail().contains("it needs CAP_BPF and CAP_PERFMON"), "{fault}");

    let mut toucher = Toucher::ready(&[]);
    let faults = PageFaults::open(faults().machine());
    assert_eq!(faults.origin(), None);
    let begun = uptime();
    assert_eq!(read(&faults).unwrap_err().kind(), FaultKind::Empty);
    toucher.touch();
    rest();
    let counted = value(&faults) * (uptime() - begun);
    assert!(counted > 0.9 * PAGES, "{counted} of {PAGES}");
    let origin = faults.origin().unwrap();
    println!("{counted} faults, from {origin}");
    assert_eq!(&*origin.from, "/proc/vmstat");
    assert_eq!(origin.because.as_deref(), Some(fault.detail()));
}

#[test]
fn the_object_is_what_its_source_compiles_to() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ebpf");
    let built = tempfile::tempdir().unwrap();
    let object = built.path().join("again.o");
    let output = Command::new(folder.join("build")).arg(&object).output().unwrap();
    let says = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(3) {
        println!("not compared: {says}");
        return;
    }
    assert!(output.status.success(), "{says}");
    let committed = fs::read(folder.join("page_faults.bpf.o")).unwrap();
    assert!(fs::read(object).unwrap() == committed, "run scaler/ebpf/build, and commit the object");
}
