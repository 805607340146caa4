//! Names that nothing uses, and receivers that nobody hears.

use std::collections::BTreeSet;

use super::{Lint, LintCode};
use crate::Config;
use crate::config::{ReceiverConfig, RouteConfig};

/// What a receiver is called that swallows its alerts on purpose.
const ON_PURPOSE: [&str; 14] = [
    "null", "black", "none", "drop", "ignore", "noop", "no-op", "discard", "void", "silen", "mute",
    "nobody", "nowhere", "devnull",
];

pub(super) fn check(config: &Config, lints: &mut Vec<Lint>) {
    let mut used = Used::default();
    used.route(&config.route, 0);
    for (i, receiver) in config.receivers.iter().enumerate() {
        let name = receiver.name.as_str();
        if !used.receivers.contains(name) {
            let message = format!("no route names the receiver `{name}`");
            let remedy = "add a route to it, or remove it, unless alerts name it themselves";
            let place = format!("receivers[{i}]");
            lints.push(Lint::new(LintCode::UnusedReceiver, place, message, remedy));
        } else if has_no_way(receiver)
            && !ON_PURPOSE.iter().any(|word| name.to_lowercase().contains(word))
        {
            let message = format!("`{name}` has no way to be told: what is routed to it is lost");
            let remedy = "add a webhook or an endpoint, or call it `null` if that is meant";
            let place = format!("receivers[{i}]");
            lints.push(Lint::new(LintCode::SilentReceiver, place, message, remedy));
        }
    }
    for (place, name) in time_intervals(config) {
        if !used.time_intervals.contains(name) {
            let message = format!("no route names the time interval `{name}`");
            let remedy = "name it in a route's `mute_time_intervals` or `active_time_intervals`, or remove it";
            lints.push(Lint::new(LintCode::UnusedTimeInterval, place, message, remedy));
        }
    }
}

#[derive(Default)]
struct Used<'a> {
    receivers: BTreeSet<&'a str>,
    time_intervals: BTreeSet<&'a str>,
}

impl<'a> Used<'a> {
    fn route(&mut self, route: &'a RouteConfig, depth: usize) {
        if depth > 64 {
            return; // refused elsewhere
        }
        let receivers = route.receiver.iter().chain(&route.receivers);
        self.receivers.extend(receivers.map(String::as_str));
        let intervals = route.mute_time_intervals.iter().chain(&route.active_time_intervals);
        self.time_intervals.extend(intervals.map(String::as_str));
        route.routes.iter().for_each(|child| self.route(child, depth + 1));
    }
}

fn has_no_way(receiver: &ReceiverConfig) -> bool {
    receiver.endpoints.is_empty()
        && receiver.webhook_configs.is_empty()
        && receiver.stdout_configs.is_empty()
        && receiver.host_configs.is_empty()
}

/// Where each stands, and its name.
fn time_intervals(config: &Config) -> Vec<(String, &str)> {
    let newer = config.time_intervals.iter().enumerate();
    let newer = newer.map(|(i, one)| (format!("time_intervals[{i}]"), one.name.as_str()));
    let older = config.mute_time_intervals.iter().enumerate();
    let older = older.map(|(i, one)| (format!("mute_time_intervals[{i}]"), one.name.as_str()));
    newer.chain(older).collect()
}
