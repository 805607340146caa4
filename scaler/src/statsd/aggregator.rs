//! Takes packets in, keeps what is watched, and tells signals.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use foldhash::fast::RandomState;

use super::budget::Budget;
use super::counts::Counts;
use super::lack::Lack;
use super::line::{Line, Parsed, lines, parse};
use super::loss::{Loss, Traffic};
use super::refused::Refused;
use super::ring::{Nanos, nanos};
use super::series::{Room, Rule, Series};
use super::watch::{Statistic, Watch};
use crate::duration;
use crate::error::{Error, ErrorKind};
use crate::milli::Milli;
use crate::signal::{Sample, Signal};
use crate::source::{Fault, FaultKind};

/// The most watches at once.
const MAX_WATCHES: usize = 4096;

/// The longest name of an instance: that of a host, in bytes.
const LONGEST_INSTANCE: usize = 253;

/// How often a full table is looked through for silent series.
const SWEEP: Nanos = 1_000_000_000;

/// How much an [`Aggregator`] may hold. Series exist for what is watched alone: a flood of names that
/// nobody watches takes no room from anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Series: an instance of a watch each, and of gauges each set of other tags; 4096 by default.
    /// A watch of which one found no room is Unknown for a window: the rest is not the whole.
    pub series: usize,
    /// Bytes of sketches and sets, beside about 1.5 KiB for each series that has one; 16 MiB by
    /// default. A window that found no room is Unknown.
    pub bytes: usize,
}

/// Takes packets in, keeps what is watched, and tells signals. It reads no clock and does no I/O.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use birl_scaler::statsd::{Aggregator, Limits, Statistic, Watch};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut statsd = Aggregator::new(Limits::default());
/// let waiting = Watch::new("waiting", "shop.orders.waiting", Statistic::Value).instance("pod");
/// let waiting = statsd.watch(waiting)?;
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_420_800);
/// statsd.packet(b"shop.orders.waiting:41|g|#pod:a\nshop.orders.waiting:+1|g|#pod:a", now);
/// let signal = statsd.read(waiting, now)?;
/// assert_eq!((&*signal.samples[0].instance, signal.samples[0].value), ("a", Some(42.into())));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Aggregator {
    watches: BTreeMap<WatchId, Watched>,
    by_metric: HashMap<Arc<str>, Vec<WatchId>, RandomState>,
    next: u64,
    limits: Limits,
    budget: Budget,
    /// How many series there are.
    series: usize,
    swept: Option<Nanos>,
    counts: Counts,
}

/// A watch of one aggregator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(u64);

#[derive(Debug)]
struct Watched {
    rule: Rule,
    instances: HashMap<Arc<str>, Series, RandomState>,
    /// How many series those are.
    series: usize,
    loss: Loss,
    lack: Lack,
    last: Option<Nanos>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { series: 4096, bytes: 16 << 20 }
    }
}

impl Limits {
    /// Sets how many series there may be.
    #[must_use]
    pub fn series(mut self, most: usize) -> Self {
        self.series = most;
        self
    }

    /// Sets how many bytes sketches and sets may take.
    #[must_use]
    pub fn bytes(mut self, most: usize) -> Self {
        self.bytes = most;
        self
    }
}

impl Aggregator {
    /// One that watches nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            watches: BTreeMap::new(),
            by_metric: HashMap::default(),
            next: 0,
            limits,
            budget: Budget::new(limits.bytes),
            series: 0,
            swept: None,
            counts: Counts::default(),
        }
    }

    /// Watches from here on. What came before is not known.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSpec`] where the watch breaks a rule, [`ErrorKind::InvalidInput`] where
    /// there are 4096 already.
    pub fn watch(&mut self, watch: Watch) -> Result<WatchId, Error> {
        watch.validate()?;
        if self.watches.len() >= MAX_WATCHES {
            let message = format!(
                "statsd signal `{}`: there are {MAX_WATCHES} watches already; remove one first",
                watch.signal
            );
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let id = WatchId(self.next);
        self.next += 1;
        self.by_metric.entry(Arc::clone(&watch.metric)).or_default().push(id);
        let (rule, instances) = (Rule::new(watch), HashMap::default());
        let (loss, lack) = (Loss::default(), Lack::default());
        let watched = Watched { rule, instances, series: 0, loss, lack, last: None };
        self.watches.insert(id, watched);
        Ok(id)
    }

    /// Ends a watch and forgets what it held.
    pub fn unwatch(&mut self, id: WatchId) {
        let Some(gone) = self.watches.remove(&id) else { return };
        self.series -= gone.series;
        if let Some(ids) = self.by_metric.get_mut(&gone.rule.watch.metric) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_metric.remove(&gone.rule.watch.metric);
            }
        }
    }

    /// Takes in a packet: lines, one or several. Nothing in it is an error; what is not believed is
    /// counted.
    pub fn packet(&mut self, packet: &[u8], now: SystemTime) {
        self.counts.packets += 1;
        let now = nanos(now);
        for line in lines(packet) {
            self.line(line, now);
        }
    }

    /// Takes in the beginning of a packet that was longer than its buffer: all lines but the last,
    /// which is cut, and would mean something else.
    pub fn truncated(&mut self, beginning: &[u8], now: SystemTime) {
        self.counts.truncated += 1;
        let whole = memchr::memrchr(b'\n', beginning).unwrap_or(0);
        self.packet(beginning.get(..whole).unwrap_or_default(), now);
    }

    /// Counts packets that never came, since the kernel had no room for them. What they held is
    /// reckoned into rates and counts of the time, as if every other packet had told a little more;
    /// where more were lost than came, those are Unknown.
    pub fn dropped(&mut self, packets: u64) {
        self.counts.dropped += packets;
    }

    fn line(&mut self, line: &[u8], now: Nanos) {
        self.counts.lines += 1;
        let outcome = match parse(line) {
            Ok(Parsed::Metric(line)) => self.record(&line, now),
            Ok(Parsed::Event) => {
                self.counts.events += 1;
                return;
            }
            Ok(Parsed::ServiceCheck) => {
                self.counts.checks += 1;
                return;
            }
            Err(why) => Some(Err(why)),
        };
        match outcome {
            Some(Ok(())) => self.counts.taken += 1,
            Some(Err(why)) => self.counts.refuse(why),
            None => self.counts.unwatched += 1,
        }
    }

    /// What the watches made of it: taken if any took it; `None` where none is meant.
    fn record(&mut self, line: &Line<'_>, now: Nanos) -> Option<Result<(), Refused>> {
        if self.series >= self.limits.series {
            self.sweep_at_times(now);
        }
        let mut outcome = None;
        for id in self.by_metric.get(line.name())? {
            let Some(watched) = self.watches.get_mut(id).filter(|w| w.rule.watch.fits(line)) else {
                continue;
            };
            let room = Room {
                budget: &self.budget,
                series: self.limits.series.saturating_sub(self.series),
            };
            let before = watched.series;
            let recorded = watched.record(line, &room, now);
            watched.loss.note(Traffic::of(&self.counts), watched.rule.cut.part(now));
            self.series = self.series + watched.series - before;
            if outcome != Some(Ok(())) {
                outcome = Some(recorded);
            }
        }
        outcome
    }

    /// The signal of a watch: a sample from each instance, in the order of their names, and the time
    /// of the newest line. An instance that has gone silent is Unknown, and forgotten later.
    ///
    /// # Errors
    ///
    /// [`FaultKind::Empty`] where nothing has come that fits, or nothing within the watch's
    /// `max_age`; [`FaultKind::TooLarge`] where one of its series found no room within its window,
    /// so that what there is would tell too little; [`FaultKind::Unsupported`] where there is no such
    /// watch.
    pub fn read(&mut self, id: WatchId, now: SystemTime) -> Result<Signal, Fault> {
        let Some(watched) = self.watches.get_mut(&id) else {
            return Err(Fault::new(FaultKind::Unsupported, "this StatsD signal is not watched"));
        };
        let (now, before) = (nanos(now), watched.series);
        watched.forget(now);
        self.series = self.series + watched.series - before;
        watched.signal(Traffic::of(&self.counts), now)
    }

    /// What came in and what became of it.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many series there are.
    pub fn series(&self) -> usize {
        self.series
    }

    /// How many bytes sketches and sets have taken.
    pub fn bytes(&self) -> usize {
        self.limits.bytes.saturating_sub(self.budget.left())
    }

    /// Makes room, but not for every line: a flood of strangers would have everything looked through
    /// each time.
    fn sweep_at_times(&mut self, now: Nanos) {
        let lately = |swept: Nanos| swept.abs_diff(now) < SWEEP;
        if self.swept.is_some_and(lately) {
            return;
        }
        self.swept = Some(now);
        self.watches.values_mut().for_each(|watched| watched.forget(now));
        self.series = self.watches.values().map(|watched| watched.series).sum();
    }
}

impl Watched {
    fn record(&mut self, line: &Line<'_>, room: &Room<'_>, now: Nanos) -> Result<(), Refused> {
        let Self { rule, instances, lack, .. } = self;
        if !rule.watch.statistic.is_of(line.kind()) {
            return Err(Refused::OtherType);
        }
        let name = match &rule.watch.instance {
            Some(tag) => line.tag(tag).ok_or(Refused::NoInstance)?,
            None => "",
        };
        let known = instances.get_mut(name).filter(|series| !series.is_gone(rule, now));
        if let Some(series) = known {
            let before = series.count();
            let recorded = series.record(line, rule, room, now);
            // What finds no room in a sketch makes that series Unknown, and no other.
            if recorded == Err(Refused::TooManySeries) {
                lack.note(Refused::TooManySeries, now);
            }
            recorded?;
            self.series += series.count() - before;
        } else {
            let fits = !name.is_empty() && name.len() <= LONGEST_INSTANCE;
            if rule.watch.instance.is_some() && (!fits || name.contains(char::is_control)) {
                return Err(Refused::BadInstance);
            }
            let made = || {
                if room.series == 0 {
                    return Err(Refused::TooManySeries);
                }
                let mut series = Series::new(rule.watch.statistic, now);
                series.record(line, rule, room, now).map(|()| series)
            };
            let series = made().inspect_err(|why| lack.note(*why, now))?;
            let gone = instances.insert(name.into(), series);
            self.series = self.series + 1 - gone.map_or(0, |gone| gone.count());
        }
        self.last = Some(now);
        Ok(())
    }

    /// Forgets who has been silent for long.
    fn forget(&mut self, now: Nanos) {
        let rule = &self.rule;
        self.instances.retain(|_, series| {
            series.forget(rule, now);
            !series.is_gone(rule, now)
        });
        self.series = self.instances.values().map(Series::count).sum();
    }

    fn signal(&self, traffic: Traffic, now: Nanos) -> Result<Signal, Fault> {
        let Watch { signal, max_age, .. } = &self.rule.watch;
        if let Some(detail) = self.lack.sentence(&self.rule, now) {
            return Err(Fault::new(FaultKind::TooLarge, detail));
        }
        let speaks = |series: &&Series| !series.is_silent(&self.rule, now);
        let newest = self.instances.values().filter(speaks).map(Series::last).max();
        let Some(at) = newest else {
            return Err(Fault::new(FaultKind::Empty, Silence(self, now).to_string()));
        };
        // How often each packet that came must count, so that those that were lost are counted, too.
        let factor = match self.rule.watch.statistic {
            Statistic::Rate | Statistic::Count | Statistic::Cardinality => {
                self.loss.factor(traffic, self.rule.cut.part(now))
            }
            _ => Some(1.0),
        };
        // A member that was lost is another than those that came, or one of them.
        let factor = factor.map(|factor| match self.rule.watch.statistic {
            Statistic::Cardinality => 1.0,
            _ => factor,
        });
        let value = |series: &Series| Milli::from_f64(series.value(&self.rule, now)? * factor?);
        let mut samples: Vec<_> = self
            .instances
            .iter()
            .map(|(instance, series)| Sample::of(Arc::clone(instance), value(series)))
            .collect();
        samples.sort_unstable_by(|one, other| one.instance.cmp(&other.instance));
        let at = UNIX_EPOCH + Duration::from_nanos(at);
        Ok(Signal::new(signal, samples, at).max_age(*max_age))
    }
}

/// Why there is nothing to tell.
struct Silence<'a>(&'a Watched, Nanos);

impl fmt::Display for Silence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Watched { rule, last, .. }, now) = self;
        let Watch { metric, statistic, tags, instance, .. } = &rule.watch;
        write!(f, "no line of `{metric}` that makes a {statistic}")?;
        for (n, (name, value)) in tags.iter().enumerate() {
            write!(f, "{}{name}:{value}", if n == 0 { " with tags " } else { "," })?;
        }
        if let Some(tag) = instance {
            write!(f, ", told apart by `{tag}`,")?;
        }
        match last {
            Some(last) => {
                let silent = Duration::from_nanos(now.saturating_sub(*last));
                write!(f, " has come for {}", duration::format(silent))
            }
            None => f.write_str(" has come yet"),
        }
    }
}
