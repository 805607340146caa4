//! Who hears of an alert, and why: as data, and in words.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::{Duration, SystemTime};

use birl_router::{
    Alert, Config, GroupBy, Labels, Route, RouteConfig, RouteStep, RouteTree, Router,
};
use serde::Serialize;

use crate::failure::Failure;
use crate::rules::Answers;

/// A configuration that can be asked.
pub(super) struct Asked<'a> {
    pub(super) tree: RouteTree,
    config: &'a Config,
    /// The same, waiting for nothing.
    hasty: Config,
    at: SystemTime,
}

/// What becomes of an alert with these labels.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) labels: Labels,
    /// Who hears of it, each once.
    pub(super) receivers: Vec<String>,
    pub(super) told: Vec<Told>,
    /// What the router says when the alert comes in.
    pub(super) reason: String,
    /// Each node that the walk came by.
    pub(super) walk: Vec<RouteStep>,
}

/// One receiver, of one route.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    pub(super) receiver: String,
    pub(super) route: String,
    pub(super) group_labels: Labels,
    /// By which ways; of a pool the one that is chosen.
    pub(super) ways: Vec<Way>,
    group_wait: String,
    group_interval: String,
    repeat_interval: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mute_time_intervals: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    active_time_intervals: Vec<String>,
}

/// One way to a receiver, with the router's own sentence.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Way {
    pub(super) endpoint: String,
    reason: String,
}

impl<'a> Asked<'a> {
    pub(super) fn new(config: &'a Config, at: SystemTime) -> Result<Self, Failure> {
        let tree = RouteTree::new(config).map_err(Failure::input)?;
        let mut hasty = config.clone();
        at_once(&mut hasty.route);
        Ok(Self { tree, config, hasty, at })
    }

    pub(super) fn about(&self, labels: &Labels) -> Answer {
        let walk = self.tree.explain(labels);
        let (mut ways, mut reason) = (BTreeMap::<String, Vec<Way>>::new(), String::new());
        // A router that knows of nothing, so that no answer depends on those before.
        if let Ok(mut router) = Router::new(self.hasty.clone()) {
            let routed = router.route(Alert::firing(labels.clone(), self.at), self.at);
            reason = routed.reason.to_string();
            // The router counts in milliseconds.
            let later = router.tick(self.at + Duration::from_millis(1));
            for notification in routed.notifications.into_iter().chain(later) {
                let way = Way {
                    endpoint: notification.endpoint.to_string(),
                    reason: notification.reason,
                };
                ways.entry(notification.receiver).or_default().push(way);
            }
        }
        let (mut receivers, mut told) = (Vec::<String>::new(), Vec::new());
        for route in self.taken(labels) {
            for name in route.receivers().iter().filter_map(|i| self.config.receivers.get(*i)) {
                let name = &name.name;
                if !receivers.contains(name) {
                    receivers.push(name.clone());
                }
                told.push(Told {
                    receiver: name.clone(),
                    route: route.path().to_owned(),
                    group_labels: group_labels(route, labels),
                    ways: ways.get(name).cloned().unwrap_or_default(),
                    group_wait: written(route.group_wait()),
                    group_interval: written(route.group_interval()),
                    repeat_interval: written(route.repeat_interval()),
                    mute_time_intervals: route.mute_time_intervals().to_vec(),
                    active_time_intervals: route.active_time_intervals().to_vec(),
                });
            }
        }
        Answer { labels: labels.clone(), receivers, told, reason, walk }
    }

    /// The nodes that take an alert with these labels.
    pub(super) fn taken(&self, labels: &Labels) -> Vec<&Route> {
        let mut scratch = Default::default();
        let taken = self.tree.find_into(labels, &mut scratch).to_vec();
        taken.into_iter().filter_map(|i| self.tree.routes().get(i as usize)).collect()
    }
}

/// What is asked about is where, not when.
fn at_once(route: &mut RouteConfig) {
    route.group_wait = Some(Duration::ZERO);
    route.routes.iter_mut().for_each(at_once);
}

fn group_labels(route: &Route, labels: &Labels) -> Labels {
    match route.group_by() {
        GroupBy::All => labels.clone(),
        GroupBy::Labels(names) => {
            let of_group = |name: &&str| names.iter().any(|by| **by == **name);
            labels.iter().filter(|(name, _)| of_group(name)).collect()
        }
    }
}

/// As Alertmanager writes durations.
pub(super) fn written(duration: Duration) -> String {
    let (mut left, mut text) = (duration.as_millis(), String::new());
    for (unit, size) in
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)]
    {
        if left >= size {
            text.push_str(&format!("{}{unit}", left / size));
            left %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

impl Answer {
    pub(super) fn tell(&self, out: &mut Answers) -> Result<(), Failure> {
        out.answer(self, self)
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.labels)?;
        for told in &self.told {
            writeln!(f, "  {told}")?;
            told.ways.iter().try_for_each(|way| writeln!(f, "     {}", way.reason))?;
        }
        if self.told.iter().all(|told| told.ways.is_empty()) {
            writeln!(f, "  {}", self.reason)?;
        }
        writeln!(f, "  the walk:")?;
        for (i, step) in self.walk.iter().enumerate() {
            let end = if i + 1 == self.walk.len() { "" } else { "\n" };
            write!(f, "    {:indent$}{step}{end}", "", indent = 2 * step.depth)?;
        }
        Ok(())
    }
}

impl Display for Told {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "-> {}", self.receiver)?;
        if self.ways.is_empty() {
            f.write_str(", by no endpoint")?;
        }
        for (i, way) in self.ways.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { " by " } else { ", " }, way.endpoint)?;
        }
        write!(f, " ({}, group {}, ", self.route, self.group_labels)?;
        write!(
            f,
            "waits {}, then {}, repeated after {}",
            self.group_wait, self.group_interval, self.repeat_interval
        )?;
        for (word, names) in
            [("muted in", &self.mute_time_intervals), ("active in", &self.active_time_intervals)]
        {
            if !names.is_empty() {
                write!(f, ", {word} {}", names.join(", "))?;
            }
        }
        f.write_str(")")
    }
}
