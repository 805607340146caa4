//! Memory pressure: of whom it is, what it is made of, and what is never taken for calm.

use birl_scaler::procfs::Psi;
use birl_scaler::{
    Decider, FaultKind, MemoryMeasure, MemoryPressure, MetricSpec, Milli, Observation, Replicas,
    Signal,
};

use crate::procfs::{Machine, fixture, read, value};
use crate::support::{at, prompt, seconds};

fn source(machine: &Machine, measure: MemoryMeasure) -> MemoryPressure {
    MemoryPressure::new("memory", measure).proc(machine.proc())
}

#[track_caller]
fn fault(source: &MemoryPressure, second: u64, kind: FaultKind, detail: &str) {
    let fault = read(source, second).unwrap_err();
    assert_eq!(fault.kind(), kind, "{fault}");
    assert!(fault.detail().contains(detail), "{fault}");
}

#[test]
fn the_share_of_time_lost_is_told_of_the_own_cgroup() {
    let machine = Machine::new();
    machine.in_cgroup();
    machine.stalled("proc/pressure/memory", 900_000_000, 0);
    machine.stalled("cgroup/shop/api/memory.pressure", 5_000_000, 1_000_000);
    let some = source(&machine, MemoryMeasure::SomeStalled).instance("api-1").max_age(seconds(30));
    let full = source(&machine, MemoryMeasure::FullStalled);
    assert_eq!(some.origin(), None);
    fault(&some, 0, FaultKind::Empty, "needs two reads");
    fault(&full, 0, FaultKind::Empty, "needs two reads");

    machine.up(1010.0);
    machine.stalled("cgroup/shop/api/memory.pressure", 6_250_000, 1_500_000);
    assert_eq!((value(&some, 10), value(&full, 10)), (12.5, 5.0));
    let signal = read(&some, 10).unwrap();
    assert_eq!((&*signal.samples[0].instance, signal.max_age), ("api-1", seconds(30)));
    let origin = some.origin().unwrap();
    assert_eq!(*origin.from, *machine.own().join("memory.pressure").to_str().unwrap());
    assert_eq!(origin.because, None);

    machine.up(1020.0);
    assert_eq!(value(&some, 20), 0.0, "no time was lost, and that is known");
    machine.up(1030.0);
    machine.stalled("cgroup/shop/api/memory.pressure", 16_260_000, 0);
    assert_eq!(value(&some, 30), 100.0, "not more than all of it");
}

#[test]
fn where_the_cgroup_tells_nothing_the_machine_does_and_the_reason_is_said() {
    let machine = Machine::new();
    machine.in_cgroup();
    machine.stalled("proc/pressure/memory", 0, 0);
    machine.write("proc/vmstat", &fixture("vmstat-6.18"));
    for (measure, from, because) in [
        (MemoryMeasure::SomeStalled, "proc/pressure/memory", "api/memory.pressure: No such file"),
        (MemoryMeasure::Refaults, "proc/vmstat", "the memory controller of cgroup v2 must be on"),
        (MemoryMeasure::Faults, "proc/vmstat", "api/memory.stat: No such file"),
        (MemoryMeasure::OomKills, "proc/vmstat", "api/memory.events: No such file"),
    ] {
        let source = source(&machine, measure);
        fault(&source, 0, FaultKind::Empty, "needs two reads");
        let origin = source.origin().unwrap();
        assert!(origin.from.ends_with(from), "{origin}");
        assert!(origin.because.as_ref().unwrap().contains(because), "{origin}");
        assert!(origin.to_string().contains(", because "), "{origin}");
    }
    // Without any cgroup of version 2, too.
    machine.write("proc/self/cgroup", "3:memory:/api\n");
    let source = source(&machine, MemoryMeasure::MajorFaults);
    fault(&source, 0, FaultKind::Empty, "needs two reads");
    assert!(source.origin().unwrap().to_string().contains("no cgroup of version 2"));
}

#[test]
fn rates_are_per_second_by_the_files_of_all_kernels() {
    let machine = Machine::new();
    let of = |measure| source(&machine, measure).machine();
    let refaults = of(MemoryMeasure::Refaults);
    let (faults, major) = (of(MemoryMeasure::Faults), of(MemoryMeasure::MajorFaults));
    let kills = of(MemoryMeasure::OomKills);
    let all = [&refaults, &faults, &major, &kills];
    let text = fixture("vmstat-6.18");
    machine.write("proc/vmstat", &text);
    for source in all {
        fault(source, 0, FaultKind::Empty, "needs two reads");
    }
    machine.up(1015.0);
    let later = text
        .replace("workingset_refault_anon 0", "workingset_refault_anon 30")
        .replace("workingset_refault_file 30986504", "workingset_refault_file 30986549")
        .replace("pgfault 1722398462", "pgfault 1722401462")
        .replace("pgmajfault 251926", "pgmajfault 251929")
        .replace("oom_kill 1", "oom_kill 2");
    machine.write("proc/vmstat", &later);
    assert_eq!(all.map(|source| value(source, 15)), [5.0, 200.0, 0.2, 0.067]);

    // Before Linux 5.9 there was one counter of refaults; the source lives through that, too.
    let older = of(MemoryMeasure::Refaults);
    machine.write("proc/vmstat", "pgfault 9\nworkingset_refault 40\nworkingset_activate 7\n");
    fault(&older, 30, FaultKind::Empty, "needs two reads");
    machine.up(1017.5);
    machine.write("proc/vmstat", "pgfault 9\nworkingset_refault 45\nworkingset_activate 7\n");
    assert_eq!(value(&older, 32), 2.0);

    machine.write("proc/vmstat", "nr_free_pages 9\n");
    let source = of(MemoryMeasure::Refaults);
    fault(&source, 0, FaultKind::Unsupported, "no workingset_refault_anon");
}

#[test]
fn a_cgroup_tells_how_often_it_was_slowed_and_killed() {
    let machine = Machine::new();
    let folder = "cgroup/shop/db/memory.events";
    machine.write(folder, "low 0\nhigh 10\nmax 0\noom 1\noom_kill 1\noom_group_kill 0\n");
    let of = |measure| source(&machine, measure).cgroup(machine.path("cgroup/shop/db"));
    let (high, kills) = (of(MemoryMeasure::HighEvents), of(MemoryMeasure::OomKills));
    fault(&high, 0, FaultKind::Empty, "needs two reads");
    fault(&kills, 0, FaultKind::Empty, "needs two reads");
    machine.up(1010.0);
    machine.write(folder, "low 0\nhigh 60\nmax 0\noom 2\noom_kill 2\noom_group_kill 0\n");
    assert_eq!((value(&high, 10), value(&kills, 10)), (5.0, 0.1));

    // The machine has no `memory.high`, and so nothing stands in for it.
    let here = source(&machine, MemoryMeasure::HighEvents);
    fault(&here, 0, FaultKind::Unsupported, "cgroup");
    fault(&here.machine(), 0, FaultKind::Unsupported, "no such counter");
}

#[test]
fn another_cgroup_or_another_quantity_never_stands_in() {
    let machine = Machine::new();
    machine.in_cgroup();
    machine.write("proc/vmstat", &fixture("vmstat-6.18"));
    let stalled = source(&machine, MemoryMeasure::SomeStalled);
    let remedy = "pressure/memory: No such file or directory (os error 2); it needs Linux 4.20";
    fault(&stalled, 0, FaultKind::Unsupported, remedy);
    assert_eq!(stalled.origin(), None);

    machine.stalled("proc/pressure/memory", 0, 0);
    let gone = source(&machine, MemoryMeasure::SomeStalled).cgroup(machine.path("cgroup/gone"));
    fault(&gone, 0, FaultKind::Unsupported, "cgroup/gone/memory.pressure");
    fault(&gone, 15, FaultKind::Unsupported, "it needs cgroup v2");
}

#[test]
fn a_counter_that_went_back_is_unknown_once_and_never_negative() {
    let machine = Machine::new();
    machine.stalled("proc/pressure/memory", 8_000_000, 0);
    let source = source(&machine, MemoryMeasure::SomeStalled).machine();
    let step = |second: u16, total| {
        machine.up(1000.0 + f64::from(second));
        machine.stalled("proc/pressure/memory", total, 0);
    };
    fault(&source, 0, FaultKind::Empty, "needs two reads");
    step(10, 1_000_000);
    fault(&source, 10, FaultKind::NotANumber, "went from 8000000 to 1000000: it was reset");
    step(20, 2_000_000);
    assert_eq!(value(&source, 20), 10.0);
}

#[test]
fn a_cgroup_that_vanishes_is_unknown_before_the_machine_speaks_for_it() {
    let machine = Machine::new();
    machine.in_cgroup();
    let file = "cgroup/shop/api/memory.pressure";
    machine.stalled(file, 1_000_000, 0);
    machine.stalled("proc/pressure/memory", 50_000_000, 0);
    let source = source(&machine, MemoryMeasure::SomeStalled);
    fault(&source, 0, FaultKind::Empty, "needs two reads");
    machine.remove(file);
    machine.up(1010.0);
    fault(&source, 10, FaultKind::Unsupported, "memory.pressure: No such file");
    machine.up(1020.0);
    fault(&source, 20, FaultKind::Empty, "proc/pressure/memory: needs two reads");
    machine.stalled("proc/pressure/memory", 51_000_000, 0);
    machine.up(1030.0);
    assert_eq!(value(&source, 30), 10.0);
    // Once chosen it stays, so that the number keeps its meaning.
    machine.stalled(file, 1_000_000, 0);
    machine.up(1040.0);
    assert_eq!(value(&source, 40), 0.0);
    assert!(source.origin().unwrap().from.ends_with("proc/pressure/memory"));
}

#[test]
fn a_wall_clock_that_is_set_changes_no_rate() {
    let machine = Machine::new();
    machine.stalled("proc/pressure/memory", 0, 0);
    let source = source(&machine, MemoryMeasure::SomeStalled).machine();
    fault(&source, 100_000, FaultKind::Empty, "needs two reads");
    machine.up(1010.0);
    machine.stalled("proc/pressure/memory", 4_000_000, 0);
    assert_eq!(value(&source, 200_000), 40.0, "a day ahead");
    machine.up(1020.0);
    machine.stalled("proc/pressure/memory", 8_000_000, 0);
    assert_eq!(value(&source, 5), 40.0, "and back");
}

#[test]
fn what_no_kernel_writes_names_file_and_line_and_is_bounded() {
    let machine = Machine::new();
    let source = |measure| source(&machine, measure).machine();
    let stalled = source(MemoryMeasure::SomeStalled);
    machine.stalled("proc/pressure/memory", 0, 0);
    fault(&stalled, 0, FaultKind::Empty, "needs two reads");
    machine.write("proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=-5\n");
    machine.up(1010.0);
    fault(&stalled, 10, FaultKind::Malformed, "proc/pressure/memory:1: `-5` is no time");
    machine.write("proc/pressure/memory", &" ".repeat((4 << 20) + 1));
    fault(&stalled, 10, FaultKind::TooLarge, "more than 4194304 bytes");
    machine.stalled("proc/pressure/memory", 1_000_000, 0);
    assert_eq!(value(&stalled, 10), 10.0, "and goes on");

    machine.write("proc/vmstat", "pgfault 7\npgmajfault many\n");
    fault(&source(MemoryMeasure::MajorFaults), 0, FaultKind::Malformed, "proc/vmstat:2: `many`");
    machine.write("proc/uptime", "soon\n");
    fault(&source(MemoryMeasure::Faults), 0, FaultKind::Malformed, "proc/uptime:1: `soon`");
}

#[test]
fn pressure_that_cannot_be_read_vetoes_a_scale_down() {
    let machine = Machine::new();
    machine.stalled("proc/pressure/memory", 0, 0);
    let source = source(&machine, MemoryMeasure::SomeStalled).machine();
    let mut spec = prompt();
    spec.metrics = vec![MetricSpec::average("memory", Milli(10_000))];
    let mut decider = Decider::new(spec).unwrap();
    let mut replicas = |second| {
        let now = at(second);
        let signal =
            read(&source, second).unwrap_or_else(|f| Signal::failed("memory", f.kind(), now));
        let seen = Observation::new(Replicas::ready(4)).signal(signal);
        decider.decide(&seen, now).to
    };
    assert_eq!(replicas(0), 4, "the first read is no calm");
    machine.remove("proc/pressure/memory");
    machine.up(1015.0);
    assert_eq!(replicas(15), 4);
    machine.stalled("proc/pressure/memory", 0, 0);
    machine.up(1030.0);
    assert_eq!(replicas(30), 4);
    machine.up(1045.0);
    assert_eq!(replicas(45), 1, "known calm");
}

#[test]
fn pressure_files_are_data_for_others_too() {
    let text = "some avg10=17.16 avg60=42.13 avg300=41.49 total=12603317363\n\
                full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
    let psi = Psi::parse(text, "/proc/pressure/cpu").unwrap();
    assert_eq!(
        (psi.some.avg10, psi.some.avg60, psi.some.avg300),
        (Milli(17_160), Milli(42_130), Milli(41_490))
    );
    assert_eq!(psi.some.total.as_micros(), 12_603_317_363);
}
