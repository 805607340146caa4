//! Rate policies: how far a target may go in one period, given how far it has gone already.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::behavior::{Behavior, PolicyKind, ScalingPolicy, ScalingRules, SelectPolicy};
use crate::timestamp::later;
use crate::window::{in_window, merges};

/// The applied changes of the longest period, by direction. They are part of the state, so that a
/// restart does not grant another period's worth.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Changes {
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    up: VecDeque<Change>,
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    down: VecDeque<Change>,
}

/// So many replicas came or went then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Change(#[serde(with = "crate::timestamp::serde")] SystemTime, u32);

/// How far a direction's policies let a target go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) replicas: u32,
    /// The policy that says so; none where the direction is disabled.
    pub(crate) policy: Option<ScalingPolicy>,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.up.is_empty() && self.down.is_empty()
    }

    /// Notes a change that was carried out. What is older than `longest` is forgotten.
    pub(crate) fn record(&mut self, from: u32, to: u32, longest: Duration, now: SystemTime) {
        for queue in [&mut self.up, &mut self.down] {
            queue.iter_mut().for_each(|change| change.0 = change.0.min(now));
            while queue.front().is_some_and(|change| !in_window(change.0, longest, now)) {
                queue.pop_front();
            }
        }
        let queue = if to > from { &mut self.up } else { &mut self.down };
        let by = to.abs_diff(from);
        if by == 0 || longest.is_zero() {
            return;
        }
        let count = queue.len();
        match queue.back_mut() {
            // It counts for a slot longer, never shorter.
            Some(last) if merges(count, last.0, now, longest) => {
                *last = Change(now, last.1.saturating_add(by));
            }
            _ => queue.push_back(Change(now, by)),
        }
    }

    /// The size at the beginning of the period that ends at `now`.
    fn start(&self, current: u32, period: Duration, now: SystemTime) -> i64 {
        let sum = |queue: &VecDeque<Change>| -> i64 {
            let within = queue.iter().filter(|change| in_window(change.0, period, now));
            within.map(|change| i64::from(change.1)).sum()
        };
        i64::from(current) - sum(&self.up) + sum(&self.down)
    }

    /// When the next of them leaves a period.
    pub(crate) fn next_release(&self, behavior: &Behavior, now: SystemTime) -> Option<SystemTime> {
        let policies = behavior.scale_up.policies.iter().chain(&behavior.scale_down.policies);
        let ends = policies.flat_map(|policy| {
            let changes = self.up.iter().chain(&self.down);
            changes.map(|change| later(change.0, policy.period)).filter(|end| *end > now)
        });
        ends.min()
    }
}

/// The most replicas that the policies of the way up allow, at least `current`.
pub(crate) fn ceiling(
    rules: &ScalingRules,
    current: u32,
    changes: &Changes,
    now: SystemTime,
) -> Allowed {
    select(rules, current, |policy| {
        let start = changes.start(current, policy.period, now);
        let value = i64::from(policy.value);
        let most = match policy.kind {
            PolicyKind::Pods => start + value,
            PolicyKind::Percent => div_ceil(start.saturating_mul(100 + value), 100),
        };
        // After many changes, or under a stricter policy than they were made by.
        most.max(i64::from(current))
    })
}

/// The fewest replicas that the policies of the way down allow, at most `current`.
pub(crate) fn floor(
    rules: &ScalingRules,
    current: u32,
    changes: &Changes,
    now: SystemTime,
) -> Allowed {
    select(rules, current, |policy| {
        let start = changes.start(current, policy.period, now);
        let value = i64::from(policy.value);
        let fewest = match policy.kind {
            PolicyKind::Pods => start - value,
            // Cut, as the HPA does: 50 % of 5 leave 2.
            PolicyKind::Percent => start.saturating_mul(100 - value) / 100,
        };
        fewest.min(i64::from(current))
    })
}

/// The policy that holds: the one with the largest change, or with the smallest. Of equal ones the
/// first.
fn select(rules: &ScalingRules, current: u32, bound: impl Fn(&ScalingPolicy) -> i64) -> Allowed {
    let each = rules.policies.iter().map(|policy| {
        let replicas = u32::try_from(bound(policy).max(0)).unwrap_or(u32::MAX);
        Allowed { replicas, policy: Some(*policy) }
    });
    let change = |allowed: &Allowed| allowed.replicas.abs_diff(current);
    let held = match rules.select_policy {
        SelectPolicy::Disabled => None,
        SelectPolicy::Min => each.min_by_key(change),
        SelectPolicy::Max => each.rev().max_by_key(change),
    };
    held.unwrap_or(Allowed { replicas: current, policy: None })
}

fn div_ceil(number: i64, by: i64) -> i64 {
    number.div_euclid(by) + i64::from(number.rem_euclid(by) != 0)
}
