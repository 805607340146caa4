//! How an answer is written, in gRPC and in HTTP.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

use super::intake::Receipt;
use super::refusal::Refusal;
use super::wire::{put_bytes, put_number};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_ACCEPT: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// One piece of data and its trailers, either of which may be missing.
#[derive(Debug, Default)]
pub(super) struct Reply {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(Frame::data);
        let frame = data.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

/// In gRPC every answer is 200, and a refusal is all headers.
pub(super) fn grpc(outcome: &Result<Receipt, Refusal>) -> Response<Reply> {
    let mut response = Response::new(Reply::default());
    response.headers_mut().insert(CONTENT_TYPE, GRPC_TYPE);
    response.headers_mut().insert(GRPC_ACCEPT, HeaderValue::from_static("identity,gzip"));
    match outcome {
        Ok(receipt) => {
            let message = accepted(receipt);
            let mut framed = vec![0];
            framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
            framed.extend_from_slice(&message);
            let mut trailers = HeaderMap::new();
            trailers.insert(GRPC_STATUS, HeaderValue::from(0u16));
            *response.body_mut() = Reply { data: Some(framed.into()), trailers: Some(trailers) };
        }
        Err(refusal) => {
            let headers = response.headers_mut();
            headers.insert(GRPC_STATUS, HeaderValue::from(u16::from(refusal.grpc())));
            if let Ok(message) = HeaderValue::try_from(percent(&refusal.message())) {
                headers.insert(GRPC_MESSAGE, message);
            }
            if let Ok(details) = HeaderValue::try_from(base64(&refusal.status())) {
                headers.insert(GRPC_DETAILS, details);
            }
        }
    }
    response
}

/// In HTTP a refusal has its status, and a `google.rpc.Status` as its body.
pub(super) fn http(outcome: &Result<Receipt, Refusal>) -> Response<Reply> {
    let (status, body) = match outcome {
        Ok(receipt) => (StatusCode::OK, accepted(receipt)),
        Err(refusal) => (refusal.http(), refusal.status()),
    };
    let mut response = Response::new(Reply { data: Some(body.into()), trailers: None });
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, PROTOBUF);
    if let Some(wait) = outcome.as_ref().err().and_then(Refusal::retry_after) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    response
}

/// An `ExportTraceServiceResponse`: empty if all is well, else how much was rejected and why.
fn accepted(receipt: &Receipt) -> Vec<u8> {
    let (mut response, mut partial) = (Vec::new(), Vec::new());
    if let Some(why) = receipt.why {
        put_number(&mut partial, 1, receipt.rejected);
        put_bytes(&mut partial, 2, why.advice().as_bytes());
        put_bytes(&mut response, 1, &partial);
    }
    response
}

/// gRPC's escape for what is not printable ASCII.
fn percent(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// As gRPC wants a header that ends in `-bin`: without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0, |word, &byte| word << 8 | u32::from(byte));
        let word = word << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            let digit = DIGITS.get((word >> (18 - 6 * digit) & 63) as usize);
            text.extend(digit.copied().map(char::from));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_written_as_grpc_reads_them() {
        for (bytes, text) in
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xef, 0xbe]), "/+++");
        assert_eq!(percent("100 % – so"), "100 %25 %E2%80%93 so");
    }
}
