//! Telling: from what a group has to say to a notification, by an endpoint, with a reason.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use crate::endpoint::{Candidate, Choice, Endpoints};
use crate::flush::Findings;
use crate::group::Group;
use crate::labels::Fnv;
use crate::outstanding::{OnTheWay, Outstanding, Part};
use crate::plan::{Plan, Why};
use crate::receiver::PoolId;
use crate::table::Slot;
use crate::time::Stamp;
use crate::tracked::Alerts;
use crate::{Alert, Compat, EndpointId, Labels, Metrics, Notification, SlaTier, Status};

/// Most reasons are shorter, and so written without growing.
const ROOM_FOR_A_REASON: usize = 160;
/// In place of the group of what is told without being remembered.
pub(crate) const UNREMEMBERED: Slot = Slot::MAX;
/// Alerts that a digest shows; of the others it tells the number.
const MAX_IN_DIGEST: usize = 100;
/// The label that names a digest's receiver, in place of the labels of a group.
const DIGEST: &str = "__digest__";

/// Everything that telling needs besides the group.
#[derive(Debug)]
pub(crate) struct Teller {
    pub(crate) plan: Arc<Plan>,
    /// Counts configurations.
    pub(crate) epoch: u32,
    /// Counts everything that can make the same alert go another way: configurations, and changes of health.
    pub(crate) version: u64,
    pub(crate) endpoints: Endpoints,
    pub(crate) outstanding: Outstanding,
    pub(crate) metrics: Metrics,
}

/// What one group has to say to one pool.
#[derive(Debug)]
pub(crate) struct Says<'a> {
    pub(crate) slot: Slot,
    pub(crate) group: &'a Group,
    /// The place of the pool among the group's logs.
    pub(crate) pool: usize,
    pub(crate) found: &'a Findings,
}

impl Teller {
    /// Writes the notification of one group, or the digest of several. `None` if the pool is gone, or if all there is to
    /// say is "resolved" and it wants to hear of none.
    pub(crate) fn tell(&self, all: &[Says<'_>], alerts: &Alerts, now: Stamp) -> Option<OnTheWay> {
        let first = all.first()?;
        let log = first.group.logs.get(first.pool)?;
        let Some((receiver, pool)) = self.plan.receivers.pool(&log.pool) else {
            self.metrics.count_dropped("receiver_gone", 1);
            return None;
        };
        let active = all.iter().any(|says| !says.found.active.is_empty());
        let status = if active { Status::Firing } else { Status::Resolved };
        let ways = if active { &pool.firing } else { &pool.resolved };
        let wants_resolved = !pool.resolved.is_empty();
        let sla = self.plan.sla(first.group);
        let at = now.to_system_time();
        let behind = self.outstanding.behind(log.last, status, ways);
        let choice = behind.or_else(|| self.choose(ways, sla, &[], now))?;

        let (told, truncated) = self.content(all, wants_resolved, alerts, at);
        let group_key = match (all, &first.group.retired) {
            ([_], Some(key)) => key.to_string(),
            ([_], None) => self.plan.group_key(&first.group.key),
            _ => format!("{{}}:{{{DIGEST}={:?}}}", receiver.name),
        };
        let hash = content_hash(all, log.tellings, &log.pool, &told, at);
        let (common_labels, common_annotations) = common(&told);
        let notification = Notification {
            id: notification_id(&log.pool, &group_key, hash),
            receiver: receiver.name.to_string(),
            endpoint: choice.id.clone(),
            status,
            group_key,
            group_labels: match all {
                [one] => one.group.key.labels.clone(),
                _ => Labels::from([(DIGEST, &*receiver.name)]),
            },
            common_labels,
            common_annotations,
            external_url: self.plan.external_url.clone(),
            reason: self.reason(all, &receiver.name, &choice, status, &told, truncated),
            alerts: told,
            truncated_alerts: truncated,
            version: self.version,
            at,
        };
        Some(OnTheWay {
            notification,
            pool: PoolId::clone(&log.pool),
            sla,
            tried: Vec::new(),
            parts: all.iter().map(|says| says.part(wants_resolved, alerts)).collect(),
            hash,
            tells_resolved: wants_resolved,
            pending: None,
        })
    }

    /// Which alerts a message names, as the place of the group in `all` and that of the member in the group; and how many
    /// more there are. A digest names so many, and every alert that is over of which the pool was told by name.
    pub(crate) fn listed(
        &self,
        all: &[Says<'_>],
        wants_resolved: bool,
    ) -> (Vec<(usize, usize)>, usize) {
        let compat = self.plan.compat == Compat::Alertmanager;
        let (mut named, mut others) = (Vec::new(), Vec::new());
        for (part, says) in all.iter().enumerate() {
            let found = says.found;
            let over = found.over.iter().filter(|_| wants_resolved);
            let unheard = found.unheard.iter().filter(|_| wants_resolved && compat);
            others.extend(found.active.iter().map(|place| (part, *place)));
            for place in over {
                let known = says.group.members.get(*place);
                let by_name = known.is_some_and(|member| member.by_name & (1 << says.pool) != 0);
                let list = if by_name && all.len() > 1 { &mut named } else { &mut others };
                list.push((part, *place));
            }
            others.extend(unheard.map(|place| (part, *place)));
        }
        let most = if all.len() > 1 { MAX_IN_DIGEST } else { usize::MAX };
        let truncated = others.len().saturating_sub(most);
        others.truncate(most);
        named.append(&mut others);
        (named, truncated)
    }

    /// The alerts that are told, and how many more there are.
    fn content(
        &self,
        all: &[Says<'_>],
        wants_resolved: bool,
        alerts: &Alerts,
        now: SystemTime,
    ) -> (Vec<Alert>, u64) {
        let (places, truncated) = self.listed(all, wants_resolved);
        let places =
            places.into_iter().filter_map(|(part, place)| Some((all.get(part)?.group, place)));
        let told = places.filter_map(|(group, place)| {
            let tracked = alerts.get(group.members.get(place)?.alert)?;
            let mut alert = tracked.alert.clone();
            // An end that is not believed, or that a clock has not reached: the message says what holds.
            match (tracked.is_over(), alert.ends_at.is_some_and(|end| end <= now)) {
                (false, true) => alert.ends_at = None,
                (true, false) => alert.ends_at = Some(now),
                _ => {}
            }
            Some(alert)
        });
        (told.collect(), u64::try_from(truncated).unwrap_or(u64::MAX))
    }

    fn reason(
        &self,
        all: &[Says<'_>],
        receiver: &str,
        choice: &Choice<'_>,
        status: Status,
        told: &[Alert],
        truncated: u64,
    ) -> String {
        let mut reason = String::with_capacity(ROOM_FOR_A_REASON);
        let (id, why) = (choice.id, &choice.why);
        let named = told.first().and_then(|alert| alert.receiver.as_deref());
        let firing: usize = all.iter().map(|says| says.found.active.len()).sum();
        let resolved = told.len().saturating_add(usize::try_from(truncated).unwrap_or(usize::MAX));
        let resolved = resolved.saturating_sub(firing);
        // A string takes everything.
        let _ = match (all, status) {
            ([one], Status::Firing) => {
                let why_told = self.plan.why(one.group, named);
                if let Why::UnknownName(_) = why_told {
                    self.metrics.count_dropped("unknown_receiver", 1);
                }
                write!(reason, "{why_told}: {receiver} by {id} ({why})")
            }
            ([_], Status::Resolved) => {
                write!(reason, "{receiver} was told that it fires: {receiver} by {id} ({why})")
            }
            _ => write!(
                reason,
                "a digest of {} groups that {receiver}'s rate limit held back: {receiver} by {id} ({why})",
                all.len()
            ),
        };
        if firing + resolved > 1 {
            let _ = write!(reason, "; {firing} firing and {resolved} resolved");
        }
        reason
    }

    /// Remembers what is sent, and counts it.
    pub(crate) fn send(&mut self, on_the_way: OnTheWay) -> Notification {
        let notification = on_the_way.notification.clone();
        self.metrics.count_notification(&notification.receiver, notification.status);
        self.remember(on_the_way);
        notification
    }

    /// The next endpoint for a notification that was lost.
    pub(crate) fn next_endpoint(
        &self,
        lost: &OnTheWay,
        now: Stamp,
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
        now: Stamp,
    ) -> Option<Choice<'a>> {
        let random = self.outstanding.count() ^ self.version.rotate_left(32);
        self.endpoints.choose(pool, sla, tried, now.to_system_time(), random)
    }

    /// Remembers what is on its way, and counts what is pushed out of the memory.
    pub(crate) fn remember(&mut self, mut on_the_way: OnTheWay) {
        on_the_way.pending = self.endpoints.pending(&on_the_way.notification.endpoint);
        let evicted = self.outstanding.insert(on_the_way, self.plan.limits.max_outstanding);
        if evicted > 0 {
            self.metrics.count_dropped("unreported", evicted);
        }
    }
}

impl Says<'_> {
    fn part(&self, wants_resolved: bool, alerts: &Alerts) -> Part {
        let numbered = |place: &usize| {
            let slot = self.group.members.get(*place)?.alert;
            Some((slot, alerts.get(slot)?.number))
        };
        let over = self.found.over.iter().filter(|_| wants_resolved).filter_map(numbered).collect();
        let slots = |places: &[usize]| {
            places.iter().filter_map(|place| Some(self.group.members.get(*place)?.alert)).collect()
        };
        let bit = 1 << self.pool;
        let told = |place: &&usize| {
            self.group.members.get(**place).is_some_and(|member| member.told & bit != 0)
        };
        let (renewed, fresh): (Vec<usize>, Vec<usize>) = self.found.fresh.iter().partition(told);
        Part {
            group: self.slot,
            number: self.group.number,
            pool: self.pool,
            fresh: slots(&fresh),
            renewed: slots(&renewed),
            over,
        }
    }
}

/// What tells one telling of a group from every other: which group, the how-manieth, and what it says. The same content
/// after a failure has the same hash.
fn content_hash(
    all: &[Says<'_>],
    tellings: u32,
    pool: &str,
    told: &[Alert],
    now: SystemTime,
) -> u64 {
    let mut fnv = Fnv::default();
    fnv.field(pool).number(u64::from(tellings));
    for says in all {
        fnv.number(says.group.began.floor_ms());
    }
    for alert in told {
        fnv.number(alert.fingerprint().to_u64()).field(alert.status(now).as_str());
        fnv.field(&alert.episode).number(Stamp::of(alert.starts_at).floor_ms());
    }
    fnv.0
}

/// The idempotency key: the conversation, and what is said in it.
fn notification_id(pool: &str, group_key: &str, content: u64) -> String {
    let mut fnv = Fnv::default();
    fnv.field(pool).field(group_key);
    format!("{:016x}-{content:016x}", fnv.0)
}

/// The labels and annotations that all of `told` share.
fn common(told: &[Alert]) -> (Labels, Labels) {
    let Some((first, rest)) = told.split_first() else { return (Labels::new(), Labels::new()) };
    let (mut labels, mut annotations) = (first.labels.clone(), first.annotations.clone());
    for alert in rest {
        labels = labels.shared_with(&alert.labels);
        annotations = annotations.shared_with(&alert.annotations);
    }
    (labels, annotations)
}
