//! Brakes: the most changes in any hour, for one target and for all of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::decision::DecisionId;
use crate::timestamp::{elapsed, later};

const HOUR: Duration = Duration::from_secs(3600);

/// The most that a shared brake can be set to, so that what it remembers stays small.
const GLOBAL_CEILING: u32 = 100_000;

/// The changes of the last hour.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Actions {
    #[serde(with = "crate::timestamp::serde::queue")]
    times: VecDeque<SystemTime>,
}

impl Actions {
    /// Forgets what is over an hour old, and moves what a clock set back left in the future to
    /// now: that brakes longer, never shorter.
    pub(crate) fn settle(&mut self, now: SystemTime) {
        self.times.iter_mut().for_each(|at| *at = (*at).min(now));
        while self.times.front().is_some_and(|at| elapsed(*at, now) >= HOUR) {
            self.times.pop_front();
        }
    }

    /// How many there have been since the hour before the last [`settle`](Self::settle).
    fn count(&self) -> usize {
        self.times.len()
    }

    /// When one more is free under a limit of `most`: `None` for now.
    pub(crate) fn free_at(&self, most: u32, now: SystemTime) -> Option<SystemTime> {
        if most == 0 {
            return Some(later(now, HOUR)); // never; an hour on is when to look again
        }
        // The one that must be an hour old before there is room.
        let at = self.times.get(self.times.len().checked_sub(most as usize)?)?;
        let free_at = later(*at, HOUR);
        (free_at > now).then_some(free_at)
    }

    pub(crate) fn record(&mut self, at: SystemTime) {
        self.settle(at);
        self.times.push_back(at);
    }
}

/// One brake and one kill switch that many deciders share.
///
/// Clones are handles to the same brake. A decider takes a place when it decides on a change, so
/// that a thousand targets deciding in the same instant cannot all pass; reporting the change as
/// failed gives the place back. A target holds one unreported place at most, for at most an hour.
///
/// ```
/// # fn main() -> Result<(), birl_scaler::Error> {
/// use birl_scaler::{Decider, GlobalBrake, ScalerSpec};
///
/// let brake = GlobalBrake::new(100);
/// let api = Decider::new(ScalerSpec::new("api", 1, 10))?.with_global_brake(brake.clone());
/// let web = Decider::new(ScalerSpec::new("web", 1, 10))?.with_global_brake(brake.clone());
/// brake.set_kill_switch(true); // nothing moves from here on
/// # let _ = (api, web); Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct GlobalBrake(Arc<Mutex<Global>>);

#[derive(Debug)]
struct Global {
    most: u32,
    kill_switch: bool,
    applied: Actions,
    /// Decided and not yet reported, one a target.
    taken: BTreeMap<Arc<str>, (DecisionId, SystemTime)>,
}

impl GlobalBrake {
    /// A brake that lets `max_actions_per_hour` changes pass in any hour, over all its deciders;
    /// 100 000 at most.
    pub fn new(max_actions_per_hour: u32) -> Self {
        Self(Arc::new(Mutex::new(Global {
            most: max_actions_per_hour.min(GLOBAL_CEILING),
            kill_switch: false,
            applied: Actions::default(),
            taken: BTreeMap::new(),
        })))
    }

    /// Stops every change, or lets them pass again.
    pub fn set_kill_switch(&self, on: bool) {
        self.lock().kill_switch = on;
    }

    /// Whether every change is stopped.
    pub fn kill_switch(&self) -> bool {
        self.lock().kill_switch
    }

    /// How many changes the hour before `now` has seen, places taken included.
    pub fn actions(&self, now: SystemTime) -> usize {
        let mut global = self.lock();
        global.settle(now);
        global.applied.count() + global.taken.len()
    }

    /// Takes a place for `target`, or tells how many there are and when one is free.
    pub(crate) fn take(
        &self,
        target: &Arc<str>,
        decision: DecisionId,
        now: SystemTime,
    ) -> Result<(), (u32, SystemTime)> {
        let mut global = self.lock();
        global.settle(now);
        global.taken.remove(target);
        let most = global.most;
        let left = most.saturating_sub(u32::try_from(global.taken.len()).unwrap_or(u32::MAX));
        if let Some(free_at) = global.applied.free_at(left, now) {
            return Err((most, free_at));
        }
        global.taken.insert(Arc::clone(target), (decision, now));
        Ok(())
    }

    /// The change was carried out, or it was not.
    pub(crate) fn report(
        &self,
        target: &str,
        decision: DecisionId,
        applied: bool,
        now: SystemTime,
    ) {
        let mut global = self.lock();
        if global.taken.get(target).is_some_and(|(held, _)| *held == decision) {
            global.taken.remove(target);
        }
        if applied {
            global.applied.record(now);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Global> {
        // Every update is complete before the guard goes; a panic elsewhere leaves sound numbers.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Global {
    fn settle(&mut self, now: SystemTime) {
        self.applied.settle(now);
        self.taken.retain(|_, (_, at)| elapsed(*at, now) < HOUR);
    }
}
