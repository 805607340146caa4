//! `inhibition` and `silences`: is this alert muted? Beside a plain look through everything that could mute it.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use birl_benches::figure::{Figure, Target};
use birl_benches::stopwatch::nanoseconds;
use birl_router::{
    InhibitOptions, InhibitRuleConfig, InhibitScratch, Inhibition, Labels, Matchers, Silence,
    SilenceLimits, SilenceScratch, SilenceSlot, Silences,
};
use serde_json::json;

use crate::ROUNDS;

const RULES: usize = 100;
const SOURCES: usize = 10_000;
const SILENCES: usize = 10_000;
/// How many alerts are asked about in turn.
const ALERTS: usize = 500;

/// 100 rules and 10,000 firing sources, of which 100 belong to each rule; every second alert that is asked about is
/// inhibited. In `inhibition` each rule has its own targets, in `inhibition_one_target` all have the same.
pub(crate) fn inhibition() -> anyhow::Result<Vec<Figure>> {
    Ok(vec![
        inhibition_of("inhibition", |rule| format!("area-{rule}"))?,
        inhibition_of("inhibition_one_target", |_| "everywhere".to_owned())?,
    ])
}

fn inhibition_of(name: &'static str, area: impl Fn(usize) -> String) -> anyhow::Result<Figure> {
    let rules = (0..RULES)
        .map(|rule| {
            serde_json::from_value(json!({
                "source_matchers": ["severity=\"critical\"", format!("cause=\"cause-{rule}\"")],
                "target_matchers": ["severity=~\"warning|info\"", format!("area=\"{}\"", area(rule))],
                "equal": ["cluster", "service"]
            }))
        })
        .collect::<Result<Vec<InhibitRuleConfig>, _>>()?;
    let mut ours = Inhibition::new(&rules, InhibitOptions::default())?;
    let labels = |n: usize, severity: &str, service: String| {
        Labels::from([
            ("alertname", format!("Alert{}", n % 50)),
            ("area", area(n % RULES)),
            ("cause", format!("cause-{}", n % RULES)),
            ("cluster", format!("cluster-{}", n % 7)),
            ("host", format!("host-{n}")),
            ("job", format!("job-{}", n % 30)),
            ("service", service),
            ("severity", severity.to_owned()),
        ])
    };
    let now = SystemTime::now();
    let sources: Vec<Labels> =
        (0..SOURCES).map(|n| labels(n, "critical", format!("service-{n}"))).collect();
    for (slot, source) in (0..).zip(&sources) {
        ours.fires(slot, source, now, &mut Vec::new());
    }
    let alerts: Vec<Labels> = (0..ALERTS)
        .map(|n| {
            let service = if n % 2 == 0 { n * 19 } else { SOURCES + n };
            labels(if n % 2 == 0 { n * 19 } else { n }, "warning", format!("service-{service}"))
        })
        .collect();
    let plain = |alert: &Labels| {
        rules.iter().any(|rule| {
            rule.target_matchers.matches(alert)
                && sources.iter().any(|source| {
                    rule.equal.iter().all(|name| source.get(name) == alert.get(name))
                        && rule.source_matchers.matches(source)
                        && !(rule.source_matchers.matches(alert)
                            && rule.target_matchers.matches(source))
                })
        })
    };
    let mut scratch = InhibitScratch::default();
    for alert in &alerts {
        let by = ours.inhibited_labels(alert, &mut scratch);
        anyhow::ensure!(by.is_some() == plain(alert), "{alert}: ours says {by:?}");
    }
    let rounds: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let mut next = alerts.iter().cycle();
            let bare = nanoseconds(|| next.next().map(|alert| plain(black_box(alert))));
            let ours = nanoseconds(|| {
                next.next().map(|alert| ours.inhibited_labels(black_box(alert), &mut scratch))
            });
            (ours, bare)
        })
        .collect();
    Ok(Figure::of_rounds(
        name,
        "ns",
        "each rule beside each firing alert",
        Target::RatioAtMost(1.0 / 1_000.0),
        &rounds,
    ))
}

/// 10,000 silences, 5 % of them with a regular expression; one that is new is added before each batch of queries, as by
/// people in the middle of an outage, and the oldest of these ends.
pub(crate) fn silences() -> anyhow::Result<Vec<Figure>> {
    let matchers = |n: usize| {
        Matchers::parse(&match n % 20 {
            0 => format!("host=~\"host-{n}[0-9]|web-{n}.*\",severity!=\"critical\""),
            1..=5 => format!("alertname=\"Alert{}\",service=\"service-{n}\"", n % 50),
            6..=10 => format!("cluster=\"cluster-{}\",host=\"host-{n}\"", n % 7),
            11..=15 => format!("job=\"job-{n}\",severity=~\"warning|info\""),
            _ => format!("service=\"service-{n}\""),
        })
    };
    let mut now = SystemTime::now();
    let silence = |n: usize, now: SystemTime| {
        anyhow::Ok(Silence::new(matchers(n)?, Some(now + Duration::from_secs(86_400))))
    };
    let mut limits = SilenceLimits::default();
    limits.retention = Duration::ZERO;
    let mut ours = Silences::new(limits, 1);
    let mut plain: Vec<(SilenceSlot, Silence)> = Vec::new();
    for n in 0..SILENCES {
        let slot = ours.set(silence(n, now)?, now)?.slot;
        plain.extend(ours.get(slot).map(|silence| (slot, silence.clone())));
    }
    let mut changes = Vec::new();
    ours.advance(now, &mut changes);
    let alerts: Vec<Labels> = (0..ALERTS)
        .map(|n| {
            let n = n * 17;
            Labels::from([
                ("alertname", format!("Alert{}", n % 50)),
                ("cluster", format!("cluster-{}", n % 7)),
                ("env", "prod".to_owned()),
                ("host", format!("host-{n}")),
                ("instance", format!("10.0.{}.{}:9100", n / 250, n % 250)),
                ("job", format!("job-{}", n % 30)),
                ("service", format!("service-{}", n + 3)),
                ("severity", "warning".to_owned()),
            ])
        })
        .collect();
    let mut scratch = SilenceScratch::default();
    let look = |plain: &[(SilenceSlot, Silence)], alert: &Labels, now: SystemTime| {
        let hits = plain.iter().filter(|(_, silence)| {
            silence.starts_at <= now
                && silence.ends_at.is_none_or(|end| now < end)
                && silence.matches(alert)
        });
        hits.map(|(slot, _)| *slot).collect::<Vec<_>>()
    };
    let mut hits = 0;
    for alert in &alerts {
        let found = ours.matching(alert, now, &mut scratch);
        hits += found.len();
        anyhow::ensure!(found == look(&plain, alert, now), "{alert}: ours says {found:?}");
    }
    anyhow::ensure!(hits > ALERTS / 4, "hardly any alert is silenced: {hits}");
    let mut added = SILENCES;
    let mut last = String::new();
    let rounds = (0..ROUNDS)
        .map(|_| {
            let mut next = alerts.iter().cycle();
            let bare = nanoseconds(|| next.next().map(|alert| look(&plain, black_box(alert), now)));
            // A batch is what one scrape of a host brings: the cost of the new silence is shared by it.
            let mut batch = || -> anyhow::Result<usize> {
                now += Duration::from_millis(1);
                if !last.is_empty() {
                    ours.expire(&last, now)?;
                }
                let slot = ours.set(silence(added, now)?, now)?.slot;
                last = ours.get(slot).map(|silence| silence.id.clone()).unwrap_or_default();
                added += 1;
                changes.clear();
                ours.advance(now, &mut changes);
                let batch = next.by_ref().take(BATCH);
                Ok(batch
                    .map(|alert| ours.matching(black_box(alert), now, &mut scratch).len())
                    .sum())
            };
            let mut failed = None;
            let whole = nanoseconds(|| batch().map_err(|error| failed = Some(error)));
            match failed {
                Some(error) => Err(error),
                None => Ok((whole / BATCH as f64, bare)),
            }
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(vec![Figure::of_rounds(
        "silences",
        "ns",
        "each silence asked",
        Target::RatioAtMost(1.0 / 500.0),
        &rounds,
    )])
}

const BATCH: usize = 100;
