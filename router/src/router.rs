//! The router: one ordered core that decides who is told, by which way, and why.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock::{Clock, Step};
use crate::endpoint::{EndpointStatus, Ways};
use crate::group::Groups;
use crate::inhibit::Inhibition;
use crate::muted;
use crate::outstanding::Outstanding;
use crate::plan::Plan;
use crate::report::{DeliveryReport, Reported};
use crate::route::RouteScratch;
use crate::silence::{SilenceScratch, Silences};
use crate::state::{AlertState, Word};
use crate::storm::Storm;
use crate::table::Slot;
use crate::teller::Teller;
use crate::time::Stamp;
use crate::tracked::{Alerts, Tracked};
use crate::{
    Alert, Config, EndpointId, Error, Labels, Metrics, Notification, Published, Reader, Routed,
    Snapshot, State, Status,
};

/// Decides who is told of an alert, once, by the nearest healthy way.
///
/// A synchronous state machine: it takes its time as an argument, reads no clock, awaits nothing and cannot fail.
/// Reports of alerts go in by [`route`](Self::route), time by [`tick`](Self::tick), the fate of notifications by
/// [`report`](Self::report); each returns the notifications that are to be sent.
///
/// A receiver that was told "firing" is told "resolved", and nobody else is.
///
/// # Time
///
/// `now` is wall time. When it goes back by more than two seconds everything that waits is set back with it. When a call
/// comes more than two minutes after [`next_deadline`](Self::next_deadline), the clock has jumped or the host was
/// suspended, and no alert ends for want of a report until sources have had a minute and a half to send one.
#[derive(Debug)]
pub struct Router {
    pub(crate) alerts: Alerts,
    pub(crate) groups: Groups,
    pub(crate) storm: Storm,
    pub(crate) clock: Clock,
    pub(crate) silences: Silences,
    pub(crate) inhibition: Inhibition,
    pub(crate) scratch: RouteScratch,
    pub(crate) silence_scratch: SilenceScratch,
    /// Room for the alerts that an inhibition concerns.
    pub(crate) changed: Vec<Slot>,
    pub(crate) teller: Teller,
    pub(crate) published: Published<Snapshot>,
    /// An alert was told without being remembered: from then on an unknown resolve may be one of those.
    pub(crate) told_unremembered: bool,
}

/// One remembered alert, to show.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AlertView<'a> {
    /// The alert as last reported, with the earliest start of its episode.
    pub alert: &'a Alert,
    /// What is shown of it.
    pub state: State,
    /// All reasons, shown or not.
    pub word: Word,
    /// The receivers that believe it is firing.
    pub told: Vec<&'a str>,
}

/// One group of alerts, to show.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GroupView<'a> {
    /// Alertmanager's name for it.
    pub key: String,
    /// What its alerts share.
    pub labels: &'a Labels,
    /// The receivers that it is told to.
    pub receivers: Vec<&'a str>,
    /// Its alerts.
    pub alerts: Vec<&'a Alert>,
    /// When it is looked at next; `None` if nothing waits.
    pub due: Option<SystemTime>,
}

impl Router {
    /// A router for this configuration, that knows of no alert.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind) with the path of what is wrong, such as a route to a receiver
    /// that there is not.
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::with_metrics(config, Metrics::new())
    }

    /// The same, counting into `metrics`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_metrics(config: Config, metrics: Metrics) -> Result<Self, Error> {
        let (plan, endpoints) = Plan::compile(&config)?;
        let outstanding = Outstanding::new();
        let plan = Arc::new(plan);
        let published = Published::new(Snapshot::of(&plan, &endpoints, 1));
        let teller = Teller { plan, epoch: 1, version: 1, endpoints, outstanding, metrics };
        Ok(Self {
            alerts: Alerts::new(),
            groups: Groups::new(),
            storm: Storm::default(),
            clock: Clock::new(),
            silences: Silences::new(config.limits.silences.clone(), config.silence_seed),
            inhibition: muted::inhibition(&config)?,
            scratch: RouteScratch::default(),
            silence_scratch: SilenceScratch::default(),
            changed: Vec::new(),
            teller,
            published,
            told_unremembered: false,
        })
    }

    /// Takes one report of an alert.
    ///
    /// What it leads to is returned when it is due at once (`group_wait: 0s`, or the group's time has come), and by
    /// [`tick`](Self::tick) otherwise.
    pub fn route(&mut self, alert: Alert, now: SystemTime) -> Routed {
        let now = self.observe(now);
        // Else one that has begun would hit this alert now, and again at the next tick.
        self.advance_silences(now);
        let hash = self.alerts.hash(&alert);
        let slot = self.alerts.find(hash, &alert);
        let known = slot.and_then(|slot| self.alerts.get(slot)).filter(|known| !known.is_over());
        let promised = known.map(|known| known.alert.ends_at.map(Stamp::of));
        let routed = match (slot, self.clock.status(&alert, promised, now)) {
            (Some(slot), Status::Firing) => self.fires_again(slot, alert, now),
            (None, Status::Firing) => self.fires_first(hash, alert, now),
            (Some(slot), Status::Resolved) => self.is_over(slot, alert, now),
            (None, Status::Resolved) => self.unknown_is_over(hash, alert, now),
        };
        self.teller.metrics.count_alert(routed.outcome);
        routed
    }

    /// Lets time pass: groups whose time has come are told, alerts that have ended are over, silences begin and end.
    /// Call it when [`next_deadline`](Self::next_deadline) comes, or every second.
    pub fn tick(&mut self, now: SystemTime) -> Vec<Notification> {
        let now = self.observe(now);
        self.advance_silences(now);
        for slot in self.alerts.due(now) {
            self.look_at(slot, now);
        }
        let mut notifications = Vec::new();
        for slot in self.groups.due(now) {
            self.flush(slot, now, &mut notifications);
        }
        notifications
    }

    /// When [`tick`](Self::tick) has something to do, or earlier. It may be past.
    pub fn next_deadline(&self) -> Option<SystemTime> {
        let silences = self.silences.next_boundary();
        let (alerts, groups) = (self.alerts.next_deadline(), self.groups.next_deadline());
        [alerts, groups, silences].into_iter().flatten().min()
    }

    /// Takes the fate of a notification: it moves the endpoint's health, and a lost notification goes to the next
    /// endpoint of its pool. When none is left it is a dead letter, and tried again after the de-duplication window.
    pub fn report(&mut self, report: &DeliveryReport, now: SystemTime) -> Reported {
        let now = self.observe(now);
        self.take_report(report, now)
    }

    /// Takes the answer of an active probe: its round trip, or `None` if none came. An endpoint that was probed once
    /// is expected to be probed on: without a fresh answer it is degraded.
    pub fn heartbeat(&mut self, endpoint: &EndpointId, rtt: Option<Duration>, now: SystemTime) {
        if self.teller.endpoints.probe(endpoint, rtt, now) {
            self.teller.version += 1;
        }
    }

    /// The alerts that are remembered, in no order.
    pub fn alerts(&self) -> impl Iterator<Item = AlertView<'_>> {
        self.alerts.iter().map(|(slot, tracked)| AlertView {
            alert: &tracked.alert,
            state: tracked.word.state(),
            word: tracked.word,
            told: self.told_firing(slot, tracked),
        })
    }

    /// The groups that there are, in no order.
    pub fn groups(&self) -> impl Iterator<Item = GroupView<'_>> {
        self.groups.iter().map(|(slot, group)| {
            let members = group.members.iter();
            let mut receivers = Vec::new();
            for log in &group.logs {
                let name = self.receiver_of(&log.pool);
                if !receivers.contains(&name) {
                    receivers.push(name);
                }
            }
            GroupView {
                key: match &group.retired {
                    Some(key) => key.to_string(),
                    None => self.teller.plan.group_key(&group.key),
                },
                labels: &group.key.labels,
                receivers,
                alerts: members.filter_map(|m| Some(&self.alerts.get(m.alert)?.alert)).collect(),
                due: self.groups.due_at(slot).known().map(Stamp::to_system_time),
            }
        })
    }

    /// The state word of an alert, to be read by other threads without asking the router: it moves with every
    /// transition. `None` if the alert is not remembered. The router alone moves it.
    pub fn watch(&mut self, alert: &Alert) -> Option<Arc<AlertState>> {
        let slot = self.alerts.find(self.alerts.hash(alert), alert)?;
        self.alerts.get_mut(slot).map(Tracked::watched)
    }

    /// A view of the configuration and of the health of its endpoints, for decisions in another thread that change
    /// nothing and wait for nobody. It follows [`replace`](Self::replace).
    pub fn reader(&self) -> Reader<Snapshot> {
        self.published.reader()
    }

    /// The health of all endpoints, sorted by name.
    pub fn endpoints(&self, now: SystemTime) -> Vec<EndpointStatus> {
        self.teller.endpoints.status(now)
    }

    /// The ways to this receiver (its `endpoints`), for threads that only read. `None` if it has none.
    pub fn ways(&self, receiver: &str) -> Option<Ways> {
        let (_, pool) = self.teller.plan.receivers.pool(receiver)?;
        Some(Ways::new(&self.teller.endpoints, &pool.firing))
    }

    /// The version that decisions are made under now. It moves with the configuration and with every change of health.
    pub fn version(&self) -> u64 {
        self.teller.version
    }

    /// The counters. Clones share them.
    pub fn metrics(&self) -> &Metrics {
        &self.teller.metrics
    }

    /// The time to reckon with, after whatever the clock did.
    pub(crate) fn observe(&mut self, now: SystemTime) -> Stamp {
        let deadline = self.next_deadline().map(Stamp::of);
        let (now, step) = self.clock.observe(Stamp::of(now), deadline);
        match step {
            Step::Forward => {}
            Step::Ahead => self.teller.metrics.count_dropped("clock_ahead", 1),
            Step::Back(by) => {
                self.teller.metrics.count_dropped("clock_back", 1);
                let timeout = self.teller.plan.resolve_timeout;
                self.alerts.turn_back(by, now, timeout);
                self.groups.turn_back(by, now);
                self.storm.turn_back(by);
                self.teller.endpoints.turn_back(by);
            }
        }
        now
    }

    /// The receivers that believe the alert is firing, each once.
    fn told_firing<'a>(&'a self, slot: u32, tracked: &'a Tracked) -> Vec<&'a str> {
        let mut names = Vec::new();
        for group in tracked.groups.iter().filter_map(|group| self.groups.get(*group)) {
            let Some(member) = group.member(slot) else { continue };
            for (pool, log) in group.logs.iter().enumerate() {
                let name = self.receiver_of(&log.pool);
                if member.told & !member.pending & (1 << pool) != 0 && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    fn receiver_of<'a>(&'a self, pool: &'a str) -> &'a str {
        self.teller.plan.receivers.pool(pool).map_or(pool, |(receiver, _)| &receiver.name)
    }
}
