//! Memory of this machine: what its kernel tells, and what it tells when memory is short.

use std::time::{Duration, Instant};

use birl_scaler::{FaultKind, MemoryMeasure, MemoryPressure};

use crate::kernel::{Cgroup, PAGES, Toucher, inside, read, rest, uptime, value};

#[test]
fn this_kernel_tells_its_pressure() {
    for measure in [MemoryMeasure::SomeStalled, MemoryMeasure::FullStalled] {
        for source in [
            MemoryPressure::new("memory", measure),
            MemoryPressure::new("memory", measure).machine(),
        ] {
            assert_eq!(read(&source).unwrap_err().kind(), FaultKind::Empty);
            rest();
            let share = value(&source);
            println!("{measure:?}: {share} % of the time, from {}", source.origin().unwrap());
            assert!((0.0..=100.0).contains(&share));
        }
    }
}

#[test]
fn pages_that_are_touched_are_faults() {
    let mut toucher = Toucher::ready(&[]);
    let faults = MemoryPressure::new("faults", MemoryMeasure::Faults).machine();
    let before = uptime();
    assert_eq!(read(&faults).unwrap_err().kind(), FaultKind::Empty);
    toucher.touch();
    rest();
    let rate = value(&faults);
    let counted = rate * (uptime() - before);
    println!("{rate} faults a second, {counted} in all");
    assert!(counted > 0.9 * PAGES, "{counted} of {PAGES}");
}

/// Twice: in a cgroup that may hold a fourth of the file that is read in it again and again, tasks
/// wait for memory; beside it nobody does.
#[test]
fn memory_that_is_short_is_pressure_where_it_is_short() {
    let Some((bounded, unified)) = Cgroup::bounded("short", 24 << 20) else { return };
    let Some(beside) = Cgroup::new("beside") else { return };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let of = |cgroup: &Cgroup| {
        let source = MemoryPressure::new("memory", MemoryMeasure::SomeStalled);
        source.cgroup(cgroup.path())
    };
    let (short, calm) = (of(&unified), of(&beside));
    assert_eq!(read(&short).unwrap_err().kind(), FaultKind::Empty);
    assert_eq!(read(&calm).unwrap_err().kind(), FaultKind::Empty);

    let file = folder.path().join("large");
    let reads = "dd if=/dev/zero of=\"$0\" bs=1M count=96 2>/dev/null\n\
                 while :; do cat \"$0\" > /dev/null; done";
    let mut cgroups = vec![bounded.path()];
    if !bounded.path().starts_with(unified.path()) {
        cgroups.push(unified.path());
    }
    let mut reader = inside(&cgroups, &["sh", "-c", reads, file.to_str().unwrap()]);
    let begun = Instant::now();
    let mut share = 0.0;
    while share == 0.0 && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_secs(1));
        share = value(&short);
    }
    let beside = value(&calm);
    let processes = std::fs::read_to_string(cgroups[0].join("cgroup.procs")).unwrap();
    reader.kill().unwrap();
    reader.wait().unwrap();
    end(&processes);
    println!("{share} % of the time where memory is short, {beside} % beside it");
    assert!(share > 0.0);
    assert_eq!(beside, 0.0);
}

/// What the shell had started; it is in a cgroup of ours, and so it is ours.
fn end(processes: &str) {
    for process in processes.lines() {
        let _ = std::process::Command::new("kill").args(["-9", process]).output();
    }
}
