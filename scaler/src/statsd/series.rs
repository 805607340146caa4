//! What is known of one instance.

use std::collections::BTreeMap;
use std::hash::BuildHasher as _;

use foldhash::quality::FixedState;

use super::budget::Budget;
use super::distinct::Distinct;
use super::line::Line;
use super::refused::Refused;
use super::ring::{Cut, Nanos, PARTS, Ring, length};
use super::sketch::{Sketch, Together};
use super::watch::{Statistic, Watch};

/// A rate over less than this part of a window is not told: the first packet of a client that keeps
/// lines back may hold many seconds' worth.
const WARM_UP: u32 = 4;

/// What is known of one instance.
#[derive(Debug)]
pub(super) struct Series {
    /// When it was first heard of, or when the clock was last set so that nothing before counts.
    first: Nanos,
    last: Nanos,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Added(Ring<f64>),
    /// By their tags.
    Levels(BTreeMap<u64, Level>),
    Sampled(Box<Ring<Sketch>>),
    Members(Box<Ring<Distinct>>),
}

#[derive(Debug, Clone, Copy)]
struct Level {
    value: f64,
    at: Nanos,
}

/// A watch, with what it says of time reckoned out once.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) watch: Watch,
    pub(super) cut: Cut,
    /// Who is silent for longer is Unknown.
    pub(super) max_age: Nanos,
}

/// What a series may take of what all share.
pub(super) struct Room<'a> {
    pub(super) budget: &'a Budget,
    /// How many more gauges there may be.
    pub(super) series: usize,
}

impl Rule {
    pub(super) fn new(watch: Watch) -> Self {
        let (cut, max_age) = (Cut::new(watch.window), length(watch.max_age));
        Self { watch, cut, max_age }
    }

    /// Whether who spoke last at `last` is Unknown.
    pub(super) fn is_silent(&self, last: Nanos, now: Nanos) -> bool {
        is_silent(last, self.max_age, now)
    }

    /// Whether it has been silent for twice as long, and is forgotten.
    fn is_gone(&self, last: Nanos, now: Nanos) -> bool {
        is_silent(last, self.max_age.saturating_mul(2), now)
    }
}

impl Series {
    pub(super) fn new(statistic: Statistic, now: Nanos) -> Self {
        let values = match statistic {
            Statistic::Rate => Values::Added(Ring::default()),
            Statistic::Value => Values::Levels(BTreeMap::new()),
            Statistic::Cardinality => Values::Members(Box::default()),
            _ => Values::Sampled(Box::default()),
        };
        Self { first: now, last: now, values }
    }

    /// Takes in a line whose kind is that of the statistic.
    pub(super) fn record(
        &mut self,
        line: &Line<'_>,
        rule: &Rule,
        room: &Room<'_>,
        now: Nanos,
    ) -> Result<(), Refused> {
        let part = rule.cut.part(now);
        let (outcome, anew) = match &mut self.values {
            Values::Added(ring) => {
                let (sum, anew) = ring.fill(part);
                let added: f64 = line.values().map(|value| value.number).sum();
                *sum += added / line.rate();
                (Ok(()), anew)
            }
            Values::Levels(levels) => (level(levels, line, rule, room, now), false),
            Values::Sampled(ring) => {
                let (sketch, anew) = ring.fill(part);
                let weight = line.weight();
                let mut values = line.values();
                (values.try_for_each(|v| sketch.record(v.number, weight, room.budget)), anew)
            }
            Values::Members(ring) => {
                let (members, anew) = ring.fill(part);
                (members.record(line.member(), room.budget), anew)
            }
        };
        if outcome.is_ok() {
            self.first = if anew { now } else { self.first.min(now) };
            self.last = now;
        }
        outcome
    }

    /// When it was last heard of.
    pub(super) fn last(&self) -> Nanos {
        self.last
    }

    /// Whether it has been silent for so long that it is Unknown.
    pub(super) fn is_silent(&self, rule: &Rule, now: Nanos) -> bool {
        rule.is_silent(self.last, now)
    }

    /// Whether it has been silent for twice as long, and is as good as gone.
    pub(super) fn is_gone(&self, rule: &Rule, now: Nanos) -> bool {
        rule.is_gone(self.last, now)
    }

    /// Forgets gauges that are gone.
    pub(super) fn forget(&mut self, rule: &Rule, now: Nanos) {
        if let Values::Levels(levels) = &mut self.values {
            levels.retain(|_, level| !rule.is_gone(level.at, now));
        }
    }

    /// How many series it counts as.
    pub(super) fn count(&self) -> usize {
        match &self.values {
            Values::Levels(levels) => levels.len().max(1),
            _ => 1,
        }
    }

    /// The statistic at `now`; `None` is Unknown.
    pub(super) fn value(&self, rule: &Rule, now: Nanos) -> Option<f64> {
        if self.is_silent(rule, now) {
            return None;
        }
        let Rule { watch, cut, .. } = rule;
        let part = cut.part(now);
        let covered = cut.covered(self.first, now);
        if !matches!(self.values, Values::Levels(_)) && cut.part(self.last) + PARTS < part {
            // Nothing came in all of the window. That nothing happened, nobody said.
            return None;
        }
        let per_second =
            |sum: f64| (covered >= watch.window / WARM_UP).then(|| sum / covered.as_secs_f64());
        match &self.values {
            Values::Added(ring) => per_second(ring.live(part).sum()),
            Values::Levels(levels) => {
                let silent = |level: &Level| rule.is_silent(level.at, now);
                let known = !levels.is_empty() && !levels.values().any(silent);
                known.then(|| levels.values().map(|level| level.value).sum())
            }
            Values::Sampled(ring) => {
                let together = Together::of(ring.live(part))?;
                match (watch.statistic, watch.statistic.percent()) {
                    (_, Some(percent)) => together.percentile(percent),
                    (Statistic::Mean, _) => together.mean(),
                    _ => per_second(together.weight() as f64 * watch.window.as_secs_f64()),
                }
            }
            Values::Members(ring) => Distinct::together(ring.live(part)),
        }
    }
}

/// What lies far ahead is a wrong clock; it must not be believed until then.
fn is_silent(last: Nanos, max_age: Nanos, now: Nanos) -> bool {
    last.abs_diff(now) > max_age
}

fn level(
    levels: &mut BTreeMap<u64, Level>,
    line: &Line<'_>,
    rule: &Rule,
    room: &Room<'_>,
    now: Nanos,
) -> Result<(), Refused> {
    let tags = tags(line);
    let full = room.series == 0 && !levels.is_empty();
    if full && !levels.contains_key(&tags) {
        return Err(Refused::TooManySeries);
    }
    let held = levels.get(&tags).filter(|level| !rule.is_gone(level.at, now));
    let mut value = held.map(|level| level.value);
    for next in line.values() {
        value = match (next.signed, value) {
            (false, _) => Some(next.number),
            (true, Some(base)) => Some(base + next.number),
            (true, None) => return Err(Refused::NoBase),
        };
    }
    if let Some(value) = value {
        levels.insert(tags, Level { value, at: now });
    }
    Ok(())
}

/// The same for the same tags in any order, in every process.
fn tags(line: &Line<'_>) -> u64 {
    let hasher = FixedState::with_seed(0);
    line.tags().map(|tag| hasher.hash_one(tag)).fold(0, u64::wrapping_add)
}
