//! A group's time has come: who is told what of it.
//!
//! What is observed and what was told are two things here. A member's alert fires or is over, and is muted or not; its
//! masks say who believes that it fires. A pool is told when the two differ in a way that it should hear of, or when it
//! is time to say again what it knows. So a resolve goes to whoever was told "firing", through any mute, and an alert
//! that comes out of a mute is told to whoever has not heard of it.

use smallvec::SmallVec;

use crate::group::{Group, Log, Member};
use crate::logged::Logged;
use crate::outstanding::OnTheWay;
use crate::plan::Timing;
use crate::receiver::PoolId;
use crate::state::{Event, Quiet};
use crate::table::Slot;
use crate::teller::Says;
use crate::time::Stamp;
use crate::tracked::{Alerts, Tracked};
use crate::{Compat, FlapConfig, Notification, Router};

/// Places in a group's members.
type Places = SmallVec<[usize; 4]>;

/// What one pool is to hear of a group now.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Members that fire and are not muted: all of them are in the message.
    pub(crate) active: Places,
    /// Those of them that the pool has not heard of.
    pub(crate) fresh: Places,
    /// Members that are over, and the pool has to hear it.
    pub(crate) over: Places,
    /// Members that are over and that the pool never heard of; they are in Alertmanager's messages.
    pub(crate) unheard: Places,
    /// When the next of those is due that flap.
    pub(crate) waits_until: Option<Stamp>,
}

/// What one pool is told of one group.
#[derive(Debug)]
struct Telling {
    slot: Slot,
    pool: usize,
    found: Findings,
    /// It is time to say again what it knows.
    repeat: bool,
    compat: Compat,
}

/// The rules by which a group is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) now: Stamp,
    pub(crate) compat: Compat,
    pub(crate) flap: &'a FlapConfig,
    /// A time interval mutes the route.
    pub(crate) muted: bool,
}

impl Router {
    /// Tells what is to be told of a group, and notes when to look at it again.
    pub(crate) fn flush(&mut self, slot: Slot, now: Stamp, out: &mut Vec<Notification>) {
        let Some(group) = self.groups.get(slot) else { return };
        if group.members.is_empty() {
            self.groups.remove(slot);
            self.storm.forget(slot);
            return;
        }
        let timing = self.teller.plan.timing(group);
        let (muted, changes) = self.teller.plan.time_muted(group, now);
        let pools = group.logs.len();
        self.judge_over(slot, now);
        if self.teller.plan.notify_on_unmute && !muted {
            self.tell_again_after_mute(slot);
        }
        let (mut again, mut token) = (Stamp::NEVER, Stamp::NEVER);
        for pool in 0..pools {
            self.forget_unwanted(slot, pool);
            let Some((told, wait)) = self.find_out(slot, pool, now) else { continue };
            again = again.min(wait);
            let Some(told) = told else { continue };
            let Some(group) = self.groups.get(slot) else { return };
            let id = PoolId::clone(&group.logs[pool].pool);
            let limit = self.teller.plan.rate_limit(&id);
            match self.storm.take(&id, limit, slot, now) {
                Err(until) => {
                    limited(&told.found, group, &mut self.alerts);
                    token = token.min(until);
                }
                Ok(waiting) => {
                    let with =
                        waiting.into_iter().filter_map(|slot| self.held_back(slot, &id, now));
                    let all: Vec<Telling> = std::iter::once(told).chain(with).collect();
                    self.tell(&all, now, out);
                }
            }
        }
        self.let_go_of_over(slot, muted);
        self.show_mutes(slot, muted);
        let planned = self.planned(slot, now);
        let Some(group) = self.groups.get_mut(slot) else { return };
        (group.anchor, group.flushed) = (group.anchor.min(planned), planned);
        let Some(group) = self.groups.get(slot) else { return };
        if muted && group.members.iter().any(|member| fires(member, &self.alerts).is_some()) {
            again = again.min(changes);
        }
        if again != Stamp::NEVER {
            let again = again.max(group.after(&timing, now));
            self.groups.due_by(slot, group.beat(timing.interval, again));
        }
        self.groups.due_by(slot, token);
        self.remind(slot, muted, now);
        self.tidy(slot, &timing, now);
    }

    /// What one pool has to hear now, if it does, and when it may be time again.
    fn find_out(&self, slot: Slot, pool: usize, now: Stamp) -> Option<(Option<Telling>, Stamp)> {
        let group = self.groups.get(slot)?;
        let timing = self.teller.plan.timing(group);
        let rules = self.rules(group, now);
        let found = rules.look(group, pool, &self.alerts);
        let wait = found.waits_until.unwrap_or(Stamp::NEVER);
        let log = group.logs.get(pool)?;
        let told_before = log.told_at != Stamp::NEVER;
        let due = told_before && log.told_at.plus(timing.repeat) <= self.planned(slot, now);
        let (repeat, retry) = (due && !found.active.is_empty(), log.retry_at <= now);
        let news = match rules.compat {
            Compat::Birl => found.is_news(),
            Compat::Alertmanager => {
                let now = found.logged(group, &self.alerts);
                log.logged[0].as_deref().map_or(now.is_worth_telling(), |before| {
                    before.is_outdated_by(&now, self.wants_resolved(&log.pool))
                })
            }
        };
        let tells = news || repeat || (retry && !found.active.is_empty());
        Some((tells.then_some(Telling { slot, pool, found, repeat, compat: rules.compat }), wait))
    }

    /// A pool that wants to hear of no resolve knows no more of what is over: the next firing is news to it.
    ///
    /// Alertmanager's notification log keeps it until the next message.
    fn forget_unwanted(&mut self, slot: Slot, pool: usize) {
        if self.teller.plan.compat == Compat::Alertmanager {
            return;
        }
        let Some(log) = self.groups.get(slot).and_then(|group| group.logs.get(pool)) else {
            return;
        };
        if self.wants_resolved(&log.pool) {
            return;
        }
        let Some(group) = self.groups.get_mut(slot) else { return };
        for member in &mut group.members {
            if self.alerts.get(member.alert).is_some_and(Tracked::is_over) {
                member.told &= !(1 << pool);
            }
        }
    }

    fn wants_resolved(&self, pool: &str) -> bool {
        self.teller.plan.receivers.pool(pool).is_none_or(|(_, pool)| !pool.resolved.is_empty())
    }

    /// What a group that waited for a token has to say to `pool`.
    fn held_back(&self, slot: Slot, pool: &PoolId, now: Stamp) -> Option<Telling> {
        let place = self.groups.get(slot)?.logs.iter().position(|log| log.pool == *pool)?;
        self.find_out(slot, place, now)?.0
    }

    /// Tells one pool of one group, or of several in a digest.
    fn tell(&mut self, all: &[Telling], now: Stamp, out: &mut Vec<Notification>) {
        let says = all.iter().filter_map(|telling| {
            let Telling { slot, pool, found, .. } = telling;
            Some(Says { slot: *slot, group: self.groups.get(*slot)?, pool: *pool, found })
        });
        let says: Vec<Says<'_>> = says.collect();
        let sent = self.teller.tell(&says, &self.alerts, now);
        let wants_resolved = sent.as_ref().is_some_and(|sent| sent.tells_resolved);
        let (listed, _) = self.teller.listed(&says, wants_resolved);
        for (part, place) in listed {
            let Some(telling) = all.get(part).filter(|_| sent.is_some()) else { continue };
            let group = self.groups.get_mut(telling.slot);
            if let Some(member) = group.and_then(|group| group.members.get_mut(place)) {
                member.by_name |= 1 << telling.pool;
            }
        }
        for telling in all {
            let planned = self.planned(telling.slot, now);
            let Some(group) = self.groups.get_mut(telling.slot) else { continue };
            let timing = self.teller.plan.timing(group);
            group.note(telling, sent.as_ref(), &timing, planned);
            if telling.compat == Compat::Alertmanager {
                let logged = Box::new(telling.found.logged(group, &self.alerts));
                let log = &mut group.logs[telling.pool];
                log.logged = [Some(logged), log.logged[0].take()];
            }
            step(group, &telling.found, &mut self.alerts, now);
            if all.len() > 1 {
                // What waited for a token has nothing to wait for.
                self.groups.due_by(telling.slot, now);
            }
        }
        out.extend(sent.map(|sent| self.teller.send(sent)));
    }

    pub(crate) fn rules(&self, group: &Group, now: Stamp) -> Rules<'_> {
        let plan = &self.teller.plan;
        Rules { now, compat: plan.compat, flap: &plan.flap, muted: plan.time_muted(group, now).0 }
    }

    /// The time that a look at the group stands for, however late it comes.
    fn planned(&self, slot: Slot, now: Stamp) -> Stamp {
        let Some(group) = self.groups.get(slot) else { return now };
        let timing = self.teller.plan.timing(group);
        match group.anchor.known() {
            None => group.began.plus(timing.wait).min(now),
            Some(_) => group.last_beat(timing.interval, now),
        }
    }

    /// Sees to it that the group is looked at when the first pool is told again what it knows.
    pub(crate) fn remind(&mut self, slot: Slot, muted: bool, now: Stamp) {
        let Some(group) = self.groups.get(slot) else { return };
        let timing = self.teller.plan.timing(group);
        let mut at = Stamp::NEVER;
        for (pool, log) in group.logs.iter().enumerate() {
            let all = self.teller.plan.compat == Compat::Alertmanager;
            let mut told =
                group.members.iter().filter(|member| all || member.told & (1 << pool) != 0);
            let goes_on =
                |member: &Member| fires(member, &self.alerts).is_some_and(|t| !is_quiet(t, muted));
            if group.retired.is_none() && told.any(goes_on) {
                at = at.min(log.told_at.plus(timing.repeat));
            }
            at = at.min(log.retry_at);
        }
        if at != Stamp::NEVER {
            let at = at.max(group.after(&timing, now));
            self.groups.due_by(slot, group.beat(timing.interval, at));
        }
    }

    /// The time interval that muted them is over: they are told again.
    fn tell_again_after_mute(&mut self, slot: Slot) {
        let Some(group) = self.groups.get_mut(slot) else { return };
        for member in &mut group.members {
            let word = self.alerts.get(member.alert).map(|tracked| tracked.word);
            if word.is_some_and(|word| word.quiets().any(|quiet| quiet == Quiet::TimeMuted)) {
                member.again |= member.told;
            }
        }
    }

    /// Alertmanager's way: what is over leaves the group with the first message that could have said so. If it was
    /// muted then, it is told to nobody, ever.
    fn let_go_of_over(&mut self, slot: Slot, muted: bool) {
        if self.teller.plan.compat != Compat::Alertmanager {
            return;
        }
        let Some(group) = self.groups.get_mut(slot) else { return };
        for member in &mut group.members {
            let Some(tracked) = self.alerts.get(member.alert).filter(|t| t.is_over()) else {
                continue;
            };
            if is_quiet(tracked, muted) {
                member.pending = 0;
            }
            // What is on its way may be lost.
            member.told &= member.pending;
        }
    }

    /// Alertmanager asks when it tells whether an alert is muted, whether it fires or is over.
    fn judge_over(&mut self, slot: Slot, now: Stamp) {
        if self.teller.plan.compat != Compat::Alertmanager {
            return;
        }
        let members = self.groups.get(slot).map(|group| &group.members[..]).unwrap_or_default();
        let alerts = members.iter().map(|member| member.alert);
        let over = alerts.filter(|alert| self.alerts.get(*alert).is_some_and(Tracked::is_over));
        let over: SmallVec<[Slot; 4]> = over.collect();
        over.into_iter().for_each(|alert| self.judge_again(alert, now));
    }

    /// Shows on the alerts whether a time interval mutes them.
    fn show_mutes(&mut self, slot: Slot, muted: bool) {
        let Some(group) = self.groups.get(slot) else { return };
        for member in &group.members {
            let Some(tracked) = self.alerts.get_mut(member.alert) else { continue };
            let word = tracked.word.with(Quiet::TimeMuted, muted);
            if word != tracked.word {
                tracked.set_word(word);
            }
        }
    }

    /// Lets members go that are over and of which nobody is to hear any more, and the group, when it is empty.
    ///
    /// An empty group stays until its next beat: an alert that comes back before it waits for it, as any other change.
    pub(crate) fn tidy(&mut self, slot: Slot, timing: &Timing, now: Stamp) {
        let Some(group) = self.groups.get_mut(slot) else { return };
        let alerts = &mut self.alerts;
        group.retain(|member| {
            let Some(tracked) = alerts.get_mut(member.alert) else { return false };
            let done = tracked.is_over() && member.told == 0 && member.pending == 0;
            if done {
                tracked.groups.retain(|group| *group != slot);
            }
            !done
        });
        self.close_if_empty(slot, timing, now);
    }

    /// An alert is over of which nobody was told: it leaves the group.
    pub(crate) fn leave(&mut self, slot: Slot, alert: Slot, now: Stamp) {
        let Some(group) = self.groups.get_mut(slot) else { return };
        if group.member(alert).is_none_or(|member| member.told != 0 || member.pending != 0) {
            return;
        }
        group.remove(alert);
        let timing = self.teller.plan.timing(group);
        if let Some(tracked) = self.alerts.get_mut(alert) {
            tracked.groups.retain(|group| *group != slot);
        }
        self.close_if_empty(slot, &timing, now);
    }

    fn close_if_empty(&mut self, slot: Slot, timing: &Timing, now: Stamp) {
        let Some(group) = self.groups.get(slot).filter(|group| group.members.is_empty()) else {
            return;
        };
        let next = group.flushed.plus(timing.interval);
        if group.retired.is_some() || group.flushed == Stamp::NEVER || next <= now {
            self.groups.remove(slot);
            self.storm.forget(slot);
        } else {
            self.groups.due_by(slot, next);
        }
    }
}

impl Rules<'_> {
    /// What `pool` of `group` has to hear.
    pub(crate) fn look(&self, group: &Group, pool: usize, alerts: &Alerts) -> Findings {
        let (bit, mut found) = (1 << pool, Findings::default());
        for (place, member) in group.members.iter().enumerate() {
            let Some(tracked) = alerts.get(member.alert).filter(|_| member.skip & bit == 0) else {
                continue;
            };
            let told = member.told & bit != 0;
            if tracked.is_over() {
                let dropped = self.compat == Compat::Alertmanager && is_quiet(tracked, self.muted);
                if member.pending & bit != 0 || dropped {
                    continue;
                }
                if !told {
                    found.unheard.push(place);
                } else if !self.waits(tracked, &mut found) {
                    found.over.push(place);
                }
            } else if !is_quiet(tracked, self.muted) && group.retired.is_none() {
                let fresh = match self.compat {
                    Compat::Birl => !told || member.again & bit != 0,
                    Compat::Alertmanager => !group.logs[pool].names(tracked),
                };
                if fresh && self.waits(tracked, &mut found) {
                    continue;
                }
                found.active.push(place);
                if fresh {
                    found.fresh.push(place);
                }
            }
        }
        found
    }

    /// A flapping alert's change waits.
    fn waits(&self, tracked: &Tracked, found: &mut Findings) -> bool {
        let until = tracked.waits_until(self.flap, self.now);
        if let Some(until) = until {
            found.waits_until = Some(found.waits_until.map_or(until, |at| at.min(until)));
        }
        until.is_some()
    }
}

impl Findings {
    /// Is there something that the pool does not know?
    fn is_news(&self) -> bool {
        !self.fresh.is_empty() || !self.over.is_empty()
    }

    /// What a message says, for Alertmanager's log.
    fn logged(&self, group: &Group, alerts: &Alerts) -> Logged {
        let name = |place: &usize| {
            let alert = &alerts.get(group.members.get(*place)?.alert)?.alert;
            Some(alert.fingerprint())
        };
        let over = self.over.iter().chain(&self.unheard);
        Logged::new(self.active.iter().filter_map(name).collect(), over.filter_map(name).collect())
    }
}

impl Log {
    /// Did the last message, by Alertmanager's log, say that the alert fires?
    fn names(&self, tracked: &Tracked) -> bool {
        self.logged[0].as_ref().is_some_and(|logged| logged.fires(tracked.alert.fingerprint()))
    }
}

impl Group {
    /// Notes what `pool` was told.
    fn note(
        &mut self,
        telling: &Telling,
        sent: Option<&OnTheWay>,
        timing: &Timing,
        planned: Stamp,
    ) {
        let Telling { pool, found, repeat, compat, .. } = telling;
        let bit = 1 << pool;
        for place in &found.active {
            let member = &mut self.members[*place];
            (member.told, member.again) = (member.told | bit, member.again & !bit);
        }
        for place in &found.over {
            let member = &mut self.members[*place];
            match sent {
                Some(sent) if sent.tells_resolved => member.pending |= bit,
                // The pool wants to hear of no resolve, or is gone.
                _ => member.told &= !bit,
            }
        }
        let Some(sent) = sent else { return };
        if *compat == Compat::Alertmanager {
            // Its notification log has what the last message had, and nothing else.
            for (place, member) in self.members.iter_mut().enumerate() {
                // Both are in ascending order.
                let told = |places: &Places| places.binary_search(&place).is_ok();
                if !told(&found.active) && !told(&found.over) {
                    member.told &= !bit;
                }
            }
        }
        let log = &mut self.logs[*pool];
        // Counted from when it was due, not from when somebody came around to it, so that the interval does not stretch.
        let on_time = log.told_at.plus(timing.repeat);
        let kept = *repeat && timing.interval.is_zero() && on_time.plus(timing.repeat) > planned;
        log.told_at = if kept { on_time } else { planned };
        log.tellings = log.tellings.saturating_add(1);
        (log.last, log.retry_at) = (sent.hash, Stamp::NEVER);
    }

    /// The earliest time at which the group may be told again.
    fn after(&self, timing: &Timing, now: Stamp) -> Stamp {
        match self.flushed.known() {
            Some(flushed) if !timing.interval.is_zero() => flushed.plus(timing.interval),
            _ => now,
        }
    }
}

/// The alert of `member`, if it goes on.
fn fires<'a>(member: &Member, alerts: &'a Alerts) -> Option<&'a Tracked> {
    alerts.get(member.alert).filter(|tracked| !tracked.is_over())
}

/// Is it muted, by whatever its receivers are muted by?
pub(crate) fn is_quiet(tracked: &Tracked, time_muted: bool) -> bool {
    let quiet = |quiet: Quiet| matches!(quiet, Quiet::Silenced | Quiet::Inhibited);
    time_muted || tracked.word.quiets().any(quiet)
}

/// The words of the alerts that are told.
fn step(group: &Group, found: &Findings, alerts: &mut Alerts, now: Stamp) {
    for place in &found.active {
        let Some(tracked) = alerts.get_mut(group.members[*place].alert) else { continue };
        let free = tracked.word.with(Quiet::TimeMuted, false).with(Quiet::RateLimited, false);
        let event = if free.is_told() { Event::Repeat } else { Event::Fire };
        tracked.set_word(free.next(event).0);
    }
    for place in found.fresh.iter().chain(&found.over) {
        if let Some(tracked) = alerts.get_mut(group.members[*place].alert) {
            tracked.is_told(now);
        }
    }
}

/// Shows on the alerts that their receiver is told as much as it may be told.
fn limited(found: &Findings, group: &Group, alerts: &mut Alerts) {
    for place in &found.active {
        if let Some(tracked) = alerts.get_mut(group.members[*place].alert) {
            tracked.set_word(tracked.word.with(Quiet::RateLimited, true));
        }
    }
}
