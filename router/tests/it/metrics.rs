use std::collections::BTreeMap;

use birl_router::{
    Config, DispatchConfig, Dispatcher, Metrics, Outcome, ReceiverConfig, RouteConfig, Router,
    Status, WriterNotifier, notifiers_for,
};
use prometheus::proto::MetricFamily;

use crate::{alert, at};

/// Labels and value.
type Sample = (Vec<(String, String)>, f64);

fn by_name(families: &[MetricFamily]) -> BTreeMap<String, Vec<Sample>> {
    let samples = |family: &MetricFamily| {
        let metrics = family.get_metric().iter().map(|metric| {
            let labels = metric.get_label().iter();
            let labels = labels.map(|l| (l.name().to_owned(), l.value().to_owned())).collect();
            (labels, metric.get_counter().get_value())
        });
        (family.name().to_owned(), metrics.collect())
    };
    families.iter().map(samples).collect()
}

#[tokio::test]
async fn the_counters_come_out_of_a_registry() {
    let metrics = Metrics::new();
    let registry = prometheus::Registry::new();
    registry.register(Box::new(metrics.clone())).unwrap();

    let config =
        Config::new(RouteConfig::to("all").immediate(), [ReceiverConfig::new("all").stdout()]);
    let mut router = Router::with_metrics(config.clone(), metrics.clone()).unwrap();
    let stdout = std::sync::Arc::new(WriterNotifier::new(Vec::new()));
    let mut dispatch = DispatchConfig::default();
    dispatch.metrics = metrics.clone();
    let (dispatcher, mut reports) = Dispatcher::builder(dispatch)
        .endpoints(notifiers_for(&config, stdout).unwrap())
        .start()
        .unwrap();
    for now in [0, 1] {
        for n in router.route(alert("A", 0), at(now)).notifications {
            dispatcher.send(n).unwrap();
        }
    }
    let report = reports.next().await.unwrap();
    let _ = router.report(&report, at(2));
    let _ = router.route(alert("A", 0).receiver("nobody"), at(2));

    let families = by_name(&registry.gather());
    let sample = |name: &str, labels: &[(&str, &str)]| {
        let labels: Vec<(String, String)> =
            labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let samples = families.get(name).unwrap_or_else(|| panic!("no {name}"));
        samples.iter().find(|(l, _)| *l == labels).map(|(_, value)| *value)
    };
    let endpoint = ("endpoint", "all/stdout_configs/0");
    assert_eq!(sample("birl_router_alerts_total", &[("outcome", "notified")]), Some(2.0));
    assert_eq!(sample("birl_router_alerts_total", &[("outcome", "deduped")]), Some(1.0));
    assert_eq!(sample("birl_router_alerts_total", &[("outcome", "stale")]), Some(0.0));
    let all_firing = [("receiver", "all"), ("status", "firing")];
    assert_eq!(sample("birl_router_notifications_total", &all_firing), Some(2.0));
    let delivered = [endpoint, ("result", "delivered")];
    assert_eq!(sample("birl_router_deliveries_total", &delivered), Some(1.0));
    assert_eq!(sample("birl_router_delivery_seconds_count", &[endpoint]), Some(1.0));
    assert!(sample("birl_router_delivery_seconds_sum", &[endpoint]).is_some());
    let unknown = [("reason", "unknown_receiver")];
    assert_eq!(sample("birl_router_dropped_total", &unknown), Some(1.0));

    // The same numbers by the getters, for hosts without Prometheus.
    assert_eq!(metrics.alerts(Outcome::Notified), 2);
    assert_eq!(metrics.notifications("all", Status::Firing), 2);
    assert_eq!(metrics.deliveries(&report.endpoint, "delivered"), 1);
}

#[test]
fn two_routers_in_one_process_do_not_collide() {
    let (one, two) = (crate::simple_router(), crate::simple_router());
    for router in [&one, &two] {
        let registry = prometheus::Registry::new();
        registry.register(Box::new(router.metrics().clone())).unwrap();
    }
    assert_eq!(one.metrics().alerts(Outcome::Notified), 0);
}
