//! The choice: which of the ways to a receiver is the nearest healthy one, and why.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::health::time;
use super::vitals::{SharedVitals, Vitals};
use super::{EndpointId, Endpoints, Health};
use crate::Status;
use crate::config::SlaTier;
use crate::topology::Distance;

/// So many of the endpoints that were passed over are named; more are counted.
const CUTS_NAMED: usize = 8;

/// One endpoint of a pool, as the configuration has it.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) id: EndpointId,
    /// Its place among the endpoints of the configuration.
    pub(crate) slot: usize,
    pub(crate) distance: Distance,
    /// The zones on the way there, in words, if a topology says so.
    pub(crate) way: Option<Arc<str>>,
    /// How many candidates of its pool are at its distance. [`arrange`] counts them.
    pub(crate) equals: usize,
}

/// The endpoint that was chosen, and why.
#[derive(Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) id: &'a EndpointId,
    pub(crate) why: Grounds<'a>,
}

/// Why an endpoint was chosen, as a part of a sentence; written where the sentence is.
#[derive(Debug)]
pub(crate) enum Grounds<'a> {
    Judged(Verdict<'a>),
    /// The last telling is still on its way there, and says this.
    Behind(Status),
}

/// What the choice rests on.
#[derive(Debug)]
pub(crate) struct Verdict<'a> {
    how: How,
    candidate: &'a Candidate,
    health: Health,
    rtt: Option<f64>,
    inside: bool,
    /// It belongs to the first step, and so is none of the `cuts`.
    good: bool,
    budget: Option<(SlaTier, Duration)>,
    cuts: Cuts<'a>,
}

/// The step at which an endpoint was found; in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    Healthy,
    Degraded,
    /// So many are down that being down counts no more than being degraded.
    Panic,
    /// None inside the tier is alive.
    Fastest,
    /// None is alive but those that asked to be spared.
    Spared,
    LeastBad,
}

/// A candidate as of one moment.
#[derive(Debug, Clone, Copy)]
struct Judged<'a> {
    candidate: &'a Candidate,
    shared: Option<&'a SharedVitals>,
    vitals: Vitals,
    health: Health,
    rtt: Option<f64>,
    inside: bool,
    spared: Option<u64>,
}

/// What was passed over, in the order of distance.
#[derive(Debug, Clone, Copy)]
struct Cuts<'a> {
    pool: &'a [Candidate],
    named: [Cut; CUTS_NAMED],
    all: usize,
}

#[derive(Debug, Clone, Copy)]
struct Cut {
    index: u32,
    /// Milliseconds, for one that is too slow.
    rtt: f32,
    cause: Cause,
}

#[derive(Debug, Clone, Copy)]
enum Cause {
    Tried,
    TooSlow,
    Spared,
    Degraded,
    Down,
}

/// Which endpoint is asked for.
#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    tried: &'a [EndpointId],
    now: u64,
    limit_ms: f64,
}

/// Two of those that are equally good, drawn as they come by, each with the same chance.
#[derive(Debug)]
struct Draw<'a> {
    distance: Option<Distance>,
    first: Option<Judged<'a>>,
    second: Option<Judged<'a>>,
    seen: u64,
    random: u64,
}

/// Sorts a pool: nearest first, and of those at one distance the first in the file.
pub(crate) fn arrange(pool: &mut [Candidate]) {
    pool.sort_by_key(|candidate| candidate.distance);
    for group in pool.chunk_by_mut(|one, other| one.distance == other.distance) {
        let equals = group.len();
        group.iter_mut().for_each(|candidate| candidate.equals = equals);
    }
}

impl Endpoints {
    /// Chooses among `pool`, which is [arranged](arrange), leaving out what was `tried` already. In this order:
    ///
    /// 1. The nearest that is up and inside the tier.
    /// 2. The nearest inside the tier that is degraded; or down, when more than half of those inside the tier are, and
    ///    one is degraded.
    /// 3. The fastest that is not down.
    /// 4. Of those that asked to be spared, the one whose time is over first. Until here they are passed over.
    /// 5. The one that failed least.
    ///
    /// `None` only if none is left. Of several at one distance in step 1 or 2 two are drawn, and the one is taken that is
    /// expected to be done sooner (power of two choices: peak round trip × notifications under way). `random` is what is
    /// drawn by: the same number, the same choice.
    ///
    /// It takes no lock, changes nothing and allocates nothing; each endpoint is judged by what was known of it at one
    /// moment.
    pub(crate) fn choose<'a>(
        &'a self,
        pool: &'a [Candidate],
        tier: Option<SlaTier>,
        tried: &[EndpointId],
        now: SystemTime,
        random: u64,
    ) -> Option<Choice<'a>> {
        let budget = tier.map(|tier| (tier, self.tiers.budget(tier)));
        let limit_ms = match tier {
            Some(tier) => self.limits_ms[usize::from(tier.number()) - 1],
            None => f64::INFINITY,
        };
        let question = Question { tried, now: time(now), limit_ms };
        let random = mixed(random);
        let mut cuts = Cuts::none(pool);
        let (how, found) = match self.nearest(pool, &question, random) {
            Some(found) => (How::Healthy, found),
            None => self.search(pool, &question, random, &mut cuts)?,
        };
        let Judged { candidate, health, rtt, inside, .. } = found;
        let good = found.is_good();
        let verdict = Verdict { how, candidate, health, rtt, inside, good, budget, cuts };
        Some(Choice { id: &candidate.id, why: Grounds::Judged(verdict) })
    }

    /// All is well, as nearly always: of those at the least distance two are drawn, and are good. Looks at no other.
    fn nearest<'a>(
        &'a self,
        pool: &'a [Candidate],
        question: &Question<'_>,
        random: u64,
    ) -> Option<Judged<'a>> {
        let first = pool.first()?;
        let equals = pool.get(..first.equals)?;
        let draw = |random: u64, of: usize| (((random & LOW) * of as u64) >> 32) as usize;
        let one = draw(random, equals.len());
        let found = self.judge(equals.get(one)?, question).filter(Judged::is_good)?;
        if equals.len() == 1 {
            return Some(found);
        }
        let other = draw(random >> 32, equals.len() - 1);
        let other = equals.get(if other < one { other } else { other + 1 })?;
        let other = self.judge(other, question).filter(Judged::is_good)?;
        Some(self.sooner(found, other, question.now))
    }

    /// Looks at one after the other, and keeps the best of each step, until one of the first step is found.
    fn search<'a>(
        &'a self,
        pool: &'a [Candidate],
        question: &Question<'_>,
        random: u64,
        cuts: &mut Cuts<'a>,
    ) -> Option<(How, Judged<'a>)> {
        let [mut healthy, mut degraded, mut any] = [0, 1, 2].map(|n| Draw::new(random, n));
        let mut fastest: Option<Judged<'a>> = None;
        let mut spared: Option<Judged<'a>> = None;
        let mut least_bad: Option<Judged<'a>> = None;
        let (mut inside, mut down) = (0, 0);
        for (index, candidate) in pool.iter().enumerate() {
            if healthy.distance.is_some_and(|distance| distance != candidate.distance) {
                break;
            }
            let Some(it) = self.judge(candidate, question) else {
                cuts.add(index, Cause::Tried, None);
                continue;
            };
            if let Some(cause) = it.cause() {
                cuts.add(index, cause, it.rtt);
            }
            inside += usize::from(it.inside);
            down += usize::from(it.inside && it.health == Health::Down);
            if it.is_good() {
                healthy.offer(it);
            }
            if it.inside && it.spared.is_none() && it.health != Health::Up {
                any.offer(it);
                if it.health == Health::Degraded {
                    degraded.offer(it);
                }
            }
            if it.health != Health::Down {
                let best = if it.spared.is_none() { &mut fastest } else { &mut spared };
                let rank = |it: &Judged<'_>| (it.spared, it.rtt.unwrap_or(0.0));
                if best.as_ref().is_none_or(|best| rank(&it) < rank(best)) {
                    *best = Some(it);
                }
            } else if least_bad
                .as_ref()
                .is_none_or(|best| it.vitals.failures < best.vitals.failures)
            {
                least_bad = Some(it);
            }
        }
        let now = question.now;
        // Were none of them alive, what is alive elsewhere would be better still.
        let panic = self.rules.is_panic(down, inside) && degraded.first.is_some();
        let in_panic = if panic { any.decide(self, now) } else { None };
        None.or_else(|| Some((How::Healthy, healthy.decide(self, now)?)))
            .or_else(|| Some((How::Panic, in_panic?)))
            .or_else(|| Some((How::Degraded, degraded.decide(self, now)?)))
            .or_else(|| Some((How::Fastest, fastest?)))
            .or_else(|| Some((How::Spared, spared?)))
            .or_else(|| Some((How::LeastBad, least_bad?)))
    }

    /// `None` if it was tried already.
    fn judge<'a>(
        &'a self,
        candidate: &'a Candidate,
        question: &Question<'_>,
    ) -> Option<Judged<'a>> {
        if question.tried.contains(&candidate.id) {
            return None;
        }
        let shared = self.vitals.get(candidate.slot).map(|shared| &**shared);
        let vitals = shared.map_or(Vitals::NONE, SharedVitals::read);
        let rtt = vitals.rtt_ms(&self.rules, question.now);
        Some(Judged {
            candidate,
            shared,
            health: vitals.health(&self.rules, question.now),
            rtt,
            // One that was never measured is given the benefit of the doubt.
            inside: rtt.is_none_or(|ms| ms <= question.limit_ms),
            spared: vitals.spared(question.now),
            vitals,
        })
    }

    /// The one of two that is expected to be done sooner; the first if they are equal.
    fn sooner<'a>(&self, one: Judged<'a>, other: Judged<'a>, now: u64) -> Judged<'a> {
        let cost = |it: &Judged<'_>| {
            let pending = it.shared.map_or(0, SharedVitals::pending);
            it.vitals.peak_ms(&self.rules, now) * (pending as f64 + 1.0)
        };
        if cost(&other) < cost(&one) { other } else { one }
    }
}

impl Judged<'_> {
    /// Does it belong to the first step?
    fn is_good(&self) -> bool {
        self.cause().is_none()
    }

    /// Why it does not.
    fn cause(&self) -> Option<Cause> {
        match self.health {
            _ if !self.inside => Some(Cause::TooSlow),
            Health::Down => Some(Cause::Down),
            _ if self.spared.is_some() => Some(Cause::Spared),
            Health::Degraded => Some(Cause::Degraded),
            Health::Up => None,
        }
    }
}

impl<'a> Draw<'a> {
    fn new(random: u64, n: u64) -> Self {
        let random = random.wrapping_add(n);
        Self { distance: None, first: None, second: None, seen: 0, random }
    }

    /// Takes part in the drawing, if it is as near as the first that came.
    fn offer(&mut self, it: Judged<'a>) {
        if *self.distance.get_or_insert(it.candidate.distance) != it.candidate.distance {
            return;
        }
        // The n-th stays with a chance of two in n, and then the place is drawn, too.
        self.random = mixed(self.random);
        let place = match self.seen {
            0 | 1 => self.seen,
            seen => ((self.random & LOW) * (seen + 1)) >> 32,
        };
        match place {
            0 => self.first = Some(it),
            1 => self.second = Some(it),
            _ => {}
        }
        self.seen += 1;
    }

    fn decide(self, endpoints: &Endpoints, now: u64) -> Option<Judged<'a>> {
        let first = self.first?;
        Some(match self.second {
            Some(second) => endpoints.sooner(first, second, now),
            None => first,
        })
    }
}

impl<'a> Cuts<'a> {
    fn none(pool: &'a [Candidate]) -> Self {
        let cut = Cut { index: 0, rtt: 0.0, cause: Cause::Tried };
        Self { pool, named: [cut; CUTS_NAMED], all: 0 }
    }

    fn add(&mut self, index: usize, cause: Cause, rtt: Option<f64>) {
        if let (Some(place), Ok(index)) = (self.named.get_mut(self.all), u32::try_from(index)) {
            *place = Cut { index, rtt: rtt.unwrap_or(0.0) as f32, cause };
        }
        self.all += 1;
    }

    /// Those that are named, but for the one that was chosen after all.
    fn others(&self, chosen: &'a Candidate) -> impl Iterator<Item = (&'a Candidate, Cut)> {
        let (pool, named) = (self.pool, self.named);
        let cuts = named.into_iter().take(self.all);
        let cuts = cuts.filter_map(|cut| Some((pool.get(cut.index as usize)?, cut)));
        cuts.filter(|(candidate, _)| candidate.slot != chosen.slot)
    }
}

const LOW: u64 = u32::MAX as u64;

/// A number that looks drawn, from one that does not: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "nearest healthy",
            Self::Degraded => "none is up; nearest degraded",
            Self::Panic => "none is up and most are down, so health is ignored; nearest",
            Self::Fastest => "all are outside the SLA; fastest that is alive",
            Self::Spared => "none is alive but what asked to be spared; the first to be ready",
            Self::LeastBad => "all are down; least bad",
        })
    }
}

impl fmt::Display for Grounds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Judged(verdict) => verdict.fmt(f),
            Self::Behind(Status::Firing) => f.write_str("behind the firing"),
            Self::Behind(Status::Resolved) => f.write_str("behind the resolve"),
        }
    }
}

/// `nearest healthy: distance 71 (eu-1a → us-1a), up, rtt 80 ms, within tier 2 (200 ms); passed over: oncall/eu (down)`.
impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { candidate, health, rtt, inside, .. } = *self;
        write!(f, "{}: {}", self.how, candidate.distance)?;
        if let Some(way) = &candidate.way {
            write!(f, " ({way})")?;
        }
        write!(f, ", {health}")?;
        match rtt {
            Some(ms) => write!(f, ", rtt {ms:.0} ms")?,
            None => f.write_str(", rtt not measured yet")?,
        }
        if let Some((tier, budget)) = self.budget {
            let side = if inside { "within" } else { "outside" };
            write!(f, ", {side} tier {} ({} ms)", tier.number(), budget.as_millis())?;
        }
        // One that was chosen in spite of something was noted, too.
        let mut left = self.cuts.all.saturating_sub(usize::from(!self.good));
        let mut intro = "; passed over: ";
        for (candidate, cut) in self.cuts.others(candidate) {
            write!(f, "{intro}{} ({cut})", candidate.id)?;
            intro = ", ";
            left = left.saturating_sub(1);
        }
        if left > 0 { write!(f, " and {left} more") } else { Ok(()) }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Tried => f.write_str("tried"),
            Cause::TooSlow => write!(f, "rtt {:.0} ms", self.rtt),
            Cause::Spared => f.write_str("asked to be spared"),
            Cause::Degraded => f.write_str("degraded"),
            Cause::Down => f.write_str("down"),
        }
    }
}
