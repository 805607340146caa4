//! What the spans of calls come to: windows, requests, and the socket at which they come in.

mod intake; // from bytes to counts, and floods of them
mod receiver; // the protocols, and what happens at their limits
mod window; // what is told of calls, and what is not

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

/// A value of an attribute.
pub(crate) fn value(value: any_value::Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

pub(crate) fn text(text: &str) -> AnyValue {
    value(any_value::Value::StringValue(text.to_owned()))
}

pub(crate) fn number(number: i64) -> AnyValue {
    value(any_value::Value::IntValue(number))
}

pub(crate) fn list(values: Vec<AnyValue>) -> AnyValue {
    value(any_value::Value::ArrayValue(ArrayValue { values }))
}

pub(crate) fn attribute(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

pub(crate) fn nanos(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap()
}

/// The call of a client to `payments` that took 100 ms and ended at `end`.
pub(crate) fn call(id: u64, end: SystemTime) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: id.to_be_bytes().to_vec(),
        name: "POST /charge".to_owned(),
        kind: 3,
        start_time_unix_nano: nanos(end) - 100_000_000,
        end_time_unix_nano: nanos(end),
        attributes: vec![
            attribute("http.request.method", text("POST")),
            attribute("server.address", text("10.1.2.3")),
            attribute("peer.service", text("payments")),
        ],
        ..Span::default()
    }
}

pub(crate) fn retry(id: u64, end: SystemTime) -> Span {
    let mut span = call(id, end);
    span.attributes.push(attribute("http.request.resend_count", number(1)));
    span
}

pub(crate) fn failed(mut span: Span) -> Span {
    span.status = Some(Status { code: 2, message: "503".to_owned() });
    span
}

/// What `checkout` exports.
pub(crate) fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![attribute("service.name", text("checkout"))],
        ..Resource::default()
    };
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans =
        ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

pub(crate) fn encoded(spans: Vec<Span>) -> Vec<u8> {
    request(spans).encode_to_vec()
}
