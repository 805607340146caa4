//! `route_decision` and `route_10000`: which route takes an alert, beside a plain walk of the same routes.
//!
//! The walk is what one writes without an index, and what Alertmanager does: nodes with their matchers, an alert's labels
//! in a map, strings compared, patterns compiled beforehand.

use std::collections::HashMap;
use std::hint::black_box;

use anyhow::Context;
use birl_benches::figure::{Figure, Target};
use birl_benches::stopwatch::nanoseconds;
use birl_router::{Config, Labels, ReceiverConfig, RouteConfig, RouteScratch, RouteTree};
use regex::Regex;

use crate::ROUNDS;

/// Teams, and for each its environments, and for each its severities: 500 leaves.
const TREE: [usize; 3] = [25, 4, 5];
const FLAT: usize = 10_000;
/// One route of so many has a pattern.
const PATTERN_EVERY: usize = 20;
const ALERTS: usize = 1_000;

pub(crate) fn tree() -> anyhow::Result<Vec<Figure>> {
    let levels = ["team", "env", "severity"];
    let names = |level: usize| (0..TREE[level]).map(move |n| format!("{}-{n}", levels[level]));
    let mut root = RouteConfig::to("r");
    for team in names(0) {
        let mut of_team = RouteConfig::to("r").matcher(format!("team={team}").parse()?);
        for env in names(1) {
            let mut of_env = RouteConfig::to("r").matcher(format!("env={env}").parse()?);
            for severity in names(2) {
                let leaf = RouteConfig::to("r").matcher(format!("severity={severity}").parse()?);
                of_env = of_env.route(leaf);
            }
            of_team = of_team.route(of_env);
        }
        root = root.route(of_team);
    }
    let alerts = (0..ALERTS).map(|n| {
        let value =
            |level: usize| format!("{}-{}", levels[level], scattered(n + level) % TREE[level]);
        labels(n, &[("team", value(0)), ("env", value(1)), ("severity", value(2))])
    });
    compare("route_decision", root, &alerts.collect::<Vec<_>>(), Target::RatioAtMost(1.0 / 4.0))
}

pub(crate) fn flat() -> anyhow::Result<Vec<Figure>> {
    let mut root = RouteConfig::to("r");
    for n in 0..FLAT {
        let matcher = match n % PATTERN_EVERY {
            0 => format!("service=~\"shop-{n}-[a-z]+[0-9]*\""),
            _ => format!("service=\"shop-{n}\""),
        };
        root = root.route(RouteConfig::to("r").matcher(matcher.parse()?));
    }
    let alerts = (0..ALERTS).map(|n| {
        let route = scattered(n) % FLAT;
        let suffix = if route.is_multiple_of(PATTERN_EVERY) { "-blue7" } else { "" };
        let service = format!("shop-{route}{suffix}");
        labels(n, &[("team", "shop".into()), ("env", "prod".into()), ("service", service)])
    });
    compare("route_10000", root, &alerts.collect::<Vec<_>>(), Target::RatioAtMost(1.0 / 100.0))
}

/// Eight labels: these, and what alerts have besides.
fn labels(n: usize, own: &[(&str, String)]) -> HashMap<String, String> {
    let others = ["alertname", "cluster", "instance", "job", "region"];
    let others = others.iter().map(|name| ((*name).to_owned(), format!("{name}-value-{}", n % 7)));
    let own = own.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    own.chain(others).collect()
}

/// Numbers without a pattern that a branch predictor could learn.
fn scattered(n: usize) -> usize {
    (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_right(29) as usize % 1_000_003
}

fn compare(
    name: &'static str,
    root: RouteConfig,
    alerts: &[HashMap<String, String>],
    target: Target,
) -> anyhow::Result<Vec<Figure>> {
    let mut numbers = 0;
    let plain = Plain::of(&root, &mut numbers)?;
    let tree = RouteTree::new(&Config::new(root, [ReceiverConfig::new("r")]))?;
    let ours: Vec<Labels> =
        alerts.iter().map(|labels| labels.clone().into_iter().collect()).collect();
    let (mut scratch, mut found) = (RouteScratch::default(), Vec::new());
    for (labels, ours) in alerts.iter().zip(&ours) {
        found.clear();
        plain.walk(labels, &mut found);
        anyhow::ensure!(tree.find_into(ours, &mut scratch) == found, "the two disagree on {ours}");
        anyhow::ensure!(found != [0], "no route takes {ours}");
    }
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let mut next = alerts.iter().cycle();
            let walked = nanoseconds(|| {
                found.clear();
                if let Some(labels) = next.next() {
                    plain.walk(black_box(labels), &mut found);
                }
                found.first().copied()
            });
            let mut next = ours.iter().cycle();
            let looked_up = nanoseconds(|| {
                let labels = next.next()?;
                tree.find_into(black_box(labels), &mut scratch).first().copied()
            });
            (looked_up, walked)
        })
        .collect();
    Ok(vec![Figure::of_rounds(name, "ns", "a plain walk of the same routes", target, &rounds)])
}

/// A node of the plain walk.
struct Plain {
    number: u32,
    matchers: Vec<(String, Condition)>,
    continues: bool,
    children: Vec<Self>,
}

enum Condition {
    Is(String),
    Matches(Regex),
}

impl Plain {
    fn of(route: &RouteConfig, numbers: &mut u32) -> anyhow::Result<Self> {
        let number = *numbers;
        *numbers += 1;
        let condition = |matcher: &birl_router::Matcher| {
            let condition = match matcher.op().as_str() {
                "=" => Condition::Is(matcher.value().to_owned()),
                "=~" => Condition::Matches(Regex::new(&format!("^(?:{})$", matcher.value()))?),
                _ => return Err(anyhow::anyhow!("no other operator here")),
            };
            Ok((matcher.name().to_owned(), condition))
        };
        let matchers = route.matchers.iter().map(condition).collect::<Result<_, _>>();
        let children =
            route.routes.iter().map(|child| Self::of(child, numbers)).collect::<Result<_, _>>();
        Ok(Self {
            number,
            matchers: matchers.context("the matchers of the plain walk")?,
            continues: route.continue_matching,
            children: children?,
        })
    }

    fn matches(&self, labels: &HashMap<String, String>) -> bool {
        self.matchers.iter().all(|(name, condition)| {
            let value = labels.get(name).map_or("", String::as_str);
            match condition {
                Condition::Is(wanted) => value == wanted,
                Condition::Matches(regex) => regex.is_match(value),
            }
        })
    }

    fn walk(&self, labels: &HashMap<String, String>, found: &mut Vec<u32>) {
        let before = found.len();
        for child in &self.children {
            if child.matches(labels) {
                child.walk(labels, found);
                if !child.continues {
                    break;
                }
            }
        }
        if found.len() == before {
            found.push(self.number);
        }
    }
}
