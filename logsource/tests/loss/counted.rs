//! Whether every loss that nobody could prevent is counted, soon, by its cause, and no other.
//!
//! A counter counts files. Where the reader could tell one lost file from the next, each must be
//! counted: one that it had read from was cut under it, or one that came to the name under its eyes
//! was gone before it was opened. Where it could not, since nobody lived meanwhile, one count
//! stands for all of them.

use std::collections::{BTreeSet, HashMap};

use crate::ledger::Event;
use crate::line::LineId;
use crate::model::{Body, BodyId, Cause, Model, Ms};
use crate::verdict::{Case, Delivery, Times, Verdict};

/// A loss is counted within so long, of the time in which there is a reader that is able to.
const COUNTED: Ms = 3000;

/// What happens so shortly before a life ends may not be noted any more: what is counted is written
/// down every 50 ms, and so are places every 100 ms.
const NOTED: Ms = 200;

/// A reader that has begun looks at what is there first. What comes and goes meanwhile may be
/// neither there any more nor told of.
const BEGINS: Ms = 300;

/// Lines of one content that were destroyed before anybody could read them.
pub(crate) struct Loss<'a> {
    pub(crate) model: &'a Model,
    /// The content that held them last.
    pub(crate) body: BodyId,
    /// The lines, and when the last bytes of each were gone.
    pub(crate) lines: Vec<(LineId, Ms)>,
}

/// A loss, and what the counters have to say about it.
struct Due<'a> {
    loss: Loss<'a>,
    body: &'a Body,
    from: Ms,
    until: Ms,
    causes: BTreeSet<Cause>,
    /// They were written after the copy was made that all others are in: nobody can know of them.
    is_in_gap: bool,
    /// Something of it was read in the same life before it was gone.
    was_read: bool,
    /// One count stands for this one alone.
    is_alone: bool,
}

/// When some counters rose, once for each time that they were counted up, and whether that was
/// taken for a loss.
struct Rises(Vec<(Ms, bool)>);

impl Cause {
    fn counters(self) -> &'static [&'static str] {
        match self {
            Self::Truncated => &["dropped.truncated"],
            Self::Removed => &["dropped.rotated_away", "dropped.held_too_much"],
        }
    }
}

impl Rises {
    fn of(case: &Case<'_>, names: &[&str]) -> Self {
        let mut before: HashMap<u32, u64> = HashMap::new();
        let mut rises = Vec::new();
        for record in &case.records {
            if let Event::Counted(counts) = &record.event {
                let of_interest = counts.iter().filter(|(name, _)| names.contains(&name.as_str()));
                let sum: u64 = of_interest.map(|(_, value)| value).sum();
                let before = before.insert(record.run, sum).unwrap_or(0);
                rises.extend((before..sum).map(|_| (record.at, false)));
            }
        }
        Self(rises)
    }

    /// The first one in a span of time; it is nobody else's then if it is taken.
    fn find(&mut self, from: Ms, until: Ms, take: bool) -> Option<Ms> {
        let mut rises = self.0.iter_mut();
        let is_in = |at: Ms| (from..=until).contains(&at);
        let (at, taken) = rises.find(|(at, taken)| is_in(*at) && !(take && *taken))?;
        *taken |= take;
        Some(*at)
    }
}

pub(crate) fn judge(
    case: &Case<'_>,
    losses: Vec<Loss<'_>>,
    deliveries: &HashMap<LineId, Vec<Delivery>>,
    times: &Times,
    verdict: &mut Verdict,
) {
    judge_losses(case, losses, deliveries, times, verdict);
    judge_overflows(case, times, verdict);
    // Nothing is counted that did not happen.
    for cause in [Cause::Truncated, Cause::Removed] {
        let mut bodies = case.models.iter().flat_map(|model| &model.bodies);
        let rises = Rises::of(case, cause.counters());
        if !bodies.any(|body| body.gone.is_some_and(|(_, how)| how == cause))
            && let Some((at, _)) = rises.0.first()
        {
            let at = case.time(*at);
            verdict.failures.push(format!("MISCOUNTED: at {at}: no file was {cause:?}"));
        }
    }
}

fn judge_losses(
    case: &Case<'_>,
    losses: Vec<Loss<'_>>,
    deliveries: &HashMap<LineId, Vec<Delivery>>,
    times: &Times,
    verdict: &mut Verdict,
) {
    let sight = Sight::of(case, times);
    let due = |loss| Due::new(case, loss, deliveries, &sight);
    let mut dues: Vec<Due<'_>> = losses.into_iter().map(due).collect();
    dues.sort_by_key(|due| due.from);
    let mut truncated = Rises::of(case, Cause::Truncated.counters());
    let mut removed = Rises::of(case, Cause::Removed.counters());
    let mut cuts = Rises::of(case, &["truncations"]);
    for due in dues {
        let deadline = times.able.after(due.until, COUNTED);
        let find = |rises: &mut Rises| rises.find(due.from, deadline, due.is_alone);
        let mut found = None;
        if due.causes.contains(&Cause::Truncated) {
            found = find(&mut truncated);
        }
        if due.causes.contains(&Cause::Removed) {
            found = found.or_else(|| find(&mut removed));
        }
        if due.is_in_gap {
            found = found.or_else(|| find(&mut cuts));
        }
        if let Some(at) = found {
            verdict.counted_in = verdict.counted_in.max(times.able.between(due.until, at));
        } else if !due.is_excused(case, times, &sight) {
            let id = due.loss.lines[0].0;
            let what = format!(
                "UNCOUNTED: {} lines, destroyed at {} ({:?}{}); the first of them",
                due.loss.lines.len(),
                case.time(due.from),
                due.causes,
                if due.is_alone { ", by itself" } else { "" },
            );
            let came = due.deliveries(deliveries);
            verdict.failures.push(case.history(&what, id, due.loss.model, &came));
        }
    }
}

/// When a reader followed, and when events told it of what came to a name.
struct Sight {
    /// From when to when each life followed.
    lives: Vec<(Ms, Ms)>,
    /// From when on events were told of in each.
    told: Vec<Ms>,
}

impl Sight {
    fn of(case: &Case<'_>, times: &Times) -> Self {
        let ready = |run: usize| {
            let mut records = case.records.iter().filter(|record| record.run as usize == run);
            records.find(|record| record.event == Event::Ready).map_or(Ms::MAX, |record| record.at)
        };
        let lives = case.lives.iter().enumerate().map(|(run, life)| (ready(run), life.until));
        let lives: Vec<_> = lives.collect();
        let told = lives.iter().map(|(from, _)| times.able.after(*from, BEGINS)).collect();
        Self { lives, told }
    }

    /// Whether anybody followed at any time between these.
    fn meets(&self, from: Ms, until: Ms) -> bool {
        self.lives.iter().any(|(a, b)| *a < until && from < *b)
    }

    /// Whether it came to the name, and was gone, under the eyes of one.
    fn is_told(&self, case: &Case<'_>, from: Ms, until: Ms) -> bool {
        let is_blind = case.blind.iter().any(|(a, b)| *a < until && from < *b);
        let mut lives = self.lives.iter().zip(&self.told);
        !is_blind && lives.any(|((_, end), told)| *told <= from && until < *end)
    }
}

impl<'a> Due<'a> {
    fn new(
        case: &Case<'_>,
        loss: Loss<'a>,
        deliveries: &HashMap<LineId, Vec<Delivery>>,
        sight: &Sight,
    ) -> Self {
        let model = loss.model;
        let bodies: BTreeSet<BodyId> = loss
            .lines
            .iter()
            .flat_map(|(id, _)| model.bodies_of(*id).map(|(number, _)| number))
            .collect();
        let ends = || bodies.iter().filter_map(|number| model.bodies[*number].gone);
        let body = &model.bodies[loss.body];
        let last = loss.lines.iter().map(|(_, at)| *at).max();
        let mut due = Self {
            body,
            from: ends().map(|(at, _)| at).min().unwrap_or(0),
            until: last.unwrap_or(0),
            causes: ends().map(|(_, cause)| cause).collect(),
            is_in_gap: model.bodies.iter().any(|copy| copy.copy_of == Some(loss.body)),
            was_read: false,
            is_alone: false,
            loss,
        };
        // Of a file that was cut, and then removed, while nobody looked, the one is not known.
        let is_removed_unseen = |later: &Body| {
            let removed = later.gone.filter(|(_, cause)| *cause == Cause::Removed);
            later.ino == body.ino
                && later.names.first().is_some_and(|(at, _)| *at >= due.from)
                && removed.is_some_and(|(at, _)| !sight.meets(due.from, at))
        };
        let is_cut = body.gone.is_some_and(|(_, cause)| cause == Cause::Truncated);
        if is_cut && model.bodies.iter().any(is_removed_unseen) {
            due.causes.insert(Cause::Removed);
        }
        let Some(life) = case.lives.iter().position(|l| (l.from..l.until).contains(&due.from))
        else {
            return due;
        };
        let came = due.deliveries(deliveries);
        due.was_read = came.iter().any(|came| came.run as usize == life && came.at <= due.from);
        let is_by_itself = match due.body.gone {
            Some((_, Cause::Truncated)) => due.was_read,
            _ => came.is_empty() && sight.is_told(case, due.created(), due.from),
        };
        due.is_alone = is_by_itself && bodies.len() == 1 && !due.is_in_gap;
        due
    }

    fn created(&self) -> Ms {
        self.body.names.first().map_or(0, |(at, _)| *at)
    }

    /// The lines of the same content that came.
    fn deliveries(&self, deliveries: &HashMap<LineId, Vec<Delivery>>) -> Vec<Delivery> {
        let lines =
            self.body.runs.iter().flat_map(|run| {
                (run.first..=run.last).map(|seq| LineId { writer: run.writer, seq })
            });
        lines.filter_map(|id| deliveries.get(&id)).flatten().copied().collect()
    }

    /// Whether nobody could have counted it, or written down that it was.
    fn is_excused(&self, case: &Case<'_>, times: &Times, sight: &Sight) -> bool {
        let ended = case.lives.iter().any(|life| {
            life.until >= self.from && times.able.between(self.until, life.until) <= NOTED
        });
        // Nobody was there, or not for long enough that its place was written down.
        let lived = times.able.between(self.created(), self.from);
        let is_brief = lived <= NOTED && !sight.is_told(case, self.created(), self.from);
        // A file of which nothing was read looks, beside its copy, like one that was never cut.
        let is_hidden = self.is_in_gap && !self.was_read;
        ended || is_brief || is_hidden || !sight.meets(self.created(), self.from)
    }
}

/// Each time that more happened than the kernel keeps, everything is looked at anew.
fn judge_overflows(case: &Case<'_>, times: &Times, verdict: &mut Verdict) {
    let mut rescans = Rises::of(case, &["rescans"]);
    for (from, until) in &case.blind {
        // In the same life.
        let life = case.lives.iter().find(|life| (life.from..life.until).contains(from));
        let deadline = times.able.after(*until, COUNTED).min(life.map_or(0, |life| life.until));
        // Before that, all that was told has to be taken.
        let is_long = times.able.between(*until, deadline) >= COUNTED;
        if rescans.find(*from, deadline, true).is_none() && is_long {
            let at = case.time(*from);
            verdict.failures.push(format!("UNSEEN: events were lost from {at} on, and no rescan"));
        }
    }
    if case.scenario.overflow && rescans.0.is_empty() {
        verdict.failures.push("UNSEEN: there was no rescan at all".to_owned());
    }
}
