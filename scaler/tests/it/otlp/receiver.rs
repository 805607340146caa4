//! The socket: both protocols, what is said at the limits, and that nothing there is held up.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use birl_scaler::otlp::{
    Limits, Measure, Receiver, RetryWindow, SpanDrop, SpanFilter, SpanIntake, Watch,
};
use birl_scaler::{FaultKind, SignalSource};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;

use super::{attribute, call, encoded, request, retry, text};
use crate::support::seconds;

#[expect(clippy::disallowed_methods, reason = "a socket lives in real time")]
fn now() -> SystemTime {
    SystemTime::now()
}

async fn listen(limits: Limits) -> (Receiver, Watch) {
    let mut intake = SpanIntake::new(limits);
    let window = RetryWindow::new(SpanFilter::any().service("checkout").peer("payments"));
    let watch = intake.watch(window);
    (Receiver::bind(([127, 0, 0, 1], 0).into(), intake).await.unwrap(), watch)
}

async fn connect(address: SocketAddr) -> TraceServiceClient<Channel> {
    TraceServiceClient::connect(format!("http://{address}")).await.unwrap()
}

fn calls(ids: std::ops::Range<u64>) -> Vec<Span> {
    ids.map(|id| if id % 4 == 0 { retry(id, now()) } else { call(id, now()) }).collect()
}

/// Asks until it is so, for ten seconds at most.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come about");
}

/// Posts a body over HTTP/1.1; gives the status line, the headers, and the body.
async fn post(
    address: SocketAddr,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> (String, String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n");
    head += &format!("content-length: {}\r\n", body.len());
    headers.iter().for_each(|header| head += &format!("{header}\r\n"));
    stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
    // What is refused by its head may be closed before its body was sent.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
    let (status, headers) = head.split_once("\r\n").unwrap();
    (status.to_owned(), headers.to_owned(), answer[end + 4..].to_vec())
}

const PROTOBUF: &str = "content-type: application/x-protobuf";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, bytes).unwrap();
    packed.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_come_in_by_grpc_and_by_http_packed_or_not_on_one_port() {
    let (receiver, watch) = listen(Limits::default()).await;
    let address = receiver.local_addr();
    let source = receiver.source("retries", watch, Measure::RetryRatio).max_age(seconds(45));
    let fault = source.read(now()).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Empty);
    assert!(fault.detail().ends_with("no span has ever come"), "{fault}");

    let mut client = connect(address).await;
    client.export(request(calls(0..100))).await.unwrap();
    let mut packing = connect(address).await.send_compressed(CompressionEncoding::Gzip);
    packing.export(request(calls(100..200))).await.unwrap();
    let (status, headers, body) =
        post(address, "/v1/traces", &[PROTOBUF], &encoded(calls(200..300))).await;
    assert_eq!(status, "http/1.1 200 ok");
    assert!(headers.contains(PROTOBUF) && body.is_empty(), "{headers}");
    let packed = gzip(&encoded(calls(300..400)));
    let (status, ..) =
        post(address, "/v1/traces", &[PROTOBUF, "content-encoding: gzip"], &packed).await;
    assert_eq!(status, "http/1.1 200 ok");

    let counts = receiver.counts();
    assert_eq!((counts.requests, counts.spans), (4, 400));
    let signal = source.read(now()).await.unwrap();
    assert_eq!((&*signal.name, signal.max_age, signal.samples.len()), ("retries", seconds(45), 1));
    let ratio = signal.samples[0].value.unwrap().as_f64();
    assert!((24.0..=26.0).contains(&ratio), "{ratio}");
    assert!(now().duration_since(signal.at).unwrap() < seconds(30));

    receiver.stop(seconds(5)).await;
    assert_eq!(source.read(now()).await.unwrap_err().kind(), FaultKind::Unreachable);
    assert!(TcpStream::connect(address).await.is_err(), "the socket is closed");
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_protocols_own_words() {
    let mut limits = Limits::default();
    (limits.max_message_bytes, limits.max_spans) = (20_000, 50);
    let (receiver, watch) = listen(limits).await;
    let address = receiver.local_addr();
    let mut client = connect(address).await;

    // Too many spans: the first are taken, and the rest is said to be rejected.
    let advice = "too many spans in one request: export smaller batches";
    let partial =
        ExportTracePartialSuccess { rejected_spans: 10, error_message: advice.to_owned() };
    let partial = ExportTraceServiceResponse { partial_success: Some(partial) };
    let answer = client.export(request(calls(0..60))).await.unwrap();
    assert_eq!(answer.into_inner(), partial);
    let (status, _, body) =
        post(address, "/v1/traces", &[PROTOBUF], &encoded(calls(100..160))).await;
    assert_eq!(status, "http/1.1 200 ok");
    assert_eq!(ExportTraceServiceResponse::decode(&*body).unwrap(), partial);

    // Too large, as it is and unpacked: not to be sent again.
    let mut large = calls(0..1);
    large[0].attributes.push(attribute("big", text(&"x".repeat(1_000_000))));
    let mut packing = connect(address).await.send_compressed(CompressionEncoding::Gzip);
    for answer in
        [client.export(request(large.clone())).await, packing.export(request(large.clone())).await]
    {
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let told = "a request may have 20000 bytes: export smaller batches";
        assert_eq!(status.message(), told);
        assert!(!String::from_utf8_lossy(status.details()).contains("RetryInfo"));
    }
    let (status, ..) = post(address, "/v1/traces", &[PROTOBUF], &encoded(large)).await;
    assert_eq!(status, "http/1.1 413 payload too large");

    // What is no request of spans.
    for (headers, body, expected) in [
        (&[PROTOBUF][..], &b"garbage"[..], "400 bad request"),
        (&[PROTOBUF, "content-encoding: gzip"], b"garbage", "400 bad request"),
        (&[PROTOBUF, "content-encoding: br"], b"", "415 unsupported media type"),
        (&["content-type: application/json"], b"{}", "415 unsupported media type"),
        (&["content-type: application/grpc"], b"", "415 unsupported media type"),
    ] {
        let (status, ..) = post(address, "/v1/traces", headers, body).await;
        assert_eq!(status, format!("http/1.1 {expected}"), "{headers:?}");
    }
    let (status, _, body) = post(address, "/v1/metrics", &[PROTOBUF], b"").await;
    assert_eq!(status, "http/1.1 404 not found");
    assert!(String::from_utf8_lossy(&body).contains("spans are taken in at /v1/traces"));

    // The same, by gRPC; metrics that come to the same port are no lost spans.
    let lost = || receiver.stats(watch, now()).unwrap().lost;
    let missing = lost();
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await;
    let mut metrics = tonic::client::Grpc::new(channel.unwrap());
    metrics.ready().await.unwrap();
    let codec = tonic_codec::<ExportTraceServiceResponse, ExportTraceServiceResponse>();
    let path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    let message = tonic::Request::new(ExportTraceServiceResponse::default());
    let status = metrics.unary(message, path.parse().unwrap(), codec).await.unwrap_err();
    assert_eq!((status.code(), lost()), (Code::Unimplemented, missing));
    let codec = tonic_codec::<ExportTraceServiceResponse, ExportTraceServiceResponse>();
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    // Its message stands where a resource would, and is a number.
    let broken = ExportTracePartialSuccess { rejected_spans: 1, error_message: String::new() };
    let broken = ExportTraceServiceResponse { partial_success: Some(broken) };
    metrics.ready().await.unwrap();
    let answer = metrics.unary(tonic::Request::new(broken), path.parse().unwrap(), codec).await;
    assert_eq!(answer.unwrap_err().code(), Code::InvalidArgument);

    let counts = receiver.counts();
    let dropped = |reason| counts.dropped(reason);
    assert_eq!((dropped(SpanDrop::OverRequest), dropped(SpanDrop::TooLarge)), (20, 3));
    assert_eq!((dropped(SpanDrop::Malformed), dropped(SpanDrop::Unsupported)), (3, 5));
}

fn tonic_codec<T, U>() -> tonic_prost::ProstCodec<T, U> {
    tonic_prost::ProstCodec::default()
}

#[tokio::test]
async fn a_flood_is_told_to_come_again_and_the_tick_does_not_wait_for_it() {
    let mut limits = Limits::default();
    limits.max_spans_per_second = 100; // 500 at once
    let (receiver, watch) = listen(limits).await;
    let address = receiver.local_addr();
    let rate = receiver.source("calls", watch, Measure::CallsPerSecond);
    let retries = receiver.source("retries", watch, Measure::RetryRatio);

    let flood = async {
        let mut client = connect(address).await;
        let (mut taken, mut refused) = (0, 0);
        for batch in 0..100 {
            match client.export(request(calls(100 * batch..100 * batch + 100))).await {
                Ok(_) => taken += 1,
                Err(status) => {
                    assert_eq!(status.code(), Code::ResourceExhausted);
                    assert!(String::from_utf8_lossy(status.details()).contains("RetryInfo"));
                    refused += 1;
                }
            }
        }
        (taken, refused)
    };
    let ticks = async {
        let mut told = 0;
        for _ in 0..100 {
            // It gives way once, and is done: nothing that comes in is waited for.
            tokio::task::yield_now().await;
            let mut read = std::pin::pin!(rate.read(now()));
            let read =
                std::future::poll_fn(|context| std::task::Poll::Ready(read.as_mut().poll(context)));
            told += usize::from(read.await.is_ready());
        }
        told
    };
    let ((taken, refused), told) = tokio::join!(flood, ticks);
    assert_eq!(told, 100);
    assert!((5..20).contains(&taken), "{taken} taken, {refused} refused");
    assert_eq!(receiver.counts().dropped(SpanDrop::Rate), refused);
    for source in [rate, retries] {
        let fault = source.read(now()).await.unwrap_err();
        assert_eq!(fault.kind(), FaultKind::TooLarge, "{fault}");
    }
    let (status, headers, _) = post(address, "/v1/traces", &[PROTOBUF], b"").await;
    assert_eq!(status, "http/1.1 429 too many requests");
    assert!(headers.contains("retry-after: "), "{headers}");
}

#[tokio::test]
async fn bytes_in_flight_are_bounded_and_a_slow_sender_is_cut_off() {
    let mut limits = Limits::default();
    (limits.max_message_bytes, limits.max_in_flight_bytes) = (100_000, 150_000);
    limits.request_timeout = Duration::from_millis(700);
    let (receiver, _) = listen(limits).await;
    let address = receiver.local_addr();

    // It says that it will send 100,000 bytes, sends ten, and stops.
    let mut slow = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\n{PROTOBUF}\r\ncontent-length: 100000\r\n\r\n\
         0123456789"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut client = connect(address).await;
    let mut spans = calls(0..50);
    spans[0].attributes.push(attribute("big", text(&"x".repeat(60_000))));
    let mut full = None;
    for _ in 0..200 {
        match client.export(request(spans.clone())).await {
            Err(status) => {
                full = Some(status);
                break;
            }
            Ok(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    let full = full.unwrap();
    assert_eq!(
        (full.code(), full.message()),
        (Code::ResourceExhausted, "too many bytes are being received")
    );
    assert!(String::from_utf8_lossy(full.details()).contains("RetryInfo"));
    client.export(request(calls(50..60))).await.unwrap();

    let mut answer = String::new();
    let _ = slow.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    client.export(request(spans)).await.unwrap();
    let counts = receiver.counts();
    assert_eq!(counts.dropped(SpanDrop::Timeout), 1);
    assert!(counts.dropped(SpanDrop::InFlight) >= 1);

    // One that goes away in the middle gives its room back as well.
    let mut gone = TcpStream::connect(address).await.unwrap();
    gone.write_all(head.as_bytes()).await.unwrap();
    drop(gone);
    until("the end of it", || receiver.counts().dropped(SpanDrop::Aborted) == 1).await;
}

#[tokio::test]
async fn connections_are_bounded_and_idle_ones_end() {
    let mut limits = Limits::default();
    limits.max_connections = 3;
    limits.idle_timeout = Duration::from_millis(200);
    let (receiver, _) = listen(limits).await;
    let address = receiver.local_addr();
    // One that says nothing, one that speaks half a word, one that has been of use.
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"PRI * HT").await.unwrap();
    let mut client = connect(address).await;
    client.export(request(calls(0..10))).await.unwrap();
    let mut fourth = TcpStream::connect(address).await.unwrap();
    assert_eq!(fourth.read(&mut [0; 1]).await.unwrap_or(0), 0, "closed at once");
    assert!(receiver.counts().dropped(SpanDrop::Connections) >= 1);

    until("the end of idle ones", || receiver.counts().dropped(SpanDrop::Idle) >= 3).await;
    for stream in [&mut silent, &mut half] {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }
    // By a new connection: as soon as the client has seen the end of the old one.
    let mut answer = client.export(request(calls(10..20))).await;
    for _ in 0..100 {
        if answer.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        answer = client.export(request(calls(10..20))).await;
    }
    answer.unwrap();
    assert_eq!(receiver.counts().spans, 20);
}

#[tokio::test]
async fn what_has_begun_when_it_stops_is_answered() {
    let (receiver, _) = listen(Limits::default()).await;
    let address = receiver.local_addr();
    let body = encoded(calls(0..10));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: a\r\n{PROTOBUF}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..10]).await.unwrap();
    // Another one never ends, and does not keep it.
    let mut endless = TcpStream::connect(address).await.unwrap();
    endless.write_all(head.as_bytes()).await.unwrap();
    // A third has been answered: then the first two have been accepted.
    connect(address).await.export(request(calls(10..20))).await.unwrap();

    let rest = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stream.write_all(&body[10..]).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    let ((), answer) = tokio::join!(receiver.stop(seconds(2)), rest);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert_eq!(endless.read(&mut [0; 1]).await.unwrap_or(0), 0, "cut off");
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error_that_names_it() {
    let (receiver, _) = listen(Limits::default()).await;
    let address = receiver.local_addr();
    let error = Receiver::bind(address, SpanIntake::new(Limits::default())).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot listen for spans on {address}: ")));
}

#[tokio::test]
async fn limits_of_nothing_let_nothing_in_and_endless_ones_everything() {
    let mut nothing = Limits::default();
    (nothing.max_message_bytes, nothing.max_in_flight_bytes, nothing.max_spans) = (0, 0, 0);
    (nothing.request_timeout, nothing.idle_timeout) = (Duration::ZERO, Duration::ZERO);
    let (receiver, _) = listen(nothing).await;
    let address = receiver.local_addr();
    let refused = async { connect(address).await.export(request(calls(0..10))).await };
    // It may as well be cut off for idleness; what matters is that it ends.
    let refused = tokio::time::timeout(seconds(10), refused).await.unwrap();
    assert!(refused.is_err());
    assert_eq!(receiver.counts().spans, 0);

    let mut endless = Limits::default();
    (endless.max_message_bytes, endless.max_in_flight_bytes) = (usize::MAX, usize::MAX);
    (endless.max_spans, endless.max_spans_per_second) = (u64::MAX, u32::MAX);
    (endless.request_timeout, endless.idle_timeout) = (Duration::MAX, Duration::MAX);
    let (receiver, _) = listen(endless).await;
    let mut client = connect(receiver.local_addr()).await;
    client.export(request(calls(0..10))).await.unwrap();
    assert_eq!(receiver.counts().counted, 10);
}

#[cfg(feature = "prometheus")]
#[tokio::test]
async fn what_came_and_what_was_dropped_is_in_a_registry() {
    let mut limits = Limits::default();
    limits.max_spans = 10;
    let (receiver, _) = listen(limits).await;
    let registry = prometheus::Registry::new();
    registry.register(Box::new(receiver.metrics())).unwrap();
    connect(receiver.local_addr()).await.export(request(calls(1..13))).await.unwrap();
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    for line in [
        "birl_scaler_otlp_received_total{what=\"spans\"} 12",
        "birl_scaler_otlp_calls_total{window=\"counted\"} 10",
        "birl_scaler_otlp_dropped_total{reason=\"over_request\"} 2",
        "birl_scaler_otlp_dropped_total{reason=\"rate\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
