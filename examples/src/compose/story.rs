//! What the loop says about itself: one structured line for each leg, with its reason, and counters.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use birl_router::{DeadLetter, DeliveryReport, DeliveryResult, Notification, Routed};
use birl_rules_dsl::{Firing, Status};
use birl_scaler::{Decision, Replicas};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use tracing::{debug, error, info, warn};

use super::fleet::Refusal;
use crate::config::Mode;

/// Tells the story of each decision; filters out what is only observed.
#[derive(Debug)]
pub(crate) struct Story {
    observed: IntCounterVec,
    own_output: IntCounter,
    refused: IntCounterVec,
    /// What was said last of a target, so that a steady state is not repeated on every tick.
    said: HashMap<String, String>,
}

impl Story {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let observed = IntCounterVec::new(
            Opts::new("birl_observed_total", "What was decided and, in observe mode, not done"),
            &["what"],
        )?;
        let own_output = IntCounter::new(
            "birl_own_output_skipped_total",
            "Entries that birl itself wrote and that its rules did not see",
        )?;
        let refused = IntCounterVec::new(
            Opts::new("birl_scale_intents_refused_total", "What rules asked of scalers, not taken"),
            &["reason"],
        )?;
        registry.register(Box::new(refused.clone()))?;
        registry.register(Box::new(observed.clone()))?;
        registry.register(Box::new(own_output.clone()))?;
        Ok(Self { observed, own_output, refused, said: HashMap::new() })
    }

    pub(crate) fn own_output(&self, entries: usize) {
        self.own_output.inc_by(entries as u64);
    }

    pub(crate) fn fired(&self, firing: &Firing, now: SystemTime) {
        let rule = &*firing.rule;
        let age_ms = milliseconds(now.duration_since(firing.event_time).unwrap_or_default());
        let explain = firing.explain.to_string();
        match (&firing.withheld, firing.status) {
            (Some(withheld), _) => warn!(
                rule,
                age_ms,
                ?withheld,
                explain,
                "withheld: nobody is told and nothing is scaled"
            ),
            (None, Status::Resolved) => {
                info!(rule, episode = firing.episode.id, explain, "resolved")
            }
            (None, _) if firing.repeat => {
                debug!(rule, episode = firing.episode.id, age_ms, explain, "fired again")
            }
            (None, _) => info!(rule, episode = firing.episode.id, age_ms, explain, "fired"),
        }
    }

    pub(crate) fn routed(&self, firing: &Firing, routed: &Routed) {
        debug!(rule = &*firing.rule, outcome = ?routed.outcome, state = ?routed.state, reason = %routed.reason, "routed");
    }

    /// What is to be delivered: everything, or nothing while observing.
    pub(crate) fn notify(&self, mode: Mode, notifications: Vec<Notification>) -> Vec<Notification> {
        if mode == Mode::Act {
            return notifications;
        }
        for notification in notifications {
            self.observed.with_label_values(&["notify"]).inc();
            info!(
                receiver = notification.receiver,
                reason = notification.reason,
                "observe: would notify; set `mode: act` to let birl do so"
            );
        }
        Vec::new()
    }

    pub(crate) fn delivered(&self, report: &DeliveryReport) {
        let DeliveryReport { receiver, endpoint, attempts, .. } = report;
        match &report.result {
            DeliveryResult::Delivered => {
                let rtt_ms = report.rtt.map(milliseconds);
                info!(receiver, %endpoint, attempts, rtt_ms, "notified");
            }
            DeliveryResult::Retrying { error, pause } => {
                warn!(receiver, %endpoint, attempts, error, ?pause, "not delivered yet");
            }
            DeliveryResult::Lost { cause, error } => {
                warn!(receiver, %endpoint, attempts, %cause, error, "given up at this endpoint");
            }
            _ => {}
        }
    }

    pub(crate) fn dead_letter(&self, dead: &DeadLetter) {
        error!(receiver = dead.notification.receiver, reason = dead.reason, "nobody could be told");
    }

    /// What is to be carried out: the changes, or nothing while observing.
    pub(crate) fn decide(&mut self, mode: Mode, decisions: Vec<Decision>) -> Vec<Decision> {
        let mut changes = Vec::new();
        for decision in decisions {
            let sentence = decision.explain();
            let news = self.said.insert(decision.target.to_string(), sentence.clone()).as_ref()
                != Some(&sentence);
            match (decision.is_change(), mode) {
                (true, Mode::Act) => {
                    info!(target_ref = &*decision.target, decision = %decision.id, explain = sentence, "decided");
                    changes.push(decision);
                }
                (true, Mode::Observe) if news => {
                    self.observed.with_label_values(&["scale"]).inc();
                    info!(
                        target_ref = &*decision.target,
                        explain = sentence,
                        "observe: would scale; set `mode: act` to let birl do so"
                    );
                }
                (false, _) if news => {
                    debug!(target_ref = &*decision.target, explain = sentence, "held")
                }
                _ => {}
            }
        }
        changes
    }

    pub(crate) fn applied(
        &self,
        decision: &Decision,
        result: &Result<Replicas, String>,
        now: SystemTime,
    ) {
        let took_ms = milliseconds(now.duration_since(decision.at).unwrap_or_default());
        match result {
            Ok(replicas) => {
                info!(target_ref = &*decision.target, decision = %decision.id, ready = replicas.ready, took_ms, "applied")
            }
            Err(error) => {
                error!(target_ref = &*decision.target, decision = %decision.id, error, "not applied")
            }
        }
    }

    pub(crate) fn refused(&self, firing: &Firing, target: &str, refusal: Refusal) {
        let (rule, reason) = (&*firing.rule, refusal.as_str());
        self.refused.with_label_values(&[reason]).inc();
        // Whoever floods the log with matches must not flood birl's with complaints too.
        debug!(rule, scaler = target, reason, "what the rule asks of the scaler is not taken");
    }

    #[cfg(test)]
    pub(crate) fn refusals(&self, reason: &str) -> u64 {
        self.refused.with_label_values(&[reason]).get()
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
