//! The ways to one receiver, for threads that only read.

use std::fmt;
use std::time::SystemTime;

use super::{Candidate, Choice, EndpointId, Endpoints};
use crate::config::SlaTier;

/// The ways to one receiver, to choose from in any thread, while the [`Router`](crate::Router) goes on: nobody waits for
/// anybody. From [`Router::ways`](crate::Router::ways).
///
/// The configuration is the one of the moment at which it was made; health and round trips are those of the moment at
/// which it is asked.
///
/// ```
/// use birl_router::{Config, EndpointConfig, EndpointId, ReceiverConfig, RouteConfig, Router};
/// # use std::time::{Duration, SystemTime};
/// # let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
///
/// let oncall = ReceiverConfig::new("oncall")
///     .endpoint(EndpointConfig::host("eu", 1))
///     .endpoint(EndpointConfig::host("us", 9));
/// let mut router = Router::new(Config::new(RouteConfig::to("oncall"), [oncall]))?;
/// let ways = router.ways("oncall").expect("there is such a receiver");
/// for _ in 0..3 {
///     router.heartbeat(&EndpointId::new("oncall/eu"), None, now);
/// }
/// let reader = std::thread::spawn(move || ways.choose(None, &[], now, 0).map(|way| way.to_string()));
/// assert_eq!(
///     reader.join().ok().flatten().as_deref(),
///     Some("oncall/us (nearest healthy: distance 9, up, rtt not measured yet; passed over: oncall/eu (down))")
/// );
/// # Ok::<(), birl_router::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ways {
    endpoints: Endpoints,
    pool: Vec<Candidate>,
}

/// One way that was chosen. Prints as its name and why; the sentence is made only then.
#[derive(Debug)]
pub struct Way<'a> {
    choice: Choice<'a>,
    version: u64,
}

impl Ways {
    pub(crate) fn new(endpoints: &Endpoints, pool: &[Candidate]) -> Self {
        Self { endpoints: endpoints.clone(), pool: pool.to_vec() }
    }

    /// The nearest healthy one, but for those that were `tried`; how it is found stands at the head of the crate.
    ///
    /// Of equally good ones two are drawn by `random`, such as a hash of the notification's id: the same number under
    /// the same health is the same way. Takes no lock and allocates nothing. `None` only if all were tried.
    pub fn choose(
        &self,
        sla: Option<SlaTier>,
        tried: &[EndpointId],
        now: SystemTime,
        random: u64,
    ) -> Option<Way<'_>> {
        // First of all: what is judged afterwards is at least as new.
        let version = self.endpoints.version();
        let choice = self.endpoints.choose(&self.pool, sla, tried, now, random)?;
        Some(Way { choice, version })
    }
}

impl<'a> Way<'a> {
    /// The endpoint.
    pub fn endpoint(&self) -> &'a EndpointId {
        self.choice.id
    }

    /// The version of configuration and health that it was chosen under; see [`Router::version`](crate::Router::version).
    pub fn version(&self) -> u64 {
        self.version
    }
}

impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.choice.id, self.choice.why)
    }
}
