//! The alerts that are remembered: what is known of each, whom it was told, and when to look at it again.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::receiver::PoolId;
use crate::state::Word;
use crate::table::{Slot, Table};
use crate::{Alert, Status, time};

/// How long an alert is remembered after it is over, so that late copies of its reports are known for what they are.
const KEEP_RESOLVED: Duration = Duration::from_secs(15 * 60);
/// The same while somebody who was told "firing" could not be told "resolved" yet.
const KEEP_UNDELIVERED: Duration = Duration::from_secs(60 * 60);

/// One alert. Its identity is its labels and the receiver that it names.
#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) alert: Alert,
    /// The host's episode, or one made from `starts_at`.
    pub(crate) episode: Arc<str>,
    pub(crate) word: Word,
    pub(crate) last_seen: SystemTime,
    pub(crate) told: Vec<Told>,
    /// The configuration under which `told` was last compared with the route tree.
    pub(crate) planned_under: u64,
    /// When it was over.
    pub(crate) resolved_at: Option<SystemTime>,
    deadline: Option<SystemTime>,
}

/// What one pool was told of one alert.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) pool: PoolId,
    pub(crate) group_key: Box<str>,
    pub(crate) status: Status,
    /// How often it was told "firing" in this episode.
    pub(crate) count: u32,
    /// The notification that told it last.
    pub(crate) last_id: String,
    /// When it is told again, if the alert goes on; when it is tried again, if it could not be delivered.
    pub(crate) due: Option<SystemTime>,
}

/// The alerts, found by identity, and the times at which they have to be looked at.
#[derive(Debug)]
pub(crate) struct Alerts {
    table: Table<Tracked>,
    key: RandomState,
    deadlines: BTreeSet<(SystemTime, Slot)>,
    /// Those that are over, oldest first: the ones that make room.
    resolved: BTreeSet<(SystemTime, Slot)>,
}

impl Tracked {
    pub(crate) fn new(alert: Alert, episode: Arc<str>, now: SystemTime) -> Self {
        Self {
            alert,
            episode,
            word: Word::ACTIVE,
            last_seen: now,
            told: Vec::new(),
            planned_under: 0,
            resolved_at: None,
            deadline: None,
        }
    }

    /// Takes over a later report of the same episode. It began when it was first said to begin.
    pub(crate) fn update(&mut self, mut alert: Alert, now: SystemTime) {
        alert.starts_at = alert.starts_at.min(self.alert.starts_at);
        self.alert = alert;
        self.last_seen = now;
    }

    /// Fires anew. Whoever was told of the last episode is due at once; the tellings are counted from zero unless it is
    /// the same episode, so that none has the idempotency key of another one.
    pub(crate) fn reopen(&mut self, alert: Alert, episode: Arc<str>, now: SystemTime) {
        let same = self.episode == episode;
        (self.alert, self.episode, self.last_seen) = (alert, episode, now);
        for told in &mut self.told {
            told.count = if same { told.count } else { 0 };
            told.due = (told.status == Status::Firing).then_some(now);
        }
    }

    /// When it ends by itself, for want of a further report.
    pub(crate) fn ends(&self, resolve_timeout: Option<Duration>) -> Option<SystemTime> {
        if self.resolved_at.is_some() {
            return None;
        }
        let by_timeout = || Some(time::after(self.last_seen, resolve_timeout?));
        self.alert.ends_at.or_else(by_timeout)
    }

    /// The next time somebody is told again.
    pub(crate) fn next_due(&self) -> Option<SystemTime> {
        self.told.iter().filter_map(|told| told.due).min()
    }

    /// When it is forgotten.
    pub(crate) fn forget_at(&self) -> Option<SystemTime> {
        let waiting = self.told.iter().any(|told| told.due.is_some());
        let keep = if waiting { KEEP_UNDELIVERED } else { KEEP_RESOLVED };
        self.resolved_at.map(|at| time::after(at, keep))
    }

    fn next_deadline(&self, resolve_timeout: Option<Duration>) -> Option<SystemTime> {
        let ends = self.ends(resolve_timeout);
        [ends, self.next_due(), self.forget_at()].into_iter().flatten().min()
    }
}

impl Told {
    pub(crate) fn new(pool: &PoolId, group_key: String) -> Self {
        Self {
            pool: PoolId::clone(pool),
            group_key: group_key.into(),
            status: Status::Resolved,
            count: 0,
            last_id: String::new(),
            due: None,
        }
    }

    /// Does it believe that the alert fires, and is it not time to say so again?
    pub(crate) fn is_content(&self, now: SystemTime) -> bool {
        self.status == Status::Firing && self.due.is_none_or(|due| due > now)
    }

    /// It is told "firing" as of `now`. The next time is counted from when this one was due, not from when somebody
    /// came around to it, so that the interval does not stretch.
    pub(crate) fn tell_firing(&mut self, repeat_interval: Duration, now: SystemTime) {
        let on_time = self.due.map(|due| time::after(due, repeat_interval));
        let from_now = time::after(now, repeat_interval);
        self.due = Some(on_time.filter(|next| *next > now).unwrap_or(from_now));
        self.status = Status::Firing;
        self.count = self.count.saturating_add(1);
    }

    /// It is told "resolved", or wants to hear of no resolve.
    pub(crate) fn tell_resolved(&mut self) {
        (self.status, self.due) = (Status::Resolved, None);
    }
}

impl Alerts {
    pub(crate) fn new() -> Self {
        Self {
            table: Table::new(),
            key: RandomState::new(),
            deadlines: BTreeSet::new(),
            resolved: BTreeSet::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn find(&self, labels_hash: u64, alert: &Alert) -> Option<Slot> {
        self.table.find(self.hash(labels_hash, alert), |tracked| {
            tracked.alert.receiver == alert.receiver && tracked.alert.labels.same(&alert.labels)
        })
    }

    pub(crate) fn insert(&mut self, labels_hash: u64, tracked: Tracked) -> Slot {
        let hash = self.hash(labels_hash, &tracked.alert);
        self.table.insert(hash, tracked)
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Tracked> {
        self.table.get(slot)
    }

    /// For a change after which [`settle`](Self::settle) is called.
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Tracked> {
        self.table.get_mut(slot)
    }

    /// Notes when `slot` has to be looked at again, after whatever changed.
    pub(crate) fn settle(&mut self, slot: Slot, resolve_timeout: Option<Duration>) {
        let Some(tracked) = self.table.get_mut(slot) else { return };
        let deadline = tracked.next_deadline(resolve_timeout);
        if tracked.deadline != deadline {
            if let Some(old) = tracked.deadline {
                self.deadlines.remove(&(old, slot));
            }
            self.deadlines.extend(deadline.map(|new| (new, slot)));
            tracked.deadline = deadline;
        }
    }

    /// Marks `slot` as over, for the order in which alerts make room.
    pub(crate) fn mark_resolved(&mut self, slot: Slot, at: SystemTime) {
        self.unmark_resolved(slot);
        if let Some(tracked) = self.table.get_mut(slot) {
            tracked.resolved_at = Some(at);
            self.resolved.insert((at, slot));
        }
    }

    /// The reverse: it fires again.
    pub(crate) fn unmark_resolved(&mut self, slot: Slot) {
        if let Some(at) = self.table.get_mut(slot).and_then(|tracked| tracked.resolved_at.take()) {
            self.resolved.remove(&(at, slot));
        }
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Tracked> {
        let tracked = self.table.remove(slot)?;
        if let Some(at) = tracked.deadline {
            self.deadlines.remove(&(at, slot));
        }
        if let Some(at) = tracked.resolved_at {
            self.resolved.remove(&(at, slot));
        }
        Some(tracked)
    }

    /// Makes room by forgetting the alert that has been over the longest; `false` if all are firing.
    pub(crate) fn forget_one_resolved(&mut self) -> bool {
        let oldest = self.resolved.first().copied();
        oldest.is_some_and(|(_, slot)| self.remove(slot).is_some())
    }

    pub(crate) fn next_deadline(&self) -> Option<SystemTime> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The alerts whose time has come, in its order.
    pub(crate) fn due(&self, now: SystemTime) -> Vec<Slot> {
        let due = self.deadlines.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, slot)| *slot).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Tracked)> {
        self.table.iter()
    }

    fn hash(&self, labels_hash: u64, alert: &Alert) -> u64 {
        self.key.hash_one((labels_hash, &alert.receiver))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Alerts whose hashes are made to collide are remembered side by side, and so is one that names its receiver.
    #[test]
    fn a_collision_hides_nobody() {
        let now = SystemTime::UNIX_EPOCH;
        let alert = |name: &str| Alert::firing([("alertname", name)], now);
        let all = [alert("A"), alert("B"), alert("A").receiver("r")];
        let mut alerts = Alerts::new();
        for (i, alert) in all.iter().enumerate() {
            assert_eq!(alerts.find(7, alert), None);
            let slot = alerts.insert(7, Tracked::new(alert.clone(), Arc::from(""), now));
            assert_eq!(slot, i);
        }
        let found: Vec<Option<Slot>> = all.iter().map(|alert| alerts.find(7, alert)).collect();
        assert_eq!(found, [Some(0), Some(1), Some(2)]);
    }
}
