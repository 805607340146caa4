//! Settings of routes that have no effect, or not the one that they seem to have.

use std::time::Duration;

use super::{Lint, LintCode};
use crate::config::{RouteConfig, SlaTier};
use crate::duration;

/// What holds for a route, by itself or from above.
#[derive(Debug, Clone)]
pub(super) struct Inherited {
    receivers: Vec<String>,
    group_by: Vec<String>,
    group_wait: Duration,
    group_interval: Duration,
    repeat_interval: Duration,
    sla: Option<SlaTier>,
}

impl Default for Inherited {
    fn default() -> Self {
        Self {
            receivers: Vec::new(),
            group_by: Vec::new(),
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(300),
            repeat_interval: Duration::from_secs(4 * 3600),
            sla: None,
        }
    }
}

impl Inherited {
    /// What holds below, or in, `route`.
    pub(super) fn with(&self, route: &RouteConfig) -> Self {
        let own = receivers(route);
        Self {
            receivers: if own.is_empty() { self.receivers.clone() } else { own },
            group_by: route.group_by.clone().unwrap_or_else(|| self.group_by.clone()),
            group_wait: route.group_wait.unwrap_or(self.group_wait),
            group_interval: route.group_interval.unwrap_or(self.group_interval),
            repeat_interval: route.repeat_interval.unwrap_or(self.repeat_interval),
            sla: route.sla.or(self.sla),
        }
    }
}

fn receivers(route: &RouteConfig) -> Vec<String> {
    route.receiver.iter().chain(&route.receivers).cloned().collect()
}

/// `from` is what the parent has, and the root has no parent.
pub(super) fn check(
    route: &RouteConfig,
    path: &str,
    from: Option<&Inherited>,
    own: &Inherited,
    lints: &mut Vec<Lint>,
) {
    if let Some(from) = from {
        let same = |set: bool, equal: bool| set && equal;
        let settings = [
            (
                if route.receiver.is_some() { "receiver" } else { "receivers" },
                same(!receivers(route).is_empty(), own.receivers == from.receivers),
            ),
            ("group_by", same(route.group_by.is_some(), sorted(own) == sorted(from))),
            ("group_wait", same(route.group_wait.is_some(), own.group_wait == from.group_wait)),
            (
                "group_interval",
                same(route.group_interval.is_some(), own.group_interval == from.group_interval),
            ),
            (
                "repeat_interval",
                same(route.repeat_interval.is_some(), own.repeat_interval == from.repeat_interval),
            ),
            ("sla", same(route.sla.is_some(), own.sla == from.sla)),
        ];
        for (key, _) in settings.iter().filter(|(_, redundant)| *redundant) {
            let message = format!("`{key}` is what the route inherits anyway");
            let place = format!("{path}.{key}");
            lints.push(Lint::new(LintCode::RedundantSetting, place, message, "leave it out"));
        }
    }
    // Once, where one of the two is set.
    if from.is_none() || route.group_interval.is_some() || route.repeat_interval.is_some() {
        repeat(route, path, own, lints);
    }
}

fn repeat(route: &RouteConfig, path: &str, own: &Inherited, lints: &mut Vec<Lint>) {
    let (repeat, interval) = (own.repeat_interval.as_millis(), own.group_interval.as_millis());
    if interval == 0 || repeat.is_multiple_of(interval) {
        return;
    }
    let text =
        |ms: u128| duration::format(Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)));
    let due = repeat.div_ceil(interval) * interval;
    let message = if repeat < interval {
        format!(
            "`repeat_interval` ({}) is shorter than `group_interval` ({}): Alertmanager repeats after {}",
            text(repeat),
            text(interval),
            text(due)
        )
    } else {
        format!(
            "`repeat_interval` ({}) is no multiple of `group_interval` ({}): Alertmanager repeats after {}",
            text(repeat),
            text(interval),
            text(due)
        )
    };
    let key = if route.repeat_interval.is_some() { "repeat_interval" } else { "group_interval" };
    let remedy = format!("write `repeat_interval: {}`, or another `group_interval`", text(due));
    lints.push(Lint::new(LintCode::UnevenRepeat, format!("{path}.{key}"), message, remedy));
}

fn sorted(of: &Inherited) -> Vec<&str> {
    let mut labels: Vec<&str> = of.group_by.iter().map(String::as_str).collect();
    labels.sort_unstable();
    labels
}
