//! A client that services are built with sends; what it meant is what the signals tell.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant, SystemTime};

use birl_scaler::statsd::{Counts, Listener, Statistic, Statsd, StatsdSignal, Watch};
use birl_scaler::{Milli, SignalSource};
use cadence::prelude::*;
use cadence::{
    BufferedUdpMetricSink, BufferedUnixMetricSink, QueuingMetricSink, StatsdClient, UdpMetricSink,
    UnixMetricSink,
};

/// No wait of these tests is longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Counters are told after a quarter of this.
const WINDOW: Duration = Duration::from_secs(4);

struct Signals {
    statsd: Statsd,
    orders: StatsdSignal,
    waiting: StatsdSignal,
    p99: StatsdSignal,
    mean: StatsdSignal,
    sizes: StatsdSignal,
    users: StatsdSignal,
}

impl Signals {
    fn new() -> Self {
        let statsd = Statsd::default();
        let watch = |name: &str, statistic| {
            let watch = Watch::new(name, format!("shop.{name}"), statistic);
            statsd.signal(watch.instance("pod").tag("env", "test").window(WINDOW)).unwrap()
        };
        Self {
            orders: watch("orders", Statistic::Rate),
            waiting: watch("waiting", Statistic::Value),
            p99: watch("took", Statistic::P99),
            mean: watch("took", Statistic::Mean),
            sizes: watch("size", Statistic::P50),
            users: watch("users", Statistic::Cardinality),
            statsd,
        }
    }

    /// What each pod is said to have.
    fn told(&self, signal: &StatsdSignal) -> Vec<(String, Option<f64>)> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(signal.read(SystemTime::now())).unwrap();
        let samples = read.samples.iter();
        samples.map(|s| (s.instance.to_string(), s.value.map(Milli::as_f64))).collect()
    }

    fn arrive(&self, lines: u64) -> Counts {
        let begun = Instant::now();
        loop {
            let counts = self.statsd.counts();
            if counts.lines >= lines {
                return counts;
            }
            assert!(begun.elapsed() < PATIENCE, "{counts:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn client(
    pod: &str,
    sink: impl cadence::MetricSink + Send + Sync + std::panic::RefUnwindSafe + 'static,
) -> StatsdClient {
    StatsdClient::builder("shop", sink)
        .with_tag("env", "test")
        .with_tag("pod", pod)
        .with_tag_value("canary")
        .with_error_handler(|error| panic!("the client: {error}"))
        .build()
}

/// 211 lines.
fn report(client: &StatsdClient, scale: u64) {
    client.gauge("waiting", 40 * scale).unwrap();
    for n in 1..=100 {
        client.time("took", Duration::from_millis(n * scale)).unwrap();
        client.set("users", (n % 10) as i64).unwrap();
    }
    client.histogram("size", 512 * scale).unwrap();
    client.distribution("size", 512.0 * scale as f64).unwrap();
    // Packed: several values in one line.
    client.histogram("size", vec![512 * scale, 512 * scale]).unwrap();
    client.gauge_with_tags("waiting", 7 * scale).with_tag("queue", "slow").send();
    for _ in 0..5 {
        client.count("orders", 3_i64).unwrap();
    }
    client.count_with_tags("orders", 4_i64).with_sampling_rate(0.5).send();
    client.flush().unwrap();
}

#[test]
fn what_a_client_sends_over_udp_and_a_unix_socket_comes_out_as_it_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("statsd.sock");
    let signals = Signals::new();
    let listener = Listener::builder().udp("127.0.0.1:0").udp("[::1]:0").unix(&path);
    let listener = listener.start(&signals.statsd).unwrap();
    let [four, six] = listener.udp() else { panic!("{listener:?}") };
    let udp = |from: &str| UdpSocket::bind(from).unwrap();
    let clients = [
        client("a", UdpMetricSink::from(four, udp("127.0.0.1:0")).unwrap()),
        client("b", BufferedUdpMetricSink::with_capacity(six, udp("[::1]:0"), 1432).unwrap()),
        client("c", UnixMetricSink::from(&path, UnixDatagram::unbound().unwrap())),
        client(
            "d",
            BufferedUnixMetricSink::with_capacity(&path, UnixDatagram::unbound().unwrap(), 8192),
        ),
        client(
            "e",
            QueuingMetricSink::from(BufferedUdpMetricSink::from(four, udp("127.0.0.1:0")).unwrap()),
        ),
    ];
    for (scale, client) in (1..).zip(&clients) {
        report(client, scale);
    }
    let count = clients.len();
    // One that queues sends the rest when it goes.
    drop(clients);
    let lines = 211 * count as u64;
    let counts = signals.arrive(lines);
    assert_eq!((counts.lines, counts.refused_total(), counts.unwatched), (lines, 0, 0));
    assert_eq!((counts.taken, counts.dropped, counts.truncated), (lines, 0, 0));

    for (scale, pod) in (1..).zip(0..count) {
        let scale = f64::from(scale);
        let near = |signal, truth: f64| {
            let told = signals.told(signal)[pod].1.unwrap();
            assert!((told / truth - 1.0).abs() < 1.0 / 128.0, "{pod}: {told} for {truth}");
        };
        assert_eq!(signals.told(&signals.waiting)[pod].1, Some(47.0 * scale));
        near(&signals.p99, 99.0 * scale);
        near(&signals.mean, 50.5 * scale);
        assert_eq!(signals.told(&signals.sizes)[pod].1, Some(512.0 * scale));
        assert_eq!(signals.told(&signals.users)[pod].1, Some(10.0));
    }
    let pods: Vec<_> = signals.told(&signals.waiting).into_iter().map(|(pod, _)| pod).collect();
    assert_eq!(pods, ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_counter_that_a_client_counts_up_steadily_is_its_rate() {
    let signals = Signals::new();
    let listener = Listener::builder().udp("127.0.0.1:0").start(&signals.statsd).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let client = client("a", UdpMetricSink::from(listener.udp()[0], socket).unwrap());
    let (begun, mut counted, mut lines) = (Instant::now(), 0, 0);
    while begun.elapsed() < Duration::from_millis(3500) {
        client.count("orders", 3_i64).unwrap();
        // The client leaves the sampling to its caller: this stands for four.
        client.count_with_tags("orders", 2_i64).with_sampling_rate(0.5).send();
        counted += 7;
        lines += 2;
        std::thread::sleep(Duration::from_millis(20));
    }
    signals.arrive(lines);
    let truth = f64::from(counted) / begun.elapsed().as_secs_f64();
    let told = signals.told(&signals.orders)[0].1.unwrap();
    assert!((told / truth - 1.0).abs() < 0.2, "{told} a second for {truth}");
}
