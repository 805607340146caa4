//! The steps of an alert's life inside the router: it fires, goes on, fires anew, is over, is lost on the way.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::dedup::DedupKey;
use crate::outstanding::OnTheWay;
use crate::report::{DeadLetter, LostCause, Reported};
use crate::state::{Effect, Event, Word};
use crate::table::Slot;
use crate::tracked::Tracked;
use crate::{Alert, EndpointId, Notification, Outcome, Routed, Router, Status, duration, time};

/// A dead letter is not tried again sooner than this, however short the de-duplication window.
const MIN_REDELIVERY: Duration = Duration::from_secs(30);

impl Router {
    /// A firing report of an alert that is not remembered.
    pub(crate) fn fires_first(&mut self, hash: u64, alert: Alert, now: SystemTime) -> Routed {
        let episode: Arc<str> = episode_of(&alert).into();
        if let Some(reason) = self.no_room_for(&alert) {
            return self.tell_unremembered(Tracked::new(alert, episode, now), reason, now);
        }
        let seen = self.admit(hash, &alert, Status::Firing, &episode, now);
        let slot = self.alerts.insert(hash, Tracked::new(alert, episode, now));
        match seen {
            Some(age) => self.duplicate(slot, age),
            None => self.tell(slot, Event::Fire, now),
        }
    }

    /// A firing report of an alert that is remembered.
    pub(crate) fn fires_again(
        &mut self,
        hash: u64,
        slot: Slot,
        alert: Alert,
        now: SystemTime,
    ) -> Routed {
        let Some(tracked) = self.alerts.get(slot) else {
            return self.fires_first(hash, alert, now);
        };
        let over = tracked.resolved_at.is_some();
        let named = !alert.episode.is_empty();
        // Without a name, and while it fires, any report is one more of the same episode.
        let same = (!named && !over) || *episode_of(&alert) == *tracked.episode;
        if same && !over {
            let episode = Arc::clone(&tracked.episode);
            let seen = self.admit(hash, &alert, Status::Firing, &episode, now);
            return self.goes_on(slot, alert, seen, now);
        }
        let episode: Arc<str> = episode_of(&alert).into();
        let seen = self.admit(hash, &alert, Status::Firing, &episode, now);
        if let Some(age) = seen {
            let reason =
                format!("a late copy of a firing told {} ago, and over since", spoken(age));
            return self.quiet(slot, Outcome::Deduped, reason);
        }
        self.fires_anew(slot, alert, episode, now)
    }

    /// A resolve of an alert that is remembered.
    pub(crate) fn is_over(
        &mut self,
        hash: u64,
        slot: Slot,
        alert: Alert,
        now: SystemTime,
    ) -> Routed {
        let Some(tracked) = self.alerts.get(slot) else { return self.unknown_is_over(alert, now) };
        let other = !alert.episode.is_empty() && *alert.episode != *tracked.episode;
        let before = alert.ends_at.is_some_and(|end| end < tracked.alert.starts_at);
        if other || (alert.episode.is_empty() && before) {
            let current = &tracked.episode;
            let reason = format!("a resolve of another episode than the current one, {current}");
            self.teller.metrics.count_dropped("stale_resolve", 1);
            return self.quiet(slot, Outcome::Stale, reason);
        }
        let (over, episode) = (tracked.resolved_at.is_some(), Arc::clone(&tracked.episode));
        if let Some(age) = self.admit(hash, &alert, Status::Resolved, &episode, now) {
            let reason = format!("a repeat: it was resolved {} ago", spoken(age));
            return self.quiet(slot, Outcome::Deduped, reason);
        }
        if over {
            let reason = "it is over already".to_owned();
            return self.quiet(slot, Outcome::NothingToResolve, reason);
        }
        if let Some(tracked) = self.alerts.get_mut(slot) {
            tracked.update(alert, now);
        }
        match self.resolve(slot, now) {
            (Effect::TellResolved, notifications) if !notifications.is_empty() => {
                self.answer(self.word(slot), notifications)
            }
            (Effect::TellResolved, _) => {
                let reason = "it is over; its receivers want no resolves, or are gone".to_owned();
                self.quiet(slot, Outcome::NothingToResolve, reason)
            }
            _ => {
                let reason = "it is over, and nobody was told that it fires".to_owned();
                self.quiet(slot, Outcome::NothingToResolve, reason)
            }
        }
    }

    /// A resolve of an alert that is not remembered.
    pub(crate) fn unknown_is_over(&mut self, alert: Alert, now: SystemTime) -> Routed {
        let word = Word::ACTIVE.next(Event::Resolve).0;
        if self.told_unremembered {
            // It may be one of those that were told without being remembered. A resolve too many does no harm.
            let episode: Arc<str> = episode_of(&alert).into();
            let mut tracked = Tracked::new(alert, episode, now);
            let notifications = self.teller.tell_resolved_by_routes(&mut tracked, now);
            return self.answer(word, notifications);
        }
        Routed {
            notifications: Vec::new(),
            state: word.state(),
            outcome: Outcome::NothingToResolve,
            reason: "it is over, and it was not known to fire".to_owned(),
            version: self.teller.version,
        }
    }

    /// One alert whose deadline has come.
    pub(crate) fn look_at(&mut self, slot: Slot, now: SystemTime) -> Vec<Notification> {
        let Some(tracked) = self.alerts.get_mut(slot) else { return Vec::new() };
        if tracked.resolved_at.is_some() {
            if tracked.forget_at().is_some_and(|at| at <= now) {
                self.alerts.remove(slot);
                return Vec::new();
            }
            return self.teller.retell_resolved(tracked, now);
        }
        let ends = tracked.ends(self.teller.plan.resolve_timeout);
        let Some(end) = ends.filter(|end| *end <= now) else {
            return self.tell(slot, Event::Repeat, now).notifications;
        };
        tracked.alert.ends_at = Some(end);
        let (alert, episode) = (tracked.alert.clone(), Arc::clone(&tracked.episode));
        let hash = self.dedup.hash_labels(&alert.labels);
        // It ended for want of reports: it may be reported again as if nothing had happened, and has to be told then.
        self.dedup.forget(dedup_key(&alert, Status::Firing, &episode));
        self.admit(hash, &alert, Status::Resolved, &episode, now);
        self.resolve(slot, now).1
    }

    /// A lost notification goes to the next endpoint of its pool, or nowhere.
    pub(crate) fn send_elsewhere(
        &mut self,
        mut lost: OnTheWay,
        endpoint: &EndpointId,
        cause: LostCause,
        error: &str,
        now: SystemTime,
    ) -> Reported {
        let slot = lost.notification.alerts.first().and_then(|alert| {
            let hash = self.dedup.hash_labels(&alert.labels);
            self.alerts.find(hash, alert)
        });
        if slot.is_some_and(|slot| self.is_overtaken(slot, &lost)) {
            // Sent now, it would say "firing" after "resolved", or the other way around.
            self.teller.metrics.count_dropped("overtaken", 1);
            return Reported::default();
        }
        lost.tried.push(endpoint.clone());
        // A dispatcher that shuts down takes nothing for another endpoint either.
        let shut_down = cause == LostCause::Shutdown;
        let next = if shut_down { None } else { self.teller.next_endpoint(&lost, now) };
        if let Some((next, why)) = next {
            lost.notification.reason = format!("{endpoint} failed ({error}), so by {next} ({why})");
            lost.notification.endpoint = next;
            let resend = vec![lost.notification.clone()];
            self.teller.remember(lost);
            return Reported { resend, dead_letter: None };
        }
        self.teller.metrics.count_dropped("dead_letter", 1);
        let pause = self.teller.plan.dedup_window.max(MIN_REDELIVERY);
        let what_next = match slot {
            None => "the alert is not remembered, so it is given up".to_owned(),
            Some(slot) if self.retry_at(slot, &lost, time::after(now, pause)) => {
                format!("it is told again in {}", duration::format(pause))
            }
            Some(_) => "it is over, so it is given up".to_owned(),
        };
        let reason = format!("no endpoint is left ({endpoint}: {cause}, {error}); {what_next}");
        let OnTheWay { notification, tried, .. } = lost;
        Reported {
            resend: Vec::new(),
            dead_letter: Some(DeadLetter { notification, tried, reason }),
        }
    }

    /// Notes when an alert has to be looked at again, after whatever changed.
    pub(crate) fn settle(&mut self, slot: Slot) {
        self.alerts.settle(slot, self.teller.plan.resolve_timeout);
    }

    /// Another report of the episode that fires.
    fn goes_on(
        &mut self,
        slot: Slot,
        alert: Alert,
        seen: Option<Duration>,
        now: SystemTime,
    ) -> Routed {
        let epoch = self.teller.epoch;
        let (mut told, mut due) = (false, false);
        if let Some(tracked) = self.alerts.get_mut(slot) {
            tracked.update(alert, now);
            told = tracked.word.is_told();
            due = tracked.planned_under != epoch || tracked.next_due().is_some_and(|at| at <= now);
        }
        if told && due {
            let routed = self.tell(slot, Event::Repeat, now);
            if routed.outcome == Outcome::Notified {
                return routed;
            }
        }
        match seen {
            Some(age) => self.duplicate(slot, age),
            None if !told => self.tell(slot, Event::Fire, now),
            None => {
                self.step(slot, Event::WindowOver);
                let again = self.alerts.get(slot).and_then(Tracked::next_due);
                let reason = match again {
                    Some(at) => {
                        format!("it goes on; told again in {}", spoken(time::since(now, at)))
                    }
                    None => "it goes on; its receivers have no endpoints".to_owned(),
                };
                self.quiet(slot, Outcome::Ongoing, reason)
            }
        }
    }

    /// It fires after it was over, or in a new episode before the last one was.
    fn fires_anew(
        &mut self,
        slot: Slot,
        alert: Alert,
        episode: Arc<str>,
        now: SystemTime,
    ) -> Routed {
        self.alerts.unmark_resolved(slot);
        // If it is the episode that was over, its next resolve is no repeat of the last one.
        self.dedup.forget(dedup_key(&alert, Status::Resolved, &episode));
        let mut event = Event::Fire;
        if let Some(tracked) = self.alerts.get_mut(slot) {
            if tracked.word.is_told() {
                event = Event::Repeat;
            }
            tracked.reopen(alert, episode, now);
        }
        self.tell(slot, event, now)
    }

    /// Never silence: what cannot be remembered is told each time it is reported.
    fn tell_unremembered(
        &mut self,
        mut tracked: Tracked,
        reason: &'static str,
        now: SystemTime,
    ) -> Routed {
        self.told_unremembered = true;
        self.teller.metrics.count_dropped(reason, 1);
        let notifications = self.teller.tell_firing(&mut tracked, now);
        let mut routed = self.answer(Word::ACTIVE.next(Event::Fire).0, notifications);
        routed.reason += match reason {
            "untracked_large" => "; its labels are too large to be remembered",
            _ => "; too many alerts are firing for it to be remembered",
        };
        routed
    }

    /// The alert is over: whoever was told that it fires is told.
    fn resolve(&mut self, slot: Slot, now: SystemTime) -> (Effect, Vec<Notification>) {
        self.alerts.mark_resolved(slot, now);
        let effect = self.step(slot, Event::Resolve);
        let notifications = match (effect, self.alerts.get_mut(slot)) {
            (Effect::TellResolved, Some(tracked)) => self.teller.tell_resolved(tracked, now),
            _ => Vec::new(),
        };
        self.settle(slot);
        (effect, notifications)
    }

    /// Steps the alert's state, and tells the receivers if the table says so.
    fn tell(&mut self, slot: Slot, event: Event, now: SystemTime) -> Routed {
        let effect = self.step(slot, event);
        let epoch = self.teller.epoch;
        let mut notifications = Vec::new();
        if let Some(tracked) = self.alerts.get_mut(slot) {
            tracked.planned_under = epoch;
            if effect == Effect::TellFiring {
                notifications = self.teller.tell_firing(tracked, now);
            }
        }
        self.settle(slot);
        self.answer(self.word(slot), notifications)
    }

    fn duplicate(&mut self, slot: Slot, age: Duration) -> Routed {
        self.step(slot, Event::Duplicate);
        let window = &self.teller.plan.dedup_window_text;
        let reason = format!("a repeat after {}, inside the window of {window}", spoken(age));
        self.quiet(slot, Outcome::Deduped, reason)
    }

    fn quiet(&mut self, slot: Slot, outcome: Outcome, reason: String) -> Routed {
        self.settle(slot);
        let (state, version) = (self.word(slot).state(), self.teller.version);
        Routed { notifications: Vec::new(), state, outcome, reason, version }
    }

    fn answer(&self, word: Word, notifications: Vec<Notification>) -> Routed {
        let (outcome, reason) = match &notifications[..] {
            [] => (Outcome::NoEndpoint, "its receivers have no endpoints".to_owned()),
            [one] => (Outcome::Notified, one.reason.clone()),
            several => {
                let reasons: Vec<&str> = several.iter().map(|n| n.reason.as_str()).collect();
                (Outcome::Notified, reasons.join("; "))
            }
        };
        Routed { notifications, state: word.state(), outcome, reason, version: self.teller.version }
    }

    /// How long ago the same was admitted; if it was not, it is now.
    fn admit(
        &mut self,
        labels_hash: u64,
        alert: &Alert,
        status: Status,
        episode: &str,
        now: SystemTime,
    ) -> Option<Duration> {
        let key = dedup_key(alert, status, episode);
        let hash = self.dedup.hash_with(labels_hash, key);
        let seen = self.dedup.seen_hashed(hash, key, now);
        if seen.is_none() {
            let before = self.dedup.evicted();
            self.dedup.admit_hashed(hash, key, now);
            let evicted = self.dedup.evicted() - before;
            if evicted > 0 {
                self.teller.metrics.count_dropped("dedup_evicted", evicted);
            }
        }
        seen
    }

    /// Why an alert cannot be remembered, if it cannot.
    fn no_room_for(&mut self, alert: &Alert) -> Option<&'static str> {
        let limits = &self.teller.plan.limits;
        if alert.labels.size() > limits.max_label_bytes {
            return Some("untracked_large");
        }
        let full = self.alerts.len() >= limits.max_alerts;
        (full && !self.alerts.forget_one_resolved()).then_some("untracked_full")
    }

    /// Has its pool been sent something later about the same alert?
    fn is_overtaken(&self, slot: Slot, lost: &OnTheWay) -> bool {
        let told = self.alerts.get(slot).map_or(&[][..], |tracked| &tracked.told);
        let of_pool = told.iter().find(|told| told.pool == lost.pool);
        of_pool.is_some_and(|told| told.last_id != lost.notification.id)
    }

    /// Sees to it that a dead letter is told again, as the same telling with the same key; `false` if it is a firing,
    /// and over.
    fn retry_at(&mut self, slot: Slot, lost: &OnTheWay, at: SystemTime) -> bool {
        let Some(tracked) = self.alerts.get_mut(slot) else { return false };
        let Some(told) = tracked.told.iter_mut().find(|told| told.pool == lost.pool) else {
            return false;
        };
        if told.status != lost.notification.status {
            return false;
        }
        told.due = Some(told.due.map_or(at, |due| due.min(at)));
        if told.status == Status::Firing {
            told.count = told.count.saturating_sub(1);
        }
        self.settle(slot);
        true
    }

    fn step(&mut self, slot: Slot, event: Event) -> Effect {
        let Some(tracked) = self.alerts.get_mut(slot) else { return Effect::None };
        let (word, effect) = tracked.word.next(event);
        tracked.word = word;
        effect
    }

    fn word(&self, slot: Slot) -> Word {
        self.alerts.get(slot).map_or(Word::ACTIVE, |tracked| tracked.word)
    }
}

/// The host's name for the occurrence, or one made from when it began.
fn episode_of(alert: &Alert) -> Cow<'_, str> {
    if alert.episode.is_empty() {
        let began = time::since(SystemTime::UNIX_EPOCH, alert.starts_at);
        Cow::Owned(format!("@{}", began.as_nanos()))
    } else {
        Cow::Borrowed(&alert.episode)
    }
}

fn dedup_key<'a>(alert: &'a Alert, status: Status, episode: &'a str) -> DedupKey<'a> {
    DedupKey { labels: &alert.labels, receiver: alert.receiver.as_deref(), status, episode }
}

/// A duration for a sentence: whole seconds, or milliseconds below ten of them.
fn spoken(duration: Duration) -> String {
    let step = if duration < Duration::from_secs(10) { 1 } else { 1000 };
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    duration::format(Duration::from_millis(ms / step * step))
}
