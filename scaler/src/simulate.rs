//! A service under load, in memory: would this specification have coped, and what would it have cost?
//!
//! A [`Curve`] says how many requests arrive each second, from a seed ([`Archetype`]) or from a CSV
//! file. A [`World`] says what a pod can do ([`Service`]) and how long it takes to start and to
//! drain. A [`Policy`] decides; [`Scaler`] is the real [`Decider`](crate::Decider) with the
//! observations that it would get in production, late and sampled. What comes out is a [`Run`]: a
//! timeline, every change with its reason, and a [`Score`].
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let csv = "timestamp,value\n0,500\n600,500\n660,1500\n3600,900\n";
//! use birl_scaler::simulate::{Curve, Scaler, World, plot};
//! use birl_scaler::{MetricSpec, ScalerSpec};
//!
//! let curve = Curve::from_csv(csv)?; // time, requests/s
//! let world = World::default(); // 100 requests/s a pod, 30 s to start, 99 % within 500 ms
//! let mut now = ScalerSpec::new("api", 2, 100);
//! now.metrics = vec![MetricSpec::utilization("cpu", 60)];
//! let mut tonight = now.clone();
//! tonight.cool_down.scale_up = std::time::Duration::ZERO;
//!
//! let now = world.run(&curve, &mut Scaler::new("now", now)?)?;
//! let tonight = world.run(&curve, &mut Scaler::new("tonight", tonight)?)?;
//! println!("{now}\n{tonight}"); // now: … % of the requests late, … pod-hours, … changes
//! assert!(tonight.score.late < now.score.late);
//! let svg = plot("now and tonight", &world, &[&now, &tonight]);
//! # assert!(svg.starts_with("<svg"));
//! # Ok(()) }
//! ```
//!
//! # The model
//!
//! Time goes in seconds. The queue is a fluid: what arrives and is not served in a second waits,
//! any pod takes what waits, and a request gives up after the service's patience. The spread of
//! arrivals inside a second is the textbook's M/M/k queue (A. K. Erlang, 1917), one for each pod, since
//! a balancer deals requests out by chance: with `k` workers that serve `μ` requests/s each and a
//! rate of `λ`, a request waits longer than `t` with the probability `C(k, λ/μ) e^−(kμ−λ)t`, where `C`
//! is Erlang's delay formula, taken at each second's own rate (a pointwise stationary
//! approximation: Green and Kolesar, 1991). Above 98 % of a pod's capacity that formula has no
//! answer in finite time; there it is held, and the fluid tells the rest.
//!
//! Left out: pods that differ, connections that stay with one pod, start-up work, caches that are
//! cold, nodes that are missing. A simulator ranks rules; it does not predict bills.
//!
//! # Signals
//!
//! Each scrape gives a sample for each pod: `cpu` (percent of what it can do, the mean since the last
//! scrape, for those that were ready all the while), `requests` (arrivals a second), `in_flight`
//! (requests inside, at the scrape), `latency_p99` (seconds). Twice the same curve, world and policy
//! give twice the same run, on one machine; the curves use the platform's `exp` and `sin`, which may
//! differ in the last digit elsewhere.

mod archetype;
mod bounds;
mod csv;
mod curve;
mod fleet;
mod hpa;
mod kpa;
mod meter;
mod oracle;
mod plot;
mod policy;
mod queue;
mod random;
mod run;
mod score;
mod service;
mod world;

pub use self::archetype::Archetype;
pub use self::curve::Curve;
pub use self::hpa::HpaDefault;
pub use self::kpa::KpaLike;
pub use self::oracle::Oracle;
pub use self::plot::plot;
pub use self::policy::{Cadence, Policy, Scaler};
pub use self::random::Random;
pub use self::run::{Moment, Run, Scaled};
pub use self::score::Score;
pub use self::service::Service;
pub use self::world::World;
