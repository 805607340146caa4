//! The deciders, each with its signals, its pending intents and the proof of its last change.

use std::collections::BTreeMap;
use std::time::SystemTime;

use birl_logsource::{LogEntry, Value};
use birl_scaler::{
    Decider, Decision, Metrics, Observation, Replicas, ScaleIntent, SignalWindow, Verifier,
    VerifierConfig,
};

use crate::config::{SignalConfig, VerifyConfig};

/// Intents that wait while a change is being carried out; more are refused, and that is counted.
const MAX_PENDING: usize = 1024;

/// Every scaler of the configuration, by the name that rules use.
#[derive(Debug)]
pub(crate) struct Fleet {
    scalers: BTreeMap<String, Scaler>,
    verifier: Verifier,
    metrics: Metrics,
}

#[derive(Debug)]
struct Scaler {
    decider: Decider,
    signals: Vec<(SignalConfig, SignalWindow)>,
    verify: VerifyConfig,
    /// What runs, as the target last said; nothing is decided before it has.
    replicas: Option<Replicas>,
    pending: Vec<ScaleIntent>,
    applying: bool,
}

/// Why an intent was not queued. A later match of its episode asks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No scaler is called that.
    UnknownTarget,
    /// A change is being carried out, and [`MAX_PENDING`] wait for its end.
    QueueFull,
}

impl Refusal {
    /// As in the metric.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::UnknownTarget => "unknown_target",
            Self::QueueFull => "queue_full",
        }
    }
}

impl Fleet {
    pub(crate) fn new(config: VerifierConfig, metrics: Metrics) -> Self {
        Self { scalers: BTreeMap::new(), verifier: Verifier::new(config), metrics }
    }

    pub(crate) fn add(
        &mut self,
        name: &str,
        decider: Decider,
        signals: Vec<SignalConfig>,
        verify: VerifyConfig,
        replicas: Option<Replicas>,
    ) {
        let signals = signals
            .into_iter()
            .map(|config| {
                let window = SignalWindow::new(config.metric.as_str(), config.max_age);
                (config, window)
            })
            .collect();
        let scaler =
            Scaler { decider, signals, verify, replicas, pending: Vec::new(), applying: false };
        self.scalers.insert(name.to_owned(), scaler);
    }

    /// Takes from an entry what is a reading of a metric, or the sign of life of an instance.
    pub(crate) fn see(&mut self, source: &str, entry: &LogEntry) {
        for (name, scaler) in &mut self.scalers {
            for (config, window) in &mut scaler.signals {
                if config.source.as_deref().is_some_and(|wanted| wanted != source) {
                    continue;
                }
                let reading = entry.fields.get(&config.field).and_then(number);
                let instance = entry.fields.get(&config.instance).and_then(text);
                if let (Some(reading), Some(instance)) = (reading, instance) {
                    window.record(instance, reading, entry.timestamp);
                }
            }
            let wanted = scaler.verify.source.as_deref().is_none_or(|wanted| wanted == source);
            if let Some(instance) = entry.fields.get(&scaler.verify.instance).and_then(text)
                && wanted
            {
                self.verifier.see_instance(name, instance, entry.timestamp);
            }
        }
    }

    /// Queues what a rule asks for.
    pub(crate) fn intend(&mut self, target: &str, intent: ScaleIntent) -> Result<(), Refusal> {
        let scaler = self.scalers.get_mut(target).ok_or(Refusal::UnknownTarget)?;
        if scaler.pending.len() >= MAX_PENDING {
            return Err(Refusal::QueueFull);
        }
        scaler.pending.push(intent);
        Ok(())
    }

    /// Decides for every target; on the tick.
    pub(crate) fn decide(&mut self, now: SystemTime) -> Vec<Decision> {
        self.scalers.values_mut().filter_map(|scaler| scaler.decide(now)).collect()
    }

    /// Decides for the targets that a rule asked for; does not wait for the tick.
    pub(crate) fn decide_intents(&mut self, now: SystemTime) -> Vec<Decision> {
        let asked = self.scalers.values_mut().filter(|scaler| !scaler.pending.is_empty());
        asked.filter_map(|scaler| scaler.decide(now)).collect()
    }

    pub(crate) fn applying(&mut self, decision: &Decision) {
        if let Some(scaler) = self.scalers.get_mut(&*decision.target) {
            scaler.applying = true;
        }
    }

    /// Ends a change, starts its proof, and decides what was asked for meanwhile.
    pub(crate) fn applied(
        &mut self,
        decision: &Decision,
        result: &Result<Replicas, String>,
        now: SystemTime,
    ) -> Vec<Decision> {
        let Some(scaler) = self.scalers.get_mut(&*decision.target) else { return Vec::new() };
        scaler.applying = false;
        match result {
            Ok(replicas) => {
                scaler.decider.applied(decision, Ok(()), now);
                scaler.replicas = Some(*replicas);
                self.verifier.expect(decision, scaler.verify.within, now);
                self.verifier.counter_moved(&decision.target, now);
                self.verifier.ready(&decision.target, *replicas, now);
            }
            Err(error) => scaler.decider.applied(decision, Err(error), now),
        }
        self.decide_intents(now)
    }

    pub(crate) fn replicas(&mut self, target: &str, replicas: Replicas, now: SystemTime) {
        if let Some(scaler) = self.scalers.get_mut(target) {
            scaler.replicas = Some(replicas);
            self.metrics.set_replicas(target, replicas.ready);
            self.verifier.ready(target, replicas, now);
        }
    }

    /// Counts, and tells of, the proofs that are complete or overdue.
    pub(crate) fn verify(&mut self, now: SystemTime) {
        for verdict in self.verifier.tick(now) {
            self.metrics.record_verification(&verdict);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<SystemTime> {
        self.verifier.next_deadline()
    }
}

impl Scaler {
    fn decide(&mut self, now: SystemTime) -> Option<Decision> {
        if self.applying {
            return None;
        }
        let mut observation = Observation::new(self.replicas?);
        observation.signals =
            self.signals.iter_mut().map(|(_, window)| window.signal(now)).collect();
        observation.intents = std::mem::take(&mut self.pending);
        Some(self.decider.decide(&observation, now))
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::UInt(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Str(text) => Some(text),
        _ => None,
    }
}
