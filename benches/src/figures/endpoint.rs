//! `endpoint`: the nearest healthy of 100 endpoints in 100 zones, beside a bare pick of the better of two.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use birl_benches::figure::{Figure, Target};
use birl_benches::stopwatch::nanoseconds;
use birl_router::{EndpointId, Router, SlaTier, Ways};
use serde_json::json;

use crate::ROUNDS;

const REGIONS: usize = 20;
/// In each region.
const ZONES: usize = 5;
const NODES: usize = REGIONS * ZONES;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let now = SystemTime::now();
    let healthy = ways(now, 0)?;
    // The near half is down: the search has to go outward.
    let outward = ways(now, NODES / 2)?;
    let peaks: Vec<Peak> = (0..NODES).map(Peak::new).collect();
    let mut pick = 0_u64;
    let mut rounds = |ways: &Ways| -> Vec<_> {
        let of_one = |_| {
            let bare = nanoseconds(|| {
                pick += 1;
                two_choices(black_box(&peaks), pick, black_box(now))
            });
            let ours = nanoseconds(|| {
                pick += 1;
                let way = black_box(ways).choose(Some(SlaTier::Two), &[], black_box(now), pick)?;
                Some(std::ptr::from_ref(way.endpoint()))
            });
            (ours, bare)
        };
        (0..ROUNDS).map(of_one).collect()
    };
    let reference = "a bare pick of two by peak EWMA";
    let target = Target::RatioAtMost(5.0);
    Ok(vec![
        Figure::of_rounds("endpoint", "ns", reference, target, &rounds(&healthy)),
        Figure::of_rounds(
            "endpoint (half are down)",
            "ns",
            "its budget",
            Target::ValueBelow(5_000.0),
            &rounds(&outward),
        ),
    ])
}

/// What a bare pick knows of an endpoint: its peak, as of when, and how many requests are under way.
struct Peak {
    rtt: AtomicU64,
    /// Seconds after 1970.
    at: AtomicU64,
    pending: AtomicU64,
}

impl Peak {
    fn new(n: usize) -> Self {
        let rtt = AtomicU64::new((10.0 + n as f64).to_bits());
        Self { rtt, at: AtomicU64::new(0), pending: AtomicU64::new(n as u64 % 7) }
    }

    /// The peak, sunk by its age, times the load: the formula of finagle, linkerd and tower.
    fn cost(&self, now: f64) -> f64 {
        let load = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let age = now - f64::from_bits(load(&self.at));
        let peak = f64::from_bits(load(&self.rtt)) * (-age / 1e9).exp();
        peak * (load(&self.pending) as f64 + 1.0)
    }
}

/// Two at random, and the lower of two costs: what any power of two choices does at least. It knows of no distance, no
/// tier and no health.
fn two_choices(peaks: &[Peak], pick: u64, now: SystemTime) -> Option<usize> {
    let mixed = pick.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let index = |bits: u64| (((bits & 0xffff_ffff) * peaks.len() as u64) >> 32) as usize;
    let (one, other) = (index(mixed), index(mixed >> 32));
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let cost = |index: usize| peaks.get(index).map(|peak| peak.cost(now));
    Some(if cost(other)? < cost(one)? { other } else { one })
}

/// One endpoint in each zone, all measured, the nearest `down` of them down. The one in the router's own zone is put far
/// away, so that the nearest are several and two of them are compared.
fn ways(now: SystemTime, down: usize) -> anyhow::Result<Ways> {
    let zone = |region: usize, zone: usize| format!("r{region}-z{zone}");
    let regions: Vec<_> = (0..REGIONS)
        .map(|region| {
            let zones: Vec<_> = (0..ZONES).map(|z| zone(region, z)).collect();
            json!({ "name": format!("r{region}"), "zones": zones })
        })
        .collect();
    // A ring of regions, with chords.
    let links: Vec<_> = (0..REGIONS)
        .flat_map(|from| [(from, from + 1, 10), (from, from + 7, 45)])
        .map(|(from, to, distance)| {
            json!({ "from": format!("r{from}"), "to": format!("r{}", to % REGIONS), "distance": distance })
        })
        .collect();
    let endpoints: Vec<_> = (0..NODES)
        .map(|n| {
            let (place, distance) = (zone(n / ZONES, n % ZONES), if n == 0 { 1_000 } else { 0 });
            json!({ "name": n.to_string(), "zone": place, "distance": distance, "host": {} })
        })
        .collect();
    let config = serde_json::from_value(json!({
        "route": { "receiver": "oncall" },
        "receivers": [{ "name": "oncall", "endpoints": endpoints }],
        "topology": { "zone": "r0-z0", "regions": regions, "links": links }
    }))?;
    let mut router = Router::new(config)?;
    for n in 0..NODES {
        let rtt = Duration::from_millis(5 + n as u64 % 90);
        router.heartbeat(&EndpointId::new(format!("oncall/{n}")), Some(rtt), now);
    }
    for _ in 0..down {
        let ways = router.ways("oncall");
        let nearest = ways.as_ref().and_then(|ways| ways.choose(None, &[], now, 0));
        let Some(nearest) = nearest.map(|way| way.endpoint().clone()) else { break };
        for _ in 0..3 {
            router.heartbeat(&nearest, None, now);
        }
    }
    router.ways("oncall").ok_or_else(|| anyhow::anyhow!("the receiver has no endpoints"))
}
