//! How much a receiver takes in.

use std::time::Duration;

/// How much a receiver takes in. What is more is refused and counted; see
/// [`SpanDrop`](super::SpanDrop).
///
/// Memory stays below `max_in_flight_bytes`, one unpacked message for each thread of the runtime,
/// and some hundred kilobytes for a connection and its streams.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at a time; 64. A further one is closed at once.
    pub max_connections: usize,
    /// Requests at a time on one connection; 32.
    pub max_streams: u32,
    /// Bytes of one request, packed and unpacked; 4 MiB.
    pub max_message_bytes: usize,
    /// Bytes of all requests that are being received; 16 MiB, and never less than one message. A
    /// request that does not fit is told to come again.
    pub max_in_flight_bytes: usize,
    /// Spans of one request that are looked at; 16,384. The rest is rejected, and the sender told.
    pub max_spans: u64,
    /// Spans a second in the long run; 50,000. Five seconds' worth may come at once, since senders
    /// export about as often. When it is used up, requests are told to come again.
    pub max_spans_per_second: u32,
    /// How long a request may take to arrive; 10 s.
    pub request_timeout: Duration,
    /// How long a connection may stay without a request; 2 minutes.
    pub idle_timeout: Duration,
    /// How many spans are remembered so that one which is sent twice counts once; 16,384, eight
    /// bytes each. A span that is repeated later than that counts again.
    pub remembered_spans: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 64,
            max_streams: 32,
            max_message_bytes: 4 << 20,
            max_in_flight_bytes: 16 << 20,
            max_spans: 16_384,
            max_spans_per_second: 50_000,
            request_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(120),
            remembered_spans: 16_384,
        }
    }
}
