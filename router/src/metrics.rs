//! Counters: what the router and the dispatcher did.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{EndpointId, Outcome, Status};

/// The counters of one router and its dispatcher. Clones share them.
///
/// With the feature `prometheus` it is a collector: `registry.register(Box::new(metrics.clone()))`.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Counters>);

#[derive(Default)]
struct Counters {
    /// By outcome: the one counter that moves with every report, so it takes no lock.
    alerts: [AtomicU64; Outcome::ALL.len()],
    /// The rest moves with notifications. Keys are names from the configuration, and so bounded.
    rest: Mutex<Rest>,
    #[cfg(feature = "prometheus")]
    collector: std::sync::OnceLock<crate::collector::Descriptions>,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Rest {
    /// Firing and resolved.
    pub(crate) notifications: BTreeMap<String, [u64; 2]>,
    pub(crate) deliveries: BTreeMap<(EndpointId, &'static str), u64>,
    pub(crate) seconds: BTreeMap<EndpointId, (u64, Duration)>,
    pub(crate) dropped: BTreeMap<&'static str, u64>,
}

impl Metrics {
    /// All zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reports of alerts that had this outcome.
    pub fn alerts(&self, outcome: Outcome) -> u64 {
        self.0.alerts[outcome as usize].load(Ordering::Relaxed)
    }

    /// Notifications decided for this receiver.
    pub fn notifications(&self, receiver: &str, status: Status) -> u64 {
        self.rest().notifications.get(receiver).map_or(0, |counts| counts[status as usize])
    }

    /// Attempts at this endpoint with this result: `delivered`, `retrying`, or the name of a
    /// [`LostCause`](crate::LostCause).
    pub fn deliveries(&self, endpoint: &EndpointId, result: &str) -> u64 {
        let rest = self.rest();
        let mut of_endpoint = rest.deliveries.iter().filter(|((id, _), _)| id == endpoint);
        of_endpoint.find(|((_, r), _)| *r == result).map_or(0, |(_, count)| *count)
    }

    /// What was given up, by reason:
    ///
    /// | reason | what happened |
    /// | --- | --- |
    /// | `dead_letter` | no endpoint of the pool would take a notification |
    /// | `untracked_full` | an alert was told, but not remembered: `max_alerts` are, and fire or are still to be told to be over |
    /// | `untracked_large` | the same, because its labels are larger than `max_label_bytes` |
    /// | `dedup_evicted` | an alert that was over a moment ago made room for another: told again if it comes again |
    /// | `group_overflow` | an alert found no group, and no room for one: it shares one with others |
    /// | `inhibition_full` | an alert neither inhibits nor is inhibited: too many are known |
    /// | `unreported` | no report of a delivery came before newer notifications took its place |
    /// | `unknown_receiver` | an alert named a receiver that there is not; the default receiver was told |
    /// | `resolve_given_up` | for more than an hour a receiver could not be told that an alert is over |
    /// | `receiver_gone` | a resolve whose receiver the configuration no longer has |
    /// | `overtaken` | a lost notification that a later one about the same alert has made pointless |
    /// | `stale_resolve` | a resolve of an episode that is no longer the current one |
    /// | `clock_ahead` | the clock has jumped ahead, or nobody asked for long: ends of alerts were not believed for a while |
    /// | `clock_back` | the clock was set back, and everything that waited with it |
    /// | `silence_not_restored` | a saved silence is refused now, by a limit |
    /// | `inconsistent` | a fault of this crate's |
    /// | `report_dropped` | a report of an attempt (never a final one) found the reports' channel full |
    /// | `queue_full`, `shutdown`, … | a [`LostCause`](crate::LostCause) of the dispatcher |
    pub fn dropped(&self, reason: &str) -> u64 {
        self.rest().dropped.get(reason).copied().unwrap_or_default()
    }

    pub(crate) fn count_alert(&self, outcome: Outcome) {
        self.0.alerts[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_notification(&self, receiver: &str, status: Status) {
        let mut rest = self.rest();
        if let Some(counts) = rest.notifications.get_mut(receiver) {
            counts[status as usize] += 1;
        } else {
            let mut counts = [0; 2];
            counts[status as usize] = 1;
            rest.notifications.insert(receiver.to_owned(), counts);
        }
    }

    #[cfg_attr(not(feature = "dispatch"), expect(dead_code, reason = "the dispatcher delivers"))]
    pub(crate) fn count_delivery(
        &self,
        endpoint: &EndpointId,
        result: &'static str,
        took: Option<Duration>,
    ) {
        let mut rest = self.rest();
        *rest.deliveries.entry((endpoint.clone(), result)).or_default() += 1;
        if let Some(took) = took {
            let (count, sum) = rest.seconds.entry(endpoint.clone()).or_default();
            *count += 1;
            *sum += took;
        }
    }

    pub(crate) fn count_dropped(&self, reason: &'static str, by: u64) {
        *self.rest().dropped.entry(reason).or_default() += by;
    }

    #[cfg(feature = "prometheus")]
    pub(crate) fn snapshot(&self) -> Rest {
        self.rest().clone()
    }

    #[cfg(feature = "prometheus")]
    pub(crate) fn descriptions(&self) -> &crate::collector::Descriptions {
        self.0.collector.get_or_init(crate::collector::Descriptions::new)
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        // Counters are whole after each addition: a panic elsewhere cannot have left them half done.
        self.0.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let alerts: BTreeMap<_, _> =
            Outcome::ALL.iter().map(|o| (o.as_str(), self.alerts(*o))).collect();
        f.debug_struct("Metrics")
            .field("alerts", &alerts)
            .field("rest", &*self.rest())
            .finish_non_exhaustive()
    }
}
