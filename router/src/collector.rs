//! [`Metrics`] as a Prometheus collector.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, IntCounterVec, Opts};

use crate::{Metrics, Outcome, Status};

const ALERTS: (&str, &str, &[&str]) =
    ("birl_router_alerts_total", "Reports of alerts, by what came of them.", &["outcome"]);
const NOTIFICATIONS: (&str, &str, &[&str]) =
    ("birl_router_notifications_total", "Notifications decided.", &["receiver", "status"]);
const DELIVERIES: (&str, &str, &[&str]) =
    ("birl_router_deliveries_total", "Attempts to deliver, by result.", &["endpoint", "result"]);
const SECONDS_SUM: (&str, &str, &[&str]) = (
    "birl_router_delivery_seconds_sum",
    "Seconds that attempts to deliver took in all.",
    &["endpoint"],
);
const SECONDS_COUNT: (&str, &str, &[&str]) = (
    "birl_router_delivery_seconds_count",
    "Attempts to deliver whose time was taken.",
    &["endpoint"],
);
const DROPPED: (&str, &str, &[&str]) =
    ("birl_router_dropped_total", "What was given up, by reason.", &["reason"]);

/// The descriptors, made once: the collector's interface hands out references.
pub(crate) struct Descriptions(Vec<Desc>);

impl Descriptions {
    pub(crate) fn new() -> Self {
        let all = [ALERTS, NOTIFICATIONS, DELIVERIES, SECONDS_SUM, SECONDS_COUNT, DROPPED];
        let described = all.into_iter().filter_map(|(name, help, labels)| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new(name.to_owned(), help.to_owned(), labels, Default::default()).ok()
        });
        Self(described.collect())
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions().0.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let rest = self.snapshot();
        let mut families = Vec::new();
        families.extend(counters(
            ALERTS,
            Outcome::ALL.iter().map(|o| (vec![o.as_str()], self.alerts(*o))),
        ));
        let notifications = rest.notifications.iter().flat_map(|(receiver, counts)| {
            [Status::Firing, Status::Resolved]
                .map(|status| (vec![receiver.as_str(), status.as_str()], counts[status as usize]))
        });
        families.extend(counters(NOTIFICATIONS, notifications));
        families.extend(counters(
            DELIVERIES,
            rest.deliveries.iter().map(|((e, r), n)| (vec![e.as_str(), *r], *n)),
        ));
        if let Ok(sum) = CounterVec::new(Opts::new(SECONDS_SUM.0, SECONDS_SUM.1), SECONDS_SUM.2) {
            for (endpoint, (_, took)) in &rest.seconds {
                sum.with_label_values(&[endpoint.as_str()]).inc_by(took.as_secs_f64());
            }
            families.extend(sum.collect());
        }
        families.extend(counters(
            SECONDS_COUNT,
            rest.seconds.iter().map(|(e, (n, _))| (vec![e.as_str()], *n)),
        ));
        families.extend(counters(DROPPED, rest.dropped.iter().map(|(r, n)| (vec![*r], *n))));
        families
    }
}

/// One family. The names are constants and valid, which the tests see to.
fn counters<'a>(
    (name, help, labels): (&str, &str, &[&str]),
    values: impl Iterator<Item = (Vec<&'a str>, u64)>,
) -> Vec<MetricFamily> {
    let Ok(vector) = IntCounterVec::new(Opts::new(name, help), labels) else { return Vec::new() };
    for (values, count) in values {
        vector.with_label_values(&values).inc_by(count);
    }
    vector.collect()
}
