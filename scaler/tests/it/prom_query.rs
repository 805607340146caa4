//! Signals from a Prometheus server, and from servers that only say that they are one.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use birl_scaler::{
    Action, Agenda, Decision, ErrorKind, Fault, FaultKind, Guard, MetricSpec, Milli, Observation,
    PrometheusQuery, PrometheusServer, Replicas, Sampler, ScalerSpec, Signal, SignalSource, Tick,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep};

use crate::support::{at, cpu, decider, prompt, seconds};

/// What a server does once it has read a request.
#[derive(Debug, Clone)]
enum Does {
    Answer(u16, String),
    /// Says that it answers, and says no more.
    Stall,
    /// Never says anything.
    Silence,
    CloseAtOnce,
    CloseMidBody,
    /// Sends as long as somebody reads.
    Endless,
    /// A byte each tenth of a second.
    Drip,
}

/// A server on the loopback interface; dropping it stops it.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    sent: AtomicUsize,
    requests: Mutex<Vec<String>>,
    still: Mutex<Option<mpsc::Sender<()>>>,
}

impl Server {
    async fn start(does: Does) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap(), does)
    }

    fn at(listener: TcpListener, does: Does) -> Self {
        let (address, seen) = (listener.local_addr().unwrap(), Arc::<Seen>::default());
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, does.clone(), Arc::clone(&shared)));
            }
        });
        Self { address, seen, task }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn query(&self) -> PrometheusQuery {
        PrometheusQuery::new(&PrometheusServer::new(&self.url()).unwrap(), "load", "load")
    }

    /// What comes of `reading` from it. The paused clock would jump to a deadline while the kernel
    /// carries bytes; here it stands still until the server waits on purpose, or all is read.
    async fn still<T>(&self, reading: impl Future<Output = T>) -> T {
        let (end, ended) = mpsc::channel::<()>();
        *self.seen.still.lock().unwrap() = Some(end);
        // A clock does not jump while a blocking task runs.
        let hold = spawn_blocking(move || ended.recv_timeout(seconds(30)));
        let read = reading.await;
        self.seen.still.lock().unwrap().take();
        assert_eq!(hold.await.unwrap(), Err(RecvTimeoutError::Disconnected), "it took too long");
        read
    }

    fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, does: Does, seen: Arc<Seen>) {
    if matches!(does, Does::CloseAtOnce) {
        return;
    }
    while let Some(request) = request(&mut stream).await {
        seen.requests.lock().unwrap().push(request);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
        match &does {
            Does::Answer(status, body) => {
                let (length, body) = (body.len(), body.as_bytes());
                let head = format!("HTTP/1.1 {status} So\r\ncontent-length: {length}\r\n\r\n");
                let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
            }
            Does::Stall | Does::Silence | Does::CloseMidBody | Does::Drip => {
                if !matches!(does, Does::Silence) {
                    let whole = vector(&[("a", "1")]);
                    let head = format!("{head}content-length: {}\r\n\r\n", whole.len());
                    let (start, rest) = whole.split_at(20);
                    let _ = stream.write_all(format!("{head}{start}").as_bytes()).await;
                    if matches!(does, Does::Drip) {
                        seen.still.lock().unwrap().take();
                        for byte in rest.bytes() {
                            sleep(Duration::from_millis(100)).await;
                            let _ = stream.write_all(&[byte]).await;
                        }
                    }
                }
                if matches!(does, Does::CloseMidBody) {
                    return;
                }
                seen.still.lock().unwrap().take();
                std::future::pending::<()>().await;
            }
            Does::Endless => {
                let head = format!("{head}transfer-encoding: chunked\r\n\r\n");
                let mut chunk = head.into_bytes();
                let body = vec![b' '; 1 << 14];
                loop {
                    if stream.write_all(&chunk).await.is_err() {
                        return;
                    }
                    seen.sent.fetch_add(chunk.len(), Ordering::Relaxed);
                    chunk = [b"4000\r\n", &*body, b"\r\n"].concat();
                }
            }
            Does::CloseAtOnce => {}
        }
    }
}

/// One request, head and body; `None` if there is no more.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let read = stream.read(&mut part).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return Some(text.into_owned());
        }
    }
}

/// The answer with these values, measured at `at(100)`.
fn vector(values: &[(&str, &str)]) -> String {
    let series = values.iter().map(|(pod, value)| series(json!({ "pod": pod }), value));
    data("vector", &series.collect())
}

fn series(labels: Value, value: &str) -> Value {
    json!({ "metric": labels, "value": [stamp(100), value] })
}

fn stamp(second: u64) -> f64 {
    at(second).duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn data(kind: &str, result: &Value) -> String {
    json!({ "status": "success", "data": { "resultType": kind, "result": result } }).to_string()
}

async fn read(does: Does) -> Result<Signal, Fault> {
    let server = Server::start(does).await;
    server.still(server.query().read(at(100))).await
}

async fn answered(body: String) -> Result<Signal, Fault> {
    read(Does::Answer(200, body)).await
}

async fn fault(does: Does) -> Fault {
    let told = format!("{does:?}");
    read(does).await.err().unwrap_or_else(|| panic!("no fault: {told}"))
}

fn values(signal: &Signal) -> Vec<(&str, Option<u64>)> {
    signal.samples.iter().map(|s| (&*s.instance, s.value.map(|milli| milli.0))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_vector_is_a_sample_a_series_at_the_time_that_the_server_says() {
    let signal = answered(vector(&[("a", "1.5"), ("b", "0")])).await.unwrap();
    assert_eq!(values(&signal), [("a", Some(1500)), ("b", Some(0))]);
    assert_eq!((signal.at, signal.fault, &*signal.name), (at(100), None, "load"));

    let scalar = answered(data("scalar", &json!([stamp(90), "0.25"]))).await.unwrap();
    assert_eq!((values(&scalar), scalar.at), (vec![("", Some(250))], at(90)));

    let mut later = series(json!({ "instance": "h:1" }), "3");
    later["value"][0] = json!(stamp(140));
    let both =
        data("vector", &json!([later, series(json!({ "pod": "b", "instance": "h:2" }), "4")]));
    let signal = answered(both).await.unwrap();
    assert_eq!(values(&signal), [("h:1", Some(3000)), ("b", Some(4000))]);
    assert_eq!(signal.at, at(100), "the oldest");
}

#[tokio::test(start_paused = true)]
async fn the_expression_is_posted_as_a_form_with_the_time_limit_to_the_path_below_the_base() {
    let server = Server::start(Does::Answer(200, vector(&[("a", "1")]))).await;
    let expression = "sum by (pod) (rate(x{a=\"ü&=+%\"}[5m]))";
    for base in ["", "/", "/team/prom", "/team/prom/", "/team/prom/api/v1/query"] {
        let api = PrometheusServer::new(&format!("{}{base}", server.url())).unwrap();
        let query = PrometheusQuery::new(&api, "load", expression).timeout(seconds(2));
        server.still(query.read(at(100))).await.unwrap();
    }
    let requests = server.requests();
    for (request, path) in requests.iter().zip(["", "", "/team/prom", "/team/prom", "/team/prom"]) {
        assert!(
            request.starts_with(&format!("POST {path}/api/v1/query HTTP/1.1\r\n")),
            "{request}"
        );
        assert!(request.contains("content-type: application/x-www-form-urlencoded\r\n"));
        let form = "query=sum+by+%28pod%29+%28rate%28x%7Ba%3D%22%C3%BC%26%3D%2B%25%22%7D%5B5m%5D\
                    %29%29&timeout=2000ms";
        assert_eq!(request.split("\r\n\r\n").nth(1), Some(form));
    }
    assert_eq!(requests.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn connections_are_used_again() {
    let server = Server::start(Does::Answer(200, vector(&[("a", "1")]))).await;
    let query = server.query();
    for _ in 0..10 {
        server.still(query.read(at(100))).await.unwrap();
    }
    assert_eq!(server.seen.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn nan_infinite_and_negative_are_unknown_samples_and_no_number_at_all_is_a_fault() {
    let mixed = vector(&[("a", "NaN"), ("b", "+Inf"), ("c", "-Inf"), ("d", "-3"), ("e", "7")]);
    let signal = answered(mixed).await.unwrap();
    let unknown = ["a", "b", "c", "d"].map(|pod| (pod, None));
    assert_eq!(values(&signal), [&unknown[..], &[("e", Some(7000))]].concat());
    for value in ["NaN", "+Inf", "-Inf", "-0.5"] {
        let fault = fault(Does::Answer(200, vector(&[("a", value)]))).await;
        assert_eq!(fault.kind(), FaultKind::NotANumber, "{value}: {fault}");
        let scalar = data("scalar", &json!([stamp(90), value]));
        assert_eq!(answered(scalar).await.unwrap_err().kind(), FaultKind::NotANumber);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_answer_is_a_fault_of_its_kind_with_the_place_and_the_remedy() {
    let refused = json!({
        "status": "error", "errorType": "bad_data", "error": "unknown\nfunction".repeat(40),
    });
    let two =
        json!([series(json!({ "pod": "a", "c": "1" }), "1"), series(json!({ "pod": "a" }), "2")]);
    let nameless =
        json!([series(json!({ "zone": "1" }), "1"), series(json!({ "zone": "2" }), "2")]);
    let mut native = series(json!({ "pod": "a" }), "1");
    let native_point = native.as_object_mut().unwrap().remove("value").unwrap();
    native["histogram"] = json!([native_point[0], { "count": "3", "sum": "4" }]);
    let bad_stamp = json!([{ "metric": {}, "value": [-1.0, "1"] }]);
    let nested = data("vector", &json!("?")).replace("\"?\"", &"[".repeat(10_000));
    let not_a_number = json!([{ "metric": {}, "value": [1.0, "many"] }]);
    for (status, body, kind, says) in [
        (200, data("vector", &json!([])), FaultKind::Empty, "is it scraped?"),
        (200, data("matrix", &json!([])), FaultKind::Malformed, "take away its [range]"),
        (200, data("string", &json!([1.0, "x"])), FaultKind::Malformed, "ask for a number"),
        (200, data("tensor", &json!([])), FaultKind::Malformed, "`tensor`"),
        (200, data("vector", &two), FaultKind::Malformed, "sum by (pod)"),
        (200, data("vector", &nameless), FaultKind::Malformed, "`instance_label`"),
        (200, data("vector", &json!([native])), FaultKind::Malformed, "histogram_quantile"),
        (200, data("vector", &bad_stamp), FaultKind::Malformed, "no time since 1970"),
        (200, data("vector", &not_a_number), FaultKind::Malformed, "`many` is not a number"),
        (200, refused.to_string(), FaultKind::Refused, "bad_data: unknown function"),
        (400, refused.to_string(), FaultKind::Refused, "400 Bad Request: bad_data: unknown"),
        (503, "<h1>away</h1>".into(), FaultKind::Refused, "503 Service Unavailable: <h1>away</h1>"),
        (500, String::new(), FaultKind::Refused, "500 Internal Server Error"),
        (401, String::new(), FaultKind::Refused, "give the server's `bearer_token_file`"),
        (404, String::new(), FaultKind::Refused, "the path before `/api/v1/query`"),
        (302, String::new(), FaultKind::Refused, "redirects are not followed"),
        (200, String::new(), FaultKind::Malformed, "not an answer of Prometheus' API"),
        (200, "<html>".into(), FaultKind::Malformed, "not an answer of Prometheus' API"),
        (200, "[".repeat(10_000), FaultKind::Malformed, "not an answer of Prometheus' API"),
        (200, nested, FaultKind::Malformed, "not an answer of Prometheus' API"),
        (200, "{}".into(), FaultKind::Malformed, "missing field `status`"),
        (200, json!({ "status": "success" }).to_string(), FaultKind::Malformed, "no result"),
        (200, "\u{0}\u{fffd}".into(), FaultKind::Malformed, "not an answer"),
    ] {
        let fault = fault(Does::Answer(status, body.clone())).await;
        assert_eq!(fault.kind(), kind, "{body}: {fault}");
        assert!(fault.detail().contains(says), "{says}: {fault}");
        assert!(fault.detail().starts_with("http://127.0.0.1:"), "{fault}");
        assert!(fault.detail().len() < 500 && !fault.detail().contains('\n'), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn hostile_servers_are_given_up_on_in_time() {
    for (does, kind, says) in [
        (Does::Silence, FaultKind::Timeout, "no answer within 2s500ms"),
        (Does::Stall, FaultKind::Timeout, "no answer within 2s500ms"),
        (Does::Drip, FaultKind::Timeout, "no answer within 2s500ms"),
        (Does::CloseAtOnce, FaultKind::Unreachable, "no answer: "),
        (Does::CloseMidBody, FaultKind::Unreachable, "the answer broke off"),
        (Does::Endless, FaultKind::TooLarge, "longer than 1048576 bytes"),
    ] {
        let begun = Instant::now();
        let fault = fault(does.clone()).await;
        assert_eq!(fault.kind(), kind, "{does:?}: {fault}");
        assert!(fault.detail().contains(says), "{does:?}: {fault}");
        assert!(begun.elapsed() <= Duration::from_millis(2510), "{does:?}: {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_endless_answer_is_not_read_to_its_end() {
    let server = Server::start(Does::Endless).await;
    let read = server.still(server.query().read(at(100))).await;
    assert_eq!(read.unwrap_err().kind(), FaultKind::TooLarge);
    sleep(Duration::from_millis(10)).await;
    // What is beyond the bound was on its way, in the buffers of two sockets.
    let sent = server.seen.sent.load(Ordering::Relaxed);
    assert!(sent < 16 << 20, "{sent} bytes");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_series_are_read_and_more_than_fits_is_refused() {
    let pods: Vec<String> = (0..10_000).map(|pod| format!("api-{pod}")).collect();
    let values: Vec<(&str, &str)> = pods.iter().map(|pod| (&**pod, "60")).collect();
    let signal = answered(vector(&values)).await.unwrap();
    assert_eq!(signal.samples.len(), 10_000);
    let seen = Observation::new(Replicas::ready(10_000)).signal(signal);
    let mut spec = prompt();
    (spec.max_replicas, spec.metrics) = (20_000, vec![MetricSpec::utilization("load", 60)]);
    assert_eq!(decider(spec).decide(&seen, at(100)).action, Action::Hold);

    let server = Server::start(Does::Answer(200, vector(&values))).await;
    let small = server.query().max_body(100_000);
    let fault = server.still(small.read(at(100))).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::TooLarge);
    assert!(fault.detail().contains("aggregate, or raise `max_body`"), "{fault}");
}

/// One decision for five replicas on what such a server says, at `at(100)`.
async fn decide(does: Does) -> Decision {
    let mut spec = prompt();
    spec.metrics = vec![MetricSpec::average("load", Milli(10_000))];
    decide_by(spec, Observation::new(Replicas::ready(5)), does).await
}

/// The same for idle replicas, where what the server says is only a guard.
async fn decide_guarded(does: Does) -> Decision {
    let mut spec = prompt();
    spec.guards = vec![Guard::above("load", Milli(10_000))];
    decide_by(spec, cpu(5, 10.0, at(100)), does).await
}

async fn decide_by(spec: ScalerSpec, seen: Observation, does: Does) -> Decision {
    let server = Server::start(does).await;
    let mut sampler = Sampler::new();
    sampler.add(server.query(), Sampler::DEADLINE).unwrap();
    let signals = server.still(sampler.sample(at(100))).await;
    decider(spec).decide(&seen.signals(signals), at(100))
}

#[tokio::test(start_paused = true)]
async fn no_lie_and_no_silence_scales_down() {
    let truth = || Does::Answer(200, vector(&[("a", "1"), ("b", "1")]));
    for idle in [decide(truth()).await, decide_guarded(truth()).await] {
        assert_eq!(idle.action, Action::ScaleDown, "the same server, if it tells the truth");
    }
    let stamped = |second| {
        let mut series = series(json!({ "pod": "a" }), "0");
        series["value"][0] = json!(stamp(second));
        data("vector", &json!([series]))
    };
    for does in [
        Does::Silence,
        Does::Stall,
        Does::Drip,
        Does::Endless,
        Does::CloseAtOnce,
        Does::CloseMidBody,
        Does::Answer(503, vector(&[("a", "0")])),
        Does::Answer(200, vector(&[])),
        Does::Answer(200, vector(&[("a", "NaN")])),
        Does::Answer(200, vector(&[("a", "-1")])),
        Does::Answer(200, stamped(39)),
        Does::Answer(200, stamped(161)),
        Does::Answer(
            200,
            json!({ "status": "error", "data": { "resultType": "vector",
            "result": [series(json!({}), "0")] } })
            .to_string(),
        ),
    ] {
        let told = format!("{does:?}");
        let guarded = decide_guarded(does.clone()).await;
        for decision in [decide(does).await, guarded] {
            assert_eq!(decision.action, Action::Hold, "{told}: {decision}");
        }
    }
    let half = decide_guarded(Does::Answer(200, vector(&[("a", "1"), ("b", "NaN")]))).await;
    assert_eq!(half.action, Action::Hold, "a guard that knows of one of two: {half}");
}

/// A server that answers at once, whatever the clock does for others.
#[derive(Debug)]
struct Well {
    server: Server,
    query: PrometheusQuery,
}

#[async_trait]
impl SignalSource for Well {
    fn name(&self) -> &str {
        self.query.name()
    }

    async fn read(&self, now: SystemTime) -> Result<Signal, Fault> {
        self.server.still(self.query.read(now)).await
    }
}

#[tokio::test(start_paused = true)]
async fn ticks_stay_on_time_beside_servers_that_stall_drip_and_flood() {
    let servers = [Does::Silence, Does::Stall, Does::Drip, Does::Endless, Does::CloseMidBody];
    let (mut sampler, mut held) = (Sampler::new(), vec![]);
    for (n, does) in servers.into_iter().enumerate() {
        let server = Server::start(does).await;
        let api = PrometheusServer::new(&server.url()).unwrap();
        let query = PrometheusQuery::new(&api, format!("hostile-{n}"), "load");
        sampler.add(query, Sampler::DEADLINE).unwrap();
        held.push(server);
    }
    let well = Server::start(Does::Answer(200, vector(&[("a", "1")]))).await;
    sampler.add(Well { query: well.query(), server: well }, Sampler::DEADLINE).unwrap();
    let begun = Instant::now();
    let tick = Tick::new(Tick::PERIOD, at(0)).unwrap();
    let mut agenda = Agenda::with_clock(tick, sampler, move || at(0) + begun.elapsed());
    for n in 1..=10 {
        let occasion = agenda.next().await;
        assert_eq!(occasion.turn.map(|turn| (turn.at, turn.missed)), Some((at(15 * n), 0)));
        let late = occasion.now.duration_since(at(15 * n)).unwrap();
        assert!(late < seconds(3), "{late:?}");
        let faults: Vec<_> = occasion.signals.iter().map(|signal| signal.fault.is_some()).collect();
        assert_eq!(faults, [true, true, true, true, true, false]);
    }
}

/// KEDA 7856: a reconnect loop without a pause.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_for_a_minute_is_dialled_ten_times_at_most() {
    // It lets in and hangs up, so that dials can be counted where they arrive.
    let server = Server::start(Does::CloseAtOnce).await;
    let api = PrometheusServer::new(&server.url()).unwrap();
    let query = PrometheusQuery::new(&api, "load", "load");
    let begun = Instant::now();
    let mut told = String::new();
    while begun.elapsed() < seconds(60) {
        let fault = server.still(query.read(at(100))).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Unreachable, "{fault}");
        told = fault.detail().to_owned();
        sleep(Duration::from_millis(200)).await;
    }
    let dials = server.seen.connections.load(Ordering::Relaxed);
    assert!((5..=10).contains(&dials), "{dials}");
    assert!(told.contains("not dialled") && told.contains("tried again in"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_back_is_found_within_a_tick() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let api = PrometheusServer::new(&format!("http://{address}")).unwrap();
    let mut sampler = Sampler::new();
    sampler.add(PrometheusQuery::new(&api, "load", "load"), Sampler::DEADLINE).unwrap();
    for n in 0..8 {
        let signals = sampler.sample(at(n * 15)).await;
        assert_eq!(signals[0].fault, Some(FaultKind::Unreachable));
        sleep(Tick::PERIOD).await;
    }
    let fault = sampler.board().health()[0].last_fault.clone().unwrap();
    assert!(fault.detail().contains("refused"), "each tick dials: {fault}");
    let listener = TcpListener::bind(address).await.unwrap();
    let server = Server::at(listener, Does::Answer(200, vector(&[("a", "1")])));
    let signals = server.still(sampler.sample(at(120))).await;
    assert_eq!(signals[0].fault, None, "{:?}", sampler.board().health());
}

#[tokio::test(start_paused = true)]
async fn warnings_are_kept_and_can_be_refused() {
    let mut answer: Value = serde_json::from_str(&vector(&[("a", "1")])).unwrap();
    answer["warnings"] = json!(vec!["store\n1 is away".to_owned() + &"!".repeat(1000); 20]);
    let server = Server::start(Does::Answer(200, answer.to_string())).await;
    let query = server.query();
    assert_eq!(query.warnings(), [""; 0]);
    server.still(query.read(at(100))).await.unwrap();
    let warnings = query.warnings();
    assert_eq!(warnings.len(), 8);
    assert!(warnings[0].starts_with("store 1 is away!") && warnings[0].len() == 200);
    let strict = server.query().refuse_warnings();
    let fault = server.still(strict.read(at(100))).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Refused);
    assert!(fault.detail().contains("a part of the whole: store 1 is away"), "{fault}");

    // As VictoriaMetrics warns; and what is null is not there.
    for (partial, refused) in [(json!(true), true), (json!(false), false), (json!(null), false)] {
        let mut answer: Value = serde_json::from_str(&vector(&[("a", "1")])).unwrap();
        (answer["isPartial"], answer["warnings"]) = (partial, json!(null));
        let strict = server.query().refuse_warnings();
        assert_eq!(strict.signal_of(answer.to_string().as_bytes()).is_err(), refused);
    }
}

/// One query of a server that is too slow must not keep the others from it once it is back.
#[tokio::test(start_paused = true)]
async fn a_slow_query_does_not_keep_the_gate_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let api = PrometheusServer::new(&format!("http://{address}")).unwrap();
    let slow = PrometheusQuery::new(&api, "slow", "slow");
    assert_eq!(slow.read(at(100)).await.unwrap_err().kind(), FaultKind::Unreachable);
    let server = Server::at(TcpListener::bind(address).await.unwrap(), Does::Silence);
    sleep(seconds(15)).await;
    for _ in 0..2 {
        // It was let in, though not answered: that is a server.
        let fault = server.still(slow.read(at(100))).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Timeout);
    }
    assert_eq!(server.seen.connections.load(Ordering::Relaxed), 2);
}

proptest! {
    /// An answer with a part of it lost, doubled or overwritten.
    #[test]
    fn any_answer_is_judged_and_never_believed_without_a_number(
        values in prop::collection::vec(("[ab]{0,2}", "-?[0-9]{1,3}|NaN|[+-]Inf|x"), 0..4),
        kind in "vector|scalar|matrix|string|",
        cut in any::<prop::sample::Index>(),
        with in "\\PC{0,3}|\"|[\\[\\]{}]|null|1e999",
        drop in 0usize..8,
    ) {
        let series = values.iter().map(|(pod, value)| series(json!({ "pod": pod }), value));
        let whole = data(&kind, &series.collect());
        let mut bytes = whole.into_bytes();
        let from = cut.index(bytes.len());
        if drop > 0 {
            bytes.splice(from..bytes.len().min(from + drop), with.bytes());
        }
        let server = PrometheusServer::new("http://127.0.0.1:9090").unwrap();
        match PrometheusQuery::new(&server, "load", "load").signal_of(&bytes) {
            Ok(signal) => prop_assert!(signal.samples.iter().any(|s| s.value.is_some())),
            Err(fault) => {
                prop_assert!(fault.detail().starts_with("http://127.0.0.1:9090: "));
                prop_assert!(fault.detail().chars().count() < 600, "{fault}");
                prop_assert!(!fault.detail().contains(char::is_control), "{fault:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn secrets_come_from_files_and_are_in_no_message() {
    let folder = tempfile::tempdir().unwrap();
    let (token, none) = (folder.path().join("token"), folder.path().join("none"));
    std::fs::write(&token, "s3cret\n").unwrap();
    let server = Server::start(Does::Answer(403, String::new())).await;
    let api = || PrometheusServer::new(&server.url()).unwrap();
    let mut told = String::new();
    for api in [api().bearer_token_file(&token), api().basic_auth("birl", &token)] {
        let query = PrometheusQuery::new(&api, "load", "load");
        let fault = server.still(query.read(at(100))).await.unwrap_err();
        told += &format!("{api:?}{query:?}{fault}");
    }
    assert!(!told.contains("s3cret") && !told.contains("YmlybDpzM2NyZXQ"), "{told}");
    // A token is renewed under a server that runs.
    std::fs::write(&token, "renewed").unwrap();
    let api_of_token = api().bearer_token_file(&token);
    let query = PrometheusQuery::new(&api_of_token, "load", "load");
    server.still(query.read(at(100))).await.unwrap_err();
    let requests = server.requests().join("");
    for header in ["Bearer s3cret", "Basic YmlybDpzM2NyZXQ=", "Bearer renewed"] {
        assert!(requests.contains(&format!("authorization: {header}\r\n")), "{header}: {requests}");
    }

    let missing = PrometheusQuery::new(&api().bearer_token_file(&none), "load", "load");
    let fault = missing.read(at(100)).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Unsupported);
    assert!(fault.detail().contains("none: No such file"), "{fault}");
}

#[test]
fn urls_that_cannot_be_asked_are_refused_with_a_remedy() {
    for (url, says) in [
        ("127.0.0.1:9090", "only http://"),
        ("http:///x", "this is not a URL"),
        ("https://prometheus.example", "https://"),
        ("ftp://prometheus.example", "only http://"),
        ("http://user:s3cret@prometheus.example", "use `basic_auth`"),
        ("http://prometheus.example/?query=up", "give the expression to a query"),
        ("", "this is not a URL"),
    ] {
        let error = PrometheusServer::new(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(says), "{url}: {error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[test]
fn a_latency_quantile_is_the_expression_that_one_would_write() {
    let of = |histogram: &str, selector: &str, quantile, window| {
        PrometheusQuery::latency_quantile(quantile, histogram, selector, window)
    };
    let expression = of("http_seconds", r#"job="api",code!~"5..""#, 0.99, seconds(300)).unwrap();
    assert_eq!(
        expression,
        "histogram_quantile(0.99, sum by (le) \
         (rate(http_seconds_bucket{job=\"api\",code!~\"5..\"}[5m])))"
    );
    let bare = "histogram_quantile(0.5, sum by (le) (rate(a:b_bucket[1m30s])))";
    for (histogram, selector) in [("a:b", ""), ("a:b_bucket", "{}"), ("a:b", " { } ")] {
        assert_eq!(of(histogram, selector, 0.5, seconds(90)).unwrap(), bare);
    }
    let braces = of("a", r#"{path="/x/{id}"}"#, 0.5, seconds(60)).unwrap();
    assert!(braces.contains(r#"a_bucket{path="/x/{id}"}[1m]"#), "{braces}");
    for bad in [
        of("a", "", 1.5, seconds(60)),
        of("a", "", f64::NAN, seconds(60)),
        of("a{}", "", 0.5, seconds(60)),
        of("", "", 0.5, seconds(60)),
        of("5xx", "", 0.5, seconds(60)),
        of("a", "", 0.5, Duration::from_millis(999)),
    ] {
        let error = bad.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("such as"), "{error}");
    }
}
