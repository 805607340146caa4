//! What the tests share.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use birl_rules_dsl::{Engine, EngineConfig, Event, Firing, Hits, RuleSet, Scratch, Status};
use serde_json::Value;

/// Some moment, in seconds and thousandths after a fixed start.
pub(crate) fn at(seconds: f64) -> SystemTime {
    // A day of room before zero.
    UNIX_EPOCH + Duration::from_secs(1_699_913_600) + Duration::from_secs_f64(86_400.0 + seconds)
}

pub(crate) fn compile(text: &str) -> Arc<RuleSet> {
    Arc::new(RuleSet::from_yaml("test.yaml", text).unwrap_or_else(|wrong| panic!("{wrong}")))
}

pub(crate) fn hits(rules: &Arc<RuleSet>, records: &[(f64, Value)]) -> Hits {
    let events = records.iter().map(|(time, record)| Event::new(record, at(*time)));
    rules.matches(events, &mut Scratch::new())
}

/// An engine that judges records one batch at a time, the clock being that of the last record.
pub(crate) struct Bench {
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) engine: Engine,
}

impl Bench {
    pub(crate) fn new(text: &str) -> Self {
        Self::with(text, |_| {})
    }

    pub(crate) fn with(text: &str, configure: impl FnOnce(&mut EngineConfig)) -> Self {
        let rules = compile(text);
        let mut config = EngineConfig::default();
        configure(&mut config);
        Self { engine: Engine::new(Arc::clone(&rules), config), rules }
    }

    /// One record, judged at the time it says.
    pub(crate) fn feed(&mut self, time: f64, record: Value) -> Vec<Firing> {
        self.feed_at(time, time, record)
    }

    /// One record that says `time`, judged when the clock says `now`.
    pub(crate) fn feed_at(&mut self, time: f64, now: f64, record: Value) -> Vec<Firing> {
        self.engine.advance(hits(&self.rules, &[(time, record)]), at(now))
    }

    pub(crate) fn tick(&mut self, now: f64) -> Vec<Firing> {
        self.engine.tick(at(now))
    }

    pub(crate) fn replace(&mut self, text: &str) {
        self.rules = compile(text);
        self.engine.replace(Arc::clone(&self.rules));
    }
}

/// Firings in short: `+rule{group}` begun, `=` repeated, `-` resolved, `?` withheld.
pub(crate) fn short(firings: &[Firing]) -> Vec<String> {
    firings
        .iter()
        .map(|firing| {
            let sign = match (&firing.withheld, firing.status, firing.repeat) {
                (Some(_), ..) => '?',
                (_, Status::Resolved, _) => '-',
                (_, _, true) => '=',
                _ => '+',
            };
            let group: Vec<&str> = firing.group.values().map(String::as_str).collect();
            format!("{sign}{}{{{}}}", firing.rule, group.join(","))
        })
        .collect()
}
