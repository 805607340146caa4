//! From a wish to what is allowed: bounds, step, rate, lock-out, brake and kill switch.

use crate::brake::GlobalBrake;
use crate::decider::Decider;
use crate::decision::{Action, DecisionId, Limit, Reason};
use crate::rate;
use crate::timestamp::later;
use crate::wish::{View, Wish};

impl Decider {
    /// Cuts a wish down to what is allowed. A correction of an impossible size, and the size of a
    /// pause, pass by bounds, step, rate and lock-out; nothing passes by the brake, the kill switch
    /// and the pause of a direction.
    pub(crate) fn restrain(
        &self,
        wish: &mut Wish,
        view: &View<'_>,
        id: DecisionId,
        limits: &mut Vec<Limit>,
    ) {
        let from = view.from;
        let correction = matches!(wish.reason, Reason::OutOfBounds | Reason::Paused);
        if !correction {
            let reason = self.bound(wish, view, limits);
            if wish.to == from {
                wish.reason = reason;
                return;
            }
        }
        let refused = self
            .paused_direction(wish, from, limits)
            .or_else(|| self.kill_switch(limits))
            .or_else(|| if correction { None } else { self.lock_out(wish, view, limits) })
            .or_else(|| self.brake(id, view, limits));
        if let Some(reason) = refused {
            wish.to = from;
            wish.reason = reason;
        }
    }

    /// Bounds, step and rate; and which of them left nothing, if one did.
    fn bound(&self, wish: &mut Wish, view: &View<'_>, limits: &mut Vec<Limit>) -> Reason {
        let (from, max, min) = (view.from, view.bounds.max, view.bounds.min);
        let wanted = wish.to;
        if wanted > max {
            limits.extend(view.bounds.told());
            limits.push(Limit::Max { wanted, max });
        }
        if wanted < min {
            limits.extend(view.bounds.told());
            limits.push(Limit::Min { wanted, min });
        }
        let wanted = wanted.clamp(min, max);
        let step = if wanted > from { self.spec.step.up } else { self.spec.step.down };
        wish.to = match step {
            Some(step) if wanted.abs_diff(from) > step => {
                limits.push(Limit::Step { wanted, step });
                if wanted > from { from + step } else { from - step }
            }
            _ => wanted,
        };
        if wish.to == from {
            return Reason::Bounds;
        }
        self.rate(wish, view, limits);
        Reason::RateLimit
    }

    /// What the policies of the HPA's `behavior` leave.
    fn rate(&self, wish: &mut Wish, view: &View<'_>, limits: &mut Vec<Limit>) {
        let Some(behavior) = &self.spec.behavior else { return };
        let (from, wanted, changes) = (view.from, wish.to, &self.state.changes);
        let (action, allowed) = if wanted > from {
            (Action::ScaleUp, rate::ceiling(&behavior.scale_up, from, changes, view.now))
        } else {
            (Action::ScaleDown, rate::floor(&behavior.scale_down, from, changes, view.now))
        };
        let to = match action {
            Action::ScaleUp => wanted.min(allowed.replicas),
            _ => wanted.max(allowed.replicas),
        };
        if to != wanted {
            let rate::Allowed { replicas: allowed, policy } = allowed;
            limits.push(Limit::Rate { action, wanted, allowed, policy });
            wish.to = to;
        }
    }

    fn paused_direction(&self, wish: &Wish, from: u32, limits: &mut Vec<Limit>) -> Option<Reason> {
        let (paused, action) = match wish.to > from {
            true => (self.spec.paused_scale_out, Action::ScaleUp),
            false => (self.spec.paused_scale_in, Action::ScaleDown),
        };
        paused.then(|| {
            limits.push(Limit::Paused { action });
            Reason::Paused
        })
    }

    fn kill_switch(&self, limits: &mut Vec<Limit>) -> Option<Reason> {
        let own = self.spec.brake.kill_switch;
        let global = self.global.as_ref().is_some_and(GlobalBrake::kill_switch);
        if !own && !global {
            return None;
        }
        limits.push(Limit::KillSwitch { global: !own });
        Some(Reason::KillSwitch)
    }

    fn lock_out(&self, wish: &Wish, view: &View<'_>, limits: &mut Vec<Limit>) -> Option<Reason> {
        if wish.reason == Reason::Panic {
            return None;
        }
        let lock_out = &self.spec.lock_out;
        let rest = if wish.to > view.from { lock_out.scale_up } else { lock_out.scale_down };
        let until = later(self.state.last_applied?.at, rest);
        if view.now >= until {
            return None;
        }
        limits.push(Limit::LockOut { until });
        Some(Reason::LockOut)
    }

    fn brake(&self, id: DecisionId, view: &View<'_>, limits: &mut Vec<Limit>) -> Option<Reason> {
        let (most, now) = (self.spec.brake.max_actions_per_hour, view.now);
        if let Some(until) = self.state.actions.free_at(most, now) {
            limits.push(Limit::Brake { max_actions_per_hour: most, until, global: false });
            return Some(Reason::Brake);
        }
        // What is not meant takes nobody's place.
        let global = self.global.as_ref().filter(|_| self.spec.mode.is_act())?;
        let (most, until) = global.take(&self.spec.target_ref.name, id, now).err()?;
        limits.push(Limit::Brake { max_actions_per_hour: most, until, global: true });
        Some(Reason::Brake)
    }
}
