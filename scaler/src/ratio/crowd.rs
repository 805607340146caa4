//! Which instances count.

use std::time::SystemTime;

use crate::metric::MetricSpec;
use crate::signal::{Instance, Observation, Phase, Signal};
use crate::timestamp::later;

/// The instances of one observation.
pub(super) struct Crowd<'a> {
    /// They themselves, where the platform can tell.
    pub(super) list: Option<&'a [Instance]>,
    /// How many are up and able to work.
    pub(super) ready: u64,
    /// Whether `ready` is all there is to know about each.
    pub(super) is_plain: bool,
    /// How many were asked for.
    pub(super) desired: u32,
    /// How many the platform counts, ready or not.
    pub(super) status: u32,
}

/// What an instance is for one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// Its sample counts.
    Told,
    /// It should have one and has none.
    Missing,
    /// Its sample would mean nothing.
    Unready,
    /// It is on its way out.
    Ignored,
}

impl<'a> Crowd<'a> {
    pub(super) fn of(seen: &'a Observation) -> Self {
        let desired = seen.current.desired;
        let Some(list) = seen.instances.as_deref() else {
            return Self {
                list: None,
                ready: u64::from(seen.current.ready),
                is_plain: true,
                desired,
                status: seen.status_replicas.unwrap_or(desired),
            };
        };
        let (mut ready, mut is_plain) = (0, true);
        for instance in list {
            ready += u64::from(is_working(instance));
            is_plain &= instance.phase.is_none() & !instance.deleted;
        }
        let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
        let status = seen.status_replicas.unwrap_or(count);
        Self { list: Some(list), ready, is_plain, desired, status }
    }
}

/// Whether it is up and able to work.
fn is_working(instance: &Instance) -> bool {
    let runs = match instance.phase {
        None => !instance.deleted,
        Some(phase) => phase == Phase::Running,
    };
    instance.ready && runs
}

/// What `instance` is for `metric`, when its sample was `measured` then, or never.
pub(super) fn group(
    instance: &Instance,
    measured: Option<SystemTime>,
    metric: &MetricSpec,
    signal: &Signal,
    now: SystemTime,
) -> Group {
    let unready = match instance.phase {
        _ if instance.deleted => return Group::Ignored,
        Some(Phase::Succeeded | Phase::Failed) => return Group::Ignored,
        Some(Phase::Pending) => true,
        Some(Phase::Running) => false,
        None => !instance.ready,
    };
    match measured {
        _ if unready => Group::Unready,
        None => Group::Missing,
        Some(at) if instance.phase.is_some() && metric.is_cpu() => {
            match is_starting(instance, at, metric, signal, now) {
                true => Group::Unready,
                false => Group::Told,
            }
        }
        Some(_) => Group::Told,
    }
}

/// Whether the cpu that was `measured` is that of a start rather than of work.
fn is_starting(
    instance: &Instance,
    measured: SystemTime,
    metric: &MetricSpec,
    signal: &Signal,
    now: SystemTime,
) -> bool {
    let (Some(started), Some(changed)) = (instance.started, instance.ready_changed) else {
        return true;
    };
    let startup = &metric.startup;
    if later(started, startup.cpu_initialization_period) > now {
        !instance.ready || measured < later(changed, signal.window)
    } else {
        !instance.ready && later(started, startup.initial_readiness_delay) > changed
    }
}
