//! Stabilization windows: what the metrics recommended lately, as far as it can still matter.
//!
//! The HPA moves a target no further than every recommendation of the window agrees: up to the
//! lowest of them, down to the highest, from the present size and never past it (which is why a
//! load that falls cannot make it grow: k8s 98174). Of a window only its extremes matter, so that
//! a recommendation is forgotten as soon as a later one is as extreme; a quiet target remembers
//! one or two. They are part of the state: a restart loses none.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::behavior::Behavior;
use crate::timestamp::later;
use crate::window::{in_window, merges};

/// The recommendations that still hold something back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Recommendations {
    /// The lowest of the window of the way up is first; they rise.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    up: VecDeque<Mark>,
    /// The highest of the window of the way down is first; they fall.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    down: VecDeque<Mark>,
}

/// So many replicas were recommended then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark(#[serde(with = "crate::timestamp::serde")] SystemTime, u32);

/// How far a change may go, and until when it is held there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stabilized {
    pub(crate) to: u32,
    pub(crate) until: SystemTime,
}

impl Recommendations {
    pub(crate) fn is_empty(&self) -> bool {
        self.up.is_empty() && self.down.is_empty()
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.up.clear();
        self.down.clear();
    }

    /// Notes what is recommended at `now`, before anything restrains it.
    pub(crate) fn record(&mut self, replicas: u32, behavior: &Behavior, now: SystemTime) {
        let (up, down) =
            (behavior.scale_up.stabilization_window, behavior.scale_down.stabilization_window);
        note(&mut self.up, replicas, up, now, |earlier| earlier >= replicas);
        note(&mut self.down, replicas, down, now, |earlier| earlier <= replicas);
    }

    /// How far up from `from` towards `wanted` every recommendation of the window agrees; `None`
    /// if all the way.
    pub(crate) fn rise(
        &self,
        from: u32,
        wanted: u32,
        behavior: &Behavior,
        now: SystemTime,
    ) -> Option<Stabilized> {
        let window = behavior.scale_up.stabilization_window;
        let Mark(at, lowest) = *self.up.iter().find(|mark| in_window(mark.0, window, now))?;
        let to = wanted.min(lowest).max(from);
        (to < wanted).then(|| Stabilized { to, until: later(at, window) })
    }

    /// The same on the way down.
    pub(crate) fn fall(
        &self,
        from: u32,
        wanted: u32,
        behavior: &Behavior,
        now: SystemTime,
    ) -> Option<Stabilized> {
        let window = behavior.scale_down.stabilization_window;
        let Mark(at, highest) = *self.down.iter().find(|mark| in_window(mark.0, window, now))?;
        let to = wanted.max(highest).min(from);
        (to > wanted).then(|| Stabilized { to, until: later(at, window) })
    }
}

impl Recommendations {
    /// When the next of them leaves its window.
    pub(crate) fn next_release(&self, behavior: &Behavior, now: SystemTime) -> Option<SystemTime> {
        let end = |marks: &VecDeque<Mark>, window| {
            marks.iter().map(|mark| later(mark.0, window)).find(|end| *end > now)
        };
        let up = end(&self.up, behavior.scale_up.stabilization_window);
        let down = end(&self.down, behavior.scale_down.stabilization_window);
        up.into_iter().chain(down).min()
    }
}

/// Adds a mark to those of a window, and drops those that it outdoes.
fn note(
    marks: &mut VecDeque<Mark>,
    replicas: u32,
    window: Duration,
    now: SystemTime,
    outdone: impl Fn(u32) -> bool,
) {
    // What a clock set back left in the future holds from now on, not until then.
    marks.iter_mut().for_each(|mark| mark.0 = mark.0.min(now));
    while marks.front().is_some_and(|mark| !in_window(mark.0, window, now)) {
        marks.pop_front();
    }
    while marks.back().is_some_and(|mark| outdone(mark.1)) {
        marks.pop_back();
    }
    if window.is_zero() {
        return;
    }
    let count = marks.len();
    match marks.back_mut() {
        // The earlier one is the more extreme. It holds for a slot longer, never shorter.
        Some(mark) if merges(count, mark.0, now, window) => mark.0 = now,
        _ => marks.push_back(Mark(now, replicas)),
    }
}
