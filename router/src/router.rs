//! The router: one ordered core that decides who is told, by which way, and why.

use std::time::{Duration, SystemTime};

use crate::dedup::DedupWindow;
use crate::endpoint::{EndpointStatus, Ways};
use crate::outstanding::Outstanding;
use crate::plan::Plan;
use crate::report::{DeliveryReport, DeliveryResult, LostCause, Reported};
use crate::state::Word;
use crate::table::Slot;
use crate::teller::Teller;
use crate::tracked::{Alerts, Tracked};
use crate::{Alert, Config, EndpointId, Error, Metrics, Notification, Routed, State, Status};

/// Decides who is told of an alert, once, by the nearest healthy way.
///
/// A synchronous state machine: it takes its time as an argument, reads no clock, awaits nothing and cannot fail.
/// Reports of alerts go in by [`route`](Self::route), time by [`tick`](Self::tick), the fate of notifications by
/// [`report`](Self::report); each returns the notifications that are to be sent. Times should not go backwards; if they
/// do, what is due waits.
///
/// A receiver that was told "firing" is told "resolved", and nobody else is.
#[derive(Debug)]
pub struct Router {
    pub(crate) alerts: Alerts,
    pub(crate) dedup: DedupWindow,
    pub(crate) teller: Teller,
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
        let dedup = DedupWindow::new(plan.dedup_window, plan.limits.max_dedup_keys);
        let outstanding = Outstanding::new();
        let teller = Teller { plan, epoch: 1, version: 1, endpoints, outstanding, metrics };
        Ok(Self { alerts: Alerts::new(), dedup, teller, told_unremembered: false })
    }

    /// Takes one report of an alert.
    pub fn route(&mut self, alert: Alert, now: SystemTime) -> Routed {
        let hash = self.dedup.hash_labels(&alert.labels);
        let routed = match (self.alerts.find(hash, &alert), alert.status(now)) {
            (Some(slot), Status::Firing) => self.fires_again(hash, slot, alert, now),
            (None, Status::Firing) => self.fires_first(hash, alert, now),
            (Some(slot), Status::Resolved) => self.is_over(hash, slot, alert, now),
            (None, Status::Resolved) => self.unknown_is_over(alert, now),
        };
        self.teller.metrics.count_alert(routed.outcome);
        routed
    }

    /// Lets time pass: tells again what has gone on for `repeat_interval`, resolves what has ended, forgets what has
    /// been over for long. Call it when [`next_deadline`](Self::next_deadline) comes, or every second.
    pub fn tick(&mut self, now: SystemTime) -> Vec<Notification> {
        let mut notifications = Vec::new();
        for slot in self.alerts.due(now) {
            notifications.extend(self.look_at(slot, now));
            self.settle(slot);
        }
        notifications
    }

    /// When [`tick`](Self::tick) has something to do. It may be past.
    pub fn next_deadline(&self) -> Option<SystemTime> {
        self.alerts.next_deadline()
    }

    /// Takes the fate of a notification: it moves the endpoint's health, and a lost notification goes to the next
    /// endpoint of its pool. When none is left it is a dead letter, and tried again after the de-duplication window.
    pub fn report(&mut self, report: &DeliveryReport, now: SystemTime) -> Reported {
        let ok = report.result == DeliveryResult::Delivered;
        let blameless =
            matches!(report.result, DeliveryResult::Lost { cause: LostCause::Shutdown, .. });
        let (id, rtt, pause) = (&report.endpoint, report.rtt, report.retry_after);
        if !blameless && self.teller.endpoints.attempt(id, ok, rtt, pause, now) {
            self.teller.version += 1;
        }
        if !report.is_final() {
            return Reported::default();
        }
        match (&report.result, self.teller.outstanding.remove(&report.notification_id)) {
            (DeliveryResult::Lost { cause, error }, Some(lost)) => {
                self.send_elsewhere(lost, &report.endpoint, *cause, error, now)
            }
            // Delivered; or pushed out of the memory, which was counted then.
            _ => Reported::default(),
        }
    }

    /// Takes the answer of an active probe: its round trip, or `None` if none came. An endpoint that was probed once
    /// is expected to be probed on: without a fresh answer it is degraded.
    pub fn heartbeat(&mut self, endpoint: &EndpointId, rtt: Option<Duration>, now: SystemTime) {
        if self.teller.endpoints.probe(endpoint, rtt, now) {
            self.teller.version += 1;
        }
    }

    /// Swaps the configuration. Alerts, what was told, and the health of endpoints that stay are kept; a receiver that
    /// is new for a firing alert is told at the alert's next report.
    ///
    /// # Errors
    /// As [`new`](Self::new); then the old configuration stays.
    pub fn replace(&mut self, config: Config) -> Result<(), Error> {
        let (plan, endpoints) = Plan::compile(&config)?;
        let old = std::mem::replace(&mut self.teller.endpoints, endpoints);
        self.teller.endpoints.inherit(old);
        self.dedup.reshape(plan.dedup_window, plan.limits.max_dedup_keys);
        self.teller.plan = plan;
        self.teller.epoch += 1;
        self.teller.version += 1;
        let slots: Vec<Slot> = self.alerts.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.settle(slot);
        }
        Ok(())
    }

    /// The alerts that are remembered, in no order.
    pub fn alerts(&self) -> impl Iterator<Item = AlertView<'_>> {
        self.alerts.iter().map(|(_, tracked)| AlertView {
            alert: &tracked.alert,
            state: tracked.word.state(),
            word: tracked.word,
            told: self.told_firing(tracked),
        })
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

    /// The receivers that believe the alert is firing, each once.
    fn told_firing<'a>(&'a self, tracked: &'a Tracked) -> Vec<&'a str> {
        let mut names = Vec::new();
        for told in tracked.told.iter().filter(|told| told.status == Status::Firing) {
            let pool = self.teller.plan.receivers.pool(&told.pool);
            let name = pool.map_or(&*told.pool, |(receiver, _)| &receiver.name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}
