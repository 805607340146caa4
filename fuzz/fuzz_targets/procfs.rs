//! Files of the kernel: what is read is what is written there, and what is not read is named.
#![no_main]

use birl_scaler::procfs::{Counters, Disk, Psi};
use libfuzzer_sys::fuzz_target;

const FILE: &str = "file";

fuzz_target!(|text: &str| {
    match Psi::parse(text, FILE) {
        Ok(psi) => {
            let kinds = [("some", Some(psi.some)), ("full", psi.full)];
            let lines = kinds.iter().filter_map(|(kind, stall)| {
                let stall = (*stall)?;
                let averages = format!("avg10={} avg60={} avg300={}", stall.avg10, stall.avg60, stall.avg300);
                assert!([stall.avg10, stall.avg60, stall.avg300].iter().all(|share| share.0 <= 100_000));
                Some(format!("{kind} {averages} total={}\n", stall.total.as_micros()))
            });
            assert_eq!(Psi::parse(&lines.collect::<String>(), FILE), Ok(psi));
        }
        Err(fault) => named(fault.detail()),
    }
    for name in ["pgfault", "high", "oom_kill"] {
        let twin = text.lines().filter(|line| line.split(' ').next() == Some(name)).collect::<Vec<_>>();
        match Counters::new(text, FILE).get(name) {
            Ok(None) => assert!(twin.is_empty()),
            Ok(Some(count)) => {
                assert_eq!(twin.len(), 1);
                assert_eq!(twin[0].split_once(' ').unwrap().1.parse(), Ok(count));
            }
            Err(fault) => named(fault.detail()),
        }
    }
    match Disk::parse_all(text, FILE) {
        Ok(disks) => {
            let lines = text.lines().filter(|line| !line.is_empty());
            assert_eq!(lines.clone().count(), disks.len());
            for (line, disk) in lines.zip(disks) {
                let columns: Vec<_> = line.split_ascii_whitespace().collect();
                assert_eq!((columns[2], columns[11].parse()), (disk.device, Ok(disk.in_flight)));
                assert_eq!(columns[13].parse(), Ok(disk.weighted_ms));
                let place = |place: usize| columns.get(place).map_or(0, |text| text.parse::<u64>().unwrap());
                let completed = [3, 7, 14, 18].map(place).into_iter().fold(0, u64::saturating_add);
                assert_eq!(completed, disk.completed);
                assert!(disk.whole().is_none_or(|whole| disk.device.starts_with(whole)));
            }
        }
        Err(fault) => named(fault.detail()),
    }
});

/// File, line, and not more than a person would read.
fn named(detail: &str) {
    let line = detail.strip_prefix("file:").and_then(|rest| rest.split_once(": "));
    assert!(line.is_some_and(|(line, _)| line.parse::<usize>().is_ok()), "{detail}");
    assert!(detail.len() < 600, "{detail}");
}
