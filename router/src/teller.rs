//! Telling: from an alert and the plan to notifications, and what to do when one is lost.

use std::fmt::Write as _;
use std::time::SystemTime;

use crate::endpoint::{Candidate, Choice, Endpoints};
use crate::notification::notification_id;
use crate::outstanding::{OnTheWay, Outstanding};
use crate::plan::{Plan, Target, Why};
use crate::receiver::PoolId;
use crate::tracked::{Told, Tracked};
use crate::{EndpointId, Metrics, Notification, SlaTier, Status};

/// Most reasons are shorter, and so written without growing.
const ROOM_FOR_A_REASON: usize = 160;

/// Everything that telling needs besides the alert.
#[derive(Debug)]
pub(crate) struct Teller {
    pub(crate) plan: Plan,
    /// Counts configurations.
    pub(crate) epoch: u64,
    /// Counts everything that can make the same alert go another way: configurations, and changes of health.
    pub(crate) version: u64,
    pub(crate) endpoints: Endpoints,
    pub(crate) outstanding: Outstanding,
    pub(crate) metrics: Metrics,
}

impl Teller {
    /// Tells every pool that the alert fires, except those that know and are not due again.
    pub(crate) fn tell_firing(
        &mut self,
        tracked: &mut Tracked,
        now: SystemTime,
    ) -> Vec<Notification> {
        let mut told = std::mem::take(&mut tracked.told);
        let targets = self.plan.targets(&tracked.alert);
        for told in &mut told {
            if !targets.iter().any(|target| target.pool.id == told.pool) {
                told.due = None; // no longer its route: not told again, but told when it is over
            }
        }
        let mut sent = Vec::with_capacity(targets.len());
        for target in &targets {
            let known = told.iter().position(|told| told.pool == target.pool.id);
            let index = known.unwrap_or_else(|| {
                told.push(Told::new(&target.pool.id, group_key(target, tracked)));
                told.len() - 1
            });
            let told = &mut told[index];
            if told.is_content(now) {
                continue;
            }
            let (pool, sla) = (&target.pool.firing, target.sla);
            let behind = self.outstanding.behind(&told.last_id, Status::Resolved, pool);
            let choice = behind.or_else(|| self.choose(pool, sla, &[], now));
            let Some(Choice { id, why }) = choice else {
                continue; // a pool is never empty
            };
            if let Why::UnknownName(_) = target.why {
                self.metrics.count_dropped("unknown_receiver", 1);
            }
            told.tell_firing(target.route.repeat_interval, now);
            let receiver = &target.receiver.name;
            let mut reason = String::with_capacity(ROOM_FOR_A_REASON);
            let _ = write!(reason, "{}: {receiver} by {id} ({why})", target.why);
            let draft = Draft { receiver, endpoint: id, reason, status: Status::Firing };
            let notification = self.write(tracked, told, draft, now);
            let pool = PoolId::clone(&told.pool);
            sent.push(OnTheWay { notification, pool, sla, tried: Vec::new(), pending: None });
        }
        tracked.told = told;
        self.send(sent)
    }

    /// Tells every pool that was told "firing" that the alert is over, where it wants to hear it.
    pub(crate) fn tell_resolved(
        &mut self,
        tracked: &mut Tracked,
        now: SystemTime,
    ) -> Vec<Notification> {
        let mut told = std::mem::take(&mut tracked.told);
        let mut sent = Vec::new();
        for told in told.iter_mut().filter(|told| told.status == Status::Firing) {
            told.tell_resolved();
            sent.extend(self.write_resolved(tracked, told, now));
        }
        tracked.told = told;
        self.send(sent)
    }

    /// Tells again the pools that a resolve could not be delivered to.
    pub(crate) fn retell_resolved(
        &mut self,
        tracked: &mut Tracked,
        now: SystemTime,
    ) -> Vec<Notification> {
        let mut told = std::mem::take(&mut tracked.told);
        let mut sent = Vec::new();
        for told in told.iter_mut().filter(|told| told.due.is_some_and(|due| due <= now)) {
            told.tell_resolved();
            sent.extend(self.write_resolved(tracked, told, now));
        }
        tracked.told = told;
        self.send(sent)
    }

    /// Tells whoever would have been told that it fires: for an alert that may have been told without being remembered.
    pub(crate) fn tell_resolved_by_routes(
        &mut self,
        tracked: &mut Tracked,
        now: SystemTime,
    ) -> Vec<Notification> {
        let targets = self.plan.targets(&tracked.alert);
        let presumed = targets.iter().map(|target| {
            let mut told = Told::new(&target.pool.id, group_key(target, tracked));
            told.tell_firing(target.route.repeat_interval, now);
            told
        });
        tracked.told = presumed.collect();
        self.tell_resolved(tracked, now)
    }

    /// The next endpoint for a notification that was lost.
    pub(crate) fn next_endpoint(
        &self,
        lost: &OnTheWay,
        now: SystemTime,
    ) -> Option<(EndpointId, String)> {
        let (_, pool) = self.plan.receivers.pool(&lost.pool)?;
        let candidates = match lost.notification.status {
            Status::Firing => &pool.firing,
            Status::Resolved => &pool.resolved,
        };
        let choice = self.choose(candidates, lost.sla, &lost.tried, now)?;
        Some((choice.id.clone(), choice.why.to_string()))
    }

    /// Among equals it is drawn by what has been told so far, so that the same story is the same choices.
    fn choose<'a>(
        &'a self,
        pool: &'a [Candidate],
        sla: Option<SlaTier>,
        tried: &[EndpointId],
        now: SystemTime,
    ) -> Option<Choice<'a>> {
        let random = self.outstanding.count() ^ self.version.rotate_left(32);
        self.endpoints.choose(pool, sla, tried, now, random)
    }

    /// Remembers what is on its way, and counts what is pushed out of the memory.
    pub(crate) fn remember(&mut self, mut on_the_way: OnTheWay) {
        on_the_way.pending = self.endpoints.pending(&on_the_way.notification.endpoint);
        let evicted = self.outstanding.insert(on_the_way, self.plan.limits.max_outstanding);
        if evicted > 0 {
            self.metrics.count_dropped("unreported", evicted);
        }
    }

    /// `None` if the pool wants no resolves, or is no longer there.
    fn write_resolved(
        &self,
        tracked: &Tracked,
        told: &mut Told,
        now: SystemTime,
    ) -> Option<OnTheWay> {
        let Some((receiver, pool)) = self.plan.receivers.pool(&told.pool) else {
            self.metrics.count_dropped("receiver_gone", 1);
            return None;
        };
        let behind = self.outstanding.behind(&told.last_id, Status::Firing, &pool.resolved);
        let Choice { id: endpoint, why } =
            behind.or_else(|| self.choose(&pool.resolved, None, &[], now))?;
        let name = &receiver.name;
        let reason = format!("{name} was told that it fires: {name} by {endpoint} ({why})");
        let draft = Draft { receiver: name, endpoint, reason, status: Status::Resolved };
        let notification = self.write(tracked, told, draft, now);
        let pool = PoolId::clone(&told.pool);
        Some(OnTheWay { notification, pool, sla: None, tried: Vec::new(), pending: None })
    }

    fn write(
        &self,
        tracked: &Tracked,
        told: &mut Told,
        draft: Draft<'_>,
        now: SystemTime,
    ) -> Notification {
        let Tracked { alert, episode, .. } = tracked;
        let fingerprint = alert.fingerprint();
        let id = notification_id(fingerprint, &told.pool, episode, draft.status, told.count);
        told.last_id.clone_from(&id);
        Notification {
            id,
            receiver: draft.receiver.to_owned(),
            endpoint: draft.endpoint.clone(),
            status: draft.status,
            alerts: vec![alert.clone()],
            group_key: told.group_key.to_string(),
            group_labels: alert.labels.clone(),
            common_labels: alert.labels.clone(),
            common_annotations: alert.annotations.clone(),
            external_url: self.plan.external_url.clone(),
            reason: draft.reason,
            version: self.version,
            at: now,
        }
    }

    fn send(&mut self, all: Vec<OnTheWay>) -> Vec<Notification> {
        let mut notifications = Vec::with_capacity(all.len());
        for on_the_way in all {
            let notification = on_the_way.notification.clone();
            self.metrics.count_notification(&notification.receiver, notification.status);
            self.remember(on_the_way);
            notifications.push(notification);
        }
        notifications
    }
}

/// What differs between a firing and a resolve.
struct Draft<'a> {
    receiver: &'a str,
    endpoint: &'a EndpointId,
    reason: String,
    status: Status,
}

/// Alertmanager's group key under `group_by: ["..."]`: the route's key, and all labels.
fn group_key(target: &Target<'_>, tracked: &Tracked) -> String {
    let (route, labels) = (&target.route.key, &tracked.alert.labels);
    // Room for the quotes and commas as well: it is written once, and kept.
    let mut key = String::with_capacity(route.len() + labels.size() + 5 * labels.len() + 3);
    let _ = write!(key, "{route}:{labels}"); // a string takes everything
    key
}
