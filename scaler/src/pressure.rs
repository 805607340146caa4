//! Memory pressure, as the kernel tells it of a cgroup or of the machine.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use crate::procfs::{self, Interval, Origin, Reading, moved};
use crate::signal::{DEFAULT_MAX_AGE, Sample, Signal};
use crate::source::{Fault, FaultKind, SignalSource};

mod measure;

pub use self::measure::MemoryMeasure;
use self::measure::Scale;

/// A signal of memory pressure: how much time tasks lost, or how many pages a second were missed,
/// between two reads.
///
/// It looks into the cgroup (version 2) that this process is in, and where the kernel tells nothing
/// there, at the whole machine; [`origin`](Self::origin) says which of the two it is, and why. Once
/// chosen it stays, so that a number does not change its meaning. [`cgroup`](Self::cgroup) and
/// [`machine`](Self::machine) choose one, and then there is no other.
///
/// Files and the kernels that have them are in [`procfs`]. The counters of a cgroup may be
/// two seconds late. A read takes some ten microseconds and waits for nothing.
///
/// The first read is a fault ([`FaultKind::Empty`]), since a rate needs two. A counter that is
/// smaller than before is a fault ([`FaultKind::NotANumber`]) that once. Reads that are nearer than
/// 100 ms are answered with the reading before.
///
/// ```no_run
/// use birl_scaler::{MemoryMeasure, MemoryPressure, SignalSource};
/// # async fn example() -> Result<(), birl_scaler::Fault> {
/// let stalled = MemoryPressure::new("memory_stalled", MemoryMeasure::SomeStalled);
/// # let now = std::time::SystemTime::UNIX_EPOCH;
/// let _first = stalled.read(now).await; // then every 15 s:
/// let signal = stalled.read(now).await?; // one sample: percent of the time in between
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct MemoryPressure {
    pub(crate) name: Arc<str>,
    pub(crate) instance: Arc<str>,
    pub(crate) max_age: Duration,
    pub(crate) scope: Scope,
    pub(crate) proc: PathBuf,
    measure: MemoryMeasure,
    state: Mutex<State>,
}

/// Whose memory it is about.
#[derive(Debug, Clone)]
pub(crate) enum Scope {
    /// This process's cgroup, else the machine.
    Here,
    Cgroup(PathBuf),
    Machine,
}

#[derive(Debug, Default)]
struct State {
    chosen: Option<Place>,
    interval: Interval<u64>,
}

/// The file that was chosen.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    remedy: &'static str,
    origin: Origin,
}

impl MemoryPressure {
    /// A source of the signal `name`, of the cgroup of this process, else of the machine.
    pub fn new(name: impl AsRef<str>, measure: MemoryMeasure) -> Self {
        Self {
            name: name.as_ref().into(),
            instance: Arc::default(),
            max_age: DEFAULT_MAX_AGE,
            scope: Scope::Here,
            proc: "/proc".into(),
            measure,
            state: Mutex::default(),
        }
    }

    /// Looks into the cgroup at `folder`, such as `/sys/fs/cgroup/system.slice/app.service`, and
    /// nowhere else: another's pressure would not be an answer.
    #[must_use]
    pub fn cgroup(mut self, folder: impl Into<PathBuf>) -> Self {
        self.scope = Scope::Cgroup(folder.into());
        self
    }

    /// Looks at the whole machine.
    #[must_use]
    pub fn machine(mut self) -> Self {
        self.scope = Scope::Machine;
        self
    }

    /// Sets whose value it is; nobody's by default.
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

    /// Sets where the process file system is; `/proc` by default. In a container the machine's own
    /// may be mounted elsewhere.
    #[must_use]
    pub fn proc(mut self, folder: impl Into<PathBuf>) -> Self {
        self.proc = folder.into();
        self
    }

    /// Where the numbers come from; `None` before a first read that found any.
    pub fn origin(&self) -> Option<Origin> {
        self.lock().chosen.as_ref().map(|place| place.origin.clone())
    }

    #[cfg(all(feature = "ebpf", target_os = "linux"))]
    pub(crate) fn measuring(mut self, measure: MemoryMeasure) -> Self {
        self.measure = measure;
        self
    }

    pub(crate) fn measure(&self, now: SystemTime) -> Result<Signal, Fault> {
        let mut state = self.lock();
        let State { chosen, interval } = &mut *state;
        let found = match chosen.take() {
            None => self.choose(),
            Some(place) => match self.count(&place.path, place.remedy) {
                Ok(count) => Ok((place, count)),
                Err(fault) if fault.kind() == FaultKind::Unsupported => {
                    // It has vanished: the next read chooses anew, and compares with nothing.
                    *interval = Interval::default();
                    Err(fault)
                }
                Err(fault) => {
                    *chosen = Some(place);
                    Err(fault)
                }
            },
        };
        let (place, count) = found?;
        let from = Arc::clone(&chosen.insert(place).origin.from);
        let up = procfs::uptime(&self.proc)?;
        let Reading { samples, at } =
            interval.turn(up, now, count, &from, |before, seen, over| {
                let count = moved(*before, *seen, "the counter", &from)?;
                let value = match self.measure.scale() {
                    // The two clocks are not read in one instant.
                    Scale::PercentOfTime => {
                        (count as f64 / over.as_micros() as f64 * 100.0).min(100.0)
                    }
                    Scale::PerSecond => count as f64 / over.as_secs_f64(),
                };
                Ok(vec![Sample::new(Arc::clone(&self.instance), value)])
            })?;
        Ok(Signal::new(&self.name, samples, at).max_age(self.max_age))
    }

    fn choose(&self) -> Result<(Place, u64), Fault> {
        let own = match &self.scope {
            Scope::Machine => return self.of_machine(None),
            Scope::Cgroup(folder) => return self.of_cgroup(folder),
            Scope::Here => procfs::own_cgroup(&self.proc),
        };
        own.and_then(|folder| self.of_cgroup(&folder)).or_else(|fault| match fault.kind() {
            FaultKind::Unsupported => self.of_machine(Some(&fault)),
            _ => Err(fault),
        })
    }

    fn of_cgroup(&self, folder: &Path) -> Result<(Place, u64), Fault> {
        let (file, remedy) = self.measure.in_cgroup();
        self.place(folder.join(file), remedy, None)
    }

    fn of_machine(&self, because: Option<&Fault>) -> Result<(Place, u64), Fault> {
        let Some((file, remedy)) = self.measure.in_proc() else {
            let detail = because.map_or("the machine has no such counter", Fault::detail);
            return Err(Fault::new(FaultKind::Unsupported, detail));
        };
        self.place(self.proc.join(file), remedy, because)
    }

    fn place(
        &self,
        path: PathBuf,
        remedy: &'static str,
        because: Option<&Fault>,
    ) -> Result<(Place, u64), Fault> {
        let count = self.count(&path, remedy)?;
        let origin = Origin::new(path.to_string_lossy(), because);
        Ok((Place { path, remedy, origin }, count))
    }

    fn count(&self, path: &Path, remedy: &str) -> Result<u64, Fault> {
        let text = procfs::text(path, procfs::MOST_BYTES, remedy)?;
        self.measure.count(&text, &path.to_string_lossy())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic beside it leaves at most an interval that begins anew.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SignalSource for MemoryPressure {
    fn name(&self) -> &str {
        &self.name
    }

    async fn read(&self, now: SystemTime) -> Result<Signal, Fault> {
        self.measure(now)
    }
}
