//! From a wish to what is allowed: bounds, step, lock-out, brake and kill switch.

use std::time::SystemTime;

use crate::brake::GlobalBrake;
use crate::decider::Decider;
use crate::decision::{DecisionId, Limit, Reason};
use crate::timestamp::later;
use crate::wish::Wish;

impl Decider {
    /// Cuts a wish down to what is allowed. A correction of an impossible size passes by step and
    /// lock-out; nothing passes by the brake and the kill switch.
    pub(crate) fn restrain(
        &self,
        wish: &mut Wish,
        from: u32,
        id: DecisionId,
        limits: &mut Vec<Limit>,
        now: SystemTime,
    ) {
        let correction = wish.reason == Reason::OutOfBounds;
        if !correction {
            self.bound(wish, from, limits);
        }
        if wish.to == from {
            wish.reason = Reason::Bounds;
            return;
        }
        let refused = self
            .kill_switch(limits)
            .or_else(|| if correction { None } else { self.lock_out(wish, from, limits, now) })
            .or_else(|| self.brake(id, limits, now));
        if let Some(reason) = refused {
            wish.to = from;
            wish.reason = reason;
        }
    }

    fn bound(&self, wish: &mut Wish, from: u32, limits: &mut Vec<Limit>) {
        let (min, max) = (self.spec.min_replicas, self.spec.max_replicas);
        let wanted = wish.to;
        if wanted > max {
            limits.push(Limit::Max { wanted, max });
        }
        if wanted < min {
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

    fn lock_out(
        &self,
        wish: &Wish,
        from: u32,
        limits: &mut Vec<Limit>,
        now: SystemTime,
    ) -> Option<Reason> {
        let lock_out = &self.spec.lock_out;
        let rest = if wish.to > from { lock_out.scale_up } else { lock_out.scale_down };
        let until = later(self.state.last_applied?.at, rest);
        if now >= until {
            return None;
        }
        limits.push(Limit::LockOut { until });
        Some(Reason::LockOut)
    }

    fn brake(&self, id: DecisionId, limits: &mut Vec<Limit>, now: SystemTime) -> Option<Reason> {
        let most = self.spec.brake.max_actions_per_hour;
        if let Some(until) = self.state.actions.free_at(most, now) {
            limits.push(Limit::Brake { max_actions_per_hour: most, until, global: false });
            return Some(Reason::Brake);
        }
        let (most, until) =
            self.global.as_ref()?.take(&self.spec.target_ref.name, id, now).err()?;
        limits.push(Limit::Brake { max_actions_per_hour: most, until, global: true });
        Some(Reason::Brake)
    }
}
