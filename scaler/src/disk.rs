//! How many requests wait for a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::procfs::{self, Disk, Interval, Reading, moved};
use crate::signal::{DEFAULT_MAX_AGE, Sample, Signal};
use crate::source::{Fault, FaultKind, SignalSource};

/// Block devices that are memory or a file, and no disk.
const NO_DISKS: [&str; 3] = ["loop", "ram", "zram"];

/// How many names of devices stand in an error.
const MOST_SHOWN: usize = 20;

/// A signal of the queues before disks, from `/proc/diskstats`.
///
/// By default it is the deepest queue of all disks, as the mean between two reads: the time that
/// requests waited and were served, over the time that passed (column 14, *weighted*; since Linux
/// 2.6.25). Loop devices, ram disks and partitions count when they are [named](Self::devices).
///
/// A disk that hangs completes nothing, and since Linux 5.0 the kernel adds a request's time when
/// it is completed. So where requests are on their way (column 12) and none was completed since
/// the read before, the queue is as deep as they are many, and not empty.
///
/// The first read is a fault ([`FaultKind::Empty`]), since a mean needs two. A device that has
/// vanished, or whose counters went back, makes that reading Unknown; the kernel keeps 32 bits of
/// the weighted time, so that this happens once in 49 days of one waiting request. A device that
/// is new counts from its second read on. Reads that are nearer than 100 ms are answered with the
/// reading before. A read takes some fifty microseconds and waits for no disk.
#[derive(Debug)]
pub struct DiskQueue {
    name: Arc<str>,
    devices: Vec<Arc<str>>,
    depth: DiskDepth,
    each: bool,
    instance: Arc<str>,
    max_age: Duration,
    proc: PathBuf,
    interval: Mutex<Interval<Devices>>,
}

/// How the depth of a queue is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DiskDepth {
    /// The mean between two reads.
    #[default]
    Mean,
    /// How many requests are on their way at this moment: a snapshot, which needs no second read.
    InFlight,
}

/// What is remembered of each device.
type Devices = BTreeMap<Arc<str>, Counts>;

#[derive(Debug, Clone, Copy)]
struct Counts {
    completed: u64,
    in_flight: u64,
    weighted_ms: u64,
}

impl DiskQueue {
    /// A source of the signal `name`: the deepest queue of all disks.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self {
            name: name.as_ref().into(),
            devices: Vec::new(),
            depth: DiskDepth::default(),
            each: false,
            instance: Arc::default(),
            max_age: DEFAULT_MAX_AGE,
            proc: "/proc".into(),
            interval: Mutex::default(),
        }
    }

    /// Looks at these devices only, such as `nvme0n1` or `sda2`. One that is not there is a fault.
    #[must_use]
    pub fn devices<D: AsRef<str>>(mut self, devices: impl IntoIterator<Item = D>) -> Self {
        self.devices = devices.into_iter().map(|device| device.as_ref().into()).collect();
        self
    }

    /// Sets how the depth is told; the mean by default.
    #[must_use]
    pub fn depth(mut self, depth: DiskDepth) -> Self {
        self.depth = depth;
        self
    }

    /// Gives a sample for each device, whose instance is the device's name, and not the deepest.
    #[must_use]
    pub fn each(mut self) -> Self {
        self.each = true;
        self
    }

    /// Sets whose value the deepest is; nobody's by default.
    #[must_use]
    pub fn instance(mut self, instance: impl AsRef<str>) -> Self {
        self.instance = instance.as_ref().into();
        self
    }

    /// Sets how long a reading is believed; a minute by default.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// Sets where the process file system is; `/proc` by default.
    #[must_use]
    pub fn proc(mut self, folder: impl Into<PathBuf>) -> Self {
        self.proc = folder.into();
        self
    }

    fn measure(&self, now: SystemTime) -> Result<Signal, Fault> {
        let path = self.proc.join("diskstats");
        let file = path.to_string_lossy();
        let text = procfs::text(&path, procfs::MOST_BYTES, "")?;
        let seen = self.watched(&Disk::parse_all(&text, &file)?, &file)?;
        let Reading { samples, at } = match self.depth {
            DiskDepth::InFlight => {
                let depths = seen.iter().map(|(disk, seen)| (disk, Ok(seen.in_flight as f64)));
                Reading { samples: self.samples(depths, &file)?, at: now }
            }
            DiskDepth::Mean => {
                let up = procfs::uptime(&self.proc)?;
                // A panic beside it leaves at most an interval that begins anew.
                let mut interval = self.interval.lock().unwrap_or_else(PoisonError::into_inner);
                interval.turn(up, now, seen, &file, |before, seen, over| {
                    let depths = before.iter().map(|(disk, before)| {
                        (disk, depth(disk, *before, seen.get(disk).copied(), over, &file))
                    });
                    self.samples(depths, &file)
                })?
            }
        };
        Ok(Signal::new(&self.name, samples, at).max_age(self.max_age))
    }

    /// The devices that are looked at, as they are now.
    fn watched(&self, disks: &[Disk<'_>], file: &str) -> Result<Devices, Fault> {
        let all: BTreeSet<_> = disks.iter().map(|disk| disk.device).collect();
        let missing = self.devices.iter().find(|device| !all.contains(&***device));
        let named = |disk: &&Disk<'_>| self.devices.iter().any(|device| **device == *disk.device);
        let whole = |disk: &&Disk<'_>| {
            !is_memory(disk.device) && disk.whole().is_none_or(|whole| !all.contains(whole))
        };
        let counts = |disk: &Disk<'_>| (Arc::from(disk.device), Counts::from(disk));
        let watched: Devices = if self.devices.is_empty() {
            disks.iter().filter(whole).map(counts).collect()
        } else {
            disks.iter().filter(named).map(counts).collect()
        };
        let what = match missing {
            Some(device) => format!("no device {device}"),
            None if watched.is_empty() => "no disk, name a device".into(),
            None => return Ok(watched),
        };
        let there: Vec<_> = all.into_iter().take(MOST_SHOWN).collect();
        let detail = format!("{file}: {what}; there are: {}", there.join(", "));
        Err(Fault::new(FaultKind::Unsupported, detail))
    }

    fn samples<'a>(
        &self,
        depths: impl Iterator<Item = (&'a Arc<str>, Result<f64, Fault>)>,
        file: &str,
    ) -> Result<Vec<Sample>, Fault> {
        if self.each {
            let sample = |(disk, depth): (&Arc<str>, Result<f64, Fault>)| match depth {
                Ok(depth) => Sample::new(Arc::clone(disk), depth),
                Err(_) => Sample::unknown(Arc::clone(disk)),
            };
            return Ok(depths.map(sample).collect());
        }
        let deepest =
            depths.map(|(_, depth)| depth).try_fold(None, |deepest: Option<f64>, depth| {
                depth.map(|depth| Some(deepest.map_or(depth, |deepest| deepest.max(depth))))
            })?;
        let nothing = || Fault::new(FaultKind::Empty, format!("{file}: no disk"));
        let deepest = deepest.ok_or_else(nothing)?;
        Ok(vec![Sample::new(Arc::clone(&self.instance), deepest)])
    }
}

impl From<&Disk<'_>> for Counts {
    fn from(disk: &Disk<'_>) -> Self {
        let Disk { completed, in_flight, weighted_ms, .. } = *disk;
        Self { completed, in_flight, weighted_ms }
    }
}

fn depth(
    disk: &str,
    before: Counts,
    seen: Option<Counts>,
    over: Duration,
    file: &str,
) -> Result<f64, Fault> {
    let vanished = || Fault::new(FaultKind::Empty, format!("{file}: {disk} has vanished"));
    let seen = seen.ok_or_else(vanished)?;
    let what = |name: &str| format!("{name} of {disk}");
    let waited = moved(before.weighted_ms, seen.weighted_ms, &what("column 14"), file)?;
    let completed = moved(before.completed, seen.completed, &what("the completed"), file)?;
    let mean = waited as f64 / (over.as_secs_f64() * 1000.0);
    Ok(if completed == 0 { mean.max(seen.in_flight as f64) } else { mean })
}

fn is_memory(device: &str) -> bool {
    let kind = device.trim_end_matches(|end: char| end.is_ascii_digit());
    NO_DISKS.contains(&kind)
}

#[async_trait]
impl SignalSource for DiskQueue {
    fn name(&self) -> &str {
        &self.name
    }

    async fn read(&self, now: SystemTime) -> Result<Signal, Fault> {
        self.measure(now)
    }
}
