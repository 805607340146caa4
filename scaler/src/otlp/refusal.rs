//! Why a request is refused, and how that is said in gRPC and in HTTP.

use std::borrow::Cow;
use std::time::Duration;

use hyper::StatusCode;

use super::counts::SpanDrop;
use super::wire::{put_bytes, put_number};

/// How long to wait when there is no room for another request.
const ROOM: Duration = Duration::from_secs(1);

/// Why a request is refused.
#[derive(Debug, Clone)]
pub(super) enum Refusal {
    /// Too many spans a second; come again after this time.
    Rate(Duration),
    /// No room at the moment.
    InFlight,
    /// More bytes than this in one message.
    TooLarge(usize),
    /// Nothing can be read from it.
    Malformed(Cow<'static, str>),
    /// Nothing that is served here.
    Unsupported(StatusCode, &'static str),
    /// It took too long to arrive.
    Timeout,
    /// The connection ended before it did.
    Aborted,
}

impl Refusal {
    pub(super) fn reason(&self) -> SpanDrop {
        match self {
            Self::Rate(_) => SpanDrop::Rate,
            Self::InFlight => SpanDrop::InFlight,
            Self::TooLarge(_) => SpanDrop::TooLarge,
            Self::Malformed(_) => SpanDrop::Malformed,
            Self::Unsupported(..) => SpanDrop::Unsupported,
            Self::Timeout => SpanDrop::Timeout,
            Self::Aborted => SpanDrop::Aborted,
        }
    }

    /// gRPC's code. What may be sent again is told from what may not by the delay beside it.
    pub(super) fn grpc(&self) -> u8 {
        match self {
            Self::Aborted => 1,                                      // CANCELLED
            Self::Malformed(_) => 3,                                 // INVALID_ARGUMENT
            Self::Timeout => 4,                                      // DEADLINE_EXCEEDED
            Self::Rate(_) | Self::InFlight | Self::TooLarge(_) => 8, // RESOURCE_EXHAUSTED
            Self::Unsupported(..) => 12,                             // UNIMPLEMENTED
        }
    }

    pub(super) fn http(&self) -> StatusCode {
        match self {
            Self::Rate(_) | Self::InFlight => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed(_) | Self::Aborted => StatusCode::BAD_REQUEST,
            Self::Unsupported(status, _) => *status,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// When the same request may be sent again.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rate(wait) => Some(*wait),
            Self::InFlight => Some(ROOM),
            _ => None,
        }
    }

    /// What to tell the sender, in ASCII.
    pub(super) fn message(&self) -> Cow<'static, str> {
        match self {
            Self::Rate(_) => "more spans a second than are taken in here".into(),
            Self::InFlight => "too many bytes are being received".into(),
            Self::TooLarge(most) => {
                format!("a request may have {most} bytes: export smaller batches").into()
            }
            Self::Malformed(why) => why.clone(),
            Self::Unsupported(_, why) => (*why).into(),
            Self::Timeout => "the request took too long to arrive".into(),
            Self::Aborted => "the request ended before its time".into(),
        }
    }

    /// As a `google.rpc.Status`, with a `RetryInfo` where the request may be sent again.
    pub(super) fn status(&self) -> Vec<u8> {
        let mut status = Vec::new();
        put_number(&mut status, 1, self.grpc().into());
        put_bytes(&mut status, 2, self.message().as_bytes());
        if let Some(wait) = self.retry_after() {
            let (mut delay, mut info, mut any) = (Vec::new(), Vec::new(), Vec::new());
            put_number(&mut delay, 1, wait.as_secs());
            put_bytes(&mut info, 1, &delay);
            put_bytes(&mut any, 1, b"type.googleapis.com/google.rpc.RetryInfo");
            put_bytes(&mut any, 2, &info);
            put_bytes(&mut status, 3, &any);
        }
        status
    }
}
