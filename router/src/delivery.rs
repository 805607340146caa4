//! What became of a notification: it arrived, it goes elsewhere, or it is told again later.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::flush::is_quiet;
use crate::outstanding::OnTheWay;
use crate::report::{DeadLetter, DeliveryReport, DeliveryResult, LostCause, Reported};
use crate::table::Slot;
use crate::teller::UNREMEMBERED;
use crate::time::Stamp;
use crate::tracked::Tracked;
use crate::{Alert, Compat, EndpointId, Router, Status, duration};

/// A dead letter is not tried again sooner than this, however short the de-duplication window.
const MIN_REDELIVERY: Duration = Duration::from_secs(30);

/// What a notification said of one alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Fires,
    /// In another episode than the one that was told.
    Anew,
    /// It was this episode.
    Over(u32),
}

impl Router {
    pub(crate) fn take_report(&mut self, report: &DeliveryReport, now: Stamp) -> Reported {
        let ok = report.result == DeliveryResult::Delivered;
        let blameless =
            matches!(report.result, DeliveryResult::Lost { cause: LostCause::Shutdown, .. });
        let at = now.to_system_time();
        let (id, rtt, pause) = (&report.endpoint, report.rtt, report.retry_after);
        if !blameless && self.teller.endpoints.attempt(id, ok, rtt, pause, at) {
            self.teller.version += 1;
        }
        if !report.is_final() {
            return Reported::default();
        }
        let lost = matches!(report.result, DeliveryResult::Lost { .. });
        let on_its_way_to = self.teller.outstanding.endpoint(&report.notification_id);
        if lost && on_its_way_to.is_some_and(|endpoint| *endpoint != report.endpoint) {
            // Said twice: it is on its way to another endpoint since the first time.
            return Reported::default();
        }
        match (&report.result, self.teller.outstanding.remove(&report.notification_id)) {
            (DeliveryResult::Lost { cause, error }, Some(lost)) => {
                self.send_elsewhere(lost, &report.endpoint, *cause, error, now)
            }
            (_, Some(delivered)) => {
                self.arrived(&delivered, now);
                Reported::default()
            }
            // It was pushed out of the memory, which was counted then.
            _ => Reported::default(),
        }
    }

    /// Who was told that an alert is over knows it now.
    fn arrived(&mut self, delivered: &OnTheWay, now: Stamp) {
        let mut touched: BTreeSet<Slot> = BTreeSet::new();
        for (alert, number) in delivered.parts.iter().flat_map(|part| &part.over) {
            let is_same = self.alerts.get(*alert).is_some_and(|t| t.number == *number);
            for (group, pool) in self.places(*alert, delivered) {
                let bit = 1 << pool;
                let Some(found) = self.groups.get_mut(group) else { continue };
                let last = found.logs[pool].last == delivered.hash;
                let Some(member) = found.member_mut(*alert) else { continue };
                if is_same && member.pending & bit != 0 {
                    (member.pending, member.told) = (member.pending & !bit, member.told & !bit);
                } else if !is_same && last && self.teller.plan.compat == Compat::Birl {
                    // It has fired again since, and this is the last that the pool has heard.
                    (member.again, member.told) = (member.again & !bit, member.told & !bit);
                }
                touched.insert(group);
            }
            self.settle(*alert);
        }
        for group in touched {
            let timing = self.groups.get(group).map(|group| self.teller.plan.timing(group));
            if let Some(timing) = timing {
                self.tidy(group, &timing, now);
            }
        }
    }

    /// A lost notification goes to the next endpoint of its pool, or nowhere.
    fn send_elsewhere(
        &mut self,
        mut lost: OnTheWay,
        endpoint: &EndpointId,
        cause: LostCause,
        error: &str,
        now: Stamp,
    ) -> Reported {
        if self.is_overtaken(&lost) {
            // Sent now, it would say "firing" after "resolved", or the other way around. What it said of resolves the
            // later one did not say again.
            self.teller.metrics.count_dropped("overtaken", 1);
            self.take_back(&lost, now, now);
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
        let what_next = match self.take_back(&lost, now.plus(pause), now) {
            true => format!("it is told again in {}", duration::format(pause)),
            false => "it is over, so it is given up".to_owned(),
        };
        let reason = format!("no endpoint is left ({endpoint}: {cause}, {error}); {what_next}");
        let OnTheWay { notification, tried, .. } = lost;
        Reported {
            resend: Vec::new(),
            dead_letter: Some(DeadLetter { notification, tried, reason }),
        }
    }

    /// Nobody knows what the notification said: it is told again at `at`, as the same telling, if it still holds.
    fn take_back(&mut self, lost: &OnTheWay, at: Stamp, now: Stamp) -> bool {
        let mut still = false;
        for part in &lost.parts {
            let fires = part.fresh.iter().map(|slot| (*slot, News::Fires));
            let anew = part.renewed.iter().map(|slot| (*slot, News::Anew));
            let over = part.over.iter().map(|(slot, number)| (*slot, News::Over(*number)));
            for (alert, news) in fires.chain(anew).chain(over) {
                let Some(tracked) = self.alerts.get(alert) else { continue };
                let holds = match news {
                    News::Fires | News::Anew => !tracked.is_over(),
                    News::Over(number) => tracked.is_over() && tracked.number == number,
                };
                if !holds {
                    continue;
                }
                for (group, pool) in self.places(alert, lost) {
                    let is_in_last = self.is_in_last(alert, group, now);
                    let Some(found) = self.groups.get_mut(group) else { continue };
                    let last = found.logs[pool].last == lost.hash || !is_in_last;
                    let Some(member) = found.member_mut(alert) else { continue };
                    let bit = 1 << pool;
                    match news {
                        News::Over(_) if member.pending & bit != 0 => member.pending &= !bit,
                        News::Fires if last => member.told &= !bit,
                        News::Anew if last => member.again |= bit,
                        _ => continue,
                    }
                    still = true;
                    self.due_again(group, at, now);
                }
            }
            still |= self.retry(lost, part.group, part.number, part.pool, at, now);
        }
        still
    }

    /// The same telling, by the same name.
    fn retry(
        &mut self,
        lost: &OnTheWay,
        slot: Slot,
        number: u64,
        pool: usize,
        at: Stamp,
        now: Stamp,
    ) -> bool {
        let Some(group) = self.groups.get_mut(slot).filter(|group| group.number == number) else {
            return false;
        };
        let Some(log) = group.logs.get_mut(pool).filter(|log| log.last == lost.hash) else {
            return false;
        };
        log.tellings = log.tellings.saturating_sub(1);
        log.logged = [log.logged[1].take(), None];
        let fires = group
            .members
            .iter()
            .any(|member| self.alerts.get(member.alert).is_some_and(|tracked| !tracked.is_over()));
        if fires {
            log.retry_at = at;
            self.due_again(slot, at, now);
        }
        fires
    }

    fn due_again(&mut self, slot: Slot, at: Stamp, now: Stamp) {
        let Some(group) = self.groups.get(slot) else { return };
        let timing = self.teller.plan.timing(group);
        let next = group.next_flush(timing.wait, timing.interval, now.max(at));
        self.groups.due_by(slot, next);
    }

    /// Is an alert of `group` that fires in whatever the group has told last? What is muted is not.
    fn is_in_last(&self, alert: Slot, group: Slot, now: Stamp) -> bool {
        let (Some(tracked), Some(group)) = (self.alerts.get(alert), self.groups.get(group)) else {
            return false;
        };
        let rules = self.rules(group, now);
        rules.compat == Compat::Alertmanager || !is_quiet(tracked, rules.muted)
    }

    /// Has its pool been sent something later about a group that it tells of?
    fn is_overtaken(&self, lost: &OnTheWay) -> bool {
        let mut unknown = false;
        for part in lost.parts.iter().filter(|part| part.group != UNREMEMBERED) {
            let group = self.groups.get(part.group).filter(|group| group.number == part.number);
            match group.and_then(|group| group.logs.get(part.pool)) {
                Some(log) if log.last != lost.hash => return true,
                Some(_) => {}
                None => unknown = true,
            }
        }
        unknown && lost.notification.alerts.iter().any(|alert| self.is_outdated(alert, lost))
    }

    /// The group that told of the alert is gone, or has another configuration's place: does what `lost` said of it not
    /// hold any more, or has its pool been sent something later?
    fn is_outdated(&self, alert: &Alert, lost: &OnTheWay) -> bool {
        // Whoever hears of no resolve is told that it fired, however late.
        let fired = lost.tells_resolved && alert.status(lost.notification.at) == Status::Firing;
        let Some(slot) = self.alerts.find(self.alerts.hash(alert), alert) else { return fired };
        let places = self.places(slot, lost);
        let mut logs =
            places.iter().filter_map(|(group, pool)| self.groups.get(*group)?.logs.get(*pool));
        let over = self.alerts.get(slot).is_some_and(Tracked::is_over);
        if places.is_empty() { fired && over } else { logs.all(|log| log.last != lost.hash) }
    }

    /// Where a pool stands in the groups of an alert.
    fn places(&self, alert: Slot, of: &OnTheWay) -> Vec<(Slot, usize)> {
        let Some(tracked) = self.alerts.get(alert) else { return Vec::new() };
        let places = tracked.groups.iter().filter_map(|slot| {
            let group = self.groups.get(*slot)?;
            let pool = group.logs.iter().position(|log| log.pool == of.pool)?;
            Some((*slot, pool))
        });
        places.collect()
    }
}
