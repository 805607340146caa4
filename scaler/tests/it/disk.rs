//! Queues before disks: how deep, of which, and what is never taken for empty.

use birl_scaler::{DiskDepth, DiskQueue, FaultKind, Sample};

use crate::procfs::{Machine, fixture, read, value};

fn source(machine: &Machine) -> DiskQueue {
    DiskQueue::new("queue").proc(machine.proc())
}

#[track_caller]
fn fault(source: &DiskQueue, second: u64, kind: FaultKind, detail: &str) {
    let fault = read(source, second).unwrap_err();
    assert_eq!(fault.kind(), kind, "{fault}");
    assert!(fault.detail().contains(detail), "{fault}");
}

/// A device of Linux 4.17 or older: how many were completed, are in flight, and waited for how long.
fn disk(name: &str, completed: u64, in_flight: u64, waited: u64) -> String {
    format!("   8       0 {name} {completed} 0 0 0 0 0 0 0 {in_flight} 0 {waited}\n")
}

#[test]
fn the_mean_is_the_time_waited_over_the_time_passed() {
    let machine = Machine::new();
    let text = fixture("diskstats-6.18");
    machine.write("proc/diskstats", &text);
    let queue = source(&machine).instance("db-1");
    fault(&queue, 0, FaultKind::Empty, "proc/diskstats: needs two reads");
    machine.up(1015.0);
    // The partition and the compressed memory are deeper, and do not count.
    let later = text
        .replace(" vda 5550575", " vda 5550600")
        .replace(" 75326227 ", " 75363727 ")
        .replace(" 99326227 ", " 99999999 ")
        .replace(" 88000 ", " 99000 ");
    machine.write("proc/diskstats", &later);
    assert_eq!(value(&queue, 15), 2.5);
    assert_eq!(&*read(&queue, 15).unwrap().samples[0].instance, "db-1");
    machine.up(1030.0);
    let idle = later.replace(" 4198132 1 ", " 4198132 0 ");
    machine.write("proc/diskstats", &idle);
    assert_eq!(value(&queue, 30), 0.0, "nothing is on its way, and that is known");
}

#[test]
fn disks_of_all_kernels_are_found_and_only_disks() {
    for (file, disks) in [
        ("diskstats-6.18", vec!["vda"]),
        ("diskstats-4.19", vec!["sda", "sr0"]),
        ("diskstats-3.10", vec!["dm-0", "xvda"]),
    ] {
        let machine = Machine::new();
        machine.write("proc/diskstats", &fixture(file));
        let queue = source(&machine).each().depth(DiskDepth::InFlight);
        let found = read(&queue, 0).unwrap().samples;
        let names: Vec<_> = found.iter().map(|sample| &*sample.instance).collect();
        assert_eq!(names, disks, "{file}");
    }
}

#[test]
fn a_partition_or_a_loop_device_counts_when_it_is_named() {
    let machine = Machine::new();
    machine.write("proc/diskstats", &fixture("diskstats-6.18"));
    let of = |devices: &[&str]| source(&machine).depth(DiskDepth::InFlight).devices(devices);
    assert_eq!(value(&source(&machine).depth(DiskDepth::InFlight), 0), 1.0);
    assert_eq!(value(&of(&["vda1"]), 0), 9.0);
    assert_eq!(value(&of(&["vda1", "zram0", "loop0"]), 0), 9.0, "the deepest");
    let each = read(&of(&["zram0", "loop0"]).each(), 0).unwrap();
    assert_eq!(each.samples, [Sample::new("loop0", 0.0), Sample::new("zram0", 7.0)]);

    let there = "no device sdz; there are: loop0, loop1, vda, vda1, zram0";
    fault(&of(&["vda", "sdz"]), 0, FaultKind::Unsupported, there);
    machine.write("proc/diskstats", "7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n");
    fault(&source(&machine), 0, FaultKind::Unsupported, "no disk, name a device; there are: loop0");
}

#[test]
fn a_disk_that_hangs_is_not_an_empty_queue() {
    let machine = Machine::new();
    let queue = source(&machine);
    machine.write("proc/diskstats", &disk("sda", 100, 0, 5_000));
    fault(&queue, 0, FaultKind::Empty, "needs two reads");
    machine.up(1010.0);
    machine.write("proc/diskstats", &disk("sda", 100, 32, 5_000));
    assert_eq!(value(&queue, 10), 32.0, "nothing is completed, and so no time is added");
    machine.up(1020.0);
    machine.write("proc/diskstats", &disk("sda", 101, 31, 25_000));
    assert_eq!(value(&queue, 20), 2.0, "it moves again, and the kernel's mean is believed");
}

#[test]
fn a_disk_that_vanishes_or_begins_anew_is_unknown_and_one_that_comes_counts_later() {
    let machine = Machine::new();
    let (queue, each) = (source(&machine), source(&machine).each());
    let mut second = 0;
    let mut write = |disks: &[String]| {
        second += 10;
        machine.up(1000.0 + f64::from(second));
        machine.write("proc/diskstats", &disks.concat());
    };
    write(&[disk("sda", 1, 0, 1_000), disk("sdb", 1, 0, 1_000)]);
    fault(&queue, 10, FaultKind::Empty, "needs two reads");
    fault(&each, 10, FaultKind::Empty, "needs two reads");

    write(&[disk("sda", 2, 0, 11_000)]);
    fault(&queue, 20, FaultKind::Empty, "sdb has vanished");
    let samples = read(&each, 20).unwrap().samples;
    assert_eq!(samples, [Sample::new("sda", 1.0), Sample::unknown("sdb")]);

    write(&[disk("sda", 3, 0, 21_000), disk("sdb", 500, 0, 900_000)]);
    assert_eq!(value(&queue, 30), 1.0, "what sdb did before nobody has seen");

    write(&[disk("sda", 4, 0, 31_000), disk("sdb", 3, 0, 10)]);
    let reset = "column 14 of sdb went from 900000 to 10: it was reset";
    fault(&queue, 40, FaultKind::NotANumber, reset);

    write(&[disk("sda", 5, 0, 41_000), disk("sdb", 4, 0, 30_010)]);
    assert_eq!(value(&queue, 50), 3.0);

    let named = source(&machine).devices(["sdb"]);
    fault(&named, 50, FaultKind::Empty, "needs two reads");
    write(&[disk("sda", 6, 0, 51_000)]);
    fault(&named, 60, FaultKind::Unsupported, "no device sdb; there are: sda");
}

#[test]
fn what_no_kernel_writes_names_file_and_line() {
    let machine = Machine::new();
    let queue = source(&machine);
    fault(&queue, 0, FaultKind::Unsupported, "proc/diskstats: No such file");
    machine.write("proc/diskstats", &format!("{}8 1 sdb 1 2 3\n", disk("sda", 1, 0, 1)));
    fault(&queue, 0, FaultKind::Malformed, "proc/diskstats:2: 6 columns");
    machine.write("proc/diskstats", &disk("sda", 1, 0, 1).repeat(200_000));
    fault(&queue, 0, FaultKind::TooLarge, "more than 4194304 bytes");
}

/// Ten thousand devices, as on a large storage server, and each of them counts.
#[test]
fn a_great_many_disks_are_no_trouble() {
    let machine = Machine::new();
    let queue = source(&machine).depth(DiskDepth::InFlight);
    let disks = (0..10_000).map(|n| disk(&format!("dm-{n}"), 1, n, 1)).collect::<String>();
    machine.write("proc/diskstats", &disks);
    assert_eq!(value(&queue, 0), 9_999.0);
}
