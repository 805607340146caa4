//! The deciders, each with its signals, its pending intents and the proof of its last change.

use std::collections::BTreeMap;
use std::time::SystemTime;

use birl_logsource::{LogEntry, Value};
use birl_scaler::{
    Decider, Decision, DecisionEntry, DecisionRecorder, GuardAlarms, Instance, Metrics,
    Observation, Reading, Replicas, ScaleIntent, Signal, SignalWindow, Tick, Unknown, Verification,
    Verifier,
};
use tracing::warn;

use super::alarm::{Alarm, braked_until};
use crate::config::{LogSignal, SignalConfig, VerifyConfig};

/// Intents that wait while a change is being carried out; more are refused, and that is counted.
const MAX_PENDING: usize = 1024;

/// Every scaler of the configuration, by the name that rules use.
#[derive(Debug)]
pub(crate) struct Fleet {
    scalers: BTreeMap<String, Scaler>,
    metrics: Metrics,
    /// When deciders look at their signals.
    tick: Tick,
    /// Where decisions and what became of them are kept; nowhere while only looking.
    log: Option<DecisionRecorder>,
    /// What somebody is to be told; at most one of each kind a target, until it is taken.
    alarms: Vec<Alarm>,
}

#[derive(Debug)]
struct Scaler {
    decider: Decider,
    signals: Vec<(LogSignal, SignalWindow)>,
    /// What came from outside the log, when it was last asked for; none if nothing ever was.
    outside: Option<Vec<Signal>>,
    verify: VerifyConfig,
    verifier: Verifier,
    /// What runs, as the target last said; nothing is decided while it does not.
    replicas: Option<Replicas>,
    /// Which instances there are, where readings go by their names.
    instances: Option<Vec<Instance>>,
    /// Whether it was said that readings come, and of none of those.
    strange: bool,
    pending: Vec<ScaleIntent>,
    tick: Tick,
    applying: bool,
    /// What the counter of such changes read when the one that is being carried out began.
    counted: u64,
    /// When the last change ended, well or not.
    changed: Option<SystemTime>,
    /// What the newest decision was made from.
    seen: Observation,
    /// Whether somebody was told that a change was not proven.
    alarmed: bool,
    /// The decision that a brake held back and somebody was told of, and until when it holds.
    braked: Option<(Decision, SystemTime)>,
    /// The breached guards that somebody was told of.
    guards: GuardAlarms,
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
    pub(crate) fn new(metrics: Metrics, tick: Tick, log: Option<DecisionRecorder>) -> Self {
        Self { scalers: BTreeMap::new(), metrics, tick, log, alarms: Vec::new() }
    }

    pub(crate) fn add(
        &mut self,
        name: &str,
        decider: Decider,
        signals: Vec<SignalConfig>,
        verify: VerifyConfig,
        replicas: Option<Replicas>,
    ) {
        let mut outside = None;
        let signals = signals
            .into_iter()
            .filter_map(|signal| match signal {
                SignalConfig::Log(signal) => Some(signal),
                SignalConfig::Outside(_) => {
                    outside = Some(Vec::new());
                    None
                }
            })
            .map(|config| {
                let window = SignalWindow::new(config.metric.as_str(), config.max_age);
                (config, window)
            })
            .collect();
        let scaler = Scaler {
            decider,
            signals,
            outside,
            verifier: Verifier::new(verify.verifier()),
            verify,
            replicas,
            instances: None,
            strange: false,
            pending: Vec::new(),
            tick: self.tick.named(name),
            applying: false,
            counted: 0,
            changed: None,
            seen: Observation::default(),
            alarmed: false,
            braked: None,
            guards: GuardAlarms::default(),
        };
        self.scalers.insert(name.to_owned(), scaler);
    }

    /// Takes from an entry what is a reading of a metric, or the sign of life of an instance.
    pub(crate) fn see(&mut self, source: &str, entry: &LogEntry, now: SystemTime) {
        for (name, scaler) in &mut self.scalers {
            for (config, window) in &mut scaler.signals {
                if config.source.as_deref().is_some_and(|wanted| wanted != source) {
                    continue;
                }
                let reading = entry.fields.get(&config.field).and_then(number);
                let instance = entry.fields.get(&config.instance).and_then(text);
                if let (Some(reading), Some(instance)) = (reading, instance) {
                    window.record(instance, reading, entry.timestamp, now);
                }
            }
            if scaler.verify.source.as_deref().is_some_and(|wanted| wanted != source) {
                continue;
            }
            if let Some(instance) = entry.fields.get(&scaler.verify.instance).and_then(text) {
                scaler.verifier.see_instance(name, instance, entry.timestamp, now);
            }
            if scaler.verify.text.is_some() {
                let line = String::from_utf8_lossy(&entry.line);
                scaler.verifier.see_text(name, &line, entry.timestamp);
            }
        }
    }

    /// An alert whose rule asks for a change of `target` is on its way: `at_once`, or muted, or later
    /// with the rest of its group.
    pub(crate) fn alert_raised(
        &mut self,
        target: &str,
        episode: &str,
        at_once: bool,
        now: SystemTime,
    ) {
        let scaler = self.scalers.get_mut(target);
        if let Some(scaler) = scaler.filter(|scaler| scaler.verify.told.unwrap_or(at_once)) {
            scaler.verifier.alert_raised(target, episode, now);
        }
    }

    /// That alert was delivered.
    pub(crate) fn alert_told(&mut self, target: &str, episode: &str, way: &str, now: SystemTime) {
        if let Some(scaler) = self.scalers.get_mut(target) {
            scaler.verifier.alert_told(target, episode, way, now);
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

    /// Decides for the targets whose turn it is, and that wait for no signals.
    pub(crate) fn decide(&mut self, now: SystemTime) -> Vec<Decision> {
        let turn = |scaler: &mut Scaler| scaler.tick.poll(now).is_some();
        self.decide_among(|scaler| turn(scaler) && scaler.outside.is_none(), now)
    }

    /// Takes the signals of a target from outside the log, and decides for it.
    pub(crate) fn decide_by(
        &mut self,
        target: &str,
        signals: Vec<Signal>,
        now: SystemTime,
    ) -> Vec<Decision> {
        if let Some(scaler) = self.scalers.get_mut(target) {
            scaler.outside = Some(signals);
        }
        self.decide_among(|scaler| scaler.decider.spec().target_ref.name.as_ref() == target, now)
    }

    /// Decides for the targets that a rule asked for; does not wait for the tick.
    pub(crate) fn decide_intents(&mut self, now: SystemTime) -> Vec<Decision> {
        self.decide_among(|scaler| !scaler.pending.is_empty(), now)
    }

    /// What is decided at once is kept at once.
    fn decide_among(
        &mut self,
        among: impl Fn(&mut Scaler) -> bool,
        now: SystemTime,
    ) -> Vec<Decision> {
        let (mut decisions, mut entries) = (Vec::new(), Vec::new());
        for scaler in self.scalers.values_mut() {
            if !among(scaler) {
                continue;
            }
            let Some(decision) = scaler.decide(now) else { continue };
            self.metrics.record_hold(&decision);
            scaler.tell_of_strangers(&decision);
            if self.log.is_some() {
                entries.push(DecisionEntry::decided(&scaler.decider, &scaler.seen, &decision));
            }
            let guards = scaler.guards.see(scaler.decider.spec(), &decision);
            self.alarms.extend(guards.iter().map(Alarm::guard));
            if let Some(until) = braked_until(&decision) {
                if scaler.braked.is_none() {
                    self.alarms.push(Alarm::braked(&decision));
                }
                scaler.braked = Some((decision.clone(), until));
            }
            decisions.push(decision);
        }
        if let Some(log) = self.log.as_ref().filter(|_| !entries.is_empty()) {
            log.record(entries);
        }
        decisions
    }

    pub(crate) fn applying(&mut self, decision: &Decision) {
        if let Some(scaler) = self.scalers.get_mut(&*decision.target) {
            (scaler.applying, scaler.counted) = (true, self.metrics.actions_like(decision));
        }
    }

    /// Ends a change, which the host has counted, starts its proof, and decides what was asked for
    /// meanwhile.
    pub(crate) fn applied(
        &mut self,
        decision: &Decision,
        result: &Result<Replicas, String>,
        now: SystemTime,
    ) -> Vec<Decision> {
        let Some(scaler) = self.scalers.get_mut(&*decision.target) else { return Vec::new() };
        (scaler.applying, scaler.changed) = (false, Some(now));
        let outcome = result.as_ref().map(|_| ()).map_err(String::as_str);
        scaler.decider.applied(decision, outcome, now);
        if let Some(log) = &self.log {
            log.record([DecisionEntry::applied(&scaler.decider, decision, outcome, now)]);
        }
        match result {
            Ok(replicas) => {
                scaler.replicas = Some(*replicas);
                let (target, verifier) = (&*decision.target, &mut scaler.verifier);
                self.metrics.set_replicas(target, replicas.ready);
                verifier.expect_seen(decision, &scaler.seen, scaler.verify.within, now);
                verifier.counter_reads(target, scaler.counted, decision.at);
                verifier.counter_reads(target, self.metrics.actions_like(decision), now);
                verifier.ready(target, *replicas, now);
            }
            Err(error) => {
                // It may have come true all the same. Nothing is decided until the target says: then
                // a change that always fails is tried as often as the target is asked, too.
                scaler.replicas = None;
                scaler.verifier.refused(decision, error, now);
            }
        }
        self.decide_intents(now)
    }

    /// What a target said, when it was `asked`, that it runs; nothing if it did not say. What was
    /// asked before its last change ended is not news.
    pub(crate) fn size(
        &mut self,
        target: &str,
        replicas: Option<Replicas>,
        asked: SystemTime,
        now: SystemTime,
    ) {
        let Some(scaler) = self.scalers.get_mut(target) else { return };
        if scaler.changed.is_some_and(|changed| asked < changed) {
            return;
        }
        scaler.replicas = replicas;
        if let Some(replicas) = replicas {
            self.metrics.set_replicas(target, replicas.ready);
            scaler.verifier.ready(target, replicas, now);
        }
    }

    /// Which instances a target has, where readings go by their names.
    pub(crate) fn instances(&mut self, target: &str, instances: Option<Vec<Instance>>) {
        if let Some(scaler) = self.scalers.get_mut(target) {
            scaler.instances = instances;
        }
    }

    /// Counts and keeps the proofs that are complete or overdue. Somebody is told of a change that
    /// was not proven, and of the first one after it that was; and of brakes that are free again.
    pub(crate) fn verify(&mut self, now: SystemTime) {
        let mut verifications = Vec::new();
        for scaler in self.scalers.values_mut() {
            for verification in scaler.verifier.tick(now) {
                self.metrics.record_verification(&verification);
                if scaler.is_news(&verification) {
                    self.alarms.push(Alarm::unproven(&verification));
                }
                verifications.push(verification);
            }
            if let Some((decision, _)) = scaler.braked.take_if(|(_, until)| *until <= now) {
                self.alarms.push(Alarm::free(&decision, now));
            }
        }
        if let Some(log) = self.log.as_ref().filter(|_| !verifications.is_empty()) {
            log.record(verifications.iter().map(DecisionEntry::verified));
        }
        if let Some(log) = &self.log {
            self.metrics.set_log(log.stats());
        }
    }

    /// What somebody is to be told.
    pub(crate) fn take_alarms(&mut self) -> Vec<Alarm> {
        std::mem::take(&mut self.alarms)
    }

    #[cfg(test)]
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn next_deadline(&self) -> Option<SystemTime> {
        self.scalers.values().filter_map(|scaler| scaler.verifier.next_deadline()).min()
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
        observation.signals.extend(self.outside.iter().flatten().cloned());
        observation.instances.clone_from(&self.instances);
        observation.intents = std::mem::take(&mut self.pending);
        self.seen = observation;
        Some(self.decider.decide(&self.seen, now))
    }

    /// Says, once, that readings come and none is of an instance that is up: most likely they go by
    /// other names, and nothing would ever be decided by them.
    fn tell_of_strangers(&mut self, decision: &Decision) {
        let empty = Reading::Unknown { why: Unknown::Empty };
        let empty = decision.proposals.iter().filter(|proposal| proposal.reading == empty);
        let read = |metric: &str| {
            let signal = self.seen.signals.iter().find(|signal| *signal.name == *metric);
            signal.and_then(|signal| Some((signal, signal.samples.first()?)))
        };
        let strange = empty.filter_map(|proposal| read(&proposal.metric)).next();
        let strange = self.instances.as_ref().and(strange);
        let was_strange = std::mem::replace(&mut self.strange, strange.is_some());
        if let Some((signal, sample)) = strange.filter(|_| !was_strange) {
            warn!(
                target_ref = &*decision.target,
                signal = &*signal.name,
                instance = &*sample.instance,
                "readings come, and none is of a worker that is up; if they go by other names than birl's, say `processes: {{named: false}}`"
            );
        }
    }

    /// Whether somebody is to be told.
    fn is_news(&mut self, verification: &Verification) -> bool {
        if verification.is_alarming() {
            self.alarmed = self.verify.alert;
            return self.verify.alert;
        }
        verification.is_all_clear() && std::mem::take(&mut self.alarmed)
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
