//! Spans that the OpenTelemetry SDK makes and exports, by each of its ways.

use std::time::{Duration, SystemTime};

use birl_scaler::otlp::{
    Limits, Measure, Receiver, RetryWindow, SpanDrop, SpanFilter, SpanIntake, Watch,
};
use birl_scaler::{
    Decider, FaultKind, MetricSpec, Observation, Reason, Replicas, Sample, ScalerSpec, Signal,
    SignalSource,
};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, SpanBuilder, SpanKind, Status, Tracer, TracerProvider};
use opentelemetry_otlp::{
    Compression, Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, TracerProviderBuilder,
};

async fn listen(limits: Limits) -> (Receiver, Watch) {
    let mut intake = SpanIntake::new(limits);
    let filter = SpanFilter::any().service("checkout").peer("payments");
    let watch = intake.watch(RetryWindow::new(filter));
    (Receiver::bind(([127, 0, 0, 1], 0).into(), intake).await.unwrap(), watch)
}

fn checkout() -> TracerProviderBuilder {
    let resource = Resource::builder_empty().with_service_name("checkout").build();
    SdkTracerProvider::builder().with_resource(resource)
}

/// Sixty charges of which every third fails twice before it goes through: a hundred calls, forty
/// of which are retries, and forty failures. Each is within a span of the server that makes it.
fn charge(provider: &SdkTracerProvider) {
    let tracer = provider.tracer("shop");
    for charge in 0..60 {
        let mut server =
            tracer.build(SpanBuilder::from_name("checkout").with_kind(SpanKind::Server));
        let tries = if charge % 3 == 0 { 3 } else { 1 };
        for again in 0..tries {
            let end = SystemTime::now();
            let client = SpanBuilder::from_name("POST")
                .with_kind(SpanKind::Client)
                .with_start_time(end - Duration::from_millis(if again == 2 { 500 } else { 20 }))
                .with_attributes([
                    KeyValue::new("http.request.method", "POST"),
                    KeyValue::new("server.address", "10.0.0.7"),
                    KeyValue::new("peer.service", "payments"),
                    KeyValue::new("url.full", "http://10.0.0.7/charge?order=4711"),
                ]);
            let mut client = tracer.build(client);
            if again > 0 {
                client.set_attribute(KeyValue::new("http.request.resend_count", again));
            }
            if again + 1 < tries {
                client.set_status(Status::error("503"));
            }
            client.end_with_timestamp(end);
        }
        server.end();
    }
}

/// Exports what is there. The SDK waits for it in the thread that asks.
async fn flush(provider: &SdkTracerProvider) {
    let provider = provider.clone();
    tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap().unwrap();
}

async fn value(receiver: &Receiver, watch: Watch, measure: Measure) -> f64 {
    let source = receiver.source("any", watch, measure);
    let signal = source.read(SystemTime::now()).await.unwrap();
    assert!(signal.at <= SystemTime::now() && signal.fault.is_none());
    signal.samples[0].value.unwrap().as_f64()
}

async fn forty_percent(receiver: &Receiver, watch: Watch, sent: u64) {
    let counts = receiver.counts();
    assert_eq!((counts.spans, counts.counted), (160 * sent, 100 * sent));
    assert!(SpanDrop::ALL.iter().all(|reason| counts.dropped(*reason) == 0), "{counts:?}");
    assert_eq!(value(receiver, watch, Measure::RetryRatio).await, 40.0);
    assert_eq!(value(receiver, watch, Measure::ErrorRatio).await, 40.0);
    assert_eq!(value(receiver, watch, Measure::P99).await, 500.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_exports_by_grpc_and_the_retry_ratio_is_right() {
    let (receiver, watch) = listen(Limits::default()).await;
    let endpoint = format!("http://{}", receiver.local_addr());
    for (sent, packed) in [(1, false), (2, true)] {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(&endpoint);
        let exporter = if packed { exporter.with_compression(Compression::Gzip) } else { exporter };
        let provider = checkout().with_batch_exporter(exporter.build().unwrap()).build();
        charge(&provider);
        flush(&provider).await;
        forty_percent(&receiver, watch, sent).await;
        let shut = tokio::task::spawn_blocking(move || provider.shutdown());
        shut.await.unwrap().unwrap();
    }
    assert_eq!(receiver.counts().requests, 2);
    receiver.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_exports_by_http_and_the_retry_ratio_is_right() {
    let (receiver, watch) = listen(Limits::default()).await;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("http://{}/v1/traces", receiver.local_addr()))
        .build()
        .unwrap();
    // Its client needs a runtime where it exports, so each span goes by itself.
    let provider = checkout().with_simple_exporter(exporter).build();
    let charged = provider.clone();
    tokio::task::spawn_blocking(move || charge(&charged)).await.unwrap();
    forty_percent(&receiver, watch, 1).await;
    assert_eq!(receiver.counts().requests, 160);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_waits_when_told_to_and_loses_nothing() {
    let mut limits = Limits::default();
    limits.max_spans_per_second = 40; // 200 at once
    let (receiver, watch) = listen(limits).await;
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(format!("http://{}", receiver.local_addr()))
        .with_timeout(Duration::from_secs(30))
        .with_retry_policy(RetryPolicy::recommended().with_max_retries(10));
    let batches = BatchConfigBuilder::default().with_max_export_batch_size(80).build();
    let processor = BatchSpanProcessor::builder(exporter.build().unwrap());
    let processor = processor.with_batch_config(batches).build();
    let provider = checkout().with_span_processor(processor).build();
    // Four batches of 80: one is too many, until two seconds later.
    charge(&provider);
    charge(&provider);
    flush(&provider).await;
    let counts = receiver.counts();
    assert_eq!((counts.spans, counts.counted), (320, 200), "{counts:?}");
    assert!(counts.dropped(SpanDrop::Rate) >= 1, "{counts:?}");

    // It cannot be known here that they came again, so a rate is Unknown for a while, and what is
    // Unknown does not scale down.
    let source = receiver.source("calls", watch, Measure::CallsPerSecond);
    let now = SystemTime::now();
    let fault = source.read(now).await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::TooLarge, "{fault}");
    let mut spec = ScalerSpec::new("payments", 1, 10);
    spec.cool_down.scale_down = Duration::ZERO;
    spec.metrics =
        vec![MetricSpec::utilization("cpu", 60), MetricSpec::average("calls", 100_u32.into())];
    let seen = Observation::new(Replicas::ready(4))
        .signal(Signal::new("cpu", vec![Sample::new("", 1.0)], now))
        .signal(Signal::failed("calls", fault.kind(), now));
    let decision = Decider::new(spec).unwrap().decide(&seen, now);
    assert_eq!((decision.to, decision.reason), (4, Reason::UnknownSignal));
}
