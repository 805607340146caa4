//! What is wanted, before anything restrains it, and what speaks against wanting it yet.

use std::sync::Arc;
use std::time::SystemTime;

use crate::decider::Decider;
use crate::decision::{Action, Limit, Reason, Trigger};
use crate::demand::{Asked, Demand};
use crate::guard::{self, GuardReading};
use crate::intent::ScaleIntent;
use crate::proposal::Proposal;
use crate::schedule::Bounds;

/// What one decision looks at.
pub(crate) struct View<'a> {
    pub(crate) from: u32,
    pub(crate) ready: u32,
    pub(crate) bounds: Bounds,
    pub(crate) demand: Demand<'a>,
    pub(crate) asked: Asked<'a>,
    pub(crate) guards: &'a [GuardReading],
    pub(crate) now: SystemTime,
}

/// What is wanted, by whom.
pub(crate) struct Wish {
    pub(crate) to: u32,
    pub(crate) reason: Reason,
    pub(crate) trigger: Option<Trigger>,
}

/// What the metrics want in one direction, as far as their windows let them.
struct Asking<'a> {
    metric: &'a Proposal,
    to: u32,
    reason: Reason,
    limit: Option<Limit>,
}

impl Wish {
    pub(crate) fn hold(at: u32, reason: Reason) -> Self {
        Self { to: at, reason, trigger: None }
    }

    fn of_intent((intent, to): (&ScaleIntent, u32)) -> Self {
        Self { to, reason: Reason::Intent, trigger: Some(intent.into()) }
    }

    fn of_metric((metric, to): (&Proposal, u32)) -> Self {
        Self { to, reason: Reason::Metric, trigger: Trigger::of_metric(metric) }
    }

    /// The largest; of equals the first, so that intents, which say why, come first.
    fn largest<const N: usize>(wishes: [Option<Self>; N]) -> Option<Self> {
        let wishes = wishes.into_iter().flatten();
        wishes.reduce(|most, next| if next.to > most.to { next } else { most })
    }
}

impl Asking<'_> {
    fn wish(&self) -> Wish {
        Wish { to: self.to, reason: self.reason, trigger: Trigger::of_metric(self.metric) }
    }
}

impl Decider {
    /// Whether nobody may be heard: paused by the specification, or set to zero by hand.
    pub(crate) fn is_paused(&self, from: u32) -> bool {
        let spec = &self.spec;
        spec.paused || spec.paused_replicas.is_some() || (from == 0 && !self.state.zeroed)
    }

    /// What is wanted, before bounds, rests and brakes.
    pub(crate) fn wish(&self, view: &View<'_>, limits: &mut Vec<Limit>) -> Wish {
        let from = view.from;
        let Bounds { min, max, .. } = view.bounds;
        if self.is_paused(from) {
            return self.paused(from);
        }
        if from < min || from > max {
            limits.extend(view.bounds.told());
            let trigger = Some(Trigger::Bounds { min, max });
            return Wish { to: from.clamp(min, max), reason: Reason::OutOfBounds, trigger };
        }
        if let Some(wish) = self.more(view, limits).or_else(|| self.less(view, limits)) {
            return wish;
        }
        rest(view, limits)
    }

    fn paused(&self, from: u32) -> Wish {
        let replicas = self.spec.paused_replicas.filter(|_| !self.spec.paused);
        let by_spec = self.spec.paused || replicas.is_some();
        Wish {
            to: replicas.unwrap_or(from),
            reason: Reason::Paused,
            trigger: by_spec.then_some(Trigger::Paused { replicas }),
        }
    }

    /// Who asks for more, and whether they are heard yet.
    fn more(&self, view: &View<'_>, limits: &mut Vec<Limit>) -> Option<Wish> {
        let from = view.from;
        let (rising, asked) = (self.rising(view), view.asked.more(from));
        let step = guard::largest_step(&self.spec, view.guards, from);
        let fallback = self.fallback(view).filter(|wish| wish.to > from);
        if rising.is_none() && asked.is_none() && step.is_none() && fallback.is_none() {
            return None;
        }
        let ripe = rising.as_ref().filter(|asking| asking.to > from).map(Asking::wish);
        let step = step.map(|(reading, to)| {
            let (signal, limit) = (Arc::clone(&reading.signal), reading.limit);
            Wish { to, reason: Reason::Guard, trigger: Some(Trigger::Guard { signal, limit }) }
        });
        let asked = asked.map(Wish::of_intent);
        if let Some(wish) = Wish::largest([asked, ripe, step, fallback]) {
            if matches!(wish.reason, Reason::Metric | Reason::Panic) {
                limits.extend(rising.and_then(|asking| asking.limit));
            }
            return Some(wish);
        }
        let held = rising?;
        limits.extend(held.limit.clone());
        let mut wish = held.wish();
        if let Some((intent, _)) = view.asked.less(from) {
            limits.push(Limit::Contradiction { metric: Arc::clone(&held.metric.metric) });
            wish.reason = Reason::Contradiction;
            wish.trigger = Some(intent.into());
        }
        Some(wish)
    }

    /// Who asks for less, and whether they are heard yet.
    fn less(&self, view: &View<'_>, limits: &mut Vec<Limit>) -> Option<Wish> {
        let from = view.from;
        let (less, asked) = (view.demand.less(from), view.asked.less(from));
        let fallback = self.fallback(view).filter(|wish| wish.to < from);
        if less.is_none() && asked.is_none() && fallback.is_none() {
            return None;
        }
        // A fallback that may go below what there is, is about just that: nothing is known. Nobody
        // else may ask for less then.
        if let Some(reason) = self.veto(view, fallback.is_some(), limits) {
            let asking = Wish::largest([asked.map(Wish::of_intent), less.map(Wish::of_metric)]);
            let mut wish = asking.unwrap_or_else(|| Wish::hold(from, reason));
            wish.to = from;
            wish.reason = reason;
            return Some(wish);
        }
        if fallback.is_some() {
            return fallback;
        }
        let falling = self.falling(view);
        let ripe = falling.as_ref().filter(|asking| asking.to < from).map(Asking::wish);
        let asked = asked.map(Wish::of_intent);
        if let Some(wish) = Wish::largest([asked, ripe]) {
            if wish.reason == Reason::Metric {
                limits.extend(falling.and_then(|asking| asking.limit));
            }
            return Some(wish);
        }
        let held = falling?;
        limits.extend(held.limit.clone());
        Some(held.wish())
    }

    /// Whether anything forbids a scale-down; all that does is told.
    fn veto(&self, view: &View<'_>, blind: bool, limits: &mut Vec<Limit>) -> Option<Reason> {
        let mut reason = None;
        if let (Some(spec), Some(panicking)) = (&self.spec.panic, self.state.panic) {
            limits.push(Limit::Panic { until: spec.end(panicking) });
            reason = Some(Reason::Panic);
        }
        let unknown = view.demand.unknown.or(view.demand.doubt).filter(|_| !blind);
        if let Some(unknown) = unknown {
            limits.push(unknown.told());
            reason = reason.or(Some(Reason::UnknownSignal));
        }
        if let Some(limit) = guard::veto(&self.spec, view.guards) {
            let unknown = matches!(&limit, Limit::Guard { reading } if reading.is_unknown());
            let why = if unknown { Reason::UnknownSignal } else { Reason::Guard };
            reason = reason.or(Some(why));
            limits.push(limit);
        }
        reason
    }

    fn fallback(&self, view: &View<'_>) -> Option<Wish> {
        let spec = self.spec.fallback.as_ref()?;
        let since = self.state.unknown_since?;
        let to = spec.wanted(view.from, Some(since), view.now)?;
        let trigger = Some(Trigger::Fallback { since, replicas: spec.replicas });
        Some(Wish { to, reason: Reason::Fallback, trigger })
    }

    /// How far the metrics may go up now, if they want to.
    fn rising<'a>(&self, view: &View<'a>) -> Option<Asking<'a>> {
        let (metric, wanted) = view.demand.more(view.from)?;
        let asking = |to, reason, limit| Some(Asking { metric, to, reason, limit });
        if self.state.panic.is_some() {
            return asking(wanted, Reason::Panic, None);
        }
        if !self.state.up.is_full(self.spec.cool_down.scale_up, view.now) {
            return asking(view.from, Reason::ConditionWindow, self.waiting(Action::ScaleUp));
        }
        let stabilized = self.spec.behavior.as_ref().and_then(|behavior| {
            self.state.recommendations.rise(view.from, wanted, behavior, view.now)
        });
        let Some(stabilized) = stabilized else { return asking(wanted, Reason::Metric, None) };
        let (held, until) = (stabilized.to, stabilized.until);
        let reason = if held > view.from { Reason::Metric } else { Reason::Stabilization };
        let action = Action::ScaleUp;
        asking(held, reason, Some(Limit::Stabilization { action, wanted, held, until }))
    }

    /// How far the metrics may go down now, if they want to.
    fn falling<'a>(&self, view: &View<'a>) -> Option<Asking<'a>> {
        let (metric, wanted) = view.demand.less(view.from)?;
        let asking = |to, reason, limit| Some(Asking { metric, to, reason, limit });
        if !self.state.down.is_full(self.spec.cool_down.scale_down, view.now) {
            return asking(view.from, Reason::ConditionWindow, self.waiting(Action::ScaleDown));
        }
        let stabilized = self.spec.behavior.as_ref().and_then(|behavior| {
            self.state.recommendations.fall(view.from, wanted, behavior, view.now)
        });
        let Some(stabilized) = stabilized else { return asking(wanted, Reason::Metric, None) };
        let (held, until) = (stabilized.to, stabilized.until);
        let reason = if held < view.from { Reason::Metric } else { Reason::Stabilization };
        let action = Action::ScaleDown;
        asking(held, reason, Some(Limit::Stabilization { action, wanted, held, until }))
    }

    fn waiting(&self, action: Action) -> Option<Limit> {
        let (window, length) = match action {
            Action::ScaleUp => (&self.state.up, self.spec.cool_down.scale_up),
            _ => (&self.state.down, self.spec.cool_down.scale_down),
        };
        let (since, until) = (window.since()?, window.full_at(length)?);
        Some(Limit::ConditionWindow { action, since, until })
    }
}

/// Nobody asks for a change: why not?
fn rest(view: &View<'_>, limits: &mut Vec<Limit>) -> Wish {
    let from = view.from;
    if let Some(intent) = view.asked.same(from) {
        let trigger = Some(intent.into());
        return Wish { to: from, reason: Reason::Steady, trigger };
    }
    if view.asked.duplicates.is_some() {
        return Wish::hold(from, Reason::DuplicateIntent);
    }
    match (&view.demand.winner, &view.demand.unknown) {
        (Some((metric, _)), _) => {
            let trigger = Trigger::of_metric(metric);
            Wish { to: from, reason: Reason::Steady, trigger }
        }
        (None, Some(veto)) => {
            limits.push(veto.told());
            Wish::hold(from, Reason::UnknownSignal)
        }
        (None, None) => Wish::hold(from, Reason::Idle),
    }
}
