//! A real Prometheus, which scrapes a real service.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use birl_scaler::{
    Action, Decider, Decision, FaultKind, HealthState, MetricSpec, Milli, Observation,
    PrometheusQuery, PrometheusServer, Reading, Replicas, Sampler, ScalerSpec, Signal,
    SignalSource, Unknown,
};
use prometheus::{Encoder, Histogram, HistogramOpts, Registry, TextEncoder};
use tempfile::TempDir;

use crate::programs::{PATIENCE, Program, binary, free_address};

/// A Prometheus that scrapes `targets` each second; its data outlives a restart.
pub(crate) struct Prometheus {
    program: Option<Program>,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

impl Prometheus {
    pub(crate) fn start(targets: &[(&str, SocketAddr)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = targets.iter().map(|(job, address)| {
            format!("- job_name: {job}\n  static_configs:\n  - targets: ['{address}']\n")
        });
        let config = format!(
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n{}",
            jobs.collect::<String>()
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).expect("its configuration");
        let mut started = Self { program: None, address: free_address(), folder };
        started.restart();
        started
    }

    pub(crate) fn restart(&mut self) {
        let folder = self.folder.path();
        let mut command = Command::new(binary(&["prometheus"]));
        command
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={}", self.address))
            .arg("--web.route-prefix=/prom")
            .current_dir(folder);
        let mut program = Program::start(&mut command, folder.join("log"));
        program.wait_until_ready(self.address, "/prom/-/ready");
        self.program = Some(program);
    }

    fn kill(&mut self) {
        self.program = None;
    }

    pub(crate) fn server(&self) -> PrometheusServer {
        PrometheusServer::new(&format!("http://{}/prom", self.address)).expect("a URL")
    }

    /// Asks until there is an answer that will do.
    pub(crate) async fn wait_for(
        &self,
        query: &PrometheusQuery,
        will_do: impl Fn(&Signal) -> bool,
    ) -> Signal {
        let begun = Instant::now();
        loop {
            let answer = query.read(SystemTime::now()).await;
            match answer {
                Ok(signal) if will_do(&signal) => return signal,
                other => {
                    let log = self.program.as_ref().map(Program::log).unwrap_or_default();
                    assert!(begun.elapsed() < PATIENCE, "{other:?}\n{log}");
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// A service that measures its latencies and shows them at `/metrics`; dropping it stops it.
struct Service {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Service {
    fn start(registry: Registry) -> Self {
        let buckets = vec![0.1, 0.5, 1.0];
        let options = HistogramOpts::new("request_seconds", "Latencies.").buckets(buckets);
        let latencies = Histogram::with_opts(options).expect("a histogram");
        registry.register(Box::new(latencies.clone())).expect("one of it");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = std::thread::spawn(move || {
            // 900 of 1,000 are below 100 ms, 995 below 500 ms.
            for request in (0..1000_u32).cycle() {
                let place = request * 7 % 1000;
                let latency =
                    [0.05, 0.3, 0.8][usize::from(place >= 900) + usize::from(place >= 995)];
                latencies.observe(latency);
                if request % 100 == 0 {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        let stopped = Arc::clone(&stop);
        let shown = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                let _ = stream.read(&mut [0; 4096]);
                let mut body = Vec::new();
                TextEncoder::new().encode(&registry.gather(), &mut body).expect("text");
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/plain; version=0.0.4\r\n\r\n";
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            }
        });
        Self { address, stop, threads: vec![work, shown] }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The one that waits for a scrape gets one.
        let _ = std::net::TcpStream::connect(self.address);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn only(signal: &Signal) -> f64 {
    assert_eq!(signal.samples.len(), 1, "{signal:?}");
    signal.samples[0].value.expect("a number").as_f64()
}

#[tokio::test]
async fn the_p99_of_a_service_is_what_it_should_be() {
    let service = Service::start(Registry::new());
    let prometheus = Prometheus::start(&[("api", service.address)]);
    let window = Duration::from_secs(10);
    let of = |quantile| {
        let expression =
            PrometheusQuery::latency_quantile(quantile, "request_seconds", "job=\"api\"", window);
        PrometheusQuery::new(&prometheus.server(), "latency", expression.expect("an expression"))
    };
    let before = SystemTime::now();
    // By linear interpolation inside of the bucket: 0.1 + 0.4 × (990 − 900) / (995 − 900).
    let signal = prometheus.wait_for(&of(0.99), |_| true).await;
    let p99 = only(&signal);
    assert!((0.44..=0.52).contains(&p99), "{p99}");
    assert!(signal.at >= before && signal.at <= SystemTime::now(), "{signal:?}");
    // 0.1 × 500 / 900.
    let p50 = only(&prometheus.wait_for(&of(0.5), |_| true).await);
    assert!((0.05..=0.061).contains(&p50), "{p50}");
}

#[tokio::test]
async fn what_it_refuses_or_does_not_have_is_told_in_its_own_words() {
    let prometheus = Prometheus::start(&[]);
    let server = prometheus.server();
    for (expression, kind, says) in [
        ("sum(", FaultKind::Refused, "400 Bad Request: bad_data: "),
        ("sum by (x)", FaultKind::Refused, "parse error"),
        ("no_such_metric", FaultKind::Empty, "is it scraped?"),
        ("vector(0) / 0", FaultKind::NotANumber, "NaN is nothing"),
        ("vector(-1)", FaultKind::NotANumber, "-1 is nothing"),
        ("vector(1) / 0", FaultKind::NotANumber, "inf is nothing"),
        ("vector(1)[1m:1s]", FaultKind::Malformed, "take away its [range]"),
        ("'text'", FaultKind::Malformed, "ask for a number"),
    ] {
        let query = PrometheusQuery::new(&server, "it", expression);
        let fault = query.read(SystemTime::now()).await.expect_err(expression);
        assert_eq!(fault.kind(), kind, "{expression}: {fault}");
        assert!(fault.detail().contains(says), "{expression}: {fault}");
    }
    for expression in ["42", "vector(42)", "sum(vector(42))"] {
        let query = PrometheusQuery::new(&server, "it", expression);
        let signal = query.read(SystemTime::now()).await.expect(expression);
        assert_eq!(only(&signal), 42.0, "{expression}");
    }
    let wrong = PrometheusServer::new(&format!("http://{}", prometheus.address)).expect("a URL");
    let query = PrometheusQuery::new(&wrong, "it", "42");
    let fault = query.read(SystemTime::now()).await.expect_err("the path is missing");
    assert!(fault.detail().contains("the path before `/api/v1/query`"), "{fault}");
}

/// Five replicas, and next to nothing to do.
async fn decide(sampler: &mut Sampler) -> Decision {
    let mut spec = ScalerSpec::new("api", 1, 10);
    spec.cool_down.scale_down = Duration::ZERO;
    spec.metrics = vec![MetricSpec::average("requests", Milli(1_000_000))];
    let mut decider = Decider::new(spec).expect("a specification");
    let signals = sampler.sample(SystemTime::now()).await;
    decider.decide(&Observation::new(Replicas::ready(5)).signals(signals), SystemTime::now())
}

#[tokio::test]
async fn a_server_that_is_killed_is_unknown_and_no_reason_to_scale_down() {
    let mut prometheus = Prometheus::start(&[]);
    let query = PrometheusQuery::new(&prometheus.server(), "requests", "vector(1)");
    let mut sampler = Sampler::new();
    sampler.add(query.max_age(Duration::from_secs(2)), Sampler::DEADLINE).expect("a source");
    let board = sampler.board();
    assert_eq!(decide(&mut sampler).await.action, Action::ScaleDown, "while it tells so");
    assert!(board.conditions(SystemTime::now()).signals_healthy);

    prometheus.kill();
    let held = decide(&mut sampler).await;
    assert_eq!(board.health()[0].state, HealthState::Failing, "{held}");
    assert!(!board.conditions(SystemTime::now()).signals_healthy);
    tokio::time::sleep(Duration::from_secs(2)).await;
    for _ in 0..5 {
        let held = decide(&mut sampler).await;
        assert_eq!(held.action, Action::Hold, "{held}");
        let why = Unknown::Failed(FaultKind::Unreachable);
        assert_eq!(held.proposals[0].reading, Reading::Unknown { why });
        assert!(!board.conditions(SystemTime::now()).ready);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    prometheus.restart();
    let begun = Instant::now();
    while board.health()[0].state != HealthState::Healthy {
        // No pause between two dials is longer than ten seconds.
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", board.health());
        tokio::time::sleep(Duration::from_millis(300)).await;
        decide(&mut sampler).await;
    }
    assert_eq!(decide(&mut sampler).await.action, Action::ScaleDown);
    assert!(board.conditions(SystemTime::now()).ready);
}

#[tokio::test]
async fn a_server_that_hangs_delays_no_tick_and_is_found_again_at_once() {
    let prometheus = Prometheus::start(&[]);
    let query = PrometheusQuery::new(&prometheus.server(), "requests", "vector(1)");
    let mut sampler = Sampler::new();
    sampler.add(query.max_age(Duration::from_secs(2)), Sampler::DEADLINE).expect("a source");
    let board = sampler.board();
    assert_eq!(decide(&mut sampler).await.action, Action::ScaleDown, "while it tells so");
    let program = prometheus.program.as_ref().expect("it runs");
    // The kernel goes on to accept connections for it.
    program.signal(rustix::process::Signal::STOP);
    for _ in 0..3 {
        let begun = Instant::now();
        let held = decide(&mut sampler).await;
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        let why = Unknown::Failed(FaultKind::Timeout);
        assert_eq!(held.proposals[0].reading, Reading::Unknown { why }, "{held}");
    }
    program.signal(rustix::process::Signal::CONT);
    let decision = decide(&mut sampler).await;
    assert_eq!(decision.action, Action::ScaleDown, "{decision}: {:?}", board.health());
}

#[tokio::test]
async fn a_service_that_goes_away_is_an_empty_vector_and_not_an_old_number() {
    let service = Service::start(Registry::new());
    let prometheus = Prometheus::start(&[("api", service.address)]);
    let query = PrometheusQuery::new(&prometheus.server(), "count", "request_seconds_count");
    let signal = prometheus.wait_for(&query, |_| true).await;
    assert_eq!(&*signal.samples[0].instance, service.address.to_string());
    drop(service);
    let begun = Instant::now();
    let fault = loop {
        match query.read(SystemTime::now()).await {
            Err(fault) => break fault,
            Ok(signal) => assert!(begun.elapsed() < PATIENCE, "{signal:?}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(fault.kind(), FaultKind::Empty, "{fault}");
}

/// A series that nobody marks as gone (pushed, federated) is believed for five minutes; the form in
/// the documentation of `PrometheusQuery` finds it out.
#[tokio::test]
async fn what_must_be_fresh_can_be_asked_for_by_its_own_stamp() {
    let service = Service::start(Registry::new());
    let prometheus = Prometheus::start(&[("api", service.address)]);
    let count = "request_seconds_count";
    let within = |seconds: i32| {
        let expression = format!("{count} and timestamp({count}) > time() - {seconds}");
        PrometheusQuery::new(&prometheus.server(), "count", expression)
    };
    prometheus.wait_for(&within(60), |_| true).await;
    let fault = within(-60).read(SystemTime::now()).await.expect_err("from the future");
    assert_eq!(fault.kind(), FaultKind::Empty);
}

#[tokio::test]
async fn the_metrics_of_the_signals_are_scraped_and_asked_for() {
    let registry = Registry::new();
    let service = Service::start(registry.clone());
    let prometheus = Prometheus::start(&[("api", service.address)]);
    let mut sampler = Sampler::new();
    let server = prometheus.server();
    let query = |name, expression| PrometheusQuery::new(&server, name, expression);
    sampler.add(query("one", "vector(1)"), Sampler::DEADLINE).expect("a source");
    sampler.add(query("none", "no_such_metric"), Sampler::DEADLINE).expect("a source");
    registry.register(Box::new(sampler.board())).expect("one of it");
    sampler.sample(SystemTime::now()).await;

    let reads = query("reads", "birl_scaler_signal_reads_total").instance_label("outcome");
    let signal = prometheus.wait_for(&reads, |_| true).await;
    let mut outcomes: Vec<_> = signal.samples.iter().map(|s| (&*s.instance, s.value)).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, [("empty", Some(Milli(1000))), ("ok", Some(Milli(1000)))]);
    let age = query("age", "birl_scaler_signal_age_seconds{signal=\"one\"}");
    let age = only(&prometheus.wait_for(&age, |_| true).await);
    assert!(age < PATIENCE.as_secs_f64(), "{age}");
}
