//! Snapshots: decisions that change nothing, in as many threads as there are.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use smallvec::SmallVec;

use crate::endpoint::{Endpoints, Grounds};
use crate::plan::Plan;
use crate::route::{Route, RouteScratch, RouteTree};
use crate::{Config, EndpointId, Error, Labels};

/// One configuration, compiled, with the health of its endpoints as it is at this moment: enough to decide who would be
/// told of an alert and by which way, without the router and without changing anything.
///
/// A [`Router`](crate::Router) publishes one with every configuration; [`Router::reader`](crate::Router::reader) gives
/// each thread its view of it. A decision is made under one snapshot from beginning to end, and names its version. What
/// alerts there are, and what silences and inhibitions make of them, is the router's alone.
///
/// ```
/// use std::time::SystemTime;
/// use birl_router::{Config, Labels, ReceiverConfig, RouteConfig, RouteScratch, Snapshot};
///
/// let route = RouteConfig::to("all").route(RouteConfig::to("api").matcher("team=api".parse()?));
/// let receivers = ["all", "api"].map(|name| ReceiverConfig::new(name).stdout());
/// let snapshot = Snapshot::new(&Config::new(route, receivers))?;
///
/// let labels = Labels::from([("alertname", "Slow"), ("team", "api")]);
/// let mut scratch = RouteScratch::default();
/// let decision = snapshot.decide(&labels, SystemTime::UNIX_EPOCH, 0, &mut scratch);
/// assert_eq!(decision.targets[0].receiver, "api");
/// assert_eq!(decision.targets[0].route.path(), "route.routes[0]");
/// assert_eq!(decision.targets[0].endpoint.as_str(), "api/stdout_configs/0");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Snapshot {
    plan: Arc<Plan>,
    endpoints: Endpoints,
    version: u64,
}

/// Who would be told of an alert; from [`Snapshot::decide`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Decision<'a> {
    /// One for each integration of each receiver, in the order of the routes. None if the receivers have no endpoints.
    pub targets: SmallVec<[DecisionTarget<'a>; 2]>,
    /// The version of the snapshot that it was made under.
    pub version: u64,
}

/// One way that would be taken.
#[derive(Debug)]
#[non_exhaustive]
pub struct DecisionTarget<'a> {
    /// The route that takes the alert.
    pub route: &'a Route,
    /// Who is told.
    pub receiver: &'a str,
    /// The endpoint that is used now.
    pub endpoint: &'a EndpointId,
    /// Why this endpoint: its distance, its way through the topology, its health, what was passed over.
    pub why: EndpointReason<'a>,
}

/// Why an endpoint was chosen: a part of a sentence, written when it is shown.
#[derive(Debug)]
pub struct EndpointReason<'a>(Grounds<'a>);

impl Snapshot {
    /// The snapshot of a configuration, of whose endpoints nothing is known yet, as version 1.
    ///
    /// # Errors
    /// As [`Router::new`](crate::Router::new).
    pub fn new(config: &Config) -> Result<Self, Error> {
        let (plan, endpoints) = Plan::compile(config)?;
        Ok(Self::of(&Arc::new(plan), &endpoints, 1))
    }

    pub(crate) fn of(plan: &Arc<Plan>, endpoints: &Endpoints, version: u64) -> Self {
        Self { plan: Arc::clone(plan), endpoints: endpoints.clone(), version }
    }

    /// Who would be told, at `now`, of an alert with these labels that names no receiver itself.
    ///
    /// Among endpoints that are as near and as healthy as each other it is drawn by `random`: the same number, the same
    /// choice. It waits for nobody, and allocates nothing once the scratch has grown (for up to two targets).
    pub fn decide<'a>(
        &'a self,
        labels: &Labels,
        now: SystemTime,
        random: u64,
        scratch: &mut RouteScratch,
    ) -> Decision<'a> {
        let plan = &self.plan;
        let mut targets: SmallVec<[DecisionTarget<'a>; 2]> = SmallVec::new();
        for number in plan.tree.find_into(labels, scratch) {
            let route = plan.route(*number);
            for receiver in route.receivers.iter().filter_map(|index| plan.receivers.get(*index)) {
                if targets.iter().any(|target| *target.receiver == *receiver.name) {
                    continue; // it is told once, by the first route that leads to it
                }
                for pool in &receiver.pools {
                    let choice = self.endpoints.choose(&pool.firing, route.sla, &[], now, random);
                    targets.extend(choice.map(|choice| DecisionTarget {
                        route,
                        receiver: &receiver.name,
                        endpoint: choice.id,
                        why: EndpointReason(choice.why),
                    }));
                }
            }
        }
        Decision { targets, version: self.version }
    }

    /// The route tree, to ask why.
    pub fn tree(&self) -> &RouteTree {
        &self.plan.tree
    }

    /// Counts configurations.
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl fmt::Display for EndpointReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
