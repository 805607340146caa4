//! The alerts that are remembered: what is known of each, and when to look at it again.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use smallvec::SmallVec;

use crate::Alert;
use crate::flap::{FlapConfig, Flaps};
use crate::state::{AlertState, Word};
use crate::table::{Slot, Table};
use crate::time::Stamp;
use crate::wheel::Wheel;

/// How long an alert is remembered after it is over, so that late copies of its reports are known for what they are.
const KEEP_RESOLVED: Duration = Duration::from_secs(15 * 60);

/// One alert. Its identity is its labels and the receiver that it names.
///
/// Of the three clocks of an alert two are here: when it was last *seen*, and when its episode was last *admitted* past
/// the de-duplication window. When a receiver was last *notified* is in the group's log.
#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) alert: Alert,
    /// When the episode began, which is its name if the host gives it none.
    pub(crate) began: Stamp,
    pub(crate) word: Word,
    pub(crate) seen: Stamp,
    pub(crate) admitted: Stamp,
    /// When it was over; never, while it fires.
    pub(crate) resolved_at: Stamp,
    /// It ended for want of a report: the next one is told, however soon it comes.
    pub(crate) timed_out: bool,
    /// Tells this episode from every other one of any alert: slots are used again, and an alert fires again.
    pub(crate) number: u32,
    /// The groups that it is a member of.
    pub(crate) groups: SmallVec<[Slot; 2]>,
    /// What few alerts have.
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Default)]
struct Rare {
    /// The name of the episode before, whose late copies are no news.
    previous: Option<Box<str>>,
    /// Where the word is published, if anybody watches.
    watch: Option<Arc<AlertState>>,
    flaps: Flaps,
}

/// The alerts, found by identity, and the times at which they have to be looked at.
#[derive(Debug)]
pub(crate) struct Alerts {
    table: Table<Tracked>,
    key: RandomState,
    wheel: Wheel,
    /// Those that are over, oldest first: the ones that make room.
    resolved: BTreeSet<(Stamp, Slot)>,
    /// How many episodes there have been; wraps.
    episodes: u32,
}

impl Tracked {
    pub(crate) fn new(alert: Alert, now: Stamp) -> Self {
        Self {
            began: Stamp::of(alert.starts_at),
            alert,
            word: Word::ACTIVE,
            seen: now,
            admitted: now,
            resolved_at: Stamp::NEVER,
            timed_out: false,
            number: 0,
            groups: SmallVec::new(),
            rare: None,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.resolved_at != Stamp::NEVER
    }

    /// Is it a report of the current episode? Without a name the start is the name.
    pub(crate) fn is_episode(&self, alert: &Alert) -> bool {
        alert.episode == self.alert.episode
            && (!alert.episode.is_empty() || Stamp::of(alert.starts_at) == self.began)
    }

    /// Takes over a later report of the same episode. It began when it was first said to begin.
    pub(crate) fn update(&mut self, mut alert: Alert, now: Stamp) {
        alert.starts_at = alert.starts_at.min(self.alert.starts_at);
        // The old text stays where it is the same: one copy of it, and nothing to let go of.
        alert.labels.clone_from(&self.alert.labels);
        self.alert = alert;
        self.seen = now;
    }

    /// Alertmanager's end of an episode that is reported again with this one: the latest that a report has named.
    pub(crate) fn later_end(
        &self,
        end: Option<SystemTime>,
        resolve_timeout: Option<Duration>,
        now: Stamp,
    ) -> Option<SystemTime> {
        let new = match (end, resolve_timeout) {
            (Some(end), _) => Stamp::of(end),
            (None, Some(timeout)) => now.plus(timeout),
            (None, None) => Stamp::NEVER,
        };
        match self.alert.ends_at {
            Some(old) if Stamp::of(old) > new => Some(old),
            _ => end,
        }
    }

    /// Fires anew, in this report's episode.
    pub(crate) fn reopen(&mut self, mut alert: Alert, number: u32, now: Stamp) {
        self.number = number;
        alert.labels.clone_from(&self.alert.labels);
        self.began = Stamp::of(alert.starts_at);
        let before = std::mem::replace(&mut self.alert, alert);
        if before.episode != self.alert.episode && !before.episode.is_empty() {
            self.rare().previous = Some(before.episode);
        }
        (self.seen, self.admitted, self.timed_out) = (now, now, false);
    }

    /// When it ends by itself, for want of a further report.
    pub(crate) fn ends(&self, resolve_timeout: Option<Duration>) -> Stamp {
        match (self.alert.ends_at, resolve_timeout) {
            _ if self.is_over() => Stamp::NEVER,
            (Some(end), _) => Stamp::of(end),
            (None, Some(timeout)) => self.seen.plus(timeout),
            (None, None) => Stamp::NEVER,
        }
    }

    /// When it is forgotten.
    pub(crate) fn forget_at(&self) -> Stamp {
        self.resolved_at.plus(KEEP_RESOLVED)
    }

    /// Moves the word, and publishes it to whoever watches.
    pub(crate) fn set_word(&mut self, word: Word) {
        self.word = word;
        if let Some(watch) = self.rare.as_ref().and_then(|rare| rare.watch.as_ref()) {
            watch.publish(word);
        }
    }

    /// The word for others to watch.
    pub(crate) fn watched(&mut self) -> Arc<AlertState> {
        let word = self.word;
        Arc::clone(self.rare().watch.get_or_insert_with(|| Arc::new(AlertState::new(word))))
    }

    /// The name of the episode before.
    pub(crate) fn previous(&self) -> Option<&str> {
        self.rare.as_ref()?.previous.as_deref()
    }

    /// It has changed from firing to resolved, or back.
    pub(crate) fn flips(&mut self, config: &FlapConfig, now: Stamp) {
        if config.changes > 0 {
            self.rare().flaps.change(config, now);
        }
    }

    /// A change of it is told. Of one that never changed back nothing has to be known.
    pub(crate) fn is_told(&mut self, now: Stamp) {
        if let Some(rare) = &mut self.rare {
            rare.flaps.tell(now);
        }
    }

    /// Until when its changes wait, if it flaps.
    pub(crate) fn waits_until(&self, config: &FlapConfig, now: Stamp) -> Option<Stamp> {
        self.rare.as_ref()?.flaps.waits_until(config, now)
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

impl Alerts {
    pub(crate) fn new() -> Self {
        Self {
            table: Table::new(),
            key: RandomState::new(),
            wheel: Wheel::new(),
            resolved: BTreeSet::new(),
            episodes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn hash(&self, alert: &Alert) -> u64 {
        self.key.hash_one((&alert.labels, &alert.receiver))
    }

    pub(crate) fn find(&self, hash: u64, alert: &Alert) -> Option<Slot> {
        self.table.find(hash, |tracked| {
            tracked.alert.labels.same(&alert.labels) && tracked.alert.receiver == alert.receiver
        })
    }

    pub(crate) fn insert(&mut self, hash: u64, mut tracked: Tracked) -> Slot {
        tracked.number = self.next_episode();
        self.table.insert(hash, tracked)
    }

    /// A number for an episode that begins.
    pub(crate) fn next_episode(&mut self) -> u32 {
        self.episodes = self.episodes.wrapping_add(1);
        self.episodes
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Tracked> {
        self.table.get(slot)
    }

    /// For a change after which [`settle`](Self::settle) is called.
    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Tracked> {
        self.table.get_mut(slot)
    }

    /// Notes when `slot` has to be looked at again, after whatever changed. A time that moved on is found out when the
    /// earlier one comes: an alert whose end is put off each minute costs nothing each minute.
    pub(crate) fn settle(&mut self, slot: Slot, resolve_timeout: Option<Duration>) {
        let Some(tracked) = self.table.get(slot) else { return };
        let at =
            if tracked.is_over() { tracked.forget_at() } else { tracked.ends(resolve_timeout) };
        if at < self.wheel.due_at(slot) {
            self.wheel.set(slot, at);
        }
    }

    /// Puts the next look at `slot` off until `at`.
    pub(crate) fn postpone(&mut self, slot: Slot, at: Stamp) {
        self.wheel.set(slot, at);
    }

    /// Marks `slot` as over, for the order in which alerts make room.
    pub(crate) fn mark_resolved(&mut self, slot: Slot, at: Stamp) {
        self.unmark_resolved(slot);
        if let Some(tracked) = self.table.get_mut(slot) {
            tracked.resolved_at = at;
            self.resolved.insert((at, slot));
            self.wheel.cancel(slot);
        }
    }

    /// The reverse: it fires again.
    pub(crate) fn unmark_resolved(&mut self, slot: Slot) {
        let Some(tracked) = self.table.get_mut(slot).filter(|tracked| tracked.is_over()) else {
            return;
        };
        self.resolved.remove(&(tracked.resolved_at, slot));
        tracked.resolved_at = Stamp::NEVER;
    }

    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Tracked> {
        let tracked = self.table.remove(slot)?;
        self.wheel.cancel(slot);
        self.resolved.remove(&(tracked.resolved_at, slot));
        Some(tracked)
    }

    /// The alerts that are over, the one that has been for the longest first: they make room.
    pub(crate) fn oldest_resolved(&self) -> impl Iterator<Item = Slot> {
        self.resolved.iter().map(|(_, slot)| *slot)
    }

    pub(crate) fn next_deadline(&self) -> Option<SystemTime> {
        self.wheel.next().map(Stamp::to_system_time)
    }

    /// The alerts whose time has come, in its order.
    pub(crate) fn due(&mut self, now: Stamp) -> Vec<Slot> {
        let mut due = Vec::new();
        self.wheel.advance(now, &mut due);
        due
    }

    /// After the clock was set back: every time that was taken by it. The ends that reports promise are their sources'.
    pub(crate) fn turn_back(
        &mut self,
        by: Duration,
        now: Stamp,
        resolve_timeout: Option<Duration>,
    ) {
        self.wheel.turn_back(by, now);
        self.resolved = self.resolved.iter().map(|(at, slot)| (at.minus(by), *slot)).collect();
        for slot in self.table.slots() {
            let Some(tracked) = self.table.get_mut(slot) else { continue };
            for at in [&mut tracked.seen, &mut tracked.admitted, &mut tracked.resolved_at] {
                *at = at.minus(by);
            }
            if let Some(rare) = &mut tracked.rare {
                rare.flaps.turn_back(by);
            }
            let at =
                if tracked.is_over() { tracked.forget_at() } else { tracked.ends(resolve_timeout) };
            self.wheel.set(slot, at);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Tracked)> {
        self.table.iter()
    }

    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.table.slots()
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
        for (i, alert) in (0..).zip(&all) {
            assert_eq!(alerts.find(7, alert), None);
            let slot = alerts.insert(7, Tracked::new(alert.clone(), Stamp::of(now)));
            assert_eq!(slot, i);
        }
        let found: Vec<Option<Slot>> = all.iter().map(|alert| alerts.find(7, alert)).collect();
        assert_eq!(found, [Some(0), Some(1), Some(2)]);
    }
}
