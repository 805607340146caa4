//! The decider: one pure step from what was seen to what to do.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::SystemTime;

use crate::brake::GlobalBrake;
use crate::decision::{Action, Decision, DecisionId, Limit, Reason, Trigger};
use crate::demand::{Asked, Demand};
use crate::error::{Error, ErrorKind};
use crate::ratio;
use crate::signal::Observation;
use crate::spec::ScalerSpec;
use crate::state::{Applied, DeciderState};
use crate::timestamp::{elapsed, later, unix_millis};
use crate::wish::Wish;

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
        Ok(Self { spec, state, global: None })
    }

    /// A decider that goes on where another stopped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidSpec`] as from [`ScalerSpec::validate`]; [`ErrorKind::InvalidState`]
    /// if the state belongs to another target or has a format that this version does not know.
    pub fn with_state(spec: ScalerSpec, state: DeciderState) -> Result<Self, Error> {
        spec.validate()?;
        if let Some(misfit) = state.misfit(&spec.target_ref.name) {
            return Err(Error::new(ErrorKind::InvalidState, misfit));
        }
        Ok(Self { spec, state, global: None })
    }

    /// Shares a brake with other deciders.
    #[must_use]
    pub fn with_global_brake(mut self, brake: GlobalBrake) -> Self {
        self.global = Some(brake);
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
        let proposals = ratio::propose(&self.spec, seen, now);
        let demand = Demand::of(&proposals);
        let asked = Asked::of(&seen.intents, from, |id| self.state.intents.contains(id));
        self.observe(from, &demand, now);

        let mut limits = Vec::new();
        let mut wish = self.wish(from, &demand, &asked, &mut limits, now);
        if wish.to != from {
            self.restrain(&mut wish, from, id, &mut limits, now);
        }
        let Wish { to, reason, trigger } = wish;
        let action = match to.cmp(&from) {
            Ordering::Greater => Action::ScaleUp,
            Ordering::Less => Action::ScaleDown,
            Ordering::Equal => Action::Hold,
        };
        let trace_id = asked.trace_of(trigger.as_ref());
        if reason != Reason::OutOfBounds {
            for intent in asked.settled_by(action, from) {
                self.state.intents.spend(intent, id);
            }
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
            limits,
            at: now,
            trace_id,
        }
    }

    /// Reports what became of a change. Only one that was applied starts the lock-out, feeds the
    /// brake, and makes the condition windows start anew: they were about the old size. After a
    /// failure the intents behind it may ask again.
    ///
    /// Report each change, once, before asking for the next decision. A hold needs no report, and a
    /// host that only watches reports nothing.
    pub fn applied(&mut self, decision: &Decision, outcome: Result<(), &str>, now: SystemTime) {
        if !decision.is_change() || self.state.is_reported(decision.id) {
            return;
        }
        if let Some(global) = &self.global {
            global.report(&decision.target, decision.id, outcome.is_ok(), now);
        }
        if outcome.is_err() {
            self.state.intents.release(decision.id);
            return;
        }
        self.state.last_applied = Some(Applied { id: decision.id, at: now });
        self.state.actions.record(now);
        self.state.up.restart();
        self.state.down.restart();
    }

    /// When time alone may change the decision: the end of a running condition window, or of the
    /// lock-out while a metric asks. `None` if only a new observation can.
    pub fn next_deadline(&self, now: SystemTime) -> Option<SystemTime> {
        let DeciderState { up, down, .. } = &self.state;
        let (cool_down, lock_out) = (&self.spec.cool_down, &self.spec.lock_out);
        let rested = |rest, asks: Option<SystemTime>| {
            asks.and(self.state.last_applied).map(|applied| later(applied.at, rest))
        };
        let deadlines = [
            up.full_at(cool_down.scale_up),
            down.full_at(cool_down.scale_down),
            rested(lock_out.scale_up, up.since()),
            rested(lock_out.scale_down, down.since()),
        ];
        deadlines.into_iter().flatten().filter(|at| *at > now).min()
    }

    /// Moves the condition windows on.
    fn observe(&mut self, from: u32, demand: &Demand<'_>, now: SystemTime) {
        let state = &mut self.state;
        let unseen =
            state.last_seen.is_none_or(|last| elapsed(last, now) > self.spec.cool_down.max_gap);
        if unseen {
            state.up.restart();
            state.down.restart();
        }
        state.last_seen = Some(now);
        state.actions.settle(now);
        if let Some(applied) = &mut state.last_applied {
            // A clock set back would stretch the rest without end.
            applied.at = applied.at.min(now);
        }
        // Outside its bounds the target is corrected, whatever the metrics say.
        let free = from > 0 && self.spec.min_replicas <= from && from <= self.spec.max_replicas;
        state.up.observe(free && demand.more(from).is_some(), now);
        let quiet = demand.unknown.is_none() && demand.less(from).is_some();
        state.down.observe(free && quiet, now);
    }

    /// What is wanted, before bounds, rests and brakes.
    fn wish(
        &self,
        from: u32,
        demand: &Demand<'_>,
        asked: &Asked<'_>,
        limits: &mut Vec<Limit>,
        now: SystemTime,
    ) -> Wish {
        let (min, max) = (self.spec.min_replicas, self.spec.max_replicas);
        if from == 0 {
            return Wish::hold(from, Reason::Paused);
        }
        if from < min || from > max {
            let trigger = Some(Trigger::Bounds { min, max });
            return Wish { to: from.clamp(min, max), reason: Reason::OutOfBounds, trigger };
        }

        let more = demand.more(from);
        let ripe = more.filter(|_| self.state.up.is_full(self.spec.cool_down.scale_up, now));
        if let Some(wish) = Wish::largest(asked.more(from), ripe) {
            return wish;
        }
        if let Some((metric, _)) = more {
            limits.extend(self.waiting(Action::ScaleUp));
            let mut wish = Wish::hold(from, Reason::ConditionWindow);
            wish.trigger = Trigger::of_metric(metric);
            if let Some((intent, _)) = asked.less(from) {
                limits.push(Limit::Contradiction { metric: Arc::clone(&metric.metric) });
                wish.reason = Reason::Contradiction;
                wish.trigger = Some(intent.into());
            }
            return wish;
        }

        let (less, asked_less) = (demand.less(from), asked.less(from));
        if less.is_some() || asked_less.is_some() {
            if let Some(veto) = &demand.unknown {
                limits.push(veto.clone());
                let mut wish = Wish::largest(asked_less, less)
                    .unwrap_or_else(|| Wish::hold(from, Reason::UnknownSignal));
                wish.to = from;
                wish.reason = Reason::UnknownSignal;
                return wish;
            }
            let ripe =
                less.filter(|_| self.state.down.is_full(self.spec.cool_down.scale_down, now));
            if let Some(wish) = Wish::largest(asked_less, ripe) {
                return wish;
            }
            limits.extend(self.waiting(Action::ScaleDown));
            let mut wish = Wish::hold(from, Reason::ConditionWindow);
            wish.trigger = less.and_then(|(metric, _)| Trigger::of_metric(metric));
            return wish;
        }
        self.rest(from, demand, asked, limits)
    }

    /// Nobody asks for a change: why not?
    fn rest(
        &self,
        from: u32,
        demand: &Demand<'_>,
        asked: &Asked<'_>,
        limits: &mut Vec<Limit>,
    ) -> Wish {
        if let Some(intent) = asked.same(from) {
            let trigger = Some(intent.into());
            return Wish { to: from, reason: Reason::Steady, trigger };
        }
        if asked.duplicates.is_some() {
            return Wish::hold(from, Reason::DuplicateIntent);
        }
        match (&demand.winner, &demand.unknown) {
            (Some((metric, _)), _) => {
                let trigger = Trigger::of_metric(metric);
                Wish { to: from, reason: Reason::Steady, trigger }
            }
            (None, Some(veto)) => {
                limits.push(veto.clone());
                Wish::hold(from, Reason::UnknownSignal)
            }
            (None, None) => Wish::hold(from, Reason::Idle),
        }
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
