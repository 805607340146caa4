//! The counters as a Prometheus collector.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, Opts};

use crate::metrics::{Metrics, RuleStats, Stats};

/// One family: its name, its help, the label it has besides `rule`, and how to read it.
struct Family {
    name: &'static str,
    help: &'static str,
    label: Option<&'static str>,
    read: fn(&RuleStats) -> Vec<(&'static str, u64)>,
}

const BY_RULE: [Family; 7] = [
    Family {
        name: "birl_rules_firings_total",
        help: "Firings handed out: episodes begun, repeats within them, episodes ended.",
        label: Some("status"),
        read: |rule| {
            vec![("firing", rule.firing), ("repeat", rule.repeat), ("resolved", rule.resolved)]
        },
    },
    Family {
        name: "birl_rules_withheld_total",
        help: "Matches that opened no episode, by reason.",
        label: Some("reason"),
        read: |rule| vec![("too_old", rule.too_old)],
    },
    Family {
        name: "birl_rules_unknown_total",
        help: "Records about which a rule had no answer, mostly for want of a field.",
        label: None,
        read: |rule| vec![("", rule.unknown)],
    },
    Family {
        name: "birl_rules_errors_total",
        help: "Of these, those that `on_missing: error` makes errors.",
        label: None,
        read: |rule| vec![("", rule.errors)],
    },
    Family {
        name: "birl_rules_late_total",
        help: "Records that came too late for their window.",
        label: None,
        read: |rule| vec![("", rule.late)],
    },
    Family {
        name: "birl_rules_future_total",
        help: "Records from the future, taken as happening now.",
        label: None,
        read: |rule| vec![("", rule.future)],
    },
    Family {
        name: "birl_rules_evicted_groups_total",
        help: "Groups that were given up for want of room.",
        label: None,
        read: |rule| vec![("", rule.evicted)],
    },
];

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions().iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let stats = self.stats();
        let mut families = Vec::new();
        for family in &BY_RULE {
            families.extend(by_rule(family, &stats));
        }
        families.extend(reloads(&stats));
        families.extend(single("birl_rules_events_total", "Records matched.", stats.events));
        families.extend(gauges(&stats));
        families
    }
}

/// The descriptions that the collector registers under.
pub(crate) fn descriptions() -> Vec<Desc> {
    let describe = |name: &str, help: &str, labels: &[&str]| {
        let labels = labels.iter().map(ToString::to_string).collect();
        Desc::new(name.to_owned(), help.to_owned(), labels, std::collections::HashMap::new()).ok()
    };
    let by_rule = BY_RULE.iter().filter_map(|family| {
        let labels: Vec<&str> = std::iter::once("rule").chain(family.label).collect();
        describe(family.name, family.help, &labels)
    });
    let rest = [
        describe("birl_rules_events_total", "Records matched.", &[]),
        describe("birl_rules_reloads_total", "Edits of rule files.", &["result"]),
        describe("birl_rules_generation", "Generation of the live rules.", &[]),
        describe("birl_rules_groups", "Groups that have state.", &["rule"]),
    ];
    by_rule.chain(rest.into_iter().flatten()).collect()
}

fn by_rule(family: &Family, stats: &Stats) -> Vec<MetricFamily> {
    let labels: Vec<&str> = std::iter::once("rule").chain(family.label).collect();
    let Ok(counter) = IntCounterVec::new(Opts::new(family.name, family.help), &labels) else {
        return Vec::new();
    };
    for (name, rule) in &stats.rules {
        for (value, count) in (family.read)(rule) {
            let values: Vec<&str> =
                std::iter::once(&**name).chain(family.label.map(|_| value)).collect();
            counter.with_label_values(&values).inc_by(count);
        }
    }
    counter.collect()
}

fn reloads(stats: &Stats) -> Vec<MetricFamily> {
    let opts = Opts::new("birl_rules_reloads_total", "Edits of rule files.");
    let Ok(counter) = IntCounterVec::new(opts, &["result"]) else { return Vec::new() };
    counter.with_label_values(&["loaded"]).inc_by(stats.reloads_loaded);
    counter.with_label_values(&["rejected"]).inc_by(stats.reloads_rejected);
    counter.collect()
}

fn single(name: &str, help: &str, value: u64) -> Vec<MetricFamily> {
    let Ok(counter) = prometheus::IntCounter::new(name, help) else { return Vec::new() };
    counter.inc_by(value);
    counter.collect()
}

fn gauges(stats: &Stats) -> Vec<MetricFamily> {
    let opts = Opts::new("birl_rules_generation", "Generation of the live rules.");
    let mut families = Vec::new();
    if let Ok(generation) = prometheus::Gauge::with_opts(opts) {
        generation.set(stats.generation as f64);
        families.extend(generation.collect());
    }
    let opts = Opts::new("birl_rules_groups", "Groups that have state.");
    if let Ok(groups) = GaugeVec::new(opts, &["rule"]) {
        for (name, rule) in &stats.rules {
            groups.with_label_values(&[&**name]).set(rule.groups as f64);
        }
        families.extend(groups.collect());
    }
    families
}
