//! The closed loop, composed by hand: logs → rules → alerts → routes → scale → logs.
//!
//! One worker gets more load than it can serve. Its log shows the latency, a rule fires, a webhook is
//! told, three workers run, and the same log proves it. What is outside the loop is in `workload.rs`.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a live program on a terminal")]

#[path = "workload.rs"]
mod workload;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use birl_logsource::{FileSource, LogSource, Parser, Position, Value};
use birl_router::{Alert, DispatchConfig, Dispatcher, Router, WriterNotifier, notifiers_for};
use birl_rules_dsl::{Engine, EngineConfig, Event, RuleSet, Scratch, Status};
use birl_scaler::{
    Action, Decider, LocalProcesses, Metrics, Observation, ScaleIntent, ScaleTarget, SignalWindow,
    Status as Applied, Verifier,
};
use futures_util::StreamExt;
use serde_json::json;

const RULES: &str = "
rules:
  - name: slow_requests
    where: service == 'shop' && msg == 'request'
    when: latency_ms > 300 && count(2s) by service >= 10
    then:
      - notify('on-call')
      - scale('shop', '+2')
";

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    if let Some(code) = workload::take_over().await {
        return Ok(code); // the demo is its own worker: started anew, with `worker` as its argument
    }
    let folder = workload::folder()?;
    let log = folder.join("shop.log");
    let port = workload::free_port()?;
    let (url, mut told) = workload::webhook_receiver().await?;

    // Logs: the one file that all workers write to.
    let source = FileSource::builder(&log)
        .parser(Parser::json().timestamp_field("ts"))
        .offset_file(folder.join("shop.offsets"))
        .build()?;
    let mut lines = source.tail(Position::Start);

    // Rules: text becomes a typed program; the engine holds its windows and episodes.
    let rules = Arc::new(RuleSet::from_yaml("rules.yaml", RULES)?);
    let mut engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
    let mut scratch = Scratch::default();

    // Routes: who is told, and the tasks that deliver it.
    let config = serde_json::from_value(json!({
        "route": { "receiver": "on-call", "group_by": ["..."], "group_wait": "0s", "group_interval": "0s" },
        "receivers": [{ "name": "on-call", "webhook_configs": [{ "url": url }] }],
    }))?;
    let notifiers = notifiers_for(&config, Arc::new(WriterNotifier::new(std::io::stdout())))?;
    let mut router = Router::new(config)?;
    let (dispatcher, mut reports) =
        Dispatcher::builder(DispatchConfig::default()).endpoints(notifiers).start()?;

    // Scale: how many workers run, and the proof that they do. The windows are short, for a demo.
    let mut decider = Decider::new(serde_json::from_value(json!({
        "targetRef": { "name": "shop" }, "minReplicas": 1, "maxReplicas": 4,
        "metrics": [{ "name": "utilization", "averageUtilization": 60 }],
        "coolDown": { "scaleUp": "10s", "scaleDown": "4s" },
    }))?)?;
    let mut utilization = SignalWindow::new("utilization", Duration::from_secs(2));
    let workers = LocalProcesses::builder("shop", std::env::current_exe()?)
        .args(["worker", "--port", &port.to_string(), "--instance", "{instance}", "--log"])
        .arg(&log)
        .log_file(&log)
        .build()?;
    let (metrics, mut verifier) = (Metrics::new(), Verifier::default());
    workers.start(1).await?;

    // Requests a second: 8 for 3 seconds, then 45 for 9, then 6.
    tokio::spawn(workload::load(port, vec![(3.0, 8), (9.0, 45), (35.0, 6)]));
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    let mut story = Story::begin();
    while !story.is_complete() && story.seconds() < 50.0 {
        let (mut firings, mut asked, mut decide) = (Vec::new(), Vec::new(), false);
        tokio::select! {
            Some(batch) = lines.next() => {
                let (batch, now) = (batch?, SystemTime::now());
                let entries: Vec<_> = batch.entries().map(|entry| entry.to_entry()).collect();
                for entry in &entries {
                    let field = |name| entry.fields.get(name);
                    if let (Some(Value::Str(instance)), at) = (field("instance"), entry.timestamp) {
                        verifier.see_instance("shop", instance, at, now);
                        if let Some(Value::Float(percent)) = field("utilization") {
                            utilization.record(instance, *percent, at, now);
                        }
                    }
                    if let Some(Value::Str(text)) = field("msg").filter(|_| field("replicas").is_some()) {
                        story.say("log", &format!("the log says `{text}`"));
                    }
                }
                let events = entries.iter().map(|entry| Event::new(entry, entry.timestamp));
                firings = engine.advance(rules.matches(events, &mut scratch), now);
                batch.ack();
            }
            Some(report) = reports.next() => {
                for notification in router.report(&report, SystemTime::now()).resend {
                    dispatcher.send(notification)?;
                }
            }
            Some(body) = told.recv() => {
                let text = format!("the webhook got `{}`", body["status"].as_str().unwrap_or("?"));
                story.leg(body["status"] != "firing", "notified", &text);
            }
            _ = tick.tick() => {
                firings = engine.tick(SystemTime::now());
                decide = true;
            }
        }
        let now = SystemTime::now();
        for firing in &firings {
            let over = firing.status == Status::Resolved;
            story.leg_at(over, "written", firing.event_time);
            story.leg_at(over, "seen", now);
            story.leg(over, "fired", firing.explain.sentence());
            asked.extend(ScaleIntent::from_firing(firing).into_iter().map(|(_, intent)| intent));
            for alert in Alert::from_firing(firing) {
                for notification in router.route(alert, now).notifications {
                    dispatcher.send(notification)?;
                }
            }
        }
        if decide || !asked.is_empty() {
            let seen = Observation::new(workers.size()).instances(workers.instances());
            let seen = seen.signal(utilization.signal(now)).intents(asked);
            let decision = decider.decide(&seen, now);
            if decision.is_change() {
                let inward = decision.action == Action::ScaleDown;
                story.leg(inward, "decided", &decision.explain());
                verifier.expect(&decision, Duration::from_secs(15), now);
                verifier.counter_reads("shop", metrics.actions_like(&decision), now);
                workers.scale_to(decision.to, &decision).await?;
                metrics.record_action(&decision, Applied::Success);
                let counted = metrics.actions_like(&decision);
                verifier.counter_reads("shop", counted, SystemTime::now());
                decider.applied(&decision, Ok(()), SystemTime::now());
                story.leg(inward, "applied", &format!("{} ready", decision.to));
            }
            verifier.ready("shop", workers.replicas().await?, SystemTime::now());
        }
        for verification in verifier.tick(SystemTime::now()) {
            let inward = verification.replicas < verification.from;
            story.leg(inward, verification.verdict.as_str(), &verification.to_string());
        }
    }
    workers.shutdown().await?;
    Ok(workload::print_legs(&LEGS, &story.acts))
}

const LEGS: [&str; 7] = ["written", "seen", "fired", "notified", "decided", "applied", "verified"];

/// What happened when, in two acts: out and in again.
struct Story {
    begun: SystemTime,
    acts: [BTreeMap<&'static str, SystemTime>; 2],
}

impl Story {
    fn begin() -> Self {
        println!("one worker serves; the load will grow past it, and then fall\n");
        Self { begun: SystemTime::now(), acts: Default::default() }
    }

    fn say(&self, leg: &str, text: &str) {
        println!("{:8.3} s  {leg:<9} {text:.124}", self.seconds());
    }

    /// Tells a leg of an act once.
    fn leg(&mut self, inward: bool, leg: &'static str, text: &str) {
        if self.leg_at(inward, leg, SystemTime::now()) {
            self.say(leg, text);
        }
    }

    fn leg_at(&mut self, inward: bool, leg: &'static str, at: SystemTime) -> bool {
        let act = &mut self.acts[usize::from(inward)];
        *act.entry(leg).or_insert(at) == at
    }

    fn seconds(&self) -> f64 {
        self.begun.elapsed().unwrap_or_default().as_secs_f64()
    }

    fn is_complete(&self) -> bool {
        self.acts.iter().all(|act| LEGS.iter().all(|leg| act.contains_key(leg)))
    }
}
