//! The decider: one pure step from what was seen to what to do.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::SystemTime;

use crate::brake::GlobalBrake;
use crate::decision::{Action, Decision, DecisionId, Reason};
use crate::demand::{Asked, Demand};
use crate::error::{Error, ErrorKind};
use crate::ratio;
use crate::schedule::Plan;
use crate::signal::Observation;
use crate::spec::ScalerSpec;
use crate::state::{Applied, DeciderState, Unsettled};
use crate::timestamp::{elapsed, later, unix_millis};
use crate::wish::{View, Wish};

/// Decides how many replicas one target should have.
///
/// It does no I/O and reads no clock: the same specification, state, observation and time give
/// the same decision, byte for byte. The host calls [`decide`](Self::decide) on its own tick (15 s
/// is the HPA's) and whenever an intent comes in, carries the change out, and reports with
/// [`applied`](Self::applied) what became of it.
///
/// ```
/// # fn main() -> Result<(), birl_scaler::Error> {
/// use std::time::{Duration, UNIX_EPOCH};
/// use birl_scaler::{Change, Decider, Observation, Replicas, ScaleIntent, ScalerSpec};
///
/// let mut decider = Decider::new(ScalerSpec::new("workers", 1, 3))?;
/// let now = UNIX_EPOCH + Duration::from_secs(1_795_420_800);
/// let asked = ScaleIntent::new("slow/1", Change::By(2)).asked_by("rule slow");
/// let seen = Observation::new(Replicas::ready(1)).intent(asked);
///
/// let decision = decider.decide(&seen, now);
/// assert_eq!(decision.explain(), "scale_up workers 1 → 3: rule slow asked +2; limits: none");
/// decider.applied(&decision, Ok(()), now);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Decider {
    pub(crate) spec: ScalerSpec,
    pub(crate) state: DeciderState,
    pub(crate) global: Option<GlobalBrake>,
    /// The specification's schedule, with its time zones.
    plan: Plan,
}

impl Decider {
    /// A decider that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSpec`] as from [`ScalerSpec::validate`].
    pub fn new(spec: ScalerSpec) -> Result<Self, Error> {
        spec.validate()?;
        let state = DeciderState::new(Arc::clone(&spec.target_ref.name));
        let plan = Plan::of(&spec);
        Ok(Self { spec, state, global: None, plan })
    }

    /// A decider that goes on where another stopped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSpec`] as from [`ScalerSpec::validate`]; [`ErrorKind::InvalidState`]
    /// if the state belongs to another target or has a format that this version does not know.
    pub fn with_state(spec: ScalerSpec, mut state: DeciderState) -> Result<Self, Error> {
        state.abandon_change();
        Self::going_on(spec, state)
    }

    /// The same, where whoever decided last may still report.
    pub(crate) fn going_on(spec: ScalerSpec, state: DeciderState) -> Result<Self, Error> {
        spec.validate()?;
        if let Some(misfit) = state.misfit(&spec.target_ref.name) {
            return Err(Error::new(ErrorKind::InvalidState, misfit));
        }
        let plan = Plan::of(&spec);
        Ok(Self { spec, state, global: None, plan })
    }

    /// Shares a brake with other deciders.
    #[must_use]
    pub fn with_global_brake(mut self, brake: GlobalBrake) -> Self {
        self.global = Some(brake);
        self
    }

    /// Tells that nobody else sets the size of this target, as with processes of the host's own: if
    /// it has no replicas now, that is no pause by hand, and it may wake.
    #[must_use]
    pub fn with_sole_owner(mut self) -> Self {
        self.state.zeroed = true;
        self
    }

    /// Takes a changed specification of the same target; everything remembered stays.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSpec`]; the old one then stays in force.
    pub fn replace(&mut self, spec: ScalerSpec) -> Result<(), Error> {
        spec.validate()?;
        let (old, new) = (&self.spec.target_ref.name, &spec.target_ref.name);
        if old != new {
            let message = format!(
                "targetRef.name changed from `{old}` to `{new}`: that is another \
                 scaler; make a new decider for it"
            );
            return Err(Error::new(ErrorKind::InvalidSpec, message));
        }
        self.plan = Plan::of(&spec);
        self.spec = spec;
        Ok(())
    }

    /// What is decided by.
    pub fn spec(&self) -> &ScalerSpec {
        &self.spec
    }

    /// What is remembered; store it to go on after a restart.
    pub fn state(&self) -> &DeciderState {
        &self.state
    }

    /// Decides, at `now`, what to do about what was `seen`.
    ///
    /// Never fails and never panics: what is not known is Unknown and only ever holds back.
    pub fn decide(&mut self, seen: &Observation, now: SystemTime) -> Decision {
        self.state.count = self.state.count.wrapping_add(1);
        let id = DecisionId::new(unix_millis(now), self.state.count);
        let from = seen.current.desired;
        self.settle(from, now);
        let proposals = ratio::propose(&self.spec, seen, now);
        let unseen = self.forget_a_gap(now);
        let guards = self.state.guards.read(&self.spec.guards, &seen.signals, now);
        let view = View {
            from,
            ready: seen.current.ready,
            bounds: self.plan.bounds(&self.spec, now),
            demand: Demand::of(&proposals),
            asked: Asked::of(&seen.intents, from, |id| self.state.intents.contains(id)),
            guards: &guards,
            now,
        };
        self.observe(&view, unseen);

        let mut limits = Vec::new();
        let mut wish = self.wish(&view, &mut limits);
        if wish.to != from {
            self.restrain(&mut wish, &view, id, &mut limits);
        }
        let Wish { to, reason, trigger } = wish;
        let action = match to.cmp(&from) {
            Ordering::Greater => Action::ScaleUp,
            Ordering::Less => Action::ScaleDown,
            Ordering::Equal => Action::Hold,
        };
        let asked = view.asked;
        let trace_id = asked.trace_of(trigger.as_ref());
        let preview = !self.spec.mode.is_act();
        if !matches!(reason, Reason::OutOfBounds | Reason::Paused) && !preview {
            for intent in asked.settled_by(action, from) {
                self.state.intents.spend(intent, id);
            }
        }
        if action != Action::Hold && !preview {
            self.state.unsettled = Some(Unsettled { id, from, to, at: now, is_over: false });
        }
        limits.extend(asked.duplicates);
        let target = Arc::clone(&self.spec.target_ref.name);
        Decision {
            id,
            target,
            action,
            from,
            to,
            reason,
            trigger,
            proposals,
            guards,
            limits,
            at: now,
            trace_id,
            preview,
        }
    }

    /// Reports what became of a change. Only one that was applied starts the lock-out, feeds the
    /// brake and the rate policies, and makes the condition windows start anew: they were about the
    /// old size.
    ///
    /// Report each change, once, before asking for the next decision. A hold needs no report, and a
    /// host that only watches reports nothing. Of a change that failed, or that nobody reported since
    /// the host was killed meanwhile, the next observation tells: if the target has the size that was
    /// decided, it was applied after all; if not, the intents behind it may ask again.
    pub fn applied(&mut self, decision: &Decision, outcome: Result<(), &str>, now: SystemTime) {
        if !decision.is_change() || self.state.is_reported(decision.id) {
            return;
        }
        if let Some(global) = &self.global {
            global.report(&decision.target, decision.id, outcome.is_ok(), now);
        }
        let Decision { id, from, to, .. } = *decision;
        match (outcome, &mut self.state.unsettled) {
            (Ok(()), _) => self.carried_out(Unsettled { id, from, to, at: now, is_over: true }),
            (Err(_), Some(change)) if change.id == id => change.is_over = true,
            (Err(_), _) => self.state.intents.release(id),
        }
    }

    /// Finds out from the size that the target has what became of a change that nobody said was
    /// applied.
    pub(crate) fn settle(&mut self, size: u32, now: SystemTime) {
        let Some(change) = self.state.unsettled else { return };
        if change.to != size {
            if change.is_over {
                self.state.intents.release(change.id);
                self.state.unsettled = None;
            }
            return;
        }
        if let Some(global) = &self.global {
            global.report(&self.spec.target_ref.name, change.id, true, now);
        }
        self.carried_out(Unsettled { at: change.at.min(now), ..change });
    }

    /// A change was carried out.
    fn carried_out(&mut self, change: Unsettled) {
        let Unsettled { id, from, to, at, .. } = change;
        let state = &mut self.state;
        state.unsettled = None;
        state.last_applied = Some(Applied { id, at });
        state.actions.record(at);
        state.up.restart();
        state.down.restart();
        state.guards.restart();
        state.zeroed = to == 0;
        if let Some(behavior) = &self.spec.behavior {
            state.changes.record(from, to, behavior.longest_period(), at);
        }
    }

    /// When time alone may change the decision: the end of a window, a rest, a panic, or the edge of
    /// a schedule. `None` if only a new observation can.
    pub fn next_deadline(&self, now: SystemTime) -> Option<SystemTime> {
        let DeciderState { up, down, .. } = &self.state;
        let (cool_down, lock_out) = (&self.spec.cool_down, &self.spec.lock_out);
        let rested = |rest, asks: Option<SystemTime>| {
            asks.and(self.state.last_applied).map(|applied| later(applied.at, rest))
        };
        let behavior = self.spec.behavior.as_ref();
        let deadlines = [
            up.full_at(cool_down.scale_up),
            down.full_at(cool_down.scale_down),
            rested(lock_out.scale_up, up.since()),
            rested(lock_out.scale_down, down.since()),
            behavior.and_then(|behavior| self.state.recommendations.next_release(behavior, now)),
            behavior.and_then(|behavior| self.state.changes.next_release(behavior, now)),
            self.state.guards.next_breach(&self.spec.guards, now),
            self.spec.panic.zip(self.state.panic).map(|(spec, panicking)| spec.end(panicking)),
            self.spec
                .fallback
                .zip(self.state.unknown_since)
                .map(|(spec, at)| later(at, spec.after)),
            self.plan.next_edge(now),
        ];
        deadlines.into_iter().flatten().filter(|at| *at > now).min()
    }

    /// When nobody looked for too long, nobody can tell what held meanwhile: every window starts
    /// anew. Tells whether it was so.
    fn forget_a_gap(&mut self, now: SystemTime) -> bool {
        let state = &mut self.state;
        let longest = self.spec.cool_down.max_gap;
        let unseen = state.last_seen.is_none_or(|last| elapsed(last, now) > longest);
        if unseen {
            state.up.restart();
            state.down.restart();
            state.guards.restart();
            state.unknown_since = None;
        }
        unseen
    }

    /// Moves everything on that depends on what was seen before.
    fn observe(&mut self, view: &View<'_>, unseen: bool) {
        let View { from, ref demand, now, .. } = *view;
        let (paused, bounds) = (self.is_paused(from), &view.bounds);
        let state = &mut self.state;
        // After a pause everything is as on the first day.
        state.last_seen = (!paused).then_some(now);
        state.zeroed &= from == 0;
        state.actions.settle(now);
        if let Some(applied) = &mut state.last_applied {
            // A clock set back would stretch the rest without end.
            applied.at = applied.at.min(now);
        }
        // Outside its bounds the target is corrected, whatever the metrics say.
        let free = !paused && bounds.min <= from && from <= bounds.max;
        state.up.observe(free && demand.more(from).is_some(), now);
        let quiet = demand.unknown.is_none() && demand.less(from).is_some();
        state.down.observe(free && quiet, now);

        let wanted = demand.winner.map(|(_, replicas)| replicas);
        // Of nothing there are no measurements, which is no reason to start something.
        let blind = !paused && from > 0 && wanted.is_none() && demand.unknown.is_some();
        state.unknown_since =
            blind.then(|| state.unknown_since.map_or(now, |since| since.min(now)));
        state.panic = self
            .spec
            .panic
            .filter(|_| free)
            .and_then(|spec| spec.observe(state.panic, wanted, view.ready, now));
        match &self.spec.behavior {
            Some(behavior) if !paused => {
                if unseen {
                    // What there is was somebody's recommendation: it holds for a window.
                    state.recommendations.clear();
                    state.recommendations.record(from, behavior, now);
                }
                let heard = wanted.filter(|&wanted| demand.unknown.is_none() || wanted >= from);
                if let Some(wanted) = heard.filter(|_| free) {
                    state.recommendations.record(wanted, behavior, now);
                }
            }
            _ => state.recommendations.clear(),
        }
    }
}
