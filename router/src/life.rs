//! The steps of an alert's life inside the router: it fires, goes on, fires anew, is over, is forgotten.

use std::time::Duration;

use smallvec::SmallVec;

use crate::flush::Rules;
use crate::group::{Group, Member};
use crate::state::{Event, Quiet, State, Word};
use crate::table::Slot;
use crate::teller::{Says, UNREMEMBERED};
use crate::time::Stamp;
use crate::tracked::Tracked;
use crate::{Alert, Compat, Notification, Outcome, Routed, Router, Status, duration};

/// How long an alert that is over is remembered while somebody who was told "firing" could not be told "resolved".
const KEEP_UNDELIVERED: Duration = Duration::from_secs(60 * 60);
/// Of the alerts that are over, so many are asked whether they can make room.
const MOST_ASKED_FOR_ROOM: usize = 32;

impl Router {
    /// A firing report of an alert that is not remembered.
    pub(crate) fn fires_first(&mut self, hash: u64, alert: Alert, now: Stamp) -> Routed {
        if let Some(reason) = self.no_room_for(&alert, now) {
            return self.tell_unremembered(hash, alert, reason, now);
        }
        let slot = self.alerts.insert(hash, Tracked::new(alert, now));
        self.begins(slot, false, now);
        self.join(slot, now);
        self.settle(slot);
        self.answer_firing(slot, now)
    }

    /// A firing report of an alert that is remembered.
    pub(crate) fn fires_again(&mut self, slot: Slot, mut alert: Alert, now: Stamp) -> Routed {
        let window = self.teller.plan.dedup_window;
        let Some(tracked) = self.alerts.get_mut(slot) else { return self.lost_track(now) };
        let over = tracked.is_over();
        // Without a name, and while it fires, any report is one more of the same episode.
        let unnamed = alert.episode.is_empty() && tracked.alert.episode.is_empty();
        let same = (unnamed && !over) || tracked.is_episode(&alert);
        let age = now.since(tracked.admitted);
        if same && !over {
            if self.teller.plan.compat == Compat::Alertmanager {
                alert.ends_at =
                    tracked.later_end(alert.ends_at, self.teller.plan.resolve_timeout, now);
            }
            tracked.update(alert, now);
            return self.goes_on(slot, age, now);
        }
        let late = same && age < window && !tracked.timed_out;
        if late || self.is_previous(slot, &alert) {
            let age = spoken(age);
            let reason = format!("a late copy of a firing told {age} ago, and over since");
            return self.quiet(slot, Outcome::Deduped, reason);
        }
        self.fires_anew(slot, alert, now)
    }

    /// A resolve of an alert that is remembered.
    pub(crate) fn is_over(&mut self, slot: Slot, alert: Alert, now: Stamp) -> Routed {
        let Some(tracked) = self.alerts.get_mut(slot) else { return self.lost_track(now) };
        let other = !alert.episode.is_empty() && alert.episode != tracked.alert.episode;
        let end = alert.ends_at.map_or(now, Stamp::of);
        if other || (alert.episode.is_empty() && end < Stamp::of(tracked.alert.starts_at)) {
            let reason = "a resolve of another episode than the current one".to_owned();
            self.teller.metrics.count_dropped("stale_resolve", 1);
            return self.quiet(slot, Outcome::Stale, reason);
        }
        if tracked.is_over() {
            let age = now.since(tracked.resolved_at);
            return if age < self.teller.plan.dedup_window {
                let reason = format!("a repeat: it was resolved {} ago", spoken(age));
                self.quiet(slot, Outcome::Deduped, reason)
            } else {
                self.quiet(slot, Outcome::NothingToResolve, "it is over already".to_owned())
            };
        }
        tracked.update(alert, now);
        let told = self.believed(slot);
        self.resolve(slot, now);
        if !told {
            let reason = "it is over, and nobody was told that it fires".to_owned();
            self.flush_due(slot, now);
            return self.quiet(slot, Outcome::NothingToResolve, reason);
        }
        let notifications = self.flush_due(slot, now);
        if !notifications.is_empty() {
            return self.answer(self.word(slot), notifications);
        }
        match self.told_at(slot).known() {
            Some(at) if self.believed(slot) => {
                let wait = spoken(at.since(now));
                let reason = format!("it is over; its receivers are told so in {wait}");
                self.quiet(slot, Outcome::Grouped, reason)
            }
            _ => {
                let reason = "it is over; its receivers want no resolves, or are gone".to_owned();
                self.quiet(slot, Outcome::NothingToResolve, reason)
            }
        }
    }

    /// A resolve of an alert that is not remembered.
    pub(crate) fn unknown_is_over(&mut self, hash: u64, alert: Alert, now: Stamp) -> Routed {
        let word = Word::ACTIVE.next(Event::Resolve).0;
        if self.told_unremembered {
            // It may be one of those that were told without being remembered. A resolve too many does no harm.
            let notifications = self.tell_alone(hash, alert, Status::Resolved, now);
            return self.answer(word, notifications);
        }
        let reason = "it is over, and it was not known to fire".to_owned();
        self.nothing(word.state(), Outcome::NothingToResolve, reason)
    }

    /// One alert whose deadline has come.
    pub(crate) fn look_at(&mut self, slot: Slot, now: Stamp) {
        let Some(tracked) = self.alerts.get_mut(slot) else { return };
        if tracked.is_over() {
            let (forget_at, over_since) = (tracked.forget_at(), tracked.resolved_at);
            // Somebody who was told "firing" could not be told "resolved" yet, or waits for the group's next beat.
            let keep = over_since.plus(KEEP_UNDELIVERED).plus(self.longest_interval(slot));
            let keep = keep.plus(self.teller.plan.flap.delay);
            if forget_at > now {
                self.settle(slot);
            } else if self.believed(slot) && keep > now {
                self.alerts.postpone(slot, keep);
            } else {
                let untold = u64::from(self.believed(slot));
                self.teller.metrics.count_dropped("resolve_given_up", untold);
                self.forget(slot);
            }
            return;
        }
        let end = tracked.ends(self.teller.plan.resolve_timeout);
        if end > now {
            self.settle(slot);
        } else if let Some(until) = self.clock.distrusts_ends(now) {
            // The clock has jumped: who sends reports has had no time to send them.
            self.alerts.postpone(slot, until);
        } else {
            tracked.alert.ends_at = Some(end.to_system_time());
            tracked.timed_out = true;
            self.resolve(slot, now);
        }
    }

    /// The alert is over: its groups tell whoever was told that it fires.
    fn resolve(&mut self, slot: Slot, now: Stamp) {
        self.alerts.mark_resolved(slot, now);
        let flap = self.teller.plan.flap.clone();
        if let Some(tracked) = self.alerts.get_mut(slot) {
            tracked.set_word(tracked.word.next(Event::Resolve).0);
            tracked.flips(&flap, now);
        }
        self.ends(slot, now);
        let groups = self.alerts.get(slot).map(|t| t.groups.clone()).unwrap_or_default();
        for group in groups {
            let told =
                self.groups.get(group).and_then(|g| g.member(slot)).is_some_and(|m| m.told != 0);
            // Alertmanager tells of what was over before it was told, in the next message of the group.
            if told || self.teller.plan.compat == Compat::Alertmanager {
                self.touch(group, now);
            } else if self.groups.get(group).is_some_and(|group| group.anchor != Stamp::NEVER) {
                self.leave(group, slot, now);
            }
        }
        self.settle(slot);
    }

    /// It fires after it was over, or in a new episode before the last one was.
    fn fires_anew(&mut self, slot: Slot, alert: Alert, now: Stamp) -> Routed {
        self.alerts.unmark_resolved(slot);
        let number = self.alerts.next_episode();
        let Some(tracked) = self.alerts.get_mut(slot) else { return self.lost_track(now) };
        let was_over = tracked.word.holds(State::Resolved);
        tracked.reopen(alert, number, now);
        tracked.set_word(tracked.word.next(Event::Reopen).0);
        if was_over {
            let flap = self.teller.plan.flap.clone();
            tracked.flips(&flap, now);
        }
        self.begins(slot, !was_over, now);
        self.join(slot, now);
        self.settle(slot);
        self.answer_firing(slot, now)
    }

    /// Another report of the episode that fires.
    fn goes_on(&mut self, slot: Slot, age: Duration, now: Stamp) -> Routed {
        let window = self.teller.plan.dedup_window;
        let duplicate = age < window;
        if let Some(tracked) = self.alerts.get_mut(slot) {
            let event = if duplicate { Event::Duplicate } else { Event::WindowOver };
            let word = tracked.word.next(event).0;
            if !duplicate {
                tracked.admitted = now;
            }
            if word != tracked.word {
                tracked.set_word(word);
            }
        }
        self.settle(slot);
        let notifications = self.flush_due(slot, now);
        if !notifications.is_empty() {
            return self.answer(self.word(slot), notifications);
        }
        if duplicate {
            let reason = crate::Reason::repeat(age, window);
            return self.quiet(slot, Outcome::Deduped, reason);
        }
        if !self.believed(slot) {
            return self.answer_firing(slot, now);
        }
        let reason = match self.told_at(slot).known() {
            Some(at) => format!("it goes on; told again in {}", spoken(at.since(now))),
            None => "it goes on; its receivers have no endpoints".to_owned(),
        };
        self.quiet(slot, Outcome::Ongoing, reason)
    }

    /// What a report of an alert that is to be told has led to.
    fn answer_firing(&mut self, slot: Slot, now: Stamp) -> Routed {
        let notifications = self.flush_due(slot, now);
        if !notifications.is_empty() {
            return self.answer(self.word(slot), notifications);
        }
        if let Some(why) = self.why_muted(slot, now) {
            return self.quiet(slot, Outcome::Muted, why);
        }
        let groups = self.alerts.get(slot).map(|t| t.groups.clone()).unwrap_or_default();
        let mut groups = groups.iter().filter_map(|group| Some((*group, self.groups.get(*group)?)));
        let Some((group, found)) = groups.find(|(_, group)| !group.logs.is_empty()) else {
            let reason = "its receivers have no endpoints".to_owned();
            return self.quiet(slot, Outcome::NoEndpoint, reason);
        };
        let wait = spoken(self.groups.due_at(group).since(now));
        let reason = match self.groups.due_at(group).known() {
            Some(_) => format!("told in {wait}, with the group {}", found.key.labels),
            None => "its receivers know".to_owned(),
        };
        self.quiet(slot, Outcome::Grouped, reason)
    }

    /// Why an alert that fires is told to nobody, if a mute is why.
    fn why_muted(&mut self, slot: Slot, now: Stamp) -> Option<String> {
        let word = self.alerts.get(slot)?.word;
        let mut reasons: Vec<String> = Vec::new();
        for quiet in word.quiets() {
            reasons.push(match quiet {
                Quiet::Silenced => self.silenced_by(slot, now),
                Quiet::Inhibited => self.inhibited_by(slot),
                Quiet::TimeMuted => "its route is muted at this time".to_owned(),
                Quiet::RateLimited => "its receiver is told as much as it may be told".to_owned(),
                Quiet::Deduped => continue,
            });
        }
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Never silence: what cannot be remembered is told each time it is reported.
    fn tell_unremembered(
        &mut self,
        hash: u64,
        alert: Alert,
        reason: &'static str,
        now: Stamp,
    ) -> Routed {
        let at = now.to_system_time();
        if !self.silences.matching(&alert.labels, at, &mut self.silence_scratch).is_empty() {
            // Told when it is reported after the silence, if it is not remembered then either.
            self.teller.metrics.count_dropped(reason, 1);
            let word = Word::ACTIVE.with(Quiet::Silenced, true);
            let reason = "silenced, and not remembered: there is no room for it".to_owned();
            return self.nothing(word.state(), Outcome::Muted, reason);
        }
        self.told_unremembered = true;
        self.teller.metrics.count_dropped(reason, 1);
        let notifications = self.tell_alone(hash, alert, Status::Firing, now);
        let mut routed = self.answer(Word::ACTIVE.next(Event::Fire).0, notifications);
        routed.reason.add(match reason {
            "untracked_large" => "; its labels are too large to be remembered",
            _ => "; too many alerts are firing for it to be remembered",
        });
        routed
    }

    /// Tells of one alert by itself, past its groups, and remembers nothing.
    fn tell_alone(
        &mut self,
        hash: u64,
        alert: Alert,
        status: Status,
        now: Stamp,
    ) -> Vec<Notification> {
        let keys = self.teller.plan.group_keys(&alert, &mut self.scratch);
        let mut tracked = Tracked::new(alert, now);
        if status == Status::Resolved {
            tracked.resolved_at = now;
        }
        let slot = self.alerts.insert(hash, tracked);
        let mut sent = Vec::new();
        for mut key in keys {
            key.labels = self.alerts.get(slot).map(|t| t.alert.labels.clone()).unwrap_or_default();
            let pools = self.teller.plan.pools(key.route, key.named);
            let mut group = Group::new(key, pools, now);
            let mut member = Member::new(slot);
            member.told = if status == Status::Resolved { u32::MAX } else { 0 };
            group.push(member);
            let rules =
                Rules { now, compat: Compat::Birl, flap: &self.teller.plan.flap, muted: false };
            for pool in 0..group.logs.len() {
                let found = rules.look(&group, pool, &self.alerts);
                let says = Says { slot: UNREMEMBERED, group: &group, pool, found: &found };
                sent.extend(self.teller.tell(&[says], &self.alerts, now));
            }
        }
        self.alerts.remove(slot);
        sent.into_iter().map(|sent| self.teller.send(sent)).collect()
    }

    pub(crate) fn answer(&self, word: Word, notifications: Vec<Notification>) -> Routed {
        let (outcome, reason) = match &notifications[..] {
            [] => (Outcome::NoEndpoint, "its receivers have no endpoints".to_owned()),
            [one] => (Outcome::Notified, one.reason.clone()),
            several => {
                let reasons: Vec<&str> = several.iter().map(|n| n.reason.as_str()).collect();
                (Outcome::Notified, reasons.join("; "))
            }
        };
        let reason = reason.into();
        Routed { notifications, state: word.state(), outcome, reason, version: self.teller.version }
    }

    fn quiet(&self, slot: Slot, outcome: Outcome, reason: impl Into<crate::Reason>) -> Routed {
        self.nothing(self.word(slot).state(), outcome, reason)
    }

    fn nothing(&self, state: State, outcome: Outcome, reason: impl Into<crate::Reason>) -> Routed {
        let (reason, version) = (reason.into(), self.teller.version);
        Routed { notifications: Vec::new(), state, outcome, reason, version }
    }

    /// An index without what it points to: it cannot be, and must not end the host.
    fn lost_track(&mut self, _now: Stamp) -> Routed {
        self.teller.metrics.count_dropped("inconsistent", 1);
        self.nothing(State::Active, Outcome::Stale, "the alert was not found again".to_owned())
    }

    /// Why an alert cannot be remembered, if it cannot.
    fn no_room_for(&mut self, alert: &Alert, now: Stamp) -> Option<&'static str> {
        let limits = &self.teller.plan.limits;
        if alert.labels.size() > limits.max_label_bytes {
            return Some("untracked_large");
        }
        if self.alerts.len() < limits.max_alerts {
            return None;
        }
        // Whoever was told "firing" and waits to be told "resolved" would wait for ever.
        let oldest: SmallVec<[Slot; MOST_ASKED_FOR_ROOM]> =
            self.alerts.oldest_resolved().take(MOST_ASKED_FOR_ROOM).collect();
        match oldest.into_iter().find(|slot| !self.believed(*slot)) {
            Some(slot) => {
                // Were it reported again now, nobody would know that it was told.
                let over_since = self.alerts.get(slot).map_or(now, |tracked| tracked.resolved_at);
                if now.since(over_since) < self.teller.plan.dedup_window {
                    self.teller.metrics.count_dropped("dedup_evicted", 1);
                }
                self.forget(slot);
                None
            }
            None => Some("untracked_full"),
        }
    }

    /// Notes when an alert has to be looked at again, after whatever changed.
    pub(crate) fn settle(&mut self, slot: Slot) {
        self.alerts.settle(slot, self.teller.plan.resolve_timeout);
    }

    fn is_previous(&self, slot: Slot, alert: &Alert) -> bool {
        let previous = self.alerts.get(slot).and_then(Tracked::previous);
        !alert.episode.is_empty() && previous == Some(&*alert.episode)
    }

    /// Does anybody believe that it fires?
    pub(crate) fn believed(&self, slot: Slot) -> bool {
        let groups = self.alerts.get(slot).map(|tracked| &tracked.groups[..]).unwrap_or_default();
        let members = groups.iter().filter_map(|group| self.groups.get(*group)?.member(slot));
        members.into_iter().any(|member| member.told & !member.pending != 0)
    }

    /// When the first of its groups is told next.
    fn told_at(&self, slot: Slot) -> Stamp {
        let groups = self.alerts.get(slot).map(|tracked| &tracked.groups[..]).unwrap_or_default();
        groups.iter().map(|group| self.groups.due_at(*group)).min().unwrap_or(Stamp::NEVER)
    }

    /// Of its groups: how long what is over may wait to be told.
    fn longest_interval(&self, slot: Slot) -> Duration {
        let groups = self.alerts.get(slot).map(|tracked| &tracked.groups[..]).unwrap_or_default();
        let groups = groups.iter().filter_map(|group| self.groups.get(*group));
        groups.map(|group| self.teller.plan.timing(group).interval).max().unwrap_or_default()
    }

    fn word(&self, slot: Slot) -> Word {
        self.alerts.get(slot).map_or(Word::ACTIVE, |tracked| tracked.word)
    }
}

/// A duration for a sentence: whole seconds, or milliseconds below ten of them.
pub(crate) fn spoken(duration: Duration) -> String {
    let step = if duration < Duration::from_secs(10) { 1 } else { 1000 };
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    duration::format(Duration::from_millis(ms / step * step))
}
