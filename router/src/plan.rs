//! A configuration, checked and compiled: from labels to the pools that are told.

use std::time::Duration;

use crate::config::{Config, Limits, RouteConfig, SlaTier};
use crate::endpoint::Endpoints;
use crate::error::{Error, ErrorKind};
use crate::receiver::{Pool, Receiver, Receivers};
use crate::route::{Names, Route, RouteTree};
use crate::{Alert, Labels, duration};

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) tree: RouteTree,
    pub(crate) receivers: Receivers,
    pub(crate) dedup_window: Duration,
    /// The same for sentences: written once, not for each repeat.
    pub(crate) dedup_window_text: String,
    pub(crate) resolve_timeout: Option<Duration>,
    pub(crate) external_url: String,
    pub(crate) limits: Limits,
}

/// One pool that is to be told, and why.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) receiver: &'a Receiver,
    pub(crate) pool: &'a Pool,
    pub(crate) route: &'a Route,
    pub(crate) sla: Option<SlaTier>,
    pub(crate) why: Why<'a>,
}

/// How a receiver was found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Why<'a> {
    Matched(&'a Route),
    Default,
    Named,
    /// The alert names a receiver that there is not.
    UnknownName(&'a str),
}

impl Plan {
    pub(crate) fn compile(config: &Config) -> Result<(Self, Endpoints), Error> {
        for (name, value) in [
            ("limits.max_alerts", config.limits.max_alerts),
            ("limits.max_dedup_keys", config.limits.max_dedup_keys),
            ("limits.max_outstanding", config.limits.max_outstanding),
            ("health.failures", config.health.failures as usize),
        ] {
            if value == 0 {
                return Err(Error::new(ErrorKind::InvalidConfig, name, "must be at least 1"));
            }
        }
        let receivers = Receivers::compile(&config.receivers)?;
        let tree = RouteTree::compile(&config.route, &Names::new(&receivers.names()))?;
        refuse_groups(&tree, &config.route, 0)?;
        let (health, tiers) = (config.health.clone(), config.sla_tiers.clone());
        let endpoints = Endpoints::new(receivers.endpoints(), health, tiers);
        let plan = Self {
            tree,
            receivers,
            dedup_window: config.dedup_window,
            dedup_window_text: duration::format(config.dedup_window),
            resolve_timeout: config.global.resolve_timeout,
            external_url: config.external_url.clone(),
            limits: config.limits.clone(),
        };
        Ok((plan, endpoints))
    }

    /// The receivers that an alert goes to, each with the route that says how; at least one.
    pub(crate) fn routes<'a>(&'a self, alert: &'a Alert) -> Vec<(usize, &'a Route, Why<'a>)> {
        let root = self.tree.root();
        if let Some(name) = &alert.receiver {
            return vec![match self.receivers.by_name(name) {
                Some(index) => (index, root, Why::Named),
                None => (root.receivers[0], root, Why::UnknownName(name)),
            }];
        }
        self.routes_by_labels(&alert.labels)
    }

    fn routes_by_labels(&self, labels: &Labels) -> Vec<(usize, &Route, Why<'_>)> {
        let mut found: Vec<(usize, &Route, Why<'_>)> = Vec::with_capacity(1);
        for route in self.tree.find(labels) {
            let is_root = std::ptr::eq(route, self.tree.root());
            let why = if is_root { Why::Default } else { Why::Matched(route) };
            for to in &route.receivers {
                // Two routes may lead to one receiver; it is told once, by the rules of the first.
                if found.iter().all(|(receiver, ..)| receiver != to) {
                    found.push((*to, route, why));
                }
            }
        }
        found
    }

    /// The pools that an alert goes to. None if its receivers have no endpoints.
    pub(crate) fn targets<'a>(&'a self, alert: &'a Alert) -> Vec<Target<'a>> {
        let routes = self.routes(alert).into_iter();
        let pools = routes.filter_map(|(index, route, why)| {
            let receiver = self.receivers.get(index)?;
            Some(receiver.pools.iter().map(move |pool| Target {
                receiver,
                pool,
                route,
                sla: route.sla,
                why,
            }))
        });
        pools.flatten().collect()
    }
}

/// Grouping is refused for now, rather than accepted without effect.
fn refuse_groups(tree: &RouteTree, config: &RouteConfig, number: u32) -> Result<(), Error> {
    let Some(route) = tree.routes().get(number as usize) else { return Ok(()) };
    if config.group_by.as_ref().is_some_and(|by| *by != ["..."]) {
        let message = "each alert is told on its own: leave `group_by` out, or write [\"...\"]";
        return Err(Error::new(ErrorKind::InvalidConfig, &route.path, message));
    }
    let children = config.routes.iter().zip(&route.children);
    children.into_iter().try_for_each(|(config, child)| refuse_groups(tree, config, *child))
}

impl std::fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Matched(route) => write!(f, "{} matches {}", route.path, route.own_key),
            Self::Default => f.write_str("no route matches, so the default receiver is told"),
            Self::Named => f.write_str("the alert names its receiver"),
            Self::UnknownName(name) => write!(
                f,
                "the alert names the receiver `{name}`, which there is not, so the default receiver is told"
            ),
        }
    }
}
