//! `dedup`, `alert_memory`, `alert_groups`, `config_swap`, `decisions_threads`: the router with as many alerts and routes
//! as a large site has.

use std::collections::HashMap;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use birl_benches::figure::{Figure, Target};
use birl_benches::stopwatch::{nanoseconds, seconds};
use birl_benches::usage::resident;
use birl_router::{
    Alert, Config, DeliveryReport, Labels, Outcome, ReceiverConfig, RouteConfig, RouteScratch,
    Router, Snapshot,
};
use serde::{Deserialize, Serialize};

use crate::ROUNDS;
use crate::child::Role;

const LIVE: usize = 1_000_000;
const ROUTES: usize = 10_000;
/// Alerts that a swap of the configuration has to carry over.
const CARRIED: usize = 10_000;
const DECISIONS: usize = 200_000;

/// Alerts in a process of its own, that tells what they take.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Population {
    alerts: usize,
    /// Each in a group of its own, or a thousand in one.
    alone: bool,
}

/// What a population takes, in bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Taken {
    resident: u64,
    /// Names and values of labels and annotations.
    texts: u64,
}

/// An alert as a rule of Prometheus makes it: eight labels, two annotations, a link.
fn alert(n: usize, now: SystemTime) -> Alert {
    let labels = [
        ("alertname", format!("HighRequestLatency{}", n % 50)),
        ("cluster", format!("eu-west-{}", n / 1000)),
        ("env", "production".to_owned()),
        ("instance", format!("10.{}.{}.{}:9100", n / 65_536 % 256, n / 256 % 256, n % 256)),
        ("job", format!("service-{}", n % 300)),
        ("service", format!("checkout-{n}")),
        ("severity", ["critical", "warning", "info"][n % 3].to_owned()),
        ("team", format!("team-{}", n % 25)),
    ];
    Alert::firing(labels, now)
        .annotation("summary", format!("The 99th percentile of checkout-{n} is above 500 ms"))
        .annotation("runbook_url", format!("https://runbooks.example/latency/{}", n % 50))
}

fn router(group_by: &str, alerts: usize) -> anyhow::Result<Router> {
    let mut route = RouteConfig::to("all");
    route.group_by = Some(vec![group_by.to_owned()]);
    let mut config = Config::new(route, [ReceiverConfig::new("all").stdout()]);
    config.limits.max_alerts = alerts;
    config.limits.max_groups = alerts;
    Ok(Router::new(config)?)
}

pub(crate) fn dedup() -> anyhow::Result<Vec<Figure>> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let mut router = router("cluster", LIVE)?;
    let alerts: Vec<Alert> = (0..LIVE).map(|n| alert(n, now)).collect();
    let mut bare: HashMap<Labels, u64> = HashMap::new();
    for alert in &alerts {
        bare.insert(alert.labels.clone(), 0);
        let _ = router.route(alert.clone(), now);
    }
    for sent in router.tick(now + Duration::from_secs(30)) {
        let report = DeliveryReport::delivered(&sent, Duration::ZERO, now);
        let _ = router.report(&report, now + Duration::from_secs(30));
    }
    let now = now + Duration::from_secs(60);
    // An order that no prefetcher knows.
    let mut at = 0_usize;
    let mut next = move || {
        at = (at + 618_033) % LIVE;
        at
    };
    anyhow::ensure!(router.route(alerts[7].clone(), now).outcome == Outcome::Deduped, "a repeat");
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let ours = nanoseconds(|| router.route(alerts[next()].clone(), now).outcome);
            let looked_up = nanoseconds(|| bare.get(black_box(&alerts[next()].labels)).copied());
            (ours, looked_up)
        })
        .collect();
    Ok(vec![Figure::of_rounds(
        "dedup",
        "ns",
        "a bare hash map of the same keys",
        Target::RatioAtMost(3.0),
        &rounds,
    )])
}

pub(crate) fn memory() -> anyhow::Result<Vec<Figure>> {
    let of = |alone| -> anyhow::Result<Taken> {
        let mut child = Role::Population(Population { alerts: LIVE, alone }).start()?;
        let out = child.0.stdout.take().context("a child has an output")?;
        let line = BufReader::new(out).lines().next().context("a child says what it found")??;
        child.wait()?;
        Ok(serde_json::from_str(&line)?)
    };
    let (together, alone) = (of(false)?, of(true)?);
    let each = |bytes: u64| bytes as f64 / LIVE as f64;
    let groups = alone.resident.saturating_sub(together.resident) as f64 / f64::from(1 << 20);
    Ok(vec![
        Figure::of_rounds(
            "alert_memory",
            "B",
            "its labels and annotations",
            Target::RatioAtMost(3.0),
            &[(each(together.resident), each(together.texts))],
        ),
        Figure::of_budget("alert_groups", "MiB", groups, 300.0),
    ])
}

impl Population {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let mut router = router(if self.alone { "..." } else { "cluster" }, self.alerts)?;
        let (before, mut texts) = (resident(), 0);
        for n in 0..self.alerts {
            let alert = alert(n, now);
            texts += (alert.labels.size() + alert.annotations.size()) as u64;
            let _ = router.route(alert, now);
        }
        let resident = resident() - before;
        println!("{}", serde_json::to_string(&Taken { resident, texts })?);
        drop(router);
        Ok(())
    }
}

fn routes(receiver: &str) -> anyhow::Result<Config> {
    let mut root = RouteConfig::to(receiver);
    for n in 0..ROUTES {
        let matcher = match n % 20 {
            0 => format!("service=~\"shop-{n}-[a-z]+\""),
            _ => format!("service=\"shop-{n}\""),
        };
        root = root.route(RouteConfig::to(receiver).matcher(matcher.parse()?));
    }
    Ok(Config::new(root, [ReceiverConfig::new(receiver).stdout()]))
}

pub(crate) fn config_swap() -> anyhow::Result<Vec<Figure>> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let configs = [routes("a")?, routes("b")?];
    let mut router = Router::new(configs[0].clone())?;
    for n in 0..CARRIED {
        let labels = [("alertname", "Slow".to_owned()), ("service", format!("shop-{n}"))];
        let _ = router.route(Alert::firing(labels, now), now);
    }
    let mut swaps = (0..ROUNDS * 2).map(|round| {
        let config = configs[round % 2].clone();
        let (took, swapped) = seconds(|| router.replace(config, now));
        swapped.map(|()| took * 1e3)
    });
    let took = swaps.by_ref().collect::<Result<Vec<f64>, _>>()?;
    let median = birl_benches::figure::median(took.into_iter());
    Ok(vec![Figure::of_budget("config_swap", "ms", median, 50.0)])
}

pub(crate) fn threads() -> anyhow::Result<Vec<Figure>> {
    let mut root = RouteConfig::to("all");
    for team in 0..25 {
        let mut of_team = RouteConfig::to("all").matcher(format!("team=team-{team}").parse()?);
        for severity in ["critical", "warning", "info"] {
            let matcher = format!("severity={severity}").parse()?;
            of_team = of_team.route(RouteConfig::to(format!("r-{severity}")).matcher(matcher));
        }
        root = root.route(of_team);
    }
    let receivers = ["all", "r-critical", "r-warning", "r-info"];
    let config = Config::new(root, receivers.map(|name| ReceiverConfig::new(name).stdout()));
    let router = Router::new(config)?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let alerts: Vec<Labels> = (0..1000).map(|n| alert(n, now).labels).collect();
    let speed = |threads: usize| {
        let work = || {
            let (mut reader, mut scratch) = (router.reader(), RouteScratch::default());
            for n in 0..DECISIONS {
                let snapshot: &Snapshot = reader.get();
                let labels = &alerts[n % alerts.len()];
                black_box(snapshot.decide(black_box(labels), now, n as u64, &mut scratch));
            }
        };
        let all = || {
            std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        };
        (threads * DECISIONS) as f64 / seconds(all).0
    };
    speed(1);
    let rounds: Vec<_> = (0..21).map(|_| (speed(2), speed(1))).collect();
    Ok(vec![Figure::of_rounds(
        "decisions_threads",
        "dec/s",
        "one thread",
        Target::RatioAtLeast(1.7),
        &rounds,
    )])
}
