//! What a router has to know after a restart, to be kept by the host.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::group::{Group, GroupKey, Log, MAX_POOLS, Member, Named};
use crate::receiver::PoolId;
use crate::regroup::Old;
use crate::state::Event;
use crate::table::Slot;
use crate::time::Stamp;
use crate::tracked::Tracked;
use crate::{Alert, Config, Labels, Metrics, Router, Silence};

/// The form that is written now.
const FORMAT: u32 = 1;

/// The alerts, what each receiver was told of them, and the silences: everything that decides who is told next. From
/// [`Router::save`], for [`Router::restore`]; with `serde` to any format.
///
/// What is on its way when it is saved counts as not delivered: after a restart it is told again, by the same name
/// ([`Notification::id`](crate::Notification::id)), so that a receiver that has it knows it for the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedRouter {
    format: u32,
    alerts: Vec<SavedAlert>,
    groups: Vec<SavedGroup>,
    silences: Vec<Silence>,
    told_unremembered: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedAlert {
    alert: Alert,
    began: Stamp,
    seen: Stamp,
    admitted: Stamp,
    resolved_at: Stamp,
    timed_out: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedGroup {
    /// Alertmanager's name for it.
    key: String,
    labels: Labels,
    began: Stamp,
    anchor: Stamp,
    flushed: Stamp,
    logs: Vec<SavedLog>,
    members: Vec<SavedMember>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedLog {
    pool: String,
    told_at: Stamp,
    tellings: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedMember {
    /// The place of the alert in the list.
    alert: usize,
    /// By log: does it believe that the alert fires?
    told: u32,
    /// By log: it is to be told again.
    again: u32,
    /// By log: it was told by name.
    by_name: u32,
}

impl Router {
    /// What has to be kept over a restart.
    pub fn save(&self) -> SavedRouter {
        let mut places: HashMap<Slot, usize> = HashMap::new();
        let mut alerts = Vec::new();
        for (slot, tracked) in self.alerts.iter() {
            places.insert(slot, alerts.len());
            let Tracked { alert, began, seen, admitted, resolved_at, timed_out, .. } = tracked;
            alerts.push(SavedAlert {
                alert: alert.clone(),
                began: *began,
                seen: *seen,
                admitted: *admitted,
                resolved_at: *resolved_at,
                timed_out: *timed_out,
            });
        }
        let mut groups: Vec<SavedGroup> = Vec::new();
        let mut by_slot: HashMap<Slot, usize> = HashMap::new();
        for (slot, group) in self.groups.iter() {
            by_slot.insert(slot, groups.len());
            groups.push(self.save_group(group, &places));
        }
        // Nobody knows whether what is on its way arrives.
        for part in self.teller.outstanding.iter().flat_map(|on_the_way| &on_the_way.parts) {
            let known = self.groups.get(part.group).filter(|group| group.number == part.number);
            let saved = by_slot.get(&part.group).and_then(|place| groups.get_mut(*place));
            let (Some(_), Some(saved)) = (known, saved) else { continue };
            let bit = 1_u32.checked_shl(u32::try_from(part.pool).unwrap_or(u32::MAX)).unwrap_or(0);
            // It may arrive all the same, so who is told keeps the right to hear that it is over.
            let news = part.fresh.iter().chain(&part.renewed);
            let news: HashSet<usize> = news.filter_map(|slot| places.get(slot).copied()).collect();
            for member in saved.members.iter_mut().filter(|member| news.contains(&member.alert)) {
                member.again |= bit;
            }
            if let Some(log) = saved.logs.get_mut(part.pool) {
                log.tellings = log.tellings.saturating_sub(1);
            }
        }
        let silences = self.silences.iter().map(|(_, silence)| silence.clone()).collect();
        let told_unremembered = self.told_unremembered;
        SavedRouter { format: FORMAT, alerts, groups, silences, told_unremembered }
    }

    fn save_group(&self, group: &Group, places: &HashMap<Slot, usize>) -> SavedGroup {
        let members = group.members.iter().filter_map(|member| {
            let alert = *places.get(&member.alert)?;
            Some(SavedMember {
                alert,
                told: member.told,
                again: member.again,
                by_name: member.by_name,
            })
        });
        let logs = group.logs.iter().map(|log| SavedLog {
            pool: log.pool.to_string(),
            told_at: log.told_at,
            tellings: log.tellings,
        });
        SavedGroup {
            key: self.key_text(group),
            labels: group.key.labels.clone(),
            began: group.began,
            anchor: group.anchor,
            flushed: group.flushed,
            logs: logs.collect(),
            members: members.collect(),
        }
    }

    /// A router that goes on where the saved one was, under this configuration, which may be another one.
    ///
    /// No alert ends for want of a report before sources have had a minute and a half to send one. Under `compat:
    /// alertmanager` the contents of the last messages are not kept: what fires is told once more.
    ///
    /// # Errors
    /// As [`Router::new`]; and [`ErrorKind::InvalidConfig`] at `saved` for a form that a later version has written.
    pub fn restore(
        config: Config,
        mut saved: SavedRouter,
        metrics: Metrics,
        now: SystemTime,
    ) -> Result<Self, Error> {
        if saved.format != FORMAT {
            let message = format!(
                "the saved state has format {}, and this version reads {FORMAT}: use the version that wrote it, or a later one",
                saved.format
            );
            return Err(Error::new(ErrorKind::InvalidConfig, "saved.format", message));
        }
        let mut router = Self::with_metrics(config, metrics)?;
        let at = router.observe(now);
        router.clock.distrust(at);
        saved.turn_back(at);
        router.told_unremembered = saved.told_unremembered;
        for silence in saved.silences {
            let restored = router.silences.restore(silence, now);
            router
                .teller
                .metrics
                .count_dropped("silence_not_restored", u64::from(restored.is_err()));
        }
        router.advance_silences(at);
        let mut slots: Vec<Slot> = Vec::new();
        for alert in saved.alerts {
            slots.push(router.put_back(alert));
        }
        let mut old: HashMap<Slot, Old> = HashMap::new();
        for (slot, group) in (0..).zip(saved.groups) {
            let key = group.key.clone();
            old.insert(slot, Old::new(group.into_group(&slots), key));
        }
        // In their order, which is not that of a map: it decides who is told first.
        for slot in 0..u32::try_from(old.len()).unwrap_or(u32::MAX) {
            let Some(group) = old.get(&slot) else { continue };
            for member in group.members() {
                if let Some(tracked) = router.alerts.get_mut(member.alert) {
                    tracked.groups.push(slot);
                }
            }
        }
        for slot in &slots {
            if router.alerts.get(*slot).is_some_and(|tracked| !tracked.is_over()) {
                router.begins(*slot, false, at);
            }
        }
        router.regroup(old, at);
        Ok(router)
    }

    fn put_back(&mut self, saved: SavedAlert) -> Slot {
        let hash = self.alerts.hash(&saved.alert);
        if let Some(known) = self.alerts.find(hash, &saved.alert) {
            return known; // it was written twice
        }
        let mut tracked = Tracked::new(saved.alert, saved.seen);
        (tracked.began, tracked.admitted) = (saved.began, saved.admitted);
        tracked.timed_out = saved.timed_out;
        let slot = self.alerts.insert(hash, tracked);
        if saved.resolved_at != Stamp::NEVER {
            self.alerts.mark_resolved(slot, saved.resolved_at);
            if let Some(tracked) = self.alerts.get_mut(slot) {
                tracked.set_word(tracked.word.next(Event::Resolve).0);
            }
        }
        slot
    }
}

impl SavedRouter {
    /// What was saved by a clock that was ahead of `now` is set back with it, as while the router runs.
    fn turn_back(&mut self, now: Stamp) {
        let seen = self.alerts.iter().map(|alert| alert.seen);
        let flushed = self.groups.iter().map(|group| group.flushed);
        let latest = seen.chain(flushed).filter(|at| *at != Stamp::NEVER).max().unwrap_or(now);
        let by = latest.since(now);
        if by <= clock::SLEW {
            return;
        }
        for alert in &mut self.alerts {
            for at in [&mut alert.seen, &mut alert.admitted, &mut alert.resolved_at] {
                *at = at.minus(by);
            }
        }
        for group in &mut self.groups {
            let logs = group.logs.iter_mut().map(|log| &mut log.told_at);
            let own = [&mut group.began, &mut group.anchor, &mut group.flushed];
            own.into_iter().chain(logs).for_each(|at| *at = at.minus(by));
        }
    }
}

impl SavedGroup {
    fn into_group(self, slots: &[Slot]) -> Group {
        let key = GroupKey { route: 0, named: Named::ByTree, labels: self.labels };
        let mut group = Group::new(key, std::iter::empty(), self.began);
        (group.anchor, group.flushed) = (self.anchor, self.flushed);
        // Each log has a bit in what a member remembers.
        group.logs.extend(self.logs.into_iter().take(MAX_POOLS).map(|saved| {
            let mut log = Log::new(&PoolId::from(saved.pool));
            (log.told_at, log.tellings) = (saved.told_at, saved.tellings);
            log
        }));
        for saved in self.members {
            let alert = slots.get(saved.alert).copied();
            let Some(alert) = alert.filter(|alert| group.member(*alert).is_none()) else {
                continue;
            };
            let mut member = Member::new(alert);
            (member.told, member.again, member.by_name) = (saved.told, saved.again, saved.by_name);
            group.push(member);
        }
        group
    }
}
