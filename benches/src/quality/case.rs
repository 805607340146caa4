//! The loads that policies are judged on, and one run of each.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use birl_scaler::ScalerSpec;
use birl_scaler::simulate::{
    Archetype, Cadence, Curve, HpaDefault, KpaLike, Oracle, Policy, Run, Scaler, World,
};

use crate::profile;

/// The seeds that the profile was chosen on, and those that it is judged on.
pub(crate) const TUNING: std::ops::Range<u64> = 1..13;
pub(crate) const HELD_OUT: std::ops::Range<u64> = 1001..1031;

/// How long a pod takes to start, in seconds.
pub(crate) const STARTS: [u64; 3] = [5, 30, 120];

/// A trace is scaled so that 99 % of its points need no more than so many requests/s: 40 pods at
/// their target.
const TRACE_RATE: f64 = 2400.0;

/// The traces: a file each in `benches/data/`, and what it is.
const TRACES: [(&str, &str); 5] = [
    ("elb_request_count", "load balancer, requests"),
    ("asg_cpu_utilization", "scaling group, CPU"),
    ("tweets_amzn", "tweets, AMZN"),
    ("tweets_goog", "tweets, GOOG"),
    ("nyc_taxi", "taxi passengers"),
];

/// Others, which the profile was chosen on; in `benches/data/tuning/`.
const TUNING_TRACES: [(&str, &str); 4] = [
    ("tweets_ibm", "tweets, IBM"),
    ("tweets_fb", "tweets, FB"),
    ("ec2_cpu_utilization", "machine, CPU"),
    ("network_in", "machine, network"),
];

/// One load in one world.
pub(crate) struct Case {
    /// What it is reckoned among.
    pub(crate) group: String,
    pub(crate) seed: u64,
    pub(crate) world: World,
    pub(crate) curve: Curve,
}

/// Who decides.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    Hpa,
    /// The HPA's rules with the profile's signals: what of the gain is theirs.
    HpaWithRequests,
    Kpa,
    /// The real decider: its name, what it decides by, and the seconds between its ticks.
    Ours(&'static str, Box<ScalerSpec>, u64),
    Oracle,
}

impl Who {
    /// All that the tables show, the baseline first.
    pub(crate) fn all() -> Vec<Self> {
        let steady = || Box::new(profile::with(profile::STEADY));
        vec![
            Self::Hpa,
            Self::HpaWithRequests,
            Self::Kpa,
            Self::Ours("birl, C2's defaults", Box::new(profile::defaults()), 15),
            Self::Ours("birl, `steady`", steady(), 15),
            Self::Ours("birl, `steady`, each 5 s", steady(), 5),
            Self::Oracle,
        ]
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Hpa => "HPA default",
            Self::HpaWithRequests => "HPA default + requests",
            Self::Kpa => "KPA-like",
            Self::Ours(name, ..) => name,
            Self::Oracle => "oracle",
        }
    }

    pub(crate) fn run(&self, case: &Case) -> anyhow::Result<Run> {
        let (min, max) = (profile::MIN, profile::MAX);
        let hpa = || HpaDefault::cpu(profile::CPU, min, max);
        let mut policy: Box<dyn Policy> = match self {
            Self::Hpa => Box::new(hpa()),
            Self::HpaWithRequests => {
                let requests = f64::from(profile::REQUESTS);
                Box::new(hpa().metric("requests", requests).named(self.name()))
            }
            Self::Kpa => Box::new(KpaLike::new(profile::IN_FLIGHT, min, max)),
            Self::Ours(name, spec, tick) => {
                let tick = Duration::from_secs(*tick);
                let scaler = Scaler::new(*name, ScalerSpec::clone(spec))?;
                Box::new(scaler.cadence(Cadence::every(tick, tick)))
            }
            Self::Oracle => Box::new(Oracle::new(&case.world, &case.curve)),
        };
        Ok(case.world.run(&case.curve, policy.as_mut())?)
    }
}

/// Every kind of load with every start delay, for each of the seeds.
pub(crate) fn archetypes(seeds: std::ops::Range<u64>) -> Vec<Case> {
    let mut cases = Vec::new();
    for archetype in Archetype::ALL {
        for seed in seeds.clone() {
            let curve = archetype.curve(seed);
            for start in STARTS {
                let world = World::default().start_delay(Duration::from_secs(start));
                cases.push(Case {
                    group: archetype.to_string(),
                    seed,
                    world,
                    curve: curve.clone(),
                });
            }
        }
    }
    cases
}

/// The traces with every start delay.
pub(crate) fn traces(folder: &Path) -> anyhow::Result<Vec<Case>> {
    read(folder, &TRACES)
}

fn read(folder: &Path, files: &[(&str, &str)]) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (file, name) in files {
        let path = folder.join(file).with_extension("csv");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{}: name the folder with --data", path.display()))?;
        let curve = Curve::from_csv(&text)?.scaled_to(0.99, TRACE_RATE)?;
        for start in STARTS {
            let world = World::default().start_delay(Duration::from_secs(start));
            cases.push(Case { group: (*name).to_owned(), seed: 0, world, curve: curve.clone() });
        }
    }
    Ok(cases)
}

/// The traces that the profile was chosen on, with every start delay.
pub(crate) fn tuning_traces(folder: &Path) -> anyhow::Result<Vec<Case>> {
    read(&folder.join("tuning"), &TUNING_TRACES)
}

/// What each of `who` comes to in each case, on all cores; in the order of the cases.
pub(crate) fn run_all<T: Send>(
    cases: &[Case],
    run: impl Fn(&Case) -> anyhow::Result<T> + Sync,
) -> anyhow::Result<Vec<T>> {
    let threads = std::thread::available_parallelism()?.get();
    let each = cases.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let run = &run;
        let parts: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn(move || {
                    let mine = cases.iter().enumerate().skip(first).step_by(threads);
                    mine.map(|(place, case)| Ok((place, run(case)?)))
                        .collect::<anyhow::Result<Vec<_>>>()
                })
            })
            .collect();
        let mut done = Vec::with_capacity(each * threads);
        for part in parts {
            let part = part.join().map_err(|_| anyhow::anyhow!("a thread gave up"))?;
            done.extend(part?);
        }
        done.sort_by_key(|&(place, _)| place);
        Ok(done.into_iter().map(|(_, result)| result).collect())
    })
}
