//! The loop as one synchronous state machine: entries, reports and `now` in; effects out.
//!
//! It decides nothing itself. It hands what one library says to the next, and tells the story of it.

use std::sync::Arc;
use std::time::SystemTime;

use birl_logsource::{Batch, LogEntry};
use birl_router::{Alert, DeliveryReport, DeliveryResult, Notification, Outcome, Router};
use birl_rules_dsl::{Engine, Event, Firing, RuleSet, Scratch};
use birl_scaler::{Decision, Instance, Replicas, ScaleIntent};

use super::fleet::Fleet;
use super::signals::Answer;
use super::story::Story;
use super::told::Told;
use crate::config::Mode;

/// What the shell is asked to do; empty while observing.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) notifications: Vec<Notification>,
    pub(crate) decisions: Vec<Decision>,
}

/// Engine, router and deciders, joined.
#[derive(Debug)]
pub(crate) struct Core {
    mode: Mode,
    include_own_output: bool,
    rules: Arc<RuleSet>,
    scratch: Scratch,
    engine: Engine,
    router: Option<Router>,
    fleet: Fleet,
    story: Story,
    told: Told,
}

impl Core {
    pub(crate) fn new(
        mode: Mode,
        include_own_output: bool,
        rules: Arc<RuleSet>,
        engine: Engine,
        router: Option<Router>,
        fleet: Fleet,
        story: Story,
    ) -> Self {
        Self {
            mode,
            include_own_output,
            rules,
            scratch: Scratch::default(),
            engine,
            router,
            fleet,
            story,
            told: Told::default(),
        }
    }

    /// How many rules there are.
    pub(crate) fn rules(&self) -> usize {
        self.rules.len()
    }

    /// Entries in, in their order.
    pub(crate) fn on_batch(&mut self, batch: &Batch, now: SystemTime) -> Effects {
        let mut entries: Vec<LogEntry> = batch.entries().map(|entry| entry.to_entry()).collect();
        for entry in &entries {
            self.fleet.see(batch.origin().id(), entry, now);
        }
        if !self.include_own_output {
            let all = entries.len();
            entries.retain(|entry| !is_own_output(entry));
            self.story.own_output(all - entries.len());
        }
        let events = entries.iter().map(|entry| Event::new(entry, entry.timestamp));
        let hits = self.rules.matches(events, &mut self.scratch);
        let firings = self.engine.advance(hits, now);
        self.consequences(firings, now)
    }

    /// Time passes: windows and episodes end, repeats are due, deciders look at their signals.
    pub(crate) fn on_tick(&mut self, now: SystemTime) -> Effects {
        let firings = self.engine.tick(now);
        let mut effects = self.consequences(firings, now);
        if let Some(router) = &mut self.router {
            let notifications = router.tick(now);
            self.announce(notifications, &mut effects);
        }
        let decisions = self.fleet.decide(now);
        effects.decisions.extend(self.story.decide(self.mode, decisions));
        self.fleet.verify(now);
        self.alarm(&mut effects, now);
        effects
    }

    /// Hands notifications on: everything, or nothing while observing.
    fn announce(&mut self, notifications: Vec<Notification>, effects: &mut Effects) {
        let notifications = self.story.notify(self.mode, notifications);
        notifications.iter().for_each(|notification| self.told.sent(notification));
        effects.notifications.extend(notifications);
    }

    /// Tells of what went wrong with the scaling itself: in birl's own log, and on the routes.
    fn alarm(&mut self, effects: &mut Effects, now: SystemTime) {
        for alarm in self.fleet.take_alarms() {
            alarm.tell(self.router.is_some());
            let Some(router) = &mut self.router else { continue };
            let routed = router.route(alarm.into_alert(), now);
            self.announce(routed.notifications, effects);
        }
    }

    /// What was asked for on the tick, for one target, has come.
    pub(crate) fn on_answer(&mut self, answer: Answer, now: SystemTime) -> Effects {
        if let Some(replicas) = answer.size {
            self.fleet.size(&answer.target, replicas, answer.asked, now);
        }
        let decisions = self.fleet.decide_by(&answer.target, answer.signals, now);
        let mut effects =
            Effects { decisions: self.story.decide(self.mode, decisions), ..Effects::default() };
        self.alarm(&mut effects, now);
        effects
    }

    /// A delivery ended. What it leaves to be sent elsewhere comes out.
    pub(crate) fn on_delivery(
        &mut self,
        report: &DeliveryReport,
        now: SystemTime,
    ) -> Vec<Notification> {
        self.story.delivered(report);
        if report.result == DeliveryResult::Delivered {
            let way = format!("{} by {}", report.receiver, report.endpoint);
            for (target, episode) in self.told.delivered(&report.notification_id) {
                self.fleet.alert_told(&target, &episode, &way, now);
            }
        }
        let reported =
            self.router.as_mut().map(|router| router.report(report, now)).unwrap_or_default();
        if let Some(dead) = &reported.dead_letter {
            self.story.dead_letter(dead);
        }
        self.story.notify(self.mode, reported.resend)
    }

    /// A decision is being carried out: until it has been, no other is made for its target.
    pub(crate) fn on_applying(&mut self, decision: &Decision) {
        self.fleet.applying(decision);
    }

    /// A decision was carried out, or not.
    pub(crate) fn on_applied(
        &mut self,
        decision: &Decision,
        result: Result<Replicas, String>,
        now: SystemTime,
    ) -> Effects {
        self.story.applied(decision, &result, now);
        let decisions = self.fleet.applied(decision, &result, now);
        Effects { decisions: self.story.decide(self.mode, decisions), ..Effects::default() }
    }

    /// What a target says it runs.
    pub(crate) fn on_replicas(&mut self, target: &str, replicas: Replicas, now: SystemTime) {
        self.fleet.size(target, Some(replicas), now, now);
    }

    /// Which instances a target has, if it can tell and readings go by their names.
    pub(crate) fn on_instances(&mut self, target: &str, instances: Option<Vec<Instance>>) {
        self.fleet.instances(target, instances);
    }

    /// An edited rule file is live.
    pub(crate) fn on_rules(&mut self, rules: Arc<RuleSet>) {
        self.engine.replace(Arc::clone(&rules));
        self.rules = rules;
    }

    /// When [`Core::on_tick`] has something to do at the latest.
    pub(crate) fn next_deadline(&self) -> Option<SystemTime> {
        let router = self.router.as_ref().and_then(Router::next_deadline);
        [self.engine.next_deadline(), router, self.fleet.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// A firing fans out twice: to the router as alerts, to the deciders as scale intents.
    fn consequences(&mut self, firings: Vec<Firing>, now: SystemTime) -> Effects {
        let mut effects = Effects::default();
        for firing in firings {
            self.story.fired(&firing, now);
            if firing.withheld.is_some() {
                continue;
            }
            let intents = ScaleIntent::from_firing(&firing);
            for alert in Alert::from_firing(&firing) {
                let Some(router) = &mut self.router else { break };
                let targets: Vec<_> =
                    intents.iter().map(|(target, _)| Arc::clone(target)).collect();
                let episode = alert.episode.clone();
                let routed = router.route(alert, now);
                if !targets.is_empty() {
                    let at_once = routed.outcome == Outcome::Notified;
                    for target in &targets {
                        self.fleet.alert_raised(target, &episode, at_once, now);
                    }
                    self.told.raised(&episode, targets);
                }
                self.story.routed(&firing, &routed);
                self.announce(routed.notifications, &mut effects);
            }
            for (target, intent) in intents {
                if let Err(refusal) = self.fleet.intend(&target, intent) {
                    self.story.refused(&firing, &target, refusal);
                }
            }
        }
        let decisions = self.fleet.decide_intents(now);
        effects.decisions = self.story.decide(self.mode, decisions);
        self.alarm(&mut effects, now);
        effects
    }
}

/// Whether birl wrote it: its own log, whose JSON lines name their origin in `target` or `logger`.
fn is_own_output(entry: &LogEntry) -> bool {
    let names_birl = |field: &str| match entry.fields.get(field) {
        Some(birl_logsource::Value::Str(name)) => {
            name == "birl" || name.starts_with("birl::") || name.starts_with("birl_")
        }
        _ => false,
    };
    names_birl("logger") || names_birl("target")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use birl_logsource::{Cursor, Origin, Parser, SourceKind};
    use birl_rules_dsl::EngineConfig;
    use birl_scaler::{Decider, Guard, LegName, Metrics, Milli, Sample, ScalerSpec, Signal, Tick};

    use super::*;
    use crate::config::{LogSignal, SignalConfig, VerifyConfig};

    /// A core in the year 2020, far from the machine's clock, that runs one replica.
    fn core(mode: Mode) -> (Core, SystemTime) {
        let rule =
            "rules: [{name: e, when: level == 'error', by: [id], then: \"scale('api', '+2')\"}]";
        let rules = Arc::new(RuleSet::from_yaml("rules.yaml", rule).unwrap());
        let engine = Engine::new(Arc::clone(&rules), EngineConfig::default());
        let tick = Tick::new(Tick::PERIOD, SystemTime::UNIX_EPOCH).unwrap();
        let mut fleet = Fleet::new(Metrics::new(), tick, None);
        let decider = Decider::new(ScalerSpec::new("api", 1, 5)).unwrap();
        fleet.add("api", decider, Vec::new(), VerifyConfig::default(), Some(Replicas::ready(1)));
        let story = Story::new(&prometheus::Registry::new()).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800);
        (Core::new(mode, false, rules, engine, None, fleet, story), now)
    }

    /// Carries a change out as the shell does, or leaves out what it must not leave out.
    fn apply(core: &mut Core, decision: &Decision, counts: bool, now: SystemTime) {
        core.on_applying(decision);
        if counts {
            core.fleet.metrics().record_action(decision, birl_scaler::Status::Success);
        }
        core.on_applied(decision, Ok(Replicas::ready(decision.to)), now);
    }

    /// Each alert is told at once, to one receiver.
    fn router() -> Router {
        let routes = "route: {receiver: team, group_by: ['...'], group_wait: 0s, group_interval: 1s}\n\
                      receivers: [{name: team, webhook_configs: [{url: 'http://127.0.0.1:9/'}]}]";
        let mut config = birl_router::AlertmanagerFile::parse(routes).unwrap().config;
        config.global.resolve_timeout = None; // as birl's own configuration has it
        Router::new(config).unwrap()
    }

    fn batch(line: &str, now: SystemTime) -> Batch {
        let parser = Parser::json().timestamp_field("ts");
        let origin = Origin::new("app", SourceKind::File, BTreeMap::new(), parser);
        Batch::from_lines(Arc::new(origin), line.to_owned(), now, Cursor::from_text("1"))
    }

    #[test]
    fn the_loop_runs_on_any_clock() {
        let (mut core, now) = core(Mode::Act);
        let effects = core.on_batch(&batch("{\"level\":\"error\",\"id\":1}\n", now), now);
        assert_eq!(effects.decisions.iter().map(|decision| decision.to).collect::<Vec<_>>(), [3]);
        core.on_applying(&effects.decisions[0]);
        // While a change is under way the next one waits, and comes when it is done.
        let line = "{\"level\":\"error\",\"id\":2}\n";
        assert!(core.on_batch(&batch(line, now), now).decisions.is_empty());
        let next = core.on_applied(&effects.decisions[0], Ok(Replicas::ready(3)), now);
        assert_eq!(next.decisions.iter().map(|decision| decision.to).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn each_target_has_its_turn_at_a_moment_of_its_own() {
        let (mut core, now) = core(Mode::Act);
        for number in 1..60 {
            let name = format!("api-{number}");
            let decider = Decider::new(ScalerSpec::new(&name, 1, 5)).unwrap();
            let size = Some(Replicas::ready(1));
            core.fleet.add(&name, decider, Vec::new(), VerifyConfig::default(), size);
        }
        assert_eq!(core.fleet.decide(now).len(), 60, "nobody waits at the start");
        let steps = (1..=60).map(|step| now + Duration::from_millis(250 * step));
        let turns: Vec<usize> = steps.map(|at| core.fleet.decide(at).len()).collect();
        assert_eq!(turns.iter().sum::<usize>(), 60, "each once a period: {turns:?}");
        assert!(turns.iter().all(|turns| *turns < 10), "{turns:?}");
    }

    /// A target that is asked may answer late: then a change has made something else of it.
    #[test]
    fn a_size_from_before_a_change_does_not_undo_it() {
        let (mut core, now) = core(Mode::Act);
        let later = |seconds| now + Duration::from_secs(seconds);
        let answer = |size, asked| Answer {
            target: "api".to_owned(),
            signals: Vec::new(),
            size: Some(size),
            asked: later(asked),
        };
        let from = |effects: &Effects| effects.decisions.iter().map(|d| d.from).next();
        let effects = core.on_batch(&batch("{\"level\":\"error\",\"id\":1}\n", now), later(1));
        core.on_applying(&effects.decisions[0]);
        core.on_applied(&effects.decisions[0], Ok(Replicas::ready(3)), later(2));
        core.on_answer(answer(Some(Replicas::ready(1)), 0), later(3));
        let effects = core.on_batch(&batch("{\"level\":\"error\",\"id\":2}\n", now), later(3));
        assert_eq!(from(&effects), Some(3));
        core.on_applying(&effects.decisions[0]);
        core.on_applied(&effects.decisions[0], Err("no".to_owned()), later(4));
        // What it says later counts, and while it says nothing, nothing is decided.
        core.on_answer(answer(None, 5), later(5));
        let effects = core.on_batch(&batch("{\"level\":\"error\",\"id\":3}\n", now), later(6));
        assert!(effects.decisions.is_empty());
        let effects = core.on_answer(answer(Some(Replicas::ready(2)), 7), later(7));
        assert_eq!(from(&effects), Some(2));
        // On the tick it is asked first, and then decided about.
        core.on_applying(&effects.decisions[0]);
        core.on_applied(&effects.decisions[0], Ok(Replicas::ready(9)), later(8));
        assert!(core.on_tick(later(9)).decisions.is_empty());
        let effects = core.on_answer(answer(Some(Replicas::ready(8)), 9), later(9));
        assert_eq!(from(&effects), Some(8), "more than there may be");
    }

    /// A scaler of `cpu` by the log, whose workers are known by name.
    fn by_name(names: &[&str], readings: &[(&str, f64)]) -> Option<u32> {
        let (mut core, now) = core(Mode::Act);
        let mut spec = ScalerSpec::new("api", 1, 5);
        spec.metrics = vec![birl_scaler::MetricSpec::utilization("cpu", 60)];
        (spec.cool_down.scale_up, spec.cool_down.scale_down) = Default::default();
        let signal = LogSignal {
            metric: "cpu".to_owned(),
            field: "cpu".to_owned(),
            instance: "instance".to_owned(),
            source: None,
            max_age: Duration::from_secs(15),
        };
        let (decider, signals) = (Decider::new(spec).unwrap(), vec![SignalConfig::Log(signal)]);
        core.fleet.add("api", decider, signals, VerifyConfig::default(), None);
        let size = u32::try_from(names.len()).unwrap();
        core.on_replicas("api", Replicas::ready(size), now);
        core.on_instances("api", Some(names.iter().map(|n| Instance::new(*n, true)).collect()));
        let line =
            |(name, cpu): &(&str, f64)| format!("{{\"instance\":\"{name}\",\"cpu\":{cpu}}}\n");
        core.on_batch(&batch(&readings.iter().map(line).collect::<String>(), now), now);
        core.on_tick(now).decisions.first().map(|decision| decision.to)
    }

    #[test]
    fn readings_of_those_that_there_are_not_do_not_count() {
        assert_eq!(by_name(&["worker-1"], &[("worker-1", 90.0)]), Some(2));
        let forged: Vec<_> = ["a", "b", "c", "d"].map(|name| (name, 100.0)).into();
        let all = [&[("worker-1", 60.0)], &forged[..]].concat();
        assert_eq!(by_name(&["worker-1"], &all), None, "forged");
        assert_eq!(by_name(&["worker-1"], &forged), None, "nothing but forged");
        let stopped =
            [("worker-1", 60.0), ("worker-2", 60.0), ("worker-3", 0.0), ("worker-4", 0.0)];
        assert_eq!(by_name(&["worker-1", "worker-2"], &stopped), None, "two were stopped");
        // Nobody knows how busy the second one is.
        assert_eq!(by_name(&["worker-1"], &[("worker-1", 20.0)]), None, "the fewest");
        assert_eq!(by_name(&["worker-1", "worker-2"], &[("worker-1", 20.0)]), None, "missing");
        let both = [("worker-1", 20.0), ("worker-2", 20.0)];
        assert_eq!(by_name(&["worker-1", "worker-2"], &both), Some(1));
    }

    #[test]
    fn a_flood_of_intents_is_bounded_and_what_it_loses_is_counted() {
        let (mut core, now) = core(Mode::Act);
        let effects = core.on_batch(&batch("{\"level\":\"error\",\"id\":-1}\n", now), now);
        core.on_applying(&effects.decisions[0]);
        let flood = |id: u32| format!("{{\"level\":\"error\",\"id\":{id}}}\n");
        let flood: String = (0..1030).map(flood).collect();
        assert!(core.on_batch(&batch(&flood, now), now).decisions.is_empty());
        assert_eq!(core.story.refusals("queue_full"), 1030 - 1024);
    }

    #[test]
    fn observing_or_old_lines_have_no_effect() {
        let (mut observing, now) = core(Mode::Observe);
        let fresh = observing.on_batch(&batch("{\"level\":\"error\",\"id\":1}\n", now), now);
        assert!(fresh.decisions.is_empty() && fresh.notifications.is_empty());
        let (mut acting, now) = core(Mode::Act);
        let old = "{\"ts\":\"2019-12-31T00:00:00Z\",\"level\":\"error\",\"id\":1}\n";
        assert!(acting.on_batch(&batch(old, now), now).decisions.is_empty());
    }

    #[test]
    fn a_change_that_is_not_proven_is_told_and_so_is_the_end_of_that() {
        let (mut core, now) = core(Mode::Act);
        let routes = "route: {receiver: team, group_by: ['...'], group_wait: 0s, group_interval: 1s}\n\
                      receivers: [{name: team, webhook_configs: [{url: 'http://127.0.0.1:9/'}]}]";
        let config = birl_router::AlertmanagerFile::parse(routes).unwrap().config;
        core.router = Some(Router::new(config).unwrap());
        let mut scale = |from: u32, to: u32, at: SystemTime, proven: bool| {
            let core = &mut core;
            core.on_replicas("api", Replicas::ready(from), at);
            let line = format!("{{\"level\":\"error\",\"id\":{to}}}\n");
            let decision = core.on_batch(&batch(&line, at), at).decisions.remove(0);
            assert_eq!(decision.to, to);
            apply(core, &decision, true, at);
            let heard = if proven { to } else { 1 };
            let lines = (0..heard).map(|n| format!("{{\"instance\":\"worker-{n}\"}}\n"));
            core.on_batch(&batch(&lines.collect::<String>(), at), at);
            let mut told = Vec::new();
            for second in [31, 33] {
                let later = at + Duration::from_secs(second);
                for sent in core.on_tick(later).notifications {
                    let report = DeliveryReport::delivered(&sent, Duration::ZERO, later);
                    core.on_delivery(&report, later);
                    let one = |alert: &Alert| {
                        let firing = alert.status(later) == birl_router::Status::Firing;
                        (firing, alert.annotations.get("summary").to_owned())
                    };
                    told.extend(sent.alerts.iter().map(one));
                }
            }
            told
        };
        let told = scale(1, 3, now, false);
        let [(true, summary)] = &told[..] else { panic!("{told:?}") };
        assert!(
            summary.starts_with("partial api 1 → 3 at instances: 1 of 3 were heard"),
            "{summary}"
        );
        let told = scale(3, 5, now + Duration::from_secs(100), true);
        assert!(matches!(told[..], [(false, _)]), "{told:?}");
    }

    const BOTH: &str = "rules: [{name: e, when: level == 'error', by: [id], \
                        then: [\"notify('team')\", \"scale('api', '+2')\"]}]";

    /// The whole loop, metric → alert → scale → log, once: what was verified, what in part, and the
    /// legs that were not seen. `left_out` is what does not happen.
    fn proof(
        verify: VerifyConfig,
        router: Router,
        left_out: Option<LegName>,
    ) -> (u64, u64, Vec<LegName>) {
        let (mut core, now) = core(Mode::Act);
        core.on_rules(Arc::new(RuleSet::from_yaml("rules.yaml", BOTH).unwrap()));
        let decider = Decider::new(ScalerSpec::new("api", 1, 5)).unwrap();
        core.fleet.add("api", decider, Vec::new(), verify, Some(Replicas::ready(1)));
        core.router = Some(router);
        let effects = core.on_batch(&batch("{\"level\":\"error\",\"id\":1}\n", now), now);
        apply(&mut core, &effects.decisions[0], left_out != Some(LegName::Counter), now);
        let soon = now + Duration::from_secs(1);
        let sent = core.on_tick(soon).notifications;
        for sent in effects.notifications.iter().chain(&sent) {
            if left_out != Some(LegName::Alert) {
                let report = DeliveryReport::delivered(sent, Duration::ZERO, soon);
                core.on_delivery(&report, soon);
            }
        }
        let later = now + Duration::from_secs(10);
        let text = if left_out == Some(LegName::Text) { "" } else { "scaled to 3" };
        let lines = (0..3).map(|n| format!("{{\"instance\":\"worker-{n}\",\"msg\":\"{text}\"}}\n"));
        core.on_batch(&batch(&lines.collect::<String>(), later), later);
        core.on_tick(now + Duration::from_secs(31));
        let metrics = core.fleet.metrics();
        let failed = |leg| metrics.leg_verifications(leg, "timed_out") > 0;
        let legs = [LegName::Alert, LegName::Counter, LegName::Instances, LegName::Text];
        let failed: Vec<_> = legs.into_iter().filter(|leg| failed(*leg)).collect();
        (metrics.verifications("verified"), metrics.verifications("partial"), failed)
    }

    #[test]
    fn a_proof_asks_whether_anybody_was_told_and_whether_the_change_was_counted() {
        let run = |left_out| proof(VerifyConfig::default(), router(), left_out);
        assert_eq!(run(None), (1, 0, vec![]));
        let alert = Some(LegName::Alert);
        assert_eq!(run(alert), (0, 1, vec![LegName::Alert]), "nobody was told of it");
        let counter = Some(LegName::Counter);
        assert_eq!(run(counter), (0, 1, vec![LegName::Counter]), "nobody counted it");
        let untold = VerifyConfig { told: Some(false), ..VerifyConfig::default() };
        assert_eq!(proof(untold, router(), alert), (1, 0, vec![]), "nobody has to be told");
    }

    /// Who is told late, by a group's wait, is not waited for unless that is asked for.
    #[test]
    fn an_alert_that_is_not_told_at_once_is_no_leg_by_itself() {
        let late = || {
            let routes = "route: {receiver: team, group_wait: 5m}\n\
                          receivers: [{name: team, webhook_configs: [{url: 'http://127.0.0.1:9/'}]}]";
            Router::new(birl_router::AlertmanagerFile::parse(routes).unwrap().config).unwrap()
        };
        assert_eq!(proof(VerifyConfig::default(), late(), None), (1, 0, vec![]));
        let told = VerifyConfig { told: Some(true), ..VerifyConfig::default() };
        assert_eq!(proof(told, late(), None), (0, 1, vec![LegName::Alert]));
    }

    #[test]
    fn legs_have_deadlines_of_their_own_and_a_text_is_one_more() {
        let mut verify = VerifyConfig::default();
        verify.legs.insert(LegName::Instances, Duration::from_secs(5));
        assert_eq!(proof(verify, router(), None), (0, 1, vec![LegName::Instances]), "after 10 s");
        let text = || Some("scaled to {replicas}".to_owned());
        let verify = || VerifyConfig { text: text(), ..VerifyConfig::default() };
        assert_eq!(proof(verify(), router(), None), (1, 0, vec![]));
        let text = Some(LegName::Text);
        assert_eq!(proof(verify(), router(), text), (0, 1, vec![LegName::Text]));
    }

    /// Forged lines that match a scale rule: replicas stay within the brake, and somebody is told.
    #[test]
    fn a_flood_of_forged_lines_is_braked_and_somebody_is_told_once() {
        let (mut core, mut now) = core(Mode::Act);
        core.router = Some(router());
        let (mut size, mut told, mut changes) = (1, Vec::new(), 0);
        for id in 0..500 {
            core.on_replicas("api", Replicas::ready(size), now);
            let mut effects =
                core.on_batch(&batch(&format!("{{\"level\":\"error\",\"id\":{id}}}\n"), now), now);
            if let Some(decision) = effects.decisions.pop() {
                core.on_applying(&decision);
                core.on_applied(&decision, Ok(Replicas::ready(decision.to)), now);
                changes += 1;
                size = decision.to;
            }
            // Somebody takes them away again, so that there is always room to ask for more.
            size = if size == 5 { 1 } else { size };
            now += Duration::from_secs(2);
            let later = core.on_tick(now).notifications;
            for sent in effects.notifications.drain(..).chain(later) {
                let report = DeliveryReport::delivered(&sent, Duration::ZERO, now);
                core.on_delivery(&report, now);
                told.extend(
                    sent.alerts
                        .into_iter()
                        .filter(|alert| alert.labels.get("alertname") == "ScalingBraked"),
                );
            }
        }
        assert_eq!(changes, 30, "the brake of a target");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(core.fleet.metrics().holds(birl_scaler::Reason::Brake) > 100);
        assert!(
            told[0].annotations.get("summary").contains("brake, 30 changes an hour"),
            "{told:?}"
        );
        now += Duration::from_secs(3601);
        let end: Vec<_> = (0..3)
            .flat_map(|second| core.on_tick(now + Duration::from_secs(second)).notifications)
            .collect();
        assert!(
            end.iter().any(|sent| sent.alerts.iter().any(|alert| {
                alert.labels.get("alertname") == "ScalingBraked" && alert.ends_at.is_some()
            })),
            "{end:?}"
        );
    }

    /// What a guard without a step watches, more replicas do not mend: a person has to know.
    #[test]
    fn a_guard_that_is_breached_is_told_once_and_so_is_its_end() {
        let (mut core, now) = core(Mode::Act);
        let mut spec = ScalerSpec::new("api", 1, 5);
        spec.guards = vec![Guard::above("retry_ratio", Milli::from(20))];
        let decider = Decider::new(spec).unwrap();
        core.fleet.add("api", decider, Vec::new(), VerifyConfig::default(), None);
        core.router = Some(router());
        let mut told = Vec::new();
        for tick in 0..40 {
            let at = now + Duration::from_secs(15 * tick);
            let ratio = if tick < 20 { 35.0 } else { 5.0 };
            let retries = Signal::new("retry_ratio", vec![Sample::new("", ratio)], at);
            let target = "api".to_owned();
            let size = Some(Some(Replicas::ready(3)));
            let answer = Answer { target, signals: vec![retries], size, asked: at };
            let sent = core.on_answer(answer, at).notifications;
            let later = at + Duration::from_secs(2);
            for sent in sent.into_iter().chain(core.on_tick(later).notifications) {
                core.on_delivery(&DeliveryReport::delivered(&sent, Duration::ZERO, later), later);
                told.extend(sent.alerts.iter().map(|alert| {
                    let firing = alert.status(later) == birl_router::Status::Firing;
                    (tick, firing, alert.labels.get("signal").to_owned())
                }));
            }
        }
        let signal = || "retry_ratio".to_owned();
        assert_eq!(told, [(0, true, signal()), (24, false, signal())]);
    }

    fn wrote(line: &str) -> bool {
        let parsed = Parser::json().parse(line.as_bytes());
        let entry = LogEntry::new(SystemTime::UNIX_EPOCH, Arc::default(), line.to_owned());
        is_own_output(&entry.with_fields(parsed.fields))
    }

    #[test]
    fn birls_own_lines_are_known_by_their_origin_and_by_nothing_else() {
        assert!(wrote(r#"{"target":"birl::compose::story","message":"fired"}"#));
        assert!(wrote(r#"{"target":"birl_scaler","action":"scale_up"}"#));
        assert!(wrote(r#"{"logger":"birl","msg":"scaled to 3"}"#));
        assert!(!wrote(r#"{"message":"birl::compose is mentioned"}"#));
        assert!(!wrote(r#"{"target":"birlinn","level":"error"}"#));
    }
}
