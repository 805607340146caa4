//! A real node-exporter, read through Prometheus.

use std::net::SocketAddr;
use std::process::Command;

use birl_scaler::PrometheusQuery;
use tempfile::TempDir;

use crate::programs::{Program, binary, free_address};
use crate::prometheus::Prometheus;

/// A running node-exporter.
struct NodeExporter {
    address: SocketAddr,
    _program: Program,
    _folder: TempDir,
}

impl NodeExporter {
    fn start() -> Self {
        let (address, folder) = (free_address(), tempfile::tempdir().expect("a folder"));
        let mut command = Command::new(binary(&["prometheus-node-exporter", "node_exporter"]));
        command.arg(format!("--web.listen-address={address}")).args([
            "--collector.disable-defaults",
            "--collector.loadavg",
            "--collector.diskstats",
        ]);
        let mut program = Program::start(&mut command, folder.path().join("log"));
        program.wait_until_ready(address, "/metrics");
        Self { address, _program: program, _folder: folder }
    }
}

#[tokio::test]
async fn load_and_disk_queues_of_a_machine() {
    let node = NodeExporter::start();
    let prometheus = Prometheus::start(&[("node", node.address)]);
    let server = prometheus.server();

    let load = PrometheusQuery::new(&server, "load", "node_load1");
    let signal = prometheus.wait_for(&load, |_| true).await;
    assert_eq!(signal.samples.len(), 1);
    assert_eq!(&*signal.samples[0].instance, node.address.to_string());
    let text = std::fs::read_to_string("/proc/loadavg").expect("/proc/loadavg");
    let now: f64 = text.split(' ').next().and_then(|word| word.parse().ok()).expect("a load");
    let told = signal.samples[0].value.expect("a number").as_f64();
    // Within the moments between the scrape and here it moves by a few percent of the difference.
    assert!((told - now).abs() < 1.0 + now * 0.5, "told {told}, is {now}");

    // The mean depth of each disk's queue.
    let depth = "rate(node_disk_io_time_weighted_seconds_total[5s])";
    let queue = PrometheusQuery::new(&server, "queue", depth).instance_label("device");
    let signal = prometheus.wait_for(&queue, |signal| !signal.samples.is_empty()).await;
    let stats = std::fs::read_to_string("/proc/diskstats").expect("/proc/diskstats");
    for sample in &signal.samples {
        assert!(sample.value.is_some(), "{sample:?}");
        let device = &*sample.instance;
        assert!(stats.split_whitespace().any(|word| word == device), "{device} in {stats}");
    }
}
