//! StatsD by splitting strings and keeping everything: what the parser and the windows are held against, here and by
//! `fuzz/fuzz_targets/statsd.rs`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use birl_scaler::statsd::{Aggregator, Limits, Refused, Statistic, Watch, WatchId};
use birl_scaler::{Milli, Signal};

/// An aggregator and its twin, and what they watch.
pub(crate) struct Pair {
    ours: Aggregator,
    watches: Vec<(WatchId, Watched)>,
    counts: BTreeMap<String, u64>,
    now: u64,
}

struct Watched {
    watch: Watch,
    instances: BTreeMap<String, Vec<(u64, Line)>>,
}

/// By instance the statistic, and how large the numbers are that it was added up from.
type Told = BTreeMap<String, (Option<f64>, f64)>;

#[derive(Clone)]
struct Line {
    name: String,
    kind: String,
    values: Vec<String>,
    rate: f64,
    tags: Vec<(String, String)>,
    /// What a gauge is afterwards.
    level: f64,
}

/// One of each statistic, with and without tags and instances; `c`, `g`, `t` and `s` are what lines are named.
pub(crate) fn watches() -> Vec<Watch> {
    let minute = Duration::from_secs(60);
    vec![
        Watch::new("rate", "c", Statistic::Rate).instance("pod"),
        Watch::new("all", "c", Statistic::Rate)
            .tag("env", "x")
            .window(minute / 6)
            .max_age(minute / 3),
        Watch::new("value", "g", Statistic::Value).instance("pod").max_age(minute / 2),
        Watch::new("count", "t", Statistic::Count).instance("pod").max_age(minute * 5),
        Watch::new("mean", "t", Statistic::Mean),
        Watch::new("p50", "t", Statistic::P50).window(minute * 2),
        Watch::new("p99", "t", Statistic::P99).instance("pod"),
        Watch::new("members", "s", Statistic::Cardinality).tag("env", ""),
    ]
}

impl Pair {
    /// Both of them, watching the same.
    pub(crate) fn new() -> Self {
        let mut ours = Aggregator::new(Limits::default().series(1 << 20).bytes(1 << 30));
        let watch = |watch: Watch| {
            let id = ours.watch(watch.clone()).unwrap();
            (id, Watched { watch, instances: BTreeMap::new() })
        };
        let watches = watches().into_iter().map(watch).collect();
        Self { ours, watches, counts: BTreeMap::new(), now: 1_795_420_800_000 }
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, millis: u64) {
        self.now += millis;
    }

    /// Hands a packet to both.
    pub(crate) fn packet(&mut self, packet: &[u8]) {
        self.ours.packet(packet, self.clock());
        for line in packet.split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let outcome = match parse(line) {
                Ok(line) => self.record(&line),
                Err(why) => why.to_owned(),
            };
            *self.counts.entry(outcome).or_default() += 1;
        }
    }

    /// Whether both tell the same.
    pub(crate) fn compare(&mut self) {
        let counts = self.ours.counts();
        let mut told = BTreeMap::from([
            ("taken".to_owned(), counts.taken),
            ("unwatched".to_owned(), counts.unwatched),
            ("event".to_owned(), counts.events),
            ("check".to_owned(), counts.checks),
        ]);
        told.extend(Refused::ALL.map(|why| (why.as_str().to_owned(), counts.refused(why))));
        assert_eq!(told.values().sum::<u64>(), counts.lines);
        told.retain(|_, count| *count > 0);
        assert_eq!(told, self.counts);
        let now = self.clock();
        for (id, twin) in &self.watches {
            let ours = self.ours.read(*id, now).ok();
            let told = twin.signal(self.now);
            assert_eq!(ours.is_some(), told.is_some(), "{:?}: {ours:?}, {told:?}", twin.watch);
            if let (Some(ours), Some((at, told))) = (ours, told) {
                assert_eq!(ours.at, UNIX_EPOCH + Duration::from_millis(at));
                same(&ours, &told, &twin.watch);
            }
        }
    }

    fn clock(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.now)
    }

    fn record(&mut self, line: &Line) -> String {
        let mut outcomes = Vec::new();
        for (_, watched) in &mut self.watches {
            let Watch { metric, tags, .. } = &watched.watch;
            let has = |(name, value): (&_, &_)| line.tag(name) == Some(value);
            if line.name == **metric && tags.iter().map(|(n, v)| (&**n, &**v)).all(has) {
                outcomes.push(watched.record(line.clone(), self.now));
            }
        }
        let taken = outcomes.iter().find(|outcome| **outcome == "taken");
        taken.or(outcomes.last()).map_or("unwatched", |outcome| outcome).to_owned()
    }
}

fn same(ours: &Signal, told: &Told, watch: &Watch) {
    let names: Vec<_> = ours.samples.iter().map(|sample| &*sample.instance).collect();
    assert_eq!(names, told.keys().collect::<Vec<_>>(), "{watch:?}");
    let percentile = [Statistic::P50, Statistic::P99].contains(&watch.statistic);
    let off = if percentile { 1.0 / 128.0 } else { 1e-9 };
    for (sample, (name, told)) in ours.samples.iter().zip(told) {
        let (told, of) = *told;
        let told = told.filter(|told| Milli::from_f64(*told).is_some());
        let value = sample.value.map(Milli::as_f64);
        // A sum of large numbers that come to little may be on either side of zero.
        let off = 0.001 + of * off;
        let near = match (value, told) {
            (None, None) => true,
            // What is larger than thousandths go is held at their end.
            (Some(value), Some(told)) => {
                (value - told).abs() <= off || (value > 1e14 && told > 1e14)
            }
            (None, Some(one)) | (Some(one), None) => one <= off && of > 0.0 && !off.is_nan(),
        };
        assert!(near, "{watch:?} {name}: {value:?} for {told:?}");
    }
}

impl Watched {
    fn record(&mut self, mut line: Line, now: u64) -> &'static str {
        let kinds: &[&str] = match self.watch.statistic {
            Statistic::Rate => &["c"],
            Statistic::Value => &["g"],
            Statistic::Cardinality => &["s"],
            _ => &["ms", "h", "d"],
        };
        if !kinds.contains(&line.kind.as_str()) {
            return "other_type";
        }
        let instance = match &self.watch.instance {
            None => String::new(),
            Some(tag) => match line.tag(tag) {
                None => return "no_instance",
                Some(name) if name.is_empty() || name.len() > 253 => return "bad_instance",
                Some(name) if name.chars().any(char::is_control) => return "bad_instance",
                Some(name) => name.to_owned(),
            },
        };
        let age = self.watch.max_age.as_millis() as u64;
        let before = self.instances.get(&instance).map_or(&[][..], Vec::as_slice);
        let alive = before.last().is_some_and(|(at, _)| now - at <= 2 * age);
        if line.kind == "g" {
            let of_tags = |(_, other): &&(u64, Line)| other.sorted_tags() == line.sorted_tags();
            let last = before.iter().rev().find(of_tags).filter(|(at, _)| now - at <= 2 * age);
            let mut level = last.filter(|_| alive).map(|(_, last)| last.level);
            for text in &line.values {
                let number: f64 = text.parse().unwrap();
                level = match level {
                    _ if !text.starts_with(['+', '-']) => Some(number),
                    Some(level) => Some(level + number),
                    None => return "no_base",
                };
            }
            line.level = level.unwrap();
        }
        let lines = self.instances.entry(instance).or_default();
        if !alive {
            lines.clear();
        }
        lines.push((now, line));
        "taken"
    }

    fn signal(&self, now: u64) -> Option<(u64, Told)> {
        let age = self.watch.max_age.as_millis() as u64;
        let mut newest = None;
        let mut samples = BTreeMap::new();
        for (name, lines) in &self.instances {
            let (last, _) = lines.last()?;
            if now - last > 2 * age {
                continue;
            }
            let speaks = now - last <= age;
            let (value, of) = self.value(lines, now);
            samples.insert(name.clone(), (value.filter(|_| speaks), of));
            newest = newest.max(speaks.then_some(*last));
        }
        Some((newest?, samples))
    }

    /// The statistic, and how large the numbers are that it was added up from.
    fn value(&self, lines: &[(u64, Line)], now: u64) -> (Option<f64>, f64) {
        let age = self.watch.max_age.as_millis() as u64;
        let window = self.watch.window.as_millis() as u64;
        let nanos = window * 1_000_000 / 6;
        let part = |at: u64| at * 1_000_000 / nanos;
        if self.watch.statistic == Statistic::Value {
            let mut levels: BTreeMap<_, (u64, f64)> = BTreeMap::new();
            for (at, line) in lines.iter().filter(|(at, _)| now - at <= 2 * age) {
                levels.insert(line.sorted_tags(), (*at, line.level));
            }
            let silent = levels.values().any(|(at, _)| now - at > age);
            let levels = levels.values().map(|(_, level)| *level);
            return ((!silent).then(|| levels.clone().sum()), levels.map(f64::abs).sum());
        }
        // Where a window passed without anything, it begins anew.
        let gap = |two: &[(u64, Line)]| part(two[1].0) - part(two[0].0) > 6;
        let begin = lines.windows(2).rposition(gap).map_or(0, |before| before + 1);
        let first = lines[begin].0;
        let lines: Vec<_> = lines.iter().filter(|(at, _)| part(*at) + 6 >= part(now)).collect();
        if lines.is_empty() {
            return (None, 0.0);
        }
        let covered = now * 1_000_000 - (first * 1_000_000).max((part(now) - 6) * nanos);
        let per_second =
            |sum: f64| (covered >= window * 250_000).then(|| sum / (covered as f64 / 1e9));
        let mut values: Vec<(f64, u64)> = Vec::new();
        let mut members = HashSet::new();
        for (_, line) in &lines {
            let weight = (1.0 / line.rate).round() as u64;
            members.extend(line.values.first());
            values.extend(line.values.iter().filter_map(|text| Some((text.parse().ok()?, weight))));
        }
        values.sort_by(|one, other| one.0.total_cmp(&other.0));
        let weight: u64 = values.iter().map(|(_, weight)| weight).sum();
        let rank = |percent: u64| {
            let mut left = (weight * percent).div_ceil(100);
            values.iter().find_map(|(value, weight)| {
                let here = *weight >= left;
                left = left.saturating_sub(*weight);
                here.then_some(*value)
            })
        };
        let told = match self.watch.statistic {
            Statistic::Rate => {
                let added = |line: &Line| {
                    let numbers = line.values.iter().map(|text| text.parse::<f64>().unwrap());
                    numbers.sum::<f64>() / line.rate
                };
                let of = lines.iter().map(|(_, line)| added(line).abs()).sum();
                return (per_second(lines.iter().map(|(_, line)| added(line)).sum()), of);
            }
            Statistic::Count => per_second(weight as f64 * (window as f64 / 1000.0)),
            Statistic::Mean => {
                let sum = values.iter().map(|(value, weight)| value * *weight as f64).sum::<f64>();
                Some(sum / weight as f64)
            }
            Statistic::P50 => rank(50),
            Statistic::P99 => rank(99),
            _ => Some(members.len() as f64),
        };
        (told, told.unwrap_or_default())
    }
}

impl Line {
    fn tag(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|(tag, _)| tag == name).map(|(_, value)| value.as_str())
    }

    fn sorted_tags(&self) -> Vec<String> {
        let mut tags: Vec<_> =
            self.tags.iter().map(|(tag, value)| format!("{tag}:{value}")).collect();
        tags.sort();
        tags
    }
}

fn parse(line: &[u8]) -> Result<Line, &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "not_utf8")?;
    if text.starts_with("_e{") {
        return Err("event");
    }
    if text.starts_with("_sc|") {
        return Err("check");
    }
    if text.starts_with([':', '|']) {
        return Err("no_name");
    }
    let (name, rest) = text.split_once(':').ok_or("no_value")?;
    if name.contains('|') {
        return Err("no_value");
    }
    let sections: Vec<_> = rest.split('|').collect();
    let [value, kind, others @ ..] = &sections[..] else { return Err("no_type") };
    if value.is_empty() {
        return Err("no_value");
    }
    let kinds = BTreeSet::from(["c", "g", "ms", "h", "d", "s"]);
    if !kinds.contains(kind) {
        return Err("unknown_type");
    }
    let (mut rates, mut lists) = (Vec::new(), Vec::new());
    for section in others {
        if let Some(text) = section.strip_prefix('@') {
            let rate = if text.len() <= 64 { text.parse().ok() } else { None };
            rates.push(rate.filter(|rate| (1e-6..=1.0).contains(rate)).ok_or("absurd_rate")?);
        } else if let Some(list) = section.strip_prefix('#') {
            lists.push(list);
        }
        if rates.len() > 1 || lists.len() > 1 {
            return Err("repeated");
        }
    }
    let values: Vec<_> = if *kind == "s" { vec![*value] } else { value.split(':').collect() };
    for text in values.iter().filter(|_| *kind != "s") {
        let number = if text.len() <= 64 { text.parse::<f64>().ok() } else { None };
        let number = number.filter(|number| number.is_finite()).ok_or("not_a_number")?;
        if ["ms", "h", "d"].contains(kind) && number < 0.0 {
            return Err("negative");
        }
        if ["ms", "h", "d"].contains(kind) && number >= 2_f64.powi(44) {
            return Err("too_large");
        }
    }
    let tag = |tag: &str| match tag.split_once(':') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (tag.to_owned(), String::new()),
    };
    let tags = lists.iter().flat_map(|list| list.split(',')).filter(|text| !text.is_empty());
    Ok(Line {
        name: name.to_owned(),
        kind: (*kind).to_owned(),
        values: values.iter().map(|text| (*text).to_owned()).collect(),
        rate: rates.first().copied().unwrap_or(1.0),
        tags: tags.map(tag).collect(),
        level: 0.0,
    })
}
