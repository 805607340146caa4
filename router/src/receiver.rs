//! Receivers, compiled: whom a route names, and the ways to reach them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::RateLimit;
use crate::config::{EndpointConfig, NamedHostConfig, ReceiverConfig, StdoutConfig, WebhookConfig};
use crate::endpoint::{Candidate, EndpointId, arrange};
use crate::error::{Error, ErrorKind};
use crate::topology::{Distance, Topology};

/// Names a pool across configurations.
pub(crate) type PoolId = Arc<str>;

#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) name: Arc<str>,
    pub(crate) rate_limit: Option<RateLimit>,
    /// Each of these is told; of the endpoints inside one, one.
    pub(crate) pools: Vec<Pool>,
}

#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) id: PoolId,
    /// Nearest first.
    pub(crate) firing: Vec<Candidate>,
    /// The ones of them that want to hear of a resolve.
    pub(crate) resolved: Vec<Candidate>,
}

#[derive(Debug)]
pub(crate) struct Receivers {
    all: Vec<Receiver>,
    by_name: HashMap<Arc<str>, usize>,
    pools: HashMap<PoolId, (usize, usize)>,
    /// By [`Candidate::slot`].
    endpoints: Vec<EndpointId>,
}

/// How one endpoint is reached, as configured.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Transport<'a> {
    Webhook(&'a WebhookConfig),
    Stdout,
    Host,
}

impl Receivers {
    pub(crate) fn compile(
        configs: &[ReceiverConfig],
        topology: Option<&Topology>,
    ) -> Result<Self, Error> {
        let mut receivers = Self {
            all: Vec::new(),
            by_name: HashMap::new(),
            pools: HashMap::new(),
            endpoints: Vec::new(),
        };
        let mut ids = HashSet::new();
        for (i, config) in configs.iter().enumerate() {
            let place = format!("receivers[{i}]");
            let receiver = compile_receiver(config, &place, topology, &mut receivers.endpoints)?;
            for (j, pool) in receiver.pools.iter().enumerate() {
                for candidate in &pool.firing {
                    if !ids.insert(candidate.id.clone()) {
                        let message = format!(
                            "there are two endpoints `{}`: give each a name of its own",
                            candidate.id
                        );
                        return Err(Error::new(ErrorKind::InvalidConfig, place, message));
                    }
                }
                receivers.pools.insert(Arc::clone(&pool.id), (i, j));
            }
            if receivers.by_name.insert(Arc::clone(&receiver.name), i).is_some() {
                let message = format!("there are two receivers `{}`", receiver.name);
                return Err(Error::new(ErrorKind::InvalidConfig, place, message));
            }
            receivers.all.push(receiver);
        }
        Ok(receivers)
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.all.iter().map(|receiver| &*receiver.name).collect()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Receiver> {
        self.all.get(index)
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn pool(&self, id: &str) -> Option<(&Receiver, &Pool)> {
        let (receiver, pool) = *self.pools.get(id)?;
        let receiver = self.all.get(receiver)?;
        Some((receiver, receiver.pools.get(pool)?))
    }

    /// All endpoints, in the order of their slots.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = EndpointId> {
        self.endpoints.iter().cloned()
    }
}

fn compile_receiver(
    config: &ReceiverConfig,
    place: &str,
    topology: Option<&Topology>,
    endpoints: &mut Vec<EndpointId>,
) -> Result<Receiver, Error> {
    let invalid = |message: String| Err(Error::new(ErrorKind::InvalidConfig, place, message));
    if config.name.is_empty() {
        return invalid("the receiver's name is missing: `name: NAME`".into());
    }
    let mut pools = Vec::new();
    if !config.endpoints.is_empty() {
        let (mut firing, mut resolved) = (Vec::new(), Vec::new());
        for (i, endpoint) in config.endpoints.iter().enumerate() {
            let Some(send_resolved) = wants_resolved(endpoint) else {
                return invalid(format!(
                    "endpoints[{i}] needs exactly one of `webhook`, `stdout` and `host`"
                ));
            };
            let (distance, way) = reach(endpoint, &format!("{place}.endpoints[{i}]"), topology)?;
            let mut candidate = candidate(endpoint_id(config, i, endpoint), endpoints);
            (candidate.distance, candidate.way) = (distance, way);
            if send_resolved {
                resolved.push(candidate.clone());
            }
            firing.push(candidate);
        }
        arrange(&mut firing);
        arrange(&mut resolved);
        pools.push(Pool { id: Arc::from(&*config.name), firing, resolved });
    }
    let webhooks = config.webhook_configs.iter().map(|webhook| webhook.send_resolved);
    let stdouts = config.stdout_configs.iter().map(|stdout| stdout.send_resolved);
    let webhooks = webhooks.enumerate().map(|(i, send)| (webhook_id(config, i), send));
    let stdouts = stdouts.enumerate().map(|(i, send)| (stdout_id(config, i), send));
    let hosts = config.host_configs.iter().map(|host| (host_id(config, host), host.send_resolved));
    for (id, send_resolved) in webhooks.chain(stdouts).chain(hosts) {
        let pool_id = Arc::from(id.as_str());
        let firing = vec![candidate(id, endpoints)];
        let resolved = if send_resolved { firing.clone() } else { Vec::new() };
        pools.push(Pool { id: pool_id, firing, resolved });
    }
    Ok(Receiver { name: Arc::from(&*config.name), rate_limit: config.rate_limit, pools })
}

/// The next candidate, which is here.
fn candidate(id: EndpointId, endpoints: &mut Vec<EndpointId>) -> Candidate {
    let slot = endpoints.len();
    endpoints.push(id.clone());
    Candidate { id, slot, distance: Distance::Known(0), way: None, equals: 1 }
}

/// How far an endpoint is, and by which way.
fn reach(
    endpoint: &EndpointConfig,
    place: &str,
    topology: Option<&Topology>,
) -> Result<(Distance, Option<Arc<str>>), Error> {
    let invalid = |at: &str, message: &str| Err(Error::new(ErrorKind::InvalidConfig, at, message));
    let (key, name) = match (&endpoint.zone, &endpoint.region) {
        (None, None) => return Ok((Distance::Known(endpoint.distance.into()), None)),
        (Some(_), Some(_)) => return invalid(place, "write either `zone` or `region`, not both"),
        (Some(zone), None) => ("zone", zone),
        (None, Some(region)) => ("region", region),
    };
    let at = format!("{place}.{key}");
    let Some(topology) = topology else {
        return invalid(
            &at,
            "there is no `topology` with zones: add one, or write `distance` alone",
        );
    };
    let (distance, way) = topology.reach(name, endpoint.distance, &at)?;
    Ok((distance, Some(Arc::from(way))))
}

/// `None` unless exactly one way is configured.
fn wants_resolved(endpoint: &EndpointConfig) -> Option<bool> {
    match (&endpoint.webhook, &endpoint.stdout, &endpoint.host) {
        (Some(webhook), None, None) => Some(webhook.send_resolved),
        (None, Some(StdoutConfig { send_resolved }), None) => Some(*send_resolved),
        (None, None, Some(host)) => Some(host.send_resolved),
        _ => None,
    }
}

/// Every endpoint that `configs` names, and how it is reached. The names are the same that the router uses.
pub(crate) fn transports(
    configs: &[ReceiverConfig],
) -> impl Iterator<Item = (EndpointId, Transport<'_>)> {
    configs.iter().flat_map(|config| {
        let pool = config.endpoints.iter().enumerate().map(move |(i, endpoint)| {
            let transport = match (&endpoint.webhook, &endpoint.stdout) {
                (Some(webhook), _) => Transport::Webhook(webhook),
                (None, Some(_)) => Transport::Stdout,
                (None, None) => Transport::Host,
            };
            (endpoint_id(config, i, endpoint), transport)
        });
        let webhooks = config.webhook_configs.iter().enumerate();
        let webhooks =
            webhooks.map(move |(i, webhook)| (webhook_id(config, i), Transport::Webhook(webhook)));
        let stdouts = config.stdout_configs.iter().enumerate();
        let stdouts = stdouts.map(move |(i, _)| (stdout_id(config, i), Transport::Stdout));
        let hosts = config.host_configs.iter();
        let hosts = hosts.map(move |host| (host_id(config, host), Transport::Host));
        pool.chain(webhooks).chain(stdouts).chain(hosts)
    })
}

fn endpoint_id(receiver: &ReceiverConfig, i: usize, endpoint: &EndpointConfig) -> EndpointId {
    match &endpoint.name {
        Some(name) => EndpointId::new(format!("{}/{name}", receiver.name)),
        None => EndpointId::new(format!("{}/endpoints/{i}", receiver.name)),
    }
}

fn webhook_id(receiver: &ReceiverConfig, i: usize) -> EndpointId {
    EndpointId::new(format!("{}/webhook_configs/{i}", receiver.name))
}

fn stdout_id(receiver: &ReceiverConfig, i: usize) -> EndpointId {
    EndpointId::new(format!("{}/stdout_configs/{i}", receiver.name))
}

fn host_id(receiver: &ReceiverConfig, host: &NamedHostConfig) -> EndpointId {
    EndpointId::new(format!("{}/{}", receiver.name, host.name))
}
