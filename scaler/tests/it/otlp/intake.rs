//! From the bytes of a request to what a decision sees of them.

use std::time::{Duration, SystemTime};

use birl_scaler::otlp::{
    Limits, Measure, RetryMarks, RetryWindow, SpanDrop, SpanFilter, SpanIntake, Watch,
};
use birl_scaler::{FaultKind, MetricSpec, Reason, Signal};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::Link;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use proptest::prelude::*;
use prost::Message;

use super::{attribute, call, encoded, failed, list, number, request, retry, text, value};
use crate::support::{at, cpu, decider, prompt, signal};

/// An intake that watches every call, and those to `payments`.
fn intake(limits: Limits) -> (SpanIntake, Watch, Watch) {
    let mut intake = SpanIntake::new(limits);
    let all = intake.watch(RetryWindow::new(SpanFilter::any()).min_calls(1));
    let filter = SpanFilter::any().service("checkout").peer("payments").route("POST /charge");
    let payments = intake.watch(RetryWindow::new(filter));
    (intake, all, payments)
}

#[test]
fn an_export_is_read_and_its_retries_are_told() {
    let (mut intake, all, payments) = intake(Limits::default());
    let mut spans: Vec<Span> = (1..=30).map(|id| call(id, at(id))).collect();
    spans.extend((31..=40).map(|id| failed(retry(id, at(30)))));
    // A server's side of the same calls, and what went to another peer.
    spans.extend((41..=60).map(|id| Span { kind: 2, ..retry(id, at(30)) }));
    let mut stock = call(61, at(30));
    stock.attributes = vec![attribute("net.peer.name", text("stock"))];
    spans.push(stock);
    let receipt = intake.take(&encoded(spans), at(31)).unwrap();
    assert_eq!((receipt.rejected, receipt.why), (0, None));

    assert_eq!(intake.read(payments, Measure::RetryRatio, at(31)), Ok((25.0, at(30))));
    assert_eq!(intake.read(payments, Measure::ErrorRatio, at(31)), Ok((25.0, at(30))));
    let (p99, _) = intake.read(payments, Measure::P99, at(31)).unwrap();
    assert_eq!(p99, 100.0, "ms");
    let counts = intake.counts();
    assert_eq!((counts.requests, counts.spans, counts.counted), (1, 61, 41));
    assert_eq!(intake.stats(all, at(31)).unwrap().calls, 41);
}

#[test]
fn what_marks_a_retry() {
    let double = |number| value(Value::DoubleValue(number));
    let flag = |flag| value(Value::BoolValue(flag));
    let previous = "rpc.request.metadata.grpc-previous-rpc-attempts";
    let known = RetryMarks::default;
    let cases = [
        (known(), "http.request.resend_count", number(1), true),
        (known(), "http.request.resend_count", number(0), false),
        (known(), "http.request.resend_count", number(-1), false),
        (known(), "http.resend_count", number(3), true),
        (known(), "http.retry_count", number(3), true),
        (known(), "gcp.grpc.resend_count", number(1), true),
        (known(), "previous-rpc-attempts", text("2"), true),
        (known(), "previous-rpc-attempts", text("0"), false),
        (known(), "retry", flag(true), false),
        (known().attribute("retry"), "retry", flag(true), true),
        (known().attribute("retry"), "retry", flag(false), false),
        (known().attribute("retry"), "retry", text("True"), true),
        (known().attribute("retry"), "retry", text("no"), false),
        (known().attribute("retry"), "retry", text("NaN"), false),
        (known().attribute("retry"), "retry", double(0.5), true),
        (known().attribute("retry"), "retry", double(f64::NAN), false),
        (known().attribute("retry"), "retry", AnyValue::default(), false),
        (known().attribute(previous), previous, list(vec![text("1")]), true),
        (known().attribute(previous), previous, list(vec![text("0")]), false),
        (known().attribute(previous), previous, list(vec![list(vec![text("1")])]), false),
        (RetryMarks::none(), "http.request.resend_count", number(1), false),
    ];
    let is_retry = |marks: &RetryMarks, span: Span| {
        let mut intake = SpanIntake::new(Limits::default()).marks(marks.clone());
        let all = intake.watch(RetryWindow::new(SpanFilter::any()));
        intake.take(&encoded(vec![span]), at(0)).unwrap();
        let stats = intake.stats(all, at(0)).unwrap();
        assert_eq!(stats.calls, 1);
        stats.retries == 1
    };
    for (marks, key, value, expected) in cases {
        let mut span = call(1, at(0));
        span.attributes.insert(0, attribute(key, value.clone()));
        assert_eq!(is_retry(&marks, span), expected, "{key} {value:?}");
    }
    let linked = Span { links: vec![Link::default()], ..call(1, at(0)) };
    assert!(!is_retry(&known(), linked.clone()));
    assert!(is_retry(&known().links(true), linked));
}

#[test]
fn a_peer_is_called_by_its_most_telling_name() {
    let names = ["net.peer.name", "server.address", "peer.service", "service.peer.name"];
    for known in 1..=names.len() {
        let names = &names[..known];
        for turned in 0..names.len() {
            let mut intake = SpanIntake::new(Limits::default());
            let last = names[known - 1];
            let watch = intake.watch(RetryWindow::new(SpanFilter::any().peer(last)));
            let mut span = call(1, at(0));
            span.attributes = names.iter().map(|name| attribute(name, text(name))).collect();
            span.attributes.rotate_left(turned);
            span.attributes.push(attribute(last, number(7))); // no name
            intake.take(&encoded(vec![span]), at(0)).unwrap();
            assert_eq!(intake.stats(watch, at(0)).unwrap().calls, 1, "{names:?}");
        }
    }
}

#[test]
fn a_resource_may_be_written_after_its_spans_and_in_pieces() {
    let resource_spans = |spans: Vec<Span>| request(spans).resource_spans.remove(0);
    let mut spans = resource_spans((1..=20).map(|id| retry(id, at(0))).collect());
    let resource = ResourceSpans { resource: spans.resource.take(), ..ResourceSpans::default() };
    let mut bytes = spans.encode_to_vec();
    bytes.extend(resource.encode_to_vec());
    let mut message = vec![0x0a];
    prost::encode_length_delimiter(bytes.len(), &mut message).unwrap();
    message.extend(bytes);
    let (mut intake, _, payments) = intake(Limits::default());
    intake.take(&message, at(0)).unwrap();
    assert_eq!(intake.read(payments, Measure::RetryRatio, at(0)), Ok((100.0, at(0))));
}

#[test]
fn a_span_that_is_sent_twice_counts_once() {
    let (mut intake, all, _) = intake(Limits::default());
    let spans: Vec<Span> = (1..=100).map(|id| call(id, at(0))).collect();
    for _ in 0..3 {
        intake.take(&encoded(spans.clone()), at(1)).unwrap();
    }
    let calls = intake.stats(all, at(1)).unwrap().calls;
    assert!((100..110).contains(&calls), "{calls}: two may share a place");
    assert_eq!(intake.counts().dropped(SpanDrop::Duplicate), 300 - calls);
    // Another trace may have the same identifiers of spans.
    let others = spans.into_iter().map(|span| Span { trace_id: vec![9; 16], ..span }).collect();
    intake.take(&encoded(others), at(1)).unwrap();
    assert!(intake.stats(all, at(1)).unwrap().calls >= calls + 95);
}

#[test]
fn a_name_that_nobody_has_is_told_from_silence() {
    let (mut intake, _, payments) = intake(Limits::default());
    let why = |intake: &SpanIntake| {
        let fault = intake.read(payments, Measure::RetryRatio, at(1)).unwrap_err();
        assert_eq!(fault.kind(), FaultKind::Empty);
        fault.detail().to_owned()
    };
    let silence = "retry ratio of checkout → payments POST /charge: 0 calls in the last 60s, of \
                   at least 20; no span has ever come";
    assert_eq!(why(&intake), silence);

    let mut strict = SpanIntake::new(Limits::default());
    let watch = strict.watch(RetryWindow::new(SpanFilter::any().peer("payment")));
    let mut spans = vec![call(1, at(0)), call(2, at(0)), call(3, at(0))];
    spans[2].attributes = vec![attribute("peer.service", text(&"x\n".repeat(1000)))];
    strict.take(&encoded(spans), at(1)).unwrap();
    let fault = strict.read(watch, Measure::RetryRatio, at(1)).unwrap_err();
    let told = fault.detail().split("; ").nth(1).unwrap();
    let expected =
        format!("spans have come of checkout → payments, checkout → {}", "x·".repeat(40));
    assert_eq!(told, expected);
    assert_eq!(strict.counts().elsewhere, 3);

    intake.take(&encoded(vec![call(1, at(0))]), at(1)).unwrap();
    assert!(why(&intake).ends_with("1 calls in the last 60s, of at least 20"));
}

#[test]
fn bytes_that_are_no_request_count_nothing_and_say_that_something_is_missing() {
    let (mut intake, all, _) = intake(Limits::default());
    let bytes = encoded((1..=5).map(|id| retry(id, at(0))).collect());
    let mut refused = 0;
    for end in 1..bytes.len() {
        refused += u64::from(intake.take(&bytes[..end], at(0)).is_err());
    }
    assert!(refused > bytes.len() as u64 * 9 / 10, "{refused}");
    let counts = intake.counts();
    assert_eq!((counts.dropped(SpanDrop::Malformed), counts.counted), (refused, 0));
    let fault = intake.read(all, Measure::RetryRatio, at(0)).unwrap_err();
    assert_eq!(fault.kind(), FaultKind::TooLarge);
    let malformed = intake.take(b"GET / HTTP/1.1", at(0)).unwrap_err();
    let told = "this is no ExportTraceServiceRequest: a field is of a kind that nobody writes";
    assert_eq!(malformed.to_string(), told);
}

#[test]
fn spans_without_an_end_or_of_a_wrong_clock_are_rejected_and_the_sender_told() {
    let (mut intake, _, _) = intake(Limits::default());
    let spans = vec![
        call(1, at(1000)),
        call(2, at(5000)),
        call(3, at(5000)),
        call(4, at(100)),
        Span { end_time_unix_nano: 0, ..call(5, at(1000)) },
    ];
    let receipt = intake.take(&encoded(spans), at(1000)).unwrap();
    assert_eq!((receipt.rejected, receipt.why), (4, Some(SpanDrop::Future)));
    let dropped = |reason| intake.counts().dropped(reason);
    assert_eq!(dropped(SpanDrop::Future), 2);
    assert_eq!((dropped(SpanDrop::Late), dropped(SpanDrop::Unfinished)), (1, 1));
}

#[test]
fn of_a_request_with_too_many_spans_the_first_are_taken() {
    let mut limits = Limits::default();
    limits.max_spans = 100;
    let (mut intake, all, _) = intake(limits);
    let spans = (1..=1000).map(|id| call(id, at(0))).collect();
    let receipt = intake.take(&encoded(spans), at(0)).unwrap();
    assert_eq!((receipt.rejected, receipt.why), (900, Some(SpanDrop::OverRequest)));
    let stats = intake.stats(all, at(0)).unwrap();
    assert!((95..=100).contains(&stats.calls) && stats.lost == 900, "{stats:?}");
}

/// What the tick makes of a window: a signal, or that there is none.
fn as_signal(intake: &SpanIntake, watch: Watch, measure: Measure, now: SystemTime) -> Signal {
    match intake.read(watch, measure, now) {
        Ok((value, at)) => signal("calls", &[value], at),
        Err(fault) => Signal::failed("calls", fault.kind(), now),
    }
}

#[test]
fn a_flood_is_bounded_counted_and_never_a_scale_down() {
    let mut limits = Limits::default();
    limits.max_spans_per_second = 1000;
    limits.remembered_spans = 0;
    let (mut intake, all, _) = intake(limits);
    let mut spec = prompt();
    spec.metrics.push(MetricSpec::average("calls", 1000_u32.into()));
    let mut decider = decider(spec);
    // A hundred calls a second, until ten times the spans that are allowed come beside them: 20
    // requests a second of 500 spans, none of which is a call.
    let (mut allowed, mut refused, mut ticks) = (0, 0, 0);
    let noise: Vec<Span> = (1..=500).map(|id| Span { kind: 1, ..call(id, at(0)) }).collect();
    let noise = encoded(noise);
    for millis in (0..300_000).step_by(50) {
        let now = at(0) + Duration::from_millis(millis);
        let flood = (100_000..200_000).contains(&millis);
        if flood {
            match intake.admit(now) {
                Ok(()) => {
                    intake.take(&noise, now).unwrap();
                    allowed += 500;
                }
                Err(wait) => {
                    assert!((1..=30).contains(&wait.as_secs()));
                    refused += 1;
                }
            }
        }
        if intake.admit(now).is_ok() {
            intake.take(&encoded((0..5).map(|_| call(0, now)).collect()), now).unwrap();
        }
        if millis % 15_000 == 0 && millis > 0 {
            ticks += 1;
            let calls = as_signal(&intake, all, Measure::CallsPerSecond, now);
            let known = calls.fault.is_none();
            assert_eq!(
                known,
                !(105_000..=270_000).contains(&millis) && millis >= 75_000,
                "{millis}"
            );
            // By its processors alone it could go.
            let seen = cpu(4, 1.0, now).signal(calls);
            let decision = decider.decide(&seen, now);
            if known {
                assert!(decision.to < 4, "{}", decision.explain());
            } else {
                assert_eq!((decision.to, decision.reason), (4, Reason::UnknownSignal));
            }
        }
    }
    assert_eq!(ticks, 19);
    assert!((100_000..=106_000).contains(&allowed), "{allowed} of a thousand a second");
    assert!(refused > 1000);
    let counts = intake.counts();
    assert!(counts.dropped(SpanDrop::Rate) >= refused);
}

/// A request as an SDK might write it, or as nobody would.
fn any_request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let key = prop_oneof![
        Just("http.request.resend_count"),
        Just("peer.service"),
        Just("server.address"),
        Just("http.route"),
        Just("other"),
    ];
    let leaf = prop_oneof![
        (-2i64..3).prop_map(number),
        "[a-z]{0,3}|1|0".prop_map(|any| text(&any)),
        any::<bool>().prop_map(|flag| value(Value::BoolValue(flag))),
        any::<f64>().prop_map(|double| value(Value::DoubleValue(double))),
        Just(AnyValue::default()),
        prop::collection::vec((0i64..2).prop_map(number), 0..3).prop_map(list),
    ];
    let attributes = prop::collection::vec((key, leaf), 0..5).prop_map(|pairs| {
        pairs.into_iter().map(|(key, value)| attribute(key, value)).collect::<Vec<_>>()
    });
    let span = (0i32..6, attributes, 0u64..3, any::<bool>(), any::<u32>(), 0i32..3);
    let span = span.prop_map(|(kind, attributes, end, links, id, code)| {
        let mut span = call(id.into(), at(10));
        span.kind = kind;
        span.attributes = attributes;
        span.end_time_unix_nano *= end.min(1);
        span.links = if links { vec![Link::default()] } else { Vec::new() };
        if code > 0 {
            span.status = Some(opentelemetry_proto::tonic::trace::v1::Status {
                code,
                message: "text".to_owned(),
            });
        }
        span
    });
    prop::collection::vec(span, 0..20).prop_map(request)
}

/// What prost makes of a value.
fn says_yes(any: Option<&AnyValue>, lists: bool) -> bool {
    match any.and_then(|any| any.value.as_ref()) {
        Some(Value::IntValue(number)) => *number > 0,
        Some(Value::DoubleValue(number)) => *number > 0.0,
        Some(Value::BoolValue(flag)) => *flag,
        Some(Value::StringValue(text)) => text == "1" || text == "inf" || text == "true",
        Some(Value::ArrayValue(list)) if lists => {
            list.values.iter().any(|any| says_yes(Some(any), false))
        }
        _ => false,
    }
}

proptest! {
    /// The reader against the generated one.
    #[test]
    fn what_is_read_is_what_was_written(request in any_request()) {
        let mut limits = Limits::default();
        limits.remembered_spans = 0;
        let mut intake = SpanIntake::new(limits);
        let all = intake.watch(RetryWindow::new(SpanFilter::any()));
        let from_a = intake.watch(RetryWindow::new(SpanFilter::any().peer("a")));
        intake.take(&request.encode_to_vec(), at(10)).unwrap();

        let spans = || request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans);
        let calls = || spans().filter(|span| span.kind == 3 && span.end_time_unix_nano > 0);
        let text_of = |span: &Span, key: &str| {
            let found = span.attributes.iter().filter(|pair| pair.key == key).filter_map(|pair| {
                match pair.value.as_ref()?.value.as_ref()? {
                    Value::StringValue(text) if !text.is_empty() => Some(text.clone()),
                    _ => None,
                }
            });
            found.collect::<Vec<_>>()
        };
        let is_retry = |span: &&Span| {
            let mut marks = span.attributes.iter().filter(|pair| pair.key == "http.request.resend_count");
            marks.any(|pair| says_yes(pair.value.as_ref(), true))
        };
        let peer = |span: &Span| {
            let peer = text_of(span, "peer.service").first().cloned();
            peer.or_else(|| text_of(span, "server.address").first().cloned()).unwrap_or_default()
        };
        let stats = intake.stats(all, at(10)).unwrap();
        prop_assert_eq!(intake.counts().spans, spans().count() as u64);
        prop_assert_eq!(stats.calls, calls().count() as u64);
        prop_assert_eq!(stats.retries, calls().filter(is_retry).count() as u64);
        let is_error = |span: &&Span| span.status.as_ref().is_some_and(|status| status.code == 2);
        prop_assert_eq!(stats.errors, calls().filter(is_error).count() as u64);
        let to_a = calls().filter(|span| peer(span) == "a").count() as u64;
        prop_assert_eq!(intake.stats(from_a, at(10)).unwrap().calls, to_a);
    }

    /// Whatever comes in, something is counted or refused, and nothing breaks.
    #[test]
    fn any_bytes_are_taken_or_refused(
        request in any_request(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = request.encode_to_vec();
        for (place, byte) in edits {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        let (mut intake, all, payments) = intake(Limits::default());
        let taken = intake.take(&bytes, at(10));
        prop_assert_eq!(intake.counts().dropped(SpanDrop::Malformed), u64::from(taken.is_err()));
        for watch in [all, payments] {
            let _ = intake.read(watch, Measure::RetryRatio, at(10));
        }
        // What the generated reader takes, this one takes.
        if ExportTraceServiceRequest::decode(&*bytes).is_ok() {
            prop_assert!(taken.is_ok());
        }
    }
}
