//! `route_decision`: an alert through a tree of 500 leaves, beside a bare walk over the same labels.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::SystemTime;

use birl_benches::figure::{Figure, Target};
use birl_benches::stopwatch::nanoseconds;
use birl_router::{Alert, Router};
use serde_json::json;

use crate::ROUNDS;

const LEAVES: usize = 500;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let routes: Vec<_> = (0..LEAVES)
        .map(|leaf| json!({ "matchers": [format!("team=\"team-{leaf}\""), "env=\"prod\""], "receiver": format!("r{}", leaf % 10) }))
        .collect();
    let receivers: Vec<_> =
        (0..11).map(|n| json!({ "name": format!("r{n}"), "stdout_configs": [{}] })).collect();
    let config = serde_json::from_value(
        json!({ "route": { "receiver": "r10", "group_by": ["..."], "group_wait": "0s", "group_interval": "0s", "routes": routes }, "receivers": receivers }),
    )?;
    let mut router = Router::new(config)?;
    let now = SystemTime::now();
    let names = ["alertname", "cluster", "env", "host", "job", "service", "severity", "team"];
    let alerts: Vec<Alert> = (0..LEAVES)
        .map(|leaf| {
            let value = |name: &&str| match *name {
                "team" => format!("team-{leaf}"),
                "env" => "prod".to_owned(),
                name => format!("{name}-value-{}", leaf % 7),
            };
            let labels: BTreeMap<String, String> =
                names.iter().map(|name| ((*name).to_owned(), value(name))).collect();
            Alert::firing(labels, now)
        })
        .collect();
    let leaves: Vec<_> = (0..LEAVES).map(|leaf| format!("team-{leaf}")).collect();
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let mut next = (0..LEAVES).cycle();
            let bare = nanoseconds(|| {
                let alert = &alerts[next.next().unwrap_or(0)];
                leaves.iter().position(|team| {
                    black_box(alert).labels.get("team") == team.as_str()
                        && alert.labels.get("env") == "prod"
                })
            });
            let ours = nanoseconds(|| router.route(alerts[next.next().unwrap_or(0)].clone(), now));
            (ours, bare)
        })
        .collect();
    Ok(vec![Figure::of_rounds(
        "route_decision",
        "ns",
        "a bare walk of the same leaves",
        Target::RatioAtMost(2.0),
        &rounds,
    )])
}
