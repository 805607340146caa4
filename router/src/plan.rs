//! A configuration, checked and compiled: from labels to groups, and what is to be known of each.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::config::{Compat, Config, Limits, SlaTier};
use crate::endpoint::Endpoints;
use crate::error::{Error, ErrorKind};
use crate::flap::FlapConfig;
use crate::group::{Group, GroupKey, MAX_POOLS, Named};
use crate::interval::{TimeInterval, TimeIntervals};
use crate::receiver::{PoolId, Receivers};
use crate::route::{GroupBy, Names, Route, RouteScratch, RouteTree};
use crate::storm::RateLimit;
use crate::time::Stamp;
use crate::{Alert, Labels};

/// The number of the root.
const ROOT: u32 = 0;
/// The name of the label that stands for all others in the group of those that found no room for one of their own.
pub(crate) const OVERFLOW: &str = "__overflow__";
use crate::topology::Topology;

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) tree: RouteTree,
    /// By route.
    intervals: Vec<Intervals>,
    pub(crate) receivers: Receivers,
    pub(crate) compat: Compat,
    pub(crate) flap: FlapConfig,
    pub(crate) notify_on_unmute: bool,
    pub(crate) dedup_window: Duration,
    pub(crate) resolve_timeout: Option<Duration>,
    pub(crate) external_url: String,
    pub(crate) limits: Limits,
}

/// When a group is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) wait: Duration,
    pub(crate) interval: Duration,
    pub(crate) repeat: Duration,
}

/// When a route is muted.
#[derive(Debug, Default)]
struct Intervals {
    mute: Vec<Arc<TimeInterval>>,
    active: Vec<Arc<TimeInterval>>,
}

/// How a receiver was found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Why<'a> {
    Matched(&'a Route),
    Default,
    Named,
    /// The alert names a receiver that there is not.
    UnknownName(&'a str),
    /// The configuration has no such route any more.
    Retired,
}

impl Plan {
    pub(crate) fn compile(config: &Config) -> Result<(Self, Endpoints), Error> {
        for (name, value) in [
            ("limits.max_alerts", config.limits.max_alerts),
            ("limits.max_groups", config.limits.max_groups),
            ("limits.max_dedup_keys", config.limits.max_dedup_keys),
            ("limits.max_outstanding", config.limits.max_outstanding),
            ("health.failures", config.health.failures as usize),
        ] {
            if value == 0 {
                return Err(Error::new(ErrorKind::InvalidConfig, name, "must be at least 1"));
            }
        }
        let topology = config.topology.as_ref().map(Topology::compile).transpose()?;
        let receivers = Receivers::compile(&config.receivers, topology.as_ref())?;
        let tree = RouteTree::compile(&config.route, &Names::new(&receivers.names()))?;
        let intervals = intervals(config, &tree)?;
        let tiers = config.sla_tiers.clone();
        let endpoints = Endpoints::new(receivers.endpoints(), &config.health, tiers)?;
        let plan = Self {
            tree,
            intervals,
            receivers,
            compat: config.compat,
            flap: match config.compat {
                Compat::Birl => config.flap.clone(),
                Compat::Alertmanager => FlapConfig { changes: 0, ..config.flap.clone() },
            },
            notify_on_unmute: config.notify_on_unmute,
            dedup_window: config.dedup_window,
            resolve_timeout: config.global.resolve_timeout,
            external_url: config.external_url.clone(),
            limits: config.limits.clone(),
        };
        for (index, route) in (0..).zip(plan.tree.routes()) {
            let pools = plan.pools(index, Named::ByTree).count();
            if pools > MAX_POOLS {
                let message = format!(
                    "its receivers have {pools} integrations, and a route can tell {MAX_POOLS}: split it by `continue`"
                );
                return Err(Error::new(ErrorKind::InvalidConfig, &route.path, message));
            }
        }
        for (index, receiver) in (0..).zip(&config.receivers) {
            // An alert may name it, past all routes.
            let pools = plan.pools(ROOT, Named::Receiver(index)).count();
            if pools > MAX_POOLS {
                let message = format!(
                    "`{}` has {pools} integrations, and an alert that names it can tell {MAX_POOLS}: make it two receivers",
                    receiver.name
                );
                let place = format!("receivers[{index}]");
                return Err(Error::new(ErrorKind::InvalidConfig, place, message));
            }
        }
        Ok((plan, endpoints))
    }

    /// The groups that an alert belongs to, in the order of the routes; at least one.
    pub(crate) fn group_keys(
        &self,
        alert: &Alert,
        scratch: &mut RouteScratch,
    ) -> SmallVec<[GroupKey; 2]> {
        let root = ROOT;
        if let Some(name) = &alert.receiver {
            let named = self.receivers.by_name(name).and_then(|index| u32::try_from(index).ok());
            let named = named.map_or(Named::Unknown, Named::Receiver);
            let labels = self.route(root).group_labels(&alert.labels);
            return SmallVec::from_iter([GroupKey { route: root, named, labels }]);
        }
        let found = self.tree.find_into(&alert.labels, scratch).iter();
        let keys = found.map(|route| {
            let labels = self.route(*route).group_labels(&alert.labels);
            GroupKey { route: *route, named: Named::ByTree, labels }
        });
        keys.collect()
    }

    /// The pools that are told of what `route` takes.
    pub(crate) fn pools(&self, route: u32, named: Named) -> impl Iterator<Item = &PoolId> {
        let route = self.route(route);
        let by_name = match named {
            Named::Receiver(index) => Some(index as usize),
            _ => None,
        };
        let receivers = by_name
            .into_iter()
            .chain(route.receivers.iter().copied().filter(move |_| by_name.is_none()));
        let receivers = receivers.filter_map(|index| self.receivers.get(index));
        receivers.flat_map(|receiver| receiver.pools.iter().map(|pool| &pool.id))
    }

    pub(crate) fn timing(&self, group: &Group) -> Timing {
        if group.retired.is_some() {
            return Timing {
                wait: Duration::ZERO,
                interval: Duration::ZERO,
                repeat: Duration::MAX,
            };
        }
        let route = self.route(group.key.route);
        // What has to arrive within milliseconds cannot wait for company.
        let first_tier = route.sla == Some(SlaTier::One);
        let wait = if first_tier { Duration::ZERO } else { route.group_wait };
        Timing { wait, interval: route.group_interval, repeat: route.repeat_interval }
    }

    /// Does a time interval mute the group's route, and when may that change?
    pub(crate) fn time_muted(&self, group: &Group, now: Stamp) -> (bool, Stamp) {
        let route = group.key.route as usize;
        let Some(Intervals { mute, active }) = self.intervals.get(route) else {
            return (false, Stamp::NEVER);
        };
        if group.retired.is_some() || (mute.is_empty() && active.is_empty()) {
            return (false, Stamp::NEVER);
        }
        let now = now.to_system_time();
        let muted = mute.iter().any(|interval| interval.contains(now))
            || (!active.is_empty() && !active.iter().any(|interval| interval.contains(now)));
        let changes = mute.iter().chain(active).filter_map(|interval| interval.next_change(now));
        (muted, changes.min().map_or(Stamp::NEVER, Stamp::of))
    }

    /// A route by its number; the root for one that there is not.
    pub(crate) fn route(&self, number: u32) -> &Route {
        self.tree.routes().get(number as usize).unwrap_or_else(|| self.tree.root())
    }

    pub(crate) fn rate_limit(&self, pool: &str) -> Option<RateLimit> {
        self.receivers.pool(pool).and_then(|(receiver, _)| receiver.rate_limit)
    }

    pub(crate) fn sla(&self, group: &Group) -> Option<SlaTier> {
        let route = group.retired.is_none().then(|| self.route(group.key.route))?;
        route.sla
    }

    /// Alertmanager's name for the conversation: the route's key, and the labels that it groups by.
    pub(crate) fn group_key(&self, key: &GroupKey) -> String {
        format!("{}:{}", self.route(key.route).key, key.labels)
    }

    /// Why the receivers of `group` are told; `name` is the receiver that its alert names.
    pub(crate) fn why<'a>(&'a self, group: &Group, name: Option<&'a str>) -> Why<'a> {
        match group.key.named {
            _ if group.retired.is_some() => Why::Retired,
            Named::Receiver(_) => Why::Named,
            Named::Unknown => Why::UnknownName(name.unwrap_or_default()),
            Named::ByTree if group.key.route == ROOT => Why::Default,
            Named::ByTree => Why::Matched(self.route(group.key.route)),
        }
    }
}

/// The time intervals that the routes name.
fn intervals(config: &Config, tree: &RouteTree) -> Result<Vec<Intervals>, Error> {
    let (newer, older) = (&config.time_intervals, &config.mute_time_intervals);
    let all = TimeIntervals::compile_with_older(newer, older)?;
    let found = |path: &str, list: &str, names: &[String]| {
        let names = names.iter().enumerate();
        names.map(|(i, name)| all.find(format_args!("{path}.{list}[{i}]"), name).cloned()).collect()
    };
    let by_route = tree.routes().iter().map(|route| {
        let mute: Result<_, Error> =
            found(&route.path, "mute_time_intervals", &route.mute_time_intervals);
        let active: Result<_, Error> =
            found(&route.path, "active_time_intervals", &route.active_time_intervals);
        Ok(Intervals { mute: mute?, active: active? })
    });
    by_route.collect()
}

impl Route {
    /// What alerts of one group share.
    pub(crate) fn group_labels(&self, labels: &Labels) -> Labels {
        match &self.group_by {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) if names.is_empty() => Labels::new(),
            GroupBy::Labels(names) => labels.only(names),
        }
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matched(route) => write!(f, "{} matches {}", route.path, route.own_key),
            Self::Default => f.write_str("no route matches, so the default receiver is told"),
            Self::Named => f.write_str("the alert names its receiver"),
            Self::UnknownName(name) => write!(
                f,
                "the alert names the receiver `{name}`, which there is not, so the default receiver is told"
            ),
            Self::Retired => f.write_str("it was told by a route that is gone"),
        }
    }
}
