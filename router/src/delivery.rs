//! What became of a notification: it arrived, it goes elsewhere, or it is told again later.

use std::time::Duration;

use crate::outstanding::OnTheWay;
use crate::report::{DeadLetter, DeliveryReport, DeliveryResult, LostCause, Reported};
use crate::table::Slot;
use crate::time::Stamp;
use crate::{EndpointId, Router, duration};

/// A dead letter is not tried again sooner than this, however short the de-duplication window.
const MIN_REDELIVERY: Duration = Duration::from_secs(30);

/// What a notification said of one alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Fires,
    /// In another episode than the one that was told.
    Anew,
    Over,
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
        for alert in delivered.parts.iter().flat_map(|part| &part.over) {
            for (group, pool) in self.places(*alert, delivered) {
                let Some(member) = self.groups.get_mut(group).and_then(|g| g.member_mut(*alert))
                else {
                    continue;
                };
                if member.pending & (1 << pool) != 0 {
                    member.pending &= !(1 << pool);
                    member.told &= !(1 << pool);
                }
                let timing = self.groups.get(group).map(|group| self.teller.plan.timing(group));
                if let Some(timing) = timing {
                    self.tidy(group, &timing, now);
                }
            }
            self.settle(*alert);
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
            let news =
                [(&part.fresh, News::Fires), (&part.renewed, News::Anew), (&part.over, News::Over)];
            let all =
                news.into_iter().flat_map(|(slots, news)| slots.iter().map(move |s| (*s, news)));
            for (alert, news) in all {
                let Some(tracked) = self.alerts.get(alert) else { continue };
                if tracked.is_over() != (news == News::Over) {
                    continue;
                }
                for (group, pool) in self.places(alert, lost) {
                    let Some(found) = self.groups.get_mut(group) else { continue };
                    let last = found.logs[pool].last == lost.hash;
                    let Some(member) = found.member_mut(alert) else { continue };
                    let bit = 1 << pool;
                    match news {
                        News::Over if member.pending & bit != 0 => member.pending &= !bit,
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

    /// Has its pool been sent something later about every alert that it brought news of?
    fn is_overtaken(&self, lost: &OnTheWay) -> bool {
        let mut any = false;
        for part in &lost.parts {
            let Some(group) = self.groups.get(part.group).filter(|g| g.number == part.number)
            else {
                continue;
            };
            let Some(log) = group.logs.get(part.pool) else { continue };
            if log.last == lost.hash {
                return false;
            }
            any = true;
        }
        any
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
