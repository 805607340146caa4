//! Requests of spans: what the generated reader takes, ours takes, and both find the same calls in it.
#![no_main]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use birl_scaler::otlp::{
    Limits, Measure, RetryMarks, RetryWindow, SpanDrop, SpanFilter, SpanIntake,
};
use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    let now = UNIX_EPOCH + Duration::from_secs(1_795_420_800);
    let mut limits = Limits::default();
    (limits.max_spans, limits.remembered_spans) = (u64::MAX, 0);
    let mut intake = SpanIntake::new(limits).marks(RetryMarks::none().attribute("r"));
    let all = intake.watch(RetryWindow::new(SpanFilter::any()).min_calls(1));
    let of_a = intake.watch(RetryWindow::new(SpanFilter::any().service("a")));
    let taken = intake.take(bytes, now);
    let (counts, stats) = (intake.counts(), intake.stats(all, now).unwrap());
    let _ = intake.read(all, Measure::P99, now);
    assert_eq!(counts.dropped(SpanDrop::Malformed), u64::from(taken.is_err()));
    assert!(stats.retries <= stats.calls && stats.errors <= stats.calls);

    let Ok(request) = ExportTraceServiceRequest::decode(bytes) else { return };
    // Groups, which nobody writes, are skipped there and refused here.
    if taken.is_err() {
        return;
    }
    let (mut spans, mut calls, mut by_a) = (0, 0, 0);
    let (mut retries, mut errors) = (0, 0);
    for resource_spans in &request.resource_spans {
        let names = resource_spans.resource.iter().flat_map(|resource| &resource.attributes);
        let name = names.filter(|pair| pair.key == "service.name").last();
        let name = name.and_then(|pair| match pair.value.as_ref()?.value.as_ref()? {
            Value::StringValue(name) => Some(&**name),
            _ => None,
        });
        for span in resource_spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
            spans += 1;
            if span.kind == 3 && within(span, now) {
                calls += 1;
                by_a += u64::from(name == Some("a"));
                errors += u64::from(span.status.as_ref().is_some_and(|status| status.code == 2));
                retries += u64::from(is_retry(span));
            }
        }
    }
    assert_eq!(counts.spans, spans);
    assert_eq!((stats.calls, stats.retries, stats.errors), (calls, retries, errors));
    assert_eq!(intake.stats(of_a, now).unwrap().calls, by_a);
});

/// Whether a call is in the last twelve buckets of five seconds, or the current one.
fn within(span: &Span, now: SystemTime) -> bool {
    let end = UNIX_EPOCH + Duration::from_nanos(span.end_time_unix_nano);
    span.end_time_unix_nano > 0
        && end >= now - Duration::from_secs(60)
        && end <= now + Duration::from_secs(5)
}

fn is_retry(span: &Span) -> bool {
    let yes = |value: &Value| match value {
        Value::BoolValue(flag) => *flag,
        Value::IntValue(number) => *number > 0,
        Value::DoubleValue(number) => *number > 0.0,
        Value::StringValue(text) => {
            let text = text.trim();
            text.eq_ignore_ascii_case("true")
                || text.parse::<f64>().is_ok_and(|number| number > 0.0)
        }
        _ => false,
    };
    let mut marks = span
        .attributes
        .iter()
        .filter(|pair| pair.key == "r")
        .filter_map(|pair| pair.value.as_ref());
    marks.any(|any| match &any.value {
        Some(Value::ArrayValue(list)) => {
            list.values.iter().filter_map(|any| any.value.as_ref()).any(yes)
        }
        Some(value) => yes(value),
        None => false,
    })
}
