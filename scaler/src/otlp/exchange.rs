//! From a request to its answer.

use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, Response, StatusCode, Version};
use tokio::time::timeout;

use super::body;
use super::intake::Receipt;
use super::receiver::{Shared, clock};
use super::refusal::Refusal;
use super::reply::{self, Reply};

/// What OTLP is called in gRPC, and where it is in HTTP.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const TRACES: &str = "/v1/traces";

/// Answers a request, in the language that it speaks.
pub(super) async fn answer(shared: &Shared, request: Request<Incoming>) -> Response<Reply> {
    let grpc = is_grpc(&request);
    let outcome = take(shared, request, grpc).await;
    if let Err(refusal) = &outcome {
        shared.refused(refusal);
    }
    if grpc { reply::grpc(&outcome) } else { reply::http(&outcome) }
}

async fn take(shared: &Shared, request: Request<Incoming>, grpc: bool) -> Result<Receipt, Refusal> {
    let packed = if grpc { grpc_head(&request)? } else { http_head(&request)? };
    shared.intake().admit(clock()).map_err(Refusal::Rate)?;

    let limits = shared.limits();
    let (room, most) = (shared.room(), limits.max_message_bytes);
    let received = async {
        let body = request.into_body();
        if grpc {
            body::framed(body, room, most).await
        } else {
            body::plain(body, packed, room, most).await
        }
    };
    let received = timeout(limits.request_timeout, received).await;
    let message = received.map_err(|_| Refusal::Timeout)??;
    if grpc && message.packed && !packed {
        return Err(Refusal::Malformed("a packed message needs a grpc-encoding".into()));
    }
    let unpacked;
    let bytes = if message.packed {
        unpacked = body::unpack(&message.bytes, most)?;
        &unpacked
    } else {
        &message.bytes
    };
    let batch = shared.reader().read(bytes);
    let batch = batch.map_err(|malformed| Refusal::Malformed(malformed.to_string().into()))?;
    Ok(shared.intake().count(&batch, clock()))
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    let kind = text(request.headers(), CONTENT_TYPE.as_str());
    let rest = kind.strip_prefix("application/grpc");
    request.version() == Version::HTTP_2
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

/// Whether messages may be packed.
fn grpc_head(request: &Request<Incoming>) -> Result<bool, Refusal> {
    let unsupported = |why| Err(Refusal::Unsupported(StatusCode::OK, why));
    if request.uri().path() != EXPORT {
        return unsupported("spans are taken in here, by TraceService/Export, and nothing else");
    }
    match text(request.headers(), "grpc-encoding") {
        "" | "identity" => Ok(false),
        "gzip" => Ok(true),
        _ => unsupported("of compressions there is gzip"),
    }
}

/// Whether the body is packed.
fn http_head(request: &Request<Incoming>) -> Result<bool, Refusal> {
    let unsupported = |status, why| Err(Refusal::Unsupported(status, why));
    if request.uri().path() != TRACES {
        return unsupported(StatusCode::NOT_FOUND, "spans are taken in at /v1/traces");
    }
    if request.method() != Method::POST {
        return unsupported(StatusCode::METHOD_NOT_ALLOWED, "spans are posted");
    }
    let kind = text(request.headers(), CONTENT_TYPE.as_str());
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-protobuf") {
        let why = "spans are taken in as application/x-protobuf: set the exporter's protocol to \
                   http/protobuf or grpc";
        return unsupported(StatusCode::UNSUPPORTED_MEDIA_TYPE, why);
    }
    match text(request.headers(), CONTENT_ENCODING.as_str()) {
        "" | "identity" => Ok(false),
        "gzip" => Ok(true),
        _ => unsupported(StatusCode::UNSUPPORTED_MEDIA_TYPE, "of compressions there is gzip"),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
